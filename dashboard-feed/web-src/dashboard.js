/*
 * The newsroom's dashboard: every article under totals/#, hottest first, as it moves.
 *
 * Messages only change the model and mark it. Once a frame the marked rows that are on the screen are written, text node by text
 * node; once a second the rates and the sparklines; every few seconds the order. Rows beyond the first hundred are made when asked for.
 */
import brokerAddress from './address.js';
import icons from './icons.js';
import mqtt from './mqtt.js';
import { hidden, order, orderBy, pins, showColumn, sorted, togglePin } from './dashboard-view.js';

const ARTICLES_MOST = 20_000; // kept; what comes beyond is left out, and said
const PAGE_ROWS = 100;
const TICK_MS = 1_000;
const SLEEP_MS = 5_000; // without a tick: the machine slept, or the page was frozen
const BUCKET_MS = 5_000;
const BUCKETS = 60; // the sparkline: five minutes
const HEAT_MS = 120_000; // heat fades to a third in this time
const HEARD_LEAST_MS = 500; // too little for a rate
const COLD = 0.05;
const REORDER_MS = 5_000; // rows change places at most this often, unless somebody asks for another order
const FLASH_MS = 700;
const FLASHES_MOST = 8; // a frame: where everything moves, no flash says anything
const ABREAST_MOST = 8; // kinds that fit beside the rest on a wide screen
const LATE_MS = 1_500;

const at = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat();
const signed = new Intl.NumberFormat(undefined, { signDisplay: 'exceptZero' });
const decimal = { minimumFractionDigits: 1, maximumFractionDigits: 1 }; // always one, so that the digits of a column align
const short = { ...decimal, notation: 'compact', roundingMode: 'trunc' }; // never more than there is
const shortWhole = new Intl.NumberFormat(undefined, short);
const shortSigned = new Intl.NumberFormat(undefined, { ...short, signDisplay: 'exceptZero' });
const rated = new Intl.NumberFormat(undefined, decimal);
const calm = matchMedia('(prefers-reduced-motion: reduce)');

// Columns are of one width in all rows: what would not fit is rounded.
const count = (n, most = 100_000) => (n < most ? whole : shortWhole).format(n);
const countOfAll = (n) => count(n, 100_000_000);
const minus = (text) => text.replace('-', '−'); // as wide as a plus
const rate = (n) => (n < 10_000 ? rated : shortWhole).format(n);
const exactChange = (n) => minus(signed.format(n));
const change = (n) => minus((Math.abs(n) < 100_000 ? signed : shortSigned).format(n));

function make(name, attributes, ...children) {
  const node = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  node.append(...children);
  return node;
}

function setText(node, text) {
  if (node.data !== text) {
    node.data = text;
  }
}

/* ---- The model --------------------------------------------------------------------------------------------------- */

const openedAt = Date.now(); // to compare with versions; all else is measured by a clock that nobody sets
const articles = new Map(); // id → model
const kinds = Object.keys(icons);
const sums = { reactions: 0, gained: 0 };
let leftOut = 0;

const sumOf = (counts) => Object.values(counts).reduce((sum, n) => sum + n, 0);

function heatOf(model, now) {
  return model.heat * Math.exp((model.heatAt - now) / HEAT_MS);
}

/* How long the page has been receiving totals, faded like heat. Heat divided by it is a rate that is right from the beginning. */
const heard = { ms: 0, at: performance.now(), on: false };
let tickedAt = performance.now();

function heardMs(now) {
  const kept = Math.exp((heard.at - now) / HEAT_MS);
  return heard.ms * kept + (heard.on ? HEAT_MS * (1 - kept) : 0);
}

function setHeard(on, now = performance.now()) {
  Object.assign(heard, { ms: heardMs(now), at: now, on });
}

/** Nothing was heard in a time without ticks. */
function skipSleep(now) {
  if (heard.on && now - tickedAt > SLEEP_MS) {
    setHeard(false, Math.max(tickedAt, heard.at));
    setHeard(true, now);
  }
  tickedAt = now;
}

function aMinute(heat, now) {
  const ms = heardMs(now);
  return ms < HEARD_LEAST_MS ? 0 : (heat * 60_000) / ms;
}

// How many readers moved: one who changed from one kind to another is one, not two or none.
function movementBetween(before, after) {
  let [up, down] = [0, 0];
  for (const kind of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const step = (after[kind] ?? 0) - (before[kind] ?? 0);
    up += Math.max(0, step);
    down += Math.max(0, -step);
  }
  return Math.max(up, down);
}

function advance(model, now) {
  const bucket = Math.floor(now / BUCKET_MS);
  const steps = Math.min(BUCKETS, bucket - model.bucket);
  if (steps > 0) {
    model.movements.copyWithin(0, steps);
    model.movements.fill(0, BUCKETS - steps);
  }
  model.bucket = bucket;
}

function parse(text) {
  try {
    const { counts, version } = JSON.parse(text);
    const good = Number.isFinite(version) && counts && Object.values(counts).every(Number.isFinite);
    return good ? { counts, version } : null;
  } catch {
    return null;
  }
}

/** A total has come. `retained`: it is what stood when this page subscribed, and no movement. */
function take(id, { counts, version }, retained) {
  const now = performance.now();
  let model = articles.get(id);
  if (!model) {
    if (articles.size >= ARTICLES_MOST) {
      leftOut += 1;
      return;
    }
    // One that first moved since this page was opened began at nothing; any other began as it is found.
    const born = !retained && version / 1000 >= openedAt;
    model = {
      id, counts: born ? {} : counts, total: 0, opened: born ? 0 : sumOf(counts), version: 0, heat: 0, heatAt: now, bucket: 0,
      movements: new Float32Array(BUCKETS), row: null, visible: false, written: false, flashedAt: -Infinity,
    };
    articles.set(id, model);
    loading ||= retained;
    sums.gained -= model.opened; // and what it has, below, makes up for it
    orderIsOld = true;
  }
  if (version <= model.version) {
    return;
  }
  const movement = retained ? 0 : movementBetween(model.counts, counts);
  const total = sumOf(counts);
  sums.reactions += total - model.total;
  sums.gained += total - model.total;
  Object.assign(model, { counts, total, version });
  if (movement) {
    model.heat = heatOf(model, now) + movement;
    model.heatAt = now;
    advance(model, now);
    model.movements[BUCKETS - 1] += movement;
  }
  for (const kind of Object.keys(counts)) {
    if (!kinds.includes(kind)) {
      kinds.push(kind);
      rebuild();
    }
  }
  mark(model);
}

/** The retained total was cleared: an operator hid the article's results. */
function forget(id) {
  const model = articles.get(id);
  if (model) {
    if (model.row) {
      dropRow(model);
    }
    articles.delete(id);
    sums.reactions -= model.total;
    sums.gained -= model.total - model.opened;
    orderIsOld = true;
    frame ||= requestAnimationFrame(flush);
  }
}

/* ---- Rows ---------------------------------------------------------------------------------------------------------- */

const table = at('table');
const head = make('div', { role: 'row', class: 'row head' });
const body = make('div', { role: 'rowgroup', class: 'rows' });
table.append(make('div', { role: 'rowgroup' }, head), body);

const onScreen = new IntersectionObserver(
  (entries) =>
    entries.forEach(({ target, isIntersecting }) => {
      target.model.visible = isIntersecting;
      if (isIntersecting) {
        mark(target.model);
        drawSpark(target.model, performance.now());
      }
    }),
  { rootMargin: '200px' },
);

function pin(model) {
  const pinned = togglePin(model.id);
  say(`${pinned ? 'Pinned' : 'No longer pinned'}: ${model.id}`);
  orderIsOld = true;
  mark(model);
}

/** For who does not see it. */
function say(text) {
  at('news').textContent = text;
}

// Below the rest where all do not fit in one line; there, `.counts` has no box.
const countGroup = (cells) => (cells.length ? [make('span', { role: 'presentation', class: 'counts' }, ...cells)] : []);
const titled = (kind) => kind[0].toUpperCase() + kind.slice(1);

const shownKinds = () => kinds.filter((kind) => !hidden.has(`kind:${kind}`));
const ABOUT = { gained: 'Since opened', rate: 'A minute', spark: 'Last 5 minutes' };
const about = () => Object.keys(ABOUT).filter((name) => !hidden.has(name));
const WIDTHS = { gained: ['4.6rem', '6.2rem'], rate: ['4rem', '6.2rem'], spark: ['8rem', '6rem'] }; // abreast; above the counts

function makeHead() {
  const n = shownKinds().length;
  const last = (i) => about().map((name) => WIDTHS[name][i]).join(' ');
  table.style.setProperty('--abreast', `2.75rem minmax(10rem, 1fr) ${n ? `repeat(${n}, minmax(3.2rem, 4rem))` : ''} 6.6rem ${last(0)}`);
  table.style.setProperty('--above', `2.75rem minmax(0, 1fr) 6.6rem ${last(1)}`);
  table.classList.toggle('many', n > ABREAST_MOST);
  const column = (label, name, by) => {
    const node = make('span', { role: 'columnheader', class: name, 'aria-label': label }, label);
    if (by) {
      const button = make('button', { type: 'button' }, label);
      button.addEventListener('click', () => changeOrder(by));
      node.replaceChildren(make('span', { class: 'plain' }, label), button); // the one where the head is not seen, or the other
      node.dataset.by = by;
    }
    return node;
  };
  head.replaceChildren(
    column('Pin', 'pin'), column('Article', 'article', 'article'), ...countGroup(shownKinds().map((kind) => column(titled(kind), 'count', `kind:${kind}`))),
    column('Total', 'total', 'total'), ...about().map((name) => column(ABOUT[name], name, name === 'spark' ? '' : name)),
  );
  makeChoices();
  showOrder();
}

function makeSpark() {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', `0 0 ${BUCKETS - 1} 20`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const area = svg.appendChild(document.createElementNS(space, 'path'));
  const line = svg.appendChild(document.createElementNS(space, 'path'));
  area.setAttribute('class', 'area');
  line.setAttribute('class', 'line');
  line.setAttribute('vector-effect', 'non-scaling-stroke');
  return { svg, area, line };
}

function makeRow(model) {
  const cell = (name, ...children) => make('span', { role: 'cell', class: name }, ...children);
  const row = { counts: new Map(), total: new Text(), gained: new Text(), rate: new Text(), spark: makeSpark() };
  row.pin = make('button', { type: 'button', 'aria-label': `Pin ${model.id}`, 'aria-pressed': 'false' });
  row.pin.addEventListener('click', () => pin(model));
  row.totalCell = cell('total', row.total);
  row.gainedCell = cell('gained', row.gained);
  const [parent, last] = [model.id.slice(0, model.id.lastIndexOf('/') + 1), model.id.slice(model.id.lastIndexOf('/') + 1)];
  const countCells = shownKinds().map((kind) => {
    const text = new Text('0');
    const node = cell('count', make('span', { class: 'kind' }, titled(kind)), ' ', text);
    row.counts.set(kind, { node, text });
    return node;
  });
  const cells = { gained: () => row.gainedCell, rate: () => cell('rate', row.rate), spark: () => cell('spark', row.spark.svg) };
  row.node = make('div', { role: 'row', class: 'row', 'data-article': model.id },
    cell('pin', row.pin),
    cell('article', make('span', { class: 'parent' }, parent), make('wbr', {}), last),
    ...countGroup(countCells), row.totalCell, ...about().map((name) => cells[name]()));
  row.node.model = model;
  onScreen.observe(row.node);
  return row;
}

function dropRow(model) {
  onScreen.unobserve(model.row.node);
  model.row.node.remove();
  model.row = null;
  model.visible = model.written = false;
}

// Other columns need other rows.
function rebuild() {
  makeHead();
  articles.forEach((model) => model.row && dropRow(model));
  orderIsOld = true;
}

/* ---- Once a frame: what changed, where it can be seen ---------------------------------------------------------------- */

const marked = new Set();
let frame = 0;

function mark(model) {
  if (model.row && (model.visible || !model.written)) {
    marked.add(model);
  }
  frame ||= requestAnimationFrame(flush);
}

function flush() {
  frame = 0;
  const now = performance.now();
  let flashes = calm.matches ? 0 : FLASHES_MOST;
  for (const model of marked) {
    if (model.row) {
      const moved = writeRow(model);
      if (moved && model.visible && now - model.flashedAt > FLASH_MS && flashes-- > 0) {
        model.flashedAt = now;
        model.row.totalCell.animate([{ backgroundColor: 'var(--flash)' }, { backgroundColor: 'transparent' }], FLASH_MS);
      }
    }
  }
  marked.clear();
  setText(figures.articles, whole.format(articles.size) + (leftOut ? '+' : ''));
  setText(figures.reactions, whole.format(sums.reactions));
  setText(figures.gained, exactChange(sums.gained));
  if (orderIsOld && !body.firstChild) {
    reorder();
  }
}

function writeRow(model) {
  const { row } = model;
  for (const [kind, { node, text }] of row.counts) {
    const n = model.counts[kind] ?? 0;
    setText(text, count(n));
    node.classList.toggle('nothing', n === 0);
  }
  const moved = row.shownTotal !== undefined && row.shownTotal !== model.total;
  row.shownTotal = model.total;
  setText(row.total, countOfAll(model.total));
  const gained = model.total - model.opened;
  setText(row.gained, change(gained));
  setSign(row.gainedCell, gained);
  row.pin.setAttribute('aria-pressed', String(pins.has(model.id)));
  model.written = true;
  return moved;
}

function setSign(node, n) {
  node.classList.toggle('nothing', n === 0);
  node.classList.toggle('lost', n < 0);
}

const figures = Object.fromEntries(
  ['articles', 'reactions', 'gained', 'rate'].map((id) => {
    const text = new Text('0');
    at(id).replaceChildren(text);
    return [id, text];
  }),
);

/* ---- Once a second: rates, sparklines; every few seconds the order ---------------------------------------------------------------------- */

let orderIsOld = true;
let rowsMost = PAGE_ROWS;
let pointerIsOver = false;
let reorderedAt = -Infinity;
let loading = false; // what is retained still arrives
const filter = at('filter');
const hold = at('hold');
const heldText = at('held').appendChild(new Text());

function drawSpark(model, now) {
  const { spark } = model.row;
  const n = aMinute(heatOf(model, now), now);
  setText(model.row.rate, n < COLD ? '' : rate(n));
  advance(model, now);
  const most = Math.max(...model.movements);
  let d = '';
  if (most > 0) {
    const scale = 18 / Math.max(3, most);
    model.movements.forEach((n, x) => (d += `${x ? 'L' : 'M'}${x} ${(19 - n * scale).toFixed(1)}`));
  }
  if (spark.line.getAttribute('d') !== d) {
    spark.line.setAttribute('d', d);
    spark.area.setAttribute('d', d && `${d}L${BUCKETS - 1} 20L0 20Z`);
  }
}

// Nothing moves away under a key or a pointer that is about to be pressed.
function whyHeld() {
  if (hold.getAttribute('aria-pressed') === 'true') {
    return 'The order is held.';
  }
  if (body.querySelector(':focus-visible')) {
    return 'The order is held while you are in the list.';
  }
  return pointerIsOver ? 'The order is held under the pointer.' : '';
}

function wantedOrder(now) {
  const needle = filter.value.trim().toLowerCase();
  const models = [...articles.values()].filter((model) => !needle || model.id.toLowerCase().includes(needle));
  return sorted(models, (model) => {
    const heat = heatOf(model, now);
    return heat < COLD ? 0 : heat;
  });
}

function reorder() {
  orderIsOld = false;
  reorderedAt = performance.now();
  const wanted = wantedOrder(performance.now());
  const shown = wanted.slice(0, rowsMost);
  const before = new Map();
  if (!calm.matches) {
    shown.forEach((m) => m.visible && before.set(m, m.row.node.getBoundingClientRect().top));
  }
  const keep = new Set(shown);
  articles.forEach((model) => model.row && !keep.has(model) && dropRow(model));
  let place = body.firstChild;
  for (const model of shown) {
    if (!model.row) {
      model.row = makeRow(model);
      writeRow(model);
    }
    if (model.row.node === place) {
      place = place.nextSibling;
    } else {
      body.insertBefore(model.row.node, place);
    }
  }
  slide(before);
  at('empty').hidden = wanted.length > 0;
  at('empty').textContent = articles.size ? 'No article has this in its id.' : 'No reaction has come yet.';
  at('more').hidden = wanted.length <= rowsMost;
  at('more').textContent = `Show more (${whole.format(wanted.length - shown.length)})`;
}

function slide(before) {
  const steps = [...before].map(([model, top]) => [model, top - model.row.node.getBoundingClientRect().top]);
  for (const [model, step] of steps) {
    if (step) {
      model.row.node.animate([{ transform: `translateY(${step}px)` }, { transform: 'none' }], { duration: 300, easing: 'ease-out' });
    }
  }
}

function tick() {
  const now = performance.now();
  skipSleep(now);
  if (document.hidden) {
    return;
  }
  const held = whyHeld();
  if (!held && (loading || now - reorderedAt >= REORDER_MS)) {
    loading = false;
    reorder();
  }
  setText(heldText, held);
  let heat = 0;
  articles.forEach((model) => {
    heat += heatOf(model, now);
    if (model.visible) {
      drawSpark(model, now);
    }
  });
  setText(figures.rate, rated.format(aMinute(heat, now)));
  const over = `Average of about the last ${whole.format(Math.round(heardMs(now) / 1_000))} s, of which the latest count most`;
  at('rate').title = over;
  head.querySelector('.rate')?.setAttribute('title', over);
}

/* ---- What somebody chose ---------------------------------------------------------------------------------------------------- */

const nameOf = (by) =>
  by === 'hot' ? 'Hottest' : by === 'article' ? 'Article' : by === 'total' ? 'Total' : (ABOUT[by] ?? titled(by.slice('kind:'.length)));
const directionOf = ({ by, down }) => (by === 'article' ? (down ? 'Z to A' : 'A to Z') : down ? 'Largest first' : 'Smallest first');

function showOrder() {
  const text = order.by === 'hot' ? 'hottest first' : `${nameOf(order.by)}, ${directionOf(order)}`;
  table.setAttribute('aria-label', `Articles: ${text}`);
  head.querySelectorAll('[data-by]').forEach((node) => {
    node.dataset.by === order.by ? node.setAttribute('aria-sort', order.down ? 'descending' : 'ascending') : node.removeAttribute('aria-sort');
  });
  at('by').value = order.by;
  at('direction').hidden = order.by === 'hot';
  at('direction').textContent = directionOf(order);
  return text;
}

function changeOrder(by, down) {
  orderBy(by, down);
  rowsMost = PAGE_ROWS;
  say(`Order: ${showOrder()}`);
  reorder();
}

function makeChoices() {
  const option = (by) => make('option', { value: by }, nameOf(by));
  const all = kinds.map((kind) => `kind:${kind}`);
  at('by').replaceChildren(...['hot', 'article', 'total', ...all, 'gained', 'rate'].map(option));
  if (at('choices').childElementCount === all.length + Object.keys(ABOUT).length) {
    return; // one of them may have the focus
  }
  at('choices').replaceChildren(
    ...[...all, ...Object.keys(ABOUT)].map((name) => {
      const box = make('input', { type: 'checkbox', 'data-column': name });
      box.checked = !hidden.has(name);
      box.addEventListener('change', () => {
        showColumn(name, box.checked);
        box.checked = !hidden.has(name);
        say(`Column ${nameOf(name)} ${box.checked ? 'shown' : 'hidden'}`);
        rebuild();
        reorder();
      });
      return make('label', {}, box, nameOf(name));
    }),
  );
}

at('by').addEventListener('change', () => changeOrder(at('by').value, at('by').value !== 'article'));
at('direction').addEventListener('click', () => changeOrder(order.by, !order.down));
hold.addEventListener('click', () => {
  hold.setAttribute('aria-pressed', String(hold.getAttribute('aria-pressed') !== 'true'));
  tick();
});
filter.addEventListener('input', () => {
  rowsMost = PAGE_ROWS;
  reorder();
});
at('more').addEventListener('click', () => {
  const next = rowsMost;
  rowsMost += PAGE_ROWS;
  reorder();
  body.children[next]?.querySelector('button').focus({ preventScroll: true });
});
// A finger is over nothing once it is lifted.
for (const [kind, over] of [['pointerenter', true], ['pointermove', true], ['pointerleave', false], ['pointercancel', false]]) {
  body.addEventListener(kind, () => (pointerIsOver = over), { passive: true });
}
document.addEventListener('visibilitychange', tick);
setInterval(tick, TICK_MS);
makeHead();

/* ---- The connection ------------------------------------------------------------------------------------------------------ */

let late = 0;

function sayState(name, text) {
  const state = at('state');
  state.dataset.state = name;
  if (state.textContent !== text) {
    state.textContent = text;
  }
}

const [open, , subscribe] = mqtt(
  brokerAddress(),
  () => {
    clearTimeout(late);
    late = 0;
  },
  () => {
    setHeard(false);
    late ||= setTimeout(() => sayState('away', 'Not connected, trying again. The numbers may be old.'), LATE_MS);
  },
  (topic, text, correlation, retained) => {
    const total = topic.startsWith('totals/') && parse(text);
    if (total) {
      take(topic.slice(7), total, retained);
    } else if (topic.startsWith('totals/') && !text) {
      forget(topic.slice(7));
    }
  },
  () => {},
  (granted) => {
    const live = granted.has('totals/#');
    setHeard(live);
    live
      ? sayState('live', 'Live')
      : sayState('refused', 'The broker lets only the newsroom watch all articles: its option allow_wildcards is off.');
  },
  (what) => console.warn('Tally: refused', what),
);
subscribe(['totals/#']);
open();

/*
 * The operators' page: what ops/# carries, live, in the words of `tally watch`.
 *
 * Messages only change the view. The page is written once a second, and at once when health changes, text node by text node; every list is
 * bounded. Nothing is written while the page is hidden, and totals do not come then.
 */
import brokerAddress from './address.js';
import newHot from './ops-hot.js';
import newLink from './ops-link.js';
import newView, { PROBE_OLD_MS } from './ops-view.js';

const TICK_MS = 1_000;
const SPARK_POINTS = 120; // two minutes
const HOTTEST = 10;
const SHARDS = 16;
const ARTICLES = 20;
const TOPICS_MOST = 16;
const RAW_MOST = 8_000; // characters shown of a message
const ARTICLE_MOST = 200;
const PROBE = '%probe/'; // begins the article of a feed's probe, which no reader sees
const LOGIN_KEY = 'tally.ops'; // of the tab's own storage
const UNKNOWN = '–';

const at = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat();
const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'short' });

const count = (n) => whole.format(n);
const reactions = (n) => `${count(n)} ${n === 1 ? 'reaction' : 'reactions'}`;
const perS = ({ rated, perS: n }) => (rated ? tenth.format(n) : UNKNOWN);
const total = ({ known, value }) => (known ? count(value) : UNKNOWN);

function bytes(n) {
  const [unit, scale] = [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]].find(([, least]) => n >= 10 * least) ?? ['bytes', 1];
  return `${count(Math.round(n / scale))} ${unit}`;
}

function lasting(ms) {
  const s = Math.floor(ms / 1_000);
  return s < 120 ? `${s} s` : s < 7_200 ? `${Math.floor(s / 60)} min` : `${count(Math.floor(s / 3_600))} h`;
}

/** 'flood 3, token 1': what is not 0 */
const named = (group) => group.filter(([, n]) => n > 0).map(([name, n]) => `${name} ${count(n)}`).join(', ');

/* ---- The page's elements --------------------------------------------------------------------------------------------- */

function setText(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

function make(name, className, ...children) {
  const node = document.createElement(name);
  node.className = className;
  node.append(...children);
  return node;
}

/** A list has as many elements as there are things to say; each is changed in place. */
function fill(parent, wanted, makeOne, write) {
  while (parent.children.length > wanted.length) {
    parent.lastChild.remove();
  }
  wanted.forEach((one, i) => write(parent.children[i] ?? parent.appendChild(makeOne()), one));
}

/** Terms and what is said of them: [[term, text, state], …] */
function fillFacts(list, facts) {
  const makeOne = () => make('div', '', make('dt', ''), make('dd', ''));
  fill(list, facts, makeOne, (node, [term, text, state = '']) => {
    setText(node.firstChild, term);
    setText(node.lastChild, text);
    node.dataset.state = state;
  });
}

/** A table of columns [heading, class]; `head` is the one whose cells name the row. Returns (rows of texts, [rows' classes]) => … */
function makeTable(table, head, columns) {
  const heading = ([label, name]) => Object.assign(make('th', name, label), { scope: 'col' });
  table.append(make('thead', '', make('tr', '', ...columns.map(heading))), make('tbody', ''));
  const makeRow = () => make('tr', '', ...columns.map(([, name], i) => (i === head ? Object.assign(make('th', name), { scope: 'row' }) : make('td', name))));
  return (rows) => {
    table.hidden = !rows.length;
    fill(table.tBodies[0], rows, makeRow, (row, texts) => texts.forEach((text, i) => (text instanceof Spark ? text.show(row.cells[i]) : setText(row.cells[i], text))));
  };
}

/** A rate of the last two minutes, as a line. */
class Spark {
  points = [];

  constructor() {
    const space = 'http://www.w3.org/2000/svg';
    this.svg = document.createElementNS(space, 'svg');
    this.svg.setAttribute('viewBox', `0 0 ${SPARK_POINTS - 1} 20`);
    this.svg.setAttribute('preserveAspectRatio', 'none');
    this.svg.setAttribute('aria-hidden', 'true');
    this.line = this.svg.appendChild(document.createElementNS(space, 'path'));
    this.line.setAttribute('class', 'line');
    this.line.setAttribute('vector-effect', 'non-scaling-stroke');
  }

  add({ rated, perS: n }) {
    this.points.push(rated ? n : null);
    this.points = this.points.slice(-SPARK_POINTS);
  }

  show(cell) {
    if (cell.firstChild !== this.svg) {
      cell.replaceChildren(this.svg);
    }
    const scale = 18 / Math.max(1, ...this.points);
    const left = SPARK_POINTS - this.points.length;
    let d = '';
    let drawn = false;
    this.points.forEach((n, i) => {
      d += n === null ? '' : `${drawn ? 'L' : 'M'}${left + i} ${(19 - n * scale).toFixed(1)}`;
      drawn = n !== null;
    });
    if (this.line.getAttribute('d') !== d) {
      this.line.setAttribute('d', d);
    }
  }
}

/* ---- What is known ------------------------------------------------------------------------------------------------------- */

let view, hot, messages, sparks;
let link = null;
let user = '';
let up = false; // or `view` is of downAt
let ever = false; // it was up since the login
let downAt = 0;
let totals = false; // come
let passedAt = 0;
let saidKey = '';
let frame = 0;

function reset() {
  view = newView();
  hot = newHot();
  messages = new Map(); // topic → {text, atMs, retained}
  sparks = new Map(); // name → Spark
  [up, ever, totals, downAt, saidKey] = [false, false, false, 0, ''];
}

const now = () => performance.now();

/** The time that the figures are of. */
const seenAt = () => (up ? now() : downAt);

function takeTotal(article, text) {
  if (article.startsWith(PROBE)) {
    return;
  }
  let counts = null;
  try {
    ({ counts } = JSON.parse(text));
  } catch {
    /* hidden or forgotten: it is empty */
  }
  if (article.length <= ARTICLE_MOST && counts && Object.values(counts).every(Number.isSafeInteger)) {
    view.published.value += 1;
    hot.take(article, counts);
  }
}

function onMessage(topic, text, retained) {
  if (topic.startsWith('totals/')) {
    takeTotal(topic.slice(7), text);
    return;
  }
  if (messages.has(topic) || messages.size < TOPICS_MOST) {
    messages.set(topic, { text, atMs: now(), retained });
  }
  view.take(topic, text, now());
  if (topic === 'ops/health') {
    frame ||= requestAnimationFrame(render);
    setTitle(); // no frame comes while the page is hidden
  }
}

/** Totals come while somebody may look at them. */
function wantTotals() {
  const wanted = up && !document.hidden;
  if (wanted !== totals) {
    totals = wanted;
    view.watchTotals(totals, now());
    hot.clear();
    passedAt = now();
    link?.totals(totals);
  }
}

/* ---- Writing it ---------------------------------------------------------------------------------------------------------- */

function healthWord() {
  return view.health || 'unknown';
}

function setTitle() {
  document.title = ever ? `${up ? healthWord() : 'not connected'} · Operations · Tally` : 'Operations · Tally';
}

function collectorText(state) {
  const { status } = view;
  if (state === 'away') {
    return 'away: what follows is its last status';
  }
  return state === 'not ready' && status.reason ? `not ready: ${status.reason}` : state;
}

/** A retained message outlives a feed that was killed: a probe that is old is neither good nor bad. */
function probePart({ ok, reason, receiptMs, totalMs }) {
  const ageMs = view.probeAgeMs(seenAt());
  const old = ageMs >= PROBE_OLD_MS;
  const result = ok ? `counted after ${tenth.format(receiptMs)} ms, shown after ${tenth.format(totalMs)} ms` : `failed: ${reason}`;
  return ['Probe', old ? `${result}, ${lasting(ageMs)} ago` : result, old ? '' : ok ? 'good' : 'bad'];
}

function writeHealth() {
  const state = view.collector(seenAt());
  const feed = view.feed();
  setText(at('health'), healthWord());
  at('health').dataset.state = view.health === 'ok' ? 'good' : view.health ? 'bad' : '';
  fill(at('reasons'), view.reasons, () => make('li', ''), setText);
  const parts = [
    ['Collector', collectorText(state), state === 'ready' ? 'good' : state === 'unknown' ? '' : 'bad'],
    ['Feed', feed, feed === 'online' ? 'good' : feed === 'unknown' ? '' : 'bad'],
  ];
  if (view.probe) {
    parts.push(probePart(view.probe));
  }
  if (view.status?.refuses) {
    parts.push(['Readers', `should go to another edge: ${view.status.refuses}`, 'bad']);
  }
  if (view.feedStore && view.store && view.feedStore !== view.store) {
    parts.push(['Mark', `of another store: ${view.feedStore}`, 'bad']);
  }
  parts.push(['Broker', up ? `connected as ${user}` : 'not connected', up ? 'good' : 'bad'], ['Edge', view.edge || UNKNOWN], ['Store', view.store || UNKNOWN]);
  fillFacts(at('parts'), parts);
}

const writeRates = makeTable(at('rates'), 0, [['Counter', 'key'], ['A second', 'n'], ['In all', 'n'], ['Last 2 minutes', 'spark']]);

/** [[name, counter, whether it is a part of the one above], …] as they are shown */
function rates() {
  const reasons = [...view.refused].filter(([, { known, value }]) => known && value > 0).map(([name, counter]) => [name, counter, true]);
  return [['admitted', view.admitted], ['applied', view.applied], ['published', view.published], ['refused', view.refusedSum()], ...reasons];
}

function sparkOf(name) {
  if (!sparks.has(name)) {
    sparks.set(name, new Spark());
  }
  return sparks.get(name);
}

function writeFigures() {
  const { status } = view;
  setText(at('admitted'), perS(view.admitted));
  setText(at('refused'), perS(view.refusedSum()));
  setText(at('waiting'), status ? count(status.in_spool) : UNKNOWN);
  setText(at('oldest'), status ? lasting(view.oldestMs(seenAt())) : UNKNOWN);
  const shown = rates();
  writeRates(shown.map(([name, counter]) => [name, perS(counter), total(counter), sparkOf(name)]));
  shown.forEach(([, , part], i) => at('rates').tBodies[0].rows[i].classList.toggle('part', Boolean(part)));
}

/** Without a line for what is not known. */
function lagFacts() {
  const { status, refusals, audit } = view;
  const facts = [];
  if (status) {
    const bad = (n) => (n > 0 ? 'bad' : '');
    const difference = audit?.difference;
    facts.push(
      ['Waiting', `${reactions(status.in_spool)}, ${bytes(status.in_spool_bytes)}`],
      ['Shards', `${count(view.heldShards)} held, ${count(status.redis_away)} without Redis; ${count(view.oldRings)} old rings`, bad(view.heldShards + status.redis_away)],
      ['Reactions', `${count(status.lost)} lost, ${count(status.quarantined)} quarantined, ${count(status.damaged)} damaged`, bad(status.lost + status.quarantined + status.damaged)],
      ['Audit', `${count(status.audited)} articles, ${count(status.audit_differing)} differ, ${count(status.audit_skipped)} skipped`, bad(status.audit_differing)],
    );
    if (difference) {
      facts.push(['Last difference', `${difference.article}, ${difference.what}: expected ${count(difference.expected)}, found ${count(difference.found)}`, 'bad']);
    }
    facts.push(['Clock', `differs from Redis’s by ${count(status.clock_skew_ms)} ms`, bad(Math.abs(status.clock_skew_ms) - 1_000)]);
  }
  if (refusals) {
    facts.push(['Articles', `${count(refusals.known)} known of ${count(refusals.max)}, ${count(refusals.provisional)} provisional`, refusals.max && refusals.known >= refusals.max ? 'bad' : '']);
    for (const [term, group] of [['Connections refused', refusals.connections], ['Floods stopped', refusals.floods], ['New articles refused', refusals.created]]) {
      facts.push([term, named(group) || 'none']);
    }
  }
  return facts.length ? facts : [['Collector', 'no status has come yet']];
}

const writeShards = makeTable(at('shards'), 0, [['Shard', 'n'], ['Waiting', 'n'], ['Old rings', 'n'], ['Held', '']]);

function writeShardsOf(all) {
  const busy = all.filter((one) => one.held || one.backlogBytes || one.oldRings);
  busy.sort((a, b) => Boolean(b.held) - Boolean(a.held) || b.backlogBytes - a.backlogBytes || a.shard - b.shard);
  writeShards(busy.slice(0, SHARDS).map((one) => [String(one.shard), bytes(one.backlogBytes), count(one.oldRings), one.held || 'no']));
  const more = busy.length - SHARDS;
  setText(at('shards-empty'), !view.status ? 'Unknown.' : !busy.length ? `None of ${count(all.length)}.` : more > 0 ? `And ${count(more)} more with less in them.` : '');
}

const writeHottest = makeTable(at('hottest'), 2, [['A second', 'n'], ['Total', 'n'], ['Article', '']]);

function writeHottestOf(top) {
  writeHottest(top.map((one) => [tenth.format(one.perS), count(one.total), one.article]));
  setText(at('hottest-empty'), top.length ? '' : 'No total rises.');
}

const writeArticles = makeTable(at('articles'), 0, [['Article', 'article'], ['Refused', 'reason'], ['Since', 'when']]);

function writeArticlesOf(all) {
  writeArticles(all.slice(0, ARTICLES).map((one) => [one.known ? one.article : `${one.article} (unknown)`, named(one.refused), one.sinceMs ? moment.format(one.sinceMs) : UNKNOWN]));
  const more = all.length - ARTICLES;
  setText(at('articles-empty'), !view.refusals ? 'Unknown.' : !all.length ? 'None.' : more > 0 ? `And ${count(more)} more.` : '');
}

function writeMessages() {
  if (!at('raw').open) {
    return;
  }
  const makeOne = () => make('div', '', make('h3', ''), make('pre', ''));
  const sorted = [...messages].sort(([a], [b]) => (a < b ? -1 : 1));
  fill(at('messages'), sorted, makeOne, (node, [topic, { text, atMs, retained }]) => {
    setText(node.firstChild, `${topic}, ${lasting(now() - atMs)} ago${retained ? ', retained' : ''}`);
    setText(node.lastChild, text.length > RAW_MOST ? `${text.slice(0, RAW_MOST)} … and ${count(text.length - RAW_MOST)} characters more` : text || '(empty)');
  });
}

function lastHeardMs() {
  return Math.max(0, ...[...messages.values()].map(({ atMs }) => atMs));
}

function writeState() {
  const { state } = at('state').dataset;
  const wanted = up ? 'live' : 'away';
  if (state !== wanted) {
    at('state').dataset.state = wanted;
    setText(at('state'), up ? 'Live' : 'Not connected, trying again');
    at('board').classList.toggle('stale', !up);
  }
  at('old').hidden = up;
  if (!up) {
    const heardMs = lastHeardMs();
    const age = now() - heardMs;
    setText(at('old'), heardMs ? `What follows is ${lasting(age)} old: it came at ${clock.format(Date.now() - age)}.` : 'Nothing has come yet.');
  }
}

/** For screen readers: what changed in health and in the connection, and nothing else. Figures in a reason change too often to be said. */
function announce() {
  const state = view.collector(seenAt());
  const key = JSON.stringify([up, view.health, view.reasons.map((reason) => reason.replace(/\d+/g, '')), state, view.feed()]);
  if (key !== saidKey) {
    saidKey = key;
    const parts = up ? `Health: ${[healthWord(), ...view.reasons].join('; ')}. Collector ${collectorText(state)}. Feed ${view.feed()}.` : 'Not connected, trying again. What is shown is old.';
    setText(at('news'), parts);
  }
}

function render() {
  frame = 0;
  if (!ever || document.hidden) {
    return;
  }
  writeState();
  writeHealth();
  writeFigures();
  fillFacts(at('lag'), lagFacts());
  writeShardsOf(view.shards);
  writeHottestOf(hot.top(HOTTEST));
  writeArticlesOf(view.refusals?.articles ?? []);
  writeMessages();
}

function tick() {
  if (!ever) {
    return;
  }
  if (up) {
    view.pass(now(), totals);
    hot.pass((now() - passedAt) / 1_000);
    passedAt = now();
  }
  rates().forEach(([name, counter]) => sparkOf(name).add(up ? counter : { rated: false }));
  setTitle();
  render();
  announce();
}

/* ---- Login ----------------------------------------------------------------------------------------------------------------- */

const address = brokerAddress();

function keep(login) {
  try {
    login ? sessionStorage.setItem(LOGIN_KEY, JSON.stringify(login)) : sessionStorage.removeItem(LOGIN_KEY);
  } catch {
    /* asked for again after a reload */
  }
}

function kept() {
  try {
    const { name, secret } = JSON.parse(sessionStorage.getItem(LOGIN_KEY));
    return typeof name === 'string' && typeof secret === 'string' ? { name, secret } : null;
  } catch {
    return null;
  }
}

const REFUSALS = {
  login: (code) => (code === 0x86 || code === 0x87 ? 'The broker does not accept this name with this secret.' : `The broker refuses the connection (code 0x${code.toString(16)}).`),
  ops: () => 'The broker does not let this name read ops/#. Log in as a service whose role is operator.',
};

function showBoard(shown) {
  at('login').hidden = shown;
  at('board').hidden = at('state').hidden = at('leave').hidden = !shown;
}

function say(text, wrong) {
  setText(at('why'), text);
  at('why').dataset.state = wrong ? 'bad' : '';
  for (const field of [at('user'), at('secret')]) {
    wrong ? field.setAttribute('aria-invalid', 'true') : field.removeAttribute('aria-invalid');
  }
}

/** Back to the form, with the reason. A screen reader reads the reason because the focused field refers to it. */
function leave(text = '') {
  link?.close();
  link = null;
  keep(null);
  reset();
  showBoard(false);
  setTitle();
  setText(at('news'), '');
  at('state').dataset.state = '';
  say(text, Boolean(text));
  at('secret').value = '';
  at('secret').focus();
}

function onUp(login) {
  const first = !ever;
  up = ever = true;
  keep(login);
  wantTotals();
  if (first) {
    at('secret').value = '';
    say('', false);
    showBoard(true);
    at('name').focus();
  }
  render();
  setTitle();
}

function onDown() {
  if (!ever) {
    say(`No connection to ${address.split('#')[0]}. Trying again. If it lasts, the broker is away, or does not accept this page’s origin.`, false);
  } else if (up) {
    downAt = now();
    up = false;
    wantTotals();
    setTitle();
    render();
  }
}

function logIn(login) {
  link?.close();
  reset();
  user = login.name;
  say('Connecting …', false);
  link = newLink(address, login, {
    up: () => onUp(login),
    down: onDown,
    refused: (what, code) => leave(REFUSALS[what](code)),
    message: onMessage,
  });
}

/** Whether others on the way can read what is sent. */
function isPlain() {
  try {
    const { protocol, hostname } = new URL(address);
    return protocol === 'ws:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
  } catch {
    return false;
  }
}

at('login').addEventListener('submit', (event) => {
  event.preventDefault();
  logIn({ name: at('user').value, secret: at('secret').value });
});
at('leave').addEventListener('click', () => leave());
at('raw').addEventListener('toggle', render);
document.addEventListener('visibilitychange', () => {
  wantTotals();
  render();
});
setInterval(tick, TICK_MS);

reset();
setText(at('broker'), address.split('#')[0]);
at('plain').hidden = !isPlain();
at('secret').setAttribute('aria-describedby', 'why');
showBoard(false);
const login = kept();
if (login) {
  logIn(login);
} else {
  at('secret').focus();
}

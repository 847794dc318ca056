/* The operators' page against a scripted broker: the login, what it shows, and what it says when something is away. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BROKER, SITE, assertAccessible, assertLayout, keepShot, launch, profile, serve, until } from './support/browser.mjs';
import { ScriptedBroker } from './support/broker.mjs';

const SECRET = 'a secret – of 24 bytes';
const LOST_CONNECTION = /WebSocket connection to .* failed/;
const REASONS = ['bad_topic', 'bad_article', 'unknown_article', 'bad_payload', 'unknown_kind', 'closed', 'rate_reader', 'rate_address', 'busy', 'clock', 'forbidden'];
const EDGE = '0f3c5a7e9b1d2f40';
const STORE = '9b1d2f400f3c5a7e';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const equal = (get, wanted) => until(async () => assert.deepEqual(await get(), wanted));

/** The page's clock runs, second by second, until the attempt succeeds: for pages whose clock is `paused`. */
const runUntil = (page, attempt) =>
  until(async () => {
    await page.clock.runFor(1_000);
    await attempt();
  });
const shows = (page, get, wanted) => runUntil(page, async () => assert.deepEqual(await get(), wanted));
const text = (page, id) => page.locator(`#${id}`).innerText();
const rows = (page, id) => page.locator(`#${id} tbody tr`).evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
const row = async (page, id, name) => (await rows(page, id)).find((cells) => cells.includes(name));
const fact = (page, list, term) =>
  page.locator(`#${list} div`).evaluateAll((all, name) => all.find((one) => one.firstChild.textContent === name)?.lastChild.textContent, term);

/** An edge whose collector says something each second, by its own clock: `step` is the next second. */
class Edge {
  atMs = 1_795_510_800_000;
  counts = { admitted: 1_000, applied: 1_000, busy: 0, rate_address: 0 };
  status = {};

  constructor(broker) {
    this.broker = broker;
  }

  refused() {
    return Object.fromEntries(REASONS.map((reason) => [reason, this.counts[reason] ?? 0]));
  }

  step(more = {}) {
    this.atMs += 1_000;
    for (const [name, n] of Object.entries(more)) {
      this.counts[name] = (this.counts[name] ?? 0) + n;
    }
    this.broker.say('ops/collector', {
      online: true, version: '1.0.0', ready: true, reason: '', refuses: '', at_ms: this.atMs, edge: EDGE, store: STORE, producer: true, redis: true, clock_skew_ms: 0,
      admitted: this.counts.admitted, applied: this.counts.applied, refused: this.refused(), quarantined: 0, lost: 0, damaged: 0, in_spool: 0, in_spool_bytes: 0,
      redis_away: 0, audited: 6, audit_differing: 0, audit_skipped: 0, shards: [0, 1, 2, 3].map((shard) => ({ shard, backlog_bytes: 0, old_rings: 0, held: '' })), ...this.status,
    });
  }

  refusals(articles = [], more = {}) {
    this.broker.say('ops/refusals', {
      at_ms: this.atMs, refused: this.refused(), connections: { rate_address: 0, flood: 0, token: 0 }, floods: { reactions: 0, packets: 0 }, receipts_dropped: 0,
      creation: { known: 120, max: 100_000, provisional: 3, made: 20, forgotten: 0, refused: { off: 0, rate: 0, full: 0 } }, articles, ...more,
    });
  }

  probe(more = {}) {
    this.broker.say('ops/probe', {
      at_ms: this.atMs, article: `%probe/${EDGE}`, ok: true, reason: '', failed_in_a_row: 0, connect_ms: 0.9, acknowledge_ms: 0.4, receipt_ms: 1.62, total_ms: 2.34,
      done: 120, failed: { connection: 0, acknowledgement: 0, refused: 0, receipt: 0, total: 0 }, ...more,
    });
  }

  health(...reasons) {
    this.broker.say('ops/health', { status: reasons.length ? 'unhealthy' : 'ok', reasons });
  }
}

/** `silent`: nothing is retained. `paused`: the page's time passes only while its clock runs, however slow the machine is. */
async function setUp(t, { silent, paused, ...options } = {}) {
  const context = await profile(t, browser, { hosts: ['tally.test', 'tally.test:9001'], ...options });
  const broker = new ScriptedBroker();
  broker.login = ({ username, password }) => (username === 'operator' && password === SECRET ? 0 : 0x87);
  const edge = new Edge(broker);
  if (!silent) {
    edge.health();
    broker.say('ops/feed', { epoch: '6f0c', store: STORE, runs: [], covered: [] });
    edge.step();
    edge.refusals();
  }
  await serve(context);
  await broker.route(context, BROKER);
  const page = await context.newPage();
  if (paused) {
    await page.clock.install({ time: edge.atMs });
    await page.clock.pauseAt(edge.atMs + 1_000);
  }
  await page.goto(`${SITE}/ops`);
  return { context, broker, edge, page };
}

async function logIn(page, secret = SECRET) {
  await page.locator('#secret').fill(secret);
  await page.locator('#login button').click();
}

async function setUpInside(t, options) {
  const made = await setUp(t, options);
  await logIn(made.page);
  await equal(() => text(made.page, 'state'), 'Live');
  return made;
}

const stored = (page) => page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }]);

test('an operator logs in; the tab alone keeps the secret, until they log out', async (t) => {
  const { context, broker, page } = await setUp(t);
  const urls = [];
  context.on('request', (request) => urls.push(request.url()));
  page.on('websocket', (socket) => urls.push(socket.url()));
  assert.equal(await page.locator('#board').isVisible(), false);
  assert.deepEqual(broker.sessions, [], 'nothing is sent before');
  await logIn(page);
  await equal(() => text(page, 'health'), 'ok');
  const [session] = broker.open;
  assert.match(session.clientId, /^ops-web-/);
  assert.equal(await page.locator('#login').isVisible(), false);
  assert.equal(await page.locator('#secret').inputValue(), '');
  assert.deepEqual(await stored(page), [{}, { 'tally.ops': JSON.stringify({ name: 'operator', secret: SECRET }) }]);

  await page.reload();
  await equal(() => text(page, 'state'), 'Live');
  await page.locator('#leave').click();
  await equal(() => page.locator('#login').isVisible(), true);
  assert.deepEqual(await stored(page), [{}, {}]);
  await equal(() => broker.open.length, 0);
  assert.equal(page.url(), `${SITE}/ops`);
  assert.deepEqual(urls.filter((url) => /secret|24/.test(url)), []);
  await page.reload();
  await equal(() => page.locator('#login').isVisible(), true);
});

test('a wrong secret is said at once, and not tried again', async (t) => {
  const { broker, page } = await setUp(t);
  await page.clock.install();
  await logIn(page, 'something else');
  await equal(() => text(page, 'why'), 'The broker does not accept this name with this secret.');
  assert.equal(await page.locator('#secret').getAttribute('aria-invalid'), 'true');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'secret');
  await page.clock.fastForward(300_000);
  assert.equal(broker.sessions.length, 1);
  assert.deepEqual(await stored(page), [{}, {}]);
  await logIn(page);
  await equal(() => text(page, 'health'), 'ok');
});

test('a secret that the broker accepts no longer ends what was live', async (t) => {
  const { broker, page } = await setUpInside(t, { tolerate: LOST_CONNECTION });
  broker.login = () => 0x87;
  await broker.cut();
  await equal(() => text(page, 'why'), 'The broker does not accept this name with this secret.');
  assert.equal(await page.locator('#board').isVisible(), false);
  assert.deepEqual(await stored(page), [{}, {}]);
});

test('a name that may not read ops/# is told so', async (t) => {
  const { broker, page } = await setUp(t);
  broker.suback = (filter) => (filter === 'ops/#' ? 0x87 : 0);
  await logIn(page);
  await until(async () => assert.match(await text(page, 'why'), /does not let this name read ops\/#.*operator/));
  await equal(() => broker.open.length, 0);
});

test('a broker that is busy or away is tried again', async (t) => {
  const { broker, page } = await setUp(t, { tolerate: LOST_CONNECTION });
  const codes = [0x9f, 0x88];
  const login = broker.login;
  broker.login = (session) => codes.shift() ?? login(session);
  await logIn(page);
  await equal(() => text(page, 'state'), 'Live');
  assert.equal(broker.sessions.length, 3);
});

test('rates, refusals, shards and hottest articles move as the edge does', async (t) => {
  const { broker, edge, page } = await setUpInside(t, { paused: true });
  await shows(page, () => fact(page, 'parts', 'Collector'), 'ready');
  assert.equal(await fact(page, 'parts', 'Edge'), EDGE);
  edge.step({ admitted: 250, applied: 240, busy: 30, rate_address: 5 });
  await shows(page, async () => (await row(page, 'rates', 'admitted')).slice(0, 3), ['admitted', '250.0', '1,250']);
  // The rate of what is published is known a while after the totals were asked for.
  await shows(page, async () => (await rows(page, 'rates')).map(([name, perS, all]) => [name, perS, all]), [
    ['admitted', '250.0', '1,250'], ['applied', '240.0', '1,240'], ['published', '0.0', '0'], ['refused', '35.0', '35'], ['rate_address', '5.0', '5'], ['busy', '30.0', '30'],
  ]);
  assert.equal(await text(page, 'refused'), '35.0');
  assert.equal(await text(page, 'shards-empty'), 'None of 4.');

  edge.status = { ready: false, reason: 'shards 2 of 4: redis: weg – „fort“', in_spool: 12, in_spool_bytes: 96_000, redis_away: 1, shards: [
    { shard: 0, backlog_bytes: 0, old_rings: 0, held: '' }, { shard: 1, backlog_bytes: 500, old_rings: 0, held: '' }, { shard: 2, backlog_bytes: 95_500, old_rings: 1, held: '' },
    { shard: 3, backlog_bytes: 0, old_rings: 0, held: 'OOM: no memory' },
  ] };
  edge.step({ admitted: 12 });
  await shows(page, () => fact(page, 'parts', 'Collector'), 'not ready: shards 2 of 4: redis: weg – „fort“');
  assert.equal(await fact(page, 'lag', 'Waiting'), '12 reactions, 96 kB');
  assert.equal(await fact(page, 'lag', 'Shards'), '1 held, 1 without Redis; 1 old rings');
  assert.deepEqual(await rows(page, 'shards'), [['3', '0 bytes', '0', 'OOM: no memory'], ['2', '96 kB', '1', 'no'], ['1', '500 bytes', '0', 'no']]);

  edge.refusals([{ article: 'world/x', known: true, since_ms: edge.atMs, refused: { rate_reader: 7, busy: 1 } }, { article: 'made/up', known: false, since_ms: 0, refused: { unknown_article: 2 } }],
    { connections: { rate_address: 4, flood: 0, token: 2 } });
  await shows(page, async () => (await rows(page, 'articles')).map((cells) => cells.slice(0, 2)), [['world/x', 'rate_reader 7, busy 1'], ['made/up (unknown)', 'unknown_article 2']]);
  assert.equal(await fact(page, 'lag', 'Connections refused'), 'rate_address 4, token 2');
  assert.equal(await fact(page, 'lag', 'Floods stopped'), 'none');

  broker.total('world/hot', { like: 5 });
  broker.total('world/hot', { like: 45 });
  broker.total(`%probe/${EDGE}`, { like: 1 });
  broker.total('world/mild', { like: 2 });
  await shows(page, async () => (await rows(page, 'hottest')).map(([, total, article]) => [total, article]), [['45', 'world/hot'], ['2', 'world/mild']]);
  await shows(page, async () => (await row(page, 'rates', 'published'))[2], '3');

  await page.locator('#raw summary').click();
  await runUntil(page, async () => assert.match(await text(page, 'messages'), /ops\/collector, \d+ s ago\s.*"reason":"shards 2 of 4: redis: weg – „fort“"/));
});

test('the last probe is shown, and its age once it is old', async (t) => {
  const { broker, edge, page } = await setUpInside(t, { paused: true });
  const probe = () => fact(page, 'parts', 'Probe');
  await shows(page, () => fact(page, 'parts', 'Collector'), 'ready');
  assert.equal(await probe(), undefined);
  edge.probe();
  await shows(page, probe, 'counted after 1.6 ms, shown after 2.3 ms');
  edge.probe({ ok: false, reason: 'receipt', receipt_ms: null, total_ms: null });
  await shows(page, probe, 'failed: receipt');
  edge.step();
  edge.probe({ at_ms: edge.atMs - 45_000 });
  await runUntil(page, async () => assert.match(await probe(), /^counted after 1.6 ms, shown after 2.3 ms, 4[5-9] s ago$/));
  broker.say('ops/probe', ''); // the feed ended
  await shows(page, probe, undefined);
});

test('a probe ages although nothing else tells the time', async (t) => {
  const { broker, edge, page } = await setUp(t, { paused: true, silent: true });
  edge.probe();
  await logIn(page);
  await shows(page, () => fact(page, 'parts', 'Probe'), 'counted after 1.6 ms, shown after 2.3 ms');
  await runUntil(page, async () => assert.match(await fact(page, 'parts', 'Probe'), /, 30 s ago$/));
  assert.equal(broker.sessions.length, 1);
});

test('a collector that says nothing is away, and so is one whose will comes', async (t) => {
  const { broker, edge, page } = await setUpInside(t, { paused: true });
  edge.step({ admitted: 1 });
  await shows(page, () => fact(page, 'parts', 'Collector'), 'ready');
  await page.clock.runFor(6_000);
  await shows(page, () => fact(page, 'parts', 'Collector'), 'away: what follows is its last status');
  assert.equal((await row(page, 'rates', 'admitted'))[1], '–');
  edge.step();
  await shows(page, () => fact(page, 'parts', 'Collector'), 'ready');
  broker.say('ops/collector', { online: false });
  broker.say('ops/health', { status: 'unhealthy', reasons: ['feed: offline'] });
  await shows(page, () => fact(page, 'parts', 'Collector'), 'away: what follows is its last status');
  assert.equal(await fact(page, 'parts', 'Feed'), 'offline');
});

test('a lost connection is said, with the age of what is shown, and heals', async (t) => {
  const { broker, edge, page } = await setUpInside(t, { paused: true, tolerate: LOST_CONNECTION });
  edge.step({ admitted: 5 });
  await shows(page, async () => (await row(page, 'rates', 'admitted'))?.[2], '1,005');
  broker.away = true;
  await broker.cut();
  await equal(() => text(page, 'state'), 'Not connected, trying again');
  await page.clock.runFor(45_000);
  await until(async () => assert.match(await text(page, 'old'), /^What follows is 4[5-9] s old: it came at \d/));
  assert.equal(await page.title(), 'not connected · Operations · Tally');
  assert.equal(await fact(page, 'parts', 'Collector'), 'ready', 'as it was when it was last heard of');
  assert.equal((await row(page, 'rates', 'admitted'))[2], '1,005');
  assert.equal(await text(page, 'news'), 'Not connected, trying again. What is shown is old.');
  broker.away = false;
  edge.step({ admitted: 1 });
  await until(async () => {
    await page.clock.runFor(5_000);
    assert.equal(await text(page, 'state'), 'Live');
  });
  await shows(page, async () => (await row(page, 'rates', 'admitted'))[2], '1,006');
  assert.equal(await page.locator('#old').isVisible(), false);
  assert.equal(await page.title(), 'ok · Operations · Tally');
});

test('a screen reader hears of health, and not of figures', async (t) => {
  const { edge, page } = await setUpInside(t, { paused: true });
  assert.equal(await page.locator('[aria-live], [role=status], [role=alert], [role=log], output').count(), 1);
  await shows(page, () => text(page, 'news'), 'Health: ok. Collector ready. Feed online.');
  await page.evaluate(() => {
    globalThis.heard = [];
    new MutationObserver(() => globalThis.heard.push(document.getElementById('news').textContent)).observe(document.getElementById('news'), { childList: true, characterData: true, subtree: true });
  });
  edge.step({ admitted: 99, busy: 3 });
  await shows(page, async () => (await row(page, 'rates', 'busy'))?.[2], '3');
  assert.deepEqual(await page.evaluate(() => globalThis.heard), []);
  edge.step();
  edge.health('redis: shards 1-2 of 4 away: connection refused');
  const first = 'Health: unhealthy; redis: shards 1-2 of 4 away: connection refused. Collector ready. Feed online.';
  await shows(page, () => page.evaluate(() => globalThis.heard), [first]);
  await shows(page, () => page.title(), 'unhealthy · Operations · Tally');
  edge.step();
  edge.health('redis: shards 1-3 of 4 away: connection refused'); // only a figure is another
  await runUntil(page, async () => assert.match(await text(page, 'reasons'), /1-3/));
  edge.step();
  edge.health();
  await shows(page, () => page.evaluate(() => globalThis.heard), [first, 'Health: ok. Collector ready. Feed online.']);
});

test('the keyboard alone is enough', async (t) => {
  const { page } = await setUp(t);
  await equal(() => page.evaluate(() => document.activeElement.id), 'secret');
  await page.keyboard.type('wrong');
  await page.keyboard.press('Enter');
  await until(async () => assert.match(await text(page, 'why'), /does not accept/));
  await page.keyboard.press('Shift+Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'user');
  await page.keyboard.press('Tab');
  await page.keyboard.insertText(SECRET);
  await page.keyboard.press('Enter');
  await equal(() => page.evaluate(() => document.activeElement.id), 'name');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'leave');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await equal(() => page.locator('#raw').getAttribute('open'), '');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await equal(() => page.evaluate(() => document.activeElement.id), 'secret');
});

/** As much of everything as a message can have. */
function floodOf(edge, shards = 4_096) {
  edge.status = {
    in_spool: 98_765_432, in_spool_bytes: 9_876_543_210, ready: false, reason: 'x'.repeat(2_000), shards: Array.from({ length: shards }, (_, shard) => ({ shard, backlog_bytes: 1e6 + shard, old_rings: 1, held: '' })),
  };
  edge.step({ admitted: 100_000, rate_reader: 10_000 });
  edge.refusals(Array.from({ length: 120 }, (_, i) => ({ article: `flood/${'long-'.repeat(30)}${i}`, known: i % 2 === 0, since_ms: edge.atMs, refused: Object.fromEntries(REASONS.map((r) => [r, 1_000 + i])) })));
}

test('a flood leaves the page small', async (t) => {
  const { broker, edge, page } = await setUpInside(t);
  const session = broker.open[0];
  for (let second = 0; second < 3; second++) {
    floodOf(edge);
    session.together(() => {
      for (let i = 0; i < 3_000; i++) {
        session.publish(`totals/flood/story-${second}-${i}`, { counts: { like: i + 1, love: 2 }, version: 1 });
      }
    });
  }
  broker.total('world/after', { like: 1 });
  await equal(async () => (await row(page, 'rates', 'published'))[2], '9,001');
  for (let i = 0; i < 20; i++) {
    broker.say(`ops/unheard-of-${i}`, 'x'.repeat(20_000));
  }
  await page.locator('#raw summary').click();
  await until(async () => assert.match(await text(page, 'messages'), /characters more/));
  const { elements, characters } = await page.evaluate(() => ({ elements: document.querySelectorAll('*').length, characters: document.body.innerText.length }));
  assert.ok(elements < 600, `${elements} elements`);
  assert.ok(characters < 200_000, `${characters} characters`);
  assert.equal((await rows(page, 'shards')).length, 16);
  assert.equal(await text(page, 'shards-empty'), 'And 4,080 more with less in them.');
  assert.equal((await rows(page, 'articles')).length, 20);
  assert.equal(await text(page, 'articles-empty'), 'And 100 more.');
  assert.ok((await rows(page, 'hottest')).length <= 10);
});

test('nonsense changes nothing', async (t) => {
  const { broker, page } = await setUpInside(t);
  await equal(() => fact(page, 'parts', 'Collector'), 'ready');
  for (const odd of ['', 'null', '[]', '7', '{', '"x"']) {
    for (const topic of ['ops/collector', 'ops/refusals', 'ops/health', 'ops/audit', 'ops/feed', 'totals/x', 'totals/']) {
      broker.say(topic, odd);
      broker.open[0].publish(topic, odd);
    }
  }
  for (const odd of ['null', '[]', '7', '{', '"x"', '{}', '{"ok":"x"}']) {
    broker.say('ops/probe', odd);
  }
  broker.say('ops/health', { status: 7, reasons: 'x' });
  broker.say('ops/health', { reasons: ['x'] });
  broker.say('ops/collector', { online: true, ready: true, admitted: 'x', refused: [], shards: {}, at_ms: -1 });
  broker.say('ops/refusals', { articles: [null, 1, { refused: 3 }], connections: [], creation: 1 });
  broker.total('world/after', { like: 1 });
  await equal(async () => (await row(page, 'rates', 'published'))[2], '1'); // all of it has come
  assert.equal(await text(page, 'health'), 'ok');
  assert.equal(await text(page, 'reasons'), '');
  assert.equal(await fact(page, 'parts', 'Probe'), undefined);
  assert.equal(await text(page, 'state'), 'Live');
});

const CHECKED = {
  inside: '.ops main *:not(path):not(svg):not(.unseen):not(html), .masthead *',
  apart: ['.facts dt, .facts dd', '.figures dd, .figures dt', '.masthead > *', '#rates td, #rates th', '#articles td, #articles th', '#shards td, #shards th'],
  fits: [['.ops td', 'table'], ['.facts dd', '.facts']],
};

for (const width of [360, 1280]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`holds together at ${width} pixels, ${colorScheme}`, async (t) => {
      const { broker, edge, page } = await setUp(t, { viewport: { width, height: 900 }, colorScheme, silent: true, tolerate: LOST_CONNECTION });
      const look = async (name, checked = CHECKED, accessible = false) => {
        await assertLayout(page, checked);
        if (accessible && colorScheme === 'light') {
          await assertAccessible(page); // in both
        }
        await keepShot(page, `ops-${name}-${width}-${colorScheme}`, { fullPage: true });
      };
      const form = { inside: '.login, .login *, .masthead *', apart: ['.login > *'], fits: [['.login *', '.login']] };
      await look('login', form);
      await logIn(page, 'wrong');
      await until(async () => assert.match(await text(page, 'why'), /does not accept/));
      await look('refused', form, true);
      await logIn(page);
      await equal(() => text(page, 'shards-empty'), 'Unknown.');
      await look('empty', CHECKED, true);

      edge.health();
      edge.step();
      edge.probe();
      edge.refusals([{ article: 'world/migrant-caravan', known: true, since_ms: edge.atMs, refused: { rate_reader: 7, busy: 1 } }, { article: 'made/up', known: false, since_ms: edge.atMs, refused: { unknown_article: 2 } }]);
      edge.step({ admitted: 1_250, applied: 1_249, rate_reader: 12, closed: 2 });
      for (const [i, article] of ['world/migrant-caravan', 'sport/football/final', 'culture/a-long-night'].entries()) {
        broker.total(article, { like: 1 });
        broker.total(article, { like: 90 - 30 * i, angry: 4 });
      }
      await equal(async () => (await rows(page, 'hottest')).length, 3);
      await equal(() => text(page, 'health'), 'ok');
      await look('healthy', CHECKED, true);

      edge.health('redis: shards 2-4, 7 of 8 away: connection refused', `collector: ${'shards 2-4, 7 of 8: redis: away: '.repeat(6)}`);
      floodOf(edge, 24);
      broker.total(`world/${'an-article-whose-id-is-as-long-as-a-whole-headline-'.repeat(3)}`, { like: 812_345_678 });
      await equal(async () => (await rows(page, 'shards')).length, 16);
      await look('flood');
      await page.locator('#raw summary').click();
      await until(async () => assert.match(await text(page, 'messages'), /ops\/collector/));
      await assertLayout(page, CHECKED);
      await page.locator('#raw summary').click();
      broker.away = true;
      await broker.cut();
      await until(async () => assert.match(await text(page, 'old'), /^What follows is/));
      await look('lost', CHECKED, true);
    });
  }
}

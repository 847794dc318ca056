/* What pages, storage, networks and other programs do to the bar that nobody planned: odd attributes, odd items, odd answers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROKER, Bar, SITE, hostPage, launch, profile, serve, until, requestOf } from './support/browser.mjs';
import { ScriptedBroker } from './support/broker.mjs';

const ARTICLE = 'world/migrant-caravan';
const FEW = { like: 3, angry: 12 };
const LOST_CONNECTION = /WebSocket connection to .* failed/;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function setUp(t, { clock, pages, ...options } = {}) {
  const context = await profile(t, browser, { hosts: ['tally.test', 'tally.test:9001'], ...options });
  const broker = new ScriptedBroker();
  if (clock) {
    await context.clock.install();
  }
  await serve(context, pages);
  await broker.route(context, BROKER);
  broker.total(ARTICLE, FEW);
  return { context, broker };
}

async function openPage(context, attributes = {}) {
  const page = await context.newPage();
  const text = Object.entries(attributes).map(([name, value]) => `${name}='${value}'`).join(' ');
  await page.goto(`${SITE}/page?${new URLSearchParams({ articles: ARTICLE, attributes: text })}`);
  return { page, bar: new Bar(page, ARTICLE) };
}

describe('an attribute', () => {
  for (const [lang, title, sum] of [
    ['fr_FR.UTF-8', /^Quelle/, '23\u202f469\u202f262'], ['fr_FR@euro', /^Quelle/, '23\u202f469\u202f262'], ['fra', /^Quelle/, '23\u202f469\u202f262'],
    ['de_Latn_DE', /^What/, '23.469.262'], ['frp', /^What/, /^23/], ['x', /^What/, '23,469,262'], ['x-fr', /^What/, '23,469,262'], ['C', /^What/, '23,469,262'],
    ['__proto__', /^What/, '23,469,262'], ['zh_Hant_TW', /^What/, '23,469,262'], ['de__DE', /^What/, '23,469,262'],
  ]) {
    test(`lang="${lang}" gives the words and numbers of that language, else the reader’s`, async (t) => {
      const { context, broker } = await setUp(t);
      broker.total(ARTICLE, { like: 23_469_262 });
      const { bar } = await openPage(context, { lang, labels: '{"Sum":"Reactions: "}' });
      await bar.becomes({ title, sum });
    });
  }

  test('lang that changes while its words are on their way has the words of the last', async (t) => {
    const { context } = await setUp(t);
    let answer;
    const held = new Promise((resolve) => { answer = resolve; });
    await context.route('**/tally.fr.js', async (route) => { await held; await route.fallback(); });
    const { page, bar } = await openPage(context, { lang: 'fr' });
    await bar.becomes({ sum: '15' });
    const loaded = page.waitForResponse('**/tally.fr.js');
    await bar.element.evaluate((element) => element.setAttribute('lang', 'es'));
    await bar.becomes({ title: '¿Cuál es su reacción?' });
    answer();
    await loaded;
    await page.evaluate(() => import('/tally.fr.js')); // the bar's own import is done before this one
    await bar.becomes({ title: '¿Cuál es su reacción?' });
  });

  test('kinds that names one twice counts it once', async (t) => {
    const { context } = await setUp(t);
    const { bar } = await openPage(context, { kinds: 'like,angry like' });
    await bar.becomes({ kinds: 'like,angry', sum: '15', shares: { like: '20%', angry: '80%' } });
  });

  test('broker that no socket can have is named on the console', async (t) => {
    const context = await profile(t, browser, { hosts: ['tally.test'] }); // with the browser's own sockets
    await serve(context);
    const said = [];
    context.on('console', (message) => said.push(message.text()));
    await openPage(context, { broker: 'mqtt://tally.test:9001' });
    await until(() => assert.ok(said.some((text) => /^Tally: .*mqtt/.test(text)), String(said)));
  });
});

describe('a state', () => {
  test('in an operator’s own words, without a version, waits for the feed’s', async (t) => {
    const { context, broker } = await setUp(t);
    broker.state(ARTICLE, { kinds: ['like', 'angry'], open: false, state: 'closed' });
    const { bar } = await openPage(context);
    await bar.becomes({ kinds: 'like,angry', disabled: true, sum: '15' });
    for (const [i, text] of ['closed', '{"state":"closed"}', '{"kinds":["sad"]}', 'null', '7'].entries()) {
      broker.open[0].publish(`articles/${ARTICLE}`, text);
      broker.total(ARTICLE, { like: 20 + i });
      await bar.becomes({ sum: `${20 + i}`, kinds: 'like,angry', disabled: true });
    }
    broker.open[0].publish(`articles/${ARTICLE}`, ''); // cleared
    await bar.becomes({ kinds: 'like,dislike,love,funny,angry,sad,wow', disabled: false });
    broker.state(ARTICLE, { kinds: ['sad'] });
    await bar.becomes({ kinds: 'sad' });
  });
});

describe('storage', () => {
  const request = (more) => ({ kind: 'like', was: 'none', at: 9e12, via: BROKER, settled: 0, sent: 0, due: 0, ...more });
  const huge = 'x'.repeat(200_000);
  for (const [what, list] of [
    ['a kind that is not text', [['a', request({ kind: { toString: 5 } })], ['b', request({ kind: [['sad']] })], ['c', request({ kind: null })]]],
    ['a kind as long as a book', [['a', request({ kind: huge })], ['b', request({ at: 1, kind: huge })]]],
    ['a kind in other letters', [['a', request({ kind: 'Gefällt' })], ['b', request({ kind: '読' })]]],
    ['an article that is not text', [[['a/b'], request()], [{ length: 3, toString: 5 }, request()]]],
    ['news that are not text', [[ARTICLE, request({ at: 1, settled: 1, news: { 0: 1, toString: 5 } })]]],
    ['numbers that are none', [['a', request({ sent: { valueOf: 5 }, due: [1], was: {} })], ['b', request({ at: {} })], ['c', request({ settled: 'x' })]]],
  ]) {
    test(`with ${what} keeps no reaction from being counted`, async (t) => {
      const { context, broker } = await setUp(t);
      await context.addInitScript((text) => location.protocol === 'http:' && (localStorage.tallyRequests ??= text), JSON.stringify(['0123456789abcdef', list]));
      const { page, bar } = await openPage(context);
      await bar.becomes({ sum: '15' });
      await bar.click('wow');
      await bar.becomes({ status: 'Counted: Wow.', pressed: 'wow', pending: 'none' });
      assert.ok(broker.published.every(({ payload }) => payload.length < 100), 'only what a reader can request');
      await until(async () => {
        const stored = await page.evaluate(() => JSON.parse(localStorage.tallyRequests)[1]);
        assert.ok(stored.every(([id]) => typeof id === 'string'), JSON.stringify(stored).slice(0, 500));
        assert.equal(new Set(stored.map(([id]) => id)).size, stored.length);
      });
      assert.equal(broker.sessions.length, 1);
    });
  }

  for (const [what, script] of [
    ['is full', () => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; Object.defineProperty(globalThis, 'localStorage', { value: new Proxy({}, { set() { throw new DOMException('full', 'QuotaExceededError'); } }) }); }],
    ['is null, as in a web view', () => Object.defineProperty(globalThis, 'localStorage', { value: null })],
    ['throws', () => Object.defineProperty(globalThis, 'localStorage', { get() { throw new DOMException('denied', 'SecurityError'); } })],
  ]) {
    test(`that ${what} lets a reader react, and change the reaction`, async (t) => {
      const { context, broker } = await setUp(t);
      await context.addInitScript(script);
      const { page, bar } = await openPage(context);
      await bar.becomes({ sum: '15' });
      await bar.click('wow');
      await bar.becomes({ status: 'Counted: Wow.', counts: { wow: '1' } });
      await page.evaluate(() => dispatchEvent(new StorageEvent('storage', { key: 'other' })));
      await bar.click('like');
      await bar.becomes({ status: 'Counted: Like.', counts: { wow: '0', like: '4' } });
      assert.equal(new Set(broker.published.map(({ username }) => username)).size, 1);
    });
  }
});

describe('the sending code', () => {
  test('that could not be loaded is loaded again, and the click counts', async (t) => {
    const { context } = await setUp(t, { tolerate: /Failed to load resource|net::ERR/ });
    let asked = 0;
    await context.route('**/tally.send.js*', (route) => (++asked < 3 ? route.abort() : route.fallback()));
    const { bar } = await openPage(context);
    await bar.becomes({ sum: '15' });
    await bar.click('wow');
    await bar.becomes({ status: 'Counted: Wow.' });
  });

  test('is loaded where the system believes that there is no network, as long as the broker is heard', async (t) => {
    const { context } = await setUp(t);
    await context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'onLine', { get: () => false }));
    const { bar } = await openPage(context);
    await bar.becomes({ sum: '15' });
    await bar.click('wow');
    await bar.becomes({ status: 'Counted: Wow.' });
  });
});

describe('a connection', () => {
  for (const [what, greeting] of [
    ['text', 'hello'], ['the beginning of a packet', Buffer.from([0x20])], ['a packet of which the rest never comes', Buffer.from('hello, world')],
    ['a packet other than CONNACK', Buffer.from([0xd0, 0])], ['nothing in a frame', Buffer.alloc(0)],
  ]) {
    test(`whose peer says ${what} and then nothing is given up, and the bar connects again`, async (t) => {
      const { context, broker } = await setUp(t, { clock: true, tolerate: LOST_CONNECTION });
      broker.greeting = greeting;
      const { page, bar } = await openPage(context);
      await until(() => assert.ok(broker.sessions[0]?.clientId));
      await page.clock.fastForward(10_500);
      await until(() => assert.ok(!broker.sessions[0].open));
      broker.greeting = null;
      await page.clock.fastForward(5_000);
      await bar.becomes({ sum: '15' });
    });
  }

  test('sends what waits although the clock was set back meanwhile', async (t) => {
    const { context, broker } = await setUp(t, { clock: true });
    const { page, bar } = await openPage(context);
    await bar.becomes({ sum: '15' });
    broker.answers = (session, reaction) => {
      broker.receipt(session, reaction, { outcome: 'refused', reason: 'busy' });
      broker.acknowledge(session, reaction, 0x87);
    };
    await bar.click('wow');
    await bar.becomes({ status: /Busy/, pending: 'wow' });
    broker.answers = null;
    await page.clock.setSystemTime(await page.evaluate(() => Date.now() - 7_200_000));
    await page.clock.runFor(20_000);
    await bar.becomes({ status: 'Counted: Wow.', pending: 'none' });
    assert.equal((await requestOf(page, ARTICLE)).settled, 1);
  });
});

describe('a bar', () => {
  test('that is moved, removed and put back, twice in a turn, shows and counts', async (t) => {
    const { context, broker } = await setUp(t);
    const { page, bar } = await openPage(context);
    await bar.becomes({ sum: '15' });
    await page.evaluate(() => {
      const element = document.querySelector('tally-reactions');
      for (const place of [document.body, document.querySelector('main'), document.body]) {
        place.append(element);
        element.remove();
        place.prepend(element);
      }
      document.querySelector('main').append(element.cloneNode(true));
    });
    const twins = page.locator('tally-reactions [part~=wow]');
    await until(async () => assert.deepEqual(await twins.locator('[part=count]').allTextContents(), ['0', '0']));
    await twins.last().click();
    await until(async () => assert.deepEqual(await twins.locator('[part=count]').allTextContents(), ['1', '1']));
    assert.equal(broker.sessions.length, 1);
  });
});

test('a frame that may run no script says so, instead of being blank', async (t) => {
  const { context } = await setUp(t, { tolerate: /Blocked script execution/ });
  const body = `<!doctype html><html lang="en"><title>Parent</title><link rel="icon" href="data:,"><iframe sandbox="" src="${SITE}/embed?article=${ARTICLE}"></iframe></html>`;
  await context.route('**/parent', (route) => route.fulfill({ contentType: 'text/html', body }));
  const page = await context.newPage();
  await page.goto(`${SITE}/parent`);
  await page.frameLocator('iframe').locator('noscript p').waitFor({ state: 'visible' });
});

describe('a count in a list', () => {
  for (const answer of ['null', '"x"', '[]', '{"totals":{}}', '{"totals":"ab"}', '{"totals":[null,{"article":"a"},{"article":"a","total":"<b>"}]}', '<!doctype html>']) {
    test(`stays what it was where ${answer} is the answer, which is on the console`, async (t) => {
      const list = (url) => hostPage(url, SITE).replaceAll('tally.js', 'tally-count.js');
      const { context } = await setUp(t, { pages: { '/totals': ['application/json', answer], '/list': ['text/html; charset=utf-8', list] } });
      const said = [];
      context.on('console', (message) => said.push(message.text()));
      const page = await context.newPage();
      await page.goto(`${SITE}/list?body=${encodeURIComponent('<tally-count article="a">12</tally-count>')}`);
      await until(() => assert.ok(said.some((text) => text.startsWith('tally-count: no count of article "a"')), String(said)));
      assert.equal(await page.locator('tally-count').innerText(), '12');
    });
  }
});

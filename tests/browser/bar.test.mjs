/* The reaction bar against a scripted broker: what it says, shows, keeps and sends when things go well, late or wrong. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  BROKER, Bar, KINDS, SITE, assertAccessible, assertLayout, keepShot, launch, profile, serve, storeRequests, until, requestOf,
} from './support/browser.mjs';
import { ScriptedBroker, kindOf } from './support/broker.mjs';

const ARTICLE = 'world/migrant-caravan';
const FEW = { like: 3, angry: 12 };
const MANY = { like: 81_234_567, dislike: 99_999, love: 100_000, funny: 1, angry: 7_654_321, sad: 12_345, wow: 0 };
const LOST_CONNECTION = /WebSocket connection to .* failed/;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** With `clock` the test moves the pages' time on, rather than waiting; it also advances by itself. */
async function setUp(t, { clock, ...options } = {}) {
  const context = await profile(t, browser, { hosts: ['tally.test', 'tally.test:9001'], ...options });
  const broker = new ScriptedBroker();
  if (clock) {
    await context.clock.install();
  }
  await serve(context);
  await broker.route(context, BROKER);
  return { context, broker };
}

async function openBar(context, path = `/page?articles=${ARTICLE}`, article = ARTICLE) {
  const page = await context.newPage();
  await page.goto(SITE + path);
  return { page, bar: new Bar(page, article) };
}

/** Everything that the broker sent has arrived: a total that nothing else changes shows behind it. Then the clock advances. */
async function settles(broker, page, ms) {
  await broker.reaction(0);
  broker.total(ARTICLE, { sad: 1 });
  await new Bar(page, ARTICLE).becomes({ counts: { sad: '1' } });
  await page.clock.fastForward(ms);
}


describe('a click', () => {
  test('shows before anything is answered, and stays once it is', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total(ARTICLE, FEW);
    const { bar } = await openBar(context);
    await bar.becomes({ counts: { like: '3', angry: '12', wow: '0' }, shares: { angry: '80%' }, sum: '15', pressed: 'none' });
    broker.hold = true;
    await bar.click('angry');
    await bar.becomes({ counts: { angry: '13' }, sum: '16', pressed: 'angry', status: '' });

    const reaction = await broker.reaction(0);
    assert.equal(reaction.topic, `reactions/${ARTICLE}`);
    assert.equal(reaction.payload, 'angry', 'a fresh click needs no age');
    assert.equal(reaction.responseTopic, `receipts/${reaction.clientId}`);
    broker.count(broker.sessionOf(reaction), reaction);
    await bar.becomes({ counts: { angry: '13' }, pressed: 'angry', status: 'Counted: Angry.' });
    assert.equal(broker.published.length, 1);
  });

  test('can be changed and taken back, and no count goes below nothing', async (t) => {
    const { context, broker } = await setUp(t);
    const { bar } = await openBar(context);
    await bar.becomes({ counts: { like: '0' }, sum: '0' });
    await bar.click('like');
    await bar.becomes({ counts: { like: '1' }, sum: '1', pressed: 'like', status: 'Counted: Like.' });
    await bar.click('sad');
    await bar.becomes({ counts: { like: '0', sad: '1' }, sum: '1', pressed: 'sad', status: 'Counted: Sad.' });
    await bar.click('sad');
    await bar.becomes({ counts: { like: '0', sad: '0' }, sum: '0', pressed: 'none', status: 'Counted: no reaction.' });
    assert.deepEqual(broker.published.map(kindOf), ['like', 'sad', 'none']);
  });

  test('is answered by the bar that was clicked, where an article has two, and the other says nothing of before', async (t) => {
    const { context } = await setUp(t);
    // Frames that come later than receipts, as on a busy machine: no bar was painted between the click and its answer.
    await context.addInitScript(() => {
      const next = requestAnimationFrame;
      globalThis.requestAnimationFrame = (paint) => setTimeout(() => next(paint), 200);
    });
    const { page, bar } = await openBar(context, `/page?articles=${ARTICLE},${ARTICLE}`);
    const [above, below] = [0, 1].map((at) => Object.assign(new Bar(page, ARTICLE), { element: bar.element.nth(at) }));
    for (const [clicked, other, kind, status] of [[above, below, 'like', 'Counted: Like.'], [below, above, 'sad', 'Counted: Sad.']]) {
      await clicked.becomes({ counts: { angry: '0' } });
      await clicked.click(kind);
      await clicked.becomes({ pressed: kind, status });
      await other.becomes({ pressed: kind, status: '' });
    }
  });

  test('is not shown twice when the total overtakes the receipt', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total(ARTICLE, FEW);
    const { bar } = await openBar(context);
    await bar.becomes({ counts: { like: '3' } });
    broker.answers = (session, reaction) => broker.apply(reaction);
    await bar.click('like');
    const reaction = await broker.reaction(0);
    broker.total(ARTICLE, { ...FEW, like: 4, wow: 1 }); // seen in wow that it has come
    await bar.becomes({ counts: { like: '4', wow: '1' } });
    broker.acknowledge(broker.sessionOf(reaction), reaction);
    broker.receipt(broker.sessionOf(reaction), reaction, { outcome: 'counted' });
    await bar.becomes({ counts: { like: '4' }, status: 'Counted: Like.' });
    broker.total(ARTICLE, { ...FEW, like: 3 }); // somebody else took theirs back: no click holds it up any more
    await bar.becomes({ counts: { like: '3' }, pressed: 'like' });
  });

  test('that was counted before moves nothing for long', async (t) => {
    const { context, broker } = await setUp(t, { clock: true });
    broker.total(ARTICLE, FEW);
    const { page, bar } = await openBar(context);
    await bar.becomes({ counts: { like: '3' } });
    broker.answers = (session, reaction) => {
      broker.acknowledge(session, reaction);
      broker.receipt(session, reaction, { outcome: 'counted' }); // a repeat: the total has it already
    };
    await bar.click('like');
    await bar.becomes({ counts: { like: '4' }, status: 'Counted: Like.' });
    await page.clock.fastForward(26_000);
    await bar.becomes({ counts: { like: '3' }, pressed: 'like' });
  });

  test('of many in a moment is sent as the first and the last', async (t) => {
    const { context, broker } = await setUp(t);
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    broker.hold = true;
    const loaded = page.waitForResponse(/tally.send.js/);
    await bar.button('like').hover(); // which loads what sends
    await (await loaded).finished();
    await page.evaluate(() => import('/tally.send.js'));
    await page.evaluate(() => {
      const { shadowRoot } = document.querySelector('tally-reactions');
      ['like', 'love', 'funny', 'sad', 'wow'].forEach((kind) => shadowRoot.querySelector(`[part~=${kind}]`).click());
    });
    await bar.becomes({ counts: { like: '0', love: '0', wow: '1' }, sum: '1', pressed: 'wow' });
    const first = await broker.reaction(0);
    broker.hold = false;
    broker.count(broker.sessionOf(first), first);
    await bar.becomes({ counts: { like: '0', wow: '1' }, pressed: 'wow', status: 'Counted: Wow.' });
    assert.deepEqual(broker.published.map(kindOf), ['like', 'wow']);
  });
});

describe('totals', () => {
  test('of a lower version are ignored', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total(ARTICLE, FEW, 5_000);
    const { bar } = await openBar(context);
    await bar.becomes({ counts: { like: '3' } });
    broker.total(ARTICLE, { like: 2 }, 4_999);
    broker.total(ARTICLE, { ...FEW, wow: 1 }, 5_001);
    await bar.becomes({ counts: { wow: '1', like: '3', angry: '12' } });
    broker.total(ARTICLE, { like: 2 }, 4_998);
    broker.total('other', { like: 9 });
    broker.open[0].publish(`totals/${ARTICLE}`, 'not json');
    broker.open[0].publish(`totals/${ARTICLE}`, '');
    broker.total(ARTICLE, { ...FEW, wow: 2 }, 5_002);
    await bar.becomes({ counts: { wow: '2', like: '3', angry: '12' } });
  });

  test('are read however they are cut into frames', async (t) => {
    const { context, broker } = await setUp(t);
    broker.chop = true;
    broker.total(ARTICLE, MANY);
    const { bar } = await openBar(context);
    await bar.becomes({ counts: { sad: '12,345', love: '100K', like: '81.2M' }, shares: { like: '91%', wow: '0%' } });
    await bar.click('sad');
    await bar.becomes({ counts: { sad: '12,346' }, status: 'Counted: Sad.' });
  });

  test('come for each of many articles that a page goes through, as no connection asks for too many', async (t) => {
    const { context, broker } = await setUp(t);
    const asked = new Map(); // session → filters, as the real broker counts them
    broker.suback = () => {
      const session = broker.open.at(-1);
      asked.set(session, (asked.get(session) ?? 0) + 1);
      return asked.get(session) > 20 ? 0x87 : 0;
    };
    const { page } = await openBar(context, '/page?articles=a/0', 'a/0');
    for (let i = 1; i <= 15; i++) {
      await page.evaluate((id) => document.querySelector('tally-reactions').setAttribute('article', id), `a/${i}`);
      await until(() => assert.ok(broker.open.at(-1)?.filters.has(`totals/a/${i}`)));
    }
    broker.total('a/15', { like: 7 });
    await new Bar(page, 'a/15').becomes({ counts: { like: '7' }, trouble: '' });
    assert.equal(broker.sessions.length, 2);
  });

  test("of a deployment with a prefix before its topics come by the broker's address", async (t) => {
    const { context, broker } = await setUp(t);
    broker.hold = true;
    const { bar } = await openBar(context, `/page?articles=${ARTICLE}&broker=${encodeURIComponent(':9001#news/de/')}`);
    await until(() => assert.ok(broker.open[0]?.filters.has(`news/de/totals/${ARTICLE}`)));
    const [session] = broker.open;
    session.publish(`news/de/totals/${ARTICLE}`, { article: ARTICLE, total: 2, counts: { like: 2, angry: 0 }, version: 1 });
    await bar.becomes({ counts: { like: '2' } });
    await bar.click('angry');
    const reaction = await broker.reaction(0);
    assert.equal(reaction.topic, `news/de/reactions/${ARTICLE}`);
    assert.equal(reaction.responseTopic, `news/de/receipts/${reaction.clientId}`);
    broker.acknowledge(session, reaction);
    session.publish(reaction.responseTopic, { article: ARTICLE, reaction: 'angry', outcome: 'counted' }, { correlation: reaction.correlation });
    await bar.becomes({ pressed: 'angry', status: 'Counted: Angry.' });
    assert.ok([...session.filters].every((filter) => filter.startsWith('news/de/')));
  });

  test('of other bars come where the broker refuses one, which is said on the console, and no route opens a connection', async (t) => {
    const { context, broker } = await setUp(t);
    const said = [];
    context.on('console', (message) => said.push(message.text()));
    broker.suback = (filter) => (filter.endsWith('/bad') ? 0x87 : 0);
    broker.total('b', { love: 2 });
    const { page } = await openBar(context, '/page?articles=bad,a/0,b', 'a/0');
    await new Bar(page, 'b').becomes({ counts: { love: '2' } });
    await new Bar(page, 'a/0').becomes({ sum: '0' });
    await until(() => assert.ok(said.some((text) => text.includes('totals/bad')), said.join()));
    for (let i = 1; i <= 5; i++) {
      await page.evaluate((id) => document.querySelectorAll('tally-reactions')[1].setAttribute('article', id), `a/${i}`);
      await new Bar(page, `a/${i}`).becomes({ sum: '0' });
    }
    await new Bar(page, 'bad').becomes({ sum: '', counts: { like: '–' } });
    assert.equal(broker.sessions.length, 1);
  });

  test('come for 141 bars of a page as they are scrolled to, where a connection may ask for 256', async (t) => {
    const { context, broker } = await setUp(t);
    const asked = new Map();
    broker.suback = () => {
      const session = broker.open.at(-1);
      asked.set(session, (asked.get(session) ?? 0) + 1);
      return asked.get(session) > 256 ? 0x87 : 0;
    };
    const ids = Array.from({ length: 141 }, (_, i) => `n/${i}`);
    const { page } = await openBar(context, `/page?articles=${ids}`, ids[0]);
    for (const id of ids) {
      const bar = new Bar(page, id);
      await bar.element.evaluate((element) => element.scrollIntoView());
      await bar.becomes({ sum: '0' });
    }
    assert.ok(broker.sessions.length <= 3, `${broker.sessions.length} connections`);
  });

  test('that may not be watched are not shown as nothing, and a click counts', async (t) => {
    const { context, broker } = await setUp(t);
    broker.suback = (filter) => (filter.startsWith('totals/') ? 0x87 : 0);
    const { bar } = await openBar(context);
    await bar.click('love');
    await bar.becomes({ pressed: 'love', status: 'Counted: Love.', counts: { love: '–', like: '–' }, sum: '' });
  });
});

describe('a refusal', () => {
  for (const [reason, words] of [
    ['closed', /Closed/], ['unknown_kind', /Not offered/], ['forbidden', /Not allowed/], ['bad_topic', /names no article/], ['bad_article', /id is not valid/],
    ['bad_payload', /could not read it/], ['a_later_reason', /did not take it/], ['constructor', /did not take it/],
  ]) {
    test(`(${reason}) is said in words, and the choice goes back`, async (t) => {
      const { context, broker } = await setUp(t);
      const { page, bar } = await openBar(context);
      await bar.becomes({ sum: '0' });
      await bar.click('like');
      await bar.becomes({ pressed: 'like', status: 'Counted: Like.' });
      broker.answers = (session, reaction) => {
        broker.receipt(session, reaction, { outcome: 'refused', reason });
        broker.acknowledge(session, reaction, 0x87);
      };
      await bar.click('wow');
      await bar.becomes({ status: words, pressed: 'like', counts: { like: '1', wow: '0' } });
      assert.equal((await requestOf(page, ARTICLE)).kind, 'like');
    });
  }

  for (const [reason, words] of [
    ['unknown_article', /not known here yet/], ['rate_reader', /reactions of yours/], ['rate_address', /from your network/], ['busy', /Busy/], ['clock', /clock/],
  ]) {
    test(`(${reason}) that may end is said in words, and the request kept and sent again until it counts`, async (t) => {
      const { context, broker } = await setUp(t, { clock: true });
      const { page, bar } = await openBar(context);
      await bar.becomes({ sum: '0' });
      broker.answers = (session, reaction) => {
        broker.receipt(session, reaction, { outcome: 'refused', reason });
        broker.acknowledge(session, reaction, 0x87);
      };
      await bar.click('wow');
      await bar.becomes({ status: words, pressed: 'wow', pending: 'wow', counts: { wow: '1' } });
      await bar.becomes({ status: /^Not counted yet, and sent again/ });
      assert.equal((await requestOf(page, ARTICLE)).settled, 0);
      await page.clock.fastForward(16_000);
      await broker.reaction(1);
      await bar.becomes({ status: words, pending: 'wow' });
      broker.answers = null;
      await page.clock.fastForward(31_000);
      await bar.becomes({ status: 'Counted: Wow.', pressed: 'wow', pending: 'none', counts: { wow: '1' } });
    });
  }

  test('without a receipt is one too', async (t) => {
    const { context, broker } = await setUp(t, { clock: true });
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    broker.answers = (session, reaction) => broker.acknowledge(session, reaction, 0x97);
    await bar.click('wow');
    await settles(broker, page, 3_000);
    await bar.becomes({ status: /^Not counted yet/, pressed: 'wow', pending: 'wow' });
  });

  test('that the broker does not answer is not shown as a success: the bar says that it waits', async (t) => {
    const { context, broker } = await setUp(t, { clock: true });
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    broker.answers = (session, reaction) => broker.acknowledge(session, reaction);
    await bar.click('wow');
    await settles(broker, page, 3_000);
    await bar.becomes({ status: 'Received, soon to be counted.', pressed: 'wow' });
  });
});

test('a request that lost to a newer one shows the newer', async (t) => {
  const { context, broker } = await setUp(t);
  const { bar } = await openBar(context);
  await bar.becomes({ sum: '0' });
  broker.answers = (session, reaction) => {
    broker.acknowledge(session, reaction);
    broker.receipt(session, reaction, { outcome: 'superseded', current: 'sad' });
  };
  await bar.click('like');
  await bar.becomes({ pressed: 'sad', counts: { like: '0' }, status: 'Your later reaction counts: Sad.' });
});

describe('a receipt', () => {
  test('that comes late, twice or from elsewhere changes nothing that is newer', async (t) => {
    const { context, broker } = await setUp(t, { clock: true });
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    broker.answers = (session, reaction) => broker.acknowledge(session, reaction);
    await bar.click('like');
    const first = await broker.reaction(0);
    await settles(broker, page, 16_000); // no receipt: it is sent again
    const second = await broker.reaction(1);
    assert.match(second.payload, /^{"reaction":"like","age_ms":1\d{4}}$/);
    const session = broker.sessionOf(first);
    broker.receipt(session, { ...second, correlation: 'of-another' }, { outcome: 'refused', reason: 'closed' });
    broker.receipt(session, second, { outcome: 'counted' });
    await bar.becomes({ pressed: 'like', pending: 'none', status: 'Counted: Like.' });
    broker.answers = null;
    await bar.click('wow');
    await bar.becomes({ pressed: 'wow', pending: 'none', status: 'Counted: Wow.' });
    broker.receipt(session, first, { outcome: 'counted' });
    broker.receipt(session, second, { outcome: 'superseded', current: 'sad' });
    broker.total(ARTICLE, { love: 5 });
    await bar.becomes({ counts: { love: '5' }, pressed: 'wow', status: 'Counted: Wow.' });
  });

  test('of a repeat that says busy does not say that the first was not counted', async (t) => {
    const { context, broker } = await setUp(t, { clock: true });
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    broker.answers = (session, reaction) => broker.acknowledge(session, reaction);
    await bar.click('like');
    await settles(broker, page, 3_000);
    broker.answers = (session, reaction) => {
      broker.receipt(session, reaction, { outcome: 'refused', reason: 'busy' });
      broker.acknowledge(session, reaction, 0x87);
      broker.total(ARTICLE, { love: 9 });
    };
    await page.clock.fastForward(13_000);
    await bar.becomes({ counts: { love: '9' }, pressed: 'like', pending: 'like', status: /^Not counted yet/ });
    broker.answers = null;
    await page.clock.fastForward(31_000);
    await bar.becomes({ pressed: 'like', pending: 'none', status: 'Counted: Like.' });
  });

  test('that cannot come, as the broker forgot the reaction, is asked for on a new connection', async (t) => {
    const { context, broker } = await setUp(t, { clock: true });
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    broker.hold = true;
    await bar.click('sad');
    await settles(broker, page, 3_000);
    await bar.becomes({ pressed: 'sad', pending: 'sad' });
    broker.hold = false;
    await page.clock.fastForward(6_000);
    broker.total(ARTICLE, { sad: 1, love: 1 }); // the connection is alive
    await bar.becomes({ counts: { love: '1' } });
    await page.clock.fastForward(6_500);
    await bar.becomes({ pending: 'none', status: 'Counted: Sad.' });
    assert.equal(broker.sessions.length, 2);
  });
});

describe('the connection', () => {
  test('is one for all bars of a page', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total('b', { love: 2 });
    const { page, bar } = await openBar(context, `/page?articles=${ARTICLE},b,b,c/d`, ARTICLE);
    await bar.becomes({ sum: '0' });
    const twins = page.locator('tally-reactions[article=b] [part~=love]');
    await until(async () => assert.deepEqual(await twins.locator('[part=count]').allTextContents(), ['2', '2']));
    await twins.first().click();
    await until(async () => assert.deepEqual(await twins.locator('[part=count]').allTextContents(), ['3', '3']));
    assert.equal(broker.sessions.length, 1);
    assert.ok(broker.sessions[0].keepAlive >= 30 && broker.sessions[0].keepAlive <= 60);
  });

  test('follows the article attribute, and a bar that leaves the page leaves its topic', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total('b', { love: 2 });
    const { page, bar } = await openBar(context, `/page?articles=${ARTICLE}`, null);
    await bar.becomes({ sum: '0' });
    await bar.element.evaluate((element) => element.setAttribute('article', 'b'));
    await bar.becomes({ counts: { love: '2' } });
    assert.ok(!broker.sessions[0].filters.has(`totals/${ARTICLE}`));
    await bar.element.evaluate((element) => element.setAttribute('article', 'not an id'));
    assert.equal(await bar.element.locator('button').count(), 0, 'no broken box');
    await page.evaluate(() => document.querySelector('tally-reactions').remove());
    await until(() => assert.deepEqual([...broker.sessions[0].filters], [`receipts/${broker.sessions[0].clientId}`]));
  });

  test('lost before the click: the request is kept, said to be, and sent with its age', async (t) => {
    const { context, broker } = await setUp(t, { clock: true, tolerate: LOST_CONNECTION });
    broker.total(ARTICLE, FEW);
    const { page, bar } = await openBar(context);
    await bar.becomes({ counts: { like: '3' } });
    broker.away = true;
    await broker.cut();
    await page.clock.fastForward(4_000);
    await bar.becomes({ trouble: 'Not connected: the numbers may be old', counts: { like: '3' } });
    await bar.click('like');
    await bar.becomes({ counts: { like: '4' }, pressed: 'like', status: /^Kept/ });
    assert.equal((await requestOf(page, ARTICLE)).settled, 0);
    broker.total(ARTICLE, { like: 7 });
    await page.clock.fastForward(40_000);
    broker.away = false;
    await page.evaluate(() => dispatchEvent(new Event('online')));
    await bar.becomes({ counts: { like: '8', angry: '0' }, pressed: 'like', status: 'Counted: Like.', trouble: '' });
    const { payload } = await broker.reaction(0);
    const { reaction, age_ms: age } = JSON.parse(payload);
    assert.equal(reaction, 'like');
    assert.ok(Number.isInteger(age) && age >= 40_000 && age < 70_000, `age ${age}`);
  });

  test('lost before the receipt: the request is sent again, and shown once', async (t) => {
    const { context, broker } = await setUp(t, { tolerate: LOST_CONNECTION });
    broker.total(ARTICLE, FEW);
    const { bar } = await openBar(context);
    await bar.becomes({ counts: { like: '3' } });
    broker.answers = (session, reaction) => {
      broker.answers = null;
      broker.apply(reaction);
      session.close();
    };
    await bar.click('like');
    await bar.becomes({ status: 'Counted: Like.', counts: { like: '4' }, pressed: 'like' });
    const [first, second] = [await broker.reaction(0), await broker.reaction(1)];
    assert.notEqual(first.clientId, second.clientId);
    assert.equal(first.username, second.username);
    assert.match(second.payload, /^{"reaction":"like","age_ms":\d+}$/);
  });

  test('lost, and the page closed: the next page sends what is waiting, one at a time', async (t) => {
    const { context, broker } = await setUp(t, { tolerate: LOST_CONNECTION });
    broker.away = true;
    const { page, bar } = await openBar(context);
    await bar.click('love');
    await bar.becomes({ pressed: 'love' });
    const { at, via } = await requestOf(page, ARTICLE);
    await storeRequests(page, [
      ...Array.from({ length: 30 }, (_, i) => [`old/${i}`, { at: at - 1000 * i, via }]),
      ['ancient', { at: at - 8 * 24 * 3600 * 1000, via }],
      ['elsewhere', { via: 'wss://other.test/' }],
    ]);
    broker.away = false;
    let [underWay, most] = [0, 0];
    broker.answers = async (session, reaction) => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, 20));
      underWay -= 1;
      broker.count(session, reaction);
    };
    await page.close();
    const { page: later, bar: same } = await openBar(context);
    await same.becomes({ pressed: 'love', counts: { love: '1' } });
    await until(async () => {
      const waiting = await later.evaluate(() => JSON.parse(localStorage.tallyRequests)[1].filter(([, request]) => !request.settled).map(([id]) => id));
      assert.deepEqual(waiting, ['elsewhere']); // of the other broker
    });
    assert.equal(new Set(broker.published.map((r) => r.topic)).size, 31);
    assert.equal(most, 1, `${most} under way`);
  });

  test('with a dead peer is given up and made again', async (t) => {
    const { context, broker } = await setUp(t, { clock: true, tolerate: LOST_CONNECTION });
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    broker.mute = true;
    await bar.click('sad');
    await broker.reaction(0);
    broker.answers = null;
    await page.clock.fastForward(9_000); // just under what it waits for an answer: no lapse of the test's own takes a second
    assert.ok(broker.sessions[0].open);
    await page.clock.fastForward(1_500);
    await until(() => assert.ok(!broker.sessions[0].open));
    broker.mute = false;
    await page.clock.fastForward(2_000); // the pause
    await bar.becomes({ status: 'Counted: Sad.', counts: { sad: '1' } });
    assert.match(broker.published.at(-1).payload, /"age_ms":[1-3]\d{4}}$/);
  });

  test('that takes longer than ten seconds to begin is given more time after each failure', async (t) => {
    const { context, broker } = await setUp(t, { clock: true, tolerate: LOST_CONNECTION });
    broker.mute = true;
    const { page, bar } = await openBar(context);
    await until(() => assert.ok(broker.sessions[0]?.clientId));
    await page.clock.fastForward(10_500);
    await until(() => assert.ok(!broker.sessions[0].open));
    await page.clock.fastForward(3_000); // the pause
    await until(() => assert.ok(broker.sessions[1]?.clientId));
    await page.clock.fastForward(15_000);
    broker.mute = false;
    broker.sessions[1].greet();
    await bar.becomes({ sum: '0' });
    assert.equal(broker.sessions.length, 2);
  });

  test('that is refused is tried again with a growing pause', async (t) => {
    const { context, broker } = await setUp(t, { clock: true, tolerate: LOST_CONNECTION });
    await context.addInitScript(() => {
      Math.random = () => 0.999; // of each pause all that it may be
    });
    broker.connack = 0x87;
    const { page } = await openBar(context);
    const refused = (n) => until(() => assert.equal(broker.sessions.filter((s) => s.clientId && !s.open).length, n));
    await refused(1);
    for (const [n, pauseMs] of [2200, 4200, 8200, 16200, 32200, 60200, 60200].entries()) {
      await page.clock.runFor(pauseMs);
      await refused(n + 2);
    }
    broker.connack = 0;
    await page.clock.runFor(61_000);
    await new Bar(page).becomes({ sum: '0' });
  });

  test('is closed when the browser puts the page by, and comes back with it', async (t) => {
    const { context, broker } = await setUp(t);
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })));
    await until(() => assert.equal(broker.open.length, 0));
    broker.total(ARTICLE, FEW);
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    await bar.becomes({ counts: { angry: '12' } });
    assert.equal(broker.sessions.length, 2);
  });
});

describe('the reader', () => {
  test('is stored at the first click, not before', async (t) => {
    const { context, broker } = await setUp(t);
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    assert.deepEqual(await page.evaluate(() => ({ ...localStorage })), {});
    await bar.click('like');
    await bar.becomes({ status: 'Counted: Like.' });
    const { username, clientId } = await broker.reaction(0);
    assert.match(username, /^[\d-]{24,}$/);
    assert.match(clientId, /^w-[\d-]{24,}$/);
    assert.equal(await page.evaluate(() => JSON.parse(localStorage.tallyRequests)[0]), username);
    assert.equal(broker.sessions.length, 1, 'no new connection for it');
  });

  test('is one in two tabs, whichever of them clicks first', async (t) => {
    const { context, broker } = await setUp(t);
    const { bar: one } = await openBar(context);
    const { bar: two } = await openBar(context);
    await one.becomes({ sum: '0' });
    await two.becomes({ sum: '0' });
    assert.notEqual(broker.open[0].username, broker.open[1].username, 'neither has stored an id');
    await one.click('like');
    await one.becomes({ status: 'Counted: Like.' });
    await two.becomes({ pressed: 'like', counts: { like: '1' } });
    await two.click('angry');
    await two.becomes({ status: 'Counted: Angry.', pressed: 'angry', counts: { like: '0', angry: '1' }, sum: '1' });
    await one.becomes({ pressed: 'angry', counts: { like: '0', angry: '1' } });
    const [first, second] = broker.published;
    assert.equal(first.username, second.username);
    assert.notEqual(first.clientId, second.clientId);
    await two.click('angry');
    await two.becomes({ pressed: 'none', status: 'Counted: no reaction.' });
    await one.becomes({ pressed: 'none', sum: '0' });
    assert.equal(broker.open.length, 2, 'the tabs do not take each other’s connection');
  });

  test('finds the own choice again after a reload', async (t) => {
    const { context, broker } = await setUp(t);
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    await bar.click('wow');
    await bar.becomes({ status: 'Counted: Wow.' });
    await page.reload();
    await bar.becomes({ pressed: 'wow', counts: { wow: '1' }, status: '' });
    assert.equal(broker.published.length, 1);
    assert.equal(broker.sessions.at(-1).username, broker.published[0].username);
  });

  test('keeps no more than 200 choices', async (t) => {
    const { context } = await setUp(t);
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    await storeRequests(page, Array.from({ length: 250 }, (_, i) => [`a/${i}`, { settled: 1, at: 1000 + i }]));
    await page.evaluate(() => (localStorage.another = 'key'));
    await bar.click('like');
    await bar.becomes({ status: 'Counted: Like.' });
    const kept = await page.evaluate(() => JSON.parse(localStorage.tallyRequests)[1].map(([article]) => article));
    assert.equal(kept.length, 200);
    assert.ok(kept.includes(ARTICLE) && kept.includes('a/249') && !kept.includes('a/0'));
    assert.equal(await page.evaluate(() => localStorage.another), 'key');
  });

  test('who may store nothing can still react', async (t) => {
    const { context } = await setUp(t);
    await context.addInitScript(() => {
      Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('forbidden', 'SecurityError'); } });
    });
    const { bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    await bar.click('like');
    await bar.becomes({ status: 'Counted: Like.', pressed: 'like' });
  });
});

describe('the page around', () => {
  test('is used by keyboard alone', async (t) => {
    const { context, broker } = await setUp(t);
    const { page, bar } = await openBar(context);
    await bar.becomes({ sum: '0' });
    for (const kind of KINDS) {
      await page.keyboard.press('Tab');
      assert.equal(await page.evaluate(() => document.querySelector('tally-reactions').shadowRoot.activeElement?.part[1]), kind);
    }
    const outline = await bar.button('wow').evaluate((button) => getComputedStyle(button).outlineWidth);
    assert.equal(outline, '3px', 'focus is seen');
    await page.keyboard.press('Space');
    await bar.becomes({ pressed: 'wow', status: 'Counted: Wow.' });
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await bar.becomes({ pressed: 'sad', status: 'Counted: Sad.' });
    await page.keyboard.press('Enter');
    await bar.becomes({ pressed: 'none', status: 'Counted: no reaction.' });
    assert.equal(broker.published.length, 3);
    const group = page.getByRole('group', { name: 'What’s your reaction?' });
    assert.equal(await group.getByRole('button').count(), 7);
    assert.equal(await group.getByRole('button', { name: 'Like 0 0%', exact: true, pressed: false }).count(), 1);
  });

  for (const width of [360, 1280]) {
    test(`holds the bar at ${width} pixels in every state of a request`, async (t) => {
      const { context, broker } = await setUp(t, { viewport: { width, height: 900 }, clock: true, tolerate: LOST_CONNECTION });
      broker.total(ARTICLE, FEW);
      const { page, bar } = await openBar(context);
      await bar.becomes({ counts: { like: '3' } });
      const look = async (state) => {
        await assertLayout(page, {
          inside: 'main *, [part=card] *:not(legend)',
          apart: ['button', '[part=label], [part=count], [part=share], [part=icon]', '[part=status], [part=info]'],
          fits: [['[part=label], [part=count], [part=share], [part=icon]', 'button']],
        });
        await assertAccessible(page);
        await page.mouse.move(0, 0);
        await page.clock.runFor(1_000);
        await bar.element.evaluate((element) => element.shadowRoot.getAnimations().forEach((animation) => animation.finish()));
        await keepShot(page, `request-${state}-${width}`, { fullPage: true });
      };
      broker.answers = (session, reaction) => broker.acknowledge(session, reaction);
      await bar.click('angry');
      await broker.reaction(0);
      await page.clock.runFor(2_500);
      await bar.becomes({ pending: 'angry', status: /^Received/ });
      await look('pending');
      const ring = await bar.button('angry').evaluate((button) => getComputedStyle(button).borderTopStyle);
      assert.equal(ring, 'dashed');
      broker.receipt(broker.open[0], await broker.reaction(0), { outcome: 'counted' });
      await bar.becomes({ pending: 'none', status: 'Counted: Angry.' });
      await look('settled');
      await bar.click('angry');
      await bar.becomes({ pending: 'angry', pressed: 'none' });
      await look('taking-back');
      broker.receipt(broker.open[0], await broker.reaction(1), { outcome: 'refused', reason: 'closed' });
      await bar.becomes({ pressed: 'angry', status: /^Not counted. Closed/ });
      await look('refused');
      await bar.click('wow');
      broker.receipt(broker.open[0], await broker.reaction(2), { outcome: 'refused', reason: 'rate_address' });
      await bar.becomes({ pressed: 'wow', pending: 'wow', status: /^Not counted yet/ });
      await look('kept');
      await bar.click('love');
      broker.receipt(broker.open[0], await broker.reaction(3), { outcome: 'superseded', current: 'dislike' });
      await bar.becomes({ pressed: 'dislike', status: /^Your later reaction/ });
      await look('superseded');
      broker.away = true;
      await broker.cut();
      await page.clock.fastForward(4_000);
      await bar.click('wow');
      await bar.becomes({ pending: 'wow', status: /^Kept/, trouble: /^Not connected/ });
      await look('offline');
    });
  }

  for (const width of [360, 1280]) {
    for (const colorScheme of ['light', 'dark']) {
      test(`holds the bar at ${width} pixels, ${colorScheme}, whatever the numbers`, async (t) => {
        const { context, broker } = await setUp(t, { viewport: { width, height: 900 }, colorScheme, reducedMotion: 'reduce' });
        broker.total(ARTICLE, FEW);
        const { page, bar } = await openBar(context, '/', ARTICLE);
        await bar.element.scrollIntoViewIfNeeded(); // it connects when it comes near
        const check = async (name) => {
          await assertLayout(page, {
            inside: 'main *, [part=card] *:not(legend)',
            apart: ['button', '[part=label], [part=count], [part=share], [part=icon]', '[part=status], [part=info]'],
            fits: [['[part=label], [part=count], [part=share], [part=icon]', 'button']],
          });
          await assertAccessible(page);
          await keepShot(page, `article-${name}-${width}-${colorScheme}`, { fullPage: true });
          const heights = await bar.element.locator('button').evaluateAll((all) => all.map((b) => b.getBoundingClientRect().height));
          assert.ok(Math.min(...heights) >= 44, `targets of ${heights}`);
        };
        await bar.becomes({ counts: { angry: '12' } });
        await bar.click('dislike'); // the longest word, now bold
        await bar.becomes({ status: 'Counted: Dislike.' });
        await check('few');
        broker.total(ARTICLE, MANY);
        await bar.becomes({ counts: { like: '81.2M' } });
        await check('many');
        await page.evaluate(() => (document.documentElement.style.fontSize = '200%'));
        await bar.element.evaluate((element) => (element.style.fontSize = '32px'));
        await check('large');
      });
    }
  }
});

/* The newsroom's dashboard against a scripted broker: thousands of articles, the order, what holds it, and what it says. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BROKER, SITE, assertAccessible, assertLayout, keepShot, launch, profile, serve, until } from './support/browser.mjs';
import { ScriptedBroker } from './support/broker.mjs';

const SECTIONS = ['world', 'politics', 'sport/football', 'culture', 'science'];
const LOST_CONNECTION = /WebSocket connection to .* failed/;
const DAY_US = 86_400_000_000;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const name = (i) => `${SECTIONS[i % SECTIONS.length]}/story-${i}`;

async function setUp(t, { articles = 0, ...options } = {}) {
  const context = await profile(t, browser, { hosts: ['tally.test', 'tally.test:9001'], ...options });
  const broker = new ScriptedBroker();
  broker.version = Date.now() * 1000 - DAY_US; // what is retained is of yesterday
  for (let i = 0; i < articles; i++) {
    broker.total(name(i), { like: i, dislike: i % 7, love: (i * 3) % 50, funny: i % 5, angry: (i * 7) % 90, sad: i % 3, wow: 1 });
  }
  await serve(context);
  await broker.route(context, BROKER);
  return { context, broker };
}

async function openDashboard(context) {
  const page = await context.newPage();
  await page.goto(`${SITE}/dashboard`);
  return page;
}

const order = (page) => page.locator('.rows .row').evaluateAll((rows) => rows.map((row) => row.dataset.article));
const cell = (page, article, column) => page.locator(`.row[data-article="${article}"] .${column}`).innerText();
const figure = (page, id) => page.locator(`#${id}`).innerText();
const equal = (get, wanted, timeout) => until(async () => assert.deepEqual(await get(), wanted), timeout);

/** The broker sends one more reaction of a kind for an article, now. */
function react(broker, article, kind = 'like', times = 1) {
  const counts = { ...broker.totals.get(article)?.counts };
  counts[kind] = (counts[kind] ?? 0) + times;
  broker.total(article, counts, Date.now() * 1000 + (broker.steps = (broker.steps ?? 0) + 1));
}

test('three thousand articles: all are known, the hundred hottest shown, the others when asked for', async (t) => {
  const { context, broker } = await setUp(t, { articles: 3000 });
  const page = await openDashboard(context);
  await equal(() => figure(page, 'articles'), '3,000', 20_000);
  const sum = [...broker.totals.values()].reduce((n, { total }) => n + total, 0);
  await equal(() => figure(page, 'reactions'), sum.toLocaleString('en-US'));
  await equal(() => figure(page, 'gained'), '0');
  await equal(async () => (await order(page)).length, 100);
  const byTotal = [...broker.totals.values()].sort((a, b) => b.total - a.total).map(({ article }) => article);
  await equal(async () => (await order(page))[0], byTotal[0]); // while nothing moves, the largest
  assert.equal(await page.locator('#more').innerText(), 'Show more (2,900)');
  await page.locator('#more').click();
  await equal(async () => (await order(page)).length, 200);
  await page.mouse.move(5, 5); // away from the rows that came under it

  react(broker, name(7)); // far down until now
  await equal(async () => (await order(page))[0], name(7));
  await page.locator('#filter').fill('story-2999');
  await equal(() => order(page), [name(2999)]);
  await page.locator('#filter').fill('nothing like it');
  await equal(() => page.locator('#empty').innerText(), 'No article has this in its id.');
});

test('an article whose results are hidden is shown no more, and again once they are', async (t) => {
  const { context, broker } = await setUp(t, { articles: 5 });
  const page = await openDashboard(context);
  await equal(async () => (await order(page)).length, 5);
  const { total, counts } = broker.totals.get(name(3));
  const all = [...broker.totals.values()].reduce((n, one) => n + one.total, 0);
  broker.clear(name(3));
  await equal(async () => (await order(page)).includes(name(3)), false);
  await equal(() => figure(page, 'articles'), '4');
  await equal(() => figure(page, 'reactions'), String(all - total));
  await equal(() => figure(page, 'gained'), '0');
  broker.total(name(3), counts);
  await equal(async () => (await order(page)).includes(name(3)), true);
  await equal(() => figure(page, 'reactions'), String(all));
});

test('counts, change and order move as the totals do', async (t) => {
  const { context, broker } = await setUp(t, { articles: 5 });
  const page = await openDashboard(context);
  await equal(() => page.locator('#state').innerText(), 'Live');
  await equal(async () => (await order(page)).length, 5);
  const before = broker.totals.get(name(1));
  react(broker, name(1), 'angry', 3);
  await equal(() => cell(page, name(1), 'total'), String(before.total + 3));
  await equal(() => cell(page, name(1), 'gained'), '+3');
  await equal(async () => (await order(page))[0], name(1));
  await until(async () => assert.match(await page.locator(`.row[data-article="${name(1)}"] .line`).getAttribute('d'), /^M0/));
  assert.equal(await figure(page, 'gained'), '+3');

  const counts = { ...broker.totals.get(name(1)).counts };
  broker.total(name(1), { ...counts, angry: counts.angry - 1, sad: counts.sad + 1 }, Date.now() * 1000 + 50); // one changed
  await until(async () => assert.match(await page.locator(`.row[data-article="${name(1)}"] .count`).nth(5).innerText(), new RegExp(`\\b${counts.sad + 1}$`)));
  assert.equal(await cell(page, name(1), 'total'), String(before.total + 3));

  broker.total(name(1), { like: 1 }, before.version - 1); // older: ignored
  react(broker, 'world/new', 'love', 2);
  await equal(() => cell(page, 'world/new', 'gained'), '+2');
  await equal(() => cell(page, name(1), 'total'), String(before.total + 3));
  assert.equal(await figure(page, 'gained'), '+5');
  assert.equal(await figure(page, 'articles'), '6');
});

test('what a feed publishes again is not a gain', async (t) => {
  const { context, broker } = await setUp(t, { articles: 2 });
  const page = await openDashboard(context);
  await equal(async () => (await order(page)).length, 2);
  broker.total('world/of-yesterday', { like: 70 }, Date.now() * 1000 - DAY_US);
  await equal(() => cell(page, 'world/of-yesterday', 'total'), '70');
  await equal(() => cell(page, 'world/of-yesterday', 'gained'), '0');
  assert.equal(await figure(page, 'gained'), '0');
});

test('nothing moves away under the keyboard, the pointer or a hold', async (t) => {
  const { context, broker } = await setUp(t, { articles: 5 });
  await context.clock.install();
  const page = await openDashboard(context);
  await equal(async () => (await order(page)).length, 5);
  const first = await order(page);
  const last = first.at(-1);

  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'filter');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'by');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space'); // hold
  await equal(() => page.locator('#held').innerText(), 'The order is held.');
  await page.keyboard.press('Space');
  for (let i = 0; i < 13; i++) { // the columns, eleven headers, the first row
    await page.keyboard.press('Tab');
  }
  await equal(() => page.locator('#held').innerText(), 'The order is held while you are in the list.');
  react(broker, last);
  await equal(() => cell(page, last, 'gained'), '+1');
  await page.clock.fastForward(5_100); // two ticks in which it would have moved
  await page.clock.fastForward(5_100);
  assert.deepEqual(await order(page), first);
  await page.keyboard.press('Space'); // pins the first
  await equal(() => page.locator('.rows button').first().getAttribute('aria-pressed'), 'true');
  await page.keyboard.press('Shift+Tab');
  await equal(async () => (await order(page)).slice(0, 2), [first[0], last]);
  await page.reload();
  await equal(async () => (await order(page))[0], first[0]);

  const second = (await order(page))[1];
  await page.locator(`.row[data-article="${second}"] .article`).hover();
  react(broker, last === second ? first[1] : last, 'like', 9);
  await equal(() => page.locator('#held').innerText(), 'The order is held under the pointer.');
  assert.equal((await order(page))[1], second);
  await page.mouse.move(5, 5);
  await until(async () => assert.notEqual((await order(page))[1], second));
});

test('a connection that is lost is said, and heals', async (t) => {
  const { context, broker } = await setUp(t, { articles: 3, tolerate: LOST_CONNECTION });
  const page = await openDashboard(context);
  await equal(() => page.locator('#state').innerText(), 'Live');
  broker.away = true;
  await broker.cut();
  await until(async () => assert.match(await page.locator('#state').innerText(), /^Not connected.*may be old/));
  broker.away = false;
  react(broker, name(2), 'sad', 4);
  await equal(() => page.locator('#state').innerText(), 'Live', 15_000);
  await equal(() => cell(page, name(2), 'gained'), '+4');
  assert.equal(await cell(page, name(2), 'rate'), '', 'what moved meanwhile is not a rate of now');
});

test('the rate is the truth from the first seconds, and says over what time', async (t) => {
  const { context, broker } = await setUp(t, { articles: 2, tolerate: LOST_CONNECTION });
  await context.clock.install();
  const page = await openDashboard(context);
  await equal(() => page.locator('#state').innerText(), 'Live');
  const rate = async () => Number((await figure(page, 'rate')).replaceAll(',', ''));
  const over = () => page.locator('#rate').getAttribute('title');
  let sum = 0;
  const now = () => page.evaluate(() => Date.now());
  const began = await now();
  // Some ten a second by the page's clock: how many it is, and so the truth, is known
  const run = async (seconds) => {
    for (let i = 0; i < seconds; i++) {
      react(broker, name(0), 'like', 10);
      sum += 10;
      await equal(() => cell(page, name(0), 'gained'), `+${sum}`);
      await page.clock.runFor(1_000);
    }
  };
  const near = (shown, truth, when) => assert.ok(shown > truth * 0.85 && shown < truth * 1.15, `${shown} a minute, and not ${truth}, ${when}`);
  for (const seconds of [5, 25, 60]) {
    await run(seconds);
    const elapsed_ms = (await now()) - began;
    near(await rate(), (sum * 60_000) / elapsed_ms, `after ${seconds} s more`);
    // A second may end between the two looks.
    await until(async () => assert.equal(await cell(page, name(0), 'rate'), await figure(page, 'rate')));
    const [, told] = (await over()).match(/^Average of about the last (\d+) s/);
    const faded = 120 * (1 - Math.exp(-elapsed_ms / 120_000));
    assert.ok(Math.abs(told - faded) < 3, `${told} s, and not ${faded}`);
  }
  const last = await rate();
  // While nothing can be heard nothing is measured.
  broker.away = true;
  await broker.cut();
  await page.clock.runFor(30_000);
  near(await rate(), last, 'while away');
});

for (const [what, jump] of [
  ['set forward by an hour', (clock, now) => clock.setSystemTime(now + 3_600_000)], ['set back by an hour', (clock, now) => clock.setSystemTime(now - 3_600_000)],
  ['set back by a minute', (clock, now) => clock.setSystemTime(now - 60_000)], ['that advances while the machine sleeps', (clock) => clock.fastForward(600_000)],
]) {
  test(`the rate and the curve survive a clock ${what}`, async (t) => {
    const { context, broker } = await setUp(t, { articles: 2, tolerate: LOST_CONNECTION });
    await context.clock.install();
    const page = await openDashboard(context);
    await equal(() => page.locator('#state').innerText(), 'Live');
    let sum = 0;
    const run = async (seconds) => {
      for (let i = 0; i < seconds; i++) {
        react(broker, name(0), 'like', 10);
        sum += 10;
        await equal(() => cell(page, name(0), 'gained'), `+${sum}`);
        await page.clock.runFor(1_000);
      }
    };
    const near = async (when) => {
      const shown = Number((await figure(page, 'rate')).replaceAll(',', ''));
      assert.ok(shown > 600 * 0.7 && shown < 600 * 1.3, `${shown} a minute, and not 600, ${when}`);
    };
    await run(10);
    await near('before');
    await jump(page.clock, await page.evaluate(() => Date.now()));
    await equal(() => page.locator('#state').innerText(), 'Live');
    await run(10);
    await near('after');
    assert.notEqual(await page.locator(`.row[data-article="${name(0)}"] path.line`).getAttribute('d'), '');
  });
}

test('a broker that forbids the wildcard is quoted in words', async (t) => {
  const { context, broker } = await setUp(t, {});
  broker.suback = (filter) => (filter.startsWith('totals/') ? 0x87 : 0);
  const page = await openDashboard(context);
  await until(async () => assert.match(await page.locator('#state').innerText(), /only the newsroom.*allow_wildcards/));
  assert.equal(await page.locator('#empty').innerText(), 'No reaction has come yet.');
});

test('a kind that it never heard of gets a column', async (t) => {
  const { context, broker } = await setUp(t, { articles: 2 });
  const page = await openDashboard(context);
  await equal(async () => (await order(page)).length, 2);
  broker.open[0].publish(`totals/${name(0)}`, { counts: { like: 4, proud: 2 }, version: Date.now() * 1000 });
  await until(async () => assert.match(await page.locator('.head').innerText(), /Proud/));
  await equal(() => cell(page, name(0), 'total'), '6');
  await equal(() => page.locator(`.row[data-article="${name(1)}"] .count`).count(), 8);
});

test('the order changes every few seconds at most, though the numbers move at once', async (t) => {
  const { context, broker } = await setUp(t, { articles: 5 });
  await context.clock.install();
  const page = await openDashboard(context);
  await equal(async () => (await order(page)).length, 5);
  await page.clock.pauseAt(await page.evaluate(() => Date.now() + 6_000));
  const first = await order(page);
  const [last] = first.slice(-1);
  await page.evaluate(() => {
    globalThis.steps = 0;
    new MutationObserver(() => { globalThis.steps += 1; }).observe(document.querySelector('.rows'), { childList: true });
  });
  for (let i = 0; i < 20; i++) { // each second another article is the hottest
    const article = first[i % 5];
    react(broker, article, 'like', i + 1);
    await until(async () => {
      await page.clock.runFor(20); // a frame
      assert.equal(Number((await cell(page, article, 'total')).replaceAll(',', '')), broker.totals.get(article).total);
    });
    await page.clock.runFor(1_000);
  }
  const steps = await page.evaluate(() => globalThis.steps);
  assert.ok(steps > 0 && steps <= 5, `rows moved ${steps} times in 20 s`);
  assert.notDeepEqual(await order(page), first);
  assert.equal(await cell(page, last, 'gained'), `+${5 + 10 + 15 + 20}`);
});

test('what falls has a minus sign and another colour, and rates always have one decimal', async (t) => {
  const { context, broker } = await setUp(t, { articles: 3 });
  const page = await openDashboard(context);
  await equal(async () => (await order(page)).length, 3);
  react(broker, name(1), 'love', 3);
  react(broker, name(2), 'love', -5);
  await equal(() => cell(page, name(2), 'gained'), '−5');
  await equal(() => cell(page, name(1), 'gained'), '+3');
  await equal(() => figure(page, 'gained'), '−2');
  const colour = (article) => page.locator(`.row[data-article="${article}"] .gained`).evaluate((node) => getComputedStyle(node).color);
  assert.notEqual(await colour(name(1)), await colour(name(2)));
  for (const article of [name(1), name(2)]) {
    await until(async () => assert.match(await cell(page, article, 'rate'), /^[\d,]+\.\d$/));
  }
});

test('no rounded number shows more than there is', async (t) => {
  const { context, broker } = await setUp(t, { articles: 1 });
  broker.total('world/large', { like: 9_999_999, dislike: 999_999, love: 1_000_000, sad: 99_999 });
  broker.total('world/larger', { like: 999_999_999 });
  const page = await openDashboard(context);
  const counts = () => page.locator('.row[data-article="world/large"] .count').evaluateAll((all) => all.map((node) => node.lastChild.data));
  await equal(counts, ['9.9M', '999.9K', '1.0M', '0', '0', '99,999', '0']);
  assert.equal(await cell(page, 'world/large', 'total'), '12,099,997');
  assert.equal(await cell(page, 'world/larger', 'total'), '999.9M');
});

/** Where the cells of each column, and the ends of their numbers, are: of each more than one place only if a row differs from another. */
const columns = (page) => page.evaluate(() => {
  const places = {};
  for (const row of document.querySelectorAll('.rows .row')) {
    const seen = {};
    for (const node of row.querySelectorAll('[role=cell]')) {
      const n = (seen[node.className.split(' ')[0]] ??= []).push(node);
      const column = `${node.className.split(' ')[0]} ${n}`;
      const { left, right } = node.getBoundingClientRect();
      const range = document.createRange();
      const last = node.lastChild;
      if (last?.data && column !== 'article 1') {
        range.selectNode(last);
        (places[`${column}, last digit`] ??= new Set()).add(range.getBoundingClientRect().right.toFixed(1));
      }
      (places[column] ??= new Set()).add(`${left.toFixed(1)} to ${right.toFixed(1)}`);
    }
  }
  return Object.fromEntries(Object.entries(places).map(([column, at]) => [column, [...at]]));
});

for (const [what, width, text = '100%', media = 'screen'] of [
  ['360 pixels', 360], ['768 pixels', 768], ['1024 pixels', 1024], ['1280 pixels', 1280], ['768 pixels at 200 %', 384], ['1280 pixels at 200 %', 640],
  ['768 pixels with text at 200 %', 768, '200%'], ['1280 pixels with text at 200 %', 1280, '200%'],
  ['paper, upright', 718, '100%', 'print'], ['paper, across', 1047, '100%', 'print'],
]) {
  test(`columns line up at ${what}`, async (t) => {
    const { context, broker } = await setUp(t, { articles: 12, viewport: { width, height: 4_000 }, reducedMotion: 'reduce' });
    broker.total('world/an-article-whose-id-is-as-long-as-a-whole-headline-and-goes-on', { like: 81_234_567, dislike: 99_999, love: 1_000_000, angry: 7_654_321, sad: 12_345 });
    const page = await openDashboard(context);
    await equal(async () => (await order(page)).length, 13);
    await page.evaluate((size) => (document.documentElement.style.fontSize = size), text);
    await page.emulateMedia({ media });
    react(broker, name(3), 'like', 12_345);
    react(broker, name(5), 'love', -4);
    react(broker, name(7), 'sad');
    await equal(() => page.locator('.rows .rate:not(:empty)').count(), 3);
    const found = await columns(page);
    assert.deepEqual(Object.keys(found).filter((column) => /^(total|count [1-7]|gained|rate|spark|article|pin)/.test(column)).length, Object.keys(found).length);
    assert.equal(Object.keys(found).length, 13 + 7 + 3, `columns: ${Object.keys(found)}`);
    assert.deepEqual(Object.entries(found).filter(([, places]) => places.length > 1), []);
    await assertLayout(page, {
      inside: '.rows *:not(path):not(svg):not(.kind), .figures *, .tools *',
      apart: ['.rows .row:nth-child(-n+6) [role=cell]', '.tools > *'],
      fits: [['.rows [role=cell]', '.row']],
    });
    assert.equal(await page.locator('#filter').isVisible(), media === 'screen');
    await keepShot(page, `columns-${what.replaceAll(' ', '-')}`);
  });
}

test('any column orders the list, by the keyboard too, and the tab after a reload', async (t) => {
  const { context, broker } = await setUp(t);
  [['b', { like: 3, angry: 9 }], ['a', { like: 5, angry: 1 }], ['c', { like: 4 }]].forEach(([article, counts]) => broker.total(article, counts));
  const page = await openDashboard(context);
  await equal(() => order(page), ['b', 'a', 'c']);
  const header = (label) => page.getByRole('columnheader', { name: label, exact: true });
  const sort = (label) => header(label).getAttribute('aria-sort');
  for (const [label, down, up] of [['Like', ['a', 'c', 'b'], ['b', 'c', 'a']], ['Angry', ['b', 'a', 'c'], ['c', 'a', 'b']], ['Total', ['b', 'a', 'c'], ['c', 'a', 'b']]]) {
    await header(label).getByRole('button').click();
    await equal(() => order(page), down);
    assert.equal(await sort(label), 'descending');
    assert.equal(await page.locator('#news').innerText(), `Order: ${label}, Largest first`);
    await header(label).getByRole('button').click();
    await equal(() => order(page), up);
    assert.equal(await sort(label), 'ascending');
    assert.equal(await page.locator('[aria-sort]').count(), 1);
  }
  await header('Article').getByRole('button').focus();
  await page.keyboard.press('Enter');
  await equal(() => order(page), ['a', 'b', 'c']);
  await page.keyboard.press('Space');
  await equal(() => order(page), ['c', 'b', 'a']);
  assert.equal(await page.getByRole('table').getAttribute('aria-label'), 'Articles: Article, Z to A');
  await page.reload();
  await equal(() => order(page), ['c', 'b', 'a']);
  await page.getByRole('button', { name: 'Z to A' }).click();
  await equal(() => order(page), ['a', 'b', 'c']);

  react(broker, 'c', 'sad', 2);
  react(broker, 'b', 'sad');
  await equal(() => cell(page, 'b', 'gained'), '+1');
  await equal(() => cell(page, 'c', 'gained'), '+2');
  for (const [by, wanted] of [['Since opened', ['c', 'b', 'a']], ['A minute', ['c', 'b', 'a']], ['Hottest', ['c', 'b', 'a']], ['Article', ['a', 'b', 'c']]]) {
    await page.getByLabel('Order by').selectOption(by);
    await equal(() => order(page), wanted);
  }
  await assertAccessible(page);
});

test('columns can be hidden, and pins are told; both are kept', async (t) => {
  const { context, broker } = await setUp(t, { articles: 4 });
  const page = await openDashboard(context);
  await equal(async () => (await order(page)).length, 4);
  const heads = () => page.getByRole('columnheader').evaluateAll((all) => all.map((node) => node.getAttribute('aria-label')));
  const all = ['Pin', 'Article', 'Like', 'Dislike', 'Love', 'Funny', 'Angry', 'Sad', 'Wow', 'Total', 'Since opened', 'A minute', 'Last 5 minutes'];
  assert.deepEqual(await heads(), all);
  await page.locator('.columns summary').focus();
  await page.keyboard.press('Enter');
  for (const name of ['Dislike', 'Wow', 'A minute']) {
    await page.getByLabel(name, { exact: true }).and(page.getByRole('checkbox')).focus();
    await page.keyboard.press('Space');
    await equal(() => page.locator('#news').innerText(), `Column ${name} hidden`);
  }
  const fewer = all.filter((name) => !['Dislike', 'Wow', 'A minute'].includes(name));
  await equal(heads, fewer);
  assert.equal(await page.locator('.rows .row').first().getByRole('cell').count(), fewer.length);
  await page.locator('.rows .pin button').last().focus();
  const pinned = (await order(page)).at(-1);
  await page.keyboard.press('Space');
  await equal(() => page.locator('#news').innerText(), `Pinned: ${pinned}`);
  assert.deepEqual((await columns(page))['count 1'].length, 1);
  await assertAccessible(page);
  await page.reload();
  await equal(async () => (await order(page))[0], pinned);
  assert.deepEqual(await heads(), fewer);
  await page.locator('.columns summary').click();
  for (const name of fewer.filter((name) => !['Pin', 'Article', 'Total'].includes(name))) {
    await page.getByRole('checkbox', { name, exact: true }).uncheck();
  }
  await equal(heads, ['Pin', 'Article', 'Total']);
  for (const width of [360, 768, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    await assertLayout(page, { inside: '.rows *, .tools *', apart: ['.rows .row [role=cell]', '.tools > *'], fits: [['.rows [role=cell]', '.row']] });
  }
});

for (const [pins, view] of [
  ['{', 'no json'], ['null', 'null'], ['7', '7'], ['[null,{},7,"politics/story-1"]', '{"by":"__proto__","down":{},"hidden":[null,"kind:__proto__","total"]}'],
  [JSON.stringify(Array.from({ length: 5_000 }, (_, i) => `a/${i}`)), JSON.stringify({ by: 'spark', hidden: Array.from({ length: 5_000 }, (_, i) => `kind:k${i}`) })],
]) {
  test(`the page works where its storage has ${pins.slice(0, 40)} and ${view.slice(0, 40)}`, async (t) => {
    const { context, broker } = await setUp(t, { articles: 2 });
    await context.addInitScript(([a, b]) => {
      if (location.host) {
        localStorage['tally.pins'] = a;
        localStorage['tally.view'] = b;
      }
    }, [pins, view]);
    const page = await openDashboard(context);
    await equal(async () => (await order(page)).length, 2);
    assert.equal(await page.getByRole('columnheader').count(), 13);
    assert.equal(await page.getByLabel('Order by').inputValue(), 'hot');
    await page.locator('.rows .pin button').last().click();
    await equal(() => page.locator('.rows .pin button[aria-pressed=true]').count().then((n) => n > 0), true);
    assert.ok(await page.evaluate(() => JSON.parse(localStorage['tally.pins']).length <= 50));
  });
}

for (const width of [360, 1280]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`holds together at ${width} pixels, ${colorScheme}, with large numbers`, async (t) => {
      const { context, broker } = await setUp(t, { articles: 20, viewport: { width, height: 900 }, colorScheme, reducedMotion: 'reduce' });
      broker.total('world/an-article-whose-id-is-as-long-as-a-whole-headline-and-goes-on-without-end-or-a-place-to-break', {
        like: 81_234_567, dislike: 99_999, love: 1_000_000, funny: 1, angry: 7_654_321, sad: 12_345, wow: 0,
      });
      const page = await openDashboard(context);
      await equal(async () => (await order(page)).length, 21);
      for (let i = 0; i < 12; i++) {
        react(broker, name(i), 'love', 1 + ((i * 5) % 7));
      }
      await until(async () => assert.notEqual(await cell(page, (await order(page))[0], 'rate'), ''));
      await assertLayout(page, {
        inside: '.rows *:not(path):not(svg):not(.kind), .figures *, .tools *, .more *, .masthead *',
        apart: ['.rows .row:nth-child(-n+6) [role=cell]', '.figures dd, .figures dt', '.tools > *'],
        fits: [['.rows [role=cell]', '.row']],
      });
      await assertAccessible(page);
      await keepShot(page, `dashboard-${width}-${colorScheme}`);
    });
  }
}

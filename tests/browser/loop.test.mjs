/*
 * The whole system in a real browser. TALLY_HTTP is where it is served (script/server's http://127.0.0.1:8080): its broker's
 * address is read from the script that it serves. Each test has its own article, so they can be run on any running system.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import {
  Bar, assertAccessible, assertLayout, hostPage, keepShot, launch, profile, reactionsOf, storeRequests, until, requestOf,
} from './support/browser.mjs';
import { Wire } from './support/proxy.mjs';

const home = process.env.TALLY_HTTP?.replace(/\/$/, '');
const skip = home ? false : 'TALLY_HTTP does not say where a running system is';
const LOST_CONNECTION = /WebSocket connection to .* failed/;
const CARAVAN = 'world/migrant-caravan';

let browser;
let brokerAt; // {host, port}
let paper; // somebody's site, at another origin; a real one, as Chromium lets no made-up page reach loopback
before(async () => {
  if (home) {
    browser = await launch();
    const [, address] = /"(:\d+|wss?:[^"]*)"/.exec(await (await fetch(`${home}/tally.js`)).text());
    const url = new URL(address.startsWith(':') ? `ws://${new URL(home).hostname}${address}` : address);
    brokerAt = { host: url.hostname, port: Number(url.port || 80) };
    paper = http.createServer(answerAsPaper);
    await new Promise((resolve) => paper.listen(0, '127.0.0.1', resolve));
  }
});
after(async () => {
  await browser?.close();
  paper?.close();
});

// A page under a strict policy, with bars for ?articles=
function answerAsPaper(request, response) {
  const url = new URL(request.url, 'http://paper');
  if (url.pathname === '/frame') {
    // As AMP and content management systems frame it
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', ...(url.searchParams.has('coep') ? { 'Cross-Origin-Embedder-Policy': 'require-corp' } : {}) });
    response.end(`<!doctype html><html lang="en"><title>A frame</title><link rel="icon" href="data:,"><iframe title="Reactions" width="360" height="400"
      ${url.searchParams.has('sandbox') ? 'sandbox="allow-scripts"' : ''} src="${home}/embed?article=${url.searchParams.get('article')}&lang=fr"></iframe></html>`);
    return;
  }
  const connect = url.searchParams.get('broker') ?? `ws://${new URL(home).hostname}:${brokerAt.port}`;
  response.writeHead(200, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': `default-src 'none'; img-src data:; script-src ${home}; connect-src ${connect}; require-trusted-types-for 'script'`,
  });
  response.end(hostPage(url, home));
}

const paperAt = () => `127.0.0.1:${paper.address().port}`;

const newArticle = () => `test/browser-${randomBytes(6).toString('hex')}`;

/** A profile that may talk to the system, and to what else is given. */
function reader(t, { hosts = [], ...options } = {}) {
  const own = [new URL(home).host, `${new URL(home).hostname}:${brokerAt.port}`, paperAt()];
  return profile(t, browser, { hosts: [...own, ...hosts], ...options });
}

async function openArticle(context, article, { broker } = {}) {
  const page = await context.newPage();
  await page.goto(`http://${paperAt()}/?articles=${article}${broker ? `&broker=${encodeURIComponent(broker)}` : ''}`);
  return { page, bar: new Bar(page, article) };
}

async function openDashboard(context) {
  const page = await context.newPage();
  await page.goto(`${home}/dashboard`);
  await until(async () => assert.equal(await page.locator('#state').innerText(), 'Live'));
  return page;
}

const dashboardCell = (page, article, column) => page.locator(`.row[data-article="${article}"] .${column}`).innerText();

describe('the loop', { skip }, () => {
  test('a click in one page shows in another and on the dashboard', async (t) => {
    const article = newArticle();
    const [one, two, newsroom] = [await reader(t), await reader(t), await reader(t)];
    const { bar: clicked } = await openArticle(one, article);
    const { bar: watching } = await openArticle(two, article);
    const dashboard = await openDashboard(newsroom);
    await dashboard.locator('#filter').fill(article); // whatever else the system has
    await clicked.becomes({ sum: '0' });
    await watching.becomes({ sum: '0' });

    const timed = async (kind, wanted, total) => {
      await clicked.click(kind);
      const begun = performance.now();
      const since = () => Math.round(performance.now() - begun);
      const [page, row, receipt] = await Promise.all([
        watching.becomes(wanted).then(since),
        until(async () => assert.equal(await dashboardCell(dashboard, article, 'total'), total)).then(since),
        clicked.becomes({ status: kind === 'none' ? /no reaction/ : /^Counted/ }).then(since),
      ]);
      t.diagnostic(`${kind}: ${page} ms to the other page, ${row} ms to the dashboard, ${receipt} ms to the receipt`);
    };
    await timed('angry', { counts: { angry: '1', love: '0' }, sum: '1', pressed: 'none' }, '1');
    await timed('love', { counts: { angry: '0', love: '1' }, sum: '1' }, '1');
    await watching.click('love');
    await clicked.becomes({ counts: { love: '2' }, shares: { love: '100%' }, pressed: 'love' });
    await until(async () => assert.equal(await dashboardCell(dashboard, article, 'total'), '2'));
    await until(async () => assert.equal(await dashboardCell(dashboard, article, 'gained'), '+2'));
  });

  const { TALLY_COMMAND, TALLY_DATA, TALLY_MQTT_PORT, TALLY_REDIS_PORT } = process.env;
  const foreign = TALLY_COMMAND ? false : 'TALLY_COMMAND does not say where the operator\'s command is';
  test('what an operator says of an article shows at once: closed, kinds, results after closing', { skip: foreign }, async (t) => {
    const article = newArticle();
    const say = (...options) =>
      execFileSync(TALLY_COMMAND, ['article', article, `--services-file=${TALLY_DATA}/services`, `--mqtt-port=${TALLY_MQTT_PORT}`,
        `--redis-port=${TALLY_REDIS_PORT}`, ...options]);
    const [one, newsroom] = [await reader(t), await reader(t)];
    const { bar } = await openArticle(one, article);
    const dashboard = await openDashboard(newsroom);
    await dashboard.locator('#filter').fill(article);
    const rows = () => dashboard.locator(`.row[data-article="${article}"]`).count();
    await bar.becomes({ sum: '0' });
    await bar.click('love');
    await bar.becomes({ sum: '1', status: /^Counted/ });
    await until(async () => assert.equal(await rows(), 1));
    say('--state=closed');
    await bar.becomes({ sum: '1', info: /Closed/, disabled: true });
    say('--state=open', '--kinds=like,love', '--results=after_close');
    await bar.becomes({ info: /Results come after closing/, kinds: 'like,love', counts: { like: '–', love: '–' }, pressed: 'love' });
    await until(async () => assert.equal(await rows(), 0)); // nor does the newsroom see them
    await bar.click('like');
    await bar.becomes({ pressed: 'like', status: /^Counted: Like/ });
    say('--state=closed');
    await bar.becomes({ info: /Closed/, counts: { like: '1', love: '0' } });
    await until(async () => assert.equal(await rows(), 1));
    say('--clear');
    await bar.becomes({ kinds: 'like,dislike,love,funny,angry,sad,wow', info: 'Reactions: 1' });
  });

  test('a reaction is changed, taken back and given again', async (t) => {
    const context = await reader(t);
    const { bar } = await openArticle(context, newArticle());
    await bar.becomes({ sum: '0' });
    for (const [click, pressed, sum] of [
      ['like', 'like', '1'], ['sad', 'sad', '1'], ['sad', 'none', '0'], ['wow', 'wow', '1'],
    ]) {
      await bar.click(click);
      await bar.becomes({ pressed, sum, status: /^Counted/ });
    }
    await bar.becomes({ counts: { like: '0', sad: '0', wow: '1' } });
  });

  test('a storm of clicks settles at the one that was last', async (t) => {
    const article = newArticle();
    const { page, bar } = await openArticle(await reader(t), article);
    const { bar: watching } = await openArticle(await reader(t), article);
    await bar.becomes({ sum: '0' });
    await page.evaluate(async () => {
      const buttons = [...document.querySelector('tally-reactions').shadowRoot.querySelectorAll('button')];
      for (let i = 0; i < 60; i++) {
        buttons[(i * 3) % buttons.length].click();
        await new Promise((resolve) => setTimeout(resolve, i % 5));
      }
      buttons[0].getAttribute('aria-pressed') === 'true' || buttons[0].click();
    });
    await watching.becomes({ counts: { like: '1' }, sum: '1' });
    await bar.becomes({ counts: { like: '1' }, sum: '1', pressed: 'like', status: 'Counted: Like.' });
  });

  test('two tabs of one reader count once', async (t) => {
    const article = newArticle();
    const context = await reader(t);
    const { bar: one } = await openArticle(context, article);
    const { bar: two } = await openArticle(context, article);
    await one.becomes({ sum: '0' });
    await two.becomes({ sum: '0' });
    await one.click('like');
    await one.becomes({ status: 'Counted: Like.' });
    await two.becomes({ pressed: 'like', counts: { like: '1' } });
    await two.click('wow');
    await two.becomes({ status: 'Counted: Wow.', counts: { like: '0', wow: '1' }, sum: '1' });
    await one.becomes({ pressed: 'wow', counts: { like: '0', wow: '1' }, sum: '1' });
  });

  test('the own choice is there after a reload', async (t) => {
    const { page, bar } = await openArticle(await reader(t), newArticle());
    await bar.becomes({ sum: '0' });
    await bar.click('funny');
    await bar.becomes({ status: 'Counted: Funny.' });
    await page.reload();
    await bar.becomes({ pressed: 'funny', counts: { funny: '1' }, sum: '1' });
    await bar.click('funny');
    await bar.becomes({ pressed: 'none', sum: '0', status: 'Counted: no reaction.' });
    await page.reload();
    await bar.becomes({ pressed: 'none', sum: '0' });
  });

  test('a click while the wire is cut counts when it is joined, in its order', async (t) => {
    const article = newArticle();
    const wire = new Wire(brokerAt.host, brokerAt.port);
    await wire.join();
    t.after(() => wire.cut());
    const context = await reader(t, { hosts: [new URL(wire.url).host], tolerate: LOST_CONNECTION });
    const { page, bar } = await openArticle(context, article, { broker: wire.url });
    const { bar: watching } = await openArticle(await reader(t), article);
    await bar.becomes({ sum: '0' });
    await bar.click('like');
    await bar.becomes({ status: 'Counted: Like.' });
    await wire.cut();
    await bar.becomes({ trouble: /^Not connected/ }, 8_000);
    await bar.click('angry');
    await bar.becomes({ pressed: 'angry', counts: { like: '0', angry: '1' }, status: /^Kept/ });
    await watching.becomes({ counts: { like: '1', angry: '0' } });
    await until(async () => assert.ok(Date.now() - (await requestOf(page, article)).at > 1_000));
    await wire.join();
    const ms = await bar.becomes({ status: 'Counted: Angry.', trouble: '', counts: { like: '0', angry: '1' }, sum: '1' }, 40_000);
    t.diagnostic(`counted ${Math.round(ms)} ms after the wire was joined`);
    await watching.becomes({ counts: { like: '0', angry: '1' }, sum: '1' });
  });

  test('a request that waited for longer than a newer one is superseded', async (t) => {
    const article = newArticle();
    const context = await reader(t);
    const { page, bar } = await openArticle(context, article);
    await bar.becomes({ sum: '0' });
    await bar.click('love');
    await bar.becomes({ status: 'Counted: Love.' });
    // As a device of the same reader does that was away: its click is older than what was counted meanwhile.
    const { at } = await requestOf(page, article);
    await storeRequests(page, [[article, { kind: 'sad', was: 'none', settled: 0, at: at - 60_000 }]]);
    await page.reload();
    await bar.becomes({ pressed: 'love', status: 'Your later reaction counts: Love.', counts: { love: '1', sad: '0' } });
  });

  test('a refusal of the broker is said in words', async (t) => {
    const context = await reader(t);
    // On its way to the real broker a kind becomes one that nobody configured.
    await context.routeWebSocket((url) => Number(url.port) === brokerAt.port, (socket) => {
      const server = socket.connectToServer();
      socket.onMessage((message) => {
        const bytes = Buffer.from(message);
        const at = bytes[0] === 0x32 ? bytes.lastIndexOf('love') : -1;
        if (at > 0) {
          bytes.write('lova', at);
        }
        server.send(bytes);
      });
    });
    const { bar } = await openArticle(context, newArticle());
    await bar.becomes({ sum: '0' });
    await bar.click('like');
    await bar.becomes({ status: 'Counted: Like.' });
    await bar.click('love');
    await bar.becomes({ status: 'Not counted. Not offered here.', pressed: 'like', counts: { like: '1', love: '0' } });
  });

  test('a reader with a keyboard alone reacts and finds the dashboard', async (t) => {
    const context = await reader(t);
    const page = await context.newPage();
    await page.goto(`${home}/`);
    const bar = new Bar(page, CARAVAN);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab'); // which scrolls to the bar, so that it connects
    await bar.becomes({ sum: /^\d/ });
    await page.keyboard.press('Space');
    await bar.becomes({ pressed: 'like', status: 'Counted: Like.' });
    await page.keyboard.press('Space');
    await bar.becomes({ pressed: 'none', status: 'Counted: no reaction.' });
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${home}/dashboard`);
    await until(async () => assert.equal(await page.locator('#state').innerText(), 'Live'));
  });

  test('the page for a frame works under its own policy', async (t) => {
    const article = newArticle();
    const page = await (await reader(t)).newPage();
    await page.goto(`${home}/embed?article=${encodeURIComponent(article)}&kinds=like,sad&compact=`);
    const bar = new Bar(page, article);
    await bar.becomes({ kinds: 'like,sad', sum: '0' });
    await bar.click('sad');
    await bar.becomes({ status: 'Counted: Sad.', counts: { sad: '1' } });
  });

  for (const how of ['sandbox', 'coep', 'sandbox&coep']) {
    test(`the page for a frame works in ${how}`, async (t) => {
      const page = await (await reader(t)).newPage();
      await page.goto(`http://${paperAt()}/frame?article=${newArticle()}&${how}`);
      const frame = page.frameLocator('iframe');
      await frame.locator('[part~=sad]').click();
      await until(async () => assert.equal(await frame.locator('[part=status]').innerText(), 'Comptée : Triste.'));
      await keepShot(page, `frame-${how}`);
    });
  }

  for (const width of [360, 1280]) {
    test(`the served pages hold together at ${width} pixels`, async (t) => {
      const context = await reader(t, { viewport: { width, height: 900 }, reducedMotion: 'reduce' });
      const page = await context.newPage();
      await page.goto(`${home}/`);
      const bar = new Bar(page, CARAVAN);
      await bar.element.scrollIntoViewIfNeeded();
      await bar.becomes({ sum: /^\d/ });
      await bar.click('sad');
      await bar.becomes({ status: 'Counted: Sad.' });
      await assertLayout(page, { inside: 'main *', apart: ['button'], fits: [['[part=label], [part=count], [part=share]', 'button']] });
      await assertAccessible(page);
      await keepShot(page, `served-article-${width}`, { fullPage: true });
      const dashboard = await openDashboard(context);
      await until(async () => assert.ok((await dashboard.locator('.rows .row').count()) > 0));
      await assertLayout(dashboard, { inside: '.rows *:not(path):not(svg):not(.kind), .figures *', apart: ['.rows .row:nth-child(-n+6) > *'] });
      await assertAccessible(dashboard);
      await keepShot(dashboard, `served-dashboard-${width}`);
      await bar.click('sad');
      await bar.becomes({ status: 'Counted: no reaction.' });
    });
  }
});

const DAY_MS = 86_400_000;

/** Nothing is counted until what is returned is called. */
function stopCollector(t) {
  const pid = Number(readFileSync(`${process.env.TALLY_DATA}/run/collector.pid`));
  const goOn = () => process.kill(pid, 'SIGCONT');
  t.after(goOn);
  process.kill(pid, 'SIGSTOP');
  return goOn;
}

const settled = (page, article) => until(async () => assert.equal((await requestOf(page, article))?.settled ?? 1, 1));

/** A page that has a request of another time, as one that was closed then has left it. */
async function openWithRequest(context, article, request, shown = article) {
  const { page, bar } = await openArticle(context, shown);
  await bar.becomes({ sum: '0' });
  const via = `ws://${new URL(home).hostname}:${brokerAt.port}`;
  await storeRequests(page, [[article, { kind: request.kind, at: Date.now() - request.ago, was: 'none', settled: 0, sent: 0, via }]]);
  await page.reload();
  return { page, bar };
}

test('an operator watches the whole system; a wrong secret is refused at once', {
  skip: skip || (!process.env.TALLY_DATA && 'TALLY_DATA does not say where the operator\'s secret is'),
}, async (t) => {
  const [, secret] = /^operator operator (\S+)$/m.exec(readFileSync(`${process.env.TALLY_DATA}/services`, 'utf8'));
  const context = await reader(t);
  const page = await context.newPage();
  let connections = 0;
  page.on('websocket', () => (connections += 1));
  await page.goto(`${home}/ops`);
  const logIn = async (typed) => {
    await page.locator('#secret').fill(typed);
    await page.keyboard.press('Enter');
  };
  await logIn(`${secret}-not`);
  await until(async () => assert.match(await page.locator('#why').innerText(), /does not accept this name/));
  assert.equal(connections, 1);
  await logIn(secret);
  await until(async () => assert.equal(await page.locator('#state').innerText(), 'Live'));
  const admitted = async () => Number((await page.locator('#rates tbody tr').first().locator('td').nth(1).innerText()).replaceAll(',', ''));
  await until(async () => assert.ok((await admitted()) >= 0));
  const before = await admitted();
  const { bar } = await openArticle(context, newArticle());
  await bar.click('love');
  await bar.becomes({ counts: { love: '1' } });
  await page.bringToFront();
  await until(async () => assert.ok((await admitted()) > before));
  await keepShot(page, 'ops-system', { fullPage: true });
});

describe('a request', { skip: skip || (!process.env.TALLY_DATA && 'TALLY_DATA does not say whose collector may be stopped') }, () => {
  test('is pending in every tab until it is counted, then settled', async (t) => {
    const article = newArticle();
    const context = await reader(t);
    const { page, bar } = await openArticle(context, article);
    const { bar: other } = await openArticle(context, article);
    await bar.becomes({ sum: '0', pending: 'none' });
    await other.becomes({ sum: '0' });
    const goOn = stopCollector(t);
    await bar.click('like');
    await bar.becomes({ pressed: 'like', pending: 'like', counts: { like: '1' }, status: 'Received, soon to be counted.' });
    await other.becomes({ pressed: 'like', pending: 'like', status: '' });
    assert.equal((await requestOf(page, article)).settled, 0);
    goOn();
    await bar.becomes({ pressed: 'like', pending: 'none', status: 'Counted: Like.' });
    await other.becomes({ pressed: 'like', pending: 'none', counts: { like: '1' }, sum: '1' });
    stopCollector(t);
    await bar.click('like');
    await bar.becomes({ pressed: 'none', pending: 'like' });
    goOn();
    await bar.becomes({ pressed: 'none', pending: 'none', status: 'Counted: no reaction.' });
    await other.becomes({ pressed: 'none', pending: 'none', sum: '0' });
  });

  test('of a profile that went away before the receipt is sent with its age by the next, and settles', async (t) => {
    const article = newArticle();
    const first = await reader(t);
    const { page, bar } = await openArticle(first, article);
    await bar.becomes({ sum: '0' });
    const goOn = stopCollector(t);
    await bar.click('wow');
    await bar.becomes({ pending: 'wow', status: /^Received/ });
    const { at } = await requestOf(page, article);
    const storageState = await first.storageState();
    await first.close();
    const later = await reader(t, { storageState });
    const sent = reactionsOf(later);
    const { page: again, bar: same } = await openArticle(later, article);
    await same.becomes({ pressed: 'wow', pending: 'wow' });
    await until(() => assert.equal(sent.length, 1));
    assert.equal(sent[0].reaction, 'wow');
    assert.ok(sent[0].age > 0 && sent[0].age <= Date.now() - at, `age ${sent[0].age}`);
    goOn();
    await same.becomes({ pressed: 'wow', pending: 'none', status: 'Counted: Wow.', counts: { wow: '1' }, sum: '1' });
    await settled(again, article);
  });

  test('of a tab that went away before the receipt is sent by another tab, of another article', async (t) => {
    const article = newArticle();
    const context = await reader(t, { tolerate: /ERR_INTERNET_DISCONNECTED/ }); // of the sending code, which is loaded again
    await context.clock.install();
    const sent = reactionsOf(context);
    const { page: staying, bar: elsewhere } = await openArticle(context, newArticle());
    const { page, bar } = await openArticle(context, article);
    await elsewhere.becomes({ sum: '0' });
    await bar.becomes({ sum: '0' });
    await context.setOffline(true); // of new connections only; so cut those that are open, too
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pagehide')));
    await bar.click('sad');
    await bar.becomes({ pending: 'sad' });
    await page.close();
    await context.setOffline(false);
    assert.equal(sent.length, 0);
    await staying.clock.fastForward(16_000);
    await settled(staying, article);
    assert.deepEqual(sent.map(({ topic, reaction }) => [topic, reaction]), [[`reactions/${article}`, 'sad']]);
    assert.ok(sent[0].age >= 15_000, `age ${sent[0].age}`);
  });

  test('of a day ago is sent with its age and settles; of over a week ago it is said to be too old', async (t) => {
    const article = newArticle();
    const context = await reader(t);
    const sent = reactionsOf(context);
    const { page, bar } = await openWithRequest(context, article, { kind: 'love', ago: DAY_MS });
    await bar.becomes({ pressed: 'love', pending: 'none', status: 'Counted: Love.', counts: { love: '1' } });
    assert.equal(sent.length, 1);
    assert.ok(sent[0].age >= DAY_MS && sent[0].age < DAY_MS + 60_000, `age ${sent[0].age}`);
    await settled(page, article);
    await page.close();

    const { bar: old } = await openWithRequest(context, newArticle(), { kind: 'love', ago: 8 * DAY_MS });
    await old.becomes({ pressed: 'none', pending: 'none', status: 'Not counted. Over a week old.', sum: '0' });
    assert.equal(sent.length, 1);
  });

  test('of ten clicks without a connection is one', async (t) => {
    const article = newArticle();
    const wire = new Wire(brokerAt.host, brokerAt.port);
    await wire.join();
    t.after(() => wire.cut());
    const context = await reader(t, { hosts: [new URL(wire.url).host], tolerate: LOST_CONNECTION });
    const sent = reactionsOf(context);
    const { page, bar } = await openArticle(context, article, { broker: wire.url });
    await bar.becomes({ sum: '0' });
    await wire.cut();
    for (const kind of ['like', 'sad', 'sad', 'wow', 'like', 'love', 'funny', 'dislike', 'wow', 'angry']) {
      await bar.click(kind);
    }
    await bar.becomes({ pressed: 'angry', pending: 'angry', counts: { angry: '1' }, sum: '1', status: /^Kept/ });
    await wire.join();
    await page.evaluate(() => dispatchEvent(new Event('online')));
    await bar.becomes({ pressed: 'angry', pending: 'none', status: 'Counted: Angry.', sum: '1' });
    assert.deepEqual(sent.map(({ reaction }) => reaction), ['angry']);
  });

  test('of a page that was away gives way to the newer one of the same reader elsewhere', async (t) => {
    const article = newArticle();
    const wire = new Wire(brokerAt.host, brokerAt.port);
    await wire.join();
    t.after(() => wire.cut());
    const one = await reader(t);
    const { page, bar: newer } = await openArticle(one, article);
    await newer.becomes({ sum: '0' });
    await page.evaluate(() => (localStorage.tallyRequests = JSON.stringify(['89abcdef'.repeat(4), []])));
    const two = await reader(t, { storageState: await one.storageState(), hosts: [new URL(wire.url).host], tolerate: LOST_CONNECTION });
    await two.clock.install();
    const { page: away, bar: older } = await openArticle(two, article, { broker: wire.url });
    await older.becomes({ sum: '0' });
    await wire.cut();
    await older.click('sad');
    await older.becomes({ pressed: 'sad', pending: 'sad', status: /^Kept/ });
    await away.clock.fastForward(60_000); // more than any message is under way on a busy machine
    await newer.click('love');
    await newer.becomes({ status: 'Counted: Love.', counts: { love: '1' } });
    await wire.join();
    await away.evaluate(() => dispatchEvent(new Event('online')));
    await older.becomes({ pressed: 'love', pending: 'none', status: 'Your later reaction counts: Love.', counts: { love: '1', sad: '0' } });
    assert.deepEqual(await requestOf(away, article).then(({ kind, settled: is }) => [kind, is]), ['love', 1]);
  });

  test('that was refused while its article was not shown is told when it is', async (t) => {
    const [shown, article] = [newArticle(), newArticle()];
    const { page } = await openWithRequest(await reader(t), article, { kind: 'proud', ago: 60_000 }, shown);
    await settled(page, article);
    await page.locator('tally-reactions').evaluate((element, id) => element.setAttribute('article', id), article);
    const bar = new Bar(page, article);
    await bar.becomes({ pressed: 'none', pending: 'none', status: 'Not counted. Not offered here.', sum: '0' });
    await page.reload();
    await new Bar(page, shown).becomes({ sum: '0', status: '' });
    assert.deepEqual(await requestOf(page, article).then(({ kind, news }) => [kind, news]), ['none', 0], 'told once');
  });
});

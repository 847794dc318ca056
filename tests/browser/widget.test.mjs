/* What a site gets: the bar's size, its manners among others, languages, states, events, and what comes with it: counts and the frame. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pause } from '../../dashboard-feed/web-src/mqtt.js';
import {
  BROKER, Bar, KINDS, SITE, assertAccessible, assertLayout, hostPage, keepShot, launch, profile, scripts, serve, until,
} from './support/browser.mjs';
import { ScriptedBroker, kindOf } from './support/broker.mjs';

const ARTICLE = 'world/migrant-caravan';
const FEW = { like: 3, angry: 12 };
const BYTES_MOST = 5_000;

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
  return { context, broker };
}

/** `asked`: what the page has, see hostPage */
async function openPage(context, asked = {}, article = ARTICLE) {
  const page = await context.newPage();
  await page.goto(`${SITE}/page?${new URLSearchParams({ articles: ARTICLE, ...asked })}`);
  return { page, bar: new Bar(page, article) };
}

/** Events of the bars of a page, from now on. */
async function eventsOf(page) {
  await page.evaluate(() => {
    globalThis.heard = [];
    for (const name of ['reacted', 'refused', 'totals']) {
      document.addEventListener(`tally:${name}`, ({ target, detail }) => heard.push([name, target.localName, detail.article, detail.value]));
    }
  });
  return () => page.evaluate(() => heard);
}

const attributesOf = (attributes) => ({ attributes: Object.entries(attributes).map(([name, value]) => `${name}='${value}'`).join(' ') });

test(`all of the bar is ${BYTES_MOST} bytes at most`, (t) => {
  const bytes = execFileSync('gzip', ['-9', '-n', '-c', join(scripts, 'tally.js')]).length;
  t.diagnostic(`tally.js: ${bytes} bytes gzip -9`);
  assert.ok(bytes <= BYTES_MOST, `${bytes} bytes`);
});

test('a thousand readers do not come back at once, and nobody later than after a minute', () => {
  for (const [failures, most] of [2, 4, 8, 16, 32, 60, 60, 60].entries()) {
    assert.ok(pause(failures, 0) >= 100, 'never at once');
    assert.equal(pause(failures, 1) - pause(failures, 0), most * 1000);
  }
  assert.ok(pause(1000, 1) <= 61_000);
});

describe('the connection', () => {
  test('begins when a bar comes near', async (t) => {
    const { context, broker } = await setUp(t, { viewport: { width: 800, height: 600 }, pages: { '/long.css': ['text/css', 'p { height: 3000px; }'] } });
    const { page, bar } = await openPage(context, { body: '<p>Text</p>', style: '/long.css' });
    await until(() => page.evaluate(() => customElements.get('tally-reactions')?.name !== undefined || Promise.reject(new Error('not yet'))));
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assert.equal(broker.sessions.length, 0);
    await bar.element.scrollIntoViewIfNeeded();
    await bar.becomes({ sum: '0' });
    assert.equal(broker.sessions.length, 1);
  });

  test('is closed after a minute in a hidden tab, and comes back with the reader', async (t) => {
    const { context, broker } = await setUp(t, { clock: true });
    const { page, bar } = await openPage(context);
    await bar.becomes({ sum: '0' });
    const look = (hidden) =>
      page.evaluate((is) => {
        Object.defineProperty(document, 'hidden', { value: is, configurable: true });
        document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
      }, hidden);
    await look(true);
    await page.clock.fastForward(50_000);
    await bar.becomes({ sum: '0' });
    assert.equal(broker.open.length, 1);
    await page.clock.fastForward(15_000);
    await until(() => assert.equal(broker.open.length, 0));
    await page.clock.fastForward(600_000);
    assert.equal(broker.sessions.length, 1, 'it does not try meanwhile');
    broker.total(ARTICLE, FEW);
    await look(false);
    await bar.becomes({ counts: { angry: '12' }, trouble: '' });
    await look(true);
    await page.clock.fastForward(50_000);
    await look(false);
    await page.clock.fastForward(50_000);
    await bar.becomes({ counts: { angry: '12' } });
    assert.equal(broker.sessions.length, 2, 'a short look elsewhere costs nothing');
  });

  test('ends a while after the last bar has left the page, and not for one that is moved', async (t) => {
    const { context, broker } = await setUp(t, { clock: true });
    const { page, bar } = await openPage(context);
    await bar.becomes({ sum: '0' });
    await page.evaluate(() => {
      const element = document.querySelector('tally-reactions');
      document.body.append(element);
    });
    await bar.becomes({ sum: '0' });
    await page.clock.runFor(20_000);
    assert.equal(broker.open.length, 1);
    await page.evaluate(() => document.querySelector('tally-reactions').remove());
    await page.clock.runFor(20_000);
    await until(() => assert.equal(broker.open.length, 0));
    assert.equal(broker.sessions.length, 1);
  });

  test('proves the reader by a token, and is made again with another', async (t) => {
    const { context, broker } = await setUp(t);
    const { page, bar } = await openPage(context, attributesOf({ token: 'first.of.them' }));
    await bar.becomes({ sum: '0' });
    assert.deepEqual([broker.open[0].password, broker.open[0].username.length > 15], ['first.of.them', true]);
    await bar.element.evaluate((element) => element.setAttribute('token', 'x'.repeat(4096)));
    await until(() => assert.equal(broker.open.at(-1)?.password.length, 4096));
    await bar.click('like');
    await bar.becomes({ status: 'Counted: Like.' });
    assert.equal(broker.open.length, 1);
    assert.equal(broker.published.length, 1);
    await page.reload();
    await bar.becomes({ pressed: 'like' });
  });
});

describe('an article', () => {
  test('that is closed takes no click, says so, and reopens live', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total(ARTICLE, FEW);
    broker.state(ARTICLE, { open: false, state: 'closed' });
    const { page, bar } = await openPage(context);
    await bar.becomes({ counts: { angry: '12' }, disabled: true, trouble: 'Closed' });
    await bar.button('like').click({ force: true });
    await bar.element.evaluate((element) => element.react('like'));
    await assertAccessible(page);
    broker.state(ARTICLE, {});
    await bar.becomes({ disabled: false, trouble: '', pressed: 'none' });
    assert.equal(broker.published.length, 0);
    broker.state(ARTICLE, { open: false, state: 'closed' }, 1); // an older word
    await bar.click('like');
    await bar.becomes({ status: 'Counted: Like.', disabled: false, counts: { like: '4' } });
  });

  test('offers the kinds of its state, in their order, and the page its own among them', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total(ARTICLE, { ...FEW, sad: 5 });
    broker.state(ARTICLE, { kinds: ['angry', 'like', 'wow'] });
    const { bar } = await openPage(context);
    await bar.becomes({ kinds: 'angry,like,wow', counts: { angry: '12' }, sum: '15', shares: { angry: '80%' } });
    broker.state(ARTICLE, {});
    await bar.becomes({ kinds: KINDS.join(), sum: '20' });
    broker.state(ARTICLE, { kinds: ['angry', 'like', 'wow'] });
    const { bar: own } = await openPage(context, attributesOf({ kinds: 'wow, sad, like' }));
    await own.becomes({ kinds: 'wow,like' });
  });

  test('whose results come later shows none until then', async (t) => {
    const { context, broker } = await setUp(t);
    broker.state(ARTICLE, { results: 'after_close' });
    const { page, bar } = await openPage(context);
    await bar.becomes({ trouble: 'Results come after closing', sum: '', counts: { like: '–' }, shares: { like: '' } });
    broker.answers = (session, reaction) => {
      broker.acknowledge(session, reaction);
      broker.receipt(session, reaction, { outcome: 'counted' });
    };
    await bar.click('like');
    await bar.becomes({ pressed: 'like', status: 'Counted: Like.', counts: { like: '–' }, sum: '' });
    await assertAccessible(page);
    await keepShot(page, 'hidden-results');
    broker.state(ARTICLE, { open: false, state: 'closed', results: 'after_close' });
    broker.total(ARTICLE, { like: 1, sad: 3 });
    await bar.becomes({ counts: { like: '1', sad: '3' }, sum: '4', disabled: true, trouble: 'Closed' });
    await keepShot(page, 'closed');
    broker.clear(ARTICLE);
    broker.state(ARTICLE, { results: 'after_close' });
    await bar.becomes({ counts: { like: '–' }, sum: '', disabled: false });
  });
});

describe('a page', () => {
  test('hears what becomes of reactions, and can react itself', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total(ARTICLE, FEW);
    const { page, bar } = await openPage(context);
    const heard = await eventsOf(page);
    await bar.becomes({ sum: '15' });
    const react = (kind) => bar.element.evaluate((element, of) => element.react(of), kind);
    await react('love');
    await bar.becomes({ status: 'Counted: Love.', pressed: 'love' });
    await react('love');
    await bar.becomes({ status: 'Counted: Love.', pressed: 'love', pending: 'none' });
    await react('none');
    await bar.becomes({ status: 'Counted: no reaction.', pressed: 'none' });
    broker.answers = (session, reaction) => broker.receipt(session, reaction, { outcome: 'refused', reason: 'rate_reader' });
    await react('sad');
    await bar.becomes({ status: /^Not counted/ });
    const events = await heard();
    const of = (name) => events.filter(([is]) => is === name).map((event) => event.slice(1));
    assert.deepEqual(of('reacted').map(([, , value]) => value), ['love', 'love', 'none']);
    assert.deepEqual(of('refused'), [['tally-reactions', ARTICLE, 'rate_reader']]);
    assert.equal(of('totals').at(-1)[2].article, ARTICLE);
    assert.deepEqual(broker.published.map(kindOf), ['love', 'love', 'none', 'sad']);
  });

  test('cannot break it by its style, and can theme it', async (t) => {
    const hostile = `* { all: unset !important; color: #eee !important; font: 3px/0 cursive !important; letter-spacing: 2em !important; text-transform: uppercase !important; }
      button, span, div, fieldset, legend, output, b, i, small { display: none !important; position: fixed !important; width: 1px !important; }
      main, tally-reactions { display: block !important; }`;
    const theme = `tally-reactions { --tally-accent: rgb(10, 20, 30); --tally-background: rgb(250, 240, 230); --tally-color: rgb(1, 2, 3); }
      tally-reactions::part(card) { border-radius: 12px; } tally-reactions::part(like) { font-style: italic; }`;
    const { context, broker } = await setUp(t, { pages: { '/hostile.css': ['text/css', hostile], '/theme.css': ['text/css', theme] } });
    broker.total(ARTICLE, FEW);
    const measure = (bar) =>
      bar.element.evaluate(({ shadowRoot }) =>
        [...shadowRoot.querySelectorAll('button, [part=count], [part=title]')].map((node) => {
          const { width, height } = node.getBoundingClientRect();
          const { color, fontFamily, letterSpacing, textTransform, display } = getComputedStyle(node);
          return [Math.round(width), Math.round(height), color, fontFamily, letterSpacing, textTransform, display].join();
        }));
    const { bar: plain } = await openPage(context);
    const { page, bar: beset } = await openPage(context, { style: '/hostile.css' });
    await plain.becomes({ sum: '15' });
    await beset.becomes({ sum: '15' });
    const [calm, harassed] = [await measure(plain), await measure(beset)];
    assert.equal(calm.length, harassed.length);
    const looks = (all) => all.map((one) => one.split(',').slice(2).join());
    assert.deepEqual(looks(harassed), looks(calm));
    assert.ok((await beset.button('like').boundingBox()).height >= 44);
    await beset.click('like');
    await beset.becomes({ status: 'Counted: Like.' });
    await keepShot(page, 'hostile');

    const { bar: themed } = await openPage(context, { style: '/theme.css' });
    await themed.becomes({ pressed: 'like' });
    const styleOf = (selector, name) =>
      themed.element.evaluate(({ shadowRoot }, [of, property]) => getComputedStyle(shadowRoot.querySelector(of))[property], [selector, name]);
    assert.equal(await styleOf('[part~=like]', 'borderTopColor'), 'rgb(10, 20, 30)');
    assert.equal(await styleOf('[part~=like]', 'fontStyle'), 'italic');
    assert.equal(await styleOf('[part=card]', 'backgroundColor'), 'rgb(250, 240, 230)');
    assert.equal(await styleOf('[part=card]', 'color'), 'rgb(1, 2, 3)');
    assert.equal(await styleOf('[part=card]', 'borderRadius'), '12px');
  });

  test('that is light stays so for a reader who likes it dark', async (t) => {
    const { context } = await setUp(t, { colorScheme: 'dark' });
    for (const [scheme, background] of [['normal', 'rgb(255, 255, 255)'], ['light dark', 'rgb(18, 18, 18)']]) {
      const { bar } = await openPage(context, { scheme });
      await bar.becomes({ sum: '0' });
      assert.equal(await bar.element.evaluate(({ shadowRoot }) => getComputedStyle(shadowRoot.querySelector('[part=card]')).backgroundColor), background);
    }
  });

  test('without the script has what it wrote into the element', async (t) => {
    const body = `<tally-reactions article="x"><a href="/react">React</a></tally-reactions>`;
    const { context } = await setUp(t, { javaScriptEnabled: false });
    const { page } = await openPage(context, { articles: '', body });
    assert.equal(await page.getByRole('link', { name: 'React' }).isVisible(), true);
  });

  test('may have stored anything at all', async (t) => {
    const odd = (request) => JSON.stringify(['0123456789abcdef', [[ARTICLE, { kind: 'like', was: 'none', at: 1, settled: 0, sent: 0, due: 0, via: BROKER, ...request }]]]);
    for (const stored of [
      '{"a":1}', '[1,2]', '["0123456789abcdef",[[7],null]]', 'no json', '["short",[]]', JSON.stringify(['x'.repeat(200), []]), '[{"a":1},[]]',
      '["0123456789abcdef",[["bad/#",{"kind":"like","was":"none","at":9e12,"settled":0}],["a",5]]]', odd({ kind: {} }), odd({ kind: '', was: 7, at: 9e12 }), odd({ at: '5' }),
      odd({ settled: 1, news: 5 }), odd({ settled: 1, news: ['constructor', '__proto__'] }), odd({ sent: 'x', due: 1e300 }), odd({ kind: 'sad', via: 'wss://old.test/', at: 9e12 }),
    ]) {
      const { context, broker } = await setUp(t);
      await context.addInitScript((text) => location.protocol === 'http:' && (localStorage.tallyRequests ??= text), stored);
      const { bar } = await openPage(context);
      await bar.becomes({ sum: /^[01]$/, pending: 'none' });
      await bar.click('wow');
      await bar.becomes({ status: 'Counted: Wow.', counts: { wow: '1' } });
      assert.match(broker.open.at(-1).username, /^[\w-]{16,128}$/, stored);
    }
  });

  test('hears events out of a shadow root, sees kinds of any name, and `false` of React 18', async (t) => {
    const { context, broker } = await setUp(t);
    const odd = ['constructor', '__proto__', 'tostring', 'valueOf', 'like'];
    const { page } = await openPage(context, { articles: '' });
    await page.evaluate(([id, kinds]) => {
      globalThis.heard = [];
      document.addEventListener('tally:reacted', ({ detail }) => heard.push(detail.value));
      const host = document.body.appendChild(document.createElement('div'));
      const bar = document.createElement('tally-reactions');
      const attributes = { article: id, kinds, compact: 'false', hidden: 'false', token: 'false', lang: 'false', labels: 'false', broker: 'false' };
      Object.entries(attributes).forEach(([name, value]) => bar.setAttribute(name, value));
      host.attachShadow({ mode: 'open' }).append(bar);
    }, [ARTICLE, odd.join(' ')]);
    const bar = new Bar(page, ARTICLE);
    await bar.becomes({ kinds: odd.join(), sum: '0', labels: { constructor: 'Constructor', like: 'Like' }, counts: { constructor: '0', __proto__: '0' } });
    assert.ok(await bar.element.locator('[part=title]').evaluate((node) => getComputedStyle(node).clipPath === 'none'), 'not compact');
    await bar.click('constructor');
    await bar.becomes({ status: 'Counted: Constructor.', pressed: 'constructor' });
    assert.equal(broker.open[0].password, '');
    assert.deepEqual(await page.evaluate(() => heard), ['constructor']);
  });

  test('sees what is in the element, and is told on the console, where the article is none', async (t) => {
    const { context } = await setUp(t);
    const said = [];
    context.on('console', (message) => said.push(message.text()));
    const bad = ['', 'article=""', 'article="/2026/x"', 'article="a//b"', 'article="not an id"', `article="${'x'.repeat(201)}"`, 'article="1/2/3/4/5/6/7/8/9"'];
    const body = bad.map((attribute, i) => `<tally-reactions ${attribute}><a href="/react">React ${i}</a></tally-reactions>`).join('');
    const { page, bar } = await openPage(context, { body });
    await bar.becomes({ sum: '0' });
    for (const i of bad.keys()) {
      assert.ok(await page.getByRole('link', { name: `React ${i}` }).isVisible(), bad[i]);
    }
    await until(() => assert.equal(said.filter((text) => text.includes('no article id')).length, bad.length));
  });

  test('may load the script twice, from two places', async (t) => {
    const { context, broker } = await setUp(t);
    const { page, bar } = await openPage(context);
    await bar.becomes({ sum: '0' });
    await page.evaluate(() => import('/tally.js?again'));
    await bar.click('like');
    await bar.becomes({ status: 'Counted: Like.' });
    assert.equal(broker.sessions.length, 1);
  });
});

describe('the words', () => {
  for (const [lang, title, like, dir, counted] of [
    ['fr', 'Quelle est votre réaction ?', 'J’aime', 'ltr', 'Comptée : J’aime.'],
    ['FR', 'Quelle est votre réaction ?', 'J’aime', 'ltr', 'Comptée : J’aime.'],
    ['fr_FR', 'Quelle est votre réaction ?', 'J’aime', 'ltr', 'Comptée : J’aime.'],
    ['fr-CA', 'Quelle est votre réaction ?', 'J’aime', 'ltr', 'Comptée : J’aime.'],
    ['es-MX', '¿Cuál es su reacción?', 'Me gusta', 'ltr', 'Contada: Me gusta.'],
    ['ar', 'ما رأيك؟', 'أعجبني', 'rtl', 'تم احتسابه: أعجبني.'],
  ]) {
    test(`in ${lang} are loaded when asked for`, async (t) => {
      const { context, broker } = await setUp(t, { viewport: { width: 360, height: 800 } });
      broker.total(ARTICLE, FEW);
      const { page, bar } = await openPage(context, attributesOf({ lang }));
      await bar.becomes({ title, labels: { like } });
      await bar.click('like');
      await bar.becomes({ status: counted });
      assert.equal(await bar.element.evaluate(({ shadowRoot }) => getComputedStyle(shadowRoot.querySelector('[part=card]')).direction), dir);
      const [first, second] = [await bar.button('like').boundingBox(), await bar.button('dislike').boundingBox()];
      assert.equal(first.x < second.x, dir === 'ltr');
      await assertLayout(page, { inside: '[part=card] *:not(legend)', apart: ['button'], fits: [['[part=label]', 'button']] });
      if (lang !== 'fr_FR') { // which works, and is not a language tag: the page's fault
        await assertAccessible(page);
      }
      await keepShot(page, `language-${lang}`);
    });
  }

  test('of every language are the same', async () => {
    const read = async (name) => Object.keys((await import(`../../dashboard-feed/web-src/${name}.js`)).default);
    const english = [...await read('words'), ...await read('reasons')];
    for (const lang of ['fr', 'es', 'ar']) {
      const keys = (await read(`tally.${lang}`)).filter((key) => key !== 'Dir' && !KINDS.includes(key));
      assert.deepEqual(keys.sort(), [...english].sort(), lang);
      const texts = (await import(`../../dashboard-feed/web-src/tally.${lang}.js`)).default;
      const reasons = ['bad_topic', 'bad_article', 'unknown_article', 'bad_payload', 'unknown_kind', 'closed', 'rate_reader', 'rate_address', 'busy', 'clock', 'forbidden', 'too_old'];
      const words = reasons.map((reason) => texts[reason[0].toUpperCase() + reason.slice(1)]);
      assert.equal(new Set(words.filter((text) => text)).size, reasons.length, lang);
    }
  });

  test('of any other come by an attribute, and kinds that nobody knows have their names', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total(ARTICLE, { ...FEW, proud: 0 });
    const { bar } = await openPage(context, attributesOf({
      lang: 'de', kinds: 'like angry proud', labels: JSON.stringify({ Title: 'Was meinen Sie?', Counted: 'Gezählt: ', like: 'Gefällt mir' }),
    }));
    await bar.becomes({ title: 'Was meinen Sie?', labels: { like: 'Gefällt mir', angry: 'Angry', proud: 'Proud' }, kinds: 'like,angry,proud' });
    await bar.click('like');
    await bar.becomes({ status: 'Gezählt: Gefällt mir.' });
    await bar.element.evaluate((element) => element.setAttribute('labels', 'no json'));
    await bar.becomes({ title: 'What’s your reaction?', sum: '16' });
  });

  test('and numbers are the reader’s', async (t) => {
    const { context, broker } = await setUp(t, { locale: 'de-DE' });
    broker.total(ARTICLE, { like: 12_345, sad: 81_234_567 });
    const { bar } = await openPage(context);
    await bar.becomes({ counts: { like: '12.345' }, sum: '81.246.912', shares: { sad: '100\u00a0%' } });
  });

  test('and numbers are the bar’s where it has a language, whatever it is', async (t) => {
    for (const [lang, sum] of [['fr', '23\u202f469\u202f262'], ['FR_fr', '23\u202f469\u202f262'], ['de', '23.469.262'], ['en', '23,469,262'], ['no such tag', '23,469,262'], ['', '23,469,262']]) {
      const { context, broker } = await setUp(t);
      broker.total(ARTICLE, { like: 23_469_262 });
      const { bar } = await openPage(context, attributesOf({ lang, labels: '{"Sum":"Reactions: "}' }));
      await bar.becomes({ sum });
    }
  });

  test('never show more than there is', async (t) => {
    const { context, broker } = await setUp(t);
    broker.total(ARTICLE, { like: 9_999_999, dislike: 999_950, love: 100_000, sad: 99_999 });
    const { bar } = await openPage(context);
    await bar.becomes({ counts: { like: '9.9M', dislike: '999.9K', love: '100K', sad: '99,999' } });
  });

  test('get no button for a kind that no total knows', async (t) => {
    const { context, broker } = await setUp(t);
    const { bar } = await openPage(context, attributesOf({ kinds: 'sad bogus constructor like' }));
    await bar.becomes({ kinds: 'sad,bogus,constructor,like' }); // nothing says which kinds there are
    broker.total(ARTICLE, FEW);
    await bar.becomes({ kinds: 'sad,like', sum: '3' });
    broker.open[0].publish(`totals/${ARTICLE}`, { counts: { like: 4, bogus: 2 }, version: 2_000 });
    await bar.becomes({ kinds: 'bogus,like', sum: '6' });
  });
});

describe('looks', () => {
  test('its rows of buttons have no hole, and compact has every count below its icon', async (t) => {
    const { context, broker } = await setUp(t, { viewport: { width: 360, height: 900 } });
    broker.total(ARTICLE, { like: 99_999, dislike: 1, love: 81_234_567, sad: 12_345 });
    for (const attributes of [{}, { compact: '' }]) {
      const { page, bar } = await openPage(context, attributesOf(attributes));
      await bar.becomes({ counts: { like: '99,999' } });
      for (const width of [360, 520, 1280]) {
        await page.setViewportSize({ width, height: 900 });
        const [left, right, boxes] = await bar.element.evaluate(({ shadowRoot }) => {
          const box = (node) => node.getBoundingClientRect();
          const of = (button) => [box(button), box(button.querySelector('[part=icon]')), box(button.querySelector('[part=count]'))];
          const all = box(shadowRoot.querySelector('fieldset'));
          return [all.left, all.right, [...shadowRoot.querySelectorAll('button')].map((button) => of(button).map(({ left, right, top, bottom }) => ({ left, right, top, bottom })))];
        });
        const rows = new Map();
        boxes.forEach((one) => rows.set(one[0].top, [...(rows.get(one[0].top) ?? []), one]));
        assert.equal(boxes.length, 7);
        for (const [top, row] of rows) {
          assert.ok(Math.abs(row[0][0].left - left) < 1 && Math.abs(row.at(-1)[0].right - right) < 1, `a hole in the row at ${top} of ${width}`);
        }
        boxes.forEach(([, icon, count], i) => assert.ok(count.top >= icon.bottom - 1, `the count of ${KINDS[i]} is beside its icon at ${width}`));
      }
    }
  });

  for (const width of [360, 1280]) {
    test(`move nothing at ${width} pixels where the page keeps the room that docs/embedding.md says`, async (t) => {
      const readme = readFileSync(new URL('../../docs/embedding.md', import.meta.url), 'utf8');
      const css = readme.split('\n').filter((line) => /min-height: [\d.]+em/.test(line)).join('\n');
      const below = (url) => hostPage(url, SITE).replace('</main>', `<p>${'What comes below. '.repeat(40)}</p></main>`);
      const { context, broker } = await setUp(t, {
        viewport: { width, height: 900 }, pages: { '/room.css': ['text/css', css], '/below': ['text/html; charset=utf-8', below] },
      });
      broker.total(ARTICLE, FEW);
      let come;
      const script = new Promise((resolve) => { come = resolve; });
      await context.route('**/tally.js', async (route) => { await script; await route.fallback(); });
      await context.addInitScript(() => {
        globalThis.shift = 0;
        new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => { shift += value; })).observe({ type: 'layout-shift', buffered: true });
      });
      const shiftOf = async (style) => {
        const page = await context.newPage();
        await page.goto(`${SITE}/below?${new URLSearchParams({ articles: ARTICLE, style })}`, { waitUntil: 'commit' });
        await until(() => page.evaluate(() => performance.getEntriesByName('first-contentful-paint').length || Promise.reject(new Error('not painted'))));
        come();
        await new Bar(page, ARTICLE).becomes({ sum: '15' });
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        return page.evaluate(() => shift);
      };
      const shift = await shiftOf('/room.css');
      t.diagnostic(`cumulative layout shift ${shift}`);
      assert.ok(shift < 0.02, `${shift}`);
    });
  }

  for (const colorScheme of ['light', 'dark']) {
    for (const width of [360, 1280]) {
      test(`compact and full, at ${width} pixels, ${colorScheme}, with text at 200 %`, async (t) => {
        const { context, broker } = await setUp(t, { viewport: { width, height: 900 }, colorScheme });
        broker.total(ARTICLE, FEW);
        broker.total('b', { like: 12_345, dislike: 900, love: 1_234_567, sad: 7 });
        const { page, bar } = await openPage(context, { articles: `${ARTICLE},b`, ...attributesOf({ compact: '' }) });
        await page.evaluate(() => document.querySelector('[article=b]').removeAttribute('compact'));
        await bar.becomes({ sum: '15' });
        await bar.click('angry');
        await bar.becomes({ status: 'Counted: Angry.' });
        for (const size of ['', '200%']) {
          await page.evaluate((to) => (document.documentElement.style.fontSize = to), size);
          await assertLayout(page, { inside: '[part=card], button', apart: ['button'], fits: [['[part=count]', 'button']] });
          await assertAccessible(page);
          const sides = await page.locator('button').evaluateAll((all) => all.flatMap((b) => [b.offsetWidth, b.offsetHeight]));
          assert.ok(Math.min(...sides) >= 44, `targets of ${sides}`);
          await keepShot(page, `layouts-${width}-${colorScheme}${size ? '-large' : ''}`, { fullPage: true });
        }
      });
    }
  }
});

describe('counts of a list', () => {
  test('come with one request, without a socket', async (t) => {
    const asked = [];
    const answer = (url) => {
      const ids = url.searchParams.get('articles').split(',');
      asked.push(ids);
      return JSON.stringify({ totals: ids.map((article, i) => (article === 'secret' ? { article, hidden: true } : { article, total: 1000 + i, counts: {}, version: 1 })) });
    };
    const page = (url) => hostPage(url, SITE).replaceAll('tally.js', 'tally-count.js');
    const { context, broker } = await setUp(t, {
      pages: { '/totals': ['application/json', answer], '/list': ['text/html; charset=utf-8', page] },
    });
    const counts = ['a', 'b/c%d', 'a', 'secret', 'not an id', ...Array.from({ length: 110 }, (_, i) => `n/${i}`)];
    const list = await context.newPage();
    await list.goto(`${SITE}/list?${new URLSearchParams({ body: counts.map((id) => `<p><tally-count article="${id}">…</tally-count></p>`).join('') })}`);
    const texts = () => list.locator('tally-count').allTextContents();
    await until(async () => assert.deepEqual((await texts()).slice(0, 6), ['1,000', '1,001', '1,000', '', '…', '1,003']));
    await until(async () => assert.notEqual((await texts()).at(-1), '…'));
    assert.deepEqual(asked.map((ids) => ids.length).sort((a, b) => a - b), [13, 100]);
    assert.equal(asked.flat()[1], 'b/c%d');
    assert.equal(broker.sessions.length, 0);
    await list.locator('tally-count').first().evaluate((element) => element.setAttribute('article', 'other'));
    await until(() => assert.deepEqual(asked.at(-1), ['other']));
  });

  test('an id that is none, or that is refused, costs the others nothing, and is on the console', async (t) => {
    const asked = [];
    const answer = (url) => {
      asked.push(url.search.length);
      const ids = url.searchParams.get('articles').split(',');
      return JSON.stringify({ totals: ids.map((article) => (article === 'refused' ? { article, error: 'bad_article' } : { article, total: 7, counts: {}, version: 1 })) });
    };
    const page = (url) => hostPage(url, SITE).replaceAll('tally.js', 'tally-count.js');
    const { context } = await setUp(t, {
      pages: { '/totals': ['application/json', answer], '/list': ['text/html; charset=utf-8', page] },
    });
    const list = await context.newPage();
    const said = [];
    list.on('console', (message) => said.push(message.text()));
    const long = Array.from({ length: 100 }, (_, i) => `${i}/`.padEnd(200, '%E8%AF%BB'));
    const bad = ['/2026/x', 'a//b', 'a,b', '-a', 'a/b/c/d/e/f/g/h/i', 'x'.repeat(201), 'caf\u00e9', ''];
    await list.goto(`${SITE}/list`);
    await list.evaluate((ids) => {
      document.body.append(...ids.map((id) => Object.assign(document.createElement('tally-count'), { innerText: '…' })).map((node, i) => (node.setAttribute('article', ids[i]), node)));
      document.body.append(document.createElement('tally-count'));
    }, [...bad, 'refused', 'good', '%E8%AF%BB', ...long]);
    const texts = () => list.locator('tally-count').allTextContents();
    await until(async () => assert.deepEqual(await texts(), [...bad.map(() => '…'), '…', '7', '7', ...long.map(() => '7'), '']));
    assert.ok(asked.length > 1 && Math.max(...asked) < 7_000, `lines of ${asked}`);
    for (const id of [...bad, 'refused', null]) {
      await until(() => assert.equal(said.filter((line) => line.includes(`article ${JSON.stringify(id)}: `)).length, 1, `${id}: ${said}`));
    }
    assert.equal(said.length, bad.length + 2);
  });

  test('stay what they were where nobody answers', async (t) => {
    const page = (url) => hostPage(url, SITE).replaceAll('tally.js', 'tally-count.js');
    const { context } = await setUp(t, { tolerate: /404/, pages: { '/list': ['text/html; charset=utf-8', page] } });
    const list = await context.newPage();
    const answered = list.waitForResponse(/totals/);
    await list.goto(`${SITE}/list?body=${encodeURIComponent('<tally-count article="a">12</tally-count>')}`);
    await answered;
    assert.equal(await list.locator('tally-count').innerText(), '12');
  });
});

test('the page for a frame tells its parent its height, and works there', async (t) => {
  const parent = `<!doctype html><html lang="en"><title>Parent</title><link rel="icon" href="data:,"><script type="module" src="/parent.js"></script>
    <iframe title="Reactions" src="${SITE}/embed?article=${ARTICLE}&lang=fr&kinds=like,sad" width="360"></iframe></html>`;
  const script = `globalThis.heights = []; addEventListener('message', ({ data, origin }) => { if (data?.tally === 'height') heights.push({ ...data, origin }); if (data?.sentinel === 'amp') amp.push(data); }); globalThis.amp = [];`;
  const { context, broker } = await setUp(t, { pages: { '/parent.js': ['text/javascript', script] } });
  await context.route('**/parent', (route) => route.fulfill({ contentType: 'text/html', body: parent })); // without the policy: it frames
  broker.total(ARTICLE, FEW);
  const page = await context.newPage();
  await page.goto(`${SITE}/parent`);
  const frame = page.frameLocator('iframe');
  await until(async () => assert.equal(await frame.locator('[part=title]').innerText(), 'Quelle est votre réaction ?'));
  await frame.locator('[part~=sad]').click();
  await until(async () => assert.equal(await frame.locator('[part=status]').innerText(), 'Comptée : Triste.'));
  await until(async () => {
    const last = await page.evaluate(() => heights.at(-1));
    const height = await frame.locator('tally-reactions').evaluate((element) => Math.ceil(element.getBoundingClientRect().height));
    assert.deepEqual(last, { tally: 'height', article: ARTICLE, height, origin: SITE });
    assert.ok(height > 80);
    assert.deepEqual(await page.evaluate(() => [amp[0], amp.at(-1)]), [{ sentinel: 'amp', type: 'embed-ready' }, { sentinel: 'amp', type: 'embed-size', height }]);
  });
});

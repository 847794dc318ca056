/*
 * Pages in Debian's Chromium, watched: an error on the console, an uncaught exception or a request to anybody but the hosts that a
 * test names fails the test that opened the page.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = fileURLToPath(new URL('..', import.meta.url));
const project = join(here, '../..');
const web = join(project, 'dashboard-feed/web');
export const scripts = join(process.env.TALLY_BUILD ?? join(project, 'build/release'), 'dashboard-feed/web'); // as they are built

export const KINDS = ['like', 'dislike', 'love', 'funny', 'angry', 'sad', 'wow'];
export const SOON_MS = 20_000; // how long any condition is waited for, on a busy machine too

// The shell is the same engine without the browser around it, for a third of its processor time.
const CHROMIUM = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'];

export function launch() {
  return chromium.launch({
    executablePath: process.env.TALLY_CHROMIUM ?? CHROMIUM.find(existsSync) ?? CHROMIUM[0],
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
}

/** Keeps a screenshot in the folder TALLY_SHOTS, if that is set. */
export async function keepShot(page, name, options = {}) {
  const folder = process.env.TALLY_SHOTS;
  if (folder) {
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: join(folder, `${name}.png`), ...options });
  }
}

/** A new browser profile for one test; it is closed, and its pages judged, when the test ends. */
export async function profile(t, browser, options = {}) {
  const { hosts = [], tolerate, ...contextOptions } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-US', ...contextOptions });
  context.setDefaultTimeout(SOON_MS);
  const problems = [];
  const foreign = [];
  const note = (text) => tolerate?.test(text) || problems.push(text);
  const judge = (url) => {
    const { protocol, host } = new URL(url);
    if (protocol !== 'data:' && !hosts.includes(host)) {
      foreign.push(url);
    }
  };
  context.on('console', (message) => message.type() === 'error' && note(message.text()));
  context.on('weberror', (error) => note(String(error.error())));
  context.on('request', (request) => judge(request.url()));
  context.on('page', (page) => page.on('websocket', (socket) => judge(socket.url())));
  t.after(async () => {
    await context.close();
    assert.deepEqual(problems, [], 'errors on the console');
    assert.deepEqual(foreign, [], 'requests to others');
  });
  return context;
}

/* ---- The pages out of the source tree, at http://tally.test, for tests with a scripted broker ---------------------- */

export const SITE = 'http://tally.test';
export const BROKER = 'ws://tally.test:9001/';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };
const PAGES = { '/': '/index.html', '/dashboard': '/dashboard.html', '/ops': '/ops.html', '/embed': '/embed.html' };

const STRICT = `default-src 'none'; img-src data:; script-src ${SITE}; style-src ${SITE}; connect-src ws://tally.test:9001 ${SITE}; require-trusted-types-for 'script'; trusted-types 'none'`;

/**
 * A page of somebody else's: ?articles=a,b puts a bar for each, with &attributes=; &body= is what precedes them, &style= the name of a
 * sheet of the page's own (served at /NAME), &scheme= its color-scheme, &dir= its direction.
 */
export function hostPage(url, site) {
  const asked = (name, otherwise = '') => url.searchParams.get(name) ?? otherwise;
  const broker = asked('broker');
  const attributes = `${broker ? `broker="${broker}"` : ''} ${asked('attributes')}`;
  const bars = asked('articles').split(',').filter(Boolean).map((a) => `<tally-reactions article="${a}" ${attributes}></tally-reactions>`);
  const style = asked('style') && `<link rel="stylesheet" href="${asked('style')}">`;
  return `<!doctype html><html lang="en" dir="${asked('dir', 'ltr')}"><head><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,">
    <meta name="color-scheme" content="${asked('scheme', 'light dark')}"><meta name="viewport" content="width=device-width">
    ${style}<script type="module" src="${site}/tally.js"></script></head>
    <body><main><h1>A page</h1>${asked('body')}${bars.join('')}</main></body></html>`;
}

/** Serves them; `more` has what a test adds: {'/path': [content type, body]}. */
export async function serve(context, more = {}) {
  await context.route(`${SITE}/**`, async (route) => {
    const url = new URL(route.request().url());
    const file = PAGES[url.pathname] ?? url.pathname;
    const path = [web, scripts].map((folder) => join(folder, file)).find(existsSync);
    const headers = { 'Content-Security-Policy': STRICT, 'Access-Control-Allow-Origin': '*' };
    if (more[url.pathname]) {
      const [contentType, body] = more[url.pathname];
      await route.fulfill({ contentType, headers, body: typeof body === 'function' ? body(url) : body });
    } else if (url.pathname === '/page') {
      await route.fulfill({ contentType: 'text/html; charset=utf-8', headers, body: hostPage(url, SITE) });
    } else if (path) {
      const body = readFileSync(path, 'utf8').replace('@TALLY_BROKER@', ':9001');
      await route.fulfill({ contentType: `${TYPES[extname(path)]}; charset=utf-8`, headers, body });
    } else {
      await route.fulfill({ status: 404, body: '' });
    }
  });
}

/* ---- Looking at a bar ------------------------------------------------------------------------------------------------- */

export class Bar {
  constructor(page, article) {
    this.page = page;
    this.element = article ? page.locator(`tally-reactions[article="${article}"]`) : page.locator('tally-reactions');
  }

  button(kind) {
    return this.element.locator(`button[part~=${kind}]`);
  }

  click(kind) {
    return this.button(kind).click();
  }

  /**
   * Waits until what a reader sees has what is given: {counts: {like: '3', …}, shares, pressed: kind or 'none', pending: likewise, status, sum: '15', trouble: what else is said}; the
   * milliseconds it took. The page itself looks, at each change, as asking it over and over costs more than all else that a test does.
   */
  async becomes(wanted, timeoutMs = SOON_MS) {
    const begun = performance.now();
    let late;
    const timeout = new Promise((resolve) => {
      late = setTimeout(resolve, timeoutMs, 'late');
    });
    try {
      const seen = await Promise.race([this.element.evaluate(untilSeen, wanted, { timeout: timeoutMs }).catch((error) => error), timeout]);
      if (seen !== 'seen') {
        assert.deepEqual(await this.element.evaluate(untilSeen, null, { timeout: 2_000 }), wanted, `not seen in ${timeoutMs} ms (${seen})`);
      }
    } finally {
      clearTimeout(late);
    }
    return performance.now() - begun;
  }
}

/** In the page: 'seen' once the bar's state has all that is wanted; the state at once where nothing is wanted. */
function untilSeen(element, wanted) {
  const root = element.shadowRoot;
  const state = () => {
    const text = (selector, from = root) => from.querySelector(selector)?.textContent;
    const buttons = [...root.querySelectorAll('button')];
    const kindOf = (button) => button?.part[1] ?? 'none'; // after `button`
    const about = (text('[part=info]') ?? '').split(' · ').filter(Boolean);
    const sum = about.filter((word) => word.startsWith('Reactions: '));
    return {
      kinds: buttons.map(kindOf).join(),
      labels: Object.fromEntries(buttons.map((b) => [kindOf(b), text('[part=label]', b)])),
      counts: Object.fromEntries(buttons.map((b) => [kindOf(b), text('[part=count]', b)])),
      shares: Object.fromEntries(buttons.map((b) => [kindOf(b), text('[part=share]', b)])),
      pressed: buttons.filter((b) => b.getAttribute('aria-pressed') === 'true').map(kindOf).join() || 'none',
      pending: kindOf(buttons.find((b) => b.part.contains('pending'))),
      disabled: buttons.some((b) => b.getAttribute('aria-disabled') === 'true'),
      title: text('[part=title]'),
      status: text('[part=status]'),
      info: about.join(' · '),
      sum: sum.join('').replace('Reactions: ', ''),
      trouble: about.filter((word) => !sum.includes(word)).join(' '),
    };
  };
  const has = (is, want) => {
    if (want instanceof RegExp) {
      return want.test(is);
    }
    return typeof want === 'object' ? Object.entries(want).every(([key, value]) => has(is?.[key], value)) : is === want;
  };
  if (!wanted || has(state(), wanted)) {
    return wanted ? 'seen' : state();
  }
  return new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (has(state(), wanted)) {
        observer.disconnect();
        resolve('seen');
      }
    });
    observer.observe(root, { subtree: true, childList: true, characterData: true, attributes: true });
  });
}

/** What a page's storage has of a request; undefined if there is none. */
export const requestOf = (page, article) =>
  page.evaluate((id) => JSON.parse(localStorage.tallyRequests ?? '["",[]]')[1].find(([of]) => of === id)?.[1], article);

/** Changes what is stored: [[article, changes], …], to which a request's other members are added. */
export const storeRequests = (page, changes) =>
  page.evaluate((all) => {
    const [reader, list] = JSON.parse(localStorage.tallyRequests ?? '[null,[]]');
    const requests = new Map(list);
    const basis = { kind: 'like', was: 'none', at: Date.now(), via: '', settled: 0, sent: 0, due: 0 };
    all.forEach(([article, change]) => requests.set(article, { ...(requests.get(article) ?? basis), ...change }));
    localStorage.tallyRequests = JSON.stringify([reader ?? '0123456789abcdef'.repeat(2), [...requests]]);
  }, changes);

/** Reactions as pages of a context send them, from now on: [{topic, reaction, age}] */
export function reactionsOf(context) {
  const sent = [];
  const note = (bytes) => {
    if (bytes[0] !== 0x32) {
      return;
    }
    let at = 1;
    while (bytes[at++] > 127);
    const topicEnd = at + 2 + bytes.readUInt16BE(at);
    const text = bytes.subarray(topicEnd + 3 + bytes[topicEnd + 2]).toString(); // properties: under 128 bytes
    const { reaction, age_ms: age } = text.startsWith('{') ? JSON.parse(text) : { reaction: text };
    sent.push({ topic: bytes.subarray(at + 2, topicEnd).toString(), reaction, age });
  };
  context.on('page', (page) => page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => note(Buffer.from(payload)))));
  return sent;
}

/** Tries until nothing is thrown any more; past the time, what was thrown last. */
export async function until(attempt, timeoutMs = SOON_MS) {
  const end = performance.now() + timeoutMs;
  for (let pauseMs = 5; ; pauseMs = Math.min(100, pauseMs * 1.5)) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end) {
        throw error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/* ---- Judging a layout ---------------------------------------------------------------------------------------------- */

/** Fails where the page scrolls sideways, an element leaves its container or its text is cut, or two of a kind overlap. */
export async function assertLayout(page, { inside, apart, fits = [] }) {
  const found = await page.evaluate(
    ({ inside, apart, fits }) => {
      const all = (selector) => {
        const roots = [document, ...[...document.querySelectorAll('*')].map((e) => e.shadowRoot).filter(Boolean)];
        return roots.flatMap((root) => [...root.querySelectorAll(selector)]).filter((e) => e.getClientRects().length);
      };
      const name = (e) => `${e.localName}.${e.getAttribute('class') ?? e.id} “${e.textContent.trim().slice(0, 30)}”`;
      const width = document.documentElement.clientWidth;
      const faults = [];
      if (document.documentElement.scrollWidth > width) {
        faults.push(`the page is ${document.documentElement.scrollWidth} wide of ${width}`);
      }
      for (const e of all(inside)) {
        const box = e.getBoundingClientRect();
        if (box.left < -0.5 || box.right > width + 0.5) {
          faults.push(`${name(e)} leaves the page: ${box.left} to ${box.right} of ${width}`);
        }
        if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth) {
          faults.push(`${name(e)} is cut: ${e.scrollWidth} in ${e.clientWidth}`);
        }
      }
      for (const [child, parent] of fits) {
        for (const e of all(child)) {
          const [a, b] = [e.getBoundingClientRect(), e.closest(parent).getBoundingClientRect()];
          if (a.left < b.left - 0.5 || a.right > b.right + 0.5 || a.top < b.top - 0.5 || a.bottom > b.bottom + 0.5) {
            faults.push(`${name(e)} leaves its ${parent}`);
          }
        }
      }
      for (const selector of apart) {
        const boxes = all(selector).map((e) => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width && r.height);
        const near = boxes.slice(0, 400); // quadratic
        near.forEach(([a, p], i) =>
          near.slice(i + 1).forEach(([b, q]) => {
            const [x, y] = [Math.min(p.right, q.right) - Math.max(p.left, q.left), Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top)];
            if (x > 0.5 && y > 0.5) {
              faults.push(`${name(a)} overlaps ${name(b)} by ${x} × ${y}`);
            }
          }),
        );
      }
      return { faults, seen: all(inside).length };
    },
    { inside, apart, fits },
  );
  assert.ok(found.seen > 0, `nothing matches ${inside}`);
  assert.deepEqual(found.faults, []);
}

const axe = readFileSync(join(here, 'node_modules/axe-core/axe.min.js'), 'utf8');

/** No violation that axe knows of, in light and dark. Evaluated, not added as a script: the page's policy forbids that. */
export async function assertAccessible(page) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) {
    await page.evaluate(axe);
  }
  const before = await page.evaluate(() => (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    const violations = await page.evaluate(async () => {
      const result = await globalThis.axe.run(document, { resultTypes: ['violations'] });
      return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join('; ')}`);
    });
    assert.deepEqual(violations, [], colorScheme);
  }
  await page.emulateMedia({ colorScheme: before });
}

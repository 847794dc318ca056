/*
 * The reader's id and requests, which all tabs of this browser share: one item of its storage, `tallyRequests`: `["<reader>", [["<article>", request], …]]`.
 *
 * A request is what the reader wants to be counted for an article: {kind, at, was, via, settled, sent, due, news}. `at` is the time of the
 * click, `was` the choice that is known to be counted, `via` the broker, `sent` how often it was, `due` when to send it again. It is
 * `settled`, 1, once a receipt has come: `kind` is then what counts. `news` is what a bar must still tell the reader about that.
 * `why` and `slow` are for this page alone: the reason for which it was refused last and is sent again, and that a receipt is late.
 * The newest click wins, and a settled request does not go back.
 *
 * A page may be forbidden to store anything: then all is kept in memory, and forgotten with the page. What is found there may be
 * anything: an item without a reader's id, article, kind or time is skipped, and the broker refuses a nonsensical request, which settles it.
 */
import { unique } from './mqtt.js';

export const attempt = (action) => {
  try {
    return action();
  } catch {}
};

export const parse = (text) => attempt(() => JSON.parse(text)) ?? {};

export const warn = (...about) => console.warn('Tally:', ...about);

/** Whether it may be an article's id; the broker knows exactly. */
export const isArticle = (id) => id?.length < 201 && /^([%a-z\d][\w.~%-]*(\/(?!$)|$)){1,8}$/i.test(id);

export let reader = unique();
export let requests = new Map();

const rank = (request) => (request ? request.at + request.settled / 2 : 0);

/** Takes over what other tabs stored; with `write`, stores the result. */
export const sync = (write) => {
  attempt(() => {
    const [id, list] = JSON.parse(localStorage.tallyRequests);
    reader = id.match(/^[\w-]{16,128}$/)?.[0] ?? reader;
    for (const entry of list) {
      attempt(() => {
        const request = entry[1];
        const article = entry[0] + ''; // throws if it cannot be text, as of a kind and news
        if (isArticle(article) && /^.{1,16} /.test(request.kind + ' ' + request.news) && rank(request) > rank(requests.get(article))) {
          request.due = Date.now() + 15e3; // its own request another tab sends itself; if it is gone by then, this one does
          request.base = 0;
          requests.set(article, request);
        }
      });
    }
  });
  if (write) {
    // The newest 200, and what is not settled before what is
    requests = new Map([...requests].sort(([, a], [, b]) => b.settled - a.settled || a.at - b.at).slice(-200));
    attempt(() => (localStorage.tallyRequests = JSON.stringify([reader, [...requests]])));
  }
};

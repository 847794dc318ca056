/*
 * The reader's id and wishes, which all tabs of this browser share: one item of its storage, `tallyWishes`: `["<reader>", [["<article>", wish], …]]`.
 *
 * A wish is what the reader wants to be counted for an article: {kind, at, was, via, settled, sent, due, news}. `at` is the time of the
 * click, `was` the choice that is known to be counted, `via` the broker, `sent` how often it was, `due` when it is to be sent again. It is
 * `settled`, 1, once a receipt has come: `kind` is then what counts. `news` is what the reader is to be told of that, until a bar did.
 * The newest click stands, and what is settled does not go back.
 *
 * A page may be forbidden to store anything: then all is kept in memory, and forgotten with the page.
 */
import { unique } from './mqtt.js';

export const attempt = (action) => {
  try {
    return action();
  } catch {}
};

export let reader = unique();
export let wishes = new Map();

const rank = (wish) => (wish ? wish.at + wish.settled / 2 : 0);

/** Takes over what other tabs stored; with `write`, stores what stands then. */
export const sync = (write) => {
  attempt(() => {
    const [id, list] = JSON.parse(localStorage.tallyWishes);
    for (const [article, wish] of list) {
      if (rank(wish) > rank(wishes.get(article))) {
        wish.due = Date.now() + 15e3; // its own wish another tab sends itself; if it is gone by then, this one does
        wishes.set(article, wish);
      }
    }
    reader = id;
  });
  if (write) {
    // The newest 200, and what is not settled before what is
    wishes = new Map([...wishes].sort(([, a], [, b]) => b.settled - a.settled || a.at - b.at).slice(-200));
    attempt(() => (localStorage.tallyWishes = JSON.stringify([reader, [...wishes]])));
  }
};

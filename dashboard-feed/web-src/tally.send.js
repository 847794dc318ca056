/*
 * Sends a reader's wishes, and reports their outcome. The bar loads it when a reader reaches its buttons, or a wish waits.
 */
import { capital } from './capital.js';
import reasons from './reasons.js';

const WEEK_MS = 604_800_000;
const AGAIN_MS = 15_000; // and twice as long each time
const AGAIN_MOST_MS = 600_000;
const RECEIPT_MS = 2_000; // how much later than the broker's acknowledgement a receipt may come before a word is said

/** Whatever may succeed later stays a wish, and is sent again: an article may become known, tokens come back, a clock be set, a ring have room. */
const LATER = /^(unknown_article|rate_reader|rate_address|busy|clock)$/;

/** Returns [say, step, receipt, acknowledged, begin]; the comment beside each says what it does. */
export default (publish, connect, close, isUp, tell, sync, refresh) => {
  let busy; // the wish that is under way

  const settle = (wish, { outcome, current = wish.kind, reason = 'bad' }) => {
    const refused = outcome === 'refused';
    const again = refused && LATER.test(reason);
    wish.why = again ? reason : 0;
    wish.news = refused ? [again ? 'Again' : 'Refused', reason] : [current === wish.kind ? 'Counted' : 'Later', current];
    if (!again) {
      wish.base = wish.news[0] === 'Counted' && wish.base;
      wish.kind = refused ? wish.was : current;
      wish.settled = 1;
    }
    tell();
    sync(1);
  };

  const send = (article, wish, now) => {
    const age = Math.floor(Math.max(0, now - wish.at));
    if (age > WEEK_MS) {
      settle(wish, { outcome: 'refused', reason: 'too_old' });
      return;
    }
    // A first sending within a second needs no age: it is stamped as it arrives.
    const payload = wish.sent || age > 1_000 ? JSON.stringify({ reaction: wish.kind, age_ms: age }) : wish.kind;
    publish('reactions/' + article, payload, '' + wish.at);
    busy = wish;
    wish.sent = Math.min(20, Number.isInteger(wish.sent) ? wish.sent : 0) + 1;
    wish.due = now + Math.min(AGAIN_MOST_MS, (AGAIN_MS / 2) * 2 ** wish.sent);
    sync(1);
  };

  /** What a reader is told of a wish, in the bar's words: on its way, or `said`, what became of it. */
  const say = (wish, said, words, label) => {
    const [key, about] = String(wish.settled ? said : wish.why ? ['Again', wish.why] : wish.slow ? 'Received' : '').split(','); // whatever was stored
    const word = (of) => words[of] ?? reasons[of] ?? '';
    return word(key) + (about === undefined ? '' : /^[RA]/.test(key) ? word(capital(about)) || word('Bad') : (about === 'none' ? word(about) : label(about)) + '.');
  };

  /** No later time than this is set: beyond it, the clock was set back since. */
  const isDue = (wish, now) => !(wish.due > now && wish.due <= now + AGAIN_MOST_MS);

  // One publication is under way at a time, so that wishes arrive in the order of the clicks, and a burst of clicks is sent as its first and
  // its last.
  /** Sends what is due of [article, wish] pairs. */
  const step = (waiting) => {
    const now = Date.now();
    const next = waiting.find(([, wish]) => !wish.settled && isDue(wish, now));
    if (busy ? isDue(busy, now) : next) {
      busy && close(); // the broker forgot it
      connect(); // again, also where another tab stored its id after this connection began
      isUp() && send(...next, now);
    }
  };

  /** A receipt came. */
  const receipt = (wishes, message, correlation) => {
    wishes.forEach((wish, article) => {
      if (!wish.settled && article === (message.article ?? article)) {
        if (+wish.at === +correlation) {
          settle(wish, message);
        } else if (message.outcome !== 'refused') {
          wish.was = message.current ?? message.reaction; // an earlier click's
        }
      }
    });
  };

  /** The broker acknowledged what was under way. */
  const acknowledged = (code) => {
    const wish = busy;
    busy = 0;
    if (code < 128) {
      wish.why = 0;
    }
    setTimeout(() => {
      wish.slow = 1;
      // Refused without a receipt: whatever it was, it may be another time.
      wish.settled || wish.why || code < 128 ? refresh() : settle(wish, { outcome: 'refused', reason: 'busy' });
    }, RECEIPT_MS);
    refresh();
  };

  /** A connection begins: nothing is under way on it. */
  const begin = () => {
    busy = 0;
  };

  return [say, step, receipt, acknowledged, begin];
};

/*
 * Sends a reader's requests, and reports their outcome. The bar loads it when a reader reaches its buttons, or a request waits.
 */
import { capital } from './capital.js';
import reasons from './reasons.js';

const WEEK_MS = 604_800_000;
const AGAIN_MS = 15_000; // and twice as long each time
const AGAIN_MOST_MS = 600_000;
const RECEIPT_MS = 2_000; // how much later than the broker's acknowledgement a receipt may come before a word is said

/** Whatever may succeed later stays a request, and is sent again: an article may become known, tokens come back, a clock be set, a ring have room. */
const LATER = /^(unknown_article|rate_reader|rate_address|busy|clock)$/;

/** Returns [say, step, receipt, acknowledged, begin]; the comment beside each says what it does. */
export default (publish, connect, close, isUp, tell, sync, refresh) => {
  let busy; // the request that is under way

  const settle = (request, { outcome, current = request.kind, reason = 'bad' }) => {
    const refused = outcome === 'refused';
    const again = refused && LATER.test(reason);
    request.why = again ? reason : 0;
    request.news = refused ? [again ? 'Again' : 'Refused', reason] : [current === request.kind ? 'Counted' : 'Later', current];
    if (!again) {
      request.base = request.news[0] === 'Counted' && request.base;
      request.kind = refused ? request.was : current;
      request.settled = 1;
    }
    tell();
    sync(1);
  };

  const send = (article, request, now) => {
    const age = Math.floor(Math.max(0, now - request.at));
    if (age > WEEK_MS) {
      settle(request, { outcome: 'refused', reason: 'too_old' });
      return;
    }
    // A first sending within a second needs no age: it is stamped as it arrives.
    const payload = request.sent || age > 1_000 ? JSON.stringify({ reaction: request.kind, age_ms: age }) : request.kind;
    publish('reactions/' + article, payload, '' + request.at);
    busy = request;
    request.sent = Math.min(20, Number.isInteger(request.sent) ? request.sent : 0) + 1;
    request.due = now + Math.min(AGAIN_MOST_MS, (AGAIN_MS / 2) * 2 ** request.sent);
    sync(1);
  };

  /** What a reader is told of a request, in the bar's words: on its way, or `said`, what became of it. */
  const say = (request, said, words, label) => {
    const [key, about] = String(request.settled ? said : request.why ? ['Again', request.why] : request.slow ? 'Received' : '').split(','); // whatever was stored
    const word = (of) => words[of] ?? reasons[of] ?? '';
    return word(key) + (about === undefined ? '' : /^[RA]/.test(key) ? word(capital(about)) || word('Bad') : (about === 'none' ? word(about) : label(about)) + '.');
  };

  /** No later time than this is set: beyond it, the clock was set back since. */
  const isDue = (request, now) => !(request.due > now && request.due <= now + AGAIN_MOST_MS);

  // One publication is under way at a time, so that requests arrive in the order of the clicks, and a burst of clicks is sent as its first and
  // its last.
  /** Sends what is due of [article, request] pairs. */
  const step = (waiting) => {
    const now = Date.now();
    const next = waiting.find(([, request]) => !request.settled && isDue(request, now));
    if (busy ? isDue(busy, now) : next) {
      busy && close(); // the broker forgot it
      connect(); // again, also where another tab stored its id after this connection began
      isUp() && send(...next, now);
    }
  };

  /** A receipt came. */
  const receipt = (requests, message, correlation) => {
    requests.forEach((request, article) => {
      if (!request.settled && article === (message.article ?? article)) {
        if (+request.at === +correlation) {
          settle(request, message);
        } else if (message.outcome !== 'refused') {
          request.was = message.current ?? message.reaction; // an earlier click's
        }
      }
    });
  };

  /** The broker acknowledged what was under way. */
  const acknowledged = (code) => {
    const request = busy;
    busy = 0;
    if (code < 128) {
      request.why = 0;
    }
    setTimeout(() => {
      request.slow = 1;
      // Refused without a receipt: whatever it was, it may be another time.
      request.settled || request.why || code < 128 ? refresh() : settle(request, { outcome: 'refused', reason: 'busy' });
    }, RECEIPT_MS);
    refresh();
  };

  /** A connection begins: nothing is under way on it. */
  const begin = () => {
    busy = 0;
  };

  return [say, step, receipt, acknowledged, begin];
};

/*
 * The page's one connection, and the reader's wishes on their way. A bar is a function (away, what, article, value) that is told of totals,
 * states and that all that is retained has come; without arguments it shows what is known now.
 */
import mqtt from './mqtt.js';
import { attempt, reader, sync, wishes } from './wishes.js';

export default () => {
  let bars = new Map(); // bar → its article; the one that was clicked last is told first
  let away; // for over three seconds: a shorter absence is not worth a word
  let url, open, close, subscribe, unsubscribe, publish;
  let up, password, busy, painting, timer, lost;

  const tell = (what, article, value) => bars.forEach((_, bar) => bar(away, what, article, value));

  /** Shows and sends what there is now. */
  const refresh = () => {
    painting ||= requestAnimationFrame(() => {
      painting = 0;
      tell();
    });
    const now = Date.now();
    const waiting = [...wishes].filter(([, wish]) => !wish.settled && wish.via === url);
    clearTimeout(timer);
    if (up && (busy || waiting[0])) {
      timer = setTimeout(refresh, 1e3);
      // One publication is under way at a time, so that wishes arrive in the order of the clicks, and a burst of clicks is sent as its
      // first and its last.
      const next = waiting.find(([, wish]) => wish.due <= now);
      if (busy ? busy.due <= now : next) {
        busy && close(); // the broker forgot it
        connect(); // anew, too, where another tab stored its id after this connection began
        up && send(...next, now);
      }
    }
  };

  const connect = () => (password ? open(reader, password) : open(reader));

  const send = (article, wish, now) => {
    const age = Math.max(0, now - wish.at);
    if (age > 6048e5) {
      settle(wish, { outcome: 'refused', reason: 'too_old' }); // a week
    } else {
      // A first sending within a second needs no age: it is stamped as it arrives.
      publish('reactions/' + article, wish.sent || age > 1e3 ? JSON.stringify({ reaction: wish.kind, age_ms: age }) : wish.kind, '' + wish.at);
      busy = wish;
      wish.due = now + Math.min(6e5, 15e3 * 2 ** wish.sent++);
      sync(1);
    }
  };

  const settle = (wish, { outcome, current = wish.kind, reason }) => {
    if (outcome !== 'refused') {
      wish.news = [current === wish.kind ? 'Counted' : 'Later', current];
      wish.kind = current;
    } else if (wish.sent > 1 && /^(busy|clock|rate)/.test(reason)) {
      return; // a repeat may have been counted the first time
    } else {
      wish.news = ['Refused', reason];
      wish.kind = wish.was;
    }
    wish.settled = 1;
    tell();
    sync(1);
  };

  const react = (bar, article, kind) => {
    bars = new Map([[bar, article], ...bars]);
    const last = wishes.get(article);
    const was = last ? (last.settled ? last.kind : last.was) : 'none';
    wishes.set(article, { kind, at: Math.max(Date.now(), (last?.at ?? 0) + 1), was, via: url, settled: 0, sent: 0, due: 0 });
    sync(1);
    refresh();
  };

  const onUp = () => {
    clearTimeout(lost);
    up = 1;
    lost = away = busy = 0;
    // What an earlier page could not send, this one does, whatever article it is about.
    wishes.forEach((wish) => (wish.due = 0));
    refresh();
  };

  const onDown = () => {
    up = 0;
    lost ||= setTimeout(() => {
      away = !document.hidden;
      lost = 0;
      refresh();
    }, 3e3);
  };

  const onMessage = (topic, text, correlation) => {
    const [root, ...levels] = topic.split('/');
    const message = attempt(() => JSON.parse(text)) ?? {};
    tell(root, levels.join('/'), message);
    if (root === 'receipts') {
      wishes.forEach((wish, id) => {
        if (!wish.settled && id === (message.article ?? id)) {
          if (wish.at === +correlation) {
            settle(wish, message);
          } else if (message.outcome !== 'refused') {
            wish.was = message.current ?? message.reaction; // an earlier click's
          }
        }
      });
    }
    refresh();
  };

  const onAcknowledged = (code) => {
    const wish = busy;
    busy = 0;
    // The receipt may come a little later.
    setTimeout(() => {
      if (!wish.settled) {
        wish.slow = 1;
        code > 127 ? settle(wish, { outcome: 'refused', reason: 'busy' }) : refresh();
      }
    }, 2e3);
    refresh();
  };

  const onWhole = (refused) => {
    refused || tell('whole');
    refresh();
  };

  const filtersOf = (article) => ['totals/' + article, 'articles/' + article];

  /** A bar shows an article from now on. The page's first says which broker. */
  const join = (bar, article, broker, token) => {
    bars.set(bar, article);
    subscribe ?? ([open, close, subscribe, unsubscribe, publish] = mqtt(
      (url = broker), onUp, onDown, onMessage, onAcknowledged, onWhole,
    ));
    subscribe(filtersOf(article));
    password = token;
    connect();
  };

  /** It does not any more; a bar that is moved leaves and comes back. */
  const leave = (bar, article) => {
    bars.delete(bar);
    [...bars.values()].includes(article) || unsubscribe(filtersOf(article));
    setTimeout(() => bars.size || close(), 1e4);
  };

  addEventListener('storage', () => {
    sync();
    refresh();
  });
  sync();
  return [join, leave, react];
};

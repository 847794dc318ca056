/*
 * The page's one connection, the messages that it received, and the reader's requests in transit. A bar is a function (name, value) that makes an event
 * of its article, and without a name shows what is known now.
 */
import mqtt from './mqtt.js';
import { parse, reader, sync, warn, requests } from './requests.js';

let bars = new Map(); // bar → its article, '' while it is not near the screen; the one that was clicked last is told first
export const seen = new Map(); // topic → the newest that came
export let away; // for over three seconds: a shorter absence is not worth a word
let url, open, close, watch, publish;
let up, password, painting, timer, lost, loading;
export let say; // and the rest of what tally.send.js makes
let step, receipt, acknowledged, begin;

const tell = () => bars.forEach((_, bar) => bar());

/** Shows and sends what there is now. */
const refresh = () => {
  painting ||= requestAnimationFrame(() => {
    painting = 0;
    tell();
  });
  // A request that was for another address of the broker is for this one where a bar shows it.
  const waiting = [...requests].filter(([article, request]) => ([...bars.values()].includes(article) ? !request.settled || request.news : !request.settled && request.via === url));
  clearTimeout(timer);
  if (waiting[0]) {
    load();
    if (up) {
      timer = setTimeout(refresh, 1e3);
      step?.(waiting);
    }
  }
};

/** Most readers send nothing: the sending code loads when a reader reaches the buttons, or a request waits. The request is stored first. */
export const load = () => {
  loading ||=
    up &&
    import('./tally.send.js').then(
      (made) => {
        [say, step, receipt, acknowledged, begin] = made.default(publish, connect, close, () => up, tell, sync, refresh);
        refresh();
      },
      () => (loading = 0),
    );
};

const connect = () => open(reader, ...(password && [password]));

export const react = (bar, article, kind) => {
  bars = new Map([[bar, article], ...bars]);
  const last = requests.get(article);
  const was = last?.[last.settled ? 'kind' : 'was'] ?? 'none';
  requests.set(article, { kind, was, at: Math.max(Date.now(), (last?.at ?? 0) + 1), via: url, settled: 0, base: seen.get('totals/' + article) });
  sync(1);
  refresh();
};

const onUp = () => {
  clearTimeout(lost);
  up = 1;
  lost = away = 0;
  begin?.();
  // What an earlier page could not send, this one does, whatever article it is about.
  requests.forEach((request) => (request.due = 0));
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

const rebase = (article) => {
  const request = requests.get(article);
  request?.settled && (request.base = 0);
};

const onMessage = (topic, text, correlation) => {
  const message = parse(text);
  const old = seen.get(topic);
  const [what] = topic.split('/');
  if (/^r/.test(topic)) {
    receipt?.(requests, message, correlation);
  } else if (!text || message.version >= (old?.version ?? 0)) { // an operator's own message has no version: the feed's follows
    seen.set(topic, message);
    bars.forEach((article, bar) => {
      if (topic === what + '/' + article) {
        message.version > old?.version && rebase(article);
        bar(what, message);
      }
    });
  }
  refresh();
};

const onWhole = (filters) => {
  requests.forEach((_, article) => rebase(article));
  // Nobody has reacted
  filters.forEach((filter) => seen.get(filter)?.version ?? seen.set(filter, { counts: {}, version: 0 }));
  refresh();
};

const onRejected = (filter, full) => warn(full ? 'too many bars' : 'refused', filter);

const rewatch = () =>
  watch?.([...bars.values()].flatMap((article) => (article ? ['articles/' + article, 'totals/' + article] : [])));

/** A bar is no longer near the screen. A broker bounds how much one connection may watch, so only bars near the screen are watched. */
export const park = (bar) => {
  bars.set(bar, '');
  rewatch();
};

/** A bar shows an article from now on. The page's first says which broker. */
export const join = (bar, article, broker, token) => {
  bars.set(bar, article);
  watch ?? ([open, close, watch, publish] = mqtt((url = broker), onUp, onDown, onMessage, (code) => acknowledged?.(code), onWhole, onRejected));
  rewatch();
  password = token;
  connect();
};

/** It does not any more; a bar that is moved leaves and comes back. */
export const leave = (bar) => {
  bars.delete(bar);
  rewatch();
  setTimeout(() => bars.size || close(), 1e4);
};

addEventListener('storage', () => {
  sync();
  refresh();
});
sync();

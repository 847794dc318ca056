/*
 * MQTT 5 over WebSocket: what a reader and a dashboard need of it, in as few bytes as may be. Closures, arrays and arguments in an order,
 * because names of properties survive a minifier.
 */
export const unique = () => crypto.getRandomValues(new Uint32Array(4)).join('-');

/** How long to wait after this many failures: random above a minimum; the maximum doubles up to a minute. */
export const pause = (failures, random) => 200 + random * Math.min(6e4, 2e3 * 2 ** failures);

/**
 * A connection that comes back by itself, with a clean start and a new client id each time. `url` may end in `#` and what is put
 * before every topic; callers do not see it.
 *
 * It calls: up(); down(), at each attempt and loss; message(topic, text, correlation, retained); acknowledged(reason code);
 * whole(filters) when all that was retained has come: the filters that the broker granted; and rejected(filter, full) for one
 * that the broker refuses: `full` where it refuses any, as this connection asks for more than it may; or the error of an impossible address.
 *
 * Returns [open(username?, password?): connects, if it is not or was as somebody else; close(); watch(filters): these alone from now on;
 * publish(topic, payload, correlation)]. Filters outlive connections, and the client's receipts are always one. Publish only while it is
 * up, at QoS 1; the publisher decides what to do at up().
 */
export default (url, up, down, message, acknowledged, whole, rejected) => {
  // What is over a byte is cut off where all becomes bytes; all text that Tally sends and takes is ASCII.
  const word = (n) => [n >> 8, n];
  const varint = (n) => (n < 128 ? [n] : [n | 128, ...varint(n >> 7)]);
  const bytesOf = (text) => [...('' + text)].map((letter) => letter.charCodeAt());
  const data = (text) => [...word(text.length), ...bytesOf(text)];

  const [address, prefix = ''] = url.split('#');
  let filters = new Set();
  let socket, connected, left, login, gaveUp, again, answer, beat, hidden, soon;
  let receipts, asked, granted, answers; // of this connection; `answers` has the callback for each SUBACK
  let packetId;
  let failures = 0;

  const send = (first, ...parts) => {
    const body = parts.flat();
    socket.send(Uint8Array.of(first, ...varint(body.length), ...body));
  };
  const newId = () => word(++packetId);

  // The peer is dead when it sends nothing for this long after a ping. A slow one gets more time after each failure.
  const expectAnswer = () => {
    answer ||= setTimeout(lose, 1e4 * 2 ** Math.min(failures, 4));
  };
  const ping = () => {
    send(0xc0);
    expectAnswer();
  };
  // A broker bounds what a connection asks for, what it gave up too. Where it refuses what it has to grant, that bound is reached, and a new
  // connection helps where this one gave something up; else what is refused is so for itself.
  const subscribe = (list, then) => {
    send(0x82, newId(), 0, list.flatMap((filter) => [...data(prefix + filter), 0]));
    answers.push((codes) => then(list.filter((filter, i) => codes.at(i - list.length) > 127 || !granted.add(filter))));
  };
  const judge = (not) =>
    not[0] && subscribe([receipts], ([full]) => (full && gaveUp ? open() : not.forEach((filter) => rejected(filter, full))));
  // Asks for what is wanted and not asked for yet, and gives up what is not wanted any more. A broker works through packets in their order:
  // what is retained comes before the answer to the ping.
  const ask = () => {
    soon = 0;
    if (connected) {
      const old = asked;
      asked = new Set([receipts, ...filters]);
      const gone = [...old].filter((filter) => !asked.has(filter));
      const more = [...asked].filter((filter) => !old.has(filter));
      if (gone[0]) {
        gaveUp = 1;
        send(0xa2, newId(), 0, gone.flatMap((filter) => data(prefix + filter)));
      }
      if (more[0]) {
        subscribe(more, judge);
        ping();
      }
    }
  };

  const rest = () => {
    clearTimeout(again);
    clearTimeout(answer);
    clearInterval(beat);
    connected = answer = 0;
    socket?.close();
    socket = null;
    down();
  };
  const lose = () => {
    rest();
    again = setTimeout(open, pause(failures++, Math.random()));
  };
  const open = () => {
    rest();
    left = [];
    answers = [];
    asked = new Set();
    granted = new Set();
    gaveUp = packetId = 0;
    receipts = 'receipts/w-' + unique();
    expectAnswer();
    try {
      const mine = (socket = new WebSocket(address, 'mqtt'));
      mine.binaryType = 'arraybuffer';
      // A clean start; kept alive for a minute; packets of 64 KiB at most
      mine.onopen = () =>
        send(0x10, data('MQTT'), 5, [2, 0x82, 0xc2][login.length], 0, 60, 5, 0x27, 0, 1, 0, 0, data(receipts.slice(9)), ...login.map(data));
      mine.onmessage = (event) => mine === socket && receive(event.data);
      mine.onclose = () => mine === socket && lose();
    } catch (error) {
      rejected(error);
      lose(); // no broker's address, an https page and a ws address, or a policy that forbids it
    }
  };

  // A frame may hold several packets, and a packet come in several frames.
  const receive = (chunk) => {
    left = new Uint8Array([...left, ...new Uint8Array(chunk)]);
    for (const mine = socket; mine === socket; ) {
      let bytes = left;
      let at = 1;
      const number = (n = bytes[at++]) => (n > 127 ? n - 128 + 128 * number() : n); // NaN if it is not all there
      const text = (length) => String.fromCharCode(...bytes.subarray(at, (at += length)));
      const end = number() + at;
      if (!(bytes.length >= end)) {
        return;
      }
      left = bytes.subarray(end);
      bytes = bytes.subarray(0, end);
      const type = bytes[0] >> 4;
      connected ||= type === 2;
      connected && (answer = clearTimeout(answer)); // what is said before is not MQTT, or not all there
      if (type === 2) { // CONNACK
        if (bytes[at + 1] > 127) {
          return lose();
        }
        beat = setInterval(() => {
          failures = 0; // it has lasted: the next pause is short again
          ping();
        }, 25e3);
        ask();
        up();
      } else if (type === 3) { // PUBLISH; only QoS 0 was asked for
        const topic = text((bytes[at++] << 8) | bytes[at++]);
        const payload = number() + at;
        const correlation = bytes[at] === 9 ? text(bytes[(at += 3) - 1]) : ''; // a receipt has no other property
        at = payload;
        message(topic.slice(prefix.length), text(end), correlation, bytes[0] & 1);
      } else if (type === 4) { // PUBACK
        acknowledged(bytes[at + 2]);
      } else if (type === 9) { // SUBACK
        answers.shift()(bytes);
      } else if (type === 13) { // PINGRESP
        whole(granted);
      }
    }
  };

  // A suspended page may not keep its socket, and a page hidden for a minute need not; then the reader or the network is back.
  for (const type of ['online', 'pageshow', 'pagehide', 'visibilitychange']) {
    addEventListener(type, () => {
      clearTimeout(hidden);
      if (type === 'pagehide') {
        rest();
      } else if (document.hidden) {
        hidden = setTimeout(rest, 6e4);
      } else if (login) {
        connected ? ping() : answer || open();
      }
    });
  }

  return [
    (...names) => {
      if ('' + names !== '' + login) {
        login = names;
        open();
      }
    },
    () => {
      login = 0;
      rest();
    },
    (list) => {
      filters = new Set(list);
      soon ||= setTimeout(ask);
    },
    (topic, payload, correlation) => {
      const properties = [8, ...data(prefix + receipts), 9, ...data(correlation)];
      send(0x32, data(prefix + topic), newId(), varint(properties.length), properties, bytesOf(payload));
      expectAnswer();
    },
  ];
};

/*
 * MQTT 5 over WebSocket for the operators' page. Unlike mqtt.js, which a bar must keep small, it tells a refused login from a lost connection,
 * does not repeat the former, and reads UTF-8.
 */
import { pause, unique } from './mqtt.js';

const ANSWER_MS = 10_000; // for CONNACK; and, after it, between pings, of which each must be answered before the next
const PACKET_MAX_BYTES = 1_048_576;
const BUSY = [0x88, 0x89, 0x97, 0x9f]; // server unavailable, busy, quota exceeded, connection rate exceeded: it may succeed later
const NO_RETAINED = 0x20; // of a subscription

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { ignoreBOM: true });
const word = (n) => [n >> 8, n & 255];
const data = (string) => {
  const bytes = utf8.encode(string);
  return [...word(bytes.length), ...bytes];
};

function packet(first, ...parts) {
  const body = parts.flat();
  const length = [];
  for (let n = body.length; length.push(n > 127 ? (n & 127) | 128 : n) && n > 127; n >>= 7);
  return Uint8Array.of(first, ...length, ...body);
}

/** {first, body, bytes} of the first packet in the bytes; null if it is incomplete; throws if the bytes are not MQTT. */
function firstPacket(bytes) {
  let length = 0;
  for (let at = 1; at < 5; at++) {
    if (at >= bytes.length) {
      return null;
    }
    length |= (bytes[at] & 127) << (7 * (at - 1));
    if (bytes[at] < 128) {
      const end = at + 1 + length;
      if (end > 2 * PACKET_MAX_BYTES) {
        break;
      }
      return bytes.length < end ? null : { first: bytes[0], body: bytes.subarray(at + 1, end), bytes: end };
    }
  }
  throw new Error('not MQTT');
}

/** {topic, payload} of a PUBLISH at QoS 0. */
function published(body) {
  const topicEnd = 2 + ((body[0] << 8) | body[1]);
  let at = topicEnd;
  let properties = 0;
  for (let shift = 0; ; shift += 7) {
    properties |= (body[at] & 127) << shift;
    if (body[at++] < 128 || shift > 21) {
      break;
    }
  }
  return { topic: text.decode(body.subarray(2, topicEnd)), payload: text.decode(body.subarray(at + properties)) };
}

/**
 * Connects as {name, secret}, and comes back by itself, with a clean start and a new client id each time. `url` may end in `#` and what is put
 * before every topic; callers do not see it.
 *
 * It calls: up(), once the broker lets it read `ops/#`; down(), at a failed attempt and a loss, after which it tries again; refused(what) when
 * the broker refuses the 'login' or 'ops' (to read `ops/#`), with the code, after which it does not; message(topic, text, retained).
 *
 * Returns {totals(wanted): whether `totals/#` comes too, without what is retained; close()}.
 */
export default (url, { name, secret }, { up, down, refused, message }) => {
  const [address, prefix = ''] = url.split('#');
  let socket, left, heard, connected, live, timer, failures = 0, packetId;
  let wanted = false; // totals
  let asked = false;

  const send = (...parts) => socket.send(packet(...parts));
  const nextId = () => word((packetId = (packetId % 65_535) + 1));

  const rest = (bye) => {
    clearTimeout(timer);
    const old = socket;
    socket = null;
    if (old) {
      old.onopen = old.onmessage = old.onclose = null;
      if (bye && old.readyState === WebSocket.OPEN) {
        old.send(Uint8Array.of(0xe0, 0));
      }
      old.close();
    }
    connected = live = asked = false;
  };
  const lose = () => {
    rest();
    down();
    timer = setTimeout(open, pause(failures++, Math.random()));
  };
  const refuse = (what, code) => {
    close();
    refused(what, code);
  };

  const askTotals = () => {
    if (live && asked !== wanted) {
      asked = wanted;
      const filter = data(`${prefix}totals/#`);
      asked ? send(0x82, nextId(), 0, filter, NO_RETAINED) : send(0xa2, nextId(), 0, filter);
    }
  };
  const beat = () => {
    if (!heard) {
      lose();
      return;
    }
    heard = false;
    send(0xc0);
    timer = setTimeout(beat, ANSWER_MS);
  };

  const onConnack = (code) => {
    if (code > 127) {
      BUSY.includes(code) ? lose() : refuse('login', code);
      return;
    }
    connected = true;
    send(0x82, nextId(), 0, data(`${prefix}ops/#`), 0);
  };
  const onSuback = (code) => {
    if (live) {
      return; // of totals: the page says that none come
    }
    if (code > 127) {
      refuse('ops', code);
      return;
    }
    live = true;
    failures = 0;
    askTotals();
    up();
  };
  const take = ({ first, body }) => {
    const type = first >> 4;
    if (type === 2) {
      onConnack(body[1]);
    } else if (type === 9) {
      onSuback(body[body.length - 1]);
    } else if (type === 3 && connected) {
      const { topic, payload } = published(body);
      if (topic.startsWith(prefix)) {
        message(topic.slice(prefix.length), payload, Boolean(first & 1));
      }
    }
  };
  const receive = (chunk) => {
    let bytes = new Uint8Array(chunk);
    if (left.length) {
      const both = new Uint8Array(left.length + bytes.length);
      both.set(left);
      both.set(bytes, left.length);
      bytes = both;
    }
    heard = true;
    try {
      for (let next; (next = firstPacket(bytes)); bytes = bytes.subarray(next.bytes)) {
        const mine = socket;
        take(next);
        if (mine !== socket) {
          return;
        }
      }
      left = bytes;
    } catch (error) {
      console.warn('Tally:', error);
      lose();
    }
  };

  const open = () => {
    rest();
    left = new Uint8Array(0);
    heard = false;
    packetId = 0;
    timer = setTimeout(beat, ANSWER_MS); // nothing was heard: lost
    try {
      socket = new WebSocket(address, 'mqtt');
    } catch (error) {
      console.warn('Tally:', error); // no broker's address, or a policy that forbids it
      lose();
      return;
    }
    socket.binaryType = 'arraybuffer';
    // A clean start, with name and secret; kept alive for a minute
    socket.onopen = () =>
      send(0x10, data('MQTT'), 5, 0xc2, word(60), 5, 0x27, word(PACKET_MAX_BYTES >> 16), word(PACKET_MAX_BYTES & 65_535), data(`ops-web-${unique()}`), data(name), data(secret));
    socket.onmessage = (event) => receive(event.data);
    socket.onclose = lose;
  };

  // The network is back, or the page is, out of a browser's cache of pages.
  const again = () => live || open();
  const show = (event) => event.persisted && again();
  const leave = () => rest(true);
  const close = () => {
    removeEventListener('online', again);
    removeEventListener('pageshow', show);
    removeEventListener('pagehide', leave);
    rest(true);
  };
  addEventListener('online', again);
  addEventListener('pageshow', show);
  addEventListener('pagehide', leave);
  open();

  return {
    totals(on) {
      wanted = on;
      askTotals();
    },
    close,
  };
};

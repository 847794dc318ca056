/*
 * A scripted MQTT 5 broker behind a page's WebSocket, with a register a reader and article: it counts, unless a test tells it to
 * hold, refuse, or say something else. For what a real system cannot be made to do at a given moment.
 */
import assert from 'node:assert/strict';
import { KINDS, until } from './browser.mjs';

const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const data = (text) => Buffer.concat([u16(Buffer.byteLength(text)), Buffer.from(text)]);

function varint(n) {
  const out = [];
  do {
    out.push((n & 127) | (n > 127 ? 128 : 0));
    n >>= 7;
  } while (n);
  return Buffer.from(out);
}

const packet = (first, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([first]), varint(body.length), body]);
};

class Body {
  at = 0;

  constructor(bytes) {
    this.bytes = bytes;
  }

  number(n) {
    this.at += n;
    return this.bytes.readUIntBE(this.at - n, n);
  }

  data() {
    const length = this.number(2);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at).toString();
  }

  // Only what a reader sends: Response Topic and Correlation Data; in CONNECT its Maximum Packet Size.
  properties() {
    const out = {};
    const end = this.number(1) + this.at; // under 128 bytes
    while (this.at < end) {
      const id = this.number(1);
      assert.ok(id === 8 || id === 9 || id === 0x27, `unexpected property ${id}`);
      if (id === 0x27) {
        out.packetMost = this.number(4);
      } else {
        out[id === 8 ? 'responseTopic' : 'correlation'] = this.data();
      }
    }
    return out;
  }
}

class Session {
  left = Buffer.alloc(0);
  filters = new Set();
  open = true;

  constructor(broker, socket) {
    this.broker = broker;
    this.socket = socket;
    socket.onMessage((message) => this.receive(message));
    socket.onClose((code) => {
      this.open = false;
      socket.close({ code: code === 1000 ? 1000 : 1001 }).catch(() => {});
    });
  }

  // What is sent meanwhile goes out in one frame.
  together(action) {
    this.gathered = [];
    action();
    const bytes = Buffer.concat(this.gathered);
    this.gathered = null;
    if (bytes.length) {
      this.send(bytes);
    }
  }

  send(bytes) {
    if (this.gathered) {
      this.gathered.push(bytes);
    } else if (this.open && !this.broker.mute) {
      this.broker.chop ? [...bytes].forEach((byte) => this.socket.send(Buffer.from([byte]))) : this.socket.send(bytes);
    }
  }

  close() {
    this.open = false;
    return this.socket.close({ code: 1001 });
  }

  greet() {
    if (this.broker.greeting) {
      this.socket.send(this.broker.greeting);
      return;
    }
    const most = this.broker.receiveMaximum;
    const code = this.broker.login?.(this) ?? this.broker.connack;
    this.send(packet(0x20, Buffer.from([0, code]), most ? Buffer.from([3, 0x21, 0, most]) : Buffer.from([0])));
  }

  publish(topic, payload, { retain = false, correlation } = {}) {
    const properties = correlation === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from([9]), data(correlation)]);
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    this.send(packet(0x30 | (retain ? 1 : 0), data(topic), varint(properties.length), properties, Buffer.from(text)));
  }

  receive(message) {
    this.left = Buffer.concat([this.left, Buffer.from(message)]);
    while (this.left.length >= 2) {
      let [length, at] = [0, 1];
      do {
        length |= (this.left[at] & 127) << (7 * (at - 1));
      } while (this.left[at++] > 127);
      if (this.left.length < at + length) {
        return;
      }
      const [first, body] = [this.left[0], new Body(this.left.subarray(at, at + length))];
      this.left = this.left.subarray(at + length);
      this.handle(first, body);
    }
  }

  handle(first, body) {
    switch (first >> 4) {
      case 1: {
        assert.equal(body.data(), 'MQTT');
        const [version, flags] = [body.number(1), body.number(1)];
        assert.equal(version, 5);
        assert.ok(flags & 2, 'clean start');
        this.keepAlive = body.number(2);
        body.properties();
        this.clientId = body.data();
        this.username = flags & 0x80 ? body.data() : '';
        this.password = flags & 0x40 ? body.data() : '';
        this.greet();
        return;
      }
      case 3: {
        const [topic, id] = [body.data(), body.number(2)];
        const { responseTopic, correlation } = body.properties();
        const payload = body.bytes.subarray(body.at).toString();
        this.broker.take(this, { topic, id, payload, responseTopic, correlation, clientId: this.clientId, username: this.username });
        return;
      }
      case 8: {
        const id = body.number(2);
        body.properties();
        const filters = [];
        const fresh = new Set(); // without what is retained
        while (body.at < body.bytes.length) {
          filters.push(body.data());
          if ((body.number(1) >> 4) === 2) {
            fresh.add(filters.at(-1));
          }
        }
        const codes = filters.map((filter) => this.broker.suback(filter));
        this.send(packet(0x90, u16(id), Buffer.from([0, ...codes])));
        filters.filter((_, i) => codes[i] < 0x80).forEach((filter) => {
          this.filters.add(filter);
          if (!fresh.has(filter)) {
            this.broker.retained(this, filter);
          }
        });
        return;
      }
      case 10: {
        const id = body.number(2);
        body.properties();
        const gone = [];
        while (body.at < body.bytes.length) {
          gone.push(body.data());
        }
        gone.forEach((filter) => this.filters.delete(filter));
        this.send(packet(0xb0, u16(id), Buffer.from([0, ...gone.map(() => 0)])));
        return;
      }
      case 12:
        this.send(packet(0xd0));
        return;
      case 14:
        return;
      default:
        assert.fail(`unexpected packet ${first}`);
    }
  }
}

export class ScriptedBroker {
  sessions = [];
  published = []; // every reaction, as it came
  totals = new Map();
  states = new Map(); // articles/<article>, as text
  ops = new Map(); // ops/<name>
  registers = new Map();
  version = 1_000;

  connack = 0;
  login = null; // (session) => the code of CONNACK, instead
  greeting = null; // what is said instead of CONNACK
  receiveMaximum = 0;
  away = false; // refuses connections
  mute = false; // is connected, and says nothing
  chop = false; // sends each byte as a frame
  hold = false; // takes reactions, and answers nothing
  answers = null; // (session, reaction) => …, instead of counting
  suback = () => 0;

  async route(context, url) {
    await context.routeWebSocket(url, (socket) => {
      if (this.away) {
        socket.close({ code: 1001 });
      } else {
        this.sessions.push(new Session(this, socket));
      }
    });
  }

  get open() {
    return this.sessions.filter((s) => s.open && s.clientId);
  }

  async cut() {
    await Promise.all(this.open.map((session) => session.close()));
  }

  matches(filter, topic) {
    return filter === topic || (filter.endsWith('/#') && topic.startsWith(filter.slice(0, -1)));
  }

  retained(session, filter) {
    session.together(() => {
      for (const [article, total] of this.totals) {
        if (this.matches(filter, `totals/${article}`)) {
          session.publish(`totals/${article}`, total, { retain: true });
        }
      }
      for (const [topic, payload] of this.ops) {
        if (this.matches(filter, topic)) {
          session.publish(topic, payload, { retain: true });
        }
      }
      for (const [article, state] of this.states) {
        if (filter === `articles/${article}`) {
          session.publish(filter, state, { retain: true });
        }
      }
    });
  }

  /** Sets an article's counts and sends them to who watches. */
  total(article, counts, version = ++this.version) {
    const all = { ...Object.fromEntries(KINDS.map((kind) => [kind, 0])), ...counts };
    const total = { article, total: Object.values(all).reduce((a, b) => a + b), counts: all, version, updated_at: '2026-11-24T09:00:00.123Z' };
    if (version >= (this.totals.get(article)?.version ?? 0)) {
      this.totals.set(article, total);
    }
    for (const session of this.open) {
      if ([...session.filters].some((filter) => this.matches(filter, `totals/${article}`))) {
        session.publish(`totals/${article}`, total);
      }
    }
  }

  /** Sets an article's state and sends it to who watches. */
  state(article, state, version = ++this.version) {
    const payload = { article, open: true, state: 'open', ...state, version };
    this.states.set(article, payload);
    this.open.filter(({ filters }) => filters.has(`articles/${article}`)).forEach((session) => session.publish(`articles/${article}`, payload));
  }

  /** What a part of the edge says of itself, as text or an object; it is retained. */
  say(topic, payload) {
    this.ops.set(topic, payload);
    this.open.filter(({ filters }) => filters.has('ops/#')).forEach((session) => session.publish(topic, payload));
  }

  /** What is retained of an article's total is cleared, as while its results are hidden. */
  clear(article) {
    this.totals.delete(article);
    this.open.filter(({ filters }) => [...filters].some((filter) => this.matches(filter, `totals/${article}`))).forEach((session) => session.publish(`totals/${article}`, ''));
  }

  take(session, reaction) {
    this.published.push(reaction);
    if (this.hold) {
      return;
    }
    this.answers ? this.answers(session, reaction) : this.count(session, reaction);
  }

  acknowledge(session, reaction, code = 0x10) {
    session.send(packet(0x40, u16(reaction.id), Buffer.from([code, 0])));
  }

  receipt(session, reaction, receipt) {
    session.publish(reaction.responseTopic, { article: reaction.topic.slice(10), reaction: kindOf(reaction), ...receipt }, {
      correlation: reaction.correlation,
    });
  }

  apply(reaction) {
    const article = reaction.topic.slice(10);
    const key = `${article} ${reaction.username}`;
    const [before, after] = [this.registers.get(key) ?? 'none', kindOf(reaction)];
    this.registers.set(key, after);
    const counts = { ...this.totals.get(article)?.counts };
    if (before !== 'none') {
      counts[before] -= 1;
    }
    if (after !== 'none') {
      counts[after] = (Object.hasOwn(counts, after) ? counts[after] : 0) + 1;
    }
    this.total(article, counts);
  }

  count(session, reaction) {
    this.acknowledge(session, reaction);
    this.receipt(session, reaction, { outcome: kindOf(reaction) === 'none' ? 'retracted' : 'counted' });
    this.apply(reaction);
  }

  /** The n-th reaction that came (from 0), once it has. */
  reaction(n) {
    return until(() => {
      assert.ok(this.published.length > n, `${this.published.length} reactions came`);
      return this.published[n];
    });
  }

  sessionOf(reaction) {
    return this.sessions.find((session) => session.clientId === reaction.clientId);
  }
}

export const kindOf = ({ payload }) => (payload.startsWith('{') ? JSON.parse(payload).reaction : payload);

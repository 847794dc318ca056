/*
 * Tally: what readers feel about an article, counted live.
 *
 *   <script type="module" src="https://…/tally.js"></script>   (a plain or async script works too)
 *   <tally-reactions article="world/migrant-caravan"></tally-reactions>
 *
 * Attributes: `article`, its id; `broker`, where the MQTT broker listens (a ws:// or wss:// URL, or `:PORT` on the host
 * that this file came from; `#news/` at its end is what stands before every topic there), needed only where this file is not
 * served by Tally itself.
 *
 * From top to bottom: the broker's address, an MQTT 5 client, the reader and their wishes, one article, one
 * connection's articles, the element. No export, so that it also runs as a classic script: who imports it finds the client on the
 * element's class, as `customElements.get('tally-reactions').Mqtt`. INTERFACES.md has every topic and payload.
 */
(() => {
  'use strict';

  if (customElements.get('tally-reactions')) {
    return; // loaded twice: the first one serves
  }

  /* ---- Where the broker is --------------------------------------------------------------------------------- */

  // Whoever serves this file puts the address here.
  const BROKER = '@TALLY_BROKER@';

  // A module cannot ask for its own address in a way that a classic script can parse, so it looks for its tag.
  const script = document.currentScript ?? [...document.scripts].find((s) => /\/tally\.js($|[?#])/.test(s.src));
  const origin = new URL(script?.src || location.href, location.href);

  /** The broker's ws:// or wss:// URL for an address as in the attribute, or null where it is none. */
  function brokerUrl(address) {
    const given = address || BROKER;
    const scheme = origin.protocol === 'https:' ? 'wss:' : 'ws:';
    try {
      const url = new URL(given.startsWith(':') ? `${scheme}//${origin.hostname}${given}` : given);
      return /^wss?:$/.test(url.protocol) ? url.href : null;
    } catch {
      return null;
    }
  }

  /* ---- MQTT 5 over WebSocket: what a reader and a dashboard need of it -------------------------------------- */

  const KEEP_ALIVE_S = 60; // browsers run a hidden page's timers once a minute: shorter, and its broker gives up on it
  const BEAT_MS = 25_000;
  const ANSWER_MS = 10_000; // the peer is dead when nothing at all was heard for so long after asking
  const FIRST_PAUSE_MS = 200;
  const LONGEST_PAUSE_MS = 30_000;
  const STABLE_MS = 5_000; // a connection that lasted so long ends the growing of pauses
  const PACKET_MOST_BYTES = 1 << 20;
  const GIVEN_UP_MOST = 100; // filters: a page that goes through more articles begins a new connection

  const RESPONSE_TOPIC = 0x08;
  const CORRELATION_DATA = 0x09;
  const SERVER_KEEP_ALIVE = 0x13;
  const RECEIVE_MAXIMUM = 0x21;

  // How each property's value is written (MQTT 5, 2.2.2.2): so many bytes, 'v'ariable integer, 'd'ata, 'p'air of data
  const PROPERTY_FORM = {
    0x01: 1, 0x02: 4, 0x03: 'd', 0x08: 'd', 0x09: 'd', 0x0b: 'v', 0x11: 4, 0x12: 'd', 0x13: 2, 0x15: 'd', 0x16: 'd',
    0x17: 1, 0x18: 4, 0x19: 1, 0x1a: 'd', 0x1c: 'd', 0x1f: 'd', 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1, 0x26: 'p',
    0x27: 4, 0x28: 1, 0x29: 1, 0x2a: 1,
  };

  const encoder = new TextEncoder();
  const decoder = new TextDecoder();

  const randomHex = (bytes) =>
    [...crypto.getRandomValues(new Uint8Array(bytes))].map((b) => b.toString(16).padStart(2, '0')).join('');

  const u16 = (n) => [n >> 8, n & 255];

  function data(text) {
    const bytes = encoder.encode(text);
    return [...u16(bytes.length), ...bytes];
  }

  function varint(n) {
    const out = [];
    do {
      out.push((n & 127) | (n > 127 ? 128 : 0));
      n >>= 7;
    } while (n);
    return out;
  }

  const packet = (first, body) => new Uint8Array([first, ...varint(body.length), ...body]);

  /** Reads a packet's body; a RangeError says that it is malformed. */
  class Body {
    at = 0;

    constructor(bytes) {
      this.bytes = bytes;
    }

    take(n) {
      if (this.at + n > this.bytes.length) {
        throw new RangeError('malformed');
      }
      return this.bytes.subarray(this.at, (this.at += n));
    }

    number(bytes) {
      return this.take(bytes).reduce((sum, byte) => sum * 256 + byte, 0);
    }

    data() {
      return this.take(this.number(2));
    }

    varint() {
      let n = 0;
      for (let shift = 0; shift < 28; shift += 7) {
        const byte = this.number(1);
        n |= (byte & 127) << shift;
        if (byte < 128) {
          return n;
        }
      }
      throw new RangeError('malformed');
    }

    properties() {
      const out = {};
      const end = this.varint() + this.at;
      while (this.at < end) {
        const id = this.number(1);
        const form = PROPERTY_FORM[id];
        if (!form) {
          throw new RangeError('malformed');
        }
        out[id] = form > 0 ? this.number(form) : form === 'v' ? this.varint() : this.data();
        if (form === 'p') {
          this.data();
        }
      }
      return out;
    }

    more() {
      return this.at < this.bytes.length;
    }

    rest() {
      return decoder.decode(this.take(this.bytes.length - this.at));
    }
  }

  /**
   * A connection that comes back by itself, with a clean start and a new client id each time.
   *
   * `on` may have: username() → string, asked at each connection; up(); down(why); message(topic, text, {retain,
   * correlation}); acknowledged(packet id, reason code); subscribed(filter, reason code).
   * Filters outlive connections; a publication does not: who published it sees down() and decides.
   */
  class Mqtt {
    up = false;
    clientId = '';
    username = '';
    receiveMaximum = 65535;

    #url;
    #prefix; // of every topic, here alone: who uses this class does not see it
    #on;
    #filters = new Set();
    #subscribing = new Map(); // packet id → filters
    #asked = 0; // filters on this connection, those that were given up too: a broker bounds them
    #wanted = false;
    #socket = null;
    #left = null; // bytes of a packet that has not come whole
    #packetId = 0;
    #failures = 0;
    #upAt = 0;
    #pause = 0;
    #answer = 0;
    #beat = 0;

    constructor(url, on) {
      [this.#url, this.#prefix = ''] = url.split('#');
      this.#on = on;
    }

    start() {
      if (!this.#wanted) {
        this.#wanted = true;
        addEventListener('online', this.#wake);
        addEventListener('pageshow', this.#wake);
        addEventListener('pagehide', this.#rest);
        document.addEventListener('visibilitychange', this.#wake);
        this.#open();
      }
    }

    stop() {
      this.#wanted = false;
      removeEventListener('online', this.#wake);
      removeEventListener('pageshow', this.#wake);
      removeEventListener('pagehide', this.#rest);
      document.removeEventListener('visibilitychange', this.#wake);
      this.#rest();
    }

    /** Connects anew at once, as another username does. */
    restart() {
      this.#rest();
      if (this.#wanted) {
        this.#open();
      }
    }

    subscribe(filter) {
      if (!this.#filters.has(filter)) {
        this.#filters.add(filter);
        if (this.up && this.#asked > this.#filters.size + GIVEN_UP_MOST) {
          this.restart();
        } else if (this.up) {
          this.#sendSubscribe([filter]);
        }
      }
    }

    unsubscribe(filter) {
      if (this.#filters.delete(filter) && this.up) {
        this.#socket.send(packet(0xa2, [...u16(this.#nextId()), 0, ...data(this.#prefix + filter)]));
      }
    }

    /** At QoS 1. Its packet id, or 0 where there is no connection. */
    publish(topic, payload, { responseTopic, correlation } = {}) {
      if (!this.up) {
        return 0;
      }
      const id = this.#nextId();
      const properties = [
        ...(responseTopic ? [RESPONSE_TOPIC, ...data(this.#prefix + responseTopic)] : []),
        ...(correlation ? [CORRELATION_DATA, ...data(correlation)] : []),
      ];
      this.#socket.send(
        packet(0x32, [
          ...data(this.#prefix + topic), ...u16(id), ...varint(properties.length), ...properties, ...encoder.encode(payload),
        ]),
      );
      this.#expectAnswer(ANSWER_MS);
      return id;
    }

    // The network or the reader is back: no pause is worth waiting for, and an old connection is worth a question.
    #wake = (event) => {
      if (event.type === 'visibilitychange' && document.visibilityState === 'hidden') {
        return;
      }
      if (!this.#socket) {
        this.#open();
      } else if (this.up) {
        this.#ping(ANSWER_MS / 2);
      }
    };

    // A page with an open socket may not go into the back-forward cache, and comes out of it with a dead one.
    #rest = () => {
      const socket = this.#socket;
      if (socket?.readyState === WebSocket.OPEN) {
        socket.send(packet(0xe0, []));
      }
      this.#drop();
      if (socket) {
        this.#on.down?.('closed');
      }
    };

    #nextId() {
      this.#packetId = (this.#packetId % 65535) + 1;
      return this.#packetId;
    }

    #open() {
      this.#drop();
      this.clientId = `w-${randomHex(12)}`;
      this.username = this.#on.username?.() ?? '';
      try {
        const socket = new WebSocket(this.#url, 'mqtt');
        this.#socket = socket;
        socket.binaryType = 'arraybuffer';
        socket.onopen = () => this.#sendConnect();
        socket.onmessage = (event) => this.#receive(new Uint8Array(event.data));
        socket.onclose = () => this.#lose('no connection');
        this.#expectAnswer(ANSWER_MS);
      } catch (error) {
        this.#lose(error.message); // an https page and a ws address, or a policy that forbids it
      }
    }

    // Lets go of the socket and of all timers, silently.
    #drop() {
      clearTimeout(this.#pause);
      clearTimeout(this.#answer);
      clearInterval(this.#beat);
      this.#answer = 0;
      this.#asked = 0;
      this.up = false;
      this.#left = null;
      this.#subscribing.clear();
      if (this.#socket) {
        this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
        this.#socket.close();
        this.#socket = null;
      }
    }

    #lose(why) {
      this.#failures = this.up && performance.now() - this.#upAt > STABLE_MS ? 0 : this.#failures + 1;
      this.#drop();
      // All of the pause is random but its least part, so that the readers of a broker that fell do not return as one.
      const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures + 1));
      this.#pause = setTimeout(() => this.#open(), FIRST_PAUSE_MS + Math.random() * (most - FIRST_PAUSE_MS));
      this.#on.down?.(why);
    }

    #expectAnswer(ms) {
      this.#answer ||= setTimeout(() => this.#lose('no answer'), ms);
    }

    #ping(ms) {
      this.#socket.send(packet(0xc0, []));
      this.#expectAnswer(ms);
    }

    #sendConnect() {
      const flags = 0x02 | (this.username ? 0x80 : 0); // clean start
      this.#socket.send(
        packet(0x10, [
          ...data('MQTT'), 5, flags, ...u16(KEEP_ALIVE_S), 0, ...data(this.clientId),
          ...(this.username ? data(this.username) : []),
        ]),
      );
    }

    #sendSubscribe(filters) {
      const id = this.#nextId();
      this.#subscribing.set(id, filters);
      this.#asked += filters.length;
      this.#socket.send(packet(0x82, [...u16(id), 0, ...filters.flatMap((filter) => [...data(this.#prefix + filter), 0])]));
    }

    // A frame may hold several packets, and a packet come in several frames.
    #receive(chunk) {
      clearTimeout(this.#answer);
      this.#answer = 0;
      let bytes = chunk;
      if (this.#left) {
        bytes = new Uint8Array(this.#left.length + chunk.length);
        bytes.set(this.#left);
        bytes.set(chunk, this.#left.length);
      }
      const socket = this.#socket;
      while (bytes.length > 1 && this.#socket === socket) {
        let length = 0;
        let at = 1;
        do {
          length |= (bytes[at] & 127) << (7 * (at - 1));
        } while (bytes[at++] > 127 && at < 5 && at < bytes.length);
        if (bytes[at - 1] > 127 || at + length > bytes.length) {
          if (at === 5 && bytes[4] > 127) {
            length = Infinity;
          }
          break;
        }
        const [first, body] = [bytes[0], new Body(bytes.subarray(at, at + length))];
        bytes = bytes.subarray(at + length);
        try {
          this.#handle(first, body);
        } catch (error) {
          if (!(error instanceof RangeError)) {
            throw error;
          }
          this.#lose('malformed packet');
        }
      }
      if (this.#socket === socket) {
        this.#left = bytes.length ? bytes : null;
        if (bytes.length > PACKET_MOST_BYTES) {
          this.#lose('packet too large');
        }
      }
    }

    #handle(first, body) {
      switch (first >> 4) {
        case 2: // CONNACK
          body.number(1);
          return this.#connected(body.number(1), body.properties());
        case 3: { // PUBLISH; only QoS 0 was asked for
          const topic = decoder.decode(body.data()).slice(this.#prefix.length);
          const properties = body.properties();
          const correlation = properties[CORRELATION_DATA];
          return this.#on.message?.(topic, body.rest(), {
            retain: (first & 1) === 1,
            correlation: correlation && decoder.decode(correlation),
          });
        }
        case 4: // PUBACK
          return this.#on.acknowledged?.(body.number(2), body.more() ? body.number(1) : 0);
        case 9: { // SUBACK
          const filters = this.#subscribing.get(body.number(2)) ?? [];
          body.properties();
          return filters.forEach((filter) => this.#on.subscribed?.(filter, body.number(1)));
        }
        case 14: // DISCONNECT
          return this.#lose(`the broker closed the connection (0x${(body.more() ? body.number(1) : 0).toString(16)})`);
        default: // UNSUBACK, PINGRESP: heard, which is what counts
          return undefined;
      }
    }

    #connected(code, properties) {
      if (code >= 0x80) {
        this.#lose(`the broker refused the connection (0x${code.toString(16)})`);
        return;
      }
      this.up = true;
      this.#upAt = performance.now();
      this.receiveMaximum = properties[RECEIVE_MAXIMUM] ?? 65535;
      const keepAliveMs = (properties[SERVER_KEEP_ALIVE] ?? KEEP_ALIVE_S) * 1000;
      this.#beat = setInterval(() => this.#ping(ANSWER_MS), Math.min(BEAT_MS, keepAliveMs / 2 || BEAT_MS));
      if (this.#filters.size) {
        this.#sendSubscribe([...this.#filters]);
      }
      this.#on.up?.();
    }
  }

  /* ---- The reader, and what they wish: in memory first, in this browser from the first click on -------------- */

  const READER_KEY = 'tally.reader';
  const WISH_KEY = 'tally.wish.';
  const WISHES_MOST = 200;
  const NONE = 'none';

  // A page may be forbidden to store anything: then all is kept in memory, and forgotten with the page.
  const storage = {
    get(key) {
      try {
        return localStorage.getItem(key);
      } catch {
        return null;
      }
    },
    set(key, value) {
      try {
        localStorage.setItem(key, value);
      } catch {
        /* full or forbidden */
      }
    },
    remove(key) {
      try {
        localStorage.removeItem(key);
      } catch {
        /* forbidden */
      }
    },
    keys() {
      try {
        return Object.keys(localStorage);
      } catch {
        return [];
      }
    },
  };

  const storedReader = () => (/^[0-9a-f]{32}$/.test(storage.get(READER_KEY) ?? '') ? storage.get(READER_KEY) : null);

  const reader = {
    id: storedReader() ?? randomHex(16),
    /** Before anything is published: the id that another tab stored is this reader's too, and else this one is stored. */
    keep() {
      const stored = storedReader();
      this.id = stored ?? this.id;
      if (!stored) {
        storage.set(READER_KEY, this.id);
      }
    },
  };

  /*
   * A wish is what the reader wants to be counted for an article: {kind, at, settled, was, sent, via, refused}. `at` is the time of
   * the click, `was` the choice that is known to be counted, `via` the broker. It is settled once a receipt has come: `kind` is then
   * what counts, and `refused` why the wish does not, until the reader has been told. All tabs share what is stored; the newest click
   * stands, and what is settled does not go back.
   */
  const wishes = {
    parse(text) {
      try {
        const wish = JSON.parse(text);
        const good = typeof wish.kind === 'string' && typeof wish.was === 'string' && wish.at > 0;
        return good ? { ...wish, at: Math.min(wish.at, Date.now()) } : null; // of a clock that was ahead
      } catch {
        return null;
      }
    },

    load(article) {
      return this.parse(storage.get(WISH_KEY + article));
    },

    save(article, wish) {
      const now = this.load(article);
      if (now && (now.at > wish.at || (now.at === wish.at && now.settled && !wish.settled))) {
        return; // another tab's, whose word has not come yet
      }
      storage.set(WISH_KEY + article, JSON.stringify(wish));
      const stored = this.all();
      if (stored.length > WISHES_MOST) {
        stored.sort((a, b) => b.wish.settled - a.wish.settled || a.wish.at - b.wish.at);
        stored.slice(0, stored.length - WISHES_MOST).forEach((old) => storage.remove(WISH_KEY + old.article));
      }
    },

    all() {
      return storage
        .keys()
        .filter((key) => key.startsWith(WISH_KEY))
        .map((key) => ({ article: key.slice(WISH_KEY.length), wish: this.parse(storage.get(key)) }))
        .filter(({ wish }) => wish);
    },
  };

  /* ---- One article: the total that the feed sent, the reader's wish, and what to show of both ---------------- */

  const KINDS = ['like', 'dislike', 'love', 'funny', 'angry', 'sad', 'wow'];
  const ARTICLE_FORM = /^(?=.{1,200}$)[A-Za-z0-9][A-Za-z0-9._~%-]*(\/[A-Za-z0-9][A-Za-z0-9._~%-]*){0,7}$/;
  const FRESH_MS = 1_000; // a first sending within it needs no age: it is stamped as it arrives
  const AGE_MOST_MS = 7 * 24 * 3600 * 1000;
  const RETRY_MS = 15_000;
  const RETRY_MOST_MS = 600_000;
  const SETTLE_MS = 6_000; // a total is repeated 5 s after its last change: by then it has what the receipt said

  const KEPT = 'Kept on this device, and sent as soon as there is a connection.';
  const REASONS = {
    busy: 'the service is busy. Try again in a moment.',
    clock: 'the service is not ready. Try again in a moment.',
    rate_reader: 'that were too many reactions. Try again in a while.',
    rate_address: 'too many reactions come from your network. Try again in a while.',
    closed: 'reactions to this article are closed.',
    unknown_article: 'this article takes no reactions.',
    unknown_kind: 'this reaction is not offered here.',
    forbidden: 'you may not react here.',
    too_old: 'it is over a week old.',
  };
  const PASSING = /^(busy|clock|rate_)/;
  const refusal = (reason) => `Not counted: ${REASONS[reason] ?? 'the service did not take it.'}`;
  const countedWords = (kind) => (kind === NONE ? 'Your reaction is taken back.' : `Counted: ${LABELS[kind] ?? kind}.`);
  const laterWords = (kind) => (kind === NONE ? 'You took your reaction back later.' : `Your later reaction counts: ${LABELS[kind] ?? kind}.`);

  const parseTotal = (text) => {
    try {
      const total = JSON.parse(text);
      return Number.isFinite(total.version) && typeof total.counts === 'object' && total.counts ? total : null;
    } catch {
      return null;
    }
  };

  const countIn = (counts, kind) => (counts?.[kind] > 0 ? counts[kind] : 0);

  class Article {
    total = null; // as the feed sent it
    choice = NONE; // what is known to be counted
    wish = null; // what is not yet known to be
    at = 0; // when either was clicked
    #settledAt = 0;
    refused = ''; // why a wish was refused that nobody has been told of
    unwatchable = false;
    views = new Set();
    due = 0; // when the wish is to be sent (again)
    retryMs = RETRY_MS;
    underWay = 0; // a publication without PUBACK: when that is to have come

    /*
     * The reader's click shows at once, though no total tells whether it has it. While a wish is under way, the kind
     * wished shows at least, and those left show at most, what the click made of the total that was shown before:
     * {base, was, touched}. That is exact while nothing was sent, harmless once the totals have it, and wrong by one at
     * most for a moment where others move the same counts. It ends with the receipt: at once when the totals have
     * moved so already, else with the next one, or after SETTLE_MS. From then on the total is shown as it is.
     */
    overlay = null;
    #settling = 0;
    #speaker = null;
    #foreign = false; // the wish is another tab's

    constructor(id, hub) {
      this.id = id;
      this.hub = hub;
      this.#adopt(wishes.load(id));
    }

    get shownChoice() {
      return this.wish?.kind ?? this.choice;
    }

    count(kind) {
      const count = countIn(this.total?.counts, kind);
      const overlay = this.overlay;
      if (!overlay?.touched.has(kind)) {
        return count;
      }
      const expected = countIn(overlay.base?.counts, kind) + (kind === overlay.kind) - (kind === overlay.was);
      return kind === overlay.kind ? Math.max(count, expected) : Math.max(0, Math.min(count, expected));
    }

    /** The kind that waits for its receipt: to be counted, or to be taken back. */
    get pending() {
      return this.wish && (this.wish.kind === NONE ? this.choice : this.wish.kind);
    }

    /** The reader clicked on a kind. */
    react(kind, view) {
      const was = this.shownChoice;
      const wanted = was === kind ? NONE : kind;
      reader.keep();
      this.overlay ??= { base: this.total, was, touched: new Set([was]), sent: false, received: false };
      this.overlay.kind = wanted;
      this.overlay.touched.add(wanted);
      this.overlay.received = false;
      clearTimeout(this.#settling);
      this.wish = {
        kind: wanted, at: Math.max(Date.now(), this.at + 1), settled: false, was: this.choice, sent: false, via: this.hub.url,
      };
      this.at = this.wish.at;
      this.#foreign = false;
      this.due = 0;
      this.retryMs = RETRY_MS;
      wishes.save(this.id, this.wish);
      this.#speaker = view;
      this.say(this.hub.mqtt.up ? '' : KEPT);
      this.hub.pump();
      this.render();
    }

    takeTotal(total) {
      if (this.total && total.version < this.total.version) {
        return;
      }
      const overlay = this.overlay;
      if (overlay && !overlay.sent) {
        overlay.base = total;
      } else if (overlay && (!overlay.base || (overlay.received && total.version !== this.total?.version))) {
        this.overlay = null; // it has the wish, or nobody can say
      }
      this.total = total;
      this.hub.repaint();
    }

    /** `wish` is what was sent, which may not be the last one any more. */
    takeReceipt(wish, { outcome, current, reason }) {
      const last = wish === this.wish;
      const newer = outcome === 'superseded' && current !== wish.kind;
      if (outcome === 'refused') {
        // A repeat may have been counted the first time; and where nobody looks, nobody tries again.
        if (last && PASSING.test(reason) && (wish.again || !this.views.size)) {
          return;
        }
        if (last) {
          this.settle(this.choice, this.views.size ? '' : String(reason));
          this.overlay = null;
          this.say(refusal(reason));
        }
      } else if (wish.at < this.#settledAt) {
        return; // late: a newer click is settled
      } else if (newer || /^(counted|retracted|superseded)$/.test(outcome)) {
        this.choice = newer ? (typeof current === 'string' ? current : this.choice) : wish.kind;
        if (last) {
          this.settle(this.choice);
          newer ? (this.overlay = null) : this.#settleOverlay();
          this.say(newer ? laterWords(this.choice) : countedWords(this.choice));
        } else if (this.wish) {
          this.#settledAt = wish.at;
          this.wish.was = this.choice;
          wishes.save(this.id, this.wish);
        }
      }
      this.hub.repaint();
    }

    settle(kind, refused) {
      const stored = wishes.load(this.id);
      this.wish = null;
      this.choice = kind;
      this.#settledAt = this.at;
      this.refused = refused;
      if (stored && stored.at > this.at) {
        this.#adopt(stored);
      } else if (kind === NONE && !refused) {
        storage.remove(WISH_KEY + this.id);
      } else {
        wishes.save(this.id, { kind, at: this.at, settled: true, was: kind, sent: true, via: this.hub.url, refused });
      }
    }

    #settleOverlay() {
      if (!this.overlay) {
        return;
      }
      const moved = [...this.overlay.touched].every((k) => this.count(k) === countIn(this.total?.counts, k));
      if (moved && this.total !== this.overlay.base) {
        this.overlay = null;
        return;
      }
      this.overlay.received = true;
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => {
        this.overlay = null;
        this.hub.repaint();
      }, SETTLE_MS);
    }

    /** Another tab of this reader changed what is stored. Its own wish it sends itself; if it is gone, this one does. */
    storedElsewhere(wish) {
      if (wish ? wish.at < this.at || (wish.at === this.at && !wish.settled) : this.wish && !this.#foreign) {
        return; // an older one, or what is known: this tab's own receipt will tell
      }
      this.#foreign = true;
      this.overlay = null;
      this.wish = null;
      this.choice = NONE;
      this.#adopt(wish);
      this.due = Date.now() + RETRY_MS;
      this.tell();
      this.hub.pump();
      this.hub.repaint();
    }

    #adopt(wish) {
      if (wish) {
        this.choice = wish.settled ? wish.kind : wish.was;
        this.wish = wish.settled ? null : wish;
        this.at = wish.at;
        this.#settledAt = wish.settled ? wish.at : this.#settledAt;
        this.refused = wish.refused;
      }
    }

    /** A wish was refused while no page showed this article: now one does. */
    tell() {
      if (this.refused && this.views.size) {
        this.say(refusal(this.refused));
        this.settle(this.choice);
      }
    }

    say(text) {
      const speaker = this.views.has(this.#speaker) ? this.#speaker : this.views.values().next().value;
      speaker?.say(text);
    }

    render() {
      this.views.forEach((view) => view.render());
    }
  }

  /* ---- One connection, and all articles of the page that use it ---------------------------------------------- */

  const UNDER_WAY_MOST = 8;
  const RECEIPTS_MOST = 1_000; // waited for at a time
  const RECEIPT_LATE_MS = 2_000; // how long the receipt may come after its PUBACK before something is said
  const AWAY_MS = 3_000; // a shorter absence is not worth a word
  const LINGER_MS = 10_000;
  const NO_TOTAL_MS = 500; // a retained total follows the SUBACK at once: where none came, nobody has reacted

  class Hub {
    static #hubs = new Map();

    static at(url) {
      if (!Hub.#hubs.has(url)) {
        Hub.#hubs.set(url, new Hub(url));
      }
      return Hub.#hubs.get(url);
    }

    static all() {
      return Hub.#hubs.values();
    }

    articles = new Map();
    away = false;

    #sent = new Map(); // correlation → {article, wish}
    #underWay = new Map(); // packet id → {article, wish, correlation}
    #counter = 0;
    #timers = { pump: 0, away: 0, linger: 0 };
    #painting = false;

    constructor(url) {
      this.url = url;
      this.mqtt = new Mqtt(url, {
        username: () => reader.id,
        up: () => this.#up(),
        down: () => this.#down(),
        message: (topic, text, about) => this.#message(topic, text, about),
        acknowledged: (id, code) => this.#acknowledged(id, code),
        subscribed: (filter, code) => this.#subscribed(filter, code),
      });
    }

    article(id) {
      if (!this.articles.has(id)) {
        this.articles.set(id, new Article(id, this));
      }
      return this.articles.get(id);
    }

    watch(id, view) {
      const article = this.article(id);
      article.views.add(view);
      clearTimeout(this.#timers.linger);
      this.mqtt.subscribe(`totals/${id}`);
      this.#noteAbsence();
      this.mqtt.start();
      return article;
    }

    leave(article, view) {
      article.views.delete(view);
      if (!article.views.size) {
        this.mqtt.unsubscribe(`totals/${article.id}`);
        article.total = null; // what is not followed grows old
        article.overlay = null;
      }
      // An element that is moved leaves and comes back: the connection waits for it.
      clearTimeout(this.#timers.linger);
      this.#timers.linger = setTimeout(() => {
        if (![...this.articles.values()].some((a) => a.views.size)) {
          this.mqtt.stop();
        }
      }, LINGER_MS);
    }

    repaint() {
      if (!this.#painting) {
        this.#painting = true;
        requestAnimationFrame(() => {
          this.#painting = false;
          this.articles.forEach((article) => article.render());
        });
      }
    }

    /*
     * Sends what is due. One publication an article is under way at a time, so that wishes arrive in the order of the clicks and
     * a burst of clicks is sent as its first and its last.
     */
    pump() {
      clearTimeout(this.#timers.pump);
      if (!this.mqtt.up) {
        return;
      }
      const now = Date.now();
      const all = [...this.articles.values()];
      const waiting = all.filter((a) => a.wish && !a.underWay);
      const late = all.some((a) => a.underWay && a.underWay <= now); // a broker that forgot it
      if (late || (waiting.some((a) => a.due <= now) && this.mqtt.username !== reader.id)) {
        this.mqtt.restart(); // another tab stored its id after this connection began
        return;
      }
      const most = Math.min(UNDER_WAY_MOST, this.mqtt.receiveMaximum);
      waiting.filter((a) => a.due <= now).slice(0, Math.max(0, most - this.#underWay.size)).forEach((a) => this.#send(a, now));
      const next = Math.min(...all.map((a) => a.underWay || (a.wish && a.due > now ? a.due : Infinity)));
      if (next < Infinity) {
        this.#timers.pump = setTimeout(() => this.pump(), next - now);
      }
    }

    #send(article, now) {
      const wish = article.wish;
      const age = Math.max(0, now - wish.at);
      if (age > AGE_MOST_MS) {
        article.takeReceipt(wish, { outcome: 'refused', reason: 'too_old' });
        return;
      }
      const fresh = !wish.sent && age < FRESH_MS;
      const correlation = String(++this.#counter);
      const id = this.mqtt.publish(
        `reactions/${article.id}`,
        fresh ? wish.kind : JSON.stringify({ reaction: wish.kind, age_ms: age }),
        { responseTopic: `receipts/${this.mqtt.clientId}`, correlation },
      );
      this.#underWay.set(id, { article, wish, correlation });
      this.#sent.set(correlation, { article, wish });
      if (this.#sent.size > RECEIPTS_MOST) {
        this.#sent.delete(this.#sent.keys().next().value);
      }
      article.underWay = now + RETRY_MS;
      article.due = now + article.retryMs;
      article.retryMs = Math.min(RETRY_MOST_MS, article.retryMs * 2);
      if (article.overlay) {
        article.overlay.sent = true;
      }
      wish.again = wish.sent;
      if (!wish.sent) {
        wish.sent = true;
        wishes.save(article.id, wish);
      }
    }

    storedElsewhere(id) {
      const wish = wishes.load(id);
      if (this.articles.has(id)) {
        this.articles.get(id).storedElsewhere(wish);
      } else if (this.waits(id, wish)) {
        this.article(id).due = Date.now() + RETRY_MS; // should the tab that has it be gone by then
        this.pump();
      }
    }

    waits(id, wish) {
      return wish && !wish.settled && wish.via === this.url && ARTICLE_FORM.test(id);
    }

    #up() {
      clearTimeout(this.#timers.away);
      this.#timers.away = 0;
      this.away = false;
      this.mqtt.subscribe(this.#receipts());
      // What an earlier page could not send, this one does, whatever article it is about.
      for (const { article, wish } of wishes.all()) {
        if (this.waits(article, wish)) {
          this.article(article);
        }
      }
      this.articles.forEach((article) => {
        article.due = 0;
        article.retryMs = RETRY_MS;
      });
      this.pump();
      this.repaint();
    }

    #receipts() {
      return `receipts/${this.mqtt.clientId}`;
    }

    #down() {
      this.mqtt.unsubscribe(this.#receipts());
      this.#underWay.clear();
      this.#sent.clear(); // their receipts go to a client id that is gone
      this.articles.forEach((article) => {
        article.underWay = 0;
      });
      this.#noteAbsence();
    }

    #noteAbsence() {
      if (!this.mqtt.up && !this.away) {
        this.#timers.away ||= setTimeout(() => {
          this.#timers.away = 0;
          this.away = true;
          this.articles.forEach((article) => article.wish && article.say(KEPT));
          this.repaint();
        }, AWAY_MS);
      }
    }

    #message(topic, text, { correlation }) {
      const article = topic.startsWith('totals/') && this.articles.get(topic.slice(7));
      if (article) {
        const total = parseTotal(text);
        if (total) {
          article.takeTotal(total);
        }
        return;
      }
      const sent = topic === this.#receipts() && this.#sent.get(correlation);
      if (sent) {
        this.#sent.delete(correlation);
        try {
          sent.article.takeReceipt(sent.wish, JSON.parse(text));
        } catch (error) {
          console.warn('tally: a receipt that cannot be read', error);
        }
      }
    }

    #acknowledged(id, code) {
      const { article, wish, correlation } = this.#underWay.get(id) ?? {};
      if (!article) {
        return;
      }
      this.#underWay.delete(id);
      article.underWay = 0;
      setTimeout(() => {
        if (code >= 0x80 && this.#sent.delete(correlation)) {
          article.takeReceipt(wish, { outcome: 'refused', reason: code === 0x97 ? 'busy' : '' });
        } else if (this.#sent.has(correlation) && article.wish === wish) {
          article.say('Received, and soon to be counted.');
        }
      }, RECEIPT_LATE_MS);
      this.pump();
    }

    #subscribed(filter, code) {
      const article = this.articles.get(filter.slice(7));
      if (!article || !filter.startsWith('totals/')) {
        return;
      }
      article.unwatchable = code >= 0x80;
      if (!article.unwatchable) {
        setTimeout(() => {
          if (!article.total && article.views.size) {
            article.takeTotal({ counts: {}, version: 0 });
          }
        }, NO_TOTAL_MS);
      }
      this.repaint();
    }
  }

  addEventListener('storage', ({ key }) => {
    if (key === READER_KEY) {
      reader.id = storedReader() ?? reader.id;
      Hub.all().forEach((hub) => hub.pump());
    } else if (key?.startsWith(WISH_KEY)) {
      Hub.all().forEach((hub) => hub.storedElsewhere(key.slice(WISH_KEY.length)));
    }
  });

  /* ---- The element -------------------------------------------------------------------------------------------- */

  const LABELS = { like: 'Like', dislike: 'Dislike', love: 'Love', funny: 'Funny', angry: 'Angry', sad: 'Sad', wow: 'Wow' };

  // Paths on 24 × 24: [class, d]. `skin` is filled with the kind's colour, `ink` filled with the line's.
  const THUMB = [
    ['skin', 'M7.2 11l3.9-7.4c1.7 0 2.7 1.3 2.4 3.1l-.5 2.8h5.3a2 2 0 0 1 2 2.4l-1.3 6.4a2.2 2.2 0 0 1-2.2 1.7H7.2z'],
    ['', 'M3.6 11h3.6v9H3.6z'],
  ];
  const FACE = ['skin', 'M12 2.8a9.2 9.2 0 1 0 0 18.4a9.2 9.2 0 1 0 0-18.4z'];
  const ICONS = {
    like: THUMB,
    dislike: THUMB,
    love: [['skin', 'M12 20.4C5.2 15.6 2.9 12.4 2.9 9c0-2.8 2-4.8 4.5-4.8c1.9 0 3.6 1.1 4.6 3c1-1.9 2.7-3 4.6-3c2.5 0 4.5 2 4.5 4.8c0 3.4-2.3 6.6-9.1 11.4z']],
    funny: [FACE, ['', 'M6.9 10.4q1.6-2.4 3.2 0M13.9 10.4q1.6-2.4 3.2 0'], ['ink', 'M7.2 13.4h9.6a4.8 4.4 0 0 1-9.6 0z']],
    angry: [FACE, ['', 'M6.8 8.3l3.4 1.7M17.2 8.3l-3.4 1.7M8.4 16.8q3.6-3 7.2 0'], ['dot', 'M9.2 12.1v.01M14.8 12.1v.01']],
    sad: [FACE, ['', 'M8.4 16.9q3.6-3 7.2 0M6.9 8.9l2.6-1M17.1 8.9l-2.6-1'], ['dot', 'M8.9 11.6v.01M15.1 11.6v.01']],
    wow: [FACE, ['', 'M7.3 7.6q1.4-1.3 2.8-.3M16.7 7.6q-1.4-1.3-2.8-.3'], ['dot', 'M8.9 10.6v.01M15.1 10.6v.01'], ['ink', 'M12 13a2.1 2.7 0 1 0 0 5.4a2.1 2.7 0 1 0 0-5.4z']],
  };

  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host {
      all: initial; display: block; container-type: inline-size; color-scheme: light dark;
      --paper: var(--tally-background, #fff); --ink: var(--tally-color, #1a1a1a); --soft: var(--tally-muted, #5a5a5a);
      --line: var(--tally-line, #d9d6d0); --focus: var(--tally-focus, #0b57d0); --tint: 16%;
      font-family: var(--tally-font, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif);
      line-height: 1.3; color: var(--ink);
    }
    :host([hidden]) { display: none; }
    @media (prefers-color-scheme: dark) {
      :host {
        --paper: var(--tally-background, #191a1c); --ink: var(--tally-color, #ececec); --soft: var(--tally-muted, #a9a9a9);
        --line: var(--tally-line, #3b3c40); --focus: var(--tally-focus, #8ab4f8); --tint: 30%;
      }
    }
    * { box-sizing: border-box; margin: 0; }
    .card { background: var(--paper); border: 1px solid var(--line); border-top: 3px solid var(--ink); padding: .9em; }
    .title { font: 700 1.2em/1.2 var(--tally-title-font, Georgia, "Times New Roman", serif); margin-bottom: .75em; }
    .bar { display: grid; gap: .5em; grid-template-columns: repeat(auto-fit, minmax(min(100%, 8.2em), 1fr)); }
    button {
      --kind: #3f6ea8;
      position: relative; isolation: isolate; overflow: hidden; min-width: 0; min-height: 3.25em; padding: .4em .5em;
      display: grid; grid-template: "icon label share" auto "icon count count" auto / auto 1fr auto; align-content: center;
      align-items: baseline; column-gap: .45em;
      font: inherit; color: inherit; text-align: start; background: none; cursor: pointer;
      border: 1px solid var(--line); border-radius: 4px; -webkit-tap-highlight-color: transparent;
    }
    .dislike { --kind: #77736b; } .love { --kind: #c9344f; } .funny { --kind: #d99a12; }
    .angry { --kind: #d2542a; } .sad { --kind: #5a84ad; } .wow { --kind: #8a5fc0; }
    button:hover { border-color: var(--ink); }
    button:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
    button[aria-pressed=true] { border-color: var(--kind); box-shadow: inset 0 0 0 2px var(--kind); }
    button[data-pending] { box-shadow: none; }
    button[data-pending]::after { content: ""; position: absolute; inset: 1px; border: 2px dashed var(--kind); border-radius: 2px;
      animation: show .2s .4s both; }
    @keyframes show { from { opacity: 0; } }
    .fill {
      position: absolute; inset: 0; z-index: -1; background: color-mix(in srgb, var(--kind) var(--tint), transparent);
      transform: scaleX(var(--share, 0)); transform-origin: left; transition: transform .4s;
    }
    .fill:dir(rtl) { transform-origin: right; }
    svg { grid-area: icon; align-self: center; width: 1.75em; height: 1.75em; fill: none; stroke: currentColor;
      stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round; }
    .skin { fill: color-mix(in srgb, var(--kind) 30%, var(--paper)); transition: fill .2s; }
    [aria-pressed=true] .skin { fill: color-mix(in srgb, var(--kind) 75%, var(--paper)); }
    .ink { fill: currentColor; } .dot { stroke-width: 2.4; } .dislike svg { transform: rotate(180deg); }
    .label { grid-area: label; font-size: .875em; }
    [aria-pressed=true] .label { font-weight: 700; }
    .count { grid-area: count; font-size: .875em; font-weight: 700; font-variant-numeric: tabular-nums; }
    .share { grid-area: share; font-size: .8125em; color: var(--soft); font-variant-numeric: tabular-nums; }
    .foot { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .25em 1em; margin-top: .75em;
      font-size: .8125em; color: var(--soft); min-height: 1.3em; }
    .status { color: var(--ink); flex: 1 1 12em; }
    .sum { font-variant-numeric: tabular-nums; }
    .trouble { flex-basis: 100%; }
    .trouble:empty { display: none; }
    @container (max-width: 12em) {
      button { grid-template: "icon label" auto "icon count" auto "icon share" auto / auto 1fr; }
    }
    @container (min-width: 36em) {
      .bar { grid-template-columns: repeat(7, minmax(0, 1fr)); }
      button { grid-template: "icon" auto "label" auto "count" auto "share" auto / 1fr; justify-items: center; text-align: center;
        padding: .75em .25em .65em; row-gap: 0; }
      svg { width: 2.1em; height: 2.1em; }
      .label { margin-block: .35em .15em; }
      .fill { transform: scaleY(var(--share, 0)); transform-origin: bottom; }
    }
    @media (prefers-reduced-motion: reduce) { .fill, .skin { transition: none; } }
    @media (forced-colors: active) { .fill { background: none; } button[aria-pressed=true] { outline: 3px solid Highlight; } }
  `);

  const wholeNumber = new Intl.NumberFormat();
  const shortNumber = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(undefined, { style: 'percent' });
  const number = (n) => (n < 100_000 ? wholeNumber : shortNumber).format(n);

  // A share is never rounded to nothing or to all of it.
  function share(part, sum) {
    const ratio = part / sum;
    return ratio > 0 && ratio < 0.01
      ? `<${percent.format(0.01)}`
      : percent.format(ratio < 1 ? Math.min(0.99, ratio) : ratio || 0);
  }

  function make(name, attributes, ...children) {
    const node = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    node.append(...children);
    return node;
  }

  function icon(kind) {
    const space = 'http://www.w3.org/2000/svg';
    const svg = document.createElementNS(space, 'svg');
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('aria-hidden', 'true');
    for (const [className, d] of ICONS[kind]) {
      const path = document.createElementNS(space, 'path');
      path.setAttribute('class', className);
      path.setAttribute('d', d);
      svg.append(path);
    }
    return svg;
  }

  // Writes only what changed: most totals move one or two counts.
  function setText(node, text) {
    if (node.data !== text) {
      node.data = text;
    }
  }

  class TallyReactions extends HTMLElement {
    static observedAttributes = ['article', 'broker'];
    static Mqtt = Mqtt;
    static brokerUrl = brokerUrl;
    static kinds = KINDS;

    #buttons = new Map(); // kind → {button, fill, count, share}
    #sum = new Text();
    #trouble = new Text();
    #status = make('p', { class: 'status', role: 'status' });
    #article = null;
    #wrong = '';

    constructor() {
      super();
      const bar = make('div', { class: 'bar', role: 'group', 'aria-labelledby': 'title', part: 'bar' });
      for (const kind of KINDS) {
        bar.append(this.#makeButton(kind));
      }
      const root = this.attachShadow({ mode: 'open' });
      root.adoptedStyleSheets = [sheet];
      root.append(
        make('div', { class: 'card', part: 'card' },
          make('div', { class: 'title', id: 'title', part: 'title' }, 'What’s your reaction?'),
          bar,
          make('div', { class: 'foot', part: 'foot' },
            this.#status,
            make('p', { class: 'sum' }, this.#sum),
            make('p', { class: 'trouble' }, this.#trouble))),
      );
    }

    connectedCallback() {
      this.#attach();
    }

    disconnectedCallback() {
      this.#detach();
    }

    attributeChangedCallback(name, before, after) {
      if (this.isConnected && before !== after) {
        this.#attach();
      }
    }

    /** The polite word to the reader about their own action. */
    say(text) {
      this.#status.textContent = text;
    }

    render() {
      const article = this.#article;
      const counts = KINDS.map((kind) => article?.count(kind) ?? 0);
      const sum = counts.reduce((a, b) => a + b, 0);
      const known = Boolean(article?.total || article?.overlay);
      KINDS.forEach((kind, i) => {
        const parts = this.#buttons.get(kind);
        setText(parts.count, known ? number(counts[i]) : '–');
        setText(parts.share, known ? share(counts[i], sum) : '');
        parts.fill.style.setProperty('--share', sum ? (counts[i] / sum).toFixed(4) : '0');
        const pressed = String(article?.shownChoice === kind);
        if (parts.button.getAttribute('aria-pressed') !== pressed) {
          parts.button.setAttribute('aria-pressed', pressed);
        }
        parts.button.toggleAttribute('data-pending', article?.pending === kind);
      });
      setText(this.#sum, known ? `${wholeNumber.format(sum)} ${sum === 1 ? 'reaction' : 'reactions'}` : '');
      setText(this.#trouble, this.#wrong || this.#troubleOf(article));
    }

    #troubleOf(article) {
      return article?.hub.away
        ? 'Not connected: the numbers may be old.'
        : article?.unwatchable ? 'The numbers cannot be shown here.' : '';
    }

    #makeButton(kind) {
      const parts = { fill: make('span', { class: 'fill' }), count: new Text('–'), share: new Text() };
      parts.button = make('button', { type: 'button', class: kind, part: `button ${kind}`, 'aria-pressed': 'false' },
        parts.fill,
        icon(kind),
        make('span', { class: 'label' }, LABELS[kind]), ' ',
        make('span', { class: 'count' }, parts.count), ' ',
        make('span', { class: 'share' }, parts.share));
      parts.button.addEventListener('click', () => this.#article?.react(kind, this));
      this.#buttons.set(kind, parts);
      return parts.button;
    }

    #attach() {
      this.#detach();
      const id = this.getAttribute('article') ?? '';
      const url = brokerUrl(this.getAttribute('broker'));
      this.#wrong = !ARTICLE_FORM.test(id)
        ? 'This reaction bar has no valid article id.'
        : !url ? 'This reaction bar does not know its broker.' : '';
      this.#article = this.#wrong ? null : Hub.at(url).watch(id, this);
      this.#buttons.forEach(({ button }) => button.toggleAttribute('disabled', Boolean(this.#wrong)));
      this.say('');
      this.#article?.tell();
      this.render();
    }

    #detach() {
      this.#article?.hub.leave(this.#article, this);
      this.#article = null;
    }
  }

  customElements.define('tally-reactions', TallyReactions);
})();

/*
 * What the operators' page knows of an edge, from the topics of INTERFACES.md 2.4 to 2.8 and 2.11: as `tally watch` does (cli/watch_view.h). Pure: times
 * are arguments, in ms of one clock that never goes back. A missing member counts as 0, '' or false, so that older and newer programs are understood.
 */
export const AWAY_MS = 5_000;
export const PROBE_OLD_MS = 30_000;
const RATE_MS = 900; // a status may also come between two seconds: too soon for a rate
const HISTORY = 600; // statuses, one a second
const NAMES_MOST = 32; // of a group of counters
const SHARDS_MOST = 4_096;
const ARTICLES_MOST = 120;
const REASONS_MOST = 32;
const TEXT_MOST = 512;

const cut = (string, most = TEXT_MOST) => (string.length > most ? `${string.slice(0, most)}…` : string);
const number = (object, name) => (Number.isFinite(object?.[name]) ? object[name] : 0);
const text = (object, name) => (typeof object?.[name] === 'string' ? cut(object[name]) : '');
const flag = (object, name) => object?.[name] === true;
const list = (object, name, most) => (Array.isArray(object?.[name]) ? object[name].slice(0, most) : []);
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** [[name, number], …] */
function group(object, name) {
  const found = isObject(object?.[name]) ? Object.entries(object[name]) : [];
  return found.filter(([, value]) => Number.isFinite(value)).slice(0, NAMES_MOST).map(([key, value]) => [cut(key, NAMES_MOST), value]);
}

const newCounter = () => ({ known: false, rated: false, value: 0, perS: 0, from: 0, fromMs: 0 });

/** Rates are of the time in the message: a retained one may be old. */
function setCounter(counter, value, nowMs) {
  // The first, or its program started again, or its clock was set back
  if (!counter.known || value < counter.from || nowMs < counter.fromMs) {
    Object.assign(counter, { known: true, rated: false, value, perS: 0, from: value, fromMs: nowMs });
    return;
  }
  counter.value = value;
  if (nowMs >= counter.fromMs + RATE_MS) {
    Object.assign(counter, { rated: true, perS: ((value - counter.from) * 1000) / (nowMs - counter.fromMs), from: value, fromMs: nowMs });
  }
}

export default () => {
  const view = {
    edge: '', store: '',
    health: '', reasons: [], // '' unknown
    feedStore: null, // of the feed's mark
    told: false, online: false, toldMs: 0, // a collector's status came; it is not the will's
    status: null, // the last that is not the will's
    shards: [], oldRings: 0, heldShards: 0,
    admitted: newCounter(), applied: newCounter(), published: newCounter(),
    refused: new Map(), // reason → counter
    refusals: null, // ops/refusals
    audit: null, // ops/audit
    probe: null, // ops/probe
  };
  let edgeMs = 0, edgeAtMs = 0; // the edge's clock, and when a message told it
  let history = []; // {atMs, admitted}

  const edgeClock = (nowMs) => edgeMs + (nowMs - edgeAtMs);
  /** The time in a message, from which the edge's clock follows. */
  const edgeTold = (object, newest, nowMs) => {
    const atMs = number(object, 'at_ms');
    if (!(atMs > 0 && atMs < 9e15)) {
      return edgeClock(nowMs);
    }
    if (newest || atMs > edgeMs) {
      [edgeMs, edgeAtMs] = [atMs, nowMs];
    }
    return atMs;
  };

  const collectorThere = (nowMs) => view.told && view.online && nowMs - view.toldMs <= AWAY_MS;

  const takeRefused = (object, nowMs) => {
    for (const [reason, value] of group(object, 'refused')) {
      if (!view.refused.has(reason) && view.refused.size < REASONS_MOST) {
        view.refused.set(reason, newCounter());
      }
      view.refused.has(reason) && setCounter(view.refused.get(reason), value, nowMs);
    }
  };

  const takeHistory = (admitted, nowMs) => {
    if (history.length && admitted < history.at(-1).admitted) {
      history = []; // another spool
    }
    history.push({ atMs: nowMs, admitted });
    history = history.slice(-HISTORY);
  };

  const takeShards = (object) => {
    view.shards = list(object, 'shards', SHARDS_MOST)
      .filter(isObject)
      .map((one) => ({ shard: number(one, 'shard'), backlogBytes: number(one, 'backlog_bytes'), oldRings: number(one, 'old_rings'), held: text(one, 'held') }));
    view.oldRings = view.shards.reduce((sum, one) => sum + one.oldRings, 0);
    view.heldShards = view.shards.filter(({ held }) => held).length;
  };

  const takeCollector = (object, nowMs) => {
    Object.assign(view, { told: true, toldMs: nowMs, online: flag(object, 'online') });
    if (!view.online) {
      return;
    }
    view.edge = text(object, 'edge');
    view.store = text(object, 'store');
    view.status = { ready: flag(object, 'ready'), producer: flag(object, 'producer') };
    for (const name of ['version', 'reason', 'refuses']) {
      view.status[name] = text(object, name);
    }
    for (const name of [
      'in_spool', 'in_spool_bytes', 'redis_away', 'clock_skew_ms', 'lost', 'quarantined', 'damaged', 'audited', 'audit_differing', 'audit_skipped', 'redis_reconnects',
    ]) {
      view.status[name] = number(object, name);
    }
    takeShards(object);
    const atMs = edgeTold(object, true, nowMs);
    setCounter(view.admitted, number(object, 'admitted'), atMs);
    setCounter(view.applied, number(object, 'applied'), atMs);
    takeRefused(object, atMs);
    takeHistory(view.admitted.value, nowMs);
  };

  /** The collector reports the same counters each second. Without one, these are all there are. */
  const takeRefusals = (object, nowMs) => {
    const creation = isObject(object.creation) ? object.creation : {};
    if (!collectorThere(nowMs)) {
      takeRefused(object, edgeTold(object, false, nowMs));
    }
    view.refusals = {
      connections: group(object, 'connections'),
      floods: group(object, 'floods'),
      created: group(creation, 'refused'),
      known: number(creation, 'known'),
      max: number(creation, 'max'),
      provisional: number(creation, 'provisional'),
      articles: list(object, 'articles', ARTICLES_MOST)
        .filter(isObject)
        .map((one) => ({ article: text(one, 'article'), known: flag(one, 'known'), sinceMs: number(one, 'since_ms'), refused: group(one, 'refused') })),
    };
  };

  const takeHealth = (object) => {
    if (typeof object.status !== 'string') {
      return;
    }
    view.health = cut(text(object, 'status'), NAMES_MOST);
    view.reasons = list(object, 'reasons', NAMES_MOST).filter((reason) => typeof reason === 'string').map((reason) => cut(reason));
  };

  const takeProbe = (object, nowMs) => {
    if (typeof object.ok !== 'boolean') {
      return;
    }
    edgeTold(object, false, nowMs);
    view.probe = { ok: object.ok, reason: text(object, 'reason'), receiptMs: number(object, 'receipt_ms'), totalMs: number(object, 'total_ms'), atMs: number(object, 'at_ms') };
  };

  const takeAudit = (object) => {
    const difference = isObject(object.last_difference) ? object.last_difference : null;
    view.audit = {
      difference: difference && { article: text(difference, 'article'), what: text(difference, 'what'), expected: number(difference, 'expected'), found: number(difference, 'found') },
    };
  };

  const takers = {
    'ops/collector': takeCollector,
    'ops/refusals': takeRefusals,
    'ops/health': takeHealth,
    'ops/audit': takeAudit,
    'ops/probe': takeProbe,
    'ops/feed': (object) => (view.feedStore = text(object, 'store')),
  };

  return Object.assign(view, {
    /** A message. Other topics than these, and payloads that are not understood, change nothing. */
    take(topic, payload, nowMs) {
      if (topic === 'ops/probe' && payload === '') {
        view.probe = null; // the feed has ended
      }
      let object = null;
      try {
        object = JSON.parse(payload);
      } catch {
        /* empty, or not JSON */
      }
      if (isObject(object) && Object.hasOwn(takers, topic)) {
        takers[topic](object, nowMs);
      }
    },

    /** Totals are watched from now on, or not any more. */
    watchTotals(on, nowMs) {
      Object.assign(view.published, { known: on || view.published.known, rated: false, from: view.published.value, fromMs: nowMs });
    },

    /** Once a second: rates of what is counted here, or has stopped. */
    pass(nowMs, totals) {
      if (totals) {
        setCounter(view.published, view.published.value, nowMs);
      }
      if (collectorThere(nowMs)) {
        return;
      }
      view.admitted.rated = view.applied.rated = false;
      for (const counter of view.refused.values()) {
        setCounter(counter, counter.value, edgeClock(nowMs));
      }
    },

    /** 'unknown', 'away' (it says nothing for AWAY_MS, or ended), 'ready' or 'not ready' */
    collector(nowMs) {
      if (!view.told) {
        return 'unknown';
      }
      return !collectorThere(nowMs) ? 'away' : view.status.ready ? 'ready' : 'not ready';
    },

    /** How long ago the last probe ended, by the edge's clock; 0 if there was none. */
    probeAgeMs(nowMs) {
      return view.probe?.atMs > 0 ? Math.max(0, edgeClock(nowMs) - view.probe.atMs) : 0;
    },

    /** 'unknown', 'online', or 'offline' or 'starting' as its health says */
    feed() {
      const own = view.reasons.find((reason) => reason.startsWith('feed: '));
      return own ? own.slice(6) : view.health ? 'online' : 'unknown';
    },

    /**
     * For how long the oldest reaction in the spool has waited at least; 0 if none waits. It was admitted before the status in which `admitted`
     * had passed it.
     */
    oldestMs(nowMs) {
      const before = view.admitted.value - (view.status?.in_spool ?? 0);
      const passed = view.status?.in_spool > 0 && history.find(({ admitted }) => admitted > before);
      return passed ? nowMs - passed.atMs : 0;
    },

    /** A counter: the sum of all reasons. */
    refusedSum() {
      const sum = newCounter();
      for (const counter of view.refused.values()) {
        sum.known ||= counter.known;
        sum.rated ||= counter.rated;
        sum.value += counter.value;
        sum.perS += counter.rated ? counter.perS : 0;
      }
      return sum;
    },
  });
};

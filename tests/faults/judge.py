"""Compares the answers that readers got with Redis, the broker and HTTP, for script/prove and script/soak."""

import collections
import json
import time

from edge import counts_of
from store import EPOCH_MS, reader_hash

SLACK_MS = 10  # between this program's clock and the broker's, both of this machine
SHOWN_S = 30.0

Held = collections.namedtuple("Held", "stamp_ms kind")
Verdict = collections.namedtuple("Verdict", "acknowledged lost invented overtaken")


def held(edge):
    """article → {reader hash: Held}, as it is in Redis. Not Store.registers(): its assertions would hide the differences that are counted here."""
    store = edge.store
    kinds = store.kinds()
    kinds[0] = "none"
    numbers = {(shard, head.number): article for article, (shard, head) in store.heads().items()}
    found = collections.defaultdict(dict)
    for key in edge.redis.scan_iter(match="tally:{*}:*:*", count=1000):
        _tally, shard, article, _bucket = key.decode().split(":")
        for field, value in edge.redis.hgetall(key).items():
            packed = int.from_bytes(value, "big")
            register = Held((packed >> 15) + EPOCH_MS, kinds[packed & 15])
            found[numbers[(int(shard[1:-1]), int(article))]][int.from_bytes(field, "little")] = register
    return found


def sends_by_register(edge, readers):
    """article → {reader hash: sends}."""
    key = edge.key()
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for reader in readers:
        hashes = {}
        for send in reader.sends:
            article = send.reaction.article
            if article not in hashes:
                hashes[article] = reader_hash(key, article, *reader.identity)
            found[article][hashes[article]].append(send)
    return found


def judge(sends, register, excused_ms=()):
    """The newest reaction by stamp must be in the register. An acknowledged reaction is lost where it was clicked after what the register holds, all
    are if there is no register. A register is invented where none of the sends can have left it. Overtaken: it holds an earlier click
    than the last acknowledged, as that one's message was under way longer, or a clock jumped. `excused_ms`: stamps of records that were
    damaged on purpose."""
    acknowledged = list({id(s.reaction): s.reaction for s in sends if s.reaction.acknowledged}.values())
    if register is None:
        lost = [w for w in acknowledged if not _excused(sends, w, excused_ms)]
        return Verdict(acknowledged, lost, 0, 0)
    first_ms = {}
    for send in sends:
        if not send.refused():
            first_ms[id(send.reaction)] = min(send.from_ms, first_ms.get(id(send.reaction), send.from_ms))
    missing = [w for w in acknowledged if first_ms[id(w)] - SLACK_MS > register.stamp_ms]
    lost = [w for w in missing if not _excused(sends, w, excused_ms)]
    could = [s for s in sends if not s.refused() and s.reaction.kind == register.kind
             and s.from_ms - SLACK_MS <= register.stamp_ms <= s.to_ms + SLACK_MS]
    last = max((w for w in acknowledged if w not in missing), key=lambda w: w.clicked, default=None)
    overtaken = int(bool(could) and last is not None and last.kind != register.kind and all(s.reaction.clicked < last.clicked for s in could))
    return Verdict(acknowledged, lost, int(not could), overtaken)


def _excused(sends, reaction, excused_ms):
    return any(s.from_ms - SLACK_MS <= stamp <= s.to_ms + SLACK_MS for s in sends if s.reaction is reaction for stamp in excused_ms)


def truth_of(registers):
    """article → {kind: count}."""
    return {article: dict(collections.Counter(r.kind for r in by_reader.values() if r.kind != "none"))
            for article, by_reader in registers.items()}


def difference(truth, seen):
    """The missing and the extra reactions."""
    missing = surplus = 0
    for kind in set(truth) | set(seen):
        by = seen.get(kind, 0) - truth.get(kind, 0)
        missing, surplus = missing + max(0, -by), surplus + max(0, by)
    return missing, surplus


def retained(edge, articles):
    """A function that returns article → counts, as a new subscriber gets them."""
    watcher = edge.service("newsroom")
    watcher.watch("totals/#")

    def seen():
        latest = {}
        for message in watcher.got(prefix="totals/"):
            article = message.topic[len("totals/"):]
            if article in articles and message.payload:
                latest[article] = counts_of(json.loads(message.payload))
        return latest
    return seen


def wait_shown(seen, truth):
    """Waits until `seen()` agrees with the truth. Returns article → counts of what still does not in the end."""
    deadline = time.monotonic() + SHOWN_S
    while True:
        now = seen()
        wrong = {article: now.get(article, {}) for article in truth if now.get(article, {}) != truth[article]}
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(0.1)


def books(edge):
    """admitted, applied, quarantined, lost: by the spool's header and Redis."""
    store = edge.store
    gone = store.books()
    quarantined, lost, applied = gone["quarantined"], gone["lost"], gone["applied"]
    for _position, sequence, ring_quarantined, ring_lost, _edge in store.rings().values():
        applied += sequence - ring_quarantined - ring_lost
        quarantined += ring_quarantined
        lost += ring_lost
    return edge.header.admitted(), applied, quarantined, lost

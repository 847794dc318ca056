"""Articles that reactions make known: who pays for it, and what becomes of those that hardly anyone touched."""

import json
import os
import struct
import subprocess
import threading

import pytest

from aging import HOUR_S, age
from clients import unique
from edge import wait_until
from scripts import script_text
from store import article_shard, bucket_of, parse_head

OK = (0, 0x10)
WIDE = 1000000


def _edge(make_edge, **plugin):
    return make_edge(limits="on", plugin=dict({"max_articles": 1000}, **plugin))


class Inventors:
    """Twenty readers of 127.0.0.1 who react to articles that they make up, each four a second, until they are stopped."""

    def __init__(self, edge, n=20):
        self.stopping = threading.Event()
        self.sent = 0
        self.clients = [edge.client() for _ in range(n)]
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stopping.wait(1 / 80):
            self.clients[self.sent % len(self.clients)].send("reactions/" + unique("invented"), b"like", 0)
            self.sent += 1

    def stop(self):
        self.stopping.set()
        self.thread.join()
        for client in self.clients:
            client.flush()


def test_inventors_of_one_address_cost_readers_of_another_nothing(make_edge):
    edge = _edge(make_edge, max_articles=100000).start()
    inventors = Inventors(edge)
    wait_until(lambda: inventors.sent >= 320, "four seconds of inventions")  # five times what may be made known at once
    honest = [edge.client(source="127.0.0.2") for _ in range(20)]
    codes = [client.say("reactions/" + unique("new"), b"like") for client in honest]
    inventors.stop()
    assert sum(code in OK for code in codes) == 20, codes
    assert edge.header.refused()["rate_address"] > 0


# --- what hardly anyone touched ---

KEPT = 20  # of one address, that are never forgotten
WEEK_S = 7 * 24 * HOUR_S
FORGETFUL = {"reader_create_burst": WIDE, "address_create_burst": WIDE, "auto_create_rate": WIDE, "reader_burst": WIDE}
QUICK = {"feed": {"publish_interval_ms": 20, "repeat_ms": 200}}


def _forgetful(make_edge, feed=None, redis_of=None, **plugin):
    return make_edge(limits="on", plugin=dict(FORGETFUL, max_articles=1000, **plugin), feed=dict(QUICK["feed"], **(feed or {})),
                     collector={"audit_per_minute": 0}, redis_of=redis_of)


def _beside(make_edge, first):
    """Another edge on the first one's Redis."""
    return _forgetful(make_edge, redis_of=first).start()


def _age(edge, seconds, beside=()):
    """Dates everything done so far on this edge back by this time. The others restart first, so that their brokers retain everything."""
    edge.settle()
    for one in (edge, *beside):
        one.stop("broker", "feed")
    age(edge, seconds)
    for one in beside:
        one.start("broker")
        one.start("feed", ready=False)  # its collector may be down
        wait_until(lambda: set(_retained(one)) == set(edge.store.heads()), "the retained totals of the other edge")
    edge.start("broker", "feed")


def _invent(edge, n, source="127.0.0.1"):
    client = edge.client(source=source)
    articles = [unique("invented") for _ in range(n)]
    assert all(client.say("reactions/" + a, b"like") in OK for a in articles)
    return articles


def _retained(edge):
    """The totals that the broker retains, by article."""
    client = edge.service("operator")
    client.watch("totals/#")
    client.flush()
    found = {m.topic[len("totals/"):]: m.payload for m in client.got(prefix="totals/") if m.retain and m.payload}
    client.close()
    return found


def _known(edge):
    """The articles in the broker's file."""
    with open(os.path.join(edge.spool, "registry"), "rb") as registry:
        held = registry.read()
    return {held[at + 13:at + 13 + held[at + 12]].decode() for at in range(4096, len(held), 296) if held[at + 12]}


def _shown(edge):
    """The articles in Redis that are not forgotten."""
    return {a for a, (shard, _head) in edge.store.heads().items() if edge.redis.hget("tally:{%d}:heads" % shard, a)[1] != 2}


def _consistent(edge):
    argv = edge.command_argv("audit", "--articles", "all", "--json")
    argv[argv.index("--redis-port") + 1] = str(edge.redis.connection_pool.connection_kwargs["port"])
    done = subprocess.run(argv, stdout=subprocess.PIPE, env=edge.env, timeout=120)
    assert done.returncode == 0, done.stdout


def test_inventions_are_forgotten_everywhere_and_what_readers_counted_stays(make_edge):
    a = _forgetful(make_edge, feed={"forgotten_s": 1}).start()
    b = _beside(make_edge, a)
    invented = _invent(a, KEPT + 15)
    alone = _invent(a, 3, source="127.0.0.2")  # a reader whose articles nobody else has read
    both, seen, opened, elsewhere = invented[:4]
    assert a.client(source="127.0.0.3").say("reactions/" + both, b"sad") in OK
    a.client(source="127.0.0.3").watch("totals/" + seen)
    a.service("operator").say("articles/" + opened, b"open", retain=True)
    for article in invented + alone:
        b.wait_total(article)
    wait_until(lambda: len(_retained(b)) == len(invented + alone), "the totals on the other edge")
    assert b.client(source="127.0.0.4").say("reactions/" + elsewhere, b"wow") in OK
    b.settle()
    real = set(alone) | {both, seen, opened, elsewhere}
    wait_until(lambda: a.redis.hget("tally:{%d}:states" % article_shard(opened, 4), opened), "the state to be stored")
    before = a.store.totals()
    versions = {article: head.version for article, (_shard, head) in a.store.heads().items()}
    _age(a, WEEK_S, [b])
    # `elsewhere` is asked of, and found to be real; of the other 31 so many are forgotten that KEPT stay.
    kept = len(real) + KEPT
    wait_until(lambda: len(_shown(a)) == kept, "all but %d to be forgotten" % kept)
    wait_until(lambda: len(a.store.heads()) == kept, "what is left of them to be swept")
    assert real <= set(a.store.heads())
    assert {article: n for article, n in before.items() if article in a.store.heads()} == a.store.totals()
    a.store.registers()  # no orphans, and every head agrees
    left = set(a.store.heads())
    for edge in (a, b):
        wait_until(lambda: set(_retained(edge)) == left, "the retained totals to go")
        wait_until(lambda: _known(edge) == left, "the brokers' knowledge to go")
        _consistent(edge)
    for shard in range(4):
        assert a.redis.zcard("tally:{%d}:forgotten" % shard) == 0
        assert {m.decode() for m in a.redis.zrange("tally:{%d}:changed" % shard, 0, -1)} <= left
    assert a.refusals(lambda told: told["creation"]["forgotten"] == len(invented) + 3 - kept, "so many forgotten")["creation"]["known"] == kept
    # One that is made up again is counted again, with a version above whatever it had.
    gone = sorted(set(invented) - left)[0]
    assert a.client(source="127.0.0.5").say("reactions/" + gone, b"angry") in OK
    a.settle()
    assert a.store.totals()[gone] == {"angry": 1}
    assert a.store.heads()[gone][1].version > versions[gone]
    wait_until(lambda: gone in _retained(b), "its total")


def test_a_reaction_that_races_the_forgetting_brings_all_back(make_edge):
    """It was admitted when the article was forgotten, and comes to Redis after that: both readers count."""
    edge = _forgetful(make_edge).start()
    invented = _invent(edge, KEPT + 1)
    _age(edge, WEEK_S)
    wait_until(lambda: len(_shown(edge)) == KEPT, "one to be forgotten")
    article, = set(invented) - _shown(edge)
    wait_until(lambda: article not in _retained(edge) and article not in _known(edge), "its total to go")
    _consistent(edge)
    status, _headers, body = edge.get("/totals/" + article)
    assert status == 200 and json.loads(body)["total"] == 0
    forgotten = edge.store.heads()[article][1]
    for kind in (b"like", b"none"):  # whatever it is
        assert edge.client(source="127.0.0.2").say("reactions/" + article, kind) in OK
        edge.settle()
        assert article in _shown(edge)
    assert edge.store.totals()[article] == {"like": 2}
    assert edge.store.heads()[article][1].version > forgotten.version
    wait_until(lambda: article in _retained(edge), "its total to come back")
    _consistent(edge)


def test_the_feed_says_when_all_that_may_be_made_known_is(make_edge):
    edge = _edge(make_edge, auto_create_rate=2, max_articles=3).start()
    readers = [edge.client(source="127.0.0.%d" % i) for i in range(1, 9)]
    assert [r.say("reactions/" + unique("new"), b"like") for r in readers].count(0x87) >= 5
    told = edge.refusals(lambda told: told["creation"]["refused"]["rate"] >= 5, "that the bucket of all is empty")
    assert told["creation"]["max"] == 3 and told["creation"]["refused"]["full"] == 0
    assert told["refused"]["unknown_article"] == told["creation"]["refused"]["rate"]
    wait_until(lambda: edge.metrics().get('tally_refused_articles_total{cause="rate"}', 0) >= 5, "the metric")
    assert edge.metrics()["tally_known_articles_max"] == 3
    full = _edge(make_edge, max_articles=2).start()
    assert [full.client().say("reactions/" + unique("new"), b"like") for _ in range(3)].count(0x87) == 1
    full.refusals(lambda told: told["creation"]["refused"]["full"] == 1 and told["creation"]["known"] == 2, "that the table is full")
    wait_until(lambda: full.metrics().get('tally_refused_articles_total{cause="full"}') == 1, "the metric")


def test_what_waits_in_another_edges_spool_brings_all_back(make_edge):
    """A reader of another edge, whose collector is away, reacted before the article was forgotten: nobody can know. Both count afterwards."""
    a = _forgetful(make_edge).start()
    b = _beside(make_edge, a)
    invented = _invent(a, KEPT + 1)
    a.settle()
    b.stop("collector")
    client = b.client(source="127.0.0.2")
    assert all(client.say("reactions/" + article, b"sad") in OK for article in invented)
    _age(a, WEEK_S, beside=[b])  # a feed that went on would find versions below those that it published, and have the articles touched
    wait_until(lambda: len(_shown(a)) == KEPT, "one to be forgotten")
    article, = set(invented) - _shown(a)
    wait_until(lambda: article not in _retained(b), "the other edge to drop its total")
    b.start("collector")
    b.settle()
    assert a.store.totals() == {one: {"like": 1, "sad": 1} for one in invented}
    for edge in (a, b):
        wait_until(lambda: article in _retained(edge), "its total to come back")
        _consistent(edge)


def test_a_cms_announces_its_articles_as_the_guide_says(make_edge, tmp_path):
    edge = _edge(make_edge, auto_create="off").start()
    (tmp_path / "mosquitto_pub").write_text("-u operator\n-P %s\n" % edge.secret("operator"))
    env = dict(os.environ, XDG_CONFIG_HOME=str(tmp_path))
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(edge.mqtt_port), "-t", "articles/4", "-m", "open", "-r", "-q", "1"], env=env,
                   check=True, timeout=60)
    client = edge.client()
    assert client.say("reactions/4", b"like") in OK
    assert client.say("reactions/5", b"like") == 0x87
    told = edge.refusals(lambda told: told["creation"]["refused"]["off"] == 1, "what is refused as nothing is made known")
    assert told["refused"]["unknown_article"] == 1


# --- what Redis decides ---

NAMES = ["heads", "base", "changed", "meta", "states", "forgotten"]
READER, OTHER = 0x0c2e4a1100000001, 0x7d00000000000001
LONG_AGO = 1_700_000_000_000_000


def _key(name):
    return "tally:{0}:" + name


def _run(redis, name, keys, *arguments):
    return redis.eval(script_text("dashboard-feed/" + name), len(keys), *map(_key, keys), *arguments, "")[0].decode()


def _forget(redis, readers=("0c2e4a11",), quiet_s=21600):
    return _run(redis, "forget.lua", NAMES, "a", "0", quiet_s, "".join(readers))


def _plant(redis, registers=(READER,), version=LONG_AGO, level=0, split=0, flags=0, voters=None):
    redis.flushall()
    count = len(registers)
    head = struct.pack("<BBQIIBIBBI", 1, flags, version, 7, count if voters is None else voters, level, split, 1, 1, count)
    redis.hset(_key("heads"), "a", head + (b"\0" * 8 if flags == 1 else b""))
    redis.hset(_key("meta"), mapping={"version": version, "articles": 7})
    redis.zadd(_key("changed"), {"a": version})
    for reader in registers:
        redis.hset(_key("7:%d" % bucket_of(reader, level, split)), struct.pack("<Q", reader), b"\0" * 6 + b"\1")


def _untouched(redis, answer, **more):
    before = {key: redis.dump(key) for key in redis.keys()}
    assert _forget(redis, **more) == answer
    assert {key: redis.dump(key) for key in redis.keys()} == before


def test_redis_forgets_only_what_nobody_else_voted_on(redis_alone):
    _plant(redis_alone)
    _untouched(redis_alone, "real", readers=("7d000000",))
    _untouched(redis_alone, "real", readers=())
    _plant(redis_alone, [READER, OTHER])
    _untouched(redis_alone, "real")
    _plant(redis_alone, [READER + i for i in range(17)])
    _untouched(redis_alone, "real")
    _plant(redis_alone, flags=1)
    _untouched(redis_alone, "real")
    for key, value in (("base", b"\1\0"), ("states", b"{}")):
        _plant(redis_alone)
        redis_alone.hset(_key(key), "a", value)
        _untouched(redis_alone, "real")
    redis_alone.flushall()
    _untouched(redis_alone, "none")


def test_redis_forgets_nothing_that_is_young_paused_or_damaged(redis_alone):
    seconds, micros = redis_alone.time()
    now = seconds * 1000000 + micros
    _plant(redis_alone, version=now - 21590 * 1000000)
    _untouched(redis_alone, "young")
    _plant(redis_alone)
    redis_alone.hset(_key("meta"), "version", 2 ** 53 - 1)  # no version is above it
    _untouched(redis_alone, "error")
    _plant(redis_alone)
    redis_alone.hset(_key("meta"), "pause", "%d %d %016x" % (now, now + 2000000, 7))
    _untouched(redis_alone, "paused")
    for more in (dict(flags=3), dict(voters=2), dict(level=16), dict(level=3)):
        _plant(redis_alone, **more)
        _untouched(redis_alone, "error", readers=("0c2e4a11", "7d000000"))
    for key in NAMES:
        _plant(redis_alone)
        redis_alone.delete(_key(key))
        redis_alone.lpush(_key(key), "of another type")
        _untouched(redis_alone, "error")


def test_what_is_forgotten_is_marked_then_swept(redis_alone):
    registers = [i << 32 | i * 17 for i in range(7)]
    _plant(redis_alone, registers, level=1, split=1)
    assert _forget(redis_alone, readers=["%08x" % max(i, 1) for i in range(7)]) == "forgotten"
    raw = redis_alone.hget(_key("heads"), "a")
    version = struct.unpack_from("<Q", raw, 2)[0]
    assert raw[1] == 2 and version > LONG_AGO and parse_head(raw).voters == 7
    assert redis_alone.zscore(_key("changed"), "a") == redis_alone.zscore(_key("forgotten"), "a") == version == int(redis_alone.hget(_key("meta"), "version"))
    _untouched(redis_alone, "forgotten")
    sweep = ["heads", "changed", "meta", "forgotten"]
    before = {key: redis_alone.dump(key) for key in redis_alone.keys()}
    assert _run(redis_alone, "sweep.lua", sweep, 3600, 100) == "done"
    assert {key: redis_alone.dump(key) for key in redis_alone.keys()} == before
    assert _run(redis_alone, "sweep.lua", sweep, 0, 100) == "done"
    assert redis_alone.keys() == [_key("meta").encode()]  # its version, so that whatever comes later has a higher one
    # One that somebody has reacted to since is left as it is; a step takes so many at most.
    _plant(redis_alone)
    redis_alone.zadd(_key("forgotten"), {"a": 1, "b": 2})
    assert _run(redis_alone, "sweep.lua", sweep, 0, 1) == "more"
    assert redis_alone.hexists(_key("heads"), "a") and not redis_alone.zscore(_key("forgotten"), "a")
    assert _run(redis_alone, "sweep.lua", sweep, 0, 2) == "done" and not redis_alone.exists(_key("forgotten"))


@pytest.mark.parametrize("name", ["new", "new none", "the same once more", "repeat", "older"])
def test_whatever_is_applied_takes_the_mark_away_but_for_repeats(redis_alone, name):
    stamp = 1000
    value = lambda stamp, kind: (stamp * 16 + kind).to_bytes(7, "big")
    hash_of = {"new": OTHER, "new none": OTHER}.get(name, READER)
    vote = {"new": value(stamp, 1), "new none": value(stamp, 0), "the same once more": value(stamp + 1, 1), "repeat": value(stamp, 1),
            "older": value(stamp - 1, 2)}[name]
    _plant(redis_alone)
    redis_alone.hset(_key("7:0"), struct.pack("<Q", READER), value(stamp, 1))
    assert _forget(redis_alone) == "forgotten"
    before = redis_alone.hget(_key("heads"), "a")
    store = "9b1d00000000aaaa"
    redis_alone.hset(_key("meta"), "store", store)
    answer = redis_alone.eval(script_text("collector/register.lua"), 4, *map(_key, ["heads", "changed", "meta", "rings"]), "00000000000000aa", b"\0" * 8, b"\1" * 16, 0, 0, b"\2" * 8, 36, 0, "", store, "a", struct.pack("<Q", hash_of) + vote)
    assert answer[0] == b"ok"
    after = redis_alone.hget(_key("heads"), "a")
    if name in ("repeat", "older"):
        assert after == before
        return
    assert after[1] == 0 and parse_head(after).version > parse_head(before).version
    assert redis_alone.zscore(_key("changed"), "a") == parse_head(after).version
    assert parse_head(after).counts == {1: 2 if name == "new" else 1}

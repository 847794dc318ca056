"""The feed alone: a Redis whose store the test writes itself, from FORMATS.md 5, and a broker without Tally's plugin."""

import collections
import gzip
import http.client
import json
import math
import os
import re
import signal
import socket
import struct
import subprocess
import time

import pytest
import redis as redis_py

import redis_server
from clients import Client, connected, unique
from edge import Process, broker_program, build_dir, free_ports, is_sanitized, release_ports, wait_until
from store import article_shard

STORE = "9b1d00000000c0de"
KINDS = ["like", "dislike", "love", "funny", "angry", "sad", "wow"]
SHARDS = 4
SECRET = "secret-of-the-feed-in-tests"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Bench:
    """Redis, broker and feed, and what the collector would write."""

    def __init__(self, directory, options=None, broker_lines=()):
        self.directory = str(directory)
        self.redis_port, self.mqtt_port, self.http_port = free_ports(3)
        self.options = dict({"republish-rate": 100000}, **(options or {}))
        self.versions = collections.Counter()
        self.clients = []
        self.numbers = 0
        self.redis = redis_py.Redis(port=self.redis_port, socket_timeout=10)
        services = self.write("services", "tally-feed feed %s\n" % SECRET, 0o600)
        passwords = self.write("passwords", "tally-feed:%s\noperator:operator-in-tests\n" % SECRET, 0o600)
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
        configuration = ["listener %d 127.0.0.1" % self.mqtt_port, "allow_anonymous true", "password_file " + passwords,
                         "persistence false", "max_queued_messages 100000", "user root"]
        broker = self.write("mosquitto.conf", "\n".join(configuration + list(broker_lines)) + "\n", 0o644)
        env = dict(os.environ)
        self.process = {
            "redis": self._process("redis", [redis_server.program(), "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "",
                                             "--appendonly", "yes", "--dir", self.directory], env),
            "broker": self._process("broker", [broker_program(), "-c", broker], env),
            "feed": self._process("feed", self.feed_argv(services), env),
        }

    def _process(self, name, argv, env):
        return Process(name, argv, os.path.join(self.directory, name + ".log"), env)

    def feed_argv(self, services):
        return [os.path.join(build_dir(), "dashboard-feed", "tally-feed"), "--services-file", services,
                "--mqtt-port", str(self.mqtt_port), "--redis-port", str(self.redis_port), "--http-port", str(self.http_port),
                "--websocket-port", "21399"] + ["--%s=%s" % pair for pair in self.options.items()]

    def write(self, name, text, mode):
        path = os.path.join(self.directory, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    # --- processes ---

    def start(self, *names):
        for name in names or ("redis", "broker", "feed"):
            self.process[name].start()
            if name == "redis":
                wait_until(self._redis_up, "redis")
            elif name == "broker":
                wait_until(lambda: self._listens(self.mqtt_port), "broker")
            else:
                wait_until(lambda: self._listens(self.http_port), "feed")
        return self

    def _redis_up(self):
        try:
            return self.redis.ping()
        except redis_py.exceptions.RedisError:
            return False

    def _listens(self, port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def close(self):
        for client in self.clients:
            client.loop_stop()
        status = self.process["feed"].stop()
        for process in self.process.values():
            if process.child is not None and process.child.poll() is None:
                process.child.send_signal(signal.SIGCONT)
                process.stop()
        release_ports([self.redis_port, self.mqtt_port, self.http_port])
        log = self.process["feed"].text(all_starts=True)
        assert status in (0, None, -signal.SIGKILL), log
        assert "Sanitizer" not in log and "runtime error:" not in log, log

    # --- the store ---

    def make_store(self, store=STORE, shards=SHARDS):
        self.redis.hset("tally:store", mapping=dict({"id": store, "format": "1", "shards": shards, "key": "0" * 16, "split": "40"},
                                                    **{"kind:" + kind: i + 1 for i, kind in enumerate(KINDS)}))
        for shard in range(shards):
            self.redis.hset("tally:{%d}:meta" % shard, "store", store)

    def react(self, article, hint=True, version=None, base=None, into=None, **counts):
        """Writes an article's head, its base and its change, or adds that to the pipeline `into`. Returns the version."""
        shard = article_shard(article, SHARDS)
        if version is None:
            version = max(self.versions[shard] + 1, int(time.time() * 1e6))
        self.versions[shard] = max(self.versions[shard], version)
        self.numbers += 1
        ids = {KINDS.index(kind) + 1 if kind in KINDS else int(kind[1:]): n for kind, n in counts.items()}
        head = struct.pack("<BBQIIBIB", 1, 0, version, self.numbers, sum(ids.values()), 0, 0, len(ids))
        head += b"".join(struct.pack("<BI", kind, n) for kind, n in ids.items())
        pipe = into if into is not None else self.redis.pipeline(transaction=True)
        pipe.hset("tally:{%d}:heads" % shard, article, head)
        if base:
            pipe.hset("tally:{%d}:base" % shard, article, struct.pack("<BB", 1, len(base)) + b"".join(
                struct.pack("<Bq", KINDS.index(kind) + 1, n) for kind, n in base.items()))
        pipe.zadd("tally:{%d}:changed" % shard, {article: version})
        if hint:
            pipe.execute_command("SPUBLISH", "tally:{%d}:changed" % shard, shard)
        if into is None:
            pipe.execute()
        return version

    # --- the broker ---

    def client(self, *filters):
        client = Client(self.mqtt_port, username="operator", password="operator-in-tests").open()
        self.clients.append(client)
        if filters:
            client.watch(*filters)
        return client

    def say_collector(self, **more):
        operator = self.client()
        status = dict({"online": True, "ready": True, "reason": "", "store": STORE, "admitted": 7, "refused": {"busy": 2},
                       "applied": 7, "shards": [{"shard": 0, "backlog_bytes": 64, "old_rings": 0, "held": ""}]}, **more)
        operator.say("ops/collector", json.dumps(status), retain=True)

    # --- HTTP ---

    def request(self, method, path, headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})

    def metric(self, name):
        """Not a number, which equals nothing, if the feed does not show it yet."""
        found = re.search(r"^%s (\S+)$" % re.escape(name), self.get("/metrics").body.decode(), re.MULTILINE)
        return float(found.group(1)) if found else math.nan

    def reasons(self):
        return self.get("/healthz").json().get("reasons", [])

    def wait_following(self):
        wait_until(lambda: self.metric("tally_feed_redis_up") and self.metric("tally_feed_broker_up"), "the feed to follow")

    def mark(self):
        """The retained mark, once it is there."""
        client = self.client("ops/feed")
        return json.loads(client.wait(lambda: client.got("ops/feed"), "mark")[-1].payload)


def totals(client, article):
    return [json.loads(m.payload) for m in client.got("totals/" + article)]


def wait_version(client, article, version):
    """Waits for the total of this version. Returns it."""
    return client.wait(lambda: [t for t in totals(client, article) if t["version"] == version], "version %d" % version)[0]


@pytest.fixture
def make_bench(tmp_path_factory):
    made = []

    def make(**more):
        made.append(Bench(tmp_path_factory.mktemp("feed"), **more))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench):
    """All of it, running, with a store."""
    made = make_bench()
    made.start("redis", "broker")
    made.make_store()
    made.start("feed")
    made.wait_following()
    return made


# --- publishing ---

def test_a_change_is_published_with_all_it_says(bench):
    watcher = bench.client("totals/#")
    version = bench.react("world/migrant-caravan", like=3, angry=10, base={"angry": 2})
    total = wait_version(watcher, "world/migrant-caravan", version)
    assert total == {"article": "world/migrant-caravan", "total": 15, "version": version,
                     "counts": dict(dict.fromkeys(KINDS, 0), like=3, angry=12), "updated_at": total["updated_at"]}
    assert list(total) == ["article", "total", "counts", "version", "updated_at"] and list(total["counts"]) == KINDS
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(version // 1000000)) + ".%03dZ" % (version // 1000 % 1000)
    assert total["updated_at"] == moment
    late = bench.client("totals/world/#")
    assert late.wait(lambda: late.got("totals/world/migrant-caravan"), "retained total")[0].retain
    assert late.got()[0].qos == 0


def test_changes_without_hints_are_found(bench):
    watcher = bench.client("totals/#")
    version = bench.react("quiet", hint=False, sad=1)
    wait_version(watcher, "quiet", version)


def test_conflation_keeps_the_rate_and_the_last(make_bench):
    bench = make_bench(options={"publish-interval-ms": 500, "repeat-ms": 100000})
    bench.start("redis", "broker")
    bench.make_store()
    bench.start("feed")
    bench.wait_following()
    watcher = bench.client("totals/hot")
    began = time.monotonic()
    for i in range(400):
        last = bench.react("hot", like=i + 1)
    took = time.monotonic() - began
    assert wait_version(watcher, "hot", last)["total"] == 400
    said = totals(watcher, "hot")
    versions = [total["version"] for total in said]
    assert versions == sorted(set(versions)), "versions must rise"
    assert len(said) <= took / 0.5 + 3, "%d totals in %.2f s" % (len(said), took)


def test_a_total_is_repeated_once(make_bench):
    bench = make_bench(options={"publish-interval-ms": 50, "repeat-ms": 300})
    bench.start("redis", "broker")
    bench.make_store()
    bench.start("feed")
    bench.wait_following()
    watcher = bench.client("totals/#")
    version = bench.react("a", like=1)
    watcher.wait(lambda: len(totals(watcher, "a")) == 2, "the repeat")
    assert [total["version"] for total in totals(watcher, "a")] == [version, version]
    for i in range(2, 5):  # a later article's repeat shows that time went on
        bench.react("b%d" % i, like=1)
        watcher.wait(lambda: len(totals(watcher, "b%d" % i)) == 2, "the repeat")
    assert len(totals(watcher, "a")) == 2
    assert bench.metric("tally_feed_repeated_totals_total") == 4


def test_a_new_kind_is_named_before_it_is_shown(bench):
    watcher = bench.client("totals/#")
    version = bench.react("a", like=1, k9=5)  # kind id 9 has no name yet
    bench.redis.hset("tally:store", "kind:meh", 9)
    total = wait_version(watcher, "a", version)
    assert total["counts"]["meh"] == 5 and total["total"] == 6


def test_damaged_heads_are_counted_and_hinder_nobody(bench):
    watcher = bench.client("totals/#")
    bench.redis.hset("tally:{%d}:heads" % article_shard("broken", SHARDS), "broken", b"\x01rubbish")
    bench.redis.zadd("tally:{%d}:changed" % article_shard("broken", SHARDS), {"broken": int(time.time() * 1e6)})
    bench.redis.zadd("tally:{0}:changed", {"no article!": int(time.time() * 1e6)})
    version = bench.react("fine", like=1)
    wait_version(watcher, "fine", version)
    wait_until(lambda: bench.metric("tally_feed_redis_damaged_total") >= 2, "the count of what is damaged")
    assert bench.get("/totals/broken").status == 500
    assert not totals(watcher, "broken")


def test_many_articles_at_once(bench):
    watcher = bench.client("totals/#")
    versions = {"post/%d" % i: bench.react("post/%d" % i, hint=i % 7 == 0, like=i) for i in range(3000)}
    watcher.wait(lambda: len({m.topic for m in watcher.got(prefix="totals/")}) == len(versions), "all articles")
    last = {m.topic[len("totals/"):]: json.loads(m.payload)["version"] for m in watcher.got(prefix="totals/")}
    assert last == versions


# --- publishing again ---

def test_a_new_broker_gets_everything_newest_first(make_bench):
    bench = make_bench(options={"republish-rate": 200})
    bench.start("redis", "broker")
    bench.make_store()
    versions = {"post/%d" % i: bench.react("post/%d" % i, hint=False, like=i + 1) for i in range(150)}
    watcher = bench.client("totals/#")
    bench.start("feed")
    watcher.wait(lambda: len(watcher.got(prefix="totals/")) >= 150, "all articles")
    order = [json.loads(m.payload)["version"] for m in watcher.got(prefix="totals/")]
    assert sorted(order) == sorted(versions.values())
    newest = sorted(versions.values())[75:]
    assert sum(version in newest for version in order[:75]) >= 55, "newest first, except between pages of different shards"
    wait_until(lambda: bench.metric("tally_feed_republishing_shards") == 0, "the end of it")
    wait_until(lambda: sorted(bench.mark()["covered"]) == sorted(
        max(v for a, v in versions.items() if article_shard(a, SHARDS) == s) for s in range(SHARDS)), "the mark")

    bench.process["broker"].kill()
    bench.start("broker")
    again = bench.client("totals/#")
    again.wait(lambda: {m.topic for m in again.got(prefix="totals/")} == {"totals/" + a for a in versions}, "all articles again")
    assert "mark=absent" in bench.process["feed"].text()


def test_a_mark_says_where_to_go_on(bench):
    first = bench.react("first", like=1)
    wait_until(lambda: max(bench.mark()["covered"]) == first, "the mark")
    assert bench.mark()["store"] == STORE
    assert bench.process["feed"].stop() == 0
    second = bench.react("second", like=1)
    watcher = bench.client("totals/#")
    watcher.wait(lambda: totals(watcher, "first"), "the retained total")
    bench.start("feed")
    wait_version(watcher, "second", second)
    wait_until(lambda: max(bench.mark()["covered"]) == second, "the mark")
    assert len(totals(watcher, "first")) == 1, "what the broker had was not published again"
    assert "mark=good" in bench.process["feed"].text()
    assert bench.metric("tally_feed_republished_totals_total") == 1


@pytest.mark.parametrize("mark", [
    {"epoch": "a", "store": "00000000deadbeef", "covered": [2 ** 52] * SHARDS},
    {"epoch": "a", "store": STORE, "covered": [2 ** 52] * (SHARDS + 1)},
    {"epoch": "a", "store": STORE, "covered": "everything"},
], ids=["another store", "another number of shards", "rubbish"])
def test_a_foreign_mark_counts_for_nothing(make_bench, mark):
    bench = make_bench()
    bench.start("redis", "broker")
    bench.make_store()
    version = bench.react("a", hint=False, like=1)
    bench.client().say("ops/feed", json.dumps(mark), retain=True)
    watcher = bench.client("totals/#")
    bench.start("feed")
    wait_version(watcher, "a", version)


def test_redis_comes_back_with_what_changed_meanwhile(bench):
    watcher = bench.client("totals/#")
    wait_version(watcher, "before", bench.react("before", like=1))
    bench.process["redis"].kill()
    wait_until(lambda: any(r.startswith("redis: ") for r in bench.reasons()), "the reason")
    assert bench.get("/totals/before").status == 503
    assert bench.get("/totals/before").headers["retry-after"] == "1"
    assert bench.get("/tally.js").status in (200, 404), "what needs no Redis is still served"
    bench.start("redis")
    versions = {a: bench.react(a, hint=False, wow=2) for a in ("before", "new/1", "new/2")}
    for article, version in versions.items():
        assert wait_version(watcher, article, version)["total"] == 2
    assert bench.get("/totals/before").json()["version"] == versions["before"]


@pytest.mark.slow
def test_a_silent_redis_is_noticed(bench):
    watcher = bench.client("totals/#")
    wait_version(watcher, "a", bench.react("a", like=1))
    os.kill(bench.process["redis"].child.pid, signal.SIGSTOP)
    try:
        assert bench.get("/totals/a").status == 503
        wait_until(lambda: bench.metric("tally_feed_redis_timeouts_total") >= 1, "the time-out")
        wait_until(lambda: any(r.startswith("redis: ") for r in bench.reasons()), "the reason")
    finally:
        os.kill(bench.process["redis"].child.pid, signal.SIGCONT)
    wait_version(watcher, "a", bench.react("a", like=2))


def test_versions_never_go_back(bench):
    watcher = bench.client("totals/#")
    high = bench.react("a", like=2)
    wait_version(watcher, "a", high)
    bench.process["redis"].kill()  # a Redis that lost its last write
    bench.start("redis")
    bench.react("a", version=high - 1000000, hint=False, like=1)
    watcher.wait(lambda: totals(watcher, "a")[-1]["total"] == 1, "what Redis has")
    assert totals(watcher, "a")[-1]["version"] > high
    versions = [t["version"] for t in totals(watcher, "a")]
    assert versions == sorted(versions)
    agreed(bench, "a")
    higher = bench.react("a", like=3)
    wait_version(watcher, "a", higher)


# --- what Redis lost, and another store ---


def agreed(bench, *articles):
    """The broker retains what HTTP answers, and all that was published has been compared."""
    wait_until(lambda: bench.metric("tally_feed_comparing") == 0, "the comparison's end")
    for article in articles:
        watcher = bench.client("totals/" + article)
        wait_until(lambda: totals(watcher, article) and totals(watcher, article)[-1]["version"] == bench.get("/totals/" + article).json().get("version"),
                   "the broker to retain what Redis has of " + article)
        assert totals(watcher, article)[-1]["counts"] == bench.get("/totals/" + article).json()["counts"]


@pytest.mark.parametrize("restarted", [False, True], ids=["feed-runs", "feed-restarts"])
def test_what_redis_lost_does_not_stay_on_screen(make_bench, restarted):
    """An older total, and an article that is gone altogether; with a neighbour of the same shard that changed since."""
    bench = make_bench()
    bench.start("redis")
    bench.make_store()
    bench.start("broker", "feed")
    page = bench.client("totals/#")
    before = bench.react("changed", like=7)
    wait_version(page, "changed", before)
    high = {article: bench.react(article, like=9) for article in ("changed", "gone", "kept")}
    for article, version in high.items():
        wait_version(page, article, version)
    wait_until(lambda: bench.mark() and bench.mark()["covered"][article_shard("kept", SHARDS)] >= high["kept"], "the mark")

    bench.process["feed"].kill() if restarted else bench.process["feed"].child.send_signal(signal.SIGSTOP)
    bench.process["redis"].kill()
    bench.start("redis")
    shard = article_shard("gone", SHARDS)
    bench.redis.hdel("tally:{%d}:heads" % shard, "gone")
    bench.redis.zrem("tally:{%d}:changed" % shard, "gone")
    bench.react("changed", version=before, hint=False, like=7)
    for number in range(40):  # every shard has moved on, past what was lost
        bench.react("other/%d" % number, hint=False, wow=1)
    bench.start("feed") if restarted else bench.process["feed"].child.send_signal(signal.SIGCONT)

    page.wait(lambda: totals(page, "changed")[-1]["total"] == 7, "what Redis has")
    page.wait(lambda: totals(page, "gone")[-1]["total"] == 0, "nothing")
    agreed(bench, "changed", "gone", "kept")
    assert bench.get("/totals/kept").json()["version"] == high["kept"]  # what was not lost is not touched
    assert bench.metric("tally_feed_touched_totals_total") == 2
    for article in ("changed", "gone"):
        versions = [t["version"] for t in totals(page, article)]
        assert versions == sorted(versions) and versions[-1] > high[article]
    wait_version(page, "changed", bench.react("changed", like=8))


@pytest.mark.parametrize("age_s", [3600, 0], ids=["made-long-ago", "same-versions"])
@pytest.mark.parametrize("restarted", [False, True], ids=["feed-runs", "feed-restarts"])
def test_another_store_in_one_step_replaces_every_total(make_bench, restarted, age_s):
    """Exchanged and adopted at once, so that no look at the store can fall between, with versions that are not above those that were shown."""
    bench = make_bench()
    bench.start("redis")
    bench.make_store()
    bench.start("broker", "feed")
    bench.say_collector(store=STORE)
    page = bench.client("totals/#")
    shown = {article: bench.react(article, like=1000) for article in ("both", "old/only", "old/2")}
    for article, version in shown.items():
        wait_version(page, article, version)
    wait_until(lambda: bench.mark() and bench.mark()["covered"][article_shard("old/2", SHARDS)] >= shown["old/2"], "the mark")
    if restarted:
        bench.process["feed"].kill()
    bench.say_collector(store="00000000deadbeef")
    pipe = bench.redis.pipeline(transaction=True)
    pipe.flushall()
    pipe.hset("tally:store", mapping=dict({"id": "00000000deadbeef", "format": "1", "shards": SHARDS, "key": "0" * 16, "split": "40"},
                                          **{"kind:" + kind: i + 1 for i, kind in enumerate(KINDS)}))
    for shard in range(SHARDS):
        pipe.hset("tally:{%d}:meta" % shard, "store", "00000000deadbeef")
    bench.react("both", version=shown["both"] - age_s * 1000000, into=pipe, like=10)
    bench.react("new/only", version=shown["both"] - 1 - age_s * 1000000, into=pipe, like=3)
    pipe.execute()
    if restarted:
        bench.start("feed")
        bench.say_collector(store="00000000deadbeef")

    page.wait(lambda: totals(page, "both")[-1]["total"] == 10, "the other store's total")
    page.wait(lambda: totals(page, "new/only") and totals(page, "new/only")[-1]["total"] == 3, "its own article")
    page.wait(lambda: totals(page, "old/only")[-1]["total"] == totals(page, "old/2")[-1]["total"] == 0, "that it does not know the others")
    wait_until(lambda: bench.mark()["store"] == "00000000deadbeef", "its mark")
    agreed(bench, "both", "old/only", "old/2", "new/only")
    for article in ("both", "old/only", "old/2", "new/only"):
        versions = [t["version"] for t in totals(page, article)]
        assert versions == sorted(versions) and versions[-1] > max(shown.values())
    wait_version(page, "both", bench.react("both", like=11))


def test_a_store_that_goes_back_under_the_connection_is_noticed(bench):
    """A file is loaded into the same Redis, of the same store, while nothing loses its connection."""
    page = bench.client("totals/#")
    shard = article_shard("a", SHARDS)
    first = bench.react("a", like=1)
    bench.redis.hset("tally:{%d}:meta" % shard, "version", first)
    wait_version(page, "a", first)
    kept = {key: bench.redis.dump(key) for key in bench.redis.keys()}
    second = bench.react("a", like=2)
    bench.redis.hset("tally:{%d}:meta" % shard, "version", second)
    wait_version(page, "a", second)
    wait_until(lambda: bench.mark()["covered"][shard] >= second, "the mark")
    pipe = bench.redis.pipeline(transaction=True)
    pipe.flushall()
    for key, value in kept.items():
        pipe.restore(key, 0, value)
    pipe.execute()
    page.wait(lambda: totals(page, "a")[-1]["total"] == 1, "what it went back to")
    assert totals(page, "a")[-1]["version"] > second
    agreed(bench, "a")


def test_the_store_is_waited_for(make_bench):
    bench = make_bench()
    bench.start()
    wait_until(lambda: any("no store yet" in r for r in bench.reasons()), "the reason")
    bench.make_store()
    watcher = bench.client("totals/#")
    wait_version(watcher, "a", bench.react("a", like=1))


@pytest.mark.slow
def test_another_store_is_not_followed(bench):
    watcher = bench.client("totals/#")
    wait_version(watcher, "a", bench.react("a", like=1))
    bench.redis.flushall()
    wait_until(lambda: any("no store" in r for r in bench.reasons()), "the reason")
    bench.make_store(store="00000000deadbeef")
    wait_until(lambda: any("another store" in r for r in bench.reasons()), "the reason")
    bench.react("a", like=5)
    assert bench.get("/totals/a").status == 503
    for status in {"store": STORE}, {"store": STORE, "admitted": 8}, {"ready": False, "reason": "the third", "store": "", "admitted": 9}:
        bench.say_collector(**status)  # of before, or not adopted: however often, none of them is a leave to follow
    wait_until(lambda: any("the third" in r for r in bench.reasons()), "the collector's status")
    time.sleep(2.5)  # that nothing happens has no condition: the feed looks at the store each second
    assert bench.get("/totals/a").status == 503
    assert len(totals(watcher, "a")) >= 1 and totals(watcher, "a")[-1]["total"] == 1
    bench.say_collector(store="00000000deadbeef")  # its operator has adopted that store
    wait_until(lambda: totals(watcher, "a")[-1]["total"] == 5, "the other store's total")
    assert bench.get("/totals/a").json()["total"] == 5
    wait_until(lambda: bench.mark()["store"] == "00000000deadbeef", "its mark")


def _react_on_forty(edge):
    """A newsroom that watches, and the topics of the totals that it is to see."""
    newsroom, client = edge.service("newsroom"), edge.client()
    newsroom.watch("totals/#")
    articles = [unique("turn") for _ in range(40)]
    for mid in [client.send("reactions/" + article, b"like") for article in articles]:
        client.ack(mid)
    return newsroom, {"totals/" + article for article in articles}


def _seen(newsroom):
    return {m.topic for m in newsroom.got(prefix="totals/turn")}


def test_more_totals_than_publish_rate_take_turns(make_edge):
    edge = make_edge(feed={"publish_rate": 20}).start()
    newsroom, wanted = _react_on_forty(edge)
    newsroom.wait(lambda: _seen(newsroom) == wanted, "a total of each")
    assert edge.metrics()["tally_feed_over_rate_total"] > 0


def test_what_waits_for_its_turn_goes_out_when_the_feed_ends(make_edge):
    edge = make_edge(feed={"publish_rate": 1}).start()
    newsroom, wanted = _react_on_forty(edge)
    # One a second goes out meanwhile, so that by far the most wait once the feed has heard of all.
    wait_until(lambda: edge.metrics().get("tally_feed_waiting_articles", 0) + len(newsroom.got(prefix="totals/turn")) >= len(wanted), "the feed to have heard of all")
    assert edge.metrics()["tally_feed_waiting_articles"] > 0
    edge["feed"].stop()
    newsroom.wait(lambda: _seen(newsroom) == wanted, "a total of each")


@pytest.mark.slow
@pytest.mark.both
def test_a_broker_that_takes_nothing_holds_nothing_up(bench):
    """The broker stops reading: totals wait in the feed's table, once an article, and the newest go out when it reads again."""
    watcher = bench.client("totals/#")
    wait_version(watcher, "hot", bench.react("hot", like=1))
    os.kill(bench.process["broker"].child.pid, signal.SIGSTOP)
    try:
        articles = ["pressure/%d/%s" % (i, "x" * 150) for i in range(12000)]
        numbers = iter(range(1, 1 << 20))

        def held_back():
            if not bench.metric("tally_feed_broker_up"):  # given up before there was enough: on a busy machine that takes its time
                os.kill(bench.process["broker"].child.pid, signal.SIGCONT)
                wait_until(lambda: bench.metric("tally_feed_broker_up"), "the feed's connection")
                os.kill(bench.process["broker"].child.pid, signal.SIGSTOP)
            pipe, n = bench.redis.pipeline(transaction=False), next(numbers)
            last = [bench.react(article, hint=False, into=pipe, like=n) for article in articles][-1]
            pipe.execute_command("SPUBLISH", "tally:{0}:changed", 0)
            pipe.execute()
            return last if bench.metric("tally_feed_held_back_total") > 0 else 0
        last = wait_until(held_back, "what waits for the broker", timeout_s=120)
        resident = bench.metric("process_resident_memory_bytes")
        assert bench.get("/totals/" + articles[-1]).json()["version"] == last, "HTTP keeps answering"
    finally:
        os.kill(bench.process["broker"].child.pid, signal.SIGCONT)
    late = bench.client("totals/pressure/#")
    late.wait(lambda: totals(late, articles[-1]) and totals(late, articles[-1])[-1]["version"] == last, "the newest total")
    if not is_sanitized(build_dir()):  # which keep what was freed
        assert resident < 400e6


# --- HTTP ---

def test_totals_over_http(bench):
    version = bench.react("world/a%b", like=3)
    answer = bench.get("/totals/world/a%25b")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=1"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["article"] == "world/a%b" and answer.json()["version"] == version and answer.json()["total"] == 3
    etag = answer.headers["etag"]
    for known in (etag, "W/" + etag, '"other", ' + etag, "*"):
        again = bench.get("/totals/world/a%25b", If_None_Match=known)
        assert (again.status, again.body) == (304, b""), known
        assert again.headers["etag"] == etag and again.headers["cache-control"] == "public, max-age=1"
    assert bench.get("/totals/world/a%25b", If_None_Match='"other"').status == 200
    bench.react("world/a%b", like=4)
    newer = bench.get("/totals/world/a%25b", If_None_Match=etag)
    assert newer.status == 200 and newer.headers["etag"] != etag


def test_totals_of_nobody_and_of_many(bench):
    answer = bench.get("/totals/nobody")
    assert answer.json() == {"article": "nobody", "total": 0, "counts": dict.fromkeys(KINDS, 0), "version": 0}
    versions = {"post/%d" % i: bench.react("post/%d" % i, love=i + 1) for i in range(99)}
    asked = list(versions) + ["nobody"]
    for encoded in (",".join(asked), "%2C".join(asked).replace("/", "%2F")):
        answer = bench.get("/totals?articles=" + encoded)
        assert answer.status == 200
        assert [t["article"] for t in answer.json()["totals"]] == asked
        assert {t["article"]: t["version"] for t in answer.json()["totals"]} == dict(versions, nobody=0)
    etag = answer.headers["etag"]
    assert bench.get("/totals?articles=" + ",".join(asked), If_None_Match=etag).status == 304
    assert bench.get("/totals?articles=" + ",".join(reversed(asked)), If_None_Match=etag).status == 200
    bench.react("post/5", love=50)
    assert bench.get("/totals?articles=" + ",".join(asked), If_None_Match=etag).status == 200


@pytest.mark.parametrize("path", ["/totals/", "/totals/a//b", "/totals/-a", "/totals/%C3%A4", "/totals/a%zz", "/totals/a%00",
                                  "/totals/" + "a" * 201, "/totals", "/totals?articles=",
                                  "/totals?articles=" + ",".join(["a"] * 101), "/totals?articles=a&articles=b", "/%zz"])
def test_bad_requests_say_what_is_accepted(bench_of_module, path):
    answer = bench_of_module.get(path)
    assert answer.status == 400
    assert len(answer.json()["error"]) > 20
    assert answer.headers["access-control-allow-origin"] == "*"


def test_an_id_that_is_none_costs_the_others_of_its_list_nothing(bench):
    version = bench.react("good/one", like=3)
    bench.redis.hset("tally:{%d}:heads" % article_shard("broken", SHARDS), "broken", b"\x01rubbish")
    answer = bench.get("/totals?articles=/2026/x,good/one,a//b,,caf%C3%A9,a%zz,broken,%FF," + "y" * 201 + ",nobody")
    assert answer.status == 200, answer.body
    got = answer.json()["totals"]
    bad = [{"article": asked, "error": "bad_article"} for asked in ("/2026/x", "a//b", "", "caf\u00e9", "a%zz", "?", "y" * 200)]
    damaged = {"article": "broken", "error": "damaged"}
    assert [one for one in got if "error" in one] == bad[:5] + [damaged] + bad[5:]
    assert got[1]["version"] == version and got[1]["total"] == 3 and got[9]["article"] == "nobody" and len(got) == 10
    assert bench.get("/totals?articles=/2026/x").json() == {"totals": bad[:1]}
    assert bench.get("/totals?articles=/2026/x").headers["etag"] != bench.get("/totals?articles=/2026/y").headers["etag"]


def test_a_hundred_of_the_longest_ids(bench):
    ids = [("%03d" % i) + "%" * 197 for i in range(100)]
    version = bench.react(ids[99], sad=2)
    encoded = "%2c".join("".join("%%%02x" % ord(letter) for letter in one) for one in ids)
    answer = bench.get("/totals?articles=" + encoded)
    assert answer.status == 200, answer.body[:200]
    assert [one["article"] for one in answer.json()["totals"]] == ids and answer.json()["totals"][99]["version"] == version


def said_to(bench, request):
    """What the feed answers to bytes of any kind: the status, headers and body."""
    with socket.create_connection(("127.0.0.1", bench.http_port), 30) as one:
        one.sendall(request)
        response = http.client.HTTPResponse(one)
        response.begin()
        while response.status == 100:
            response.begin()
        return Answer(response)


@pytest.mark.parametrize("request_, status", [
    (b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + b"x" * 100000 + b"\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Many: x\r\n" * 10000 + b"\r\n", 400),
    (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"rubbish\r\n\r\n", 400),
    (b"GET\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\n\r\n", 400),
    (b"GET / SMTP/1.1\r\n\r\n", 400),
    (b"GET http://[::1/ HTTP/1.1\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    (b"BREW /totals/a HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    (b"POST /totals/a HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    (b"POST /totals/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, 413),
    (b"POST /totals/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n", 413),
    (b"POST /totals/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: wonders\r\n\r\nhello", 417),
    (b"POST /totals/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", 405),
    (b"POST /totals/a HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400),
    (b"POST /totals/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 413),
    (b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    (b"GET /embed HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /%zz HTTP/1.0\r\n\r\n", 400),
], ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else None)
def test_every_error_is_json_for_any_origin(bench_of_module, request_, status):
    metric = 'tally_http_answers_total{code="%d"}' % status
    before = bench_of_module.metric(metric)
    answer = said_to(bench_of_module, request_)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*" and answer.headers["x-content-type-options"] == "nosniff"
    assert len(answer.json()["error"]) > 10
    assert bench_of_module.metric(metric) == before + 1


@pytest.fixture(scope="module")
def bench_of_module(tmp_path_factory):
    made = Bench(tmp_path_factory.mktemp("feed"))
    try:
        made.start("redis", "broker")
        made.make_store()
        made.start("feed")
        made.wait_following()
        yield made
    finally:
        made.close()


def test_methods(bench_of_module):
    bench = bench_of_module
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE"):
        answer = bench.request(method, "/totals/a", body=b"x" if method in ("POST", "PUT") else None)
        assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS", method
    head, get = bench.request("HEAD", "/totals/a"), bench.get("/totals/a")
    assert (head.status, head.body) == (200, b"")
    assert all(head.headers[name] == get.headers[name] for name in ("etag", "content-type", "content-length", "cache-control"))
    assert bench.request("HEAD", "/nothing").status == 404
    preflight = bench.request("OPTIONS", "/totals/a", {"Origin": "https://news.example", "Access-Control-Request-Method": "GET"})
    assert preflight.status == 204 and preflight.headers["access-control-allow-origin"] == "*"
    assert "GET" in preflight.headers["access-control-allow-methods"]
    assert "access-control-allow-origin" not in bench.request("OPTIONS", "/metrics").headers
    assert bench.request("POST", "/totals/a", body=b"x" * 5000).status == 413


def test_unknown_paths(bench_of_module):
    for path in ("/nothing", "/..%2f..%2fetc/passwd", "/web/tally.js", "/total/a", "/totalsx"):
        answer = bench_of_module.get(path)
        assert answer.status == 404 and "error" in answer.json(), path


def test_pages_and_files(bench_of_module):
    bench = bench_of_module
    for path, media in (("/", "text/html"), ("/dashboard", "text/html"), ("/ops", "text/html"), ("/tally.js", "text/javascript"), ("/tally-count.js", "text/javascript"),
                        ("/tally.ar.js", "text/javascript"), ("/dashboard.js", "text/javascript"), ("/ops.js", "text/javascript"), ("/ops.css", "text/css"),
                        ("/index.html", "text/html")):
        answer = bench.get(path)
        assert answer.status == 200 and answer.headers["content-type"].startswith(media), path
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.body
        assert b"@TALLY_BROKER@" not in answer.body
        assert bench.get(path, If_None_Match=answer.headers["etag"]).status == 304
        if media == "text/html":
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert "ws://127.0.0.1:21399" in policy and "wss://127.0.0.1:21399" in policy
    assert b'":21399"' in bench.get("/tally.js").body
    for path in ("/tally.js", "/tally-count.js", "/tally.fr.js"):
        assert bench.get(path).headers["access-control-allow-origin"] == "*", "a module's script is asked for with CORS"
    assert "access-control-allow-origin" not in bench.get("/").headers
    odd = bench.get("/", Host="x'; script-src *")
    assert "script-src *" not in odd.headers.get("content-security-policy", "")


def test_files_are_packed_for_who_takes_it(bench_of_module):
    bench = bench_of_module
    plain = bench.get("/tally.js")
    packed = bench.get("/tally.js", Accept_Encoding="br;q=1, gzip;q=0.5")
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
    assert len(packed.body) <= 5000, "all of the bar"
    assert packed.headers["etag"] != plain.headers["etag"] and packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert bench.get("/tally.js", Accept_Encoding="gzip", If_None_Match=packed.headers["etag"]).status == 304
    assert "stale-while-revalidate" in packed.headers["cache-control"] and "stale" not in bench.get("/").headers["cache-control"]
    for refusing in ("identity", "gzip;q=0", "gzip; q=0.000, br", "br", "notgzip", "gzipped"):
        assert "content-encoding" not in bench.get("/tally.js", Accept_Encoding=refusing).headers, refusing


def test_only_the_page_for_frames_may_be_framed(bench_of_module):
    bench = bench_of_module
    frame = bench.get("/embed?article=world/migrant-caravan")
    assert frame.status == 200 and b"tally-embed.js" in frame.body
    assert "frame-ancestors *" in frame.headers["content-security-policy"] and "x-frame-options" not in frame.headers
    assert "unsafe" not in frame.headers["content-security-policy"] and "ws://127.0.0.1:21399" in frame.headers["content-security-policy"]
    assert frame.headers["cross-origin-embedder-policy"] == "require-corp" and frame.headers["cross-origin-resource-policy"] == "cross-origin"
    for path in ("/tally-embed.js", "/tally-embed.css", "/tally.send.js"):
        part = bench.get(path).headers
        assert part["access-control-allow-origin"] == "*" and part["cross-origin-resource-policy"] == "cross-origin", path
    for path in ("/", "/dashboard", "/ops", "/index.html", "/embed.html"):
        page = bench.get(path)
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"] and page.headers["x-frame-options"] == "DENY", path
    for query in ("", "?article=", "?article=a&article=b", "?article=a%20b", "?lang=fr"):
        answer = bench.get("/embed" + query)
        assert answer.status == 400 and "article" in answer.json()["error"], query


def test_pages_name_the_broker_of_the_option(make_bench):
    bench = make_bench(options={"websocket-url": "wss://mqtt.example:8443/mqtt"})
    bench.start("feed")
    assert b"wss://mqtt.example:8443/mqtt" in bench.get("/tally.js").body
    assert "connect-src 'self' wss://mqtt.example:8443;" in bench.get("/").headers["content-security-policy"]
    assert bench.get("/totals/a").status == 503


def test_slow_clients_do_not_keep_others_out(bench_of_module):
    """More connections than the bound, none of which ever sends a whole request."""
    bench = bench_of_module
    slow = []
    try:
        for _ in range(400):
            one = socket.create_connection(("127.0.0.1", bench.http_port), 10)
            one.sendall(b"GET /totals/a HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            slow.append(one)
            if len(slow) % 50 == 0:
                assert bench.get("/totals/a").status == 200
        wait_until(lambda: bench.metric("tally_http_connections") <= 260, "the bound")
        assert bench.metric("tally_http_dropped_connections_total") >= 140
        assert bench.get("/totals/a").status == 200
    finally:
        for one in slow:
            one.close()
    wait_until(lambda: bench.metric("tally_http_connections") <= 2, "their end")


def asked_over(one, path):
    one.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    response = http.client.HTTPResponse(one)
    response.begin()
    return Answer(response)


def test_an_address_with_many_connections_gives_up_its_own(bench_of_module):
    """An honest reader's connection rests, while another address opens more than there is room for."""
    bench = bench_of_module
    before = bench.metric("tally_http_dropped_connections_total")
    with connected(bench.http_port, "127.0.0.2") as honest:
        assert asked_over(honest, b"/totals/a").status == 200
        others = [connected(bench.http_port, "127.0.0.3") for _ in range(400)]
        try:
            wait_until(lambda: bench.metric("tally_http_dropped_connections_total") >= before + 140, "the bound")
            assert asked_over(honest, b"/totals/a").status == 200
        finally:
            for one in others:
                one.close()


def test_lists_of_one_address_wait_behind_each_other_and_hold_nobody_up(bench):
    """Redis takes its time: one address has the lists under way that it may have, and the others of its lists wait; another address does not."""
    lists = b"/totals?articles=" + b",".join(b"n/%d" % i for i in range(100))
    os.kill(bench.process["redis"].child.pid, signal.SIGSTOP)
    flooders = []
    try:
        lookups = bench.metric("tally_feed_redis_lookups_total")
        for _ in range(40):
            one = connected(bench.http_port, "127.0.0.3")
            one.sendall(b"GET " + lists + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            flooders.append(one)
        wait_until(lambda: bench.metric("tally_http_waiting_requests") == 37, "what waits for its turn")
        assert bench.metric("tally_feed_redis_lookups_total") == lookups + 3
        with connected(bench.http_port, "127.0.0.3") as same:
            assert asked_over(same, b"/healthz").status == 503, "what needs no lookup waits for none"
        with connected(bench.http_port, "127.0.0.2") as honest:
            honest.sendall(b"GET /totals/a HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until(lambda: bench.metric("tally_feed_redis_lookups_total") == lookups + 4, "the honest reader's turn")
    finally:
        os.kill(bench.process["redis"].child.pid, signal.SIGCONT)
        for one in flooders[20:]:
            one.close()  # they are asked for by nobody, and their turn comes all the same
    for one in flooders[:20]:
        response = http.client.HTTPResponse(one)
        response.begin()
        assert Answer(response).status in (200, 503)
        one.close()
    wait_until(lambda: bench.metric("tally_http_waiting_requests") == 0, "their turns")
    wait_until(lambda: bench.get("/totals/a").status == 200, "an answer")


def test_headers_without_number_are_refused(bench_of_module):
    """Each costs memory, whatever its length."""
    answer = said_to(bench_of_module, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A:b\r\n" * 2000 + b"\r\n")
    assert answer.status == 400 and "headers" in answer.json()["error"]
    assert said_to(bench_of_module, b"GET /totals/a HTTP/1.1\r\nHost: a\r\n" + b"A:b\r\n" * 100 + b"\r\n").status == 200


@pytest.mark.slow
def test_a_request_that_never_ends_is_cut(bench_of_module):
    bench = bench_of_module
    with socket.create_connection(("127.0.0.1", bench.http_port), 60) as one:
        one.sendall(b"GET /totals/a HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        one.settimeout(0.5)
        def cut():
            try:
                one.sendall(b"x")  # a byte at a time, for ever
                return one.recv(1000) == b""
            except socket.timeout:
                return False
            except OSError:
                return True
        wait_until(cut, "the end of the connection", timeout_s=90)


def test_headers_are_bounded(bench_of_module):
    bench = bench_of_module
    with socket.create_connection(("127.0.0.1", bench.http_port), 30) as one:
        one.settimeout(30)
        try:
            one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + b"x" * 100000 + b"\r\n\r\n")
            answer = one.recv(1000)
        except OSError:
            answer = b""
        assert b" 200 " not in answer.split(b"\r\n")[0]
    assert bench.get("/healthz").status in (200, 503)


def test_pipelined_and_kept_connections(bench_of_module):
    bench = bench_of_module
    connection = http.client.HTTPConnection("127.0.0.1", bench.http_port, timeout=30)
    for _ in range(50):
        connection.request("GET", "/totals/a")
        assert Answer(connection.getresponse()).status == 200
    connection.close()
    with socket.create_connection(("127.0.0.1", bench.http_port), 30) as one:
        one.sendall(b"GET /totals/a HTTP/1.1\r\nHost: a\r\n\r\n" * 20 + b"GET /totals/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = b""
        while True:
            part = one.recv(65536)
            if not part:
                break
            got += part
        assert got.count(b"HTTP/1.1 200 OK") == 21


@pytest.mark.slow
def test_clients_that_go_away_while_redis_is_asked(bench):
    os.kill(bench.process["redis"].child.pid, signal.SIGSTOP)
    try:
        for _ in range(30):
            one = socket.create_connection(("127.0.0.1", bench.http_port), 10)
            one.sendall(b"GET /totals/a HTTP/1.1\r\nHost: a\r\n\r\n")
            one.close()
        wait_until(lambda: bench.metric("tally_feed_redis_timeouts_total") >= 1, "the time-out")
    finally:
        os.kill(bench.process["redis"].child.pid, signal.SIGCONT)
    wait_until(lambda: bench.get("/totals/a").status == 200, "an answer")
    wait_until(lambda: bench.metric("tally_http_connections") <= 1, "the end of their connections")


# --- health and metrics ---

@pytest.mark.slow
def test_health_says_who_is_away(bench):
    watcher = bench.client("ops/health")
    assert bench.reasons() == ["collector: not heard of"]
    assert bench.get("/healthz").status == 503
    bench.say_collector(ready=False, reason="no store")
    wait_until(lambda: bench.reasons() == ["collector: no store"], "the collector's reason")
    bench.say_collector()
    wait_until(lambda: bench.get("/healthz").status == 200, "health")
    assert bench.get("/healthz").json() == {"status": "ok", "reasons": []}
    assert watcher.wait(lambda: [m for m in watcher.got("ops/health") if json.loads(m.payload) == {"status": "ok", "reasons": []}], "health")
    bench.say_collector(online=False)
    wait_until(lambda: bench.reasons() == ["collector: offline"], "the reason")
    bench.say_collector()
    wait_until(lambda: bench.reasons() == ["collector: away: no status for 5 s"], "its age")
    bench.process["broker"].kill()
    wait_until(lambda: "broker: not connected" in bench.reasons(), "the reason")
    assert bench.metric("tally_feed_broker_up") == 0
    bench.start("broker")
    wait_until(lambda: bench.reasons() == ["collector: not heard of"], "the broker")


def test_health_is_retained_and_a_killed_feed_is_seen(bench):
    watcher = bench.client("ops/health")
    assert watcher.wait(lambda: watcher.got("ops/health"), "health")[0].retain
    bench.process["feed"].kill()
    gone = {"status": "unhealthy", "reasons": ["feed: offline"]}
    watcher.wait(lambda: json.loads(watcher.got("ops/health")[-1].payload) == gone, "the will")


def test_metrics_are_of_the_feed(bench):
    watcher = bench.client("totals/#")
    wait_version(watcher, "a", bench.react("a", like=1))  # at the latest with this one the feed follows
    wait_version(watcher, "a", bench.react("a", like=2))
    bench.say_collector()
    wait_until(lambda: bench.metric("tally_collector_up") == 1, "the collector's status")
    answer = bench.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert bench.metric("tally_feed_changed_totals_total") >= 1
    assert 0 <= bench.metric("tally_feed_publish_delay_seconds_sum")
    assert bench.metric("tally_feed_redis_up") == bench.metric("tally_feed_broker_up") == 1


# --- starting and ending ---

def test_ending_publishes_what_is_due(make_bench):
    bench = make_bench(options={"publish-interval-ms": 60000})
    bench.start("redis", "broker")
    bench.make_store()
    bench.start("feed")
    bench.wait_following()
    watcher = bench.client("totals/#", "ops/health")
    wait_version(watcher, "a", bench.react("a", like=1))
    last = bench.react("a", like=2)
    wait_until(lambda: bench.metric("tally_feed_waiting_articles") == 1, "the change to wait")
    began = time.monotonic()
    assert bench.process["feed"].stop() == 0
    took = time.monotonic() - began
    wait_version(watcher, "a", last)
    assert max(bench.mark()["covered"]) == last
    watcher.wait(lambda: json.loads(watcher.got("ops/health")[-1].payload)["reasons"] == ["feed: offline"], "its last word")
    assert took < 10, "promised are 2 s; took %.1f" % took
    assert "ended" in bench.process["feed"].text() and "before all" not in bench.process["feed"].text()


@pytest.mark.parametrize("away", ["redis", "broker", "both"])
def test_ending_while_others_are_away(make_bench, away):
    bench = make_bench()
    bench.start("redis", "broker")
    bench.make_store()
    bench.start("feed")
    bench.wait_following()
    for name in ("redis", "broker") if away == "both" else (away,):
        os.kill(bench.process[name].child.pid, signal.SIGSTOP)
    assert bench.process["feed"].stop() == 0


def test_wrong_options_are_named(make_bench, tmp_path):
    bench = make_bench()
    argv = bench.process["feed"].argv
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        cases = [
            (argv[:1], "services_file"),
            (argv + ["--nonsense=1"], "nonsense"),
            (argv + ["--max-articles=0"], "max_articles"),
            (argv + ["--user=operator"], "user"),
            ([word if word != str(bench.http_port) else str(taken.getsockname()[1]) for word in argv], "http_port"),
            (argv + ["--http-address=192.0.2.1"], "http_address"),
        ]
        for words, option in cases:
            ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
            errors = [line for line in ended.stderr.splitlines() if "level=error" in line]
            assert ended.returncode == 1 and len(errors) == 1 and option in errors[0], (words, ended.stderr)
            assert SECRET not in ended.stderr


def test_topics_have_the_prefix(make_bench):
    bench = make_bench(options={"topic-prefix": "news/"})
    bench.start("redis", "broker")
    bench.make_store()
    bench.start("feed")
    watcher = bench.client("#")
    version = bench.react("a", like=1)
    watcher.wait(lambda: [m for m in watcher.got("news/totals/a") if json.loads(m.payload)["version"] == version], "the total")
    watcher.wait(lambda: watcher.got("news/ops/feed") and watcher.got("news/ops/health"), "mark and health")
    assert not [m for m in watcher.got() if not m.topic.startswith("news/")]
    assert b'":21399#news/"' in bench.get("/tally.js").body

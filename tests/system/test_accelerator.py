"""redis-module/tally-redis.so beside collector/register.lua: the same calls leave the same bytes and answers, also behind an append-only file
and on a replica. TALLY_ACCELERATOR_CALLS is the number of random calls."""

import os
import random
import struct
import time

import pytest
import redis as redis_py

import test_register_script as scripted
from accelerated import Server, accelerated, module_path
from clients import reader_name, unique
from edge import wait_until
from test_register_script import CHANGED, EDGE, HEADS, KEYS, META, RINGS, STORE
# The script's own tests, here with the module.
from test_register_script import (test_a_batch_of_many_articles, test_a_bucket_of_another_type_midway_through_an_article,  # noqa: F401
                                  test_a_bucket_of_another_type_stops_the_batch, test_a_floor_counts_older_registers_as_none,
                                  test_a_head_that_is_none_is_its_articles_error, test_a_pause_applies_nothing_until_it_ends,
                                  test_a_pause_ends_by_itself, test_a_pause_is_read_alike_by_who_waits_for_it_and_who_makes_it,
                                  test_a_pause_that_cannot_be_is_none, test_a_register_that_is_none_is_its_articles_error,
                                  test_a_ring_that_begins_applies_nothing_to_another_store, test_a_shard_key_of_another_type_changes_nothing,
                                  test_a_split_that_cannot_write_a_target, test_another_position_does_nothing, test_calls_that_come_twice,
                                  test_no_position_is_0, test_random_votes_against_a_model, test_readers_that_fall_into_one_bucket,
                                  test_rings_have_positions_of_their_own, test_the_newer_wins, test_versions_are_redis_time_and_unique,
                                  test_versions_rise_though_the_clock_went_back, test_what_changes_no_total_has_no_version,
                                  test_what_is_renewed_has_a_new_version)

pytestmark = pytest.mark.no_sanitizer  # the module is in a Redis that has none

CALLS = int(os.environ.get("TALLY_ACCELERATOR_CALLS", 240))
SPLIT = 12  # small, so that many buckets are split
START_US = 1795510800000000
RING = "00000000000000aa"


class AcceleratedRing(scripted.Ring):
    def send(self, redis, arguments):
        return accelerated(redis, "now", [4, *KEYS, *arguments])


@pytest.fixture(autouse=True)
def _ring(monkeypatch):
    monkeypatch.setattr(scripted, "Ring", AcceleratedRing)


def _servers(request, **options):
    server = Server(**options)
    request.addfinalizer(server.close)
    return server


@pytest.fixture(scope="module")
def module_server(request):
    return _servers(request, module=[])


@pytest.fixture
def redis(module_server):
    module_server.client.flushall()
    module_server.client.hset(META, "store", STORE)
    return module_server.client


# --- the same calls to both ---

def _script_of(redis):
    """The script, whose clock is a key."""
    text = scripted._script("register.lua")
    assert text.count(b"call('TIME')") == 1
    return redis.script_load(text.replace(b"call('TIME')", b"call('HMGET', 'hour', 's', 'us')"))


class Pair:
    """A server with the module, and one with the script."""

    def __init__(self, module, script):
        self.module, self.script = module, script
        self.sha = _script_of(script)
        self.both = (module, script)
        for redis in self.both:
            redis.flushall()
            redis.hset(META, "store", STORE)

    def put(self, command, *words):
        """The same change on both."""
        for redis in self.both:
            redis.execute_command(command, *words)

    def call(self, now_us, words):
        """The answer, which is the same."""
        self.script.hset("hour", mapping={"s": now_us // 1000000, "us": now_us % 1000000})
        theirs, ours = self.script.evalsha(self.sha, *words), accelerated(self.module, now_us, words)
        assert ours == theirs, words
        return ours

    def compare(self):
        assert state_of(self.module) == state_of(self.script)


def state_of(redis):
    """All bytes of all keys. DUMP shows a listpack's order; a table's depends on a server's secret, so its fields are sorted."""
    pipe = redis.pipeline(transaction=False)
    keys = sorted(key for key in redis.scan_iter(count=5000) if key != b"hour")
    for key in keys:
        pipe.object("encoding", key)
        pipe.dump(key)
    found = pipe.execute()
    state = {}
    for key, encoding, dump in zip(keys, found[::2], found[1::2]):
        state[key] = (encoding, sorted(redis.hgetall(key).items()) if encoding == b"hashtable" else dump)
    return state


class Calls:
    """Random calls, and what goes wrong between them."""

    def __init__(self, pair, seed):
        self.pair, self.random = pair, random.Random(seed)
        self.position = 0
        self.now_us = START_US
        self.readers = [self.random.getrandbits(64) for _ in range(600)]
        self.seen = {}

    def _articles(self):
        """How many votes each article of a call has: one hot article, Zipf's law, or even."""
        shape, n = self.random.choice(["hot", "zipf", "even"]), self.random.randrange(1, 120)
        if shape == "hot":
            return {"hot": n}
        articles = {}
        for _ in range(n):
            rank = int(150 ** self.random.random()) if shape == "zipf" else self.random.randrange(200)
            name = "%s/%d" % (shape, rank)
            articles[name] = articles.get(name, 0) + 1
        return articles

    def _vote(self):
        reader = self.random.choice(self.readers) if self.random.random() < 0.6 else self.random.getrandbits(64)
        if self.random.random() < 0.02:
            reader = self.random.randrange(40) << 32  # all in one bucket, which remains a listpack
        stamp = (1 << 51) + self.random.randrange(50 if self.random.random() < 0.3 else 1 << 40)  # late, repeated, new
        return struct.pack("<Q", reader) + (stamp << 4 | self.random.randrange(0, 16)).to_bytes(7, "big")

    def words(self):
        to = self.position + self.random.randrange(1, 1 << 20)
        words = [4, *KEYS, RING, struct.pack("<Q", self.position), struct.pack("<QQ", to, to // 48),
                 self.random.choice([0, 0, 0, 3]), self.random.choice([0, 0, 0, 5]), struct.pack("<Q", EDGE), SPLIT, 0,
                 int(self.random.random() < 0.1), STORE]
        for article, votes in self._articles().items():
            words += [article, b"".join(self._vote() for _ in range(votes))]
        return words, to

    def _flag(self, flags):
        """A floor, or the flag of a forgotten article, in some head."""
        article = self.random.choice(sorted(self.pair.script.hkeys(HEADS)))
        head = self.pair.script.hget(HEADS, article)
        if head[1] == 0:
            floor = struct.pack("<Q", (1 << 51) + self.random.randrange(1 << 40)) if flags == 1 else b""
            self.pair.put("HSET", HEADS, article, head[:1] + bytes([flags]) + head[2:] + floor)

    def _bucket(self):
        keys = sorted(self.pair.script.scan_iter("tally:{0}:[0-9]*", count=5000))
        return self.random.choice(keys)

    def trouble(self):
        """Something for the next call to meet, and how to undo it."""
        put, what = self.pair.put, self.random.randrange(10)
        if what < 2:
            self._flag(1 + what)
        elif what == 2:  # a bucket of another type, now or where a split will write
            key = self._bucket()
            put("RENAME", key, "kept")
            put("SET", key, "no bucket")
            return lambda: (put("DEL", key), put("RENAME", "kept", key))
        elif what == 3:
            head = scripted.parse_head(self.pair.script.hget(HEADS, "hot") or bytes([1]) + bytes(23))
            key = "tally:{0}:%d:%d" % (head.number, head.split + self.random.randrange(1, 4) * 4 ** head.level)
            if head.number and not self.pair.script.exists(key):
                put("SET", key, "no bucket")
                return lambda: put("DEL", key)
        elif what == 4:
            article = self.random.choice(sorted(self.pair.script.hkeys(HEADS)))
            head = self.pair.script.hget(HEADS, article)
            put("HSET", HEADS, article, self.random.choice([b"", head[:-1], head + b"\0", b"\2" + head[1:], head[:1] + b"\4" + head[2:]]))
            return lambda: put("HSET", HEADS, article, head)
        elif what == 5:
            put("HSET", META, "pause", "%d %d a1" % (self.now_us - self.random.randrange(-5, 1000), self.now_us + self.random.randrange(2000000)))
            return lambda: put("HDEL", META, "pause")
        elif what == 6:
            put("HSET", META, "store", "9b1d00000000bbbb") if self.random.random() < 0.5 else put("HDEL", META, "store")
            return lambda: put("HSET", META, "store", STORE)
        elif what == 7:
            key = self.random.choice(KEYS)
            put("RENAME", key, "kept")
            put("SET", key, "of another type")
            return lambda: (put("DEL", key), put("RENAME", "kept", key))
        elif what == 8:
            self.position += 1
            return lambda: setattr(self, "position", self.position - 1)
        return lambda: None

    def step(self):
        undo = self.trouble() if self.position and self.random.random() < 0.2 else lambda: None
        words, to = self.words()
        answer = self.pair.call(self.now_us, words)
        undo()
        self.now_us += self.random.choice([1, 1000, 1000000, -1000])
        what = "split error" if answer[0] == b"ok" and answer[5] else answer[0].decode()
        self.seen[what] = self.seen.get(what, 0) + 1
        if answer[0] == b"ok":
            self.position = to


def _make_random_calls(pair, seed, calls):
    made = Calls(pair, seed)
    for i in range(calls):
        made.step()
        if i % 5000 == 4999:
            pair.compare()
    pair.compare()
    return made.seen


@pytest.mark.parametrize("arguments", [[], ["replicate", "effects"]], ids=["calls", "effects"])
def test_random_calls_leave_the_same_bytes(request, arguments):
    """Answers and keys, then those of a replica, then what an append-only file brings back. Replication by effects needs no module there."""
    server = _servers(request, module=arguments, aof=True)
    replica = _servers(request, module=None if arguments else [], replica_of=server)
    wait_until(lambda: replica.client.info("replication")["master_link_status"] == "up", "the replica's first copy")
    pair = Pair(server.client, _servers(request).client)
    seen = _make_random_calls(pair, 7, CALLS)
    assert {"ok", "at", "store", "paused", "error", "split error"} <= set(seen), seen
    expected = state_of(pair.script)
    assert server.client.wait(1, 60000) == 1
    assert state_of(replica.client) == expected
    server.client.execute_command("DEBUG", "LOADAOF")
    # What was read at a start need not be in the encodings of what was written at other times; its bytes are the same.
    assert {key: value[1] for key, value in state_of(server.client).items()} == {key: value[1] for key, value in expected.items()}


def test_it_does_what_the_simulators_model_does(redis):
    scripted.compare_with_the_model(redis, lambda now_us, words: accelerated(redis, now_us, words))


# --- words ---

def _good(position=0):
    return [4, *KEYS, RING, struct.pack("<Q", position), struct.pack("<QQ", 64, 1), 0, 0, struct.pack("<Q", EDGE), SPLIT, 0, 0, STORE,
            "a", bytes(15)]


@pytest.mark.parametrize("at, word", [(0, 3), (0, "x"), (1, "tally:{0}:other"), (1, "heads" * 60), (6, b"short"), (7, bytes(15)), (8, "x"), (8, -1),
                                      (9, ""), (9, 1 << 70), (10, bytes(9)), (11, 0), (11, "many"), (16, bytes(14)), (16, bytes(31))])
def test_a_wrong_word_changes_nothing(redis, at, word):
    before, words = state_of(redis), _good()
    words[at] = word
    with pytest.raises(redis_py.exceptions.ResponseError, match="TALLY.REGISTER: argument"):
        accelerated(redis, "now", words)
    assert state_of(redis) == before


def _packed(words):
    """The same call with its articles in one word."""
    names, votes = [str(name).encode() for name in words[15::2]], words[16::2]
    return words[:15] + [b"".join(struct.pack("<BH", len(name), len(blob) // 15) + name + blob for name, blob in zip(names, votes))]


def test_articles_in_one_word(redis):
    """As the append-only file has them."""
    words = _good()[:15]
    for article in range(5):
        words += ["post/%d" % article, b"".join(struct.pack("<Q", reader) + bytes(6) + bytes([reader % 16]) for reader in range(40 * article))]
    assert accelerated(redis, START_US, words)[0] == b"ok"
    separate = state_of(redis)
    redis.flushall()
    redis.hset(META, "store", STORE)
    packed = _packed(words)
    assert accelerated(redis, START_US, packed)[0] == b"ok"
    assert state_of(redis) == separate
    packed[6] = struct.pack("<Q", 64)
    for word in (packed[15][:-1], packed[15] + b"x", packed[15] + b"\1\0", b"\377" * 2, b"\1\377\377a" + bytes(15)):
        with pytest.raises(redis_py.exceptions.ResponseError, match="argument 17 "):
            accelerated(redis, START_US, packed[:15] + [word])
    assert state_of(redis) == separate


def test_words_that_are_missing_change_nothing(redis):
    before = state_of(redis)
    for n in [*range(1, 15), 16]:
        with pytest.raises(redis_py.exceptions.ResponseError):
            accelerated(redis, "now", _good()[:n])
    for clock in ("", "then", 0, -1, 1 << 60):
        with pytest.raises(redis_py.exceptions.ResponseError, match="argument 1 "):
            accelerated(redis, clock, _good())
    assert state_of(redis) == before
    assert accelerated(redis, "now", _good()[:15])[0] == b"ok", "a call without articles moves the position"


def test_a_shard_whose_numbers_are_damaged_is_held(redis):
    redis.hset(META, "version", "x")
    assert accelerated(redis, "now", _good())[:2][0] == b"error"
    redis.hdel(META, "version")
    redis.hset(RINGS, RING, bytes(39))
    assert accelerated(redis, "now", _good())[1].startswith(b"BADPOSITION")
    assert redis.hlen(HEADS) == 0


# --- the command beside Redis's own rules ---

def test_in_a_transaction(redis):
    pipe = redis.pipeline(transaction=True)
    pipe.execute_command("TALLY.REGISTER", "now", *_good())
    pipe.execute_command("TALLY.REGISTER", "now", *_good())
    first, second = pipe.execute()
    assert first == [b"ok", 1, 0, 0, b"", b""] and second[0] == b"at"


def test_the_keys_and_rights_of_the_command(redis):
    assert redis.execute_command("COMMAND GETKEYS", "TALLY.REGISTER", "now", *_good()) == KEYS
    redis.execute_command("ACL", "SETUSER", "limited", "on", ">secret", "resetkeys", "~tally:*", "-@all", "+tally.register")
    limited = redis_py.Redis(unix_socket_path=redis.connection_pool.connection_kwargs["path"], username="limited", password="secret")
    assert accelerated(limited, "now", _good())[0] == b"ok"
    redis.execute_command("ACL", "SETUSER", "limited", "resetkeys", "~other:*")
    with pytest.raises(redis_py.exceptions.ResponseError, match="(?i)permission|access"):
        accelerated(limited, "now", _good(64))
    limited.close()
    redis.execute_command("ACL", "DELUSER", "limited")


def test_out_of_memory_changes_nothing(redis):
    before = state_of(redis)
    redis.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(redis_py.exceptions.ResponseError, match="OOM|maxmemory"):
            accelerated(redis, "now", _good())
    finally:
        redis.config_set("maxmemory", "0")
    assert state_of(redis) == before


def test_a_replica_refuses_it(request, module_server):
    replica = _servers(request, module=[], replica_of=module_server)
    wait_until(lambda: replica.client.info("replication")["master_link_status"] == "up", "the replica's first copy")
    with pytest.raises(redis_py.exceptions.ReadOnlyError):
        accelerated(replica.client, "now", _good())


def test_a_slot_that_moves_is_left_alone(request):
    """A bucket that is on the new node already would look empty, and its readers new."""
    here, there = (_servers(request, module=[], options=["--cluster-enabled", "yes"]) for _ in range(2))
    here.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    there.client.execute_command("CLUSTER", "MEET", "127.0.0.1", here.ports[0])
    other = there.client.execute_command("CLUSTER", "MYID").decode()
    wait_until(lambda: other.encode() in here.client.execute_command("CLUSTER", "NODES"), "the nodes to meet")
    wait_until(lambda: b"cluster_state:ok" in here.client.execute_command("CLUSTER", "INFO"), "the cluster")
    here.client.hset(META, "store", STORE)
    assert accelerated(here.client, "now", _good())[0] == b"ok"
    slot, before = here.client.execute_command("CLUSTER", "KEYSLOT", META), state_of(here.client)
    here.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", other)
    answer = accelerated(here.client, "now", _good(64))
    assert (answer[0], answer[2]) == (b"error", 0) and answer[1].startswith(b"TRYAGAIN ")
    assert state_of(here.client) == before
    here.client.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")
    assert accelerated(here.client, "now", _good(64)) == [b"ok", 0, 0, 1, b"", b""]


def test_versions_survive_the_append_only_file_and_a_kill(request):
    """A replayed call has the time of the first one, not that of the replay."""
    server = _servers(request, module=[], aof=True)
    server.client.hset(META, "store", STORE)
    accelerated(server.client, "now", _good())
    before = state_of(server.client)
    assert abs(server.client.zscore(CHANGED, "a") - time.time() * 1e6) < 60e6
    wait_until(lambda: server.client.info("persistence")["aof_buffer_length"] == 0, "the append-only file")
    server.kill()
    server.start()
    assert state_of(server.client) == before


# --- the collector ---

def _calls(edge, command):
    return edge.redis.info("commandstats").get("cmdstat_" + command, {"calls": 0})["calls"]


def _say(edge, article):
    reader = edge.client(username=reader_name())
    assert reader.say("reactions/" + article, "like") in (0x00, 0x10)
    reader.close()


def test_the_collector_uses_it_and_changes_over(make_edge):
    """With the module, without it from one batch to the next, and with the option off."""
    edge, article = make_edge(), unique("accelerated")
    with open(edge.path("redis.conf"), "a") as conf:
        conf.write("enable-module-command local\nloadmodule %s\n" % module_path())
    edge.start()
    assert "its replicas and append-only file need it" in edge["collector"].text()
    _say(edge, article)
    wait_until(lambda: edge.totals_over_http([article]) == {article: {"like": 1}}, "the total")
    assert _calls(edge, "tally.register") > 0
    edge.redis.execute_command("MODULE", "UNLOAD", "tally")
    before = _calls(edge, "evalsha")
    _say(edge, article)
    wait_until(lambda: edge.totals_over_http([article]) == {article: {"like": 2}}, "the total without the module")
    assert _calls(edge, "evalsha") > before
    edge.redis.execute_command("MODULE", "LOAD", module_path())
    edge["collector"].stop()
    edge["collector"].argv += ["--accelerator", "off"]
    edge["collector"].start()
    before = _calls(edge, "tally.register")
    _say(edge, article)
    wait_until(lambda: edge.totals_over_http([article]) == {article: {"like": 3}}, "the total with the option off")
    assert _calls(edge, "tally.register") == before

"""collector/register.lua, store.lua and fold.lua alone, in a private Redis: against a model, and with an error at every place where Redis
can give one."""

import collections
import json
import os
import random
import struct
import subprocess
import time

import pytest
import redis as redis_py

from edge import build_dir, wait_until
from scripts import script_text
from store import parse_head, bucket_of

pytestmark = pytest.mark.no_sanitizer  # what it tests is Lua, in a Redis alone

SPLIT = 36
KINDS = range(1, 8)
EDGE = 0x0F3C5A0000000001
KEYS = ["tally:{0}:heads", "tally:{0}:changed", "tally:{0}:meta", "tally:{0}:rings"]
HEADS, CHANGED, META, RINGS = KEYS
BOOKS = "tally:{0}:books"
STORE_KEY = "tally:store"
STORE = "9b1d00000000aaaa"


def _script(name, folder="collector"):
    return script_text(folder + "/" + name)


@pytest.fixture
def redis(redis_alone):
    redis_alone.flushall()
    redis_alone.hset(META, "store", STORE)
    return redis_alone


Vote = collections.namedtuple("Vote", "article reader stamp kind")


class Ring:
    """One ring's calls, made as the collector makes them: votes grouped by article, each article's in their order."""

    def __init__(self, redis, ring="00000000000000aa", split=SPLIT, store=STORE):
        self.redis, self.ring, self.split, self.store = redis, ring, split, store
        self.position = self.sequence = 0
        self.sha = redis.script_load(_script("register.lua"))

    def call(self, votes, quarantined=0, lost=0, at=None, redis=None, renew=False):
        """The script's answer; the position is moved where it says ok. Also leaves `order`: the votes by the script's index."""
        start = self.position if at is None else at
        to, sequence = self.position + 64 * (len(votes) + quarantined), self.sequence + len(votes) + quarantined + lost
        groups = collections.OrderedDict()
        for vote in votes:
            groups.setdefault(vote.article, []).append(vote)
        self.order = [vote for group in groups.values() for vote in group]
        arguments = [self.ring, struct.pack("<Q", start), struct.pack("<QQ", to, sequence), quarantined, lost, struct.pack("<Q", EDGE), self.split, 0,
                     int(renew), self.store]
        for article, group in groups.items():
            arguments += [article, b"".join(struct.pack("<Q", v.reader) + (v.stamp << 4 | v.kind).to_bytes(7, "big") for v in group)]
        answer = self.send(redis or self.redis, arguments)
        if answer[0] == b"ok":
            self.position, self.sequence = to, sequence
        return answer

    def send(self, redis, arguments):
        return redis.evalsha(self.sha, 4, *KEYS, *arguments)

    def apply(self, votes, **more):
        answer = self.call(votes, **more)
        assert answer[0] == b"ok" and answer[5] == b"", answer
        return answer

    def stored(self):
        raw = self.redis.hget(RINGS, self.ring)
        return struct.unpack("<5Q", raw) if raw else (0, 0, 0, 0, 0)


class Model:
    def __init__(self):
        self.registers = collections.defaultdict(dict)

    def apply(self, votes):
        """(new, changed, repeated, {index: kind that holds})"""
        new = changed = repeated = 0
        superseded = {}
        for index, vote in enumerate(votes):
            register = self.registers[vote.article]
            old, value = register.get(vote.reader), (vote.stamp, vote.kind)
            if old is None:
                new += 1
            elif value == old:
                repeated += 1
            elif value < old:
                superseded[index] = old[1]
                continue
            else:
                changed += 1
            register[vote.reader] = value
        return new, changed, repeated, superseded


def _exceptions(blob):
    assert len(blob) % 3 == 0
    return {index: kind for index, kind in struct.iter_unpack("<HB", blob)}


def _registers(redis, article, head):
    """{reader: (stamp, kind)} of the buckets in which a register is looked for; each must be a listpack."""
    found = {}
    for key in redis.scan_iter("tally:{0}:%d:*" % head.number, count=5000):
        bucket = int(key.rpartition(b":")[2])
        if redis.type(key) != b"hash":
            continue
        assert redis.object("encoding", key) == b"listpack", key
        for field, value in redis.hgetall(key).items():
            reader, packed = int.from_bytes(field, "little"), int.from_bytes(value, "big")
            if bucket_of(reader, head.level, head.split) == bucket:
                found[reader] = (packed >> 4, packed & 15)
    return found


def _check(redis, model=None, articles=None):
    """Each head is the sum of its registers and the changed set says its version; where there is a model, they are the model's."""
    heads = {article.decode(): parse_head(raw) for article, raw in redis.hgetall(HEADS).items()}
    assert len({head.number for head in heads.values()}) == len(heads) == len({head.version for head in heads.values()})
    for article, head in heads.items():
        registers = _registers(redis, article, head)
        assert head.voters == len(registers), article
        assert head.counts == dict(collections.Counter(kind for stamp, kind in registers.values() if kind and stamp > head.floor)), article
        assert int(redis.zscore(CHANGED, article)) == head.version, article
        assert head.split < 4 ** head.level
        if model is not None:
            assert registers == model.registers[article], article
    if model is not None:
        assert set(heads) == set(model.registers)
    meta = redis.hgetall(META)
    if heads:
        assert int(meta[b"version"]) == max(head.version for head in heads.values())
        assert int(meta[b"articles"]) >= max(head.number for head in heads.values())
    return heads


def _everything(redis):
    return {key: redis.dump(key) for key in redis.keys("*")}


def _head(redis, article="a"):
    return parse_head(redis.hget(HEADS, article))


def _votes(article, readers, stamp=1000, kind=1):
    return [Vote(article, reader, stamp, kind) for reader in readers]


# --- registers ---

@pytest.mark.parametrize("seed", range(6))
def test_random_votes_against_a_model(redis, seed):
    """Few readers and stamps, so that most votes meet a register: newer, older, equal, of equal stamp, taken back."""
    rnd = random.Random(seed)
    ring, model = Ring(redis), Model()
    readers = [rnd.getrandbits(64) for _ in range(rnd.choice([3, 60, 400]))]
    for _ in range(40):
        votes = [Vote("article/%d" % rnd.randrange(5), rnd.choice(readers), (1 << 51) + rnd.randrange(200), rnd.randrange(0, 8))
                 for _ in range(rnd.randrange(1, 300))]
        before = {a: parse_head(raw) for a, raw in redis.hgetall(HEADS).items()}
        answer = ring.apply(votes)
        new, changed, repeated, superseded = model.apply(ring.order)
        assert (answer[1:4], _exceptions(answer[4])) == ([new, changed, repeated], superseded)
        for article, head in before.items():
            after = parse_head(redis.hget(HEADS, article))
            assert after.version > head.version if after.counts != head.counts else after.version >= head.version
    _check(redis, model)
    assert ring.stored() == (ring.position, ring.sequence, 0, 0, EDGE)


@pytest.mark.parametrize("old, new, outcome", [
    ((5, 1), (5, 1), "repeated"), ((5, 1), (6, 1), "changed"), ((5, 1), (4, 7), "superseded"), ((5, 1), (5, 2), "changed"),
    ((5, 2), (5, 1), "superseded"), ((5, 1), (5, 0), "superseded"), ((5, 1), (6, 0), "changed"), ((6, 0), (5, 1), "superseded"),
    (((1 << 52) - 2, 7), ((1 << 52) - 1, 1), "changed"), (((1 << 52) - 1, 1), ((1 << 52) - 2, 15), "superseded"),
    ((1 << 44, 1), ((1 << 44) + 1, 1), "changed"), ((1 << 4, 3), ((1 << 4) - 1, 3), "superseded"),
], ids=lambda v: str(v))
def test_the_newer_wins(redis, old, new, outcome):
    """Stamp first, then kind; exact to the last of 56 bits."""
    ring, model = Ring(redis), Model()
    for stamp, kind in (old, new):
        answer = ring.apply([Vote("a", 7, stamp, kind)])
        model.apply([Vote("a", 7, stamp, kind)])
    assert answer[1:4] == [0, int(outcome == "changed"), int(outcome == "repeated")]
    assert _exceptions(answer[4]) == ({0: old[1]} if outcome == "superseded" else {})
    _check(redis, model)


def test_a_vote_taken_back_leaves_its_stamp(redis):
    ring = Ring(redis)
    ring.apply([Vote("a", 1, 10, 3), Vote("a", 1, 20, 0)])
    assert (_head(redis).voters, _head(redis).counts) == (1, {})
    answer = ring.apply([Vote("a", 1, 15, 3)])
    assert _exceptions(answer[4]) == {0: 0}
    _check(redis)


def test_a_batch_of_many_articles(redis):
    """More than one chunk of HMGET, HSET and ZADD."""
    ring, model = Ring(redis), Model()
    for kind in (1, 2):
        votes = [Vote("post/%d" % (i % 2300), i, 100 * kind + i, kind) for i in range(4000)]
        ring.apply(votes)
        model.apply(votes)
    heads = _check(redis, model)
    assert sorted(head.number for head in heads.values()) == list(range(1, 2301))


# --- splits ---

@pytest.mark.slow
def test_splits_from_1_to_100_000_voters(redis):
    rnd = random.Random(1)
    ring, model = Ring(redis), Model()
    voters = 0
    milestones = [1, SPLIT, SPLIT + 1, 4 * SPLIT + 1, 1000, 16 * SPLIT + 1, 5000, 20_000, 64 * SPLIT + 1, 50_000, 100_000]
    for milestone in sorted(milestones):
        while voters < milestone:
            votes = _votes("a", [rnd.getrandbits(64) for _ in range(min(997, milestone - voters))], voters + 1, rnd.choice(KINDS))
            ring.apply(votes)
            model.apply(votes)
            voters += len(votes)
        head = _head(redis)
        buckets = 4 ** head.level + 3 * head.split
        assert (buckets - 3) * SPLIT < voters <= buckets * SPLIT
        _check(redis, model)
    # Every register is found again where it was put.
    for start in range(0, voters, 1000):
        some = [Vote("a", reader, *value) for reader, value in list(model.registers["a"].items())[start:start + 1000]]
        assert ring.apply(some)[1:4] == [0, 0, len(some)]


def test_readers_that_fall_into_one_bucket(redis):
    """Low bits that are all alike: the bucket cannot be split, and stays right though it grows past a listpack."""
    ring = Ring(redis)
    ring.apply(_votes("a", [i << 32 for i in range(600)]))
    head = _head(redis)
    assert head.voters == 600 and redis.hlen("tally:{0}:%d:0" % head.number) == 600
    assert ring.apply(_votes("a", [i << 32 for i in range(600)]))[3] == 600


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_split_that_cannot_write_a_target(redis, quarter):
    """A key of another type is in the place of a bucket: votes are still counted, and the split is done once that is possible."""
    rnd = random.Random(quarter)
    ring, model = Ring(redis), Model()
    votes = _votes("a", [rnd.getrandbits(64) for _ in range(SPLIT)])
    ring.apply(votes)
    model.apply(votes)
    planted = "tally:{0}:%d:%d" % (_head(redis).number, quarter)
    redis.set(planted, "not a bucket")
    for i in range(3):  # registers change while copies of a split that failed lie about
        votes = _votes("a", [rnd.getrandbits(64) for _ in range(5)], 1000) + _votes("a", list(model.registers["a"])[:20], 2000 + i, 2)
        answer = ring.call(votes)
        model.apply(votes)
        assert answer[0] == b"ok" and answer[5].startswith(b"WRONGTYPE")
        assert (_head(redis).level, _head(redis).split) == (0, 0)
        _check(redis, model)
    redis.delete(planted)
    votes = _votes("a", [rnd.getrandbits(64)])
    ring.apply(votes)
    model.apply(votes)
    assert (_head(redis).level, _head(redis).split) == (1, 0)
    _check(redis, model)


@pytest.mark.parametrize("command", ["hgetall", "del", "rename"])
def test_a_split_that_may_not(redis, command):
    """An error of the first and of the last commands of a split."""
    rnd = random.Random(7)
    ring, model = Ring(redis), Model()
    redis.execute_command("ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", "-" + command)
    limited = redis_py.Redis(unix_socket_path=redis.connection_pool.connection_kwargs["path"], username="limited", password="secret")
    for _ in range(3):
        votes = _votes("a", [rnd.getrandbits(64) for _ in range(SPLIT)], rnd.randrange(1000), rnd.choice(KINDS))
        answer = ring.call(votes, redis=limited)
        model.apply(votes)
        assert answer[0] == b"ok"
        _check(redis, model)
    assert answer[5].startswith(b"ERR")
    assert _head(redis).split == _head(redis).level == 0
    limited.close()
    redis.execute_command("ACL", "DELUSER", "limited")
    votes = _votes("a", [rnd.getrandbits(64) for _ in range(10)])
    ring.apply(votes)
    model.apply(votes)
    head = _head(redis)
    assert 4 ** head.level + 3 * head.split > 1
    _check(redis, model)


# --- positions ---

def test_another_position_does_nothing(redis):
    ring = Ring(redis)
    ring.apply(_votes("a", range(10)))
    for at in (0, ring.position - 64, ring.position + 64, (1 << 63) + ring.position):
        before = _everything(redis)
        assert ring.call(_votes("a", range(20, 30), 5000, 2), at=at) == [b"at", struct.pack("<5Q", *ring.stored())]
        assert _everything(redis) == before


def test_no_position_is_0(redis):
    ring = Ring(redis)
    assert ring.call(_votes("a", [1]), at=64) == [b"at", b""]
    assert redis.keys() == [META.encode()]
    ring.apply(_votes("a", [1]), at=0)


def test_calls_that_come_twice(redis):
    """Several under way, and the first comes again: a no-op."""
    ring = Ring(redis)
    first = _votes("a", range(10))
    ring.apply(first)
    ring.apply(_votes("a", range(10), 2000, 2))
    before = _everything(redis)
    assert ring.call(first, at=0)[0] == b"at"
    assert _everything(redis) == before


def test_rings_have_positions_of_their_own(redis):
    one, other = Ring(redis, "00000000000000aa"), Ring(redis, "00000000000000bb")
    one.apply(_votes("a", [1]))
    other.apply(_votes("a", [2]))
    one.apply(_votes("a", [3]), quarantined=2, lost=5)
    other.apply([], quarantined=1)
    one.apply([], lost=1)
    assert one.stored() == (4 * 64, 10, 2, 6, EDGE)
    assert other.stored() == (2 * 64, 2, 1, 0, EDGE)
    assert _head(redis).voters == 3


# --- the store ---

OTHER_STORE = "9b1d00000000bbbb"


def _position(redis, ring, store=STORE, adopt=False):
    return redis.eval(_script("position.lua"), 2, META, RINGS, ring, store, "adopt" if adopt else "")


def _claim(redis, store=STORE, known="new"):
    return redis.eval(_script("claim.lua"), 3, META, RINGS, BOOKS, store, known)


def test_a_shard_without_data_is_claimed_once(redis):
    redis.delete(META)
    assert _claim(redis) == [b"ok"]
    assert redis.hgetall(META) == {b"store": STORE.encode()}
    assert _claim(redis) == [b"ok"]
    answer = _claim(redis, OTHER_STORE)
    assert answer[0] == b"store" and STORE.encode() in answer[1], answer
    assert redis.hgetall(META) == {b"store": STORE.encode()}


def test_a_shard_that_is_known_is_not_claimed_again(redis):
    redis.delete(META)
    answer = _claim(redis, known="known")
    assert answer[0] == b"store" and b"--adopt" in answer[1], answer
    assert redis.keys("*") == []
    assert _claim(redis) == [b"ok"] and _claim(redis, known="known") == [b"ok"]


def test_what_an_operator_imports_first_is_no_other_stores(redis):
    """A base and the head that came with it may be there before the shard is claimed."""
    redis.delete(META)
    redis.hset(META, mapping={"version": 1000, "articles": 1})
    redis.hset(HEADS, "a", struct.pack("<BBQIIBIB", 1, 0, 1000, 1, 0, 0, 0, 0))
    assert _claim(redis) == [b"ok"]
    ring = Ring(redis)
    assert _position(redis, ring.ring) == [b"at", b""]
    ring.apply(_votes("a", [1]))


@pytest.mark.parametrize("key", [META, RINGS])
def test_a_position_in_a_key_of_another_type_is_an_error(redis, key):
    redis.delete(key)
    redis.set(key, "no hash")
    with pytest.raises(redis_py.exceptions.ResponseError, match="WRONGTYPE"):
        _position(redis, "00000000000000aa")


def _another_store(redis):
    redis.hset(META, "store", OTHER_STORE)
    Ring(redis, store=OTHER_STORE).apply(_votes("b", [1]))


def _another_store_without_data(redis):
    redis.hset(META, "store", OTHER_STORE)


def _no_data(redis):
    redis.delete(META)


def _rings_without_a_store(redis):
    Ring(redis).apply(_votes("b", [1]))
    redis.hdel(META, "store")


def _books_without_a_store(redis):
    ring = Ring(redis)
    ring.apply(_votes("b", [1]))
    redis.eval(_script("fold.lua"), 2, RINGS, BOOKS, ring.ring)
    redis.hdel(META, "store")


REFUSALS = {_another_store: OTHER_STORE, _another_store_without_data: OTHER_STORE, _no_data: "names no store",
            _rings_without_a_store: "names no store", _books_without_a_store: "names no store"}


@pytest.mark.parametrize("content", REFUSALS, ids=lambda content: content.__name__[1:])
def test_a_ring_that_begins_applies_nothing_to_another_store(redis, content):
    """Its position is 0 there, too, so the position alone does not tell."""
    content(redis)
    ring, before = Ring(redis, ring="00000000000000cc"), _everything(redis)
    for answer in (ring.call(_votes("a", range(3))), _position(redis, ring.ring)):
        assert answer[0] == b"store" and REFUSALS[content].encode() in answer[1], answer
        assert len(answer[1]) < 160, "it fits into the status"
    assert _everything(redis) == before


@pytest.mark.parametrize("content", [content for content in REFUSALS if content is not _no_data], ids=lambda content: content.__name__[1:])
def test_a_claim_leaves_what_may_be_anothers(redis, content):
    content(redis)
    before, answer = _everything(redis), _claim(redis)
    assert answer[0] == b"store" and REFUSALS[content].encode() in answer[1], answer
    assert _everything(redis) == before


@pytest.mark.parametrize("content", REFUSALS, ids=lambda content: content.__name__[1:])
def test_adoption_makes_the_shard_the_stores(redis, content):
    content(redis)
    ring = Ring(redis, ring="00000000000000cc")
    assert _position(redis, ring.ring, adopt=True) == [b"at", b""]
    assert redis.hget(META, "store") == STORE.encode() and _claim(redis) == [b"ok"]
    ring.apply(_votes("a", range(3)))
    assert _position(redis, ring.ring)[0] == b"at"


# --- versions ---

def test_versions_are_redis_time_and_unique(redis):
    ring = Ring(redis)
    before = int(time.time() * 1e6)
    ring.apply([Vote("post/%d" % i, 1, 1, 1) for i in range(50)])
    after = int(time.time() * 1e6) + 50
    heads = _check(redis)
    assert all(before <= head.version <= after for head in heads.values())


def test_versions_rise_though_the_clock_went_back(redis):
    ring = Ring(redis)
    ahead = int((time.time() + 86400) * 1e6)
    redis.hset(META, "version", ahead)
    ring.apply([Vote("a", 1, 1, 1), Vote("b", 1, 1, 1)])
    ring.apply([Vote("a", 2, 1, 1)])
    assert (_head(redis, "a").version, _head(redis, "b").version) == (ahead + 3, ahead + 2)
    _check(redis)


def test_what_is_renewed_has_a_new_version(redis):
    """What Redis lost may have been shown with a version that it no longer knows: a repeat gets a newer one, and is noted."""
    ring = Ring(redis)
    votes = [Vote("a", 1, 10, 1), Vote("b", 1, 10, 1)]
    ring.apply(votes + [Vote("c", 1, 10, 1)])
    before = {article: _head(redis, article) for article in "abc"}
    answer = ring.apply(votes, renew=True)
    assert answer[1:4] == [0, 0, 2]
    after = _check(redis)
    assert all(after[article].version > before["c"].version for article in "ab")
    assert after["c"] == before["c"]
    assert all(after[article].counts == before[article].counts for article in "ab")


def test_what_changes_no_total_has_no_version(redis):
    """Repeats, older reactions, the same kind clicked again, a new reader's `none`: no version, nothing published."""
    ring = Ring(redis)
    ring.apply([Vote("a", 1, 10, 1), Vote("a", 2, 10, 1)])
    heard = redis.connection_pool.make_connection()
    heard.send_command("SSUBSCRIBE", CHANGED)
    assert heard.read_response()[:2] == [b"ssubscribe", CHANGED.encode()]
    first, meta = _head(redis), redis.hgetall(META)
    for votes in ([Vote("a", 1, 10, 1)], [Vote("a", 1, 9, 2)], [Vote("a", 1, 11, 1)], [Vote("a", 3, 10, 0)], []):
        ring.apply(votes)
    assert _head(redis) == first._replace(voters=3)
    assert redis.hgetall(META) == meta
    ring.apply([Vote("a", 4, 10, 2), Vote("b", 4, 10, 2), Vote("a", 5, 10, 2)])
    ring.apply([Vote("c", 4, 10, 0)])  # a new article, though nothing counts
    assert [heard.read_response() for _ in range(2)] == [[b"smessage", CHANGED.encode(), b"0"]] * 2
    assert not heard.can_read(timeout=0.05)
    heard.disconnect()
    _check(redis)


def test_a_floor_counts_older_registers_as_none(redis):
    """FORMATS 5.1: reactions stamped at or below it are stored and count as none."""
    ring = Ring(redis)
    ring.apply([Vote("a", 1, 10, 1)])
    head = _head(redis)
    floored = struct.pack("<BBQIIBIBQ", 1, 1, head.version, head.number, head.voters, head.level, head.split, 0, 1000)
    redis.hset(HEADS, "a", floored)
    answer = ring.apply([Vote("a", 2, 1000, 2), Vote("a", 3, 1001, 3), Vote("a", 1, 11, 2), Vote("a", 2, 1002, 5), Vote("a", 3, 1003, 4)])
    assert answer[1:4] == [2, 3, 0]
    head = _head(redis)
    assert (head.counts, head.voters, head.floor) == ({5: 1, 4: 1}, 3, 1000)
    _check(redis)


# --- errors ---

def test_a_bucket_of_another_type_stops_the_batch(redis):
    """Earlier votes are in registers and heads alike; the position has not moved; a repeat is harmless."""
    ring, model = Ring(redis), Model()
    votes = [Vote(a, r, 10, 1) for a in ("a", "b", "c") for r in range(5)]
    ring.apply(votes)
    model.apply(votes)
    bucket = "tally:{0}:%d:0" % _head(redis, "b").number
    redis.rename(bucket, "kept")
    redis.set(bucket, "not a bucket")
    stored = ring.stored()
    more = [Vote(a, r, 20, 2) for a in ("new", "a", "b", "c") for r in range(3, 8)]
    answer = ring.call(more)
    assert answer[0] == b"error" and answer[1].startswith(b"WRONGTYPE") and answer[2] == 3
    assert ring.stored() == stored
    redis.delete(bucket)
    redis.rename("kept", bucket)
    half = Model()
    half.apply(votes + [v for v in more if v.article in ("new", "a")])
    _check(redis, half)
    answer = ring.apply(more)
    model.apply(more)
    assert answer[1:4] == [3 * 2, 2 * 2, 10]
    _check(redis, model)


def test_a_bucket_of_another_type_midway_through_an_article(redis):
    """After a split, some of an article's buckets are good and one is not."""
    rnd = random.Random(3)
    ring, model = Ring(redis), Model()
    votes = _votes("a", [rnd.getrandbits(64) for _ in range(200)])
    ring.apply(votes)
    model.apply(votes)
    head = _head(redis)
    more = _votes("a", [rnd.getrandbits(64) for _ in range(50)] + list(model.registers["a"])[:50], 5000, 2)
    bad = bucket_of(more[30].reader, head.level, head.split)
    first = next(i for i, v in enumerate(more) if bucket_of(v.reader, head.level, head.split) == bad)
    bucket = "tally:{0}:%d:%d" % (head.number, bad)
    redis.rename(bucket, "kept")
    redis.set(bucket, "not a bucket")
    answer = ring.call(more)
    assert answer[0] == b"error" and answer[2] == 1
    redis.delete(bucket)
    redis.rename("kept", bucket)
    model.apply(more[:first])
    _check(redis, model)
    ring.apply(more)
    model.apply(more)
    _check(redis, model)


@pytest.mark.parametrize("key", KEYS)
def test_a_shard_key_of_another_type_changes_nothing(redis, key):
    ring = Ring(redis)
    ring.apply(_votes("a", range(10)))
    redis.delete(key)
    redis.set(key, "neither hash nor sorted set")
    before = _everything(redis)
    answer = ring.call(_votes("a", range(20), 2000, 2))
    assert answer[0] == b"error" and answer[1].startswith(b"WRONGTYPE") and answer[2] == 0
    assert _everything(redis) == before


@pytest.mark.parametrize("raw", [b"", b"\1", b"\2" + bytes(23), struct.pack("<BBQIIBIB", 1, 0, 1, 1, 1, 0, 0, 3), bytes(24)],
                         ids=["empty", "short", "format-2", "counts-missing", "format-0"])
def test_a_head_that_is_none_is_its_articles_error(redis, raw):
    ring = Ring(redis)
    redis.hset(HEADS, "b", raw)
    answer = ring.call([Vote("a", 1, 1, 1), Vote("b", 1, 1, 1), Vote("c", 1, 1, 1)])
    assert answer[0] == b"error" and answer[1].startswith(b"BADHEAD") and answer[2] == 2
    assert redis.hget(HEADS, "b") == raw and redis.hget(HEADS, "c") is None and _head(redis, "a").voters == 1
    assert ring.stored()[0] == 0


def test_a_register_that_is_none_is_its_articles_error(redis):
    ring = Ring(redis)
    ring.apply([Vote("a", 1, 1, 1)])
    redis.hset("tally:{0}:%d:0" % _head(redis).number, struct.pack("<Q", 1), b"123456")
    answer = ring.call([Vote("a", 2, 1, 1), Vote("a", 1, 2, 1), Vote("a", 3, 2, 1)])
    assert answer[0] == b"error" and answer[1].startswith(b"BADREGISTER") and answer[2] == 1
    assert _head(redis).voters == 2


def test_out_of_memory_changes_nothing(redis):
    ring = Ring(redis)
    ring.apply(_votes("a", range(10)))
    before = _everything(redis)
    redis.config_set("maxmemory", "1mb")
    try:
        try:
            answer = ring.call(_votes("a", range(20), 2000, 2) + _votes("b", range(20)))
            assert answer[0] == b"error" and answer[1].startswith(b"OOM")
        except redis_py.exceptions.ResponseError as error:
            assert "OOM" in str(error) or "maxmemory" in str(error)
    finally:
        redis.config_set("maxmemory", "0")
    assert _everything(redis) == before
    assert ring.apply(_votes("a", range(20), 2000, 2))[1:4] == [10, 10, 0]


# --- the store ---

def _make(redis, store_id="9b1d000000000001", how="make", kinds=("like", "sad")):
    raw = redis.eval(_script("store.lua"), 1, "tally:store", store_id, how, 8, "0102030405060708", SPLIT, *kinds)
    fields = [x.decode() for x in raw]
    return dict(zip(fields[::2], fields[1::2]))


def test_store_is_made_once(redis):
    redis.delete(STORE_KEY)
    assert _make(redis, how="keep") == {}
    assert redis.keys("*") == [META.encode()]
    made = _make(redis)
    assert made == {"id": "9b1d000000000001", "format": "1", "shards": "8", "key": "0102030405060708", "split": str(SPLIT),
                    "kind:like": "1", "kind:sad": "2"}
    assert _make(redis, "9b1d000000000002", kinds=("wow",)) == made  # another edge was faster


def test_store_gives_kinds_the_next_ids(redis):
    redis.delete(STORE_KEY)
    _make(redis)
    grown = _make(redis, how="keep", kinds=("wow", "sad", "like", "angry"))
    assert {k: v for k, v in grown.items() if k.startswith("kind:")} == {"kind:like": "1", "kind:sad": "2", "kind:wow": "3", "kind:angry": "4"}
    redis.hdel("tally:store", "kind:wow")
    assert _make(redis, how="keep", kinds=("love",))["kind:love"] == "5"
    full = _make(redis, how="keep", kinds=["k%d" % i for i in range(20)])
    ids = sorted(int(v) for k, v in full.items() if k.startswith("kind:"))
    assert ids == [1, 2] + list(range(4, 16))


def test_store_gives_a_kind_the_id_that_it_had(redis):
    """What a failover took back is given again; but an id that another kind has by now is not."""
    _make(redis, kinds=("like", "sad", "wow"))
    redis.hdel(STORE_KEY, "kind:wow", "kind:like")
    again = _make(redis, how="keep", kinds=("like:1", "sad:2", "wow:3", "new"))
    assert {k: v for k, v in again.items() if k.startswith("kind:")} == {"kind:like": "1", "kind:sad": "2", "kind:wow": "3", "kind:new": "4"}
    redis.hdel(STORE_KEY, "kind:new")
    _make(redis, how="keep", kinds=("other",))
    kinds = _make(redis, how="keep", kinds=("like:1", "new:4"))
    assert kinds["kind:other"] == "4" and "kind:new" not in kinds


def _place(redis, *shards, store_id="9b1d000000000001"):
    raw = redis.eval(_script("store.lua"), 1, "tally:store", store_id, "placed", *shards)
    fields = [x.decode() for x in raw]
    return {name: value for name, value in zip(fields[::2], fields[1::2]) if name.startswith("placed")}


def test_shards_are_placed_once_the_store_is_the_callers(redis):
    assert _place(redis, 0) == {}
    _make(redis)
    assert _place(redis, *range(8), store_id="9b1d000000000002") == {}
    assert _place(redis, 0, 5) == {"placed:0": "1", "placed:5": "1"}
    assert _place(redis, 5, 7) == {"placed:0": "1", "placed:5": "1", "placed:7": "1"}
    for _ in range(2):
        assert _place(redis, 1, 2, 3, 4, 6) == {"placed": "1"}


# --- books ---

def test_fold_moves_a_rings_numbers_once(redis):
    one, other = Ring(redis, "00000000000000aa"), Ring(redis, "00000000000000bb")
    one.apply(_votes("a", range(10)), quarantined=2, lost=5)
    other.apply(_votes("a", range(20, 23)))
    fold = _script("fold.lua")
    books = "tally:{0}:books"
    assert redis.eval(fold, 2, RINGS, books, one.ring) == 1
    assert redis.eval(fold, 2, RINGS, books, one.ring) == 0
    edge = b"%016x" % EDGE
    assert redis.hgetall(books) == {edge + b":applied": b"10", edge + b":quarantined": b"2", edge + b":lost": b"5"}
    assert redis.hkeys(RINGS) == [other.ring.encode()]
    redis.eval(fold, 2, RINGS, books, other.ring)
    assert redis.hget(books, edge + b":applied") == b"13"


# --- an audit's pause ---

def _pause(redis, ms, whose="00000000000000a1"):
    return redis.eval(_script("pause.lua", "lib/audit"), 1, META, whose, ms)


def test_a_pause_applies_nothing_until_it_ends(redis):
    ring = Ring(redis)
    ring.apply(_votes("a", range(3)))
    before = _everything(redis)
    assert _pause(redis, 2000) == [b"paused", 2000]
    paused = _everything(redis)
    answer = ring.call(_votes("a", range(3, 6)))
    assert answer[0] == b"paused" and 0 < answer[1] <= 2000
    assert _everything(redis) == paused, "a paused shard is as it was"
    assert ring.call(_votes("a", [9]), at=12345)[0] == b"at", "a call from another position is told so all the same"
    assert Ring(redis, ring="00000000000000bb").call(_votes("b", [1]))[0] == b"paused", "it holds for other edges' rings"
    assert _pause(redis, 0) == [b"ended"]
    assert ring.apply(_votes("a", range(3, 6)))[0] == b"ok"
    assert before != _everything(redis)


def test_a_pause_ends_by_itself(redis):
    ring = Ring(redis)
    assert _pause(redis, 50) == [b"paused", 50]
    assert ring.call(_votes("a", [1]))[0] in (b"paused", b"ok")
    wait_until(lambda: ring.call(_votes("a", [1]))[0] != b"paused", "the end of the pause")
    assert _head(redis).voters == 1


def test_a_pause_is_bounded_and_followed_by_as_long_a_time_without(redis):
    assert _pause(redis, 60000) == [b"paused", 2000]
    assert _pause(redis, 10, whose="00000000000000a2")[0] == b"wait"
    assert _pause(redis, 0, whose="00000000000000a2") == [b"ended"], "another's pause continues"
    assert Ring(redis).call(_votes("a", [1]))[0] == b"paused"
    seconds, us = redis.time()
    now = seconds * 1000000 + us
    redis.hset(META, "pause", "%d %d 00000000000000a1" % (now - 1500000, now))
    answer = _pause(redis, 10)
    assert answer[0] == b"wait" and 0 < answer[1] <= 1500
    redis.hset(META, "pause", "%d %d 00000000000000a1" % (now - 3000000, now - 1500001))
    assert _pause(redis, 10)[0] == b"paused"


@pytest.mark.parametrize("text", ["", "x", "1 2", "-1 5 a", "0 99999999999999999 a", "%(later)d %(far)d a", "%(before)d %(far)d a"])
def test_a_pause_that_cannot_be_is_none(redis, text):
    """Rubbish, one from before the clock was set back, and one longer than any."""
    now = redis.time()[0] * 1000000
    redis.hset(META, "pause", text % {"later": now + 9000000, "far": now + 10000000, "before": now - 5000000})
    assert Ring(redis).call(_votes("a", [1]))[0] == b"ok"


# --- counting ---

def _count(redis, article, slice_of=1000, head=b""):
    """All slices. Returns the words of the last answer, the sums, and the slices' sizes."""
    keys = ["tally:{0}:" + name for name in ("heads", "base", "changed", "meta")]
    at, cursor, sums, sizes = 0, b"0", [0] * 20, []
    while True:
        answer = redis.eval(_script("count.lua", "lib/audit"), 4, *keys, article, head, at, cursor, slice_of)
        if answer[0] != b"ok":
            return answer, sums, sizes
        head, at, cursor = answer[1], answer[5], answer[6]
        numbers = struct.unpack("<20I", answer[7])
        sums = [a + b for a, b in zip(sums, numbers)]
        sizes.append(numbers[16])
        if at == numbers[19]:
            assert cursor == b"0"
            return answer, sums, sizes


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("slice_of", [1, 100, 1000])
def test_counting_in_slices(redis, seed, slice_of):
    random_ = random.Random(seed)
    ring, n = Ring(redis), random_.choice([1, 40, 700, 3000])
    for start in range(0, n, 500):
        ring.apply([Vote("a", random_.getrandbits(64), 1000, random_.choice([0] + list(KINDS))) for _ in range(start, min(n, start + 500))])
    answer, sums, sizes = _count(redis, "a", slice_of)
    head = _head(redis)
    assert answer[1] == redis.hget(HEADS, "a") and int(answer[3]) == int(answer[4]) == head.version
    assert {k: c for k, c in enumerate(sums[:16]) if k and c} == {k: c for k, c in head.counts.items() if c}
    assert sums[16] == head.voters == n and sums[17] == sums[18] == 0
    assert max(sizes) <= max(slice_of, 4 * SPLIT * 2)
    if slice_of == 1000:
        assert max(sizes) <= 1000


def test_counting_a_bucket_that_was_never_split(redis):
    """No more than a slice of it at once."""
    ring = Ring(redis, split=1000000)
    for start in range(0, 5000, 500):
        ring.apply(_votes("a", range(start, start + 500)))
    _answer, sums, sizes = _count(redis, "a", 300)
    assert sums[16] == 5000 and len(sizes) > 10 and max(sizes) < 600


def test_counting_sees_what_changed_meanwhile(redis):
    ring = Ring(redis)
    ring.apply(_votes("a", range(10)))
    head = redis.hget(HEADS, "a")
    assert _count(redis, "b")[0] == [b"none"]
    assert _count(redis, "a", head=head)[0][0] == b"ok"
    for more in ([Vote("a", 10, 1000, 0)], [Vote("a", 1, 2000, 7)]):  # a new reader of nothing, and another's change
        ring.apply(more)
        assert _count(redis, "a", head=head)[0] == [b"changed"]
        head = redis.hget(HEADS, "a")
    for raw in (b"", b"\1", head[:-1], head[:18] + b"\x0f" + head[19:], head[:19] + b"\xff\xff\0\0" + head[23:]):
        redis.hset(HEADS, "a", raw)
        assert _count(redis, "a")[0] == [b"bad"], "a head that would have it count for ever"


def test_counting_a_floor_and_what_is_out_of_place(redis):
    ring = Ring(redis)
    ring.apply([Vote("a", reader, 1000 + reader, 1) for reader in range(300)])
    head = bytearray(redis.hget(HEADS, "a"))
    head[1] = 1
    redis.hset(HEADS, "a", bytes(head) + struct.pack("<Q", 1099))
    answer, sums, _sizes = _count(redis, "a")
    assert answer[0] == b"ok" and sums[0] == 100 and sums[1] == 200
    key = next(redis.scan_iter("tally:{0}:*:0"))
    redis.hset(key, struct.pack("<Q", 1), bytes(7))
    redis.hset(key, b"short", b"x")
    sums = _count(redis, "a")[1]
    assert sums[16:19] == [302, 1, 1]


# --- one reader of heads (lib/lua/prelude.lua) ---

HEAD = "<BBQIIBIB"  # format, flags, version, number, voters, level, split position, kinds


def _raw_head(form=1, flags=0, level=0, split=0, kinds=((1, 2), (7, 1)), n=None, floor=None):
    raw = struct.pack(HEAD, form, flags, 1000, 1, 5, level, split, len(kinds) if n is None else n)
    return raw + b"".join(struct.pack("<BI", *kind) for kind in kinds) + (struct.pack("<Q", floor) if floor is not None else b"")


GOOD_HEADS = {
    "two kinds": _raw_head(), "no kinds": _raw_head(kinds=()), "a floor": _raw_head(flags=1, floor=1 << 40),
    "all kinds": _raw_head(kinds=[(kind, 1) for kind in range(1, 16)]), "four buckets": _raw_head(level=1),
}
BAD_HEADS = {
    "empty": b"", "one byte": b"\1", "too short": _raw_head(kinds=())[:23], "cut": _raw_head()[:-1], "too long": _raw_head() + b"\0",
    "another format": _raw_head(form=2), "format 0": _raw_head(form=0),
    "an unknown flag": _raw_head(flags=4), "an unknown flag beside a floor": _raw_head(flags=3, floor=1 << 40),
    "forgotten, as long as with a floor": _raw_head(flags=2, floor=1 << 40), "the highest flag": _raw_head(flags=128),
    "a floor that is not there": _raw_head(flags=1), "a floor without its flag": _raw_head(floor=1 << 40),
    "sixteen kinds": _raw_head(kinds=[(kind, 1) for kind in range(1, 17)]), "kind 0": _raw_head(kinds=((0, 1),)),
    "kind 16": _raw_head(kinds=((16, 1),)), "a kind twice": _raw_head(kinds=((1, 1), (1, 1))), "kinds in disorder": _raw_head(kinds=((7, 1), (1, 1))),
    "more kinds than bytes": _raw_head(n=3), "level 16": _raw_head(level=16), "level 255": _raw_head(level=255),
    "a split position beyond the level": _raw_head(level=1, split=4),
}


def _everything(redis):
    return {key: redis.dump(key) for key in redis.scan_iter(count=1000)}


def _readers():
    """Name → a call of each script that reads the head of the article `a`, and whether it refused it."""
    def keys(*names):
        return [len(names)] + ["tally:{0}:" + name for name in names]
    operators = keys("heads", "base", "changed", "meta", "states", "dropped")
    now = int(time.time() * 1000)
    stamp = (now - 1704067200000 + 1000) << 11
    return {
        "register.lua": (lambda r: Ring(r).call([Vote("a", 77, stamp, 1)]), lambda a: a[0] == b"error" and a[1].startswith(b"BADHEAD") and a[2] == 1),
        "state.lua": (lambda r: r.eval(_script("state.lua", "dashboard-feed"), 5,
                                        *keys("heads", "changed", "meta", "states")[1:], STORE_KEY, "a", 0, "{}", 0, STORE),
                      lambda a: a[0] == b"error" and a[1].startswith(b"BADHEAD")),
        "count.lua": (lambda r: _count(r, "a")[0], lambda a: a == [b"bad"]),
        "reset.lua": (lambda r: r.eval(_script("reset.lua", "cli"), *operators, 0, "a", "0", "do"), lambda a: a == [b"damaged", b"head"]),
        "base.lua": (lambda r: r.eval(_script("base.lua", "cli"), *operators, 0, "a", b"", "do", "1", "0"), lambda a: a == [b"damaged", b"head"]),
        "erase.lua": (lambda r: r.eval(_script("erase.lua", "cli"), *operators, 0, "do", "1", "a", b"12345678"), lambda a: a == [b"ok", 0, 0, 1]),
    }


@pytest.mark.parametrize("reader", sorted(_readers()))
@pytest.mark.parametrize("what", sorted(BAD_HEADS))
def test_every_script_refuses_a_head_of_no_known_form(redis, what, reader):
    """And leaves all as it is: what another version wrote is never taken for something else."""
    redis.hset(HEADS, "a", BAD_HEADS[what])
    redis.hset(META, mapping={"version": 1000, "articles": 1})
    redis.zadd(CHANGED, {"a": 1000})
    before = _everything(redis)
    call, refuses = _readers()[reader]
    answer = call(redis)
    assert refuses(answer), answer
    assert _everything(redis) == before


@pytest.mark.parametrize("reader", sorted(_readers()))
@pytest.mark.parametrize("what", sorted(GOOD_HEADS))
def test_every_script_takes_a_head_of_the_known_form(redis, what, reader):
    redis.hset(HEADS, "a", GOOD_HEADS[what])
    redis.hset(META, mapping={"version": 1000, "articles": 1})
    redis.zadd(CHANGED, {"a": 1000})
    call, refuses = _readers()[reader]
    answer = call(redis)
    assert not refuses(answer) and answer[0] in (b"ok", b"same"), answer
    head, old = _head(redis), parse_head(GOOD_HEADS[what])
    if reader == "state.lua":
        assert head == old._replace(version=head.version) and head.version > old.version
    if reader == "register.lua":
        counts = {**old.counts, 1: old.counts.get(1, 0) + 1}
        assert (head.voters, head.counts, head.floor) == (old.voters + 1, counts, old.floor)


@pytest.mark.parametrize("raw", [b"", b"\1", b"\2\0", b"\1\1" + bytes(8), b"\1\1\0" + bytes(8), b"\1\1\x10" + bytes(8), b"\1\2" + (b"\1" + bytes(8)) * 2,
                                 b"\1\x10" + b"".join(bytes([kind]) + bytes(8) for kind in range(1, 17))])
def test_a_base_of_no_known_form_is_refused(redis, raw):
    redis.hset(HEADS, "a", _raw_head())
    redis.hset("tally:{0}:base", "a", raw)
    before = _everything(redis)
    keys = ["tally:{0}:" + name for name in ("heads", "base", "changed", "meta", "states", "dropped")]
    assert redis.eval(_script("reset.lua", "cli"), 6, *keys, 0, "a", "0", "do") == [b"damaged", b"base"]
    assert _everything(redis) == before


@pytest.mark.parametrize("whose", ["", "zz", "a1 more"])
def test_a_pause_is_read_alike_by_who_waits_for_it_and_who_makes_it(redis, whose):
    """A text that is not a pause holds nobody up, and is replaced."""
    now = redis.time()[0] * 1000000
    redis.hset(META, "pause", "%d %d %s" % (now - 1, now + 1500000, whose))
    assert Ring(redis).call(_votes("a", [1]))[0] == b"ok"
    assert _pause(redis, 10)[0] == b"paused"


# --- the simulator's model of it (tests/simulation), call by call ---

def _put_state(redis, number, state, poisoned):
    """What the model's shard holds, and the hour by its clock; an article of a wrong type has its registers in strings."""
    key = "tally:{%d}:" % number
    pipe = redis.pipeline(transaction=False)
    pipe.flushdb()
    pipe.hset(key + "meta", mapping={name: state[name] for name in ("version", "articles", "pause", "store") if name in state})
    for article, head in state["heads"].items():
        pipe.hset(key + "heads", bytes.fromhex(article), bytes.fromhex(head))
    for article, version in state["changed"].items():
        pipe.zadd(key + "changed", {bytes.fromhex(article): version})
    for ring, position in state["rings"].items():
        pipe.hset(key + "rings", ring, bytes.fromhex(position))
    for article, bucket, field, value in state["registers"]:
        if article != poisoned:
            pipe.hset(key + "%d:%d" % (article, bucket), bytes.fromhex(field), bytes.fromhex(value))
    for bucket in range(64 if poisoned else 0):
        pipe.set(key + "%d:%d" % (poisoned, bucket), "")
    pipe.execute()


def _state(redis, number, poisoned):
    key = "tally:{%d}:" % number
    meta = redis.hgetall(key + "meta")
    state = {
        "version": int(meta.get(b"version", 0)), "articles": int(meta.get(b"articles", 0)),
        "heads": {article.hex(): head.hex() for article, head in redis.hgetall(key + "heads").items()},
        "changed": {article.hex(): int(score) for article, score in redis.zrange(key + "changed", 0, -1, withscores=True)},
        "rings": {ring.decode(): value.hex() for ring, value in redis.hgetall(key + "rings").items()},
        "registers": [],
    }
    for name in ("pause", "store"):
        if name.encode() in meta:
            state[name] = meta[name.encode()].decode()
    for bucket in redis.scan_iter(key + "[0-9]*", count=1000):
        article, of = map(int, bucket[len(key):].split(b":"))
        if article != poisoned:
            state["registers"] += [[article, of, field.hex(), value.hex()] for field, value in redis.hgetall(bucket).items()]
    return _in_order(state, poisoned)


def _in_order(state, poisoned=0):
    return dict(state, registers=sorted(register for register in state["registers"] if register[0] != poisoned))


def _number_of(poisoned, state, articles):
    """Under which an article's registers are stored: its own, or the one that it would get. 0: none is of a wrong type."""
    if not poisoned:
        return 0
    if poisoned in state["heads"]:
        return parse_head(bytes.fromhex(state["heads"][poisoned])).number
    before = articles[:articles.index(poisoned)] if poisoned in articles else articles
    return state["articles"] + 1 + sum(article not in state["heads"] for article in before)


def _argument(call, number):
    """The place among its words of the script's ARGV[number]."""
    return 2 + int(bytes.fromhex(call["words"][2])) + number


def _differences(redis, run, call):
    words = [bytes.fromhex(word) for word in call["words"]]
    number = int(words[_argument(call, 8)])
    poisoned = _number_of(call.get("poisoned"), call["before"], call["words"][_argument(call, 11)::2])
    _put_state(redis, number, call["before"], poisoned)
    answer = [part if isinstance(part, int) else part.hex() for part in run(call["now"], words[2:])]
    after = _state(redis, number, poisoned)
    same = answer == call["answer"] and after == _in_order(call["after"], poisoned)
    return answer[0], None if same else "of seed %d: %r: %r\nthe model: %r, %r\nthe script: %r, %r" % (
        call["seed"], words[_argument(call, 0):], call["before"], call["answer"], _in_order(call["after"], poisoned), answer, after)


def test_the_script_does_what_the_simulators_model_does(redis):
    """To the last bit: answers, registers and their buckets, heads, versions, positions. But for the clock it is the very script."""
    text = _script("register.lua")
    assert text.count(b"call('TIME')") == 1
    script = redis.script_load(text.replace(b"call('TIME')", b"call('HMGET', 'hour', 's', 'us')"))

    def run(now_us, words):
        redis.hset("hour", mapping={"s": now_us // 1000000, "us": now_us % 1000000})
        return redis.evalsha(script, *words)
    compare_with_the_model(redis, run)


def compare_with_the_model(redis, run):
    """run(now_us, words) makes a call at that time."""
    simulate = os.path.join(build_dir(), "tests", "simulation", "tally-simulate")
    out = subprocess.run([simulate, "--seed", "1", "--schedules", "300", "--calls", "on"], stdout=subprocess.PIPE, check=True, text=True).stdout
    calls = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    seen = collections.Counter()
    for call in calls:
        answer, difference = _differences(redis, run, call)
        assert difference is None, difference
        seen[bytes.fromhex(answer).decode()] += 1
        seen["superseded"] += len(call["answer"]) == 6 and call["answer"][4] != ""
        seen["renewed"] += call["words"][_argument(call, 9)] == b"1".hex()
        heads = [parse_head(bytes.fromhex(head)) for head in call["after"]["heads"].values()]
        seen["floored"] += any(head.floor for head in heads)
        seen["split"] += any(head.level or head.split for head in heads)
        seen["wrong type"] += "poisoned" in call
    assert min(seen[what] for what in ("ok", "at", "error", "superseded", "renewed", "floored", "split", "wrong type")) > 0, seen

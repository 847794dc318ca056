"""DESIGN's table "on start or mismatch", row by row, and what happens to rings that are not continued."""

import glob
import json
import os
import resource
import secrets
import shutil
import signal
import struct
import subprocess

import pytest

import spool_bytes
from clients import unique
from edge import busy_code, wait_until
from store import Model

SHARD = {"plugin": {"shards": 1}}


def _react(edge, pairs, model=None):
    """[(article, kind)], each by a different reader; waits for every PUBACK."""
    for article, kind in pairs:
        client = edge.client()
        assert client.say("reactions/" + article, kind) in (0, 0x10)
        if model is not None:
            model.react(article, client.identity, kind, 1)
        client.close()


def _store_is(edge, model):
    edge.settle()
    registers = edge.store.registers()
    assert {a: {h: kind for h, (_s, kind) in r.items()} for a, r in registers.items()} == model.registers(edge.key())
    assert {a: t for a, t in edge.store.totals().items()} == model.totals()


def _ring(edge, shard=0):
    return spool_bytes.Ring(spool_bytes.rings(edge.spool)[shard])


def _another_ring(edge, old_id, shard=0):
    """Whether the shard has another ring. Between the old one's renaming and the new one's naming it has none."""
    try:
        return _ring(edge, shard).ring_id() != old_id
    except (KeyError, FileNotFoundError):
        return False


def _rings_field(ring):
    shard, ring_id = ring.key()
    return "tally:{%d}:rings" % shard, "%016x" % ring_id


def _status(edge, condition, what):
    operator = edge.service("operator")
    operator.watch("ops/collector")
    return edge.status(operator, condition, what)


def _wipe_registers(edge, shard=0):
    """Redis as it was before this shard's ring was applied: only the store's identity stays."""
    meta = "tally:{%d}:meta" % shard
    store = edge.redis.hget(meta, "store")
    with edge.redis.pipeline() as pipe:
        pipe.delete(*edge.redis.keys("tally:{%d}:*" % shard))
        pipe.hset(meta, "store", store)
        pipe.execute()


def _refused_until_adopted(edge, model, article):
    """503 with the reason, nothing applied, until --adopt; then all of the ring is applied."""
    edge.wait_unhealthy("store")
    _react(edge, [(article, "love")], model)
    edge.restart("collector", ready=False)
    edge.wait_unhealthy("store")
    assert edge.redis.keys("tally:{*}:heads") == []
    plain = edge["collector"].argv
    edge.stop("collector")
    edge["collector"].argv = edge.collector_argv("--adopt")
    edge.start("collector")
    _store_is(edge, model)
    edge.stop("collector")
    edge["collector"].argv = plain
    edge.start("collector")
    _react(edge, [(article, "wow")], model)
    _store_is(edge, model)


def test_an_empty_store_needs_adopt(make_edge):
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("empty")
    _react(edge, [(article, "like"), (article, "sad")], model)
    _store_is(edge, model)
    edge.redis.flushall()
    _react(edge, [(article, "sad")], model)
    _refused_until_adopted(edge, model, article)


@pytest.mark.slow
def test_a_ring_that_goes_passes_on_which_store_it_is_of(make_edge):
    """The one that applied is drained and deleted, an empty one replaced: the edge still knows its store."""
    edge, article = make_edge(**SHARD).start(), unique("passed")
    edge.stop("collector")
    _react(edge, [(article, "like")])
    edge.stop("broker")
    edge.edit_broker({"ring_bytes": 2 << 20})
    edge.start("broker", "collector")
    wait_until(lambda: not spool_bytes.old_rings(edge.spool), "the old ring to be drained and deleted")
    empty = _ring(edge).ring_id()
    edge.stop("broker")
    edge.edit_broker({"ring_bytes": 1 << 20})
    edge.start("broker")
    wait_until(lambda: _another_ring(edge, empty), "the empty ring to be replaced")
    opened = 'msg="ring opened" shard=0 ring=%016x' % _ring(edge).ring_id()
    wait_until(lambda: opened in edge["collector"].text(), "the collector to follow")
    assert not spool_bytes.old_rings(edge.spool)
    edge.stop("redis")
    shutil.rmtree(edge.path("redis"))
    os.mkdir(edge.path("redis"))
    edge.start("redis", ready=False)
    _refused_until_adopted(edge, Model(), article)


@pytest.mark.slow
def test_another_store_needs_adopt(make_edge):
    edge, other, model = make_edge(**SHARD).start(), make_edge(**SHARD), Model()
    with open(edge.path("reader.key")) as key, open(other.path("reader.key"), "w") as its:
        its.write(key.read())
    other.start()
    article = unique("other")
    _react(edge, [(article, "like")], model)
    _store_is(edge, model)
    assert edge.store.fields()["id"] != other.store.fields()["id"]
    other.stop("feed", "collector", "broker", "redis")
    edge.stop("redis")
    own = edge["redis"].argv
    os.rename(edge.path("redis"), edge.path("redis.own"))
    os.rename(other.path("redis"), edge.path("redis"))
    edge.start("redis", ready=False)
    _refused_until_adopted(edge, model, article)
    assert edge["redis"].argv is own


def _exchange(redis, content, keep=()):
    """Replaces what Redis holds in one step, except the keys `keep`. Connections stay."""
    step = redis.pipeline(transaction=True)
    for key in redis.keys():
        if key not in keep:
            step.delete(key)
    for key, value in content.items():
        if key not in keep:
            step.restore(key, 0, value)
    step.execute()


def _content(redis):
    return {key: redis.dump(key) for key in redis.keys("tally:*")}


@pytest.mark.parametrize("all_of_it", [True, False], ids=["all", "a-shard"])
def test_a_store_exchanged_under_the_connection_gets_nothing(make_edge, all_of_it):
    """Of a ring that has applied nothing yet: its position is 0 in any store."""
    edge, other = make_edge(**SHARD).start(), make_edge(**SHARD)
    with open(edge.path("reader.key")) as key, open(other.path("reader.key"), "w") as its:
        its.write(key.read())
    other.start()
    article, before = unique("exchanged"), Model()
    _react(other, [(unique("foreign"), "sad")], before)
    _store_is(other, before)
    other.stop("feed", "collector", "broker")
    foreign, registers, rings = _content(other.redis), other.store.registers(), other.store.rings()
    pid = edge["collector"].child.pid
    os.kill(pid, signal.SIGSTOP)
    mine = Model()
    _react(edge, [(article, "love")], mine)
    _exchange(edge.redis, foreign, keep=() if all_of_it else (b"tally:store",))
    os.kill(pid, signal.SIGCONT)
    reason = edge.wait_unhealthy("store: another" if all_of_it else "shard 0: store: its data belongs to")
    assert "--adopt" in reason
    assert edge.store.registers() == registers and edge.store.rings() == rings, "it was applied to"
    edge.restart("collector", ready=False)
    edge.wait_unhealthy("store")
    plain = edge["collector"].argv
    edge.stop("collector")
    edge["collector"].argv = edge.collector_argv("--adopt")
    edge.start("collector")
    edge.settle()
    assert edge.store.totals()[article] == mine.totals()[article]
    assert edge.redis.hget("tally:{0}:meta", "store") == edge.redis.hget("tally:store", "id")
    edge.stop("collector")
    edge["collector"].argv = plain
    edge.start("collector")
    edge.wait_ready()


def test_no_position_same_store_applies_from_the_oldest(make_edge):
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("none")
    _react(edge, [(article, "like"), (article, "sad"), (article, "sad")], model)
    edge.settle()
    edge.stop("collector")
    _wipe_registers(edge)
    edge.start("collector")
    _store_is(edge, model)


def test_no_position_while_it_runs(make_edge):
    """The same, found out by a running collector: the script answers the position it has."""
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("none")
    _react(edge, [(article, "like"), (article, "sad")], model)
    edge.settle()
    _wipe_registers(edge)
    _react(edge, [(article, "sad")], model)
    _store_is(edge, model)


def test_a_position_in_the_ring_goes_on_there(make_edge):
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("go")
    _react(edge, [(article, "like")], model)
    edge.settle()
    edge.stop("collector")
    _react(edge, [(article, "sad"), (article, "wow")], model)
    edge.start("collector")
    _store_is(edge, model)
    status = _status(edge, lambda s: s["applied"], "a status")
    assert (status["applied"], status["lost"]) == (2, 0)


def test_redis_went_back(make_edge):
    """Its last writes and their positions are gone: the ring still holds the later records."""
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("back")
    _react(edge, [(article, "like")], model)
    edge.settle()
    edge.stop("redis")
    kept = edge.path("redis") + ".kept"
    shutil.copytree(edge.path("redis"), kept)
    edge.start("redis")
    _react(edge, [(article, "sad"), (article, "sad"), (article, "like")], model)
    edge.settle()
    edge.kill("redis")
    shutil.rmtree(edge.path("redis"))
    os.rename(kept, edge.path("redis"))
    edge.start("redis")
    _react(edge, [(article, "wow")], model)
    _store_is(edge, model)
    assert _status(edge, lambda s: s["in_spool"] == 0, "a status")["lost"] == 0


@pytest.mark.slow
def test_an_older_position_than_the_oldest_record_is_lost_and_loud(make_edge):
    edge = make_edge(**SHARD).start()
    article = unique("lost")
    client = edge.client()
    sent = 0
    while _ring(edge).read() == 0:  # until more than half of the ring was in use, so that the oldest were freed
        for _ in range(64):
            client.send("reactions/" + article, b"like", response_topic="receipts/" + client.name, correlation=b"c" * 64)
        client.flush()
        sent += 64
        edge.settle()
    edge.stop("collector")
    ring = _ring(edge)
    gone = sent - len(ring.records())
    assert gone > 0
    edge.redis.hdel(*_rings_field(ring))
    edge.redis.hset(*_rings_field(ring), struct.pack("<5Q", 0, 0, 0, 0, edge.header.edge_id()))
    edge.start("collector", ready=False)
    edge.settle()
    status = _status(edge, lambda s: s["lost"], "what was lost")
    assert status["lost"] == gone
    assert edge.store.rings()[ring.key()][3] == gone
    assert "lost" in edge["collector"].text()
    assert edge.store.totals()[article] == {"like": 1}
    lost = [value for name, value in edge.metrics().items() if "lost" in name and not name.endswith("_created")]
    assert gone in lost


@pytest.mark.slow
def test_a_position_beyond_the_end_drains_into_a_new_ring(make_edge):
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("beyond")
    _react(edge, [(article, "like")], model)
    edge.settle()
    edge.stop("collector")
    _react(edge, [(article, "sad")], model)
    ring = _ring(edge)
    old_id = ring.ring_id()
    edge.redis.hset(*_rings_field(ring), struct.pack("<5Q", ring.write() + 640, 10, 0, 0, edge.header.edge_id()))
    edge.start("collector")
    wait_until(lambda: _another_ring(edge, old_id), "a new ring")
    _react(edge, [(article, "wow")], model)
    _store_is(edge, model)


# --- rings that are renamed ---

@pytest.mark.slow
def test_after_a_reboot_the_ring_is_drained(make_edge):
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("boot")
    _react(edge, [(article, "like")], model)
    edge.settle()
    edge.stop("collector")
    _react(edge, [(article, "sad"), (article, "wow")], model)
    edge.stop("broker")
    ring = _ring(edge)
    old_id = ring.ring_id()
    ring.set_boot_id(secrets.token_bytes(16))
    edge.start("broker", ready=False)
    assert [os.path.basename(p) for p in spool_bytes.old_rings(edge.spool)] == ["old-0-%016x" % old_id]
    assert _ring(edge).ring_id() != old_id
    edge.start("collector")
    _react(edge, [(article, "angry")], model)
    _store_is(edge, model)
    assert spool_bytes.old_rings(edge.spool) == []
    wait_until(lambda: edge.store.books()["applied"] >= 3, "the old ring's numbers in the books")  # which come after its file is gone
    assert edge.store.books()["lost"] == 0
    assert not edge.redis.hexists("tally:{0}:rings", "%016x" % old_id)


def test_a_ring_renamed_with_an_id_of_its_own_keeps_its_position(make_edge):
    """The plugin names a ring it cannot read at that moment with another id than the header's. What the header says counts."""
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("misnamed")
    _react(edge, [(article, "like"), (article, "sad")], model)
    edge.settle()
    edge.stop("collector")
    _react(edge, [(article, "wow")], model)
    edge.stop("broker")
    ring = _ring(edge)
    header_id = ring.ring_id()
    path = os.path.join(edge.spool, "old-0-%016x" % (header_id ^ 1))
    os.rename(ring.path, path)
    edge.start("broker", "collector")
    wait_until(lambda: edge.store.totals().get(article) == model.totals()[article], "the old ring to be applied")
    assert os.path.exists(path)  # kept for some seconds, in which another collector must find the position
    edge.restart("collector")
    edge.settle()
    _store_is(edge, model)
    wait_until(lambda: edge.store.books()["applied"] >= 3, "the old ring's numbers in the books")
    assert edge.store.books()["applied"] == 3
    assert not edge.redis.hexists("tally:{0}:rings", "%016x" % header_id)


@pytest.mark.slow
def test_after_a_power_loss_positions_say_nothing(make_edge):
    """Any page may be older than another: the ring is scanned, whatever its header says."""
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("power")
    edge.stop("collector")
    _react(edge, [(article, "sad"), (article, "wow")], model)
    edge.stop("broker")
    ring = _ring(edge)
    ring.set_boot_id(secrets.token_bytes(16))
    spool_bytes.poke(ring.path, spool_bytes.WRITE_AT, struct.pack("<Q", 0))
    edge.start("broker", "collector")
    _store_is(edge, model)


@pytest.mark.slow
@pytest.mark.parametrize("running", [False, True], ids=["broker-away", "broker-running"])
def test_a_damaged_record_is_counted_and_the_others_survive(make_edge, running):
    edge, model = make_edge(**SHARD).start(), Model()
    article, victim = unique("damage"), unique("victim")
    edge.stop("collector")
    _react(edge, [(article, "like"), (article, "sad")], model)
    _react(edge, [(victim, "love")])
    _react(edge, [(article, "wow"), (article, "angry")], model)
    if not running:
        edge.stop("broker")
    ring = _ring(edge)
    record = [r for r in ring.records() if r.article == victim][0]
    with open(ring.path, "rb") as f:
        f.seek(spool_bytes.HEADER_BYTES + record.position + 24)
        byte = f.read(1)
    spool_bytes.poke(ring.path, spool_bytes.HEADER_BYTES + record.position + 24, bytes([byte[0] ^ 0xFF]))
    edge.start("collector", *([] if running else ["broker"]))
    status = _status(edge, lambda s: s["damaged"] == 1, "the damaged record")
    assert status["lost"] in (0, 1)
    _react(edge, [(article, "funny")], model)
    _store_is(edge, model)
    assert spool_bytes.old_rings(edge.spool) == []


@pytest.mark.slow
def test_kinds_changed_in_the_configuration(make_edge):
    """The old ring is drained with its own kinds; counts of a kind that is gone remain."""
    edge, model = make_edge(plugin={"shards": 1, "kinds": "like,sad"}).start(), Model()
    article = unique("kinds")
    edge.stop("collector")
    _react(edge, [(article, "like"), (article, "sad"), (article, "sad")], model)
    edge.stop("broker")
    edge.edit_broker({"kinds": "wow,like"})
    edge.start("broker", "collector")
    _react(edge, [(article, "wow"), (article, "like")], model)
    assert edge.client().say("reactions/" + article, "sad") == 0x87
    _store_is(edge, model)
    assert edge.store.totals()[article] == {"like": 2, "sad": 2, "wow": 1}
    assert sorted(edge.store.kinds().values()) == ["like", "sad", "wow"]
    newsroom = edge.service("newsroom")
    newsroom.watch("totals/" + article)
    want = {"like": 2, "sad": 2, "wow": 1}
    newsroom.wait(lambda: [m for m in newsroom.got() if json.loads(m.payload)["counts"] == want], "totals with every kind of the store")


@pytest.mark.slow
def test_another_ring_size_drains_the_old_ring(make_edge):
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("size")
    edge.stop("collector")
    _react(edge, [(article, "like")], model)
    edge.stop("broker")
    edge.edit_broker({"ring_bytes": 2 << 20})
    edge.start("broker", "collector")
    _react(edge, [(article, "sad")], model)
    _store_is(edge, model)
    assert _ring(edge).capacity() == 2 << 20


@pytest.mark.slow
def test_four_old_rings_then_busy(make_edge):
    """Bounded: a fifth is not begun, the shard is busy until the collector has drained one."""
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("old")
    edge.stop("collector")
    for i in range(5):
        _react(edge, [(article, "like")], model)
        edge.stop("broker")
        _ring(edge).set_boot_id(secrets.token_bytes(16))
        edge.start("broker", ready=False)
    assert len(spool_bytes.old_rings(edge.spool)) == 4
    client = edge.client()
    assert client.say("reactions/" + article, b"like") == busy_code()
    assert edge.header.refused()["busy"] == 1
    edge.start("collector")
    wait_until(lambda: client.say("reactions/" + article, b"like") in (0, 0x10), "room for another ring")
    model.react(article, client.identity, "like", 1)
    _store_is(edge, model)


def test_rings_that_cannot_be_opened_now_are_opened_later(make_edge):
    """A collector without descriptors to spare: a ring that it cannot open is not a damaged one."""
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("later")
    _react(edge, [(article, "like")], model)
    edge.settle()
    pid, first = edge["collector"].child.pid, _ring(edge)
    os.kill(pid, signal.SIGSTOP)
    _react(edge, [(article, "sad"), (article, "wow")], model)
    first_id = first.ring_id()
    spool_bytes.poke(first.path, spool_bytes.ROTATE_AT, struct.pack("<I", 1))
    wait_until(lambda: _another_ring(edge, first_id), "another ring")
    _react(edge, [(article, "angry")], model)
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    os.kill(pid, signal.SIGCONT)
    edge.wait_unhealthy("collector")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    _store_is(edge, model)
    edge.wait_ready()
    assert not glob.glob(os.path.join(glob.escape(edge.spool), "bad-*"))


def _statuses(edge, n):
    """The next n statuses, one a second."""
    operator = edge.service("operator")
    operator.watch("ops/collector")
    operator.wait(lambda: len(operator.got(topic="ops/collector")) > n, "%d statuses" % n)
    return [json.loads(message.payload) for message in operator.got(topic="ops/collector")]


def test_a_ring_that_cannot_be_put_away_is_counted_once(make_edge):
    """However often it is tried; a second one counts, too, and readers' reactions are applied meanwhile."""
    edge, model = make_edge(**SHARD).start(), Model()
    article, name = unique("away"), "0-00000000000000%02x"
    for i in (1, 2):
        os.makedirs(os.path.join(edge.spool, "bad-" + name % i, "in the way"))
        with open(os.path.join(edge.spool, "old-" + name % i), "wb") as f:
            f.write(b"no ring")
        _status(edge, lambda s: s["damaged"] >= i, "damaged ring %d" % i)
        assert [s["damaged"] for s in _statuses(edge, 4)][-1] == i
    _react(edge, [(article, "like")], model)
    wait_until(lambda: edge.store.totals().get(article) == {"like": 1}, "the reaction")
    assert edge["collector"].text().count("putting it away") == 2 and edge["collector"].text().count("cannot put an unreadable ring away") == 2
    for i in (1, 2):
        shutil.rmtree(os.path.join(edge.spool, "bad-" + name % i))
    wait_until(lambda: not spool_bytes.old_rings(edge.spool), "both to be put away")
    assert sorted(map(os.path.basename, glob.glob(os.path.join(glob.escape(edge.spool), "bad-*")))) == ["bad-" + name % i for i in (1, 2)]
    assert _statuses(edge, 2)[-1]["damaged"] == 2
    _store_is(edge, model)


def test_a_drained_ring_that_cannot_be_deleted_is_said_once(make_edge):
    """It is tried again each second, and its numbers come to the books when it is gone at last."""
    edge, model = make_edge(**SHARD).start(), Model()
    article = unique("stays")
    _react(edge, [(article, "like")], model)
    edge.settle()
    first_id = _ring(edge).ring_id()
    spool_bytes.poke(_ring(edge).path, spool_bytes.ROTATE_AT, struct.pack("<I", 1))
    wait_until(lambda: _another_ring(edge, first_id), "another ring")
    wait_until(lambda: "draining an old ring" in edge["collector"].text(), "the old ring to be opened")
    (path,) = spool_bytes.old_rings(edge.spool)
    os.rename(path, os.path.join(edge.spool, "elsewhere"))
    os.mkdir(path)
    wait_until(lambda: "cannot delete an old ring" in edge["collector"].text(), "the failure")
    _statuses(edge, 3)
    assert edge["collector"].text().count("cannot delete an old ring") == 1
    os.rmdir(path)
    wait_until(lambda: edge.store.books()["applied"] == 1, "the books")
    _react(edge, [(article, "sad")], model)
    _store_is(edge, model)

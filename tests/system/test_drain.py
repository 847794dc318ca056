"""Switching edges off: `tally drain` says when an edge's spool may be deleted, `tally forget` takes what the store remembers of an edge into
the books; and no command says `done` of what a failover could take back."""

import json
import os
import signal
import subprocess
import sys

import pytest

import redis_server
from clients import TIMEOUT_S, reader_name, unique
from edge import ROOT, Process, fill, free_ports, release_ports, wait_until
from load import Load
from store import article_shard
from test_audit import consistent
from test_operate import tally

sys.path.append(os.path.join(ROOT, "tests", "faults"))

import judge  # noqa: E402

NEVER_S = 3600  # longer than any test: what waits so long fails


def drain(edge, timeout_s, *more, into=None):
    argv = [edge.program("tally"), "drain", "--spool", edge.spool, "--redis-port", str((into or edge).redis_port), "--timeout-s", str(timeout_s),
            *more]
    done = subprocess.run(argv, env=edge.leaks_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=4 * TIMEOUT_S)
    return done.returncode, done.stdout, done.stderr


def say(edge, article, n=1):
    for _ in range(n):
        reader = edge.client(username=reader_name())
        assert reader.say("reactions/" + article, "like") in (0x00, 0x10)
        reader.close()


def name_of(edge):
    return "%016x" % edge.header.edge_id()


class Hung:
    """A program of an edge, or a server, between SIGSTOP and SIGCONT."""

    def __init__(self, process):
        self.pid = process.child.pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_error):
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture
def replica(edge, tmp_path):
    """A replica of the edge's Redis, in step with it."""
    ports = free_ports(1)
    server = Process("replica", [redis_server.program(), "--port", str(ports[0]), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--save", "",
                                 "--replicaof", "127.0.0.1 %d" % edge.redis_port, "--repl-diskless-sync-delay", "0"],
                     str(tmp_path / "replica.log"), dict(os.environ))
    server.start()
    wait_until(lambda: edge.redis.info("replication").get("slave0", {}).get("state") == "online", "the replica")
    yield server
    server.stop()
    release_ports(ports)


@pytest.fixture
def edge(make_edge):
    return make_edge().start()


# --- tally drain ---

def test_a_spool_is_drained_once_all_is_applied(edge):
    article = unique("drain/all")
    shard = article_shard(article, 4)
    with Hung(edge["collector"]):
        say(edge, article, 3)
        edge.stop("broker")
        assert drain(edge, 0) == (2, "", "tally drain: shard %d: 3 reactions are not applied\n" % shard)
        status, said, _errors = drain(edge, 0, "--json")
        assert status == 2 and json.loads(said) == {
            "drained": False, "why": "", "edge": name_of(edge), "shards": 4, "broker": False,
            "left": [{"shard": shard, "waiting": 3, "why": "3 reactions are not applied"}]}
    status, said, errors = drain(edge, NEVER_S)
    assert status == 0 and errors == "" and "edge %s: nothing is left" % name_of(edge) in said, (said, errors)
    drained = json.loads(drain(edge, NEVER_S, "--json")[1])
    assert drained["drained"] and drained["left"] == []
    assert edge.header.admitted() == 3 and sum(edge.store.totals()[article].values()) == 3


def test_while_a_broker_may_append_nothing_is_drained(edge):
    say(edge, unique("drain/broker"))
    edge.settle()
    status, _said, errors = drain(edge, 0)
    assert status == 2 and errors == "tally drain: the broker still has the spool open: stop it first\n", errors
    edge.kill("broker")
    assert drain(edge, NEVER_S)[0] == 0


def test_old_rings_are_drained_too(edge):
    """A broker with other rings sets the full ones aside."""
    article = unique("drain/old")
    with Hung(edge["collector"]):
        fill(edge, article)
        edge.stop("broker")
        edge.edit_broker({"ring_bytes": 2097152})
        edge.start("broker", ready=False)
        edge.wait_broker()
        edge.stop("broker")
        assert any(name.startswith("old-") for name in os.listdir(edge.spool))
        status, _said, errors = drain(edge, 0)
        assert status == 2 and "shard %d: " % article_shard(article, 4) in errors and "are not applied" in errors, errors
    assert drain(edge, NEVER_S)[0] == 0
    _of_one, applied, quarantined, lost = judge.books(edge)
    assert (applied, quarantined, lost) == (edge.header.admitted(), 0, 0)


def test_a_redis_that_is_away_is_waited_for(edge):
    say(edge, unique("drain/away"))
    edge.settle()
    edge.stop("broker")
    with Hung(edge["redis"]):
        status, _said, errors = drain(edge, 0)
        assert status == 2 and "cannot tell what is left: redis: " in errors, errors
    assert drain(edge, NEVER_S)[0] == 0


def test_another_store_has_drained_nothing(make_edge, edge):
    elsewhere = make_edge().start()
    say(edge, unique("drain/elsewhere"))
    edge.settle()
    edge.stop("broker")
    status, _said, errors = drain(edge, 0, into=elsewhere)
    assert status == 2 and "it was applied to another store" in errors, errors
    assert drain(edge, NEVER_S)[0] == 0


def test_a_replica_must_have_all(edge, replica):
    with Hung(replica):
        say(edge, unique("drain/replica"))
        edge.settle()
        edge.stop("broker")
        status, _said, errors = drain(edge, 0, "--durability=replicas")
        assert status == 2 and "all is applied, but no replica has it yet" in errors, errors
        assert drain(edge, 0)[0] == 0
    status, said, _errors = drain(edge, NEVER_S, "--durability=replicas")
    assert status == 0 and "a replica has all" in said, said


def test_without_a_replica_none_has_it(edge):
    say(edge, unique("drain/alone"))
    edge.settle()
    edge.stop("broker")
    status, _said, errors = drain(edge, 0, "--durability=replicas")
    assert status == 2 and "but its node has no replica" in errors, errors


# --- tally forget ---

def rings_of(edge, name):
    """Ring fields of an edge, over all shards."""
    found = []
    for shard in range(4):
        for ring, value in edge.redis.hgetall("tally:{%d}:rings" % shard).items():
            if int.from_bytes(value[32:40], "little") == int(name, 16):
                found.append((shard, ring))
    return found


def test_an_edge_that_is_gone_stays_in_the_books(make_edge, edge):
    gone = make_edge(redis_of=edge).start()
    say(gone, unique("forget/gone"), 5)
    say(edge, unique("forget/stays"), 2)
    gone.settle()
    edge.settle()
    name = name_of(gone)
    before = consistent(edge)
    gone.stop("broker")
    assert drain(gone, NEVER_S)[0] == 0
    gone.stop("collector", "feed")
    assert rings_of(edge, name)
    assert "edge %s lives: its collector was there" % name in tally(edge, "forget", "--edge=" + name, "--quiet-s=1", status=1).err
    not_seen_for(edge, name, 91)
    assert "would be dropped" in tally(edge, "forget", "--edge=" + name, "--quiet-s=1", "--dry-run").out
    told = json.loads(tally(edge, "forget", "--edge=" + name, "--quiet-s=1", "--dry-run", "--json").out)
    assert told == {"edge": name, "dry_run": True, "rings": len(rings_of(edge, name)), "applied": 5, "quarantined": 0, "lost": 0}
    assert rings_of(edge, name)
    said = tally(edge, "forget", "--edge=" + name, "--quiet-s=1").out
    assert "applied 5, quarantined 0, lost 0 are in the books" in said, said
    assert rings_of(edge, name) == [] and edge.redis.hget("tally:store", "seen:" + name) is None
    after = consistent(edge)
    assert after["books"] == before["books"]
    assert "0 rings are dropped" in tally(edge, "forget", "--edge=" + name).out
    assert "knows no edge" in tally(edge, "forget", "--edge=0123456789abcdef", status=1).err
    assert "16 hex digits" in tally(edge, "forget", "--edge=me", status=2).err


def not_seen_for(edge, name, seconds):
    edge.redis.hset("tally:store", "seen:" + name, edge.redis.time()[0] - seconds)


def test_an_idle_edge_is_not_forgotten(make_edge, edge):
    """It applies nothing, but its collector says that it is there; so does one that has just come back."""
    other = make_edge(redis_of=edge).start()
    say(other, unique("forget/idle"))
    other.settle()
    name = name_of(other)
    wait_until(lambda: edge.redis.hget("tally:store", "seen:" + name), "the collector to say that it is there")
    assert "edge %s lives: its collector was there" % name in tally(edge, "forget", "--edge=" + name, "--quiet-s=1", status=1).err
    other.stop("collector")
    not_seen_for(edge, name, 100)
    other.start("collector")
    wait_until(lambda: int(edge.redis.hget("tally:store", "seen:" + name)) > edge.redis.time()[0] - 60, "the collector to say so again")
    assert "edge %s lives" % name in tally(edge, "forget", "--edge=" + name, "--quiet-s=1", status=1).err
    assert rings_of(edge, name)


def test_an_edge_that_lives_is_not_forgotten(make_edge, edge):
    other = make_edge(redis_of=edge).start()
    with Load(other, [unique("forget/lives")], readers=2) as load:
        load.wait_more(10)
        name = name_of(other)
        assert "edge %s lives" % name in tally(edge, "forget", "--edge=" + name, "--quiet-s=%d" % NEVER_S, status=1).err
    other.settle()
    assert rings_of(edge, name)
    consistent(edge)


def test_force_does_not_watch(make_edge, edge):
    gone = make_edge(redis_of=edge).start()
    say(gone, unique("forget/force"))
    gone.settle()
    name = name_of(gone)
    gone.kill("broker", "collector", "feed")
    assert "1 rings are dropped" in tally(edge, "forget", "--edge=" + name, "--quiet-s=%d" % NEVER_S, "--force").out
    consistent(edge)


# --- what is done, and what a failover could take back ---

def test_a_change_that_no_replica_has_is_told(edge, replica):
    article = unique("replicated/reset")
    say(edge, article, 2)
    edge.settle()
    with Hung(replica):
        told = tally(edge, "reset", article, status=2)
        assert "2 registers, 2 counted, deleted" in told.out
        assert "done, but not replicated: " in told.err and "shard %d" % article_shard(article, 4) in told.err, told.err
    tally(edge, "reset", article)
    given = "article,kind,count\n%s,like,5\n" % article
    tally(edge, "import", "--file=-", given=given)
    with Hung(replica):
        assert "done, but not replicated" in tally(edge, "import", "--file=-", "--replace", given=given.replace("5", "6"), status=2).err
        tally(edge, "import", "--file=-", "--replace", "--dry-run", given=given)
    consistent(edge)

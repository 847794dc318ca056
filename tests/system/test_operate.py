"""The operator's commands against a whole edge: their effect on registers, bases and states; that they are replay-safe, take effect on the
broker and over HTTP, leave nothing half done, and that `tally audit` finds everything consistent after each."""

import collections
import csv
import glob
import io
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import spool_bytes
from clients import TIMEOUT_S, reader_name
from edge import ROOT, wait_until
from load import Load
from scripts import script_text
from store import EPOCH_MS, article_shard, bucket_of, parse_base, parse_head, reader_hash
from test_audit import consistent, put_votes, react, registers_of, shown

EDGE = {"collector": {"audit_per_minute": 600}, "feed": {"repeat_ms": 200}}
SUCCESS = (0x00, 0x10)
WHOLE_STATE = ("--state=closed", "--kinds=like", "--opens-at=none", "--closes-at=none", "--results=always")  # needs no Redis

Result = collections.namedtuple("Result", "status out err")


def argv_of(edge, command, *more):
    links = ["--redis-port", str(edge.redis_port)]
    if command == "article":
        links += ["--services-file", edge.path("services"), "--mqtt-port", str(edge.mqtt_port)]
    words = [word for word in more if not word.startswith("--")]
    return [edge.program("tally"), command, *words, *links, *[word for word in more if word.startswith("--")]]


def tally(edge, command, *more, status=0, given=None):
    done = subprocess.run(argv_of(edge, command, *more), input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=edge.env,
                          text=True, timeout=2 * TIMEOUT_S)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert (status == 0) == (done.stderr == ""), done.stderr
    assert not done.stderr or done.stderr.startswith("tally %s: " % command), done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def key_of(edge, article, name):
    return "tally:{%d}:%s" % (article_shard(article, edge.store.shards()), name)


def head_of(edge, article):
    raw = edge.redis.hget(key_of(edge, article, "heads"), article)
    return raw and parse_head(raw)


def base_of(edge, article):
    """{kind name: count}"""
    kinds = edge.store.kinds()
    raw = edge.redis.hget(key_of(edge, article, "base"), article)
    return {kinds[kind]: count for kind, count in parse_base(raw).items()} if raw else {}


def counts_of(edge, article):
    """{kind name: count} of the registers, as the head says."""
    kinds = edge.store.kinds()
    return {kinds[kind]: count for kind, count in head_of(edge, article).counts.items()}


def everything(edge):
    """All that Redis holds, without what an audit's pause leaves, and that a collector is there."""
    kept = {}
    for key in edge.redis.scan_iter(count=1000):
        kind = edge.redis.type(key)
        if kind == b"hash":
            kept[key] = {f: v for f, v in edge.redis.hgetall(key).items() if f != b"pause" and not f.startswith(b"seen:")}
        else:
            kept[key] = edge.redis.zrange(key, 0, -1, withscores=True) if kind == b"zset" else edge.redis.get(key)
    return kept


def same_everywhere(edge, article, counts):
    """Waits until broker and HTTP show these counts (zeroes left out)."""
    def nonzero(total):
        return {kind: n for kind, n in total["counts"].items() if n}
    wait_until(lambda: nonzero(shown(edge, article)) == counts, "HTTP to show %r of %s" % (counts, article))
    watcher = edge.client()
    watcher.watch("totals/" + article)
    watcher.wait(lambda: [m for m in watcher.got("totals/" + article) if nonzero(json.loads(m.payload)) == counts],
                 "a total of %r" % counts)
    watcher.close()


def set_state(edge, article, *options):
    """By the operator's command, to what the feed has stored of it (FORMATS.md 5)."""
    def version():
        state = edge.redis.hget(key_of(edge, article, "states"), article)
        return json.loads(state)["version"] if state else 0
    before = version()
    tally(edge, "article", article, *options)
    wait_until(lambda: version() != before, "the feed to store the state of %s" % article)


# --- options ---

@pytest.mark.parametrize("argv, said", [
    (["reset"], "an article is missing"),
    (["reset", "a//b"], "tally reset: a//b is not an article id"),
    (["reset", "a", "--frce"], "unknown option frce; known: config, redis_host"),
    (["archive", "a", "--replace"], "unknown option replace"),
    (["export", "--format=xml"], "option format: xml is not csv or jsonl"),
    (["export", "--articles=a,,b"], "option articles"),
    (["import"], "option file is missing"),
    (["import", "--file=/no/such/file"], "/no/such/file: No such file"),
    (["erase", "--source=username", "--counts=keep", "--key-file=/x"], "option reader_file is missing"),
    (["erase", "--reader-file=/x", "--source=x", "--counts=keep", "--key-file=/x"], "option source: x is not username, client_id or token"),
    (["erase", "--reader-file=/x", "--source=username", "--counts=some", "--key-file=/x"], "option counts: some is not remove or keep"),
    (["article", "a", "--state=shut"], "option state: shut is not open or closed"),
    (["article", "a", "--clear", "--state=open"], "option clear"),
    (["article", "a", "--kinds=like,,sad"], "option kinds"),
    (["article", "a", "--closes-at=tomorrow"], "option closes_at: tomorrow is not a time"),
    (["article", "a", "--opens-at=2026-12-02T00:00:00Z", "--closes-at=2026-12-01T00:00:00Z"], "closes_at is not after opens_at"),
])
def test_what_is_wrong_is_said_and_changes_nothing(edge, argv, said):
    before = everything(edge)
    assert said in tally(edge, *argv, status=2).err
    assert everything(edge) == before


def test_redis_away_is_status_2(edge):
    argv = argv_of(edge, "reset", "a")
    argv[argv.index("--redis-port") + 1] = "1"
    done = subprocess.run(argv, stderr=subprocess.PIPE, env=edge.env, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 2 and done.stderr == "tally reset: redis: 127.0.0.1:1: Connection refused\n"


# --- states ---

def retained(edge, article):
    operator = edge.service("operator")
    operator.watch("articles/" + article)
    operator.flush()
    got = [m.payload for m in operator.got("articles/" + article) if m.retain]
    operator.close()
    return got[-1] if got else None


def state_of(edge, article):
    """The retained state, as the operator wrote it or as the feed passed it on since."""
    return {name: value for name, value in json.loads(retained(edge, article)).items() if name not in ("article", "open", "version")}


def test_an_articles_state(edge):
    article = "states/a"
    assert "none is retained" in tally(edge, "article", article).out
    tally(edge, "article", article, "--state=closed")
    assert state_of(edge, article) == {"state": "closed", "results": "always"}
    tally(edge, "article", article, "--kinds=sad,like", "--closes-at=2026-12-01T08:00:00Z", "--results=after_close")
    assert state_of(edge, article) == {"state": "closed", "kinds": ["sad", "like"], "closes_at": "2026-12-01T08:00:00.000Z",
                                       "results": "after_close"}
    tally(edge, "article", article, "--state=open", "--kinds=all", "--closes-at=none")
    assert state_of(edge, article) == {"state": "open", "results": "after_close"}
    assert '"results":"after_close"' in tally(edge, "article", article).out
    tally(edge, "article", article, "--clear")
    assert retained(edge, article) is None and "none is retained" in tally(edge, "article", article).out


def test_a_state_as_the_feed_publishes_it_is_merged_with(edge):
    article = "states/of-the-feed"
    set_state(edge, article, "--kinds=like")
    wait_until(lambda: "version" in json.loads(retained(edge, article)), "the feed to pass the state on")
    tally(edge, "article", article, "--state=closed")
    assert state_of(edge, article) == {"state": "closed", "kinds": ["like"], "results": "always"}


def test_what_the_broker_does_not_retain_is_looked_up_in_redis(make_edge):
    """A broker that has just started retains nothing until its feed connects; a change must not undo a state that it does not see."""
    edge = make_edge(**EDGE).start()
    article = "states/not-retained"
    set_state(edge, article, "--state=closed", "--kinds=sad,like")
    edge.stop("feed")
    edge.restart("broker")
    assert retained(edge, article) is None
    assert re.search('none is retained.*"state":"closed","kinds":\\["sad","like"\\]', tally(edge, "article", article).out)
    tally(edge, "article", article, "--kinds=like")
    assert state_of(edge, article) == {"state": "closed", "kinds": ["like"], "results": "always"}

    edge.stop("redis")
    said = tally(edge, "article", "states/unseen", "--kinds=like", status=2).err
    assert "none is retained" in said and "Redis" in said
    assert retained(edge, "states/unseen") is None
    tally(edge, "article", "states/unseen", status=2)
    tally(edge, "article", article, "--state=open")  # what is retained is all that is needed
    tally(edge, "article", "states/unseen", *WHOLE_STATE)
    tally(edge, "article", "states/unseen", "--clear")


def test_a_change_right_after_a_clearing_begins_anew(edge):
    """Although the cleared state is still in Redis for a moment: here the feed may not write for a second."""
    article = "states/cleared-then-changed"
    set_state(edge, article, "--state=closed")
    wait_until(lambda: "version" in json.loads(retained(edge, article)), "the feed to pass the state on")
    seconds, micros = edge.redis.time()
    now = seconds * 1000000 + micros
    edge.redis.hset(key_of(edge, article, "meta"), "pause", "%d %d %016x" % (now, now + 1000000, 7))
    tally(edge, "article", article, "--clear")
    tally(edge, "article", article, "--kinds=like")
    assert state_of(edge, article) == {"state": "open", "kinds": ["like"], "results": "always"}


def test_a_refused_state_is_said(make_edge):
    """By a broker whose topics have another prefix, which is as good a reason as any."""
    other = make_edge(plugin={"topic_prefix": "news/"}).start("broker", ready=False)
    assert "the broker refused it (0x87)" in tally(other, "article", "a", *WHOLE_STATE, status=1).err
    tally(other, "article", "a", *WHOLE_STATE, "--topic-prefix=news/")


# --- reset ---

def test_a_reset_counts_nothing_of_before(edge):
    article = "reset/a"
    tally(edge, "reset", article, status=1)  # nobody reacted yet
    react(edge, article, ["like", "like", "sad", "none"], prefix="reset")
    tally(edge, "import", "--file=-", given="article,kind,count\n%s,wow,7\n" % article)
    same_everywhere(edge, article, {"like": 2, "sad": 1, "wow": 7})
    before, then = head_of(edge, article), everything(edge)
    assert "4 registers, 3 counted, would be deleted; a base of 7 would be deleted" in tally(edge, "reset", article, "--dry-run").out
    assert everything(edge) == then
    assert "4 registers, 3 counted, deleted; a base of 7 deleted; version " in tally(edge, "reset", article).out
    head = head_of(edge, article)
    assert head.version > before.version and head.number > before.number
    assert (head.voters, head.level, head.split, head.counts) == (0, 0, 0, {})
    assert abs((head.floor >> 11) + EPOCH_MS - time.time() * 1000) < 60000
    assert not base_of(edge, article) and not edge.redis.exists(key_of(edge, article, "dropped"))
    edge.store.registers()  # every bucket belongs to an article
    same_everywhere(edge, article, {})
    consistent(edge)
    react(edge, article, ["love"], prefix="reset")  # the first of them again
    same_everywhere(edge, article, {"love": 1})
    consistent(edge)


def test_what_waits_in_the_spool_and_late_reactions_count_as_none(edge):
    article = "reset/late"
    readers = [edge.client(username=reader_name()) for _ in range(5)]
    for reader in readers[:2]:
        reader.say("reactions/" + article, "like")
    edge.settle_acknowledged()  # else the likes may be applied again, after the reset: see the next test
    edge.kill("collector")
    for reader in readers[1:4]:
        assert reader.say("reactions/" + article, "angry") in SUCCESS  # wait in the spool
    tally(edge, "reset", article)
    edge.start("collector")
    edge.settle()
    head = head_of(edge, article)
    assert head.voters == 3 and not head.counts, "older than the floor"
    for reader in readers:
        assert reader.say("reactions/" + article, '{"reaction":"wow","age_ms":60000}') in SUCCESS
    edge.settle()
    assert head_of(edge, article).voters == 5 and not head_of(edge, article).counts
    consistent(edge)
    readers[0].say("reactions/" + article, "sad")
    readers[3].say("reactions/" + article, "funny")
    readers[4].say("reactions/" + article, "none")
    edge.settle()
    same_everywhere(edge, article, {"sad": 1, "funny": 1})
    consistent(edge)


def test_what_is_applied_again_after_a_reset_counts_as_none(edge):
    """What Redis had and the killed collector had not acknowledged comes again: its readers are voters again, and count for nothing, also
    where they had changed their minds. Each new reaction counts once."""
    article = "reset/again"
    readers = [edge.client(username=reader_name()) for _ in range(4)]
    shard = article_shard(article, edge.store.shards())
    ring = spool_bytes.Ring(spool_bytes.rings(edge.spool)[shard])
    before = ring.write()
    for kind in ("like", "sad"):
        for reader in readers[:3]:
            assert reader.say("reactions/" + article, kind) in SUCCESS
    edge.settle_acknowledged()
    same_everywhere(edge, article, {"sad": 3})
    edge.kill("collector")
    assert readers[2].say("reactions/" + article, "angry") in SUCCESS  # waits in the spool
    assert readers[3].say("reactions/" + article, "angry") in SUCCESS
    tally(edge, "reset", article)
    assert head_of(edge, article).voters == 0
    spool_bytes.poke(ring.path, spool_bytes.APPLIED_AT, struct.pack("<Q", before))
    edge.start("collector")
    edge.settle_acknowledged()
    head = head_of(edge, article)
    assert head.voters == 4 and not head.counts
    same_everywhere(edge, article, {})
    consistent(edge)
    for _ in range(2):
        for reader in readers:
            assert reader.say("reactions/" + article, "wow") in SUCCESS
        edge.settle()
    same_everywhere(edge, article, {"wow": 4})
    consistent(edge)


def test_a_reset_of_many_registers(edge):
    """Whose buckets were split, and whose registers go in slices, none of which holds Redis for long."""
    article = "reset/large"
    put_votes(edge, article, 30000)
    before = head_of(edge, article)
    assert 4 ** before.level + 3 * before.split > 550  # several slices
    edge.redis.config_set("slowlog-log-slower-than", 5000)
    edge.redis.slowlog_reset()
    tally(edge, "reset", article)
    slow = [e["duration"] for e in edge.redis.slowlog_get(100) if b"EVALSHA" in e["command"]]
    edge.redis.config_set("slowlog-log-slower-than", 10000)
    print("calls of over 5 ms: %r" % slow)
    assert not list(edge.redis.scan_iter("tally:{%d}:%d:*" % (article_shard(article, edge.store.shards()), before.number), count=10000))
    edge.store.registers()
    consistent(edge)


def test_what_a_killed_command_left_is_finished_by_the_next(edge):
    article = "reset/killed"
    put_votes(edge, article, 20000)
    before = head_of(edge, article)
    pattern = "tally:{%d}:%d:*" % (article_shard(article, edge.store.shards()), before.number)
    shard = article_shard(article, edge.store.shards())
    child = subprocess.Popen(argv_of(edge, "reset", article), stdout=subprocess.DEVNULL, env=edge.env)
    try:
        wait_until(lambda: head_of(edge, article).number != before.number, "the new head", every_s=0)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    left = len(list(edge.redis.scan_iter(pattern, count=10000)))
    print("%d buckets were left" % left)
    if not edge.redis.hexists("tally:{%d}:dropped" % shard, before.number):
        assert left == 0  # it was faster
    else:
        consistent(edge)
    # As it would look after a kill at the first moment possible, in any case:
    edge.redis.hset("tally:{%d}:%d:0" % (shard, before.number), b"12345678", b"1234567")
    last = 3 * 4 ** before.level + before.split - 1
    edge.redis.hset("tally:{%d}:%d:%d" % (shard, before.number, last), b"12345678", b"1234567")
    edge.redis.hset("tally:{%d}:dropped" % shard, before.number, "%d %d" % (before.level, before.split))
    consistent(edge)
    tally(edge, "import", "--file=-", "--dry-run", given="article,kind,count\nreset/other,like,1\n")
    assert edge.redis.hexists("tally:{%d}:dropped" % shard, before.number), "a dry run deletes nothing"
    tally(edge, "import", "--file=-", given="article,kind,count\nreset/other,like,1\n")
    assert not edge.redis.exists("tally:{%d}:dropped" % shard)
    edge.store.registers()


def test_a_command_waits_while_its_shard_is_paused(edge):
    article = "reset/paused"
    react(edge, article, ["like"], prefix="paused")
    seconds, us = edge.redis.time()
    now = seconds * 1000000 + us
    edge.redis.hset(key_of(edge, article, "meta"), "pause", "%d %d %016x" % (now, now + 1500000, 7))
    number = head_of(edge, article).number
    child = subprocess.Popen(argv_of(edge, "reset", article), stdout=subprocess.PIPE, env=edge.env)

    def over():
        seconds, us = edge.redis.time()
        return seconds * 1000000 + us >= now + 1500000
    while not over():
        assert head_of(edge, article).number == number or over()
        time.sleep(0.05)
    assert child.wait(TIMEOUT_S) == 0 and child.stdout.read()
    assert head_of(edge, article).number > number
    consistent(edge)


def test_an_audit_while_articles_are_reset(edge):
    """An article that starts again in the middle of its count is counted again."""
    article = "reset/audited"
    put_votes(edge, article, 30000)
    auditor = subprocess.Popen(edge.command_argv("audit", "--articles", article, "--json"), stdout=subprocess.PIPE, env=edge.env, text=True)
    rounds = 0
    while auditor.poll() is None and rounds < 20:
        tally(edge, "reset", article)
        rounds += 1
    out = auditor.communicate(timeout=4 * TIMEOUT_S)[0]
    report = json.loads(out)
    assert not report["differences"], out
    assert auditor.returncode in (0, 2) and rounds > 0
    consistent(edge)


# --- archive ---

def test_only_a_closed_article_is_archived(edge):
    article = "archive/a"
    react(edge, article, ["like", "like", "sad", "none"], prefix="archive")
    tally(edge, "import", "--file=-", given="article,kind,count\n%s,like,10\n%s,wow,1\n" % (article, article))

    def changes_nothing(words, *options, status=1):
        before = everything(edge)
        done = tally(edge, "archive", article, *options, status=status)
        assert words in done.out + done.err and everything(edge) == before

    changes_nothing("is not closed")
    set_state(edge, article, "--state=open")
    changes_nothing("is not closed")
    set_state(edge, article, "--closes-at=2099-12-01T08:00:00.000Z")
    changes_nothing("is not closed")
    set_state(edge, article, "--closes-at=2024-12-01T08:00:00.000Z")
    changes_nothing("would be added", "--dry-run", status=0)
    stored = edge.redis.hget(key_of(edge, article, "states"), article)
    edge.redis.hset(key_of(edge, article, "states"), article, "nothing of the kind")
    changes_nothing("of an unknown form")
    edge.redis.hset(key_of(edge, article, "states"), article, stored)
    set_state(edge, article, "--state=closed", "--closes-at=none")
    tally(edge, "archive", article)
    assert base_of(edge, article) == {"like": 12, "sad": 1, "wow": 1}
    assert head_of(edge, article).voters == 0 and head_of(edge, article).floor
    same_everywhere(edge, article, {"like": 12, "sad": 1, "wow": 1})
    edge.store.registers()
    consistent(edge)
    tally(edge, "archive", article)  # once more adds nothing
    assert base_of(edge, article) == {"like": 12, "sad": 1, "wow": 1}
    consistent(edge)


def test_an_open_article_is_archived_by_force(edge):
    article = "archive/open"
    for base, kind in (({"like": 1}, "like"), ({"like": 1, "sad": 1}, "sad")):
        react(edge, article, [kind], prefix="by-force")
        tally(edge, "archive", article, "--force")
        assert base_of(edge, article) == base and head_of(edge, article).voters == 0
        same_everywhere(edge, article, base)
    consistent(edge)


# --- the scripts alone: what no test of a command can bring about ---

def call_script(edge, article, name, *argv):
    text = script_text("cli/%s.lua" % name)
    keys = [key_of(edge, article, key) for key in ("heads", "base", "changed", "meta", "states", "dropped")]
    return edge.redis.eval(text, 6, *keys, article_shard(article, edge.store.shards()), *argv)


def test_the_state_must_still_be_what_was_judged(edge):
    article = "archive/raced"
    react(edge, article, ["like"], prefix="raced")
    set_state(edge, article, "--state=open")
    before = everything(edge)
    assert call_script(edge, article, "reset", article, "1", "do", '{"state":"closed"}') == [b"changed"]
    assert everything(edge) == before


def test_registers_are_dropped_only_where_that_is_noted(edge):
    """Where Redis lost its last second, a number that was dropped may be an article's again."""
    article = "reset/not-dropped"
    react(edge, article, ["like"], prefix="not-dropped")
    before = everything(edge)
    assert call_script(edge, article, "drop", head_of(edge, article).number, 0, 500) == [b"none"]
    assert everything(edge) == before


class Hints:
    """The messages of a sharded channel, which redis-py 4.3 does not know."""

    def __init__(self, edge, channel):
        self.connection = edge.redis.connection_pool.make_connection()
        self.connection.connect()
        self.connection.send_command("SSUBSCRIBE", channel)
        assert self.connection.read_response()[:2] == [b"ssubscribe", channel.encode()]

    def next(self):
        assert self.connection.can_read(TIMEOUT_S), "no hint came"
        kind, _channel, message = self.connection.read_response()
        assert kind == b"smessage"
        return message

    def close(self):
        self.connection.disconnect()


def test_versions_and_floors_only_rise(edge):
    """Also where Redis's clock was set back: each change has the shard's next version, and is hinted at."""
    article = "scripts/versions"
    shard = article_shard(article, edge.store.shards())
    react(edge, article, ["like"], prefix="versions")
    hints = Hints(edge, "tally:{%d}:changed" % shard)
    seconds, us = edge.redis.time()
    ahead = (seconds + 3) * 1000000 + us
    edge.redis.hset(key_of(edge, article, "meta"), "version", ahead)
    call_script(edge, article, "reset", article, "0", "do")
    assert head_of(edge, article).version == ahead + 1
    floor = head_of(edge, article).floor
    raw = edge.redis.hget(key_of(edge, article, "heads"), article)
    edge.redis.hset(key_of(edge, article, "heads"), article, raw[:-8] + struct.pack("<Q", floor + 5000 * 2048))
    call_script(edge, article, "base", article, struct.pack("<BBBq", 1, 1, 1, 7), "do", "0", "0")
    assert head_of(edge, article).version == ahead + 2 and head_of(edge, article).floor == floor + 5000 * 2048
    call_script(edge, article, "reset", article, "0", "do")
    assert head_of(edge, article).version == ahead + 3 and head_of(edge, article).floor == floor + 5000 * 2048
    field = struct.pack("<Q", reader_hash(edge.key(), article, "u", "some-reader-of-tests"))
    edge.redis.hset("tally:{%d}:%d:0" % (shard, head_of(edge, article).number), field, bytes(7))
    raw = edge.redis.hget(key_of(edge, article, "heads"), article)
    edge.redis.hset(key_of(edge, article, "heads"), article, raw[:14] + struct.pack("<I", 1) + raw[18:])
    assert call_script(edge, article, "erase", "do", "0", article, field) == [b"ok", 1, 0, 0]
    assert head_of(edge, article).version == ahead + 4
    assert [hints.next() for _ in range(4)] == [b"%d" % shard] * 4
    hints.close()
    tally(edge, "reset", article)  # which deletes what was dropped here
    consistent(edge)


# --- export and import ---

def exported(edge, *more):
    return list(csv.DictReader(io.StringIO(tally(edge, "export", *more).out, newline="")))


def test_an_export_says_what_the_store_holds(edge):
    react(edge, "export/a", ["like", "like", "wow", "none"], prefix="export")
    react(edge, "export/b%2B", ["sad"], prefix="export")
    tally(edge, "import", "--file=-", given="article,kind,count\nexport/a,like,5\nexport/c,love,3\n")
    rows = {row["article"]: row for row in exported(edge)}
    totals, heads, kinds = edge.store.totals(), edge.store.heads(), edge.store.kinds()
    assert sorted(rows) == sorted(totals)
    lines = [json.loads(line) for line in tally(edge, "export", "--format=jsonl").out.splitlines()]
    assert sorted(line["article"] for line in lines) == sorted(rows)
    for line in lines:
        article = line["article"]
        row = rows[article]
        _shard, head = heads[article]
        assert line["registers"] == {name: head.counts.get(kind, 0) for kind, name in kinds.items()}
        assert line["base"] == {name: base_of(edge, article).get(name, 0) for name in kinds.values()}
        assert line["version"] == head.version and line["total"] == sum(totals[article].values())
        assert row == dict({"article": article, "version": str(head.version), "updated_at": line["updated_at"], "total": str(line["total"])},
                           **{"registers:" + name: str(n) for name, n in line["registers"].items()},
                           **{"base:" + name: str(n) for name, n in line["base"].items()})
        assert line["updated_at"] == shown(edge, article.replace("%", "%25"))["updated_at"]
    some = exported(edge, "--articles=export/c,export/a")
    assert [row["article"] for row in some] == ["export/c", "export/a"] and some[1]["total"] == "8"
    done = subprocess.run(argv_of(edge, "export", "--articles=export/a,nobody/was-here"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=edge.env, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 1 and "nobody/was-here" in done.stderr and "export/a" in done.stdout


def test_top_shows_the_highest_totals(edge):
    """Against the export. Its totals are larger than any other test's, with bases and registers, and two are equal."""
    react(edge, "top/a", ["like", "wow"], prefix="top")
    tally(edge, "import", "--file=-", "--replace", given="article,kind,count\n" + "".join("top/%s,sad,%d\n" % one for one in (("b", 10 ** 12), ("a", 10 ** 12 - 1), ("d", 10 ** 11), ("c", 10 ** 11))))
    told = json.loads(tally(edge, "top", "--articles=4", "--json").out)
    assert told["store"].encode() == edge.redis.hget("tally:store", "id")
    assert [row["article"] for row in told["articles"]] == ["top/a", "top/b", "top/c", "top/d"]
    assert told["articles"][0]["total"] == 10 ** 12 + 1 and told["articles"][0]["counts"]["sad"] == 10 ** 12 - 1 and told["articles"][0]["counts"]["wow"] == 1
    assert told["articles"][0]["updated_at"] == shown(edge, "top/a")["updated_at"]
    rows = {row["article"]: int(row["total"]) for row in exported(edge) if int(row["total"])}
    everyone = json.loads(tally(edge, "top", "--articles=1000", "--json").out)["articles"]
    assert [(row["article"], row["total"]) for row in everyone] == sorted(rows.items(), key=lambda row: (-row[1], row[0]))[:1000]
    assert tally(edge, "top", "--articles=1").out == "%12d  top/a  like 1 sad %d wow 1\n" % (10 ** 12 + 1, 10 ** 12 - 1)


def bulk(words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def read_command(asked):
    line = asked.readline()
    return [asked.read(int(asked.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))] if line else None


def naming_twice(edge, server):
    """One connection to Redis, but that HSCAN gives everything twice."""
    client, _address = server.accept()
    upstream = socket.create_connection(("127.0.0.1", edge.redis_port))

    def pump():
        while data := upstream.recv(1 << 16):
            client.sendall(data)
    back = threading.Thread(target=pump, daemon=True)
    back.start()
    with client, upstream, client.makefile("rb") as asked:
        while words := read_command(asked):
            if words[0] != b"HSCAN":
                upstream.sendall(bulk(words))
                continue
            cursor, some = edge.redis.hscan(words[1], int(words[2]))
            text = b"%d" % cursor
            client.sendall(b"*2\r\n$%d\r\n%s\r\n" % (len(text), text) + bulk(2 * [one for pair in some.items() for one in pair]))
        upstream.shutdown(socket.SHUT_RDWR)
        back.join()


def test_an_article_that_redis_names_twice_is_exported_once(edge):
    """HSCAN may do so where its table is made smaller meanwhile."""
    react(edge, "export/twice", ["like"], prefix="twice")
    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=naming_twice, args=(edge, server), daemon=True)
    thread.start()
    argv = argv_of(edge, "export")
    argv[argv.index("--redis-port") + 1] = str(server.getsockname()[1])
    done = subprocess.run(argv, stdout=subprocess.PIPE, env=edge.env, text=True, timeout=TIMEOUT_S)
    server.close()
    thread.join(TIMEOUT_S)
    articles = [row["article"] for row in csv.DictReader(io.StringIO(done.stdout, newline=""))]
    assert done.returncode == 0 and sorted(articles) == sorted(edge.store.heads()), done


def test_a_full_disk_is_said(edge):
    with open("/dev/full", "w") as full:
        done = subprocess.run(argv_of(edge, "export"), stdout=full, stderr=subprocess.PIPE, env=edge.env, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 2 and "standard output" in done.stderr


def test_an_import_counts_beside_the_registers(edge, tmp_path):
    react(edge, "import/a", ["like", "sad"], prefix="import")
    path = tmp_path / "counts.csv"
    path.write_bytes(b'\xef\xbb\xbfkind,article,count\r\nlike,"import/a",100\r\nwow,import/a,1\r\nlove,import/new,9007199254740000\r\n')
    before = everything(edge)
    assert "2 articles would get a base" in tally(edge, "import", "--file=%s" % path, "--dry-run").out
    assert everything(edge) == before
    assert "2 articles have got a base, 0 are as they were" in tally(edge, "import", "--file=%s" % path).out
    same_everywhere(edge, "import/a", {"like": 101, "sad": 1, "wow": 1})
    same_everywhere(edge, "import/new", {"love": 9007199254740000})
    assert head_of(edge, "import/new").voters == 0
    consistent(edge)
    done = everything(edge)
    assert "0 articles have got a base, 2 are as they were" in tally(edge, "import", "--file=%s" % path).out
    assert everything(edge) == done
    other = "article,kind,count\nimport/newer,like,1\nimport/a,like,7\n"
    assert "line 3: import/a has a base of 101 already" in tally(edge, "import", "--file=-", given=other, status=1).err
    assert everything(edge) == done, "nor is the other article imported"
    tally(edge, "import", "--file=-", "--replace", given=other)
    assert base_of(edge, "import/a") == {"like": 7}
    react(edge, "import/new", ["sad"], prefix="import")
    same_everywhere(edge, "import/new", {"love": 9007199254740000, "sad": 1})
    consistent(edge)
    tally(edge, "import", "--file=-", "--replace", given="article,kind,count\nimport/new,love,0\n")
    assert not base_of(edge, "import/new")
    same_everywhere(edge, "import/new", {"sad": 1})
    consistent(edge)


@pytest.mark.parametrize("text, said", [
    ("", "there is no article in it"),
    ("article,kind,count\n", "there is no article in it"),
    ("article,kind,count\na,like,1\na,like,2\n", "line 3: a: line 2 says that already"),
    ("article,kind,count\na,like,1\na,meh,2\n", "line 3: meh is not a kind of the store"),
    ("article,kind,count\na,like,1\na//b,like,2\n", 'line 3: "a//b" is not an article'),
    ("article,kind,count\na,like,1\na,sad,-2\n", 'line 3: "-2" is not a whole number'),
    ("article,kind,count\na,like,1\nb,like,9007199254740992\n", "line 3:"),
    ("article,kind,count\na,like,1\nb,like\n", "line 3: 2 fields, but the header has 3"),
    ("article,kind,count\na,like,1\n\"b,like,1\n", "line 3: a quote"),
    ("article,kind,count\na,like,1\n" + "b" * 5000 + ",like,1\n", "line 3: longer than 4096 bytes"),
    ("article,registers:like,base:meh\na,1,1\n", "line 1: meh is not a kind"),
    ("article,total,base:like\na,2,1\n", "line 2: its total is 2"),
])
def test_a_bad_line_is_named_and_nothing_is_imported(edge, text, said):
    before = everything(edge)
    assert said in tally(edge, "import", "--file=-", given=text, status=1).err
    assert everything(edge) == before


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_is_imported_elsewhere(edge, make_edge, form, tmp_path):
    """Into a store that knows the same kinds; its totals are the same."""
    react(edge, "move/a", ["like", "wow", "wow", "none"], prefix="move")
    tally(edge, "import", "--file=-", "--replace", given="article,kind,count\nmove/a,like,3\nmove/b,sad,2\n")
    path = tmp_path / "export"
    path.write_text(tally(edge, "export", "--format=" + form, "--articles=move/a,move/b").out)
    # Here its registers would be counted twice.
    tally(edge, "import", "--file=-", "--replace", given="article,kind,count\nmove/a,like,0\nmove/b,sad,2\n")
    before = everything(edge)
    assert "line 2: move/a has 4 registers here" in tally(edge, "import", "--file=-", given="article,registers:like\nmove/a,1\n", status=1).err
    assert "move/a has 4 registers here" in tally(edge, "import", "--file=%s" % path, "--format=" + form, status=1).err
    assert everything(edge) == before
    other = make_edge().start("redis", ready=False)
    other.redis.hset("tally:store", mapping=edge.redis.hgetall("tally:store"))
    tally(other, "import", "--file=%s" % path, "--format=" + form)
    assert other.store.totals() == {"move/a": {"like": 4, "wow": 2}, "move/b": {"sad": 2}}
    other.store.registers()
    tally(other, "import", "--file=%s" % path, "--format=" + form)
    assert other.store.totals() == {"move/a": {"like": 4, "wow": 2}, "move/b": {"sad": 2}}


def test_many_articles_go_out_and_in(edge, make_edge, tmp_path):
    other = make_edge().start("redis", ready=False)
    other.redis.hset("tally:store", mapping=edge.redis.hgetall("tally:store"))
    rng = random.Random(9)
    want = {"many/%d/%d" % (i % 7, i): {kind: rng.randrange(1, 1 << 40) for kind in rng.sample(["like", "sad", "wow"], rng.randrange(1, 4))}
            for i in range(3000)}
    rows = [(article, kind, n) for article, counts in want.items() for kind, n in counts.items()]
    rng.shuffle(rows)
    text = "article,kind,count\n" + "".join("%s,%s,%d\n" % row for row in rows)
    # Killed midway, it leaves whole articles, and does the rest when it is given again.
    path = tmp_path / "many.csv"
    path.write_text(text)

    def heads():
        return sum(other.redis.hlen("tally:{%d}:heads" % shard) for shard in range(other.store.shards()))
    child = subprocess.Popen(argv_of(other, "import", "--file=%s" % path), stdout=subprocess.DEVNULL, env=other.env)
    try:
        wait_until(lambda: heads() > 100, "some articles", every_s=0)
    finally:
        child.kill()
        child.wait()
    there = other.store.totals()
    assert len(there) > 100 and there == {article: want[article] for article in there}
    other.store.registers()
    print("%d articles were imported at the kill" % len(there))
    said = tally(other, "import", "--file=%s" % path).out
    assert "%d articles have got a base, %d are as they were" % (3000 - len(there), len(there)) in said
    assert other.store.totals() == want
    lines = [json.loads(line) for line in tally(other, "export", "--format=jsonl").out.splitlines()]
    assert len(lines) == 3000
    assert {line["article"]: {k: n for k, n in line["base"].items() if n} for line in lines} == want


def test_a_sum_that_no_number_holds_is_refused(edge, key_file):
    name, article = reader_name(), "archive/full"
    edge.client(username=name).say("reactions/" + article, "like")
    edge.settle()
    tally(edge, "import", "--file=-", given="article,kind,count\n%s,like,9007199254740991\n" % article)
    before = everything(edge)
    assert "over 2^53 - 1" in tally(edge, "archive", article, "--force", status=1).err
    assert "1 articles" in tally(edge, "erase", "--reader-file=-", "--source=username", "--counts=keep", key_file, given=name, status=1).err
    assert everything(edge) == before
    tally(edge, "import", "--file=-", "--replace", given="article,kind,count\n%s,like,1\n" % article)


def test_redis_with_a_password_and_a_store_of_another_format(edge, make_edge, tmp_path):
    other = make_edge().start("redis", ready=False)
    assert "holds no store" in tally(other, "export", status=2).err
    other.redis.hset("tally:store", mapping=dict(edge.redis.hgetall("tally:store"), format="2"))
    assert "of format 2, not 1" in tally(other, "export", status=2).err
    other.redis.hset("tally:store", "format", "1")
    path = tmp_path / "password"
    path.write_text("open-sesame\n")
    path.chmod(0o600)
    other.redis.config_set("requirepass", "open-sesame")
    assert "NOAUTH" in tally(other, "export", status=2).err
    assert tally(other, "export", "--redis-password-file=%s" % path).out.startswith("article,version,")
    path.chmod(0o644)
    assert "option redis_password_file" in tally(other, "export", "--redis-password-file=%s" % path, status=2).err
    other.redis.execute_command("AUTH", "open-sesame")
    other.redis.config_set("requirepass", "")


# --- erase ---

@pytest.fixture
def key_file(edge):
    return "--key-file=" + edge.path("reader.key")


def erase(edge, name, key_file, *more, source="username", counts="remove", status=0):
    return tally(edge, "erase", "--reader-file=-", "--source=" + source, "--counts=" + counts, key_file, *more, given=name + "\n",
                 status=status)


def has_register(edge, article, source, name):
    want = reader_hash(edge.key(), article, source, name)
    return any(int.from_bytes(field, "little") == want for _key, field, _value in registers_of(edge, article))


@pytest.mark.parametrize("counts", ["remove", "keep"])
def test_a_reader_is_erased(edge, key_file, counts, tmp_path):
    name = reader_name()
    reader, other = edge.client(username=name), edge.client(username=reader_name())
    articles = ["erase-%s/a%d" % (counts, i) for i in range(6)]
    for i, article in enumerate(articles[:5]):
        reader.say("reactions/" + article, "none" if i == 4 else "like")
        other.say("reactions/" + article, "sad")
    other.say("reactions/" + articles[5], "sad")
    reader.say("reactions/" + articles[3], "none")  # withdrawn: still a register
    edge.settle()
    tally(edge, "reset", articles[2])
    reader.say("reactions/" + articles[2], '{"reaction":"love","age_ms":60000}')  # counts for nothing
    edge.settle()
    before = everything(edge)
    said = erase(edge, name, key_file, "--dry-run", counts=counts).out
    assert "5 registers of %d articles would be erased; the 2 that counted" % len(edge.store.heads()) in said
    assert everything(edge) == before
    assert "0 registers" in erase(edge, name, key_file, source="client_id", counts=counts).out, "another reader's id"
    path = tmp_path / "reader"
    path.write_text(name)
    path.chmod(0o600)
    done = tally(edge, "erase", "--reader-file=%s" % path, "--source=username", "--counts=" + counts, key_file)
    assert "5 registers of " in done.out and "the 2 that counted" in done.out and name not in done.out
    for article in articles:
        assert not has_register(edge, article, "u", name)
        assert head_of(edge, article).voters == (0 if article == articles[2] else 1)
        assert base_of(edge, article) == ({"like": 1} if counts == "keep" and article in articles[:2] else {})
    edge.store.registers()
    like = {"like": 1} if counts == "keep" else {}
    same_everywhere(edge, articles[0], dict(like, sad=1))
    consistent(edge)
    assert "0 registers" in erase(edge, name, key_file, counts=counts).out
    reader.say("reactions/" + articles[0], "wow")
    edge.settle()
    same_everywhere(edge, articles[0], dict(like, sad=1, wow=1))


def test_a_client_id_is_erased(edge, key_file):
    client = edge.client()
    client.say("reactions/erase/by-id", "like")
    edge.settle()
    assert "1 registers" in erase(edge, client.name, key_file, source="client_id").out
    assert head_of(edge, "erase/by-id").voters == 0
    consistent(edge)


def test_what_waits_in_the_spool_is_erased_by_another_run(edge, key_file):
    name, article = reader_name(), "erase/waiting"
    reader = edge.client(username=name)
    edge.kill("collector")
    reader.say("reactions/" + article, "like")
    assert "0 registers" in erase(edge, name, key_file).out
    edge.start("collector")
    edge.settle()
    assert "1 registers" in erase(edge, name, key_file).out
    consistent(edge)


@pytest.mark.parametrize("text, said", [("", "is not one line"), ("a\nb\n", "is not one line"), ("x" * 129, "is not one line")])
def test_what_is_no_readers_id(edge, key_file, text, said):
    done = tally(edge, "erase", "--reader-file=-", "--source=username", "--counts=keep", key_file, given=text, status=2)
    assert said in done.err


def test_an_id_that_others_may_read_is_refused(edge, key_file, tmp_path):
    path = tmp_path / "reader"
    path.write_text(reader_name())
    path.chmod(0o644)
    assert str(path) in tally(edge, "erase", "--reader-file=%s" % path, "--source=username", "--counts=keep", key_file, status=2).err


def test_another_key_is_refused(edge, tmp_path):
    path = tmp_path / "other.key"
    path.write_text("00112233445566778899aabbccddeeff\n")
    path.chmod(0o600)
    before = everything(edge)
    done = erase(edge, reader_name(), "--key-file=%s" % path, status=1)
    assert "holds another key" in done.err and "0011" not in done.err
    assert everything(edge) == before


def test_nearly_all_readers_of_an_article_are_erased(make_edge):
    """Its buckets are merged again, as few voters have few buckets (lib/audit/count.lua), and no register is lost by that. A store that
    splits at each voter, so that few readers are many buckets."""
    edge = make_edge(collector={"audit_per_minute": 0}).start()
    names = [reader_name() for _ in range(24)]
    article = "erase/merged"
    edge.redis.hset("tally:store", "split", 1)
    edge.restart("collector")
    for name in names:
        client = edge.client(username=name)
        client.say("reactions/" + article, "like")
        client.close()
    edge.settle()
    assert head_of(edge, article).level >= 1
    rng = random.Random(3)
    rng.shuffle(names)
    for i, name in enumerate(names):
        erase(edge, name, "--key-file=" + edge.path("reader.key"), counts="remove" if i % 2 else "keep")
        head = head_of(edge, article)
        assert head.voters == 23 - i and 4 ** head.level + 3 * head.split <= head.voters + 3
        edge.store.registers()
        if i % 8 == 0:
            consistent(edge)
    assert (head.level, head.split) == (0, 0) and base_of(edge, article) == {"like": 12}
    for name in names[:3]:
        client = edge.client(username=name)
        client.say("reactions/" + article, "sad")
        client.close()
    edge.settle()
    edge.store.registers()
    same_everywhere(edge, article, {"like": 12, "sad": 3})
    consistent(edge)


@pytest.mark.parametrize("command", ["erase", "reset"])
def test_copies_that_a_failed_split_left_go_too(make_edge, command):
    """A key of another type is in the place of a bucket; the two before it hold copies. An erased reader's copies must not become registers
    when the split is finally done, and a reset article's copies must not stay for ever."""
    edge = make_edge(collector={"audit_per_minute": 0}).start()
    article, names = "copies/" + command, []
    edge.redis.hset("tally:store", "split", 6)
    edge.restart("collector")

    def vote(name):
        client = edge.client(username=name)
        assert client.say("reactions/" + article, "like") in SUCCESS
        client.close()
        edge.settle()

    def name_of(quarter):
        """Of a reader whose register goes there: one in each, as a split asks nothing of a quarter that stays empty."""
        return next(name for name in iter(reader_name, None) if reader_hash(edge.key(), article, "u", name) % 4 == quarter)
    vote(name_of(3))
    prefix = "tally:{%d}:%d:" % (article_shard(article, edge.store.shards()), head_of(edge, article).number)
    edge.redis.set(prefix + "3", "not a bucket")
    while len(names) < 8 or not edge.redis.exists(prefix + "1"):
        names.append(name_of(len(names) % 4))
        vote(names[-1])
    copied = next(name for name in names if reader_hash(edge.key(), article, "u", name) % 4 == 1
                  and edge.redis.hexists(prefix + "1", struct.pack("<Q", reader_hash(edge.key(), article, "u", name))))
    assert head_of(edge, article).level == 0
    edge.redis.delete(prefix + "3")
    if command == "reset":
        tally(edge, "reset", article)
    else:
        erase(edge, copied, "--key-file=" + edge.path("reader.key"))
        vote(reader_name())
        assert head_of(edge, article).level == 1
        assert not has_register(edge, article, "u", copied)
    edge.store.registers()
    consistent(edge)


@pytest.mark.slow
def test_commands_that_are_killed_while_all_else_goes_down(make_edge):
    """Reset, archive, erase and import, some of them killed, among readers who react, a collector that is killed, and a Redis whose file
    lost its end: every article is consistent, and the next command finishes the rest."""
    edge, rng = make_edge(plugin={"shards": 2}, collector={"audit_per_minute": 600}, feed={"repeat_ms": 200}).start(), random.Random(5)
    edge.redis.hset("tally:store", "split", 2)  # buckets are split and merged all the time
    edge.restart("collector")
    articles = ["torn/%d" % i for i in range(6)]
    everybody = "article,kind,count\n" + "".join("%s,like,%d\n" % (article, 100 + i) for i, article in enumerate(articles))

    def lose_the_last_moments():
        edge.kill("redis")
        path = max(glob.glob(edge.path("redis") + "/appendonlydir/*.incr.aof"), key=os.path.getmtime)
        size = os.path.getsize(path)
        os.truncate(path, max(size - rng.randrange(1, 60000), size * 3 // 4))
        edge.start("redis", ready=False)

    def command(names):
        article = rng.choice(articles)
        argv, given = rng.choice([
            (["reset", article], ""), (["archive", article, "--force"], ""), (["import", "--file=-", "--replace"], everybody),
            (["erase", "--reader-file=-", "--source=username", "--counts=" + rng.choice(["keep", "remove"]), "--key-file=" + edge.path("reader.key")],
             rng.choice(names) + "\n")])
        child = subprocess.Popen(argv_of(edge, *argv), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=edge.env,
                                 text=True)
        if rng.randrange(3) == 0:
            threading.Timer(rng.random() * 0.03, child.kill).start()
        err = child.communicate(given, timeout=2 * TIMEOUT_S)[1]
        assert child.returncode in (0, -signal.SIGKILL), err

    with Load(edge, articles, readers=16) as load:
        load.wait_more(200)
        for i in range(60):
            command(load.names)
            if i % 10 == 4:
                lose_the_last_moments()
            if i % 10 == 9:
                edge.kill("collector")
                edge.start("collector", ready=False)
    edge.settle()
    tally(edge, "import", "--file=-", "--replace", given=everybody.replace("like", "wow"))
    assert not any(edge.redis.exists("tally:{%d}:dropped" % shard) for shard in (0, 1))
    edge.store.registers()
    edge.wait_ready()
    consistent(edge)


def test_a_gateways_reader_is_erased(make_edge):
    edge = make_edge(collector={"audit_per_minute": 0})
    with open(edge.path("services"), "a") as services:
        services.write("backend gateway %s\n" % os.urandom(24).hex())
    edge.start()
    edge.service("backend").say("reactions/erase/named", '{"reaction":"like","reader":"subscriber-4711"}')
    edge.client(username="subscriber-4711-0").say("reactions/erase/named", "sad")
    edge.settle()
    key = "--key-file=" + edge.path("reader.key")
    assert "0 registers" in erase(edge, "subscriber-4711", key).out
    assert "1 registers" in erase(edge, "subscriber-4711", key, source="token").out
    assert counts_of(edge, "erase/named") == {"sad": 1}
    consistent(edge)


def test_rings_deleted_and_the_key_changed_as_the_page_on_privacy_says(make_edge):
    edge = make_edge(collector={"audit_per_minute": 0}).start()
    article, names = "privacy/a", [reader_name() for _ in range(3)]

    def say(kinds):
        for name, kind in zip(names, kinds):
            client = edge.client(username=name)
            client.say("reactions/" + article, kind, response_topic="receipts/" + client.name)
            client.close()
        edge.settle()
    say(["like", "like", "sad"])
    edge.stop("broker", "collector")
    kept = b"".join(open(path, "rb").read() for path in spool_bytes.rings(edge.spool).values())
    assert article.encode() in kept
    for path in spool_bytes.rings(edge.spool).values():
        os.unlink(path)
    edge.start("broker", "collector")
    say(["like", "wow", "sad"])
    same_everywhere(edge, article, {"like": 1, "wow": 1, "sad": 1})
    assert head_of(edge, article).voters == 3, "a reader is who it was"
    consistent(edge)

    moved = tally(edge, "export").out
    edge.stop("broker", "collector", "feed")
    for path in [edge.header.path, *spool_bytes.rings(edge.spool).values()]:
        os.unlink(path)
    edge.redis.flushall()
    with open(edge.path("reader.key"), "w") as key:
        key.write("00112233445566778899aabbccddeeff\n")
    edge.start("broker", "collector", "feed")
    tally(edge, "import", "--file=-", given=moved)
    same_everywhere(edge, article, {"like": 1, "wow": 1, "sad": 1})
    consistent(edge)
    say(["love", "love", "love"])
    same_everywhere(edge, article, {"like": 1, "wow": 1, "sad": 1, "love": 3})
    assert "1 registers" in erase(edge, names[0], "--key-file=" + edge.path("reader.key")).out
    consistent(edge)


def test_no_command_leaks(edge, key_file):
    """Under sanitizers, this alone looks for leaks at the end of these commands (Edge.leaks_env); test_drain.py and test_edges.py at that of the
    others."""
    name, article = reader_name(), "leaks/a"
    edge.client(username=name).say("reactions/" + article, "like")
    edge.settle()
    for given, argv in [
            (None, edge.command_argv("audit", "--articles", article)),
            (None, edge.command_argv("audit", "--json", "--articles", article)),
            (None, argv_of(edge, "article", article, "--state=closed")),
            (None, argv_of(edge, "article", article)),
            (None, argv_of(edge, "top")),
            (None, argv_of(edge, "top", "--json", "--articles=1")),
            (None, argv_of(edge, "export")),
            (None, argv_of(edge, "export", "--format=jsonl")),
            ("article,kind,count\nleaks/b,like,1\n", argv_of(edge, "import", "--file=-", "--replace")),
            (name, argv_of(edge, "erase", "--reader-file=-", "--source=username", "--counts=keep", key_file)),
            (None, argv_of(edge, "archive", article)),
            (None, argv_of(edge, "reset", article))]:
        done = subprocess.run(argv, input=given or "", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=edge.leaks_env, text=True,
                              timeout=2 * TIMEOUT_S)
        assert done.returncode == 0, (argv, done.returncode, done.stdout)


def test_with_json_a_command_prints_one_object(edge, key_file):
    name, article = reader_name(), "json/a"
    for kind in ("like", "sad"):
        edge.client(username=name if kind == "like" else reader_name()).say("reactions/" + article, kind)
    edge.settle()

    def told(command, *more, given=None):
        done = subprocess.run(argv_of(edge, command, *more, "--json"), input=given or "", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=edge.leaks_env, text=True, timeout=2 * TIMEOUT_S)
        assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1, done
        return json.loads(done.stdout)
    assert told("article", article) == {"article": article, "from": "redis", "understood": True, "state": None}
    assert told("article", article, "--state=closed")["state"]["state"] == "closed"
    wait_until(lambda: told("article", article)["from"] == "broker", "the state to be retained")
    assert told("article", article)["state"]["state"] == "closed"
    imported = "article,kind,count\n%s,wow,7\n" % article
    assert told("import", "--file=-", given=imported) == {"dry_run": False, "set": 1, "same": 0}
    assert told("import", "--file=-", "--dry-run", given=imported) == {"dry_run": True, "set": 0, "same": 1}
    erased = told("erase", "--reader-file=-", "--source=username", "--counts=keep", key_file, given=name)
    assert (erased["registers"], erased["counted"], erased["kept_in_bases"], erased["damaged_articles"]) == (1, 1, True, 0)
    wait_until(lambda: edge.redis.hget(key_of(edge, article, "states"), article), "the feed to store the state")
    archived = told("archive", article)
    assert (archived["article"], archived["registers"], archived["counted"], archived["base_before"]) == (article, 1, 1, 8)
    assert told("reset", article, "--dry-run") == {"article": article, "dry_run": True, "registers": 0, "counted": 0, "base_before": 9}
    assert told("reset", article)["version"] > archived["version"]


def test_the_collectors_own_audit_found_nothing(edge):
    """Last in this file: it looked at these articles ten times a second meanwhile."""
    react(edge, "audited/a", ["like"], prefix="audited")
    wait_until(lambda: edge.metrics().get("tally_audit_articles_total", 0) > 0, "a self-audit")
    assert edge.metrics()["tally_audit_differing_total"] == 0
    assert "the audit found a difference" not in edge["collector"].text(all_starts=True)

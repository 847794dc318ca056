"""`tally audit` against a whole edge. It reports a consistent edge as consistent, also under load. If any link of the chain from the spool
to HTTP is tampered with, it names the link with article, kind and difference. No audit, dead or alive, blocks Redis or applying."""

import collections
import glob
import hashlib
import http.server
import json
import os
import random
import signal
import struct
import subprocess
import threading
import time

import pytest

import spool_bytes
from clients import TIMEOUT_S
from edge import ROOT, wait_until
from load import Load
from scripts import script_text
from store import article_shard, parse_head

EDGE = {"collector": {"audit_per_minute": 0}, "feed": {"repeat_ms": 200}}
KINDS = Load.KINDS
SLICE = 1000  # registers a call counts: cli/store_view.c

Result = collections.namedtuple("Result", "status report text")


def audit(edge, articles="all", more=()):
    done = subprocess.run(edge.command_argv("audit", "--articles", articles, "--json", *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=edge.env, text=True, timeout=4 * TIMEOUT_S)
    report = json.loads(done.stdout) if done.stdout.startswith("{") else None
    return Result(done.returncode, report, done.stdout + done.stderr)


def differences(result):
    return [(d["link"], d.get("article") or d.get("of"), d["what"], d["expected"], d["found"]) for d in result.report["differences"]]


def consistent(edge, **more):
    result = audit(edge, **more)
    assert result.status == 0 and result.report["verdict"] == "consistent", result.text
    assert not result.report["differences"] and not result.report["not_checked"]
    return result.report


def react(edge, article, kinds, prefix="voter"):
    client = edge.client()
    clients = [edge.client(username="%s-%d-of-the-audit" % (prefix, i)) for i in range(len(kinds))]
    for one, kind in zip(clients, kinds):
        assert one.say("reactions/" + article, kind) in (0x00, 0x10)
    for one in clients:
        one.close()
    client.close()
    edge.settle()


def shown(edge, article):
    status, _headers, body = edge.get("/totals/" + article)
    assert status == 200
    return json.loads(body)


def head_key(edge, article):
    return "tally:{%d}:heads" % article_shard(article, edge.store.shards())


def registers_of(edge, article):
    """(key, field, value) of each register."""
    head = parse_head(edge.redis.hget(head_key(edge, article), article))
    pattern = "tally:{%d}:%d:*" % (article_shard(article, edge.store.shards()), head.number)
    return [(key, field, value) for key in edge.redis.scan_iter(pattern) for field, value in edge.redis.hgetall(key).items()]


# --- consistent ---

def test_nothing_and_random_reactions_are_consistent(edge):
    assert consistent(edge)["articles"]["audited"] == 0
    rng = random.Random(4)
    readers = [edge.client() for _ in range(20)]
    articles = ["audit/a%d" % i for i in range(30)]
    for _ in range(400):
        reader = rng.choice(readers)
        reader.send("reactions/" + rng.choice(articles), rng.choice(KINDS), qos=rng.choice([0, 1]))
    for reader in readers:
        reader.flush()
    edge.settle()
    report = consistent(edge)
    books = report["books"]
    assert books["admitted"] == edge.header.admitted() == books["applied"] + books["in_spool"] > 0
    assert books["quarantined"] == books["lost"] == 0 and len(books["rings"]) == edge.store.shards()
    assert sum(ring["appended"] for ring in books["rings"]) == books["admitted"]
    heads = edge.store.heads()
    assert report["articles"] == {"audited": len(heads), "differ": 0, "unchecked": 0}
    assert report["redis"]["registers"] >= sum(head.voters for _shard, head in heads.values())
    text = subprocess.run(edge.command_argv("audit"), stdout=subprocess.PIPE, env=edge.env, text=True, timeout=4 * TIMEOUT_S)
    assert text.returncode == 0 and text.stdout.endswith("\nconsistent\n")
    assert "admitted %d = applied %d + in the spool 0 + quarantined 0 + lost 0" % (books["admitted"], books["applied"]) in text.stdout


def test_an_article_that_nobody_reacted_to_is_consistent(edge):
    assert consistent(edge, articles="nobody/was-here")["articles"]["audited"] == 1


@pytest.mark.slow
def test_consistent_while_readers_react(edge):
    with Load(edge, ["load/a%d" % i for i in range(12)], readers=6) as load:
        load.wait_more(200)
        for _ in range(2):
            before = load.total()
            report = consistent(edge)
            assert report["books"]["admitted"] >= before
            load.wait_more(50)
    edge.settle()
    consistent(edge)


def test_what_waits_in_the_spool_is_in_the_books(edge):
    react(edge, "waits/a", ["like"])
    edge.kill("collector")
    client = edge.client()
    for i in range(7):
        client.say("reactions/waits/a", KINDS[i])
    books = consistent(edge)["books"]
    assert books["in_spool"] == 7 and books["admitted"] == books["applied"] + 7
    edge.start("collector")
    edge.settle()
    assert consistent(edge)["books"]["in_spool"] == 0


@pytest.mark.slow
def test_consistent_under_a_topic_prefix(make_edge):
    prefix = {"topic_prefix": "news/"}
    edge = make_edge(plugin=prefix, collector=prefix, feed=prefix).start()
    edge.client().say("news/reactions/prefixed/a%2B", b"like")
    edge.settle()
    done = subprocess.run(edge.command_argv("audit", "--json", "--topic-prefix", "news/"), stdout=subprocess.PIPE, env=edge.env, timeout=4 * TIMEOUT_S)
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["articles"] == {"audited": 1, "differ": 0, "unchecked": 0}, report
    differs(edge, [("retained", "prefixed/a%2B", "there", -1)])  # if there is no prefix, nothing is retained


@pytest.mark.slow
def test_consistent_after_kills_and_renamed_rings(edge):
    articles = ["kills/a%d" % i for i in range(8)]
    for name in ("broker", "collector", "redis", "feed"):
        with Load(edge, articles, readers=4) as load:
            load.wait_more(100)
            edge.kill(name)
            edge.start(name)
            load.wait_more(100)
            edge.wait_ready()
            consistent(edge)
    gone = consistent(edge)["books"]["gone"]["applied"]
    with Load(edge, articles, readers=4) as load:
        load.wait_more(50)
        for path in spool_bytes.rings(edge.spool).values():
            spool_bytes.poke(path, spool_bytes.ROTATE_AT, struct.pack("<I", 1))
        consistent(edge)
        load.wait_more(100)
    edge.settle()
    wait_until(lambda: consistent(edge, articles=articles[0])["books"]["gone"]["applied"] > gone, "the old rings' numbers in the books")


# --- tampered with ---

@pytest.fixture
def article(edge, request):
    """An article of nine voters, quiet: its total was sent for the last time."""
    name = "tamper/" + request.node.name.split("[")[0].replace("test_", "")
    react(edge, name, ["like", "like", "like", "sad", "sad", "wow", "angry", "none", "love"], prefix=name.replace("/", "-"))
    quiet(edge)
    consistent(edge)
    return name


def quiet(edge):
    """Waits until the feed has nothing more to repeat."""
    def repeats():
        metrics = edge.metrics()
        return metrics and (metrics["tally_feed_changed_totals_total"], metrics["tally_feed_repeated_totals_total"])
    last = [repeats(), time.monotonic()]

    def still():
        now = repeats()
        if now != last[0]:
            last[:] = [now, time.monotonic()]
        return time.monotonic() - last[1] > 0.6  # three times repeat_ms of this edge
    wait_until(still, "the feed to have sent its last repeat")


def differs(edge, want, **more):
    """Audits; exactly these (link, article or what of, what, found - expected) must differ."""
    result = audit(edge, **more)
    assert result.status == 1 and result.report["verdict"] == "differs", result.text
    got = {(link, of, what, found - expected) for link, of, what, expected, found in differences(result)}
    assert got == set(want), result.text
    return result


@pytest.mark.slow
def test_a_register_that_was_changed(edge, article):
    kinds = {name: number for number, name in edge.store.kinds().items()}
    key, field, value = next(r for r in registers_of(edge, article) if r[2][6] & 15 == kinds["like"])
    edge.redis.hset(key, field, value[:6] + bytes([value[6] & 0xF0 | kinds["wow"]]))
    differs(edge, [("registers", article, "like", 1), ("registers", article, "wow", -1)])
    text = subprocess.run(edge.command_argv("audit", "--articles", article), stdout=subprocess.PIPE, env=edge.env, text=True, timeout=4 * TIMEOUT_S)
    assert text.returncode == 1 and text.stdout.endswith("\ndiffers\n")
    assert "differs: registers %s like: expected 2, found 3 (+1)\n" % article in text.stdout
    edge.redis.hset(key, field, value)
    consistent(edge)


@pytest.mark.slow
def test_a_register_that_was_deleted(edge, article):
    kinds = {name: number for number, name in edge.store.kinds().items()}
    key, field, value = next(r for r in registers_of(edge, article) if r[2][6] & 15 == kinds["sad"])
    edge.redis.hdel(key, field)
    differs(edge, [("registers", article, "sad", 1), ("registers", article, "voters", 1)])
    edge.redis.hset(key, field, value)
    consistent(edge)


@pytest.mark.slow
def test_registers_of_no_known_form(edge, article):
    key, _field, _value = registers_of(edge, article)[0]
    edge.redis.hset(key, b"short", b"x")
    differs(edge, [("registers", article, "of an unknown form", 1), ("registers", article, "voters", -1)])
    edge.redis.hdel(key, b"short")
    consistent(edge)


@pytest.mark.slow
def test_a_count_that_was_changed(edge, article):
    key = head_key(edge, article)
    raw = edge.redis.hget(key, article)
    first_kind = edge.store.kinds()[raw[24]]
    (count,) = struct.unpack_from("<I", raw, 25)
    edge.redis.hset(key, article, raw[:25] + struct.pack("<I", count + 5) + raw[29:])
    differs(edge, [("registers", article, first_kind, 5), ("retained", article, first_kind, -5), ("retained", article, "total", -5)])
    edge.redis.hset(key, article, raw)
    consistent(edge)


@pytest.mark.slow
def test_a_base_that_was_changed(edge, article):
    """It is counted in addition to the registers: Redis and HTTP agree, and the broker shows the earlier total."""
    key = head_key(edge, article).replace("heads", "base")
    edge.redis.hset(key, article, struct.pack("<BBBq", 1, 1, 1, 1000))
    kind = edge.store.kinds()[1]
    differs(edge, [("retained", article, kind, -1000), ("retained", article, "total", -1000)])
    edge.redis.hset(key, article, b"rubbish")
    differs(edge, [("redis", article, "damaged base", 1)])
    edge.redis.hdel(key, article)
    consistent(edge)


@pytest.mark.slow
@pytest.mark.parametrize("by", [-7, 1000])
def test_a_version_that_was_changed(edge, article, by):
    """A feed that happens to look at the article gives it a higher version, and all agrees again: then it is changed once more."""
    key = head_key(edge, article)
    for _ in range(5):
        touched = edge.metrics()["tally_feed_touched_totals_total"]
        raw = edge.redis.hget(key, article)
        (version,) = struct.unpack_from("<Q", raw, 2)
        edge.redis.hset(key, article, raw[:2] + struct.pack("<Q", version + by) + raw[10:])
        result = audit(edge, articles=article)
        if edge.metrics()["tally_feed_touched_totals_total"] == touched:
            break
        quiet(edge)
    assert result.status == 1, result.text
    found = differences(result)
    assert ("redis", article, "version", version, version + by) in found
    assert ("retained", article, "version", version + by, version) in found
    assert {of for _link, of, *_rest in found} == {article}
    edge.redis.hset(key, article, raw)
    consistent(edge)


@pytest.mark.slow
def test_a_head_that_is_none(edge, article):
    key = head_key(edge, article)
    raw = edge.redis.hget(key, article)
    edge.redis.hset(key, article, b"rubbish")
    differs(edge, [("redis", article, "damaged head", 1)])
    edge.redis.hset(key, article, raw)
    consistent(edge)


@pytest.mark.slow
def test_a_retained_total_that_was_forged(edge, article):
    total = shown(edge, article)
    forged = dict(total, total=total["total"] + 100, counts=dict(total["counts"], love=total["counts"]["love"] + 100))
    feed = edge.service("tally-feed")
    feed.say("totals/" + article, json.dumps(forged).encode(), retain=True)
    differs(edge, [("retained", article, "love", 100), ("retained", article, "total", 100)])
    differs(edge, [("retained", article, "love", 100), ("retained", article, "total", 100)], articles=article)
    feed.say("totals/" + article, b"nothing of the kind", retain=True)
    differs(edge, [("retained", article, "of an unknown form", 1)])
    feed.say("totals/" + article, b"", retain=True)
    differs(edge, [("retained", article, "there", -1)])
    feed.say("totals/" + article, json.dumps(total).encode(), retain=True)
    consistent(edge)


@pytest.mark.slow
def test_a_retained_total_of_no_article(edge, article):
    feed = edge.service("tally-feed")
    total = dict(shown(edge, article), article="tamper/ghost")
    feed.say("totals/tamper/ghost", json.dumps(total).encode(), retain=True)
    differs(edge, [("retained", "tamper/ghost", "there", 1)])
    feed.say("totals/tamper/ghost", b"", retain=True)
    consistent(edge)


@pytest.mark.slow
def test_what_http_says(edge, article):
    """A feed that says something else, such as one of another deployment."""

    class Other(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, _headers, body = edge.get(self.path)
            total = json.loads(body)
            total["counts"]["wow"] += 2
            body = json.dumps(total).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        argv = edge.command_argv("audit", "--articles", article, "--json")
        argv[argv.index("--http-port") + 1] = str(server.server_address[1])
        done = subprocess.run(argv, stdout=subprocess.PIPE, env=edge.env, text=True, timeout=4 * TIMEOUT_S)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode == 1
    assert differences(Result(1, json.loads(done.stdout), "")) == [("http", article, "wow", 1, 3)]


# --- the books ---

@pytest.mark.slow
def test_a_retained_total_of_another_count(edge, article):
    total = shown(edge, article)
    edge.service("tally-feed").say("totals/" + article, json.dumps(dict(total, total=total["total"] + 1)).encode(), retain=True)
    differs(edge, [("retained", article, "total", 1)])
    edge.service("tally-feed").say("totals/" + article, json.dumps(total).encode(), retain=True)


@pytest.mark.slow
def test_the_plugins_counter(edge, article):
    admitted = edge.header.admitted()
    spool_bytes.poke(edge.header.path, 144, struct.pack("<Q", admitted + 3))
    differs(edge, [("books", "edge", "admitted", -3)])
    spool_bytes.poke(edge.header.path, 144, struct.pack("<Q", admitted))
    consistent(edge)


@pytest.mark.slow
def test_a_rings_header(edge, article):
    shard = article_shard(article, edge.store.shards())
    path = spool_bytes.rings(edge.spool)[shard]
    ring = spool_bytes.Ring(path)
    applied, write = ring.applied(), ring.write()
    name = "ring-%d" % shard
    spool_bytes.poke(path, spool_bytes.APPLIED_AT, struct.pack("<Q", applied + 64))
    differs(edge, [("books", name, "applied up to", 64)])
    spool_bytes.poke(path, spool_bytes.APPLIED_AT, struct.pack("<Q", applied))
    edge.kill("collector")
    spool_bytes.poke(path, spool_bytes.WRITE_AT, struct.pack("<Q", write - 64))
    result = audit(edge)
    assert ("books", name, "written", write, write - 64) in differences(result), result.text
    spool_bytes.poke(path, spool_bytes.WRITE_AT, struct.pack("<Q", write + 64))
    differs(edge, [("books", name, "damaged records", 1)])
    spool_bytes.poke(path, spool_bytes.WRITE_AT, struct.pack("<Q", write))
    edge.start("collector")
    consistent(edge)


@pytest.mark.slow
def test_redis_lost_or_doubled_what_it_had(edge, article):
    shard = article_shard(article, edge.store.shards())
    books = "tally:{%d}:books" % shard
    field = "%016x:applied" % edge.header.edge_id()
    edge.redis.hincrby(books, field, 4)
    differs(edge, [("books", "edge", "admitted", 4)])
    edge.redis.hincrby(books, field, -4)
    edge.kill("collector")
    rings, ring = "tally:{%d}:rings" % shard, "%016x" % spool_bytes.Ring(spool_bytes.rings(edge.spool)[shard]).ring_id()
    raw = edge.redis.hget(rings, ring)
    position, sequence, *rest = struct.unpack("<5Q", raw)
    edge.redis.hset(rings, ring, struct.pack("<5Q", position, sequence - 2, *rest))
    differs(edge, [("books", "edge", "admitted", -2)])
    edge.redis.hset(rings, ring, raw)
    edge.start("collector")
    consistent(edge)


# --- could not be checked ---

@pytest.mark.slow
def test_what_cannot_be_checked(edge):
    def without(name, value):
        argv = edge.command_argv("audit", "--json")
        argv[argv.index(name) + 1] = value
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=edge.env, text=True, timeout=4 * TIMEOUT_S)
        assert done.returncode == 2, done
        return done
    for name in ("--redis-port", "--mqtt-port", "--http-port"):
        report = json.loads(without(name, "1").stdout)
        assert report["verdict"] == "could not be checked" and report["not_checked"], report
    assert "spool" in json.loads(without("--spool", edge.spool + "-of-nobody").stdout)["not_checked"]
    assert "services_file" in without("--services-file", edge.path("reader.key")).stderr
    for arguments in (["--articles", "a//b"], ["--user", "tally-feed"], ["--bogus"]):
        done = subprocess.run(edge.command_argv("audit", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=edge.env, text=True)
        assert done.returncode == 2 and done.stderr.startswith("tally audit: ") and not done.stdout
        assert edge.secret("operator") not in done.stderr
    assert subprocess.run([edge.program("tally"), "bogus"], stderr=subprocess.PIPE).returncode == 2


# --- whom it may hold up ---

def paused(edge, shard):
    """Whether an audit has the shard pause now, by Redis's clock."""
    words = (edge.redis.hget("tally:{%d}:meta" % shard, "pause") or b"").split()
    seconds, us = edge.redis.time()
    return len(words) == 3 and int(words[0]) <= seconds * 1000000 + us < int(words[1])


@pytest.mark.slow
def test_a_dead_auditor_does_not_stop_applying(edge, article):
    shard = article_shard(article, edge.store.shards())
    key = head_key(edge, article)
    raw = edge.redis.hget(key, article)
    edge.redis.hset(key, article, raw[:25] + struct.pack("<I", 77) + raw[29:])  # so that it comes to a pause
    auditor = subprocess.Popen(edge.command_argv("audit", "--articles", article), stdout=subprocess.DEVNULL, env=edge.env)
    try:
        wait_until(lambda: paused(edge, shard), "the audit's pause", every_s=0.005)
        auditor.send_signal(signal.SIGKILL)
    finally:
        auditor.kill()
        auditor.wait()
    begun = time.monotonic()
    edge.redis.hset(key, article, raw)
    client = edge.client()
    assert client.say("reactions/" + article, "like") in (0x00, 0x10)
    assert edge.health()[0] == 200, "a pause is not a fault"
    edge.settle()
    print("applied %.2f s after the auditor was killed" % (time.monotonic() - begun))
    assert parse_head(edge.redis.hget(key, article)).voters == 10
    assert "nothing is applied" not in edge["collector"].text() and "cannot apply a batch" not in edge["collector"].text()
    consistent(edge)


FOREIGN = 0x0F3C5A0000000002  # an edge elsewhere, whose rings are not here


def put_votes(edge, article, n, batch=1000):
    """As an edge elsewhere would."""
    shards = edge.store.shards()
    shard = article_shard(article, shards)
    sha = edge.redis.script_load(script_text("collector/register.lua"))
    keys = ["tally:{%d}:%s" % (shard, name) for name in ("heads", "changed", "meta", "rings")]
    rng, ring = random.Random(n), "%016x" % random.getrandbits(63)
    stamp = (1_700_000_000 << 11)
    for start in range(0, n, batch):
        votes = b"".join(rng.randbytes(8) + ((stamp + start + i) << 4 | rng.randrange(8)).to_bytes(7, "big") for i in range(batch))
        call = (sha, 4, *keys, ring, struct.pack("<Q", start * 64), struct.pack("<QQ", (start + batch) * 64, start + batch),
                0, 0, struct.pack("<Q", FOREIGN), 48, shard, 0, edge.store.fields()["id"], article, votes)
        answer = wait_until(lambda: (lambda a: a[0] != b"paused" and a)(edge.redis.evalsha(*call)), "the end of a pause")
        assert answer[0] == b"ok"


@pytest.mark.slow
@pytest.mark.no_sanitizer
def test_a_large_article_holds_redis_for_slices_only(edge):
    article = "large/article"
    put_votes(edge, article, 200000)
    edge.redis.config_set("slowlog-max-len", 10000)
    edge.redis.config_set("slowlog-log-slower-than", 0)
    edge.redis.slowlog_reset()
    report = consistent(edge, articles=article)
    calls = [e["duration"] for e in edge.redis.slowlog_get(10000) if e["command"].startswith(b"EVALSHA") and article.encode() in e["command"]]
    edge.redis.config_set("slowlog-log-slower-than", 10000)
    assert report["redis"]["registers"] >= 200000
    assert report["redis"]["largest_slice"] <= SLICE and report["redis"]["slices"] >= 200000 // SLICE
    assert len(calls) >= 200000 // SLICE
    print("200,000 votes: %d calls, longest %.2f ms, mean %.2f ms" % (len(calls), max(calls) / 1000, sum(calls) / len(calls) / 1000))
    with Load(edge, [article], readers=4) as load:
        load.wait_more(50)
        result = audit(edge, articles=article)
        load.wait_more(50)
    report = result.report
    # A machine that is too slow or too busy to count so many within the longest pause says so.
    assert (result.status, report["verdict"], report["not_checked"]) in (
        (0, "consistent", ""), (2, "could not be checked", article + ": it changed too fast to audit")), result.text
    assert not report["differences"]
    print("under load: %(slices)d slices, %(pauses)d pauses, %(paused_ms)d ms" % report["redis"])
    assert report["redis"]["pauses"] >= 1 and report["redis"]["largest_slice"] <= SLICE
    begun_us, ended_us, _whose = edge.redis.hget("tally:{%d}:meta" % article_shard(article, edge.store.shards()), "pause").split()
    assert int(ended_us) - int(begun_us) <= 2000000
    edge.settle()
    consistent(edge)


def test_an_audit_reads_only(edge, article):
    """But for the pause, Redis is as it was; the spool's files too."""
    def everything():
        kept = {key: edge.redis.dump(key) for key in edge.redis.keys() if not key.endswith((b":meta", b":store"))}
        return kept, {f: v for f, v in edge.redis.hgetall("tally:store").items() if not f.startswith(b"seen:")}

    def files():
        return {path: hashlib.sha256(open(path, "rb").read()).hexdigest() for path in glob.glob(os.path.join(glob.escape(edge.spool), "ring-*"))}
    before, spool = everything(), files()
    consistent(edge)
    assert everything() == before and files() == spool


# --- the collector's own ---

def _audits(operator):
    return [json.loads(m.payload) for m in operator.got(topic="ops/audit")]


@pytest.mark.slow
def test_the_collectors_own_audit(make_edge):
    edge = make_edge(collector={"audit_per_minute": 600}).start()
    operator = edge.service("operator")
    operator.watch("ops/audit")
    articles = ["own/a", "own/b"]
    put_votes(edge, "own/large", 30000)
    with Load(edge, articles, readers=4) as load:
        load.wait_more(100)
        operator.wait(lambda: {a["article"] for a in _audits(operator)} >= set(articles + ["own/large"]), "an audit of each article")
        load.wait_more(100)
    last = _audits(operator)[-1]
    assert last["differing"] == 0 and last["last_difference"] is None and last["audited"] >= 3
    edge.settle()
    consistent(edge)

    kinds = {name: number for number, name in edge.store.kinds().items()}
    key, field, value = next(r for r in registers_of(edge, articles[0]) if r[2][6] & 15 not in (0, kinds["love"]))
    was = edge.store.kinds()[value[6] & 15]
    head = parse_head(edge.redis.hget(head_key(edge, articles[0]), articles[0]))
    edge.redis.hset(key, field, value[:6] + bytes([value[6] & 0xF0 | kinds["love"]]))
    found = operator.wait(lambda: [a for a in _audits(operator) if a["differing"]], "the difference")[0]["last_difference"]
    assert found["article"] == articles[0] and found["link"] == "registers" and found["what"] in (was, "love"), found
    assert found["found"] == head.counts.get(kinds[found["what"]], 0)
    assert found["found"] - found["expected"] == (1 if found["what"] == was else -1)
    assert 'msg="the audit found a difference" article=' + articles[0] in edge["collector"].text()
    wait_until(lambda: edge.metrics().get("tally_audit_differing_total", 0) >= 1 and edge.metrics().get("tally_audit_articles_total", 0) >= 3, "the metrics")
    assert edge.health()[0] == 200

    edge.restart("broker")  # which forgets
    again = edge.service("operator")
    again.watch("ops/audit")
    again.wait(lambda: again.got(topic="ops/audit"), "ops/audit of another broker")


def test_no_audit_of_its_own_where_it_is_off(edge, article):
    operator = edge.service("operator")
    operator.watch("ops/#")
    status = edge.status(operator, lambda s: s["applied"] > 0, "a status")
    assert status["audited"] == 0 and not operator.got(topic="ops/audit")

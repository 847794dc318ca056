"""`tally audit` against a whole edge: what is consistent is said to be so, also under load; whichever link of the chain from the spool to
HTTP is tampered with, it is named with its article, kind and difference; and no audit, dead or alive, holds up Redis or applying."""

import collections
import json
import random
import signal
import struct
import subprocess
import time

import pytest

import spool_bytes
from clients import TIMEOUT_S
from edge import wait_until
from load import Load
from store import article_shard, bucket_of, parse_head, reader_hash

EDGE = {}
KINDS = Load.KINDS
SLICE = 1000  # registers a call counts: cli/store_view.c

Result = collections.namedtuple("Result", "status report text")


def audit(edge, articles="all", more=()):
    """Runs it. What it says as text is checked to agree with what it says as JSON by the tests that look at both."""
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
    assert books["set_aside"] == books["lost"] == 0 and len(books["rings"]) == edge.store.shards()
    assert sum(ring["appended"] for ring in books["rings"]) == books["admitted"]
    heads = edge.store.heads()
    assert report["articles"] == {"audited": len(heads), "differ": 0, "unchecked": 0}
    assert report["redis"]["registers"] >= sum(head.voters for _shard, head in heads.values())
    text = subprocess.run(edge.command_argv("audit"), stdout=subprocess.PIPE, env=edge.env, text=True, timeout=4 * TIMEOUT_S)
    assert text.returncode == 0 and text.stdout.endswith("\nconsistent\n")
    assert "admitted %d = applied %d + in the spool 0 + set aside 0 + lost 0" % (books["admitted"], books["applied"]) in text.stdout


def test_an_article_that_nobody_reacted_to_is_consistent(edge):
    assert consistent(edge, articles="nobody/was-here")["articles"]["audited"] == 1


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

"""Redis behind a name that moves to a promoted replica; Redis that takes no writes because its memory is full."""

import json
import os
import subprocess
import sys

import pytest

from clients import TIMEOUT_S, unique
from edge import ROOT, wait_until
from load import Load
from test_operate import argv_of
from test_recovery import _articles, _books, _check

sys.path.append(os.path.join(ROOT, "tests", "faults"))

import failover as failovers  # noqa: E402


@pytest.fixture
def moving(make_edge):
    """An edge whose Redis has a replica and a name, and what moves it."""
    edge = make_edge()
    name = failovers.lay(edge)
    moving = failovers.Failover(edge, name)
    try:
        edge.start("redis")
        moving.start()
        edge.start("broker", "collector", "feed")
        yield moving
    finally:
        edge.kill("collector", "feed")
        moving.close()
        name.close()


def _react(edge, article, kind="like"):
    client = edge.client()
    client.watch("totals/" + article)
    assert client.say("reactions/" + article, kind) < 0x80
    client.wait(lambda: [m for m in client.got(topic="totals/" + article) if m.payload and json.loads(m.payload)["counts"][kind]], "its total")


def test_a_replica_is_promoted_under_load(moving):
    edge = moving.edge
    with Load(edge, _articles()) as load:
        for _ in range(2):
            load.wait_more(200)
            moving.fail_over()
            load.wait_more(200)
            wait_until(lambda: not moving.left_behind(), "every connection to leave the demoted primary")
            edge.wait_ready()
            moving.wait_replica()
    _check(edge, load)
    assert _books(edge) == (edge.header.admitted(), 0, 0)


def test_a_replica_is_promoted_while_nobody_writes(moving):
    """No error tells that the primary was demoted, and no connection ends."""
    edge = moving.edge
    article = unique("quiet")
    _react(edge, article)
    edge.settle()
    moving.wait_replica()
    moving.fail_over()
    wait_until(lambda: not moving.left_behind(), "every connection to leave the demoted primary")
    edge.wait_ready()
    _react(edge, article)
    edge.settle()
    edge.redis.ping()
    assert edge.totals_over_http([article]) == {article: {"like": 2}}


def test_the_name_moves_later(moving):
    """For a while there is no primary behind it: health says so, and what readers say waits."""
    edge = moving.edge
    with Load(edge, _articles()) as load:
        load.wait_more(100)
        moving.promote()
        moving.demote()
        edge.wait_unhealthy('"redis: it is a replica of 127.0.0.1:%d, not a primary"' % edge.redis_port)
        edge.wait_unhealthy('"collector: redis: away: it is a replica of 127.0.0.1:%d, not a primary"' % edge.redis_port)
        load.wait_more(200)
        moving.move()
        edge.wait_ready()
        load.wait_more(100)
    _check(edge, load)


def _command(edge, port, command, *more):
    argv = edge.command_argv(command, *more) if command == "audit" else argv_of(edge, command, *more)
    argv[argv.index("--redis-port") + 1] = str(port)
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=edge.env, text=True, timeout=TIMEOUT_S)


@pytest.mark.parametrize("command", [["audit"], ["export"], ["reset", "a/b"], ["archive", "a/b"], ["article", "a/b", "--state=closed"],
                                     ["import", "--file=FILE"], ["erase", "--reader-file=KEY", "--source=username", "--counts=keep", "--key-file=KEY"]],
                         ids=lambda words: words[0])
def test_a_command_names_the_role(moving, command):
    """Each of the operator's commands that needs Redis, given the port of a replica."""
    edge = moving.edge
    file = edge.path("counts.csv")
    with open(file, "w") as f:
        f.write("article,kind,count\na/b,like,1\n")
    done = _command(edge, moving.other_port, *(word.replace("KEY", edge.path("reader.key")).replace("FILE", file) for word in command))
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "127.0.0.1:%d: it is a replica of 127.0.0.1:%d, not a primary" % (moving.other_port, edge.redis_port) in said, said


def test_redis_is_full(make_edge):
    """Reads continue; reactions wait, and are counted once there is memory."""
    edge = make_edge().start()
    articles = _articles(4)
    with Load(edge, articles) as load:
        load.wait_more(100)
        edge.settle()
        before = edge.totals_over_http(articles)
        edge.redis.config_set("maxmemory", 1)
        said = edge.wait_unhealthy("full")
        assert "maxmemory" in said
        edge.wait_unhealthy("full")
        load.wait_more(100)
        assert set(edge.totals_over_http(articles)) == set(before)
        done = _command(edge, edge.redis_port, "export")
        assert done.returncode == 0, done.stderr
        assert all(article in done.stdout for article in articles)
        assert '"redis: ' not in edge.health()[1], edge.health()  # the feed reads
        edge.redis.config_set("maxmemory", 0)
        edge.wait_ready()
        load.wait_more(50)
    _check(edge, load)
    assert _books(edge) == (edge.header.admitted(), 0, 0)


def test_redis_is_full_and_nobody_writes(make_edge):
    edge = make_edge().start()
    article = unique("full")
    _react(edge, article)
    edge.settle()
    edge.redis.config_set("maxmemory", 1)
    edge.wait_unhealthy("full")
    assert edge.totals_over_http([article]) == {article: {"like": 1}}
    edge.redis.config_set("maxmemory", 0)
    edge.wait_ready()

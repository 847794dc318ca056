"""Secrets stay where they belong: a whole run of an edge whose services, reader key and Redis have secrets, and nowhere else a piece of one."""

import glob
import os
import re

import pytest
import redis as redis_py

from clients import Closed, Refused, unique
from edge import PROGRAMS, wait_until

PASSWORD = "open-sesame-5d1f-9a77-c3b0"
WRONG = ["a-secret-that-is-wrong-4b8a", "operator-almost-c0ffee-secret"]
PIECE = 12  # as many bytes of a secret in a row would be a leak


def _pieces(secret):
    return {secret[i:i + PIECE] for i in range(len(secret) - PIECE + 1)}


@pytest.fixture
def guarded(make_edge):
    """An edge whose Redis wants a password."""
    edge = make_edge()
    password_file = os.path.join(edge.directory, "redis.password")
    with open(password_file, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write(PASSWORD + "\n")
    with open(edge.path("redis.conf"), "a") as conf:
        conf.write("requirepass %s\n" % PASSWORD)
    edge._redis = redis_py.Redis(host="127.0.0.1", port=edge.redis_port, password=PASSWORD, socket_timeout=10)
    for name in ("collector", "feed"):
        edge[name].argv += ["--redis-password-file", password_file, "--log-level", "debug"]
    return edge.start()


def _use(edge):
    """A bit of everything that handles a secret: right and wrong ones, refusals, restarts, a reload, Redis going away."""
    client = edge.client()
    article = unique("secret")
    client.watch("receipts/" + client.name)
    client.say("reactions/" + article, b"like", response_topic="receipts/" + client.name, correlation=b"1")
    client.say("reactions/" + article, b"meh", response_topic="receipts/" + client.name, correlation=b"2")
    client.wait(lambda: len(client.got(prefix="receipts/")) == 2, "receipts")
    for username in ("operator", "tally-feed", "newsroom"):
        for wrong in WRONG:
            with pytest.raises((Refused, Closed)):
                edge.client(username=username, password=wrong)
    edge["broker"].child.send_signal(1)
    edge.restart("collector", "feed")
    edge.restart("redis")
    edge.settle()
    return client


def _shown(edge):
    """Everything that others can read, as (where, bytes)."""
    for path in glob.glob(os.path.join(edge.directory, "*.log")):
        with open(path, "rb") as log:
            yield path, log.read()
    for name in PROGRAMS:
        for what in ("cmdline", "environ"):
            with open("/proc/%d/%s" % (edge[name].child.pid, what), "rb") as f:
                yield name + " " + what, f.read()
    for path in ("/", "/dashboard", "/tally.js", "/dashboard.js", "/ops", "/ops.js", "/metrics", "/healthz", "/totals/demo", "/totals?articles=a,b", "/services", "/%2e%2e/services",
                 "/reader.key", "/nothing"):
        _status, headers, body = edge.get(path)
        yield "HTTP " + path, str(headers).encode() + body
    operator = edge.service("operator")
    operator.watch("#", "$SYS/#")
    wait_until(lambda: operator.got(topic="ops/collector") and operator.got(topic="ops/health") and operator.got(topic="ops/feed"), "what is on ops/")
    operator.flush()
    for message in operator.messages:
        yield "MQTT " + message.topic, message.topic.encode() + message.payload
    for path in glob.glob(os.path.join(edge.spool, "*")):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                yield path, f.read()
    for key in edge.redis.scan_iter(count=1000):
        yield "Redis", key + (edge.redis.dump(key) or b"")


@pytest.mark.slow
def test_no_secret_is_anywhere_else(guarded):
    edge = guarded
    _use(edge)
    key = edge.key()
    secrets = [edge.secret(name).encode() for name in ("tally-collector", "tally-feed", "operator", "newsroom")]
    secrets += [key.hex().encode(), key.hex().upper().encode(), key, PASSWORD.encode()] + [wrong.encode() for wrong in WRONG]
    pieces = set().union(*map(_pieces, secrets))
    pattern = re.compile(b"|".join(re.escape(piece) for piece in sorted(pieces)))
    seen = set()
    for where, data in _shown(edge):
        seen.add(where.split(" ")[0])
        found = pattern.search(data)
        assert found is None, "%s holds %r" % (where, data[max(0, found.start() - 40):found.end() + 8])
    assert {"HTTP", "MQTT", "Redis", "broker", "collector", "feed"} <= seen
    # The same search finds one where there is one.
    with open(edge.path("services"), "rb") as services:
        assert pattern.search(services.read())


def test_files_with_secrets_are_their_owners(edge):
    for name in ("services", "reader.key"):
        assert os.stat(edge.path(name)).st_mode & 0o077 == 0, name

"""The peers on their own Redis and bare Mosquitto: what they count, exactly, and what they report.

    TALLY_BUILD=build/debug /usr/bin/python3 -m pytest bench/peers
"""

import collections
import json
import os
import random
import shutil
import subprocess
import sys

import paho.mqtt.publish as publish
import pytest
import redis

PEERS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(PEERS))
sys.path[:0] = [os.path.join(ROOT, "tests", folder) for folder in ("system", "faults")]

import redis_server  # noqa: E402
from child import dying_with_parent  # noqa: E402
from edge import broker_program, build_dir, free_ports, release_ports, wait_until  # noqa: E402

KINDS = ("like", "dislike", "love", "funny", "angry", "sad", "wow")
ARTICLES = ("demo", "world/migrant-caravan", "a/b/c/d")
# What no peer counts.
BAD = (b"", b"angry", b"{", b"{}", b"null", b"[1]", b'"like"', b"\xff\xfe", b'{"reaction":7,"reader":"reader-1"}')
WAIT_S = 30
MEMBERS = ["program", "received", "counted", "bad", "first_ns", "last_ns", "cpu_seconds"]
NODE = ["node", os.path.join(PEERS, "afternoon.mjs")]
ARGV = {
    "afternoon": NODE,
    "afternoon-honest": NODE + ["--honest=on"],
    "paho-peer": ["/usr/bin/python3", os.path.join(PEERS, "paho_peer.py")],
    "tally-peer": [os.path.join(build_dir(), "bench", "tally-peer"), "--script=" + os.path.join(PEERS, "honest.lua")],
}
BROKER = """listener %d 127.0.0.1
allow_anonymous true
persistence false
log_type error
max_queued_messages 100000
set_tcp_nodelay true
"""


class Servers:
    def __init__(self, folder):
        self.mqtt, self.redis_port = free_ports(2)
        conf = os.path.join(folder, "mosquitto.conf")
        with open(conf, "w") as out:
            out.write(BROKER % self.mqtt + ("user root\n" if os.geteuid() == 0 else ""))
        self.children = []
        self.run([broker_program(), "-c", conf])
        self.run([redis_server.program(), "--bind", "127.0.0.1", "--port", str(self.redis_port), "--dir", str(folder), "--save", ""])
        self.redis = redis.Redis(host="127.0.0.1", port=self.redis_port, decode_responses=True)
        wait_until(self.up, "broker and Redis to answer")

    def run(self, argv):
        self.children.append(subprocess.Popen(dying_with_parent(argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                              stderr=subprocess.DEVNULL))

    def up(self):
        assert all(child.poll() is None for child in self.children)
        try:
            self.publish([("up", b"?")])
            return self.redis.ping()
        except (OSError, redis.RedisError):
            return False

    def publish(self, messages):
        publish.multiple([{"topic": topic, "payload": payload, "qos": 1} for topic, payload in messages], hostname="127.0.0.1", port=self.mqtt)

    def totals(self):
        """(article, kind) → count, without those that are 0."""
        keys = self.redis.keys("tally:*")
        return {(key[len("tally:"):], kind): int(n) for key in keys for kind, n in self.redis.hgetall(key).items() if n != "0"}

    def close(self):
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait()
        release_ports([self.mqtt])


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    made = Servers(tmp_path_factory.mktemp("peers"))
    yield made
    made.close()


@pytest.fixture(params=sorted(ARGV))
def name(request):
    if ARGV[request.param][0] == "node":
        if shutil.which("node") is None:
            pytest.skip("node is not installed")
        if not os.path.isdir(os.path.join(PEERS, "node_modules")):
            pytest.skip("its packages are not installed: npm ci --prefix bench/peers")
    return request.param


@pytest.fixture
def start(servers, name):
    """A function that starts the peer on an empty Redis and waits until it is ready."""
    servers.redis.flushall()
    begun = []

    def begin(**options):
        argv = ARGV[name] + ["--port=%d" % servers.mqtt, "--redis-port=%d" % servers.redis_port] + ["--%s=%s" % option for option in options.items()]
        child = subprocess.Popen(dying_with_parent(argv), stdout=subprocess.PIPE, text=True)
        begun.append(child)
        assert child.stdout.readline() == "ready\n"
        return child

    yield begin
    for child in begun:
        child.kill()
        child.communicate()


def said_by(child):
    out, _ = child.communicate(timeout=WAIT_S)
    assert child.returncode == 0
    lines = out.splitlines()
    assert len(lines) == 1
    said = json.loads(lines[0])
    assert list(said) == MEMBERS and said["cpu_seconds"] > 0
    return said


def reaction(reader, kind):
    return json.dumps({"reaction": kind, "reader": reader}).encode()


def some_reactions(n, seed):
    """(article, reader, kind): few readers, so that most change, repeat or take back."""
    dice = random.Random(seed)
    readers = ["reader-%012x" % i for i in range(8)]
    return [(dice.choice(ARTICLES), dice.choice(readers), dice.choice(KINDS + ("none",) * 2)) for _ in range(n)]


def expected(name, reactions):
    if name == "afternoon":
        return dict(collections.Counter((article, kind) for article, _reader, kind in reactions))
    last = {(article, reader): kind for article, reader, kind in reactions}
    return dict(collections.Counter((article, kind) for (article, _reader), kind in last.items() if kind != "none"))


def messages_of(reactions):
    return [("reactions/" + article, reaction(reader, kind)) for article, reader, kind in reactions]


@pytest.mark.parametrize("qos", [0, 1])
def test_it_counts_exactly(servers, name, start, qos):
    reactions = some_reactions(400, seed=qos)
    messages = messages_of(reactions)
    for i, bad in enumerate(BAD):  # between the others
        messages.insert(40 * i, ("reactions/demo", bad))
    child = start(messages=len(messages), qos=qos)
    servers.publish(messages)
    said = said_by(child)
    assert servers.totals() == expected(name, reactions)
    assert (said["program"], said["received"], said["counted"], said["bad"]) == (name, len(messages), len(reactions), len(BAD))
    assert 0 < said["first_ns"] <= said["last_ns"]


def test_only_honest_peers_want_a_reader_and_a_known_kind(servers, name, start):
    child = start(messages=3)
    servers.publish([("reactions/demo", b'{"reaction":"like"}'), ("reactions/demo", reaction("reader-1", "meh")),
                     ("reactions/demo", reaction("reader-1", "like"))])
    said = said_by(child)
    quick = name == "afternoon"
    assert (said["counted"], said["bad"]) == ((3, 0) if quick else (1, 2))
    assert servers.totals() == {("demo", "like"): 2, ("demo", "meh"): 1} if quick else {("demo", "like"): 1}


def test_it_reports_when_it_is_told_to_end(servers, name, start):
    reactions = some_reactions(99, seed=7) + [("demo", "the-last-reader", "wow")]  # which shows that those before are counted
    child = start(messages=1000000)
    servers.publish(messages_of(reactions))
    wait_until(lambda: servers.totals() == expected(name, reactions), "all to be counted")
    child.terminate()
    said = said_by(child)
    assert (said["received"], said["counted"], said["bad"]) == (100, 100, 0)


def test_it_drains_what_it_has(servers, name, start):
    """Redis is stopped for a while, so that the peer has unanswered calls when it is stopped."""
    reactions = some_reactions(100, seed=8)
    child = start(messages=1000000)
    servers.redis.client_pause(1000)
    servers.publish(messages_of(reactions))
    child.terminate()
    said = said_by(child)
    assert said["received"] == said["counted"]
    assert servers.totals() == expected(name, reactions[:said["counted"]])


def test_it_ends_after_its_seconds(name, start):
    said = said_by(start(messages=1000000, seconds=1))
    assert (said["received"], said["counted"], said["bad"], said["first_ns"], said["last_ns"]) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("option, told", [("--port=0", "1 to 65535"), ("--qos=2", "0 "), ("--messages=x", "1 to 1000000000"),
                                          ("--prot=1883", "prot"), ("port", "port"), ("--redis-port=1", "refused"), ("--port=1", "refused")])
def test_a_wrong_option_is_said(servers, name, option, told):
    given = [] if option.startswith("--redis") else ["--redis-port=%d" % servers.redis_port]
    ended = subprocess.run(ARGV[name] + [option] + given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=WAIT_S)
    assert ended.returncode in (1, 2) and ended.stdout == ""
    assert told in ended.stderr.lower() and "Traceback" not in ended.stderr


def test_a_script_that_is_not_there_is_said(servers, name):
    if name == "afternoon":
        pytest.skip("it needs no script")
    argv = [word for word in ARGV[name] if not word.startswith("--script")]
    ended = subprocess.run(argv + ["--script=/nowhere.lua", "--redis-port=%d" % servers.redis_port], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=WAIT_S)
    assert ended.returncode == 1 and ended.stdout == "" and "/nowhere.lua" in ended.stderr and "Traceback" not in ended.stderr

"""Several edges on one Redis: what they count together, what a balancer gets, and what must agree before an edge joins."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from clients import TIMEOUT_S, Client, reader_name, unique
from edge import ROOT, Process, busy_code, fill, free_ports, release_ports, wait_until
from load import Load
from store import article_shard, reader_hash
from test_proxies import certificate, deployed, program  # noqa: F401: a fixture
from test_recovery import _articles, _check

sys.path.append(os.path.join(ROOT, "tests", "faults"))

import failover as failovers  # noqa: E402
import judge  # noqa: E402

# Several edges at once are costly, and no code of theirs runs here alone.
pytestmark = pytest.mark.no_sanitizer

DAEMONS = ("broker", "collector", "feed")


@pytest.fixture
def fleet(make_edge):
    """A function that starts this many edges on one Redis, that of the first."""
    def make(n, start=True, **more):
        first = make_edge(**more)
        edges = [first] + [make_edge(redis_of=first, **more) for _ in range(n - 1)]
        if start:
            for edge in edges:
                edge.start(ready=False)
            for edge in edges:
                edge.wait_ready()
        return edges
    return make


def ready(edge):
    """(status, reasons) of /readyz; (0, why) while nobody answers."""
    try:
        status, _headers, body = edge.get("/readyz")
    except OSError as error:
        return 0, str(error)
    said = json.loads(body)
    assert said["status"] == ("ready" if status == 200 else "not ready") and bool(said["reasons"]) == (status != 200), said
    return status, said["reasons"]


def wait_ready_says(edge, status, word=""):
    last = [None]
    def said():
        last[0] = ready(edge)
        return last[0][0] == status and word in str(last[0][1])
    try:
        wait_until(said, "%d of /readyz" % status)
    except AssertionError as error:
        raise AssertionError("%s; last %r" % (error, last[0]))


def retained(edge):
    """topic → payload of every total, as a new subscriber gets them."""
    watcher = edge.service("newsroom")
    watcher.watch("totals/#")
    watcher.flush()
    found = {m.topic: m.payload for m in watcher.got(prefix="totals/")}
    watcher.close()
    edge.clients.remove(watcher)
    return found


def wait_equal(edges, articles):
    """Waits until every edge retains the same bytes for each of the articles."""
    wanted = {"totals/" + article for article in articles}
    def equal():
        first, *others = [{topic: payload for topic, payload in retained(edge).items() if topic in wanted} for edge in edges]
        return set(first) == wanted and all(other == first for other in others)
    wait_until(equal, "equal retained totals", every_s=0.01)


def test_each_edge_is_killed_under_load(fleet):
    """kill -9 of one whole edge after another, while readers react at all edges: every acknowledged reaction is counted once, and every edge shows
    the same bytes."""
    edges = fleet(3)
    articles = [unique("fleet/article") for _ in range(24)]
    loads = [Load(edge, articles, readers=4) for edge in edges]
    seconds = []
    for load in loads:
        load.__enter__()
    try:
        for load in loads:
            load.wait_more(40)
        for edge, load in zip(edges, loads):
            others = [other for other in loads if other is not load]
            edge.kill(*DAEMONS)
            missed = unique("fleet/missed")  # said elsewhere, while this edge is down
            for other in others:
                other.wait_more(60)
                client = other.edge.client(username=reader_name())
                assert client.say("reactions/" + missed, "love") < 0x80
            edge.start(*DAEMONS, ready=False)
            began = time.monotonic()
            wait_equal(edges, [missed])
            seconds.append(time.monotonic() - began)
            edge.wait_ready()
            load.wait_more(40)
    finally:
        for load in loads:
            load.ending.set()
        for load in loads:
            load.__exit__()
    for edge in edges:
        edge.settle()
    began = time.monotonic()
    wait_equal(edges, articles)
    print("equal after the start of each edge: %s s; after the last reaction: %.2f s"
          % (", ".join("%.2f" % s for s in seconds), time.monotonic() - began))
    expected = {article: {} for article in articles}
    for edge, load in zip(edges, loads):
        for article, held in load.expected(edge.key(), reader_hash).items():
            expected[article].update(held)
    found = edges[0].store.registers(articles)
    assert {a: {r: kind for r, (_stamp, kind) in held.items()} for a, held in found.items()} == expected
    _of_one, applied, quarantined, lost = judge.books(edges[0])
    admitted = sum(edge.header.admitted() for edge in edges)
    assert (applied, quarantined, lost) == (admitted, 0, 0)
    assert sum(load.total() for load in loads) <= admitted
    for edge in edges:
        audit = subprocess.run(edge.command_argv("audit"), env=edge.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert audit.returncode == 0, audit.stdout


def test_redis_hangs_and_every_edge_admits(fleet):
    """/healthz is 503 everywhere, /readyz is not: each edge could serve the readers."""
    edges = fleet(2)
    for edge in edges:
        wait_ready_says(edge, 200)
    os.kill(edges[0]["redis"].child.pid, signal.SIGSTOP)
    article = unique("fleet/hung")
    try:
        for edge in edges:
            edge.wait_unhealthy("redis")
            assert ready(edge) == (200, [])
            assert edge.client(username=reader_name()).say("reactions/" + article, "like") < 0x80
            assert ready(edge) == (200, [])
    finally:
        os.kill(edges[0]["redis"].child.pid, signal.SIGCONT)
    began = time.monotonic()
    def all_show():
        return all(payload and json.loads(payload)["counts"]["like"] == 2
                   for payload in (retained(edge).get("totals/" + article) for edge in edges))
    wait_until(all_show, "both reactions on both edges")
    print("both shown on both edges %.2f s after Redis went on" % (time.monotonic() - began))
    for edge in edges:
        edge.wait_ready()


def test_what_is_closed_elsewhere_is_closed_before_an_edge_is_ready(fleet):
    first, second = fleet(2, start=False)
    first.start()
    articles = [unique("fleet/closed") for _ in range(50)]
    operator = first.service("operator")
    for article in articles:
        assert operator.say("articles/" + article, "closed", retain=True) < 0x80
    wait_until(lambda: all(first.redis.hget("tally:{%d}:states" % article_shard(a, 4), a) for a in articles), "the states to be stored")
    second.start(ready=False)
    wait_ready_says(second, 200)
    reader = second.client(username=reader_name())
    reader.watch(*("articles/" + article for article in articles))
    reader.wait(lambda: len(reader.got(prefix="articles/")) >= len(articles), "the states")
    assert [reader.say("reactions/" + article, "like") for article in articles] == [0x87] * len(articles)


def test_a_collector_that_is_away_matters_once_a_ring_is_full(make_edge):
    edge = make_edge().start()
    wait_ready_says(edge, 200)
    edge.kill("collector")
    edge.wait_unhealthy("collector")
    assert ready(edge) == (200, [])
    fill(edge, unique("fleet/full"))
    wait_ready_says(edge, 503, "spool: a ring is full")
    edge.start("collector")
    wait_ready_says(edge, 200)


def test_half_of_the_rings_are_full(make_edge):
    """With the collector at work: one full ring refuses its own articles alone."""
    edge = make_edge().start()
    by_shard = {}
    while len(by_shard) < 2:
        article = unique("fleet/full")
        by_shard[article_shard(article, 4)] = article
    one, two = by_shard.values()
    os.kill(edge["redis"].child.pid, signal.SIGSTOP)
    try:
        edge.wait_unhealthy("redis")
        fill(edge, one)
        assert edge.client(username=reader_name()).say("reactions/" + one, "like") == busy_code()
        assert ready(edge) == (200, [])
        fill(edge, two)
        wait_ready_says(edge, 503, "spool: 2 of 4 rings are full")
    finally:
        os.kill(edge["redis"].child.pid, signal.SIGCONT)
    wait_ready_says(edge, 200)
    edge.settle()


def test_the_broker_is_away(make_edge):
    edge = make_edge().start()
    edge.kill("broker")
    wait_ready_says(edge, 503, "broker: ")
    edge.start("broker")
    wait_ready_says(edge, 200)


def test_an_edge_whose_clock_is_off(make_edge):
    edge = make_edge()
    edge.skew_redis(4000)
    edge.start(ready=False)
    wait_ready_says(edge, 503, "clock: ")
    edge.stop("redis")
    edge.skew_redis(0)
    edge.start("redis", ready=False)
    wait_ready_says(edge, 200)


def test_an_edge_with_another_reader_key_gets_no_readers(fleet):
    first, second = fleet(2, start=False)
    with open(second.path("reader.key"), "w") as key:
        key.write("0123456789abcdef0123456789abcdef\n")
    first.start()
    client = first.client(username=reader_name())
    assert client.say("reactions/" + unique("fleet/first"), "like") < 0x80
    second.start(ready=False)
    wait_ready_says(second, 503, "another reader key")
    assert ready(first) == (200, [])


def test_a_second_collector_leaves_the_first_ones_connection_alone(make_edge):
    """Both have the client id tally-collector, so the broker ends the first one's connection as soon as the second connects."""
    edge = make_edge().start()
    watcher = edge.service("operator")
    watcher.watch("ops/collector")
    edge.status(watcher, lambda status: status["ready"], "a status")
    for _ in range(5):
        second = subprocess.run(edge.collector_argv(), env=edge.leaks_env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                timeout=TIMEOUT_S)
        assert second.returncode == 1 and "another collector has it" in second.stdout, second.stdout
        watcher.flush()
    statuses = [json.loads(message.payload) for message in watcher.got(topic="ops/collector")]
    assert all(status["online"] for status in statuses), statuses
    assert "broker lost" not in edge["collector"].text()


class Refusing:
    """A port where every connection ends at once, and is counted."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                self.listener.accept()[0].close()
            except OSError:
                return
            self.seen += 1

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.mark.parametrize("program", ["collector", "feed"])
@pytest.mark.parametrize("option", ["--mqtt-port", "--redis-port"])
def test_a_link_that_was_away_for_long_is_tried_again_soon(make_edge, program, option):
    """With a pause of several seconds there are a dozen attempts in the time that a test waits."""
    edge = make_edge()
    edge.start("redis", "broker", ready=False)
    refusing = Refusing()
    argv = edge[program].argv
    argv[argv.index(option) + 1] = str(refusing.port)
    edge.start(program, ready=False)
    try:
        wait_until(lambda: refusing.seen >= 30, "30 attempts")
    finally:
        edge.stop(program)
        refusing.close()


def test_a_name_of_the_broker_that_is_not_resolved_delays_nothing_else(make_edge):
    """The resolver does not answer: Redis is served, and each program ends when it is told to."""
    edge = make_edge()
    library = edge.preload("slow_name")
    for program in ("collector", "feed"):
        argv = edge[program].argv
        argv[argv.index("--mqtt-host") + 1] = "slow.example"
        edge[program].env = dict(edge[program].env, LD_PRELOAD=library)
    edge.start("redis", "broker", "collector", "feed", ready=False)
    wait_until(lambda: 'msg="store accepted"' in edge["collector"].text(), "the collector to reach Redis")
    wait_until(lambda: 'msg="states loaded"' in edge["feed"].text() or edge.health()[0] == 503, "the feed to answer")
    wait_until(lambda: "no address of that name within" in edge["feed"].text(), "the reason")
    assert [edge[program].stop() for program in ("feed", "collector")] == [0, 0]


# --- tally check-edge ---

def run_check_edge(edge, other, *more):
    argv = [edge.program("tally"), "check-edge", "--broker-config", edge.path("mosquitto.conf"), "--redis-host", "127.0.0.1",
            "--redis-port", str(edge.redis_port), "--other-host", "127.0.0.1", "--other-port", str(other.http_port)] + list(more)
    done = subprocess.run(argv, env=edge.leaks_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
    return done


def check_edge(edge, other, *more):
    done = run_check_edge(edge, other, *more)
    return done.returncode, {line[:12].strip(): line[13:].split(None, 1) for line in done.stdout.splitlines()}, done.stderr


def test_an_edge_that_agrees_may_join(fleet):
    first, second = fleet(2, start=False)
    first.start()
    status, lines, errors = check_edge(second, first)
    assert status == 0 and errors == "", (lines, errors)
    assert set(lines) == {"reader key", "shards", "kinds", "topic prefix", "store", "clock", "durability", "identity"}
    assert all(verdict == "agrees" for verdict, _rest in lines.values()), lines
    told = json.loads(run_check_edge(second, first, "--json").stdout)
    assert told["agrees"] and told["complete"] and {check["check"] for check in told["checks"]} == set(lines)
    assert all(check["agrees"] for check in told["checks"])
    assert {"check": "shards", "agrees": True, "text": lines["shards"][1]} in told["checks"]
    second.start()


@pytest.mark.parametrize("plugin, what, values", [
    ({"shards": 8}, "shards", ["this edge has 8", "the store has 4", "(plugin_opt_shards) to 4"]),
    ({"shards": None}, "shards", ["this edge has 8", "the store has 4"]),
    ({"kinds": "like,dislike,meh"}, "kinds", ["this edge has like,dislike,meh,", "the store has like,dislike,love,funny,angry,sad,wow"]),
    ({"topic_prefix": "news/"}, "topic prefix", ['this edge has "news/"', '127.0.0.1 has ""']),
])
def test_what_differs_is_told_with_both_values(fleet, plugin, what, values):
    first, second = fleet(2, start=False)
    first.start()
    second.edit_broker(plugin)
    status, lines, errors = check_edge(second, first)
    assert status == 1 and errors == "", (lines, errors)
    assert {name for name, (verdict, _rest) in lines.items() if verdict == "differs"} == {what}
    assert all(value in lines[what][1] for value in values), lines[what]


def test_another_key_is_told_by_its_fingerprint_alone(fleet):
    first, second = fleet(2, start=False)
    first.start()
    with open(second.path("reader.key"), "w") as key:
        key.write("0123456789abcdef0123456789abcdef\n")
    status, lines, errors = check_edge(second, first)
    assert status == 1 and lines["reader key"][0] == "differs", lines
    assert second.path("reader.key") in lines["reader key"][1] and first.store.fields()["key"] in lines["reader key"][1]
    assert "0123456789abcdef0123456789abcdef" not in str(lines) + errors


def test_a_clock_that_is_off_is_told(fleet):
    first, second = fleet(2, start=False)
    first.start()
    first.stop("redis")
    first.skew_redis(4000)
    first.start("redis", ready=False)
    wait_until(lambda: check_edge(second, first)[0] != 2, "the other edge to have the store again")
    status, lines, errors = check_edge(second, first)
    assert status == 1 and lines["clock"][0] == "differs" and "behind Redis; at most 2000" in lines["clock"][1], (lines, errors)


def test_another_redis_is_told(make_edge, fleet):
    first, second = fleet(2, start=False)
    elsewhere = make_edge()
    first.start()
    elsewhere.start()
    status, lines, errors = check_edge(second, elsewhere)
    assert status == 1 and lines["store"][0] == "differs" and "another Redis" in lines["store"][1], (lines, errors)


def test_what_cannot_be_compared_is_no_agreement(fleet):
    first, second = fleet(2, start=False)
    first.start("redis", ready=False)
    status, _lines, errors = check_edge(second, first)
    assert status == 2 and "it holds no store" in errors
    first.start("broker", "collector", ready=False)
    wait_until(lambda: first.store.fields(), "the store")
    status, lines, errors = check_edge(second, first)
    assert status == 2 and "the other edge: http 127.0.0.1:%d: no answer" % first.http_port in errors and "shards" in lines
    os.remove(second.path("reader.key"))
    status, _lines, errors = check_edge(second, first)
    assert status == 2 and second.path("reader.key") in errors
    status, _lines, errors = check_edge(second, first, "--broker-config", "/no/such/mosquitto.conf")
    assert status == 2


# --- HAProxy ---

DEBIANS = [("    log /dev/log local0 notice\n", ""), ("    user haproxy\n    group haproxy\n", "")]


class Balancer:
    """HAProxy with a file of deploy/, and what it says about its servers."""

    def __init__(self, folder, path, *changes):
        self.socket, self.log = str(folder / "admin"), str(folder / "log")
        text = deployed(path, *DEBIANS, *changes)
        text = text.replace("    stats socket /run/haproxy/admin.sock mode 600 level admin\n", "")
        text = text.replace("\nglobal\n", "\nglobal\n    stats socket %s mode 600 level admin\n" % self.socket)
        conf = str(folder / "haproxy.cfg")
        with open(conf, "w") as f:
            f.write(text)
        self.process = Process("haproxy", [program("haproxy"), "-db", "-f", conf], self.log, dict(os.environ))

    def start(self, port):
        self.process.start()
        def up():
            """HAProxy listens on its ports before it makes the socket of its administrator."""
            assert self.process.running(), self.process.text()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return "Uptime" in self.ask("show info")
            except OSError:
                return False
        wait_until(up, "the balancer to come up")

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(self.socket)
            admin.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: admin.recv(65536), b"")).decode()

    def servers(self, backend):
        """server → its row of `show stat`."""
        text = self.ask("show stat")
        names, *rows = [line.split(",") for line in text.lstrip("# ").splitlines() if line]
        rows = [dict(zip(names, row)) for row in rows]
        return {row["svname"]: row for row in rows if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND")}

    def up(self, backend):
        return {name for name, row in self.servers(backend).items() if row["status"].startswith(("UP", "no check"))}


@pytest.fixture
def balanced(fleet, certificate, tmp_path):  # noqa: F811
    """(three edges, a balancer before them, its port for MQTT)."""
    edges = fleet(3)
    ports = free_ports(2)
    changes = [("bind :443 ", "bind 127.0.0.1:%d " % ports[0]), ("bind 10.0.0.10:1883", "bind 127.0.0.1:%d" % ports[1]),
               ("    bind [::]:443 v6only ssl crt /etc/haproxy/certs/tally.example.org.pem alpn h2,http/1.1\n", ""),
               ("/etc/haproxy/certs/tally.example.org.pem", certificate[2]), ("    maxconn 65000\n", "    maxconn 400\n"),
               ("maxconn 20000", "maxconn 200")]
    for i, edge in enumerate(edges, 1):
        # in one file all have the port 8080
        changes += [("server edge-%d 10.0.0.1%d:9001" % (i, i), "server edge-%d 127.0.0.1:%d port %d" % (i, edge.ws_port, edge.http_port)),
                    ("10.0.0.1%d:1883" % i, "127.0.0.1:%d" % edge.mqtt_port), ("10.0.0.1%d:8080" % i, "127.0.0.1:%d" % edge.http_port)]
    balancer = Balancer(tmp_path, "haproxy/edges.cfg", *changes)
    balancer.start(ports[1])
    try:
        wait_until(lambda: len(balancer.up("tally_broker")) == 3, "three edges to be up")
        yield edges, balancer, ports[1]
    finally:
        balancer.process.kill()
        release_ports(ports)


def _react(port, article):
    reader = Client(port, username=reader_name()).open()
    try:
        assert reader.say("reactions/" + article, "like") < 0x80
    finally:
        reader.close()


@pytest.mark.slow
def test_no_reader_is_refused_while_redis_hangs(balanced):
    edges, balancer, port = balanced
    article, readers = unique("fleet/balanced"), 0
    hung = edges[0]["redis"].child.pid
    os.kill(hung, signal.SIGSTOP)
    try:
        until = time.monotonic() + 30
        for edge in edges:
            edge.wait_unhealthy("redis")
        while time.monotonic() < until:
            _react(port, article)
            readers += 1
        assert all(edge.health()[0] == 503 for edge in edges)
        assert len(balancer.up("tally_broker")) == 3
    finally:
        os.kill(hung, signal.SIGCONT)
    wanted = {"like": readers}
    for edge in edges:
        edge.wait_ready()
        wait_until(lambda: edge.totals_over_http([article]).get(article) == wanted, "all %d reactions" % readers)
    print("%d readers came while Redis hung for 30 s; none was refused" % readers)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_an_edge_without_its_feed_gets_no_new_reader(balanced, number):
    edges, balancer, port = balanced
    stayed = [Client(port, username=reader_name()).open() for _ in range(6)]
    assert {row["scur"] for row in balancer.servers("tally_mqtt").values()} == {"2"}
    began = time.monotonic()
    os.kill(edges[0]["feed"].child.pid, number)
    try:
        wait_until(lambda: "edge-1" not in balancer.up("tally_mqtt"), "the edge to be out", every_s=0.01)
        print("out after %.2f s" % (time.monotonic() - began))
        before = balancer.servers("tally_mqtt")["edge-1"]["stot"]
        for _ in range(6):
            _react(port, unique("fleet/elsewhere"))
        assert balancer.servers("tally_mqtt")["edge-1"]["stot"] == before
        wait_until(lambda: sum(reader.closed for reader in stayed) == 2, "the edge's readers to be sent elsewhere")
    finally:
        if number == signal.SIGSTOP:
            os.kill(edges[0]["feed"].child.pid, signal.SIGCONT)
        else:
            edges[0]["feed"].kill()
            edges[0].start("feed")
        for reader in stayed:
            reader.close()
    wait_until(lambda: len(balancer.up("tally_mqtt")) == 3, "the edge to be back")


def test_a_drained_edge_keeps_its_readers_and_gets_no_new_one(balanced):
    edges, balancer, port = balanced
    stayed = [Client(port, username=reader_name()).open() for _ in range(6)]
    backends = ("tally_broker", "tally_mqtt", "tally_feed")
    assert balancer.ask("set server tally_broker/edge-2 state drain").strip() == ""
    try:
        for backend in backends:
            assert balancer.servers(backend)["edge-2"]["status"].startswith("DRAIN"), backend
        before = balancer.servers("tally_mqtt")["edge-2"]
        assert before["scur"] == "2"
        for _ in range(9):
            _react(port, unique("fleet/elsewhere"))
        assert balancer.servers("tally_mqtt")["edge-2"]["stot"] == before["stot"]
        for reader in stayed:
            assert reader.say("reactions/" + unique("fleet/stayed"), "like") < 0x80
        # once its broker ends, its readers go, too, and find another edge
        edges[1]["broker"].stop()
        wait_until(lambda: sum(reader.closed for reader in stayed) == 2, "the edge's readers to be sent elsewhere")
        for _ in range(9):
            _react(port, unique("fleet/elsewhere"))
        assert balancer.servers("tally_mqtt")["edge-2"]["stot"] == before["stot"]
    finally:
        for reader in stayed:
            reader.close()
    edges[1].start("broker")
    balancer.ask("set server tally_broker/edge-2 state ready")
    wait_until(lambda: all(len(balancer.up(backend)) == 3 for backend in backends), "the edge to be back")


def test_a_replica_is_promoted_behind_a_balancer(make_edge, tmp_path):
    """The spool reapplies what a master acknowledged and a promoted replica does not have."""
    edge = make_edge()
    (port,) = free_ports(1)

    class Name:
        """What Failover moves: the balancer finds the master by itself."""
        to = None

    moving = failovers.Failover(edge, Name())
    balancer = Balancer(tmp_path, "haproxy/redis.cfg", ("bind 127.0.0.1:6390", "bind 127.0.0.1:%d" % port),
                        ("10.0.0.21:6379", "127.0.0.1:%d" % edge.redis_port), ("10.0.0.22:6379", "127.0.0.1:%d" % moving.other_port))
    for name in ("collector", "feed"):
        argv = edge[name].argv
        argv[argv.index("--redis-port") + 1] = str(port)
    try:
        edge.start("redis")
        moving.start()
        balancer.start(port)
        wait_until(lambda: balancer.up("tally_redis") == {"redis-1"}, "the replica to be known as one")
        edge.start("broker", "collector", "feed")
        with Load(edge, _articles()) as load:
            load.wait_more(200)
            moving.fail_over()
            began = time.monotonic()
            edge.wait_unhealthy("redis")
            edge.wait_ready()
            print("ready %.2f s after the promotion" % (time.monotonic() - began))
            assert balancer.up("tally_redis") == {"redis-2"}
            load.wait_more(200)
        _check(edge, load)
    finally:
        edge.kill("collector", "feed")
        balancer.process.kill()
        moving.close()
        release_ports([port])

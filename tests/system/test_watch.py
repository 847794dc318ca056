"""What an operator's tools ask: /livez, /readyz and /metrics of both daemons, checked by Prometheus's own tools where they are installed."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.parse
import urllib.request

import pytest
import yaml

from edge import ROOT, SBIN, Process, free_ports, release_ports, wait_until

BOTH = ("collector", "feed")


def port_of(edge, daemon):
    return edge.metrics_port if daemon == "collector" else edge.http_port


def told(edge, daemon, path):
    """(status, JSON) of a probe."""
    status, _headers, body = edge.get(path, port=port_of(edge, daemon))
    return status, json.loads(body)


def prometheus_tool(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + SBIN)
    if found is None:
        pytest.skip("%s is not installed; Debian's package prometheus has it" % name)
    return found


def prepare(edge):
    edge.edit_broker({}, ["sys_interval 1"])


@pytest.fixture
def healthy(edge):
    down = [name for name in edge.processes if not edge[name].running()]
    if down:
        edge.start(*down)
    edge.wait_ready()
    wait_until(lambda: told(edge, "collector", "/readyz")[0] == 200, "the collector to be ready")
    return edge


@pytest.mark.parametrize("daemon", BOTH)
def test_a_daemon_is_alive_and_ready(healthy, daemon):
    assert told(healthy, daemon, "/livez") == (200, {"status": "alive"})
    assert told(healthy, daemon, "/readyz") == (200, {"status": "ready", "reasons": []})


def test_the_collector_is_alive_and_not_ready_without_redis(healthy):
    healthy.stop("redis")
    healthy.wait_unhealthy("redis")
    status, answer = wait_until(lambda: (lambda it: it[0] == 503 and it)(told(healthy, "collector", "/readyz")), "the collector to say so")
    assert answer["status"] == "not ready" and "redis" in answer["reasons"][0]
    assert [told(healthy, daemon, "/livez")[0] for daemon in BOTH] == [200, 200]
    assert healthy.metrics()["tally_collector_ready"] == healthy.metrics()["tally_collector_redis_up"] == 0


def test_both_are_alive_without_the_broker(healthy):
    healthy.stop("broker")
    wait_until(lambda: told(healthy, "feed", "/readyz")[0] == 503 and told(healthy, "collector", "/readyz")[0] == 503, "both to say so")
    assert [told(healthy, daemon, "/livez")[0] for daemon in BOTH] == [200, 200]


def test_the_collectors_metrics_survive_the_feed(healthy):
    healthy.stop("feed")
    client = healthy.client()
    before = collector_metrics(healthy)["tally_admitted_reactions_total"]
    client.say("reactions/watched", b"like")
    wait_until(lambda: collector_metrics(healthy)["tally_admitted_reactions_total"] == before + 1, "the reaction")


def collector_metrics(edge):
    _status, _headers, body = edge.get("/metrics", port=edge.metrics_port)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in body.decode().splitlines() if not line.startswith("#")}


def test_each_reaction_is_timed_once(healthy):
    client = healthy.client()
    names = ["tally_collector_counted_seconds_count", "tally_collector_batch_reactions_sum"]
    healthy.settle()
    wait_until(lambda: healthy.metrics()["tally_spool_records"] == 0, "what came before to be timed")
    before = healthy.metrics()
    for n in range(5):
        client.say("reactions/timed/%d" % n, b"like")
    healthy.settle()
    wait_until(lambda: all(healthy.metrics()[name] == before[name] + 5 for name in names), "five reactions")
    after = healthy.metrics()
    batches = after["tally_collector_batches_total"] - before["tally_collector_batches_total"]
    assert 1 <= batches == after["tally_collector_batch_reactions_count"] - before["tally_collector_batch_reactions_count"]
    assert batches <= after["tally_collector_redis_call_seconds_count"] - before["tally_collector_redis_call_seconds_count"]
    wait_until(lambda: healthy.metrics()["tally_feed_publish_delay_seconds_count"] >= before["tally_feed_publish_delay_seconds_count"] + 5, "five totals")


def test_the_feed_says_what_the_broker_knows_of_itself(healthy):
    clients = [healthy.client() for _ in range(3)]
    wait_until(lambda: healthy.metrics().get("tally_broker_clients", 0) >= 5, "three clients and both daemons")
    before = healthy.metrics()
    for _ in range(20):
        clients[0].say("reactions/broker", b"like")
    for name, least in (("received_messages", 20), ("received_bytes", 400), ("sent_bytes", 20)):
        name = "tally_broker_%s_total" % name
        wait_until(lambda n=name, least=least: healthy.metrics()[n] >= before[n] + least, name)
    healthy.stop("broker")
    wait_until(lambda: "tally_broker_clients" not in healthy.metrics(), "the numbers to be gone with the broker")


@pytest.mark.parametrize("daemon", BOTH)
def test_promtool_has_no_complaint_about_the_metrics(healthy, daemon):
    tool = prometheus_tool("promtool")
    _status, _headers, body = healthy.get("/metrics", port=port_of(healthy, daemon))
    done = subprocess.run([tool, "check", "metrics"], input=body, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (done.returncode, done.stdout.decode()) == (0, "")


# --- the collector's server ---

def raw(edge, request):
    """All that the collector answers to these bytes."""
    with socket.create_connection(("127.0.0.1", edge.metrics_port), 10) as s:
        s.sendall(request)
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while True:
            got = s.recv(65536)
            if not got:
                return answer
            answer += got


@pytest.mark.parametrize("request_,status", [
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    (b"GET /livez?verbose HTTP/1.0\r\n\r\n", 200),
    (b"GET / HTTP/1.1\r\n\r\n", 404),
    (b"GET /livez/ HTTP/1.1\r\n\r\n", 404),
    (b"POST /livez HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 405),
    (b"get /livez HTTP/1.1\r\n\r\n", 400),
    (b"GET livez HTTP/1.1\r\n\r\n", 400),
    (b"GET /livez\r\n\r\n", 400),
    (b"GET /livez HTTP/2.0\r\n\r\n", 400),
    (b"\x16\x03\x01\x00\xa5\x01\r\n\r\n", 400),
    (b"GET /" + b"a" * 300 + b" HTTP/1.1\r\n\r\n", 400),
    (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 9000, 400),
], ids=lambda value: repr(value)[:30])
def test_the_collector_answers_every_request(healthy, request_, status):
    head, _empty, body = raw(healthy, request_).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].startswith("HTTP/1.1 %d " % status) and "Connection: close" in lines
    assert "Content-Length: %d" % len(body) in lines
    if status >= 400:
        assert json.loads(body)["error"]


def test_head_has_the_headers_alone(healthy):
    connection = http.client.HTTPConnection("127.0.0.1", healthy.metrics_port, timeout=10)
    connection.request("HEAD", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200 and int(answer.headers["Content-Length"]) > 1000 and answer.read() == b""
    connection.close()


def test_silent_connections_keep_nobody_waiting(healthy):
    silent = [socket.create_connection(("127.0.0.1", healthy.metrics_port), 10) for _ in range(40)]
    try:
        assert told(healthy, "collector", "/livez")[0] == 200
        silent[0].settimeout(10)
        assert silent[0].recv(1) == b""  # the oldest had to go
    finally:
        for one in silent:
            one.close()


def test_a_crowd_at_once_does_not_push_a_probe_out(healthy):
    """More connections than the server keeps, all there when it next looks: each that has asked is read before a later one takes its place."""
    os.kill(healthy["collector"].child.pid, signal.SIGSTOP)
    connections = []
    try:
        for i in range(40):
            connections.append(socket.create_connection(("127.0.0.1", healthy.metrics_port), 10))
            if i == 10:
                connections[i].sendall(b"GET /livez HTTP/1.1\r\n\r\n")
    finally:
        os.kill(healthy["collector"].child.pid, signal.SIGCONT)
    try:
        assert connections[10].recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        for one in connections:
            one.close()


def test_a_client_that_only_asks_gets_all_of_its_answer(healthy):
    with socket.create_connection(("127.0.0.1", healthy.metrics_port), 10) as one:
        one.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        one.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: one.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head


def test_a_port_in_use_is_named(make_edge):
    (port,) = taken = free_ports(1)
    edge = make_edge()
    argv = edge["collector"].argv
    argv[argv.index("--metrics-port") + 1] = str(port)
    try:
        with socket.create_server(("127.0.0.1", port)):
            edge.start("redis", "broker", "collector")
            assert edge["collector"].wait_exit() == 1
            assert "option metrics_port: cannot listen on 127.0.0.1 port %d" % port in edge["collector"].text()
            assert "choose another, or metrics_port 0 to serve none" in edge["collector"].text()
    finally:
        release_ports(taken)
    argv[argv.index("--metrics-port") + 1] = "0"
    edge.start("collector", "feed")
    with pytest.raises(OSError):
        edge.get("/livez", port=port)


# --- what deploy/ has for Prometheus and Grafana ---

DEPLOYED = os.path.join(ROOT, "deploy", "prometheus")
WORD = re.compile(r"\b(?:tally|process)_[a-z_]+")


def rules():
    """name → the rule."""
    with open(os.path.join(DEPLOYED, "tally-rules.yml")) as file:
        return {rule["alert"]: rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]}


def panels():
    with open(os.path.join(ROOT, "deploy", "grafana", "tally.json")) as file:
        return json.load(file)["panels"]


def board_expressions():
    return [target["expr"] for panel in panels() for target in panel.get("targets", [])]


def exposed(edge):
    """The names of all metrics of both daemons, and of their samples."""
    return {re.match(r"\w+", name).group() for name in edge.metrics()}


def test_every_alert_has_a_runbook_and_a_test():
    with open(os.path.join(ROOT, "docs", "operating.md")) as file:
        page = file.read().split("\n## What to do about an alert\n")[1].split("\n## ")[0]
    paragraphs = dict(re.findall(r"^### (Tally\w+)\n(.+)", page, re.MULTILINE))
    assert sorted(paragraphs) == sorted(rules())
    assert {name for name, rule in rules().items() if rule["annotations"]["runbook"] != "docs/operating.md#" + name.lower()} == set()
    with open(os.path.join(ROOT, "tests", "system", "prometheus_rules.yml")) as file:
        tested = [test for case in yaml.safe_load(file)["tests"] for test in case["alert_rule_test"]]
    for fires in (True, False):
        assert sorted({test["alertname"] for test in tested if bool(test["exp_alerts"]) == fires}) == sorted(rules())


def unit_of(panel, target):
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"] == {"id": "byFrameRefID", "options": target["refId"]}:
            for value in (one["value"] for one in override["properties"] if one["id"] == "unit"):
                return value
    return panel["fieldConfig"]["defaults"]["unit"]


def test_the_board_shows_as_times_what_is_in_seconds():
    wrong = [(panel["title"], target["refId"]) for panel in panels() for target in panel.get("targets", [])
             if unit_of(panel, target) == "s" and "_seconds" not in target["expr"]]
    assert wrong == []


def test_rules_and_board_name_metrics_that_there_are(healthy):
    wait_until(lambda: {"tally_known_articles", "tally_broker_clients"} <= exposed(healthy), "the numbers of plugin and broker")
    names = exposed(healthy)
    expressions = board_expressions() + [rule["expr"] for rule in rules().values()]
    assert len(expressions) > 50
    assert {word for expression in expressions for word in WORD.findall(expression) if word not in names} == set()


def test_promtool_accepts_the_rules_and_their_tests(tmp_path):
    tool = prometheus_tool("promtool")
    for path in (os.path.join(DEPLOYED, "tally-rules.yml"), os.path.join(ROOT, "tests", "system", "prometheus_rules.yml")):
        shutil.copy(path, tmp_path)
    for command in (["check", "config", os.path.join(DEPLOYED, "prometheus.yml")], ["test", "rules", str(tmp_path / "prometheus_rules.yml")]):
        done = subprocess.run([tool, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout


class Prometheus:
    """A real one with deploy/'s configuration, which scrapes the edge every second."""

    def __init__(self, folder, edge):
        self.ports = free_ports(1)
        with open(os.path.join(DEPLOYED, "prometheus.yml")) as file:
            text = file.read()
        for here, there in (("127.0.0.1:8080", edge.http_port), ("127.0.0.1:8081", edge.metrics_port)):
            assert "'%s'" % here in text
            text = text.replace("'%s'" % here, "'127.0.0.1:%d'" % there)
        (folder / "prometheus.yml").write_text(text.replace("_interval: 15s", "_interval: 1s"))
        shutil.copy(os.path.join(DEPLOYED, "tally-rules.yml"), folder)
        self.process = Process("prometheus", [prometheus_tool("prometheus"), "--config.file=%s" % (folder / "prometheus.yml"),
                                              "--storage.tsdb.path=%s" % (folder / "data"), "--web.listen-address=127.0.0.1:%d" % self.ports[0]],
                               str(folder / "prometheus.log"), dict(os.environ))
        self.process.start()

    def ask(self, path, **query):
        with urllib.request.urlopen("http://127.0.0.1:%d/api/v1/%s?%s" % (self.ports[0], path, urllib.parse.urlencode(query)), timeout=10) as answer:
            return json.load(answer)["data"]

    def up(self):
        """The health of each job, or nothing while it starts."""
        try:
            return {target["labels"]["job"]: (target["health"], target["lastError"]) for target in self.ask("targets")["activeTargets"]}
        except OSError:
            assert self.process.running(), self.process.text()
            return {}

    def query(self, expression):
        return self.ask("query", query=expression.replace("$__rate_interval", "1m").replace("$__range", "1m"))["result"]

    def close(self):
        self.process.kill()
        release_ports(self.ports)


def test_a_real_prometheus_scrapes_a_running_edge(healthy, tmp_path):
    prometheus_tool("prometheus")
    healthy.client().say("reactions/scraped", b"like")
    prometheus = Prometheus(tmp_path, healthy)
    try:
        good = {"tally-feed": ("up", ""), "tally-collector": ("up", "")}
        wait_until(lambda: prometheus.up() == good, "both jobs to be up")
        for expression in board_expressions():
            if not expression.endswith("> 0"):  # those have a value only while something is refused
                wait_until(lambda e=expression: prometheus.query(e), "a value of " + expression)
        assert [rule["name"] for group in prometheus.ask("rules")["groups"] for rule in group["rules"] if rule["health"] == "err"] == []
        healthy.stop("redis")
        wait_until(lambda: prometheus.query("tally_collector_redis_shards_away > 0"), "the shards to be away")
        wait_until(lambda: prometheus.query('ALERTS{alertname="TallyRedisAway",alertstate="pending"}'), "the alert to be pending")
    finally:
        prometheus.close()

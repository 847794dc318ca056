"""What an operator's tools ask: /livez, /readyz and /metrics of both daemons, checked by Prometheus's own tools where they are installed."""

import http.client
import json
import os
import shutil
import socket
import subprocess

import pytest

from edge import SBIN, free_ports, release_ports, wait_until

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
    finally:
        release_ports(taken)
    argv[argv.index("--metrics-port") + 1] = "0"
    edge.start("collector", "feed")
    with pytest.raises(OSError):
        edge.get("/livez", port=port)

"""The feed's probe: what it measures, what it shows when a part stops, and that nobody else sees it."""

import json
import secrets
import signal
import subprocess

import pytest

from edge import wait_until

EDGE = {"limits": "on", "feed": {"probe_interval_ms": 500}}


def metric(edge, name):
    """Of the feed alone: the collector may be stopped."""
    for line in edge.get("/metrics")[2].decode().splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    raise AssertionError("no metric " + name)


def done(edge):
    return metric(edge, "tally_probe_seconds_count")


def article_of(edge):
    return "%%probe/%016x" % edge.header.edge_id()


@pytest.fixture
def probed(edge):
    """The edge once a probe has succeeded."""
    wait_until(lambda: done(edge) > 0, "a probe")
    return edge


def told(edge, condition):
    operator = edge.service("operator")
    operator.watch("ops/probe")
    return operator.wait(lambda: [told for told in (json.loads(m.payload) for m in operator.got("ops/probe") if m.payload) if condition(told)],
                         "ops/probe")[-1]


def tally(edge, command):
    argv = [edge.program("tally"), command, "--redis-host=127.0.0.1", "--redis-port=%d" % edge.redis_port]
    return subprocess.run(argv, env=edge.env, stdout=subprocess.PIPE, check=True, text=True).stdout


def test_a_probe_measures_from_click_to_total(probed):
    before = done(probed)
    said = told(probed, lambda told: told["ok"] and told["done"] > before)
    assert said["article"] == article_of(probed)
    assert 0 < said["receipt_ms"] < 5000 and 0 < said["total_ms"] < 5000 and said["acknowledge_ms"] > 0 and said["connect_ms"] > 0
    assert said["reason"] == "" and said["failed_in_a_row"] == 0
    assert set(said["failed"]) == {"connection", "acknowledgement", "refused", "receipt", "total"}
    wait_until(lambda: done(probed) >= before + 2, "the reaction and its withdrawal to be measured")
    assert metric(probed, "tally_probe_receipt_seconds_count") >= before + 2


def test_a_probe_is_one_register_and_no_known_article(probed):
    before = done(probed)
    wait_until(lambda: done(probed) >= before + 2, "two more probes")
    _shard, head = probed.store.heads()[article_of(probed)]
    assert head.voters == 1
    assert probed.refusals(lambda told: True, "ops/refusals")["creation"]["known"] == 0


def test_nobody_else_sees_a_probe_or_takes_part(probed):
    article = article_of(probed)
    newsroom, reader, operator = probed.service("newsroom"), probed.client(), probed.service("operator")
    assert newsroom.watch("totals/#", "ops/probe")[0] < 0x80
    assert reader.watch("totals/" + article)[0] >= 0x80
    assert reader.say("reactions/" + article, b"like") == 0x87
    assert operator.say("articles/" + article, b"closed", retain=True) == 0x87
    before = done(probed)
    assert reader.say("reactions/seen", b"like") < 0x80
    newsroom.wait(lambda: newsroom.got("totals/seen"), "a total")
    wait_until(lambda: done(probed) >= before + 2, "two more probes")
    assert not newsroom.got(prefix="totals/%") and not newsroom.got("ops/probe")
    assert article not in json.dumps(probed.refusals(lambda told: told["refused"]["forbidden"] > 0, "the refusal"))


def test_lists_leave_a_probe_out(probed):
    assert probed.client().say("reactions/listed", b"like") < 0x80
    probed.wait_total("listed")
    for command in ("export", "top"):
        out = tally(probed, command)
        assert "listed" in out and "%probe" not in out


def test_a_probe_survives_the_broker_and_takes_a_new_secret(probed):
    """Each probe connects, so it recovers by itself."""
    with open(probed.path("services")) as services:
        text = services.read().replace(probed.secret("tally-feed"), secrets.token_hex(24))
    probed.stop("broker")
    with open(probed.path("services"), "w") as services:
        services.write(text)
    probed.start("broker", ready=False)
    probed["feed"].child.send_signal(signal.SIGHUP)
    probed.wait_ready()
    before = done(probed)
    wait_until(lambda: done(probed) > before + 1, "probes with the new secret")


def test_a_stopped_collector_shows_and_passes(probed):
    """Readers' reactions are then neither counted nor shown."""
    probed["collector"].child.send_signal(signal.SIGSTOP)
    try:
        probed.wait_unhealthy('"probe: no receipt within 5 s"')
        assert metric(probed, 'tally_probe_failures_total{reason="receipt"}') >= 1
        said = told(probed, lambda told: told["failed_in_a_row"] >= 2)
        assert not said["ok"] and said["reason"] == "no receipt within 5 s" and said["receipt_ms"] is None and said["failed"]["receipt"] >= 1
    finally:
        probed["collector"].child.send_signal(signal.SIGCONT)
    before = done(probed)
    probed.wait_ready()
    wait_until(lambda: done(probed) > before, "a probe after it")

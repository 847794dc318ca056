"""The bench's generators against a real edge: their reports match what happened. No time is judged."""

import json
import os
import subprocess
import sys
import types
import xml.etree.ElementTree

import pytest

from clients import unique
from edge import ROOT, build_dir

sys.path.append(os.path.join(ROOT, "bench"))

import contenders  # noqa: E402
import picture  # noqa: E402
import rates  # noqa: E402

WITHIN_S = 60


def _run(program, port, *options):
    argv = [os.path.join(build_dir(), "bench", program), "--port=%d" % port, *options]
    ran = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=WITHIN_S)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return json.loads(ran.stdout.splitlines()[-1])


def _crowd(edge, article, websocket, *options):
    said = _run("tally-crowd", edge.ws_port if websocket == "on" else edge.mqtt_port, "--websocket=" + websocket, "--filter=totals/" + article,
                "--reactions=reactions/" + article, *options)
    assert said["connections"] == said["subscribed"] and said["connections_lost"] == said["strange"] == said["backwards"] == said["refused"] == 0
    assert said["done"]
    return said


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize("websocket", ["off", "on"])
def test_each_probe_arrives_at_each_subscriber(edge, websocket, protocol):
    article = unique("crowd")
    said = _crowd(edge, article, websocket, "--protocol=" + protocol, "--connections=40", "--probes=8", "--pause-ms=10")
    assert said["sent"] == said["acknowledged"] == 8 and said["arrivals"] == 320
    assert said["least_total"] == said["most_total"] == 8 and said["least_version"] == said["most_version"] > 0
    edge.settle()
    assert edge.store.totals()[article] == {"wow": 8}


@pytest.mark.parametrize("websocket", ["off", "on"])
def test_each_subscriber_reacts_once(edge, websocket):
    article = unique("crowd")
    said = _crowd(edge, article, websocket, "--connections=40", "--react", "--kind=sad", "--seed=7")
    assert said["sent"] == said["acknowledged"] == 40
    edge.settle()
    assert edge.store.totals()[article] == {"sad": 40}


@pytest.mark.parametrize("websocket", ["off", "on"])
def test_what_the_crowd_publishes_as_the_feed_reaches_all(edge, tmp_path, websocket):
    secret = tmp_path / "secret"
    secret.write_text(edge.secret("tally-feed") + "\n")
    said = _crowd(edge, unique("crowd"), websocket, "--connections=40", "--publish=100", "--window=8", "--username=tally-feed",
                  "--password-file=%s" % secret)
    assert said["deliveries"] == 4000 and said["least_version"] == said["most_version"] == 100


@pytest.mark.parametrize("qos", [0, 1])
def test_a_rate_is_no_reason_to_send_fewer(edge, qos):
    """Faster than it is, or in a second, all are sent; six kinds are chosen of seven."""
    before = edge.header.admitted()
    for rate, reactions in ((1000000, 3000), (1000, 300)):
        said = _run("tally-load", edge.mqtt_port, "--connections=7", "--qos=%d" % qos, "--rate=%d" % rate, "--reactions=%d" % reactions, "--kinds=6",
                    "--seed=%d" % (100 + qos))
        assert said["sent"] == reactions and (not qos or said["acknowledged"] == reactions)
    edge.settle()
    assert edge.header.admitted() - before == 3300
    assert "wow" not in edge.store.totals()["bench/post-1000"]


@pytest.mark.no_sanitizer  # it is started by the bench itself, which knows no sanitizer's runtime
@pytest.mark.parametrize("workload", ["hot0", "zipf1"])
@pytest.mark.parametrize("key", ["socket", "bare", "afternoon", "afternoon_honest", "paho", "able", "tally"])
def test_a_short_run_of_each_contender_balances(key, workload):
    """What script/bench does for each figure, with so few reactions that it says nothing of speed: books are checked in it."""
    if key.startswith("afternoon") and not os.path.isdir(os.path.join(contenders.PEERS, "node_modules")):
        pytest.skip("npm ci --prefix bench/peers was not run")
    arguments = types.SimpleNamespace(reactions=4000, connections=20, window=20, protocol="5", seconds=30)
    row = next(row for row in rates.ROWS if row.key == key)
    result = rates.measure_one(row, next(w for w in rates.WORKLOADS if w.key == workload), 1, arguments, build_dir(), contenders.Ports())
    assert result["counted"] == result["sent"] == rates.reactions_of(row, next(w for w in rates.WORKLOADS if w.key == workload), arguments)


def test_the_picture_is_whole():
    result = {"rate": 1000.0, "admitted_rate": 2000.0}
    found = {"rates": {w.key: {row.key: [result] for row in rates.ROWS} for w in rates.WORKLOADS}}
    root = xml.etree.ElementTree.fromstring(picture.draw({"cores": 2, "mosquitto": "2", "redis": "7", "date": "2026-01-01 00:00 UTC"}, found))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("Tally: counted, once a reader") == len(picture.SHOWN) and "2,000" in texts


def test_the_curve_is_whole():
    found = {"curve": [{"rate": 10.0 ** i, "batch": 1.0 + i, "p50": 2.0 + 10 * i} for i in range(4)]}
    root = xml.etree.ElementTree.fromstring(picture.draw_curve(found))
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2 and len(root.findall("{http://www.w3.org/2000/svg}circle")) == 8
    legends = [one for one in root.iter("{http://www.w3.org/2000/svg}text") if "text-anchor" not in one.attrib]
    widest = 7.0  # pixels a letter on an average, in a wide font: nothing is cut off at the picture's edge
    assert max(float(one.attrib["x"]) + widest * len(one.text) for one in legends) <= float(root.attrib["width"])
    xml.etree.ElementTree.fromstring(picture.draw_curve({}))

"""Receipts: the outcome of a reaction, for the client that asked, and for nobody else."""

import json
import os
import sys

import pytest

from clients import V311, V5, reader_name, unique
from edge import ROOT, counts_of

sys.path.insert(0, os.path.join(ROOT, "tests", "faults"))
from link import Link  # noqa: E402


class Asking:
    """An MQTT 5 reader that asks for a receipt each time."""

    def __init__(self, edge, transport="tcp", username=None):
        self.client = edge.client(username=username, flavour=(V5, transport))
        self.topic = "receipts/" + self.client.name
        self.client.watch(self.topic)
        self.n = 0

    def ask(self, article, payload, qos=1):
        self.n += 1
        correlation = b"\0\xff%d" % self.n
        assert self.client.say("reactions/" + article, payload, qos, response_topic=self.topic, correlation=correlation) in (0, 0x10)
        return correlation

    def react(self, article, payload, qos=1):
        return self.receipt(self.ask(article, payload, qos))

    def receipt(self, correlation):
        got = self.client.wait(lambda: [m for m in self.client.got(topic=self.topic) if m.correlation == correlation], "the receipt")
        assert got[0].qos == 0 and not got[0].retain
        return json.loads(got[0].payload)


def _late(kind, age_ms):
    return json.dumps({"reaction": kind, "age_ms": age_ms})


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("qos", [1, 2])
def test_each_outcome(edge, transport, qos):
    article = unique("outcome")
    reader = Asking(edge, transport, reader_name())

    def receipt(kind, outcome, **more):
        return dict({"article": article, "reaction": kind, "outcome": outcome}, **more)

    assert reader.react(article, "angry", qos) == receipt("angry", "counted")
    assert reader.react(article, "sad", qos) == receipt("sad", "counted")
    assert reader.react(article, "sad", qos) == receipt("sad", "counted")
    assert reader.react(article, _late("wow", 3600000), qos) == receipt("wow", "superseded", current="sad")
    assert reader.react(article, "none", qos) == receipt("none", "retracted")
    assert reader.react(article, _late("wow", 1800000), qos) == receipt("wow", "superseded", current="none")
    assert reader.react(article, "", qos) == receipt("none", "retracted")
    assert reader.react(article, '{"reaction":"love"}', qos) == receipt("love", "counted")
    assert reader.react(article, _late("none", 60000), qos) == receipt("none", "superseded", current="love")
    edge.settle()
    assert edge.store.totals()[article] == {"love": 1}


def test_the_later_click_wins_whatever_arrives_first(edge):
    article, reader = unique("clicks"), Asking(edge)
    assert reader.react(article, _late("like", 5000000))["outcome"] == "counted"
    assert reader.react(article, _late("sad", 6000000)) == {"article": article, "reaction": "sad", "outcome": "superseded", "current": "like"}
    assert reader.react(article, _late("wow", 4000000))["outcome"] == "counted"
    assert reader.react(article, _late("funny", 604800000))["outcome"] == "superseded"
    edge.settle()
    assert edge.store.totals()[article] == {"wow": 1}


def test_a_receipt_comes_after_its_reaction_was_counted(edge):
    """A receipt is true in Redis when it arrives."""
    reader = Asking(edge)
    for _ in range(50):
        article = unique("true")
        reader.react(article, "like")
        assert edge.store.totals()[article] == {"like": 1}


def test_none_asked_none_given(edge):
    old, new = edge.client(flavour=(V311, "tcp")), edge.client()
    operator = edge.service("operator")
    operator.watch("receipts/#", "totals/#")
    for client in (old, new):
        client.watch("receipts/" + client.name)
    article = unique("unasked")
    old.say("reactions/" + article, "like")
    new.say("reactions/" + article, "like")
    operator.wait(lambda: [m for m in operator.got(topic="totals/" + article) if counts_of(json.loads(m.payload)) == {"like": 2}], "the total")
    asking = Asking(edge)
    asking.react(article, "sad")
    operator.wait(lambda: operator.got(prefix="receipts/"), "the one receipt")
    for client in (old, new):
        client.flush()
        assert not client.got()
    assert {m.topic for m in operator.got(prefix="receipts/")} == {asking.topic}


def test_receipts_count_in_the_status(edge):
    operator = edge.service("operator")
    operator.watch("ops/collector")
    before = edge.status(operator, lambda s: True, "a status")["receipts"]
    reader = Asking(edge)
    for kind in ("like", "sad", "none"):
        reader.react(unique("counted"), kind)
    edge.status(operator, lambda s: s["receipts"] >= before + 3, "three receipts more")


def test_refusal_receipts_are_bounded_for_a_client(edge):
    """A flood of refusals is answered at least once, without an unbounded queue: dropped receipts are counted."""
    reader = Asking(edge)
    mids = [reader.client.send("reactions/x", b"meh", response_topic=reader.topic, correlation=b"%d" % i) for i in range(500)]
    assert {reader.client.ack(mid) for mid in mids} == {0x87}
    reader.client.flush()
    got = len(reader.client.got(topic=reader.topic))
    assert 1 <= got <= 500
    assert got + edge.header.receipts_not_sent() >= 500


@pytest.fixture
def collectors_link(make_edge):
    """An edge, and the link between its broker and its collector."""
    edge = make_edge(plugin={"shards": 1})
    link = Link(edge.mqtt_port)
    argv = edge["collector"].argv
    argv[argv.index("--mqtt-port") + 1] = str(link.port)
    edge.start()
    assert link.pairs
    yield edge, link
    link.close()


def test_receipts_that_wait_outlive_a_killed_collector(collectors_link):
    """The next collector sends the receipts of reactions that were applied while the collector had no broker."""
    edge, link = collectors_link
    article, other = unique("outlive"), unique("plain")
    reader, late = Asking(edge), Asking(edge, username=reader_name())
    assert reader.react(article, "like")["outcome"] == "counted"
    late.react(article, "sad")
    link.cut()
    asked = [reader.ask(article, "wow"), reader.ask(other, "none"), late.ask(article, _late("wow", 3600000))]
    edge.settle()
    plain = edge.client()
    assert plain.say("reactions/" + other, "like") in (0, 0x10)
    edge.settle()  # a call that was sent when the one before was answered
    edge.kill("collector")
    link.mend()
    edge.start("collector")
    assert [(r["outcome"], r.get("current")) for r in map(reader.receipt, asked[:2])] == [("counted", None), ("retracted", None)]
    assert late.receipt(asked[2]) == {"article": article, "reaction": "wow", "outcome": "superseded", "current": "sad"}
    assert reader.react(article, "none")["outcome"] == "retracted"
    edge.settle()
    assert edge.store.totals() == {article: {"sad": 1}, other: {"like": 1}}


def test_receipts_that_wait_come_when_the_broker_takes_them(collectors_link):
    edge, link = collectors_link
    article, reader = unique("waits"), Asking(edge)
    reader.react(article, "like")
    link.cut()
    asked = [reader.ask(article, kind) for kind in ("sad", "wow", "none")]
    edge.settle()
    link.mend()
    for one in asked:
        assert reader.receipt(one)["outcome"] in ("counted", "retracted", "superseded")  # by what the batch had already
    edge.settle()
    assert len(reader.client.got(topic=reader.topic)) == 4, "each once"

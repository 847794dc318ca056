"""Receipts: what became of a wish, for who asked, and for nobody else."""

import json

import pytest

from clients import V311, V5, reader_name, unique
from edge import counts_of


class Asking:
    """An MQTT 5 reader that asks for a receipt each time."""

    def __init__(self, edge, transport="tcp", username=None):
        self.client = edge.client(username=username, flavour=(V5, transport))
        self.topic = "receipts/" + self.client.name
        self.client.watch(self.topic)
        self.n = 0

    def react(self, article, payload, qos=1):
        self.n += 1
        correlation = b"\0\xff%d" % self.n
        assert self.client.say("reactions/" + article, payload, qos, response_topic=self.topic, correlation=correlation) in (0, 0x10)
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
    """What it says is true in Redis when it is heard."""
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
    """A flood of refusals is answered at least once, and costs no unbounded queue: what was not sent is counted."""
    reader = Asking(edge)
    mids = [reader.client.send("reactions/x", b"meh", response_topic=reader.topic, correlation=b"%d" % i) for i in range(500)]
    assert {reader.client.ack(mid) for mid in mids} == {0x87}
    reader.client.flush()
    got = len(reader.client.got(topic=reader.topic))
    assert 1 <= got <= 500
    assert got + edge.header.receipts_not_sent() >= 500

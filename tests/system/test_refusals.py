"""Each reason for a refusal, provoked: the MQTT 5 answer, the receipt, the counters, and that nothing changed."""

import json

import pytest

from clients import FLAVOUR_NAMES, FLAVOURS, V311, V5, Closed, unique
from edge import busy_code, fill, wait_until

CASES = [
    ("bad_topic", "reactions", b"like", {}),
    ("bad_topic", "reactions/", b"like", {}),
    ("bad_article", "reactions/a//b", b"like", {}),
    ("bad_article", "reactions/~a", b"like", {}),
    ("bad_payload", "reactions/%s", b"not a kind", {}),
    ("bad_payload", "reactions/%s", b'{"reaction":"like","age_ms":604800001}', {}),
    ("bad_payload", "reactions/%s", b"x" * 513, {}),
    ("unknown_kind", "reactions/%s", b"meh", {}),
    ("unknown_kind", "reactions/%s", b'{"reaction":"meh"}', {}),
    ("forbidden", "reactions/%s", b'{"reaction":"like","reader":"a-reader-named-by-nobody"}', {}),
    ("forbidden", "reactions/%s", b"like", {"retain": True}),
]
NAMES = ["%s-%d" % (case[0], i) for i, case in enumerate(CASES)]


class Watched:
    """What must not change when a reaction is refused."""

    def __init__(self, edge):
        self.edge = edge
        self.refused = edge.header.refused()
        self.admitted = edge.header.admitted()
        self.totals = edge.store.totals()

    def check(self, reason, times=1):
        want = dict(self.refused)
        want[reason] += times
        assert self.edge.header.refused() == want
        assert self.edge.header.admitted() == self.admitted
        assert self.edge.store.totals() == self.totals


@pytest.mark.parametrize("reason,topic,payload,more", CASES, ids=NAMES)
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("qos", [1, 2])
def test_mqtt5_hears_code_and_reason(edge, reason, topic, payload, more, transport, qos):
    if "%s" in topic:
        topic %= unique("refused")
    watched = Watched(edge)
    client = edge.client(flavour=(V5, transport))
    receipts = "receipts/" + client.name
    client.watch(receipts)
    correlation = unique("c").encode()
    assert client.say(topic, payload, qos, response_topic=receipts, correlation=correlation, **more) == 0x87
    watched.check(reason)
    if more.get("retain"):
        return  # refused in the broker's access check, which knows no Response Topic
    message = client.wait(lambda: client.got(topic=receipts), "a receipt")[0]
    assert message.correlation == correlation and not message.retain
    receipt = json.loads(message.payload)
    assert receipt["outcome"] == "refused" and receipt["reason"] == reason
    assert set(receipt) <= {"article", "reaction", "outcome", "reason"}
    if reason in ("bad_topic", "bad_article"):
        assert "article" not in receipt


@pytest.mark.parametrize("reason,topic,payload,more", CASES, ids=NAMES)
@pytest.mark.parametrize("qos", [1, 2])
def test_mqtt311_gets_a_plain_answer_and_stays(edge, reason, topic, payload, more, qos):
    if "%s" in topic:
        topic %= unique("refused")
    watched = Watched(edge)
    client = edge.client(flavour=(V311, "tcp"))
    assert client.say(topic, payload, qos, **more) == 0
    client.flush()
    assert not client.closed
    watched.check(reason)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_qos0_is_counted_as_refused(edge, flavour):
    watched = Watched(edge)
    client = edge.client(flavour=flavour)
    client.send("reactions/" + unique("x"), b"meh", qos=0)
    client.send("reactions/" + unique("x"), b"meh", qos=0)
    client.flush()
    assert not client.closed
    watched.check("unknown_kind", 2)


def test_a_foreign_response_topic_is_forbidden(edge):
    victim, client = edge.client(), edge.client()
    victim.watch("receipts/" + victim.name)
    operator = edge.service("operator")
    operator.watch("#")
    watched = Watched(edge)
    foreign = ["receipts/" + victim.name, "totals/x", "receipts/", "receipts/%s/x" % client.name, "receipts/%sx" % client.name,
               "reactions/x", "ops/collector", client.name]
    for topic in foreign:
        assert client.say("reactions/" + unique("x"), b"like", response_topic=topic, correlation=b"1") == 0x87, topic
    watched.check("forbidden", len(foreign))
    operator.flush()
    victim.flush()
    assert not victim.got()
    assert not [m for m in operator.got() if m.correlation is not None or m.topic == "totals/x"]


def test_correlation_data_over_64_bytes_is_a_bad_payload(edge):
    client = edge.client()
    receipts = "receipts/" + client.name
    client.watch(receipts)
    article = unique("long")
    assert client.say("reactions/" + article, b"like", response_topic=receipts, correlation=b"c" * 64) in (0, 0x10)
    client.wait(lambda: [m for m in client.got(topic=receipts) if m.correlation == b"c" * 64], "the receipt of 64 bytes")
    edge.settle()
    watched = Watched(edge)
    assert client.say("reactions/" + article, b"sad", response_topic=receipts, correlation=b"c" * 65) == 0x87
    watched.check("bad_payload")


def test_correlation_data_alone_is_ignored(edge):
    client = edge.client()
    client.watch("receipts/" + client.name)
    article = unique("alone")
    assert client.say("reactions/" + article, b"like", correlation=b"c" * 65) in (0, 0x10)
    edge.settle()
    assert edge.store.totals()[article] == {"like": 1}
    client.flush()
    assert not client.got()


@pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5"])
def test_a_broker_made_id_may_watch_and_not_react(edge, version):
    watched = Watched(edge)
    client = edge.client(client_id="", flavour=(version, "tcp"))
    code = client.say("reactions/" + unique("auto"), b"like")
    assert code == (0x87 if version == V5 else 0)
    assert client.watch("totals/a") == [0]
    watched.check("forbidden")
    with_name = edge.client(client_id="", username=unique("reader-with-a-name"), flavour=(version, "tcp"))
    article = unique("auto")
    assert with_name.say("reactions/" + article, b"like") in (0, 0x10)
    edge.settle()
    assert edge.store.totals()[article] == {"like": 1}


def test_a_broker_made_id_may_react_where_the_option_says_so(make_edge):
    edge = make_edge(plugin={"auto_id_may_react": "on"}).start()
    for version in (V311, V5):
        article = unique("auto")
        assert edge.client(client_id="", flavour=(version, "tcp")).say("reactions/" + article, b"angry") in (0, 0x10)
        edge.settle()
        assert edge.store.totals()[article] == {"angry": 1}


def test_the_counters_are_shown_everywhere(edge):
    """Header, ops/collector and /metrics say the same numbers."""
    edge.client().say("reactions/x", b"meh")
    operator = edge.service("operator")
    operator.watch("ops/collector")
    want = edge.header.refused()
    status = edge.status(operator, lambda s: s["refused"]["unknown_kind"] == want["unknown_kind"], "the refusals in ops/collector")
    assert status["refused"] == want

    def metric():
        lines = {name: value for name, value in edge.metrics().items() if "refused" in name and "unknown_kind" in name}
        return list(lines.values()) == [want["unknown_kind"]]
    wait_until(metric, "the refusals in /metrics")


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("limits", ["off", "on"])
def test_busy(make_edge, transport, limits):
    """Also with limits on: reactions refused as busy have taken no tokens."""
    edge = make_edge(limits=limits, plugin={"shards": 1, "max_articles": 100, "reader_rate": 10000, "reader_burst": 1000000,
                                            "address_rate": 1000000, "address_burst": 1000000}).start()
    edge.stop("collector")
    article = unique("busy")
    admitted = fill(edge, article)
    assert admitted == edge.header.admitted() > (1 << 20) // 448 // 2
    client = edge.client(flavour=(V5, transport))
    receipts = "receipts/" + client.name
    client.watch(receipts)
    busy = edge.header.refused()["busy"]
    big = "x" * 200  # no smaller gap may be left that another record would fit in
    assert client.say("reactions/" + big, b"sad", 2, response_topic=receipts, correlation=b"b" * 64) == busy_code()
    receipt = json.loads(client.wait(lambda: client.got(topic=receipts), "a receipt")[0].payload)
    assert receipt == {"article": big, "reaction": "sad", "outcome": "refused", "reason": "busy"}
    for qos in (1, 2):
        old = edge.client(flavour=(V311, transport), client_id=unique("o" * 90))
        with pytest.raises(Closed):
            old.say("reactions/" + big, b"sad", qos)
    quiet = edge.client(flavour=(V311, transport))
    quiet.send("reactions/" + big, b"sad", qos=0)
    quiet.flush()
    assert not quiet.closed and edge.header.refused()["busy"] == busy + 4
    assert edge.header.admitted() == admitted
    edge.start("collector")
    assert wait_until(lambda: client.say("reactions/" + article, b"sad") in (0, 0x10), "room in the ring")
    edge.settle()
    assert edge.store.totals() == {article: {"like": 1, "sad": 1}}


@pytest.mark.slow
def test_clock(make_edge):
    edge = make_edge().start()
    article = unique("clock")
    client = edge.client()
    receipts = "receipts/" + client.name
    client.watch(receipts)
    assert client.say("reactions/" + article, b"like") in (0, 0x10)
    edge.settle()
    edge.stop("redis")
    edge.skew_redis(10000)
    edge.start("redis", ready=False)
    edge.wait_unhealthy("clock")
    wait_until(edge.header.clock_bad, "the clock flag in the spool")
    before = edge.header.refused()["clock"]
    assert client.say("reactions/" + article, b"sad", response_topic=receipts, correlation=b"t") == 0x87
    receipt = json.loads(client.wait(lambda: client.got(topic=receipts), "a receipt")[0].payload)
    assert receipt == {"article": article, "reaction": "sad", "outcome": "refused", "reason": "clock"}
    with pytest.raises(Closed):
        edge.client(flavour=(V311, "tcp")).say("reactions/" + article, b"sad")
    assert edge.header.refused()["clock"] == before + 2
    assert edge.store.totals()[article] == {"like": 1}
    edge.stop("redis")
    edge.skew_redis(0)
    edge.start("redis")
    wait_until(lambda: client.say("reactions/" + article, b"sad") in (0, 0x10), "reactions admitted again")
    edge.settle()
    assert edge.store.totals()[article] == {"sad": 1}

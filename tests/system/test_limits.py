"""Limits at admission: each reason, the clients that are exempt, and what a restarted broker

still knows. Buckets refill while a test runs, so the elapsed time bounds what a limit let through; nothing is timed."""

import json
import os
import signal
import time

import pytest

import raw_mqtt as raw
from clients import FLAVOUR_NAMES, FLAVOURS, V311, V5, Refused, reader_name, unique
from edge import EdgeError, rate_exceeded_code, wait_until

OK = (0, 0x10)
NOT_AUTHORISED = (5, 0x87)  # of MQTT 3.1.1, and what paho 2 makes of it
KINDS = [b"like", b"sad", b"wow", b"none"]
WIDE = 1000000  # a limit that no test reaches


def _edge(make_edge, **plugin):
    return make_edge(limits="on", plugin=dict({"max_articles": 1000}, **plugin))


def _react(client, topics, qos=1, **more):
    """One reaction on each topic, all of them sent before the first answer. Returns the codes and the seconds it took."""
    begun = time.monotonic()
    sent = [client.send(topic, b"like", qos, **more) for topic in topics]
    codes = [client.ack(mid) for mid in sent]
    return codes, time.monotonic() - begun


def _receipts(client, n):
    return [json.loads(m.payload) for m in client.wait(lambda: len(client.got(prefix="receipts/")) >= n and
                                                       client.got(prefix="receipts/"), "%d receipts" % n)]


def _of_article(told, article):
    return next((a["refused"] for a in told["articles"] if a["article"] == article), {})


# --- by reader ---

@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_a_reader_has_a_burst_and_a_rate(make_edge, flavour):
    edge = _edge(make_edge, reader_rate=1, reader_burst=5).start()
    name = reader_name()
    one, other = (edge.client(username=name, flavour=flavour) for _ in range(2))
    receipts = "receipts/" + one.name
    articles = [unique("article"), unique("article")]
    topics = ["reactions/" + a for a in articles] * 20
    asked = {}
    if flavour[0] == V5:
        one.watch(receipts)
        asked = {"response_topic": receipts, "correlation": b"c"}
    codes, seconds = _react(one, topics, **asked)
    admitted = edge.header.admitted()
    refused = edge.header.refused()
    assert 5 <= admitted <= 5 + seconds + 1
    assert refused["rate_reader"] == len(topics) - admitted > 0
    assert sum(refused.values()) == refused["rate_reader"]
    if flavour[0] == V5:
        assert sum(code == 0x87 for code in codes) == refused["rate_reader"]
        one.wait(lambda: [m for m in one.got(topic=receipts) if json.loads(m.payload) == {
            "article": articles[1], "reaction": "like", "outcome": "refused", "reason": "rate_reader"}], "a receipt that says so")
    else:
        assert codes == [0] * len(topics)
    # It is the reader's, on whatever connection; and nobody else's.
    before = edge.header.refused()["rate_reader"]
    _react(other, topics)
    assert edge.header.refused()["rate_reader"] > before
    assert edge.client(username=reader_name(), flavour=flavour).say(topics[0], b"sad") in OK
    assert not one.closed and not other.closed
    total = edge.header.refused()["rate_reader"]
    told = edge.refusals(lambda t: t["refused"]["rate_reader"] == total, "all refusals in ops/refusals")
    assert sum(_of_article(told, a).get("rate_reader", 0) for a in articles) == total
    assert all(a["known"] for a in told["articles"])

    def metric():
        return edge.metrics().get('tally_refused_reactions_total{reason="rate_reader"}') == total
    wait_until(metric, "the refusals in /metrics")


def test_qos_0_and_2_are_limited_too(make_edge):
    edge = _edge(make_edge, reader_rate=1, reader_burst=3).start()
    for qos in (0, 2):
        before = edge.header.admitted(), edge.header.refused()["rate_reader"]
        client = edge.client()
        begun = time.monotonic()
        for _ in range(30):
            client.send("reactions/x", b"like", qos)
        client.flush()
        seconds = time.monotonic() - begun
        admitted = edge.header.admitted() - before[0]
        assert 3 <= admitted <= 3 + seconds + 1
        assert edge.header.refused()["rate_reader"] - before[1] == 30 - admitted


# --- by address ---

@pytest.mark.slow
def test_an_address_has_a_bucket_of_its_own(make_edge):
    """TCP gives 127.0.0.1 and, on some brokers, WebSocket ::ffff:127.0.0.1: that is one address."""
    edge = _edge(make_edge, address_rate=1, address_burst=6, reader_burst=WIDE, reader_rate=10000).start()
    seconds = time.monotonic()
    codes = []
    for i in range(30):
        flavour = FLAVOURS[i % len(FLAVOURS)]
        client = edge.client(username=reader_name(), flavour=flavour)
        codes.append(client.say("reactions/x", b"like"))
    seconds = time.monotonic() - seconds
    admitted, refused = edge.header.admitted(), edge.header.refused()
    assert 6 <= admitted <= 6 + seconds + 1
    assert refused["rate_address"] == 30 - admitted == sum(refused.values())
    # Another address, and one without an end.
    elsewhere = edge.client(source="127.0.0.2")
    assert elsewhere.say("reactions/x", b"like") in OK
    client = edge.client()
    client.watch("receipts/" + client.name)
    codes, _seconds = _react(client, ["reactions/x"] * 20, response_topic="receipts/" + client.name)
    assert 0x87 in codes
    refusal = {"article": "x", "reaction": "like", "outcome": "refused", "reason": "rate_address"}
    client.wait(lambda: [m for m in client.got(prefix="receipts/") if json.loads(m.payload) == refusal], "a receipt that says so")


def test_a_listed_proxy_has_no_limit_of_an_address(make_edge):
    edge = _edge(make_edge, address_rate=1, address_burst=1, connect_rate=1, connect_burst=1, trusted_proxies="127.0.0.1,10.0.0.0/8").start()
    for flavour in FLAVOURS:
        for _ in range(5):
            assert edge.client(username=reader_name(), flavour=flavour).say("reactions/x", b"like") in OK
    assert sum(edge.header.refused().values()) == 0


def test_who_is_over_the_own_limit_takes_nothing_from_the_address(make_edge):
    edge = _edge(make_edge, reader_rate=1, reader_burst=2, address_rate=1, address_burst=40).start()
    flooder = edge.client()
    _codes, seconds = _react(flooder, ["reactions/x"] * 300)
    assert edge.header.refused()["rate_reader"] >= 300 - 2 - seconds - 1
    honest = [edge.client(username=reader_name()) for _ in range(10)]
    assert all(client.say("reactions/x", b"sad") in OK for client in honest)
    assert edge.header.refused()["rate_address"] == 0


@pytest.mark.slow
def test_an_address_may_not_connect_without_end(make_edge):
    edge = _edge(make_edge, connect_rate=1, connect_burst=4).start()
    begun = time.monotonic()
    connected, refused = [], 0
    for i in range(40):
        protocol, transport = FLAVOURS[i % len(FLAVOURS)]
        try:
            connected.append(edge.client(flavour=(protocol, transport)))
        except Refused as refusal:
            refused += 1
            assert refusal.code in ((rate_exceeded_code(),) if protocol == V5 else NOT_AUTHORISED)
    seconds = time.monotonic() - begun
    assert 4 <= len(connected) <= 4 + seconds + 1 and refused == 40 - len(connected) > 0
    # Those who are there are served, an operator gets in, and so does another address.
    assert connected[0].say("reactions/x", b"like") in OK
    assert edge.client(source="127.0.0.3").say("reactions/x", b"like") in OK
    told = edge.refusals(lambda t: t["connections"]["rate_address"] >= refused, "the connections in ops/refusals")
    assert told["connections"] == {"rate_address": refused, "no_room": 0, "flood": 0, "token": 0, "rate_signature": 0, "sessions": 0}
    assert sum(edge.header.refused().values()) == 0


# --- clients that never stop ---

@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
@pytest.mark.parametrize("topic", ["reactions/x", "reactions/{", "totals/x"])
def test_a_flooder_is_ended(make_edge, flavour, topic):
    """This holds for every packet that Tally refuses. Other clients at the address stay, and a client that comes back is served again."""
    edge = _edge(make_edge, refusal_rate=1, refusal_burst=50, reader_rate=1, reader_burst=5).start()
    honest, flooder = edge.client(), edge.client(flavour=flavour)
    before = edge.header.refused()
    for i in range(2000):
        flooder.send(topic, KINDS[i % len(KINDS)], 0)
    flooder.wait_closed()
    refused = sum(edge.header.refused().values()) - sum(before.values())
    assert 50 < refused < 2000
    assert honest.say("reactions/x", b"like") in OK
    assert edge.client(flavour=flavour).say("reactions/x", b"sad") in OK
    edge.refusals(lambda t: t["connections"]["flood"] == 1, "the ended one in ops/refusals")


def test_who_floods_and_comes_back_pays_with_connections(make_edge):
    edge = _edge(make_edge, refusal_rate=1, refusal_burst=1, reader_rate=1, reader_burst=1, connect_rate=1, connect_burst=25).start()
    elsewhere = edge.client(source="127.0.0.2")
    flooder = edge.client()
    for _ in range(100):
        flooder.send("reactions/x", b"like", 0)
    flooder.wait_closed()
    refused = 0
    for _ in range(30):
        try:
            edge.client()
        except Refused:
            refused += 1
    assert refused > 0
    assert elsewhere.say("reactions/x", b"like") in OK
    assert edge.client(source="127.0.0.2").say("reactions/x", b"like") in OK


def test_who_floods_and_comes_back_as_soon_as_it_may_owes_the_price(make_edge):
    """It cannot get away with the current rest of its bucket: each time costs 100 connections."""
    edge = _edge(make_edge, refusal_rate=1, refusal_burst=1, reader_rate=1, reader_burst=1, connect_rate=500, connect_burst=120).start()
    elsewhere = edge.client(source="127.0.0.2")
    begun, floods = time.monotonic(), 0
    while floods < 8:
        with raw.Raw(edge.mqtt_port) as flooder:
            if flooder.open(unique("flooder")) == 0:
                flooder.send(raw.publish("reactions/x", b"like") * 10)
                flooder.rest()
                floods += 1
    assert 100 * (floods - 1) <= 120 + 500 * (time.monotonic() - begun)
    assert elsewhere.say("reactions/x", b"like") in OK


def test_a_full_ring_is_held_against_nobody(make_edge):
    edge = _edge(make_edge, refusal_rate=1, refusal_burst=5, ring_bytes=1048576, shards=1, reader_rate=10000, reader_burst=WIDE,
                 address_rate=WIDE, address_burst=WIDE).start()
    edge["collector"].stop()
    client = edge.client()
    for i in range(40000):
        client.send("reactions/x", KINDS[i % len(KINDS)], 0)
        if i % 1000 == 0:
            client.flush()
    client.flush()
    assert edge.header.refused()["busy"] > 100 and not client.closed


def test_a_wrong_secret_costs_a_connection(make_edge):
    edge = _edge(make_edge, connect_rate=1, connect_burst=5).start()
    for _ in range(60):
        with pytest.raises(Refused):
            edge.client(username="operator", password="x" * 24)
    told = edge.refusals(lambda t: t["connections"]["rate_address"] > 0, "a refused connection")
    assert told["connections"]["rate_address"] < 60


@pytest.mark.parametrize("named", [True, False], ids=["usernames", "client-ids"])
def test_a_reload_costs_no_connection(make_edge, named):
    edge = _edge(make_edge, connect_rate=1, connect_burst=8)
    edge.edit_broker({}, ["log_type information"])  # which tells of a reload
    edge.start()
    clients = [edge.client(username=reader_name() if named else None) for _ in range(6)]
    assert clients[0].say("reactions/x", b"like") in OK  # known by it; the others have not reacted yet
    for n in range(1, 6):
        edge["broker"].child.send_signal(signal.SIGHUP)
        wait_until(lambda: edge["broker"].text().count("Reloading config") >= n, "the broker to reload")
        for client in clients:
            client.flush()
            assert not client.closed
    edge.client()
    assert all(client.say("reactions/x", b"sad") in OK for client in clients)


# --- unknown articles ---

def test_only_an_operators_articles_where_none_is_created(make_edge):
    edge = _edge(make_edge, auto_create="off").start()
    operator, client, old = edge.service("operator"), edge.client(), edge.client(flavour=(V311, "tcp"))
    receipts = "receipts/" + client.name
    client.watch(receipts)
    article = unique("world") + "/x"
    topic = "reactions/" + article
    assert client.say(topic, b"like", response_topic=receipts) == 0x87
    assert _receipts(client, 1) == [{"article": article, "reaction": "like", "outcome": "refused", "reason": "unknown_article"}]
    assert old.say(topic, b"like") == 0 and not old.closed
    told = edge.refusals(lambda t: _of_article(t, article).get("unknown_article") == 2, "the unknown article")
    assert [a["known"] for a in told["articles"]] == [False]
    # nobody else makes it known, and only by a state that is kept
    assert client.say("articles/" + article, b"{}", retain=True) == 0x87
    assert operator.say("articles/" + article, b"{}") == 0x87
    assert client.say(topic, b"like") == 0x87
    operator.say("articles/" + article, b"{}", retain=True)
    assert client.say(topic, b"like") in OK
    edge.settle()
    assert edge.store.totals() == {article: {"like": 1}}
    edge.wait_total(article)
    operator.say("articles/" + article, b"", retain=True)
    assert client.say(topic, b"sad") == 0x87  # its total does not make it known
    # kill -9: the retained state is gone with the broker, the knowledge is not
    other = unique("other")
    operator.say("articles/" + other, b"{}", retain=True)
    edge.kill("broker")
    edge.start("broker")
    edge.wait_ready()
    client = edge.client()
    assert client.say("reactions/" + other, b"like") in OK
    assert client.say(topic, b"like") == 0x87


def test_so_many_new_articles_a_minute(make_edge):
    edge = _edge(make_edge, auto_create_rate=3).start()
    client = edge.client()
    first = [unique("first") for _ in range(3)]
    assert all(client.say("reactions/" + a, b"like") in OK for a in first)
    begun = time.monotonic()
    refused = [a for a in (unique("more") for _ in range(10)) if client.say("reactions/" + a, b"like") == 0x87]
    assert len(refused) >= 10 - (time.monotonic() - begun) / 20 - 1
    assert edge.header.refused()["unknown_article"] == len(refused)
    assert all(client.say("reactions/" + a, b"sad") in OK for a in first)


def test_a_killed_broker_knows_what_it_knew(make_edge):
    """Of its own file, with no feed to tell it; and without that file, by the feed's totals."""
    edge = _edge(make_edge, auto_create_rate=4, reader_burst=WIDE, reader_rate=10000).start()
    client = edge.client()
    articles = [unique("article") for _ in range(4)]
    assert all(client.say("reactions/" + a, b"like") in OK for a in articles)
    edge.settle()
    for a in articles:
        edge.wait_total(a)

    def known_without_a_token():
        """All of `articles` are known, then 4 new ones may be, and few more: so the first took no token."""
        client = edge.client()
        assert all(client.say("reactions/" + a, b"sad") in OK for a in articles)
        assert all(client.say("reactions/" + unique("new"), b"sad") in OK for _ in range(4))
        assert 0x87 in [client.say("reactions/" + unique("new"), b"sad") for _ in range(20)]

    edge.stop("feed")
    edge.kill("broker")
    edge.start("broker")
    known_without_a_token()
    edge.kill("broker")
    os.unlink(os.path.join(edge.spool, "registry"))
    edge.start("broker")
    edge.start("feed")
    operator = edge.service("operator")
    operator.watch("totals/#")
    operator.wait(lambda: {m.topic for m in operator.got(prefix="totals/")} >= {"totals/" + a for a in articles}, "the feed's totals")
    known_without_a_token()


def test_max_articles_is_a_cap(make_edge):
    edge = _edge(make_edge, max_articles=3, auto_create_rate=WIDE).start()
    client, operator = edge.client(), edge.service("operator")
    first = [unique("first") for _ in range(3)]
    assert [client.say("reactions/" + a, b"like") in OK for a in first] == [True] * 3
    assert client.say("reactions/one-more", b"like") == 0x87
    assert edge.header.refused()["unknown_article"] == 1
    operator.say("articles/one-more", b"{}", retain=True)  # takes the stalest one's place
    assert client.say("reactions/one-more", b"like") in OK
    assert [client.say("reactions/" + a, b"sad") in OK for a in first] == [False, True, True]
    for article in ("two", "three"):
        assert operator.say("articles/" + article, b"{}", retain=True) in OK
    assert operator.say("articles/four", b"{}", retain=True) == 0x87
    assert "max_articles" in edge["broker"].text()
    # Another number of articles: the file is made again, unless that would forget a state.
    edge.stop("broker", "feed")
    edge.edit_broker({"max_articles": 2, "auto_create": "off"})
    with pytest.raises(EdgeError, match="option max_articles"):
        edge.start("broker", ready=False)
    edge.edit_broker({"max_articles": 50})
    edge.start("broker", ready=False)
    assert all(edge.client().say("reactions/" + a, b"like") in OK for a in ("one-more", "two", "three"))


# --- all of it ---

def test_off_is_off(make_edge):
    edge = make_edge(limits="off", plugin={"reader_rate": 1, "reader_burst": 1, "address_rate": 1, "address_burst": 1, "connect_rate": 1,
                                           "connect_burst": 1, "auto_create": "off"}).start()
    for _ in range(3):
        client = edge.client()
        codes, _seconds = _react(client, ["reactions/" + unique("x") for _ in range(50)])
        assert set(codes) <= set(OK)


def test_refusals_are_for_operators_retained_and_not_repeated(make_edge):
    edge = _edge(make_edge).start()
    begun = time.monotonic()
    operator, reader = edge.service("operator"), edge.client()
    assert reader.watch("ops/refusals")[0] >= 0x80
    operator.watch("ops/refusals")
    first = operator.wait(lambda: operator.got(topic="ops/refusals"), "the retained refusals")[0]
    assert first.retain and json.loads(first.payload)["articles"] == []
    for i in range(200):
        reader.send("reactions/a", b"meh", qos=0)
        reader.send("reactions/~", b"like", qos=0)
    reader.flush()
    told = operator.wait(lambda: [t for t in map(lambda m: json.loads(m.payload), operator.got(topic="ops/refusals"))
                                  if t["refused"]["unknown_kind"] == 200 and t["refused"]["bad_article"] == 200], "all of them")[0]
    assert _of_article(told, "a") == {"unknown_kind": 200}
    assert len(operator.got(topic="ops/refusals")) <= time.monotonic() - begun + 2
    assert edge.client(flavour=(V5, "tcp")).say("ops/refusals", b"{}", retain=True) == 0x87

"""A gateway: a service that names the reader of each reaction in the payload. Nobody else may."""

import json
import secrets
import time

import pytest

from clients import FLAVOUR_NAMES, FLAVOURS, Closed, Refused, reader_name, unique

OK = (0, 0x10)
DENIED = 0x87


@pytest.fixture
def gateway_edge(make_edge):
    """Edges whose services file has a gateway, too."""
    def make(**options):
        edge = make_edge(**options)
        with open(edge.path("services"), "a") as services:
            services.write("backend gateway %s\n" % secrets.token_hex(24))
        return edge.start()
    return make


def _of(reader, kind, **more):
    return json.dumps(dict({"reaction": kind, "reader": reader}, **more)).encode()


def _counts(edge, article):
    edge.settle()
    return {kind: n for kind, n in edge.store.totals().get(article, {}).items() if n}


def test_a_gateway_reacts_for_whom_it_names(gateway_edge):
    edge = gateway_edge()
    article = unique("named")
    for flavour in FLAVOURS:
        backend = edge.service("backend", flavour=flavour)
        for reader, kind in (("one", "like"), ("two", "like"), ("three", "sad"), ("one", "wow"), ("two", "none")):
            assert backend.say("reactions/" + article, _of(reader, kind)) in OK
    assert _counts(edge, article) == {"wow": 1, "sad": 1}
    # The same name as a client id or a username is another reader.
    named = reader_name()
    backend.say("reactions/" + article, _of(named, "love"))
    edge.client(username=named).say("reactions/" + article, b"love")
    edge.client(client_id=named).say("reactions/" + article, b"love")
    assert _counts(edge, article) == {"wow": 1, "sad": 1, "love": 3}


def test_a_gateway_hears_what_became_of_a_reaction(gateway_edge):
    edge = gateway_edge()
    article = unique("told")
    backend = edge.service("backend", client_id="gateway-1")
    own = "receipts/gateway-1"
    assert backend.watch(own, "totals/#") == [0, 0]
    backend.say("reactions/" + article, _of("one", "like"), response_topic=own, correlation=b"a")
    backend.say("reactions/" + article, _of("one", "nonsense"), response_topic=own, correlation=b"b")
    backend.wait(lambda: len(backend.got(topic=own)) == 2, "two receipts")
    told = {m.correlation: json.loads(m.payload) for m in backend.got(topic=own)}
    assert told[b"a"]["outcome"] == "counted"
    assert (told[b"b"]["outcome"], told[b"b"]["reason"]) == ("refused", "unknown_kind")


def test_a_gateway_names_a_reader_or_is_refused(gateway_edge):
    edge = gateway_edge()
    article = unique("unnamed")
    backend = edge.service("backend")
    before = edge.header.refused()["forbidden"]
    for payload in (b"like", b'{"reaction":"like"}', b""):
        assert backend.say("reactions/" + article, payload) == DENIED
    assert edge.header.refused()["forbidden"] == before + 3
    for reader in ("", "x" * 129):
        assert backend.say("reactions/" + article, _of(reader, "like")) == DENIED
    assert _counts(edge, article) == {}


@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_nobody_else_names_a_reader(gateway_edge, flavour):
    edge = gateway_edge()
    article = unique("others")
    before = edge.header.refused()["forbidden"]
    clients = [edge.client(flavour=flavour), edge.client(username=reader_name(), flavour=flavour), edge.service("newsroom", flavour=flavour)]
    for client in clients:
        client.say("reactions/" + article, _of("one", "like"))
    assert edge.header.refused()["forbidden"] == before + len(clients)
    for wrong in (None, "", "not-the-gateways-secret"):
        with pytest.raises((Refused, Closed)):
            edge.client(username="backend", password=wrong, flavour=flavour)
    for who in ({}, {"username": reader_name()}):
        with pytest.raises((Refused, Closed)):
            edge.client(client_id="gateway-1", flavour=flavour, **who)
    assert _counts(edge, article) == {}


def test_limits_are_each_readers_and_not_the_gateways(gateway_edge):
    edge = gateway_edge(limits="on", plugin={"reader_rate": 1, "reader_burst": 5, "address_rate": 1, "address_burst": 1,
                                             "refusal_rate": 1, "refusal_burst": 10})
    article = unique("limits")
    backend = edge.service("backend")
    sent = [backend.send("reactions/" + article, _of("reader-%d" % i, "like")) for i in range(200)]
    assert {backend.ack(mid) for mid in sent} <= set(OK)
    begun = time.monotonic()
    sent = [backend.send("reactions/" + article, _of("greedy", "like" if i % 2 else "sad")) for i in range(100)]
    codes = [backend.ack(mid) for mid in sent]
    admitted = sum(code in OK for code in codes)
    assert 5 <= admitted <= 6 + (time.monotonic() - begun) and codes[0] in OK
    assert codes.count(DENIED) == 100 - admitted > 11  # more than a reader's connection survives
    assert edge.header.refused()["rate_reader"] == codes.count(DENIED)
    assert backend.say("reactions/" + article, _of("another", "like")) in OK  # and it is connected yet

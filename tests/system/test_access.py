"""Who may connect, subscribe, write and read: forged totals, foreign receipts, wildcards, wills, names."""

import json
import subprocess

import pytest

from clients import FLAVOUR_NAMES, FLAVOURS, V311, V5, Closed, Refused, reader_name, unique
from edge import wait_until

ROLES = ["reader", "newsroom", "operator", "tally-collector", "tally-feed"]
DENIED = 0x80  # and above


def _as(edge, role, **more):
    if role == "reader":
        return edge.client(username=reader_name(), **more)
    return edge.service(role, **more)


# --- writing ---

TOPICS = ["totals/forged", "totals/a/b/c", "top/hot", "ops/collector", "ops/feed", "ops/health", "ops/other", "articles/forged",
          "receipts/somebody", "receipts/own", "totals", "totals/", "ops", "$SYS/forged", "elsewhere/entirely", "tally/x"]
MAY_WRITE = {"reader": set(), "newsroom": set(), "operator": set()}  # an operator writes states (test_states.py), and no lies


@pytest.mark.parametrize("retain", [False, True], ids=["live", "retained"])
@pytest.mark.parametrize("role", sorted(MAY_WRITE))
@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_forged_topics_reach_nobody(edge, role, flavour, retain):
    watcher = edge.service("operator")
    assert watcher.watch("#") == [0]
    forger = _as(edge, role, flavour=flavour)
    lie = unique("lie").encode()
    for topic in TOPICS:
        topic = topic.replace("own", forger.name)
        for qos in (0, 1, 2):
            try:
                if qos == 0:
                    forger.send(topic, lie, 0, retain=retain)
                    continue
                code = forger.say(topic, lie, qos, retain=retain)
            except Closed:
                raise AssertionError("disconnected for writing %s" % topic)
            if flavour[0] == V5 and topic not in MAY_WRITE[role]:
                assert code == 0x87, topic
    forger.flush()
    edge.client().say("reactions/" + unique("after"), b"like")
    watcher.flush()
    heard = {m.topic for m in watcher.got() if m.payload == lie}
    assert heard == MAY_WRITE[role]
    late = edge.service("operator")
    late.watch("#", "$SYS/#")
    late.flush()
    assert {m.topic for m in late.got() if m.payload == lie} == (MAY_WRITE[role] if retain else set())
    for topic in MAY_WRITE[role]:
        forger.say(topic, b"", retain=True)


@pytest.mark.parametrize("role,topics", [
    ("tally-collector", ["totals/x", "top/x", "articles/x", "ops/feed", "ops/health", "reactions/x"]),
    ("tally-feed", ["receipts/x", "ops/collector", "reactions/x"]),
    ("operator", ["reactions/x"]),
])
def test_a_service_writes_its_own_topics_only(edge, role, topics):
    client = edge.service(role)
    for topic in topics:
        assert client.say(topic, b"like") == 0x87, topic
    edge.settle()
    assert "x" not in edge.store.totals()


def test_forged_writes_are_counted_as_forbidden(edge):
    before = edge.header.refused()["forbidden"]
    edge.client().say("totals/forged", b"{}")
    assert edge.header.refused()["forbidden"] == before + 1


# --- subscribing ---

NEVER = ["reactions/#", "reactions/x", "reactions/+", "reactions", "$share/x/reactions/#", "$share/x/reactions/y"]
OUTSIDE = ["#", "+", "+/x", "+/#", "receipts/#", "receipts/+", "receipts/somebody-else", "$share/x/#", "$share/x/receipts/#",
           "$share/x/+/x", "ops/#", "ops/collector", "ops/+", "$SYS/#", "$share/x/ops/#"]
WILD = ["totals/#", "totals/+", "totals/a/+", "totals/+/b", "top/#", "articles/#", "$share/x/totals/#"]
EXACT = ["totals/a", "totals/a/b", "top/hot", "articles/a/b", "own"]


def _ask(client, topic):
    """Whether the broker grants the filter."""
    topic = "receipts/" + client.name if topic == "own" else topic
    return client.watch(topic)[0] < DENIED


def _answers(client, filters):
    return {topic: _ask(client, topic) for topic in filters}


@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_a_reader_subscribes_to_exact_topics(edge, flavour):
    client = _as(edge, "reader", flavour=flavour)
    assert _answers(client, EXACT) == dict.fromkeys(EXACT, True)
    assert _answers(client, NEVER + OUTSIDE + WILD) == dict.fromkeys(NEVER + OUTSIDE + WILD, False)


@pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5"])
@pytest.mark.parametrize("role,granted", [
    ("newsroom", EXACT + WILD),
    ("operator", EXACT + WILD + ["#", "receipts/#", "ops/#", "ops/collector", "$SYS/#"]),
    ("tally-collector", EXACT + ["ops/#", "ops/feed"]),
    ("tally-feed", EXACT + WILD + ["ops/#", "$SYS/#"]),
])
def test_roles_subscribe_to_theirs(edge, role, granted, version):
    client = _as(edge, role, flavour=(version, "tcp"))
    assert _answers(client, granted) == dict.fromkeys(granted, True)
    assert _answers(client, NEVER) == dict.fromkeys(NEVER, False)
    if role == "newsroom":
        assert _answers(client, OUTSIDE) == dict.fromkeys(OUTSIDE, False)
    if role == "tally-collector":
        assert not _ask(client, "receipts/#") and not _ask(client, "$SYS/#") and not _ask(client, "#")


def test_allow_wildcards_open_totals_and_nothing_else(make_edge):
    edge = make_edge(plugin={"allow_wildcards": "on"}).start()
    client = _as(edge, "reader")
    opened = [f for f in WILD if not f.startswith("$share")]
    assert _answers(client, opened + EXACT) == dict.fromkeys(opened + EXACT, True)
    assert _answers(client, NEVER + OUTSIDE) == dict.fromkeys(NEVER + OUTSIDE, False)
    article = unique("open")
    edge.client().say("reactions/" + article, b"wow")
    client.wait(lambda: client.got(topic="totals/" + article), "a total by wildcard")
    said = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(edge.mqtt_port), "-t", "totals/#", "-C", "1", "-W", "20"],
                          stdout=subprocess.PIPE, check=True, timeout=30).stdout
    assert json.loads(said)["article"] == article


def test_nobody_is_delivered_a_reaction(edge):
    """Not even a client that holds a matching filter."""
    operator, feed = edge.service("operator"), edge.service("tally-feed", client_id=unique("tally-test"))
    for watcher in (operator, feed):
        watcher.watch("#", "+/#", "+/+")
    article = unique("hidden")
    for qos in (0, 1, 2):
        client = edge.client()
        client.send("reactions/" + article, b"like", qos=qos)
        client.flush()
    operator.wait(lambda: operator.got(topic="totals/" + article), "the total")
    for watcher in (operator, feed):
        watcher.flush()
        assert not [m for m in watcher.messages if m.topic.startswith("reactions")]


@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_subscriptions_of_a_connection_are_bounded(make_edge, flavour):
    edge = make_edge(plugin={"max_subscriptions": 10}).start("broker", ready=False)
    client = _as(edge, "reader", flavour=flavour)
    granted = [client.watch("totals/a%d" % i)[0] for i in range(8)] + client.watch("totals/b1", "totals/b2", "totals/b3")
    assert granted[:10] == [0] * 10 and granted[10] >= DENIED
    assert client.watch("totals/a0")[0] >= DENIED  # requests are counted, not subscriptions
    assert not client.closed
    assert _as(edge, "reader").watch("totals/a") == [0]
    operator = edge.service("operator")
    assert operator.watch(*["totals/a%d" % i for i in range(20)]) == [0] * 20


def test_receipts_are_for_their_client_alone(edge):
    first, second, newsroom = edge.client(), edge.client(), edge.service("newsroom")
    first.watch("receipts/" + first.name)
    second.watch("receipts/" + second.name, "totals/x")
    for watcher in (second, newsroom):
        assert watcher.watch("receipts/" + first.name)[0] >= DENIED
    article = unique("private")
    first.say("reactions/" + article, b"like", response_topic="receipts/" + first.name, correlation=b"mine")
    first.wait(lambda: first.got(topic="receipts/" + first.name), "the receipt")
    for watcher in (second, newsroom):
        watcher.flush()
        assert not watcher.got(prefix="receipts/")


# --- wills, retained reactions ---

def _take_over(edge, client, flavour):
    """Ends a client by its id's next connection: the broker sends the will before it answers that one."""
    later = edge.client(client_id=client.name, flavour=flavour)
    client.wait_closed()
    later.flush()


@pytest.mark.parametrize("retain", [False, True], ids=["live", "retained"])
@pytest.mark.parametrize("end", ["cut", "taken over"])
@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_a_will_is_never_counted_nor_delivered(edge, flavour, end, retain):
    article, lie = unique("will"), unique("lie").encode()
    operator = edge.service("operator")
    operator.watch("#")
    admitted = edge.header.admitted()
    for topic, payload in (("reactions/" + article, b"like"), ("totals/" + article, lie), ("receipts/x", lie), ("ops/collector", lie)):
        try:
            client = edge.client(flavour=flavour, will=(topic, payload, 1, retain))
        except Refused:
            continue  # refused at connect: as good
        if end == "cut":
            client.cut()
            edge.client(client_id=client.name, flavour=flavour).flush()
        else:
            _take_over(edge, client, flavour)
    edge.client().say("reactions/" + unique("after"), b"like")
    edge.settle()
    assert edge.header.admitted() == admitted + 1
    assert article not in edge.store.totals()
    operator.flush()
    late = edge.service("operator")
    late.watch("#")
    late.flush()
    for watcher in (operator, late):
        assert not [m for m in watcher.messages if m.topic.startswith("reactions") or m.payload == lie]


def test_a_retained_reaction_is_refused_and_not_kept(edge):
    article = unique("kept")
    for flavour in FLAVOURS:
        client = edge.client(flavour=flavour)
        assert client.say("reactions/" + article, b"like", retain=True) == (0x87 if flavour[0] == V5 else 0)
    edge.settle()
    assert article not in edge.store.totals()
    operator = edge.service("operator")
    operator.watch("#")
    operator.flush()
    assert not operator.got(prefix="reactions/")


# --- names ---

@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
@pytest.mark.parametrize("client_id", ["a+b", "a#b", "a/b", "x" * 129, "tally-x", "newsroom-x", "ops-x", "tally-collector"])
def test_client_ids_refused(edge, client_id, flavour):
    for username in (None, reader_name()):
        with pytest.raises((Refused, Closed)):
            edge.client(client_id=client_id, username=username, flavour=flavour)


def test_client_ids_admitted(edge):
    for client_id in ("x" * 128, "y", "tall-y", "\u00e4", "with space", "$SYS"):
        assert edge.client(client_id=client_id).say("reactions/" + unique("id"), b"like") in (0, 0x10), client_id


@pytest.mark.parametrize("role,client_id,admitted", [
    ("newsroom", "newsroom-1", True), ("newsroom", "ops-1", False), ("newsroom", "tally-1", False),
    ("operator", "ops-1", True), ("operator", "newsroom-1", False), ("operator", "tally-1", False),
    ("tally-feed", "tally-1", True), ("tally-feed", "ops-1", False), ("tally-collector", "tally-2", True),
    ("operator", "plain", True),
])
def test_role_prefixes_are_the_roles(edge, role, client_id, admitted):
    if admitted:
        edge.service(role, client_id=client_id)
    else:
        with pytest.raises((Refused, Closed)):
            edge.service(role, client_id=client_id)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_usernames(edge, flavour):
    for username in ("short", "x" * 15, "x" * 129):  # Mosquitto hands on an empty one as none
        with pytest.raises((Refused, Closed)):
            edge.client(username=username, flavour=flavour)
    for username in ("x" * 16, "x" * 128, "tally-collectors-"):
        edge.client(username=username, flavour=flavour)


@pytest.mark.parametrize("role", ROLES[1:])
@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_a_service_needs_its_secret(edge, role, flavour):
    secret = edge.secret(role)
    for wrong in (None, "", "wrong-secret-of-some-length", secret[:-1], secret + "x", secret.upper() + " "):
        with pytest.raises((Refused, Closed)):
            edge.client(username=role, password=wrong, flavour=flavour)
    edge.client(username=role, password=secret, flavour=flavour)


def test_secrets_are_never_logged(edge):
    with pytest.raises((Refused, Closed)):
        edge.client(username="operator", password="a-secret-that-is-wrong")
    secrets = ["a-secret-that-is-wrong", edge.key().hex()] + [edge.secret(role) for role in ROLES[1:]]
    wait_until(lambda: edge["broker"].text(), "a log of the broker")
    for name in ("broker", "collector", "feed", "redis"):
        text = edge[name].text(all_starts=True)
        assert not [s for s in secrets if s in text], name
    with open("/proc/%d/cmdline" % edge["collector"].child.pid, "rb") as cmdline:
        words = cmdline.read()
    assert not [s for s in secrets if s.encode() in words]

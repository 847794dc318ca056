"""Readers with accounts: who brings a token is the reader whom it names, as long as it holds."""

import glob
import json
import os
import secrets
import signal
import socket
import time

import pytest

import raw_mqtt as raw
import tokens
from clients import FLAVOUR_NAMES, FLAVOURS, V5, Closed, Refused, reader_name, unique
from edge import rate_exceeded_code, wait_until

OK = (0, 0x10)
DENIED = 0x87
NOT_AUTHORISED = (4, 5, 0x86, 0x87)  # of MQTT 3.1.1 and 5
KEYS = tokens.Keys()
EDGE = {"plugin": {"identities": "token,username,client_id"}}
by_flavour = pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)


def prepare(edge, content=None, mode=0o600):
    """Before an edge starts: its keys, and a gateway."""
    tokens.write(edge.path("token.keys"), content or tokens.jwks(KEYS), mode)
    edge.edit_broker({"token_keys": edge.path("token.keys")})
    with open(edge.path("services"), "a") as services:
        services.write("backend gateway %s\n" % secrets.token_hex(24))


def _allow_no_anonymous(edge):
    with open(edge.path("mosquitto.conf")) as conf:
        text = conf.read()
    assert "allow_anonymous true" in text
    with open(edge.path("mosquitto.conf"), "w") as conf:
        conf.write(text.replace("allow_anonymous true", "allow_anonymous false"))


def _counts(edge, article):
    edge.settle()
    return {kind: n for kind, n in edge.store.totals().get(article, {}).items() if n}


def _bearer(edge, token, flavour=(V5, "tcp"), **more):
    return edge.client(username=more.pop("username", "anybody"), password=token, flavour=flavour, **more)


def _accepted(edge, token, flavour=(V5, "tcp")):
    try:
        _bearer(edge, token, flavour).close()
        return True
    except Refused as refused:
        assert refused.code in NOT_AUTHORISED
        return False


def _before_it_expires(make):
    """What `make(expires)` made while tokens that expire then held, and that time: later where the machine is slow."""
    for seconds in (2, 4, 8, 16, 32):
        expires = int(time.time()) + seconds
        try:
            made = make(expires)
        except (Refused, Closed):
            continue
        if time.time() < expires:
            return made, expires
    raise AssertionError("too slow")


@by_flavour
def test_a_token_of_each_algorithm_reacts(edge, flavour):
    article = unique("algorithms")
    for algorithm in tokens.ALGORITHMS:
        for kid in (True, False):
            client = _bearer(edge, KEYS.token(unique("reader"), algorithm, kid=kid), flavour)
            assert client.say("reactions/" + article, b"like") in OK
    assert _counts(edge, article) == {"like": 2 * len(tokens.ALGORITHMS)}


def test_the_subject_is_the_reader(edge):
    article, subject = unique("devices"), unique("subscriber-of-a-newspaper")
    topic = "reactions/" + article
    # On whatever device, by whatever key, with whatever username; and by the site's own backend.
    for flavour, algorithm, kind in zip(FLAVOURS, tokens.ALGORITHMS, ("like", "sad", "wow", "angry")):
        client = _bearer(edge, KEYS.token(subject, algorithm), flavour, username=unique("any"))
        assert client.say(topic, kind.encode()) in OK
        assert _counts(edge, article) == {kind: 1}
    assert edge.service("backend").say(topic, json.dumps({"reaction": "love", "reader": subject}).encode()) in OK
    assert _counts(edge, article) == {"love": 1}
    # A username or a client id of the same bytes is another reader.
    for other in ({"username": subject}, {"client_id": subject}):
        assert edge.client(**other).say(topic, b"sad") in OK
    assert _counts(edge, article) == {"love": 1, "sad": 2}
    # Bytes that no username would have.
    strange = "\u00e4 \u2603/#+ " + "x" * 118
    assert len(strange.encode()) == 128
    for algorithm in ("HS256", "EdDSA"):
        assert _bearer(edge, KEYS.token(strange, algorithm)).say(topic, b"wow") in OK
    assert _counts(edge, article) == {"love": 1, "sad": 2, "wow": 1}


def test_a_token_needs_no_username_on_mqtt_5(edge):
    article = unique("nameless")
    with raw.Raw(edge.mqtt_port) as connection:
        connection.send(raw.connect(unique("client"), password=KEYS.token(unique("reader"))))
        assert connection.read().body[1] == 0
        connection.send(raw.publish("reactions/" + article, b"like", qos=1))
        assert connection.read().body[2:3] in (b"", b"\x00", b"\x10")
    assert _counts(edge, article) == {"like": 1}


def _bad_tokens():
    stranger = tokens.Keys()
    now = int(time.time())
    claims = {"sub": "reader", "exp": now + 3600}
    public = KEYS.pem("RS256")
    good = KEYS.token()
    head, body, signature = good.split(".")
    return {
        "no token": "open-sesame",
        "alg none": tokens.b64(b'{"alg":"none"}') + "." + tokens.b64(json.dumps(claims).encode()) + ".",
        "alg none, signed": KEYS.by_hand({"alg": "none"}, claims),
        "a public key as secret": KEYS.by_hand({"alg": "HS256"}, claims, public),
        "a public key as secret, with its id": KEYS.by_hand({"alg": "HS256", "kid": "RS256"}, claims, public),
        "another's key": stranger.token(),
        "another's key without its id": stranger.token(algorithm="RS256", kid=False),
        "an unknown id": KEYS.token(headers={"kid": "unheard-of"}, kid=False),
        "the id of another key": KEYS.token(headers={"kid": "RS256"}, kid=False),
        "crit": KEYS.token(headers={"crit": ["exp"]}),
        "jku, jwk": stranger.token(algorithm="RS256", kid=False, headers={"jku": "http://127.0.0.1:9/", "jwk": stranger.jwk("RS256")}),
        "expired": KEYS.token(seconds=-1),
        "not yet": KEYS.token(nbf=now + 60),
        "without exp": KEYS.token(exp=None),
        "exp as text": KEYS.by_hand({"alg": "HS256"}, {"sub": "reader", "exp": str(now + 3600)}),
        "without sub": KEYS.token(sub=None),
        "an empty sub": KEYS.token(sub=""),
        "a long sub": KEYS.token(sub="x" * 129),
        "a number as sub": KEYS.by_hand({"alg": "HS256"}, dict(claims, sub=4711)),
        "a NUL in sub": KEYS.token(sub="rea\0der"),
        "sub twice": KEYS.by_hand({"alg": "HS256"}, '{"sub":"a","sub":"b","exp":%d}' % (now + 3600)),
        "alg twice": KEYS.by_hand('{"alg":"HS256","alg":"HS256"}', claims),
        "padded": good + "=",
        "one byte more": good + "A",
        "a part more": good + ".A",
        "a part less": head + "." + body,
        "claims changed": head + "." + tokens.b64(json.dumps(dict(claims, sub="other")).encode()) + "." + signature,
        "huge": KEYS.token(more="x" * 4096),
        "as large as MQTT has it": "x" * 65000,
    }


def test_what_does_not_hold_is_refused(edge):
    article = unique("bad")
    operator = edge.service("operator")
    operator.watch("ops/refusals")

    def told():
        return [json.loads(m.payload)["connections"]["token"] for m in operator.got(topic="ops/refusals")]
    before = operator.wait(told, "ops/refusals")[-1]
    bad = _bad_tokens()
    for i, (name, token) in enumerate(bad.items()):
        assert not _accepted(edge, token, FLAVOURS[i % len(FLAVOURS)]), name
    operator.wait(lambda: told()[-1] == before + len(bad), "each of them in ops/refusals")
    # Nor is a token a service's secret, or a way round the rules of connecting.
    good = KEYS.token()
    for username, client_id in (("operator", None), ("backend", None), ("anybody", "ops-1"), ("anybody", "a+b")):
        with pytest.raises((Refused, Closed)):
            _bearer(edge, good, username=username, client_id=client_id)
    assert _accepted(edge, good)
    assert _counts(edge, article) == {}


def test_nothing_is_fetched_for_a_token(edge):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = "http://127.0.0.1:%d/keys" % server.getsockname()[1]
        stranger = tokens.Keys()
        for algorithm in ("RS256", "ES256"):
            headers = {"jku": url, "x5u": url}
            assert not _accepted(edge, stranger.token(algorithm=algorithm, kid=False, headers=headers))
            assert _accepted(edge, KEYS.token(algorithm=algorithm, headers=headers))  # of no account
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_connection_ends_with_its_token(edge):
    staying = [_bearer(edge, KEYS.token(unique("reader")), flavour) for flavour in FLAVOURS] + [edge.client()]

    def begin(expires):
        article = unique("expiry")
        ending = [_bearer(edge, KEYS.token(unique("reader"), exp=expires), flavour) for flavour in FLAVOURS]
        persistent = _bearer(edge, KEYS.token(unique("reader"), exp=expires), clean=False, session_expiry_s=60)
        persistent.watch("totals/" + article)
        return article, ending, persistent, [client.say("reactions/" + article, b"like") for client in ending]
    (article, ending, persistent, codes), expires = _before_it_expires(begin)
    assert set(codes) <= set(OK)
    for client in ending + [persistent]:
        client.wait_closed()
        assert time.time() >= expires
    for client in staying:
        assert client.say("reactions/" + article, b"sad") in OK
    assert _counts(edge, article) == {"like": len(ending), "sad": len(staying)}
    # A client that comes back with a valid token continues in the session that was kept.
    again = _bearer(edge, KEYS.token(unique("reader")), client_id=persistent.name, clean=False, session_expiry_s=60)
    assert again.say("reactions/" + article, b"wow") in OK
    again.wait(lambda: again.got(topic="totals/" + article), "a total by the subscription that was kept")


def test_mqtt_5_is_told_that_the_token_ended_it(edge):
    def begin(expires):
        connection = raw.Raw(edge.mqtt_port)
        return connection, connection.open(unique("client"), username="anybody", password=KEYS.token(exp=expires))
    (connection, code), _expires = _before_it_expires(begin)
    with connection:
        assert code == 0
        ended = connection.read()
        assert (ended.kind, ended.body[:1]) == (raw.DISCONNECT, b"\x98")
        with pytest.raises(raw.Ended):
            connection.read()


@by_flavour
def test_who_takes_a_client_id_over_is_not_ended_for_another(edge, flavour):
    def begin(expires):
        names = [unique("same"), unique("same")]
        for name in names:
            _bearer(edge, KEYS.token(unique("reader"), exp=expires), flavour, client_id=name)
        canary = _bearer(edge, KEYS.token(unique("reader"), exp=expires + 1), flavour)
        return [_bearer(edge, KEYS.token(unique("reader")), flavour, client_id=names[0]), edge.client(flavour=flavour, client_id=names[1])], canary
    (takers, canary), _expires = _before_it_expires(begin)
    canary.wait_closed()
    for taker in takers:
        assert taker.say("reactions/" + unique("taken"), b"like") in OK


def test_an_attempt_that_is_refused_supersedes_nobody(make_edge):
    """The broker itself refuses a client without a username, after it asked the plugin. The connection that had the client
    id still ends in time."""
    edge = make_edge(plugin={"identities": "token,client_id"})
    prepare(edge)
    _allow_no_anonymous(edge)
    edge.start("broker", ready=False)

    def begin(expires):
        ending = [_bearer(edge, KEYS.token(unique("reader"), exp=expires), flavour) for flavour in FLAVOURS]
        for client, flavour in zip(ending, FLAVOURS):
            with pytest.raises(Refused):
                edge.client(client_id=client.name, flavour=flavour)
        return ending
    ending, _expires = _before_it_expires(begin)
    for client in ending:
        client.wait_closed()


def test_a_reload_leaves_readers_as_they_are(edge):
    article = unique("reload")
    subject = unique("reader")
    clients = [_bearer(edge, KEYS.token(subject), flavour) for flavour in FLAVOURS]
    ending, _expires = _before_it_expires(lambda expires: [_bearer(edge, KEYS.token(subject, exp=expires), flavour) for flavour in FLAVOURS])
    assert clients[0].say("reactions/" + article, b"like") in OK
    reads = edge["broker"].text().count("token keys loaded")
    edge["broker"].child.send_signal(signal.SIGHUP)
    wait_until(lambda: edge["broker"].text().count("token keys loaded") > reads, "a reload")
    for client in clients:
        assert client.say("reactions/" + article, b"sad") in OK
    assert _counts(edge, article) == {"sad": 1}
    for client in ending:
        client.wait_closed()


@pytest.mark.parametrize("by_signal", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["SIGHUP", "change"])
def test_keys_are_read_again(make_edge, by_signal):
    edge = make_edge(plugin={"identities": "token"})
    prepare(edge, tokens.jwks(KEYS, algorithms=["ES256"]), mode=0o644)
    edge.start("broker", ready=False)
    path, fresh = edge.path("token.keys"), tokens.Keys("-new")

    def change(content, says, mode=0o600):
        n = edge["broker"].text().count(says)
        tokens.write(path, content, mode)
        if by_signal:
            edge["broker"].child.send_signal(signal.SIGHUP)
        wait_until(lambda: edge["broker"].text().count(says) > n, "the broker to look at its keys")

    old = KEYS.token(algorithm="ES256")
    open_connection = _bearer(edge, old)
    assert not _accepted(edge, fresh.token())
    change(tokens.jwks(KEYS, fresh), "token keys loaded")
    assert _accepted(edge, fresh.token()) and _accepted(edge, old)
    # What cannot be read, or is bad, changes nothing.
    for content, mode in (('{"keys":[', 0o600), (tokens.jwks(fresh), 0o644)):
        change(content, "cannot reload token keys", mode)
        assert _accepted(edge, fresh.token()) and _accepted(edge, old)
    change(fresh.pem("EdDSA").decode(), "token keys loaded", 0o644)
    assert _accepted(edge, fresh.token(algorithm="EdDSA")) and not _accepted(edge, fresh.token()) and not _accepted(edge, old)
    # Who is connected stays, until the token expires.
    assert open_connection.say("reactions/" + unique("stays"), b"like") in OK
    # Each line names the option, and none a secret.
    said = [line for line in edge["broker"].text().splitlines() if "cannot reload token keys" in line]
    assert all("option token_keys" in line and path in line for line in said)
    if not by_signal:
        assert len(said) == 2


@by_flavour
def test_a_connection_that_begins_while_the_broker_reloads_is_judged(edge, flavour):
    """Sessions that are there, of clients that are away, too, are not: they stay."""
    kept = dict(client_id=unique("kept"), clean=False, **({"session_expiry_s": 3600} if flavour[0] == V5 else {}))
    away = _bearer(edge, KEYS.token(), flavour, **kept)
    away.watch("totals/kept")
    away.close()
    for _ in range(15):
        edge["broker"].child.send_signal(signal.SIGHUP)
        wrong = [_accepted(edge, "not-a-token", flavour) for _ in range(6)]
        assert not any(wrong)
        assert _accepted(edge, KEYS.token(), flavour)
    back = _bearer(edge, KEYS.token(), flavour, **kept)
    assert back.say("reactions/" + unique("kept"), b"like") in OK


def test_issuer_and_audience(make_edge):
    edge = make_edge(plugin={"identities": "token", "token_issuer": "https://login.example", "token_audience": "tally"})
    prepare(edge)
    edge.start("broker", ready=False)
    good = {"iss": "https://login.example", "aud": ["shop", "tally"]}
    assert _accepted(edge, KEYS.token(**good))
    for other in ({"iss": None}, {"aud": None}, {"iss": "https://login.example/"}, {"aud": "shop"}):
        assert not _accepted(edge, KEYS.token(**dict(good, **other)))


@by_flavour
def test_where_only_tokens_count_others_watch(make_edge, flavour):
    edge = make_edge(plugin={"identities": "token"})
    prepare(edge)
    edge.start()
    article = unique("watch")
    watchers = [edge.client(flavour=flavour), edge.client(username=reader_name(), flavour=flavour),
                edge.client(username=reader_name(), password="", flavour=flavour)]
    assert _bearer(edge, KEYS.token(), flavour).say("reactions/" + article, b"like") in OK
    before = edge.header.refused()["forbidden"]
    for watcher in watchers:
        watcher.watch("totals/" + article)
        watcher.wait(lambda: watcher.got(topic="totals/" + article), "a total")
        watcher.say("reactions/" + article, b"like")
    assert edge.header.refused()["forbidden"] == before + len(watchers)
    assert _counts(edge, article) == {"like": 1}


def test_a_flood_of_bad_tokens_is_bounded_by_the_address(make_edge):
    """A connection over the address's limit is refused before its signature is checked."""
    edge = make_edge(limits="on", plugin={"identities": "token", "connect_rate": 1, "connect_burst": 5, "reader_rate": 1, "reader_burst": 5})
    prepare(edge)
    edge.start("broker", ready=False)
    bad = tokens.Keys().token(algorithm="ES256", kid=False)
    begun = time.monotonic()
    codes = []
    for _ in range(30):
        with pytest.raises(Refused) as refused:
            _bearer(edge, bad)
        codes.append(refused.value.code)
    with pytest.raises(Refused):  # nor is one that holds
        _bearer(edge, KEYS.token())
    seconds = time.monotonic() - begun
    operator = edge.service("operator")
    operator.watch("ops/refusals")

    def told():
        for message in operator.got(topic="ops/refusals"):
            said = json.loads(message.payload)["connections"]
            if said["token"] + said["rate_address"] == 31:
                return said
        return None
    said = operator.wait(told, "all of them in ops/refusals")
    assert 5 <= said["token"] <= 6 + seconds
    if rate_exceeded_code() != DENIED:
        assert codes.count(rate_exceeded_code()) == said["rate_address"] - 1


def test_a_readers_limit_is_the_tokens(make_edge):
    edge = make_edge(limits="on", plugin={"identities": "token,client_id", "reader_rate": 1, "reader_burst": 5})
    prepare(edge)
    edge.start("broker", ready=False)
    subject = unique("greedy")
    begun = time.monotonic()
    for flavour in FLAVOURS:
        client = _bearer(edge, KEYS.token(subject), flavour)
        for _ in range(10):
            client.say("reactions/x", b"like")
    admitted = edge.header.admitted()
    assert 5 <= admitted <= 6 + (time.monotonic() - begun)
    assert edge.header.refused()["rate_reader"] == 40 - admitted
    assert _bearer(edge, KEYS.token(unique("other"))).say("reactions/x", b"like") in OK


def test_signatures_have_a_limit_in_all(make_edge):
    """Behind a proxy no address is limited, and a signature costs the broker more than anything else that a client can ask for. Each key that
    is tried counts: without a kid, all of its algorithm."""
    many = [tokens.Keys() for _ in range(4)]
    jwks = json.dumps({"keys": [dict(key, kid="%s-%d" % (key["kid"], i)) for i, keys in enumerate(many)
                                for key in json.loads(tokens.jwks(keys, algorithms=["ES256"]))["keys"]]})
    edge = make_edge(limits="on", plugin={"identities": "token,client_id", "signature_rate": 1, "signature_burst": 40,
                                          "trusted_proxies": "127.0.0.1"})
    prepare(edge, jwks)
    edge.start("broker", ready=False)
    there = _bearer(edge, many[0].token(unique("reader"), "ES256", kid=False))
    begun, codes = time.monotonic(), []
    for _ in range(30):
        try:
            _bearer(edge, KEYS.token(unique("forger"), "ES256", kid=False))
        except Refused as refused:
            codes.append(refused.code)
    seconds = time.monotonic() - begun
    operator = edge.service("operator")  # services are let in all the while, readers without a token, and who is there is heard
    operator.watch("ops/refusals")
    def told():
        for message in reversed(operator.got("ops/refusals")):
            said = json.loads(message.payload)["connections"]
            if said["token"] + said["rate_signature"] == 30:
                return said
    said = operator.wait(told, "all of them in ops/refusals")
    assert 9 <= said["token"] <= 11 + seconds / 4
    if rate_exceeded_code() != DENIED:
        assert codes.count(rate_exceeded_code()) == said["rate_signature"]
    assert there.say("reactions/x", b"like") in OK
    assert edge.client().say("reactions/x", b"like") in OK


@pytest.mark.parametrize("options, content, mode, words", [
    ({"identities": "token"}, None, 0, ["option token_keys", "JWKS"]),
    ({"token_keys": "/no/such/file"}, None, 0, ["option token_keys", "identities"]),
    ({"token_issuer": "us"}, None, 0, ["option token_issuer", "identities"]),
    ({"identities": "token", "token_keys": "/no/such/file"}, None, 0, ["option token_keys", "/no/such/file"]),
    ({"identities": "token"}, tokens.jwks(KEYS), 0o644, ["option token_keys", "0640"]),
    ({"identities": "token"}, "{}", 0o600, ["option token_keys", "JWKS"]),
    ({"identities": "token"}, json.dumps({"keys": [{"kty": "oct", "k": tokens.b64(b"short")}]}), 0o600, ["option token_keys", "32 bytes"]),
], ids=["no keys", "keys for nothing", "issuer for nothing", "no file", "a secret for all", "no JWKS", "a weak key"])
def test_bad_options_are_said_clearly(make_edge, options, content, mode, words):
    edge = make_edge(plugin=options)
    if content is not None:
        prepare(edge, content, mode)
    edge["broker"].start()
    assert edge["broker"].wait_exit() != 0
    assert [line for line in edge["broker"].text().splitlines() if "level=error" in line and all(word in line for word in words)]


def test_no_token_is_written_anywhere(edge):
    article, subject = unique("secret"), unique("a-subject-that-nobody-knows")
    good, bad = KEYS.token(subject), tokens.Keys().token(subject)
    client = _bearer(edge, good)
    assert client.say("reactions/" + article, b"like", response_topic="receipts/" + client.name, correlation=b"1") in OK
    assert not _accepted(edge, bad)
    edge.settle()
    operator = edge.service("operator")
    operator.watch("#", "$SYS/#")
    operator.flush()
    shown = [message.topic.encode() + message.payload for message in operator.messages]
    for path in glob.glob(os.path.join(edge.directory, "*.log")) + glob.glob(os.path.join(edge.spool, "*")):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                shown.append(f.read())
    secret = json.loads(tokens.jwks(KEYS, algorithms=["HS256"]))["keys"][0]["k"]
    hidden = [subject, secret[:16]] + [part[:16] for token in (good, bad) for part in token.split(".")[1:]]
    for piece in hidden:
        assert not any(piece.encode() in data for data in shown), piece
    assert len(shown) > 8

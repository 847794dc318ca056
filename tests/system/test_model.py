"""Thousands of random reactions from many readers over every kind of client, against a model of registers."""

import json
import random
import time

import pytest

from clients import FLAVOUR_NAMES, FLAVOURS, V5, reader_name, unique
from edge import counts_of, wait_until
from store import Model, REASONS

KINDS = ["like", "dislike", "love", "funny", "angry", "sad", "wow"]
MINUTE_MS = 60000
WEEK_MINUTES = 7 * 24 * 60

BAD = [
    ("reactions", b"like", "bad_topic"),
    ("reactions/", b"like", "bad_topic"),
    ("reactions//a", b"like", "bad_article"),
    ("reactions/a/", b"like", "bad_article"),
    ("reactions/-a", b"like", "bad_article"),
    ("reactions/a b", b"like", "bad_article"),
    ("reactions/a/b/c/d/e/f/g/h/i", b"like", "bad_article"),
    ("reactions/" + "x" * 201, b"like", "bad_article"),
    ("reactions/\u00e4", b"like", "bad_article"),
    ("reactions/$SYS", b"like", "bad_article"),
    ("reactions/bad", b"LIKE", "bad_payload"),
    ("reactions/bad", b" like", "bad_payload"),
    ("reactions/bad", b"like\n\n", "bad_payload"),
    ("reactions/bad", b"a" * 17, "bad_payload"),
    ("reactions/bad", b"\xff\xfe", "bad_payload"),
    ("reactions/bad", b"{}", "bad_payload"),
    ("reactions/bad", b"[]", "bad_payload"),
    ("reactions/bad", b'{"reaction":"like"', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like"}x', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like","reaction":"sad"}', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like","color":"red"}', "bad_payload"),
    ("reactions/bad", b'{"reaction":1}', "bad_payload"),
    ("reactions/bad", b'{"reaction":null}', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like","age_ms":-1}', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like","age_ms":1.5}', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like","age_ms":1e3}', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like","age_ms":"5"}', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like","age_ms":604800001}', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like","age_ms":99999999999999999999}', "bad_payload"),
    ("reactions/bad", b'{"reaction":"like"}' + b" " * 494, "bad_payload"),
    ("reactions/bad", b"meh", "unknown_kind"),
    ("reactions/bad", b'{"reaction":"meh"}', "unknown_kind"),
    ("reactions/bad", b'{"reaction":"like","reader":"somebody-else-entirely"}', "forbidden"),
]


class Reader:
    """One connection that reacts at random, and the answers it expects."""

    def __init__(self, edge, rng, flavour, qos, named):
        self.rng, self.qos = rng, qos
        self.client = edge.client(username=reader_name() if named else None, flavour=flavour)
        self.receipt_topic = "receipts/" + self.client.name
        self.client.watch(self.receipt_topic)
        self.expected = {}  # correlation → receipt, or a list of allowed outcomes
        self.ages = set()
        self.refused = []
        self.sent = 0
        self.last_ms = 0
        self.mids = []

    def step(self, model, articles):
        if self.rng.random() < 0.08:
            self._bad()
        else:
            self._react(model, self.rng.choice(articles))

    def _bad(self):
        topic, payload, reason = self.rng.choice(BAD)
        self.refused.append(reason)
        asked = {}
        if self.client.version == V5 and self.rng.random() < 0.5:
            correlation = b"bad-%d" % len(self.refused)
            asked = dict(response_topic=self.receipt_topic, correlation=correlation)
        self.mids.append((self.client.send(topic, payload, self.qos, **asked), True))

    def _react(self, model, article):
        kind = "none" if self.rng.random() < 0.15 else self.rng.choice(KINDS)
        now_ms = self.last_ms = max(int(time.time() * 1000), self.last_ms)
        age_ms = 0
        if self.rng.random() < 0.2:
            age_ms = self._age(article) * MINUTE_MS
        outcome, held = model.react(article, self.client.identity, kind, now_ms - age_ms)
        asked = {}
        if self.client.version == V5 and self.rng.random() < 0.4:
            correlation = b"%d" % self.sent
            asked = dict(response_topic=self.receipt_topic, correlation=correlation)
            receipt = {"article": article, "reaction": kind, "outcome": outcome}
            if outcome == "superseded":
                receipt["current"] = held
            self.expected[correlation] = receipt
        self.mids.append((self.client.send("reactions/" + article, self._payload(kind, age_ms), self.qos, **asked), False))
        self.sent += 1

    def _age(self, article):
        """Whole minutes, each only once for an article: the test takes less than one, so the order of clicks is certain."""
        while True:
            age = self.rng.randint(2, WEEK_MINUTES - 2)
            if (article, age) not in self.ages:
                self.ages.add((article, age))
                return age

    def _payload(self, kind, age_ms):
        if age_ms:
            return json.dumps({"reaction": kind, "age_ms": age_ms})
        if kind == "none" and self.rng.random() < 0.3:
            return b""
        return kind if self.rng.random() < 0.5 else json.dumps({"reaction": kind})

    def check_acks(self, edge):
        if self.qos == 0:
            self.client.flush()
            return
        for mid, bad in self.mids:
            code = self.client.ack(mid)
            if self.client.version == V5:
                assert (code == 0x87) if bad else (code in (0x00, 0x10)), (bad, code, edge.header.refused(), edge["broker"].text()[-1000:])

    def check_receipts(self):
        want = set(self.expected)
        self.client.wait(lambda: want <= {m.correlation for m in self.client.messages}, "%d receipts" % len(want))
        for message in self.client.got():
            assert message.topic == self.receipt_topic and not message.retain
            receipt = json.loads(message.payload)
            if message.correlation in self.expected:
                expected = self.expected[message.correlation]
                if expected["outcome"] is None:
                    assert receipt["outcome"] in ("counted", "retracted", "superseded"), receipt
                else:
                    assert receipt == expected
            else:
                assert message.correlation.startswith(b"bad-") and receipt["outcome"] == "refused", receipt
                assert receipt["reason"] == self.refused[int(message.correlation[4:]) - 1], receipt


def _versions_rise(client):
    seen = {}
    for message in client.got(prefix="totals/"):
        total = json.loads(message.payload)
        assert total["version"] >= seen.get(total["article"], 0), "version of %(article)s fell to %(version)d" % total
        seen[total["article"]] = total["version"]


def _latest(client):
    """article → {kind: count} as the last total received says."""
    return {m.topic[len("totals/"):]: counts_of(json.loads(m.payload)) for m in client.got(prefix="totals/")}


def test_random_reactions_against_the_model(edge):
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    rng = random.Random(seed)
    model = Model()
    prefix = unique("m")
    articles = ["%s/%d" % (prefix, i) for i in range(14)] + [prefix + "/deep/er/still.x~y/a%C3%A4/6/7", "x" * (199 - len(prefix)) + prefix + "9"]
    before = edge.header.refused()
    admitted_before = edge.header.admitted()
    newsroom = edge.service("newsroom")
    assert newsroom.watch("totals/#") == [0]
    operator = edge.service("operator")
    operator.watch("ops/#")
    exact = [edge.client(flavour=flavour) for flavour in FLAVOURS]
    for client in exact:
        client.watch(*["totals/" + article for article in articles])
    readers = [Reader(edge, random.Random(rng.random()), flavour, qos, named)
               for flavour in FLAVOURS for qos in (0, 1, 2) for named in (True, False)]
    for _ in range(5200 // len(readers)):
        for reader in readers:
            reader.step(model, articles)
    for reader in readers:
        reader.check_acks(edge)
    edge.settle()

    refused = edge.header.refused()
    want = {reason: before[reason] + sum(reader.refused.count(reason) for reader in readers) for reason in REASONS}
    assert refused == want
    assert edge.header.admitted() - admitted_before == sum(reader.sent for reader in readers)
    _check_registers(edge, model, articles)
    totals = {article: counts for article, counts in model.totals().items()}
    for watcher in [newsroom] + exact:
        watcher.wait(lambda: _latest(watcher) == totals, "live totals like the model's")
        _versions_rise(watcher)
    for flavour in FLAVOURS:
        late = edge.client(flavour=flavour)
        late.watch(*["totals/" + article for article in articles])
        late.wait(lambda: {m.topic for m in late.got()} == {"totals/" + a for a in articles}, "retained totals")
        assert all(m.retain for m in late.got()[:1]) and _latest(late) == totals
    wait_until(lambda: edge.totals_over_http(articles) == totals, "HTTP totals like the model's")
    for reader in readers:
        reader.check_receipts()
    _check_status(edge, operator)


def _check_registers(edge, model, articles):
    stored = edge.store.registers(articles)
    expected = model.registers(edge.key())
    for article in articles:
        assert {h: kind for h, (_stamp, kind) in stored[article].items()} == expected.get(article, {}), article
    totals = edge.store.totals()
    assert {a: totals[a] for a in articles} == model.totals()


def _check_status(edge, operator):
    admitted, refused = edge.header.admitted(), edge.header.refused()
    status = edge.status(operator, lambda s: s["applied"] == admitted and s["admitted"] == admitted, "a status with all applied")
    assert status["refused"] == {reason: refused[reason] for reason in REASONS}
    assert status["new"] + status["changed"] + status["repeated"] + status["superseded"] == status["applied"], status
    assert (status["quarantined"], status["lost"], status["damaged"], status["in_spool"]) == (0, 0, 0, 0), status
    assert status["ready"] is True and status["reason"] == ""


@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_two_clients_with_one_username_are_one_reader(edge, flavour):
    article, name = unique("one"), reader_name()
    first, second = edge.client(username=name, flavour=flavour), edge.client(username=name)
    first.say("reactions/" + article, "like")
    second.say("reactions/" + article, "angry", qos=2)
    edge.settle()
    assert edge.store.totals()[article] == {"angry": 1}
    first.say("reactions/" + article, "none")
    edge.settle()
    assert edge.store.totals()[article] == {}
    assert list(edge.store.registers([article])[article].values())[0][1] == "none"


def test_a_username_is_no_client_id(edge):
    """Sources are hashed too: a reader cannot speak for another by taking the other's client id as a username."""
    article, name = unique("source"), reader_name()
    edge.client(username=name).say("reactions/" + article, "like")
    edge.client(client_id=name).say("reactions/" + article, "like")
    edge.settle()
    assert edge.store.totals()[article] == {"like": 2}


def test_readers_are_unlinkable_between_articles(edge):
    name, articles = reader_name(), [unique("link") for _ in range(4)]
    client = edge.client(username=name)
    for article in articles:
        client.say("reactions/" + article, "like")
    edge.settle()
    registers = edge.store.registers(articles)
    assert len({h for article in articles for h in registers[article]}) == len(articles)
    stored = b"".join(k + b"".join(edge.redis.hgetall(k).keys()) for k in edge.redis.scan_iter(match="tally:{*}:*:*"))
    assert name.encode() not in stored


def test_buckets_split_under_many_readers(edge):
    """Enough voters on one article for several splits; every register is then looked up in its bucket (Store.registers)."""
    article = unique("crowd")
    clients = [edge.client(client_id=unique("crowd"), flavour=FLAVOURS[i % 2]) for i in range(260)]
    for i, client in enumerate(clients):
        client.send("reactions/" + article, KINDS[i % 7])
    for client in clients:
        client.flush()
    edge.settle()
    head = edge.store.heads()[article][1]
    assert head.voters == len(clients) and (head.level, head.split) != (0, 0)
    assert len(edge.store.registers([article])[article]) == len(clients)


def test_the_words_of_the_readme(edge):
    """mosquitto_pub and mosquitto_sub, which nobody here wrote."""
    import subprocess
    article, name = unique("shell"), reader_name()
    base = ["-h", "127.0.0.1", "-p", str(edge.mqtt_port), "-u", name]
    for version in ("mqttv311", "mqttv5"):
        subprocess.run(["mosquitto_pub"] + base + ["-i", unique("shell"), "-V", version, "-q", "1", "-t", "reactions/" + article, "-m",
                                                   "angry"], check=True, timeout=30)
    edge.settle()
    said = subprocess.run(["mosquitto_sub"] + base + ["-i", unique("shell"), "-t", "totals/" + article, "-C", "1", "-W", "20"],
                          check=True, stdout=subprocess.PIPE, timeout=30).stdout
    assert counts_of(json.loads(said)) == {"angry": 1}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_end_behind_what_a_shell_sends_counts_for_nothing(edge, end):
    """echo angry | mosquitto_pub -s, for each of the forms, and for an operator's state."""
    import subprocess

    def send(topic, payload, *more):
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(edge.mqtt_port), "-V", "mqttv5", "-q", "1", "-t", topic, "-s"] + list(more),
                       input=(payload + end).encode(), check=True, timeout=30)

    articles = [unique("echo") for _ in range(2)]
    for article, payload in zip(articles, ("angry", '{"reaction":"angry"}')):
        send("reactions/" + article, payload, "-u", reader_name())
    edge.settle()
    for article in articles:
        assert edge.store.totals()[article] == {"angry": 1}
    secret = edge.secret("operator")
    send("articles/" + articles[0], "closed", "-r", "-u", "operator", "-P", secret)
    said = edge.client()
    said.watch("articles/" + articles[0])
    said.wait(lambda: [m for m in said.got("articles/" + articles[0]) if b'"state":"closed"' in m.payload], "the feed's form of the state")

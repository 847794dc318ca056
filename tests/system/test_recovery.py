"""Each process in turn goes down and comes back under load, and the books stay exact."""

import json

import pytest

import spool_bytes
from clients import FLAVOURS, V5, unique
from edge import counts_of, wait_until
from load import Load
from store import reader_hash


def _articles(n=12):
    prefix = unique("r")
    return ["%s/%d" % (prefix, i) for i in range(n)]


def _check(edge, load):
    """Redis, the broker's retained totals and HTTP agree with the answers that the readers got."""
    edge.settle()
    registers = edge.store.registers(load.articles)
    expected = load.expected(edge.key(), reader_hash)
    assert {a: {h: kind for h, (_s, kind) in r.items()} for a, r in registers.items()} == expected
    totals = {a: counts for a, counts in edge.store.totals().items() if a in expected}
    edge.wait_ready()
    newsroom = edge.service("newsroom")
    newsroom.watch("totals/#")

    def shown():
        heard = {m.topic[7:]: counts_of(json.loads(m.payload)) for m in newsroom.got(prefix="totals/")}
        return {a: c for a, c in heard.items() if a in totals} == totals
    newsroom.wait(shown, "totals as in Redis")
    wait_until(lambda: edge.totals_over_http(load.articles) == totals, "HTTP totals as in Redis")


def _books(edge):
    """Σ over all rings of the records applied, quarantined and lost, by Redis."""
    applied, quarantined, lost = (edge.store.books()[name] for name in ("applied", "quarantined", "lost"))
    for _position, sequence, ring_quarantined, ring_lost, _edge in edge.store.rings().values():
        applied += sequence - ring_quarantined - ring_lost
        quarantined += ring_quarantined
        lost += ring_lost
    return applied, quarantined, lost


@pytest.mark.parametrize("name", ["broker", "collector", "feed", "redis"])
def test_kill_under_load(make_edge, name):
    edge = make_edge().start()
    with Load(edge, _articles()) as load:
        load.wait_more(200)
        for _ in range(2):
            edge.kill(name)
            if name != "broker":
                load.wait_more(100)  # readers notice nothing
            edge.start(name)
            load.wait_more(200)
    _check(edge, load)
    if name != "redis":  # which may apply twice what its last second lost
        assert _books(edge) == (edge.header.admitted(), 0, 0)


@pytest.mark.slow
def test_all_killed_at_once(make_edge):
    edge = make_edge().start()
    with Load(edge, _articles()) as load:
        load.wait_more(300)
        edge.kill("broker", "collector", "feed", "redis")
        edge.start()
        load.wait_more(200)
    _check(edge, load)


@pytest.mark.slow
def test_redis_away(make_edge):
    """Readers continue, the spool holds their reactions, /healthz names the part that is away."""
    edge = make_edge().start()
    with Load(edge, _articles()) as load:
        load.wait_more(100)
        edge.stop("redis")
        said = edge.wait_unhealthy("redis")
        assert said
        load.wait_more(800)
        assert not edge.drained()
        assert sum(load.refused) == 0
        edge.start("redis")
        load.wait_more(100)
    _check(edge, load)
    assert _books(edge) == (edge.header.admitted(), 0, 0)


def test_script_flush_under_load(make_edge):
    edge = make_edge().start()
    with Load(edge, _articles()) as load:
        for _ in range(5):
            load.wait_more(60)
            edge.redis.script_flush()
    _check(edge, load)
    assert _books(edge) == (edge.header.admitted(), 0, 0)


def test_a_new_broker_gets_every_total_again(make_edge):
    """Persistence is off: the feed publishes again what the broker forgot, including articles that nobody touches any more."""
    edge = make_edge().start()
    articles = _articles(60)
    client = edge.client()
    for article in articles:
        client.send("reactions/" + article, b"wow")
    client.flush()
    edge.settle()
    edge.kill("broker")
    edge.start("broker")
    for flavour in FLAVOURS:
        watcher = edge.client(flavour=flavour)
        watcher.watch(*["totals/" + a for a in articles])
        watcher.wait(lambda: {m.topic[7:] for m in watcher.got()} == set(articles), "all totals")
    feed = edge.service("operator")
    feed.watch("ops/feed")
    mark = json.loads(feed.wait(lambda: feed.got(topic="ops/feed"), "the feed's mark")[-1].payload)
    assert mark["store"] == edge.store.fields()["id"] and len(mark["covered"]) == edge.store.shards()


def test_what_changed_while_the_feed_was_away_is_shown(make_edge):
    edge = make_edge().start()
    client, watcher = edge.client(), edge.service("newsroom")
    watcher.watch("totals/#")
    before, after = _articles(5), _articles(5)
    for article in before:
        client.say("reactions/" + article, b"like")
    watcher.wait(lambda: {"totals/" + a for a in before} <= {m.topic for m in watcher.got()}, "totals")
    operator = edge.service("operator")
    operator.watch("ops/feed")
    versions = [head.version for _shard, head in edge.store.heads().values()]
    operator.wait(lambda: [m for m in operator.got(topic="ops/feed") if max(json.loads(m.payload)["covered"]) >= max(versions)], "the mark")
    edge.kill("feed")
    for article in after:
        client.say("reactions/" + article, b"sad")
    client.say("reactions/" + before[0], b"sad")
    edge.settle()
    edge.start("feed")
    watcher.wait(lambda: {"totals/" + a for a in after} <= {m.topic for m in watcher.got()}, "what changed meanwhile")
    watcher.wait(lambda: counts_of(json.loads(watcher.got(topic="totals/" + before[0])[-1].payload)) == {"sad": 1}, "the newest total")


def test_a_foreign_mark_makes_the_feed_publish_all(make_edge):
    """A mark of another store covers nothing here."""
    edge = make_edge().start()
    articles = _articles(5)
    client = edge.client()
    for article in articles:
        client.say("reactions/" + article, b"like")
    edge.settle()
    watcher = edge.service("newsroom")
    watcher.watch("totals/#")
    watcher.wait(lambda: {"totals/" + a for a in articles} <= {m.topic for m in watcher.got()}, "totals")
    edge.stop("feed")
    forger = edge.service("tally-feed", client_id=unique("tally-test"))
    mark = {"epoch": "0000000000000000", "store": "0123456789abcdef", "covered": [1 << 60] * edge.store.shards()}
    forger.say("ops/feed", json.dumps(mark), retain=True)
    for article in articles:
        forger.say("totals/" + article, b"", retain=True)
    edge.start("feed")
    late = edge.service("newsroom")
    late.watch("totals/#")
    late.wait(lambda: {"totals/" + a for a in articles} <= {m.topic for m in late.got()}, "totals again")


def test_health_names_what_is_away(make_edge):
    edge = make_edge().start()
    for name, word in (("collector", "collector"), ("broker", "broker"), ("redis", "redis")):
        edge.kill(name)
        edge.wait_unhealthy(word)
        edge.start(name)


def test_the_collector_waits_for_its_spool(make_edge):
    """Started first, on an empty folder, it waits for the broker to make the spool."""
    edge = make_edge()
    edge.start("redis", "collector", ready=False)
    edge.start("broker", "feed")
    edge.client().say("reactions/first", b"like")
    edge.settle()
    assert edge.store.totals() == {"first": {"like": 1}}


def test_one_reaction_wakes_a_sleeping_collector(edge):
    """A reaction after quiet is counted by a wake-up, not by a timer: its receipt comes though nothing else happens."""
    client = edge.client(flavour=(V5, "tcp"))
    topic = "receipts/" + client.name
    client.watch(topic)
    edge.settle()

    def asleep():
        with open(edge.header.path, "rb") as f:
            f.seek(512)
            return f.read(4) == b"\1\0\0\0"
    for i in range(5):
        wait_until(asleep, "the collector to sleep")
        client.say("reactions/" + unique("wake"), b"like", response_topic=topic, correlation=b"%d" % i)
        client.wait(lambda: len(client.got(topic=topic)) == i + 1, "the receipt")


def test_sequences_and_bytes_of_the_spool(edge):
    """The spool's files are as INTERFACES says, read by other code than wrote them."""
    edge.stop("collector")
    client = edge.client()
    article, topic = unique("bytes"), "receipts/" + client.name
    client.say("reactions/" + article, b"angry", response_topic=topic, correlation=b"\1\2\3")
    client.say("reactions/" + article, b'{"reaction":"none","age_ms":86400000}')
    edge.header.check()
    for path in spool_bytes.rings(edge.spool).values():
        spool_bytes.Ring(path).check()
    records = [r for path in spool_bytes.rings(edge.spool).values() for r in spool_bytes.Ring(path).records() if r.article == article]
    first, second = records
    kinds = spool_bytes.Ring(list(spool_bytes.rings(edge.spool).values())[0]).kinds()
    assert kinds == ["like", "dislike", "love", "funny", "angry", "sad", "wow"]
    assert (first.kind, first.client_id, first.correlation) == (5, client.name, b"\1\2\3")
    assert (second.kind, second.client_id, second.correlation, second.length) == (0, "", b"", 64 if len(article) <= 24 else 80)
    assert first.reader == second.reader == reader_hash(edge.key(), article, "c", client.name)
    assert second.sequence == first.sequence + 1
    assert 86390000 < (first.stamp >> 11) - (second.stamp >> 11) <= 86400000
    edge.start("collector")
    edge.settle()

"""Articles' states, end to end (INTERFACES.md 2.9): what an operator writes holds at once at that broker, then on every edge, through kill -9 of
any part; totals are shown when the state lets them be; whatever is not a state changes nothing."""

import datetime
import json
import os
import struct
import subprocess
import time

import pytest

from clients import FLAVOUR_NAMES, FLAVOURS, TIMEOUT_S, V5, unique
from edge import SMALL, ROOT, wait_until
from scripts import script_text
from store import article_shard, parse_head

OK = (0x00, 0x10)
EDGE = {"collector": {"audit_per_minute": 0}, "feed": {"repeat_ms": 300, "publish_interval_ms": 20}}


def at(seconds):
    """A time this many seconds from now, in a state's form."""
    return (datetime.datetime.utcnow() + datetime.timedelta(seconds=seconds)).isoformat(timespec="milliseconds") + "Z"


def stored(edge, article):
    """The article's state in Redis, or None."""
    raw = edge.redis.hget("tally:{%d}:states" % article_shard(article, edge.store.shards()), article)
    return None if raw is None else json.loads(raw)


def passed_on(watcher, article):
    """The states that a feed published, as they came; None if there is none any more."""
    return [json.loads(m.payload) if m.payload else None for m in watcher.got(topic="articles/" + article)
            if not m.payload or b"version" in m.payload]


def wait_passed_on(watcher, article, condition, what="the feed's state"):
    return watcher.wait(lambda: [s for s in passed_on(watcher, article)[-1:] if s is not None and condition(s)], what)[0]


def retained(edge, topic):
    """What the broker retains, or None."""
    client = edge.service("operator")
    client.watch(topic)
    client.flush()
    found = [m.payload for m in client.got(topic=topic) if m.retain]
    client.close()
    return found[0] if found else None


def write(edge, article, state, **more):
    payload = state if isinstance(state, bytes) else json.dumps(state).encode()
    return edge.service("operator", **more).say("articles/" + article, payload, retain=True)


class Asking:
    """An MQTT 5 reader that asks for receipts."""

    def __init__(self, edge):
        self.client = edge.client()
        self.topic = "receipts/" + self.client.name
        self.client.watch(self.topic)

    def react(self, article, kind=b"like"):
        """('admitted', None) or ('refused', reason)."""
        asked = os.urandom(8)
        if self.client.say("reactions/" + article, kind, response_topic=self.topic, correlation=asked) in OK:
            return "admitted", None
        # The receipt of an earlier reaction may come in between.
        receipt = self.client.wait(lambda: next((m for m in self.client.got(topic=self.topic) if m.correlation == asked), None),
                                   "the receipt of the refusal")
        said = json.loads(receipt.payload)
        return said["outcome"], said["reason"]


def takes(edge, article, kind=b"like"):
    client = edge.client()
    try:
        return client.say("reactions/" + article, kind) in OK
    finally:
        client.close()


# --- one edge ---

@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_open_closed_kinds_and_back(edge, flavour):
    article = unique("state/x")
    reader, watcher = Asking(edge), edge.service("newsroom")
    watcher.watch("articles/" + article)
    operator = edge.service("operator", flavour=flavour)
    old = edge.client(flavour=flavour)
    refused = edge.header.refused()
    assert reader.react(article) == ("admitted", None)
    edge.settle()
    before = edge.store.heads()[article][1].version

    assert operator.say("articles/" + article, b"closed", retain=True) in OK
    assert reader.react(article, b"sad") == ("refused", "closed")  # at once: the plugin itself
    assert reader.react(article, b"none") == ("refused", "closed")
    old.say("reactions/" + article, b"sad")
    assert edge.header.refused()["closed"] == refused["closed"] + 3
    state = wait_passed_on(watcher, article, lambda s: not s["open"])
    assert state == {"article": article, "open": False, "state": "closed", "results": "always", "version": state["version"]}
    assert stored(edge, article) == {"state": "closed", "results": "always", "version": state["version"]}
    head = edge.store.heads()[article][1]
    assert head.version == state["version"] > before and head.voters == 1
    assert json.loads(edge.get("/totals/" + article)[2])["version"] == state["version"]

    operator.say("articles/" + article, b'{"kinds":["sad","like"]}', retain=True)
    assert reader.react(article, b"angry") == ("refused", "unknown_kind")
    assert reader.react(article, b"sad") == ("admitted", None)
    assert reader.react(article, b"none") == ("admitted", None)
    later = wait_passed_on(watcher, article, lambda s: s["open"])
    assert later["kinds"] == ["sad", "like"] and later["version"] > state["version"]
    assert json.loads(retained(edge, "articles/" + article)) == later

    operator.say("articles/" + article, b"", retain=True)
    assert reader.react(article, b"angry") == ("admitted", None)
    wait_until(lambda: stored(edge, article) is None, "the state to be taken away")
    assert retained(edge, "articles/" + article) is None
    edge.settle()
    assert edge.store.totals()[article] == {"angry": 1}
    assert edge.store.registers([article])


BAD = [b"Open", b"opened", b"{", b"[]", b'"open"', b'{"state":"shut"}', b'{"note":1}', b'{"state":"open","state":"open"}', b'{"kinds":[]}',
       b'{"kinds":["like","meh"]}', b'{"kinds":["none"]}', b'{"kinds":["like","like"]}', b'{"closes_at":"tomorrow"}',
       b'{"closes_at":"2026-12-01T08:00:00+01:00"}', b'{"closes_at":1796112000}', b'{"opens_at":"2026-12-01T08:00:00Z","closes_at":"2026-12-01T08:00:00Z"}',
       b'{"results":"never"}', b'{"version":5}', b'{"open":true}', b'{"article":"x"}', b"\xff", b"{}" + b" " * 2047]


@pytest.mark.parametrize("flavour", FLAVOURS[:2], ids=FLAVOUR_NAMES[:2])
def test_what_is_no_state_changes_nothing(edge, flavour):
    article = unique("bad")
    topic = "articles/" + article
    watcher = edge.service("newsroom")
    watcher.watch(topic)
    operator = edge.service("operator", flavour=flavour)
    operator.say(topic, b"closed", retain=True)
    state = wait_passed_on(watcher, article, lambda s: not s["open"])
    code = 0x87 if flavour[0] == V5 else 0
    for payload in BAD:
        assert operator.say(topic, payload, retain=True) == code, payload
    assert operator.say(topic, b"open") == code  # not retained
    assert operator.say("articles/no//article", b"open", retain=True) == code
    feed = edge.service("tally-feed", client_id=unique("tally-other"))  # what it may write is of another form
    assert feed.say(topic, b"open", retain=True) == 0x87
    for other in (edge.service("newsroom"), edge.client()):
        assert other.say(topic, b"open", retain=True) == 0x87
    assert not takes(edge, article)
    assert json.loads(retained(edge, topic)) == state == passed_on(watcher, article)[-1]
    assert stored(edge, article)["version"] == state["version"]


def test_it_opens_and_closes_by_itself(edge):
    article = unique("timed")
    reader, watcher = Asking(edge), edge.service("newsroom")
    watcher.watch("articles/" + article)
    assert write(edge, article, {"opens_at": at(1.0), "closes_at": at(2.5)}) in OK
    assert reader.react(article) == ("refused", "closed")
    wait_passed_on(watcher, article, lambda s: not s["open"], "that it is not open yet")
    wait_passed_on(watcher, article, lambda s: s["open"], "that it has opened")
    outcomes = [reader.react(article)]
    wait_passed_on(watcher, article, lambda s: not s["open"], "that it has closed")
    outcomes.append(reader.react(article))
    assert outcomes[1] == ("refused", "closed")
    versions = {s["version"] for s in passed_on(watcher, article)}
    assert len(versions) == 1  # a time that comes is not a change of the state


def test_results_after_close(edge):
    article, other = unique("vote"), unique("other")
    watcher, reader = edge.service("newsroom"), Asking(edge)
    watcher.watch("totals/" + article, "articles/" + article)
    assert reader.react(article) == ("admitted", None) and takes(edge, other)
    edge.wait_total(other)
    watcher.wait(lambda: watcher.got("totals/" + article), "the total while it is shown")
    operator = edge.service("operator")
    operator.say("articles/" + article, b'{"results":"after_close"}', retain=True)
    watcher.wait(lambda: watcher.got("totals/" + article)[-1].payload == b"", "the total to be taken away")
    assert retained(edge, "totals/" + article) is None
    status, headers, body = edge.get("/totals/" + article)
    assert status == 200 and json.loads(body) == {"article": article, "hidden": True}
    etag = headers["ETag"]

    # It is counted all the same, and nobody hears of it.
    assert reader.react(article, b"sad") == ("admitted", None) and takes(edge, article, b"wow")
    edge.settle()
    assert takes(edge, other, b"sad")
    wait_until(lambda: edge.totals_over_http([other]).get(other, {}).get("sad"), "the other's total")
    assert edge.get("/totals/" + article)[1]["ETag"] == etag
    assert edge.get("/totals/" + article, {"If-None-Match": etag})[0] == 304
    listed = json.loads(edge.get("/totals?articles=%s,%s" % (other, article))[2])["totals"]
    assert listed[0]["counts"]["sad"] == 1 and listed[1] == {"article": article, "hidden": True}
    assert len([m for m in watcher.got("totals/" + article) if not m.payload]) == 1
    assert audit(edge, article, other) == "consistent"

    edge.restart("feed")
    assert retained(edge, "totals/" + article) is None
    operator.say("articles/" + article, b'{"state":"closed","results":"after_close"}', retain=True)
    shown = watcher.wait(lambda: [m for m in watcher.got("totals/" + article)[-1:] if m.payload], "the total")[0]
    assert json.loads(shown.payload)["total"] == 2
    assert json.loads(edge.get("/totals/" + article)[2])["counts"]["wow"] == 1
    assert audit(edge, article, other) == "consistent"


def test_who_has_zeros_is_told_that_results_are_hidden(edge):
    article = unique("vote")
    headers, body = edge.get("/totals/" + article)[1:]
    assert json.loads(body)["total"] == 0
    write(edge, article, {"results": "after_close"})
    wait_until(lambda: "hidden" in json.loads(edge.get("/totals/" + article)[2]), "the total to be hidden")
    status, _headers, body = edge.get("/totals/" + article, {"If-None-Match": headers["ETag"]})
    assert status == 200 and json.loads(body)["hidden"]


@pytest.mark.parametrize("away", [None, "feed", "broker", "redis"])
def test_results_are_shown_when_it_closes_by_itself(make_edge, away):
    """Also where a part was away when the time came."""
    edge = make_edge(**EDGE).start()
    article = unique("vote")
    assert takes(edge, article)
    edge.settle()
    assert write(edge, article, {"closes_at": at(2.0 if away is None else 1.0), "results": "after_close"}) in OK
    wait_until(lambda: json.loads(edge.get("/totals/" + article)[2]).get("hidden"), "the total to be hidden")
    if away:
        closes_at = stored(edge, article)["closes_at"]
        edge.kill(away)
        wait_until(lambda: at(0) > closes_at, "the time to come")
        edge.start(away)
    watcher = edge.service("newsroom")
    watcher.watch("totals/" + article, "articles/" + article)
    wait_passed_on(watcher, article, lambda s: not s["open"], "that it has closed")
    total = watcher.wait(lambda: [m for m in watcher.got("totals/" + article)[-1:] if m.payload], "the total")[0]
    assert json.loads(total.payload)["counts"]["like"] == 1
    assert not takes(edge, article)


def audit(edge, *articles):
    argv = edge.command_argv("audit", "--articles", ",".join(articles) or "all", "--json")
    argv[argv.index("--redis-port") + 1] = edge["feed"].argv[edge["feed"].argv.index("--redis-port") + 1]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=edge.env, text=True, timeout=4 * TIMEOUT_S)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)["verdict"]


def test_an_article_with_nothing_but_a_state_is_consistent(make_edge):
    edge = make_edge(**dict(EDGE, collector={"audit_per_minute": 600})).start()
    articles = [unique("silent") for _ in range(3)]
    for article, state in zip(articles, (b"closed", b"open", b'{"results":"after_close"}')):
        write(edge, article, state)
    wait_until(lambda: all(stored(edge, article) for article in articles), "the states")
    for article in articles:
        head = parse_head(edge.redis.hget("tally:{%d}:heads" % article_shard(article, 4), article))
        assert head.voters == 0 and not head.counts and head.version == stored(edge, article)["version"]
    edge.store.registers()  # numbers, changed set
    assert audit(edge) == "consistent"
    operator = edge.service("operator")
    operator.watch("ops/audit")
    said = operator.wait(lambda: [a for a in (json.loads(m.payload) for m in operator.got("ops/audit")) if a["audited"] >= 3], "the self audit")
    assert said[-1]["differing"] == 0
    # The first reaction on such an article finds its head.
    assert takes(edge, articles[1])
    edge.settle()
    assert edge.store.totals()[articles[1]] == {"like": 1}
    edge.store.registers()
    assert audit(edge) == "consistent"


# --- the script ---

HEAD = "<BBQIIBIB"


class Shard:
    """Keys of a shard and the feed's script on them. No edge uses the shard; with `clear` False, one may."""

    def __init__(self, redis, number, clear=True):
        self.redis, self.number = redis, number
        self.text = script_text("dashboard-feed/state.lua").decode()
        self.script = redis.register_script(self.text)
        if clear:
            redis.delete(*self.keys())
            redis.hset(self.key("meta"), "store", redis.hget("tally:store", "id"))
        self.made = self.all()

    def key(self, name):
        return "tally:{%d}:%s" % (self.number, name)

    def keys(self):
        return [self.key(name) for name in ("heads", "changed", "meta", "states")]

    def call(self, article, state, above=0, store=None):
        store = self.redis.hget("tally:store", "id") if store is None else store
        return self.script(keys=self.keys(), args=[article, above, state, self.number, store])

    def all(self):
        return [self.redis.dump(key) for key in self.keys()]


def test_the_scripts_look_at_the_store_and_pass_a_version(edge):
    shard = Shard(edge.redis, 903)
    touch = edge.redis.register_script(script_text("dashboard-feed/touch.lua"))
    own, far = edge.redis.hget("tally:store", "id"), int((time.time() + 3600) * 1e6)

    def touched(article, above, store=own):
        keys = [shard.key(name) for name in ("heads", "changed", "meta")]
        return touch(keys=keys, args=[article, above, shard.number, store])

    assert touched("a", far, "00000000deadbeef") == [b"store", own] == shard.call("a", "{}", store="00000000deadbeef")
    assert shard.all() == shard.made
    assert touched("a", far) == [b"ok", b"%d" % (far + 1)]  # one that nobody reacted to: no voters
    head = struct.unpack("<BBQIIBIB", edge.redis.hget(shard.key("heads"), "a"))
    assert head == (1, 0, far + 1, 1, 0, 0, 0, 0)
    assert edge.redis.zscore(shard.key("changed"), "a") == far + 1 == int(edge.redis.hget(shard.key("meta"), "version"))
    before = shard.all()
    assert touched("a", far) == touched("a", far - 5) == [b"ok", b"%d" % (far + 1)]  # another feed did: nothing is done
    assert shard.all() == before
    assert touched("a", far + 1) == [b"ok", b"%d" % (far + 2)]
    assert shard.call("b", "{}", above=far + 10) == [b"ok", b"%d" % (far + 11)]
    assert touched("c", 0) == [b"ok", b"%d" % (far + 12)]  # versions of a shard only rise
    assert touched("c", 2 ** 53 - 1)[0] == b"error"
    edge.redis.hset(shard.key("heads"), "c", b"damaged")
    before = shard.all()
    assert touched("c", far + 12)[0] == b"error" and shard.all() == before
    edge.redis.hset(shard.key("meta"), "pause", "%d %d %s" % (int(time.time() * 1e6) - 1000, int(time.time() * 1e6) + 1900000, "0" * 16))
    assert touched("a", far + 20)[0] == b"paused"
    edge.redis.delete(*shard.keys())


def test_the_script_makes_and_keeps_heads(edge):
    shard = Shard(edge.redis, 901)
    changed, states = shard.key("changed").encode(), shard.key("states").encode()
    listener = edge.redis.connection_pool.get_connection("SSUBSCRIBE")
    listener.send_command("SSUBSCRIBE", changed, states)
    assert [listener.read_response()[:2] for _ in range(2)] == [[b"ssubscribe", changed], [b"ssubscribe", states]]
    assert shard.call("a", "") == [b"ok", b"0"] and shard.all() == shard.made
    floored = struct.pack(HEAD, 1, 1, 5, 3, 9, 2, 7, 2) + struct.pack("<BIBI", 1, 4, 15, 2) + struct.pack("<Q", 1 << 51)
    edge.redis.hset(shard.key("heads"), "b", floored)
    edge.redis.hset(shard.key("meta"), mapping={"version": "9007199254740000", "articles": "3"})
    assert shard.call("b", '{"state":"closed","results":"always"}') == [b"ok", b"9007199254740001"]
    head = edge.redis.hget(shard.key("heads"), "b")
    assert head == floored[:2] + struct.pack("<Q", 9007199254740001) + floored[10:]
    assert shard.call("a", '{"state":"open","results":"always"}') == [b"ok", b"9007199254740002"]
    assert edge.redis.hget(shard.key("heads"), "a") == struct.pack(HEAD, 1, 0, 9007199254740002, 4, 0, 0, 0, 0)
    assert edge.redis.hmget(shard.key("meta"), "version", "articles") == [b"9007199254740002", b"4"]
    assert edge.redis.hget(shard.key("states"), "a") == b'{"state":"open","results":"always","version":9007199254740002}'
    assert shard.call("a", "") == [b"ok", b"9007199254740003"]
    assert not edge.redis.hexists(shard.key("states"), "a") and edge.redis.hexists(shard.key("heads"), "a")
    assert dict(edge.redis.zrange(shard.key("changed"), 0, -1, withscores=True)) == {b"a": 9007199254740003.0, b"b": 9007199254740001.0}
    said = [tuple(listener.read_response()) for _ in range(6)]
    assert said == [(b"smessage", channel, what) for article in (b"b", b"a", b"a") for channel, what in ((changed, b"901"), (states, article))]
    listener.disconnect()
    # without a version of before, it is Redis's time
    shard = Shard(edge.redis, 902)
    seconds, micros = edge.redis.time()
    assert int(shard.call("a", '{"state":"open"}')[1]) >= seconds * 1000000 + micros


def test_the_script_does_nothing_where_it_cannot(edge):
    shard = Shard(edge.redis, 903)
    state = '{"state":"closed","results":"always"}'
    assert shard.call("a", state)[0] == b"ok"
    for key in shard.keys():
        kept = edge.redis.dump(key)
        edge.redis.delete(key)
        edge.redis.rpush(key, "of another type")
        before = shard.all()
        answer = shard.call("a", state)
        assert answer[0] == b"error" and b"WRONGTYPE" in answer[1] and shard.all() == before, key
        edge.redis.delete(key)
        edge.redis.restore(key, 0, kept)
    good = edge.redis.hget(shard.key("heads"), "a")
    for head in (b"", b"short", b"\2" + good[1:], good + b"x", good[:1] + b"\1" + good[2:]):
        edge.redis.hset(shard.key("heads"), "a", head)
        before = shard.all()
        answer = shard.call("a", state)
        assert answer[0] == b"error" and b"BADHEAD" in answer[1] and shard.all() == before, head
    edge.redis.hset(shard.key("heads"), "a", good)
    seconds, micros = edge.redis.time()
    now = seconds * 1000000 + micros
    edge.redis.hset(shard.key("meta"), "pause", "%d %d %016x" % (now - 1, now + 1900000, 7))
    before = shard.all()
    answer = shard.call("a", state)
    assert answer[0] == b"paused" and 0 < answer[1] <= 1900 and shard.all() == before
    for pause in ("%d %d %016x" % (now + 60000000, now + 61000000, 7), "%d %d %016x" % (now - 1, now + 60000000, 7), "nonsense"):
        edge.redis.hset(shard.key("meta"), "pause", pause)
        assert shard.call("a", state)[0] == b"ok", pause  # of a clock that was set, or of an impossible length


# --- several edges ---

def beside(make_edge, first, **more):
    """Another edge on the first one's Redis."""
    return make_edge(redis_of=first, **dict(EDGE, **more)).start()


def test_closed_on_one_edge_it_is_closed_on_all(make_edge):
    a = make_edge(**EDGE).start()
    b = beside(make_edge, a)
    article, silent = unique("shared"), unique("silent")
    reader, watcher = Asking(b), b.service("newsroom")
    watcher.watch("articles/" + article, "totals/" + article)
    assert reader.react(article) == ("admitted", None)
    begun = time.monotonic()
    write(a, article, b"closed")
    write(a, silent, b"closed")
    wait_until(lambda: reader.react(article, b"sad") == ("refused", "closed"), "the other edge to refuse", every_s=0.01)
    print("refused on the other edge after %.0f ms" % ((time.monotonic() - begun) * 1000))
    state = wait_passed_on(watcher, article, lambda s: not s["open"])
    assert json.loads(retained(a, "articles/" + article)) == state == json.loads(retained(b, "articles/" + article))
    wait_until(lambda: retained(b, "articles/" + silent) is not None, "the state of an article without reactions")

    # kill -9 of that broker, with nobody to tell it anything
    b.kill("feed", "broker")
    b.start("broker", ready=False)
    assert not takes(b, article) and not takes(b, silent)
    assert retained(b, "articles/" + article) is None
    # its feed comes back: the broker shows it again
    b.start("feed")
    for one in (article, silent):
        wait_until(lambda: retained(b, "articles/" + one) is not None, "the state to be published again")
    # and what was changed meanwhile is heard of
    b.kill("feed")
    write(a, article, b"")
    write(a, silent, b'{"kinds":["like"]}')
    wait_until(lambda: stored(a, article) is None and "kinds" in stored(a, silent), "the changes to be stored")
    b.start("feed")
    wait_until(lambda: takes(b, article) and takes(b, silent) and not takes(b, silent, b"sad"), "the changes on the other edge")
    assert retained(b, "articles/" + article) is None
    wait_until(lambda: json.loads(retained(b, "totals/" + article))["total"] >= 1, "the total there")
    for edge in (a, b):
        edge.settle()
        assert audit(edge) == "consistent"


def test_a_state_waits_behind_no_totals(make_edge):
    """The other edge's feed has more totals to publish than it may in the time that is waited for."""
    a = make_edge(**EDGE).start()
    b = beside(make_edge, a, feed=dict(EDGE["feed"], publish_rate=1))
    articles = [unique("busy") for _ in range(3 * int(TIMEOUT_S))]
    client = a.client()
    assert all(client.say("reactions/" + article, b"like") in OK for article in articles)
    a.settle()
    wait_until(lambda: b.metrics().get("tally_feed_waiting_articles", 0) > 2 * TIMEOUT_S, "totals to wait")
    write(a, articles[-1], b"closed")
    wait_until(lambda: not takes(b, articles[-1]), "the other edge to refuse")


def test_results_hidden_on_one_edge_are_hidden_on_all(make_edge):
    a = make_edge(**EDGE).start()
    b = beside(make_edge, a)
    article = unique("vote")
    assert takes(a, article) and takes(b, article)
    wait_until(lambda: retained(b, "totals/" + article) is not None, "the total")
    b.kill("feed")  # it hears of it only later
    write(a, article, b'{"results":"after_close"}')
    wait_until(lambda: retained(a, "totals/" + article) is None, "the total to be taken away")
    b.start("feed")
    wait_until(lambda: retained(b, "totals/" + article) is None, "the total to be taken away there")
    assert json.loads(b.get("/totals/" + article)[2]) == {"article": article, "hidden": True}
    assert audit(b) == "consistent"


def test_hidden_again_while_another_edge_took_the_state_away(make_edge):
    """What is shown in between does not last."""
    edge = make_edge(**EDGE).start()
    article = unique("vote")
    assert takes(edge, article)
    wait_until(lambda: retained(edge, "totals/" + article), "the total")
    write(edge, article, {"results": "after_close"})
    wait_until(lambda: retained(edge, "totals/" + article) is None, "the total to be taken away")
    # While the shard is paused what the operator says waits; the other edge was quicker.
    shard = Shard(edge.redis, article_shard(article, 4), clear=False)

    def hold(redis=edge.redis):
        seconds, micros = edge.redis.time()
        redis.hset(shard.key("meta"), "pause", "%d %d %016x" % (seconds * 1000000 + micros, seconds * 1000000 + micros + 2000000, 7))

    hold()
    write(edge, article, {"results": "after_close", "kinds": ["like", "sad"]})
    wait_until(lambda: hold() or edge.metrics().get("tally_feed_waiting_states", 0) == 1, "the request")
    together = edge.redis.pipeline(transaction=True)
    together.hdel(shard.key("meta"), "pause")
    together.eval(shard.text, 4, *shard.keys(), article, 0, "", shard.number, edge.redis.hget("tally:store", "id"))
    hold(together)
    together.execute()
    wait_until(lambda: hold() or retained(edge, "totals/" + article), "the total while it has no state")
    wait_until(lambda: stored(edge, article), "the state")
    wait_until(lambda: retained(edge, "totals/" + article) is None, "the total to be taken away again")
    assert audit(edge, article) == "consistent"


# --- parts that are away ---

def test_what_is_said_while_the_feed_is_away_is_stored_later(make_edge):
    edge = make_edge(**EDGE).start()
    article, lost, changed = unique("a"), unique("b"), unique("c")
    write(edge, changed, b"open")
    wait_until(lambda: stored(edge, changed), "the state")
    edge.kill("feed")
    write(edge, article, b"closed")
    write(edge, changed, b"closed")
    assert not takes(edge, article) and not takes(edge, changed)
    edge.start("feed")
    wait_until(lambda: stored(edge, article) and stored(edge, changed)["state"] == "closed", "what the broker retained to be stored")
    # Now the broker dies, too, and with it what it retained: it says it again.
    edge.kill("feed")
    write(edge, lost, {"kinds": ["sad", "like"], "closes_at": at(3600), "results": "after_close"})
    write(edge, changed, b'{"kinds":["wow"]}')
    edge.kill("broker")
    edge.start("broker", ready=False)
    assert takes(edge, changed, b"wow") and not takes(edge, changed) and not takes(edge, article)
    edge.start("feed")
    wait_until(lambda: stored(edge, lost) and stored(edge, changed).get("kinds") == ["wow"], "it to be stored")
    assert stored(edge, lost)["kinds"] == ["sad", "like"] and stored(edge, lost)["results"] == "after_close"
    assert takes(edge, changed, b"wow") and not takes(edge, changed)
    wait_until(lambda: json.loads(retained(edge, "articles/" + changed)).get("version") == stored(edge, changed)["version"], "the feed's form")


def test_what_is_said_while_redis_is_away_is_stored_later(make_edge):
    edge = make_edge(**EDGE).start()
    article, other = unique("a"), unique("b")
    write(edge, other, b"closed")
    wait_until(lambda: stored(edge, other), "the state")
    edge.kill("redis")
    write(edge, article, b"open")
    write(edge, article, b"closed")
    write(edge, other, b"")
    assert not takes(edge, article)
    edge.start("redis")
    edge.wait_ready()
    wait_until(lambda: stored(edge, article) and stored(edge, other) is None, "what was said to be stored")
    assert stored(edge, article)["state"] == "closed"
    assert takes(edge, other)


def test_a_paused_shard_makes_it_wait(make_edge):
    edge = make_edge(**EDGE).start()
    article = unique("a")
    key = "tally:{%d}:meta" % article_shard(article, 4)
    seconds, micros = edge.redis.time()
    now = seconds * 1000000 + micros
    edge.redis.hset(key, "pause", "%d %d %016x" % (now, now + 1500000, 7))
    write(edge, article, b"closed")
    wait_until(lambda: stored(edge, article), "the state to be stored")
    assert stored(edge, article)["version"] >= now + 1500000


def test_what_redis_refuses_is_not_asked_for_with_each_total(make_edge):
    edge = make_edge(**EDGE).start()
    article, others = unique("a"), [unique("b") for _ in range(40)]
    heads = "tally:{%d}:heads" % article_shard(article, 4)
    edge.redis.hset(heads, article, "damaged")
    edge.redis.config_set("slowlog-max-len", 100000)
    edge.redis.config_set("slowlog-log-slower-than", 0)  # every call
    begun = time.monotonic()
    write(edge, article, b"closed")
    wait_until(lambda: "BADHEAD" in edge["feed"].text(), "the refusal")
    for other in others:
        assert takes(edge, other)
        edge.wait_total(other)
    tried = sum(b" 4 tally:{" in call["command"] and b":states " in call["command"] for call in edge.redis.slowlog_get(100000))
    assert 1 <= tried <= 2 + (time.monotonic() - begun)  # one each second
    assert edge["feed"].text().count("BADHEAD") <= 1 + (time.monotonic() - begun) / 10
    write(edge, others[0], b"closed")  # it keeps no other waiting
    wait_until(lambda: stored(edge, others[0]), "the other's state")
    assert not takes(edge, article)
    edge.redis.hdel(heads, article)
    wait_until(lambda: stored(edge, article), "the state")


def forget_in_redis(edge, article):
    """As a Redis that lost its last seconds, which drops every connection with them: nobody sees one without the other."""
    both = edge.redis.pipeline(transaction=True)
    both.hdel("tally:{%d}:states" % article_shard(article, 4), article)
    both.client_kill_filter(_type="normal", skipme=True)
    both.execute()


def test_what_redis_lost_is_stored_again(make_edge):
    edge = make_edge(**EDGE).start()
    article = unique("a")
    write(edge, article, b"closed")
    first = wait_until(lambda: stored(edge, article), "the state")
    forget_in_redis(edge, article)
    second = wait_until(lambda: stored(edge, article), "the state to be stored once more")
    assert second["version"] > first["version"] and second["state"] == "closed"
    assert not takes(edge, article)
    # One that stood for longer was not lost: another edge's operator took it away.
    key = "tally:{%d}:states" % article_shard(article, 4)
    old = int(time.time() * 1e6) - 60000000
    edge.stop("feed")  # a feed that saw the version go back would store its own once more
    edge.redis.hset(key, article, json.dumps({"state": "closed", "results": "always", "version": old}))
    edge.start("feed")
    wait_until(lambda: (retained(edge, "articles/" + article) or b"").find(b"%d" % old) > 0, "the older state")
    forget_in_redis(edge, article)
    wait_until(lambda: takes(edge, article), "it to be open")
    assert stored(edge, article) is None


def test_more_states_than_the_feed_remembers(make_edge):
    edge = make_edge(**dict(EDGE, feed=dict(EDGE["feed"], max_states=2))).start()
    articles = [unique("a") for _ in range(3)]
    for article in articles[:2]:
        write(edge, article, b"closed")
        wait_until(lambda: stored(edge, article), "the state")
    write(edge, articles[2], b"closed")
    wait_until(lambda: edge.metrics().get("tally_feed_refused_states_total", 0) > 0, "the refusal to be counted")
    assert edge.metrics()["tally_feed_states"] == 2 and stored(edge, articles[2]) is None
    assert "max_states" in edge["feed"].text()
    assert not any(takes(edge, article) for article in articles)  # each broker enforces what it was told
    write(edge, articles[0], b"")
    wait_until(lambda: edge.metrics().get("tally_feed_states", 0) == 1, "room")
    write(edge, articles[2], b"closed")
    wait_until(lambda: stored(edge, articles[2]), "the state")


def test_a_will_that_is_no_state_is_undone(make_edge):
    """The plugin does not see a will: the feed puts it right."""
    edge = make_edge(**EDGE).start()
    article = unique("will")
    write(edge, article, b"closed")
    wait_until(lambda: stored(edge, article), "the state")

    def published():
        """The feed's form of the retained state."""
        payload = retained(edge, "articles/" + article)
        return json.loads(payload) if payload and payload.startswith(b"{") else None

    state = wait_until(published, "what the feed makes of it")
    for n in range(2):
        operator = edge.service("operator", will=("articles/" + article, b"garbage", 1, True))
        operator.cut()
        wait_until(lambda: edge.metrics().get("tally_feed_bad_states_total", 0) > n, "the will")
        wait_until(lambda: published() == state, "the state")
    assert not takes(edge, article)


def test_states_hold_where_limits_are_on(make_edge):
    edge = make_edge(limits="on", plugin={"auto_create": "off", "reader_rate": 10000, "reader_burst": 100000}, **EDGE).start()
    article = unique("a")
    assert not takes(edge, article)
    assert write(edge, article, b'{"kinds":["like"]}') in OK
    assert takes(edge, article) and not takes(edge, article, b"sad")
    wait_until(lambda: stored(edge, article), "the state")
    edge.kill("broker")
    edge.start("broker")
    assert takes(edge, article) and not takes(edge, article, b"sad")
    assert os.path.getsize(os.path.join(edge.spool, "registry")) == 4096 + SMALL["max_articles"] * 296
    write(edge, article, b"")
    assert not takes(edge, article)

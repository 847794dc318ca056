"""Readers of several edges on one store, and a pulse that measures how soon one edge shows what another admits, shard by shard. Used by
tests/system/test_cluster.py and by script/prove."""

import collections
import json
import threading
import time

import judge
from clients import TIMEOUT_S, Client, Refused, reader_name, unique
from edge import counts_of, wait_until
from readers import KINDS, Reader, Reaction
from store import article_shard


def articles_of(shards, each, prefix="crowd"):
    """This many articles of each of the shards: shard → [article]. `shards`: the number of shards."""
    found = {shard: [] for shard in range(shards)}
    while any(len(articles) < each for articles in found.values()):
        article = unique(prefix + "/article")
        if len(found[article_shard(article, shards)]) < each:
            found[article_shard(article, shards)].append(article)
    return found


class Crowd:
    """`readers` of each edge, at QoS 1. `phase` is the phase in which a reaction was made, for a table."""
    pause_s = 0.02
    again_s = 0.3
    patience_s = TIMEOUT_S

    def __init__(self, edges, articles, readers=3):
        self.edges, self.articles = edges, list(articles)
        self.ending = threading.Event()
        self.phase = ""
        name = unique("crowd")
        self.readers = [Reader(edge.mqtt_port, "reader-of-the-%s-%d-%d" % (name, i, n), self) for i, edge in enumerate(edges) for n in range(readers)]

    def click(self, reader):
        return Reaction(reader.rng.choice(self.articles), reader.rng.choice(KINDS), self.phase)

    def __enter__(self):
        for reader in self.readers:
            reader.start()
        return self

    def __exit__(self, *_error):
        self.ending.set()
        for reader in self.readers:
            reader.join(TIMEOUT_S)
        self.look()
        for reader in self.readers:
            assert not reader.is_alive(), "%s still has unacknowledged reactions" % reader.name
            reader.close()

    def look(self):
        for reader in self.readers:
            if reader.failure is not None:
                raise AssertionError("%s: %r" % (reader.name, reader.failure))

    def acknowledged(self):
        return sum(len(reader.acknowledged) for reader in self.readers)

    def wait_more(self, n):
        """Waits until this many further reactions were acknowledged at each edge."""
        goals = [(reader, len(reader.acknowledged)) for reader in self.readers]

        def enough():
            self.look()
            more = collections.Counter()
            for reader, before in goals:
                more[reader.port] += len(reader.acknowledged) - before
            return all(count >= n for count in more.values())
        wait_until(enough, "%d more acknowledged reactions at each edge" % n)


def judged(edge, readers):
    """Each acknowledged reaction against the registers. By phase: phase → [acknowledged, lost, invented, overtaken], and the registers' content."""
    held, rows = judge.held(edge), collections.defaultdict(lambda: [0, 0, 0, 0])
    for article, by_reader in judge.sends_by_register(edge, readers).items():
        registers = held.get(article, {})
        for reader, sends in by_reader.items():
            verdict = judge.judge(sends, registers.get(reader))
            row = rows[sends[-1].reaction.phase]
            for i, n in enumerate((len(verdict.acknowledged), len(verdict.lost), verdict.invented, verdict.overtaken)):
                row[i] += n
    return rows, held


def shown_wrong(edges, held, articles):
    """(edge's number, "mqtt" or "http") → {article: counts} of totals that finally differ from the registers; empty if all is well."""
    truth = judge.truth_of({article: held[article] for article in articles if article in held})
    wrong = {}
    for i, edge in enumerate(edges):
        for how, seen in (("mqtt", judge.retained(edge, truth)), ("http", lambda edge=edge: edge.totals_over_http(truth))):
            differs = judge.wait_shown(seen, truth)
            if differs:
                wrong[(i, how)] = {article: (counts, truth[article]) for article, counts in differs.items()}
    return wrong


class Pulse(threading.Thread):
    """One reader of the first edge that reacts to an article of each shard, again as soon as the second edge shows the last reaction.
    `delays`: shard → [(began, seconds)]."""
    KINDS = ("like", "love")
    REST_S = 0.02

    def __init__(self, edges, shards):
        super().__init__(name="pulse", daemon=True)
        self.edges = edges
        self.article = {shard: articles[0] for shard, articles in articles_of(shards, 1, "pulse").items()}
        self.shard = {"totals/" + article: shard for shard, article in self.article.items()}
        self.delays = {shard: [] for shard in self.article}
        self.waiting = {}  # shard → (began, kind)
        self.ending = threading.Event()
        self.failure = None

    def __enter__(self):
        self.reader = Client(self.edges[0].mqtt_port, username=reader_name()).open()
        self.watcher = self.edges[-1].service("newsroom")
        self.watcher.watch("totals/#")
        self.start()
        return self

    def __exit__(self, *_error):
        self.ending.set()
        self.join()
        self.reader.close()
        assert self.failure is None, repr(self.failure)

    def run(self):
        read = 0
        rest = dict.fromkeys(self.article, 0.0)
        try:
            while not self.ending.is_set():
                now = time.monotonic()
                for shard, article in self.article.items():
                    if shard not in self.waiting and now >= rest[shard]:
                        kind = self.KINDS[len(self.delays[shard]) % 2]
                        self.waiting[shard] = (time.monotonic(), kind)
                        self.reader.send("reactions/" + article, kind)
                with self.watcher.changed:
                    if len(self.watcher.messages) == read:
                        self.watcher.changed.wait(0.01)
                    fresh, read = self.watcher.messages[read:], len(self.watcher.messages)
                for message in fresh:
                    shard = self.shard.get(message.topic)
                    if shard in self.waiting and message.payload:
                        began, kind = self.waiting[shard]
                        if counts_of(json.loads(message.payload)) == {kind: 1}:
                            self.delays[shard].append((began, time.monotonic() - began))
                            del self.waiting[shard]
                            rest[shard] = time.monotonic() + self.REST_S
        except Exception as error:  # shown by the thread that waits
            self.failure = error

    def wait_more(self, n, shards, what="to be shown elsewhere"):
        """Waits until each of these shards has this many further pulses that began after now."""
        since = time.monotonic()

        def enough():
            assert self.failure is None, repr(self.failure)
            return all(sum(began > since for began, _s in self.delays[shard][-n - 5:]) >= n for shard in shards)
        wait_until(enough, "%d reactions in each of the shards %s %s" % (n, sorted(shards), what))

    def worst(self, shards, since=0.0, until=float("inf")):
        """Seconds, of what began or ended between."""
        return max((s for shard in shards for began, s in list(self.delays[shard]) if began + s >= since and began <= until), default=0.0)

    def share(self, part, shards, since=0.0, until=float("inf")):
        """Seconds within which this part (0.5: the median) of the pulses that began or ended in between was shown."""
        found = sorted(s for shard in shards for began, s in list(self.delays[shard]) if began + s >= since and began <= until)
        return found[min(len(found) - 1, int(len(found) * part))] if found else 0.0

    def median(self, shards, until=float("inf")):
        return self.share(0.5, shards, until=until)


def react(edge, article, kind="like", name=None):
    """One reaction of a new reader; raises if it is not admitted."""
    reader = Client(edge.mqtt_port, username=name or reader_name()).open()
    try:
        code = reader.say("reactions/" + article, kind)
        if code >= 0x80:
            raise Refused(article, code)
    finally:
        reader.close()


def react_to_all(edge, articles, kind="like"):
    """As react, by one reader and without waiting between them."""
    reader = Client(edge.mqtt_port, username=reader_name()).open()
    try:
        sent = [(article, reader.send("reactions/" + article, kind.encode())) for article in articles]
        for article, mid in sent:
            code = reader.ack(mid)
            if code >= 0x80:
                raise Refused(article, code)
    finally:
        reader.close()


def await_shown(edges, shards, of):
    """A reaction at each edge to a new article of each of the shards, until every edge shows all of them. Returns the seconds."""
    began = time.monotonic()
    articles = [found[0] for shard, found in articles_of(of, 1, "shown").items() if shard in shards]
    for edge in edges:
        react_to_all(edge, articles)
    wanted = {article: {"like": len(edges)} for article in articles}
    for edge in edges:
        watcher = Client(edge.mqtt_port, username="newsroom", password=edge.secret("newsroom")).open()
        try:
            watcher.watch(*("totals/" + article for article in articles))
            watcher.wait(lambda: _latest(watcher) == wanted, "the reactions to articles of the shards %s" % sorted(shards))
        finally:
            watcher.close()
    return time.monotonic() - began


def _latest(watcher):
    return {m.topic[len("totals/"):]: counts_of(json.loads(m.payload)) for m in watcher.got(prefix="totals/") if m.payload}


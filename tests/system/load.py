"""Readers that keep reacting from their own threads while a test breaks something, and record the answers they got."""

import threading
import time

from clients import Client, Closed, Refused, unique
from edge import wait_until


class Load:
    """`readers` MQTT 5 clients at QoS 1; each reacts to one of the articles after another and counts a reaction as safe once its PUBACK
    said so. A reaction without an answer is sent again (with its age) after reconnecting."""

    KINDS = ["like", "dislike", "love", "funny", "angry", "sad", "wow", "none"]

    def __init__(self, edge, articles, readers=8, pause_s=0.002):
        self.edge, self.articles, self.pause_s = edge, articles, pause_s
        self.ending = threading.Event()
        self.reactions = [dict() for _ in range(readers)]  # of each reader: article → kind last acknowledged
        self.names = [unique("reader-under-load") for _ in range(readers)]
        self.acknowledged = [0] * readers
        self.refused = [0] * readers
        self.failure = None
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(readers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        assert self.failure is None, self.failure

    def total(self):
        return sum(self.acknowledged)

    def wait_more(self, n):
        """Waits until `n` further reactions were acknowledged."""
        goal = self.total() + n
        wait_until(lambda: self.failure or self.total() >= goal, "%d more acknowledged reactions" % n)
        assert self.failure is None, self.failure

    def expected(self, key, reader_hash):
        """article → {reader hash: kind}."""
        found = {article: {} for article in self.articles}
        for name, reactions in zip(self.names, self.reactions):
            for article, kind in reactions.items():
                found[article][reader_hash(key, article, "u", name)] = kind
        return found

    def _run(self, me):
        client, n = None, me
        pending = None  # article, kind, clicked at
        try:
            while not (self.ending.is_set() and pending is None):
                if client is None:
                    client = self._connect(me)
                    continue
                if pending is None:
                    n += 1
                    pending = (self.articles[n % len(self.articles)], self.KINDS[(n * 7 + me) % 8], time.time())
                if self._send(me, client, pending):
                    pending = None
                    time.sleep(self.pause_s)
                elif client.closed:
                    client.close()
                    client = None
        except Exception as error:  # the test must see it, not this thread alone
            self.failure = repr(error)
        finally:
            if client is not None:
                client.close()

    def _connect(self, me):
        try:
            return Client(self.edge.mqtt_port, username=self.names[me]).open()
        except (OSError, Refused):
            time.sleep(0.02)
            return None

    def _send(self, me, client, pending):
        article, kind, clicked = pending
        age_ms = max(0, int((time.time() - clicked) * 1000))
        try:
            code = client.say("reactions/" + article, '{"reaction":"%s","age_ms":%d}' % (kind, age_ms))
        except Closed:
            return False
        if code in (0x00, 0x10):
            self.reactions[me][article] = kind
            self.acknowledged[me] += 1
            return True
        self.refused[me] += 1
        time.sleep(0.02)
        return False

"""Readers with a browser's habits, for script/prove and script/soak: each keeps a reaction until a success code says that it is safe, sends it
again, with its age, after a lost connection or a refusal, and records everything that it sent and received."""

import collections
import json
import random
import threading
import time

from clients import V5, Client, Closed, Refused
from edge import EdgeError

KINDS = ["like", "dislike", "love", "funny", "angry", "sad", "wow", "none"]
WINDOW = 6  # reactions of a reader under way
NOT_THERE = (OSError, ValueError, Refused, Closed)  # ValueError: paho 1.6 where a WebSocket is not taken


class Reaction:
    __slots__ = ("article", "kind", "clicked", "phase", "acknowledged")

    def __init__(self, article, kind, phase, age_s=0.0):
        self.article, self.kind, self.phase, self.clicked = article, kind, phase, time.time() - age_s
        self.acknowledged = False


class Send:
    """A reaction as it was sent once. Its stamp is its arrival less its age: between `from_ms` and `to_ms`, where an answer says so."""
    __slots__ = ("reaction", "age_ms", "sent_ms", "from_ms", "to_ms", "code")

    def __init__(self, reaction):
        self.reaction, self.code, self.to_ms = reaction, None, float("inf")
        self.sent_ms = time.time() * 1000
        self.age_ms = max(0, int(self.sent_ms - reaction.clicked * 1000))
        self.from_ms = self.sent_ms - self.age_ms

    def payload(self):
        said = {"reaction": self.reaction.kind}
        return json.dumps(dict(said, age_ms=self.age_ms) if self.age_ms > 0 else said)

    def answered(self, code):
        self.code, self.to_ms = code, time.time() * 1000 - self.age_ms
        if code < 0x80:
            self.reaction.acknowledged = True

    def refused(self):
        return self.code is not None and self.code >= 0x80


class Reader(threading.Thread):
    """`habits` says what to click and when to end: click(reader) → Reaction or None, ending (an Event), pause_s between clicks, again_s
    before a reader turns to the same article again, patience_s until an answer is waited for no more. A reader of a username comes with a
    new client id each time; one without is known by its client id."""

    def __init__(self, port, name, habits, username=True, flavour=(V5, "tcp"), qos=1, receipts=False):
        super().__init__(name="reader-%s" % name, daemon=True)
        self.port, self.habits, self.flavour, self.qos = port, habits, flavour, qos
        self.receipts = receipts and flavour[0] == V5
        self.rng = random.Random(name)
        self.identity = ("u" if username else "c", name)
        self.client = None
        self.waiting = collections.OrderedDict()  # mid → Send
        self.again = collections.deque()          # reactions to be sent (again), oldest click first
        self.sends = []
        self.acknowledged = []                    # reactions in the order of their acknowledgements
        self.received = []                        # (correlation data, receipt)
        self.quiet_until = {}                     # article → when it may be clicked again
        self.refused = self.repeated = self.reconnected = 0
        self.failure = None

    def run(self):
        try:
            while not (self.habits.ending.is_set() and not self.waiting and not self.again):
                if self.client is None:
                    self._connect()
                elif self.client.closed:
                    self._lost()
                else:
                    self._collect()
                    self._send()
        except Exception as error:  # shown by the main thread
            self.failure = error

    def close(self):
        """Once its thread has ended. Until then its connection stays, for receipts to come."""
        if self.client is not None:
            self._hear()
            self.client.close()

    def _connect(self):
        source, name = self.identity
        protocol, transport = self.flavour
        client = Client(self.port, username=name if source == "u" else None, client_id=name if source == "c" else None,
                        protocol=protocol, transport=transport)
        try:
            client.open(self.habits.patience_s)
            if self.receipts:
                client.watch("receipts/" + client.name, timeout_s=self.habits.patience_s)
            self.client = client
        except NOT_THERE + (AssertionError,):  # the latter: no answer, as where a system call of the broker's failed
            client.close()
            time.sleep(0.05)

    def _lost(self):
        self.client.close()
        self._collect()  # an acknowledgement that came before the end counts
        self._hear()
        self.client = None
        self.reconnected += 1
        self.again.extendleft(send.reaction for send in reversed(self.waiting.values()))
        self.waiting.clear()

    def _hear(self):
        self.received += [(m.correlation, json.loads(m.payload)) for m in self.client.got(prefix="receipts/")]

    def _collect(self):
        with self.client.changed:
            answered = [(mid, self.client.acks.pop(mid)) for mid in list(self.client.acks) if mid in self.waiting]
        for mid, code in answered:
            send = self.waiting.pop(mid)
            send.answered(code)
            if code < 0x80:
                self.acknowledged.append(send.reaction)
                self.quiet_until[send.reaction.article] = time.time() + self.habits.again_s
            else:
                self.refused += 1
                self.again.append(send.reaction)
                time.sleep(0.1)

    def _send(self):
        if len(self.waiting) >= WINDOW or (self.habits.ending.is_set() and not self.again):
            self._await_answer()
            return
        if self.again:
            reaction = self.again.popleft()
            self.repeated += 1
        else:
            time.sleep(self.habits.pause_s * self.rng.uniform(0.5, 1.5))
            reaction = self._click()
            if reaction is None:
                return
        send = Send(reaction)
        asked = {}
        if self.receipts:
            asked = dict(response_topic="receipts/" + self.client.name, correlation=b"%d" % len(self.sends))
        self.sends.append(send)
        self.waiting[self.client.send("reactions/" + reaction.article, send.payload(), qos=self.qos, **asked)] = send

    def _await_answer(self):
        oldest = next(iter(self.waiting.values()), None)
        if oldest is not None and time.time() * 1000 - oldest.sent_ms > self.habits.patience_s * 1000:
            self.client.cut()
            return
        with self.client.changed:
            self.client.changed.wait(0.05)

    def _click(self):
        """A new reaction to an article without one under way, so that the last one acknowledged is the last one clicked."""
        reaction = self.habits.click(self)
        if self.quiet_until.get(reaction.article, 0) > time.time() or any(s.reaction.article == reaction.article for s in self.waiting.values()):
            return None
        return reaction


def probe(edge, article):
    """A new reaction, counted and shown to a watcher; otherwise raises one of NOT_THERE, or AssertionError."""
    reader = Client(edge.mqtt_port, username="reader-who-probes-the-edge")
    try:
        reader.open()
        reader.watch("totals/" + article)
        code = reader.say("reactions/" + article, "like")
        if code >= 0x80:
            raise Refused(article, code)

        def shown():
            if reader.closed:
                raise Closed(article)
            return [m for m in reader.got(topic="totals/" + article) if json.loads(m.payload)["counts"].get("like") == 1]
        reader.wait(shown, "the probe's total")
    finally:
        reader.close()


def await_heal(edge, article, what, timeout_s):
    """Healed: a reaction made after the fault is counted and shown, and /healthz says so."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            probe(edge, article)
            break
        except NOT_THERE + (AssertionError,):
            time.sleep(0.02)
    else:
        raise EdgeError("not healed after %s" % what)
    while edge.health()[0] != 200:
        if time.monotonic() > deadline:
            raise EdgeError("after %s /healthz says %r" % (what, edge.health()))
        time.sleep(0.02)

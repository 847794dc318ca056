#!/usr/bin/python3
"""What troublesome clients cost honest readers: time from publish to receipt with and without them, in turns, side by side.

  bench/flood.py [--trouble flooder|publish-foreign|ping|subscribe|stopped|slow] [--build build/release] [--rounds 30] [--seconds 2] [--readers 20] [--qos 0]

The script starts its own edge. Honest readers react 4 times a second each, at random moments, at QoS 1, and ask for a receipt; all of them
share one process that does nothing else. The trouble is another process, of the lowest priority, as elsewhere it would be another machine:

  flooder  writes reactions of one reader on one connection as fast as the broker reads them, and comes back when it is ended
  publish-foreign, ping, subscribe
           the same with PUBLISH to a topic outside Tally, with PINGREQ, or with SUBSCRIBE and UNSUBSCRIBE
  stopped  20 subscribers to totals/# that read nothing, while 500 articles get 2,000 reactions a second (limits are off), beside as many
           who read all
  slow     the same, but each reads 20 KB a second, a fraction of what is for it

Turns are short, and their order changes, so that whatever else the machine does weighs on both sides alike."""

import argparse
import os
import random
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))

import raw_mqtt as raw  # noqa: E402
from child import dying_with_parent  # noqa: E402
from edge import Edge  # noqa: E402

ARTICLE = "world/flood"
REACTIONS_S = 4  # of an honest reader; the limit is 5
KINDS = (b"like", b"angry", b"sad", b"love")
SUBSCRIBERS, SLOW_BYTES, SLOW_S = 20, 2000, 0.1
CHATTER_S, CHATTER_ARTICLES = 2000, 500
FLOODERS = ("flooder", "publish-foreign", "ping", "subscribe")


class Connection:
    """As little of MQTT 5 as this needs."""

    def __init__(self, port, name, receive_bytes=None):
        self.name = name
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""
        self.socket.sendall(raw.connect(name, keepalive=0))
        if self.answer()[1][1] != 0:
            raise SystemExit("the broker refused %r" % name)

    def subscribe(self, topic_filter):
        self.socket.sendall(raw.subscribe([topic_filter]))
        if self.answer()[1][-1] >= 0x80:
            raise SystemExit("%r may not subscribe to %r" % (self.name, topic_filter))

    def packets(self):
        """The complete packets of the bytes received."""
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("the broker closed the connection of %r" % self.name)
        self.held += data
        while len(self.held) >= 2:
            length, at, shift = 0, 1, 0
            while at < len(self.held):
                length |= (self.held[at] & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if self.held[at - 1] < 0x80:
                    break
            else:
                return
            if len(self.held) < at + length:
                return
            one, self.held = (self.held[0], self.held[at:at + length]), self.held[at + length:]
            yield one

    def answer(self):
        while True:
            for one in self.packets():
                return one


class Reader(Connection):
    def __init__(self, port, n):
        super().__init__(port, b"honest-reader-%d" % n)
        self.receipts = b"receipts/" + self.name
        self.subscribe(self.receipts)
        self.sent = 0
        self.begun = {}  # serial → when

    def react(self, now):
        self.sent += 1
        self.begun[self.sent] = now
        asked = raw.properties(b"\x08" + raw.text(self.receipts), b"\x09" + raw.text(struct.pack(">Q", self.sent)))
        self.socket.sendall(raw.publish("reactions/" + ARTICLE, KINDS[self.sent % len(KINDS)], 1, 1 + self.sent % 65535, props=asked))

    def read(self, took):
        for first, body in self.packets():
            now = time.monotonic()
            if first >> 4 == 4 and len(body) > 2 and body[2] >= 0x80:
                raise SystemExit("an honest reader was refused: 0x%02x" % body[2])
            if first >> 4 == 3:
                at = body.index(b"\x09\x00\x08") + 3
                took.append(now - self.begun.pop(struct.unpack(">Q", body[at:at + 8])[0]))


def write_all(flooder, block, qos):
    """As fast as the broker reads, and whatever is answered is read, too, unless nothing is. Returns when the broker ends the connection."""
    if qos == 0:
        while True:
            flooder.socket.sendall(block)
    flooder.socket.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(flooder.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
    left = memoryview(block)
    while True:
        for _key, events in selector.select():
            if events & selectors.EVENT_READ and not flooder.socket.recv(1 << 20):
                return
            if events & selectors.EVENT_WRITE:
                left = left[flooder.socket.send(left):] or memoryview(block)


def block_of(trouble, qos):
    """A thousand packets or more."""
    if trouble == "publish-foreign":
        return b"".join(raw.publish("foo", b"x", qos, 1 + n) for n in range(1000))
    if trouble == "ping":
        return b"\xc0\x00" * 10000
    if trouble == "subscribe":
        return b"".join(raw.subscribe(["totals/%d" % n], 1 + n) + raw.unsubscribe(["totals/%d" % n], 1 + n) for n in range(1000))
    return b"".join(raw.publish("reactions/" + ARTICLE, KINDS[n % len(KINDS)], qos, 1 + n) for n in range(1000))


def flood(port, trouble, qos):
    """Ended by the broker, it comes back at once, and a hundred times a second where it may not."""
    block = block_of(trouble, qos)
    wait_for_turn()
    while True:
        try:
            write_all(Connection(port, b"flooder-at-full-speed"), block, 1 if trouble in ("ping", "subscribe") else qos)
        except OSError:
            pass
        except SystemExit:
            time.sleep(0.01)


def watch(port, how):
    """Subscribers in turns: they come at SIGCONT, and are gone, by their sockets' end, at the next SIGUSR1."""
    while True:
        wait_for_turn()
        receive_bytes = None if how == "reading" else 4096
        subscribers = [Connection(port, b"subscriber-%d-%d" % (os.getpid(), n), receive_bytes) for n in range(SUBSCRIBERS)]
        selector = selectors.DefaultSelector()
        for subscriber in subscribers:
            subscriber.subscribe(b"totals/#")
            selector.register(subscriber.socket, selectors.EVENT_READ)
        while signal.sigtimedwait([signal.SIGUSR1], 0 if how == "reading" else SLOW_S) is None:
            for key, _events in selector.select(SLOW_S) if how == "reading" else []:
                key.fileobj.recv(1 << 20)
            for subscriber in subscribers if how == "slow" else []:
                subscriber.socket.recv(SLOW_BYTES)
        selector.close()
        for subscriber in subscribers:
            subscriber.socket.close()


def chatter(port):
    """This many reactions a second, so that there are totals."""
    connection, due, sent = Connection(port, b"chatterer-of-many-words"), time.monotonic(), 0
    while True:
        due += 0.01
        time.sleep(max(0.0, due - time.monotonic()))
        block = b""
        for _ in range(CHATTER_S // 100):
            block += raw.publish("reactions/chatter/%d" % (sent % CHATTER_ARTICLES), KINDS[sent // CHATTER_ARTICLES % len(KINDS)])
            sent += 1
        connection.socket.sendall(block)


def wait_for_turn():
    """The parent continues, stops and ends what makes trouble."""
    print("ready", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)


def measure(readers, seconds):
    """Seconds from publish to receipt of each reaction in the time."""
    took, selector = [], selectors.DefaultSelector()
    for reader in readers:
        selector.register(reader.socket, selectors.EVENT_READ, reader)
    begun = time.monotonic()
    due = [(begun + random.random() / REACTIONS_S, i) for i in range(len(readers))]
    while True:
        now = time.monotonic()
        running = now < begun + seconds
        if not running and (now > begun + seconds + 10 or not any(reader.begun for reader in readers)):
            break
        soon = min(due)[0]
        if running and now >= soon:
            i = min(due)[1]
            readers[i].react(now)
            # somewhere in the next interval, so that they keep no step with each other or with the broker
            due[i] = (soon + (0.75 + random.random() / 2) / REACTIONS_S, i)
            continue
        for key, _events in selector.select(max(0.0, soon - now) if running else 0.1):
            key.data.read(took)
    lost = sum(len(reader.begun) for reader in readers)
    if lost:
        raise SystemExit("%d receipts did not come" % lost)
    selector.close()
    return took


def quantile(took, q):
    return sorted(took)[min(len(took) - 1, int(len(took) * q))] * 1000


def report(quiet, troubled, trouble):
    """Of all reactions together, and of the turns' own p99 the median: a burst of somebody else's work spoils few turns, but all the p99."""
    sides = [[sum(turns, []), sorted(quantile(turn, 0.99) for turn in turns)[len(turns) // 2]] for turns in (quiet, troubled)]
    print("%-18s %9s %9s %9s %9s %15s" % ("ms to the receipt", "n", "p50", "p95", "p99", "p99, med. turn"))
    for name, (took, turn) in zip(("without it" if trouble in FLOODERS else "reading", trouble), sides):
        print("%-18s %9d %9.2f %9.2f %9.2f %15.2f" % (name, len(took), *(quantile(took, q) for q in (0.5, 0.95, 0.99)), turn))
    print("ratio of the p99: %.2f, of the median turn's: %.2f" % (quantile(sides[1][0], 0.99) / quantile(sides[0][0], 0.99), sides[1][1] / sides[0][1]))


def play(options):
    """Another part than that of the honest readers; never returns."""
    os.nice(19)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    if options.part in FLOODERS:
        flood(options.port, options.part, options.qos)
    elif options.part == "chatter":
        chatter(options.port)
    else:
        watch(options.port, options.part)


def held_back(port):
    """Connections of the broker's whose bytes wait in the kernel (proc(5), /proc/net/tcp)."""
    with open("/proc/net/tcp") as table:
        rows = [row.split() for row in table.readlines()[1:]]
    return sum(row[3] == "01" and int(row[1].split(":")[1], 16) == port and not row[4].startswith("00000000:") for row in rows)


class Child:
    """This very program, in one of its other parts."""

    def __init__(self, part, port, qos):
        self.part = part
        argv = [sys.executable, os.path.abspath(__file__), "--part", part, "--port", str(port), "--qos", str(qos)]
        self.process = subprocess.Popen(dying_with_parent(argv), stdout=subprocess.PIPE)

    def ready(self):
        if not self.process.stdout.readline():
            raise SystemExit("the %s could not continue" % self.part)

    def begin(self):
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        self.process.send_signal(signal.SIGCONT)

    def pause(self):
        if self.part in FLOODERS:
            self.process.send_signal(signal.SIGSTOP)
        else:
            self.process.send_signal(signal.SIGUSR1)
            self.ready()

    def end(self):
        self.process.kill()
        self.process.wait()


def run(edge, options):
    readers = [Reader(edge.mqtt_port, n) for n in range(options.readers)]
    trouble, chatterer, beside = Child(options.trouble, edge.mqtt_port, options.qos), None, None
    if options.trouble not in FLOODERS:
        chatterer, beside = (Child(part, edge.mqtt_port, 0) for part in ("chatter", "reading"))
    took = {False: [], True: []}
    try:
        trouble.ready()
        if beside:
            beside.ready()
        measure(readers, 2)
        before, stuck = sum(edge.header.refused().values()), []
        for n in range(options.rounds):
            for troubled in ((False, True) if n % 2 == 0 else (True, False)):
                child = trouble if troubled else beside
                if child:
                    child.begin()
                took[troubled].append(measure(readers, options.seconds))
                if troubled:
                    stuck.append(held_back(edge.mqtt_port))
                if child:
                    child.pause()
        report(took[False], took[True], options.trouble)
        if options.trouble in FLOODERS:
            refused = sum(edge.header.refused().values()) - before
            print("refused of the flooder: %d, %.0f a second" % (refused, refused / (options.rounds * options.seconds)))
        else:
            print("held back at the end of its turns: %d to %d of %d subscribers" % (min(stuck), max(stuck), SUBSCRIBERS))
    finally:
        for child in filter(None, (trouble, chatterer, beside)):
            child.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trouble", choices=FLOODERS + ("stopped", "slow"), default="flooder")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2, help="of a turn")
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--qos", type=int, choices=(0, 1), default=0, help="of the flooder's messages")
    parser.add_argument("--part", choices=FLOODERS + ("stopped", "slow", "reading", "chatter"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        play(options)
    folder = tempfile.mkdtemp(prefix="tally-flood-")
    edge = Edge(folder, limits="on" if options.trouble in FLOODERS else "off", build=os.path.abspath(options.build),
                plugin={"max_articles": 1000, "ring_bytes": 32 << 20, "allow_wildcards": "on"})
    try:
        run(edge.start(), options)
    finally:
        edge.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""What troublesome HTTP clients cost an honest one: time from request to answer with and without them, in turns, side by side.

  bench/http_flood.py [--trouble KIND]… [--build build/release] [--rounds 15] [--seconds 1] [--rate 100]

The script starts its own edge. The honest client, 127.0.0.2, asks for one article's total at random moments, half of the time over a new
connection. The trouble comes from another address, 127.0.0.3, in another process. In practice it would be on another machine, so it has the lowest
priority, and on a machine with several processors it has the last one to itself: the edge and the honest client share the others. Without --trouble each kind is tried:

  connections  opens connections and closes them, as fast as it can
  held         keeps opening connections, up to 2,000 at a time, that send nothing
  dribble      200 connections, each of which sends its endless header a byte at a time, as fast as it can
  headers      200 connections, each of which sends short header lines without end
  bodies       requests with a body of a megabyte
  pipelined    20 connections, each of which sends requests for a total without waiting for the answers, and reads these
  lists        the same, with requests for the totals of 100 articles

A client whose connection the feed ends comes back at once. Turns are short, and their order changes, so that whatever else the machine does
weighs on both sides alike. The ratios r50 and r99, of the two sides' p50 and p99, are those of the median pair of turns. `cpu` is the feed's processor
time in a turn, in % of a core, of the median turn: what the trouble costs the feed, whatever else the machine does."""

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

from child import dying_with_parent  # noqa: E402
from edge import Edge  # noqa: E402

HONEST, HOSTILE = "127.0.0.2", "127.0.0.3"
ARTICLE = "world/flood"
ASK = b"GET /totals/" + ARTICLE.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n"
LIST = b"GET /totals?articles=" + b",".join(b"n/%d" % n for n in range(100)) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
HELD = 2000
# connections, what each sends first, and what it sends again and again, as a whole or a byte at a time
WRITERS = {
    "dribble": (200, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"x", True),
    "headers": (200, b"GET / HTTP/1.1\r\n", b"a:b\r\n" * 800, False),
    "bodies": (20, b"", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000000, False),
    "pipelined": (20, b"", ASK * 100, False),
    "lists": (20, b"", LIST * 10, False),
}
TROUBLES = ("connections", "held", *WRITERS)


def opened(port, address, blocking=True):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address == HOSTILE:  # an end without TIME_WAIT, so that ports do not run out
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.bind((address, 0))
    one.setblocking(blocking)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if blocking:
        one.settimeout(30)
        one.connect(("127.0.0.1", port))
    else:
        one.connect_ex(("127.0.0.1", port))
    return one


# --- the honest client ---

def answered(one):
    """Asks, and reads the whole answer."""
    one.sendall(ASK)
    held = b""
    while b"\r\n\r\n" not in held:
        part = one.recv(65536)
        if not part:
            raise OSError("the feed closed the honest client's connection")
        held += part
    head, _, body = held.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise SystemExit("the honest client got %r" % head.split(b"\r\n")[0])
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += one.recv(65536)


class Honest:
    def __init__(self, port):
        self.port, self.kept, self.cut = port, None, 0

    def ask(self):
        """Seconds to the answer; a connection that ended meanwhile is opened again, which takes its time, too."""
        begun = time.monotonic()
        if random.random() < 0.5:
            with opened(self.port, HONEST) as one:
                answered(one)
            return time.monotonic() - begun
        try:
            if self.kept is None:
                raise OSError
            answered(self.kept)
        except OSError:
            self.cut += self.kept is not None
            self.kept = opened(self.port, HONEST)
            answered(self.kept)
        return time.monotonic() - begun

    def measure(self, seconds, rate):
        took, due, end = [], time.monotonic(), time.monotonic() + seconds
        while due < end:
            due += (0.5 + random.random()) / rate
            time.sleep(max(0.0, due - time.monotonic()))
            took.append(self.ask())
        return took


# --- trouble ---

def connect_all_the_time(port):
    while True:
        try:
            opened(port, HOSTILE).close()
        except OSError:
            time.sleep(0.001)  # no port is free


def hold(port):
    held, selector = 0, selectors.DefaultSelector()
    while True:
        while held < HELD:
            selector.register(opened(port, HOSTILE, blocking=False), selectors.EVENT_READ)
            held += 1
        for key, _events in selector.select():
            selector.unregister(key.fileobj)
            key.fileobj.close()
            held -= 1


class Writer:
    def __init__(self, port, first, block, dribbles):
        self.port, self.first, self.block, self.dribbles = port, first, block, dribbles
        self.open()

    def open(self):
        self.socket = opened(self.port, HOSTILE, blocking=False)
        self.left = memoryview(self.first)

    def go(self, events):
        """False: the feed ended the connection."""
        try:
            if events & selectors.EVENT_READ and not self.socket.recv(1 << 20):
                return False
            if events & selectors.EVENT_WRITE:
                self.left = self.left[self.socket.send(self.left):] or memoryview(self.block)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


def write_all(port, kind):
    n, *what = WRITERS[kind]
    selector, both = selectors.DefaultSelector(), selectors.EVENT_READ | selectors.EVENT_WRITE
    for _ in range(n):
        one = Writer(port, *what)
        selector.register(one.socket, both, one)
    while True:
        for key, events in selector.select():
            if not key.data.go(events):
                selector.unregister(key.fileobj)
                key.fileobj.close()
                key.data.open()
                selector.register(key.data.socket, both, key.data)


def last_processor():
    """The one that an edge's processes leave to the trouble, or the only one."""
    return os.cpu_count() - 1


def trouble(port, kind):
    """Stopped until the parent continues it; the parent stops it again."""
    os.nice(19)
    os.sched_setaffinity(0, {last_processor()})
    print("ready", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    if kind == "connections":
        connect_all_the_time(port)
    elif kind == "held":
        hold(port)
    else:
        write_all(port, kind)


class Child:
    """This same program as the trouble of one turn: its connections end with it."""

    def __init__(self, port, kind):
        self.process = subprocess.Popen(dying_with_parent([sys.executable, os.path.abspath(__file__), "--part", kind, "--port", str(port)]),
                                        stdout=subprocess.PIPE)
        if not self.process.stdout.readline():
            raise SystemExit("the trouble could not begin")
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def begin(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        self.process.kill()
        self.process.wait()


# --- the measure ---

def quantile(took, q):
    return sorted(took)[min(len(took) - 1, int(len(took) * q))] * 1000


def median(values):
    return sorted(values)[len(values) // 2]


def refused(metrics):
    return sum(value for name, value in metrics.items() if name.startswith(("tally_http_dropped", "tally_http_rests")))


def cpu_seconds(edge):
    """Of the feed, so far (proc(5))."""
    with open("/proc/%d/stat" % edge["feed"].child.pid) as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def turn(edge, honest, options):
    """How long each request took, and the feed's processor time, in % of a core."""
    begun, before = time.monotonic(), cpu_seconds(edge)
    took = honest.measure(options.seconds, options.rate)
    return took, 100 * (cpu_seconds(edge) - before) / (time.monotonic() - begun)


def run(edge, kind, options):
    honest = Honest(edge.http_port)
    turns, cpu, before = {False: [], True: []}, {False: [], True: []}, refused(edge.metrics())
    for n in range(options.rounds):
        for troubled in ((False, True) if n % 2 == 0 else (True, False)):
            child = Child(edge.http_port, kind) if troubled else None
            try:
                if child:
                    child.begin()
                honest.measure(0.2, options.rate)
                took, used = turn(edge, honest, options)
                turns[troubled].append(took)
                cpu[troubled].append(used)
            finally:
                if child:
                    child.end()
            honest.measure(0.3, options.rate)  # what the trouble left behind ends
    quiet, loud = (sum(turns[side], []) for side in (False, True))
    ratios = {q: median([quantile(b, q) / quantile(a, q) for a, b in zip(turns[False], turns[True])]) for q in (0.5, 0.99)}
    print("%-12s %7d %8.2f %8.2f %8.2f %8.2f %8.2f %8.2f %6.1f %6.1f %9d %4d" % (
        kind, len(loud), quantile(quiet, 0.5), quantile(loud, 0.5), quantile(quiet, 0.99), quantile(loud, 0.99), ratios[0.5], ratios[0.99], median(cpu[False]), median(cpu[True]),
        refused(edge.metrics()) - before, honest.cut), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trouble", choices=TROUBLES, action="append")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1, help="of a turn")
    parser.add_argument("--rate", type=float, default=100, help="requests of the honest client, a second")
    parser.add_argument("--part", choices=TROUBLES, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        trouble(options.port, options.part)
        return
    os.sched_setaffinity(0, set(range(last_processor())) or {0})
    folder = tempfile.mkdtemp(prefix="tally-http-flood-")
    edge = Edge(folder, build=os.path.abspath(options.build))
    try:
        edge.start()
        print("%-12s %7s %8s %8s %8s %8s %8s %8s %6s %6s %9s %4s" % ("ms", "n", "p50", "with", "p99", "with", "r50", "r99", "cpu", "with", "refused", "cut"))
        for kind in options.trouble or TROUBLES:
            run(edge, kind, options)
    finally:
        edge.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

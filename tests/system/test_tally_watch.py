"""`tally watch` against a working edge: its figures, that they follow what happens, and that it leaves the terminal as it was."""

import json
import os
import pty
import select
import signal
import subprocess
import termios
import time

import pytest

from clients import TIMEOUT_S, reader_name, unique
from edge import wait_until

EDGE = {"collector": {"audit_per_minute": 600}, "feed": {"publish_interval_ms": 50}}


def argv(edge, *more):
    return [edge.program("tally"), "watch", "--services-file", edge.path("services"), "--mqtt-port", str(edge.mqtt_port), *more]


class Watch:
    """A running `tally watch --json`."""

    def __init__(self, edge, *more):
        self.child = subprocess.Popen(argv(edge, "--json", *more), env=edge.leaks_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.rest, self.seen = b"", []

    def until(self, condition, what):
        """The first object, of those not returned before, that meets the condition."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            if select.select([self.child.stdout], [], [], 0.5)[0]:
                more = os.read(self.child.stdout.fileno(), 65536)
                assert more, "it ended: %r" % self.child.stderr.read()
                *lines, self.rest = (self.rest + more).split(b"\n")
                for told in map(json.loads, lines):
                    self.seen.append(told)
                    if condition(told):
                        return told
        raise AssertionError("%s; last: %r" % (what, self.seen[-1:]))

    def end(self, number=signal.SIGINT):
        self.child.send_signal(number)
        _out, err = self.child.communicate(timeout=TIMEOUT_S)
        return self.child.returncode, err


@pytest.fixture
def watch(edge):
    made = Watch(edge)
    yield made
    if made.child.poll() is None:
        made.child.kill()
    made.child.communicate()


def test_figures_follow_what_happens(edge, watch):
    article = unique("watched")
    before = watch.until(lambda told: told["admitted"]["per_s"] is not None and told["health"]["status"] == "ok" and told["collector"]["ready"], "rates")
    assert before["edge"] == "%016x" % edge.header.edge_id() and before["broker"] == "connected"
    for _ in range(4):
        edge.client(username=reader_name()).say("reactions/" + article, b"like")
        edge.client(username=reader_name()).say("reactions/" + article, b"meh")
    told = watch.until(lambda told: told["admitted"]["total"] == before["admitted"]["total"] + 4
                       and told["refused"]["unknown_kind"]["total"] == before["refused"]["unknown_kind"]["total"] + 4
                       and told["applied"]["total"] >= before["applied"]["total"] + 4
                       and any(row["article"] == article and row["total"] == 4 for row in told["hottest"]), "the reactions")
    assert sum(one["admitted"]["per_s"] or 0 for one in watch.seen) > 0
    assert told["lag"]["in_spool"] == 0 and told["published"]["total"] > 0
    assert watch.end() == (0, b"")


def test_backlog_and_a_collector_that_is_away(edge, watch):
    watch.until(lambda told: told["collector"]["ready"], "the collector")
    edge.stop("collector")
    try:
        watch.until(lambda told: told["collector"]["away"] and told["health"]["status"] == "unhealthy", "the collector to be away")
    finally:
        edge.start("collector")
    watch.until(lambda told: told["collector"]["ready"] and told["health"]["status"] == "ok", "the collector to be back")


def test_broker_comes_back(edge, watch):
    watch.until(lambda told: told["collector"]["ready"], "the collector")
    edge.stop("broker")
    watch.until(lambda told: told["broker"] != "connected", "the broker to be away")
    edge.start("broker")
    watch.until(lambda told: told["broker"] == "connected" and told["collector"]["ready"] and told["health"]["status"] == "ok", "the broker to be back")
    assert watch.end(signal.SIGTERM) == (0, b"")


def test_once_in_text_and_json(edge):
    done = subprocess.run(argv(edge, "--once"), env=edge.leaks_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "\x1b" not in done.stdout and "collector    ready\n" in done.stdout and "hottest articles" in done.stdout
    done = subprocess.run(argv(edge, "--once", "--json", "--articles=0"), env=edge.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert told["admitted"]["per_s"] is not None or told["collector"]["away"]
    assert told["published"] == {"total": None, "per_s": None} and told["hottest"] == []


@pytest.mark.parametrize("more, said", [
    (["--user=newsroom"], "does not have the role operator"),
    (["--articles=101"], "option articles"),
    (["--redis-port=1"], "unknown option redis-port"),
])
def test_refusals_name_the_option(edge, more, said):
    done = subprocess.run(argv(edge, *more), env=edge.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr
    assert done.stderr.startswith("tally watch: ")


@pytest.mark.parametrize("end", [b"\x03", b"q"], ids=["ctrl-c", "q"])
def test_terminal_is_left_as_it_was(edge, end):
    """Ctrl-C comes through the terminal, as a user types it."""
    outer, inner = pty.openpty()
    before = termios.tcgetattr(inner)
    child = subprocess.Popen(["setsid", "-c", "-w", *argv(edge)], env=edge.leaks_env, stdin=inner, stdout=inner, stderr=inner)
    said = b""

    def read_until(mark):
        nonlocal said
        limit = time.monotonic() + TIMEOUT_S
        while mark not in said:
            assert time.monotonic() < limit, said
            if select.select([outer], [], [], 0.5)[0]:
                said += os.read(outer, 65536)
    try:
        read_until(b"collector    ready")
        assert said.startswith(b"\x1b[?1049h\x1b[?25l")
        assert not termios.tcgetattr(inner)[3] & (termios.ICANON | termios.ECHO)
        os.write(outer, end)
        read_until(b"\x1b[?25h\x1b[?1049l")
        assert child.wait(TIMEOUT_S) == 0
        wait_until(lambda: termios.tcgetattr(inner) == before, "the terminal's own modes")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        os.close(outer)
        os.close(inner)

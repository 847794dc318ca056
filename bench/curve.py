"""Both ends: when it is quiet nothing waits, under load batches grow by themselves. A part of script/bench: how long a reaction on a quiet
article takes into a subscriber's total, and how many reactions a call of the register script takes, over the load on another article."""

import sys

from contenders import Tally, require
from live import HOT, QUIET, check_crowd, crowd, load, probe
from rates import row_line, table, whole

RATES = [0, 10, 100, 1000, 3000, 10000, 20000, 30000]
PAUSE_MS = 300  # from one probe to the next: longer than the feed's publish interval


def calls(contender):
    return contender.redis().info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]


def at(rate, seconds, arguments, build, ports):
    probes = max(3, int(seconds * 1000 / (1.5 * PAUSE_MS)))
    with Tally(build, ports) as tally, \
            crowd(tally, 1, ["--probes=%d" % probes, "--pause-ms=%d" % PAUSE_MS, "--sequential"], 120, article=QUIET) as watcher:
        options = ["--connections=%d" % arguments.connections, "--rate=%d" % max(rate, 1), "--reactions=%d" % (max(rate, 1) * 120)]
        with load(tally, options, 120) as generator:
            called, applied = calls(tally), tally.books()["applied"]
            if rate:
                generator.say("go")
            watcher.say("go")
            said = check_crowd(watcher.answer(), "at %d a second" % rate)
            called, applied = calls(tally) - called, tally.books()["applied"] - applied
            if rate:
                require(generator.child.poll() is None, "tally-load ended before the probes")
                sent = generator.end()
                require(sent["unanswered"] == 0, repr(sent))
        tally.settle()
        books = tally.books()
        require(books["admitted"] == books["applied"] and books["quarantined"] == books["refused"] == 0, "books at %d a second: %r" % (rate, books))
    seconds = (said["last_ns"] - said["begun_ns"]) / 1e9
    return dict(probe(said), asked=rate, rate=applied / seconds, batch=applied / max(called, 1), calls=called / seconds)


def measure(arguments, build, ports):
    found = []
    for rate in RATES[::3] if arguments.quick else RATES:
        found.append(at(rate, 2 if arguments.quick else 15, arguments, build, ports))
        sys.stderr.write("load of %d a second: %.1f reactions a call, p50 %.1f ms\n" % (rate, found[-1]["batch"], found[-1]["p50"]))
    return found


def text(found):
    lines = [row_line(whole(one["rate"]), ["%.1f" % one["batch"], whole(one["calls"]), "%.2f" % one["p50"], "%.2f" % one["most"]]) for one in found]
    return table(["reactions a second on %s, counted" % HOT, "reactions a call", "calls a second", "a quiet article's total changes after, ms: median", "longest of %d" % max(one["n"] for one in found)],
                 lines)

"""Reactions a second and CPU a reaction, contender beside contender: the first part of script/bench (bench/README.md has the method)."""

import collections
import os
import statistics
import sys

from contenders import Able, Afternoon, AfternoonHonest, Bare, Paho, Socket, Tally, load

Workload = collections.namedtuple("Workload", "key title qos articles spread changes retractions")
WORKLOADS = [Workload("hot0", "QoS 0, one article", 0, 1, "even", 0, 0),
             Workload("zipf0", "QoS 0, 1,000 articles", 0, 1000, "zipf", 10, 5),
             Workload("hot1", "QoS 1, one article", 1, 1, "even", 0, 0),
             Workload("zipf1", "QoS 1, 1,000 articles", 1, 1000, "zipf", 10, 5)]

# `share`: of the reactions that the fastest are sent, so that a run of the slow ones takes no longer. Tally comes right after (b), as of
# all ratios that to (b) is asked for most; each second turn goes the other way round.
Row = collections.namedtuple("Row", "key letter title make share")
ROWS = [Row("socket", "a", "bare Mosquitto, no subscriber: its sockets", Socket, 1),
        Row("bare", "b", "bare Mosquitto to one C subscriber that only counts", Bare, 1),
        Row("tally", "h", "Tally", Tally, 1),
        Row("able", "f", "C: libmosquitto, hiredis, the honest script", Able, 1),
        Row("afternoon", "c", "an afternoon's build: mqtt.js, ioredis, HINCRBY", Afternoon, 1),
        Row("afternoon_honest", "d", "the same made honest by a Lua script", AfternoonHonest, 0.5),
        Row("paho", "e", "Python: paho, redis-py, the honest script", Paho, 0.5)]
SHOWN = sorted(ROWS, key=lambda row: row.letter)


def reactions_of(row, workload, arguments):
    return int(arguments.reactions * row.share / (2 if workload.qos else 1))


def measure_one(row, workload, seed, arguments, build, ports):
    """One run of one contender, started again."""
    reactions = reactions_of(row, workload, arguments)
    options = {"protocol": arguments.protocol, "qos": workload.qos, "connections": arguments.connections, "window": arguments.window,
               "articles": workload.articles, "spread": workload.spread, "changes": workload.changes, "retractions": workload.retractions,
               "seconds": arguments.seconds, "seed": seed}
    with row.make(build, ports) as contender:
        contender.expect(reactions, workload.qos)
        before = {}
        said = load(contender, options, reactions, lambda: before.update(contender.cpu()))
        counted, ended_s, ended_cpu = contender.settle(said)
        cpu = {name: seconds - before[name] for name, seconds in contender.cpu().items()}
        cpu.update({name: seconds - before.get(name, 0) for name, seconds in ended_cpu.items()})
        books = contender.check(said, workload.qos, arguments.protocol)
    seconds = max(ended_s, said["ended_ns"] / 1e9) - said["begun_ns"] / 1e9
    return {"sent": said["sent"], "counted": counted, "rate": counted / seconds, "admitted_rate": said["per_second"],
            "cpu_us": {name: 1e6 * value / counted for name, value in cpu.items()}, "generator_us": 1e6 * said["cpu_seconds"] / said["sent"],
            "p50_us": said["p50_us"], "p99_us": said["p99_us"], "books": books, "getppid_ns": said["getppid_ns"]}


def measure(arguments, build, ports):
    """workload → contender → results, the contenders taking turns."""
    found = {workload.key: {row.key: [] for row in ROWS} for workload in WORKLOADS}
    for turn in range(arguments.runs):
        for workload in WORKLOADS:
            for row in ROWS[::-1] if turn % 2 else ROWS:
                result = measure_one(row, workload, turn + 1, arguments, build, ports)
                found[workload.key][row.key].append(result)
                sys.stderr.write("%s, (%s): %d/s; load average %.1f\n" % (workload.title, row.letter, result["rate"], os.getloadavg()[0]))
    return found


# --- figures ---

def median(results, key):
    return statistics.median(result[key] for result in results)


def cpu_us(results):
    """CPU of all processes but the generator, a reaction."""
    return statistics.median(sum(result["cpu_us"].values()) for result in results)


def ratio(found, workload, one, key, other):
    """Median of the ratios of runs of the same turn."""
    pairs = zip(found[workload][one], found[workload][other])
    return statistics.median(a[key] / b["rate"] for a, b in pairs)


def cpu_ratio(found, workload, one="tally"):
    pairs = zip(found[workload][one], found[workload]["bare"])
    return statistics.median(sum(a["cpu_us"].values()) / sum(b["cpu_us"].values()) for a, b in pairs)


# --- tables ---

def row_line(head, cells):
    return "| %s | %s |" % (head, " | ".join(cells))


def table(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"] + lines)


def whole(value):
    return format(round(value), ",")


def rate_table(found):
    """Reactions a second: medians."""
    lines = []
    for row in SHOWN:
        if row.key == "tally":
            lines.append(row_line("(g) Tally: admitted", [whole(median(found[w.key]["tally"], "admitted_rate")) for w in WORKLOADS]))
            lines.append(row_line("**(h) Tally: counted in Redis**", ["**%s**" % whole(median(found[w.key]["tally"], "rate")) for w in WORKLOADS]))
        else:
            lines.append(row_line("(%s) %s" % (row.letter, row.title), [whole(median(found[w.key][row.key], "rate")) for w in WORKLOADS]))
    return table(["reactions a second"] + [w.title for w in WORKLOADS], lines)


def ratio_table(found):
    """Tally over each of the others: medians of the ratios of the same turn."""
    lines = [row_line("admitted (g) over (b)", ["%.2f" % ratio(found, w.key, "tally", "admitted_rate", "bare") for w in WORKLOADS])]
    for row in SHOWN:
        if row.key != "tally":
            lines.append(row_line("counted (h) over (%s)" % row.letter, ["%.2f" % ratio(found, w.key, "tally", "rate", row.key) for w in WORKLOADS]))
    lines.append(row_line("CPU a counted reaction over (b)'s", ["%.2f" % cpu_ratio(found, w.key) for w in WORKLOADS]))
    return table(["ratio"] + [w.title for w in WORKLOADS], lines)


def cpu_table(found, workload):
    """µs a reaction, by process."""
    names = ["broker", "sink", "peer", "collector", "redis", "feed"]
    lines = []
    for row in SHOWN:
        results = found[workload.key][row.key]
        cells = [statistics.median(result["cpu_us"].get(name, 0) for result in results) for name in names]
        lines.append(row_line("(%s)" % row.letter, ["%.2f" % cell if cell else "" for cell in cells] +
                              ["%.2f" % cpu_us(results), "%.2f" % median(results, "generator_us")]))
    return table(["CPU a reaction, µs; " + workload.title, "broker", "subscriber", "peer", "collector", "Redis", "feed", "all", "generator"], lines)


def books_table(found):
    lines = []
    for workload in WORKLOADS:
        results = found[workload.key]["tally"]
        sums = {key: sum(result["books"][key] for result in results) for key in ("admitted", "refused", "lost", "applied", "registers", "standing")}
        others = sum(result["books"]["lost"] for row in SHOWN if row.key != "tally" for result in found[workload.key][row.key])
        lines.append(row_line(workload.title, [whole(sum(result["sent"] for result in results))] + [whole(value) for value in sums.values()] +
                              [whole(others)]))
    return table(["books of Tally, all runs", "sent", "admitted", "refused", "lost", "applied in Redis", "registers", "of them with a kind",
                  "lost by the others"], lines)


def latency_table(found):
    lines = [row_line("(%s)" % row.letter, ["%.0f / %.0f" % (median(found[w.key][row.key], "p50_us") / 1000, median(found[w.key][row.key], "p99_us") / 1000)
                                            for w in WORKLOADS if w.qos]) for row in SHOWN]
    return table(["publish to PUBACK under that load, ms, p50 / p99"] + [w.title for w in WORKLOADS if w.qos], lines)


def text(found):
    return "\n\n".join([rate_table(found), ratio_table(found)] + [cpu_table(found, w) for w in WORKLOADS] + [latency_table(found), books_table(found)])

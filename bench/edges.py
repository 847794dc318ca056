#!/usr/bin/python3
"""What a reaction costs Redis, the collectors and the feeds as edges and shards grow, at the same rate in all, and how soon it shows.

  bench/edges.py [--build build/release] [--fleets 1x8,1x64,2x64,4x64] [--rate 6000] [--seconds 10] [--runs 3] [--probes 10] [--against build/other]

The script starts its own edges on one Redis; each gets its share of the rate over 1,000 articles by Zipf's law, at QoS 1. CPU is that of
/proc (collectors, feeds) and of INFO cpu (Redis), between the first reaction and the last one applied. The machine may be busy: CPU says
more than time. `--probes` a second, each to its own article, are timed at the first edge: from the publication to the first total. `--against` runs a second build beside the first, in turns. Prints a line of JSON for each run, then a table of medians."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))

from child import dying_with_parent  # noqa: E402
from edge import Edge, wait_until  # noqa: E402
from store import Store  # noqa: E402

GATEWAY, SECRET = "bench", "bench-secret-of-edges"
TICKS_S = os.sysconf("SC_CLK_TCK")
ARTICLES = 1000


def cpu_s(pid):
    """User and system time of a process."""
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


def commands(redis):
    """Calls of commands a client sends, and of the scripts."""
    stats = redis.info("commandstats")
    return {name: stats.get("cmdstat_" + name, {}).get("calls", 0) for name in ("evalsha", "eval", "evalsha_ro", "eval_ro", "fcall", "spublish")}


def sample(edges):
    redis = edges[0].redis
    cpu = redis.info("cpu")
    found = {"redis": cpu["used_cpu_user"] + cpu["used_cpu_sys"], "commands": commands(redis)}
    for name in ("collector", "feed"):
        found[name] = sum(cpu_s(edge[name].child.pid) for edge in edges)
    return found


def counted(edges):
    """Reactions that Redis has applied, of all rings."""
    return sum(ring[1] - ring[2] - ring[3] for ring in Store(edges[0].redis).rings().values())


class Generator:
    """tally-load as an edge's gateway. It has connected, and waits."""

    def __init__(self, edge, build, rate, reactions, seed):
        secret = os.path.join(edge.directory, "load.secret")
        with open(secret, "w") as out:
            out.write(SECRET + "\n")
        argv = [os.path.join(build, "bench", "tally-load"), "--port=%d" % edge.mqtt_port, "--reactions=%d" % reactions, "--rate=%d" % rate,
                "--reader-in-payload=on", "--username=" + GATEWAY, "--password-file=" + secret, "--hold", "--qos=1", "--connections=50", "--burst=1",
                "--articles=%d" % ARTICLES, "--spread=zipf", "--seed=%d" % seed, "--seconds=%d" % (3 * reactions // rate + 60)]
        self.child = subprocess.Popen(dying_with_parent(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline() != "ready\n":
            raise SystemExit("tally-load could not begin; its lines are above")

    def begin(self):
        self.child.stdin.write("begin\n")
        self.child.stdin.flush()

    def end(self):
        said, _error = self.child.communicate()
        if self.child.returncode != 0:
            raise SystemExit("tally-load ended with %d: %s" % (self.child.returncode, said))
        return json.loads(said)


class Probes:
    """A reader of one edge who reacts to a new article so many times a second, and times each article's first total there."""

    def __init__(self, edge, a_second):
        self.client, self.a_second = edge.client(), a_second
        self.sent, self.took_ms, self.ended = {}, [], threading.Event()
        self.client.on_message = self._total
        self.client.watch("totals/probe/#")
        self.thread = threading.Thread(target=self._react, daemon=True)

    def _total(self, _client, _userdata, message):
        sent = self.sent.get(message.topic[len("totals/"):])
        if sent is not None and sent > 0:
            self.took_ms.append(1000 * (time.monotonic() - sent))
            self.sent[message.topic[len("totals/"):]] = 0

    def _react(self):
        while not self.ended.wait(1 / self.a_second):
            article = "probe/%d" % len(self.sent)
            self.sent[article] = time.monotonic()
            self.client.send("reactions/" + article, b"like")

    def end(self):
        """Milliseconds of each, sorted."""
        self.ended.set()
        self.thread.join()
        wait_until(lambda: len(self.took_ms) == len(self.sent), "every probe's total")
        return sorted(self.took_ms)


def start(folder, build, edges, shards):
    plugin = {"shards": shards, "ring_bytes": 1 << 20, "allow_wildcards": "on"}  # for the probes
    made = []
    for n in range(edges):
        made.append(Edge(os.path.join(folder, "edge%d" % n), plugin=plugin, build=build, redis_of=made[0] if made else None))
        if n == 0:
            with open(made[0].path("services"), "a") as services:
                services.write("%s gateway %s\n" % (GATEWAY, SECRET))
    return made


def measure(build, edges, shards, rate, seconds, seed, probes=0):
    with tempfile.TemporaryDirectory(prefix="tally-edges-") as folder:
        fleet = start(folder, build, edges, shards)
        try:
            for edge in fleet:
                edge.start(ready=False)
            for edge in fleet:
                edge.wait_ready()
            share = rate // edges
            load = [Generator(edge, build, share, share * seconds, seed + n) for n, edge in enumerate(fleet)]
            reader = Probes(fleet[0], probes) if probes else None
            before = sample(fleet)
            for one in load:
                one.begin()
            if reader:
                reader.thread.start()
            said = [one.end() for one in load]
            took_ms = reader.end() if reader else []
            sent = sum(one["sent"] for one in said) + len(took_ms)
            wait_until(lambda: counted(fleet) == sent, "Redis to have applied all")
            after = sample(fleet)
        finally:
            for edge in reversed(fleet):
                edge.close()
    latency = {"p50_ms": round(statistics.median(took_ms), 1), "p99_ms": round(took_ms[int(0.99 * len(took_ms))], 1)} if took_ms else {}
    calls = {name: after["commands"][name] - before["commands"][name] for name in after["commands"]}
    return {"build": build, "edges": edges, "shards": shards, "reactions": sent, "reactions_a_call": round(sent / max(1, calls["evalsha"]), 2),
            "seconds": round(max(one["ended_ns"] - one["begun_ns"] for one in said) / 1e9, 1), "calls": calls, **latency,
            **{name + "_us": round(1e6 * (after[name] - before[name]) / sent, 2) for name in ("redis", "collector", "feed")}}


def print_table(results):
    timed = ["p50_ms", "p99_ms"] if "p50_ms" in results[0] else []
    titles = ["build", "edges × shards", "reactions a call", "Redis µs", "collectors µs", "feeds µs"] + [name[:3] + ", ms" for name in timed]
    titles.append("Redis over the first's")
    print("| %s |\n|%s" % (" | ".join(titles), " --- |" * len(titles)))
    def median(build, fleet, name):
        return statistics.median(run[name] for run in results if (run["build"], run["edges"], run["shards"]) == (build,) + fleet)
    first = (results[0]["edges"], results[0]["shards"])
    for build, edges, shards in dict.fromkeys((one["build"], one["edges"], one["shards"]) for one in results):
        figures = ["%.1f" % median(build, (edges, shards), name) for name in ["reactions_a_call", "redis_us", "collector_us", "feed_us"] + timed]
        ratio = median(build, (edges, shards), "redis_us") / median(build, first, "redis_us")
        print("| %s | %d × %d | %s | %.2f |" % (os.path.relpath(build, ROOT), edges, shards, " | ".join(figures), ratio))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--against", help="another build folder")
    parser.add_argument("--fleets", default="1x8,1x64,2x64,4x64")
    parser.add_argument("--rate", type=int, default=6000, help="reactions a second, of all edges")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--probes", type=int, default=0, help="reactions a second that are timed; 0: none")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    builds = [os.path.abspath(build) for build in (arguments.build, arguments.against) if build]
    fleets = [tuple(map(int, fleet.split("x"))) for fleet in arguments.fleets.split(",")]
    results = []
    for run in range(arguments.runs):
        for edges, shards in fleets:
            for build in builds[::-1] if run % 2 else builds:
                results.append(measure(build, edges, shards, arguments.rate, arguments.seconds, 1 + 100 * run, arguments.probes))
                print(json.dumps(results[-1]), flush=True)
    print_table(results)


if __name__ == "__main__":
    main()

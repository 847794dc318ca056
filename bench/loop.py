#!/usr/bin/python3
"""Reactions a second through the whole loop, to Redis, beside a bare Mosquitto that hands the same load to one C subscriber.

    bench/loop.py [--quick] [--runs 3] [--connections 1000] [--protocol 5] [--port-base PORT] [--out FILE]

Each contender is started anew on loopback for each run, with its data in a temporary folder, driven by tally-load, and ended. They
take turns. Prints a Markdown table of medians. Fails where the books do not balance, never because of a time. TALLY_BUILD names a
build folder to use; without it, build/release is built. Method and terms: bench/README.md."""

import argparse
import collections
import datetime
import json
import os
import platform
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests", folder) for folder in ("system", "faults")]

from child import dying_with_parent  # noqa: E402
from tools import PATH, REDIS, build, check_tools, die  # noqa: E402

START_S, SETTLE_S, STOP_S = 20.0, 60.0, 5.0
TICKS = os.sysconf("SC_CLK_TCK")
Workload = collections.namedtuple("Workload", "title qos articles spread")
WORKLOADS = [Workload("QoS 0, one article", 0, 1, "even"), Workload("QoS 0, 1,000 articles Zipf", 0, 1000, "zipf"),
             Workload("QoS 1, one article", 1, 1, "even"), Workload("QoS 1, 1,000 articles Zipf", 1, 1000, "zipf")]


class BenchError(Exception):
    pass


def require(condition, text):
    if not condition:
        raise BenchError(text)


def wait_until(condition, what, timeout_s, every_s=0.01):
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        require(time.monotonic() < deadline, "waited in vain: " + what)
        time.sleep(every_s)


# --- programs ---

class Program:
    """A child with its output in a file; ended by its pid."""

    def __init__(self, name, argv, folder):
        self.name, self.log = name, os.path.join(folder, name + ".log")
        argv[0] = shutil.which(argv[0], path=PATH) or argv[0]
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=dying_with_parent())

    def text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def check(self):
        require(self.child.poll() is None, "%s ended with %r:\n%s" % (self.name, self.child.returncode, self.text()[-2000:]))

    def cpu_s(self):
        """User and system time so far, of all its threads."""
        with open("/proc/%d/stat" % self.child.pid) as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Ports:
    """Free ports of 127.0.0.1, none twice; from `base` on where that is given."""

    def __init__(self, base):
        self.next, self.taken = base, set()

    def take(self):
        while True:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", self.next))
                    port = s.getsockname()[1]
                except OSError:
                    port = None
            self.next = self.next and self.next + 1
            if port and port not in self.taken:
                self.taken.add(port)
                return port


class Contender:
    """Programs that are started for one run. `programs`: name → Program, in the order of their start."""

    def __init__(self, build_folder, ports):
        self.build, self.ports = build_folder, ports
        self.folder = tempfile.mkdtemp(prefix="tally-loop-")
        self.programs = {}

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error):
        for program in reversed(list(self.programs.values())):
            program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, name, argv):
        self.programs[name] = Program(name, argv, self.folder)

    def wait_port(self, name, port):
        def up():
            self.programs[name].check()
            return listens(port)
        wait_until(up, name + " to listen", START_S)

    def cpu(self):
        return {name: program.cpu_s() for name, program in self.programs.items()}

    def configure(self, limits="off"):
        """Takes ports and makes what script/config makes. Returns the folder."""
        data = os.path.join(self.folder, "data")
        self.mqtt, self.ws, self.http, self.redis_port = (self.ports.take() for _ in range(4))
        env = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
        env.update(TALLY_MQTT_PORT=str(self.mqtt), TALLY_WS_PORT=str(self.ws), TALLY_HTTP_PORT=str(self.http),
                   TALLY_REDIS_PORT=str(self.redis_port), TALLY_LIMITS=limits)
        made = subprocess.run([os.path.join(ROOT, "script", "config"), data, self.build], env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        require(made.returncode == 0, "script/config failed:\n" + made.stdout)
        return data


class Tally(Contender):
    """The four programs as script/server starts them, with script/config's configuration."""

    def start(self):
        data = self.configure()
        common = ["--services-file=%s/services" % data, "--mqtt-port=%d" % self.mqtt, "--redis-port=%d" % self.redis_port]
        self.run("redis", ["redis-server", data + "/redis.conf"])
        self.wait_port("redis", self.redis_port)
        self.run("broker", ["mosquitto", "-c", data + "/mosquitto.conf"])
        self.wait_port("broker", self.mqtt)
        self.run("collector", [self.build + "/collector/tally-collector", "--spool=%s/spool" % data] + common)
        self.run("feed", [self.build + "/dashboard-feed/tally-feed", "--http-port=%d" % self.http, "--websocket-port=%d" % self.ws] + common)
        wait_until(self.ready, "/healthz to say 200", START_S)
        self.open_books(data + "/spool")

    def ready(self):
        for program in self.programs.values():
            program.check()
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/healthz" % self.http, timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def open_books(self, spool):
        import redis
        import spool_bytes
        from store import Store
        self.spool_bytes, self.spool = spool_bytes, spool
        self.header = spool_bytes.Edge(spool)
        self.store = Store(redis.Redis(host="127.0.0.1", port=self.redis_port, socket_timeout=10))

    def applied(self):
        """Whether Redis's positions are the rings' write positions."""
        positions = self.store.rings()
        for path in self.spool_bytes.rings(self.spool).values():
            ring = self.spool_bytes.Ring(path)
            if positions.get(ring.key(), (0,))[0] != ring.write():
                return False
        return True

    def settle(self):
        """Waits until all that was admitted is in Redis. Returns when, of the clock that tally-load uses."""
        wait_until(self.applied, "Redis to have applied all rings", SETTLE_S)
        return time.monotonic()

    def books(self):
        """What admission says it did, and what Redis holds."""
        heads = [head for _shard, head in self.store.heads().values()]
        rings = self.store.rings().values()
        return {"admitted": self.header.admitted(), "refused": sum(self.header.refused().values()),
                "applied": sum(ring[1] - ring[2] - ring[3] for ring in rings), "aside": sum(ring[2] + ring[3] for ring in rings),
                "voters": sum(head.voters for head in heads), "counted": sum(sum(head.counts.values()) for head in heads)}


class Bare(Contender):
    """Mosquitto alone, and one subscriber that counts. No message may be dropped for a slow subscriber."""

    CONF = """listener %d 127.0.0.1
allow_anonymous true
persistence false
log_type error
connection_messages false
max_connections 20000
max_queued_messages 10000000
allow_duplicate_messages true
message_size_limit 65536
max_packet_size 131072
set_tcp_nodelay true
"""

    def start(self):
        self.mqtt = self.ports.take()
        path = os.path.join(self.folder, "mosquitto.conf")
        with open(path, "w") as conf:
            conf.write(self.CONF % self.mqtt + ("user root\n" if os.geteuid() == 0 else ""))
        self.run("broker", ["mosquitto", "-c", path])
        self.wait_port("broker", self.mqtt)

    def subscribe(self, messages, qos):
        self.run("sink", [self.build + "/bench/tally-sink", "--port=%d" % self.mqtt, "--messages=%d" % messages, "--qos=%d" % qos,
                          "--seconds=300"])
        def subscribed():
            sink = self.programs["sink"]
            sink.check()
            return sink.text().startswith("ready")
        wait_until(subscribed, "tally-sink to be subscribed", START_S)

    def counted(self):
        """Waits for the subscriber to end; one that misses messages is told to. Returns what it says."""
        sink = self.programs.pop("sink")
        try:
            sink.child.wait(SETTLE_S)
        except subprocess.TimeoutExpired:
            pass
        sink.stop()
        require(sink.child.returncode == 0, sink.text())
        return json.loads(sink.text().splitlines()[-1])


# --- a run ---

class Run:
    """How one load is measured with one contender."""

    def __init__(self, arguments, build_folder, ports):
        self.arguments, self.build, self.ports = arguments, build_folder, ports

    def reactions(self, workload):
        return self.arguments.reactions // (2 if workload.qos else 1)

    def load(self, workload, port, seed, connected):
        """Runs tally-load; calls `connected` once its connections are open, before the first reaction. Returns what it says."""
        argv = [self.build + "/bench/tally-load", "--port=%d" % port, "--protocol=" + self.arguments.protocol, "--qos=%d" % workload.qos,
                "--connections=%d" % self.arguments.connections, "--window=%d" % self.arguments.window,
                "--reactions=%d" % self.reactions(workload), "--articles=%d" % workload.articles, "--spread=" + workload.spread,
                "--seconds=%d" % self.arguments.seconds, "--seed=%d" % seed, "--hold"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              preexec_fn=dying_with_parent()) as child:
            try:
                if child.stdout.readline() != "ready\n":
                    raise BenchError("tally-load could not begin: " + child.communicate(timeout=STOP_S)[1])
                connected()
                out, error = child.communicate("begin\n", timeout=self.arguments.seconds + 60)
            except BaseException:
                child.kill()
                raise
        require(child.returncode == 0, "tally-load ended with %d: %s%s" % (child.returncode, error, out))
        return json.loads(out)

    def tally(self, workload, seed):
        with Tally(self.build, self.ports) as contender:
            before = {}
            said = self.load(workload, contender.mqtt, seed, lambda: before.update(contender.cpu()))
            settled = contender.settle()
            after = contender.cpu()
            books = contender.books()
        self.check_books(workload, said, books)
        return self.result(said, books["applied"], settled, {name: after[name] - before[name] for name in before}, books)

    def check_books(self, workload, said, books):
        told = "books of Tally, %s: %r and %r" % (workload.title, said, books)
        lost = said["sent"] - books["admitted"] - books["refused"]
        if workload.qos:
            refused = books["refused"] if self.arguments.protocol == "3.1.1" else 0  # which 3.1.1 acknowledges, too
            require(said["acknowledged"] == books["admitted"] + refused and lost == 0, told)
        require(lost >= 0 and books["applied"] == books["admitted"] and books["aside"] == 0, told)
        # Nothing is taken back in these loads, so each register holds a kind.
        require(books["counted"] == books["voters"] <= books["applied"], told)
        books["lost"] = lost

    def bare(self, workload, seed):
        with Bare(self.build, self.ports) as contender:
            contender.subscribe(self.reactions(workload), workload.qos and self.arguments.sink_qos)
            before = {}
            said = self.load(workload, contender.mqtt, seed, lambda: before.update(contender.cpu()))
            if said["sent"] < self.reactions(workload):  # its time was over
                contender.programs["sink"].child.terminate()
            sink = contender.counted()
            cpu = {"broker": contender.programs["broker"].cpu_s() - before["broker"], "sink": sink["cpu_seconds"]}
        lost = said["sent"] - sink["counted"]
        told = "books of the bare broker, %s: %r and %r" % (workload.title, said, sink)
        require(lost >= 0 and (not workload.qos or said["acknowledged"] == said["sent"]), told)
        return self.result(said, sink["counted"], sink["last_ns"] / 1e9, cpu, {"lost": lost})

    def result(self, said, arrived, ended_s, cpu_s, books):
        """Rates a second, and CPU in µs a reaction that arrived."""
        seconds = max(ended_s, said["ended_ns"] / 1e9) - said["begun_ns"] / 1e9
        cpu = {name: 1e6 * value / arrived for name, value in cpu_s.items()}
        return {"rate": arrived / seconds, "admission": said["per_second"], "cpu": cpu, "cpu_all": sum(cpu.values()),
                "generator": 1e6 * said["cpu_seconds"] / said["sent"], "p50": said["p50_us"], "p99": said["p99_us"],
                "books": books, "getppid_ns": said["getppid_ns"], "sent": said["sent"], "arrived": arrived}


def measure(run, runs):
    """Workload → contender → results, the contenders taking turns."""
    found = {}
    for workload in WORKLOADS:
        results = found[workload] = {"bare": [], "tally": []}
        for turn in range(runs):
            for name in ("bare", "tally"):
                results[name].append(getattr(run, name)(workload, seed=turn + 1))
                last = results[name][-1]
                sys.stderr.write("%s, %s: %d/s; load average %.1f\n" % (workload.title, name, last["rate"], os.getloadavg()[0]))
    return found


# --- the report ---

def median(results, key):
    return statistics.median(result[key] for result in results)


def median_cpu(results, name):
    return statistics.median(result["cpu"].get(name, 0) for result in results)


def version(argv, word):
    text = subprocess.run([shutil.which(argv[0], path=PATH)] + argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    return text.split(word)[1].split()[0]


def header(arguments, found, load_before):
    every = [result for results in found.values() for part in results.values() for result in part]
    fresh = ", ".join("%s %.0f %%" % (workload.title, 100 * statistics.median(r["books"]["voters"] / r["arrived"] for r in results["tally"]))
                      for workload, results in found.items())
    return """%s, %d cores, %s. Mosquitto %s, Redis %s. getppid: %d ns here.
Load average before and after: %.1f, %.1f (of this run's own programs, too).

MQTT %s, %d connections, window %d at QoS 1, %d reactions at QoS 0 and %d at QoS 1; %d run(s) of each, in turn; medians.
A connection is a reader, so most reactions are no first ones but *changes* of what that reader held: to Redis, three commands
instead of one. First reactions were: %s.
The bare broker's subscriber asks for QoS %d.
""" % (datetime.date.today().isoformat(), os.cpu_count(), platform.platform(), version(["mosquitto", "-h"], "mosquitto version"),
       version(["redis-server", "--version"], "v="), min(result["getppid_ns"] for result in every), load_before, os.getloadavg()[0],
       arguments.protocol, arguments.connections, arguments.window, arguments.reactions, arguments.reactions // 2, arguments.runs, fresh,
       arguments.sink_qos)


def rate_table(found):
    lines = ["| load | bare broker to one subscriber, /s | Tally admits, /s | Tally counted in Redis, /s | counted over bare (pairs) "
             "| CPU a reaction, µs: bare | Tally | Tally over bare |", "| --- " * 8 + "|"]
    for workload, results in found.items():
        bare, tally = results["bare"], results["tally"]
        pairs = sorted(t["rate"] / b["rate"] for b, t in zip(bare, tally))
        lines.append("| %s | %s | %s | %s | **%.2f** (%.2f to %.2f) | %.1f | %.1f | %.2f |" % (
            workload.title, format(round(median(bare, "rate")), ","), format(round(median(tally, "admission")), ","),
            format(round(median(tally, "rate")), ","), median(tally, "rate") / median(bare, "rate"), pairs[0], pairs[-1],
            median(bare, "cpu_all"), median(tally, "cpu_all"), median(tally, "cpu_all") / median(bare, "cpu_all")))
    return "\n".join(lines)


def cpu_table(found):
    lines = ["| CPU a reaction, µs | bare: broker | subscriber | generator | Tally: broker | collector | Redis | feed | generator |",
             "| --- " * 9 + "|"]
    for workload, results in found.items():
        bare, tally = results["bare"], results["tally"]
        cells = [median_cpu(bare, "broker"), median_cpu(bare, "sink"), median(bare, "generator")]
        cells += [median_cpu(tally, name) for name in ("broker", "collector", "redis", "feed")] + [median(tally, "generator")]
        lines.append("| %s | %s |" % (workload.title, " | ".join("%.2f" % cell for cell in cells)))
    return "\n".join(lines)


def books_table(found):
    lines = ["| books, sums of all runs | sent | Tally: admitted | refused | lost | applied in Redis | bare: handed on | lost |",
             "| --- " * 8 + "|"]
    for workload, results in found.items():
        books = [result["books"] for result in results["tally"]]
        cells = [sum(r["sent"] for r in results["tally"])] + [sum(b[key] for b in books) for key in ("admitted", "refused", "lost", "applied")]
        cells += [sum(r["arrived"] for r in results["bare"]), sum(r["books"]["lost"] for r in results["bare"])]
        lines.append("| %s | %s |" % (workload.title, " | ".join(format(cell, ",") for cell in cells)))
    return "\n".join(lines)


def latency_table(found):
    lines = ["| publish to PUBACK under that load, ms | bare p50 | p99 | Tally p50 | p99 |", "| --- " * 5 + "|"]
    for workload, results in found.items():
        if workload.qos:
            cells = [median(results[name], key) / 1000 for name in ("bare", "tally") for key in ("p50", "p99")]
            lines.append("| %s | %s |" % (workload.title, " | ".join("%.0f" % cell for cell in cells)))
    return "\n".join(lines)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short run of each, under a minute")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender and load, 1 to 20 (default 3)")
    parser.add_argument("--reactions", type=int, default=200000, help="at QoS 0, half at QoS 1; 1000 to 4000000 (default 200000)")
    parser.add_argument("--connections", type=int, default=1000, help="1 to 16000 (default 1000)")
    parser.add_argument("--window", type=int, default=20, help="unacknowledged a connection, 1 to 1000 (default 20)")
    parser.add_argument("--protocol", choices=["3.1.1", "5"], default="5", help="of the reactions (default 5)")
    parser.add_argument("--sink-qos", type=int, choices=[0, 1], default=0, help="of the bare broker's subscriber at QoS 1 (default 0)")
    parser.add_argument("--port-base", type=int, default=0, help="ports from here on, 1024 to 65000; else any free ones")
    parser.add_argument("--out", help="a file that the tables are written to as well")
    arguments = parser.parse_args()
    for name, least, most in (("runs", 1, 20), ("reactions", 1000, 4000000), ("connections", 1, 16000), ("window", 1, 1000)):
        if not least <= getattr(arguments, name) <= most:
            parser.error("--%s: %d is not %d to %d" % (name, getattr(arguments, name), least, most))
    if arguments.port_base and not 1024 <= arguments.port_base <= 65000:
        parser.error("--port-base: %d is not 1024 to 65000" % arguments.port_base)
    arguments.seconds = 60
    if arguments.quick:
        arguments.runs, arguments.reactions, arguments.seconds = 1, min(arguments.reactions, 50000), 8
    return arguments


def main():
    arguments = parse()
    check_tools([REDIS])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if files < arguments.connections + 200:
        die("--connections: %d need more open files than this user may have (ulimit -Hn: %d)" % (arguments.connections, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    folder = build()
    for program in ("bench/tally-load", "bench/tally-sink", "collector/tally-collector", "broker-plugin/tally-broker-plugin.so"):
        if not os.path.exists(os.path.join(folder, program)):
            die("TALLY_BUILD: %s has no %s; it accepts the folder of a whole build" % (folder, program))
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda _number, _frame: sys.exit("loop: ended before its time"))
    signal.alarm(120 if arguments.quick else 300 * arguments.runs)
    load_before = os.getloadavg()[0]
    try:
        found = measure(Run(arguments, folder, Ports(arguments.port_base)), arguments.runs)
    except BenchError as error:
        sys.exit("loop: FAILED: %s" % error)
    text = "\n\n".join([header(arguments, found, load_before), rate_table(found), cpu_table(found), latency_table(found), books_table(found)])
    print(text)
    if arguments.out:
        with open(arguments.out, "w") as out:
            out.write(text + "\n")


if __name__ == "__main__":
    main()

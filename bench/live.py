"""The live side: how soon a reaction is in a subscriber's total, how fast totals fan out, what a reader costs the broker: the second part of
script/bench. Where a ratio is asked, the same Mosquitto without the plugin takes turns with Tally's. tally-crowd subscribes, publishes and
looks at the clock (bench/README.md)."""

import json
import os
import statistics
import subprocess
import sys
import types
import urllib.request

from child import dying_with_parent
from contenders import STOP_S, BenchError, Contender, Tally, broker_program, require, wait_until

HOT, QUIET = "bench/post-1000", "bench/quiet"  # tally-load's first article, and one that it has not
ARRIVE_S = 60.0
INTERVAL_MS = 250  # the feed's publish_interval_ms


# --- contenders ---

class Plain(Contender):
    """Mosquitto alone, with script/config's configuration without the plugin."""

    def start(self):
        path = self.configure() + "/mosquitto.conf"
        with open(path) as conf:
            lines = [line for line in conf if not line.startswith("plugin")]
        with open(path, "w") as conf:
            conf.writelines(lines)
        self.run("broker", [broker_program(), "-c", path])
        self.wait_port("broker", self.mqtt)


class Edge(Tally):
    """Tally, and how a publisher logs in there as its feed does."""

    def feed_login(self):
        data = os.path.join(self.folder, "data")
        with open(data + "/services") as services:
            secret = [line.split()[2] for line in services if line.startswith("tally-feed ")][0]
        with open(data + "/feed-secret", "w") as out:
            out.write(secret + "\n")
        return ["--username=tally-feed", "--password-file=%s/feed-secret" % data]

    def total(self, article):
        with urllib.request.urlopen("http://127.0.0.1:%d/totals/%s" % (self.http, article), timeout=10) as answer:
            return json.load(answer)


class Limited(Edge):
    """With its limits on. The bench's one address represents many readers, as a proxy's does."""

    def configure(self, limits="on"):
        data = super().configure(limits)
        with open(data + "/mosquitto.conf") as conf:
            text = conf.read()
        with open(data + "/mosquitto.conf", "w") as conf:
            conf.write(text.replace("plugin_opt_limits on\n", "plugin_opt_limits on\nplugin_opt_trusted_proxies 127.0.0.1\n"))
        return data


# --- generators ---

class Generator:
    """tally-load or tally-crowd with --hold: ready when it is made, begun by a line."""

    def __init__(self, contender, name, options, seconds):
        self.name, self.seconds = name, seconds
        argv = [contender.build + "/bench/" + name, "--seconds=%d" % seconds, "--hold"] + options
        self.child = subprocess.Popen(dying_with_parent(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        if self.child.stdout.readline() != "ready\n":
            error = self.child.communicate(timeout=STOP_S)[1]
            raise BenchError("%s could not begin: %s" % (self.name, error))
        return self

    def __exit__(self, *_error):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            stream.close()

    def say(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()

    def answer(self):
        """Its next line. It ends by itself when its seconds are over at the latest."""
        line = self.child.stdout.readline()
        require(line, "%s ended: %s" % (self.name, self.child.stderr.read() if self.child.poll() is not None else ""))
        return json.loads(line)

    def end(self):
        """Stops it and returns its last report."""
        self.child.terminate()
        try:
            out, error = self.child.communicate(timeout=self.seconds + 60)
        except subprocess.TimeoutExpired:
            raise BenchError(self.name + " did not end")
        require(self.child.returncode == 0, "%s ended with %d: %s%s" % (self.name, self.child.returncode, error, out))
        return json.loads(out.splitlines()[-1])


def crowd(contender, connections, options, seconds, websocket=False, article=HOT):
    port = contender.ws if websocket else contender.mqtt
    return Generator(contender, "tally-crowd", [
        "--port=%d" % port, "--websocket=" + ("on" if websocket else "off"), "--connections=%d" % connections,
        "--filter=totals/" + article, "--reactions=reactions/" + article] + options, seconds)


def load(contender, options, seconds):
    """Of six kinds: the seventh is the probes'."""
    return Generator(contender, "tally-load", ["--port=%d" % contender.mqtt, "--kinds=6", "--qos=1"] + options, seconds)


def check_crowd(said, task):
    """The task is complete, and every subscriber is still there and has had totals alone, none of them older than the one before."""
    told = "%s: %r" % (task, said)
    require(said["done"] and said["subscribed"] == said["connections"] and said["connections_lost"] == 0, told)
    require(said["strange"] == 0 and said["backwards"] == 0 and said["refused"] == 0, told)
    return said


def check_last(contender, watcher, article):
    """Waits until each subscriber's last total is the one that HTTP gives."""
    wanted = contender.total(article)
    def arrived():
        watcher.say("look")
        said = watcher.answer()
        return said if said["least_version"] == said["most_version"] == wanted["version"] else None
    said = wait_until(arrived, "every subscriber to have the last total", ARRIVE_S, 0.05)
    require(said["least_total"] == said["most_total"] == wanted["total"], "last totals: %r and %r" % (said, wanted))
    return check_crowd(said, "at the end")


def check_books(contender, acknowledged, what):
    contender.settle()
    books = contender.books()
    told = "books, %s: acknowledged %d, %r" % (what, acknowledged, books)
    require(acknowledged == books["admitted"] == books["applied"] and books["refused"] == books["quarantined"] == 0, told)
    require(books["standing"] == books["registers"], told)


# --- what is measured ---

def probe(said):
    return {"n": said["arrivals"], "p50": said["p50_us"] / 1000, "p99": said["p99_us"] / 1000, "most": said["most_us"] / 1000}


def quiet(scale, ports, folder):
    """a: one probe after the other on an article that is quiet for longer than the publish interval."""
    found = {}
    with Edge(folder, ports) as tally:
        for title, websocket in (("TCP", False), ("WebSocket", True)):
            article = "%s-%s" % (QUIET, title.lower())
            options = ["--probes=%d" % scale.probes, "--pause-ms=300", "--sequential"]
            with crowd(tally, 1, options, scale.probes + 30, websocket, article) as watcher:
                watcher.say("go")
                said = check_crowd(watcher.answer(), "quiet, " + title)
                require(said["acknowledged"] == said["sent"] == scale.probes == said["arrivals"], repr(said))
                tally.settle()
                check_last(tally, watcher, article)
            found[title] = probe(said)
        check_books(tally, 2 * scale.probes, "quiet")
    return found


def loaded(scale, ports, folder):
    """b: the full loop's rate, then half of it, and meanwhile probes on its article and on another."""
    options = ["--connections=%d" % scale.connections]
    with Edge(folder, ports) as tally:
        with load(tally, options + ["--reactions=%d" % scale.reactions], 60) as generator:
            generator.say("go")
            full = generator.answer()
            full_rate = full["acknowledged"] / (tally.settle()[1] - full["begun_ns"] / 1e9)
        rate = max(1, int(full_rate / 2))
        probes = ["--probes=%d" % (scale.loaded_s * 10), "--pause-ms=67"]  # 67 to 134 ms: ten a second, in no step with the feed
        seldom = ["--probes=%d" % (scale.loaded_s * 2), "--pause-ms=300"]
        half_options = options + ["--rate=%d" % rate, "--reactions=%d" % (rate * 120), "--seed=2"]
        with load(tally, half_options, 120) as generator, crowd(tally, 1, probes, 120) as hot, crowd(tally, 1, seldom, 120, article=QUIET) as other:
            for each in (generator, hot, other):
                each.say("go")
            said = {"the hot article": check_crowd(hot.answer(), "loaded, hot"), "a quiet article": check_crowd(other.answer(), "loaded, other")}
            require(generator.child.poll() is None, "tally-load ended before the probes")
            half = generator.end()
            tally.settle()
            check_last(tally, hot, HOT)
            check_last(tally, other, QUIET)
        probed = sum(each["acknowledged"] for each in said.values())
        check_books(tally, full["acknowledged"] + half["acknowledged"] + probed, "loaded")
    return {"full": full_rate, "asked": rate, "rate": half["per_second"], "probes": {title: probe(each) for title, each in said.items()}}


def fan_out_once(contender, watcher, totals, rounds):
    """`rounds`: how many there were before."""
    before = contender.programs["broker"].cpu_s()
    watcher.say("go")
    said = check_crowd(watcher.answer(), "fan-out")
    cpu = contender.programs["broker"].cpu_s() - before
    n = said["connections"]
    require(said["deliveries"] == n * totals and said["least_version"] == said["most_version"] == totals * (rounds + 1), "fan-out: %r" % said)
    seconds = (said["last_ns"] - said["begun_ns"]) / 1e9
    return {"rate": said["deliveries"] / seconds, "cpu": 1e6 * cpu / said["deliveries"], "crowd": 1e6 * said["cpu_seconds"] / said["deliveries"]}


def fanout(scale, ports, folder):
    """c: totals to many subscribers, by a broker with the plugin and one without. Both are there all the time and take short turns."""
    found = {}
    for n, websocket in ((1000, False), (5000, False), (5000, True)):
        title = "%s, %s" % (format(n, ","), "WebSocket" if websocket else "TCP")
        totals = max(1, scale.deliveries // n)
        results = found[title] = {"bare": [], "tally": []}
        with Plain(folder, ports) as bare, Edge(folder, ports) as tally, \
                crowd(bare, n, ["--nap-us=1000", "--publish=%d" % totals], 900, websocket) as by_bare, \
                crowd(tally, n, ["--nap-us=1000", "--publish=%d" % totals] + tally.feed_login(), 900, websocket) as by_tally:
            for turn in range(scale.rounds):
                for name, contender, watcher in (("bare", bare, by_bare), ("tally", tally, by_tally))[::1 if turn % 2 == 0 else -1]:
                    results[name].append(fan_out_once(contender, watcher, totals, turn))
            by_bare.end()
            by_tally.end()
        say("fan-out to %s done" % title)
    return found


def memory_of(program):
    """Resident bytes of a process, and those that belong to no file."""
    with open("/proc/%d/status" % program.child.pid) as status:
        values = dict(line.split(":", 1) for line in status)
    return [1024 * int(values[name].split()[0]) for name in ("VmRSS", "RssAnon")]


def memory(scale, ports, folder):
    """d: how much the broker's memory grows per reader who subscribes, and per reader who has reacted."""
    found = {}
    for title, kind in (("bare", Plain), ("Tally, limits off", Edge), ("Tally, limits on", Limited)):
        with kind(folder, ports) as contender:
            broker = contender.programs["broker"]
            with crowd(contender, 10, ["--react"], 60) as warm:  # what the first readers bring about counts for nobody
                warm.say("go")
                warm.answer()
                warm.end()
            before = memory_of(broker)
            with crowd(contender, scale.readers, ["--react", "--seed=2"], 120) as watcher:
                connected = memory_of(broker)
                watcher.say("go")
                said = watcher.answer()
                require(said["acknowledged"] == scale.readers and said["connections_lost"] == said["refused"] == 0, "memory: %r" % said)
                reacted = memory_of(broker)
                watcher.end()
            if kind is not Plain:
                check_books(contender, scale.readers + 10, "memory")
        found[title] = [[(after - first) / scale.readers for first, after in zip(before, each)] for each in (connected, reacted)]
    return found


def readers(scale, ports, folder):
    """e: many WebSocket readers of one hot article."""
    probes = scale.readers_s * 10
    with Edge(folder, ports) as tally:
        options = ["--nap-us=1000", "--probes=%d" % probes, "--pause-ms=67"]
        with crowd(tally, scale.websockets, options, 300, websocket=True) as watcher, \
                load(tally, ["--connections=%d" % scale.connections, "--rate=1000", "--reactions=300000"], 300) as generator:
            before = tally.cpu()
            generator.say("go")
            watcher.say("go")
            said = check_crowd(watcher.answer(), "many readers")
            cpu = {name: after - before[name] for name, after in tally.cpu().items()}
            require(generator.child.poll() is None, "tally-load ended before the probes")
            half = generator.end()
            tally.settle()
            check_last(tally, watcher, HOT)
            watcher.end()
        check_books(tally, half["acknowledged"] + said["acknowledged"], "many readers")
    seconds = (said["last_ns"] - said["begun_ns"]) / 1e9
    return dict(probe(said), readers=scale.websockets, rate=half["per_second"], deliveries=said["deliveries"] / seconds,
                broker=cpu["broker"] / seconds, crowd=said["cpu_seconds"] / seconds)


# --- the report ---

def say(text):
    sys.stderr.write("%s; load average %.1f\n" % (text, os.getloadavg()[0]))


def quiet_rows(found):
    for title, each in found.items():
        yield "publish to changed total, quiet article, %s" % title, each, "2 / 5"


def loaded_rows(found):
    for title, each in found["probes"].items():
        wanted = "p99 %d" % (INTERVAL_MS + 20) if title == "the hot article" else ""
        yield "the same at %s reactions/s (full: %s), %s" % (format(round(found["rate"]), ","), format(round(found["full"]), ","), title), each, wanted


def readers_rows(found):
    title = "%s WebSocket readers, %s reactions/s on their article" % (format(found["readers"], ","), format(round(found["rate"]), ","))
    yield title, found, "p99 400"


def latency_table(found):
    lines = ["| ms | n | p50 | p99 | longest | wanted |", "| --- " * 6 + "|"]
    for part, rows in (("quiet", quiet_rows), ("loaded", loaded_rows), ("readers", readers_rows)):
        for title, each, wanted in rows(found[part]) if part in found else ():
            lines.append("| %s | %s | %.2f | %.2f | %.2f | %s |" % (title, format(each["n"], ","), each["p50"], each["p99"], each["most"], wanted))
    if "readers" in found:
        lines.append("\nThe %s WebSocket readers: none lost, all have the last total; %s deliveries/s, broker at %.0f %% of a core, tally-crowd at %.0f %%."
                     % (format(found["readers"]["readers"], ","), format(round(found["readers"]["deliveries"]), ","),
                        100 * found["readers"]["broker"], 100 * found["readers"]["crowd"]))
    return "\n".join(lines) if len(lines) > 2 else ""


def fanout_table(found):
    lines = ["| totals to subscribers | bare, deliveries/s | Tally, deliveries/s | Tally over bare (middle half of pairs); wanted 1.0 "
             "| broker's CPU a delivery, µs: bare | Tally | Tally over bare | tally-crowd's, µs |", "| --- " * 8 + "|"]
    for title, results in found.get("fanout", {}).items():
        bare, tally = ({key: statistics.median(each[key] for each in results[name]) for key in ("rate", "cpu", "crowd")} for name in ("bare", "tally"))
        pairs = sorted(t["rate"] / b["rate"] for b, t in zip(results["bare"], results["tally"]))
        lines.append("| %s | %s | %s | **%.2f** (%.2f to %.2f) | %.2f | %.2f | %.2f | %.2f |" % (
            title, format(round(bare["rate"]), ","), format(round(tally["rate"]), ","), statistics.median(pairs),
            pairs[len(pairs) // 4], pairs[-1 - len(pairs) // 4], bare["cpu"], tally["cpu"], tally["cpu"] / bare["cpu"], tally["crowd"]))
    return "\n".join(lines) if len(lines) > 2 else ""


def memory_table(found):
    lines = ["| bytes of broker memory a reader | subscribed: resident | not a file's | over bare; wanted 150 | and reacted once: resident "
             "| not a file's | over bare |", "| --- " * 7 + "|"]
    for title, values in found.get("memory", {}).items():
        cells = []
        for each, bare in zip(values, found["memory"]["bare"]):
            cells += ["%.0f" % each[0], "%.0f" % each[1], "" if title == "bare" else "%+.0f" % (each[0] - bare[0])]
        lines.append("| %s | %s |" % (title, " | ".join(cells)))
    return "\n".join(lines) if len(lines) > 2 else ""


def scale_of(arguments):
    if arguments.quick:
        return types.SimpleNamespace(connections=1000, reactions=30000, loaded_s=4, deliveries=40000, readers=3000, readers_s=4, rounds=2, probes=10,
                                     websockets=2000)
    return types.SimpleNamespace(connections=1000, reactions=100000, loaded_s=30, deliveries=100000, readers=5000, readers_s=20, rounds=20,
                                 probes=150, websockets=10000)


def measure(arguments, build, ports):
    scale, found = scale_of(arguments), {}
    for part in (quiet, loaded, fanout, memory, readers):
        found[part.__name__] = part(scale, ports, build)
        say(part.__name__ + " done")
    return found


def text(found):
    return "\n\n".join([latency_table(found), fanout_table(found), memory_table(found)])

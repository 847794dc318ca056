"""The contenders: the programs of each, started on loopback with their data in a temporary folder, and ended by their pid."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests", folder) for folder in ("system", "faults")]

import redis_server  # noqa: E402
from child import dying_with_parent  # noqa: E402
from edge import broker_program, free_ports  # noqa: E402
from tools import PATH  # noqa: E402

START_S, SETTLE_S, STOP_S = 20.0, 120.0, 5.0
PEER_S = 300
GATEWAY, SECRET = "load", "only-of-this-bench-0123456789"
TICKS = os.sysconf("SC_CLK_TCK")
PEERS = os.path.join(ROOT, "bench", "peers")


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


class Program:
    """A child with its output in a file; ended by its pid."""

    def __init__(self, name, argv, folder):
        self.name, self.log = name, os.path.join(folder, name + ".log")
        argv[0] = shutil.which(argv[0], path=PATH) or argv[0]
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(dying_with_parent(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=dict(os.environ, TALLY_CONFIG=""))

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
    """Free ports of 127.0.0.1, none twice: from `base` on if that is given, else below those that the kernel gives to outgoing connections."""

    def __init__(self, base=0):
        self.next, self.block = base, []

    def take(self):
        if not self.next:
            self.block = self.block or free_ports(8)
            return self.block.pop()
        while True:
            port, self.next = self.next, self.next + 1
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue


class Contender:
    """Programs that are started for one run. `programs`: name → Program, in the order of their start. `mqtt`: the broker's port."""

    def __init__(self, build_folder, ports):
        self.build, self.ports = build_folder, ports
        self.folder = tempfile.mkdtemp(prefix="tally-bench-")
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

    def wait_line(self, name, line):
        """Until the program has said the line first."""
        def said():
            self.programs[name].check()
            return self.programs[name].text().startswith(line + "\n")
        wait_until(said, "%s to say %s" % (name, line), START_S)

    def cpu(self):
        return {name: program.cpu_s() for name, program in self.programs.items()}

    def configure(self, limits="off"):
        """Takes ports and makes what script/config makes. Returns the folder."""
        data = os.path.join(self.folder, "data")
        self.mqtt, self.ws, self.http, self.redis_port = (self.ports.take() for _ in range(4))
        env = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
        env.update(TALLY_MQTT_PORT=str(self.mqtt), TALLY_WS_PORT=str(self.ws), TALLY_HTTP_PORT=str(self.http),
                   TALLY_REDIS_PORT=str(self.redis_port), TALLY_LIMITS=limits, **redis_server.environment())
        made = subprocess.run([os.path.join(ROOT, "script", "config"), data, self.build], env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        require(made.returncode == 0, "script/config failed:\n" + made.stdout)
        if os.geteuid() == 0:
            with open(data + "/mosquitto.conf", "a") as conf:
                conf.write("user root\n")
        return data

    def expect(self, reactions, qos):
        """Called before each run of the load, with the number of reactions to come."""

    def settle(self, _said=None):
        """Waits until all that was handed to it is dealt with. Returns (reactions counted, the moment of CLOCK_MONOTONIC in s, CPU seconds of
        programs that have ended)."""
        raise NotImplementedError

    def redis(self):
        import redis
        return redis.Redis(host="127.0.0.1", port=self.redis_port, socket_timeout=60)

    def start_redis(self, conf):
        self.run("redis", [redis_server.program(), conf])
        self.wait_port("redis", self.redis_port)


class Tally(Contender):
    """The four programs as script/server starts them, with script/config's configuration; the load is a gateway's."""

    def start(self):
        data = self.data = self.configure()
        with open(data + "/services", "a") as services:
            services.write("%s gateway %s\n" % (GATEWAY, SECRET))
        common = ["--services-file=%s/services" % data, "--mqtt-port=%d" % self.mqtt, "--redis-port=%d" % self.redis_port]
        self.start_redis(data + "/redis.conf")
        self.run("broker", [broker_program(), "-c", data + "/mosquitto.conf"])
        self.wait_port("broker", self.mqtt)
        self.run("collector", [self.build + "/collector/tally-collector", "--spool=%s/spool" % data, "--metrics-port=0"] + common)
        self.run("feed", [self.build + "/dashboard-feed/tally-feed", "--http-port=%d" % self.http, "--websocket-port=%d" % self.ws,
                          "--probe-interval-ms=0"] + common)  # the books count every reaction
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
        import spool_bytes
        from store import Store
        self.spool_bytes, self.spool = spool_bytes, spool
        self.header = spool_bytes.Edge(spool)
        self.store = Store(self.redis())

    def applied(self):
        """Whether Redis's positions are the rings' write positions."""
        positions = self.store.rings()
        for path in self.spool_bytes.rings(self.spool).values():
            ring = self.spool_bytes.Ring(path)
            if positions.get(ring.key(), (0,))[0] != ring.write():
                return False
        return True

    def settle(self, _said=None):
        wait_until(self.applied, "Redis to have applied all rings", SETTLE_S)
        ended_s = time.monotonic()
        return self.counted(), ended_s, {}

    def counted(self):
        """Reactions in Redis since the start. Costs Redis next to nothing, however many articles there are."""
        return sum(ring[1] - ring[2] - ring[3] for ring in self.store.rings().values())

    def books(self):
        """What admission says it did, and what Redis holds."""
        heads = [head for _shard, head in self.store.heads().values()]
        rings = self.store.rings().values()
        return {"admitted": self.header.admitted(), "refused": sum(self.header.refused().values()),
                "applied": self.counted(), "quarantined": sum(ring[2] + ring[3] for ring in rings),
                "registers": sum(head.voters for head in heads), "standing": sum(sum(head.counts.values()) for head in heads)}

    def check(self, said, qos, protocol):
        """The books of all that was sent since the start. Returns them."""
        books = self.books()
        told = "books of Tally: %r and %r" % (said, books)
        books["lost"] = said["sent"] - books["admitted"] - books["refused"]
        require(books["lost"] >= 0 and books["applied"] == books["admitted"] and books["quarantined"] == 0, told)
        if qos:
            refused = books["refused"] if protocol == "3.1.1" else 0  # which 3.1.1 acknowledges, too
            require(said["acknowledged"] == books["admitted"] + refused and books["lost"] == 0, told)
        if books["admitted"] == said["sent"]:
            require((books["registers"], books["standing"]) == (said["first"], said["standing"]), told)
        return books


class Bare(Contender):
    """Mosquitto alone, as Tally's is configured, handing everything on to one subscriber that only counts: none may be dropped."""

    SUBSCRIBER = "sink"
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
        self.run("broker", [broker_program(), "-c", path])
        self.wait_port("broker", self.mqtt)

    def argv(self, reactions):
        # Handed on at QoS 0 even where the reactions are QoS 1: the broker's cheapest way.
        return [self.build + "/bench/tally-sink", "--port=%d" % self.mqtt, "--messages=%d" % reactions, "--qos=0", "--seconds=%d" % PEER_S]

    def expect(self, reactions, qos):
        self.run(self.SUBSCRIBER, self.argv(reactions))
        self.wait_line(self.SUBSCRIBER, "ready")

    def settle(self, said):
        """The subscriber ends when it has counted the expected number; one that misses some is stopped."""
        program = self.programs.pop(self.SUBSCRIBER)
        try:
            program.child.wait(SETTLE_S)
        except subprocess.TimeoutExpired:
            pass
        program.stop()
        require(program.child.returncode == 0, program.text())
        self.said = json.loads(program.text().splitlines()[-1])
        return self.said["counted"], self.said["last_ns"] / 1e9, {self.SUBSCRIBER: self.said["cpu_seconds"]}

    def check(self, said, qos, _protocol):
        lost = said["sent"] - self.said["counted"]
        require(lost >= 0 and (not qos or said["acknowledged"] == said["sent"]), "books of %s: %r and %r" % (type(self).__name__, said, self.said))
        return {"lost": lost}


class Socket(Bare):
    """Mosquitto alone, and nobody who subscribes: what its sockets cost."""

    def expect(self, reactions, qos):
        pass

    def settle(self, said):
        return said["sent"], said["ended_ns"] / 1e9, {}

    def check(self, said, qos, _protocol):
        require(not qos or said["acknowledged"] == said["sent"], "books of the broker's sockets: %r" % said)
        return {"lost": 0}


class Peer(Bare):
    """The same broker, a peer of bench/peers, and a Redis as Tally's is configured."""

    SUBSCRIBER = "peer"
    REDIS = """bind 127.0.0.1
port %d
daemonize no
dir "%s"
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
loglevel notice
always-show-logo no
"""

    honest = True

    def program(self):
        raise NotImplementedError

    def start(self):
        self.redis_port = self.ports.take()
        path = os.path.join(self.folder, "redis.conf")
        with open(path, "w") as conf:
            conf.write(self.REDIS % (self.redis_port, self.folder))
        self.start_redis(path)
        Bare.start(self)

    def argv(self, reactions):
        # Subscribed as an honest program would: at the reactions' own quality of service.
        return self.program() + ["--port=%d" % self.mqtt, "--redis-port=%d" % self.redis_port, "--messages=%d" % reactions, "--qos=%d" % self.qos,
                                 "--seconds=%d" % PEER_S]

    def expect(self, reactions, qos):
        self.qos = qos
        Bare.expect(self, reactions, qos)

    def check(self, said, qos, protocol):
        books = Bare.check(self, said, qos, protocol)
        redis = self.redis()
        held = sum(int(n) for key in redis.scan_iter("tally:*", count=1000) for n in redis.hvals(key))
        told = "books of %s: %r, %r and %d in Redis" % (type(self).__name__, said, self.said, held)
        require(self.said["bad"] == 0, told)
        if books["lost"] == 0:
            require(held == (said["standing"] if self.honest else self.said["counted"]), told)
        return books


class Afternoon(Peer):
    honest = False

    def program(self):
        return ["node", PEERS + "/afternoon.mjs"]


class AfternoonHonest(Peer):
    def program(self):
        return ["node", PEERS + "/afternoon.mjs", "--honest=on"]


class Paho(Peer):
    def program(self):
        return ["/usr/bin/python3", PEERS + "/paho_peer.py"]


class Able(Peer):
    def program(self):
        return [self.build + "/bench/tally-peer", "--script=%s/honest.lua" % PEERS]


def load(contender, options, reactions, connected):
    """Runs tally-load against a contender as its gateway; calls `connected` once its connections are open, before the first reaction.
    `options`: of tally-load. Returns what it says."""
    secret = os.path.join(contender.folder, "load.secret")
    with open(secret, "w") as out:
        out.write(SECRET + "\n")
    argv = [contender.build + "/bench/tally-load", "--port=%d" % contender.mqtt, "--reactions=%d" % reactions, "--reader-in-payload=on",
            "--username=" + GATEWAY, "--password-file=" + secret, "--hold"]
    argv += ["--%s=%s" % (name.replace("_", "-"), value) for name, value in options.items()]
    with subprocess.Popen(dying_with_parent(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            if child.stdout.readline() != "ready\n":
                raise BenchError("tally-load could not begin: " + child.communicate(timeout=STOP_S)[1])
            connected()
            out, error = child.communicate("begin\n", timeout=options["seconds"] + 60)
        except BaseException:
            child.kill()
            raise
    require(child.returncode == 0, "tally-load ended with %d: %s%s" % (child.returncode, error, out))
    return json.loads(out)

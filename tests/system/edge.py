"""One whole edge for a test: Redis, Mosquitto with the plugin, collector and feed, each a separate process on free ports of
127.0.0.1, with its data in a folder of the test's. Used by the system tests and by script/prove."""

import functools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import redis as redis_py

import redis_server
import spool_bytes
from child import dying_with_parent, marked_processes
from clients import TIMEOUT_S, V5, Client
from store import Store

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MARK = "EDGE_OF_TALLY"  # in the environment of every process, so that none is left unseen
SMALL = {"shards": 4, "ring_bytes": 1 << 20, "max_articles": 10000, "allow_wildcards": "off", "auto_id_may_react": "off"}
SBIN = ":/usr/sbin:/usr/local/sbin"
PROGRAMS = ("redis", "broker", "collector", "feed")
REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error:|AddressSanitizer:DEADLYSIGNAL")


class EdgeError(AssertionError):
    pass


def build_dir():
    return os.path.abspath(os.path.join(ROOT, os.environ.get("TALLY_BUILD", "build/debug")))


# Below the kernel's ephemeral ports: one of those could be an outgoing connection's while a program that is to listen there is down.
FIRST_PORT, LAST_PORT, BLOCK = 10240, 32760, 8
_blocks = {}  # first port → what keeps other test processes of this machine from the block


def _block_is_free(first, n):
    try:
        for port in range(first, first + n):
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def free_ports(n):
    """`n` different ports of 127.0.0.1 that nobody listens on, and that no other test process gets until release_ports."""
    assert 0 < n <= BLOCK
    blocks = (LAST_PORT - FIRST_PORT) // BLOCK
    start = secrets.randbelow(blocks)
    for i in range(blocks):
        first = FIRST_PORT + (start + i) % blocks * BLOCK
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind("\0tally-test-ports-%d" % first)
        except OSError:
            lock.close()
            continue
        if _block_is_free(first, n):
            _blocks[first] = lock
            return list(range(first, first + n))
        lock.close()
    raise EdgeError("no block of %d ports is free" % n)


def release_ports(ports):
    """They may be another's."""
    _blocks.pop(min(ports)).close()


def wait_until(condition, what, timeout_s=None, every_s=0.02):
    """Waits until `condition()` is true and returns what it returned."""
    deadline = time.monotonic() + (timeout_s or TIMEOUT_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise EdgeError("waited in vain: " + what)
        time.sleep(every_s)


def broker_program():
    """The broker under test: TALLY_BROKER, else Mosquitto as it is installed."""
    named = os.environ.get("TALLY_BROKER") or "mosquitto"
    return shutil.which(named, path=os.environ.get("PATH", "") + SBIN) or named


def broker_environment():
    """What a script needs to start the same."""
    return {"TALLY_BROKER": broker_program()} if os.environ.get("TALLY_BROKER") else {}


@functools.lru_cache(None)
def broker_version():
    """Such as (2, 0, 11)."""
    said = subprocess.run([broker_program(), "-h"], stdout=subprocess.PIPE, text=True).stdout
    return tuple(int(part) for part in re.search(r"mosquitto version (\d+)\.(\d+)\.(\d+)", said).groups())


def busy_code():
    """What an MQTT 5 client hears when a ring is full: of the versions of the broker 2.1 can say Quota exceeded."""
    return 0x97 if broker_version() >= (2, 1) else 0x87


def rate_exceeded_code():
    """What an MQTT 5 client hears whose address may not connect now: 2.1 can say Connection rate exceeded, 2.0 but Not authorized."""
    return 0x9F if broker_version() >= (2, 1) else 0x87


def is_sanitized(build):
    """Whether a build folder's programs run under sanitizers."""
    try:
        with open(os.path.join(build, "CMakeCache.txt")) as cache:
            return re.search(r"^TALLY_SANITIZE:BOOL=(ON|1|TRUE)$", cache.read(), re.MULTILINE) is not None
    except FileNotFoundError:
        raise EdgeError("%s is not a build folder; build there, or name another in TALLY_BUILD" % build)


@functools.lru_cache(None)
def sanitizer_runtime(plugin):
    """The library that a program must preload to load this plugin of a sanitizer build."""
    linked = subprocess.run(["ldd", plugin], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.search(r"=> (\S*lib(?:clang_rt\.)?asan\S*)", linked)
    if not found:
        raise EdgeError("the plugin of a sanitizer build is not linked to the sanitizer's runtime:\n" + linked)
    return found.group(1)


# Ports in place of an edge's in the files of `_made_files`: above those of free_ports, and no other number there.
STAND_IN_PORTS = (61001, 61002, 61003, 61004)
HEX = re.compile(rb"\b[0-9a-f]{32,}\b")


@functools.lru_cache(None)
def _made_files(build, limits, shared):
    """What script/config makes of such an environment: its folder there, the folders in it, and path → content and mode. Its twenty processes
    cost as much as the four programs of an edge, so that it runs once a test process."""
    with tempfile.TemporaryDirectory(prefix="tally-config-") as folder:
        data = os.path.join(folder, "data")
        env = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
        env.update(zip(("TALLY_MQTT_PORT", "TALLY_WS_PORT", "TALLY_HTTP_PORT", "TALLY_REDIS_PORT"), map(str, STAND_IN_PORTS)), TALLY_LIMITS=limits)
        if shared:
            env.update(TALLY_REDIS_HOST="127.0.0.1")
        made = subprocess.run([os.path.join(ROOT, "script", "config"), data, build], env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if made.returncode != 0:
            raise EdgeError("script/config failed:\n" + made.stdout)
        folders, files = [], {}
        for parent, below, names in os.walk(data):
            folders += [os.path.relpath(os.path.join(parent, name), data) for name in below]
            for name in names:
                path = os.path.join(parent, name)
                with open(path, "rb") as file:
                    files[os.path.relpath(path, data)] = file.read(), os.stat(path).st_mode & 0o777
        return data, folders, files


def make_data(data, build, limits, shared, ports):
    """Makes in `data` what script/config makes, with these ports and new secrets. Existing secrets are kept."""
    made_in, folders, files = _made_files(build, limits, shared)
    os.makedirs(data, mode=0o700, exist_ok=True)
    for name in folders:
        os.makedirs(os.path.join(data, name), mode=0o700, exist_ok=True)
    for name, (content, mode) in files.items():
        path = os.path.join(data, name)
        if name in ("services", "reader.key"):
            if os.path.exists(path):
                continue
            content = HEX.sub(lambda secret: secrets.token_hex(len(secret.group()) // 2).encode(), content)
        else:
            content = content.replace(made_in.encode(), data.encode())
            for stand_in, port in zip(STAND_IN_PORTS, ports):
                content = re.sub(rb"\b%d\b" % stand_in, b"%d" % port, content)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)


class Process:
    """A child with its output in a log file, which survives restarts."""

    def __init__(self, name, argv, log, env):
        self.name, self.argv, self.log, self.env = name, argv, log, env
        self.child = None
        self.read_up_to = 0

    def start(self):
        assert not self.running(), self.name
        with open(self.log, "ab") as log:
            self.read_up_to = log.tell()
            self.child = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env={name: value for name, value in self.env.items() if name != "LD_PRELOAD"})

    def _command(self):
        """A library to preload, such as a sanitizer's, is for the program and not for what starts it."""
        preload = self.env.get("LD_PRELOAD")
        return dying_with_parent((["env", "LD_PRELOAD=" + preload] if preload else []) + self.argv)

    def running(self):
        return self.child is not None and self.child.poll() is None

    def text(self, all_starts=False):
        """What the log says since the last start."""
        if not os.path.exists(self.log):
            return ""
        with open(self.log, "r", errors="replace") as log:
            if not all_starts:
                log.seek(self.read_up_to)
            return log.read()

    def kill(self):
        """kill -9."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()

    def stop(self):
        """SIGTERM, as an operator does; a program that does not end in time is a failure. Returns the exit status."""
        if self.child is None:
            return None
        if self.child.poll() is None:
            self.child.terminate()
        try:
            status = self._wait_ended()
        except subprocess.TimeoutExpired:
            self.kill()
            raise EdgeError("%s did not end on SIGTERM" % self.name)
        if status == -signal.SIGTERM and (self.name == "broker" or not self.text()):
            return 0  # it had not come so far that it takes SIGTERM for itself
        return status

    def _wait_ended(self):
        """Some miss a SIGTERM and get another one: Mosquitto listens before it takes SIGTERM for itself, and forgets one that comes before its
        loop; Redis forgets one that comes while it writes its first append-only file, as a replica does after each full copy."""
        for _ in range(int(TIMEOUT_S) - 1 if self.name in ("broker", "redis") else 0):
            try:
                return self.child.wait(1)
            except subprocess.TimeoutExpired:
                self.child.terminate()
        return self.child.wait(TIMEOUT_S)

    def wait_exit(self):
        """Waits until it ends by itself. Returns its exit status."""
        try:
            return self.child.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise EdgeError("%s still runs:\n%s" % (self.name, self.text()[-2000:]))


class Edge:
    """`plugin`: plugin options (None takes a line out), on top of SMALL; `collector`, `feed`: options of the daemons, as in {"batch-records": 10}.
    The feed does not probe, because tests count reactions; test_probe.py turns that on.
    `redis_of`: the edge whose Redis, reader key and services this one shares; it then starts no Redis.
    `servers`: the servers that hold the store if it starts no Redis (cluster.py).

    `env` is for the operator's command: sanitizers do not look for leaks at its end, which takes longer than most commands do. `leaks_env`, which
    the daemons have, is the same where they do."""

    def __init__(self, directory, plugin=None, collector=None, feed=None, limits="off", build=None, redis_of=None, servers=None):
        self.directory = str(directory)
        self.build = build or build_dir()
        self.plugin_options = dict(SMALL, **(plugin or {}))
        self.daemon_options = {"collector": dict(collector or {}), "feed": dict({"probe_interval_ms": 0}, **(feed or {}))}
        self.data = os.path.join(self.directory, "data")
        self.spool = os.path.join(self.data, "spool")
        self.mark = secrets.token_hex(8)
        self.sanitized = is_sanitized(self.build)
        self.redis_of = redis_of
        self.servers = servers or (redis_of.servers if redis_of is not None else None)
        self.ports = free_ports(5)
        self.mqtt_port, self.ws_port, self.http_port, self.redis_port, self.metrics_port = self.ports
        if self.servers is not None:
            self.redis_port = self.servers.first_port()
        elif redis_of is not None:
            self.redis_port = redis_of.redis_port
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
        self.env = dict(inherited, TALLY_CONFIG="", TALLY_MQTT_PORT=str(self.mqtt_port), TALLY_WS_PORT=str(self.ws_port),
                        TALLY_HTTP_PORT=str(self.http_port), TALLY_METRICS_PORT=str(self.metrics_port), TALLY_REDIS_PORT=str(self.redis_port),
                        TALLY_LIMITS=limits, **redis_server.environment())
        if not self.has_own_redis():
            self.env.update(TALLY_REDIS_HOST="127.0.0.1")
        self.env[MARK] = self.mark
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        self.leaks_env = dict(self.env)
        if self.sanitized:
            self.env["ASAN_OPTIONS"] = ":".join(filter(None, [self.env.get("ASAN_OPTIONS"), "detect_leaks=0"]))
        self.clients = []
        self.redis_prefix = "tally:"
        self._redis = None
        self.processes = {}
        self._configure()

    # --- making it ---

    def has_own_redis(self):
        return self.redis_of is None and self.servers is None

    def program(self, name):
        """Path of something built."""
        for folder in ("", "broker-plugin", "collector", "dashboard-feed", "cli"):
            path = os.path.join(self.build, folder, name)
            if os.path.exists(path) and not os.path.isdir(path):
                return path
        raise EdgeError("%s is not in %s" % (name, self.build))

    def _configure(self):
        os.makedirs(self.directory, exist_ok=True)
        if self.redis_of is not None:
            os.makedirs(self.data, mode=0o700)
            for name in ("reader.key", "services"):
                shutil.copy(self.redis_of.path(name), self.path(name))
        make_data(self.data, self.build, self.env["TALLY_LIMITS"], not self.has_own_redis(),
                  (self.mqtt_port, self.ws_port, self.http_port, self.redis_port))
        self.edit_broker(self.plugin_options, ["user root"] if os.geteuid() == 0 else [])  # as another user it could not read the folder
        argvs = {
            "redis": [os.path.join(ROOT, "script", "redis-start"), self.path("redis.conf")],
            "broker": [broker_program(), "-c", self.path("mosquitto.conf")],
            "collector": self.collector_argv(),
            "feed": [self.program("tally-feed"), "--http-port", str(self.http_port), "--websocket-port", str(self.ws_port)]
                    + self._common() + self._options("feed"),
        }
        if not self.has_own_redis():
            del argvs["redis"]
        for name, argv in argvs.items():
            argv[0] = shutil.which(argv[0], path=os.environ.get("PATH", "") + SBIN) or argv[0]
            self.processes[name] = Process(name, argv, os.path.join(self.directory, name + ".log"), self._env_of(name))

    def _env_of(self, name):
        if name != "broker":
            return dict(self.leaks_env)
        # No leaks: they would be the broker's own; the plugin's are seen by its unit tests. No certificates of the system, which libwebsockets reads at
        # each start: under sanitizers that takes a tenth of what a whole edge does.
        env = dict(self.env, SSL_CERT_FILE=os.devnull)
        if self.sanitized:
            env["LD_PRELOAD"] = sanitizer_runtime(self.plugin())
        return env

    def plugin(self):
        with open(self.path("mosquitto.conf")) as conf:
            return re.search(r"^\s*plugin\s+(\S+)", conf.read(), re.MULTILINE).group(1)

    def path(self, name):
        return os.path.join(self.data, name)

    def _common(self):
        where = ["--redis-host", "127.0.0.1", "--redis-port", str(self.redis_port)] if self.servers is None else self.servers.options()
        return ["--services-file", self.path("services"), "--mqtt-host", "127.0.0.1", "--mqtt-port", str(self.mqtt_port)] + where

    def _options(self, name):
        return ["--%s=%s" % (key.replace("_", "-"), value) for key, value in self.daemon_options[name].items()]

    def collector_argv(self, *more):
        return [self.program("tally-collector"), "--spool", self.spool, "--metrics-port", str(self.metrics_port)] + self._common() + self._options("collector") + list(more)

    def edit_broker(self, plugin_options, lines=()):
        """Sets plugin options in mosquitto.conf (None removes one) and appends lines. Counts from the next start on."""
        with open(self.path("mosquitto.conf")) as conf:
            text = conf.read()
        for name, value in plugin_options.items():
            line = "" if value is None else "plugin_opt_%s %s\n" % (name, value)
            pattern = re.compile(r"^plugin_opt_%s\s.*\n" % name, re.MULTILINE)
            if pattern.search(text):
                text = pattern.sub(line.replace("\\", "\\\\"), text)
            else:
                text = re.sub(r"^(plugin\s.*\n)", lambda m: m.group(1) + line, text, count=1, flags=re.MULTILINE)
        text += "".join(line + "\n" for line in lines)
        with open(self.path("mosquitto.conf"), "w") as conf:
            conf.write(text)

    # --- starting, ending ---

    def __getitem__(self, name):
        return self.processes[name]

    def start(self, *names, ready=True):
        """Starts those named (all by default) in the order in which they need each other. `ready`: waits for 200 of /healthz."""
        for name in PROGRAMS:
            if name not in self.processes or (names and name not in names):
                continue
            self[name].start()
            if name == "redis":
                self.wait_redis()
            elif name == "broker":
                self.wait_broker()
        if ready and self["feed"].running():
            self.wait_ready()
        return self

    def wait_redis(self):
        self._wait_up("redis", lambda: self.redis.ping(), redis_py.exceptions.RedisError)

    def wait_broker(self):
        for port in (self.mqtt_port, self.ws_port):
            self._wait_up("broker", lambda: socket.create_connection(("127.0.0.1", port), 1).close() or True, OSError)

    def _wait_up(self, name, attempt, failure):
        def up():
            if not self[name].running():
                raise EdgeError("%s ended with %r:\n%s" % (name, self[name].child.returncode, self[name].text()[-3000:]))
            try:
                return attempt()
            except failure:
                return False
        wait_until(up, name + " to come up")

    def wait_ready(self, timeout_s=None):
        """Waits until /healthz says 200."""
        last = [None]
        def ready():
            for name in self.processes:
                if self[name].child is not None and not self[name].running():
                    raise EdgeError("%s ended with %r:\n%s" % (name, self[name].child.returncode, self[name].text()[-3000:]))
            last[0] = self.health()
            return last[0][0] == 200
        try:
            wait_until(ready, "health", timeout_s)
        except EdgeError as error:
            raise EdgeError("%s: /healthz says %r" % (error, last[0]))

    def kill(self, *names):
        for name in names:
            self[name].kill()

    def stop(self, *names):
        """SIGTERM to those named; their exit status must be 0."""
        for name in reversed(PROGRAMS):
            if name in names:
                status = self[name].stop()
                assert status in (0, None), "%s ended with %r:\n%s" % (name, status, self[name].text()[-3000:])

    def restart(self, *names, ready=True):
        self.stop(*names)
        self.start(*names, ready=ready)

    def close(self):
        """Ends all, in any state, and checks that nothing is left and that no sanitizer has complained."""
        for client in self.clients:
            try:
                client.close()
            except Exception:  # a connection that is already gone
                pass
        problems = []
        for name in reversed(PROGRAMS):
            process = self.processes.get(name)
            if process is None or process.child is None:
                continue
            crashed = process.child.poll() is not None and process.child.returncode not in (0, -signal.SIGKILL, None)
            try:
                status = process.stop()
                if name in ("collector", "feed") and status not in (0, -signal.SIGKILL) and not crashed:
                    problems.append("%s ended with %r" % (name, status))
            except EdgeError as error:
                problems.append(str(error))
        left = self.left()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        if left:
            problems.append("processes left: %r" % left)
        problems += self.reports()
        release_ports(self.ports)
        if problems:
            raise EdgeError("\n".join(problems) + "\n" + self.logs())

    def left(self):
        """Pids that carry this edge's mark, or (Redis overwrites its environment) name its Redis."""
        return list(marked_processes(("%s=%s" % (MARK, self.mark)).encode(), self.redis_port if self.has_own_redis() else None))

    def command_argv(self, name, *more):
        """The operator's command with this edge's options."""
        return [self.program("tally"), name, "--spool", self.spool, "--http-port", str(self.http_port)] + self._common() + list(more)

    def skew_redis(self, skew_ms):
        """From the next start of Redis on, its clock is off by so much."""
        library = self.preload("skewed_clock")
        self["redis"].env = dict(self.env, LD_PRELOAD=library, SKEW_MS=str(skew_ms)) if skew_ms else self.env

    def preload(self, name):
        """The library that is made of tests/faults/NAME.c."""
        library = os.path.join(self.directory, name + ".so")
        source = os.path.join(ROOT, "tests", "faults", name + ".c")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        return library

    def reports(self):
        """What sanitizers wrote, a text for each log."""
        found = []
        for name in os.listdir(self.directory):
            if name.endswith(".log"):
                with open(os.path.join(self.directory, name), errors="replace") as log:
                    text = log.read()
                hit = REPORT.search(text)
                if hit:
                    found.append("sanitizer report in %s:\n%s" % (name, text[hit.start():hit.start() + 4000]))
        return found

    def logs(self, tail=3000):
        parts = []
        for name in PROGRAMS:
            process = self.processes.get(name)
            if process is not None:
                parts.append("--- %s ---\n%s" % (name, process.text(all_starts=True)[-tail:]))
        if self.servers is not None and self.redis_of is None:
            parts.append(self.servers.logs())
        return "\n".join(parts)

    # --- looking at it ---

    @property
    def redis(self):
        if self.servers is not None:
            return self.servers.redis
        if self._redis is None:
            self._redis = redis_py.Redis(host="127.0.0.1", port=self.redis_port, socket_timeout=10)
        return self._redis

    @property
    def store(self):
        return Store(self.redis, self.redis_prefix)

    @property
    def header(self):
        return spool_bytes.Edge(self.spool)

    def key(self):
        with open(self.path("reader.key")) as f:
            return bytes.fromhex(f.read().strip())

    def secret(self, username):
        with open(self.path("services")) as services:
            for line in services:
                words = line.split()
                if words and words[0] == username:
                    return words[2]
        raise EdgeError("no service %s" % username)

    def get(self, path, headers=None, port=None):
        """HTTP GET from the feed, or from who listens on `port`. Returns (status, headers, body)."""
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (port or self.http_port, path), headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def health(self):
        """(status, text) of /healthz; (0, why) while nobody answers."""
        try:
            status, _headers, body = self.get("/healthz")
            return status, body.decode()
        except OSError as error:
            return 0, str(error)

    def wait_unhealthy(self, word):
        """Waits until /healthz says 503 and its text holds `word`. Returns the text."""
        last = [None]
        def bad():
            last[0] = self.health()
            return last[0][0] == 503 and word in last[0][1] and last[0][1]
        try:
            return wait_until(bad, "503 for %r" % word)
        except EdgeError as error:
            raise EdgeError("%s; last %r" % (error, last[0]))

    def metrics(self):
        """Name with labels → value, of the feed and of the collector while it runs. What both say of themselves is the feed's."""
        found = {}
        for port in (self.metrics_port, self.http_port):
            if port == self.http_port or self["collector"].running():
                _status, _headers, body = self.get("/metrics", port=port)
                found.update((line.rpartition(" ")[0], float(line.rpartition(" ")[2]))
                             for line in body.decode().splitlines() if line and not line.startswith("#"))
        return found

    def client(self, username=None, password=None, flavour=(V5, "tcp"), opened=True, **more):
        protocol, transport = flavour
        client = Client(self.ws_port if transport == "websockets" else self.mqtt_port, username=username, password=password,
                        protocol=protocol, transport=transport, **more)
        self.clients.append(client)
        return client.open() if opened else client

    def service(self, username, **more):
        """A client that logs in as a service of the services file."""
        return self.client(username=username, password=self.secret(username), **more)

    def drained(self):
        """Whether Redis has applied every ring up to its write position, and no old ring waits. Before a cluster, the collector keeps an old
        ring for a minute after it is drained: there, its content decides."""
        old = spool_bytes.old_rings(self.spool)
        if old and self.servers is None:
            return False
        try:
            positions = self.store.rings()
            for path in [*spool_bytes.rings(self.spool).values(), *old]:
                ring = spool_bytes.Ring(path)
                write = ring.write()
                if write and positions.get(ring.key(), (0,))[0] != write:
                    return False
        except (redis_py.exceptions.RedisError, FileNotFoundError):  # the server is away, or a ring was deleted or replaced just now
            return False
        return True

    def settle(self, timeout_s=None):
        """Waits until all that was admitted is in Redis. A collector that is killed then may apply some of it once more."""
        wait_until(self.drained, "the spool to be applied", timeout_s)

    def acknowledged(self):
        """Whether all that was admitted is in Redis, and the collector knows it: none of it is applied again."""
        rings = map(spool_bytes.Ring, spool_bytes.rings(self.spool).values())
        return self.drained() and all(ring.applied() == ring.write() for ring in rings)

    def settle_acknowledged(self):
        wait_until(self.acknowledged, "the spool to be acknowledged")

    def status(self, watcher, condition, what):
        """The first ops/collector status that `watcher` (an operator subscribed to it) got or gets, which meets the condition."""
        def met():
            for message in watcher.messages:
                if message.topic == "ops/collector":
                    status = json.loads(message.payload)
                    if status.get("online") and condition(status):
                        return status
            return None
        try:
            return watcher.wait(met, what)
        except AssertionError:
            last = [m.payload for m in watcher.got(topic="ops/collector")][-1:]
            raise AssertionError("%s; last status: %r" % (what, last))

    def refusals(self, condition, what):
        """The first ops/refusals that meets the condition."""
        operator = self.service("operator")
        operator.watch("ops/refusals")
        def met():
            for message in operator.got(topic="ops/refusals"):
                told = json.loads(message.payload)
                if condition(told):
                    return told
            return None
        return operator.wait(met, what)

    def wait_total(self, article):
        """Waits until the feed has a total of the article."""
        wait_until(lambda: article in self.totals_over_http([article]), "a total of " + article)

    def totals_over_http(self, articles):
        """article → {kind: count}, zeroes left out, of /totals?articles=…"""
        found = {}
        articles = list(articles)
        for i in range(0, len(articles), 20):
            status, _headers, body = self.get("/totals?articles=" + ",".join(urllib.parse.quote(a) for a in articles[i:i + 20]))
            assert status == 200, (status, body)
            for total in _totals_of(json.loads(body)):
                found[total["article"]] = counts_of(total)
        return found


def _totals_of(answer):
    if isinstance(answer, dict):
        answer = answer.get("totals", answer)
    return list(answer.values()) if isinstance(answer, dict) else answer


def counts_of(total):
    """{kind: count} of a total, zeroes left out, after checking that the total agrees with itself."""
    assert total["total"] == sum(total["counts"].values()), total
    return {kind: n for kind, n in total["counts"].items() if n}


def fill(edge, article):
    """Reacts until the article's ring has no room even for a plain record. Returns how many reactions were admitted."""
    client = edge.client()
    busy = busy_code()
    admitted = 0
    window = []
    # large records first (they carry a receipt's address), then plain ones into what is left
    for asked in (dict(response_topic="receipts/" + client.name, correlation=b"c" * 64), {}):
        refused = False
        while not refused or window:
            if not refused and len(window) < 16:
                window.append(client.send("reactions/" + article, b"like", **asked))
                continue
            if client.ack(window.pop(0)) == busy:
                refused = True
            else:
                admitted += 1
    return admitted


def boot(directory, **more):
    """A started edge; ended again if it does not come up."""
    edge = Edge(directory, **more)
    try:
        return edge.start()
    except BaseException as error:
        logs = edge.logs()
        try:
            edge.close()
        except EdgeError:
            pass
        raise EdgeError("%s\n%s" % (error, logs))

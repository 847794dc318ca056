"""script/server and the scripts around it: what they refuse and how they report it, what they start, restart and end, and that they leave nothing behind."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import urllib.request

import pytest

import edge as edges
import redis_server
from child import marked_processes
from clients import TIMEOUT_S, Client, reader_name
from test_redis_link import certificates  # noqa: F401, a fixture

pytestmark = pytest.mark.no_sanitizer
PORTS = ("TALLY_MQTT_PORT", "TALLY_WS_PORT", "TALLY_HTTP_PORT", "TALLY_METRICS_PORT", "TALLY_REDIS_PORT")
PROGRAMS = ("redis", "mosquitto", "collector", "feed")
BUILT = ("broker-plugin/tally-broker-plugin.so", "collector/tally-collector", "dashboard-feed/tally-feed", "cli/tally", "bench/tally-demo")


def _hear_signals():
    """As from a terminal: under nohup, or as a shell's background job, tests inherit some ignored, and no shell traps what it finds so."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Server:
    """A run of script/server on separate ports and in a separate folder. Started by root, it runs as the folder's owner. pytest's own folders are closed
    to any other user."""

    def __init__(self, project):
        self.scripts, self.build = os.path.join(project, "script"), os.path.join(project, "programs")
        self.directory = tempfile.mkdtemp(prefix="tally-server-")
        self.data = os.path.join(self.directory, "data")
        self.give(self.directory)
        self.mark = b"SERVER_OF_TALLY=" + os.urandom(8).hex().encode()
        self.ports = dict(zip(PORTS, edges.free_ports(len(PORTS))))
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
        self.env.update({name: str(port) for name, port in self.ports.items()}, TALLY_DATA=self.data,
                        TALLY_BUILD=self.build, SERVER_OF_TALLY=self.mark.partition(b"=")[2].decode(), **redis_server.environment(),
                        **edges.broker_environment())
        self.child = None
        self.runs = 0

    def give(self, path):
        """Makes a file or folder the user's. Returns its path."""
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(path, user.pw_uid, user.pw_gid)
        return path

    def file(self, name, text):
        """Writes a file beside the data folder that only the user may read. Returns its path."""
        path = os.path.join(self.directory, name)
        with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)
        return self.give(path)

    def config(self, data=None):
        """What script/config makes."""
        subprocess.run([os.path.join(self.scripts, "config"), data or self.data, self.build], env=self.env, check=True)

    def read(self, *path):
        with open(os.path.join(self.data, *path)) as file:
            return file.read()

    def set_options(self, *edits):
        """Makes the data folder, and replaces each (old, new) in its tally.conf. Returns the file's new text."""
        self.config()
        text = self.read("tally.conf")
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        with open(os.path.join(self.data, "tally.conf"), "w") as conf:
            conf.write(text)
        return text

    def refuse(self, *arguments, script="server", **env):
        """Runs it, expecting that it refuses. Returns what it said: one line, or one for each port in use."""
        done = subprocess.run([os.path.join(self.scripts, script), *arguments], env={**self.env, **env}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
        assert done.returncode != 0 and done.stdout == "", (done.returncode, done.stdout, done.stderr)
        if self.child is None:
            self.nothing_left()
        return done.stderr

    def start(self, *arguments):
        """Starts it and waits until it says ready."""
        self.runs += 1
        self.output = os.path.join(self.directory, "server-%d.out" % self.runs)
        with open(self.output, "wb") as output:
            self.child = subprocess.Popen([os.path.join(self.scripts, "server"), *arguments], env=self.env, stdin=subprocess.DEVNULL,
                                          stdout=output, stderr=output, start_new_session=True, preexec_fn=_hear_signals)
        self.wait(lambda: "ready" in self.said(), "ready")
        return self

    def said(self):
        with open(self.output, errors="replace") as output:
            return output.read().splitlines()

    def wait(self, condition, what):
        def met():
            value = condition()
            if not value and self.child.poll() is not None:
                raise AssertionError("script/server ended with %r while waiting for %s:\n%s" % (
                    self.child.returncode, what, self.story()))
            return value
        try:
            return edges.wait_until(met, what)
        except edges.EdgeError as error:
            raise AssertionError("%s\n%s" % (error, self.story()))

    def story(self):
        parts = ["\n".join(self.said())]
        logs = os.path.join(self.data, "log")
        for name in sorted(os.listdir(logs) if os.path.isdir(logs) else ()):
            with open(os.path.join(logs, name), errors="replace") as log:
                parts.append("--- %s ---\n%s" % (name, log.read()[-2000:]))
        return "\n".join(parts)

    def pid(self, name):
        """Pid of a program, None while it does not run."""
        try:
            with open(os.path.join(self.data, "run", name + ".pid")) as pid:
                return int(pid.read() or 0) or None
        except FileNotFoundError:
            return None

    def end(self, number=signal.SIGTERM):
        """Sends the signal and waits for the end. Returns the exit status."""
        if number == signal.SIGINT:
            os.killpg(self.child.pid, number)  # as a terminal does on Ctrl-C
        else:
            self.child.send_signal(number)
        status = self.child.wait(TIMEOUT_S)
        self.child = None
        return status

    def nothing_left(self):
        """The kernel may take a moment after the script's end to end the processes that it killed."""
        edges.wait_until(lambda: not marked_processes(self.mark, self.ports["TALLY_REDIS_PORT"]),
                         "the end of %r" % marked_processes(self.mark, self.ports["TALLY_REDIS_PORT"]))

    def close(self):
        try:
            self._end_all()
        finally:
            shutil.rmtree(self.directory)

    def _end_all(self):
        if self.child is not None:
            self.child.kill()
            self.child.wait()
        left = marked_processes(self.mark, self.ports["TALLY_REDIS_PORT"])
        edges.release_ports(self.ports.values())
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def get(self, path, port="TALLY_HTTP_PORT"):
        address = "http://127.0.0.1:%d%s" % (self.ports[port], path)
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.read().decode()

    def count(self, article, kind):
        """What the feed says over HTTP; 0 where it knows no such article."""
        try:
            return json.loads(self.get("/totals/" + article))["counts"][kind]
        except OSError:
            return 0

    def react(self, article, kind):
        client = Client(self.ports["TALLY_MQTT_PORT"], username=reader_name()).open()
        try:
            assert client.say("reactions/" + article, kind) < 0x80
        finally:
            client.close()

    def react_and_see(self, article, kind="angry"):
        before = self.count(article, kind)
        self.react(article, kind)
        self.wait(lambda: self.count(article, kind) == before + 1, "the reaction to be shown")


@pytest.fixture(scope="module")
def project():
    """A copy of the scripts and programs that any user can read: the project may be in a folder of root's."""
    with tempfile.TemporaryDirectory(prefix="tally-project-") as folder:
        for name in ("script", "deploy"):
            shutil.copytree(os.path.join(edges.ROOT, name), os.path.join(folder, name))
        for name in BUILT:
            os.makedirs(os.path.join(folder, "programs", os.path.dirname(name)), exist_ok=True)
            shutil.copy2(os.path.join(edges.build_dir(), name), os.path.join(folder, "programs", name))
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        yield folder


@pytest.fixture
def server(project):
    made = Server(project)
    yield made
    made.close()


def listen(address="127.0.0.1"):
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind((address, 0))
    taken.listen()
    return taken


# --- refusals ---

@pytest.mark.parametrize("script", ["server", "config"])
@pytest.mark.parametrize("name, value, accepts", [
    *[(port, value, "1 to 65535") for port in PORTS for value in ("0", "65536", "1883x", "", "-1", "http")],
    ("TALLY_LIMITS", "yes", "on or off"),
    ("TALLY_TRUSTED_PROXIES", "proxy.example.org", "addresses or networks"),
    ("TALLY_WEBSOCKET_URL", "https://tally.example.org/", "ws:// or wss:// URL"),
    ("TALLY_TOKEN_KEYS", "/no/such/file", "absolute path of a file"),
    ("TALLY_TOKEN_KEYS", "README.md", "absolute path of a file"),
    ("TALLY_BIND", "localhost", "IPv4 address"),
    ("TALLY_METRICS_ADDRESS", "localhost", "IPv4 address"),
    ("TALLY_REDIS_HOST", "redis host", "a name, an address, or a socket's path"),
    ("TALLY_REDIS_CA_FILE", "/etc/hostname", "with TALLY_REDIS_HOST or TALLY_REDIS_URL"),
    ("TALLY_REDIS_SERVER_NAME", "redis name", "a name or address"),
    ("TALLY_REDIS_PREFIX", "", "1 to 32 letters"),
    ("TALLY_REDIS_PREFIX", "news{1}", "1 to 32 letters"),
    ("TALLY_REDIS_SERVER", "tally-server", "redis-server, valkey-server, or the absolute path of such a program"),
    ("TALLY_REDIS_SERVER", "/no/such/redis-server", "redis-server, valkey-server, or the absolute path of such a program"),
    ("TALLY_REDIS_SERVER", "/etc/hostname", "redis-server, valkey-server, or the absolute path of such a program"),
    ("TALLY_BROKER", "mosquitto-2.1", "mosquitto, or the absolute path of such a program"),
    ("TALLY_BROKER", "/no/such/mosquitto", "mosquitto, or the absolute path of such a program"),
    ("TALLY_BROKER", "/etc/passwd", "mosquitto, or the absolute path of such a program"),
    ("TALLY_DURABILITY", "disk", "aof, replicas or service"),
    ("TALLY_REDIS_PASSWORD_FILE", "/no/such/file", "absolute path of a file"),
    ("TALLY_REDIS_PASSWORD_FILE", "/etc/hostname", "with TALLY_REDIS_HOST"),
    ("TALLY_DATABASE", "x", "TALLY_MQTT_PORT, TALLY_WS_PORT, TALLY_HTTP_PORT, TALLY_METRICS_PORT, TALLY_REDIS_PORT, TALLY_DATA, TALLY_LIMITS"),
])
def test_a_wrong_variable_is_named(server, script, name, value, accepts):
    arguments = [server.data, server.build] if script == "config" else []
    said = server.refuse(*arguments, script=script, **{name: value})
    assert said.count("\n") == 1 and name in said and accepts in said and ("'%s'" % value in said or name == "TALLY_DATABASE")
    assert not os.path.exists(server.data)


def test_two_ports_alike_are_named(server):
    said = server.refuse(TALLY_WS_PORT=server.env["TALLY_MQTT_PORT"])
    assert said.count("\n") == 1 and "TALLY_MQTT_PORT" in said and "TALLY_WS_PORT" in said


@pytest.mark.parametrize("folder", ["/proc/tally", "/dev/null/tally", "", "/tmp/a\"b", "/tmp/a\nb"])
def test_a_folder_that_cannot_be_used_is_named(server, folder):
    said = server.refuse(TALLY_DATA=folder)
    assert "TALLY_DATA" in said and folder in said and said.count("\n") == 1 + folder.count("\n")


def test_a_folder_with_a_file_in_its_place_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    said = server.refuse(TALLY_DATA=str(tmp_path / "file"))
    assert "TALLY_DATA" in said and str(tmp_path / "file") in said and said.count("\n") == 1


def test_a_build_without_programs_is_named(server, tmp_path):
    said = server.refuse(TALLY_BUILD=str(tmp_path))
    assert "TALLY_BUILD" in said and str(tmp_path) in said and said.count("\n") == 1


def test_other_addresses_than_loopback_are_refused(server):
    assert "TALLY_BIND" in server.refuse(TALLY_BIND="0.0.0.0")


@pytest.mark.parametrize("script, argument, accepted", [
    ("server", "--bogus", "--demo"),
    ("server", "demo", "--demo"),
    ("bootstrap", "--bogus", "run|test"),
    ("config", "--bogus", "DATA_DIR BUILD_DIR"),
    ("test", "--bogus", "--quick"),
])
def test_an_unknown_option_is_answered_with_the_known_ones(server, script, argument, accepted):
    said = server.refuse(argument, script=script)
    assert accepted in said and said.count("\n") == 1
    assert argument in said or script in ("bootstrap", "config")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("name", PORTS)
def test_a_port_in_use_is_named(server, name, address):
    with listen(address) as taken:
        port = taken.getsockname()[1]
        said = server.refuse(**{name: str(port)})
    assert said.count("\n") == 1 and name in said and " %d " % port in said and "in use" in said


def test_a_port_in_use_on_every_ipv6_address_is_named(server):
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::", 0))
        taken.listen()
        assert "TALLY_HTTP_PORT" in server.refuse(TALLY_HTTP_PORT=str(taken.getsockname()[1]))


def test_every_port_in_use_is_named(server):
    taken = [listen() for _ in PORTS]
    said = server.refuse(**{name: str(one.getsockname()[1]) for name, one in zip(PORTS, taken)})
    for one in taken:
        one.close()
    assert said.count("\n") == len(PORTS) and all(name in said for name in PORTS)


def test_help_tells_every_variable(server):
    told = subprocess.run([os.path.join(server.scripts, "server"), "--help"], env=server.env, stdout=subprocess.PIPE, text=True, check=True)
    assert all(name in told.stdout for name in PORTS + ("TALLY_DATA", "TALLY_LIMITS", "--demo"))


# --- configuration ---

def test_config_makes_secrets_once_and_keeps_them(server):
    def make():
        subprocess.run([os.path.join(server.scripts, "config"), server.data, server.build], env=server.env, check=True)
        return {name: open(os.path.join(server.data, name)).read() for name in ("services", "reader.key")}
    first = make()
    for name in first:
        assert stat.S_IMODE(os.stat(os.path.join(server.data, name)).st_mode) == 0o600
    assert re.fullmatch(r"[0-9a-f]{32}\n", first["reader.key"])
    services = [line.split(" ") for line in first["services"].splitlines() if not line.startswith("#")]
    assert [service[:2] for service in services] == [["tally-collector", "collector"], ["tally-feed", "feed"],
                                                     ["operator", "operator"], ["newsroom", "newsroom"]]
    assert len({service[2] for service in services}) == 4 and all(len(service[2]) == 48 for service in services)
    assert make() == first
    os.remove(os.path.join(server.data, "reader.key"))
    assert make()["reader.key"] != first["reader.key"]


# --- running ---

def test_it_counts_shows_ends_and_remembers(server):
    server.start()
    users = {os.stat("/proc/%d" % pid).st_uid for pid in [server.child.pid] + [server.pid(name) for name in PROGRAMS]}
    assert users == {os.stat(server.directory).st_uid} and 0 not in users
    article = "world/it-remembers"
    server.react_and_see(article)
    server.react_and_see(article)
    assert server.said().count("ready") == 1
    assert server.end() == 0
    server.nothing_left()
    assert not [name for name in os.listdir(os.path.join(server.data, "run")) if name.endswith(".pid")]
    server.start()
    assert server.count(article, "angry") == 2
    server.react_and_see(article)
    assert server.end(signal.SIGINT) == 0
    server.nothing_left()


def test_what_a_proxy_needs_reaches_broker_and_feed(server):
    server.env.update(TALLY_TRUSTED_PROXIES="127.0.0.1,10.0.0.0/8", TALLY_WEBSOCKET_URL="wss://tally.example.org/mqtt")
    server.start()
    with open(os.path.join(server.data, "mosquitto.conf")) as conf:
        assert "plugin_opt_trusted_proxies 127.0.0.1,10.0.0.0/8\n" in conf.read()
    assert "wss://tally.example.org/mqtt" in server.get("/tally.js")
    assert stat.S_IMODE(os.stat(os.path.join(server.data, "doctor.env")).st_mode) == 0o600
    told = subprocess.run(["bash", "-c", "set -a; . %s/doctor.env; exec %s/cli/tally doctor" % (server.data, server.build)], stdout=subprocess.PIPE, text=True,
                          env={name: value for name, value in server.env.items() if not name.startswith("TALLY_")})
    assert told.returncode == 0 and "ok" in told.stdout and "FAIL" not in told.stdout, told.stdout


def test_keys_of_tokens_reach_the_broker(server):
    keys = json.dumps({"keys": [{"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]})
    server.env.update(TALLY_TOKEN_KEYS=server.file("keys", keys))
    server.start()
    server.react_and_see("world/without-a-token")
    said = server.read("log", "mosquitto.log")
    assert "identities=token,username,client_id" in said and "token keys loaded" in said


def test_the_operators_options_reach_the_programs(server):
    port = server.env.pop("TALLY_HTTP_PORT")
    written = server.set_options(("[common]\n", "[common]\nhttp_port = %s\n" % port),
                                 ("allow_wildcards   = on", "allow_wildcards = off\nkinds = like,dislike"),
                                 ("[broker]\n", "[feed]\nwebsocket_url = wss://tally.example.org/by-file\n\n[broker]\n"))
    server.start()
    assert "kinds=like,dislike " in server.read("log", "mosquitto.log")
    assert "wss://tally.example.org/by-file" in server.get("/tally.js")
    options = [line.split()[:2] for line in server.read("mosquitto.conf").splitlines() if line.startswith("plugin_opt_")]
    assert ["plugin_opt_allow_wildcards", "off"] in options and ["plugin_opt_auto_id_may_react", "on"] in options
    assert len({name for name, _value in options}) == len(options)
    assert server.read("tally.conf") == written


def test_the_environment_overrides_the_file(server):
    server.set_options(("[broker]\n", "[broker]\nlimits = on\nkinds = like,dislike\nmax_articles = 7\n"))
    server.env.update(TALLY_LIMITS="off", TALLY_BROKER_KINDS="sad,wow", TALLY_TOKEN_KEYS=server.file("keys", "{}"))
    server.config()
    conf = server.read("mosquitto.conf")
    for option in ("limits off", "kinds sad,wow", "max_articles 7", "identities token,username,client_id"):
        assert "\nplugin_opt_%s\n" % option in conf


def test_a_programs_own_variable_overrides_the_general_one(server):
    own, general = server.file("own", "{}"), server.file("general", "{}")
    server.env.update(TALLY_LIMITS="off", TALLY_BROKER_LIMITS="on", TALLY_TOKEN_KEYS=general, TALLY_BROKER_TOKEN_KEYS=own,
                      TALLY_WEBSOCKET_URL="ws://general.example", TALLY_FEED_WEBSOCKET_URL="ws://own.example/")
    server.config()
    conf = server.read("mosquitto.conf")
    for option in ("limits on", "token_keys " + own):
        assert "\nplugin_opt_%s\n" % option in conf
    assert [line for line in server.read("doctor.env").splitlines() if "WEBSOCKET_URL" in line][-1] == "TALLY_FEED_WEBSOCKET_URL=ws://own.example/"


def test_an_empty_variable_does_not_hide_the_file(server):
    del server.env["TALLY_REDIS_PORT"]
    server.set_options(("[common]\n", "[common]\nredis_url = redis://127.0.0.1:6399/2\n"))
    told = in_lib(server, 'tally_environment; echo "$TALLY_REDIS_URL $tally_shared"', TALLY_REDIS_URL="", TALLY_CONFIG="")
    assert told == "redis://127.0.0.1:6399/2 redis://127.0.0.1:6399/2"


@pytest.mark.parametrize("script", ["server", "config"])
def test_a_variable_without_effect_is_refused(server, script):
    for name in ("TALLY_FEED_HTTP_PORT", "TALLY_COLLECTOR_METRICS_PORT", "TALLY_COLLECTOR_REDIS_URL", "TALLY_FEED_CONFIG", "TALLY_MOSQUITTO_BIND_ADDRESS"):
        said = server.refuse(*([server.data, server.build] if script == "config" else []), script=script, **{name: "1"})
        assert said.count("\n") == 1 and name + " has no effect here" in said and "TALLY_HTTP_PORT" in said
    assert not os.path.exists(server.data)


def test_options_of_all_programs_are_accepted(server):
    server.env.update(TALLY_LOG_LEVEL="debug", TALLY_LOG_FORMAT="logfmt", TALLY_TOPIC_PREFIX="news/", TALLY_CONFIG="", TALLY_FEED_HTTP_PORT="")
    server.config()
    assert "\nplugin_opt_topic_prefix news/\n" in server.read("mosquitto.conf")
    assert "TALLY_CONFIG" in server.refuse(TALLY_CONFIG="/etc/tally/tally.conf")


@pytest.mark.parametrize("old, new, says", [
    ("[broker]", "[broker]\nmax_articles = none", "tally.conf:10: option max_articles: none"),
    ("[broker]", "[broker]\nplugin_opt_max_articles = 1", "tally.conf:10: unknown option plugin_opt_max_articles"),
    ("[broker]", "[broker]\nlistener 1884", "tally.conf:10: neither a section nor name = value: listener 1884"),
    ("[broker]", "[brokers]", "tally.conf:9: unknown section [brokers]"),
    ("[common]\n", "[common]\nhttp_port = 0\n", "TALLY_HTTP_PORT: '0' is not a port"),
], ids=["value", "name", "line", "section", "port"])
def test_a_mistake_in_the_file_is_named_and_leaves_the_brokers_configuration_as_it_was(server, old, new, says):
    server.set_options((old, new))
    del server.env["TALLY_HTTP_PORT"]
    before = server.read("mosquitto.conf")
    assert "\nplugin " in before
    said = server.refuse(server.data, server.build, script="config")
    assert said.count("\n") == 1 and says in said
    assert server.read("mosquitto.conf") == before


@pytest.mark.parametrize("make", [os.mkdir, lambda own: os.symlink("/no/such/file", own), lambda own: open(own, "w").close()],
                         ids=["folder", "link", "file"])
def test_the_file_of_earlier_versions_is_not_ignored(server, make):
    server.config()
    own = os.path.join(server.data, "plugin.conf")
    make(own)
    said = server.refuse(server.data, server.build, script="config")
    assert said.count("\n") == 1 and own in said and "[broker] of " + os.path.join(server.data, "tally.conf") in said


def test_a_copied_folder_does_not_use_the_spool_of_the_original(server):
    server.config()
    copy = os.path.join(server.directory, "copy")
    shutil.copytree(server.data, copy)
    said = server.refuse(copy, server.build, script="config")
    assert said.count("\n") == 1 and "spool" in said and copy + "/tally.conf" in said
    with open(os.path.join(copy, "tally.conf")) as conf:
        text = conf.read()
    with open(os.path.join(copy, "tally.conf"), "w") as conf:
        conf.write(text.replace("/spool\n", "/spool//\n"))
    assert "belongs to the data folder " + server.data in server.refuse(copy, server.build, script="config")
    shutil.rmtree(server.data)  # moved, not copied: its broker says that the folder is missing
    server.config(copy)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")
def test_roots_folder_that_holds_something_else_is_refused(server, tmp_path):
    (tmp_path / "somebody's").write_text("")
    said = server.refuse(TALLY_DATA=str(tmp_path))
    assert said.count("\n") == 1 and "TALLY_DATA" in said and str(tmp_path) in said
    assert os.stat(tmp_path).st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")
@pytest.mark.parametrize("key", [None, "a link"])
def test_roots_folder_with_one_name_of_tallys_is_refused(server, tmp_path, key):
    """Such as /var, which has a folder log."""
    (tmp_path / "log").mkdir()
    if key:
        (tmp_path / "reader.key").symlink_to("/etc/hostname")
    said = server.refuse(TALLY_DATA=str(tmp_path))
    assert said.count("\n") == 1 and "TALLY_DATA" in said and "reader.key" in said
    assert os.stat(tmp_path).st_uid == os.stat(tmp_path / "log").st_uid == os.stat("/etc/hostname").st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")
@pytest.mark.parametrize("mode", [0o1777, 0o775])
def test_roots_folder_that_others_may_write_is_refused(server, tmp_path, mode):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(mode)
    said = server.refuse(TALLY_DATA=str(data))
    assert said.count("\n") == 1 and "TALLY_DATA" in said and "others may write it" in said
    assert os.stat(data).st_uid == 0


def in_lib(server, command, **env):
    """What a command says that has read script/lib.sh."""
    return subprocess.run(["bash", "-c", '. "$0"; ' + command, os.path.join(server.scripts, "lib.sh")], env={**server.env, **env}, stdout=subprocess.PIPE,
                          text=True, check=True).stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_whoever_is_not_root_has_not_roots_group(server, tmp_path):
    nobody = pwd.getpwnam("nobody")
    for owner, runs_as in ((nobody.pw_uid, 0), (nobody.pw_uid, nobody.pw_gid)), ((54321, 0), (54321, 65534)), ((54321, 777), (54321, 777)), ((0, 0), (0, 0)):
        os.chown(tmp_path, *owner)
        assert in_lib(server, "tally_data_owner; echo $tally_owner", TALLY_DATA=str(tmp_path / "new")) == "%d:%d" % runs_as


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_root_built_is_the_projects_owners(server, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    project = tmp_path / "project"
    (project / "build" / "release").mkdir(parents=True)
    (project / "build" / "link").symlink_to(outside)
    os.chown(project, 54321, 54321)
    in_lib(server, "tally_project=%s; tally_give_build" % project)
    assert os.stat(project / "build" / "release").st_uid == 54321 and os.stat(outside).st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")
def test_a_project_that_the_user_cannot_read_is_named(server, tmp_path):
    closed = tmp_path / "build"
    closed.symlink_to(server.build)
    said = server.refuse(TALLY_BUILD=str(closed))
    assert said.count("\n") == 1 and "nobody" in said and "cannot read " + str(closed) in said


def test_secrets_are_on_no_command_line(server):
    server.start()
    with open(os.path.join(server.data, "services")) as services:
        secrets = [line.split()[2] for line in services if not line.startswith("#")]
    with open(os.path.join(server.data, "reader.key")) as key:
        secrets.append(key.read().strip())
    commands = "\n".join(marked_processes(server.mark, server.ports["TALLY_REDIS_PORT"]).values())
    assert "tally-collector" in commands and "tally-feed" in commands and redis_server.name() in commands
    assert not [secret for secret in secrets if secret in commands]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_its_children_do_not_outlive_it(server, number):
    server.start()
    server.react_and_see("world/outlives")
    server.end(number)
    server.nothing_left()
    server.start()  # at once, on the same ports and data
    assert server.count("world/outlives", "angry") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_killed_program_is_started_again_and_that_is_said(server, name):
    server.start()
    server.react_and_see("world/" + name)
    killed = server.pid(name)
    os.kill(killed, signal.SIGKILL)
    server.wait(lambda: name + " started again" in server.said(), name + " started again")
    assert server.pid(name) not in (killed, None)
    server.wait(lambda: health_of(server) == 200, "health")
    server.react_and_see("world/" + name)
    assert server.count("world/" + name, "angry") == 2
    assert [line for line in server.said() if line.startswith(name + " ended (killed by SIGKILL), starts again in 0.5 s")]
    assert server.said().count("ready") == 1
    assert server.end() == 0
    server.nothing_left()


# --- a Redis that several edges share ---

@pytest.fixture
def shared_redis(tmp_path):
    """(port, password, process) of a Redis with a password, which nobody's script/server started."""
    ports = edges.free_ports(1)
    password = "the-password-of-the-tests"
    folder = tmp_path / "shared"
    folder.mkdir()
    conf = folder / "redis.conf"
    conf.write_text("bind 127.0.0.1\nport %d\ndir %s\nsave \"\"\nappendonly yes\nmaxmemory-policy noeviction\nrequirepass %s\n"
                    % (ports[0], folder, password))
    process = edges.Process("redis", [redis_server.program(), str(conf)], str(folder / "log"), dict(os.environ))
    process.start()
    yield ports[0], password, process
    process.kill()
    edges.release_ports(ports)


def use(server, shared):
    port, password, _process = shared
    secret = server.file("redis.password", password + "\n")
    server.env.update(TALLY_REDIS_HOST="127.0.0.1", TALLY_REDIS_PORT=str(port), TALLY_REDIS_PASSWORD_FILE=secret)


def test_a_redis_of_its_own_is_not_started_beside_another(server, shared_redis):
    use(server, shared_redis)
    server.start()
    assert server.pid("redis") is None and not os.path.exists(os.path.join(server.data, "redis.conf"))
    server.react_and_see("world/shared")
    with edges.redis_py.Redis(host="127.0.0.1", port=shared_redis[0], password=shared_redis[1]) as redis:
        assert redis.exists("tally:store")
    commands = "\n".join(marked_processes(server.mark).values())
    assert "tally-collector" in commands and "tally-feed" in commands and shared_redis[1] not in commands
    with open(os.path.join(server.data, "mosquitto.conf")) as conf:
        text = conf.read()
    assert "plugin_opt_allow_wildcards off\n" in text and "plugin_opt_auto_id_may_react off\n" in text
    assert server.end() == 0
    assert shared_redis[2].running()


@pytest.mark.parametrize("script", ["server", "config"])
@pytest.mark.parametrize("env, says", [
    ({"TALLY_REDIS_URL": "http://127.0.0.1"}, "redis, rediss, unix or redis+sentinel URL"),
    ({"TALLY_REDIS_URL": "redis://127.0.0.1", "TALLY_REDIS_HOST": "127.0.0.1"}, "not both"),
    ({"TALLY_REDIS_URL": "redis://127.0.0.1", "TALLY_REDIS_PORT": "6379"}, "not both"),
    ({"TALLY_REDIS_URL": "redis://me:the-password-of-the-tests@127.0.0.1"}, "TALLY_REDIS_PASSWORD_FILE"),
])
def test_a_wrong_url_is_refused_and_not_repeated(server, script, env, says):
    del server.env["TALLY_REDIS_PORT"]
    said = server.refuse(*([server.data, server.build] if script == "config" else []), script=script, **env)
    assert said.count("\n") == 1 and "TALLY_REDIS_URL: " in said and says in said and env["TALLY_REDIS_URL"] not in said
    assert not os.path.exists(server.data)


def test_a_url_leads_to_a_redis_too(server, shared_redis):
    use(server, shared_redis)
    for name in ("TALLY_REDIS_HOST", "TALLY_REDIS_PORT"):
        del server.env[name]
    server.env.update(TALLY_REDIS_URL="redis://127.0.0.1:%d/2" % shared_redis[0], TALLY_REDIS_PREFIX="news:", TALLY_DURABILITY="service",
                      TALLY_BIND="127.0.0.1")
    server.start()
    assert server.pid("redis") is None and not os.path.exists(os.path.join(server.data, "redis.conf"))
    server.react_and_see("world/by-url")
    with edges.redis_py.Redis(host="127.0.0.1", port=shared_redis[0], password=shared_redis[1], db=2) as redis:
        assert redis.exists("news:store") and all(key.startswith(b"news:") for key in redis.scan_iter())
    commands = "\n".join(marked_processes(server.mark).values())
    assert "tally-collector" in commands and shared_redis[1] not in commands
    with open(os.path.join(server.data, "mosquitto.conf")) as conf:
        assert "plugin_opt_allow_wildcards off\n" in conf.read()
    assert server.end() == 0
    assert shared_redis[2].running()


def test_tls_to_redis(server, certificates, tmp_path):
    """With a client's certificate, and the server's for another name than the URL's."""
    ports = edges.free_ports(1)
    conf = tmp_path / "redis.conf"
    conf.write_text("bind 127.0.0.1\nport 0\ntls-port %d\ntls-auth-clients yes\ntls-ca-cert-file %s/ca.pem\ntls-cert-file %s/named.pem\n"
                    "tls-key-file %s/named.key\ndir %s\nsave \"\"\nappendonly yes\nmaxmemory-policy noeviction\n"
                    % (ports[0], certificates, certificates, certificates, tmp_path))
    process = edges.Process("redis", [redis_server.program(), str(conf)], str(tmp_path / "log"), dict(os.environ))
    process.start()
    copy = {}
    for name in ("ca.pem", "client.pem", "client.key"):
        with open(os.path.join(certificates, name)) as file:
            copy[name] = server.file(name, file.read())
    try:
        del server.env["TALLY_REDIS_PORT"]
        server.env.update(TALLY_REDIS_URL="rediss://127.0.0.1:%d" % ports[0], TALLY_REDIS_CA_FILE=copy["ca.pem"],
                          TALLY_REDIS_CERT_FILE=copy["client.pem"], TALLY_REDIS_KEY_FILE=copy["client.key"],
                          TALLY_REDIS_SERVER_NAME="redis.example")
        server.start()
        server.react_and_see("world/over-tls")
        assert server.end() == 0
    finally:
        process.kill()
        edges.release_ports(ports)


def test_it_listens_where_a_balancer_reaches_it(server, shared_redis):
    use(server, shared_redis)
    server.env.update(TALLY_BIND="0.0.0.0")
    server.start()
    collector = subprocess.run(["tr", "\\0", " "], stdin=open("/proc/%d/cmdline" % server.pid("collector")), stdout=subprocess.PIPE, text=True).stdout
    assert "--metrics-address=127.0.0.1 " in collector, collector
    server.react_and_see("world/bound")
    listening = subprocess.run(["ss", "-Hltn"], stdout=subprocess.PIPE, text=True).stdout if shutil.which("ss") else None
    assert listening is None or "0.0.0.0:%d" % server.ports["TALLY_HTTP_PORT"] in listening
    assert server.end() == 0


# --- programs that cannot run ---

@pytest.mark.slow
def test_a_program_that_takes_long_to_fail_is_given_up_too(server):
    """Each try counts as a start, so that the tries in a row never become too many."""
    build = os.path.join(server.directory, "build")
    os.makedirs(os.path.join(build, "dashboard-feed"))
    for name in os.listdir(server.build):
        if name != "dashboard-feed":
            os.symlink(os.path.join(server.build, name), os.path.join(build, name))
    feed = server.file("build/dashboard-feed/tally-feed", "#!/bin/bash\nsleep 0.4\necho level=error msg=late\nexit 3\n")
    os.chmod(feed, 0o755)
    server.env.update(TALLY_BUILD=build, TALLY_SETTLED_MS="300")
    server.output = os.path.join(server.directory, "server.out")
    with open(server.output, "wb") as output:
        server.child = subprocess.Popen([os.path.join(server.scripts, "server")], env=server.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    assert server.child.wait(4 * TIMEOUT_S) == 1, server.story()
    server.child = None
    assert [line for line in server.said() if line.startswith("server: feed cannot run: it ended 10 times within 600 s. Its last line: ")
            and "msg=late" in line], server.story()
    server.nothing_left()


def gives_up(server, culprits, says):
    """Starts it and waits until it gives up, without a signal from anybody, because of one of the CULPRITS. Returns its lines."""
    server.runs += 1
    server.output = os.path.join(server.directory, "server-%d.out" % server.runs)
    with open(server.output, "wb") as output:
        server.child = subprocess.Popen([os.path.join(server.scripts, "server")], env=server.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    status = server.child.wait(4 * TIMEOUT_S)
    server.child = None
    lines = server.said()
    assert status not in (0, None) and status > 0, server.story()
    why = [line for line in lines if line.startswith("server: ") and " cannot run: " in line]
    assert len(why) == 1, server.story()
    culprit = why[0].split()[1]
    assert culprit in culprits and says in why[0] and culprit + ".log" in why[0], server.story()
    tries = [line for line in lines if line.startswith(culprit + " ended (")]
    assert 2 <= len(tries) <= 9 and all(says in line for line in tries), server.story()
    server.nothing_left()
    assert "ready" not in lines
    return lines


def with_services(server, change):
    """Makes the data folder, and changes its services file."""
    server.config()
    path = os.path.join(server.data, "services")
    with open(path) as services:
        text = change(services.read())
    with open(path, "w") as services:
        services.write(text)


@pytest.mark.slow
@pytest.mark.parametrize("change, says", [
    (lambda text: text + text.splitlines()[-1] + "\n", "appears twice"),
    (lambda text: text + "somebody operator short\n", "secret"),
    (lambda text: text + "one word-too-few\n", "is not '<username> <role> <secret>'"),
], ids=["a name twice", "a short secret", "no service"])
def test_a_service_that_is_none_is_told_and_not_tried_for_ever(server, change, says):
    """Three programs read the file. Whichever has failed most often when the script gives up is named."""
    with_services(server, change)
    gives_up(server, ["mosquitto", "collector", "feed"], says)


@pytest.mark.slow
def test_a_port_that_an_outgoing_connection_holds_is_told(server):
    """Nobody listens there, so that the look at listening ports finds nothing."""
    port = int(server.ports["TALLY_HTTP_PORT"])
    with listen() as other, socket.socket() as outgoing:
        outgoing.bind(("127.0.0.1", port))
        outgoing.connect(other.getsockname())
        gives_up(server, ["feed"], "port %d" % port)


@pytest.mark.slow
def test_what_ran_well_and_is_broken_later_is_given_up_with_its_reason(server):
    server.start()
    server.react_and_see("world/well")
    services = os.path.join(server.data, "services")
    with open(services, "a") as more:
        more.write("somebody operator short\n")
    os.kill(server.pid("feed"), signal.SIGKILL)
    assert server.child.wait(4 * TIMEOUT_S) > 0
    server.child = None
    assert [line for line in server.said() if line.startswith("server: feed cannot run") and "secret" in line], server.story()
    server.nothing_left()


def health_of(server):
    try:
        server.get("/healthz")
        return 200
    except OSError:
        return 0


@pytest.mark.slow
def test_the_pause_grows(server):
    server.start()
    for pause in ("0.5", "1.0", "2.0"):
        os.kill(edges.wait_until(lambda: server.pid("collector"), "a collector"), signal.SIGKILL)
        line = "collector ended (killed by SIGKILL), starts again in %s s" % pause
        server.wait(lambda: [said for said in server.said() if said.startswith(line)], line)


@pytest.mark.slow
def test_a_program_that_does_not_listen_is_killed_at_the_end(server):
    server.start()
    for name in PROGRAMS:
        os.kill(server.pid(name), signal.SIGSTOP)
    assert server.end() == 0
    server.nothing_left()


@pytest.mark.slow
def test_a_second_one_on_the_same_data_is_refused(server):
    server.start()
    ports = edges.free_ports(len(PORTS))
    other = dict(zip(PORTS, map(str, ports)))
    said = server.refuse(**other)
    edges.release_ports(ports)
    assert said.count("\n") == 1 and "TALLY_DATA" in said and server.data in said and "process %d" % server.child.pid in said
    said = server.refuse(TALLY_DATA=os.path.join(server.directory, "other"))
    assert said.count("\n") == len(PORTS) and all(name in said for name in PORTS)
    server.react_and_see("world/undisturbed")


@pytest.mark.slow
def test_the_demo_shows_many_articles(server):
    server.start("--demo")
    def articles():
        known = [line for line in server.get("/metrics", "TALLY_METRICS_PORT").splitlines() if not line.startswith("#")]
        admitted = [float(line.split()[-1]) for line in known if "admitted" in line.split("{")[0]]
        return sum(admitted) >= 30
    server.wait(articles, "30 reactions of simulated readers")
    assert server.count("world/migrant-caravan", "like") >= 0
    assert server.end() == 0
    server.nothing_left()

"""Bad configuration: one clear line that names the option, a non-zero status, and nothing left running."""

import os
import re
import secrets
import subprocess

import pytest

from clients import TIMEOUT_S, unique
from edge import Edge, Process, wait_until

PLUGIN = [
    ("spool", None), ("spool", ""), ("spool", "/proc/no/such/folder"), ("spool", "/dev/null/spool"),
    ("services_file", None), ("services_file", "/no/such/file"),
    ("key_file", None), ("key_file", "/no/such/file"),
    ("shards", "0"), ("shards", "65"), ("shards", "eight"), ("shards", "8.0"), ("shards", "-1"),
    ("ring_bytes", "0"), ("ring_bytes", "1048577"), ("ring_bytes", "1048575"), ("ring_bytes", "1M"), ("ring_bytes", "1073745920"),
    ("kinds", ""), ("kinds", "like,like"), ("kinds", "none"), ("kinds", "Like"), ("kinds", "like,,sad"), ("kinds", "a" * 17),
    ("kinds", ",".join("k%d" % i for i in range(16))),
    ("topic_prefix", "no-slash"), ("topic_prefix", "/"), ("topic_prefix", "a#/"), ("topic_prefix", "a//"),
    ("allow_wildcards", "maybe"), ("auto_id_may_react", "yes please"),
    ("max_subscriptions", "0"), ("max_subscriptions", "65537"), ("max_subscriptions", "many"),
    ("identities", "cookie"), ("identities", "username,username"),
    ("token_keys", "/no/such/file"), ("token_issuer", "somebody"), ("token_audience", "somebody"),
    ("limits", "some"),
    ("reader_rate", "0"), ("reader_rate", "10001"), ("reader_burst", "0"), ("address_rate", "none"), ("address_burst", "1000001"),
    ("connect_rate", "0"), ("connect_burst", "-1"), ("refusal_rate", "0"), ("refusal_burst", "1000001"), ("signature_rate", "0"), ("signature_burst", "15"), ("trusted_proxies", "10.0.0.1/8"), ("trusted_proxies", "proxy.example"), ("auto_create", "perhaps"),
    ("auto_create_rate", "0"), ("max_articles", "0"), ("max_articles", "1000001"),
    ("no_such_option", "1"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An edge that is configured and not started, for the many tests that need no more."""
    edge = Edge(tmp_path_factory.mktemp("edge"))
    yield edge
    edge.close()


@pytest.fixture
def idle(made):
    """It, with its files put back afterwards."""
    names = ("mosquitto.conf", "redis.conf", "services", "reader.key")
    kept = {}
    for name in names:
        with open(made.path(name)) as f:
            kept[name] = f.read()
    yield made
    for name in ("broker", "collector", "feed", "redis"):
        made[name].kill()
        made[name].child = None
    for name, text in kept.items():
        with open(made.path(name), "w") as f:
            f.write(text)
    os.chmod(made.path("services"), 0o600)


def _line_about(text, *words):
    """The lines that hold all the words."""
    return [line for line in text.splitlines() if all(word in line for word in words)]


def _refuses(edge, *words):
    edge["broker"].start()
    assert edge["broker"].wait_exit() != 0
    text = edge["broker"].text()
    assert _line_about(text, *words), text
    edge["broker"].child = None


@pytest.mark.parametrize("name,value", PLUGIN, ids=["%s-%s" % (n, (v or "missing" if v != "" else "empty")[:12]) for n, v in PLUGIN])
def test_plugin_option(idle, name, value):
    idle.edit_broker({name: value})
    path = name == "spool" and value
    _refuses(idle, value if path else name)


def test_plugin_option_given_twice(idle):
    with open(idle.path("mosquitto.conf")) as conf:
        text = re.sub(r"^(plugin_opt_shards .*\n)", r"\1\1", conf.read(), flags=re.MULTILINE)
    with open(idle.path("mosquitto.conf"), "w") as conf:
        conf.write(text)
    _refuses(idle, "shards")


@pytest.mark.parametrize("content,word", [
    ("operator operator\n", "services:1"), ("# fine\noperator boss %s\n" % ("s" * 20), "services:2"),
    ("Operator operator %s\n" % ("s" * 20), "services:1"), ("operator operator short\n", "services:1"),
    ("a operator %s\na operator %s\n" % ("s" * 20, "t" * 20), "services:2"),
], ids=["no-secret", "unknown-role", "bad-name", "short-secret", "twice"])
def test_services_file(idle, content, word):
    with open(idle.path("services"), "w") as services:
        services.write(content)
    _refuses(idle, word)
    for secret in re.findall(r"[st]{20}", content):
        assert secret not in idle["broker"].text()


def test_services_file_that_all_may_read(idle):
    os.chmod(idle.path("services"), 0o644)
    _refuses(idle, "services")


@pytest.mark.parametrize("content", ["", "00", "g" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n\nx"])
def test_key_file(idle, content):
    with open(idle.path("reader.key"), "w") as key:
        key.write(content)
    _refuses(idle, "reader.key")


def test_per_listener_settings(idle):
    with open(idle.path("mosquitto.conf")) as conf:
        text = conf.read()
    with open(idle.path("mosquitto.conf"), "w") as conf:
        conf.write("per_listener_settings true\n" + text)
    # as such a configuration has to look: its options belong to a listener
    _refuses(idle, "per_listener_settings")


def test_a_second_broker_on_the_same_spool(make_edge):
    first, second = make_edge(), make_edge()
    first.start("broker", ready=False)
    second.edit_broker({"spool": first.spool})
    _refuses(second, first.spool, "another broker")
    first.client().say("reactions/" + unique("still"), b"like")
    assert first.header.admitted() == 1


def test_a_second_collector_on_the_same_spool(make_edge):
    edge = make_edge().start()
    second = Process("second", edge.collector_argv(), os.path.join(edge.directory, "second.log"), edge.leaks_env)
    second.start()
    try:
        assert second.wait_exit() != 0
        assert _line_about(second.text(), edge.spool, "another"), second.text()
    finally:
        second.kill()
    edge.client().say("reactions/still", b"like")
    edge.settle()


def test_another_number_of_shards(make_edge):
    """The spool's number is fixed; the line names it."""
    edge = make_edge()
    edge.start("broker", ready=False)
    edge.stop("broker")
    edge.edit_broker({"shards": 3})
    _refuses(edge, "shards")


def test_a_spool_of_other_shards_than_the_store(make_edge):
    """Redis's number is fixed: an edge with another does not apply a thing, and says so."""
    edge = make_edge().start()
    edge.stop("collector", "broker")
    edge.edit_broker({"shards": 3})
    os.rename(edge.spool, edge.spool + ".four")
    os.mkdir(edge.spool, 0o770)
    edge.start("broker", ready=False)
    _collector_refuses(edge, "shards")


def test_another_reader_key(make_edge):
    edge = make_edge().start()
    article = unique("key")
    edge.client().say("reactions/" + article, b"like")
    edge.settle()
    edge.stop("collector", "broker")
    with open(edge.path("reader.key"), "w") as key:
        key.write(secrets.token_hex(16) + "\n")
    edge.start("broker", ready=False)
    _collector_refuses(edge, "key")
    assert edge.store.totals() == {article: {"like": 1}}


def _collector_refuses(edge, word):
    """It ends with a line that holds the word, or stays and /healthz says 503 with the word."""
    edge["collector"].start()

    def refused():
        if not edge["collector"].running():
            return True
        status, text = edge.health()
        return status == 503 and word in text
    wait_until(refused, "the collector to refuse")
    if not edge["collector"].running():
        assert edge["collector"].child.returncode > 0
        edge["collector"].child = None
    assert _line_about(edge["collector"].text(), word), edge["collector"].text()


# --- the daemons ---

def _run(edge, argv):
    done = subprocess.run(argv, env=edge.leaks_env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=TIMEOUT_S)
    return done.returncode, done.stdout


COLLECTOR = [("mqtt-port", "0"), ("mqtt-port", "65536"), ("mqtt-port", "x"), ("redis-port", "-1"), ("batch-records", "0"), ("in-flight", "0"),
             ("log-level", "loud"), ("adopt", "perhaps"), ("durability", "always"), ("no-such-option", "1"), ("services-file", "/no/such/file"),
             ("user", "nobody-known")]
FEED = [("mqtt-port", "0"), ("http-port", "0"), ("http-port", "70000"), ("websocket-port", "x"), ("publish-interval-ms", "x"),
        ("repeat-ms", "x"), ("republish-rate", "0"), ("log-level", "loud"), ("http-address", "not an address"), ("no-such-option", "1"),
        ("services-file", "/no/such/file"), ("user", "nobody-known")]


@pytest.mark.parametrize("program,name,value", [("collector",) + o for o in COLLECTOR] + [("feed",) + o for o in FEED])
def test_daemon_option(idle, program, name, value):
    argv = [a for a in idle[program].argv]
    for i, word in enumerate(argv):
        if word == "--" + name:
            del argv[i:i + 2]
            break
    status, text = _run(idle, argv + ["--%s=%s" % (name, value)])
    assert status != 0
    assert _line_about(text, name.replace("-", "_")) or _line_about(text, name), text


@pytest.mark.parametrize("program,name", [("collector", "spool"), ("collector", "services-file"), ("feed", "services-file")])
def test_daemon_option_missing(idle, program, name):
    argv = list(idle[program].argv)
    at = argv.index("--" + name)
    del argv[at:at + 2]
    status, text = _run(idle, argv)
    assert status != 0 and _line_about(text, name.replace("-", "_"), "missing"), text


def test_http_port_in_use(make_edge):
    edge = make_edge().start("redis", ready=False)
    argv = list(edge["feed"].argv)
    argv[argv.index("--http-port") + 1] = str(edge.redis_port)
    status, text = _run(edge, argv)
    assert status != 0 and _line_about(text, str(edge.redis_port)), text


@pytest.mark.parametrize("setting,value,word", [("appendonly", "no", "append"), ("maxmemory-policy", "allkeys-lru", "noeviction")])
def test_a_redis_that_forgets(make_edge, setting, value, word):
    """Without an append-only file or with eviction nothing is applied, unless an option says otherwise."""
    edge = make_edge()
    with open(edge.path("redis.conf"), "a") as conf:
        conf.write("\n%s %s\n" % (setting, value))
    edge.start("redis", "broker", "feed", ready=False)
    _collector_refuses(edge, word)
    if edge["collector"].child is not None:
        edge.stop("collector")
    edge["collector"].argv = edge.collector_argv("--durability=service")
    edge.start("collector")
    edge.client().say("reactions/forgetful", b"like")
    edge.settle()
    assert edge.store.totals() == {"forgetful": {"like": 1}}


@pytest.mark.parametrize("program", ["collector", "feed"])
def test_a_password_file_that_all_may_read(idle, program):
    path = idle.path("redis-password")
    with open(path, "w") as password:
        password.write("open-sesame\n")
    os.chmod(path, 0o644)
    status, text = _run(idle, idle[program].argv + ["--redis-password-file=" + path])
    assert status != 0
    assert _line_about(text, "redis_password_file") and "open-sesame" not in text, text


@pytest.mark.parametrize("program,other", [("collector", "tally-feed"), ("feed", "tally-collector")])
def test_a_service_of_another_role(idle, program, other):
    status, text = _run(idle, idle[program].argv + ["--user=" + other])
    assert status != 0
    assert _line_about(text, "user"), text


@pytest.mark.parametrize("program", ["collector", "feed"])
def test_help_and_version(idle, program):
    path = idle[program].argv[0]
    status, text = _run(idle, [path, "--help"])
    assert status == 0 and "services_file" in text.replace("-", "_")
    status, text = _run(idle, [path, "--version"])
    assert status == 0 and re.search(r"\d+\.\d+\.\d+", text)

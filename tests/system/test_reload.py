"""SIGHUP to collector and feed: secrets are read again, and nothing ends."""

import os
import re
import signal

import pytest
import redis as redis_py

from edge import wait_until
from load import Load
from test_recovery import _articles, _books, _check

OLD, NEW = "the-first-password-77aa", "the-second-password-88bb"
DAEMONS = ("collector", "feed")


def _write(path, text, mode=0o600):
    with open(path + ".new", "w", opener=lambda name, flags: os.open(name, flags, mode)) as f:
        f.write(text)
    os.rename(path + ".new", path)


def _hang_up(edge, said, daemons=DAEMONS):
    """SIGHUP, and waits until each has said so once more."""
    before = {name: edge[name].text().count(said) for name in daemons}
    for name in daemons:
        edge[name].child.send_signal(signal.SIGHUP)
    for name in daemons:
        wait_until(lambda: not edge[name].running() or edge[name].text().count(said) > before[name], "%s to say %s" % (name, said))
        assert edge[name].running(), edge[name].text()[-2000:]


def _holds(pid):
    """Whether the process has SIGHUP blocked or caught."""
    with open("/proc/%d/status" % pid) as status:
        words = dict(line.split(":", 1) for line in status)
    return any(int(words[name], 16) & 1 << signal.SIGHUP - 1 for name in ("SigBlk", "SigCgt"))


def _restarts(edge):
    return {name: edge[name].child.pid for name in DAEMONS}


@pytest.fixture
def guarded(make_edge):
    """An edge whose Redis wants a password."""
    edge = make_edge()
    edge.password_file = os.path.join(edge.directory, "redis.password")
    _write(edge.password_file, OLD + "\n")
    with open(edge.path("redis.conf"), "a") as conf:
        conf.write("requirepass %s\n" % OLD)
    edge._redis = redis_py.Redis(host="127.0.0.1", port=edge.redis_port, password=OLD, socket_timeout=10)
    for name in DAEMONS:
        edge[name].argv += ["--redis-password-file", edge.password_file]
    return edge.start()


def test_nothing_changed(make_edge):
    edge = make_edge().start()
    pids = _restarts(edge)
    lost = {name: edge[name].text().count("lost") for name in DAEMONS}
    _hang_up(edge, "secrets are unchanged")
    edge.wait_ready()
    assert _restarts(edge) == pids
    assert {name: edge[name].text().count("lost") for name in DAEMONS} == lost  # and no connection ended


def test_signals_of_a_start(make_edge):
    """Before it can do anything about it, and while nobody it wants is there."""
    edge = make_edge()
    for name in DAEMONS:
        edge[name].start()
        wait_until(lambda: _holds(edge[name].child.pid), "main() to begin")
        for _ in range(20):
            edge[name].child.send_signal(signal.SIGHUP)
    wait_until(lambda: all("secrets are unchanged" in edge[name].text() for name in DAEMONS), "the signals to be heard")
    edge.start("redis", "broker")
    edge.wait_ready()


def test_redis_gets_another_password(guarded):
    """Under load, and with the daemons' connections ended, so that only a client with the new one can reconnect."""
    edge = guarded
    pids = _restarts(edge)
    with Load(edge, _articles()) as load:
        load.wait_more(100)
        edge.redis.config_set("requirepass", NEW)
        edge._redis = redis_py.Redis(host="127.0.0.1", port=edge.redis_port, password=NEW, socket_timeout=10)
        own = edge.redis.client_id()
        for client in edge.redis.client_list():
            if int(client["id"]) != own:
                edge.redis.execute_command("CLIENT", "KILL", "ID", client["id"])
        edge.wait_unhealthy("redis")
        wait_until(lambda: all("WRONGPASS" in edge[name].text() for name in DAEMONS), "the old password to be refused")
        load.wait_more(100)
        _write(edge.password_file, NEW + "\n")
        _hang_up(edge, 'msg="secrets reloaded" changed=redis')
        edge.wait_ready()
        load.wait_more(100)
    _check(edge, load)
    assert _restarts(edge) == pids
    assert _books(edge) == (edge.header.admitted(), 0, 0)


def test_a_changed_password_is_used_at_once(guarded):
    """The operator learns at once whether Redis accepts it, not when the next connection happens to end."""
    edge = guarded
    before = {client["id"] for client in edge.redis.client_list()}
    edge.redis.config_set("requirepass", NEW)
    _write(edge.password_file, NEW + "\n")
    _hang_up(edge, 'msg="secrets reloaded" changed=redis')
    edge._redis = redis_py.Redis(host="127.0.0.1", port=edge.redis_port, password=NEW, socket_timeout=10)
    wait_until(lambda: len({client["id"] for client in edge.redis.client_list()} - before) >= 4, "new connections of both")
    edge.wait_ready()


def test_the_broker_gets_other_secrets(make_edge):
    edge = make_edge().start()
    pids = _restarts(edge)
    with open(edge.path("services")) as f:
        services = f.read()
    with Load(edge, _articles()) as load:
        load.wait_more(100)
        changed = re.sub(r"(tally-(?:collector|feed) \w+) \S+", r"\1 another-secret-of-%s-00ff" % "daemons", services)
        assert changed != services
        _write(edge.path("services"), changed)
        edge.stop("broker")
        edge.start("broker", ready=False)
        edge.wait_unhealthy("broker")
        wait_until(lambda: all("broker away" in edge[name].text() for name in DAEMONS), "the old secrets to be refused")
        load.wait_more(50)
        _hang_up(edge, 'msg="secrets reloaded" changed=broker')
        edge.wait_ready()
        load.wait_more(50)
    _check(edge, load)
    assert _restarts(edge) == pids


@pytest.mark.parametrize("how", ["no line", "gone", "mode", "empty password"])
def test_what_cannot_be_read_changes_nothing(guarded, how):
    edge = guarded
    with open(edge.path("services")) as f:
        services = f.read()
    if how == "no line":
        _write(edge.path("services"), "operator operator a-secret-of-nobody-99\n")
    elif how == "gone":
        os.unlink(edge.path("services"))
    elif how == "mode":
        os.chmod(edge.password_file, 0o644)
    else:
        _write(edge.password_file, "\n")
    _hang_up(edge, "cannot reload secrets: keeping the old ones")
    for name in DAEMONS:
        line = [text for text in edge[name].text().splitlines() if "keeping the old ones" in text][-1]
        assert ("services_file" in line or "option user" in line) if how in ("no line", "gone") else "redis_password_file" in line, line
    own = edge.redis.client_id()
    for client in edge.redis.client_list():
        if int(client["id"]) != own:
            edge.redis.execute_command("CLIENT", "KILL", "ID", client["id"])
    wait_until(lambda: all(edge[name].text().count("redis connected") >= 2 for name in DAEMONS), "new connections with the old password")
    edge.wait_ready()
    _write(edge.path("services"), services)
    os.chmod(edge.password_file, 0o600)
    _write(edge.password_file, OLD + "\n")
    _hang_up(edge, "secrets are unchanged")

"""The kinds of fault that script/soak knows. Each is a generator over a schedule: it breaks something, yields while that lasts, and mends it."""

import collections
import glob
import os
import shutil
import signal
import struct
import subprocess
import threading
import time

import redis as redis_py

import spool_bytes
from edge import ROOT, EdgeError, free_ports, release_ports, wait_until
from link import DOWN, UP, Link

Kind = collections.namedtuple("Kind", "name title touches act prepare never_with")

KINDS = {}  # name → Kind, in the order of the table


def kind(name, title, touches, prepare=None, never_with=()):
    """`touches`: what two faults at once may not both touch. `never_with`: words of which two kinds of a schedule may not share one."""
    def add(act):
        KINDS[name] = Kind(name, title, frozenset(touches), act, prepare, frozenset(never_with))
        return act
    return add


def jumped(send, jumps):
    return send


# --- processes ---

def _kill(program):
    def act(schedule, _rng):
        schedule.edge.kill(program)
        yield
        schedule.edge.start(program, ready=False)
    return act


def _stop(program):
    def act(schedule, rng):
        pid = schedule.edge[program].child.pid
        os.kill(pid, signal.SIGSTOP)
        schedule.cleanup.append(lambda: _continue(schedule, program, pid))
        yield
        time.sleep(rng.choice([0.0, 0.0, 0.5, 2.0]))
        os.kill(pid, signal.SIGCONT)
    return act


def _continue(schedule, program, pid):
    if schedule.edge[program].running() and schedule.edge[program].child.pid == pid:
        os.kill(pid, signal.SIGCONT)


def _restart(program):
    def act(schedule, _rng):
        schedule.edge.stop(program)
        yield
        schedule.edge.start(program, ready=False)
    return act


for _program, _title in (("broker", "broker"), ("collector", "collector"), ("feed", "feed"), ("redis", "Redis")):
    kind(_program + "-killed", _title + " killed", [_program])(_kill(_program))
    kind(_program + "-stopped", _title + " stopped for a while", [_program])(_stop(_program))
    kind(_program + "-restarted", _title + " restarted", [_program])(_restart(_program))


# --- links ---

LINKS = {"collector-redis": ("collector", "--redis-port"), "feed-redis": ("feed", "--redis-port"),
         "collector-broker": ("collector", "--mqtt-port"), "feed-broker": ("feed", "--mqtt-port"), "clients": (None, None)}
LINK_TITLES = {"collector-redis": "collector to Redis", "feed-redis": "feed to Redis", "collector-broker": "collector to broker",
               "feed-broker": "feed to broker", "clients": "readers to broker"}


def _lay(name):
    """Puts the link between the two."""
    def prepare(schedule):
        edge, (program, option) = schedule.edge, LINKS[name]
        if program is None:
            schedule.links.setdefault("clients-tcp", Link(edge.mqtt_port))
            schedule.links.setdefault("clients-ws", Link(edge.ws_port))
        elif name not in schedule.links:
            argv = edge[program].argv
            at = argv.index(option) + 1
            schedule.links[name] = Link(int(argv[at]))
            argv[at] = str(schedule.links[name].port)
    return prepare


def _links(schedule, name):
    return [schedule.links[one] for one in (("clients-tcp", "clients-ws") if name == "clients" else (name,))]


def _cut(name):
    def act(schedule, _rng):
        for link in _links(schedule, name):
            link.cut()
        yield
        for link in _links(schedule, name):
            link.mend()
    return act


def _slow(name):
    def act(schedule, rng):
        for link in _links(schedule, name):
            link.slow(rng.uniform(0.005, 0.1), rng.choice([64, 512, 4096]))
        yield
        for link in _links(schedule, name):
            link.mend()
    return act


def _half_open(name):
    def act(schedule, rng):
        held = rng.choice([(UP,), (DOWN,), (UP, DOWN)])
        forget = rng.random() < 0.7
        for link in _links(schedule, name):
            link.half_open(held)
        yield
        time.sleep(rng.choice([0.0, 0.0, 0.0, 3.5]))  # longer than some patience
        for link in _links(schedule, name):
            link.mend(forget)
    return act


for _name, _title in LINK_TITLES.items():
    kind(_name + "-cut", _title + " cut", [_name], _lay(_name))(_cut(_name))
    kind(_name + "-slow", _title + " slow", [_name], _lay(_name))(_slow(_name))
    kind(_name + "-half-open", _title + " half open", [_name], _lay(_name))(_half_open(_name))


# --- what Redis says, and what it forgot ---

@kind("redis-oom", "Redis says OOM", ["redis"])
def _oom(schedule, _rng):
    schedule.edge.redis.config_set("maxmemory", 1)
    yield
    schedule.edge.redis.config_set("maxmemory", 0)


@kind("redis-readonly", "Redis says READONLY", ["redis"])
def _readonly(schedule, _rng):
    (dead,) = free_ports(1)
    schedule.edge.redis.execute_command("REPLICAOF", "127.0.0.1", dead)
    yield
    schedule.edge.redis.execute_command("REPLICAOF", "NO", "ONE")
    release_ports([dead])


@kind("redis-noscript", "Redis says NOSCRIPT", ["redis"])
def _noscript(schedule, rng):
    for _ in range(rng.randint(1, 8)):
        schedule.edge.redis.script_flush()
        time.sleep(rng.uniform(0.0, 0.05))
    yield


@kind("redis-busy", "Redis says BUSY", ["redis"])
def _busy(schedule, rng):
    """A script that does not end; it is said to be so after a while in which Redis answers nothing at all."""
    edge = schedule.edge
    for name in ("busy-reply-threshold", "lua-time-limit"):
        try:
            edge.redis.config_set(name, rng.choice([10, 100, 400]))
            break
        except redis_py.exceptions.ResponseError:
            continue
    other = redis_py.Redis(host="127.0.0.1", port=edge.redis_port)

    def spin():
        try:
            other.eval("while true do end", 0)
        except redis_py.exceptions.RedisError:
            pass
    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    yield

    def ended():
        try:
            edge.redis.execute_command("SCRIPT", "KILL")
        except redis_py.exceptions.ResponseError as error:
            return "NOTBUSY" in str(error) and not thread.is_alive()
        return False
    wait_until(ended, "the endless script to end")
    other.close()
    edge.redis.config_set(name, 5000)


@kind("redis-drops-clients", "Redis drops its clients", ["redis"])
def _drops(schedule, rng):
    for _ in range(rng.randint(1, 4)):
        own = schedule.edge.redis.client_id()
        for client in schedule.edge.redis.client_list():
            if int(client["id"]) != own:
                schedule.edge.redis.execute_command("CLIENT", "KILL", "ID", client["id"])
        time.sleep(rng.uniform(0.0, 0.1))
    yield


def _refill(folder, copy):
    """The folder's content becomes the copy's; the folder itself stays, as it may be a file system of its own."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    shutil.copytree(copy, folder, dirs_exist_ok=True)
    shutil.rmtree(copy)


@kind("redis-lost-seconds", "Redis lost its last second", ["redis"], never_with=["rewind"])
def _lost_seconds(schedule, rng):
    edge = schedule.edge
    own, copy = edge.path("redis"), os.path.join(schedule.directory, "redis.before")
    shutil.copytree(own, copy)
    time.sleep(rng.uniform(0.3, 1.2))
    edge.kill("redis")
    _refill(own, copy)
    yield
    edge.start("redis", ready=False)


def _append_only(edge):
    return max(glob.glob(os.path.join(glob.escape(edge.path("redis")), "appendonlydir", "*.incr.aof")), key=os.path.getmtime)


@kind("redis-torn-aof", "Redis's file was torn", ["redis"], never_with=["rewind"])
def _torn(schedule, rng):
    """Cut anywhere in what was written last."""
    edge = schedule.edge
    path = _append_only(edge)
    before = os.path.getsize(path)
    time.sleep(rng.uniform(0.2, 1.0))
    edge.kill("redis")
    size = os.path.getsize(path)
    if size > before:
        os.truncate(path, rng.randint(before, size - 1))
    yield
    edge.start("redis", ready=False)


# --- the spool ---

@kind("spool-unwritten", "spool: rubbish where nothing is written", ["broker", "spool"])
def _unwritten(schedule, rng):
    edge = schedule.edge
    edge.kill("broker")
    for path in spool_bytes.rings(edge.spool).values():
        ring = spool_bytes.Ring(path)
        capacity, write, read = ring.capacity(), ring.write(), ring.read()
        for _ in range(4):
            room = capacity - (write - read)
            if room <= 0:
                break
            position = write + rng.randrange(room)
            length = min(rng.randint(1, 200), write + room - position, capacity - position % capacity)
            spool_bytes.poke(path, spool_bytes.HEADER_BYTES + position % capacity, rng.randbytes(length))
    yield
    edge.start("broker", ready=False)


@kind("spool-rotated", "spool: rings renamed under load", ["spool"])
def _rotated(schedule, _rng):
    for path in spool_bytes.rings(schedule.edge.spool).values():
        spool_bytes.poke(path, spool_bytes.ROTATE_AT, struct.pack("<I", 1))
    yield


@kind("spool-of-another-boot", "spool of another boot", ["broker", "collector", "spool"])
def _another_boot(schedule, rng):
    edge = schedule.edge
    edge.kill("collector")
    time.sleep(rng.uniform(0.0, 0.3))
    edge.kill("broker")
    for path in spool_bytes.rings(edge.spool).values():
        spool_bytes.Ring(path).set_boot_id(rng.randbytes(16))
    yield
    edge.start("broker", "collector", ready=False)


@kind("spool-damaged", "spool: a record damaged", ["broker", "collector", "redis", "collector-redis", "spool"], never_with=["rewind"])
def _damaged(schedule, rng):
    """One record a ring at most, which Redis has not applied and after which another one stands: what is lost then is that one, and is
    counted so."""
    edge = schedule.edge
    edge.kill("collector")
    schedule.await_clicks(30)
    edge.kill("broker")
    positions = edge.store.rings()
    for path in spool_bytes.rings(edge.spool).values():
        ring = spool_bytes.Ring(path)
        position = positions.get(ring.key(), (0,))[0]
        waiting = [r for r in ring.records() if r.position >= position]
        if len(waiting) > 1 and rng.random() < 0.7:
            record = rng.choice(waiting[:-1])
            at = spool_bytes.HEADER_BYTES + record.position % ring.capacity() + rng.randrange(16, record.length)
            with open(path, "rb") as f:
                f.seek(at)
                (byte,) = f.read(1)
            spool_bytes.poke(path, at, bytes([byte ^ 1 << rng.randrange(8)]))
            schedule.excused.append(record)
    yield
    edge.start("broker", "collector", ready=False)

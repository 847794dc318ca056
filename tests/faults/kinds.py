"""The kinds of fault that script/soak knows. Each is a generator over a schedule: it breaks something, yields while that lasts, and repairs it."""

import collections
import copy
import ctypes
import errno
import functools
import glob
import os
import shutil
import signal
import struct
import subprocess
import threading
import time

import redis as redis_py

import failover
import spool_bytes
from edge import EdgeError, fill, free_ports, release_ports, wait_until
from link import DOWN, UP, Link
from store import crc32c

Kind = collections.namedtuple("Kind", "name title touches act prepare never_with needs")

KINDS = {}  # name → Kind, in the order of the table


def kind(name, title, touches, prepare=None, never_with=(), needs=lambda: None):
    """`touches`: what two faults at once may not both touch. `never_with`: words of which two kinds of a schedule may not share one. `needs`:
    gives the reason why this machine cannot cause it, or None."""
    def add(act):
        KINDS[name] = Kind(name, title, frozenset(touches), act, prepare, frozenset(never_with), needs)
        return act
    return add


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


def _broken(name, how):
    """`how`(link, rng) breaks one of its links."""
    def act(schedule, rng):
        for link in _links(schedule, name):
            how(link, rng)
        yield
        for link in _links(schedule, name):
            link.mend()
    return act


def _cut(link, _rng):
    link.cut()


def _slow(link, rng):
    link.slow(rng.uniform(0.005, 0.1), rng.choice([64, 512, 4096]))


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
    kind(_name + "-cut", _title + " cut", [_name], _lay(_name))(_broken(_name, _cut))
    kind(_name + "-slow", _title + " slow", [_name], _lay(_name))(_broken(_name, _slow))
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


def _lay_failover(schedule):
    if schedule.failover is None:
        schedule.links["redis-name"] = failover.lay(schedule.edge, list(schedule.links.values()))
        schedule.failover = failover.Failover(schedule.edge, schedule.links["redis-name"])


@kind("redis-failover", "Redis's replica promoted, its name moved", ["redis", "collector-redis", "feed-redis"], _lay_failover,
      never_with=["rewind", "preload", "two-redis"])
def _failover(schedule, rng):
    """The old primary is demoted but stays up, as do the connections to it. For a while the name may lead to no primary, or both may be one."""
    moving = schedule.failover
    moving.wait_replica()
    steps = [moving.demote, moving.move]
    rng.shuffle(steps)
    moving.promote()
    for step in steps:
        time.sleep(rng.choice([0.0, 0.0, 0.1, 0.5]))
        step()
    yield
    schedule.before_judging["failover"] = lambda: wait_until(lambda: not moving.left_behind(), "every connection to leave the demoted primary")


@kind("redis-noscript", "Redis says NOSCRIPT", ["redis"])
def _noscript(schedule, rng):
    for _ in range(rng.randint(1, 8)):
        schedule.edge.redis.script_flush()
        time.sleep(rng.uniform(0.0, 0.05))
    yield


@kind("redis-busy", "Redis says BUSY", ["redis"])
def _busy(schedule, rng):
    """A script that does not end. Redis answers nothing at all for a while, then reports it."""
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
    """The folder's content becomes the copy's; the folder itself stays, as it may be a separate file system."""
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
    """Cut anywhere in the last writes. The rest of a transaction must not become part of what follows, which another start shows."""
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
    schedule.before_judging["redis"] = functools.partial(_start_once_more, schedule)


def _start_once_more(schedule):
    """Equal counts at the end prove nothing: mostly the leftover commands are the same as those written again after them."""
    edge = schedule.edge
    edge.kill("redis")
    edge.start("redis", ready=False)
    if "sending an error to its AOF" in edge["redis"].text():
        schedule.problem("Redis loaded what cannot be: " + edge["redis"].text()[-2000:])


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


@kind("spool-full", "spool: a ring full", ["collector", "collector-redis", "redis", "broker", "spool"])
def _full(schedule, rng):
    """Refused are the articles of that ring's shard alone, until it is drained."""
    edge = schedule.edge
    edge.kill("collector")
    fill(edge, "full/%d" % rng.randrange(1000))
    edge.clients.pop().close()
    yield
    edge.start("collector", ready=False)


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
    """At most one record per ring, which Redis has not applied and which another one follows: exactly that record is lost and
    counted as lost."""
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


def _another_header(schedule, path, rng):
    """A version that nobody knows, in a header that is whole otherwise; or a header with a byte changed."""
    with open(path, "r+b") as f:
        raw = bytearray(f.read(spool_bytes.RING_CRC_AT))
        if rng.random() < 0.5:
            raw[8] = rng.randint(2, 255)
            raw += struct.pack("<I", crc32c(raw))
        else:
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        f.seek(0)
        f.write(raw)


@kind("spool-rings-unknown", "spool: rings of another version", ["broker", "collector", "redis", "collector-redis", "spool"])
def _rings_unknown(schedule, rng):
    """All of their records are applied already, because nothing in them can be read any more: nothing is lost."""
    edge = schedule.edge
    edge.kill("broker")
    edge.settle()
    edge.kill("collector")
    for path in spool_bytes.rings(edge.spool).values():
        _another_header(schedule, path, rng)
    yield
    edge.start("broker", "collector", ready=False)


@kind("spool-of-another-version", "spool of another version", ["broker", "spool"])
def _another_version(schedule, rng):
    """The broker does not start, and logs the reason; the operator puts the file back."""
    edge = schedule.edge
    edge.kill("broker")
    path = edge.header.path
    with open(path, "rb") as f:
        whole = f.read()
    spool_bytes.poke(path, 8, struct.pack("<I", rng.randint(2, 1 << 31)))
    edge["broker"].start()
    if edge["broker"].wait_exit() == 0 or "not an edge file of version 1" not in edge["broker"].text():
        raise EdgeError("the broker ended, but not with a reason: " + edge["broker"].text()[-1000:])
    yield
    spool_bytes.poke(path, 8, whole[8:12])
    edge.start("broker", ready=False)


# --- a full disk ---

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x00020000


@functools.lru_cache(None)
def _no_mounts():
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if tried.returncode == 0 else "no right to mount a small file system: " + tried.stdout.strip()


def _small_disk(folder, size):
    """A separate file system for one of the edge's folders. Only this process and its children see it, and it ends with them."""
    def prepare(schedule):
        path = schedule.edge.path(folder)
        if _libc.unshare(CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        for argv in (["mount", "--make-rprivate", "/"], ["mount", "-t", "tmpfs", "-o", "mode=0700,size=%d" % size, "none", path]):
            subprocess.run(argv, check=True)
        schedule.disks.append(path)
    return prepare


def _fill_disk(folder):
    path = os.path.join(folder, "filler")
    with open(path, "wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return path


@kind("disk-full-spool", "disk full under the spool", ["spool"], _small_disk("spool", 48 << 20), needs=_no_mounts)
def _disk_full_spool(schedule, rng):
    """New rings are asked for, and cannot be made; and the broker may have to start so."""
    edge = schedule.edge
    filler = _fill_disk(edge.spool)
    for path in spool_bytes.rings(edge.spool).values():
        spool_bytes.poke(path, spool_bytes.ROTATE_AT, struct.pack("<I", 1))
    yield
    os.unlink(filler)


@kind("disk-full-redis", "disk full under Redis", ["redis"], _small_disk("redis", 64 << 20), never_with=["two-redis"], needs=_no_mounts)
def _disk_full_redis(schedule, _rng):
    filler = _fill_disk(schedule.edge.path("redis"))
    yield
    time.sleep(1.5)  # it writes once a second, and is to fail
    os.unlink(filler)


# --- failing system calls ---

# Not close: the kernel's gives a descriptor back even where it says that it failed, libfiu's does not.
CALLS = [("posix/io/rw/*",), ("posix/io/net/*",), ("posix/io/oc/open", "posix/io/dir/rename", "posix/io/dir/unlink"),
         ("posix/io/sync/*", "posix/mm/mmap", "posix/mm/madvise"), ("posix/io/rw/*", "posix/io/net/*", "posix/io/oc/open", "posix/mm/mmap")]


def _no_fiu():
    return None if shutil.which("fiu-run") and shutil.which("fiu-ctrl") else "fiu-run is not there (package fiu-utils)"


def _under_fiu(program):
    def prepare(schedule):
        process = schedule.edge[program]
        if "fiu-run" not in process.argv[0]:
            process.argv = [shutil.which("fiu-run"), "-x", "-f", os.path.join(schedule.directory, "fiu-" + program)] + process.argv
    return prepare


def _tell_fiu(schedule, program, commands):
    """Nobody listens where the program ended meanwhile, and the next one fails nothing."""
    process = schedule.edge[program]
    fifo = os.path.join(schedule.directory, "fiu-%s-%d.in" % (program, process.child.pid))
    if process.running() and os.path.exists(fifo):
        argv = ["fiu-ctrl", "-f", os.path.join(schedule.directory, "fiu-" + program)]
        subprocess.run(argv + [word for one in commands for word in ("-c", one)] + [str(process.child.pid)], check=True,
                       stdout=subprocess.DEVNULL, timeout=20)


def _failing_calls(program):
    def act(schedule, rng):
        calls = rng.choice(CALLS)
        probability = rng.choice([0.005, 0.02, 0.1, 0.4])
        _tell_fiu(schedule, program, ["enable_random name=%s,probability=%.3f" % (name, probability) for name in calls])
        if program in ("broker", "collector") and rng.random() < 0.5:
            for path in spool_bytes.rings(schedule.edge.spool).values():  # so that files are made, opened and mapped
                spool_bytes.poke(path, spool_bytes.ROTATE_AT, struct.pack("<I", 1))
        yield
        _tell_fiu(schedule, program, ["disable name=" + name for name in calls])
        schedule.revive(program)
    return act


for _program, _title in (("broker", "broker"), ("collector", "collector"), ("feed", "feed"), ("redis", "Redis")):
    kind(_program + "-calls-fail", _title + "'s system calls fail", [_program, "spool"] if _program in ("broker", "collector") else [_program],
         _under_fiu(_program), never_with=["preload"], needs=_no_fiu)(_failing_calls(_program))


# --- clocks ---

def _faketime_library():
    return next(iter(sorted(glob.glob("/usr/lib/*/faketime/libfaketime.so.1"))), None)


def _no_faketime():
    return None if _faketime_library() else "libfaketime is not there (package faketime)"


DAEMONS = ("broker", "collector", "feed")


def _under_faketime(schedule):
    """A file sets its wall clock; its monotonic clock keeps running."""
    for program in DAEMONS:
        process = schedule.edge[program]
        if "FAKETIME_TIMESTAMP_FILE" in process.env:
            continue
        _set_clock(schedule, program, 0)
        process.env = dict(process.env, LD_PRELOAD=_faketime_library(), FAKETIME_TIMESTAMP_FILE=_clock(schedule, program), FAKETIME_NO_CACHE="1",
                           FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1", NO_FAKE_STAT="1")
        process.start = functools.partial(_start_and_note, process, process.start, schedule.faked)


def _start_and_note(process, start, pids):
    start()
    pids.append(process.child.pid)


def forget_faked(pids):
    """What libfaketime leaves in /dev/shm of a program that is killed."""
    for pid in pids:
        for name in ("faketime_shm_%d" % pid, "sem.faketime_sem_%d" % pid):
            try:
                os.unlink(os.path.join("/dev/shm", name))
            except FileNotFoundError:
                pass


def _clock(schedule, program):
    return os.path.join(schedule.directory, program + ".clock")


def _set_clock(schedule, program, by_s):
    path = _clock(schedule, program)
    with open(path + ".new", "w") as f:
        f.write("%+.3f\n" % by_s)
    os.rename(path + ".new", path)


def _jump(programs):
    def act(schedule, rng):
        by_s = rng.choice([0.5, 1.5, 5.0, 60.0, 3600.0]) * rng.choice([-1, 1])
        from_ms = time.time() * 1000
        for program in programs:
            _set_clock(schedule, program, by_s)
        if "broker" in programs:
            schedule.jumps.append((from_ms, float("inf"), by_s * 1000))
        yield
        for program in programs:
            _set_clock(schedule, program, 0)
        if "broker" in programs:
            schedule.jumps[-1] = (from_ms, time.time() * 1000, by_s * 1000)
    return act


AHEAD_MS = 2000  # stamps continue up to this far ahead of a clock that went back (DESIGN, stamps)


def jumped(send, jumps):
    """The send with the stamps that the broker's clock may have given it."""
    made = copy.copy(send)
    arrived_ms = send.to_ms + send.age_ms
    for from_ms, to_ms, by_ms in jumps:
        if arrived_ms >= from_ms - 50:
            made.to_ms += AHEAD_MS
        if arrived_ms >= from_ms - 50 and send.sent_ms <= to_ms + 50:
            made.from_ms, made.to_ms = made.from_ms + min(0, by_ms), made.to_ms + max(0, by_ms)
    return made


for _name, _title, _programs in (("broker", "broker's clock jumps", ["broker"]), ("collector", "collector's clock jumps", ["collector"]),
                                 ("feed", "feed's clock jumps", ["feed"]), ("edge", "edge's clock jumps", list(DAEMONS))):
    kind(_name + "-clock", _title, ["clock"], _under_faketime, never_with=["preload"], needs=_no_faketime)(_jump(_programs))


@kind("redis-clock", "Redis's clock jumps", ["redis", "clock"], never_with=["rewind", "preload"])
def _redis_clock(schedule, rng):
    """From one start to the next. (Debian's libfaketime and Redis's jemalloc cannot start together.)"""
    edge = schedule.edge
    edge.stop("redis")
    edge.skew_redis(int(rng.choice([500, 1500, 5000, 3600000]) * rng.choice([-1, 1])))
    edge.start("redis", ready=False)
    yield
    edge.stop("redis")
    edge.skew_redis(0)
    edge.start("redis", ready=False)


import cluster_kinds  # noqa: E402, F401: further kinds, which need what is above


def store_of(name):
    """"cluster" or "one" where the kind wants the one or the other for a store, else None."""
    touches = KINDS[name].touches
    return "cluster" if "cluster" in touches else "one" if touches & {"redis", "collector-redis", "feed-redis"} else None


def left_out():
    """name → why this machine cannot bring it about."""
    return {name: why for name, why in ((one.name, one.needs()) for one in KINDS.values()) if why}

"""Several Redis servers that hold one store: the nodes of a cluster, three masters with a replica each, or one master and its replica under
three Sentinels. All on free ports of 127.0.0.1, with their data in a folder of the test's. Used by the system tests and by script/prove."""

import os
import shutil
import signal
import subprocess

import redis as redis_py
import redis.cluster  # noqa: F401: key_slot

import redis_server
from edge import BLOCK, ROOT, EdgeError, Process, free_ports, release_ports, wait_until

SLOTS = 16384
NODE_TIMEOUT_MS = 2000
DOWN_AFTER_MS = 1000  # until a Sentinel takes a master for down
NODE_CONF = """port %(port)d
bind 127.0.0.1
dir "%(folder)s"
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
repl-diskless-sync yes
repl-diskless-sync-delay 0
repl-ping-replica-period 1
"""
CLUSTER_CONF = """cluster-enabled yes
cluster-config-file nodes.conf
cluster-port %(bus)d
cluster-node-timeout %(timeout)d
cluster-require-full-coverage no
cluster-replica-validity-factor 0
cluster-allow-replica-migration no
"""
REDIS_ERROR = redis_py.exceptions.RedisError


def skewed_env(folder, skew_ms):
    """The environment of a server whose clock is off by so much."""
    library = os.path.join(folder, "skewed_clock.so")
    source = os.path.join(ROOT, "tests", "faults", "skewed_clock.c")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source], check=True)
    return dict(os.environ, LD_PRELOAD=library, SKEW_MS=str(skew_ms))


class Node:
    """One server. It survives restarts with its port, its folder and, in a cluster, its id."""

    def __init__(self, folder, port, conf, env=None, sentinel=False):
        self.folder, self.port, self.id = folder, port, None
        os.makedirs(folder)
        self.conf = os.path.join(folder, "redis.conf")
        with open(self.conf, "w") as file:
            file.write(conf)
        argv = [redis_server.program(), self.conf] + (["--sentinel"] if sentinel else [])
        self.process = Process("redis", argv, os.path.join(folder, "redis.log"), env or dict(os.environ))
        self.redis, self._raw = [redis_py.Redis(host="127.0.0.1", port=port, socket_timeout=5.0, socket_connect_timeout=5.0) for _ in range(2)]
        self._raw.response_callbacks.clear()
        self.stopped = False

    def __repr__(self):
        return "127.0.0.1:%d" % self.port

    def start(self):
        self.process.start()

    def ask(self, *words):
        """The answer as the server gave it, whatever redis-py would make of it."""
        return self._raw.execute_command(*words)

    def running(self):
        return self.process.running() and not self.stopped

    def kill(self):
        """kill -9."""
        if self.stopped:
            self.go_on()
        self.process.kill()
        for client in (self.redis, self._raw):
            client.connection_pool.disconnect()

    def hang(self):
        """SIGSTOP: its connections stay open, and nothing answers."""
        os.kill(self.process.child.pid, signal.SIGSTOP)
        self.stopped = True

    def go_on(self):
        os.kill(self.process.child.pid, signal.SIGCONT)
        self.stopped = False

    def empty(self):
        """Deletes its data, but not its place in the cluster. While it is down."""
        assert not self.process.running()
        shutil.rmtree(os.path.join(self.folder, "appendonlydir"), ignore_errors=True)
        if os.path.exists(os.path.join(self.folder, "dump.rdb")):
            os.remove(os.path.join(self.folder, "dump.rdb"))

    def answers(self):
        try:
            return self.running() and self.redis.ping()
        except REDIS_ERROR:
            return False

    def replication(self):
        """INFO replication; {} while it does not answer."""
        try:
            return self.redis.info("replication") if self.running() else {}
        except REDIS_ERROR:
            return {}

    def is_master(self):
        return self.replication().get("role") == "master"

    def follows(self):
        """Whether it is a replica that has everything its master has, except writes under way."""
        said = self.replication()
        return said.get("role") == "slave" and said["master_link_status"] == "up" and not said["master_sync_in_progress"]

    def go_stale(self, master):
        """Ends its replication until catch_up(): it keeps what it has."""
        self.redis.config_set("masterauth", "x")
        master.redis.execute_command("CLIENT", "KILL", "TYPE", "replica")
        wait_until(lambda: self.replication().get("master_link_status") == "down", "%r to lose its master" % self)

    def catch_up(self):
        self.redis.config_set("masterauth", "")

    def applied(self, shard):
        """How many records of the shard's rings it knows to be applied, replica or not."""
        with self.redis.client() as one:
            if self.replication().get("role") == "slave" and one.info("cluster")["cluster_enabled"]:
                one.execute_command("READONLY")
            return sum(int.from_bytes(raw[8:16], "little") for raw in one.hgetall("tally:{%d}:rings" % shard).values())


class Servers:
    """What Cluster and Sentinels have in common. `redis` looks like a redis-py client of one Redis; an Edge is given `options()`."""

    def __init__(self, directory):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.nodes, self.helpers, self.ports = [], [], []

    def take_ports(self, n):
        taken = free_ports(min(n, BLOCK))
        self.ports.append(taken)
        return taken

    def all(self):
        return self.nodes + self.helpers

    def start(self):
        for node in self.all():
            node.start()
        wait_until(lambda: all(node.answers() for node in self.all()), "the servers to come up")

    def close(self):
        for node in self.all():
            node.kill()
        for ports in self.ports:
            release_ports(ports)

    def logs(self, tail=1500):
        return "\n".join("--- %r, %s ---\n%s" % (node, node.replication().get("role", "down"), node.process.text(all_starts=True)[-tail:])
                         for node in self.all())

    def options(self):
        return ["--redis-url=" + self.url()]

    def first_port(self):
        return self.nodes[0].port

    def wait_promoted(self, node):
        wait_until(node.is_master, "%r to be promoted" % node, every_s=0.01)

    def heal(self):
        """Every server up and not held up, every replica with its master, everybody of one mind."""
        for node in self.all():
            if node.stopped:
                node.go_on()
            if not node.process.running():
                node.start()
        wait_until(lambda: all(node.answers() for node in self.all()), "the servers to come up")
        for node in self.nodes:
            node.catch_up()
        wait_until(self.is_whole, "the servers to be whole again")


class Cluster(Servers):
    """`skew_ms`: node's number → how far its clock is off. Nodes 0 to 2 begin as masters, 3 to 5 as their replicas."""

    def __init__(self, directory, masters=3, skew_ms=None, timeout_ms=NODE_TIMEOUT_MS):
        super().__init__(directory)
        count = 2 * masters
        ports, buses = self.take_ports(count), self.take_ports(count)
        self.masters_at_first = masters
        for i in range(count):
            folder = os.path.join(self.directory, "node-%d" % i)
            values = {"port": ports[i], "bus": buses[i], "folder": folder, "timeout": timeout_ms}
            env = skewed_env(self.directory, skew_ms[i]) if i in (skew_ms or {}) else None
            self.nodes.append(Node(folder, ports[i], (NODE_CONF + CLUSTER_CONF) % values, env))
        self.buses = buses
        self.redis = ClusterRedis(self)

    def url(self):
        """Of three of them: the first master, a replica of another, and the last."""
        return "redis://" + ",".join("127.0.0.1:%d" % node.port for node in (self.nodes[0], self.nodes[4 % len(self.nodes)], self.nodes[-1]))

    def start(self):
        super().start()
        n = self.masters_at_first
        for i, node in enumerate(self.nodes):
            node.id = node.ask("CLUSTER", "MYID").decode()
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            if i < n:
                node.ask("CLUSTER", "ADDSLOTSRANGE", i * SLOTS // n, (i + 1) * SLOTS // n - 1)
        for i, node in enumerate(self.nodes):
            for other, bus in list(zip(self.nodes, self.buses))[i + 1:]:
                node.ask("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
        wait_until(lambda: all(len(self._known(node)) == len(self.nodes) for node in self.nodes), "the nodes to meet")
        for i, node in enumerate(self.nodes[n:]):
            node.ask("CLUSTER", "REPLICATE", self.nodes[i].id)
        wait_until(self.is_whole, "the cluster to be whole")
        return self

    @staticmethod
    def _known(node):
        """The ids that it knows and is connected to."""
        lines = map(str.split, node.ask("CLUSTER", "NODES").decode().splitlines())
        return {words[0] for words in lines if words[7] == "connected" and not {"handshake", "fail", "fail?"} & set(words[2].split(","))}

    def slots(self, node):
        """As this node sees it: [(first, last, port of the master, {ports of the replicas})]."""
        ranges = node.ask("CLUSTER", "SLOTS")
        return sorted((first, last, master[1], frozenset(replica[1] for replica in replicas)) for first, last, master, *replicas in ranges)

    def is_whole(self):
        """All nodes see the same, each slot has a master, and each master a replica with all that it has."""
        try:
            first, *others = [self.slots(node) for node in self.nodes]
            seen = sum(last - start + 1 for start, last, _master, replicas in first if replicas)
            agreed = seen == SLOTS and all(other == first for other in others)
            return agreed and all(self._is_well(node) for node in self.nodes)
        except REDIS_ERROR:
            return False

    def _is_well(self, node):
        return (len(self._known(node)) == len(self.nodes) and b"cluster_state:ok" in node.ask("CLUSTER", "INFO")
                and (node.is_master() or node.follows()))

    # --- who has what ---

    def owner(self, slot):
        """Its master, as the first node says that is up."""
        for node in self.nodes:
            try:
                found = node.running() and self._owner_seen_by(node, slot)
            except REDIS_ERROR:
                continue
            if found:
                return found
        raise redis_py.exceptions.ConnectionError("no node says who owns slot %d" % slot)

    def _owner_seen_by(self, node, slot):
        for first, last, port, _replicas in self.slots(node):
            if first <= slot <= last:
                return next(one for one in self.nodes if one.port == port)
        return None

    @staticmethod
    def slot_of(place):
        """Of a shard's number, or of "store"."""
        return redis_py.cluster.key_slot(b"tally:store" if place == "store" else b"{%d}" % place)

    def master_of(self, place):
        return self.owner(self.slot_of(place))

    def replica_of(self, master):
        return next(node for node in self.nodes if node.replication().get("master_port") == master.port)

    def shards_of(self, node, shards):
        return [shard for shard in range(shards) if self.master_of(shard) is node]

    def masters(self):
        return [node for node in self.nodes if node.is_master()]

    def fail_over(self, master):
        """kill -9, and waits until its replica has its place. Returns that."""
        replica = self.replica_of(master)
        master.kill()
        self.wait_promoted(replica)
        return replica

    # --- resharding, the old way ---

    def move_slot(self, slot, to, keys_at_once=10, at_each=lambda: None):
        """SETSLOT and MIGRATE, as redis-cli does. `at_each` is called between the steps."""
        source = self.owner(slot)
        assert source is not to
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
        moved = 0
        while True:
            keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, keys_at_once)
            if not keys:
                break
            try:
                source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
            except redis_py.exceptions.ResponseError as error:
                if "CLUSTERDOWN" not in str(error):
                    raise
                # On a busy machine nodes lose sight of each other for a moment: nothing was done.
                wait_until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in (source, to)), "the cluster to be up")
                continue
            moved += len(keys)
            at_each()
        for node in [to, source] + [other for other in self.masters() if other not in (to, source)]:
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", to.id)
        self._wait_moved(slot, to)
        return moved

    def _wait_moved(self, slot, to):
        wait_until(lambda: all(self._owner_seen_by(node, slot) is to for node in self.nodes), "all nodes to know where slot %d is" % slot)

    # --- resharding, the new way ---

    def moves_slots_whole(self):
        """Whether the servers have CLUSTER MIGRATESLOTS: Valkey from 9 on."""
        return self.nodes[0].ask("COMMAND", "INFO", "CLUSTER|MIGRATESLOTS") != [None]

    def move_slot_whole(self, slot, to):
        """CLUSTER MIGRATESLOTS: the target gets the slot as a replica gets a store, and then owns all of it at once. Returns the keys moved."""
        source = self.owner(slot)
        assert source is not to
        keys, before = source.ask("CLUSTER", "COUNTKEYSINSLOT", slot), set(self._exports(source, slot))
        source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.id)

        def ended():
            said = [job for name, job in self._exports(source, slot).items() if name not in before]
            if said and said[0][b"state"] in (b"failed", b"canceled", b"cancelled"):
                raise EdgeError("%r did not give slot %d away: %r" % (source, slot, said[0]))
            return said and said[0][b"state"] == b"success"
        wait_until(ended, "%r to give slot %d away" % (source, slot))
        self._wait_moved(slot, to)
        return keys

    @staticmethod
    def _exports(node, slot):
        """Its jobs that move only this slot away: name → its description of each."""
        jobs = [dict(zip(*[iter(words)] * 2)) for words in node.ask("CLUSTER", "GETSLOTMIGRATIONS")]
        return {job[b"name"]: job for job in jobs if (job[b"operation"], job[b"slot_ranges"]) == (b"EXPORT", b"%d-%d" % (slot, slot))}


class ClusterRedis:
    """The few commands that Store and the tests use, each sent to the owner of its key."""

    def __init__(self, cluster):
        self.cluster = cluster

    def __getattr__(self, name):
        def call(key, *arguments, **more):
            slot = redis_py.cluster.key_slot(key if isinstance(key, bytes) else key.encode())
            return getattr(self.cluster.owner(slot).redis, name)(key, *arguments, **more)
        return call

    def scan_iter(self, match, count):
        for master in set(map(self.cluster.owner, self._slots_with_owner())):
            yield from master.redis.scan_iter(match=match, count=count)

    def _slots_with_owner(self):
        node = next(node for node in self.cluster.nodes if node.running())
        return [first for first, _last, _master, _replicas in self.cluster.slots(node)]


SENTINEL_CONF = """port %(port)d
bind 127.0.0.1
dir "%(folder)s"
sentinel myid %(id)s
sentinel monitor tally 127.0.0.1 %(master)d 2
sentinel down-after-milliseconds tally %(down)d
sentinel failover-timeout tally 4000
sentinel parallel-syncs tally 1
sentinel known-replica tally 127.0.0.1 %(replica)d
"""


class Sentinels(Servers):
    """A master, its replica, and three Sentinels that know each other from the start; the master's name is `tally`."""

    def __init__(self, directory):
        super().__init__(directory)
        ports = self.take_ports(5)
        for i in range(2):
            folder = os.path.join(self.directory, "node-%d" % i)
            conf = NODE_CONF % {"port": ports[i], "folder": folder} + ("replicaof 127.0.0.1 %d\n" % ports[0] if i else "")
            self.nodes.append(Node(folder, ports[i], conf))
        ids = [("%d" % i) * 40 for i in range(1, 4)]
        for i in range(3):
            folder = os.path.join(self.directory, "sentinel-%d" % i)
            conf = SENTINEL_CONF % {"port": ports[2 + i], "folder": folder, "id": ids[i], "master": ports[0], "replica": ports[1],
                                    "down": DOWN_AFTER_MS}
            conf += "".join("sentinel known-sentinel tally 127.0.0.1 %d %s\n" % (ports[2 + j], ids[j]) for j in range(3) if j != i)
            self.helpers.append(Node(folder, ports[2 + i], conf, sentinel=True))

    def url(self):
        return "redis+sentinel://" + ",".join("127.0.0.1:%d" % node.port for node in self.helpers) + "/tally"

    def start(self):
        super().start()
        self._hurry()
        wait_until(self.is_whole, "the Sentinels to know the replica")
        return self

    def _hurry(self):
        """They look each half second, and demote an old master that came back after 2 s instead of 8."""
        for helper in self.helpers:
            helper.ask("SENTINEL", "DEBUG", "INFO-PERIOD", 500, "PUBLISH-PERIOD", 500, "ASK-PERIOD", 250)

    def master(self):
        """As most of the Sentinels say."""
        said = []
        for helper in self.helpers:
            try:
                said.append(int(helper.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tally")[1]))
            except (REDIS_ERROR, TypeError):
                continue
        port = max(set(said), key=said.count)
        return next(node for node in self.nodes if node.port == port)

    @property
    def redis(self):
        return self.master().redis

    def is_whole(self):
        try:
            masters = [node for node in self.nodes if node.is_master()]
            return len(masters) == 1 and all(node.follows() for node in self.nodes if node not in masters) and all(
                self._sees(helper, masters[0]) for helper in self.helpers)
        except REDIS_ERROR:
            return False

    @staticmethod
    def _sees(helper, master):
        said, = [dict(zip(*[iter(words)] * 2)) for words in helper.ask("SENTINEL", "MASTERS")]
        replica, = [dict(zip(*[iter(words)] * 2)) for words in helper.ask("SENTINEL", "REPLICAS", "tally")]
        return (int(said[b"port"]) == master.port and said[b"flags"] == b"master" and int(said[b"num-other-sentinels"]) == 2
                and replica[b"flags"] == b"slave" and replica[b"master-link-status"] == b"ok" and int(replica[b"slave-repl-offset"]) > 0)

    def fail_over(self):
        """SENTINEL FAILOVER: the old master stays up, as a replica. Returns the new one."""
        old = self.master()
        self.helpers[0].ask("SENTINEL", "FAILOVER", "tally")
        return self.wait_other(old)

    def wait_other(self, old):
        """Waits until the Sentinels name another master than this, which is one. Returns it."""
        def other():
            now = self.master()
            return now is not old and now.is_master() and now
        return wait_until(other, "another master than %r" % old, every_s=0.01)


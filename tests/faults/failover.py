"""A Redis with a replica behind a name that moves: the replica is promoted, the name leads there from then on, and the old primary is demoted
but stays up, as do the connections to it."""

import contextlib
import os

import redis as redis_py

from edge import ROOT, Process, free_ports, release_ports, wait_until
from link import Link


def lay(edge, links=()):
    """Puts the name between the daemons and Redis: before they start. `links` are there already, of which some lead to Redis."""
    name = Link(edge.redis_port)
    for link in links:
        if link.to == edge.redis_port:
            link.to = name.port
    for program in ("collector", "feed"):
        argv = edge[program].argv
        at = argv.index("--redis-port") + 1
        if argv[at] == str(edge.redis_port):
            argv[at] = str(name.port)
    return name


class Failover:
    """`name`: a Link that leads to the edge's Redis, with every connection that is to move."""

    def __init__(self, edge, name):
        self.edge, self.name = edge, name
        self.own_port = edge.redis_port  # the edge releases it with its others
        (self.other_port,) = free_ports(1)
        self.folder = edge.path("redis-other")
        os.makedirs(self.folder, mode=0o700)
        conf = edge.path("redis-other.conf")
        with open(edge.path("redis.conf")) as own:
            text = "".join(line for line in own if line.split()[:1] not in (["port"], ["dir"]))
        with open(conf, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as other:
            other.write(text + "port %d\ndir %s\n" % (self.other_port, self.folder))
        self.other = Process("redis", [os.path.join(ROOT, "script", "redis-start"), conf], os.path.join(edge.directory, "redis-other.log"), edge.env)

    def start(self):
        """After the edge's Redis."""
        self.other.start()
        wait_until(self._demoted, "the replica to come up")
        self.wait_replica()

    def _demoted(self):
        try:
            self.demote()
            return True
        except redis_py.exceptions.ConnectionError:
            return False

    @contextlib.contextmanager
    def replica(self):
        """Its connection ends with it: close() of an older redis-py leaves that to the collector of garbage."""
        client = redis_py.Redis(host="127.0.0.1", port=self.other_port, socket_timeout=10)
        try:
            yield client
        finally:
            client.connection_pool.disconnect()

    def wait_replica(self):
        """Waits until the one that is not the primary holds all that the primary does."""
        def follows():
            try:
                with self.replica() as other:
                    of = other.info("replication")
                    return of["role"] == "slave" and of["master_link_status"] == "up" and not of["master_sync_in_progress"]
            except redis_py.exceptions.RedisError:
                return False
        wait_until(follows, "the replica to follow")

    def promote(self):
        """The replica is the primary now, and the edge's Redis for everything that looks at it. The old primary knows nothing of it yet."""
        edge = self.edge
        edge.redis.connection_pool.disconnect()
        with self.replica() as other:
            other.execute_command("REPLICAOF", "NO", "ONE")
        edge.redis_port, self.other_port = self.other_port, edge.redis_port
        edge.processes["redis"], self.other = self.other, edge["redis"]
        edge._redis = None

    def demote(self):
        """The old primary follows the new one."""
        with self.replica() as other:
            other.execute_command("REPLICAOF", "127.0.0.1", self.edge.redis_port)

    def move(self):
        """New connections reach the new primary; existing ones stay where they are."""
        self.name.to = self.edge.redis_port

    def fail_over(self):
        self.promote()
        self.demote()
        self.move()

    def left_behind(self):
        """Names of the commands that the daemons' connections to the demoted one gave last."""
        with self.replica() as other:
            own = other.client_id()
            return [client["cmd"] for client in other.client_list(_type="normal") + other.client_list(_type="pubsub") if int(client["id"]) != own]

    def close(self):
        """The edge gives its own port back: it must have that by the end."""
        self.other.stop()
        mine = self.edge.redis_port if self.edge.redis_port != self.own_port else self.other_port
        if self.edge.redis_port != self.own_port:
            self.edge["redis"].stop()
            self.edge.redis_port = self.own_port
        release_ports([mine])

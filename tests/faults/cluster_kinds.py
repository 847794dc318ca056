"""Kinds of fault of script/soak where the store is a Redis Cluster: three masters and three replicas instead of the edge's own Redis."""

import time

from edge import wait_until
from kinds import kind


def _master(schedule, rng):
    """Of one of the shards."""
    return schedule.cluster.master_of(rng.randrange(4))


@kind("cluster-master-killed", "cluster: a master killed", ["cluster"])
def _killed(schedule, rng):
    schedule.cluster.fail_over(_master(schedule, rng))
    yield
    schedule.cluster.heal()


@kind("cluster-replica-behind", "cluster: a replica promoted that is behind", ["cluster"])
def _behind(schedule, rng):
    cluster, master = schedule.cluster, _master(schedule, rng)
    replica = cluster.replica_of(master)
    replica.go_stale(master)
    time.sleep(rng.uniform(0.2, 4.0))
    master.kill()
    cluster.wait_promoted(replica)
    yield
    cluster.heal()


@kind("cluster-master-hangs", "cluster: a master stopped for a while", ["cluster"])
def _hangs(schedule, rng):
    """For so short that nobody notices, or until it has lost its place."""
    master = _master(schedule, rng)
    master.hang()
    time.sleep(rng.choice([0.3, 1.0, 2.5, 6.0]))
    yield
    master.go_on()
    schedule.cluster.heal()


@kind("cluster-handed-over", "cluster: a replica takes over", ["cluster"])
def _handed_over(schedule, rng):
    """CLUSTER FAILOVER: both stay up, and so do the connections to them. TAKEOVER: the old master takes writes until it learns of it."""
    master = _master(schedule, rng)
    replica = schedule.cluster.replica_of(master)
    replica.ask("CLUSTER", "FAILOVER", *rng.choice([(), ("FORCE",), ("TAKEOVER",)]))
    schedule.cluster.wait_promoted(replica)
    yield
    wait_until(lambda: not master.is_master(), "the old master to hear of it")
    schedule.cluster.heal()


@kind("cluster-slot-moved", "cluster: a shard's slot moved and moved back", ["cluster"])
def _moved(schedule, rng):
    cluster, shard = schedule.cluster, rng.randrange(4)
    home = cluster.master_of(shard)
    away = rng.choice([master for master in cluster.masters() if master is not home])
    at_once, pause_s = rng.choice([1, 3, 10, 100]), rng.choice([0.0, 0.01])
    cluster.move_slot(cluster.slot_of(shard), away, at_once, lambda: time.sleep(pause_s))
    yield
    cluster.move_slot(cluster.slot_of(shard), home, at_once, lambda: time.sleep(pause_s))


@kind("cluster-down", "cluster: all nodes killed", ["cluster"])
def _down(schedule, rng):
    for node in schedule.cluster.nodes:
        node.kill()
    time.sleep(rng.choice([0.0, 1.0, 3.0]))
    yield
    schedule.cluster.heal()

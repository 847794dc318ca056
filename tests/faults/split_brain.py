#!/usr/bin/python3
"""A real split brain: an edge and a master of a Redis Cluster are cut off from the other edges and nodes, while readers react at all of them. The
cut-off master takes writes until it notices, and loses them when it comes back. With --edge only the edge is cut off, from all nodes.

    tests/faults/split_brain.py [--seconds 5] [--times 2] [--edge]

Needs root, nftables and a kernel with network namespaces: it runs in a separate one. Each side's programs have their own group, by which
packets between the sides are dropped; this program's own reach everybody. TALLY_BUILD names the build folder (default build/debug)."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests", folder) for folder in ("system", "faults")]

import judge  # noqa: E402
from cluster import REDIS_ERROR, Cluster  # noqa: E402
from crowd import Crowd, articles_of, await_shown, judged, shown_wrong  # noqa: E402
from edge import Edge, wait_until  # noqa: E402
from tools import say  # noqa: E402

SHARDS = 8
RING_BYTES = 8 << 20  # holds what arrives while an edge is cut off, so that nothing is refused
MANY, FEW = 61001, 61002  # groups
INSIDE = "TALLY_SPLIT_BRAIN"

# A connection is marked by the side that opened it.
TABLE = """table inet split {
    chain output {
        type filter hook output priority 0;
        meta skgid %(many)d ct state new ct mark set %(many)d
        meta skgid %(few)d ct state new ct mark set %(few)d
        jump cut
    }
    chain cut { }
}
"""
CUT = """add rule inet split cut meta skgid %(few)d ct mark %(many)d drop
add rule inet split cut meta skgid %(many)d ct mark %(few)d drop
"""
CUT_TO = "add rule inet split cut meta skgid %d ct mark %d tcp dport { %s } drop\n"


def nft(text):
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)


def in_group(process, group):
    process.argv[:0] = [shutil.which("setpriv"), "--regid=%d" % group, "--clear-groups", "--pdeathsig=KILL", "--"]


class Split:
    def __init__(self, directory, only_edge):
        self.cluster = Cluster(os.path.join(directory, "cluster"))
        self.old = None if only_edge else self.cluster.nodes[1]
        options = {"plugin": {"shards": SHARDS, "ring_bytes": RING_BYTES}}
        for node in self.cluster.nodes:
            in_group(node.process, FEW if node is self.old else MANY)
        self.edges = [Edge(os.path.join(directory, "edge-0"), servers=self.cluster, **options)]
        self.edges.append(Edge(os.path.join(directory, "edge-1"), redis_of=self.edges[0], **options))
        for edge, group in zip(self.edges, (MANY, FEW)):
            for process in edge.processes.values():
                in_group(process, group)
        nft(TABLE % {"many": MANY, "few": FEW})

    def start(self):
        self.cluster.start()
        for edge in self.edges:
            edge.start()

    def cut(self):
        ports = {one: (node.port, bus) for one, (node, bus) in enumerate(zip(self.cluster.nodes, self.cluster.buses))}
        few = [port for one, pair in ports.items() if self.cluster.nodes[one] is self.old for port in pair]
        many = [port for one, pair in ports.items() if self.cluster.nodes[one] is not self.old for port in pair]
        to_few = CUT_TO % (MANY, MANY, ", ".join(map(str, few))) if few else ""
        nft(CUT % {"many": MANY, "few": FEW} + CUT_TO % (FEW, FEW, ", ".join(map(str, many))) + to_few)

    def mend(self):
        nft("flush chain inet split cut\n")

    def cut_edge_off(self, crowd, seconds):
        crowd.wait_more(50)
        began = time.monotonic()
        self.cut()
        self.edges[1].wait_unhealthy("redis")
        crowd.wait_more(50)  # its spool takes them
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        self.mend()
        cut_s, heal_s = time.monotonic() - began, await_shown(self.edges, range(SHARDS), SHARDS)
        for edge in self.edges:
            edge.wait_ready()
        say("an edge cut off for %.1f s: both edges show all %.2f s after the mend" % (cut_s, heal_s))

    def once(self, crowd, seconds):
        hit = self.cluster.shards_of(self.old, SHARDS)
        replica = self.cluster.replica_of(self.old)
        crowd.wait_more(50)
        before = sum(self.old.applied(shard) for shard in hit)
        began = time.monotonic()
        self.cut()
        last = [before]

        def noticed():
            try:
                last[0] = sum(self.old.applied(shard) for shard in hit)
            except REDIS_ERROR:
                return True
            return False
        wait_until(noticed, "the cut-off master to notice")
        self.cluster.wait_promoted(replica)
        promoted_s, went_back = time.monotonic() - began, last[0] - before
        crowd.wait_more(50)
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        self.mend()
        cut_s, heal_s = time.monotonic() - began, await_shown(self.edges, range(SHARDS), SHARDS)
        self.cluster.heal()
        for edge in self.edges:
            edge.wait_ready()
        say("cut for %.1f s: promoted after %.1f s; the cut-off master applied %d records meanwhile; both edges show all %.2f s after the mend"
            % (cut_s, promoted_s, went_back, heal_s))
        # it is a master again for the next time
        self.old.ask("CLUSTER", "FAILOVER")
        self.cluster.wait_promoted(self.old)
        wait_until(self.cluster.is_whole, "the cluster to be whole")

    def run(self, seconds, times):
        with Crowd(self.edges, [article for articles in articles_of(SHARDS, 6).values() for article in articles], readers=8 if self.old else 3) as crowd:
            for _ in range(times):
                (self.once if self.old else self.cut_edge_off)(crowd, seconds)
        for edge in self.edges:
            edge.settle()
            edge.wait_ready()
        rows, held = judged(self.edges[0], crowd.readers)
        acknowledged, lost, invented, _overtaken = (sum(column) for column in zip(*rows.values()))
        wrong = shown_wrong(self.edges, held, crowd.articles)
        _of_one, applied, quarantined, gone = judge.books(self.edges[0])
        admitted = sum(edge.header.admitted() for edge in self.edges)
        refused = sum(reader.refused for reader in crowd.readers)
        say("refused %d; acknowledged %d, lost %d, invented %d; not shown as in the registers: %d; admitted %d = applied %d + quarantined %d + lost %d"
            % (refused, acknowledged, lost, invented, sum(map(len, wrong.values())), admitted, applied, quarantined, gone))
        return (refused, lost, invented, wrong, quarantined, gone) == (0, 0, 0, {}, 0, 0) and admitted == applied and acknowledged > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="how long they are cut off (default 5)")
    parser.add_argument("--times", type=int, default=2, help="how often (default 2)")
    parser.add_argument("--edge", action="store_true", help="cut only the edge off, from all nodes")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", "--", sys.executable] + sys.argv, dict(os.environ, **{INSIDE: "1"}))
    del os.environ[INSIDE]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    directory = tempfile.mkdtemp(prefix="tally-split-")
    split, good = None, False
    try:
        split = Split(directory, arguments.edge)
        split.start()
        good = split.run(arguments.seconds, arguments.times)
    finally:
        if split is not None:
            for edge in split.edges:
                edge.close()
            split.cluster.close()
        say("nothing was lost, nothing was counted twice" if good else "THE PROMISE WAS BROKEN; logs and data are in %s" % directory)
    shutil.rmtree(directory, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

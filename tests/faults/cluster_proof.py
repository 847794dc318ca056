"""script/prove --cluster: three edges on a Redis Cluster of three masters and three replicas, whose nodes fail in every way under load."""

import os
import time

import crowd as crowds
import judge
from cluster import Cluster
from edge import Edge, EdgeError
from tools import number, say, say_table

SHARDS = 8
EDGES = 3
EACH = 5           # articles of a shard that readers react to in each round
HANG_S = 10.0
STALE_S = 4.0
DOWN_S = 5.0
PATIENCE_S = 120.0


class Fault:
    """A line of the table."""

    def __init__(self, title, bring_about, times):
        self.title, self.bring_about, self.times = title, bring_about, times
        self.heals, self.others = [], []


class ClusterProof:
    def __init__(self, directory, folder, rounds, readers):
        self.cluster = Cluster(os.path.join(directory, "cluster"))
        self.edges, self.directory, self.folder = [], directory, folder
        self.readers, self.turn, self.went_back = readers, 0, 0
        self.faults = [
            Fault("master killed", self._kill, rounds),
            Fault("master killed, its replica %g s behind" % STALE_S, self._kill_stale, 2),
            Fault("master hangs %g s" % HANG_S, self._hang, 1),
            Fault("master and replica down %g s" % DOWN_S, self._two_down, 1),
            Fault("all nodes down %g s" % DOWN_S, self._all_down, 1),
            Fault("every shard moved, and back", self._reshard, 1),
        ]

    def start(self):
        self.cluster.start()
        options = dict(build=self.folder, plugin={"shards": SHARDS, "ring_bytes": 8 << 20})
        for i in range(EDGES):
            where = dict(redis_of=self.edges[0]) if i else dict(servers=self.cluster)
            self.edges.append(Edge(os.path.join(self.directory, "edge-%d" % i), **where, **options))
        for edge in self.edges:
            edge.start(ready=False)
        for edge in self.edges:
            edge.wait_ready()

    def close(self):
        """Returns what was wrong with the edges in the end."""
        problems = []
        for edge in self.edges:
            try:
                edge.close()
            except EdgeError as error:
                problems.append(str(error))
        self.cluster.close()
        return problems

    # --- breaking things ---

    def run(self):
        self.crowd = crowds.Crowd(self.edges, self._articles(), readers=max(1, self.readers // EDGES))
        self.crowd.patience_s = PATIENCE_S
        self.crowd.phase = self.faults[0]
        with self.crowd, crowds.Pulse(self.edges, SHARDS) as self.pulse:
            self.pulse.wait_more(15, range(SHARDS))
            self.usual_s = [self.pulse.share(part, range(SHARDS)) for part in (0.5, 0.99, 1.0)]
            for fault in self.faults:
                for time_of in range(fault.times):
                    self.crowd.articles, self.crowd.phase = self._articles(), fault
                    self.crowd.wait_more(20)
                    say("%s%s ..." % (fault.title, ", %d of %d" % (time_of + 1, fault.times) if fault.times > 1 else ""))
                    fault.bring_about(fault)
                    self.cluster.heal()
                    for edge in self.edges:
                        edge.wait_ready()
                    self.crowd.wait_more(20)

    def _articles(self):
        return [article for articles in crowds.articles_of(SHARDS, EACH, "prove").values() for article in articles]

    def _next_master(self):
        """Another each time."""
        masters = self.cluster.masters()
        self.turn += 1
        return masters[self.turn % len(masters)]

    def _shown(self, fault, shards, began, since):
        """A new reaction at each edge is shown by all, and how long that took; meanwhile the others went on as usual."""
        crowds.await_shown(self.edges, shards, SHARDS)
        fault.heals.append(time.monotonic() - since)
        others = [shard for shard in range(SHARDS) if shard not in shards]
        if others:
            self.pulse.wait_more(2, others)
            fault.others.append(self.pulse.worst(others, began))

    def _kill(self, fault):
        master, began = self._next_master(), time.monotonic()
        hit = self.cluster.shards_of(master, SHARDS)
        self.cluster.fail_over(master)
        self._shown(fault, hit, began, time.monotonic())

    def _kill_stale(self, fault):
        master = self._next_master()
        hit, replica = self.cluster.shards_of(master, SHARDS), self.cluster.replica_of(master)
        replica.go_stale(master)
        time.sleep(STALE_S)
        lacks = sum(master.applied(shard) - replica.applied(shard) for shard in hit)
        if lacks <= 0:
            raise EdgeError("the replica lacks nothing: this proves nothing")
        self.went_back += lacks
        began = time.monotonic()
        master.kill()
        self.cluster.wait_promoted(replica)
        self._shown(fault, hit, began, time.monotonic())

    def _hang(self, fault):
        master = self._next_master()
        hit, replica, began = self.cluster.shards_of(master, SHARDS), self.cluster.replica_of(master), time.monotonic()
        master.hang()
        self.cluster.wait_promoted(replica)
        self._shown(fault, hit, began, time.monotonic())
        time.sleep(max(0.0, began + HANG_S - time.monotonic()))
        master.go_on()
        crowds.await_shown(self.edges, hit, SHARDS)
        fault.others.append(self.pulse.worst([shard for shard in range(SHARDS) if shard not in hit], began))

    def _two_down(self, fault):
        master = self._next_master()
        hit, began = self.cluster.shards_of(master, SHARDS), time.monotonic()
        self.cluster.replica_of(master).kill()
        master.kill()
        time.sleep(DOWN_S)
        self.cluster.heal()
        self._shown(fault, hit, began, time.monotonic())

    def _all_down(self, fault):
        for node in self.cluster.nodes:
            node.kill()
        time.sleep(DOWN_S)
        began = time.monotonic()
        self.cluster.heal()
        self._shown(fault, list(range(SHARDS)), began, time.monotonic())

    def _reshard(self, fault):
        homes = {shard: self.cluster.master_of(shard) for shard in range(SHARDS)}
        masters = self.cluster.masters()
        for back in (False, True):
            for shard, home in homes.items():
                to = home if back else masters[(masters.index(home) + 1) % len(masters)]
                began = time.monotonic()
                self.cluster.move_slot(self.cluster.slot_of(shard), to, 10, lambda: time.sleep(0.01))
                self._shown(fault, [shard], began, time.monotonic())

    # --- counting ---

    def report(self):
        """Prints all of it. Returns whether it is as promised."""
        for edge in self.edges:
            edge.settle(PATIENCE_S)
            edge.wait_ready(PATIENCE_S)
        rows, held = crowds.judged(self.edges[0], self.crowd.readers)
        articles = {send.reaction.article for reader in self.crowd.readers for send in reader.sends}
        wrong = crowds.shown_wrong(self.edges, held, articles)
        lines, sums = [], [0, 0, 0]
        for fault in self.faults:
            acknowledged, lost, invented, _overtaken = rows[fault]
            sums = [sums[0] + acknowledged, sums[1] + lost, sums[2] + invented]
            lines.append(self._line(fault.title, fault.times, acknowledged, lost, invented, fault.heals, fault.others))
        everything = [[one for some in figures for one in some] for figures in ([f.heals for f in self.faults], [f.others for f in self.faults])]
        lines.append(self._line("in all", sum(fault.times for fault in self.faults), *sums, *everything))
        say_table(("fault, under load", "times", "acknowledged", "counted", "lost", "doubled", "longest s to heal", "other shards, worst ms"), lines)
        _of_one, applied, quarantined, lost = judge.books(self.edges[0])
        admitted = sum(edge.header.admitted() for edge in self.edges)
        say("%d edges, %d readers, 3 masters and 3 replicas, %d shards; before the first fault an edge showed another's reaction after "
            "%.0f ms (median), %.0f (p99), %.0f (worst)" % ((EDGES, len(self.crowd.readers), SHARDS) + tuple(s * 1000 for s in self.usual_s)))
        say("to heal: from the promotion, or from when the nodes were back, until each edge showed a new reaction of every edge")
        say("%s records went back with the replicas that were behind, and were applied again" % number(self.went_back))
        say("books: admitted %s = applied %s + quarantined %s + lost %s" % tuple(number(n) for n in (admitted, applied, quarantined, lost)))
        say("shown: %s articles; not as in the registers: %d" % (number(len(articles)), sum(len(one) for one in wrong.values())))
        good = sums[1:] == [0, 0] and sums[0] > 0 and not wrong and admitted == applied and quarantined == 0 and lost == 0
        say("nothing was lost, nothing was counted twice" if good else "THE PROMISE WAS BROKEN")
        return good

    @staticmethod
    def _line(title, times, acknowledged, lost, invented, heals, others):
        return [title, number(times)] + [number(n) for n in (acknowledged, acknowledged - lost, lost, invented)] + [
            "%.1f" % max(heals) if heals else "-", "%.0f" % (max(others) * 1000) if others else "-"]


def prove(directory, folder, rounds, readers):
    """Returns whether all is as promised."""
    proof, good = ClusterProof(directory, folder, rounds, readers), False
    try:
        proof.start()
        say("%d readers react at %d edges; about two minutes" % (readers, EDGES))
        proof.run()
        good = proof.report()
    except AssertionError as error:
        say("prove: %s" % error)
        for edge in proof.edges:
            say(edge.logs())
    finally:
        for problem in proof.close():
            say("prove: %s" % problem)
            good = False
    return good

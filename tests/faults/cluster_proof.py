"""script/prove --cluster: three edges on a Redis Cluster of three masters and three replicas, whose nodes fail in every way under load."""

import os
import time

import crowd as crowds
import judge
import redis_server
from audits import Audits
from cluster import SLOTS, Cluster
from edge import Edge, EdgeError, wait_until
from preload import Preload
from tools import number, say, say_table

SHARDS = 8
EDGES = 3
EACH = 5           # articles of a shard that readers react to in each round
HANG_S = 10.0
STALE_S = 4.0
DOWN_S = 5.0
HEALS_S = 2.0      # within which it should
PATIENCE_S = 120.0
KEYS_AT_ONCE = 100
FAULTS = ("killed", "behind", "hangs", "pair-down", "all-down", "moved")


def spread(figures, form):
    """Median, 90th percentile and greatest, as text."""
    found = sorted(figures)
    return ", ".join(form % found[min(len(found) - 1, int(len(found) * part))] + " (%s)" % what
                     for part, what in ((0.5, "median"), (0.9, "90%"), (1.0, "longest")))


class Fault:
    """A line of the table. `name`: one of FAULTS."""

    def __init__(self, name, title, bring_about, times=1):
        self.name, self.title, self.bring_about, self.times = name, title, bring_about, times
        self.heals, self.others = [], []
        self.moves = []   # of each moved shard: (keys, seconds of the move, longest wait of the shard)
        self.audits = []  # exit statuses


class ClusterProof:
    def __init__(self, directory, folder, options):
        self.cluster = Cluster(os.path.join(directory, "cluster"))
        self.edges, self.directory, self.folder = [], directory, folder
        self.voted = None
        self.readers, self.votes, self.turn, self.went_back = options.readers, options.votes, 0, 0
        self.faults = [
            Fault("killed", "master killed", self._kill, options.rounds),
            Fault("behind", "master killed, its replica %g s behind" % STALE_S, self._kill_stale, options.rounds_behind),
            Fault("hangs", "master hangs %g s" % HANG_S, self._hang, options.rounds_hangs),
            Fault("pair-down", "master and replica down %g s" % DOWN_S, self._two_down),
            Fault("all-down", "all nodes down %g s" % DOWN_S, self._all_down),
            Fault("moved", "every shard moved key by key, and back", self._move_keys),
            Fault("moved", "every shard moved as a whole, and back", self._move_whole),
        ]
        self.faults = [fault for fault in self.faults if not options.only or fault.name in options.only]

    def start(self):
        self.cluster.start()
        if not self.cluster.moves_slots_whole():
            self.faults = [fault for fault in self.faults if fault.bring_about != self._move_whole]
        options = dict(build=self.folder, plugin={"shards": SHARDS, "ring_bytes": 8 << 20})
        for i in range(EDGES):
            where = dict(redis_of=self.edges[0]) if i else dict(servers=self.cluster)
            self.edges.append(Edge(os.path.join(self.directory, "edge-%d" % i), **where, **options))
        for edge in self.edges:
            edge.start(ready=False)
        for edge in self.edges:
            edge.wait_ready()
        if self.votes:
            self._vote()

    def _vote(self):
        wait_until(lambda: self.cluster.redis.hget("tally:store", "placed") == b"1", "every shard to name the store")
        self.voted = Preload(self.cluster, SHARDS, self.votes)
        crowds.await_shown(self.edges, list(range(SHARDS)), SHARDS)
        say("%s votes for %d articles are in the store" % (number(self.votes), len(self.voted.articles)))

    def close(self):
        """Returns the faults of the edges at the end."""
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
        """The current master of each third of the slots, in turn."""
        self.turn += 1
        return self.cluster.owner(self.turn % self.cluster.masters_at_first * SLOTS // self.cluster.masters_at_first)

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

    def _move_keys(self, fault):
        self._reshard(fault, lambda slot, to: self.cluster.move_slot(slot, to, KEYS_AT_ONCE))

    def _move_whole(self, fault):
        self._reshard(fault, self.cluster.move_slot_whole)

    def _reshard(self, fault, move):
        """Audits run throughout: a half moved shard neither misses anything nor has anything twice."""
        homes = {shard: self.cluster.master_of(shard) for shard in range(SHARDS)}
        masters = self.cluster.masters()
        with Audits(self.edges) as audits:
            for back in (False, True):
                for shard, home in homes.items():
                    to = home if back else masters[(masters.index(home) + 1) % len(masters)]
                    began = time.monotonic()
                    keys = move(self.cluster.slot_of(shard), to)
                    ended = time.monotonic()
                    self._shown(fault, [shard], began, ended)
                    self.pulse.wait_more(1, [shard])
                    fault.moves.append((keys, ended - began, self.pulse.worst([shard], began, ended)))
            audits.wait_more(len(self.edges), PATIENCE_S)
        fault.audits = [status for status, _said in audits.done]
        for status, said in audits.failed():
            say("tally audit ended with %d:\n%s" % (status, said))

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
        applied -= self.votes  # which no edge admitted
        say("%d edges, %d readers, 3 masters and 3 replicas, %d shards; before the first fault an edge showed another's reaction after "
            "%.0f ms (median), %.0f (p99), %.0f (worst)" % ((EDGES, len(self.crowd.readers), SHARDS) + tuple(s * 1000 for s in self.usual_s)))
        say("to heal: from the promotion, or from when the nodes were back, until each edge showed a new reaction of every edge")
        say("%s records went back with the replicas that were behind, and were applied again" % number(self.went_back))
        for fault in self.faults:
            if len(fault.heals) > 1:
                self._say_heals(fault)
            if fault.moves:
                self._say_moves(fault)
        good = self._votes_kept(held)
        say("books: admitted %s = applied %s + quarantined %s + lost %s" % tuple(number(n) for n in (admitted, applied, quarantined, lost)))
        say("shown: %s articles; not as in the registers: %d" % (number(len(articles)), sum(len(one) for one in wrong.values())))
        good = good and not any(status for fault in self.faults for status in fault.audits)
        good = good and sums[1:] == [0, 0] and sums[0] > 0 and not wrong and admitted == applied and quarantined == 0 and lost == 0
        say("nothing was lost, nothing was counted twice" if good else "THE PROMISE WAS BROKEN")
        return good

    @staticmethod
    def _say_heals(fault):
        """How the times are spread, of which the table has the longest."""
        said = "%s: healed in %s; %d of %d within %g s" % (
            fault.title, spread(fault.heals, "%.1f s"), sum(s <= HEALS_S for s in fault.heals), len(fault.heals), HEALS_S)
        if fault.others:
            said += "; the worst of other shards each time: %s ms" % spread([s * 1000 for s in fault.others], "%.0f")
        say(said)

    def _say_moves(self, fault):
        keys, moves, waits = zip(*fault.moves)
        say("%s: %d moves of up to %s keys; the longest took %.2f s, and a shard waited %.2f s at most, %.2f s more than its move; "
            "tally audit ran %d times, exit status %s" % (
                fault.title, len(moves), number(max(keys)), max(moves), max(waits), max(wait - move for wait, move in zip(waits, moves)),
                len(fault.audits), ", ".join(sorted(map(str, set(fault.audits))))))

    def _votes_kept(self, held):
        """Whether the votes that were there before are there still."""
        if self.voted is None:
            return True
        kept = sum(len(held.get(article, ())) for article in self.voted.articles)
        say("votes that were there before: %s, of which %s are still there" % (number(self.votes), number(kept)))
        return all(len(held.get(article, ())) == n for article, n in self.voted.articles.items())

    @staticmethod
    def _line(title, times, acknowledged, lost, invented, heals, others):
        return [title, number(times)] + [number(n) for n in (acknowledged, acknowledged - lost, lost, invented)] + [
            "%.1f" % max(heals) if heals else "-", "%.0f" % (max(others) * 1000) if others else "-"]


def prove(directory, folder, options):
    """Returns whether all is as promised. `options`: those of script/prove."""
    proof, good = ClusterProof(directory, folder, options), False
    try:
        proof.start()
        say("%d readers react at %d edges on %s; about two minutes, if it has the default options" % (options.readers, EDGES, redis_server.engine_text()))
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

"""One seeded schedule of script/soak: a fresh edge, readers who react, faults that come and go, and the judgement at the end. All that is
drawn comes from the seed; when exactly a fault meets which reaction does not."""

import collections
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time

import kinds
import judge
import readers as readers_of
from clients import FLAVOURS, Client
from cluster import Cluster
from edge import PROGRAMS, Edge, EdgeError, counts_of, wait_until
from tools import number

READERS = 8
ARTICLES = 40
HEAL_S = 60.0
MEMORY_BYTES = 32 << 20
DAY_S = 86400.0


class Step:
    """Faults that are there at once, and what readers did from the step before until they were healed."""

    def __init__(self, serial, names, seed):
        self.serial, self.names, self.seed = serial, names, seed
        self.heal_s = None
        self.acknowledged = self.lost = self.doubled = 0

    def title(self):
        return " + ".join(self.names)


def plan(seed, offered):
    """The steps of a schedule, two or three at most. The first faults of two of them go by the seed in turn, so that as many consecutive
    seeds as there are kinds try every kind. Most need only half as many: the second is left out if it does not go with the first."""
    rng = random.Random("plan-%d" % seed)
    # The kinds that need a separate store, or that cannot be combined with some others, are in one half, so that each has a possible partner.
    names = sorted(offered, key=lambda name: (kinds.store_of(name) is None, (kinds.store_of(name) is None) == bool(kinds.KINDS[name].never_with)))
    steps, taken = [], []

    def drawn(name, beside=None):
        """A list of this fault, or of none if it does not go with the others."""
        kind = kinds.KINDS[name]
        if len({kinds.store_of(other) for other in taken + [name]} - {None}) > 1:
            return []
        if any(kind.never_with & kinds.KINDS[other].never_with for other in taken) or beside and kind.touches & kinds.KINDS[beside].touches:
            return []
        taken.append(kind.name)
        return [kind.name]

    turn = [drawn(names[seed % len(names)]), drawn(names[(seed + len(names) // 2) % len(names)])]
    for serial in range(rng.choice([2, 2, 2, 3])):
        together = turn[serial] if serial < 2 else drawn(rng.choice(names))
        if together and rng.random() < 0.3:
            together = together + drawn(rng.choice(names), together[0])
        if together:
            steps.append(Step(serial, together, rng.getrandbits(32)))
    return steps


class Habits:
    """What readers do: react, change their minds, take it back, say it again; some reactions come late."""
    pause_s, again_s, patience_s = 0.012, 0.08, 2.5

    def __init__(self, step):
        self.ending = threading.Event()
        self.step = step
        self.articles = ["soak/a%d" % i for i in range(ARTICLES)]

    def click(self, reader):
        rng, dice = reader.rng, reader.rng.random()
        if dice < 0.05 and reader.acknowledged:
            return _copy(rng.choice(reader.acknowledged[-20:]), self.step)
        age_s = rng.uniform(1.0, 6 * DAY_S) if dice > 0.9 else 0.0
        return readers_of.Reaction(rng.choice(self.articles), rng.choice(readers_of.KINDS), self.step, age_s)


def _copy(reaction, step):
    return readers_of.Reaction(reaction.article, reaction.kind, step, time.time() - reaction.clicked)


class Watcher:
    """A newsroom that looks on all the while, through everything. It ignores a lower version, as INTERFACES says."""

    def __init__(self, edge, port):
        self.edge, self.port = edge, port
        self.client = None
        self.newest = {}  # article → (version, counts)
        self.ending = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.ending.is_set():
                if self.client is None or self.client.closed:
                    self._connect()
                self._take()
                self.ending.wait(0.05)
        except Exception as error:  # shown by the schedule
            self.failure = error

    def _connect(self):
        if self.client is not None:
            self.client.close()
            self._take()
        client = Client(self.port, username="newsroom", password=self.edge.secret("newsroom"))
        try:
            client.open().watch("totals/#")
            self.client = client
        except readers_of.NOT_THERE:
            client.close()
            self.client = None

    def _take(self):
        if self.client is None:
            return
        with self.client.changed:
            messages, self.client.messages = self.client.messages, []
        for message in messages:
            if message.payload:
                total = json.loads(message.payload)
                if total["version"] >= self.newest.get(total["article"], (0,))[0]:
                    self.newest[total["article"]] = (total["version"], counts_of(total))

    def counts(self):
        return {article: counts for article, (_version, counts) in list(self.newest.items())}

    def close(self):
        self.ending.set()
        self.thread.join(HEAL_S)
        if self.client is not None:
            self.client.close()


class Schedule:
    def __init__(self, seed, directory, build, offered):
        self.seed, self.directory = seed, directory
        self.steps = plan(seed, offered)
        self.rng = random.Random("schedule-%d" % seed)
        self.problems = []
        self.excused = []       # spool records that were damaged on purpose
        self.jumps = []         # (from, to, by) of the broker's clock, ms
        self.disks = []         # folders that are separate file systems
        self.faked = []         # pids of programs under libfaketime
        self.revived = collections.Counter()
        self.overtaken = 0
        self.receipts = 0
        self.names = {name for step in self.steps for name in step.names}
        on_cluster = any(kinds.store_of(name) == "cluster" for name in self.names)
        self.cluster = Cluster(os.path.join(directory, "cluster")) if on_cluster else None
        self.edge = Edge(os.path.join(directory, "edge"), build=build, plugin={"shards": 4, "ring_bytes": 1 << 20}, servers=self.cluster)
        self.programs = [name for name in PROGRAMS if name in self.edge.processes]
        self.links = {}
        self.failover = None    # a replica of Redis behind a name, where a kind wants one
        self.readers = []
        self.watcher = None
        self.cleanup = []       # what to undo where a schedule ends in the middle
        self.before_judging = {}  # what shows only later is brought about once readers have ended

    def kinds(self):
        return [kinds.KINDS[name] for name in sorted(self.names)]

    # --- running it ---

    def run(self):
        for kind in self.kinds():
            if kind.prepare:
                kind.prepare(self)
        edge = self.edge
        if self.cluster:
            self.cluster.start()
        if self.failover:
            edge.start("redis")
            self.failover.start()
        edge.start(*(PROGRAMS[1:] if self.failover else ()))
        self._touch_all_shards()
        before = self._resources()
        habits = Habits(self.steps[0])
        self.readers = self._make_readers(habits)
        self.watcher = Watcher(edge, edge.mqtt_port)
        for reader in self.readers:
            reader.start()
        for step in self.steps:
            habits.step = step
            self.await_clicks(30)
            self._one(step)
        self.await_clicks(30)
        habits.ending.set()
        self._end_readers()
        for bring_about in self.before_judging.values():
            bring_about()
        self._judge()
        self._audit()
        self._check_receipts()
        self.watcher.close()
        self._check_resources(before)

    def _touch_all_shards(self):
        """Makes sure that rings and connections exist before they are counted."""
        client = self.edge.client()
        for i in range(32):
            client.say("reactions/touch/%d" % i, "like")
        client.close()
        self.edge.settle()

    def _make_readers(self, habits):
        made = []
        for i in range(READERS):
            flavour = FLAVOURS[i % len(FLAVOURS)]
            link = self.links.get("clients-ws" if flavour[1] == "websockets" else "clients-tcp")
            port = self.edge.ws_port if flavour[1] == "websockets" else self.edge.mqtt_port
            made.append(readers_of.Reader(link.port if link else port, "reader-of-soak-%d-%d" % (self.seed, i), habits, username=i % 3 != 0,
                                          flavour=flavour, qos=2 if i == 5 else 1, receipts=i >= READERS // 2))
        return made

    def _look(self):
        for one in self.readers + [self.watcher]:
            if one.failure is not None:
                raise EdgeError("%s: %r" % (getattr(one, "name", "watcher"), one.failure))

    def await_clicks(self, n):
        """Until `n` more were acknowledged: faults meet a system at work."""
        goal = sum(len(r.acknowledged) for r in self.readers) + n
        wait_until(lambda: self._look() or sum(len(r.acknowledged) for r in self.readers) >= goal, "readers to react", HEAL_S)

    def _one(self, step):
        rng = random.Random(step.seed)
        active = []
        for name in step.names:
            fault = kinds.KINDS[name].act(self, random.Random("%d-%s" % (step.seed, name)))
            next(fault)
            active.append(fault)
            time.sleep(rng.uniform(0.0, 0.1))
        time.sleep(rng.uniform(0.1, 0.8))
        rng.shuffle(active)
        for fault in active:
            for _ in fault:
                raise EdgeError("a fault has two ends")
        over = time.monotonic()
        readers_of.await_heal(self.edge, "probe/%d" % step.serial, step.title(), HEAL_S)
        step.heal_s = time.monotonic() - over
        self._look()

    def revive(self, program):
        """A program whose system calls failed may have ended itself, saying why, as its supervisor would see; it is started again."""
        process = self.edge[program]
        if process.running():
            return
        if process.child.returncode < 0:
            raise EdgeError("%s ended by signal %d:\n%s" % (program, -process.child.returncode, process.text()[-3000:]))
        self.revived[program] += 1
        self.edge.start(program, ready=False)

    def _end_readers(self):
        deadline = time.monotonic() + HEAL_S
        for reader in self.readers:
            reader.join(max(0.0, deadline - time.monotonic()))
            if reader.is_alive():
                raise EdgeError("%s still has unacknowledged reactions: %r" % (reader.name, list(reader.waiting.items())[:3]))
        self._look()

    # --- judging it ---

    def problem(self, text):
        self.problems.append(text)

    def _judge(self):
        self.edge.settle(HEAL_S)
        self.edge.wait_ready(HEAL_S)
        held = judge.held(self.edge)
        for article, by_reader in judge.sends_by_register(self.edge, self.readers).items():
            registers = held.get(article, {})
            for reader_hash, sends in by_reader.items():
                self._judge_register(article, reader_hash, sends, registers.get(reader_hash))
            for stranger in set(registers) - set(by_reader):
                self._doubled(self.steps, 1, "%s: a register %016x of nobody" % (article, stranger))
        self._judge_totals({a: r for a, r in held.items() if a.startswith("soak/")})
        self._judge_books()

    def _judge_register(self, article, reader_hash, sends, register):
        if self.jumps:
            sends = [kinds.jumped(send, self.jumps) for send in sends]
        excused = [r.stamp // 2048 + judge.EPOCH_MS for r in self.excused if (r.article, r.reader) == (article, reader_hash)]
        verdict = judge.judge(sends, register, excused)
        self.overtaken += verdict.overtaken
        for reaction in verdict.acknowledged:
            reaction.phase.acknowledged += 1
        for reaction in verdict.lost:
            reaction.phase.lost += 1
            self.problem("lost: %s of reader %016x on %s, clicked at %.3f in step %d; its register holds %r" % (
                reaction.kind, reader_hash, article, reaction.clicked, reaction.phase.serial, register))
        if verdict.invented:
            self._doubled([sends[-1].reaction.phase], 1, "%s: nobody sent what the register of %016x holds, %r; sent was %r" % (
                article, reader_hash, register, [(s.reaction.kind, int(s.from_ms), s.to_ms, s.code) for s in sends][-8:]))

    def _doubled(self, steps, n, text):
        for step in steps:
            step.doubled += n
        self.problem("doubled: " + text)

    def _judge_totals(self, held):
        truth = judge.truth_of(held)
        stored = {a: c for a, c in self.edge.store.totals().items() if a in truth}
        self.edge.store.registers()  # heads, buckets, changed sets
        self._differing("totals in Redis", truth, {a: stored.get(a, {}) for a in truth if stored.get(a, {}) != truth[a]})
        self._differing("retained totals", truth, judge.wait_shown(judge.retained(self.edge, truth), truth))
        self._differing("totals over HTTP", truth, judge.wait_shown(lambda: self.edge.totals_over_http(truth), truth))
        self._differing("totals of one who watched throughout", truth, judge.wait_shown(self.watcher.counts, truth))

    def _differing(self, where, truth, wrong):
        for article, seen in wrong.items():
            missing, surplus = judge.difference(truth[article], seen)
            self.problem("%s: %s is %r, by the registers %r" % (where, article, seen, truth[article]))
            for step in self.steps:
                step.lost, step.doubled = step.lost + missing, step.doubled + surplus

    def _judge_books(self):
        admitted, applied, quarantined, lost = judge.books(self.edge)
        if admitted != applied + quarantined + lost or quarantined != 0 or lost != len(self.excused):
            self.problem("books: admitted %d, applied %d, quarantined %d, lost %d of which %d were damaged on purpose" % (
                admitted, applied, quarantined, lost, len(self.excused)))

    def _audit(self):
        done = subprocess.run(self.edge.command_argv("audit"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.edge.env,
                              text=True, timeout=HEAL_S)
        if done.returncode != 0:
            self.problem("tally audit ended with %d:\n%s" % (done.returncode, done.stdout[-3000:]))

    def _check_receipts(self):
        for reader in self.readers:
            reader.close()
            for correlation, receipt in reader.received:
                self.receipts += 1
                why = untrue(receipt, reader.sends[int(correlation)], reader.sends, self.jumps)
                if why:
                    self.problem("untrue receipt of %s: %r: %s" % (reader.name, receipt, why))

    def _resources(self):
        return {name: resources(self.edge[name].child.pid) for name in self.programs}

    def _check_resources(self, before):
        """Descriptors once connections have ended, memory at once."""
        def back():
            now = self._resources()
            return all(now[name][1] <= before[name][1] for name in self.programs)
        for client in self.edge.clients:
            client.close()
        try:
            wait_until(back, "descriptors", 15.0)
        except EdgeError:
            now = self._resources()
            for name in self.programs:
                if now[name][1] > before[name][1]:
                    self.problem("%s has %d descriptors, %d before: %s" % (name, now[name][1], before[name][1], descriptors(self.edge[name].child.pid)))
        for name, (memory, _descriptors) in self._resources().items():
            if memory > before[name][0] + MEMORY_BYTES:
                self.problem("%s has %s bytes in memory, %s before" % (name, number(memory), number(before[name][0])))

    def close(self):
        """Ends all of it; where something went wrong, at once."""
        for undo in reversed(self.cleanup):
            undo()
        if self.problems:
            for name in self.programs:
                self.edge[name].kill()
            for path in self.disks:
                shutil.copytree(path, os.path.join(self.directory, os.path.basename(path) + ".kept"), ignore=shutil.ignore_patterns("wake"))
        for link in self.links.values():
            link.close()
        try:
            if self.failover:
                self.failover.close()
            self.edge.close()
        except AssertionError as error:
            self.problem(str(error)[:3000])
        if self.cluster:
            self.cluster.close()
        kinds.forget_faked(self.faked)

    def result(self):
        steps = [{"names": s.names, "heal_s": s.heal_s, "acknowledged": s.acknowledged, "lost": s.lost, "doubled": s.doubled} for s in self.steps]
        return {"seed": self.seed, "steps": steps, "problems": self.problems, "overtaken": 0 if self.jumps else self.overtaken,
                "jumped": self.overtaken if self.jumps else 0,
                "receipts": self.receipts, "excused": len(self.excused), "reconnected": sum(r.reconnected for r in self.readers),
                "repeated": sum(r.repeated for r in self.readers), "refused": sum(r.refused for r in self.readers), "revived": sum(self.revived.values())}


def untrue(receipt, send, sends, jumps):
    """Why a receipt cannot be true, or None."""
    reaction = send.reaction
    if receipt.get("article") != reaction.article or receipt.get("reaction") != reaction.kind:
        return "the reaction was %s on %s" % (reaction.kind, reaction.article)
    outcome = receipt["outcome"]
    if outcome == "refused":
        if send.code is not None and send.code < 0x80:
            return "it was acknowledged"
        return None if receipt.get("reason") in ("busy", "clock") else "no reason to refuse it"
    if send.refused():
        return "it was refused"
    if outcome == ("retracted" if reaction.kind == "none" else "counted"):
        return None
    if outcome != "superseded":
        return "no such outcome of this reaction"
    newer = [s for s in sends if s is not send and s.reaction.article == reaction.article and s.reaction.kind == receipt["current"]
             and kinds.jumped(s, jumps).to_ms + judge.SLACK_MS >= kinds.jumped(send, jumps).from_ms and not s.refused()]
    return None if newer else "no newer reaction says %s" % receipt["current"]


def resources(pid):
    """(resident bytes, open descriptors)."""
    with open("/proc/%d/statm" % pid) as statm:
        memory = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return memory, len(os.listdir("/proc/%d/fd" % pid))


def descriptors(pid):
    folder = "/proc/%d/fd" % pid
    found = []
    for name in os.listdir(folder):
        try:
            found.append(re.sub(r"\d+", "#", os.readlink(os.path.join(folder, name))))
        except OSError:
            continue
    return sorted(found)

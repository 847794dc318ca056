#!/usr/bin/python3
"""What a vote costs Redis by redis-module/tally-redis.so, beside collector/register.lua.

Two private servers with an append-only file get the same batches in turns, four in flight. Prints, for each load, CPU of Redis's main thread
a vote, the time in the command, bytes of the append-only file, and how often a batch took Redis longer than 1.5 ms. Exits 1 if the servers
do not hold the same, or with --check if a ratio is over its bound.
"""
import argparse
import os
import pathlib
import random
import statistics
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))
os.environ.setdefault("TALLY_BUILD", "build/release")

import accelerated  # noqa: E402
import redis_server  # noqa: E402
import register_memory  # noqa: E402

KEYS = ["tally:{0}:" + key for key in ("heads", "changed", "meta", "rings")]
RING = "00000000000000aa"
BATCH, IN_FLIGHT, TURN = 1000, 4, 8
LONG_US = 1500
CPU_MOST, AOF_MOST = 0.40, 0.20
LONG_FIRST_VERSION = 1 << 51  # above every clock, so that both servers give the same versions


class Load:
    """`article()` chooses a vote's article; of all votes 10 % change an earlier one, and 5 % withdraw one, if `changes`."""

    def __init__(self, seed, article, changes):
        self.random, self.article, self.changes = random.Random(seed), article, changes
        self.stamp = 90_000_000_000 << 11
        self.voted = []
        self.position = 0

    def _vote(self):
        self.stamp += self.random.randrange(1, 2048)
        what, kind = self.random.random(), self.random.randrange(1, 8)
        if self.changes and self.voted and what < 0.15:
            article, reader = self.random.choice(self.voted)
            kind = 0 if what < 0.05 else kind
        else:
            article, reader = self.article(self.random), self.random.getrandbits(64).to_bytes(8, "little")
            if self.changes and len(self.voted) < 100_000:
                self.voted.append((article, reader))
        return article, reader + (self.stamp << 4 | kind).to_bytes(7, "big")

    def words(self, split):
        groups = {}
        for _ in range(BATCH):
            article, vote = self._vote()
            groups.setdefault(article, []).append(vote)
        start, self.position = self.position, self.position + BATCH
        words = [4, *KEYS, RING, struct.pack("<Q", start), struct.pack("<QQ", self.position, self.position), 0, 0, b"edgeedge", split, 0, 0,
                 register_memory.STORE]
        for article, votes in groups.items():
            words += [article, b"".join(votes)]
        return words


class Zipf:
    def __init__(self, articles):
        self.articles = range(articles)
        self.weights, total = [], 0
        for i in self.articles:
            total += 1 / (i + 1)
            self.weights.append(total)

    def __call__(self, chance):
        return b"post/%d" % (10_000 + chance.choices(self.articles, cum_weights=self.weights)[0])


def even(articles):
    return lambda chance: b"post/%d" % (1_000_000 + chance.randrange(articles))


LOADS = {
    "one article": (lambda _chance: b"world/migrant-caravan", False),
    "1,000 by Zipf": (Zipf(1000), True),
    "100,000 even": (even(100_000), True),
}


class Contender:
    def __init__(self, server, name):
        self.server, self.client, self.name = server, server.client, name
        self.client.hset(KEYS[2], mapping={"store": register_memory.STORE, "version": LONG_FIRST_VERSION})
        self.client.config_set("slowlog-log-slower-than", LONG_US)
        self.client.config_set("slowlog-max-len", 100_000)
        self.sha = self.client.script_load(register_memory.SCRIPT)

    def apply(self, batches):
        pipe = self.client.pipeline(transaction=False)
        for at in range(0, len(batches), IN_FLIGHT):
            for words in batches[at:at + IN_FLIGHT]:
                first = ("TALLY.REGISTER", "now") if self.name == "module" else ("EVALSHA", self.sha)
                pipe.execute_command(*first, *words)
            for answer in pipe.execute():
                if answer[0] != b"ok" or answer[5]:
                    raise SystemExit("accelerator: the %s answered %r" % (self.name, answer))

    def spent(self):
        """CPU µs of the main thread, µs in the command, bytes of the append-only file, long calls."""
        cpu = self.client.info("cpu")
        stats = self.client.info("commandstats")
        of = stats.get("cmdstat_tally.register") or stats.get("cmdstat_evalsha") or {"usec": 0}
        return ((cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"]) * 1e6, of["usec"], self.server.aof_bytes(),
                self.client.slowlog_len())

    def heads(self):
        return self.client.hgetall(KEYS[0])


def measure(program, name, votes, split):
    """For each turn what it cost the module and the script."""
    article, changes = LOADS[name]
    load = Load(name, article, changes)
    servers = [accelerated.Server(module=[], aof=True, program=program), accelerated.Server(aof=True, program=program)]
    try:
        both = [Contender(server, who) for server, who in zip(servers, ("module", "script"))]
        warm = [load.words(split) for _ in range(IN_FLIGHT)]
        for contender in both:
            contender.apply(warm)
        turns = []
        for turn in range(votes // BATCH // TURN):
            batches, costs = [load.words(split) for _ in range(TURN)], {}
            for contender in both if turn % 2 == 0 else reversed(both):
                before = contender.spent()
                contender.apply(batches)
                costs[contender] = [new - old for new, old in zip(contender.spent(), before)]
            turns.append([costs[contender] for contender in both])
        if both[0].heads() != both[1].heads():
            raise SystemExit("accelerator: the servers do not hold the same")
        return turns
    finally:
        for server in servers:
            server.close()


def figures(turns, what, each):
    """Script, module (medians of the turns), and the median of the turns' ratios."""
    return [statistics.median(script[what] for _, script in turns) / each, statistics.median(module[what] for module, _ in turns) / each,
            statistics.median(module[what] / script[what] for module, script in turns)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", default=redis_server.program(), help="the server to measure (default: as the tests choose)")
    parser.add_argument("--votes", type=int, default=400_000, help="of each load (default: %(default)s)")
    parser.add_argument("--loads", default=",".join(LOADS).replace("1,000 ", "1000 ").replace("100,000", "100000"), help="some of: %(default)s")
    parser.add_argument("--check", action="store_true", help="exit 1 if a ratio is over its bound")
    arguments = parser.parse_args()
    split = register_memory.default_split()
    plain = {name.replace(",", ""): name for name in LOADS}
    print("accelerator: %s, batches of %d, %d in flight, %d votes each; script, module, ratio" % (
        redis_server.engine_text() if arguments.redis == redis_server.program() else arguments.redis, BATCH, IN_FLIGHT, arguments.votes))
    print("load              CPU us a vote            us a batch in the command  AOF bytes a vote       batches over 1.5 ms")
    failed = False
    for name in arguments.loads.split(","):
        turns = measure(arguments.redis, plain[name], arguments.votes, split)
        cpu, command, aof = figures(turns, 0, TURN * BATCH), figures(turns, 1, TURN), figures(turns, 2, TURN * BATCH)
        print("%-16s %6.2f %6.2f  %5.1f %%   %7.0f %7.0f  %5.1f %%   %6.1f %6.1f  %5.1f %%   %5d %5d" % (
            plain[name], cpu[0], cpu[1], 100 * cpu[2], command[0], command[1], 100 * command[2], aof[0], aof[1], 100 * aof[2],
            sum(script[3] for _, script in turns), sum(module[3] for module, _ in turns)), flush=True)
        failed |= cpu[2] > CPU_MOST or aof[2] > AOF_MOST or command[1] > LONG_US
    sys.exit(1 if failed and arguments.check else 0)


if __name__ == "__main__":
    main()

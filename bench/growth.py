"""What a reaction and a vote cost as articles, readers and votes grow: the third part of script/bench."""

import sys

import register_memory
from contenders import Tally, load, redis_server
from rates import row_line, table, whole

MEASURED = 100000  # reactions by which a cost is told
# So that Redis keeps up while readers are made: what is over would be refused as `busy` once the ring is full.
MAKING_RATE = 50000
ROUNDS, ROUNDS_READERS_MOST = 3, 1000000  # turns, of which the one in the middle counts; it takes minutes to make more readers
VOTES = [1000, 100000, 1000000, 10000000]


def together(all_said):
    """The sum of the books of several loads, each with its own readers."""
    return {name: sum(said[name] for said in all_said) for name in ("sent", "acknowledged", "first", "standing")}


def costs(arguments, build, ports, articles, readers):
    """One Tally that counts reactions spread evenly over this many articles, after this many readers have reacted on the first. CPU a reaction by process, µs."""
    options = {"protocol": arguments.protocol, "qos": 0, "connections": arguments.connections, "seconds": 900}
    measured = MEASURED // 2 if arguments.quick else MEASURED
    with Tally(build, ports) as contender:
        all_said = []

        def drive(about, reactions, ready=lambda: None):
            all_said.append(load(contender, dict(options, **about), reactions, ready))
            ended_s, cpu = contender.settle(all_said[-1])[1], contender.cpu()  # the books' own reading is not the reactions' cost
            contender.check(together(all_said), 0, arguments.protocol)
            return ended_s, cpu

        if readers:
            drive({"articles": 1, "seed": 1, "rate": MAKING_RATE}, readers)
        if articles > 1:  # each of them there already: what the first reaction on one costs is another figure
            drive({"articles": articles, "seed": 2, "rate": MAKING_RATE}, 2 * articles)
        before, was = {}, contender.counted()
        ended_s, after = drive({"articles": articles, "seed": 3}, measured, lambda: before.update(contender.cpu()))
        said, counted = all_said[-1], contender.counted() - was
        cpu = {name: 1e6 * (after[name] - before[name]) / counted for name in after}
    seconds = max(ended_s, said["ended_ns"] / 1e9) - said["begun_ns"] / 1e9
    return {"articles": articles, "readers": readers, "counted": counted, "rate": counted / seconds, "cpu_us": cpu}


def memory(votes_list):
    """Bytes of Redis for this many votes on one article."""
    split = register_memory.default_split()
    found = []
    for votes in votes_list:
        grown, new, usec, _calls, _cpu, tables = register_memory.measure(redis_server.program(), split, "bench %d" % votes, register_memory.one_article(votes))
        found.append({"votes": new, "bytes": grown, "us": usec / new, "not_listpack": tables})
        sys.stderr.write("memory of %d votes: %d bytes\n" % (new, grown))
    return found


def median_of(rounds):
    """The round whose CPU a reaction is in the middle: one that was measured as a whole."""
    return sorted(rounds, key=lambda one: sum(one["cpu_us"].values()))[len(rounds) // 2]


def measure(arguments, build, ports):
    shapes = [(1, 0), (1000, 0), (10000, 0), (1, 1000), (1, 100000)] if arguments.quick else [
        (1, 0), (1000, 0), (10000, 0), (100000, 0), (1, 1000), (1, 100000), (1, 1000000), (1, 10000000)]
    grown = [[] for _ in shapes]
    for turn in range(1 if arguments.quick else ROUNDS):
        for (articles, readers), rounds in zip(shapes, grown):
            if turn and readers > ROUNDS_READERS_MOST:
                continue
            rounds.append(costs(arguments, build, ports, articles, readers))
            sys.stderr.write("%d articles, %d readers before: %.1f µs\n" % (articles, readers, sum(rounds[-1]["cpu_us"].values())))
    return {"costs": [median_of(rounds) for rounds in grown], "rounds": grown, "memory": memory(VOTES[:2] if arguments.quick else VOTES)}


def marginal(found):
    """Bytes a vote, from the least to the most."""
    least, most = found["memory"][0], found["memory"][-1]
    return (most["bytes"] - least["bytes"]) / (most["votes"] - least["votes"])


def spread(found, grows):
    """The highest cost over the lowest, among the shapes in which only `grows` grows."""
    other = "readers" if grows == "articles" else "articles"
    along = [one for one in found["costs"] if one[other] == (0 if other == "readers" else 1) and (grows == "articles" or one["readers"])]
    totals = [sum(one["cpu_us"].values()) for one in along]
    return max(totals) / min(totals)


def text(found):
    names = ["broker", "collector", "redis", "feed"]
    lines = []
    for one in found["costs"]:
        what = "%s articles" % whole(one["articles"]) if not one["readers"] else "one article, %s readers before" % whole(one["readers"])
        lines.append(row_line(what, ["%.2f" % one["cpu_us"][name] for name in names] + ["%.2f" % sum(one["cpu_us"].values()), whole(one["rate"])]))
    costs_table = table(["CPU a reaction as they grow, µs, QoS 0, even spread"] + ["broker", "collector", "Redis", "feed", "all", "counted a second"], lines)
    lines = [row_line(whole(one["votes"]), [whole(one["bytes"]), "%.2f" % (one["bytes"] / one["votes"])]) for one in found["memory"]]
    memory_table = table(["votes on one article", "bytes of Redis", "a vote"], lines)
    return "%s\n\nCost at its most over its least: articles %.2f, readers %.2f.\n\n%s\n\nMarginal, from the first to the last line: %.2f bytes a vote." % (
        costs_table, spread(found, "articles"), spread(found, "readers"), memory_table, marginal(found))

"""The targets beside the results: the first table of script/bench. Ratios of one run; nothing here fails a run."""

import growth
import rates
from live import INTERVAL_MS


def of_rates(found):
    ratio, cpu = rates.ratio, rates.cpu_ratio
    for title, tops, one, other, must, wanted in (
            ("admitted (g) over (b), one article", ("hot0", "hot1"), "admitted_rate", "bare", (2.5, 1.6), (4, 2.2)),
            ("counted (h) over (b), one article, every reader new", ("hot0", "hot1"), "rate", "bare", (1.5, 1.3), (3.8, 2.2)),
            ("counted (h) over (b), 1,000 articles by Zipf's law", ("zipf0", "zipf1"), "rate", "bare", (0.8, 1.2), (3, 2.2)),
            ("counted (h) over (c), which counts no reader once", ("hot0", "hot1"), "rate", "afternoon", (2, 2), (4, 3)),
            ("counted (h) over (d)", ("hot0", "hot1"), "rate", "afternoon_honest", (5, 3), (10, 6)),
            ("counted (h) over (f)", ("hot0", "hot1"), "rate", "able", (5, 3), (10, 6))):
        here, floor = ([ratio(found, key, who, what, other) for key in tops] for who, what in (("tally", one), ("socket", "rate")))
        yield (title + ", QoS 0 / 1", "%g / %g" % must, "%g / %g" % wanted, "%.2f / %.2f" % tuple(here), "%.2f / %.2f" % tuple(floor))
    here, floor = ([cpu(found, key, who) for key in ("hot0", "hot1")] for who in ("tally", "socket"))
    yield ("CPU a counted reaction over (b)'s, QoS 0 / 1", "0.5 / 0.6", "0.3 / 0.4", "%.2f / %.2f" % tuple(here), "%.2f / %.2f" % tuple(floor))


def of_live(found):
    quiet, loaded, fanout, readers = found["quiet"]["TCP"], found["loaded"]["probes"]["the hot article"], found["fanout"], found["readers"]
    yield "publish to changed total, quiet article, p50 / p99, ms", "5 / 15", "2 / 5", "%.1f / %.1f" % (quiet["p50"], quiet["p99"])
    yield ("the same under half the full load, p99, ms", str(INTERVAL_MS + 50), str(INTERVAL_MS + 20), "%.0f" % loaded["p99"])
    over = {title: rates.statistics.median(t["rate"] / b["rate"] for b, t in zip(each["bare"], each["tally"])) for title, each in fanout.items()}
    yield ("fan-out to 1,000 / 5,000 subscribers, deliveries over bare Mosquitto's", "0.9", "1.0",
           "%.2f / %.2f" % (over["1,000, TCP"], over["5,000, TCP"]))
    memory = {title: values[0][0] for title, values in found["memory"].items()}
    yield ("bytes of broker memory a connected reader, over bare", "+300", "+150", "%+.0f" % (memory["Tally, limits on"] - memory["bare"]))
    yield ("%s WebSocket readers, %.0f reactions a second on their article: p99, ms" % (format(readers["readers"], ","), readers["rate"]), "1000", "400",
           "%.0f" % readers["p99"])


def of_growth(found):
    yield "bytes of Redis a vote, marginal", "24", "20", "%.2f" % growth.marginal(found)
    yield ("cost of a reaction at its most over its least, as articles / readers grow", "1.5", "1.2",
           "%.2f / %.2f" % (growth.spread(found, "articles"), growth.spread(found, "readers")))


def text(found):
    lines = []
    for part, rows in (("rates", of_rates), ("live", of_live), ("growth", of_growth)):
        if part in found:
            lines += [rates.row_line(title, [must, wanted, "**%s**" % here] + (floor or [""])) for title, must, wanted, here, *floor in rows(found[part])]
    return rates.table(["figure", "must", "wanted", "here", "(a), the sockets alone"], lines)

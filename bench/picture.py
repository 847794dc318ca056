"""Pictures: the rates as bars, and both ends of the load as two lines. SVG without scripts or embedded fonts, with its own background, so that
light and dark pages show the same."""

import html
import math

import rates

WIDTH, LEFT, RIGHT, BAR, GAP = 940, 385, 110, 20, 8
TALLY, OTHER, FLOOR, INK, PAPER = "#c2410c", "#64748b", "#cbd5e1", "#0f172a", "#ffffff"
SHOWN = ("hot0", "hot1")


def bars_of(found, key):
    """(label, reactions a second, colour)"""
    rows = []
    for row in rates.SHOWN:
        results = found["rates"][key][row.key]
        if row.key == "tally":
            rows.append(("Tally: admitted", rates.median(results, "admitted_rate"), OTHER))
            rows.append(("Tally: counted, once a reader", rates.median(results, "rate"), TALLY))
        else:
            rows.append((row.title, rates.median(results, "rate"), FLOOR if row.key == "socket" else OTHER))
    return rows


def write(x, y, text, more=""):
    return '<text x="%.1f" y="%.1f" %s>%s</text>' % (x, y, more, html.escape(text))


def chart(found, key, top):
    title = next(w.title for w in rates.WORKLOADS if w.key == key)
    rows, out = bars_of(found, key), []
    most = max(rate for _label, rate, _colour in rows)
    out.append(write(16, top + 16, title + ": reactions a second", 'font-weight="bold"'))
    for i, (label, rate, colour) in enumerate(rows):
        y = top + 32 + i * (BAR + GAP)
        width = (WIDTH - LEFT - RIGHT) * rate / most
        weight = ' font-weight="bold"' if colour == TALLY else ""
        out.append(write(LEFT - 10, y + 15, label, 'text-anchor="end"' + weight))
        out.append('<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>' % (LEFT, y, width, BAR, colour))
        out.append(write(LEFT + width + 8, y + 15, format(round(rate), ","), weight))
    return out, top + 32 + len(rows) * (BAR + GAP) + 20


def whole_svg(width, height, title, body):
    head = ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" '
            'font-family="system-ui, sans-serif" font-size="13" fill="%s">' % (width, height, width, height, INK))
    return "\n".join([head, "<title>%s</title>" % html.escape(title), '<rect width="100%%" height="100%%" fill="%s"/>' % PAPER] + body + ["</svg>"]) + "\n"


def draw(about, found):
    """The rates; of a run without rates an empty picture."""
    body, top = [], 8
    for key in SHOWN if "rates" in found else ():
        part, top = chart(found, key, top)
        body += part
    body.append(write(16, top + 4, "Every reaction of another reader, through 1,000 connections, all on one machine: %s cores, Mosquitto %s, %s, %s."
                      % (about["cores"], about["mosquitto"], about["redis"], about["date"][:10]), 'font-size="12"'))
    return whole_svg(WIDTH, top + 20, "Reactions a second: bare Mosquitto, what an afternoon builds, an able C peer, and Tally", body)


# --- both ends ---

PLOT_LEFT, PLOT_TOP, PLOT_WIDTH, PLOT_HEIGHT = 60, 60, 660, 240
CURVE_WIDTH = PLOT_LEFT + PLOT_WIDTH + 60


def x_of(rate, rates_shown):
    least, most = (math.log10(value) for value in (min(rates_shown), max(rates_shown)))
    return PLOT_LEFT + PLOT_WIDTH * (math.log10(rate) - least) / ((most - least) or 1)


def short(rate):
    return "%.0f k" % (rate / 1000) if rate >= 1000 else "%.0f" % rate


def line(points, most, colour, dash=""):
    """`points`: (x, value); the axis goes from 0 to `most`."""
    at = [(x, PLOT_TOP + PLOT_HEIGHT * (1 - value / most)) for x, value in points]
    path = '<polyline fill="none" stroke="%s" stroke-width="2"%s points="%s"/>' % (colour, dash, " ".join("%.1f,%.1f" % point for point in at))
    return [path] + ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (x, y, colour) for x, y in at]


def draw_curve(found):
    """What a quiet article waits, and how many reactions a call takes, over the load."""
    curve = [one for one in found.get("curve", []) if one["rate"] >= 1]
    if not curve:
        return whole_svg(CURVE_WIDTH, 40, "Nothing was measured", [])
    shown = [one["rate"] for one in curve]
    most_batch, most_ms = (max(1.0, 1.15 * max(one[key] for one in curve)) for key in ("batch", "p50"))
    body = [write(16, 22, "When it is quiet nothing waits; under load batches grow by themselves", 'font-weight="bold"'),
            write(PLOT_LEFT, 46, "reactions a call of the register script: up to %.0f" % max(one["batch"] for one in curve), 'fill="%s"' % TALLY),
            write(PLOT_LEFT + 330, 46, "median wait of a quiet article, ms: %.1f to %.1f" % (
                min(one["p50"] for one in curve), max(one["p50"] for one in curve)), 'fill="%s"' % OTHER),
            '<path d="M%d %d V%d H%d" fill="none" stroke="%s"/>' % (PLOT_LEFT, PLOT_TOP, PLOT_TOP + PLOT_HEIGHT, PLOT_LEFT + PLOT_WIDTH, FLOOR)]
    body += line([(x_of(one["rate"], shown), one["batch"]) for one in curve], most_batch, TALLY)
    body += line([(x_of(one["rate"], shown), one["p50"]) for one in curve], most_ms, OTHER, ' stroke-dasharray="5 4"')
    for one in curve:
        x = x_of(one["rate"], shown)
        body.append(write(x, PLOT_TOP + PLOT_HEIGHT + 18, short(one["rate"]), 'text-anchor="middle" font-size="11"'))
        body.append(write(x, PLOT_TOP + PLOT_HEIGHT * (1 - one["batch"] / most_batch) - 8, "%.0f" % one["batch"],
                          'text-anchor="middle" font-size="11" fill="%s"' % TALLY))
    body.append(write(PLOT_LEFT, PLOT_TOP + PLOT_HEIGHT + 38, "reactions a second on another article (logarithmic)", 'font-size="12"'))
    return whole_svg(CURVE_WIDTH, PLOT_TOP + PLOT_HEIGHT + 52, "Reactions a call and median wait over the load", body)

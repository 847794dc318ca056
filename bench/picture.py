"""The rates as a picture: bars, an SVG without scripts or fonts of its own, legible on light and dark pages."""

import html

import rates

WIDTH, LEFT, RIGHT, BAR, GAP = 880, 330, 110, 20, 8
TALLY, OTHER, FLOOR, INK, PAPER = "#c2410c", "#64748b", "#cbd5e1", "#0f172a", "#ffffff"
SHOWN = ("hot0", "hot1")


def bars_of(found, key):
    """(label, reactions a second, colour)"""
    rows = []
    for row in rates.ROWS:
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


def draw(about, found):
    """The SVG's text; of a run without rates an empty one."""
    body, top = [], 8
    for key in SHOWN if "rates" in found else ():
        part, top = chart(found, key, top)
        body += part
    body.append(write(16, top + 4, "Every reaction of another reader, through 1,000 connections, all on one machine: %s cores, Mosquitto %s, Redis %s, %s."
                      % (about["cores"], about["mosquitto"], about["redis"], about["date"][:10]), 'font-size="12"'))
    head = ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" '
            'font-family="system-ui, sans-serif" font-size="13" fill="%s">' % (WIDTH, top + 20, WIDTH, top + 20, INK))
    title = "<title>Reactions a second: bare Mosquitto, what an afternoon builds, an able C peer, and Tally</title>"
    return "\n".join([head, title, '<rect width="100%%" height="100%%" fill="%s"/>' % PAPER] + body + ["</svg>"]) + "\n"

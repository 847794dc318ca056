"""Every line that the programs log in a whole run is logfmt, or JSON where log_format says so."""

import json
import re
import signal

import pytest

import logfmt
from clients import Closed, Refused, unique
from edge import broker_version, wait_until

FIRST = ["time", "level", "program", "msg"]


@pytest.mark.parametrize("line", ['a=1 b="x y"', 'a="\\u001b\\\\x9f \\" = \\n"', 'msg=""', "a_ms=-1.5 b=x:y/[z]"])
def test_the_parser_takes_what_is_logfmt(line):
    assert logfmt.parse(line)


@pytest.mark.parametrize("line", ["a", "a=", "a=b c", "a=x y=z w", 'a="x', 'a="\\x1b"', "a=b  c=d", 'a=x"y', 'a="x"y', "a=1 a=2", "a=b=c", "", "=x", 'a="\x1b"', "a=\\"])
def test_the_parser_takes_nothing_else(line):
    with pytest.raises(ValueError):
        logfmt.parse(line)


def _parse_json(line):
    """{member: text}; ValueError unless the line is one object without repeated members, in printable ASCII."""
    def members(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a member twice in %r" % line)
        return dict(pairs)
    if not re.fullmatch(r"\{[ -~]*\}", line):
        raise ValueError("not one object of ASCII: %r" % line)
    return {key: str(value) for key, value in json.loads(line, object_pairs_hook=members).items()}


PARSERS = {"collector": logfmt.parse, "plugin": logfmt.parse, "feed": _parse_json}


def test_every_line_of_a_run_parses(make_edge):
    """Each program starts and ends while the others run; it logs what is wrong, with values that contain spaces."""
    edge = make_edge(feed={"log_level": "debug", "log_format": "json"}, collector={"log_level": "debug"})
    edge.start("collector", "feed", ready=False)  # nothing there yet
    wait_until(lambda: "waiting for the spool" in edge["collector"].text(), "the collector to wait")
    edge.start("redis", "broker")
    assert re.search(r"msg=\"?ready\"? .* mosquitto=%d\.%d headers=2\.[01]$" % broker_version()[:2], edge["broker"].text(), re.MULTILINE)
    client = edge.client()
    client.say("reactions/" + unique("log"), b"like")
    client.say("reactions/" + unique("log"), b'{"reaction":"like" "\x1b[31m"}')
    edge.service("operator").say('articles/a "b" \\c=d é', b"closed", retain=True)
    edge.service("operator").say("articles/log", b'{"state":"a \\"b\\""}', retain=True)
    with pytest.raises((Refused, Closed)):
        edge.client(username="tally-feed", password="wrong, with spaces = and \"quotes\"")
    edge["broker"].child.send_signal(signal.SIGHUP)
    edge.settle()
    edge.redis.config_set("maxmemory", 1)
    client.say("reactions/" + unique("log"), b"like")
    wait_until(lambda: "cannot apply a batch" in edge["collector"].text(), "Redis to refuse")
    edge.redis.config_set("maxmemory", 0)
    edge.settle()
    for name in ("redis", "broker", "collector", "feed"):
        edge.stop(name)
        if name in ("redis", "broker"):
            edge.wait_unhealthy(name)
        edge.start(name)
    edge.redis.hset("tally:store", "id", "f" * 16)
    edge.wait_unhealthy("store")
    edge.stop("feed", "collector")
    lines = {name: edge[name].text(all_starts=True).splitlines() for name in ("collector", "feed")}
    lines["plugin"] = [re.sub(r"^\d+: ", "", line) for line in edge["broker"].text(all_starts=True).splitlines() if "program=tally-broker-plugin" in line]
    wrong, spaces = [], 0
    for name, said in lines.items():
        assert len(said) > (1 if name == "plugin" else 5), name
        for line in said:
            try:
                found = PARSERS[name](line)
            except ValueError as error:
                wrong.append("%s: %s" % (name, error))
                continue
            spaces += any(" " in value for key, value in found.items() if key not in FIRST)
            if name != "plugin" and list(found)[:4] != FIRST:
                wrong.append("%s: %s" % (name, line))
    assert not wrong, "%d of %d:\n%s" % (len(wrong), sum(map(len, lines.values())), "\n".join(wrong))
    assert spaces > 5  # the run said what needs quotes

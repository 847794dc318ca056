#!/usr/bin/python3
"""How many instructions a reaction costs the broker and its plugin, counted by callgrind: the figure does not depend on what else the machine does.

  bench/instructions.py [--build build/release] [--broker mosquitto] [--payloads word,widget,again,gateway] [--qos 0,1] [--reactions 20000]

The script starts its own broker under valgrind, without Redis and the daemons, and counts only while the load runs: 20 connections that
write 16 reactions at once to one article, with limits off, as bench.py has them. Payloads:

  word     a kind's name alone
  widget   the same with the widget's Response Topic and Correlation Data
  again    {"reaction":"like","age_ms":1234} with both, as the widget sends it again
  gateway  {"reaction":"like","reader":"reader-…"}, each time another reader

Prints for each load a line (own: in the plugin's code; with calls: also in the libraries and the broker's functions that it calls), then the ten
largest of the plugin. Needs valgrind, and a build with optimisation and debug information, such as the preset `release`."""

import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))

import raw_mqtt as raw  # noqa: E402

CONNECTIONS, BURST = 20, 16  # within the broker's Receive Maximum of 20
ANSWER_S = 600  # valgrind on a busy machine is slow
GATEWAY, SECRET = "bench", "bench-secret-of-instructions"
TOPIC = "reactions/bench/post-1000"
PINGREQ, PINGRESP = b"\xc0\0", 0xD0
PAYLOADS = ("word", "widget", "again", "gateway")


# --- the load ---

def properties_of(form, client_id):
    if form not in ("widget", "again"):
        return b"\0"
    return raw.properties(b"\x08" + raw.text("receipts/" + client_id), b"\x09" + raw.text("1764550000000"))


def payload_of(form, number):
    return {"word": b"like", "widget": b"like", "again": b'{"reaction":"like","age_ms":1234}',
            "gateway": b'{"reaction":"like","reader":"reader-%012x-%012x"}' % (1, number)}[form]


class Connection:
    def __init__(self, port, form, qos, n):
        service = form == "gateway"
        self.form, self.qos, self.n, self.sent = form, qos, n, 0
        self.client_id = ("gateway-%d" if service else "reader-0123456789-%d") % n
        self.raw = raw.Raw(port)
        self.raw.socket.settimeout(ANSWER_S)
        code = self.raw.open(self.client_id, username=GATEWAY if service else None, password=SECRET if service else None)
        if code != 0:
            raise SystemExit("the broker refused a connection with code %d" % code)

    def write(self, reactions):
        packets = [raw.publish(TOPIC, payload_of(self.form, self.n << 32 | self.sent + i), qos=self.qos, mid=i + 1,
                               props=properties_of(self.form, self.client_id)) for i in range(reactions)]
        self.raw.send(b"".join(packets))
        self.sent += reactions

    def settle(self, answers):
        for _ in range(answers):
            answer = self.raw.read()
            if answer.kind != raw.PUBACK or (len(answer.body) > 2 and answer.body[2] >= 0x80):
                raise SystemExit("not acknowledged: %r" % (answer,))

    def ping(self):
        """Until the broker has handled all that was sent."""
        self.raw.send(PINGREQ)
        if self.raw.read().kind != PINGRESP:
            raise SystemExit("a PINGREQ was not answered")


def run(connections, qos, reactions):
    left = reactions
    while left > 0:
        for connection in connections:
            n = min(BURST, left)
            left -= n
            connection.write(n)
            connection.settle(n if qos else 0)
    for connection in connections:
        connection.ping()


# --- what callgrind has counted ---

def read_profile(path):
    """Own instructions by (object, function), and those of calls with all that they call, by (caller, callee)."""
    own, calls = collections.Counter(), collections.Counter()
    where, callee, called = {"ob": "", "fn": ""}, {}, False
    with open(path) as profile:
        for line in profile:
            name, equals, value = line.rstrip("\n").partition("=")
            if equals and name in ("ob", "fn"):
                where[name] = value
            elif equals and name in ("cob", "cfn"):
                callee[name] = value
            elif name == "calls":
                called = True
            elif re.match(r"[0-9]+ [0-9]+$", line):
                place, cost = (where["ob"], where["fn"]), int(line.split()[1])
                if called:
                    calls[place, (callee.get("cob", where["ob"]), callee["cfn"])] += cost
                    callee, called = {}, False
                else:
                    own[place] += cost
    return own, calls


def sum_up(path, plugin, reactions):
    own, calls = read_profile(path)
    inside = collections.Counter({fn: cost for (ob, fn), cost in own.items() if ob == plugin})
    outside = collections.Counter()
    for ((caller, _fn), (ob, fn)), cost in calls.items():
        if caller == plugin and ob != plugin:
            outside["%s (%s)" % (fn, os.path.basename(ob))] += cost
    if not inside:
        raise SystemExit("callgrind saw nothing of %s; is it built with debug information?" % plugin)
    return {"broker": sum(own.values()) / reactions, "own": sum(inside.values()) / reactions,
            "with calls": (sum(inside.values()) + sum(outside.values())) / reactions,
            "largest": [(name, cost / reactions) for name, cost in (inside + outside).most_common(10)]}


# --- the broker ---

def measure(folder, build, form, qos, reactions):
    from edge import Edge  # it reads TALLY_BROKER
    name = "%s-%d" % (form, qos)
    profile = os.path.join(folder, name + ".callgrind")
    edge = Edge(os.path.join(folder, name), plugin={"ring_bytes": 1 << 25}, build=build)
    with open(edge.path("services"), "a") as services:
        services.write("%s gateway %s\n" % (GATEWAY, SECRET))
    broker = edge["broker"]
    broker.argv[:0] = [shutil.which("valgrind"), "--tool=callgrind", "--instr-atstart=no", "--compress-strings=no", "--compress-pos=no",
                       "--callgrind-out-file=" + profile]
    try:
        edge.start("broker", ready=False)
        connections = [Connection(edge.mqtt_port, form, qos, n) for n in range(CONNECTIONS)]
        run(connections, qos, 10 * CONNECTIONS)  # what happens once
        control(broker, "on")
        run(connections, qos, reactions)
        control(broker, "off")
        for connection in connections:
            connection.raw.close()
        edge.stop("broker")
        return sum_up(profile, os.path.realpath(edge.plugin()), reactions)
    finally:
        edge.close()


def control(broker, switch):
    subprocess.run(["callgrind_control", "--instr=" + switch, str(broker.child.pid)], check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--broker", help="the Mosquitto to run; as installed by default")
    parser.add_argument("--payloads", default=",".join(PAYLOADS))
    parser.add_argument("--qos", default="0,1")
    parser.add_argument("--reactions", type=int, default=20000)
    arguments = parser.parse_args()
    if not shutil.which("valgrind") or not shutil.which("callgrind_control"):
        print("skipped: valgrind is not installed")
        return
    unknown = set(arguments.payloads.split(",")) - set(PAYLOADS)
    if unknown:
        parser.error("--payloads: %s; known are %s" % (", ".join(sorted(unknown)), ", ".join(PAYLOADS)))
    if arguments.broker:
        os.environ["TALLY_BROKER"] = arguments.broker
    found = []
    with tempfile.TemporaryDirectory(prefix="tally-instructions-") as folder:
        for form in arguments.payloads.split(","):
            for qos in map(int, arguments.qos.split(",")):
                found.append((form, qos, measure(folder, os.path.abspath(arguments.build), form, qos, arguments.reactions)))
    print("| payload | QoS | plugin's own | with calls | whole broker |\n| --- | --- | --- | --- | --- |")
    for form, qos, sums in found:
        print("| %s | %d | %.0f | %.0f | %.0f |" % (form, qos, sums["own"], sums["with calls"], sums["broker"]))
    for form, qos, sums in found:
        print("\n%s, QoS %d" % (form, qos))
        for name, cost in sums["largest"]:
            print("%8.0f  %s" % (cost, name))


if __name__ == "__main__":
    main()

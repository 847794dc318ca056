#!/usr/bin/python3
"""All that script/bench measures, contender beside contender in one run: rates, the live side, growth. Prints Markdown tables of medians and
ratios; writes them, the raw results and a picture to --out. Fails where books do not balance, never because of a time. TALLY_BUILD names a
build folder to use; without it, build/release is built. Method and terms: bench/README.md."""

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time

import curve
import growth
import live
import picture
import rates
import targets
from contenders import BenchError, Ports, ROOT, broker_program, redis_server
from tools import PATH, REDIS, build, check_tools, die

PARTS = ("rates", "live", "curve", "growth")
MODULES = os.path.join(ROOT, "bench", "peers", "node_modules")
BOUND_S = {True: 300, False: 5400}


def version(argv, word):
    text = subprocess.run([shutil.which(argv[0], path=PATH)] + argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    return text.split(word)[1].split()[0]


def commit():
    said = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return said.stdout.strip() or "unknown"


def system(getppid_ns, load_before):
    """The machine and the versions that were measured."""
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "cores": os.cpu_count(), "processor": model,
            "kernel": platform.release(), "getppid_ns": getppid_ns, "mosquitto": version([broker_program(), "-h"], "mosquitto version"),
            "redis": redis_server.engine_text(), "node": version(["node", "--version"], "v"), "tally": commit(),
            "load_before": load_before, "load_after": os.getloadavg()[0]}


def header(about, arguments):
    return ("%s; %s (%d cores), Linux %s; Mosquitto %s, %s, node %s; Tally %s. `%s`. A `getppid` costs %s ns here. Load average before "
            "%.1f, after %.1f (the bench's own programs, too).\n\nMQTT %s, %d connections, window %d at QoS 1; %s reactions at QoS 0, half at QoS 1, less for "
            "the slow ones; %d run(s) of each, in turn; medians." % (
                about["date"], about["processor"], about["cores"], about["kernel"], about["mosquitto"], about["redis"], about["node"], about["tally"],
                " ".join(["script/bench"] + sys.argv[1:]), about["getppid_ns"], about["load_before"], about["load_after"], arguments.protocol,
                arguments.connections, arguments.window, format(arguments.reactions, ","), arguments.runs))


def parse():
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short run of each, under three minutes")
    parser.add_argument("--parts", default=",".join(PARTS), help="of %s (default: all)" % ", ".join(PARTS))
    parser.add_argument("--runs", type=int, default=5, help="of each contender and load, 1 to 20 (default 5)")
    parser.add_argument("--reactions", type=int, default=200000, help="at QoS 0, half at QoS 1; 1000 to 4000000 (default 200000)")
    parser.add_argument("--connections", type=int, default=1000, help="1 to 16000 (default 1000)")
    parser.add_argument("--window", type=int, default=20, help="unacknowledged a connection, 1 to 1000 (default 20)")
    parser.add_argument("--protocol", choices=["3.1.1", "5"], default="5", help="of the reactions (default 5)")
    parser.add_argument("--port-base", type=int, default=0, help="ports from here on, 1024 to 65000; else any free ones")
    parser.add_argument("--out", default="", help="a folder for the tables, the raw results and the picture; else they are printed only")
    arguments = parser.parse_args()
    for name, least, most in (("runs", 1, 20), ("reactions", 1000, 4000000), ("connections", 1, 16000), ("window", 1, 1000)):
        if not least <= getattr(arguments, name) <= most:
            parser.error("--%s: %d is not %d to %d" % (name, getattr(arguments, name), least, most))
    if arguments.port_base and not 1024 <= arguments.port_base <= 65000:
        parser.error("--port-base: %d is not 1024 to 65000" % arguments.port_base)
    arguments.parts = arguments.parts.split(",")
    if not set(arguments.parts) <= set(PARTS):
        parser.error("--parts: %s is not of %s" % (",".join(arguments.parts), ", ".join(PARTS)))
    if arguments.out and not os.path.isdir(arguments.out):
        parser.error("--out: %s is not a folder" % arguments.out)
    arguments.seconds = 60
    if arguments.quick:
        arguments.runs, arguments.reactions, arguments.seconds = 1, min(arguments.reactions, 50000), 10
    return arguments


def raise_files(arguments):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    needed = max([arguments.connections] + ([live.scale_of(arguments).websockets] if "live" in arguments.parts else [])) + 200
    if files < needed:
        die("%d open files are needed, this user may have %d (ulimit -Hn); fewer --connections or other --parts need fewer" % (needed, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def measure(arguments, folder):
    """Returns (results by part, Markdown of each part)."""
    found, texts = {}, []
    ports = Ports(arguments.port_base)
    modules = {"rates": rates, "live": live, "curve": curve, "growth": growth}
    for part in PARTS:
        if part in arguments.parts:
            begun = time.monotonic()
            found[part] = modules[part].measure(arguments, folder, ports)
            sys.stderr.write("%s: %.0f s\n" % (part, time.monotonic() - begun))
            texts.append(modules[part].text(found[part]))
    return found, texts


def main():
    arguments = parse()
    check_tools([REDIS])
    if "rates" in arguments.parts and not os.path.isdir(MODULES):
        die("bench/peers/node_modules is missing; script/bench installs it (npm ci --prefix bench/peers)")
    raise_files(arguments)
    folder = build()
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda _number, _frame: sys.exit("bench: ended before its time"))
    signal.alarm(BOUND_S[arguments.quick])
    load_before = os.getloadavg()[0]
    try:
        found, texts = measure(arguments, folder)
    except BenchError as error:
        sys.exit("bench: FAILED: %s" % error)
    about = system(statistics.median(r["getppid_ns"] for w in found["rates"].values() for c in w.values() for r in c) if "rates" in found else "?",
                   load_before)
    text = "\n\n".join([header(about, arguments), targets.text(found)] + texts) + "\n"
    print(text)
    if arguments.out:
        for name, content in (("bench.md", text), ("bench.json", json.dumps({"about": about, "found": found}, indent=1)),
                              ("rates.svg", picture.draw(about, found)), ("curve.svg", picture.draw_curve(found))):
            with open(os.path.join(arguments.out, name), "w") as out:
                out.write(content)


if __name__ == "__main__":
    main()

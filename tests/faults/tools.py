"""Helpers that script/prove, script/soak and the bench share besides readers and judgement: the build to try, and words for a table."""

import os
import shutil
import subprocess
import sys

import redis_server

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def die(text):
    sys.stderr.write("%s: %s\n" % (os.path.splitext(os.path.basename(sys.argv[0]))[0], text))
    sys.exit(2)


def say(text):
    print(text, flush=True)


def number(n):
    return format(n, ",")


PAHO, REDIS = ("paho.mqtt.client", "python3-paho-mqtt"), ("redis", "python3-redis")


def check_tools(modules=(PAHO, REDIS)):
    """Says at once all that is missing. `modules`: (Python module, Debian package) pairs."""
    packages = {os.environ.get("TALLY_BROKER") or "mosquitto": "mosquitto", redis_server.program(): redis_server.name()}
    if "TALLY_BUILD" not in os.environ:
        packages.update({"cmake": "cmake", "ninja": "ninja-build", "cc": "gcc"})
    missing = [package for program, package in packages.items() if shutil.which(program, path=PATH) is None]
    for module, package in modules:
        try:
            __import__(module)
        except ImportError:
            missing.append(package)
    if missing:
        die("missing: %s. On Debian: apt-get install %s" % (", ".join(missing), " ".join(missing)))


def build():
    """Folder of the build to try."""
    if "TALLY_BUILD" in os.environ:
        return os.path.abspath(os.environ["TALLY_BUILD"])
    folder = os.path.join(ROOT, "build", "release")
    for command in (["cmake", "--preset", "release"], ["cmake", "--build", folder]):
        made = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if made.returncode != 0:
            die("%s failed:\n%s" % (" ".join(command), made.stdout[-4000:]))
    return folder


def say_table(head, lines):
    """The first column to the left, the others to the right."""
    widths = [max(len(line[i]) for line in lines + [head]) for i in range(len(head))]
    say("")
    for line in [head] + lines:
        say("  ".join([line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]).rstrip())
    say("")

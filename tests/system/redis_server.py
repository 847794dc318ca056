"""The program that the tests start as Redis. Used by the system tests, script/prove, script/soak and bench."""

import functools
import os
import re
import shutil
import subprocess

SEARCHED = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


@functools.lru_cache(None)
def program():
    """The path of TALLY_REDIS_SERVER, else of Redis, else of Valkey; a mere name if it is not installed. As script/lib.sh chooses."""
    names = list(filter(None, [os.environ.get("TALLY_REDIS_SERVER")])) or ["redis-server", "valkey-server"]
    return next(filter(None, (shutil.which(name, path=SEARCHED) for name in names)), names[0])


def name():
    """What the process calls itself."""
    return os.path.basename(program())


@functools.lru_cache(None)
def engine():
    """Such as ("Valkey", (9, 1, 2))."""
    said = subprocess.run([program(), "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    version = re.search(r" v=(\d+)\.(\d+)\.(\d+)", said).groups()
    return said.split()[0], tuple(map(int, version))


def engine_text():
    """Such as "Valkey 9.1.2"."""
    which, version = engine()
    return "%s %d.%d.%d" % (which, *version)


def environment():
    """What a script needs to start the same."""
    return {"TALLY_REDIS_SERVER": program()} if os.path.isabs(program()) else {}

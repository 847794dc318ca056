"""Child processes that end with their parent, and those that are left over. Used by the system tests, script/prove, script/soak and bench."""

import os
import shutil

import redis_server

SETPRIV = shutil.which("setpriv") or "setpriv"


def dying_with_parent(argv):
    """The command line with which a program is killed as soon as the thread that started it is gone, even if that happens before the program
    could ask for it. A preexec_fn could do the same, but makes Python copy its page tables: that takes three times as long."""
    return [SETPRIV, "--pdeathsig", "KILL", "--", "/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())] + list(argv)


def marked_processes(mark, redis_port=None):
    """Pid → command line of processes that have the mark (NAME=VALUE, bytes) in their environment, or (Redis overwrites its own) name the Redis."""
    def names_redis(words):
        return redis_port is not None and redis_server.name().encode() in words and b"127.0.0.1:%d" % redis_port in words
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as environ, open("/proc/%s/cmdline" % pid, "rb") as command:
                words = command.read()
                if mark in environ.read().split(b"\0") or names_redis(words):
                    found[int(pid)] = words.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found

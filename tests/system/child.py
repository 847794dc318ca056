"""Children that end with whoever started them, and those that are left. Used by the system tests, script/prove, script/soak and bench."""

import ctypes
import os
import signal

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def dying_with_parent():
    """A preexec_fn: the child is killed as soon as the calling thread is gone, even where that is before the child could ask for it."""
    parent = os.getpid()

    def ask():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def marked_processes(mark, redis_port=None):
    """Pid → command line of what has the mark (NAME=VALUE, bytes) in its environment, or (Redis overwrites its own) names the Redis."""
    def names_redis(words):
        return redis_port is not None and b"redis-server" in words and b"127.0.0.1:%d" % redis_port in words
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

"""Children that end with whoever started them. Used by the system tests, script/prove, script/soak and bench/loop.py."""

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

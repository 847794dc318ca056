"""The kinds of fault that script/soak knows. Each is a generator over a schedule: it breaks something, yields while that lasts, and mends it."""

import collections
import os
import signal
import time

Kind = collections.namedtuple("Kind", "name title touches act prepare never_with")

KINDS = {}  # name → Kind, in the order of the table


def kind(name, title, touches, prepare=None, never_with=()):
    """`touches`: what two faults at once may not both touch. `never_with`: words of which two kinds of a schedule may not share one."""
    def add(act):
        KINDS[name] = Kind(name, title, frozenset(touches), act, prepare, frozenset(never_with))
        return act
    return add


def jumped(send, jumps):
    return send


# --- processes ---

def _kill(program):
    def act(schedule, _rng):
        schedule.edge.kill(program)
        yield
        schedule.edge.start(program, ready=False)
    return act


def _stop(program):
    def act(schedule, rng):
        pid = schedule.edge[program].child.pid
        os.kill(pid, signal.SIGSTOP)
        schedule.cleanup.append(lambda: _continue(schedule, program, pid))
        yield
        time.sleep(rng.choice([0.0, 0.0, 0.5, 2.0]))
        os.kill(pid, signal.SIGCONT)
    return act


def _continue(schedule, program, pid):
    if schedule.edge[program].running() and schedule.edge[program].child.pid == pid:
        os.kill(pid, signal.SIGCONT)


def _restart(program):
    def act(schedule, _rng):
        schedule.edge.stop(program)
        yield
        schedule.edge.start(program, ready=False)
    return act


for _program, _title in (("broker", "broker"), ("collector", "collector"), ("feed", "feed"), ("redis", "Redis")):
    kind(_program + "-killed", _title + " killed", [_program])(_kill(_program))
    kind(_program + "-stopped", _title + " stopped for a while", [_program])(_stop(_program))
    kind(_program + "-restarted", _title + " restarted", [_program])(_restart(_program))

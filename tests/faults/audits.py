"""`tally` on edges whose store several servers hold. Used by tests/system/test_cluster.py and by script/prove."""

import subprocess
import threading

from clients import TIMEOUT_S
from edge import wait_until

COMMAND_S = 60.0 + 2 * TIMEOUT_S  # a command waits up to 60 s for a slot that moves


def command(edge, name, *more, given=None):
    """(exit status, output) of an operator's command."""
    argv = [edge.program("tally"), name] + [word for word in more if not word.startswith("--")] + edge.servers.options()
    if name == "audit":
        argv += ["--spool", edge.spool, "--http-port", str(edge.http_port), "--services-file", edge.path("services"),
                 "--mqtt-host", "127.0.0.1", "--mqtt-port", str(edge.mqtt_port)]
    elif name == "article":
        argv += ["--services-file", edge.path("services"), "--mqtt-port", str(edge.mqtt_port)]
    argv += [word for word in more if word.startswith("--")]
    done = subprocess.run(argv, env=edge.env, input=given, stdin=None if given else subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=COMMAND_S)
    return done.returncode, done.stdout


class Audits(threading.Thread):
    """`tally audit` on one edge after another, again and again."""

    def __init__(self, edges):
        super().__init__(name="audits", daemon=True)
        self.edges, self.ending, self.done = edges, threading.Event(), []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_error):
        self.ending.set()
        self.join()

    def run(self):
        while not self.ending.is_set():
            for edge in self.edges:
                self.done.append(command(edge, "audit"))

    def wait_more(self, n, timeout_s=None):
        goal = len(self.done) + n
        wait_until(lambda: len(self.done) >= goal, "%d more audits" % n, timeout_s)

    def failed(self):
        """What those said whose exit status was not 0."""
        return [done for done in self.done if done[0] != 0]

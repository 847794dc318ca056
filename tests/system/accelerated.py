"""Redis servers with the accelerator (redis-module/tally-redis.so), for the tests of it and for bench."""

import os
import shutil
import subprocess
import tempfile

import redis as redis_py

import redis_server
from child import dying_with_parent
from edge import TIMEOUT_S, build_dir, free_ports, release_ports, wait_until


def module_path():
    return os.path.join(build_dir(), "redis-module", "tally-redis.so")


class Server:
    """A private Redis. `module`: the arguments of the module, None without it. `aof`: it keeps an append-only file."""

    def __init__(self, module=None, aof=False, replica_of=None, program=None, options=()):
        self.folder = tempfile.mkdtemp(prefix="tally-redis-")
        self.path = os.path.join(self.folder, "s")
        self.ports = free_ports(1)
        self.command = [program or redis_server.program(), "--port", str(self.ports[0]), "--bind", "127.0.0.1", "--unixsocket", self.path,
                        "--dir", self.folder, "--save", "", "--appendonly", "yes" if aof else "no", "--appendfsync", "everysec",
                        "--auto-aof-rewrite-percentage", "0", "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0", *options]
        if module is not None:
            self.command += ["--loadmodule", module_path()] + list(module)
        if replica_of is not None:
            self.command += ["--replicaof", "127.0.0.1", str(replica_of.ports[0])]
        self.client = redis_py.Redis(unix_socket_path=self.path)
        self.process = None
        self.start()

    def _up(self):
        assert self.process.poll() is None, open(self.log, errors="replace").read()[-2000:]
        try:
            return self.client.ping()
        except redis_py.exceptions.RedisError:
            return False

    def start(self):
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(dying_with_parent(self.command), stdout=log, stderr=log)
        wait_until(self._up, "redis to come up")

    def kill(self):
        self.process.kill()
        self.process.wait(TIMEOUT_S)

    def aof_bytes(self):
        return self.client.info("persistence")["aof_current_size"]

    def close(self):
        self.client.close()
        self.process.terminate()
        self.process.wait(TIMEOUT_S)
        release_ports(self.ports)
        shutil.rmtree(self.folder)


def accelerated(redis, clock, words):
    """A call of the command. `clock`: "now", or a time in µs; `words`: as behind EVALSHA's script."""
    return redis.execute_command("TALLY.REGISTER", clock, *words)

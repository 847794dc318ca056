#!/usr/bin/python3
"""Bytes a vote and votes a second of collector/register.lua.

Starts a private Redis with default listpack limits on a Unix socket, applies votes in batches through the script exactly as the
collector does, and prints what used_memory grew by. Exits 1 when a figure is over its bound.
"""
import argparse
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import redis

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))

import redis_server  # noqa: E402

SCRIPT = b"".join((ROOT / part).read_bytes() for part in ("lib/lua/prelude.lua", "collector/shard_store.lua", "collector/register.lua"))
STORE = "00000000000000ff"
BYTES_A_VOTE_MAX = 24
BYTES_AN_ARTICLE_MAX = 600
KINDS = 7
BATCH = 1000


def default_split():
    text = (ROOT / "collector" / "store.h").read_text()
    return int(re.search(r"#define STORE_SPLIT_VOTERS (\d+)", text).group(1))


class Server:
    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="tally-register-")
        path = os.path.join(self.folder, "redis.sock")
        self.process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", path, "--dir", self.folder, "--save", "",
             "--appendonly", "no", "--daemonize", "no"], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=path)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.client.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


class Ring:
    """One ring's calls, in flight four at a time."""

    def __init__(self, client, split, seed):
        self.client, self.split = client, split
        self.random = random.Random(seed)
        client.hset("tally:store", "id", STORE)
        self.sha = client.script_load(SCRIPT)
        self.position = self.stamp = 0
        self.ring = "%016x" % self.random.getrandbits(64)
        self.pipe = client.pipeline(transaction=False)
        self.pending = 0
        self.new = 0

    def vote(self):
        self.stamp += self.random.randrange(1, 2048)
        value = (self.stamp + (90_000_000_000 << 11)) << 4 | self.random.randrange(1, KINDS + 1)
        return self.random.getrandbits(64).to_bytes(8, "little") + value.to_bytes(7, "big")

    def batch(self, groups):
        votes = sum(len(blob) // 15 for _, blob in groups)
        start, self.position = self.position, self.position + votes
        self.pipe.evalsha(
            self.sha, 5, *("tally:{0}:" + key for key in ("heads", "changed", "meta", "rings")), "tally:store",
            self.ring, struct.pack("<Q", start), struct.pack("<QQ", self.position, self.position), 0, 0,
            b"edgeedge", self.split, 0, 0, STORE, *(part for group in groups for part in group))
        self.pending += 1
        if self.pending == 4:
            self.flush()

    def flush(self):
        for answer in self.pipe.execute():
            if answer[0] != b"ok" or answer[5]:
                raise SystemExit(f"register_memory: the script answered {answer}")
            self.new += answer[1]
        self.pending = 0


def memory(client):
    """used_memory once Lua's heap (Redis 8 counts it) and every buffer of the connection that did the work are gone."""
    client.script_flush("SYNC")
    client.connection_pool.disconnect()
    last = None
    while True:
        clients, used = client.info("clients")["connected_clients"], client.info("memory")["used_memory"]
        if clients == 1 and used == last:
            return used
        last = used


def spent(client):
    """Calls of the script, microseconds in it, CPU seconds of the server's main thread."""
    stats, cpu = client.info("commandstats")["cmdstat_evalsha"], client.info("cpu")
    return stats["calls"], stats["usec"], cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"]


def not_listpack(client):
    """Buckets that are no longer a listpack: all of up to 10,000 keys are looked at, a sample of more."""
    keys = []
    for key in client.scan_iter("tally:{0}:[0-9]*", count=1000):
        keys.append(key)
        if len(keys) == 10_000:
            break
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.object("encoding", key)
    return sum(encoding != b"listpack" for encoding in pipe.execute())


def measure(program, split, shape, batches):
    server = Server(program)
    try:
        client = server.client
        warm = Ring(client, split, "warm")
        for _ in range(8):
            warm.batch([(b"warm", b"".join(warm.vote() for _ in range(BATCH)))])
        warm.flush()
        client.flushall()
        first = Ring(client, split, "first")  # the shard's own keys are there already
        first.batch([(b"first", first.vote())])
        first.flush()
        memory(client)  # Redis keeps a histogram of each command it has seen: let it have seen all
        calls, usec, cpu = spent(client)
        before = memory(client)
        ring = Ring(client, split, shape)
        for groups in batches(ring):
            ring.batch(groups)
        ring.flush()
        after = memory(client)
        calls, usec, cpu = (new - old for new, old in zip(spent(client), (calls, usec, cpu)))
        return after - before, ring.new, usec, calls, cpu, not_listpack(client)
    finally:
        server.stop()


def one_article(votes):
    def batches(ring):
        for at in range(0, votes, BATCH):
            yield [(b"world/migrant-caravan", b"".join(ring.vote() for _ in range(min(BATCH, votes - at))))]
    return batches


def many_articles(articles, votes):
    def batches(ring):
        for at in range(0, articles, BATCH // votes):
            yield [(b"post/%d" % (10_000 + n), b"".join(ring.vote() for _ in range(votes)))
                   for n in range(at, min(at + BATCH // votes, articles))]
    return batches


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=int, default=None, help="voters a bucket (default: as in collector/store.h)")
    parser.add_argument("--redis", default=redis_server.program(), help="the server to measure (default: as the tests choose)")
    arguments = parser.parse_args()
    split = arguments.split or default_split()
    print(f"register_memory: {split} voters a bucket, batches of {BATCH}, 4 in flight")
    print("    votes  articles       bytes  a vote  an article  votes/s  votes/CPU s  ms a call  not listpack")
    failed = False
    shapes = [(1, 1_000, one_article(1_000)), (1, 100_000, one_article(100_000)),
              (1, 1_000_000, one_article(1_000_000)), (10_000, 100_000, many_articles(10_000, 10))]
    for articles, votes, batches in shapes:
        grown, new, usec, calls, cpu, tables = measure(arguments.redis, split, f"{articles} {votes}", batches)
        an_article = (grown - BYTES_A_VOTE_MAX * new) / articles
        print(f"{new:>9}  {articles:>8}  {grown:>10}  {grown / new:>6.2f}  {an_article:>10.0f}  {new / usec * 1e6:>7.0f}"
              f"  {new / cpu:>11.0f}  {usec / calls / 1000:>9.2f}  {tables:>12}", flush=True)
        failed |= new != votes or tables != 0 or an_article > BYTES_AN_ARTICLE_MAX
    print("register_memory: " + ("over its bound" if failed else
          f"at most {BYTES_A_VOTE_MAX} bytes a vote and {BYTES_AN_ARTICLE_MAX} more an article"))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""Votes that are in the store before anything happens, put there by the collector's own script, as the rings of an edge that is gone."""

import os
import re
import struct
import time

import crowd as crowds
from edge import ROOT, EdgeError, wait_until
from scripts import script_text
from store import EPOCH_MS

EDGE = b"preloads"
BATCH = 1000
EACH = 8  # articles of a shard
RECORD_BYTES = 64
KINDS = 7


def _split_voters():
    with open(os.path.join(ROOT, "collector", "store.h")) as header:
        return int(re.search(r"#define STORE_SPLIT_VOTERS (\d+)", header.read()).group(1))


class Preload:
    """This many votes, each from a different reader, spread evenly over articles of every shard of a Cluster. `articles`: article → how many."""

    def __init__(self, cluster, shards, votes):
        self.cluster, self.votes = cluster, votes
        named = crowds.articles_of(shards, EACH, "voted")
        places = [(shard, article) for i in range(EACH) for shard, articles in named.items() for article in articles[i:i + 1]]
        self.articles = {article: votes // len(places) + (i < votes % len(places)) for i, (_shard, article) in enumerate(places)}
        self.store, self.split = cluster.redis.hget("tally:store", "id"), _split_voters()
        self.stamp = (int(time.time() * 1000) - EPOCH_MS) << 11
        for shard, articles in named.items():
            self._fill(shard, articles)

    def _fill(self, shard, articles):
        redis = self.cluster.master_of(shard).redis
        sha, position, sequence = redis.script_load(script_text("collector/register.lua")), 0, 0
        keys = ["tally:{%d}:%s" % (shard, name) for name in ("heads", "changed", "meta", "rings")]
        for article in articles:
            for at in range(0, self.articles[article], BATCH):
                n = min(BATCH, self.articles[article] - at)
                start, position, sequence = position, position + RECORD_BYTES * n, sequence + n
                call = (sha, 4, *keys, "%016x" % (0xFEED0000 + shard), struct.pack("<Q", start), struct.pack("<QQ", position, sequence),
                        0, 0, EDGE, self.split, shard, 0, self.store, article, self._some(n))
                answer = wait_until(lambda: (lambda said: said[0] != b"paused" and said)(redis.evalsha(*call)), "the end of a pause")
                if answer[0] != b"ok" or answer[1] != n:
                    raise EdgeError("the register script answered %r to votes for %s" % (answer, article))

    def _some(self, n):
        readers = os.urandom(8 * n)
        return b"".join(readers[8 * i:8 * i + 8] + (self.stamp << 4 | i % KINDS + 1).to_bytes(7, "big") for i in range(n))

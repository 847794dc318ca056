"""Makes everything done on an edge look old, so that a test need not wait hours until articles are forgotten."""

import os
import struct

HOUR_S = 3600


def age(edge, seconds):
    """Dates everything done so far on this edge back by this time: in its broker's file (FORMATS.md 4.5), and in Redis. Broker and feed must be
    down, and all of the spool applied."""
    path = os.path.join(edge.spool, "registry")
    with open(path, "r+b") as known:
        held = bytearray(known.read())
        for at in range(4096, len(held), 296):
            hour, = struct.unpack_from("<I", held, at + 4)
            struct.pack_into("<I", held, at + 4, max(0, hour - (seconds + HOUR_S - 1) // HOUR_S))
        known.seek(0)
        known.write(held)
    for article, (shard, head) in edge.store.heads().items():
        raw = edge.redis.hget("tally:{%d}:heads" % shard, article)
        older = head.version - seconds * 1000000
        edge.redis.hset("tally:{%d}:heads" % shard, article, raw[:2] + struct.pack("<Q", older) + raw[10:])
        edge.redis.zadd("tally:{%d}:changed" % shard, {article: older})

"""The spool's files, read and altered byte by byte after FORMATS.md 4."""

import collections
import glob
import os
import struct

from store import REASONS, crc32c

HEADER_BYTES = 4096
RING_CRC_AT = 336
BOOT_ID_AT = 40
WRITE_AT, READ_AT, APPLIED_AT, STORE_AT, ROTATE_AT = 512, 640, 648, 656, 664

Record = collections.namedtuple("Record", "position sequence reader stamp kind article client_id correlation length")


def rings(spool):
    """Paths of the current rings, by shard. One that is being made has the name ring-<shard>.new, and does not count yet."""
    names = glob.glob(os.path.join(glob.escape(spool), "ring-*"))
    return {int(path.rpartition("-")[2]): path for path in names if not path.endswith(".new")}


def old_rings(spool):
    return sorted(glob.glob(os.path.join(glob.escape(spool), "old-*")))


def _u64(path, at):
    with open(path, "rb") as f:
        f.seek(at)
        return struct.unpack("<Q", f.read(8))[0]


def poke(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


class Edge:
    """The `edge` file."""

    def __init__(self, spool):
        self.path = os.path.join(spool, "edge")

    def admitted(self):
        return _u64(self.path, 144)

    def refused(self):
        with open(self.path, "rb") as f:
            f.seek(152)
            return dict(zip(REASONS, struct.unpack("<16Q", f.read(128))))

    def receipts_not_sent(self):
        return _u64(self.path, 280)

    def edge_id(self):
        return _u64(self.path, 16)

    def clock_bad(self):
        with open(self.path, "rb") as f:
            f.seek(516)
            return struct.unpack("<I", f.read(4))[0] == 1

    def generation(self, shard):
        with open(self.path, "rb") as f:
            f.seek(1024 + 4 * shard)
            return struct.unpack("<I", f.read(4))[0]

    def check(self):
        with open(self.path, "rb") as f:
            raw = f.read(HEADER_BYTES)
        assert len(raw) == HEADER_BYTES and raw[:8] == b"TALLYEDG"
        assert struct.unpack_from("<I", raw, 24)[0] == crc32c(raw[:24])


class Ring:
    def __init__(self, path):
        self.path = path

    def write(self):
        return _u64(self.path, WRITE_AT)

    def read(self):
        return _u64(self.path, READ_AT)

    def applied(self):
        return _u64(self.path, APPLIED_AT)

    def ring_id(self):
        return _u64(self.path, 32)

    def capacity(self):
        return _u64(self.path, 16)

    def key(self):
        """(shard, ring id), as Store.rings() has it."""
        with open(self.path, "rb") as f:
            f.seek(24)
            shard, _shards, ring_id = struct.unpack("<IIQ", f.read(16))
        return shard, ring_id

    def check(self):
        with open(self.path, "rb") as f:
            raw = f.read(RING_CRC_AT + 4)
        assert raw[:8] == b"TALLYRNG", raw[:8]
        assert struct.unpack_from("<I", raw, RING_CRC_AT)[0] == crc32c(raw[:RING_CRC_AT])

    def kinds(self):
        with open(self.path, "rb") as f:
            f.seek(80)
            n = struct.unpack("<I", f.read(4))[0]
            f.seek(96)
            return [f.read(16).rstrip(b"\0").decode() for _ in range(n)]

    def set_boot_id(self, boot_id):
        """Does to a ring what a reboot does: it was made under another boot id. The header's CRC is made to fit."""
        with open(self.path, "r+b") as f:
            raw = bytearray(f.read(RING_CRC_AT))
            raw[BOOT_ID_AT:BOOT_ID_AT + 16] = boot_id
            f.seek(0)
            f.write(raw + struct.pack("<I", crc32c(raw)))

    def records(self):
        """Walks the whole records from the read position to the write position."""
        with open(self.path, "rb") as f:
            raw = f.read()
        capacity = self.capacity()
        data = raw[HEADER_BYTES:HEADER_BYTES + capacity]
        seed = struct.pack("<Q", self.ring_id())
        position, end, records = self.read(), self.write(), []
        while position < end:
            at = position % capacity
            length, article_bytes, client_bytes = struct.unpack_from("<HBB", data, at + 4)
            (said,) = struct.unpack_from("<Q", data, at + 8)
            assert said == position, "record at %d says %d" % (position, said)
            crc_end = at + (length or 16)
            assert struct.unpack_from("<I", data, at)[0] == crc32c(seed + data[at + 4:crc_end]), "CRC of the record at %d" % position
            if length == 0:
                position += capacity - at
                continue
            sequence, reader, packed = struct.unpack_from("<QQQ", data, at + 16)
            correlation_bytes = packed >> 56
            stamp_kind = packed & ((1 << 56) - 1)
            body = data[at + 40:at + length]
            article = body[:article_bytes].decode()
            client_id = body[article_bytes:article_bytes + client_bytes].decode()
            correlation = body[article_bytes + client_bytes:article_bytes + client_bytes + correlation_bytes]
            assert not any(body[article_bytes + client_bytes + correlation_bytes:]), "padding of the record at %d" % position
            records.append(Record(position, sequence, reader, stamp_kind >> 4, stamp_kind & 15, article, client_id, correlation, length))
            position += length
        assert position == end
        return records

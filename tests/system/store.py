"""Tally's stored formats, written again from INTERFACES.md alone: nothing here shares code with the programs that it checks."""

import collections
import struct

MASK = (1 << 64) - 1
EPOCH_MS = 1704067200000
REASONS = ["bad_topic", "bad_article", "unknown_article", "bad_payload", "unknown_kind", "closed", "rate_reader", "rate_address",
           "busy", "clock", "forbidden"]

_CRC_TABLE = []
for _byte in range(256):
    _crc = _byte
    for _ in range(8):
        _crc = (_crc >> 1) ^ (0x82F63B78 if _crc & 1 else 0)
    _CRC_TABLE.append(_crc)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _rounds(v0, v1, v2, v3, n):
    for _ in range(n):
        v0 = (v0 + v1) & MASK
        v1 = ((v1 << 13) | (v1 >> 51)) & MASK ^ v0
        v0 = ((v0 << 32) | (v0 >> 32)) & MASK
        v2 = (v2 + v3) & MASK
        v3 = ((v3 << 16) | (v3 >> 48)) & MASK ^ v2
        v0 = (v0 + v3) & MASK
        v3 = ((v3 << 21) | (v3 >> 43)) & MASK ^ v0
        v2 = (v2 + v1) & MASK
        v1 = ((v1 << 17) | (v1 >> 47)) & MASK ^ v2
        v2 = ((v2 << 32) | (v2 >> 32)) & MASK
    return v0, v1, v2, v3


def siphash24(key, data):
    """SipHash-2-4 (Aumasson, Bernstein) as an integer: its 8 output bytes read little-endian."""
    k0, k1 = struct.unpack("<QQ", key)
    v = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", padded):
        v0, v1, v2, v3 = _rounds(v[0], v[1], v[2], v[3] ^ word, 2)
        v = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = _rounds(v[0], v[1], v[2] ^ 0xFF, v[3], 4)
    return v0 ^ v1 ^ v2 ^ v3


def reader_hash(key, article, source, name):
    return siphash24(key, article.encode() + b"\0" + source.encode() + name.encode())


def article_shard(article, shards):
    return crc32c(article.encode()) % shards


class BadFormat(AssertionError):
    pass


Head = collections.namedtuple("Head", "version number voters level split counts floor")


def parse_head(raw):
    if len(raw) < 24 or raw[0] != 1:
        raise BadFormat("head %s" % raw.hex())
    flags, version, number, voters, level, split, n = struct.unpack_from("<BQIIBIB", raw, 1)
    counts = {}
    at = 24
    for _ in range(n):
        kind, count = struct.unpack_from("<BI", raw, at)
        if not 1 <= kind <= 15 or kind in counts:
            raise BadFormat("kind id %d in head %s" % (kind, raw.hex()))
        counts[kind] = count
        at += 5
    floor = 0
    if flags & 1:
        (floor,) = struct.unpack_from("<Q", raw, at)
        at += 8
    if at != len(raw):
        raise BadFormat("%d bytes too many in head %s" % (len(raw) - at, raw.hex()))
    return Head(version, number, voters, level, split, counts, floor)


def parse_base(raw):
    if raw[0] != 1 or len(raw) != 2 + 9 * raw[1]:
        raise BadFormat("base %s" % raw.hex())
    return {kind: count for kind, count in (struct.unpack_from("<Bq", raw, 2 + 9 * i) for i in range(raw[1]))}


def bucket_of(hash_value, level, split):
    low = hash_value & 0xFFFFFFFF
    bucket = low % 4 ** level
    return low % 4 ** (level + 1) if bucket < split else bucket


class Store:
    """What Redis holds, read by redis-py."""

    def __init__(self, redis, prefix="tally:"):
        self.redis = redis
        self.prefix = prefix

    def fields(self):
        return {k.decode(): v.decode() for k, v in self.redis.hgetall(self.prefix + "store").items()}

    def key(self, shard, name):
        return "%s{%d}:%s" % (self.prefix, shard, name)

    def shards(self):
        return int(self.fields()["shards"])

    def kinds(self):
        """Kind id → name."""
        return {int(v): k[5:] for k, v in self.fields().items() if k.startswith("kind:")}

    def heads(self):
        heads = {}
        for shard in range(self.shards()):
            for article, raw in self.redis.hgetall(self.key(shard, "heads")).items():
                heads[article.decode()] = (shard, parse_head(raw))
        return heads

    def rings(self):
        """(shard, ring id) → (position, sequence, quarantined, lost, edge id)."""
        rings = {}
        for shard in range(self.shards()):
            for ring, raw in self.redis.hgetall(self.key(shard, "rings")).items():
                rings[(shard, int(ring, 16))] = struct.unpack("<5Q", raw)
        return rings

    def books(self):
        """Field (`applied`, `quarantined`, `lost`) → sum over the shards, of rings that are gone."""
        sums = collections.Counter()
        for shard in range(self.shards()):
            for name, value in self.redis.hgetall(self.key(shard, "books")).items():
                sums[name.decode().rpartition(":")[2]] += int(value)
        return sums

    def registers(self, articles=None):
        """Reads every register and checks all that must agree with it: the bucket it lies in, the head's voters and counts, the
        article's shard and number, the changed set, and that no bucket belongs to nobody. Returns
        article → {reader hash: (stamp, kind name)}."""
        kinds = self.kinds()
        kinds[0] = "none"
        shards = self.shards()
        buckets = collections.defaultdict(dict)  # (shard, number) → {bucket: hash}
        for key in self.redis.scan_iter(match=self.prefix + "{*}:*:*", count=1000):
            shard, number, bucket = key.decode()[len(self.prefix):].split(":")
            buckets[(int(shard[1:-1]), int(number))][int(bucket)] = self.redis.hgetall(key)
        found = {}
        owners = {}
        for article, (shard, head) in self.heads().items():
            owner = (shard, head.number)
            assert owner not in owners, "articles %s and %s share number %d" % (article, owners[owner], head.number)
            owners[owner] = article
            assert shard == article_shard(article, shards), "%s lies in shard %d" % (article, shard)
            registers = {}
            for bucket, fields in buckets.get(owner, {}).items():
                for field, value in fields.items():
                    assert len(field) == 8 and len(value) == 7, "register %r of %s" % ((field, value), article)
                    packed = int.from_bytes(value, "big")
                    self._note_register(article, head, bucket, int.from_bytes(field, "little"), packed, kinds, registers)
            self._check_head(article, head, registers, kinds)
            score = self.redis.zscore(self.key(shard, "changed"), article)
            assert score is not None and int(score) == head.version, "%s: changed at %r, version %d" % (article, score, head.version)
            found[article] = registers
        orphans = set(buckets) - set(owners)
        assert not orphans, "buckets of no article: %r" % sorted(orphans)
        return found if articles is None else {a: found.get(a, {}) for a in articles}

    @staticmethod
    def _note_register(article, head, bucket, hash_value, packed, kinds, registers):
        want = bucket_of(hash_value, head.level, head.split)
        assert bucket == want, "%s: reader %016x lies in bucket %d, not %d" % (article, hash_value, bucket, want)
        assert hash_value not in registers, "%s: reader %016x twice" % (article, hash_value)
        assert packed & 15 in kinds, "%s: kind id %d is in no table" % (article, packed & 15)
        registers[hash_value] = (packed >> 4, kinds[packed & 15])

    @staticmethod
    def _check_head(article, head, registers, kinds):
        assert head.voters == len(registers), "%s: %d voters, %d registers" % (article, head.voters, len(registers))
        counts = collections.Counter(kind for stamp, kind in registers.values() if kind != "none" and stamp > head.floor)
        said = {kinds[kind]: count for kind, count in head.counts.items() if count}
        assert said == dict(counts), "%s: head says %r, registers %r" % (article, said, dict(counts))

    def totals(self):
        """article → {kind name: base + head's count}, zeroes left out."""
        kinds = self.kinds()
        totals = {}
        for article, (shard, head) in self.heads().items():
            counts = collections.Counter({kinds[k]: n for k, n in head.counts.items()})
            base = self.redis.hget(self.key(shard, "base"), article)
            if base is not None:
                counts.update({kinds[k]: n for k, n in parse_base(base).items()})
            totals[article] = {k: n for k, n in counts.items() if n}
        return totals


class Model:
    """Registers as DESIGN says: article and reader → the reaction with the newest click. Time is the caller's, in ms."""

    def __init__(self):
        self.reactions = collections.defaultdict(dict)  # article → {identity: (clicked at, kind)}

    def react(self, article, identity, kind, clicked_ms):
        """Returns the outcome that a receipt must say, and the kind that the register then holds."""
        held = self.reactions[article].get(identity)
        if held is None or clicked_ms >= held[0]:
            self.reactions[article][identity] = (clicked_ms, kind)
            return ("retracted" if kind == "none" else "counted"), kind
        if held[1] == kind:
            return None, kind  # a newer reaction for the same: which of the two outcomes is said is the store's to choose
        return "superseded", held[1]

    def totals(self):
        return {article: {k: n for k, n in collections.Counter(kind for _, kind in reactions.values()).items() if k != "none"}
                for article, reactions in self.reactions.items()}

    def registers(self, key):
        """article → {reader hash: kind}."""
        return {article: {reader_hash(key, article, *identity): kind for identity, (_, kind) in reactions.items()}
                for article, reactions in self.reactions.items()}

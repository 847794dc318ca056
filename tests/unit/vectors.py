#!/usr/bin/python3
"""Computes the test vectors of FORMATS.md 4.4 without any of Tally's code.

    vectors.py                 prints them
    vectors.py --check FILE…   fails unless each FILE holds every vector's hex digits

CRC32C after RFC 3720 B.4, bit by bit; SipHash-2-4 after Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012).
"""
import hashlib
import re
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def siphash(key, data):
    mask = 2**64 - 1

    def rotate(value, bits):
        return (value << bits | value >> 64 - bits) & mask

    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(n):
        for _ in range(n):
            v[0] = v[0] + v[1] & mask
            v[1] = rotate(v[1], 13) ^ v[0]
            v[0] = rotate(v[0], 32)
            v[2] = v[2] + v[3] & mask
            v[3] = rotate(v[3], 16) ^ v[2]
            v[0] = v[0] + v[3] & mask
            v[3] = rotate(v[3], 21) ^ v[0]
            v[2] = v[2] + v[1] & mask
            v[1] = rotate(v[1], 17) ^ v[2]
            v[2] = rotate(v[2], 32)

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) % 256])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def record(ring, position, sequence, reader, stamp, kind, article, client_id=b"", correlation=b""):
    tail = article + client_id + correlation
    length = (40 + len(tail) + 15) // 16 * 16
    body = struct.pack("<HBBQQQQ", length, len(article), len(client_id), position, sequence, reader,
                       len(correlation) << 56 | stamp << 4 | kind)
    body += tail.ljust(length - 40, b"\0")
    return struct.pack("<I", crc32c(struct.pack("<Q", ring) + body)) + body


def filler(ring, position):
    body = struct.pack("<IQ", 0, position)
    return struct.pack("<I", crc32c(struct.pack("<Q", ring) + body)) + body


def ring_header(capacity, shard, shards, ring, boot, fingerprint, edge, made, kinds):
    head = b"TALLYRNG" + struct.pack("<IIQIIQ", 1, 4096, capacity, shard, shards, ring) + boot + fingerprint
    head += struct.pack("<QQI", edge, made, len(kinds))
    head = head.ljust(96, b"\0") + b"".join(kind.ljust(16, b"\0") for kind in kinds)
    head = head.ljust(336, b"\0")
    return head + struct.pack("<I", crc32c(head))


KEY = bytes(range(16))
RING = 0x1122334455667788
ARTICLE = b"world/migrant-caravan"
READER = b"3f9c1d2e7a6b5048"


def vectors():
    fingerprint = hashlib.blake2b(b"tally reader key 1" + KEY, digest_size=32).digest()[:8]
    reader_u = siphash(KEY, ARTICLE + b"\0u" + READER)
    stamp = 91_443_600_123 * 2048 + 5  # 2026-11-24T09:00:00.123Z, the sixth in its millisecond
    yield "crc32c", struct.pack(">I", crc32c(b"123456789"))
    yield "fingerprint", fingerprint
    yield "reader-u", struct.pack("<Q", reader_u)
    yield "reader-c", struct.pack("<Q", siphash(KEY, ARTICLE + b"\0c" + READER))
    yield "reader-t", struct.pack("<Q", siphash(KEY, ARTICLE + b"\0t" + READER))
    yield "article-crc", struct.pack(">I", crc32c(ARTICLE))
    yield "plain", record(RING, 128, 2, reader_u, stamp, 5, ARTICLE)
    yield "receipt", record(RING, 192, 3, reader_u, stamp + 2048, 0, ARTICLE, b"web-7Q2M", bytes([0, 1, 254, 255]))
    yield "longest", record(RING, 2**40, 2**34, 2**64 - 1, 2**52 - 1, 15, b"a" * 200, b"c" * 128, b"\xff" * 64)
    yield "filler", filler(RING, 4064)
    yield "ring-header", ring_header(33554432, 3, 8, RING, bytes(range(0x10, 0x20)), fingerprint, 0x99AABBCCDDEEFF01,
                                     1795510800123, [b"like", b"dislike", b"love", b"funny", b"angry", b"sad", b"wow"])


def self_test():
    assert crc32c(bytes(32)) == 0x8A9136AA and crc32c(bytes(range(32))) == 0x46DD794E  # RFC 3720 B.4
    assert siphash(KEY, bytes(range(15))) == 0xA129CA6149BE45E5  # the paper's appendix A


def main(arguments):
    self_test()
    if arguments[:1] != ["--check"]:
        for name, value in vectors():
            print(name, value.hex())
        return 0
    missing = 0
    for path in arguments[1:]:
        with open(path, encoding="utf-8") as file:
            # Neither line breaks nor what a language puts between two pieces of a string matter.
            digits = re.sub(r"[\s\"|`\\]", "", file.read())
        for name, value in vectors():
            if name == "longest" and path.endswith(".md"):
                continue  # 864 digits teach a reader nothing
            if value.hex() not in digits:
                print(f"{path}: vector {name} is not {value.hex()}")
                missing += 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

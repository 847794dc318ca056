"""MQTT packets made byte by byte, good or bad, and sockets that send them: what a library's client would refuse to send."""

import collections
import socket
import struct

from clients import TIMEOUT_S

CONNACK, PUBACK, PUBREC, SUBACK, DISCONNECT = 0x20, 0x40, 0x50, 0x90, 0xE0

Packet = collections.namedtuple("Packet", "kind flags body")


class Ended(Exception):
    """The broker closed the connection."""


def varint(n):
    out = bytearray()
    while True:
        out.append(n % 128 | (128 if n > 127 else 0))
        n //= 128
        if n == 0:
            return bytes(out)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def packet(first, body):
    return bytes([first]) + varint(len(body)) + body


def properties(*encoded):
    joined = b"".join(encoded)
    return varint(len(joined)) + joined


def user_properties(n):
    return properties(b"\x26\0\0\0\0" * n)


def connect(client_id, version=5, username=None, password=None, will=None, clean=True, keepalive=60, props=b"\0", will_props=b"\0",
            name=b"MQTT", flags=0):
    """`will`: (topic, payload, qos, retain)."""
    flags |= (2 if clean else 0) | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    body = b""
    if will is not None:
        topic, payload, qos, retain = will
        flags |= 4 | qos << 3 | (0x20 if retain else 0)
        body = (will_props if version & 0x7F == 5 else b"") + text(topic) + text(payload)
    body = text(client_id) + body
    for value in (username, password):
        if value is not None:
            body += text(value)
    return packet(0x10, text(name) + struct.pack(">BBH", version, flags, keepalive) + (props if version & 0x7F == 5 else b"") + body)


def publish(topic, payload=b"", qos=0, mid=1, retain=False, version=5, props=b"\0"):
    head = text(topic) + (struct.pack(">H", mid) if qos else b"")
    return packet(0x30 | qos << 1 | retain, head + (props if version & 0x7F == 5 else b"") + payload)


def subscribe(filters, mid=1, version=5, qos=0):
    return packet(0x82, struct.pack(">H", mid) + (b"\0" if version & 0x7F == 5 else b"") + b"".join(text(f) + bytes([qos]) for f in filters))


def unsubscribe(filters, mid=1, version=5):
    return packet(0xA2, struct.pack(">H", mid) + (b"\0" if version & 0x7F == 5 else b"") + b"".join(text(f) for f in filters))


class Raw:
    """A TCP connection to the broker. Sends the given bytes; reads whole packets."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends it by RST, as a host that lost the connection does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        """False where the broker had ended the connection before it took all."""
        try:
            self.socket.sendall(data)
            return True
        except (ConnectionError, BrokenPipeError):
            return False

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise Ended
        self.held += data

    def read(self):
        """The next packet; raises Ended."""
        while True:
            length, shift, at = 0, 0, 1
            while at < len(self.held):
                length |= (self.held[at] & 127) << shift
                shift += 7
                at += 1
                if not self.held[at - 1] & 128:
                    if len(self.held) >= at + length:
                        found = Packet(self.held[0] & 0xF0, self.held[0] & 15, bytes(self.held[at:at + length]))
                        del self.held[:at + length]
                        return found
                    break
            self._more()

    def open(self, *arguments, **more):
        """CONNECT, and CONNACK's code."""
        self.send(connect(*arguments, **more))
        answer = self.read()
        assert answer.kind == CONNACK
        return answer.body[1]

    def rest(self):
        """Says that nothing more comes, and reads what the broker still sends until it ends the connection, too: then it has worked through
        all that it was sent."""
        found = []
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            while True:
                found.append(self.read())
        except Ended:
            return found


def code_of(answer):
    """Reason code of a PUBACK or PUBREC of MQTT 5."""
    return answer.body[2] if len(answer.body) > 2 else 0

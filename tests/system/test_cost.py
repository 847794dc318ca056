"""Who causes a cost pays for it: sessions that are left behind, and packets that cost the broker and achieve nothing. Beside each
troublesome client an honest one, from another address, reacts and is counted."""

import base64
import os
import socket
import struct
import threading
import time

import pytest

import raw_mqtt as raw
from clients import FLAVOUR_NAMES, FLAVOURS, V5, V311, Refused, unique
from edge import wait_until

OK = (0, 0x10)
ELSEWHERE = "127.0.0.2"
PING, PUBREL, PUBACK, PUBREC = b"\xc0\x00", b"\x62\x02\x12\x34", b"\x40\x02\x12\x34", b"\x50\x02\x12\x34"


def _edge(make_edge, **plugin):
    return make_edge(limits="on", plugin=plugin)


class Honest:
    """A reader elsewhere who reacts all the time, with a session that lasts, and is never refused."""

    def __init__(self, edge):
        self.edge, self.article = edge, unique("honest")
        self.kept = dict(client_id=unique("honest"), clean=False, session_expiry_s=600, source=ELSEWHERE)
        self.client = edge.client(**self.kept)
        self.ended, self.codes = threading.Event(), []
        self.thread = threading.Thread(target=self._react, daemon=True)

    def _react(self):
        while not self.ended.wait(0.25):
            self.codes.append(self.client.say("reactions/" + self.article, (b"like", b"sad")[len(self.codes) % 2]))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_error):
        if kind is None:
            wait_until(lambda: len(self.codes) > 2, "honest reactions")
        self.ended.set()
        self.thread.join()
        if kind is None:
            assert not self.client.closed and set(self.codes) <= set(OK)
            assert self.edge.client(source=ELSEWHERE).say("reactions/" + self.article, b"love") in OK


# --- sessions ---

def _persistent(flavour, name):
    return dict(client_id=name, flavour=flavour, clean=False, **({"session_expiry_s": 600} if flavour[0] == V5 else {}))


@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
@pytest.mark.parametrize("taken_over", [False, True], ids=["comes-back", "takes-over"])
@pytest.mark.parametrize("share", ["", "$share/g/"], ids=["plain", "shared"])
def test_filters_are_counted_by_session(make_edge, flavour, taken_over, share):
    edge = _edge(make_edge, max_subscriptions=20).start()
    greedy, granted = _persistent(flavour, unique("greedy")), 0
    with Honest(edge) as honest:
        mine = ["totals/" + honest.article] + ["totals/%s/%d" % (honest.article, n) for n in range(19)]
        assert set(honest.client.watch(*mine)) == {0}
        for turn in range(8):
            client = edge.client(**greedy)
            codes = client.watch(*["%stotals/%d/%d" % (share, turn, n) for n in range(20)])
            granted += sum(code < 0x80 for code in codes)
            if not taken_over:
                client.close()
        assert granted <= 21
        # Who has as many as a session may have asks for them again, as clients do that come back.
        again = edge.client(**dict(honest.kept, client_id=unique("again")))
        for _ in range(5):
            assert set(again.watch(*mine)) == {0}
            again.close()
            again = edge.client(**dict(honest.kept, client_id=again.name))
        again.wait(lambda: again.got(topic="totals/" + honest.article), "totals of a session that lasts")


KINDS_OF_SESSION = {"3.1.1": dict(flavour=(V311, "tcp"), clean=False), "3.1.1-websocket": dict(flavour=(V311, "websockets"), clean=False),
                    "5": dict(flavour=(V5, "tcp"), clean=False, session_expiry_s=600),
                    "5-clean-start": dict(flavour=(V5, "tcp"), clean=True, session_expiry_s=600),
                    "5-websocket": dict(flavour=(V5, "websockets"), clean=True, session_expiry_s=0xFFFFFFFF)}


@pytest.mark.parametrize("kind", KINDS_OF_SESSION.values(), ids=KINDS_OF_SESSION)
@pytest.mark.parametrize("named", [True, False], ids=["username", "client-id"])
def test_one_address_leaves_so_many_sessions(make_edge, kind, named):
    edge = _edge(make_edge, max_sessions=5).start()
    names = [unique("session") for _ in range(12)]
    def begin(name, **more):
        return edge.client(client_id=name, username=("reader-" + name) if named else None, **dict(kind, **more))
    with Honest(edge):
        refused = 0
        for name in names:
            try:
                begin(name).close()
            except Refused:
                refused += 1
        assert refused == 7
        told = edge.refusals(lambda t: t["connections"]["sessions"] == 7, "the refused sessions in ops/refusals")
        assert told["connections"]["rate_address"] == 0
        for name in names[:5]:  # they may continue
            begin(name).close()
        edge.client().close()  # nothing is left of it
        begin(names[-1], source=ELSEWHERE)
        # A session that its owner ends makes room.
        owner = begin(names[0], clean=True, session_expiry_s=0) if kind["flavour"][0] == V5 else begin(names[0], clean=True)
        owner.flush()
        owner.close()
        begin(names[6]).close()
        with pytest.raises(Refused):
            begin(names[7])


def test_sessions_that_expire_make_room(make_edge):
    edge = _edge(make_edge, max_sessions=2).start()
    kind = dict(flavour=(V5, "tcp"), session_expiry_s=1)
    open_one = edge.client(client_id=unique("stays"), **kind)
    edge.client(client_id=unique("goes"), **kind).close()
    with Honest(edge):
        def room():
            try:
                return edge.client(client_id=unique("next"), **kind)
            except Refused:
                return None
        assert room() is None
        wait_until(room, "a session to expire", every_s=0.2)
        assert open_one.say("reactions/" + unique("stays"), b"like") in OK
        assert room() is None  # who is connected has its session


# --- floods ---

class Tcp:
    def __init__(self, edge):
        self.socket = socket.create_connection(("127.0.0.1", edge.mqtt_port), 30)

    def frame(self, data):
        return data


class WebSocket:
    def __init__(self, edge):
        self.socket = socket.create_connection(("127.0.0.1", edge.ws_port), 30)
        self.socket.sendall(b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
                            + base64.b64encode(os.urandom(16)) + b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
        assert b" 101 " in self.socket.recv(4096)

    def frame(self, data):
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        return b"\x82" + length + b"\0\0\0\0" + data


def _end_of(flooder, block, deadline_s=60):
    """Writes until the broker ends the connection. Returns how many blocks it took."""
    sent, deadline = 0, time.monotonic() + deadline_s
    flooder.socket.setblocking(False)
    left = b""
    while time.monotonic() < deadline:
        try:
            if not flooder.socket.recv(1 << 16):
                return sent
        except BlockingIOError:
            pass
        except ConnectionError:
            return sent
        try:
            left = left[flooder.socket.send(left):] if left else b""
            if not left:
                left, sent = block, sent + 1
        except BlockingIOError:
            time.sleep(0.001)
        except ConnectionError:
            return sent
    raise AssertionError("the broker did not end it")


FLOODS = {
    "publish-foreign": ("publish", raw.publish("foo", b"x")),
    "publish-denied": ("publish", raw.publish("totals/x", b"x")),
    "publish-sys": ("packets", raw.publish("$SYS/x", b"x")),
    "publish-foreign-retained": ("publish", raw.publish("foo", b"x", retain=True)),
    "publish-foreign-qos2": ("publish", raw.publish("foo", b"x", 2, 7)),
    "ping": ("packets", PING), "pubrel": ("packets", PUBREL), "puback": ("packets", PUBACK), "pubrec": ("packets", PUBREC),
    "subscribe": ("subscribe", raw.subscribe(["totals/x"])),
    "subscribe-denied": ("subscribe", raw.subscribe(["#"])),
    "unsubscribe": ("subscribe", raw.unsubscribe(["totals/x"])),
    "churn": ("subscribe", raw.subscribe(["totals/x"]) + raw.unsubscribe(["totals/x"])),
}


@pytest.mark.parametrize("way", [Tcp, WebSocket], ids=["tcp", "websocket"])
@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_is_ended_counted_and_paid_for(make_edge, kind, way):
    """Such as 2.1 itself ends, PUBACK of nothing, are not a flood: then there is nothing to count."""
    edge = _edge(make_edge).start()
    counted, packet = FLOODS[kind]
    with Honest(edge):
        flooder = way(edge)
        flooder.socket.sendall(flooder.frame(raw.connect(unique("flooder"), keepalive=0)))
        block = flooder.frame(packet * (1000 // len(packet))) * 20
        blocks = _end_of(flooder, block)
        if blocks > 1 or kind not in ("puback", "pubrec", "pubrel"):
            edge.refusals(lambda t: t["floods"][counted] == t["connections"]["flood"] == 1, "the ended one in ops/refusals")


def test_who_floods_with_pings_and_comes_back_pays_with_connections(make_edge):
    edge = _edge(make_edge, connect_rate=1, connect_burst=300).start()
    refused = 0
    with Honest(edge):
        for _ in range(20):
            flooder = Tcp(edge)
            flooder.socket.sendall(raw.connect(unique("flooder"), keepalive=0))
            _end_of(flooder, PING * 10000)
            try:
                edge.client().close()
            except Refused:
                refused += 1
        assert refused > 10


def test_what_an_acl_file_allows_is_nobodys_flood(make_edge):
    """So is a large message that arrives slowly, and packets that belong to received messages."""
    edge = _edge(make_edge, refusal_rate=1, refusal_burst=50)
    path = edge.path("acl")
    with open(path, "w") as acl:
        acl.write("topic readwrite other/#\n")
    os.chmod(path, 0o600)
    edge.edit_broker({}, ["acl_file " + path])
    edge.start()
    with Honest(edge):
        sender, receiver = edge.client(), edge.client()
        assert receiver.watch("other/#", qos=2) == [2]
        for n in range(3000):
            sender.send("other/x", b"%d" % n, n % 3)
        receiver.wait(lambda: len(receiver.got(topic="other/x")) >= 3000, "all messages")
        sender.flush()
        receiver.flush()
        slow = Tcp(edge)
        slow.socket.sendall(raw.connect(unique("slow"), keepalive=0))
        large = raw.publish("other/large", b"x" * 60000, 1, 1)
        for at in range(0, len(large), 3000):
            slow.socket.sendall(large[at:at + 3000])
            time.sleep(0.05)
        receiver.wait(lambda: receiver.got(topic="other/large"), "the large message")
        for topic in ("foo", "other/x"):
            assert not sender.closed and not receiver.closed
    told = edge.refusals(lambda t: True, "ops/refusals")
    assert told["connections"]["flood"] == 0
    for _ in range(500):
        sender.send("foo", b"", 0)
    sender.wait_closed()


@pytest.mark.parametrize("flavour", FLAVOURS, ids=FLAVOUR_NAMES)
def test_a_busy_honest_client_is_no_flood(make_edge, flavour):
    """Of whatever a client does that achieves something, in the widest shape that there is for it."""
    edge = _edge(make_edge, refusal_rate=1, refusal_burst=20, reader_rate=10000, reader_burst=100000, address_rate=100000,
                 address_burst=100000).start()
    client = edge.client(flavour=flavour)
    receipts = "receipts/" + client.name
    client.watch(receipts, qos=2)
    article = unique("busy")
    more = dict(response_topic=receipts, correlation=os.urandom(64)) if flavour[0] == V5 else {}
    for n in range(3000):
        client.send("reactions/" + article, (b"like", b"sad")[n % 2], n % 3, **more)
    client.flush()
    for _ in range(20):
        client.say("reactions/" + article, b"love", 2, **more)
    assert not client.closed
    told = edge.refusals(lambda t: True, "ops/refusals")
    assert told["connections"]["flood"] == 0

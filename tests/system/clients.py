"""MQTT clients for the tests: paho-mqtt 1.6 and 2.x, each client with its own thread; every wait is for a condition.

paho 1.6 reads the reason code of a PUBACK or PUBREC and forgets it; Client looks at the packet before paho does.
"""

import collections
import inspect
import itertools
import os
import socket
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

V311 = mqtt.MQTTv311
V5 = mqtt.MQTTv5
TIMEOUT_S = 30.0 * float(os.environ.get("SYSTEM_TEST_PATIENCE", "1"))

FLAVOURS = [(V311, "tcp"), (V5, "tcp"), (V311, "websockets"), (V5, "websockets")]
FLAVOUR_NAMES = ["3.1.1-tcp", "5-tcp", "3.1.1-websocket", "5-websocket"]

Message = collections.namedtuple("Message", "topic payload retain qos correlation response_topic")

_serial = itertools.count(1)


class Refused(Exception):
    """The broker answered CONNECT with a refusal (`code`), or closed the connection instead (None)."""

    def __init__(self, name, code):
        super().__init__("%s: CONNACK %s" % (name, code))
        self.code = code


class Closed(Exception):
    """The connection ended while an answer was awaited."""


def unique(prefix):
    """A name that no other client of this process or a parallel one has."""
    return "%s-%d-%d-%s" % (prefix, os.getpid(), next(_serial), os.urandom(3).hex())


def connected(port, address, timeout_s=TIMEOUT_S):
    """A plain connection to a port of 127.0.0.1, from one of this machine's loopback addresses."""
    one = socket.socket()
    one.bind((address, 0))
    one.settimeout(timeout_s)
    one.connect(("127.0.0.1", port))
    return one


def reader_name():
    """A username such as the widget makes: 16 to 128 bytes."""
    return unique("reader-of-the-tests")


def _code(value):
    return getattr(value, "value", value)


PAHO_QUEUED = 9  # mqtt_ms_queued


class Client(mqtt.Client):
    """One connection. It never reconnects by itself: a lost connection is a result that the test must see."""

    def __init__(self, port, username=None, password=None, client_id=None, protocol=V5, transport="tcp", clean=True,
                 will=None, host="127.0.0.1", session_expiry_s=None, source=""):
        self.name = client_id if client_id is not None else unique("client")
        self.identity = ("u", username) if username is not None and password is None else ("c", self.name)
        self.broker = (host, port)
        self.source = source  # the address to come from
        self.version = protocol
        self.clean = clean
        self.session_expiry_s = session_expiry_s
        self.changed = threading.Condition()
        self.acks = {}
        self.granted = {}
        self.messages = []
        self.connect_code = None
        self.closed = False
        options = dict(client_id=self.name, protocol=protocol, transport=transport, reconnect_on_failure=False)
        if protocol != V5:
            options["clean_session"] = clean
        if "callback_api_version" in inspect.signature(mqtt.Client.__init__).parameters:
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        super().__init__(**options)
        if username is not None:
            self.username_pw_set(username, password)
        if will is not None:
            self.will_set(*will)
        self.on_connect = self._connected
        self.on_disconnect = self._disconnected
        self.on_message = self._received
        self.on_subscribe = self._subscribed

    # --- paho's callbacks: its thread, or the one that called connect() ---

    def _connected(self, _client, _userdata, _flags, code, *_properties):
        with self.changed:
            self.connect_code = _code(code)
            self.changed.notify_all()

    def _disconnected(self, *_arguments):
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _received(self, _client, _userdata, message):
        properties = getattr(message, "properties", None)
        with self.changed:
            self.messages.append(Message(message.topic, bytes(message.payload), bool(message.retain), message.qos,
                                         getattr(properties, "CorrelationData", None),
                                         getattr(properties, "ResponseTopic", None)))
            self.changed.notify_all()

    def _subscribed(self, _client, _userdata, mid, codes, *_properties):
        with self.changed:
            self.granted[mid] = [_code(code) for code in codes]
            self.changed.notify_all()

    def _note_ack(self):
        packet = self._in_packet["packet"]
        mid = int.from_bytes(packet[:2], "big")
        with self.changed:
            self.acks[mid] = packet[2] if len(packet) > 2 else 0
            self.changed.notify_all()

    def _handle_pubackcomp(self, cmd):
        if cmd == "PUBACK":
            self._note_ack()
        result = super()._handle_pubackcomp(cmd)
        with self.changed:  # what was queued may have been sent
            self.changed.notify_all()
        return result

    def _handle_pubrec(self):
        self._note_ack()
        return super()._handle_pubrec()

    # --- for the tests ---

    def open(self, timeout_s=None):
        """Connects; raises Refused if the broker refuses or, if `timeout_s` is given, does not answer for that long. Returns self."""
        arguments = dict(host=self.broker[0], port=self.broker[1], keepalive=60, bind_address=self.source)
        if self.version == V5:
            arguments["clean_start"] = self.clean
            if self.session_expiry_s is not None:
                properties = Properties(PacketTypes.CONNECT)
                properties.SessionExpiryInterval = self.session_expiry_s
                arguments["properties"] = properties
        self.connect(**arguments)
        self.loop_start()
        try:
            self.wait(lambda: self.connect_code is not None or self.closed, "CONNACK", timeout_s)
        except AssertionError:
            if timeout_s is None:
                raise
        if self.connect_code != 0:
            self._end()
            raise Refused(self.name, self.connect_code)
        return self

    def wait(self, condition, what, timeout_s=None):
        """Waits until `condition()` is true and returns what it returned."""
        deadline = time.monotonic() + (timeout_s or TIMEOUT_S)
        with self.changed:
            while True:
                value = condition()
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError("%s: no %s in time; got %r" % (self.name, what, self.messages[-5:]))
                self.changed.wait(min(left, 1.0))

    def send(self, topic, payload=b"", qos=1, retain=False, response_topic=None, correlation=None):
        """Publishes without waiting. Returns the packet's id."""
        properties = None
        if self.version == V5 and (response_topic is not None or correlation is not None):
            properties = Properties(PacketTypes.PUBLISH)
            if response_topic is not None:
                properties.ResponseTopic = response_topic
            if correlation is not None:
                properties.CorrelationData = correlation
        return self.publish(topic, payload, qos, retain, **({"properties": properties} if properties else {})).mid

    def ack(self, mid):
        """Waits for the PUBACK or PUBREC. Returns its reason code (0 in MQTT 3.1.1)."""
        def answered():
            if mid in self.acks:
                return (self.acks.pop(mid),)
            if self.closed:
                raise Closed(self.name)
            return None
        return self.wait(answered, "acknowledgement")[0]

    def say(self, topic, payload=b"", qos=1, **more):
        """Publishes at QoS 1 or 2 and waits for the answer. Returns its reason code."""
        return self.ack(self.send(topic, payload, qos, **more))

    def watch(self, *filters, qos=0, timeout_s=None):
        """Subscribes. Returns the SUBACK's codes, one a filter."""
        _result, mid = super().subscribe([self._filter(topic, qos) for topic in filters])
        def answered():
            if self.closed and mid not in self.granted:
                raise Closed(self.name)
            return self.granted.pop(mid, None)
        return self.wait(answered, "SUBACK", timeout_s)

    def _filter(self, topic, qos):
        if self.version == V5:
            return (topic, mqtt.SubscribeOptions(qos=qos))
        return (topic, qos)

    def got(self, topic=None, prefix=None):
        """The messages received so far, of one topic or below a prefix."""
        with self.changed:
            return [m for m in self.messages
                    if (topic is None or m.topic == topic) and (prefix is None or m.topic.startswith(prefix))]

    def flush(self):
        """Returns once the broker has handled everything sent here before (a broker answers in order). Messages that paho holds back,
        because only so many may be in flight, must have been sent first: a SUBSCRIBE does not wait for them."""
        def all_sent():
            return self.closed or all(message.state != PAHO_QUEUED for message in list(self._out_messages.values()))
        self.wait(all_sent, "place in flight for what is queued")
        self.watch("articles/flush")

    def close(self):
        if not self.closed:
            self.disconnect()
        self._end()

    def _end(self):
        """Closes its sockets at once: paho leaves two of the three to the garbage collector, and its select() takes none above 1,023."""
        self.loop_stop()
        self._reset_sockets()

    def cut(self):
        """Ends the connection without DISCONNECT, as a reader whose network went away: the broker sends the will."""
        raw = self.socket()
        if raw is not None:
            raw = getattr(raw, "_socket", raw)
            try:
                raw.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.wait(lambda: self.closed, "end of the connection")
        self._end()

    def wait_closed(self):
        self.wait(lambda: self.closed, "end of the connection")

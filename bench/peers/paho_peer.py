#!/usr/bin/python3
"""What a Python programmer would put between a bare Mosquitto and Redis instead of Tally, for the bench to compare with: paho-mqtt and
redis-py as Debian has them. Each reader counts once an article, as honest.lua has it, by pipelines of EVALSHA. Prints `ready` once it
is subscribed, and at its end one line of JSON."""

import argparse
import json
import os
import select
import signal
import sys
import time

import paho.mqtt.client as mqtt
import redis

PREFIX = "reactions/"
KINDS = frozenset(("like", "dislike", "love", "funny", "angry", "sad", "wow", "none"))
BATCH = 500  # reactions a pipeline
LOOK_S = 0.1
FAILED = 0x80  # granted instead of a QoS


class PeerError(Exception):
    pass


def whole(least, most):
    def read(text):
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError("%s is not %d to %d" % (text, least, most))
        return int(text)
    return read


def parse():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=whole(1, 65535), default=1883)
    parser.add_argument("--redis-host", default="127.0.0.1")
    parser.add_argument("--redis-port", type=whole(1, 65535), default=6390)
    parser.add_argument("--script", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "honest.lua"))
    parser.add_argument("--qos", type=whole(0, 1), default=0)
    parser.add_argument("--messages", type=whole(1, 1000000000), default=100000)
    parser.add_argument("--seconds", type=whole(1, 3600), default=60)
    return parser.parse_args()


class Peer:
    def __init__(self, settings):
        self.settings = settings
        self.received = self.counted = self.bad = self.first_ns = self.last_ns = 0
        self.subscribed = self.ending = False
        self.redis = redis.Redis(host=settings.redis_host, port=settings.redis_port)
        with open(settings.script) as script:
            self.sha = self.redis.script_load(script.read())
        self.connection = self.redis.connection_pool.get_connection("EVALSHA")
        self.batch, self.waiting = [], 0  # calls to send, answers to come
        self.client = self.connect()

    def connect(self):
        """3.1.1: what MQTT 5 adds to each message costs paho more than its larger window at QoS 1 brings."""
        versions = getattr(mqtt, "CallbackAPIVersion", None)  # paho 2.x wants to know
        client = mqtt.Client(*([versions.VERSION1] if versions else []), protocol=mqtt.MQTTv311)
        client.on_connect, client.on_subscribe, client.on_message = self.on_connect, self.on_subscribe, self.on_message
        try:
            client.connect(self.settings.host, self.settings.port)
        except OSError as error:
            raise PeerError("the broker at %s port %d: %s" % (self.settings.host, self.settings.port, error))
        return client

    def on_connect(self, client, _user, _flags, code):
        if code != 0:
            raise PeerError("the broker refuses the connection: %s" % mqtt.connack_string(code))
        client.subscribe(PREFIX + "#", qos=self.settings.qos)

    def on_subscribe(self, _client, _user, _id, granted):
        if granted[0] >= FAILED:
            raise PeerError("the broker refuses the subscription")
        self.subscribed = True

    def on_message(self, _client, _user, message):
        self.received += 1
        if self.received == 1:
            self.first_ns = time.monotonic_ns()
        try:
            said = json.loads(message.payload)
            kind, reader, article = said["reaction"], said["reader"], message.topic[len(PREFIX):]
            good = article and kind in KINDS and isinstance(reader, str) and reader
        except (ValueError, TypeError, KeyError):
            good = False
        if good:
            self.batch.append(("EVALSHA", self.sha, 2, "tally:" + article, "readers:" + article, reader, kind))
        else:
            self.bad += 1

    def take(self):
        """paho reads one packet a call, and does not tell whether there was one: it is asked until no message comes."""
        while len(self.batch) < BATCH:
            before = self.received
            code = self.client.loop_read()
            if code != mqtt.MQTT_ERR_SUCCESS:
                raise PeerError("from the broker: %s" % mqtt.error_string(code))
            if self.received == before:
                return

    def flush(self):
        """Sends the gathered calls, and reads the answers to the previous ones: while Redis works, this reads the next messages. A pipeline of
        redis-py would wait for each batch."""
        for _ in range(self.waiting):
            self.connection.read_response()
        if self.waiting:
            self.counted += self.waiting
            self.last_ns = time.monotonic_ns()
        if self.batch:
            self.connection.send_packed_command(self.connection.pack_commands(self.batch))
        self.waiting, self.batch = len(self.batch), []

    def look(self):
        writes = [self.client.socket()] if self.client.want_write() else []
        readable, writable, _ = select.select([self.client.socket()], writes, [], 0 if self.waiting else LOOK_S)
        if readable:
            self.take()
        if writable:
            self.client.loop_write()
        self.client.loop_misc()
        self.flush()

    def run(self):
        said, stop = False, time.monotonic() + self.settings.seconds
        while not self.ending and self.counted + self.bad < self.settings.messages and time.monotonic() < stop:
            self.look()
            if self.subscribed and not said:
                print("ready", flush=True)
                said = True
        while self.batch or self.waiting:
            self.flush()
        if not said:
            raise PeerError("no answer to SUBSCRIBE")

    def end(self):
        self.ending = True

    def report(self):
        return json.dumps({"program": "paho-peer", "received": self.received, "counted": self.counted, "bad": self.bad,
                           "first_ns": self.first_ns, "last_ns": self.last_ns, "cpu_seconds": time.process_time()})


def main():
    settings = parse()
    try:
        peer = Peer(settings)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: peer.end())
        peer.run()
    except (PeerError, OSError, redis.RedisError) as error:
        sys.exit("paho-peer: %s" % error)
    print(peer.report(), flush=True)


if __name__ == "__main__":
    main()

"""A TCP link that can be cut, slowed, or left half open: a proxy between two of the programs, or between readers and the broker."""

import socket
import struct
import threading
import time

UP, DOWN = "up", "down"  # from who connects; towards who connects
RESET = struct.pack("ii", 1, 0)


class Link:
    """`fault` is None, "cut", "slow" or "half-open". Half open: bytes in the directions of `held` stay in the link, and connections
    do not end."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.fault, self.held, self.latency_s, self.chunk_bytes = None, (), 0.0, 65536
        self.pairs = set()
        self.closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    # --- faults ---

    def cut(self):
        """Ends all connections, and any that is made."""
        self._set("cut")
        self._reset_all()

    def slow(self, latency_s, chunk_bytes):
        """At most `chunk_bytes` each `latency_s`, a direction of a connection."""
        with self.changed:
            self.latency_s, self.chunk_bytes = latency_s, chunk_bytes
        self._set("slow")

    def half_open(self, held):
        self._set("half-open", held)

    def mend(self, forget=True):
        """`forget`: half open connections end, and the held bytes are gone; otherwise they arrive late."""
        if self.fault == "half-open" and forget:
            self._reset_all()
        self._set(None)

    def _set(self, fault, held=()):
        with self.changed:
            self.fault, self.held = fault, held
            self.changed.notify_all()

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        self.listener.close()
        self._reset_all()

    def _reset_all(self):
        with self.changed:
            pairs, self.pairs = self.pairs, set()
            self.changed.notify_all()
        for pair in pairs:
            for end in pair:
                _reset(end)

    # --- its threads ---

    def _accept(self):
        while True:
            try:
                near, _address = self.listener.accept()
            except OSError:
                return
            if self.closed or self.fault == "cut":
                _reset(near)
                continue
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near):
        try:
            far = socket.create_connection(("127.0.0.1", self.to), 5)
        except OSError:
            _reset(near)
            return
        far.settimeout(None)
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (near, far)
        with self.changed:
            if self.closed or self.fault == "cut":
                _reset(near)
                _reset(far)
                return
            self.pairs.add(pair)
        threading.Thread(target=self._pump, args=(pair, near, far, UP), daemon=True).start()
        self._pump(pair, far, near, DOWN)

    def _pump(self, pair, source, sink, direction):
        try:
            while True:
                data = source.recv(min(self.chunk_bytes, 65536) if self.fault == "slow" else 65536)
                if not self._pass(pair, direction):
                    return
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
        except OSError:  # either end is gone: so is the other
            with self.changed:
                self.pairs.discard(pair)
            for end in pair:
                _reset(end)

    def _pass(self, pair, direction):
        """Waits as long as the link does not let through. Whether the connection is still there."""
        if self.fault == "slow":
            time.sleep(self.latency_s)
        with self.changed:
            while self.fault == "half-open" and direction in self.held and pair in self.pairs:
                self.changed.wait()
            return pair in self.pairs


def _reset(end):
    """Closes so that the other side sees a reset; shut down first, as another thread may be reading."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()

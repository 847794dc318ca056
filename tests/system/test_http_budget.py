"""HTTP clients that cost the feed more than an address may. Beside each, an honest client at another address is answered."""

import http.client
import re
import select
import socket
import struct

import pytest

from clients import connected
from edge import wait_until

HONEST, HOSTILE = "127.0.0.2", "127.0.0.3"
BURST = 3  # seconds' worth of requests
# So little that a test uses it up, and that waiting for more would be noticed: three requests, and one more each second.
EDGE = {"feed": {"http_rate": 1}}
REQUEST = b"GET /totals/budget HTTP/1.1\r\nHost: a\r\n\r\n"
RESTS, WAITING = "tally_http_rests_total", "tally_http_waiting_requests"
REFUSED = "tally_http_refused_addresses"
ESTABLISHED, CLOSE_WAIT = "01", "08"


@pytest.fixture
def fresh(make_edge):
    """An edge where nobody has used anything up."""
    return make_edge(**EDGE).start()


def answer_of(one):
    response = http.client.HTTPResponse(one)
    response.begin()
    response.read()
    return response.status


def answers(one, n):
    """Reads the status lines of this many consecutive answers."""
    held = b""
    while held.count(b"HTTP/1.1 ") < n:
        part = one.recv(1 << 16)
        assert part, held
        held += part
    return re.findall(rb"HTTP/1\.1 (\d+)", held)[:n]


def unread(edge, one):
    """Bytes of a connection that wait in the kernel until the feed reads them (proc(5), /proc/net/tcp)."""
    with open("/proc/net/tcp") as table:
        rows = [row.split() for row in table.readlines()[1:]]
    ours, theirs = edge.http_port, one.getsockname()[1]
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[3] in (ESTABLISHED, CLOSE_WAIT)
               and int(row[1].split(":")[1], 16) == ours and int(row[2].split(":")[1], 16) == theirs)


class Honest:
    """Connected before the trouble, asks once meanwhile, and may connect then, too."""

    def __init__(self, edge):
        self.edge, self.kept = edge, connected(edge.http_port, HONEST)

    def ask(self):
        self.kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer_of(self.kept) == 200

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.kept.close()


def test_pipelined_requests_of_one_address_wait(fresh):
    with Honest(fresh) as honest, connected(fresh.http_port, HOSTILE) as hostile:
        hostile.sendall(REQUEST * 400)

        def waits():
            told = fresh.metrics()  # a request may also wait for its turn at Redis, and then no address rests
            return told[WAITING] == 1 and told[RESTS] >= 1
        wait_until(waits, "a request that waits for its address's budget")
        honest.ask()
        assert answers(hostile, BURST + 1) == [b"200"] * (BURST + 1), "what waited is answered in the end"


@pytest.mark.parametrize("first, more", [
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"x" * 4000),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", b"x" * 4000),
    (b"", b"\r\n" * 2000),
], ids=["header", "body", "nothing"])
def test_of_an_address_that_sends_without_end_nothing_more_is_read(fresh, first, more):
    hostile = []
    with Honest(fresh) as honest:
        try:
            for _ in range(8):
                hostile.append(connected(fresh.http_port, HOSTILE))
                hostile[-1].sendall(first)

            def rests():
                for i, one in enumerate(hostile):
                    try:
                        one.sendall(more)
                    except OSError:  # the feed ended it, and the client comes back
                        one.close()
                        hostile[i] = connected(fresh.http_port, HOSTILE)
                        hostile[i].sendall(first)
                return fresh.metrics().get(RESTS, 0) >= 1 and any(unread(fresh, one) for one in hostile)
            wait_until(rests, "the address to rest")
            honest.ask()
        finally:
            for one in hostile:
                one.close()


def test_connections_of_an_address_that_used_up_its_budget_wait(fresh):
    with Honest(fresh) as honest:
        hostile = [connected(fresh.http_port, HOSTILE) for _ in range(40)]
        try:
            wait_until(lambda: fresh.metrics().get(RESTS, 0) >= 1, "the address to rest")
            for one in hostile:
                one.sendall(REQUEST)
            wait_until(lambda: sum(unread(fresh, one) > 0 for one in hostile) >= 20, "requests that are not read")
            honest.ask()
            with connected(fresh.http_port, HONEST) as another:
                another.sendall(REQUEST)
                assert answer_of(another) == 200
        finally:
            for one in hostile:
                one.close()


def test_a_burst_of_connections_is_accepted_in_parts(make_edge):
    """More than the feed accepts before it serves others: each is served."""
    edge = make_edge(feed={"http_rate": 1000}).start()
    many = [connected(edge.http_port, HOSTILE) for _ in range(200)]
    try:
        for one in many:
            one.sendall(REQUEST)
        assert {answer_of(one) for one in many} == {200}
    finally:
        for one in many:
            one.close()


def begins(port, address):
    """A connection that is being opened."""
    one = socket.socket()
    one.bind((address, 0))
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    return one


def is_open(one):
    """Whether the kernel has accepted it. An answer to its SYN packet comes at once over the loopback."""
    return bool(select.select([], [one], [], 0)[1]) and one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


@pytest.mark.parametrize("end", ["held", "closed", "reset"])
def test_an_address_that_keeps_opening_connections_is_refused_by_the_kernel(fresh, end):
    held = []
    with Honest(fresh) as honest:
        try:
            def is_refused():
                held.append(begins(fresh.http_port, HOSTILE))
                if end == "reset":
                    held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if end != "held" and is_open(held[-1]):
                    held.pop().close()
                return fresh.metrics()[REFUSED] == 1
            wait_until(is_refused, "the address to be refused")
            late = [begins(fresh.http_port, HOSTILE) for _ in range(50)]
            held += late
            assert not any(is_open(one) for one in late)
            with connected(fresh.http_port, HONEST) as another:
                another.sendall(REQUEST)
                assert answer_of(another) == 200
            honest.ask()
        finally:
            for one in held:
                one.close()


def test_an_address_that_was_refused_is_served_again(make_edge):
    edge = make_edge(feed={"http_rate": 20}).start()

    def is_refused():
        many = [begins(edge.http_port, HOSTILE) for _ in range(20)]
        seen = edge.metrics()[REFUSED] == 1
        for one in many:
            one.close()
        return seen
    wait_until(is_refused, "the address to be refused")
    wait_until(lambda: edge.metrics()[REFUSED] == 0, "the address to be accepted again")
    with connected(edge.http_port, HOSTILE) as again:
        again.sendall(REQUEST)
        assert answer_of(again) == 200


def test_a_listed_proxy_has_no_budget(make_edge):
    edge = make_edge(feed={"http_rate": 1, "trusted_proxies": "127.0.0.1,127.0.0.3"}).start()
    with connected(edge.http_port, HOSTILE) as proxy:
        proxy.sendall(REQUEST * 100)
        assert answers(proxy, 100) == [b"200"] * 100
    assert edge.metrics()[RESTS] == 0


def test_a_proxy_that_is_no_address_is_refused(make_edge):
    edge = make_edge(feed={"trusted_proxies": "proxy.example.org"})
    with pytest.raises(Exception):
        edge.start()
    assert "option trusted_proxies: proxy.example.org is not empty, or 1 to 16 addresses" in edge["feed"].text()

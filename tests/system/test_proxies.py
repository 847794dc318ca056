"""The files under deploy/ as they are copied, with other ports, folders and certificate, before a real broker and feed."""

import collections
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess

import pytest

import edge as edges
from clients import Client, reader_name
from edge import ROOT, SBIN, Process, free_ports, release_ports, wait_until

OURS, OTHER = "https://www.example.org", "https://evil.example.net"
# One connection of an address a second: what a listed proxy is exempt from.
EDGE = {"limits": "on", "plugin": {"trusted_proxies": "127.0.0.1", "connect_rate": 1, "connect_burst": 1},
        "feed": {"websocket_url": "wss://tally.example.org/mqtt"}}


def program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + SBIN)
    return path or pytest.skip("%s is not installed: script/bootstrap test" % name)


def deployed(path, *changes):
    """A file under deploy/, with each change (from, to) made at least once."""
    with open(os.path.join(ROOT, "deploy", path)) as f:
        text = f.read()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate, key, both in one file), which is its own authority."""
    folder = tmp_path_factory.mktemp("certificate")
    made, key, both = str(folder / "fullchain.pem"), str(folder / "privkey.pem"), str(folder / "both.pem")
    subprocess.run([program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=tally.example.org", "-addext", "subjectAltName=DNS:tally.example.org,IP:127.0.0.1",
                    "-keyout", key, "-out", made], check=True, stderr=subprocess.DEVNULL)
    with open(both, "w") as f:
        f.write(open(made).read() + open(key).read())
    folder.chmod(0o755)
    return made, key, both


class Proxy:
    def __init__(self, process, port, certificate):
        self.process, self.port = process, port
        self.context = ssl.create_default_context(cafile=certificate)

    def get(self, path, **headers):
        """(status, headers, body) of a GET over HTTP/1.1."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": "tally.example.org", **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, b"" if answer.status == 101 else answer.read()
        finally:
            connection.close()

    def ask_at_once(self, address, path, n):
        """The statuses of n requests that an address sends without waiting; fewer where the proxy ends the connection."""
        with socket.create_connection(("127.0.0.1", self.port), 30, source_address=(address, 0)) as plain, \
                self.context.wrap_socket(plain, server_hostname="tally.example.org") as one:
            one.sendall((b"GET %s HTTP/1.1\r\nHost: tally.example.org\r\n\r\n" % path) * (n - 1) +
                        b"GET %s HTTP/1.1\r\nHost: tally.example.org\r\nConnection: close\r\n\r\n" % path)
            held = b""
            while part := one.recv(1 << 16):
                held += part
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", held)]

    def handshake(self, origin):
        """The status of a WebSocket's handshake from a page of an origin; None: a client that says none."""
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "mqtt"}
        return self.get("/mqtt", **headers, **({"Origin": origin} if origin is not None else {}))[0]

    def reader(self, edge, origin, **more):
        """An MQTT client over wss, from a page of an origin."""
        client = Client(self.port, username=reader_name(), transport="websockets", **more)
        edge.clients.append(client)
        client.tls_set_context(self.context)
        client.ws_set_options(path="/mqtt", headers=lambda default: {**default, "Origin": origin})
        return client.open()


def old_nginx():
    """Whether it is older than the directive http2, as Debian 12's is."""
    said = subprocess.run([program("nginx"), "-v"], stderr=subprocess.PIPE, text=True, check=True).stderr
    return tuple(map(int, re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said).groups())) < (1, 25, 1)


def for_old_nginx(folder, site):
    """The site after the command that the guide has for Debian 12."""
    with open(os.path.join(ROOT, "docs/guides/nginx.md")) as f:
        command = re.search(r"sed -i '([^']*http2[^']*)'", f.read()).group(1)
    with open(folder + "/site", "w") as f:
        f.write(site)
    return subprocess.run(["sed", command, folder + "/site"], stdout=subprocess.PIPE, text=True, check=True).stdout


def nginx_command(folder, site):
    temporary = "".join("%s_temp_path %s/%s;\n" % (name, folder, name) for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(folder + "/nginx.conf", "w") as f:
        f.write("daemon off;\nmaster_process off;\npid %s/pid;\nevents {}\nhttp {\n%s%s\n}\n" % (folder, temporary, site))
    return [program("nginx"), "-e", "stderr", "-c", folder + "/nginx.conf"]


def nginx(edge, folder, port, certificate):
    site = deployed("nginx/tally.conf", ("listen [::]:443 ssl;", ""), ("127.0.0.1:8080", "127.0.0.1:%d" % edge.http_port),
                    ("127.0.0.1:9001", "127.0.0.1:%d" % edge.ws_port), ("/var/cache/nginx-tally", folder + "/cache"),
                    ("/etc/letsencrypt/live/tally.example.org/fullchain.pem", certificate[0]),
                    ("/etc/letsencrypt/live/tally.example.org/privkey.pem", certificate[1]))
    if old_nginx():
        site = for_old_nginx(folder, site)
    return nginx_command(folder, site.replace("listen 443 ", "listen 127.0.0.1:%d " % port))


def haproxy(edge, folder, port, certificate):
    text = deployed("haproxy/haproxy.cfg", ("bind :443 ", "bind 127.0.0.1:%d " % port),
                    ("    bind [::]:443 v6only ssl crt /etc/haproxy/certs/tally.example.org.pem alpn h2,http/1.1\n", ""),
                    ("127.0.0.1:8080", "127.0.0.1:%d" % edge.http_port), ("127.0.0.1:9001", "127.0.0.1:%d" % edge.ws_port),
                    ("/etc/haproxy/certs/tally.example.org.pem", certificate[2]), ("    log /dev/log local0 notice\n", ""),
                    ("    user haproxy\n    group haproxy\n", ""), ("    maxconn 25000\n", "    maxconn 200\n"))
    with open(folder + "/haproxy.cfg", "w") as f:
        f.write(text)
    return [program("haproxy"), "-db", "-f", folder + "/haproxy.cfg"]


def wait_for_port(process, port):
    def up():
        assert process.running(), process.text()
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close() or True
        except OSError:
            return False
    wait_until(up, "the proxy to come up")


@pytest.fixture(scope="module", params=[nginx, haproxy], ids=["nginx", "haproxy"])
def proxy(request, edge, certificate, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("proxy"))
    ports = free_ports(1)
    process = Process(request.param.__name__, request.param(edge, folder, ports[0], certificate), folder + "/log", edge.env)
    process.start()
    try:
        wait_for_port(process, ports[0])
        yield Proxy(process, ports[0], certificate[0])
    finally:
        process.kill()
        release_ports(ports)


def test_readers_of_a_named_site_react(edge, proxy):
    """More of them at once than one address may connect, as the broker knows whose the proxy's address is."""
    readers = [proxy.reader(edge, OURS) for _ in range(4)]
    readers[0].watch("totals/proxies/react")
    for reader in readers:
        assert reader.say("reactions/proxies/react", b"like") < 0x80
    readers[0].wait(lambda: any(b'"like":%d' % len(readers) in m.payload for m in readers[0].messages), "the total")


@pytest.mark.parametrize("origin, status", [
    (OURS, 101), ("https://tally.example.org", 101),
    (OTHER, 403), (OURS + ".evil.example.net", 403), ("https://evil.example.net/" + OURS, 403), (OURS + "," + OTHER, 403),
    ("https://example.org", 403), ("http://www.example.org", 403), (OURS + ":8443", 403), ("null", 403), ("", 403), (None, 403),
])
def test_only_pages_of_named_sites_connect(proxy, origin, status):
    assert proxy.handshake(origin) == status


def test_what_pages_need_is_public_and_as_the_feed_says_it(edge, proxy):
    for path in ("/tally.js", "/totals/proxies/public", "/totals?articles=a,proxies/public", "/totals/a%25b"):
        status, headers, body = proxy.get(path, Origin=OTHER)
        assert (status, body) == (200, edge.get(path)[2]), path
        assert headers["Access-Control-Allow-Origin"] == "*" and headers["Cache-Control"].startswith("public"), path
        assert proxy.get(path, **{"If-None-Match": headers["ETag"]})[0] == 304, path
    assert b"wss://tally.example.org/mqtt" in proxy.get("/tally.js")[2]


@pytest.mark.parametrize("path", ["/", "/dashboard", "/dashboard.js", "/ops", "/ops.js", "/ops.css", "/metrics", "/healthz", "/readyz", "/livez"])
def test_what_is_the_houses_stays_inside(edge, proxy, path):
    assert edge.get(path)[0] == 200
    assert proxy.get(path)[0] == 403
    assert proxy.get(path + "?x=/tally.js")[0] == 403


@pytest.mark.parametrize("path", ["//metrics", "/totals/../metrics", "/totals/..%2fmetrics", "/totals/%2e%2e/metrics", "/tally.js/../metrics",
                                  "/%6detrics", "/embed/../dashboard", "/totals/../healthz", "/index.html", "/dashboard.html", "/ops.html", "/embed/../ops"])
def test_no_other_spelling_leads_inside(edge, proxy, path):
    status, _headers, body = proxy.get(path)
    assert status in (400, 403, 404)
    assert b"tally_" not in body and b'"status"' not in body and b"<title>Newsroom" not in body and b"<title>Operations" not in body


def test_totals_are_bounded_by_address(proxy):
    """An address over its limit gets 429, while another one is served."""
    path = b"/totals/proxies/bounded"
    statuses = []
    while 429 not in statuses and len(statuses) < 4000:
        statuses += proxy.ask_at_once("127.0.0.4", path, 600)
    assert set(statuses) == {200, 429}, collections.Counter(statuses)
    assert statuses.index(429) >= 400
    assert proxy.ask_at_once("127.0.0.5", path, 2) == [200, 200]


def test_a_file_is_asked_of_the_feed_once(edge, proxy):
    before = edge.metrics()['tally_http_answers_total{code="200"}']
    for _ in range(6):
        assert proxy.get("/tally.js", **{"Accept-Encoding": "gzip"})[0] == 200
    # the first question for metrics was counted after its answer was made
    assert edge.metrics()['tally_http_answers_total{code="200"}'] - before <= 2


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": "tally.example.org"})
        answer = connection.getresponse()
        return answer.status, answer.headers["Location"], answer.read()
    finally:
        connection.close()


@pytest.mark.no_sanitizer
def test_port_80_answers_the_authority_before_there_is_a_certificate(tmp_path):
    """The authority that gives the certificate finds certbot's file. A reader's browser is sent on."""
    folder = str(tmp_path)
    ports = free_ports(1)
    command = nginx_command(folder, deployed("nginx/tally-acme.conf", ("listen 80;", "listen 127.0.0.1:%d;" % ports[0]), ("listen [::]:80;", ""),
                                             ("/var/www/tally-acme", folder + "/www")))
    challenge = tmp_path / "www/.well-known/acme-challenge/token-1"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("token-1.thumbprint")
    for each in (tmp_path, *challenge.parents[:3]):
        each.chmod(0o755)
    process = Process("nginx", command, folder + "/log", dict(os.environ))
    process.start()
    try:
        wait_for_port(process, ports[0])
        assert ask(ports[0], "/.well-known/acme-challenge/token-1")[::2] == (200, b"token-1.thumbprint")
        assert ask(ports[0], "/.well-known/acme-challenge/token-2")[0] == 404
        assert ask(ports[0], "/totals/a?x=1")[:2] == (301, "https://tally.example.org/totals/a?x=1")
    finally:
        process.kill()
        release_ports(ports)


def test_the_brokers_own_tls(make_edge, certificate):
    edge = make_edge()
    ports = free_ports(1)
    lines = deployed("mosquitto/wss.conf", ("listener 8443\n", "listener %d 127.0.0.1\nsocket_domain ipv4\n" % ports[0]),
                     ("max_connections 20000", "max_connections 100"),
                     ("/etc/mosquitto/certs/fullchain.pem", certificate[0]), ("/etc/mosquitto/certs/privkey.pem", certificate[1]))
    with open(edge.path("mosquitto.d/wss.conf"), "w") as f:
        f.write(lines)
    edge.start()
    try:
        reader = Proxy(None, ports[0], certificate[0]).reader(edge, OTHER)
        assert reader.say("reactions/proxies/tls", b"like") < 0x80
        edge.settle()
        edge.wait_total("proxies/tls")
    finally:
        release_ports(ports)

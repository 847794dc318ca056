"""The ways to Redis: TLS, right and wrong; a Unix socket; an ACL user with no more rights than documented; databases and prefixes."""

import os
import re
import subprocess

import pytest
import redis as redis_py

from cluster import Sentinels
from clients import reader_name, unique
from edge import ROOT, free_ports, release_ports, wait_until

PASSWORD = "open-sesame-17f3-88a1-b0de"
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(folder, *argv, at=None):
    faked = ["faketime", "-f", at] if at else []
    subprocess.run([*faked, "openssl", *argv], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _certificate(folder, name, ca, names, at=None):
    """One that is valid for two days from `at` on. OpenSSL 3.6 refuses a negative number of days."""
    with open(os.path.join(folder, name + ".ext"), "w") as extensions:
        extensions.write("subjectAltName=" + names)
    _openssl(folder, "req", *CURVE, "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
    _openssl(folder, "x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial", "-out", name + ".pem",
             "-extfile", name + ".ext", "-days", "2", at=at)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("certificates"))
    for ca in ("ca", "other"):
        _openssl(folder, "req", "-x509", *CURVE, "-keyout", ca + ".key", "-out", ca + ".pem", "-subj", "/CN=" + ca, "-days", "2")
    _certificate(folder, "good", "ca", "DNS:localhost,IP:127.0.0.1")
    _certificate(folder, "expired", "ca", "DNS:localhost,IP:127.0.0.1", at="-3d")
    _certificate(folder, "named", "ca", "DNS:redis.example")
    _certificate(folder, "client", "ca", "DNS:client")
    _certificate(folder, "stranger", "other", "DNS:client")
    return folder


def _secret_file(path, text):
    with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(text)
    return path


def _password_file(edge, password):
    return _secret_file(os.path.join(edge.directory, "redis.password"), password + "\n")


def _lines(edge, *lines):
    with open(edge.path("redis.conf"), "a") as conf:
        conf.writelines(line + "\n" for line in lines)


def _lead(edge, url, *more):
    """Collector and feed reach Redis by this URL. Returns the options for a command."""
    for name in ("collector", "feed"):
        argv = edge[name].argv
        at = argv.index("--redis-host")
        argv[at:at + 4] = ["--redis-url", url, *more]
    return ["--redis-url", url, *more]


def _command(edge, name, *more):
    return subprocess.run([edge.program("tally"), name, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, env=edge.env)


def _broker(edge):
    return ["--services-file", edge.path("services"), "--mqtt-port", str(edge.mqtt_port)]


def _counts(edge, links):
    client = edge.client()
    article = unique("way")
    client.react(article, "like") if hasattr(client, "react") else client.say("reactions/" + article, b"like")
    edge.settle()
    done = _command(edge, "export", "--articles=" + article, *links)
    assert done.returncode == 0 and article in done.stdout, done.stdout
    return article


@pytest.fixture
def secure(make_edge, certificates):
    """An edge whose Redis has a port with TLS, too; `edge.tls(name, clients)` starts it with that certificate."""
    edge = make_edge()
    port, = free_ports(1)
    edge.tls_port = port

    def tls(name, clients="no"):
        _lines(edge, "tls-port %d" % port, "tls-auth-clients " + clients, "tls-ca-cert-file %s/ca.pem" % certificates,
               "tls-cert-file %s/%s.pem" % (certificates, name), "tls-key-file %s/%s.key" % (certificates, name))
    edge.tls = tls
    yield edge
    release_ports([port])


def test_counts_over_tls(secure, certificates):
    edge = secure
    edge.tls("good", "yes")
    links = _lead(edge, "rediss://localhost:%d" % edge.tls_port, "--redis-ca-file=%s/ca.pem" % certificates,
                  "--redis-cert-file=%s/client.pem" % certificates, "--redis-key-file=%s/client.key" % certificates)
    edge.start()
    _counts(edge, links)


@pytest.mark.parametrize("server,clients,options,said", [
    ("good", "no", ["ca"], "it holds no store"),
    ("named", "no", ["ca", "--redis-server-name=redis.example"], "it holds no store"),
    ("good", "no", ["other"], "not trusted with redis_ca_file"),
    ("good", "no", [], "not trusted with the system's CAs"),
    ("named", "no", ["ca"], "for another name or address"),
    ("expired", "no", ["ca"], "has expired"),
    ("good", "yes", ["ca"], "client certificate"),
    ("good", "yes", ["ca", "stranger"], "redis_cert_file"),
], ids=lambda value: value if isinstance(value, str) else "-".join(value).strip("-") or "none")
def test_says_what_is_wrong_with_tls(secure, certificates, server, clients, options, said):
    edge = secure
    edge.tls(server, clients)
    edge.start("redis")
    argv = ["--redis-url=rediss://127.0.0.1:%d" % edge.tls_port]
    for option in options:
        if option in ("ca", "other"):
            argv.append("--redis-ca-file=%s/%s.pem" % (certificates, option))
        elif option.startswith("--"):
            argv.append(option)
        else:
            argv += ["--redis-cert-file=%s/%s.pem" % (certificates, option), "--redis-key-file=%s/%s.key" % (certificates, option)]
    done = _command(edge, "export", *argv)
    assert done.returncode == 2 and said in done.stdout, done.stdout


def test_says_that_a_port_has_or_has_not_tls(secure, certificates):
    edge = secure
    edge.tls("good")
    edge.start("redis")
    done = _command(edge, "export", "--redis-url=redis://127.0.0.1:%d" % edge.tls_port)
    assert done.returncode == 2 and "rediss://" in done.stdout, done.stdout
    done = _command(edge, "export", "--redis-url=rediss://127.0.0.1:%d" % edge.redis_port, "--redis-ca-file=%s/ca.pem" % certificates)
    assert done.returncode == 2 and "TLS on this port" in done.stdout, done.stdout


def test_counts_through_a_socket(make_edge):
    edge = make_edge()
    path = os.path.join(edge.directory, "redis.sock")
    _lines(edge, "unixsocket " + path)
    links = _lead(edge, "unix://" + path)
    edge.start()
    _counts(edge, links)


def _documented_rules(user):
    with open(os.path.join(ROOT, "docs", "guides", "redis.md")) as page:
        rules = re.search(r"^    ACL SETUSER %s (on (?:.*\n)(?:      .*\n)*)" % user, page.read(), re.MULTILINE).group(1)
    return rules.replace("PASSWORD", PASSWORD).split()


def _everything_the_operator_does(edge, links, folder):
    """Each of tally's commands once, so that it gets as far as its last call."""
    done = {}

    def run(name, *more, given=None):
        argv = [edge.program("tally"), name, *more, *links]
        result = subprocess.run(argv, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, env=edge.env)
        assert result.returncode == 0, "%s: %s" % (name, result.stdout)
        done[name] = result.stdout

    reader = reader_name()
    client = edge.client(username=reader)
    articles = [unique("operated") for _ in range(3)]
    for article in articles:
        assert client.say("reactions/" + article, "like") in (0x00, 0x10)
    client.close()
    edge.settle()
    edge.wait_total(articles[2])
    run("article", articles[2], "--state=closed", *_broker(edge))
    run("export")
    run("import", "--file=-", given="article,kind,count\n%s,wow,7\n" % articles[0])
    run("erase", "--reader-file=-", "--source=username", "--counts=keep", "--key-file=" + edge.path("reader.key"), given=reader + "\n")
    run("reset", articles[1])
    run("archive", articles[0], "--force")
    run("check-edge", "--broker-config=" + edge.path("mosquitto.conf"), "--other-host=127.0.0.1", "--other-port=%d" % edge.http_port)
    run("audit", "--spool", edge.spool, "--http-port", str(edge.http_port), *_broker(edge))
    edge.stop("broker")
    run("drain", "--spool", edge.spool)
    edge.stop("collector")
    edge.redis.hset("tally:store", "seen:%016x" % edge.header.edge_id(), 1)  # long ago
    run("forget", "--edge=%016x" % edge.header.edge_id(), "--quiet-s=1")
    listed = subprocess.run([edge.program("tally")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    assert all(name in listed for name in done), listed
    return done


def test_an_acl_user_needs_no_more_than_documented(make_edge, tmp_path):
    edge = make_edge(collector={"audit_per_minute": 600})
    password = "--redis-password-file=" + _password_file(edge, PASSWORD)
    _lines(edge, "user tally " + " ".join(_documented_rules("tally")))
    links = _lead(edge, "redis://tally@127.0.0.1:%d" % edge.redis_port, password)
    edge.start()
    _counts(edge, links)
    wait_until(lambda: edge.metrics().get("tally_audit_articles_total", 0) > 0, "the self-audit of an article")
    edge.restart("collector", "feed")
    _everything_the_operator_does(edge, links, tmp_path)
    denied = edge.redis.execute_command("ACL", "LOG")
    assert denied == [], denied


def test_sentinels_and_their_redis_need_no_more_than_documented(make_edge, tmp_path):
    servers = Sentinels(tmp_path / "of")
    try:
        servers.start()
        for node in servers.nodes:
            node.redis.execute_command("ACL", "SETUSER", "tally", *_documented_rules("tally"))
        for helper in servers.helpers:  # the second line is for the other Sentinels, and this test
            helper.ask("ACL", "SETUSER", "watcher", "on", ">" + PASSWORD, "+@all")
            helper.ask("ACL", "SETUSER", "default", *_documented_rules("default"),
                       "&*", "+publish", "+info", "+client|setname", "+sentinel|is-master-down-by-addr", "+sentinel|get-master-addr-by-name")
        edge = make_edge(servers=servers)
        password = "--redis-password-file=" + _secret_file(str(tmp_path / "password"), PASSWORD + "\n")
        links = ["--redis-url", servers.url().replace("//", "//tally@", 1), password]
        for name in ("collector", "feed"):
            argv = edge[name].argv
            at = next(i for i, word in enumerate(argv) if word.startswith("--redis-url"))
            argv[at:at + 1] = links
        edge.start()
        _everything_the_operator_does(edge, links, tmp_path)
        for node in servers.nodes:
            assert node.ask("ACL", "LOG") == []
        for helper in servers.helpers:
            with redis_py.Redis(port=helper.port, username="watcher", password=PASSWORD, socket_timeout=10) as watcher:
                denied = watcher.execute_command("ACL", "LOG")
            assert denied == [], "denied: %s" % denied
    finally:
        servers.close()


def test_names_a_wrong_password_and_keeps_it(make_edge):
    edge = make_edge()
    wrong = "a-secret-that-is-wrong-4b8a"
    password = "--redis-password-file=" + _password_file(edge, wrong)
    _lines(edge, "user tally on >%s ~* &* +@all" % PASSWORD)
    links = _lead(edge, "redis://tally@127.0.0.1:%d" % edge.redis_port, password, "--log-level=debug")
    edge.start(ready=False)
    edge.wait_unhealthy("WRONGPASS")
    for name in ("collector", "feed"):
        wait_until(lambda name=name: "WRONGPASS" in edge[name].text(), "the reason in the log of the " + name)
        assert wrong not in edge[name].text()
    done = _command(edge, "export", *links[:3])
    assert done.returncode == 2 and "WRONGPASS" in done.stdout and wrong not in done.stdout, done.stdout


def _audit(edge, links):
    """The operator's audit with these links to Redis: it must find nothing."""
    done = _command(edge, "audit", "--spool", edge.spool, "--http-port", str(edge.http_port), *_broker(edge), *links)
    assert done.returncode == 0 and "consistent" in done.stdout, done.stdout


@pytest.mark.parametrize("url,prefix,db", [("redis://127.0.0.1:%d", "news.example:", 0), ("redis://127.0.0.1:%d/3", "tally:", 3)],
                         ids=["by-prefix", "by-database"])
def test_two_stores_in_one_redis(make_edge, url, prefix, db):
    first = make_edge(collector={"audit_per_minute": 600}).start()
    second = make_edge(redis_of=first, collector={"audit_per_minute": 600})
    second.redis_prefix = prefix
    second._redis = redis_py.Redis(port=first.redis_port, db=db, socket_timeout=10)
    links = _lead(second, url % first.redis_port, "--redis-prefix=" + prefix)
    plain = ["--redis-port=%d" % first.redis_port]
    second.start()
    articles = {first: _counts(first, plain), second: _counts(second, links)}
    assert first.store.fields()["id"] != second.store.fields()["id"]
    for edge, own_links in ((first, plain), (second, links)):
        article = articles[edge]
        assert set(edge.store.registers()) == {article}
        done = _command(edge, "export", *own_links)
        assert done.returncode == 0 and [line.partition(",")[0] for line in done.stdout.splitlines()[1:]] == [article], done.stdout
        edge.wait_total(article)
        shown = {name: counts for name, counts in edge.totals_over_http(articles.values()).items() if counts}
        assert shown == {article: {"like": 1}}
        wait_until(lambda edge=edge: edge.metrics().get("tally_audit_articles_total", 0) > 0, "the self-audit of an article")
        assert edge.metrics()["tally_audit_differing_total"] == 0
        _audit(edge, own_links)
    if db == 0:
        strangers = [key for key in first.redis.scan_iter() if not key.startswith((b"tally:", prefix.encode()))]
        assert strangers == []

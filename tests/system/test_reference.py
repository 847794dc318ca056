"""docs/reference/openapi.yaml and asyncapi.yaml against a running edge and INTERFACES.md: everything described happens, and nothing else does."""

import glob
import gzip
import http.client
import os
import re
import secrets
import shutil
import socket
import subprocess

import pytest
import reference
from aging import HOUR_S, age
from clients import reader_name, unique
from edge import ROOT, Edge, wait_until
from reference import example_bytes, interfaces, normal
from store import article_shard

OK = (0, 0x10)
DENIED = 0x80  # and above
DOCUMENTS = ["openapi.yaml", "asyncapi.yaml"]
WEEK_S = 7 * 24 * HOUR_S


@pytest.fixture(scope="module")
def described_http():
    return reference.Http()


@pytest.fixture(scope="module")
def described_topics():
    return reference.Topics()


# --- form ---

KUBERNETES = sorted(glob.glob(os.path.join(ROOT, "deploy", "kubernetes", "*.yaml")))


def check_form(*paths):
    if not os.path.isdir(os.path.join(reference.FORM, "node_modules")):
        raise AssertionError("the schemas of OpenAPI and AsyncAPI are missing: cd tests/reference && npm ci --ignore-scripts")
    return subprocess.run([shutil.which("node"), os.path.join(reference.FORM, "check.mjs"), *paths], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)


def test_the_documents_have_the_form_of_their_standards():
    done = check_form(*map(reference.path_of, DOCUMENTS), *KUBERNETES)
    assert done.returncode == 0, done.stdout


BREAKS = [  # document, what is replaced in it, by what, and the complaint
    ("openapi.yaml", "in: query", "in: nowhere", "must be equal to one of the allowed values"),
    ("openapi.yaml", "#/components/responses/Totals'", "#/components/responses/Nothing'", "leads nowhere"),
    ("openapi.yaml", "operationId: getBar", "operationId: getTotal", "appears twice"),
    ("asyncapi.yaml", "action: send", "action: shout", "must be equal to one of the allowed values"),
    ("asyncapi.yaml", "#/components/messages/audit'", "#/components/messages/nothing'", "leads nowhere"),
]


def test_broken_documents_are_noticed(tmp_path):
    paths = []
    for number, (name, right, wrong, _complaint) in enumerate(BREAKS):
        with open(reference.path_of(name)) as f:
            text = f.read()
        assert right in text
        paths.append(tmp_path / ("%d.yaml" % number))
        paths[-1].write_text(text.replace(right, wrong, 1))
    done = check_form(*map(str, paths))
    assert done.returncode == 1
    for path, (_name, _right, _wrong, complaint) in zip(paths, BREAKS):
        assert any(line.startswith("%s: " % path) and complaint in line for line in done.stdout.splitlines()), (complaint, done.stdout)


def test_the_examples_are_as_their_schemas_say(described_http, described_topics):
    checked = 0
    for name, response in described_http.root["components"]["responses"].items():
        for content in response.get("content", {}).values():
            for example in map(described_http.resolve, content.get("examples", {}).values()):
                assert described_http.errors(content["schema"], example["value"]) == [], (name, example)
                checked += 1
    for path, _method, operation in described_http.operations():
        for one in described_http.parameters(path, operation):
            assert described_http.errors(one["schema"], one["example"]) == [], one
            checked += 1
    for name, message in described_topics.root["components"]["messages"].items():
        assert message["examples"], name
        for example in message["examples"]:
            assert described_topics.complaints(message, example_bytes(message, example)) == [], (name, example)
            checked += 1
    assert checked > 100


# --- INTERFACES.md ---

def test_every_topic_of_interfaces_is_described_and_no_other(described_topics):
    rows = re.findall(r"^\| `([^`]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|", interfaces("## 2. MQTT topics", "### 2.1"), re.MULTILINE)
    channels = described_topics.channels
    assert sorted(normal(row[0]) for row in rows) == sorted(normal(channel["address"]) for channel in channels.values())
    retained = {normal(topic): "yes" in kept for topic, _by, _to, kept in rows}
    for _name, operation, channel, _messages in described_topics.operations("send"):
        assert operation["bindings"]["mqtt"]["retain"] == retained[normal(channels[channel]["address"])], channel


def test_every_reason_of_interfaces_is_described_and_no_other(described_topics):
    rows = re.findall(r"^\| \d+ \| `(\w+)`", interfaces("### 2.1", "### 2.2"), re.MULTILINE)
    assert rows == described_topics.root["components"]["schemas"]["Reason"]["enum"]


def test_every_path_of_interfaces_is_described_and_no_other(described_http):
    section = interfaces("## 6. HTTP", "## 7.")
    told = [path for row in re.findall(r"^\| (`/[^|]*)\|", section, re.MULTILINE) for path in re.findall(r"`(/[^`]*)`", row)]
    described = {normal(path) for path in described_http.root["paths"]}
    assert {normal(path) for path in told} == described
    statuses = {status for _path, _method, operation in described_http.operations() for status in operation["responses"]}
    statuses |= set(described_http.root["x-other-answers"])
    assert [status for status in sorted(statuses - {"200", "204"}) if not re.search(r"\b%s\b" % status, section)] == []


# --- HTTP ---

def request(edge, method, path, headers=None, body=None):
    """(status, headers, body), without any header that is not asked for."""
    connection = http.client.HTTPConnection("127.0.0.1", edge.http_port, timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in dict(headers or {}, **({"Content-Length": len(body)} if body is not None else {})).items():
            connection.putheader(name, value)
        connection.endheaders()
        if body is not None:
            connection.send(body)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()


def malformed(edge, path):
    """The answer to a request with a header that is none."""
    with socket.create_connection(("127.0.0.1", edge.http_port), 30) as one:
        one.sendall(b"GET %s HTTP/1.1\r\nHost: here\r\nno header\r\n\r\n" % path.encode())
        answer = http.client.HTTPResponse(one)
        answer.begin()
        return answer.status, answer.getheaders(), answer.read()


BAD_TARGETS = {"/totals/{article}": "/totals/no//article", "/totals": "/totals?articles=", "/embed": "/embed?article=no//article"}


class Checks:
    """Compares answers with the document, and remembers which answers were seen."""

    def __init__(self, described, edge):
        self.described, self.edge, self.seen = described, edge, set()

    def check(self, path, method, status, answer):
        operation = self.described.root["paths"][path][method]
        assert answer[0] == int(status), (path, method, status, answer)
        complaints = self.described.complaints(operation["responses"][status], method, answer[1], unpacked(answer))
        assert complaints == [], (path, method, status)
        self.seen.add((path, method, status))

    def ask(self, path, method, status, target, headers=None):
        answer = request(self.edge, method.upper(), target, headers)
        self.check(path, method, status, answer)
        return dict(answer[1])


def unpacked(answer):
    return gzip.decompress(answer[2]) if dict(answer[1]).get("Content-Encoding") == "gzip" and answer[2] else answer[2]


def ask_healthy(checks, path, method, operation):
    """Everything that an edge in health answers at this path."""
    query, _headers = checks.described.target(path, operation)
    responses = operation["responses"]
    for target in checks.described.concrete(path):
        if method == "options":
            checks.ask(path, method, "204", target + query)
            continue
        etag = checks.ask(path, method, "200", target + query).get("ETag")
        full, headers = checks.described.target(path, operation, every=True)
        if "304" in responses:
            checks.ask(path, method, "304", target + full, headers)
            checks.ask(path, method, "304", target + query, {"If-None-Match": etag})
            headers["If-None-Match"] = '"another"'
        packed = checks.ask(path, method, "200", target + full, headers)
        assert packed.get("Content-Encoding") in (None, headers.get("Accept-Encoding"))
    if path in BAD_TARGETS and "400" in responses:
        checks.ask(path, method, "400", BAD_TARGETS[path])
    if method == "get":
        checks.check(path, "get", "400", malformed(checks.edge, checks.described.concrete(path)[0] + query))


def ask_damaged(checks):
    article = unique("damaged")
    assert checks.edge.client().say("reactions/" + article, b"like") in OK
    checks.edge.settle()
    checks.edge.redis.hset("tally:{%d}:heads" % article_shard(article, 4), article, b"damaged")
    for method in ("get", "head"):
        checks.ask("/totals/{article}", method, "500", "/totals/" + article)
    checks.ask("/totals", "get", "200", "/totals?articles=no//article," + article)


def ask_hidden(checks):
    article = unique("hidden")
    checks.edge.service("operator").say("articles/" + article, b'{"results":"after_close"}', retain=True)
    wait_until(lambda: b"hidden" in checks.edge.get("/totals/" + article)[2], "its results to be hidden")
    checks.ask("/totals/{article}", "get", "200", "/totals/" + article)
    checks.ask("/totals", "get", "200", "/totals?articles=demo," + article)


def ask_without_redis(checks, operations):
    checks.edge.stop("redis")
    checks.edge.wait_unhealthy("redis")
    for path, method, operation in operations:
        if path == "/readyz" and method != "options":  # the broker still admits
            checks.ask(path, method, "200", path)
        elif "503" in operation["responses"]:
            query, _headers = checks.described.target(path, operation)
            checks.ask(path, method, "503", checks.described.concrete(path)[0] + query)


def ask_without_broker(checks):
    checks.edge.stop("broker")
    wait_until(lambda: checks.edge.get("/readyz")[0] == 503, "the edge to refuse readers")
    for method in ("get", "head"):
        checks.ask("/readyz", method, "503", "/readyz")


def test_every_answer_described_is_given(make_edge, described_http):
    edge = make_edge().start()
    checks = Checks(described_http, edge)
    assert edge.client().say("reactions/world/migrant-caravan", b"like") in OK
    edge.settle()
    operations = described_http.operations()
    for path, method, operation in operations:
        ask_healthy(checks, path, method, operation)
    ask_damaged(checks)
    ask_hidden(checks)
    ask_without_redis(checks, operations)
    ask_without_broker(checks)
    described = {(path, method, status) for path, method, operation in operations for status in operation["responses"]}
    assert described - checks.seen == set()


OTHER = {
    "404": lambda edge: [request(edge, "GET", "/no-such-path")],
    "405": lambda edge: [request(edge, "DELETE", path) for path in ("/", "/totals/demo", "/tally.js", "/metrics")],
    "413": lambda edge: [request(edge, "POST", "/totals/demo", body=b"x" * 1025)],
    "417": lambda edge: [request(edge, "POST", "/", {"Expect": "a miracle"}, b"x")],
    "501": lambda edge: [request(edge, "BREW", "/")],
}


def test_every_other_answer_is_as_described(make_edge, described_http):
    edge = make_edge().start()
    others = described_http.root["x-other-answers"]
    assert set(OTHER) == set(others)
    for status, answers in OTHER.items():
        for answer in answers(edge):
            assert answer[0] == int(status), answer
            assert described_http.complaints(others[status], "get", answer[1], answer[2]) == [], status


def candidates(edge):
    """Whatever the feed may answer at: the files in it, the paths that its sources, its 404 and the pages name."""
    found = set()
    with open(os.path.join(edge.build, "dashboard-feed", "assets.c")) as assets:
        files = re.findall(r'^ *\{"([^"]+)",', assets.read(), re.MULTILINE)
    assert len(files) > 10
    found |= {"/" + name for name in files}
    for source in glob.glob(os.path.join(ROOT, "dashboard-feed", "*.c")):
        with open(source) as f:
            found |= set(re.findall(r'"(/[\w.-]*)/?"', f.read()))
    known = request(edge, "GET", "/no-such-path")[2].decode()
    found |= set(re.findall(r"/[a-z.]*", known))
    for page in ("/", "/dashboard", "/ops", "/embed?article=demo"):
        found |= {"/" + link for link in re.findall(r'(?:src|href)="([\w.-]+)"', request(edge, "GET", page)[2].decode())}
    return found


def test_no_path_is_answered_that_is_not_described(make_edge, described_http):
    edge = make_edge().start()
    answered = set()
    for path in candidates(edge):
        status, _headers, _body = request(edge, "GET", path)
        if status != 404:
            answered.add(path)
            assert described_http.matches(path), path
    for template in described_http.root["paths"]:
        if template != "/totals/{article}":
            assert set(described_http.concrete(template)) <= answered, template


# --- topics ---

class Watch:
    """Operators that receive everything, and checks of it."""

    def __init__(self, described, edge):
        self.described, self.edge = described, edge
        self.operators = []
        self.again()

    def again(self):
        """Another operator, after the broker was away."""
        self.now = self.edge.service("operator")
        self.now.watch("#", qos=1)
        self.operators.append(self.now)

    def heard(self):
        return [message for operator in self.operators for message in operator.got()]

    def wait(self, channel, name, article=None):
        """Waits until one message of the channel is the one named (or several are)."""
        def come():
            return [m for m in self.now.got() if self.described.channel_of(m.topic) == channel and name in self.described.named(channel, m.payload)
                    and (article is None or m.topic.endswith("/" + article))]
        try:
            return self.now.wait(come, "%s of %s" % (name, channel))
        except AssertionError:
            self.check()  # it may have come otherwise than described
            raise

    def check(self):
        """Every message received is documented, as it is sent. Returns (channel, message's name) of all."""
        described, seen, qos = self.described, set(), {}
        for _name, operation, channel, _messages in described.operations("send") + described.operations("receive"):
            qos.setdefault(channel, set()).add(operation["bindings"]["mqtt"]["qos"])
        for message in self.heard():
            channel = described.channel_of(message.topic)
            assert channel is not None, "the topic %s is not described" % message.topic
            names = described.named(channel, message.payload)
            assert names, (message, {name: described.complaints(one, message.payload) for name, one in described.messages(channel).items()})
            assert message.qos in qos[channel], message
            seen |= {(channel, name) for name in names}
        return seen


FAST = {"publish_interval_ms": 20, "repeat_ms": 200}
MANY = 1000000
OPEN_HANDED = {"reader_create_burst": MANY, "address_create_burst": MANY, "auto_create_rate": MANY, "reader_burst": MANY, "max_articles": 1000}


def react(edge, watch):
    """Every outcome of a reaction, with what a receipt says."""
    reader = edge.client(username=reader_name())
    topic = "receipts/" + reader.name
    reader.watch(topic)
    article = unique("reference")

    def say(payload, of=article):
        reader.say("reactions/" + of, payload, response_topic=topic, correlation=b"which")

    outcomes = []
    for payload, of, outcome in ((b"like", article, b"counted"), (b'{"reaction":"sad"}', article, b"counted"), (b"none", article, b"retracted"),
                                 (b'{"reaction":"wow","age_ms":600000}', article, b"superseded"), (b"meh", article, b"refused"),
                                 (b"like", "no//article", b"refused")):
        before = len(reader.got(topic))
        say(payload, of)
        reader.wait(lambda: len(reader.got(topic)) > before, "a receipt")
        assert outcome in reader.got(topic)[-1].payload
        outcomes.append(outcome)
    assert reader.got(topic)[-1].correlation == b"which"
    watch.wait("totals", "total", article)
    watch.wait("opsRefusals", "refusals")
    return article


def set_states(edge, watch, article):
    """What an operator writes, and what the feed makes of it."""
    operator = edge.service("operator")
    for payload in (b"closed", b'{"kinds":["like"],"opens_at":"2020-12-01T08:00:00Z","closes_at":"2030-12-01T08:00:00Z","results":"after_close"}'):
        assert operator.say("articles/" + article, payload, retain=True) in OK
    watch.wait("totals", "noTotal", article)
    watch.wait("articles", "storedState", article)
    assert operator.say("articles/" + article, b"", retain=True) in OK
    watch.wait("articles", "noState", article)


def damage(edge, watch, article):
    """A register of an unknown form, which the audit names. The register goes again."""
    shard = article_shard(article, 4)
    number = edge.store.heads()[article][1].number
    key = "tally:{%d}:%d:0" % (shard, number)
    edge.redis.hset(key, b"short", b"x")
    watch.now.wait(lambda: any(b'"registers"' in m.payload for m in watch.now.got("ops/audit")), "a difference")
    edge.redis.hdel(key, b"short")


def lose_collector(edge, watch):
    """Its will, and what the feed says of it."""
    edge.kill("collector")
    watch.wait("opsCollector", "collectorOffline")
    watch.now.wait(lambda: any(b"unhealthy" in m.payload for m in watch.now.got("ops/health")), "bad health")
    edge.start("collector")


def leave_quiet(edge, watch):
    """Articles that one reader made up and everybody left alone for a week. Redis has counts of another system for them."""
    reader = edge.client()
    invented = [unique("invented") for _ in range(25)]
    for article in invented:
        assert reader.say("reactions/" + article, b"like") in OK
    edge.settle()
    edge.stop("feed")
    watch.wait("opsProbe", "noProbe")
    edge.stop("broker")
    age(edge, WEEK_S)
    counts = "article,kind,count\n" + "".join("%s,wow,1\n" % article for article in invented)
    subprocess.run([edge.program("tally"), "import", "--redis-port", str(edge.redis_port), "--file", "-"], input=counts, text=True, env=edge.env,
                   stdout=subprocess.DEVNULL, check=True)
    edge.start("broker")
    watch.again()
    watch.wait("opsQuiet", "quietArticles")
    edge.start("feed", ready=True)
    watch.wait("opsReal", "realArticle")


def check_heard(watch):
    """Every message is one that is described; and every one described was sent."""
    wanted = {(channel, name) for channel, one in watch.described.channels.items() for name in one["messages"]
              if one["x-may-read"] and not one.get("x-reserved")}
    assert wanted == watch.check()


def check_retained(edge, watch):
    """What the broker retains is what the operations say, and nothing else."""
    kept = {channel for _name, operation, channel, _messages in watch.described.operations("send") if operation["bindings"]["mqtt"]["retain"]}
    late = edge.service("operator")
    late.watch("#")
    late.flush()
    assert {watch.described.channel_of(m.topic) for m in late.got() if m.retain} == kept


@pytest.mark.slow
def test_every_message_described_is_sent_and_no_other(make_edge, described_topics):
    edge = make_edge(limits="on", plugin=OPEN_HANDED, feed=dict(FAST, probe_interval_ms=500), collector={"audit_per_minute": 600}).start()
    watch = Watch(described_topics, edge)
    article = react(edge, watch)
    damage(edge, watch, article)
    set_states(edge, watch, article)
    assert edge.service("operator").say("articles/" + unique("kept"), b"open", retain=True) in OK
    lose_collector(edge, watch)
    leave_quiet(edge, watch)
    watch.wait("opsFeed", "feedMark")
    watch.wait("opsProbe", "probe")
    check_heard(watch)
    check_retained(edge, watch)


# --- roles ---

ROLES = {"reader": None, "newsroom": "newsroom", "gateway": "backend", "operator": "operator", "collector": "tally-collector", "feed": "tally-feed"}
WILDCARD = {"reactions": "reactions/#", "totals": "totals/#", "receipts": "receipts/#", "top": "top/#", "articles": "articles/#"}


@pytest.fixture(scope="module")
def staffed(tmp_path_factory):
    """An edge with a service of every role."""
    made = Edge(tmp_path_factory.mktemp("edge"))
    with open(made.path("services"), "a") as services:
        services.write("backend gateway %s\n" % secrets.token_hex(24))
    try:
        yield made.start()
    finally:
        made.close()


def client_of(edge, role):
    return edge.service(ROLES[role]) if ROLES[role] else edge.client(username=reader_name())


@pytest.mark.parametrize("role", sorted(ROLES))
def test_who_may_read_is_as_described(staffed, described_topics, role):
    client = client_of(staffed, role)
    for name, channel in described_topics.channels.items():
        assert set(channel["x-may-read"]) <= set(ROLES) and set(channel["x-may-read-wildcards"]) <= set(ROLES)
        exact = client.watch(described_topics.example_topic(name))[0] < DENIED
        assert exact == (role in channel["x-may-read"]), name
        wild = client.watch(WILDCARD.get(name, "ops/+"))[0] < DENIED
        assert wild == (role in channel["x-may-read-wildcards"]), name
    assert client.watch("receipts/" + client.name)[0] < DENIED


def write_example(topics, role, client, name):
    """Publishes what a role that may write there would, or else any message of the channel. Returns the reason code."""
    messages = topics.messages(name)
    wanted = {"reactions": "reaction" if role == "gateway" else "reactionText", "articles": "storedState" if role == "feed" else "stateWord",
              "totals": "total"}.get(name) or next(iter(messages), None)
    payload = b""
    if wanted:
        examples = messages[wanted]["examples"]
        payload = example_bytes(messages[wanted], next((one for one in examples if "reader" in one["payload"]), examples[0]))
    kept = any(operation["bindings"]["mqtt"]["retain"] for action in ("send", "receive") for _n, operation, channel, _m in topics.operations(action)
               if channel == name)
    return client.say(topics.example_topic(name, article="reacted" if name == "reactions" else "world/migrant-caravan"), payload, retain=kept)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_who_may_write_is_as_described(staffed, described_topics, role):
    client = client_of(staffed, role)
    for name, channel in described_topics.channels.items():
        assert set(channel["x-may-write"]) <= set(ROLES)
        code = write_example(described_topics, role, client, name)
        assert (code in OK) == (role in channel["x-may-write"]), (name, hex(code))


# --- that these tests can fail ---

def test_what_differs_from_the_document_is_noticed(described_http, described_topics):
    good = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    body = b'{"status":"ok","reasons":[]}'
    healthy = described_http.root["paths"]["/healthz"]["get"]["responses"]["200"]
    assert described_http.complaints(healthy, "get", good, body) == []
    for headers, text in ((good[1:], body), (good[:2], body), (good + [("X-New", "1")], body), (good, b'{"status":"ok"}'),
                          (good, b'{"status":"ok","reasons":[],"new":1}'), ([("Content-Type", "text/plain")] + good[1:], body),
                          ([good[0], ("Cache-Control", "public"), good[2]], body)):
        assert described_http.complaints(healthy, "get", headers, text) != [], (headers, text)
    assert described_http.matches("/no-such-path") == [] and described_topics.channel_of("ops/new") is None
    assert described_topics.named("opsHealth", b'{"status":"ok","reasons":[]}') == ["health"]
    for payload in (b'{"status":"ok","reasons":["redis: away"]}', b'{"status":"fine","reasons":[]}', b"ok", b""):
        assert described_topics.named("opsHealth", payload) == []

"""Several edges whose store is a Redis Cluster, or a Redis under Sentinels, on real servers: masters are killed, hang, come back empty or with
a clock that is off, and slots move, all while readers react. Each acknowledged reaction is compared with the registers, the retained totals of
every edge, and HTTP."""

import json
import os
import re
import subprocess
import sys
import threading
import time

import pytest

import redis_server
import spool_bytes
from clients import TIMEOUT_S, Client, reader_name
from cluster import Cluster, Sentinels
from edge import ROOT, busy_code, wait_until
from test_doctor import bad, conf, examine, says

sys.path.append(os.path.join(ROOT, "tests", "faults"))

import judge  # noqa: E402
from audits import Audits, command  # noqa: E402
from crowd import Crowd, Pulse, articles_of, await_shown, judged, react, shown_wrong  # noqa: E402

# Costly, and the simulator runs the same code through the same faults under sanitizers.
pytestmark = pytest.mark.no_sanitizer

SHARDS = 8
PLUGIN = {"shards": SHARDS}
FEED = {"repeat_ms": 200}
PATIENCE = TIMEOUT_S / 30.0


def edges_on(make, servers, n=2, collector=None, plugin=None):
    """This many edges whose store these servers hold, all started."""
    first = make(servers=servers, plugin=dict(PLUGIN, **(plugin or {})), collector=collector, feed=FEED)
    edges = [first] + [make(redis_of=first, plugin=dict(PLUGIN, **(plugin or {})), collector=collector, feed=FEED) for _ in range(n - 1)]
    for edge in edges:
        edge.start(ready=False)
    for edge in edges:
        edge.wait_ready()
    wait_until(lambda: servers.redis.hget("tally:store", "placed") == b"1", "every shard to name the store")
    return edges


def one_more(make, first):
    """An edge beside this one, started."""
    edge = make(redis_of=first, plugin=PLUGIN, feed=FEED)
    edge.start()
    return edge


@pytest.fixture
def make_servers(tmp_path_factory):
    """A function that starts servers of a test's own: Cluster or Sentinels. They end after the edges."""
    made = []

    def make(kind, **more):
        servers = kind(tmp_path_factory.mktemp("servers") / "of", **more)
        made.append(servers)
        servers.start()
        return servers
    yield make
    for servers in made:
        servers.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    servers = Cluster(tmp_path_factory.mktemp("cluster") / "of")
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


@pytest.fixture(scope="module")
def fleet(shared, make_module_edge):
    return edges_on(make_module_edge, shared)


@pytest.fixture
def whole(shared, fleet):
    """(cluster, edges), the cluster whole and the edges well before and after."""
    shared.heal()
    for edge in fleet:
        edge.wait_ready()
    yield shared, fleet
    shared.heal()
    for edge in fleet:
        edge.wait_ready()


def all_articles(each=4):
    return [article for articles in articles_of(SHARDS, each).values() for article in articles]


def settle(edges):
    for edge in edges:
        edge.settle()
        edge.wait_ready()


def check(edges, crowd):
    """Redis, every edge's broker and HTTP agree with the answers that the readers got."""
    settle(edges)
    rows, held = judged(edges[0], crowd.readers)
    acknowledged, lost, invented, _overtaken = (sum(column) for column in zip(*rows.values()))
    assert (lost, invented) == (0, 0), "of %d acknowledged: %d lost, %d invented" % (acknowledged, lost, invented)
    assert acknowledged == crowd.acknowledged() > 0
    edges[0].store.registers()
    assert shown_wrong(edges, held, crowd.articles) == {}
    check_books(edges)


def check_books(edges):
    _of_one, applied, quarantined, lost = judge.books(edges[0])
    assert (applied, quarantined, lost) == (sum(edge.header.admitted() for edge in edges), 0, 0)


def ready(edge):
    """(status, reasons) of /readyz."""
    status, _headers, body = edge.get("/readyz")
    return status, json.loads(body)["reasons"]


def shards_in(text):
    """Those that it names."""
    named = set()
    for numbers in re.findall(r"shards? ([\d, and-]+)", text):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", numbers):
            named |= set(range(int(first), int(last or first) + 1))
    return named


def wait_named(edge, shards):
    last = [None]
    def named():
        last[0] = edge.health()
        return last[0][0] == 503 and shards_in(last[0][1]) == set(shards)
    try:
        wait_until(named, "503 that names the shards %s" % shards)
    except AssertionError as error:
        raise AssertionError("%s; last %r" % (error, last[0]))
    return last[0][1]


def let_fall_behind(cluster, master, shards, records=20):
    """Ends the replication of this master, and waits until its replica is at least this many records behind in one of the shards. Returns the replica."""
    replica = cluster.replica_of(master)
    replica.go_stale(master)
    kept = {shard: replica.applied(shard) for shard in shards}
    wait_until(lambda: all(master.applied(shard) - kept[shard] >= records for shard in shards), "records that the replica does not have")
    return replica


# --- while nothing fails ---

def test_the_doctor_looks_at_every_master(whole, tmp_path):
    cluster, edges = whole
    path = tmp_path / "tally.conf"
    path.write_text(conf(edges[0], common={"redis_url": cluster.url(), "redis_host": None, "redis_port": None}))
    status, findings = examine(edges[0], path)
    assert (status, bad(findings)) == (0, [])
    for master in cluster.masters():
        says(findings, "ok", "redis", "127.0.0.1:%d" % master.port, "cluster state ok")


# --- masters that fail ---

def test_each_master_is_killed(whole):
    cluster, edges = whole
    with Crowd(edges, all_articles()) as crowd:
        for master in cluster.masters():
            crowd.wait_more(50)
            hit = cluster.shards_of(master, SHARDS)
            cluster.fail_over(master)
            print("shards %s shown by all %.2f s after the promotion" % (hit, await_shown(edges, hit, SHARDS)))
            cluster.heal()
        crowd.wait_more(50)
    check(edges, crowd)


def test_a_replica_that_lacks_the_last_seconds_is_promoted(whole):
    """That of the store's own node: what its master acknowledged comes again out of the spools."""
    cluster, edges = whole
    master = cluster.master_of("store")
    hit = cluster.shards_of(master, SHARDS)
    with Crowd(edges, all_articles()) as crowd:
        crowd.wait_more(50)
        replica = let_fall_behind(cluster, master, hit)
        lacks = sum(master.applied(shard) - replica.applied(shard) for shard in hit)
        master.kill()
        cluster.wait_promoted(replica)
        print("%d records went back; shown by all %.2f s after the promotion" % (lacks, await_shown(edges, hit, SHARDS)))
        cluster.heal()
        crowd.wait_more(50)
    assert lacks > 0
    check(edges, crowd)


def test_a_master_hangs(whole):
    """No connection ends, nothing answers. Shards of other masters do not wait for it."""
    cluster, edges = whole
    master = max(cluster.masters(), key=lambda node: len(cluster.shards_of(node, SHARDS)))
    hit = cluster.shards_of(master, SHARDS)
    others = [shard for shard in range(SHARDS) if shard not in hit]
    replica = cluster.replica_of(master)
    with Crowd(edges, all_articles()) as crowd, Pulse(edges, SHARDS) as pulse:
        pulse.wait_more(5, range(SHARDS))
        began = time.monotonic()
        master.hang()
        cluster.wait_promoted(replica)
        pulse.wait_more(3, hit, "by the new master")
        pulse.wait_more(5, others)
        ended = time.monotonic()
        master.go_on()
        crowd.wait_more(50)
        pulse.wait_more(3, range(SHARDS))
    worst = pulse.worst(others, began, ended)
    print("shards not hit: p99 %.3f s, worst %.3f s; before p99 %.3f s, median %.3f s; shards hit: worst %.3f s; stopped for %.2f s"
          % (pulse.share(0.99, others, began, ended), worst, pulse.share(0.99, others, until=began), pulse.median(others, began),
             pulse.worst(hit, began, ended), ended - began))
    assert worst < 2.0 * PATIENCE
    cluster.heal()
    check(edges, crowd)


def test_a_list_does_not_wait_for_a_master_that_hangs(whole):
    """Its articles are "away" before the feed gives up its connection; the others have their totals."""
    cluster, edges = whole
    edge = edges[0]
    articles = {shard: of[0] for shard, of in articles_of(SHARDS, 1, "list").items()}
    for article in articles.values():
        react(edge, article)
    settle(edges)
    master = next(node for node in cluster.masters() if node is not cluster.master_of("store"))
    hit = cluster.shards_of(master, SHARDS)
    before = edge.metrics()["tally_feed_redis_timeouts_total"]
    master.hang()
    try:
        status, _headers, body = edge.get("/totals?articles=" + ",".join(articles.values()))
        after = edge.metrics()["tally_feed_redis_timeouts_total"]
    finally:
        master.go_on()
    said = {one["article"]: one.get("error") for one in json.loads(body)["totals"]}
    assert status == 200 and said == {article: "away" if shard in hit else None for shard, article in articles.items()}
    assert after == before
    cluster.heal()


def test_an_edge_waits_for_the_states_of_a_slow_node(whole):
    """A feed that starts knows nothing of them: an article may be closed there."""
    cluster, edges = whole
    edge = edges[0]
    master = next(node for node in cluster.masters() if node is not cluster.master_of("store"))
    hit = cluster.shards_of(master, SHARDS)
    edge.kill("feed")
    cluster.replica_of(master).kill()
    master.hang()
    try:
        edge.start("feed", ready=False)
        wait_named(edge, hit)
        said = ready(edge)
    finally:
        master.go_on()
    assert said == (503, ["feed: the states of articles are not read yet"])
    wait_until(lambda: ready(edge) == (200, []), "the edge to be ready")
    cluster.heal()


def test_all_nodes_are_down(whole):
    cluster, edges = whole
    with Crowd(edges, all_articles()) as crowd:
        crowd.wait_more(50)
        for node in cluster.nodes:
            node.kill()
        for edge in edges:
            edge.wait_unhealthy("redis")
        crowd.wait_more(100)  # the spools take it
        assert [ready(edge) for edge in edges] == [(200, [])] * len(edges)
        cluster.heal()
        print("shown by all %.2f s after the cluster was whole again" % await_shown(edges, range(SHARDS), SHARDS))
        crowd.wait_more(50)
    check(edges, crowd)


def test_a_master_and_its_replica_are_down(whole):
    """Its shards wait, with their names in /healthz; the others continue, and every edge takes readers."""
    cluster, edges = whole
    master = next(node for node in cluster.masters() if node is not cluster.master_of("store"))
    hit = cluster.shards_of(master, SHARDS)
    others = [shard for shard in range(SHARDS) if shard not in hit]
    with Crowd(edges, all_articles()) as crowd:
        crowd.wait_more(50)
        cluster.replica_of(master).kill()
        master.kill()
        for edge in edges:
            print(wait_named(edge, hit).strip())
        await_shown(edges, others, SHARDS)
        crowd.wait_more(50)
        assert [ready(edge) for edge in edges] == [(200, [])] * len(edges)
        cluster.heal()
        print("shown by all %.2f s after the cluster was whole again" % await_shown(edges, hit, SHARDS))
    check(edges, crowd)


def test_the_stores_own_node_is_down(whole):
    """The shards of other nodes continue with the identity that was accepted before."""
    cluster, edges = whole
    master = cluster.master_of("store")
    hit = cluster.shards_of(master, SHARDS)
    others = [shard for shard in range(SHARDS) if shard not in hit]
    with Crowd(edges, all_articles()) as crowd:
        crowd.wait_more(50)
        cluster.replica_of(master).kill()
        master.kill()
        for edge in edges:
            edge.wait_unhealthy("redis")
        await_shown(edges, others, SHARDS)
        crowd.wait_more(50)
        assert [ready(edge) for edge in edges] == [(200, [])] * len(edges)
        cluster.heal()
        await_shown(edges, hit, SHARDS)
    check(edges, crowd)


# --- what a node may have lost: books and identities, which the simulator goes through under sanitizers; each needs its own servers ---

def test_a_node_comes_back_empty(make_servers, make_edge):
    cluster = make_servers(Cluster)
    edges = edges_on(make_edge, cluster)
    master = next(node for node in cluster.masters() if node is not cluster.master_of("store"))
    hit = cluster.shards_of(master, SHARDS)
    others = [shard for shard in range(SHARDS) if shard not in hit]
    articles = articles_of(SHARDS, 2)
    for shard in range(SHARDS):
        react(edges[0], articles[shard][0])
    settle(edges)
    replica = cluster.replica_of(master)
    for node in (replica, master):
        node.kill()
        node.empty()
    cluster.heal()
    for shard in hit:
        react(edges[1], articles[shard][1])
    for edge in edges:
        reason = edge.wait_unhealthy("--adopt")
        assert shards_in(reason) and shards_in(reason) <= set(hit), reason
    await_shown(edges, others, SHARDS)
    assert [ready(edge) for edge in edges] == [(200, [])] * len(edges)
    assert [key for key in cluster.redis.scan_iter("tally:{*}:*", 1000) if int(key[7:key.index(b"}")]) in hit
            and key.split(b":")[2] in (b"rings", b"heads", b"changed")] == []
    edges[0].restart("collector", ready=False)  # nor does one that has just started
    reason = edges[0].wait_unhealthy("--adopt")
    assert shards_in(reason) and shards_in(reason) <= set(hit), reason
    for edge in edges:
        edge.stop("collector")
        edge["collector"].argv = edge.collector_argv("--adopt")
        edge.start("collector", ready=False)
    settle(edges)
    await_shown(edges, range(SHARDS), SHARDS)
    assert all(edges[0].store.totals()[articles[shard][1]] == {"like": 1} for shard in hit)
    edges[0].store.registers()


def kinds_of(cluster):
    return {name[5:].decode(): int(number) for name, number in cluster.redis.hgetall("tally:store").items() if name.startswith(b"kind:")}


def with_kind(edge, kind):
    """Starts the edge's broker again with a further kind."""
    edge.edit_broker({"kinds": "like,dislike,love,funny,angry,sad,wow," + kind})
    edge.restart("broker", ready=False)


def test_a_new_kind_is_lost_and_another_comes(make_servers, make_edge):
    """One edge's new kind was not replicated; after the failover another edge's new kind must not get its number."""
    cluster = make_servers(Cluster)
    edges = edges_on(make_edge, cluster)
    article = {shard: articles[0] for shard, articles in articles_of(SHARDS, 1).items()}
    settle(edges)
    master = cluster.master_of("store")
    replica = cluster.replica_of(master)
    replica.go_stale(master)
    with_kind(edges[0], "meh")
    for one in article.values():
        react(edges[0], one, "meh")
    wait_until(lambda: master.redis.hget("tally:store", "kind:meh"), "the kind to be given a number")
    master.kill()
    cluster.wait_promoted(replica)
    assert not replica.redis.hget("tally:store", "kind:meh"), "the replica was not stale: this shows nothing"
    with_kind(edges[1], "bah")
    for one in article.values():
        react(edges[1], one, "bah")
    cluster.heal()
    settle(edges)
    numbers = kinds_of(cluster)
    assert len(set(numbers.values())) == len(numbers) == 9, numbers
    truth = {one: {"meh": 1, "bah": 1} for one in article.values()}
    assert judge.truth_of(judge.held(edges[0])) == truth
    for edge in edges:
        assert judge.wait_shown(judge.retained(edge, truth), truth) == {}
        assert judge.wait_shown(lambda edge=edge: edge.totals_over_http(truth), truth) == {}


def test_the_new_masters_clock_is_behind(make_servers, make_edge):
    """Reactions applied again there get versions below those that were shown; totals must still be updated."""
    cluster = make_servers(Cluster, skew_ms={4: -8000})
    edges = edges_on(make_edge, cluster)
    master, replica = cluster.nodes[1], cluster.nodes[4]
    hit = cluster.shards_of(master, SHARDS)
    assert cluster.replica_of(master) is replica and hit and cluster.master_of("store") is not master
    found = articles_of(SHARDS, 10)
    articles = [article for shard in hit for article in found[shard]][:20]
    first, second = [edges[0].client(username=reader_name()) for _ in range(2)]
    seen = [judge.retained(edge, articles) for edge in edges]
    for article in articles:
        assert first.say("reactions/" + article, "like") < 0x80
    assert not any(judge.wait_shown(one, {article: {"like": 1} for article in articles}) for one in seen)
    wait_until(lambda: sum(replica.applied(shard) for shard in hit) == sum(master.applied(shard) for shard in hit), "the replica to have it")
    replica.go_stale(master)
    for article in articles:
        assert second.say("reactions/" + article, "like") < 0x80
    truth = {article: {"like": 2} for article in articles}
    assert not any(judge.wait_shown(one, truth) for one in seen)
    master.kill()
    cluster.wait_promoted(replica)
    for edge in edges:
        edge.wait_unhealthy("clock")
        edge.settle()
    third = edges[1].client(username=reader_name())
    codes = {third.say("reactions/" + article, "like") for article in articles}
    assert all(code < 0x80 for code in codes), codes
    truth = {article: {"like": 3} for article in articles}
    stale = [judge.wait_shown(one, truth) for one in seen]
    assert stale == [{}, {}], "%s of %d articles stale" % ([len(one) for one in stale], len(articles))


def test_more_waits_for_the_replica_than_the_ring_holds(make_servers, make_edge):
    """With durability = replicas a record leaves its ring once a replica has it: the edge is busy rather than that anything is lost."""
    cluster = make_servers(Cluster)
    edge, = edges_on(make_edge, cluster, 1, collector={"durability": "replicas"})
    master = next(node for node in cluster.masters() if node is not cluster.master_of("store"))
    shard = cluster.shards_of(master, SHARDS)[0]
    article = articles_of(SHARDS, 1)[shard][0]
    replica = cluster.replica_of(master)
    react(edge, article)
    edge.settle()
    wait_until(lambda: replica.applied(shard) == master.applied(shard) == 1, "the replica to have it")
    replica.go_stale(master)
    admitted = until_busy(edge, article, spool_bytes.Ring(spool_bytes.rings(edge.spool)[shard]).capacity() // 32)
    assert edge.header.admitted() == 1 + admitted
    wait_until(lambda: master.applied(shard) == 1 + admitted, "the master to have all of it")
    assert replica.applied(shard) == 1
    master.kill()
    cluster.wait_promoted(replica)
    cluster.heal()
    edge.settle()
    edge.wait_ready()
    assert replica.applied(shard) == 1 + admitted
    check_books([edge])
    assert edge.store.totals()[article] == {"like": 2}
    last = edge.client(username=reader_name())
    wait_until(lambda: last.say("reactions/" + article, "like") < 0x80, "the ring to have room, once the new replica has what it held")
    wait_until(lambda: edge.totals_over_http([article]) == {article: {"like": 3}}, "the last reaction to be shown")


def until_busy(edge, article, at_most):
    """One reader reacts until the ring has no room. Returns how many reactions were admitted. Each asks for a receipt, which makes records large."""
    client = Client(edge.mqtt_port, username=reader_name()).open()
    asked = dict(response_topic="receipts/" + client.name, correlation=b"c" * 64)
    admitted, window = 0, []
    try:
        while admitted < at_most:
            if len(window) < 16:
                window.append(client.send("reactions/" + article, b"like", **asked))
                continue
            code = client.ack(window.pop(0))
            if code == busy_code():
                return admitted + sum(client.ack(mid) < 0x80 for mid in window)
            assert code < 0x80, code
            admitted += 1
        raise AssertionError("never busy: %d reactions were admitted, more than the ring holds" % admitted)
    finally:
        client.close()


# --- slots that move ---

@pytest.mark.parametrize("way", ["move_slot", "move_slot_whole"])
def test_slots_move_back_and_forth(whole, way):
    cluster, edges = whole
    if way == "move_slot_whole" and not cluster.moves_slots_whole():
        pytest.skip("%s has no CLUSTER MIGRATESLOTS" % redis_server.engine_text())
    move = {"move_slot": lambda slot, to: cluster.move_slot(slot, to, 4, lambda: crowd.wait_more(2)), "move_slot_whole": cluster.move_slot_whole}[way]
    moving = [shard for shard in range(SHARDS) if cluster.master_of(shard) is not cluster.master_of("store")][:2]
    homes = {shard: cluster.master_of(shard) for shard in moving}
    away = cluster.master_of("store")
    with Crowd(edges, all_articles()) as crowd, Audits(edges) as audits:
        crowd.wait_more(100)
        for shard in moving:
            move(cluster.slot_of(shard), away)
            print("shard %d moved; shown %.2f s later" % (shard, await_shown(edges, [shard], SHARDS)))
        audits.wait_more(2)
        for shard in moving:
            move(cluster.slot_of(shard), homes[shard])
            await_shown(edges, [shard], SHARDS)
        crowd.wait_more(50)
        audits.wait_more(2)
    assert audits.failed() == []
    check(edges, crowd)


def test_an_audit_waits_for_a_slot_that_moves_slowly(whole):
    """Its keys may be many: for 6 s they are on both nodes."""
    cluster, edges = whole
    articles = articles_of(SHARDS, 2, "slowly")
    shard = next(shard for shard in range(SHARDS) if cluster.master_of(shard) is not cluster.master_of("store"))
    for article in articles[shard]:
        react(edges[0], article)
    settle(edges)
    slot, home, away = cluster.slot_of(shard), cluster.master_of(shard), cluster.master_of("store")
    halfway, go_on = threading.Event(), threading.Event()

    def meanwhile():
        halfway.set()
        assert go_on.wait(TIMEOUT_S)
    moving = threading.Thread(target=cluster.move_slot, args=(slot, away, 1, meanwhile), daemon=True)
    timer = threading.Timer(6.0, go_on.set)
    moving.start()
    try:
        assert halfway.wait(TIMEOUT_S)
        timer.start()
        said = command(edges[1], "audit")
        assert go_on.is_set() and said[0] == 0, said
    finally:
        go_on.set()
        moving.join(TIMEOUT_S)
    cluster.move_slot(slot, home)


def test_commands_during_a_failover(whole):
    """Each does its work or says that it could not, and can be given again."""
    cluster, edges = whole
    articles = articles_of(SHARDS, 2, "commands")
    for shard in range(SHARDS):
        for article in articles[shard]:
            react(edges[0], article)
    settle(edges)
    counts = "article,kind,count\n" + "".join("%s,wow,5\n" % articles[shard][0] for shard in range(SHARDS))
    one_of_each = {cluster.master_of(shard): shard for shard in range(SHARDS)}.values()
    commands = [("audit",), ("export",), ("top",), ("import", "--file=-", "--replace")] + [("reset", articles[shard][1]) for shard in one_of_each]
    given = {"import": counts}
    done, ending = [], threading.Event()

    def again_and_again():
        while not ending.is_set():
            for words in commands:
                done.append((words, command(edges[1], *words, given=given.get(words[0]))))
    thread = threading.Thread(target=again_and_again, daemon=True)
    thread.start()
    try:
        wait_until(lambda: len(done) >= len(commands), "each of the commands")
        master = max(cluster.masters(), key=lambda node: len(cluster.shards_of(node, SHARDS)))
        cluster.fail_over(master)
        after = len(done)
        wait_until(lambda: len(done) >= after + 2 * len(commands), "each of the commands")
    finally:
        ending.set()
        thread.join()
    assert [one for one in done if one[1][0] not in (0, 2)] == []
    print("%d commands, %d of them said 2" % (len(done), sum(one[1][0] == 2 for one in done)))
    cluster.heal()
    settle(edges)
    for words in commands:
        status, said = command(edges[1], *words, given=given.get(words[0]))
        assert status == 0, (words, said)
    truth = {articles[shard][0]: {"like": 1, "wow": 5} for shard in range(SHARDS)}
    for edge in edges:
        assert judge.wait_shown(judge.retained(edge, truth), truth) == {}
        status, said = command(edge, "audit")
        assert status == 0, said
    edges[0].store.registers()


def test_an_edge_is_forgotten_during_a_failover(whole, make_edge):
    """Its rings are on every node. What the failed master took may be gone with it: the command is given until it is done."""
    cluster, edges = whole
    gone = one_more(make_edge, edges[0])
    articles = articles_of(SHARDS, 1, "forgotten")
    for shard in range(SHARDS):
        react(gone, articles[shard][0])
    settle(edges + [gone])
    gone.kill("broker", "collector", "feed")
    name = "%016x" % gone.header.edge_id()
    cluster.redis.hset("tally:store", "seen:" + name, cluster.master_of("store").redis.time()[0] - 91)
    said, ending = [], threading.Event()

    def again_and_again():
        while not ending.is_set():
            said.append(command(edges[1], "forget", "--edge=" + name, "--quiet-s=1"))
    thread = threading.Thread(target=again_and_again, daemon=True)
    thread.start()
    try:
        cluster.fail_over(cluster.master_of("store"))
        wait_until(lambda: said and said[-1][0] == 0, "the command to be done")
    finally:
        ending.set()
        thread.join()
    cluster.heal()
    settle(edges)
    assert command(edges[1], "forget", "--edge=" + name, "--quiet-s=1")[0] == 0, said
    assert gone.header.edge_id() not in [position[4] for position in edges[0].store.rings().values()]
    check_books(edges + [gone])


# --- Sentinel ---

def test_sentinels_promote_another_master(make_servers, make_edge):
    """kill -9, and then by an operator's word: the old master stays up, at first as a master that nobody should write to, then READONLY."""
    servers = make_servers(Sentinels)
    edges = edges_on(make_edge, servers)
    with Crowd(edges, all_articles()) as crowd:
        crowd.wait_more(50)
        old = servers.master()
        old.kill()
        servers.wait_other(old)
        print("killed: shown by all %.2f s after the switch" % await_shown(edges, range(SHARDS), SHARDS))
        servers.heal()
        crowd.wait_more(50)
        old = servers.master()
        servers.fail_over()
        print("SENTINEL FAILOVER: shown by all %.2f s after the switch" % await_shown(edges, range(SHARDS), SHARDS))
        wait_until(lambda: not old.is_master(), "the old master to be demoted")
        servers.heal()
        crowd.wait_more(50)
    check(edges, crowd)

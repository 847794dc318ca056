"""`tally doctor`: one deployment, broken in each way that it looks for."""

import json
import os
import re
import shutil
import subprocess

import pytest

from edge import TIMEOUT_S, broker_version, free_ports, release_ports
from test_redis_link import certificates  # noqa: F401

EDGE = {}


def conf(edge, **changes):
    """The text of a tally.conf for the edge. `changes`: section → {option: value}; None takes the option out."""
    sections = {
        "common": {"spool": edge.spool, "services_file": edge.path("services"), "key_file": edge.path("reader.key"), "mqtt_port": edge.mqtt_port,
                   "http_port": edge.http_port, "websocket_port": edge.ws_port, "redis_host": "127.0.0.1", "redis_port": edge.redis_port},
        "mosquitto": {},
        "broker": {"shards": edge.plugin_options["shards"], "ring_bytes": edge.plugin_options["ring_bytes"]},
        "collector": {},
        "feed": {},
    }
    for section, options in changes.items():
        sections[section].update(options)
    return "".join("[%s]\n%s" % (section, "".join("%s = %s\n" % item for item in options.items() if item[1] is not None))
                   for section, options in sections.items())


def examine(edge, path, *more):
    """(exit status, [(sign, what, text)])."""
    argv = [edge.program("tally"), "doctor", "--config", str(path), *more]
    done = subprocess.run(argv, env=edge.leaks_env | {"TALLY_" + name: "" for name in ("MQTT_PORT", "HTTP_PORT", "REDIS_PORT", "REDIS_HOST")},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
    assert done.stderr == ""
    for secret in secrets_of(edge):
        assert secret not in done.stdout
    if "--json" in more:
        return done.returncode, json.loads(done.stdout)
    return done.returncode, [(line[:5].strip(), line[6:16].strip(), line[17:]) for line in done.stdout.splitlines()]


def secrets_of(edge):
    with open(edge.path("reader.key")) as key:
        yield key.read().strip()
    for name in ("operator", "tally-feed", "tally-collector"):
        yield edge.secret(name)


@pytest.fixture
def doctor(edge, tmp_path):
    """Runs it on a tally.conf with these changes."""
    def run(*more, **changes):
        path = tmp_path / "tally.conf"
        path.write_text(conf(edge, **changes))
        return examine(edge, path, *more)
    return run


def bad(findings):
    return [finding for finding in findings if finding[0] != "ok"]


def says(findings, sign, what, *words):
    """Whether one finding has all of it."""
    assert any(finding[:2] == (sign, what) and all(word in finding[2] for word in words) for finding in findings), (words, findings)


def test_a_deployment_that_ails_from_nothing(doctor):
    status, findings = doctor()
    assert bad(findings) == []
    assert status == 0


def test_json_says_the_same(doctor):
    _status, findings = doctor(broker={"shard": 4})
    status, said = doctor("--json", broker={"shard": 4})
    assert status == 1
    assert [(f["sign"], f["what"]) for f in said["findings"]] == [finding[:2] for finding in findings]
    assert said["fail"] == sum(finding[0] == "FAIL" for finding in findings) > 0
    assert said["ok"] == sum(finding[0] == "ok" for finding in findings)


def test_mistakes_in_the_file_name_their_lines(doctor):
    status, findings = doctor(broker={"shard": 4}, collector={"in_flight": 99}, feed={"http_rates": 1}, mosquitto={"mqtt_prot": 1})
    assert status == 1
    for word in ("unknown option shard", "option in_flight: 99 is not 1 to 16", "unknown option http_rates", "unknown option mqtt_prot"):
        says(findings, "FAIL", "file", "tally.conf:", word)


def test_a_file_that_is_not_there(edge, tmp_path):
    status, findings = examine(edge, tmp_path / "absent.conf")
    assert (status, len(findings)) == (2, 1)
    says(findings, "warn", "file", "could not look", "No such file")


def test_programs_that_disagree(doctor):
    status, findings = doctor(feed={"topic_prefix": "news/"})
    assert status == 1
    says(findings, "FAIL", "file", "topic_prefix", 'news/')


@pytest.mark.parametrize("mode, name, option", [(0o644, "services", "services_file"), (0o604, "reader.key", "key_file")])
def test_a_secret_that_others_may_read(doctor, edge, tmp_path, mode, name, option):
    copy = tmp_path / name
    shutil.copy(edge.path(name), copy)
    copy.chmod(mode)
    status, findings = doctor(common={option: copy})
    assert status == 1
    says(findings, "FAIL", "secrets", option, str(copy), "0600 or 0640")


def test_a_services_file_without_the_feed(doctor, edge, tmp_path):
    services = tmp_path / "services"
    with open(edge.path("services")) as whole:
        services.write_text("".join(line for line in whole if not line.startswith("tally-feed")))
    services.chmod(0o600)
    status, findings = doctor(common={"services_file": services})
    assert status == 1
    says(findings, "FAIL", "secrets", "no user tally-feed", "tally-feed feed")


def test_a_spool_that_others_may_enter(doctor, tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    spool.chmod(0o755)
    status, findings = doctor(common={"spool": spool})
    assert status == 1
    says(findings, "FAIL", "spool", "0755", "chmod o=")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give files to another user")
def test_a_spool_with_a_file_out_of_its_owners_reach(doctor, tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    os.chown(spool, 12345, 23456)
    spool.chmod(0o2770)
    ring = spool / "0.ring"
    ring.touch()
    os.chown(ring, 34567, 23456)
    ring.chmod(0o600)
    status, findings = doctor(common={"spool": spool})
    assert status == 1
    says(findings, "FAIL", "spool", "0.ring", "0600 keeps out uid 12345", "chmod 0660")
    says(findings, "warn", "secrets", "services_file", "may keep out uid 12345")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give files to other users")
def test_owners_and_modes_as_the_packages_make_them(doctor, edge, tmp_path):
    """The collector's user owns the spool, the broker's its files, root the secrets; the group is the spool's."""
    spool = tmp_path / "spool"
    shutil.copytree(edge.spool, spool, ignore=shutil.ignore_patterns("wake"))
    for path in spool.iterdir():
        os.chown(path, 34567, 23456)
        path.chmod(0o660)
    os.chown(spool, 12345, 23456)
    spool.chmod(0o2770)
    for name in ("services", "reader.key"):
        shutil.copy(edge.path(name), tmp_path / name)
        os.chown(tmp_path / name, 0, 23456)
        (tmp_path / name).chmod(0o640)
    _status, findings = doctor(common={"spool": spool, "services_file": tmp_path / "services", "key_file": tmp_path / "reader.key"})
    assert [finding for finding in bad(findings) if finding[1] in ("spool", "secrets")] == []
    says(findings, "ok", "spool", "2770")


# --- ports, broker, daemons ---

@pytest.mark.parametrize("section, option, what, unit", [("common", "mqtt_port", "MQTT", "mosquitto"), ("common", "websocket_port", "WebSocket", "mosquitto"),
                                                         ("feed", "http_port", "HTTP", "tally-feed")])
def test_a_port_that_nobody_listens_on(doctor, section, option, what, unit):
    ports = free_ports(1)
    try:
        status, findings = doctor(**{section: {option: ports[0]}})
    finally:
        release_ports(ports)
    assert status == 1
    says(findings, "FAIL", "ports", what, "127.0.0.1 port %d" % ports[0], "Connection refused", unit)


def test_a_broker_that_does_not_know_the_operators_secret(doctor, edge, tmp_path):
    services = tmp_path / "services"
    with open(edge.path("services")) as whole:
        services.write_text(whole.read().replace(edge.secret("operator"), "not-the-secret-of-the-operator"))
    services.chmod(0o600)
    status, findings = doctor(common={"services_file": services})
    assert status == 1
    says(findings, "FAIL", "broker", "Not authorized")


def test_without_an_operator_the_broker_stays_unseen(doctor, edge, tmp_path):
    services = tmp_path / "services"
    with open(edge.path("services")) as whole:
        services.write_text("".join(line for line in whole if not line.startswith("operator")))
    services.chmod(0o600)
    status, findings = doctor(common={"services_file": services})
    assert status == 2
    says(findings, "warn", "broker", "could not look", "no operator")
    assert [finding for finding in findings if finding[0] == "FAIL"] == []


def test_the_versions_of_all(doctor):
    _status, findings = doctor()
    says(findings, "ok", "broker", "$SYS/broker/version", "%d.%d.%d" % broker_version())
    says(findings, "ok", "versions", "collector")
    says(findings, "ok", "versions", "feed")


def test_a_broker_without_the_plugin_at_this_prefix(doctor):
    status, findings = doctor(common={"topic_prefix": "news/"})
    assert status == 1
    says(findings, "FAIL", "plugin", "news/ops/refusals", "without the plugin")


def test_a_spool_that_no_broker_has(doctor, edge, tmp_path):
    spool = tmp_path / "spool"
    shutil.copytree(edge.spool, spool, ignore=shutil.ignore_patterns("wake"))
    spool.chmod(0o700)
    status, findings = doctor(common={"spool": spool})
    assert status == 1
    says(findings, "FAIL", "plugin", "no broker has", str(spool))


def test_a_collector_that_is_away(doctor, edge):
    edge["collector"].stop()
    try:
        edge.wait_unhealthy("collector")
        status, findings = doctor()
    finally:
        edge["collector"].start()
        edge.wait_ready()
    assert status == 1
    says(findings, "FAIL", "collector", "away")
    says(findings, "FAIL", "feed", "/healthz: collector")


# --- Redis ---

def test_what_redis_is(doctor):
    _status, findings = doctor()
    for words in (["appendfsync everysec"], ["memory:", "MiB used"], ["clock:", "at most 2000"], ["durability:", "AOF on, noeviction"],
                  ["identity:"], ["reader key:", "fingerprint"], ["shards:"], ["kinds:"]):
        says(findings, "ok", "redis", *words)
    assert any(finding[1] == "redis" and re.search(r"(Redis|Valkey) \d+\.\d+\.\d+", finding[2]) for finding in findings)


def test_no_redis_there(doctor):
    ports = free_ports(1)
    try:
        status, findings = doctor(common={"redis_port": ports[0]})
    finally:
        release_ports(ports)
    assert status == 1
    says(findings, "FAIL", "redis", "Connection refused")


def test_a_redis_without_this_store(doctor):
    status, findings = doctor(common={"redis_prefix": "other:"})
    assert status == 1
    says(findings, "FAIL", "redis", "no store")


@pytest.mark.parametrize("name, value, sign, words", [
    ("appendfsync", "no", "FAIL", ["appendfsync no", "everysec"]),
    ("maxmemory-policy", "allkeys-lru", "FAIL", ["durability", "evicts"]),
    ("maxmemory", "4gb", "ok", ["of 4096 MiB, maxmemory"]),
])
def test_redis_set_in_another_way(doctor, edge, name, value, sign, words):
    was = edge.redis.config_get(name)[name]
    edge.redis.config_set(name, value)
    try:
        _status, findings = doctor()
    finally:
        edge.redis.config_set(name, was)
        edge.wait_ready()
    says(findings, sign, "redis", *words)


@pytest.mark.parametrize("section, options, words", [
    ("broker", {"shards": 8}, ["shards", "this edge has 8, the store has 4"]),
    ("broker", {"kinds": "like,meh"}, ["kinds", "this edge has like,meh, the store has like,dislike"]),
])
def test_options_that_the_store_does_not_have(doctor, section, options, words):
    status, findings = doctor(**{section: options})
    assert status == 1
    says(findings, "FAIL", "redis", *words)


def test_another_reader_key(doctor, tmp_path):
    key = tmp_path / "reader.key"
    key.write_text("00" * 16 + "\n")
    key.chmod(0o600)
    status, findings = doctor(common={"key_file": key})
    assert status == 1
    says(findings, "FAIL", "redis", "reader key", "copy reader.key")


def test_a_user_of_redis_who_may_not_see_its_settings(doctor, edge, tmp_path):
    password = tmp_path / "password"
    password.write_text("one-for-the-doctor\n")
    password.chmod(0o600)
    edge.redis.execute_command("ACL", "SETUSER", "doctor", "reset", "on", ">one-for-the-doctor", "~*", "&*", "+@all", "-config")
    changes = {"redis_url": "redis://doctor@127.0.0.1:%d" % edge.redis_port, "redis_host": None, "redis_port": None, "redis_password_file": password}
    try:
        status, findings = doctor(common=changes)
        password.write_text("another\n")
        wrong, refused = doctor(common=changes)
    finally:
        edge.redis.execute_command("ACL", "DELUSER", "doctor")
    assert (status, bad(findings)) == (0, [])
    says(findings, "ok", "redis", "appendfsync", "may not see it")
    assert wrong == 1
    says(refused, "FAIL", "redis", "WRONGPASS")
    assert "another" not in str(refused)


# --- TLS, what readers reach, the disk ---

def _listener(folder, *lines):
    folder.mkdir()
    (folder / "tls.conf").write_text("listener 8443\nprotocol websockets\n" + "".join(line + "\n" for line in lines))
    return folder


def test_tls_of_mosquittos_listeners(doctor, certificates, tmp_path):  # noqa: F811
    def pair(name, key):
        return "certfile %s/%s.pem" % (certificates, name), "keyfile %s/%s.key" % (certificates, key)
    _status, findings = doctor(mosquitto={"include_dir": _listener(tmp_path / "good", *pair("good", "good"))})
    says(findings, "warn", "tls", "tls.conf: listener 1: ", "good.pem: expires in ")
    says(findings, "ok", "tls", "good.key", "the certificate's key")
    status, findings = doctor(mosquitto={"include_dir": _listener(tmp_path / "expired", *pair("expired", "expired"))})
    assert status == 1
    says(findings, "FAIL", "tls", "expired.pem: expired")
    status, findings = doctor(mosquitto={"include_dir": _listener(tmp_path / "other", *pair("good", "client"))})
    assert status == 1
    says(findings, "FAIL", "tls", "client.key: it is not the key of the certificate")
    status, findings = doctor(mosquitto={"include_dir": _listener(tmp_path / "half", pair("good", "good")[0])})
    assert status == 1
    says(findings, "FAIL", "tls", "it has a certfile and no keyfile")


def test_tls_files_for_redis(doctor, certificates):  # noqa: F811
    ports = free_ports(1)
    try:
        status, findings = doctor(common={
            "redis_host": None, "redis_port": None, "redis_url": "rediss://127.0.0.1:%d" % ports[0], "redis_ca_file": certificates + "/absent.pem",
            "redis_cert_file": certificates + "/client.pem", "redis_key_file": certificates + "/good.key"})
    finally:
        release_ports(ports)
    assert status == 1
    says(findings, "FAIL", "tls", "redis_ca_file", "No such file")
    says(findings, "FAIL", "tls", "redis_key_file", "good.key: it is not the key of the certificate")


def test_what_is_open_when_readers_come(doctor):
    status, findings = doctor(broker={"allow_wildcards": "on"}, feed={"websocket_url": "ws://tally.example.org/mqtt"})
    assert status == 0
    says(findings, "warn", "reach", "ws://tally.example.org/mqtt", "wss")
    says(findings, "warn", "reach", "allow_wildcards is on")
    says(findings, "warn", "reach", "trusted_proxies")
    status, findings = doctor(feed={"websocket_url": "wss://tally.example.org:99999"})
    assert status == 1
    says(findings, "FAIL", "reach", "websocket_url", "1 to 65535")


def test_a_disk_without_room_for_the_rings(doctor, tmp_path):
    wanted = 64 << 30
    if shutil.disk_usage(tmp_path).free > wanted:
        pytest.skip("the disk has room for 64 rings of 1 GiB")
    spool = tmp_path / "spool"
    spool.mkdir(0o700)
    status, findings = doctor(common={"spool": spool}, broker={"shards": 64, "ring_bytes": 1 << 30})
    assert status == 1
    says(findings, "FAIL", "disk", "64 rings of 1024 MiB", "lower ring_bytes")

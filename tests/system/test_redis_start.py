"""script/redis-start, and the fault that it repairs: an append-only file that ends within a transaction or a command."""

import glob
import os
import random
import re
import shutil
import signal
import subprocess

import pytest

from clients import TIMEOUT_S
from edge import ROOT, wait_until
from test_audit import consistent, react
from test_operate import tally

pytestmark = pytest.mark.no_sanitizer  # what it tests is a script

SCRIPT = os.path.join(ROOT, "script", "redis-start")


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


MULTI, EXEC = command(b"MULTI"), command(b"EXEC")
SELECT = command(b"SELECT", b"0")
BINARY = b"\0\r\n\xff*1\r"
BATCH = MULTI + command(b"HSET", b"tally:{0}:1:0", b"\0" * 8, BINARY) + command(b"HSET", b"tally:{0}:heads", b"world/a", b"x" * 29) + EXEC
LAST = MULTI + command(b"HSET", b"tally:{0}:1:0", BINARY, b"1234567") + command(b"HDEL", b"heads", b"$6") + EXEC
SINGLE = command(b"HSET", b"tally:{0}:meta", b"pause", BINARY)
ZERO_AT_ITS_END = MULTI + command(b"HSET", b"tally:{0}:rings", b"ring", b"\x01" * 7 + b"\0") + EXEC


class Folder:
    """Redis's folder with a configuration."""

    def __init__(self, directory, *lines):
        self.directory = str(directory)
        self.redis = os.path.join(self.directory, "redis")
        self.conf = os.path.join(self.directory, "redis.conf")
        os.mkdir(self.redis)
        with open(self.conf, "w") as conf:
            conf.write('# dir /elsewhere\ndir "%s"\nappendonly yes\nsave ""\naof-load-truncated no\n' % self.redis + "".join(line + "\n" for line in lines))

    def write(self, *contents, folder="appendonlydir", name="appendonly.aof"):
        """The files behind a base, as Redis 7 names them. Returns their paths."""
        above = os.path.join(self.redis, folder)
        os.makedirs(above, exist_ok=True)
        names = ["%s.%d.incr.aof" % (name, i + 1) for i in range(len(contents))]
        with open(os.path.join(above, name + ".manifest"), "w") as manifest:
            manifest.write("file %s.1.base.aof seq 1 type b\nfile %s.0.incr.aof seq 9 type h\n" % (name, name))
            manifest.write("".join("file %s seq %d type i\n" % (one, i + 1) for i, one in enumerate(names[:-1])))
            manifest.write("file %s seq %d type i startoffset 0 endoffset 5\n" % (names[-1], len(names)))  # as Redis 8 does
        for one, content in zip([name + ".1.base.aof"] + names, (SELECT + BATCH,) + contents):
            with open(os.path.join(above, one), "wb") as f:
                f.write(content)
        return [os.path.join(above, one) for one in names]

    def check(self, status, **env):
        """What --check said."""
        done = subprocess.run([SCRIPT, "--check", self.conf], env=dict(os.environ, **env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S)
        assert done.returncode == status, (done.returncode, done.stdout)
        return done.stdout

    def cuts(self, path, content, left):
        with open(path, "wb") as f:
            f.write(content)
        said = self.check(0)
        assert read(path) == left, (content, said)
        fields = 'file="%s" bytes="%d" now_bytes="%d" cut_bytes="%d"' % (path, len(content), len(left), len(content) - len(left))
        assert said.count("\n") == 1 and "level=warning program=redis-start" in said and fields in said, said

    def refuses(self, path, content, *words, **env):
        with open(path, "wb") as f:
            f.write(content)
        said = self.check(1, **env)
        assert read(path) == content, said
        assert said.count("\n") == 1 and "level=error program=redis-start" in said and "nothing was changed" in said and path in said, said
        assert all(word in said for word in words), said


def read(path):
    with open(path, "rb") as f:
        return f.read()


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


# --- the check ---

def test_where_there_is_nothing_yet_it_says_nothing(folder):
    assert folder.check(0) == ""
    os.mkdir(os.path.join(folder.redis, "appendonlydir"))
    assert folder.check(0) == ""
    folder.write(b"")
    assert folder.check(0) == ""


def test_what_ends_as_it_should_is_left_alone(folder):
    (path,) = folder.write(b"")
    for content in (SELECT + BATCH, SELECT + BATCH + SINGLE, SELECT, SELECT + BATCH + b"#TS:1795510800\r\n"):
        with open(path, "wb") as f:
            f.write(content)
        assert folder.check(0) == "" and read(path) == content


@pytest.mark.parametrize("last", [LAST, SINGLE], ids=["transaction", "command"])
def test_wherever_its_end_is_torn_it_is_cut_where_the_last_one_begins(folder, last):
    (path,) = folder.write(b"")
    whole = SELECT + SINGLE + BATCH
    for size in random.Random(2).sample(range(1, len(last)), 12):
        folder.cuts(path, whole + last[:size], whole)
    folder.cuts(path, last[:-1], b"")


def test_a_zero_before_an_end_that_lacks_a_byte_does_not_make_it_whole(folder):
    """As the last byte of every 256th edge's id is, which is the last thing in each batch."""
    (path,) = folder.write(b"")
    folder.cuts(path, SELECT + ZERO_AT_ITS_END[:-1], SELECT)


def test_a_byte_that_is_changed_never_costs_more_than_the_last_transaction(folder):
    """The file is refused or, where the byte leaves a command of the same form, cut where it is torn."""
    (path,) = folder.write(b"")
    rng, outcomes = random.Random(3), {"whole": 0, "cut": 0, "refused": 0}
    before = SELECT + SINGLE + BATCH + SINGLE
    content = before + LAST[:-20]
    for at in rng.sample(range(len(before)), 20):
        changed = bytearray(content)
        changed[at] = rng.choice(b"*$0129\r\nx") if rng.random() < 0.7 else changed[at] ^ 1 << rng.randrange(8)
        with open(path, "wb") as f:
            f.write(changed)
        done = subprocess.run([SCRIPT, "--check", folder.conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT_S)
        left = read(path)
        assert left in (bytes(changed), bytes(changed[:len(before)])), at
        outcomes["cut" if len(left) < len(changed) else "refused" if done.returncode else "whole"] += 1
    assert outcomes["cut"] > 0 and outcomes["refused"] > 0 and outcomes["whole"] == 0, outcomes


@pytest.mark.parametrize("content, word", [
    (SELECT + MULTI + SINGLE + SELECT + LAST[:-1], "Unexpected MULTI"),
    (SELECT + BATCH.replace(b"$13", b"$99999") + SINGLE, "Expected to read"),
    (SELECT + SINGLE.replace(b"$4", b"$99999") + SINGLE, "Expected to read"),
    (SELECT + BATCH + SINGLE + bytes(100), "format error"),
    (SELECT + BATCH + LAST[:60] + bytes(100), "Expected"),
    (SELECT + b"rubbish" + BATCH + SINGLE, "format error"),
], ids=["left-beginning", "length-in-a-transaction", "length-in-a-command", "zeroes", "zeroes-in-a-transaction", "rubbish"])
def test_what_is_damaged_before_its_end_is_refused(folder, content, word):
    (path,) = folder.write(b"")
    folder.refuses(path, content, word)


def test_what_cannot_be_read_to_its_end_is_refused(folder, tmp_path):
    """A disk that fails in the middle of a file: redis-check-aof takes that for the end, and nobody knows what follows."""
    (path,) = folder.write(b"")
    failing = tmp_path / "bin"
    failing.mkdir()
    (failing / "tail").write_text("#!/bin/bash\nPATH=${PATH#*:}\n[[ $2 != +* ]] || { tail \"$@\" | head -c 20; exit 1; }\nexec tail \"$@\"\n")
    (failing / "tail").chmod(0o755)
    content = SELECT + SINGLE.replace(b"$4", b"$99999") + SINGLE
    folder.refuses(path, content, "Expected to read", PATH="%s:%s" % (failing, os.environ["PATH"]))


def test_the_last_file_that_holds_anything_is_looked_at(folder):
    first, second, third = folder.write(SELECT + LAST[:50], SELECT + LAST[:-3], b"")
    folder.cuts(second, SELECT + LAST[:-3], SELECT)
    assert read(first) == SELECT + LAST[:50]  # Redis refuses that


def test_a_manifest_that_it_cannot_follow_is_refused(folder):
    (path,) = folder.write(SELECT + LAST[:-1])
    for line in ('file "%s" seq 1 type i\n' % os.path.basename(path), "file %s seq 1 type z\n" % os.path.basename(path)):
        with open(os.path.join(folder.redis, "appendonlydir", "appendonly.aof.manifest"), "w") as manifest:
            manifest.write(line)
        assert "the manifest is not understood" in folder.check(1)
    assert read(path) == SELECT + LAST[:-1]


def test_names_are_those_of_the_configuration(tmp_path):
    folder = Folder(tmp_path, "AppendDirName 'kept here'", 'appendfilename "tally.aof"')
    (path,) = folder.write(b"", folder="kept here", name="tally.aof")
    folder.cuts(path, SELECT + SINGLE[:-1], SELECT)


def test_the_one_file_of_before_redis_7(folder):
    path = os.path.join(folder.redis, "appendonly.aof")
    folder.cuts(path, SELECT + LAST[:-1], SELECT)


def test_without_an_append_only_file_there_is_nothing_to_check(tmp_path):
    folder = Folder(tmp_path, "appendonly no")
    (path,) = folder.write(SELECT + LAST[:-1])
    assert folder.check(0) == "" and read(path) == SELECT + LAST[:-1]


def test_what_somebody_writes_is_not_cut(folder):
    (path,) = folder.write(b"")
    with open(path, "ab"):
        folder.refuses(path, SELECT + LAST[:-1], "has it open")
    folder.cuts(path, SELECT + LAST[:-1], SELECT)


def test_a_configuration_that_it_cannot_follow_is_refused(tmp_path):
    folder = Folder(tmp_path, "include /etc/redis/more.conf")
    assert "include" in folder.check(1)
    for arguments in ([], ["--check"], ["--bogus", folder.conf], [folder.conf, folder.conf], ["/no/such/redis.conf"]):
        done = subprocess.run([SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 1 and done.stdout.count("\n") == 1 and "usage: script/redis-start [--check] CONF" in done.stdout


def test_it_ends_by_sigterm_while_it_checks(folder, tmp_path):
    """As a container's first process, too, which is why it takes the signal; and its children end with it."""
    folder.write(SELECT + SINGLE)
    slow = tmp_path / "bin"
    slow.mkdir()
    for name in ("some-server", "some-check-aof"):
        (slow / name).write_text("#!/bin/bash\necho $$ >'%s/pid'\nexec sleep 600\n" % tmp_path)
        (slow / name).chmod(0o755)
    child = subprocess.Popen([SCRIPT, folder.conf], env=dict(os.environ, TALLY_REDIS_SERVER=str(slow / "some-server")), stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"), "the check to begin")
        child.send_signal(signal.SIGTERM)
        assert child.wait(TIMEOUT_S) == 143
        wait_until(lambda: not os.path.exists("/proc/" + (tmp_path / "pid").read_text().strip()), "the check to end")
    finally:
        child.kill()


@pytest.mark.parametrize("installed, chosen", [(["redis", "valkey"], "redis"), (["redis"], "redis"), (["valkey"], "valkey")])
def test_valkey_is_started_where_there_is_no_redis(folder, tmp_path, installed, chosen):
    """With its own check: the formats of the two differ by version."""
    path, = folder.write(SELECT + SINGLE)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "setpriv", "tail", "tr"):
        (tools / name).symlink_to(shutil.which(name))
    for engine in installed:
        for name in ("server", "check-aof"):
            (tools / ("%s-%s" % (engine, name))).write_text("#!/bin/bash\necho %s-%s \"$@\"\n" % (engine, name))
            (tools / ("%s-%s" % (engine, name))).chmod(0o755)
    env = {name: value for name, value in os.environ.items() if name != "TALLY_REDIS_SERVER"}
    done = subprocess.run([SCRIPT, folder.conf], env=dict(env, PATH=str(tools)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S)
    assert (done.returncode, done.stdout) == (0, "%s-server %s\n" % (chosen, folder.conf))
    (tools / (chosen + "-check-aof")).write_text("#!/bin/bash\necho %s-check-aof \"$@\"\nexit 1\n" % chosen)
    assert 'said="%s-check-aof %s' % (chosen, path) in folder.check(1, PATH=str(tools), TALLY_REDIS_SERVER="")


# --- on the whole system ---

def append_only(edge):
    return max(glob.glob(glob.escape(edge.path("redis")) + "/appendonlydir/*.incr.aof"), key=os.path.getmtime)


def tear(path, after, commands=2):
    """Cuts the file within the first transaction after that offset: this many whole commands after its MULTI, and half of another."""
    with open(path, "rb") as f:
        content = f.read()
    at = content.index(MULTI, after)
    starts = [match.start() for match in re.finditer(rb"\*[1-9]\d*\r\n\$\d+\r\n", content[at:content.index(EXEC, at)])]
    assert len(starts) > commands + 2, content[at:]
    os.truncate(path, at + (starts[commands + 1] + starts[commands + 2]) // 2)


def test_what_ends_within_a_transaction_is_no_part_of_a_later_one(make_edge):
    """A reset that was torn is none after the first start, so it must be none after the second."""
    edge = make_edge(plugin={"shards": 1}, collector={"audit_per_minute": 0}).start()
    react(edge, "torn/votes", ["like"] * 3)
    react(edge, "torn/other", ["sad"])
    wait_until(lambda: edge.redis.hexists("tally:store", "placed"), "the collector's own transaction")
    path = append_only(edge)
    before = os.path.getsize(path)
    tally(edge, "reset", "torn/votes")
    edge.kill("redis")
    tear(path, before)
    edge.start("redis")
    assert "level=warning program=redis-start" in edge["redis"].text()
    react(edge, "torn/other", ["wow", "sad"])
    truth = {"torn/votes": {"like": 3}, "torn/other": {"wow": 1, "sad": 1}}
    for _ in range(3):
        assert edge.store.totals() == truth
        assert {article: len(held) for article, held in edge.store.registers().items()} == {"torn/votes": 3, "torn/other": 2}
        edge.kill("redis")
        edge.start("redis")
    consistent(edge)


def test_a_damaged_file_keeps_redis_from_starting(make_edge):
    """And it says so, where Redis would have dropped all behind the damage."""
    edge = make_edge(plugin={"shards": 1}, collector={"audit_per_minute": 0}).start()
    react(edge, "damaged/votes", ["like"] * 3)
    edge.kill("redis")
    path = append_only(edge)
    whole = read(path)
    for damaged in (whole.replace(b"$4\r\nHSET", b"$9999999\r\nHSET", 1), whole.replace(b"$4\r\nHSET", b"$9999999\r\nHSET", 1)[:-3]):
        with open(path, "wb") as f:
            f.write(damaged)
        edge["redis"].start()
        assert edge["redis"].wait_exit() == 1
        assert "reading the append only file" in edge["redis"].text() or "level=error program=redis-start" in edge["redis"].text()
        assert read(path) == damaged
    with open(path, "wb") as f:
        f.write(whole)
    edge.start("redis", ready=False)
    assert edge.store.totals() == {"damaged/votes": {"like": 3}}

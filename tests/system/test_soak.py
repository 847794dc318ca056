"""script/soak's own judgement finds what it must find."""

import os
import signal
import subprocess
import sys
import time

import pytest

import redis_server
from child import dying_with_parent, marked_processes
from clients import TIMEOUT_S, Refused
from edge import ROOT, EdgeError, build_dir, wait_until

sys.path.append(os.path.join(ROOT, "tests", "faults"))

import judge  # noqa: E402
import kinds  # noqa: E402
import readers  # noqa: E402
import schedule  # noqa: E402

NOW_MS = 1795510800000.0


def sent(kind, clicked_ms, under_way_ms=5.0, code=0, reaction=None):
    reaction = reaction or readers.Reaction("soak/a", kind, None)
    reaction.clicked = clicked_ms / 1000
    send = readers.Send(reaction)
    send.sent_ms, send.age_ms, send.from_ms = clicked_ms, 0, clicked_ms
    if code is not None:
        send.code, send.to_ms, reaction.acknowledged = code, clicked_ms + under_way_ms, code < 0x80
    return send


def judged(sends, held, excused_ms=()):
    verdict = judge.judge(sends, held, excused_ms)
    return len(verdict.acknowledged), len(verdict.lost), verdict.invented, verdict.overtaken


def test_the_newest_reaction_by_stamp_must_be_held():
    first, second = sent("like", NOW_MS), sent("sad", NOW_MS + 1000)
    assert judged([first, second], judge.Held(NOW_MS + 1003, "sad")) == (2, 0, 0, 0)
    assert judged([first, second], judge.Held(NOW_MS + 3, "like")) == (2, 1, 0, 0)
    assert judged([first, second], None) == (2, 2, 0, 0)
    assert judged([second, sent("wow", NOW_MS - 60000)], judge.Held(NOW_MS + 1003, "sad")) == (2, 0, 0, 0)  # late, and superseded


def test_what_nobody_sent_is_invented():
    first, refused = sent("like", NOW_MS), sent("sad", NOW_MS + 1000, code=0x87)
    assert judged([first], judge.Held(NOW_MS + 3, "sad"))[2] == 1
    assert judged([first], judge.Held(NOW_MS + 500, "like"))[2] == 1
    assert judged([first, refused], judge.Held(NOW_MS + 1003, "sad"))[2] == 1
    assert judged([first, sent("sad", NOW_MS + 1000, code=None)], judge.Held(NOW_MS + 1003, "sad")) == (1, 0, 0, 0)  # who knows


def test_a_message_long_under_way_may_overtake():
    reaction = readers.Reaction("soak/a", "like", None)
    sends = [sent("like", NOW_MS, code=None, reaction=reaction), sent("like", NOW_MS, reaction=reaction), sent("sad", NOW_MS + 1000)]
    assert judged(sends, judge.Held(NOW_MS + 2500, "like")) == (2, 0, 0, 1)


def test_only_the_record_that_was_damaged_is_excused():
    first, second = sent("like", NOW_MS), sent("sad", NOW_MS + 1000)
    assert judged([first, second], judge.Held(NOW_MS + 3, "like"), [NOW_MS + 1002]) == (2, 0, 0, 0)
    assert judged([first, second], None, [NOW_MS + 1002]) == (2, 1, 0, 0)


def test_a_receipt_must_be_true():
    first, second = sent("like", NOW_MS), sent("sad", NOW_MS + 1000)
    said = {"article": "soak/a", "reaction": "like", "outcome": "superseded", "current": "sad"}
    assert schedule.untrue(said, first, [first, second], []) is None
    assert schedule.untrue(dict(said, current="wow"), first, [first, second], [])
    assert schedule.untrue(dict(said, outcome="retracted"), first, [first, second], [])
    assert schedule.untrue(dict(said, outcome="refused", reason="busy"), first, [first, second], [])
    assert schedule.untrue(dict(said, article="soak/b"), first, [first, second], [])


def test_a_seed_draws_the_same_faults_and_each_kind_has_its_turn():
    names = list(kinds.KINDS)
    for seed in range(1000, 1000 + len(names)):
        once, again = schedule.plan(seed, names), schedule.plan(seed, names)
        assert [(s.names, s.seed) for s in once] == [(s.names, s.seed) for s in again]
    for begin in (0, 1, 1000):
        assert {name for seed in range(begin, begin + len(names)) for step in schedule.plan(seed, names) for name in step.names} == set(names)


def test_a_probe_that_is_refused_has_not_healed(make_edge):
    edge = make_edge(plugin={"auto_create": "off"}, limits="on").start()
    with pytest.raises(Refused, match="135"):
        readers.probe(edge, "soak/unknown")
    with pytest.raises(EdgeError, match="not healed after a test"):
        readers.await_heal(edge, "soak/unknown", "a test", 0.5)


def lose_a_register(edge):
    """Of an article of the schedule's, behind Tally's back."""
    key = max(edge.redis.scan_iter(match="tally:{*}:*:*"), key=edge.redis.hlen)
    edge.redis.hdel(key, next(iter(edge.redis.hgetall(key))))


def forge_a_total(edge):
    total = b'{"article":"soak/a1","total":5,"counts":{"like":5},"version":9007199254740000,"updated_at":"2026-11-24T09:00:00.123Z"}'
    edge.service("tally-feed", client_id="tally-forger").say("totals/soak/a1", total, retain=True)


@pytest.mark.slow
@pytest.mark.no_sanitizer
@pytest.mark.parametrize("tamper", [lose_a_register, forge_a_total], ids=["lost-register", "forged-total"])
def test_a_schedule_finds_what_was_tampered_with(tmp_path, monkeypatch, tamper):
    monkeypatch.setattr(judge, "SHOWN_S", 3.0)
    one = schedule.Schedule(7, str(tmp_path), build_dir(), ["feed-restarted"])
    ends = one._end_readers

    def tampered():
        ends()
        one.edge.settle()
        time.sleep(0.5)  # the feed has shown all
        tamper(one.edge)
    monkeypatch.setattr(one, "_end_readers", tampered)
    try:
        one.run()
    except AssertionError as error:
        one.problem(str(error))
    finally:
        found = list(one.problems)
        one.close()
    assert found, "nothing was found"
    if tamper is lose_a_register:
        assert any(problem.startswith("lost: ") for problem in found) or any("voters" in problem for problem in found), found


def test_a_program_does_not_outlive_whoever_started_it_even_where_that_is_gone_already():
    out, into = os.pipe()
    between = os.fork()
    if between == 0:
        starter = os.getpid()
        argv = dying_with_parent(["/bin/echo", "lives on"])
        if os.fork() == 0:
            while os.getppid() == starter:
                time.sleep(0.001)
            os.dup2(into, 1)
            os.execv(argv[0], argv)
        os._exit(0)
    os.waitpid(between, 0)
    os.close(into)
    assert os.read(out, 100) == b""
    os.close(out)


@pytest.mark.slow
@pytest.mark.no_sanitizer
def test_a_soak_that_is_ended_leaves_nothing(tmp_path):
    environment = dict(os.environ, TMPDIR=str(tmp_path), TALLY_BUILD=build_dir(), SOAK_UNDER_TEST=str(tmp_path))
    soak = subprocess.Popen([os.path.join(ROOT, "script", "soak"), "--schedules", "20", "--jobs", "2"], env=environment,
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    mark = b"SOAK_UNDER_TEST=" + os.fsencode(tmp_path)

    def in_folder():
        """Redis overwrites its environment, but works in its folder."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink("/proc/%s/cwd" % pid).startswith(str(tmp_path) + "/"):
                    with open("/proc/%s/cmdline" % pid, "rb") as command:
                        yield command.read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue

    def programs():
        return {os.path.basename(command.split(" ")[0]) for command in [*marked_processes(mark).values(), *in_folder()]}
    try:
        wait_until(lambda: {"mosquitto", redis_server.name(), "tally-collector", "tally-feed"} <= programs(), "both edges run", 2 * TIMEOUT_S)
        soak.terminate()
        assert soak.wait(TIMEOUT_S) == 128 + signal.SIGTERM
    finally:
        soak.kill()
    wait_until(lambda: not programs(), "all programs are gone")
    assert os.listdir(tmp_path) == []

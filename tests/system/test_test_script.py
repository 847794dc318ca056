"""script/test ends with all it started, at whatever signal."""

import os
import shutil
import signal
import subprocess

import pytest

from child import dying_with_parent, marked_processes
from clients import TIMEOUT_S
from edge import MARK, ROOT, wait_until

pytestmark = pytest.mark.no_sanitizer

# A build that does not end by itself, and has started another process.
NINJA = "#!/bin/sh\nsleep 1000 &\nprintf x >>\"$STARTED\"\nsleep 1000\n"


@pytest.fixture
def project(tmp_path):
    """A copy of the scripts whose first part, a build, does not end."""
    os.makedirs(tmp_path / "build" / "debug")
    os.makedirs(tmp_path / "bin")
    shutil.copytree(os.path.join(ROOT, "script"), tmp_path / "script")
    for path, text in (("script/bootstrap", "#!/bin/sh\n"), ("bin/ninja", NINJA), ("build/debug/build.ninja", "")):
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP], ids=lambda sent: sent.name)
def test_a_signal_ends_the_part_that_runs(project, sent):
    mark = "%s=%s" % (MARK, project)
    env = dict(os.environ, PATH="%s:%s" % (project / "bin", os.environ["PATH"]), STARTED=str(project / "started"), **{MARK: str(project)})
    # A shell cannot trap a signal that was ignored when it began, as nohup does with SIGHUP.
    with open(project / "out", "wb") as out:
        script = subprocess.Popen(dying_with_parent(["env", "--default-signal=HUP,TERM", str(project / "script" / "test")]), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
    try:
        wait_until((project / "started").exists, "the build to run")
        script.send_signal(sent)
        assert script.wait(TIMEOUT_S) == 130, (project / "out").read_text()
        wait_until(lambda: not marked_processes(mark.encode()), "all it started to end")
    finally:
        script.kill()
        for pid in marked_processes(mark.encode()):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("arguments, says", [
    (("--broker",), "the absolute path of a Mosquitto is missing"),
    (("--broker", "/no/such/mosquitto"), "TALLY_BROKER: '/no/such/mosquitto' is not empty, mosquitto, or the absolute path"),
    (("--quick", "--broker", "/etc/passwd"), "TALLY_BROKER: '/etc/passwd' is not"),
    (("--quik",), "unknown option '--quik'; accepted are --quick and --broker PATH"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_a_wrong_argument_is_named(project, arguments, says):
    done = subprocess.run([str(project / "script" / "test"), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=TIMEOUT_S)
    assert done.returncode == 1 and says in done.stdout and done.stdout.count("\n") == 1, done.stdout
    assert not (project / "started").exists()

"""The manual pages against the options and commands. That docs/reference/options.md, of which they are made, has all options is tested in
test_documents.py."""

import os
import re
import shutil
import subprocess

import pytest

from edge import ROOT, build_dir
from test_documents import _read, _rows

pytestmark = pytest.mark.no_sanitizer  # what it tests is text

HEADINGS = {"tally.1": ["audit", "doctor", "mosquitto-conf", "COMMAND"], "tally.conf.5": ["plugin"], "tally-collector.8": ["tally-collector"], "tally-feed.8": ["tally-feed"]}


@pytest.fixture(scope="module", params=sorted(HEADINGS))
def page(request):
    path = os.path.join(build_dir(), "docs", "man", request.param)
    if not os.path.exists(path):
        subprocess.run(["ninja", "-C", build_dir(), "manual"], check=True, stdout=subprocess.DEVNULL)
    return path


def _entries(path):
    """(what is bold, the line below it) of each tagged paragraph."""
    with open(path, encoding="utf-8") as f:
        text = f.read().replace("\\-", "-")
    return re.findall(r"^\.TP\n(?:\\fB|\.B )([^\\\n]+)[^\n]*\n([^\n]*)", text, re.M)


def test_page_has_every_option_once(page):
    name = os.path.basename(page)
    wanted = [(option, default) for heading, option, default, _accepts, _of in _rows(_read("docs", "reference", "options.md")) if any(mark in heading for mark in HEADINGS[name])]
    assert len(wanted) > 20
    found = [entry for entry in _entries(page) if entry[0] in {option for option, _default in wanted}]
    assert sorted(entry[0] for entry in found) == sorted(option for option, _default in wanted)
    for option, default in wanted:
        says = "It is required." if default == "required" else "Default: %s." % default if default else ""
        assert any(entry[0] == option and says in entry[1] for entry in found), option


def test_command_page_has_every_command():
    path = os.path.join(build_dir(), "docs", "man", "tally.1")
    said = subprocess.run([os.path.join(build_dir(), "cli", "tally"), "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    commands = re.findall(r"^  (\S+) +(\S.*)$", said, re.M)
    assert len(commands) > 5
    entries = _entries(path)
    for command in commands:
        assert command in entries


def test_page_is_roff_without_warnings(page):
    if shutil.which("man") is None:
        pytest.skip("no man here: script/bootstrap package")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"})
    assert (done.returncode, done.stderr) == (0, "")


def test_template_names_what_exists():
    for name in HEADINGS:
        assert os.path.exists(os.path.join(ROOT, "docs", "man", name + ".in"))

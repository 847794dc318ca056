"""The rules of CONTRIBUTING.md that a reader of the C sources relies on, counted in the sources themselves."""

import os
import re

import pytest

from edge import ROOT

pytestmark = pytest.mark.no_sanitizer  # what it tests is text

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 48
MAX_COMPLEXITY = 23
BRANCHES = re.compile(r"\b(?:if|for|while|case)\b|&&|\|\||\?")
TOKENS = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)+\'|/\*.*?\*/|//[^\n]*', re.DOTALL)

POSIX = set("""abort accept access alarm bind bsearch close connect dup exit fork free index kill link listen malloc nice open pause
pipe poll printf raise read remove rename select send signal sleep socket stat sync system time truncate unlink wait write""".split())


def _sources(*endings):
    """path → text of the sources of programs and libraries, not of their tests."""
    found = {}
    for folder in ("lib", "broker-plugin", "collector", "redis-module", "dashboard-feed", "cli", "bench"):
        for above, folders, names in os.walk(os.path.join(ROOT, folder)):
            folders[:] = [name for name in folders if name not in ("tests", "build", "results")]
            for name in names:
                if name.endswith(endings):
                    path = os.path.join(above, name)
                    with open(path) as f:
                        found[os.path.relpath(path, ROOT)] = f.read()
    return found


def _bare(text):
    """The text with its literals and comments blanked; lines stay where they are."""
    return TOKENS.sub(lambda token: re.sub(r"[^\n]", " ", token.group(0)), text)


def _functions(text):
    """(name, whether it is static, its lines) of each function; clang-format puts both braces into the first column."""
    lines = _bare(text).split("\n")
    begin = None
    for number, line in enumerate(lines):
        if line == "{":
            begin = number
        elif line == "}" and begin is not None:
            head = begin - 1
            while lines[head - 1].strip() and not lines[head - 1].startswith(("#", "}")) and not lines[head - 1].endswith(";"):
                head -= 1
            said = " ".join(lines[head:begin])
            yield re.search(r"(\w+)\(", said).group(1), said.startswith("static"), lines[begin:number + 1]
            begin = None


def test_files_and_functions_have_bounds():
    sources = _sources(".c")
    assert len(sources) > 200
    assert [(path, n) for path, text in sources.items() for n in [text.count("\n")] if n > MAX_FILE_LINES] == []
    functions = [(path, name, lines) for path, text in sources.items() for name, _static, lines in _functions(text)]
    assert len(functions) > 2000
    assert [(path, name, len(lines)) for path, name, lines in functions if len(lines) > MAX_FUNCTION_LINES] == []
    complexity = [(path, name, 1 + len(BRANCHES.findall("\n".join(lines)))) for path, name, lines in functions]
    assert [entry for entry in complexity if entry[2] > MAX_COMPLEXITY] == []


def test_every_source_begins_with_its_purpose():
    assert [path for path, text in _sources(".c", ".h").items() if not text.startswith("/* ")] == []


def test_a_static_of_one_word_is_in_one_file_and_hides_no_call_of_posix():
    """So a breakpoint and a line of a backtrace name one function."""
    files = {}
    for path, text in _sources(".c").items():
        for name, static, _lines in _functions(text):
            if static and "_" not in name and name != "main":
                files.setdefault(name, set()).add(path)
    assert len(files) > 50
    assert {name: sorted(paths) for name, paths in files.items() if len(paths) > 1} == {}
    assert sorted(POSIX & set(files)) == []


def test_no_header_includes_itself_by_way_of_others():
    headers = _sources(".h")
    includes = {}
    for path, text in headers.items():
        names = re.findall(r'^#include "([^"]+)"', text, re.MULTILINE)
        includes[path] = [other for name in names for other in (os.path.join(os.path.dirname(path), name), os.path.join("lib", name)) if other in headers]
    assert sum(map(len, includes.values())) > 100
    done = set()

    def walk(path, above):
        assert path not in above, above + [path]
        if path not in done:
            for other in includes[path]:
                walk(other, above + [path])
            done.add(path)

    for path in headers:
        walk(path, [])


def test_the_units_start_only_what_packages_bring():
    """/bin/kill, for one, is in procps, which a bare Debian lacks."""
    folder = os.path.join(ROOT, "deploy/systemd")
    programs = set()
    for name in os.listdir(folder):
        if name.endswith(".service"):
            with open(os.path.join(folder, name)) as f:
                programs.update(re.findall(r"^Exec\w+=[-+@!:]*(\S+)", f.read(), re.MULTILINE))
    assert programs == {"/bin/sh", "/usr/bin/tally-collector", "/usr/bin/tally-feed", "/usr/lib/tally/script/redis-start"}

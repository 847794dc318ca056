"""Compares the documents with the programs."""

import json
import os
import re
import subprocess

import pytest

from edge import ROOT, build_dir, wait_until

pytestmark = pytest.mark.no_sanitizer  # what it tests is text

PLUGIN_SETTINGS = os.path.join(ROOT, "broker-plugin", "settings.c")


def _read(*parts):
    with open(os.path.join(ROOT, *parts)) as f:
        return f.read()


# What a heading says in `…` whose program's options are below it.
PROGRAMS = {"plugin": "plugin_opt_", "mosquitto-conf": "tally mosquitto-conf", "collector": "tally-collector", "feed": "tally-feed", "audit": "tally audit", "doctor": "tally doctor"}
COMMANDS = ["article", "reset", "archive", "export", "import", "erase", "check-edge", "drain", "forget", "watch", "top"]  # their options share one table, which names the command of each


def _rows(text):
    """Rows of every table whose head begins with `| option | default | accepts | meaning |`, with the heading above it:
    (heading, option, default, accepts, cells behind these)."""
    heading, inside, rows = "", False, []
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.strip("# ")
        cells = [cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells[:3] == ["option", "default", "accepts"]:
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not set(line) <= set("|-: "):
            rows.append((heading, cells[0], cells[1], cells[2], cells[4:]))
    return rows


def _documented():
    """program → {option: (default, accepts)}; the heading above a table, or its last column, names the program."""
    found = {program: {} for program in list(PROGRAMS) + COMMANDS}
    for heading, name, default, accepts, of in _rows(_read("docs", "reference", "options.md")):
        programs = of[0].split(", ") if of else [program for program, mark in PROGRAMS.items() if mark in heading]
        assert of or len(programs) == 1, "which program's options are under the heading %r?" % heading
        option = re.sub(r"^(plugin_opt_|--)", "", name).replace("-", "_")
        for program in programs:
            assert option not in found[program], "%s appears twice under %r" % (option, heading)
            found[program][option] = (default, accepts)
    return found


def _of_help(*argv):
    """option → (default, accepts) out of --help's lines `name | default | accepts | help`."""
    text = subprocess.run([*argv, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if len(cells) == 4 and cells[0] not in ("option", "name"):
            found[cells[0].lstrip("-").replace("-", "_")] = (cells[1], cells[2])
    assert found, text
    return found


def _of_plugin_source():
    """option → (default, accepts) out of the table in broker-plugin/settings.c."""
    source = _read("broker-plugin", "settings.c")
    words = dict(re.findall(r'^#define (\w*ACCEPTS\w*)\s*\\?\n?\s*("(?:[^"\\]|\\.)*")', source + _read("lib", "core", "article.h"), re.MULTILINE))
    table = re.search(r"settings_options\[\] = \{\n(.*?)\n\};", source, re.DOTALL).group(1)
    for name, text in words.items():
        table = re.sub(r"\b%s\b" % name, lambda _m, t=text: t, table)
    strings = r'(NULL|"(?:[^"\\]|\\.)*")'
    entry = re.compile(r'\{"(\w+)",\s*\w+\(\w+\),\s*[^,]+,\s*[^,]+,\s*' + strings + r",\s*" + strings + r",\s*" + strings + r"\}")
    found = {}
    for name, default, accepts, _help in entry.findall(re.sub(r"\s+", " ", table)):
        found[name] = ("" if default == "NULL" else default.strip('"'), accepts.strip('"'))
    assert len(found) == table.count('{"'), "an entry of the table was not understood"
    return found


def _normal(entry):
    """A required option has no default: `required` on the page of options, `-` or nothing in the programs' own words."""
    default, accepts = entry
    return ("" if default in ("required", "-") else default), accepts


@pytest.mark.parametrize("program", list(PROGRAMS) + COMMANDS)
def test_every_option_is_on_its_page_and_nothing_else(make_edge, program):
    if program == "plugin":
        built = _of_plugin_source()
    elif program in ("audit", "doctor", "mosquitto-conf") or program in COMMANDS:
        built = _of_help(make_edge().program("tally"), program)
    else:
        built = _of_help(make_edge()[program].argv[0])
    written = _documented()[program]
    assert sorted(written) == sorted(built)
    assert {n: _normal(e) for n, e in written.items()} == {n: _normal(e) for n, e in built.items()}


def test_every_meaning_of_an_option_is_a_sentence():
    lines = [line for line in _read("docs", "reference", "options.md").splitlines() if line.startswith("| `")]
    meanings = [re.split(r"(?<!\\) \| ?", line)[3] for line in lines]
    assert len(meanings) > 100
    assert [text for text in meanings if not re.fullmatch(r"[A-Z][^|]* [^|]*\.", text)] == []


def test_the_operators_command_assumes_the_plugins_own_defaults():
    """`tally check-edge` reads the broker's configuration, where an option may be absent."""
    header = _read("cli", "broker_options.h")
    plugin = {name: default for heading, name, default, _accepts, _of in _rows(_read("docs", "reference", "options.md")) if "plugin" in heading}
    plugin = {name.strip("`"): default for name, default in plugin.items()}
    assert re.search(r"#define BROKER_OPTIONS_SHARDS (\d+)", header).group(1) == plugin["shards"]
    assert re.search(r'#define BROKER_OPTIONS_KINDS "([^"]+)"', header).group(1) == plugin["kinds"]


@pytest.mark.parametrize("program", ["tally-load", "tally-crowd"])
def test_every_option_of_the_benchs_generators_is_in_its_readme(program):
    built = _of_help(os.path.join(build_dir(), "bench", program))
    written = {name: (default, accepts) for heading, name, default, accepts, _of in _rows(_read("bench", "README.md")) if heading == program}
    assert {n: _normal(e) for n, e in written.items()} == {n: _normal(e) for n, e in built.items()}


def test_every_command_is_on_its_page_and_nothing_else(make_edge):
    said = subprocess.run([make_edge().program("tally"), "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    built = re.findall(r"^  ([\w-]+) ", said, re.MULTILINE)
    assert sorted(built) == sorted(COMMANDS + ["audit", "doctor", "mosquitto-conf"])
    written = re.findall(r"^\| `tally ([\w-]+)", _read("docs", "operating.md"), re.MULTILINE)
    assert sorted(written) == sorted(COMMANDS + ["doctor", "mosquitto-conf"])


def test_the_environment_of_the_scripts_is_on_its_page():
    known = re.search(r"^tally_known='([^']*)'", _read("script", "lib.sh"), re.MULTILINE).group(1).split()
    assert known
    page = _read("docs", "getting-started.md")
    assert [name for name in known if name not in page] == []


def _files(folder):
    return [os.path.join(above, name) for above, _folders, names in os.walk(os.path.join(ROOT, folder)) for name in names]


def _documents():
    """path → text of every page for readers."""
    paths = _files("docs") + [os.path.join(ROOT, name) for name in os.listdir(ROOT)]
    return {path: _read(path) for path in paths if path.endswith(".md")}


def test_links_between_documents_lead_somewhere():
    links = [(path, link) for path, text in _documents().items() for link in re.findall(r"\]\(([^)#\s]+)", text)]
    assert len(links) > 20
    assert [(path, link) for path, link in links
            if not re.match(r"\w+:", link) and not os.path.exists(os.path.join(os.path.dirname(path), link))] == []


# Words by which a text reads as if translated, and where they are right.
MARKERS = re.compile(r"(?<!here )\bis no (?!longer|more)|(?<!the )\bstands?\b|\banew\b|\bbut for\b|\bto be had\b|nobody understands"
                     r"|\bof no known form|\bno such answer\b|\bwith commas between\b|\bas whom\b|\bdo it once more\b|\bit is tried each\b"
                     r"|\b(?:is|are) none of\b"
                     r"|\b[Ww]hoever\b|\bsays? why\b|\bgoes on\b|\bof (?:its|their) own\b|\bof so many\b|\bnevertheless\b|\bhad of\b|\bit is that\b"
                     r"|\blets? go of\b|\bin the midst\b|\bWho [a-z]+ [^?.:]* (is|are|was|gets) |\b[Ww]hat nobody\b")
SPOKEN = (".py", ".c", ".h", ".js", ".mjs", ".css", ".html", ".cmake", ".sed", ".yaml")  # the names of what has comments, in these folders
COMMENTED = ("tests", "bench", "script", "docs", "dashboard-feed/web-src", "dashboard-feed/web")


def _literals(path):
    """The strings of a C file, those that follow each other as one."""
    return [re.sub(r'"\s*"', "", text) for text in re.findall(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*', _read(path))]


def _comments(path):
    """The comments of a C file, each as one line."""
    text = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', _read(path))
    return [re.sub(r"\s*\n\s*(\*(?!/))?\s*", " ", comment) for comment in re.findall(r"/\*.*?\*/|//[^\n]*", text, re.DOTALL)]


def _is_commented(path):
    """Whether it is ours and has comments: a script has no ending to its name."""
    return (path.endswith(SPOKEN) or (os.path.dirname(path) == os.path.join(ROOT, "script"))) and "/node_modules/" not in path


def test_documents_and_messages_are_plain_english():
    texts = {path: text for path, text in _documents().items() if not path.endswith("CHANGELOG.md")}
    texts.update((path, _read(path)) for path in _files("") if os.path.basename(path) == "DESIGN" and "/build/" not in path)
    for folder in COMMENTED:
        texts.update((path, _read(path)) for path in _files(folder) if _is_commented(path))
    for folder in ("lib", "broker-plugin", "collector", "redis-module", "dashboard-feed", "cli"):
        texts.update((path, "\n".join(_literals(path))) for path in _files(folder) if path.endswith(".c") and "/tests/" not in path)
        for path in _files(folder):
            if path.endswith((".c", ".h")):
                texts[path] = "\n".join([texts.get(path, "")] + _comments(path))
    assert len(texts) > 250
    found = [(os.path.relpath(path, ROOT), line.strip()) for path, text in texts.items() for line in text.splitlines()
             if MARKERS.search(line) and "MARKERS" not in line]
    assert found == []


def test_every_file_to_copy_is_told_of():
    told = "".join(_documents().values())
    paths = [os.path.relpath(path, ROOT) for path in _files("deploy")]
    assert paths and [path for path in paths if path not in told] == []


def test_every_topic_spoken_is_in_interfaces(edge):
    """What an operator hears of a working edge, each by a topic of the table in INTERFACES.md 2."""
    table = _read("INTERFACES.md").split("## 2. MQTT topics")[1].split("### 2.1")[0]
    patterns = [re.compile(re.sub(r"<[^>]*>", ".+", topic) + "$") for topic in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)]
    assert len(patterns) >= 8
    operator = edge.service("operator")
    operator.watch("#")
    client = edge.client()
    client.say("reactions/documents", b"like", response_topic="receipts/" + client.name)
    client.say("reactions/documents", b"meh", response_topic="receipts/" + client.name)
    kinds = ("totals/", "receipts/", "ops/collector", "ops/feed", "ops/health", "ops/refusals")
    operator.wait(lambda: all(operator.got(prefix=kind) for kind in kinds), "something of each kind")
    strange = {m.topic for m in operator.messages if not any(p.match(m.topic) for p in patterns)}
    assert not strange


def test_every_reason_is_in_interfaces():
    source = _read("lib", "core", "reason.c")
    text = _read("INTERFACES.md")
    names = re.findall(r'"([a-z_]+)"', source)
    assert len(names) == 11
    assert [name for name in names if "`%s`" % name not in text] == []


def test_every_member_of_the_collectors_status_is_in_interfaces(edge):
    text = _read("INTERFACES.md").split("### 2.4")[1].split("### 2.5")[0]
    operator = edge.service("operator")
    operator.watch("ops/collector")
    status = wait_until(lambda: [json.loads(m.payload) for m in operator.got("ops/collector")], "a status")[-1]
    names = set(status) | set(status["shards"][0])
    assert [name for name in sorted(names) if '"%s":' % name not in text] == []


def test_every_metric_is_written_down(edge):
    edge.client().say("reactions/metrics", b"like")
    edge.settle()
    names = {re.match(r"[a-zA-Z_:][\w:]*", name).group(0) for name in wait_until(edge.metrics, "metrics")}
    text = "".join(_read(folder, "DESIGN") for folder in ("collector", "dashboard-feed"))
    names = {re.sub(r"_(sum|count|bucket)$", "", name) for name in names}
    missing = sorted(name for name in names if name not in text)
    assert not missing


@pytest.mark.parametrize("daemon", ["collector", "feed"])
def test_metrics_are_prometheus_text(edge, daemon):
    status, headers, body = edge.get("/metrics", port=edge.metrics_port if daemon == "collector" else edge.http_port)
    assert status == 200 and headers["Content-Type"].startswith("text/plain")
    typed, seen = {}, set()
    for line in body.decode().splitlines():
        if line.startswith("# TYPE "):
            _hash, _type, name, kind = line.split(" ")
            assert name not in typed and kind in ("counter", "gauge", "summary", "histogram"), line
            typed[name] = kind
        elif line and not line.startswith("#"):
            assert re.fullmatch(r'[a-z_:][a-z0-9_:]*(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? (NaN|[+-]?[0-9.eE+-]+|[+-]Inf)', line), line
            series = line.rpartition(" ")[0]
            assert series not in seen, line
            seen.add(series)
            name = series.partition("{")[0]
            assert name in typed or re.sub(r"_(sum|count|bucket)$", "", name) in typed, line
    assert typed


def test_what_pages_keep_in_the_browser_is_on_the_page_on_privacy():
    """Both ways: every item that the pages' sources store, and no item that nothing stores; and nothing is kept by other means."""
    folder = os.path.join(ROOT, "dashboard-feed", "web-src")
    sources = {name: _read("dashboard-feed", "web-src", name) for name in os.listdir(folder) if name.endswith(".js")}
    stored, of_the_tab = set(), set()
    for name, text in sources.items():
        assert not re.search(r"indexedDB|document\.cookie|cookieStore|\bcaches\b", text), name
        assert name == "ops.js" or "sessionStorage" not in text, name
        constants = dict(re.findall(r"const (\w+) = '([^']+)'", text))
        for member, argument in re.findall(r"localStorage\.(\w+)(?:\(([^,)]+))?", text):
            if argument == "key":  # of the file's two functions that read and write
                stored.update(value for constant, value in constants.items() if constant.endswith("_KEY"))
                continue
            stored.add((constants.get(argument) or argument.strip("'")) if member in ("getItem", "setItem") else member)
        for member, argument in re.findall(r"sessionStorage\.(\w+)(?:\(([^,)]+))?", text):
            of_the_tab.add((constants.get(argument) or argument.strip("'")) if member in ("getItem", "setItem", "removeItem") else member)
    assert len(stored) > 1 and of_the_tab
    for begin, items in (("| the reader's browser", stored), ("| an operator's browser", of_the_tab | {"/ops"})):
        (row,) = [line for line in _read("docs", "privacy.md").splitlines() if line.startswith(begin)]
        assert items == {word for word in re.findall(r"`([^`]+)`", row)}

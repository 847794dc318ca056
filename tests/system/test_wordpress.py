"""deploy/wordpress/tally.php over the least of WordPress (wordpress.php): which texts get a bar, and which do not."""

import json
import os
import re
import shutil
import subprocess

import pytest

from edge import ROOT

pytestmark = [pytest.mark.no_sanitizer, pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed (Debian: php-cli)")]
BAR = '<tally-reactions article="%s"></tally-reactions>'
PAGE = {"url": "https://tally.example.org/", "post": {"ID": 4, "post_type": "post", "post_status": "publish"}, "singular": True, "multisite": False,
        "password": False, "preview": False, "feed": False, "rest": False, "amp": False, "types": None, "article": None}
TEXT = {"text": "<p>Text</p>", "ID": 4, "loop": True, "main": True, "excerpt": False}


def room():
    """What docs/embedding.md says of the room for a bar."""
    with open(os.path.join(ROOT, "docs", "embedding.md"), encoding="utf-8") as file:
        return "\n".join(line.strip() for line in file if re.search(r"min-height: [\d.]+em", line))


HEAD = f'<style>\n{room()}\n</style>\n<script src="https://tally.example.org/tally.js"></script>'


def shown(*texts, **page):
    """What becomes of the texts of a page, and whether its head has the script."""
    asked = dict(PAGE, texts=[dict(TEXT, **text) for text in texts or ({},)], **page)
    done = subprocess.run(["php", "-d", "display_errors=stderr", "-d", "error_reporting=-1", os.path.join(ROOT, "tests", "system", "wordpress.php"),
                           os.path.join(ROOT, "deploy", "wordpress", "tally.php")],
                          input=json.dumps(asked), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    answer = json.loads(done.stdout)
    assert answer["head"] in ("", HEAD)
    return answer["texts"], answer["head"] != ""


def of_type(kind):
    return {"ID": 4, "post_type": kind, "post_status": "publish"}


def test_the_text_of_the_page_has_a_bar_and_no_other_text():
    others = [{"loop": False}, {"main": False}, {"ID": 5}, {"excerpt": True}, {"ID": 0, "loop": False}]
    texts, script = shown(*others, {}, *others)
    plain = [TEXT["text"]] * len(others)
    assert texts == plain + [TEXT["text"] + BAR % 4] + plain and script


def test_what_has_a_bar_gets_no_second_one():
    own = TEXT["text"] + BAR % "mine"
    assert shown({"text": own}) == ([own], True)


@pytest.mark.parametrize("kind, types, wanted", [("page", None, True), ("post", None, True), ("recipe", None, False), ("attachment", None, False),
                                                 ("recipe", ["post", "recipe"], True), ("page", ["post", "recipe"], False)])
def test_which_kinds_of_post_have_one(kind, types, wanted):
    texts, script = shown(post=of_type(kind), types=types)
    assert texts == [TEXT["text"] + (BAR % 4 if wanted else "")] and script == wanted


@pytest.mark.parametrize("page", [{"feed": True}, {"rest": True}, {"amp": True}, {"preview": True}, {"password": True}, {"singular": False}, {"url": ""},
                                  {"post": None}, {"post": dict(of_type("post"), post_status="private")}, {"article": ""}], ids=str)
def test_where_there_is_neither_bar_nor_script(page):
    assert shown(**page) == ([TEXT["text"]], False)


def test_whose_article_it_is():
    assert shown(multisite=True)[0] == [TEXT["text"] + BAR % "2/4"]
    assert shown(article='a"b')[0] == [TEXT["text"] + BAR % "a&quot;b"]

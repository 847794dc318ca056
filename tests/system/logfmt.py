"""A strict parser of logfmt, as go-logfmt's: what is written without quotes holds no space, quote, equals sign, backslash or other character
than printable ASCII; what is quoted holds JSON's escapes alone."""

import re

LINE = re.compile(r'(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)=(?:"(?P<quoted>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)"|(?P<plain>[\x21\x23-\x3c\x3e-\x5b\x5d-\x7e]+))')
ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|.)')
NAMED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _unescape(text):
    return ESCAPE.sub(lambda m: chr(int(m.group(1)[1:], 16)) if m.group(1)[0] == "u" else NAMED.get(m.group(1), m.group(1)), text)


def parse(line):
    """{key: value}; ValueError where the line is none."""
    found, at = {}, 0
    while True:
        pair = LINE.match(line, at)
        if pair is None:
            raise ValueError("column %d of %r" % (at, line))
        if pair["key"] in found:
            raise ValueError("%s twice in %r" % (pair["key"], line))
        found[pair["key"]] = _unescape(pair["quoted"]) if pair["quoted"] is not None else pair["plain"]
        at = pair.end()
        if at == len(line):
            return found
        if line[at] != " ":
            raise ValueError("column %d of %r" % (at, line))
        at += 1

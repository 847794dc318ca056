"""The documents in docs/reference, and whether an answer or a payload is as they describe. And INTERFACES.md's tables."""

import itertools
import json
import os
import re
import urllib.parse

import jsonschema
import yaml

from edge import ROOT

FORM = os.path.join(ROOT, "tests", "reference")
METHODS = ("get", "head", "options")
UNDESCRIBED = {"content-type", "content-length", "connection", "date"}  # what every HTTP answer may have


def path_of(name):
    return os.path.join(ROOT, "docs", "reference", name)


class Document:
    def __init__(self, name, validator):
        with open(path_of(name)) as f:
            self.root = yaml.safe_load(f)
        self.validator = validator

    def resolve(self, value):
        while isinstance(value, dict) and "$ref" in value:
            ref, value = value["$ref"], self.root
            for part in ref.split("/")[1:]:
                value = value[part.replace("~1", "/").replace("~0", "~")]
        return value

    def errors(self, schema, value):
        """The faults of a value, one text each."""
        whole = dict(self.resolve(schema), components=self.root["components"])
        return ["%s: %s" % ("/".join(map(str, error.absolute_path)), error.message) for error in self.validator(whole).iter_errors(value)]


class Http(Document):
    """openapi.yaml."""

    def __init__(self):
        super().__init__("openapi.yaml", jsonschema.Draft202012Validator)

    def operations(self):
        """(path, method, operation) of all."""
        return [(path, method, operation) for path, item in self.root["paths"].items() for method, operation in item.items() if method in METHODS]

    def parameters(self, path, operation):
        item = self.root["paths"][path]
        return [self.resolve(one) for one in item.get("parameters", []) + operation.get("parameters", [])]

    def concrete(self, path):
        """The paths that a template describes: with each value of an enumeration, else with the example."""
        shared = [self.resolve(one) for one in self.root["paths"][path].get("parameters", [])]
        values = [[(one["name"], value) for value in one["schema"].get("enum", [one["example"]])] for one in shared]
        found = []
        for chosen in itertools.product(*values):
            text = path
            for name, value in chosen:
                text = text.replace("{%s}" % name, urllib.parse.quote(value))
            found.append(text)
        return found

    def target(self, path, operation, every=False):
        """The query to append to a concrete path and the headers: of the required parameters only, or of every one."""
        query, headers = {}, {}
        for one in self.parameters(path, operation):
            if (every or one.get("required")) and one["in"] in ("query", "header"):
                value = one["example"]
                into = query if one["in"] == "query" else headers
                into[one["name"]] = ",".join(value) if isinstance(value, list) else value
        return ("?" + urllib.parse.urlencode(query, safe=",") if query else ""), headers

    def matches(self, path):
        """The templates that describe a concrete path."""
        def pattern(template):
            text = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
            for one in map(self.resolve, self.root["paths"][template].get("parameters", [])):
                values = one["schema"].get("enum")
                text = text.replace("{%s}" % one["name"], "(%s)" % "|".join(values) if values else ".+")
            return text
        return [template for template in self.root["paths"] if re.fullmatch(pattern(template), path)]

    def complaints(self, response, method, headers, body):
        """The differences between an answer and the documented response."""
        response = self.resolve(response)
        described = {name.lower(): self.resolve(header) for name, header in response.get("headers", {}).items()}
        got = {name.lower(): value for name, value in headers}
        found = ["header %s is not described" % name for name in got if name not in described and name not in UNDESCRIBED]
        found += ["header %s is missing" % name for name, header in described.items() if header.get("required") and name not in got]
        for name in set(described) & set(got):
            found += ["header %s%s" % (name, error) for error in self.errors(described[name]["schema"], got[name])]
        content = response.get("content", {})
        if "content-type" in got and got["content-type"] not in content:
            found.append("content type %s is not described" % got["content-type"])
        elif content and method != "head":
            kind = got.get("content-type")
            text = body.decode()
            value = json.loads(text) if kind == "application/json" else text
            found += ["body " + error for error in self.errors(content[kind]["schema"], value)] if kind else ["no content type"]
        elif body:
            found.append("a body is not described: %r" % body[:100])
        return found


class Topics(Document):
    """asyncapi.yaml."""

    def __init__(self):
        super().__init__("asyncapi.yaml", jsonschema.Draft7Validator)
        self.channels = self.root["channels"]

    def channel_of(self, topic):
        """The name of the channel, or None."""
        for name, channel in self.channels.items():
            if re.fullmatch(re.sub(r"\{\w+\}", ".+", channel["address"]), topic):
                return name
        return None

    def example_topic(self, name, **values):
        return re.sub(r"\{(\w+)\}", lambda m: values.get(m.group(1), "documented"), self.channels[name]["address"])

    def messages(self, name):
        """name → message of a channel."""
        return {key: self.resolve(message) for key, message in self.channels[name]["messages"].items()}

    def operations(self, action):
        """(name, operation, channel's name, names of its messages)."""
        found = []
        for name, operation in self.root["operations"].items():
            if operation["action"] == action:
                channel = operation["channel"]["$ref"].split("/")[-1]
                found.append((name, operation, channel, [one["$ref"].split("/")[-1] for one in operation["messages"]]))
        return found

    def complaints(self, message, payload):
        """What a payload (bytes) has otherwise than the message says."""
        kind = message.get("contentType", self.root["defaultContentType"])
        try:
            value = json.loads(payload) if kind == "application/json" else payload.decode()
        except ValueError as error:
            return ["no %s: %s" % (kind, error)]
        return self.errors(message["payload"], value)

    def named(self, channel, payload):
        """The names of the channel's messages that the payload can be."""
        return [name for name, message in self.messages(channel).items() if not self.complaints(message, payload)]


def example_bytes(message, example):
    value = example["payload"]
    return value.encode() if message.get("contentType") == "text/plain" else json.dumps(value).encode()


def interfaces(begin, end):
    """The text between two headings of INTERFACES.md."""
    with open(os.path.join(ROOT, "INTERFACES.md")) as f:
        return f.read().split(begin)[1].split(end)[0]


def normal(address):
    """`reactions/<article>` and `reactions/{article}` alike."""
    return re.sub(r"<[^>]*>|\{[^}]*\}", "*", address.split("?")[0])

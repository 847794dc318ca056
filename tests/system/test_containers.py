"""The files that containers are made from, without Docker."""

import os
import re

import pytest
import yaml

from edge import ROOT

pytestmark = pytest.mark.no_sanitizer  # what it tests is text

COMPOSE_FILES = ("docker-compose.yml", "deploy/cluster/compose.yaml")


class _Compose2(yaml.SafeLoader):
    """Ignores unknown tags, as Compose 2 does."""


_Compose2.add_constructor(None, lambda loader, node: loader.construct_scalar(node))


def _read(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def _services(path):
    return yaml.load(_read(path), _Compose2)["services"]


def _version():
    return re.search(r"^project\(tally VERSION (\S+)", _read("CMakeLists.txt"), re.M).group(1)


def test_the_engine_gets_every_folder_that_is_built():
    given = set(re.findall(r"^!(\S+)$", _read(".dockerignore"), re.M))
    always, _, _optional = _read("CMakeLists.txt").partition("if(TALLY_TESTS)\n  enable_testing")
    folders = re.findall(r"^add_subdirectory\((\S+)\)$", always, re.M)
    assert len(folders) >= 6 and set(folders) <= given, set(folders) - given
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", _read("Dockerfile"), re.M):
        for path in source.split():
            assert path == "." or {path, path.split("/")[0]} & given, path


@pytest.mark.parametrize("path", COMPOSE_FILES)
def test_images_have_the_version_and_containers_a_memory_limit(path):
    targets = set(re.findall(r" AS (\w+)$", _read("Dockerfile"), re.M))
    for name, service in _services(path).items():
        target = service["build"]["target"]
        assert target in targets, name
        assert service["image"] == "tally-%s:${TALLY_VERSION:-%s}" % (target, _version()), name
        assert service["pull_policy"] == "never", name
        assert service["build"]["args"]["VERSION"] == "${TALLY_VERSION:-%s}" % _version(), name
        assert re.fullmatch(r"(\$\{TALLY_[A-Z]+_MEMORY:-)?[0-9]+[mg]\}?", service["mem_limit"]), name


def test_ports_of_tally_conf_do_not_move_what_is_published_and_checked():
    """The environment and the command line override the file."""
    services = _services("docker-compose.yml")
    given = services["init"]["environment"]
    assert [given[name] for name in ("TALLY_MQTT_PORT", "TALLY_WS_PORT", "TALLY_REDIS_PORT")] == [1883, 9001, 6390]
    assert {"--mqtt-port=1883", "--redis-port=6390", "--metrics-port=8081"} <= set(services["collector"]["command"])
    assert {"--mqtt-port=1883", "--redis-port=6390", "--http-port=8080"} <= set(services["feed"]["command"])


def test_the_operators_command_reads_the_collectors_file():
    config = re.search(r"^ENV TALLY_CONFIG=(\S+)$", _read("Dockerfile"), re.M).group(1)
    assert "--config=" + config in _services("docker-compose.yml")["collector"]["command"]


@pytest.mark.parametrize("path", COMPOSE_FILES)
def test_compose_1_says_that_it_is_too_old(path):
    with pytest.raises(yaml.constructor.ConstructorError, match="this-file-needs-Compose-2-see-docs/guides/docker.md"):
        yaml.safe_load(_read(path))


def test_every_image_is_labelled():
    stages = dict(re.findall(r"^FROM base AS (\w+)\n(.*?)(?=^FROM|\Z)", _read("Dockerfile"), re.M | re.S))
    assert set(stages) == {"broker", "collector", "feed", "redis", "balancer"}
    for name, text in stages.items():
        for label in ("title", "licenses", "version", "revision"):
            assert "org.opencontainers.image.%s=" % label in text, (name, label)

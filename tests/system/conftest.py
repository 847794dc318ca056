"""Fixtures. Edges are closed at their scope's end, which fails the test where a process is left or a sanitizer complained; their
logs are shown with a failure."""

import gc
import os
import shutil
import subprocess
import sys
import tempfile

import pytest
import redis as redis_py

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import edge as edges  # noqa: E402
import redis_server  # noqa: E402
from child import dying_with_parent  # noqa: E402

os.environ["TALLY_CONFIG"] = ""  # this machine's own /etc/tally/tally.conf is not for the programs under test

_open_edges = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for edge in _open_edges:
            report.sections.append(("edge in " + edge.directory, edge.logs()))


def _make(directory, **more):
    edge = edges.Edge(directory, **more)
    _open_edges.append(edge)
    return edge


def _close(edge):
    _open_edges.remove(edge)
    edge.close()


@pytest.fixture(scope="module")
def edge(tmp_path_factory, request):
    """The edge of a module: started once, with the options of the module's EDGE, and what its prepare(edge) did before."""
    made = _make(tmp_path_factory.mktemp("edge"), **getattr(request.module, "EDGE", {}))
    try:
        getattr(request.module, "prepare", lambda _edge: None)(made)
        made.start()
        yield made
    finally:
        _close(made)


def _maker(tmp_path_factory):
    """A function that makes further edges, not started; each is closed when the test, or the module, ends."""
    made = []

    def make(**more):
        one = _make(tmp_path_factory.mktemp("edge"), **more)
        made.append(one)
        return one

    yield make
    errors = []
    for one in made:
        try:
            _close(one)
        except edges.EdgeError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


make_edge = pytest.fixture(name="make_edge")(_maker)
make_module_edge = pytest.fixture(scope="module", name="make_module_edge")(_maker)


@pytest.fixture(scope="module")
def redis_alone():
    """A client of a Redis of the module's own, for scripts alone: it keeps nothing on disk."""
    folder = tempfile.mkdtemp(prefix="tally-redis-")  # short: the path of a Unix socket
    path = os.path.join(folder, "s")
    process = subprocess.Popen(dying_with_parent([redis_server.program(), "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "",
                                                  "--appendonly", "no"]), stdout=subprocess.DEVNULL)
    client = redis_py.Redis(unix_socket_path=path)

    def up():
        assert process.poll() is None
        try:
            return client.ping()
        except redis_py.exceptions.RedisError:
            return False
    try:
        edges.wait_until(up, "redis to come up")
        yield client
    finally:
        process.terminate()
        process.wait(edges.TIMEOUT_S)
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def close_clients():
    """Ends the connections that a test made on an edge that outlives it."""
    before = {edge: len(edge.clients) for edge in _open_edges}
    yield
    for edge in _open_edges:
        for client in edge.clients[before.get(edge, 0):]:
            try:
                client.close()
            except Exception:  # a connection that is already gone
                pass
        del edge.clients[before.get(edge, 0):]
    # paho keeps two descriptors a client until the collector of garbage comes by, and its select() takes none from 1,024 on: then no CONNACK is
    # read any more.
    if len(os.listdir("/proc/self/fd")) > 150:
        gc.collect()

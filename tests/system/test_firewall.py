"""deploy/nftables before a real broker, in a network namespace: connections that never send CONNECT do not keep other addresses' readers out."""

import os
import shutil
import subprocess
import sys

import pytest

import raw_mqtt as raw
from child import dying_with_parent
from clients import connected
from edge import ROOT, SBIN, broker_program, free_ports, wait_until

pytestmark = pytest.mark.no_sanitizer  # what it tests is nftables

HONEST, HOSTILE = "127.0.0.2", "127.0.0.3"
ROOM, EACH, HALF_OPEN = 120, 50, 200  # of the broker, of an address, and how many the hostile client tries to hold


def tool(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + SBIN)


def network():
    """The command that runs another in a network namespace, or None if that is not allowed here."""
    if not tool("nft") or not tool("unshare"):
        return None
    argv = [tool("unshare"), "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    allowed = subprocess.run(argv + [tool("nft"), "add", "table", "inet", "tally_probe"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    return argv if allowed else None


def accepted(port, address):
    """Whether a reader gets CONNACK, code 0."""
    try:
        with connected(port, address, 10) as one:
            one.sendall(raw.connect(b"reader-at-" + address.encode()))
            return one.recv(4)[:1] == b"\x20"
    except OSError:
        return False


def hold(port):
    """Connections of the hostile address that send nothing; those that the firewall refuses are not among them."""
    held = []
    for _ in range(HALF_OPEN):
        try:
            held.append(connected(port, HOSTILE, 10))
        except OSError:
            pass
    return held


def attack(folder, port):
    """What runs in the network namespace. Prints how many connections the hostile address has, and whether each address's reader gets in."""
    with open(os.path.join(folder, "mosquitto.conf"), "w") as f:
        f.write("listener %d 127.0.0.1\nmax_connections %d\nallow_anonymous true\nuser root\n" % (port, ROOM))
    broker = subprocess.Popen(dying_with_parent([broker_program(), "-c", f.name]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: accepted(port, HONEST), "the broker")
    held = hold(port)
    print(len(held), accepted(port, HONEST), accepted(port, HOSTILE))
    broker.kill()
    broker.wait()


def ruleset(folder, port):
    """The file as it is copied, except for the port, the smaller room, and that it also covers the loopback."""
    with open(os.path.join(ROOT, "deploy", "nftables", "tally.nft")) as f:
        text = f.read()
    for old, new, times in (("{ 1883, 8443 }", "{ %d }" % port, 1), ("ct count over 2000", "ct count over %d" % EACH, 2),
                            ("        iif lo accept\n", "", 1)):
        assert text.count(old) == times, old
        text = text.replace(old, new)
    path = os.path.join(folder, "tally.nft")
    with open(path, "w") as f:
        f.write(text)
    return path


@pytest.mark.parametrize("protected", [False, True], ids=["without", "with"])
def test_connections_without_connect_are_bounded_by_address(tmp_path, protected):
    inside = network() or pytest.skip("nftables in a network namespace is not allowed here")
    port = free_ports(1)[0]
    argv = [sys.executable, __file__, str(tmp_path), str(port)]
    if protected:
        argv = ["sh", "-c", '%s -f "$0" && exec "$@"' % tool("nft"), ruleset(str(tmp_path), port), *argv]
    ran = subprocess.run(inside + argv, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    held, honest, hostile = ran.stdout.split()
    assert (honest, hostile) == (("True", "False") if protected else ("False", "False"))
    assert int(held) <= EACH if protected else int(held) > ROOM


if __name__ == "__main__":
    attack(sys.argv[1], int(sys.argv[2]))

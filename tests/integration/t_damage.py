# SPDX-License-Identifier: MIT
"""A map whose bytes are damaged, where nobody can make it anew: what is asked of it is answered rightly or refused."""
import json
import os
import sys

from harness import SUFFIX, Skip, test, whole_user_namespace
from maps import flip

# A name's address and what connecting to that says, or the errors; one line for each name. The tailnet refuses; a map that is damaged there
# makes it EHOSTUNREACH; in the clear nothing is reachable from here at all, which is ENETUNREACH.
ASK = """
import errno, socket, sys
for n in map(int, sys.argv[1:]):
    address = f"100.64.{n >> 8}.{n & 255}"
    try:
        found = socket.getaddrinfo(f"n{n}", 80, socket.AF_INET)[0][4][0]
    except socket.gaierror:
        found = "-"
    s = socket.socket()
    error = errno.errorcode.get(s.connect_ex((address, 7000)), "0")
    print(n, found, error, found in (address, "-") and error in ("ECONNREFUSED", "EHOSTUNREACH"))
"""


def make_map(t, nodes):
    """In a folder of another user's, who cannot make it anew; the map is root's."""
    peers = {f"k{i}": {"HostName": f"n{i}", "DNSName": f"n{i}.{SUFFIX}.", "TailscaleIPs": [f"100.64.{i >> 8}.{i & 255}"]}
             for i in range(1, nodes)}
    status = t.file(f"{nodes}.json", json.dumps({"BackendState": "Running", "MagicDNSSuffix": SUFFIX, "Peer": peers}))
    path = os.path.join(t.dir, f"{nodes}", "x.map")
    t.launcher("sync", "--status", status, "--map", path).good()
    os.chown(os.path.dirname(path), 12345, 12345)
    return path


@test("one bit of a large map is flipped: names and addresses near it are refused, none is answered wrongly, the rest works")
def large(t):
    if not whole_user_namespace():
        raise Skip("takes more than one user")
    nodes, step = 3000, 37
    t.tailnet("--others", "refuse")
    t.dns()
    path = make_map(t, nodes)
    size, wanted, refused = os.stat(path).st_size, [str(n) for n in range(1, nodes, step)], 0
    for at in range(size // 40, size - size // 20, size // 20):
        flip(path, at)
        done = t.preload(sys.executable, "-c", ASK, *wanted, env={"TSPROXY_MAP": path})
        flip(path, at)
        lines = [line.split() for line in done.good().splitlines()]
        assert len(lines) == len(wanted) and all(line[-1] == "True" for line in lines), done
        refused += sum(line[1] == "-" or line[2] == "EHOSTUNREACH" for line in lines)
        assert any(line[1] != "-" and line[2] == "ECONNREFUSED" for line in lines), (at, done)
    assert refused, "no damage was met"
    lines = t.preload(sys.executable, "-c", ASK, *wanted, env={"TSPROXY_MAP": path}).good().splitlines()
    assert all(line.split()[1] != "-" and line.split()[2] == "ECONNREFUSED" for line in lines), lines

# SPDX-License-Identifier: MIT
"""A map that is damaged, or something else in its place: what is asked of it is answered rightly or refused, and soon."""
import json
import os
import stat
import subprocess
import sys

from harness import NAME1, NODE1, SUFFIX, Skip, test, whole_user_namespace
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
    try:
        socket.getnameinfo((address, 0), 0)
    except OSError:
        pass
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
    size, wanted, refused, log = os.stat(path).st_size, [str(n) for n in range(1, nodes, step)], 0, ""
    for at in range(size // 40, size - size // 20, size // 20):
        flip(path, at)
        done = t.preload(sys.executable, "-c", ASK, *wanted, env={"TSPROXY_MAP": path, "TSPROXY_LOG": "info"})
        log += done.err
        flip(path, at)
        lines = [line.split() for line in done.good().splitlines()]
        assert len(lines) == len(wanted) and all(line[-1] == "True" for line in lines), done
        refused += sum(line[1] == "-" or line[2] == "EHOSTUNREACH" for line in lines)
        assert any(line[1] != "-" and line[2] == "ECONNREFUSED" for line in lines), (at, done)
    assert refused, "no damage was met"
    assert ": the map is damaged at this name: not looked up" in log and " an address: the map" in log and ": the map is damaged\n" in log, log
    lines = t.preload(sys.executable, "-c", ASK, *wanted, env={"TSPROXY_MAP": path}).good().splitlines()
    assert all(line.split()[1] != "-" and line.split()[2] == "ECONNREFUSED" for line in lines), lines


# Looks a name up, and a far side's, and connects without blocking; then says how long all that took.
ASK_ONCE = f"""
import errno, select, socket, time
begun = time.monotonic()
def found(name):
    try:
        return socket.getaddrinfo(name, 80, socket.AF_INET)[0][4][0]
    except socket.gaierror:
        return "-"
s = socket.socket()
s.setblocking(False)
error = s.connect_ex(("{NODE1}", 3000))
select.select([], [s], [], 3)
error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if error == errno.EINPROGRESS else error
print(found("{NAME1}"), errno.errorcode.get(error, "0"), found("db.far.example"), time.monotonic() - begun)
"""


def in_the_way(path, kind):
    """Puts something there that is no file. False where that takes more rights."""
    subprocess.run(["rm", "-rf", path], check=True)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        os.mkdir(path, 0o700)
    elif kind == "link":
        os.symlink("/run/victim", path)
    else:
        try:
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            return False
    return True


@test("a FIFO, a folder, a link or a device in the place of the map, or of what lies beside it: nobody waits for it, or follows it")
def kinds(t):
    t.tailnet()
    t.page(3000)
    t.dns()
    victim = t.file("/run/victim", "precious")
    env = {"TSPROXY_REMOTE_NAME": "far.example", "TSPROXY_MAP": f"{t.dir}/maps/x.map"}
    path = env["TSPROXY_MAP"]
    for name in "x.map", "x.map.refresh", "x.map.lock", "x.map.new", "x.map.auth", "remote.names", "remote.lock":
        for kind in "fifo", "folder", "link", "device":
            for run in t.preload, t.tsproxy:
                subprocess.run(["rm", "-rf", os.path.dirname(path)], check=True)
                if name not in ("x.map", "x.map.refresh"):
                    t.launcher("sync", env=env).good()
                if not in_the_way(os.path.join(os.path.dirname(path), name), kind):
                    continue
                done = run(sys.executable, "-c", ASK_ONCE, env=env, timeout=20)
                name1, error, far, seconds = done.good().split()
                what = (name, kind, run.__name__, done)
                assert name1 in (NODE1, "-") and error in ("0", "EHOSTUNREACH") and (name1 == "-") == (error != "0"), what
                assert far == "-" or far.startswith("198.19."), what
                assert float(seconds) < 6 and done.seconds < 9, what
                # A file cannot take a folder's place; and what is no file says nothing of who makes the map.
                assert name1 == NODE1 or name in ("x.map.refresh", "x.map.lock") or (name, kind) == ("x.map", "folder"), what
            done = t.launcher("sync", env=env)
            assert done.seconds < 5 and done.err.count("\n") <= 2, (name, kind, done)
            assert name != "x.map.lock" or done.bad("x.map.lock is not a file: remove it", status=1)
            with open(victim) as f:
                assert f.read() == "precious", (name, kind)


@test("a log or a trace that is a FIFO nobody reads, a folder or a device: no program waits for it")
def logs(t):
    t.tailnet()
    t.page(3000)
    for kind in "fifo", "folder", "device":
        place = os.path.join(t.dir, "log", kind)
        if not in_the_way(place, kind):
            continue
        for env in {"TSPROXY_LOG": f"debug:{place}"}, {"TSPROXY_TRACE": place}:
            done = t.preload(sys.executable, "-c", ASK_ONCE, env=env, timeout=20)
            assert done.good().split()[:2] == [NODE1, "0"] and done.seconds < 9, (kind, env, done)

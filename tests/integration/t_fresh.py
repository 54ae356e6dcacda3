# SPDX-License-Identifier: MIT
"""Freshness: the watch that keeps the map current, and what becomes of programs when the daemon changes."""
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import time

from harness import API, NAME1, NODE1, ROOT, SUFFIX, test, until
from maps import MAP, age

CURRENT = 2         # include/tsproxy/refresh.h
LOOK_UP = """
import socket, sys
for line in sys.stdin:
    try:
        print(socket.getaddrinfo(line.strip(), 80, socket.AF_INET)[0][4][0], flush=True)
    except socket.gaierror:
        print("-", flush=True)
"""
CONNECT = """
import errno, socket, sys
s = socket.socket()
print(errno.errorcode.get(s.connect_ex((sys.argv[1], int(sys.argv[2]))), "0"))
"""


def is_current(path=MAP):
    """Whether a watch says that the map is what the daemon last said."""
    try:
        with open(path + ".refresh", "rb") as f:
            lock = struct.pack("hhqqi", fcntl.F_WRLCK, 0, CURRENT, 1, 0)
            return struct.unpack("hhqqi", fcntl.fcntl(f, 36, lock))[0] != fcntl.F_UNLCK    # F_OFD_GETLK
    except FileNotFoundError:
        return False


def watch(t, *options):
    return t.spawn([t.build("tsproxy"), *options, "sync", "--watch"], is_current)


def change(t, option, value):
    """Changes the simulated tailnet."""
    t.run(["curl", "-sS", "-f", "--unix-socket", API, f"http://local/sim/{option}?{value}"]).good()


class Follower:
    """A program that runs all the time and looks names up."""

    def __init__(self, t, *options):
        self.p = subprocess.Popen([t.build("tsproxy"), *options, "--", sys.executable, "-c", LOOK_UP], env=t.env, text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, name):
        self.p.stdin.write(name + "\n")
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()


@test("sync --watch: a node that joins is known within a second, to a running program and to the next")
def watch_joins(t):
    t.tailnet()
    asked = t.dns()
    watch(t)
    follower = Follower(t)
    assert follower.ask(NAME1) == NODE1 and follower.ask("newcomer") == "-"
    asked.clear()
    begun = time.monotonic()
    change(t, "node", "newcomer,100.64.0.5")
    until(lambda: follower.ask("newcomer") == "100.64.0.5", "newcomer", 5)
    took = time.monotonic() - begun
    assert took < 1, f"known after {took:.2f} s"
    t.tsproxy("getent", "ahostsv4", "newcomer").good("100.64.0.5")
    change(t, "node", "newcomer,100.64.0.6")
    until(lambda: follower.ask("newcomer") == "100.64.0.6", "its new address", 1)


@test("sync --watch: however old its map is, no program asks the daemon; without it they do")
def watch_spares(t):
    sim = t.tailnet()
    t.dns()
    process = watch(t)
    follower = Follower(t)
    assert follower.ask(NAME1) == NODE1
    age(MAP, 3600)
    before = sim.stats()["localapi"]
    made = os.stat(MAP).st_ino
    for _ in range(3):
        t.tsproxy("getent", "ahostsv4", NAME1).good(NODE1)
        assert follower.ask(NAME1) == NODE1 and follower.ask("nobody") == "-"
    assert sim.stats()["localapi"] == before and os.stat(MAP).st_ino == made
    process.kill()
    process.wait()
    assert not is_current()
    t.tsproxy("getent", "ahostsv4", NAME1).good(NODE1)
    until(lambda: os.stat(MAP).st_ino != made, "a map made by the launcher")


@test("a map that is cut short under a running program harms nobody, of whatever size it is")
def cut_short(t):
    t.tailnet()
    t.dns()
    for nodes in 10, 5000:
        peers = {f"k{i}": {"HostName": f"n{i}", "DNSName": f"n{i}.{SUFFIX}.",
                           "TailscaleIPs": [f"100.64.{i // 250}.{i % 250 + 1}"]} for i in range(nodes)}
        status = t.file(f"{nodes}.json", json.dumps({"BackendState": "Running", "MagicDNSSuffix": SUFFIX, "Peer": peers}))
        follower = Follower(t, "--status", status)
        assert follower.ask("n0") == "100.64.0.1"
        path, = [os.path.join(os.path.dirname(MAP), name) for name in os.listdir(os.path.dirname(MAP)) if name.endswith(".map")]
        for size in 8192, 100, 0:
            os.truncate(path, size)
            # The names of these lie all over it. Some are asked before the file is looked at again, some after.
            until(lambda: time.time() - os.stat(path).st_mtime > 0.2 or ask_some(follower, nodes), "a while of asking")
            ask_some(follower, nodes)
        follower.p.stdin.close()
        assert follower.p.wait() == 0
        os.unlink(path)


def ask_some(follower, nodes):
    for i in range(0, nodes, nodes // 10):
        assert follower.ask(f"n{i}") == f"100.64.{i // 250}.{i % 250 + 1}"


@test("sync --watch outlives the daemon, and does not call the map current while that is away")
def watch_restart(t):
    first = t.tailnet()
    t.dns()
    process = watch(t)
    follower = Follower(t)
    assert follower.ask(NAME1) == NODE1
    first.process.terminate()
    first.process.wait()
    until(lambda: not is_current(), "the map is no longer current")
    assert follower.ask(NAME1) == NODE1
    t.tailnet("--node", "me,100.64.0.1,self", "--node", "newcomer,100.64.0.5")
    until(is_current, "a current map again")
    until(lambda: follower.ask("newcomer") == "100.64.0.5", "the new daemon's node", 1)
    assert process.poll() is None


@test("sync --watch: a second one is refused; another profile's is not")
def watch_twice(t):
    t.tailnet()
    process = watch(t)
    t.launcher("sync", "--watch").bad("another tsproxy sync --watch", status=1)
    t.spawn([t.build("tsproxy"), "-p", "work", "sync", "--watch"],
            lambda: is_current(MAP.replace("default", "work")))
    process.kill()
    process.wait()
    watch(t)
    t.launcher("--status", t.status_file(), "sync", "--watch").bad("--watch needs a daemon", status=2)
    t.launcher("sync", "--watch", "--print").bad(status=2)


@test("sync --watch that is stopped from the keyboard gives the map up, and takes it again")
def watch_stopped(t):
    t.tailnet()
    process = watch(t)
    process.send_signal(signal.SIGTSTP)
    until(lambda: not is_current(), "the map is no longer current")
    change(t, "node", "newcomer,100.64.0.5")
    process.send_signal(signal.SIGCONT)
    until(is_current, "a current map again")
    t.tsproxy("getent", "ahostsv4", "newcomer").good("100.64.0.5")
    process.terminate()
    assert process.wait() == -signal.SIGTERM


@test("sync --watch begins before the daemon is there, and without a proxy makes names at least")
def watch_early(t):
    process = t.spawn([t.build("tsproxy"), "sync", "--watch"], lambda: True)
    follower = Follower(t)
    t.dns()
    assert follower.ask(NAME1) == "-"
    t.sim("--socks5", "9999", api=API)
    until(lambda: follower.ask(NAME1) == NODE1, "a map without a proxy")
    assert not is_current() and process.poll() is None
    t.sim("--socks5", "1080")
    until(is_current, "a map with a proxy")
    said = open(os.path.join(t.dir, "0-tsproxy.log")).read().splitlines()
    assert len([line for line in said if "no tailscaled" in line and "give its socket with --socket; waiting for it" in line]) == 1, said


@test("the daemon is stopped, starts again, logs out, gets a TUN device: running programs follow")
def watch_states(t):
    t.tailnet()
    t.dns()
    watch(t)
    t.page(3000)

    def ends():
        return t.tsproxy(sys.executable, "-c", CONNECT, NODE1, "3000").good().strip()
    assert ends() == "0"
    for state, how in (("Stopped", "ENETUNREACH"), ("Running", "0"), ("NeedsLogin", "ENETUNREACH"), ("Running", "0")):
        change(t, "state", state)
        until(lambda how=how: ends() == how, f"{how} when {state}", 2)
    change(t, "tun", "1")
    # Here no kernel has the route: what steps aside finds no network.
    until(lambda: ends() == "ENETUNREACH", "stepping aside", 2)
    assert "kernel" in t.launcher("resolve", NODE1).out


@test("another account: a running program has the new tailnet's names, not the old one's, and the old addresses are not carried")
def other_account(t):
    first = t.tailnet()
    asked = t.dns()
    watch(t)
    t.page(3000)
    follower = Follower(t)
    assert follower.ask(NAME1) == NODE1
    first.process.terminate()
    first.process.wait()
    until(lambda: not is_current(), "the map is no longer current")
    t.tailnet("--suffix", "tailbeef.ts.net", "--node", "me,100.64.0.1,self", "--node", "theirs,100.64.0.5")
    until(is_current, "a current map again")
    until(lambda: follower.ask("theirs.tailbeef.ts.net") == "100.64.0.5", "the other tailnet's node", 1)
    asked.clear()
    assert follower.ask(f"{NAME1}.tailbeef.ts.net") == "-" and not asked, asked
    assert follower.ask(NAME1) == "-"
    assert "not in the tailnet" in t.launcher("resolve", NODE1).out
    assert t.tsproxy(sys.executable, "-c", CONNECT, NODE1, "3000").good().strip() == "ENETUNREACH"     # the kernel's word
    t.tsproxy("curl", "-sS", "http://theirs:3000/").good("a page")


@test("a node that is offline or whose key has expired keeps its name; a connect there ends as the daemon says, as timed out")
def away(t):
    t.tailnet("--dial-timeout", "50", "--node", "me,100.64.0.1,self", "--node", "gone,100.64.0.3,offline", "--node",
              "old,100.64.0.4,expired", "--node", "there,100.64.0.5")
    t.dns()
    t.page(3000)
    watch(t)
    for name, address in ("gone", "100.64.0.3"), ("old", "100.64.0.4"):
        t.tsproxy("getent", "ahostsv4", name).good(address)
        assert t.tsproxy(sys.executable, "-c", CONNECT, name, "3000").good().strip() == "ETIMEDOUT"
    # One that goes away, and one that comes back, while the watch runs.
    change(t, "node", "there,100.64.0.5,offline")
    until(lambda: t.tsproxy(sys.executable, "-c", CONNECT, "there", "3000").good().strip() == "ETIMEDOUT", "there is away", 5)
    change(t, "node", "gone,100.64.0.3")
    t.tsproxy("curl", "-sS", "http://gone:3000/").good("a page")


@test("subnet routes are carried while the daemon takes them; what it only lists is left alone")
def accept_routes(t):
    t.tailnet("--node", "me,100.64.0.1,self", "--node", "router,100.64.0.2,route=10.20.0.0/16,route=fd7a:115c:a1e0:b1a:0:7::/96",
              "--others", "refuse")
    t.page(3000)
    watch(t)
    for host in "10.20.1.1", "[fd7a:115c:a1e0:b1a:0:7:a14:101]":
        t.tsproxy("curl", "-sS", f"http://{host}:3000/").good("a page")
    change(t, "accept-routes", "no")
    # The IPv6 range is Tailscale's alone: what no node has there is refused.
    for address, said in ("10.20.1.1", "not in the tailnet"), ("fd7a:115c:a1e0:b1a:0:7:a14:101", "no node has this address: connections fail"):
        until(lambda address=address, said=said: said in t.launcher("resolve", address).out, "a map without routes", 2)
    # Nothing else has a route there.
    t.tsproxy("curl", "-sS", "http://10.20.1.1:3000/").bad(status=7)
    assert "not accepted" in t.launcher("status").good() and '"accept-routes": false' in t.launcher("status", "--json").good()


@test("make install makes the user units, with the programs' folder in them, and puts them where systemd looks")
def units(t):
    # In a build folder of its own: the programs would be built anew for another prefix, under the other tests.
    make = ["make", "-s", "-C", ROOT, f"B={t.dir}", "prefix=/opt/ts"]
    listed = t.run([*make, "-n", "install"]).good()
    for name, words in ("tsproxy-sync", "tsproxy sync --watch"), ("tsproxy-sync@", "tsproxy -p %i sync --watch"):
        t.run([*make, f"{t.dir}/systemd/{name}.service"]).good()
        with open(f"{t.dir}/systemd/{name}.service") as f:
            assert f"ExecStart=/opt/ts/bin/{words}\n" in f.read()
        assert f"{t.dir}/systemd/{name}.service" in listed and "/opt/ts/share/systemd/user" in listed


@test("logged out: what were the tailnet's names exist nowhere, and are asked of nobody, until the daemon is back; two tailnets by turns")
def logged_out(t):
    t.tailnet("--suffix", "a.ts.net", "--node", "me,100.64.0.1,self", "--node", "db,100.64.0.2", "--dns-route", "corp.example=10.0.0.53",
              "--extra", "wiki.intern.example=100.64.0.9")
    asked = t.dns({"www.example.com": "192.0.2.1", "db.a.ts.net": "192.0.2.66", "x.corp.example": "192.0.2.67",
                   "wiki.intern.example": "192.0.2.68", "db.b.ts.net": "192.0.2.69", "node.public.ts.net": "192.0.2.2"})
    names = ["db.a.ts.net", "none.a.ts.net", "x.corp.example", "wiki.intern.example"]
    watch(t)
    follower = Follower(t)

    def gone():
        asked.clear()
        return all(follower.ask(name) == "-" for name in names) and not asked

    def withheld(state):
        # One that is only stopped still lists its nodes.
        return gone() if state != "Stopped" else not any(follower.ask(name).startswith("192.") for name in names) and not asked
    assert follower.ask("db.a.ts.net") == "100.64.0.2" and follower.ask("wiki.intern.example") == "100.64.0.9"
    for state in "NeedsLogin", "Stopped", "NoState":
        change(t, "state", state)
        asked.clear()
        until(lambda state=state: withheld(state), f"the end of the names when {state}", 5)
        # To a program that starts then, too, and all others are what they are.
        assert t.tsproxy("getent", "hosts", "none.a.ts.net").status == 2 and not asked, asked
        assert follower.ask("www.example.com") == "192.0.2.1" and follower.ask("node.public.ts.net") == "192.0.2.2"
        change(t, "state", "Running")
        until(lambda: follower.ask("db.a.ts.net") == "100.64.0.2", "the node again", 5)
    # As another tailnet the first one's names are public DNS's, if it has them; logged out, nobody's again.
    change(t, "suffix", "b.ts.net")
    until(lambda: follower.ask("db.b.ts.net") == "100.64.0.2", "the other tailnet", 5)
    assert follower.ask("db.a.ts.net") == "192.0.2.66"
    change(t, "state", "NeedsLogin")
    names.append("db.b.ts.net")
    until(gone, "the end of both tailnets' names", 5)

# SPDX-License-Identifier: MIT
"""No usable map: what is a tailnet's fails with an honest error, and nothing of it reaches the kernel or a name server.

The namespace has no route, so a call that reaches the kernel fails with ENETUNREACH, and one that is refused with EHOSTUNREACH.
make check-leaks looks at the wire instead, in many more states.
"""
import contextlib
import os
import socket
import subprocess
import sys

from harness import API, FQDN1, NAME1, NODE1, NODE1_V6, test, whole_user_namespace
from maps import FOLDER, MAP, SPOILT, age, make_map

# Prints what each call comes to: TCP and UDP to the addresses given, then each name given. In a chroot, if TEST_ROOT says so; with
# TEST_LIMIT, without room for another descriptor.
CLIENT = """
import errno, os, resource, socket, sys
names = [v for v in sys.argv[1:] if not v[0].isdigit() and ":" not in v]
code = lambda e: errno.errorcode.get(e, "connected" if e == 0 else str(e))
"x".encode("idna"), socket.gethostbyname("localhost")
if "TEST_ROOT" in os.environ:
    os.chroot(os.environ["TEST_ROOT"]), os.chdir("/")
for ip in sys.argv[1:]:
    if ip in names:
        continue
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    stream, datagram = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
    if "TEST_LIMIT" in os.environ:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (datagram.fileno() + 1, hard))
    print(ip, code(stream.connect_ex((ip, 3000))), end=" ")
    try:
        datagram.sendto(b"x", (ip, 3000))
        print("sent")
    except OSError as e:
        print(code(e.errno))
    if "TEST_LIMIT" in os.environ:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
for name in names:
    try:
        print(name, socket.getaddrinfo(name, 80)[0][4][0])
    except socket.gaierror as e:
        print(name, {socket.EAI_AGAIN: "EAI_AGAIN", socket.EAI_NONAME: "EAI_NONAME"}.get(e.errno, e))
"""
OURS = [NODE1, NODE1_V6]
REFUSED = [f"{ip} EHOSTUNREACH EHOSTUNREACH" for ip in OURS]
WITHHELD = [f"{FQDN1} EAI_AGAIN"]


# The same of one address in a program that needs little memory and is there for every user.
DIAL = f": < /dev/tcp/{NODE1}/3000"


def client(*what):
    return [sys.executable, "-c", CLIENT, *what]


def lines(done):
    return done.good().splitlines()


def refused(t, run, env=None, **more):
    """Neither address nor name gets anywhere, and no name server hears of it."""
    done = run(*client(*OURS, FQDN1), env={"TSPROXY_LOG": "info", **(env or {})}, **more)
    assert lines(done) == REFUSED + WITHHELD, done
    assert NODE1 in done.err, f"the log does not say why: {done}"
    return done.err


@test("the launcher before the daemon is up: refused, by the same command again once it is up not")
def launcher_first(t):
    asked = t.dns({"www.example.com": "192.0.2.1"})
    refused(t, t.tsproxy)
    assert lines(t.tsproxy(*client("www.example.com"))) == ["www.example.com 192.0.2.1"]
    assert set(asked) == {"www.example.com"}, asked
    t.page(3000)
    t.tailnet()
    assert lines(t.tsproxy(*client(NODE1)))[0].startswith(f"{NODE1} connected")


@test("LD_PRELOAD alone: the first use of an address, or of a name, waits for a map")
def first_use(t):
    t.tailnet()
    t.page(3000)
    for what in NODE1, FQDN1:
        done = t.preload(*client(what))
        assert lines(done)[0] in (f"{NODE1} connected sent", f"{FQDN1} {NODE1_V6}", f"{FQDN1} {NODE1}"), done
        subprocess.run(["rm", "-r", FOLDER], check=True)


@test("LD_PRELOAD alone, a daemon that does not answer: the first use waits a second, others and other threads do not add to it")
def silent_daemon(t):
    os.makedirs(os.path.dirname(API), exist_ok=True)
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(API)
        daemon.listen(64)
        done = t.preload(*client(*OURS * 3))
    assert lines(done) == REFUSED * 3 and 0.9 < done.seconds < 9, (done, done.seconds)


@test("a daemon that starts after a refresh has failed is found at once, not a minute later")
def late_daemon(t):
    env = {"TSPROXY_LOG": "debug"}
    assert lines(t.preload(*client(NODE1), env=env)) == [f"{NODE1} ENETUNREACH ENETUNREACH"]
    assert os.path.exists(f"{MAP}.refresh") and not os.path.exists(MAP)
    t.tailnet()
    t.page(3000)
    begun = os.stat(f"{MAP}.refresh").st_mtime
    os.utime(f"{MAP}.refresh", (begun - 3, begun - 3))     # as if the pause between two refreshes were over
    assert lines(t.preload(*client(NODE1), env=env)) == [f"{NODE1} connected sent"]


@test("children of the launcher find the map with another HOME, without one, and with another profile's settings")
def other_home(t):
    t.tailnet()
    t.page(3000)
    for place in {}, {"XDG_RUNTIME_DIR": None}:
        for change in ["HOME=/run/nowhere", "XDG_RUNTIME_DIR="], ["-u", "HOME", "-u", "XDG_RUNTIME_DIR"], ["HOME=/dev/null"]:
            done = t.tsproxy("env", *change, *client(NODE1), env=place)
            assert lines(done) == [f"{NODE1} connected sent"], done
            assert not os.path.exists("/run/nowhere")
    other = t.status_file("--node", "here,100.64.0.1,self", "--node", "elsewhere,100.64.0.9")
    nested = [t.build("tsproxy"), "-p", "work", "--status", other, "--", "getent", "hosts", "elsewhere"]
    t.tsproxy("env", "HOME=/run/nowhere", *nested).good("100.64.0.9")
    if whole_user_namespace():
        # A place that another user's launcher left is not this one's.
        t.tsproxy("setpriv", "--reuid=65534", "--clear-groups", "env", f"HOME={t.unprivileged_dir('home')}", "XDG_RUNTIME_DIR=",
                  t.build("tsproxy"), "--", "getent", "ahostsv4", NAME1).good(NODE1)


@test("a map that is there and cannot be used: refused, though nothing else tells of a tailnet")
def spoilt(t):
    asked = t.dns()
    for what, do in SPOILT.items():
        if what == "somebody else's" and not whole_user_namespace():
            continue
        make_map(t)
        with contextlib.suppress(PermissionError):  # no device without the right to make one
            do()
            assert "the map cannot be used" in refused(t, t.preload)
        subprocess.run(["rm", "-r", FOLDER], check=True)
    assert not asked, asked


@test("a map that a process has no room for, no descriptor left for, or no right to open")
def out_of_reach(t):
    t.dns()
    make_map(t)
    done = t.preload(*client(*OURS), env={"TEST_LIMIT": "1"})
    assert lines(done) == REFUSED, done
    if os.getuid() == 0 and whole_user_namespace():
        t.run([*t.unprivileged(["env", f"LD_PRELOAD={t.build('libtsproxy.so')}", "bash", "-c", DIAL])]).bad("No route to host")
    t.launcher("sync", env={"TSPROXY_STATUS": t.status_file("--node", "me,100.127.0.1,self", "--many", "4000"), "TSPROXY_MAP": MAP})
    assert os.stat(MAP).st_blocks > 256, "this map is no large one"
    t.preload("bash", "-c", f"ulimit -v 30000; {DIAL}").bad("No route to host")


@test("settings that lead nowhere mean a tailnet all the same; so do a config file, a daemon's socket, and a root without any of these")
def told(t):
    asked, nowhere = t.dns(), "/run/no/such/folder"
    for name, value in (("MAP", f"{nowhere}/x.map"), ("PLACE", nowhere), ("PROFILE", "other"), ("STATUS", f"{nowhere}/status"),
                        ("SOCKET", f"{nowhere}/sock"), ("ROUTE", "192.0.2.0/24"), ("EXIT_NODE", "1")):
        refused(t, t.preload, {f"TSPROXY_{name}": value})
    refused(t, t.preload, {"TS_SOCKET": f"{nowhere}/sock"})
    t.file("home/.config/tsproxy/tsproxy.conf", "")
    refused(t, t.preload)
    os.unlink(f"{t.home}/.config/tsproxy/tsproxy.conf")
    os.makedirs("/run/tailscale")
    socket.socket(socket.AF_UNIX).bind(API)
    refused(t, t.preload)
    os.unlink(API)
    os.makedirs(f"{t.dir}/root")
    done = t.preload(*client(*OURS), env={"TEST_ROOT": f"{t.dir}/root"})
    assert lines(done) == REFUSED, done
    assert not asked, asked


@test("nothing tells of a tailnet: 100.64.0.0/10 is the kernel's, what only tailnets have is not")
def nothing(t):
    asked = t.dns()
    done = t.preload(*client(*OURS, FQDN1, NAME1))
    assert lines(done) == [f"{NODE1} ENETUNREACH ENETUNREACH", REFUSED[1], *WITHHELD, f"{NAME1} EAI_NONAME"], done
    assert set(asked) == {NAME1}, asked
    for ip, is_asked in ("100.90.56.90", True), ("fd7a:115c:a1e0::385a", False), ("100.128.0.1", True), ("100.63.0.1", True):
        asked.clear()
        t.preload("getent", "hosts", ip)
        assert bool(asked) == is_asked, (ip, asked)
        asked.clear()
        t.preload("getent", "hosts", ip, env={"TSPROXY_PROFILE": "x"})
        assert bool(asked) == (is_asked and ip != NODE1), (ip, asked)
    # A search domain that is a tailnet's.
    with open("/etc/resolv.conf", "a") as f:
        f.write("search tail1.ts.net example.com\n")
    asked.clear()
    assert lines(t.preload(*client(NAME1))) == [f"{NAME1} EAI_NONAME"]
    assert f"{NAME1}.example.com" in asked and not [name for name in asked if name.endswith("ts.net")], asked


@test("an address that is newer than the map waits for a fresher one before it is left to the kernel; one of the IPv6 range never is")
def newer(t):
    t.tailnet()
    t.page(3000)
    status = t.status_file("--node", "here,100.64.0.1,self")
    env = {"TSPROXY_STATUS": status, "TSPROXY_MAP": MAP, "TSPROXY_SOCKS5": "127.0.0.1:1080"}
    t.launcher("sync", env=env).good()
    assert lines(t.preload(*client(*OURS), env=env)) == [f"{NODE1} ENETUNREACH ENETUNREACH", REFUSED[1]]
    t.status_file("--node", "here,100.64.0.1,self", "--node", f"there,{NODE1},{NODE1_V6}")
    age(MAP, 3)
    done = t.preload(*client(NODE1, NODE1_V6), env=env)
    assert lines(done) == [f"{NODE1} connected sent", f"{NODE1_V6} connected sent"], done
    t.launcher("resolve", "fd7a:115c:a1e0::ffff", env=env).bad("no node has this address: connections fail", status=1)

# SPDX-License-Identifier: MIT
"""What the library logs (TSPROXY_LOG): each line by what leads to it."""
import os
import shutil
import socket
import subprocess
import sys

from harness import API, FQDN1, NAME1, NODE1, NODE1_V6, echo, test, until
from maps import MAP

DEBUG = {"TSPROXY_LOG": "debug"}


def logged(t, program, *words, run=None, options=(), env=None):
    """The log of a Python program; that it ends well is not asked."""
    more = {"options": options} if options else {}
    return (run or t.tsproxy)(sys.executable, "-c", f"import ctypes, os, socket, sys\n{program}", *words, env={**DEBUG, **(env or {})}, **more).err


def has(log, *texts):
    for text in texts:
        assert text in log, f"no {text!r}: {log}"


CONNECT = "s = socket.socket()\ntry: s.connect((sys.argv[1], 3000))\nexcept OSError: pass\n"
SEND = ("s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)\n{}\n"
        "try: s.sendto(b'x', (sys.argv[1], 3002))\nexcept OSError: pass\n")


@test("log: settings that a program itself finds wrong")
def settings(t):
    for name, value, says in (("DNS_ROUTE", ",".join(["a.example=10.0.0.1"] * 100), "TSPROXY_DNS_ROUTE is longer than 1023 bytes: the rest is ignored"),
                              ("DNS_ROUTE", "words", "TSPROXY_DNS_ROUTE: an entry that is not SUFFIX=SERVER is ignored"),
                              ("ROUTE", "words", "TSPROXY_ROUTE or TSPROXY_EXCLUDE has an invalid prefix, or more than")):
        has(t.preload("true", env={"TSPROXY_LOG": "warn", f"TSPROXY_{name}": value}).err, says)


@test("log: a connection, one that another program goes on with, one that no proxy can carry")
def connections(t):
    sim = t.tailnet("--delay", "200")
    t.listen(3000, echo)
    has(logged(t, CONNECT, NODE1), f": connecting to {NODE1}:3000 through 127.0.0.1:1080", f": connected to {NODE1}:3000 through 127.0.0.1:1080")
    has(logged(t, f"s = socket.socket(); s.setblocking(False); s.set_inheritable(True); s.connect_ex(('{NODE1}', 3000))\n"
                  "os.execv(sys.executable, [sys.executable, '-c', 'import select, socket; "
                  "s = socket.socket(fileno=%d); select.select([], [s], [])' % s.fileno()])"), f": continues connecting to {NODE1}:3000 through")
    has(logged(t, "import threading\nt = threading.Thread(target=lambda: (ctypes.CDLL(None).unshare(0x400), socket.socket().connect_ex((sys.argv[1], 3000))))\n"
                  "t.start(); t.join()", NODE1), "threads have separate tables of descriptors")
    sim.process.terminate()
    sim.process.wait()
    shutil.rmtree("/run/tsproxy")
    t.sim("--socks5", "0", api=API)
    has(logged(t, CONNECT, NODE1), f"{NODE1}:3000: EHOSTUNREACH: ", "no proxy is known\n")


@test("log: datagrams, and sockets that cannot send any to the tailnet")
def datagrams(t):
    sim = t.tailnet()
    has(logged(t, SEND.format(""), NODE1), "proxy 127.0.0.1:1080 relays datagrams at 127.0.0.1:")
    has(logged(t, SEND.format("s.setsockopt(socket.SOL_SOCKET, 42, 0)  # SO_PEEK_OFF"), NODE1), ": SO_PEEK_OFF is set: cannot send to the tailnet")
    has(logged(t, SEND.format("b = ctypes.create_string_buffer(bytes([6, 0, 0, 0, 255, 255, 0, 0]))  # lets everything pass\n"
                              "import struct\ns.setsockopt(socket.SOL_SOCKET, 26, struct.pack('HxxxxxxQ', 1, ctypes.addressof(b)))\n"
                              "s.setsockopt(socket.SOL_SOCKET, 44, 1)  # SO_LOCK_FILTER"), NODE1), ": a socket filter is set or locked: cannot send to the tailnet")
    t.run(["ip", "addr", "add", "fd00:99::2/128", "dev", "lo", "nodad"]).good()
    has(logged(t, SEND.format("s.bind(('fd00:99::2', 0))"), NODE1_V6), "bound to an IPv6 address or IPv6-only: cannot reach the proxy 127.0.0.1:1080")
    sim.process.terminate()
    sim.process.wait()
    sim = t.sim("--socks5", "1080", "--no-udp")
    has(logged(t, SEND.format(""), NODE1), "proxy 127.0.0.1:1080: UDP association failed: ")
    sim.process.terminate()
    sim.process.wait()
    shutil.rmtree("/run/tsproxy")
    t.sim("--http", "3128", api=API)
    has(logged(t, SEND.format(""), NODE1), ": no proxy with UDP support is known")


@test("log: names that are kept from others, a placeholder of none, rcmd, a library of RTLD_DEEPBIND")
def names(t):
    t.need("gcc")
    t.tailnet("--dns-route", "doh.example=https://dns.example/query")
    t.dns()
    has(logged(t, "try: socket.getaddrinfo('a.doh.example', 1)\nexcept OSError: pass"),
        "a.doh.example: its name servers support only DNS over HTTPS: not looked up")
    has(logged(t, CONNECT, "100.100.100.100"), "the daemon's own service address is not reachable through a proxy")
    has(logged(t, "socket.getaddrinfo(sys.argv[1], 1)", NAME1.replace("-", "\\045")), f": means {NAME1}: not sent to public DNS")
    has(logged(t, CONNECT, "198.19.64.1", options=["--remote-name", "corp.example"]), "this placeholder stands for no name")
    has(logged(t, "name = ctypes.c_char_p(sys.argv[1].encode())\n"
                  "ctypes.CDLL(None).rcmd(ctypes.byref(name), 514, b'a', b'b', b'c', None)", FQDN1), f"{FQDN1}: rcmd and rexec cannot connect to the tailnet")
    t.run(["gcc", "-shared", "-fPIC", "-o", "deep.so", t.file("deep.c", "#include <sys/socket.h>\nint deep(int fd) { return connect(fd, 0, 0); }\n")]).good()
    has(logged(t, "ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW | os.RTLD_DEEPBIND).deep(-1)", f"{t.dir}/deep.so"), " functions hooked for RTLD_DEEPBIND libraries")


@test("log: why there is no map, and a map that is damaged, at a name, at an address, while it is used")
def maps(t):
    env = {"TSPROXY_MAP": MAP}
    t.dns()
    has(logged(t, f"{CONNECT}\ntry: socket.getaddrinfo('{FQDN1}', 1)\nexcept OSError: pass", NODE1),
        "a tailnet is configured, but there is no map of it", f"{FQDN1}: may belong to a tailnet, but there is no map: not looked up")
    t.file("home/.config/tsproxy/tsproxy.conf")
    has(logged(t, CONNECT, NODE1, run=t.preload), "a configuration file exists, but no map could be made")
    os.unlink(f"{t.home}/.config/tsproxy/tsproxy.conf")
    t.file("run/tsproxy/default.map")
    has(logged(t, CONNECT, NODE1, run=t.preload, env={"XDG_RUNTIME_DIR": f"{t.dir}/run"}), "another map exists, but it is not used in this process")
    os.makedirs(f"{t.dir}/root")
    has(logged(t, f"os.chroot('{t.dir}/root')\n{CONNECT}", NODE1, run=t.preload),
        "the process has changed its root directory and cannot find a map or a daemon")
    sim = t.tailnet()
    t.launcher("sync").good()
    sim.process.terminate()
    sim.process.wait()
    has(logged(t, CONNECT, NODE1, run=t.preload), "connecting to")
    # Asked before and after; between, the map's first bytes are another file's.
    log = os.path.join(t.dir, "log")
    p = subprocess.Popen([t.build("tsproxy"), "--", sys.executable, "-c", "import socket, sys\nfor _ in sys.stdin:\n"
                          "  print(len(socket.getaddrinfo(sys.argv[1], 1)), flush=True)", FQDN1],
                         env={**t.env, **env, "TSPROXY_LOG": f"debug:{log}"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def asks():
        p.stdin.write("\n")
        p.stdin.flush()
        return p.stdout.readline()
    assert asks()
    with open(MAP + ".new", "w") as f:
        f.write("no map\n" * 1000)
    os.rename(MAP + ".new", MAP)
    until(lambda: asks() and "still using the last good one" in open(log).read(), "word of the bad map")
    p.stdin.close()
    assert p.wait(15) == 0


# Lets every call pass, which the library takes for a sandbox all the same.
SANDBOX = ("import struct\nb = ctypes.create_string_buffer(bytes([6, 0, 0, 0, 0, 0, 255, 127]))\n"
           "p = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 1, ctypes.addressof(b)))\n"
           "libc = ctypes.CDLL(None)\nlibc.prctl(38, 1, 0, 0, 0)\nassert libc.prctl(22, 2, p, 0, 0) == 0\n")


@test("log: a program that puts itself into a sandbox, and a daemon of which no map can be made")
def sandboxed(t):
    os.makedirs(os.path.dirname(API))
    socket.socket(socket.AF_UNIX).bind(API)
    has(logged(t, CONNECT, NODE1, run=t.preload), "a daemon's socket exists, but no map could be made")
    os.unlink(API)
    # From then on it makes no system call of its own, and so writes nothing.
    log = logged(t, f"{SANDBOX}{CONNECT}", NODE1, run=t.preload)
    has(log, "the program enters a sandbox: no new connections to the tailnet from now on\n")
    assert f"{NODE1}:3000" not in log, log

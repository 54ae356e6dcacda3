# SPDX-License-Identifier: MIT
"""remote-name: names that the far side of the proxy resolves, and the placeholders that stand for them here."""
import os
import struct
import subprocess
import sys

from harness import FQDN1, NODE1, test

TABLE = "/run/tsproxy/remote.names"
SLOTS, SLOT = 16384, 512
REMOTE = ["--remote-name", "corp.example"]
NAMES = ["--name", f"db.corp.example={NODE1}", "--name", f"corp.example={NODE1}"]
LOOK_UP = "import socket, sys; print(*(socket.gethostbyname(name) for name in sys.argv[1:]))"
CLIENT = """
import errno, socket, sys
kind, address = sys.argv[1], (sys.argv[2], 3000)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind != "connect" else socket.SOCK_STREAM)
try:
    s.sendto(b"x", address) if kind == "send" else s.connect(address)
    print(*s.getpeername())
except OSError as e:
    print(errno.errorcode[e.errno])
"""


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return value


def placeholder(t, name, options=REMOTE, **more):
    found = t.tsproxy("getent", "ahostsv4", name, options=options, **more).good().split()[0]
    assert found.startswith("198.19.") and 64 <= int(found.split(".")[2]) < 128, found
    return found


def client(t, *words, options=REMOTE, **more):
    return t.tsproxy(sys.executable, "-c", CLIENT, *words, options=options, **more).good().strip()


@test("a remote name is resolved by the far side, through SOCKS5 and HTTP, and never asked here")
def far_side(t):
    sim = t.tailnet("--node", "me,100.64.0.1,self", "--node", f"there,{NODE1}", *NAMES)
    t.page(3000)
    asked = t.dns()
    for name in "db.corp.example", "DB.Corp.Example.", "corp.example":
        t.tsproxy("curl", "-sS", f"http://{name}:3000/", options=REMOTE).good("a page")
    t.tsproxy("curl", "-sS", "http://db.corp.example:3000/",
              options=[*REMOTE, "--http-proxy", sim.at["http"]]).good("a page")
    # The far side does not know it: a connection that fails, not a name that does.
    t.tsproxy("curl", "-sS", "http://nobody.corp.example:3000/", options=REMOTE).bad(status=7)
    t.launcher(*REMOTE, "resolve", "db.corp.example").out.index("remote")
    assert not asked, asked
    t.tsproxy("curl", "-sS", "http://notcorp.example:3000/", options=REMOTE).bad(status=6)
    t.tsproxy("curl", "-sS", "http://db.corp.example:3000/").bad(status=6)
    assert {"notcorp.example", "db.corp.example"} <= set(asked), asked


@test("a remote name may be a single label, without a map too: it is that name alone")
def single_label(t):
    t.sim("--socks5", "1080", "--node", "me,100.64.0.1,self", "--node", f"there,{NODE1}", "--name", f"db={NODE1}")
    t.page(3000)
    asked = t.dns()
    env = {"TSPROXY_SOCKS5": "127.0.0.1:1080", "TSPROXY_REMOTE_NAME": "db"}
    t.preload("curl", "-sS", "http://db:3000/", env=env).good("a page")
    t.tsproxy("curl", "-sS", "http://DB.:3000/", env=env).good("a page")
    assert "remote" in t.launcher("resolve", "db", env=env).good() and not asked, asked
    t.preload("curl", "-sS", "http://other:3000/", env=env).bad(status=6)
    t.preload("curl", "-sS", "http://notdb:3000/", env=env).bad(status=6)


@test("a suffix with a proxy alone: short names, and names under it, are the far side's")
def suffix(t):
    t.sim("--socks5", "1080", "--node", "me,100.64.0.1,self", "--node", f"there,{NODE1}", "--name", f"db.tail.example={NODE1}")
    t.page(3000)
    asked = t.dns()
    t.file("home/.config/tsproxy/tsproxy.conf", "socks5 = 127.0.0.1:1080\nsuffix = tail.example\n")
    for name in "db", "DB.", "db.tail.example":
        t.tsproxy("curl", "-sS", f"http://{name}:3000/").good("a page")
        assert "remote" in t.launcher("resolve", name).good()
    t.tsproxy("curl", "-sS", "http://nobody:3000/").bad(status=7)
    assert not asked, asked
    t.tsproxy("curl", "-sS", "http://db.other.example:3000/").bad(status=6)
    t.tsproxy("curl", "-sS", "http://db:3000/", env={"TSPROXY_SHORT_NAMES": "0"}).bad(status=6)


@test("a remote name of the config file is one, too")
def configured(t):
    t.tailnet("--node", "me,100.64.0.1,self", "--node", f"there,{NODE1}", *NAMES)
    t.page(3000)
    t.file("home/.config/tsproxy/tsproxy.conf", "remote-name = corp.example\n")
    t.tsproxy("curl", "-sS", "http://db.corp.example:3000/").good("a page")


@test("a placeholder means the same name in every process, over fork, exec and from one to another; and back to its name")
def shared(t):
    t.tailnet("--node", "me,100.64.0.1,self", "--node", f"there,{NODE1}", *NAMES)
    t.page(3000)
    t.dns()
    address = placeholder(t, "db.corp.example")
    assert placeholder(t, "DB.corp.example.", env={"TSPROXY_PROFILE": "other"}) == address
    t.tsproxy("curl", "-sS", f"http://{address}:3000/", options=REMOTE).good("a page")
    t.tsproxy("sh", "-c", f"(curl -sS http://$(getent ahostsv4 db.corp.example | head -n 1 | cut -d ' ' -f 1):3000/)",
              options=REMOTE).good("a page")
    assert client(t, "connect", address) == f"{address} 3000"
    t.tsproxy("getent", "hosts", address, options=REMOTE).good("db.corp.example")
    # Root's, as its map, for who gives up root; but who may read it must not be able to lock it.
    assert os.stat(TABLE).st_mode & 0o777 == 0o644
    assert os.stat(TABLE.replace("names", "lock")).st_mode & 0o777 == 0o600


@test("a connect to a placeholder that is under way goes on in the program that its socket is given to")
def crossing(t):
    t.tailnet("--node", "me,100.64.0.1,self", "--node", f"there,{NODE1}", "--no-pipeline", "--delay", "300", *NAMES)
    t.page(3000)
    t.dns()
    program = ("import os, socket, sys\ns = socket.socket()\ns.setblocking(False)\ns.set_inheritable(True)\n"
               "s.connect_ex((socket.gethostbyname('db.corp.example'), 3000))\n"
               "os.execv(sys.executable, [sys.executable, '-c', 'import socket, select\\n"
               "s = socket.socket(fileno=%d)\\nselect.select([], [s], [])\\n"
               "s.setblocking(True)\\ns.sendall(b\"GET / HTTP/1.0\\\\r\\\\n\\\\r\\\\n\")\\nprint(s.recv(65536).split()[1])' % s.fileno()])")
    t.tsproxy(sys.executable, "-c", program, options=REMOTE).good("200")


@test("what is no TCP connection gets an error, and so does a placeholder that nobody was given; neither leaves in the clear")
def denied(t):
    t.tailnet(*NAMES)
    t.dns()
    address = placeholder(t, "db.corp.example")
    log = {"TSPROXY_LOG": "info"}
    done = t.tsproxy(sys.executable, "-c", CLIENT, "send", address, options=REMOTE, env=log)
    assert done.good() == "ENETUNREACH\n" and f"{address}:" in done.err and ": stands for a name that the proxy resolves: only TCP is supported" in done.err, done
    assert client(t, "udp", address) == "ENETUNREACH"
    other = "198.19.64.1" if address != "198.19.64.1" else "198.19.64.2"
    assert client(t, "connect", other) == "EHOSTUNREACH"
    # Where no remote names are configured these addresses are anybody's.
    t.tsproxy(sys.executable, "-c", CLIENT, "connect", other, env=log).good("ENETUNREACH\n")
    # Damaged, cut short, gone: nobody's, and the next to ask for the name gets one again.
    for damage in (lambda: spoil(address), lambda: os.truncate(TABLE, 100), lambda: os.unlink(TABLE)):
        damage()
        assert client(t, "connect", address) == "EHOSTUNREACH"
        address = placeholder(t, "db.corp.example")


def spoil(address):
    third, fourth = (int(part) for part in address.split(".")[2:])
    with open(TABLE, "r+b") as f:
        f.seek(((third & 63) << 8 | fourth) * SLOT + 20)
        f.write(b"\xff")


@test("a table that is full, or that somebody else may write to, is a name that fails, with a line in the log; never a question")
def full(t):
    t.tailnet(*NAMES)
    asked = t.dns()
    address = placeholder(t, "db.corp.example")
    names = [f"n{i}.corp.example".encode() for i in range(SLOTS)]
    with open(TABLE, "rb") as f:
        own = f.read(SLOT * SLOTS)
    data = bytearray().join(struct.pack("<QII496s", fnv(name), 0x316e7374, len(name), name) for name in names)
    at = next(i for i in range(0, len(own), SLOT) if own[i])
    data[at:at + SLOT] = own[at:at + SLOT]
    with open(TABLE, "r+b") as f:
        f.write(data)
    assert placeholder(t, "db.corp.example") == address
    warn = {"TSPROXY_LOG": "warn"}
    t.tsproxy("getent", "ahostsv4", "new.corp.example", options=REMOTE, env=warn).bad("cannot store a placeholder", status=2)
    os.chmod(TABLE, 0o666)
    t.tsproxy("getent", "ahostsv4", "db.corp.example", options=REMOTE, env=warn).bad("cannot store a placeholder", status=2)
    os.unlink(TABLE)
    os.symlink(t.file("elsewhere"), TABLE)
    t.tsproxy("getent", "ahostsv4", "db.corp.example", options=REMOTE, env=warn).bad("cannot store a placeholder", status=2)
    assert not asked, asked
    assert os.stat(os.path.join(t.dir, "elsewhere")).st_size == 0


@test("many processes at once, some of them killed: no two names share a placeholder, and each name has one")
def at_once(t):
    t.tailnet()
    t.dns()
    t.tsproxy("true", options=REMOTE).good()
    names = [f"n{i}.corp.example" for i in range(400)]
    started = []
    for i in range(6):
        mine = names[i * 50:] + names[:i * 50]
        started.append(subprocess.Popen([t.build("tsproxy"), *REMOTE, "--", sys.executable, "-c", LOOK_UP, *mine], env=t.env,
                                        stdout=subprocess.PIPE, text=True))
    for p in started[4:]:
        p.kill()
    found = {}
    for i, p in enumerate(started[:4]):
        addresses = p.communicate(timeout=60)[0].split()
        assert p.returncode == 0 and len(addresses) == len(names), p
        for name, address in zip(names[i * 50:] + names[:i * 50], addresses):
            assert found.setdefault(name, address) == address, name
    assert len(set(found.values())) == len(names)


@test("without a map, with a proxy's port alone, names under ts.net are the far side's")
def no_map(t):
    t.sim("--socks5", "1080", "--node", "me,100.64.0.1,self", "--node", f"there,{NODE1}", "--name", f"{FQDN1}={NODE1}")
    t.page(3000)
    asked = t.dns()
    env = {"TSPROXY_SOCKS5": "127.0.0.1:1080"}
    t.preload("curl", "-sS", f"http://{FQDN1}:3000/", env=env).good("a page")
    t.tsproxy("curl", "-sS", f"http://{FQDN1}:3000/", env=env).good("a page")
    assert not asked, asked
    t.preload("curl", "-sS", "http://ts.net.example:3000/", env=env).bad(status=6)
    assert "ts.net.example" in asked, asked

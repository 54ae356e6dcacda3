# SPDX-License-Identifier: MIT
"""Associations: made, made anew, ended; many; and what is said where none can be made."""
import os
import socket
import struct
import sys
import threading
import time

from harness import NODE1, NODE1_V6, test, until

PORT = 3002


def udp_echo(t):
    """Sends back what comes, from both of loopback's addresses."""
    def serve(s):
        while True:
            data, peer = s.recvfrom(65536)
            s.sendto(data, peer)
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        s.bind((host, PORT))
        threading.Thread(target=serve, args=(s,), daemon=True).start()


def python(t, program, *args, **more):
    return t.tsproxy(sys.executable, t.file("program.py", program), *args, **more)


@test("a daemon that starts anew: connected sockets and others go on, made anew by themselves")
def udp_restart(t):
    sim = t.tailnet()
    udp_echo(t)
    was, now = (os.path.join(t.dir, name) for name in ("was", "now"))
    outcome = []
    program = '''
import os, socket, sys
host, port, was, now = sys.argv[1], 3002, *sys.argv[2:]
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
joined = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
joined.connect((host, port))
for s in (plain, joined):
    s.settimeout(0.05)
def asks(s):
    try:
        if s is plain:
            s.sendto(b"ask", (host, port))
        else:
            s.send(b"ask")
        return s.recvfrom(100) == (b"ask", (host, port))
    except (TimeoutError, ConnectionRefusedError):
        return False
    except OSError as e:
        if e.strerror == "No route to host":
            return False    # nobody listens at this moment
        raise
print(all(asks(s) for s in (plain, joined)))
open(was, "w").close()
while not os.path.exists(now):
    [asks(s) for s in (plain, joined)]
for s in (plain, joined):
    while not asks(s):
        pass
print(joined.getpeername())
'''
    runner = threading.Thread(target=lambda: outcome.append(python(t, program, NODE1, was, now)))
    runner.start()
    until(lambda: os.path.exists(was), "first answers")
    sim.process.kill()
    sim.process.wait()
    t.tailnet()
    open(now, "w").close()
    runner.join()
    assert outcome[0].good() == f"True\n('{NODE1}', {PORT})\n", outcome[0]


@test("a thousand sockets with an association each, of both families; then thousands one after the other: nothing is left")
def udp_many(t):
    sim = t.tailnet()
    udp_echo(t)
    out = python(t, '''
import os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
def state():
    return len(os.listdir("/proc/self/fd")), len(open("/proc/self/maps").readlines())
def ask(s, host, i):
    s.sendto(b"%d" % i, (host, 3002))
    return s.recvfrom(100)[0] == b"%d" % i
hosts = sys.argv[1:3]
def make(i):
    s = socket.socket(socket.AF_INET6 if ":" in hosts[i % 2] else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(10)
    return s
for i in range(10):
    ask(make(i), hosts[i % 2], i)
before = state()
sockets = [make(i) for i in range(1000)]
print(all(ask(s, hosts[i % 2], i) for i, s in enumerate(sockets)))
print(max(s.fileno() for s in sockets) < 1100)
print(all(ask(s, hosts[i % 2], i) for i, s in enumerate(sockets)))
del sockets
good = 0
for i in range(4000):
    with make(i) as s:
        good += ask(s, hosts[i % 2], i)
print(good)
after = state()
print(after[0] - before[0], abs(after[1] - before[1]) < 50)
''', NODE1, NODE1_V6, timeout=90).good()
    assert out.split() == ["True", "True", "True", "4000", "0", "True"], out
    until(lambda: sim.stats()["open"] == 0, "end of the associations")


NO_ROUTE = '''
import errno, socket, sys
for host in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    for blocking in (True, False):
        s.setblocking(blocking)
        for call in (lambda: s.sendto(b"x", (host, 3002)), lambda: s.connect((host, 3002)),
                     lambda: s.sendmsg([b"x", b"y"], [], 0, (host, 3002))):
            try:
                call()
                print("sent")
            except OSError as e:
                print(errno.errorcode[e.errno])
'''


@test("a proxy that speaks HTTP only: datagrams have no route, and none is sent")
def udp_http_only(t):
    t.sim("--http", "3128")
    done = python(t, NO_ROUTE, NODE1, NODE1_V6, options=["--status", t.status_file(), "--http-proxy", "127.0.0.1:3128"])
    assert done.good().split() == ["EHOSTUNREACH"] * 12, done


@test("nobody at the proxy's port: the same")
def udp_no_proxy(t):
    done = python(t, NO_ROUTE, NODE1, NODE1_V6, options=["--status", t.status_file(), "--socks5", "127.0.0.1:1089"])
    assert done.good().split() == ["EHOSTUNREACH"] * 12, done


@test("a proxy that carries no datagrams: the same")
def udp_refused(t):
    t.sim("--socks5", "1080", "--no-udp")
    done = python(t, NO_ROUTE, NODE1, NODE1_V6, options=["--status", t.status_file(), "--socks5", "127.0.0.1:1080"])
    assert done.good().split() == ["EHOSTUNREACH"] * 12, done


@test("a daemon that starts anew while a thread waits: what it gets then is the peer's, not the relay's")
def udp_restart_waiting(t):
    sim = t.tailnet()
    udp_echo(t)
    was, now = (os.path.join(t.dir, name) for name in ("was", "now"))
    outcome = []
    program = '''
import os, socket, sys, threading
host, port, was, now = sys.argv[1], 3002, *sys.argv[2:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
seen, stop = [], threading.Event()
def wait():
    while not stop.is_set():
        seen.append(s.recvfrom(100))
waits = threading.Thread(target=wait, daemon=True)
waits.start()
s.sendto(b"ask", (host, port))
while not seen:
    pass
open(was, "w").close()
while not os.path.exists(now):
    pass
before = len(seen)
while len(seen) < before + 3:
    try:
        s.sendto(b"ask", (host, port))
    except OSError as e:
        if e.strerror != "No route to host":
            raise
print(set(seen))
'''
    runner = threading.Thread(target=lambda: outcome.append(python(t, program, NODE1, was, now)))
    runner.start()
    until(lambda: os.path.exists(was), "first answers")
    sim.process.kill()
    sim.process.wait()
    t.tailnet()
    open(now, "w").close()
    runner.join()
    assert outcome[0].good() == f"{{(b'ask', ('{NODE1}', {PORT}))}}\n", outcome[0]


class Proxy:
    """A SOCKS5 server that answers UDP ASSOCIATE as it is told, and whose relay sends back what comes."""

    def __init__(self, port, reply, host="127.0.0.1", pace=0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.relay = socket.socket(family, socket.SOCK_DGRAM)
        self.relay.bind((host, 0))
        self.reply, self.pace, self.seen, self.held = reply, pace, [], []
        self.listener = socket.create_server((host, port), family=family)
        for job in (self.serve, self.echo):
            threading.Thread(target=job, daemon=True).start()

    def echo(self):
        while True:
            data, peer = self.relay.recvfrom(65536)
            self.seen.append(data)
            self.relay.sendto(data, peer)

    def serve(self):
        while True:
            c, _ = self.listener.accept()
            self.held.append(c)
            threading.Thread(target=self.talk, args=(c,), daemon=True).start()

    def talk(self, c):
        if len(c.recv(3)) == 3:
            c.sendall(b"\5\0")
        c.recv(300)
        answer = self.reply(struct.pack(">H", self.relay.getsockname()[1]))
        for byte in answer or b"":
            c.sendall(bytes([byte]))
            if self.pace:
                time.sleep(self.pace)   # a slow server, not a wait for anything
        if answer == b"":
            c.close()


ASK = '''
import errno, socket, struct, sys, time
host, port = sys.argv[1], int(sys.argv[2])
for family in (socket.AF_INET, socket.AF_INET6):
    for connected in (False, True):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 6, 0))    # it blocks, unlike with settimeout
        to = (("::ffff:" if family == socket.AF_INET6 else "") + host, port)
        t0 = time.monotonic()
        try:
            if connected:
                s.connect(to)
                s.send(b"ask")
            else:
                s.sendto(b"ask", to)
            data, peer = s.recvfrom(100)
            print(data.decode(), peer[0].replace("::ffff:", ""), peer[1])
        except OSError as e:
            print(errno.errorcode.get(e.errno, e))
        assert time.monotonic() - t0 < 7
'''


PORTS = iter(range(1090, 1200))


def ask_through(t, reply, host="127.0.0.1", **more):
    port = next(PORTS)
    Proxy(port, reply, host, **more)
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    done = python(t, ASK, NODE1, "7", options=["--status", t.status_file(), "--socks5", at], timeout=60)
    return done.good().splitlines()


GOOD = [f"ask {NODE1} 7"] * 4


@test("the relay's address: as it is, none (0.0.0.0, ::), and byte by byte")
def udp_relay_addresses(t):
    for what, reply in (("its own", lambda port: b"\5\0\0\1\x7f\0\0\1" + port), ("0.0.0.0", lambda port: b"\5\0\0\1\0\0\0\0" + port),
                        ("::", lambda port: b"\5\0\0\4" + b"\0" * 16 + port),
                        ("mapped", lambda port: b"\5\0\0\4" + b"\0" * 10 + b"\xff\xff\x7f\0\0\1" + port)):
        seen = ask_through(t, reply)
        assert seen == GOOD, (what, seen)
    assert ask_through(t, lambda port: b"\5\0\0\1\x7f\0\0\1" + port, pace=0.02) == GOOD


@test("a proxy at ::1, and its relay there: IPv6 sockets reach it, others have no route")
def udp_relay_v6(t):
    seen = ask_through(t, lambda port: b"\5\0\0\4" + b"\0" * 15 + b"\1" + port, "::1")
    assert seen[2:] == GOOD[2:] and set(seen[:2]) <= {"EHOSTUNREACH", "ENETUNREACH"}, seen


@test("an answer that is none (a refusal, garbage, no port, the end): no route")
def udp_no_answer(t):
    for what, reply in (("refusal", lambda port: b"\5\1\0\1\0\0\0\0\0\0"), ("garbage", lambda port: b"HTTP/1.1 400 Bad\r\n\r\n"),
                        ("no port", lambda port: b"\5\0\0\1\x7f\0\0\1\0\0"), ("the end", lambda port: b"")):
        seen = ask_through(t, reply)
        assert seen == ["EHOSTUNREACH"] * 4, (what, seen)


@test("a relay's address by name: taken as the proxy's own host")
def udp_relay_by_name(t):
    assert ask_through(t, lambda port: b"\5\0\0\3\x09localhost" + port) == GOOD


@test("a proxy that says nothing: no route after five seconds; what does not block is told at its next send")
def udp_silence(t):
    port = next(PORTS)
    Proxy(port, lambda port: None)
    done = python(t, '''
import errno, select, socket, sys, time
def ask(what, call):
    t0 = time.monotonic()
    try:
        call()
        print(what, "sent", end=" ")
    except OSError as e:
        print(what, errno.errorcode[e.errno], end=" ")
    print("at once" if time.monotonic() - t0 < 1 else "later" if 4 < time.monotonic() - t0 < 8 else time.monotonic() - t0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ask("blocking", lambda: s.sendto(b"x", (sys.argv[1], 7)))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setblocking(False)
ask("connect", lambda: s.connect((sys.argv[1], 7)))
ask("send", lambda: s.send(b"x"))
select.select([s], [], [], 6)
ask("told", lambda: s.send(b"x"))
print(s.getpeername())
ask("again", lambda: s.send(b"x"))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setblocking(False)
ask("sendto", lambda: s.sendto(b"x", (sys.argv[1], 7)))
select.select([s], [], [], 6)
ask("near", lambda: s.sendto(b"x", ("127.0.0.1", 7)))
ask("told", lambda: s.sendto(b"x", (sys.argv[1], 7)))
''', NODE1, options=["--status", t.status_file(), "--socks5", f"127.0.0.1:{port}"], timeout=60)
    assert done.good() == ("blocking EHOSTUNREACH later\nconnect sent at once\nsend sent at once\ntold EHOSTUNREACH at once\n"
                           f"('{NODE1}', 7)\nagain sent at once\nsendto sent at once\nnear sent at once\ntold EHOSTUNREACH at once\n"), done


@test("the path's MTU of a connected socket is the tailnet's; of one that is not there is none")
def udp_mtu(t):
    t.tailnet()
    out = python(t, '''
import errno, socket, sys
for host, level, option in ((sys.argv[1], socket.IPPROTO_IP, 14), (sys.argv[2], socket.IPPROTO_IPV6, 24)):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"x", (host, 7))
    try:
        print(s.getsockopt(level, option))
    except OSError as e:
        print(errno.errorcode[e.errno])
    s.connect((host, 7))
    print(s.getsockopt(level, option))
    s.connect(("::1" if ":" in host else "127.0.0.1", 7))
    print(s.getsockopt(level, option))
''', NODE1, NODE1_V6).good()
    assert out.split() == ["ENOTCONN", "1280", "65535", "ENOTCONN", "1280", "65536"], out

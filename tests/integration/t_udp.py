# SPDX-License-Identifier: MIT
"""Associations: made, made anew, ended; many; and what is said where none can be made."""
import os
import socket
import sys
import threading

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


@test("a carrier that speaks HTTP only: datagrams have no route, and none is sent")
def udp_http_only(t):
    t.sim("--http", "3128")
    done = python(t, NO_ROUTE, NODE1, NODE1_V6, options=["--status", t.status_file(), "--http-proxy", "127.0.0.1:3128"])
    assert done.good().split() == ["EHOSTUNREACH"] * 12, done


@test("nobody at the proxy's port: the same")
def udp_no_proxy(t):
    done = python(t, NO_ROUTE, NODE1, NODE1_V6, options=["--status", t.status_file(), "--socks5", "127.0.0.1:1089"])
    assert done.good().split() == ["EHOSTUNREACH"] * 12, done

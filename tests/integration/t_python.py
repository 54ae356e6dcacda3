# SPDX-License-Identifier: MIT
"""Python's ways to wait for a connection: blocking, asyncio, select, poll, epoll; what errors and addresses it sees."""
import json
import sys

from harness import NAME1, NODE1, NODE1_V6, NODE2, echo, test

WAITS = '''
import errno, json, select, socket, sys, time
how, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
s = socket.socket(family)
s.setblocking(False)
poller = None
if how == "epoll-before":
    poller = select.epoll()
    poller.register(s, select.EPOLLOUT | select.EPOLLET)
    poller.poll(0)
started = s.connect_ex((host, port))
early = s.connect_ex((host, port))
def wait():
    if how == "select":
        return bool(select.select([], [s], [], 10)[1])
    if how == "poll":
        p = select.poll(); p.register(s, select.POLLOUT); return bool(p.poll(10000))
    if how == "epoll":
        e = select.epoll(); e.register(s, select.EPOLLOUT); return bool(e.poll(10))
    if how == "epoll-oneshot":
        e = select.epoll(); e.register(s, select.EPOLLOUT | select.EPOLLONESHOT)
        return bool(e.poll(10)) and not e.poll(0)
    return bool(poller.poll(10))
t = time.monotonic()
ready = wait()
took = time.monotonic() - t
error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
got = ""
if not error:
    s.setblocking(True)
    s.sendall(b"hello")
    got = s.recv(100).decode()
    peer, me = s.getpeername()[:2], s.getsockname()[:2]
else:
    peer = me = None
print(json.dumps(dict(started=errno.errorcode[started], early=errno.errorcode[early], ready=ready, took=took,
                      error=errno.errorcode.get(error, 0), got=got, peer=peer, me=me)))
'''


def python(t, program, *args, **more):
    path = t.file("program.py", program)
    return t.tsproxy(sys.executable, path, *[str(a) for a in args], **more)


def waits(t, how):
    t.tailnet("--delay", "150")
    t.listen(3001, echo)
    for host, me in ((NODE1, NODE2), (NODE1_V6, None)):
        r = json.loads(python(t, WAITS, how, host, 3001).good())
        assert (r["started"], r["early"], r["ready"], r["error"], r["got"]) == (
            "EINPROGRESS", "EALREADY", True, 0, "hello"), r
        assert 0.1 < r["took"] < 2, r
        assert r["peer"] == [host, 3001], r
        assert me is None or r["me"][0] == me, r
    r = json.loads(python(t, WAITS, how, NODE1, 3999).good())
    assert (r["started"], r["ready"], r["error"]) == ("EINPROGRESS", True, "ECONNREFUSED"), r


@test("a non-blocking connect completes truthfully through select")
def py_select(t):
    waits(t, "select")


@test("a non-blocking connect completes truthfully through poll")
def py_poll(t):
    waits(t, "poll")


@test("a non-blocking connect completes truthfully through epoll")
def py_epoll(t):
    waits(t, "epoll")


@test("a non-blocking connect completes truthfully through epoll, registered before the connect, edge-triggered")
def py_epoll_before(t):
    waits(t, "epoll-before")


@test("a non-blocking connect completes truthfully through epoll, one-shot")
def py_epoll_oneshot(t):
    waits(t, "epoll-oneshot")


@test("blocking sockets, with and without a timeout; create_connection by name")
def py_blocking(t):
    t.tailnet("--delay", "100", "--fault", "3002,never")
    t.listen(3001, echo)
    out = python(t, '''
import socket, sys
host = sys.argv[1]
for timeout in (None, 5):
    s = socket.create_connection((host, 3001), timeout=timeout)
    s.sendall(b"x" * 100000)
    got = 0
    while got < 100000:
        got += len(s.recv(65536))
    print(got, s.getpeername()[1])
try:
    socket.create_connection((sys.argv[2], 3002), timeout=0.2)
except socket.timeout:
    print("timed out")
try:
    socket.create_connection((host, 3999))
except ConnectionRefusedError:
    print("refused")
''', NAME1, NODE1).good()
    assert out.split("\n")[:4] == ["100000 3001", "100000 3001", "timed out", "refused"], out


@test("urllib by name, and requests where it is installed")
def py_http(t):
    t.tailnet()
    t.page(3000)
    out = python(t, '''
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read())
try:
    import requests
except ImportError:
    print("no requests")
else:
    with requests.Session() as session:
        print(session.get(sys.argv[1], timeout=10).content)
''', f"http://{NAME1}:3000/").good()
    assert out.split("\n")[0] == "b'a page\\n'" and out.split("\n")[1] in ("b'a page\\n'", "no requests"), out


@test("asyncio: fifty connections at once through a proxy of 200 ms take about 200 ms")
def py_asyncio(t):
    sim = t.tailnet("--delay", "200")
    t.listen(3001, echo)
    out = python(t, '''
import asyncio, sys, time
async def one(i, host):
    r, w = await asyncio.open_connection(host, 3001)
    w.write(b"%d\\n" % i)
    line = await r.readline()
    w.close()
    return int(line) == i
async def main():
    t = time.monotonic()
    done = await asyncio.gather(*[one(i, sys.argv[1]) for i in range(50)])
    print(all(done), len(done), time.monotonic() - t)
asyncio.run(main())
''', NODE1).good()
    right, n, took = out.split()
    assert (right, n) == ("True", "50") and float(took) < 1, out
    assert sim.stats()["pending_max"] >= 40, sim.stats()


@test("a refused, a silent and an unknown address give the errno that the kernel would")
def py_errors(t):
    t.tailnet("--dial-timeout", "400", "--node", "me,100.64.0.1,self", "--node", "peer,100.64.0.2,fd7a:115c:a1e0::2",
              "--node", "gone,100.64.0.3,offline")
    out = python(t, '''
import errno, socket, sys
for host in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    print(errno.errorcode.get(s.connect_ex((host, 3999))))
''', "100.64.0.2", "fd7a:115c:a1e0::2", "100.64.0.3", "192.0.2.1").good()
    assert out.split() == ["ECONNREFUSED", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH"], out


@test("UDP to a tailnet address by a proxy that carries none is an error, never sent in the clear; elsewhere it works as ever")
def py_udp_none(t):
    t.tailnet("--no-udp")
    out = python(t, '''
import errno, socket, sys
for host in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    for call in (lambda: s.sendto(b"x", (host, 3000)), lambda: s.connect((host, 3000)),
                 lambda: s.sendmsg([b"x"], [], 0, (host, 3000))):
        try:
            call()
            print("sent")
        except OSError as e:
            print(errno.errorcode[e.errno])
r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.bind(("127.0.0.1", 0))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"local", r.getsockname())
print(r.recv(100).decode())
''', NODE1, NODE1_V6).good()
    assert out.split() == ["EHOSTUNREACH"] * 6 + ["local"], out


@test("threads that connect while others fork and close: none gets another's bytes")
def py_threads(t):
    t.tailnet("--delay", "5")
    t.listen(3001, echo)
    out = python(t, '''
import os, socket, subprocess, sys, threading
bad = []
def work(n):
    for i in range(15):
        s = socket.create_connection((sys.argv[1], 3001), timeout=20)
        text = b"%d-%d" % (n, i)
        s.sendall(text)
        if s.recv(100) != text:
            bad.append(text)
        s.close()
def forks():
    for _ in range(10):
        subprocess.run(["true"], check=True)
threads = [threading.Thread(target=work, args=(n,)) for n in range(12)] + [threading.Thread(target=forks)]
[x.start() for x in threads]
[x.join() for x in threads]
print("bad", bad)
''', NODE1, timeout=60).good()
    assert out == "bad []\n", out

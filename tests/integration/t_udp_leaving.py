# SPDX-License-Identifier: MIT
"""A datagram that was sent arrives, although its sender closes the socket or ends in the same moment: so it is on a network."""
import socket
import sys

from harness import NODE1, test

PORT = 7070

# Sends `count` datagrams, each by a socket of its own that is closed at once.
EACH = """
import socket
for i in range({count}):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"%d" % i, ("{node}", {port}))
    s.close()
"""

# An association that is older than any start: the last datagram, and {then}.
LATER = """
import os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"first", ("{node}", {port}))
time.sleep(0.4)
s.sendto(b"last", ("{node}", {port}))
{then}
"""


def receiver(t):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(("0.0.0.0", PORT))
    s.settimeout(2)
    return s


def received(s, count):
    """Up to `count` datagrams; fewer where no more come."""
    got = []
    try:
        while len(got) < count:
            got.append(s.recv(100).decode())
    except socket.timeout:
        pass
    return got


@test("a program that sends one datagram and ends at once, as logger does: every one of 200 arrives")
def at_its_end(t):
    t.tailnet()
    s = receiver(t)
    t.tsproxy("bash", "-c", f"for i in $(seq 200); do (echo $i > /dev/udp/{NODE1}/{PORT}); done").good()
    got = received(s, 200)
    assert sorted(int(x) for x in got) == list(range(1, 201)), f"{len(got)} of 200"


@test("sockets that are closed right after they sent: every one of 500 datagrams arrives")
def at_close(t):
    t.tailnet()
    s = receiver(t)
    t.tsproxy(sys.executable, "-c", EACH.format(count=500, node=NODE1, port=PORT)).good()
    got = received(s, 500)
    assert sorted(int(x) for x in got) == list(range(500)), f"{len(got)} of 500"


@test("the last datagram of an older association arrives: after close, exit, exec")
def at_last(t):
    t.tailnet()
    s = receiver(t)
    for then in "s.close()", "pass", "os.execv('/bin/true', ['true'])":
        for _ in range(10):
            t.tsproxy(sys.executable, "-c", LATER.format(node=NODE1, port=PORT, then=then)).good()
            assert received(s, 2) == ["first", "last"], then


# What is left in a stream, libc writes at the very end.
LEFT = """
import ctypes, socket, time
c = ctypes.CDLL(None)
c.fdopen.restype = ctypes.c_void_p
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("{node}", {port}))
s.send(b"first")
time.sleep(0.4)
c.fputs(b"last", ctypes.c_void_p(c.fdopen(s.detach(), b"w")))
"""


@test("what a program leaves in a stream of an older association arrives")
def at_exit_of_libc(t):
    t.tailnet()
    s = receiver(t)
    for _ in range(10):
        t.tsproxy(sys.executable, "-c", LEFT.format(node=NODE1, port=PORT)).good()
        got = received(s, 2)
        assert got == ["first", "last"], got

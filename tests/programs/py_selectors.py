# SPDX-License-Identifier: MIT
# run: /usr/bin/python3 {file} {host} {port}
# set: fast
"""Each kind of selector over ten connections, and blocking sockets with and without a timeout."""
import collections
import errno
import selectors
import socket
import sys
import time

host, port = sys.argv[1], int(sys.argv[2])
family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]


def echo(s):
    s.settimeout(5)
    s.sendall(b"hello")
    return s.recv(100).decode(), s.getpeername(), s.getsockname()[0]


def events(make):
    said = collections.Counter()
    with make() as selector:
        for _ in range(10):
            s = socket.socket(family)
            s.setblocking(False)
            said["started " + errno.errorcode[s.connect_ex(address)]] += 1
            selector.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE)
        end = time.monotonic() + 1
        while selector.get_map() and time.monotonic() < end:
            for key, ready in selector.select(end - time.monotonic()):
                selector.unregister(key.fileobj)
                error = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                said[f"ready {ready} {errno.errorcode.get(error, 0)}"] += 1
                said[str(None if error else echo(key.fileobj))] += 1
                key.fileobj.close()
        said["left"] = len(selector.get_map())
    return said


for kind in (selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector):
    print(kind.__name__, sorted(events(kind).items()))
try:
    with socket.create_connection((host, port), timeout=1) as s:
        print(echo(s))
except OSError as e:
    print(repr(e))
else:
    with socket.create_connection((host, port)) as s:
        print(echo(s))

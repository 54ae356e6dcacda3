# SPDX-License-Identifier: MIT
# needs: python3-eventlet file:/usr/lib/python3/dist-packages/eventlet/__init__.py
# run: env EVENTLET_NO_GREENDNS=yes /usr/bin/python3 {file} {host} {port}
# set: fast
"""Eventlet: thirty green threads with each of its hubs. Names by libc: DNS queries of its own are not answered yet."""
import collections
import os
import sys

import eventlet
import eventlet.hubs
from eventlet.green import socket

host, port = sys.argv[1], int(sys.argv[2])


def one(i):
    try:
        with eventlet.Timeout(1, socket.timeout("my own")):
            with socket.create_connection((host, port)) as s:
                s.sendall(b"%d" % i)
                return s.recv(10) == b"%d" % i, s.getpeername(), s.getsockname()[0]
    except OSError as e:
        return e


for hub in ("epolls", "poll", "selects"):
    if len(sys.argv) == 3:
        print(hub, flush=True)
        os.spawnv(os.P_WAIT, sys.executable, [sys.executable, __file__, *sys.argv[1:], hub])
    elif sys.argv[3] == hub:
        eventlet.hubs.use_hub(hub)
        print(sorted(collections.Counter(map(repr, eventlet.GreenPool(30).imap(one, range(30)))).items()))

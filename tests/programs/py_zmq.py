# SPDX-License-Identifier: MIT
# needs: python3-zmq file:/usr/lib/python3/dist-packages/zmq/__init__.py
# run: /usr/bin/python3 {file} {url} {port}
# server: zmq
"""ZeroMQ, whose own threads connect and try again: twenty requests, and what a socket's monitor tells of the first second."""
import collections
import sys
import time

import zmq
import zmq.utils.monitor

where = f"tcp://{sys.argv[1]}:{sys.argv[2]}"
context = zmq.Context()


def make():
    s = context.socket(zmq.REQ)
    s.setsockopt(zmq.LINGER, 0)
    s.setsockopt(zmq.IPV6, 1)
    s.setsockopt(zmq.RECONNECT_IVL, 300)
    return s


sockets = [make() for _ in range(20)]
monitor = sockets[0].get_monitor_socket()
for s in sockets:
    s.connect(where)
    s.send(b"hello")
said, told, end = collections.Counter(), [], time.monotonic() + 1
while time.monotonic() < end and sum(said.values()) < 20:
    for s in sockets:
        if s.poll(10):
            said[s.recv()] += 1
print(said)
while monitor.poll(0):
    event = zmq.utils.monitor.recv_monitor_message(monitor)
    told.append((zmq.Event(event["event"]).name, 0 if event["event"] in (zmq.EVENT_CONNECTED, zmq.EVENT_HANDSHAKE_SUCCEEDED,
                                                                        zmq.EVENT_CLOSED, zmq.EVENT_CONNECT_RETRIED) else event["value"]))
print(told[:3])

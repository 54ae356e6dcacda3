# SPDX-License-Identifier: MIT
# needs: python3-gevent file:/usr/lib/python3/dist-packages/gevent
# run: /usr/bin/python3 {file} {host} {port}
# set: fast
"""gevent: the standard library patched, thirty greenlets at once."""
from gevent import monkey
monkey.patch_all()
import collections  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

host, port = sys.argv[1], int(sys.argv[2])


def one(i):
    try:
        with socket.create_connection((host, port), timeout=1.5) as s:
            data = b"%d\n" % i * 2000
            s.sendall(data)
            got = b""
            while len(got) < len(data):
                got += s.recv(65536)
            return f"{got == data} {s.getpeername()} {s.getsockname()[0]}"
    except OSError as e:
        return repr(e)


jobs = [gevent.spawn(one, i) for i in range(30)]
gevent.joinall(jobs)
for what, n in collections.Counter(j.value for j in jobs).items():
    print(n, what)

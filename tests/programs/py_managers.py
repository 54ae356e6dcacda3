# SPDX-License-Identifier: MIT
# run: /usr/bin/python3 {file} {host} {port}
# server: manager
"""multiprocessing: a remote manager's queue and dictionary, from here and from processes of its own."""
import multiprocessing
import multiprocessing.managers
import socket
import sys

address = sys.argv[1], int(sys.argv[2])


class Manager(multiprocessing.managers.BaseManager):
    pass


Manager.register("shared", proxytype=multiprocessing.managers.DictProxy)


def connect():
    m = Manager(address, authkey=b"secret")
    m.connect()
    return m.shared()


def work(key):
    try:
        shared = connect()
        shared[key] = key * key
        return shared[key]
    except OSError as e:
        return repr(e)


if __name__ == "__main__":
    try:
        socket.create_connection(address, 1).close()
    except TimeoutError as e:      # a manager has none, and natively would wait for two minutes
        sys.exit(repr(e))
    except OSError as e:
        print(repr(e))
    print(work(0))
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(method, pool.map(work, range(1, 6)))

# SPDX-License-Identifier: MIT
# needs: python3-trio file:/usr/lib/python3/dist-packages/trio
# run: /usr/bin/python3 {file} {host} {port}
# set: fast
"""trio: one connection in detail, then thirty at once; its own time-out."""
import collections
import sys

import trio

host, port = sys.argv[1], int(sys.argv[2])
said = collections.Counter()


async def one(i):
    try:
        with trio.fail_after(1.5):
            stream = await trio.open_tcp_stream(host, port)
        data = b"%d\n" % i * 5000
        got = b""
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, data)
            while len(got) < len(data):
                got += await stream.receive_some(65536)
            peer, me = stream.socket.getpeername(), stream.socket.getsockname()
        said[f"{got == data} {peer} {me[0]}"] += 1
    except (OSError, trio.TooSlowError) as e:
        said[f"{e!r} {e.__cause__!r}"] += 1


async def main():
    async with trio.open_nursery() as nursery:
        for i in range(30):
            nursery.start_soon(one, i)
    for what, n in said.items():
        print(n, what)

trio.run(main)

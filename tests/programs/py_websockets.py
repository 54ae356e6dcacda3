# SPDX-License-Identifier: MIT
# needs: python3-websockets file:/usr/lib/python3/dist-packages/websockets/__init__.py
# run: /usr/bin/python3 {file} ws://{url}:{port}/
# server: websocket
"""WebSockets: twenty at once, each with a message of a megabyte."""
import asyncio
import collections
import sys

import websockets


async def one():
    async with websockets.connect(sys.argv[1], open_timeout=1.5, max_size=None) as s:
        await s.send("x" * 1000000)
        return len(await s.recv()), s.remote_address, s.local_address[0]


async def main():
    done = await asyncio.gather(*[one() for _ in range(20)], return_exceptions=True)
    for what, n in collections.Counter(map(repr, done)).items():
        print(n, what)

asyncio.run(main())

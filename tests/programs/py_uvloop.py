# SPDX-License-Identifier: MIT
# needs: python3-uvloop file:/usr/lib/python3/dist-packages/uvloop
# run: /usr/bin/python3 {file} {host} {port}
# set: fast
"""uvloop: asyncio over libuv, thirty connections at once."""
import asyncio
import collections
import sys

import uvloop

host, port = sys.argv[1], int(sys.argv[2])


async def one(i):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1.5)
    data = b"%d\n" % i * 20000
    writer.write(data)
    got = await reader.readexactly(len(data))
    peer, me = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    writer.close()
    return f"{got == data} {peer} {me[0]}"


async def main():
    done = await asyncio.gather(*[one(i) for i in range(30)], return_exceptions=True)
    for what, n in collections.Counter(map(repr, done)).items():
        print(n, what)

uvloop.install()
asyncio.run(main())

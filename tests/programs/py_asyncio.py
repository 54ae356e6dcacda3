# SPDX-License-Identifier: MIT
# run: /usr/bin/python3 {file} {host} {port}
# set: fast
"""asyncio's streams: one connection in detail, then thirty at once."""
import asyncio
import collections
import sys

host, port = sys.argv[1], int(sys.argv[2])


async def one(i):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1.5)
    data = b"%d\n" % i * 20000
    writer.write(data)
    got = await reader.readexactly(len(data))
    writer.write_eof()
    rest = await reader.read()
    peer, me = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    writer.close()
    await writer.wait_closed()
    return f"{got == data} {rest} {peer} {me[0]}"


async def main():
    done = await asyncio.gather(*[one(i) for i in range(30)], return_exceptions=True)
    for what, n in collections.Counter(map(repr, done)).items():
        print(n, what)

asyncio.run(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""asyncio50.py COUNT HOST PORT [PROXY-PORT]: COUNT connections at once, a line sent and got back on each; prints the seconds
and how many worked. With PROXY-PORT it speaks SOCKS5 itself."""
import asyncio
import ipaddress
import sys
import time


async def open_connection(host, port, proxy_port):
    if not proxy_port:
        return await asyncio.open_connection(host, port)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy_port)
    writer.write(b"\5\1\0")
    await reader.readexactly(2)
    writer.write(b"\5\1\0\1" + ipaddress.ip_address(host).packed + port.to_bytes(2, "big"))
    reply = await reader.readexactly(10)
    if reply[1]:
        raise OSError(f"the proxy says {reply[1]}")
    return reader, writer


async def one(*to):
    try:
        reader, writer = await open_connection(*to)
        writer.write(b"hello, node\n")
        line = await reader.readline()
        writer.close()
        return line == b"hello, node\n"
    except OSError:
        return False


async def main(count, host, port, proxy_port=0):
    start = time.monotonic()
    worked = await asyncio.gather(*(one(host, int(port), int(proxy_port)) for _ in range(int(count))))
    print(f"{time.monotonic() - start:.3f} {sum(worked)}")

asyncio.run(main(*sys.argv[1:]))

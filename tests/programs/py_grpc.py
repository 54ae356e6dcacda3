# SPDX-License-Identifier: MIT
# needs: python3-grpcio file:/usr/lib/python3/dist-packages/grpc/__init__.py
# run: env GRPC_DNS_RESOLVER=native /usr/bin/python3 {file} {url}:{port}
# server: grpc
# set: fast
# mask: \d{4}-\d\d-\d\dT\S+
"""gRPC: calls with a deadline, a stream, and its asyncio interface; its own resolver reads no names of libc's, so libc's is chosen."""
import asyncio
import collections
import sys

import grpc

target = sys.argv[1]


def show(e):
    return f"{e.code()} {e.details()}"


def calls():
    with grpc.insecure_channel(target) as channel:
        echo, many = channel.unary_unary("/test/Echo"), channel.unary_stream("/test/Many")
        futures = [echo.future(b"hello", timeout=1) for _ in range(20)]
        for f in futures:
            try:
                yield f.result()
            except grpc.RpcError as e:
                yield show(e)
        try:
            yield sum(len(m) for m in many(b"1000", timeout=2))
        except grpc.RpcError as e:
            yield show(e)


async def aio():
    async with grpc.aio.insecure_channel(target) as channel:
        async def one():
            try:
                return await channel.unary_unary("/test/Echo")(b"hello", timeout=1)
            except grpc.RpcError as e:
                return show(e)
        return await asyncio.gather(*[one() for _ in range(20)])


print(sorted(collections.Counter(map(repr, calls())).items()))
print(sorted(collections.Counter(map(repr, asyncio.run(aio()))).items()))

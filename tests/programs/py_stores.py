# SPDX-License-Identifier: MIT
# needs: python3-redis file:/usr/lib/python3/dist-packages/redis/__init__.py
# needs: python3-hiredis file:/usr/lib/python3/dist-packages/hiredis/__init__.py
# needs: redis-server redis-server
# run: /usr/bin/python3 {file} {host} {port}
# server: redis
# set: fast
"""redis-py: a pool, a pipeline, a subscription, and its asyncio interface."""
import asyncio
import collections
import sys
import uuid

import redis
import redis.asyncio

where = {"host": sys.argv[1], "port": int(sys.argv[2])}


def blocking():
    r = redis.Redis(**where, socket_connect_timeout=1, socket_timeout=5)
    try:
        yield r.set("key", "value"), r.get("key")
        with r.pipeline() as p:
            for i in range(1000):
                p.set(f"n{i}", i)
            yield len(p.execute())
        s, channel = r.pubsub(), f"channel-{uuid.uuid4()}"     # others use this server as well
        s.subscribe(channel)
        yield s.get_message(timeout=2)["type"]
        yield s.get_message(timeout=0.1)
        yield r.publish(channel, "news")
        yield s.get_message(timeout=2)["data"]
    except redis.RedisError as e:
        yield repr(e)


async def together():
    r = redis.asyncio.Redis(**where, socket_connect_timeout=1)
    said = await asyncio.gather(*[r.get("key") for _ in range(20)], return_exceptions=True)
    await r.close()
    return said


for line in blocking():
    print(line)
print(sorted(collections.Counter(map(repr, asyncio.run(together()))).items()))

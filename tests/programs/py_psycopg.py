# SPDX-License-Identifier: MIT
# needs: python3-psycopg2 file:/usr/lib/python3/dist-packages/psycopg2/__init__.py
# needs: python3-psycopg file:/usr/lib/python3/dist-packages/psycopg/__init__.py
# needs: python3-asyncpg file:/usr/lib/python3/dist-packages/asyncpg/__init__.py
# needs: postgresql file:/usr/lib/postgresql/*/bin/initdb
# run: /usr/bin/python3 {file} {host} {port}
# server: postgres
# set: fast
"""PostgreSQL from Python: psycopg2 blocking and asynchronous, psycopg 3 both ways, asyncpg; ten at once where that can be."""
import asyncio
import collections
import select
import sys

import asyncpg
import psycopg
import psycopg2
import psycopg2.extensions

host, port = sys.argv[1], int(sys.argv[2])
LOGIN = {"host": host, "port": port, "user": "app", "password": "secret"}
SELECT = "select 6 * 7, host(inet_client_addr())"


def said(results):
    for what, n in collections.Counter(map(repr, results)).items():
        print(n, what)


def blocking(connect):
    try:
        with connect(**LOGIN, dbname="postgres", connect_timeout=2) as c, c.cursor() as cursor:
            cursor.execute(SELECT)
            return cursor.fetchone()[:1]
    except (psycopg.Error, psycopg2.Error) as e:
        return e


def polled():
    """psycopg2's asynchronous connection, waited for as its manual says."""
    try:
        c = psycopg2.connect(**LOGIN, dbname="postgres", async_=1)
        states = []
        while True:
            state = c.poll()
            states.append(state)
            if state == psycopg2.extensions.POLL_OK:
                return "connected"
            read = [c] if state == psycopg2.extensions.POLL_READ else []
            if not any(select.select(read, [] if read else [c], [], 1)):
                return f"waited too long after {states}"
    except psycopg2.Error as e:
        return e


async def three():
    async with await psycopg.AsyncConnection.connect(**LOGIN, dbname="postgres", connect_timeout=2) as c:
        return (await (await c.execute(SELECT)).fetchone())[:1]


async def asyncpg_():
    c = await asyncpg.connect(**LOGIN, database="postgres", timeout=2)
    row = await c.fetchrow(SELECT)
    await c.close()
    return tuple(row)[:1]


async def together(way):
    return await asyncio.gather(*[way() for _ in range(10)], return_exceptions=True)


said([blocking(psycopg2.connect), blocking(psycopg.connect)])
said([polled()])
for way in (three, asyncpg_):
    said(asyncio.run(together(way)))

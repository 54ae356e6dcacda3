# SPDX-License-Identifier: MIT
# needs: python3-requests file:/usr/lib/python3/dist-packages/requests/__init__.py
# needs: python3-httpx file:/usr/lib/python3/dist-packages/httpx/__init__.py
# needs: python3-aiohttp file:/usr/lib/python3/dist-packages/aiohttp/__init__.py
# needs: python3-tornado file:/usr/lib/python3/dist-packages/tornado/__init__.py
# needs: python3-pycurl file:/usr/lib/python3/dist-packages/pycurl*.so
# run: /usr/bin/python3 {file} http://{url}:{port}/
# server: http
# set: fast
"""The web from Python: requests kept alive and tried again, httpx both ways, aiohttp, tornado, pycurl; twenty at once."""
import asyncio
import collections
import io
import re
import sys

import aiohttp
import httpx
import pycurl
import requests
import tornado.httpclient
from urllib3.util.retry import Retry

url = sys.argv[1]


def causes(e):
    text = []
    while e:
        # Not where in memory an object is, by which equal errors would be counted as several, or not.
        text.append(re.sub("0x[0-9a-f]+", "...", f"{type(e).__name__} {e}"))
        e = e.__cause__ or e.__context__
    return ": ".join(text)


def said(name, results):
    counted = collections.Counter(causes(r) if isinstance(r, BaseException) else repr(r) for r in results)
    print(name, sorted(counted.items()))


def requests_():
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(1, backoff_factor=0)))
        for _ in range(3):
            try:
                r = session.get(url, timeout=0.5)
                yield r.status_code, r.text
            except requests.RequestException as e:
                yield e


def httpx_():
    with httpx.Client(timeout=1) as client:
        try:
            r = client.get(url)
            yield r.status_code, r.text, r.extensions["network_stream"].get_extra_info("server_addr")
        except httpx.HTTPError as e:
            yield e


def pycurl_():
    multi, handles, failed = pycurl.CurlMulti(), [], {}
    for _ in range(20):
        c = pycurl.Curl()
        c.body = io.BytesIO()
        c.setopt(c.URL, url)
        c.setopt(c.CONNECTTIMEOUT, 1)
        c.setopt(c.WRITEDATA, c.body)
        multi.add_handle(c)
        handles.append(c)
    active = 1
    while active:
        _, active = multi.perform()
        multi.select(0.5)
        for c, code, _ in multi.info_read(100)[2]:
            failed[c] = code
    for c in handles:
        yield failed.get(c) or (c.body.getvalue(), c.getinfo(c.PRIMARY_IP), c.getinfo(c.LOCAL_IP))


async def httpx_async():
    async with httpx.AsyncClient(timeout=1) as client:
        async def one():
            r = await client.get(url)
            return r.status_code, r.text
        return await asyncio.gather(*[one() for _ in range(20)], return_exceptions=True)


async def aiohttp_():
    timeout = aiohttp.ClientTimeout(sock_connect=1)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async def one():
            async with session.get(url) as r:
                return r.status, await r.text()
        return await asyncio.gather(*[one() for _ in range(20)], return_exceptions=True)


async def tornado_():
    async def one():
        r = await tornado.httpclient.AsyncHTTPClient().fetch(url, connect_timeout=1)
        return r.code, r.body
    return await asyncio.gather(*[one() for _ in range(20)], return_exceptions=True)


for way in (requests_, httpx_, pycurl_):
    said(way.__name__, way())
for way in (httpx_async, aiohttp_, tornado_):
    said(way.__name__, asyncio.run(way()))

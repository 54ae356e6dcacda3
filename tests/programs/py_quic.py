# SPDX-License-Identifier: MIT
# needs: python3-venv file:/usr/lib/python3*/ensurepip/__init__.py
# needs: ngtcp2-server gtlsserver
# build: test -x {out}/bin/python || /usr/bin/python3 -m venv {out} && {out}/bin/pip install -q --disable-pip-version-check aioquic==1.7.2
# run: {out}/bin/python {file} {host} {port}
# server: quic
"""aioquic, a QUIC of its own over asyncio's datagrams: an IPv6 socket for both families. Three files by HTTP/3, a fourth after new keys."""
import asyncio
import hashlib
import logging
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived
from aioquic.quic.configuration import QuicConfiguration

logging.disable()


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.h3, self.done, self.got = H3Connection(self._quic), {}, {}

    async def get(self, path):
        stream = self._quic.get_next_available_stream_id()
        self.got[stream], self.done[stream] = b"", asyncio.get_running_loop().create_future()
        self.h3.send_headers(stream, [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"peer"), (b":path", path)], True)
        self.transmit()
        await asyncio.wait_for(self.done[stream], 20)
        return len(self.got[stream]), hashlib.sha256(self.got[stream]).hexdigest()[:8]

    def quic_event_received(self, event):
        for e in self.h3.handle_event(event):
            if isinstance(e, DataReceived):
                self.got[e.stream_id] += e.data
                if e.stream_ended:
                    self.done[e.stream_id].set_result(None)


async def main():
    how = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, idle_timeout=1.5, server_name="peer")
    try:
        async with connect(sys.argv[1], int(sys.argv[2]), configuration=how, create_protocol=Client) as q:
            print(await asyncio.gather(*[q.get(b"/f%d" % i) for i in (1, 2, 3)]))
            await q.ping()
            q.request_key_update()
            print(await q.get(b"/f1"))
    except ConnectionError as e:
        sys.exit(f"{type(e).__name__} {e}")

asyncio.run(main())

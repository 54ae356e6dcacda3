# SPDX-License-Identifier: MIT
# needs: python3-twisted file:/usr/lib/python3/dist-packages/twisted/__init__.py
# run: /usr/bin/python3 {file} {host} {port}
# set: fast
"""Twisted: twenty endpoints at once under each of its reactors that watch sockets."""
import collections
import os
import sys

if len(sys.argv) == 3:
    for reactor in ("epoll", "poll", "select", "asyncio"):
        print(reactor, flush=True)
        os.spawnv(os.P_WAIT, sys.executable, [sys.executable, __file__, *sys.argv[1:], reactor])
    sys.exit()
host, port = sys.argv[1], int(sys.argv[2])
__import__(f"twisted.internet.{sys.argv[3]}reactor", fromlist=["install"]).install()
from twisted.internet import defer, endpoints, error, protocol, reactor, task  # noqa: E402

said = collections.Counter()


class Talk(protocol.Protocol):
    def connectionMade(self):
        self.got, self.done = b"", defer.Deferred()
        self.transport.write(b"hello" * 20000)

    def dataReceived(self, data):
        self.got += data
        if len(self.got) == 100000:
            peer, me = self.transport.getPeer(), self.transport.getHost()
            said[f"{self.got == b'hello' * 20000} {peer.host} {peer.port} {me.host}"] += 1
            self.transport.loseConnection()

    def connectionLost(self, reason=protocol.connectionDone):
        said[f"lost {reason.value!r}"] += 1
        self.done.callback(None)


def failed(why):
    """The reactor of poll tells a refusal as a close now and then, natively too."""
    said["timed out" if why.check(error.TimeoutError) else "refused"] += 1


def one():
    where = endpoints.HostnameEndpoint(reactor, host, port, timeout=1)
    made = endpoints.connectProtocol(where, Talk())
    return made.addCallbacks(lambda p: p.done, failed)


def main(_):
    return defer.gatherResults([one() for _ in range(20)]).addCallback(lambda _: print(sorted(said.items())))


task.react(main)

# SPDX-License-Identifier: MIT
"""The watch over a real daemon: nodes that come, daemons that go, settings that change."""
import contextlib
import os
import subprocess
import time

from checks import check, client, good, sync, tsproxy
from checks_daemon import URL, changed
from servers import PAGE, PORTS, PYTHON, subnet_web
from watch import SUBNET
from world import NODE1, SUFFIX, Node, until


class Follower:
    """A program that runs all the time and looks names up."""

    def __init__(self, w, *options):
        self.p = subprocess.Popen(
            [*w.node2.enter(), *w.user(), "tsproxy", *options, "--", PYTHON, os.path.join(w.programs, "client.py"),
             "follow", "-"],
            env=w.environment(), cwd=w.home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name):
        self.p.stdin.write(name + "\n")
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def end(self):
        self.p.stdin.close()
        self.p.wait()


@contextlib.contextmanager
def watching(w):
    path = os.path.join(w.home, ".cache", "tsproxy")
    before = {name: os.stat(os.path.join(path, name)).st_ino for name in os.listdir(path) if name.endswith(".map")}
    process = subprocess.Popen([*w.node2.enter(), *w.user(), "tsproxy", "sync", "--watch"], env=w.environment(),
                               cwd=w.home, stdin=subprocess.DEVNULL)

    def made():
        assert process.poll() is None, "the watch ended"
        return any(os.stat(os.path.join(path, name)).st_ino != inode for name, inode in before.items())
    try:
        until("the watch has made the map", made)
        yield process
    finally:
        process.terminate()
        process.wait()


@check("watch: a node that joins is known to a running program within a second of the daemon's knowing")
def joins(w):
    node = Node(w, "watched-node", sock=os.path.join(w.dir, "watched.sock"),
                flags=["--port=41645", "--tun=userspace-networking"])
    follower = Follower(w)
    try:
        with watching(w):
            assert follower.ask("watched-node") == "-" and follower.ask(NODE1) == w.ip4
            w.resolver.asked()
            node.start().up()
            address = node.addresses()[0]
            w.node2.knows(lambda peer: address in peer["TailscaleIPs"])
            begun = time.monotonic()
            until("the running program knows the new node", lambda: follower.ask("watched-node") == address, 5)
            took = time.monotonic() - begun
            assert took < 1, f"known after {took:.2f} s"
            good(tsproxy(w, "getent", "ahostsv4", "watched-node." + SUFFIX), address)
    finally:
        follower.end()
        node.leave()


@check("watch: outlives a daemon that is stopped and started again")
def restart(w):
    with watching(w) as process:
        with changed(w, w.node2.stop, w.node2.start):
            assert process.poll() is None
        follower = Follower(w)
        w.admin(f"/record?name=after.{SUFFIX}&ip={w.ip4}")
        until("the new daemon's record", lambda: follower.ask("after." + SUFFIX) == w.ip4, 5)
        follower.end()
        good(tsproxy(w, "curl", "-sS", URL), PAGE)


@check("watch: down and up again, and routes that the daemon stops to accept, reach running programs")
def states(w):
    with watching(w):
        def ends():
            return client(w, "connect", w.ip4, str(PORTS["echo"]))["errno"]
        with changed(w, lambda: w.node2.tailscale("down"), w.node2.up):
            until("the tailnet is unreachable", lambda: ends() == "ENETUNREACH", 5)
        until("it is reachable again", lambda: ends() == "0", 5)
        w.admin(f"/routes?node={NODE1}&cidr={SUBNET}")
        try:
            w.node2.knows(lambda peer: SUBNET in (peer.get("PrimaryRoutes") or []))
            until("the subnet is reached", lambda: tsproxy(w, "curl", "-sSm", "5", subnet_web(w)).stdout == PAGE, 5)
            # Listed still, and no longer taken: the daemon would dial it in the clear.
            w.node2.tailscale("set", "--accept-routes=false")
            address = subnet_web(w).split("/")[2].split(":")[0]
            until("the subnet is none of ours", lambda: "not in the tailnet" in w.run("tsproxy", "resolve", address).stdout, 5)
            w.watch.leaked()
            # What is not ours goes the machine's own way, which here leads to the other node.
            good(tsproxy(w, "curl", "-sSm", "5", subnet_web(w)), PAGE)
            assert w.watch.leaked()
        finally:
            w.node2.tailscale("set", "--accept-routes=true")
            w.admin(f"/routes?node={NODE1}")
            sync(w)

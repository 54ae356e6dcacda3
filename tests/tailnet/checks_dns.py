# SPDX-License-Identifier: MIT
"""Split DNS of a real tailnet: what the control server says of it, the daemon tells, and a name server on node 1 answers."""
import contextlib

from checks import check, good, need, sync, tsproxy
from checks_fresh import watching
from servers import PAGE
from watch import SUBNET
from world import NODE1, SUBNET_HOST, until

PORT = 5300


def name_server(w):
    """A name server on node 1's loopback, which the tailnet reaches at that node's addresses."""
    need("dnsmasq")
    if "dns" not in w.servers:
        w.servers.add("dns")
        w.serve("dnsmasq", ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", f"--port={PORT}",
                            "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--local=/#/",
                            f"--host-record=web.corp.example,{SUBNET_HOST}", f"--host-record=node.corp.example,{w.ip4},{w.ip6}",
                            "--cname=www.corp.example,web.corp.example", "--txt-record=text.corp.example,words"], PORT)


def told(w, suffix):
    """Waits until the map has that suffix, or has it no more."""
    def look():
        sync(w)
        return any(line.split()[:2] == ["dns", suffix] for line in good(w.run("tsproxy", "sync", "--print")).splitlines())
    return look


@contextlib.contextmanager
def subnet(w):
    """Node 1 routes for the host that is no node."""
    w.admin(f"/routes?node={NODE1}&cidr={SUBNET}")
    try:
        w.node2.knows(lambda peer: SUBNET in (peer.get("PrimaryRoutes") or []))
        yield
    finally:
        w.admin(f"/routes?node={NODE1}")


@contextlib.contextmanager
def split(w, suffix, *servers):
    name_server(w)
    w.admin(f"/dns?suffix={suffix}" + "".join(f"&server={server}" for server in servers))
    try:
        until(f"the daemon tells of {suffix}", told(w, suffix))
        w.resolver.asked()
        yield
    finally:
        w.admin("/dns")
        look = told(w, suffix)
        until(f"the daemon no longer tells of {suffix}", lambda: not look())


def private_names(w):
    return [name for name in w.resolver.asked() if name.endswith("example")]


@check("dns: the tailnet's own split DNS is asked through the tailnet, and what it names is reached there")
def by_the_tailnet(w):
    with subnet(w), split(w, "corp.example", f"{w.ip4}:{PORT}"):
        for name in "web.corp.example", "www.corp.example":
            good(tsproxy(w, "curl", "-sS", f"http://{name}:3000"), PAGE)
        good(tsproxy(w, "curl", "-sS", "http://node.corp.example:3000"), PAGE)
        out = good(tsproxy(w, "getent", "ahosts", "node.corp.example"))
        assert w.ip4 in out and w.ip6 in out, out
        assert tsproxy(w, "getent", "hosts", "none.corp.example").returncode == 2
        assert f"{w.ip4}:{PORT}" in good(w.run("tsproxy", "resolve", "web.corp.example"))
        assert not private_names(w)
    # And no longer, once it is gone: then it is anybody's.
    assert tsproxy(w, "getent", "hosts", "web.corp.example").returncode == 2
    assert "web.corp.example" in private_names(w)


@check("dns: a suffix without a server has only the names that the tailnet gives it")
def without_a_server(w):
    with split(w, "own.example"):
        assert tsproxy(w, "getent", "hosts", "x.own.example").returncode == 2
        assert not private_names(w)


@check("dns: --dns-route by IPv4 and IPv6, through either proxy")
def by_option(w):
    name_server(w)
    w.resolver.asked()
    for server in w.ip4, f"[{w.ip6}]":
        for proxy in [], ["--http-proxy", "localhost:3128"]:
            good(tsproxy(w, "getent", "hosts", "web.corp.example", options=["--dns-route", f"corp.example={server}:{PORT}", *proxy]),
                 SUBNET_HOST)
    assert not private_names(w)


@check("dns: where nobody answers at the server's address the name fails, and is asked of nobody else")
def no_answer(w):
    w.resolver.asked()
    for server in f"{w.ip4}:5399", "100.100.100.100":
        done = tsproxy(w, "getent", "hosts", "web.corp.example", options=["--dns-route", f"corp.example={server}"])
        assert done.returncode == 2, done
    assert not private_names(w)


@check("dns: a watch learns of split DNS as soon as the daemon does")
def watched(w):
    name_server(w)
    with watching(w):
        try:
            w.admin(f"/dns?suffix=corp.example&server={w.ip4}:{PORT}")
            until("the name is resolved", lambda: tsproxy(w, "getent", "hosts", "web.corp.example").returncode == 0, 3)
        finally:
            w.admin("/dns")
        until("it is no longer", lambda: tsproxy(w, "getent", "hosts", "web.corp.example").returncode != 0, 3)
    w.resolver.asked()

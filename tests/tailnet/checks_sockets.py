# SPDX-License-Identifier: MIT
"""What a program's sockets say: the truth about a tailnet, success and failure alike."""
import os

from checks import check, client, good, no_dns, only_proxied, sync, tsproxy
from servers import PAGE, PORTS, PYTHON
from world import NODE1, NODE2, SUFFIX

CLOSED = "3999"
GHOST = "gone"
GHOST4 = "100.64.9.9"


@check("sockets: getpeername is the node, getsockname this node")
def identity(w):
    for host, own in (w.ip4, w.own4), (w.ip6, w.own6):
        seen = client(w, "connect", host, str(PORTS["echo"]))
        assert seen["errno"] == "0" and seen["peer"] == [host, PORTS["echo"]], seen
        assert seen["own"][0] == own and seen["own"][1], seen
    only_proxied(w, socks=2)


@check("sockets: the same through a v4-mapped address")
def mapped(w):
    seen = client(w, "mapped", w.ip4, str(PORTS["echo"]))
    assert seen["peer"] == ["::ffff:" + w.ip4, PORTS["echo"]], seen
    assert seen["own"][0] == "::ffff:" + w.own4, seen


@check("sockets: a non-blocking connect is in progress, then done")
def nonblocking(w):
    for host in w.ip4, w.ip6:
        seen = client(w, "nonblocking", host, str(PORTS["echo"]))
        assert seen["first"] == "EINPROGRESS" and seen["ready"] and seen["errno"] == "0", seen
        assert seen["peer"] == [host, PORTS["echo"]], seen


@check("sockets: a closed port is refused at once")
def refused(w):
    for host in w.ip4, w.ip6:
        for how in "connect", "nonblocking":
            seen = client(w, how, host, CLOSED)
            assert seen["errno"] == "ECONNREFUSED" and seen["seconds"] < 2, seen
    seen = client(w, "asyncio_refused", w.ip4, CLOSED)
    assert seen["errno"] == "ECONNREFUSED" and seen["seconds"] < 2, seen


def ghost(w):
    """A node that the tailnet lists and nobody ever answers for."""
    if not w.ghost:
        w.admin(f"/ghost?name={GHOST}&ip={GHOST4}")
        w.ghost = True
    w.node2.knows(lambda peer: GHOST4 in peer["TailscaleIPs"])
    sync(w)


@check("sockets: a node that is away times out when the daemon gives up, not before, not later")
def away(w):
    ghost(w)
    for how in "connect", "nonblocking":
        seen = client(w, how, GHOST, "3000")
        assert seen["errno"] in ("ETIMEDOUT", "EHOSTUNREACH") and 4 < seen["seconds"] < 8, seen
    no_dns(w)


@check("sockets: a program's own timeout is shorter than the daemon's")
def own_timeout(w):
    ghost(w)
    done = tsproxy(w, "curl", "-sS", "--connect-timeout", "1", f"http://{GHOST}:3000")
    assert done.returncode == 28, f"curl ended with {done.returncode}: {done.stderr}"


@check("sockets: this node's own address leads to this node")
def own_address(w):
    port = "7010"
    server = w.spawn("own", [*w.node2.enter(), *w.user(), PYTHON, os.path.join(w.programs, "echo.py"), port],
                     env=w.environment())
    try:
        good(w.run("sh", "-c", f"until nc -z 127.0.0.1 {port}; do :; done"))
        seen = client(w, "connect", w.own4, port)
        assert seen["errno"] == "0" and seen["peer"] == [w.own4, int(port)], seen
        seen = client(w, "connect", NODE2, port)
        assert seen["errno"] == "0", seen
    finally:
        server.terminate()
        server.wait()


@check("sockets: loopback and the wire are left alone")
def not_ours(w):
    # Through node 1's wire address: the same page, no proxy.
    good(tsproxy(w, "curl", "-sS", "http://10.99.0.1:3000"), PAGE)
    only_proxied(w)


@check("sockets: UDP reaches the tailnet, from a socket that is connected and from one that is not")
def udp(w):
    for host in w.ip4, w.ip6:
        seen = client(w, "udp", host, "53")
        assert seen == {"sendto": "0", "connect": "0", "peer": [host, 53]}, seen


@check("sockets: the daemon's service address is unreachable, not in the clear")
def service(w):
    seen = client(w, "connect", "100.100.100.100", "80")
    assert seen["errno"] == "EHOSTUNREACH", seen


@check("names: getaddrinfo and gethostbyname, every spelling, no question to DNS")
def lookup(w):
    full = f"{NODE1}.{SUFFIX}"
    # As from DNS, the canonical name has the letters that were asked.
    for name, canonical in ((NODE1, full), (NODE1.upper(), f"{NODE1.upper()}.{SUFFIX}"), (full, full), (full + ".", full)):
        seen = client(w, "lookup", name)
        assert seen["AF_INET"] == [[w.ip4, 80, canonical]], (name, seen)
        assert seen["AF_INET6"] == [[w.ip6, 80, canonical]], (name, seen)
        assert seen["gethostbyname"][0] == canonical and seen["gethostbyname"][2] == [w.ip4], (name, seen)
    no_dns(w)


@check("names: an address leads back to the full name")
def reverse(w):
    for ip in w.ip4, w.ip6:
        assert client(w, "reverse", ip) == {"nameinfo": f"{NODE1}.{SUFFIX}", "hostbyaddr": f"{NODE1}.{SUFFIX}"}
    no_dns(w)


@check("names: an unknown name under the suffix is unknown, no question to DNS")
def unknown(w):
    seen = client(w, "lookup", "no-such-node." + SUFFIX)
    assert seen["AF_INET"] == "EAI_NONAME", seen
    no_dns(w)


@check("names: any other name goes to DNS as it did")
def other(w):
    seen = client(w, "lookup", "elsewhere.example.org")
    assert seen["AF_INET"] == "EAI_NONAME", seen
    assert "elsewhere.example.org" in w.resolver.asked()


@check("names: getent, which asks libc directly")
def getent(w):
    out = good(tsproxy(w, "getent", "ahosts", NODE1))
    assert w.ip4 in out and w.ip6 in out, out
    no_dns(w)

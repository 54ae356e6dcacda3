# SPDX-License-Identifier: MIT
"""Programs that speak UDP, over the real tailnet: what they say natively of their own host, on node 1, they say of node 1 on node 2."""
import json
import os
import subprocess
import sys

from checks import check, good, need, no_dns, tsproxy
from servers import PYTHON

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import quic  # noqa: E402
import udp_programs  # noqa: E402
import udp_servers  # noqa: E402
from harness import bound, until  # noqa: E402


def file(w):
    def make(name, text):
        path = os.path.join(w.home, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path
    return make


def java_class(w):
    def make(text):
        folder = os.path.join(w.home, "udp-java")
        if not os.path.isdir(folder):
            subprocess.run(["javac", "-d", folder, file(w)("Udp.java", text)], check=True)
        return folder
    return make


def serve(w):
    if not hasattr(w, "udp_served"):
        w.serve("udp", [PYTHON, os.path.join(os.path.dirname(udp_servers.__file__), "udp_servers.py"), "127.0.0.1"], udp_servers.TOLD)
        w.udp_served = True


def same(name, needs, argv):
    @check(f"udp: {name}: the same as natively, by IPv4 and IPv6")
    def run(w):
        need(needs)
        serve(w)
        command = next(a for n, _, a in udp_programs.programs(file(w), java_class(w)) if n == name)
        native = w.run(*command("127.0.0.1"), node=w.node1, seconds=60)
        for host in w.ip4, w.ip6:
            out = good(tsproxy(w, *command(host), seconds=60))
            assert out.replace(host, "HOST") == good(native).replace("127.0.0.1", "HOST"), (host, out, native.stdout)
        no_dns(w)


for name_, needs_, argv_ in udp_programs.programs(lambda name, text: name, lambda text: ""):
    if needs_ != "ntpdate":    # its port is root's alone
        same(name_, needs_, argv_)


@check("udp: iperf3 -u, from 100 to 8,000 bytes")
def iperf(w):
    need("iperf3")
    port = 5201
    for host in w.ip4, w.ip6:
        for size in "100", "1200", "8000":
            w.serve(f"iperf3-{port}", ["iperf3", "-s", "-p", str(port)], port)
            end = json.loads(good(tsproxy(w, "iperf3", "-u", "-J", "-p", str(port), "-l", size, "-k", "100", "-b", "2M", "-c", host)))["end"]["sum"]
            assert end["packets"] >= 100 and end["lost_packets"] <= 2, end
            port += 1


@check("udp: snmpget")
def snmp(w):
    need("snmpget")
    need("snmpd")
    w.spawn("snmpd", ["snmpd", "-f", "-Lo", "-C", "--rocommunity=public", "udp:127.0.0.1:1161"])
    for host, kind in (w.ip4, "udp:"), (f"[{w.ip6}]", "udp6:"):
        out = good(tsproxy(w, "snmpget", "-v2c", "-cpublic", "-t", "3", "-r", "3", f"{kind}{host}:1161", ".1.3.6.1.2.1.1.2.0"))
        assert "OID:" in out, out


@check("udp: mosh, client and server under tsproxy")
def mosh(w):
    need("mosh-client")
    need("mosh-server")
    program = file(w)("mosh.py", udp_programs.MOSH)
    for port, host in ((60001, w.ip4), (60002, w.ip6)):
        started = good(w.run("tsproxy", "--", "mosh-server", "new", "-i", "127.0.0.1", "-p", str(port), "-l", "LC_ALL=C.UTF-8", "--", "sh", "-i",
                             node=w.node1, env=[("PS1", "$ "), ("LC_ALL", "C.UTF-8")]))
        key = started.split("MOSH CONNECT")[1].split()[1]
        good(tsproxy(w, PYTHON, program, host, str(port), seconds=60,
                     env=[("MOSH_KEY", key), ("TERM", "xterm"), ("LC_ALL", "C.UTF-8")]), "it answered")


@check("udp: the only datagram of a program that ends at once arrives, from each of 50")
def leaving(w):
    serve(w)
    good(tsproxy(w, "bash", "-c", f"for i in $(seq 50); do (echo leaving-$i. > /dev/udp/{w.ip4}/{udp_servers.SINK}); done", seconds=60))
    told = good(tsproxy(w, PYTHON, file(w)("told.py", TOLD), w.ip4, str(udp_servers.TOLD)))
    assert [i for i in range(1, 51) if f"leaving-{i}." not in told] == [], told


# What the sink has, once the last is there.
TOLD = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
until = time.monotonic() + 10
told = ""
while "leaving-50." not in told and time.monotonic() < until:
    s.sendto(b"?", (sys.argv[1], int(sys.argv[2])))
    told = s.recv(65536).decode()
print(told)
"""


def serve_http3(w):
    served = os.path.join(w.home, "quic")
    if not os.path.isdir(served):
        quic.prepare(served)
        w.spawn("quic", [*w.user(), *quic.serve(served, "127.0.0.1", 4434)], cwd=w.home, env=w.environment())
        until(lambda: bound(4434), "QUIC's server")
    return served


@check("udp: HTTP/3 by ngtcp2's client, which goes to another socket on the way")
def http3(w):
    need("gtlsclient")
    need("gtlsserver")
    served = serve_http3(w)
    for i, options in enumerate(([], ["--change-local-addr=30ms"])):
        folder = os.path.join(w.home, f"quic-{i}")
        os.makedirs(folder, mode=0o777)
        os.chmod(folder, 0o777)
        good(tsproxy(w, *quic.ask(folder, w.ip4, 4434, *options), seconds=60))
        assert quic.same(folder, served), options
    no_dns(w)


@check("udp: quinn's QUIC: segments, ECN, probes of the MTU, another socket on the way; by IPv4 and IPv6")
def quinn(w):
    need("cargo")
    need("gtlsserver")
    serve_http3(w)
    program = os.path.join(w.build, "programs", "rust_quic", "release", "quic")
    native = good(w.run(program, "127.0.0.1", "4434", node=w.node1))
    assert "moved" in native, native
    for host, at in (w.ip4, w.ip4), (w.ip6, f"[{w.ip6}]"):
        assert good(tsproxy(w, program, host, "4434", seconds=60)).replace(at, "127.0.0.1") == native, host
    no_dns(w)


@check("udp: TFTP cannot work, and says so by its time-out")
def tftp(w):
    need("tftp")
    done = tsproxy(w, "tftp", w.ip4, str(udp_servers.SINK), "-c", "get", "nothing", "/dev/null", seconds=60)
    assert "timed out" in (done.stdout + done.stderr).lower(), done

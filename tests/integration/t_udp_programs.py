# SPDX-License-Identifier: MIT
"""Programs that speak UDP: what they say natively of a host here, they say under tsproxy of a node."""
import json
import os
import socket
import subprocess
import sys

from harness import NODE1, NODE1_V6, Skip, bound, listening, test
import quic
import udp_programs
import udp_servers

SERVERS = os.path.join(os.path.dirname(udp_servers.__file__), "udp_servers.py")


def java_class(t):
    def make(text):
        folder = os.path.join(t.dir, "java")
        if not os.path.isdir(folder):
            source = t.file("Udp.java", text)
            subprocess.run(["javac", "-d", folder, source], check=True)
        return folder
    return make


def both(t, name, argv, there):
    """What it says natively and under tsproxy, of this host and of the node that stands for it."""
    here = "::1" if ":" in there else "127.0.0.1"
    done = t.run(argv(here)), t.tsproxy(*argv(there))
    assert done[0].status == 0, f"{name}: natively it fails: {done[0]}"
    seen = [(d.status, d.out.replace(host, "HOST")) for d, host in zip(done, (here, there))]
    assert seen[0] == seen[1], f"{name}: {seen[0]}\n  under tsproxy: {done[1]}"


@test("dig, nc, socat, bash, gawk, logger, Python, node, Java, perl, ruby, php: the same as natively")
def udp_programs_all(t):
    t.tailnet()
    t.spawn([sys.executable, SERVERS, "127.0.0.1", "::1"], ready=lambda: listening(udp_servers.TOLD))
    absent = []
    for name, needs, argv in udp_programs.programs(t.file, java_class(t)):
        try:
            t.need(needs)
        except Skip as e:
            absent.append(str(e))
            continue
        for there in (NODE1, NODE1_V6):
            both(t, name, argv, there)
    assert not absent, absent
    told = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    told.settimeout(10)
    told.sendto(b"?", ("127.0.0.1", udp_servers.TOLD))
    lines = told.recv(65536).decode().splitlines()
    for what in "by-bash", "by-logger", "by.statsd:1|c":
        assert sum(what in line for line in lines) == 4, (what, lines)


@test("iperf3 -u: all that was sent arrives, by IPv4 and IPv6, from 100 to 8,000 bytes, natively and under tsproxy")
def udp_iperf(t):
    t.need("iperf3")
    t.tailnet()
    ours = lambda argv: t.tsproxy(*argv)  # noqa: E731
    port = 5201
    for here, there in (("127.0.0.1", NODE1), ("::1", NODE1_V6)):
        for size in "100", "1200", "8000":
            for run, host, more in ((t.run, here, []), (ours, there, []), (ours, there, ["-R"])):
                t.spawn(["iperf3", "-s", "-1", "-p", str(port)], ready=lambda: listening(port, "::") or listening(port))
                end = json.loads(run(["iperf3", "-u", "-J", "-p", str(port), "-l", size, "-k", "200", "-b", "2M", *more, "-c", host]).good())["end"]
                assert end["sum"]["packets"] >= 200 and end["sum"]["lost_packets"] == 0, (there, size, end)
                port += 1


@test("snmpget: the same as natively, by IPv4 and IPv6")
def udp_snmp(t):
    t.need("snmpget", "snmpd")
    t.tailnet()
    t.spawn(["snmpd", "-f", "-Lo", "-C", "--rocommunity=public", "--rocommunity6=public", "udp:127.0.0.1:161", "udp6:[::1]:161"],
            ready=lambda: bound(161))
    ask = ["snmpget", "-v2c", "-cpublic", "-t", "5"]
    for here, there in (("udp:127.0.0.1", f"udp:{NODE1}"), ("udp6:[::1]", f"udp6:[{NODE1_V6}]")):
        for what in ".1.3.6.1.2.1.1.5.0", ".1.3.6.1.2.1.1.2.0":
            assert t.run([*ask, here, what]).good() == t.tsproxy(*ask, there, what).good()


@test("mosh: a session, natively and under tsproxy, by IPv4 and IPv6; the server under tsproxy, too")
def udp_mosh(t):
    t.need("mosh-client", "mosh-server")
    t.tailnet()
    port = 60001
    ours = lambda argv, **more: t.tsproxy(*argv, **more)    # noqa: E731
    for here, there in (("127.0.0.1", NODE1), ("::1", NODE1_V6)):
        for server, client, host in ((t.run, t.run, here), (t.run, ours, there), (ours, ours, there)):
            bind = here if host == here else "127.0.0.1"    # the daemon forwards to that, whatever the tailnet address
            started = server(["mosh-server", "new", "-i", bind, "-p", str(port), "-l", "LC_ALL=C.UTF-8", "--", "sh", "-i"],
                             env={"PS1": "$ ", "ENV": None})
            key = started.good("MOSH CONNECT").split("MOSH CONNECT")[1].split()[1]
            client([sys.executable, t.file("mosh.py", udp_programs.MOSH), host, str(port)], timeout=60,
                   env={"MOSH_KEY": key, "TERM": "xterm", "MOSH_PREDICTION_DISPLAY": "never"}).good("it answered")
            port += 1


@test("HTTP/3 by ngtcp2's client, which binds the address that the routing table gives: segments, ECN, new sockets on the way, keys")
def udp_quic(t):
    t.need("gtlsclient", "gtlsserver", "openssl", "ip")
    # It asks for the route to the peer: there is one, and it leads nowhere.
    for command in ("link add out0 type veth peer name out1", "addr add 192.0.2.1/24 dev out0", "link set out0 up", "link set out1 up",
                    "route add default via 192.0.2.2"):
        subprocess.run(["ip", *command.split()], check=True)
    t.tailnet()
    quic.prepare(t.dir)
    t.spawn(quic.serve(t.dir, "127.0.0.1", 4434), lambda: bound(4434))
    for i, options in enumerate(([], ["--change-local-addr=30ms"], ["--key-update=20ms", "--max-udp-payload-size=1452"], ["-d", f"{t.dir}/files/f3", "-m", "POST"])):
        for j, (run, host) in enumerate(((t.run, "127.0.0.1"), (lambda argv, **more: t.tsproxy(*argv, **more), NODE1))):
            folder = os.path.join(t.dir, f"got-{i}-{j}")
            os.mkdir(folder)
            run(quic.ask(folder, host, 4434, *options)).good()
            assert "POST" in options or quic.same(folder, t.dir), (options, host)

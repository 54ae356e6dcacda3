# SPDX-License-Identifier: MIT
"""Split DNS: names that a name server of their own knows, by dns-route and as the daemon tells of it."""
import json
import os
import subprocess
import sys

from harness import API, FQDN1, NODE1, SUFFIX, listening, test

SERVER = "100.64.0.53"
WORLD = ["--node", "me,100.64.0.1,self", "--node", f"ns,{SERVER}", "--node", f"gw,{NODE1},route=10.9.0.0/16",
         "--map", f"{SERVER}:53=127.0.0.1:5300", "--map", "10.9.1.1:3000=127.0.0.1:3000"]
ROUTE = ["--dns-route", f"corp.example={SERVER}"]
AGAIN = -3   # EAI_AGAIN
LOOK_UP = """
import socket, sys
for name in sys.argv[1:]:
    try:
        print(name, *sorted({a[4][0] for a in socket.getaddrinfo(name, 1)}))
    except socket.gaierror as e:
        print(name, e.errno)
"""


def private_dns(t, *options, port=5300, host="127.0.0.1"):
    """A name server behind the tailnet. Returns what it says that it was asked."""
    t.need("dnsmasq")
    log = os.path.join(t.dir, f"asked-{port}")
    t.spawn(["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", f"--port={port}",
             f"--listen-address={host}", "--bind-interfaces", "--user=root", "--pid-file=", "--log-queries",
             f"--log-facility={log}", "--local=/#/", *(f"--{o}" for o in options)],
            lambda: listening(port, host))

    def asked():
        with open(log) as f:
            return [line.split("query[", 1)[1].split()[1] for line in f if "query[" in line]
    return asked


def look_up(t, *names, options=ROUTE, **more):
    return t.tsproxy(sys.executable, "-c", LOOK_UP, *names, options=options, **more).good().splitlines()


@test("dns-route: a name server in the tailnet is asked, the machine's own never; what it names is then reached through the tailnet")
def through_the_tailnet(t):
    sim = t.tailnet(*WORLD)
    t.page(3000)
    asked, theirs = t.dns({"db.corp.example": "6.6.6.6"}), private_dns(t, "host-record=db.corp.example,10.9.1.1")
    t.tsproxy("curl", "-sS", "http://db.corp.example:3000/", options=ROUTE).good("a page")
    assert look_up(t, "db.corp.example", "no.corp.example", FQDN1.replace("jawnsy-tailscale-1", "gw")) == [
        "db.corp.example 10.9.1.1", "no.corp.example -2", f"gw.{SUFFIX} {NODE1}"]
    assert {"db.corp.example", "no.corp.example"} <= set(theirs()) and not asked, (theirs(), asked)
    # Through HTTP CONNECT likewise.
    assert look_up(t, "db.corp.example", options=[*ROUTE, "--http-proxy", sim.at["http"]]) == ["db.corp.example 10.9.1.1"]
    # Without the route it is anybody's.
    assert look_up(t, "db.corp.example", options=()) == ["db.corp.example 6.6.6.6"]


@test("where the name server does not answer the name is not resolved for the time being, and nobody else is asked")
def unreachable(t):
    t.tailnet(*WORLD)
    asked = t.dns({"db.corp.example": "6.6.6.6"})
    for server in SERVER, "100.100.100.100", "fd7a:115c:a1e0::53", "127.0.0.1:5399", "100.64.0.99":
        done = look_up(t, "db.corp.example", options=["--dns-route", f"corp.example={server}"],
                       env={"RES_OPTIONS": "timeout:1 attempts:1"})
        assert done == [f"db.corp.example {AGAIN}"], (server, done)
    assert not asked, asked
    # The second of two takes over.
    private_dns(t, "host-record=db.corp.example,10.9.1.1")
    assert look_up(t, "db.corp.example", options=["--dns-route", "corp.example=127.0.0.1:5399", *ROUTE]) == ["db.corp.example 10.9.1.1"]


@test("a name server that is not the tailnet's is asked directly, over IPv4 and IPv6")
def direct(t):
    sim = t.tailnet(*WORLD)
    private_dns(t, "host-record=db.corp.example,10.9.1.1", port=5301)
    private_dns(t, "host-record=db.corp.example,10.9.1.2", port=5302, host="::1")
    assert look_up(t, "db.corp.example", options=["--dns-route", "corp.example=127.0.0.1:5301"]) == ["db.corp.example 10.9.1.1"]
    assert look_up(t, "db.corp.example", options=["--dns-route", "corp.example=[::1]:5302"]) == ["db.corp.example 10.9.1.2"]
    targets = sim.stats()["targets"]
    assert not any(":530" in target for target in targets), targets


@test("settings: option over variable, several at once, the configuration file and its profiles")
def settings(t):
    t.tailnet(*WORLD)
    private_dns(t, "host-record=db.corp.example,10.9.1.1", "host-record=db.other.example,10.9.1.2")
    config = f"dns-route = corp.example={SERVER}, other.example={SERVER}:53\n[profile work]\ndns-route = corp.example=127.0.0.1:5300\n"
    t.file("home/.config/tsproxy/tsproxy.conf", config)
    both = ["db.corp.example 10.9.1.1", "db.other.example 10.9.1.2"]
    assert look_up(t, "db.corp.example", "db.other.example", options=()) == both
    assert look_up(t, "db.corp.example", "db.other.example", options=["-p", "work"]) == both
    # Nearer ones win for their suffix, and only for that.
    again = {"RES_OPTIONS": "timeout:1 attempts:1"}
    for more in ({"env": {"TSPROXY_DNS_ROUTE": "corp.example=127.0.0.1:5399", **again}, "options": ()},
                 {"env": {"TSPROXY_DNS_ROUTE": f"corp.example={SERVER}", **again},
                  "options": ["--dns-route", "corp.example=127.0.0.1:5399"]}):
        assert look_up(t, "db.corp.example", "db.other.example", **more) == [f"db.corp.example {AGAIN}", both[1]], more
    found = {s["key"]: s for s in json.loads(t.launcher("config", "--json").good())}
    assert "corp.example" in json.dumps(found["dns-route"]), found
    t.launcher("sync").good()
    printed = t.launcher("sync", "--print").good()
    assert f"dns      other.example {SERVER}:53\n" in printed, printed


@test("the tailnet's own split DNS is told by the daemon, and followed when it changes; not where the node takes no DNS")
def told_by_the_daemon(t):
    t.tailnet(*WORLD, "--dns-route", f"corp.example={SERVER}", "--dns-route", "own.example=",
              "--dns-route", "doh.example=https://dns.example/query", "--dns-route", f"{SUFFIX}={SERVER}")
    asked = t.dns({"db.corp.example": "6.6.6.6", "a.own.example": "6.6.6.6", "a.doh.example": "6.6.6.6", "x.new.example": "6.6.6.6"})
    private_dns(t, "host-record=db.corp.example,10.9.1.1", "host-record=x.new.example,10.9.1.9", f"host-record=none.{SUFFIX},6.6.6.6")
    assert look_up(t, "db.corp.example", "a.own.example", "a.doh.example", f"none.{SUFFIX}", options=()) == [
        "db.corp.example 10.9.1.1", "a.own.example -2", f"a.doh.example {AGAIN}", f"none.{SUFFIX} -2"]
    assert not asked, asked
    t.run(["curl", "-sS", "--unix-socket", API, f"http://x/sim/dns-route?new.example={SERVER}"]).good()
    t.launcher("sync").good()
    assert look_up(t, "x.new.example", options=()) == ["x.new.example 10.9.1.9"]
    t.run(["curl", "-sS", "--unix-socket", API, "http://x/sim/accept-dns?no"]).good()
    t.launcher("sync").good()
    assert look_up(t, "db.corp.example", options=()) == ["db.corp.example 6.6.6.6"]


@test("an older daemon tells of split DNS in its network map alone")
def told_by_an_old_daemon(t):
    t.tailnet(*WORLD, "--old-api", "--dns-route", f"corp.example={SERVER}")
    private_dns(t, "host-record=db.corp.example,10.9.1.1")
    assert look_up(t, "db.corp.example", options=()) == ["db.corp.example 10.9.1.1"]


@test("without a map, a proxy's port is enough to ask a name server behind it")
def sidecar(t):
    t.sim("--socks5", "1055", *WORLD)
    t.page(3000)
    private_dns(t, "host-record=db.corp.example,10.9.1.1", "host-record=ns.corp.example,100.64.0.53")
    done = t.run([sys.executable, "-c", LOOK_UP, "db.corp.example"],
                 env={"LD_PRELOAD": t.build("libtsproxy.so"), "TSPROXY_SOCKS5": "127.0.0.1:1055",
                      "TSPROXY_DNS_ROUTE": f"corp.example={SERVER}"})
    assert done.good() == "db.corp.example 10.9.1.1\n", done


@test("who comes first: /etc/hosts, the nodes, then the longest suffix; and a suffix under the tailnet's own")
def order(t):
    t.tailnet(*WORLD, "--name", f"a.far.corp.example={NODE1}")
    asked = t.dns()
    private_dns(t, "host-record=db.corp.example,10.9.1.1", "host-record=a.far.corp.example,10.9.1.2", f"host-record=gw.{SUFFIX},10.9.1.3",
                f"host-record=x.k8s.{SUFFIX},10.9.1.4", "host-record=a.deep.far.corp.example,10.9.1.5", "host-record=hosts.corp.example,6.6.6.6",
                "host-record=corp,10.9.1.6", "host-record=gw.corp,10.9.1.7")
    hosts = t.file("hosts", "127.0.0.1 localhost\n10.1.1.1 hosts.corp.example\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    options = [*ROUTE, "--remote-name", "far.corp.example", "--dns-route", f"deep.far.corp.example={SERVER}",
               "--dns-route", f"k8s.{SUFFIX}={SERVER}", "--dns-route", f"corp={SERVER}"]
    found = dict(line.split(" ", 1) for line in look_up(t, "db.corp.example", "a.far.corp.example", "a.deep.far.corp.example", f"gw.{SUFFIX}",
                                                        f"x.k8s.{SUFFIX}", f"none.{SUFFIX}", "hosts.corp.example", "corp", "gw.corp", "gw",
                                                        options=options))
    remote = found.pop("a.far.corp.example")
    assert remote.startswith("198.19."), remote
    assert found == {"db.corp.example": "10.9.1.1", "a.deep.far.corp.example": "10.9.1.5", f"gw.{SUFFIX}": NODE1,
                     f"x.k8s.{SUFFIX}": "10.9.1.4", f"none.{SUFFIX}": "-2", "hosts.corp.example": "10.1.1.1", "corp": "10.9.1.6",
                     "gw.corp": "10.9.1.7", "gw": NODE1}, found
    assert not asked, asked


@test("resolve, explain and doctor say which server is asked for a name, and how")
def told_to_people(t):
    t.tailnet(*WORLD, "--dns-route", "doh.example=https://dns.example/query")
    options = [*ROUTE, "--dns-route", "lan.example=10.1.1.1", "--dns-route", "lan.example=10.1.1.2"]
    out = t.launcher(*options, "resolve", "db.corp.example", "db.lan.example").out
    assert f"db.corp.example\t-\tdns-route (name server {SERVER}:53, through the proxy)" in out, out
    assert "db.lan.example\t-\tdns-route (name server 10.1.1.1:53, then 10.1.1.2:53, directly)" in out, out
    found = json.loads(t.launcher(*options, "resolve", "--json", "db.corp.example").good())[0]
    assert found["why"] == "dns-route" and found["servers"] == [f"{SERVER}:53"] and found["tailnet"], found
    t.launcher(*options, "explain", "--", "curl", "http://db.corp.example/").good("dns-route")
    t.launcher(*options, "resolve", "a.doh.example").out.index("DNS over HTTPS")
    done = t.launcher(*options, "doctor")
    for text in f"corp.example: dns-route (name server {SERVER}:53, through the proxy)", "doh.example: its name servers support only":
        assert text in done.out, done
    assert "/etc/resolv.conf" not in done.out, done
    with open("/etc/resolv.conf", "w") as f:
        f.write("nameserver 100.100.100.100\n")
    out = t.launcher("doctor").out
    assert "/etc/resolv.conf lists 100.100.100.100" in out and "-> list a server that can be reached\n" in out, out


@test("the daemon's own DNS address is not to be had by a program itself: TCP, UDP, IPv4, IPv6")
def quad_100(t):
    t.tailnet()
    program = """
import errno, socket
for family, host in (socket.AF_INET, "100.100.100.100"), (socket.AF_INET6, "fd7a:115c:a1e0::53"), (socket.AF_INET6, "::ffff:100.100.100.100"):
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        for call in "connect", "sendto":
            s = socket.socket(family, kind)
            try:
                s.connect((host, 53)) if call == "connect" else s.sendto(b"x", (host, 53))
                print("none")
            except OSError as e:
                print(errno.errorcode[e.errno])
"""
    want = ["EHOSTUNREACH", "EPIPE", "EHOSTUNREACH", "EHOSTUNREACH"] * 3
    assert t.tsproxy(sys.executable, "-c", program).good().split() == want

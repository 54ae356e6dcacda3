# SPDX-License-Identifier: MIT
"""Names: what is answered from the map, what goes to the resolver, and what never may."""
import json
import os
import subprocess
import sys
import time

from harness import FQDN1, NAME1, NODE1, NODE1_V6, SUFFIX, listening, test, until


def look_up(t, name):
    """getaddrinfo without AI_ADDRCONFIG: with it (as getent) libc finds nothing on loopback alone."""
    program = "import socket as s, sys; print(*{x[4][0] for x in s.getaddrinfo(sys.argv[1], 80, s.AF_INET)})"
    return t.tsproxy(sys.executable, "-c", program, name)


@test("getent: hosts, ahosts, ahostsv4, ahostsv6 and an address back to its name, without one DNS packet")
def getent(t):
    t.tailnet()
    asked = t.dns()
    for database, name, wanted in (("hosts", NAME1, NODE1_V6), ("ahosts", FQDN1, NODE1), ("ahostsv4", NAME1, NODE1),
                                   ("ahostsv6", NAME1.upper() + f".{SUFFIX}.", NODE1_V6), ("hosts", NODE1, FQDN1),
                                   ("hosts", NODE1_V6, FQDN1)):
        out = t.tsproxy("getent", database, name).good(wanted)
        if database == "ahosts":
            assert NODE1_V6 in out and FQDN1 in out, out
    assert not asked, asked


@test("an unknown name under the tailnet's suffix fails and no DNS packet is sent, by each resolver call")
def unknown(t):
    t.tailnet()
    asked = t.dns({"public.example": "192.0.2.7"})
    program = t.file("names.py", '''
import socket, sys
name = sys.argv[1]
for call in (lambda: socket.getaddrinfo(name, 80), lambda: socket.gethostbyname(name),
             lambda: socket.gethostbyname_ex(name), lambda: socket.create_connection((name, 80), 5)):
    try:
        print("found", call())
    except socket.gaierror as e:
        print("EAI_NONAME" if e.errno == socket.EAI_NONAME else e)
    except OSError as e:
        print(e)
''')
    for name in (f"nobody.{SUFFIX}", f"No.Body.{SUFFIX}.", f"a.{NAME1}.{SUFFIX}"):
        out = t.tsproxy(sys.executable, program, name).good()
        assert out.split() == ["EAI_NONAME"] * 4, (name, out)
    assert t.tsproxy("getent", "hosts", f"nobody.{SUFFIX}").status == 2
    assert not asked, f"sent to a name server: {asked}"
    look_up(t, "public.example").good("192.0.2.7")
    assert set(asked) == {"public.example"}, asked


@test("names that are no tailnet's go to the resolver as ever, a short unknown one too")
def public(t):
    t.tailnet()
    asked = t.dns({"public.example": "192.0.2.7"})
    look_up(t, "public.example").good("192.0.2.7")
    assert t.tsproxy("getent", "hosts", "nothing.example").status == 2
    assert t.tsproxy("getent", "hosts", "shortname").status == 2
    assert {"public.example", "nothing.example", "shortname"} <= set(asked), asked


@test("/etc/hosts and localhost win over the tailnet")
def etc_hosts(t):
    hosts = t.file("hosts", f"127.0.0.1 localhost\n127.9.9.9 {NAME1}\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    t.tailnet("--node", "me,100.64.0.1,self", "--node", f"{NAME1},{NODE1}", "--node", "localhost,100.64.0.7",
              "--node", "other,100.64.0.8")
    look_up(t, NAME1).good("127.9.9.9")
    look_up(t, "other").good("100.64.0.8")
    assert look_up(t, "localhost").good().split() == ["127.0.0.1"]


@test("services, socket types, canonical names and reverse look-ups as getaddrinfo and getnameinfo give them")
def addrinfo(t):
    t.tailnet()
    asked = t.dns()
    program = t.file("names.py", '''
import json, socket, sys
name, address = sys.argv[1:]
g = socket.getaddrinfo
print(json.dumps(dict(
    stream=[x[4] for x in g(name, "http", type=socket.SOCK_STREAM)],
    all=len(g(name, 80)), v4=len(g(name, 80, socket.AF_INET)), canon=g(name, None, flags=socket.AI_CANONNAME)[0][3],
    mapped=[x[4][0] for x in g(name, 80, socket.AF_INET6, socket.SOCK_STREAM)],
    fqdn=socket.getfqdn(name), host=socket.gethostbyaddr(address), info=socket.getnameinfo((address, 80), 0),
    numeric=socket.getnameinfo((address, 80), socket.NI_NUMERICHOST)[0], ex=socket.gethostbyname_ex(name))))
''')
    r = json.loads(t.tsproxy(sys.executable, program, NAME1, NODE1).good())
    assert r["stream"] == [[NODE1_V6, 80, 0, 0], [NODE1, 80]], r
    assert r["v4"] == 3 and r["all"] == 6 and r["canon"] == FQDN1 and r["mapped"] == [NODE1_V6], r
    assert r["fqdn"] == FQDN1 and r["host"][0] == FQDN1 and r["info"] == [FQDN1, "http"] and r["numeric"] == NODE1, r
    assert r["ex"][2] == [NODE1], r
    assert not asked, asked


@test("extra records and certificate domains resolve; a shared node without a DNS name is found by address")
def extras(t):
    t.tailnet("--extra", "db.corp.example=100.64.0.9")
    asked = t.dns()
    t.tsproxy("getent", "ahostsv4", "db.corp.example").good("100.64.0.9")
    t.tsproxy("getent", "ahostsv4", f"jawnsy-tailscale-2.{SUFFIX}").good("100.93.121.122")
    assert not asked, asked
    t.page(3000)
    t.tsproxy("curl", "-sS", "http://100.101.102.103:3000/").good("a page")


KINDS = {
    "BackendState": "Running", "TUN": False, "MagicDNSSuffix": SUFFIX, "TailscaleIPs": ["100.64.0.1"],
    "CertDomains": [f"cert.{SUFFIX}", "cert.example"], "ExtraRecords": [
        {"Name": "db.corp.example", "Value": "100.64.0.9"}, {"Name": "db.corp.example.", "Type": "AAAA", "Value": "fd7a:115c:a1e0::9"}],
    "Self": {"HostName": "Me", "DNSName": f"me.{SUFFIX}.", "TailscaleIPs": ["100.64.0.1"]},
    "Peer": {
        "1": {"HostName": "host", "DNSName": f"host.{SUFFIX}.", "TailscaleIPs": ["100.64.0.2"]},
        "2": {"HostName": "host", "DNSName": f"host-1.{SUFFIX}.", "TailscaleIPs": ["100.64.0.3"]},
        "3": {"HostName": "shared", "DNSName": "shared.tailbeef.ts.net.", "TailscaleIPs": ["100.64.0.4"], "ShareeNode": False},
        "4": {"HostName": "John's Phone", "DNSName": "", "TailscaleIPs": ["100.64.0.5"]},
        "5": {"HostName": "1", "DNSName": f"1.{SUFFIX}.", "TailscaleIPs": ["100.64.0.6"]},
        "6": {"HostName": "0x7f.1", "DNSName": f"0x7f.{SUFFIX}.", "TailscaleIPs": ["100.64.0.7"]},
        "8": {"HostName": "wild", "DNSName": f"wild.{SUFFIX}.", "TailscaleIPs": ["100.64.0.10"], "CapMap": {"dns-subdomain-resolve": None}},
        "9": {"HostName": "wilder", "DNSName": "wilder.tailbeef.ts.net.", "TailscaleIPs": ["100.64.0.11"],
              "CapMap": {"dns-subdomain-resolve": []}},
        "7": {"HostName": "off", "DNSName": f"off.{SUFFIX}.", "TailscaleIPs": ["100.64.0.8"], "Online": False},
    },
}
ANSWERED = [    # by the map alone
    ("me", "100.64.0.1"), (f"ME.{SUFFIX}", "100.64.0.1"), ("cert.example", "100.64.0.1"), (f"cert.{SUFFIX}", "100.64.0.1"),
    ("host", "100.64.0.2"), ("host-1", "100.64.0.3"), (f"host-1.{SUFFIX}.", "100.64.0.3"), ("HOST", "100.64.0.2"),
    ("shared.tailbeef.ts.net", "100.64.0.4"), ("db.corp.example", "100.64.0.9"), ("DB.corp.example.", "100.64.0.9"),
    (f"a.wild.{SUFFIX}", "100.64.0.10"), (f"A.b.Wild.{SUFFIX}.", "100.64.0.10"), ("c.wilder.tailbeef.ts.net", "100.64.0.11"),
    ("off", "100.64.0.8"), (f"1.{SUFFIX}", "100.64.0.6"),
    # Numbers are never names, though here nodes have these very ones.
    ("1", "0.0.0.1"), ("0x7f.1", "127.0.0.1"), ("127.1", "127.0.0.1"), ("0x7f", "0.0.0.127"), ("017700000001", "127.0.0.1"),
]
DENIED = [SUFFIX, f"{SUFFIX}.", f"a.wild-1.{SUFFIX}", f"nobody.{SUFFIX}", f"Nobody.{SUFFIX}.", f"a.host.{SUFFIX}", f"me.{SUFFIX}.{SUFFIX}",
          f"db.corp.example.{SUFFIX}",
          f"10-1-2-3-via-.{SUFFIX}", f"10-1-2-300-via-7.{SUFFIX}"]
ASKED = ["shared", "johns-phone", "other.tailbeef.ts.net", "a.shared.tailbeef.ts.net", f"not{SUFFIX}", "corp.example",
         "me.example"]     # those go to the resolver


@test("what counts as a name: own, shared, duplicate, extra and certificate names do, numbers never; none of them is asked elsewhere")
def kinds(t):
    status = t.file("kinds.json", json.dumps(KINDS))
    # A short name that is the tailnet's is not looked up under the machine's own search domain, nor is one that fails.
    resolv = t.file("resolv.conf", "nameserver 127.0.0.1\nsearch leak.example\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", resolv, "/etc/resolv.conf"], check=True)
    t.tailnet()
    asked = t.dns()
    program = ("import socket as s, sys\nfor name in sys.argv[1:]:\n try: print(s.getaddrinfo(name, 80, s.AF_INET)[0][4][0])\n"
               " except s.gaierror: print('-')")

    def look_up_all(names, **more):
        out = t.tsproxy(sys.executable, "-c", program, *names, options=["--status", status], **more).good().split()
        return dict(zip(names, out))
    wanted = dict(ANSWERED) | {name: "-" for name in DENIED}
    found = look_up_all(list(wanted))
    assert found == wanted, {name: (found[name], wanted[name]) for name in wanted if found[name] != wanted[name]}
    assert not asked, asked
    assert set(look_up_all(ASKED).values()) == {"-"}
    assert {name.lower() for name in ASKED} <= set(asked), asked
    asked.clear()
    assert look_up_all(["host", f"host.{SUFFIX}"], env={"TSPROXY_SHORT_NAMES": "0"}) == {"host": "-", f"host.{SUFFIX}": "100.64.0.2"}
    assert set(asked) == {"host", "host.leak.example"}, asked
    # A node without a name has one all the same to connect to: its address; and that has no name to be told.
    asked.clear()
    t.tsproxy("getent", "hosts", "100.64.0.5", options=["--status", status]).bad(status=2)
    assert not asked, asked


@test("A-B-C-D-via-SITE is an address behind a 4via6 router, which carries it")
def via(t):
    t.tailnet("--node", "me,100.64.0.1,fd7a:115c:a1e0::1,self", "--node", "router,100.64.0.2,route=fd7a:115c:a1e0:b1a:0:7:a00::/104")
    t.page(3000)
    asked = t.dns()
    inside = "fd7a:115c:a1e0:b1a:0:7:a01:203"
    for name in "10-1-2-3-via-7", f"10-1-2-3-VIA-7.{SUFFIX}", f"10-1-2-3-via-0x7.{SUFFIX}.":
        t.tsproxy("getent", "ahostsv6", name).good(inside)
        t.launcher("resolve", name).good(inside)
    t.tsproxy("curl", "-sS", "http://10-1-2-3-via-7:3000/").good("a page")
    t.tsproxy("getent", "ahostsv4", f"10-1-2-3-via-7.{SUFFIX}").bad(status=2)
    assert not asked, asked
    look_up(t, "10-1-2-3-via-7.example").bad()
    assert "10-1-2-3-via-7.example" in asked, asked


@test("a node that joins is known to the next program, and to a preloaded shell that runs already")
def joins(t):
    t.need("bash")
    first = t.tailnet()
    t.tsproxy("getent", "hosts", NAME1).good()
    first.process.terminate()
    first.process.wait()
    shell = subprocess.Popen([t.build("tsproxy"), "--", "bash", "-c",
                              "read line; getent ahostsv4 newcomer"], env=t.env, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    t.tailnet("--node", "me,100.64.0.1,self", "--node", "newcomer,100.64.0.5")
    # A short name is worth asking the daemon again only where the map is older than 2 s: wait for the map's own age.
    path = "/run/tsproxy/default.map"
    until(lambda: time.time() - os.stat(path).st_mtime > 2.1, "old map")
    out, _ = shell.communicate("go\n", timeout=20)
    assert "100.64.0.5" in out, out


@test("a process that asks nothing of the tailnet never opens the map")
def asks_nothing(t):
    t.need("strace", "bash")
    t.tailnet()
    t.page(3000)
    t.tsproxy("true").good()

    def opened(*argv):
        done = t.tsproxy("strace", "-f", "-e", "trace=%file", *argv)
        assert done.status == 0, done
        return "default.map" in done.err
    assert opened("getent", "hosts", NAME1), "the test sees nothing"
    for argv in (("true",), ("sh", "-c", "ls / | cat"), ("getent", "passwd", "root"),
                 ("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3000; echo >&3")):
        assert not opened(*argv), argv


@test("programs that send DNS themselves, by UDP and TCP, get what they get without tsproxy; nodes' names are not there")
def own_queries(t):
    t.need("dig", "node", "dnsmasq")
    t.tailnet()
    t.spawn(["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--listen-address=127.0.0.1",
             "--bind-interfaces", "--user=root", "--pid-file=", "--local=/#/", "--host-record=www.example,192.0.2.7,2001:db8::7"],
            lambda: listening(53))
    resolver = ("const r = new (require('dns').Resolver)(); r.setServers(['127.0.0.1']);"
                "r.resolve4(process.argv[1], (e, a) => console.log(e ? e.code : a))")
    for name in ("www.example", "none.example", NAME1, FQDN1):
        for argv in (("dig", "+short", "+time=5", "@127.0.0.1", name), ("dig", "+short", "+tcp", "@127.0.0.1", name, "AAAA"),
                     ("dig", "+noall", "+comments", "+nocookie", "+time=5", "@127.0.0.1", name, "+qid=7"), ("node", "-e", resolver, name)):
            native, ours = t.run(argv), t.tsproxy(*argv)
            assert (native.status, native.out) == (ours.status, ours.out), (native, ours)
            assert native.status == 0 and (name != "www.example" or argv[0] != "node" or "192.0.2.7" in native.out), native

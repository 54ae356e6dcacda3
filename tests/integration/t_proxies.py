# SPDX-License-Identifier: MIT
"""Proxies that are no tailscaled, passwords, HTTP CONNECT, and programs that use a proxy themselves."""
import errno
import json
import os
import subprocess
import sys

from harness import API, FQDN1, NAME1, NODE1, NODE1_V6, Skip, echo, listening, test, until

OUTSIDE = "10.77.0.1"   # what servers see of a proxy: so a connection tells whether it came through one


def real_addresses(t):
    """The node's addresses on lo, for proxies that dial what they are asked for."""
    for address in (NODE1, OUTSIDE):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    subprocess.run(["ip", "address", "add", f"{NODE1_V6}/128", "dev", "lo"], check=True)


def microsocks(t, *options):
    t.need("microsocks")
    real_addresses(t)
    t.spawn(["microsocks", "-i", "127.0.0.1", "-p", "1085", "-b", OUTSIDE, *options], lambda: listening(1085))


def dante(t, method="none"):
    t.need("danted")
    real_addresses(t)
    conf = t.file("danted.conf", f"""
        logoutput: stderr
        internal: 127.0.0.1 port = 1085
        external: {OUTSIDE}
        clientmethod: none
        socksmethod: {method}
        user.privileged: root
        user.unprivileged: root
        client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
        socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
        """)
    t.spawn(["danted", "-f", conf], lambda: listening(1085))


def through(t, socks, addresses=(NAME1, FQDN1, NODE1)):
    """Names from a status file, connections through `socks`."""
    t.need("curl")
    page = t.page(3000, host=NODE1)
    options = ["--status", t.status_file(), "--socks5", socks]
    for host in addresses:
        t.tsproxy("curl", "-4", "-sS", f"http://{host}:3000/", options=options).good("a page")
    assert [seen[3][0] for seen in page.seen] == [OUTSIDE] * len(addresses), page.seen
    done = t.tsproxy("curl", "-sS", f"http://{NODE1}:3999/", options=options)
    assert done.bad().status == 7, done
    t.listen(3001, echo, host=NODE1)
    program = t.file("many.py", '''
import asyncio, sys
async def one(i):
    r, w = await asyncio.open_connection(sys.argv[1], 3001)
    w.write(b"%d\\n" % i)
    return int(await r.readline()) == i
async def main():
    print(all(await asyncio.gather(*[one(i) for i in range(30)])))
asyncio.run(main())
''')
    assert t.tsproxy(sys.executable, program, NODE1, options=options).good() == "True\n"


@test("microsocks, which loses what is pipelined: curl and thirty asyncio connections")
def microsocks_plain(t):
    microsocks(t)
    through(t, "127.0.0.1:1085")


@test("microsocks with user and password; a wrong one is a refused connection")
def microsocks_password(t):
    microsocks(t, "-u", "me", "-P", "se:cret")
    through(t, "me:se:cret@127.0.0.1:1085")
    done = t.tsproxy("curl", "-sS", f"http://{NODE1}:3000/", options=["--status", t.status_file(), "--socks5",
                                                                      "me:wrong@127.0.0.1:1085"])
    assert done.bad().status == 7, done


@test("dante: curl and thirty asyncio connections")
def dante_plain(t):
    with open("/proc/self/uid_map") as f:
        if int(f.read().split()[2]) == 1:
            raise Skip("danted needs a true root")
    dante(t)
    through(t, "127.0.0.1:1085")


@test("the simulated tailnet with a password, and as a server that does not take pipelined requests")
def sim_kinds(t):
    t.need("curl")
    t.page(3000)
    for options, socks in ((["--user", "me", "--pass", "secret"], "me:secret@127.0.0.1:1085"),
                           ([], "nobody:asked@127.0.0.1:1085"), (["--no-pipeline"], "nobody:asked@127.0.0.1:1085"),
                           (["--no-pipeline"], "127.0.0.1:1085"), (["--one-write"], "127.0.0.1:1085"),
                           (["--honest-codes"], "127.0.0.1:1085")):
        sim = t.sim("--socks5", "1085", *options)
        words = ["--status", t.status_file(), "--socks5", socks]
        t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/", options=words).good("a page")
        assert t.tsproxy("curl", "-sS", f"http://{NODE1}:3999/", options=words).bad().status == 7
        assert sim.stats()["targets"][f"{NODE1}:3999"]["refused"] == 1
        sim.process.terminate()
        sim.process.wait()


@test("an HTTP proxy carries where there is no SOCKS port: found by itself, or named")
def http_connect(t):
    t.need("curl")
    t.page(3000)
    sim = t.sim("--http", "3128", api="/run/tailscale/tailscaled.sock")
    t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/").good("a page")
    assert t.tsproxy("curl", "-sS", f"http://{NODE1}:3999/").bad().status == 7
    t.tsproxy("curl", "-sS", f"http://{NODE1}:3000/", options=["--http-proxy", "127.0.0.1:3128"]).good("a page")
    stats = sim.stats()
    assert stats["http"] == stats["connections"] >= 3, stats


@test("no map at all: with nothing but TSPROXY_SOCKS5, tailnet addresses go through it and others do not")
def socks_only(t):
    t.need("curl")
    sim = t.sim("--socks5", "1085")
    page = t.page(3000)
    env = {"TSPROXY_SOCKS5": "127.0.0.1:1085"}
    for host in (NODE1, f"[{NODE1_V6}]"):
        t.preload("curl", "-sS", f"http://{host}:3000/", env=env).good("a page")
        t.tsproxy("curl", "-sS", f"http://{host}:3000/", env=env).good("a page")
    t.preload("curl", "-sS", "http://127.0.0.1:3000/", env=env).good("a page")
    assert len(page.seen) == 5
    assert sum(v["connections"] for k, v in sim.stats()["targets"].items() if k.endswith(":3000")) == 4


@test("the guide's ALL_PROXY and http_proxy: a program that honours them is not proxied twice")
def environment(t):
    t.need("curl", "wget")
    page = t.page(3000)
    for env in ({"ALL_PROXY": "socks5://localhost:1080"}, {"ALL_PROXY": "socks5h://localhost:1080"},
                {"http_proxy": "http://localhost:3128"},
                {"ALL_PROXY": "socks5://localhost:1080", "http_proxy": "http://localhost:3128"}):
        sim = t.tailnet()
        before = len(page.seen)
        t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/", env=env).good("a page")
        targets = sim.stats()["targets"]
        assert len(page.seen) == before + 1
        node = {k: v["connections"] for k, v in targets.items() if k.endswith(":3000")}
        assert sum(node.values()) == 1, targets
        assert not [k for k in targets if k.endswith((":1080", ":3128"))], f"proxied twice: {targets}"
        t.tsproxy("wget", "-q", "-O", "-", f"http://{NAME1}:3000/", env=env).good("a page")
        targets = sim.stats()["targets"]
        assert not [k for k in targets if k.endswith((":1080", ":3128"))], f"proxied twice: {targets}"
        sim.process.terminate()
        sim.process.wait()


@test("a proxy whose queue is full, or that never answers, holds nobody up who set a timeout")
def stuck(t):
    t.need("curl", "wget", "ssh", "nc", "psql")
    for options in (["--backlog-full"], ["--greeting", "never"]):
        sim = t.sim("--socks5", "1085", *options)
        env = {"TSPROXY_SOCKS5": "127.0.0.1:1085", "PGCONNECT_TIMEOUT": "2"}
        for command, status in (
                (["curl", "-sS", "--connect-timeout", "1", f"http://{NODE1}:3000/"], 28),
                (["curl", "-sS", "-m", "2", f"http://{NODE1}:3000/"], 28),
                (["wget", "-q", "-O", "-", "--tries=1", "--connect-timeout=1", f"http://{NODE1}:3000/"], 4),
                (["ssh", "-o", "ConnectTimeout=1", "-o", "BatchMode=yes", NODE1, "true"], 255),
                (["nc", "-w", "1", NODE1, "3000"], 1),
                (["psql", "-h", NODE1, "-c", "select 1"], 2),
                ([sys.executable, "-c", f"import socket; socket.create_connection(('{NODE1}', 3000), 1)"], 1)):
            done = t.preload(*command, env=env)
            assert done.bad().status == status and 0.9 < done.seconds < 4, done
        sim.process.kill()
        sim.process.wait()


@test("every way for a reply to go wrong is a refused connection, and no byte of it reaches the program")
def broken_replies(t):
    kinds = ["eof=0", "eof=1", "eof=4", "eof=9", "rst=0", "rst=3", "rst=9", "garbage,eof=20", "reply=2",
             "reply=5", "reply=255"]
    rules = [w for i, kind in enumerate(kinds) for w in ("--fault", f"{4000 + i},{kind}")]
    t.tailnet(*rules)
    for i in range(len(kinds)):
        t.listen(4000 + i, lambda c: (c.sendall(b"server"), c.recv(1)))
    program = t.file("connect.py", '''
import errno, socket, sys
for port in range(4000, 4000 + int(sys.argv[2])):
    for blocking in (True, False):
        s = socket.socket()
        s.settimeout(None if blocking else 5)
        try:
            s.connect((sys.argv[1], port))
            print(port, "connected", s.recv(100))
        except OSError as e:
            print(port, errno.errorcode[e.errno])
''')
    out = t.tsproxy(sys.executable, program, NODE1, len(kinds)).good().splitlines()
    wanted = [f"{4000 + i} {'EACCES' if kind == 'reply=2' else 'ECONNREFUSED'}" for i, kind in enumerate(kinds)
              for _ in range(2)]
    assert out == wanted, out


@test("replies that dribble, carry any BND form or come with the server's first bytes cost the program nothing")
def odd_replies(t):
    kinds = ["dribble=1/3", "bnd=ipv6", "bnd=domain/255", "bnd=domain/1", "bnd=zero", "glue", "glue,bnd=domain/255",
             "dribble=3/2,bnd=domain/200,glue"]
    rules = [w for i, kind in enumerate(kinds) for w in ("--fault", f"{4000 + i},{kind}")]
    t.tailnet(*rules)

    def serve(c):
        c.sendall(b"server")
        echo(c)
    for i in range(len(kinds)):
        t.listen(4000 + i, serve)
    program = t.file("connect.py", '''
import socket, sys
for port in range(4000, 4000 + int(sys.argv[2])):
    for timeout in (None, 5):
        s = socket.create_connection((sys.argv[1], port), timeout)
        local = s.getsockname()[0]
        s.sendall(b"hello")
        s.shutdown(socket.SHUT_WR)
        got = b""
        while part := s.recv(100):
            got += part
        print(port, got.decode(), local not in ("127.0.0.1", "0.0.0.0"))
''')
    out = t.tsproxy(sys.executable, program, NODE1, len(kinds)).good().splitlines()
    assert out == [f"{4000 + i} serverhello True" for i in range(len(kinds)) for _ in range(2)], out


@test("a refused connect returns though a firewall drops what goes to port 0, where sockets are led to be refused")
def port_zero_dropped(t):
    t.need("nft")
    t.tailnet()
    t.run(["nft", "add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in tcp dport 0 drop"]).good()
    program = "import socket, sys\nprint(socket.socket().connect_ex((sys.argv[1], 3999)))"
    assert t.tsproxy(sys.executable, "-c", program, NODE1).good() == f"{errno.ECONNREFUSED}\n"


@test("half-close is passed on where the proxy does, and ends the connection where it does not")
def half_close(t):
    t.tailnet("--fault", "4001,half-close=off")

    def count(c):
        with c:
            n = 0
            while data := c.recv(65536):
                n += len(data)
            c.sendall(b"%d bytes" % n)
    t.listen(4000, count)
    t.listen(4001, count)
    program = ("import socket, sys\ns = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)\n"
               "s.sendall(b'x' * 100000)\ns.shutdown(socket.SHUT_WR)\nprint(s.recv(100))")
    assert t.tsproxy(sys.executable, "-c", program, NODE1, "4000").good() == "b'100000 bytes'\n"
    assert t.tsproxy(sys.executable, "-c", program, NODE1, "4001").good() == "b''\n"


def carried(sim):
    return sum(v["connections"] for k, v in sim.stats()["targets"].items() if k.endswith(":3000"))


@test("a proxy on another host, by address and by name: the map has what the name stands for, and follows it")
def other_host(t):
    t.need("curl", "ip")
    for address in "192.0.2.9", "192.0.2.10":
        t.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"]).good()
    answers = {"sidecar.example": "192.0.2.9"}
    t.dns(answers)
    t.page(3000)
    first, second = t.sim("--socks5", "192.0.2.9:1055", api=API), t.sim("--http", "192.0.2.10:1055")
    url = f"http://{NAME1}:3000/"
    for proxy in "192.0.2.9:1055", "sidecar.example:1055":
        t.tsproxy("curl", "-sS", url, options=["--socks5", proxy]).good("a page")
    assert carried(first) == 2, first.stats()
    t.tsproxy("curl", "-sS", url, options=["--http-proxy", "192.0.2.10:1055"]).good("a page")
    # Its address changes, as a container's does when it is started again.
    answers["sidecar.example"] = "192.0.2.10"
    options = ["--http-proxy", "sidecar.example:1055"]
    t.tsproxy("curl", "-sS", url, options=options).good("a page")
    assert carried(second) == 2, second.stats()
    # A name that is none: said, and no connect leaves in the clear.
    done = t.tsproxy("curl", "-sS", f"http://{NODE1}:3000/", options=["--socks5", "nowhere.example:1055"])
    assert done.status == 7 and "nowhere.example:1055" in done.err, done


@test("two proxies are named: the one that answers carries, whichever it is")
def fail_over(t):
    t.need("curl")
    t.page(3000)
    url = f"http://{NAME1}:3000/"
    both = ["--socks5", "127.0.0.1:1080", "--http-proxy", "127.0.0.1:3128"]
    socks = t.sim("--socks5", "1080", api=API)
    t.tsproxy("curl", "-sS", url, options=both).good("a page")
    socks.process.terminate()
    socks.process.wait()
    t.sim("--http", "3128", api=API)
    t.launcher(*both, "sync").good()
    t.tsproxy("curl", "-sS", url, options=both).good("a page")


@test("a proxy that dies is passed over within the very connection, in any way to connect, and is used again when it is back")
def live_fail_over(t):
    t.page(3000)
    both = ["--socks5", "127.0.0.1:1080", "--http-proxy", "127.0.0.1:3128", "--status", t.status_file()]
    socks, http = t.sim("--socks5", "1080"), t.sim("--http", "3128")
    program = t.file("connects.py", '''
import asyncio, select, socket, sys
NODE = sys.argv[1]
def blocking():
    socket.create_connection((NODE, 3000)).close()
def timed():
    socket.create_connection((NODE, 3000), timeout=5).close()
def six():
    s = socket.socket(socket.AF_INET6); s.connect(("::ffff:" + NODE, 3000)); s.close()
def nonblocking():
    s = socket.socket(); s.setblocking(False)
    assert s.connect_ex((NODE, 3000)) == 115
    assert select.select([], [s], [], 5)[1] and s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert s.getpeername() == (NODE, 3000); s.close()
def early_epoll():
    s = socket.socket(); s.setblocking(False); e = select.epoll(); e.register(s, select.EPOLLOUT | select.EPOLLIN)
    assert s.connect_ex((NODE, 3000)) == 115
    assert e.poll(5) == [(s.fileno(), select.EPOLLOUT)]
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0; s.close()
def many():
    async def one():
        r, w = await asyncio.open_connection(NODE, 3000); w.close()
    async def all(): await asyncio.gather(*[one() for _ in range(20)])
    asyncio.run(all())
def refused():
    s = socket.socket(); assert s.connect_ex((NODE, 3999)) == 111; s.close()
ways = [blocking, timed, six, nonblocking, early_epoll, many, refused]
for way in ways:
    if way.__name__ in sys.argv[2:]: way()
for line in sys.stdin:
    for way in ways: way()
    print("done", flush=True)
''')
    p = subprocess.Popen([t.build("tsproxy"), *both, "--", sys.executable, program, NODE1], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, env=t.env, cwd=t.dir, text=True, start_new_session=True)
    t.started.append(p)

    def carried(sim):
        return sim.stats()["targets"].get(f"{NODE1}:3000", {}).get("connections", 0)

    def go():
        p.stdin.write("go\n")
        p.stdin.flush()
        assert p.stdout.readline() == "done\n", p.poll()
    go()
    assert carried(http) == 0
    first = carried(socks)
    assert first >= 25, first
    socks.process.kill()
    socks.process.wait()
    go()
    # Each way as the first that meets the dead proxy.
    for way in "blocking", "timed", "six", "nonblocking", "early_epoll", "many", "refused":
        t.tsproxy(sys.executable, program, NODE1, way, options=both).good()
    assert carried(http) >= 50, http.stats()
    socks = t.sim("--socks5", "1080")
    until(lambda: go() or carried(socks) > 0, "the use of the first proxy")
    before = carried(http)
    http.process.kill()
    http.process.wait()
    go()
    assert carried(socks) >= 25 and before >= 25
    # Neither is there: every way ends at once, and the program goes on.
    socks.process.kill()
    socks.process.wait()
    for text in (f"s = socket.socket(); sys.exit(s.connect_ex(('{NODE1}', 3000)))",
                 f"s = socket.socket(); s.setblocking(False); assert s.connect_ex(('{NODE1}', 3000)) == 115\n"
                 "select.select([], [s], [], 5); sys.exit(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))"):
        done = t.tsproxy(sys.executable, "-c", f"import select, socket, sys\n{text}", options=both)
        assert done.bad().status == 111, done


@test("a refusal by the node that the next connect tells is not taken for the proxy's")
def told_refusal(t):
    t.page(3000)
    both = ["--socks5", "127.0.0.1:1080", "--http-proxy", "127.0.0.1:3128", "--status", t.status_file()]
    socks, http = t.sim("--socks5", "1080"), t.sim("--http", "3128")
    program = t.file("twice.py", '''
import select, socket, sys
s = socket.socket(); s.setblocking(False)
for turn in range(3):
    assert s.connect_ex((sys.argv[1], 3999)) == 115
    assert select.select([], [s], [], 5)[1]
    assert s.connect_ex((sys.argv[1], 3000)) == 111
socket.create_connection((sys.argv[1], 3000)).close()
''')
    t.tsproxy(sys.executable, program, NODE1, options=both).good()
    assert f"{NODE1}:3000" not in http.stats()["targets"] and f"{NODE1}:3999" not in http.stats()["targets"], http.stats()
    assert socks.stats()["targets"][f"{NODE1}:3000"]["connections"] == 1


@test("proxy variables of any shape: what can be read is used, what cannot leaves the usual ports, and nothing hangs or crashes")
def odd_variables(t):
    t.tailnet()
    usable = ("localhost:1080", "SOCKS5://LOCALHOST:1080/", "socks5://127.0.0.1:1080/path?x", "socks5://localhost", "socks5h://127.0.0.1:1080",
              "socks5://user:p%40ss@localhost:1080", "socks://localhost:1080")
    others = ("socks5://", "socks5://:1080", "socks4://localhost:1080", "http://[::1]:3128", "unix:///x", "socks5h://nohost.invalid:1080",
              "socks5://127.0.0.1:99999", "socks5://127.0.0.1:0", " socks5://127.0.0.1:1080", "socks5://[::1", "socks5://\033[31m:1",
              "https://localhost:3128", "socks5://a b:1", "@", ":", "x" * 5000, "%", "socks5://" + "u" * 300 + "@localhost:1080")
    for i, value in enumerate(usable + others):
        env = {"ALL_PROXY": value, "http_proxy": value, "TSPROXY_PROFILE": f"p{i}"}
        done = t.launcher("status", "--json", env=env)
        proxy = json.loads(done.good())["proxies"][0]
        assert (proxy["kind"], proxy["address"], proxy["udp"]) == ("socks5", "127.0.0.1:1080", True), (value, done)
        done = t.launcher("doctor", env=env)
        assert done.status in (0, 1) and "\033" not in done.out and done.seconds < 10, (value, done)


@test("a sidecar's proxy is all there is: named by option, variable or file it carries, without a word; a daemon that comes is asked")
def proxy_alone(t):
    subprocess.run(["ip", "address", "add", f"{OUTSIDE}/32", "dev", "lo"], check=True)
    hosts = t.file("hosts", f"127.0.0.1 localhost\n{OUTSIDE} sidecar\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    sim = t.sim("--socks5", f"{OUTSIDE}:1055", "--name", f"{FQDN1}={NODE1}")
    t.page(3000)
    curl = "curl", "-sS", "-m", "10", "-w", " %{http_code}", "-o", "/dev/null"
    for socks in "sidecar:1055", f"{OUTSIDE}:1055":
        for how in "option", "variable", "file":
            options, env = ["--socks5", socks] if how == "option" else [], {"TSPROXY_SOCKS5": socks} if how == "variable" else {}
            t.file("home/.config/tsproxy/tsproxy.conf", f"socks5 = {socks}\n" if how == "file" else "")
            for host in NODE1, f"[{NODE1_V6}]", FQDN1:
                done = t.tsproxy(*curl, f"http://{host}:3000/", options=options, env=env)
                assert done.good() == " 200" and not done.err, (socks, how, host, done)
            done = t.launcher(*options, "doctor", f"{FQDN1}:3000", env=env)
            for text in ("the daemon's socket is not reachable, only its proxy", f"{FQDN1} port 3000 in",
                         "share the socket and use --socket, or give a file with the daemon's status (--status)"):
                assert text in done.good(), done
            assert "# nodes: unknown" in t.launcher(*options, "status", env=env).good()
    assert sum(v["connections"] for v in sim.stats()["targets"].values()) >= 18
    # What is no tailnet's stays direct, and the daemon's own address is refused.
    t.tsproxy(*curl, "http://192.0.2.1:3000/").bad(status=7)
    assert not [k for k in sim.stats()["targets"] if "192.0.2" in k]
    # A socket that is named is one that is missed.
    t.launcher("--socket", "/run/none", "sync").bad("/run/none", status=1)
    daemon = t.sim("--socks5", "0", api=API)
    t.launcher("sync").good()
    assert NAME1 in t.launcher("status").good()
    daemon.process.terminate()
    daemon.process.wait()
    t.launcher("sync").bad("no tailscaled found", "keeping the nodes", status=1)
    t.launcher("status").bad(NAME1, "tailscaled does not answer", status=1)

# SPDX-License-Identifier: MIT
"""The simulated tailnet itself, without tsproxy: what the other tests rely on."""
import hashlib
import json
import os
import resource
import signal
import socket
import struct
import time

from harness import API, FQDN1, NAME1, NODE1, NODE1_V6, NODE2, echo, listening, test, until

GREETING = b"\5\1\0"
OK = b"\5\0"


def request(host, port, command=1):
    """A SOCKS5 request; host is an address or a name."""
    for kind, family in ((1, socket.AF_INET), (4, socket.AF_INET6)):
        try:
            address = bytes([kind]) + socket.inet_pton(family, host)
            break
        except OSError:
            address = bytes([3, len(host)]) + host.encode()
    return bytes([5, command, 0]) + address + struct.pack(">H", port)


def client(sim, at="socks5"):
    host, port = sim.at[at].rsplit(":", 1)
    sock = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
    return sock


def exactly(sock, n):
    data = b""
    while len(data) < n:
        part = sock.recv(n - len(data))
        assert part, f"end after {data!r}"
        data += part
    return data


def rest(sock):
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


def connect(sim, host, port, pipelined=True):
    """(socket, reply)"""
    sock = client(sim)
    if pipelined:
        sock.sendall(GREETING + request(host, port))
        assert exactly(sock, 2) == OK
    else:
        sock.sendall(GREETING)
        assert exactly(sock, 2) == OK
        sock.sendall(request(host, port))
    head = exactly(sock, 4)
    length = {1: 4, 4: 16}.get(head[3])
    if length is None:
        length = exactly(sock, 1)[0]
    return sock, head, exactly(sock, length + 2)


@test("CONNECT by address of either family, by short name and by full name, pipelined or not")
def sim_connect(t):
    sim = t.sim("--socks5", "0")
    t.listen(7000, echo)
    for host in (NODE1, NODE1_V6, NAME1, FQDN1, FQDN1.upper() + "."):
        for pipelined in (True, False):
            sock, head, bound = connect(sim, host, 7000, pipelined)
            assert head[:2] == OK, head
            if host == NODE1:
                assert socket.inet_ntoa(bound[:4]) == NODE2, "BND is not this node's address"
            sock.sendall(b"hello")
            assert exactly(sock, 5) == b"hello"
    stats = sim.stats()
    assert stats["connections"] == 10 and stats["targets"][f"{NODE1}:7000"] == {
        "connections": 2, "refused": 0, "up": 10, "down": 10, "udp_up": 0, "udp_down": 0}, stats


@test("user and password: asked for, checked, refused")
def sim_auth(t):
    sim = t.sim("--socks5", "0", "--user", "me", "--pass", "secret")
    t.listen(7000, echo)
    for word, good in ((b"secret", True), (b"wrong", False)):
        sock = client(sim)
        sock.sendall(b"\5\1\2\1\2me" + bytes([len(word)]) + word)
        assert exactly(sock, 4) == b"\5\2\1" + bytes([not good])
        if good:
            sock.sendall(request(NODE1, 7000))
            assert exactly(sock, 10)[:2] == OK
        else:
            assert sock.recv(1) == b""
    sock = client(sim)
    sock.sendall(GREETING)
    assert rest(sock) == b"\5\xff"


@test("a refusal takes one delay and a silent peer the dial timeout; both are code 1")
def sim_timing(t):
    sim = t.sim("--socks5", "0", "--delay", "150", "--dial-timeout", "300", "--node", "a,100.64.0.1,self", "--node",
                "b,100.64.0.2", "--node", "gone,100.64.0.3,offline")
    for host, low, high in (("100.64.0.2", 0.15, 0.4), ("100.64.0.3", 0.45, 0.9), ("100.64.9.9", 0.15, 0.4)):
        start = time.monotonic()
        sock, head, _ = connect(sim, host, 7001)
        took = time.monotonic() - start
        assert head[1] == 1 and low <= took < high, (host, head, took)
        assert sock.recv(1) == b""


@test("every fault of a target: codes, dribble, cut, EOF, RST, garbage, glued data, forms of BND")
def sim_faults(t):
    rules = {7001: "reply=5", 7002: "dribble=1/5", 7003: "cut=5", 7004: "eof=5", 7005: "rst=5", 7006: "garbage",
             7007: "glue", 7008: "bnd=ipv6", 7009: "bnd=domain/255", 7010: "bnd=zero", 7011: "eof=13", 7012: "never",
             7013: "pace=3/2"}
    options = [word for port, rule in rules.items() for word in ("--fault", f"{port},{rule}")]
    sim = t.sim("--socks5", "0", *options)

    def talk(connection):
        connection.sendall(b"0123456789")
        echo(connection)
    for port in rules:
        t.listen(port, talk)
    assert connect(sim, NODE1, 7001)[1][:2] == b"\5\5"
    start = time.monotonic()
    assert connect(sim, NODE1, 7002)[1][:2] == OK
    assert time.monotonic() - start >= 0.045, "the reply did not dribble"
    for port, length in ((7003, 5), (7004, 5), (7005, 5), (7011, 13)):
        sock = client(sim)
        sock.sendall(GREETING + request(NODE1, port))
        exactly(sock, 2 + length)
        sock.settimeout(0.1 if port == 7003 else 10)
        try:
            end = sock.recv(1)
        except (TimeoutError, socket.timeout):
            end = "open"
        except ConnectionResetError:
            end = "reset"
        assert end == {7003: "open", 7005: "reset"}.get(port, b""), (port, end)
    sock = client(sim)
    sock.sendall(GREETING + request(NODE1, 7006))
    assert exactly(sock, 12)[2:5] == b"\5\0\7"
    sock = client(sim)
    sock.sendall(GREETING + request(NODE1, 7007))
    exactly(sock, 2)
    until(lambda: len(sock.recv(100, socket.MSG_PEEK)) >= 10, "reply")
    assert len(sock.recv(100)) == 20, "the server's first bytes did not come with the reply"
    assert connect(sim, NODE1, 7008)[1] == b"\5\0\0\4"
    assert connect(sim, NODE1, 7009)[2][:255] == b"d" * 255
    assert connect(sim, NODE1, 7010)[2] == bytes(6)
    assert exactly(connect(sim, NODE1, 7013)[0], 10) == b"0123456789"
    sock = client(sim)
    sock.sendall(GREETING + request(NODE1, 7012))
    exactly(sock, 2)
    sock.settimeout(0.1)
    try:
        raise AssertionError(sock.recv(1))
    except (TimeoutError, socket.timeout):
        pass


@test("greetings gone wrong, and a server that loses what was pipelined")
def sim_greetings(t):
    for kind, wanted in (("eof", b""), ("refuse", b"\5\xff"), ("rst", None)):
        sim = t.sim("--socks5", "0", "--greeting", kind)
        try:
            assert rest(client(sim)) == wanted
        except ConnectionResetError:
            assert kind == "rst"
    sim = t.sim("--socks5", "0", "--no-pipeline")
    t.listen(7000, echo)
    assert connect(sim, NODE1, 7000, False)[1][:2] == OK
    sock = client(sim)
    sock.sendall(GREETING + request(NODE1, 7000))
    assert exactly(sock, 2) == OK
    sock.settimeout(0.1)
    try:
        raise AssertionError(f"a reply after all: {sock.recv(10)}")
    except (TimeoutError, socket.timeout):
        pass


@test("half-close is forwarded, or ends both ways where told so")
def sim_half_close(t):
    sim = t.sim("--socks5", "0", "--fault", "7001,half-close=off")

    def answer_at_end(connection):
        with connection:
            connection.sendall(b"got %d" % len(rest(connection)))
    t.listen(7000, answer_at_end)
    t.listen(7001, answer_at_end)
    for port, wanted in ((7000, b"got 3"), (7001, b"")):
        sock = connect(sim, NODE1, port)[0]
        sock.sendall(b"abc")
        sock.shutdown(socket.SHUT_WR)
        assert rest(sock) == wanted


@test("a full backlog holds a connect back until it is released")
def sim_backlog(t):
    sim = t.sim("--socks5", "0", "--backlog-full")
    host, port = sim.at["socks5"].rsplit(":", 1)
    sock = socket.socket()
    sock.setblocking(False)
    assert sock.connect_ex((host, int(port))) == 115
    with open("/proc/net/tcp") as f:
        local = f"{sock.getsockname()[1]:04X}"
        states = [line.split()[3] for line in list(f)[1:] if line.split()[1].endswith(local)]
    assert states == ["02"], f"not in SYN_SENT: {states}"
    sim.signal(signal.SIGUSR2)
    sock.setblocking(True)
    sock.settimeout(10)
    until(lambda: sock.connect_ex((host, int(port))) in (0, 106), "connection")
    sock.sendall(GREETING)
    assert exactly(sock, 2) == OK


@test("UDP ASSOCIATE: relayed both ways, cut at 8 KiB, ends with the control connection")
def sim_udp(t):
    sim = t.sim("--socks5", "0")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 7000))
    server.settimeout(10)
    control = client(sim)
    control.sendall(GREETING + request("0.0.0.0", 0, 3))
    reply = exactly(control, 12)
    assert reply[2:4] == OK and reply[6:10] == socket.inet_aton("127.0.0.1"), reply
    relay = ("127.0.0.1", struct.unpack(">H", reply[10:12])[0])
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(10)
    head = b"\0\0\0\1" + socket.inet_aton(NODE1) + struct.pack(">H", 7000)
    for size, arrives in ((0, 0), (5, 5), (8182, 8182), (8183, 8182)):
        udp.sendto(head + b"x" * size, relay)
        data, peer = server.recvfrom(65536)
        assert len(data) == arrives, (size, len(data))
        server.sendto(data, peer)
        back = udp.recv(65536)
        assert back[:10] == head and len(back) == 10 + arrives
    control.close()
    until(lambda: sim.stats()["open"] == 0, "end of the association")
    with open("/proc/net/udp") as f:
        assert not any(f":{relay[1]:04X} " in line.split(" rem")[0] for line in f), "the relay is still open"


@test("the HTTP proxy: CONNECT, errors as tailscaled words them, plain requests, a mixed port")
def sim_http(t):
    t.need("curl")
    sim = t.sim("--http", "0", "--proxy", "0")
    t.page(7000, "the page")
    for at in ("http", "proxy"):
        for extra in (["--proxytunnel"], []):
            t.run(["curl", "-sS", *extra, "-x", f"http://{sim.at[at]}", f"http://{NAME1}:7000/"]).good("the page")
    t.run(["curl", "-sS", "--socks5-hostname", sim.at["proxy"], f"http://{NAME1}:7000/"]).good("the page")
    t.run(["curl", "-sSv", "-p", "-x", f"http://{sim.at['http']}", f"http://{NODE1}:7999/"]).bad(
        f"Tailscale-Connect-Error: connect tcp {NODE1}:7999: connection was refused", "HTTP/1.1 500")


@test("LocalAPI: status, whois of a connection and of an address; what comes in is a peer's")
def sim_localapi(t):
    t.need("curl")
    seen = []

    def note(connection):
        seen.append(connection.getpeername()[1])
        echo(connection)
    t.listen(7000, note)
    sim = t.sim("--socks5", "0", "--inbound", f"{NAME1}:7100=7000", api=API)

    def ask(path):
        return t.run(["curl", "-sS", "--unix-socket", API, f"http://local-tailscaled.sock/localapi/v0/{path}"]).out
    status = json.loads(ask("status"))
    assert status["BackendState"] == "Running" and status["MagicDNSSuffix"] == "tail5e2b.ts.net"
    assert {p["HostName"]: p["DNSName"] for p in status["Peer"].values()} == {NAME1: FQDN1 + ".", "hello": ""}
    sock = socket.create_connection(("127.0.0.1", 7100))
    until(lambda: seen, "connection")
    assert json.loads(ask(f"whois?proto=tcp&addr=127.0.0.1:{seen[0]}"))["Node"]["Name"] == FQDN1 + "."
    assert json.loads(ask(f"whois?addr={NODE1}"))["Node"]["Addresses"][0] == NODE1 + "/32"
    sock.close()
    until(lambda: sim.stats()["open"] == 0, "end of the connection")
    assert "no match" in ask(f"whois?proto=tcp&addr=127.0.0.1:{seen[0]}")


@test("two thousand connections at once, and none is left open")
def sim_load(t):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    sim = t.sim("--socks5", "0", "--delay", "200")
    server = t.listen(7000, backlog=4096)
    socks = []
    for _ in range(2000):
        sock = client(sim)
        sock.sendall(GREETING + request(NODE1, 7000))
        socks.append(sock)
    for sock in socks:
        assert exactly(sock, 12)[2:4] == OK
    assert sim.stats()["open_max"] == 2000
    for sock in socks:
        sock.close()
    server.close()  # what it never accepted ends too, and only then do both directions have an end
    until(lambda: sim.stats()["open"] == 0, "end of all connections")
    fds = f"/proc/{sim.process.pid}/fd"
    assert len(os.listdir(fds)) < 12, os.listdir(fds)


@test("half a gigabyte passes whole, though the reader is slow at first")
def sim_bulk(t):
    size = 512 << 20
    block = os.urandom(1 << 20)

    def send(connection):
        with connection:
            for _ in range(size >> 20):
                connection.sendall(block)
    sim = t.sim("--socks5", "0")
    t.listen(7000, send)
    sock = connect(sim, NODE1, 7000)[0]
    until(lambda: sim.stats()["down"] > 1 << 20, "full buffers")
    total, buffer, whole = 0, bytearray(1 << 20), hashlib.sha1()
    start = time.monotonic()
    while n := sock.recv_into(buffer):
        whole.update(memoryview(buffer)[:n])
        total += n
    wanted = hashlib.sha1()
    for _ in range(size >> 20):
        wanted.update(block)
    assert total == size and whole.digest() == wanted.digest(), total
    print(f"{size / (time.monotonic() - start) / 1e6:.0f} MB/s")


@test("it counts, and a wrong option is refused in one line")
def sim_options(t):
    sim_program = t.build("tsproxy-sim")
    for words in (["--nonsense"], ["--fault", "x"], ["--fault", "7000,what=1"], ["--node", "alone"], ["--socks5"],
                  ["--delay", "soon"], ["--greeting", "hello"]):
        done = t.run([sim_program, *words]).bad(status=2)
        assert done.err.count("\n") == 1, done
    t.run([sim_program, "--help"]).good("--node NAME")
    config = t.file("world", "# a world\nnode a,100.64.0.1,self\nnode b,100.64.0.2,route=10.1.0.0/16\n"
                    "state Stopped\ntun\n")
    status = json.loads(t.run([sim_program, "--config", config, "--status-json"]).good())
    assert status["TUN"] and status["BackendState"] == "Stopped"
    assert [p["PrimaryRoutes"] for p in status["Peer"].values()] == [["10.1.0.0/16"]]
    assert len(json.loads(t.run([sim_program, "--many", "100000", "--status-json"]).good())["Peer"]) == 100000
    assert not listening(1080)

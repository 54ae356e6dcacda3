# SPDX-License-Identifier: MIT
"""What the sub-commands say: each message by the input that leads to it (scripts/check-messages says which have no test)."""
import os
import re
import shutil
import socket
import threading

from harness import API, NAME1, NODE1, test, until


def one_line(done, *texts, status):
    done.bad(*texts, status=status)
    assert done.err.startswith("tsproxy: ") and done.err.count("\n") == 1, f"not one line: {done}"


@test("a sub-command that is started without the launcher judges settings by itself")
def by_itself(t):
    for words, says in ((["--profile", "../x"], "--profile ../x: must be at most 64 letters, digits, '-', '_' and '.'"),
                        (["--route", "x"], "--route or --exclude (TSPROXY_ROUTE, TSPROXY_EXCLUDE): must be ranges such as"),
                        (["--dns-route", "x"], "--dns-route (TSPROXY_DNS_ROUTE): must be SUFFIX=ADDRESS, such as"),
                        (["--mode", "auto"], "--mode"), (["--exit-node=1"], "--exit-node takes no value")):
        one_line(t.run([t.build("tsproxy-status"), *words]), says, status=2)
    t.run(t.unprivileged([t.build("tsproxy-sync")]), env={"HOME": None, "XDG_RUNTIME_DIR": None}).bad(
        "no directory for the map: set XDG_RUNTIME_DIR or HOME, or use --map", status=1)
    one_line(t.launcher("sync", "--watch", "--print"), "sync: --watch and --print exclude each other", status=2)
    gone = os.path.join(t.dir, "gone")
    os.mkdir(gone)
    for words in [t.build("tsproxy"), "--status", "x", "true"], [t.build("tsproxy"), "--log", "info:x", "true"], [t.build("tsproxy-status"), "--socket", "x"], \
            ["env", "TSPROXY_STATUS=x", t.build("tsproxy-status")]:
        done = t.run(["sh", "-c", 'mkdir -p "$1"; cd "$1"; rmdir "$1"; shift; exec "$@"', "-", gone, *words])
        one_line(done, "--socket x: cannot be used here" if "--socket" in words else
                 "TSPROXY_STATUS or TSPROXY_SOCKET is relative to a directory that no longer exists" if words[0] == "env" else
                 "the current directory no longer exists", status=2)
    one_line(t.run([t.build("tsproxy-sync"), "--remote-name", "a!b"]), '--remote-name (TSPROXY_REMOTE_NAME): invalid value "a!b"', status=2)
    # Where all the places for its FIFO are read-only.
    done = t.run(["unshare", "-m", "sh", "-c", f"mount --bind {os.path.dirname(t.build('tsproxy'))} /mnt && for d in /tmp /dev/shm; do "
                  "mount -t tmpfs -o ro none $d || exit; done; cd /; exec /mnt/tsproxy trace -- true"], env={"XDG_RUNTIME_DIR": None})
    one_line(done, "trace: cannot create a directory for its FIFO: ", status=None)


@test("parts of tsproxy that are missing are named")
def parts(t):
    for name in "trace", "proxychains", "env":
        shutil.copy(t.build(f"tsproxy-{name}"), f"{t.dir}/tsproxy-{name}")
    one_line(t.run([f"{t.dir}/tsproxy-trace", "--", "true"]), "trace: the launcher is missing; install tsproxy again", status=None)
    t.file("home/.proxychains/proxychains.conf", "[ProxyList]\nsocks5 127.0.0.1 1080\n")
    one_line(t.run([f"{t.dir}/tsproxy-proxychains", "true"]), "the launcher is missing; install tsproxy again", status=126)
    shutil.copy(t.build("libtsproxy.so"), t.dir)
    one_line(t.run([f"{t.dir}/tsproxy-env", "--shell", "sh", "--install"]), "env: the program tsproxy is missing; install tsproxy again", status=1)
    os.mkdir(f"{t.dir}/alone")
    for name in "tsproxy", "tsproxy-explain", "tsproxy-sync":
        shutil.copy(t.build(name), f"{t.dir}/alone/{name}")
    t.run([f"{t.dir}/alone/tsproxy", "explain", "true"]).bad("libtsproxy.so is missing: not run", status=126)


def resolve(t, word, **more):
    return t.launcher("resolve", word, **more)


@test("resolve says why: of each kind of name and address")
def reasons(t):
    t.file("home/.config/tsproxy/tsproxy.conf", "route = 192.168.7.0/24\nremote-name = corp.example\n")
    sim = t.tailnet("--dns-route", "doh.example=https://dns.example/query", "--dns-route", "own.example=", "--no-magicdns", "--accept-routes", "no",
                    "--node", "me,100.64.0.1,self", "--node", "there,100.64.0.2", "--node", "way-out,100.64.0.50,exit")
    for word, says in (("8.8.8.8", "not in the tailnet (exit node way-out.tail5e2b.ts.net: only with --exit-node, never private addresses)"),
                       ("192.168.7.1", "route 192.168.7.0/24 from the config file"), ("localhost", "hosts (/etc/hosts and localhost come first)"),
                       ("db.corp.example", "remote (the proxy resolves it)"), ("127.0.0.1", "not in the tailnet (this machine or the local network)"),
                       ("100.100.100.100", "the daemon's service address: not reachable through a proxy"),
                       ("a.doh.example", "dns-route (not resolved: its name servers support only DNS over HTTPS)")):
        assert says in resolve(t, word).out, resolve(t, word)
    assert "not in the tailnet (excluded by a setting)" in resolve(t, "100.64.0.2", env={"TSPROXY_EXCLUDE": "100.64.0.2"}).out
    printed = t.launcher("sync", "--print").good()
    for says in "map      /run/tsproxy/default.map, ", ", MagicDNS off", "dns      own.example no server by the tailnet", "doh.example DNS over HTTPS only by the":
        assert says in printed, printed
    assert re.search(r"default.map, \d+ bytes, made 20", printed), printed
    said = t.launcher("status").good()
    for says in "# subnet routes: not accepted by the daemon (to accept them: ", "# map: /run/tsproxy/default.map, ":
        assert says in said, said
    sim.process.terminate()
    sim.process.wait()
    shutil.rmtree("/run/tsproxy")
    t.tailnet("--tun")
    assert "not through a proxy (TUN: the kernel routes the tailnet)" in resolve(t, NODE1).out


def serve(answer):
    """What listens where the daemon does; answer(connection, its request) in a thread for each."""
    os.makedirs(os.path.dirname(API), exist_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(API)
    sock.listen(16)

    def accept():
        while True:
            connection, _ = sock.accept()
            with connection:
                answer(connection)
    threading.Thread(target=accept, daemon=True).start()


@test("a daemon's socket: of too long a name, closed too early, one that tells nobody of changes")
def sockets(t):
    one_line(t.launcher("sync", "--socket", "/" + "x" * 200), "the socket's path is too long: /xxx", status=1)
    one_line(t.launcher("sync"), "no tailscaled found: start one with tsproxy up, or give its socket (--socket) or a status file (--status)", status=1)
    status = t.run([t.build("tsproxy-sim"), "--status-json"]).good().encode()
    refuse, forbid = [], []

    def answer(connection):
        if refuse:
            return  # its request is unread: the kernel tells the other side
        request = connection.recv(4096)
        if forbid or b"watch-ipn-bus" in request:
            connection.sendall(b"HTTP/1.0 403 Forbidden\r\n\r\nno\n")
        elif b"/status" in request:
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + status)
        else:
            connection.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")
    serve(answer)
    t.sim("--socks5", "1080")
    t.launcher("sync").good()
    said = os.path.join(t.dir, f"{len(t.started)}-tsproxy.log")
    watch = t.spawn([t.build("tsproxy"), "sync", "--watch"], lambda: True)
    until(lambda: "tailscaled does not report changes (HTTP/1.0 403" in open(said).read(), "word of the watch")
    watch.terminate()
    forbid.append(True)
    one_line(t.launcher("sync"), "as root, run tailscale set --operator=USER", status=1)
    refuse.append(True)
    one_line(t.launcher("sync"), f"talking to tailscaled at /var{API}: ", status=1)


@test("a proxy is named and its daemon gone: the nodes that were known stay, and that is said")
def nodes_stay(t):
    sim = t.sim("--socks5", "1080", api=API)
    named = ["--socks5", "127.0.0.1:1080"]
    t.launcher(*named, "sync").good()
    sim.process.terminate()
    sim.process.wait()
    t.sim("--socks5", "1080")
    t.launcher(*named, "sync").bad("no tailscaled found; keeping the nodes that are known", status=1)
    t.launcher(*named, "status").bad(NAME1)


@test("a proxy with a password, and a node without a name")
def bare(t):
    t.sim("--socks5", "1080", "--user", "me", "--pass", "word", "--node", "me,100.64.0.9,self,nodns", api=API)
    named = ["--socks5", "me:word@127.0.0.1:1080"]
    said = t.launcher(*named, "status").good()
    assert "# proxy: socks5 127.0.0.1:1080 (TCP and UDP, with a password), run by root" in said, said
    t.launcher(*named, "up").good("Connected as a node without a name (100.64.0.9)")

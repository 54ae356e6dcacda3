# SPDX-License-Identifier: MIT
"""The daemon's own life: what tsproxy says of it and what programs get while it is up, down, away or another."""
import contextlib
import json
import os
import subprocess

from checks import Skip, check, client, good, only_proxied, sync, tsproxy
from servers import PAGE, PORTS, PYTHON, subnet_web
from world import GUIDE_FLAGS, NODE1, NODE2, SUFFIX, Node, sh, until
from watch import SUBNET

URL = f"http://{NODE1}:3000"


@check("daemon: tsproxy status lists both nodes")
def status(w):
    out = good(w.run("tsproxy", "status"))
    for text in NODE1, NODE2, w.ip4:
        assert text in out, out
    text = json.dumps(json.loads(good(w.run("tsproxy", "status", "--json"))))
    for part in NODE1, NODE2, w.ip4, w.ip6:
        assert part in text, text


@check("daemon: tsproxy resolve, name and address")
def resolve(w):
    for name in NODE1, f"{NODE1}.{SUFFIX}", f"{NODE1}.{SUFFIX}.":
        out = good(w.run("tsproxy", "resolve", name))
        assert w.ip4 in out and w.ip6 in out, out
    assert NODE1 in good(w.run("tsproxy", "resolve", w.ip4))
    done = w.run("tsproxy", "resolve", "no-such-node")
    assert done.returncode == 1 and "not in the tailnet" in done.stdout + done.stderr, done


@check("daemon: a status from `tailscale status --json` and its text table do as well")
def status_text(w):
    for argv in ["status", "--json"], ["status"]:
        out = w.node2.tailscale(*argv)
        done = tsproxy(w, "curl", "-sS", URL, options=["--status", "-", "--socks5", "localhost:1080"], stdin=out)
        good(done, PAGE)


@check("daemon: a static Go program is refused with one line and 126")
def static(w):
    done = tsproxy(w, w.binary("tailscale"), "version")
    assert done.returncode == 126 and len(done.stderr.strip().splitlines()) == 1, done
    assert done.stderr.startswith("tsproxy:") and not done.stdout, done


def honest(done, *words):
    """One line on standard error that says one of the words."""
    lines = done.stderr.strip().splitlines()
    assert lines and lines[0].startswith("tsproxy:"), done
    assert any(word in lines[0].lower() for word in words), done


@contextlib.contextmanager
def changed(w, change, back):
    change()
    try:
        yield
    finally:
        back()
        until("node 2 is running again", lambda: w.node2.state() == "Running")
        w.node2.knows(lambda peer: peer["DNSName"].startswith(NODE1 + "."))
        # The daemon's data path follows its state with a delay.
        until("node 1 answers again", lambda: subprocess.run(
            [*w.node2.enter(), "curl", "-sSm", "3", "--socks5-hostname", "127.0.0.1:1080", URL],
            capture_output=True, check=False).returncode == 0)
        sync(w)


@check("daemon: after `tailscale down` the tailnet is unreachable, and it says so")
def down(w):
    with changed(w, lambda: w.node2.tailscale("down"), w.node2.up):
        until("node 2 is stopped", lambda: w.node2.state() == "Stopped")
        honest(w.run("tsproxy", "sync"), "stopped", "down", "not running")
        seen = client(w, "connect", w.ip4, str(PORTS["echo"]))
        assert seen["errno"] == "ENETUNREACH", seen
        done = w.run("tsproxy", "status")
        assert "stopped" in (done.stdout + done.stderr).lower(), done
        assert tsproxy(w, "true").returncode == 0


def nobodys(w):
    """A name of the tailnet that was does not exist, and that is known without asking anybody."""
    for name in f"{NODE1}.{SUFFIX}", f"none.{SUFFIX}":
        done = tsproxy(w, "getent", "hosts", name, env={"TSPROXY_LOG": "debug"})
        assert done.returncode == 2 and f"{name}: no such node" in done.stderr, done


@check("daemon: logged out is unreachable as well, and says what to do")
def logged_out(w):
    def logout():
        # It comes back as another node; what it was has left.
        address = w.node2.addresses()[0]
        w.node2.tailscale("logout")
        w.admin(f"/expire?node={address}")

    with changed(w, logout, w.node2.up):
        until("node 2 wants a login", lambda: w.node2.state() == "NeedsLogin")
        honest(w.run("tsproxy", "sync"), "logged out", "log in", "login")
        seen = client(w, "connect", w.ip4, str(PORTS["echo"]))
        assert seen["errno"] == "ENETUNREACH", seen
        nobodys(w)


@check("daemon: no daemon at all is one line, the command runs, and its connects fail")
def no_daemon(w):
    with changed(w, w.node2.stop, w.node2.start):
        done = tsproxy(w, "echo", "ran", env={"XDG_RUNTIME_DIR": empty(w)})
        assert good(done) == "ran\n"
        honest(done, "daemon", "tailscaled")
        # The old map is still there: connects go to a proxy that is not.
        seen = client(w, "connect", w.ip4, str(PORTS["echo"]))
        assert seen["errno"] in ("ECONNREFUSED", "ENETUNREACH"), seen


def empty(w):
    path = os.path.join(w.home, "run-empty")
    good(w.run("sh", "-c", f"rm -rf {path} && mkdir -m 700 {path}"))
    return path


@check("daemon: a restarted daemon is the same tailnet")
def restarted(w):
    with changed(w, w.node2.stop, w.node2.start):
        pass
    good(tsproxy(w, "curl", "-sS", URL), PAGE)


@check("daemon: with an HTTP proxy and no SOCKS port, CONNECT carries it")
def http_only(w):
    def restart(flags):
        w.node2.stop()
        w.node2.flags = flags
        w.node2.start()

    http = [flag for flag in GUIDE_FLAGS if "socks5" not in flag]
    try:
        restart(http)
        until("node 2 is running", lambda: w.node2.state() == "Running")
        w.node2.knows(lambda peer: peer["DNSName"].startswith(NODE1 + "."))
        sync(w)
        w.watch.proxied()
        good(tsproxy(w, "curl", "-sS", URL), PAGE)
        only_proxied(w, http=1)
        seen = client(w, "connect", w.ip4, str(PORTS["echo"]))
        assert seen["errno"] == "0" and seen["peer"] == [w.ip4, PORTS["echo"]], seen
        seen = client(w, "connect", w.ip4, "3999")
        assert seen["errno"] == "ECONNREFUSED" and seen["seconds"] < 2, seen
    finally:
        with changed(w, lambda: None, lambda: restart(GUIDE_FLAGS)):
            pass


@check("daemon: a subnet behind node 1 is reached through it")
def subnet(w):
    w.admin(f"/routes?node={NODE1}&cidr={SUBNET}")
    try:
        w.node2.knows(lambda peer: SUBNET in (peer.get("PrimaryRoutes") or []))
        sync(w)
        w.watch.proxied()
        good(tsproxy(w, "curl", "-sS", subnet_web(w)), PAGE)
        only_proxied(w, socks=1)
    finally:
        w.admin(f"/routes?node={NODE1}")


@check("daemon: an exit node's route is carried when asked for, else left alone")
def exit_node(w):
    far = "203.0.113.10"
    sh("ip", "addr", "add", far + "/32", "dev", "lo")
    w.node1.tailscale("set", "--advertise-exit-node")
    w.admin(f"/routes?node={NODE1}&cidr=0.0.0.0/0&cidr=::/0")
    try:
        w.node2.knows(lambda peer: peer["ExitNodeOption"])
        w.node2.tailscale("set", "--exit-node=" + w.ip4)
        w.node2.knows(lambda peer: peer["ExitNode"])
        for options, through in ([], 0), (["--exit-node"], 1):
            sync(w)
            w.watch.proxied()
            good(tsproxy(w, "curl", "-sS", f"http://{far}:3000", options=options), PAGE)
            only_proxied(w, socks=through)
    finally:
        w.node2.tailscale("set", "--exit-node=")
        w.node1.tailscale("set", "--advertise-exit-node=false")
        w.admin(f"/routes?node={NODE1}")
        w.node2.knows(lambda peer: peer["DNSName"].startswith(NODE1 + ".") and not peer["ExitNodeOption"])
        sh("ip", "addr", "del", far + "/32", "dev", "lo")


@check("daemon: a DNS record that belongs to no node resolves")
def extra_record(w):
    name = "wiki." + SUFFIX
    w.admin(f"/record?name={name}&ip={w.ip4}")
    until("the record is known", lambda: name in json.dumps(w.node2.status().get("ExtraRecords")))
    sync(w)
    good(tsproxy(w, "curl", "-sS", f"http://{name}:3000"), PAGE)


@check("daemon: a node that joins later is known to programs that already run")
def late(w):
    name = "late-node"
    follower = subprocess.Popen(
        [*w.node2.enter(), *w.user(), "tsproxy", "--", PYTHON, os.path.join(w.programs, "client.py"), "follow", name],
        env=w.environment(), cwd=w.home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    node = Node(w, name, sock=os.path.join(w.dir, "late.sock"), flags=["--port=41643", "--tun=userspace-networking"])

    def ask():
        follower.stdin.write("\n")
        follower.stdin.flush()
        return follower.stdout.readline().strip()
    try:
        assert ask() == "-"
        w.resolver.asked()
        node.start().up()
        address = node.addresses()[0]
        w.node2.knows(lambda peer: address in peer["TailscaleIPs"])
        until("the running program knows the new node", lambda: ask() == address, 10)
        good(tsproxy(w, "curl", "-sS", f"http://{name}:3000"), PAGE)
    finally:
        follower.stdin.close()
        follower.wait()
        node.leave()


@check("daemon: with a kernel TUN, tsproxy steps aside")
def kernel_tun(w):
    if not os.path.exists("/dev/net/tun"):
        raise Skip("/dev/net/tun is missing")
    pid = w.holder()
    w.join(pid, "third", "10.99.3.1", "10.99.3.2")
    enter = ["nsenter", f"--target={pid}", "--net", "--mount", "--"]
    tried = subprocess.run([*enter, "ip", "tuntap", "add", "probe0", "mode", "tun"], capture_output=True, text=True,
                           check=False)
    if tried.returncode:
        raise Skip(f"no TUN device can be made here: {tried.stderr.strip()}")
    w.prepare_mounts(enter)
    node = Node(w, "kernel-node", pid, flags=["--port=41644", "--tun=tailscale0"])
    try:
        node.start().up("--netfilter-mode=off", "--accept-dns=false")
        node.knows(lambda peer: peer["DNSName"].startswith(NODE1 + "."))
        until("the kernel has the route", lambda: w.run("curl", "-sSm", "2", f"http://{w.ip4}:3000",
                                                        node=node).returncode == 0)
        env = {"XDG_RUNTIME_DIR": empty(w)}
        honest(w.run("tsproxy", "sync", node=node, env=env), "kernel", "tun")
        assert good(tsproxy(w, "curl", "-sS", f"http://{w.ip4}:3000", node=node, env=env)) == PAGE
        status = w.run("tsproxy", "status", node=node, env=env)
        assert "kernel" in (status.stdout + status.stderr).lower(), status
    finally:
        node.leave()

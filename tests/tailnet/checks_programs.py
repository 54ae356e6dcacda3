# SPDX-License-Identifier: MIT
"""Programs as people have them, none of which knows of tsproxy, each by short name and counted at the proxy."""
import os
import shutil
import subprocess

import servers
from checks import Skip, check, client, good, need, no_dns, only_proxied, tsproxy
from servers import PAGE, PORTS
from world import NODE1

URL = f"http://{NODE1}:3000"


def server(w, name):
    need(name)
    port = servers.start(w, name)
    if port is None:
        raise Skip(f"the server for {name} is not installed")
    return str(port)


@check("programs: psql")
def psql(w):
    port = server(w, "psql")
    # The server's own word for who it is: its answer came through.
    out = good(tsproxy(w, "psql", "-h", NODE1, "-p", port, "-U", "coder", "-d", "postgres", "-XAtc",
                       "select count(*) from generate_series(1, 100000)"))
    assert out == "100000\n", out
    assert w.watch.proxied().get(1080) == 1
    no_dns(w)


@check("programs: redis-cli")
def redis(w):
    port = server(w, "redis-cli")
    assert good(tsproxy(w, "redis-cli", "-h", NODE1, "-p", port, "set", "key", "value")) == "OK\n"
    assert good(tsproxy(w, "redis-cli", "-h", NODE1, "-p", port, "get", "key")) == "value\n"
    only_proxied(w, socks=2)


SSH = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]


@check("programs: ssh, its output, exit status and standard input")
def ssh(w):
    port = server(w, "ssh")
    command = ["ssh", *SSH, "-i", os.path.join(w.home, "keys", "user"), "-p", port, f"coder@{NODE1}"]
    done = tsproxy(w, *command, "cat; echo done; exit 3", stdin="line\n")
    assert (done.returncode, done.stdout) == (3, "line\ndone\n"), f"{done.returncode} {done.stdout}{done.stderr}"
    only_proxied(w, socks=1)


@check("programs: scp of 4 MiB, there and back")
def scp(w):
    port = server(w, "ssh")
    key = os.path.join(w.home, "keys", "user")
    there, back = os.path.join(w.home, "sent"), os.path.join(w.home, "got-back")
    good(w.run("sh", "-c", f"head -c 4194304 /dev/urandom >{there}.original"))
    base = ["scp", "-q", *SSH, "-i", key, "-P", port]
    good(tsproxy(w, *base, there + ".original", f"coder@{NODE1}:{there}"))
    good(tsproxy(w, *base, f"coder@{NODE1}:{there}", back))
    good(w.run("cmp", there + ".original", back))
    assert w.watch.proxied().get(1080) == 2
    no_dns(w)


@check("programs: git clone and fetch over HTTP")
def git(w):
    port = server(w, "git")
    target = os.path.join(w.home, "clone")
    good(w.run("rm", "-rf", target))
    good(tsproxy(w, "git", "clone", "-q", f"http://{NODE1}:{port}/project.git", target))
    assert good(w.run("git", "-C", target, "log", "--format=%s")) == "first\n"
    good(tsproxy(w, "git", "-C", target, "fetch", "-q"))
    assert w.watch.proxied().get(1080, 0) >= 2
    no_dns(w)


@check("programs: nc")
def nc(w):
    need("nc")
    # No -N: up to 1.102 the daemon takes the first end of a stream for the end of both.
    out = good(tsproxy(w, "nc", NODE1, "3000", stdin=f"GET / HTTP/1.0\r\nHost: {NODE1}\r\n\r\n"))
    assert out.endswith(PAGE), out
    only_proxied(w, socks=1)


@check("programs: nc -z tells an open port from a closed one")
def nc_scan(w):
    need("nc")
    assert tsproxy(w, "nc", "-z", "-w", "3", NODE1, "3000").returncode == 0
    assert tsproxy(w, "nc", "-z", "-w", "3", NODE1, "3999").returncode == 1


@check("programs: wget")
def wget(w):
    need("wget")
    assert good(tsproxy(w, "wget", "-qO-", "--tries=1", URL)) == PAGE
    only_proxied(w, socks=1)


@check("programs: bash /dev/tcp")
def bash(w):
    script = f"exec 3<>/dev/tcp/{NODE1}/3000; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    assert good(tsproxy(w, "bash", "-c", script)).endswith(PAGE)
    only_proxied(w, socks=1)


@check("programs: node (http.get and net.connect)")
def node(w):
    need("node")
    out = good(tsproxy(w, "node", os.path.join(w.programs, "get.js"), URL))
    assert out in (f"{PAGE}peer {w.ip4} 3000\n", f"{PAGE}peer {w.ip6} 3000\n"), out
    assert w.watch.proxied().get(1080, 0) >= 2
    no_dns(w)


@check("programs: python urllib")
def urllib(w):
    assert client(w, "urllib_get", URL)["body"] == PAGE
    only_proxied(w, socks=1)


@check("programs: python requests")
def requests(w):
    if subprocess.run([servers.PYTHON, "-c", "import requests"], capture_output=True, check=False).returncode:
        raise Skip(f"{servers.PYTHON} has no module requests (package python3-requests)")
    assert client(w, "requests_get", URL)["body"] == PAGE
    only_proxied(w, socks=1)


@check("programs: python asyncio, 20 connections at once")
def asyncio(w):
    seen = client(w, "asyncio_echo", NODE1, str(PORTS["echo"]), "20")
    assert seen["right"] == 20 and set(seen["peers"]) <= {w.ip4, w.ip6}, seen
    assert w.watch.proxied().get(1080, 0) >= 20
    no_dns(w)


@check("programs: python threads, 16 connections at once")
def threads(w):
    assert client(w, "threads", NODE1, str(PORTS["echo"]), "16") == {"wrong": []}
    only_proxied(w, socks=16)


@check("programs: Java HttpURLConnection, Socket and SocketChannel")
def java(w):
    need("java")
    need("javac")
    classes = os.path.join(w.dir, "classes")
    if not os.path.isdir(classes):
        subprocess.run(["javac", "-d", classes, os.path.join(w.programs, "Fetch.java")], check=True)
    out = good(tsproxy(w, shutil.which("java"), "-cp", classes, "-XX:TieredStopAtLevel=1", "Fetch", URL, seconds=60))
    page = PAGE.strip()
    assert out.splitlines() in ([f"http {page}", f"socket {page}", f"remote {ip}", f"channel {page}"]
                                for ip in (w.ip4, w.ip6)), out
    only_proxied(w, socks=3)

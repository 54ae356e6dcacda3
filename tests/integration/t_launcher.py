# SPDX-License-Identifier: MIT
"""The launcher's words: bad input is one line that says what to do; good input changes nothing about the command."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys

from harness import API, NAME1, NODE1, FQDN1, Skip, test, until, whole_user_namespace
from maps import flip


def commands():
    """Names of the programs that run in this namespace; those that only wait to be reaped have no words left."""
    names = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                names.add(os.path.basename(f.read().split("\0")[0]))
        except OSError:
            pass    # it ended meanwhile
    return names


def one_line(done, *texts, status):
    done.bad(*texts, status=status)
    assert done.err.startswith("tsproxy: ") and done.err.count("\n") == 1, f"not one line: {done}"


@test("wrong option, missing value, missing command: one line and status 2")
def wrong_words(t):
    for words, text in ((["--nonsense", "--", "true"], "--nonsense"), ([], "no command"), (["--"], "no command"),
                        (["--socks5"], "needs a value"), (["--socks5", "here", "true"], "HOST:PORT"),
                        (["--socks5", "name:port", "true"], "HOST:PORT"), (["--route", "1.2.3.4/99", "true"], "range"),
                        (["--exclude", "x", "true"], "range"), (["--log", "loud", "true"], "debug"),
                        (["--mode", "hope", "true"], "auto or preload"), (["--inbound", "true"], "yet"),
                        (["--mode", "supervise", "true"], "yet"), (["-p", "../x", "true"], "")):
        one_line(t.launcher(*words), text, status=2)


@test("a command that is not there is 127, one that cannot run is 126")
def no_command(t):
    one_line(t.launcher("--", "no-such-command"), "no-such-command", "not found", status=127)
    one_line(t.launcher("--", t.file("text", "hello\n")), "ermission", status=126)


@test("a missing, broken, empty or foreign status file is refused in one line that names it")
def status_files(t):
    t.sim("--socks5", "1080")
    whole = t.run([t.build("tsproxy-sim"), "--status-json"]).out
    os.mkdir(f"{t.dir}/folder")
    for name, text, why in (("missing", None, "No such file"), ("broken", whole[:500], "line "), ("empty", "", "it is empty"),
                            ("words", "hello, world\n", "neither JSON nor a status table"),
                            ("comments", "# a\n\n", "it contains only comments"), ("list", "[1, 2]\n", ""),
                            ("other", "{\"a\": 1}\n", "JSON, but not a tailnet's status (no BackendState, Self or Peer)"), ("folder", None, ""),
                            ("page", "<html></html>\n", ""), ("bytes", "\0\1\2\n", "")):
        path = f"{t.dir}/{name}" if text is None else t.file(name, text)
        done = t.tsproxy("touch", "ran", options=["--status", path])
        one_line(done, name, why, status=None)
        assert not os.path.exists(f"{t.dir}/ran"), "the command ran all the same"


@test("no daemon: a line that says what to start, and the command still runs")
def no_daemon(t):
    done = t.tsproxy("echo", "ran")
    assert done.good() == "ran\n"
    assert "tailscaled" in done.err and done.err.count("\n") == 1, done


@test("a daemon that is stopped or logged out, or whose kernel routes: said once, and honest errors")
def states(t):
    program = ("import errno, socket, sys\n"
               "print(errno.errorcode.get(socket.socket().connect_ex((sys.argv[1], 3000))))")
    for options, text in ((["--state", "Stopped"], "tsproxy up"), (["--state", "NeedsLogin"], "tsproxy up"),
                          (["--tun"], "without tsproxy")):
        shutil.rmtree("/run/tsproxy", ignore_errors=True)
        sim = t.tailnet(*options)
        done = t.tsproxy(sys.executable, "-c", program, NODE1)
        assert done.good().strip() == "ENETUNREACH", done
        assert text in done.err and done.err.count("\n") == 1, done
        assert not [k for k in sim.stats()["targets"] if k.endswith(":3000")]
        sim.process.terminate()
        sim.process.wait()


@test("no proxy port, or something else behind it: one line; inside the honest errno, and why in the log")
def no_proxy(t):
    t.need("curl")
    t.sim("--socks5", "0", api=API)
    done = t.tsproxy("curl", "-sS", f"http://{NODE1}:3000/")
    assert done.bad("no SOCKS5 port", "--socks5-server").status == 7 and done.err.count("tsproxy:") == 1, done
    done = t.tsproxy("curl", "-sS", f"http://{NODE1}:3000/", options=["--socks5", "127.0.0.1:9", "--log", "debug"])
    assert done.bad("127.0.0.1:9", "ECONNREFUSED").status == 7, done
    t.page(1080)
    shutil.rmtree("/run/tsproxy", ignore_errors=True)
    done = t.tsproxy("curl", "-sS", f"http://{NODE1}:3000/")
    assert done.bad("127.0.0.1:1080").status == 7, done


@test("a Go program and a static one: one line and status 126; under LD_PRELOAD alone Go gets no tailnet names")
def not_served(t):
    t.need("gcc")
    sim = t.tailnet()
    source = t.file("static.c", "int main(void) { return 0; }\n")
    t.run(["gcc", "-static", "-o", "static", source]).good()
    one_line(t.tsproxy("./static"), "static", "HTTPS_PROXY to the proxy that tsproxy status shows", status=126)
    assert "socks5 127.0.0.1:1080" in t.launcher("status").good()
    done = t.tsproxy("./static")
    one_line(done, "static", "ProxyCommand tsproxy -- nc %h %p", status=126)
    proxy = re.search(r"HTTPS_PROXY=(\S+);", done.err).group(1)
    assert proxy == "socks5://127.0.0.1:1080" and f"; for HTTPS: HTTPS_PROXY={proxy}; " in t.launcher("explain", "./static").out
    t.page(3000)
    t.run(["curl", "-sS", "-x", proxy, f"http://{NODE1}:3000/"]).good("a page")
    sim.process.terminate()
    sim.process.wait()
    shutil.rmtree("/run/tsproxy")
    tun = t.tailnet("--tun")
    t.launcher("sync").good()
    one_line(t.tsproxy("./static"), "run it without tsproxy: the kernel routes the tailnet", status=126)
    t.launcher("status").good("# proxy: the kernel (TUN)\n")
    tun.process.terminate()
    tun.process.wait()
    shutil.rmtree("/run/tsproxy")
    one_line(t.tsproxy("./static"), "HTTPS_PROXY to the proxy that tsproxy status shows", status=126)
    if not shutil.which("go", path=t.env["PATH"]):
        raise Skip("Go is not installed")
    t.file("go/go.mod", "module look\n\ngo 1.18\n")
    t.file("go/main.go", """package main
import ("C"; "fmt"; "net"; "os")
func main() { a, err := net.LookupHost(os.Args[1]); fmt.Println(a, err != nil) }
""")
    env = {"GOCACHE": f"{t.dir}/cache", "GOPATH": f"{t.dir}/gopath", "CGO_ENABLED": "1", "GOTOOLCHAIN": "local",
           "GOFLAGS": ""}
    t.run(["go", "build", "-o", "../look", "."], env=env, cwd=f"{t.dir}/go", timeout=150).good()
    t.tailnet()
    t.launcher("sync").good()
    one_line(t.tsproxy("./look", NAME1), "Go program", status=126)
    done = t.preload("./look", FQDN1, env={"TSPROXY_LOG": "debug", "GODEBUG": "netdns=cgo"})
    assert done.good() == "[] true\n" and f"{FQDN1}: hidden from a Go program, which cannot connect to it" in done.err, done


@test("exit status, signals, pid, arguments, input and output are the command's own")
def transparent(t):
    t.tailnet()
    assert t.tsproxy("sh", "-c", "exit 42").status == 42
    assert t.tsproxy("sh", "-c", "kill -TERM $$").status == -signal.SIGTERM
    assert t.tsproxy("cat", stdin="through\n").good() == "through\n"
    assert t.tsproxy("printf", "%s|", "a b", "", "*").good() == "a b||*|"
    p = subprocess.Popen([t.build("tsproxy"), "--", "sh", "-c", "echo $$"], env=t.env,
                         stdout=subprocess.PIPE, text=True)
    assert int(p.communicate()[0]) == p.pid
    out = t.tsproxy("sh", "-c", "echo $LD_PRELOAD", env={"LD_PRELOAD": "/nonexistent.so"}).out
    assert out.strip().endswith("libtsproxy.so:/nonexistent.so"), out


@test("TSPROXY_DISABLE=1 and env -i: nothing is done at all")
def disabled(t):
    t.need("curl")
    t.tailnet()
    assert t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/", env={"TSPROXY_DISABLE": "1"}).status == 6
    assert t.preload("curl", "-sS", f"http://{NAME1}:3000/", env={"TSPROXY_DISABLE": "1"}).status == 6
    assert t.tsproxy("env", "-i", "/usr/bin/curl", "-sS", f"http://{NAME1}:3000/").status == 6


@test("TSPROXY_DISABLE=1: a datagram to any address costs no system call but its own")
def disabled_datagrams(t):
    t.need("strace")
    t.tailnet()
    program = 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect_ex(("127.0.0.1", 9))\n' \
              'for i in range(3):\n try: s.sendto(b"x", ("192.0.2.7", 9))\n except OSError: pass'
    done = t.preload("strace", "-e", "trace=sendto,connect,getpid,madvise,%file", sys.executable, "-c", program, env={"TSPROXY_DISABLE": "1"})
    calls = [line.split("(")[0] for line in done.err.splitlines()]
    assert calls.count("sendto") == 3, done
    assert set(calls[calls.index("connect"):len(calls) - calls[::-1].index("sendto")]) == {"connect", "sendto"}, done.err


@test("status, resolve and sync print what programs see; help and version answer")
def sub_commands(t):
    t.tailnet()
    t.launcher("status").good(NAME1)
    nodes = {n["host"]: n for n in json.loads(t.launcher("status", "--json").good())["nodes"]}
    assert nodes[NAME1]["name"] == FQDN1 and nodes[NAME1]["addresses"][0] == NODE1, nodes
    t.launcher("resolve", NAME1).good(NODE1)
    t.launcher("resolve", NODE1).good(FQDN1)
    assert t.launcher("resolve", "nobody").status != 0
    t.launcher("sync").good()
    t.launcher("--help").good("Usage")
    t.launcher("version").good("tsproxy")


@test("profiles are apart, and a status file on standard input serves one command")
def profiles(t):
    t.need("curl")
    t.page(3000)
    t.tailnet()
    t.tsproxy("getent", "hosts", NAME1).good()
    other = t.status_file("--node", "here,100.64.0.1,self", "--node", "elsewhere,100.64.0.9")
    t.tsproxy("getent", "hosts", "elsewhere", options=["-p", "work", "--status", other]).good("100.64.0.9")
    assert t.tsproxy("getent", "hosts", NAME1, options=["-p", "work", "--status", other]).status == 2
    assert t.tsproxy("getent", "hosts", "elsewhere").status == 2
    with open(other) as f:
        t.tsproxy("getent", "hosts", "elsewhere", options=["--status", "-"], stdin=f.read()).good("100.64.0.9")


@test("a map that is damaged, cut or open to others is refused and made anew, by a program and by the launcher")
def damaged_map(t):
    t.need("curl")
    t.tailnet()
    t.page(3000)
    folder = "/run/tsproxy"
    path = f"{folder}/default.map"

    def cut():
        os.truncate(path, 100)

    def spoil():
        with open(path, "r+b") as f:
            f.seek(40)
            f.write(b"\xff" * 64)

    def flip_last():
        flip(path, os.stat(path).st_size - 20)

    def open_up():
        os.chmod(path, 0o666)

    def give_away():
        os.chown(path, 12345, 12345)
    damages = [cut, spoil, flip_last, open_up]
    if whole_user_namespace():
        damages.append(give_away)
    for damage in damages:
        for run in (t.preload, t.tsproxy):
            # No earlier refresh at work in the background, and no trace of one: after one that left no good map,
            # programs ask again only a minute later.
            until(lambda: "tsproxy-sync" not in commands(), "end of the last refresh")
            shutil.rmtree(folder, ignore_errors=True)
            t.launcher("sync").good()
            assert os.stat(path).st_mode & 0o777 == 0o644 and os.stat(folder).st_mode & 0o777 == 0o755
            damage()
            done = run("curl", "-sS", f"http://{NAME1}:3000/", env={"TSPROXY_LOG": "warn"})
            done.good("a page")
            # Under the launcher a background refresh may have replaced it before the program ever looked.
            assert run != t.preload or path in done.err, f"not a word about the map ({damage.__name__}): {done}"


@test("--route carries a range that is no tailnet's, --exclude leaves a node out")
def ranges(t):
    t.need("curl")
    sim = t.tailnet("--map", "192.0.2.5:3000=127.0.0.1:3000")
    t.page(3000)
    t.tsproxy("curl", "-sS", "http://192.0.2.5:3000/", options=["--route", "192.0.2.0/24"]).good("a page")
    assert sim.stats()["targets"]["192.0.2.5:3000"]["connections"] == 1
    done = t.tsproxy("curl", "-sS", "-m", "5", f"http://{NODE1}:3000/", options=["--exclude", f"{NODE1}/32"])
    assert done.status == 7, done
    assert f"{NODE1}:3000" not in sim.stats()["targets"]

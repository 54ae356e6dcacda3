# SPDX-License-Identifier: MIT
"""The launcher called proxychains4: its flags and configuration, and what of them is refused."""
import os
import pty
import subprocess

from harness import NAME1, NODE1, test


def proxychains(t, *words, name="proxychains4", **more):
    link = os.path.join(t.dir, name)
    if not os.path.lexists(link):
        os.symlink(t.build("tsproxy"), link)
    return t.run([link, *words], **more)


def one_line(done, *texts, status=2):
    done.bad(*texts, status=status)
    assert done.err.startswith("tsproxy: ") and done.err.count("\n") == 1, f"not one line: {done}"


def no_system_configuration(t):
    """Where proxychains itself is installed, its own file says SOCKS4."""
    empty = t.file("empty.conf")
    for path in "/etc/proxychains4.conf", "/etc/proxychains.conf":
        if os.path.exists(path):
            subprocess.run(["mount", "--bind", empty, path], check=True)


URL = f"http://{NODE1}:3000/"
NAMED = f"http://{NAME1}:3000/"


@test("proxychains4: SOCKS5 and HTTP entries carry, with user and password, by each of its names")
def proxies(t):
    t.page(3000)
    sim = t.sim("--socks5", "1085", "--user", "me", "--pass", "se:c@ret", api="/run/tailscale/tailscaled.sock")
    http = t.sim("--http", "8129")
    socks = t.file("s.conf", "# a comment\nstrict_chain\nproxy_dns\ntcp_read_time_out 15000\nremote_dns_subnet 224\n\n"
                             "[ProxyList]\n# old: socks4 127.0.0.1 9050\nsocks5\t127.0.0.1 1085 me se:c@ret\n")
    for name in "proxychains4", "proxychains":
        for url in URL, NAMED:
            done = proxychains(t, "-q", "-f", socks, "curl", "-4", "-sS", url, name=name)
            assert done.good() == "a page\n" and not done.err, done
    assert sim.stats()["targets"][f"{NODE1}:3000"]["connections"] == 4
    other = t.file("h.conf", "dynamic_chain\nquiet_mode\n[ProxyList]\nhttp 127.0.0.1 8129\n")
    assert proxychains(t, "-f", other, "--", "curl", "-sS", URL).good() == "a page\n"
    assert http.stats()["http"] >= 1
    wrong = t.file("w.conf", "[ProxyList]\nsocks5 127.0.0.1 1085 me wrong\n")
    assert proxychains(t, "-f", wrong, "curl", "-sS", URL).bad().status == 7


@test("proxychains4 looks for its configuration where proxychains does; without one a proxy is found")
def places(t):
    no_system_configuration(t)
    t.tailnet()
    t.page(3000)
    assert proxychains(t, "curl", "-4", "-sS", NAMED).good() == "a page\n"
    bad = "[ProxyList]\nsocks4 127.0.0.1 {}\n"
    home = t.file("home/.proxychains/proxychains.conf", bad.format(3))
    one_line(proxychains(t, "true"), f"{home}:2", "socks4")
    t.file("proxychains.conf", bad.format(2))
    one_line(proxychains(t, "true"), ": proxychains.conf:2", "socks4")
    variable = t.file("v.conf", "\n" + bad.format(1))
    env = {"PROXYCHAINS_CONF_FILE": variable}
    one_line(proxychains(t, "true", env=env), f"{variable}:3", "socks4")
    good = t.file("g.conf", "[ProxyList]\nsocks5 localhost 1080\n")
    assert proxychains(t, "-f", good, "curl", "-4", "-sS", NAMED, env=env).good() == "a page\n"
    one_line(proxychains(t, "-f", os.path.join(t.dir, "none"), "true"), "none: No such file")


@test("proxychains4: localnet is excluded; a port in it is told and passed over")
def localnet(t):
    t.tailnet()
    t.page(3000)
    conf = "localnet {}\n[ProxyList]\nsocks5 127.0.0.1 1080\n"
    for net in "100.64.0.0/255.192.0.0", "100.64.0.0/10", "127.0.0.0/255.0.0.0\nlocalnet 100.64.0.0/10":
        path = t.file("l.conf", conf.format(net))
        done = proxychains(t, "-f", path, "sh", "-c", "echo $TSPROXY_EXCLUDE")
        assert done.good().strip().split(",")[-1] == "100.64.0.0/10", done
        assert proxychains(t, "-f", path, "curl", "-sS", "-m", "5", URL).bad().status == 7
    path = t.file("l.conf", conf.format("100.64.0.0:80/255.192.0.0"))
    done = proxychains(t, "-f", path, "curl", "-sS", URL)
    assert done.good() == "a page\n" and f"{path}:1: localnet with a port is not supported; ignored" in done.err, done
    assert not proxychains(t, "-q", "-f", path, "curl", "-sS", URL).err
    assert not proxychains(t, "-f", path, "true", env={"PROXYCHAINS_QUIET_MODE": "1"}).err


@test("proxychains4: what tsproxy does not do is one line with its place and status 2, and nothing runs")
def refused(t):
    two = "[ProxyList]\nsocks5 127.0.0.1 1080\nhttp 127.0.0.1 3128\n"
    for text, *parts in (("strict_chain\n" + two, "strict_chain with 2 proxies: tsproxy uses only one"),
                         (two, "dynamic_chain with 2 proxies"),
                         ("random_chain\nchain_len = 2\n" + two, "random_chain with 2 proxies"),
                         ("round_robin_chain\nchain_len=2\n" + two, "round_robin_chain with 2 proxies"),
                         ("random_chain\n" + two + "socks5 127.0.0.1 1081\n", ":5", "a second SOCKS5 proxy; tsproxy uses one of each kind"),
                         ("random_chain\n" + two + "http 127.0.0.1 1081\n", ":5", "a second HTTP proxy; tsproxy uses one of each kind"),
                         ("dnat 1.1.1.1 2.2.2.2\n" + two, ":1", "dnat", "does not redirect connections"),
                         ("localnet 10.0.0.0/255.0.255.0\n" + two, ":1", "localnet", "must be ADDRESS/MASK"),
                         ("localnet 10.0.0.0\n" + two, ":1", "localnet", "must be ADDRESS/MASK"), ("localnet\n" + two, ":1", "localnet", "must be ADDRESS/MASK"),
                         ("[ProxyList]\nraw 127.0.0.1 80\n", ":2", "raw", "tsproxy supports only SOCKS5 and HTTP proxies; use one of these"), ("[ProxyList]\nsocks5 127.0.0.1\n", ":2", "must be TYPE HOST PORT [USER PASSWORD]"),
                         ("[ProxyList]\nsocks5 127.0.0.1 none\n", ":2"),
                         ("[ProxyList]\nsocks5 127.0.0.1 1080 a:b c\n", ":2", "user name cannot contain a colon")):
        path = t.file("r.conf", text)
        done = proxychains(t, "-f", path, "echo", "ran")
        one_line(done, path, *parts)
        assert not done.out, done
    for text in ("random_chain\n" + two, "round_robin_chain\nchain_len = 1\n" + two):
        path = t.file("r.conf", text)
        assert proxychains(t, "-q", "-f", path, "sh", "-c", "echo $TSPROXY_SOCKS5 $TSPROXY_HTTP_PROXY").out == \
            "127.0.0.1:1080 127.0.0.1:3128\n"
    for path, word in ("/dev/zero", "too long, or not text"), (t.dir, "directory"), (t.file("long", "x" * 5000), "too long"):
        one_line(proxychains(t, "-f", path, "echo", "ran"), path, word)
    for words, why in (([], "proxychains4: no command given; see"), (["-q"], "no command given"), (["--nonsense", "true"], "unknown option; see proxychains4 --help"),
                       (["-f"], "needs a file; see")):
        one_line(proxychains(t, *words), "proxychains4", why)
    assert proxychains(t, "--help").good().startswith("usage: proxychains4")
    one_line(proxychains(t, "-f", "/dev/null", "no-such-command"), "not found", status=127)


@test("proxychains4 on a terminal: the command has it")
def terminal(t):
    no_system_configuration(t)
    t.tailnet()
    proxychains(t, "--help")
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(os.path.join(t.dir, "proxychains4"), ["proxychains4", "sh", "-c", "test -t 0 && test -t 2 && tty"], t.env)
    out = b""
    while True:
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 and b"/dev/pts/" in out, out

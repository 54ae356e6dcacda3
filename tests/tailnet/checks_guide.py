# SPDX-License-Identifier: MIT
"""The guide's own test, step by step, and the same in every way the names and addresses can be written."""
import os

from checks import check, client, good, no_dns, only_proxied, tsproxy
from servers import PAGE, PORTS
from world import GUIDE_ENV, NODE1, SUFFIX

URL = f"http://{NODE1}:3000"


@check("guide: ss -nltp shows the daemon on 3128 and 1080")
def listening(w):
    import subprocess
    out = subprocess.run([*w.node2.enter(), "ss", "-nltp"], capture_output=True, text=True, check=True).stdout
    for port in 1080, 3128:
        assert any(f"127.0.0.1:{port} " in line and "tailscaled" in line for line in out.splitlines()), out


@check("guide: curl by short name fails without tsproxy")
def native(w):
    done = w.run("curl", "-sS", URL)
    assert done.returncode == 6, f"curl ended with {done.returncode}: {done.stdout}{done.stderr}"
    w.resolver.asked()


@check("guide: curl by short name works with nothing configured")
def curl(w):
    good(tsproxy(w, "curl", "-sS", URL), PAGE)
    only_proxied(w, socks=1)


@check("guide: curl works the first time, without any map")
def first_time(w):
    good(tsproxy(w, "curl", "-sS", URL, env={"XDG_RUNTIME_DIR": fresh(w, "first")}), PAGE)
    only_proxied_for_program(w)


def fresh(w, name):
    """An empty runtime folder of the user's own: no map there yet."""
    path = os.path.join(w.home, "run-" + name)
    good(w.run("sh", "-c", f"rm -rf {path} && mkdir -m 700 {path}"))
    return path


def only_proxied_for_program(w):
    """Making a map tries each proxy once; what counts is that the program's own connection went through."""
    assert w.watch.proxied().get(1080, 0) >= 1
    no_dns(w)


@check("guide: with http_proxy and ALL_PROXY set, curl uses http_proxy itself, once")
def guide_environment(w):
    good(tsproxy(w, "curl", "-sS", URL, env=GUIDE_ENV), PAGE)
    only_proxied(w, http=1)


@check("guide: with ALL_PROXY alone, curl speaks SOCKS itself, once")
def all_proxy(w):
    good(tsproxy(w, "curl", "-sS", URL, env={"ALL_PROXY": GUIDE_ENV["ALL_PROXY"]}), PAGE)
    only_proxied(w, socks=1)


@check("guide: with ALL_PROXY=socks5h, curl sends the name itself, once")
def all_proxy_name(w):
    good(tsproxy(w, "curl", "-sS", URL, env={"ALL_PROXY": "socks5h://localhost:1080"}), PAGE)
    only_proxied(w, socks=1)


@check("guide: with ALL_PROXY set, a program that knows no proxy is proxied once")
def all_proxy_unaware(w):
    seen = client(w, "connect", NODE1, str(PORTS["echo"]), env=GUIDE_ENV)
    assert seen["errno"] == "0" and seen["peer"] == [w.ip4 if "." in seen["asked"] else w.ip6, PORTS["echo"]], seen
    only_proxied(w, socks=1)


def spelling(title, host):
    @check(f"guide: curl reaches {title}")
    def one(w):
        good(tsproxy(w, "curl", "-sS", f"http://{host(w)}:3000"), PAGE)
        only_proxied(w, socks=1)


spelling("the full name", lambda w: f"{NODE1}.{SUFFIX}")
spelling("the full name with its trailing dot", lambda w: f"{NODE1}.{SUFFIX}.")
spelling("the name in capitals", lambda w: NODE1.upper())
spelling("the IPv4 address", lambda w: w.ip4)
spelling("the IPv6 address", lambda w: f"[{w.ip6}]")


@check("guide: LD_PRELOAD alone does what the launcher does")
def preload(w):
    good(w.run("curl", "-sS", URL, env={"LD_PRELOAD": w.object}), PAGE)
    only_proxied(w, socks=1)


@check("guide: with a proxy's port alone, and no map, the daemon itself resolves the tailnet's names")
def port_alone(w):
    # As beside a container that has the daemon: no socket, no command, no status.
    env = {"TSPROXY_SOCKS5": "127.0.0.1:1080", "LD_PRELOAD": w.object, "PATH": "/usr/bin:/bin",
           "TSPROXY_SOCKET": "/nonexistent"}
    good(w.run("curl", "-sS", f"http://{NODE1}.{SUFFIX}:3000", env=env), PAGE)
    only_proxied(w, socks=1)


@check("guide: in a shell with LD_PRELOAD, every program below it works")
def preload_shell(w):
    script = f"curl -sS {URL}; python3 -c 'print(1)' | cat; (exec curl -sS http://{w.ip4}:3000)"
    out = good(w.run("bash", "-c", script, env={"LD_PRELOAD": w.object}))
    assert out == f"{PAGE}1\n{PAGE}", out
    only_proxied(w, socks=2)


@check("guide: with nothing but LD_PRELOAD, the first name of all finds its map")
def preload_first(w):
    env = {"LD_PRELOAD": w.object, "XDG_RUNTIME_DIR": fresh(w, "preload")}
    good(w.run("curl", "-sS", URL, env=env), PAGE)
    only_proxied_for_program(w)


@check("guide: TSPROXY_DISABLE=1 gives the native answer")
def disabled(w):
    done = tsproxy(w, "curl", "-sS", URL, env={"TSPROXY_DISABLE": "1"})
    assert done.returncode == 6, f"curl ended with {done.returncode}: {done.stdout}{done.stderr}"
    w.resolver.asked()


@check("guide: the launcher is out of the way: pid, exit status, signals, standard input")
def transparent(w):
    assert tsproxy(w, "sh", "-c", "exit 7").returncode == 7
    # nsenter and setpriv exec, so only what the launcher does can put a process in between.
    out = good(w.run("sh", "-c", "echo $$; exec tsproxy -- sh -c 'echo $$'")).split()
    assert out[0] == out[1], out
    assert tsproxy(w, "sh", "-c", "kill -TERM $$").returncode == -15
    assert good(tsproxy(w, "cat", stdin="through\n")) == "through\n"
    assert tsproxy(w, "no-such-program").returncode == 127
    assert tsproxy(w, "/etc/passwd").returncode == 126

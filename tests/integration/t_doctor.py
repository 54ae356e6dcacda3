# SPDX-License-Identifier: MIT
"""tsproxy doctor: each thing that can be wrong is found, told with its remedy, and decides the exit status."""
import json
import os
import shutil
import sys

from harness import API, FQDN1, NAME1, NODE1, NODE1_V6, ROOT, test


def findings(t, *words, status, **more):
    """{check: [(level, text, fix)]}"""
    done = t.launcher("doctor", "--json", *words, **more)
    assert done.status == status and not done.err, done
    found = json.loads(done.out)
    by_check = {}
    for f in found["checks"]:
        by_check.setdefault(f["check"], []).append((f["level"], f["text"], f["fix"] or ""))
    worst = max((f["level"] for f in found["checks"]), key=["ok", "note", "warn", "fail"].index)
    assert found["worst"] == worst, found
    return by_check


def one(found, check, level, *parts):
    lines = [f for f in found.get(check, []) if f[0] == level and all(p in f[1] + " " + f[2] for p in parts)]
    assert lines, f"no {level} about {check} with {parts}: {json.dumps(found, indent=1)}"


@test("doctor on a tailnet that works: every check is ok, and the status 0")
def healthy(t):
    t.tailnet()
    t.page(3000)
    found = findings(t, f"{NAME1}:3000", status=0)
    for check, *parts in (("versions", "tsproxy", "Linux"), ("library", "libtsproxy.so", "can be loaded"),
                          ("daemon", "tailscaled 1.102.5 (status from ", "tailscaled.sock"), ("login", "logged in as "), ("mode", "userspace networking: programs need a proxy, or tsproxy"),
                          ("map", "default.map", "nodes"), ("port", "127.0.0.1:1080", "SOCKS5"),
                          ("port", "127.0.0.1:3128 is an HTTP proxy, run by root"), ("proxy", "socks5 127.0.0.1:1080"),
                          ("name", f"programs resolve {NAME1} to "), ("connect", f"{NAME1} port 3000", "ms")):
        one(found, check, "ok", *parts)
    one(found, "ping", "note", "ping NODE cannot work: proxies do not support ICMP", "use tsproxy tailscale ping NODE, or tsproxy doctor NODE:PORT")
    one(found, "dig", "note", "dig and nslookup query DNS servers directly and find no tailnet names", "use tsproxy resolve NODE, or tsproxy -- getent hosts NODE")
    one(found, "shell", "note", "tsproxy is not active in this shell", "tsproxy env")
    assert "supervisor" in found, found


@test("doctor without a node takes one that is online; a preloaded shell changes nothing but that line")
def own_choice(t):
    t.tailnet()
    one(findings(t, status=0), "connect", "ok", FQDN1, "refused, because nothing listens there")
    found = findings(t, status=0, env={"LD_PRELOAD": t.build("libtsproxy.so")})
    one(found, "shell", "ok", "tsproxy is active in this shell")
    one(found, "port", "ok", "127.0.0.1:1080")
    one(found, "connect", "ok", FQDN1)


@test("doctor: no daemon, a stopped one, one that is logged out, one without proxies, one with a TUN")
def daemons(t):
    found = findings(t, status=3)
    one(found, "daemon", "fail", "no tailscaled", "tsproxy up --install")
    # Where that puts it, or anywhere else that up looks.
    t.file("home/.local/bin/tailscaled", "", 0o755)
    one(findings(t, status=3), "daemon", "fail", "no tailscaled", "tsproxy up, or start tailscaled with")
    os.unlink(f"{t.home}/.local/bin/tailscaled")
    assert "map" not in found, found
    for options, check, level, *parts in ((["--state", "Stopped"], "login", "fail", "Stopped", "tsproxy up"),
                                          (["--state", "NeedsLogin"], "login", "fail", "not logged in"),
                                          (["--tun"], "mode", "note", "the daemon has a network interface (TUN): programs reach the tailnet without")):
        shutil.rmtree("/run/tsproxy", ignore_errors=True)
        sim = t.tailnet(*options)
        found = findings(t, status=0 if level == "note" else 3)
        one(found, check, level, *parts)
        assert "connect" not in found, found
        sim.process.terminate()
        sim.process.wait()
    shutil.rmtree("/run/tsproxy", ignore_errors=True)
    t.sim("--socks5", "0", api=API)
    t.file("bin/tailscaled", "", 0o755)
    one(findings(t, status=3, env={"PATH": f"{t.dir}/bin:{t.env['PATH']}"}), "proxy", "fail", "no working proxy was found",
        "(127.0.0.1:1055, 1080 and 3128 are closed)", "tsproxy up, or start tailscaled with --tun=userspace-networking --socks5-server=")


@test("doctor: a chosen port where nobody listens, and a name that is nobody's, fail; a port that is no proxy is named")
def unreachable(t):
    t.tailnet()
    t.page(1055)
    found = findings(t, f"{NAME1}:3999", status=3)
    one(found, "connect", "fail", f"a program's connection to {NAME1} port 3999: Connection refused after ", "a server listens")
    one(found, "port", "note", "127.0.0.1:1055 is open, but not a proxy, run by root")
    found = findings(t, "nobody:3000", status=3)
    one(found, "name", "fail", "programs cannot resolve nobody: ", "run tsproxy resolve nobody to see what the map has")
    t.page(3000)
    found = findings(t, f"{NODE1}:3000", status=0)
    one(found, "connect", "ok", NODE1)


@test("doctor: proxy variables that name this proxy, that lead elsewhere, that NO_PROXY keeps apart")
def environment(t):
    t.tailnet()
    found = findings(t, status=0, env={"ALL_PROXY": "socks5://localhost:1080", "http_proxy": "http://localhost:3128"})
    one(found, "environment", "ok", "ALL_PROXY", "127.0.0.1:1080", "programs that use it connect to that proxy themselves")
    one(found, "environment", "ok", "http_proxy", "127.0.0.1:3128")
    other = {"http_proxy": "http://me:secret@192.0.2.1:8080"}
    found = findings(t, status=1, env=other)
    one(found, "environment", "warn", "http_proxy", "192.0.2.1:8080", "programs that use it send requests for the tailnet to that proxy",
        "add .ts.net and 100.64.0.0/10 to NO_PROXY")
    assert "secret" not in json.dumps(found)
    one(findings(t, status=0, env={**other, "NO_PROXY": ".ts.net"}), "environment", "ok", "and NO_PROXY excludes the tailnet")
    one(findings(t, status=1, env={"ALL_PROXY": "ftp://x"}), "environment", "warn",
        "ALL_PROXY is not a URL of a proxy that tsproxy supports, or its host does not resolve", "correct or unset it")


@test("doctor judges programs: dynamic, script, static, missing, set-user-ID, Go")
def programs(t):
    t.need("gcc")
    t.tailnet()
    source = t.file("static.c", "int main(void) { return 0; }\n")
    t.run(["gcc", "-static", "-o", "static", source]).good()
    t.file("script", "#!/usr/bin/env bash\n", 0o755)
    found = findings(t, "--", "ls", "./script", status=0)
    assert [f[0] for f in found["program"]] == ["ok", "ok"] and found["program"][1][1].endswith(" is supported"), found
    t.file("without", "#!/no/such\n", 0o755)
    one(findings(t, "--", "./without", status=3), "program", "fail", "/no/such", "install it, or correct the first line of the script")
    found = findings(t, "--", "./static", "nowhere", status=3)
    one(found, "program", "fail", "is a static program, which loads no libraries", "does not start it")
    one(found, "program", "fail", "nowhere: command not found")
    with open("/bin/true", "rb") as f:
        elf = bytearray(f.read())
    t.file("broken", "\x7fELF", 0o755)
    elf[18] = 0xf3
    with open(t.file("foreign", mode=0o755), "wb") as f:
        f.write(elf)
    t.file("lost", "#!/no/such\n", 0o755)
    found = findings(t, "--", "./broken", "./foreign", "./lost", status=3)
    one(found, "program", "fail", "is the interpreter of the script, and was not found")
    one(found, "program", "fail", "cannot be executed by this kernel")
    one(found, "program", "fail", "is for a different processor than libtsproxy.so", "install tsproxy for that processor as well")
    # As a user: what root owns and sets the user ID.
    place = t.unprivileged_dir("programs")
    shutil.copy("/bin/true", f"{place}/privileged")
    os.chmod(f"{place}/privileged", 0o4755)
    cli = os.path.join(ROOT, "tests", "cli")
    t.run(["gcc", "-DGO_NOTE", "-o", f"{place}/go", f"{cli}/empty.c", f"{cli}/go-mark.S"]).good()
    user = {"XDG_RUNTIME_DIR": None, "HOME": place}
    shutil.copy("/bin/true", f"{place}/closed")
    os.chmod(f"{place}/closed", 0o711)
    t.run(t.unprivileged([t.build("tsproxy-doctor"), "--", f"{place}/closed"]), env=user).bad(
        "cannot be read, so it is not known whether it is supported")
    for name, word, why in (("privileged", "set-user-ID", "the loader ignores preloaded libraries"),
                            ("go", "is a Go program", "which does not use the C library")):
        done = t.run(t.unprivileged([t.build("tsproxy"), "doctor", "--json", "--", f"{place}/{name}"]), env=user)
        one({"program": [(c["level"], c["text"], c["fix"] or "") for c in json.loads(done.out)["checks"] if c["check"] == "program"]},
            "program", "fail", word, why)
        for words in ["explain"], ["--"]:
            done = t.run(t.unprivileged([t.build("tsproxy"), *words, f"{place}/{name}"]), env=user).bad(word, "not run", status=126)


@test("doctor refuses what it does not know; colours on a terminal only, none with NO_COLOR")
def output(t):
    t.tailnet()
    for words, why in (["a", "b"], "doctor: only one node can be given; programs go after --"), (["--nonsense"], "--nonsense"):
        done = t.launcher("doctor", *words).bad(why, status=2)
        assert done.err.startswith("tsproxy: ") and done.err.count("\n") == 1, done
    for command in "doctor", "status":
        assert "\033" not in t.launcher(command).good()
        for env, coloured in ({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False):
            status, out = t.on_terminal([t.build("tsproxy"), command], env)
            assert status == 0 and ("\033[" in out) == coloured, out


@test("doctor: a proxy that is not there, or speaks another protocol, is not used, and then a refused connect proves nothing")
def proxies(t):
    t.tailnet()
    conf = "home/.config/tsproxy/tsproxy.conf"
    for text, why in (("socks5 = 127.0.0.1:9\n", "no program listens"), ("socks5 = 127.0.0.1:3128\n", "does not answer"),
                      ("http-proxy = 127.0.0.1:1080\n", "not a proxy of this kind")):
        t.file(conf, text)
        found = findings(t, status=3)
        one(found, "proxy", "warn", why, "tsproxy config shows which setting names it")
        one(found, "proxy", "fail", "tsproxy up")
        assert "connect" not in found, found
    # The other one takes over.
    t.file(conf, "socks5 = 127.0.0.1:9\nhttp-proxy = 127.0.0.1:3128\n")
    found = findings(t, status=1)
    one(found, "proxy", "warn", "127.0.0.1:9")
    one(found, "proxy", "ok", "http 127.0.0.1:3128")
    one(found, "connect", "ok")
    # What was just corrected counts at once.
    t.file(conf, "")
    one(findings(t, status=0), "proxy", "ok", "socks5 127.0.0.1:1080")
    one(findings(t, status=1, env={"ALL_PROXY": "socks5://localhost:9"}), "environment", "warn", "where nothing listens: programs that use it cannot connect",
        "unset it, or start a proxy there")


@test("doctor takes a node, a node and a port, an IPv6 address with one; anything else is one line")
def nodes(t):
    t.tailnet()
    t.page(3000, host="::1")
    t.page(3000)
    for text in f"{NAME1}:3000", f"{NODE1}:3000", f"[{NODE1_V6}]:3000":
        one(findings(t, text, status=0), "connect", "ok", "port 3000")
    for text in NAME1, NODE1_V6, f"[{NODE1_V6}]":
        one(findings(t, text, status=0), "connect", "ok", "port 22")
    for text in "", ":22", f"{NAME1}:", f"{NAME1}:0", f"{NAME1}:65536", f"{NAME1}:ssh", "[::1", "[::1]x", "a:b:c", "x" * 300:
        done = t.launcher("doctor", text).bad("is not NODE", status=2)
        assert done.err.count("\n") == 1 and not done.out, done
    t.launcher("--status", "-", "doctor", stdin="{}").bad("but is needed twice", status=2)


# Refuses one system call of the programs below with EPERM, as a container's seccomp profile does (seccomp(2), classic BPF).
REFUSE = """
import ctypes, os, struct, sys
number, words = int(sys.argv[1]), sys.argv[2:]
filter_ = struct.pack("HBBIHBBIHBBIHBBI", 0x20, 0, 0, 0, 0x15, 0, 1, number, 0x06, 0, 0, 0x50001, 0x06, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(filter_)
program = struct.pack("HxxxxxxQ", 4, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0
os.execv(words[0], words)
"""


@test("doctor: what a supervisor of static programs would miss, and who confines programs")
def machine(t):
    t.tailnet()
    seccomp, getfd = {"x86_64": (317, 438), "aarch64": (277, 438)}[os.uname().machine]
    fork = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    for number, level, *parts in ((None, "ok", "this machine would allow a supervisor for static programs"), (seccomp, "note", "user notification is not available", "use Linux 5.0 or newer, and a container that allows seccomp"),
                                  (getfd, "note", "pidfd_getfd does not", "use Linux 5.6 or newer, or --cap-add SYS_PTRACE"),
                                  (fork, "note", "no process could be started to test seccomp")):
        refuse = [sys.executable, "-c", REFUSE, number] if number else []
        done = t.run([*refuse, t.build("tsproxy"), "doctor", "--json"])
        found = [c for c in json.loads(done.good())["checks"] if c["check"] == "supervisor"]
        assert len(found) == 1 and found[0]["level"] == level, done
        assert all(part in found[0]["text"] + (found[0]["fix"] or "") for part in parts), done
    t.run(["mount", "-t", "tmpfs", "none", "/sys/fs"]).good()
    os.mkdir("/sys/fs/selinux")
    for enforce in "0", "1":
        with open("/sys/fs/selinux/enforce", "w") as f:
            f.write(enforce)
        found = findings(t, status=0)
        assert ("selinux" in found) == (enforce == "1"), found
    one(found, "selinux", "note", "SELinux enforces its policy", "run restorecon on it, and look for denials with ausearch -m avc", "libtsproxy.so")


@test("doctor: other preloaded libraries are told, rivals as a conflict; its own switch, and that tsproxy does nothing here")
def others(t):
    t.need("gcc")
    t.tailnet()
    source = t.file("other.c", "int other;\n")
    for name, check, level in (("libother.so", "preload", "note"), ("libproxychains.so.4", "conflict", "warn"),
                               ("libtorsocks.so", "conflict", "warn"), ("libtsocks.so", "conflict", "warn")):
        t.run(["gcc", "-shared", "-fPIC", "-o", name, source]).good()
        found = findings(t, status=level == "warn", env={"LD_PRELOAD": f"{t.dir}/{name}"})
        one(found, check, level, name, "is preloaded as well, and stays" if level == "note" else
            "is preloaded as well: connections could go through two proxies", *(["remove it from LD_PRELOAD"] if level == "warn" else []))
        one(found, "connect", "ok")
    one(findings(t, status=1, env={"TSPROXY_DISABLE": "1"}), "environment", "warn", "TSPROXY_DISABLE is set: tsproxy is switched off")
    one(findings(t, status=1, env={"LD_PRELOAD": f"{t.dir}/libproxychains.so.4", "PROXYCHAINS_CONF_FILE": "x"}), "conflict", "warn",
        "this shell runs under proxychains", "exit from it; tsproxy replaces it")


@test("doctor: a proxy of both kinds, one with a password, one that is slow, the one that is the fallback")
def kinds(t):
    t.sim("--proxy", "1055", api=API)
    t.sim("--socks5", "1080", "--user", "me", "--pass", "word")
    t.run(["ip", "addr", "add", "10.77.0.1/32", "dev", "lo"]).good()
    t.listen(1055, lambda connection: connection.recv(1) and connection.recv(1000), host="10.77.0.1")
    found = findings(t, status=0)
    one(found, "port", "ok", "127.0.0.1:1055 is a SOCKS5 proxy (TCP and UDP) and an HTTP proxy")
    one(found, "port", "note", "127.0.0.1:1080 is a proxy that requires a user and a password", "use --socks5 USER:PASSWORD@127.0.0.1:1080")
    found = findings(t, "--socks5", "me:word@127.0.0.1:1080", "--http-proxy", "127.0.0.1:1055", status=0)
    one(found, "proxy", "ok", "connections go through socks5 127.0.0.1:1080, with user and password")
    one(found, "proxy", "ok", "http 127.0.0.1:1055 is the fallback")
    found = findings(t, "--socks5", "10.77.0.1:1055", status=3)
    one(found, "proxy", "ok", "10.77.0.1:1055, which answers slowly")
    one(found, "connect", "fail", "a program's connection to ", "no result in time", "run it with TSPROXY_LOG=debug to see what the library does")
    one(findings(t, "--socks5", "me:wrong@127.0.0.1:1080", status=3), "proxy", "warn", "refuses the user and password")


@test("doctor: a library that the loader refuses, and no directory for a map")
def no_library(t):
    t.tailnet()
    os.mkdir(f"{t.dir}/parts")
    for name in "tsproxy", "tsproxy-doctor", "tsproxy-sync":
        shutil.copy(t.build(name), f"{t.dir}/parts/{name}")
    t.file("parts/libtsproxy.so", "no library")
    table = t.file("table", "100.64.0.1  me  me@  linux  -\n")
    assert f"status read from {table}, in table form" in t.launcher("--status", table, "doctor").out
    t.run([f"{t.dir}/parts/tsproxy", "doctor"]).bad("parts/libtsproxy.so cannot be loaded into programs", "run LD_PRELOAD=",
                                                           " true to see the loader's message", status=3)
    t.run(t.unprivileged([t.build("tsproxy-doctor")]), env={"HOME": None, "XDG_RUNTIME_DIR": None, "XDG_CACHE_HOME": None}).bad(
        "there is no directory for the map", "set XDG_RUNTIME_DIR or HOME", status=3)


@test("doctor: a name that /etc/hosts has too, name servers that cannot be asked, a state that nobody knows, nobody online, a map that cannot be")
def oddities(t):
    sim = t.tailnet("--dns-route", "doh.example=https://dns.example/query")
    t.run(["mount", "--bind", t.file("hosts", f"127.0.0.1 localhost {NAME1}\n"), "/etc/hosts"]).good()
    found = findings(t, NAME1, status=1)
    one(found, "name", "warn", f"programs resolve {NAME1} to 127.0.0.1, but its tailnet address is ", "look for it in /etc/hosts, which comes first")
    one(found, "dns", "warn", "doh.example: its name servers support only DNS over HTTPS, so its names are not resolved", "use one that supports DNS: --dns-route doh.example=ADDRESS")
    assert "\n\nIt works, with a warning (" in t.launcher("doctor", NAME1).out
    one(findings(t, "--map", "/proc/none/map", status=3), "map", "fail", "/proc/none/map could not be made: ")
    t.run(["umount", "/etc/hosts"]).good()
    t.launcher("sync", "--map", "/proc/none/map").bad("cannot store the map at /proc/none/map: ", status=1)
    t.launcher("sync", "--watch", "--map", "/proc/none/map").bad("cannot watch /proc/none/map: ", status=1)
    t.launcher("sync", "--print", "--map", "/proc/none/map").bad("there is no map to print", status=1)
    sim.process.terminate()
    sim.process.wait()
    for options, check, level, says in ((["--state", ""], "login", "fail", ["the daemon is in an unknown state"]),
                                        (["--node", "me,100.64.0.9,self"], "connect", "note",
                                         ["no other node is online, so no connection was tested", "run tsproxy doctor NODE:PORT to test one"])):
        sim = t.tailnet(*options)
        one(findings(t, status=3 if level == "fail" else 0), check, level, *says)
        sim.process.terminate()
        sim.process.wait()

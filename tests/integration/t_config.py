# SPDX-License-Identifier: MIT
"""tsproxy config and explain: what is in force and why, what would be done and why."""
import json
import os

from harness import FQDN1, NAME1, NODE1, SUFFIX, test, until


def conf(t, text):
    return t.file("home/.config/tsproxy/tsproxy.conf", text)


def settings(t, *words, env=None):
    done = t.launcher(*words, "config", "--json", env=env)
    found = {}
    for s in json.loads(done.good()):
        found.setdefault(s["key"], []).append((s["value"], s["origin"]))
    return found, done.err


@test("config names the origin of each setting: options and variables over the profile over the file over defaults")
def origins(t):
    path = conf(t, "# a comment\nsocks5 = me:secret@127.0.0.1:1080\nroute = 10.0.0.0/8\nexit-node = yes\n"
                   "short-names = no\n\n[profile work]\nroute = 10.1.0.0/16\nsocks5 = 127.0.0.1:1081\n")
    found, err = settings(t)
    assert not err, err
    assert found["socks5"] == [("me:***@127.0.0.1:1080", f"{path}:2")], found
    assert found["exit-node"] == [("yes", f"{path}:4")] and found["short-names"] == [("no", f"{path}:5")], found
    assert found["status"] == [("from the daemon", "default")], found
    assert found["profile"] == [("default", "default")] and found["exclude"] == [("none", "default")], found
    found, _ = settings(t, "-p", "work", "--route", "192.0.2.0/24", "--http-proxy", "u:p@127.0.0.1:3128")
    assert found["socks5"] == [("127.0.0.1:1081", f"{path}:9")], found
    assert found["route"] == [("192.0.2.0/24", "option or TSPROXY_ROUTE"), ("10.1.0.0/16", f"{path}:8"),
                              ("10.0.0.0/8", f"{path}:3")], found
    assert found["http-proxy"] == [("u:***@127.0.0.1:3128", "option or TSPROXY_HTTP_PROXY")], found
    found, _ = settings(t, env={"TSPROXY_SOCKS5": "127.0.0.1:9"})
    assert found["socks5"] == [("127.0.0.1:9", "option or TSPROXY_SOCKS5")], found
    text = t.launcher("config").good()
    assert "secret" not in text and f"{path}:2" in text, text


@test("config tells what a file has wrong, with its line, and what is left of it counts")
def wrong_lines(t):
    path = conf(t, "nonsense = 1\nroute = 10.0.0.0/8, x\nlog = debug\nexit-node = perhaps\njust words\n[profil x]\nroute = 1.1.1.1\n")
    found, err = settings(t)
    for line, word in (1, "nonsense"), (2, 'route: invalid value "10.0.0.0/8, x"'), (3, "log can be set only by an option or a variable; ignored"), (4, "exit-node"), (5, "key = value"), (7, "profil x"):
        assert any(f"{path}:{line}:" in text and word in text for text in err.splitlines()), (line, err)
    assert err.count("\n") == 6, err
    assert found["exit-node"] == [("no", "default")] and found["route"] == [("10.0.0.0/8, x", f"{path}:2")], found
    t.launcher("config", "x").bad("config takes no arguments; see --help", status=2)
    t.launcher("config", env={"TSPROXY_DNS_ROUTE": "", "TSPROXY_ROUTE": "x"}).bad(status=2)


@test("explain says what would be done: the file, the verdict, the map, the proxy, the words that are the tailnet's")
def explain(t):
    t.tailnet()
    done = t.launcher("explain", "--", "curl", "-sS", f"http://{NAME1}:3000/x", f"me@{NODE1}:dir", "example.org",
                      f"--to=nobody.{SUFFIX}", "--version")
    out = done.good()
    for text in ("/curl\n", "is supported", "libtsproxy.so", "default.map", "socks5 127.0.0.1:1080", f"target   {NAME1} ",
                 FQDN1, f"target   {NODE1}", "no such name"):
        assert text in out, done
    assert "example.org" not in out and not done.err, done
    told = json.loads(t.launcher("--dry-run", "--json", "--", "curl", f"[{NODE1}]").good())
    assert told["supported"] and told["targets"][0]["target"] == NODE1, told
    t.launcher("explain", "ls").good("no argument is a name")
    t.launcher("explain", "ls", env={"TSPROXY_DISABLE": "1"}).good("not loaded: TSPROXY_DISABLE is set")
    assert "TSPROXY_DISABLE" not in t.launcher("explain", "ls", env={"LD_PRELOAD": t.build("libtsproxy.so")}).good()


@test("explain ends as the launcher would: 126 for what is not supported, 127 for what is not there, 2 for wrong words")
def explain_errors(t):
    t.need("gcc")
    t.tailnet()
    t.run(["gcc", "-static", "-o", "static", t.file("static.c", "int main(void) { return 0; }\n")]).good()
    done = t.launcher("explain", "--", "./static").bad("static program", "does not start it", "not loaded: not run", status=126)
    assert not done.err, done
    done = t.launcher("--dry-run", "no-such-program").bad("not found", status=127)
    assert done.err.count("\n") == 1, done
    for words, why in ((["explain"], "explain: no command given; see --help"), (["explain", "--"], "no command given"),
                       (["explain", "--nonsense"], ""), (["explain", "a", "--", "b"], "the command must be after --")):
        done = t.launcher(*words).bad(why, status=2)
        assert done.err.startswith("tsproxy: ") and done.err.count("\n") == 1, done


@test("config: lines that are nothing are told in their order; comments behind a value, CRLF, a byte order mark, several lines")
def odd_lines(t):
    path = conf(t, "\ufeffsocks5 = 127.0.0.1:1080\r\n# c\r\nroute = 10.0.0.0/8 # ours\nexclude =\n  10.1.0.0/16 ; not\n  10.2.0.0/16\n"
                   "words\n= 5\n[open\nstatus\nsocket: /run/a b.sock\n" + "x" * 300 + " = 1\nhttp-proxy = bogus\n"
                   "http-proxy = me@127.0.0.1\n\n[profile work]\nsocks5 = 127.0.0.1:99999\n")
    found, err = settings(t)
    assert found["socks5"] == [("127.0.0.1:1080", f"{path}:1")] and found["route"] == [("10.0.0.0/8", f"{path}:3")], found
    assert found["exclude"] == [("10.1.0.0/16", f"{path}:5"), ("10.2.0.0/16", f"{path}:6")], found
    assert found["socket"] == [("/run/a b.sock", f"{path}:11")] and found["http-proxy"] == [("automatic", "default")], found
    told = [line.removeprefix(f"tsproxy: warning: {path}:").split(":")[0] for line in err.splitlines()]
    assert told == ["7", "8", "9", "10", "12", "13", "14", "17"], err


@test("config: a file that is none is told and passed over: a folder, a FIFO, a device, one without end, one that may not be read")
def no_file(t):
    path = conf(t, "")
    t.tailnet()

    def told(word):
        done = t.launcher("config")
        assert done.good() and word in done.err and done.err.count("\n") == 1 and f"{path}: " in done.err, done
        assert done.seconds < 5, done
        done = t.tsproxy("echo", "ran", env={"TSPROXY_PLACE": f"{t.dir}/tsproxy"})
        assert done.good() == "ran\n" and word in done.err, done
        os.unlink(f"{t.dir}/tsproxy/default.map")
    os.unlink(path)
    os.mkdir(path)
    told("directory")
    os.rmdir(path)
    os.mkfifo(path)
    told("not a regular file")
    os.unlink(path)
    os.symlink("/dev/zero", path)
    told("not a regular file")
    os.unlink(path)
    with open(path, "w") as f:
        f.truncate(1 << 30)
    told("too large")
    os.unlink(path)
    os.symlink(path, path)
    told("symbolic links")
    os.unlink(path)
    # As good as none.
    os.symlink("/dev/null", path)
    assert not t.launcher("config").err


@test("config: what the file says counts from the next command on, however young the map is; a watch does not stand in the way")
def at_once(t):
    t.tailnet()
    t.page(3000)
    t.launcher("sync").good()
    for watched in False, True:
        if watched:
            watch = t.spawn([t.build("tsproxy"), "sync", "--watch"], lambda: True)
        conf(t, f"exclude = {NODE1}\n")
        t.tsproxy("curl", "-sS", "-m", "5", f"http://{NODE1}:3000/").bad(status=7)
        assert "excluded" in t.launcher("resolve", NODE1).bad(status=1).out
        conf(t, "socks5 = 127.0.0.1:9\n")
        assert "socks5 127.0.0.1:9" in t.launcher("status").good()
        conf(t, "")
        assert t.tsproxy("curl", "-sS", f"http://{NODE1}:3000/").good() == "a page\n"
        # Programs that run, or start without the launcher, have it soon.
        conf(t, f"exclude = {NODE1}\n")
        until(lambda: t.preload("curl", "-sS", "-m", "5", f"http://{NODE1}:3000/").status == 7, "map without the node", 20)
        conf(t, "")
        assert watched is False or watch.poll() is None


@test("explain and the launcher follow a script to what runs it, and say so where that is not there")
def scripts(t):
    t.need("bash")
    t.tailnet()
    for text, runs in (("#!/usr/bin/env bash\n", "bash"), ("#! /usr/bin/env -S bash -e\n", "bash"), ("#!/bin/bash", "/bin/bash"),
                       ("true\n", "/bin/sh"), ("", "/bin/sh"), ("#!\n", "/bin/sh"), ("#!" + "x" * 300, "/bin/sh")):
        file = t.file("script", text, 0o755)
        told = json.loads(t.launcher("explain", "--json", file).good())
        assert told["program"] == file and told["runs"].endswith(runs) and told["supported"], (text, told)
        t.tsproxy(file).good()
    t.file("one", f"#!{t.dir}/two\n", 0o755)
    t.file("two", f"#!{t.dir}/one\n", 0o755)
    for file, word in ((t.file("crlf", "#!/bin/sh\r\ntrue\r\n", 0o755), "/bin/sh?"), (t.file("gone", "#!/no/such\n", 0o755), "/no/such"),
                       (f"{t.dir}/one", t.dir)):
        told = t.launcher("explain", file).bad(word, "not run", status=126)
        assert f"program  {file}, run by " in told.out, told
        done = t.tsproxy(file).bad(word, status=126)
        assert done.err.count("\n") == 1, done


@test("explain: a file whose name would drive the terminal is shown tame, as text and as JSON; so is what the launcher says")
def hostile_name(t):
    t.tailnet()
    name = b"tr\033[31mue\xff"
    os.symlink("/bin/true", os.path.join(os.fsencode(t.dir), name))
    name = os.fsdecode(name)
    assert "program  ./tr?[31mue?" in t.run([t.build("tsproxy"), "explain", f"./{name}"]).good()
    assert json.loads(t.run([t.build("tsproxy"), "explain", "--json", f"./{name}"]).good())["program"] == "./tr?[31mue?"
    assert "\033" not in t.run([t.build("tsproxy"), "--", f"./{name}no"]).bad("not found", status=127).err


@test("explain: without a map, with a daemon that is stopped, with one that has no proxy")
def explain_without(t):
    t.launcher("explain", "ls").good("No tailnet data available; tailnet addresses fail, other connections go directly")
    for options, says in (["--socks5", "1080", "--state", "Stopped"], "none: the daemon is stopped"), (["--socks5", "0"], "none: no proxy was found"):
        sim = t.sim(*options, api="/run/tailscale/tailscaled.sock")
        t.launcher("explain", "ls").good(says)
        sim.process.terminate()
        sim.process.wait()

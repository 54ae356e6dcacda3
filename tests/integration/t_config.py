# SPDX-License-Identifier: MIT
"""tsproxy config and explain: what is in force and why, what would be done and why."""
import json

from harness import FQDN1, NAME1, NODE1, SUFFIX, test


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
    for line, word in (1, "nonsense"), (2, "route"), (3, "log"), (4, "exit-node"), (5, "key = value"), (7, "profil x"):
        assert any(f"{path}:{line}:" in text and word in text for text in err.splitlines()), (line, err)
    assert err.count("\n") == 6, err
    assert found["exit-node"] == [("no", "default")] and found["route"] == [("10.0.0.0/8, x", f"{path}:2")], found
    t.launcher("config", "x").bad("no arguments", status=2)
    t.launcher("config", env={"TSPROXY_DNS_ROUTE": "", "TSPROXY_ROUTE": "x"}).bad(status=2)


@test("explain says what would be done: the file, the verdict, the map, the carrier, the words that are the tailnet's")
def explain(t):
    t.tailnet()
    done = t.launcher("explain", "--", "curl", "-sS", f"http://{NAME1}:3000/x", f"me@{NODE1}:dir", "example.org",
                      f"--to=nobody.{SUFFIX}", "--version")
    out = done.good()
    for text in ("/curl\n", "can be served", "libtsproxy.so", "default.map", "socks5 127.0.0.1:1080", f"target   {NAME1} ",
                 FQDN1, f"target   {NODE1}", "no such name"):
        assert text in out, done
    assert "example.org" not in out and not done.err, done
    told = json.loads(t.launcher("--dry-run", "--json", "--", "curl", f"[{NODE1}]").good())
    assert told["served"] and told["targets"][0]["target"] == NODE1, told
    t.launcher("explain", "ls").good("none of its words")


@test("explain ends as the launcher would: 126 for what cannot be served, 127 for what is not there, 2 for wrong words")
def explain_errors(t):
    t.need("gcc")
    t.tailnet()
    t.run(["gcc", "-static", "-o", "static", t.file("static.c", "int main(void) { return 0; }\n")]).good()
    done = t.launcher("explain", "--", "./static").bad("static program", "does not start it", "not run", status=126)
    assert not done.err, done
    done = t.launcher("--dry-run", "no-such-program").bad("not found", status=127)
    assert done.err.count("\n") == 1, done
    for words in (["explain"], ["explain", "--"], ["explain", "--nonsense"], ["explain", "a", "--", "b"]):
        done = t.launcher(*words).bad(status=2)
        assert done.err.startswith("tsproxy: ") and done.err.count("\n") == 1, done

# SPDX-License-Identifier: MIT
"""What sub-commands print, wherever it goes: names of any kind, narrow terminals, pipes and files that take nothing."""
import json
import os
import unicodedata

from harness import BUILD, NAME1, NODE1, test

COMMANDS = ("status", "resolve", "doctor", "env", "sync", "explain", "trace", "config", "up", "down")
PRINTING = (["status"], ["status", "--json"], ["resolve", NAME1], ["resolve", "--json", NAME1], ["doctor"], ["doctor", "--json"],
            ["env", "--shell", "sh"], ["sync", "--print"], ["explain", "ls"], ["explain", "--json", "ls"], ["config"],
            ["config", "--json"], ["version"], ["help"], ["--help"], *([name, "--help"] for name in COMMANDS),
            *([name, "--version"] for name in COMMANDS if name != "trace"))


def node(number, host, os_name="linux", **more):
    return {"HostName": host, "DNSName": "", "TailscaleIPs": [f"100.64.0.{number}"], "OS": os_name, "Online": True, **more}


def status_file(t, peers):
    return t.file("status.json", json.dumps({
        "Version": "1.102.5", "BackendState": "Running", "TUN": False, "MagicDNSSuffix": "t.ts.net",
        "Self": node(1, "me", DNSName="me.t.ts.net."), "Peer": {str(i): p for i, p in enumerate(peers)}}))


def columns(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


@test("status: names that would drive the terminal, hide or turn round are shown tame, by every sub-command")
def hostile(t):
    t.sim("--socks5", "1080")
    names = ("\033]0;title\007", "a\nb\rc\td", "\u202egnp.exe", "zero\u200bwidth\ufeff", "c1\u009b31m", "del\x7f", "\u2066iso\u2069",
             "tag\U000e0041")
    peers = [node(10 + i, name, os_name=name) for i, name in enumerate(names)]
    peers.append(node(40, "raw", DNSName="\033[31mred.t.ts.net.", PrimaryRoutes=["10.0.0.0/8"]))
    file = status_file(t, peers)
    bad = set("\033\007\r\x7f\u009b\u202e\u200b\ufeff\u2066\u2069\U000e0041")
    for words in ["status"], ["sync", "--print"], ["doctor"], ["resolve", "100.64.0.10", "10.1.1.1"], ["complete", "resolve", ""]:
        done = t.launcher("--status", file, *words)
        assert done.status < 2 and not bad & set(done.out + done.err), (words, done)
        _, out = t.on_terminal([t.build("tsproxy"), "--status", file, *words], {"NO_COLOR": "1"})
        assert not bad & set(out), (words, out)
    assert len(json.loads(t.launcher("--status", file, "status", "--json").good())["nodes"]) == len(peers) + 1


@test("status: columns stay in line with wide letters, accents and emoji, in any locale, on any terminal; with hundreds of nodes")
def aligned(t):
    t.sim("--socks5", "1080")
    names = ["plain", "日本語の名前", "e\u0301te\u0301", "\U0001f600\U0001f600", "한국어", "naïve", "x" * 63]
    file = status_file(t, [node(10 + i, name) for i, name in enumerate(names)] +
                       [node(100 + i % 100, f"n{i}") for i in range(500)])
    for env in {}, {"LC_ALL": "C"}, {"LC_ALL": "nowhere.UTF-8"}, {"LC_ALL": None, "LANG": None}, {"TERM": None}, {"COLUMNS": "20"}:
        lines = t.launcher("--status", file, "status", env=env).good().splitlines()
        rows = [line for line in lines if not line.startswith("#")]
        assert len(rows) == len(names) + 502, len(rows)
        at = columns(rows[0][:rows[0].index("OS")])
        for row in rows[1:]:
            before = row[:row.rindex("linux")]
            assert columns(before) == at, (env, row)
    status, out = t.on_terminal([t.build("tsproxy"), "--status", file, "status"], {"NO_COLOR": "1"}, size=(24, 30))
    assert status == 0 and sorted(out.splitlines()[:-1]) == sorted(lines[:-1]), out


@test("every sub-command that prints says when its output is full or closed, with status 1; a pipe that ends early ends it")
def output(t):
    t.tailnet()
    for words in PRINTING:
        quoted = " ".join(words)
        for how, why in (">/dev/full", "standard output: No space"), (">&-", "Bad file descriptor"):
            done = t.run(["sh", "-c", f"exec '{t.build('tsproxy')}' {quoted} {how}"])
            assert done.status == 1 and why in done.err and done.err.count("\n") == 1, (words, how, done)
        # Closed altogether: what is opened meanwhile is nobody's output.
        t.run(["sh", "-c", f"exec '{t.build('tsproxy')}' {quoted} <&- >&- 2>&-"]).bad(status=1)
        assert t.launcher("status").good(), words
        done = t.run(["bash", "-c", f"'{t.build('tsproxy')}' {quoted} | :; exit ${{PIPESTATUS[0]}}"])
        assert done.status in (0, 128 + 13) and not done.err, (words, done)
    # The launcher itself fills no gap that the command would find.
    found = [t.run(["sh", "-c", f"{way} sh -c 'ls /proc/self/fd >&9' 9>fds <&- >&- 2>&-; cat fds"]).good()
             for way in ("", f"'{t.build('tsproxy')}' --", f"'{t.build('tsproxy')}' trace --")]
    assert found[0] == found[1] == found[2], found


@test("help: every sub-command's summary fits a terminal of 80 by 24; its manual page is shown where there is one, and a reader")
def help_pages(t):
    t.file("bin/man", "#!/bin/sh\ncat \"$1\"\n", 0o755)
    for words in [["--help"], ["complete", "--help"], *([name, "--help"] for name in COMMANDS)]:
        lines = t.launcher(*words).good().splitlines()
        assert words[0] == "complete" or (len(lines) < 24 and max(map(len, lines)) < 80), (words, len(lines), max(map(len, lines)))
    root = os.path.dirname(BUILD)
    for name in COMMANDS:
        assert f".Dt TSPROXY-{name.upper()} 1\n" in t.launcher("help", name, env={"PATH": f"{t.dir}/bin:/usr/bin:/bin"}).good()
        with open(f"{root}/man/tsproxy-{name}.1", encoding="utf-8") as f:
            page = f.read().replace("Fl -", "--").replace(", -", ", --")
        # What the summary names, the page or tsproxy(1) explains.
        with open(f"{root}/man/tsproxy.1", encoding="utf-8") as f:
            page += f.read().replace("Fl -", "--").replace(", -", ", --")
        for word in t.launcher(name, "--help").good().replace("[", " ").replace("]", " ").replace("|", " ").replace(",", " ").split():
            if word.startswith("--") and word not in ("--", "--help", "--version"):
                assert word.rstrip(";") in page, (name, word)
        done = t.launcher("help", name, env={"PATH": "/nonexistent"})
        assert done.good().startswith(f"usage: tsproxy {name}") and not done.err, done
    for name in "run", "help", "version":
        t.launcher("help", name).good("Usage: tsproxy")
    t.launcher("help", "nonsense").bad("no sub-command nonsense", status=2)
    t.launcher("help", "stat").bad("did you mean status?", status=2)


@test("a word that is neither sub-command nor program is not found, with a hint; a program of that name is one behind --")
def mistyped(t):
    done = t.launcher("stauts").bad("command not found", "did you mean the sub-command status?", status=127)
    assert done.err.count("\n") == 1, done
    t.launcher("help", "stauts").bad("help: there is no sub-command stauts; did you mean status?", status=2)
    assert "did you mean" not in t.launcher("--", "stauts").bad("command not found", status=127).err
    for word, meant in ("dcotor", "doctor"), ("explian", "explain"), ("u", None), ("xyzzy", None), ("e" * 300, None):
        err = t.launcher(word).bad("command not found", status=127).err
        assert ("did you mean the sub-command " + str(meant) in err) == bool(meant), (word, err)
    assert NODE1 in t.launcher("--status", t.status_file(), "resolve", NODE1).out
    t.launcher("--status", t.status_file(), "resolve", NODE1, "").bad("not a name", status=2)

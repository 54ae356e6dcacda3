# SPDX-License-Identifier: MIT
"""Where nothing can be carried that is said in one line at once, and --require does not run the command."""
import glob
import shutil

from harness import API, test
from maps import FOLDER, MAP, age


def said(done, *texts, status=0):
    lines = [line for line in done.err.splitlines() if line.startswith("tsproxy:")]
    assert done.status == status and len(lines) == 1 and all(text in lines[0] for text in texts), done


@test("no daemon: one line at once, each time, whatever programs there are; --require ends with 126 instead of the command")
def nothing(t):
    t.file("bin/tailscale", "#!/bin/sh\nsleep 9\n", 0o755)
    t.env["PATH"] = f"{t.dir}/bin:{t.env['PATH']}"
    for _ in 1, 2:
        done = t.tsproxy("echo", "ran")
        said(done, "start one with tsproxy up")
        assert done.out == "ran\n" and done.seconds < 1, done
    for options, env in (["--require"], {}), ([], {"TSPROXY_REQUIRE": "1"}):
        done = t.launcher(*options, "--", "echo", "ran", env=env).bad("the tailnet cannot be reached", status=126)
        assert not done.out, done
    said(t.launcher("--", "true", env={"TSPROXY_REQUIRE": "0"}), "start one with tsproxy up")
    for words, status in (["status"], 1), (["down"], 0), (["doctor"], 3), (["up"], 1):
        done = t.launcher(*words, env={"PATH": f"{t.dir}/bin:/usr/bin:/bin"})
        assert done.status == status and done.seconds < 1, done


@test("a proxy that went away, or a daemon without one: said each time, not only while the map is made")
def gone(t):
    sim = t.sim("--socks5", "1080", api=API)
    done = t.tsproxy("true", options=["--require", "-v"])
    said(done, "connections to the tailnet go through socks5 127.0.0.1:1080")
    assert not t.tsproxy("true", options=["--require"]).err
    sim.process.terminate()
    sim.process.wait()
    for _ in 1, 2:
        age(MAP, 20)
        said(t.tsproxy("true"), "start one with tsproxy up")
    t.tsproxy("true", options=["--require"]).bad("the tailnet cannot be reached: no proxy listens at 127.0.0.1:1080; start tailscaled with tsproxy up", status=126)
    shutil.rmtree(FOLDER)
    t.sim("--socks5", "0", api=API)
    for _ in 1, 2:
        age(MAP, 1) if _ == 2 else None
        said(t.tsproxy("true"), "no SOCKS5 port found")
    t.tsproxy("true", options=["--require"]).bad("tailscaled has no proxy", status=126)


@test("a daemon that is stopped: --require says so and does not run; where the kernel routes it runs")
def states(t):
    for options, text, status in ((["--state", "Stopped"], "the tailnet cannot be reached: tailscaled is stopped or logged out; run tsproxy up", 126), (["--tun"], "the kernel routes the tailnet (TUN): connections need no proxy", 0)):
        sim = t.tailnet(*options)
        done = t.tsproxy("true", options=["--require", "-v"])
        assert done.status == status and text in done.err, done
        sim.process.terminate()
        sim.process.wait()
        shutil.rmtree(FOLDER)


@test("status is of now: a daemon that went away, is stopped or logged out is said in the first line, and by status 1; nodes are sorted")
def status(t):
    for options, text in ([], ""), (["--state", "Stopped"], "is stopped"), \
            (["--state", "NeedsLogin"], "# Not connected: tailscaled is logged out or waiting for approval. To connect: tsproxy up"):
        sim = t.tailnet(*options, "--node", "zulu,100.64.0.7", "--node", "alpha,100.64.0.8")
        done = t.launcher("status")
        first = done.out.splitlines()[0]
        assert done.status == (1 if text else 0) and text in first and ("ADDRESS" in first) == (not text), done
        assert t.launcher("status", "--json").status == done.status
        names = [line.split()[1] for line in done.out.splitlines() if line.startswith("100.")]
        assert names[1:] == sorted(names[1:]), names
        sim.process.terminate()
        sim.process.wait()
        done = t.launcher("status")
        assert done.status == 1 and "does not answer" in done.out.splitlines()[0], done
        assert all(name in done.out for name in names), done


@test("a proxy on another host that takes no connections, or whose name does not resolve, is told as one on this machine is")
def elsewhere(t):
    t.sim("--socks5", "0", api=API)
    t.listen(1056, lambda connection: None)
    for named, text in (("127.0.0.1:1055", "no proxy listens at 127.0.0.1:1055: start"), ("192.0.2.1:1055", "no proxy listens at 192.0.2.1:1055: start"),
                        ("127.0.0.1:1056", "the proxy at 127.0.0.1:1056 did not answer"), ("sidecar.invalid:1055", "does not resolve")):
        for options, env in (["--socks5", named], {}), ([], {"TSPROXY_SOCKS5": named}):
            # Whether there is no map yet, one that was made just now, or an old one.
            shutil.rmtree(FOLDER, ignore_errors=True)
            for seconds in 0, 1, 20:
                for path in glob.glob(f"{FOLDER}/*.map"):
                    age(path, seconds)
                said(t.tsproxy("true", options=options, env=env), text)
        done = t.tsproxy("true", options=["--require", "--socks5", named])
        why = {"127.0.0.1:1055": "the tailnet cannot be reached: no proxy listens at 127.0.0.1:1055; start tailscaled with tsproxy up",
               "sidecar.invalid:1055": "the tailnet cannot be reached: no tailscaled was found; start one with tsproxy up"}.get(
                   named, f"the tailnet cannot be reached: the proxy at {named} does not work; run tsproxy doctor")
        assert done.status == 126 and done.err.endswith(f"tsproxy: {why}\n"), done
    for seconds in 0, 1, 20:
        for path in glob.glob(f"{FOLDER}/*.map"):
            age(path, seconds)
        said(t.tsproxy("true", env={"ALL_PROXY": "socks5://192.0.2.1:1055"}), "no proxy listens at 192.0.2.1:1055: start it, or correct ALL_PROXY")
    # One that comes is used at once.
    options = ["--socks5", "127.0.0.1:1055"]
    said(t.tsproxy("true", options=options), "no proxy listens at 127.0.0.1:1055")
    t.sim("--socks5", "1055")
    for path in glob.glob(f"{FOLDER}/*.map"):
        age(path, 1)
    assert not t.tsproxy("true", options=options).err


@test("doctor ends with a verdict and one next step, tells a cause once, and does not wait for what is not the tailnet's")
def verdict(t):
    done = t.launcher("doctor")
    assert done.status == 3 and done.out.count("no tailscaled found") == 1, done
    assert "\n\nSomething does not work (daemon).\nNext: " in done.out, done
    t.tailnet()
    assert "\n\nIt works" in t.launcher("doctor").out or "\n\nNo problems found." in t.launcher("doctor").out
    done = t.launcher("doctor", "192.0.2.7:80")
    assert "192.0.2.7 is not in the tailnet" in done.out and "run tsproxy resolve 192.0.2.7 to see why; --route sends it to the tailnet" in done.out and done.seconds < 2, done

# SPDX-License-Identifier: MIT
"""The demonstration: what it shows, how long it takes, and that nothing of it stays."""
import os
import pty
import signal
import subprocess

from harness import BUILD, ROOT, test, until

DEMO = os.path.join(ROOT, "scripts", "demo")


def surroundings(t):
    t.need("curl", "psql", "make", "bash")
    tmp = os.path.join(t.dir, "tmp")
    os.makedirs(tmp)
    os.chmod(tmp, 0o755)
    return tmp, {**t.env, "TMPDIR": tmp, "B": BUILD}


def processes():
    """Command lines of all that runs in this namespace, and below it."""
    lines = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                lines.append(f.read().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            pass
    return lines


def left(tmp):
    servers = ("tsproxy-sim", "postgres", "http.server")
    return os.listdir(tmp) + [line for line in processes() if any(server in line for server in servers)]


@test("shows all it promises in under a minute, without colours in a file, and leaves nothing")
def demo_whole(t):
    tmp, env = surroundings(t)
    done = t.run([DEMO], env=env, timeout=60)
    out = done.good("Could not resolve host: jawnsy-tailscale-1")
    assert out.count("Hello from the other workspace.") == 2 and "says hello" in out and "\033" not in out, out
    assert out.count("✓") == 4 and "✗" not in out
    assert not left(tmp), left(tmp)


@test("ctrl-C at any step ends it with nothing left, and a terminal gets colours")
def demo_interrupted(t):
    tmp, env = surroundings(t)
    for after in (b"A simulated tailnet", b"2. The same", b"3. A real"):
        master, slave = pty.openpty()
        # A session of its own with that terminal: ctrl-C goes to the whole foreground group.
        p = subprocess.Popen(["setsid", "--ctty", "--wait", DEMO], env=env, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        seen = b""
        while after not in seen:
            seen += os.read(master, 4096)
        assert b"\033[1m" in seen
        os.write(master, b"\3")
        try:
            while os.read(master, 4096):
                pass
        except OSError:
            pass
        assert p.wait(10) in (130, -signal.SIGINT), p.returncode
        until(lambda: not left(tmp), f"clean end after {after}: {left(tmp)}")
        os.close(master)


@test("--live without a daemon says so in one line; a wrong option too")
def demo_wrong(t):
    tmp, env = surroundings(t)
    done = t.run([DEMO, "--live"], env=env, timeout=60)
    done.bad("is tailscaled running", status=1)
    assert not left(tmp), left(tmp)
    assert t.run([DEMO, "--what"], env=env).bad(status=2).err.count("\n") == 1


@test("--live with a daemon shows the same on this node itself")
def demo_live(t):
    _, env = surroundings(t)
    t.tailnet()
    done = t.run([DEMO, "--live"], env=env, timeout=60)
    assert done.good("jawnsy-tailscale-2").count("Hello from the other workspace.") == 2, done

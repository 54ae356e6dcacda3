# SPDX-License-Identifier: MIT
"""A status that can be read once: a FIFO, an open descriptor; and one named relative to a folder."""
import os
import threading
import time

from harness import test

MAPS = "/run/tsproxy"


def other(t):
    return t.status_file("--node", "here,100.64.0.1,self", "--node", "elsewhere,100.64.0.9")


@test("--status takes what a shell puts there: <(command), /dev/stdin, a descriptor; programs below use the same map")
def descriptors(t):
    t.need("bash")
    t.tailnet()
    path, run = other(t), t.build("tsproxy")
    look = "getent ahostsv4 elsewhere"
    for words in (f"{run} --status <(cat {path}) -- {look}", f"cat {path} | {run} --status /dev/stdin -- {look}",
                  f"{run} --status /dev/fd/7 -- {look} 7<{path}", f"TSPROXY_STATUS=/proc/self/fd/7 {run} -- {look} 7<{path}",
                  f"{run} --status <(cat {path}) -- sh -c '{run} -- sh -c \"{look}\"'",
                  f"{run} --status <(cat {path}) resolve elsewhere"):
        t.run(["bash", "-c", words]).good("100.64.0.9")
    t.run(["bash", "-c", f"{run} --status /dev/fd/8 -- {look}"]).bad("No such file", status=2)
    t.run(["bash", "-c", f"{run} --status <(echo nonsense) -- {look}"]).bad("status", status=2)


@test("each stream is read: what the last one said does not answer for the next")
def anew(t):
    def resolve(address):
        status = t.run([t.build("tsproxy-sim"), "--status-json", "--node", f"node,{address}"]).good()
        return t.launcher("--status", "-", "resolve", "node", stdin=status)
    resolve("100.64.0.7").good("100.64.0.7")
    resolve("100.64.0.8").good("100.64.0.8")


@test("a FIFO is read when its writer comes, and not waited for without end")
def fifo(t):
    path, source = os.path.join(t.dir, "fifo"), other(t)
    os.mkfifo(path)

    def write():
        with open(source) as f, open(path, "w") as out:
            out.write(f.read())
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    t.tsproxy("getent", "ahostsv4", "elsewhere", options=["--status", path]).good("100.64.0.9")
    writer.join()
    begun = time.monotonic()
    t.tsproxy("true", options=["--status", path]).bad("no status was written", status=2)
    assert 4 < time.monotonic() - begun < 15


@test("TSPROXY_STATUS without a folder before it: the launcher knows which; a library alone has no map")
def relative(t):
    other(t)
    env = {"TSPROXY_STATUS": "status.json"}
    t.tsproxy("sh", "-c", "cd / && getent ahostsv4 elsewhere", env=env).good("100.64.0.9")
    t.run([t.build("tsproxy-resolve"), "elsewhere"], env=env).good("100.64.0.9")
    t.dns()
    before = sorted(os.listdir(MAPS))
    t.preload("getent", "ahostsv4", "elsewhere", env={**env, "TSPROXY_LOG": "warn"}).bad("not an absolute path", status=2)
    t.preload("getent", "ahostsv4", "elsewhere", env={"TSPROXY_STATUS": "/dev/stdin"}).bad(status=2)
    assert sorted(os.listdir(MAPS)) == before

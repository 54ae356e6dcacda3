# SPDX-License-Identifier: MIT
"""Where the map is kept when its own place cannot be had."""
import json
import os
import subprocess

from harness import NAME1, NODE1, SUFFIX, test, whole_user_namespace


def mount(path, *options):
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", *options, "none", path], check=True)


def prepare(t):
    """A tailnet, and memory of this test's own to fall back to."""
    mount("/dev/shm", "-o", "mode=1777")
    t.tailnet()
    t.dns()


def works(t, where, *said, options=(), **env):
    """The name resolves, by a map in `where` that nobody else can write to; then once more, by the same map."""
    inodes = set()
    for _ in range(2):
        done = t.tsproxy("sh", "-c", f"getent ahostsv4 {NAME1}; echo $TSPROXY_PLACE", options=options, env=env)
        done.good(NODE1)
        path = os.path.join(done.out.split()[-1], "default.map")
        assert os.path.dirname(path) == where, done
        assert (os.stat(where).st_mode & 0o777, os.stat(path).st_mode & 0o777) == (0o700, 0o600)
        assert all(word in done.err for word in said) and (said or not done.err), done
        inodes.add(os.stat(path).st_ino)
    assert len(inodes) == 1, "the map was made twice"
    return path


def alone(t, **env):
    """With LD_PRELOAD alone there is nobody to find another place: no map, no tailnet, and no harm."""
    t.preload("getent", "hosts", NAME1, env=env).bad(status=2)
    t.preload("sh", "-c", "echo fine", env=env).good("fine\n")


@test("no home at all: the map is in memory, and there for the programs below")
def no_home(t):
    prepare(t)
    env = {"HOME": None, "XDG_RUNTIME_DIR": None}
    alone(t, **env)
    works(t, "/dev/shm/tsproxy-0", **env)
    # What the launcher tells reaches the programs below it, which refresh the map there.
    t.tsproxy(t.build("tsproxy"), "--", "getent", "ahostsv4", NAME1, env=env).good(NODE1)


@test("a read-only home: the map is in memory")
def read_only_home(t):
    prepare(t)
    home = os.path.join(t.dir, "sealed")
    mount(home, "-o", "ro")
    env = {"HOME": home, "XDG_RUNTIME_DIR": None}
    alone(t, **env)
    works(t, "/dev/shm/tsproxy-0", **env)


@test("a full disk: the map is in memory")
def full_disk(t):
    prepare(t)
    run = os.path.join(t.dir, "full")
    mount(run, "-o", "size=64k,mode=700")
    with open(os.path.join(run, "filler"), "wb", buffering=0) as f:
        try:
            while f.write(bytes(4096)):
                pass
        except OSError:
            pass
    alone(t, XDG_RUNTIME_DIR=run)
    works(t, "/dev/shm/tsproxy-0", XDG_RUNTIME_DIR=run)


@test("the sub-commands look at the map that a program gets")
def sub_commands(t):
    prepare(t)
    env = {"HOME": None, "XDG_RUNTIME_DIR": None}
    path = works(t, "/dev/shm/tsproxy-0", **env)
    inode = os.stat(path).st_ino
    assert json.loads(t.launcher("status", "--json", env=env).good())["map"] == path
    t.launcher("resolve", NAME1, env=env).good(NODE1)
    t.launcher("explain", "true", env=env).good(path)
    assert os.stat(path).st_ino == inode, "the map was made again"
    t.launcher("sync", env=env).good()
    assert os.stat(path).st_ino != inode
    found = {check["check"]: check for check in json.loads(t.launcher("doctor", "--json", env=env).out)["checks"]}
    assert path in found["map"]["text"], found
    words = t.launcher("env", "--shell", "sh", env=env).good()
    t.run(["sh", "-c", f"{words}\ngetent ahostsv4 {NAME1}"], env=env).good(NODE1)
    # Another profile's map lies beside it, wherever its option stands.
    t.launcher("status", "-p", "work", env=env).good(NAME1)
    assert os.path.exists("/dev/shm/tsproxy-0/work.map")


def nested(t, **env):
    """One tailnet inside the other, each program with its own map; then the same profile by its variable."""
    inner = f"{t.build('tsproxy')} -p b -- getent ahostsv4"
    done = t.tsproxy("sh", "-c", f"{inner} in-b; {inner} in-a; getent ahostsv4 in-a; getent ahostsv4 in-b; "
                     f"TSPROXY_PROFILE=b {t.build('tsproxy')} -- getent ahostsv4 in-b", options=["-p", "a"], env=env)
    assert [line.split()[0] for line in done.out.splitlines() if "STREAM" in line] == ["100.64.0.6", "100.64.0.5", "100.64.0.6"], done


@test("tsproxy inside tsproxy, with another profile: each has its own tailnet, in the usual place and in another")
def profiles_nested(t):
    mount("/dev/shm", "-o", "mode=1777")
    t.dns()
    text = ""
    for name, address in ("a", "100.64.0.5"), ("b", "100.64.0.6"):
        sim = t.sim("--socks5", "0", "--node", "me,100.64.0.1,self", "--node", f"in-{name},{address}", api=f"{t.dir}/{name}.sock")
        text += f"[profile {name}]\nsocket = {t.dir}/{name}.sock\nsocks5 = {sim.at['socks5']}\n"
    settings = t.file("etc/tsproxy/tsproxy.conf", text)
    env = {"XDG_CONFIG_HOME": os.path.dirname(os.path.dirname(settings))}
    nested(t, **env)
    nested(t, **env, HOME=None, XDG_RUNTIME_DIR=None)
    assert {"a.map", "b.map"} <= set(os.listdir("/dev/shm/tsproxy-0"))


@test("a directory that somebody else planted is refused, with a line, wherever it is")
def planted(t):
    prepare(t)
    run = os.path.join(t.dir, "run")
    os.makedirs(os.path.join(run, "tsproxy"))
    os.chmod(os.path.join(run, "tsproxy"), 0o777)
    alone(t, XDG_RUNTIME_DIR=run)
    works(t, "/dev/shm/tsproxy-0", "is not a private directory", XDG_RUNTIME_DIR=run)
    assert os.listdir(os.path.join(run, "tsproxy")) == []
    # One that only its owner may write to, but the owner is somebody else.
    if whole_user_namespace():
        os.chmod(os.path.join(run, "tsproxy"), 0o700)
        os.chown(os.path.join(run, "tsproxy"), 12345, 12345)
        alone(t, XDG_RUNTIME_DIR=run)
        works(t, "/dev/shm/tsproxy-0", "is not a private directory", XDG_RUNTIME_DIR=run)
        assert os.listdir(os.path.join(run, "tsproxy")) == []
    subprocess.run(["rm", "-r", "/dev/shm/tsproxy-0"], check=True)
    mount("/tmp/tsproxy-0", "-o", "mode=700")
    plants = [lambda: os.mkdir("/dev/shm/tsproxy-0", 0o700), lambda: os.chmod("/dev/shm/tsproxy-0", 0o777),
              lambda: os.rmdir("/dev/shm/tsproxy-0") or os.symlink(run, "/dev/shm/tsproxy-0")]
    if whole_user_namespace():
        plants.append(lambda: os.unlink("/dev/shm/tsproxy-0") or os.mkdir("/dev/shm/tsproxy-0", 0o700)
                      or os.chown("/dev/shm/tsproxy-0", 12345, 12345))
    for i, plant in enumerate(plants):
        plant()
        works(t, "/dev/shm/tsproxy-0" if i == 0 else "/tmp/tsproxy-0", HOME=None, XDG_RUNTIME_DIR=None)
        if i == 0:
            for name in os.listdir("/dev/shm/tsproxy-0"):
                os.unlink(os.path.join("/dev/shm/tsproxy-0", name))
    assert os.listdir(run) == ["tsproxy"]
    subprocess.run(["umount", "/tmp/tsproxy-0"], check=True)
    os.rmdir("/tmp/tsproxy-0")


@test("limits of the shell: a file's length ends no program, a umask closes no folder, and where nothing can be started that is said")
def limits(t):
    prepare(t)
    t.need("bash", "setpriv")
    tsproxy = t.build("tsproxy")
    for limit in "0", "1", "100":
        run = os.path.join(t.dir, f"limit-{limit}")
        os.mkdir(run, 0o700)
        done = t.run(["bash", "-c", f"ulimit -f {limit}; exec {tsproxy} -- getent ahostsv4 {NAME1}"], env={"XDG_RUNTIME_DIR": run})
        done.bad("File too large", status=2) if limit == "0" else done.good(NODE1)
        # A map that is old, a library that would have it made anew, and placeholders, whose table is long.
        t.tsproxy("true", env={"XDG_RUNTIME_DIR": run}).good()
        os.utime(os.path.join(run, "tsproxy", "default.map"), (1, 1))
        program = (f"ulimit -f {limit}; getent ahostsv4 {NAME1} && getent hosts missing.{SUFFIX}; for i in 1 2 3 4 5 6 7 8 9; do "
                   "getent hosts $i.far.example > /dev/null; [ $? -lt 128 ] || echo killed; done; echo end")
        done = t.preload("bash", "-c", program, env={"XDG_RUNTIME_DIR": run, "TSPROXY_REMOTE_NAME": "far.example"})
        assert "killed" not in done.out and done.good("end\n"), done
    if whole_user_namespace():
        # A umask that leaves folders closed to their owner, who is not root.
        home = t.unprivileged_dir("umask")
        user = ["setpriv", "--reuid", "65532", "--clear-groups", "env", f"HOME={home}", "XDG_RUNTIME_DIR="]
        for umask in "177", "022":
            t.run([*user, "sh", "-c", f"umask {umask}; exec {tsproxy} -- getent ahostsv4 {NAME1}"]).good(NODE1)
        assert not os.path.exists("/dev/shm/tsproxy-65532"), "its own place was not used"
        done = t.run(["bash", "-c", f"ulimit -u 1; exec setpriv --reuid 65533 --clear-groups {tsproxy} -- echo fine"],
                     env={"HOME": None, "XDG_RUNTIME_DIR": None})
        assert done.good("fine\n") and "tsproxy-sync cannot be started: Resource temporarily unavailable" in done.err, done

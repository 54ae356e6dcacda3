# SPDX-License-Identifier: MIT
"""Where the map is kept when its own place cannot be had."""
import glob
import json
import os
import subprocess

from harness import API, NAME1, NODE1, SUFFIX, Skip, test, whole_user_namespace

ROOTS = "/run/tsproxy"


def mount(path, *options):
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", *options, "none", path], check=True)


def prepare(t):
    """A tailnet, and memory of this test's own to fall back to. Returns where that is for a user who is not root."""
    mount("/dev/shm", "-o", "mode=1777")
    t.tailnet()
    t.dns()
    return f"/dev/shm/tsproxy-{65534 if whole_user_namespace() else 1000}"


def give(path):
    """To the user who is not root."""
    if whole_user_namespace():
        os.chown(path, 65534, 65534)


def as_user(t, *argv, **env):
    return t.run(t.unprivileged(argv), env=env)


def works(run, where, *said, modes=(0o700, 0o600)):
    """run(COMMAND...): the name resolves, by a map in `where` that nobody else can write to; then once more, by the same map."""
    inodes = set()
    for _ in range(2):
        done = run("sh", "-c", f"getent ahostsv4 {NAME1}; echo $TSPROXY_PLACE")
        done.good(NODE1)
        path = os.path.join(done.out.split()[-1], "default.map")
        assert os.path.dirname(path) == where, done
        assert (os.stat(where).st_mode & 0o777, os.stat(path).st_mode & 0o777) == modes
        assert all(word in done.err for word in said) and (said or not done.err), done
        inodes.add(os.stat(path).st_ino)
    assert len(inodes) == 1, "the map was made twice"
    return path


def works_as_user(t, where, *said, **env):
    return works(lambda *argv: as_user(t, t.build("tsproxy"), "--", *argv, **env), where, *said)


def alone(t, where, **env):
    """With LD_PRELOAD alone the map is made there, too, by the program's first question."""
    env["LD_PRELOAD"] = t.build("libtsproxy.so")
    as_user(t, "sh", "-c", "echo fine", **env).good("fine\n")
    assert not os.path.isdir(where) or not os.listdir(where), "a program that asked nothing made something"
    done = as_user(t, "getent", "ahostsv4", NAME1, **env)
    assert NODE1 in done.good() and not done.err, done
    subprocess.run(["rm", "-r", where], check=True)
    done = as_user(t, "getent", "ahostsv4", NAME1, TSPROXY_LOG="debug", **env)
    assert NODE1 in done.good() and "map: cannot be stored at " in done.err and f", using {where}/default.map" in done.err, done
    assert os.stat(where).st_mode & 0o777 == 0o700 and os.path.exists(f"{where}/default.map")
    subprocess.run(["rm", "-r", where], check=True)


def none_alone(t, **env):
    """Nor is there one: no map, no tailnet, and no harm."""
    env["LD_PRELOAD"] = t.build("libtsproxy.so")
    as_user(t, "getent", "hosts", NAME1, **env).bad(status=2)
    as_user(t, "sh", "-c", "echo fine", **env).good("fine\n")


@test("no home at all: the map is in memory, and there for the programs below")
def no_home(t):
    memory, tsproxy = prepare(t), t.build("tsproxy")
    env = {"HOME": None, "XDG_RUNTIME_DIR": None}
    alone(t, memory, **env)
    works_as_user(t, memory, **env)
    # What the launcher tells reaches the programs below it, which refresh the map there.
    as_user(t, tsproxy, "--", tsproxy, "--", "getent", "ahostsv4", NAME1, **env).good(NODE1)


@test("a read-only home: the map is in memory")
def read_only_home(t):
    memory, home = prepare(t), os.path.join(t.dir, "sealed")
    mount(home, "-o", "ro")
    env = {"HOME": home, "XDG_RUNTIME_DIR": None}
    alone(t, memory, **env)
    works_as_user(t, memory, **env)


@test("a full disk: the map is in memory")
def full_disk(t):
    memory, run = prepare(t), os.path.join(t.dir, "full")
    mount(run, "-o", "size=64k,mode=700")
    give(run)
    with open(os.path.join(run, "filler"), "wb", buffering=0) as f:
        try:
            while f.write(bytes(4096)):
                pass
        except OSError:
            pass
    none_alone(t, XDG_RUNTIME_DIR=run)
    works_as_user(t, memory, XDG_RUNTIME_DIR=run)


@test("the sub-commands look at the map that a program gets")
def sub_commands(t):
    memory, tsproxy = prepare(t), t.build("tsproxy")
    env = {"HOME": None, "XDG_RUNTIME_DIR": None}

    def command(*words):
        return as_user(t, tsproxy, *words, **env)
    path = works_as_user(t, memory, **env)
    assert json.loads(command("status", "--json").good())["map"] == path
    inode = os.stat(path).st_ino
    command("resolve", NAME1).good(NODE1)
    command("explain", "true").good(path)
    assert os.stat(path).st_ino == inode, "the map was made again"
    command("sync").good()
    assert os.stat(path).st_ino != inode
    found = {check["check"]: check for check in json.loads(command("doctor", "--json").out)["checks"]}
    assert path in found["map"]["text"], found
    words = command("env", "--shell", "sh").good()
    as_user(t, "sh", "-c", f"{words}\ngetent ahostsv4 {NAME1}", **env).good(NODE1)
    # Another profile's map lies beside it, wherever its option stands.
    command("status", "-p", "work").good(NAME1)
    assert os.path.exists(f"{memory}/work.map")


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
    assert {"a.map", "b.map"} <= set(os.listdir(ROOTS))
    subprocess.run(["rm", "-r", ROOTS], check=True)
    mount(ROOTS, "-o", "ro")
    nested(t, **env, HOME=None, XDG_RUNTIME_DIR=None)
    assert {"a.map", "b.map"} <= set(os.listdir("/dev/shm/tsproxy-0"))


@test("a directory that somebody else planted is refused, with a line, wherever it is")
def planted(t):
    if not whole_user_namespace():
        raise Skip("takes more than one user")
    memory, run = prepare(t), os.path.join(t.dir, "run")
    os.makedirs(os.path.join(run, "tsproxy"))
    give(run)
    give(os.path.join(run, "tsproxy"))
    os.chmod(os.path.join(run, "tsproxy"), 0o777)
    alone(t, memory, XDG_RUNTIME_DIR=run)
    works_as_user(t, memory, f"the directory of {run}/tsproxy/default.map is not private to this user", XDG_RUNTIME_DIR=run)
    assert os.listdir(os.path.join(run, "tsproxy")) == []
    # One that only its owner may write to, but the owner is somebody else.
    os.chmod(os.path.join(run, "tsproxy"), 0o700)
    os.chown(os.path.join(run, "tsproxy"), 12345, 12345)
    subprocess.run(["rm", "-r", memory], check=True)
    alone(t, memory, XDG_RUNTIME_DIR=run)
    works_as_user(t, memory, XDG_RUNTIME_DIR=run)
    assert os.listdir(os.path.join(run, "tsproxy")) == []
    subprocess.run(["rm", "-r", memory], check=True)
    other = memory.replace("/dev/shm", "/tmp")
    mount(other, "-o", "mode=700,uid=65534")
    plants = [lambda: os.mkdir(memory, 0o700) or give(memory), lambda: os.chmod(memory, 0o777),
              lambda: os.rmdir(memory) or os.symlink(run, memory),
              lambda: os.unlink(memory) or os.mkdir(memory, 0o700) or os.chown(memory, 12345, 12345)]
    for i, plant in enumerate(plants):
        plant()
        works_as_user(t, memory if i == 0 else other, HOME=None, XDG_RUNTIME_DIR=None)
        if i == 0:
            for name in os.listdir(memory):
                os.unlink(os.path.join(memory, name))
    assert os.listdir(run) == ["tsproxy"]
    for name in os.listdir(other):
        os.unlink(os.path.join(other, name))
    os.chmod(other, 0o777)
    none_alone(t, HOME=None, XDG_RUNTIME_DIR=None)
    subprocess.run(["umount", other], check=True)
    os.rmdir(other)


@test("root's place: where it cannot be had another one is as open, and root of a user namespace has the user's")
def roots(t):
    prepare(t)
    public = {"modes": (0o755, 0o644)}
    works(t.tsproxy, ROOTS, **public)
    # Of another XDG_RUNTIME_DIR, another map.
    path = t.tsproxy("sh", "-c", "echo $TSPROXY_PLACE", env={"XDG_RUNTIME_DIR": f"{t.dir}/own"}).good().strip()
    assert os.path.dirname(path) == ROOTS and os.stat(path).st_mode & 0o777 == 0o755 and os.listdir(path), path
    subprocess.run(["rm", "-r", ROOTS], check=True)
    mount(ROOTS, "-o", "ro")
    works(lambda *argv: t.tsproxy(*argv, env={"XDG_RUNTIME_DIR": "/dev/null"}), "/dev/shm/tsproxy-0", **public)
    if whole_user_namespace():
        home = t.unprivileged_dir("home")
        give(home)
        inside = t.unprivileged(["unshare", "--user", "--map-root-user", t.build("tsproxy"), "--socket", API,
                                 "--socks5", "127.0.0.1:1080", "--", "sh", "-c",
                                 f"getent ahostsv4 {NAME1}; echo $TSPROXY_PLACE"])
        done = t.run(inside, env={"HOME": home, "XDG_RUNTIME_DIR": home})
        assert done.good(NODE1).endswith(f"{home}/tsproxy\n") and not done.err, done
        path, = glob.glob(f"{home}/tsproxy/*.map")
        assert os.stat(path).st_mode & 0o777 == 0o600


@test("limits of the shell: a file's length ends no program, a umask closes no folder, and where nothing can be started that is said")
def limits(t):
    prepare(t)
    t.need("bash", "setpriv")
    tsproxy = t.build("tsproxy")
    for limit in "0", "1", "100":
        place = os.path.join(t.dir, f"limit-{limit}")
        env = {"TSPROXY_PLACE": place}
        done = t.run(["bash", "-c", f"ulimit -f {limit}; exec {tsproxy} -- getent ahostsv4 {NAME1}"], env=env)
        done.bad("File too large", status=2) if limit == "0" else done.good(NODE1)
        # A map that is old, a library that would have it made anew, and placeholders, whose table is long.
        t.tsproxy("true", env=env).good()
        os.utime(os.path.join(place, "default.map"), (1, 1))
        program = (f"ulimit -f {limit}; getent ahostsv4 {NAME1} && getent hosts missing.{SUFFIX}; for i in 1 2 3 4 5 6 7 8 9; do "
                   "getent hosts $i.far.example > /dev/null; [ $? -lt 128 ] || echo killed; done; echo end")
        done = t.preload("bash", "-c", program, env={**env, "TSPROXY_REMOTE_NAME": "far.example"})
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
    # Nor does one close root's place to others.
    subprocess.run(["rm", "-rf", ROOTS], check=True)
    t.run(["sh", "-c", f"umask 077; exec {tsproxy} -- getent ahostsv4 {NAME1}"]).good(NODE1)
    assert (os.stat(ROOTS).st_mode & 0o777, os.stat(f"{ROOTS}/default.map").st_mode & 0o777) == (0o755, 0o644)

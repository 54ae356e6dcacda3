# SPDX-License-Identifier: MIT
"""Programs that give up root, before their first question or later, by every usual way: the tailnet goes on being known to them."""
import os
import shutil

from harness import API, BUILD, FQDN1, NAME1, NODE1, Skip, test, until, whole_user_namespace
from maps import FOLDER, MAP, age

PYTHON = "/usr/bin/python3"     # which every user may run, whatever runs the tests
# What the first word says is done, then the name is looked up, its address dialled, and the name of a node that is not there.
CLIENT = f"""
import ctypes, os, socket, sys
"x".encode("idna")
exec(sys.argv[1])
def name(n):
    try:
        return socket.getaddrinfo(n, 3000, socket.AF_INET)[0][4][0]
    except socket.gaierror as e:
        return {{socket.EAI_AGAIN: "EAI_AGAIN", socket.EAI_NONAME: "EAI_NONAME"}}.get(e.errno, str(e))
s = socket.socket()
print(name("{NAME1}"), s.connect_ex(("{NODE1}", 3000)), name("missing.{FQDN1}"))
"""
GOOD = f"{NODE1} 0 EAI_NONAME\n"
# What libc loads at its first question must be there before.
JAIL = "socket.gethostbyname('localhost'), os.chroot('/run/jail'), os.chdir('/')"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
DROP = "os.setgroups([]), os.setgid(65534), os.setuid(65534)"
AGAIN = f"os.execv('{PYTHON}', ['{PYTHON}', '-c', {CLIENT!r}, %r])"


def prepare(t):
    if not whole_user_namespace():
        raise Skip("takes more than one user")
    t.tailnet()
    t.page(3000)
    t.dns()
    t.need(PYTHON)


def client(change="pass", again=None):
    """A program that first changes itself; `again`: becomes itself once more and changes then."""
    code = f"{change}; {AGAIN % again}" if again else change
    return [PYTHON, "-c", CLIENT, code]


WAYS = {
    "setuid": client(DROP),
    "setresuid": client("os.setgroups([]), os.setresgid(65534, 65534, 65534), os.setresuid(65534, 65534, 65534)"),
    "seteuid alone": client("os.setegid(65534), os.seteuid(65534)"),
    "setuid, then exec": client(DROP, "pass"),
    "exec, then setuid": client("pass", DROP),
    "exec, setuid, exec": client("pass", f"{DROP}; {AGAIN % 'pass'}"),
    "setuid in a child": client(f"os.fork() and (os.wait(), os._exit(0)); {DROP}"),
    "chroot": client(JAIL),
    "chroot, then setuid": client(f"{JAIL}; {DROP}"),
    "setgid of a user": client("os.setgroups([7]), os.setgid(12345)"),
    "setpriv": [*NOBODY, *client()],
    "setpriv, and no home": ["env", "-u", "HOME", "-u", "XDG_RUNTIME_DIR", *NOBODY, *client()],
    "su": ["su", "nobody", "-s", "/bin/sh", "-c", "exec \"$0\" -c \"$CLIENT\" pass", PYTHON],
    "runuser": ["runuser", "-u", "nobody", "--", *client()],
    "chroot --userspec": ["chroot", "--userspec=nobody", "/", *client()],
    "a shell in between": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", "exec \"$@\"", "sh", *client()],
}


def try_all(t, run, **env):
    os.makedirs("/run/jail/etc", exist_ok=True)
    shutil.copy("/etc/hosts", "/run/jail/etc/hosts")
    wrong = []
    for way, argv in WAYS.items():
        done = run(*argv, env={"CLIENT": CLIENT, **env})
        if (done.status, done.out) != (0, GOOD):
            wrong.append(f"{way}: {done.status} {done.out!r} {done.err[-300:]!r}")
    assert not wrong, "\n".join(wrong)


@test("under the launcher: a program that gives up root, in whatever order with exec and chroot, knows names and addresses")
def under_the_launcher(t):
    prepare(t)
    try_all(t, t.tsproxy)


@test("LD_PRELOAD alone, with root's map there: the same")
def alone_with_a_map(t):
    prepare(t)
    t.launcher("sync").good()
    try_all(t, t.preload)


@test("LD_PRELOAD alone, and no map yet: who has given up root has one made for itself; only a new root leaves nobody to ask")
def alone_without_a_map(t):
    prepare(t)
    for way in "chroot", "chroot, then setuid":
        del WAYS[way]

    def run(*argv, **more):
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.rmtree("/dev/shm/tsproxy-65534", ignore_errors=True)
        return t.preload(*argv, **more)
    try_all(t, run)
    assert os.path.exists("/dev/shm/tsproxy-65534/default.map")


@test("who cannot make root's map anew goes on with the old one, and asks the file system for little")
def old_map(t):
    t.need("strace")
    prepare(t)
    t.launcher("sync").good()
    os.utime(MAP, (1, 1))
    program = (f"{DROP}\nimport time\nend = time.monotonic() + 3\nwhile time.monotonic() < end:\n"
               f"    assert socket.getaddrinfo('{NAME1}', 80)\n    time.sleep(0.01)")
    trace = os.path.join(t.dir, "trace")
    age(MAP, 3600)
    done = t.preload("strace", "-qq", "-o", trace, "-e", "trace=openat,newfstatat,faccessat,clone,readlinkat", PYTHON, "-c",
                     f"import os, socket\n'x'.encode('idna')\n{program}")
    assert done.status == 0, done
    with open(trace) as f:
        lines = f.read().splitlines()
    asked = [line for line in lines if FOLDER in line or BUILD in line]
    failed = [line for line in asked if "= -1" in line]
    assert not failed and not any("clone" in line for line in lines), failed or lines
    assert len(asked) < 45, f"{len(asked)} in 3 s"


@test("a proxy's password is in no file that others can read; who has given up root and needs it is refused, as by the proxy")
def password(t):
    if not whole_user_namespace():
        raise Skip("takes more than one user")
    t.sim("--socks5", "1080", "--user", "me", "--pass", "hunter2", api=API)
    t.page(3000)
    t.dns()
    settings = t.file("etc/tsproxy/tsproxy.conf", "socks5 = me:hunter2@127.0.0.1:1080\n", 0o600)
    env = {"XDG_CONFIG_HOME": os.path.dirname(os.path.dirname(settings))}
    assert t.tsproxy(*client(), env=env).good() == GOOD
    for name in os.listdir(FOLDER):
        path = os.path.join(FOLDER, name)
        with open(path, "rb") as f:
            if b"hunter2" in f.read():
                assert name == "default.map.auth" and os.stat(path).st_mode & 0o777 == 0o600, name
    done = t.tsproxy(*client(DROP), env={**env, "TSPROXY_LOG": "warn"})
    assert done.out == f"{NODE1} 13 EAI_NONAME\n" and ": cannot read its user and password: " in done.err and "hunter2" not in done.err, done
    # Where the environment names it, it needs no file.
    assert t.tsproxy(*client(DROP), env={"TSPROXY_SOCKS5": "me:hunter2@127.0.0.1:1080"}).good() == GOOD


@test("a hostile user can read root's map, and can hinder nobody: locks, planted files, a file that is in the way")
def hostile(t):
    prepare(t)
    t.launcher("sync").good()
    # Locks of every kind on everything that can be opened, and names that cannot be taken.
    hold = t.spawn([*NOBODY, PYTHON, "-c", f"""
import fcntl, os, struct, sys, time
held = []
for name in os.listdir("{FOLDER}"):
    try:
        f = open("{FOLDER}/" + name, "rb")
    except OSError:
        continue
    held.append(f)
    fcntl.flock(f, fcntl.LOCK_EX)
    fcntl.fcntl(f, 37, struct.pack("hhqqi", fcntl.F_RDLCK, 0, 0, 0, 0))
for make in (lambda: os.mkdir("{FOLDER}/x"), lambda: open("{FOLDER}/default.map", "r+b"), lambda: os.unlink("{MAP}")):
    try:
        make()
        print("could", flush=True)
    except OSError:
        pass
open("/run/held/ready", "w").write(str(len(held)))
time.sleep(60)
"""], lambda: os.path.exists("/run/held/ready") if os.path.isdir("/run/held") else os.mkdir("/run/held") or os.chmod("/run/held", 0o777))
    assert hold.poll() is None
    before = os.stat(MAP).st_ino
    t.launcher("sync").good()
    assert os.stat(MAP).st_ino != before
    age(MAP, 3600)
    before = os.stat(MAP).st_ino
    t.preload("getent", "hosts", NAME1).good()
    until(lambda: os.stat(MAP).st_ino != before, "a map that a program had made")
    assert t.tsproxy(*client()).good() == GOOD
    done = t.tsproxy("getent", "ahostsv4", "a.far.example", options=["--remote-name", "far.example"])
    assert done.good().startswith("198.19."), done

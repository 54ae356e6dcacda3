# SPDX-License-Identifier: MIT
"""Every way to send, in every state of the daemon, the proxy and the map."""
import contextlib
import os
import random
import socket
import subprocess
import threading
import time

from harness import API, BUILD, FQDN1, NODE1, NODE1_V6, SUFFIX, test, whole_user_namespace
from maps import FOLDER, MAP, SPOILT, age, flip, make_map
from wire import Wire, leaks

WAYS = os.path.join(BUILD, "leaks", "ways")
PROGRAMS = [path for path in (WAYS, WAYS + "-musl") if os.path.exists(path)]
NODES = [NODE1, NODE1_V6]
NAMES = [f"*.{SUFFIX}", FQDN1]
NOBODYS = ["fd7a:115c:a1e0::ffff", "fd7a:115c:a1e0::53"]    # what is no node's there
PLACEHOLDER = "198.19.64.7"
SERVICE = "100.100.100.100"
KNOWN = [*NODES, *NOBODYS, SERVICE, *NAMES]     # a map says whose these are, or nobody else can have them
ALL = [*KNOWN, PLACEHOLDER]


class Watch:
    """Counts what leaves while programs try; at the end nothing may have."""

    def __init__(self, t):
        self.t, self.wire, self.found = t, Wire(), []
        subprocess.run(["sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647"], check=False)
        listed = subprocess.run([WAYS, "-l"], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.ways = [line.split()[0] for line in listed.splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        assert kind or not self.found, "\n".join(self.found)

    def way(self, packet):
        return self.ways[packet.way] if packet.way is not None and packet.way < len(self.ways) else "?"

    def tried(self, state, run, targets, options=(), programs=PROGRAMS, wrap=(), but=(), control=False, **more):
        """Has the ways tried at `targets` by `run`, which is t.preload, t.tsproxy or the like. Returns what was sent, and is printed.

        What the ways in `but` send is not looked at; of a control nothing is.
        """
        sent, said = [], []
        for program in programs:
            done = run(*wrap, program, *options, *targets, timeout=60, **more)
            *notes, last = done.good().splitlines()
            tries = last.removeprefix("tried ")
            packets = self.wire.take()
            sent += packets
            said += notes
            name = os.path.basename(program)
            killed = [note.split()[1] for note in notes if note.startswith("killed")]
            if killed:
                self.found.append(f"{state}: {name}: killed: {', '.join(killed)}")
            if control:
                continue
            addressed, asked = ([p for p in found if self.way(p) not in but] for found in leaks(packets))
            print("counts", tries, len(addressed), len(asked))
            self.found += [f"{state}: {name}: {self.way(p)}: {p}" for p in addressed + asked]
        return sent, said


@contextlib.contextmanager
def fake_daemon(answer=None):
    """A daemon's socket: nobody listens (None), it never answers (b""), or it answers this to everything."""
    os.makedirs(os.path.dirname(API), exist_ok=True)
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(API)
        if answer is not None:
            daemon.listen(64)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = daemon.accept()
                    client.recv(4096)
                    client.sendall(answer)
                    client.close()
        if answer:
            threading.Thread(target=serve, daemon=True).start()
        yield
    os.unlink(API)


FAKES = {"a socket that nobody listens at": None, "a daemon that never answers": b"",
         "a daemon that answers nonsense": b"HTTP/1.0 200 OK\r\n\r\n{\"BackendState\": 3", "another server": b"220 hello\r\n"}


def forget():
    subprocess.run(["rm", "-rf", FOLDER], check=True)


def stop(sim):
    sim.process.terminate()
    sim.process.wait()


@test("the control: a native program is seen, way by way")
def native(t):
    with Watch(t) as w:
        listed = {name: (families, rest) for name, families, *rest in
                  (line.split() for line in t.run([WAYS, "-l"]).good().splitlines())}
        for program in PROGRAMS:
            sent, said = w.tried("native", lambda *argv, **more: t.run(argv, **more), [*NODES, NAMES[0]], ["-d"], [program],
                                 control=True)
            missing = [note.split()[1] for note in said if note.startswith("unavailable")]
            for i, (name, (families, silent)) in enumerate(listed.items()):
                seen = {p.to.version for p in sent if p.way == i and not p.name}
                asked = [p for p in sent if p.name and p.way == i]
                expected = {"4": {4}, "6": {6}, "b": {4, 6}}.get(families, set())
                if silent or name in missing:
                    continue
                assert seen >= expected, f"{program} {name}: seen only in {seen}"
                assert families != "n" or asked, f"{program} {name}: no question"
            reverse = {p.name for p in sent if p.name and p.name.endswith(".arpa")}
            assert len(reverse) == 2 * len([f for f, _ in listed.values() if f == "r"]), reverse
            print(f"{program}: not to be had here: {', '.join(sorted(set(missing)))}")


@test("no daemon, under the launcher and with LD_PRELOAD alone: absent, hanging, talking nonsense")
def daemon_missing(t):
    with Watch(t) as w:
        w.tried("launcher, no daemon", t.tsproxy, ALL)
        for what, answer in FAKES.items():
            with fake_daemon(answer):
                for start, run in ("launcher", t.tsproxy), ("LD_PRELOAD alone", t.preload):
                    forget()
                    w.tried(f"{start}, {what}", run, ALL)


@test("a daemon that is not running yet, stopped, logged out")
def daemon_states(t):
    with Watch(t) as w:
        for state in "NoState", "Starting", "Stopped", "NeedsLogin", "NeedsMachineAuth":
            sim = t.tailnet("--state", state)
            for start, run in ("launcher", t.tsproxy), ("LD_PRELOAD alone", t.preload):
                forget()
                w.tried(f"{start}, {state}", run, KNOWN)
            stop(sim)


@test("a daemon that runs: the first use with LD_PRELOAD alone; the launcher, its child with another HOME or none; with the search domain")
def daemon_running(t):
    with Watch(t) as w:
        t.tailnet()
        w.tried("LD_PRELOAD alone, first use", t.preload, KNOWN)
        w.tried("launcher", t.tsproxy, KNOWN)
        w.tried("another HOME", t.tsproxy, KNOWN, wrap=["env", "HOME=/run/nowhere", "XDG_RUNTIME_DIR="])
        w.tried("no HOME", t.tsproxy, KNOWN, wrap=["env", "-u", "HOME", "-u", "XDG_RUNTIME_DIR"])
        w.tried("LD_PRELOAD alone, no HOME", t.preload, KNOWN, wrap=["env", "-u", "HOME", "-u", "XDG_RUNTIME_DIR"])


@test("the tailnet's domain in the search list")
def search_list(t):
    with open("/etc/resolv.conf", "a") as f:
        f.write(f"search {SUFFIX}\n")
    with Watch(t) as w:
        w.tried("launcher, no daemon", t.tsproxy, ["*", "*.example"])
        forget()
        w.tried("nothing at all", t.preload, ["*", "*.example"])
        forget()
        t.tailnet()
        w.tried("launcher", t.tsproxy, ["*", "*.example"])


@test("a proxy that is absent, gone, refusing, silent, dying in the middle, talking nonsense")
def proxies(t):
    with Watch(t) as w:
        for options in (["--socks5", "0"], ["--http", "3128"], ["--socks5", "1080", "--no-udp"], ["--socks5", "1080", "--no-pipeline"],
                        *(["--socks5", "1080", "--greeting", how] for how in ("eof", "rst", "garbage", "refuse", "never")),
                        *(["--socks5", "1080", "--fault", f"*,{how}"] for how in ("eof=0", "rst=3", "cut=4", "garbage", "reply=1", "never"))):
            sim = t.sim(*options, api=API)
            forget()
            w.tried(f"proxy {' '.join(options)}", t.tsproxy, KNOWN, programs=PROGRAMS[:1])
            stop(sim)
        sim = t.tailnet()
        forget()
        t.launcher("sync").good()
        stop(sim)
        w.tried("daemon and proxy gone since the map was made", t.preload, KNOWN)
        forget()
        for name, value in ("SOCKS5", "127.0.0.1:9"), ("HTTP_PROXY", "127.0.0.1:9"), ("SOCKS5", "nonsense"), ("SOCKS5", "no.such.host:1080"):
            w.tried(f"no map, {name}={value}", t.preload, KNOWN, env={f"TSPROXY_{name}": value}, programs=PROGRAMS[:1])


@test("a map that is empty, damaged, cut, of another version, somebody else's, no file at all")
def maps(t):
    with Watch(t) as w:
        for what, do in SPOILT.items():
            if what == "somebody else's" and not whole_user_namespace():
                continue
            make_map(t)
            with contextlib.suppress(PermissionError):
                do()
                w.tried(f"a map that is {what}", t.preload, ALL)
            forget()


@test("a large map, of which only what is looked up is read: spoilt in one place after another")
def large_maps(t):
    with Watch(t) as w:
        status = t.status_file("--node", "me,100.127.0.1,self", "--node", f"there,{NODE1},{NODE1_V6}",
                               "--node", "gw,100.127.0.2,route=10.9.0.0/16", "--many", "2000")
        for i in range(12):
            t.launcher("sync", env={"TSPROXY_STATUS": status, "TSPROXY_MAP": MAP})
            os.unlink(f"{MAP}.lock")
            flip(MAP, (2 * i + 1) * os.path.getsize(MAP) // 24)
            w.tried(f"a large map spoilt at {i}/12", t.preload, [*NODES, "10.9.1.2", *NAMES], programs=PROGRAMS[:1])


@test("a map that is cut, spoilt, replaced and mended all the time, under programs that look it up")
def changing_map(t):
    make_map(t)
    with open(MAP, "rb") as f:
        good = f.read()
    over = threading.Event()

    def write(data):
        with open(MAP, "wb") as f:
            f.write(data)

    def mend():
        with open(f"{MAP}.new", "wb", opener=lambda name, flags: os.open(name, flags, 0o644)) as f:
            f.write(good)
        os.rename(f"{MAP}.new", MAP)

    def make_fifo():
        os.mkfifo(f"{MAP}.new")
        os.rename(f"{MAP}.new", MAP)

    def change():
        chance = random.Random(1)
        while not over.wait(chance.random() / 250):
            chance.choice([lambda: os.truncate(MAP, chance.randrange(len(good))), lambda: flip(MAP, chance.randrange(1, len(good))),
                           lambda: write(chance.randbytes(9000)), lambda: os.chmod(MAP, 0o666), make_fifo])()
            mend()

    changer = threading.Thread(target=change)
    with Watch(t) as w:
        changer.start()
        try:
            end = time.monotonic() + 5
            while time.monotonic() < end:
                w.tried("a changing map", t.preload, [*NODES, *NAMES], programs=PROGRAMS[:1])
        finally:
            over.set()
            changer.join()


@test("a map that is old, and older than a node")
def old_maps(t):
    with Watch(t) as w:
        make_map(t)
        age(MAP, 3600)
        w.tried("an old map, no daemon", t.preload, KNOWN)
        forget()
        status = t.status_file("--node", "here,100.64.0.1,self")
        env = {"TSPROXY_STATUS": status, "TSPROXY_MAP": MAP}
        t.launcher("sync", env=env)
        t.status_file("--node", "here,100.64.0.1,self", "--node", f"there,{NODE1},{NODE1_V6}")
        age(MAP, 3)
        w.tried("a node that is newer than the map", t.preload, NODES, env=env, programs=PROGRAMS[:1])


@test("a process that cannot reach its map: no descriptor, no memory, no right, another root")
def out_of_reach(t):
    with Watch(t) as w:
        make_map(t)
        for limit in "4", "5", "6":
            # musl's loader says nothing where it has no descriptor left for the library, and starts the program without.
            w.tried(f"{limit} descriptors", t.preload, KNOWN, wrap=["prlimit", f"--nofile={limit}"],
                    but=["connect-inherited", "datagram-inherited"] if limit == "4" else [])
        root = os.path.join(t.dir, "root")
        os.mkdir(root)
        w.tried("chroot", t.preload, KNOWN, ["-c", root], PROGRAMS[:1])
        forget()
        w.tried("chroot, nothing before", t.preload, ALL, ["-c", root], PROGRAMS[:1])
        t.launcher("sync", env={"TSPROXY_STATUS": t.status_file("--node", "me,100.127.0.1,self", "--many", "4000"), "TSPROXY_MAP": MAP})
        w.tried("no memory", t.preload, ALL, wrap=["prlimit", "--as=33000000"], programs=PROGRAMS[:1])
        if whole_user_namespace():
            forget()
            make_map(t)
            os.chmod("/run/user/0", 0o755)
            os.chmod(FOLDER, 0o700)
            w.tried("another user", t.preload, ALL, wrap=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])


@test("a program that has sandboxed itself before it asked anything")
def sandboxed(t):
    with Watch(t) as w:
        # Another program starts there as anywhere else, and nothing tells it of a tailnet.
        other = [f"{kind}-{how}" for kind in ("connect", "datagram") for how in ("inherited", "in-constructor")]
        w.tried("a sandbox, nothing known", t.preload, ALL, ["-s"], PROGRAMS[:1], but=other)
        w.tried("a sandbox, under the launcher", t.tsproxy, ALL, ["-s"], PROGRAMS[:1])
        forget()
        t.tailnet()
        w.tried("a sandbox, no map yet", t.preload, KNOWN, ["-s"], PROGRAMS[:1])
        t.launcher("sync").good()
        w.tried("a sandbox and a map", t.preload, KNOWN, ["-s"], PROGRAMS[:1])


@test("settings that lead nowhere")
def settings(t):
    nowhere = "/run/no/such/folder"
    with Watch(t) as w:
        for name, value in (("MAP", f"{nowhere}/x.map"), ("PLACE", nowhere), ("PROFILE", "other"), ("STATUS", f"{nowhere}/status"),
                            ("SOCKET", f"{nowhere}/sock"), ("ROUTE", "192.0.2.0/24")):
            w.tried(f"TSPROXY_{name}={value}", t.preload, ALL, env={f"TSPROXY_{name}": value})


@test("nothing tells of a tailnet: what only tailnets have stays all the same; and the control, what is left to the kernel is seen")
def nothing(t):
    with Watch(t) as w:
        # io_uring is the program's own there: it cannot be told which requests go where.
        w.tried("nothing", t.preload, [NODE1_V6, *NOBODYS, *NAMES], but=["connect-io-uring", "sendmsg-io-uring"])
        sent, _ = w.tried("nothing", t.preload, [NODE1], programs=PROGRAMS[:1], control=True)
        assert len({p.way for p in leaks(sent)[0]}) > 80, "the kernel's range is not the kernel's"

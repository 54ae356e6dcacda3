# SPDX-License-Identifier: MIT
"""A tailnet of real daemons that exists in namespaces of its own.

Two nodes, as in a workspace guide: node 1 (jawnsy-tailscale-1) where the servers are, node 2 (jawnsy-tailscale-2)
where programs run. Each has its own network and its own /run, so both daemons have the very flags, ports and
socket that a machine of their own would give them. Node 1 is the namespace this process is in; a veth pair joins the
two. There is no other interface: the default routes that the daemons want lead to the other node and end there.
Everything lives in one process namespace and one directory, and goes when this process goes.
"""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from watch import SUBNET, Resolver, Watch

SUFFIX = "workspaces.ts.net"
NODE1, NODE2 = "jawnsy-tailscale-1", "jawnsy-tailscale-2"
WIRE1, WIRE2 = "10.99.0.1", "10.99.0.2"
CONTROL = f"{WIRE1}:9911"
SUBNET_HOST = "192.168.77.10"
SOCKET = "/var/run/tailscale/tailscaled.sock"
GUIDE_FLAGS = ["--port=41641", "--tun=userspace-networking", "--socks5-server=localhost:1080",
               "--outbound-http-proxy-listen=localhost:3128"]
GUIDE_ENV = {"ALL_PROXY": "socks5://localhost:1080", "http_proxy": "http://localhost:3128"}
UID = 4711
NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def namespaces():
    """The unshare command line that gives a world of its own here, or None and why there is none."""
    reason = "unshare is missing (util-linux)"
    user = ["--user", "--map-root-user"]
    for flags in ([NAMESPACES, user + NAMESPACES] if os.geteuid() == 0 else [user + NAMESPACES]):
        try:
            tried = subprocess.run(["unshare", *flags, "true"], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            break
        if tried.returncode == 0:
            return ["unshare", *flags], ""
        reason = "no namespace can be made here: " + tried.stderr.strip()
    return None, reason


def until(what, condition, seconds=20):
    """Polls until condition() is true and returns what it said. `what`, or what it returns, is in the failure."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def sh(*argv):
    subprocess.run(argv, check=True)


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("local-tailscaled.sock", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def unix_get(path, url):
    connection = UnixHTTP(path)
    with contextlib.closing(connection):
        connection.request("GET", url)
        return connection.getresponse().read()


class Node:
    """One daemon. `pid`: a process in its namespaces; None for node 1's own."""

    def __init__(self, world, name, pid=None, sock=SOCKET, flags=None):
        self.world, self.name, self.pid, self.sock = world, name, pid, sock
        self.flags = GUIDE_FLAGS if flags is None else flags
        self.home = os.path.join(world.dir, name)
        self.daemon = None
        os.makedirs(os.path.join(self.home, ".config"), exist_ok=True)

    def enter(self):
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--"] if self.pid else []

    def start(self):
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "TS_NO_LOGS_NO_SUPPORT": "1",
               "TS_PANIC_IF_HIT_MAIN_CONTROL": "1"}
        state = os.path.join(self.home, ".config", "tailscaled.state")
        self.daemon = self.world.spawn(
            self.name + ".tailscaled", [*self.enter(), self.world.binary("tailscaled"), "--no-logs-no-support",
                                        f"--state={state}", f"--socket={self.sock}", *self.flags], env=env)
        until(f"{self.name} answers", lambda: self.status() is not None)
        return self

    def stop(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(20)
            self.daemon = None

    def leave(self):
        """Stops for good. This control server takes every node for online, so the node's key expires as well."""
        self.stop()
        self.world.admin(f"/expire?node={self.name}")

    def status(self):
        # /var/run is a link to /run, which would be followed from our own root.
        path = f"/proc/{self.pid}/root" + self.sock.replace("/var/run", "/run") if self.pid else self.sock
        try:
            return json.loads(unix_get(path, "/localapi/v0/status"))
        except (OSError, ValueError):
            return None

    def tailscale(self, *argv):
        done = subprocess.run([*self.enter(), self.world.binary("tailscale"), f"--socket={self.sock}", *argv],
                              capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise AssertionError(f"tailscale {' '.join(argv)}: {done.stderr}")
        return done.stdout

    def state(self):
        return (self.status() or {}).get("BackendState")

    def up(self, *more):
        self.tailscale("up", f"--login-server=http://{CONTROL}", f"--hostname={self.name}", "--accept-routes", *more)
        until(f"{self.name} is running", lambda: self.state() == "Running")
        return self

    def addresses(self):
        return self.status()["Self"]["TailscaleIPs"]

    def knows(self, condition):
        """Waits until a peer in this node's status meets the condition, and returns it."""
        def look():
            return next((p for p in (self.status() or {}).get("Peer", {}).values() if condition(p)), None)
        return until(f"{self.name} knows its peer", look)


class World:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.dir = tempfile.mkdtemp(prefix="tsproxy-tailnet.")
        os.chmod(self.dir, 0o755)
        self.home = os.path.join(self.dir, "home")
        self.log_dir = os.path.join(self.dir, "logs")
        self.processes = []
        self.servers, self.ghost = set(), False
        self.rootless = not can_change_user()
        for path in (self.home, self.log_dir):
            os.mkdir(path)
        self._own(self.home)

    def _own(self, path):
        if not self.rootless:
            os.chown(path, UID, UID)

    def binary(self, name):
        return os.path.join(self.build, "tailnet", name)

    def spawn(self, name, argv, **more):
        """A process that lives as long as the world; its output goes to the log of that name."""
        with open(os.path.join(self.log_dir, name + ".log"), "ab") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)
        self.processes.append(process)
        return process

    def holder(self):
        """A process with a network and mounts of its own, for one more node."""
        process = self.spawn("holder", ["unshare", "--net", "--mount", "sleep", "infinity"])

        def inside():
            with open(f"/proc/{process.pid}/comm", encoding="ascii") as comm:
                return comm.read() == "sleep\n"
        until("a namespace", inside)
        return process.pid

    def prepare_mounts(self, enter=()):
        """/run, the resolver's files and the list of users become the world's own, for one node."""
        etc = tempfile.mkdtemp(prefix="etc.", dir=self.dir)
        os.chmod(etc, 0o755)
        files = {"resolv.conf": f"nameserver {WIRE1}\noptions timeout:1 attempts:1\n", "nsswitch.conf":
                 "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
                 "hosts": "127.0.0.1 localhost\n::1 localhost\n",
                 "passwd": f"root:x:0:0::/root:/bin/sh\ncoder:x:{UID}:{UID}::{self.home}:/bin/bash\n"
                           "nobody:x:65534:65534::/nonexistent:/bin/false\nsshd:x:105:65534::/run/sshd:/bin/false\n",
                 "group": f"root:x:0:\ncoder:x:{UID}:\nnogroup:x:65534:\n"}
        # A symbolic link there may lead to /run: what it leads to is made in the new /run.
        script = "mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/tailscale /run/sshd\n"
        for name, text in files.items():
            with open(os.path.join(etc, name), "w", encoding="ascii") as out:
                out.write(text)
            os.chmod(out.name, 0o644)
            script += (f"t=$(readlink -m /etc/{name}); mkdir -p ${{t%/*}}; [ -e $t ] || : >$t; "
                       f"mount --bind {out.name} $t || exit 1\n")
        sh(*enter, "sh", "-ec", script)

    def join(self, pid, wire, own, other, prefix="/24"):
        """Joins this namespace and another one by a veth pair, addresses and default routes included."""
        sh("ip", "link", "add", wire + "a", "type", "veth", "peer", "name", wire + "b", "netns", str(pid))
        inside = ["nsenter", f"--target={pid}", "--net", "--"]
        for enter, name, ip, gateway in ([], wire + "a", own, other), (inside, wire + "b", other, own):
            sh(*enter, "ip", "link", "set", "lo", "up")
            sh(*enter, "ip", "addr", "add", ip + prefix, "dev", name)
            sh(*enter, "ip", "link", "set", name, "up")
        sh(*inside, "ip", "route", "add", "default", "via", own)
        # Where there is IPv6 it has a way to the other node too: what leaks is then seen, not stopped.
        for enter, name, last in ([], wire + "a", 1), (inside, wire + "b", 2):
            subprocess.run([*enter, "ip", "addr", "add", f"fd00:99:{other.split('.')[2]}::{last}/64", "dev", name,
                            "nodad"], check=False, capture_output=True)
        subprocess.run([*inside, "ip", "-6", "route", "add", "default", "via", f"fd00:99:{other.split('.')[2]}::1"],
                       check=False, capture_output=True)

    def admin(self, path):
        return unix_get(os.path.join(self.dir, "control.sock"), path)

    def raise_control(self):
        control = self.spawn("control", [self.binary("control"), CONTROL, SUFFIX,
                                         os.path.join(self.dir, "control.sock")],
                             env={"PATH": os.environ["PATH"], "HOME": self.dir})

        def listening():
            if control.poll() is not None:
                raise AssertionError("the control server ended: " + os.path.join(self.log_dir, "control.log"))
            with contextlib.closing(socket.socket()) as s:
                host, port = CONTROL.split(":")
                return s.connect_ex((host, int(port))) == 0
        until("the control server listens", listening)

    def raise_nodes(self):
        self.prepare_mounts()
        second = self.holder()
        self.join(second, "wire", WIRE1, WIRE2)
        sh("ip", "route", "add", "default", "via", WIRE2)
        # What node 1 routes for the tailnet: a host that is no node.
        sh("ip", "addr", "add", SUBNET_HOST + "/24", "dev", "lo")
        self.prepare_mounts(["nsenter", f"--target={second}", "--net", "--mount", "--"])
        self.resolver = Resolver(WIRE1)
        self.resolver.start()
        self.watch = Watch(second, "wireb")
        self.raise_control()
        self.node1 = Node(self, NODE1).start()
        self.node2 = Node(self, NODE2, second).start()
        self.node1.up(f"--advertise-routes={SUBNET}")
        self.node2.up()
        for node, other in (self.node1, NODE2), (self.node2, NODE1):
            node.knows(lambda peer, name=other: peer["DNSName"].startswith(name + "."))
        self.ip4, self.ip6 = self.node1.addresses()
        self.own4, self.own6 = self.node2.addresses()

    def place_product(self):
        """A copy that every user may read, wherever the build tree is."""
        self.product = os.path.join(self.dir, "tsproxy")
        os.mkdir(self.product)
        for name in sorted(os.listdir(self.build)):
            path = os.path.join(self.build, name)
            if os.path.isfile(path) and (name.startswith("tsproxy") or name.startswith("libtsproxy")):
                shutil.copy(path, self.product)
        self.object = os.path.join(self.product, "libtsproxy.so")
        self.programs = os.path.join(self.dir, "programs")
        shutil.copytree(os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs"), self.programs,
                        ignore=shutil.ignore_patterns("__pycache__"))

    def user(self):
        """The command prefix that makes a program run as somebody without any privilege."""
        if self.rootless:
            return ["unshare", "--user", f"--map-user={UID}", f"--map-group={UID}", "--"]
        return ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--"]

    def environment(self, more=()):
        env = {"PATH": f"{self.product}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": self.home,
               "LANG": "C.UTF-8", "USER": "coder"}
        env.update(more)
        return env

    def run(self, *argv, env=(), node=None, seconds=30, stdin=None):
        """Runs a program on node 2 as an unprivileged user; returns what subprocess.run does."""
        node = node or self.node2
        command = [*node.enter(), *self.user(), *argv]
        try:
            return subprocess.run(command, env=self.environment(env), cwd=self.home, capture_output=True, text=True,
                                  timeout=seconds, input=stdin or "", check=False)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f"still running after {seconds} s: {' '.join(argv)}\n{e.stdout!r} {e.stderr!r}") from e

    def serve(self, name, argv, port, cwd=None):
        """A server on node 1, as the same unprivileged user; returns when the port takes connections."""
        self.spawn(name, [*self.user(), *argv], cwd=cwd or self.home, env=self.environment())

        def listening():
            with contextlib.closing(socket.socket()) as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        until(f"{name} listens on {port}", listening)

    def close(self, keep):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if keep:
            print(f"# kept: {self.dir} (logs/ inside)")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


def can_change_user():
    """False in a user namespace that maps one user only."""
    with open("/proc/self/uid_map", encoding="ascii") as uid_map:
        return os.geteuid() == 0 and any(int(line.split()[0]) <= UID < int(line.split()[0]) + int(line.split()[2])
                                         for line in uid_map)

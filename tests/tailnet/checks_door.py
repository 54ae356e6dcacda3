# SPDX-License-Identifier: MIT
"""The front door with a real daemon behind it: doctor, env; up and down, which start one."""
import contextlib
import json
import os
import re
import signal
import subprocess
import urllib.parse

from checks import check, good
from servers import PAGE
from world import CONTROL, NODE1, Node, until

URL = f"http://{NODE1}:3000"


@check("door: doctor finds nothing wrong, and reaches a peer's daemon by itself")
def doctor(w):
    def connected():
        # The first packets between two nodes may take a while to find their way.
        done = w.run("tsproxy", "doctor", "--json")
        found = {f["check"]: f for f in json.loads(done.stdout)["checks"]}
        last[:] = [f for f in found.values() if f["level"] in ("warn", "fail")]
        return not last and done.returncode == 0 and found["connect"]["level"] == "ok" and found
    last = []
    found = until(lambda: f"a doctor that finds nothing wrong, but {last}", connected)
    assert "tailscaled 1." in found["daemon"]["text"], found
    assert w.ip4 in found["connect"]["text"], found
    done = w.run("tsproxy", "doctor", f"{NODE1}:3999")
    assert done.returncode == 3 and "refused" in done.stdout, done
    w.resolver.asked()


@check("door: a shell that has evaluated tsproxy env reaches the tailnet, and after env --off no longer")
def env(w):
    on = 'eval "$(tsproxy env)"\n'
    good(w.run("bash", "-c", f"{on}curl -sS {URL}"), PAGE)
    done = w.run("bash", "-c", f'{on}eval "$(tsproxy env --off)"\ncurl -sS {URL}')
    assert done.returncode == 6, done
    w.resolver.asked()


class Workspace:
    """A machine without any daemon, and a user's home on it."""

    def __init__(self, w, number):
        self.w, self.name = w, f"door-{number}"
        pid = w.holder()
        w.join(pid, f"door{number}", f"10.99.{number}.1", f"10.99.{number}.2")
        self.enter = ["nsenter", f"--target={pid}", "--net", "--mount", "--"]
        w.prepare_mounts(self.enter)
        self.node = Node(w, self.name, pid)
        self.home = os.path.join(w.home, self.name)
        good(w.run("mkdir", "-p", self.home))

    def environment(self, more=()):
        return self.w.environment({"HOME": self.home, "TS_NO_LOGS_NO_SUPPORT": "1", "TS_PANIC_IF_HIT_MAIN_CONTROL": "1",
                                   "PATH": f"{self.w.product}:{self.w.build}/tailnet:/usr/bin:/bin", **dict(more)})

    def run(self, *argv, env=()):
        return self.w.run(*argv, node=self.node, env=self.environment(env))

    def up(self, *more, env=()):
        return self.run("tsproxy", "up", f"--login-server=http://{CONTROL}", f"--hostname={self.name}", *more, env=env)

    def spawn(self, *argv):
        return subprocess.Popen([*self.enter, *self.w.user(), *argv], env=self.environment(), cwd=self.home,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def daemons(self):
        """PIDs of the tailscaleds that this home's state belongs to."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline") as f:
                    argv = f.read().split("\0")
                if argv[0] == "tailscaled" and any(f"{self.home}/" in a for a in argv):
                    found.append(int(pid))
        return found

    def kill(self, *pids):
        """What a crash leaves: nobody is asked to end."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

        def ended(pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    return not f.read()  # nobody has asked for its exit status yet
            except OSError:
                return True
        until("they are gone", lambda: all(map(ended, pids)))

    def supervisor(self):
        with open(f"/proc/{self.daemons()[0]}/stat", encoding="ascii") as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])

    def preferences(self, *keys):
        prefs = json.loads(good(self.tailscale("debug", "prefs")))
        return {key: prefs[key] for key in keys}

    def tailscale(self, *argv):
        return self.run("tailscale", f"--socket={self.home}/.local/share/tsproxy/tailscaled.sock", *argv)

    def state(self):
        return json.loads(good(self.tailscale("status", "--json", "--peers=false")))

    def address(self):
        return self.state()["Self"]["TailscaleIPs"][0]

    @staticmethod
    def exposed(text):
        """Processes that have it on their command line or in their environment."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for name in "cmdline", "environ":
                with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as f:
                    if text.encode() in f.read():
                        found.append((pid, name))
        return found

    def reaches(self, *options, env=()):
        """The page of node 1, once its packets have found their way."""
        def got():
            done = self.run("tsproxy", *options, "--", "curl", "-sSm", "2", URL, env=env)
            return done.returncode == 0 and done.stdout == PAGE
        return until(f"{self.name} reaches node 1", got, 40)

    def watch(self):
        """PIDs of what keeps the map fresh, as the supervisor's child."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline") as f, open(f"/proc/{pid}/environ") as env:
                if f.read().split("\0")[1:2] == ["--watch"] and f"HOME={self.home}\0" in env.read():
                    found.append(int(pid))
        return found

    def end(self):
        self.run("tsproxy", "down")
        assert not self.daemons(), self.daemons()
        assert not self.watch(), self.watch()
        self.node.leave()


@contextlib.contextmanager
def workspace(w, number):
    place = Workspace(w, number)
    try:
        yield place
    finally:
        place.end()
        w.resolver.asked()


@check("door: tsproxy up, as a user, with nothing running: a daemon, a login, a map, a page; again it changes nothing")
def up(w):
    with workspace(w, 11) as place:
        done = place.up()
        first, second, third = good(done).splitlines()
        assert f"Connected as {place.name}." in first and "socks5 127.0.0.1:1055" in second and "tsproxy --" in third, done
        assert [line.split()[1] for line in done.stderr.splitlines()] == ["starting", "logging"], done
        place.reaches()
        first = place.daemons()
        assert len(first) == 1
        again = place.run("tsproxy", "up")
        assert f"Connected as {place.name}." in good(again) and not again.stderr and place.daemons() == first, again
        files = f"{place.home}/.local/share/tsproxy"
        assert os.stat(files).st_mode & 0o777 == 0o700 and os.path.exists(f"{files}/tailscaled.state")
        assert "ok" in good(place.run("tsproxy", "doctor")).split()[0]
        # One that ends is started again, and is the same node.
        os.kill(first[0], signal.SIGKILL)
        until("another daemon", lambda: place.daemons() not in ([], first))
        place.reaches()
        assert "Stopped." in good(place.run("tsproxy", "down")) and not place.daemons()
        assert good(place.run("tsproxy", "down")) == "Not running.\n"
        # One that was stopped comes up as it was.
        assert "starting" in place.run("tsproxy", "up").stderr
        tailscale = ("tailscale", f"--socket={files}/tailscaled.sock")
        good(place.run(*tailscale, "set", "--accept-routes", "--shields-up"))
        good(place.run(*tailscale, "down"))

        def preferences():
            prefs = json.loads(good(place.run(*tailscale, "debug", "prefs")))
            return {k: prefs[k] for k in ("RouteAll", "ShieldsUp", "Hostname", "ControlURL", "CorpDNS")}
        before = preferences()
        assert before["RouteAll"] and before["ShieldsUp"] and before["Hostname"] == place.name, before
        assert "with its settings" in place.run("tsproxy", "up", env={"TS_AUTHKEY": "tskey-unused"}).stderr
        assert preferences() == before
        place.reaches()
        good(place.run("tsproxy", "down"))
        # The state outlives the daemon: no login, the same addresses.
        assert "starting" in place.run("tsproxy", "up").stderr
        place.reaches()


@check("door: under an up the map is kept fresh: no program has to see to it, and what keeps it is started again")
def kept_fresh(w):
    with workspace(w, 27) as place:
        good(place.up())

        def second_refused():
            """One that is asked before the supervisor's has begun would take its place."""
            until("a watch", place.watch)
            return "another tsproxy sync --watch" in place.run("timeout", "1", "tsproxy", "sync", "--watch").stderr
        for _ in range(2):
            until("a second watch is refused", second_refused)
            [pid] = place.watch()
            place.kill(pid)
            until("another watch", lambda: place.watch() not in ([], [pid]))


@check("door: up shows the link to log in with, and goes on when somebody has opened it")
def login_link(w):
    with workspace(w, 12) as place:
        w.admin("/auth?link=1")
        try:
            p = place.spawn("tsproxy", "up", f"--login-server=http://{CONTROL}", f"--hostname={place.name}")
            link = None
            while not link:
                line = p.stdout.readline()
                assert line, "it ended without a link"
                link = re.search(r"http://\S+/auth/\S+", line)
            assert w.admin("/login?url=" + urllib.parse.quote(link.group(), safe="")).strip() == b"true"
            out, _ = p.communicate(timeout=30)
            assert p.returncode == 0 and f"Connected as {place.name}." in out, out
            place.reaches()
        finally:
            w.admin("/auth")


@check("door: up with a key, from a file too, asks nobody; --ephemeral keeps no state; no process shows the key, and no file holds it")
def auth_key(w):
    key = "tskey-auth-door"
    with workspace(w, 13) as place:
        w.admin(f"/auth?key={key}")
        path = os.path.join(place.home, "secret")
        with open(path, "w", encoding="ascii") as f:
            f.write(key + "\n")
        os.chmod(path, 0o644)
        try:
            for more, env in ([], {"TS_AUTHKEY": key}), ([f"--authkey={key}"], {}), ([f"--authkey=file:{path}"], {}):
                good(place.up("--ephemeral", *more, env=env))
                place.reaches()
                assert not place.exposed(key), place.exposed(key)
                files = f"{place.home}/.local/share/tsproxy"
                assert not os.path.exists(f"{files}/tailscaled.state")
                holders = [name for name in os.listdir(files) if os.path.isfile(f"{files}/{name}") and
                           key in open(f"{files}/{name}", encoding="utf-8", errors="replace").read()]
                assert not holders, holders
                good(place.run("tsproxy", "down"))
        finally:
            w.admin("/auth")


@check("door: up beside a taken port, and under the image's own proxy variables, finds its way and its ports")
def ports(w):
    with workspace(w, 14) as place:
        other = place.spawn("python3", "-m", "http.server", "-b", "127.0.0.1", "3128")
        env = {"ALL_PROXY": "socks5://localhost:1080", "http_proxy": "http://localhost:3128",
               "https_proxy": "http://localhost:3129"}
        try:
            until("a web server", lambda: place.run("curl", "-sS", "http://127.0.0.1:3128/").returncode == 0)
            # https_proxy names a port where nobody is: not the daemon's way to its control server.
            del env["http_proxy"]
            assert "socks5 127.0.0.1:1080" in good(place.up(env=env)), "not the port that ALL_PROXY names"
            place.reaches()
            place.reaches(env=env)
        finally:
            other.terminate()
            other.communicate()


@check("door: where a daemon runs already, up uses it and starts none; down leaves it alone")
def other_daemon(w):
    running = w.node2.daemon.pid
    done = w.run("tsproxy", "up", env={"PATH": f"{w.product}:{w.build}/tailnet:/usr/bin:/bin"})
    assert "through the tailscaled at" in good(done) and not done.stderr, done
    done = w.run("tsproxy", "down")
    assert "was not started by tsproxy and keeps running" in good(done) and w.node2.daemon.poll() is None and w.node2.daemon.pid == running, done


@check("door: up stays in the foreground for an entry point, and ends its daemon when it is told to end")
def foreground(w):
    with workspace(w, 15) as place:
        p = place.spawn("tsproxy", "up", "--foreground", f"--login-server=http://{CONTROL}",
                        f"--hostname={place.name}")
        for line in p.stdout:
            if line.startswith("Next:"):
                break
        place.reaches()
        until("the supervisor", lambda: p.poll() is None)
        children = place.daemons()
        assert len(children) == 1
        p.terminate()
        p.communicate(timeout=30)
        assert p.returncode == 0 and not place.daemons(), p.returncode


@check("door: profiles have daemons of their own, side by side")
def profiles(w):
    with workspace(w, 16) as place:
        good(place.up())
        assert "Connected as door-work." in good(place.run("tsproxy", "up", "-p", "work",
                                                          f"--login-server=http://{CONTROL}", "--hostname=door-work"))
        assert len(place.daemons()) == 2
        place.reaches()
        place.reaches("-p", "work")
        assert "door-work" in good(place.run("tsproxy", "-p", "work", "status"))
        good(place.run("tsproxy", "-p", "work", "down"))
        assert len(place.daemons()) == 1
        place.reaches()


@check("door: up twice at once starts one daemon, and both come back with the node up")
def at_once(w):
    with workspace(w, 17) as place:
        both = [place.spawn("tsproxy", "up", f"--login-server=http://{CONTROL}", f"--hostname={place.name}") for _ in range(2)]
        for p in both:
            out, _ = p.communicate(timeout=60)
            assert p.returncode == 0 and f"Connected as {place.name}." in out, out
        assert len(place.daemons()) == 1, place.daemons()
        place.reaches()


@check("door: up with a wrong key, and with no control server, says so and ends; the right one works after that")
def wrong_login(w):
    with workspace(w, 18) as place:
        w.admin("/auth?key=tskey-auth-right")
        try:
            done = place.up("--authkey=tskey-auth-wrong")
            assert done.returncode == 1 and not done.stdout, done
            assert "tsproxy: the login server refuses: invalid authkey\ntsproxy: logging in: failed\n" in done.stderr, done
            done = place.run("tsproxy", "up", "--timeout=18s", "--login-server=http://127.0.0.1:9", f"--hostname={place.name}")
            assert done.returncode == 1 and "no answer yet from the login server" in done.stderr and "still waiting ..." in done.stderr, done
            assert "not logged in after 18 seconds" in done.stderr and "tskey" not in done.stderr, done
            assert "logging in ... done" in place.up("--authkey=tskey-auth-right").stderr
            place.reaches()
        finally:
            w.admin("/auth")


@check("door: an interrupt while up waits for the login leaves a daemon, with which up goes on, and which down ends")
def interrupted(w):
    with workspace(w, 19) as place:
        for number in signal.SIGINT, signal.SIGTERM:
            w.admin("/auth?link=1")
            try:
                p = place.spawn("tsproxy", "up", f"--login-server=http://{CONTROL}", f"--hostname={place.name}")
                line = "start"
                while "/auth/" not in line:
                    line = p.stdout.readline()
                    assert line, "it ended without a link"
                # To this process alone, as a supervisor does it; the keyboard tells the whole group.
                p.send_signal(number)
                out, _ = p.communicate(timeout=30)
                assert p.returncode == -number and "the daemon keeps running" in out, out
            finally:
                w.admin("/auth")
            assert len(place.daemons()) == 1
            assert "not logged in" in place.run("tsproxy", "doctor").stdout
        good(place.up())
        place.reaches()


@check("door: with all the usual ports taken up takes others; a daemon that is killed comes back on them")
def taken(w):
    with workspace(w, 20) as place:
        others = [place.spawn("python3", "-m", "http.server", "-b", "127.0.0.1", port) for port in ("1055", "1080", "3128")]
        try:
            until("the web servers", lambda: all(place.run("curl", "-s", f"http://127.0.0.1:{port}/").returncode == 0
                                                 for port in ("1055", "1080", "3128")))
            assert "socks5 127.0.0.1:41080" in good(place.up())
            place.reaches()
            before = place.daemons()
            # What a machine that went down leaves: names of processes that are gone, a socket that nobody listens at.
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            until("another daemon", lambda: place.daemons() not in ([], before))
            place.reaches()
        finally:
            for other in others:
                other.terminate()
                other.communicate()


TWICE = 1, 2


@check("door: up, down, a crash of everything, another name, other settings, each twice: always up, and nothing else changes")
def cycle(w):
    with workspace(w, 21) as place:
        good(place.up("--accept-routes"))
        good(place.tailscale("set", "--shields-up"))
        address = place.address()
        kept = "RouteAll", "ShieldsUp", "Hostname", "ControlURL"
        before = place.preferences(*kept)
        assert before["RouteAll"] and before["ShieldsUp"] and before["Hostname"] == place.name, before

        def still(done, said=""):
            assert f"Connected as {place.name}." in good(done) and said in done.stderr, done
            assert "requires mentioning" not in done.stderr and "logging in" not in done.stderr, done
            assert place.preferences(*kept) == before and place.address() == address
        # With the very words of the first time, and with none: in the state that it has, after down, after a crash.
        for again in (lambda: None, lambda: good(place.run("tsproxy", "down")),
                      lambda: place.kill(place.supervisor(), *place.daemons()),
                      lambda: place.kill(place.supervisor()),
                      lambda: good(place.tailscale("down"))):
            again()
            still(place.up("--accept-routes"))
            again()
            still(place.run("tsproxy", "up", env={"TS_AUTHKEY": "tskey-unused"}))
        still(place.up())
        assert not place.up().stderr, "it changes what is so already"
        for number in TWICE:
            before["Hostname"] = f"{place.name}-{number}"
            for _ in TWICE:
                done = place.run("tsproxy", "up", f"--hostname={place.name}-{number}", "--accept-routes")
                assert good(done) and place.preferences(*kept) == before and place.address() == address, done
        assert "changing settings" in place.up("--accept-routes=false", "--accept-dns=false").stderr
        before.update(Hostname=place.name, RouteAll=False)
        still(place.up())
        assert not place.preferences("CorpDNS")["CorpDNS"]
        place.reaches()


@check("door: a node whose key has expired, or that was logged out, logs in again, with the settings that it had")
def expired(w):
    key = "tskey-auth-cycle"
    with workspace(w, 22) as place:
        w.admin(f"/auth?key={key}")
        try:
            good(place.up(f"--authkey={key}", "--accept-routes"))
            before = place.preferences("RouteAll", "ShieldsUp", "Hostname")
            for _ in TWICE:
                # With that the daemon forgets all of it, the login server too.
                good(place.tailscale("logout"))
                for wrong in TWICE:
                    done = place.up("--accept-routes", f"--authkey=tskey-auth-wrong-{wrong}")
                    assert done.returncode == 1 and "invalid authkey" in done.stderr and not done.stdout, done
                    assert "requires mentioning" not in done.stderr, done
                assert "logging in ... done" in place.run("tsproxy", "up", env={"TS_AUTHKEY": key}).stderr
                assert place.preferences("RouteAll", "ShieldsUp", "Hostname") == before
            for _ in TWICE:
                address = place.address()
                w.admin(f"/expire?node={address}")
                until("it needs a login", lambda: place.state()["BackendState"] == "NeedsLogin")
                p = place.spawn("tsproxy", "up", f"--authkey={key}")
                assert "logging in" in os.read(p.stdout.fileno(), 4096).decode()
                # This control server takes the node's next key for expired, too, until it is told otherwise.
                until("the login", lambda: w.admin(f"/expire?node={address}&undo=1") == b"" and p.poll() is not None)
                out, _ = p.communicate()
                assert p.returncode == 0 and "done" in out, out
                assert place.preferences("RouteAll", "ShieldsUp", "Hostname") == before
            place.reaches()
        finally:
            w.admin("/auth")


@check("door: up moves to another login server and back, and says what is no login server at once")
def other_server(w):
    other = "10.99.0.1:9912"
    w.spawn("control2", [w.binary("control"), other, "other.ts.net", os.path.join(w.dir, "control2.sock")],
            env={"PATH": os.environ["PATH"], "HOME": w.dir})
    with workspace(w, 23) as place:
        done = place.run("tsproxy", "up", "--login-server=headscale")
        assert done.returncode == 2 and "must be a URL" in done.stderr and not place.daemons(), done
        for _ in TWICE:
            assert f"Connected as {place.name}.workspaces.ts.net" in good(place.up())
            for _ in TWICE:
                done = place.up(f"--login-server=http://{other}")
                assert f"Connected as {place.name}.other.ts.net" in good(done), done
            good(place.run("tsproxy", "down"))
            assert f"Connected as {place.name}.other.ts.net" in good(place.run("tsproxy", "up"))


@check("door: up --ephemeral, down, and up with its state again, each twice")
def ephemeral_cycle(w):
    with workspace(w, 24) as place:
        for _ in TWICE:
            for _ in TWICE:
                good(place.up("--ephemeral"))
            place.kill(*place.daemons())
            until("another daemon", place.daemons)
            good(place.up("--ephemeral"))
            good(place.run("tsproxy", "down"))
            for _ in TWICE:
                good(place.up())
            done = place.up("--ephemeral")
            assert done.returncode == 1 and "tsproxy down" in done.stderr, done
            good(place.run("tsproxy", "down"))


@check("door: down --logout logs out a daemon that runs, and one that does not; tsproxy tailscale speaks to the one that runs")
def logout(w):
    with workspace(w, 25) as place:
        for running in True, False:
            good(place.up())
            assert NODE1 in good(place.run("tsproxy", "tailscale", "status"))
            assert "pong" in good(place.run("tsproxy", "tailscale", "ping", "-c", "9", "--until-direct=false", NODE1))
            if not running:
                good(place.run("tsproxy", "down"))
            assert "Logged out and stopped." in good(place.run("tsproxy", "down", "--logout"))
            good(place.run("tsproxy", "up", "--no-login"))
            until("it is logged out", lambda: place.state()["BackendState"] == "NeedsLogin")
            assert "NeedsLogin" in good(place.run("tsproxy", "logs"))


MIRROR = """
import http.server, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("ca.pem", "key.pem")
server = http.server.HTTPServer(("127.0.0.1", 8443), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@check("door: up --install, where tailscale is missing, fetches a whole archive of it, verifies it, and the node is up")
def install(w):
    with workspace(w, 28) as place:
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        # A server of files answers a path with its index.html, whatever the query.
        setup = f"""set -e
mkdir -p mirror/stable mirror/tailscale_1.2.3_{machine}
cd mirror
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mirror -addext subjectAltName=IP:127.0.0.1 \
    -keyout key.pem -out ca.pem 2> /dev/null
cp {w.build}/tailnet/tailscale {w.build}/tailnet/tailscaled tailscale_1.2.3_{machine}/
tar -c tailscale_1.2.3_{machine} | gzip -1 > stable/tailscale_1.2.3_{machine}.tgz
cd stable
sha256sum tailscale_1.2.3_{machine}.tgz > tailscale_1.2.3_{machine}.tgz.sha256
echo '{{"Tarballs": {{"{machine}": "tailscale_1.2.3_{machine}.tgz"}}}}' > index.html
"""
        good(place.run("sh", "-c", f"cd {place.home}; {setup}"))
        server = place.spawn("sh", "-c", f"cd {place.home}/mirror; exec python3 -c '{MIRROR}'")
        env = {"PATH": f"{w.product}:/usr/bin:/bin", "TSPROXY_MIRROR": "https://127.0.0.1:8443/stable",
               "CURL_CA_BUNDLE": f"{place.home}/mirror/ca.pem"}
        try:
            until("a mirror", lambda: place.run("curl", "-sS", "https://127.0.0.1:8443/stable/", env=env).returncode == 0)
            assert "no tailscaled is installed" in place.up(env=env).stderr
            done = place.up("--install", env=env)
            assert f"Connected as {place.name}." in good(done), done
            assert sorted(os.listdir(f"{place.home}/.local/bin")) == ["tailscale", "tailscaled"]
            place.reaches(env=env)
            assert NODE1 in good(place.run("tsproxy", "tailscale", "status", env=env))
        finally:
            server.terminate()
            server.communicate()

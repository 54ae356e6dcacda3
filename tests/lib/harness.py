# SPDX-License-Identifier: MIT
"""What the integration tests are written with: programs, servers and the simulated tailnet, in a private namespace.

A test is a function of one argument, t, marked @test("what it shows"). It runs in namespaces of its own
(tests/lib/private), so every port is free, nothing leaves the machine, and all that it started ends with it. Nobody
sleeps here: until() polls a condition.
"""
import contextlib
import fcntl
import http.server
import json
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("B") or os.path.join(ROOT, "build"))
PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
NODE1, NODE1_V6 = "100.90.56.90", "fd7a:115c:a1e0::385a"
NODE2, NODE2_V6 = "100.93.121.122", "fd7a:115c:a1e0::797a"
NAME1 = "jawnsy-tailscale-1"
SUFFIX = "tail5e2b.ts.net"
FQDN1 = f"{NAME1}.{SUFFIX}"
API = "/run/tailscale/tailscaled.sock"

TESTS = []


def rest_of_terminal(fd):
    """What is still printed on the other side of a terminal until that is closed; closes this one."""
    out = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:     # the other side is closed
            break
        if not data:
            break
        out += data
    os.close(fd)
    return out


class Skip(Exception):
    """What a test needs is not here, and it says what."""


def test(title):
    def add(function):
        TESTS.append((title, function))
        return function
    return add


def until(condition, what, seconds=15):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"no {what} within {seconds} s"
        time.sleep(0.005)   # the pace of polling, not a time that anything depends on


def listening(port, host="127.0.0.1"):
    """True where something accepts: read from the kernel's table, so that no server meets a stray connection."""
    table = "/proc/net/tcp6" if ":" in host else "/proc/net/tcp"
    with open(table) as f:
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in list(f)[1:])


def bound(port, host="127.0.0.1"):
    """True where a datagram socket has that port."""
    with open("/proc/net/udp6" if ":" in host else "/proc/net/udp") as f:
        return any(line.split()[1].endswith(f":{port:04X}") for line in list(f)[1:])


class Done:
    def __init__(self, argv, status, out, err, seconds):
        self.argv, self.status, self.out, self.err, self.seconds = argv, status, out, err, seconds

    def __str__(self):
        return f"{' '.join(self.argv)}\n  status {self.status}\n  out {self.out!r}\n  err {self.err!r}"

    def good(self, text=None):
        """Succeeded (and said so). Returns the output."""
        assert self.status == 0, f"failed: {self}"
        if text is not None:
            assert text in self.out, f"no {text!r}: {self}"
        return self.out

    def bad(self, *texts, status=None):
        """Failed, with these words in what it said."""
        assert self.status != 0 if status is None else self.status == status, f"status is not as expected: {self}"
        for text in texts:
            assert text in self.out + self.err, f"no {text!r}: {self}"
        return self


class Page(http.server.BaseHTTPRequestHandler):
    """Answers any GET with server.body and any POST with what was posted; remembers the peer and the headers."""
    protocol_version = "HTTP/1.1"

    def _answer(self, body):
        self.server.seen.append((self.command, self.path, dict(self.headers), self.client_address))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self._answer(self.server.body)

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *args):
        pass


class PageServer(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients may go as they like
            super().handle_error(request, client_address)


class Page6Server(PageServer):
    address_family = socket.AF_INET6


def whole_user_namespace():
    with open("/proc/self/uid_map") as f:
        return int(f.read().split()[2]) > 1


class Sim:
    """A running tsproxy-sim."""

    def __init__(self, process, ready, stats):
        self.process, self._stats, self._sequence = process, stats, 0
        self.at = dict(item.split("=", 1) for item in ready.split()[1:])

    def stats(self):
        self._sequence += 1
        self.process.send_signal(signal.SIGUSR1)

        def fresh():
            try:
                with open(self._stats) as f:
                    return json.load(f)
            except FileNotFoundError:
                return None
        return until(lambda: (s := fresh()) and s["sequence"] >= self._sequence and s, "counts of the tailnet")

    def signal(self, number):
        self.process.send_signal(number)


class Test:
    def __init__(self, directory):
        self.dir = directory
        self.home = os.path.join(directory, "home")
        os.makedirs(self.home, exist_ok=True)
        self.started = []
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("TSPROXY_", "LD_", "TS_")) and not k.lower().endswith("_proxy")}
        self.env.update(PATH=PATH, HOME=self.home, LC_ALL="C.UTF-8", XDG_RUNTIME_DIR="/run/user/0", USER="root")
        for name in ("CI", "MAKEFLAGS", "MAKELEVEL", "TERM_PROGRAM"):
            self.env.pop(name, None)

    # --- the surroundings ---

    def need(self, *programs):
        for program in programs:
            if not shutil.which(program, path=PATH):
                raise Skip(f"{program} is not installed")

    def file(self, name, text="", mode=0o644):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def build(self, name):
        path = os.path.join(BUILD, name)
        assert os.path.exists(path), f"{path} is not built: make first"
        return path

    def unprivileged(self, argv):
        """argv as a user that is not root: some servers refuse to run as root."""
        with open("/proc/self/uid_map") as f:
            all_users = int(f.read().split()[2]) > 1
        if all_users:
            return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
        return ["unshare", "--user", "--map-user=1000", "--map-group=1000", *argv]

    def unprivileged_dir(self, name):
        """A directory that such a user may write in, on a path that it may walk."""
        path = tempfile.mkdtemp(prefix=f"{name}-", dir="/run")
        os.chmod(path, 0o777)
        return path

    # --- programs ---

    def run(self, argv, env=None, stdin=None, timeout=30, cwd=None, prefix=True):
        argv = [str(a) for a in argv]
        full = {**self.env, **(env or {})}
        full = {k: v for k, v in full.items() if v is not None}
        start = time.monotonic()
        p = subprocess.Popen(argv, env=full, cwd=cwd or self.dir, start_new_session=True,
                             stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = p.communicate(stdin.encode() if isinstance(stdin, str) else stdin, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            raise AssertionError(f"still running after {timeout} s: {Done(argv, None, out, err, timeout)}") from None
        return Done(argv, p.returncode, out.decode(errors="replace"), err.decode(errors="replace"),
                    time.monotonic() - start)

    def tsproxy(self, *argv, options=(), **more):
        """The launcher in front of a program."""
        prefix = os.environ.get("TEST_PREFIX", "").split()
        return self.run([self.build("tsproxy"), *options, "--", *prefix, *argv], **more)

    def launcher(self, *argv, **more):
        """The launcher with these very words."""
        return self.run([self.build("tsproxy"), *argv], **more)

    def preload(self, *argv, env=None, **more):
        """No launcher: a program with nothing but LD_PRELOAD set (the map must be there, or a refresh makes it)."""
        return self.run(argv, env={"LD_PRELOAD": self.build("libtsproxy.so"), **(env or {})}, **more)

    def on_terminal(self, argv, env=None, size=(24, 80)):
        """Runs it on a terminal of its own, of so many lines and columns. Returns its exit status and what was printed there."""
        pid, fd = pty.fork()
        if pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.chdir(self.dir)
            os.execve(argv[0], argv, {**self.env, "TERM": "xterm", **(env or {})})
        out = rest_of_terminal(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode(errors="replace").replace("\r\n", "\n")

    def spawn(self, argv, ready, env=None, cwd=None, stdout=None):
        """A server: ready() tells when it is. Its output goes to a file in the test's directory."""
        argv = [str(a) for a in argv]
        path = os.path.join(self.dir, f"{len(self.started)}-{os.path.basename(argv[0])}.log")
        with open(path, "wb") as log:
            p = subprocess.Popen(argv, env={**self.env, **(env or {})}, cwd=cwd or self.dir, stdin=subprocess.DEVNULL,
                                 stdout=stdout or log, stderr=log, start_new_session=True)
        self.started.append(p)

        def up():
            if p.poll() is not None:
                with open(path, errors="replace") as f:
                    raise AssertionError(f"{' '.join(argv)} ended with {p.returncode}:\n{f.read()}")
            return ready()
        until(up, f"readiness of {argv[0]}", 30)
        return p

    def sim(self, *options, api=None):
        """A simulated tailnet; its ports are in .at: socks5, http, proxy, localapi."""
        n = len(self.started)
        stats = os.path.join(self.dir, f"{n}-stats.json")
        ready = os.path.join(self.dir, f"{n}-ready")
        if api:
            os.makedirs(os.path.dirname(api), exist_ok=True)
            options += ("--localapi", api)
        with open(ready, "wb") as out:
            p = self.spawn([self.build("tsproxy-sim"), "--die-with-parent", "--stats", stats, "--verbose", *options],
                           lambda: os.path.getsize(ready) and open(ready).read().endswith("\n"), stdout=out)
        with open(ready) as f:
            return Sim(p, f.read(), stats)

    def tailnet(self, *options):
        """The guide's tailnet at the guide's own places, so that tsproxy finds it with nothing configured."""
        return self.sim("--socks5", "1080", "--http", "3128", *options, api=API)

    def page(self, port, body="a page\n", host="127.0.0.1"):
        server = (Page6Server if ":" in host else PageServer)((host, port), Page)
        server.body, server.seen = body.encode(), []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def status_file(self, *options):
        out = self.run([self.build("tsproxy-sim"), "--status-json", *options]).good()
        return self.file("status.json", out)

    def dns(self, answers=None):
        """A name server on 127.0.0.1:53 that knows `answers` only. Returns the list of names that it is asked."""
        asked = []
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 53))

        def serve():
            while True:
                query, client = sock.recvfrom(4096)
                labels, at = [], 12
                while query[at]:
                    labels.append(query[at + 1:at + 1 + query[at]].decode())
                    at += 1 + query[at]
                name = ".".join(labels).lower()
                address = (answers or {}).get(name)
                is_a = query[at + 1:at + 3] == b"\0\1"
                asked.append(name)
                head = query[:2] + (b"\x81\x80" if address else b"\x81\x83") + b"\0\1"
                head += b"\0\1" if address and is_a else b"\0\0"
                reply = head + b"\0\0\0\0" + query[12:at + 5]
                if address and is_a:
                    reply += b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address)
                sock.sendto(reply, client)
        threading.Thread(target=serve, daemon=True).start()
        return asked

    def listen(self, port, serve=None, host="127.0.0.1", backlog=128):
        """A TCP server; serve(connection) runs in a thread for each client. Returns the listening socket."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(backlog)

        def accept():
            while True:
                connection, _ = sock.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()
        if serve:
            threading.Thread(target=accept, daemon=True).start()
        return sock

    def end(self):
        for p in reversed(self.started):
            if p.poll() is None:
                try:
                    os.killpg(p.pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
        for p in self.started:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)


def echo(connection):
    """For listen(): sends back what comes, and the end too. Clients may go as they like."""
    with connection, contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            connection.sendall(data)


def run_one(function, directory):
    """In the private namespace: one test. Returns the exit status (77: skipped)."""
    assert os.environ.get("TSPROXY_TEST_PRIVATE") == "yes", "tests run in a private namespace only"
    # Who is started in the background by a shell without job control ignores these, and so would all that is tested here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    t = Test(directory)
    try:
        function(t)
        return 0
    except Skip as why:
        print(why)
        return 77
    except AssertionError as error:
        import traceback
        frame = traceback.extract_tb(error.__traceback__)[1:] or traceback.extract_tb(error.__traceback__)
        for f in frame:
            print(f"{os.path.relpath(f.filename, ROOT)}:{f.lineno}: {f.line}")
        print(error)
        return 1
    except Exception:   # a broken test is a failed one, and says where
        import traceback
        traceback.print_exc(file=sys.stdout)
        return 1
    finally:
        t.end()

# SPDX-License-Identifier: MIT
"""Real programs that have nothing to do with the tailnet, each a function of p, by which it starts what is to be traced."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys

import calls
import harness

PROGRAMS = []
PAGE, SSH, PORT = 8000, 2200, 8100
ROUNDS = 4


def program(*needs, users=False):
    """The programs without which it is skipped; `users`: it has to become, or serve, another user."""
    def add(function):
        PROGRAMS.append((function.__name__, function, needs, users))
        return function
    return add


class Run:
    """One run of such a function, with the library or without. Every run has the same directory, made anew."""

    def __init__(self, t, name, loaded):
        self.t, self.loaded, self.logs, self.more = t, loaded, [], {}
        self.dir = os.path.join(t.dir, name)
        self.logs_dir = f"{self.dir}.logs"
        for path in (self.dir, self.logs_dir):
            shutil.rmtree(path, ignore_errors=True)
            os.mkdir(path)
            os.chmod(path, 0o777)

    def file(self, name, text=""):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def may(self, *lists):
        """What the library may add besides, as calls.py has it."""
        self.more = calls.add(self.more, *lists)

    def traced(self, argv):
        """argv under strace, its addresses the same in each run."""
        log = os.path.join(self.logs_dir, str(len(self.logs)))
        self.logs.append(log)
        preload = ["-E", "LD_PRELOAD=" + self.t.build("libtsproxy.so")] if self.loaded else []
        return ["setarch", "-R", "strace", "-f", "-y", "--quiet=attach,personality", "-s", "0", "-e", "signal=SIGSYS", "-o", log, *preload, *argv]

    def run(self, *argv, unprivileged=False):
        """A program that ends by itself."""
        argv = self.traced(map(str, argv))
        return self.t.run(self.t.unprivileged(argv) if unprivileged else argv, cwd=self.dir, timeout=60).good()

    def serve(self, argv, ask, stop=signal.SIGTERM, unprivileged=False, ready=lambda: harness.listening(PORT)):
        """A server at PORT: asked natively, and then stopped."""
        argv = self.traced(map(str, argv))
        log = os.path.join(self.logs_dir, "output")
        with open(log, "wb") as out:
            tracer = subprocess.Popen(self.t.unprivileged(argv) if unprivileged else argv, cwd=self.dir, env=self.t.env, stdout=out, stderr=out,
                                      stdin=subprocess.DEVNULL, start_new_session=True)

        def end(how):
            with open(f"/proc/{tracer.pid}/task/{tracer.pid}/children") as f:
                os.kill(int(f.read().split()[0]), how)
            return tracer.wait(30)
        try:
            harness.until(lambda: ready() or tracer.poll() is not None, f"readiness of {argv[-1]}", 60)
            if tracer.poll() is None:
                ask()
                end(stop)
            status = tracer.returncode
        finally:
            if tracer.poll() is None:
                end(signal.SIGKILL)
        with open(log, errors="replace") as out:
            assert status in (0, -stop, 128 + stop), f"{' '.join(argv)}: status {status}\n{out.read()}"


def exchange(port, data=b"", host="127.0.0.1"):
    """What a server answers, until it closes or has said as much."""
    with socket.create_connection((host, port), 10) as s:
        s.sendall(data)
        return s.recv(65536)


def http(port):
    assert exchange(port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.")


@contextlib.contextmanager
def folder_served(path):
    """By a web server at PORT that is not traced."""
    web = subprocess.Popen([sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", path, str(PORT)],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        harness.until(lambda: harness.listening(PORT), "web server")
        yield
    finally:
        web.kill()
        web.wait()


class Surroundings:
    """Servers that are not traced: a page, and ssh."""

    def __init__(self, t):
        self.t = t
        t.page(PAGE)
        self.ssh_config = None

    def ssh(self):
        """Configuration of a client for an sshd of ours."""
        if self.ssh_config:
            return self.ssh_config
        t = self.t
        for name in ("host", "user"):
            t.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(t.dir, name)]).good()
        shutil.copy(os.path.join(t.dir, "user.pub"), os.path.join(t.dir, "authorized"))
        config = t.file("sshd_config", f"Port {SSH}\nListenAddress 127.0.0.1\nHostKey {t.dir}/host\nAuthorizedKeysFile {t.dir}/authorized\n"
                                       "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n")
        t.spawn([shutil.which("sshd", path=harness.PATH), "-D", "-e", "-f", config], lambda: harness.listening(SSH))
        self.ssh_config = t.file("ssh_config", f"Host *\nPort {SSH}\nUser root\nIdentityFile {t.dir}/user\nUserKnownHostsFile /dev/null\n"
                                               "StrictHostKeyChecking no\nLogLevel ERROR\n")
        return self.ssh_config


def excess(plain, loaded):
    """
    [(call, counts without, counts with the library)] where every run with the library differs from those without by more than is allowed
    and more than these differ among themselves, or than one in a hundred, which timing does to what is made so often.
    """
    wrong = []
    for name in sorted(set().union(*(run.calls for run in plain + loaded))):
        counts = [run.calls[name] for run in plain]
        low, high = min(counts), max(counts)
        chance = max(high - low, high // 100)
        if all(run.calls[name] > high + chance + run.allowed[name] or run.calls[name] < low - chance for run in loaded):
            wrong.append((name, counts, [run.calls[name] for run in loaded]))
    return wrong


class Counted:
    """What a run has made, and what it may have made for the library."""

    def __init__(self, run):
        self.calls, execs, failed, self.killed = calls.of_logs(run.logs)
        by_programs = max(execs - len(run.logs), 0)
        self.allowed = calls.add(calls.times(execs, calls.add(calls.START, calls.FORK)), calls.times(by_programs, calls.EXEC),
                                 calls.times(failed, calls.EXEC_FAILED), run.more)


def compare(t, around, name, function, needs, users):
    """
    Twice without the library and once with it; where the counts differ, again, up to four times: what a program does is not the same in each
    run, and what the library adds is.
    """
    t.need("strace", *needs)
    if users and not harness.whole_user_namespace():
        raise harness.Skip("there is no other user in this namespace")

    def once(loaded):
        run = Run(t, name, loaded)
        run.around = around
        function(run)
        counted = Counted(run)
        assert not counted.killed, f"killed {'with' if loaded else 'without'} the library: {counted.killed}"
        return counted
    plain, loaded = [once(False)], []
    for _ in range(ROUNDS):
        plain.append(once(False))
        loaded.append(once(True))
        wrong = excess(plain, loaded)
        if not wrong:
            return
    assert False, "\n".join(f"{call}: {without} without, {with_it} with the library" for call, without, with_it in wrong)


# --- clients ---

@program("curl")
def curl(p):
    assert p.run("curl", "-sS", f"http://127.0.0.1:{PAGE}/") == "a page\n"


@program("wget")
def wget(p):
    assert p.run("wget", "-qO-", f"http://127.0.0.1:{PAGE}/") == "a page\n"


@program("socat")
def socat(p):
    assert "a page" in p.run("sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | socat -t5 - TCP:127.0.0.1:{PAGE}")


@program("ssh", "sshd", users=True)
def ssh(p):
    assert p.run("ssh", "-F", p.around.ssh(), "127.0.0.1", "echo there") == "there\n"


@program("git", "ssh", "sshd", users=True)
def git(p):
    origin = os.path.join(p.dir, "origin")
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    p.t.run(["git", *who, "init", "-q", origin]).good()
    p.t.run(["git", "-C", origin, *who, "commit", "-q", "--allow-empty", "-m", "first"]).good()
    p.run("git", *who, "clone", "-q", f"file://{origin}", "by-file")
    p.run("git", *who, "-c", f"core.sshCommand=ssh -F {p.around.ssh()}", "clone", "-q", f"ssh://127.0.0.1{origin}", "by-ssh")
    p.t.run(["git", "-C", origin, "update-server-info"]).good()
    with folder_served(p.dir):
        p.run("git", *who, "clone", "-q", f"http://127.0.0.1:{PORT}/origin/.git", "by-http")


@program("rsync")
def rsync(p):
    os.mkdir(os.path.join(p.dir, "from"))
    p.file("from/a", "a\n" * 1000)
    p.run("rsync", "-a", "from/", "to")


# --- languages ---

@program("python3")
def python(p):
    if not os.path.exists("/usr/lib/python3/dist-packages/requests"):
        raise harness.Skip("python3-requests is not installed")
    p.run("/usr/bin/python3", "-c", f'''
import asyncio, requests
async def serve(reader, writer):
    writer.write(await reader.read(5))
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", {PORT})
    reader, writer = await asyncio.open_connection("127.0.0.1", {PORT})
    writer.write(b"hello")
    assert await reader.read() == b"hello"
    writer.close()
    server.close()
asyncio.run(main())
assert requests.get("http://127.0.0.1:{PAGE}/").text == "a page\\n"
''')


@program("node")
def node(p):
    p.run("node", "-e", f'''
const http = require("http");
const server = http.createServer((q, a) => a.end("hello")).listen({PORT}, "127.0.0.1", () =>
    http.get({{ host: "127.0.0.1", port: {PORT}, agent: false }}, a => a.resume().on("end", () => server.close())));
''')


@program("javac", "java")
def java(p):
    p.file("Hello.java", f'''
import java.net.*;
public class Hello {{
    public static void main(String[] a) throws Exception {{
        try (ServerSocket s = new ServerSocket({PORT}, 5, InetAddress.getByName("127.0.0.1"));
             Socket c = new Socket("127.0.0.1", {PORT}); Socket d = s.accept()) {{
            c.getOutputStream().write(42);
            System.out.println(d.getInputStream().read());
        }}
    }}
}}
''')
    p.t.run(["javac", "Hello.java"], cwd=p.dir, timeout=60).good()
    assert p.run("java", "-Xint", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "Hello") == "42\n"


@program("perl")
def perl(p):
    p.run("perl", "-MIO::Socket::INET", "-e", f'''
my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1:{PORT}", ReuseAddr => 1) or die;
my $c = IO::Socket::INET->new("127.0.0.1:{PORT}") or die;
my $d = $s->accept; print $c "hello\\n"; close $c; die unless <$d> eq "hello\\n"; die unless `echo there` eq "there\\n";
''')


@program("php")
def php(p):
    p.may(calls.REBIND)
    p.run("php", "-r", f'if (file_get_contents("http://127.0.0.1:{PAGE}/") !== "a page\\n") exit(1);')


@program("ruby")
def ruby(p):
    p.run("ruby", "-rsocket", "-e", f'''
s = TCPServer.new("127.0.0.1", {PORT}); c = TCPSocket.new("127.0.0.1", {PORT}); d = s.accept
c.puts "hello"; exit 1 unless d.gets == "hello\\n"
''')


# --- tools ---

@program("bash")
def bash(p):
    p.run("bash", "-c", f'exec 3<>/dev/tcp/127.0.0.1/{PAGE}; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3 | tail -n 1; for i in 1 2 3; do (true); done')


@program("busybox")
def busybox(p):
    p.run("busybox", "sh", "-c", f"busybox wget -qO- http://127.0.0.1:{PAGE}/ | busybox grep page")


@program("make", "gcc")
def make(p):
    p.file("a.c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n")
    p.file("Makefile", "all: a\n\t./a\na: a.c\n\tgcc -o $@ $<\n")
    p.run("make", "-s")


@program("tar", "gzip")
def tar(p):
    p.file("a", "a\n" * 100000)
    p.run("tar", "-czf", "a.tar.gz", "a")
    p.run("tar", "-xzf", "a.tar.gz")


@program("tmux")
def tmux(p):
    p.run("tmux", "-S", os.path.join(p.dir, "s"), "-f", "/dev/null", "new-session", "-d", "true")


@program("openssl")
def openssl(p):
    p.run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "key", "-out", "cert", "-subj", "/CN=a", "-days", "1")


@program("apt-get", users=True)
def apt(p):
    p.may(calls.times(3, calls.SANDBOX))	# as many methods
    for name in ("repo", "state/lists/partial", "cache/archives/partial", "etc/preferences.d", "etc/apt.conf.d"):
        os.makedirs(os.path.join(p.dir, name))
    p.file("repo/Packages", "Package: a\nVersion: 1\nArchitecture: all\nFilename: ./a.deb\nSize: 1\nMD5sum: 68b329da9893e34099c7d8ad5cb9c940\n")
    p.file("sources.list", f"deb [trusted=yes] http://127.0.0.1:{PORT} ./\ndeb [trusted=yes] file:{p.dir}/repo ./\n")
    p.file("state/status")
    for folder in ("state/lists/partial", "cache/archives/partial"):
        shutil.chown(os.path.join(p.dir, folder), "_apt")
    with folder_served(os.path.join(p.dir, "repo")):
        p.run("apt-get", "-o", "APT::Sandbox::Seccomp=true", "-o", f"Dir::Etc={p.dir}/etc", "-o", f"Dir::Etc::SourceList={p.dir}/sources.list",
              "-o", f"Dir::State={p.dir}/state", "-o", f"Dir::State::status={p.dir}/state/status", "-o", f"Dir::Cache={p.dir}/cache",
              "-o", "APT::Update::Post-Invoke-Success=", "-o", "APT::Update::Post-Invoke=", "update")
        assert sum("_Packages" in name for name in os.listdir(os.path.join(p.dir, "state/lists"))) == 2


# --- servers ---

@program("nginx", users=True)
def nginx(p):
    config = p.file("nginx.conf", f"daemon off; worker_processes 1; error_log {p.dir}/log; pid {p.dir}/pid; events {{}}\n"
                                  f"http {{ access_log off; server {{ listen 127.0.0.1:{PORT}; root {p.dir}; }} }}\n")
    p.serve(["nginx", "-p", p.dir, "-c", config], lambda: http(PORT), signal.SIGQUIT)


@program("redis-server", "redis-cli")
def redis(p):
    def ask():
        assert p.run("redis-cli", "-p", PORT, "set", "a", "b") == "OK\n"
    p.serve(["redis-server", "--port", PORT, "--bind", "127.0.0.1", "--save", "", "--dir", p.dir], ask)


@program("psql")
def postgres(p):
    servers = sorted(f"/usr/lib/postgresql/{v}/bin" for v in os.listdir("/usr/lib/postgresql"))
    data = os.path.join(p.t.dir, "postgres-data")
    pid = os.path.join(data, "postmaster.pid")	# says when it takes connections
    if not os.path.exists(data):
        os.mkdir(data)
        if harness.whole_user_namespace():
            os.chown(data, 65534, 65534)
        p.t.run(p.t.unprivileged([f"{servers[-1]}/initdb", "-D", data, "-N", "-A", "trust", "-U", "a", "--no-locale"]), timeout=120).good()
    p.serve([f"{servers[-1]}/postgres", "-D", data, "-p", PORT, "-h", "127.0.0.1", "-k", p.dir, "-c", "autovacuum=off"],
            lambda: p.run("psql", "-h", "127.0.0.1", "-p", PORT, "-U", "a", "-c", "select 1", "postgres"), signal.SIGINT, unprivileged=True,
            ready=lambda: os.path.exists(pid) and open(pid).read().endswith("ready   \n"))


@program("dnsmasq", users=True)
def dnsmasq(p):
    p.serve(["dnsmasq", "-k", "-p", PORT, "-a", "127.0.0.1", "-z", "-R", "-h", "-C", "/dev/null", "-u", "root", f"-x{p.dir}/pid"],
            lambda: exchange_udp(PORT))


def exchange_udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", ("127.0.0.1", port))
        s.recv(512)


@program("chronyd", users=True)
def chronyd(p):
    p.may(calls.SANDBOX)
    config = p.file("chrony.conf", f"port {PORT}\nbindaddress 127.0.0.1\nallow 127.0.0.1\nlocal\ncmdport 0\nbindcmdaddress /\npidfile {p.dir}/pid\n")
    p.serve(["chronyd", "-d", "-x", "-F", "1", "-f", config], lambda: ntp(PORT), ready=lambda: harness.bound(PORT))


def ntp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(b"\x23" + b"\0" * 39 + b"12345678", ("127.0.0.1", port))
        assert len(s.recv(512)) == 48


# --- by itself ---

def chromium(t):
    """
    Headless, in its own sandbox, as an ordinary user. It has threads and processes without number, so counts cannot be compared. What can
    be: that it renders in about its native time, that no seccomp filter kills a process of it, and which calls a filter traps.
    """
    t.need("chromium", "strace")
    page = t.file("page.html", "<p id=x></p><script>document.getElementById('x').textContent = 'ran ' + 6 * 7</script>")
    library = {"LD_PRELOAD": t.build("libtsproxy.so")}

    def render(env, *tracer):
        home = t.unprivileged_dir("chromium")
        log = os.path.join(home, "log")
        argv = [*tracer, *(["-o", log] if tracer else []), "chromium", "--headless", "--disable-gpu", f"--user-data-dir={home}", "--dump-dom", f"file://{page}"]
        done = t.run(t.unprivileged(argv), env={"HOME": home, "XDG_RUNTIME_DIR": home, **env}, timeout=60)
        done.good("ran 42")
        return done.seconds, tracer and calls.trapped(log)
    tracer = ["strace", "-f", "--quiet=attach,personality", "-e", "trace=none", "-e", "signal=SIGSYS"]
    loaded = ["-E", f"LD_PRELOAD={library['LD_PRELOAD']}"]
    natively, with_it = set(), []
    for _ in range(ROUNDS):
        natively |= render({}, *tracer)[1]
        with_it.append(render({}, *tracer, *loaded)[1])
        if with_it[-1] <= natively:
            break
    more = set.intersection(*with_it) - natively
    assert not more, f"trapped only with the library: {', '.join(sorted(more))}"
    took = [render(env)[0] for env in ({}, library) * 2]
    assert min(took[1::2]) < 2 * min(took[::2]) + 1, f"seconds without and with the library, in turn: {took}"

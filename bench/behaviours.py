#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/behaviours.py [BUILD]: what a program sees under tsproxy and under what it replaces; writes bench/behaviours.md.

Each line is a small program, run under each tool over the simulated tailnet, in a private namespace. It prints "yes", or in a few
words what it found instead. docs/comparison.md tells what follows from it.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
import run as bench  # noqa: E402

NODE, NAME, NODE6 = bench.NODE, bench.NAME, "fd7a:115c:a1e0::385a"
OUTSIDE = "198.51.100.7"    # RFC 5737: here an address of this machine's own
TCP, UDP, PORT, CLOSED = 7010, 7011, 7012, 7019

HEAD = f"""
import errno, os, select, socket, sys, time
NODE, NAME, NODE6, OUTSIDE, TCP, UDP, PORT, CLOSED = {NODE!r}, {NAME!r}, {NODE6!r}, {OUTSIDE!r}, {TCP}, {UDP}, {PORT}, {CLOSED}
def echoed(s):
    s.settimeout(5)
    s.sendall(b"hello")
    return "yes" if s.recv(64) == b"hello" else "other bytes come back"
"""

PROBES = [
    ("A node's name resolves to its address", """
print("yes" if socket.getaddrinfo(NAME, TCP, socket.AF_INET)[0][4][0] == NODE else "an invented address")"""),
    ("A name that is not in the tailnet does not resolve", """
try:
    print("resolves to", socket.getaddrinfo("nobody.tail5e2b.ts.net", TCP)[0][4][0])
except OSError:
    print("yes")"""),
    ("A connection by address", "print(echoed(socket.create_connection((NODE, TCP), 5)))"),
    ("A connection by name", "print(echoed(socket.create_connection((NAME, TCP), 5)))"),
    ("A connection by IPv6 address", "print(echoed(socket.create_connection((NODE6, TCP), 5)))"),
    ("A connection to a closed port is refused", """
try:
    socket.create_connection((NODE, CLOSED), 5)
    print("connected")
except OSError as e:
    print("yes" if e.errno == errno.ECONNREFUSED else errno.errorcode.get(e.errno, str(e)))"""),
    ("getpeername gives the node", """
name = socket.create_connection((NODE, TCP), 5).getpeername()
print("yes" if name == (NODE, TCP) else "the proxy" if name[0] == "127.0.0.1" else name)"""),
    ("getsockname gives this node", """
name = socket.create_connection((NODE, TCP), 5).getsockname()[0]
print("yes" if name.startswith("100.") else name)"""),
    ("A non-blocking connect does not block (proxy 0.2 s away)", """
s = socket.socket()
s.setblocking(False)
start = time.monotonic()
err = s.connect_ex((NODE, bench_echo))
took = time.monotonic() - start
print("yes" if took < .1 and err == errno.EINPROGRESS else "waits" if took >= .1 else errno.errorcode.get(err, err))"""),
    ("epoll reports a socket that was in it before connect", """
s = socket.socket()
s.setblocking(False)
e = select.epoll()
e.register(s, select.EPOLLOUT | select.EPOLLET)
e.poll(0)
s.connect_ex((NODE, TCP))
print("yes" if e.poll(2) and s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and s.getpeername() else "never")"""),
    ("Datagrams (UDP) reach a node", """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.sendto(b"hello", (NODE, UDP))
    s.settimeout(2)
    print("yes" if s.recvfrom(64) == (b"hello", (NODE, UDP)) else "from another address")
except OSError as e:
    print("sent past the proxy" if isinstance(e, TimeoutError) or e.errno in (errno.ENETUNREACH, errno.ECONNREFUSED) else "refused")"""),
    ("Connections outside the tailnet are direct", """
try:
    print(echoed(socket.create_connection((OUTSIDE, PORT), 5)))
except OSError:
    print("goes to the proxy")"""),
    ("What the user preloads is kept", "print('yes' if 'empty.so' in os.environ.get('LD_PRELOAD', '') else 'dropped')"),
    ("No thread is added", """
socket.getaddrinfo(NODE, TCP)
n = len(os.listdir("/proc/self/task"))
print("yes" if n == 1 else f"{n - 1} more")"""),
]


def serve():
    """Echoes: of streams on loopback and outside, of datagrams on loopback. The tailnet's node is this machine."""
    def stream(connection):
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data)

    def accept(listener):
        while True:
            threading.Thread(target=stream, args=(listener.accept()[0],), daemon=True).start()
    for host, port in (("127.0.0.1", TCP), ("::1", TCP), (OUTSIDE, PORT)):
        threading.Thread(target=accept, args=(socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else
                                                                   socket.AF_INET),), daemon=True).start()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", UDP))

    def back():
        while True:
            data, client = datagrams.recvfrom(4096)
            datagrams.sendto(data, client)
    threading.Thread(target=back, daemon=True).start()


class Behaviours(bench.Bench):
    def probe(self, way, port, program, extra=None):
        done = self.run_words(way, port, [sys.executable, "-c", HEAD + f"bench_echo = {bench.ECHO}\n" + program], extra)
        out = done and done.stdout.strip().split("\n")[-1]
        return out if out and done.returncode == 0 else "fails"

    def run_words(self, way, port, words, extra=None):
        """Behind the tool's own launcher; tsproxy is told of the slow proxy as it is of the other."""
        launcher = {"tsproxy": [os.path.join(self.build, "tsproxy"), "--"], "native": []}.get(way.name, way.launcher)
        env = {**self.base, **{k: v for k, v in way.env(port).items() if k != "LD_PRELOAD"}, **(extra or {})}
        if way.name == "proxychains4":
            launcher = ["proxychains4", "-q", "-f", env["PROXYCHAINS_CONF_FILE"]]
        try:
            return subprocess.run([*(launcher or []), *words], env=env, cwd=self.folder, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False, text=True)
        except subprocess.TimeoutExpired:
            return None

    def static(self, way):
        done = self.run_words(way, bench.SIM, [os.path.join(self.folder, "static")])
        return "silently bypasses the proxy" if done and done.returncode == 0 and not done.stderr else "yes"

    def table_of_all(self):
        ways = [w for w in self.ways if w.name != "native"]
        rows = []
        for title, program in PROBES:
            port = bench.SLOW if "bench_echo" in program else bench.SIM
            extra = {"LD_PRELOAD": self.program("empty.so")} if "preloads" in title else None
            rows.append([title, *(self.probe(way, port, program, extra) for way in ways)])
        rows.append(["A static program does not silently bypass the proxy", *map(self.static, ways)])
        rows.append(["Total", *(f"{sum(row[i + 1] == 'yes' for row in rows)} of {len(rows)}" for i in range(len(ways)))])
        self.say("# What a program sees\n")
        self.say("`bench/behaviours.py` runs each line as a small program under each tool, over the simulated tailnet. "
                 + ", ".join(f"{w.name} {w.version}" for w in ways)
                 + (f". Not installed, so not tested: {', '.join(self.missing)}" if self.missing else "") + ".")
        self.table(["", *(w.name for w in ways)], rows)

    def all(self):
        subprocess.run(["ip", "address", "add", f"{OUTSIDE}/32", "dev", "lo"], check=True)
        serve()
        self.servers()
        self.sync(bench.SIM, bench.SLOW)
        subprocess.run(["ip", "address", "del", f"{NODE}/32", "dev", "lo"], check=True)
        source = self.config("static.c", "int main(void) { return 0; }\n")
        subprocess.run([shutil.which("gcc") or "cc", "-static", "-o", os.path.join(self.folder, "static"), source], check=True)
        self.table_of_all()
        with open(os.path.join(HERE, "behaviours.md"), "w", encoding="utf-8") as f:
            f.write("\n".join(self.lines) + "\n")


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(bench.ROOT, "build"))
    if os.environ.get("TSPROXY_TEST_PRIVATE") != "yes":
        os.execv(bench.PRIVATE, [bench.PRIVATE, sys.executable, os.path.abspath(__file__), build])
    with tempfile.TemporaryDirectory(prefix="tsproxy-behaviours-") as folder:
        Behaviours(build, folder).all()


if __name__ == "__main__":
    main()

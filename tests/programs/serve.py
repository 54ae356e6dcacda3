#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""serve.py DIRECTORY SERVER...: the peer of both worlds. Says a byte when all listen; what it started ends with it."""
import ctypes
import os
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import harness  # noqa: E402
import quic  # noqa: E402
import servers  # noqa: E402

EVERYWHERE = ("0.0.0.0", "::")
PYTHON = "/usr/bin/python3"     # the one that has Debian's modules
# What a program's header names as its server, and where it listens. Nothing does at CLOSED.
PORTS = {"http": 3000, "echo": 3001, "manager": 3002, "grpc": 3003, "zmq": 3004, "websocket": 3005, "tls": 4433, "smtp": 2525,
         "memcached": 11211, "mysql": 3306, "mqtt": 1883, "smb": 4450, "iperf3": 5201, "redis": 6379, "postgres": 5432, "ssh": 2222,
         "rsync": 8730, "git": 9418, "quic": 4434}
CLOSED = 3999


def redis(t):
    t.spawn(["redis-server", "--port", "6379", "--protected-mode", "no", "--save", "", "--dir", t.dir],
            lambda: harness.listening(6379))


def rsync(t):
    os.makedirs(f"{t.dir}/module")
    t.file("module/data", "0123456789abcde\n" * 65536)
    conf = t.file("rsyncd.conf", f"use chroot = no\nuid = root\ngid = root\n[module]\npath = {t.dir}/module\n")
    t.spawn(["rsync", "--daemon", "--no-detach", "--port", "8730", "--config", conf], lambda: harness.listening(8730))


def git(t):
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
           "GIT_AUTHOR_DATE": "2026-01-01T00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00Z"}
    t.run(["git", "init", "-q", "-b", "main", "repo"]).good()
    t.file("repo/file", "text\n")
    t.run(["git", "-C", "repo", "add", "file"]).good()
    t.run(["git", "-C", "repo", "commit", "-q", "-m", "one"], env=who).good()
    t.spawn(["git", "daemon", "--export-all", "--base-path=" + t.dir, "--listen=0.0.0.0", "--listen=::"],
            lambda: harness.listening(9418))


def manager(t):
    t.spawn([PYTHON, "-c", """
from multiprocessing.managers import BaseManager, DictProxy
shared = {}
BaseManager.register("shared", lambda: shared, DictProxy)
BaseManager(("0.0.0.0", 3002), authkey=b"secret").get_server().serve_forever()
"""], lambda: harness.listening(3002))


def grpc(t):
    t.spawn([PYTHON, "-c", """
import concurrent.futures, grpc
def echo(request, context):
    return request
def many(request, context):
    for i in range(int(request)):
        yield b"x" * 100
class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/test/Echo":
            return grpc.unary_unary_rpc_method_handler(echo)
        return grpc.unary_stream_rpc_method_handler(many)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), [Handler()])
server.add_insecure_port("[::]:3003")
server.start()
server.wait_for_termination()
"""], lambda: harness.listening(3003, "::"))


def memcached(t):
    t.spawn(["memcached", "-u", "root", "-p", "11211", "-U", "0"], lambda: harness.listening(11211))


def mysql(t):
    data = f"{t.dir}/mysql"
    t.run(["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db",
           "--auth-root-authentication-method=normal"], timeout=60).good()
    first = t.file("mysql.sql", "create user app@'%' identified by 'secret';\ncreate database test;\ngrant all on *.* to app@'%';\n")
    t.spawn(["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={t.dir}/mysql.sock", "--bind-address=*",
             "--skip-name-resolve", f"--init-file={first}", "--innodb-flush-log-at-trx-commit=0"],
            lambda: harness.listening(3306) or harness.listening(3306, "::"))


def tls(t):
    t.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=peer",
           "-addext", "subjectAltName=DNS:peer", "-keyout", f"{t.dir}/key", "-out", f"{t.dir}/cert"]).good()
    conf = t.file("nginx.conf", f"""
worker_processes 1; pid {t.dir}/nginx.pid; daemon off; user root;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {t.dir}/b; proxy_temp_path {t.dir}/p; fastcgi_temp_path {t.dir}/f;
    uwsgi_temp_path {t.dir}/u; scgi_temp_path {t.dir}/s;
    server {{
        listen 4433 ssl; listen [::]:4433 ssl; ssl_certificate {t.dir}/cert; ssl_certificate_key {t.dir}/key;
        return 200 "a page\\n";
    }}
}}
""")
    t.spawn(["nginx", "-p", t.dir, "-c", conf, "-e", f"{t.dir}/nginx.log"], lambda: harness.listening(4433))


def http3(t):
    quic.prepare(t.dir)
    t.spawn(quic.serve(t.dir, "*", 4434), lambda: harness.bound(4434, "::") and harness.bound(4434))


def zmq(t):
    t.spawn([PYTHON, "-c", """
import zmq
s = zmq.Context().socket(zmq.REP)
s.setsockopt(zmq.IPV6, 1)
s.bind("tcp://[::]:3004")
while True:
    s.send(s.recv())
"""], lambda: harness.listening(3004, "::"))


def websocket(t):
    t.spawn([PYTHON, "-c", """
import asyncio, websockets
async def echo(s):
    async for message in s:
        await s.send(message)
async def main():
    async with websockets.serve(echo, ["0.0.0.0", "::"], 3005, max_size=None):
        await asyncio.Future()
asyncio.run(main())
"""], lambda: harness.listening(3005, "::"))


def smtp(t):
    t.spawn([PYTHON, "-W", "ignore", "-c", """
import asyncore, smtpd
class Server(smtpd.SMTPServer):
    def process_message(self, peer, sender, to, data, **more):
        return None
Server(("::", 2525), None)
asyncore.loop()
"""], lambda: harness.listening(2525, "::"))


def mqtt(t):
    conf = t.file("mosquitto.conf", "listener 1883\nallow_anonymous true\nuser root\n")
    t.spawn(["mosquitto", "-c", conf], lambda: harness.listening(1883))


def smb(t):
    os.makedirs(f"{t.dir}/share")
    t.file("share/data", "0123456789abcde\n")
    conf = t.file("smb.conf", f"""
[global]
smb ports = 4450
map to guest = bad user
guest account = root
private dir = {t.dir}
lock directory = {t.dir}
state directory = {t.dir}
cache directory = {t.dir}
pid directory = {t.dir}
ncalrpc dir = {t.dir}/ncalrpc
log file = {t.dir}/smb.log
load printers = no
disable spoolss = yes
[share]
path = {t.dir}/share
guest ok = yes
""")
    t.spawn(["smbd", "-F", "--no-process-group", "-s", conf], lambda: harness.listening(4450))


START = {
    "http": lambda t: t.page(3000, host="::"),
    "echo": lambda t: t.listen(3001, harness.echo, host="::", backlog=1024),
    "redis": redis,
    "postgres": lambda t: servers.postgres(t, EVERYWHERE),
    "ssh": lambda t: servers.sshd(t, EVERYWHERE),
    "rsync": rsync,
    "git": git,
    "manager": manager,
    "grpc": grpc,
    "tls": tls,
    "quic": http3,
    "memcached": memcached,
    "mysql": mysql,
    "zmq": zmq,
    "websocket": websocket,
    "smtp": smtp,
    "mqtt": mqtt,
    "smb": smb,
    "iperf3": lambda t: t.spawn(["iperf3", "-s", "-p", "5201"], lambda: harness.listening(5201, "::")),
}


def main():
    # The road ends, and this with it, whatever happens to who started them.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    t = harness.Test(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for name in sys.argv[2:]:
            START[name](t)
        os.write(1, b"r")     # one write: nobody reads a second
        threading.Event().wait()
    finally:
        t.end()


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, subprocess.SubprocessError) as error:
        sys.exit(f"serve: {error}")

# SPDX-License-Identifier: MIT
"""Databases, ssh and git: real servers, real clients, by short name."""
import functools
import http.server
import threading

from harness import Skip, NAME1, NODE1, listening, test
from servers import postgres, sshd


@test("psql by short name: a query, a big result, copy in and out")
def psql(t):
    t.need("psql")
    sim = t.tailnet()
    env = postgres(t)
    t.tsproxy("psql", "-h", NAME1, "-Atc", "select 6 * 7", env=env).good("42")
    query = "select repeat('x', 100) from generate_series(1, 20000)"
    out = t.tsproxy("psql", "-h", NAME1, "-Atc", query, env=env).good()
    assert len(out) == 20000 * 101
    t.tsproxy("psql", "-h", NODE1, "-c", "create table t (n int)", "-c", "copy t from stdin", env=env,
              stdin="\n".join(map(str, range(1000))) + "\n").good("COPY 1000")
    t.tsproxy("psql", "-h", NODE1, "-Atc", "select count(*), sum(n) from t", env=env).good("1000|499500")
    t.tsproxy("psql", "-h", NODE1, "-p", "5999", "-c", "select 1", env=env).bad("Connection refused", status=2)
    assert sum(v["connections"] for k, v in sim.stats()["targets"].items() if k.endswith(":5432")) >= 4


@test("pgbench -C: hundreds of connections, one for each transaction, from several clients")
def pgbench(t):
    t.need("pgbench", "psql")
    sim = t.tailnet()
    env = postgres(t)
    script = t.file("select.sql", "select :client_id;\n")
    out = t.tsproxy("pgbench", "-h", NAME1, "-n", "-C", "-c", "8", "-j", "2", "-t", "40", "-f", script, env=env,
                    timeout=90).good("number of failed transactions: 0")
    assert "320/320" in out, out
    assert sum(v["connections"] for k, v in sim.stats()["targets"].items() if k.endswith(":5432")) >= 320


@test("redis-cli: one command, a pipe of ten thousand, a subscription")
def redis(t):
    t.need("redis-server", "redis-cli")
    t.tailnet()
    t.spawn(["redis-server", "--port", "6379", "--bind", "127.0.0.1", "--save", "", "--dir", t.dir],
            lambda: listening(6379))
    t.tsproxy("redis-cli", "-h", NAME1, "set", "key", "value").good("OK")
    t.tsproxy("redis-cli", "-h", NODE1, "get", "key").good("value")
    commands = "".join(f"SET k{i} {i}\r\n" for i in range(10000))
    t.tsproxy("redis-cli", "-h", NAME1, "--pipe", stdin=commands).good("errors: 0, replies: 10000")
    t.tsproxy("redis-cli", "-h", NAME1, "-r", "3", "incr", "counter").good("3")
    t.tsproxy("redis-cli", "-h", NAME1, "-p", "6999", "ping").bad("Connection refused")


def whole_namespace():
    with open("/proc/self/uid_map") as f:
        return int(f.read().split()[2]) > 1


def need_users(t):
    """sshd changes to other users, which a user namespace with one user does not have."""
    if not whole_namespace():
        raise Skip("sshd needs more users than this namespace has: run the tests as root")


@test("ssh: a command, its status, a megabyte each way, a closed port")
def ssh(t):
    need_users(t)
    t.need("ssh")
    t.tailnet()
    config = sshd(t)
    t.tsproxy("ssh", "-F", config, NAME1, "echo from $SSH_CONNECTION").good("from 127.0.0.1")
    assert t.tsproxy("ssh", "-F", config, NAME1, "exit 7").status == 7
    data = "0123456789abcde\n" * 65536
    assert t.tsproxy("ssh", "-F", config, NODE1, "cat", stdin=data).good() == data
    t.tsproxy("ssh", "-F", config, "-p", "2999", NAME1, "true").bad("Connection refused", status=255)


@test("scp and sftp copy both ways; git clones and pushes over ssh")
def ssh_copies(t):
    need_users(t)
    t.need("ssh", "scp", "git")
    t.tailnet()
    config = sshd(t)
    data = t.file("data", "0123456789abcde\n" * 65536)
    t.tsproxy("scp", "-q", "-F", config, data, f"{NAME1}:{t.dir}/there").good()
    t.tsproxy("scp", "-q", "-F", config, f"{NAME1}:{t.dir}/there", f"{t.dir}/back").good()
    t.run(["cmp", data, f"{t.dir}/back"]).good()
    env = {"GIT_SSH_COMMAND": f"ssh -F {config}", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
           "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    t.run(["git", "init", "-q", "--bare", "-b", "main", f"{t.dir}/repo.git"]).good()
    url = f"ssh://{NAME1}{t.dir}/repo.git"
    t.tsproxy("git", "clone", "-q", url, "work", env=env).good()
    t.file("work/file", "text\n")
    for words in (["add", "file"], ["commit", "-q", "-m", "one"], ["push", "-q", "origin", "HEAD:main"],
                  ["fetch", "-q"]):
        t.tsproxy("git", "-C", "work", *words, env=env).good()
    t.run(["git", "-C", f"{t.dir}/repo.git", "log", "--oneline", "main"]).good("one")


@test("git clones over HTTP")
def git_http(t):
    t.need("git")
    sim = t.tailnet()
    env = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    t.run(["git", "init", "-q", "-b", "main", "work"]).good()
    t.file("work/file", "text\n")
    t.run(["git", "-C", "work", "add", "file"]).good()
    t.run(["git", "-C", "work", "commit", "-q", "-m", "one"], env=env).good()
    t.run(["git", "clone", "-q", "--bare", "work", "www/repo.git"]).good()
    t.run(["git", "-C", "www/repo.git", "update-server-info"]).good()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 3000), functools.partial(Quiet, directory=f"{t.dir}/www"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    t.tsproxy("git", "clone", "-q", f"http://{NAME1}:3000/repo.git", "copy").good()
    with open(f"{t.dir}/copy/file") as f:
        assert f.read() == "text\n"
    assert sim.stats()["connections"] >= 1

# SPDX-License-Identifier: MIT
"""The servers of node 1: what people run in a workspace. All run as the unprivileged user."""
import glob
import os
import shutil
import subprocess

from world import SUBNET_HOST

PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else shutil.which("python3")
PAGE = "hello from jawnsy-tailscale-1\n"
WEB, PORTS = 3000, {"psql": 5432, "redis-cli": 6379, "ssh": 2222, "git": 8080, "echo": 7007}


def postgres_program(name):
    """Debian keeps the server's own programs out of PATH."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else shutil.which(name)


def as_user(w, *argv):
    subprocess.run([*w.user(), *argv], env=w.environment(), cwd=w.home, check=True, capture_output=True)


def web(w):
    root = os.path.join(w.dir, "www")
    os.mkdir(root)
    with open(os.path.join(root, "index.html"), "w", encoding="ascii") as page:
        page.write(PAGE)
    # The guide's very command.
    w.serve("web", [PYTHON, "-m", "http.server", str(WEB)], WEB, cwd=root)


def echo(w):
    w.serve("echo", [PYTHON, os.path.join(w.programs, "echo.py"), str(PORTS["echo"])], PORTS["echo"])


def psql(w):
    data = os.path.join(w.home, "postgres")
    as_user(w, postgres_program("initdb"), "-D", data, "-A", "trust", "-U", "coder", "--no-sync", "-E", "UTF8")
    w.serve("postgres", [postgres_program("postgres"), "-D", data, "-c", "listen_addresses=127.0.0.1",
                         "-c", "fsync=off", "-c", f"unix_socket_directories={w.home}"], PORTS["psql"])


def redis_cli(w):
    w.serve("redis", ["redis-server", "--bind", "127.0.0.1", "--port", str(PORTS["redis-cli"]), "--save", "",
                      "--dir", w.home], PORTS["redis-cli"])


def ssh(w):
    keys = os.path.join(w.home, "keys")
    as_user(w, "mkdir", "-p", keys)
    for name in "host", "user":
        as_user(w, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(keys, name))
    w.serve("sshd", [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", str(PORTS["ssh"]),
                     "-h", os.path.join(keys, "host"), "-o", "ListenAddress=127.0.0.1", "-o", "PidFile=none",
                     "-o", "UsePAM=no", "-o", "StrictModes=no", "-o", "Subsystem=sftp internal-sftp",
                     "-o", "AuthorizedKeysFile=" + os.path.join(keys, "user.pub")], PORTS["ssh"])


def git(w):
    root = os.path.join(w.home, "git")
    source, bare = os.path.join(root, "source"), os.path.join(root, "project.git")
    who = ["-c", "user.name=coder", "-c", "user.email=coder@localhost", "-c", "init.defaultBranch=main"]
    as_user(w, "git", *who, "init", "-q", source)
    as_user(w, "git", "-C", source, *who, "commit", "-q", "--allow-empty", "-m", "first")
    as_user(w, "git", "clone", "-q", "--bare", source, bare)
    as_user(w, "git", "-C", bare, "update-server-info")
    w.serve("git", [PYTHON, "-m", "http.server", "--bind", "127.0.0.1", str(PORTS["git"])], PORTS["git"], cwd=root)


NEEDS = {"psql": postgres_program("postgres"), "redis-cli": shutil.which("redis-server"),
         "ssh": shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin"), "git": shutil.which("git")}
STARTERS = {"psql": psql, "redis-cli": redis_cli, "ssh": ssh, "git": git}


def start(w, name):
    """Starts a server the first time somebody wants it; returns its port, or None where its program is not here."""
    if not NEEDS[name]:
        return None
    if name not in w.servers:
        STARTERS[name](w)
        w.servers.add(name)
    return PORTS[name]


def subnet_web(w):
    """The same page on a host behind node 1 that is no node itself; the guide's server listens on all addresses."""
    return f"http://{SUBNET_HOST}:{WEB}"

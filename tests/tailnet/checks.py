# SPDX-License-Identifier: MIT
"""The list of checks and what they are written with. A check is a function of the world; it asserts or it is wrong."""
import json
import os
import shutil

from servers import PYTHON

CHECKS = []


class Skip(Exception):
    """What a check needs is not here, and it says what."""


def check(title):
    def add(function):
        CHECKS.append((title, function))
        return function
    return add


def need(program):
    if not shutil.which(program):
        raise Skip(f"{program} is not installed")


def tsproxy(w, *argv, options=(), **more):
    """Runs a program under the launcher on node 2."""
    return w.run("tsproxy", *options, "--", *argv, **more)


def good(done, out=None):
    """The program succeeded (and said so); returns its output."""
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    if out is not None:
        assert out in done.stdout, f"no {out!r} in {done.stdout!r}\n{done.stderr}"
    return done.stdout


def client(w, *argv, **more):
    """Runs one of the programs of programs/client.py under tsproxy and returns the object that it prints."""
    done = tsproxy(w, PYTHON, os.path.join(w.programs, "client.py"), *argv, **more)
    return json.loads(good(done))


def only_proxied(w, **ports):
    """Asserts how many connections the proxies got since the check began, and that no other tailnet name was asked."""
    seen = w.watch.proxied()
    wanted = {1080: ports.get("socks", 0), 3128: ports.get("http", 0)}
    got = {port: seen.get(port, 0) for port in wanted}
    assert got == wanted, f"connections to the proxies: {got}, not {wanted}"
    no_dns(w)


def no_dns(w):
    asked = [name for name in w.resolver.asked() if "jawnsy" in name or name.endswith("ts.net")]
    assert not asked, f"asked of public DNS: {asked}"


def sync(w, **more):
    """Makes the map anew, from what the daemon says now."""
    return good(w.run("tsproxy", "sync", **more))

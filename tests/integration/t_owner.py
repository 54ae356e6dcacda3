# SPDX-License-Identifier: MIT
"""Another user who listens where a proxy is looked for gets nothing, unless a setting names that port."""
import json
import os
import shutil

from harness import API, NAME1, Skip, listening, test, until, whole_user_namespace

MALLORY = 64001
ACCEPTS = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
if ":" in sys.argv[1]:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sys.argv[3:] == ["v6only"])
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen()
while True:
    s.accept()[0].close()
    print("met", flush=True)
"""


def as_user(argv, uid=MALLORY):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *argv]


def others(t):
    """Another user's copy of the simulated tailnet, on a path that every user may walk."""
    if not whole_user_namespace():
        raise Skip("a namespace of one user has no other users")
    t.need("setpriv", "curl")
    place = t.unprivileged_dir("owner")
    shutil.copy(t.build("tsproxy-sim"), place)
    return f"{place}/tsproxy-sim"


def stranger(t, sim, *options, port=1055, uid=MALLORY):
    """Their proxy. Returns how many have connected to it."""
    stats = os.path.join(t.unprivileged_dir("stats"), "stats")
    p = t.spawn(as_user([sim, "--die-with-parent", "--stats", stats, *options], uid), lambda: listening(port))

    def met():
        p.terminate()
        p.wait()
        with open(stats, encoding="utf-8") as f:
            return json.load(f)["accepted"]
    return met


def proxies(t, **more):
    return json.loads(t.launcher("status", "--json", **more).out)["proxies"]


def fetches(t, sim, **more):
    """The page comes, and through this tailnet's proxy."""
    before = sim.stats()["targets"]
    t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/", **more).good("a page")
    assert sim.stats()["targets"] != before


@test("a stranger's proxy on the usual ports is passed over and meets nobody; the daemon's own, further on, is found; doctor and status say whose")
def passed_over(t):
    theirs = others(t)
    met = stranger(t, theirs, "--proxy", "1055", "--http", "3128")
    sim = t.sim("--socks5", "1080", api=API)
    t.page(3000)
    fetches(t, sim)
    assert "127.0.0.1:1080" in t.launcher("sync", "--print").good()
    c, = proxies(t)
    assert c["address"] == "127.0.0.1:1080"
    assert c["owner"] == {"uid": 0, "user": "root", "program": "tsproxy-sim", "trusted": True}, c
    assert ", run by root (tsproxy-sim)\n" in t.launcher("status").good()
    assert met() == 0
    # doctor asks what is spoken there, and sends nothing else.
    stranger(t, theirs, "--proxy", "1055")
    found = json.loads(t.launcher("doctor", "--json").good())["checks"]
    port, = [f for f in found if f["check"] == "port" and "1055" in f["text"]]
    assert port["level"] == "note" and f"run by user {MALLORY}, another user" in port["text"], port
    assert port["fix"] == "it is used only if a setting names it", port
    assert any(f["check"] == "port" and "1080" in f["text"] and "run by root (tsproxy-sim)" in f["text"] for f in found), found
    assert [f for f in found if f["check"] == "proxy"] == [
        {"check": "proxy", "level": "ok", "text": "connections go through socks5 127.0.0.1:1080", "fix": None}], found


@test("a stranger alone: no proxy is found, whichever address is taken; nothing is sent there")
def alone(t):
    others(t)
    t.sim("--socks5", "0", api=API)
    met = t.file("met")
    program = t.file("accepts.py", ACCEPTS)
    for words, says in (["127.0.0.1", 1055], "127.0.0.1:1055"), (["0.0.0.0", 1080], "127.0.0.1:1080"), \
            (["::", 3128], "127.0.0.1:3128"), (["::ffff:127.0.0.1", 1055], "127.0.0.1:1055"):
        with open(met, "wb") as out:
            p = t.spawn(as_user(["python3", program, *words]), lambda: listening(words[1]) or listening(words[1], "::"), stdout=out)
        shutil.rmtree("/run/tsproxy", ignore_errors=True)
        done = t.launcher("sync")
        done.bad(f"{says} belongs to user {MALLORY}, another user, so it is not used", f"--socks5 {says}", status=1)
        assert done.err.count("\n") == 1, done
        t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/").bad(status=7)
        p.terminate()
        p.wait()
        assert os.path.getsize(met) == 0, (words, open(met).read())


@test("a stranger's port of IPv6 alone hides nothing of the daemon's on IPv4")
def beside(t):
    others(t)
    program = t.file("accepts.py", ACCEPTS)
    t.spawn(as_user(["python3", program, "::", "1055", "v6only"]), lambda: listening(1055, "::"))
    sim = t.sim("--socks5", "1055", api=API)
    t.page(3000)
    fetches(t, sim)


@test("a stranger's proxy that a setting names is used, with a warning in sync, doctor and status")
def named(t):
    theirs = others(t)
    t.sim("--socks5", "0", api=API)
    met = stranger(t, theirs, "--socks5", "1055")
    t.page(3000)
    for env in {"TSPROXY_SOCKS5": "127.0.0.1:1055"}, {"ALL_PROXY": "socks5://127.0.0.1:1055"}:
        shutil.rmtree("/run/tsproxy", ignore_errors=True)
        done = t.tsproxy("curl", "-sS", "--noproxy", "*", f"http://{NAME1}:3000/", env=env)
        done.good("a page")
        assert done.err == f"tsproxy: warning: the proxy at 127.0.0.1:1055 belongs to user {MALLORY}, another user, who can " \
            "read and change what goes through it\n", done
        c, = proxies(t, env=env)
        assert c["owner"] == {"uid": MALLORY, "user": f"user {MALLORY}", "program": "tsproxy-sim", "trusted": False}, c
        assert f", run by user {MALLORY}, another user\n" in t.launcher("status", env=env).good()
        found = json.loads(t.launcher("doctor", "--json", env=env).bad(status=1).out)["checks"]
        assert any(f["check"] == "proxy" and f["level"] == "warn" and "another user" in f["text"] for f in found), found
    assert met()


@test("a stranger at the port that ALL_PROXY names does not keep the daemon's own from being found")
def named_and_another(t):
    theirs = others(t)
    met = stranger(t, theirs, "--socks5", "1055")
    sim = t.sim("--socks5", "1080", api=API)
    t.page(3000)
    fetches(t, sim, env={"ALL_PROXY": "socks5h://127.0.0.1:1055", "no_proxy": "*"})
    assert met() == 0


@test("a port that a stranger takes after the daemon's proxy is gone: the next map is without it")
def taken(t):
    theirs = others(t)
    t.sim("--socks5", "0", api=API)
    proxy = t.sim("--socks5", "1055")
    t.page(3000)
    fetches(t, proxy)
    proxy.process.terminate()
    proxy.process.wait()
    met = stranger(t, theirs, "--socks5", "1055")
    t.launcher("sync").bad("127.0.0.1:1055 belongs to", status=1)
    t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/").bad(status=7)
    assert met() == 0


@test("the user of a daemon that --socket names is trusted with its proxy, and only then")
def daemons_user(t):
    theirs = others(t)
    place = t.unprivileged_dir("daemon")
    stranger(t, theirs, "--socks5", "1055", "--localapi", f"{place}/sock")
    until(lambda: os.path.exists(f"{place}/sock"), "a socket")
    t.page(3000)
    done = t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/", options=["--socket", f"{place}/sock"])
    assert done.good("a page") and not done.err, done
    c, = proxies(t, env={"TSPROXY_SOCKET": f"{place}/sock"})
    assert c["owner"]["trusted"] and c["owner"]["uid"] == MALLORY and not c["configured"], c
    t.launcher("--socket", f"{place}/sock", "doctor").good()
    # A status is no daemon.
    t.launcher("--status", t.status_file(), "sync").bad("another user", status=1)


@test("a port that a stranger takes after the daemon is gone: the old map stays, without that proxy, until the daemon is back")
def taken_from_daemon(t):
    theirs = others(t)
    daemon = t.sim("--socks5", "1055", api=API)
    t.page(3000)
    fetches(t, daemon)
    daemon.process.terminate()
    daemon.process.wait()
    t.launcher("sync").bad("no tailscaled", status=1)
    assert proxies(t), "a proxy that is nobody's stays"
    met = stranger(t, theirs, "--socks5", "1055")
    done = t.launcher("sync").bad("no tailscaled", status=1)
    assert f"127.0.0.1:1055 now belongs to user {MALLORY}, another user; it is not used any more" in done.err, done
    t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/").bad(status=7)
    assert not proxies(t) and "100.90.56.90" in t.launcher("resolve", NAME1).good()
    assert t.launcher("sync").bad(status=1).err.count("belongs to") == 0
    assert met() == 0
    t.sim("--socks5", "1080", api=API)
    until(lambda: t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/").out == "a page\n", "a page through the daemon's new proxy")


@test("a named proxy stays in the old map whoever has its port")
def taken_from_named(t):
    theirs = others(t)
    daemon = t.sim("--socks5", "1055", api=API)
    env = {"TSPROXY_SOCKET": API, "TSPROXY_SOCKS5": "127.0.0.1:1055"}
    t.launcher("sync", env=env).good()
    daemon.process.terminate()
    daemon.process.wait()
    stranger(t, theirs, "--socks5", "1055")
    t.launcher("sync", env=env).bad(status=1)
    assert proxies(t, env=env)


@test("another user's daemon in a usual place hides nothing of this user's own; alone it is told, and not asked")
def anothers_daemon(t):
    theirs = others(t)
    os.makedirs(os.path.dirname(API))
    os.chmod(os.path.dirname(API), 0o777)
    stranger(t, theirs, "--socks5", "1080", "--localapi", API, port=1080)
    until(lambda: os.path.exists(API), "a socket")
    t.launcher("sync").bad(f"the daemon at /var{API} belongs to another user", status=1)
    watch = t.run(["timeout", "0.5", t.build("tsproxy"), "sync", "--watch"])
    assert f"the daemon at /var{API} belongs to another user" in watch.err, watch
    sim = t.sim("--socks5", "1055", api=f"{t.home}/.local/share/tailscale/tailscaled.sock")
    t.page(3000)
    fetches(t, sim)
    before = sim.stats()["localapi"]
    t.spawn([t.build("tsproxy"), "sync", "--watch"], lambda: sim.stats()["localapi"] > before)


@test("a user's own proxy counts for that user, and for nobody else but root")
def own(t):
    theirs = others(t)
    place = t.unprivileged_dir("own")
    shutil.copy(t.build("tsproxy-sync"), place)
    stranger(t, theirs, "--socks5", "1055")
    status = t.status_file()

    def sync(uid):
        return t.run(as_user([f"{place}/tsproxy-sync", "--status", status, "--map", f"{place}/{uid}/map"], uid))
    for uid in MALLORY, MALLORY + 1:
        os.mkdir(f"{place}/{uid}", 0o700)
        os.chown(f"{place}/{uid}", uid, uid)
    sync(MALLORY).good()
    sync(MALLORY + 1).bad("another user", status=1)


@test("whoever listens from outside of a user namespace cannot be told, and counts only where named")
def outside(t):
    others(t)
    place = t.unprivileged_dir("outside")
    shutil.copy(t.build("tsproxy-sync"), place)
    os.chown(place, MALLORY, MALLORY)
    os.chmod(place, 0o755)
    t.sim("--socks5", "1055")
    sync = as_user(["unshare", "--user", f"--map-user={MALLORY}", f"{place}/tsproxy-sync", "--status", t.status_file(),
                    "--map", f"{place}/map"])
    t.run(sync).bad("127.0.0.1:1055 belongs to an unknown user", "--socks5 127.0.0.1:1055", status=1)
    done = t.run([*sync, "--socks5", "127.0.0.1:1055"])
    assert done.good() == "" and not done.err, done


@test("doctor and up name other people who use the machine; services, and who became root by sudo, are none; a proxy with a password is closed to them")
def people(t):
    others(t)
    passwd = t.file("passwd", open("/etc/passwd", encoding="utf-8").read() +
                    "alice:x:64001:64001::/:/bin/sh\nserver:x:64002:64002::/:/usr/sbin/nologin\nbob:x:64003:64003::/:/bin/bash\n")
    t.run(["mount", "--bind", passwd, "/etc/passwd"]).good()

    def runs(uid):
        p = t.spawn(as_user(["tail", "-f", "/dev/null"], uid), lambda: True)
        until(lambda: os.stat(f"/proc/{p.pid}").st_uid == uid, "their process")

    def told(*options, env=None):
        done = t.launcher("doctor", "--json", *options, env=env)
        found = json.loads(done.out)["checks"]
        people = [f for f in found if f["check"] == "people"]
        assert (done.status == 1 and people[0]["level"] == "warn" and people[0]["fix"] ==
                'see "Other users of the machine" in tsproxy(7) for a firewall rule that prevents this') if people else done.status == 0, done
        return people[0]["text"] if people else None
    t.tailnet()
    runs(64002)
    runs(64005)     # no account
    assert told() is None
    assert "ther users" not in t.launcher("up").good()
    runs(64001)
    assert told().startswith("alice uses this machine, and every user of it can reach the tailnet as this node, through the proxy at "
                             "127.0.0.1:1080")
    assert "\nOther users of this machine (alice) can reach the tailnet" in t.launcher("up").good()
    assert told(env={"SUDO_UID": "64001"}) is None
    # A session tells where processes are hidden.
    os.makedirs("/run/systemd/users")
    t.file("/run/systemd/users/64003")
    text = told()
    assert text.startswith("alice and bob use this machine"), text
    t.sim("--socks5", "1085", "--user", "me", "--pass", "secret")
    assert told("--socks5", "me:secret@127.0.0.1:1085") is None

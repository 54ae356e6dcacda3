# SPDX-License-Identifier: MIT
"""What getsockname and getpeername say of a carried connection, wherever its socket goes."""
import json
import sys

from harness import NAME1, NODE1, echo, test

ROUTED, NODE, NODE_V6 = "2001:db8:77::9", "100.64.0.2", "fd7a:115c:a1e0::2"
OWN = "100.64.0.1"

NAMES = '''
import json, os, socket, subprocess, sys

MAPLESS = {"XDG_RUNTIME_DIR": "/dev/null", "HOME": "/dev/null", "TSPROXY_SOCKS5": "127.0.0.1:1080"}

def names(s):
    return [s.getsockname()[:2], s.getpeername()[:2]]

def elsewhere(s, way, env=None):
    if way == "exec":
        program = [sys.executable, __file__, "exec", str(s.fileno())]
        return json.loads(subprocess.run(program, pass_fds=[s.fileno()], env=env, stdout=subprocess.PIPE, check=True).stdout)
    r, w = os.pipe()
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        if way == "rights":
            s.close()
            s = socket.socket(fileno=socket.recv_fds(theirs, 1, 1)[1][0])
        os.write(w, json.dumps(names(s)).encode())
        os._exit(0)
    if way == "rights":
        socket.send_fds(ours, [b"x"], [s.fileno()])
    os.wait()
    return json.loads(os.read(r, 4096))

if sys.argv[1] == "exec":
    print(json.dumps(names(socket.socket(fileno=int(sys.argv[2])))))
    sys.exit()
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.connect((sys.argv[1], int(sys.argv[2])))
far = int(s.recv(16))
print(json.dumps(dict(far=far, here=names(s), dup=names(s.dup()), fork=elsewhere(s, "fork"), rights=elsewhere(s, "rights"),
    exec=elsewhere(s, "exec"), mapless=elsewhere(s, "exec", {**os.environ, **MAPLESS}))))
'''


def say_port(connection):
    """What the far side sees of the client."""
    with connection:
        connection.sendall(b"%d" % connection.getpeername()[1])
        connection.recv(1)


def has_connection(port):
    """Whether a TCP connection is established from this local port."""
    with open("/proc/net/tcp") as f:
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in list(f)[1:])


def names_everywhere(t, own6, hosts, without=()):
    t.tailnet("--node", f"me,{OWN},{own6},self", "--node", f"router,{NODE},{NODE_V6},route=2001:db8:77::/64",
              "--map", f"[{ROUTED}]:3001=127.0.0.1:3001")
    t.listen(3001, say_port)
    program = t.file("names.py", NAMES)
    for host in hosts:
        seen = json.loads(t.tsproxy(sys.executable, program, host, 3001).good())
        own = own6 if ":" in host and "ffff" not in host else f"::ffff:{OWN}" if ":" in host else OWN
        wanted = [[own, seen.pop("far")], [host, 3001]]
        for where, names in seen.items():
            assert names == wanted or (host, where) in without, (host, where, seen, wanted)


@test("the local port is the one that the far side sees, the address this node's own: nodes, and IPv6 behind a subnet router")
def identity_forms(t):
    names_everywhere(t, "fd7a:115c:a1e0::1", (NODE, NODE_V6, f"::ffff:{NODE}", ROUTED))


@test("the same where the own IPv6 address is of the older, longer form")
def identity_long_form(t):
    names_everywhere(t, "fd7a:115c:a1e0:ab12:4843:cd96:6240:1", (NODE_V6, ROUTED), without=[(ROUTED, "mapless")])


@test("socat from one local port to two destinations, at the same time and one after the other")
def one_local_port(t):
    t.need("socat")
    t.tailnet()
    for port in (3001, 3002):
        t.listen(port, echo)
    held = t.spawn([t.build("tsproxy"), "--", "socat", "EXEC:cat", f"TCP:{NODE1}:3001,sourceport=20001,reuseaddr"],
                   lambda: has_connection(20001))
    for port in (3002, 3001, 3002):
        t.tsproxy("socat", "-t", "5", "-", f"TCP:{NAME1}:{port},sourceport=20001,reuseaddr", stdin="hello").good("hello")
    assert held.poll() is None

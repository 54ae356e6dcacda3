# SPDX-License-Identifier: MIT
"""A socket's own filter where the daemon starts anew, and where it cannot be combined with ours. That it sees what it would see natively is for
tests/diff/cases/udp_filter.c."""
import os
import sys
import threading

from harness import NODE1, NODE1_V6, Skip, test, until
from t_udp import PORT, PORTS, Proxy, python, udp_echo

FILTER = '''
import ctypes, errno, os, socket, struct, sys
SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER, SO_ATTACH_BPF = 26, 27, 44, 50
BEGINS_WITH_K = [(0x30, 0, 0, 8), (0x15, 0, 1, ord("k")), (0x06, 0, 0, 0xffffffff), (0x06, 0, 0, 0)]
def attach(s, program):
    code = b"".join(struct.pack("=HBBI", *i) for i in program)
    held = ctypes.create_string_buffer(code)
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(held)))
def said(call, *args):
    try:
        call(*args)
        return "done"
    except OSError as e:
        return "EOPNOTSUPP" if e.errno == errno.EOPNOTSUPP else errno.errorcode[e.errno]    # it has two names
def udp(to):
    s = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    return s
def keeps(s, to):
    """Of what comes back it has only what begins with k."""
    s.sendto(b"dropped", to)
    s.sendto(b"kept", to)
    return s.recvfrom(100)[0]
'''


@test("a daemon that starts anew: sockets keep their own filters, locked or not")
def udp_filter_restart(t):
    sim = t.tailnet()
    udp_echo(t)
    was, now = (os.path.join(t.dir, name) for name in ("was", "now"))
    outcome = []
    program = FILTER + '''
to, was, now = (sys.argv[1], int(sys.argv[2])), *sys.argv[3:]
sockets = [udp(to) for i in range(4)]
for i, s in enumerate(sockets):
    attach(s, BEGINS_WITH_K)
    if i & 1:
        s.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
    if i & 2:
        s.connect(to)
    s.settimeout(0.05)
def asks(s):
    try:
        return keeps(s, to) == b"kept"
    except (TimeoutError, ConnectionRefusedError):
        return False
    except OSError as e:
        if e.errno == errno.EHOSTUNREACH:
            return False    # nobody listens at this moment
        raise
print(all(asks(s) for s in sockets))
open(was, "w").close()
while not os.path.exists(now):
    [asks(s) for s in sockets]
for s in sockets:
    while not asks(s):
        pass
print([said(s.setsockopt, socket.SOL_SOCKET, SO_DETACH_FILTER, 0) for s in sockets])
'''
    for to in (NODE1, NODE1_V6):
        outcome.clear()
        for path in (was, now):
            if os.path.exists(path):
                os.unlink(path)
        runner = threading.Thread(target=lambda: outcome.append(python(t, program, to, PORT, was, now)))
        runner.start()
        until(lambda: os.path.exists(was) or outcome, "first answers")
        sim.process.kill()
        sim.process.wait()
        sim = t.tailnet()
        open(now, "w").close()
        runner.join()
        assert outcome[0].good() == "True\n['done', 'EPERM', 'done', 'EPERM']\n", outcome[0]


@test("a filter that becomes too long with ours: ENOMEM, or no association; nothing else changes")
def udp_filter_long(t):
    t.tailnet()
    udp_echo(t)
    program = FILTER + '''
to = (sys.argv[1], int(sys.argv[2]))
long = [(0x00, 0, 0, 1)] * 4000 + BEGINS_WITH_K
s = udp(to)
attach(s, BEGINS_WITH_K)
print(keeps(s, to), said(attach, s, long), keeps(s, to))
s.connect(to)
print(said(attach, s, long), keeps(s, to))
s = udp(to)
attach(s, long)
print(said(s.sendto, b"kept", to), said(s.connect, to))
s.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
attach(s, BEGINS_WITH_K)
print(keeps(s, to))

# Short enough beside one peer, too long beside all.
near = socket.socket(s.family, socket.SOCK_DGRAM)
near.bind(("::1" if ":" in to[0] else "127.0.0.1", 0))
long = [(0x00, 0, 0, 1)] * (1990 if ":" in to[0] else 2030) + BEGINS_WITH_K
s = udp(to)
s.connect(to)
print(said(attach, s, long), keeps(s, to))
s.connect(near.getsockname())
near.sendto(b"dropped", s.getsockname())
near.sendto(b"kin", s.getsockname())
print(s.recv(100))
'''
    for to in (NODE1, NODE1_V6):
        done = python(t, program, to, PORT)
        assert done.good().splitlines() == ["b'kept' ENOMEM b'kept'", "ENOMEM b'kept'", "ENOBUFS ENOBUFS", "b'kept'", "done b'kept'", "b'kin'"], done


@test("the same where the proxy takes its time and the socket does not wait for it: a later call is told")
def udp_filter_long_later(t):
    port = next(PORTS)
    Proxy(port, lambda relay: b"\5\0\0\1\x7f\0\0\1" + relay, pace=0.02)
    program = FILTER + '''
import select
to = (sys.argv[1], int(sys.argv[2]))
for connects in (False, True):
    s = udp(to)
    attach(s, [(0x00, 0, 0, 1)] * 4000 + BEGINS_WITH_K)
    s.setblocking(False)
    call, args = (s.send, (b"kept",)) if connects else (s.sendto, (b"kept", to))
    if connects:
        s.connect(to)
    print(said(call, *args))
    while (last := said(call, *args)) == "done":
        pass
    print(last)
    s.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    attach(s, BEGINS_WITH_K)
    while True:
        said(call, *args)
        if select.select([s], [], [], 0.1)[0] and said(s.recv, 100) == "done":
            break
'''
    done = python(t, program, NODE1, PORT, options=["--status", t.status_file(), "--socks5", f"127.0.0.1:{port}"])
    seen = done.good().splitlines()
    assert seen[::2] == ["done"] * 2 and set(seen[1::2]) <= {"ENOBUFS", "EHOSTUNREACH"}, done


# What a program has from one that the library was not in.
OUTSIDE = FILTER + '''
import platform
to = (sys.argv[1], 0)
for fd in (7, 8):
    s = udp(to)
    if fd == 7:
        attach(s, BEGINS_WITH_K)
        s.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
    else:
        code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xb7, 0, 0, -1, 0x95, 0, 0, 0))   # r0 = -1; exit
        license = ctypes.create_string_buffer(b"GPL")
        attr = struct.pack("=IIQQIIQII", 1, 2, ctypes.addressof(code), ctypes.addressof(license), 0, 0, 0, 0, 0)
        number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
        prog = ctypes.CDLL(None, use_errno=True).syscall(number, 5, attr, len(attr))
        if prog < 0:
            print(errno.errorcode[ctypes.get_errno()])
            sys.exit(77)
        s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, prog)
        os.close(prog)
    os.dup2(s.fileno(), fd)
os.execv(sys.argv[2], sys.argv[2:])
'''


@test("a filter that the kernel has locked, an eBPF filter: no route, and none can be attached")
def udp_filter_foreign(t):
    t.tailnet()
    udp_echo(t)
    inside = t.file("inside.py", FILTER + '''
to = (sys.argv[1], int(sys.argv[2]))
for fd in (7, 8):
    s = socket.socket(fileno=fd)
    print(said(s.sendto, b"kept", to), said(s.connect, to))
    near = socket.socket(s.family, socket.SOCK_DGRAM)
    near.bind(("::1" if ":" in to[0] else "127.0.0.1", 0))
    s.connect(near.getsockname())
    near.sendto(b"kin", s.getsockname())
    print(s.recv(100))
s = udp(to)
attach(s, BEGINS_WITH_K)
print(keeps(s, to), said(s.setsockopt, socket.SOL_SOCKET, SO_ATTACH_BPF, 0), keeps(s, to))
''')
    for to in (NODE1, NODE1_V6):
        done = t.run([sys.executable, t.file("outside.py", OUTSIDE), to, t.build("tsproxy"), "--", sys.executable, inside, to, PORT])
        if done.status == 77:
            raise Skip(f"no eBPF program can be loaded here: {done.out}")
        assert done.good().splitlines() == ["ENETUNREACH ENETUNREACH", "b'kin'"] * 2 + ["b'kept' EOPNOTSUPP b'kept'"], done


@test("where there is no proxy the kernel locks a filter; where there is one the library does, and another program is not held by it")
def udp_filter_lock(t):
    program = t.file("program.py", FILTER + '''
import subprocess
s = udp(("127.0.0.1", 0))
attach(s, BEGINS_WITH_K)
s.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
print(s.getsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER), said(attach, s, BEGINS_WITH_K), flush=True)
look = f"import socket; print(socket.socket(fileno={s.fileno()}).getsockopt(socket.SOL_SOCKET, {SO_LOCK_FILTER}))"
without = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
for env in (os.environ, without):
    subprocess.run([sys.executable, "-c", look], env=env, pass_fds=[s.fileno()], check=True)
''')
    assert t.preload(sys.executable, program).good() == "1 EPERM\n1\n1\n"
    t.tailnet()
    assert t.tsproxy(sys.executable, program).good() == "1 EPERM\n1\n0\n"

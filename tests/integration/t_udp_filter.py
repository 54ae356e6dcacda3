# SPDX-License-Identifier: MIT
"""A socket's own filter and an association: a socket has the one or the other."""
import sys

from harness import NODE1, NODE1_V6, Skip, test
from t_udp import PORT, python, udp_echo

FILTER = '''
import ctypes, errno, socket, struct, sys
SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER, SO_ATTACH_BPF = 26, 27, 44, 50
SHORT, LONG = ([(0, 0, 0, 1)] * n + [(6, 0, 0, 0xffffffff)] for n in (0, 4000))
to = (sys.argv[1], int(sys.argv[2]))
def attach(s, program):
    held = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *i) for i in program))
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(held)))
def option(s, name, value=1):
    s.setsockopt(socket.SOL_SOCKET, name, value)
def said(call, *args):
    try:
        call(*args)
        return "done"
    except OSError as e:
        return "EOPNOTSUPP" if e.errno == errno.EOPNOTSUPP else errno.errorcode[e.errno]    # it has two names
def udp():
    s = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    return s
def answers(s):
    s.sendto(b"one", to)
    return s.recv(100)
'''


@test("a socket with an association takes no filter, and seems to have none")
def udp_filter_later(t):
    t.tailnet()
    udp_echo(t)
    program = FILTER + '''
s = udp()
for connects in (False, True):
    if connects:
        s.connect(to)
    print(answers(s), said(attach, s, SHORT), said(option, s, SO_ATTACH_BPF, 0), said(option, s, SO_LOCK_FILTER),
          said(option, s, SO_LOCK_FILTER, 0), said(option, s, SO_DETACH_FILTER), s.getsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, 64),
          s.getsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER), answers(s))
'''
    for to in (NODE1, NODE1_V6):
        done = python(t, program, to, PORT)
        assert done.good().splitlines() == ["b'one' EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP done ENOENT b'' 0 b'one'"] * 2, done


@test("a socket that has a filter, or is locked to have none, gets no association; without the filter it does")
def udp_filter_before(t):
    t.tailnet()
    udp_echo(t)
    program = FILTER + '''
def begin(s):
    print(said(s.sendto, b"one", to), said(s.connect, to))
for program in (SHORT, LONG):
    s = udp()
    attach(s, program)
    begin(s)
    option(s, SO_DETACH_FILTER)
    print(answers(s))
s = udp()
option(s, SO_LOCK_FILTER)
begin(s)
s = udp()
s.setblocking(False)
attach(s, SHORT)
begin(s)
'''
    for to in (NODE1, NODE1_V6):
        done = python(t, program, to, PORT)
        assert done.good().splitlines() == ["ENETUNREACH ENETUNREACH", "b'one'"] * 2 + ["ENETUNREACH ENETUNREACH"] * 2, done


# What a program has from one that the library was not in.
OUTSIDE = FILTER + '''
import os, platform
s = udp()
code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xb7, 0, 0, -1, 0x95, 0, 0, 0))   # r0 = -1; exit
license = ctypes.create_string_buffer(b"GPL")
attr = struct.pack("=IIQQIIQII", 1, 2, ctypes.addressof(code), ctypes.addressof(license), 0, 0, 0, 0, 0)
number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
prog = ctypes.CDLL(None, use_errno=True).syscall(number, 5, attr, len(attr))
if prog < 0:
    print(errno.errorcode[ctypes.get_errno()])
    sys.exit(77)
option(s, SO_ATTACH_BPF, prog)
os.close(prog)
os.dup2(s.fileno(), 7)
os.execv(sys.argv[3], sys.argv[3:])
'''


@test("a socket with an eBPF filter likewise")
def udp_filter_ebpf(t):
    t.tailnet()
    udp_echo(t)
    inside = t.file("inside.py", FILTER + '''
s = socket.socket(fileno=7)
print(said(s.sendto, b"one", to), said(s.connect, to))
''')
    for to in (NODE1, NODE1_V6):
        done = t.run([sys.executable, t.file("outside.py", OUTSIDE), to, PORT, t.build("tsproxy"), "--", sys.executable, inside, to, PORT])
        if done.status == 77:
            raise Skip(f"no eBPF program can be loaded here: {done.out}")
        assert done.good() == "ENETUNREACH ENETUNREACH\n", done

# SPDX-License-Identifier: MIT
"""System calls counted by strace, and what the library may add to them.

All that a process which does nothing in the tailnet makes more of because the library is loaded stands in this file.
"""
import collections
import re

# Each program that is started: the loader maps the library. uname(2) is for the map's name, where that lies in a home that machines share.
START = {"openat": 1, "read": 1, "newfstatat": 1, "fstat": 1, "mmap": 3, "close": 1, "mprotect": 1, "uname": 1}

# Before a program is started: whether this machine has a loader for programs that cannot load the library. Where it has, the beginning of the
# program's file is read (foreign.c), and that of a script's interpreter.
EXEC = {"faccessat": 1, "openat": 1, "pread64": 1, "close": 1}
# The same where no such program is there: most are looked for in each folder of PATH.
EXEC_FAILED = {"openat": 1}

# The first fork of a program: memory that its children share (family.h).
FORK = {"mmap": 1}

# The first question about an address or a name that is neither this machine's nor a number, and chroot(2) of a program that root started,
# behind which it is not seen any more: the map is read.
MAP = {"openat": 1, "newfstatat": 1, "geteuid": 1, "pread64": 2, "close": 1}
# The first question about such a name: where libc would search for it.
NAME = {"openat": 1, "newfstatat": 1, "read": 2, "close": 1, "uname": 1}
# Later ones, 10 times a second at most: whether the files are others by now.
MAP_AGAIN = {"newfstatat": 1}
NAME_AGAIN = {"newfstatat": 2}

# A thread that gets a table of descriptors of its own, or enters a sandbox: whose memory this is, once.
PROCESS = {"getpid": 1, "getppid": 1, "kcmp": 1, "mmap": 1, "madvise": 1}

# The first library that a program loads with RTLD_DEEPBIND, or the first time that it asks libc itself for a function: libc's table is
# made to lead to the hooks (rebind.c).
REBIND = {"mprotect": 2}

# Before a program enters a sandbox, behind which none of this can be done: both, the map, and a lock that waits for calls under way. A program
# that asks first what kinds of filter there are has tried once more.
SANDBOX = {**PROCESS, **REBIND, **MAP, "newfstatat": 2, "getpid": 2, "mmap": 2, "rt_sigprocmask": 4, "gettid": 2}

# What threads and processes that wait for each other, or begin, make sooner or later as it happens. The library makes none of these without
# others beside.
AT_RANDOM = {"futex", "rseq", "set_robust_list", "wait4"}

CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")
MARK = re.compile(r'write\(-1, "== (.*?) ==')


# gethostid(3): whether libc would look this machine's name up, and what that is; a short name may be a node's, unless /etc/hosts has it.
HOSTID = {"faccessat": 1, "uname": 1, "newfstatat": 5, "openat": 2, "read": 4, "lseek": 1, "close": 2}

# A descriptor that came by SCM_RIGHTS, once, when it is asked for its name or about a filter.
ARRIVED = {"getsockopt": 2}


def add(*lists):
    """The sum of several such lists."""
    total = collections.Counter()
    for one in lists:
        total.update(one)
    return total


def times(n, calls):
    return collections.Counter({name: n * count for name, count in calls.items()})


MADE = re.compile(r"^(\d+) +(?:(?:clone3?|v?fork)\(|<\.\.\. (?:clone3?|v?fork) resumed>).*= (\d+)$")


def families(lines):
    """From strace's log: {process: who made it}, without the threads that a process made."""
    parents, making = {}, set()
    for line in lines:
        pid = line.split(None, 1)[0]
        if "CLONE_THREAD" in line:
            making.add(pid)
        made = MADE.match(line)
        if made and pid in making:
            making.discard(pid)
        elif made:
            parents[made[2]] = pid
    return parents


def by_case(log):
    """
    {case: Counter of calls} from strace's log of hooks.c: what the process makes that is at it, and those that it makes. Threads of libc's
    own, which do their part when they like, are left out.
    """
    with open(log, errors="replace") as f:
        lines = f.readlines()
    cases, now, at_it, parents = {}, None, None, families(lines)
    for line in lines:
        pid = line.split(None, 1)[0]
        mark = MARK.search(line)
        if mark:
            now, at_it = cases.setdefault(mark[1], collections.Counter()), pid
            continue
        call = CALL.match(line)
        if not call or now is None or call[1] in AT_RANDOM:
            continue
        while pid and pid != at_it:
            pid = parents.get(pid)
        now[call[1]] += pid == at_it
    return cases


EXEC_BEGUN = re.compile(r"^\d+ +execve(?:at)?\(")
EXEC_DONE = re.compile(r"(?:execve(?:at)?\(|<\.\.\. execve(?:at)? resumed>).* = 0$")
# What depends on how much is mapped, and where: the library is one mapping more.
LAYOUT = re.compile(r"^\d+ +(?:(?:munmap|brk)\(|read\(\d+</proc/\d+/(?:task/\d+/)?s?maps>)")
KILLED = re.compile(r"\+\+\+ killed by SIGSYS")
TRAPPED = re.compile(r"--- SIGSYS .*si_syscall=(\w+)")


def of_logs(logs):
    """
    From logs of strace -y: (Counter of calls, how many programs were started, how many were not there, the lines that tell of a process that
    a seccomp filter killed).
    """
    counts, begun, done, killed = collections.Counter(), 0, 0, []
    for log in logs:
        with open(log, errors="replace") as f:
            for line in f:
                call = CALL.match(line)
                if call and call[1] not in AT_RANDOM and not LAYOUT.match(line):
                    counts[call[1]] += 1
                begun += bool(EXEC_BEGUN.match(line))
                done += bool(EXEC_DONE.search(line))
                if KILLED.search(line):
                    killed.append(line)
    return counts, done, begun - done, killed


def trapped(log):
    """The calls that a seccomp filter answered with SIGSYS."""
    with open(log, errors="replace") as f:
        text = f.read()
    assert not KILLED.search(text), f"a seccomp filter killed a process:\n{text}"
    return set(TRAPPED.findall(text))


def excess(plain, loaded, allowed, give=0):
    """What differs beyond what is allowed: [(call, count without, count with)]. `give`: so many more or fewer are chance."""
    wrong = []
    for name in sorted(set(plain) | set(loaded)):
        if not plain[name] - give <= loaded[name] <= plain[name] + allowed.get(name, 0) + (give if plain[name] else 0):
            wrong.append((name, plain[name], loaded[name]))
    return wrong

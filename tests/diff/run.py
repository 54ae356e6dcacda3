#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every differential case in both worlds and compares what it printed.

native:   100.64.0.N and fd7a:115c:a1e0::N are real, half a round trip away (delaytun.c)
tsproxy:  the same peer stands at 10.64.0.N and fd64::N, equally far, and only the simulated tailnet goes there;
          nothing in that namespace has a route to a tailnet address, so a connect that is not carried cannot succeed

Two outputs are equal when every line is. Where only times differ (tokens that begin with @), or a case is "timed" (what it does
depends on when), both are run again with nothing beside them, up to three times: a busy machine may be late, never early in what it
says.
"""
import argparse
import difflib
import fnmatch
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.dont_write_bytecode = True
import worlds  # noqa: E402

TIME = re.compile(r"@(in time|-?\d+(ms)?)")


# Other people's tools that a program may run under: how, and what must be there. Each runs the cases of smoke.c.
UNDER = {
    "valgrind": (["valgrind", "-q", "--error-exitcode=99"], {}),
    "strace": (["strace", "-f", "-o", "/dev/null"], {}),
    "jemalloc": ([], {"LD_PRELOAD": "libjemalloc.so.2"}),
    "tcmalloc": ([], {"LD_PRELOAD": "libtcmalloc_minimal.so.4"}),
    "mimalloc": ([], {"LD_PRELOAD": "libmimalloc.so.2"}),
    "faketime": ([], {"LD_PRELOAD": "faketime/libfaketime.so.1", "FAKETIME": "+1d"}),
    "asan-gcc": ([], {}),
    "asan-clang": ([], {}),
}


class World(worlds.World):
    """One of the two, with the peer of peer.c."""

    def __init__(self, args, net4, net6):
        super().__init__(args.build, args.rtt, net4, net6, [f"{args.build}/diff/peer"])
        self.args = args
        self.env["DIFF_RTT_MS"] = str(args.rtt)

    def command(self, case):
        return self.enter + self.args.prefix + case.command()

    def run(self, case):
        p = subprocess.Popen(self.command(case), env={**self.env, **case.env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
        try:
            out, _ = p.communicate(timeout=case.limit(self.args))
            end = "" if p.returncode == 0 else f"ended with {p.returncode}\n"
        except subprocess.TimeoutExpired:
            end = "did not end in time\n"
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if end.startswith("did"):
            out, _ = p.communicate()
        return out.decode(errors="replace") + end


# What stands at each port of the proxy's host: the attribute proxy=N of a case picks port 1080 + N.
PROXIES = {
    0: ["--honest-codes"],
    1: ["--greeting", "eof"],
    2: ["--greeting", "rst"],
    3: ["--greeting", "garbage"],
    4: ["--greeting", "refuse"],
    5: ["--greeting", "never"],
    6: None,				# nothing listens
    7: ["--backlog-full"],
    8: ["--greeting-delay", "RTT", "--honest-codes"],
    9: ["--no-pipeline", "--honest-codes"],
    10: [],				# tells no more than tailscaled does: every failure is code 1
    11: ["--one-write", "--honest-codes"],
}

# Targets that misbehave: port of the peer, what the proxy does. Reply code C is at 5000 + C.
FAULTS = [f"{5000 + code},reply={code}" for code in (*range(1, 10), 255)]
FAULTS += [f"{5100 + at},eof={at}" for at in range(11)] + [f"{5200 + at},rst={at}" for at in range(11)]
FAULTS += ["5300,garbage", "5301,dribble=1/30", "5302,glue", "5303,bnd=ipv6", "5304,bnd=domain/255", "5305,bnd=zero", "5306,never",
           "5307,bnd=domain/1", "5308,bnd=domain/0", "5309,dribble=1/30,bnd=domain/255", "5310,dribble=3/20,glue", "5311,cut=4",
           "5312,half-close=off", "5313,glue,bnd=domain/255", "5314,bnd=ipv4"]
FAULTS += [f"{5400 + at},cut={at}" for at in range(10)]
ECHO, FIRST, HALF, PORT_END = 4000, 4002, 4004, 4014	# ports.h
BEHIND = {5302: FIRST, 5310: FIRST, 5313: FIRST, 5312: HALF}


def proxy_of(case):
    return int(case.attr.get("proxy", 0))


class Tailnet(World):
    """The peer behind the simulated tailnet. Ports 1080 + N are proxies that misbehave from the greeting on."""

    def __init__(self, args, cases):
        super().__init__(args, "10.64.0.", "fd64::")
        self.dir = tempfile.mkdtemp(prefix="tsproxy-diff-")
        self.env.update(XDG_RUNTIME_DIR=self.dir, HOME=self.dir)
        nodes = ["--node", "here,100.64.0.1,fd7a:115c:a1e0::1,self", "--node", "peer,100.64.0.2,fd7a:115c:a1e0::2",
                 "--node", "silent,100.64.0.3,fd7a:115c:a1e0::3,silent",
                 "--node", "unreachable,100.64.0.4,fd7a:115c:a1e0::4", "--node", "netless,100.64.0.5,fd7a:115c:a1e0::5"]
        for host in (2, 4, 5):
            for port in [*range(ECHO, PORT_END), *(range(5000, 5500) if host == 2 else ())]:
                to = port if port < PORT_END else BEHIND.get(port, ECHO)
                nodes += ["--map", f"100.64.0.{host}:{port}=10.64.0.{host}:{to}"]
                nodes += ["--map", f"[fd7a:115c:a1e0::{host}]:{port}=[fd64::{host}]:{to}"]
        for fault in FAULTS:
            nodes += ["--fault", fault]
        for n, how in PROXIES.items():
            if how is not None:
                how = [str(args.rtt) if x == "RTT" else x for x in how]
                self.keep(self.enter + [f"{args.build}/tsproxy-sim", "--die-with-parent", "--socks5", str(1080 + n), *how,
                                        *nodes])
        self.status = f"{self.dir}/status.json"
        with open(self.status, "wb") as f:
            f.write(subprocess.run([f"{args.build}/tsproxy-sim", "--status-json", *nodes], capture_output=True, check=True).stdout)
        for n in {proxy_of(c) for c in cases}:
            # Makes the map once; what it says of a broken proxy is not this test's matter.
            self.learn(n)

    def learn(self, n):
        """A machine that is busy may not see in time that the proxy takes two messages at once; then it is asked again."""
        for _ in range(10):
            subprocess.run(self.launch(n) + ["true"], env=self.env, check=False, stderr=subprocess.DEVNULL)
            out = subprocess.run(self.launch(n)[:-1] + ["status"], env=self.env, check=False, capture_output=True, text=True).stdout
            if n or "pipelined" in out:
                return
            subprocess.run(self.launch(n)[:-1] + ["sync"], env=self.env, check=False, capture_output=True)
        print("the proxy's map never says that it takes two messages at once", file=sys.stderr)

    def launch(self, n):
        return self.enter + [f"{self.args.build}/tsproxy", "--status", self.status, "--socks5", f"127.0.0.1:{1080 + n}", "--"]

    def command(self, case):
        return self.launch(proxy_of(case)) + self.args.prefix + case.command()

    def stop(self):
        super().stop()
        shutil.rmtree(self.dir)


class Case:
    def __init__(self, program, line):
        words = line.split()
        self.program = program
        self.name = words[0]
        self.full = f"{os.path.basename(program)}.{self.name}"
        self.attr = dict((w.split("=", 1) + [""])[:2] for w in words[1:])
        self.front, self.env, self.why = [], {}, None

    def command(self):
        return self.front + [self.program, self.name]

    def limit(self, args):
        return (90 if "slow" in self.attr else 30) * max(1, args.rtt / 200)


def missing(front, env, program):
    """Why something can't be run here, or nothing."""
    if front and not shutil.which(front[0]):
        return f"{front[0]} is not installed"
    library = env.get("LD_PRELOAD")
    if library:
        found = [p for p in glob.glob(f"/usr/lib/*/{library}") + glob.glob(f"/usr/lib/{library}")]
        if not found:
            return f"{library} is not installed"
        env["LD_PRELOAD"] = found[0]
    if not os.access(program, os.X_OK):
        return f"{os.path.basename(program)} was not built: no such compiler"
    return None


def cases_under_tools(args):
    smoke = f"{args.build}/diff/cases/smoke"
    cases = []
    for tool, (front, env) in UNDER.items():
        program = f"{args.build}/diff/{tool}/smoke" if tool.startswith("asan") else smoke
        why = missing(front, env, program)
        for line in subprocess.run([smoke, "--list"], capture_output=True, text=True, check=True).stdout.splitlines():
            case = Case(program, line + " slow")
            case.full = f"under.{tool}.{case.name}"
            case.front, case.env = front, env
            cases.append(case)
            case.why = why
    return cases


def find_cases(args):
    cases = cases_under_tools(args)
    for program in sorted(glob.glob(f"{args.build}/diff/cases/*")):
        if program.endswith((".o", ".d", ".so")) or not os.access(program, os.X_OK):
            continue
        listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
        cases += [Case(program, line) for line in listed.splitlines()]
    return [c for c in cases if "sub" not in c.attr and is_among(c, args.only) and not is_among(c, args.without)]


def is_among(case, globs):
    return any(fnmatch.fnmatch(case.full, g) or fnmatch.fnmatch(case.full, g + ".*") for g in globs.split(","))


def read_list(name):
    """case name -> reason: `expected-differences` are impossible to remove (`name?`: shown now and then), `open-differences` are
    still to be"""
    expected = {}
    with open(f"{HERE}/{name}", encoding="utf-8") as f:
        for line in f:
            line = line.strip()
            if line and not line.startswith("#"):
                name, reason = line.split(None, 1)
                expected[name] = reason
    return expected


def same_but_times(a, b):
    return TIME.sub("@", a) == TIME.sub("@", b)


def in_parallel(args, fn, cases):
    # Stress needs the machine for itself; the rest mostly waits.
    with ThreadPoolExecutor(args.jobs) as pool:
        done = dict(zip([c.full for c in cases if "alone" not in c.attr],
                        pool.map(fn, [c for c in cases if "alone" not in c.attr])))
    done.update((c.full, fn(c)) for c in cases if "alone" in c.attr)
    return done


def check_native(args, cases):
    """Every case must say the same on every run, or it can't be compared with anything."""
    native = World(args, "100.64.0.", "fd7a:115c:a1e0::")
    unsteady = set()
    first = None
    try:
        for turn in range(args.native):
            outs = in_parallel(args, native.run, cases)
            if first is None:
                first = outs
            for c in cases:
                for _ in range(3):
                    if outs[c.full] != first[c.full] and ("timed" in c.attr or same_but_times(outs[c.full], first[c.full])):
                        outs[c.full] = native.run(c)
                if outs[c.full] != first[c.full] or "BROKEN CASE" in outs[c.full] or "ended" in outs[c.full] or \
                        "did not end" in outs[c.full]:
                    unsteady.add(c.full)
                    show(c.full, first[c.full] if turn else "", outs[c.full], f"run {turn + 1}")
            if args.show and turn == 0:
                for c in cases:
                    print(f"== {c.full}\n{outs[c.full]}", end="")
    finally:
        native.stop()
    print(f"{len(cases) - len(unsteady)} passed, {len(unsteady)} failed, {args.absent} skipped")
    return 1 if unsteady else 0


def show(name, a, b, other="tsproxy"):
    print("".join(difflib.unified_diff(a.splitlines(True), b.splitlines(True), f"{name} native", f"{name} {other}", n=99)),
          flush=True)


def compare(args, cases):
    expected = read_list("expected-differences")
    still_open = read_list("open-differences")
    native = World(args, "100.64.0.", "fd7a:115c:a1e0::")
    tailnet = Tailnet(args, cases)
    equal = failed = skipped = 0

    def both(case):
        if "hostile" in case.attr:	# says itself what is expected: "want ..." lines are failures
            out = tailnet.run(case)
            return "", "".join(x for x in out.splitlines(True) if not x.startswith(("ok", "tsproxy:")))
        return native.run(case), tailnet.run(case)

    try:
        results = in_parallel(args, both, cases)
        for c in cases:
            a, b = results[c.full]
            again = 0
            while a != b and ("timed" in c.attr or same_but_times(a, b)) and again < 3:
                a, b = both(c)
                again += 1
            reason = expected.get(c.full) or (a != b and expected.get(c.full + "?"))
            if reason:
                skipped += a != b
                failed += a == b
                print(f"skip {c.full}: {reason}" if a != b else f"{c.full}: equal, yet in expected-differences")
            elif c.full in still_open:	# some differ only now and then
                skipped += a != b
                print(f"open {c.full}: {'differs' if a != b else 'equal this time'}: {still_open[c.full]}")
                if args.show:
                    show(c.full, a, b)
            elif a != b:
                failed += 1
                show(c.full, a, b)
            equal += a == b
    finally:
        tailnet.stop()
        native.stop()
    print(f"cases equal: {equal}/{len(cases)}")
    print(f"{len(cases) - failed - skipped} passed, {failed} failed, {skipped + args.absent} skipped")
    return 1 if failed else 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", type=os.path.abspath)
    p.add_argument("only", nargs="?", default="*", help="which cases (globs, parted by commas)")
    p.add_argument("--without", default="", metavar="GLOBS", help="of these, which not")
    p.add_argument("--rtt", type=int, default=200)
    p.add_argument("--jobs", type=int, default=16)
    p.add_argument("--native", type=int, default=0, metavar="N", help="run each N times natively; all must agree")
    p.add_argument("--show", action="store_true", help="print how open cases differ; with --native what each case says")
    args = p.parse_args()
    args.prefix = os.environ.get("TEST_PREFIX", "").split()
    if os.geteuid() != 0:
        os.execvp("unshare", ["unshare", "-rn"] + sys.argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))	# so that what was started is stopped
    started = time.time()
    cases = find_cases(args)
    if not cases:
        sys.exit(f"no case is named {args.only}")
    absent = [c for c in cases if c.why]
    for c in absent:
        print(f"skip {c.full}: {c.why}")
    cases = [c for c in cases if not c.why]
    args.absent = len(absent)
    if args.native:
        status = check_native(args, [c for c in cases if "hostile" not in c.attr])
    else:
        status = compare(args, cases)
    print(f"took {time.time() - started:.0f} s", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())

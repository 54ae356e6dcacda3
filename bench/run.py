#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/run.py [BUILD]: what tsproxy costs, beside the programs that it replaces, a client that speaks SOCKS5 itself, and nothing.

All is measured in one run, in a private namespace, in interleaved rounds, and medians are told: the machine's moods meet
everybody. Prints a table and writes it to bench/results.md. QUICK=1: a tenth of the rounds, and no file. ONLY="starts hot": these parts, and no file. A peer that is not
installed is named and left out.
"""
import glob
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from harness import listening, until  # noqa: E402

PRIVATE = os.path.join(ROOT, "tests", "lib", "private")
QUICK = os.environ.get("QUICK") == "1"
ONLY = os.environ.get("ONLY", "").split()
NODE, NAME = "100.90.56.90", "jawnsy-tailscale-1"
OTHER = "10.20.30.40"    # an address of this machine's that is not the tailnet's
ECHO, SIM, SLOW, STUCK, MICROSOCKS = 7007, 1080, 1081, 1082, 1083
TRUE = shutil.which("true")


def rounds(n):
    return max(2, n // 10) if QUICK else n


def find_object(*patterns):
    for folder in ("/usr/lib/*", "/usr/local/lib", "/usr/lib"):
        for pattern in patterns:
            for path in sorted(glob.glob(os.path.join(folder, pattern))):
                return path
    return None


class Way:
    """One way to reach the tailnet: an environment to run a program in, and the command that goes in front of one."""

    def __init__(self, name, env=lambda port: {}, launcher=None, version=""):
        self.name, self.env, self.launcher, self.version = name, env, launcher, version


class Bench:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.missing, self.lines, self.targets, self.started = [], [], [], []
        self.preempted = False
        self.base = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "HOME": folder, "LC_ALL": "C.UTF-8",
                     "XDG_RUNTIME_DIR": "/run/user/0"}
        self.ways = [Way("native"), self.tsproxy(), *self.peers()]

    # --- the ways ---

    def program(self, name):
        return os.path.join(self.build, "bench", name)

    def tsproxy_env(self, port):
        env = {"TSPROXY_SOCKET": os.path.join(self.folder, "api.sock")}
        if port:
            env["TSPROXY_SOCKS5"] = f"127.0.0.1:{port}"
        return env

    def tsproxy(self):
        preload = os.path.join(self.build, "libtsproxy.so")
        return Way("tsproxy", lambda port: {"LD_PRELOAD": preload, **self.tsproxy_env(port)},
                   [os.path.join(self.build, "tsproxy"), "--"], open(os.path.join(ROOT, "VERSION")).read().strip())

    def config(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def peers(self):
        """Each with a configuration of the same meaning: SOCKS5 at this port, names by the proxy where it can."""
        def chains(port):
            return self.config(f"chains-{port}", f"strict_chain\nproxy_dns\nlocalnet 127.0.0.0/255.0.0.0\n[ProxyList]\nsocks5 127.0.0.1 {port}\n")

        def tor(port):
            return self.config(f"tor-{port}", f"TorAddress 127.0.0.1\nTorPort {port}\nAllowOutboundLocalhost 2\nAllowInbound 1\n")

        def tsocks(port):
            return self.config(f"tsocks-{port}",
                               f"local = 127.0.0.0/255.0.0.0\nserver = 127.0.0.1\nserver_port = {port}\nserver_type = 5\n")

        known = [
            ("proxychains4", find_object("libproxychains.so.4", "libproxychains4.so"),
             lambda so, port: {"LD_PRELOAD": so, "PROXYCHAINS_CONF_FILE": chains(port), "PROXYCHAINS_QUIET_MODE": "1"},
             lambda port: ["proxychains4", "-q", "-f", chains(port)]),
            ("torsocks", find_object("torsocks/libtorsocks.so"),
             lambda so, port: {"LD_PRELOAD": so, "TORSOCKS_CONF_FILE": tor(port), "TORSOCKS_LOG_LEVEL": "1"},
             lambda port: ["torsocks"]),
            ("tsocks", find_object("libtsocks.so"),
             lambda so, port: {"LD_PRELOAD": so, "TSOCKS_CONF_FILE": tsocks(port)},
             lambda port: ["tsocks"]),
        ]
        for name, so, env, launcher in known:
            path = shutil.which(name)
            if not path or not so:
                self.missing.append(name)
                continue
            yield Way(name, lambda port, so=so, env=env: env(so, port or SIM),
                      [path, *launcher(SIM)[1:]], package_version(name))

    # --- running ---

    def place(self, cpus, in_turn=False):
        """Puts the servers and what is started from here on those processors. `in_turn`: who runs there runs until it waits, where that may be
        asked for; else it hangs on nanoseconds how often one takes the processor from the other, and that costs more than what is measured."""
        policy, priority = (os.SCHED_FIFO, 1) if in_turn else (os.SCHED_OTHER, 0)
        for pid in [0, *(p.pid for p in self.started)]:
            os.sched_setaffinity(pid, cpus)
            try:
                os.sched_setscheduler(pid, policy, os.sched_param(priority))
            except PermissionError:
                self.preempted = in_turn

    def start(self, *argv, ready=None):
        p = subprocess.Popen(argv, env=self.base, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        until(ready, f"start of {argv[0]}")
        self.started.append(p)

    def servers(self):
        sim = os.path.join(self.build, "tsproxy-sim")
        self.start(self.program("echo"), str(ECHO), ready=lambda: listening(ECHO))
        self.start(sim, "--socks5", str(SIM), "--localapi", os.path.join(self.folder, "api.sock"), "--others", "refuse",
                   ready=lambda: listening(SIM))
        self.start(sim, "--socks5", str(SLOW), "--fault", f"{ECHO},delay=200", ready=lambda: listening(SLOW))
        self.start(sim, "--socks5", str(STUCK), "--fault", f"{ECHO},never", ready=lambda: listening(STUCK))
        # A proxy that knows no tailnet dials the node by the machine's own means: here it is one of loopback's addresses.
        for address in NODE, OTHER:
            subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
        self.microsocks = bool(shutil.which("microsocks"))
        if self.microsocks:
            hosts = self.config("hosts", f"127.0.0.1 localhost\n{NODE} {NAME}\n")
            self.start("unshare", "-m", "sh", "-c", f"mount --bind {hosts} /etc/hosts && exec microsocks -i 127.0.0.1 -p {MICROSOCKS}",
                       ready=lambda: listening(MICROSOCKS))
        else:
            self.missing.append("microsocks")

    def sync(self, *ports):
        """Makes the maps afresh, so that no refresh falls into what is measured."""
        for port in ports:
            subprocess.run([os.path.join(self.build, "tsproxy-sync")], env={**self.base, **self.tsproxy_env(port)}, check=True)

    def run(self, way, port, *argv, timeout=60, extra=None):
        """What it printed, or None where it failed."""
        try:
            p = subprocess.run(argv, env={**self.base, **way.env(port), **(extra or {})}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False, text=True)
        except subprocess.TimeoutExpired:
            return None
        return p.stdout if p.returncode == 0 else None

    # --- telling ---

    def say(self, line=""):
        print(line, flush=True)
        self.lines.append(line)

    def table(self, head, rows):
        self.say()
        width = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]
        for n, row in enumerate([head, *rows]):
            self.say("| " + " | ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w)
                                      for i, (c, w) in enumerate(zip(row, width))) + " |")
            if n == 0:
                self.say("|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(width)) + "|")

    def target(self, what, value, limit, detail):
        self.targets.append([what, f"{value:.2f}", f"{limit:.2f}", "met" if value <= limit else "MISSED", detail])

    # --- 1 and 2: starting programs ---

    def starts(self):
        empty, bare = ({"LD_PRELOAD": self.program(f"{name}.so")} for name in ("empty", "bare"))
        shown = {"native": "native", "empty object": "empty", "least object": "bare"}
        variants = [("native", {}, [TRUE]), ("empty", empty, [TRUE]), ("bare", bare, [TRUE])]
        for way in self.ways[1:]:
            variants.append((way.name, way.env(None), [TRUE]))
        disabled = {**self.ways[1].env(None), "TSPROXY_DISABLE": "1"}
        variants.append(("disabled", disabled, [TRUE]))
        for way in self.ways[1:]:
            env = self.tsproxy_env(None) if way.name == "tsproxy" else {
                k: v for k, v in way.env(None).items() if k != "LD_PRELOAD"}
            variants.append(("launch " + way.name, env, [*way.launcher, TRUE]))
        text = "".join("\t".join([name, "\x1f".join(f"{k}={v}" for k, v in {**self.base, **env}.items()), "\x1f".join(argv)]) + "\n"
                       for name, env, argv in variants)
        whole, more = {}, {}
        blocks = 2 if QUICK else 8    # short ones: the map must stay fresh
        for _ in range(blocks):
            self.sync(None)
            out = subprocess.run([self.program("exec"), str(100)], input=text, env=self.base, check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
            for line in out.splitlines():
                name, a, b = line.split("\t")
                whole.setdefault(name, []).append(int(a) / 1000)
                more.setdefault(name, []).append(int(b) / 1000)
        whole, more = ({k: statistics.median(v) for k, v in d.items()} for d in (whole, more))
        calls = {name: self.startup_calls(env) for name, env, argv in variants if argv == [TRUE]}
        rows = []
        for name, key in [*shown.items(), *((w.name, w.name) for w in self.ways[1:]), ("tsproxy, disabled", "disabled")]:
            launched = whole.get("launch " + key)
            rows.append([name, f"{more[key]:.0f}", f"{more[key] / more['empty']:.2f}", calls[key] - calls["native"],
                         f"{launched / 1000:.2f}" if launched else "", f"{launched / whole['native']:.2f}" if launched else ""])
        rows[0][4:] = [f"{whole['native'] / 1000:.2f}", "1.00"]
        self.say("\n## Starting a program (`true`)\n")
        self.say("What a preloaded object adds to each exec, and what the launcher adds to the start of a program.")
        self.table(["", "object, us", "of empty", "system calls", "launcher + true, ms", "of native"], rows)
        self.target("launcher + true, relative to true alone", whole["launch tsproxy"] / whole["native"], 1.4, "")
        self.target("the object's cost per exec, relative to an empty object", more["tsproxy"] / more["empty"], 1.6,
                    f"{more['tsproxy']:.0f} us vs. {more['empty']:.0f} us")

    def strace(self, env, *argv):
        """Lines of strace, or None."""
        log = os.path.join(self.folder, "strace")
        if not shutil.which("strace"):
            return None
        words = [w for k, v in env.items() for w in ("-E", f"{k}={v}")]
        p = subprocess.run(["strace", "-f", "-o", log, *words, *argv], env=self.base, stdin=subprocess.DEVNULL, timeout=60,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        with open(log, errors="replace") as f:
            return None if p.returncode else [line for line in f if re.match(r"\d+ +\w+\(", line)]

    def startup_calls(self, env):
        return len(self.strace(env, TRUE) or [])

    # --- 3: connecting ---

    def connects(self):
        """Twice: who waits on which processor for whom is worth more than all that is compared, and differs from run to run."""
        cpus = os.sched_getaffinity(0)
        self.place({max(cpus)}, in_turn=True)
        self.connect_table("Client, proxy and server share one processor, so that each time is the work of all of them. The targets below use these numbers.",
                           True)
        self.place(cpus)
        self.connect_table("Here the kernel places them. This is more realistic, but a number differs by up to a third from run to run.", False)

    def connect_table(self, how, compared):
        proxies = [("simulated tailnet", SIM)] + ([("microsocks", MICROSOCKS)] if self.microsocks else [])
        columns = [("connect by address", NODE), ("connect by name", NAME)]
        clients = [*((w.name, w, "") for w in self.ways), ("own SOCKS5", self.ways[0], "{}"), ("own SOCKS5, at once", self.ways[0], "+{}")]
        samples = {}
        for _ in range(rounds(20)):
            self.sync(SIM, *([MICROSOCKS] if self.microsocks else []))
            for proxy, port in proxies:
                for _, host in columns:
                    for name, way, own in clients:
                        key = name, port, host
                        if samples.get(key, True) is None or not possible(name, port, host):
                            continue
                        out = self.run(way, port, self.program("connect"), "20", host, str(ECHO), *([own.format(port)] if own else []))
                        if out is None:
                            samples[key] = None
                        else:
                            # The first of a process pays for what is looked up once; it counts as any other.
                            samples.setdefault(key, []).extend(int(x) / 1000 for x in out.split())
        heads = [f"{what.split()[-1]}, {proxy}" for proxy, _ in proxies for what, _ in columns]
        rows = []
        for name, _, _ in clients:
            row = [name]
            for _, port in proxies:
                for _, host in columns:
                    s = samples.get((name, port, host))
                    row.append(f"{statistics.median(s):.0f}" if s else "-" if not possible(name, port, host) else "fails")
            rows.append(row + (self.connect_calls(name, dict((n, (w, o)) for n, w, o in clients)[name]) if compared else []))
        if compared:
            self.say("\n## Connect, send a line, get it back, close (us)\n")
            self.say("Through the simulated tailnet, which accepts greeting and request in one write, and through microsocks, which does not. "
                     "The system calls are those of one more connection in the same process.")
        self.say("\n" + how)
        self.table(["", *heads, *(["calls, address", "calls, name"] if compared else [])], rows)
        for what, host in columns:
            for proxy, port in proxies:
                ours, own = (samples.get((n, port, host)) for n in ("tsproxy", "own SOCKS5"))
                if compared and ours and own:
                    a, b = statistics.median(ours), statistics.median(own)
                    self.target(f"{what}, {proxy}, relative to the client's own SOCKS5", a / b, 1.05, f"{a:.0f} us vs. {b:.0f} us")

    def connect_calls(self, name, client):
        way, own = client
        out = []
        for host in (NODE, NAME):
            if not possible(name, SIM, host):
                out.append("-")
                continue
            n = [self.strace(way.env(SIM), self.program("connect"), str(k), host, str(ECHO), *([own.format(SIM)] if own else []))
                 for k in (1, 11)]
            out.append(f"{(len(n[1]) - len(n[0])) / 10:.0f}" if all(n) else "fails")
        return out

    # --- 4: many at once ---

    def asyncio(self):
        program = os.path.join(HERE, "asyncio50.py")
        rows, seconds = [], {}
        for _ in range(rounds(3)):
            self.sync(SLOW)
            for name, way, own in [*((w.name, w, []) for w in self.ways), ("own SOCKS5", self.ways[0], [str(SLOW)])]:
                if seconds.get(name) and seconds[name][0][0] > 5:    # once is enough of what takes so long
                    continue
                out = self.run(way, SLOW, sys.executable, program, "50", NODE, str(ECHO), *own, timeout=30)
                seconds.setdefault(name, []).append(tuple(float(x) for x in out.split()) if out else (30.0, 0))
        for name, s in seconds.items():
            took = statistics.median(x[0] for x in s)
            rows.append([name, f"{took:.2f}" if took < 30 else "30, given up", f"{min(x[1] for x in s):.0f}"])
        self.say("\n## 50 connections at once (asyncio), with a proxy that answers after 200 ms\n")
        self.table(["", "seconds", "worked, of 50"], rows)
        own, ours = (statistics.median(x[0] for x in seconds[n]) for n in ("own SOCKS5", "tsproxy"))
        self.target("asyncio x50, relative to the delay", ours / 0.2 if all(x[1] == 50 for x in seconds["tsproxy"]) else 99, 1.5,
                    f"{ours:.2f} s; own SOCKS5 {own:.2f} s")

    # --- datagrams ---

    def datagrams(self):
        """Client, proxy and server share one processor, and none takes it from another, as in connects(). What is compared is what ran side by side: the median of each
        round's ratio, which a machine that is slower for a while does not touch."""
        program = self.program("datagrams")
        native, ours = self.ways[:2]
        self.start(program, "serve", str(ECHO), ready=lambda: udp_bound(ECHO))
        cpus = os.sched_getaffinity(0)
        self.place({max(cpus)}, in_turn=True)
        sizes = ("100", "1200", "8000")
        plans = {"own UDP ASSOCIATE": (native, NODE, [str(SIM)]), "tsproxy": (ours, NODE, []),
                 "native, loopback": (native, "127.0.0.1", []), "tsproxy, loopback": (ours, "127.0.0.1", []),
                 "native, other address": (native, OTHER, []), "tsproxy, other address": (ours, OTHER, [])}
        samples, lost = {}, 0
        for turn in range(rounds(60)):
            self.sync(SIM)
            for size in sizes:
                for name in (plans if turn % 2 else reversed(plans)):    # so that each is as often the first
                    way, host, own = plans[name]
                    out = self.run(way, SIM, program, "5000", size, host, str(ECHO), *own)
                    if out:
                        samples.setdefault((name, size), {})[turn] = float(out.split()[0])
                        lost += int(out.split()[1])
        rate = {k: statistics.median(v.values()) for k, v in samples.items()}
        self.say("\n## Datagrams, round trips per second, 8 at a time\n")
        self.say("Through the simulated tailnet, and to loopback and another address of the machine, which are outside the tailnet. "
                 f"{lost} of {sum(map(len, samples.values())) * 5000} were lost.")
        self.table(["", *(f"{s} bytes" for s in sizes)],
                   [[name, *(f"{rate[name, s]:.0f}" for s in sizes)] for name in plans])
        for name, base, limit in (("tsproxy", "own UDP ASSOCIATE", 1 / 0.95), ("tsproxy, loopback", "native, loopback", 1.02),
                                  ("tsproxy, other address", "native, other address", 1.02)):
            for size in sizes:
                a, b = samples[base, size], samples[name, size]
                ratio = statistics.median(a[turn] / b[turn] for turn in a if turn in b)
                self.target(f"datagrams of {size} bytes, {base} relative to {name}", ratio, limit, f"{rate[name, size]:.0f} a second vs. {rate[base, size]:.0f}")
        self.associations(program, native, ours)
        self.place(cpus)

    def associations(self, program, native, ours):
        """How many system calls a batch takes; many associations at once, and one after the other: what is left."""
        held = self.run(ours, SIM, program, "hold", "1000", NODE, str(ECHO))
        self.target("of 1,000 sockets with an association each, failed", int(held.split()[1]) if held else 1000, 0, "")
        for name, way, host in (("native, loopback", native, "127.0.0.1"), ("tsproxy", ours, NODE)):
            n = [self.strace(way.env(SIM), program, "batch", str(k), host, str(ECHO)) for k in (1, 11)]
            calls = (len(n[1]) - len(n[0])) / 10 if all(n) else 99
            self.say(f"\nSystem calls for a batch of 64 datagrams and their replies, {name}: {calls:.1f}.")
        self.target("system calls for 64 datagrams and their replies", calls, 2, "sendmmsg, recvmmsg")
        count = 10000 if QUICK else 100000
        left = self.run(ours, SIM, program, "open", str(count), NODE, str(ECHO), timeout=900)
        try:
            until(lambda: not established(SIM), "end of associations")    # each ends a quarter of a second after its socket
        except AssertionError:
            pass
        self.say(f"\nLeft after {count} associations in one process: {left.strip() if left else 'it failed'}; "
                 f"connections at the proxy that are still open: {established(SIM)}.")
        words = left.split() if left else ["", "99999"] * 4
        for what, value, limit in (("failed", words[1], 0), ("KiB left", words[3], 1024), ("descriptors left", words[5], 0),
                                   ("mappings left", words[7], 0), ("connections left at the proxy", established(SIM), 0)):
            self.target(f"{count} associations: {what}", float(value), limit, "")

    # --- 5: calls that are not ours ---

    def hot(self):
        ways = [w for w in self.ways]
        plans = [(w.name, w, SIM, []) for w in ways] + [
            ("native, pending", ways[0], None, ["-", "0"]), ("tsproxy, pending", ways[1], STUCK, [NODE, str(ECHO)])]
        samples = {}
        for _ in range(rounds(20)):
            self.sync(SIM, STUCK)
            for name, way, port, pending in plans:
                # Only where a name is known can one be looked up; natively it would be asked of a DNS server.
                extra = {"BENCH_NODE": NAME} if way.name in ("tsproxy", "proxychains4") and not pending else None
                out = self.run(way, port, self.program("hot"), "4000", *pending, extra=extra)
                for line in (out or "").splitlines():
                    call, ns = line.split("\t")
                    samples.setdefault(call, {}).setdefault(name, []).append(float(ns))
        names, rows = [p[0] for p in plans], []
        for call, by in samples.items():
            m = {n: statistics.median(by[n]) for n in by}
            rows.append([call, *(f"{m[n]:.0f}" if n in m else "-" for n in names),
                         f"{m['tsproxy'] - m['native']:+.0f}" if "native" in m else "",
                         f"{m['tsproxy, pending'] - m['native, pending']:+.0f}" if "native, pending" in m else ""])
        self.say("\n## Calls that have nothing to do with the tailnet (ns)\n")
        self.say("\"Pending\": while a connection of another descriptor is still being made. The other tools wait for it inside connect.")
        self.table(["", *names, "tsproxy adds", "pending"], rows)

    # --- 6: memory ---

    def memory(self):
        rows = []
        for way in self.ways:
            row = [way.name]
            for count in ("0", "5"):
                self.sync(SIM)
                got = [self.run(way, SIM, self.program("connect"), "-m", count, NODE, str(ECHO)) for _ in range(5)]
                got = [tuple(int(x) for x in g.split()) for g in got if g]
                row += [statistics.median(g[i] for g in got) for i in range(4)] if got else ["fails"] * 4
            rows.append(row)
        base = rows[0]
        for row in rows[1:]:
            for i in (1, 2, 5, 6):
                if row[i] != "fails":
                    row[i] = f"{row[i] - base[i]:+.0f}"
        for row in rows:
            row[1:] = [x if isinstance(x, str) else f"{x:.0f}" for x in row[1:]]
        self.say("\n## Memory (KiB more than native: Pss, private dirty), threads, descriptors\n")
        self.say("At the start of a program, and after five connects to a node.")
        self.table(["", "Pss", "dirty", "threads", "fds", "Pss, 5", "dirty, 5", "threads, 5", "fds, 5"], rows)

    def all(self):
        self.say("# What tsproxy costs\n")
        self.say("`make bench` measures this in one run on one machine, in a private network namespace. All numbers are medians of interleaved rounds.\n")
        libc = " ".join(platform.libc_ver())
        self.say(f"Linux {re.match(r'[0-9.]+', platform.release()).group()}, {libc}, {platform.machine()}, {os.cpu_count()} processors. "
                 + ", ".join(f"{w.name} {w.version}" for w in self.ways[1:])
                 + (f". Not installed, so not measured: {', '.join(self.missing)}" if self.missing else "") + ".")
        self.servers()
        for part in (self.starts, self.connects, self.asyncio, self.datagrams, self.hot, self.memory):
            if not ONLY or part.__name__ in ONLY:
                part()
        if self.preempted:
            self.say("\nSCHED_FIFO was not allowed, so differences of a few percent between connections and datagrams are due to the scheduler.")
        self.say("\n## Targets")
        self.table(["", "value", "at most", "", ""], self.targets)
        if not QUICK and not ONLY:
            with open(os.path.join(HERE, "results.md"), "w") as f:
                f.write("\n".join(self.lines) + "\n")
            subprocess.run([os.path.join(HERE, "plot.py")], check=True)


def established(port):
    with open("/proc/net/tcp") as f:
        return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in list(f)[1:])


def udp_bound(port):
    with open("/proc/net/udp") as f:
        return any(line.split()[1].endswith(f":{port:04X}") for line in list(f)[1:])


def possible(name, port, host):
    """Natively nobody knows the node's name, and what has an address on loopback is not behind the simulated tailnet."""
    return not (name == "native" and host == NAME)


def package_version(name):
    p = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                       text=True, check=False) if shutil.which("dpkg-query") else None
    return p.stdout.split("-")[0].split("+")[0] if p and p.returncode == 0 else ""


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build"))
    if os.environ.get("TSPROXY_TEST_PRIVATE") != "yes":
        os.execv(PRIVATE, [PRIVATE, sys.executable, os.path.abspath(__file__), build])
    folder = tempfile.mkdtemp(prefix="tsproxy-bench-")
    try:
        Bench(build, folder).all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

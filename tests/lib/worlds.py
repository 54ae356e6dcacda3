# SPDX-License-Identifier: MIT
"""Network namespaces with a road of a known length to a peer: the worlds that differential tests compare.

build/diff/delaytun is the road. The peer's addresses are NET4 + 2 and NET6 + 2; 3 swallows everything; delaytun.c has the rest.
"""
import os
import subprocess
import sys


class World:
    """A namespace, the road and the servers at its other end. `enter` is what a command needs in front to run in it."""

    def __init__(self, build, rtt, net4, net6, serve):
        self.build = build
        self.kept = []
        holder = self.keep(["unshare", "-n", "sh", "-c", "echo ready; exec cat"])
        self.enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        self.keep(self.enter + [f"{build}/diff/delaytun", str(rtt), net4, net6, *serve])
        self.env = {**os.environ, "LC_ALL": "C"}

    def keep(self, cmd, **how):
        """Starts something that lives as long as this world; returns once it has written a line."""
        p = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **how)
        self.kept.append(p)
        if not p.stdout.readline():
            p.wait()
            print(f"skip: {os.path.basename(cmd[-1])} did not start (exit status {p.returncode})")
            print("0 passed, 0 failed, 1 skipped" if p.returncode == 77 else "0 passed, 1 failed, 0 skipped")
            sys.exit(0 if p.returncode == 77 else 1)
        return p

    def stop(self):
        for p in reversed(self.kept):
            p.stdin.close()
            try:
                p.wait(0.2)
            except subprocess.TimeoutExpired:
                p.kill()	# what does not look at its standard input
                p.wait()

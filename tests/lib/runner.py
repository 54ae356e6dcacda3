# SPDX-License-Identifier: MIT
"""Runs a folder's tests, each in a process and in namespaces of its own (tests/lib/private). For the `run` beside them.

A failing one keeps its directory. A skipped one says why; in CI (CI=true) it counts as failed. TEST_PREFIX=valgrind runs the
programs behind the launcher under that.
"""
import concurrent.futures
import glob
import importlib
import os
import shutil
import subprocess
import sys
import tempfile

import harness

PRIVATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "private")
LIMIT = 180     # seconds for one test


class Runner:
    """`script` is the program that calls, `target` the one of make that runs it; `options` go to tests/lib/private."""

    def __init__(self, script, target, options=()):
        self.script, self.target, self.options = os.path.abspath(script), target, options

    def load(self):
        """[(topic.function, title)] in the order of the files."""
        tests = []
        for path in sorted(glob.glob(os.path.join(os.path.dirname(self.script), "t_*.py"))):
            module = os.path.basename(path)[:-3]
            harness.TESTS.clear()
            importlib.import_module(module)
            tests += [(f"{module[2:]}.{function.__name__}", title) for title, function in harness.TESTS]
        return tests

    def run(self, name):
        """Returns (status, output, directory)."""
        directory = tempfile.mkdtemp(prefix=f"tsproxy-{name}-")
        os.chmod(directory, 0o755)
        p = subprocess.Popen([PRIVATE, *self.options, sys.executable, self.script, "--one", name, directory],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             start_new_session=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        try:
            out, _ = p.communicate(timeout=LIMIT)
            status = p.returncode
        except subprocess.TimeoutExpired:
            p.kill()
            out, _ = p.communicate()
            status, out = 1, out + f"still running after {LIMIT} s\n".encode()
        if status in (0, 77):
            shutil.rmtree(directory, ignore_errors=True)
        return status, out.decode(errors="replace"), directory

    def main(self, args):
        """[-j N] [PART]...: the tests whose name holds one of the parts (all without). Returns (exit status, [what each printed])."""
        if args[:1] == ["--one"]:
            topic, function = args[1].split(".")
            sys.exit(harness.run_one(getattr(importlib.import_module("t_" + topic), function), args[2]))
        jobs = 2
        if args[:1] == ["-j"]:
            jobs, args = int(args[1]), args[2:]
        tests = [t for t in self.load() if not args or any(part in t[0] for part in args)]
        counts = {"ok": 0, "not ok": 0, "skip": 0}
        printed = []
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for (name, title), (status, out, directory) in zip(tests, pool.map(self.run, [t[0] for t in tests])):
                printed.append(out)
                if status == 77 and os.environ.get("CI") != "true":
                    counts["skip"] += 1
                    print(f"ok - {name}: {title} # SKIP {out.strip()}", flush=True)
                elif status == 0:
                    counts["ok"] += 1
                    print(f"ok - {name}: {title}", flush=True)
                else:
                    counts["not ok"] += 1
                    print(f"not ok - {name}: {title}{' # SKIP (a failure in CI)' if status == 77 else ''}")
                    for line in out.splitlines():
                        print(f"#   {line}")
                    print(f"# kept: {directory}\n# again: make {self.target} T={name}", flush=True)
        print(f"{counts['ok']} passed, {counts['not ok']} failed, {counts['skip']} skipped")
        # No test at all is a wrong name, not a success.
        return 1 if counts["not ok"] or not tests else 0, printed

# SPDX-License-Identifier: MIT
"""A folder with the launcher, a stand-in for tsproxy-sync and an empty object; and the tests' bookkeeping."""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

TESTS = []
MARK = 42       # the exit status of the programs that `make check-cli` builds
PR_SET_CHILD_SUBREAPER = 36


class Skip(Exception):
    """The machine cannot do this; the text says why."""


def test(function):
    TESTS.append(function)
    return function


class World:
    """One test's folder. The launcher lies in bin/, the map in run/tsproxy/."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.dir = tempfile.mkdtemp(prefix='tsproxy-cli-')
        os.chmod(self.dir, 0o755)
        self.bin = os.path.join(self.dir, 'bin')
        self.run_dir = os.path.join(self.dir, 'run')
        self.log = os.path.join(self.dir, 'log')
        self.map = os.path.join(self.run_dir, 'tsproxy', 'default.map')
        os.mkdir(self.bin)
        os.makedirs(os.path.join(self.run_dir, 'tsproxy'), 0o700)
        self.launcher = self.install(os.path.join(self.build, 'tsproxy'), 'bin/tsproxy')
        self.object = self.install(self.program('empty.so'), 'bin/libtsproxy.so')
        self.install(self.program('fake-sync'), 'bin/tsproxy-sync')
        # Root's own place is the machine's, not the test's.
        self.env = {'PATH': os.environ['PATH'], 'TSPROXY_PLACE': os.path.dirname(self.map), 'HOME': self.dir,
                    'FAKE_LOG': self.log, 'LC_ALL': 'C'}

    def program(self, name):
        path = os.path.join(self.build, 'cli', name)
        if not os.path.exists(path):
            raise Skip(f'{name} was not built: its compiler is missing')
        return path

    def path(self, name):
        return os.path.join(self.dir, name)

    def install(self, source, name):
        shutil.copy(source, self.path(name))
        return self.path(name)

    def write(self, name, text, mode=0o755):
        with open(self.path(name), 'w') as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def run(self, *args, env=None, **keywords):
        """Runs the launcher; returns (status, output, errors)."""
        keywords.setdefault('stdin', subprocess.DEVNULL)
        p = subprocess.run([self.launcher, *args], env={**self.env, **(env or {})}, cwd=self.dir, timeout=60,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords)
        return p.returncode, p.stdout, p.stderr

    def environment(self, *args, env=None):
        """The environment that a command gets."""
        status, out, err = self.run(*args, '--', 'env', '-0', env=env)
        assert (status, err) == (0, ''), (status, err)
        return dict(line.split('=', 1) for line in out.split('\0') if line)

    def sync_log(self):
        if not os.path.exists(self.log):
            return ''
        with open(self.log) as f:
            return f.read()


def same(got, want):
    assert got == want, f'got {got!r}, want {want!r}'


def one_line(err, *parts):
    assert err.startswith('tsproxy: ') and err.count('\n') == 1 and err.endswith('\n'), f'not one line: {err!r}'
    for part in parts:
        assert part in err, f'{part!r} is not in {err!r}'


def end_all():
    """Ends what a test has left: the launcher refreshes the map in a process that may outlive it and writes into the test's folder."""
    try:
        while True:
            with open('/proc/thread-self/children') as f:
                for pid in f.read().split():
                    os.kill(int(pid), signal.SIGKILL)
            os.wait()
    except ChildProcessError:
        pass


def main(build, pattern):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    for function in TESTS:
        name = function.__name__
        if pattern not in name:
            continue
        world = World(build)
        try:
            function(world)
            counts['passed'] += 1
        except Skip as why:
            counts['skipped'] += 1
            print(f'skip  {name}: {why}')
        except Exception:
            counts['failed'] += 1
            print(f'FAIL  {name}: {function.__doc__ or ""}\n{traceback.format_exc()}'
                  f'      its folder: {world.dir}\n      again: make check-cli T={name}')
            continue
        finally:
            end_all()
        shutil.rmtree(world.dir)
    print(', '.join(f'{n} {what}' for what, n in counts.items()))
    sys.exit(1 if counts['failed'] or not any(counts.values()) else 0)    # no test at all: a wrong name

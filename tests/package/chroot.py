# SPDX-License-Identifier: MIT
"""A Debian to install packages in: made by debootstrap from the mirror that apt uses here, kept, copied for each use."""
import os
import re
import shutil
import subprocess
import sys

PRIVATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib', 'private')
INCLUDE = 'libjansson4,libinih1,libqrencode4'


class Skip(Exception):
    """The machine cannot do this; the text says why."""


def mirror(suite):
    """Where apt gets the suite's main section from, as debootstrap's argument; where apt does not say, debootstrap knows."""
    out = subprocess.run(['apt-get', 'indextargets', '--format', '$(REPO_URI) $(RELEASE)', 'Created-By: Packages'],
                         stdout=subprocess.PIPE, text=True).stdout
    for line in out.splitlines():
        uri, release = line.split()
        if release == suite:
            return [uri]
    return []


def suite():
    with open('/etc/os-release') as f:
        ids = dict(re.findall(r'^(\w+)="?([^"\n]*)', f.read(), re.M))
    if ids.get('ID') != 'debian':
        raise Skip(f'this is {ids.get("ID")}, not Debian')
    return ids['VERSION_CODENAME']


def base(build, name=None, include=INCLUDE):
    """The folder of the kept one."""
    name = name or suite()
    path = os.path.join(os.path.abspath(build), 'chroot', name)
    if os.path.exists(os.path.join(path, 'done')):
        return os.path.join(path, 'root')
    if os.getuid() != 0:
        raise Skip('debootstrap needs root')
    tool = shutil.which('debootstrap', path=os.environ['PATH'] + ':/usr/sbin')
    if not tool:
        raise Skip('debootstrap is not installed')
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    print(f'debootstrap {name} ...', flush=True)
    log = os.path.join(path, 'log')
    with open(log, 'w') as f:
        p = subprocess.run([tool, '--variant=minbase', f'--include={include}', name, path + '/root', *mirror(name)],
                           stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT, timeout=600)
    if p.returncode:
        with open(log) as f:
            raise Skip('debootstrap: ' + (f.read().strip().splitlines() or ['failed'])[-1])
    shutil.rmtree(path + '/root/var/cache/apt/archives', ignore_errors=True)
    open(os.path.join(path, 'done'), 'w').close()
    return path + '/root'


def mount(kind, path, options='rw'):
    subprocess.run(['mount', '-t', kind, '-o', options, f'tsproxy-{kind}', path], check=True)


class Root:
    """A copy in memory, with a /proc, a /dev and a user of its own. It ends with tests/lib/private, in which this runs: so
    nothing here ever removes a tree that others are mounted in."""

    def __init__(self, source):
        self.path = '/run/root'
        os.mkdir(self.path)
        mount('tmpfs', self.path, 'size=2g,mode=755')
        subprocess.run(['cp', '-a', f'{source}/.', self.path], check=True)
        for kind, name in (('proc', 'proc'), ('tmpfs', 'tmp'), ('tmpfs', 'run'), ('tmpfs', 'dev')):
            mount(kind, self.at(name))
        for name, minor in (('null', 3), ('zero', 5), ('full', 7), ('random', 8), ('urandom', 9)):
            subprocess.run(['mknod', '-m', '666', self.at(f'dev/{name}'), 'c', '1', str(minor)], check=True)
        os.symlink('/proc/self/fd', self.at('dev/fd'))
        os.mkdir(self.at('dev/shm'))
        for name in ('tmp', 'dev/shm'):
            os.chmod(self.at(name), 0o1777)
        with self.open('etc/passwd', 'a') as f:
            f.write('user:x:1000:1000::/home/user:/bin/sh\n')
        os.makedirs(self.at('home/user'))
        os.chown(self.at('home/user'), 1000, 1000)

    def at(self, name):
        return os.path.join(self.path, name.lstrip('/'))

    def open(self, name, mode='r'):
        return open(self.at(name), mode)

    def command(self, *args, user=False):
        drop = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'] if user else []
        home = '/home/user' if user else '/root'
        return ['chroot', self.path, 'env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
                'LC_ALL=C', 'DEBIAN_FRONTEND=noninteractive', f'HOME={home}', *drop, *args]

    def run(self, *args, user=False, want=0, **keywords):
        """What it printed, standard error included."""
        p = subprocess.run(self.command(*args, user=user), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=120, **keywords)
        if p.returncode != want:
            raise AssertionError(f'{" ".join(args)}: status {p.returncode}, not {want}: {p.stdout}')
        return p.stdout


class Steps:
    """Steps that build upon each other: the first that fails ends it."""

    def __init__(self):
        self.passed = 0

    def ok(self, what):
        self.passed += 1
        print(f'ok    {what}', flush=True)


def main(work, again, kept=None):
    """Runs work(steps) in a private namespace; prints the closing line. `kept`: base()'s arguments, where it is needed."""
    if os.environ.get('TSPROXY_TEST_PRIVATE') != 'yes':
        # The mirror is reached from outside the namespace.
        try:
            if kept:
                base(*kept)
        except Skip as why:
            reason = why

            def work(_):
                raise reason
        else:
            os.execv(PRIVATE, [PRIVATE, sys.executable, *sys.argv])
    steps = Steps()
    failed = skipped = 0
    try:
        work(steps)
    except Skip as why:
        skipped = 1
        print(f'skip  {why}')
    except Exception as err:
        failed = 1
        print(f'FAIL  {type(err).__name__}: {err}\n      again: {again}')
    print(f'{steps.passed} passed, {failed} failed, {skipped} skipped')
    sys.exit(1 if failed else 0)

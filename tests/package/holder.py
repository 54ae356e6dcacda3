# SPDX-License-Identifier: MIT
"""A program that outlives an upgrade."""
import hashlib
import subprocess

# Says that it runs; told to, uses a hooked call that no tailnet has a part in; says how that ended.
HOLDER = r'''
use Socket; $| = 1; print "up\n";
while (<STDIN>) {
    socket(S, PF_INET, SOCK_STREAM, 0);
    print connect(S, sockaddr_in(1, inet_aton("127.0.0.1"))) ? "connected\n" : "$!\n";
}
'''


class Holder:
    """A program that has the object mapped; `launcher` are the words that start tsproxy."""

    def __init__(self, launcher):
        self.process = subprocess.Popen([*launcher, '--', 'perl', '-e', HOLDER], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == 'up\n'
        with open(f'/proc/{self.process.pid}/maps') as f:
            lines = [line.split() for line in f if 'libtsproxy.so' in line]
        assert lines, 'the object is not mapped'
        self.area, self.inode = lines[0][0], lines[0][4]
        self.sum = self.content()

    def content(self):
        with open(f'/proc/{self.process.pid}/map_files/{self.area}', 'rb') as f:
            return hashlib.sha256(f.read()).digest()

    def check(self):
        """The same file, with the same bytes; and it still works."""
        with open(f'/proc/{self.process.pid}/maps') as f:
            lines = [line.split() for line in f if 'libtsproxy.so' in line]
        assert {line[4] for line in lines} == {self.inode}, lines
        assert lines[0][-1] == '(deleted)', lines
        assert self.content() == self.sum, 'the mapped object has other bytes than before'
        self.process.stdin.write('go\n')
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        assert said == 'Connection refused\n', said

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0, self.process.returncode

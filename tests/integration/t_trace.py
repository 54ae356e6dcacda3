# SPDX-License-Identifier: MIT
"""tsproxy trace: a line for each connection and for its end, with the bytes that the program itself moved."""
import glob
import json
import os
import pty
import re
import signal
import sys

from harness import FQDN1, NAME1, NODE1, echo, rest_of_terminal, test, until

SOCKS = "127.0.0.1:1080"


def python(text, *words):
    return ["--", sys.executable, "-c", f"import socket, sys, os\n{text}", *words]


def events(t, *words, status=0, options=(), warned=False):
    """The records of a command that itself is silent, by `trace --json`; `warned`: beside what the launcher may say."""
    done = t.launcher(*options, "trace", "--json", *words)
    assert done.status == status, done
    assert not glob.glob("/run/user/0/tsproxy-trace-*") + glob.glob("/tmp/tsproxy-trace-*"), "its FIFO stays"
    return [json.loads(line) for line in done.err.splitlines()
            if not (warned and line.startswith("tsproxy: "))]


@test("trace: target, name, way, time and result at the connect, the exact bytes at the close")
def bytes_and_result(t):
    t.tailnet()
    t.listen(3000, echo)
    opened, closed = events(t, *python(
        f"s = socket.create_connection(('{NODE1}', 3000)); s.sendall(b'x' * 70000); n = 0\n"
        "while n < 70000: n += len(s.recv(65536))\n"
        "s.close()"))
    assert (opened["event"], opened["target"], opened["name"]) == ("open", f"{NODE1}:3000", FQDN1), opened
    assert (opened["via"], opened["proxy"], opened["error"], opened["result"]) == \
        ("socks5", SOCKS, 0, "connected"), opened
    assert 0 < opened["ms"] < 10000 and opened["pid"] == closed["pid"] and opened["time_ms"] <= closed["time_ms"]
    assert (closed["event"], closed["target"], closed["name"]) == ("close", f"{NODE1}:3000", FQDN1), closed
    assert (closed["sent"], closed["received"]) == (70000, 70000), closed


@test("trace: what the far side says first is counted, and an HTTP proxy's words are not")
def speaks_first(t):
    t.tailnet()

    def hello(connection):
        with connection:
            connection.sendall(b"hello\n")
            connection.recv(10)
    t.listen(3001, hello)
    for options, via in ((), "socks5"), (("--http-proxy", "127.0.0.1:3128"), "http"):
        opened, closed = events(t, *python(
            f"s = socket.create_connection(('{NAME1}', 3001)); assert s.recv(6, socket.MSG_WAITALL) == b'hello\\n'"),
            options=options)
        assert opened["via"] == via, opened
        assert (closed["sent"], closed["received"]) == (0, 6), closed


@test("trace: refused, denied, not the tailnet's, given up, and a proxy that is not there")
def failures(t):
    t.tailnet()
    blocking = f"s = socket.socket()\ntry: s.connect((sys.argv[1], int(sys.argv[2])))\nexcept OSError: pass"
    (one,) = events(t, *python(blocking, NODE1, "3999"))
    assert (one["event"], one["via"], one["result"]) == ("open", "socks5", "Connection refused"), one
    (one,) = events(t, *python(
        f"import select\ns = socket.socket(); s.setblocking(False); s.connect_ex(('{NODE1}', 3999))\n"
        "select.select([], [s], [])"))
    assert one["result"] == "Connection refused", one
    (one,) = events(t, *python(blocking, "100.100.100.100", "80"))
    assert (one["via"], one["proxy"], one["result"]) == ("none", None, "No route to host"), one
    (one,) = events(t, *python(blocking, "127.0.0.1", "9"))
    assert (one["via"], one["proxy"], one["result"]) == ("direct", None, "Connection refused"), one
    assert " direct, not in the tailnet: " in t.launcher("trace", *python(blocking, "127.0.0.1", "9")).err
    mute = t.listen(4000)
    (one,) = events(t, *python(
        f"s = socket.socket(); s.setblocking(False); s.connect_ex(('{NODE1}', 80)); s.close()"),
        options=("--socks5", "127.0.0.1:4000"), warned=True)
    assert (one["via"], one["result"]) == ("socks5", "cancelled"), one
    mute.close()
    (one,) = events(t, *python(blocking, NODE1, "80"), options=("--socks5", "127.0.0.1:4000"), warned=True)
    assert (one["proxy"], one["result"]) == ("127.0.0.1:4000", "Connection refused"), one


@test("trace: a connection ends with its last descriptor, once, whatever forked children and other programs do with it")
def descriptors(t):
    t.tailnet()
    t.listen(3000, echo)
    connect = f"s = socket.create_connection(('{NODE1}', 3000)); s.sendall(b'abc'); s.recv(3, socket.MSG_WAITALL)\n"
    for rest in ("d = s.dup(); s.close(); d.sendall(b'de'); d.recv(2, socket.MSG_WAITALL); d.close()",
                 "if os.fork() == 0: s.close(); os._exit(0)\n"
                 "os.wait(); s.sendall(b'de'); s.recv(2, socket.MSG_WAITALL)",
                 "import subprocess; subprocess.run(['true']); s.sendall(b'de'); s.recv(2, socket.MSG_WAITALL)"):
        found = events(t, *python(connect + rest))
        assert [(e["event"], e.get("sent"), e.get("received")) for e in found] == \
            [("open", None, None), ("close", 5, 5)], (rest, found)
    found = events(t, *python(
        connect + "os.set_inheritable(s.fileno(), True)\n"
        "os.execlp(sys.executable, 'python3', '-c', 'import socket, sys; s = socket.socket(fileno=int(sys.argv[1]));'\n"
        "          's.sendall(b\"defg\"); s.recv(4, socket.MSG_WAITALL)', str(s.fileno()))"))
    assert [(e["event"], e.get("sent")) for e in found] == [("open", None), ("close", 4)], found


@test("trace: output, exit status and signals are the command's; in a pipe no colours, on a terminal some")
def like_the_command(t):
    t.tailnet()
    t.page(3000)
    line = re.compile(r"tsproxy: \d\d:\d\d:\d\d\.\d{3} \[\d+\] (.*)\n")
    done = t.launcher("trace", "--", "sh", "-c", f"curl -4s http://{NAME1}:3000/; exit 7")
    assert (done.status, done.out) == (7, "a page\n"), done
    lines = line.findall(done.err)
    assert len(lines) == done.err.count("\n") == 2 and "\033" not in done.err, done
    assert lines[0].startswith(f"{NODE1}:3000 {FQDN1} through socks5 {SOCKS} in ") and \
        lines[0].endswith(" ms: connected") and re.search(r": closed after [\d.]+ s, \d+ bytes sent, \d+ received$", lines[1]), lines
    assert t.launcher("trace", "sh", "-c", "kill -TERM $$").status == -signal.SIGTERM
    for command, status in (("no-such-command", 127), (t.file("text", "x"), 126)):
        assert t.launcher("trace", "--", command).bad(status=status).err.count("\n") == 1
    for words in ([], ["--"], ["--json"]):
        assert "trace: no command given" in t.launcher("trace", *words).bad(status=2).err
    assert t.launcher("trace", "--nonsense", "--", "true").bad("--nonsense", status=2).err.count("\n") == 1
    assert t.launcher("trace", "--help").good().startswith("usage: tsproxy trace")
    for env, coloured in ({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False):
        status, out = t.on_terminal([t.build("tsproxy"), "trace", "curl", "-s", f"http://{NAME1}:3000/"], env)
        assert status == 0 and ("\033[32mconnected" in out) == coloured and "connected" in out and "a page" in out, out


@test("trace: an interrupt at the terminal ends the command, and trace tells what it had; a signal to trace goes on to it")
def interrupts(t):
    t.tailnet()
    t.listen(3000, echo)
    text = (f"import signal; s = socket.create_connection(('{NODE1}', 3000))\n"
            "signal.signal(signal.SIGTERM, lambda *a: sys.exit(5))\nopen(sys.argv[1], 'w').close()\n"
            "try: signal.pause()\nexcept KeyboardInterrupt: sys.exit(4)")
    mark = os.path.join(t.dir, "mark")
    for how, status in ("terminal", 4), ("signal", 5):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(t.build("tsproxy"), ["tsproxy", "trace", *python(text, mark)], {**t.env, "TERM": "dumb"})
        until(lambda: os.path.exists(mark), "the command")
        os.unlink(mark)
        if how == "terminal":
            os.write(fd, b"\x03")
        else:
            os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status, how
        out = rest_of_terminal(fd)
        assert b"connected" in out and b"closed after" in out, out


@test("trace: without a reader, with a file that is not there and with a full FIFO the program goes on all the same")
def nobody_reads(t):
    t.tailnet()
    t.page(3000)
    fifo = os.path.join(t.dir, "fifo")
    os.mkfifo(fifo)
    for place in fifo, os.path.join(t.dir, "none"), "relative":
        assert t.tsproxy("curl", "-s", f"http://{NAME1}:3000/", env={"TSPROXY_TRACE": place}).good() == "a page\n"
    assert not os.path.exists(os.path.join(t.dir, "none"))
    fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(fd, b"x" * 4096)
    except BlockingIOError:
        pass
    assert t.tsproxy("curl", "-s", f"http://{NAME1}:3000/", env={"TSPROXY_TRACE": fifo}).good() == "a page\n"
    os.close(fd)


@test("trace: who reads the lines may go; the command goes on to its end, and nothing is left behind")
def reader_gone(t):
    t.tailnet()
    t.page(3000)
    script = f"curl -s http://{NAME1}:3000/ >/dev/null; curl -s http://{NAME1}:3000/ >/dev/null; echo end >> ended"
    for how in "2>&1 >/dev/null | head -n 1", "2>/dev/full", "2>&-", ">&- 2>&- <&-":
        t.run(["sh", "-c", f"'{t.build('tsproxy')}' trace -- sh -c '{script}' {how}"]).good()
    until(lambda: open(f"{t.dir}/ended").read() == "end\n" * 4, "the end of each command")
    until(lambda: not [f for f in os.listdir("/run/user/0") if f.startswith("tsproxy-trace")], "a tidy place")


@test("trace: a command that crashes, one with threads, one within another, times that can be read")
def kinds(t):
    t.tailnet()
    t.page(3000)
    assert t.launcher("trace", "--", "sh", "-c", "kill -SEGV $$").status == -signal.SIGSEGV
    threads = (f"import threading\nthreads = [threading.Thread(target=socket.create_connection, args=(('{NODE1}', 3000),))"
               " for _ in range(8)]\nfor x in threads: x.start()\nfor x in threads: x.join()\n")
    done = t.launcher("trace", "--json", *python(threads))
    found = [json.loads(line) for line in done.err.splitlines()]
    assert sum(e["event"] == "open" for e in found) == 8 and done.status == 0, done
    assert all(re.fullmatch(r"[0-9.]{1,12}", line.split('"ms":')[1].split(",")[0].rstrip("}")) for line in done.err.splitlines()), done
    inner = t.launcher("trace", t.build("tsproxy"), "trace", "curl", "-s", f"http://{NAME1}:3000/")
    assert inner.good() == "a page\n" and inner.err.count("\n") == 2, inner

# SPDX-License-Identifier: MIT
"""Programs that speak UDP, and what each is to say of a host: the same natively and under tsproxy."""
from udp_servers import DNS, ECHO, NTP, SINK

JAVA = '''
import java.net.*; import java.nio.*; import java.nio.channels.*; import java.util.*;
public class Udp {
    public static void main(String[] a) throws Exception {
        InetSocketAddress to = new InetSocketAddress(a[0], Integer.parseInt(a[1]));
        ByteBuffer in = ByteBuffer.allocate(100);
        try (DatagramChannel c = DatagramChannel.open()) {
            c.send(ByteBuffer.wrap("one".getBytes()), to);
            System.out.println(c.receive(in).equals(to) + " " + in.position());
            c.connect(to);
            c.configureBlocking(false);
            Selector s = Selector.open();
            c.register(s, SelectionKey.OP_READ);
            c.write(ByteBuffer.wrap("channel".getBytes()));
            s.select(5000);
            in.clear();
            System.out.println(c.read(in) + " " + c.getRemoteAddress().equals(to));
        }
        try (DatagramSocket s = new DatagramSocket()) {
            s.setSoTimeout(5000);
            s.send(new DatagramPacket("socket".getBytes(), 6, to));
            DatagramPacket p = new DatagramPacket(new byte[100], 100);
            s.receive(p);
            System.out.println(p.getLength() + " " + p.getSocketAddress().equals(to));
        }
    }
}
'''
NODE = '''
const dgram = require("dgram"), [host, port] = [process.argv[2], +process.argv[3]];
const s = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
s.on("message", (m, from) => {
    console.log(m.toString(), from.address === host, from.port === port);
    if (m.toString() === "two") return s.close();
    s.connect(port, host, () => { console.log(s.remoteAddress().address === host); s.send("two"); });
});
s.send("one", port, host);
'''
ASYNCIO = '''
import asyncio, sys
host, port = sys.argv[1], int(sys.argv[2])
class Asks(asyncio.DatagramProtocol):
    def __init__(self, done): self.done, self.got = done, []
    def connection_made(self, t): [t.sendto(b"%d" % i, None if t.get_extra_info("peername") else (host, port)) for i in range(50)]
    def datagram_received(self, data, peer):
        self.got.append((int(data), peer[:2] == (host, port)))
        if len(self.got) == 50: self.done.set_result(None)
async def main(**how):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    t, asks = await loop.create_datagram_endpoint(lambda: Asks(done), **how)
    await asyncio.wait_for(done, 10)
    print(sorted(asks.got) == [(i, True) for i in range(50)])
    t.close()
asyncio.run(main(remote_addr=(host, port)))
asyncio.run(main(local_addr=("::" if ":" in host else "0.0.0.0", 0)))
'''
PERL = '''
use IO::Socket::IP; my ($h, $p) = @ARGV;
my $s = IO::Socket::IP->new(PeerHost => $h, PeerPort => $p, Type => SOCK_DGRAM, Proto => "udp") or die "$@";
print $s "printed"; $s->flush; $s->recv(my $b, 100); print "$b ", $s->peerport, "\\n";
$s->send("sent"); sysread $s, $b, 100; print "$b\\n";
'''
RUBY = '''
require "socket"; h, p = ARGV
s = UDPSocket.new(h.include?(":") ? Socket::AF_INET6 : Socket::AF_INET)
s.send("one", 0, h, p.to_i); m, from = s.recvfrom(100); puts m, from[1], from[3] == h
s.connect(h, p.to_i); s.write("two"); puts s.recv(100)
'''
PHP = '''
[$_, $h, $p] = $argv; $at = strpos($h, ":") !== false ? "[$h]" : $h;
$s = stream_socket_client("udp://$at:$p"); fwrite($s, "stream"); echo fread($s, 100), "\\n";
$f = fsockopen("udp://$at", (int)$p); fwrite($f, "fsock"); echo fread($f, 100), "\\n";
'''

MOSH = '''
import fcntl, os, pty, select, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execvp("mosh-client", ["mosh-client", sys.argv[1], sys.argv[2]])
seen, asked, until = b"", False, None
while b"sum 42 end" not in seen:
    if not select.select([fd], [], [], 20)[0]:
        sys.exit("silence after " + repr(seen[-300:]))
    try:
        seen += os.read(fd, 65536)
    except OSError:
        sys.exit("it ended after " + repr(seen[-300:]))
    if not asked and b"$" in seen:
        asked = True
        os.write(fd, b"echo sum $((6*7)) end; exit\\n")
print("it answered")
'''


def at(host):
    return f"[{host}]" if ":" in host else host


def programs(file, java_class):
    """(name, what must be installed, argv of a host). `file(name, text)` makes a file; `java_class(text)` a folder with its class."""
    py, js, rb, pl, php = (file(name, text) for name, text in (("udp.py", ASYNCIO), ("udp.js", NODE), ("udp.rb", RUBY), ("udp.pl", PERL), ("udp.php", PHP)))
    sh = lambda text: lambda host: ["bash", "-c", text.format(host=host, at=at(host), echo=ECHO, sink=SINK, ntp=NTP)]  # noqa: E731
    return [
        ("dig", "dig", lambda host: ["dig", "+short", "+tries=1", "+time=5", "-p", str(DNS), f"@{host}", "some.name"]),
        ("dig, cookies and retries", "dig", lambda host: ["dig", "+noall", "+answer", "+bufsize=4096", "+time=5", "-p", str(DNS), f"@{host}", "a.b", "c.d"]),
        ("ntpdate", "ntpdate", sh("ntpdate -q {host} | grep -o '{host}.*'")),
        ("nc -u", "nc", sh("echo asked | nc -u -w 1 {host} {echo}")),
        ("nc -u, from a port", "nc", sh("echo asked | nc -u -p 7007 -w 1 {host} {echo}")),
        ("socat", "socat", sh("echo asked | socat -t 1 - udp:{at}:{echo}")),
        ("socat, datagrams", "socat", sh("echo asked | socat -t 1 - udp-datagram:{at}:{echo}")),
        ("bash", "bash", sh("exec 3<>/dev/udp/{host}/{echo}; echo one >&3; read -r -n 1 -t 5 a <&3; printf 'two\\n' >&3; read -r -n 1 -t 5 b <&3; "
                            "(echo three) >&3; read -r -n 1 -t 5 c <&3; date +four >&3; read -r -n 1 -t 5 d <&3; echo $a $b $c $d")),
        ("bash, to a sink", "bash", sh("echo by-bash >/dev/udp/{host}/{sink}")),
        ("logger", "logger", sh("logger --udp --server {host} --port {sink} --rfc3164 by-logger")),
        ("python statsd", "python3", lambda host: ["python3", "-c", "import socket,sys; "
         "socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)"
         ".sendto(b'by.statsd:1|c', (sys.argv[1], int(sys.argv[2])))", host, str(SINK)]),
        ("gawk", "gawk", sh("gawk 'BEGIN {{ s = \"/inet/udp/0/{host}/{echo}\"; print \"asked\" |& s; s |& getline a; print a }}'")),
        ("python asyncio", "python3", lambda host: ["python3", py, host, str(ECHO)]),
        ("node dgram", "node", lambda host: ["node", js, host, str(ECHO)]),
        ("java", "java", lambda host: ["java", "-cp", java_class(JAVA), "-XX:TieredStopAtLevel=1", "Udp", host, str(ECHO)]),
        ("perl", "perl", lambda host: ["perl", pl, host, str(ECHO)]),
        ("ruby", "ruby", lambda host: ["ruby", rb, host, str(ECHO)]),
        ("php", "php", lambda host: ["php", php, host, str(ECHO)]),
    ]

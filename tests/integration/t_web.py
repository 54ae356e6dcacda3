# SPDX-License-Identifier: MIT
"""HTTP clients of several kinds, by address and by name, through a daemon that is found with nothing set."""
import json

from harness import FQDN1, NAME1, NODE1, NODE1_V6, listening, test


def only_through(sim, connections, port=3000):
    """The simulated tailnet saw just so many connections to the node, and none by name: names come from the map."""
    targets = {k: v["connections"] for k, v in sim.stats()["targets"].items() if k.endswith(f":{port}")}
    assert set(targets) <= {f"{NODE1}:{port}", f"[{NODE1_V6}]:{port}"}, targets
    assert sum(targets.values()) == connections, targets
    return targets


@test("curl by short name, full name, trailing dot, any case and by either address, with nothing configured")
def curl_names(t):
    t.need("curl")
    sim, page = t.tailnet(), t.page(3000)
    hosts = (NAME1, FQDN1, FQDN1 + ".", NAME1.upper(), NODE1, f"[{NODE1_V6}]")
    for host in hosts:
        t.tsproxy("curl", "-sS", f"http://{host}:3000/").good("a page")
    assert len(page.seen) == len(hosts)
    only_through(sim, len(hosts))


@test("curl fails natively on the same name, so the test proves something")
def curl_native(t):
    t.need("curl")
    t.tailnet()
    t.page(3000)
    assert t.run(["curl", "-sS", "-m", "5", f"http://{NAME1}:3000/"]).status == 6
    assert t.run(["curl", "-sS", "-m", "5", f"http://{NODE1}:3000/"]).status == 7


@test("LD_PRELOAD alone, without the launcher: the first lookup makes the map")
def curl_preload(t):
    t.need("curl")
    sim = t.tailnet()
    t.page(3000)
    t.preload("curl", "-sS", f"http://{NAME1}:3000/").good("a page")
    t.preload("sh", "-c", f"curl -sS http://{FQDN1}:3000/ | cat").good("a page")
    only_through(sim, 2)


@test("curl -4 and -6 take the family that is asked for")
def curl_families(t):
    t.need("curl")
    sim = t.tailnet()
    t.page(3000)
    for option, target in (("-4", f"{NODE1}:3000"), ("-6", f"[{NODE1_V6}]:3000")):
        out = t.tsproxy("curl", "-sS", option, "-w", "%{remote_ip} %{local_ip}", f"http://{NAME1}:3000/").good()
        remote, local = out.split("\n")[1].split()
        assert remote == (NODE1 if option == "-4" else NODE1_V6), out
        assert local not in ("127.0.0.1", "::1"), f"the program sees the proxy's own address: {out}"
        assert sim.stats()["targets"][target]["connections"] == 1


@test("curl -Z: thirty transfers at once take about one delay")
def curl_parallel(t):
    t.need("curl")
    sim = t.tailnet("--delay", "200")
    t.page(3000)
    done = t.tsproxy("curl", "-sS", "-Z", "--parallel-immediate", "--parallel-max", "30",
                     *[f"http://{NODE1}:3000/{i}" for i in range(30)])
    assert done.good().count("a page") == 30
    assert done.seconds < 2, f"{done.seconds:.2f} s for 30 transfers with 0.2 s each"
    assert sim.stats()["pending_max"] >= 15, sim.stats()


@test("curl posts two megabytes and gets them back, and reuses a connection")
def curl_post(t):
    t.need("curl")
    sim = t.tailnet()
    t.page(3000)
    data = t.file("data", "0123456789abcde\n" * 131072)
    t.tsproxy("curl", "-sS", "--data-binary", f"@{data}", "-o", "back", f"http://{NAME1}:3000/").good()
    t.run(["cmp", data, "back"]).good()
    t.tsproxy("curl", "-sS", f"http://{NAME1}:3000/1", f"http://{NAME1}:3000/2").good()
    only_through(sim, 2)


@test("wget by name")
def wget(t):
    t.need("wget")
    sim = t.tailnet()
    t.page(3000)
    t.tsproxy("wget", "-q", "-O", "-", f"http://{NAME1}:3000/").good("a page")
    only_through(sim, 1)


@test("nc carries bytes both ways and ends when the server does; nc -z tells open from closed")
def netcat(t):
    t.need("nc")
    t.tailnet()
    t.listen(3001, lambda c: (c.sendall(b"ready\n"), c.recv(100), c.sendall(b"bye\n"), c.close()))
    done = t.tsproxy("nc", NAME1, "3001", stdin="hello\n")
    assert done.good() == "ready\nbye\n", done
    t.tsproxy("nc", "-z", "-v", NAME1, "3001").good()
    t.tsproxy("nc", "-z", "-v", NAME1, "3999").bad("refused")


@test("a page on the loopback and an address outside are left alone")
def others(t):
    t.need("curl")
    sim, page = t.tailnet(), t.page(3000)
    t.tsproxy("curl", "-sS", "http://127.0.0.1:3000/").good("a page")
    t.tsproxy("curl", "-sS", "http://localhost:3000/").good("a page")
    assert t.tsproxy("curl", "-sS", "-m", "5", "http://192.0.2.1/").bad().status == 7
    assert len(page.seen) == 2
    only_through(sim, 0)


NODE_PROGRAM = """
const http = require('http');
const urls = process.argv.slice(2);
Promise.all(urls.map(url => new Promise((done, fail) => http.get(url, r => {
    let text = '', from = r.socket.remoteAddress;
    r.on('data', d => text += d);
    r.on('end', () => done([r.statusCode, text, from]));
}).on('error', e => done([e.code])))))
    .then(all => console.log(JSON.stringify(all)));
"""


@test("node: http.get of twenty pages at once, and a refused one")
def node(t):
    t.need("node")
    sim = t.tailnet("--delay", "100")
    t.page(3000)
    program = t.file("client.js", NODE_PROGRAM)
    done = t.tsproxy("node", program, *[f"http://{NAME1}:3000/{i}" for i in range(20)], f"http://{NODE1}:3999/")
    answers = json.loads(done.good())
    assert [a[:2] for a in answers[:20]] == [[200, "a page\n"]] * 20, answers
    assert all(a[2] in (NODE1, NODE1_V6) for a in answers[:20]), answers
    assert answers[20] == ["ECONNREFUSED"], answers
    assert sim.stats()["pending_max"] >= 10, sim.stats()


JAVA_PROGRAM = """
import java.io.*; import java.net.*; import java.nio.*; import java.nio.channels.*; import java.nio.charset.*;
public class Client {
    public static void main(String[] a) throws Exception {
        var c = (HttpURLConnection) new URL("http://" + a[0] + ":3000/").openConnection();
        System.out.print(c.getResponseCode() + " " + new String(c.getInputStream().readAllBytes()));
        System.out.println(InetAddress.getByName(a[0]).getHostAddress());
        var selector = Selector.open();
        var channel = SocketChannel.open();
        channel.configureBlocking(false);
        System.out.println("at once " + channel.connect(new InetSocketAddress(a[0], 3001)));
        var key = channel.register(selector, SelectionKey.OP_CONNECT);
        selector.select(10000);
        System.out.println("connected " + channel.finishConnect());
        System.out.println(((InetSocketAddress) channel.getRemoteAddress()).getPort());
        key.interestOps(SelectionKey.OP_READ);
        selector.select(10000);
        var buffer = ByteBuffer.allocate(100);
        channel.read(buffer);
        System.out.print(new String(buffer.array(), 0, buffer.position()));
        try {
            new Socket(a[0], 3999);
            System.out.println("no error");
        } catch (ConnectException e) {
            System.out.println(e.getMessage());
        }
    }
}
"""


@test("Java: HttpURLConnection, NIO with a selector, and a refused socket")
def java(t):
    t.need("java", "javac")
    sim = t.tailnet("--delay", "50")
    t.page(3000)
    t.listen(3001, lambda c: (c.sendall(b"hello\n"), c.recv(1)))
    t.file("Client.java", JAVA_PROGRAM)
    t.run(["javac", "-nowarn", "Client.java"], timeout=120).good()
    out = t.tsproxy("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "Client", NAME1, timeout=60).good()
    for words in ("200 a page", "at once false", "connected true", "3001", "hello", "Connection refused"):
        assert words in out, out
    assert NODE1 in out or "fd7a" in out
    only_through(sim, 1)


@test("nginx passes requests on to a tailnet name (proxy_pass), and its own clients are left alone")
def nginx(t):
    t.need("nginx", "curl")
    sim, page = t.tailnet("--delay", "50"), t.page(3000)
    conf = t.file("nginx.conf", f"""
        daemon off; worker_processes 2; pid {t.dir}/nginx.pid; error_log {t.dir}/error.log info; user root;
        events {{ worker_connections 256; }}
        http {{
            access_log off; client_body_temp_path {t.dir}/b; proxy_temp_path {t.dir}/p; fastcgi_temp_path {t.dir}/f;
            uwsgi_temp_path {t.dir}/u; scgi_temp_path {t.dir}/s;
            server {{
                listen 127.0.0.1:8080;
                location / {{ proxy_pass http://{NAME1}:3000; }}
                location /closed {{ proxy_pass http://{NODE1}:3999; }}
            }}
        }}""")
    t.spawn([t.build("tsproxy"), "--", "nginx", "-p", t.dir, "-c", conf], lambda: listening(8080))
    done = t.run(["curl", "-sS", "-Z", "--parallel-immediate", *[f"http://127.0.0.1:8080/{i}" for i in range(20)]])
    assert done.good().count("a page") == 20
    t.run(["curl", "-sS", "http://127.0.0.1:8080/closed"]).good("502 Bad Gateway")
    assert len(page.seen) == 20
    only_through(sim, 20)

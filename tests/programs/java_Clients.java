// SPDX-License-Identifier: MIT
// needs: default-jdk-headless javac
// build: javac -nowarn -d {out} {file}
// run: java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp {out} java_Clients {host} {port}
// set: fast
// Socket with and without a time-out, NIO with a selector, and asynchronous channels.
import java.io.IOException;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.util.*;
import java.util.concurrent.*;

public class java_Clients {
    interface Way { String go(InetSocketAddress to) throws Exception; }

    static String socket(InetSocketAddress to) throws Exception {
        try (var s = new Socket()) {
            s.connect(to, 1000);
            s.setSoTimeout(3000);
            s.getOutputStream().write("hello".getBytes());
            return new String(s.getInputStream().readNBytes(5)) + " " + s.getRemoteSocketAddress() + " "
                + s.getLocalAddress();
        }
    }

    static String plain(InetSocketAddress to) throws Exception {
        try (var s = new Socket(to.getAddress(), to.getPort())) {
            return "connected " + s.getInetAddress() + " " + s.isConnected();
        }
    }

    static String nio(InetSocketAddress to) throws Exception {
        var said = new TreeMap<String, Integer>();
        try (var selector = Selector.open()) {
            for (int i = 0; i < 20; i++) {
                var c = SocketChannel.open();
                c.configureBlocking(false);
                said.merge("at once " + c.connect(to), 1, Integer::sum);
                c.register(selector, SelectionKey.OP_CONNECT);
            }
            long end = System.nanoTime() + 1_000_000_000L;
            for (long left; selector.keys().size() > 0 && (left = (end - System.nanoTime()) / 1_000_000) > 0;) {
                selector.select(left);
                for (var key : selector.selectedKeys()) {
                    var c = (SocketChannel) key.channel();
                    try {
                        if (key.isConnectable()) {
                            said.merge("finish " + c.finishConnect(), 1, Integer::sum);
                            c.write(ByteBuffer.wrap("hello".getBytes()));
                            key.interestOps(SelectionKey.OP_READ);
                        } else {
                            var b = ByteBuffer.allocate(100);
                            c.read(b);
                            said.merge(new String(b.array(), 0, b.position()) + " " + c.getRemoteAddress(), 1,
                                       Integer::sum);
                            c.close();
                        }
                    } catch (IOException e) {
                        said.merge(e.toString(), 1, Integer::sum);
                        c.close();
                    }
                }
                selector.selectedKeys().clear();
                selector.selectNow();
            }
            said.put("left", selector.keys().size());
        }
        return said.toString();
    }

    static String asynchronous(InetSocketAddress to) throws Exception {
        try (var c = AsynchronousSocketChannel.open()) {
            c.connect(to).get(1, TimeUnit.SECONDS);
            c.write(ByteBuffer.wrap("hello".getBytes())).get(3, TimeUnit.SECONDS);
            var b = ByteBuffer.allocate(100);
            c.read(b).get(3, TimeUnit.SECONDS);
            return new String(b.array(), 0, b.position()) + " " + c.getRemoteAddress();
        }
    }

    public static void main(String[] a) throws Exception {
        var to = new InetSocketAddress(a[0], Integer.parseInt(a[1]));
        var ways = new LinkedHashMap<String, Way>();
        ways.put("socket", java_Clients::socket);
        ways.put("nio", java_Clients::nio);
        ways.put("asynchronous", java_Clients::asynchronous);
        if (!to.getAddress().getHostAddress().endsWith(".3"))	// a plain Socket has no time-out of its own
            ways.put("plain", java_Clients::plain);
        for (var way : ways.entrySet()) {
            try {
                System.out.println(way.getKey() + ": " + way.getValue().go(to));
            } catch (Exception e) {
                System.out.println(way.getKey() + ": " + e);
            }
        }
        System.exit(0);
    }
}

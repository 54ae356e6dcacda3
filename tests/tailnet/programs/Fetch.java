// SPDX-License-Identifier: MIT
// Fetches a page by HttpURLConnection, by a blocking Socket, and by a non-blocking SocketChannel with a Selector.
import java.io.InputStream;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.nio.charset.StandardCharsets;

public class Fetch {
    static String rest(InputStream in) throws Exception {
        String text = new String(in.readAllBytes(), StandardCharsets.US_ASCII).trim();
        return text.substring(text.lastIndexOf('\n') + 1);
    }

    static ByteBuffer request(URL url) {
        return StandardCharsets.US_ASCII.encode("GET / HTTP/1.0\r\nHost: " + url.getHost() + "\r\n\r\n");
    }

    static String channel(URL url) throws Exception {
        StringBuilder text = new StringBuilder();
        try (SocketChannel c = SocketChannel.open(); Selector selector = Selector.open()) {
            c.configureBlocking(false);
            SelectionKey key = c.register(selector, SelectionKey.OP_CONNECT);
            boolean done = c.connect(new InetSocketAddress(url.getHost(), url.getPort()));
            while (!done) {
                selector.select();
                selector.selectedKeys().clear();
                done = c.finishConnect();
            }
            System.out.println("remote " + ((InetSocketAddress) c.getRemoteAddress()).getAddress().getHostAddress());
            key.interestOps(SelectionKey.OP_READ);
            for (ByteBuffer out = request(url); out.hasRemaining(); )
                c.write(out);
            ByteBuffer in = ByteBuffer.allocate(4096);
            for (int n = 0; n >= 0; in.clear()) {
                selector.select();
                selector.selectedKeys().clear();
                n = c.read(in);
                text.append(StandardCharsets.US_ASCII.decode(in.flip()));
            }
        }
        String all = text.toString().trim();
        return all.substring(all.lastIndexOf('\n') + 1);
    }

    public static void main(String[] args) throws Exception {
        URL url = new URL(args[0]);
        System.out.println("http " + rest(url.openStream()));
        try (Socket s = new Socket(url.getHost(), url.getPort())) {
            s.getOutputStream().write(request(url).array());
            System.out.println("socket " + rest(s.getInputStream()));
        }
        System.out.println("channel " + channel(url));
    }
}

// SPDX-License-Identifier: MIT
// needs: default-jdk-headless javac
// build: javac -nowarn -d {out} {file}
// run: java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp {out} java_Http http://{url}:{port}/
// server: http
// set: fast
// java.net.http.HttpClient, synchronous and twenty requests at once, and HttpURLConnection.
import java.net.*;
import java.net.http.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.CompletableFuture;

public class java_Http {
    static String why(Throwable e) {
        var text = new StringBuilder();
        for (; e != null; e = e.getCause())
            text.append(e).append("; ");
        return text.toString();
    }

    public static void main(String[] a) throws Exception {
        var client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(1)).version(HttpClient.Version.HTTP_1_1).build();
        var request = HttpRequest.newBuilder(URI.create(a[0])).build();
        try {
            var r = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(r.statusCode() + " " + r.body().trim());
        } catch (Exception e) {
            System.out.println(why(e));
        }
        var all = new ArrayList<CompletableFuture<String>>();
        for (int i = 0; i < 20; i++)
            all.add(client.sendAsync(request, HttpResponse.BodyHandlers.ofString())
                .handle((r, e) -> e == null ? r.statusCode() + " " + r.body().trim() : why(e)));
        var said = new TreeMap<String, Integer>();
        for (var one : all)
            said.merge(one.get(), 1, Integer::sum);
        System.out.println(said);
        try {
            var c = (HttpURLConnection) new URL(a[0]).openConnection();
            c.setConnectTimeout(1000);
            System.out.println(c.getResponseCode() + " " + new String(c.getInputStream().readAllBytes()).trim());
        } catch (Exception e) {
            System.out.println(why(e));
        }
        System.exit(0);
    }
}

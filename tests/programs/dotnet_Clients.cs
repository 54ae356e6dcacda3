// SPDX-License-Identifier: MIT
// needs: mono-mcs mcs
// needs: python3-pip pip3
// build: sh tests/programs/dotnet/build {file} {out}
// run: {out}/runtime/dotnetcore2/bin/dotnet {out}/run.exe {host} {url} {port}
// server: http
// .NET Core: sockets blocking, with a time-out and twenty at once, and HttpClient, twenty requests at once.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

class Clients
{
    const string Request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    static readonly TimeSpan limit = TimeSpan.FromSeconds(1);

    static string Talk(Socket s)
    {
        var got = new byte[15];
        s.Send(Encoding.ASCII.GetBytes(Request));
        int n = s.Receive(got);
        return Encoding.ASCII.GetString(got, 0, n) + " " + s.RemoteEndPoint + " " + ((IPEndPoint)s.LocalEndPoint).Address;
    }

    static string Said(Exception e)
    {
        var said = new List<string>();
        for (; e != null; e = e.InnerException)
            said.Add(e is SocketException s ? s.SocketErrorCode.ToString() : e.GetType().Name + " " + e.Message);
        return String.Join(": ", said);
    }

    static async Task<string> Tcp(string host, int port)
    {
        using (var s = new Socket(SocketType.Stream, ProtocolType.Tcp)) {
            try {
                var connecting = s.ConnectAsync(host, port);
                if (await Task.WhenAny(connecting, Task.Delay(limit)) != connecting) {
                    s.Close();
                    try {
                        await connecting;
                    } catch (Exception e) {
                        return "left: " + Said(e);
                    }
                }
                await connecting;
                return Talk(s);
            } catch (SocketException e) {
                return Said(e);
            }
        }
    }

    static async Task<string> Http(HttpClient client, string url)
    {
        try {
            var answer = await client.GetAsync(url);
            return (int)answer.StatusCode + " " + await answer.Content.ReadAsStringAsync();
        } catch (Exception e) when (e is HttpRequestException || e is OperationCanceledException) {
            return Said(e);
        }
    }

    static void Blocking(string host, int port)
    {
        using (var s = new Socket(Dns.GetHostAddresses(host)[0].AddressFamily, SocketType.Stream, ProtocolType.Tcp)) {
            try {
                s.Connect(host, port);
                Console.WriteLine(Talk(s));
            } catch (SocketException e) {
                Console.WriteLine(Said(e));
            }
        }
    }

    static void Show(IEnumerable<Task<string>> all)
    {
        foreach (var g in Task.WhenAll(all).Result.GroupBy(t => t).OrderBy(g => g.Key))
            Console.WriteLine(g.Count() + " " + g.Key);
    }

    static void Main(string[] args)
    {
        string host = args[0], url = "http://" + args[1] + ":" + args[2] + "/";
        int port = int.Parse(args[2]);
        Show(Enumerable.Range(0, 20).Select(i => Tcp(host, port)));
        var client = new HttpClient(new HttpClientHandler { UseProxy = false }) { Timeout = limit };
        Show(Enumerable.Range(0, 20).Select(i => Http(client, url + i)));
        if (!host.EndsWith(".3"))   // it has no time-out, and natively that takes two minutes
            Blocking(host, port);
        Environment.Exit(0);
    }
}

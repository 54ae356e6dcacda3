// SPDX-License-Identifier: MIT
// needs: mono-mcs mcs
// needs: mono-runtime mono
// build: mcs -nologo -out:{out}/run.exe {file}
// run: mono {out}/run.exe {host} {port}
// .NET, as Debian has it: TcpClient, blocking and twenty at once with tasks.
using System;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;

class Sockets
{
    static string Talk(Socket s)
    {
        var got = new byte[5];
        s.Send(Encoding.ASCII.GetBytes("hello"));
        int n = s.Receive(got);
        return Encoding.ASCII.GetString(got, 0, n) + " " + s.RemoteEndPoint + " " + ((IPEndPoint)s.LocalEndPoint).Address;
    }

    static async Task<string> One(IPAddress host, int port)
    {
        var c = new TcpClient(host.AddressFamily);
        try {
            var connecting = c.ConnectAsync(host, port);
            if (await Task.WhenAny(connecting, Task.Delay(1000)) != connecting)
                return "timed out";
            await connecting;
            return Talk(c.Client);
        } catch (SocketException e) {
            return e.SocketErrorCode + " " + e.Message;
        }
    }

    static void Main(string[] args)
    {
        var host = Dns.GetHostAddresses(args[0])[0];
        int port = int.Parse(args[1]);
        var first = One(host, port).Result;
        Console.WriteLine(first);
        var all = Task.WhenAll(Enumerable.Range(0, 20).Select(i => One(host, port))).Result;
        foreach (var g in all.GroupBy(t => t))
            Console.WriteLine(g.Count() + " " + g.Key);
        if (first == "timed out")
            Environment.Exit(0);
        var s = new Socket(host.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try {
            s.Connect(host, port);
            Console.WriteLine(Talk(s));
        } catch (SocketException e) {
            Console.WriteLine(e.SocketErrorCode + " " + e.Message);
        }
        Environment.Exit(0);
    }
}

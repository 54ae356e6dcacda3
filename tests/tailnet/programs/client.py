# SPDX-License-Identifier: MIT
"""Programs that a check runs, one per first argument. Each prints one JSON object: what the program saw."""
import asyncio
import errno
import json
import select
import socket
import sys
import threading
import time
import urllib.request


def named(e):
    return errno.errorcode.get(e, str(e)) if e else "0"


def connect(host, port):
    """A blocking connect to a literal address or a name, and what the socket says of itself."""
    family, kind, proto, _canon, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
    s = socket.socket(family, kind, proto)
    start = time.monotonic()
    out = {"errno": named(s.connect_ex(address)), "asked": address[0]}
    out["seconds"] = time.monotonic() - start
    if out["errno"] == "0":
        out["peer"], out["own"] = s.getpeername()[:2], s.getsockname()[:2]
        out["line"] = s.makefile().readline().strip()
    return out


def nonblocking(host, port):
    """The same without blocking: what connect said, when the socket was ready, and how it ended."""
    family, kind, proto, _canon, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
    s = socket.socket(family, kind, proto)
    s.setblocking(False)
    start = time.monotonic()
    out = {"first": named(s.connect_ex(address))}
    poller = select.poll()
    poller.register(s, select.POLLOUT)
    out["ready"] = bool(poller.poll(20000))
    out["seconds"] = time.monotonic() - start
    out["errno"] = named(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    if out["errno"] == "0":
        out["peer"] = s.getpeername()[:2]
    return out


def mapped(host, port):
    """An AF_INET6 socket that names an IPv4 address, as Java's do."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.connect(("::ffff:" + host, int(port)))
    return {"peer": s.getpeername()[:2], "own": s.getsockname()[:2]}


def udp(host, port):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    out = {}
    for name, call in ("sendto", lambda: s.sendto(b"x", (host, int(port)))), \
                      ("connect", lambda: s.connect((host, int(port)))):
        try:
            call()
            out[name] = "0"
        except OSError as e:
            out[name] = named(e.errno)
    if out["connect"] == "0":
        out["peer"] = s.getpeername()[:2]
    return out


def lookup(name):
    out = {}
    for family in socket.AF_INET, socket.AF_INET6:
        try:
            found = socket.getaddrinfo(name, "http", family, socket.SOCK_STREAM, 0, socket.AI_CANONNAME)
            out[family.name] = [[f[4][0], f[4][1], f[3]] for f in found]
        except socket.gaierror as e:
            out[family.name] = next(n for n in dir(socket) if n.startswith("EAI_") and getattr(socket, n) == e.errno)
    try:
        out["gethostbyname"] = socket.gethostbyname_ex(name)
    except socket.gaierror as e:
        out["gethostbyname"] = str(e.errno)
    return out


def reverse(ip):
    return {"nameinfo": socket.getnameinfo((ip, 80), 0)[0], "hostbyaddr": socket.gethostbyaddr(ip)[0]}


def urllib_get(url):
    return {"body": urllib.request.urlopen(url, timeout=15).read().decode()}


def requests_get(url):
    import requests
    with requests.Session() as session:
        return {"body": session.get(url, timeout=15).text}


def asyncio_echo(host, port, count="20"):
    """Many connections at once, each with a talk of its own."""
    async def one(i):
        reader, writer = await asyncio.open_connection(host, int(port))
        await reader.readline()
        writer.write(b"%d\n" % i)
        said = await reader.readline()
        peer = writer.get_extra_info("peername")[0]
        writer.close()
        return said == b"%d\n" % i, peer

    async def everything():
        return await asyncio.gather(*(one(i) for i in range(int(count))))
    done = asyncio.run(everything())
    return {"right": sum(ok for ok, _peer in done), "peers": sorted({peer for _ok, peer in done})}


def asyncio_refused(host, port):
    async def main():
        try:
            await asyncio.open_connection(host, int(port))
        except OSError as e:
            return named(e.errno)
        return "0"
    start = time.monotonic()
    return {"errno": asyncio.run(main()), "seconds": time.monotonic() - start}


def threads(host, port, count="16"):
    wrong = []

    def one(i):
        try:
            with socket.create_connection((host, int(port)), 15) as s, s.makefile("rw") as f:
                f.readline()
                f.write(f"{i}\n")
                f.flush()
                if f.readline() != f"{i}\n":
                    wrong.append(i)
        except OSError as e:
            wrong.append(str(e))
    started = [threading.Thread(target=one, args=(i,)) for i in range(int(count))]
    for t in started:
        t.start()
    for t in started:
        t.join()
    return {"wrong": wrong}


def follow(name):
    """Looks a name up for every line on standard input, that on the line or `name`: it lives longer than a map."""
    for line in sys.stdin:
        try:
            print(socket.gethostbyname(line.strip() or name), flush=True)
        except OSError:
            print("-", flush=True)


def main():
    out = globals()[sys.argv[1]](*sys.argv[2:])
    if out is not None:
        print(json.dumps(out))


main()

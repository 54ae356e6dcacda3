#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/names.py BUILD: what names cost as a tailnet grows. Prints a table; writes it to bench/names.md and its plot to names.svg.

QUICK=1: up to 10,000 nodes, and no files. All in a private namespace.
"""
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from harness import listening, until  # noqa: E402

PRIVATE = os.path.join(ROOT, "tests", "lib", "private")
QUICK = os.environ.get("QUICK") == "1"
SUFFIX = "tail1234.ts.net"
SIZES = [10, 1000, 10000] + ([] if QUICK else [100000])


def node(i):
    v4, v6 = f"100.{64 + (i >> 16)}.{i >> 8 & 255}.{i & 255}", f"fd7a:115c:a1e0::{i >> 16:x}:{i & 0xffff:x}"
    return {"ID": f"n{i}CNTRL", "PublicKey": f"nodekey:{i:064x}", "HostName": f"n{i}", "DNSName": f"n{i}.{SUFFIX}.", "OS": "linux",
            "UserID": 1234567890, "TailscaleIPs": [v4, v6], "AllowedIPs": [f"{v4}/32", f"{v6}/128"], "Addrs": [], "CurAddr": "",
            "Relay": "fra", "RxBytes": 0, "TxBytes": 0, "Created": "2024-01-01T00:00:00Z", "LastWrite": "0001-01-01T00:00:00Z",
            "LastSeen": "0001-01-01T00:00:00Z", "LastHandshake": "0001-01-01T00:00:00Z", "Online": True, "ExitNode": False,
            "ExitNodeOption": False, "Active": False, "PeerAPIURL": None, "InNetworkMap": True, "InMagicSock": True, "InEngine": False}


def status(n):
    return {"Version": "1.102.5", "TUN": False, "BackendState": "Running", "HaveNodeKey": True, "TailscaleIPs": ["100.64.0.1"],
            "Self": node(1), "MagicDNSSuffix": SUFFIX, "CertDomains": None,
            "CurrentTailnet": {"Name": "bench", "MagicDNSSuffix": SUFFIX, "MagicDNSEnabled": True},
            "Peer": {f"nodekey:{i:064x}": node(i) for i in range(2, n + 2)}}


def numbers(argv, env=None):
    out = subprocess.run(argv, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, check=True, text=True).stdout
    return [float(word) for word in out.split()]


def median(function, rounds=5):
    return [statistics.median(column) for column in zip(*(function() for _ in range(rounds)))]


def sync(build, env):
    subprocess.run([os.path.join(build, "tsproxy-sync"), "-q"], check=True,
                   env={**os.environ, **{k: v for k, v in env.items() if k != "LD_PRELOAD"}})


def measure(build, folder, n):
    names, path, kept = os.path.join(build, "bench", "names"), os.path.join(folder, "status.json"), os.path.join(folder, "m", "m.map")
    with open(path, "w") as f:
        json.dump(status(n), f)
    env = {"TSPROXY_STATUS": path, "TSPROXY_MAP": kept}

    def make():
        begun = time.monotonic()
        sync(build, env)
        return [(time.monotonic() - begun) * 1000]
    (parse,), (made,) = median(lambda: numbers([names, "parse", path])), median(make)
    name, address, other = median(lambda: numbers([names, "table", kept, str(n)]))
    # Made anew where a round takes it past its ten seconds: the background refresh would be measured.
    preloaded = {**env, "LD_PRELOAD": os.path.join(build, "libtsproxy.so")}
    first, found, number = median(lambda: make() and numbers([names, "program", str(n)], preloaded))
    return {"nodes": n, "parse": parse, "sync": made, "KiB": os.stat(kept).st_blocks // 2, "name": name, "address": address,
            "other": other, "first": first / 1000, "node": found, "number": number}


def others(build, preloaded):
    """getaddrinfo of what is no tailnet's, natively and preloaded by turns: a name of the DNS server on loopback, and numbers."""
    names, found = os.path.join(build, "bench", "names"), {}
    for name in "www.example.com", "192.0.2.1":
        sync(build, preloaded)
        rounds = [(numbers([names, "ask", name])[0], numbers([names, "ask", name], preloaded)[0]) for _ in range(3 if QUICK else 9)]
        found[name] = [statistics.median(column) for column in zip(*rounds)]
    return found


def dns(build, preloaded):
    """getaddrinfo of the same name, natively, from a DNS server on loopback; and what others() says."""
    with open("/etc/resolv.conf", "a") as f:
        f.write(f"search {SUFFIX}\n")
    server = subprocess.Popen(["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--port=53",
                               "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", "--pid-file=", "--local=/#/",
                               *(f"--host-record=n{i}.{SUFFIX},100.64.0.{i}" for i in range(2, 12)),
                               "--host-record=www.example.com,192.0.2.2"])
    try:
        until(lambda: b":0035" in open("/proc/net/udp", "rb").read(), "dnsmasq")
        by_dns = median(lambda: numbers([os.path.join(build, "bench", "names"), "program", "10"]), 3)[1]
        return by_dns, others(build, preloaded)
    finally:
        server.terminate()


def plot(rows):
    """Look-ups against the size of the tailnet, both axes logarithmic."""
    width, height, left, top = 640, 360, 70, 20
    series = (("name", "a name in the map", "#1f77b4"), ("address", "an address in the map", "#2ca02c"),
              ("node", "getaddrinfo of a node", "#d62728"), ("number", "getaddrinfo of a number", "#7f7f7f"))

    def x(n):
        return left + (math.log10(n) - 1) / 4 * (width - left - 20)

    def y(ns):
        return top + (4 - math.log10(ns)) / 3 * (height - top - 40)
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    for n in 10, 100, 1000, 10000, 100000:
        svg.append(f'<text x="{x(n):.0f}" y="{height - 20}" text-anchor="middle">{n:,}</text>')
    for ns in 10, 100, 1000, 10000:
        svg.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(ns):.0f}" y2="{y(ns):.0f}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y(ns) + 4:.0f}" text-anchor="end">{ns:,} ns</text>')
    for key, title, colour in series:
        points = " ".join(f"{x(row['nodes']):.1f},{y(row[key]):.1f}" for row in rows)
        svg.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{left + 8}" y="{y(rows[0][key]) - 6:.0f}" fill="{colour}">{title}</text>')
    svg.append(f'<text x="{width / 2:.0f}" y="{height - 4}" text-anchor="middle">nodes</text></svg>')
    return "\n".join(svg) + "\n"


def report(rows, by_dns, rest):
    lines = ["# What names cost as a tailnet grows", "",
             "Medians of five. `make bench-names` makes this file and the plot, `names.svg`.", "",
             "| nodes | jansson alone, ms | tsproxy-sync, ms | map, KiB | first look-up of a process, us | getaddrinfo of a node, ns |"
             " of a number, ns | a name in the map, ns | an address, ns | another name, ns |",
             "|---:" * 10 + "|"]
    for r in rows:
        lines.append(f"| {r['nodes']:,} | {r['parse']:.2f} | {r['sync']:.1f} | {r['KiB']} | {r['first']:.0f} | {r['node']:.0f} | "
                     f"{r['number']:.0f} | {r['name']:.0f} | {r['address']:.0f} | {r['other']:.0f} |")
    at = next(r for r in rows if r["nodes"] == 10000)
    lines += ["", f"tsproxy-sync at 10,000 nodes: {at['sync'] / at['parse']:.2f} times jansson's time (at most 2).",
              f"A node's getaddrinfo at 10,000 nodes, against a DNS server on loopback ({by_dns:.0f} ns): "
              f"{by_dns / at['node']:.0f} times faster (at least 20).", "",
              "getaddrinfo of what is no tailnet's, natively and preloaded by turns:", ""]
    lines += [f"- {name}: {native:.0f} ns and {ours:.0f} ns ({100 * (ours / native - 1):+.1f} %)" for name, (native, ours) in rest.items()]
    lines.append("")
    return "\n".join(lines)


def main(build):
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(HOME=folder, TSPROXY_SOCKS5="127.0.0.1:1080")
        sim = subprocess.Popen([os.path.join(build, "tsproxy-sim"), "--die-with-parent", "--socks5", "1080"],
                               stdout=subprocess.DEVNULL)
        until(lambda: listening(1080), "tsproxy-sim")
        rows = [measure(build, folder, n) for n in SIZES]
        preloaded = {"LD_PRELOAD": os.path.abspath(os.path.join(build, "libtsproxy.so")), "TSPROXY_STATUS": os.path.join(folder, "status.json"),
                     "TSPROXY_MAP": os.path.join(folder, "m", "m.map")}
        by_dns, rest = dns(build, preloaded)
        sim.terminate()
    text = report(rows, by_dns, rest)
    print(text)
    if not QUICK:
        for name, content in ("names.md", text), ("names.svg", plot(rows)):
            with open(os.path.join(HERE, name), "w") as f:
                f.write(content)


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        main(sys.argv[2])
    else:
        os.execv(PRIVATE, [PRIVATE, sys.executable, os.path.abspath(__file__), "--inside", os.path.abspath(sys.argv[1])])

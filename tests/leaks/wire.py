# SPDX-License-Identifier: MIT
"""What leaves by the wire of tests/lib/private: every packet at its other end, told apart by where it goes and which way sent it."""
import ipaddress
import re
import socket
import struct
import threading
import time

RANGES = [ipaddress.ip_network(n) for n in ("100.64.0.0/10", "fd7a:115c:a1e0::/48", "198.19.64.0/18",
                                           "10.9.0.0/16")]   # the last is a subnet router's, where a test has one
ETH_P_ALL, SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING = 3, 33, 263, 6, 4
WITH_PORTS = 6, 17, 136     # TCP, UDP, UDP-Lite
PORT = 20000                # ways.h
MARK = re.compile(rb"way-(\d\d\d)")
SENTINEL = "192.0.2.255"


def is_tailnets(ip):
    return any(ip in network for network in RANGES)


def reverse_zones():
    """The ends of the reverse names of the two ranges."""
    return [f"{i}.100.in-addr.arpa" for i in range(64, 128)] + ["0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa"]


def is_tailnets_name(name, suffixes=("ts.net", *reverse_zones())):
    return any(name == suffix or name.endswith("." + suffix) for suffix in suffixes)


def question(message):
    """The name that a DNS message asks for."""
    labels, at = [], 12
    while at < len(message) and 0 < message[at] < 64:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1").lower())
        at += 1 + message[at]
    return ".".join(labels)


class Packet:
    """`to` and, if it has one, `port`; `way`, the number of the way that sent it, or None; `name`, what it asks a name server for."""

    def __init__(self, data):
        first = data[0] >> 4
        protocol, start = (data[9], (data[0] & 15) * 4) if first == 4 else (data[6], 40)
        self.to = ipaddress.ip_address(data[16:20] if first == 4 else data[24:40])
        rest = data[start:]
        self.port = struct.unpack("!H", rest[2:4])[0] if protocol in WITH_PORTS and len(rest) >= 8 else None
        mark = MARK.search(rest)
        self.name = None
        if self.port == 53 and protocol == 17:
            self.name = question(rest[8:])
        elif self.port == 53 and protocol == 6 and len(rest) > (rest[12] >> 4) * 4 + 2:
            self.name = question(rest[(rest[12] >> 4) * 4 + 2:])
        if self.name:
            mark = re.match(rb"w(\d\d\d)\b", self.name.encode())
        self.way = int(mark[1]) if mark else self.port - PORT if self.port and PORT <= self.port < PORT + 1000 else None

    def __str__(self):
        return f"a question for {self.name}" if self.name else f"to {self.to}" + (f" port {self.port}" if self.port else "")


class Wire:
    """Begins to look at once. Nothing is missed: where the kernel had no room for a packet, that is an error."""

    def __init__(self):
        self.packets = []
        self.sentinels = 0
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE if self._may_force() else socket.SO_RCVBUF, 32 << 20)
        self.sock.bind(("w1", ETH_P_ALL))
        self.came = threading.Condition()
        threading.Thread(target=self._look, daemon=True).start()

    def _may_force(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
                return True
            except PermissionError:
                return False

    def _look(self):
        while True:
            data, (_, protocol, kind, *_) = self.sock.recvfrom(65536)
            if kind == PACKET_OUTGOING or protocol not in (0x0800, 0x86dd) or len(data) < 20:
                continue
            packet = Packet(data)
            with self.came:
                if str(packet.to) == SENTINEL:
                    self.sentinels += 1
                    self.came.notify_all()
                else:
                    self.packets.append(packet)

    def take(self):
        """All that was sent until now, which is forgotten then."""
        with self.came:
            before = self.sentinels
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"last", (SENTINEL, 9))
        end = time.monotonic() + 10
        with self.came:
            while self.sentinels == before:
                assert time.monotonic() < end and self.came.wait(1) or self.sentinels != before, "the wire is not watched"
            taken, self.packets = self.packets, []
        dropped = struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        assert not dropped, f"{dropped} packets were not looked at"
        return taken


def leaks(packets):
    """(packets to a tailnet's addresses, questions for a tailnet's names)."""
    return [p for p in packets if is_tailnets(p.to)], [p for p in packets if p.name and is_tailnets_name(p.name)]

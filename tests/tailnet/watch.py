# SPDX-License-Identifier: MIT
"""What a program really sent: connections on a node's loopback, tailnet packets on its wire, questions to its resolver.

A packet socket hears everything on its interface, whoever sent it and whichever way it went round the hooks, so these
counts hold for any program. Packets wait in the socket until somebody asks: nothing is missed, and nothing
runs beside a check. Only short packets are kept (a SYN has at most 80 bytes), so a large transfer cannot push them out.
"""
import ctypes
import ipaddress
import os
import socket
import struct
import threading

SUBNET = "192.168.77.0/24"  # what node 1 routes for the tailnet
CLONE_NEWNET = 0x40000000
PACKET_OUTGOING = 4
ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
KEEP_BYTES = 0xffff
# Classic BPF: keep what is shorter than 200 bytes.
SHORT_ONLY = [(0x80, 0, 0, 0), (0x25, 1, 0, 200), (0x06, 0, 0, KEEP_BYTES), (0x06, 0, 0, 0)]


def open_in(pid, interface):
    """A packet socket on an interface of another process's network namespace."""
    made = []

    def inside():
        # setns() moves the calling thread alone; the socket stays in the namespace it was made in.
        libc = ctypes.CDLL(None, use_errno=True)
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            if libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL))
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            code = b"".join(struct.pack("=HBBI", *row) for row in SHORT_ONLY)
            buf = ctypes.create_string_buffer(code)
            s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                         struct.pack("@HxxxxxxP", len(SHORT_ONLY), ctypes.addressof(buf)))
            s.bind((interface, 0))
            made.append(s)
        finally:
            os.close(fd)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if not made:
        raise RuntimeError(f"no packet socket on {interface}")
    return made[0]


def parse(packet):
    """(destination, protocol, destination port, is a SYN) of an IP packet; None for anything else."""
    if not packet:
        return None
    if packet[0] >> 4 == 4 and len(packet) >= 20:
        dst, proto, rest = socket.inet_ntoa(packet[16:20]), packet[9], packet[(packet[0] & 15) * 4:]
    elif packet[0] >> 4 == 6 and len(packet) >= 40:
        dst, proto, rest = socket.inet_ntop(socket.AF_INET6, packet[24:40]), packet[6], packet[40:]
    else:
        return None
    port = int.from_bytes(rest[2:4], "big") if proto in (6, 17) and len(rest) >= 4 else 0
    return dst, proto, port, proto == 6 and len(rest) >= 14 and rest[13] & 0x12 == 2


class Watch:
    """One node's loopback and wire."""

    def __init__(self, pid, wire):
        self.loopback = open_in(pid, "lo")
        self.wire = open_in(pid, wire)

    @staticmethod
    def _drain(s, direction):
        while True:
            try:
                packet, addr = s.recvfrom(65536)
            except BlockingIOError:
                return
            # Loopback shows each packet twice, going and coming: count it once.
            if (addr[2] == PACKET_OUTGOING) == direction:
                found = parse(packet)
                if found:
                    yield found

    def proxied(self):
        """{port: connections opened to it on loopback} since the last call."""
        counts = {}
        for _dst, _proto, port, syn in self._drain(self.loopback, True):
            if syn:
                counts[port] = counts.get(port, 0) + 1
        return counts

    def leaked(self):
        """Packets that left for a tailnet address in the clear since the last call."""
        return [f"{dst} protocol {proto} port {port}" for dst, proto, port, _syn in self._drain(self.wire, True)
                if is_tailnet(dst)]

    def close(self):
        self.loopback.close()
        self.wire.close()


TAILNET = [ipaddress.ip_network(net) for net in ("100.64.0.0/10", "fd7a:115c:a1e0::/48", SUBNET)]


def is_tailnet(ip):
    return any(ipaddress.ip_address(ip) in net for net in TAILNET)


class Resolver(threading.Thread):
    """The only DNS server there is: it knows nothing, and remembers who asked for what."""

    def __init__(self, ip):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, 53))
        self.lock = threading.Lock()
        self.names = []

    def run(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            labels, at = [], 12
            while at < len(query) and query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace"))
                at += 1 + query[at]
            with self.lock:
                self.names.append(".".join(labels).lower())
            # NXDOMAIN, the question repeated; no additional records.
            self.socket.sendto(query[:2] + b"\x81\x83\x00\x01" + bytes(6) + query[12:at + 5], client)

    def asked(self):
        """The names asked for since the last call."""
        with self.lock:
            names, self.names = self.names, []
        return names

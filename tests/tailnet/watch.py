# SPDX-License-Identifier: MIT
"""What a program really sent: connections on a node's loopback, tailnet packets on its wire, questions to its resolver.

A packet socket hears everything on its interface, whoever sent it and whichever way it went round the hooks, so these
counts hold for any program. Packets wait in the socket until somebody asks: nothing is missed, and nothing runs beside
a check. A filter in the kernel keeps only what counts, so that no transfer can push it out.
"""
import ctypes
import ipaddress
import os
import socket
import struct
import threading

SUBNET = "192.168.77.0/24"  # what node 1 routes for the tailnet
TAILNET = [ipaddress.ip_network(net) for net in ("100.64.0.0/10", SUBNET, "fd7a:115c:a1e0::/48")]
CLONE_NEWNET = 0x40000000
PACKET_OUTGOING = 4
ETH_P_ALL = 3
SO_ATTACH_FILTER = 26

# Classic BPF, (code, jump if true, jump if false, operand), over an IP packet: these sockets leave the link header out.
LD_WORD, LD_BYTE, LD_BYTE_X, LDX_HEADER = 0x20, 0x30, 0x50, 0xb1
AND, IF_EQUAL, JUMP, RETURN = 0x54, 0x15, 0x05, 0x06
KEEP, DROP = (RETURN, 0, 0, 0xffff), (RETURN, 0, 0, 0)
VERSION = [(LD_BYTE, 0, 0, 0), (AND, 0, 0, 0xf0)]
TCP_SYN = VERSION + [
    (IF_EQUAL, 0, 5, 0x40), (LD_BYTE, 0, 0, 9), (IF_EQUAL, 0, 10, 6), (LDX_HEADER, 0, 0, 0), (LD_BYTE_X, 0, 0, 13),
    (JUMP, 0, 0, 4),
    (IF_EQUAL, 0, 6, 0x60), (LD_BYTE, 0, 0, 6), (IF_EQUAL, 0, 4, 6), (LD_BYTE, 0, 0, 53),
    (AND, 0, 0, 0x12), (IF_EQUAL, 0, 1, 2), KEEP, DROP]
TO_TAILNET = VERSION + [
    (IF_EQUAL, 0, 6, 0x40),
    (LD_WORD, 0, 0, 16), (AND, 0, 0, int(TAILNET[0].netmask)), (IF_EQUAL, 6, 0, int(TAILNET[0].network_address)),
    (LD_WORD, 0, 0, 16), (AND, 0, 0, int(TAILNET[1].netmask)), (IF_EQUAL, 3, 4, int(TAILNET[1].network_address)),
    (IF_EQUAL, 0, 3, 0x60), (LD_WORD, 0, 0, 24), (IF_EQUAL, 0, 1, int(TAILNET[2].network_address) >> 96), KEEP, DROP]


def open_in(pid, interface, rows):
    """A packet socket on an interface of another process's network namespace, with a filter."""
    made = []

    def inside():
        # setns() moves the calling thread alone; the socket stays in the namespace it was made in.
        libc = ctypes.CDLL(None, use_errno=True)
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            if libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
            code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
            s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(rows), ctypes.addressof(code)))
            s.bind((interface, ETH_P_ALL))
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
    """(destination, protocol, destination port) of an IP packet; None for anything else."""
    if packet[0] >> 4 == 4 and len(packet) >= 20:
        dst, proto, rest = socket.inet_ntoa(packet[16:20]), packet[9], packet[(packet[0] & 15) * 4:]
    elif packet[0] >> 4 == 6 and len(packet) >= 40:
        dst, proto, rest = socket.inet_ntop(socket.AF_INET6, packet[24:40]), packet[6], packet[40:]
    else:
        return None
    port = int.from_bytes(rest[2:4], "big") if proto in (6, 17) and len(rest) >= 4 else 0
    return dst, proto, port


class Watch:
    """One node's loopback and wire."""

    def __init__(self, pid, wire):
        self.loopback = open_in(pid, "lo", TCP_SYN)
        self.wire = open_in(pid, wire, TO_TAILNET)

    @staticmethod
    def _drain(s):
        while True:
            try:
                packet, addr = s.recvfrom(65536)
            except BlockingIOError:
                return
            # Loopback shows each packet twice, going and coming; the wire also what comes from the other node.
            if addr[2] == PACKET_OUTGOING:
                found = parse(packet)
                if found:
                    yield found

    def proxied(self):
        """{port: connections opened to it on loopback} since the last call."""
        counts = {}
        for _dst, _proto, port in self._drain(self.loopback):
            counts[port] = counts.get(port, 0) + 1
        return counts

    def leaked(self):
        """Packets that left for a tailnet address in the clear since the last call."""
        return [f"{dst} protocol {proto} port {port}" for dst, proto, port in self._drain(self.wire)]

    def close(self):
        self.loopback.close()
        self.wire.close()


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

# SPDX-License-Identifier: MIT
"""What real programs that speak UDP talk to: `udp_servers.py HOST...` serves at each of the addresses until it is killed.

Port 4300 sends back what comes, 4353 answers any question of DNS with 192.0.2.7, 123 is an NTP server, 4314 a sink: what came there, a
line each, is told by port 4315. Once all is there, something listens by TCP at 4315.
"""
import select
import socket
import struct
import sys
import time

ECHO, SINK, TOLD, NTP, DNS = 4300, 4314, 4315, 123, 4353
NTP_EPOCH = 2208988800
came = []


def dns(query):
    end = query.index(b"\0", 12) + 5
    answer = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 60, 4) + bytes((192, 0, 2, 7))
    return query[:2] + b"\x85\x80\0\1\0\1\0\0\0\0" + query[12:end] + answer


def ntp(query):
    now = struct.pack(">II", int(time.time()) + NTP_EPOCH, 0)
    return bytes((0x24, 1, query[2], 0xec)) + b"\0" * 8 + b"LOCL" + now + query[40:48] + now + now


def sink(data):
    came.append(data)
    return None


ANSWERS = {ECHO: lambda data: data, DNS: dns, NTP: ntp, SINK: sink, TOLD: lambda data: b"".join(line.rstrip(b"\n") + b"\n" for line in came)}


def main():
    sockets = {}
    for host in sys.argv[1:]:
        for port, answer in ANSWERS.items():
            s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            try:
                s.bind((host, port))
            except PermissionError:
                continue    # NTP's, for who is not root
            sockets[s] = answer
    told = socket.create_server(("127.0.0.1", TOLD))    # who starts this can see that all is there  # noqa: F841
    while True:
        for s in select.select(list(sockets), [], [])[0]:
            data, peer = s.recvfrom(65536)
            back = sockets[s](data)
            if back is not None:
                s.sendto(back, peer)


if __name__ == "__main__":
    main()

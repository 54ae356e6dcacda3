# SPDX-License-Identifier: MIT
"""Map files, as far as tests change them: include/tsproxy/map.h is the format."""
import os
import socket
import struct

FOLDER = "/run/tsproxy"     # root's
MAP = f"{FOLDER}/default.map"
HEADER_LEN, MADE = 12, 48     # where the header has them
WORD = (1 << 64) - 1


def sum64(data):
    """ts_sum64 of include/tsproxy/hash.h."""
    def step(lane, word):
        word ^= lane
        return (word << 29 & WORD | word >> 35) * 0x9e3779b97f4a7c15 & WORD
    lanes, words = [1, 2, 3, len(data)], struct.unpack(f"<{len(data) // 8}Q", data)
    for i, word in enumerate(words):
        lane = i % 4 if i < len(words) // 4 * 4 else 3
        lanes[lane] = step(lanes[lane], word)
    for lane in lanes[:3]:
        lanes[3] = step(lanes[3], lane)
    return lanes[3] ^ lanes[3] >> 32


def age(path, seconds):
    """Makes a map older, by rename."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    made, = struct.unpack_from("<q", data, MADE)
    struct.pack_into("<q", data, MADE, made - seconds * 10**9)
    end, = struct.unpack_from("<I", data, HEADER_LEN)
    struct.pack_into("<Q", data, end - 8, sum64(data[:end - 8]))
    mode = os.stat(path).st_mode & 0o777
    with open(path + ".aged", "wb", opener=lambda name, flags: os.open(name, flags, mode)) as f:
        f.write(data)
    os.rename(path + ".aged", path)


def flip(path, at):
    """Flips a bit of the byte at `at`, in place."""
    with open(path, "r+b") as f:
        f.seek(at)
        byte, = f.read(1)
        f.seek(at)
        f.write(bytes([byte ^ 1 << at % 8]))


def make_map(t):
    """A good map, and no daemon that would tell of a tailnet, or could be asked for another."""
    status = t.status_file()
    t.launcher("sync", env={"TSPROXY_STATUS": status, "TSPROXY_MAP": MAP})
    for name in os.listdir(FOLDER):
        if name != os.path.basename(MAP):
            os.unlink(os.path.join(FOLDER, name))
    assert os.path.getsize(MAP)


def replace(make):
    def do():
        os.unlink(MAP)
        make()
    return do


def fill(count):
    with open(MAP, "r+b") as f:
        f.write(b"\xff" * count)


# What can become of a map file, so that it is there and cannot be used.
SPOILT = {
    "empty": lambda: os.truncate(MAP, 0),
    "cut": lambda: os.truncate(MAP, 100),
    "cut at its end": lambda: os.truncate(MAP, os.path.getsize(MAP) - 1),
    "of another version": lambda: flip(MAP, 8),
    "spoilt in its header": lambda: flip(MAP, MADE),
    "spoilt in its body": lambda: flip(MAP, os.path.getsize(MAP) // 2),
    "overwritten": lambda: fill(4096),
    "open to others": lambda: os.chmod(MAP, 0o666),
    "somebody else's": lambda: os.chown(MAP, 12345, 12345),
    "a folder": replace(lambda: os.mkdir(MAP)),
    "a link": replace(lambda: os.symlink("/etc/passwd", MAP)),
    "a link to nothing": replace(lambda: os.symlink("/nowhere", MAP)),
    "a device": replace(lambda: os.mknod(MAP, 0o600 | 0o020000, os.makedev(1, 3))),
    "a FIFO": replace(lambda: os.mkfifo(MAP)),
    "a socket": replace(lambda: socket.socket(socket.AF_UNIX).bind(MAP)),
}

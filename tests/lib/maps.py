# SPDX-License-Identifier: MIT
"""Map files, as far as tests change them: include/tsproxy/map.h is the format."""
import os
import struct

HEADER_LEN, DATA_LEN, MADE, STRINGS = 12, 16, 48, 96     # where the header has them
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

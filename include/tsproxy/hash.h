/* SPDX-License-Identifier: MIT */
/* Hashes of 64 bits. Both are part of the map's file format (map.h): never change them without its version. */
#ifndef TSPROXY_HASH_H
#define TSPROXY_HASH_H

#include <stddef.h>
#include <stdint.h>

#define TS_FNV64_INIT 0xcbf29ce484222325ull

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/): for short keys. */
static inline uint64_t ts_fnv64(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--) {
		h ^= *p++;
		h *= 0x100000001b3ull;
	}
	return h;
}

static inline uint64_t ts_sum64_step(uint64_t lane, const uint8_t *p)
{
	uint64_t word;

	__builtin_memcpy(&word, p, sizeof(word));
	word ^= lane;
	return (word << 29 | word >> 35) * 0x9e3779b97f4a7c15ull;
}

/*
 * A checksum of `len` bytes, a multiple of 8, read as little-endian words: against damage, not against forgery. Four chains of words run
 * side by side, because each step waits for the multiplication before it. A step maps different words to different states, so damage
 * within one word is always found; other damage is missed once in 2^64.
 */
static inline uint64_t ts_sum64(const void *data, size_t len)
{
	uint64_t lane[4] = { 1, 2, 3, len };
	const uint8_t *p = data, *end = p + len;

	for (; end - p >= 32; p += 32) {
		lane[0] = ts_sum64_step(lane[0], p);
		lane[1] = ts_sum64_step(lane[1], p + 8);
		lane[2] = ts_sum64_step(lane[2], p + 16);
		lane[3] = ts_sum64_step(lane[3], p + 24);
	}
	for (; p < end; p += 8)
		lane[3] = ts_sum64_step(lane[3], p);
	for (int i = 0; i < 3; i++)
		lane[3] = ts_sum64_step(lane[3], (const uint8_t *)&lane[i]);
	return lane[3] ^ lane[3] >> 32;
}

#endif

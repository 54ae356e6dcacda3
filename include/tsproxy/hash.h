/* SPDX-License-Identifier: MIT */
/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/. Part of the map's file format (map.h): never change it. */
#ifndef TSPROXY_HASH_H
#define TSPROXY_HASH_H

#include <stddef.h>
#include <stdint.h>

#define TS_FNV64_INIT 0xcbf29ce484222325ull

static inline uint64_t ts_fnv64(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--) {
		h ^= *p++;
		h *= 0x100000001b3ull;
	}
	return h;
}

#endif

/* SPDX-License-Identifier: MIT */
/* See shared.h. Words of eight bytes where the shared memory is aligned to that, single bytes at its ends. */
#include "tsproxy/shared.h"

#include <stdint.h>
#include <string.h>

typedef uint64_t __attribute__((may_alias)) word;

static bool whole_word(const uint8_t *shared, size_t n)
{
	return n >= sizeof(word) && (uintptr_t)shared % sizeof(word) == 0;
}

void ts_shared_read(void *to, const void *shared, size_t n)
{
	const uint8_t *from = shared;
	uint8_t *out = to;
	size_t step;

	for (; n; n -= step, from += step, out += step) {
		word w;

		step = whole_word(from, n) ? sizeof(w) : 1;
		if (step == 1) {
			*out = __atomic_load_n(from, __ATOMIC_RELAXED);
			continue;
		}
		w = __atomic_load_n((const word *)from, __ATOMIC_RELAXED);
		memcpy(out, &w, sizeof(w));
	}
}

void ts_shared_write(void *shared, const void *from, size_t n)
{
	const uint8_t *in = from;
	uint8_t *out = shared;
	size_t step;

	for (; n; n -= step, in += step, out += step) {
		word w;

		step = whole_word(out, n) ? sizeof(w) : 1;
		if (step == 1) {
			__atomic_store_n(out, *in, __ATOMIC_RELAXED);
			continue;
		}
		memcpy(&w, in, sizeof(w));
		__atomic_store_n((word *)out, w, __ATOMIC_RELAXED);
	}
}

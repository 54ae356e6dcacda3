/* SPDX-License-Identifier: MIT */
/* See scratch.h. Which pieces of a pool are taken is one word, a bit for each. */
#include "tsproxy/scratch.h"

#include <stdint.h>
#include <sys/mman.h>

#include "tsproxy/sys.h"

#define SMALL_BYTES 4096
#define SMALL_COUNT 16
#define LARGE_COUNT 4

static uint8_t small_memory[SMALL_COUNT][SMALL_BYTES] __attribute__((aligned(4096)));
static uint8_t large_memory[LARGE_COUNT][TS_SCRATCH_LARGE] __attribute__((aligned(4096)));

static struct pool {
	uint8_t *memory;
	size_t bytes;
	unsigned count, taken;
} pools[] = {
	{ small_memory[0], SMALL_BYTES, SMALL_COUNT, 0 },
	{ large_memory[0], TS_SCRATCH_LARGE, LARGE_COUNT, 0 },
};

static void *take(struct pool *pool)
{
	unsigned now = __atomic_load_n(&pool->taken, __ATOMIC_RELAXED);

	for (;;) {
		unsigned i = (unsigned)__builtin_ctz(~now);

		if (i >= pool->count)
			return NULL;
		if (__atomic_compare_exchange_n(&pool->taken, &now, now | 1u << i, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return pool->memory + i * pool->bytes;
	}
}

void *ts_scratch_get(size_t bytes)
{
	void *p = NULL;

	for (unsigned i = 0; i < 2 && !p; i++)
		if (bytes <= pools[i].bytes)
			p = take(&pools[i]);
	if (!p)
		p = (void *)ts_sys(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return (uintptr_t)p > -4096ul ? NULL : p;
}

void ts_scratch_put(void *p, size_t bytes)
{
	for (unsigned i = 0; i < 2; i++) {
		size_t at = (uintptr_t)p - (uintptr_t)pools[i].memory;

		if (at < pools[i].count * pools[i].bytes) {
			__atomic_fetch_and(&pools[i].taken, ~(1u << at / pools[i].bytes), __ATOMIC_RELEASE);
			return;
		}
	}
	if (p)
		ts_sys(SYS_munmap, p, bytes);
}

void *ts_zero_pages(size_t bytes, int sharing)
{
	void *p = (void *)ts_sys(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return (uintptr_t)p > -4096ul ? NULL : p;
}

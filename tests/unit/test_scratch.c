/* SPDX-License-Identifier: MIT */
/* Scratch memory: nobody shares a piece, there is always another, and what was given back is used again. */
#include <check.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tsproxy/scratch.h"
#include "unit.h"

#define MANY 64		/* more than there are pieces of one size */
#define ROUNDS 20000

static const size_t sizes[] = { 1, 700, 4096, 4097, TS_SCRATCH_LARGE, TS_SCRATCH_LARGE + 1, 1 << 20 };

START_TEST(many_at_once)
{
	size_t bytes = sizes[_i], wrong;
	uint8_t *p[MANY];

	for (int i = 0; i < MANY; i++) {
		p[i] = ts_scratch_get(bytes);
		ck_assert_ptr_nonnull(p[i]);
		ck_assert_uint_eq((uintptr_t)p[i] % 64, 0);
		memset(p[i], i, bytes);
	}
	for (int i = 0; i < MANY; i++) {
		wrong = 0;
		for (size_t at = 0; at < bytes; at++)
			wrong += p[i][at] != i;
		ck_assert_uint_eq(wrong, 0);
		ts_scratch_put(p[i], bytes);
	}
}
END_TEST

START_TEST(given_back)
{
	void *first = ts_scratch_get(100), *large = ts_scratch_get(5000), *mapped = ts_scratch_get(1 << 20);

	ts_scratch_put(first, 100);
	ts_scratch_put(large, 5000);
	ck_assert_ptr_eq(ts_scratch_get(4000), first);
	ck_assert_ptr_eq(ts_scratch_get(TS_SCRATCH_LARGE), large);
	ts_scratch_put(first, 4000);
	ts_scratch_put(large, TS_SCRATCH_LARGE);
	ts_scratch_put(mapped, 1 << 20);
	ck_assert_int_ne(msync(mapped, 4096, MS_ASYNC), 0);
	ts_scratch_put(NULL, 100);
}
END_TEST

static void *take_and_give(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		uintptr_t *p = ts_scratch_get(sizeof(*p));

		__atomic_store_n(p, me, __ATOMIC_RELAXED);
		if (i % 16 == 0)
			sched_yield();
		if (__atomic_load_n(p, __ATOMIC_RELAXED) != me)
			return arg;
		ts_scratch_put(p, sizeof(*p));
	}
	return NULL;
}

START_TEST(threads)
{
	pthread_t t[24];
	void *wrong;

	for (uintptr_t i = 0; i < 24; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, take_and_give, (void *)(i + 1)), 0);
	for (int i = 0; i < 24; i++) {
		pthread_join(t[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scratch");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, many_at_once, 0, sizeof(sizes) / sizeof(*sizes));
	tcase_add_test(tc, given_back);
	tcase_add_test(tc, threads);
	suite_add_tcase(s, tc);
	return unit_run(s);
}

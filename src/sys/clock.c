/* SPDX-License-Identifier: MIT */
#include "tsproxy/clock.h"

#include <time.h>

#include "tsproxy/real.h"
#include "tsproxy/sys.h"

int64_t ts_now_ns(void)
{
	struct timespec t;

	ts_sys(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return t.tv_sec * TS_NS_PER_S + t.tv_nsec;
}

int64_t ts_now_us(void)
{
	return ts_now_ns() / 1000;
}

int64_t ts_now_ms(void)
{
	return ts_now_ns() / 1000000;
}

int64_t ts_coarse_ns(void)
{
	struct timespec t = { 0 };

	ts_real()->clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * TS_NS_PER_S + t.tv_nsec;
}

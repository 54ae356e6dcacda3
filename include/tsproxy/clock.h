/* SPDX-License-Identifier: MIT */
/* The time, for deadlines and ages. Async-signal-safe; errno is kept. */
#ifndef TSPROXY_CLOCK_H
#define TSPROXY_CLOCK_H

#include <stdint.h>

#define TS_NS_PER_S 1000000000ll

/* CLOCK_MONOTONIC, in nanoseconds, microseconds and milliseconds. */
int64_t ts_now_ns(void);
int64_t ts_now_us(void);
int64_t ts_now_ms(void);
/* CLOCK_MONOTONIC_COARSE in nanoseconds, right to one tick. It costs a few nanoseconds (vdso(7)), so a call of the program's may ask it. */
int64_t ts_coarse_ns(void);

#endif

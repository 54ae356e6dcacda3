/* SPDX-License-Identifier: MIT */
/* An object that does nothing: what preloading costs before it does anything. */
void ts_bench_nothing(void);
void ts_bench_nothing(void)
{
}

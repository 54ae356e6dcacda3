/* SPDX-License-Identifier: MIT */
/*
 * One line per event, silent unless asked: TSPROXY_LOG=error|warn|info|debug[:FILE].
 *
 * A line is formatted in scratch memory and leaves by one write(2): to FILE (opened with
 * O_APPEND for the one line and closed again, so that no descriptor stays that a program could close or
 * trip over) or to descriptor 2. errno is kept. Async-signal-safe.
 *
 * Format directives: %s (null prints "-"), %d (int), %u (unsigned), %l (long), %x (unsigned, hex), %a (const struct
 * ts_addr *, with port), %i (const uint8_t[16], address alone), %e (int errno, by name), %%.
 */
#ifndef TSPROXY_LOG_H
#define TSPROXY_LOG_H

#include <stdbool.h>

enum ts_log_level { TS_LOG_OFF, TS_LOG_ERROR, TS_LOG_WARN, TS_LOG_INFO, TS_LOG_DEBUG };

/*
 * For the few words that every program reads or writes at its start or end: they lie on the page that the loader writes to anyway (the
 * end of .data), so that they cost no page, and no page fault, of their own.
 */
#define TS_EVERY_START __attribute__((section(".data")))

extern enum ts_log_level ts_log_level;

/* Parses "LEVEL" or "LEVEL:FILE"; FILE must be absolute and is copied. Returns 0, or -EINVAL (and the level stays). */
int ts_log_set(const char *spec);
void ts_log_write(enum ts_log_level level, const char *fmt, ...);

/*
 * `tsproxy trace` (trace.h has the records): TSPROXY_TRACE names the FIFO that it reads. A line is left out where that is
 * full or nobody reads it, and no file is ever made.
 */
extern bool ts_trace_on;
bool ts_trace_set(const char *file);
void ts_trace_write(const char *fmt, ...);

#define ts_log(level, ...) \
	do { \
		if (__builtin_expect(ts_log_level >= (level), 0)) \
			ts_log_write(level, __VA_ARGS__); \
	} while (0)
#define ts_error(...) ts_log(TS_LOG_ERROR, __VA_ARGS__)
#define ts_warn(...) ts_log(TS_LOG_WARN, __VA_ARGS__)
#define ts_info(...) ts_log(TS_LOG_INFO, __VA_ARGS__)
#define ts_debug(...) ts_log(TS_LOG_DEBUG, __VA_ARGS__)

#endif

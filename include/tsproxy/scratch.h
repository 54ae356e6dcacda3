/* SPDX-License-Identifier: MIT */
/*
 * Memory for what would be too much on a small stack: a thread may have 16 KiB in all, a signal handler 8. A hook takes 4 KiB at most
 * (scripts/check-stack).
 *
 * Some pages of the object's own serve nearly every call, so that it costs one atomic instruction and no system call. Where all are
 * taken, or more is asked for, the memory is mapped for this call. Async-signal-safe; in a vfork child too.
 *
 * Memory that is not given back stays taken: where a handler jumps out of the call, or where another thread had it when the process
 * forked. What is held while a call may block is given back when the thread is cancelled: ts_cancel_scratch in cancel.h.
 */
#ifndef TSPROXY_SCRATCH_H
#define TSPROXY_SCRATCH_H

#include <stddef.h>

#define TS_SCRATCH_LARGE 20480	/* bytes; more is always mapped */

/* Not zeroed, aligned to 64 bytes. Null: no memory. */
void *ts_scratch_get(size_t bytes);
/* `bytes` as it was asked for; `p` may be null. */
void ts_scratch_put(void *p, size_t bytes);

/* Zero-filled memory that is kept. `sharing`: MAP_PRIVATE or MAP_SHARED. A page costs nothing until it is touched. Null: no memory. */
void *ts_zero_pages(size_t bytes, int sharing);

#endif

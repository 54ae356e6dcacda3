/* SPDX-License-Identifier: MIT */
/*
 * What threads share without a lock. A single word is _Atomic, or read and written by the __atomic builtins. What is longer stands
 * beside a sequence count, which is odd while it is changed: who reads copies it, and the copy counts only where no change came
 * between. Async-signal-safe.
 */
#ifndef TSPROXY_SHARED_H
#define TSPROXY_SHARED_H

#include <stdbool.h>
#include <stddef.h>

/* Copies of what others may write, or read, at that moment: no word of it is half the one and half the other. */
void ts_shared_read(void *to, const void *shared, size_t n);
void ts_shared_write(void *shared, const void *from, size_t n);

static inline unsigned ts_seq_begin(const unsigned *seq)
{
	return __atomic_load_n(seq, __ATOMIC_ACQUIRE);
}

/* Whether what was read since ts_seq_begin is whole. */
static inline bool ts_seq_holds(const unsigned *seq, unsigned begun)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !(begun & 1) && __atomic_load_n(seq, __ATOMIC_RELAXED) == begun;
}

/* Begins a change; false where another thread is at one. A process that was forked in that moment is refused for good. */
static inline bool ts_seq_try_change(unsigned *seq)
{
	unsigned now = __atomic_load_n(seq, __ATOMIC_RELAXED);

	return !(now & 1) && __sync_bool_compare_and_swap(seq, now, now + 1);
}

/* The same for what is changed under a lock only, which lets nobody but one in. */
static inline void ts_seq_change(unsigned *seq)
{
	__atomic_store_n(seq, __atomic_load_n(seq, __ATOMIC_RELAXED) | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void ts_seq_changed(unsigned *seq)
{
	__atomic_store_n(seq, __atomic_load_n(seq, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Cleaning up after a cancelled thread: see cancel.h. The object is built with unwind tables, with which pthread_cleanup_push would want
 * a library that reads them. This file is built without (Makefile): it then registers with libc itself. musl has a function of its own
 * for that. Where libc has neither (glibc before 2.34 in a program without threads), nobody can cancel.
 */
#include "tsproxy/cancel.h"

#include <pthread.h>
#include <setjmp.h>
#include <stddef.h>

#include "tsproxy/scratch.h"

#pragma weak __pthread_register_cancel
#pragma weak __pthread_unregister_cancel
#pragma weak __pthread_unwind_next
#pragma weak __sigsetjmp

/* musl's: struct __ptcb. */
struct frame {
	void (*function)(void *);
	void *arg;
	struct frame *next;
};
extern void _pthread_cleanup_push(struct frame *frame, void (*function)(void *), void *arg) __attribute__((weak));
extern void _pthread_cleanup_pop(struct frame *frame, int run) __attribute__((weak));

static void guarded_glibc(void (*body)(void *arg), void (*cleanup)(void *arg), void *arg)
{
	pthread_cleanup_push(cleanup, arg);
	body(arg);
	pthread_cleanup_pop(0);
}

static void guarded_musl(void (*body)(void *arg), void (*cleanup)(void *arg), void *arg)
{
	struct frame frame;

	_pthread_cleanup_push(&frame, cleanup, arg);
	body(arg);
	_pthread_cleanup_pop(&frame, 0);
}

__attribute__((noinline)) void ts_cancel_guarded(void (*body)(void *arg), void (*cleanup)(void *arg), void *arg)
{
	if (__pthread_register_cancel && __pthread_unregister_cancel && __pthread_unwind_next && __sigsetjmp)
		guarded_glibc(body, cleanup, arg);
	else if (_pthread_cleanup_push && _pthread_cleanup_pop)
		guarded_musl(body, cleanup, arg);
	else
		body(arg);
}

struct scratch {
	void *memory;
	size_t bytes;
	void (*body)(void *memory, void *arg);
	void *arg;
};

static void with_scratch(void *arg)
{
	const struct scratch *s = arg;

	s->body(s->memory, s->arg);
}

static void give_back(void *arg)
{
	const struct scratch *s = arg;

	ts_scratch_put(s->memory, s->bytes);
}

bool ts_cancel_scratch(size_t bytes, void (*body)(void *memory, void *arg), void *arg)
{
	struct scratch s = { ts_scratch_get(bytes), bytes, body, arg };

	if (!s.memory)
		return false;
	ts_cancel_guarded(with_scratch, give_back, &s);
	give_back(&s);
	return true;
}

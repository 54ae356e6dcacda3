/* SPDX-License-Identifier: MIT */
/*
 * epoll. The real epoll_wait comes first and the question whether a stand-in is among its events after it, because one may have
 * been put into the set while this thread slept.
 */
#include "hook.h"

#include <errno.h>

#include "tsproxy/epreg.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/tcp.h"
#include "tsproxy/wait.h"

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	int r;

	if (__builtin_expect(!(ts_fd_get_flags(fd) & (TS_FD_FLOW | TS_FD_TRACKED)), 1))
		return ts_real()->epoll_ctl(epfd, op, fd, event);
	r = ts_tcp_epoll_ctl(epfd, op, fd, event);
	return r == 1 ? ts_real()->epoll_ctl(epfd, op, fd, event) : ts_result(r);
}

static bool has_tags(void)
{
	return __builtin_expect(__atomic_load_n(&ts_tags_used, __ATOMIC_SEQ_CST) != 0, 0);
}

/* Coarse, because it is read on every wait with a time-out: a few nanoseconds through the vDSO, right to one tick. */
static int64_t coarse_ns(void)
{
	struct timespec t = { 0 };

	ts_real()->clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct wait {
	int epfd;
	struct epoll_event *events;
	int max;
	int64_t left_ns;	/* < 0: forever */
	const sigset_t *mask;
	bool ns;		/* epoll_pwait2 */
};

static int wait_once(const struct wait *w)
{
	int ms;

	if (w->ns) {
		struct timespec t = { .tv_sec = w->left_ns / 1000000000, .tv_nsec = w->left_ns % 1000000000 };

		return ts_real()->epoll_pwait2(w->epfd, w->events, w->max, w->left_ns < 0 ? NULL : &t, w->mask);
	}
	ms = w->left_ns < 0 ? -1 : (int)((w->left_ns + 999999) / 1000000);
	if (w->mask)
		return ts_real()->epoll_pwait(w->epfd, w->events, w->max, ms, w->mask);
	return ts_real()->epoll_wait(w->epfd, w->events, w->max, ms);
}

/* What the first wait gave held stand-ins: takes them out, and waits on while nothing is left. `start`: when the call began. */
static int wait_on(struct wait *w, int n, int64_t start)
{
	int64_t whole = w->left_ns;

	for (;;) {
		int kept = ts_wait_epoll_filter(w->events, n);

		if (kept > 0 || n <= 0)
			return kept;
		if (whole > 0) {
			w->left_ns = whole - (coarse_ns() - start);
			if (w->left_ns < 0)
				w->left_ns = 0;
		}
		n = wait_once(w);
		if (n <= 0)
			return n;
	}
}

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	int64_t start = timeout > 0 ? coarse_ns() : 0;
	int n = ts_real()->epoll_wait(epfd, events, max, timeout);

	if (__builtin_expect(n > 0 && has_tags(), 0)) {
		struct wait w = { epfd, events, max, timeout < 0 ? -1 : timeout * 1000000ll, NULL, false };

		return wait_on(&w, n, start);
	}
	return n;
}

int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout, const sigset_t *mask)
{
	int64_t start = timeout > 0 ? coarse_ns() : 0;
	int n = ts_real()->epoll_pwait(epfd, events, max, timeout, mask);

	if (__builtin_expect(n > 0 && has_tags(), 0)) {
		struct wait w = { epfd, events, max, timeout < 0 ? -1 : timeout * 1000000ll, mask, false };

		return wait_on(&w, n, start);
	}
	return n;
}

int epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout, const sigset_t *mask)
{
	int64_t start = timeout ? coarse_ns() : 0;
	int n = ts_real()->epoll_pwait2(epfd, events, max, timeout, mask);

	if (__builtin_expect(n > 0 && has_tags(), 0)) {
		struct wait w = { epfd, events, max, -1, mask, true };

		if (timeout)
			w.left_ns = timeout->tv_sec * 1000000000ll + timeout->tv_nsec;
		return wait_on(&w, n, start);
	}
	return n;
}

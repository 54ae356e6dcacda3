/* SPDX-License-Identifier: MIT */
/*
 * epoll. The real epoll_wait comes first and the question whether a stand-in is among its events after it, because one may have
 * been put into the set while this thread slept.
 */
#include "hook.h"

#include <errno.h>

#include "tsproxy/clock.h"
#include "tsproxy/epreg.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/tcp.h"
#include "tsproxy/udp.h"
#include "tsproxy/wait.h"

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	unsigned flags = ts_fd_get_flags(fd);
	int r;

	if (__builtin_expect(!(flags & TS_FD_TRACKED) && !ts_flags_have_flow(flags), 1))
		return ts_real()->epoll_ctl(epfd, op, fd, event);
	if (flags & TS_FD_NEW && !(flags & TS_FD_FLOW)) {
		r = ts_real()->epoll_ctl(epfd, op, fd, event);
		if (r == 0)
			ts_tcp_epoll_done(epfd, op, fd, event);
		return r;
	}
	r = ts_tcp_epoll_ctl(epfd, op, fd, event);
	return r == 1 ? ts_real()->epoll_ctl(epfd, op, fd, event) : ts_result(r);
}

static bool has_tags(void)
{
	return __builtin_expect(__atomic_load_n(&ts_tags_used, __ATOMIC_SEQ_CST) != 0, 0);
}

struct wait {
	int epfd;
	struct epoll_event *events;
	int max;
	int64_t left_ns;	/* < 0: forever */
	const sigset_t *mask;
	bool ns;		/* epoll_pwait2 */
};

#define LATE_MAX 64	/* so often it is looked, when the time is up, for what stand-ins were in front of */

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

	for (unsigned late = 0;; late += w->left_ns == 0) {
		int kept = ts_wait_epoll_filter(w->events, n);

		if (kept > 0 || n <= 0 || late == LATE_MAX)
			return kept;
		if (whole > 0) {
			w->left_ns = whole - (ts_coarse_ns() - start);
			if (w->left_ns < 0)
				w->left_ns = 0;
		}
		n = wait_once(w);
		if (n <= 0)
			return n;
	}
}

/* Waits in pieces while associations are in the making. True: `*n` is the result; else the rest of the time is left to wait. */
static bool in_pieces(struct wait *w, int *n)
{
	int64_t end = ts_coarse_ns() + w->left_ns, left = w->left_ns;

	while (left != 0 && ts_udp_any_pending()) {
		struct wait piece = *w;

		ts_udp_advance();
		piece.left_ns = left > 0 && left < TS_UDP_PIECE_NS ? left : TS_UDP_PIECE_NS;
		*n = wait_once(&piece);
		if (*n != 0) {
			*n = *n > 0 && has_tags() ? ts_wait_epoll_filter(w->events, *n) : *n;
			if (*n != 0)
				return true;
		}
		if (left > 0)
			left = end - ts_coarse_ns() > 0 ? end - ts_coarse_ns() : 0;
	}
	w->left_ns = left;
	return false;
}

static int wait_whole(int epfd, struct epoll_event *events, int max, int timeout)
{
	int64_t start = timeout > 0 ? ts_coarse_ns() : 0;
	int n = ts_real()->epoll_wait(epfd, events, max, timeout);

	if (__builtin_expect(n > 0 && has_tags(), 0)) {
		struct wait w = { epfd, events, max, timeout < 0 ? -1 : timeout * 1000000ll, NULL, false };

		return wait_on(&w, n, start);
	}
	return n;
}

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	if (ts_udp_any_pending() && timeout) {
		struct wait w = { epfd, events, max, timeout < 0 ? -1 : timeout * 1000000ll, NULL, false };
		int got;

		if (in_pieces(&w, &got))
			return got;
		timeout = w.left_ns < 0 ? -1 : (int)((w.left_ns + 999999) / 1000000);
	}
	return wait_whole(epfd, events, max, timeout);
}
int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout, const sigset_t *mask)
{
	int64_t start;
	int n;

	if (ts_udp_any_pending() && timeout) {
		struct wait w = { epfd, events, max, timeout < 0 ? -1 : timeout * 1000000ll, mask, false };

		if (in_pieces(&w, &n))
			return n;
		timeout = w.left_ns < 0 ? -1 : (int)((w.left_ns + 999999) / 1000000);
	}
	start = timeout > 0 ? ts_coarse_ns() : 0;
	n = ts_real()->epoll_pwait(epfd, events, max, timeout, mask);

	if (__builtin_expect(n > 0 && has_tags(), 0)) {
		struct wait w = { epfd, events, max, timeout < 0 ? -1 : timeout * 1000000ll, mask, false };

		return wait_on(&w, n, start);
	}
	return n;
}

int epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec rest;
	int64_t start;
	int n;

	if (ts_udp_any_pending() && !ts_is_bad_time(timeout)) {
		struct wait w = { epfd, events, max, timeout ? timeout->tv_sec * 1000000000ll + timeout->tv_nsec : -1, mask, true };

		if (in_pieces(&w, &n))
			return n;
		rest = (struct timespec){ .tv_sec = w.left_ns / 1000000000, .tv_nsec = w.left_ns % 1000000000 };
		timeout = timeout ? &rest : NULL;
	}
	start = timeout ? ts_coarse_ns() : 0;
	n = ts_real()->epoll_pwait2(epfd, events, max, timeout, mask);

	if (__builtin_expect(n > 0 && has_tags(), 0)) {
		struct wait w = { epfd, events, max, -1, mask, true };

		if (timeout)
			w.left_ns = timeout->tv_sec * 1000000000ll + timeout->tv_nsec;
		return wait_on(&w, n, start);
	}
	return n;
}

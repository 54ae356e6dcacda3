/* SPDX-License-Identifier: MIT */
/* poll and select in all their forms. */
#include "hook.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/clock.h"
#include "tsproxy/sys.h"
#include "tsproxy/udp.h"
#include "tsproxy/wait.h"

/* glibc declares the array write-only to the compiler, which then warns when its descriptors are read. */
static inline bool concerns(struct pollfd *fds, nfds_t n)
{
	__asm__("" : "+r"(fds));
	return __builtin_expect(ts_wait_poll_concerns(fds, n), 0);
}

/*
 * While this thread slept in the kernel another one's datagram may have begun an association, and what woke it may be no more than that
 * (udp.h): then the descriptors are looked at again, for as long as is left.
 */
struct before {
	int64_t start;
	unsigned nudges;
};

static struct before before_wait(bool timed)
{
	return (struct before){ timed ? ts_coarse_ns() : 0, ts_udp_nudges };
}

static bool nudged(const struct before *b, int ready)
{
	return ready > 0 &&
	       __builtin_expect(ts_udp_any_pending() || ts_udp_nudges != b->nudges, 0);
}

static struct timespec left_of(const struct before *b, const struct timespec *timeout)
{
	int64_t left = timeout->tv_sec * TS_NS_PER_S + timeout->tv_nsec - (ts_coarse_ns() - b->start);

	if (timeout->tv_sec > 100ll * 365 * 86400)
		return *timeout;
	return left < 0 ? (struct timespec){ 0 } : (struct timespec){ left / 1000000000, left % 1000000000 };
}

static struct timespec from_ms(int ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };
}

static int poll_ms(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec t = from_ms(timeout < 0 ? 0 : timeout);

	return ts_wait_poll(fds, n, timeout < 0 ? NULL : &t, NULL);
}

static int poll_ts(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec t;

	if (timeout)
		t = *timeout;
	return ts_wait_poll(fds, n, timeout ? &t : NULL, mask);
}

/* `n` descriptors were waited for by the real call, which said `r`. */
static int poll_ms_again(struct pollfd *fds, nfds_t n, int timeout, const struct before *b, int r)
{
	struct timespec t = from_ms(timeout < 0 ? 0 : timeout);

	if (!nudged(b, r))
		return r;
	if (timeout > 0)
		t = left_of(b, &t);
	return ts_wait_poll(fds, n, timeout < 0 ? NULL : &t, NULL);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct before b;

	if (concerns(fds, n))
		return poll_ms(fds, n, timeout);
	if (!ts_udp_may_nudge())
		return ts_real()->poll(fds, n, timeout);
	b = before_wait(timeout > 0);
	return poll_ms_again(fds, n, timeout, &b, ts_real()->poll(fds, n, timeout));
}

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	struct before b;

	if (size / sizeof(*fds) >= n && concerns(fds, n))
		return poll_ms(fds, n, timeout);
	if (!ts_udp_may_nudge())
		return ts_real()->__poll_chk(fds, n, timeout, size);
	b = before_wait(timeout > 0);
	return poll_ms_again(fds, n, timeout, &b, ts_real()->__poll_chk(fds, n, timeout, size));
}

static int poll_ts_again(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, const struct before *b, int r)
{
	struct timespec t;

	if (!nudged(b, r))
		return r;
	if (timeout)
		t = left_of(b, timeout);
	return ts_wait_poll(fds, n, timeout ? &t : NULL, mask);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct before b;

	if (concerns(fds, n) && !ts_is_bad_time(timeout))
		return poll_ts(fds, n, timeout, mask);
	if (!ts_udp_may_nudge())
		return ts_real()->ppoll(fds, n, timeout, mask);
	b = before_wait(timeout != NULL);
	return poll_ts_again(fds, n, timeout, mask, &b, ts_real()->ppoll(fds, n, timeout, mask));
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size)
{
	struct before b;

	if (size / sizeof(*fds) >= n && concerns(fds, n) && !ts_is_bad_time(timeout))
		return poll_ts(fds, n, timeout, mask);
	if (!ts_udp_may_nudge())
		return ts_real()->__ppoll_chk(fds, n, timeout, mask, size);
	b = before_wait(timeout != NULL);
	return poll_ts_again(fds, n, timeout, mask, &b, ts_real()->__ppoll_chk(fds, n, timeout, mask, size));
}

/* What the program asked for, where it may have to be asked again: the kernel writes its answer over it. */
struct asked {
	bool kept;
	fd_set r, w, x;
};

static void keep_set(fd_set *to, const fd_set *from, int n)
{
	if (from)
		memcpy(to, from, (size_t)(n + 63) / 64 * 8);
}

static void keep_sets(struct asked *a, int n, const fd_set *r, const fd_set *w, const fd_set *x)
{
	a->kept = n > 0 && n <= FD_SETSIZE && (!r || ts_plausible(r)) && (!w || ts_plausible(w)) && (!x || ts_plausible(x));
	if (!a->kept)
		return;
	keep_set(&a->r, r, n);
	keep_set(&a->w, w, n);
	keep_set(&a->x, x, n);
}

static bool give_back(const struct asked *a, int n, fd_set *r, fd_set *w, fd_set *x)
{
	if (!a->kept)
		return false;
	keep_set(r, r ? &a->r : NULL, n);
	keep_set(w, w ? &a->w : NULL, n);
	keep_set(x, x ? &a->x : NULL, n);
	return true;
}

static int select_carried(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
	struct timespec t;
	int result;

	if (!timeout)
		return ts_wait_select(n, r, w, x, NULL, NULL);
	t.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
	t.tv_nsec = timeout->tv_usec % 1000000 * 1000;
	result = ts_wait_select(n, r, w, x, &t, NULL);
	/* Linux tells what is left: select(2), NOTES. */
	timeout->tv_sec = t.tv_sec;
	timeout->tv_usec = t.tv_nsec / 1000;
	return result;
}

/* False: it is to be waited again. Here and not in select, for its frame. */
static __attribute__((noinline)) bool select_until_nudged(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout, int *ready)
{
	struct before b = before_wait(false);	/* the kernel counts the time down */
	struct asked a;

	keep_sets(&a, n, r, w, x);
	*ready = ts_real()->select(n, r, w, x, timeout);
	return !nudged(&b, *ready) || !give_back(&a, n, r, w, x);
}

int select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
	int ready;

	if (__builtin_expect(!ts_wait_select_concerns(n, r, w, x), 1) || (timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0))) {
		if (!ts_udp_may_nudge())
			return ts_real()->select(n, r, w, x, timeout);
		if (select_until_nudged(n, r, w, x, timeout, &ready))
			return ready;
	}
	return select_carried(n, r, w, x, timeout);
}

/* Likewise; `left`: of the time. */
static __attribute__((noinline)) bool pselect_until_nudged(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout,
							   const sigset_t *mask, struct timespec *left, int *ready)
{
	struct before b = before_wait(timeout != NULL);
	struct asked a;

	keep_sets(&a, n, r, w, x);
	*ready = ts_real()->pselect(n, r, w, x, timeout, mask);
	if (!nudged(&b, *ready) || !give_back(&a, n, r, w, x))
		return true;
	if (timeout)
		*left = left_of(&b, timeout);
	return false;
}

int pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec t;
	int ready;

	if (timeout)
		t = *timeout;
	if (__builtin_expect(!ts_wait_select_concerns(n, r, w, x), 1) || ts_is_bad_time(timeout)) {
		if (!ts_udp_may_nudge())
			return ts_real()->pselect(n, r, w, x, timeout, mask);
		if (pselect_until_nudged(n, r, w, x, timeout, mask, &t, &ready))
			return ready;
	}
	return ts_wait_select(n, r, w, x, timeout ? &t : NULL, mask);
}

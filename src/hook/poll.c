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

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return concerns(fds, n) ? poll_ms(fds, n, timeout) : ts_real()->poll(fds, n, timeout);
}

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (size / sizeof(*fds) >= n && concerns(fds, n))
		return poll_ms(fds, n, timeout);
	return ts_real()->__poll_chk(fds, n, timeout, size);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	if (concerns(fds, n) && !ts_is_bad_time(timeout))
		return poll_ts(fds, n, timeout, mask);
	return ts_real()->ppoll(fds, n, timeout, mask);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size)
{
	if (size / sizeof(*fds) >= n && concerns(fds, n) && !ts_is_bad_time(timeout))
		return poll_ts(fds, n, timeout, mask);
	return ts_real()->__ppoll_chk(fds, n, timeout, mask, size);
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

int select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
	if (__builtin_expect(!ts_wait_select_concerns(n, r, w, x), 1) || (timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
		return ts_real()->select(n, r, w, x, timeout);
	return select_carried(n, r, w, x, timeout);
}

int pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec t;

	if (__builtin_expect(!ts_wait_select_concerns(n, r, w, x), 1) || ts_is_bad_time(timeout))
		return ts_real()->pselect(n, r, w, x, timeout, mask);
	if (timeout)
		t = *timeout;
	return ts_wait_select(n, r, w, x, timeout ? &t : NULL, mask);
}

/* SPDX-License-Identifier: MIT */
/*
 * poll, select and epoll_wait over pending connections: see wait.h.
 *
 * A pending descriptor's interest is replaced by "the proxy's answer is there" (SO_RCVLOWAT makes that exact), in a copy of
 * what the program gave; all others stay as they are in the same kernel call, so that they keep native latency. When an
 * answer comes, the flow is advanced, and the kernel is asked again for what the program really wanted. Deadlines are absolute; the
 * program's signal mask goes into every kernel call.
 *
 * A flow may be completed by another thread, which consumes the answer that this one waits for: an eventfd, which exists only
 * during the wait, wakes it.
 */
#include "tsproxy/wait.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "../fd/waker.h"
#include "tsproxy/cancel.h"
#include "tsproxy/clock.h"
#include "tsproxy/epreg.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/guard.h"
#include "tsproxy/real.h"
#include "tsproxy/spawn.h"
#include "tsproxy/sys.h"
#include "tsproxy/tcp.h"
#include "tsproxy/udp.h"

/* --- time --- */

/* An absolute deadline; INT64_MAX: none. */
static int64_t deadline_of(const struct timespec *timeout)
{
	if (!timeout || timeout->tv_sec > 100ll * 365 * 86400)
		return INT64_MAX;
	return ts_now_ns() + (int64_t)timeout->tv_sec * TS_NS_PER_S + timeout->tv_nsec;
}

static struct timespec time_left(int64_t deadline)
{
	int64_t left = deadline - ts_now_ns();

	if (left < 0)
		left = 0;
	return (struct timespec){ .tv_sec = left / TS_NS_PER_S, .tv_nsec = left % TS_NS_PER_S };
}

/* One kernel wait: until the deadline, not at all, or (no waker to be had) a short while at a time. */
struct slice {
	struct timespec t;
	bool forever, last;
};

static struct slice slice_of(int64_t deadline, bool at_once, bool has_waker)
{
	long piece = TS_UDP_PIECE_NS;
	struct slice s = { .last = !at_once };

	if (at_once)
		return s;
	s.forever = deadline == INT64_MAX;
	if (!s.forever)
		s.t = time_left(deadline);
	if (!has_waker && (s.forever || s.t.tv_sec > 0 || s.t.tv_nsec > piece)) {
		s.t = (struct timespec){ .tv_nsec = piece };
		s.forever = s.last = false;
	}
	return s;
}

/* So many descriptors are listed on the stack. */
#define FEW 32

/* --- poll --- */

static nfds_t most_descriptors(void)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };

	ts_sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	return limit.rlim_cur < TS_FD_MAX ? limit.rlim_cur : TS_FD_MAX;
}

static bool concerns_waits(int fd)
{
	unsigned flags = ts_fd_get_flags(fd);

	return flags & TS_FD_TAGGED_SET || ts_flags_have_flow(flags);
}

bool ts_wait_poll_concerns(const struct pollfd *fds, nfds_t n)
{
	bool pending = ts_udp_any_pending();

	if ((!pending && (ts_flow_count == 0 || !ts_family_carries())) || !ts_plausible(fds))
		return false;
	if (n > FD_SETSIZE && n > most_descriptors())
		return false;	/* EINVAL, poll(2) */
	if (pending)
		return true;
	for (nfds_t i = 0; i < n; i++)
		if (concerns_waits(fds[i].fd))
			return true;
	return false;
}

/* An event that no Linux driver reports marks the copy's entries whose interest is ours, not the program's. */
#define MARK_PENDING POLLMSG

/* Fills the copy; returns how many entries are pending. Those carry their flow's wake event. `*forked`: see tcp.h. */
static nfds_t poll_prepare(const struct pollfd *fds, struct pollfd *copy, nfds_t n, bool *forked)
{
	nfds_t pending = 0;

	for (nfds_t i = 0; i < n; i++) {
		short wake;

		copy[i] = fds[i];
		copy[i].revents = 0;
		if (!ts_fd_has_flow(fds[i].fd) || ts_tcp_check_wake(fds[i].fd, &wake, forked) != TS_TCP_PENDING)
			continue;
		copy[i].events = wake | MARK_PENDING;
		pending++;
	}
	return pending;
}

/*
 * An epoll set in the list is readable: if because an answer came for a pending connection in it, the flow is advanced, and what the
 * set really holds is asked anew. True where a flow ended.
 */
static bool advance_set(int epfd)
{
	uint32_t cursor = 0;
	bool ended = false;

	for (;;) {
		int fd;

		ts_lock(&ts_fdtab_lock);
		fd = ts_epreg_tagged_in(epfd, &cursor);
		ts_unlock(&ts_fdtab_lock);
		if (fd < 0)
			return ended;
		if (ts_fd_has_flow(fd) && ts_tcp_check(fd) != TS_TCP_PENDING)
			ended = true;
	}
}

/*
 * Writes results of the others to the program's array; advances the pending ones that woke. Returns the number of ready
 * entries; `*again`: a flow ended, so the kernel must be asked anew.
 */
static int poll_collect(struct pollfd *fds, const struct pollfd *copy, nfds_t n, bool *again)
{
	int ready = 0;

	*again = false;
	for (nfds_t i = 0; i < n; i++) {
		fds[i].revents = 0;
		if (copy[i].events & MARK_PENDING) {
			if (!ts_fd_has_flow(fds[i].fd) || ts_tcp_check(fds[i].fd) != TS_TCP_PENDING)
				*again = true;
			continue;
		}
		if (copy[i].revents & POLLIN && ts_fd_get_flags(fds[i].fd) & TS_FD_TAGGED_SET && advance_set(fds[i].fd)) {
			*again = true;
			continue;
		}
		fds[i].revents = copy[i].revents;
		ready += copy[i].revents != 0;
	}
	return ready;
}

/* A call of poll. */
struct polled {
	struct pollfd *fds;
	nfds_t n;
	struct timespec *timeout;
	const sigset_t *mask;
	int result;
};

/* `memory`: for one more than there are. */
static void poll_with(void *memory, void *arg)
{
	struct polled *call = arg;
	struct pollfd *fds = call->fds, *copy = memory;
	nfds_t n = call->n;
	int64_t deadline = deadline_of(call->timeout);
	int waker = -1, r;
	bool again = false, alone = ts_single_threaded();	/* else another thread may complete a flow */

	for (;;) {
		bool forked = ts_udp_any_pending();
		nfds_t pending = poll_prepare(fds, copy, n, &forked);
		struct slice s;

		if (ts_udp_any_pending())
			ts_udp_advance();
		if (pending && !again && waker < 0 && !alone && (waker = ts_waker_open()) >= 0)
			pending = poll_prepare(fds, copy, n, &forked);	/* what ended before the waker was there */
		s = slice_of(deadline, again, !forked && (waker >= 0 || !pending || alone));
		copy[n] = (struct pollfd){ .fd = ts_waker_fd(waker), .events = POLLIN };
		/* One more only where there is a waker: `n` may be as many as the kernel allows. */
		r = ts_real()->ppoll(copy, n + (waker >= 0), s.forever ? NULL : &s.t, call->mask);
		if (r < 0) {
			for (nfds_t i = 0; i < n && ts_errno == EINTR; i++)
				fds[i].revents = 0;	/* as the kernel leaves them */
			break;
		}
		r = poll_collect(fds, copy, n, &again);
		if (waker >= 0 && ts_waker_heard(&waker, copy[n].revents))
			again = true;
		if (r > 0 && !again)
			break;
		if (r == 0 && !again && s.last && deadline != INT64_MAX && ts_now_ns() >= deadline)
			break;
	}
	ts_waker_close(waker);
	if (call->timeout && deadline != INT64_MAX)
		*call->timeout = time_left(deadline);
	call->result = r;
}

static __attribute__((noinline)) void poll_few(struct polled *call)
{
	struct pollfd few[FEW];

	poll_with(few, call);
}

int ts_wait_poll(struct pollfd *fds, nfds_t n, struct timespec *timeout, const sigset_t *mask)
{
	struct polled call = { fds, n, timeout, mask, -1 };

	if (n < FEW)
		poll_few(&call);
	else if (!ts_cancel_scratch((n + 1) * sizeof(*fds), poll_with, &call))
		ts_errno = ENOMEM;
	return call.result;
}


/* --- select: the same over a list of the descriptors in the three sets --- */

#define BITS ((int)(8 * sizeof(long)))

static bool set_has(const fd_set *s, int fd)
{
	return s && ((const unsigned long *)s)[fd / BITS] >> fd % BITS & 1;
}

bool ts_wait_select_concerns(int n, const fd_set *r, const fd_set *w, const fd_set *x)
{
	const fd_set *sets[] = { r, w, x };

	if (n < 0 || (ts_flow_count == 0 && !ts_udp_any_pending()))
		return false;
	for (int i = 0; i < 3; i++)
		if (sets[i] && !ts_plausible(sets[i]))
			return false;
	if (ts_udp_any_pending())
		return true;
	if (n > ts_fd_highest() + 1)
		n = ts_fd_highest() + 1;
	for (int at = 0; at < n; at += BITS) {
		unsigned long asked = 0, below = n - at < BITS ? (1ul << (n - at)) - 1 : ~0ul;

		for (int i = 0; i < 3; i++)
			asked |= sets[i] ? ((const unsigned long *)sets[i])[at / BITS] : 0;
		asked &= below & __atomic_load_n(&ts_fd_waits[at / BITS], __ATOMIC_RELAXED);
		for (; __builtin_expect(asked != 0, 0); asked &= asked - 1)
			if (concerns_waits(at + __builtin_ctzl(asked)))
				return true;
	}
	return false;
}

static void set_put(fd_set *s, int fd, bool on)
{
	unsigned long bit = 1ul << fd % BITS, *word = &((unsigned long *)s)[fd / BITS];

	*word = on ? *word | bit : *word & ~bit;
}

/* poll's bits for each set, as the kernel's select reads them (fs/select.c: POLLIN_SET, POLLOUT_SET, POLLEX_SET). */
#define SELECT_IN (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EX POLLPRI

/* The descriptors in the sets, `room` of them at most: how many; where `list` is null, how many there are. */
static nfds_t select_list(int n, const fd_set *r, const fd_set *w, const fd_set *x, struct pollfd *list, nfds_t room)
{
	nfds_t count = 0;

	for (int fd = 0; fd < n && (!list || count < room); fd++) {
		short events = (short)((set_has(r, fd) ? POLLRDNORM | POLLRDBAND | POLLIN : 0) |
				       (set_has(w, fd) ? POLLWRBAND | POLLWRNORM | POLLOUT : 0) |
				       (set_has(x, fd) ? POLLPRI : 0));

		if (!events)
			continue;
		if (list)
			list[count] = (struct pollfd){ .fd = fd, .events = events };
		count++;
	}
	return count;
}

static int select_store(fd_set *r, fd_set *w, fd_set *x, const struct pollfd *list, nfds_t count)
{
	int bits = 0;

	for (nfds_t i = 0; i < count; i++) {
		const struct pollfd *p = &list[i];
		int fd = p->fd < 0 ? ~p->fd : p->fd;
		bool in = p->events & POLLIN && p->revents & SELECT_IN;
		bool out = p->events & POLLOUT && p->revents & SELECT_OUT;
		bool ex = p->events & POLLPRI && p->revents & SELECT_EX;

		if (p->events & POLLIN)
			set_put(r, fd, in);
		if (p->events & POLLOUT)
			set_put(w, fd, out);
		if (p->events & POLLPRI)
			set_put(x, fd, ex);
		bits += in + out + ex;
	}
	return bits;
}

/*
 * The kernel looks at no more descriptors than this process's table has room for, whatever the program says: FDSize in
 * /proc/self/status (proc(5)). Asked only where the sets could be shorter than `n`.
 */
static int clamp_to_table(int n)
{
	int size = n > FD_SETSIZE ? ts_status_number("/proc/self/status", "FDSize") : 0;

	return size > 0 && size < n ? size : n;
}

/* A call of select. */
struct selected {
	int n;
	fd_set *r, *w, *x;
	nfds_t room;	/* for so many descriptors there is */
	struct timespec *timeout;
	const sigset_t *mask;
	int result;
};

static void select_with(void *memory, void *arg)
{
	struct selected *s = arg;
	struct pollfd *list = memory;
	int64_t deadline = deadline_of(s->timeout);
	nfds_t count = select_list(s->n, s->r, s->w, s->x, list, s->room);

	do {
		struct timespec left = deadline == INT64_MAX ? (struct timespec){ 0 } : time_left(deadline);

		s->result = ts_wait_poll(list, count, deadline == INT64_MAX ? NULL : &left, s->mask);
		for (nfds_t i = 0; s->result > 0 && i < count; i++)
			if (list[i].revents & POLLNVAL) {
				ts_errno = EBADF;
				s->result = -1;
			}
		if (s->result < 0)
			break;
		s->result = select_store(s->r, s->w, s->x, list, count);
		/* A hang-up alone is nothing to a set of writers: the kernel's select goes on waiting for the others. */
		for (nfds_t i = 0; i < count; i++)
			if (list[i].revents)
				list[i].fd = ~list[i].fd;
	} while (s->result == 0 && (deadline == INT64_MAX || ts_now_ns() < deadline));
	if (s->timeout && deadline != INT64_MAX)
		*s->timeout = time_left(deadline);
}

static __attribute__((noinline)) void select_few(struct selected *s)
{
	struct pollfd few[FEW];

	select_with(few, s);
}

int ts_wait_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timespec *timeout, const sigset_t *mask)
{
	struct selected s = { .n = clamp_to_table(n), .r = r, .w = w, .x = x, .timeout = timeout, .mask = mask, .result = -1 };

	s.room = select_list(s.n, r, w, x, NULL, 0);
	if (s.room <= FEW)
		select_few(&s);
	else if (!ts_cancel_scratch(s.room * sizeof(struct pollfd), select_with, &s))
		ts_errno = ENOMEM;
	return s.result;
}

/* --- epoll --- */

int ts_wait_epoll_filter(struct epoll_event *events, int n)
{
	int kept = 0;

	for (int i = 0; i < n; i++) {
		struct epoll_event ev;
		int fd;

		memcpy(&ev, &events[i], sizeof(ev));
		if (!ts_epreg_is_tag(ev.data.u64)) {
			if (kept != i)
				memcpy(&events[kept], &ev, sizeof(ev));
			kept++;
			continue;
		}
		ts_lock(&ts_fdtab_lock);
		fd = ts_epreg_tag_fd(ev.data.u64);
		ts_unlock(&ts_fdtab_lock);
		if (fd >= 0 && ts_fd_has_flow(fd))
			ts_tcp_check(fd);
	}
	return kept;
}

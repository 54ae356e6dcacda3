/* SPDX-License-Identifier: MIT */
/*
 * How blocking calls wait for a connection that is being made: see tcp.h.
 *
 * A blocking connect waits in recv(MSG_PEEK), not in poll(): poll always fails with EINTR, while recv is restarted under
 * SA_RESTART as a native connect is. One thread is in charge of a flow and reads the proxy's answer; others wait beside it.
 */
#include "tsproxy/tcp.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

#include "tcp_internal.h"
#include "tsproxy/clock.h"
#include "tsproxy/handoff.h"
#include "tsproxy/epreg.h"
#include "tsproxy/identity.h"
#include "tsproxy/log.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"
#include "tsproxy/trace.h"
#include "../fd/waker.h"

struct timeouts {
	struct timeval own, now;
	bool changed;
};

/* The wait in recv must obey what rules a connect, SO_SNDTIMEO, and not SO_RCVTIMEO: socket(7). */
static void timeouts_swap(int fd, struct timeouts *t, int option)
{
	socklen_t len = sizeof(t->own);

	memset(t, 0, sizeof(*t));
	if (option == TS_NO_TIMEOUT)
		return;
	if (ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &t->own, &len) != 0)
		return;
	t->now = t->own;
	if (option == SO_SNDTIMEO && ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &t->now, &len) != 0)
		t->now = t->own;
	t->changed = memcmp(&t->own, &t->now, sizeof(t->own)) != 0;
	if (t->changed)
		ts_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &t->now, sizeof(t->now));
}

static int64_t timeouts_deadline(const struct timeouts *t)
{
	if (!t->now.tv_sec && !t->now.tv_usec)
		return INT64_MAX;
	return ts_now_ms() + t->now.tv_sec * 1000 + t->now.tv_usec / 1000;
}

static void timeouts_restore(int fd, const struct timeouts *t)
{
	if (t->changed)
		ts_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &t->own, sizeof(t->own));
}

/*
 * The descriptor was closed while this thread waited: the kernel keeps the socket for the call that is in it, which returns when the
 * connection is decided. So does ours, as far as the answer that was peeked goes; no more can be said to the proxy.
 */
static int ended_by_close(const struct ts_flow *f, const uint8_t *p, size_t n)
{
	struct ts_flow last = *f;
	size_t used = 0, step;

	do
		used += step = ts_handshake_input(&last.hs, p + used, n - used, false);
	while (step && last.hs.state < TS_HS_DONE);
	if (last.hs.state < TS_HS_DONE)
		return -ECONNABORTED;
	return last.hs.state == TS_HS_DONE ? 0 : -ts_drive_errno(&last);
}

/*
 * The flow is gone while this thread waited in recv, which said `n` or `err`: completed by a forked process, or disconnected, shut
 * down or closed by another thread. Its slot still says which, unless it is in use again.
 */
static int ended_elsewhere(int fd, const struct ts_waited *w, const uint8_t *peeked, ssize_t n, int err)
{
	struct ts_identity id;
	int result = 1;

	ts_lock(&ts_fdtab_lock);
	if (w->f->gen == w->gen && w->f->state == TS_FLOW_OVER && w->f->err)
		result = err && w->f->err == EPIPE ? -err : -w->f->err;	/* what connect(AF_UNSPEC) does to a call is the kernel's word */
	else if (w->f->gen == w->gen && w->f->state == TS_FLOW_HANDSHAKE && n > 0)
		result = ended_by_close(w->f, peeked, (size_t)n);
	ts_unlock(&ts_fdtab_lock);
	if (result <= 0)
		return result;
	if (ts_identity_read(fd, &id) == 1)
		return 0;
	return err == EINTR || err == EAGAIN ? -err : -ECONNRESET;
}

/*
 * Reads the proxy's answer with a blocking descriptor until it is decided. 0 connected, or failed and not `in_connect` (the next
 * call tells); else -errno: the connection's error, or -EINTR or -EAGAIN (time-out), with the flow left pending.
 */
static int wait_answer(int fd, const struct ts_waited *w, bool in_connect, int64_t deadline_ms)
{
	uint8_t peeked[64];
	struct ts_flow *f;
	int failed;

	for (;;) {
		ssize_t n = ts_real()->recv(fd, peeked, sizeof(peeked), MSG_PEEK);
		const struct ts_seen seen = { peeked, n };
		int err = n < 0 ? ts_errno : 0, pending = 1;

		f = ts_flow_lock(fd);
		/* Closed by another thread, the number may be another's connect by now, and that one's to read. */
		if (f && f->reader_tid != ts_lock_owner(&ts_fdtab_lock)) {
			ts_unlock(&ts_fdtab_lock);
			f = NULL;
		}
		if (!f)
			return ended_elsewhere(fd, w, peeked, n, err);
		if (err != EINTR && err != EAGAIN)
			pending = ts_drive_step(f, fd, in_connect ? TS_STEP_CONNECT : TS_STEP_WAIT,
						!err && n < (ssize_t)sizeof(peeked) ? &seen : NULL, &failed);
		/* recv gives up its time-out with what there is of the answer, not with EAGAIN. */
		if (pending && !err && deadline_ms != INT64_MAX && ts_now_ms() >= deadline_ms)
			err = EAGAIN;
		if (pending == 1 && err) {
			f->reader_tid = 0;
			ts_drive_arm(f, fd, peeked, 0);
		}
		ts_unlock(&ts_fdtab_lock);
		if (pending < 0)
			return ended_elsewhere(fd, w, peeked, n, err);
		if (!pending)
			return in_connect ? -failed : 0;
		if (err)
			return -err;
	}
}

int ts_tcp_wait_in_charge(int fd, const struct ts_waited *w, int option, bool in_connect)
{
	struct timeouts t;
	int err;

	timeouts_swap(fd, &t, option);
	err = wait_answer(fd, w, in_connect, timeouts_deadline(&t));
	timeouts_restore(fd, &t);
	return err;
}

static void keep(struct ts_waited *w, const struct ts_flow *f)
{
	w->f = f;
	w->gen = f->gen;
}

/* Puts the calling thread in charge of a flow in `state`. False where the flow is not there or elsewhere. */
static bool take_charge(int fd, unsigned state, struct ts_waited *w, struct ts_addr *proxy, int *family)
{
	struct ts_flow *f = ts_flow_lock(fd);
	bool ok = f && f->state == state;

	if (ok) {
		f->reader_tid = ts_lock_owner(&ts_fdtab_lock);
		if (state == TS_FLOW_HANDSHAKE)
			ts_drive_relax(f, fd);
		keep(w, f);
		*proxy = f->proxy;
		*family = f->family;
	}
	if (f)
		ts_unlock(&ts_fdtab_lock);
	return ok;
}

/*
 * Hands the kernel the connect to the proxy, then says the first words. 0, or -errno; -EINPROGRESS and -EINTR: it goes on by itself.
 * `stay`, where given: after 0 this thread remains in charge, to wait for the answer.
 */
int ts_tcp_reach_proxy(int fd, const struct ts_addr *proxy, int family, int flags, struct ts_waited *stay)
{
	struct sockaddr_storage sa;
	socklen_t len = ts_addr_to_sockaddr(proxy, family, &sa);
	bool begun = true;
	struct ts_flow *f;
	int err, failed;

	if (flags & MSG_DONTWAIT)
		err = ts_tcp_begin_connect(fd, &sa, len);
	else
		err = ts_real()->connect(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -ts_errno;
	if (err && err != -EINPROGRESS && err != -EINTR && err != -EALREADY)
		return err;
	if (!(f = ts_flow_lock(fd)))
		return -ECONNABORTED;	/* closed or shut down by another thread */
	/* Over loopback the connection stands already, though a non-blocking connect says EINPROGRESS. */
	if (err && (ts_sock_get_int(fd, IPPROTO_TCP, TCP_INFO) & 0xff) != TCP_ESTABLISHED)
		f->state = TS_FLOW_CONNECTING;
	else if (!(begun = ts_drive_begin(f, fd)))
		err = -ts_drive_errno(f);
	else
		err = 0;
	ts_handoff_store(f, fd);
	if (err || !stay)
		f->reader_tid = 0;
	else {
		ts_drive_relax(f, fd);
		keep(stay, f);
	}
	/* Reset before our first word, or that could not be sent: the socket must look so, and where it does not block, another call tells. */
	if (!begun && ts_drive_step(f, fd, stay ? TS_STEP_CONNECT : TS_STEP_WAIT, NULL, &failed) != 1 && !stay)
		err = 0;
	ts_unlock(&ts_fdtab_lock);
	return err;
}

/* How long the wait may be at most, in ms. -1: for ever. */
static int64_t time_limit(int fd, int option)
{
	struct timeval limit = { 0 };
	socklen_t len = sizeof(limit);

	ts_sys(SYS_getsockopt, fd, SOL_SOCKET, option, &limit, &len);
	return limit.tv_sec || limit.tv_usec ? (int64_t)limit.tv_sec * 1000 + (limit.tv_usec + 999) / 1000 : -1;
}

/* Another thread or process is in charge of the flow: waits beside it. */
static int wait_beside(int fd, int option)
{
	int64_t limit = time_limit(fd, option), deadline = ts_now_ms() + limit;
	int waker = ts_waker_open(), err = 0;
	bool forked = false;
	short wake;

	while (ts_tcp_check_wake(fd, &wake, &forked) == TS_TCP_PENDING) {
		struct pollfd p[2] = { { .fd = fd, .events = wake }, { .fd = ts_waker_fd(waker), .events = POLLIN } };
		int64_t left = limit < 0 ? INT64_MAX : deadline - ts_now_ms();

		if (left <= 0) {
			err = -EAGAIN;
			break;
		}
		if ((forked || waker < 0) && left > TS_UNWOKEN_MS)
			left = TS_UNWOKEN_MS;
		if (ts_real()->poll(p, 2, left > INT_MAX ? -1 : (int)left) < 0 && ts_errno == EINTR) {
			err = -EINTR;
			break;
		}
		if (waker >= 0)
			ts_waker_heard(&waker, p[1].revents);
	}
	ts_waker_close(waker);
	return err;
}

/* Another thread is in charge, or another process may be: recv would not notice that it ended the flow. */
static bool charge_taken(int fd)
{
	struct ts_flow *f = ts_flow_lock(fd);
	bool taken = f && (f->forked || ts_drive_has_driver(f));

	if (f)
		ts_unlock(&ts_fdtab_lock);
	return taken;
}

/*
 * Waits on a pending flow whose descriptor blocks; `option` as in ts_tcp_settle. 0 connected, nothing to wait for, or failed and not
 * `in_connect`; else as wait_answer.
 */
int ts_tcp_wait(int fd, int option, bool in_connect)
{
	struct ts_waited w;
	struct ts_addr proxy;
	int family, err;

	if (charge_taken(fd))
		return wait_beside(fd, option);
	if (take_charge(fd, TS_FLOW_CONNECTING, &w, &proxy, &family)) {
		err = ts_tcp_reach_proxy(fd, &proxy, family, 0, NULL);
		if (err == -EINPROGRESS || err == -EALREADY)
			return -EAGAIN;
		if (err && err != -EINTR) {
			ts_tcp_cancel(fd, -err);
			ts_warn("proxy %a: %e", &proxy, -err);
			return ts_tcp_meaning(err);
		}
		if (err)
			return err;
	}
	if (!take_charge(fd, TS_FLOW_HANDSHAKE, &w, &proxy, &family))
		return 0;
	return ts_tcp_wait_in_charge(fd, &w, option, in_connect);
}

int ts_tcp_settle(int fd, int flags, int option)
{
	if (ts_tcp_check(fd) != TS_TCP_PENDING)
		return 0;
	if (ts_sock_is_at_once(fd, flags))
		return -EAGAIN;
	return ts_tcp_wait(fd, option, false);
}

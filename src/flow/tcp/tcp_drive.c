/* SPDX-License-Identifier: MIT */
/*
 * Advancing and ending a flow.
 *
 * Bytes of the answer are peeked first and exactly the handshake's are consumed, so what the far side says first stays where it is.
 * Order at the end, all under the lock: make the socket what it shall be, put the epoll registrations back (the
 * kernel then reports by itself), forget the flow, wake those who poll. A registration put back before the socket is right would
 * report readiness that is followed by EAGAIN.
 */
#include "tcp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "tsproxy/clock.h"
#include "tsproxy/handoff.h"
#include "tsproxy/epreg.h"
#include "tsproxy/identity.h"
#include "tsproxy/log.h"
#include "tsproxy/remote.h"
#include "tsproxy/map.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"
#include "tsproxy/tcp.h"
#include "tsproxy/trace.h"
#include "../fd/waker.h"

static uint8_t answer[TS_HS_IN_MAX];	/* under ts_fdtab_lock */

/* 0 or -errno. */
static int set_lowat(struct ts_flow *f, int fd, int value)
{
	int err = f->lowat_now == value ? 0 : (int)ts_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));

	if (!err)
		f->lowat_now = value;
	return err;
}

void ts_drive_arm(struct ts_flow *f, int fd, const uint8_t *p, size_t have)
{
	set_lowat(f, fd, (int)ts_handshake_need(&f->hs, p, have));
}

void ts_drive_relax(struct ts_flow *f, int fd)
{
	set_lowat(f, fd, 1);
}

/* `err`: what a call of ours said, or what is not an error and not what was asked for. 0. */
static int decide_failed(struct ts_flow *f, long err)
{
	f->hs.state = TS_HS_FAILED;
	if (!f->hs.err)
		f->hs.err = err < 0 ? -ts_tcp_meaning((int)err) : ECONNREFUSED;
	return 0;
}

bool ts_drive_send(struct ts_flow *f, int fd)
{
	struct ts_route_message *m = ts_scratch_get(sizeof(*m));
	char host[TS_NAME_MAX + 1];
	bool has_host = f->hs.named && ts_remote_name(f->hs.target.ip, host);
	size_t n = m ? ts_route_say(m, &f->hs, &f->proxy, has_host ? host : NULL) : 0;
	/* The socket's buffer is empty and larger than any message: all or nothing. With TCP_FASTOPEN_CONNECT it may go in the SYN. */
	long sent = n ? ts_sys(SYS_sendto, fd, m->out, n, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0) : 0;

	ts_scratch_put(m, sizeof(*m));
	if (!m)
		return decide_failed(f, -ENOBUFS);
	if (n == 0)
		return f->hs.state != TS_HS_FAILED;
	return sent == (long)n || sent == -EINPROGRESS || decide_failed(f, sent);
}

bool ts_drive_begin(struct ts_flow *f, int fd)
{
	f->state = TS_FLOW_HANDSHAKE;
	for (int alias = ts_flow_first(f); alias >= 0; alias = ts_flow_next(alias))
		ts_epreg_tag(alias, EPOLLIN);
	return ts_drive_send(f, fd);
}

/* The proxy will say no more than what is unread: SO_RCVLOWAT does not hold back then, nor does recv wait. */
static bool stream_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	struct timespec now = { 0 };

	return ts_sys(SYS_ppoll, &p, 1, &now, NULL, 0) == 1;
}

/* Gives the handshake the peeked bytes, answer by answer, and sends what it says to each. Returns how many it used. */
static size_t digest(struct ts_flow *f, int fd, const uint8_t *p, size_t n, bool *sent)
{
	size_t used = 0, step;

	do {
		step = ts_handshake_input(&f->hs, p + used, n - used, n == 0);
		used += step;
		if (!step && !used && f->hs.state < TS_HS_DONE && stream_ended(fd))
			used = ts_handshake_input(&f->hs, p, n, true);
		*sent = ts_drive_send(f, fd);
	} while (*sent && step && used < n && f->hs.state < TS_HS_DONE);
	return used;
}

/*
 * Reads the proxy's answer. 1 pending, 0 decided (`f->hs.state`), without ending the flow. `seen`: what a thread that waits in recv has
 * peeked already; it waits there again, so nothing need be looked for beyond that.
 */
static int receive(struct ts_flow *f, int fd, bool blocking, const struct ts_seen *seen)
{
	size_t room = f->hs.kind == TS_PROXY_HTTP ? sizeof(answer) : 512;

	for (;; seen = NULL) {
		long n = seen ? seen->n : ts_sys(SYS_recvfrom, fd, answer, room, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
		const uint8_t *p = seen ? seen->p : answer;
		size_t used;
		long taken;
		bool sent;

		if (n == -EAGAIN || n == -EINTR) {
			if (!blocking)
				ts_drive_arm(f, fd, answer, 0);
			return 1;
		}
		if (n < 0)
			return decide_failed(f, n);
		used = digest(f, fd, p, (size_t)n, &sent);
		taken = used ? ts_sys(SYS_recvfrom, fd, answer, used, MSG_DONTWAIT, NULL, NULL) : 0;
		if (taken != (long)used)
			return decide_failed(f, taken);
		if (!sent || f->hs.state >= TS_HS_DONE)
			return 0;
		if (used && used == (size_t)n && seen)
			return 1;
		if (!used) {
			ts_drive_arm(f, fd, p, (size_t)n);
			return 1;
		}
	}
}

int ts_drive_errno(const struct ts_flow *f)
{
	if (!f->hs.code)
		return f->hs.err;
	return ts_socks5_code_errno(f->hs.code, (unsigned)(ts_now_ms() - f->start_ms), f->offline);
}

static void untag_aliases(const struct ts_flow *f)
{
	for (int fd = ts_flow_first(f); fd >= 0; fd = ts_flow_next(fd))
		ts_epreg_untag(fd);
}

/* 0, or a positive errno: the socket cannot be made what the program expects. */
static int finish_connected(struct ts_flow *f, int fd)
{
	struct ts_identity id = { .peer = f->hs.target, .local = f->hs.bnd,
				  .unreported = f->unreported, .v6only = f->v6only };

	int err;

	id.local_known = f->hs.bnd_known && f->hs.bnd.port != 0 && !ts_ip_is_local_scope(f->hs.bnd.ip);
	if (f->local_port || !id.local_known)
		id.local.port = f->local_port;
	err = set_lowat(f, fd, f->lowat);
	if (!err)
		err = ts_identity_write(fd, &id);
	if (err && err != -ENOPROTOOPT)
		return -err;
	if (err)
		ts_debug("fd %d: this kernel cannot store the addresses in the socket", fd);
	ts_debug("fd %d: connected to %a through %a", fd, &f->hs.target, &f->proxy);
	untag_aliases(f);
	for (int alias = ts_flow_first(f); alias >= 0; alias = ts_flow_next(alias)) {
		ts_epreg_forget(alias);
		ts_fd_set_flags(alias, 0, TS_FD_NEW | TS_FD_TRACKED);
	}
	f->state = TS_FLOW_OVER;
	if (ts_trace_on)
		ts_trace_connected(f, fd);
	return 0;
}

int ts_tcp_begin_connect(int fd, const struct sockaddr_storage *sa, socklen_t len)
{
	if (ts_sock_is_nonblocking(fd))
		return (int)ts_sys(SYS_connect, fd, sa, len);
	return (int)ts_sys(SYS_sendto, fd, NULL, 0, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, sa, len);
}

/*
 * Makes the failure real: the socket is led into a refused connection, so that the kernel itself reports what it would
 * report natively (IN|OUT|ERR|HUP|RDHUP, SO_ERROR once, ECONNREFUSED on read, EPIPE on write, and it can be connected again).
 * Port 0 cannot be listened on. shutdown(2) instead would raise no ERR and leave the proxy's bytes readable; but where connect is forbidden
 * it at least ends the connection. False: the kernel reports nothing.
 */
static bool refuse_really(int fd, int family, bool blocking)
{
	static const uint8_t loopback4[4] = { 127, 0, 0, 1 };
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	struct ts_addr nowhere;
	socklen_t len;

	if (ts_sys(SYS_connect, fd, &sa, sizeof(sa)) != 0) {
		ts_sys(SYS_shutdown, fd, SHUT_RDWR);
		return false;
	}
	ts_sock_get_int(fd, SOL_SOCKET, SO_ERROR);
	if (blocking)
		return true;	/* connect reports the error itself, and so does the kernel leave the socket then */
	ts_addr_set4(&nowhere, loopback4, 0);
	len = ts_addr_to_sockaddr(&nowhere, family, &sa);
	return ts_tcp_begin_connect(fd, &sa, len) == -EINPROGRESS;
}

/* `blocking`: connect itself reports the error, so the kernel must not keep it. */
static void finish_failed(struct ts_flow *f, int fd, int err, bool blocking)
{
	const struct ts_identity id = { .peer = f->hs.target, .local.port = f->local_port, .failed = err, .v6only = f->v6only };

	ts_info("fd %d: connect to %a through %a failed: %e (reply code %d)", fd, &f->hs.target, &f->proxy, err, f->hs.code);
	set_lowat(f, fd, f->lowat);
	f->unsaid = !refuse_really(fd, f->family, blocking);
	ts_identity_write(fd, &id);
	untag_aliases(f);
	if (ts_trace_on)
		ts_trace_failed(f, err);
	f->err = err;
	f->state = blocking || (err == ECONNREFUSED && !f->unsaid) ? TS_FLOW_OVER : TS_FLOW_FAILED;
}

/* A connect to the proxy that was itself in progress: 1 still is, 0 stands or failed (f->err). */
static int check_connecting(struct ts_flow *f, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct timespec now = { 0 };
	int err = 0;
	socklen_t len = sizeof(err);

	if (ts_sys(SYS_ppoll, &p, 1, &now, NULL, 0) != 1)
		return 1;
	ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err || p.revents & (POLLERR | POLLHUP)) {
		ts_route_proxy_failed(&f->proxy);
		decide_failed(f, 0);
	} else {
		ts_drive_begin(f, fd);
	}
	return 0;
}

bool ts_drive_has_driver(struct ts_flow *f)
{
	int tid = __atomic_load_n(&f->reader_tid, __ATOMIC_RELAXED), self = ts_lock_owner(&ts_fdtab_lock);

	if (tid && tid != self && ts_sys(SYS_tkill, tid, 0) != -ESRCH)
		return true;
	if (tid && f->state == TS_FLOW_STARTING && tid == self)
		return true;	/* a signal handler inside that very connect */
	if (tid && f->state == TS_FLOW_STARTING)
		f->state = TS_FLOW_CONNECTING;
	if (tid && tid != self)
		f->reader_tid = 0;	/* cancelled, or a thread of a process that is gone */
	return false;
}

/* With the flow's lock and the turn: advances the flow, and ends it for all processes where it is decided. As ts_drive_step. */
static int advance(struct ts_flow *f, int fd, enum ts_step how, const struct ts_seen *seen, int *err)
{
	if (f->state == TS_FLOW_CONNECTING && check_connecting(f, fd))
		return 1;
	if (f->hs.state < TS_HS_DONE && receive(f, fd, how != TS_STEP_CHECK, seen))
		return 1;
	f->reader_tid = 0;
	*err = f->hs.state == TS_HS_DONE ? finish_connected(f, fd) : ts_drive_errno(f);
	if (*err)
		finish_failed(f, fd, *err, how == TS_STEP_CONNECT);
	return 0;
}

static int take_turn(struct ts_flow *f, int fd, enum ts_step how, const struct ts_seen *seen, int *err)
{
	int pending;

	if (f->state == TS_FLOW_OVER || f->state == TS_FLOW_FAILED)
		return -1;
	if (how == TS_STEP_CHECK && ts_drive_has_driver(f))
		return 1;
	switch (ts_handoff_enter(f, fd)) {
	case TS_TURN_TAKEN:
		return 1;
	case TS_TURN_OVER:
		return -1;
	default:
		pending = advance(f, fd, how, seen, err);
		ts_handoff_leave(f, fd);
		return pending;
	}
}

int ts_drive_step(struct ts_flow *f, int fd, enum ts_step how, const struct ts_seen *seen, int *err)
{
	bool known;
	int pending;

	*err = 0;
	ts_lock_within(&f->lock, &ts_fdtab_lock);
	known = f->state == TS_FLOW_FAILED;
	pending = take_turn(f, fd, how, seen, err);
	ts_unlock_within(&f->lock);
	if (pending == 1)
		return 1;
	/* What another process ended is still to be put right in this one's sets. Its error is told by whoever asks first. */
	for (int alias = pending < 0 ? ts_flow_first(f) : -1; alias >= 0; alias = ts_flow_next(alias))
		ts_epreg_untag_left(alias);
	if (f->state == TS_FLOW_OVER || (f->handed_off && !ts_handoff_has_error(fd)))
		ts_flow_end(f);
	/* Whoever waits for one that had failed is told by the kernel; woken at each look, a thread in poll would wake itself for ever. */
	if (!known)
		ts_waker_wake();
	return pending;
}

int ts_drive(struct ts_flow *f, int fd)
{
	int err;

	return ts_drive_step(f, fd, TS_STEP_CHECK, NULL, &err) == 1;
}

/* Forgets a flow that failed with `err` before the proxy could answer; the kernel's registrations are the program's again. */
void ts_tcp_cancel(int fd, int err)
{
	struct ts_flow *f = ts_flow_lock(fd);

	if (!f)
		return;
	for (int alias = ts_flow_first(f); alias >= 0; alias = ts_flow_next(alias))
		ts_epreg_untag(alias);
	if (ts_trace_on)
		ts_trace_failed(f, err);
	ts_handoff_void(f, fd);
	ts_flow_end(f);
	ts_waker_wake();
	ts_unlock(&ts_fdtab_lock);
}

enum ts_tcp_status ts_tcp_check(int fd)
{
	short wake;
	bool forked = false;

	return ts_tcp_check_wake(fd, &wake, &forked);
}

enum ts_tcp_status ts_tcp_check_wake(int fd, short *wake, bool *forked)
{
	enum ts_tcp_status status = TS_TCP_NONE;
	struct ts_flow *f;

	if (!ts_fd_has_flow(fd) || ts_process() != TS_SELF || !(f = ts_flow_lock(fd)))
		return TS_TCP_NONE;
	if (ts_drive(f, fd)) {
		status = TS_TCP_PENDING;
		*wake = (short)ts_flow_wake_events(f);
		*forked |= f->forked;
	} else if (ts_flow_of(fd)) {
		status = TS_TCP_FAILED;
	}
	ts_unlock(&ts_fdtab_lock);
	return status;
}

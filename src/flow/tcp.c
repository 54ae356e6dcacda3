/* SPDX-License-Identifier: MIT */
/*
 * How a connect through a proxy begins, and how calls wait for it: see tcp.h.
 *
 * A blocking connect waits in recv(MSG_PEEK), not in poll(): poll always fails with EINTR, while recv is restarted under
 * SA_RESTART as a native connect is. The flow is registered as pending before anything waits, so that a
 * cancelled or interrupted connect leaves exactly what the kernel would leave: a connection under way.
 */
#include "tsproxy/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "tcp.h"
#include "tsproxy/epreg.h"
#include "tsproxy/identity.h"
#include "tsproxy/log.h"
#include "tsproxy/map.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"
#include "tsproxy/wait.h"

static int get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return ts_sys(SYS_getsockopt, fd, level, name, &value, &len) == 0 ? value : 0;
}

static void set_int(int fd, int level, int name, int value)
{
	ts_sys(SYS_setsockopt, fd, level, name, &value, sizeof(value));
}

static bool is_nonblocking(int fd)
{
	return ts_sys(SYS_fcntl, fd, F_GETFL, 0) & O_NONBLOCK;
}

static bool has_name(int fd, long call, struct ts_addr *out)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	return ts_sys(call, fd, &sa, &len) == 0 && ts_addr_from_sockaddr(out, (struct sockaddr *)&sa, len);
}

/*
 * The kernel's connect on a socket that is connected already: 0 once after a non-blocking success, then EISCONN. A blocking connect
 * that was interrupted owes that 0 too, and there only we know.
 */
static int connect_again(int fd, const struct ts_addr *to, int family)
{
	struct sockaddr_storage sa;
	socklen_t len = ts_addr_to_sockaddr(to, family, &sa);
	struct ts_identity id;
	int err = ts_real()->connect(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -ts_errno;

	if (err == -EISCONN && ts_identity_read(fd, &id) && id.unreported) {
		id.unreported = false;
		ts_identity_write(fd, &id);
		return 0;
	}
	return err;
}

/* Which proxies the socket can reach, and whether a native connect to `to` could leave it at all. */
static int choose_proxy(int fd, const struct ts_addr *to, int family, struct ts_proxy *out, bool *v6only)
{
	*v6only = family == AF_INET6 && get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (*v6only && ts_addr_is4(to))
		return -ENETUNREACH;
	if (!*v6only)
		return ts_route_proxy(family == AF_INET, false, out) ? 0 : -EHOSTUNREACH;
	if (ts_route_proxy(false, true, out))
		return 0;
	if (!ts_route_proxy(false, false, out))
		return -EHOSTUNREACH;
	/* The socket shall reach 127.0.0.1 as ::ffff:127.0.0.1; impossible once it is bound. */
	set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	return get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) ? -ENETUNREACH : 0;
}

static void found_alias(int fd, void *flow)
{
	if (!(ts_fd_get_flags(fd) & TS_FD_FLOW))
		ts_flow_add_alias(flow, fd);
}

/* Registers the flow and turns the descriptor's epoll registrations into tags. Lock held. Null: no room. */
static struct ts_flow *flow_begin(int fd, const struct ts_addr *to, int family, const struct ts_decision *d,
				  const struct ts_proxy *proxy, bool bound, bool v6only)
{
	struct ts_flow *f = ts_flow_new(fd);
	unsigned flags = ts_fd_get_flags(fd);

	if (!f)
		return NULL;
	f->state = TS_FLOW_STARTING;
	f->reader_tid = ts_lock_owner(&ts_fdtab_lock);
	f->family = family;
	f->proxy = proxy->addr;
	f->offline = d->offline;
	f->bound = bound;
	f->lowat = f->lowat_now = flags & TS_FD_NEW && !(flags & TS_FD_OPTIONS) ? 1 : get_int(fd, SOL_SOCKET, SO_RCVLOWAT);
	ts_handshake_init(&f->hs, proxy->kind, proxy->flags & TS_PROXY_PIPELINE, proxy->auth, to);
	f->v6only = v6only;
	if (!(flags & TS_FD_TRACKED))
		ts_epreg_discover(fd, found_alias, f);
	for (int alias = ts_flow_first(f); alias >= 0; alias = ts_flow_next(alias)) {
		ts_fd_set_flags(alias, TS_FD_TRACKED, TS_FD_NEW);
		ts_epreg_tag(alias, EPOLLOUT);
	}
	return f;
}

static struct ts_flow *lock_flow(int fd)
{
	struct ts_flow *f;

	ts_lock(&ts_fdtab_lock);
	f = ts_flow_of(fd);
	if (!f)
		ts_unlock(&ts_fdtab_lock);
	return f;
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

	if (ts_process() != TS_SELF || !(f = lock_flow(fd)))
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

int ts_tcp_error(int fd, int err)
{
	struct ts_flow *f;

	if (err != ECONNREFUSED || ts_process() != TS_SELF || !(f = lock_flow(fd)))
		return err;
	if (f->state == TS_FLOW_FAILED) {
		err = f->err;
		ts_flow_end(f);
	}
	ts_unlock(&ts_fdtab_lock);
	return err;
}

/* --- waiting --- */

#define NO_TIMEOUT 0	/* the descriptor is known to have none */

struct timeouts {
	struct timeval own, now;
	bool changed;
};

/* The wait in recv must obey what rules a connect, SO_SNDTIMEO, and not SO_RCVTIMEO: socket(7). */
static void timeouts_swap(int fd, struct timeouts *t, int option)
{
	socklen_t len = sizeof(t->own);

	memset(t, 0, sizeof(*t));
	if (option == NO_TIMEOUT)
		return;
	ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &t->own, &len);
	t->now = t->own;
	if (option == SO_SNDTIMEO)
		ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &t->now, &len);
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

/* Ends a decided flow from a thread that waited for it: `in_connect`, which reports a failure itself. Lock held. */
static int finish_waited(struct ts_flow *f, int fd, bool in_connect)
{
	int err;

	if (f->hs.state == TS_HS_DONE)
		return ts_drive_finish_connected(f, fd);
	err = ts_drive_finish_failed(f, fd, ts_drive_errno(f), in_connect);
	return in_connect ? -err : 0;
}

/* The flow is gone while this thread waited: completed by a forked process, or shut down or closed by another thread. */
static int ended_elsewhere(int fd, int err)
{
	struct ts_identity id;

	if (ts_identity_read(fd, &id))
		return 0;
	return err == EINTR || err == EAGAIN ? -err : -ECONNRESET;	/* what tcp_disconnect leaves */
}

/*
 * Reads the proxy's answer with a blocking descriptor until it is decided. 0 connected, or failed and not `in_connect` (the next
 * call tells); else -errno: the connection's error, or -EINTR or -EAGAIN (time-out), with the flow left pending.
 */
static int wait_answer(int fd, bool in_connect, int64_t deadline_ms)
{
	uint8_t peeked[64];
	struct ts_flow *f;
	int result;

	for (;;) {
		ssize_t n = ts_real()->recv(fd, peeked, sizeof(peeked), MSG_PEEK);
		int err = n < 0 ? ts_errno : 0, pending = 1;

		f = lock_flow(fd);
		/* Closed by another thread, the number may be another's connect by now, and that one's to read. */
		if (f && f->reader_tid != ts_lock_owner(&ts_fdtab_lock)) {
			ts_unlock(&ts_fdtab_lock);
			f = NULL;
		}
		if (!f)
			return ended_elsewhere(fd, err);
		if (err != EINTR && err != EAGAIN) {
			ts_lock_within(&f->lock, &ts_fdtab_lock);
			pending = ts_drive_receive(f, fd, true);
			ts_unlock_within(&f->lock);
		}
		/* recv gives up its time-out with what there is of the answer, not with EAGAIN. */
		if (pending && !err && ts_now_ms() >= deadline_ms)
			err = EAGAIN;
		if (!pending || err) {
			f->reader_tid = 0;
			if (pending)
				ts_drive_arm(f, fd, peeked, 0);
			result = pending ? -err : finish_waited(f, fd, in_connect);
			ts_unlock(&ts_fdtab_lock);
			return result;
		}
		ts_unlock(&ts_fdtab_lock);
	}
}

static int wait_in_charge(int fd, int option, bool in_connect)
{
	struct timeouts t;
	int err;

	timeouts_swap(fd, &t, option);
	err = wait_answer(fd, in_connect, timeouts_deadline(&t));
	timeouts_restore(fd, &t);
	return err;
}

/* Forgets a flow whose connect to the proxy failed; the kernel's registrations are the program's again. */
static void cancel(int fd)
{
	struct ts_flow *f = lock_flow(fd);

	if (!f)
		return;
	for (int alias = ts_flow_first(f); alias >= 0; alias = ts_flow_next(alias))
		ts_epreg_untag(alias);
	ts_flow_end(f);
	ts_wait_wake();
	ts_unlock(&ts_fdtab_lock);
}

/* The proxy did not answer at all: for the program, nobody listens there. */
static int proxy_errno(int err, const struct ts_addr *proxy)
{
	ts_warn("proxy %a: %e", proxy, -err);
	return err == -ECONNRESET || err == -EPIPE ? -ECONNREFUSED : err;
}

/* Puts the calling thread in charge of a flow in `state`. False where the flow is not there or elsewhere. */
static bool take_charge(int fd, unsigned state, struct ts_addr *proxy, int *family)
{
	struct ts_flow *f = lock_flow(fd);
	bool ok = f && f->state == state;

	if (ok) {
		f->reader_tid = ts_lock_owner(&ts_fdtab_lock);
		*proxy = f->proxy;
		*family = f->family;
	}
	if (f)
		ts_unlock(&ts_fdtab_lock);
	return ok;
}

/*
 * Hands the kernel the connect to the proxy, then says the first words. 0, or -errno; -EINPROGRESS and -EINTR: it goes on by itself.
 * `stay`: after 0 this thread remains in charge, to wait for the answer.
 */
static int reach_proxy(int fd, const struct ts_addr *proxy, int family, bool stay)
{
	struct sockaddr_storage sa;
	socklen_t len = ts_addr_to_sockaddr(proxy, family, &sa);
	int err = ts_real()->connect(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -ts_errno;
	struct ts_flow *f;

	if (err && err != -EINPROGRESS && err != -EINTR && err != -EALREADY)
		return err;
	if (!(f = lock_flow(fd)))
		return -ECONNABORTED;	/* closed or shut down by another thread */
	/* Over loopback the connection stands already, though a non-blocking connect says EINPROGRESS. */
	if (err && (get_int(fd, IPPROTO_TCP, TCP_INFO) & 0xff) != TCP_ESTABLISHED)
		f->state = TS_FLOW_CONNECTING;
	else
		err = ts_drive_begin(f, fd) ? 0 : -ECONNREFUSED;
	if (err || !stay)
		f->reader_tid = 0;
	ts_unlock(&ts_fdtab_lock);
	return err;
}

/* Another thread is in charge of the flow: waits beside it. */
static int wait_beside(int fd, int option)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct timeval limit = { 0 };
	socklen_t len = sizeof(limit);
	struct timespec t;
	int r;

	ts_sys(SYS_getsockopt, fd, SOL_SOCKET, option, &limit, &len);
	t.tv_sec = limit.tv_sec;
	t.tv_nsec = limit.tv_usec * 1000;
	r = ts_wait_poll(&p, 1, limit.tv_sec || limit.tv_usec ? &t : NULL, NULL);
	return r < 0 ? -EINTR : r == 0 ? -EAGAIN : 0;
}

static bool charge_taken(int fd)
{
	struct ts_flow *f = lock_flow(fd);
	bool taken = f && ts_drive_has_driver(f);

	if (f)
		ts_unlock(&ts_fdtab_lock);
	return taken;
}

/*
 * Waits on a pending flow whose descriptor blocks; `option` as in ts_tcp_settle. 0 connected, nothing to wait for, or failed and not
 * `in_connect`; else as wait_answer.
 */
static int wait_decided(int fd, int option, bool in_connect)
{
	struct ts_addr proxy;
	int family, err;

	if (charge_taken(fd))
		return wait_beside(fd, option);
	if (take_charge(fd, TS_FLOW_CONNECTING, &proxy, &family)) {
		err = reach_proxy(fd, &proxy, family, false);
		if (err == -EINPROGRESS || err == -EALREADY)
			return -EAGAIN;
		if (err && err != -EINTR) {
			cancel(fd);
			return proxy_errno(err, &proxy);
		}
		if (err)
			return err;
	}
	if (!take_charge(fd, TS_FLOW_HANDSHAKE, &proxy, &family))
		return 0;
	return wait_in_charge(fd, option, in_connect);
}

int ts_tcp_settle(int fd, int flags, int option)
{
	if (ts_tcp_check(fd) != TS_TCP_PENDING)
		return 0;
	if (flags & MSG_DONTWAIT || is_nonblocking(fd))
		return -EAGAIN;
	return wait_decided(fd, option, false);
}

/* --- connecting --- */

/* A second connect on a socket with a flow. */
static int connect_pending(int fd, const struct ts_addr *proxy, int family)
{
	int err;

	switch (ts_tcp_check(fd)) {
	case TS_TCP_PENDING:
		if (is_nonblocking(fd))
			return -EALREADY;
		err = wait_decided(fd, SO_SNDTIMEO, true);
		if (err == -EAGAIN)
			return -EALREADY;
		if (!err)
			err = connect_again(fd, proxy, family);
		return err == -EISCONN ? 0 : err;
	case TS_TCP_FAILED:
		err = connect_again(fd, proxy, family);
		return err ? -ts_tcp_error(fd, -err) : 0;
	default:
		return connect_again(fd, proxy, family);
	}
}

/* A local proxy without pipelining answers the greeting in well under a millisecond: worth waiting for, so that the request is out. */
static void await_greeting(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec brief = { .tv_nsec = 3000000 };
	uint64_t all = ~0ull;

	ts_sys(SYS_ppoll, &p, 1, &brief, &all, sizeof(all));
}

/* Notes that a blocking connect returned before it was decided: its success is still to be told. */
static int interrupted(int fd, int err)
{
	struct ts_flow *f = lock_flow(fd);

	if (f) {
		f->unreported = f->state == TS_FLOW_HANDSHAKE;
		ts_unlock(&ts_fdtab_lock);
	}
	return err == -EAGAIN ? -EINPROGRESS : err;
}

static int connect_new(int fd, const struct ts_addr *to, int family, const struct ts_decision *d,
		       const struct ts_proxy *proxy, bool v6only)
{
	bool nonblocking = is_nonblocking(fd), bound;
	bool options = (ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_OPTIONS)) != TS_FD_NEW;
	struct ts_identity last = { .failed = false };
	struct ts_addr local;
	struct ts_flow *f;
	int err;

	/* A socket that may use one device only reaches no tailnet, whose device that is not; nor may its bytes for the proxy go there. */
	if (options && !ts_ip_is_loopback(to->ip) && get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX))
		return -ENETUNREACH;
	if (!(ts_fd_get_flags(fd) & TS_FD_NEW) && ts_identity_read_failed(fd, &last))
		bound = last.bound;	/* the kernel's local address is what the failed connection left */
	else
		bound = has_name(fd, SYS_getsockname, &local) && local.port != 0;
	if (bound && !last.failed && ts_ip_is_loopback(local.ip) && !ts_ip_is_loopback(to->ip))
		return -EINVAL;	/* as the kernel's routing says of a loopback source, ip_route_output_key */
	ts_lock(&ts_fdtab_lock);
	f = flow_begin(fd, to, family, d, proxy, bound, v6only);
	ts_unlock(&ts_fdtab_lock);
	if (!f)
		return -EAGAIN;
	ts_debug("fd %d: connecting to %a through %a", fd, to, &proxy->addr);
	err = reach_proxy(fd, &proxy->addr, family, !nonblocking);
	if (err == -EINPROGRESS || err == -EINTR)
		return err;
	if (err) {
		cancel(fd);
		return proxy_errno(err, &proxy->addr);
	}
	if (nonblocking) {
		if (!(proxy->flags & TS_PROXY_PIPELINE) && proxy->kind == TS_PROXY_SOCKS5)
			await_greeting(fd);
		ts_tcp_check(fd);
		return -EINPROGRESS;
	}
	err = wait_in_charge(fd, options ? SO_SNDTIMEO : NO_TIMEOUT, true);
	return err == -EAGAIN || err == -EINTR ? interrupted(fd, err) : err;
}

int ts_tcp_connect(int fd, const struct ts_addr *to, int family, const struct ts_decision *d)
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	struct ts_proxy proxy = { .flags = 0 };
	struct ts_addr peer;
	bool v6only = false;
	int err;

	/* Where there is no proxy, an address for a kernel that is only asked about the socket's state: nothing listens on port 0. */
	ts_addr_set4(&proxy.addr, loopback, 0);
	err = d->verdict == TS_DENY ? -d->err : choose_proxy(fd, to, family, &proxy, &v6only);
	if (ts_fd_has_flow(fd) && ts_tcp_check(fd) != TS_TCP_NONE)
		return connect_pending(fd, &proxy.addr, family);
	if (!(ts_fd_get_flags(fd) & TS_FD_NEW) && has_name(fd, SYS_getpeername, &peer))
		return connect_again(fd, &proxy.addr, family);
	return err ? err : connect_new(fd, to, family, d, &proxy, v6only);
}

/* --- what else the program may do to a socket of ours --- */

int ts_tcp_abort(int fd)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct ts_flow *f;

	if (ts_tcp_check(fd) != TS_TCP_PENDING || !(f = lock_flow(fd)))
		return 0;
	set_int(fd, SOL_SOCKET, SO_RCVLOWAT, f->lowat);
	ts_sys(SYS_connect, fd, &unspec, sizeof(unspec));
	ts_unlock(&ts_fdtab_lock);
	cancel(fd);
	return 1;
}

bool ts_tcp_target(int fd, struct ts_addr *out)
{
	struct ts_flow *f;

	if (ts_process() != TS_SELF || !(f = lock_flow(fd)))
		return false;
	*out = f->hs.target;
	ts_unlock(&ts_fdtab_lock);
	return true;
}

bool ts_tcp_v6only(int fd)
{
	struct ts_flow *f;
	bool v6only;

	if (ts_process() != TS_SELF || !(f = lock_flow(fd)))
		return false;
	v6only = f->v6only;
	ts_unlock(&ts_fdtab_lock);
	return v6only;
}

bool ts_tcp_set_lowat(int fd, int value)
{
	struct ts_flow *f;

	if (ts_tcp_check(fd) != TS_TCP_PENDING || !(f = lock_flow(fd)))
		return false;
	f->lowat = value < 0 ? 0x7fffffff : value ? value : 1;	/* as sock_setsockopt does */
	ts_unlock(&ts_fdtab_lock);
	return true;
}

bool ts_tcp_get_lowat(int fd, int *value)
{
	struct ts_flow *f;

	if (ts_tcp_check(fd) != TS_TCP_PENDING || !(f = lock_flow(fd)))
		return false;
	*value = f->lowat;
	ts_unlock(&ts_fdtab_lock);
	return true;
}

void ts_tcp_forking(void)
{
	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	for (int fd = 0; fd <= ts_fd_highest(); fd++) {
		struct ts_flow *f = ts_flow_of(fd);

		if (f)
			f->forked = true;
	}
	ts_unlock(&ts_fdtab_lock);
}

void ts_tcp_fd_closing(int fd)
{
	if (!(ts_fd_get_flags(fd) & (TS_FD_FLOW | TS_FD_WAKER)) && !ts_epreg_any(fd)) {
		ts_fd_set_flags(fd, 0, 0xff);
		return;
	}
	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	if (ts_flow_of(fd))
		ts_flow_drop_alias(fd);
	if (ts_fd_get_flags(fd) & TS_FD_WAKER)
		ts_wait_forget_waker(fd);
	ts_epreg_forget(fd);
	ts_fd_set_flags(fd, 0, 0xff);
	ts_unlock(&ts_fdtab_lock);
}

void ts_tcp_fd_duplicated(int from, int to)
{
	struct ts_flow *f;

	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	f = ts_flow_of(from);
	if (f) {
		ts_flow_add_alias(f, to);
		ts_fd_set_flags(to, TS_FD_TRACKED, 0);
	} else {
		/* Two numbers for one socket that is not connecting: whoever connects must ask the kernel where it is registered. */
		ts_epreg_forget(from);
		ts_fd_set_flags(from, 0, TS_FD_NEW | TS_FD_TRACKED);
		ts_fd_set_flags(to, ts_fd_get_flags(from) & TS_FD_OPTIONS, 0);
	}
	ts_unlock(&ts_fdtab_lock);
}

int ts_tcp_epoll_ctl(int epfd, int op, int fd, const struct epoll_event *ev)
{
	struct ts_flow *f;
	int r = 1;

	if (ts_process() != TS_SELF)
		return 1;
	ts_lock(&ts_fdtab_lock);
	f = ts_flow_of(fd);
	if (f && f->state != TS_FLOW_FAILED && ts_drive(f, fd))
		r = ts_epreg_ctl_pending(epfd, op, fd, ev, ts_flow_wake_events(f));
	else if (ts_fd_get_flags(fd) & TS_FD_TRACKED)
		r = ts_epreg_ctl_tracked(epfd, op, fd, ev);
	ts_unlock(&ts_fdtab_lock);
	return r;
}

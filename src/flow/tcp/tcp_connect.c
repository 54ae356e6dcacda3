/* SPDX-License-Identifier: MIT */
/*
 * How a connect through a proxy begins: see tcp.h. The flow is registered as pending before anything waits, so that a
 * cancelled or interrupted connect leaves exactly what the kernel would leave: a connection under way.
 */
#include "tsproxy/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>

#include "../fd/sigio.h"
#include "tcp_internal.h"
#include "tsproxy/bound.h"
#include "tsproxy/clock.h"
#include "tsproxy/handoff.h"
#include "tsproxy/epreg.h"
#include "tsproxy/epwatch.h"
#include "tsproxy/identity.h"
#include "tsproxy/log.h"
#include "tsproxy/map.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"
#include "tsproxy/trace.h"

#define PROXIES_TRIED 8

/*
 * What the kernel answers to a connect on a socket that is, or was, connected already: 0 once after a non-blocking success, then EISCONN,
 * even when both sides have ended it; the error of one that failed. It is asked with an address too short to be gone to, which
 * is EINVAL on a socket that may be connected, and changes nothing there. A blocking connect that was interrupted owes that 0 too, and
 * there only we know.
 */
static int connect_again(int fd)
{
	const struct sockaddr sa = { .sa_family = AF_INET };
	struct ts_identity id;
	int err = ts_real()->connect(fd, &sa, sizeof(sa.sa_family)) == 0 ? 0 : -ts_errno;

	if (err == -EISCONN && ts_identity_read(fd, &id) == 1 && id.unreported) {
		id.unreported = false;
		ts_identity_write(fd, &id);
		return 0;
	}
	return err;
}

/* Which proxies the socket can reach, and whether a native connect to `to` could leave it at all. */
static int choose_proxy(int fd, const struct ts_addr *to, int family, struct ts_proxy *out, bool *v6only)
{
	*v6only = family == AF_INET6 && ts_sock_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (*v6only && ts_addr_is4(to))
		return -ENETUNREACH;
	if (!*v6only)
		return ts_route_proxy(family == AF_INET, false, out) ? 0 : -EHOSTUNREACH;
	if (ts_route_proxy(false, true, out))
		return 0;
	if (!ts_route_proxy(false, false, out))
		return -EHOSTUNREACH;
	/* The socket shall reach 127.0.0.1 as ::ffff:127.0.0.1. */
	return ts_bound_open(fd) ? 0 : -ENETUNREACH;
}

/* Undoes flow_begin. Lock held. -ENOBUFS: what it takes, this process or machine lacks. */
static int flow_give_up(struct ts_flow *f)
{
	for (int alias = ts_flow_first(f); alias >= 0; alias = ts_flow_next(alias))
		ts_epreg_untag(alias);
	ts_flow_end(f);
	return -ENOBUFS;
}

/* Registers the flow and turns the descriptor's epoll registrations into tags. Lock held. 0 or -errno. */
static int flow_begin(int fd, const struct ts_addr *to, int family, const struct ts_decision *d,
		      const struct ts_proxy *proxy, uint16_t local_port, bool v6only)
{
	unsigned flags = ts_fd_get_flags(fd);
	struct ts_flow *f = ts_flow_new(fd);
	struct epoll_event ev;
	int epfd, err;

	if (!f)
		return -ENOBUFS;
	f->state = TS_FLOW_STARTING;
	f->reader_tid = ts_lock_owner(&ts_fdtab_lock);
	f->family = family;
	f->start_us = ts_trace_on ? ts_now_us() : 0;
	f->proxy = proxy->addr;
	f->offline = d->offline;
	f->local_port = local_port;
	/* One that was not made here may be in others' hands. */
	f->handed_off = !(flags & TS_FD_NEW);
	f->forked = flags & TS_FD_SUSPECT;
	f->lowat = f->lowat_now = flags & TS_FD_NEW && !(flags & TS_FD_OPTIONS) ? 1 : ts_sock_get_int(fd, SOL_SOCKET, SO_RCVLOWAT);
	ts_handshake_init(&f->hs, proxy->kind, proxy->flags & TS_PROXY_PIPELINE, proxy->auth, to);
	f->hs.named = d->remote;
	f->v6only = v6only;
	err = flags & TS_FD_TRACKED ? 0 : ts_epreg_discover(fd, ts_flow_found_alias, f);
	if (err == -EMFILE || err == -ENFILE || err == -ENOMEM)
		return flow_give_up(f);
	while (ts_epwatch_take(fd, &epfd, &ev))
		if (ts_epreg_adopt(epfd, fd, &ev)) {
			ts_epwatch_note(epfd, EPOLL_CTL_ADD, fd, &ev);
			return flow_give_up(f);
		}
	for (int alias = ts_flow_first(f); alias >= 0; alias = ts_flow_next(alias)) {
		ts_fd_set_flags(alias, TS_FD_TRACKED | (flags & TS_FD_NEW ? 0 : TS_FD_KEYED), TS_FD_NEW | TS_FD_IDLE);
		if (ts_epreg_tag(alias, EPOLLOUT))
			return flow_give_up(f);
	}
	ts_handoff_store(f, fd);
	return 0;
}

/* A second connect on a socket with a flow. */
static int connect_pending(int fd, int flags)
{
	int err;

	switch (ts_tcp_check(fd)) {
	case TS_TCP_PENDING:
		if (ts_sock_is_at_once(fd, flags))
			return -EALREADY;
		err = ts_tcp_wait(fd, SO_SNDTIMEO, true);
		if (err == -EAGAIN)
			return -EALREADY;
		if (!err)
			err = connect_again(fd);
		/* Another thread was told of the failure. */
		return err == -EISCONN ? 0 : err == -EINVAL ? -ECONNABORTED : err;
	case TS_TCP_FAILED:
		err = connect_again(fd);
		return -ts_tcp_error(fd, err == -EINVAL ? 0 : -err);	/* EINVAL: the kernel was not told of a failure */
	default:
		return connect_again(fd);
	}
}

/* A local proxy without pipelining answers the greeting in well under a millisecond: worth waiting for, so that the request is out. */
static void await_greeting(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec brief = { .tv_nsec = 3000000 };
	uint64_t blocked = TS_SIGNALS_BLOCKED;

	ts_sys(SYS_ppoll, &p, 1, &brief, &blocked, sizeof(blocked));
}

/* Notes that a blocking connect returned before it was decided: its success is still to be told. */
static int interrupted(int fd, int err)
{
	struct ts_flow *f = ts_flow_lock(fd);

	if (f) {
		f->unreported = f->state == TS_FLOW_HANDSHAKE;
		ts_unlock(&ts_fdtab_lock);
	}
	return err == -EAGAIN ? -EINPROGRESS : err;
}

/* Whether the proxy refused a connect that does not block, and there is another: nobody has learnt of it then, nor does. */
static bool refused_at_once(int fd, int family, const struct ts_addr *proxy)
{
	struct ts_proxy other;
	struct ts_flow *f;
	bool refused;

	if ((ts_sock_get_int(fd, IPPROTO_TCP, TCP_INFO) & 0xff) != TCP_CLOSE)
		return false;
	ts_route_proxy_failed(proxy);
	if (!ts_route_proxy_left(family == AF_INET, false, &other) || !(f = ts_flow_lock(fd)))
		return false;
	refused = f->state == TS_FLOW_CONNECTING;
	if (refused) {
		f->state = TS_FLOW_STARTING;
		f->reader_tid = ts_lock_owner(&ts_fdtab_lock);
		ts_sock_get_int(fd, SOL_SOCKET, SO_ERROR);
	}
	ts_unlock(&ts_fdtab_lock);
	return refused;
}

/* What the program chose: the local port, or 0, and IPV6_V6ONLY. False: it is bound where no way leads to the tailnet. */
static bool read_chosen(int fd, const struct ts_addr *to, uint16_t *port, bool *v6only)
{
	struct ts_identity id;
	struct ts_addr local;
	bool noted = ts_identity_read_any(fd, &id) == 1 && (id.failed || !id.peer.port);

	*v6only |= noted && id.v6only;
	*port = noted ? id.local.port : 0;
	/* The kernel's local address is what a failed connection left. */
	if (*port || (noted && id.failed) || !ts_sock_name(fd, SYS_getsockname, &local))
		return true;
	*port = local.port;
	return noted || !*port || !ts_ip_is_loopback(local.ip) || ts_ip_is_loopback(to->ip);
}

/* Whether another thread has begun a connect since the caller saw that there was none. Lock held. */
static bool begun_meanwhile(int fd)
{
	int state;

	if (ts_flow_of(fd))
		return true;
	state = ts_fd_get_flags(fd) & TS_FD_NEW ? 0 : ts_sock_get_int(fd, IPPROTO_TCP, TCP_INFO) & 0xff;
	return state && state != TCP_CLOSE;
}

/* Whether a connect to the proxy failed because that takes none, or none by this way; not because this process or machine lacks something. */
static bool is_the_proxys(int err)
{
	switch (-err) {
	case EAGAIN:
	case EALREADY:
	case EBADF:
	case ECONNABORTED:
	case EISCONN:
	case ENOBUFS:
	case ENOMEM:
	case ENOTSOCK:
		return false;
	default:
		return true;
	}
}

/* `*gone`: it failed because the proxy takes no connections, and the socket is as it was. */
static int connect_new(int fd, const struct ts_addr *to, int family, const struct ts_decision *d,
		       const struct ts_proxy *proxy, bool v6only, int flags, bool *gone)
{
	long file_flags = ts_sys(SYS_fcntl, fd, F_GETFL, 0);
	bool nonblocking = file_flags & O_NONBLOCK || flags & MSG_DONTWAIT;
	bool options = (ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_OPTIONS)) != TS_FD_NEW, begun;
	uint16_t local_port = 0;
	struct ts_waited w;
	struct ts_sigio sigio;
	int err;

	if (file_flags < 0)
		return (int)file_flags;
	/* A vfork child may not keep what is known of a connect under way in its parent's memory. */
	if (nonblocking && ts_process() != TS_SELF)
		return -EHOSTUNREACH;
	/* A socket that may use one device only reaches no tailnet, whose device that is not; nor may its bytes for the proxy go there. */
	if (options && !ts_ip_is_loopback(to->ip) && ts_sock_get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX))
		return -ENETUNREACH;
	if (options && !read_chosen(fd, to, &local_port, &v6only))
		return -EINVAL;	/* as the kernel's routing says of a loopback source, ip_route_output_key */
	ts_lock(&ts_fdtab_lock);
	begun = begun_meanwhile(fd);
	err = begun ? 0 : flow_begin(fd, to, family, d, proxy, local_port, v6only);
	ts_unlock(&ts_fdtab_lock);
	if (begun || err)
		return begun ? connect_pending(fd, flags) : err;
	ts_debug("fd %d: connecting to %a through %a", fd, to, &proxy->addr);
	ts_sigio_hold(fd, nonblocking ? file_flags : 0, &sigio);
	err = ts_tcp_reach_proxy(fd, &proxy->addr, family, flags, nonblocking ? NULL : &w);
	if (!err && nonblocking) {
		if (sigio.held || (!(proxy->flags & TS_PROXY_PIPELINE) && proxy->kind == TS_PROXY_SOCKS5))
			await_greeting(fd);
		ts_sigio_release(fd, &sigio, ts_tcp_check(fd) != TS_TCP_PENDING);
		return -EINPROGRESS;
	}
	ts_sigio_release(fd, &sigio, false);
	if (err == -EINPROGRESS && refused_at_once(fd, family, &proxy->addr))
		err = -ECONNREFUSED;
	if (err == -EINPROGRESS || err == -EINTR)
		return err;
	if (err) {
		*gone = is_the_proxys(err);
		ts_tcp_cancel(fd, -err);
		ts_warn("proxy %a: %e", &proxy->addr, -err);
		return ts_tcp_meaning(err);
	}
	err = ts_tcp_wait_in_charge(fd, &w, options ? SO_SNDTIMEO : TS_NO_TIMEOUT, true);
	return err == -EAGAIN || err == -EINTR ? interrupted(fd, err) : err;
}

/*
 * Where the proxy is gone and there is another, that one carries this very connection. Where another connection has the way from the
 * socket's local port to the proxy, which natively leads elsewhere, another socket does.
 */
static int connect_by_any(int fd, const struct ts_addr *to, int family, const struct ts_decision *d, struct ts_proxy *proxy,
			  bool v6only, int flags)
{
	const struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	bool renewable = ts_fd_get_flags(fd) & TS_FD_NEW, gone, again;
	struct ts_proxy left;
	int err;

	for (int i = 0;; i++) {
		gone = false;
		err = connect_new(fd, to, family, d, proxy, v6only, flags, &gone);
		if (gone && err == -EADDRNOTAVAIL && renewable && ts_renew(fd)) {
			renewable = false;
			continue;
		}
		if (!gone || i == PROXIES_TRIED || err == -EADDRNOTAVAIL)
			return err;
		ts_route_proxy_failed(&proxy->addr);
		/* IPV6_V6ONLY has been cleared where it stood in the way. */
		if (!ts_route_proxy_left(family == AF_INET, false, &left) || choose_proxy(fd, to, family, proxy, &again) != 0)
			return err;
		ts_sys(SYS_connect, fd, &unspec, sizeof(unspec));	/* else it keeps the local address that it got */
	}
}

int ts_tcp_connect(int fd, const struct ts_addr *to, int family, const struct ts_decision *d, int flags)
{
	struct ts_proxy proxy = { .flags = 0 };
	bool v6only = false;
	int err, again;

	err = d->verdict == TS_DENY ? -d->err : choose_proxy(fd, to, family, &proxy, &v6only);
	if (ts_fd_has_flow(fd) && ts_tcp_check(fd) != TS_TCP_NONE)
		return connect_pending(fd, flags);
	if (!(ts_fd_get_flags(fd) & TS_FD_NEW) && (again = connect_again(fd)) != -EINVAL)
		return again;
	if (err && ts_trace_on)
		ts_trace_denied(to, -err);
	return err ? err : connect_by_any(fd, to, family, d, &proxy, v6only, flags);
}

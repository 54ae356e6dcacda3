/* SPDX-License-Identifier: MIT */
/*
 * Making associations, and making them anew: which proxy a socket can reach, what must be done to it for that, how long a call may wait.
 *
 * Natively a datagram can always be sent; here there is no relay to send it to until the proxy has answered. On loopback that takes a fraction
 * of a millisecond, for which a call waits, though the socket does not block. Where the proxy takes longer, datagrams are dropped meanwhile, and
 * the first of the next sockets do not wait. A socket that blocks waits longer: a program that sends one datagram and ends has no other try.
 * Whoever next calls anything on the socket, or waits for any, goes on with the association.
 *
 * No descriptor tells when a relay is gone. A refusal on a connected socket does; otherwise it is looked at now and then.
 */
#include "udp_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "tsproxy/clock.h"
#include "tsproxy/log.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define LIMIT_MS 5000		/* for an attempt */
#define AT_ONCE_MS 20		/* of that, for calls that are not to wait */
#define SLOW_MS 200
#define LOOK_MS 1000

/*
 * When the proxy last did not answer within AT_ONCE_MS. For some time after that calls that are not to wait do not wait at all: so a program
 * with many sockets is not stopped by each.
 */
static _Atomic int64_t slow_ms;

/*
 * A bound socket cannot be opened to IPv4 (ipv6(7), IPV6_V6ONLY). But a port that the kernel chose is given back by connect to AF_UNSPEC:
 * so it is let go, and taken again.
 */
static void open_bound(int fd, const struct ts_addr *local)
{
	static const struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	union ts_udp_name name;
	socklen_t len = sizeof(name);

	if (!local->port || ts_sys(SYS_getpeername, fd, &name, &len) == 0)
		return;
	ts_udp_name_set(&name, &len, local, AF_INET6);
	ts_sys(SYS_connect, fd, &unspec, sizeof(unspec));
	ts_sock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (ts_sys(SYS_bind, fd, &name, len) == 0 || ts_sock_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY))
		return;
	ts_sock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);	/* the port is in use by IPv4 */
	ts_sys(SYS_bind, fd, &name, len);
}

/* Which proxy the socket can reach, whose local address is `local`. */
static int choose_proxy(int fd, const struct ts_addr *local, int family, struct ts_proxy *out, bool *v6only)
{
	static const uint8_t any6[16];
	bool bound6 = family == AF_INET6 && !ts_addr_is4(local) && memcmp(local->ip, any6, 16) != 0;

	*v6only = family == AF_INET6 && ts_sock_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (ts_route_socks5(family == AF_INET, *v6only || bound6, out))
		return 0;
	if (!ts_route_socks5(family == AF_INET, false, out)) {
		ts_info("fd %d: no proxy with UDP support is known", fd);
		return -EHOSTUNREACH;
	}
	/* Unbound it can be opened to reach 127.0.0.1 as ::ffff:127.0.0.1. */
	if (*v6only)
		ts_sock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (*v6only && !bound6 && ts_sock_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY))
		open_bound(fd, local);
	if (!bound6 && !(*v6only && ts_sock_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY)))
		return 0;
	ts_info("fd %d: bound to an IPv6 address or IPv6-only: cannot reach the proxy %a", fd, &out->addr);
	return -ENETUNREACH;
}

static int begin(int fd, int family, struct ts_udp_attempt *a, bool *v6only)
{
	struct ts_addr local;
	int err;

	if (!ts_sock_name(fd, SYS_getsockname, &local))
		return -EHOSTUNREACH;
	err = choose_proxy(fd, &local, family, &a->proxy, v6only);
	return err ? err : ts_udp_attempt_begin(a);
}

bool ts_udp_from_loopback(int fd)
{
	union ts_udp_name name;
	socklen_t len = sizeof(name);
	struct ts_addr local;

	return ts_sys(SYS_getsockname, fd, &name, &len) == 0 && ts_addr_from_sockaddr(&local, &name.sa, len) && ts_ip_is_loopback(local.ip);
}

static bool peeks_behind(int fd)
{
	int offset = -1;
	socklen_t len = sizeof(offset);

	return ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) == 0 && offset >= 0;
}

static int associate(int fd, const struct ts_addr *to)
{
	int family = ts_sock_get_int(fd, SOL_SOCKET, SO_DOMAIN), err;
	struct ts_udp_attempt *attempt;
	bool v6only = false;

	if (ts_process() != TS_SELF)
		return -EHOSTUNREACH;	/* a vfork child must not change this memory */
	/* A device's own route leads nowhere else, and the tailnet's device is not there. */
	if (ts_sock_get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX))
		return -ENETUNREACH;
	if (!family)
		return -EHOSTUNREACH;
	if (ts_udp_from_loopback(fd))
		return -EINVAL;
	if (peeks_behind(fd)) {
		ts_info("fd %d: SO_PEEK_OFF is set: cannot send to the tailnet", fd);
		return -ENETUNREACH;
	}
	if (!ts_udp_may_mark(fd))
		return -ENETUNREACH;
	if (family == AF_INET6 && ts_addr_is4(to) && ts_sock_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY))
		return -ENETUNREACH;
	attempt = ts_scratch_get(sizeof(*attempt));
	err = attempt ? begin(fd, family, attempt, &v6only) : -ENOBUFS;
	if (!err)
		err = ts_udp_install(fd, attempt, family, v6only);
	ts_scratch_put(attempt, sizeof(*attempt));
	return err;
}

int ts_udp_need(int fd, const struct ts_addr *to, int flags, struct ts_udp **u, struct ts_udp_view *v)
{
	int err;

	*u = ts_udp_get(fd, v);
	if (!*u) {
		err = associate(fd, to);
		if (err)
			return err;
		*u = ts_udp_get(fd, v);
	}
	if (!*u)
		return -EBADF;	/* closed by another thread */
	err = v->pending ? ts_udp_settle(fd, *u, v, flags) : 0;
	return err == -EAGAIN ? 0 : err;
}

/* --- an association in the making --- */

/* The relay is known: the socket becomes what it would have been at once. 0 or -errno. Lock held. */
static int stand(int fd, struct ts_udp *u, struct ts_udp_link *link)
{
	struct ts_udp_view v = u->view;
	int err;

	v.pending = false;
	v.was = v.relay;
	v.relay = link->relay;
	v.maker = (int)ts_sys(SYS_getpid);
	ts_udp_name_set(&v.name, &v.name_len, &link->relay, v.family);
	err = v.name_len ? ts_udp_mark(fd, &v) : -ENETUNREACH;
	if (!err && v.connected && ts_sys(SYS_connect, fd, &v.name, v.name_len) != 0)
		err = -ENOBUFS;
	if (err) {
		ts_udp_link_close(link);
		return err;
	}
	u->link = *link;
	ts_udp_set_view(u, &v);
	return 0;
}

/* Goes on with an attempt, without waiting. 0, -EAGAIN: not yet; else -errno: it failed, and is over. Lock held. */
static int step(int fd, struct ts_udp *u)
{
	struct ts_udp_link link;
	int err = ts_udp_attempt_step(&u->attempt, &link);

	if (err == -EAGAIN && ts_now_ms() < u->attempt.begun_ms + LIMIT_MS)
		return err;
	if (err == -EAGAIN) {
		ts_warn("proxy %a does not answer", &u->attempt.proxy.addr);
		err = -EHOSTUNREACH;
	}
	ts_udp_give_up(u);
	return err ? err : stand(fd, u, &link);
}

/* The relay that there was is gone. */
static __attribute__((noinline)) void begun_anew(int fd, struct ts_udp *u, struct ts_udp_attempt *attempt, bool v6only)
{
	struct ts_udp_view v;

	ts_lock(&ts_fdtab_lock);
	if (ts_udp_of(fd) != u || u->making) {
		ts_udp_attempt_end(attempt);
	} else {
		ts_udp_link_close(&u->link);
		v = u->view;
		v.pending = true;
		v.v6only |= v6only;
		ts_udp_set_view(u, &v);
		u->attempt = *attempt;
		u->making = true;
		ts_udp_pending_count++;
	}
	ts_unlock(&ts_fdtab_lock);
}

/* Where there is no attempt, begins one. */
static int begin_anew(int fd, struct ts_udp *u, int family)
{
	struct ts_udp_attempt *attempt = ts_scratch_get(sizeof(*attempt));
	bool v6only;
	int err = attempt ? begin(fd, family, attempt, &v6only) : -ENOBUFS;

	if (!err)
		begun_anew(fd, u, attempt, v6only);
	ts_scratch_put(attempt, sizeof(*attempt));
	return err;
}

/* In a forked child an attempt is the parent's. Lock held. */
static bool is_ours(struct ts_udp *u)
{
	if (u->making && u->attempt.maker != (int)ts_sys(SYS_getpid))
		ts_udp_give_up(u);
	return u->making;
}

int ts_udp_settle(int fd, struct ts_udp *u, struct ts_udp_view *v, int flags)
{
	bool at_once = ts_sock_is_at_once(fd, flags), begins = true;
	int64_t limit = !at_once ? LIMIT_MS : ts_now_ms() < slow_ms + SLOW_MS ? 0 : AT_ONCE_MS;

	if (ts_process() != TS_SELF)
		return -EAGAIN;
	if (ts_sandboxed())
		return -ENETUNREACH;
	for (;;) {
		struct pollfd p;
		int64_t left;
		int err = 0;
		bool has;

		ts_lock(&ts_fdtab_lock);
		has = ts_udp_of(fd) == u && is_ours(u);
		if (ts_udp_of(fd) != u)
			err = -EBADF;	/* closed by another thread */
		else if (u->view.pending)
			err = has ? step(fd, u) : -u->untold;
		u->untold = 0;
		*v = u->view;
		v->seq = u->seq;
		p = (struct pollfd){ u->attempt.fd, u->attempt.connected ? POLLIN : POLLOUT, 0 };
		left = u->attempt.begun_ms + limit - ts_now_ms();
		ts_unlock(&ts_fdtab_lock);
		if (!has && !err && v->pending && begins) {
			begins = false;
			err = begin_anew(fd, u, v->family);
			if (err)
				return err;
		} else if (err != -EAGAIN || left <= 0) {
			if (err == -EAGAIN && limit == AT_ONCE_MS)
				slow_ms = ts_now_ms();
			return err || !v->pending ? err : -EAGAIN;
		} else {
			struct timespec t = { .tv_nsec = (left < AT_ONCE_MS ? left : AT_ONCE_MS) * 1000000 };

			ts_sys(SYS_ppoll, &p, 1, &t, NULL, 0);
		}
	}
}

void ts_udp_advance(void)
{
	uint32_t cursor = 0;
	struct ts_udp *u;

	if (ts_process() != TS_SELF || ts_sandboxed())
		return;
	ts_lock(&ts_fdtab_lock);
	while ((u = ts_udp_next_in_making(&cursor))) {
		int fd = ts_udp_fd_of(u), err;

		if (fd < 0 || ts_udp_of(fd) != u || !is_ours(u))
			continue;
		err = step(fd, u);
		if (err != -EAGAIN)
			u->untold = -err;
	}
	ts_unlock(&ts_fdtab_lock);
}

/* --- its relay --- */

/* 1: made anew. 2: it is being made. -errno. */
static int renew(int fd, struct ts_udp *u, struct ts_udp_view *v)
{
	int err = begin_anew(fd, u, v->family);

	if (!err)
		err = ts_udp_settle(fd, u, v, 0);
	return err == -EAGAIN ? 2 : err ? err : 1;
}

static bool has_own_link(const struct ts_udp *u)
{
	bool has;

	ts_lock(&ts_fdtab_lock);
	has = u->link.page || u->link.fd >= 0;
	ts_unlock(&ts_fdtab_lock);
	return has;
}

/* The association that another process made, or the program that this process was before exec, ends with it. */
static bool maker_gone(const struct ts_udp *u, const struct ts_udp_view *v)
{
	return !has_own_link(u) && (v->maker == (int)ts_sys(SYS_getpid) || ts_sys(SYS_kill, v->maker, 0) == -ESRCH);
}

int ts_udp_see_to_relay(int fd, struct ts_udp *u, struct ts_udp_view *v, bool suspect)
{
	int64_t now = ts_udp_now_ms();

	u->used_ms = now;
	if (!suspect && now - u->looked_ms < LOOK_MS)
		return 0;
	u->looked_ms = now;
	if (!suspect && u->heard && has_own_link(u)) {
		u->heard = false;
		return 0;
	}
	if (!ts_udp_link_dead(&v->relay) && !maker_gone(u, v))
		return 0;
	ts_info("fd %d: the relay %a is gone", fd, &v->relay);
	return renew(fd, u, v);
}

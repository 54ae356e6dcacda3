/* SPDX-License-Identifier: MIT */
/*
 * Making associations, and making them anew: which proxy a socket can reach, what must be done to it for that, how long a call may wait.
 *
 * No descriptor tells when a relay is gone. A refusal on a connected socket does; otherwise it is looked at now and then.
 */
#include "udp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tsproxy/clock.h"
#include "tsproxy/log.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define WAIT_BLOCKING_MS 5000
#define WAIT_NONBLOCKING_MS 2	/* a proxy on loopback has answered by then: usually in a tenth of it */
#define LOOK_MS 1000

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
static int choose_proxy(int fd, const struct ts_addr *to, const struct ts_addr *local, int family, struct ts_proxy *out, bool *v6only)
{
	static const uint8_t any6[16];
	bool bound6 = family == AF_INET6 && !ts_addr_is4(local) && memcmp(local->ip, any6, 16) != 0;

	*v6only = family == AF_INET6 && ts_sock_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (*v6only && ts_addr_is4(to))
		return -ENETUNREACH;
	if (ts_route_socks5(family == AF_INET, *v6only || bound6, out))
		return 0;
	if (!ts_route_socks5(family == AF_INET, false, out)) {
		ts_info("%a: no proxy with UDP support is known", to);
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

/* -EAGAIN: the proxy takes its time, and the descriptor does not wait: the attempt goes on. */
static int try_association(int fd, int flags, const struct ts_proxy *proxy, struct ts_udp_attempt *attempt, struct ts_udp_link *link)
{
	bool waits = !ts_sock_is_at_once(fd, flags);
	int err = ts_udp_attempt_begin(attempt, proxy);

	if (!err)
		err = ts_udp_attempt_step(attempt, ts_now_ms() + (waits ? WAIT_BLOCKING_MS : WAIT_NONBLOCKING_MS), link);
	if (err != -EAGAIN || !waits)
		return err;
	ts_warn("proxy %a does not answer", &proxy->addr);
	ts_udp_attempt_end(attempt);
	return -EHOSTUNREACH;
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

static int associate(int fd, const struct ts_addr *to, int flags)
{
	struct ts_udp_attempt attempt;
	struct ts_udp_link link;
	union ts_udp_name name;
	socklen_t len = sizeof(name);
	struct ts_addr local;
	struct ts_proxy proxy;
	bool v6only = false;
	int family = ts_sock_get_int(fd, SOL_SOCKET, SO_DOMAIN), err;

	if (ts_process() != TS_SELF)
		return -EHOSTUNREACH;	/* a vfork child must not change this memory */
	/* A device's own route leads nowhere else, and the tailnet's device is not there. */
	if (ts_sock_get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX))
		return -ENETUNREACH;
	if (!family || ts_sys(SYS_getsockname, fd, &name, &len) != 0 || !ts_addr_from_sockaddr(&local, &name.sa, len))
		return -EHOSTUNREACH;
	if (ts_ip_is_loopback(local.ip))
		return -EINVAL;	/* ts_udp_from_loopback */
	if (peeks_behind(fd)) {
		ts_info("fd %d: SO_PEEK_OFF is set: cannot send to the tailnet", fd);
		return -ENETUNREACH;
	}
	if (!ts_udp_may_mark(fd))
		return -ENETUNREACH;
	err = choose_proxy(fd, to, &local, family, &proxy, &v6only);
	if (err)
		return err;
	if (ts_udp_untold())
		return -EHOSTUNREACH;
	err = try_association(fd, flags, &proxy, &attempt, &link);
	if (err == -EAGAIN)
		return ts_udp_install_pending(fd, &attempt, family, v6only);
	if (err)
		return err;
	ts_udp_name_set(&name, &len, &link.relay, family);
	if (!len) {
		ts_udp_link_close(&link);
		return -ENETUNREACH;
	}
	return ts_udp_install(fd, &link, family, v6only);
}

int ts_udp_need(int fd, const struct ts_addr *to, int flags, struct ts_udp **u, struct ts_udp_view *v)
{
	int err;

	if ((*u = ts_udp_get(fd, v)))
		return 0;
	err = associate(fd, to, flags);
	if (err)
		return err;
	*u = ts_udp_get(fd, v);
	return *u ? 0 : -EBADF;	/* closed by another thread */
}

/* The proxy takes its time: until then the socket is as if it had just turned to the tailnet. */
static int renew_later(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_attempt *attempt)
{
	struct ts_udp_pending *p;
	int err = 2;

	ts_lock(&ts_fdtab_lock);
	p = ts_udp_of(fd) == u && !u->pending ? ts_udp_pending_new(attempt, fd) : NULL;
	if (!p) {
		ts_udp_attempt_end(attempt);
		err = -EHOSTUNREACH;
	} else {
		u->pending = p;
		ts_udp_link_close(&u->link);
		*v = u->view;
		v->pending = true;
		ts_udp_set_view(u, v);
		ts_udp_pending_begun(fd, u);
		v->seq = u->seq;
	}
	ts_unlock(&ts_fdtab_lock);
	return err;
}

/* A new control connection for an association whose relay is gone. */
struct renewal {
	struct ts_udp_attempt attempt;
	struct ts_udp_link link;
	struct ts_proxy proxy;
};

static int renew_in(struct renewal *r, int fd, struct ts_udp *u, struct ts_udp_view *v)
{
	struct ts_udp_link *link = &r->link;
	int err;

	if (!ts_route_socks5(v->family == AF_INET, v->relay.port && !ts_addr_is4(&v->relay), &r->proxy))
		return -EHOSTUNREACH;
	err = try_association(fd, 0, &r->proxy, &r->attempt, link);
	if (err == -EAGAIN)
		return renew_later(fd, u, v, &r->attempt);
	if (err)
		return err;
	ts_lock(&ts_fdtab_lock);
	err = ts_udp_of(fd) == u ? 0 : -EBADF;
	*v = u->view;
	v->was = v->relay;
	v->relay = link->relay;
	v->pending = false;
	v->maker = (int)ts_sys(SYS_getpid);
	ts_udp_name_set(&v->name, &v->name_len, &link->relay, v->family);
	if (!err && v->connected && ts_sys(SYS_connect, fd, &v->name, v->name_len) != 0)
		err = -ENOBUFS;
	if (err) {
		ts_udp_link_close(link);
	} else {
		ts_udp_link_close(&u->link);
		u->link = *link;
		ts_udp_set_view(u, v);
		v->seq = u->seq;
	}
	ts_unlock(&ts_fdtab_lock);
	if (!err)
		err = ts_udp_mark(fd, v);
	return err ? err : 1;
}

static int renew(int fd, struct ts_udp *u, struct ts_udp_view *v)
{
	struct renewal *r = ts_process() == TS_SELF ? ts_scratch_get(sizeof(*r)) : NULL;
	int err = r ? renew_in(r, fd, u, v) : -EHOSTUNREACH;

	ts_scratch_put(r, sizeof(*r));
	return err;
}

int ts_udp_try_again(int fd, struct ts_udp *u, struct ts_udp_view *v)
{
	int err = renew(fd, u, v);

	return err == 2 ? -EAGAIN : err < 0 ? err : 0;
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

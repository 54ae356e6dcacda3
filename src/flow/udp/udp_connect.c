/* SPDX-License-Identifier: MIT */
/*
 * Connected sockets, and what a socket with an association says of itself. The kernel's peer is the relay, through which all peers'
 * datagrams come; so a filter (udp_record.c) lets in only the one's.
 */
#include "udp_internal.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "tsproxy/names.h"
#include "tsproxy/sys.h"

#define TAILNET_MTU 1280	/* the daemon's, wherever it runs; the kernel would tell loopback's */

static void set_peer(struct ts_udp *u, const struct ts_addr *to)
{
	struct ts_udp_view v = u->view;

	v.connected = to != NULL;
	if (to) {
		if (!v.source)
			v.source = ts_addr_is4(to) ? AF_INET : AF_INET6;
		v.peer = *to;
		v.head_len = (uint8_t)ts_udp_header_write(v.head, to);
		if (v.head_len > u->expect)
			u->expect = v.head_len;
	}
	ts_udp_set_view(u, &v);
}

/* The relay is not known yet: until then the kernel's peer is the proxy, at whose port nobody is heard who could send datagrams. */
static int connect_later(int fd, struct ts_udp *u, const struct ts_addr *to)
{
	union ts_udp_name name;
	socklen_t len;
	int err = 0;

	ts_lock(&ts_fdtab_lock);
	if (ts_udp_of(fd) == u && u->making) {
		ts_udp_name_set(&name, &len, &u->attempt.proxy.addr, u->view.family);
		err = (int)ts_sys(SYS_connect, fd, &name, len);
	}
	if (!err && ts_udp_of(fd) == u)
		set_peer(u, to);
	ts_unlock(&ts_fdtab_lock);
	return err;
}

/*
 * A connected socket keeps its local address when it is connected again, and the kernel connects from it only where it leads: a socket of
 * IPv6 to no address of the other family, one of which the relay's may be; from loopback's address, which leads to the relay, to no other
 * network. So it is disconnected first; the port that it has is taken again.
 */
static void disconnect(int fd, int family)
{
	static const struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	static const uint8_t any4[4];
	union ts_udp_name name;
	socklen_t len = sizeof(name);
	struct ts_addr local;

	if (ts_sys(SYS_getsockname, fd, &name, &len) != 0 || !ts_addr_from_sockaddr(&local, &name.sa, len))
		return;
	ts_sys(SYS_connect, fd, &unspec, sizeof(unspec));
	if (family == AF_INET6)
		memset(local.ip, 0, sizeof(local.ip));
	else
		ts_addr_set4(&local, any4, local.port);
	ts_udp_name_set(&name, &len, &local, family);
	ts_sys(SYS_bind, fd, &name, len);	/* it may be bound still: that is as well */
}

static int connect_to_relay(int fd, const struct ts_udp_view *v)
{
	union ts_udp_name name;
	socklen_t len = sizeof(name);
	struct ts_addr peer;

	if (v->family == AF_INET6 && !v->connected && ts_sys(SYS_getpeername, fd, &name, &len) == 0 &&
	    ts_addr_from_sockaddr(&peer, &name.sa, len) && ts_addr_is4(&peer) != ts_addr_is4(&v->relay))
		disconnect(fd, AF_INET6);
	return (int)ts_sys(SYS_connect, fd, &v->name, v->name_len);
}

int ts_udp_connect(int fd, const struct ts_addr *to, int family, const struct ts_decision *d)
{
	struct ts_udp_view v, turned;
	struct ts_udp *u;
	int err;

	if (d->verdict == TS_DENY)
		return -d->err;
	err = ts_udp_need(fd, to, 0, &u, &v);
	if (!err && u->begun)
		ts_udp_unbegin(fd, u);
	if (!err && !v.pending)
		err = ts_udp_see_to_relay(fd, u, &v, false);
	if (err < 0)
		return err;
	if (v.family == AF_INET && family != AF_INET)
		return -EAFNOSUPPORT;
	if (ts_addr_is4(to) && v.v6only)
		return family == AF_INET ? -EAFNOSUPPORT : -ENETUNREACH;
	if (ts_udp_is_mapped(&v) && !ts_addr_is4(to))
		return -EAFNOSUPPORT;
	if (!v.source && ts_udp_from_loopback(fd))
		return -EINVAL;
	turned = v;
	turned.connected = true;
	turned.peer = *to;
	if (v.pending)
		return connect_later(fd, u, to);
	err = ts_udp_mark(fd, &turned);
	if (err)
		return err;
	err = connect_to_relay(fd, &v);
	if (err) {
		ts_udp_mark(fd, &v);
		return err;
	}
	ts_lock(&ts_fdtab_lock);
	if (ts_udp_of(fd) == u)
		set_peer(u, to);
	ts_unlock(&ts_fdtab_lock);
	return 0;
}

void ts_udp_leaving(int fd, const struct sockaddr *to, socklen_t len)
{
	struct ts_udp_view v;
	struct ts_addr dest;

	if (!ts_udp_get(fd, &v) || !v.connected || !ts_addr_from_sockaddr(&dest, to, len) || to->sa_family != v.family ||
	    (ts_udp_is_mapped(&v) && !ts_addr_is4(&dest)))
		return;
	if (ts_addr_is4(&v.relay) != ts_addr_is4(&dest) || (ts_ip_is_loopback(v.relay.ip) && !ts_ip_is_loopback(dest.ip)))
		disconnect(fd, v.family);
}

void ts_udp_stayed(int fd)
{
	struct ts_udp_view v;

	if (ts_udp_get(fd, &v) && v.connected && !v.pending)
		ts_sys(SYS_connect, fd, &v.name, v.name_len);
}

void ts_udp_left(int fd)
{
	static const struct ts_addr none;
	union ts_udp_name name;
	socklen_t len = sizeof(name);
	struct ts_udp_view v;
	struct ts_udp *u;

	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	u = ts_udp_of(fd);
	if (u && u->begun)
		ts_udp_unbegin(fd, u);
	if (u)
		ts_udp_note_carried(u, &none);	/* it has another address now, from which that may not be reached */
	if (u && u->view.source && ts_sys(SYS_getpeername, fd, &name, &len) != 0) {
		v = u->view;
		v.source = 0;
		ts_udp_set_view(u, &v);
	}
	if (u && u->view.connected) {
		set_peer(u, NULL);
		if (!u->view.pending && ts_udp_mark(fd, &u->view)) {
			ts_udp_unmark(fd);
			ts_udp_forget_socket(u);
		}
	}
	ts_unlock(&ts_fdtab_lock);
}

bool ts_udp_peer(int fd, struct ts_addr *out, int *family)
{
	struct ts_udp_view v;

	if (!ts_udp_get(fd, &v) || !v.connected)
		return false;
	*out = v.peer;
	*family = v.family;
	return true;
}

bool ts_udp_local(int fd, const struct ts_addr *kernel, struct ts_addr *out, int *family)
{
	uint16_t port = kernel->port;
	struct ts_udp_view v;

	if (!ts_udp_get(fd, &v) || !v.connected || !ts_ip_is_loopback(kernel->ip) || ts_ip_is_loopback(v.peer.ip) ||
	    ts_live_own_addr(ts_addr_is4(&v.peer) ? AF_INET : AF_INET6, out) != 1)
		return false;
	out->port = port;
	*family = v.family;
	return true;
}

bool ts_udp_get_option(int fd, int level, int name, int *out)
{
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);

	if (u && level == IPPROTO_IPV6 && name == IPV6_V6ONLY && v.v6only)
		*out = 1;
	else if (u && level == IPPROTO_UDP && name == UDP_GRO)
		*out = u->gro;
	else if (u && v.connected && ((level == IPPROTO_IP && name == IP_MTU) || (level == IPPROTO_IPV6 && name == IPV6_MTU)))
		*out = TAILNET_MTU;
	else
		return false;
	return true;
}

int ts_udp_set_option(int fd, int level, int name, const void *value, socklen_t len)
{
	int done = 0, number;
	struct ts_udp_view v;
	struct ts_udp *u;

	if (level == SOL_SOCKET && name == SO_PEEK_OFF)
		return ts_udp_get(fd, &v) && len >= sizeof(number) && ts_option_readable(fd, value) && *(const int *)value >= 0 ? -EOPNOTSUPP : 0;
	if ((level == IPPROTO_IP || level == IPPROTO_IPV6) && (u = ts_udp_get(fd, &v)))
		u->wishes = -1;
	if (level != IPPROTO_UDP || len < sizeof(number) || !ts_option_readable(fd, value) || ts_process() != TS_SELF)
		return 0;
	memcpy(&number, value, sizeof(number));
	ts_lock(&ts_fdtab_lock);
	u = ts_udp_of(fd);
	if (u && name == UDP_GRO) {
		u->gro = number != 0;
		done = 1;
	} else if (u && name == UDP_SEGMENT && number >= 0 && number <= 0xffff) {
		v = u->view;
		v.gso = number;
		ts_udp_set_view(u, &v);
	} else if (u && name == UDP_CORK) {
		u->cork = number != 0;
		if (!number) {
			u->corked_bytes = 0;
			u->dropped = false;
		}
	}
	ts_unlock(&ts_fdtab_lock);
	return done;
}

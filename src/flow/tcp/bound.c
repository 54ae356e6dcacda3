/* SPDX-License-Identifier: MIT */
/* See bound.h. */
#include "tsproxy/bound.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tcp_internal.h"
#include "tsproxy/identity.h"
#include "tsproxy/log.h"
#include "tsproxy/names.h"
#include "tsproxy/route.h"
#include "tsproxy/sys.h"

static bool is_own(const struct ts_addr *a)
{
	struct ts_addr own;

	return ts_ip_is_tailscale(a->ip) && ts_live_own_addr(ts_addr_is4(a) ? AF_INET : AF_INET6, &own) == 1 && memcmp(own.ip, a->ip, sizeof(own.ip)) == 0;
}

/* Where the proxy is on another host, loopback would not lead there. */
static void stand_in(int family, uint16_t port, struct ts_addr *out)
{
	static const uint8_t loopback4[4] = { 127, 0, 0, 1 }, any4[4], loopback6[16] = { [15] = 1 }, any6[16];
	struct ts_proxy p;

	if (!ts_route_proxy(family == AF_INET, false, &p) || (ts_addr_is4(&p.addr) && ts_ip_is_loopback(p.addr.ip)))
		ts_addr_set4(out, loopback4, port);
	else if (family == AF_INET)
		ts_addr_set4(out, any4, port);
	else
		*out = (struct ts_addr){ .port = port };
	if (family == AF_INET6 && !ts_addr_is4(out))
		memcpy(out->ip, ts_ip_is_loopback(p.addr.ip) ? loopback6 : any6, 16);
}

static void set_v6only(int fd, int on)
{
	ts_sock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, on);
}

int ts_bound_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct ts_identity id = { .local_known = true };
	struct sockaddr_storage kernel;
	struct ts_addr stand;
	int err;

	if (!ts_addr_from_sockaddr(&id.local, sa, len) || !is_own(&id.local) ||
	    ts_sock_get_int(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP)
		return -EADDRNOTAVAIL;
	id.peer = id.local;
	id.peer.port = 0;
	stand_in(sa->sa_family, id.local.port, &stand);
	id.v6only = sa->sa_family == AF_INET6 && ts_addr_is4(&stand) && ts_sock_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (id.v6only)
		set_v6only(fd, 0);
	err = (int)ts_sys(SYS_bind, fd, &kernel, ts_addr_to_sockaddr(&stand, sa->sa_family, &kernel));
	if (err && id.v6only)
		set_v6only(fd, 1);
	if (err)
		return err;
	ts_debug("fd %d: bind to %a uses %a", fd, &id.local, &stand);
	ts_identity_write(fd, &id);
	ts_fd_set_flags(fd, TS_FD_CARRIED, 0);
	ts_family_carry();
	return 0;
}

bool ts_bound_open(int fd)
{
	struct ts_addr local;

	set_v6only(fd, 0);
	if (!ts_sock_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY))
		return true;
	if (!(ts_fd_get_flags(fd) & TS_FD_NEW) || !ts_sock_name(fd, SYS_getsockname, &local) || !ts_ip_is_any(local.ip) || !ts_renew(fd))
		return false;
	set_v6only(fd, 0);
	return true;
}

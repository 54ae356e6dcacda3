/* SPDX-License-Identifier: MIT */
/* Who a socket is connected to, and from which address. */
#include "may_be_carried.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tsproxy/handoff.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/identity.h"
#include "tsproxy/names.h"
#include "tsproxy/note.h"
#include "tsproxy/sys.h"
#include "tsproxy/tcp.h"
#include "tsproxy/udp.h"

/* The kernel's answer, whole: it is asked once more where the caller's buffer was too short for it. */
static bool kernel_answer(int fd, long call, const struct sockaddr *got, socklen_t room, socklen_t got_len, struct ts_addr *out,
			  int *family)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (got_len <= room && ts_addr_from_sockaddr(out, got, got_len)) {
		*family = got->sa_family;
		return true;
	}
	if (ts_sys(call, fd, &sa, &len) != 0 || !ts_addr_from_sockaddr(out, (struct sockaddr *)&sa, len))
		return false;
	*family = sa.ss_family;
	return true;
}

static bool is_inet(const struct sockaddr *addr, socklen_t room)
{
	return room < sizeof(addr->sa_family) || addr->sa_family == AF_INET || addr->sa_family == AF_INET6;
}

static void answer(const struct ts_addr *a, int family, struct sockaddr *addr, socklen_t room, socklen_t *len)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = ts_addr_to_sockaddr(a, family, &sa);

	if (!sa_len)
		return;
	*len = room;
	ts_sockaddr_copy_out(&sa, sa_len, addr, len);
}

int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	socklen_t room = ts_plausible(len) ? *len : 0;
	struct ts_identity id;
	struct ts_addr kernel;
	int family, has, r;

	if (ts_is_pending(fd))
		return ts_result(-ENOTCONN);
	r = ts_real()->getpeername(fd, addr, len);
	if (r != 0 || !addr || !is_inet(addr, room) || !ts_may_be_carried(fd))
		return r;
	if (ts_fd_is_udp(fd)) {
		if (ts_udp_peer(fd, &kernel, &family))
			answer(&kernel, family, addr, room, len);
		return r;
	}
	if (!kernel_answer(fd, SYS_getpeername, addr, room, *len, &kernel, &family) || !ts_route_is_proxy(&kernel))
		return r;
	has = ts_identity_read(fd, &id);
	if (has < 0)
		return ts_result(has);
	if (has)
		answer(&id.peer, family, addr, room, len);
	return r;
}

/*
 * The local address of a carried connection: what the far side sees; where that is not known, our tailnet address, and the kernel's port.
 * A configured route may lead to a loopback peer: its like is our address there.
 */
static void local_of(const struct ts_identity *id, struct ts_addr *kernel)
{
	int family = ts_addr_is4(&id->peer) ? AF_INET : AF_INET6;
	uint16_t port = id->local.port ? id->local.port : kernel->port;
	static const uint8_t loopback4[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, loopback6[16] = { [15] = 1 };
	struct ts_addr own;

	if (id->failed && ts_ip_is_any(kernel->ip))
		;	/* the kernel took the address back */
	else if (id->local_known && ts_addr_is4(&id->local) == ts_addr_is4(&id->peer))
		*kernel = id->local;
	else if (ts_ip_is_loopback(id->peer.ip))
		memcpy(kernel->ip, family == AF_INET ? loopback4 : loopback6, 16);
	else if (ts_live_own_addr(family, &own) == 1)
		*kernel = own;
	kernel->port = port;
}

/* A TCP socket whose last connection failed, as far as its flags tell. */
static bool may_have_failed(int fd)
{
	return (ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_TRACKED)) == TS_FD_TRACKED;
}

int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	socklen_t room = ts_plausible(len) ? *len : 0;
	struct ts_identity id;
	struct ts_addr kernel;
	int family, has = 1, r = ts_real()->getsockname(fd, addr, len);

	if (r != 0 || !addr || !is_inet(addr, room) || !ts_may_be_carried(fd))
		return r;
	if (!kernel_answer(fd, SYS_getsockname, addr, room, *len, &kernel, &family) ||
	    (!ts_route_may_meet_proxy(kernel.ip) && !may_have_failed(fd)))
		return r;
	if (ts_fd_is_udp(fd)) {
		if (ts_udp_local(fd, &kernel, &kernel, &family))
			answer(&kernel, family, addr, room, len);
		return r;
	}
	memset(&id, 0, sizeof(id));
	if (!(ts_is_pending(fd) && ts_tcp_names(fd, &id)))
		has = ts_identity_read_any(fd, &id);
	if (has < 0)
		return ts_result(has);
	if (!has)
		return r;
	local_of(&id, &kernel);
	answer(&kernel, family, addr, room, len);
	return r;
}

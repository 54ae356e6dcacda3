/* SPDX-License-Identifier: MIT */
/* socket, bind, listen, connect and shutdown. */
#include "hook.h"

#include <errno.h>
#include <netinet/in.h>

#include "tsproxy/bound.h"
#include "tsproxy/dest.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/sys.h"
#include "tsproxy/tcp.h"
#include "tsproxy/trace.h"
#include "tsproxy/udp.h"

int socket(int domain, int type, int protocol)
{
	int fd = ts_real()->socket(domain, type, protocol);

	if (fd < 0 || !ts_enabled())
		return fd;
	if (ts_fd_is_udp(fd))
		ts_udp_fd_closing(fd);
	else if (ts_fd_get_flags(fd))
		ts_tcp_fd_closing(fd);	/* closed behind our back */
	if ((domain == AF_INET || domain == AF_INET6) && (type & 0xf) == SOCK_STREAM &&
	    (protocol == 0 || protocol == IPPROTO_TCP))
		ts_fd_set_flags(fd, TS_FD_NEW | TS_FD_TRACKED, 0);
	else if ((domain == AF_INET || domain == AF_INET6) && (type & 0xf) == SOCK_DGRAM)
		ts_fd_set_flags(fd, TS_FD_DATAGRAM, 0);
	return fd;
}

static bool is_unspec(const struct sockaddr *addr, socklen_t len)
{
	return len >= sizeof(addr->sa_family) && addr->sa_family == AF_UNSPEC;
}

/* It may be connected again, by whatever process has it. */
static void disconnected(int fd)
{
	if (!(ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_TRACKED | TS_FD_DATAGRAM)))
		ts_fd_set_flags(fd, TS_FD_IDLE, 0);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct ts_decision d;
	enum ts_transport by;
	struct ts_addr to;
	int r, saved;

	if (!ts_enabled() || len > sizeof(struct sockaddr_storage) || !ts_plausible(addr))
		return ts_real()->connect(fd, addr, len);
	if (ts_fd_has_flow(fd) && is_unspec(addr, len) && ts_tcp_abort(fd, EPIPE))
		return 0;
	if (ts_dest_connect(fd, addr, len, &to, &d, &by) == TS_PASS) {
		if (ts_fd_has_flow(fd) && len >= sizeof(addr->sa_family) && ts_tcp_check(fd) == TS_TCP_PENDING)
			return ts_result(-EALREADY);
		if (ts_fd_is_udp(fd))
			ts_udp_leaving(fd, addr, len);
		r = ts_real()->connect(fd, addr, len);
		if (__builtin_expect(ts_trace_on, 0))
			ts_trace_direct(fd, addr, len, r < 0 ? ts_errno : 0);
		if (r == 0 && ts_fd_is_udp(fd))
			ts_udp_left(fd);
		else if (ts_fd_is_udp(fd))
			ts_udp_stayed(fd);
		else if (r < 0 && ts_fd_has_flow(fd))
			ts_errno = ts_tcp_error(fd, ts_errno);
		else if (r == 0 && is_unspec(addr, len))
			disconnected(fd);
		else if (ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_TRACKED | TS_FD_IDLE))
			ts_tcp_fd_closing(fd);	/* not ours: nothing need be known of it */
		return r;
	}
	saved = ts_errno;
	r = by == TS_TRANSPORT_UDP ? ts_udp_connect(fd, &to, addr->sa_family, &d) : ts_tcp_connect(fd, &to, addr->sa_family, &d, 0);
	ts_errno = saved;
	return ts_result(r);
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	int saved = ts_errno, r = ts_real()->bind(fd, addr, len);

	if (r < 0 && ts_errno == EADDRNOTAVAIL && ts_enabled() && (r = ts_result(ts_bound_bind(fd, addr, len))) == 0)
		ts_errno = saved;
	if (r == 0 && ts_fd_get_flags(fd) & TS_FD_NEW)
		ts_fd_set_flags(fd, TS_FD_OPTIONS, 0);
	return r;
}

/* It will not be connected: nothing need be kept, or suspected after a fork, of a socket on which a program waits for others. */
int listen(int fd, int backlog)
{
	int r = ts_real()->listen(fd, backlog);

	if (r == 0)
		ts_tcp_fd_listens(fd);
	return r;
}

int shutdown(int fd, int how)
{
	if (ts_fd_has_flow(fd) && how >= SHUT_RD && how <= SHUT_RDWR && ts_tcp_abort(fd, ECONNRESET))
		return 0;
	return ts_real()->shutdown(fd, how);
}

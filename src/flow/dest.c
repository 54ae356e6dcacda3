/* SPDX-License-Identifier: MIT */
/* Destinations in system calls: see dest.h. Only what is ours costs a question to the kernel (which kind of socket it is). */
#include "tsproxy/dest.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/guard.h"
#include "tsproxy/log.h"
#include "tsproxy/sys.h"

static int socket_type(int fd)
{
	int type = -1;
	socklen_t len = sizeof(type);

	return ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 ? type : -1;
}

static int socket_protocol(int fd)
{
	int protocol = -1;
	socklen_t len = sizeof(protocol);

	return ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 ? protocol : -1;
}

static struct ts_decision decide(const struct sockaddr *sa, socklen_t len, struct ts_addr *to)
{
	if (!ts_enabled() || !ts_plausible(sa) || len > sizeof(struct sockaddr_storage) || !ts_addr_from_sockaddr(to, sa, len))
		return (struct ts_decision){ .verdict = TS_PASS };
	return ts_route_decide(to);
}

/* The result for a socket of neither TCP nor UDP: not carried, and never in the clear. */
static int other_protocol(const struct ts_addr *to, const struct ts_decision *d)
{
	if (d->loopback)
		return 0;
	ts_info(d->remote ? "%a: stands for a name that the far side resolves: only TCP can be carried there" :
			    "%a: only TCP and UDP are carried", to);
	return -ENETUNREACH;
}

static bool is_udp(int fd, int type)
{
	return type == SOCK_DGRAM && socket_protocol(fd) == IPPROTO_UDP;
}

enum ts_verdict ts_dest_connect(int fd, const struct sockaddr *sa, socklen_t len, struct ts_addr *to, struct ts_decision *d,
				enum ts_carrier *by)
{
	int type;

	*d = decide(sa, len, to);
	if (d->verdict == TS_PASS)
		return TS_PASS;
	type = ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_TRACKED) ? SOCK_STREAM : socket_type(fd);
	*by = type == SOCK_STREAM ? TS_CARRIER_TCP : TS_CARRIER_UDP;
	if (type < 0 || (d->loopback && type != SOCK_STREAM)) {
		d->verdict = TS_PASS;	/* no socket: the kernel says so */
	} else if (type != SOCK_STREAM && (d->remote || !is_udp(fd, type))) {
		d->err = -other_protocol(to, d);
		d->verdict = TS_DENY;
	}
	return d->verdict;
}

bool ts_dest_datagram(const struct sockaddr *sa, socklen_t len, struct ts_addr *to)
{
	struct sockaddr_in in;

	if (!ts_plausible(sa) || len < sizeof(sa->sa_family) || len > INT_MAX)
		return false;
	if (len > sizeof(struct sockaddr_storage))
		len = sizeof(struct sockaddr_storage);	/* so does sendmsg, and takes it then: copy_msghdr_from_user */
	if (sa->sa_family != AF_UNSPEC || len < sizeof(in))
		return ts_addr_from_sockaddr(to, sa, len);
	/* For IPv4 datagrams Linux takes AF_UNSPEC as AF_INET: udp_sendmsg, raw_sendmsg. */
	memcpy(&in, sa, sizeof(in));
	in.sin_family = AF_INET;
	return ts_addr_from_sockaddr(to, (struct sockaddr *)&in, sizeof(in));
}

bool ts_dest_was_plain(const struct sockaddr *sa, socklen_t len)
{
	struct ts_addr to;

	return ts_enabled() && ts_plausible(sa) && len <= sizeof(struct sockaddr_storage) && ts_addr_from_sockaddr(&to, sa, len) &&
	       ts_route_has_passed(&to);
}

int ts_dest_send(int fd, const struct sockaddr *sa, socklen_t len, int flags)
{
	struct ts_decision d;
	struct ts_addr to;
	int type;

	if (!ts_enabled() || !ts_dest_datagram(sa, len, &to))
		return 0;
	d = ts_route_decide(&to);
	if (d.verdict == TS_PASS || (type = socket_type(fd)) < 0)
		return 0;
	if (type == SOCK_STREAM)
		return flags & MSG_FASTOPEN ? 1 : 0;
	return is_udp(fd, type) && !d.loopback && !d.remote ? 2 : other_protocol(&to, &d);
}

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

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262	/* glibc before 2.32 does not name it */
#endif

/* An option of SOL_SOCKET, or -errno: -EBADF and -ENOTSOCK say that there is no socket; any other (a seccomp filter's) says nothing. */
static int socket_option(int fd, int name)
{
	int value = -EINVAL;
	socklen_t len = sizeof(value);
	long ret = ts_sys(SYS_getsockopt, fd, SOL_SOCKET, name, &value, &len);

	return ret < 0 ? (int)ret : value;
}

/* What carries a socket's data. */
enum kind {
	KIND_NONE,	/* it is no socket, or one that knows no such addresses: the kernel says so */
	KIND_TCP,
	KIND_UDP,
	KIND_OTHER,	/* of another protocol, or what it is cannot be asked: not carried */
};

static enum kind kind_of(int fd)
{
	int type = socket_option(fd, SO_TYPE), protocol;

	if (type == -EBADF || type == -ENOTSOCK)
		return KIND_NONE;
	protocol = socket_option(fd, SO_PROTOCOL);
	if (type == SOCK_STREAM && (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP))
		return KIND_TCP;
	if (type == SOCK_DGRAM && protocol == IPPROTO_UDP)
		return KIND_UDP;
	return socket_option(fd, SO_DOMAIN) == AF_UNIX ? KIND_NONE : KIND_OTHER;
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
	ts_info(d->remote ? "%a: stands for a name that the proxy resolves: only TCP is supported" :
			    "%a: only TCP and UDP are supported", to);
	return -ENETUNREACH;
}

/* In a sandbox, whatever kind of socket it is: to ask the kernel which is a call of our own. */
static bool is_refused_unasked(const struct ts_decision *d)
{
	return d->verdict == TS_DENY && ts_sandboxed();
}

enum ts_verdict ts_dest_connect(int fd, const struct sockaddr *sa, socklen_t len, struct ts_addr *to, struct ts_decision *d,
				enum ts_transport *by)
{
	enum kind kind;

	*d = decide(sa, len, to);
	if (d->verdict == TS_PASS)
		return TS_PASS;
	if (is_refused_unasked(d)) {
		*by = TS_TRANSPORT_UDP;
		return TS_DENY;
	}
	kind = ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_TRACKED) ? KIND_TCP : kind_of(fd);
	*by = kind == KIND_TCP ? TS_TRANSPORT_TCP : TS_TRANSPORT_UDP;
	if (kind == KIND_NONE || (d->loopback && kind != KIND_TCP)) {
		d->verdict = TS_PASS;
	} else if (kind == KIND_OTHER || (kind == KIND_UDP && d->remote)) {
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
	enum kind kind;

	if (!ts_enabled() || !ts_dest_datagram(sa, len, &to))
		return 0;
	d = ts_route_decide(&to);
	if (is_refused_unasked(&d))
		return -d.err;
	if (d.verdict == TS_PASS || (kind = kind_of(fd)) == KIND_NONE)
		return 0;
	if (kind == KIND_TCP)
		return flags & MSG_FASTOPEN ? 1 : 0;
	return kind == KIND_UDP && !d.loopback && !d.remote ? 2 : other_protocol(&to, &d);
}

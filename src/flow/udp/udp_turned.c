/* SPDX-License-Identifier: MIT */
/*
 * A datagram that came in the midst of things: the call that took it began before the socket had anything to do with a proxy, and so was the
 * kernel's alone, and meanwhile another thread, or a process that shares the socket, has turned it to the tailnet. What the kernel wrote to
 * the program's memory is put right there. Only the first call that waits at that moment comes here; later ones are prepared (udp_recv.c).
 * In a sandbox, where a call must stay what the program made of it, all of them do.
 */
#include "udp_internal.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/sys.h"

/* Whether the relay sent it: its address is known only where the program asked for it. */
static bool is_relayed(const struct ts_udp_view *v, const struct ts_udp_pieces *p, const struct msghdr *k, size_t got)
{
	uint8_t head[TS_UDP_HEADER_MAX];
	struct ts_addr from;

	if (k->msg_name)
		return ts_udp_from_relay(v, k->msg_name, k->msg_namelen);
	return !v->pending && ts_udp_header_read(head, ts_udp_peek_head(p, got, head), &from);
}

/* `n` bytes are in the program's memory. The payload's length, or -EAGAIN: it was not for the program. */
static __attribute__((noinline)) ssize_t unwrap(int fd, struct ts_udp *u, struct ts_udp_view *v, struct msghdr *msg, size_t n)
{
	struct iovec iov[TS_UDP_PIECES + 2];
	struct msghdr k = *msg;
	struct ts_udp_pieces p;
	bool relayed;
	ssize_t whole;

	ts_udp_lay_out(&p, iov, msg->msg_iov, msg->msg_iovlen, 0);
	memset(p.spare, 0, sizeof(p.spare));
	relayed = is_relayed(v, &p, &k, n);
	/* What fills the buffer has lost its end to the header, or cannot be told from what a neighbour sent: it is lost on the way. */
	if (n >= p.room && !v->pending && !ts_sandboxed() && (relayed || (!k.msg_name && n < TS_UDP_HEADER_MAX)))
		return -EAGAIN;
	if (!relayed)
		return (ssize_t)n;
	if (!k.msg_name) {
		k.msg_name = &v->name;
		k.msg_namelen = v->name_len;
	}
	whole = ts_udp_unwrap(fd, u, v, &p, &k, n, msg);
	return whole > (ssize_t)p.room ? (ssize_t)p.room : whole;
}

ssize_t ts_udp_turned(int fd, struct msghdr *msg, int flags, size_t n)
{
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);
	ssize_t whole;

	if (!u || msg->msg_iovlen > TS_UDP_PIECES || flags & MSG_ERRQUEUE)
		return (ssize_t)n;
	if (flags & MSG_PEEK && !ts_sandboxed())
		return ts_udp_recv(fd, msg, flags);
	whole = unwrap(fd, u, &v, msg, n);
	if (whole != -EAGAIN || ts_sandboxed())
		return whole;
	return ts_udp_recv(fd, msg, flags);
}

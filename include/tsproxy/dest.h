/* SPDX-License-Identifier: MIT */
/* A destination as a system call names it: what becomes of it. */
#ifndef TSPROXY_DEST_H
#define TSPROXY_DEST_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "tsproxy/guard.h"
#include "tsproxy/route.h"
#include "tsproxy/sys.h"

/* What kind of socket a call to an address that is ours was made on. */
enum ts_transport { TS_TRANSPORT_TCP, TS_TRANSPORT_UDP };

/* connect(2): TS_PASS where the call concerns us in no way. `to` and `by` are set otherwise. */
enum ts_verdict ts_dest_connect(int fd, const struct sockaddr *sa, socklen_t len, struct ts_addr *to, struct ts_decision *d,
				enum ts_transport *by);

/*
 * A message for `sa`. 0: the real call; -errno: its result.
 * 1: `sa` goes with MSG_FASTOPEN to a stream socket: connect it first.
 * 2: a datagram that is ours: ts_udp_send.
 */
int ts_dest_send(int fd, const struct sockaddr *sa, socklen_t len, int flags);

/* The quick answer for most datagrams that stay on the machine: true where `sa` is surely not ours. */
static inline bool ts_dest_is_plain(const struct sockaddr *sa, socklen_t len)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

	return ts_loopback_is_plain && len == sizeof(*in) && ts_plausible(in) && in->sin_family == AF_INET &&
	       *(const uint8_t *)&in->sin_addr == IN_LOOPBACKNET;
}

/* The same for others, where one went there before. */
bool ts_dest_was_plain(const struct sockaddr *sa, socklen_t len);

/* The address that a datagram is for, in any form that the kernel takes. False: it is for the kernel to judge. */
bool ts_dest_datagram(const struct sockaddr *sa, socklen_t len, struct ts_addr *to);

#endif

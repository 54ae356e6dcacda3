/* SPDX-License-Identifier: MIT */
/* A destination as a system call names it: what becomes of it. */
#ifndef TSPROXY_DEST_H
#define TSPROXY_DEST_H

#include <sys/socket.h>

#include "tsproxy/route.h"


/* What kind of socket a call to an address that is ours was made on. */
enum ts_carrier { TS_CARRIER_TCP, TS_CARRIER_UDP };

/* connect(2): TS_PASS where the call concerns us in no way. `to` and `by` are set otherwise. */
enum ts_verdict ts_dest_connect(int fd, const struct sockaddr *sa, socklen_t len, struct ts_addr *to, struct ts_decision *d,
				enum ts_carrier *by);

/*
 * A message for `sa`. 0: the real call; -errno: its result.
 * 1: `sa` goes with MSG_FASTOPEN to a stream socket: connect it first.
 * 2: a datagram that is ours: ts_udp_send.
 */
int ts_dest_send(int fd, const struct sockaddr *sa, socklen_t len, int flags);

/* The address that a datagram is for, in any form that the kernel takes. False: it is for the kernel to judge. */
bool ts_dest_datagram(const struct sockaddr *sa, socklen_t len, struct ts_addr *to);

#endif

/* SPDX-License-Identifier: MIT */
/* A destination as a system call names it: what becomes of it. */
#ifndef TSPROXY_DEST_H
#define TSPROXY_DEST_H

#include <sys/socket.h>

#include "tsproxy/route.h"

/* connect(2): TS_PASS where the call concerns us in no way. `to` is set otherwise. */
enum ts_verdict ts_dest_connect(int fd, const struct sockaddr *sa, socklen_t len, struct ts_addr *to, struct ts_decision *d);

/*
 * A datagram for `sa` (null: the connected peer, which passed connect already). 0: the real call; -errno: its result. Datagrams
 * for the tailnet are not carried yet: -ENETUNREACH, never in the clear.
 * 1: `sa` goes with MSG_FASTOPEN to a stream socket: connect it first.
 */
int ts_dest_send(int fd, const struct sockaddr *sa, socklen_t len, int flags);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Who a carried connection is with, kept in the socket itself (note.h).
 */
#ifndef TSPROXY_IDENTITY_H
#define TSPROXY_IDENTITY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "tsproxy/addr.h"

struct ts_identity {
	struct ts_addr peer;	/* what the program asked for; port 0: nothing yet, it is only bound, to the own address `local` (bound.h) */
	struct ts_addr local;	/* what the program chose, or else the far side sees; port 0: what the kernel says */
	bool local_known;	/* the address is; else it is this node's own */
	bool unreported;	/* connect has not yet said that it succeeded */
	int failed;		/* the connection to `peer` failed with this errno: the socket is as the kernel leaves it after that */
	bool v6only;		/* the program had set IPV6_V6ONLY */
};

/* Writes it into a connected socket. 0 or -errno. */
int ts_identity_write(int fd, const struct ts_identity *id);
/*
 * 1 where the socket is a carried connection: its kernel peer is a proxy of ours, and it holds an identity for this connection. 0 where it
 * is none. -errno: the kernel did not say.
 */
int ts_identity_read(int fd, struct ts_identity *id);
/* True where the socket's last connection was ours and failed, and nothing was made of the socket since. */
bool ts_identity_read_failed(int fd, struct ts_identity *id);
/* 1 where either is, or it is bound to an own address, or was connected until both sides ended it; 0; -errno. */
int ts_identity_read_any(int fd, struct ts_identity *id);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Who a carried connection is with, kept in the socket itself: it goes wherever the socket goes, over dup,
 * fork, exec and SCM_RIGHTS, and needs no table, file or descriptor.
 *
 * The 32 bytes of TCP_FASTOPEN_KEY (tcp(7); 32 since Linux 5.3) matter only to fast-open listeners, can be set without privilege
 * on any TCP socket, and are not inherited by anything. A program's own use of the option wins.
 */
#ifndef TSPROXY_IDENTITY_H
#define TSPROXY_IDENTITY_H

#include <stdbool.h>

#include "tsproxy/addr.h"

struct ts_identity {
	struct ts_addr peer;	/* what the program asked for */
	struct ts_addr local;	/* what the far side sees, where known */
	bool local_known;
	bool unreported;	/* connect has not yet said that it succeeded */
	int failed;		/* the connection to `peer` failed with this errno: the socket is as the kernel leaves it after that */
	bool v6only;		/* the program had set IPV6_V6ONLY */
	bool bound;		/* the program chose the local port: the kernel's port is the truth */
};

/* Writes it into a connected socket. 0 or -errno. */
int ts_identity_write(int fd, const struct ts_identity *id);
/* True where the socket is a carried connection: its kernel peer is a proxy of ours, and it holds an identity for this connection. */
bool ts_identity_read(int fd, struct ts_identity *id);
/* True where the socket's last connection was ours and failed, and nothing was made of the socket since. */
bool ts_identity_read_failed(int fd, struct ts_identity *id);
/* True where either is. */
bool ts_identity_read_any(int fd, struct ts_identity *id);

#endif

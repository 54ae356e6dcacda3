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

/*
 * Connected sockets that were asked about and are not ours, by the ports that the kernel says they have: so that asking again costs
 * nothing, and a number that was reused behind our back is not taken for the socket that had it. A hint: no lock.
 */
#define TS_PLAIN_MAX 16384	/* descriptors above are looked up each time */

struct ts_plain {
	_Atomic in_port_t local, peer;	/* network order; 0: not known */
};
extern struct ts_plain ts_plain[TS_PLAIN_MAX];

/* The port in a sockaddr_in or sockaddr_in6 that the kernel wrote; 0 where `room` is too short to tell. */
static inline in_port_t ts_plain_port(const struct sockaddr *sa, socklen_t room)
{
	return room >= 4 && (sa->sa_family == AF_INET || sa->sa_family == AF_INET6) ? ((const struct sockaddr_in *)sa)->sin_port : 0;
}

static inline bool ts_plain_local(int fd, in_port_t port)
{
	return (unsigned)fd < TS_PLAIN_MAX && port && ts_plain[fd].local == port;
}

static inline bool ts_plain_peer(int fd, in_port_t port)
{
	return (unsigned)fd < TS_PLAIN_MAX && port && ts_plain[fd].peer == port;
}

/* The socket is being connected through a proxy. */
static inline void ts_plain_forget(int fd)
{
	if ((unsigned)fd < TS_PLAIN_MAX && (ts_plain[fd].local || ts_plain[fd].peer))
		ts_plain[fd].local = ts_plain[fd].peer = 0;
}

/* Writes it into a connected socket. 0 or -errno. */
int ts_identity_write(int fd, const struct ts_identity *id);
/* True where the socket is a carried connection: its kernel peer is a proxy of ours, and it holds an identity for this connection. */
bool ts_identity_read(int fd, struct ts_identity *id);
/* True where the socket's last connection was ours and failed, and nothing was made of the socket since. */
bool ts_identity_read_failed(int fd, struct ts_identity *id);
/* True where either is, or it is bound to an own address, or was connected until both sides ended it. `*other`, where given: it is connected, and to something else. */
bool ts_identity_read_any(int fd, struct ts_identity *id, bool *other);

#endif

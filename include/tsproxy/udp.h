/* SPDX-License-Identifier: MIT */
/*
 * Datagrams through a SOCKS5 proxy: one association (RFC 1928, UDP ASSOCIATE) a socket, made when the socket first
 * turns to the tailnet, ended with the last descriptor of it that is closed.
 *
 * The program's own socket exchanges datagrams with the relay, so that readiness, time-outs and blocking are the kernel's own. What
 * goes to other destinations passes by as it is.
 *
 * All functions keep errno. Results are a length, a count or 0, else -errno. Those that send or receive are cancellation points.
 */
#ifndef TSPROXY_UDP_H
#define TSPROXY_UDP_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#include "tsproxy/addr.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/route.h"

extern _Atomic int ts_udp_count;	/* descriptors with TS_FD_UDP in this process */

/* A descriptor with TS_FD_SHARED: takes over what another process did. True where it has an association. */
bool ts_udp_shared(int fd);

/* True where the descriptor is a socket with an association. */
static inline bool ts_fd_is_udp(int fd)
{
	unsigned flags = ts_fd_get_flags(fd) & (TS_FD_UDP | TS_FD_SHARED);

	if (__builtin_expect(!flags, 1))
		return false;
	return flags & TS_FD_SHARED ? ts_udp_shared(fd) : true;
}

/* sendmsg(2) on a socket with an association, or for a destination that is ours. */
ssize_t ts_udp_send(int fd, const struct msghdr *msg, int flags);
/* recvmsg(2) on a socket with an association, or on one that may get it while the call waits. */
ssize_t ts_udp_recv(int fd, struct msghdr *msg, int flags);
int ts_udp_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int ts_udp_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout);

/* recvmsg(2) has taken a datagram, of which `n` is the result, and the socket has an association that it had not when the call began. */
ssize_t ts_udp_turned(int fd, struct msghdr *msg, int flags, size_t n);

/*
 * Whether a call that begins to wait for a datagram now may find the socket turned to the tailnet when one comes: by another thread, or
 * by another process of the family. Where any of these carries something already, the call is made so that it can take what comes then;
 * else it is left to the kernel, as all that has nothing to do with a tailnet is, and what comes is looked at (ts_udp_turned). So it is in a
 * sandbox, whatever the socket is.
 */
enum ts_udp_turn { TS_UDP_STAYS, TS_UDP_MAY_BEGIN, TS_UDP_MAY_TURN };

static inline enum ts_udp_turn ts_udp_turn(int fd, int flags)
{
	unsigned f = ts_fd_get_flags(fd);

	if (__builtin_expect(!(f & (TS_FD_DATAGRAM | TS_FD_UDP)), 1))
		return TS_UDP_STAYS;
	if (ts_sandboxed())
		return TS_UDP_MAY_BEGIN;
	if (!(f & TS_FD_DATAGRAM) || flags & MSG_DONTWAIT || !(f & TS_FD_SHARED || !ts_single_threaded()))
		return TS_UDP_STAYS;
	return ts_family_carries() ? TS_UDP_MAY_TURN : TS_UDP_MAY_BEGIN;
}

/*
 * The kernel or libc is about to write `len` bytes (0: not known) to `fd` past the hooks: gives the header, to which they are appended.
 * 1: given, and ts_udp_begun is to be called afterwards; 0: none is needed; -errno: nothing may be written.
 */
int ts_udp_begin(int fd, size_t len);
/* `written`: something was. Otherwise the header is taken back. */
void ts_udp_begun(int fd, bool written);

/* connect(2) to an address that is ours. `family`: of the sockaddr given. */
int ts_udp_connect(int fd, const struct ts_addr *to, int family, const struct ts_decision *d);
/* connect(2) to any other address is about to be made on a socket with an association; it failed; it succeeded. */
void ts_udp_leaving(int fd, const struct sockaddr *to, socklen_t len);
void ts_udp_stayed(int fd);
void ts_udp_left(int fd);

/* The peer that a socket with an association is connected to. False: ask the kernel. `family`: of the socket's addresses. */
bool ts_udp_peer(int fd, struct ts_addr *out, int *family);
/* What the peer sees as our address, where the kernel says `kernel`. False: the kernel is right. */
bool ts_udp_local(int fd, const struct ts_addr *kernel, struct ts_addr *out, int *family);
/* FIONREAD. False: ask the kernel. */
bool ts_udp_unread(int fd, int *out);
/* Options whose value in the kernel is not the program's: IPV6_V6ONLY, UDP_GRO, the path's MTU. False: ask the kernel. */
bool ts_udp_get_option(int fd, int level, int name, int *out);
/* 1: done. 0: the real call, with the program's value. */
int ts_udp_set_option(int fd, int level, int name, const void *value, socklen_t len);

/*
 * The process is about to end, or to become another program: waits for a moment where the proxy might forget what was sent just now. At
 * exit() that happens by itself.
 */
void ts_udp_process_ending(void);

/* Descriptors of sockets with an association come and go. */
void ts_udp_fd_closing(int fd);			/* before close, or before `fd` is replaced */
/*
 * The same where it is a UDP socket's, and becomes one's with an association: a thread that reads it just then gets what comes to the
 * one or the other as it is on the tailnet.
 */
void ts_udp_fd_replacing(int to);
void ts_udp_fd_duplicated(int from, int to);

/*
 * Associations in the making. Nothing in the kernel would end a program's wait when there is something to do for one, so waits are cut into pieces
 * while there are any.
 */
extern _Atomic int ts_udp_pending_count;
static inline bool ts_udp_any_pending(void)
{
	return __builtin_expect(ts_udp_pending_count != 0, 0);
}
#define TS_UDP_PIECE_NS 10000000l
/* Goes on with all of them, without waiting. */
void ts_udp_advance(void);

/* Before fork, ts_fdtab_lock held: what either side makes of a UDP socket, the other is to know. */
void ts_udp_forking(int fd);
/* The descriptor is sent to, or came from, whoever may use the socket by another number: this process, another one. Likewise. */
void ts_udp_passed(int fd);
/* A socket came from another program: goes on with the association that it brings. ts_fdtab_lock held. */
void ts_udp_arrived(int fd);
/* Whether the socket has an association, whichever process made it. Asks the socket alone; no lock. */
bool ts_udp_has_record(int fd);

#endif

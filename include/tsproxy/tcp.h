/* SPDX-License-Identifier: MIT */
/*
 * One TCP connect through a proxy, on the program's own socket.
 *
 *   ts_tcp_connect ── blocking: returns when it is decided ──────────────► done
 *                └── non-blocking: -EINPROGRESS, PENDING ── ts_tcp_check ─► done
 *
 * While a flow is pending every hooked call on its descriptors asks ts_tcp_check first, which advances the handshake as far as
 * the bytes that are there allow and never blocks. Done means: the socket is what the kernel would show after a native connect,
 * and (but for an error other than ECONNREFUSED, until it was told) nothing is kept.
 *
 * All functions keep errno. Results are 0 or -errno.
 */
#ifndef TSPROXY_TCP_H
#define TSPROXY_TCP_H

#include <stdbool.h>
#include <sys/socket.h>

#include "tsproxy/addr.h"
#include "tsproxy/route.h"

enum ts_tcp_status {
	TS_TCP_NONE,	/* no flow: the kernel's word is the truth */
	TS_TCP_PENDING,
	TS_TCP_FAILED,	/* the kernel says ECONNREFUSED where another error is meant: see ts_tcp_error */
};

/*
 * connect(2) to an address that is ours. `family`: of the sockaddr given. Where the descriptor blocks and `flags` (0 or MSG_DONTWAIT) do
 * not say otherwise it may block, and is a cancellation point then.
 */
int ts_tcp_connect(int fd, const struct ts_addr *to, int family, const struct ts_decision *d, int flags);

/* Advances a pending flow without blocking and says where it stands. */
enum ts_tcp_status ts_tcp_check(int fd);
/*
 * The same; where pending, `*wake` is the poll event (POLLIN or POLLOUT) that the kernel reports when there is more to do, and
 * `*forked` is set where that may fail to come because another process completes the flow.
 */
enum ts_tcp_status ts_tcp_check_wake(int fd, short *wake, bool *forked);
/*
 * The same for a call that would wait for the connection: where the descriptor blocks (and `flags` has no MSG_DONTWAIT)
 * waits until it is decided. 0: go on with the real call. -EAGAIN, -EINTR: the call's result.
 * `option`: SO_RCVTIMEO or SO_SNDTIMEO, the time-out that rules the call.
 */
int ts_tcp_settle(int fd, int flags, int option);
/* The error the program is to see where the kernel said `err`, or as SO_ERROR 0, on a socket of ours. Tells it once. Positive errnos. */
int ts_tcp_error(int fd, int err);

/* Who a pending flow will be with. False where `fd` has none. */
struct ts_identity;
bool ts_tcp_names(int fd, struct ts_identity *out);

/*
 * shutdown(2) or connect(AF_UNSPEC) on a pending flow: the kernel ends a connection in SYN_SENT alike for both, but for `err`, which a
 * call gets that waits for it. 1: done as asked. 0: not pending.
 */
int ts_tcp_abort(int fd, int err);

/* SO_RCVLOWAT while pending: remembered, and put into force at the end. True where the flow is pending. */
bool ts_tcp_set_lowat(int fd, int value);
bool ts_tcp_get_lowat(int fd, int *value);

/* Descriptors of sockets of ours come and go. */
/* Before close, or before `fd` is replaced. False where it has an association by now, because another thread has just sent to the tailnet. */
bool ts_tcp_fd_closing(int fd);
void ts_tcp_fd_duplicated(int from, int to);	/* after dup and the like */
void ts_tcp_fd_listens(int fd);
bool ts_tcp_same(int fd, int to);		/* they name one pending socket: to replace one by the other changes nothing */

/* Calls the program's own epoll_ctl on a descriptor with flags; 0 or -errno; 1: not ours, make the real call. */
struct epoll_event;
int ts_tcp_epoll_ctl(int epfd, int op, int fd, const struct epoll_event *ev);
/* The program's epoll_ctl succeeded on a TCP socket that was not connected yet. */
void ts_tcp_epoll_done(int epfd, int op, int fd, const struct epoll_event *ev);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Between the parts of datagrams: udp.c (associations and their descriptors), udp_make.c (how they come to be), udp_link.c (the control
 * connection), udp_record.c; udp_send.c, udp_many.c, udp_segment.c, udp_beside.c, udp_begin.c, udp_unsent.c;
 * udp_recv.c, udp_unwrap.c, udp_pieces.c; udp_control.c, udp_memory.c; udp_connect.c (peers, names, options).
 */
#ifndef TSPROXY_FLOW_UDP_H
#define TSPROXY_FLOW_UDP_H

#include <limits.h>
#include <netinet/in.h>

#include "../fd/sock.h"
#include "tsproxy/udp.h"
#include "tsproxy/handshake.h"
#include "tsproxy/shared.h"
#include "tsproxy/socks5.h"
#include "tsproxy/sys.h"
#include "tsproxy/udp_header.h"

#define TS_UDP_DATAGRAM_MAX 65536	/* with whatever header */

union ts_udp_name {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* A control connection and what it gave. */
struct ts_udp_link {
	struct ts_addr relay;
	void *page;		/* the mapping that keeps the connection; null: */
	int fd;			/* the kernel cannot map it, and it stays a descriptor; -1 none */
	int64_t made_ms;	/* CLOCK_MONOTONIC_COARSE */
};

/* A control connection in the making. */
struct ts_udp_attempt {
	int fd;
	int maker;		/* its process: to a child by fork it is the parent's */
	bool connected;
	int64_t begun_ms;
	uint64_t cookie;	/* SO_COOKIE: programs close descriptors that they do not know */
	struct ts_proxy proxy;
	struct ts_handshake hs;
	size_t have;
	uint8_t in[TS_SOCKS5_REPLY_MAX + 2];
};

/* How a datagram goes to the relay. */
struct ts_udp_way {
	uint8_t head_len;
	bool named;	/* the kernel must be told the relay's address */
	uint8_t head[TS_UDP_HEADER_MAX];
};

/* What is needed to send or receive one datagram. */
struct ts_udp_view {
	unsigned seq;		/* of the association, when this was copied */
	int family;		/* of the socket */
	bool connected;		/* to `peer`: the kernel's peer is the relay, and a filter lets only this one's datagrams in */
	int source;		/* the family of the tailnet's address that it has by connect, until AF_UNSPEC; 0: none */
	bool v6only;		/* IPV6_V6ONLY was set by the program, and had to be cleared */
	bool pending;		/* the relay is not known yet; or none could be had, where there is no attempt */
	uint8_t head_len;	/* connected: the header for `peer` */
	uint8_t head[TS_UDP_HEADER_MAX];
	struct ts_addr peer, relay;
	struct ts_addr was;	/* the relay before, whose datagrams may still be in the queue; no port: none */
	union ts_udp_name name;	/* the relay as this socket names it */
	socklen_t name_len;
	int gso;		/* UDP_SEGMENT, the socket option */
	int maker;		/* the process that has the control connection */
};

/* What is _Atomic, `view` and `carried` are read without ts_fdtab_lock; the first and the last are written without it, too. */
struct ts_udp {
	unsigned seq;		/* odd while `view` is being changed */
	_Atomic unsigned refs;	/* descriptors */
	_Atomic int64_t left_ms;	/* when there were none any more */
	uint32_t next;		/* free list: index + 1 */
	uint64_t cookie;
	struct ts_udp_view view;
	struct ts_udp_link link;
	_Atomic bool making;	/* by `attempt` */
	struct ts_udp_attempt attempt;	/* ts_fdtab_lock */
	_Atomic int untold;	/* why no association could be had, where no call has said so yet; an errno */
	_Atomic bool gro;	/* the program's UDP_GRO; in the kernel it is off */
	_Atomic uint8_t expect;	/* the longest header that this socket's peers have: payloads behind such a one are received in place */
	_Atomic int wishes;	/* ts_udp_wishes; negative: to be asked again */
	_Atomic bool cork;	/* UDP_CORK */
	_Atomic uint32_t corked_bytes;	/* of a datagram that the kernel has not sent yet: MSG_MORE, UDP_CORK */
	_Atomic bool beside;	/* that goes past the relay */
	_Atomic bool strayed;	/* the kernel may take where a datagram in pieces went for the peer: ts_udp_send */
	_Atomic bool dropped;	/* the beginning of that was, and so is the rest */
	_Atomic bool begun;	/* a header may wait in the kernel (udp_begin.c) */
	_Atomic bool heard;	/* since `looked_ms` a datagram came from the relay */
	_Atomic int64_t looked_ms;	/* when it was last made sure that the relay is there */
	_Atomic int64_t used_ms;	/* when it was last sent by */
	struct {
		unsigned seq;	/* odd while it is being changed */
		struct ts_addr to __attribute__((aligned(8)));
	} carried;		/* the last destination that was found to be ours */
};

/* The association of `fd`, with a consistent copy of what it takes to use it; null: none. No lock. */
struct ts_udp *ts_udp_get(int fd, struct ts_udp_view *v);
/*
 * The association whose relay sent a datagram that was read by the number `fd`, where that did not lead to it when the call began: the number
 * was, or is by now, another socket's. Null: there is none; it came past the relays.
 */
struct ts_udp *ts_udp_by_relay(const union ts_udp_name *from, socklen_t len, struct ts_udp_view *v);
/* Registers an attempt to make the association of `fd`; another thread may have been faster. 0 or -errno. */
int ts_udp_install(int fd, struct ts_udp_attempt *a, int family, bool v6only);
/* Ends an attempt. Lock held. */
void ts_udp_give_up(struct ts_udp *u);
/* `to` was found to be ours, and need not be asked about again; no port: nothing was. */
void ts_udp_note_carried(struct ts_udp *u, const struct ts_addr *to);
/* One of its descriptors. Lock held. */
int ts_udp_fd_of(const struct ts_udp *u);
/* Those that have an attempt, one by one: null at the end. `*cursor` begins with 0. Lock held. */
struct ts_udp *ts_udp_next_in_making(uint32_t *cursor);

/* Whether `fd` is one of its descriptors. Lock held. */
bool ts_udp_leads_to(int fd, const struct ts_udp *u);

/* --- udp_make.c --- */

/*
 * ts_udp_get for a socket that turns to `to`: the association is made where there is none. 0 or -errno. The view is pending where the proxy
 * takes longer than the descriptor or `flags` (MSG_DONTWAIT) let it wait.
 */
int ts_udp_need(int fd, const struct ts_addr *to, int flags, struct ts_udp **u, struct ts_udp_view *v);
/*
 * Goes on with an association in the making, or makes another attempt. 0: it is made, `v` up to date. -EAGAIN: it is not yet, and the call may not
 * wait any longer. Else -errno: it failed.
 */
int ts_udp_settle(int fd, struct ts_udp *u, struct ts_udp_view *v, int flags);
/* Whether the program bound the socket to loopback, or connected it there: from such a source the kernel's routing knows no other way, EINVAL. */
bool ts_udp_from_loopback(int fd);
/* Changes the view; its `seq` counts for nothing. Lock held. */
void ts_udp_set_view(struct ts_udp *u, const struct ts_udp_view *v);
/* The socket has no association any more. Lock held. */
void ts_udp_forget_socket(struct ts_udp *u);
/* The association of `fd` where it still is that socket's. Lock held. */
struct ts_udp *ts_udp_of(int fd);

/*
 * Makes sure that the relay is there, and makes the association anew where it is not; `v` is brought up to date. Looks once a second at
 * most, unless an error (`suspect`) says that it may be gone. 0 all is well; 1 made anew;
 * 2 being made anew, and pending; -errno: gone, and it could not be made.
 */
int ts_udp_see_to_relay(int fd, struct ts_udp *u, struct ts_udp_view *v, bool suspect);

/* Begins to make one: 0 or -errno. */
int ts_udp_attempt_begin(struct ts_udp_attempt *a);
/* Goes on, without waiting. 0: made. -EAGAIN: not yet. Else -errno: it failed, and is over. Lock held. */
int ts_udp_attempt_step(struct ts_udp_attempt *a, struct ts_udp_link *out);
void ts_udp_attempt_end(struct ts_udp_attempt *a);
void ts_udp_link_close(struct ts_udp_link *link);
/*
 * The same for one that was last sent by at `used_ms`: the proxy learns of the end, and drops what it has not read, no sooner than a moment
 * after that. Lock held.
 */
void ts_udp_link_leave(struct ts_udp_link *link, int64_t used_ms);
/* Whether the proxy would learn at once that the process is gone, and might drop what it was sent just now. */
bool ts_udp_link_hurries(const struct ts_udp_link *link, int64_t used_ms);
/* CLOCK_MONOTONIC_COARSE. */
int64_t ts_udp_now_ms(void);
/* True where nobody holds the relay's port any more. */
bool ts_udp_link_dead(const struct ts_addr *relay);

/* --- udp_record.c --- */

/* False: the program has a filter on the socket, or has locked that it has none. */
bool ts_udp_may_mark(int fd);
/*
 * Gives the socket the filter that goes with its view, and with it the record of that view: what other processes that hold the socket need
 * to know. Tells those that came by fork. 0 or -ENOBUFS.
 */
int ts_udp_mark(int fd, const struct ts_udp_view *v);
/* The socket has no association any more. */
void ts_udp_unmark(int fd);
/* The view that the socket's record tells of. False where it has none. */
bool ts_udp_record(int fd, struct ts_udp_view *v);
/* `fd` may be one more number of a socket whose association is in the making, so that it has no record yet. Lock held. */
void ts_udp_join(int fd);
/* Installs or brings up to date what a record says. Lock held. */
void ts_udp_adopt(int fd, const struct ts_udp_view *v);

/* Control messages that are not quite the program's. */
struct ts_udp_control {
	uint8_t bytes[384] __attribute__((aligned(8)));
};

/* --- udp_pieces.c --- */

struct ts_udp_pieces {
	struct iovec *iov;
	size_t count;
	size_t room;	/* the program's */
	uint8_t head[TS_UDP_HEADER_MAX], spare[TS_UDP_HEADER_MAX];
	uint8_t expect;
	bool name_shared;	/* the place for the source's name is the message's before, too, which the kernel was given */
};

/* `space`: for two more pieces than `n`. */
void ts_udp_lay_out(struct ts_udp_pieces *p, struct iovec *space, const struct iovec *iov, size_t n, uint8_t expect);
/* memmove along the list. */
void ts_udp_move(const struct ts_udp_pieces *p, size_t to, size_t from, size_t n);
/* The first bytes of what came, for the header's reader. */
size_t ts_udp_peek_head(const struct ts_udp_pieces *p, size_t got, uint8_t out[TS_UDP_HEADER_MAX]);

/* --- udp_unwrap.c --- */

/* Whether the control messages may have to be others than the kernel's: then they come into a buffer of ours first. */
static inline bool ts_udp_turns_control(const struct ts_udp_view *v, const struct msghdr *user)
{
	return v->family == AF_INET6 && user->msg_controllen;
}

/* The kernel's message for the program's. */
void ts_udp_ask(struct msghdr *k, const struct ts_udp *u, const struct ts_udp_view *v, const struct ts_udp_pieces *p,
		const struct msghdr *user, union ts_udp_name *from, struct ts_udp_control *control);
/*
 * Turns what the kernel gave into what the program is to see: `k` the kernel's message, `real` the datagram's whole length.
 * Returns the payload's whole length, -EAGAIN: it was for us alone; -EFAULT: the program's name cannot be written to.
 */
ssize_t ts_udp_unwrap(int fd, struct ts_udp *u, const struct ts_udp_view *v, struct ts_udp_pieces *p, struct msghdr *k, size_t real,
		      struct msghdr *user);
/* What came was for us alone: it is there no more. */
void ts_udp_drop(int fd, int flags);
/*
 * What the socket is by now, after a call that may have waited: meanwhile another thread, a child or a handler may have turned it to the
 * tailnet (`u` null), or made its association anew.
 */
struct ts_udp *ts_udp_by_now(int fd, struct ts_udp *u, struct ts_udp_view *v);

/* --- udp_memory.c --- */

/* What the pieces are long together; SIZE_MAX where the kernel would say that one is impossible. */
size_t ts_udp_length(const struct msghdr *msg);
/* Whether it can be written to; `fd`: any socket. */
bool ts_udp_writable(int fd, void *p, size_t len);
/* 0, or -EFAULT where the program's memory is not there. */
int ts_udp_gather(uint8_t *to, const struct msghdr *msg, size_t skip, size_t len);
int ts_udp_scatter(int fd, const struct msghdr *msg, const uint8_t *from, size_t len);

/* --- udp_control.c --- */

/*
 * Sending. True where the control messages cannot go to the relay as they are: a source that the program chose is the tailnet's, and no
 * address of this machine; `*segment`, the size of segments, is without headers; the relay's family may be another than the peer's.
 */
bool ts_udp_control(const struct msghdr *msg, const struct ts_udp_view *v, const struct ts_udp_way *way, int *segment);
/* A copy, in `space`, of those that go to the relay, with the size of segments that is meant. 0 or -errno. */
int ts_udp_control_copy(struct msghdr *out, const struct msghdr *msg, const struct ts_udp_view *v, const struct ts_udp_way *way,
			struct ts_udp_control *space, int segment);
/* Receiving: makes those in place speak of the tailnet. */
void ts_udp_control_mend(struct msghdr *m, const struct ts_addr *from);
/* Whether the kernel's are of the other family than the peer. */
bool ts_udp_control_is_other(const struct ts_udp_view *v, const struct ts_addr *from);
/* What the program asked for of what only the peer's family has. */
unsigned ts_udp_wishes(int fd);
/* Puts into `m`, which has `room`, what the kernel gave, and what the program wishes for. `from` null: it did not come from the relay. */
void ts_udp_control_give(int fd, struct msghdr *m, struct msghdr *given, size_t room, unsigned wishes, const struct ts_udp_view *v,
			 const struct ts_addr *from);

/* --- udp_unsent.c --- */

/* Takes back a header that waits. */
void ts_udp_unbegin(int fd, struct ts_udp *u);
/* Throws away what the kernel has of a datagram that is not sent yet. */
void ts_udp_discard(int fd);

/* --- udp_send.c --- */

#define TS_UDP_PIECES 14	/* of a message; what has more is seldom, and its list is not on the stack */
#define TS_UDP_PIECES_MAX 1024	/* UIO_MAXIOV */

/* Whether the kernel refuses to send it before it looks where to. */
static inline bool ts_udp_is_refused(const struct msghdr *msg)
{
	return msg->msg_iovlen > TS_UDP_PIECES_MAX || (msg->msg_iovlen && !ts_plausible(msg->msg_iov)) || msg->msg_controllen > INT_MAX;
}
#define TS_UDP_RELAY_BYTES 8192	/* tailscaled's buffer, header included; it cuts silently what is longer */

enum { TS_UDP_PASS, TS_UDP_RELAY, TS_UDP_NEED };

/*
 * What the kernel, or we in its place, make of a message's name: TS_UDP_PASS, TS_UDP_RELAY or -errno. `u` null: the socket has no
 * association; TS_UDP_NEED: `*to`, which is set then, needs one.
 */
int ts_udp_look_at(int fd, const struct msghdr *msg, struct ts_udp *u, const struct ts_udp_view *v, struct ts_udp_way *r, struct ts_addr *to);
/* The same where an association may be made or waited for: it never returns TS_UDP_NEED. */
int ts_udp_classify(int fd, const struct msghdr *msg, int flags, struct ts_udp **u, struct ts_udp_view *v, struct ts_udp_way *way);
/* Makes `out` carry `msg`: header and pieces; address and control messages (changed where there is `space` for that). 0 or -errno. */
void ts_udp_wrap(struct msghdr *out, struct iovec *iov, const struct msghdr *msg, struct ts_udp_way *way);
int ts_udp_address(struct msghdr *out, const struct msghdr *msg, const struct ts_udp_view *v, const struct ts_udp_way *way,
		   struct ts_udp_control *space, int segment);
/* A send that fails with `err` gives the socket a port all the same. */
ssize_t ts_udp_refuse(int fd, const struct ts_udp *u, int err);
/* The real call; where it says that the relay is gone and another can be had, once more. */
ssize_t ts_udp_send_wrapped(int fd, struct ts_udp *u, struct ts_udp_view *v, struct msghdr *out, int flags);
/*
 * Whether the socket was shut down for sending. The kernel sees that when it makes room for a datagram, before it takes what is in
 * it (sock_alloc_send_pskb), so one that cannot be read tells it and never leaves. As with each that is sent the socket has a port
 * then, and the room that is given back is an edge for whoever waits for EPOLLOUT.
 */
bool ts_udp_is_shut(int fd, const struct ts_udp_view *v);
/* The relay is not known yet: drops it, as a queue that is full drops it on the way. Its length or -errno. */
ssize_t ts_udp_send_dropped(int fd, const struct ts_udp_view *v, const struct ts_udp_way *way, const struct msghdr *msg, int segment);
/* udp_beside.c: to another than the peer that the socket is connected to, and not through the relay. Its length or -errno. */
ssize_t ts_udp_send_beside(int fd, const struct msghdr *msg, int flags);
#define TS_UDP_SEGMENTS_MAX 128	/* UDP_MAX_SEGMENTS in linux/udp.h; 64 before 6.9, where the kernel says so */
/* udp_segment.c: more than one segment. */
ssize_t ts_udp_send_segments(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_way *way, const struct msghdr *msg, int flags,
			     int segment);

/* From an IPv4 address a socket of IPv6 reaches none of IPv6 (ip6_dst_lookup_tail). */
static inline bool ts_udp_is_mapped(const struct ts_udp_view *v)
{
	return v->source == AF_INET && v->family == AF_INET6;
}

static inline void ts_udp_name_set(union ts_udp_name *out, socklen_t *len, const struct ts_addr *a, int family)
{
	struct sockaddr_storage sa;

	*len = ts_addr_to_sockaddr(a, family, &sa);
	__builtin_memcpy(out, &sa, sizeof(*out));
}

/* Whether the kernel's name for a datagram's source is the relay. */
static inline bool ts_udp_from_relay(const struct ts_udp_view *v, const union ts_udp_name *from, socklen_t len)
{
	struct ts_addr a;

	return ts_addr_from_sockaddr(&a, &from->sa, len) &&
	       (ts_addr_equal(&a, &v->relay) || (v->was.port && ts_addr_equal(&a, &v->was)));
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Receiving: one kernel call takes a datagram, header and all (udp_pieces.c), and gives it as it is on the tailnet: its source, its control
 * messages, its length. The kernel is always asked for the true length, from which truncation is told in the program's terms.
 */
#include "udp_internal.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/cancel.h"
#include "tsproxy/real.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define BATCH 64
#define BATCH_PIECES 256
#define BATCH_CONTROLS 15

/* One datagram; -EAGAIN with `*ours`: one came, but not for the program. */
static ssize_t receive(int fd, struct ts_udp **u, struct ts_udp_view *v, struct ts_udp_pieces *p, struct msghdr *user, int flags, bool *ours)
{
	union ts_udp_name from;
	struct ts_udp_control control;
	struct msghdr k;
	ssize_t n, whole;

	ts_udp_ask(&k, *u, v, p, user, &from, &control);
	n = ts_real()->recvmsg(fd, &k, flags | MSG_TRUNC);
	*ours = false;
	if (n < 0)
		return -ts_errno;
	*u = ts_udp_by_now(fd, *u, v);
	whole = ts_udp_unwrap(fd, *u, v, p, &k, (size_t)n, user);
	if (whole == -EAGAIN) {
		*ours = true;
		ts_udp_drop(fd, flags);
		return whole;
	}
	return whole < 0 || flags & MSG_TRUNC || (size_t)whole < p->room ? whole : (ssize_t)p->room;
}

static uint8_t expected(const struct ts_udp *u)
{
	return u ? u->expect : 0;
}

static __attribute__((noinline)) ssize_t receive_short(int fd, struct ts_udp **u, struct ts_udp_view *v, struct msghdr *user, int flags,
						       bool *ours)
{
	struct iovec iov[TS_UDP_PIECES + 2];
	struct ts_udp_pieces p;

	ts_udp_lay_out(&p, iov, user->msg_iov, user->msg_iovlen, expected(*u));
	return receive(fd, u, v, &p, user, flags, ours);
}

/* One of many pieces. */
struct long_one {
	int fd, flags;
	struct ts_udp **u;
	struct ts_udp_view *v;
	struct msghdr *user;
	bool *ours;
	ssize_t result;
};

static void receive_listed(void *iov, void *arg)
{
	struct long_one *l = arg;
	struct ts_udp_pieces p;

	ts_udp_lay_out(&p, iov, l->user->msg_iov, l->user->msg_iovlen, expected(*l->u));
	l->result = receive(l->fd, l->u, l->v, &p, l->user, l->flags, l->ours);
}

/* So many pieces that two more are too many for the kernel: through a buffer. */
static void receive_joined(void *buf, void *arg)
{
	struct long_one *l = arg;
	size_t room = ts_udp_length(l->user);
	struct iovec one = { buf, room < TS_UDP_DATAGRAM_MAX ? room : TS_UDP_DATAGRAM_MAX }, iov[3];
	struct ts_udp_pieces p;
	int err = 0;

	ts_udp_lay_out(&p, iov, &one, 1, expected(*l->u));
	l->result = receive(l->fd, l->u, l->v, &p, l->user, l->flags, l->ours);
	if (l->result > 0)
		err = ts_udp_scatter(l->fd, l->user, buf, (size_t)l->result < one.iov_len ? (size_t)l->result : one.iov_len);
	if (err)
		l->result = err;
}

static __attribute__((noinline)) ssize_t receive_long(int fd, struct ts_udp **u, struct ts_udp_view *v, struct msghdr *user, int flags,
						      bool *ours)
{
	struct long_one l = { fd, flags, u, v, user, ours, -ENOBUFS };
	size_t n = user->msg_iovlen + 2;

	if (n <= TS_UDP_PIECES_MAX)
		ts_cancel_scratch(n * sizeof(struct iovec), receive_listed, &l);
	else
		ts_cancel_scratch(TS_UDP_DATAGRAM_MAX, receive_joined, &l);
	return l.result;
}

static ssize_t receive_one(int fd, struct ts_udp **u, struct ts_udp_view *v, struct msghdr *user, int flags, bool *ours)
{
	return (user->msg_iovlen <= TS_UDP_PIECES ? receive_short : receive_long)(fd, u, v, user, flags, ours);
}

/* What is not the kernel refuses. */
static bool is_list(const struct msghdr *msg)
{
	return msg->msg_iovlen <= TS_UDP_PIECES_MAX && (!msg->msg_iovlen || ts_plausible(msg->msg_iov));
}

ssize_t ts_udp_recv(int fd, struct msghdr *msg, int flags)
{
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);
	int saved = ts_errno;
	bool again;
	ssize_t n;

	if (!is_list(msg)) {
		n = ts_real()->recvmsg(fd, msg, flags);
		return n < 0 ? -ts_errno : n;
	}
	if (u && __builtin_expect(v.pending, 0)) {
		ts_udp_advance();
		u = ts_udp_get(fd, &v);
	}
	do {
		n = receive_one(fd, &u, &v, msg, flags, &again);
		/* The relay's port is closed: for the program, datagrams were lost, and others may come. */
		if (n == -ECONNREFUSED && u && ts_udp_see_to_relay(fd, u, &v, true) > 0)
			again = true;
	} while (again);
	ts_errno = saved;
	return n;
}

bool ts_udp_unread(int fd, int *out)
{
	uint8_t head[TS_UDP_HEADER_MAX];
	union ts_udp_name from;
	socklen_t len = sizeof(from);
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);
	struct ts_addr who;
	long n;

	if (!u)
		return false;
	n = ts_sys(SYS_recvfrom, fd, head, sizeof(head), MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, &from, &len);
	if (n < 0 || !ts_udp_from_relay(&v, &from, len))
		return false;
	*out = (int)(n - (long)ts_udp_header_read(head, n < TS_UDP_HEADER_MAX ? (size_t)n : TS_UDP_HEADER_MAX, &who));
	return true;
}

struct batch {
	unsigned count;
	size_t used;
	struct mmsghdr k[BATCH];
	union ts_udp_name from[BATCH];
	struct ts_udp_control control[BATCH_CONTROLS];
	struct ts_udp_pieces p[BATCH];
	struct iovec iov[BATCH_PIECES];
};

_Static_assert(sizeof(struct batch) <= TS_SCRATCH_LARGE, "no memory is mapped for it");

/* One kernel call of a recvmmsg. `asked`: for how many datagrams; 0: the first message goes by itself. `result`: how many are the program's. */
struct part {
	int fd, flags;
	struct ts_udp *u;
	struct ts_udp_view v;
	struct mmsghdr *msgs;
	unsigned n;
	struct timespec *timeout;
	unsigned asked;
	int result;	/* or -errno */
};

/* Room for as many of the messages as one call can take. */
static void lay_out_many(struct batch *b, const struct ts_udp *u, const struct ts_udp_view *v, const struct mmsghdr *msgs, unsigned n)
{
	b->used = 0;
	for (b->count = 0; b->count < n && b->count < BATCH; b->count++) {
		const struct msghdr *user = &msgs[b->count].msg_hdr;
		struct ts_udp_pieces *p = &b->p[b->count];
		bool turned = u && ts_udp_turns_control(v, user);

		if (turned && b->count == BATCH_CONTROLS)
			return;
		if (!is_list(user) || user->msg_iovlen > TS_UDP_PIECES || b->used + user->msg_iovlen + 2 > BATCH_PIECES)
			return;
		ts_udp_lay_out(p, &b->iov[b->used], user->msg_iov, user->msg_iovlen, expected(u));
		b->used += p->count;
		p->name_shared = b->count && user->msg_name && user->msg_name == msgs[b->count - 1].msg_hdr.msg_name;
		if (p->name_shared && user->msg_namelen > msgs[b->count - 1].msg_hdr.msg_namelen)
			return;	/* where the kernel has not been */
		ts_udp_ask(&b->k[b->count].msg_hdr, u, v, p, user, &b->from[b->count], turned ? &b->control[b->count] : NULL);
	}
}

/* A datagram that is for us alone does not come where the filter (udp_record.c) is in place; what is behind one is lost. */
static int give_all(struct batch *b, struct part *s, int got)
{
	int good;

	for (good = 0; good < got; good++) {
		struct msghdr *k = &b->k[good].msg_hdr;
		size_t real = b->k[good].msg_len;
		ssize_t whole = ts_udp_unwrap(s->fd, s->u, &s->v, &b->p[good], k, real, &s->msgs[good].msg_hdr);

		if (whole == -EFAULT && !good)
			return -EFAULT;
		if (whole == -EAGAIN)
			ts_udp_drop(s->fd, s->flags);
		if (whole < 0)
			break;
		if (!(s->flags & MSG_TRUNC) && (size_t)whole > b->p[good].room)
			whole = (ssize_t)b->p[good].room;
		s->msgs[good].msg_len = (unsigned)whole;
	}
	return good;
}

static void receive_together(void *memory, void *arg)
{
	struct batch *b = memory;
	struct part *s = arg;
	int got;

	lay_out_many(b, s->u, &s->v, s->msgs, s->n);
	s->asked = b->count;
	s->result = 0;
	if (!b->count)
		return;
	got = ts_real()->recvmmsg(s->fd, b->k, b->count, s->flags | MSG_TRUNC, s->timeout);
	if (got < 0) {
		s->result = -ts_errno;
		return;
	}
	s->u = ts_udp_by_now(s->fd, s->u, &s->v);
	s->result = give_all(b, s, got);
}

static void receive_some(struct part *s)
{
	bool again = !(s->u && s->v.pending) && s->n > 1;
	ssize_t len;

	s->asked = 0;
	while (again) {
		if (!ts_cancel_scratch(sizeof(struct batch), receive_together, s))
			break;
		again = (s->asked && s->result == 0) ||
			(s->result == -ECONNREFUSED && s->u && ts_udp_see_to_relay(s->fd, s->u, &s->v, true) > 0);
	}
	if (s->asked)
		return;
	s->asked = 1;
	len = ts_udp_recv(s->fd, &s->msgs->msg_hdr, s->flags & ~MSG_WAITFORONE);
	if (len >= 0)
		s->msgs->msg_len = (unsigned)len;
	s->result = len < 0 ? (int)len : 1;
}

int ts_udp_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout)
{
	int saved = ts_errno, r = 0;
	unsigned done = 0;

	while (done < n) {
		struct part s = { .fd = fd, .flags = flags, .msgs = msgs + done, .n = n - done, .timeout = timeout };

		s.u = ts_udp_get(fd, &s.v);
		receive_some(&s);
		r = s.result;
		if (r < 0)
			break;
		done += (unsigned)r;
		if ((unsigned)r < s.asked || (timeout && ts_plausible(timeout) && !timeout->tv_sec && !timeout->tv_nsec))
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
	}
	ts_errno = saved;
	return done || r >= 0 ? (int)done : r;
}

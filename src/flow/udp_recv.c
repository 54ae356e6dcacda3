/* SPDX-License-Identifier: MIT */
/*
 * Receiving: one kernel call takes a datagram, header and all (udp_pieces.c), and gives it as it is on the tailnet: its source, its control
 * messages, its length. The kernel is always asked for the true length, from which truncation is told in the program's terms.
 */
#include "udp.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/real.h"
#include "tsproxy/sys.h"

#define BATCH 64
#define BATCH_PIECES 256
#define BATCH_CONTROLS 16

/*
 * Where the kernel is to put the name: the program's own place, if it is big enough, so that it is the kernel who finds that it cannot be
 * written to; else `ours`.
 */
static void ask_name(struct msghdr *k, const struct ts_udp *u, const struct ts_udp_view *v, const struct ts_udp_pieces *p,
		     const struct msghdr *user, union ts_udp_name *ours)
{
	size_t need = u && v->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	bool direct = user->msg_name && user->msg_namelen >= need && !p->name_shared;

	k->msg_name = direct ? user->msg_name : ours;
	k->msg_namelen = direct ? user->msg_namelen : sizeof(*ours);
}

/* 0 or -EFAULT. `from` null: it is the kernel's name. */
static int give_name(int fd, const struct ts_udp_view *v, const struct ts_udp_pieces *p, const struct msghdr *k, const struct ts_addr *from,
		     struct msghdr *user)
{
	struct sockaddr_storage sa;
	socklen_t len;

	if (!user->msg_name)
		return 0;
	if (k->msg_name != user->msg_name && !p->name_shared && !ts_udp_writable(fd, user->msg_name, user->msg_namelen))
		return -EFAULT;
	if (!from && k->msg_name == user->msg_name) {
		user->msg_namelen = k->msg_namelen;
		return 0;
	}
	len = from ? ts_addr_to_sockaddr(from, v->family, &sa) : k->msg_namelen;
	ts_sockaddr_copy_out(from ? &sa : (void *)k->msg_name, len, user->msg_name, &user->msg_namelen);
	return 0;
}

/* Whether the control messages may have to be others than the kernel's: then they come into a buffer of ours first. */
static bool turns_control(const struct ts_udp_view *v, const struct msghdr *user)
{
	return v->family == AF_INET6 && user->msg_controllen;
}

/* `k`: where the kernel put the control messages; `from` null: not through the relay. */
static void give_control(int fd, struct ts_udp *u, const struct ts_udp_view *v, struct msghdr *k, const struct ts_addr *from,
			 struct msghdr *user)
{
	size_t room = user->msg_controllen;

	user->msg_controllen = k->msg_controllen;
	if (k->msg_control != user->msg_control) {
		if (from && ts_udp_control_is_other(v, from) && u->wishes < 0)
			u->wishes = (int)ts_udp_wishes(fd);
		ts_udp_control_give(fd, user, k, room, from && ts_udp_control_is_other(v, from) ? (unsigned)u->wishes : 0, v, from);
	} else if (from) {
		ts_udp_control_mend(user, from);
	}
}

static bool is_nudge(const struct ts_udp *u, const struct msghdr *k)
{
	return u && ts_udp_is_nudge(u, k->msg_name, k->msg_namelen);
}

/* What came was for us alone: it is there no more. */
static void drop(int fd, struct ts_udp *u, const struct msghdr *k, size_t real, int flags)
{
	if (flags & MSG_PEEK)
		ts_sys(SYS_recvfrom, fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	if (!real && is_nudge(u, k))
		ts_udp_hushed(u);
}

/*
 * Turns what the kernel gave into what the program is to see: `k` the kernel's message, `real` the datagram's whole length.
 * Returns the payload's whole length, -EAGAIN: it was for us alone; -EFAULT: the program's name cannot be written to.
 */
static ssize_t unwrap(int fd, struct ts_udp *u, const struct ts_udp_view *v, struct ts_udp_pieces *p, struct msghdr *k, size_t real, struct msghdr *user)
{
	uint8_t head[TS_UDP_HEADER_MAX];
	struct ts_addr from;
	size_t room = p->room + TS_UDP_HEADER_MAX, got = real < room ? real : room, head_len = 0, whole, kept;
	int err;
	bool relayed = u && ts_udp_from_relay(v, k->msg_name, k->msg_namelen);
	struct ts_udp_view others;

	if (!relayed && __builtin_expect(ts_udp_count, 0)) {
		struct ts_udp *other = ts_udp_by_relay(k->msg_name, k->msg_namelen, &others);

		if ((relayed = other != NULL)) {
			u = other;
			v = &others;
		}
	}
	if (relayed) {
		u->heard = true;
		head_len = ts_udp_header_read(head, ts_udp_peek_head(p, got, head), &from);
		if (!head_len || (v->family == AF_INET && !ts_addr_is4(&from)))
			return -EAGAIN;
	}
	if (!relayed && !real && is_nudge(u, k))
		return -EAGAIN;
	whole = real - head_len;
	kept = whole < p->room ? whole : p->room;
	ts_udp_move(p, p->expect, head_len, kept);
	user->msg_flags = (k->msg_flags & ~MSG_TRUNC) | (whole > p->room ? MSG_TRUNC : 0);
	if (user->msg_controllen)
		give_control(fd, u, v, k, relayed ? &from : NULL, user);
	err = give_name(fd, v, p, k, relayed ? &from : NULL, user);
	return err ? err : (ssize_t)whole;
}

/*
 * What the socket is by now, after a call that may have waited: meanwhile another thread, a child or a handler may have turned it to the
 * tailnet (`u` null), or made its association anew.
 */
static struct ts_udp *by_now(int fd, struct ts_udp *u, struct ts_udp_view *v)
{
	struct ts_udp_view fresh;
	struct ts_udp *now;

	if (__builtin_expect(u && __atomic_load_n(&u->seq, __ATOMIC_ACQUIRE) == v->seq, 1))
		return u;
	now = ts_udp_get(fd, &fresh);
	if (!now || (u && now != u))
		return u;	/* closed meanwhile, and the number may be another's */
	*v = fresh;
	return now;
}

/* The kernel's message for the program's. */
static void ask(struct msghdr *k, const struct ts_udp *u, const struct ts_udp_view *v, const struct ts_udp_pieces *p, const struct msghdr *user,
		union ts_udp_name *from, struct ts_udp_control *control)
{
	*k = (struct msghdr){ .msg_iov = p->iov, .msg_iovlen = p->count, .msg_control = user->msg_control,
			      .msg_controllen = user->msg_controllen };
	ask_name(k, u, v, p, user, from);
	if (u && turns_control(v, user)) {
		k->msg_control = control->bytes;
		k->msg_controllen = sizeof(*control);
	}
}

ssize_t ts_udp_look(int fd, struct ts_udp *u, const struct ts_udp_view *v, struct ts_udp_pieces *p, struct msghdr *msg, int flags,
		    size_t *real)
{
	union ts_udp_name from;
	struct ts_udp_control control;
	struct msghdr k;
	long n;

	for (int tries = 0; tries < 2; tries++) {
		ask(&k, u, v, p, msg, &from, &control);
		n = ts_sys(SYS_recvmsg, fd, &k, flags | MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
		if (n || !is_nudge(u, &k))
			break;	/* else it is empty, and was peeked at by now: the kernel passes it by */
	}
	*real = n > 0 ? (size_t)n : 0;
	return n < 0 ? n : unwrap(fd, u, v, p, &k, (size_t)n, msg);
}

/* How far the program has peeked, for udp_peek.c: `n` bytes of the kernel's were peeked at, or taken. */
static void note_peeked(struct ts_udp *u, size_t n, int flags)
{
	if (!(flags & MSG_PEEK))
		u->peeked = u->peeked > n ? u->peeked - (uint32_t)n : 0;
	else if (u->peeked < n)
		u->peeked = (uint32_t)n;
}

/* One datagram; -EAGAIN with `*ours`: one came, but not for the program. */
static ssize_t receive(int fd, struct ts_udp **u, struct ts_udp_view *v, struct ts_udp_pieces *p, struct msghdr *user, int flags, bool *ours)
{
	union ts_udp_name from;
	struct ts_udp_control control;
	struct msghdr k;
	ssize_t n, whole;

	ask(&k, *u, v, p, user, &from, &control);
	n = ts_real()->recvmsg(fd, &k, flags | MSG_TRUNC);
	*ours = false;
	if (n < 0)
		return -ts_errno;
	*u = by_now(fd, *u, v);
	if (*u && __builtin_expect(flags & MSG_PEEK || (*u)->peeked, 0))
		note_peeked(*u, (size_t)n, flags);
	whole = unwrap(fd, *u, v, p, &k, (size_t)n, user);
	if (whole == -EAGAIN) {
		*ours = true;
		drop(fd, *u, &k, (size_t)n, flags);
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

static __attribute__((noinline)) ssize_t receive_long(int fd, struct ts_udp **u, struct ts_udp_view *v, struct msghdr *user, int flags,
						      bool *ours)
{
	struct iovec iov[TS_UDP_PIECES_MAX];
	struct ts_udp_pieces p;

	ts_udp_lay_out(&p, iov, user->msg_iov, user->msg_iovlen, expected(*u));
	return receive(fd, u, v, &p, user, flags, ours);
}

/* So many pieces that two more are too many for the kernel: through a buffer. */
static ssize_t receive_joined(int fd, struct ts_udp **u, struct ts_udp_view *v, struct msghdr *user, int flags, bool *ours)
{
	uint8_t *buf = ts_zero_pages(TS_UDP_DATAGRAM_MAX, MAP_PRIVATE);
	size_t room = ts_udp_length(user);
	struct iovec one = { buf, room < TS_UDP_DATAGRAM_MAX ? room : TS_UDP_DATAGRAM_MAX }, iov[3];
	struct ts_udp_pieces p;
	ssize_t n;
	int err = 0;

	if (!buf)
		return -ENOBUFS;
	ts_udp_lay_out(&p, iov, &one, 1, expected(*u));
	n = receive(fd, u, v, &p, user, flags, ours);
	if (n > 0)
		err = ts_udp_scatter(fd, user, buf, (size_t)n < one.iov_len ? (size_t)n : one.iov_len);
	ts_sys(SYS_munmap, buf, TS_UDP_DATAGRAM_MAX);
	return err ? err : n;
}

static ssize_t receive_one(int fd, struct ts_udp **u, struct ts_udp_view *v, struct msghdr *user, int flags, bool *ours)
{
	return (user->msg_iovlen <= TS_UDP_PIECES ? receive_short :
		user->msg_iovlen <= TS_UDP_PIECES_MAX - 2 ? receive_long : receive_joined)(fd, u, v, user, flags, ours);
}

/* What is not the kernel refuses. */
static bool is_list(const struct msghdr *msg)
{
	return msg->msg_iovlen <= TS_UDP_PIECES_MAX && (!msg->msg_iovlen || ts_plausible(msg->msg_iov));
}

/* Where MSG_PEEK has an offset. */
static __attribute__((noinline)) ssize_t receive_beside_offset(int fd, struct ts_udp **u, struct ts_udp_view *v, struct msghdr *msg,
							       int flags, bool *ours)
{
	int before = ts_udp_peek_get(fd, *u);
	ssize_t n;

	*ours = false;
	if (before >= 0 && flags & MSG_PEEK)
		return ts_udp_peek(fd, *u, v, msg, flags);
	n = receive_one(fd, u, v, msg, flags, ours);
	if (before >= 0 && n >= 0)
		ts_udp_peek_taken(fd, *u, before, n);
	return n;
}

static bool is_for_sleepers(int fd, struct ts_udp *u)
{
	bool is;

	ts_lock(&ts_fdtab_lock);
	is = ts_udp_nudge_is_next(fd, u);
	ts_unlock(&ts_fdtab_lock);
	return is;
}

ssize_t ts_udp_recv(int fd, struct msghdr *msg, int flags)
{
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);
	int saved = ts_errno;
	bool again;
	ssize_t n;
	int offset;

	if (!is_list(msg)) {
		n = ts_real()->recvmsg(fd, msg, flags);
		return n < 0 ? -ts_errno : n;
	}
	if (!u && flags & MSG_PEEK && (offset = ts_udp_peek_offset(fd)) >= 0) {
		n = ts_udp_peek_turning(fd, offset, &u, &v, msg, flags);
		if (n < 0 || !u)
			return n;
	}
	if (u && __builtin_expect(v.pending, 0) && u->pending && ts_udp_settle_for(fd, u, &v, flags) == -EAGAIN && ts_sock_is_at_once(fd, flags) &&
	    is_for_sleepers(fd, u))
		return -EAGAIN;	/* what is there is not for the program, but for who is asleep */
	do {
		n = (u && __builtin_expect(u->peeks && !(flags & MSG_ERRQUEUE), 0) ? receive_beside_offset : receive_one)
		    (fd, &u, &v, msg, flags, &again);
		/* The relay's port is closed: for the program, datagrams were lost, and others may come. */
		if (n == -ECONNREFUSED && u && ts_udp_see_to_relay(fd, u, &v, true) > 0)
			again = true;
		if (again && u && v.pending && u->pending)
			ts_udp_settle_for(fd, u, &v, flags);	/* begun while this thread was asleep (udp_rouse.c) */
	} while (again);
	if (u && __builtin_expect(v.pending, 0) && u->pending)
		ts_udp_nudge_all();
	ts_errno = saved;
	return n;
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

/* Room for as many of the messages as one call can take. */
static void lay_out_many(struct batch *b, const struct ts_udp *u, const struct ts_udp_view *v, const struct mmsghdr *msgs, unsigned n)
{
	b->used = 0;
	for (b->count = 0; b->count < n && b->count < BATCH; b->count++) {
		const struct msghdr *user = &msgs[b->count].msg_hdr;
		struct ts_udp_pieces *p = &b->p[b->count];
		bool turned = u && turns_control(v, user);

		if (turned && b->count == BATCH_CONTROLS)
			return;
		if (!is_list(user) || user->msg_iovlen > TS_UDP_PIECES || b->used + user->msg_iovlen + 2 > BATCH_PIECES)
			return;
		ts_udp_lay_out(p, &b->iov[b->used], user->msg_iov, user->msg_iovlen, expected(u));
		b->used += p->count;
		b->k[b->count].msg_hdr = (struct msghdr){
			.msg_iov = p->iov, .msg_iovlen = p->count,
			.msg_control = user->msg_control, .msg_controllen = user->msg_controllen,
		};
		p->name_shared = b->count && user->msg_name && user->msg_name == msgs[b->count - 1].msg_hdr.msg_name;
		if (p->name_shared && user->msg_namelen > msgs[b->count - 1].msg_hdr.msg_namelen)
			return;	/* where the kernel has not been */
		ask_name(&b->k[b->count].msg_hdr, u, v, p, user, &b->from[b->count]);
		if (turned) {
			b->k[b->count].msg_hdr.msg_control = b->control[b->count].bytes;
			b->k[b->count].msg_hdr.msg_controllen = sizeof(b->control[0]);
		}
	}
}

/*
 * One call's datagrams: how many, or -errno. `*asked`: for how many. A datagram that is for us alone does not come where the
 * filter (udp_record.c) is in place; what is behind one is lost.
 */
static __attribute__((noinline)) int receive_many(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout,
						  unsigned *asked)
{
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);
	struct batch b;
	int got, good;

	b.count = 0;
	if (!u || !(v.pending || u->peeks))
		lay_out_many(&b, u, &v, msgs, n);
	if (!b.count) {
		ssize_t len = ts_udp_recv(fd, &msgs->msg_hdr, flags & ~MSG_WAITFORONE);

		*asked = 1;
		if (len >= 0)
			msgs->msg_len = (unsigned)len;
		return len < 0 ? (int)len : 1;
	}
	*asked = b.count;
	do {
		got = ts_real()->recvmmsg(fd, b.k, b.count, flags | MSG_TRUNC, timeout);
		if (got < 0 && (ts_errno != ECONNREFUSED || !u || ts_udp_see_to_relay(fd, u, &v, true) <= 0))
			return -ts_errno;
		u = by_now(fd, u, &v);
		for (good = 0; good < got; good++) {
			ssize_t whole = unwrap(fd, u, &v, &b.p[good], &b.k[good].msg_hdr, b.k[good].msg_len, &msgs[good].msg_hdr);

			if (u && __builtin_expect(flags & MSG_PEEK || u->peeked, 0))
				note_peeked(u, b.k[good].msg_len, flags);
			if (whole == -EFAULT && !good)
				return -EFAULT;
			if (whole == -EAGAIN)
				drop(fd, u, &b.k[good].msg_hdr, b.k[good].msg_len, flags);
			if (whole < 0)
				break;
			if (!(flags & MSG_TRUNC) && (size_t)whole > b.p[good].room)
				whole = (ssize_t)b.p[good].room;
			msgs[good].msg_len = (unsigned)whole;
		}
		if (got && !good && u && v.pending && u->pending)
			ts_udp_settle_for(fd, u, &v, flags);
	} while (got && !good);
	return good;
}

int ts_udp_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout)
{
	int saved = ts_errno, r = 0;
	unsigned done = 0;

	while (done < n) {
		unsigned asked;

		r = receive_many(fd, msgs + done, n - done, flags, timeout, &asked);
		if (r < 0)
			break;
		done += (unsigned)r;
		if ((unsigned)r < asked || (timeout && ts_plausible(timeout) && !timeout->tv_sec && !timeout->tv_nsec))
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
	}
	ts_errno = saved;
	return done || r >= 0 ? (int)done : r;
}

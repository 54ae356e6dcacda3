/* SPDX-License-Identifier: MIT */
/*
 * SO_PEEK_OFF: from where on MSG_PEEK looks into what is there to be read. The kernel counts all bytes of all datagrams there, headers
 * included; the program counts payload. So a peek goes through the datagrams one by one, whole, each from where the kernel has it begin,
 * until the program's offset is used up.
 *
 * The kernel's SO_PEEK_OFF is the program's own whenever it is not being used for that, so that it goes where the socket goes. A peek that
 * waits leaves it where the wait shall end (`parked` is the program's then); the kernel looks at it as the wait begins, and never again
 * in that call, so whoever comes next puts it right.
 */
#include "udp.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/real.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define CONTROL_MAX 4096

static void set(int fd, int offset)
{
	ts_sock_set_int(fd, SOL_SOCKET, SO_PEEK_OFF, offset);
}

int ts_udp_peek_offset(int fd)
{
	int offset = -1;
	socklen_t len = sizeof(offset);

	return ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) == 0 ? offset : -1;
}

/* The program's offset, which is the kernel's again. Lock held. */
static int unpark(int fd, struct ts_udp *u)
{
	if (u->parked >= 0)
		set(fd, u->parked);
	u->parked = -1;
	return ts_udp_peek_offset(fd);
}

int ts_udp_peek_get(int fd, struct ts_udp *u)
{
	int offset;

	ts_lock(&ts_fdtab_lock);
	offset = unpark(fd, u);
	ts_unlock(&ts_fdtab_lock);
	return offset;
}

int ts_udp_peek_set(int fd, struct ts_udp *u, const void *value, socklen_t len)
{
	int r;

	ts_lock(&ts_fdtab_lock);
	unpark(fd, u);
	r = (int)ts_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_PEEK_OFF, value, len);
	u->peeks = ts_udp_peek_offset(fd) >= 0;
	ts_unlock(&ts_fdtab_lock);
	return r;
}

void ts_udp_peek_taken(int fd, struct ts_udp *u, int before, ssize_t n)
{
	ts_lock(&ts_fdtab_lock);
	if (unpark(fd, u) >= 0)
		set(fd, before > n ? before - (int)n : 0);
	ts_unlock(&ts_fdtab_lock);
}

/* A datagram looked at, in memory of ours. */
struct look {
	uint8_t bytes[TS_UDP_DATAGRAM_MAX];
	uint8_t control[CONTROL_MAX];
	struct sockaddr_storage name;
	struct msghdr msg;
	ssize_t whole;		/* its payload */
};

/* Copies what the program is to see of it. Its length, or -EFAULT; `*n`: what the program's offset moves by. */
static ssize_t give(int fd, struct look *l, size_t skip, struct msghdr *user, int flags, ssize_t *n)
{
	size_t room = ts_udp_length(user), left = (size_t)l->whole > skip ? (size_t)l->whole - skip : 0;

	*n = 0;
	user->msg_flags = l->msg.msg_flags | (room <= left && room < (size_t)l->whole ? MSG_TRUNC : 0);
	if (ts_udp_scatter(fd, user, l->bytes + skip, room < left ? room : left))
		return -EFAULT;
	*n = flags & MSG_TRUNC ? l->whole : (ssize_t)(room < left ? room : left);
	if (user->msg_controllen)
		user->msg_controllen = ts_udp_writable(fd, user->msg_control, l->msg.msg_controllen) ? l->msg.msg_controllen : 0;
	if (user->msg_controllen)
		memcpy(user->msg_control, l->control, user->msg_controllen);
	if (!user->msg_name)
		return *n;
	if (!ts_udp_writable(fd, user->msg_name, user->msg_namelen))
		return -EFAULT;
	ts_sockaddr_copy_out(&l->name, l->msg.msg_namelen, user->msg_name, &user->msg_namelen);
	return *n;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Goes to the datagram that the offset leads to, as the kernel's __skb_try_recv_from_queue does: one that is empty is passed by where
 * something was before it, or where it was peeked at. `*kernel`: where there is none yet (-EAGAIN).
 */
static ssize_t walk(int fd, struct ts_udp *u, const struct ts_udp_view *v, struct look *l, struct msghdr *user, int flags, int *kernel)
{
	int offset = unpark(fd, u);
	size_t left = (size_t)offset, at = 0;
	ssize_t n, r;

	for (;;) {
		struct iovec one = { l->bytes, sizeof(l->bytes) - TS_UDP_HEADER_MAX }, iov[3];
		struct ts_udp_pieces p;
		size_t real;

		l->msg = (struct msghdr){ .msg_name = user->msg_name ? &l->name : NULL, .msg_namelen = sizeof(l->name),
					  .msg_control = l->control, .msg_controllen = least(user->msg_controllen, sizeof(l->control)) };
		ts_udp_lay_out(&p, iov, &one, 1, u->expect);
		set(fd, (int)at);
		r = l->whole = ts_udp_look(fd, u, v, &p, &l->msg, flags, &real);
		if (r < 0 && !real)
			break;
		if (r >= 0 && !(left >= (size_t)r && (left || (real && at + real <= u->peeked)))) {
			r = give(fd, l, left, user, flags, &n);
			if (u->peeked < at + real)
				u->peeked = (uint32_t)(at + real);
			offset = (int)((unsigned)offset + (unsigned)n);
			break;
		}
		left -= r > 0 ? (size_t)r : 0;
		at += real;
	}
	set(fd, offset < 0 ? 0 : offset);
	*kernel = (int)at;
	return r;
}

/* Until there is something behind `kernel`, or an error. */
static int wait_for(int fd, struct ts_udp *u, int kernel, int flags)
{
	struct msghdr nothing = { 0 };
	int r;

	ts_lock(&ts_fdtab_lock);
	u->parked = unpark(fd, u);
	set(fd, kernel);
	ts_unlock(&ts_fdtab_lock);
	r = ts_real()->recvmsg(fd, &nothing, flags | MSG_PEEK) < 0 ? -ts_errno : 0;
	ts_udp_peek_get(fd, u);
	return r;
}

ssize_t ts_udp_peek(int fd, struct ts_udp *u, const struct ts_udp_view *v, struct msghdr *msg, int flags)
{
	ssize_t n;
	int kernel, err = 0;

	do {
		struct look *l = ts_zero_pages(sizeof(*l), MAP_PRIVATE);

		if (!l)
			return -ENOBUFS;
		ts_lock(&ts_fdtab_lock);
		n = walk(fd, u, v, l, msg, flags, &kernel);
		ts_unlock(&ts_fdtab_lock);
		ts_sys(SYS_munmap, l, sizeof(*l));
		if (n == -EAGAIN && !(flags & MSG_DONTWAIT))
			err = wait_for(fd, u, kernel, flags);
	} while (n == -EAGAIN && !(flags & MSG_DONTWAIT) && !err);
	return err ? err : n;
}

/* What the peek took counts for nothing where the socket had turned to the tailnet by then: it is looked at anew. */
ssize_t ts_udp_peek_turning(int fd, int before, struct ts_udp **u, struct ts_udp_view *v, struct msghdr *msg, int flags)
{
	struct msghdr m = *msg;
	ssize_t n = ts_real()->recvmsg(fd, &m, flags);

	if (n < 0)
		return -ts_errno;
	*u = ts_udp_get(fd, v);
	if (*u)
		ts_udp_peek_set(fd, *u, &before, sizeof(before));
	else
		*msg = m;
	return n;
}

long ts_udp_peek_first(int fd, struct ts_udp *u, void *to, size_t room, union ts_udp_name *from, socklen_t *len)
{
	int offset = u->peeks ? unpark(fd, u) : -1;
	long n;

	if (u->peeks)
		set(fd, -1);
	n = ts_sys(SYS_recvfrom, fd, to, room, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, from, len);
	if (u->peeks)
		set(fd, offset);
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
	bool locks, next;
	long n;

	if (!u)
		return false;
	locks = u->peeks || ts_udp_nudged(u, &who);
	if (locks)
		ts_lock(&ts_fdtab_lock);
	next = ts_udp_nudge_is_next(fd, u);
	n = ts_udp_peek_first(fd, u, head, sizeof(head), &from, &len);
	if (locks)
		ts_unlock(&ts_fdtab_lock);
	if (next)
		*out = 0;
	if (next || n < 0 || !ts_udp_from_relay(&v, &from, len))
		return next;
	*out = (int)(n - (long)ts_udp_header_read(head, n < TS_UDP_HEADER_MAX ? (size_t)n : TS_UDP_HEADER_MAX, &who));
	return true;
}

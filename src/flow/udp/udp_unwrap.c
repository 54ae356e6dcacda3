/* SPDX-License-Identifier: MIT */
/*
 * What the kernel is asked for in place of what the program asked for, and what the program is shown of what it gave: the source, the
 * control messages and the length as they are on the tailnet.
 */
#include "udp_internal.h"

#include <errno.h>

#include "tsproxy/sys.h"

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

void ts_udp_drop(int fd, int flags)
{
	if (flags & MSG_PEEK)
		ts_sys(SYS_recvfrom, fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

ssize_t ts_udp_unwrap(int fd, struct ts_udp *u, const struct ts_udp_view *v, struct ts_udp_pieces *p, struct msghdr *k, size_t real,
		      struct msghdr *user)
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
	whole = real - head_len;
	kept = whole < p->room ? whole : p->room;
	ts_udp_move(p, p->expect, head_len, kept);
	user->msg_flags = (k->msg_flags & ~MSG_TRUNC) | (whole > p->room ? MSG_TRUNC : 0);
	if (user->msg_controllen)
		give_control(fd, u, v, k, relayed ? &from : NULL, user);
	err = give_name(fd, v, p, k, relayed ? &from : NULL, user);
	return err ? err : (ssize_t)whole;
}

struct ts_udp *ts_udp_by_now(int fd, struct ts_udp *u, struct ts_udp_view *v)
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

void ts_udp_ask(struct msghdr *k, const struct ts_udp *u, const struct ts_udp_view *v, const struct ts_udp_pieces *p,
		const struct msghdr *user, union ts_udp_name *from, struct ts_udp_control *control)
{
	*k = (struct msghdr){ .msg_iov = p->iov, .msg_iovlen = p->count, .msg_control = user->msg_control,
			      .msg_controllen = user->msg_controllen };
	ask_name(k, u, v, p, user, from);
	if (u && ts_udp_turns_control(v, user)) {
		k->msg_control = control->bytes;
		k->msg_controllen = sizeof(*control);
	}
}

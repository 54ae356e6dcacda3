/* SPDX-License-Identifier: MIT */
/*
 * Sending: the header goes in front as one more piece of a scatter-gather list, so no payload is copied. Only where a program gathers
 * from more pieces than are worth a list here (and the kernel takes no more than 1024 in all) are they joined in a buffer.
 */
#include "udp.h"

#include <errno.h>
#include <limits.h>
#include <netinet/udp.h>
#include <string.h>

#include "tsproxy/dest.h"
#include "tsproxy/log.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"

#define PIECES_MAX 15
#define RELAY_BYTES 8192	/* tailscaled's buffer, header included; it cuts silently what is longer */

enum { PASS, RELAY };

/* Where a datagram goes, and the header that says so. */
struct route {
	uint8_t head_len;
	bool named;	/* the kernel must be told the relay's address */
	uint8_t head[TS_UDP_HEADER_MAX];
};

static bool was_carried(struct ts_udp *u, const struct ts_addr *to)
{
	unsigned seq = __atomic_load_n(&u->carried.seq, __ATOMIC_ACQUIRE);
	bool same = ts_addr_equal(&u->carried.to, to);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return same && !(seq & 1) && __atomic_load_n(&u->carried.seq, __ATOMIC_RELAXED) == seq;
}

static void note_carried(struct ts_udp *u, const struct ts_addr *to)
{
	unsigned seq = __atomic_load_n(&u->carried.seq, __ATOMIC_RELAXED);

	if (seq & 1 || !__sync_bool_compare_and_swap(&u->carried.seq, seq, seq + 1))
		return;
	u->carried.to = *to;
	__atomic_store_n(&u->carried.seq, seq + 2, __ATOMIC_RELEASE);
}

/* What the kernel, or we in its place, make of a name: PASS, RELAY or -errno. `*u` null: the socket has no association yet. */
static int classify(int fd, const struct msghdr *msg, struct ts_udp **u, struct ts_udp_view *v, struct route *r)
{
	struct ts_decision d;
	struct ts_addr to;
	int err;

	if (*u && (!msg->msg_name || (v->family == AF_INET6 && ts_plausible(msg->msg_name) && msg->msg_namelen >= 2 &&
				      ((struct sockaddr *)msg->msg_name)->sa_family == AF_UNSPEC))) {
		if (!v->connected)
			return PASS;
		r->head_len = v->head_len;
		r->named = false;
		memcpy(r->head, v->head, sizeof(r->head));
		return RELAY;
	}
	if (!ts_dest_datagram(msg->msg_name, msg->msg_namelen, &to))
		return PASS;
	if (*u && ts_addr_is4(&to) && v->v6only)
		return -ENETUNREACH;
	if (!*u || !was_carried(*u, &to)) {
		d = ts_route_decide(&to);
		if (d.verdict == TS_PASS || d.loopback)
			return PASS;
		if (d.verdict == TS_DENY)
			return -d.err;
		if (to.port == 0)
			return -EINVAL;
		if (!*u && (err = ts_udp_need(fd, &to, u, v)))
			return err;
		if (v->family == AF_INET && ((struct sockaddr *)msg->msg_name)->sa_family == AF_INET6)
			return PASS;	/* EAFNOSUPPORT */
		note_carried(*u, &to);
	}
	r->head_len = (uint8_t)ts_udp_header_write(r->head, &to);
	r->named = true;
	return RELAY;
}

static size_t length_of(const struct msghdr *msg)
{
	size_t total = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		if (msg->msg_iov[i].iov_len > SSIZE_MAX - total)
			return SSIZE_MAX;
		total += msg->msg_iov[i].iov_len;
	}
	return total;
}

/* A source that the program chose (IP_PKTINFO) is the tailnet's, and no address of this machine: what goes to the relay has none. */
static bool chooses_source(const struct msghdr *msg)
{
	struct msghdr m = *msg;

	if (!msg->msg_control || !ts_plausible(msg->msg_control))
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO))
			return true;
	return false;
}

/* Makes `out`, with its pieces in `iov`, the message that carries `msg` along `r`. */
static void wrap(struct msghdr *out, struct iovec *iov, const struct msghdr *msg, const struct ts_udp_view *v, struct route *r)
{
	*out = (struct msghdr){ .msg_iov = iov, .msg_iovlen = msg->msg_iovlen + 1 };
	iov[0] = (struct iovec){ r->head, r->head_len };
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		iov[i + 1] = msg->msg_iov[i];
	if (r->named) {
		out->msg_name = (void *)&v->name;
		out->msg_namelen = v->name_len;
	}
	if (!chooses_source(msg)) {
		out->msg_control = msg->msg_control;
		out->msg_controllen = msg->msg_controllen;
	}
}

/* The real call; where it says that the relay is gone and another can be had, once more. */
static ssize_t send_wrapped(int fd, struct ts_udp *u, struct ts_udp_view *v, struct msghdr *out, int flags, size_t head_len)
{
	ssize_t n = ts_real()->sendmsg(fd, out, flags);
	int err = n < 0 ? ts_errno : 0;

	if (err == ECONNREFUSED && ts_udp_see_to_relay(fd, u, v, true) == 1) {
		if (out->msg_name)
			out->msg_namelen = v->name_len;
		n = ts_real()->sendmsg(fd, out, flags);
		err = n < 0 ? ts_errno : 0;
	}
	if (err)
		return -err;
	return n - (ssize_t)head_len;
}

static __attribute__((noinline)) ssize_t send_joined(int fd, struct ts_udp *u, struct ts_udp_view *v, struct route *r,
						     const struct msghdr *msg, int flags)
{
	uint8_t whole[RELAY_BYTES];
	struct iovec piece = { whole, 0 }, iov[2];
	struct msghdr one = *msg, out;

	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		memcpy(whole + piece.iov_len, msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len);
		piece.iov_len += msg->msg_iov[i].iov_len;
	}
	one.msg_iov = &piece;
	one.msg_iovlen = 1;
	wrap(&out, iov, &one, v, r);
	return send_wrapped(fd, u, v, &out, flags, r->head_len);
}

static ssize_t pass(int fd, const struct msghdr *msg, int flags)
{
	ssize_t n = ts_real()->sendmsg(fd, msg, flags);

	return n < 0 ? -ts_errno : n;
}

ssize_t ts_udp_send(int fd, const struct msghdr *msg, int flags)
{
	struct iovec iov[PIECES_MAX + 1];
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);
	struct msghdr out;
	struct route r;
	int kind, saved = ts_errno;
	ssize_t n;

	if (msg->msg_iovlen > 1024 || (msg->msg_iovlen && !ts_plausible(msg->msg_iov)))
		n = pass(fd, msg, flags);	/* the kernel refuses it before anything else */
	else if ((kind = classify(fd, msg, &u, &v, &r)) == PASS)
		n = pass(fd, msg, flags);
	else if (kind < 0)
		n = kind;
	else if (length_of(msg) > (size_t)(RELAY_BYTES - r.head_len))
		n = -EMSGSIZE;
	else if ((n = ts_udp_see_to_relay(fd, u, &v, false)) < 0)
		;
	else if (msg->msg_iovlen > PIECES_MAX)
		n = send_joined(fd, u, &v, &r, msg, flags);
	else {
		wrap(&out, iov, msg, &v, &r);
		n = send_wrapped(fd, u, &v, &out, flags, r.head_len);
	}
	ts_errno = saved;
	return n;
}

int ts_udp_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		ssize_t len = ts_udp_send(fd, &msgs[i].msg_hdr, flags);

		if (len < 0)
			return i ? (int)i : (int)len;
		msgs[i].msg_len = (unsigned)len;
	}
	return (int)i;
}

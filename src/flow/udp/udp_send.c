/* SPDX-License-Identifier: MIT */
/*
 * Sending: the header goes in front as one more piece of a scatter-gather list, so no payload is copied. Only where a program gathers
 * from as many pieces as the kernel takes are they joined in a buffer.
 * What is to leave in segments is for udp_segment.c, many messages at once for udp_many.c.
 *
 * With MSG_MORE or UDP_CORK the kernel puts a datagram together out of several calls. Only the first brings the header; the others
 * are appended to whatever is pending, and their address does not count.
 */
#include "udp_internal.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/cancel.h"
#include "tsproxy/dest.h"
#include "tsproxy/log.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"

static bool was_carried(struct ts_udp *u, const struct ts_addr *to)
{
	unsigned seq = ts_seq_begin(&u->carried.seq);
	struct ts_addr last;

	ts_shared_read(&last, &u->carried.to, sizeof(last));
	return ts_addr_equal(&last, to) && ts_seq_holds(&u->carried.seq, seq);
}

/* Of what was not carried a moment ago. */
static int decide(int fd, const struct ts_addr *to, const struct ts_udp *u, const struct ts_udp_view *v)
{
	struct ts_decision d = ts_route_decide(to);

	if (d.verdict == TS_PASS || d.loopback)
		return TS_UDP_PASS;
	if (d.verdict == TS_DENY)
		return -d.err;
	if (d.remote)
		return -ENETUNREACH;	/* a placeholder means nothing to the daemon */
	if (to->port == 0)
		return -EINVAL;
	if (!u)
		return TS_UDP_NEED;
	return !v->source && ts_udp_from_loopback(fd) ? -EINVAL : TS_UDP_RELAY;
}

static int relay_to(const struct msghdr *msg, struct ts_udp *u, const struct ts_udp_view *v, const struct ts_addr *to, struct ts_udp_way *r)
{
	if (v->family == AF_INET && ((struct sockaddr *)msg->msg_name)->sa_family == AF_INET6)
		return -EAFNOSUPPORT;
	r->head_len = (uint8_t)ts_udp_header_write(r->head, to);
	r->named = true;
	if (r->head_len > u->expect)
		u->expect = r->head_len;
	return TS_UDP_RELAY;
}

int ts_udp_look_at(int fd, const struct msghdr *msg, struct ts_udp *u, const struct ts_udp_view *v, struct ts_udp_way *r, struct ts_addr *to)
{
	int kind;

	if (u && (!msg->msg_name || !msg->msg_namelen || (v->family == AF_INET6 && ts_plausible(msg->msg_name) && msg->msg_namelen >= 2 &&
				      ((struct sockaddr *)msg->msg_name)->sa_family == AF_UNSPEC))) {
		if (!v->connected)
			return TS_UDP_PASS;
		r->head_len = v->head_len;
		r->named = u->strayed;
		memcpy(r->head, v->head, sizeof(r->head));
		return TS_UDP_RELAY;
	}
	if (!ts_dest_datagram(msg->msg_name, msg->msg_namelen, to))
		return TS_UDP_PASS;
	if (u && ts_addr_is4(to) && v->v6only)
		return -ENETUNREACH;
	if (u && ts_udp_is_mapped(v) && !ts_addr_is4(to))
		return -EAFNOSUPPORT;
	if (!u || !was_carried(u, to)) {
		kind = decide(fd, to, u, v);
		if (kind != TS_UDP_RELAY)
			return kind;
		ts_udp_note_carried(u, to);
	}
	return relay_to(msg, u, v, to, r);
}

int ts_udp_classify(int fd, const struct msghdr *msg, int flags, struct ts_udp **u, struct ts_udp_view *v, struct ts_udp_way *r)
{
	struct ts_addr to;
	int kind, err;

	kind = ts_udp_look_at(fd, msg, *u, v, r, &to);
	if (kind == TS_UDP_RELAY && __builtin_expect(v->pending, 0)) {
		err = ts_udp_settle(fd, *u, v, flags);
		return err && err != -EAGAIN ? err : kind;
	}
	if (kind != TS_UDP_NEED)
		return kind;
	err = ts_udp_need(fd, &to, flags, u, v);
	if (err)
		return err;
	ts_udp_note_carried(*u, &to);
	return relay_to(msg, *u, v, &to, r);
}

int ts_udp_address(struct msghdr *out, const struct msghdr *msg, const struct ts_udp_view *v, const struct ts_udp_way *way,
		   struct ts_udp_control *space, int segment)
{
	if (way->named) {
		out->msg_name = (void *)&v->name;
		out->msg_namelen = v->name_len;
	}
	out->msg_control = msg->msg_control;
	out->msg_controllen = msg->msg_controllen;
	return space ? ts_udp_control_copy(out, msg, v, way, space, segment) : 0;
}

void ts_udp_wrap(struct msghdr *out, struct iovec *iov, const struct msghdr *msg, struct ts_udp_way *way)
{
	*out = (struct msghdr){ .msg_iov = iov, .msg_iovlen = msg->msg_iovlen + 1 };
	iov[0] = (struct iovec){ way->head, way->head_len };
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		iov[i + 1] = msg->msg_iov[i];
}

/* While a daemon that started anew is slow to answer, a datagram that is in pieces by now goes the way of all that is sent just then. */
static ssize_t lost(const struct msghdr *out)
{
	return (ssize_t)ts_udp_length(out);
}

ssize_t ts_udp_send_wrapped(int fd, struct ts_udp *u, struct ts_udp_view *v, struct msghdr *out, int flags)
{
	ssize_t n = ts_real()->sendmsg(fd, out, flags);
	int err = n < 0 ? ts_errno : 0, made;

	made = err == ECONNREFUSED ? ts_udp_see_to_relay(fd, u, v, true) : 0;
	if (made == 2)
		return lost(out);
	if (made == 1) {
		if (out->msg_name)
			out->msg_namelen = v->name_len;
		n = ts_real()->sendmsg(fd, out, flags);
		err = n < 0 ? ts_errno : 0;
	}
	return err ? -err : n;
}

/*
 * The kernel gives a socket a port before it looks at what is to be sent (inet_send_prepare): so does a send here that it never sees, by one that
 * it refuses for the name's family.
 */
static void take_port(int fd, const struct ts_udp *u)
{
	static const struct sockaddr none = { .sa_family = AF_MAX };
	union ts_udp_name name;
	socklen_t len = sizeof(name);
	struct ts_addr local;

	if (!(u && u->corked_bytes) && ts_sys(SYS_getsockname, fd, &name, &len) == 0 && ts_addr_from_sockaddr(&local, &name.sa, len) && !local.port)
		ts_sys(SYS_sendto, fd, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL, &none, sizeof(name.in));
}

ssize_t ts_udp_refuse(int fd, const struct ts_udp *u, int err)
{
	take_port(fd, u);
	return err;
}

bool ts_udp_is_shut(int fd, const struct ts_udp_view *v)
{
	struct ts_addr none;
	union ts_udp_name name;
	socklen_t len;
	long hole = ts_sys(SYS_mmap, 0, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), r;

	if (hole < 0)
		return false;
	if (v->v6only)
		ts_addr_set6(&none, (const uint8_t[16]){ [15] = 1 }, 9);
	else
		ts_addr_set4(&none, (const uint8_t[4]){ 127, 0, 0, 1 }, 9);
	ts_udp_name_set(&name, &len, &none, v->family);
	/* What the socket was told of before, such as that the relay is gone, comes first, once. */
	do
		r = ts_sys(SYS_sendto, fd, hole, 1, MSG_DONTWAIT | MSG_NOSIGNAL, &name, len);
	while (r == -ECONNREFUSED);
	ts_sys(SYS_munmap, hole, 1);
	return r == -EPIPE;
}

ssize_t ts_udp_send_dropped(int fd, const struct ts_udp_view *v, const struct ts_udp_way *way, const struct msghdr *msg, int segment)
{
	size_t len = ts_udp_length(msg), step = segment ? (size_t)segment : len;

	if (len > 0xffff || (len < step ? len : step) + way->head_len > TS_UDP_RELAY_BYTES)
		return -EMSGSIZE;
	if (ts_udp_is_shut(fd, v))
		return -EPIPE;
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		if (msg->msg_iov[i].iov_len && !ts_readable(msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len))
			return -EFAULT;
	return segment && len > (size_t)segment * TS_UDP_SEGMENTS_MAX ? -EINVAL : (ssize_t)len;
}

/* `iov`: for one piece more than the message has. */
static ssize_t send_listed(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_way *way, const struct msghdr *msg, int flags,
			   bool control, struct iovec *iov)
{
	struct ts_udp_control space;
	struct msghdr out;
	ssize_t n;
	int err;

	ts_udp_wrap(&out, iov, msg, way);
	err = ts_udp_address(&out, msg, v, way, control ? &space : NULL, 0);
	if (err)
		return err;
	n = ts_udp_send_wrapped(fd, u, v, &out, flags);
	return n < 0 ? n : n - way->head_len;
}

static __attribute__((noinline)) ssize_t send_short(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_way *way,
						    const struct msghdr *msg, int flags, bool control)
{
	struct iovec iov[TS_UDP_PIECES + 1];

	return send_listed(fd, u, v, way, msg, flags, control, iov);
}

/* One of many pieces. */
struct long_one {
	int fd, flags;
	struct ts_udp *u;
	struct ts_udp_view *v;
	struct ts_udp_way *way;
	const struct msghdr *msg;
	bool control;
	ssize_t result;
};

static void send_list(void *iov, void *arg)
{
	struct long_one *l = arg;

	l->result = send_listed(l->fd, l->u, l->v, l->way, l->msg, l->flags, l->control, iov);
}

static void send_joined(void *joined, void *arg)
{
	struct long_one *l = arg;
	struct iovec piece = { joined, ts_udp_length(l->msg) }, iov[2];
	struct msghdr one = *l->msg;

	one.msg_iov = &piece;
	one.msg_iovlen = 1;
	l->result = ts_udp_gather(joined, l->msg, 0, piece.iov_len);
	if (!l->result)
		l->result = send_listed(l->fd, l->u, l->v, l->way, &one, l->flags, l->control, iov);
}

static __attribute__((noinline)) ssize_t send_long(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_way *way,
						   const struct msghdr *msg, int flags, bool control)
{
	struct long_one l = { fd, flags, u, v, way, msg, control, -ENOBUFS };
	size_t n = msg->msg_iovlen + 1;

	if (n <= TS_UDP_PIECES_MAX)
		ts_cancel_scratch(n * sizeof(struct iovec), send_list, &l);
	else
		ts_cancel_scratch(TS_UDP_RELAY_BYTES, send_joined, &l);
	return l.result;
}

static ssize_t pass(int fd, const struct msghdr *msg, int flags)
{
	ssize_t n = ts_real()->sendmsg(fd, msg, flags);

	return n < 0 ? -ts_errno : n;
}

/* To what waits in the kernel. The address of such a piece does not count, and by now another thread may have sent what waited. */
static ssize_t pass_piece(int fd, const struct msghdr *msg, int flags)
{
	struct msghdr piece = *msg;

	piece.msg_name = NULL;
	piece.msg_namelen = 0;
	return pass(fd, &piece, flags);
}

/* A piece for the datagram that is being put together. */
static ssize_t append(int fd, struct ts_udp *u, const struct msghdr *msg, int flags)
{
	size_t len = ts_udp_length(msg);

	if (u->beside)
		return pass_piece(fd, msg, flags);
	if (len > TS_UDP_RELAY_BYTES - u->corked_bytes) {
		if (!u->dropped)
			ts_udp_discard(fd);
		return -EMSGSIZE;
	}
	return u->dropped ? (ssize_t)len : pass_piece(fd, msg, flags);
}

/* What is pending after a call that sent `n` bytes (header included) or failed. */
static void note_pending(struct ts_udp *u, ssize_t n, int flags)
{
	if (n >= 0 && (u->cork || flags & MSG_MORE)) {
		u->corked_bytes += (uint32_t)n;
	} else {
		u->corked_bytes = 0;
		u->dropped = false;
	}
}

static ssize_t send_carried(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_way *way, const struct msghdr *msg, int flags)
{
	int segment, err;
	bool control = ts_udp_control(msg, v, way, &segment);
	size_t len = ts_udp_length(msg);
	ssize_t n;

	if (len == SIZE_MAX)
		return pass(fd, msg, flags);	/* the kernel refuses it before it looks where to */
	if (way->head[3] == TS_SOCKS5_ATYP_IPV6)
		flags &= ~MSG_OOB;	/* udpv6_sendmsg does not look at it; the relay may be at an IPv4 address */
	if (v->pending)
		goto dropped;
	if (segment && len > (size_t)segment)
		return ts_udp_send_segments(fd, u, v, way, msg, flags, segment);
	if (len > (size_t)(TS_UDP_RELAY_BYTES - way->head_len))
		return -EMSGSIZE;
	err = ts_udp_see_to_relay(fd, u, v, false);
	if (err < 0)
		return err;
	if (v->pending)
		goto dropped;
	return (msg->msg_iovlen <= TS_UDP_PIECES ? send_short : send_long)(fd, u, v, way, msg, flags, control);
dropped:
	n = ts_udp_send_dropped(fd, v, way, msg, segment);
	u->dropped = n >= 0 && (u->cork || flags & MSG_MORE);
	return n;
}

ssize_t ts_udp_send(int fd, const struct msghdr *msg, int flags)
{
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);
	struct ts_udp_way way;
	int kind, saved = ts_errno;
	ssize_t n;

	if (ts_udp_is_refused(msg)) {
		n = pass(fd, msg, flags);
		goto out;
	}
	if (u && __builtin_expect(u->begun, 0))
		ts_udp_unbegin(fd, u);
	if (u && __builtin_expect(u->corked_bytes, 0)) {
		n = append(fd, u, msg, flags);
		note_pending(u, n, flags);
		goto out;
	}
	way.head_len = 0;
	kind = ts_udp_classify(fd, msg, flags, &u, &v, &way);
	if (kind == TS_UDP_PASS)
		n = (u && v.connected && msg->msg_name ? ts_udp_send_beside : pass)(fd, msg, flags);
	else
		n = kind < 0 ? kind : send_carried(fd, u, &v, &way, msg, flags);
	if (u && __builtin_expect(u->cork || flags & MSG_MORE, 0)) {
		note_pending(u, n < 0 ? n : n + way.head_len, flags);
		u->beside = kind == TS_UDP_PASS;
		/*
		 * udp_sendmsg keeps the destination of pieces in inet->cork.fl, which is also where it finds the peer's while the
		 * route is cached; so after pieces for another, the peer's datagrams would have that one's address.
		 */
		u->strayed |= kind == TS_UDP_PASS && v.connected;
	}
out:
	ts_errno = saved;
	return n == -EMSGSIZE || n == -EINVAL || n == -EAFNOSUPPORT ? ts_udp_refuse(fd, u, (int)n) : n;
}

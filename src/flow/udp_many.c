/* SPDX-License-Identifier: MIT */
/*
 * sendmmsg: what the program gives as one call stays one call to the kernel, as far as the lists on the stack reach. Messages that need
 * more than a header in front (segments, many pieces, control messages that cannot go to the relay) go by themselves, in their turn.
 */
#include "udp.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/real.h"
#include "tsproxy/sys.h"

#define BATCH 64
#define BATCH_PIECES 256
#define MESSAGES_MAX 1024	/* UIO_MAXIOV: sendmmsg(2) does not look at more */

struct batch {
	unsigned count;
	size_t pieces;
	struct mmsghdr out[BATCH];
	struct ts_udp_way way[BATCH];
	struct iovec iov[BATCH_PIECES];
};

enum added { ADDED, FULL, ALONE };

/* A failure becomes `*err`. */
static enum added add(int fd, int flags, struct batch *b, struct ts_udp **u, struct ts_udp_view *v, const struct msghdr *msg, int *err)
{
	struct ts_udp_way *way = &b->way[b->count];
	struct msghdr *out = &b->out[b->count].msg_hdr;
	int kind, segment;

	*err = 0;
	if (b->count == BATCH)
		return FULL;
	if (msg->msg_iovlen > TS_UDP_PIECES || (msg->msg_iovlen && !ts_plausible(msg->msg_iov)))
		return ALONE;
	if (b->pieces + msg->msg_iovlen + 1 > BATCH_PIECES)
		return FULL;
	way->head_len = 0;
	kind = ts_udp_classify(fd, msg, flags, u, v, way);
	if (kind == TS_UDP_PASS && *u && v->connected && msg->msg_name)
		return ALONE;
	if (kind == TS_UDP_RELAY && (ts_udp_control(msg, v, way, &segment) || (*u)->cork || v->pending || flags & MSG_OOB))
		return ALONE;
	if (kind == TS_UDP_RELAY && ts_udp_length(msg) == SIZE_MAX)
		return ALONE;
	if (kind == TS_UDP_RELAY && ts_udp_length(msg) > (size_t)(TS_UDP_RELAY_BYTES - way->head_len))
		kind = -EMSGSIZE;
	if (kind < 0) {
		*err = kind;
		return ALONE;
	}
	if (kind == TS_UDP_RELAY) {
		ts_udp_wrap(out, &b->iov[b->pieces], msg, way);
		ts_udp_address(out, msg, v, way, NULL, 0);
		b->pieces += out->msg_iovlen;
	} else {
		*out = *msg;
	}
	b->count++;
	return ADDED;
}

/* The relay went, and the new one is not known yet. */
static int queue(const struct batch *b, struct ts_udp *u, struct mmsghdr *msgs)
{
	for (unsigned i = 0; i < b->count; i++) {
		msgs[i].msg_len = (unsigned)ts_udp_length(&msgs[i].msg_hdr);
		if (b->way[i].head_len && ts_udp_queue(u, &b->way[i], &msgs[i].msg_hdr, 0, msgs[i].msg_len))
			return i ? (int)i : -EFAULT;
	}
	return (int)b->count;
}

/* Sends what is gathered: how many went, or -errno. */
static int flush(int fd, struct batch *b, struct ts_udp *u, struct ts_udp_view *v, struct mmsghdr *msgs, int flags)
{
	int err = u && !v->pending ? ts_udp_see_to_relay(fd, u, v, false) : 0, n;

	if (err < 0)
		return err;
	if (err == 2)
		return queue(b, u, msgs);
	for (unsigned tries = 0;; tries++) {
		for (unsigned i = 0; i < b->count; i++)
			if (b->out[i].msg_hdr.msg_name == &v->name)
				b->out[i].msg_hdr.msg_namelen = v->name_len;
		n = ts_real()->sendmmsg(fd, b->out, b->count, flags);
		if (n >= 0)
			break;
		if (ts_errno != ECONNREFUSED || !u || tries || ts_udp_see_to_relay(fd, u, v, true) != 1)
			return -ts_errno;
	}
	for (int i = 0; i < n; i++)
		msgs[i].msg_len = b->out[i].msg_len - b->way[i].head_len;
	return n;
}

/* As many of the messages as go together: how many went, or -errno. `*end`: no more shall. */
static __attribute__((noinline)) int send_some(int fd, struct mmsghdr *msgs, unsigned n, int flags, bool *end)
{
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);
	enum added last = ADDED;
	struct batch b;
	int err = 0, r;

	if (u && __builtin_expect(u->primed, 0))
		ts_udp_unprime(fd, u);
	b.count = 0;
	b.pieces = 0;
	if (!(u && u->corked_bytes) && !(flags & MSG_MORE))
		while (b.count < n && last == ADDED)
			last = add(fd, flags, &b, &u, &v, &msgs[b.count].msg_hdr, &err);
	if (!b.count) {
		ssize_t len = err ? ts_udp_refuse(fd, u, err) : ts_udp_send(fd, &msgs->msg_hdr, flags);

		if (len >= 0)
			msgs->msg_len = (unsigned)len;
		return len < 0 ? (int)len : 1;
	}
	r = flush(fd, &b, u, &v, msgs, flags);
	*end = err || r < (int)b.count;
	return r;
}

int ts_udp_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	int saved = ts_errno, r = 0;
	unsigned done = 0;
	bool end = false;

	if (n > MESSAGES_MAX)
		n = MESSAGES_MAX;
	while (done < n && !end) {
		r = send_some(fd, msgs + done, n - done, flags, &end);
		if (r < 0)
			break;
		done += (unsigned)r;
	}
	ts_errno = saved;
	return done || r >= 0 ? (int)done : r;
}

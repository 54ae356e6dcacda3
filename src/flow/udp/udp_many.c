/* SPDX-License-Identifier: MIT */
/*
 * sendmmsg: what the program gives as one call stays one call to the kernel, as far as our lists reach. Messages that need
 * more than a header in front (segments, many pieces, control messages that cannot go to the relay) go by themselves, in their turn.
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
#define MESSAGES_MAX 1024	/* UIO_MAXIOV: sendmmsg(2) does not look at more */

struct batch {
	unsigned count;
	size_t pieces;
	struct mmsghdr out[BATCH];
	struct ts_udp_way way[BATCH];
	struct iovec iov[BATCH_PIECES];
};

_Static_assert(sizeof(struct batch) <= TS_SCRATCH_LARGE, "no memory is mapped for it");

/* A part of a sendmmsg: how many messages went, or -errno. 0: the first goes by itself. `end`: no more shall. */
struct part {
	int fd, flags;
	struct ts_udp *u;
	const struct ts_udp_view *v;
	struct mmsghdr *msgs;
	unsigned n;
	bool end;
	int result;
};

enum added { ADDED, FULL, ALONE };

/* A failure becomes `*err`. */
static enum added add(struct batch *b, const struct part *s, const struct msghdr *msg, int *err)
{
	struct ts_udp_way *way = &b->way[b->count];
	struct msghdr *out = &b->out[b->count].msg_hdr;
	struct ts_addr to;
	int kind, segment;

	*err = 0;
	if (b->count == BATCH)
		return FULL;
	if (msg->msg_iovlen > TS_UDP_PIECES || ts_udp_is_refused(msg))
		return ALONE;
	if (b->pieces + msg->msg_iovlen + 1 > BATCH_PIECES)
		return FULL;
	way->head_len = 0;
	kind = ts_udp_look_at(s->fd, msg, s->u, s->v, way, &to);
	if (kind == TS_UDP_NEED || (kind == TS_UDP_PASS && s->u && s->v->connected && msg->msg_name))
		return ALONE;
	if (kind == TS_UDP_RELAY && (ts_udp_control(msg, s->v, way, &segment) || s->u->cork || s->flags & MSG_OOB))
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
		ts_udp_address(out, msg, s->v, way, NULL, 0);
		b->pieces += out->msg_iovlen;
	} else {
		*out = *msg;
	}
	b->count++;
	return ADDED;
}

/* As many of the messages as go together. */
static void send_together(void *memory, void *arg)
{
	enum added last = ADDED;
	struct batch *b = memory;
	struct part *s = arg;
	int err = 0, sent;

	b->count = 0;
	b->pieces = 0;
	while (b->count < s->n && last == ADDED)
		last = add(b, s, &s->msgs[b->count].msg_hdr, &err);
	if (!b->count) {
		s->result = err ? (int)ts_udp_refuse(s->fd, s->u, err) : 0;
		return;
	}
	sent = ts_real()->sendmmsg(s->fd, b->out, b->count, s->flags);
	for (int i = 0; i < sent; i++)
		s->msgs[i].msg_len = b->out[i].msg_len - b->way[i].head_len;
	s->end = err || sent < (int)b->count;
	s->result = sent < 0 ? -ts_errno : sent;
}

/* The same; where the relay is gone and another can be had, once more. */
static int try_together(struct part *s, struct ts_udp_view *v)
{
	for (bool again = true;; again = false) {
		if (!ts_cancel_scratch(sizeof(struct batch), send_together, s))
			return -ENOBUFS;
		if (s->result != -ECONNREFUSED || !again || !s->u || ts_udp_see_to_relay(s->fd, s->u, v, true) <= 0)
			return s->result;
		if (v->pending)
			return 0;
	}
}

/* How many of the messages went, or -errno. `*end`: no more shall. */
static int send_some(int fd, struct mmsghdr *msgs, unsigned n, int flags, bool *end)
{
	struct ts_udp_view v;
	struct part s = { .fd = fd, .flags = flags, .u = ts_udp_get(fd, &v), .v = &v, .msgs = msgs, .n = n };
	ssize_t len;
	int r;

	if (s.u && __builtin_expect(s.u->begun, 0))
		ts_udp_unbegin(fd, s.u);
	r = s.u && !v.pending ? ts_udp_see_to_relay(fd, s.u, &v, false) : 0;
	if (r < 0)
		return r;
	/* While the relay is not known, each goes by itself. */
	r = (s.u && (v.pending || s.u->corked_bytes)) || flags & MSG_MORE || n == 1 ? 0 : try_together(&s, &v);
	*end = s.end;
	if (r)
		return r;
	len = ts_udp_send(fd, &msgs->msg_hdr, flags);
	if (len >= 0)
		msgs->msg_len = (unsigned)len;
	return len < 0 ? (int)len : 1;
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

/* SPDX-License-Identifier: MIT */
/*
 * UDP_SEGMENT: one call, many datagrams, which the kernel cuts from what it is given every so many bytes. A header goes in front of
 * each, as a piece of the list, and the segments become longer by it; so it stays one call, without a copy.
 *
 * With their headers they may be more than one call can take: then it is two.
 */
#include "udp_internal.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/cancel.h"

#define CALL_BYTES 65507

/* Where in the program's list the next byte is. */
struct place {
	const struct iovec *iov;
	size_t at;
};

/* Adds one segment's pieces. */
static struct iovec *add_segment(struct iovec *out, struct ts_udp_way *way, struct place *p, size_t len)
{
	*out++ = (struct iovec){ way->head, way->head_len };
	while (len) {
		size_t step = p->iov->iov_len - p->at;

		if (!step) {
			p->iov++;
			p->at = 0;
			continue;
		}
		if (step > len)
			step = len;
		*out++ = (struct iovec){ (uint8_t *)p->iov->iov_base + p->at, step };
		p->at += step;
		len -= step;
	}
	return out;
}

/* One call of a program's. */
struct whole {
	int fd, flags;
	struct ts_udp *u;
	struct ts_udp_view *v;
	struct ts_udp_way *way;
	const struct msghdr *msg;
	size_t len, segment;
	ssize_t result;
};

static ssize_t send_listed(struct whole *w, struct iovec *iov)
{
	size_t sent = 0, per_call = CALL_BYTES / (w->segment + w->way->head_len) * w->segment;
	struct place p = { w->msg->msg_iov, 0 };
	struct ts_udp_control space;

	while (sent < w->len) {
		size_t end = w->len - sent > per_call ? sent + per_call : w->len;
		struct msghdr out = { .msg_iov = iov };
		struct iovec *next = iov;
		bool alone = end - sent <= w->segment;
		ssize_t n;
		int err = ts_udp_address(&out, w->msg, w->v, w->way, &space, alone ? 0 : (int)w->segment + w->way->head_len);

		if (err)
			return err;
		for (size_t at = sent; at < end; at += w->segment)
			next = add_segment(next, w->way, &p, end - at < w->segment ? end - at : w->segment);
		out.msg_iovlen = (size_t)(next - iov);
		n = ts_udp_send_wrapped(w->fd, w->u, w->v, &out, w->flags);
		if (n < 0)
			return sent ? (ssize_t)w->len : n;	/* what did not fit in the buffer is lost on the way */
		sent = end;
	}
	return (ssize_t)w->len;
}

static void send_pieces(void *iov, void *arg)
{
	struct whole *w = arg;

	w->result = send_listed(w, iov);
}

/* A header goes in front of each segment, and one may begin within a piece of the program's. */
static size_t list_bytes(size_t pieces, size_t segments)
{
	return (pieces + 2 * segments) * sizeof(struct iovec);
}

/* What the program gives in so many pieces that these are too many for the kernel with ours: `memory` is for a list and the bytes themselves. */
static void send_joined(void *memory, void *arg)
{
	struct whole *w = arg;
	size_t list = list_bytes(1, TS_UDP_SEGMENTS_MAX);
	struct iovec piece = { (uint8_t *)memory + list, w->len };
	struct msghdr one = *w->msg;
	struct whole joined = *w;

	w->result = ts_udp_gather(piece.iov_base, w->msg, 0, w->len);
	one.msg_iov = &piece;
	one.msg_iovlen = 1;
	joined.msg = &one;
	if (!w->result)
		w->result = send_listed(&joined, memory);
}

__attribute__((noinline)) ssize_t ts_udp_send_segments(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_way *way,
						       const struct msghdr *msg, int flags, int segment)
{
	size_t len = ts_udp_length(msg), n = msg->msg_iovlen;
	struct whole w = { fd, flags, u, v, way, msg, len, (size_t)segment, -ENOBUFS };
	int err;

	if (len == SIZE_MAX)
		return -EINVAL;
	if (len > 0xffff || segment + way->head_len > TS_UDP_RELAY_BYTES)
		return -EMSGSIZE;
	if (len > (size_t)segment * TS_UDP_SEGMENTS_MAX)
		return ts_udp_is_shut(fd, v) ? -EPIPE : -EINVAL;
	err = ts_udp_see_to_relay(fd, u, v, false);
	if (err < 0)
		return err;
	if (v->pending)
		return ts_udp_send_dropped(fd, v, way, msg, segment);
	if (n + 2 * TS_UDP_SEGMENTS_MAX <= TS_UDP_PIECES_MAX)
		ts_cancel_scratch(list_bytes(n, (len + w.segment - 1) / w.segment), send_pieces, &w);
	else
		ts_cancel_scratch(list_bytes(1, TS_UDP_SEGMENTS_MAX) + len, send_joined, &w);
	return w.result;
}

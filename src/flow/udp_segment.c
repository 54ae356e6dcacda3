/* SPDX-License-Identifier: MIT */
/*
 * UDP_SEGMENT: one call, many datagrams, which the kernel cuts from what it is given every so many bytes. A header goes in front of
 * each, as a piece of the list, and the segments become longer by it; so it stays one call, without a copy.
 *
 * With their headers they may be more than one call can take: then it is two.
 */
#include "udp.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/sys.h"

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

static ssize_t send_pieces(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_way *way, const struct msghdr *msg, int flags,
			   size_t segment)
{
	size_t len = ts_udp_length(msg), sent = 0, per_call = CALL_BYTES / (segment + way->head_len) * segment;
	struct place p = { msg->msg_iov, 0 };
	struct ts_udp_control space;
	struct iovec iov[TS_UDP_PIECES_MAX];

	while (sent < len) {
		size_t end = len - sent > per_call ? sent + per_call : len;
		struct msghdr out = { .msg_iov = iov };
		struct iovec *next = iov;
		bool alone = end - sent <= segment;
		ssize_t n;
		int err = ts_udp_address(&out, msg, v, way, &space, alone ? 0 : (int)segment + way->head_len);

		if (err)
			return err;
		for (size_t at = sent; at < end; at += segment)
			next = add_segment(next, way, &p, end - at < segment ? end - at : segment);
		out.msg_iovlen = (size_t)(next - iov);
		n = ts_udp_send_wrapped(fd, u, v, &out, flags);
		if (n < 0)
			return sent ? (ssize_t)len : n;	/* what did not fit in the buffer is lost on the way */
		sent = end;
	}
	return (ssize_t)len;
}

__attribute__((noinline)) ssize_t ts_udp_send_segments(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_way *way,
						       const struct msghdr *msg, int flags, int segment)
{
	size_t len = ts_udp_length(msg);
	struct iovec piece = { NULL, len };
	struct msghdr one = *msg;
	ssize_t n;
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
		return ts_udp_send_later(fd, u, v, way, msg, segment);
	if (msg->msg_iovlen + 2 * TS_UDP_SEGMENTS_MAX <= TS_UDP_PIECES_MAX)
		return send_pieces(fd, u, v, way, msg, flags, (size_t)segment);
	piece.iov_base = ts_zero_pages(len, MAP_PRIVATE);
	if (!piece.iov_base)
		return -ENOBUFS;
	err = ts_udp_gather(piece.iov_base, msg, 0, len);
	one.msg_iov = &piece;
	one.msg_iovlen = 1;
	n = err ? err : send_pieces(fd, u, v, way, &one, flags, (size_t)segment);
	ts_sys(SYS_munmap, piece.iov_base, len);
	return n;
}

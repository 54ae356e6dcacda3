/* SPDX-License-Identifier: MIT */
/*
 * The pieces that a datagram is received into: one for the header, the program's own, and one for what a longer header pushes beyond these.
 *
 *	[header, the longest that this socket's peers have] [what the program gave ...] [spare]
 *
 * So its payload lands where it belongs. Behind a shorter header (on a socket that has peers of both families, or a datagram that came past
 * the relay and has none) it is moved along the list, always forward: what the program's buffer holds beyond the datagram stays.
 */
#include "udp_internal.h"

#include <string.h>

void ts_udp_lay_out(struct ts_udp_pieces *p, struct iovec *space, const struct iovec *iov, size_t n, uint8_t expect)
{
	p->iov = space;
	p->expect = expect;
	p->name_shared = false;
	p->room = 0;
	p->iov[0] = (struct iovec){ p->head, expect };
	for (size_t i = 0; i < n; i++) {
		p->iov[i + 1] = iov[i];
		p->room += iov[i].iov_len;
	}
	p->iov[n + 1] = (struct iovec){ p->spare, (size_t)(TS_UDP_HEADER_MAX - expect) };
	p->count = n + 2;
}

/* The bytes from `pos` on that lie together; `back`: those that end there. */
static uint8_t *run_at(const struct ts_udp_pieces *p, size_t pos, size_t *len, bool back)
{
	for (size_t i = 0; i < p->count; i++) {
		size_t here = p->iov[i].iov_len;

		if (back ? pos <= here && here : pos < here) {
			*len = back ? pos : here - pos;
			return (uint8_t *)p->iov[i].iov_base + (back ? 0 : pos);
		}
		pos -= here;
	}
	*len = 0;
	return NULL;
}

static size_t least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

void ts_udp_move(const struct ts_udp_pieces *p, size_t to, size_t from, size_t n)
{
	size_t a, b, step;

	while (n && to < from) {
		uint8_t *dst = run_at(p, to, &a, false), *src = run_at(p, from, &b, false);

		step = least(a, b, n);
		if (!dst || !src)
			return;
		memmove(dst, src, step);
		to += step;
		from += step;
		n -= step;
	}
	while (n && to > from) {
		uint8_t *dst = run_at(p, to + n, &a, true), *src = run_at(p, from + n, &b, true);

		step = least(a, b, n);
		if (!dst || !src)
			return;
		memmove(dst + a - step, src + b - step, step);
		n -= step;
	}
}

size_t ts_udp_peek_head(const struct ts_udp_pieces *p, size_t got, uint8_t out[TS_UDP_HEADER_MAX])
{
	size_t n = 0;

	while (n < TS_UDP_HEADER_MAX && n < got) {
		size_t len;
		const uint8_t *at = run_at(p, n, &len, false);

		if (!at)
			break;
		len = least(len, TS_UDP_HEADER_MAX - n, got - n);
		memcpy(out + n, at, len);
		n += len;
	}
	return n;
}

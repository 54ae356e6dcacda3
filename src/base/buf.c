/* SPDX-License-Identifier: MIT */
/* Bounded cursors: see buf.h. */
#include "tsproxy/buf.h"

#include <string.h>

struct ts_rd ts_rd_over(const void *p, size_t len)
{
	return (struct ts_rd){ .p = p, .left = len };
}

const uint8_t *ts_rd_bytes(struct ts_rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

uint8_t ts_rd_u8(struct ts_rd *r)
{
	const uint8_t *p = ts_rd_bytes(r, 1);

	return p ? *p : 0;
}

uint16_t ts_rd_be16(struct ts_rd *r)
{
	const uint8_t *p = ts_rd_bytes(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

struct ts_wr ts_wr_over(void *p, size_t cap)
{
	return (struct ts_wr){ .p = p, .cap = cap };
}

void ts_wr_bytes(struct ts_wr *w, const void *p, size_t n)
{
	if (w->bad || n > w->cap - w->len) {
		w->bad = true;
		return;
	}
	memcpy(w->p + w->len, p, n);
	w->len += n;
}

void ts_wr_u8(struct ts_wr *w, uint8_t v)
{
	ts_wr_bytes(w, &v, 1);
}

void ts_wr_be16(struct ts_wr *w, uint16_t v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	ts_wr_bytes(w, b, 2);
}

void ts_wr_str(struct ts_wr *w, const char *s)
{
	ts_wr_bytes(w, s, strlen(s));
}

void ts_wr_dec(struct ts_wr *w, uint64_t v)
{
	char digits[20];
	size_t n = 0;

	do
		digits[sizeof(digits) - ++n] = (char)('0' + v % 10);
	while (v /= 10);
	ts_wr_bytes(w, digits + sizeof(digits) - n, n);
}

void ts_wr_hex64(struct ts_wr *w, uint64_t v)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		ts_wr_u8(w, (uint8_t)"0123456789abcdef"[v >> shift & 15]);
}

bool ts_wr_end(struct ts_wr *w)
{
	if (w->cap == 0)
		return false;
	if (w->len == w->cap) {
		w->len--;
		w->bad = true;
	}
	w->p[w->len] = '\0';
	return !w->bad;
}

/* SPDX-License-Identifier: MIT */
/*
 * Bounded cursors. Every byte that another process wrote (a SOCKS reply, a map file, a DNS
 * message) is read through ts_rd; every message is built through ts_wr. Running over the end sets
 * `bad`, yields zeros and stays bad, so that a parser checks once, at its end.
 */
#ifndef TSPROXY_BUF_H
#define TSPROXY_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ts_rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

struct ts_wr {
	uint8_t *p;
	size_t len;	/* bytes written */
	size_t cap;
	bool bad;	/* something did not fit; what was written before it stands */
};

struct ts_rd ts_rd_over(const void *p, size_t len);
uint8_t ts_rd_u8(struct ts_rd *r);
uint16_t ts_rd_be16(struct ts_rd *r);
/* `n` bytes in place, or null (and bad) where fewer are left. */
const uint8_t *ts_rd_bytes(struct ts_rd *r, size_t n);

struct ts_wr ts_wr_over(void *p, size_t cap);
void ts_wr_u8(struct ts_wr *w, uint8_t v);
void ts_wr_be16(struct ts_wr *w, uint16_t v);
void ts_wr_bytes(struct ts_wr *w, const void *p, size_t n);
void ts_wr_str(struct ts_wr *w, const char *s);
/* Decimal, no padding. */
void ts_wr_dec(struct ts_wr *w, uint64_t v);
void ts_wr_hex64(struct ts_wr *w, uint64_t v);	/* 16 digits */
/* Ends the text with a NUL inside the capacity (cutting the last byte where full); returns true where nothing was cut. */
bool ts_wr_end(struct ts_wr *w);

#endif

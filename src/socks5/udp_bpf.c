/* SPDX-License-Identifier: MIT */
/* See udp_bpf.h. */
#include "udp_bpf.h"

#include <string.h>

#include "tsproxy/socks5.h"
#include "tsproxy/udp_header.h"

#define MAGIC 0x74737564u
#define SHORT_JUMP 255

void ts_bpf_put(struct ts_bpf_code *c, unsigned op, uint32_t k)
{
	if (c->front < c->at)
		c->insn[c->front++] = (struct sock_filter)BPF_STMT((uint16_t)op, k);
	else
		c->full = true;
}

unsigned ts_bpf_place(struct ts_bpf_code *c)
{
	c->at -= c->front;
	memmove(c->insn + c->at, c->insn, c->front * sizeof(*c->insn));
	c->front = 0;
	return c->at;
}

unsigned ts_bpf_before(struct ts_bpf_code *c, unsigned op, uint32_t k)
{
	ts_bpf_put(c, op, k);
	return ts_bpf_place(c);
}

unsigned ts_bpf_jump(struct ts_bpf_code *c, unsigned to)
{
	return ts_bpf_before(c, BPF_JMP | BPF_JA, to - c->at);
}

unsigned ts_bpf_test(struct ts_bpf_code *c, unsigned op, uint32_t k, unsigned t, unsigned f)
{
	if (t - c->at > SHORT_JUMP || f - c->at > SHORT_JUMP) {
		f = ts_bpf_jump(c, f);
		t = ts_bpf_jump(c, t);
	}
	ts_bpf_before(c, BPF_JMP | op, k);
	if (!c->full) {
		c->insn[c->at].jt = (uint8_t)(t - c->at - 1);
		c->insn[c->at].jf = (uint8_t)(f - c->at - 1);
	}
	return c->at;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Only what `peer` sends through the relay. */
static void only_peer(struct ts_bpf_code *c, uint16_t *places, const struct ts_udp_bpf *f)
{
	uint8_t head[TS_UDP_HEADER_MAX];
	unsigned len = (unsigned)ts_udp_header_write(head, &f->peer);
	unsigned next = ts_bpf_relayed(c, places, f, len), none = ts_bpf_before(c, BPF_RET | BPF_K, 0);

	for (unsigned at = len - 2, size = 2; size; at -= 4, size = 4) {
		uint32_t want = size == 2 ? (uint32_t)head[at] << 8 | head[at + 1] : be32(head + at);

		ts_bpf_test(c, BPF_JEQ | BPF_K, want, next, none);
		next = ts_bpf_before(c, BPF_LD | BPF_ABS | (size == 2 ? BPF_H : BPF_W), TS_BPF_UDP_HEADER + at);
		if (!at)
			break;
	}
}

/* A header that ends too early makes the load fail, and with it the datagram is dropped. */
static unsigned with_header(struct ts_bpf_code *c, uint16_t *places, const struct ts_udp_bpf *f, unsigned head_len)
{
	ts_bpf_relayed(c, places, f, head_len);
	return ts_bpf_before(c, BPF_LD | BPF_ABS | BPF_B, TS_BPF_UDP_HEADER + head_len - 1);
}

/* Whether it comes from `a`. */
static void comes_from(struct ts_bpf_code *c, const struct ts_addr *a, unsigned next, unsigned others)
{
	bool is4 = ts_addr_is4(a);

	for (unsigned at = is4 ? 4 : 16; at; at -= 4) {
		ts_bpf_test(c, BPF_JEQ | BPF_K, be32(a->ip + (is4 ? 12 : at - 4)), next, others);
		next = ts_bpf_before(c, BPF_LD | BPF_ABS | BPF_W, (uint32_t)SKF_NET_OFF + (is4 ? 12 : 8) + at - 4);
	}
	ts_bpf_test(c, BPF_JEQ | BPF_K, is4 ? 0x40 : 0x60, next, others);
	ts_bpf_before(c, BPF_ALU | BPF_AND | BPF_K, 0xf0);
	next = ts_bpf_before(c, BPF_LD | BPF_ABS | BPF_B, (uint32_t)SKF_NET_OFF);
	ts_bpf_test(c, BPF_JEQ | BPF_K, a->port, next, others);
	ts_bpf_before(c, BPF_LD | BPF_ABS | BPF_H, 0);
}

/* From the relay only what has a header of a family that the socket can have; from others what the program wants. */
static void peers_and_others(struct ts_bpf_code *c, uint16_t *places, const struct ts_udp_bpf *f, unsigned others)
{
	unsigned six = f->six ? with_header(c, places, f, TS_UDP_HEADER6) : 0;
	unsigned four = with_header(c, places, f, TS_UDP_HEADER4);
	unsigned none = ts_bpf_before(c, BPF_RET | BPF_K, 0);
	unsigned next = f->six ? ts_bpf_test(c, BPF_JEQ | BPF_K, TS_SOCKS5_ATYP_IPV6, six, none) : none;

	ts_bpf_test(c, BPF_JEQ | BPF_K, TS_SOCKS5_ATYP_IPV4, four, next);
	comes_from(c, &f->relay, ts_bpf_before(c, BPF_LD | BPF_ABS | BPF_W, TS_BPF_UDP_HEADER), others);
}

/* What the program does not see in any case needs no judgement of its filter. */
static void knock_and_others(struct ts_bpf_code *c, const struct ts_addr *knock)
{
	unsigned others = ts_bpf_before(c, BPF_LD | BPF_IMM, 0), let_in = ts_bpf_before(c, BPF_RET | BPF_K, 0xffffffff);

	ts_bpf_test(c, BPF_JEQ | BPF_K, TS_BPF_UDP_HEADER, let_in, others);
	comes_from(c, knock, ts_bpf_before(c, BPF_LD | BPF_ABS | BPF_H, 4), others);
}

/* The end of the whole: what the program has, and the record. */
static void kept(struct ts_bpf_code *c, const struct ts_udp_bpf *f)
{
	ts_bpf_before(c, BPF_RET | BPF_K, 0);
	for (unsigned i = f->words; i--;)
		ts_bpf_before(c, BPF_LD | BPF_IMM, f->record[i]);
	ts_bpf_before(c, BPF_LD | BPF_IMM, f->n);
	ts_bpf_before(c, BPF_LD | BPF_IMM, MAGIC);
	for (unsigned i = f->n; i--;) {
		ts_bpf_before(c, f->program[i].code, f->program[i].k);
		if (c->full)
			return;
		c->insn[c->at] = f->program[i];
	}
}

unsigned ts_udp_bpf_compose(struct sock_filter *out, unsigned room, uint16_t *places, const struct ts_udp_bpf *f)
{
	struct ts_bpf_code c = { .insn = out, .at = room < BPF_MAXINSNS ? room : BPF_MAXINSNS };

	c.insn += room - c.at;
	room = c.at;
	kept(&c, f);
	if (f->relayed && f->connected) {
		only_peer(&c, places, f);
	} else {
		if (!f->n)
			ts_bpf_before(&c, BPF_RET | BPF_K, 0xffffffff);
		else if (f->relayed)
			ts_bpf_before(&c, BPF_LD | BPF_IMM, 0);	/* a program begins with A zero */
		if (f->relayed)
			peers_and_others(&c, places, f, c.at);
		if (f->knock.port)
			knock_and_others(&c, &f->knock);
	}
	return c.full ? 0 : room - c.at;
}

const struct sock_filter *ts_udp_bpf_find(const struct sock_filter *insn, unsigned total, unsigned words, const struct sock_filter **program,
					  unsigned *n)
{
	const struct sock_filter *magic;
	unsigned own;

	if (total < words + 3)
		return NULL;
	magic = insn + total - words - 3;
	own = magic[1].k;
	for (unsigned i = 0; i < words + 2; i++)
		if (magic[i].code != (BPF_LD | BPF_IMM))
			return NULL;
	if (magic->k != MAGIC || own > total - words - 3)
		return NULL;
	*program = magic - own;
	*n = own;
	return magic + 2;
}

static bool jumps_inside(const struct sock_filter *s, unsigned left)
{
	if (BPF_CLASS(s->code) != BPF_JMP)
		return true;
	return s->code == (BPF_JMP | BPF_JA) ? s->k < left : s->jt < left && s->jf < left;
}

bool ts_bpf_has_cell(const struct sock_filter *s)
{
	return BPF_CLASS(s->code) == BPF_ST || BPF_CLASS(s->code) == BPF_STX ||
	       s->code == (BPF_LD | BPF_MEM) || s->code == (BPF_LDX | BPF_MEM);
}

bool ts_udp_bpf_valid(const struct sock_filter *program, unsigned n)
{
	if (!n || n > BPF_MAXINSNS)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!jumps_inside(program + i, n - i - 1) || (ts_bpf_has_cell(program + i) && program[i].k >= BPF_MEMWORDS))
			return false;
	return program[n - 1].code == (BPF_RET | BPF_K) || program[n - 1].code == (BPF_RET | BPF_A);
}

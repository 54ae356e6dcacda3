/* SPDX-License-Identifier: MIT */
/*
 * A program's own filter, rewritten so that it finds in the relay's datagram what it would have found in the peer's.
 *
 * To the program there is one packet: an IP header and, at offset 0, a UDP header and the payload. Each of its bytes lies somewhere in
 * the relay's datagram, is known beforehand, or is made from the length; a load that the program makes becomes those that fetch its bytes.
 * Where the offset is known only as the program runs, the code of a header's every place is there to be chosen; behind the headers all
 * bytes are `head_len` further on.
 *
 * Checksums, and what the kernel alone knows of a packet (SKF_AD_IFINDEX and the like), are the relay's.
 */
#include <netinet/in.h>

#include "tsproxy/socks5.h"
#include "tsproxy/udp_header.h"
#include "udp_bpf.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define HOPS 64
#define DONT_FRAGMENT 0x40
#define HUGE 0x7fff0000u	/* a filter that returns so much trims nothing */

struct view {
	struct ts_bpf_code *c;
	unsigned head_len, ip_len;
	bool is4;
	const uint8_t *own;	/* the address at which the datagram arrived */
	unsigned cell;		/* of BPF's memory, which the program does not use; BPF_MEMWORDS: there is none */
};

/* Where a byte of the packet is. A length is the UDP header's, with `k` added. */
struct byte {
	enum { KNOWN, THERE, LENGTH_HIGH, LENGTH_LOW } how;
	uint32_t k;	/* its value; its offset */
};

/* The places that a program can look at: from the UDP header on, and from the IP header on. */
struct look {
	bool net;
	uint32_t base;	/* what the program counts from */
};

static struct byte udp_byte(const struct view *v, uint32_t at)
{
	if (at < 2)	/* the source port: the header ends with it */
		return (struct byte){ THERE, TS_BPF_UDP_HEADER + v->head_len - 2 + at };
	if (at == 4 || at == 5)
		return (struct byte){ at == 4 ? LENGTH_HIGH : LENGTH_LOW, -v->head_len };
	return (struct byte){ THERE, at < TS_BPF_UDP_HEADER ? at : at + v->head_len };
}

static struct byte ip4_byte(const struct view *v, uint32_t at)
{
	static const uint8_t known[12] = { [0] = 0x45, [6] = DONT_FRAGMENT, [8] = HOPS, [9] = IPPROTO_UDP };

	if (at == 2 || at == 3)
		return (struct byte){ at == 2 ? LENGTH_HIGH : LENGTH_LOW, v->ip_len - v->head_len };
	if (at < 12)
		return (struct byte){ KNOWN, known[at] };
	return at < 16 ? (struct byte){ THERE, TS_BPF_UDP_HEADER + 4 + at - 12 } : (struct byte){ KNOWN, v->own[at - 4] };
}

static struct byte ip6_byte(const struct view *v, uint32_t at)
{
	static const uint8_t known[8] = { [0] = 0x60, [6] = IPPROTO_UDP, [7] = HOPS };

	if (at == 4 || at == 5)
		return (struct byte){ at == 4 ? LENGTH_HIGH : LENGTH_LOW, -v->head_len };
	if (at < 8)
		return (struct byte){ KNOWN, known[at] };
	return at < 24 ? (struct byte){ THERE, TS_BPF_UDP_HEADER + 4 + at - 8 } : (struct byte){ KNOWN, v->own[at - 24] };
}

static struct byte byte_at(const struct view *v, const struct look *l, uint32_t at)
{
	if (!l->net)
		return udp_byte(v, at);
	if (at >= v->ip_len)
		return udp_byte(v, at - v->ip_len);
	return v->is4 ? ip4_byte(v, at) : ip6_byte(v, at);
}

static unsigned op_size(unsigned bytes)
{
	return bytes == 4 ? BPF_W : bytes == 2 ? BPF_H : BPF_B;
}

static unsigned bytes_of(unsigned op)
{
	return BPF_SIZE(op) == BPF_W ? 4 : BPF_SIZE(op) == BPF_H ? 2 : 1;
}

/* A comparison within a sequence. */
static void put_test(struct ts_bpf_code *c, unsigned op, uint32_t k, uint8_t t, uint8_t f)
{
	ts_bpf_put(c, BPF_JMP | BPF_K | op, k);
	if (!c->full) {
		c->insn[c->front - 1].jt = t;
		c->insn[c->front - 1].jf = f;
	}
}

/* Whether one load that gets `first` gets `b`, which comes `n` bytes later, as well. */
static bool together(struct byte first, struct byte b, unsigned n)
{
	if (first.how == LENGTH_HIGH)
		return b.how == LENGTH_LOW && n == 1;
	return b.how == first.how && (b.how == KNOWN || (b.how == THERE && b.k == first.k + n));
}

/* Puts into A the first of the `size` bytes at `at`, as many as one load gets: how many. */
static unsigned load_some(const struct view *v, const struct look *l, uint32_t at, unsigned size)
{
	struct byte first = byte_at(v, l, at);
	uint32_t known = 0;
	unsigned n = 1;

	while (n < size && together(first, byte_at(v, l, at + n), n))
		n++;
	if (n == 3)
		n = 2;
	if (first.how == KNOWN) {
		for (unsigned i = 0; i < n; i++)
			known = known << 8 | byte_at(v, l, at + i).k;
		ts_bpf_put(v->c, BPF_LD | BPF_IMM, known);
	} else if (first.how == THERE) {
		ts_bpf_put(v->c, BPF_LD | BPF_ABS | op_size(n), first.k);
	} else {
		ts_bpf_put(v->c, BPF_LD | BPF_ABS | BPF_H, 4);
		ts_bpf_put(v->c, BPF_ALU | BPF_ADD | BPF_K, first.k);
		if (n == 1)
			ts_bpf_put(v->c, BPF_ALU | BPF_K | (first.how == LENGTH_HIGH ? BPF_RSH : BPF_AND), first.how == LENGTH_HIGH ? 8 : 0xff);
	}
	return n;
}

/* Puts them all into A: what there is of them in X meanwhile. */
static void load(const struct view *v, const struct look *l, uint32_t at, unsigned size)
{
	struct ts_bpf_code *c = v->c;
	unsigned start = c->front, done = load_some(v, l, at, size), n;

	if (done == size)
		return;
	c->front = start;
	c->full |= v->cell >= BPF_MEMWORDS;
	ts_bpf_put(c, BPF_STX, v->cell);
	load_some(v, l, at, size);
	for (; done < size; done += n) {
		unsigned shift = c->front;

		ts_bpf_put(c, BPF_ALU | BPF_LSH | BPF_K, 0);
		ts_bpf_put(c, BPF_MISC | BPF_TAX, 0);
		n = load_some(v, l, at + done, size - done);
		ts_bpf_put(c, BPF_ALU | BPF_OR | BPF_X, 0);
		if (!c->full)
			c->insn[shift].k = 8 * n;
	}
	ts_bpf_put(c, BPF_LDX | BPF_MEM, v->cell);
}

/* False: the load finds nothing there, or is no load from the packet. */
static bool look_at(uint32_t k, struct look *l)
{
	if (k < 0x80000000u)
		*l = (struct look){ false, 0 };
	else if (k >= (uint32_t)SKF_NET_OFF && k < (uint32_t)SKF_AD_OFF)
		*l = (struct look){ true, (uint32_t)SKF_NET_OFF };
	else if (k >= (uint32_t)SKF_LL_OFF && k < (uint32_t)SKF_NET_OFF)
		*l = (struct look){ true, (uint32_t)SKF_LL_OFF };	/* the tailnet's device has no other header in front */
	else
		return false;
	return true;
}

static void load_at(const struct view *v, const struct sock_filter *s)
{
	struct look l;

	if (look_at(s->k, &l)) {
		load(v, &l, s->k - l.base, bytes_of(s->code));
	} else if (s->k == (uint32_t)SKF_AD_OFF + SKF_AD_PROTOCOL) {
		ts_bpf_put(v->c, BPF_LD | BPF_IMM, v->is4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	} else if (s->k == (uint32_t)SKF_AD_OFF + SKF_AD_NLATTR || s->k == (uint32_t)SKF_AD_OFF + SKF_AD_NLATTR_NEST) {
		/* From the offset in A to one in A; 0: not found. */
		ts_bpf_put(v->c, BPF_ALU | BPF_ADD | BPF_K, v->head_len);
		ts_bpf_put(v->c, s->code, s->k);
		put_test(v->c, BPF_JEQ, 0, 1, 0);
		ts_bpf_put(v->c, BPF_ALU | BPF_SUB | BPF_K, v->head_len);
	} else {
		ts_bpf_put(v->c, s->code, s->k);
	}
}

/* A load at X + k. A small negative k counts back from X, so from the UDP header on as well. */
static void load_indirect(const struct view *v, const struct sock_filter *s)
{
	struct ts_bpf_code *c = v->c;
	struct look l;
	bool net = look_at(s->k, &l) && l.net;
	uint32_t k = net ? s->k - l.base : s->k;
	unsigned headers = TS_BPF_UDP_HEADER + (net ? v->ip_len : 0), start = c->front;

	if (!net)
		l = (struct look){ false, 0 };
	ts_bpf_put(c, BPF_MISC | BPF_TXA, 0);
	ts_bpf_put(c, BPF_ALU | BPF_ADD | BPF_K, k);
	put_test(c, BPF_JGE, headers, 0, 5);
	put_test(c, BPF_JGE, 0x80000000u, 2, 0);
	ts_bpf_put(c, s->code, k - (net ? v->ip_len : 0) + v->head_len);
	ts_bpf_put(c, BPF_JMP | BPF_JA, 0);
	ts_bpf_put(c, s->code, s->k);	/* before the packet's beginning: behind a header there is something */
	ts_bpf_put(c, BPF_JMP | BPF_JA, 0);
	for (unsigned at = 0; at < headers; at++) {
		unsigned test = c->front;

		put_test(c, BPF_JEQ, at, 0, 0);
		load(v, &l, at, bytes_of(s->code));
		ts_bpf_put(c, BPF_JMP | BPF_JA, 0);
		if (!c->full)
			c->insn[test].jf = (uint8_t)(c->front - test - 1);
	}
	for (unsigned i = start; i < c->front; i++)
		if (c->insn[i].code == (BPF_JMP | BPF_JA))
			c->insn[i].k = c->front - i - 1;
}

/* X becomes what is put into A, which stays. */
static void load_x(const struct view *v, const struct sock_filter *s)
{
	struct look l;

	if (s->code != (BPF_LDX | BPF_W | BPF_LEN) && !look_at(s->k, &l)) {
		ts_bpf_put(v->c, s->code, s->k);	/* finds nothing */
		return;
	}
	v->c->full |= v->cell >= BPF_MEMWORDS;
	ts_bpf_put(v->c, BPF_ST, v->cell);
	if (s->code == (BPF_LDX | BPF_W | BPF_LEN)) {
		ts_bpf_put(v->c, BPF_LD | BPF_W | BPF_LEN, 0);
		ts_bpf_put(v->c, BPF_ALU | BPF_SUB | BPF_K, v->head_len);
	} else {
		load(v, &l, s->k - l.base, 1);
		ts_bpf_put(v->c, BPF_ALU | BPF_AND | BPF_K, 0xf);
		ts_bpf_put(v->c, BPF_ALU | BPF_LSH | BPF_K, 2);
	}
	ts_bpf_put(v->c, BPF_MISC | BPF_TAX, 0);
	ts_bpf_put(v->c, BPF_LD | BPF_MEM, v->cell);
}

/* What a filter returns is how much of the datagram is kept; of the UDP header all is, in any case (sk_filter_trim_cap). */
static uint32_t kept(uint32_t k, unsigned head_len)
{
	return !k || k >= HUGE ? k : (k < TS_BPF_UDP_HEADER ? TS_BPF_UDP_HEADER : k) + head_len;
}

static void return_a(const struct view *v)
{
	put_test(v->c, BPF_JEQ, 0, 4, 0);
	put_test(v->c, BPF_JGE, TS_BPF_UDP_HEADER, 1, 0);
	ts_bpf_put(v->c, BPF_LD | BPF_IMM, TS_BPF_UDP_HEADER);
	put_test(v->c, BPF_JGE, HUGE, 1, 0);
	ts_bpf_put(v->c, BPF_ALU | BPF_ADD | BPF_K, v->head_len);
	ts_bpf_put(v->c, BPF_RET | BPF_A, 0);
}

static void rewrite(const struct view *v, const struct sock_filter *s)
{
	switch (s->code) {
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
		load_at(v, s);
		break;
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
		load_indirect(v, s);
		break;
	case BPF_LD | BPF_W | BPF_LEN:
		ts_bpf_put(v->c, s->code, s->k);
		ts_bpf_put(v->c, BPF_ALU | BPF_SUB | BPF_K, v->head_len);
		break;
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_B | BPF_MSH:
		load_x(v, s);
		break;
	case BPF_RET | BPF_K:
		ts_bpf_put(v->c, s->code, kept(s->k, v->head_len));
		break;
	case BPF_RET | BPF_A:
		return_a(v);
		break;
	default:
		ts_bpf_put(v->c, s->code, s->k);
	}
	ts_bpf_place(v->c);
}

static unsigned unused_cell(const struct ts_udp_bpf *f)
{
	uint32_t used = 0;

	for (unsigned i = 0; i < f->n; i++)
		if (ts_bpf_has_cell(f->program + i))
			used |= 1u << f->program[i].k;
	return (unsigned)__builtin_ctz(~used);
}

unsigned ts_bpf_relayed(struct ts_bpf_code *c, uint16_t *places, const struct ts_udp_bpf *f, unsigned head_len)
{
	bool is4 = head_len == TS_UDP_HEADER4;
	struct view v = { .c = c, .head_len = head_len, .is4 = is4, .ip_len = is4 ? 20 : 40, .own = is4 ? f->own4.ip : f->own6.ip,
			  .cell = unused_cell(f) };

	for (unsigned i = f->n; i-- && !c->full; places[i] = (uint16_t)c->at) {
		const struct sock_filter *s = f->program + i;

		if (s->code == (BPF_JMP | BPF_JA))
			ts_bpf_jump(c, places[i + 1 + s->k]);
		else if (BPF_CLASS(s->code) == BPF_JMP)
			ts_bpf_test(c, s->code & ~BPF_JMP, s->k, places[i + 1 + s->jt], places[i + 1 + s->jf]);
		else
			rewrite(&v, s);
	}
	return f->n ? ts_bpf_before(c, BPF_LD | BPF_IMM, 0) : ts_bpf_before(c, BPF_RET | BPF_K, 0xffffffff);
}

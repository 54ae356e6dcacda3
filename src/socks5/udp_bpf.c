/* SPDX-License-Identifier: MIT */
/* See udp_bpf.h. Jumps only lead forward, so the filter is written from its end: where a jump is written its targets have their places. */
#include "tsproxy/udp_bpf.h"

#include "tsproxy/socks5.h"
#include "tsproxy/udp_header.h"

#define MAGIC 0x74737575u
#define UDP_HEADER 8	/* a UDP socket's filter sees the datagram from here on (udp_queue_rcv_one_skb) */

struct code {
	struct sock_filter *insn;
	unsigned at;	/* where what is written begins */
};

static unsigned before(struct code *c, unsigned op, uint32_t k)
{
	c->insn[--c->at] = (struct sock_filter)BPF_STMT((uint16_t)op, k);
	return c->at;
}

/* Goes on at `yes` where A is `k`, else at `no`. */
static unsigned test(struct code *c, uint32_t k, unsigned yes, unsigned no)
{
	unsigned behind = c->at;

	before(c, BPF_JMP | BPF_JEQ | BPF_K, k);
	c->insn[c->at].jt = (uint8_t)(yes - behind);
	c->insn[c->at].jf = (uint8_t)(no - behind);
	return c->at;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Only what `peer` sends through the relay. */
static void only_peer(struct code *c, const struct ts_addr *peer)
{
	uint8_t head[TS_UDP_HEADER_MAX];
	unsigned len = (unsigned)ts_udp_header_write(head, peer);
	unsigned next = before(c, BPF_RET | BPF_K, 0xffffffff), none = before(c, BPF_RET | BPF_K, 0);

	for (unsigned at = len - 2, size = 2; size; at -= 4, size = 4) {
		uint32_t want = size == 2 ? (uint32_t)head[at] << 8 | head[at + 1] : be32(head + at);

		test(c, want, next, none);
		next = before(c, BPF_LD | BPF_ABS | (size == 2 ? BPF_H : BPF_W), UDP_HEADER + at);
		if (!at)
			break;
	}
}

/* A header that ends too early makes the load fail, and with it the datagram is dropped. */
static unsigned with_header(struct code *c, unsigned head_len)
{
	before(c, BPF_RET | BPF_K, 0xffffffff);
	return before(c, BPF_LD | BPF_ABS | BPF_B, UDP_HEADER + head_len - 1);
}

/* Whether it comes from `a`. */
static void comes_from(struct code *c, const struct ts_addr *a, unsigned next, unsigned others)
{
	bool is4 = ts_addr_is4(a);

	for (unsigned at = is4 ? 4 : 16; at; at -= 4) {
		test(c, be32(a->ip + (is4 ? 12 : at - 4)), next, others);
		next = before(c, BPF_LD | BPF_ABS | BPF_W, (uint32_t)SKF_NET_OFF + (is4 ? 12 : 8) + at - 4);
	}
	test(c, is4 ? 0x40 : 0x60, next, others);
	before(c, BPF_ALU | BPF_AND | BPF_K, 0xf0);
	next = before(c, BPF_LD | BPF_ABS | BPF_B, (uint32_t)SKF_NET_OFF);
	test(c, a->port, next, others);
	before(c, BPF_LD | BPF_ABS | BPF_H, 0);
}

/* From the relay only what has a header of a family that the socket can have; from others all. */
static void peers_and_others(struct code *c, const struct ts_udp_bpf *f)
{
	unsigned others = before(c, BPF_RET | BPF_K, 0xffffffff);
	unsigned six = f->six ? with_header(c, TS_UDP_HEADER6) : 0, four = with_header(c, TS_UDP_HEADER4);
	unsigned none = before(c, BPF_RET | BPF_K, 0);
	unsigned next = f->six ? test(c, TS_SOCKS5_ATYP_IPV6, six, none) : none;

	test(c, TS_SOCKS5_ATYP_IPV4, four, next);
	comes_from(c, &f->relay, before(c, BPF_LD | BPF_ABS | BPF_W, UDP_HEADER), others);
}

unsigned ts_udp_bpf_compose(struct sock_filter out[TS_UDP_BPF_MAX], const struct ts_udp_bpf *f)
{
	struct code c = { .insn = out, .at = TS_UDP_BPF_MAX };

	before(&c, BPF_RET | BPF_K, 0);	/* the kernel wants a filter to end so */
	for (unsigned i = TS_UDP_RECORD_WORDS; i--;)
		before(&c, BPF_LD | BPF_IMM, f->record[i]);
	before(&c, BPF_LD | BPF_IMM, MAGIC);
	if (f->connected)
		only_peer(&c, &f->peer);
	else
		peers_and_others(&c, f);
	return TS_UDP_BPF_MAX - c.at;
}

const struct sock_filter *ts_udp_bpf_find(const struct sock_filter *insn, unsigned total)
{
	const struct sock_filter *magic;

	if (total < TS_UDP_RECORD_WORDS + 2)
		return NULL;
	magic = insn + total - TS_UDP_RECORD_WORDS - 2;
	for (unsigned i = 0; i <= TS_UDP_RECORD_WORDS; i++)
		if (magic[i].code != (BPF_LD | BPF_IMM))
			return NULL;
	return magic->k == MAGIC ? magic + 1 : NULL;
}

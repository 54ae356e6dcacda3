/* SPDX-License-Identifier: MIT */
/* Classic BPF as Linux runs it on a socket, interpreted; and programs at random. */
#ifndef TSPROXY_TESTS_BPF_H
#define TSPROXY_TESTS_BPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* `data`: from the UDP header on; in front of it lies the IP header. */
struct bpf_packet {
	const uint8_t *data;
	unsigned len, ip_len;
	uint16_t protocol;
};

static inline bool bpf_fetch(const struct bpf_packet *p, uint32_t at, unsigned size, uint32_t *out)
{
	const uint8_t *from = p->data;
	unsigned len = p->len;

	if (at >= 0x80000000u) {	/* bpf_internal_load_pointer_neg_helper */
		if (at < (uint32_t)SKF_LL_OFF)
			return false;
		at -= (uint32_t)(at >= (uint32_t)SKF_NET_OFF ? SKF_NET_OFF : SKF_LL_OFF);
		from -= p->ip_len;
		len += p->ip_len;
	}
	if (at > len || size > len - at)
		return false;
	for (*out = 0; size--; at++)
		*out = *out << 8 | from[at];
	return true;
}

/* skb_get_nlattr, near enough: the same wherever the datagram's bytes are. */
static inline uint32_t bpf_nlattr(const struct bpf_packet *p, uint32_t a, uint32_t x)
{
	while (p->len >= 4 && a <= p->len - 4) {
		unsigned len = p->data[a] | (unsigned)p->data[a + 1] << 8, type = p->data[a + 2] | (unsigned)p->data[a + 3] << 8;

		if (len < 4 || len > p->len - a)
			return 0;
		if (type == x)
			return a;
		a += (len + 3) & ~3u;
	}
	return 0;
}

static inline bool bpf_load(const struct bpf_packet *p, const struct sock_filter *s, uint32_t *a, uint32_t x)
{
	unsigned size = BPF_SIZE(s->code) == BPF_W ? 4 : BPF_SIZE(s->code) == BPF_H ? 2 : 1;

	if (BPF_MODE(s->code) == BPF_IND)
		return bpf_fetch(p, x + s->k, size, a);
	switch (s->k - (uint32_t)SKF_AD_OFF) {
	case SKF_AD_PROTOCOL:
		*a = p->protocol;
		return true;
	case SKF_AD_NLATTR:
		*a = bpf_nlattr(p, *a, x);
		return true;
	case SKF_AD_ALU_XOR_X:
		*a ^= x;
		return true;
	case SKF_AD_PAY_OFFSET:
		*a = 8;
		return true;
	}
	return bpf_fetch(p, s->k, size, a);
}

static inline uint32_t bpf_alu(unsigned op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD: return a + b;
	case BPF_SUB: return a - b;
	case BPF_MUL: return a * b;
	case BPF_DIV: return b ? a / b : 0;
	case BPF_MOD: return b ? a % b : 0;
	case BPF_OR: return a | b;
	case BPF_AND: return a & b;
	case BPF_XOR: return a ^ b;
	case BPF_LSH: return a << (b & 31);
	case BPF_RSH: return a >> (b & 31);
	default: return -a;
	}
}

static inline bool bpf_holds(unsigned op, uint32_t a, uint32_t b)
{
	return op == BPF_JEQ ? a == b : op == BPF_JGT ? a > b : op == BPF_JGE ? a >= b : (a & b) != 0;
}

/* What it returns: how much is kept. */
static inline uint32_t bpf_run(const struct sock_filter *s, const struct bpf_packet *p)
{
	uint32_t a = 0, x = 0, m[BPF_MEMWORDS] = { 0 };

	for (;; s++) {
		uint32_t b = BPF_SRC(s->code) == BPF_X ? x : s->k;

		switch (BPF_CLASS(s->code)) {
		case BPF_LD:
			if (BPF_MODE(s->code) == BPF_IMM)
				a = s->k;
			else if (BPF_MODE(s->code) == BPF_MEM)
				a = m[s->k];
			else if (BPF_MODE(s->code) == BPF_LEN)
				a = p->len;
			else if (!bpf_load(p, s, &a, x))
				return 0;
			break;
		case BPF_LDX:
			if (BPF_MODE(s->code) == BPF_MSH && !bpf_fetch(p, s->k, 1, &x))
				return 0;
			x = BPF_MODE(s->code) == BPF_MSH ? (x & 0xf) * 4 : BPF_MODE(s->code) == BPF_LEN ? p->len :
			    BPF_MODE(s->code) == BPF_MEM ? m[s->k] : s->k;
			break;
		case BPF_ST:
			m[s->k] = a;
			break;
		case BPF_STX:
			m[s->k] = x;
			break;
		case BPF_ALU:
			if (b == 0 && (BPF_OP(s->code) == BPF_DIV || BPF_OP(s->code) == BPF_MOD))
				return 0;
			a = bpf_alu(BPF_OP(s->code), a, b);
			break;
		case BPF_JMP:
			if (BPF_OP(s->code) == BPF_JA)
				s += s->k;
			else
				s += bpf_holds(BPF_OP(s->code), a, b) ? s->jt : s->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(s->code) == BPF_A ? a : s->k;
		default:
			if (BPF_MISCOP(s->code) == BPF_TAX)
				x = a;
			else
				a = x;
		}
	}
}

/* Turns bytes into the next instruction of a program that the kernel takes, `left` of which follow. */
static inline struct sock_filter bpf_instruction(const uint8_t b[8], unsigned left)
{
	static const uint16_t ops[] = {
		BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_H | BPF_ABS, BPF_LD | BPF_B | BPF_ABS, BPF_LD | BPF_W | BPF_IND,
		BPF_LD | BPF_H | BPF_IND, BPF_LD | BPF_B | BPF_IND, BPF_LD | BPF_W | BPF_LEN, BPF_LDX | BPF_W | BPF_LEN,
		BPF_LDX | BPF_B | BPF_MSH, BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM, BPF_ST, BPF_STX, BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM,
		BPF_ALU | BPF_ADD, BPF_ALU | BPF_SUB, BPF_ALU | BPF_MUL, BPF_ALU | BPF_DIV, BPF_ALU | BPF_MOD, BPF_ALU | BPF_OR,
		BPF_ALU | BPF_AND, BPF_ALU | BPF_XOR, BPF_ALU | BPF_LSH, BPF_ALU | BPF_RSH, BPF_ALU | BPF_NEG,
		BPF_ALU | BPF_ADD | BPF_X, BPF_ALU | BPF_XOR | BPF_X, BPF_ALU | BPF_DIV | BPF_X, BPF_ALU | BPF_AND | BPF_X,
		BPF_JMP | BPF_JA, BPF_JMP | BPF_JEQ, BPF_JMP | BPF_JGT, BPF_JMP | BPF_JGE, BPF_JMP | BPF_JSET, BPF_JMP | BPF_JEQ | BPF_X,
		BPF_JMP | BPF_JGT | BPF_X, BPF_JMP | BPF_JSET | BPF_X, BPF_RET | BPF_K, BPF_RET | BPF_A, BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA,
	};
	static const uint32_t bases[] = { 0, 0, 0, (uint32_t)SKF_NET_OFF, (uint32_t)SKF_LL_OFF, 0xfffffff0u, (uint32_t)SKF_NET_OFF, 0x7fffffe0u };
	static const uint32_t others[] = { SKF_AD_PROTOCOL, SKF_AD_NLATTR, SKF_AD_ALU_XOR_X, SKF_AD_PAY_OFFSET };
	struct sock_filter s = { .code = ops[b[0] % (sizeof(ops) / sizeof(ops[0]))], .k = b[2] };
	unsigned class = BPF_CLASS(s.code), mode = BPF_MODE(s.code);

	if ((class == BPF_LD && (mode == BPF_ABS || mode == BPF_IND)) || (class == BPF_LDX && mode == BPF_MSH))
		s.k = b[2] % 80 + bases[b[1] & 7];
	if (class == BPF_LD && mode == BPF_ABS && s.k >= (uint32_t)SKF_AD_OFF)
		s.k = (uint32_t)SKF_AD_OFF + others[b[2] & 3];
	if (class == BPF_ST || class == BPF_STX || ((class == BPF_LD || class == BPF_LDX) && mode == BPF_MEM))
		s.k = b[2] % 15;
	if (class == BPF_ALU && (BPF_OP(s.code) == BPF_LSH || BPF_OP(s.code) == BPF_RSH))
		s.k &= 31;
	if (class == BPF_ALU && !s.k)
		s.k = 1;
	if (class == BPF_JMP) {
		s.jt = (uint8_t)(b[3] % (left < 256 ? left : 256));
		s.jf = (uint8_t)(b[4] % (left < 256 ? left : 256));
		s.k = BPF_OP(s.code) == BPF_JA ? s.jt : b[2];
	}
	if (class == BPF_RET && b[1] & 1)
		s.k = (uint32_t)b[1] << 24 | b[2];
	return s;
}

/* A program of `n` instructions out of 8 bytes each; the last returns what it was. */
static inline void bpf_program(struct sock_filter *s, unsigned n, const uint8_t *bytes)
{
	for (unsigned i = 0; i < n; i++)
		s[i] = i + 1 < n ? bpf_instruction(bytes + 8 * i, n - i - 1) : (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
}

#endif

/* SPDX-License-Identifier: MIT */
/* Between udp_bpf.c (the whole) and udp_bpf_view.c (a program's own, as it is to see a relayed datagram). */
#ifndef TSPROXY_SOCKS5_UDP_BPF_H
#define TSPROXY_SOCKS5_UDP_BPF_H

#include "tsproxy/udp_bpf.h"

#define TS_BPF_UDP_HEADER 8	/* a UDP socket's filter sees the datagram from here on (udp_queue_rcv_one_skb) */

/*
 * Code grows towards the beginning: jumps only lead forward, so where one is written its targets have their places already. A sequence of
 * several instructions is put together, in its order, in the room in front, and then moved.
 */
struct ts_bpf_code {
	struct sock_filter *insn;
	unsigned at;	/* where what is written begins */
	unsigned front;	/* the length of the sequence in the making */
	bool full;	/* something did not fit, or cannot be said */
};

/* One more instruction of a sequence. */
void ts_bpf_put(struct ts_bpf_code *c, unsigned op, uint32_t k);
/* The sequence's place is in front of what is written. Where it begins. */
unsigned ts_bpf_place(struct ts_bpf_code *c);
/* The same for one instruction; for a jump; for a comparison that goes on at `t` or `f`. */
unsigned ts_bpf_before(struct ts_bpf_code *c, unsigned op, uint32_t k);
unsigned ts_bpf_jump(struct ts_bpf_code *c, unsigned to);
unsigned ts_bpf_test(struct ts_bpf_code *c, unsigned op, uint32_t k, unsigned t, unsigned f);

/* Whether an instruction stores to or loads from BPF's memory. */
bool ts_bpf_has_cell(const struct sock_filter *s);

/*
 * A program's own as it is for datagrams whose header is `head_len` long. `places` as in ts_udp_bpf_compose. Where it begins: with A and X
 * zero, as programs may expect.
 */
unsigned ts_bpf_relayed(struct ts_bpf_code *c, uint16_t *places, const struct ts_udp_bpf *f, unsigned head_len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The socket filter (classic BPF, socket(7) SO_ATTACH_FILTER) of a socket whose datagrams come through a relay: what tells the relay's
 * datagrams from others, and a peer's from what the program is not to see; and behind that a record, which is never run and can be read
 * again by whoever has the socket. Bytes in, bytes out.
 */
#ifndef TSPROXY_UDP_BPF_H
#define TSPROXY_UDP_BPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "tsproxy/addr.h"

#define TS_UDP_RECORD_WORDS 12
#define TS_UDP_BPF_MAX 64	/* no filter of ours is longer */

struct ts_udp_bpf {
	bool connected;		/* only `peer` is to be heard, through the relay */
	bool six;		/* the socket is of IPv6, and may have peers of both families */
	struct ts_addr relay, peer;
	uint32_t record[TS_UDP_RECORD_WORDS];
};

/* Writes it to the end of `out`. Its length. */
unsigned ts_udp_bpf_compose(struct sock_filter out[TS_UDP_BPF_MAX], const struct ts_udp_bpf *f);

/* The record in a filter, in the constants of its instructions. Null: the filter is not ours. */
const struct sock_filter *ts_udp_bpf_find(const struct sock_filter *insn, unsigned total);

#endif

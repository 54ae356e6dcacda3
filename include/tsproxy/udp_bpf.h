/* SPDX-License-Identifier: MIT */
/*
 * Socket filters (classic BPF, socket(7) SO_ATTACH_FILTER) for sockets whose datagrams come through a relay. One program decides, made of:
 *
 *	what tells the relay's datagrams from others, and a peer's from what the program is not to see
 *	the program's own filter, for those: it sees the datagram that the peer sent, without the header between UDP's and the payload
 *	the program's own filter as it is, for all others
 *	a record: words of the caller's, which are never run
 *
 * The program's own can be found again in it, and the record, by whoever reads the socket's filter. Bytes in, bytes out.
 */
#ifndef TSPROXY_UDP_BPF_H
#define TSPROXY_UDP_BPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "tsproxy/addr.h"

struct ts_udp_bpf {
	bool relayed;		/* there is a relay; else all datagrams are others' */
	bool connected;		/* only `peer` is to be heard, through the relay */
	bool six;		/* the socket is of IPv6, and may have peers of both families */
	struct ts_addr relay, peer;
	struct ts_addr knock;	/* an empty datagram from there is let in, whatever the program's filter says; no port: none is */
	struct ts_addr own4, own6;		/* where peers' datagrams arrive, as the program's filter is to see it */
	const struct sock_filter *program;	/* the program's own; valid */
	unsigned n;				/* 0: it has none */
	const uint32_t *record;
	unsigned words;
};

/* What there is besides a program of the caller's: enough for the whole where it has none. `words` at most 16. */
#define TS_UDP_BPF_SMALL 96

/* What the kernel asks of a program as a whole; of its instructions, one by one, the kernel judges when the whole is attached. */
bool ts_udp_bpf_valid(const struct sock_filter *program, unsigned n);

/*
 * Writes the whole to the end of `out`, which has room for `room` instructions, and returns its length; 0: it does not fit, or the program's
 * uses all of BPF's memory. `places`: room for `n` + 1 numbers.
 */
unsigned ts_udp_bpf_compose(struct sock_filter *out, unsigned room, uint16_t *places, const struct ts_udp_bpf *f);

/* Finds the record of `words` words, and in front of it the program's own (`*program`, `*n`), in a filter. Null: it is not of ours. */
const struct sock_filter *ts_udp_bpf_find(const struct sock_filter *insn, unsigned total, unsigned words, const struct sock_filter **program,
					  unsigned *n);

#endif

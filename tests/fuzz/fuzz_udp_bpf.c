/* SPDX-License-Identifier: MIT */
/* A program's socket filter must do the same with a datagram of a peer's as its rewritten form does with the relay's, and be found again. */
#include <stdlib.h>

#include "../unit/bpf.h"
#include "tsproxy/udp_bpf.h"
#include "tsproxy/udp_header.h"

#define PROGRAM_MAX 300
#define IP6_LEN 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct ts_addr relay4 = { { [10] = 0xff, 0xff, 127, 0, 0, 1 }, 4040 }, relay6 = { { [15] = 1 }, 4040 };
static const struct ts_addr peer4 = { { [10] = 0xff, 0xff, 100, 64, 0, 2 }, 4000 }, peer6 = { { 0xfd, 0x7a, [15] = 2 }, 4001 };
static const struct ts_addr own4 = { { [10] = 0xff, 0xff, 100, 64, 0, 1 }, 0 }, own6 = { { 0xfd, 0x7a, [15] = 1 }, 0 };

/* IP header, UDP header, `head` bytes, payload. Where the UDP header is. */
static uint8_t *datagram(uint8_t *p, const struct ts_addr *from, const struct ts_addr *to, const uint8_t *head, unsigned head_len,
			 const uint8_t *payload, unsigned payload_len)
{
	bool is4 = ts_addr_is4(from);
	unsigned ip_len = is4 ? 20 : IP6_LEN, udp_len = 8 + head_len + payload_len;
	uint8_t *udp = p + ip_len;

	memset(p, 0, ip_len + 8);
	p[0] = is4 ? 0x45 : 0x60;
	p[is4 ? 2 : 4] = (uint8_t)((udp_len + (is4 ? ip_len : 0)) >> 8);
	p[is4 ? 3 : 5] = (uint8_t)(udp_len + (is4 ? ip_len : 0));
	p[is4 ? 8 : 7] = 64;
	p[is4 ? 9 : 6] = 17;
	if (is4)
		p[6] = 0x40;
	memcpy(p + (is4 ? 12 : 8), from->ip + (is4 ? 12 : 0), is4 ? 4 : 16);
	memcpy(p + (is4 ? 16 : 24), to->ip + (is4 ? 12 : 0), is4 ? 4 : 16);
	udp[0] = (uint8_t)(from->port >> 8);
	udp[1] = (uint8_t)from->port;
	udp[2] = 0x12;
	udp[3] = 0x34;
	udp[4] = (uint8_t)(udp_len >> 8);
	udp[5] = (uint8_t)udp_len;
	udp[6] = 0xbe;
	udp[7] = 0xef;
	if (head_len)
		memcpy(udp + 8, head, head_len);
	memcpy(udp + 8 + head_len, payload, payload_len);
	return udp;
}

static struct bpf_packet packet(const uint8_t *udp, const struct ts_addr *from, unsigned len)
{
	bool is4 = ts_addr_is4(from);

	return (struct bpf_packet){ udp, len, is4 ? 20 : IP6_LEN, is4 ? 0x0800 : 0x86dd };
}

/* How long it is after the filter; 0: dropped. */
static unsigned kept(const struct sock_filter *program, const struct bpf_packet *p)
{
	uint32_t r = bpf_run(program, p);

	if (!r)
		return 0;
	return r < 8 ? 8 : r < p->len ? r : p->len;
}

static void same(const struct ts_udp_bpf *f, const struct sock_filter *whole, const struct ts_addr *from, const uint8_t *payload, unsigned len)
{
	uint8_t native[IP6_LEN + 8 + 256], relayed[IP6_LEN + 8 + TS_UDP_HEADER_MAX + 256], head[TS_UDP_HEADER_MAX];
	unsigned head_len = (unsigned)ts_udp_header_write(head, from), want, got;
	bool is4 = ts_addr_is4(from);
	struct bpf_packet n = packet(datagram(native, from, is4 ? &own4 : &own6, NULL, 0, payload, len), from, 8 + len);
	struct bpf_packet r = packet(datagram(relayed, &f->relay, ts_addr_is4(&f->relay) ? &own4 : &own6, head, head_len, payload, len), &f->relay,
				     8 + head_len + len);

	want = kept(f->program, &n);
	got = kept(whole, &r);
	if (got != (want ? want + head_len : 0))
		abort();
	/* From elsewhere; or what is not to be heard. */
	got = kept(whole, &n);
	if (got != (f->connected ? 0 : want))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct sock_filter out[BPF_MAXINSNS], program[PROGRAM_MAX];
	static uint16_t places[PROGRAM_MAX + 1];
	static const uint32_t record[] = { 1, 2, 3 };
	struct ts_udp_bpf f = { .relayed = true, .own4 = own4, .own6 = own6, .program = program, .record = record, .words = 3 };
	const struct sock_filter *found, *whole;
	unsigned payload_len, total, n;

	if (len < 2)
		return 0;
	f.connected = data[0] & 1;
	f.six = data[0] & 2;
	f.relay = data[0] & 4 ? relay6 : relay4;
	f.peer = data[0] & 8 ? peer6 : peer4;
	payload_len = data[1] < len - 2 ? data[1] : (unsigned)len - 2;
	f.n = (unsigned)(len - 2 - payload_len) / 8;
	if (!f.n || f.n > PROGRAM_MAX)
		return 0;
	bpf_program(program, f.n, data + 2 + payload_len);
	if (!ts_udp_bpf_valid(program, f.n))
		abort();
	total = ts_udp_bpf_compose(out, BPF_MAXINSNS, places, &f);
	if (!total)
		return 0;
	whole = out + BPF_MAXINSNS - total;
	if (!ts_udp_bpf_valid(whole, total) || !ts_udp_bpf_find(whole, total, 3, &found, &n) || n != f.n ||
	    memcmp(found, program, n * sizeof(*found)) != 0)
		abort();
	if (!f.connected || ts_addr_is4(&f.peer))
		same(&f, whole, &peer4, data + 2, payload_len);
	if (f.connected ? !ts_addr_is4(&f.peer) : f.six)
		same(&f, whole, &peer6, data + 2, payload_len);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * What is kept in the socket itself: a classic BPF filter, which the kernel lets anybody attach (socket(7)) and read again
 * (SO_GET_FILTER), and which goes wherever the socket goes: over fork, exec and SCM_RIGHTS.
 *
 * It hides what the program is not to see, and what it drops never was there: not for poll, epoll or FIONREAD either. On a connected socket
 * that is what other peers send through the relay; otherwise what comes from the relay and is no datagram of a peer. Behind its last
 * reachable instruction it carries a record of the association, as loads of constants that are never run.
 *
 * A process that shares a socket by fork learns of a change by a counter in memory that the family shares, and reads the record then.
 */
#include "udp.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/sys.h"

#define UDP_HEADER 8	/* where a filter sees the payload begin */
#define CODE_MAX 48
#define MAGIC 0x74737564u

/* The record, a constant a word: magic, flags, process, two addresses (16 bytes and a port each). */
enum { WORD_MAGIC, WORD_FLAGS, WORD_MAKER, WORD_RELAY, WORD_PEER = WORD_RELAY + 5, WORDS = WORD_PEER + 5 };
enum { FLAG_CONNECTED = 1, FLAG_V6ONLY = 2, FLAG_V6 = 4 };

struct code {
	struct sock_filter insn[CODE_MAX];
	unsigned n;
};

static void put(struct code *c, unsigned op, uint32_t k)
{
	c->insn[c->n++] = (struct sock_filter)BPF_STMT((uint16_t)op, k);
}

/* Goes on where the accumulator is `k`, else skips `skip` instructions. */
static void expect(struct code *c, uint32_t k, unsigned skip)
{
	c->insn[c->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, (uint8_t)skip);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Only what `peer` sends through the relay. */
static void only(struct code *c, const struct ts_addr *peer)
{
	uint8_t head[TS_UDP_HEADER_MAX + 2] = { 0 };
	size_t len = ts_udp_header_write(head, peer);

	for (size_t at = 0; at < len; at += 4) {
		bool port = len - at == 2;

		put(c, BPF_LD | BPF_ABS | (port ? BPF_H : BPF_W), UDP_HEADER + (uint32_t)at);
		expect(c, port ? be32(head + at) >> 16 : be32(head + at), (unsigned)((len - at - 1) / 4 * 2 + 1));
	}
	put(c, BPF_RET | BPF_K, 0xffffffff);
	put(c, BPF_RET | BPF_K, 0);
}

/* From the relay only what has a header of a family that the socket can have; from others everything. */
static void no_noise(struct code *c, const struct ts_udp_view *v)
{
	bool is4 = ts_addr_is4(&v->relay);
	unsigned words = is4 ? 1 : 4;

	put(c, BPF_LD | BPF_ABS | BPF_H, 0);
	expect(c, v->relay.port, 4 + 2 * words);
	put(c, BPF_LD | BPF_ABS | BPF_B, (uint32_t)SKF_NET_OFF);
	put(c, BPF_ALU | BPF_AND | BPF_K, 0xf0);
	expect(c, is4 ? 0x40 : 0x60, 1 + 2 * words);
	for (unsigned i = 0; i < words; i++) {
		put(c, BPF_LD | BPF_ABS | BPF_W, (uint32_t)SKF_NET_OFF + (is4 ? 12 : 8) + i * 4);
		expect(c, be32(v->relay.ip + (is4 ? 12 : i * 4)), 1 + 2 * (words - 1 - i));
	}
	put(c, BPF_JMP | BPF_JA, 1);
	put(c, BPF_RET | BPF_K, 0xffffffff);
	put(c, BPF_LD | BPF_ABS | BPF_W, UDP_HEADER);
	c->insn[c->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0);
	expect(c, v->family == AF_INET6 ? 4 : 1, 1);
	put(c, BPF_RET | BPF_K, 0xffffffff);
	put(c, BPF_RET | BPF_K, 0);
}

static void put_addr(struct code *c, const struct ts_addr *a)
{
	for (int i = 0; i < 4; i++)
		put(c, BPF_LD | BPF_IMM, be32(a->ip + 4 * i));
	put(c, BPF_LD | BPF_IMM, a->port);
}

static void get_addr(const struct sock_filter *word, struct ts_addr *a)
{
	memset(a, 0, sizeof(*a));
	for (int i = 0; i < 16; i++)
		a->ip[i] = (uint8_t)(word[i / 4].k >> (24 - i % 4 * 8));
	a->port = (uint16_t)word[4].k;
}

/* The record in a socket's filter, which is read into `insn`; `*other`, where given: a filter that is not ours. */
static const struct sock_filter *find_record(int fd, struct sock_filter insn[CODE_MAX], bool *other)
{
	socklen_t n = CODE_MAX;
	long r = ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_GET_FILTER, insn, &n);
	const struct sock_filter *word = NULL;

	if (r == 0 && n > WORDS && n <= CODE_MAX)
		word = insn + n - 1 - WORDS;
	if (word && (word->code != (BPF_LD | BPF_IMM) || word->k != MAGIC))
		word = NULL;
	if (other)
		*other = !word && (r != 0 || n > 0);
	return word;
}

/* Another process of the family has a look when this changes. */
static unsigned *changes;
static unsigned seen;

static void tell(void)
{
	unsigned now;

	if (!changes)
		return;
	now = __atomic_add_fetch(changes, 1, __ATOMIC_RELEASE);
	if (seen == now - 1)
		seen = now;
}

void ts_udp_mark(int fd, const struct ts_udp_view *v)
{
	struct code c = { .n = 0 };
	struct sock_fprog prog = { .filter = c.insn };
	bool other;

	find_record(fd, c.insn, &other);
	if (other && !v->connected)
		return;	/* the program's own stays */
	if (v->connected)
		only(&c, &v->peer);
	else
		no_noise(&c, v);
	put(&c, BPF_LD | BPF_IMM, MAGIC);
	put(&c, BPF_LD | BPF_IMM, (v->connected ? FLAG_CONNECTED : 0u) | (v->v6only ? FLAG_V6ONLY : 0u) |
				  (v->family == AF_INET6 ? FLAG_V6 : 0u));
	put(&c, BPF_LD | BPF_IMM, (uint32_t)v->maker);
	put_addr(&c, &v->relay);
	put_addr(&c, &v->peer);
	put(&c, BPF_RET | BPF_K, 0);
	prog.len = (unsigned short)c.n;
	ts_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
	tell();
}

bool ts_udp_record(int fd, struct ts_udp_view *v)
{
	struct sock_filter insn[CODE_MAX] = { { 0 } };	/* valgrind takes the option's length, in instructions, for bytes */
	const struct sock_filter *word = find_record(fd, insn, NULL);
	uint32_t flags;

	if (!word)
		return false;
	memset(v, 0, sizeof(*v));
	flags = word[WORD_FLAGS].k;
	v->family = flags & FLAG_V6 ? AF_INET6 : AF_INET;
	v->connected = flags & FLAG_CONNECTED;
	v->v6only = flags & FLAG_V6ONLY;
	v->maker = (int)word[WORD_MAKER].k;
	get_addr(word + WORD_RELAY, &v->relay);
	get_addr(word + WORD_PEER, &v->peer);
	if (v->connected)
		v->head_len = (uint8_t)ts_udp_header_write(v->head, &v->peer);
	return true;
}

bool ts_udp_has_record(int fd)
{
	struct ts_udp_view v;

	return ts_udp_record(fd, &v);
}

void ts_udp_arrived(int fd)
{
	struct ts_udp_view v;

	if (ts_udp_record(fd, &v))
		ts_udp_adopt(fd, &v);
}

void ts_udp_forking(int fd)
{
	if (!changes)
		changes = ts_zero_pages(sizeof(*changes), MAP_SHARED);
	if (changes)
		ts_fd_set_flags(fd, TS_FD_SHARED, 0);
}

static void look_at_all(void)
{
	unsigned now;

	ts_lock(&ts_fdtab_lock);
	now = __atomic_load_n(changes, __ATOMIC_ACQUIRE);
	for (int fd = 0; now != seen && fd <= ts_fd_highest(); fd++)
		if (ts_fd_get_flags(fd) & TS_FD_SHARED)
			ts_udp_arrived(fd);
	seen = now;
	ts_unlock(&ts_fdtab_lock);
}

bool ts_udp_shared(int fd)
{
	if (__atomic_load_n(changes, __ATOMIC_ACQUIRE) != seen && ts_process() == TS_SELF)
		look_at_all();
	return ts_fd_get_flags(fd) & TS_FD_UDP;
}

/* SPDX-License-Identifier: MIT */
/*
 * What is kept in the socket itself: a classic BPF filter, which the kernel lets anybody attach (socket(7)) and read again
 * (SO_GET_FILTER), and which goes wherever the socket goes: over fork, exec and SCM_RIGHTS.
 *
 * It hides what the program is not to see, and what it drops never was there: not for poll, epoll or FIONREAD either. On a connected socket
 * that is what other peers send through the relay; otherwise what comes from the relay and is no datagram of a peer. Behind its last
 * reachable instruction it carries a record of the association, as loads of constants that are never run.
 *
 * The kernel has room for one filter, so a socket with one of the program's own gets no association, and one with an association takes none.
 *
 * A process that shares a socket by fork learns of a change by a counter in memory that the family shares, and reads the record then.
 */
#include "udp_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#include "tsproxy/log.h"
#include "tsproxy/sys.h"
#include "tsproxy/udp_bpf.h"

/* The record, a constant a word: flags, process, two addresses (16 bytes and a port each). */
enum { WORD_FLAGS, WORD_MAKER, WORD_RELAY, WORD_PEER = WORD_RELAY + 5 };
enum { FLAG_CONNECTED = 1, FLAG_V6ONLY = 2, FLAG_V6 = 4 };
_Static_assert(WORD_PEER + 5 == TS_UDP_RECORD_WORDS, "the record is as long as its last word says");

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_addr(uint32_t *word, const struct ts_addr *a)
{
	for (int i = 0; i < 4; i++)
		word[i] = be32(a->ip + 4 * i);
	word[4] = a->port;
}

static void get_addr(const struct sock_filter *word, struct ts_addr *a)
{
	memset(a, 0, sizeof(*a));
	for (int i = 0; i < 16; i++)
		a->ip[i] = (uint8_t)(word[i / 4].k >> (24 - i % 4 * 8));
	a->port = (uint16_t)word[4].k;
}

/* 1: `v` is what the record tells. 0: the socket has no filter. -EEXIST: it has one that is not ours. Else -errno. */
static int read_record(int fd, struct ts_udp_view *v)
{
	struct sock_filter insn[TS_UDP_BPF_MAX] = { { 0 } };	/* valgrind takes the option's length, in instructions, for bytes */
	const struct sock_filter *record;
	socklen_t n = TS_UDP_BPF_MAX;
	int err = (int)ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_GET_FILTER, insn, &n);
	uint32_t flags;

	if (err || !n)
		return err == -EINVAL || err == -EACCES ? -EEXIST : err;	/* longer than any of ours; an eBPF program */
	record = ts_udp_bpf_find(insn, n);
	if (!record)
		return -EEXIST;
	memset(v, 0, sizeof(*v));
	flags = record[WORD_FLAGS].k;
	v->family = flags & FLAG_V6 ? AF_INET6 : AF_INET;
	v->connected = flags & FLAG_CONNECTED;
	v->v6only = flags & FLAG_V6ONLY;
	v->maker = (int)record[WORD_MAKER].k;
	get_addr(record + WORD_RELAY, &v->relay);
	get_addr(record + WORD_PEER, &v->peer);
	if (v->connected) {
		v->head_len = (uint8_t)ts_udp_header_write(v->head, &v->peer);
		v->source = ts_addr_is4(&v->peer) ? AF_INET : AF_INET6;
	}
	return 1;
}

/* Another process of the family has a look when its count of changes is not the one that was seen last. */
static _Atomic unsigned seen;

static void tell(void)
{
	unsigned was;

	if (!ts_family)
		return;
	was = atomic_fetch_add(&ts_family->changes, 1);
	atomic_compare_exchange_strong(&seen, &was, was + 1);
}

bool ts_udp_may_mark(int fd)
{
	struct ts_udp_view v;

	if (read_record(fd, &v) != -EEXIST && !ts_sock_get_int(fd, SOL_SOCKET, SO_LOCK_FILTER))
		return true;
	ts_info("fd %d: a socket filter is set or locked: cannot send to the tailnet", fd);
	return false;
}

int ts_udp_mark(int fd, const struct ts_udp_view *v)
{
	struct ts_udp_bpf whole = {
		.connected = v->connected, .six = v->family == AF_INET6, .relay = v->relay, .peer = v->peer,
		.record = {
			[WORD_FLAGS] = (v->connected ? FLAG_CONNECTED : 0u) | (v->v6only ? FLAG_V6ONLY : 0u) |
				       (v->family == AF_INET6 ? FLAG_V6 : 0u),
			[WORD_MAKER] = (uint32_t)v->maker,
		},
	};
	struct sock_filter out[TS_UDP_BPF_MAX];
	struct sock_fprog prog;

	put_addr(whole.record + WORD_RELAY, &v->relay);
	put_addr(whole.record + WORD_PEER, &v->peer);
	prog.len = (unsigned short)ts_udp_bpf_compose(out, &whole);
	prog.filter = out + TS_UDP_BPF_MAX - prog.len;
	if (ts_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) != 0)
		return -ENOBUFS;
	tell();
	return 0;
}

void ts_udp_unmark(int fd)
{
	int unused = 0;		/* of a shorter value the kernel says EINVAL (sk_setsockopt) */

	ts_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	tell();
}

bool ts_udp_record(int fd, struct ts_udp_view *v)
{
	return read_record(fd, v) == 1;
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
	else
		ts_udp_join(fd);
}

void ts_udp_forking(int fd)
{
	if (ts_family)
		ts_fd_set_flags(fd, TS_FD_SHARED, 0);
}

void ts_udp_passed(int fd)
{
	ts_udp_forking(fd);
	ts_fd_set_flags(fd, TS_FD_DATAGRAM | TS_FD_DUPLICATED, 0);
}

static unsigned changes(void)
{
	return ts_family ? ts_family->changes : seen;
}

static void look_at_all(void)
{
	unsigned now;

	ts_lock(&ts_fdtab_lock);
	now = changes();
	for (int fd = 0; now != seen && fd <= ts_fd_highest(); fd++)
		if (ts_fd_get_flags(fd) & TS_FD_SHARED)
			ts_udp_arrived(fd);
	seen = now;
	ts_unlock(&ts_fdtab_lock);
}

bool ts_udp_shared(int fd)
{
	if (changes() != seen && !ts_sandboxed() && ts_process() == TS_SELF)
		look_at_all();
	return ts_fd_get_flags(fd) & TS_FD_UDP;
}

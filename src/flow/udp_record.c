/* SPDX-License-Identifier: MIT */
/*
 * What is kept in the socket itself: a classic BPF filter, which the kernel lets anybody attach (socket(7)) and read again
 * (SO_GET_FILTER), and which goes wherever the socket goes: over fork, exec and SCM_RIGHTS.
 *
 * It hides what the program is not to see, and what it drops never was there: not for poll, epoll or FIONREAD either. On a connected socket
 * that is what other peers send through the relay; otherwise what comes from the relay and is no datagram of a peer. What is left goes
 * through the program's own filter, if it has one (udp_bpf.h). Behind its last reachable instruction it carries a record of the
 * association, as loads of constants that are never run.
 *
 * A process that shares a socket by fork learns of a change by a counter in memory that the family shares, and reads the record then.
 */
#include "udp.h"
#include "udp_filter.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/log.h"
#include "tsproxy/names.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

/* The record, a constant a word: flags, process, two addresses (16 bytes and a port each). */
enum { WORD_FLAGS, WORD_MAKER, WORD_RELAY, WORD_PEER = WORD_RELAY + 5 };
enum { FLAG_CONNECTED = 1, FLAG_V6ONLY = 2, FLAG_V6 = 4, FLAG_LOCKED = 8 };
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

struct ts_udp_filter_room *ts_udp_filter_more_room(struct ts_udp_filter *f)
{
	if (!f->room)
		f->room = ts_zero_pages(sizeof(*f->room), MAP_PRIVATE);
	return f->room;
}

int ts_udp_filter_read(int fd, struct ts_udp_filter *f)
{
	struct sock_filter *insn = f->few;
	socklen_t n = TS_UDP_BPF_SMALL;
	long r;

	f->room = NULL;
	f->program = NULL;
	f->n = 0;
	f->record = NULL;
	f->knock.port = 0;
	memset(f->few, 0, sizeof(f->few));	/* valgrind takes the option's length, in instructions, for bytes */
	r = ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_GET_FILTER, insn, &n);
	if (r == -EINVAL && ts_udp_filter_more_room(f)) {
		insn = f->room->whole;
		n = BPF_MAXINSNS;
		r = ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_GET_FILTER, insn, &n);
	}
	if (r)
		return (int)r;
	f->record = ts_udp_bpf_find(insn, n, TS_UDP_RECORD_WORDS, &f->program, &f->n);
	if (!f->record) {
		f->program = insn;
		f->n = n;
	}
	return 0;
}

void ts_udp_filter_done(struct ts_udp_filter *f)
{
	if (f->room)
		ts_sys(SYS_munmap, f->room, sizeof(*f->room));
	f->room = NULL;
}

bool ts_udp_filter_view(const struct ts_udp_filter *f, struct ts_udp_view *v)
{
	uint32_t flags;

	memset(v, 0, sizeof(*v));
	if (!f->record)
		return false;
	flags = f->record[WORD_FLAGS].k;
	v->family = flags & FLAG_V6 ? AF_INET6 : AF_INET;
	v->connected = flags & FLAG_CONNECTED;
	v->v6only = flags & FLAG_V6ONLY;
	v->maker = (int)f->record[WORD_MAKER].k;
	get_addr(f->record + WORD_RELAY, &v->relay);
	get_addr(f->record + WORD_PEER, &v->peer);
	if (v->connected)
		v->head_len = (uint8_t)ts_udp_header_write(v->head, &v->peer);
	return v->relay.port != 0;
}

bool ts_udp_filter_locked(const struct ts_udp_filter *f)
{
	return f->record && f->record[WORD_FLAGS].k & FLAG_LOCKED;
}

int ts_udp_filter_write(int fd, struct ts_udp_filter *f, const struct ts_udp_view *v, bool locked)
{
	uint32_t record[TS_UDP_RECORD_WORDS] = {
		[WORD_FLAGS] = (v->connected ? FLAG_CONNECTED : 0u) | (v->v6only ? FLAG_V6ONLY : 0u) |
			       (v->family == AF_INET6 ? FLAG_V6 : 0u) | (locked ? FLAG_LOCKED : 0u),
		[WORD_MAKER] = (uint32_t)v->maker,
	};
	struct ts_udp_bpf whole = {
		.relayed = v->relay.port != 0, .connected = v->connected, .six = v->family == AF_INET6, .relay = v->relay, .peer = v->peer,
		.knock = f->knock,
		.program = f->program, .n = f->n, .record = record, .words = TS_UDP_RECORD_WORDS,
	};
	struct sock_filter few[TS_UDP_BPF_SMALL], *out = few;
	unsigned room = TS_UDP_BPF_SMALL;
	struct sock_fprog prog;

	put_addr(record + WORD_RELAY, &v->relay);
	put_addr(record + WORD_PEER, &v->peer);
	if (f->n) {
		if (!ts_udp_filter_more_room(f))
			return -ENOMEM;
		out = f->room->made;
		room = BPF_MAXINSNS;
		ts_live_own_addr(AF_INET, &whole.own4);
		ts_live_own_addr(AF_INET6, &whole.own6);
	}
	prog.len = (unsigned short)ts_udp_bpf_compose(out, room, f->room ? f->room->places : NULL, &whole);
	prog.filter = out + room - prog.len;
	return prog.len ? (int)ts_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) : -ENOMEM;
}

/* Reading and writing a socket's filter are one step for this process' threads. A vfork child takes no lock of its parent's. */
static struct ts_lock lock;

void ts_udp_filter_lock(void)
{
	if (ts_process() == TS_SELF)
		ts_lock(&lock);
}

void ts_udp_filter_unlock(void)
{
	if (ts_process() == TS_SELF)
		ts_unlock(&lock);
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

/* What a call that needs the socket to be ours is told, where the program's own filter does not let it. */
static int no_way(int fd, int err)
{
	if (err == -EPERM || err == -EACCES) {
		ts_info("fd %d: its filter is locked, or an eBPF program: it cannot stay in front of the proxy's headers", fd);
		return -ENETUNREACH;
	}
	ts_info("fd %d: its filter is too long to be combined with ours", fd);
	return -ENOBUFS;
}

static int mark(int fd, const struct ts_udp_view *v)
{
	struct ts_udp_filter f;
	int err;

	ts_udp_filter_lock();
	err = ts_udp_filter_read(fd, &f);
	if (!err)
		err = ts_udp_filter_write(fd, &f, v, ts_udp_filter_locked(&f));
	ts_udp_filter_done(&f);
	ts_udp_filter_unlock();
	if (!err)
		tell();
	return err;
}

int ts_udp_mark(int fd, const struct ts_udp_view *v)
{
	int err = mark(fd, v);

	return err ? no_way(fd, err) : 0;
}

void ts_udp_unmark(int fd, int family)
{
	const struct ts_udp_view none = { .family = family };

	mark(fd, &none);
}

void ts_udp_let_in(int fd, const struct ts_udp_view *v, const struct ts_addr *from)
{
	struct ts_udp_filter f;

	ts_udp_filter_lock();
	if (ts_udp_filter_read(fd, &f) == 0 && f.n && (from || f.record)) {
		if (from)
			f.knock = *from;
		ts_udp_filter_write(fd, &f, v, ts_udp_filter_locked(&f));
	}
	ts_udp_filter_done(&f);
	ts_udp_filter_unlock();
}

bool ts_udp_record(int fd, struct ts_udp_view *v)
{
	struct ts_udp_filter f;
	bool has = ts_udp_filter_read(fd, &f) == 0 && ts_udp_filter_view(&f, v);

	ts_udp_filter_done(&f);
	if (has)
		v->source = !v->connected ? 0 : ts_addr_is4(&v->peer) ? AF_INET : AF_INET6;
	return has;
}

bool ts_udp_has_note(int fd)
{
	struct ts_udp_filter f;
	bool has = ts_udp_filter_read(fd, &f) == 0 && f.record;

	ts_udp_filter_done(&f);
	return has;
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

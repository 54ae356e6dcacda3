/* SPDX-License-Identifier: MIT */
/*
 * The record of a connect under way, and who may advance it: see handoff.h. Layout of the 32 bytes, numbers in network order:
 *
 *   0  u16 magic, unlike an identity's   2  u8 flags   3  u8 the handshake: state, kind, what was said
 *   4  u16 kernel's local port; 0: the connect is about to leave
 *   6  u16 peer port   8  u16 start, in units of 64 ms of CLOCK_MONOTONIC   10  u16 local port that the program chose, or 0
 *   12  u32 the program's SO_RCVLOWAT   16  peer address
 *
 * The proxy is not in it: the kernel knows the socket's peer.
 */
#include "tsproxy/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

#include "tcp_internal.h"
#include "tsproxy/buf.h"
#include "tsproxy/clock.h"
#include "tsproxy/endpoint.h"
#include "tsproxy/epreg.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/identity.h"
#include "tsproxy/log.h"
#include "tsproxy/note.h"
#include "tsproxy/sys.h"

#define MAGIC TS_NOTE_HANDOFF
#define SIZE TS_NOTE_SIZE
#define START_UNIT_MS 64

enum { FLAG_IPV6 = 1, FLAG_V6ONLY = 2, FLAG_UNREPORTED = 8, FLAG_OFFLINE = 16, FLAG_CONNECTING = 32 };
enum { HS_STATE = 7, HS_HTTP = 8, HS_PIPELINED = 16, HS_AUTH = 32, HS_SENT = 64, HS_NAMED = 128 };

struct record {
	unsigned flags, hs;
	uint16_t kernel_port, start, chosen_port;
	uint32_t lowat;
	struct ts_addr peer;
};

static void put_be32(struct ts_wr *w, uint32_t v)
{
	ts_wr_be16(w, (uint16_t)(v >> 16));
	ts_wr_be16(w, (uint16_t)v);
}

static uint32_t get_be32(struct ts_rd *r)
{
	uint32_t high = ts_rd_be16(r);

	return high << 16 | ts_rd_be16(r);
}

/* False where the kernel does not take it: the state is in this process alone then. */
static bool write_record(const struct ts_flow *f, int fd, uint16_t kernel_port)
{
	const struct ts_handshake *hs = &f->hs;
	bool connecting = f->state == TS_FLOW_STARTING || f->state == TS_FLOW_CONNECTING;
	uint8_t bytes[SIZE];
	struct ts_wr w = ts_wr_over(bytes, SIZE);

	ts_wr_be16(&w, MAGIC);
	ts_wr_u8(&w, (uint8_t)((f->family == AF_INET6 ? FLAG_IPV6 : 0) | (f->v6only ? FLAG_V6ONLY : 0) |
			       (f->unreported ? FLAG_UNREPORTED : 0) | (f->offline ? FLAG_OFFLINE : 0) |
			       (connecting ? FLAG_CONNECTING : 0)));
	ts_wr_u8(&w, (uint8_t)(hs->state | (hs->kind == TS_PROXY_HTTP ? HS_HTTP : 0) | (hs->pipelined ? HS_PIPELINED : 0) |
			       (hs->auth ? HS_AUTH : 0) | (hs->sent ? HS_SENT : 0) | (hs->named ? HS_NAMED : 0)));
	ts_wr_be16(&w, kernel_port);
	ts_wr_be16(&w, hs->target.port);
	ts_wr_be16(&w, (uint16_t)(f->start_ms / START_UNIT_MS));
	ts_wr_be16(&w, f->local_port);
	put_be32(&w, (uint32_t)f->lowat);
	ts_wr_bytes(&w, hs->target.ip, 16);
	return ts_note_write(fd, bytes) == 0;
}

/* 1, 0 or -errno. */
static int read_record(int fd, struct record *out)
{
	uint8_t bytes[SIZE];
	struct ts_rd r;
	int has = ts_note_read(fd, bytes);

	if (has <= 0)
		return has;
	r = ts_rd_over(bytes, SIZE);
	if (ts_rd_be16(&r) != MAGIC)
		return 0;
	out->flags = ts_rd_u8(&r);
	out->hs = ts_rd_u8(&r);
	out->kernel_port = ts_rd_be16(&r);
	out->peer.port = ts_rd_be16(&r);
	out->start = ts_rd_be16(&r);
	out->chosen_port = ts_rd_be16(&r);
	out->lowat = get_be32(&r);
	memcpy(out->peer.ip, ts_rd_bytes(&r, 16), 16);
	return (out->hs & HS_STATE) < TS_HS_DONE;
}

/* The record of the connection that the socket is in: 1, 0, or -errno where the kernel does not say. */
static int read_valid(int fd, struct record *out)
{
	int has = read_record(fd, out), state;
	struct ts_addr kernel;

	if (has <= 0 || !out->kernel_port)
		return has < 0 ? has : 0;
	state = ts_sock_get_int(fd, IPPROTO_TCP, TCP_INFO) & 0xff;
	if (!state || !ts_sock_name(fd, SYS_getsockname, &kernel))
		return -ENOBUFS;
	return kernel.port == out->kernel_port && state != TCP_CLOSE;
}

void ts_handoff_store(struct ts_flow *f, int fd)
{
	struct ts_addr kernel = { .port = 0 };

	if (!f->handed_off)
		return;
	if ((f->state != TS_FLOW_STARTING || f->hs.state != TS_HS_START) && !ts_sock_name(fd, SYS_getsockname, &kernel))
		f->handed_off = false;
	else
		f->handed_off = write_record(f, fd, kernel.port);
}

void ts_handoff_void(const struct ts_flow *f, int fd)
{
	static const uint8_t nothing[SIZE] = { TS_NOTE_VOID >> 8, TS_NOTE_VOID & 0xff };

	if (f->handed_off)
		ts_note_write(fd, nothing);
}

/* With the flow's lock. True where there is something that the other side must know. */
static bool publish_locked(struct ts_flow *f, int fd)
{
	struct ts_addr kernel = { .port = 0 };

	if (f->state == TS_FLOW_OVER)
		return false;
	f->forked = true;
	if (f->handed_off || f->state == TS_FLOW_FAILED) {
		f->handed_off = true;
		return true;
	}
	f->handed_off = ts_sock_name(fd, SYS_getsockname, &kernel) && write_record(f, fd, kernel.port);
	return f->handed_off;
}

void ts_handoff_publish(struct ts_flow *f, int fd)
{
	ts_lock_within(&f->lock, &ts_fdtab_lock);
	publish_locked(f, fd);
	ts_unlock_within(&f->lock);
}

bool ts_handoff_publish_borrowed(struct ts_flow *f, int fd)
{
	bool told;

	ts_lock(&f->lock);
	told = publish_locked(f, fd);
	ts_unlock(&f->lock);
	return told;
}

/* The flow as the record has it. */
static void load(struct ts_flow *f, int fd, const struct record *r)
{
	bool connecting = r->flags & FLAG_CONNECTING, moved = !connecting && f->state == TS_FLOW_CONNECTING;

	if (f->state != TS_FLOW_STARTING)
		f->state = connecting ? TS_FLOW_CONNECTING : TS_FLOW_HANDSHAKE;
	f->hs.state = r->hs & HS_STATE;
	f->hs.sent = r->hs & HS_SENT;
	f->lowat = (int)r->lowat;
	f->lowat_now = ts_sock_get_int(fd, SOL_SOCKET, SO_RCVLOWAT);
	for (int alias = moved ? ts_flow_first(f) : -1; alias >= 0; alias = ts_flow_next(alias))
		ts_epreg_tag(alias, EPOLLIN);
}

static int lock_socket(int fd, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };

	return (int)ts_sys(SYS_fcntl, fd, F_SETLK, &lock);
}

bool ts_handoff_has_error(int fd)
{
	struct pollfd p = { .fd = fd };
	struct timespec now = { 0 };

	return ts_sys(SYS_ppoll, &p, 1, &now, NULL, 0) == 1 && p.revents & POLLERR;
}

enum ts_turn ts_handoff_enter(struct ts_flow *f, int fd)
{
	struct ts_identity id;
	struct record r;
	int has;

	if (!f->handed_off)
		return TS_TURN_MINE;
	has = lock_socket(fd, F_WRLCK);
	if (has == -EAGAIN || has == -EACCES)
		return TS_TURN_TAKEN;
	if (f->hs.state == TS_HS_FAILED)
		return TS_TURN_MINE;	/* decided by this process, which has yet to end it */
	has = read_valid(fd, &r);
	if (has == 1)
		load(f, fd, &r);
	if (has)
		return TS_TURN_MINE;	/* where the kernel does not say, by what this process knows */
	/* About to leave, by a thread of this process or of one that shares the flow. */
	if (f->state == TS_FLOW_STARTING && f->hs.state == TS_HS_START)
		return TS_TURN_MINE;
	f->state = TS_FLOW_OVER;
	if (ts_identity_read_failed(fd, &id) && id.failed != ECONNREFUSED && ts_handoff_has_error(fd)) {
		f->err = id.failed;
		f->state = TS_FLOW_FAILED;
	}
	lock_socket(fd, F_UNLCK);
	return TS_TURN_OVER;
}

void ts_handoff_leave(struct ts_flow *f, int fd)
{
	if (!f->handed_off)
		return;
	if (f->state != TS_FLOW_OVER && f->state != TS_FLOW_FAILED && f->state != TS_FLOW_STARTING)
		ts_handoff_store(f, fd);
	lock_socket(fd, F_UNLCK);
}

/* --- taking over --- */

static void fill(struct ts_flow *f, int fd, const struct record *r)
{
	int64_t now = ts_now_ms();
	struct ts_proxy proxy;

	f->handed_off = f->forked = true;
	f->family = r->flags & FLAG_IPV6 ? AF_INET6 : AF_INET;
	f->v6only = r->flags & FLAG_V6ONLY;
	f->local_port = r->chosen_port;
	f->unreported = r->flags & FLAG_UNREPORTED;
	f->offline = r->flags & FLAG_OFFLINE;
	f->start_ms = now - (uint16_t)(now / START_UNIT_MS - r->start) * START_UNIT_MS;
	ts_handshake_init(&f->hs, r->hs & HS_HTTP ? TS_PROXY_HTTP : TS_PROXY_SOCKS5, r->hs & HS_PIPELINED, r->hs & HS_AUTH, &r->peer);
	f->hs.named = r->hs & HS_NAMED;
	if (!ts_sock_name(fd, SYS_getpeername, &f->proxy) && ts_route_proxy(f->family == AF_INET, false, &proxy))
		f->proxy = proxy.addr;
	load(f, fd, r);
}

bool ts_handoff_adopt(int fd)
{
	struct ts_flow *f = ts_flow_with_cookie(ts_socket_cookie(fd));
	struct ts_identity id = { .failed = 0 };
	struct record r;
	bool pending = read_valid(fd, &r) == 1;

	if (!pending && !(ts_identity_read_failed(fd, &id) && id.failed != ECONNREFUSED && ts_handoff_has_error(fd)))
		return false;
	if (f) {
		ts_flow_add_alias(f, fd);
	} else {
		f = ts_flow_new(fd);
		if (!f)
			return false;
		if (pending) {
			fill(f, fd, &r);
		} else {
			f->state = TS_FLOW_FAILED;
			f->err = id.failed;
			f->handed_off = true;
			return true;
		}
		ts_debug("fd %d: continues connecting to %a through %a", fd, &f->hs.target, &f->proxy);
	}
	ts_epreg_discover(fd, ts_flow_found_alias, f);
	for (int alias = ts_flow_first(f); alias >= 0; alias = ts_flow_next(alias)) {
		ts_fd_set_flags(alias, TS_FD_TRACKED, 0);
		ts_epreg_tag(alias, ts_flow_wake_events(f));
	}
	return true;
}

/* A suspect is touched. True where it turned out to have a flow. */
static bool resolve(int fd)
{
	int state = ts_sock_get_int(fd, IPPROTO_TCP, TCP_INFO) & 0xff;
	struct ts_identity id;
	struct record r;

	if (ts_handoff_adopt(fd))
		return true;
	/* Not connected yet, or by another process about to be: the next call looks again. */
	if (state == TCP_CLOSE || (read_record(fd, &r) == 1 && !r.kernel_port))
		return false;
	ts_flow_drop_alias(fd);
	if (ts_identity_read_any(fd, &id))
		ts_fd_set_flags(fd, TS_FD_CARRIED, 0);
	return false;
}

struct ts_flow *ts_flow_of(int fd)
{
	unsigned flags = ts_fd_get_flags(fd);

	if (!ts_flags_have_flow(flags) || (!(flags & TS_FD_FLOW) && !resolve(fd)))
		return NULL;
	return ts_flow_known(fd);
}

struct ts_flow *ts_flow_lock(int fd)
{
	struct ts_flow *f;

	ts_lock(&ts_fdtab_lock);
	f = ts_flow_of(fd);
	if (!f)
		ts_unlock(&ts_fdtab_lock);
	return f;
}

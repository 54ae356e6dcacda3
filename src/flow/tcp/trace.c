/* SPDX-License-Identifier: MIT */
/*
 * Telling of connections: see trace.h.
 *
 * The bytes are the kernel's count at the close (TCP_INFO), less those of the handshake: so reading and writing stay what they are. What
 * the close needs lies in a table by descriptor, which is mapped at the first connection and only where there is tracing.
 * A connection is told closed by the process that made it, when it closes its last descriptor of it: a
 * child made by fork says nothing of what it inherited.
 */
#include "tsproxy/scratch.h"
#include "tsproxy/trace.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "tsproxy/clock.h"
#include "tsproxy/identity.h"
#include "tsproxy/map.h"
#include "tsproxy/names.h"
#include "tsproxy/remote.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

struct traced {
	uint64_t cookie;
	int64_t since_us;
	struct ts_addr peer;
	uint32_t sent, received;	/* of the handshake */
};

static struct traced *_Atomic table;	/* TS_FD_MAX of them */
static _Atomic int owner;		/* the process whose connections are marked */

static int self(void)
{
	return (int)ts_sys(SYS_getpid);
}

/* Milliseconds since the epoch. */
static long when(void)
{
	struct timespec t;

	ts_sys(SYS_clock_gettime, CLOCK_REALTIME, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The name that stands for an address, or null. A map that was never asked is not opened for it. */
static const char *name_of(const uint8_t ip[16], struct ts_map_answer *room)
{
	if (ts_remote_is_placeholder(ip))
		return ts_remote_name(ip, room->canon) ? room->canon : NULL;
	return ts_live_find_addr(ip, room) == 1 && room->canon[0] ? room->canon : NULL;
}

static void tell_open(const struct ts_addr *to, const char *via, const struct ts_addr *proxy, int64_t took_us, int err)
{
	struct ts_map_answer *room = ts_scratch_get(sizeof(*room));
	const char *name = room ? name_of(to->ip, room) : NULL;

	if (proxy)
		ts_trace_write("open %d %l %a %s %s %a %l %d", self(), when(), to, name, via, proxy, (long)took_us, err);
	else
		ts_trace_write("open %d %l %a %s %s - %l %d", self(), when(), to, name, via, (long)took_us, err);
	ts_scratch_put(room, sizeof(*room));
}

static void tell_flow(const struct ts_flow *f, int err)
{
	int64_t took = f->start_us ? ts_now_us() - f->start_us : 0;

	tell_open(&f->hs.target, f->hs.kind == TS_PROXY_HTTP ? "http" : "socks5", &f->proxy, took, err);
}

static bool has_info(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return ts_sys(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0;
}

static bool has_table(void)
{
	if (!table)
		table = ts_zero_pages(sizeof(*table) * TS_FD_MAX, MAP_PRIVATE);
	return table;
}

/* A forked child's marks are its parent's. */
static void own_marks(void)
{
	int me = self();

	if (owner == me)
		return;
	owner = me;
	for (int fd = ts_fd_highest(); fd >= 0; fd--)
		if (ts_fd_get_flags(fd) & TS_FD_TRACED)
			ts_fd_set_flags(fd, 0, TS_FD_TRACED);
}

static void mark(int fd, const struct traced *t)
{
	if ((unsigned)fd >= TS_FD_MAX)
		return;
	table[fd] = *t;
	ts_fd_set_flags(fd, TS_FD_TRACED, 0);
}

/* Not in ts_trace_connected, for its frame. */
static __attribute__((noinline)) void begin(const struct ts_flow *f, int fd)
{
	struct traced t = { .cookie = f->cookie, .peer = f->hs.target, .since_us = ts_now_us() };
	struct tcp_info info;
	int unread = 0;

	if (!has_table() || !has_info(fd, &info))
		return;
	own_marks();
	ts_sys(SYS_ioctl, fd, FIONREAD, &unread);	/* what the far side said already */
	t.sent = (uint32_t)(info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes);
	t.received = (uint32_t)info.tcpi_bytes_received - (uint32_t)unread;
	for (int alias = ts_flow_first(f); alias >= 0; alias = ts_flow_next(alias))
		mark(alias, &t);
}

void ts_trace_connected(const struct ts_flow *f, int fd)
{
	tell_flow(f, 0);
	begin(f, fd);
}

void ts_trace_failed(const struct ts_flow *f, int err)
{
	tell_flow(f, err);
}

void ts_trace_denied(const struct ts_addr *to, int err)
{
	tell_open(to, "none", NULL, 0, err);
}

void ts_trace_direct(int fd, const struct sockaddr *sa, socklen_t len, int err)
{
	int type = 0;
	socklen_t type_len = sizeof(type);
	struct ts_addr to;

	if (!ts_addr_from_sockaddr(&to, sa, len) ||
	    ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 || type != SOCK_STREAM)
		return;
	tell_open(&to, "direct", NULL, 0, err);
}

/* Another descriptor of this process is the same connection's. */
static bool has_other(int fd, uint64_t cookie)
{
	for (int other = ts_fd_highest(); other >= 0; other--)
		if (other != fd && ts_fd_get_flags(other) & TS_FD_TRACED && table[other].cookie == cookie &&
		    ts_socket_cookie(other) == cookie)
			return true;
	return false;
}

/* A flow that is closed while it is pending was given up; it never is decided. */
static void tell_given_up(int fd)
{
	struct ts_flow *f;

	if (!(ts_fd_get_flags(fd) & TS_FD_FLOW))
		return;
	ts_lock(&ts_fdtab_lock);
	f = ts_flow_of(fd);
	if (f && f->owner_pid == self() && ts_flow_first(f) == fd && ts_flow_next(fd) < 0 &&
	    f->state != TS_FLOW_OVER && f->state != TS_FLOW_FAILED)
		tell_flow(f, ECONNABORTED);
	ts_unlock(&ts_fdtab_lock);
}

void ts_trace_closing(int fd)
{
	struct ts_map_answer room;
	struct tcp_info info;
	struct traced *t;
	uint64_t sent, received;

	if (ts_process() != TS_SELF)
		return;
	tell_given_up(fd);
	if (!(ts_fd_get_flags(fd) & TS_FD_TRACED) || !table || owner != self())
		return;
	t = &table[fd];
	if (ts_socket_cookie(fd) != t->cookie || has_other(fd, t->cookie) || !has_info(fd, &info))
		return;
	sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes;
	received = info.tcpi_bytes_received;
	ts_trace_write("close %d %l %a %s %l %l %l", self(), when(), &t->peer, name_of(t->peer.ip, &room),
		       (long)(sent > t->sent ? sent - t->sent : 0), (long)(received > t->received ? received - t->received : 0),
		       (long)(ts_now_us() - t->since_us));
}

void ts_trace_duplicated(int from, int to)
{
	if (table && (unsigned)from < TS_FD_MAX)
		mark(to, &table[from]);
}

void ts_trace_ending(void)
{
	if (!table || owner != self())
		return;
	for (int fd = ts_fd_highest(); fd >= 0; fd--)
		if (ts_fd_get_flags(fd) & TS_FD_TRACED) {
			ts_trace_closing(fd);
			ts_fd_set_flags(fd, 0, TS_FD_TRACED);
		}
}

void ts_trace_arrive(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		struct traced t = { .since_us = ts_now_us() };
		struct ts_identity id;
		struct tcp_info info;

		if (ts_identity_read(fd, &id) != 1 || !has_table() || !has_info(fd, &info))
			continue;
		own_marks();
		/* What went before was its last holder's. */
		t.sent = (uint32_t)(info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes);
		t.received = (uint32_t)info.tcpi_bytes_received;
		t.cookie = ts_socket_cookie(fd);
		t.peer = id.peer;
		mark(fd, &t);
	}
}

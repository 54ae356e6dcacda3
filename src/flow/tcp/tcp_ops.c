/* SPDX-License-Identifier: MIT */
/* What else a program does with a socket whose connection is being made, and where its descriptors come and go: see tcp.h. */
#include "tsproxy/tcp.h"

#include <errno.h>
#include <sys/epoll.h>

#include "tcp_internal.h"
#include "tsproxy/handoff.h"
#include "tsproxy/epreg.h"
#include "tsproxy/identity.h"
#include "tsproxy/epwatch.h"
#include "tsproxy/sys.h"
#include "tsproxy/trace.h"
#include "../fd/waker.h"

int ts_tcp_error(int fd, int err)
{
	struct ts_flow *f;

	if (!ts_fd_has_flow(fd) || (err && err != ECONNREFUSED) || ts_process() != TS_SELF || !(f = ts_flow_lock(fd)))
		return err;
	if (f->state == TS_FLOW_FAILED && (err || f->unsaid)) {
		err = f->err;
		ts_flow_end(f);
	}
	ts_unlock(&ts_fdtab_lock);
	return err;
}

int ts_tcp_abort(int fd, int err)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct ts_flow *f;

	if (ts_tcp_check(fd) != TS_TCP_PENDING || !(f = ts_flow_lock(fd)))
		return 0;
	f->err = err;
	ts_sock_set_int(fd, SOL_SOCKET, SO_RCVLOWAT, f->lowat);
	ts_sys(SYS_connect, fd, &unspec, sizeof(unspec));
	ts_unlock(&ts_fdtab_lock);
	ts_tcp_cancel(fd, ECONNABORTED);
	return 1;
}

bool ts_tcp_names(int fd, struct ts_identity *out)
{
	struct ts_flow *f;

	if (ts_process() != TS_SELF || !(f = ts_flow_lock(fd)))
		return false;
	*out = (struct ts_identity){ .peer = f->hs.target, .local.port = f->local_port, .v6only = f->v6only };
	ts_unlock(&ts_fdtab_lock);
	return true;
}

bool ts_tcp_set_lowat(int fd, int value)
{
	struct ts_flow *f;

	if (ts_tcp_check(fd) != TS_TCP_PENDING || !(f = ts_flow_lock(fd)))
		return false;
	f->lowat = value < 0 ? 0x7fffffff : value ? value : 1;	/* as sock_setsockopt does */
	ts_handoff_store(f, fd);
	ts_unlock(&ts_fdtab_lock);
	return true;
}

bool ts_tcp_get_lowat(int fd, int *value)
{
	struct ts_flow *f;

	if (ts_tcp_check(fd) != TS_TCP_PENDING || !(f = ts_flow_lock(fd)))
		return false;
	*value = f->lowat;
	ts_unlock(&ts_fdtab_lock);
	return true;
}

bool ts_tcp_fd_closing(int fd)
{
	bool datagrams;

	if (__builtin_expect(ts_trace_on || ts_fd_get_flags(fd) & TS_FD_CARRIED, 0)) {
		if (ts_process() != TS_SELF)
			return true;
		if (ts_trace_on)
			ts_trace_closing(fd);
	}
	ts_epwatch_forget(fd);
	if ((!ts_epreg_any(fd) && ts_fd_set_plain(fd, 0, TS_FD_ALL)) || ts_process() != TS_SELF)
		return true;
	ts_lock(&ts_fdtab_lock);
	if (!(ts_fd_get_flags(fd) & TS_FD_SUSPECT))
		ts_flow_of(fd);
	ts_flow_drop_alias(fd);
	if (ts_fd_get_flags(fd) & TS_FD_WAKER)
		ts_waker_forget(fd);
	ts_epreg_forget(fd);
	datagrams = ts_fd_get_flags(fd) & TS_FD_UDP;
	ts_fd_set_flags(fd, 0, datagrams ? 0 : TS_FD_ALL);
	ts_unlock(&ts_fdtab_lock);
	return !datagrams;
}

/* A socket that is neither pending nor traced: nothing but flags. False where it has become so by another thread's call meanwhile. */
static bool duplicate_plain(int from, int to)
{
	unsigned flags = ts_fd_get_flags(from);

	if (ts_flags_have_flow(flags) || flags & TS_FD_TRACED || ts_epreg_any(from))
		return false;
	if (flags & TS_FD_SUSPECT) {
		ts_fd_suspect(to);
	} else {
		ts_fd_untrack_plain(from);
		ts_fd_set_flags(to, ts_fd_get_flags(from) & (TS_FD_OPTIONS | TS_FD_KEYED | TS_FD_IDLE | TS_FD_CARRIED | TS_FD_ARRIVED), 0);
	}
	return !(ts_fd_get_flags(from) & TS_FD_FLOW);
}

void ts_tcp_fd_duplicated(int from, int to)
{
	struct ts_flow *f;

	if (duplicate_plain(from, to) || ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	f = ts_flow_of(from);
	if (f) {
		ts_flow_found_alias(to, f);	/* by now it may have been found when `from` was looked at */
		ts_fd_set_flags(to, TS_FD_TRACKED | (ts_fd_get_flags(from) & TS_FD_KEYED), 0);
	} else if (ts_fd_get_flags(from) & TS_FD_SUSPECT) {
		ts_fd_suspect(to);
	} else {
		ts_fd_untrack(from);
		ts_fd_set_flags(to, ts_fd_get_flags(from) & (TS_FD_OPTIONS | TS_FD_KEYED | TS_FD_IDLE | TS_FD_CARRIED), 0);
		if (ts_fd_get_flags(from) & TS_FD_TRACED)
			ts_trace_duplicated(from, to);
	}
	ts_unlock(&ts_fdtab_lock);
}

void ts_tcp_fd_listens(int fd)
{
	ts_epwatch_forget(fd);
	if (ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_TRACKED | TS_FD_IDLE | TS_FD_SUSPECT | TS_FD_OPTIONS))
		ts_fd_set_flags(fd, 0, TS_FD_NEW | TS_FD_TRACKED | TS_FD_IDLE | TS_FD_SUSPECT | TS_FD_OPTIONS);
}

bool ts_tcp_same(int fd, int to)
{
	struct ts_flow *f;
	bool same;

	if (ts_process() != TS_SELF || !(f = ts_flow_lock(fd)))
		return false;
	same = ts_flow_of(to) == f;
	ts_unlock(&ts_fdtab_lock);
	return same;
}

int ts_tcp_epoll_ctl(int epfd, int op, int fd, const struct epoll_event *ev)
{
	struct ts_flow *f;
	int r = 1;

	if (ts_process() != TS_SELF)
		return 1;
	ts_lock(&ts_fdtab_lock);
	f = ts_flow_of(fd);
	if (f && f->state != TS_FLOW_FAILED && ts_drive(f, fd))
		r = ts_epreg_ctl_pending(epfd, op, fd, ev, ts_flow_wake_events(f));
	else if (ts_fd_get_flags(fd) & TS_FD_TRACKED)
		r = ts_epreg_ctl_tracked(epfd, op, fd, ev);
	ts_unlock(&ts_fdtab_lock);
	return r;
}

/* The registration was made past the table: the flow, which another thread has begun meanwhile, takes it over. */
static void take_over(int epfd, int op, int fd, const struct epoll_event *ev)
{
	struct ts_flow *f;

	if (ts_process() != TS_SELF || !(f = ts_flow_lock(fd)))
		return;
	ts_epwatch_forget(fd);
	if (f->state != TS_FLOW_FAILED)
		ts_epreg_done(epfd, op, fd, ev, ts_flow_wake_events(f));
	ts_unlock(&ts_fdtab_lock);
}

void ts_tcp_epoll_done(int epfd, int op, int fd, const struct epoll_event *ev)
{
	if (!ts_epwatch_note(epfd, op, fd, ev))
		ts_fd_untrack_plain(fd);
	if (__builtin_expect(ts_fd_get_flags(fd) & TS_FD_FLOW, 0))
		take_over(epfd, op, fd, ev);
}

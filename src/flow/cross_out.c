/* SPDX-License-Identifier: MIT */
/* The ways by which a socket leaves this process or is shared with another: see cross.h. */
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "tcp.h"
#include "tsproxy/cross.h"
#include "tsproxy/epreg.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/sys.h"
#include "tsproxy/udp.h"

/* Not connected, as far as this process knows. */
#define UNCONNECTED (TS_FD_NEW | TS_FD_TRACKED | TS_FD_IDLE)

/* Another process may connect it. */
static void suspect_unconnected(int fd)
{
	ts_epreg_forget(fd);
	ts_fd_set_flags(fd, 0, UNCONNECTED);
	if ((ts_sock_get_int(fd, IPPROTO_TCP, TCP_INFO) & 0xff) == TCP_CLOSE)
		ts_flow_suspect(fd);
}

void ts_cross_forking(void)
{
	if (ts_fd_highest() < 0 || ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	for (int fd = 0; fd <= ts_fd_highest(); fd++) {
		unsigned flags = ts_fd_get_flags(fd);
		struct ts_flow *f = flags & TS_FD_FLOW ? ts_flow_of(fd) : NULL;

		if (f)
			f->forked = true;
		else if (flags & UNCONNECTED)
			suspect_unconnected(fd);
		if (flags & (TS_FD_UDP | TS_FD_DATAGRAM))
			ts_udp_forking(fd);
	}
	ts_unlock(&ts_fdtab_lock);
}

static bool stays_open(int fd)
{
	long flags = ts_sys(SYS_fcntl, fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC);
}

static bool publish_own(bool all)
{
	bool told = false;

	ts_lock(&ts_fdtab_lock);
	for (int fd = 0; fd <= ts_fd_highest(); fd++) {
		struct ts_flow *f = ts_fd_get_flags(fd) & TS_FD_FLOW ? ts_flow_of(fd) : NULL;

		if (f && (all || stays_open(fd))) {
			ts_cross_publish(f, fd);
			told = true;
		} else if (ts_fd_get_flags(fd) & TS_FD_UDP && (all || stays_open(fd))) {
			told = true;
		}
	}
	ts_unlock(&ts_fdtab_lock);
	return told;
}

/*
 * A vfork child's descriptors are its own, but the tables are its parent's and so know other numbers: sockets are told by their
 * cookie. No lock of the parent's: what is read without it is checked under the flow's own.
 */
static void publish_borrowed(int fd, void *arg)
{
	struct ts_flow *f;
	bool *told = arg;

	if (!stays_open(fd))
		return;
	if ((f = ts_flow_with_cookie(ts_socket_cookie(fd))))
		*told |= ts_cross_publish_borrowed(f, fd);
	else
		*told |= ts_udp_has_record(fd);
}

bool ts_cross_exec(bool all)
{
	bool told = false;

	if (ts_process() == TS_SELF)
		return publish_own(all);
	ts_fds_each("socket:[", publish_borrowed, &told);
	return told;
}

/* Registrations in sets that only this process has can be given back; others', a forked one may be waiting in. */
static void registrations(void (*each)(int fd, const struct ts_flow *f))
{
	if (!ts_flow_count || ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	for (int fd = 0; fd <= ts_fd_highest(); fd++) {
		struct ts_flow *f = ts_fd_get_flags(fd) & TS_FD_FLOW ? ts_flow_of(fd) : NULL;

		if (f && f->owner_pid == (int)ts_sys(SYS_getpid))
			each(fd, f);
	}
	ts_unlock(&ts_fdtab_lock);
}

static void give_back(int fd, const struct ts_flow *f)
{
	(void)f;
	ts_epreg_untag(fd);
}

static void take_again(int fd, const struct ts_flow *f)
{
	ts_epreg_tag(fd, ts_flow_wake_events(f));
}

void ts_cross_leaving(void)
{
	registrations(give_back);
}

void ts_cross_staying(void)
{
	registrations(take_again);
}

/* --- SCM_RIGHTS --- */

/*
 * Calls `each` (may be null) for every descriptor in the message's control data; false where there is none. The macros of cmsg(3)
 * trust that data; the program's is not to be trusted.
 */
static bool each_right(const struct msghdr *msg, void (*each)(int fd))
{
	bool any = false;
	const uint8_t *at = msg->msg_control, *end = at + msg->msg_controllen;
	struct cmsghdr c;

	if (msg->msg_controllen > INT_MAX)
		return false;	/* ENOBUFS, ____sys_sendmsg */
	while (ts_plausible(at) && (size_t)(end - at) >= sizeof(c)) {
		memcpy(&c, at, sizeof(c));
		if (c.cmsg_len < sizeof(c) || c.cmsg_len > (size_t)(end - at))
			break;
		if (c.cmsg_level == SOL_SOCKET && c.cmsg_type == SCM_RIGHTS)
			for (const uint8_t *p = at + CMSG_LEN(0); p + sizeof(int) <= at + c.cmsg_len; p += sizeof(int)) {
				int fd;

				memcpy(&fd, p, sizeof(fd));
				if (each)
					each(fd);
				any = true;
			}
		if (CMSG_ALIGN(c.cmsg_len) >= (size_t)(end - at))
			break;
		at += CMSG_ALIGN(c.cmsg_len);
	}
	return any;
}

static void sending(int fd)
{
	struct ts_flow *f = ts_fd_has_flow(fd) ? ts_flow_of(fd) : NULL;

	if (f)
		ts_cross_publish(f, fd);
	else if (ts_fd_get_flags(fd) & (TS_FD_UDP | TS_FD_DATAGRAM))
		ts_udp_passed(fd);
	else if (ts_fd_get_flags(fd) & UNCONNECTED)
		suspect_unconnected(fd);
}

void ts_cross_sending(const struct msghdr *msg)
{
	if (!each_right(msg, NULL) || ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	each_right(msg, sending);
	ts_unlock(&ts_fdtab_lock);
}

void ts_cross_received(const struct msghdr *msg)
{
	if (!each_right(msg, NULL) || ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	each_right(msg, ts_cross_arrived);
	ts_unlock(&ts_fdtab_lock);
}

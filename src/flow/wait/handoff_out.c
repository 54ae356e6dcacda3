/* SPDX-License-Identifier: MIT */
/* The ways by which a socket comes to this process, leaves it or is shared with another: see handoff.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

#include "../tcp/tcp_internal.h"
#include "tsproxy/handoff.h"
#include "tsproxy/epreg.h"
#include "tsproxy/epwatch.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/identity.h"
#include "tsproxy/note.h"
#include "tsproxy/sys.h"
#include "tsproxy/tcp.h"
#include "tsproxy/udp.h"
#include "tsproxy/wait.h"

/* Not connected, as far as this process knows. */
#define UNCONNECTED (TS_FD_NEW | TS_FD_TRACKED | TS_FD_IDLE)

/* What is pending or associated: a child may go on with it. */
static void share_carried(void)
{
	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	for (int fd = 0; fd <= ts_fd_highest(); fd++) {
		unsigned flags = ts_fd_get_flags(fd);
		struct ts_flow *f = ts_flags_have_flow(flags) ? ts_flow_of(fd) : NULL;

		if (f)
			f->forked = true;
		else if (flags & UNCONNECTED)
			ts_epreg_forget(fd);
	}
	ts_unlock(&ts_fdtab_lock);
}

void ts_handoff_forking(void)
{
	if (!ts_enabled() || ts_sandboxed())
		return;
	ts_family_begin();
	if (ts_carries)
		share_carried();
	for (int fd = 0; fd <= ts_fd_highest(); fd++) {
		unsigned flags = ts_fd_get_flags(fd);

		if (flags & UNCONNECTED && !ts_flags_have_flow(flags)) {
			ts_epwatch_forget(fd);
			ts_fd_suspect(fd);
		}
		if (flags & (TS_FD_UDP | TS_FD_DATAGRAM))
			ts_udp_forking(fd);
	}
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
		struct ts_flow *f = ts_fd_has_flow(fd) ? ts_flow_of(fd) : NULL;

		if (f && (all || stays_open(fd))) {
			ts_handoff_publish(f, fd);
			told = true;
		} else if (ts_fd_get_flags(fd) & (TS_FD_UDP | TS_FD_CARRIED) && (all || stays_open(fd))) {
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
	struct ts_identity id;
	struct ts_flow *f;
	bool *told = arg;

	if (!stays_open(fd))
		return;
	if ((f = ts_flow_with_cookie(ts_socket_cookie(fd))))
		*told |= ts_handoff_publish_borrowed(f, fd);
	else
		*told |= ts_udp_has_record(fd) || ts_identity_read_any(fd, &id);
}

bool ts_handoff_exec(bool all)
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
		struct ts_flow *f = ts_fd_has_flow(fd) ? ts_flow_of(fd) : NULL;

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

void ts_handoff_leaving(void)
{
	registrations(give_back);
}

void ts_handoff_staying(void)
{
	registrations(take_again);
}

/* --- coming --- */

/* Where a socket that came from elsewhere is not what was known by its number. */
static void arrived(int fd)
{
	int protocol = ts_sock_get_int(fd, SOL_SOCKET, SO_PROTOCOL);
	struct ts_identity id;

	ts_flow_drop_alias(fd);
	ts_epwatch_forget(fd);
	ts_epreg_forget(fd);
	ts_fd_set_flags(fd, 0, TS_FD_ALL);
	if (protocol == IPPROTO_UDP) {
		ts_udp_passed(fd);
		ts_fd_set_flags(fd, ts_udp_has_record(fd) ? TS_FD_CARRIED : 0, 0);
		ts_udp_arrived(fd);
	} else if (protocol == IPPROTO_TCP && !ts_handoff_adopt(fd)) {
		if ((ts_sock_get_int(fd, IPPROTO_TCP, TCP_INFO) & 0xff) == TCP_CLOSE)
			ts_fd_suspect(fd);
		if (ts_identity_read_any(fd, &id))
			ts_fd_set_flags(fd, TS_FD_CARRIED, 0);
	}
	if (ts_fd_get_flags(fd) & (TS_FD_FLOW | TS_FD_UDP | TS_FD_CARRIED))
		ts_family_carry();
}

/* Whether there is anything of ours in the socket. Two questions to the kernel at most: most of what is passed on is not the tailnet's. */
static bool has_note(int fd)
{
	uint8_t note[TS_NOTE_SIZE];

	switch (ts_sock_get_int(fd, SOL_SOCKET, SO_PROTOCOL)) {
	case IPPROTO_TCP:
		return ts_note_read(fd, note);
	case IPPROTO_UDP:
		return ts_udp_has_record(fd);
	default:
		return false;
	}
}

void ts_handoff_look(int fd)
{
	if (!(ts_fd_get_flags(fd) & TS_FD_ARRIVED) || ts_sandboxed())
		return;
	if (!has_note(fd)) {
		ts_fd_set_flags(fd, 0, TS_FD_ARRIVED);
		return;
	}
	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	if (ts_fd_get_flags(fd) & TS_FD_ARRIVED)
		arrived(fd);
	ts_unlock(&ts_fdtab_lock);
}

static void noticed(int fd, void *unused)
{
	(void)unused;
	if (!(ts_fd_get_flags(fd) & (TS_FD_FLOW | TS_FD_UDP)))
		arrived(fd);
}

void ts_handoff_arrive(void)
{
	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	ts_fds_each("socket:[", noticed, NULL);
	ts_unlock(&ts_fdtab_lock);
}

/* --- SCM_RIGHTS --- */

/* Goes through the descriptors in a message's control data. The macros of cmsg(3) trust that data; the program's is not to be trusted. */
struct rights {
	const uint8_t *at, *end;	/* the next header, and the data's end */
	const uint8_t *fd, *fd_end;	/* the next descriptor of this header's */
};

static struct rights rights_of(const struct msghdr *msg)
{
	const uint8_t *at = msg->msg_control;

	if (!ts_plausible(at) || msg->msg_controllen > INT_MAX)
		return (struct rights){ .at = NULL };	/* ENOBUFS, ____sys_sendmsg */
	return (struct rights){ .at = at, .end = at + msg->msg_controllen };
}

static bool next_right(struct rights *r, int *fd)
{
	struct cmsghdr c;

	while (r->fd + sizeof(int) > r->fd_end) {
		if ((size_t)(r->end - r->at) < sizeof(c))
			return false;
		memcpy(&c, r->at, sizeof(c));
		if (c.cmsg_len < sizeof(c) || c.cmsg_len > (size_t)(r->end - r->at))
			return false;
		r->fd = r->at + CMSG_LEN(0);
		r->fd_end = c.cmsg_level == SOL_SOCKET && c.cmsg_type == SCM_RIGHTS ? r->at + c.cmsg_len : r->fd;
		r->at = CMSG_ALIGN(c.cmsg_len) < (size_t)(r->end - r->at) ? r->at + CMSG_ALIGN(c.cmsg_len) : r->end;
	}
	memcpy(fd, r->fd, sizeof(*fd));
	r->fd += sizeof(*fd);
	return true;
}

/* The socket may be used by another number, or by another process, from here on. */
static void sent(int fd)
{
	struct ts_flow *f;

	if (ts_fd_get_flags(fd) & (TS_FD_UDP | TS_FD_DATAGRAM))
		ts_fd_set_flags(fd, TS_FD_DUPLICATED, 0);
	if (!ts_fd_has_flow(fd) || !(f = ts_flow_lock(fd)))
		return;
	ts_handoff_publish(f, fd);
	ts_unlock(&ts_fdtab_lock);
}

/* By a pair of sockets that this process made: who has the other end is related to it (family.h), and looks at what it gets. */
static bool leads_to_family(int by)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);

	return ts_sys(SYS_getsockopt, by, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid == (pid_t)ts_sys(SYS_getpid);
}

/* Waits until the connect is decided: who receives it need not know of any then. 0 or -errno. */
static int decide(int by, int fd, int flags)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	bool at_once = ts_sock_is_at_once(by, flags);

	if (leads_to_family(by))
		return 0;
	while (ts_fd_has_flow(fd) && ts_tcp_check(fd) == TS_TCP_PENDING)
		if (at_once)
			return -EAGAIN;
		else if (ts_wait_poll(&p, 1, NULL, NULL) < 0)
			return -ts_errno;
	return 0;
}

int ts_handoff_sending(int by, const struct msghdr *msg, int flags)
{
	struct rights r;
	int fd, err = 0, saved = ts_errno;

	if (ts_sandboxed())
		return 0;
	for (r = rights_of(msg); !err && next_right(&r, &fd);)
		if (ts_fd_has_flow(fd))
			err = decide(by, fd, flags);
	for (r = rights_of(msg); !err && next_right(&r, &fd);)
		sent(fd);
	ts_errno = saved;
	return err;
}

void ts_handoff_received(const struct msghdr *msg)
{
	struct rights r = rights_of(msg);
	int fd;

	while (next_right(&r, &fd)) {
		if (ts_sandboxed() || !ts_family_carries() || ts_process() != TS_SELF) {
			ts_epwatch_forget(fd);
			if (ts_fd_set_plain(fd, 0, TS_FD_ALL))
				ts_fd_set_flags(fd, TS_FD_ARRIVED, 0);
			continue;
		}
		ts_lock(&ts_fdtab_lock);
		arrived(fd);
		ts_unlock(&ts_fdtab_lock);
	}
}

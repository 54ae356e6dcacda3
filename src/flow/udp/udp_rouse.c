/* SPDX-License-Identifier: MIT */
/*
 * Who was asleep on a socket when another thread's datagram began an association. Nothing in the kernel would wake that thread, and it may
 * be that nobody else ever calls anything on the socket again; so it is woken, and goes on with the association.
 *
 * In the epoll sets that hold the socket its control connection stands beside it, with data that names our record (epreg.h): whoever waits
 * there is woken when there is something to do, and the program sees nothing.
 *
 * poll, select and recv are woken by an empty datagram, which comes from an address of its own, by which it is known. It stays in the socket's
 * queue, unseen by the program's calls, until somebody waits: a sleeper that is slow to look must still find it. Who waits takes it out and goes
 * on with the association, and who stops waiting before that is made sends another.
 */
#include "udp_internal.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>

#include "tsproxy/epreg.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/sys.h"

#define SETS_MAX 32

_Atomic unsigned ts_udp_nudges, ts_udp_hushes;
_Atomic int ts_udp_unprepared;

/* --- epoll --- */

struct sets {
	const struct ts_udp *u;
	int n, epfd[SETS_MAX];
};

static void note_set(int epfd, int fd, void *arg)
{
	struct sets *s = arg;

	if (s->n < SETS_MAX && ts_udp_leads_to(fd, s->u) && (!s->n || s->epfd[s->n - 1] != epfd))
		s->epfd[s->n++] = epfd;
}

static uint32_t wake_events(const struct ts_udp_attempt *a)
{
	return a->connected ? EPOLLIN : EPOLLOUT;
}

void ts_udp_stand_in(int epfd, const struct ts_udp_attempt *a)
{
	static const struct epoll_event none;

	ts_fd_set_flags(a->fd, TS_FD_TRACKED, 0);
	ts_epreg_ctl_pending(epfd, EPOLL_CTL_ADD, a->fd, &none, wake_events(a));
}

bool ts_udp_stand_in_all(const struct ts_udp *u, const struct ts_udp_attempt *a)
{
	struct sets s = { .u = u };

	ts_epreg_each(note_set, &s);
	for (int i = 0; i < s.n; i++)
		ts_udp_stand_in(s.epfd[i], a);
	return s.n > 0;
}

void ts_udp_stand_on(const struct ts_udp_attempt *a)
{
	if (ts_epreg_any(a->fd))
		ts_epreg_tag(a->fd, wake_events(a));
}

void ts_udp_stand_down(const struct ts_udp_attempt *a)
{
	if (a->fd < 0 || !ts_epreg_any(a->fd))
		return;
	ts_epreg_withdraw(a->fd);
	ts_fd_set_flags(a->fd, 0, TS_FD_TRACKED);
}

/* --- poll, select, recv --- */

/* A socket of our own on loopback, of the family that leads to the proxy. -1 where there is none to be had. */
static int neighbour(bool is4, struct ts_addr *out)
{
	static const uint8_t loopback4[] = { 127, 0, 0, 1 }, loopback6[16] = { [15] = 1 };
	int family = is4 ? AF_INET : AF_INET6;
	union ts_udp_name name;
	socklen_t len;
	long fd = ts_sys(SYS_socket, family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (is4)
		ts_addr_set4(out, loopback4, 0);
	else
		ts_addr_set6(out, loopback6, 0);
	ts_udp_name_set(&name, &len, out, family);
	if (ts_sys(SYS_bind, fd, &name, len) == 0 && ts_sys(SYS_getsockname, fd, &name, &len) == 0 &&
	    ts_addr_from_sockaddr(out, &name.sa, len))
		return (int)fd;
	ts_sys(SYS_close, fd);
	return -1;
}

/* Another thread's memory, which may go away. */
static bool look(uint64_t at, void *out, size_t len)
{
	struct iovec here = { out, len }, there = { (void *)(uintptr_t)at, len };

	return ts_sys(SYS_process_vm_readv, ts_sys(SYS_getpid), &here, 1, &there, 1, 0) == (long)len;
}

static bool sleeps_in_poll(const struct ts_udp *u, uint64_t fds, uint64_t n)
{
	struct pollfd p;

	for (uint64_t i = 0; i < n && look(fds + i * sizeof(p), &p, sizeof(p)); i++)
		if (p.events & POLLIN && ts_udp_leads_to(p.fd, u))
			return true;
	return false;
}

static bool sleeps_in_select(const struct ts_udp *u, uint64_t n, uint64_t set)
{
	unsigned long word = 0;

	for (uint64_t fd = 0; set && fd < n; fd++) {
		if (fd % 64 == 0 && !look(set + fd / 8, &word, sizeof(word)))
			return false;
		if (word >> fd % 64 & 1 && ts_udp_leads_to((int)fd, u))
			return true;
	}
	return false;
}

static bool receives_on(const struct ts_call *call, void *arg)
{
	switch (call->number) {
	case SYS_read:
	case SYS_readv:
	case SYS_preadv2:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
		return ts_udp_leads_to((int)call->arg[0], arg);
	}
	return false;
}

static bool sleeps_on(const struct ts_call *call, void *arg)
{
	const struct ts_udp *u = arg;

	switch (call->number) {
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		return sleeps_in_poll(u, call->arg[0], call->arg[1]);
#ifdef SYS_select
	case SYS_select:
#endif
	case SYS_pselect6:
		return sleeps_in_select(u, call->arg[0], call->arg[1]);
	}
	return receives_on(call, arg);
}

bool ts_udp_has_sleepers(const struct ts_udp *u)
{
	return !ts_sandboxed() && ts_threads_sleep_in(sleeps_on, (void *)u);	/* it takes calls that few programs make */
}

void ts_udp_nudge(int fd, struct ts_udp *u, bool is4, bool wake)
{
	union ts_udp_name name;
	struct ts_addr from;
	socklen_t len;
	int near;
	long r;

	if (ts_udp_waits(fd) || (near = neighbour(is4, &from)) < 0)
		return;
	ts_udp_name_set(&name, &len, &from, u->view.family);
	if (u->cork)
		ts_sock_set_int(fd, IPPROTO_UDP, UDP_CORK, 0);
	r = len ? ts_sys(SYS_sendto, fd, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL, &name, len) : -EAFNOSUPPORT;
	if (u->cork)
		ts_sock_set_int(fd, IPPROTO_UDP, UDP_CORK, 1);
	len = sizeof(name);
	if (r == 0 && wake && ts_sys(SYS_recvfrom, near, NULL, 0, MSG_DONTWAIT, &name, &len) == 0) {
		ts_shared_write(&u->nudged, &from, sizeof(from));
		ts_udp_nudges++;
		ts_sys(SYS_sendto, near, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL, &name, len);
	}
	ts_sys(SYS_close, near);
}

void ts_udp_wake_unprepared(int fd, struct ts_udp *u)
{
	if (ts_udp_unprepared && !ts_sandboxed() && ts_udp_is_alone(fd) && !u->view.connected &&
	    ts_threads_sleep_in(receives_on, u))
		ts_udp_nudge(fd, u, ts_addr_is4(&u->view.relay), true);
}

bool ts_udp_nudge_is_next(int fd, struct ts_udp *u)
{
	union ts_udp_name from;
	socklen_t len = sizeof(from);
	struct ts_addr nudged;

	return ts_udp_nudged(u, &nudged) &&
	       ts_sys(SYS_recvfrom, fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, &from, &len) == 0 && ts_udp_is_nudge(u, &from, len);
}

void ts_udp_hushed(struct ts_udp *u)
{
	static const struct ts_addr none;

	ts_shared_write(&u->nudged, &none, sizeof(none));
	ts_udp_hushes++;
}

bool ts_udp_hush(int fd, struct ts_udp *u)
{
	if (!ts_udp_nudge_is_next(fd, u))
		return false;
	ts_sys(SYS_recvfrom, fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	ts_udp_hushed(u);
	return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * A thread is asleep on a UDP socket when another one sends its first datagram without blocking, and does nothing more that concerns
 * sockets. The proxy is a round trip away: nothing but the sleeper can go on with the association.
 */
#include "udp_case.h"

#include <sys/ioctl.h>

#define SLOW "proxy=8"

static void *poll_forever(void *arg)
{
	struct pollfd p[2] = { { .fd = -1 }, { .fd = *(int *)arg, .events = POLLIN | POLLPRI } };
	int n = ppoll(p, 2, NULL, NULL);

	say("ppoll: %d %s", n, poll_names((unsigned short)p[1].revents));
	return NULL;
}

static void *select_it(void *arg)
{
	struct timeval t = { CALM / 1000, CALM % 1000 * 1000 };
	int fd = *(int *)arg;
	fd_set r, x;

	FD_ZERO(&r);
	FD_ZERO(&x);
	FD_SET(fd, &r);
	FD_SET(fd, &x);
	say("select: %d", select(fd + 1, &r, NULL, &x, &t));
	say("%d %d", FD_ISSET(fd, &r) != 0, FD_ISSET(fd, &x) != 0);
	return NULL;
}

static void *pselect_it(void *arg)
{
	int fd = *(int *)arg;
	fd_set r;

	FD_ZERO(&r);
	FD_SET(fd, &r);
	say("pselect: %d", pselect(fd + 1, &r, NULL, NULL, NULL, NULL));
	return NULL;
}

static void *epoll_it(void *arg)
{
	struct epoll_event ev = { 0 };
	int n = epoll_wait(*(int *)arg, &ev, 1, CALM);

	say("epoll_wait: %d %s %d", n, epoll_names(ev.events), (int)ev.data.u64);
	return NULL;
}

static void *pwait_it(void *arg)
{
	struct epoll_event ev = { 0 };
	int n = epoll_pwait(*(int *)arg, &ev, 1, -1, NULL);

	say("epoll_pwait: %d %s", n, epoll_names(ev.events));
	return NULL;
}

static void *pwait2_it(void *arg)
{
	struct timespec limit = { CALM / 1000, CALM % 1000 * 1000000 };
	struct epoll_event ev = { 0 };
	int n = epoll_pwait2(*(int *)arg, &ev, 1, &limit, NULL);

	say("epoll_pwait2: %d %s", n, epoll_names(ev.events));
	return NULL;
}

/* The first datagram, then nothing more. */
static void send_first(int fd, bool connect_it, int flags)
{
	if (connect_it)
		T(connect(fd, TO(PEER, ECHO)));
	if (connect_it)
		T(send(fd, "one", 3, flags));
	else
		T(sendto(fd, "one", 3, flags, TO(PEER, ECHO)));
}

static void asleep(void *(*sleeper)(void *), int how, bool connect_it)
{
	int fd = udp(how), what = fd;
	int64_t t0 = now_ms();
	pthread_t t = thread(sleeper, &what);

	nap(1);
	send_first(fd, connect_it, MSG_DONTWAIT);
	join(t);
	say_span("answered", t0, 4, 20);
	if (sleeper != recv_thread)
		show_from(fd, 100, MSG_DONTWAIT);
	show_poll(fd, POLLIN | POLLOUT, 0);
	echo_from(fd, PEER, ECHO, "more");
	show_quiet(fd);
}

CASE_HOW(poll, case_add_families("poll", case_poll)) { asleep(poll_thread, SOCK_NONBLOCK, false); }
CASE_ATTR(poll_slow, SLOW) { asleep(poll_thread, SOCK_NONBLOCK, false); }
CASE_ATTR(poll_slow6, SLOW) { case_family = AF_INET6; asleep(poll_thread, SOCK_NONBLOCK, false); }
CASE_ATTR(poll_connected, SLOW) { asleep(poll_thread, SOCK_NONBLOCK, true); }
CASE_ATTR(poll_forever, SLOW) { asleep(poll_forever, SOCK_NONBLOCK, false); }
CASE_ATTR(select, SLOW) { asleep(select_it, SOCK_NONBLOCK, false); }
CASE_ATTR(pselect, SLOW) { asleep(pselect_it, SOCK_NONBLOCK, false); }
CASE_ATTR(recv, SLOW) { asleep(recv_thread, 0, false); }
CASE_ATTR(recv_mapped, SLOW) { case_family = AF_INET6; case_mapped = true; asleep(recv_thread, 0, false); }

static void in_set(void *(*sleeper)(void *), uint32_t mode, bool connect_it)
{
	int fd = udp(SOCK_NONBLOCK), ep = epoll_create1(0), outer = epoll_create1(0), asked = sleeper == poll_thread ? outer : ep;
	int64_t t0 = now_ms();
	pthread_t t;

	MUST(add_epoll(ep, fd, EPOLLIN | mode, 7));
	MUST(add_epoll(outer, ep, EPOLLIN, 8));
	t = thread(sleeper, &asked);
	nap(1);
	send_first(fd, connect_it, 0);
	join(t);
	say_span("answered", t0, 4, 20);
	show_epoll(outer, 0);
	show_epoll(ep, 0);
	show_from(fd, 100, 0);
	show_epoll(ep, 0);
	if (mode & EPOLLONESHOT)
		MUST(mod_epoll(ep, fd, EPOLLIN | mode, 9));
	give(fd, PEER, ECHO, "more");
	show_epoll(ep, CALM);
	show_from(fd, 100, 0);
	show_epoll(ep, 0);
	show_quiet(fd);
}

CASE_ATTR(epoll, SLOW) { in_set(epoll_it, 0, false); }
CASE_ATTR(epoll6, SLOW) { case_family = AF_INET6; in_set(epoll_it, 0, false); }
CASE_ATTR(epoll_connected, SLOW) { in_set(epoll_it, 0, true); }
CASE_ATTR(epoll_edge, SLOW) { in_set(epoll_it, EPOLLET, false); }
CASE_ATTR(epoll_oneshot, SLOW) { in_set(epoll_it, EPOLLONESHOT, false); }
CASE_ATTR(epoll_pwait, SLOW) { in_set(pwait_it, 0, false); }
CASE_ATTR(epoll_pwait2, SLOW) { in_set(pwait2_it, 0, false); }
CASE_ATTR(epoll_nested, SLOW) { in_set(poll_thread, 0, false); }

/* The socket comes into the set in which another thread sleeps only after its first datagram was sent; by another number. */
CASE_ATTR(added_later, SLOW)
{
	int fd = udp(SOCK_NONBLOCK), ep = epoll_create1(0);
	pthread_t t = thread(epoll_it, &ep);

	nap(1);
	send_first(fd, false, 0);
	MUST(add_epoll(ep, dup(fd), EPOLLIN, 7));
	join(t);
	show_from(fd, 100, 0);
}

/* Several are asleep, each in another way; a socket in a set is polled as well; one of them gives up early. */
static void *poll_short(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	poll(&p, 1, SHORT * 2);
	return NULL;
}

static void *pwait_quiet(void *arg)
{
	struct epoll_event ev;

	epoll_pwait(*(int *)arg, &ev, 1, CALM, NULL);
	return NULL;
}

CASE_ATTR(several, SLOW)
{
	int fd = udp(SOCK_NONBLOCK), ep = epoll_create1(0);
	struct epoll_event ev;
	pthread_t t[3];

	MUST(add_epoll(ep, fd, EPOLLIN, 7));
	t[0] = thread(poll_short, &fd);
	t[1] = thread(poll_thread, &fd);
	t[2] = thread(pwait_quiet, &ep);
	nap(1);
	send_first(fd, false, 0);
	for (int i = 0; i < 3; i++)
		join(t[i]);
	say("%ld", (long)epoll_wait(ep, &ev, 1, 0));
	show_from(fd, 100, 0);
	say("%ld", (long)epoll_wait(ep, &ev, 1, 0));
}

/* Many sockets, each with a sleeper in the same set. */
CASE_ATTR(crowd, SLOW)
{
	int ep = epoll_create1(0), fds[60], got = 0;
	struct epoll_event ev;
	int64_t t0 = now_ms();
	pthread_t t;

	for (int i = 0; i < 60; i++)
		MUST(add_epoll(ep, fds[i] = udp(SOCK_NONBLOCK), EPOLLIN, (uint64_t)i));
	t = thread(pwait_quiet, &ep);
	nap(1);
	for (int i = 0; i < 60; i++)
		give(fds[i], PEER, ECHO, "x");
	join(t);
	while (got < 60 && epoll_wait(ep, &ev, 1, CALM) == 1) {
		char c;

		if (recv(fds[ev.data.u64], &c, 1, 0) != 1 || c != 'x')
			say("wrong");
		got++;
	}
	say("got %d", got);
	say_span("all", t0, 4, 24);
}

/* Many threads, each asleep on a socket of its own in one of the ways: each is woken for its datagram, and for nothing else. */
static int many_fds[40];
static volatile int woken[40];

static void *one_of_many(void *arg)
{
	int i = (int)(intptr_t)arg, fd = many_fds[i], ep;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct epoll_event ev;
	char buf[10];
	fd_set r;

	switch (i % 4) {
	case 0:
		poll(&p, 1, CALM);
		break;
	case 1:
		FD_ZERO(&r);
		FD_SET(fd, &r);
		select(fd + 1, &r, NULL, NULL, NULL);
		break;
	case 2:
		ep = epoll_create1(0);
		add_epoll(ep, fd, EPOLLIN | (i % 8 == 2 ? EPOLLET : 0), 1);
		epoll_wait(ep, &ev, 1, -1);
		break;
	}
	woken[i] = (int)recv(fd, buf, sizeof(buf), i % 4 == 3 ? 0 : MSG_DONTWAIT);
	if (woken[i] < 0)
		say("%d: %s", i, err_name(errno));
	return NULL;
}

CASE_ATTR(many, SLOW)
{
	pthread_t t[40];
	int right = 0;

	for (int i = 0; i < 40; i++) {
		case_family = i % 3 ? AF_INET : AF_INET6;
		many_fds[i] = udp(i % 4 == 3 ? 0 : SOCK_NONBLOCK);
		t[i] = thread(one_of_many, (void *)(intptr_t)i);
	}
	nap(1);
	for (int i = 0; i < 40; i++) {
		case_family = i % 3 ? AF_INET : AF_INET6;
		if (sendto(many_fds[i], "abcde", 5, MSG_DONTWAIT, TO(PEER, ECHO)) != 5)
			say("%d: %s", i, err_name(errno));
	}
	for (int i = 0; i < 40; i++) {
		join(t[i]);
		right += woken[i] == 5;
	}
	say("right: %d", right);
}

/* Others have the same port: what wakes this one is not theirs. */
CASE_ATTR(shared_port, SLOW)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t len = sizeof(here);
	int fds[8], one = 1, other;
	pthread_t t;

	for (int i = 0; i < 8; i++) {
		fds[i] = udp(SOCK_NONBLOCK);
		MUST(setsockopt(fds[i], SOL_SOCKET, i < 4 ? SO_REUSEPORT : SO_REUSEADDR, &one, sizeof(one)));
		MUST(setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
		MUST(bind(fds[i], (void *)&here, sizeof(here)));
		MUST(getsockname(fds[i], (void *)&here, &len));
	}
	other = udp(SOCK_NONBLOCK);
	t = thread(poll_short, &other);
	for (int i = 0; i < 8; i++)
		give(fds[i], PEER, UDP_MUTE, "x");
	nap(2);
	for (int i = 0; i < 8; i++)
		show_from(fds[i], 10, MSG_DONTWAIT);
	join(t);
}

/* It is in a set, too, and nobody looks there. */
CASE_ATTR(polled_in_set, SLOW)
{
	int fd = udp(SOCK_NONBLOCK), ep = epoll_create1(0);
	pthread_t t;

	MUST(add_epoll(ep, fd, EPOLLIN, 7));
	t = thread(poll_thread, &fd);
	nap(1);
	send_first(fd, false, 0);
	join(t);
	show_epoll(ep, 0);
	show_from(fd, 100, 0);
	show_epoll(ep, 0);
}

/* Two wait for one socket's datagrams, and the sender looks itself, in vain, before they do. */
CASE_ATTR(two_receivers, SLOW)
{
	struct timeval none = { 0 };
	pthread_t t[2];
	int n, fd = udp(0);
	fd_set r;
	char c;

	for (int i = 0; i < 2; i++)
		t[i] = thread(recv_thread, &fd);
	nap(1);
	T(sendto(fd, "one", 3, MSG_DONTWAIT, TO(PEER, ECHO)));
	T(recv(fd, &c, 1, MSG_DONTWAIT));
	T(sendto(fd, "one", 3, MSG_DONTWAIT, TO(PEER, ECHO)));
	FD_ZERO(&r);
	FD_SET(fd, &r);
	T(select(fd + 1, &r, NULL, NULL, &none));
	T(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0));
	MUST(ioctl(fd, FIONREAD, &n));
	say("unread %d", n);
	T(recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK));
	for (int i = 0; i < 2; i++)
		join(t[i]);
	show_quiet(fd);
}

/* What else arrives meanwhile, from a neighbour, is told at once. */
CASE_ATTR(neighbour, SLOW)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = udp(SOCK_NONBLOCK), near = udp(0), n = -1;
	socklen_t len = sizeof(here);
	pthread_t t;

	t = thread(poll_thread, &fd);
	nap(1);
	send_first(fd, false, 0);
	MUST(getsockname(fd, (void *)&here, &len));
	say("bound: %d", here.sin_port != 0);
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(ioctl(fd, FIONREAD, &n));
	say("unread %d", n);
	MUST(sendto(near, "near", 4, 0, (void *)&here, sizeof(here)));
	join(t);
	show_from(fd, 100, 0);
	await(fd);
	show_from(fd, 100, 0);
	show_quiet(fd);
}

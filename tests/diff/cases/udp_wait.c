/* SPDX-License-Identifier: MIT */
/* Waiting for datagrams. */
#include "udp_case.h"

CASE_FAMILIES(poll)
{
	int fd = udp(SOCK_NONBLOCK);

	show_poll(fd, POLLIN | POLLOUT | POLLPRI, 0);
	give(fd, PEER, ECHO, "one");
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_poll(fd, POLLIN, LONG);
	show_select(fd, 0);
	show_from(fd, 100, 0);
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_poll(fd, POLLIN, SHORT);
}

static void sets(uint32_t mode, bool connect_it)
{
	int ep = epoll_create1(0), fd = udp(SOCK_NONBLOCK);

	MUST(add_epoll(ep, fd, EPOLLIN | mode, 7));
	show_epoll(ep, 0);
	if (connect_it)
		T(connect(fd, TO(PEER, ECHO)));
	for (int i = 0; i < 2; i++) {
		T(sendto(fd, "one", 3, 0, TO(PEER, ECHO)));
		show_epoll(ep, LONG);
		show_epoll(ep, 0);
		show_from(fd, 100, 0);
		show_epoll(ep, 0);
		if (mode & EPOLLONESHOT)
			MUST(mod_epoll(ep, fd, EPOLLIN | mode, 8));
	}
}

CASE(level) { sets(0, false); }
CASE(edge) { sets(EPOLLET, false); }
CASE(oneshot) { sets(EPOLLONESHOT, false); }
CASE(level_connected) { sets(0, true); }
CASE(edge_connected) { sets(EPOLLET, true); }
CASE(oneshot_connected) { sets(EPOLLONESHOT, true); }

CASE(edge_out)
{
	int ep = epoll_create1(0), fd = udp(SOCK_NONBLOCK);

	MUST(add_epoll(ep, fd, EPOLLIN | EPOLLOUT | EPOLLET, 7));
	show_epoll(ep, 0);
	give(fd, PEER, ECHO, "one");
	nap(6);
	show_epoll(ep, 0);
	show_from(fd, 100, 0);
}

static void limit(int fd, int n)
{
	struct timeval tv = { .tv_usec = quarters(n) * 1000 };

	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
}

CASE_FAMILIES(timeout)
{
	int fd = udp(0);
	int64_t t0 = now_ms();

	limit(fd, 2);
	give(fd, PEER, ECHO, "one");
	show_from(fd, 100, 0);
	say_span("gave up", t0, 2, 3);
	await(fd);
	show_from(fd, 100, 0);
	limit(fd, 8);
	give(fd, PEER, ECHO, "two");
	show_from(fd, 100, 0);
}

CASE(interrupted)
{
	int fd = udp(0);
	char buf[10];

	on_signal(SIGUSR1, 0);
	give(fd, PEER, UDP_MUTE, "one");
	signal_after(1, SIGUSR1);
	T(recv(fd, buf, sizeof(buf), 0));
	on_signal(SIGUSR1, SA_RESTART);
	give(fd, PEER, ECHO, "two");
	signal_after(1, SIGUSR1);
	T(recv(fd, buf, sizeof(buf), 0));
	say("signals %d", (int)signals_seen);
}

static void *cancelled(void *arg)
{
	char buf[10];

	recv(*(int *)arg, buf, sizeof(buf), 0);
	return NULL;
}

CASE(cancel)
{
	int fd = udp(0);
	void *how;
	pthread_t t;

	give(fd, PEER, UDP_MUTE, "one");
	t = thread(cancelled, &fd);
	nap(1);
	pthread_cancel(t);
	pthread_join(t, &how);
	say("cancelled: %d", how == PTHREAD_CANCELED);
	echo_from(fd, PEER, ECHO, "still");
}

/* Several threads, one socket. */
static void *sender(void *arg)
{
	for (int i = 0; i < 20; i++)
		give(*(int *)arg, PEER, ECHO, "x");
	return NULL;
}

CASE(threads)
{
	int fd = udp(0), got = 0;
	pthread_t t[4];
	char c;

	for (int i = 0; i < 4; i++)
		t[i] = thread(sender, &fd);
	for (struct pollfd p = { .fd = fd, .events = POLLIN }; got < 80 && poll(&p, 1, LONG) == 1; got++)
		if (recv(fd, &c, 1, MSG_DONTWAIT) != 1 || c != 'x')
			say("wrong");
	for (int i = 0; i < 4; i++)
		join(t[i]);
	say("got %d", got);
	show_quiet(fd);
}

static int handler_fd;

static void echo_in_handler(int sig)
{
	char c = 0;

	(void)sig;
	if (sendto(handler_fd, "h", 1, 0, TO(PEER, ECHO)) != 1 || recv(handler_fd, &c, 1, 0) != 1 || c != 'h')
		say("wrong in the handler");
	signals_seen++;
}

CASE(signal_handler)
{
	handler_fd = udp(0);
	signal(SIGUSR1, echo_in_handler);
	raise(SIGUSR1);
	raise(SIGUSR1);
	say("handled %d", (int)signals_seen);
	echo_from(handler_fd, PEER, ECHO, "after");
}

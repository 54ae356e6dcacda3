/* SPDX-License-Identifier: MIT */
/*
 * The proxy is a round trip away. What is sent before it has answered may be lost, as on any way; so each case sends again until there is an
 * answer, as programs with datagrams do, and waits for that in a way of its own.
 */
#include "udp_case.h"

#define SLOW "proxy=8"	/* answers the greeting after a round trip */

enum how { POLL, SELECT, EPOLL, EDGE, RECV, SPIN };

static int epfd = -1;

/* For a fraction of a round trip. */
static bool readable(int fd, enum how how)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timeval t = { .tv_usec = quarters(1) * 1000 };
	struct epoll_event ev;
	fd_set set;
	char c;

	switch (how) {
	case POLL:
		return poll(&p, 1, quarters(1)) == 1;
	case SELECT:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		return select(fd + 1, &set, NULL, NULL, &t) == 1;
	case EPOLL:
	case EDGE:
		return epoll_wait(epfd, &ev, 1, quarters(1)) == 1;
	case RECV:
		MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
		return recv(fd, &c, 1, 0) == 1;
	case SPIN:
		usleep((useconds_t)t.tv_usec);
		return recv(fd, &c, 1, MSG_DONTWAIT) == 1;
	}
	return false;
}

/* Until nothing has come for longer than a round trip. */
static void drain(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	while (poll(&p, 1, quarters(6)) == 1)
		recv(fd, &c, 1, MSG_DONTWAIT);
}

static void until_answered(int fd, enum how how, bool connected)
{
	int turns = 0;

	if (how == EPOLL || how == EDGE) {
		epfd = (int)MUST(epoll_create1(0));
		MUST(add_epoll(epfd, fd, EPOLLIN | (how == EDGE ? EPOLLET : 0), 7));
	}
	do
		if ((connected ? send(fd, "again", 5, 0) : sendto(fd, "again", 5, 0, TO(PEER, ECHO))) != 5)
			say("send: %s", err_name(errno));
	while (!readable(fd, how) && ++turns < 100);
	say("%s", turns < 100 ? "answered" : "never answered");
	drain(fd);
	echo_from(fd, PEER, ECHO, "later");
}

static void slow(enum how how, bool connected)
{
	int fd = udp(how == RECV ? 0 : SOCK_NONBLOCK);
	int64_t t0 = now_ms();

	if (connected)
		T(connect(fd, TO(PEER, ECHO)));
	if (how != RECV)
		say_span("at once", t0, 0, 1);
	until_answered(fd, how, connected);
	if (connected)
		show_peer(fd);
	show_quiet(fd);
}

CASE_ATTR(poll, SLOW) { slow(POLL, false); }
CASE_ATTR(poll6, SLOW) { case_family = AF_INET6; slow(POLL, false); }
CASE_ATTR(select, SLOW) { slow(SELECT, false); }
CASE_ATTR(epoll, SLOW) { slow(EPOLL, false); }
CASE_ATTR(epoll_edge, SLOW) { slow(EDGE, false); }
CASE_ATTR(recv, SLOW) { slow(RECV, false); }
CASE_ATTR(spin, SLOW) { slow(SPIN, false); }
CASE_ATTR(connect, SLOW) { slow(POLL, true); }
CASE_ATTR(connect6, SLOW) { case_family = AF_INET6; slow(EPOLL, true); }
CASE_ATTR(connect_recv, SLOW) { slow(RECV, true); }

/* Each call returns at once, and says that all was sent. */
CASE_ATTR(burst, SLOW)
{
	struct iovec iov[2] = { { "one", 3 }, { "two", 3 } };
	struct mmsghdr m[2] = { 0 };
	int fd = udp(SOCK_NONBLOCK), size = 5, zero = 0, n = 0;
	int64_t t0 = now_ms();

	for (int i = 0; i < 2; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_name = (void *)at(PEER, UDP_MUTE), .msg_namelen = at_len(), .msg_iov = &iov[i],
						.msg_iovlen = 1 };
	for (int i = 0; i < 100; i++)
		n += sendto(fd, "x", 1, 0, TO(PEER, UDP_MUTE)) == 1;
	say("sent %d", n);
	T(sendmmsg(fd, m, 2, 0));
	say("%u %u", m[0].msg_len, m[1].msg_len);
	T(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	T(sendto(fd, "aaaaabbbbbccc", 13, 0, TO(PEER, UDP_MUTE)));
	T(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &zero, sizeof(zero)));
	say_span("all at once", t0, 0, 1);
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_name(fd);
	until_answered(fd, POLL, false);
}

static void *poll_on(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	say("poll: %d", poll(&p, 1, -1));
	return NULL;
}

/* One thread sleeps, another one sends. */
CASE_ATTR(asleep, SLOW)
{
	int fd = udp(SOCK_NONBLOCK), turns = 0;
	pthread_t t = thread(poll_on, &fd);

	nap(1);
	do {
		MUST(sendto(fd, "again", 5, 0, TO(PEER, ECHO)));
		nap(4);
	} while (turns++ < 1 || (recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT | MSG_PEEK) != 1 && turns < 100));
	join(t);
	drain(fd);
	echo_from(fd, PEER, ECHO, "later");
}

/* A datagram in pieces is lost whole, or not at all. */
static void in_pieces(int fd, bool corked)
{
	int one = 1, zero = 0;

	if (corked)
		T(setsockopt(fd, IPPROTO_UDP, UDP_CORK, &one, sizeof(one)));
	T(send(fd, "one ", 4, corked ? 0 : MSG_MORE));
	T(sendto(fd, "two ", 4, corked ? 0 : MSG_MORE, TO(PEER, UDP_MUTE)));
	nap(16);	/* the proxy has answered by then */
	T(send(fd, "three", 5, 0));
	if (corked)
		T(setsockopt(fd, IPPROTO_UDP, UDP_CORK, &zero, sizeof(zero)));
}

static void pieces(bool corked)
{
	int fd = udp(SOCK_NONBLOCK);

	T(connect(fd, TO(PEER, ECHO)));
	in_pieces(fd, corked);
	until_answered(fd, POLL, true);
	in_pieces(fd, corked);
	await(fd);
	show_from(fd, 100, 0);
	show_quiet(fd);
}

CASE_ATTR(pieces, SLOW) { pieces(false); }
CASE_ATTR(corked, SLOW) { pieces(true); }

CASE_ATTR(left, SLOW)
{
	int fd = udp(SOCK_NONBLOCK);

	give(fd, PEER, UDP_MUTE, "x");
	show_name(fd);
	T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	show_name(fd);
	until_answered(fd, POLL, false);
	show_name(fd);
}

/* It gets another number while the proxy has not answered: by dup, and by way of a unix socket. */
CASE_ATTR(two_numbers, SLOW)
{
	for (int how = 0; how < 4; how++) {
		int fd = udp(SOCK_NONBLOCK), other, pair[2];

		if (how & 1)
			T(connect(fd, TO(PEER, ECHO)));
		else
			give(fd, PEER, ECHO, "one");
		MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		if (how & 2)
			send_fd(pair[0], fd);
		other = how & 2 ? recv_fd(pair[1]) : dup(fd);
		until_answered(other, POLL, false);
		echo_from(fd, PEER, ECHO, "three");
		close(fd);
		echo_from(other, PEER, ECHO, "four");
		close(other);
	}
}

/* Closed, left or passed on before the proxy has answered. */
CASE_ATTR(given_up, SLOW)
{
	int fd = udp(SOCK_NONBLOCK), other;
	pid_t child;

	give(fd, PEER, ECHO, "never mind");
	T(close(fd));
	fd = udp(SOCK_NONBLOCK);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	show_peer(fd);
	until_answered(fd, POLL, false);
	fd = udp(SOCK_NONBLOCK);
	give(fd, PEER, ECHO, "one");
	other = dup(fd);
	close(fd);
	until_answered(other, POLL, false);
	fd = udp(SOCK_NONBLOCK);
	give(fd, PEER, UDP_MUTE, "mine");
	child = fork();
	if (child == 0) {
		for (int i = 3; i < 2048; i++)
			if (i != fd)
				close(i);
		until_answered(fd, POLL, false);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	until_answered(fd, POLL, false);
}

/* A loop that opens many sockets is not stopped by each. */
CASE_ATTR(many, SLOW " timed")
{
	static int fds[40];
	int64_t began;

	for (int i = 0; i < 40; i++)
		fds[i] = udp(SOCK_NONBLOCK);
	began = now_ms();
	for (int i = 0; i < 40; i++)
		sendto(fds[i], "one", 3, 0, TO(PEER, ECHO));
	say_span("sent", began, 0, 3);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
}

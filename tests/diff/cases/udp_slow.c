/* SPDX-License-Identifier: MIT */
/* The proxy is a round trip away, and the socket does not block: a datagram can be sent all the same, at once. */
#include "udp_case.h"

#include <sys/ioctl.h>

#define SLOW "proxy=8"	/* answers the greeting after a round trip */

static void at_once(int64_t t0)
{
	say_span("all at once", t0, 0, 1);
}

static void burst(int fd, bool with_name)
{
	int64_t t0 = now_ms();
	int n = 0;

	for (int i = 0; i < 5; i++) {
		char c = (char)('a' + i);

		n += with_name ? sendto(fd, &c, 1, 0, TO(PEER, ECHO)) == 1 : send(fd, &c, 1, 0) == 1;
	}
	at_once(t0);
	say("sent %d", n);
	show_from(fd, 10, 0);
	show_poll(fd, POLLIN | POLLOUT, 0);
	ioctl(fd, FIONREAD, &n);
	say("unread %d", n);
}

static void take_burst(int fd)
{
	for (int i = 0; i < 5; i++) {
		await(fd);
		show_from(fd, 10, 0);
	}
	echo_from(fd, PEER, ECHO, "later");
}

static void by_poll(void)
{
	int fd = udp(SOCK_NONBLOCK);

	burst(fd, true);
	take_burst(fd);
}

static void by_connect(void)
{
	int fd = udp(SOCK_NONBLOCK);
	int64_t t0 = now_ms();

	T(connect(fd, TO(PEER, ECHO)));
	at_once(t0);
	show_peer(fd);
	burst(fd, false);
	take_burst(fd);
	show_peer(fd);
}

static void by_epoll(uint32_t mode)
{
	int fd = udp(SOCK_NONBLOCK), ep = epoll_create1(0);
	struct epoll_event ev;

	MUST(add_epoll(ep, fd, EPOLLIN | mode, 7));
	T(sendto(fd, "one", 3, 0, TO(PEER, ECHO)));
	show_epoll(ep, 0);
	T(epoll_wait(ep, &ev, 1, LONG));
	say("%s %d", epoll_names(ev.events), (int)ev.data.u64);
	show_from(fd, 10, 0);
	show_epoll(ep, 0);
}

CASE_ATTR(poll, SLOW) { by_poll(); }
CASE_ATTR(poll6, SLOW) { case_family = AF_INET6; by_poll(); }
CASE_ATTR(connect, SLOW) { by_connect(); }
CASE_ATTR(connect6, SLOW) { case_family = AF_INET6; by_connect(); }
CASE_ATTR(epoll, SLOW) { by_epoll(0); }
CASE_ATTR(epoll_edge, SLOW) { by_epoll(EPOLLET); }

CASE_ATTR(select, SLOW)
{
	int fd = udp(SOCK_NONBLOCK);
	struct timeval long_time = { .tv_sec = LONG / 1000 };
	fd_set set;

	give(fd, PEER, ECHO, "one");
	FD_ZERO(&set);
	FD_SET(fd, &set);
	T(select(fd + 1, &set, NULL, NULL, &long_time));
	show_from(fd, 10, 0);
}

CASE_ATTR(dontwait, SLOW)
{
	int fd = udp(0);
	int64_t t0 = now_ms();

	T(sendto(fd, "one", 3, MSG_DONTWAIT, TO(PEER, ECHO)));
	at_once(t0);
	show_from(fd, 10, 0);		/* waits */
	T(sendto(fd, "two", 3, 0, TO(PEER, ECHO)));
	show_from(fd, 10, 0);
}

CASE_ATTR(batch, SLOW)
{
	struct iovec iov[2] = { { "one", 3 }, { "two", 3 } };
	struct mmsghdr m[2] = { { .msg_hdr = { .msg_name = (void *)at(PEER, ECHO), .msg_iov = &iov[0], .msg_iovlen = 1 } },
				{ .msg_hdr = { .msg_name = (void *)at(PEER, ECHO), .msg_iov = &iov[1], .msg_iovlen = 1 } } };
	int fd = udp(SOCK_NONBLOCK);

	m[0].msg_hdr.msg_namelen = m[1].msg_hdr.msg_namelen = at_len();
	T(sendmmsg(fd, m, 2, 0));
	await(fd);
	show_from(fd, 10, 0);
	await(fd);
	show_from(fd, 10, 0);
}

/* In segments, by the socket's option; and after it was left the socket gets another port at once. */
CASE_ATTR(segments, SLOW)
{
	static const char large[1000];
	int fd = udp(SOCK_NONBLOCK), size = 5;

	T(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	give(fd, PEER, ECHO, "aaaaabbbbbccc");
	give(fd, PEER, ECHO, "ddddd");
	T(sendto(fd, large, sizeof(large), 0, TO(PEER, ECHO)));	/* more segments than a call can have */
	for (int i = 0; i < 4; i++) {
		await(fd);
		show_from(fd, 100, 0);
	}
	show_quiet(fd);
}

CASE_ATTR(left, SLOW)
{
	int fd = udp(SOCK_NONBLOCK);

	give(fd, PEER, UDP_MUTE, "x");
	show_name(fd);
	T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	show_name(fd);
	give(fd, PEER, ECHO, "y");
	show_name(fd);
	await(fd);
	show_from(fd, 100, 0);
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
		T(sendto(other, "two", 3, 0, TO(PEER, ECHO)));
		for (int i = how & 1; i < 2; i++) {
			await(other);
			show_from(other, 100, 0);
		}
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
	echo_from(fd, PEER, FIRST, "another");
	fd = udp(SOCK_NONBLOCK);
	give(fd, PEER, ECHO, "one");
	other = dup(fd);
	close(fd);
	await(other);
	show_from(other, 10, 0);
	fd = udp(SOCK_NONBLOCK);
	give(fd, PEER, UDP_MUTE, "mine");
	child = fork();
	if (child == 0) {
		for (int i = 3; i < 2048; i++)
			if (i != fd)
				close(i);
		echo_from(fd, PEER, ECHO, "child");
		_exit(0);
	}
	waitpid(child, NULL, 0);
	echo_from(fd, PEER, FIRST, "parent");
}

/* One datagram out of several calls, finished before the proxy has answered, or after. */
static void show_sent(int fd)
{
	await(fd);
	show_from(fd, 60000, MSG_DONTWAIT);
}

static void pieces(bool named)
{
	static char large[5000];
	int fd = udp(SOCK_NONBLOCK);
	const struct sockaddr *to = named ? at(PEER, ECHO) : NULL;
	socklen_t len = named ? at_len() : 0;
	struct sockaddr_storage kept;

	if (named)
		to = memcpy(&kept, to, len);
	else
		T(connect(fd, TO(PEER, ECHO)));
	T(sendto(fd, "one ", 4, MSG_MORE, to, len));
	T(sendto(fd, "two ", 4, MSG_MORE, TO(PEER, UDP_MUTE)));
	T(send(fd, "three", 5, 0));
	T(sendto(fd, "whole", 5, 0, to, len));
	T(sendto(fd, large, 5000, MSG_MORE, to, len));
	T(sendto(fd, "", 0, MSG_MORE, to, len));
	T(sendto(fd, large, 3000, 0, to, len));
	T(sendto(fd, nowhere, 3, MSG_MORE, to, len));
	T(sendto(fd, "gone ", 5, MSG_MORE, to, len));
	T(sendto(fd, nowhere, 3, MSG_MORE, to, len));
	T(sendto(fd, "four ", 5, MSG_MORE, to, len));
	T(recv(fd, large, 10, 0));
	for (int i = 0; i < 3; i++)
		show_sent(fd);
	show_quiet(fd);
	T(sendto(fd, "five", 4, 0, to, len));
	show_sent(fd);
	T(sendto(fd, "six", 3, 0, to, len));
	show_sent(fd);
}

CASE_ATTR(pieces, SLOW) { pieces(false); }
CASE_ATTR(pieces_named, SLOW) { pieces(true); }
CASE_ATTR(pieces6, SLOW) { case_family = AF_INET6; pieces(true); }

CASE_ATTR(corked, SLOW)
{
	int fd = udp(SOCK_NONBLOCK), one = 1, zero = 0;

	T(setsockopt(fd, IPPROTO_UDP, UDP_CORK, &one, sizeof(one)));
	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "one ", 4, 0));
	T(send(fd, "two", 3, 0));
	T(setsockopt(fd, IPPROTO_UDP, UDP_CORK, &zero, sizeof(zero)));
	T(send(fd, "three", 5, 0));
	T(setsockopt(fd, IPPROTO_UDP, UDP_CORK, &one, sizeof(one)));
	T(write(fd, "four ", 5));
	for (int i = 0; i < 2; i++)
		show_sent(fd);
	show_quiet(fd);
	T(send(fd, "five", 4, 0));
	show_quiet(fd);
	show_option(fd, IPPROTO_UDP, UDP_CORK, "UDP_CORK");
	T(setsockopt(fd, IPPROTO_UDP, UDP_CORK, &zero, sizeof(zero)));
	show_sent(fd);
	T(send(fd, "six", 3, 0));
	show_sent(fd);
}

CASE_ATTR(pieces_batch, SLOW)
{
	struct iovec iov[3] = { { "one ", 4 }, { "two ", 4 }, { "three ", 6 } };
	struct mmsghdr m[3] = { 0 };
	int fd = udp(SOCK_NONBLOCK);

	for (int i = 0; i < 3; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len(), .msg_iov = &iov[i],
						.msg_iovlen = 1 };
	T(sendmmsg(fd, m, 3, MSG_MORE));
	T(sendmmsg(fd, m, 2, 0));
	say("%u %u %u", m[0].msg_len, m[1].msg_len, m[2].msg_len);
	show_sent(fd);
	show_sent(fd);
	show_quiet(fd);
}

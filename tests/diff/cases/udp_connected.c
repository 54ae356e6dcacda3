/* SPDX-License-Identifier: MIT */
/* Datagrams of a connected socket. */
#include "udp_case.h"

static int joined(int flags, int port)
{
	int fd = udp(flags);

	if (connect(fd, TO(PEER, port)) < 0)
		say("connect: %s", err_name(errno));
	return fd;
}

CASE_FAMILIES(echo)
{
	int fd = udp(0);
	char a[3], b[100];
	struct iovec out[2] = { { "wr", 2 }, { "itev", 4 } }, in[2] = { { a, 3 }, { b, 100 } };

	T(connect(fd, TO(PEER, ECHO)));
	show_peer(fd);
	show_name(fd);
	show_poll(fd, POLLIN | POLLOUT, 0);
	T(send(fd, "send", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(write(fd, "write", 5));
	await(fd);
	T(read(fd, b, 100));
	say("\"%s\"", bytes_name(b, 5));
	T(writev(fd, out, 2));
	await(fd);
	T(readv(fd, in, 2));
	say("\"%s\" \"%s\"", bytes_name(a, 3), bytes_name(b, 3));
	T(sendto(fd, "null", 4, 0, NULL, 0));
	await(fd);
	T(recv(fd, b, 100, 0));
	T(sendmsg(fd, &(struct msghdr){ .msg_iov = out, .msg_iovlen = 2 }, 0));
	await(fd);
	show_from(fd, 3, 0);
	show_quiet(fd);
}

CASE_FAMILIES(nonblocking)
{
	int fd = udp(SOCK_NONBLOCK), n = -1;

	T(connect(fd, TO(PEER, ECHO)));
	T(recv(fd, &n, 4, 0));
	T(send(fd, "abc", 3, 0));
	await(fd);
	T(ioctl(fd, FIONREAD, &n));
	say("FIONREAD %d", n);
	show_from(fd, 100, 0);
	T(read(fd, &n, 4));
}

/* Only the peer's datagrams arrive: of others not even a wake-up. */
CASE_FAMILIES(strangers)
{
	int fd = joined(0, ECHO), ep = epoll_create1(0);

	MUST(add_epoll(ep, fd, EPOLLIN | EPOLLET, 1));
	T(sendto(fd, "stray", 5, 0, TO(PEER, FIRST)));
	T(sendto(fd, "stray", 5, 0, TO(PEER, HALF)));
	show_quiet(fd);
	show_epoll(ep, 0);
	T(send(fd, "mine", 4, 0));
	show_epoll(ep, LONG);
	show_from(fd, 100, 0);
	show_quiet(fd);
}

/* What came before connect stays in the queue. */
CASE_FAMILIES(queued_before)
{
	int fd = udp(0);

	give(fd, PEER, FIRST, "early");
	await(fd);
	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "late", 4, 0));
	show_from(fd, 100, MSG_DONTWAIT);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

CASE_FAMILIES(reconnect)
{
	int fd = joined(0, ECHO);
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	T(send(fd, "one", 3, 0));
	await(fd);
	T(connect(fd, TO(PEER, FIRST)));
	show_peer(fd);
	show_from(fd, 100, 0);
	T(send(fd, "two", 3, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(connect(fd, &unspec, sizeof(unspec)));
	show_peer(fd);
	show_name(fd);
	T(send(fd, "none", 4, 0));
	echo_from(fd, PEER, HALF, "three");
	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "four", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* To a neighbour on this machine and back. */
CASE(leave)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t len = sizeof(here);
	int near = udp(0), fd = joined(0, ECHO);

	MUST(bind(near, (void *)&here, len));
	MUST(getsockname(near, (void *)&here, &len));
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	T(send(fd, "one", 3, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(connect(fd, (void *)&here, len));
	show_peer(fd);
	T(send(fd, "near, and long enough", 21, 0));
	show_read(near, 100, 0);	/* from which of this machine's addresses is the kernel's choice */
	T(connect(fd, TO(PEER, ECHO)));
	show_peer(fd);
	T(send(fd, "two", 3, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* The same with one of IPv6, and with one that cannot be reached. */
CASE(leave_six)
{
	struct sockaddr_in6 here = { .sin6_family = AF_INET6 }, nowhere6 = { .sin6_family = AF_INET6, .sin6_port = htons(7) }, name;
	socklen_t len = sizeof(here);
	int near, fd;
	in_port_t port;

	case_family = AF_INET6;
	near = udp(0);
	fd = joined(0, ECHO);
	MUST(bind(near, (void *)&here, len));
	MUST(getsockname(near, (void *)&here, &len));
	here.sin6_addr = in6addr_loopback;
	inet_pton(AF_INET6, "2001:db8::1", &nowhere6.sin6_addr);
	MUST(getsockname(fd, (void *)&name, &len));
	port = name.sin6_port;
	T(connect(fd, (void *)&nowhere6, len));
	show_peer(fd);
	T(send(fd, "one", 3, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(connect(fd, (void *)&here, len));
	show_peer(fd);
	MUST(getsockname(fd, (void *)&name, &len));
	say("the same port: %d", port == name.sin6_port);
	T(send(fd, "near", 4, 0));
	show_read(near, 100, 0);
	T(connect(fd, TO(PEER, ECHO)));
	show_peer(fd);
	T(send(fd, "two", 3, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

CASE_FAMILIES(bound)
{
	int fd = udp(0);
	in_port_t port = htons((uint16_t)(7770 + (case_family == AF_INET6) + case_mapped));
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = port };
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = port };

	T(bind(fd, case_family == AF_INET ? (void *)&any4 : (void *)&any6, at_len()));
	show_name(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_name(fd);
	T(send(fd, "one", 3, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	show_name(fd);
}

CASE_FAMILIES(burst)
{
	int fd = joined(0, UDP_BURST);

	T(send(fd, "go", 2, 0));
	for (int i = 0; i < UDP_BURST_COUNT; i++) {
		await(fd);
		show_from(fd, 100, MSG_DONTWAIT);
	}
	show_quiet(fd);
}

CASE(shut)
{
	int fd = joined(0, ECHO);
	char c;

	T(shutdown(fd, SHUT_WR));
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	T(shutdown(fd, SHUT_RD));
	show_poll(fd, POLLIN | POLLOUT, 0);
	T(recv(fd, &c, 1, 0));
}

/* An IPv6 socket that is connected to an IPv4 peer has an IPv4 address, from which no other can be reached. */
CASE(one_family)
{
	int fd;

	case_family = AF_INET6;
	fd = udp(0);
	T(connect(fd, at_family(AF_INET6, true, PEER, ECHO), at_len()));
	T(connect(fd, at_family(AF_INET6, false, PEER, ECHO), at_len()));
	show_peer(fd);
	T(sendto(fd, "six", 3, 0, at_family(AF_INET6, false, PEER, FIRST), at_len()));
	T(sendto(fd, "four", 4, 0, at_family(AF_INET6, true, PEER, ECHO), at_len()));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	/* What comes by IPv6 after that is lost natively: the kernel goes on to look for IPv4. */
	T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	T(connect(fd, at_family(AF_INET6, false, PEER, FIRST), at_len()));
	show_peer(fd);
	fd = udp(0);
	T(connect(fd, at_family(AF_INET6, false, PEER, FIRST), at_len()));
	T(sendto(fd, "four", 4, 0, at_family(AF_INET6, true, PEER, ECHO), at_len()));
	T(connect(fd, at_family(AF_INET6, true, PEER, ECHO), at_len()));
	show_peer(fd);
	T(connect(fd, at_family(AF_INET6, false, PEER, FIRST), at_len()));
}

/* Connected to loopback it has an address from which nothing else is reached, whatever it did before. */
CASE(loopback_first)
{
	struct sockaddr_in near = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = udp(0);

	echo_from(fd, PEER, ECHO, "one");
	T(connect(fd, (void *)&near, sizeof(near)));
	T(sendto(fd, "two", 3, 0, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	show_peer(fd);
	T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	echo_from(fd, PEER, ECHO, "three");
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, FIRST)));
	show_peer(fd);
}

/* SPDX-License-Identifier: MIT */
/* Sockets bound to this node's own tailnet address before they connect: ssh -b, curl --interface. */
#include "../case.h"

#include <sys/syscall.h>

static int bound(int flags)
{
	int fd = sock(flags);

	T(bind(fd, TO(SELF, 0)));
	show_name(fd);
	return fd;
}

static in_port_t port_of(int fd)
{
	struct sockaddr_in6 sa;
	socklen_t len = sizeof(sa);

	MUST(getsockname(fd, (struct sockaddr *)&sa, &len));
	return sa.sin6_port;
}

CASE_FAMILIES(blocking)
{
	int fd = bound(0);
	in_port_t port = port_of(fd);

	T(connect(fd, TO(PEER, ECHO)));
	show_name(fd);
	show_peer(fd);
	say("port kept %d", port_of(fd) == port);
	show_echo(fd);
}

CASE_FAMILIES(nonblocking)
{
	int fd = bound(SOCK_NONBLOCK), ep = epoll_create1(0);
	in_port_t port = port_of(fd);

	T(add_epoll(ep, fd, EPOLLOUT | EPOLLET, 1));
	show_epoll(ep, 0);
	T(connect(fd, TO(PEER, ECHO)));
	show_name(fd);
	say("port kept %d", port_of(fd) == port);
	show_epoll(ep, LONG);
	show_name(fd);
	say("port kept %d", port_of(fd) == port);
	show_echo(fd);
}

CASE_FAMILIES(refused)
{
	int fd = bound(0);

	T(connect(fd, TO(PEER, REFUSED)));
	show_name(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_name(fd);
	show_echo(fd);
}

CASE(given_port)
{
	int fd = sock(0), other = sock(0), one = 1;

	T(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	T(bind(fd, TO(SELF, 9321)));
	say("%d", ntohs(port_of(fd)));
	T(bind(other, TO(SELF, 9321)));
	T(bind(fd, TO(SELF, 0)));
	T(connect(fd, TO(PEER, ECHO)));
	say("%d", ntohs(port_of(fd)));
	show_name(fd);
}

CASE(no_port_yet)
{
	int fd = sock(0), one = 1;

	T(setsockopt(fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof(one)));
	T(bind(fd, TO(SELF, 0)));
	say("%d", port_of(fd) != 0);
	show_name(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_name(fd);
	show_echo(fd);
}

CASE(v6only)
{
	int fd, one = 1, got = 0;
	socklen_t len = sizeof(got);

	case_family = AF_INET6;
	fd = sock(0);
	T(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)));
	T(bind(fd, TO(SELF, 0)));
	T(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &got, &len));
	say("%d", got);
	show_name(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_name(fd);
	show_echo(fd);
}

CASE(another_nodes) { int fd = sock(0); T(bind(fd, TO(PEER, 0))); show_name(fd); T(connect(fd, TO(PEER, ECHO))); show_echo(fd); }
CASE(wrong_calls) { int fd = sock(0); T(bind(fd, at(SELF, 0), 8)); T(bind(fd, at_family(AF_INET6, false, SELF, 0), 28)); T(bind(-1, TO(SELF, 0))); T(bind(fd, nowhere, 16)); T(bind(fd, TO(SELF, 0))); T(bind(fd, TO(SELF, 0))); }
CASE(by_number) { int fd = sock(0); T(syscall(SYS_bind, fd, at(SELF, 0), at_len())); show_name(fd); T(connect(fd, TO(PEER, ECHO))); show_name(fd); show_echo(fd); }
CASE(duplicated) { int fd = bound(0), d = dup(fd); show_name(d); T(connect(d, TO(PEER, ECHO))); close(d); show_name(fd); show_echo(fd); }

CASE(forked)
{
	int fd = bound(0);
	pid_t pid = (pid_t)MUST(fork());

	if (!pid) {
		show_name(fd);
		T(connect(fd, TO(PEER, ECHO)));
		show_name(fd);
		_exit(0);
	}
	expect_exit(pid);
	show_name(fd);
	show_echo(fd);
}

CASE_HOW(sub_show, case_add("sub_show", case_sub_show, "sub")) { show_name(atoi(case_args[0])); T(connect(atoi(case_args[0]), TO(PEER, ECHO))); show_name(atoi(case_args[0])); show_echo(atoi(case_args[0])); }
CASE(executed)
{
	int fd = bound(0);
	char number[12];

	snprintf(number, sizeof(number), "%d", fd);
	execl(case_self, case_self, "sub_show", number, NULL);
}

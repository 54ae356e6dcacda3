/* SPDX-License-Identifier: MIT */
/* Several connections from one local port to different destinations: SO_REUSEADDR and bind before connect, as ZeroMQ's source addresses. */
#include "../case.h"

#include <netinet/ip.h>

/* A port that nobody has, nor a connection in TIME_WAIT. Ports from 16384 on are not printed. */
static int port(void)
{
	static int chosen;

	for (int try = getpid() % 16000; !chosen; try = (try + 1) % 16000) {
		struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)(16384 + try)) };
		int fd = socket(AF_INET6, SOCK_STREAM, 0);

		if (bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0)
			chosen = 16384 + try;
		close(fd);
	}
	return chosen;
}

static int option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

/* Bound to all addresses of the case's family. */
static int bound_any(int flags)
{
	struct sockaddr_in6 any = { .sin6_family = (sa_family_t)case_family, .sin6_port = htons((in_port_t)port()) };
	int fd = sock(flags);

	MUST(option(fd, SOL_SOCKET, SO_REUSEADDR, 1));
	MUST(bind(fd, (struct sockaddr *)&any, case_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(any)));
	return fd;
}

static int bound_own(int flags)
{
	int fd = sock(flags);

	MUST(option(fd, SOL_SOCKET, SO_REUSEADDR, 1));
	MUST(bind(fd, TO(SELF, port())));
	return fd;
}

static void show_port(int fd)
{
	struct sockaddr_in6 sa;
	socklen_t len = sizeof(sa);

	MUST(getsockname(fd, (struct sockaddr *)&sa, &len));
	show_name(fd);
	say("the port is kept: %d", sa.sin6_port == htons((in_port_t)port()));
}

static void show_both(int fd)
{
	show_port(fd);
	show_peer(fd);
	show_echo(fd);
}

CASE_FAMILIES(any)
{
	int a = bound_any(0), b = bound_any(0);

	T(connect(a, TO(PEER, ECHO)));
	T(connect(b, TO(PEER, FIRST)));
	show_both(a);
	show_port(b);
	show_peer(b);
}

CASE_FAMILIES(own)
{
	int a = bound_own(0), b = bound_own(0);

	T(connect(a, TO(PEER, FIRST)));
	T(connect(b, TO(PEER, ECHO)));
	show_both(b);
	show_port(a);
}

static void v6only(bool both_own)
{
	int a, b;

	case_family = AF_INET6;
	a = both_own ? bound_own(0) : bound_any(0);
	b = sock(0);
	MUST(option(b, SOL_SOCKET, SO_REUSEADDR, 1));
	MUST(option(b, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	MUST(bind(b, TO(SELF, port())));
	T(connect(a, TO(PEER, FIRST)));
	T(connect(b, TO(PEER, ECHO)));
	show_both(b);
	show_option(b, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
}
CASE(v6only) { v6only(false); }
CASE(v6only_own) { v6only(true); }

CASE(v6only_any)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port()) };
	int fd;

	case_family = AF_INET6;
	fd = sock(0);
	MUST(option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	MUST(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	T(connect(fd, TO(PEER, ECHO)));
	show_both(fd);
	show_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
}

CASE_FAMILIES(not_blocking)
{
	int a = bound_any(SOCK_NONBLOCK), b = bound_any(SOCK_NONBLOCK), ep = epoll_create1(0), level = epoll_create1(0);

	T(add_epoll(ep, b, EPOLLOUT | EPOLLET, 1));
	T(add_epoll(level, b, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 2));
	show_epoll(ep, 0);
	T(connect(a, TO(PEER, FIRST)));
	T(connect(b, TO(PEER, ECHO)));
	show_port(b);
	show_epoll(ep, 0);
	show_epoll(level, 0);
	T(connect(b, TO(PEER, ECHO)));
	show_epoll(ep, LONG);
	show_epoll(level, 0);
	show_so_error(b);
	set_nonblock(b, false);
	show_both(b);
	show_poll(a, POLLIN | POLLOUT, LONG);
	show_port(a);
}

static void one_shot(bool fired)
{
	int a = bound_any(0), b = bound_any(SOCK_NONBLOCK), ep = epoll_create1(0);

	T(add_epoll(ep, b, EPOLLOUT | EPOLLONESHOT, 1));
	if (fired)
		show_epoll(ep, 0);
	T(connect(a, TO(PEER, FIRST)));
	T(connect(b, TO(PEER, ECHO)));
	wait_connected(b);
	show_epoll(ep, 0);
	show_epoll(ep, 0);
	T(mod_epoll(ep, b, EPOLLOUT | EPOLLONESHOT, 2));
	show_epoll(ep, 0);
}
CASE(one_shot) { one_shot(false); }
CASE(one_shot_fired) { one_shot(true); }

/* The first is in TIME_WAIT then. */
CASE_FAMILIES(one_after_the_other)
{
	int fd = bound_any(0);

	T(connect(fd, TO(PEER, ECHO)));
	show_echo(fd);
	close(fd);
	fd = bound_any(0);
	T(connect(fd, TO(PEER, FIRST)));
	show_port(fd);
	show_peer(fd);
}

CASE_FAMILIES(refused)
{
	int a = bound_any(0), b = bound_any(0);

	T(connect(a, TO(PEER, FIRST)));
	T(connect(b, TO(PEER, REFUSED)));
	show_port(b);
	show_peer(b);
	T(connect(b, TO(PEER, ECHO)));
	show_both(b);
}

CASE(fast_open)
{
	int a = bound_any(0), b = bound_any(0);

	T(connect(a, TO(PEER, FIRST)));
	T(sendto(b, "word", 4, MSG_FASTOPEN, TO(PEER, ECHO)));
	show_port(b);
	show_read(b, 4, MSG_WAITALL);
}

/* Whatever was set on the socket is in force on the connection. */
CASE(options)
{
	static const struct { int level, name, value; } set[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { SOL_SOCKET, SO_OOBINLINE, 1 }, { SOL_SOCKET, SO_SNDBUF, 40000 }, { SOL_SOCKET, SO_RCVBUF, 50000 },
		{ SOL_SOCKET, SO_RCVLOWAT, 3 }, { SOL_SOCKET, SO_PRIORITY, 5 }, { SOL_SOCKET, SO_TIMESTAMPNS, 1 }, { SOL_SOCKET, SO_REUSEPORT, 1 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 11 }, { IPPROTO_TCP, TCP_KEEPINTVL, 12 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 5000 }, { IPPROTO_TCP, TCP_SYNCNT, 4 },
		{ IPPROTO_TCP, TCP_LINGER2, 7 }, { IPPROTO_TCP, TCP_NOTSENT_LOWAT, 9000 },
		{ IPPROTO_IP, IP_TOS, IPTOS_LOWDELAY }, { IPPROTO_IP, IP_TTL, 33 }, { IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT },
		{ IPPROTO_IP, IP_RECVERR, 1 },
	};
	struct timeval brief = { .tv_usec = 40000 }, got = { 0 };
	struct linger linger = { 1, 2 }, got_linger = { 0, 0 };
	char congestion[16] = "reno";
	int a = bound_any(0), b = bound_any(0);
	struct f_owner_ex owner = { F_OWNER_PID, getpid() };
	socklen_t len;

	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		T(option(b, set[i].level, set[i].name, set[i].value));
	T(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief)));
	T(setsockopt(b, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	T(setsockopt(b, IPPROTO_TCP, TCP_CONGESTION, congestion, 4));
	T(fcntl(b, F_SETOWN_EX, &owner));
	T(fcntl(b, F_SETSIG, SIGUSR2));
	T(fcntl(b, F_SETFD, FD_CLOEXEC));
	T(connect(a, TO(PEER, FIRST)));
	T(connect(b, TO(PEER, ECHO)));
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		show_option(b, set[i].level, set[i].name, "option");
	len = sizeof(got);
	T(getsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &got, &len));
	len = sizeof(got_linger);
	T(getsockopt(b, SOL_SOCKET, SO_LINGER, &got_linger, &len));
	len = sizeof(congestion);
	T(getsockopt(b, IPPROTO_TCP, TCP_CONGESTION, congestion, &len));
	say("%ld %d %d %.4s", (long)got.tv_usec, got_linger.l_onoff, got_linger.l_linger, congestion);
	T(fcntl(b, F_GETSIG));
	T(fcntl(b, F_GETFD));
	T(fcntl(b, F_GETFL) & (O_NONBLOCK | O_ASYNC));
	memset(&owner, 0, sizeof(owner));
	T(fcntl(b, F_GETOWN_EX, &owner));
	say("%d", owner.pid == getpid());
	show_read(b, 4, 0);
}

CASE_HOW(sub_show, case_add("sub_show", case_sub_show, "sub")) { int fd = atoi(case_args[0]); set_nonblock(fd, false); show_name(fd); show_peer(fd); show_echo(fd); }
static void executed(bool after)
{
	int a = bound_any(0), b = bound_any(SOCK_NONBLOCK);
	char number[12];

	T(connect(a, TO(PEER, FIRST)));
	T(connect(b, TO(PEER, ECHO)));
	if (after)
		wait_connected(b);
	snprintf(number, sizeof(number), "%d", b);
	execl(case_self, case_self, "sub_show", number, NULL);
}
CASE(executed_before) { executed(false); }
CASE(executed_after) { executed(true); }

/* Others have the socket, too. */
CASE(duplicated)
{
	int a = bound_any(0), b = bound_any(0), c = dup(b);

	T(connect(a, TO(PEER, FIRST)));
	T(connect(b, TO(PEER, ECHO)));
	show_port(b);
	show_peer(c);
}

CASE(same_destination)
{
	int a = bound_any(0), b = bound_any(0);

	T(connect(a, TO(PEER, ECHO)));
	T(connect(b, TO(PEER, ECHO)));
	show_port(b);
	show_peer(b);
	show_echo(a);
}

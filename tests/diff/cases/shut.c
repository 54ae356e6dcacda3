/* SPDX-License-Identifier: MIT */
/* Giving up a connect: shutdown and AF_UNSPEC while pending, refused and connected, and using the socket again. */
#include "../case.h"

static struct sockaddr unspec = { .sa_family = AF_UNSPEC };

static void given_up(int how)
{
	int fd = pending(PEER, ECHO);

	T(shutdown(fd, how));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_so_error(fd);
	show_so_error(fd);
	show_all(fd);
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	T(connect(fd, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG);
	show_so_error(fd);
	show_echo(fd);
}

CASE(shutdown_wr) { given_up(SHUT_WR); }
CASE(shutdown_rd) { given_up(SHUT_RD); }
CASE(shutdown_rdwr) { given_up(SHUT_RDWR); }
CASE(shutdown_bad) { int fd = pending(PEER, ECHO); T(shutdown(fd, 7)); T(shutdown(fd, -1)); show_poll(fd, POLLOUT, LONG); show_echo(fd); }
CASE(shutdown_then_read) { int fd = pending(PEER, ECHO); char c; T(shutdown(fd, SHUT_RDWR)); T(read(fd, &c, 1)); T(read(fd, &c, 1)); T(shutdown(fd, SHUT_RDWR)); }
CASE(shutdown_then_connect) { int fd = pending(PEER, ECHO); T(shutdown(fd, SHUT_RDWR)); T(connect(fd, TO(PEER, ECHO))); T(connect(fd, TO(PEER, ECHO))); show_poll(fd, POLLOUT, LONG); show_echo(fd); }
CASE(shutdown_registered) { int ep = epoll_create1(0), fd = pending(PEER, ECHO); T(add_epoll(ep, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1)); T(shutdown(fd, SHUT_RDWR)); show_epoll(ep, 0); show_epoll(ep, quarters(6)); show_so_error(fd); }

CASE_FAMILIES(unspec)
{
	int fd = pending(PEER, ECHO);

	T(connect(fd, &unspec, sizeof(unspec)));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_so_error(fd);
	show_so_error(fd);
	show_all(fd);
	T(connect(fd, TO(PEER, FIRST)));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_poll(fd, POLLOUT, LONG);
	show_so_error(fd);
	show_poll(fd, POLLIN, LONG);
	show_read(fd, 10, 0);
	show_peer(fd);
	show_echo(fd);
}

CASE(unspec_short) { int fd = pending(PEER, ECHO); T(connect(fd, &unspec, 2)); show_state(fd); T(connect(fd, &unspec, 1)); }
CASE(unspec_twice) { int fd = pending(PEER, ECHO); T(connect(fd, &unspec, sizeof(unspec))); T(connect(fd, &unspec, sizeof(unspec))); show_so_error(fd); }
CASE(unspec_then_refused) { int fd = pending(PEER, ECHO); T(connect(fd, &unspec, sizeof(unspec))); T(connect(fd, TO(PEER, REFUSED))); show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG); show_so_error(fd); }
CASE(unspec_unconnected) { int fd = sock(0); T(connect(fd, &unspec, sizeof(unspec))); T(connect(fd, TO(PEER, ECHO))); show_echo(fd); }

CASE(unspec_connected)
{
	int fd = connected(0, PEER, ECHO);

	T(connect(fd, &unspec, sizeof(unspec)));
	show_all(fd);
	T(connect(fd, TO(PEER, FIRST)));
	show_peer(fd);
	show_read(fd, 10, 0);
	show_echo(fd);
}

CASE(unspec_then_loopback)
{
	int l = sock(0), fd = pending(PEER, ECHO);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	bool same;

	MUST(bind(l, (struct sockaddr *)&a, sizeof(a)));
	MUST(listen(l, 1));
	MUST(getsockname(l, (struct sockaddr *)&a, &len));
	T(connect(fd, &unspec, sizeof(unspec)));
	show_so_error(fd);
	T(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	wait_connected(fd);
	len = sizeof(a);
	same = getpeername(fd, (struct sockaddr *)&a, &len) == 0 && a.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
	say("peer is loopback %d", same);
}

CASE(unspec_registered)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO);

	T(add_epoll(ep, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1));
	T(connect(fd, &unspec, sizeof(unspec)));
	show_epoll(ep, 0);
	show_so_error(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	show_epoll(ep, 0);
	show_echo(fd);
}

static void *shut_later(void *arg)
{
	nap(2);
	MUST(shutdown(*(int *)arg, SHUT_RDWR));
	return NULL;
}

CASE(shutdown_wakes_poll)
{
	int fd = pending(SILENT, ECHO);
	pthread_t t = thread(shut_later, &fd);
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };
	int64_t t0 = now_ms();

	T(poll(&p, 1, LONG));
	join(t);
	say("HUP %d %s", (p.revents & POLLHUP) != 0, since(t0));
}

CASE(shutdown_wakes_blocking_connect)
{
	int fd = sock(0);
	pthread_t t = thread(shut_later, &fd);
	int64_t t0 = now_ms();
	int r = connect(fd, TO(SILENT, ECHO)), e = errno;

	join(t);
	say("connect %d %s %s", r, err_name(e), since(t0));
}

CASE(shutdown_wakes_recv)
{
	int fd = connected(0, PEER, ECHO);
	pthread_t t = thread(shut_later, &fd);
	char c;
	int64_t t0 = now_ms();
	ssize_t n = recv(fd, &c, 1, 0);

	join(t);
	say("recv %zd %s", n, since(t0));
}

CASE(half_close_pending_data)
{
	int fd = pending(PEER, SINK);

	wait_connected(fd);
	T(send(fd, "twelve bytes", 12, 0));
	T(shutdown(fd, SHUT_WR));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_reading(fd);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
}

CASE(linger_close)
{
	struct linger hard = { 1, 0 };
	int fd = connected(0, PEER, ECHO);

	T(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	T(close(fd));
	fd = pending(PEER, ECHO);
	T(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	T(close(fd));
	show_echo(connected(0, PEER, ECHO));
}

CASE(linger_wait)
{
	struct linger soft = { 1, 5 };
	int fd = sock(0);

	T(setsockopt(fd, SOL_SOCKET, SO_LINGER, &soft, sizeof(soft)));
	T(connect(fd, TO(PEER, SINK)));
	T(send(fd, "data", 4, 0));
	T(close(fd));
}

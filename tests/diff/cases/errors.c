/* SPDX-License-Identifier: MIT */
/* Every other way to fail: unreachable, timed out, and arguments that the kernel refuses before anything is sent. */
#include "../case.h"

/*
 * IPv4 alone leaves the ICMP message in the socket's error queue, asked for or not (tcp_v4_err), where ERR stays until it
 * is taken. icmp_stays_queued shows that; elsewhere it is taken out of the way.
 */
static int settled(int fd)
{
	char message[256];

	while (recv(fd, message, sizeof(message), MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		;
	return fd;
}

static void nonblocking(enum host host)
{
	int fd = pending(host, ECHO);
	char c;

	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG);
	show_select(fd, 0);
	show_so_error(fd);
	show_so_error(fd);
	show_poll(settled(fd), POLLIN | POLLOUT | POLLRDHUP, 0);
	fd = pending(host, ECHO);
	wait_connected(fd);
	T(read(fd, &c, 1));
	T(read(fd, &c, 1));
	fd = pending(host, ECHO);
	wait_connected(fd);
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	fd = pending(host, ECHO);
	wait_connected(fd);
	T(connect(fd, TO(host, ECHO)));
	T(connect(fd, TO(host, ECHO)));
}

static void blocking(enum host host)
{
	int fd = sock(0);
	int64_t t0 = now_ms();

	T(connect(fd, TO(host, ECHO)));
	say("took %s", since(t0));
	show_all(settled(fd));
	T(connect(fd, TO(PEER, ECHO)));
	show_echo(fd);
}

CASE(icmp_stays_queued)
{
	int fd = sock(0);

	T(connect(fd, TO(HOST_UNREACH, ECHO)));
	show_poll(fd, POLLIN | POLLOUT, 0);
}

CASE_FAMILIES(host_unreachable) { nonblocking(HOST_UNREACH); }
CASE_FAMILIES(net_unreachable) { nonblocking(NET_UNREACH); }
CASE_FAMILIES(host_unreachable_blocking) { blocking(HOST_UNREACH); }
CASE_FAMILIES(net_unreachable_blocking) { blocking(NET_UNREACH); }

/* How long it takes is the daemon's own matter (5 s), so no time is told. */
CASE_ATTR(timed_out, "slow")
{
	int fd = pending(SILENT, ECHO);
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP };

	MUST(poll(&p, 1, 60000));
	say("%s", poll_names((unsigned)p.revents));
	show_so_error(fd);
	show_so_error(fd);
	T(connect(fd, TO(PEER, ECHO)));
}

CASE_ATTR(timed_out_blocking, "slow")
{
	int fd = sock(0);

	T(connect(fd, TO(SILENT, ECHO)));
	show_all(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_echo(fd);
}

CASE_ATTR(timed_out_read, "slow")
{
	int fd = pending(SILENT, ECHO);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	MUST(poll(&p, 1, 60000));
	T(read(fd, &c, 1));
	T(read(fd, &c, 1));
}

CASE(bad_fd)
{
	int p[2];

	MUST(pipe(p));
	T(connect(-1, TO(PEER, ECHO)));
	T(connect(9999, TO(PEER, ECHO)));
	T(connect(p[0], TO(PEER, ECHO)));
	T(shutdown(p[0], SHUT_RD));
	show_so_error(p[0]);
	show_peer(p[0]);
	show_name(9999);
}

CASE(bad_address)
{
	int fd = sock(0);
	struct sockaddr_storage ss = { .ss_family = 77 };

	T(connect(fd, at(PEER, ECHO), 0));
	T(connect(fd, at(PEER, ECHO), 1));
	T(connect(fd, at(PEER, ECHO), 8));
	T(connect(fd, at(PEER, ECHO), 15));
	T(connect(fd, at(PEER, ECHO), 2000));
	T(connect(fd, at(PEER, ECHO), (socklen_t)-1));
	T(connect(fd, (struct sockaddr *)&ss, 16));
	T(connect(fd, at_family(AF_INET6, false, PEER, ECHO), 28));
	T(connect(fd, at_family(AF_INET6, true, PEER, ECHO), 28));
	T(connect(fd, NULL, 0));
	memcpy(&ss, at(PEER, ECHO), 16);
	T(connect(fd, (struct sockaddr *)&ss, sizeof(ss)));
	show_echo(fd);
}

CASE(bad_address6)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_storage ss;

	T(connect(fd, at_family(AF_INET, false, PEER, ECHO), 16));
	T(connect(fd, at_family(AF_INET6, false, PEER, ECHO), 16));
	T(connect(fd, at_family(AF_INET6, false, PEER, ECHO), 23));
	T(connect(fd, at_family(AF_INET6, false, PEER, ECHO), 24));
	show_peer(fd);
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	memcpy(&ss, at_family(AF_INET6, false, PEER, ECHO), 28);
	T(connect(fd, (struct sockaddr *)&ss, sizeof(ss)));
	show_echo(fd);
}

CASE(port_zero)
{
	int fd = sock(0);

	T(connect(fd, TO(PEER, 0)));
	fd = pending(PEER, 0);
	wait_connected(fd);	/* its time is the daemon's matter */
	show_so_error(fd);
}

CASE(connect_listening)
{
	int fd = sock(0);

	MUST(listen(fd, 1));
	T(connect(fd, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLOUT, 0);
}

CASE(unconnected)
{
	int fd = sock(0);
	char c;

	on_signal(SIGPIPE, 0);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_select(fd, 0);
	show_peer(fd);
	show_name(fd);
	T(read(fd, &c, 1));
	T(write(fd, "x", 1));
	T(shutdown(fd, SHUT_WR));
	T(sendto(fd, "x", 1, 0, TO(PEER, ECHO)));
	say("SIGPIPE %d", signals_seen);
}

CASE(datagram_socket)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), v = 0;
	socklen_t len = sizeof(v);

	T(getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &len));
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_peer(fd);
}

CASE(unix_and_loopback_untouched)
{
	int l = sock(0), c = sock(SOCK_NONBLOCK), s, sv[2];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	MUST(bind(l, (struct sockaddr *)&a, sizeof(a)));
	MUST(listen(l, 1));
	MUST(getsockname(l, (struct sockaddr *)&a, &len));
	T(connect(c, (struct sockaddr *)&a, sizeof(a)));
	s = MUST(accept(l, NULL, NULL));
	show_poll(c, POLLIN | POLLOUT, 0);
	show_peer(c);
	T(send(s, "hi", 2, 0));
	show_poll(c, POLLIN | POLLOUT, 1000);
	show_read(c, 10, 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	T(write(sv[0], "hi", 2));
	show_read(sv[1], 10, 0);
	close(l);
	c = sock(SOCK_NONBLOCK);
	T(connect(c, (struct sockaddr *)&a, sizeof(a)));
	show_poll(c, POLLIN | POLLOUT, 1000);
	show_so_error(c);
}

/* A socket that knows no such addresses says so. */
static void takes_none(int fd)
{
	T(sendto(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT, TO(PEER, ECHO)));
	T(sendto(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_FASTOPEN, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
}

CASE(other_family)
{
	int pair[2];

	takes_none(MUST(socket(AF_UNIX, SOCK_STREAM, 0)));
	takes_none(MUST(socket(AF_UNIX, SOCK_DGRAM, 0)));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	takes_none(pair[0]);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	takes_none(pair[0]);
	MUST(pipe(pair));
	takes_none(pair[1]);
}

/* A bad pointer is an error, not a crash. */
CASE(fault_connect) { int fd = sock(0); T(connect(fd, nowhere, 16)); T(connect(fd, NULL, 16)); T(connect(fd, TO(PEER, ECHO))); show_echo(fd); }
CASE(fault_connect_pending) { int fd = pending(PEER, ECHO); T(connect(fd, nowhere, 16)); wait_connected(fd); show_echo(fd); }
CASE(fault_poll) { int fd = pending(PEER, ECHO); T(poll(nowhere, 1, 0)); wait_connected(fd); }
CASE(fault_select) { int fd = pending(PEER, ECHO); fd_set w; FD_ZERO(&w); FD_SET(fd, &w); T(select(fd + 1, nowhere, &w, NULL, NULL)); wait_connected(fd); }
CASE(fault_epoll_ctl) { int ep = epoll_create1(0), fd = pending(PEER, ECHO); T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, nowhere)); T(add_epoll(ep, fd, EPOLLOUT, 1)); T(epoll_ctl(ep, EPOLL_CTL_MOD, fd, nowhere)); show_epoll(ep, LONG); }
CASE(fault_epoll_wait) { int ep = epoll_create1(0), fd = pending(PEER, ECHO); T(add_epoll(ep, fd, EPOLLOUT, 1)); T(epoll_wait(ep, nowhere, 2, 0)); wait_connected(fd); T(epoll_wait(ep, nowhere, 2, 0)); show_epoll(ep, 0); }
CASE(fault_getsockopt) { int fd = pending(PEER, ECHO); socklen_t len = 4; T(getsockopt(fd, SOL_SOCKET, SO_ERROR, nowhere, &len)); T(getsockopt(fd, SOL_SOCKET, SO_ERROR, &len, nowhere)); T(getsockopt(fd, IPPROTO_TCP, TCP_INFO, nowhere, &len)); wait_connected(fd); }
CASE(fault_names) { int fd = pending(PEER, ECHO); socklen_t len = 16; T(getsockname(fd, nowhere, &len)); T(getsockname(fd, nowhere, nowhere)); T(getpeername(fd, nowhere, &len)); wait_connected(fd); T(getpeername(fd, nowhere, &len)); T(getpeername(fd, (void *)&len, nowhere)); show_peer(fd); }
CASE(fault_ioctl) { int fd = pending(PEER, ECHO); T(ioctl(fd, FIONREAD, nowhere)); T(ioctl(fd, FIONBIO, nowhere)); wait_connected(fd); }
CASE(fault_read_write) { int fd = pending(PEER, ECHO); T(recvmsg(fd, nowhere, 0)); T(sendmsg(fd, nowhere, 0)); T(readv(fd, nowhere, 1)); T(writev(fd, nowhere, 1)); wait_connected(fd); T(send(fd, nowhere, 5, 0)); T(sendmsg(fd, nowhere, 0)); show_echo(fd); }

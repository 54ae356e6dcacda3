/* SPDX-License-Identifier: MIT */
/* A connect that is refused: one-shot errors, the order in which calls learn of it, and a second life of the socket. */
#include "../case.h"

#include <linux/sockios.h>

static int refused(void)
{
	int fd = pending(PEER, REFUSED);

	wait_connected(fd);
	return fd;
}

static int ripe(void)
{
	int fd = pending(PEER, REFUSED);

	nap(7);
	return fd;
}

CASE_FAMILIES(poll_all)
{
	int fd = pending(PEER, REFUSED);

	show_poll(fd, POLLIN | POLLPRI | POLLOUT | POLLRDHUP, LONG);
	show_poll(fd, 0, 0);
	show_poll(fd, POLLIN, 0);
	show_poll(fd, POLLOUT, 0);
	show_so_error(fd);
	show_so_error(fd);
	show_poll(fd, POLLIN | POLLPRI | POLLOUT | POLLRDHUP, 0);
	show_poll(fd, 0, 0);
	show_all(fd);
}

CASE_FAMILIES(blocking)
{
	int fd = sock(0);
	int64_t t0 = now_ms();

	T(connect(fd, TO(PEER, REFUSED)));
	say("took %s", since(t0));
	show_all(fd);
	show_so_error(fd);
	T(connect(fd, TO(PEER, REFUSED)));
	T(connect(fd, TO(PEER, ECHO)));
	show_all(fd);
	show_echo(fd);
}

CASE_FAMILIES(connect_again)
{
	int fd = refused();

	T(connect(fd, TO(PEER, REFUSED)));
	T(connect(fd, TO(PEER, REFUSED)));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG);
	show_so_error(fd);
	show_peer(fd);
	show_echo(fd);
}

CASE(so_error_then_again)
{
	int fd = refused();

	show_so_error(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG);
	show_echo(fd);
}

CASE(read_twice) { int fd = refused(); char c; T(read(fd, &c, 1)); T(read(fd, &c, 1)); show_so_error(fd); show_all(fd); }
CASE(recv_twice) { int fd = refused(); char c; T(recv(fd, &c, 1, 0)); T(recv(fd, &c, 1, 0)); show_so_error(fd); }
CASE(peek_twice) { int fd = refused(); char c; T(recv(fd, &c, 1, MSG_PEEK)); T(recv(fd, &c, 1, MSG_PEEK)); show_so_error(fd); }
CASE(write_twice)
{
	int fd = refused();

	on_signal(SIGPIPE, 0);
	T(write(fd, "x", 1));
	say("SIGPIPE %d", signals_seen);
	T(write(fd, "x", 1));
	say("SIGPIPE %d", signals_seen);
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	say("SIGPIPE %d", signals_seen);
	show_so_error(fd);
}
CASE(write_then_read) { int fd = refused(); char c; T(send(fd, "x", 1, MSG_NOSIGNAL)); T(read(fd, &c, 1)); T(send(fd, "x", 1, MSG_NOSIGNAL)); }
CASE(read_then_write) { int fd = refused(); char c; T(read(fd, &c, 1)); T(send(fd, "x", 1, MSG_NOSIGNAL)); }
CASE(read_then_connect) { int fd = refused(); char c; T(read(fd, &c, 1)); T(connect(fd, TO(PEER, ECHO))); wait_connected(fd); show_echo(fd); }

CASE(messages)
{
	int fd = refused();
	char buf[16];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = m };

	T(recvmsg(fd, &m, 0));
	T(recvmsg(fd, &m, 0));
	T(recvmmsg(fd, &mm, 1, 0, NULL));
	T(readv(fd, &iov, 1));
	T(sendmsg(fd, &m, MSG_NOSIGNAL));
	T(sendmmsg(fd, &mm, 1, MSG_NOSIGNAL));
	T(recvfrom(fd, buf, 1, 0, NULL, NULL));
}

CASE(first_recvmmsg) { int fd = ripe(); char c; struct iovec v = { &c, 1 }; struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } }; T(recvmmsg(fd, &m, 1, 0, NULL)); T(recvmmsg(fd, &m, 1, 0, NULL)); }
CASE(first_sendmmsg) { int fd = ripe(); struct iovec v = { "c", 1 }; struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } }; T(sendmmsg(fd, &m, 1, MSG_NOSIGNAL)); T(sendmmsg(fd, &m, 1, MSG_NOSIGNAL)); }
CASE(first_send) { int fd = ripe(); T(send(fd, "x", 1, MSG_NOSIGNAL)); T(send(fd, "x", 1, MSG_NOSIGNAL)); show_so_error(fd); }
CASE(first_read) { int fd = ripe(); char c; T(read(fd, &c, 1)); T(read(fd, &c, 1)); show_so_error(fd); }
CASE(first_so_error) { int fd = ripe(); show_so_error(fd); show_so_error(fd); }
CASE(first_connect) { int fd = ripe(); T(connect(fd, TO(PEER, REFUSED))); T(connect(fd, TO(PEER, REFUSED))); }
CASE(first_peername) { int fd = ripe(); show_peer(fd); show_so_error(fd); }
CASE(first_sockname) { int fd = ripe(); show_name(fd); show_so_error(fd); show_name(fd); }
CASE(first_tcp_info) { int fd = ripe(); show_state(fd); show_so_error(fd); }
CASE(first_shutdown) { int fd = ripe(); T(shutdown(fd, SHUT_WR)); show_so_error(fd); show_poll(fd, POLLIN | POLLOUT, 0); }
CASE(first_fionread) { int fd = ripe(), n = -1; T(ioctl(fd, FIONREAD, &n)); say("%d", n); show_so_error(fd); }
CASE(first_outq) { int fd = ripe(), n = -1; T(ioctl(fd, SIOCOUTQ, &n)); say("%d", n); show_so_error(fd); }
CASE(first_select) { int fd = ripe(); show_select(fd, 0); show_so_error(fd); show_select(fd, 0); }
CASE(first_block) { int fd = ripe(); char c; set_nonblock(fd, false); T(read(fd, &c, 1)); T(read(fd, &c, 1)); }

CASE(select_all)
{
	int fd = pending(PEER, REFUSED);

	show_select(fd, LONG);
	show_so_error(fd);
	show_select(fd, 0);
}

CASE(shutdown_after)
{
	int fd = refused();

	T(shutdown(fd, SHUT_RDWR));
	show_so_error(fd);
	T(shutdown(fd, SHUT_RDWR));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
}

CASE(unspec_after)
{
	int fd = refused();
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	T(connect(fd, &unspec, sizeof(unspec)));
	show_so_error(fd);
	show_all(fd);
	T(connect(fd, TO(PEER, ECHO)));
	wait_connected(fd);
	show_echo(fd);
}

CASE(listen_after)
{
	int fd = refused();

	show_so_error(fd);
	T(listen(fd, 5));
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_state(fd);
	show_option(fd, SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN");
}

CASE(bind_after)
{
	int fd = refused();
	struct sockaddr_in any = { .sin_family = AF_INET };

	show_so_error(fd);
	T(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	show_name(fd);
}

CASE(bound_port_stays)
{
	int fd = sock(SOCK_NONBLOCK);
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(9124) };

	T(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	T(connect(fd, TO(PEER, REFUSED)));
	wait_connected(fd);
	show_name(fd);
	show_so_error(fd);
	T(connect(fd, TO(PEER, ECHO)));
	wait_connected(fd);
	show_so_error(fd);
	show_name(fd);
	show_echo(fd);
}

CASE(twenty_times)
{
	int fd = sock(0);

	for (int i = 0; i < 5; i++)
		T(connect(fd, TO(PEER, REFUSED)));
	T(connect(fd, TO(PEER, ECHO)));
	show_echo(fd);
}

CASE(dup_sees_it)
{
	int fd = pending(PEER, REFUSED), d = dup(fd);

	show_poll(d, POLLIN | POLLOUT | POLLRDHUP, LONG);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_so_error(d);
	show_so_error(fd);
}

CASE(options_survive)
{
	int fd = sock(SOCK_NONBLOCK), one = 1, low = 5;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
	T(connect(fd, TO(PEER, REFUSED)));
	wait_connected(fd);
	show_so_error(fd);
	show_option(fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
	show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT");
	T(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

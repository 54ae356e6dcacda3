/* SPDX-License-Identifier: MIT */
/* A connect that succeeds, as seen by every call that may come first, and data of every shape after it. */
#include "../case.h"

CASE_FAMILIES(poll_out)
{
	int fd = sock(SOCK_NONBLOCK);

	show_name(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLPRI | POLLOUT | POLLRDHUP, LONG);
	show_so_error(fd);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	show_all(fd);
	show_echo(fd);
	show_all(fd);
}

CASE_FAMILIES(blocking)
{
	int fd = sock(0);
	int64_t t0 = now_ms();

	T(connect(fd, TO(PEER, ECHO)));
	say("took %s", since(t0));
	show_all(fd);
	show_so_error(fd);
	T(connect(fd, TO(PEER, ECHO)));
	t0 = now_ms();
	show_echo(fd);
	say("took %s", since(t0));
	T(close(fd));
}

CASE(connect_says_0_once)
{
	int fd = pending(PEER, ECHO);

	show_poll(fd, POLLOUT, LONG);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	show_so_error(fd);
}

CASE(connect_loop)
{
	int fd = sock(SOCK_NONBLOCK), tries = 0;
	int64_t t0 = now_ms();

	while (connect(fd, TO(PEER, ECHO)) < 0 && (errno == EINPROGRESS || errno == EALREADY)) {
		tries++;
		usleep(2000);
	}
	say("%s after %s", tries > 5 ? "connected" : err_name(errno), since(t0));
	T(connect(fd, TO(PEER, ECHO)));
	show_echo(fd);
}

/* Each of these is the first call after completion, with no poll before it. */
static int ripe(int port)
{
	int fd = pending(PEER, port);

	nap(7);
	return fd;
}

CASE(first_send) { int fd = ripe(ECHO); T(send(fd, "hey", 3, 0)); show_poll(fd, POLLIN, LONG); show_read(fd, 10, 0); }
CASE(first_write) { int fd = ripe(ECHO); T(write(fd, "hey", 3)); show_poll(fd, POLLIN, LONG); show_read(fd, 10, 0); }
CASE(first_read) { int fd = ripe(ECHO); char c; T(read(fd, &c, 1)); T(write(fd, "x", 1)); show_poll(fd, POLLIN, LONG); }
CASE(first_peek) { int fd = ripe(ECHO); char c; T(recv(fd, &c, 1, MSG_PEEK)); show_echo(fd); }
CASE(first_peername) { int fd = ripe(ECHO); show_peer(fd); show_echo(fd); }
CASE(first_sockname) { int fd = ripe(ECHO); show_name(fd); show_echo(fd); }
CASE(first_so_error) { int fd = ripe(ECHO); show_so_error(fd); show_echo(fd); }
CASE(first_connect) { int fd = ripe(ECHO); T(connect(fd, TO(PEER, ECHO))); show_echo(fd); }
CASE(first_tcp_info) { int fd = ripe(ECHO); show_state(fd); show_echo(fd); }
CASE(first_fionread) { int fd = ripe(ECHO), n = -1; T(ioctl(fd, FIONREAD, &n)); say("%d", n); show_echo(fd); }
CASE(first_select) { int fd = ripe(ECHO); show_select(fd, 0); show_echo(fd); }
CASE(first_poll_in) { int fd = ripe(ECHO); show_poll(fd, POLLIN, 0); show_poll(fd, POLLIN | POLLOUT, 0); show_echo(fd); }
CASE(first_shutdown) { int fd = ripe(HALF); T(shutdown(fd, SHUT_WR)); show_reading(fd); show_peer(fd); }
CASE(first_setsockopt) { int fd = ripe(ECHO), on = 1; T(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))); show_echo(fd); }
CASE(first_dup) { int fd = ripe(ECHO), d = dup(fd); show_poll(d, POLLIN | POLLOUT, 0); show_echo(d); show_peer(fd); }
CASE(first_block) { int fd = ripe(ECHO); set_nonblock(fd, false); T(send(fd, "hey", 3, 0)); show_read(fd, 10, 0); }

CASE(server_first)
{
	int fd = pending(PEER, FIRST);

	show_poll(fd, POLLIN | POLLOUT, LONG);
	show_poll(fd, POLLIN, LONG);
	show_all(fd);
	show_read(fd, 2, MSG_PEEK);
	show_read(fd, 100, 0);
	show_read(fd, 100, 0);
	show_echo(fd);
}

CASE(server_first_blocking)
{
	int fd = connected(0, PEER, FIRST);

	show_read(fd, 100, 0);
	show_echo(fd);
}

/* The greeting is there before the program first looks. */
CASE(server_first_late_look)
{
	int fd = pending(PEER, FIRST);

	nap(11);
	show_read(fd, 100, 0);
	show_so_error(fd);
	show_echo(fd);
}

CASE(server_first_late_poll_in)
{
	int fd = pending(PEER, FIRST), n = -1;

	nap(11);
	T(ioctl(fd, FIONREAD, &n));
	say("FIONREAD %d", n);
	show_poll(fd, POLLIN, 0);
	show_read(fd, 3, 0);
	show_read(fd, 100, 0);
}

CASE(poll_in_only)
{
	int fd = pending(PEER, FIRST);

	show_poll(fd, POLLIN, LONG);
	show_read(fd, 100, 0);
}

CASE(server_closes)
{
	int fd = pending(PEER, CLOSE);

	show_poll(fd, POLLOUT, LONG);
	show_so_error(fd);
	show_poll(fd, POLLIN | POLLRDHUP, LONG);
	show_all(fd);
	show_read(fd, 10, 0);
	show_read(fd, 10, 0);
	show_peer(fd);
}

CASE(server_closes_blocking)
{
	int fd = connected(0, PEER, CLOSE);

	show_read(fd, 10, 0);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_peer(fd);
}

CASE(server_closes_late_look)
{
	int fd = pending(PEER, CLOSE);

	nap(11);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_so_error(fd);
	show_read(fd, 10, 0);
}

CASE(server_resets)
{
	int fd = pending(PEER, RST);

	show_poll(fd, POLLOUT, LONG);
	show_so_error(fd);
	show_poll(fd, POLLIN | POLLRDHUP, LONG);
	show_read(fd, 10, 0);
}

CASE(server_resets_later)
{
	int fd = connected(0, PEER, RSTLATER);

	show_echo(fd);
	T(send(fd, "R", 1, 0));
	show_read(fd, 10, 0);
	show_read(fd, 10, 0);
	T(send(fd, "x", 1, MSG_NOSIGNAL));
}

CASE(half_close)
{
	int fd = connected(0, PEER, HALF);

	T(send(fd, "all of it", 9, 0));
	T(shutdown(fd, SHUT_WR));
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	show_reading(fd);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
}

CASE(half_close_by_server)
{
	int fd = connected(0, PEER, SHUT);

	show_reading(fd);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	T(send(fd, "more", 4, MSG_NOSIGNAL));
	nap(5);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	T(send(fd, "more", 4, MSG_NOSIGNAL));
	T(shutdown(fd, SHUT_WR));
	nap(5);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
}

CASE(shutdown_read)
{
	int fd = connected(0, PEER, ECHO);

	T(shutdown(fd, SHUT_RD));
	show_read(fd, 10, 0);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	T(send(fd, "x", 1, MSG_NOSIGNAL));
}

CASE_FAMILIES(flood)
{
	int fd = connected(0, PEER, FLOOD);

	show_reading(fd);
}

CASE(flood_nonblocking)
{
	int fd = pending(PEER, FLOOD);

	show_reading(fd);
}

CASE(sink)
{
	int fd = connected(0, PEER, SINK);
	static char block[65536];
	size_t sent = 0;

	while (sent < FLOOD_BYTES) {
		ssize_t n = send(fd, block, sizeof(block), 0);

		if (n < 0)
			fail("send");
		sent += (size_t)n;
	}
	T(shutdown(fd, SHUT_WR));
	show_reading(fd);
}

CASE(ten_in_a_row)
{
	for (int i = 0; i < 10; i++) {
		int fd = connected(0, PEER, i % 2 ? CLOSE : ONCE);

		if (i % 2 == 0)
			T(send(fd, "q", 1, 0));
		show_reading(fd);
		close(fd);
	}
}

CASE(own_address_refused)
{
	int fd = sock(0);

	T(connect(fd, TO(SELF, 4999)));
	fd = sock(SOCK_NONBLOCK);
	if (connect(fd, TO(SELF, 4999)) < 0 && errno == EINPROGRESS)
		wait_connected(fd);
	show_so_error(fd);
}

CASE(bind_any)
{
	int fd = sock(0);
	struct sockaddr_in any = { .sin_family = AF_INET };

	T(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	show_name(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_name(fd);
	show_peer(fd);
	show_echo(fd);
}

CASE(bind_port)
{
	int fd = sock(0), one = 1;
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(9123) };

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	T(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	show_name(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_name(fd);
	show_echo(fd);
}

CASE(bind_loopback)
{
	int fd = sock(0);
	struct sockaddr_in lo = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	T(bind(fd, (struct sockaddr *)&lo, sizeof(lo)));
	T(connect(fd, TO(PEER, ECHO)));
}

CASE(bind_own_address)
{
	int fd = sock(0);

	T(bind(fd, TO(SELF, 0)));
	show_name(fd);
	T(connect(fd, TO(PEER, ECHO)));
	show_name(fd);
	show_echo(fd);
}

CASE(urgent_out)
{
	int fd = connected(0, PEER, ECHO), n = -1;

	T(send(fd, "ab", 2, 0));
	nap(6);
	show_read(fd, 10, 0);
	T(send(fd, "c", 1, MSG_OOB));
	nap(2);
	T(send(fd, "de", 2, 0));
	show_read(fd, 10, 0);
	T(ioctl(fd, SIOCATMARK, &n));
	say("SIOCATMARK %d", n);
}

CASE(urgent_in)
{
	int fd = connected(0, PEER, URGENT);
	char c;

	nap(6);
	show_poll(fd, POLLIN | POLLPRI, 0);
	show_select(fd, 0);
	T(recv(fd, &c, 1, MSG_OOB));
	show_read(fd, 10, MSG_DONTWAIT);
	show_read(fd, 10, MSG_DONTWAIT);
}

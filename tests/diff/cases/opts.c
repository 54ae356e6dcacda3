/* SPDX-License-Identifier: MIT */
/* Socket options that meet a connect: timeouts, low-water marks, linger, fast open, devices, keepalive. */
#include "../case.h"

static int timeo(int fd, int option, int n_quarters)
{
	int ms = quarters(n_quarters);
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	return setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv));
}

static void show_timeo(int fd, int option, const char *name)
{
	struct timeval tv = { 0 };
	socklen_t len = sizeof(tv);

	if (getsockopt(fd, SOL_SOCKET, option, &tv, &len) < 0)
		say("%s: %s", name, err_name(errno));
	else
		say("%s: %ld.%02ld", name, (long)tv.tv_sec, (long)tv.tv_usec / 10000);
}

CASE(sndtimeo_then_0_then_eisconn)
{
	int fd = sock(0);
	int64_t t0 = now_ms();

	T(timeo(fd, SO_SNDTIMEO, 1));
	T(connect(fd, TO(PEER, ECHO)));
	say_span("timed out", t0, 1, 3);
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_so_error(fd);
	show_peer(fd);
	show_state(fd);
	show_poll(fd, POLLIN | POLLOUT, LONG);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	show_echo(fd);
	show_timeo(fd, SO_SNDTIMEO, "SO_SNDTIMEO");
}

CASE(sndtimeo_refused) { int fd = sock(0); T(timeo(fd, SO_SNDTIMEO, 1)); T(connect(fd, TO(PEER, REFUSED))); show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG); T(connect(fd, TO(PEER, REFUSED))); }
CASE(sndtimeo_again) { int fd = sock(0); int64_t t0 = now_ms(); T(timeo(fd, SO_SNDTIMEO, 1)); T(connect(fd, TO(SILENT, ECHO))); T(connect(fd, TO(SILENT, ECHO))); say_span("twice", t0, 2, 5); T(send(fd, "x", 1, MSG_NOSIGNAL)); say_span("thrice", t0, 3, 7); }
CASE(sndtimeo_send_waits) { int fd = sock(0); T(timeo(fd, SO_SNDTIMEO, 1)); T(connect(fd, TO(PEER, ECHO))); T(timeo(fd, SO_SNDTIMEO, 20)); T(send(fd, "x", 1, 0)); show_poll(fd, POLLIN, LONG); }
CASE(sndtimeo_long_enough) { int fd = sock(0); T(timeo(fd, SO_SNDTIMEO, 20)); T(connect(fd, TO(PEER, ECHO))); show_echo(fd); show_timeo(fd, SO_SNDTIMEO, "SO_SNDTIMEO"); show_timeo(fd, SO_RCVTIMEO, "SO_RCVTIMEO"); }
CASE(sndtimeo_long_enough_refused) { int fd = sock(0); T(timeo(fd, SO_SNDTIMEO, 20)); T(connect(fd, TO(PEER, REFUSED))); T(connect(fd, TO(PEER, ECHO))); show_echo(fd); }
CASE(sndtimeo_nonblocking) { int fd = sock(SOCK_NONBLOCK); T(timeo(fd, SO_SNDTIMEO, 1)); T(connect(fd, TO(PEER, ECHO))); show_poll(fd, POLLOUT, LONG); show_echo(fd); }
CASE(sndtimeo_silent) { int fd = sock(0); int64_t t0 = now_ms(); T(timeo(fd, SO_SNDTIMEO, 4)); T(connect(fd, TO(SILENT, ECHO))); say("%s", since(t0)); show_so_error(fd); T(close(fd)); }
CASE(rcvtimeo_connect) { int fd = sock(0); int64_t t0 = now_ms(); T(timeo(fd, SO_RCVTIMEO, 1)); T(connect(fd, TO(PEER, ECHO))); say("%s", since(t0)); t0 = now_ms(); show_read(fd, 1, 0); say_span("recv", t0, 1, 3); show_timeo(fd, SO_RCVTIMEO, "SO_RCVTIMEO"); show_echo(fd); }
CASE(rcvtimeo_while_pending) { int fd = pending(PEER, FIRST); int64_t t0 = now_ms(); set_nonblock(fd, false); T(timeo(fd, SO_RCVTIMEO, 1)); show_read(fd, 10, 0); say_span("recv", t0, 1, 3); T(timeo(fd, SO_RCVTIMEO, 20)); show_read(fd, 10, 0); }
CASE(rcvtimeo_set_while_pending_read_back) { int fd = pending(PEER, ECHO); T(timeo(fd, SO_RCVTIMEO, 2)); T(timeo(fd, SO_SNDTIMEO, 3)); show_timeo(fd, SO_RCVTIMEO, "SO_RCVTIMEO"); wait_connected(fd); show_timeo(fd, SO_RCVTIMEO, "SO_RCVTIMEO"); show_timeo(fd, SO_SNDTIMEO, "SO_SNDTIMEO"); }

static int lowat(int fd, int n)
{
	return setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n));
}

CASE(rcvlowat_before)
{
	int fd = sock(SOCK_NONBLOCK);

	T(lowat(fd, 5));
	T(connect(fd, TO(PEER, DRIP)));
	show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT");
	show_poll(fd, POLLOUT, LONG);
	show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT");
	show_poll(fd, POLLIN, LONG);
	show_read(fd, 5, 0);
	show_poll(fd, POLLIN, LONG);
	show_read(fd, 5, 0);
}

CASE(rcvlowat_while_pending)
{
	int fd = pending(PEER, DRIP);

	show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT");
	T(lowat(fd, 7));
	show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT");
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_poll(fd, POLLOUT, LONG);
	show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT");
	show_poll(fd, POLLIN, LONG);
	show_read(fd, 7, 0);
}

CASE(rcvlowat_one_while_pending) { int fd = pending(PEER, ECHO); T(lowat(fd, 1)); show_poll(fd, POLLIN | POLLOUT, 0); show_poll(fd, POLLIN | POLLOUT, LONG); show_echo(fd); }
CASE(rcvlowat_odd) { int fd = pending(PEER, ECHO); T(lowat(fd, 0)); show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT"); T(lowat(fd, -1)); wait_connected(fd); show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT") ; show_poll(fd, POLLIN, 0); }
CASE(rcvlowat_refused) { int fd = sock(SOCK_NONBLOCK); T(lowat(fd, 500)); T(connect(fd, TO(PEER, REFUSED))); show_poll(fd, POLLIN, LONG); show_so_error(fd); show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT"); }
CASE(rcvlowat_blocking) { int fd = sock(0); T(lowat(fd, 5)); T(connect(fd, TO(PEER, DRIP))); show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT"); show_read(fd, 5, 0); }
CASE_ATTR(rcvlowat_blocking_stepwise, "proxy=9") { case_rcvlowat_blocking(); }
CASE(rcvlowat_high_blocking) { int fd = sock(0); T(lowat(fd, 100)); T(connect(fd, TO(PEER, ECHO))); show_option(fd, SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT"); T(lowat(fd, 1)); show_echo(fd); }
CASE(rcvlowat_epoll) { int ep = epoll_create1(0), fd = sock(SOCK_NONBLOCK); T(lowat(fd, 6)); T(connect(fd, TO(PEER, DRIP))); T(add_epoll(ep, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1)); show_epoll(ep, LONG); T(mod_epoll(ep, fd, EPOLLIN, 2)); show_epoll(ep, LONG); show_read(fd, 6, 0); }

CASE(linger_read_back)
{
	struct linger l = { 1, 42 };
	socklen_t len = sizeof(l);
	int fd = sock(SOCK_NONBLOCK);

	T(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	T(connect(fd, TO(PEER, ECHO)));
	l = (struct linger){ 0 };
	T(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len));
	say("%d %d", l.l_onoff, l.l_linger);
	wait_connected(fd);
	T(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len));
	say("%d %d", l.l_onoff, l.l_linger);
	l.l_linger = 0;
	T(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	T(close(fd));
}

CASE(fastopen_nonblocking)
{
	int fd = sock(SOCK_NONBLOCK);

	T(sendto(fd, "ping", 4, MSG_FASTOPEN | MSG_NOSIGNAL, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLOUT, 0);
	T(sendto(fd, "ping", 4, MSG_FASTOPEN | MSG_NOSIGNAL, TO(PEER, ECHO)));
	T(send(fd, "ping", 4, MSG_NOSIGNAL));
	show_poll(fd, POLLIN | POLLOUT, LONG);
	show_so_error(fd);
	show_peer(fd);
	show_echo(fd);
	T(sendto(fd, "ping", 4, MSG_FASTOPEN | MSG_NOSIGNAL, TO(PEER, ECHO)));
}

CASE(fastopen_blocking) { int fd = sock(0); int64_t t0 = now_ms(); T(sendto(fd, "ping", 4, MSG_FASTOPEN, TO(PEER, ECHO))); say("%s", since(t0)); show_read(fd, 10, 0); show_peer(fd); show_echo(fd); }
CASE(fastopen_blocking_refused) { int fd = sock(0); int64_t t0 = now_ms(); T(sendto(fd, "ping", 4, MSG_FASTOPEN, TO(PEER, REFUSED))); say("%s", since(t0)); show_so_error(fd); show_peer(fd); }
CASE(fastopen_refused) { int fd = sock(SOCK_NONBLOCK); T(sendto(fd, "ping", 4, MSG_FASTOPEN, TO(PEER, REFUSED))); show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG); show_so_error(fd); }
CASE(fastopen_no_address) { int fd = sock(0); T(sendto(fd, "ping", 4, MSG_FASTOPEN | MSG_NOSIGNAL, NULL, 0)); T(send(fd, "ping", 4, MSG_FASTOPEN | MSG_NOSIGNAL)); }

CASE(fastopen_sendmsg)
{
	int fd = sock(0);
	struct iovec iov[2] = { { "pi", 2 }, { "ng", 2 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len() };

	T(sendmsg(fd, &m, MSG_FASTOPEN));
	show_read(fd, 10, 0);
	show_peer(fd);
}

static int fastopen_connect(int flags)
{
	int fd = sock(flags), one = 1;

	T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)));
	return fd;
}

CASE(fastopen_connect) { int fd = fastopen_connect(0); T(connect(fd, TO(PEER, ECHO))); T(send(fd, "ping", 4, 0)); show_read(fd, 10, 0); show_peer(fd); show_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, "TCP_FASTOPEN_CONNECT"); }
CASE(fastopen_connect_nonblocking) { int fd = fastopen_connect(SOCK_NONBLOCK); T(connect(fd, TO(PEER, ECHO))); show_poll(fd, POLLIN | POLLOUT, 0); show_poll(fd, POLLIN | POLLOUT, LONG); T(send(fd, "ping", 4, 0)); show_poll(fd, POLLIN, LONG); show_peer(fd); }
CASE(fastopen_connect_refused) { int fd = fastopen_connect(0); T(connect(fd, TO(PEER, REFUSED))); fd = fastopen_connect(SOCK_NONBLOCK); T(connect(fd, TO(PEER, REFUSED))); show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG); show_so_error(fd); }

CASE(bind_to_device)
{
	int fd = sock(0);
	char name[32] = "";
	socklen_t len = sizeof(name);

	T(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "nosuch0", 8));
	T(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	T(connect(fd, TO(PEER, ECHO)));
	show_echo(fd);
	fd = sock(0);
	T(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	T(connect(fd, TO(PEER, ECHO)));
}

CASE(keepalive)
{
	int fd = sock(SOCK_NONBLOCK), one = 1, v = 11;

	T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	T(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &v, sizeof(v)));
	T(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &v, sizeof(v)));
	T(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one)));
	T(connect(fd, TO(PEER, ECHO)));
	show_option(fd, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
	wait_connected(fd);
	show_option(fd, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
	show_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE");
	show_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT");
	show_option(fd, IPPROTO_TCP, TCP_SYNCNT, "TCP_SYNCNT");
	show_echo(fd);
}

CASE(syncnt_after) { int fd = pending(PEER, ECHO), one = 1; T(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one))); wait_connected(fd); show_echo(fd); }
CASE(nodelay_cork) { int fd = sock(0), one = 1, zero = 0; setsockopt(fd, IPPROTO_TCP, TCP_CORK, &one, sizeof(one)); T(connect(fd, TO(PEER, ECHO))); T(send(fd, "corked", 6, 0)); show_poll(fd, POLLIN, SHORT); T(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &zero, sizeof(zero))); show_read(fd, 10, 0); }
CASE(md5_and_ulp) { int fd = pending(PEER, ECHO); T(setsockopt(fd, IPPROTO_TCP, TCP_ULP, "nosuch", 6)); wait_connected(fd); show_echo(fd); }

CASE(congestion)
{
	int fd = pending(PEER, ECHO);
	char a[32] = "", b[32] = "";
	socklen_t len = sizeof(a);

	T(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, a, &len));
	wait_connected(fd);
	len = sizeof(b);
	T(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, b, &len));
	say("same %d", !strcmp(a, b));
	T(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
}

CASE(buffers)
{
	int fd = sock(0), v = 32768;

	T(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &v, sizeof(v)));
	T(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	T(connect(fd, TO(PEER, FLOOD)));
	show_option(fd, SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF");
	show_option(fd, SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF");
	show_reading(fd);
}

CASE(tcp_info_lengths)
{
	int fd = pending(PEER, ECHO);
	char buf[512];
	socklen_t len = 1;

	T(getsockopt(fd, IPPROTO_TCP, TCP_INFO, buf, &len));
	say("len %u state %d", len, buf[0]);
	len = 0;
	T(getsockopt(fd, IPPROTO_TCP, TCP_INFO, buf, &len));
	T(getsockopt(fd, IPPROTO_TCP, TCP_INFO, nowhere, &len));
	T(getsockopt(fd, IPPROTO_TCP, TCP_INFO, buf, nowhere));
}

/* The option that a program may use for itself. */
CASE(fastopen_key)
{
	int fd = sock(0), got;
	char key[32] = "0123456789abcdef0123456789abcde", back[32];
	socklen_t len = sizeof(back);

	T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 32));
	T(connect(fd, TO(PEER, ECHO)));
	T(getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, back, &len));
	got = len == 32 && !memcmp(key, back, 32);
	say("kept %d", got);
	show_peer(fd);
	fd = connected(0, PEER, ECHO);
	T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 32));
	len = sizeof(back);
	T(getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, back, &len));
	say("kept %d", !memcmp(key, back, 32));
	show_peer(fd);
}

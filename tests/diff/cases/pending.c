/* SPDX-License-Identifier: MIT */
/* A connect that has not completed: what every call says meanwhile, and that the stream is clean afterwards. */
#include "../case.h"

#include <linux/sockios.h>
#include <sys/sendfile.h>

static void finish(int fd)
{
	wait_connected(fd);
	show_so_error(fd);
	show_echo(fd);
	show_poll(fd, POLLIN | POLLOUT, 0);
}

CASE_FAMILIES(state)
{
	int fd = sock(SOCK_NONBLOCK);

	T(connect(fd, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLPRI | POLLOUT | POLLRDHUP, 0);
	show_poll(fd, 0, 0);
	show_select(fd, 0);
	show_so_error(fd);
	show_peer(fd);
	show_name(fd);
	show_state(fd);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, REFUSED)));
	finish(fd);
	show_peer(fd);
	show_name(fd);
	show_state(fd);
}

CASE_FAMILIES(reads)
{
	int fd = pending(PEER, ECHO);
	char buf[64];
	struct iovec iov[2] = { { buf, 10 }, { buf + 10, 54 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	struct mmsghdr mm[2] = { { .msg_hdr = m }, { .msg_hdr = m } };
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	T(read(fd, buf, sizeof(buf)));
	T(readv(fd, iov, 2));
	T(recv(fd, buf, sizeof(buf), 0));
	T(recv(fd, buf, 1, MSG_PEEK));
	T(recv(fd, buf, sizeof(buf), MSG_PEEK | MSG_TRUNC));
	T(recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
	T(recv(fd, buf, sizeof(buf), MSG_WAITALL));
	T(recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&ss, &len));
	T(recvmsg(fd, &m, 0));
	T(recvmmsg(fd, mm, 2, 0, NULL));
	finish(fd);
}

CASE(reads_odd)
{
	int fd = pending(PEER, ECHO);
	char buf[64];
	int n = -1;

	T(recv(fd, buf, 0, 0));
	T(read(fd, buf, 0));
	T(recv(fd, buf, 1, MSG_OOB));
	T(recv(fd, buf, 1, MSG_ERRQUEUE));
	T(ioctl(fd, SIOCATMARK, &n));
	say("SIOCATMARK %d", n);
	n = -1;
	T(ioctl(fd, FIONREAD, &n));
	say("FIONREAD %d", n);
	n = -1;
	T(ioctl(fd, SIOCOUTQ, &n));
	say("SIOCOUTQ %d", n);
	n = -1;
	T(ioctl(fd, SIOCOUTQNSD, &n));
	say("SIOCOUTQNSD %d", n);
	T(pread(fd, buf, 1, 0));
	T(lseek(fd, 0, SEEK_CUR));
	finish(fd);
}

CASE_FAMILIES(writes)
{
	int fd = pending(PEER, ECHO);
	struct iovec iov[2] = { { "ab", 2 }, { "cd", 2 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	struct mmsghdr mm[2] = { { .msg_hdr = m }, { .msg_hdr = m } };

	T(write(fd, "abcd", 4));
	T(writev(fd, iov, 2));
	T(send(fd, "abcd", 4, 0));
	T(send(fd, "abcd", 4, MSG_NOSIGNAL | MSG_DONTWAIT));
	T(send(fd, "abcd", 4, MSG_MORE));
	T(send(fd, "a", 1, MSG_OOB));
	T(sendto(fd, "abcd", 4, 0, NULL, 0));
	T(sendto(fd, "abcd", 4, 0, TO(PEER, ECHO)));
	T(sendmsg(fd, &m, 0));
	T(sendmmsg(fd, mm, 2, 0));
	T(write(fd, "", 0));
	T(send(fd, "", 0, 0));
	finish(fd);
}

/* TCP looks at no destination, so its length may be any. */
CASE_FAMILIES(short_destination)
{
	int fd = pending(PEER, ECHO);
	struct sockaddr_storage to;
	char got[8] = "";

	memcpy(&to, at(PEER, ECHO), at_len());
	T(sendto(fd, "ab", 2, 0, (struct sockaddr *)&to, 0));
	T(sendto(fd, "ab", 2, MSG_DONTWAIT, (struct sockaddr *)&to, 1));
	T(sendto(fd, "ab", 2, 0, (struct sockaddr *)&to, 129));
	set_nonblock(fd, false);
	T(sendto(fd, "ping", 4, 0, (struct sockaddr *)&to, 0));
	T(recv(fd, got, 4, MSG_WAITALL));
	say("%s", got);
	finish(fd);
}

/* With MSG_TRUNC TCP drops what it would copy, and needs no room for it. */
CASE_FAMILIES(read_to_nowhere)
{
	int fd = pending(PEER, FIRST);
	int64_t end = now_ms() + LONG;
	ssize_t n;

	while ((n = recv(fd, NULL, 3, MSG_TRUNC)) == -1 && errno == EAGAIN && now_ms() < end)
		;
	say("%zd", n);
	T(recv(fd, nowhere, 8, 0));
	T(recv(fd, NULL, 1, MSG_TRUNC));
	show_read(fd, 8, 0);
	close(fd);
	fd = connected(0, PEER, FIRST);
	T(recv(fd, NULL, 3, MSG_TRUNC));
	show_read(fd, 8, 0);
}

CASE(sendfile_splice)
{
	int fd = pending(PEER, ECHO), in = MUST(open(case_self, O_RDONLY)), p[2];
	off_t off = 0;

	MUST(pipe2(p, O_NONBLOCK));
	MUST(write(p[1], "queued", 6));
	T(sendfile(fd, in, &off, 100));
	say("offset %ld", (long)off);
	T(sendfile(fd, in, NULL, 100));
	T(splice(p[0], NULL, fd, NULL, 6, SPLICE_F_NONBLOCK));
	T(splice(p[0], NULL, fd, NULL, 6, 0));
	T(splice(fd, NULL, p[1], NULL, 6, SPLICE_F_NONBLOCK));
	T(splice(fd, NULL, p[1], NULL, 6, 0));
	T(lseek(in, 0, SEEK_CUR));
	finish(fd);
	T(splice(p[0], NULL, fd, NULL, 6, 0));
	show_poll(fd, POLLIN, LONG);
	show_read(fd, 6, 0);
}

CASE(listen_bind_accept)
{
	int fd = pending(PEER, ECHO);
	struct sockaddr_in any = { .sin_family = AF_INET };

	T(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	T(listen(fd, 5));
	T(accept(fd, NULL, NULL));
	finish(fd);
}

CASE(bad_arguments)
{
	int fd = pending(PEER, ECHO);
	struct sockaddr_storage ss;
	socklen_t len = 4, negative = (socklen_t)-1;
	char tiny[2];

	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, at(PEER, ECHO), 1));
	T(connect(fd, at(PEER, ECHO), 4));
	T(getsockname(fd, (struct sockaddr *)&ss, &len));
	say("true length %u", len);
	T(getsockname(fd, (struct sockaddr *)&ss, &negative));
	len = sizeof(ss);
	T(getpeername(fd, (struct sockaddr *)&ss, &len));
	len = 2;
	T(getsockopt(fd, SOL_SOCKET, SO_ERROR, tiny, &len));
	say("length %u", len);
	T(getsockopt(fd, SOL_SOCKET, 9999, tiny, &len));
	finish(fd);
	len = 4;
	T(getpeername(fd, (struct sockaddr *)&ss, &len));
	say("true length %u, family %d", len, ss.ss_family);
}

CASE(options)
{
	static const struct { int level, option; const char *name; } options[] = {
		{ SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT" }, { SOL_SOCKET, SO_SNDLOWAT, "SO_SNDLOWAT" },
		{ SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN" }, { SOL_SOCKET, SO_TYPE, "SO_TYPE" },
		{ SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN" }, { SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL" },
		{ SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE" }, { SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR" },
		{ SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE" }, { SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST" },
		{ IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY" }, { IPPROTO_TCP, TCP_CORK, "TCP_CORK" },
		{ IPPROTO_TCP, TCP_QUICKACK, "TCP_QUICKACK" }, { IPPROTO_TCP, TCP_SYNCNT, "TCP_SYNCNT" },
		{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, "TCP_FASTOPEN_CONNECT" }, { IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT" },
		{ IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE" }, { IPPROTO_IP, IP_TOS, "IP_TOS" }, { IPPROTO_IP, IP_TTL, "IP_TTL" },
		{ IPPROTO_TCP, TCP_FASTOPEN, "TCP_FASTOPEN" }, { IPPROTO_TCP, TCP_INQ, "TCP_INQ" },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT" }, { IPPROTO_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT" },
	};
	int fd = pending(PEER, ECHO);

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		show_option(fd, options[i].level, options[i].option, options[i].name);
	wait_connected(fd);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].option != TCP_QUICKACK)	/* the kernel's own heuristic */
			show_option(fd, options[i].level, options[i].option, options[i].name);
	}
}

CASE(sets)
{
	int fd = pending(PEER, ECHO), one = 1, v = 42;

	T(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	T(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &v, sizeof(v)));
	T(setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &v, sizeof(v)));
	T(setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &v, sizeof(v)));
	T(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &v, sizeof(v)));
	T(setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
	T(setsockopt(fd, IPPROTO_IP, IP_TOS, &v, sizeof(v)));
	finish(fd);
	show_option(fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
	show_option(fd, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
	show_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE");
	show_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL");
	show_option(fd, IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT");
	show_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT");
	show_option(fd, SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE");
	show_option(fd, IPPROTO_IP, IP_TOS, "IP_TOS");
}

CASE(close_then_nothing)
{
	int fd = pending(PEER, ECHO);

	T(close(fd));
	T(close(fd));
	show_poll(fd, POLLOUT, 0);
	show_so_error(fd);
	T(send(fd, "x", 1, MSG_NOSIGNAL));
}

CASE(two_at_once)
{
	int a = pending(PEER, ECHO), b;
	int64_t t0 = now_ms();

	nap(2);
	b = pending(PEER, REFUSED);
	show_poll(a, POLLOUT, LONG);
	say("first %s", since(t0));
	show_poll(b, POLLIN | POLLOUT | POLLRDHUP, LONG);
	show_so_error(a);
	show_so_error(b);
	show_echo(a);
}

CASE(silent_stays_pending)
{
	int fd = pending(SILENT, ECHO);

	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, quarters(8));
	show_all(fd);
	show_so_error(fd);
	T(connect(fd, TO(SILENT, ECHO)));
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	T(close(fd));
}

/* "No extra visible fd": numbers are given out as natively, and nothing is left over. */
CASE(fd_numbers)
{
	int a = sock(SOCK_NONBLOCK), b, c;

	T(connect(a, TO(PEER, ECHO)));
	b = dup(1);
	say("next number is %d further", b - a);
	show_poll(a, POLLOUT, LONG);
	c = dup(1);
	say("next number is %d further", c - a);
	show_echo(a);
	close(a);
	say("lowest free is %d", dup(1) - a);
}

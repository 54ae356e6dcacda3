/* SPDX-License-Identifier: MIT */
/* Built with -D_FORTIFY_SOURCE=2 -O2: read, recv, recvfrom, poll and ppoll become __read_chk and so on. */
#include "../case.h"

static volatile size_t ten = 10;
static volatile nfds_t one = 1;

CASE(pending)
{
	int fd = pending(PEER, ECHO);
	char buf[16];
	struct pollfd p[2] = { { fd, POLLIN | POLLOUT, 0 } };
	struct timespec zero = { 0, 0 };

	T(read(fd, buf, ten));
	T(recv(fd, buf, ten, 0));
	T(recv(fd, buf, ten, MSG_PEEK));
	T(recvfrom(fd, buf, ten, 0, NULL, NULL));
	T(poll(p, one, 0));
	T(ppoll(p, one, &zero, NULL));
	T(poll(p, one, LONG));
	say("%s", poll_names((unsigned)p[0].revents));
	T(send(fd, "0123456789ab", 12, 0));
	T(poll(p, one, 0));
	say("%s", poll_names((unsigned)p[0].revents));
	nap(6);
	T(recv(fd, buf, ten, MSG_PEEK));
	T(read(fd, buf, ten));
	T(recvfrom(fd, buf, ten, 0, NULL, NULL));
	T(recv(fd, buf, ten, 0));
}

CASE(refused)
{
	int fd = pending(PEER, REFUSED);
	char buf[16];
	struct pollfd p[2] = { { fd, POLLIN | POLLOUT | POLLRDHUP, 0 } };

	T(ppoll(p, one, NULL, NULL));
	say("%s", poll_names((unsigned)p[0].revents));
	T(read(fd, buf, ten));
	T(recv(fd, buf, ten, 0));
}

CASE(first_read) { int fd = pending(PEER, FIRST); char buf[16]; nap(11); T(read(fd, buf, ten)); show_echo(fd); }
CASE(first_recvfrom) { int fd = pending(PEER, FIRST); char buf[16]; nap(11); T(recvfrom(fd, buf, ten, 0, NULL, NULL)); show_echo(fd); }
CASE(first_ppoll) { int fd = pending(PEER, ECHO); struct pollfd p[2] = { { fd, POLLOUT, 0 } }; struct timespec zero = { 0, 0 }; nap(6); T(ppoll(p, one, &zero, NULL)); show_echo(fd); }

CASE(fd_set_checked)
{
	int fd = pending(PEER, ECHO);
	volatile int n = fd;
	fd_set w;

	FD_ZERO(&w);
	FD_SET(n, &w);
	T(select(n + 1, NULL, &w, NULL, NULL));
	T(FD_ISSET(n, &w) != 0);
}

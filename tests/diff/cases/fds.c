/* SPDX-License-Identifier: MIT */
/* File descriptors under a pending connect: duplicated, closed, reused, toggled, passed on behind libc's back. */
#include "../case.h"

#include <linux/close_range.h>
#include <sys/syscall.h>

/* A close that no interposer sees. */
static long raw(long n, long a, long b, long c)
{
#if defined(__x86_64__)
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
#else
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#endif
}

static void both(int fd, int d)
{
	show_poll(d, POLLIN | POLLOUT, 0);
	show_so_error(d);
	T(connect(d, TO(PEER, ECHO)));
	show_poll(d, POLLIN | POLLOUT, LONG);
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_peer(fd);
	show_peer(d);
	show_name(d);
	show_echo(d);
	T(close(fd));
	show_echo(d);
	show_peer(d);
}

CASE(dup) { int fd = pending(PEER, ECHO); both(fd, dup(fd)); }
CASE(dup2) { int fd = pending(PEER, ECHO); both(fd, dup2(fd, 50)); }
CASE(dup3) { int fd = pending(PEER, ECHO); int d = dup3(fd, 51, O_CLOEXEC); T(fcntl(d, F_GETFD)); both(fd, d); }
CASE(f_dupfd) { int fd = pending(PEER, ECHO); int d = fcntl(fd, F_DUPFD, 60); say("%d", d); T(fcntl(d, F_GETFD)); both(fd, d); }
CASE(f_dupfd_cloexec) { int fd = pending(PEER, ECHO); int d = fcntl(fd, F_DUPFD_CLOEXEC, 61); say("%d", d); T(fcntl(d, F_GETFD)); both(fd, d); }
CASE(dup_before_connect) { int fd = sock(SOCK_NONBLOCK), d = dup(fd); T(connect(fd, TO(PEER, ECHO))); both(fd, d); }
CASE(dup_of_dup) { int fd = pending(PEER, ECHO), d = dup(fd), e = dup(d); close(fd); close(d); show_poll(e, POLLOUT, 0); show_poll(e, POLLOUT, LONG); show_echo(e); }
CASE(dup2_same) { int fd = pending(PEER, ECHO); T(dup2(fd, fd) == fd); T(dup3(fd, fd, 0)); T(dup2(fd, -1)); T(dup2(9999, fd)); show_poll(fd, POLLOUT, 0); show_poll(fd, POLLOUT, LONG); show_echo(fd); }
CASE(dup_connected) { int fd = connected(0, PEER, ECHO), d = dup(fd); show_peer(d); show_name(d); close(fd); show_peer(d); show_echo(d); }
CASE(dup_high) { int fd = pending(PEER, ECHO), d = fcntl(fd, F_DUPFD, 1000); close(fd); show_poll(d, POLLOUT, LONG); show_echo(d); }

CASE(dup2_over_pending)
{
	int fd = pending(PEER, ECHO), p[2];

	MUST(pipe2(p, O_NONBLOCK));
	T(dup2(p[1], fd) == fd);
	show_poll(fd, POLLIN | POLLOUT, 0);
	T(write(fd, "x", 1));
	show_so_error(fd);
	nap(6);
	show_poll(fd, POLLIN | POLLOUT, 0);
	T(write(fd, "x", 1));
}

CASE(dup2_pending_over_other)
{
	int fd = pending(PEER, ECHO), other = pending(PEER, REFUSED);

	T(dup2(fd, other) == other);
	show_poll(other, POLLOUT, 0);
	close(fd);
	show_poll(other, POLLIN | POLLOUT, LONG);
	show_so_error(other);
	show_echo(other);
}

static void reused(int how)
{
	int fd = pending(PEER, ECHO), p[2], other;

	if (how == 0)
		close(fd);
	else if (how == 1)
		syscall(SYS_close, fd);
	else if (how == 2)
		raw(SYS_close, fd, 0, 0);
	else if (how == 3)
		close_range((unsigned)fd, (unsigned)fd, 0);
	else
		raw(SYS_close_range, fd, fd, 0);
	MUST(pipe(p));
	other = p[0] == fd ? p[0] : p[1];
	say("reused %d", other == fd);
	show_poll(other, POLLIN | POLLOUT, 0);
	T(write(p[1], "hi", 2));
	show_poll(p[0], POLLIN, 0);
	show_so_error(p[0]);
	nap(6);
	show_poll(p[0], POLLIN, 0);
	close(p[0]);
	close(p[1]);
	other = sock(SOCK_NONBLOCK);
	say("reused %d", other == fd);
	show_poll(other, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_peer(other);
	show_so_error(other);
	T(send(other, "x", 1, MSG_NOSIGNAL));
	T(connect(other, TO(PEER, ECHO)));
	show_poll(other, POLLIN | POLLOUT, 0);
	show_poll(other, POLLIN | POLLOUT, LONG);
	show_echo(other);
}

CASE(reused_after_close) { reused(0); }
CASE(reused_after_syscall_close) { reused(1); }
CASE(reused_after_raw_close) { reused(2); }
CASE(reused_after_close_range) { reused(3); }
CASE(reused_after_raw_close_range) { reused(4); }

CASE(reused_connected_by_raw_close)
{
	int fd = connected(0, PEER, ECHO), fd2;

	raw(SYS_close, fd, 0, 0);
	fd2 = sock(0);
	say("reused %d", fd == fd2);
	show_peer(fd2);
	show_name(fd2);
}

CASE(reused_by_raw_dup2)
{
	int fd = pending(PEER, ECHO), p[2];

	MUST(pipe(p));
#if defined(SYS_dup2)
	raw(SYS_dup2, p[1], fd, 0);
#else
	raw(SYS_dup3, p[1], fd, 0);
#endif
	show_poll(fd, POLLOUT, 0);
	T(write(fd, "x", 1));
	show_peer(fd);
}

CASE(reused_in_epoll)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO), fd2;

	T(add_epoll(ep, fd, EPOLLOUT, 1));
	raw(SYS_close, fd, 0, 0);
	fd2 = sock(SOCK_NONBLOCK);
	T(add_epoll(ep, fd2, EPOLLOUT, 2));
	show_epoll(ep, 0);
	T(connect(fd2, TO(PEER, ECHO)));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
}

CASE(close_range_all)
{
	int fd = pending(PEER, ECHO), fd2 = pending(PEER, REFUSED), d = MUST(fcntl(fd, F_DUPFD, 100));

	T(close_range(3, 50, 0));
	show_poll(fd, POLLOUT, 0);
	show_poll(fd2, POLLOUT, 0);
	show_poll(d, POLLOUT, LONG);
	show_echo(d);
	T(close_range(200, 100, 0));
}

CASE(close_range_cloexec)
{
	int fd = pending(PEER, ECHO);

	T(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC));
	T(fcntl(fd, F_GETFD));
	show_poll(fd, POLLOUT, LONG);
	show_echo(fd);
}

CASE(closefrom_all)
{
	int fd = pending(PEER, ECHO), fd2;

	closefrom(3);
	show_poll(fd, POLLOUT, 0);
	fd2 = pending(PEER, ECHO);
	say("number %d", fd2);
	show_poll(fd2, POLLOUT, 0);
	show_poll(fd2, POLLOUT, LONG);
	show_echo(fd2);
}

/* Daemons close everything, whatever it is. */
CASE(close_loop)
{
	int fd = pending(PEER, ECHO);

	for (int i = 3; i < 256; i++)
		close(i);
	fd = pending(PEER, ECHO);
	say("number %d", fd);
	show_poll(fd, POLLOUT, LONG);
	show_echo(fd);
}

CASE(close_many_pending)
{
	for (int round = 0; round < 20; round++) {
		int fds[20];

		for (int i = 0; i < 20; i++)
			fds[i] = pending(PEER, i % 2 ? ECHO : REFUSED);
		for (int i = 0; i < 20; i++)
			close(fds[i]);
	}
	show_echo(connected(0, PEER, ECHO));
}

CASE(toggle_to_blocking_send) { int fd = pending(PEER, ECHO); int64_t t0 = now_ms(); set_nonblock(fd, false); T(send(fd, "hey", 3, 0)); say("%s", since(t0)); show_read(fd, 10, 0); }
CASE(toggle_to_blocking_read) { int fd = pending(PEER, FIRST); int64_t t0 = now_ms(); set_nonblock(fd, false); show_read(fd, 10, 0); say("%s", since(t0)); show_echo(fd); }
CASE(toggle_to_blocking_connect) { int fd = pending(PEER, ECHO); int64_t t0 = now_ms(); set_nonblock(fd, false); T(connect(fd, TO(PEER, ECHO))); say("%s", since(t0)); T(connect(fd, TO(PEER, ECHO))); show_echo(fd); }
CASE(toggle_to_blocking_connect_refused) { int fd = pending(PEER, REFUSED); int64_t t0 = now_ms(); set_nonblock(fd, false); T(connect(fd, TO(PEER, REFUSED))); say("%s", since(t0)); show_so_error(fd); T(connect(fd, TO(PEER, ECHO))); }
CASE(toggle_to_blocking_send_refused) { int fd = pending(PEER, REFUSED); int64_t t0 = now_ms(); set_nonblock(fd, false); T(send(fd, "x", 1, MSG_NOSIGNAL)); say("%s", since(t0)); T(send(fd, "x", 1, MSG_NOSIGNAL)); }
CASE(toggle_to_blocking_read_refused) { int fd = pending(PEER, REFUSED); char c; set_nonblock(fd, false); T(read(fd, &c, 1)); T(read(fd, &c, 1)); }
CASE(toggle_dontwait) { int fd = pending(PEER, ECHO); char c; set_nonblock(fd, false); T(recv(fd, &c, 1, MSG_DONTWAIT)); T(send(fd, "x", 1, MSG_DONTWAIT)); show_poll(fd, POLLOUT, 0); show_poll(fd, POLLOUT, LONG); show_echo(fd); }
CASE(toggle_fionbio) { int fd = pending(PEER, ECHO), off = 0, on = 1; T(ioctl(fd, FIONBIO, &off)); T(fcntl(fd, F_GETFL)); T(ioctl(fd, FIONBIO, &on)); T(fcntl(fd, F_GETFL)); T(send(fd, "x", 1, 0)); T(ioctl(fd, FIONBIO, &off)); T(send(fd, "x", 1, 0)); }
CASE(toggle_poll_stays) { int fd = pending(PEER, ECHO); set_nonblock(fd, false); show_poll(fd, POLLOUT, 0); show_select(fd, SHORT); show_poll(fd, POLLOUT, LONG); show_echo(fd); }
CASE(toggle_on_after_blocking) { int fd = connected(SOCK_NONBLOCK, PEER, ECHO); show_read(fd, 1, 0); show_echo(fd); T(fcntl(fd, F_GETFL)); }
CASE(toggle_by_dup) { int fd = pending(PEER, ECHO), d = dup(fd); set_nonblock(d, false); T(fcntl(fd, F_GETFL)); T(send(fd, "x", 1, 0)); }
CASE(toggle_ioctl_fioclex) { int fd = pending(PEER, ECHO); T(ioctl(fd, FIOCLEX)); T(fcntl(fd, F_GETFD)); T(fcntl(fd, F_SETFD, 0)); T(fcntl(fd, F_GETFD)); show_poll(fd, POLLOUT, LONG); }

CASE(stdio)
{
	int fd = connected(0, PEER, ECHO);
	FILE *f = fdopen(fd, "r+");
	char line[64];

	setvbuf(f, NULL, _IOLBF, 4096);
	fputs("through stdio\n", f);
	fflush(f);
	say("%s", fgets(line, sizeof(line), f) ? bytes_name(line, (long)strlen(line)) : "nothing");
	fclose(f);
	fd = sock(SOCK_NONBLOCK);
	show_peer(fd);
	show_poll(fd, POLLOUT, 0);
}

CASE(fclose_pending)
{
	int fd = pending(PEER, ECHO), fd2;
	FILE *f = fdopen(fd, "w");

	T(fclose(f));
	fd2 = sock(SOCK_NONBLOCK);
	say("reused %d", fd == fd2);
	show_poll(fd2, POLLOUT, 0);
	show_peer(fd2);
	show_so_error(fd2);
}

CASE(sigio)
{
	int fd = sock(SOCK_NONBLOCK);

	on_signal(SIGIO, SA_RESTART);
	T(fcntl(fd, F_SETOWN, getpid()));
	T(fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC));
	T(connect(fd, TO(PEER, ECHO)));
	nap(2);
	say("early %d", signals_seen);
	nap(5);
	say("told %d", signals_seen > 0);
	show_echo(fd);
}

CASE(cloexec_and_owner)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	T(connect(fd, TO(PEER, ECHO)));
	T(fcntl(fd, F_GETFD));
	T(fcntl(fd, F_GETFL));
	wait_connected(fd);
	T(fcntl(fd, F_GETFD));
	T(fcntl(fd, F_GETFL));
	T(fcntl(fd, F_GETOWN));
}

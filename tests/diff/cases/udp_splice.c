/* SPDX-License-Identifier: MIT */
/* splice and sendfile from a datagram socket into a pipe. */
#include "udp.h"

#include <sys/sendfile.h>
#include <sys/syscall.h>

static int in, out;	/* a pipe */

static int begin(int flags)
{
	int fd = udp(flags), ends[2];

	MUST(pipe(ends));
	in = ends[0];
	out = ends[1];
	T(connect(fd, TO(PEER, ECHO)));
	return fd;
}

static void ask(int fd, const char *text, size_t len)
{
	MUST(send(fd, text, len, 0));
	await(fd);
}

/* What is in the pipe. */
static void show_pipe(void)
{
	static char buf[70000];
	int there = -1;
	ssize_t n = 0;

	MUST(ioctl(in, FIONREAD, &there));
	if (there > 0)
		n = MUST(read(in, buf, sizeof(buf)));
	say("pipe: %d, %zd \"%s\"", there, n, bytes_name(buf, n < 20 ? n : 20));
}

static char big[8000];

CASE_FAMILIES(lengths)
{
	static const size_t lens[] = { 1, 4, 5, 100, 4096, 4097, 100000, (size_t)1 << 40 };
	int fd = begin(SOCK_NONBLOCK);

	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		ask(fd, "back!", 5);
		T(splice(fd, NULL, out, NULL, lens[i], 0));
		show_pipe();
		ask(fd, big, sizeof(big));
		T(splice(fd, NULL, out, NULL, lens[i], SPLICE_F_MOVE | SPLICE_F_MORE));
		show_pipe();
		T(splice(fd, NULL, out, NULL, lens[i], 0));
	}
	ask(fd, "", 0);
	T(splice(fd, NULL, out, NULL, 100, 0));
	show_pipe();
	show_quiet(fd);
}

/* What the kernel refuses before it reads. */
CASE_FAMILIES(refused)
{
	int fd = begin(SOCK_NONBLOCK), file = fileno(tmpfile()), other = udp(0);
	loff_t at = 0;

	ask(fd, "kept", 4);
	T(splice(fd, NULL, out, NULL, 0, 0));
	T(splice(fd, NULL, out, NULL, 100, 64));
	T(splice(fd, &at, out, NULL, 100, 0));
	T(splice(fd, NULL, out, &at, 100, 0));
	T(splice(fd, nowhere, out, NULL, 100, 0));
	T(splice(fd, NULL, in, NULL, 100, 0));
	T(splice(fd, NULL, file, NULL, 100, 0));
	T(splice(fd, NULL, other, NULL, 100, 0));
	T(splice(fd, NULL, fd, NULL, 100, 0));
	T(splice(fd, NULL, -1, NULL, 100, 0));
	T(sendfile(out, fd, &at, 100));
	T(sendfile(file, fd, NULL, 100));
	T(sendfile(other, fd, NULL, 100));
	T(sendfile(fd, fd, NULL, 100));
	T(sendfile(out, fd, NULL, 0));
	on_signal(SIGPIPE, 0);
	close(in);
	T(splice(fd, NULL, out, NULL, 100, 0));
	T(splice(fd, NULL, out, NULL, 100, SPLICE_F_NONBLOCK));
	say("signals %d", (int)signals_seen);
	show_from(fd, 100, 0);
}

/* A page of the pipe each, however short. */
CASE_FAMILIES(full)
{
	int fd = begin(SOCK_NONBLOCK), n = 0;

	MUST(fcntl(out, F_SETPIPE_SZ, 4 * 4096));
	for (int i = 0; i < 6; i++) {
		ask(fd, "page", 4);
		if (T(splice(fd, NULL, out, NULL, 100, SPLICE_F_NONBLOCK)) < 0)
			show_from(fd, 100, 0);
	}
	show_poll(out, POLLOUT, 0);
	set_nonblock(out, true);
	ask(fd, "kept", 4);
	T(splice(fd, NULL, out, NULL, 100, 0));
	T(sendfile(out, fd, NULL, 100));
	show_from(fd, 100, 0);
	show_pipe();
	memset(big, 'y', sizeof(big));
	for (int i = 0; i < 3; i++) {
		ask(fd, "page", 4);
		T(splice(fd, NULL, out, NULL, 100, 0));
	}
	ask(fd, big, sizeof(big));
	T(splice(fd, NULL, out, NULL, sizeof(big), 0));
	show_quiet(fd);
	T(ioctl(in, FIONREAD, &n));
	say("in the pipe %d", n);
	show_pipe();
	ask(fd, "sent", 4);
	T(sendfile(out, fd, NULL, 100));
	show_pipe();
}

static void *drain(void *arg)
{
	static char buf[4096];

	nap(2);
	MUST(read(in, buf, sizeof(buf)));
	return arg;
}

static void fill_pipe(void)
{
	MUST(fcntl(out, F_SETPIPE_SZ, 4096));
	MUST(write(out, big, 4096));
}

static void *answer_later(void *arg)
{
	nap(2);
	MUST(send(*(int *)arg, "late", 4, 0));
	return NULL;
}

/* It waits for room, then for a datagram. */
CASE_FAMILIES(waits)
{
	int fd = begin(0);
	struct timeval tv = { .tv_usec = 1000 * quarters(2) };
	pthread_t t;

	memset(big, 'z', sizeof(big));
	fill_pipe();
	ask(fd, "first", 5);
	t = thread(drain, NULL);
	T(splice(fd, NULL, out, NULL, 100, 0));
	join(t);
	show_pipe();
	t = thread(answer_later, &fd);
	T(splice(fd, NULL, out, NULL, 100, SPLICE_F_NONBLOCK));	/* it is the pipe that this is about */
	join(t);
	show_pipe();
	T(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	T(splice(fd, NULL, out, NULL, 100, 0));
	show_pipe();
}

CASE_FAMILIES(interrupted)
{
	int fd = begin(0);
	pthread_t t;

	on_signal(SIGUSR1, 0);
	on_signal(SIGUSR2, SA_RESTART);
	signal_after(2, SIGUSR1);
	T(splice(fd, NULL, out, NULL, 100, 0));
	signal_after(1, SIGUSR2);
	t = thread(answer_later, &fd);
	T(splice(fd, NULL, out, NULL, 100, 0));
	join(t);
	show_pipe();
	fill_pipe();
	ask(fd, "kept", 4);
	signal_after(2, SIGUSR1);
	T(splice(fd, NULL, out, NULL, 100, 0));
	signal_after(1, SIGUSR2);
	t = thread(drain, NULL);
	T(splice(fd, NULL, out, NULL, 100, 0));
	join(t);
	show_pipe();
	say("signals %d", (int)signals_seen);
}

/* What is in the pipe stays as it was. */
CASE_FAMILIES(many)
{
	int fd = begin(0);
	char text[3000];

	for (int i = 0; i < 10; i++) {
		memset(text, 'a' + i, sizeof(text));
		ask(fd, text, sizeof(text));
		T(splice(fd, NULL, out, NULL, sizeof(text), 0));
	}
	for (int i = 0; i < 10; i++) {
		memset(text, 0, sizeof(text));
		MUST(read(in, text, sizeof(text)));
		say("%c%c", text[0], text[sizeof(text) - 1]);
	}
}

/* Not connected, by number, and past the relay. */
CASE_FAMILIES(others)
{
	int fd = udp(SOCK_NONBLOCK), near = udp(0), ends[2], offset = 0;
	struct sockaddr_storage here;
	socklen_t len = sizeof(here);

	MUST(pipe(ends));
	in = ends[0];
	out = ends[1];
	give(fd, PEER, ECHO, "far");
	await(fd);
	T(syscall(SYS_splice, fd, NULL, out, NULL, 100, 0));
	show_pipe();
	T(syscall(SYS_splice, fd, NULL, out, NULL, 100, 0));
	MUST(getsockname(fd, (void *)&here, &len));
	if (case_family == AF_INET)
		((struct sockaddr_in *)&here)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&here)->sin6_addr = in6addr_loopback;
	MUST(sendto(near, "near", 4, 0, (void *)&here, len));
	await(fd);
	T(splice(fd, NULL, out, NULL, 100, 0));
	show_pipe();
	T(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)));
	give(fd, PEER, ECHO, "one");
	await(fd);
	show_from(fd, 2, MSG_PEEK);
	T(splice(fd, NULL, out, NULL, 100, 0));
	show_pipe();
	show_option(fd, SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF");
}

/* A pipe that leads to another datagram socket. */
CASE_FAMILIES(through)
{
	int fd = begin(0), to = udp(0);

	T(connect(to, TO(PEER, ECHO)));
	for (int i = 0; i < 3; i++) {
		ask(fd, "onward", 6);
		T(splice(fd, NULL, out, NULL, 100, 0));
		T(splice(in, NULL, to, NULL, 100, 0));
		await(to);
		show_from(to, 100, 0);
	}
}

/* A thread that waits in splice as the socket turns to the tailnet. */
static void *splice_it(void *fd)
{
	T(splice(*(int *)fd, NULL, out, NULL, 100, 0));
	return NULL;
}

CASE_FAMILIES(turned)
{
	int fd = udp(0), ends[2];
	pthread_t t;

	MUST(pipe(ends));
	in = ends[0];
	out = ends[1];
	give(udp(0), SELF, UDP_MUTE, "a second thread is there by now");
	t = thread(splice_it, &fd);
	nap(1);
	give(fd, PEER, ECHO, "back");
	join(t);
	show_pipe();
}

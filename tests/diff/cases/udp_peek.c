/* SPDX-License-Identifier: MIT */
/* SO_PEEK_OFF: from where on MSG_PEEK looks into what is there to be read, datagrams of several sources. */
#include "udp.h"

static void offset(int fd, int value)
{
	T(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof(value)));
}

static void show_offset(int fd)
{
	int value = 77;
	socklen_t len = sizeof(value);

	T(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &value, &len));
	say("offset %d, length %u", value, len);
}

/* A neighbour, whose datagrams come past the relay. */
static void from_near(int fd, const char *text)
{
	struct sockaddr_storage here;
	socklen_t len = sizeof(here);
	int near = udp(0);

	MUST(getsockname(fd, (void *)&here, &len));
	if (case_family == AF_INET)
		((struct sockaddr_in *)&here)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&here)->sin6_addr = in6addr_loopback;
	MUST(sendto(near, text, strlen(text), 0, (void *)&here, len));
	close(near);
}

/* As many as were asked for are there. */
static void fill(int fd, const char *const *texts, int n)
{
	for (int i = 0; i < n; i++) {
		give(fd, PEER, ECHO, texts[i]);
		nap(5);
	}
}

static void peek(int fd, size_t room, int flags)
{
	show_from(fd, room, MSG_PEEK | MSG_DONTWAIT | flags);
	show_offset(fd);
}

static void take(int fd, size_t room, int flags)
{
	show_from(fd, room, MSG_DONTWAIT | flags);
	show_offset(fd);
}

CASE_FAMILIES(values)
{
	int fd = udp(0), one = 1;
	char small[8] = { 0 };
	socklen_t len = 2;

	show_offset(fd);
	offset(fd, 5);
	echo_from(fd, PEER, ECHO, "before");
	show_offset(fd);
	for (int value = -2; value < 2; value++) {
		offset(fd, value);
		show_offset(fd);
	}
	offset(fd, 0x7fffffff);
	show_offset(fd);
	T(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &one, 3));
	T(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, nowhere, 4));
	T(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &one, 8000));
	T(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, small, &len));
	say("%d %d, %u", small[0], small[2], len);
}

/* One datagram, seen piece by piece. */
CASE_FAMILIES(pieces)
{
	int fd = udp(0), n;

	give(fd, PEER, ECHO, "0123456789");
	await(fd);
	offset(fd, 0);
	for (int i = 0; i < 5; i++)
		peek(fd, 4, 0);
	for (int at = 0; at < 12; at += 3) {
		offset(fd, at);
		peek(fd, 4, MSG_TRUNC);
		offset(fd, at);
		peek(fd, (size_t)(10 - at < 0 ? 0 : 10 - at), 0);
		offset(fd, at);
		peek(fd, 100, 0);
		T(ioctl(fd, FIONREAD, &n));
		say("FIONREAD %d", n);
	}
	offset(fd, 2);
	take(fd, 1, 0);
	peek(fd, 4, 0);
}

/* What is read is peeked at no more. */
CASE_FAMILIES(stream)
{
	static const char *const texts[] = { "first", "", "third of them", "4" };
	int fd = udp(0);

	fill(fd, texts, 4);
	offset(fd, 0);
	for (int i = 0; i < 9; i++)
		peek(fd, 5, 0);
	take(fd, 3, 0);
	peek(fd, 50, 0);
	take(fd, 10, 0);
	take(fd, 3, MSG_TRUNC);
	peek(fd, 50, 0);
	offset(fd, -1);
	peek(fd, 50, 0);
	peek(fd, 50, 0);
	offset(fd, 0);
	take(fd, 50, 0);
	peek(fd, 50, 0);
	show_quiet(fd);
}

/* Datagrams of the tailnet and of a neighbour by turns. */
static void mixed(void)
{
	int fd = udp(0);

	echo_from(fd, PEER, ECHO, "before");
	from_near(fd, "near one");
	fill(fd, (const char *const[]){ "far two" }, 1);
	from_near(fd, "near three");
	offset(fd, 0);
	for (int i = 0; i < 9; i++)
		peek(fd, 3, 0);
	for (int at = 0; at < 27; at += 5) {
		offset(fd, at);
		peek(fd, 100, 0);
	}
	offset(fd, 11);
	take(fd, 100, 0);
	peek(fd, 100, 0);
}

CASE(mixed) { mixed(); }
CASE(mixed_six) { case_family = AF_INET6; mixed(); }

CASE_FAMILIES(connected)
{
	static const char *const texts[] = { "first", "second" };
	int fd = udp(0);
	char a[3], b[100];
	struct iovec iov[2] = { { a, 3 }, { b, 100 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	struct mmsghdr mm[2] = { { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 1 } }, { .msg_hdr = { .msg_iov = iov + 1, .msg_iovlen = 1 } } };

	offset(fd, 1);
	T(connect(fd, TO(PEER, ECHO)));
	show_offset(fd);
	fill(fd, texts, 2);
	memset(b, '-', sizeof(b));
	T(recvmsg(fd, &m, MSG_PEEK));
	say("%s %s flags %x", bytes_name(a, 3), bytes_name(b, 3), m.msg_flags);
	show_offset(fd);
	T(recvmmsg(fd, mm, 2, MSG_PEEK | MSG_DONTWAIT, NULL));
	say("%u %s", mm[0].msg_len, bytes_name(a, 3));
	show_offset(fd);
	offset(fd, 6);
	T(recvmmsg(fd, mm, 2, MSG_DONTWAIT, NULL));
	say("%u %s, %u %s", mm[0].msg_len, bytes_name(a, 3), mm[1].msg_len, bytes_name(b, 6));
	show_offset(fd);
	offset(fd, 4);
	fill(fd, texts, 1);
	T(read(fd, b, 3));
	show_offset(fd);
}

/* A peek that waits, for one datagram or for the second. */
static void *later(void *arg)
{
	int fd = *(int *)arg;

	nap(8);
	give(fd, PEER, ECHO, "late");
	nap(8);
	give(fd, PEER, ECHO, "later");
	return NULL;
}

CASE_FAMILIES(waiting)
{
	int fd = udp(0);
	struct timeval short_time = { .tv_usec = 1000 * quarters(2) };
	int64_t t0;
	pthread_t t;

	give(fd, PEER, ECHO, "first");
	await(fd);
	offset(fd, 5);
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof(short_time)));
	t0 = now_ms();
	show_from(fd, 100, MSG_PEEK);
	say_span("timed out", t0, 1, 8);
	show_offset(fd);
	short_time.tv_usec = 0;
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof(short_time)));
	t = thread(later, &fd);
	show_from(fd, 100, MSG_PEEK);
	show_offset(fd);
	show_from(fd, 100, MSG_PEEK);
	show_offset(fd);
	join(t);
	on_signal(SIGUSR1, 0);
	signal_after(2, SIGUSR1);
	show_from(fd, 100, MSG_PEEK);
	on_signal(SIGUSR2, SA_RESTART);
	signal_after(2, SIGUSR2);
	t = thread(later, &fd);
	show_from(fd, 100, MSG_PEEK);
	join(t);
	show_offset(fd);
	for (int i = 0; i < 6; i++)
		take(fd, 100, 0);
}

/* It goes with the socket. */
CASE_FAMILIES(elsewhere)
{
	int fd = udp(0), other;

	give(fd, PEER, ECHO, "0123456789");
	await(fd);
	offset(fd, 3);
	other = dup(fd);
	show_offset(other);
	peek(other, 2, 0);
	show_offset(fd);
	if (fork() == 0) {
		show_offset(fd);
		peek(fd, 2, 0);
		exit(0);
	}
	wait(NULL);
	peek(fd, 2, 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * Datagrams that have nothing to do with the tailnet, in a program with threads: there every call that waits is made as if the socket
 * might turn to it meanwhile.
 */
#include "udp_case.h"


static int a, b;
static struct sockaddr_storage a_name, b_name;
static socklen_t name_len;

static int near(struct sockaddr_storage *name)
{
	int fd = udp(0);

	memset(name, 0, sizeof(*name));
	name->ss_family = (sa_family_t)case_family;
	name_loopback(name);
	name_len = at_len();
	MUST(bind(fd, (void *)name, name_len));
	MUST(getsockname(fd, (void *)name, &name_len));
	return fd;
}

static void *idle(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

static void begin(void)
{
	static pthread_t t;

	t = thread(idle, NULL);
	pthread_detach(t);
	a = near(&a_name);
	b = near(&b_name);
}

static void to_a(const char *text)
{
	MUST(sendto(b, text, strlen(text), 0, (void *)&a_name, name_len));
}

static void show_message(size_t room, size_t pieces, size_t control, int flags, bool named)
{
	char buf[64], space[256] = "";
	struct iovec iov[64];
	struct sockaddr_storage from;
	struct msghdr m = { .msg_name = named ? &from : NULL, .msg_namelen = named ? sizeof(from) : 77, .msg_iov = iov, .msg_iovlen = pieces,
			    .msg_control = control ? space : NULL, .msg_controllen = control, .msg_flags = -1 };
	long n;

	memset(buf, '-', sizeof(buf));
	for (size_t i = 0; i < pieces; i++)
		iov[i] = (struct iovec){ buf + room * i / pieces, room * (i + 1) / pieces - room * i / pieces };
	n = T(recvmsg(a, &m, flags));
	say("\"%s\" flags %x control %zu name %u %s, beyond '%c'", bytes_name(buf, n < 0 ? 0 : (size_t)n < room ? n : (long)room), (unsigned)m.msg_flags,
	    m.msg_controllen, named && n >= 0 ? 0 : m.msg_namelen, named && n >= 0 ? addr_name((void *)&from, m.msg_namelen) : "", buf[room]);
}

CASE_FAMILIES(messages)
{
	static const size_t rooms[] = { 0, 1, 25, 26, 27, 48, 49 };
	int one = 1;

	begin();
	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
			for (size_t pieces = 1; pieces <= 17; pieces += 8) {
				to_a("abcdefghijklmnopqrstuvwxyz");
				show_message(rooms[i], pieces, turn ? 256 : 0, MSG_PEEK, pieces == 1);
				show_message(rooms[i], pieces, turn ? 20 : 0, MSG_TRUNC | MSG_PEEK, pieces == 1);
				show_message(rooms[i], pieces, turn ? 256 : 0, pieces == 9 ? MSG_TRUNC : 0, pieces == 1);
			}
		MUST(setsockopt(a, case_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, case_family == AF_INET ? IP_PKTINFO : IPV6_RECVPKTINFO, &one,
				sizeof(one)));
	}
}

CASE_FAMILIES(calls)
{
	char buf[40];
	struct iovec iov[2] = { { buf, 3 }, { buf + 3, 30 } };
	struct mmsghdr mm[3];
	struct timeval tv = { .tv_usec = 1000 };
	volatile int many = 1025;
	socklen_t len;

	begin();
	for (int i = 0; i < 3; i++)
		mm[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } };
	to_a("one");
	T(recv(a, buf, sizeof(buf), 0));
	to_a("two");
	T(read(a, buf, 2));
	to_a("three");
	T(readv(a, iov, 2));
	to_a("four");
	len = 5;
	T(recvfrom(a, buf, sizeof(buf), 0, (void *)&b_name, &len));
	say("len %u", len);
	to_a("five");
	T(recvfrom(a, NULL, 0, MSG_TRUNC, NULL, NULL));
	to_a("");
	T(recv(a, buf, sizeof(buf), 0));
	to_a("six");
	to_a("seven");
	T(recvmmsg(a, mm, 3, MSG_WAITFORONE, NULL));
	say("%u %u", mm[0].msg_len, mm[1].msg_len);
	to_a("eight");
	T(recv(a, nowhere, 5, 0));
	to_a("nine");
	T(recvfrom(a, buf, 5, 0, nowhere, &len));
	T(recvfrom(a, buf, 5, MSG_DONTWAIT, (void *)&b_name, nowhere));
	T(recvmsg(a, nowhere, 0));
	T(recvmmsg(a, nowhere, 1, 0, NULL));
	T(recvmmsg(a, mm, 0, 0, NULL));
	T(readv(a, iov, 0));
	T(readv(a, iov, many));
	T(recv(a, buf, 5, MSG_OOB | MSG_DONTWAIT));
	T(recv(a, buf, 5, MSG_ERRQUEUE));
	MUST(setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	T(recv(a, buf, 5, 0));
	T(recvmmsg(a, mm, 2, 0, NULL));
	T(shutdown(a, SHUT_RD));
	T(connect(a, (void *)&b_name, name_len));
	T(shutdown(a, SHUT_RD));
	T(recv(a, buf, 5, 0));
	T(close(a));
	T(recv(a, buf, 5, 0));
}

/* A refusal, as the kernel tells it. */
CASE_FAMILIES(refused)
{
	char buf[10];

	begin();
	close(b);
	T(connect(a, (void *)&b_name, name_len));
	T(send(a, "x", 1, 0));
	T(recv(a, buf, sizeof(buf), 0));
	T(send(a, "x", 1, 0));
	show_poll(a, POLLIN, LONG);
	T(read(a, buf, sizeof(buf)));
	T(send(a, "x", 1, 0));
	show_so_error(a);
}

/* SPDX-License-Identifier: MIT */
/* Datagrams of a socket that is not connected. */
#include "udp_case.h"

CASE_FAMILIES(echo)
{
	int fd = udp(0);

	show_poll(fd, POLLIN | POLLOUT, 0);
	T(sendto(fd, "one", 3, 0, TO(PEER, ECHO)));
	show_poll(fd, POLLIN, LONG);
	show_from(fd, 100, 0);
	show_peer(fd);
	T(sendto(fd, "two", 3, 0, TO(PEER, ECHO)));
	show_from(fd, 100, 0);	/* waits */
	T(recv(fd, nowhere, 0, MSG_DONTWAIT));
	show_quiet(fd);
	T(close(fd));
}

CASE_FAMILIES(nonblocking)
{
	int fd = udp(SOCK_NONBLOCK);

	show_from(fd, 100, 0);
	T(sendto(fd, "one", 3, 0, TO(PEER, ECHO)));
	show_from(fd, 100, 0);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_from(fd, 100, 0);
}

CASE_FAMILIES(messages)
{
	char a[4] = "----", b[100];
	struct iovec out[3] = { { "ab", 2 }, { NULL, 0 }, { "cdefg", 5 } }, in[2] = { { a, 4 }, { b, sizeof(b) } };
	struct sockaddr_storage from;
	struct msghdr m = { .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len(), .msg_iov = out, .msg_iovlen = 3 };
	struct msghdr r = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = in, .msg_iovlen = 2, .msg_flags = -1 };
	int fd = udp(0);

	T(sendmsg(fd, &m, 0));
	T(recvmsg(fd, &r, 0));
	say("\"%s\" \"%s\" from %s flags %x control %zu", bytes_name(a, 4), bytes_name(b, 3), addr_name((void *)&from, r.msg_namelen),
	    r.msg_flags, r.msg_controllen);
	say("namelen left at %u", m.msg_namelen);
}

/* Peers take turns; each answer names its own. */
CASE_FAMILIES(two_peers)
{
	int fd = udp(0);

	echo_from(fd, PEER, ECHO, "a");
	echo_from(fd, PEER, FIRST, "b");
	give(fd, HOST_UNREACH, ECHO, "lost");
	echo_from(fd, PEER, ECHO, "c");
}

/* A socket of one family cannot mix, but one of IPv6 can have peers of both. */
CASE(both_families)
{
	int fd = (int)MUST(socket(AF_INET6, SOCK_DGRAM, 0));

	for (int i = 0; i < 3; i++) {
		T(sendto(fd, "six", 3, 0, at_family(AF_INET6, false, PEER, ECHO), sizeof(struct sockaddr_in6)));
		await(fd);
		show_from(fd, 100, 0);
		T(sendto(fd, "four", 4, 0, at_family(AF_INET6, true, PEER, ECHO), sizeof(struct sockaddr_in6)));
		await(fd);
		show_from(fd, 100, 0);
	}
	T(sendto(fd, "bare", 4, 0, at_family(AF_INET, false, PEER, ECHO), sizeof(struct sockaddr_in)));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	fd = (int)MUST(socket(AF_INET, SOCK_DGRAM, 0));
	T(sendto(fd, "six", 3, 0, at_family(AF_INET6, false, PEER, ECHO), sizeof(struct sockaddr_in6)));
	T(sendto(fd, "short", 5, 0, at_family(AF_INET, false, PEER, ECHO), 8));
}

CASE(v6only)
{
	int fd = (int)MUST(socket(AF_INET6, SOCK_DGRAM, 0)), one = 1;

	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)));
	T(sendto(fd, "four", 4, 0, at_family(AF_INET6, true, PEER, ECHO), sizeof(struct sockaddr_in6)));
	T(sendto(fd, "six", 3, 0, at_family(AF_INET6, false, PEER, ECHO), sizeof(struct sockaddr_in6)));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(sendto(fd, "four", 4, 0, at_family(AF_INET6, true, PEER, ECHO), sizeof(struct sockaddr_in6)));
	show_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
}

/* Bound to a port that the kernel chose, as dig's are: it stays. */
CASE(v6only_bound)
{
	int fd = (int)MUST(socket(AF_INET6, SOCK_DGRAM, 0)), one = 1;
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 }, before, after;
	socklen_t len = sizeof(any);

	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)));
	MUST(bind(fd, (void *)&any, sizeof(any)));
	MUST(getsockname(fd, (void *)&before, &len));
	for (int turn = 0; turn < 2; turn++) {
		T(sendto(fd, "six", 3, 0, at_family(AF_INET6, false, PEER, ECHO), sizeof(struct sockaddr_in6)));
		await(fd);
		show_from(fd, 100, MSG_DONTWAIT);
		MUST(getsockname(fd, (void *)&after, &len));
		say("the same port: %d", before.sin6_port == after.sin6_port);
		show_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
		T(connect(fd, at_family(AF_INET6, false, PEER, ECHO), sizeof(struct sockaddr_in6)));
	}
	T(bind(fd, (void *)&any, sizeof(any)));
}

/* The same socket with a neighbour on this machine. */
CASE_FAMILIES(mixed)
{
	int fd = udp(0), near = udp(0);
	struct sockaddr_storage here;
	socklen_t len = sizeof(here);
	char text[60];

	MUST(bind(near, case_family == AF_INET ? (void *)&(struct sockaddr_in){ .sin_family = AF_INET } :
		  (void *)&(struct sockaddr_in6){ .sin6_family = AF_INET6 }, at_len()));
	MUST(getsockname(near, (void *)&here, &len));
	if (case_family == AF_INET)
		((struct sockaddr_in *)&here)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&here)->sin6_addr = in6addr_loopback;
	for (int i = 0; i < 2; i++) {
		for (size_t n = 0; n <= 50; n += 10) {
			struct sockaddr_storage back;
			socklen_t back_len = sizeof(back);

			memset(text, 'a' + (int)(n / 10), n);
			MUST(sendto(fd, text, n, 0, (void *)&here, len));
			MUST(recvfrom(near, text, sizeof(text), 0, (void *)&back, &back_len));
			MUST(sendto(near, text, n, 0, (void *)&back, back_len));
			await(fd);
			show_from(fd, 25, i ? MSG_PEEK : 0);
			if (i)
				show_from(fd, 30, MSG_TRUNC);
		}
		echo_from(fd, PEER, ECHO, "far");
	}
}

CASE_FAMILIES(empty)
{
	int fd = udp(0), n = -1;

	T(sendto(fd, "", 0, 0, TO(PEER, UDP_LENGTH)));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(sendto(fd, NULL, 0, 0, TO(PEER, UDP_EMPTY)));
	await(fd);
	T(ioctl(fd, FIONREAD, &n));
	say("FIONREAD %d", n);
	show_from(fd, 100, MSG_PEEK);
	show_from(fd, 0, MSG_PEEK);
	show_from(fd, 100, 0);
	show_quiet(fd);
}

CASE_FAMILIES(truncated)
{
	int fd = udp(0), n = -1;

	give(fd, PEER, ECHO, "0123456789abcdefghijklmnopqrstuvwxyz");
	await(fd);
	T(ioctl(fd, FIONREAD, &n));
	say("FIONREAD %d", n);
	for (size_t room = 0; room <= 37; room += room < 34 ? 11 : 1) {
		show_from(fd, room, MSG_PEEK);
		show_from(fd, room, MSG_PEEK | MSG_TRUNC);
	}
	show_from(fd, 5, 0);
	T(ioctl(fd, FIONREAD, &n));
	say("FIONREAD %d", n);
	show_quiet(fd);
}

CASE_FAMILIES(message_flags)
{
	static const size_t rooms[] = { 0, 1, 9, 10, 11, 12, 13, 22, 23, 36, 37 };
	int fd = udp(0);

	for (int trunc = 0; trunc <= MSG_TRUNC; trunc += MSG_TRUNC) {
		for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
			char a[64] = "", b[64] = "";
			struct iovec iov[2] = { { a, rooms[i] / 2 }, { b, rooms[i] - rooms[i] / 2 } };
			struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
			ssize_t n;

			give(fd, PEER, ECHO, "0123456789abcdefghijklmnopqrstuvwxyz");
			await(fd);
			n = recvmsg(fd, &m, trunc);
			say("room %zu: %zd \"%s\" \"%s\" flags %x", rooms[i], n, a, b, m.msg_flags);
		}
	}
}

/* The address buffers that a caller may give. */
CASE_FAMILIES(name_buffers)
{
	int fd = udp(0);

	for (socklen_t room = 0; room <= 32; room += 4) {
		unsigned char raw[40];
		socklen_t len = room;
		char buf[10];

		memset(raw, 0xee, sizeof(raw));
		give(fd, PEER, ECHO, "x");
		await(fd);
		T(recvfrom(fd, buf, sizeof(buf), 0, (void *)raw, &len));
		if (case_family == AF_INET || room < 4)
			say("room %u, len %u, untouched %d", room, len, raw[room] == 0xee);
		else	/* the scope's room holds what it held */
			say("room %u, len %u, untouched %d, port %d", room, len, raw[room] == 0xee, raw[2] << 8 | raw[3]);
	}
	give(fd, PEER, ECHO, "y");
	T(recvfrom(fd, (char[10]){ 0 }, 10, 0, NULL, NULL));
	give(fd, PEER, ECHO, "z");
	T(read(fd, (char[10]){ 0 }, 10));
	T(write(fd, "x", 1));
	T(send(fd, "x", 1, 0));
}

CASE_FAMILIES(sizes)
{
	static const int sizes[] = { 1, 100, 1200, 1472, 4000, 8000, 8170 };
	static char out[70000], in[70000];
	int fd = udp(0);

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 31 >> 3);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ssize_t n;

		T(sendto(fd, out, (size_t)sizes[i], 0, TO(PEER, ECHO)));
		await(fd);
		n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		say("%zd %s", n, n == sizes[i] && !memcmp(in, out, (size_t)n) ? "same" : "different");
	}
	T(sendto(fd, out, 70000, 0, TO(PEER, ECHO)));
	show_quiet(fd);
}

CASE(bad_calls)
{
	int fd = udp(SOCK_NONBLOCK);
	struct msghdr m = { .msg_iov = &(struct iovec){ "x", 1 }, .msg_iovlen = 1 };

	T(sendto(fd, nowhere, 3, 0, TO(PEER, ECHO)));
	T(sendto(fd, "abc", 3, MSG_OOB, TO(PEER, ECHO)));
	T(sendmsg(fd, nowhere, 0));
	m.msg_name = nowhere;
	m.msg_namelen = 16;
	T(sendmsg(fd, &m, 0));
	m.msg_name = (void *)at(PEER, ECHO);
	m.msg_iov = nowhere;
	T(sendmsg(fd, &m, 0));
	m.msg_iovlen = 2000;
	T(sendmsg(fd, &m, 0));
	T(sendto(fd, "abc", 3, 0, TO(PEER, 0)));
	echo_from(fd, PEER, ECHO, "x");
	T(sendto(fd, nowhere, 3, 0, TO(PEER, ECHO)));
	give(fd, PEER, ECHO, "y");
	await(fd);
	T(recv(fd, nowhere, 10, 0));
	T(recvmsg(fd, nowhere, 0));
	T(recv(fd, (char[10]){ 0 }, 10, MSG_OOB));
	T(shutdown(fd, SHUT_WR));
	T(listen(fd, 1));
}

static int many(int count, bool gather)
{
	static struct iovec iov[1025];
	static char in[2000];
	struct msghdr m = { .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len(), .msg_iov = iov, .msg_iovlen = (size_t)count };
	int fd = udp(0);

	for (int i = 0; i < 1025; i++)
		iov[i] = (struct iovec){ "abcdefg" + i % 7, 1 };
	if (!gather)
		give(fd, PEER, ECHO, "0123456789abcdefghijklmnopqrstuvwxyz");
	else if (T(sendmsg(fd, &m, 0)) < 0)
		return fd;
	await(fd);
	for (int i = 0; i < 1025 && !gather; i++)
		iov[i] = (struct iovec){ in + 1024 - i, 1 };
	if (gather) {
		ssize_t n = recv(fd, in, sizeof(in), 0);
		int bad = 0;

		for (ssize_t i = 0; i < n; i++)
			bad += in[i] != "abcdefg"[i % 7];
		say("%zd, wrong %d", n, bad);
	} else if (T(recvmsg(fd, &m, 0)) > 0) {
		say("\"%s\" flags %x", bytes_name(in + 1024 - 35, 36), m.msg_flags);
	}
	return fd;
}

CASE_FAMILIES(vectors)
{
	static const int counts[] = { 1, 2, 60, 63, 64, 65, 1000, 1022, 1023, 1024, 1025 };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		close(many(counts[i], true));
		close(many(counts[i], false));
	}
}

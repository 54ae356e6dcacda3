/* SPDX-License-Identifier: MIT */
/* What a socket is bound to, and what it says of itself on the way. */
#include "udp_case.h"

static struct sockaddr_storage name;

static socklen_t name_it(const char *ip, int port)
{
	struct sockaddr_in *four = (void *)&name;
	struct sockaddr_in6 *six = (void *)&name;

	memset(&name, 0, sizeof(name));
	if (case_family == AF_INET) {
		*four = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
		inet_pton(AF_INET, ip, &four->sin_addr);
		return sizeof(*four);
	}
	*six = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	inet_pton(AF_INET6, ip, &six->sin6_addr);
	return sizeof(*six);
}

static int bound_to(const char *ip, int port)
{
	int fd = udp(0), one = 1;
	socklen_t len = name_it(ip, port);

	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
	T(bind(fd, (void *)&name, len));
	return fd;
}

static void stages(int fd)
{
	show_name(fd);
	show_peer(fd);
	T(sendto(fd, "one", 3, 0, TO(PEER, ECHO)));
	show_name(fd);
	show_peer(fd);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	for (int i = 0; i < 2; i++) {
		T(connect(fd, TO(PEER, i ? FIRST : ECHO)));
		show_name(fd);
		show_peer(fd);
		T(send(fd, "two", 3, 0));
		await(fd);
		show_from(fd, 100, MSG_DONTWAIT);
	}
	T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	show_name(fd);
	show_peer(fd);
	T(send(fd, "three", 5, 0));
	echo_from(fd, PEER, ECHO, "four");
	show_name(fd);
	T(bind(fd, (void *)&name, name_it(case_family == AF_INET ? "0.0.0.0" : "::", 0)));
}

static int port(void)
{
	return 7800 + (case_family == AF_INET6) + case_mapped;
}

CASE_FAMILIES(unbound) { stages(udp(0)); }
CASE_FAMILIES(any) { stages(bound_to(case_family == AF_INET ? "0.0.0.0" : "::", 0)); }
CASE_FAMILIES(any_port) { stages(bound_to(case_family == AF_INET ? "0.0.0.0" : "::", port())); }

/* (From ::1 the kernel lets it go, to be dropped on the way.) */
CASE(loopback)
{
	int fd = bound_to("127.0.0.1", 0);

	T(sendto(fd, "one", 3, 0, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	show_peer(fd);
	T(sendto(fd, "one", 3, 0, TO(PEER, ECHO)));
}

/* Two sockets at one port: the connected one gets what its peer sends, the other what others do. */
CASE_FAMILIES(shared_port)
{
	int a = bound_to(case_family == AF_INET ? "0.0.0.0" : "::", port() + 10),
	    b = bound_to(case_family == AF_INET ? "0.0.0.0" : "::", port() + 10);

	T(connect(a, TO(PEER, ECHO)));
	T(send(a, "a", 1, 0));
	await(a);
	show_from(a, 10, MSG_DONTWAIT);
	T(connect(b, TO(PEER, FIRST)));
	T(send(b, "b", 1, 0));
	await(b);
	show_from(b, 10, MSG_DONTWAIT);
	T(send(a, "a", 1, 0));
	await(a);
	show_from(a, 10, MSG_DONTWAIT);
	show_quiet(b);
}

CASE(broadcast)
{
	int fd = udp(0), near = udp(0), one = 1;
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7fffffff) };
	socklen_t len = sizeof(here);
	char buf[20];

	MUST(bind(near, (void *)&(struct sockaddr_in){ .sin_family = AF_INET }, sizeof(here)));
	MUST(getsockname(near, (void *)&name, &len));
	here.sin_port = ((struct sockaddr_in *)&name)->sin_port;
	echo_from(fd, PEER, ECHO, "tailnet");
	T(sendto(fd, "all", 3, 0, (void *)&here, sizeof(here)));
	T(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)));
	T(sendto(fd, "all", 3, 0, (void *)&here, sizeof(here)));
	T(recv(near, buf, sizeof(buf), MSG_DONTWAIT));
	echo_from(fd, PEER, ECHO, "tailnet");
}

/* A member of a group on loopback, that also has a peer in the tailnet. */
CASE(multicast)
{
	int fd = udp(0), sender = udp(0);
	struct ip_mreqn join = { .imr_multiaddr.s_addr = inet_addr("239.1.2.3"), .imr_address.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in any = { .sin_family = AF_INET }, group = { .sin_family = AF_INET, .sin_addr = join.imr_multiaddr };
	struct in_addr lo = { htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(any);

	T(bind(fd, (void *)&any, sizeof(any)));
	MUST(getsockname(fd, (void *)&any, &len));
	group.sin_port = any.sin_port;
	T(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)));
	T(setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof(lo)));
	echo_from(fd, PEER, ECHO, "tailnet");
	T(sendto(sender, "group", 5, 0, (void *)&group, sizeof(group)));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &join, sizeof(join)));
	T(sendto(sender, "group", 5, 0, (void *)&group, sizeof(group)));
	show_quiet(fd);
	echo_from(fd, PEER, ECHO, "tailnet");
}

/* Sizes round what one buffer of the kernel or the relay holds; pieces put together round the same. */
CASE_FAMILIES(round_sizes)
{
	static const int sizes[] = { 0, 1, 9, 10, 11, 21, 22, 23, 1231, 1232, 1252, 1280, 1472, 1500, 4095, 4096, 4097, 8169, 8170 };
	static char out[9000], in[9000];
	int fd = udp(0);

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 13 >> 2);
	T(connect(fd, TO(PEER, ECHO)));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = (size_t)sizes[i], half = n / 2;
		struct iovec iov[2] = { { in, 10 }, { in + 10, sizeof(in) - 10 } };
		ssize_t got;

		memset(in, 0, sizeof(in));
		if (T(send(fd, out, half, MSG_MORE)) < 0 || T(send(fd, out + half, n - half, 0)) < 0)
			continue;
		await(fd);
		got = recvmsg(fd, &(struct msghdr){ .msg_iov = iov, .msg_iovlen = 2 }, MSG_DONTWAIT);
		say("%zd %s", got, got == (ssize_t)n && !memcmp(in, out, n) ? "same" : "different");
	}
}

/* Beyond the relay's limit, which is told in tsproxy(7), and the kernel's own. */
CASE_FAMILIES(too_long)
{
	static char out[70000];
	int fd = udp(0);

	T(sendto(fd, out, 65528, 0, TO(PEER, UDP_MUTE)));
	T(connect(fd, TO(PEER, UDP_MUTE)));
	T(send(fd, out, 65528, 0));
	T(send(fd, out, sizeof(out), 0));
	T(send(fd, out, 4000, MSG_MORE));
	T(send(fd, out, 65000, MSG_MORE));
	T(send(fd, "after", 5, 0));
	T(write(fd, out, sizeof(out)));
	T(sendmsg(fd, &(struct msghdr){ .msg_iov = (struct iovec[]){ { out, 40000 }, { out, 40000 } }, .msg_iovlen = 2 }, 0));
}

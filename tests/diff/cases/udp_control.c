/* SPDX-License-Identifier: MIT */
/* Control messages, both ways, and the options that ask for them. */
#include "udp_case.h"

#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>

#ifndef IP_ORIGDSTADDR
#define IP_ORIGDSTADDR 20
#endif

union space {
	struct cmsghdr h;
	char bytes[512];
};

static void show_one(const struct cmsghdr *c)
{
	unsigned char data[128] = "";	/* what is cut off is not there */
	char ip[INET6_ADDRSTRLEN] = "";

	memcpy(data, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0) < sizeof(data) ? c->cmsg_len - CMSG_LEN(0) : sizeof(data));
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
		say("  IP_PKTINFO to %s, source %s", inet_ntop(AF_INET, &((struct in_pktinfo *)(void *)data)->ipi_addr, ip, sizeof(ip)), ip);
	else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
		say("  IPV6_PKTINFO to %s", inet_ntop(AF_INET6, &((struct in6_pktinfo *)(void *)data)->ipi6_addr, ip, sizeof(ip)));
	else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR)
		say("  IP_ORIGDSTADDR %s", addr_name((void *)data, sizeof(struct sockaddr_in)));
	else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR)
		say("  IPV6_ORIGDSTADDR %s", addr_name((void *)data, sizeof(struct sockaddr_in6)));
	else if (c->cmsg_level == IPPROTO_IP && (c->cmsg_type == IP_TTL || c->cmsg_type == IP_TOS))
		say("  %s %d", c->cmsg_type == IP_TTL ? "IP_TTL" : "IP_TOS", *data);
	else if (c->cmsg_level == IPPROTO_IPV6 && (c->cmsg_type == IPV6_HOPLIMIT || c->cmsg_type == IPV6_TCLASS))
		say("  %s %d", c->cmsg_type == IPV6_HOPLIMIT ? "IPV6_HOPLIMIT" : "IPV6_TCLASS", *(int *)(void *)data);
	else
		say("  level %d type %d length %zu", c->cmsg_level, c->cmsg_type, c->cmsg_len);
}

static void show_message(int fd, size_t room, int flags)
{
	union space c = { 0 };
	char buf[100] = "";
	struct iovec iov = { buf, sizeof(buf) - 1 };
	struct sockaddr_storage from;
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = room, .msg_flags = -1 };

	await(fd);
	if (T(recvmsg(fd, &m, MSG_DONTWAIT | flags)) < 0)
		return;
	say("\"%s\" from %s flags %x control %zu", buf, addr_name((void *)&from, m.msg_namelen), (unsigned)m.msg_flags, m.msg_controllen);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		show_one(h);
}

static void ask_for(int fd, int level, int option, int value)
{
	say("option %d/%d %d: %s", level, option, value, setsockopt(fd, level, option, &value, sizeof(value)) ? err_name(errno) : "ok");
}

static const struct { int level, option, value; } wishes[] = {
	{ IPPROTO_IP, IP_PKTINFO, 1 }, { IPPROTO_IP, IP_RECVTTL, 1 }, { IPPROTO_IP, IP_RECVTOS, 1 }, { IPPROTO_IP, IP_RECVORIGDSTADDR, 1 },
	{ IPPROTO_IP, IP_RECVERR, 1 }, { IPPROTO_IPV6, IPV6_RECVPKTINFO, 1 }, { IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1 },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, 1 }, { IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1 }, { IPPROTO_IPV6, IPV6_RECVERR, 1 },
	{ SOL_SOCKET, SO_TIMESTAMP, 1 }, { SOL_SOCKET, SO_TIMESTAMPNS, 1 }, { SOL_SOCKET, SO_RXQ_OVFL, 1 },
	{ SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE },
};

/* Each by itself, from an address that is known to the program because it bound none. */
CASE_FAMILIES(each)
{
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		int fd = udp(0);

		ask_for(fd, wishes[i].level, wishes[i].option, wishes[i].value);
		give(fd, PEER, ECHO, "unconnected");
		show_message(fd, 512, 0);
		give(fd, PEER, ECHO, "again");
		show_message(fd, 512, MSG_PEEK);
		show_message(fd, 4, 0);
		T(connect(fd, TO(PEER, ECHO)));
		T(send(fd, "connected", 9, 0));
		show_message(fd, 512, 0);
		close(fd);
	}
}

CASE_FAMILIES(all)
{
	int fd = udp(0);

	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++)
		ask_for(fd, wishes[i].level, wishes[i].option, wishes[i].value);
	for (size_t room = 0; room <= 400; room += 40) {
		give(fd, PEER, ECHO, "all");
		show_message(fd, room, 0);
	}
}

/* Many at once, each with its own. */
CASE_FAMILIES(many)
{
	int fd = udp(0);
	union space c[3];
	char buf[3][20];
	struct iovec iov[3];
	struct mmsghdr mm[3];

	ask_for(fd, IPPROTO_IP, IP_PKTINFO, 1);
	ask_for(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	for (int i = 0; i < 3; i++) {
		iov[i] = (struct iovec){ buf[i], sizeof(buf[i]) };
		mm[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1, .msg_control = &c[i],
						       .msg_controllen = sizeof(c[i]) } };
		give(fd, PEER, ECHO, "many");
	}
	await(fd);
	T(recvmmsg(fd, mm, 3, 0, NULL));
	for (int i = 0; i < 3; i++)
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&mm[i].msg_hdr); h; h = CMSG_NXTHDR(&mm[i].msg_hdr, h))
			show_one(h);
}

static void send_with(int fd, int level, int type, const void *data, size_t len)
{
	union space c = { 0 };
	struct iovec iov = { "with", 4 };
	struct msghdr m = { .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len(), .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = CMSG_SPACE(len) };

	c.h.cmsg_level = level;
	c.h.cmsg_type = type;
	c.h.cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(&c.h), data, len);
	say("level %d type %d:", level, type);
	if (T(sendmsg(fd, &m, 0)) > 0) {
		await(fd);
		show_from(fd, 100, MSG_DONTWAIT);
	}
}

CASE_FAMILIES(sent)
{
	int fd = udp(0), number = 5, bad = 300;
	uint8_t tos = 8;
	uint16_t small = 1;
	struct in_pktinfo four = { .ipi_spec_dst.s_addr = htonl(0x01020304) };
	struct in6_pktinfo six = { .ipi6_addr.s6_addr = { 0x20, 1 } };

	send_with(fd, IPPROTO_IP, IP_TTL, &number, sizeof(number));
	send_with(fd, IPPROTO_IP, IP_TTL, &bad, sizeof(bad));
	send_with(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	send_with(fd, IPPROTO_IPV6, IPV6_HOPLIMIT, &number, sizeof(number));
	send_with(fd, IPPROTO_IPV6, IPV6_HOPLIMIT, &bad, sizeof(bad));
	send_with(fd, IPPROTO_IPV6, IPV6_TCLASS, &number, sizeof(number));
	send_with(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &number, sizeof(number));
	send_with(fd, IPPROTO_IP, IP_PKTINFO, &four, sizeof(four));
	send_with(fd, IPPROTO_IPV6, IPV6_PKTINFO, &six, sizeof(six));
	four = (struct in_pktinfo){ .ipi_ifindex = 0 };
	six = (struct in6_pktinfo){ .ipi6_ifindex = 0 };
	send_with(fd, IPPROTO_IP, IP_PKTINFO, &four, sizeof(four));
	send_with(fd, IPPROTO_IPV6, IPV6_PKTINFO, &six, sizeof(six));
	send_with(fd, IPPROTO_UDP, UDP_SEGMENT, &small, sizeof(small));
	send_with(fd, SOL_SOCKET, SO_MARK, &number, sizeof(number));
	send_with(fd, SOL_SOCKET, 999, &number, sizeof(number));
	send_with(fd, IPPROTO_IP, 999, &number, sizeof(number));
	send_with(fd, SOL_SOCKET, SO_TIMESTAMPING, &number, sizeof(number));
}

/* The error queue, where nothing went wrong. */
CASE_FAMILIES(error_queue)
{
	int fd = udp(0);

	ask_for(fd, IPPROTO_IP, IP_RECVERR, 1);
	ask_for(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	echo_from(fd, PEER, ECHO, "one");
	T(recv(fd, (char[10]){ 0 }, 10, MSG_ERRQUEUE));
	T(recv(fd, (char[10]){ 0 }, 10, MSG_ERRQUEUE | MSG_DONTWAIT));
	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "two", 3, 0));
	await(fd);
	T(recv(fd, (char[10]){ 0 }, 10, MSG_ERRQUEUE));
	show_from(fd, 10, 0);
	show_so_error(fd);
}

/* When it was sent: told in the error queue, with or without the datagram. */
CASE(sent_times)
{
	for (int only = 0; only < 2; only++) {
		int fd = udp(0);
		union space c;
		char buf[200];
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };

		echo_from(fd, PEER, ECHO, "first");
		ask_for(fd, SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
			SOF_TIMESTAMPING_OPT_ID | (only ? SOF_TIMESTAMPING_OPT_TSONLY : 0));
		give(fd, PEER, ECHO, "timed");
		show_poll(fd, 0, LONG);
		T(recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0);
		say("flags %x", (unsigned)m.msg_flags);
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
			show_one(h);
		await(fd);
		show_from(fd, 100, 0);
		close(fd);
	}
}

CASE_FAMILIES(queue_sizes)
{
	int fd = udp(0), n = -1;

	T(ioctl(fd, SIOCINQ, &n));
	T(ioctl(fd, SIOCOUTQ, &n));
	give(fd, PEER, ECHO, "twelve bytes");
	await(fd);
	n = -1;
	T(ioctl(fd, SIOCINQ, &n));
	say("SIOCINQ %d", n);
	T(ioctl(fd, SIOCOUTQ, &n));
	say("SIOCOUTQ %d", n);
	T(ioctl(fd, FIONREAD, nowhere));
	T(ioctl(fd, SIOCATMARK, &n));
	show_from(fd, 100, 0);
	T(ioctl(fd, SIOCINQ, &n));
	say("SIOCINQ %d", n);
}

/* Options of the socket: what is set is what is told, before and after. */
CASE_FAMILIES(options)
{
	static const struct { int level, option; const char *name; } list[] = {
		{ SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST" }, { SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR" }, { SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT" },
		{ SOL_SOCKET, SO_ERROR, "SO_ERROR" }, { SOL_SOCKET, SO_TYPE, "SO_TYPE" }, { SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL" },
		{ SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF" }, { SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF" }, { SOL_SOCKET, SO_PRIORITY, "SO_PRIORITY" },
		{ SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT" }, { SOL_SOCKET, SO_DONTROUTE, "SO_DONTROUTE" }, { SOL_SOCKET, SO_LOCK_FILTER, "SO_LOCK_FILTER" },
		{ SOL_SOCKET, SO_NO_CHECK, "SO_NO_CHECK" }, { SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN" }, { SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF" },
		{ SOL_SOCKET, SO_SELECT_ERR_QUEUE, "SO_SELECT_ERR_QUEUE" }, { SOL_SOCKET, SO_ZEROCOPY, "SO_ZEROCOPY" },
		{ IPPROTO_IP, IP_TTL, "IP_TTL" }, { IPPROTO_IP, IP_TOS, "IP_TOS" }, { IPPROTO_IP, IP_MULTICAST_TTL, "IP_MULTICAST_TTL" },
		{ IPPROTO_IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER" }, { IPPROTO_IP, IP_FREEBIND, "IP_FREEBIND" },
		{ IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY" }, { IPPROTO_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS" },
		{ IPPROTO_IPV6, IPV6_TCLASS, "IPV6_TCLASS" }, { IPPROTO_IPV6, IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER" },
		{ IPPROTO_UDP, UDP_CORK, "UDP_CORK" }, { IPPROTO_UDP, UDP_SEGMENT, "UDP_SEGMENT" }, { IPPROTO_UDP, UDP_GRO, "UDP_GRO" },
		{ IPPROTO_UDP, UDP_NO_CHECK6_TX, "UDP_NO_CHECK6_TX" }, { IPPROTO_UDP, UDP_ENCAP, "UDP_ENCAP" },
	};
	int fd = udp(0);

	for (int turn = 0; turn < 3; turn++) {
		for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
			show_option(fd, list[i].level, list[i].option, list[i].name);
		if (turn == 0)
			echo_from(fd, PEER, ECHO, "one");
		if (turn == 1)
			T(connect(fd, TO(PEER, ECHO)));
	}
}

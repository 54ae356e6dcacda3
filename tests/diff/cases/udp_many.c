/* SPDX-License-Identifier: MIT */
/* Many datagrams a call, segments, pieces put together, control messages. */
#include "udp_case.h"

#define MANY 150

/* Room for all that comes at once. */
static int roomy(void)
{
	int fd = udp(0), room = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

static char texts[MANY][16];
static struct iovec pieces[MANY];
static struct sockaddr_storage names[MANY];
static struct mmsghdr msgs[MANY];

static struct mmsghdr *prepare(void *name, socklen_t name_len)
{
	for (int i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof(texts[i]), "datagram %d", i);
		pieces[i] = (struct iovec){ texts[i], strlen(texts[i]) };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = name, .msg_namelen = name_len, .msg_iov = &pieces[i],
							 .msg_iovlen = 1 } };
	}
	return msgs;
}

static void receive(int fd, unsigned n, int flags, struct timespec *limit)
{
	int got;

	for (unsigned i = 0; i < n; i++) {
		memset(texts[i], 0, sizeof(texts[i]));
		pieces[i] = (struct iovec){ texts[i], sizeof(texts[i]) - 1 };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &names[i], .msg_namelen = sizeof(names[i]),
							 .msg_iov = &pieces[i], .msg_iovlen = 1 } };
	}
	got = (int)T(recvmmsg(fd, msgs, n, flags, limit));
	for (int i = 0; i < got; i++)
		say("%d: %u \"%s\" from %s flags %x", i, msgs[i].msg_len, texts[i],
		    addr_name((void *)&names[i], msgs[i].msg_hdr.msg_namelen), msgs[i].msg_hdr.msg_flags);
}

CASE_FAMILIES(both_ways)
{
	int fd = roomy();

	T(sendmmsg(fd, prepare((void *)at(PEER, ECHO), at_len()), MANY, 0));
	for (int i = 0; i < MANY; i++)
		if (msgs[i].msg_len != strlen(texts[i]))
			say("%d: length %u", i, msgs[i].msg_len);
	receive(fd, MANY, 0, NULL);
	T(recvmmsg(fd, msgs, 5, MSG_DONTWAIT, NULL));
}

CASE_FAMILIES(connected)
{
	int fd = roomy();

	T(connect(fd, TO(PEER, ECHO)));
	T(sendmmsg(fd, prepare(NULL, 0), 70, 0));
	receive(fd, 70, 0, NULL);
}

CASE(wait_for_one)
{
	int fd = udp(0);
	struct timespec limit = { .tv_nsec = quarters(2) * 1000000l };
	struct timeval patience = { .tv_usec = quarters(3) * 1000 };

	give(fd, PEER, UDP_BURST, "go");
	await(fd);
	nap(1);
	receive(fd, 20, MSG_WAITFORONE, NULL);
	give(fd, PEER, UDP_BURST, "go");
	await(fd);
	nap(1);
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	receive(fd, 20, 0, &limit);
	T(recvmmsg(fd, msgs, 1, 0, NULL));
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What several sockets of the peer send may come in any order. */
static void show_sorted(int fd, int n)
{
	char lines[MANY][100] = { "" };

	for (int i = 0; i < n; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		char buf[20] = "";

		await(fd);
		recvfrom(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
		snprintf(lines[i], sizeof(lines[i]), "\"%s\" from %s", buf, addr_name((void *)&from, len));
	}
	qsort(lines, (size_t)n, sizeof(lines[0]), compare);
	for (int i = 0; i < n; i++)
		say("%s", lines[i]);
}

CASE(several_peers)
{
	int fd = udp(0);

	prepare(NULL, 0);
	for (int i = 0; i < 6; i++) {
		msgs[i].msg_hdr.msg_name = memcpy(&names[i], at(PEER, i % 2 ? ECHO : FIRST), at_len());
		msgs[i].msg_hdr.msg_namelen = at_len();
	}
	T(sendmmsg(fd, msgs, 6, 0));
	show_sorted(fd, 6);
	T(sendmmsg(fd, msgs, 8, 0));	/* the seventh has no name */
	T(sendmmsg(fd, msgs + 6, 2, 0));
	T(sendmmsg(fd, msgs, 0, 0));
	T(sendmmsg(fd, nowhere, 1, 0));
	T(recvmmsg(fd, nowhere, 1, MSG_DONTWAIT, NULL));
	msgs[2].msg_hdr.msg_iov = nowhere;
	T(sendmmsg(fd, msgs, 4, 0));
}

static int segment_control(struct msghdr *m, void *space, uint16_t size)
{
	struct cmsghdr *c = space;

	m->msg_control = space;
	m->msg_controllen = CMSG_SPACE(sizeof(size));
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
	return 0;
}

static void show_lengths(int fd, int n)
{
	static char buf[70000];
	char line[1024] = "";

	for (int i = 0; i < n; i++) {
		await(fd);
		sprintf(line + strlen(line), " %zd", recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
	}
	say("lengths%s", line);
	show_quiet(fd);
}

CASE_FAMILIES(segments)
{
	static char data[60000];
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(uint16_t))]; } c = { 0 };
	struct iovec iov[3] = { { data, 700 }, { data, 2000 }, { data, 300 } };
	struct msghdr m = { .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len(), .msg_iov = iov, .msg_iovlen = 3 };
	int fd = roomy(), size = 500;

	segment_control(&m, &c, 1000);
	T(sendmsg(fd, &m, 0));
	show_lengths(fd, 3);
	iov[1].iov_len = 20000;
	segment_control(&m, &c, 9000);
	T(sendmsg(fd, &m, 0));
	iov[1].iov_len = 2000;
	T(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	show_option(fd, IPPROTO_UDP, UDP_SEGMENT, "UDP_SEGMENT");
	T(sendto(fd, data, 1100, 0, TO(PEER, ECHO)));
	show_lengths(fd, 3);
	T(sendto(fd, data, 500, 0, TO(PEER, ECHO)));
	show_lengths(fd, 1);
	T(sendto(fd, data, 499, 0, TO(PEER, ECHO)));
	show_lengths(fd, 1);
	segment_control(&m, &c, 0);
	iov[1].iov_len = 100;
	T(sendmsg(fd, &m, 0));
	show_lengths(fd, 1);
	size = 0;
	T(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	T(sendto(fd, data, 1100, 0, TO(PEER, ECHO)));
	show_lengths(fd, 1);
	T(connect(fd, TO(PEER, UDP_LENGTH)));
	m = (struct msghdr){ .msg_iov = &(struct iovec){ data, 60000 }, .msg_iovlen = 1 };
	segment_control(&m, &c, 1200);
	T(sendmsg(fd, &m, 0));
	show_lengths(fd, 50);
	segment_control(&m, &c, 100);
	T(sendmsg(fd, &m, 0));
	show_quiet(fd);
}

CASE_FAMILIES(gro)
{
	int fd = udp(0), one = 1;

	T(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)));
	echo_from(fd, PEER, ECHO, "early");
	show_option(fd, IPPROTO_UDP, UDP_GRO, "UDP_GRO");
	one = 0;
	T(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)));
	show_option(fd, IPPROTO_UDP, UDP_GRO, "UDP_GRO");
	echo_from(fd, PEER, ECHO, "late");
}

/* MSG_MORE and UDP_CORK: one datagram out of several calls. */
CASE_FAMILIES(pieces)
{
	int fd = udp(0), one = 1, zero = 0;

	T(sendto(fd, "one ", 4, MSG_MORE, TO(PEER, ECHO)));
	T(sendto(fd, "two ", 4, MSG_MORE, TO(PEER, ECHO)));
	T(sendto(fd, "three", 5, 0, TO(PEER, ECHO)));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(connect(fd, TO(PEER, ECHO)));
	T(setsockopt(fd, IPPROTO_UDP, UDP_CORK, &one, sizeof(one)));
	T(send(fd, "four ", 5, 0));
	T(send(fd, "five", 4, 0));
	show_quiet(fd);
	T(setsockopt(fd, IPPROTO_UDP, UDP_CORK, &zero, sizeof(zero)));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(send(fd, "six", 3, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
}

static void show_control(struct msghdr *m)
{
	char ip[INET6_ADDRSTRLEN];

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const struct in_pktinfo *four = (void *)CMSG_DATA(c);
		const struct in6_pktinfo *six = (void *)CMSG_DATA(c);

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			say("IP_PKTINFO: to %s", inet_ntop(AF_INET, &four->ipi_addr, ip, sizeof(ip)));
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			say("IPV6_PKTINFO: to %s", inet_ntop(AF_INET6, &six->ipi6_addr, ip, sizeof(ip)));
		else
			say("level %d type %d length %zu", c->cmsg_level, c->cmsg_type, c->cmsg_len);
	}
}

static void show_message(int fd, size_t room)
{
	char buf[100] = "", control[512];
	struct iovec iov = { buf, sizeof(buf) - 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room };

	await(fd);
	T(recvmsg(fd, &m, MSG_DONTWAIT));
	say("\"%s\" flags %x", buf, m.msg_flags);
	show_control(&m);
}

CASE_FAMILIES(control)
{
	int fd = udp(0), one = 1;

	if (case_family == AF_INET)
		T(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)));
	else
		T(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)));
	give(fd, PEER, ECHO, "info");
	show_message(fd, 512);
	give(fd, PEER, ECHO, "no room");
	show_message(fd, 8);
	give(fd, PEER, ECHO, "none");
	show_message(fd, 0);
	T(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)));
	give(fd, PEER, ECHO, "time");
	show_message(fd, 512);
}

CASE(tos)
{
	int fd = udp(0), one = 1, tos = 0x28;
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } c = { 0 };
	struct iovec iov = { "marked", 6 };
	struct msghdr m = { .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len(), .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &c, .msg_controllen = sizeof(c) };

	T(setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one)));
	c.h.cmsg_level = IPPROTO_IP;
	c.h.cmsg_type = IP_TOS;
	c.h.cmsg_len = CMSG_LEN(sizeof(tos));
	memcpy(CMSG_DATA(&c.h), &tos, sizeof(tos));
	T(sendmsg(fd, &m, 0));
	show_message(fd, 512);
}

/* A source that the program chooses: the node's own address. */
CASE_FAMILIES(source)
{
	int fd = udp(0);
	struct sockaddr_storage own;
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(struct in6_pktinfo))]; } c = { 0 };
	struct iovec iov = { "from me", 7 };
	struct msghdr m = { .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len(), .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &c };

	memcpy(&own, at(SELF, 0), at_len());
	if (case_family == AF_INET) {
		struct in_pktinfo info = { .ipi_spec_dst = ((struct sockaddr_in *)&own)->sin_addr };

		c.h.cmsg_level = IPPROTO_IP;
		c.h.cmsg_type = IP_PKTINFO;
		c.h.cmsg_len = CMSG_LEN(sizeof(info));
		m.msg_controllen = CMSG_SPACE(sizeof(info));
		memcpy(CMSG_DATA(&c.h), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = { .ipi6_addr = ((struct sockaddr_in6 *)&own)->sin6_addr };

		c.h.cmsg_level = IPPROTO_IPV6;
		c.h.cmsg_type = IPV6_PKTINFO;
		c.h.cmsg_len = CMSG_LEN(sizeof(info));
		m.msg_controllen = CMSG_SPACE(sizeof(info));
		memcpy(CMSG_DATA(&c.h), &info, sizeof(info));
	}
	T(sendmsg(fd, &m, 0));
	show_message(fd, 0);
	m.msg_controllen = 5;
	T(sendmsg(fd, &m, 0));
	c.h.cmsg_len = 1000;
	m.msg_controllen = sizeof(c);
	T(sendmsg(fd, &m, 0));
}

/* One place for the names of all. */
CASE_FAMILIES(one_name)
{
	struct sockaddr_storage from;
	char bufs[4][20] = { "" };
	struct iovec iov[4];
	struct mmsghdr m[4] = { 0 };
	int fd = udp(0);

	for (int i = 0; i < 4; i++) {
		iov[i] = (struct iovec){ bufs[i], sizeof(bufs[i]) };
		m[i].msg_hdr = (struct msghdr){ .msg_name = &from, .msg_namelen = i == 2 ? 8 : sizeof(from), .msg_iov = &iov[i], .msg_iovlen = 1 };
		give(fd, PEER, ECHO, "to all of them");
	}
	nap(8);
	T(recvmmsg(fd, m, 4, MSG_DONTWAIT, NULL));
	for (int i = 0; i < 4; i++)
		say("%u %s, name of %u", m[i].msg_len, bytes_name(bufs[i], (long)m[i].msg_len), m[i].msg_hdr.msg_namelen);
	say("%s", addr_name((void *)&from, m[3].msg_hdr.msg_namelen));
	for (int i = 0; i < 2; i++) {
		m[i].msg_hdr.msg_name = nowhere;
		give(fd, PEER, ECHO, "nowhere");
	}
	nap(8);
	T(recvmmsg(fd, m, 2, MSG_DONTWAIT, NULL));
	T(recvmmsg(fd, m, 2, MSG_DONTWAIT, NULL));
	show_quiet(fd);
}

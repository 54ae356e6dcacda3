/* SPDX-License-Identifier: MIT */
/*
 * Control messages. Both ways they speak of the tailnet: a source that the program chose is its tailnet address, which this machine does
 * not have; where a datagram arrived the kernel tells the address at which the relay reached us.
 *
 * A socket of IPv6 can have peers of both families, each with its own kinds of messages (ip(7), ipv6(7)), and the relay has one. Where that
 * is the other's, what the kernel gives is dropped, and what the program asked for is made here.
 */
#include "udp_internal.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "tsproxy/names.h"
#include "tsproxy/sys.h"

static bool whole(const struct msghdr *m, const struct cmsghdr *c)
{
	size_t left = m->msg_controllen - (size_t)((const char *)c - (const char *)m->msg_control);

	return c->cmsg_len >= sizeof(*c) && c->cmsg_len <= left;
}

/* --- sending --- */

static bool is_source(const struct cmsghdr *c)
{
	return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) ||
	       (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO);
}

static bool is_segment(const struct cmsghdr *c)
{
	return c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT;
}

static bool to_ipv6(const struct ts_udp_way *way)
{
	return way->head[3] == TS_SOCKS5_ATYP_IPV6;
}

/* The way to the relay takes no messages of the kind that the way to the peer does. */
static bool translated(const struct ts_udp_view *v, const struct ts_udp_way *way)
{
	return to_ipv6(way) && ts_addr_is4(&v->relay);
}

bool ts_udp_control(const struct msghdr *msg, const struct ts_udp_view *v, const struct ts_udp_way *way, int *segment)
{
	struct msghdr m = *msg;
	bool change = v->gso != 0;

	*segment = v->gso;
	if (!msg->msg_control || !ts_plausible(msg->msg_control))
		return change;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c && whole(&m, c); c = CMSG_NXTHDR(&m, c)) {
		if (is_segment(c) && c->cmsg_len == CMSG_LEN(sizeof(uint16_t)))
			*segment = *(uint16_t *)CMSG_DATA(c);
		change |= is_segment(c) || is_source(c) || translated(v, way);
	}
	return change;
}

/* What the kernel would say of the source: none, or the node's own. */
static int judge_source(const struct cmsghdr *c, int family, bool six)
{
	static const uint8_t any[16], mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *ip = CMSG_DATA(c);
	struct ts_addr own;

	if (c->cmsg_level == (six ? IPPROTO_IP : family == AF_INET ? IPPROTO_IPV6 : -1))
		return 0;	/* not looked at */
	if (c->cmsg_level == IPPROTO_IP) {
		if (c->cmsg_len != CMSG_LEN(sizeof(struct in_pktinfo)))
			return -EINVAL;
		ip += offsetof(struct in_pktinfo, ipi_spec_dst);
		return memcmp(ip, any, 4) == 0 || ts_live_own_addr(AF_INET, &own) != 1 || memcmp(ip, own.ip + 12, 4) == 0 ?
		       0 : -ENETUNREACH;
	}
	if (c->cmsg_len < CMSG_LEN(sizeof(struct in6_pktinfo)) || (!six && memcmp(ip, mapped, 12) != 0))
		return -EINVAL;
	if (!six)
		return memcmp(ip + 12, any, 4) == 0 || ts_live_own_addr(AF_INET, &own) != 1 || memcmp(ip, own.ip, 16) == 0 ?
		       0 : -ENETUNREACH;
	return memcmp(ip, any, 16) == 0 || ts_live_own_addr(AF_INET6, &own) != 1 || memcmp(ip, own.ip, 16) == 0 ? 0 : -EINVAL;
}

/* Of those that cannot go to the relay: what ip6_datagram_send_ctl says. */
static int judge(const struct cmsghdr *c)
{
	int value;

	if (c->cmsg_level != IPPROTO_IPV6)
		return 0;
	if (c->cmsg_len != CMSG_LEN(sizeof(value)))
		return -EINVAL;
	memcpy(&value, CMSG_DATA(c), sizeof(value));
	switch (c->cmsg_type) {
	case IPV6_HOPLIMIT:
	case IPV6_TCLASS:
		return value < -1 || value > 255 ? -EINVAL : 0;
	case IPV6_DONTFRAG:
		return value < 0 || value > 1 ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

int ts_udp_control_copy(struct msghdr *out, const struct msghdr *msg, const struct ts_udp_view *v, const struct ts_udp_way *way,
			struct ts_udp_control *space, int segment)
{
	struct msghdr m = *msg;
	size_t at = 0;
	struct cmsghdr *c;
	int err = 0;

	if (!msg->msg_control || !ts_plausible(msg->msg_control))
		m.msg_controllen = 0;
	for (c = CMSG_FIRSTHDR(&m); c && !err; c = CMSG_NXTHDR(&m, c)) {
		bool other = translated(v, way) && (c->cmsg_level == IPPROTO_IP || c->cmsg_level == IPPROTO_IPV6);

		if (!whole(&m, c) || (is_segment(c) && c->cmsg_len != CMSG_LEN(sizeof(uint16_t))))
			return 0;	/* as it is, for the kernel to refuse */
		if (is_source(c) || other)
			err = is_source(c) ? judge_source(c, v->family, to_ipv6(way)) : judge(c);
		if (is_segment(c) || is_source(c) || other)
			continue;
		if (at + CMSG_ALIGN(c->cmsg_len) > sizeof(space->bytes) - CMSG_SPACE(sizeof(uint16_t)))
			return -ENOBUFS;
		memset(space->bytes + at, 0, CMSG_ALIGN(c->cmsg_len));
		memcpy(space->bytes + at, c, c->cmsg_len);
		at += CMSG_ALIGN(c->cmsg_len);
	}
	memset(space->bytes + at, 0, CMSG_SPACE(sizeof(uint16_t)));
	c = (struct cmsghdr *)(space->bytes + at);
	*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(uint16_t)), .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT };
	*(uint16_t *)CMSG_DATA(c) = (uint16_t)segment;
	out->msg_control = space->bytes;
	out->msg_controllen = at + CMSG_SPACE(sizeof(uint16_t));
	return err;
}

/* --- receiving --- */

/* What a socket can ask for that the kernel does not give of a datagram of the other family. */
static const struct { int level, option; } kinds[] = {
	{ IPPROTO_IP, IP_PKTINFO }, { IPPROTO_IP, IP_RECVTTL }, { IPPROTO_IP, IP_RECVTOS }, { IPPROTO_IP, IP_RECVORIGDSTADDR },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT }, { IPPROTO_IPV6, IPV6_RECVTCLASS }, { IPPROTO_IPV6, IPV6_RECVORIGDSTADDR },
};

unsigned ts_udp_wishes(int fd)
{
	unsigned wishes = 0;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int on = 0;
		socklen_t len = sizeof(on);

		if (ts_sys(SYS_getsockopt, fd, kinds[i].level, kinds[i].option, &on, &len) == 0 && on)
			wishes |= 1u << i;
	}
	return wishes;
}

bool ts_udp_control_is_other(const struct ts_udp_view *v, const struct ts_addr *from)
{
	return v->family == AF_INET6 && ts_addr_is4(from) != ts_addr_is4(&v->relay);
}

/* As the kernel's put_cmsg: what does not fit is cut, and that is told. */
static void put(struct msghdr *m, size_t *used, size_t room, int level, int type, const void *data, size_t len)
{
	struct cmsghdr head = { .cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type };
	uint8_t *at = (uint8_t *)m->msg_control + *used;
	size_t left = room - *used;

	if (left < sizeof(head)) {
		m->msg_flags |= MSG_CTRUNC;
		return;
	}
	if (left < head.cmsg_len) {
		m->msg_flags |= MSG_CTRUNC;
		head.cmsg_len = left;
	}
	memcpy(at, &head, sizeof(head));
	memcpy(at + CMSG_LEN(0), data, head.cmsg_len - CMSG_LEN(0));
	*used += left < CMSG_SPACE(len) ? left : CMSG_SPACE(len);
}

/* Where it arrived: at this node's address, and the port that the kernel tells; the rest is what the tailnet's packets have. */
static void make(struct msghdr *m, size_t *used, size_t room, unsigned wishes, const struct ts_addr *own)
{
	static const int hops = 64, class;
	struct in_pktinfo info = { 0 };
	struct sockaddr_storage name;
	bool is4 = ts_addr_is4(own);

	memcpy(&info.ipi_addr, own->ip + 12, 4);
	memcpy(&info.ipi_spec_dst, own->ip + 12, 4);
	ts_addr_to_sockaddr(own, is4 ? AF_INET : AF_INET6, &name);
	if (is4 && wishes & 1)
		put(m, used, room, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	if (is4 && wishes & 2)
		put(m, used, room, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
	if (is4 && wishes & 4)
		put(m, used, room, IPPROTO_IP, IP_TOS, &class, 1);
	if (is4 && wishes & 8)
		put(m, used, room, IPPROTO_IP, IP_RECVORIGDSTADDR, &name, sizeof(struct sockaddr_in));
	if (!is4 && wishes & 16)
		put(m, used, room, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
	if (!is4 && wishes & 32)
		put(m, used, room, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof(class));
	if (!is4 && wishes & 64)
		put(m, used, room, IPPROTO_IPV6, IPV6_ORIGDSTADDR, &name, sizeof(struct sockaddr_in6));
}

/* As much of it as there is: the program's room may have been short. */
static void set(struct cmsghdr *c, size_t at, const uint8_t *ip, size_t len)
{
	size_t there = c->cmsg_len - CMSG_LEN(0);

	if (there > at)
		memcpy(CMSG_DATA(c) + at, ip, there - at < len ? there - at : len);
}

static void mend(struct cmsghdr *c, const struct ts_addr *own)
{
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		set(c, offsetof(struct in_pktinfo, ipi_addr), own->ip + 12, 4);
		set(c, offsetof(struct in_pktinfo, ipi_spec_dst), own->ip + 12, 4);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		set(c, 0, own->ip, 16);
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVORIGDSTADDR) {
		set(c, offsetof(struct sockaddr_in, sin_addr), own->ip + 12, 4);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR) {
		set(c, offsetof(struct sockaddr_in6, sin6_addr), own->ip, 16);
	}
}

void ts_udp_control_mend(struct msghdr *m, const struct ts_addr *from)
{
	struct ts_addr own;

	if (!m->msg_controllen || ts_live_own_addr(ts_addr_is4(from) ? AF_INET : AF_INET6, &own) != 1)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c && whole(m, c); c = CMSG_NXTHDR(m, c))
		mend(c, &own);
}

void ts_udp_control_give(int fd, struct msghdr *m, struct msghdr *given, size_t room, unsigned wishes, const struct ts_udp_view *v,
			 const struct ts_addr *from)
{
	bool other = from && ts_udp_control_is_other(v, from);
	struct ts_addr own = { 0 }, local;
	union ts_udp_name name;
	socklen_t len = sizeof(name);
	size_t used = 0;

	if (!ts_udp_writable(fd, m->msg_control, room)) {
		m->msg_controllen = 0;	/* put_cmsg's EFAULT is nobody's */
		return;
	}
	if (from && ts_live_own_addr(ts_addr_is4(from) ? AF_INET : AF_INET6, &own) != 1)
		from = NULL;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(given); c && whole(given, c); c = CMSG_NXTHDR(given, c)) {
		if (other && (c->cmsg_level == IPPROTO_IP || (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type != IPV6_PKTINFO)))
			continue;
		if (from)
			mend(c, &own);
		put(m, &used, room, c->cmsg_level, c->cmsg_type, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	}
	if (from && wishes) {
		if (ts_sys(SYS_getsockname, fd, &name, &len) == 0 && ts_addr_from_sockaddr(&local, &name.sa, len))
			own.port = local.port;
		make(m, &used, room, wishes, &own);
	}
	m->msg_controllen = used;
}

/* SPDX-License-Identifier: MIT */
/*
 * What a connected socket sends to others than its peer. Its local address is the one that leads to the relay, loopback's, and from there
 * the kernel's routing leads to no other network. It says so (EINVAL; EAFNOSUPPORT where the relay's address is IPv4 and the
 * destination is not); then the datagram is sent from an address that leads there, which a control message names (ip(7), ipv6(7)).
 */
#include "udp_internal.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/dest.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"

/* From which address the kernel would send to `to`; port 0. False: it would not. */
static bool source_for(const struct ts_addr *to, struct ts_addr *out)
{
	long fd = ts_sys(SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union ts_udp_name name;
	socklen_t len;
	bool known;

	if (fd < 0)
		return false;
	ts_udp_name_set(&name, &len, to, AF_INET6);
	known = ts_sys(SYS_connect, fd, &name, len) == 0;
	len = sizeof(name);
	known = known && ts_sys(SYS_getsockname, fd, &name, &len) == 0 && ts_addr_from_sockaddr(out, &name.sa, len);
	ts_sys(SYS_close, fd);
	return known;
}

/* Puts the source into `out`, behind the program's own control messages. IPv4's may stay open: the kernel chooses then. */
static bool name_source(struct msghdr *out, const struct ts_addr *to, struct ts_udp_control *space)
{
	struct in6_pktinfo six = { 0 };
	struct in_pktinfo four = { 0 };
	bool is4 = ts_addr_is4(to);
	size_t used = out->msg_control ? CMSG_ALIGN(out->msg_controllen) : 0, len = is4 ? sizeof(four) : sizeof(six);
	struct cmsghdr head = { .cmsg_len = CMSG_LEN(len), .cmsg_level = is4 ? IPPROTO_IP : IPPROTO_IPV6,
				.cmsg_type = is4 ? IP_PKTINFO : IPV6_PKTINFO };
	struct ts_addr from;

	if (used > sizeof(space->bytes) - CMSG_SPACE(sizeof(six)) || (!is4 && !source_for(to, &from)))
		return false;
	if (!is4)
		memcpy(&six.ipi6_addr, from.ip, sizeof(from.ip));
	memset(space->bytes, 0, sizeof(space->bytes));
	if (used)
		memcpy(space->bytes, out->msg_control, out->msg_controllen);
	memcpy(space->bytes + used, &head, sizeof(head));
	memcpy(space->bytes + used + CMSG_LEN(0), is4 ? (void *)&four : (void *)&six, len);
	out->msg_control = space->bytes;
	out->msg_controllen = used + CMSG_SPACE(len);
	return true;
}

/* Whether the program names one itself. */
static bool has_source(const struct msghdr *msg)
{
	struct msghdr m = *msg;

	for (struct cmsghdr *c = m.msg_control ? CMSG_FIRSTHDR(&m) : NULL; c; c = CMSG_NXTHDR(&m, c))
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO))
			return true;
	return false;
}

ssize_t ts_udp_send_beside(int fd, const struct msghdr *msg, int flags)
{
	struct ts_udp_control space;
	struct msghdr out = *msg;
	struct ts_addr to;
	ssize_t n = ts_real()->sendmsg(fd, msg, flags);
	int err = n < 0 ? ts_errno : 0;

	if ((err != EINVAL && err != EAFNOSUPPORT) || !ts_dest_datagram(msg->msg_name, msg->msg_namelen, &to) ||
	    (msg->msg_control && !ts_plausible(msg->msg_control)) || has_source(msg) || !name_source(&out, &to, &space))
		return n < 0 ? -err : n;
	n = ts_real()->sendmsg(fd, &out, flags);
	return n < 0 ? -ts_errno : n;
}

/* SPDX-License-Identifier: MIT */
/* Ways to send a datagram. */
#include <dlfcn.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#else
#define IORING_OP_SENDMSG 9
#endif

#include "ways.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

#define LEN sizeof(((struct target *)NULL)->payload)

static int new_udp(const struct target *t)
{
	return new_socket(t, SOCK_DGRAM, 0);
}

static void send_flags(int fd, const struct target *t, int flags)
{
	sendto(fd, t->payload, LEN, flags, to(t), t->len);
}

static void send_datagram(int fd, const struct target *t)
{
	send_flags(fd, t, 0);
}

static void by_sendto(const struct target *t)
{
	send_datagram(new_udp(t), t);
}

static void nonblocking(const struct target *t)
{
	send_flags(new_socket(t, SOCK_DGRAM | SOCK_NONBLOCK, 0), t, MSG_DONTWAIT);
}

static void confirmed(const struct target *t)
{
	send_flags(new_udp(t), t, MSG_CONFIRM);
}

static void unrouted(const struct target *t)
{
	send_flags(new_udp(t), t, MSG_DONTROUTE);
}

static void by_sendmsg(const struct target *t)
{
	struct iovec iov;
	struct msghdr m = message(t, &iov);

	sendmsg(new_udp(t), &m, 0);
}

/* sendmsg(2) cuts a name that is too long. */
static void long_name(const struct target *t)
{
	struct { struct sockaddr_storage addr; char more[72]; } name = { .addr = t->addr };
	struct iovec iov;
	struct msghdr m = message(t, &iov);

	m.msg_name = &name;
	m.msg_namelen = sizeof(name);
	sendmsg(new_udp(t), &m, 0);
}

static void by_sendmmsg(const struct target *t)
{
	struct iovec iov;
	struct mmsghdr m = { .msg_hdr = message(t, &iov) };

	sendmmsg(new_udp(t), &m, 1, 0);
}

static struct target elsewhere(const struct target *t)
{
	struct target e = *t;

	if (t->addr.ss_family == AF_INET)
		((struct sockaddr_in *)&e.addr)->sin_addr.s_addr = htonl(0x0a630009);
	else
		memcpy(((struct sockaddr_in6 *)&e.addr)->sin6_addr.s6_addr, (uint8_t[16]){ 0xfd, 0, 0, 0x99, [15] = 9 }, 16);
	((struct sockaddr_in *)&e.addr)->sin_port = htons(9);
	return e;
}

static void second_of_many(const struct target *t)
{
	struct target first = elsewhere(t);
	struct iovec iov[2];
	struct mmsghdr m[2] = { { .msg_hdr = message(&first, &iov[0]) }, { .msg_hdr = message(t, &iov[1]) } };

	sendmmsg(new_udp(t), m, 2, 0);
}

static void sendto_by_number(const struct target *t)
{
	syscall(SYS_sendto, new_udp(t), t->payload, LEN, 0, &t->addr, t->len);
}

static void sendmsg_by_number(const struct target *t)
{
	struct iovec iov;
	struct msghdr m = message(t, &iov);

	syscall(SYS_sendmsg, new_udp(t), &m, 0);
}

static void sendmmsg_by_number(const struct target *t)
{
	struct iovec iov;
	struct mmsghdr m = { .msg_hdr = message(t, &iov) };

	syscall(SYS_sendmmsg, new_udp(t), &m, 1, 0);
}

struct target unspecific(const struct target *t)
{
	struct target u = *t;

	u.addr.ss_family = AF_UNSPEC;
	return u;
}

static void unspec_sendto(const struct target *t)
{
	struct target u = unspecific(t);

	send_datagram(new_udp(t), &u);
}

static void unspec_sendmsg(const struct target *t)
{
	struct target u = unspecific(t);
	struct iovec iov;
	struct msghdr m = message(&u, &iov);

	sendmsg(new_udp(t), &m, 0);
}

static void on_inet6(const struct target *t)
{
	struct target m = mapped(t);

	send_datagram(new_udp(&m), t);
}

static void to_mapped(const struct target *t)
{
	struct target m = mapped(t);

	by_sendto(&m);
}

static void scoped(const struct target *t)
{
	struct target s = *t;

	((struct sockaddr_in6 *)&s.addr)->sin6_scope_id = 1;
	by_sendto(&s);
}

static void short_form(const struct target *t)
{
	struct target s = *t;

	s.len = 24;
	by_sendto(&s);
}

static void long_form(const struct target *t)
{
	struct target s = *t;

	s.len = sizeof(s.addr);
	by_sendto(&s);
}

static void segmented(const struct target *t)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(uint16_t))];
	} control = { .head = { .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t)) } };
	struct iovec iov;
	struct msghdr m = message(t, &iov);

	*(uint16_t *)CMSG_DATA(&control.head) = 8;
	m.msg_control = control.room;
	m.msg_controllen = sizeof(control.room);
	sendmsg(new_udp(t), &m, 0);
}

static void with_option(const struct target *t, int level, int name, int value)
{
	int fd = new_udp(t);

	setsockopt(fd, level, name, &value, sizeof(value));
	send_datagram(fd, t);
	if (name == UDP_CORK) {
		value = 0;
		setsockopt(fd, level, name, &value, sizeof(value));
	}
}

static void segment_option(const struct target *t)
{
	with_option(t, IPPROTO_UDP, UDP_SEGMENT, 8);
}

static void corked(const struct target *t)
{
	with_option(t, IPPROTO_UDP, UDP_CORK, 1);
}

static void zerocopy(const struct target *t)
{
	int fd = new_udp(t), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
	send_flags(fd, t, MSG_ZEROCOPY);
}

static void by_interface(const struct target *t)
{
	int index = (int)htonl(if_nametoindex("w0"));

	if (t->addr.ss_family == AF_INET)
		with_option(t, IPPROTO_IP, 50, index);	/* IP_UNICAST_IF */
	else
		with_option(t, IPPROTO_IPV6, 76, index);	/* IPV6_UNICAST_IF */
}

static void by_device(const struct target *t)
{
	int fd = new_udp(t);

	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "w0", 3);
	send_datagram(fd, t);
}

static void in_pieces(const struct target *t)
{
	int fd = new_udp(t);

	send_flags(fd, t, MSG_MORE);
	send_datagram(fd, t);
}

static void by_pktinfo(const struct target *t)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO } };
	struct iovec iov;
	struct msghdr m = message(t, &iov);

	m.msg_control = control.room;
	m.msg_controllen = CMSG_SPACE(sizeof(struct in_pktinfo));
	if (t->addr.ss_family == AF_INET) {
		((struct in_pktinfo *)CMSG_DATA(&control.head))->ipi_ifindex = (int)if_nametoindex("w0");
	} else {
		control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo)), .cmsg_level = IPPROTO_IPV6,
						 .cmsg_type = IPV6_PKTINFO };
		((struct in6_pktinfo *)CMSG_DATA(&control.head))->ipi6_ifindex = if_nametoindex("w0");
		m.msg_controllen = sizeof(control.room);
	}
	sendmsg(new_udp(t), &m, 0);
}

static void after_plain(const struct target *t)
{
	struct target e = elsewhere(t);
	int fd = new_udp(t);

	send_datagram(fd, &e);
	send_datagram(fd, t);
}

static void connected_elsewhere(const struct target *t)
{
	struct target e = elsewhere(t);

	send_datagram(connected_udp(&e), t);
}

static void reconnected(const struct target *t)
{
	struct target e = elsewhere(t);
	int fd = connected_udp(&e);

	connect(fd, to(t), t->len);
	send(fd, "?", 0, 0);	/* where the connect was refused, the other one gets it */
	sendto(fd, t->payload, LEN, 0, to(t), t->len);
}

static void by_handle(const struct target *t)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	ssize_t (*f)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);

	*(void **)&f = libc ? dlsym(libc, "sendto") : NULL;
	if (!f)
		unavailable();
	f(new_udp(t), t->payload, LEN, 0, to(t), t->len);
}

static void ring(const struct target *t)
{
	struct iovec iov;
	struct msghdr m = message(t, &iov);

	by_io_uring(IORING_OP_SENDMSG, new_udp(t), &m, 1, 0);
}

const struct way udp_ways[] = {
	{ "sendto", 'b', false, by_sendto, 0 },
	{ "sendto-nonblocking", 'b', false, nonblocking, 0 },
	{ "sendto-confirm", 'b', false, confirmed, 0 },
	{ "sendto-dontroute", 'b', false, unrouted, 0 },
	{ "sendto-by-number", 'b', false, sendto_by_number, 0 },
	{ "sendto-unspec", '4', false, unspec_sendto, 0 },
	{ "sendto-on-inet6", '4', false, on_inet6, 0 },
	{ "sendto-mapped", '4', false, to_mapped, 0 },
	{ "sendto-scoped", '6', false, scoped, 0 },
	{ "sendto-short", '6', false, short_form, 0 },
	{ "sendto-long", 'b', false, long_form, 0 },
	{ "sendto-segments", 'b', false, segment_option, 0 },
	{ "sendto-corked", 'b', false, corked, 0 },
	{ "sendto-in-pieces", 'b', false, in_pieces, 0 },
	{ "sendto-zerocopy", 'b', false, zerocopy, 0 },
	{ "sendto-by-interface", 'b', false, by_interface, 0 },
	{ "sendto-by-device", 'b', false, by_device, 0 },
	{ "sendto-after-plain", 'b', false, after_plain, 0 },
	{ "sendto-connected-elsewhere", 'b', false, connected_elsewhere, 0 },
	{ "sendto-reconnected", 'b', false, reconnected, 0 },
	{ "sendmsg", 'b', false, by_sendmsg, 0 },
	{ "sendmsg-by-number", 'b', false, sendmsg_by_number, 0 },
	{ "sendmsg-long-name", 'b', false, long_name, 0 },
	{ "sendmsg-unspec", '4', false, unspec_sendmsg, 0 },
	{ "sendmsg-segments", 'b', false, segmented, 0 },
	{ "sendmsg-pktinfo", 'b', false, by_pktinfo, 0 },
	{ "sendmsg-io-uring", 'b', false, ring, 0 },
	{ "sendmmsg", 'b', false, by_sendmmsg, 0 },
	{ "sendmmsg-by-number", 'b', false, sendmmsg_by_number, 0 },
	{ "sendmmsg-second", 'b', false, second_of_many, 0 },
	{ "datagram-by-handle", 'b', false, by_handle, 0 },
	{ NULL, 0, false, NULL, 0 },
};

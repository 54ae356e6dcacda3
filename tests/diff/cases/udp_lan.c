/* SPDX-License-Identifier: MIT */
/* A neighbouring network that is neither loopback nor the tailnet: a socket with a peer in the tailnet may send there, too. */
#include "udp_case.h"

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>

static int lan;	/* what is sent there can be read from it */
static int number;	/* of the device: cases that run beside each other have networks of their own */

static const char *address(int family, int host)
{
	static char text[64];

	if (family == AF_INET)
		snprintf(text, sizeof(text), "10.128.%d.%d", number % 256, host);
	else
		snprintf(text, sizeof(text), "2001:db8:%x::%d", number, host);
	return text;
}

static void up(const char *name)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct in6_ifreq six = { .ifr6_prefixlen = 64 };
	int four = (int)MUST(socket(AF_INET, SOCK_DGRAM, 0)), fd = (int)MUST(socket(AF_INET6, SOCK_DGRAM, 0));

	strcpy(ifr.ifr_name, name);
	MUST(ioctl(four, SIOCGIFINDEX, &ifr));
	number = six.ifr6_ifindex = ifr.ifr_ifindex;
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	MUST(ioctl(four, SIOCSIFFLAGS, &ifr));
	inet_pton(AF_INET, address(AF_INET, 1), &in.sin_addr);
	memcpy(&ifr.ifr_addr, &in, sizeof(in));
	MUST(ioctl(four, SIOCSIFADDR, &ifr));
	inet_pton(AF_INET, "255.255.255.0", &in.sin_addr);
	memcpy(&ifr.ifr_addr, &in, sizeof(in));
	MUST(ioctl(four, SIOCSIFNETMASK, &ifr));
	inet_pton(AF_INET6, address(AF_INET6, 1), &six.ifr6_addr);
	MUST(ioctl(fd, SIOCSIFADDR, &six));
	close(four);
	close(fd);
}

static void begin(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };

	lan = (int)MUST(open("/dev/net/tun", O_RDWR | O_NONBLOCK));
	MUST(ioctl(lan, TUNSETIFF, &ifr));
	up(ifr.ifr_name);
}

static const struct sockaddr *near(int host)
{
	static struct sockaddr_storage sa;
	char text[80];

	memset(&sa, 0, sizeof(sa));
	if (case_family == AF_INET) {
		((struct sockaddr_in *)&sa)->sin_family = AF_INET;
		((struct sockaddr_in *)&sa)->sin_port = htons(9);
		inet_pton(AF_INET, address(AF_INET, host), &((struct sockaddr_in *)&sa)->sin_addr);
	} else {
		snprintf(text, sizeof(text), "%s%s", case_mapped ? "::ffff:" : "", address(case_mapped ? AF_INET : AF_INET6, host));
		((struct sockaddr_in6 *)&sa)->sin6_family = AF_INET6;
		((struct sockaddr_in6 *)&sa)->sin6_port = htons(9);
		inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&sa)->sin6_addr);
	}
	return (struct sockaddr *)&sa;
}

/* The next datagram that was sent into it, with its headers; other packets are the kernel's own. -1: none. */
static ssize_t next(uint8_t *p, size_t room)
{
	ssize_t n;

	while ((n = read(lan, p, room)) > 0 && (p[0] >> 4 == 4 ? p[9] : p[6]) != IPPROTO_UDP)
		;
	return n;
}

static void show_lan(void)
{
	uint8_t p[2000];
	ssize_t n = next(p, sizeof(p));
	bool four = p[0] >> 4 == 4;
	size_t head = four ? 20 : 40;

	if (n > 0)
		say("there: to .%d port %d hops %d \"%s\"", four ? p[19] : p[39], p[head + 2] << 8 | p[head + 3], four ? p[8] : p[7],
		    bytes_name(p + head + 8, n - (long)head - 8));
	else
		say("there: nothing");
}

CASE_FAMILIES(connected)
{
	struct iovec iov[2] = { { "one ", 4 }, { "message", 7 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_namelen = at_len() };
	struct mmsghdr mm[3] = { { .msg_hdr = m }, { .msg_hdr = m }, { .msg_hdr = m } };
	struct sockaddr_storage to;
	int fd, hops = 9;
	char space[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));

	begin();
	fd = udp(0);
	memcpy(&to, near(9), at_len());
	T(sendto(fd, "before", 6, 0, (void *)&to, at_len()));
	show_lan();
	T(connect(fd, TO(PEER, ECHO)));
	T(sendto(fd, "near", 4, 0, (void *)&to, at_len()));
	show_lan();
	m.msg_name = &to;
	T(sendmsg(fd, &m, 0));
	show_lan();
	m.msg_control = space;
	m.msg_controllen = sizeof(space);
	*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
					       .cmsg_level = case_family == AF_INET || case_mapped ? IPPROTO_IP : IPPROTO_IPV6,
					       .cmsg_type = case_family == AF_INET || case_mapped ? IP_TTL : IPV6_HOPLIMIT };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &hops, sizeof(hops));
	T(sendmsg(fd, &m, 0));
	show_lan();
	mm[1].msg_hdr.msg_name = &to;
	mm[0].msg_hdr.msg_name = mm[2].msg_hdr.msg_name = (void *)at(PEER, ECHO);
	T(sendmmsg(fd, mm, 3, 0));
	show_lan();
	for (int i = 0; i < 2; i++) {
		await(fd);
		show_from(fd, 100, MSG_DONTWAIT);
	}
	show_peer(fd);
	T(send(fd, "peer", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(sendto(fd, "more ", 5, MSG_MORE, (void *)&to, at_len()));
	T(send(fd, "to it", 5, 0));
	show_lan();
	T(connect(fd, near(8), at_len()));
	T(send(fd, "moved", 5, 0));
	show_lan();
	show_quiet(fd);
	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "back", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	if (case_family == AF_INET)
		T(connect(fd, at_family(AF_INET6, false, PEER, ECHO), sizeof(struct sockaddr_in6)));
	show_peer(fd);
	T(send(fd, "still", 5, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* Where the program itself has chosen the address. */
CASE_FAMILIES(bound)
{
	int fd;

	begin();
	fd = udp(0);
	T(bind(fd, case_family == AF_INET ? (void *)&(struct sockaddr_in){ .sin_family = AF_INET } :
	       (void *)&(struct sockaddr_in6){ .sin6_family = AF_INET6 }, at_len()));
	T(connect(fd, TO(PEER, ECHO)));
	T(sendto(fd, "near", 4, 0, near(9), at_len()));
	show_lan();
	T(send(fd, "peer", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

CASE(broadcast)
{
	int fd, one = 1;

	begin();
	fd = udp(0);
	T(connect(fd, TO(PEER, ECHO)));
	T(sendto(fd, "all", 3, 0, near(255), at_len()));
	T(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)));
	T(sendto(fd, "all", 3, 0, near(255), at_len()));
	show_lan();
}

/*
 * After a datagram that was put together for another, Linux takes that one's address for the peer's, over IPv4 and as long as the peer's
 * route is cached (udp_sendmsg, inet->cork.fl). What is meant for the tailnet must not get such an address.
 */
CASE_ATTR(strays, "hostile")
{
	uint8_t p[2000];
	int fd;

	begin();
	fd = udp(0);
	MUST(connect(fd, TO(PEER, ECHO)));
	MUST(sendto(fd, "more ", 5, MSG_MORE, near(9), at_len()));
	MUST(send(fd, "to it", 5, 0));
	say("%s what was put together is there", next(p, sizeof(p)) == 20 + 8 + 10 ? "ok" : "WRONG");
	MUST(send(fd, "peer", 4, 0));
	await(fd);
	say("%s the peer's datagram came back", recv(fd, p, sizeof(p), MSG_DONTWAIT) == 4 ? "ok" : "WRONG");
	say("%s nothing was sent beside", next(p, sizeof(p)) < 0 ? "ok" : "WRONG");
}

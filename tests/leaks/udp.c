/* SPDX-License-Identifier: MIT */
/* Ways to send a datagram, and packets of protocols that no proxy carries. */
#include <dlfcn.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
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

void send_datagram(int fd, const struct target *t)
{
	send_flags(fd, t, 0);
}

static struct msghdr message(const struct target *t, struct iovec *iov)
{
	*iov = (struct iovec){ (void *)t->payload, LEN };
	return (struct msghdr){ .msg_name = (void *)&t->addr, .msg_namelen = t->len, .msg_iov = iov, .msg_iovlen = 1 };
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

static int connected(const struct target *t)
{
	int fd = new_udp(t);

	connect(fd, to(t), t->len);
	return fd;
}

static void connect_send(const struct target *t)
{
	send(connected(t), t->payload, LEN, 0);
}

static void connect_write(const struct target *t)
{
	if (write(connected(t), t->payload, LEN) < 0)
		return;
}

static void connect_writev(const struct target *t)
{
	struct iovec iov;

	message(t, &iov);
	if (writev(connected(t), &iov, 1) < 0)
		return;
}

#ifdef __GLIBC__
static void connect_pwritev2(const struct target *t)
{
	struct iovec iov;

	message(t, &iov);
	if (pwritev2(connected(t), &iov, 1, -1, 0) < 0)
		return;
}
#else
static void connect_pwritev2(const struct target *t)
{
	(void)t;
	unavailable();
}
#endif

static void connect_sendmsg(const struct target *t)
{
	struct iovec iov;
	struct msghdr m = message(t, &iov);

	m.msg_name = NULL;
	m.msg_namelen = 0;
	sendmsg(connected(t), &m, 0);
}

static void connect_sendfile(const struct target *t)
{
	int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	if (file < 0 || write(file, t->payload, LEN) < 0)
		unavailable();
	sendfile(connected(t), file, &(off_t){ 0 }, LEN);
}

static void connect_splice(const struct target *t)
{
	int ends[2];

	if (pipe(ends) || write(ends[1], t->payload, LEN) < 0)
		unavailable();
	if (splice(ends[0], NULL, connected(t), NULL, LEN, 0) < 0)
		return;
}

static void connect_dprintf(const struct target *t)
{
	dprintf(connected(t), "%s", t->payload);
}

static void connect_stdio(const struct target *t)
{
	FILE *f = fdopen(connected(t), "w");

	fputs(t->payload, f);
	fclose(f);
}

static void connect_dup2(const struct target *t)
{
	dup2(connected(t), 1);
	puts(t->payload);
	fflush(stdout);
}

static void connect_by_number(const struct target *t)
{
	int fd = new_udp(t);

	syscall(SYS_connect, fd, &t->addr, t->len);
	syscall(SYS_write, fd, t->payload, LEN);
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

/* What Linux takes for AF_INET. */
static struct target unspecific(const struct target *t)
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

static void connect_on_inet6(const struct target *t)
{
	struct target m = mapped(t);
	int fd = new_udp(&m);

	connect(fd, to(t), t->len);
	send(fd, t->payload, LEN, 0);
}

static void to_mapped(const struct target *t)
{
	struct target m = mapped(t);

	by_sendto(&m);
}

static void connect_mapped(const struct target *t)
{
	struct target m = mapped(t);

	connect_send(&m);
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

	send_datagram(connected(&e), t);
}

static void reconnected(const struct target *t)
{
	struct target e = elsewhere(t);
	int fd = connected(&e);

	connect(fd, to(t), t->len);
	send(fd, "?", 0, 0);	/* where the connect was refused, the other one gets it */
	sendto(fd, t->payload, LEN, 0, to(t), t->len);
}

static void handed_over(const struct target *t)
{
	send_datagram(passed(new_udp(t)), t);
}

static void inherited(const struct target *t)
{
	again(t, "late", new_udp(t));
}

static void in_constructor(const struct target *t)
{
	again(t, "early", -1);
}

static void in_fork(const struct target *t)
{
	int fd = new_udp(t);

	if (fork() == 0) {
		send_datagram(fd, t);
		_exit(0);
	}
	wait(NULL);
}

static void in_vfork(const struct target *t)
{
	int fd = new_udp(t);

	if (vfork() == 0) {
		sendto(fd, t->payload, LEN, 0, to(t), t->len);
		_exit(0);
	}
	wait(NULL);
}

static void *thread(void *arg)
{
	by_sendto(arg);
	return NULL;
}

static void in_thread(const struct target *t)
{
	pthread_t id;

	if (pthread_create(&id, NULL, thread, (void *)t))
		unavailable();
	pthread_join(id, NULL);
}

static const struct target *handlers;

static void handler(int sig)
{
	(void)sig;
	by_sendto(handlers);
}

static void in_handler(const struct target *t)
{
	handlers = t;
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
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

static void lite(const struct target *t)
{
	send_datagram(new_socket(t, SOCK_DGRAM, IPPROTO_UDPLITE), t);
}

static void lite_connected(const struct target *t)
{
	int fd = new_socket(t, SOCK_DGRAM, IPPROTO_UDPLITE);

	connect(fd, to(t), t->len);
	send(fd, t->payload, LEN, 0);
}

/* Echo requests. The kernel sets what is missing. */
struct echo {
	uint8_t type, code;
	uint16_t checksum, id, number;
	char payload[16];
};

static struct echo echo(const struct target *t)
{
	struct echo e = { .type = t->addr.ss_family == AF_INET ? 8 : 128 };

	memcpy(e.payload, t->payload, sizeof(e.payload));
	return e;
}

static int echo_protocol(const struct target *t)
{
	return t->addr.ss_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

static struct target portless(const struct target *t)
{
	struct target p = *t;

	((struct sockaddr_in *)&p.addr)->sin_port = 0;	/* sin6_port lies in the same place */
	return p;
}

static void ping(const struct target *t)
{
	struct target p = portless(t);
	struct echo e = echo(t);

	sendto(new_socket(t, SOCK_DGRAM, echo_protocol(t)), &e, sizeof(e), 0, to(&p), p.len);
}

static void ping_connected(const struct target *t)
{
	struct target p = portless(t);
	struct echo e = echo(t);
	int fd = new_socket(t, SOCK_DGRAM, echo_protocol(t));

	connect(fd, to(&p), p.len);
	send(fd, &e, sizeof(e), 0);
}

static void raw_ping(const struct target *t)
{
	struct target p = portless(t);
	struct echo e = echo(t);

	sendto(new_socket(t, SOCK_RAW, echo_protocol(t)), &e, sizeof(e), 0, to(&p), p.len);
}

static void raw_connected(const struct target *t)
{
	struct target p = portless(t);
	struct echo e = echo(t);
	int fd = new_socket(t, SOCK_RAW, echo_protocol(t));

	connect(fd, to(&p), p.len);
	send(fd, &e, sizeof(e), 0);
}

static void raw_unspec(const struct target *t)
{
	struct target p = portless(t), u = unspecific(&p);
	struct echo e = echo(t);

	sendto(new_socket(t, SOCK_RAW, IPPROTO_ICMP), &e, sizeof(e), 0, to(&u), u.len);
}

/* A datagram whose IP header the program writes as well. */
static void raw_whole(const struct target *t)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char payload[16];
	} packet = {
		.ip = { .version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_UDP,
			.daddr = ((const struct sockaddr_in *)&t->addr)->sin_addr.s_addr },
		.udp = { .source = htons(9), .dest = ((const struct sockaddr_in *)&t->addr)->sin_port, .len = htons(24) },
	};
	struct target p = portless(t);

	memcpy(packet.payload, t->payload, sizeof(packet.payload));
	sendto(new_socket(t, SOCK_RAW, IPPROTO_RAW), &packet, sizeof(packet), 0, to(&p), p.len);
}

const struct way udp_ways[] = {
	{ "sendto", 'b', false, by_sendto },
	{ "sendto-nonblocking", 'b', false, nonblocking },
	{ "sendto-confirm", 'b', false, confirmed },
	{ "sendto-dontroute", 'b', false, unrouted },
	{ "sendto-by-number", 'b', false, sendto_by_number },
	{ "sendto-unspec", '4', false, unspec_sendto },
	{ "sendto-on-inet6", '4', false, on_inet6 },
	{ "sendto-mapped", '4', false, to_mapped },
	{ "sendto-scoped", '6', false, scoped },
	{ "sendto-short", '6', false, short_form },
	{ "sendto-long", 'b', false, long_form },
	{ "sendto-segments", 'b', false, segment_option },
	{ "sendto-corked", 'b', false, corked },
	{ "sendto-in-pieces", 'b', false, in_pieces },
	{ "sendto-zerocopy", 'b', false, zerocopy },
	{ "sendto-by-interface", 'b', false, by_interface },
	{ "sendto-by-device", 'b', false, by_device },
	{ "sendto-after-plain", 'b', false, after_plain },
	{ "sendto-connected-elsewhere", 'b', false, connected_elsewhere },
	{ "sendto-reconnected", 'b', false, reconnected },
	{ "sendmsg", 'b', false, by_sendmsg },
	{ "sendmsg-by-number", 'b', false, sendmsg_by_number },
	{ "sendmsg-long-name", 'b', false, long_name },
	{ "sendmsg-unspec", '4', false, unspec_sendmsg },
	{ "sendmsg-segments", 'b', false, segmented },
	{ "sendmsg-pktinfo", 'b', false, by_pktinfo },
	{ "sendmsg-io-uring", 'b', false, ring },
	{ "sendmmsg", 'b', false, by_sendmmsg },
	{ "sendmmsg-by-number", 'b', false, sendmmsg_by_number },
	{ "sendmmsg-second", 'b', false, second_of_many },
	{ "connected-send", 'b', false, connect_send },
	{ "connected-write", 'b', false, connect_write },
	{ "connected-writev", 'b', false, connect_writev },
	{ "connected-pwritev2", 'b', false, connect_pwritev2 },
	{ "connected-sendmsg", 'b', false, connect_sendmsg },
	{ "connected-sendfile", 'b', false, connect_sendfile },
	{ "connected-splice", 'b', false, connect_splice },
	{ "connected-dprintf", 'b', false, connect_dprintf },
	{ "connected-stdio", 'b', false, connect_stdio },
	{ "connected-stdout", 'b', false, connect_dup2 },
	{ "connected-by-number", 'b', false, connect_by_number },
	{ "connected-on-inet6", '4', false, connect_on_inet6 },
	{ "connected-mapped", '4', false, connect_mapped },
	{ "datagram-handed-over", 'b', false, handed_over },
	{ "datagram-inherited", 'b', false, inherited },
	{ "datagram-in-constructor", 'b', false, in_constructor },
	{ "datagram-in-fork", 'b', false, in_fork },
	{ "datagram-in-vfork", 'b', false, in_vfork },
	{ "datagram-in-thread", 'b', false, in_thread },
	{ "datagram-in-handler", 'b', false, in_handler },
	{ "datagram-by-handle", 'b', false, by_handle },
	{ "udplite", 'b', false, lite },
	{ "udplite-connected", 'b', false, lite_connected },
	{ "ping", 'b', false, ping },
	{ "ping-connected", 'b', false, ping_connected },
	{ "raw-ping", 'b', false, raw_ping },
	{ "raw-connected", 'b', false, raw_connected },
	{ "raw-unspec", '4', false, raw_unspec },
	{ "raw-whole", '4', false, raw_whole },
	{ NULL, 0, false, NULL },
};

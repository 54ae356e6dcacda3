/* SPDX-License-Identifier: MIT */
/* Ways to send by protocols that no proxy carries, and to write the packet oneself. */
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>

#include "ways.h"

static void sctp_stream(const struct target *t)
{
	int fd = new_socket(t, SOCK_STREAM, IPPROTO_SCTP);

	sendto(fd, t->payload, sizeof(t->payload), 0, to(t), t->len);
	connect(fd, to(t), t->len);
}

static void sctp_packets(const struct target *t)
{
	int fd = new_socket(t, SOCK_SEQPACKET, IPPROTO_SCTP);

	sendto(fd, t->payload, sizeof(t->payload), 0, to(t), t->len);
	connect(fd, to(t), t->len);
}

static void dccp(const struct target *t)
{
	connect(new_socket(t, SOCK_DCCP, IPPROTO_DCCP), to(t), t->len);
}

static void lite(const struct target *t)
{
	reach(new_socket(t, SOCK_DGRAM, IPPROTO_UDPLITE), t);
}

static void lite_connected(const struct target *t)
{
	int fd = new_socket(t, SOCK_DGRAM, IPPROTO_UDPLITE);

	connect(fd, to(t), t->len);
	send(fd, t->payload, sizeof(t->payload), 0);
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

static void raw_tcp(const struct target *t)
{
	struct tcphdr syn = { .source = htons(9), .dest = ((const struct sockaddr_in *)&t->addr)->sin_port, .doff = 5, .syn = 1 };
	struct target p = portless(t);

	sendto(new_socket(t, SOCK_RAW, IPPROTO_TCP), &syn, sizeof(syn), 0, to(&p), p.len);
}

const struct way packet_ways[] = {
	{ "udplite", 'b', false, lite, 0 },
	{ "udplite-connected", 'b', false, lite_connected, 0 },
	{ "ping", 'b', false, ping, 0 },
	{ "ping-connected", 'b', false, ping_connected, 0 },
	{ "raw-ping", 'b', false, raw_ping, 0 },
	{ "raw-connected", 'b', false, raw_connected, 0 },
	{ "raw-unspec", '4', false, raw_unspec, 0 },
	{ "raw-whole", '4', false, raw_whole, 0 },
	{ "sctp-stream", 'b', false, sctp_stream, 0 },
	{ "sctp-packets", 'b', false, sctp_packets, 0 },
	{ "dccp", 'b', false, dccp, 0 },
	{ "raw-tcp", 'b', false, raw_tcp, 0 },
	{ NULL, 0, false, NULL, 0 },
};

/* SPDX-License-Identifier: MIT */
/* What the cases about datagrams share. */
#ifndef DIFF_UDP_H
#define DIFF_UDP_H

#include <netinet/udp.h>

#include "../case.h"

#define CALM (2 * LONG)	/* longer than anything takes */

static inline int udp(int flags)
{
	return (int)MUST(socket(case_family, SOCK_DGRAM | flags, 0));
}

/* Loopback's address, as a socket of the case's family names it. */
static inline void name_loopback(struct sockaddr_storage *name)
{
	if (case_family == AF_INET)
		((struct sockaddr_in *)name)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (case_mapped)
		inet_pton(AF_INET6, "::ffff:127.0.0.1", &((struct sockaddr_in6 *)name)->sin6_addr);
	else
		((struct sockaddr_in6 *)name)->sin6_addr = in6addr_loopback;
}

static inline void give(int fd, enum host host, int port, const char *text)
{
	if (sendto(fd, text, strlen(text), 0, TO(host, port)) != (ssize_t)strlen(text))
		say("sendto: %s", err_name(errno));
}

/* One datagram with its source. */
static inline void show_from(int fd, size_t room, int flags)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char buf[70000];
	ssize_t n;

	memset(buf, '-', sizeof(buf));
	n = recvfrom(fd, buf, room, flags, (struct sockaddr *)&from, &len);
	if (n < 0)
		say("recvfrom: %s", err_name(errno));
	else
		say("recvfrom: %zd \"%s\" from %s", n, bytes_name(buf, (size_t)n < room ? n < 40 ? n : 40 : (long)room),
		    addr_name((void *)&from, len));
	if (buf[room] != '-')
		say("the buffer was written beyond its end");
}

/* What a thread does with a socket that others use. */
static inline void *recv_thread(void *arg)
{
	show_from(*(int *)arg, 100, 0);
	return NULL;
}

static inline void *poll_thread(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };
	int n = poll(&p, 1, CALM);

	say("poll: %d %s", n, poll_names((unsigned short)p.revents));
	return NULL;
}

/* Nothing more comes. */
static inline void show_quiet(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n = poll(&p, 1, quarters(6));

	say("then: %s", n ? poll_names((unsigned)p.revents) : "nothing");
}

static inline void echo_from(int fd, enum host host, int port, const char *text)
{
	give(fd, host, port, text);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

#endif

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

/* Waits until a datagram is there. */
static inline void await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, LONG) != 1)
		say("nothing came");
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

/* SPDX-License-Identifier: MIT */
/*
 * The far side: one program for both worlds, one epoll loop, one behaviour a port (ports.h).
 * Writes one byte to standard output once it listens everywhere.
 */
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ports.h"

#define BUF_BYTES 65536

struct conn {
	int fd;
	int timer_fd;	/* DRIP only, else -1 */
	int port;
	bool listening, is_timer, at_end, datagrams;
	uint8_t *buf;
	size_t from, len;	/* what of buf is still to be sent */
	size_t total;		/* bytes read; FLOOD: bytes sent */
	struct conn *owner;	/* of a timer */
};

static int ep;

static void watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(ep, op, c->fd, &ev) < 0)
		err(1, "epoll_ctl");
}

static void drop(struct conn *c)
{
	close(c->fd);
	free(c->buf);
	free(c);
}

static void reset(struct conn *c)
{
	struct linger hard = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	drop(c);
}

static void say(struct conn *c, const char *text)
{
	c->len = strlen(text);
	memcpy(c->buf, text, c->len);
	c->from = 0;
}

/* Sends what is waiting. False where the connection is gone. */
static bool flush(struct conn *c)
{
	while (c->from < c->len) {
		ssize_t n = send(c->fd, c->buf + c->from, c->len - c->from, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			watch(c, EPOLL_CTL_MOD, EPOLLOUT);
			return true;
		}
		if (n < 0) {
			drop(c);
			return false;
		}
		c->from += (size_t)n;
	}
	c->from = c->len = 0;
	return true;
}

static void flood(struct conn *c)
{
	while (c->total < FLOOD_BYTES) {
		ssize_t n;

		for (size_t i = 0; i < 4096; i++)
			c->buf[i] = (uint8_t)((c->total + i) * 31 >> 3);
		n = send(c->fd, c->buf, 4096 - c->total % 4096, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		c->total += (size_t)n;
	}
	drop(c);
}

static void start_drip(struct conn *c)
{
	struct itimerspec every = { .it_interval.tv_nsec = DRIP_MS * 1000000, .it_value.tv_nsec = DRIP_MS * 1000000 };
	struct conn *t = calloc(1, sizeof(*t));

	t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	t->is_timer = true;
	t->owner = c;
	timerfd_settime(t->fd, 0, &every, NULL);
	watch(t, EPOLL_CTL_ADD, EPOLLIN);
	watch(c, EPOLL_CTL_MOD, 0);
}

static void drip(struct conn *t)
{
	uint64_t n;

	if (read(t->fd, &n, sizeof(n)) < 0)
		return;
	send(t->owner->fd, &"0123456789"[t->total], 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (++t->total < 10)
		return;
	watch(t->owner, EPOLL_CTL_MOD, EPOLLIN);
	drop(t);
}

static void greet(struct conn *c)
{
	switch (c->port) {
	case CLOSE:
		drop(c);
		return;
	case RST:
		reset(c);
		return;
	case FIRST:
		say(c, "hello\n");
		break;
	case SHUT:
		send(c->fd, "bye\n", 4, MSG_NOSIGNAL);
		shutdown(c->fd, SHUT_WR);
		break;
	case URGENT:
		send(c->fd, "ab", 2, MSG_NOSIGNAL);
		send(c->fd, "c", 1, MSG_NOSIGNAL | MSG_OOB);
		send(c->fd, "d", 1, MSG_NOSIGNAL);
		break;
	case MUTE:
		watch(c, EPOLL_CTL_MOD, 0);
		break;
	case FLOOD:
		watch(c, EPOLL_CTL_MOD, EPOLLOUT);
		break;
	case DRIP:
		start_drip(c);
		break;
	}
	flush(c);
}

static void accept_all(struct conn *l)
{
	int fd, one = 1;

	while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof(*c));

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->fd = fd;
		c->port = l->port;
		c->buf = malloc(BUF_BYTES);
		watch(c, EPOLL_CTL_ADD, EPOLLIN);
		greet(c);
	}
}

/* The other side is done sending. */
static void at_end(struct conn *c)
{
	c->at_end = true;
	if (c->port == HALF)
		c->len = c->total;
	if (c->port == SINK) {
		char text[32];

		snprintf(text, sizeof(text), "%zu\n", c->total);
		say(c, text);
	}
	if (flush(c) && !c->len)
		drop(c);
}

static void readable(struct conn *c)
{
	size_t at = c->port == HALF ? c->total : 0;
	ssize_t n = recv(c->fd, c->buf + at, BUF_BYTES - at, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		drop(c);
		return;
	}
	if (!n) {
		at_end(c);
		return;
	}
	c->total += (size_t)n;
	if (c->port == HALF || c->port == SINK || c->port == SHUT)
		return;
	if (c->port == RSTLATER && memchr(c->buf, 'R', (size_t)n)) {
		reset(c);
		return;
	}
	c->len = (size_t)n;
	if (c->port == ONCE)
		say(c, "got\n");
	if (flush(c) && c->port == ONCE)
		drop(c);
}

/* A datagram, who sent it and to which of our addresses: answers come from that one. */
struct datagram {
	struct sockaddr_in6 from;
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(struct in6_pktinfo))]; } to;
	struct iovec iov;
	struct msghdr msg;
};

static ssize_t take(struct conn *c, struct datagram *d)
{
	ssize_t n;

	*d = (struct datagram){ .iov = { c->buf, BUF_BYTES } };
	d->msg = (struct msghdr){ .msg_name = &d->from, .msg_namelen = sizeof(d->from), .msg_iov = &d->iov, .msg_iovlen = 1,
				  .msg_control = &d->to, .msg_controllen = sizeof(d->to) };
	n = recvmsg(c->fd, &d->msg, MSG_DONTWAIT);
	((struct in6_pktinfo *)CMSG_DATA(&d->to.h))->ipi6_ifindex = 0;
	return n;
}

static void answer(struct conn *c, struct datagram *d, const void *p, size_t n)
{
	d->iov = (struct iovec){ (void *)p, n };
	sendmsg(c->fd, &d->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* One at a time: DRIP_MS is short, and no other case shares this port. */
static void answer_twice(struct conn *c, struct datagram *d, size_t n)
{
	answer(c, d, c->buf, n);
	usleep(DRIP_MS * 1000);
	answer(c, d, c->buf, n);
}

static void serve_datagrams(struct conn *c)
{
	struct datagram d;
	char text[32];
	ssize_t n;

	while ((n = take(c, &d)) >= 0) {
		switch (c->port) {
		case UDP_MUTE:
			break;
		case UDP_EMPTY:
			answer(c, &d, "", 0);
			break;
		case UDP_LENGTH:
			answer(c, &d, text, (size_t)snprintf(text, sizeof(text), "%zd", n));
			break;
		case UDP_BURST:
			for (int i = 0; i < UDP_BURST_COUNT; i++) {
				memset(text, '0' + i, sizeof(text));
				answer(c, &d, text, (size_t)i + 1);
			}
			break;
		case UDP_TWICE:
			answer_twice(c, &d, (size_t)n);
			break;
		default:
			answer(c, &d, c->buf, (size_t)n);
		}
	}
}

static void serve(struct conn *c, uint32_t events)
{
	if (c->datagrams) {
		serve_datagrams(c);
	} else if (c->listening) {
		accept_all(c);
	} else if (c->is_timer) {
		drip(c);
	} else if (c->port == FLOOD) {
		flood(c);
	} else if (events & EPOLLOUT) {
		if (!flush(c) || c->len)
			return;
		if (c->at_end)
			drop(c);
		else
			watch(c, EPOLL_CTL_MOD, EPOLLIN);
	} else if (events & EPOLLIN) {
		readable(c);
	} else if (c->port != DRIP) {
		drop(c);
	}
}

static void listen_at(int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct conn *l = calloc(1, sizeof(*l));
	int zero = 0;

	l->fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	l->port = port;
	l->listening = true;
	setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(l->fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(l->fd, 16384) < 0)
		err(1, "listen at %d", port);
	watch(l, EPOLL_CTL_ADD, EPOLLIN);
}

static void receive_at(int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct conn *c = calloc(1, sizeof(*c));
	int zero = 0, one = 1, room = 4 << 20;	/* all cases' bursts arrive at the same few sockets */

	c->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->port = port;
	c->datagrams = true;
	c->buf = malloc(BUF_BYTES);
	setsockopt(c->fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(c->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	if (bind(c->fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		err(1, "bind at %d", port);
	watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

int main(void)
{
	struct rlimit nofile;
	struct epoll_event ev[1];

	getrlimit(RLIMIT_NOFILE, &nofile);
	nofile.rlim_cur = nofile.rlim_max;
	setrlimit(RLIMIT_NOFILE, &nofile);
	signal(SIGPIPE, SIG_IGN);
	ep = epoll_create1(EPOLL_CLOEXEC);
	for (int port = ECHO; port < PORT_END; port++) {
		if (port == REFUSED)
			continue;
		listen_at(port);
		receive_at(port);
	}
	if (write(1, "r", 1) != 1)
		return 1;
	for (;;) {
		if (epoll_wait(ep, ev, 1, -1) == 1)
			serve(ev[0].data.ptr, ev[0].events);
	}
}

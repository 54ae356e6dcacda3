/* SPDX-License-Identifier: MIT */
/*
 * UDP ASSOCIATE as tailscaled does it: the relay is on the control connection's own address, answers go to
 * whoever sent last, each target has one connected socket, and an 8 KiB buffer (header included) cuts what is longer,
 * silently. The association ends with its control connection.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "sim.h"
#include "tsproxy/buf.h"
#include "tsproxy/socks5.h"

struct udp_target {
	struct udp_target *next;
	struct ts_sim_event ev;
	struct ts_sim_udp *udp;
	struct ts_addr addr;		/* as the client named it */
	struct ts_sim_target *stats;
};

struct ts_sim_udp {
	struct ts_sim_event relay;
	struct udp_target *targets;
	struct sockaddr_storage client;
	socklen_t client_len;
};

static uint8_t datagram[TS_SIM_UDP_BUFFER];

static void on_target(struct ts_sim_event *ev, uint32_t events)
{
	struct udp_target *t = ev->owner;
	uint8_t header[22];
	struct ts_wr w = ts_wr_over(header, sizeof(header));
	bool is4 = ts_addr_is4(&t->addr);
	struct iovec iov[2];
	struct msghdr msg = {
		.msg_name = &t->udp->client, .msg_namelen = t->udp->client_len, .msg_iov = iov, .msg_iovlen = 2,
	};
	ssize_t n;

	(void)events;
	ts_wr_bytes(&w, "\0\0\0", 3);
	ts_wr_u8(&w, is4 ? TS_SOCKS5_ATYP_IPV4 : TS_SOCKS5_ATYP_IPV6);
	ts_wr_bytes(&w, is4 ? t->addr.ip + 12 : t->addr.ip, is4 ? 4 : 16);
	ts_wr_be16(&w, t->addr.port);
	for (unsigned i = 0; i < 64; i++) {
		n = recv(ev->fd, datagram, sizeof(datagram) - w.len, 0);
		if (n < 0)
			return;	/* a refusal is not told to the client either */
		t->stats->udp_down++;
		iov[0] = (struct iovec){ header, w.len };
		iov[1] = (struct iovec){ datagram, (size_t)n };
		sendmsg(t->udp->relay.fd, &msg, MSG_NOSIGNAL);
	}
}

/* Bursts of tests are not what shall be lost here; only root may have this much, so nothing relies on it. */
static void make_room(int fd)
{
	int room = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
}

static struct udp_target *target_for(struct ts_sim_udp *u, struct ts_sim_dest *dest)
{
	struct sockaddr_storage sa;
	struct udp_target *t;
	struct ts_addr to;
	socklen_t len;
	int family;

	if (ts_sim_world_route(dest, &to) != TS_SIM_DIAL)
		return NULL;
	for (t = u->targets; t; t = t->next)
		if (ts_addr_equal(&t->addr, &dest->addr))
			return t;
	family = ts_addr_is4(&to) ? AF_INET : AF_INET6;
	len = ts_addr_to_sockaddr(&to, family, &sa);
	t = ts_sim_alloc(sizeof(*t));
	t->ev = (struct ts_sim_event){ .fn = on_target, .owner = t,
		.fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
	if (t->ev.fd < 0 || connect(t->ev.fd, (struct sockaddr *)&sa, len) < 0) {
		ts_sim_event_close(&t->ev);
		free(t);
		return NULL;
	}
	make_room(t->ev.fd);
	t->udp = u;
	t->addr = dest->addr;
	t->stats = ts_sim_stats_target(dest);
	t->next = u->targets;
	u->targets = t;
	ts_sim_watch(&t->ev, EPOLLIN);
	return t;
}

/* Header of a datagram from the client; false where it is none that we take (fragments included, as in tailscaled). */
static bool parse_header(struct ts_rd *r, struct ts_sim_dest *dest)
{
	bool first = ts_rd_be16(r) == 0;
	bool whole = ts_rd_u8(r) == 0;
	uint8_t type = ts_rd_u8(r);
	size_t len = type == TS_SOCKS5_ATYP_IPV4 ? 4 : type == TS_SOCKS5_ATYP_IPV6 ? 16 : 0;
	const uint8_t *p;

	memset(dest, 0, sizeof(*dest));
	if (type == TS_SOCKS5_ATYP_DOMAIN)
		len = ts_rd_u8(r);
	p = ts_rd_bytes(r, len);
	if (!first || !whole || !p || !len || len > TS_SIM_NAME_MAX)
		return false;
	if (type == TS_SOCKS5_ATYP_DOMAIN)
		memcpy(dest->name, p, len);
	else if (type == TS_SOCKS5_ATYP_IPV4)
		ts_addr_set4(&dest->addr, p, 0);
	else
		ts_addr_set6(&dest->addr, p, 0);
	dest->resolved = type != TS_SOCKS5_ATYP_DOMAIN;
	dest->addr.port = ts_rd_be16(r);
	return !r->bad;
}

static void on_relay(struct ts_sim_event *ev, uint32_t events)
{
	struct ts_sim_udp *u = ev->owner;

	(void)events;
	for (unsigned i = 0; i < 64; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(ev->fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&from, &len);
		struct ts_sim_dest dest;
		struct udp_target *t;
		struct ts_rd r;

		if (n < 0)
			return;
		u->client = from;
		u->client_len = len;
		r = ts_rd_over(datagram, (size_t)n);
		if (!parse_header(&r, &dest)) {
			ts_sim_stats.bad++;
			continue;
		}
		t = target_for(u, &dest);
		if (!t)
			continue;
		t->stats->udp_up++;
		send(t->ev.fd, r.p, r.left, MSG_NOSIGNAL);
	}
}

int ts_sim_udp_start(struct ts_sim_conn *c, struct ts_addr *bnd)
{
	struct ts_sim_udp *u = ts_sim_alloc(sizeof(*u));
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int err;

	u->relay = (struct ts_sim_event){ .fn = on_relay, .owner = u, .fd = -1 };
	if (getsockname(c->client.fd, (struct sockaddr *)&sa, &len) < 0 ||
	    !ts_addr_from_sockaddr(bnd, (struct sockaddr *)&sa, len))
		goto fail;
	bnd->port = 0;
	len = ts_addr_to_sockaddr(bnd, sa.ss_family, &sa);
	u->relay.fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->relay.fd < 0 || bind(u->relay.fd, (struct sockaddr *)&sa, len) < 0 ||
	    getsockname(u->relay.fd, (struct sockaddr *)&sa, &len) < 0)
		goto fail;
	make_room(u->relay.fd);
	ts_addr_from_sockaddr(bnd, (struct sockaddr *)&sa, len);
	ts_sim_watch(&u->relay, EPOLLIN);
	c->udp = u;
	return 0;
fail:
	err = errno;
	ts_sim_event_close(&u->relay);
	free(u);
	return -err;
}

void ts_sim_udp_stop(struct ts_sim_conn *c)
{
	struct ts_sim_udp *u = c->udp;

	if (!u)
		return;
	while (u->targets) {
		struct udp_target *t = u->targets;

		u->targets = t->next;
		ts_sim_event_close(&t->ev);
		ts_sim_free_later(t);
	}
	ts_sim_event_close(&u->relay);
	ts_sim_free_later(u);
	c->udp = NULL;
}

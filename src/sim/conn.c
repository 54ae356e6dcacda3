/* SPDX-License-Identifier: MIT */
/* Clients: listening, accepting, and one place (ts_sim_conn_update) that derives from the state what is waited for. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim.h"

enum ts_sim_greeting ts_sim_greeting;
unsigned ts_sim_greeting_delay_ms;
bool ts_sim_backlog_full;

static struct ts_sim_listener *listeners;

static void pending(struct ts_sim_conn *c, bool on)
{
	if (c->pending == on)
		return;
	c->pending = on;
	if (!on)
		ts_sim_stats.pending--;
	else if (++ts_sim_stats.pending > ts_sim_stats.pending_max)
		ts_sim_stats.pending_max = ts_sim_stats.pending;
}

void ts_sim_conn_close(struct ts_sim_conn *c)
{
	if (c->client.fd < 0)
		return;
	pending(c, false);
	ts_sim_timer_clear(&c->timer);
	ts_sim_timer_clear(&c->pace_timer);
	ts_sim_udp_stop(c);
	ts_sim_dial_forget(c);
	ts_sim_event_close(&c->client);
	ts_sim_pipe_free(&c->up);
	ts_sim_pipe_free(&c->down);
	free(c->in);
	free(c->forward_head);
	ts_sim_stats.open--;
	ts_sim_free_later(c);
}

void ts_sim_conn_reset(struct ts_sim_conn *c)
{
	struct linger at_once = { .l_onoff = 1 };

	if (c->client.fd >= 0)
		setsockopt(c->client.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	ts_sim_conn_close(c);
}

void ts_sim_conn_consume(struct ts_sim_conn *c, size_t n)
{
	/* A server that does not pipeline loses what came with the message. */
	c->in_len = ts_sim_world.no_pipeline ? 0 : c->in_len - n;
	memmove(c->in, c->in + n, c->in_len);
}

void ts_sim_conn_update(struct ts_sim_conn *c)
{
	uint32_t client = c->down.len && !c->paced ? EPOLLOUT : 0, target = 0;

	if (c->client.fd < 0)
		return;
	switch (c->state) {
	case TS_SIM_GREETING:
	case TS_SIM_AUTH:
	case TS_SIM_REQUEST:
	case TS_SIM_HTTP_HEAD:
	case TS_SIM_UDP:
	case TS_SIM_MUTE:
		client |= EPOLLIN;
		break;
	case TS_SIM_RELAY:
		if (!c->up.len && !c->up.src_eof)
			client |= EPOLLIN;
		if (!c->down.len && !c->down.src_eof)
			target |= EPOLLIN;
		if (c->up.len)
			target |= EPOLLOUT;
		break;
	case TS_SIM_DIALLING:
		target = EPOLLOUT;
		break;
	case TS_SIM_GLUING:
		target = EPOLLIN;
		break;
	case TS_SIM_DELAY:
	case TS_SIM_ENDING:
		break;
	}
	pending(c, c->state == TS_SIM_DELAY || c->state == TS_SIM_DIALLING || c->state == TS_SIM_GLUING);
	ts_sim_watch(&c->client, client);
	ts_sim_watch(&c->target, target);
}

static bool step(struct ts_sim_conn *c)
{
	switch (c->state) {
	case TS_SIM_GREETING:
		if (c->in_len && (c->from->kind == TS_SIM_HTTP || (c->from->kind == TS_SIM_MIXED && c->in[0] != 5))) {
			c->state = TS_SIM_HTTP_HEAD;
			return true;
		}
		return ts_sim_socks_greeting(c);
	case TS_SIM_AUTH:
		return ts_sim_socks_auth(c);
	case TS_SIM_REQUEST:
		return ts_sim_socks_request(c);
	case TS_SIM_HTTP_HEAD:
		return ts_sim_http_head(c);
	default:
		return false;
	}
}

static void read_handshake(struct ts_sim_conn *c)
{
	ssize_t n = recv(c->client.fd, c->in + c->in_len, TS_SIM_IN_MAX - c->in_len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (c->in_len || n < 0)
			ts_sim_stats.bad++;
		ts_sim_conn_close(c);
		return;
	}
	c->in_len += (size_t)n;
	while (c->client.fd >= 0 && step(c))
		;
	if (c->client.fd >= 0 && ts_sim_relay_flush_down(c))
		ts_sim_conn_update(c);
}

/* A control connection says nothing more, and nobody listens to a mute one: only the end matters. */
static void read_end(struct ts_sim_conn *c)
{
	char rest[4096];
	ssize_t n = recv(c->client.fd, rest, sizeof(rest), 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		ts_sim_conn_close(c);
}

static void on_client(struct ts_sim_event *ev, uint32_t events)
{
	struct ts_sim_conn *c = ev->owner;

	if ((events & EPOLLOUT) && !ts_sim_relay_flush_down(c))
		return;
	switch (c->state) {
	case TS_SIM_GREETING:
	case TS_SIM_AUTH:
	case TS_SIM_REQUEST:
	case TS_SIM_HTTP_HEAD:
		if (events & ~(uint32_t)EPOLLOUT)
			read_handshake(c);
		return;
	case TS_SIM_RELAY:
		if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !c->up.len && !ts_sim_relay_up(c))
			return;
		if ((events & EPOLLERR) || ((events & EPOLLHUP) && c->up.src_eof)) {
			ts_sim_conn_close(c);
			return;
		}
		break;
	case TS_SIM_UDP:
	case TS_SIM_MUTE:
		if (events & ~(uint32_t)EPOLLOUT)
			read_end(c);
		break;
	default:
		if (events & (EPOLLHUP | EPOLLERR)) {
			ts_sim_conn_close(c);
			return;
		}
	}
	ts_sim_conn_update(c);
}

static void on_target(struct ts_sim_event *ev, uint32_t events)
{
	struct ts_sim_conn *c = ev->owner;

	if (c->state != TS_SIM_RELAY) {
		ts_sim_dial_event(c);
		return;
	}
	if ((events & EPOLLOUT) && !ts_sim_relay_flush_up(c))
		return;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !c->down.src_eof && !c->down.len && !ts_sim_relay_down(c))
		return;
	if ((events & (EPOLLHUP | EPOLLERR)) && c->down.src_eof) {
		/* Nothing can be written to it any more: the client's bytes go nowhere. */
		ts_sim_conn_close(c);
		return;
	}
	ts_sim_conn_update(c);
}

/* What was asked for --greeting. True where the client goes on as usual. */
static bool greet(struct ts_sim_conn *c)
{
	static const char garbage[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
	static const uint8_t refused[] = { 5, 0xff };

	switch (ts_sim_greeting) {
	case TS_SIM_GREET_EOF:
		ts_sim_conn_close(c);
		return false;
	case TS_SIM_GREET_RST:
		ts_sim_conn_reset(c);
		return false;
	case TS_SIM_GREET_NEVER:
		c->state = TS_SIM_MUTE;
		return true;
	case TS_SIM_GREET_GARBAGE:
		ts_sim_pipe_put(&c->down, garbage, sizeof(garbage) - 1);
		c->state = TS_SIM_MUTE;
		return true;
	case TS_SIM_GREET_REFUSE:
		ts_sim_pipe_put(&c->down, refused, sizeof(refused));
		c->state = TS_SIM_ENDING;
		return true;
	default:
		return true;
	}
}

static void on_timer(struct ts_sim_timer *timer)
{
	struct ts_sim_conn *c = timer->owner;

	if (c->state != TS_SIM_DELAY || c->stats) {
		ts_sim_dial_event(c);
		return;
	}
	c->state = TS_SIM_GREETING;	/* the greeting's own delay */
	ts_sim_conn_update(c);
}

static void start(struct ts_sim_listener *l, int fd)
{
	struct ts_sim_conn *c = ts_sim_alloc(sizeof(*c));
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->client = (struct ts_sim_event){ .fn = on_client, .owner = c, .fd = fd };
	c->target = (struct ts_sim_event){ .fn = on_target, .owner = c, .fd = -1 };
	c->timer = (struct ts_sim_timer){ .fn = on_timer, .owner = c };
	c->pace_timer = (struct ts_sim_timer){ .fn = ts_sim_relay_pace, .owner = c };
	c->from = l;
	c->in = ts_sim_alloc(TS_SIM_IN_MAX);
	c->fault = ts_sim_fault_for(NULL);
	ts_sim_stats.accepted++;
	if (++ts_sim_stats.open > ts_sim_stats.open_max)
		ts_sim_stats.open_max = ts_sim_stats.open;
	if (l->kind == TS_SIM_INBOUND) {
		ts_sim_dial_inbound(c);
	} else if (ts_sim_greeting != TS_SIM_GREET) {
		if (!greet(c) || !ts_sim_relay_flush_down(c))
			return;
	} else if (ts_sim_greeting_delay_ms) {
		c->state = TS_SIM_DELAY;
		ts_sim_timer_set(&c->timer, ts_sim_greeting_delay_ms);
	}
	ts_sim_conn_update(c);
}

static void on_listener(struct ts_sim_event *ev, uint32_t events)
{
	(void)events;
	for (unsigned i = 0; i < 64; i++) {
		int fd = accept4(ev->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		start(ev->owner, fd);
	}
}

/* Fills a queue of one, so that the next connection attempt stays unanswered. The fillers live as long as we do. */
static void fill_backlog(const struct sockaddr *sa, socklen_t len)
{
	for (unsigned i = 0; i < 2; i++) {
		int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, sa, len) < 0 && errno != EINPROGRESS)
			close(fd);
	}
}

void ts_sim_backlog_release(void)
{
	for (struct ts_sim_listener *l = listeners; l; l = l->next) {
		listen(l->ev.fd, 4096);
		ts_sim_watch(&l->ev, EPOLLIN);
	}
}

struct ts_sim_listener *ts_sim_listen(enum ts_sim_kind kind, const struct ts_addr *addr)
{
	struct ts_sim_listener *l = ts_sim_alloc(sizeof(*l));
	struct sockaddr_storage sa;
	int one = 1, family = ts_addr_is4(addr) ? AF_INET : AF_INET6;
	socklen_t len = ts_addr_to_sockaddr(addr, family, &sa);

	l->kind = kind;
	l->ev = (struct ts_sim_event){ .fn = on_listener, .owner = l,
		.fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
	if (l->ev.fd < 0)
		goto fail;
	setsockopt(l->ev.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l->ev.fd, (struct sockaddr *)&sa, len) < 0 || listen(l->ev.fd, ts_sim_backlog_full ? 0 : 4096) < 0)
		goto fail;
	len = sizeof(sa);
	getsockname(l->ev.fd, (struct sockaddr *)&sa, &len);
	ts_addr_from_sockaddr(&l->addr, (struct sockaddr *)&sa, len);
	if (ts_sim_backlog_full)
		fill_backlog((struct sockaddr *)&sa, len);
	else
		ts_sim_watch(&l->ev, EPOLLIN);
	l->next = listeners;
	listeners = l;
	return l;
fail:
	ts_sim_event_close(&l->ev);
	free(l);
	return NULL;
}

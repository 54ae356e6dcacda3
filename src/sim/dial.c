/* SPDX-License-Identifier: MIT */
/*
 * From "the client wants this" to the answer: delay, then dial, then reply, in that order, so that a refusal
 * takes one delay and a peer that is away takes the dial timeout, as with tailscaled.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sim.h"
#include "tsproxy/socks5.h"

#define GLUE_MS 1000

/* Who is behind a loopback source port of ours, for whois. */
static const struct ts_sim_node *behind[65536];

const struct ts_sim_node *ts_sim_dial_whois(uint16_t port)
{
	return behind[port];
}

void ts_sim_dial_forget(struct ts_sim_conn *c)
{
	behind[c->source.port] = NULL;
	c->source.port = 0;
	ts_sim_event_close(&c->target);
}

static void finish(struct ts_sim_conn *c)
{
	if (ts_sim_relay_flush_down(c))
		ts_sim_conn_update(c);
}

static uint8_t code_for(int err)
{
	if (!ts_sim_world.honest_codes)
		return TS_SOCKS5_FAILURE;
	switch (err) {
	case ECONNREFUSED:
		return TS_SOCKS5_REFUSED;
	case ENETUNREACH:
		return TS_SOCKS5_NET_UNREACHABLE;
	case EHOSTUNREACH:
		return TS_SOCKS5_HOST_UNREACHABLE;
	case ETIMEDOUT:
		return TS_SOCKS5_TTL_EXPIRED;
	default:
		return TS_SOCKS5_FAILURE;
	}
}

void ts_sim_dial_fail(struct ts_sim_conn *c, uint8_t code, int err)
{
	if (c->stats)
		c->stats->refused++;
	ts_sim_dial_forget(c);
	ts_sim_timer_clear(&c->timer);
	if (c->from->kind == TS_SIM_INBOUND) {
		ts_sim_conn_reset(c);
		return;
	}
	c->state = c->fault.garbage ? TS_SIM_MUTE : TS_SIM_ENDING;
	if (c->http)
		ts_sim_http_reply(c, err ? err : ECONNREFUSED);
	else
		ts_sim_socks_reply(c, code, NULL);
	finish(c);
}

/* The reply is due; `first` holds the server's first bytes where they go with it. */
static void succeed(struct ts_sim_conn *c, const void *first, size_t n)
{
	ts_sim_timer_clear(&c->timer);
	c->state = TS_SIM_RELAY;
	if (c->http)
		ts_sim_http_reply(c, 0);
	else if (c->from->kind != TS_SIM_INBOUND)
		ts_sim_socks_reply(c, TS_SOCKS5_OK, NULL);
	if (n)
		ts_sim_pipe_put(&c->down, first, n);
	if (c->forward_len)
		ts_sim_pipe_put(&c->up, c->forward_head, c->forward_len);
	if (c->in_len)
		ts_sim_pipe_put(&c->up, c->in, c->in_len);
	free(c->in);
	c->in = NULL;
	c->in_len = 0;
	/* The reply first: a target that is already gone must not swallow it. */
	if (ts_sim_relay_flush_down(c) && (c->state != TS_SIM_RELAY || ts_sim_relay_flush_up(c)))
		ts_sim_conn_update(c);
}

static void dialled(struct ts_sim_conn *c)
{
	const struct ts_sim_node *peer = c->from->kind == TS_SIM_INBOUND ? c->from->peer : ts_sim_world_self();
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(c->target.fd, (struct sockaddr *)&sa, &len) == 0 &&
	    ts_addr_from_sockaddr(&c->source, (struct sockaddr *)&sa, len))
		behind[c->source.port] = peer;
	if (c->fault.glue) {
		c->state = TS_SIM_GLUING;
		ts_sim_timer_set(&c->timer, GLUE_MS);
		ts_sim_conn_update(c);
	} else {
		succeed(c, NULL, 0);
	}
}

static void dial(struct ts_sim_conn *c, const struct ts_addr *to)
{
	int one = 1, family = ts_addr_is4(to) ? AF_INET : AF_INET6;
	struct sockaddr_storage sa;
	socklen_t len = ts_addr_to_sockaddr(to, family, &sa);

	c->state = TS_SIM_DIALLING;
	c->target.fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->target.fd < 0) {
		ts_sim_dial_fail(c, TS_SOCKS5_FAILURE, errno);
		return;
	}
	setsockopt(c->target.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->target.fd, (struct sockaddr *)&sa, len) == 0) {
		dialled(c);
	} else if (errno == EINPROGRESS) {
		ts_sim_timer_set(&c->timer, ts_sim_world.dial_timeout_ms);
		ts_sim_conn_update(c);
	} else {
		ts_sim_dial_fail(c, code_for(errno), errno);
	}
}

static void decide(struct ts_sim_conn *c)
{
	struct ts_addr to;

	if (c->fault.reply > 0) {
		ts_sim_dial_fail(c, (uint8_t)c->fault.reply, ECONNREFUSED);
		return;
	}
	switch (ts_sim_world_route(&c->dest, &to)) {
	case TS_SIM_DIAL:
		dial(c, &to);
		return;
	case TS_SIM_AWAY:
		c->state = TS_SIM_DIALLING;
		ts_sim_timer_set(&c->timer, ts_sim_world.dial_timeout_ms);
		ts_sim_conn_update(c);
		return;
	case TS_SIM_REFUSED:
		ts_sim_dial_fail(c, code_for(ENETUNREACH), ENETUNREACH);
		return;
	case TS_SIM_UNKNOWN:
		ts_sim_dial_fail(c, code_for(EHOSTUNREACH), EHOSTUNREACH);
		return;
	}
}

void ts_sim_dial_request(struct ts_sim_conn *c)
{
	struct ts_sim_dest known = c->dest;
	struct ts_addr ignored;
	char text[TS_ADDR_TEXT_MAX];

	/* Rules name addresses, so a name is looked up for them; the answer itself comes after the delay. */
	ts_sim_world_route(&known, &ignored);
	c->fault = ts_sim_fault_for(&known.addr);
	c->stats = ts_sim_stats_target(&c->dest);
	c->stats->connections++;
	ts_sim_stats.connections++;
	if (ts_sim_verbose) {
		ts_addr_format(&known.addr, text);
		ts_sim_say("%s %s%s%s", c->http ? "HTTP" : "SOCKS5", c->dest.name, c->dest.name[0] ? " = " : "", text);
	}
	if (c->fault.never) {
		c->state = TS_SIM_MUTE;
	} else if (c->fault.delay_ms) {
		c->state = TS_SIM_DELAY;
		ts_sim_timer_set(&c->timer, c->fault.delay_ms);
	} else {
		decide(c);
	}
}

static void glue(struct ts_sim_conn *c)
{
	char first[4096];
	ssize_t n = recv(c->target.fd, first, sizeof(first), 0);

	succeed(c, first, n > 0 ? (size_t)n : 0);
}

/* Readiness of the target's socket, or the timer. */
void ts_sim_dial_event(struct ts_sim_conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	switch (c->state) {
	case TS_SIM_DELAY:
		decide(c);
		return;
	case TS_SIM_GLUING:
		glue(c);
		return;
	case TS_SIM_DIALLING:
		if (c->target.fd < 0 || !c->timer.slot) {
			ts_sim_dial_fail(c, code_for(ETIMEDOUT), ETIMEDOUT);
			return;
		}
		getsockopt(c->target.fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err)
			ts_sim_dial_fail(c, code_for(err), err);
		else
			dialled(c);
		return;
	default:
		return;
	}
}

void ts_sim_dial_inbound(struct ts_sim_conn *c)
{
	c->dest = (struct ts_sim_dest){ .addr = c->from->forward, .resolved = true };
	c->stats = ts_sim_stats_target(&c->dest);
	c->stats->connections++;
	dial(c, &c->from->forward);
}

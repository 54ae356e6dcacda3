/* SPDX-License-Identifier: MIT */
/*
 * Bytes in both directions. What can be written at once goes through one shared buffer; only what a slow
 * reader leaves over is kept, and then its source is not read: thousands of idle connections cost no memory.
 *
 * All bytes to the client, replies included, leave by ts_sim_relay_flush_down(), where pacing and cutting live.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sim.h"

#define SCRATCH (256 * 1024)

static uint8_t scratch[SCRATCH];

void ts_sim_pipe_put(struct ts_sim_pipe *p, const void *data, size_t n)
{
	if (!n)
		return;
	if (p->off + p->len + n > p->cap) {
		size_t cap = p->len + n < 512 ? 512 : p->len + n;
		uint8_t *buf = ts_sim_alloc(cap);

		if (p->len)
			memcpy(buf, p->buf + p->off, p->len);
		free(p->buf);
		p->buf = buf;
		p->off = 0;
		p->cap = cap;
	}
	memcpy(p->buf + p->off + p->len, data, n);
	p->len += n;
	p->queued += n;
}

void ts_sim_pipe_free(struct ts_sim_pipe *p)
{
	free(p->buf);
	p->buf = NULL;
	p->off = p->len = p->cap = 0;
}

static void took(struct ts_sim_pipe *p, size_t n)
{
	p->off += n;
	p->len -= n;
	p->sent += n;
	if (!p->len)
		ts_sim_pipe_free(p);
}

/* Bytes that may go to the client now; *wait_ms > 0: then a pause. */
static size_t allowance(const struct ts_sim_conn *c, unsigned *wait_ms)
{
	const struct ts_sim_fault *f = &c->fault;
	bool reply = c->state != TS_SIM_RELAY || c->down.sent < c->reply_end;
	unsigned n = reply ? f->dribble_n : f->pace_n;
	size_t max = c->down.len;

	*wait_ms = 0;
	if (c->paced)
		return 0;
	if (n) {
		*wait_ms = reply ? f->dribble_ms : f->pace_ms;
		if (max > n)
			max = n;
	}
	if (f->end && c->reply_end) {
		uint64_t limit = c->reply_start + f->end_at;
		uint64_t left = limit > c->down.sent ? limit - c->down.sent : 0;

		if (max > left)
			max = (size_t)left;
	}
	return max;
}

static bool at_end(const struct ts_sim_conn *c)
{
	return c->fault.end && c->reply_end && c->down.sent >= c->reply_start + c->fault.end_at;
}

/* The fault's end was reached: false where the connection is gone. */
static bool meet_end(struct ts_sim_conn *c)
{
	switch (c->fault.end) {
	case TS_SIM_END_RST:
		ts_sim_conn_reset(c);
		return false;
	case TS_SIM_END_EOF:
		ts_sim_conn_close(c);
		return false;
	default:
		ts_sim_pipe_free(&c->down);
		ts_sim_dial_forget(c);
		c->state = TS_SIM_MUTE;
		return true;
	}
}

/* A direction is drained and its source has ended: tells the destination. False where that was the end of all. */
static bool pass_eof(struct ts_sim_conn *c, struct ts_sim_pipe *p, int dst)
{
	if (!p->src_eof || p->len || p->dst_shut)
		return true;
	p->dst_shut = true;
	if (c->fault.no_half_close || (c->up.dst_shut && c->down.dst_shut)) {
		ts_sim_conn_close(c);
		return false;
	}
	shutdown(dst, SHUT_WR);
	return true;
}

bool ts_sim_relay_flush_down(struct ts_sim_conn *c)
{
	while (c->down.len && !at_end(c)) {
		unsigned wait_ms;
		size_t max = allowance(c, &wait_ms);
		ssize_t n;

		if (!max)
			break;
		n = send(c->client.fd, c->down.buf + c->down.off, max, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			ts_sim_conn_close(c);
			return false;
		}
		took(&c->down, (size_t)n);
		if (wait_ms && c->down.len) {
			c->paced = true;
			ts_sim_timer_set(&c->pace_timer, wait_ms);
			break;
		}
	}
	if (at_end(c) && c->state != TS_SIM_MUTE)
		return meet_end(c);
	if (c->state == TS_SIM_ENDING && !c->down.len) {
		ts_sim_conn_close(c);
		return false;
	}
	return pass_eof(c, &c->down, c->client.fd);
}

void ts_sim_relay_pace(struct ts_sim_timer *timer)
{
	struct ts_sim_conn *c = timer->owner;

	c->paced = false;
	if (ts_sim_relay_flush_down(c))
		ts_sim_conn_update(c);
}

bool ts_sim_relay_flush_up(struct ts_sim_conn *c)
{
	while (c->up.len) {
		ssize_t n = send(c->target.fd, c->up.buf + c->up.off, c->up.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			ts_sim_conn_close(c);
			return false;
		}
		took(&c->up, (size_t)n);
	}
	return pass_eof(c, &c->up, c->target.fd);
}

bool ts_sim_relay_up(struct ts_sim_conn *c)
{
	ssize_t sent, n = recv(c->client.fd, scratch, sizeof(scratch), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		ts_sim_conn_close(c);
		return false;
	}
	if (n == 0) {
		c->up.src_eof = true;
		return pass_eof(c, &c->up, c->target.fd);
	}
	ts_sim_stats.up += (uint64_t)n;
	if (c->stats)
		c->stats->up += (uint64_t)n;
	sent = send(c->target.fd, scratch, (size_t)n, MSG_NOSIGNAL);
	if (sent < 0)
		sent = 0;	/* an error shows again when the rest is flushed */
	if (sent < n)
		ts_sim_pipe_put(&c->up, scratch + sent, (size_t)(n - sent));
	return true;
}

bool ts_sim_relay_down(struct ts_sim_conn *c)
{
	const struct ts_sim_fault *f = &c->fault;
	ssize_t n = recv(c->target.fd, scratch, sizeof(scratch), 0);
	ssize_t sent = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		ts_sim_conn_close(c);
		return false;
	}
	if (n == 0) {
		c->down.src_eof = true;
		return pass_eof(c, &c->down, c->client.fd);
	}
	ts_sim_stats.down += (uint64_t)n;
	if (c->stats)
		c->stats->down += (uint64_t)n;
	if (!f->end && !f->pace_n && !c->down.len && !c->paced) {
		sent = send(c->client.fd, scratch, (size_t)n, MSG_NOSIGNAL);
		if (sent < 0)
			sent = 0;
		c->down.queued += (uint64_t)sent;
		c->down.sent += (uint64_t)sent;
	}
	if (sent < n)
		ts_sim_pipe_put(&c->down, scratch + sent, (size_t)(n - sent));
	return ts_sim_relay_flush_down(c);
}

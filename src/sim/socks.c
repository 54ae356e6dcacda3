/* SPDX-License-Identifier: MIT */
/* The server's side of SOCKS5 (RFC 1928, RFC 1929), as strict about it as tailscaled is. */
#include <string.h>
#include <sys/socket.h>

#include "sim.h"
#include "tsproxy/buf.h"
#include "tsproxy/socks5.h"

static bool refuse(struct ts_sim_conn *c)
{
	ts_sim_stats.bad++;
	ts_sim_say("bad request: byte %02x", c->in[0]);
	ts_sim_conn_close(c);
	return false;
}

static void say(struct ts_sim_conn *c, const uint8_t *p, size_t n)
{
	ts_sim_pipe_put(&c->down, p, n);
	/* tailscaled writes every reply by itself; a send at once keeps the two apart. */
	if (!ts_sim_world.one_write)
		ts_sim_relay_flush_down(c);
}

bool ts_sim_socks_greeting(struct ts_sim_conn *c)
{
	struct ts_rd r = ts_rd_over(c->in, c->in_len);
	uint8_t want = ts_sim_world.user ? TS_SOCKS5_METHOD_USERPASS : TS_SOCKS5_METHOD_NONE;
	uint8_t reply[2] = { TS_SOCKS5_VERSION, TS_SOCKS5_METHOD_REFUSED };
	uint8_t version = ts_rd_u8(&r), n = ts_rd_u8(&r);
	const uint8_t *methods = ts_rd_bytes(&r, n);

	if (c->in_len && version != TS_SOCKS5_VERSION)
		return refuse(c);
	if (r.bad)
		return false;
	if (memchr(methods, want, n))
		reply[1] = want;
	ts_sim_conn_consume(c, 2u + n);
	if (reply[1] == TS_SOCKS5_METHOD_REFUSED) {
		ts_sim_stats.bad++;
		c->state = TS_SIM_ENDING;
	} else {
		c->state = want == TS_SOCKS5_METHOD_NONE ? TS_SIM_REQUEST : TS_SIM_AUTH;
	}
	say(c, reply, sizeof(reply));
	return true;
}

bool ts_sim_socks_auth(struct ts_sim_conn *c)
{
	struct ts_rd r = ts_rd_over(c->in, c->in_len);
	uint8_t reply[2] = { 1, 1 };
	uint8_t version = ts_rd_u8(&r), user_len = ts_rd_u8(&r);
	const uint8_t *user = ts_rd_bytes(&r, user_len);
	uint8_t pass_len = ts_rd_u8(&r);
	const uint8_t *pass = ts_rd_bytes(&r, pass_len);
	const struct ts_sim_world *w = &ts_sim_world;

	if (c->in_len && version != 1)
		return refuse(c);
	if (r.bad)
		return false;
	if (user_len == strlen(w->user) && memcmp(user, w->user, user_len) == 0 && pass_len == strlen(w->pass) &&
	    memcmp(pass, w->pass, pass_len) == 0)
		reply[1] = 0;
	ts_sim_conn_consume(c, 3u + user_len + pass_len);
	c->state = reply[1] ? TS_SIM_ENDING : TS_SIM_REQUEST;
	say(c, reply, sizeof(reply));
	return true;
}

/* Reads the address of a request into c->dest. */
static bool read_dest(struct ts_rd *r, struct ts_sim_dest *dest)
{
	uint8_t type = ts_rd_u8(r), len;
	const uint8_t *p;

	memset(dest, 0, sizeof(*dest));
	switch (type) {
	case TS_SOCKS5_ATYP_IPV4:
		p = ts_rd_bytes(r, 4);
		if (p)
			ts_addr_set4(&dest->addr, p, 0);
		dest->resolved = true;
		break;
	case TS_SOCKS5_ATYP_IPV6:
		p = ts_rd_bytes(r, 16);
		if (p)
			ts_addr_set6(&dest->addr, p, 0);
		dest->resolved = true;
		break;
	case TS_SOCKS5_ATYP_DOMAIN:
		len = ts_rd_u8(r);
		p = ts_rd_bytes(r, len);
		if (p && !memchr(p, 0, len))
			memcpy(dest->name, p, len);
		else if (p)
			return false;
		break;
	default:
		return r->bad;
	}
	dest->addr.port = ts_rd_be16(r);
	return true;
}

static void associate(struct ts_sim_conn *c)
{
	struct ts_addr bnd;

	if (ts_sim_world.no_udp) {
		ts_sim_dial_fail(c, TS_SOCKS5_BAD_COMMAND, 0);
	} else if (ts_sim_udp_start(c, &bnd) < 0) {
		ts_sim_dial_fail(c, TS_SOCKS5_FAILURE, 0);
	} else {
		ts_sim_stats.udp_associations++;
		c->state = TS_SIM_UDP;
		ts_sim_socks_reply(c, TS_SOCKS5_OK, &bnd);
	}
}

bool ts_sim_socks_request(struct ts_sim_conn *c)
{
	struct ts_rd r = ts_rd_over(c->in, c->in_len);
	uint8_t version = ts_rd_u8(&r), cmd = ts_rd_u8(&r);

	ts_rd_u8(&r);
	if (c->in_len && version != TS_SOCKS5_VERSION)
		return refuse(c);
	if (!read_dest(&r, &c->dest))
		return refuse(c);
	if (r.bad)
		return false;
	ts_sim_conn_consume(c, c->in_len - r.left);
	if (cmd == TS_SOCKS5_CMD_CONNECT)
		ts_sim_dial_request(c);
	else if (cmd == TS_SOCKS5_CMD_UDP_ASSOCIATE)
		associate(c);
	else
		ts_sim_dial_fail(c, TS_SOCKS5_BAD_COMMAND, 0);
	return true;
}

static void put_addr(struct ts_wr *w, const struct ts_addr *addr)
{
	bool is4 = ts_addr_is4(addr);

	ts_wr_u8(w, is4 ? TS_SOCKS5_ATYP_IPV4 : TS_SOCKS5_ATYP_IPV6);
	ts_wr_bytes(w, is4 ? addr->ip + 12 : addr->ip, is4 ? 4 : 16);
	ts_wr_be16(w, addr->port);
}

/* What the far side sees: this node's own address, of the target's family; what the host dialled sees the host's. */
static void put_bnd(struct ts_wr *w, const struct ts_sim_conn *c)
{
	static const struct ts_addr zero = { .ip = { [10] = 0xff, [11] = 0xff } };
	const struct ts_sim_node *self = ts_sim_world_self();
	bool want6 = c->dest.resolved && !ts_addr_is4(&c->dest.addr);
	bool tailnet = c->dest.resolved &&
		(ts_sim_world_node_at(c->dest.addr.ip) || ts_sim_world_node_routing(c->dest.addr.ip));
	struct ts_addr bnd = c->source;

	if (tailnet && self)
		bnd = (want6 && self->has6) || !self->has4 ? self->ip6 : self->ip4;
	bnd.port = c->source.port;
	switch (c->fault.bnd) {
	case TS_SIM_BND_ZERO:
		put_addr(w, &zero);
		return;
	case TS_SIM_BND_IPV4:
		if (self && self->has4)
			memcpy(bnd.ip, self->ip4.ip, 16);
		break;
	case TS_SIM_BND_IPV6:
		if (self && self->has6)
			memcpy(bnd.ip, self->ip6.ip, 16);
		break;
	case TS_SIM_BND_DOMAIN:
		ts_wr_u8(w, TS_SOCKS5_ATYP_DOMAIN);
		ts_wr_u8(w, (uint8_t)c->fault.bnd_len);
		for (unsigned i = 0; i < c->fault.bnd_len; i++)
			ts_wr_u8(w, 'd');
		ts_wr_be16(w, bnd.port);
		return;
	case TS_SIM_BND_TRUE:
		break;
	}
	put_addr(w, &bnd);
}

void ts_sim_socks_reply(struct ts_sim_conn *c, uint8_t code, const struct ts_addr *bnd)
{
	static const uint8_t garbage[] = "\x05\x00\x07\x09 this is no reply of any kind";
	static const struct ts_addr zero = { .ip = { [10] = 0xff, [11] = 0xff } };
	uint8_t out[TS_SOCKS5_REPLY_MAX];
	struct ts_wr w = ts_wr_over(out, sizeof(out));

	ts_wr_u8(&w, TS_SOCKS5_VERSION);
	ts_wr_u8(&w, code);
	ts_wr_u8(&w, 0);
	if (code != TS_SOCKS5_OK)
		put_addr(&w, &zero);
	else if (bnd)
		put_addr(&w, bnd);
	else
		put_bnd(&w, c);
	c->reply_start = c->down.queued;
	c->reply_end = c->reply_start + w.len;
	if (c->fault.garbage)
		ts_sim_pipe_put(&c->down, garbage, sizeof(garbage) - 1);
	else
		ts_sim_pipe_put(&c->down, out, w.len);
}

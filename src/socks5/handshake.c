/* SPDX-License-Identifier: MIT */
/* The state machine over the codec: see handshake.h for its states. */
#include "tsproxy/handshake.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/endpoint.h"
#include "tsproxy/http_connect.h"
#include "tsproxy/socks5.h"

void ts_handshake_init(struct ts_handshake *hs, uint8_t kind, bool pipelined, bool auth, const struct ts_addr *target)
{
	memset(hs, 0, sizeof(*hs));
	hs->state = TS_HS_START;
	hs->kind = kind;
	hs->cmd = TS_SOCKS5_CMD_CONNECT;
	hs->auth = auth;
	hs->pipelined = pipelined && !auth;	/* credentials go only to a proxy that asked for them */
	hs->target = *target;
}

static void fail(struct ts_handshake *hs, int err)
{
	hs->state = TS_HS_FAILED;
	hs->err = err;
}

static size_t request(const struct ts_handshake *hs, uint8_t *out, size_t cap, const char *host)
{
	if (hs->named)
		return ts_socks5_request_name(out, cap, hs->cmd, host, hs->target.port);
	return ts_socks5_request(out, cap, hs->cmd, &hs->target);
}

size_t ts_handshake_output(struct ts_handshake *hs, uint8_t *out, size_t cap, const char *user, const char *pass,
			   const char *host)
{
	size_t n = 0;

	if (hs->named && !host) {
		fail(hs, EHOSTUNREACH);
		return 0;
	}
	switch (hs->state) {
	case TS_HS_START:
		if (hs->kind == TS_PROXY_HTTP) {
			n = ts_http_connect_request(out, cap, &hs->target, hs->named ? host : NULL,
						    hs->auth ? user : "", pass);
			hs->state = TS_HS_RESPONSE;
			break;
		}
		n = ts_socks5_greeting(out, cap, hs->auth);
		if (hs->pipelined)
			n += request(hs, out + n, cap - n, host);
		hs->state = TS_HS_METHOD;
		break;
	case TS_HS_AUTH:
		if (hs->sent)
			return 0;
		hs->sent = true;
		n = ts_socks5_auth(out, cap, user, pass);
		break;
	case TS_HS_REPLY:
		if (hs->sent)
			return 0;
		hs->sent = true;
		n = request(hs, out, cap, host);
		break;
	default:
		return 0;
	}
	if (n == 0)
		fail(hs, EACCES);	/* only credentials can be too long */
	return n;
}

static int input_method(struct ts_handshake *hs, const uint8_t *p, size_t n)
{
	uint8_t method;
	size_t need;
	int r = ts_socks5_parse_method(p, n, &method, &need);

	if (r <= 0)
		return r;
	/* One that needs no user takes anybody: a user that is named all the same, as in an old configuration, is no fault. */
	if (method != TS_SOCKS5_METHOD_NONE && !(hs->auth && method == TS_SOCKS5_METHOD_USERPASS)) {
		fail(hs, method == TS_SOCKS5_METHOD_REFUSED ? EACCES : ECONNREFUSED);
		return r;
	}
	hs->state = method == TS_SOCKS5_METHOD_USERPASS ? TS_HS_AUTH : TS_HS_REPLY;
	hs->sent = hs->pipelined;
	return r;
}

static int input_auth(struct ts_handshake *hs, const uint8_t *p, size_t n)
{
	bool granted;
	size_t need;
	int r = ts_socks5_parse_auth(p, n, &granted, &need);

	if (r <= 0)
		return r;
	hs->sent = false;
	hs->state = TS_HS_REPLY;
	if (!granted)
		fail(hs, EACCES);
	return r;
}

static int input_reply(struct ts_handshake *hs, const uint8_t *p, size_t n)
{
	struct ts_socks5_reply reply;
	size_t need;
	int r = ts_socks5_parse_reply(p, n, &reply, &need);

	if (r <= 0)
		return r;
	if (reply.code != TS_SOCKS5_OK) {
		hs->code = reply.code;
		fail(hs, ECONNREFUSED);	/* the caller knows the time that it took: ts_socks5_code_errno */
		return r;
	}
	hs->state = TS_HS_DONE;
	hs->bnd_known = reply.bnd_known;
	hs->bnd = reply.bnd;
	return r;
}

static int input_response(struct ts_handshake *hs, const uint8_t *p, size_t n)
{
	int err, r = ts_http_connect_parse(p, n, &err);

	if (r <= 0)
		return r;
	if (err)
		fail(hs, err);
	else
		hs->state = TS_HS_DONE;
	return r;
}

size_t ts_handshake_input(struct ts_handshake *hs, const uint8_t *p, size_t n, bool eof)
{
	int r = 0;

	if (n > 0) {
		switch (hs->state) {
		case TS_HS_METHOD:
			r = input_method(hs, p, n);
			break;
		case TS_HS_AUTH:
			r = input_auth(hs, p, n);
			break;
		case TS_HS_REPLY:
			r = input_reply(hs, p, n);
			break;
		case TS_HS_RESPONSE:
			r = input_response(hs, p, n);
			break;
		default:
			return 0;
		}
	}
	if (r < 0 || (r == 0 && eof && hs->state < TS_HS_DONE)) {
		fail(hs, ECONNREFUSED);
		return 0;
	}
	return (size_t)r;
}

size_t ts_handshake_need(const struct ts_handshake *hs, const uint8_t *p, size_t have)
{
	struct ts_socks5_reply reply;
	size_t need = 1;

	switch (hs->state) {
	case TS_HS_METHOD:
		/* Both answers at once: a refusal of the method comes with the end of the stream, which also wakes. */
		need = hs->pipelined ? 2 + TS_SOCKS5_REPLY_MIN : 2;
		break;
	case TS_HS_AUTH:
		need = 2;
		break;
	case TS_HS_REPLY:
		if (ts_socks5_parse_reply(p, have, &reply, &need) < 0)
			need = 1;
		break;
	case TS_HS_RESPONSE:
		need = 16;
		break;
	default:
		break;
	}
	return need > have ? need : have + 1;
}

int ts_socks5_code_errno(uint8_t code, unsigned elapsed_ms, bool offline)
{
	switch (code) {
	case TS_SOCKS5_FAILURE:
		/* tailscaled says 1 for everything: refusals come within a round trip, its dial gives up after 5 s. */
		return elapsed_ms >= 4500 || offline ? ETIMEDOUT : ECONNREFUSED;
	case TS_SOCKS5_NOT_ALLOWED:
		return EACCES;
	case TS_SOCKS5_NET_UNREACHABLE:
		return ENETUNREACH;
	case TS_SOCKS5_HOST_UNREACHABLE:
		return EHOSTUNREACH;
	case TS_SOCKS5_TTL_EXPIRED:
		return ETIMEDOUT;
	case TS_SOCKS5_BAD_COMMAND:
		return EOPNOTSUPP;
	case TS_SOCKS5_BAD_ADDRESS:
		return EAFNOSUPPORT;
	default:
		return ECONNREFUSED;
	}
}

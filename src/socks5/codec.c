/* SPDX-License-Identifier: MIT */
/* The messages of RFC 1928 and RFC 1929: see socks5.h. */
#include "tsproxy/socks5.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/buf.h"

static size_t written(const struct ts_wr *w)
{
	return w->bad ? 0 : w->len;
}

size_t ts_socks5_greeting(uint8_t *out, size_t cap, bool auth)
{
	struct ts_wr w = ts_wr_over(out, cap);

	ts_wr_u8(&w, TS_SOCKS5_VERSION);
	ts_wr_u8(&w, auth ? 2 : 1);
	ts_wr_u8(&w, TS_SOCKS5_METHOD_NONE);
	if (auth)
		ts_wr_u8(&w, TS_SOCKS5_METHOD_USERPASS);
	return written(&w);
}

size_t ts_socks5_auth(uint8_t *out, size_t cap, const char *user, const char *pass)
{
	struct ts_wr w = ts_wr_over(out, cap);
	size_t user_len = strlen(user), pass_len = strlen(pass);

	if (user_len > 255 || pass_len > 255)
		return 0;
	ts_wr_u8(&w, 1);	/* version of the sub-negotiation */
	ts_wr_u8(&w, (uint8_t)user_len);
	ts_wr_bytes(&w, user, user_len);
	ts_wr_u8(&w, (uint8_t)pass_len);
	ts_wr_bytes(&w, pass, pass_len);
	return written(&w);
}

static void write_head(struct ts_wr *w, uint8_t cmd, uint8_t atyp)
{
	ts_wr_u8(w, TS_SOCKS5_VERSION);
	ts_wr_u8(w, cmd);
	ts_wr_u8(w, 0);
	ts_wr_u8(w, atyp);
}

size_t ts_socks5_request(uint8_t *out, size_t cap, uint8_t cmd, const struct ts_addr *to)
{
	struct ts_wr w = ts_wr_over(out, cap);

	if (ts_addr_is4(to)) {
		write_head(&w, cmd, TS_SOCKS5_ATYP_IPV4);
		ts_wr_bytes(&w, to->ip + 12, 4);
	} else {
		write_head(&w, cmd, TS_SOCKS5_ATYP_IPV6);
		ts_wr_bytes(&w, to->ip, 16);
	}
	ts_wr_be16(&w, to->port);
	return written(&w);
}

size_t ts_socks5_request_name(uint8_t *out, size_t cap, uint8_t cmd, const char *host, uint16_t port)
{
	struct ts_wr w = ts_wr_over(out, cap);
	size_t len = strlen(host);

	if (len == 0 || len > 255)
		return 0;
	write_head(&w, cmd, TS_SOCKS5_ATYP_DOMAIN);
	ts_wr_u8(&w, (uint8_t)len);
	ts_wr_bytes(&w, host, len);
	ts_wr_be16(&w, port);
	return written(&w);
}

/* A message of two bytes, VERSION and a value: the method's and the authentication's answer alike. */
static int parse_pair(const uint8_t *p, size_t n, uint8_t version, uint8_t *value, size_t *need)
{
	*need = 2;
	if (n >= 1 && p[0] != version)
		return -EPROTO;
	if (n < 2)
		return 0;
	*value = p[1];
	return 2;
}

int ts_socks5_parse_method(const uint8_t *p, size_t n, uint8_t *method, size_t *need)
{
	return parse_pair(p, n, TS_SOCKS5_VERSION, method, need);
}

int ts_socks5_parse_auth(const uint8_t *p, size_t n, bool *granted, size_t *need)
{
	uint8_t status = 1;
	int r = parse_pair(p, n, 1, &status, need);

	*granted = status == 0;
	return r;
}

int ts_socks5_parse_reply(const uint8_t *p, size_t n, struct ts_socks5_reply *out, size_t *need)
{
	static const uint8_t any6[16];
	struct ts_rd r = ts_rd_over(p, n);
	size_t addr_len;

	*need = TS_SOCKS5_REPLY_MIN;
	if (n >= 1 && p[0] != TS_SOCKS5_VERSION)
		return -EPROTO;
	if (n < 5)
		return 0;
	ts_rd_u8(&r);
	out->code = ts_rd_u8(&r);
	ts_rd_u8(&r);
	out->bnd_known = true;
	switch (ts_rd_u8(&r)) {
	case TS_SOCKS5_ATYP_IPV4:
		addr_len = 4;
		break;
	case TS_SOCKS5_ATYP_IPV6:
		addr_len = 16;
		break;
	case TS_SOCKS5_ATYP_DOMAIN:
		addr_len = ts_rd_u8(&r);
		out->bnd_known = false;
		break;
	default:
		return -EPROTO;
	}
	*need = n - r.left + addr_len + 2;
	const uint8_t *addr = ts_rd_bytes(&r, addr_len);
	uint16_t port = ts_rd_be16(&r);

	if (r.bad)
		return 0;
	if (addr_len == 4 && out->bnd_known)
		ts_addr_set4(&out->bnd, addr, port);
	else
		ts_addr_set6(&out->bnd, out->bnd_known ? addr : any6, port);
	return (int)*need;
}

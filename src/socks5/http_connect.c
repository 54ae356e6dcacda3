/* SPDX-License-Identifier: MIT */
/* HTTP CONNECT: see http_connect.h. */
#include "tsproxy/http_connect.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/buf.h"

static void write_base64(struct ts_wr *w, const uint8_t *p, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);

		ts_wr_u8(w, (uint8_t)digits[v >> 18]);
		ts_wr_u8(w, (uint8_t)digits[v >> 12 & 63]);
		ts_wr_u8(w, i + 1 < n ? (uint8_t)digits[v >> 6 & 63] : '=');
		ts_wr_u8(w, i + 2 < n ? (uint8_t)digits[v & 63] : '=');
	}
}

static void write_target(struct ts_wr *w, const struct ts_addr *to, const char *name)
{
	char text[TS_ADDR_TEXT_MAX];

	if (!name) {
		ts_addr_format(to, text);
		ts_wr_str(w, text);
		return;
	}
	ts_wr_str(w, name);
	ts_wr_u8(w, ':');
	ts_wr_dec(w, to->port);
}

/* RFC 7617. Not in ts_http_connect_request, for its frame. */
static __attribute__((noinline)) void write_credentials(struct ts_wr *w, const char *user, const char *pass)
{
	uint8_t cred[512];
	struct ts_wr c = ts_wr_over(cred, sizeof(cred));

	ts_wr_str(&c, user);
	ts_wr_u8(&c, ':');
	ts_wr_str(&c, pass);
	w->bad |= c.bad;
	ts_wr_str(w, "\r\nProxy-Authorization: Basic ");
	write_base64(w, cred, c.len);
}

size_t ts_http_connect_request(uint8_t *out, size_t cap, const struct ts_addr *to, const char *name, const char *user,
			       const char *pass)
{
	struct ts_wr w = ts_wr_over(out, cap);

	ts_wr_str(&w, "CONNECT ");
	write_target(&w, to, name);
	ts_wr_str(&w, " HTTP/1.1\r\nHost: ");
	write_target(&w, to, name);
	if (user[0])
		write_credentials(&w, user, pass);
	ts_wr_str(&w, "\r\n\r\n");
	return w.bad ? 0 : w.len;
}

/* The length of the header section with its empty line, or 0. */
static size_t header_end(const uint8_t *p, size_t n)
{
	for (size_t i = 3; i < n; i++)
		if (p[i] == '\n' && p[i - 1] == '\r' && p[i - 2] == '\n' && p[i - 3] == '\r')
			return i + 1;
	return 0;
}

static bool contains(const uint8_t *p, size_t n, const char *what)
{
	size_t len = strlen(what);

	for (size_t i = 0; i + len <= n; i++)
		if (memcmp(p + i, what, len) == 0)
			return true;
	return false;
}

/* tailscaled says why in words: "connect tcp 100.64.0.2:3999: connection was refused". */
static int refusal_errno(const uint8_t *p, size_t n, unsigned status)
{
	if (contains(p, n, "refused"))
		return ECONNREFUSED;
	if (contains(p, n, "no route to host") || contains(p, n, "host is unreachable"))
		return EHOSTUNREACH;
	if (contains(p, n, "network is unreachable"))
		return ENETUNREACH;
	if (contains(p, n, "timed out") || contains(p, n, "timeout") || contains(p, n, "deadline exceeded") || status == 504)
		return ETIMEDOUT;
	if (status == 403 || status == 407)
		return EACCES;
	return ECONNREFUSED;
}

int ts_http_connect_parse(const uint8_t *p, size_t n, int *err)
{
	static const char start[] = "HTTP/1.";
	size_t end, known = n < sizeof(start) - 1 ? n : sizeof(start) - 1;
	unsigned status = 0;

	if (memcmp(p, start, known) != 0)
		return -EPROTO;
	end = header_end(p, n);
	if (!end)
		return n >= TS_HTTP_RESPONSE_MAX ? -EPROTO : 0;
	if (end < 13 || p[8] != ' ')
		return -EPROTO;
	for (int i = 9; i < 12; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -EPROTO;
		status = status * 10 + (unsigned)(p[i] - '0');
	}
	*err = status >= 200 && status < 300 ? 0 : refusal_errno(p, end, status);
	return (int)end;
}

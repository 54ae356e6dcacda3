/* SPDX-License-Identifier: MIT */
/*
 * The HTTP proxy: CONNECT, and requests in absolute form (what curl sends where http_proxy is set). The latter are
 * forwarded in origin form, one to a connection, so that no body needs to be understood.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim.h"
#include "tsproxy/buf.h"

static bool bad(struct ts_sim_conn *c, const char *status)
{
	char text[160];
	int n = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status,
			 strncmp(status, "407", 3) ? "" : "Proxy-Authenticate: Basic realm=\"tailnet\"\r\n");

	ts_sim_stats.bad++;
	c->state = TS_SIM_ENDING;
	ts_sim_pipe_put(&c->down, text, (size_t)n);
	return false;
}

static void base64(const char *in, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = (const uint8_t *)in;
	size_t n = strlen(in);

	for (; n; n = n > 3 ? n - 3 : 0, p += 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)(n > 1 ? p[1] : 0) << 8 | (n > 2 ? p[2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = n > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = n > 2 ? digits[v & 63] : '=';
	}
	*out = '\0';
}

/* The value of a header in `head` (NUL-terminated, lines end with CRLF), or null. */
static const char *header(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
			return line + 3 + len + strspn(line + 3 + len, " ");
	return NULL;
}

static bool authorized(const char *head)
{
	const char *got = header(head, "Proxy-Authorization");
	char plain[512], want[700];

	if (!ts_sim_world.user)
		return true;
	snprintf(plain, sizeof(plain), "%s:%s", ts_sim_world.user, ts_sim_world.pass);
	base64(plain, want);
	return got && strncasecmp(got, "Basic ", 6) == 0 && strncmp(got + 6, want, strlen(want)) == 0 &&
		got[6 + strlen(want)] == '\r';
}

/* "HOST:PORT", "[IPv6]:PORT", or with a default port "HOST". */
static bool parse_authority(const char *s, size_t len, uint16_t otherwise, struct ts_sim_dest *dest)
{
	char text[TS_SIM_NAME_MAX + 16];
	char *colon, *end, *host = text;
	struct ts_addr addr;
	unsigned long port = otherwise;

	memset(dest, 0, sizeof(*dest));
	if (!len || len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	colon = strrchr(text, ':');
	if (colon && !strchr(colon, ']')) {
		*colon = '\0';
		port = strtoul(colon + 1, &end, 10);
		if (*end)
			return false;
	}
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		host++;
	}
	if (!port || port > 65535 || !*host || strlen(host) >= sizeof(dest->name))
		return false;
	if (ts_addr_parse(host, strlen(host), &addr)) {
		dest->addr = addr;
		dest->resolved = true;
	} else {
		strcpy(dest->name, host);
	}
	dest->addr.port = (uint16_t)port;
	return true;
}

/* Rewrites "METHOD http://HOST/PATH HTTP/1.1" and the headers into c->forward_head. */
static bool rewrite(struct ts_sim_conn *c, const char *head, const char *url, size_t method_len)
{
	const char *host = url + 7, *path = host + strcspn(host, "/ \r"), *line;
	FILE *f;

	if (strncasecmp(url, "http://", 7) != 0 || !parse_authority(host, (size_t)(path - host), 80, &c->dest))
		return false;
	f = open_memstream(&c->forward_head, &c->forward_len);
	if (!f)
		return false;
	fprintf(f, "%.*s %s", (int)method_len, head, *path == '/' ? "" : "/");
	line = strstr(path, "\r\n");
	fprintf(f, "%.*s\r\nConnection: close\r\n", (int)(line - path - (*path == ' ')), path + (*path == ' '));
	for (line += 2; *line && *line != '\r'; line = strstr(line, "\r\n") + 2)
		if (strncasecmp(line, "Proxy-", 6) != 0 && strncasecmp(line, "Connection:", 11) != 0)
			fprintf(f, "%.*s\r\n", (int)strcspn(line, "\r"), line);
	fputs("\r\n", f);
	fclose(f);
	return true;
}

bool ts_sim_http_head(struct ts_sim_conn *c)
{
	char *end = c->in_len ? memmem(c->in, c->in_len, "\r\n\r\n", 4) : NULL;
	size_t len = end ? (size_t)(end + 4 - (char *)c->in) : 0;
	char head[TS_SIM_IN_MAX + 1];
	size_t method_len;
	const char *url;
	bool tunnel;

	c->http = true;
	if (!end)
		return c->in_len == TS_SIM_IN_MAX ? bad(c, "431 Request Header Fields Too Large") : false;
	memcpy(head, c->in, len);
	head[len] = '\0';
	method_len = strcspn(head, " \r");
	url = head + method_len + (head[method_len] == ' ');
	tunnel = method_len == 7 && memcmp(head, "CONNECT", 7) == 0;
	if (!authorized(head))
		return bad(c, "407 Proxy Authentication Required");
	if (tunnel ? !parse_authority(url, strcspn(url, " \r"), 0, &c->dest) : !rewrite(c, head, url, method_len))
		return bad(c, "400 Bad Request");
	ts_sim_conn_consume(c, len);
	ts_sim_stats.http++;
	ts_sim_dial_request(c);
	return true;
}

static const char *why(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return "connection was refused";
	case ETIMEDOUT:
		return "operation timed out";
	case EHOSTUNREACH:
		return "no such host";
	default:
		return "network is unreachable";
	}
}

void ts_sim_http_reply(struct ts_sim_conn *c, int err)
{
	static const char garbage[] = "HTTP what is this\n";
	char to[TS_ADDR_TEXT_MAX + TS_SIM_NAME_MAX], text[1024];
	int n = 0;

	c->reply_start = c->down.queued;
	if (c->fault.garbage) {
		n = snprintf(text, sizeof(text), "%s", garbage);
	} else if (err) {
		if (c->dest.resolved)
			ts_addr_format(&c->dest.addr, to);
		else
			snprintf(to, sizeof(to), "%s:%u", c->dest.name, c->dest.addr.port);
		n = snprintf(text, sizeof(text), "HTTP/1.1 500 Internal Server Error\r\n"
			     "Content-Type: text/plain; charset=utf-8\r\nTailscale-Connect-Error: connect tcp %s: %s\r\n"
			     "X-Content-Type-Options: nosniff\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n"
			     "connect tcp %s: %s\n", to, why(err), strlen(to) + strlen(why(err)) + 15, to, why(err));
	} else if (!c->forward_len) {
		n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n\r\n");
	}
	ts_sim_pipe_put(&c->down, text, (size_t)n);
	c->reply_end = c->down.queued;
}

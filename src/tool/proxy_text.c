/* SPDX-License-Identifier: MIT */
/* Proxies as people and the environment write them. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/tool.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Copies a user or password; in a URL, %XX stands for a byte. */
static bool copy_cred(char out[256], const char *s, size_t len, bool url)
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (url && c == '%' && i + 2 < len && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0) {
			c = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
			i += 2;
		}
		if (c == '\0' || at == 255)
			return false;
		out[at++] = c;
	}
	out[at] = '\0';
	return true;
}

/* A host name: asked of the system, IPv4 first, since a proxy that listens on one family mostly listens on that. */
static bool resolve(const char *host, struct ts_addr *out)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *list;
	uint16_t port = out->port;
	bool ok = false;

	for (int i = 0; i < 2 && !ok; i++, hints.ai_family = AF_INET6) {
		if (getaddrinfo(host, NULL, &hints, &list) != 0)
			continue;
		ok = ts_addr_from_sockaddr(out, list->ai_addr, list->ai_addrlen);
		freeaddrinfo(list);
	}
	out->port = port;
	return ok;
}

static bool parse_host(const char *s, size_t len, uint16_t default_port, struct ts_addr *out)
{
	const char *colon = memrchr(s, ':', len);
	char host[256], with_port[300];
	unsigned long port = default_port;
	char *end;

	if (len == 0 || len >= sizeof(host) || s[0] == '/')
		return false;
	if (ts_addr_parse_hostport(s, len, out))
		return out->port != 0;
	/* An IPv6 address without a port, with or without brackets. */
	if (s[len - 1] == ']' || (colon && memchr(s, ':', (size_t)(colon - s)) != NULL))
		colon = NULL;
	if (colon) {
		port = strtoul(colon + 1, &end, 10);
		if (end != s + len || end == colon + 1 || port == 0 || port > 65535)
			return false;
		len = (size_t)(colon - s);
	}
	if (port == 0)
		return false;
	snprintf(with_port, sizeof(with_port), "%.*s:%lu", (int)len, s, port);
	if (ts_addr_parse_hostport(with_port, strlen(with_port), out))
		return true;
	snprintf(host, sizeof(host), "%.*s", (int)len, s);
	if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != len || len == 0)
		return false;
	out->port = (uint16_t)port;
	return resolve(host, out);
}

static bool parse(const char *s, size_t len, uint16_t default_port, bool url, struct ts_endpoint *out)
{
	const char *at = memrchr(s, '@', len);

	if (at) {
		size_t cred = (size_t)(at - s);
		const char *colon = memchr(s, ':', cred);
		size_t user = colon ? (size_t)(colon - s) : cred;

		if (!copy_cred(out->user, s, user, url) ||
		    (colon && !copy_cred(out->pass, colon + 1, cred - user - 1, url)))
			return false;
		s = at + 1;
		len -= cred + 1;
	}
	return parse_host(s, len, default_port, &out->addr);
}

bool ts_proxy_parse_url(const char *s, uint8_t kind, struct ts_endpoint *out)
{
	static const struct {
		const char *scheme;
		uint8_t kind;
		uint16_t port;
	} schemes[] = {
		{ "socks5h://", TS_PROXY_SOCKS5, 1080 },
		{ "socks5://", TS_PROXY_SOCKS5, 1080 },
		{ "socks://", TS_PROXY_SOCKS5, 1080 },
		{ "http://", TS_PROXY_HTTP, 80 },
	};

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t n = strlen(schemes[i].scheme);

		if (strncasecmp(s, schemes[i].scheme, n) != 0)
			continue;
		out->kind = schemes[i].kind;
		return parse(s + n, strcspn(s + n, "/"), schemes[i].port, true, out);
	}
	if (strstr(s, "://"))
		return false;
	out->kind = kind;
	return parse(s, strcspn(s, "/"), kind == TS_PROXY_HTTP ? 80 : 1080, false, out);
}

bool ts_proxy_parse(const char *s, uint8_t kind, struct ts_endpoint *out)
{
	if (strstr(s, "://"))
		return ts_proxy_parse_url(s, kind, out) && out->kind == kind;
	memset(out, 0, sizeof(*out));
	out->kind = kind;
	return parse(s, strlen(s), 0, false, out);
}

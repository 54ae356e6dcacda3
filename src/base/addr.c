/* SPDX-License-Identifier: MIT */
/* Addresses, prefixes, their text. libc's inet_pton and getaddrinfo are not used: this runs inside programs that hook or replace them. */
#include "tsproxy/addr.h"

#include <netinet/in.h>
#include <string.h>

#include "tsproxy/buf.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* The builtins: every datagram asks these questions, and freestanding code gets a call for each memcmp and memcpy. */
bool ts_ip_is4(const uint8_t ip[16])
{
	return __builtin_memcmp(ip, mapped, 8) == 0 && __builtin_memcmp(ip + 8, mapped + 8, 4) == 0;
}

bool ts_addr_is4(const struct ts_addr *a)
{
	return ts_ip_is4(a->ip);
}

bool ts_ip_is_loopback(const uint8_t ip[16])
{
	static const uint8_t one[16] = { [15] = 1 };

	return ts_ip_is4(ip) ? ip[12] == 127 : __builtin_memcmp(ip, one, 16) == 0;
}

bool ts_ip_is_any(const uint8_t ip[16])
{
	static const uint8_t any[16];

	return ts_ip_is4(ip) ? memcmp(ip + 12, any, 4) == 0 : memcmp(ip, any, 16) == 0;
}

bool ts_ip_is_local_scope(const uint8_t ip[16])
{
	if (ts_ip_is_any(ip))
		return true;
	if (!ts_ip_is4(ip))
		return ip[0] == 0xff || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
	return (ip[12] == 169 && ip[13] == 254) || (ip[12] & 0xf0) == 0xe0 || (ip[12] & ip[13] & ip[14] & ip[15]) == 0xff;
}

static const uint8_t tailscale6[6] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 };

bool ts_ip_is_tailscale(const uint8_t ip[16])
{
	if (ts_ip_is4(ip))
		return ip[12] == 100 && (ip[13] & 0xc0) == 64;
	return memcmp(ip, tailscale6, sizeof(tailscale6)) == 0;
}

bool ts_ip_is_tailscale_service(const uint8_t ip[16])
{
	static const uint8_t rest6[10] = { [9] = 0x53 };

	if (ts_ip_is4(ip))
		return ip[12] == 100 && ip[13] == 100 && ip[14] == 100 && ip[15] == 100;
	return memcmp(ip, tailscale6, 6) == 0 && memcmp(ip + 6, rest6, 10) == 0;
}

bool ts_addr_equal(const struct ts_addr *a, const struct ts_addr *b)
{
	return a->port == b->port && __builtin_memcmp(a->ip, b->ip, 16) == 0;
}

void ts_addr_set4(struct ts_addr *a, const uint8_t ip4[4], uint16_t port)
{
	__builtin_memcpy(a->ip, mapped, 12);
	__builtin_memcpy(a->ip + 12, ip4, 4);
	a->port = port;
}

void ts_addr_set6(struct ts_addr *a, const uint8_t ip6[16], uint16_t port)
{
	__builtin_memcpy(a->ip, ip6, 16);
	a->port = port;
}

bool ts_addr_from_sockaddr(struct ts_addr *out, const struct sockaddr *sa, socklen_t len)
{
	if (!sa || len < sizeof(sa->sa_family))
		return false;
	if (sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;

		__builtin_memcpy(&in, sa, sizeof(in));
		ts_addr_set4(out, (const uint8_t *)&in.sin_addr, __builtin_bswap16(in.sin_port));
		return true;
	}
	/* The kernel takes the short form without a scope id too (SIN6_LEN_RFC2133). */
	if (sa->sa_family == AF_INET6 && len >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		struct sockaddr_in6 in6;

		__builtin_memcpy(&in6, sa, offsetof(struct sockaddr_in6, sin6_scope_id));
		ts_addr_set6(out, (const uint8_t *)&in6.sin6_addr, __builtin_bswap16(in6.sin6_port));
		return true;
	}
	return false;
}

socklen_t ts_addr_to_sockaddr(const struct ts_addr *a, int family, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;

		if (!ts_addr_is4(a))
			return 0;
		in->sin_family = AF_INET;
		in->sin_port = __builtin_bswap16(a->port);
		memcpy(&in->sin_addr, a->ip + 12, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = __builtin_bswap16(a->port);
	memcpy(&in6->sin6_addr, a->ip, 16);
	return sizeof(*in6);
}

void ts_sockaddr_copy_out(const struct sockaddr_storage *src, socklen_t src_len, struct sockaddr *dst, socklen_t *len)
{
	if (!dst || !len)
		return;
	memcpy(dst, src, *len < src_len ? *len : src_len);
	*len = src_len;
}

/* Decimal of up to `max`, at least one digit, no sign. Advances *s. */
static bool parse_dec(const char **s, const char *end, unsigned max, unsigned *out)
{
	const char *p = *s;
	unsigned v = 0;

	while (p < end && *p >= '0' && *p <= '9') {
		v = v * 10 + (unsigned)(*p++ - '0');
		if (v > max)
			return false;
	}
	if (p == *s)
		return false;
	*s = p;
	*out = v;
	return true;
}

static bool parse4(const char *s, const char *end, uint8_t out[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned v;

		if (i && (s == end || *s++ != '.'))
			return false;
		if (!parse_dec(&s, end, 255, &v))
			return false;
		out[i] = (uint8_t)v;
	}
	return s == end;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse6(const char *s, const char *end, uint8_t out[16])
{
	uint8_t ip[16] = { 0 };
	int n = 0, gap = -1;	/* bytes filled; where "::" stood */

	if (end - s >= 2 && s[0] == ':' && s[1] == ':') {
		gap = 0;
		s += 2;
	}
	while (s < end) {
		const char *start = s;
		unsigned v = 0;

		while (s < end && hex_digit(*s) >= 0 && s - start < 4)
			v = v << 4 | (unsigned)hex_digit(*s++);
		if (s < end && *s == '.') {
			if (n > 12 || !parse4(start, end, ip + n))
				return false;
			n += 4;
			break;
		}
		if (s == start || n > 14)
			return false;
		ip[n++] = (uint8_t)(v >> 8);
		ip[n++] = (uint8_t)v;
		if (s == end)
			break;
		if (*s++ != ':' || s == end)
			return false;
		if (*s == ':') {
			if (gap >= 0)
				return false;
			gap = n;
			s++;
		}
	}
	if (gap < 0 ? n != 16 : n > 14)
		return false;
	if (gap < 0)
		gap = n;
	memcpy(out, ip, (size_t)gap);
	memset(out + gap, 0, (size_t)(16 - n));
	memcpy(out + gap + 16 - n, ip + gap, (size_t)(n - gap));
	return true;
}

bool ts_addr_parse(const char *s, size_t len, struct ts_addr *out)
{
	uint8_t ip4[4];

	out->port = 0;
	if (parse4(s, s + len, ip4)) {
		ts_addr_set4(out, ip4, 0);
		return true;
	}
	return parse6(s, s + len, out->ip);
}

bool ts_addr_parse_hostport(const char *s, size_t len, struct ts_addr *out)
{
	static const uint8_t localhost[4] = { 127, 0, 0, 1 };
	const char *end = s + len, *colon = end;
	unsigned port;

	while (colon > s && colon[-1] != ':')
		colon--;
	const char *digits = colon;	/* just behind the last colon, or all where there is none */

	if (!parse_dec(&digits, end, 65535, &port) || digits != end || port == 0)
		return false;
	size_t host = colon > s ? (size_t)(colon - 1 - s) : 0;

	if (colon == s || (host == 9 && memcmp(s, "localhost", 9) == 0)) {
		ts_addr_set4(out, localhost, 0);
	} else if (host >= 2 && s[0] == '[' && s[host - 1] == ']') {
		if (!parse6(s + 1, s + host - 1, out->ip))
			return false;
	} else {
		uint8_t ip4[4];

		if (!parse4(s, s + host, ip4))
			return false;
		ts_addr_set4(out, ip4, 0);
	}
	out->port = (uint16_t)port;
	return true;
}

static void clear_beyond(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;

		if (keep < 8)
			ip[i] &= (uint8_t)(0xff00 >> keep);
	}
}

bool ts_prefix_parse(const char *s, size_t len, struct ts_prefix *out)
{
	const char *end = s + len, *slash = s;
	struct ts_addr a;
	unsigned bits;

	while (slash < end && *slash != '/')
		slash++;
	if (!ts_addr_parse(s, (size_t)(slash - s), &a))
		return false;
	bool v4 = memchr(s, ':', (size_t)(slash - s)) == NULL;

	bits = v4 ? 32 : 128;
	if (slash < end) {
		slash++;
		if (!parse_dec(&slash, end, bits, &bits) || slash != end)
			return false;
	}
	if (v4)
		bits += 96;
	memcpy(out->ip, a.ip, 16);
	clear_beyond(out->ip, bits);
	out->bits = (uint8_t)bits;
	return true;
}

bool ts_prefix_contains(const struct ts_prefix *p, const uint8_t ip[16])
{
	uint8_t cut[16];

	memcpy(cut, ip, 16);
	clear_beyond(cut, p->bits);
	return memcmp(cut, p->ip, 16) == 0;
}

bool ts_prefix_covers(const struct ts_prefix *outer, const struct ts_prefix *inner)
{
	return outer->bits <= inner->bits && ts_prefix_contains(outer, inner->ip);
}

static void write_ip4(struct ts_wr *w, const uint8_t ip[16])
{
	for (int i = 12; i < 16; i++) {
		if (i > 12)
			ts_wr_u8(w, '.');
		ts_wr_dec(w, ip[i]);
	}
}

/* RFC 5952: lower case, no leading zeros, the longest run of at least two zero groups (the first of equals) as "::". */
static void write_ip6(struct ts_wr *w, const uint8_t ip[16])
{
	int best = -1, best_len = 1;

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && ip[2 * (i + n)] == 0 && ip[2 * (i + n) + 1] == 0)
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
	}
	for (int i = 0; i < 8; i++) {
		unsigned v = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
		int shift = v >= 0x1000 ? 12 : v >= 0x100 ? 8 : v >= 0x10 ? 4 : 0;

		if (i == best) {
			ts_wr_str(w, "::");
			i += best_len - 1;
			continue;
		}
		if (i && i != best + best_len)
			ts_wr_u8(w, ':');
		for (; shift >= 0; shift -= 4)
			ts_wr_u8(w, (uint8_t)"0123456789abcdef"[v >> shift & 15]);
	}
}

size_t ts_ip_format(const uint8_t ip[16], char out[TS_ADDR_TEXT_MAX])
{
	struct ts_wr w = ts_wr_over(out, TS_ADDR_TEXT_MAX);

	if (ts_ip_is4(ip))
		write_ip4(&w, ip);
	else
		write_ip6(&w, ip);
	ts_wr_end(&w);
	return w.len;
}

size_t ts_addr_format(const struct ts_addr *a, char out[TS_ADDR_TEXT_MAX])
{
	struct ts_wr w = ts_wr_over(out, TS_ADDR_TEXT_MAX);

	if (ts_addr_is4(a)) {
		write_ip4(&w, a->ip);
	} else {
		ts_wr_u8(&w, '[');
		write_ip6(&w, a->ip);
		ts_wr_u8(&w, ']');
	}
	ts_wr_u8(&w, ':');
	ts_wr_dec(&w, a->port);
	ts_wr_end(&w);
	return w.len;
}

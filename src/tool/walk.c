/* SPDX-License-Identifier: MIT */
/*
 * Goes through a map from end to end, for people's eyes. The reader in names/ only looks up. Same caution: any content
 * is safe.
 */
#include <stdio.h>
#include <string.h>

#include "tsproxy/tool.h"

typedef unsigned __int128 u128;

static bool element(const struct ts_map *m, struct ts_map_section s, uint32_t i, void *out, size_t size)
{
	uint64_t at = s.off + (uint64_t)i * size;

	if (i >= s.count || at + size > m->len)
		return false;
	memcpy(out, m->base + at, size);
	return true;
}

bool ts_walk_node(const struct ts_map *m, uint32_t i, struct ts_map_node *out)
{
	return element(m, ts_map_header(m).nodes, i, out, sizeof(*out));
}

bool ts_walk_addr(const struct ts_map *m, uint32_t i, struct ts_map_addr *out)
{
	return element(m, ts_map_header(m).addrs, i, out, sizeof(*out));
}

bool ts_walk_name(const struct ts_map *m, uint32_t i, struct ts_map_name *out)
{
	return element(m, ts_map_header(m).names, i, out, sizeof(*out));
}

bool ts_walk_range(const struct ts_map *m, uint32_t i, struct ts_map_range *out)
{
	return element(m, ts_map_header(m).ranges, i, out, sizeof(*out));
}

bool ts_walk_remote(const struct ts_map *m, uint32_t i, struct ts_map_str *out)
{
	return element(m, ts_map_header(m).remotes, i, out, sizeof(*out));
}

bool ts_walk_dns_route(const struct ts_map *m, uint32_t i, struct ts_map_dns_route *out)
{
	return element(m, ts_map_header(m).dns_routes, i, out, sizeof(*out));
}

bool ts_walk_domain(const struct ts_map *m, uint32_t i, struct ts_map_str *out)
{
	return element(m, ts_map_header(m).domains, i, out, sizeof(*out));
}

const char *ts_walk_state(uint32_t state)
{
	static const char *const names[] = { "unknown", "running", "stopped", "logged out" };

	return state < sizeof(names) / sizeof(*names) ? names[state] : "unknown";
}

const char *ts_walk_range_kind(uint32_t kind)
{
	static const char *const names[] = { "?", "exclude", "route", "subnet", "exit" };

	return kind < sizeof(names) / sizeof(*names) ? names[kind] : "?";
}

const char *ts_walk_endpoint(const struct ts_endpoint *e, char *out, size_t cap)
{
	char at[TS_ADDR_TEXT_MAX];

	ts_addr_format(&e->addr, at);
	snprintf(out, cap, "%s %s", e->kind == TS_PROXY_HTTP ? "http" : "socks5", at);
	return out;
}

static u128 load(const uint8_t ip[16])
{
	u128 v = 0;

	for (int i = 0; i < 16; i++)
		v = v << 8 | ip[i];
	return v;
}

const char *ts_walk_range_text(const struct ts_map_range *r, char out[TS_RANGE_TEXT_MAX])
{
	u128 first = load(r->first), last = load(r->last), size = last - first + 1;
	unsigned host = 0;
	size_t len = ts_ip_format(r->first, out);

	while (host < 128 && (u128)1 << host != size)
		host++;
	/* A power of two in size and aligned to it, or all there is: one prefix. */
	if (size == 0 || (host < 128 && (first & (size - 1)) == 0)) {
		snprintf(out + len, TS_RANGE_TEXT_MAX - len, "/%u", (ts_ip_is4(r->first) ? 32 : 128) - host);
		return out;
	}
	out[len++] = '-';
	ts_ip_format(r->last, out + len);
	return out;
}

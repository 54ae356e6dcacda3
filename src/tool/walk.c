/* SPDX-License-Identifier: MIT */
/* Goes through a map from end to end, for people's eyes. The reader in names/ only looks up. Same caution: any content is safe. */
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

void ts_walk_prefixes(const struct ts_map_range *r, void (*put)(const char *cidr, void *arg), void *arg)
{
	u128 at = load(r->first), last = load(r->last);

	while (at <= last) {
		unsigned host = 0;	/* the largest block that starts here and ends in time */
		char text[TS_ADDR_TEXT_MAX + 8];
		uint8_t ip[16];
		size_t len;

		while (host < 128) {
			u128 mask = host == 127 ? ~(u128)0 : ((u128)1 << (host + 1)) - 1;

			if ((at & mask) != 0 || (at | mask) > last)
				break;
			host++;
		}
		for (int i = 15; i >= 0; i--)
			ip[i] = (uint8_t)(at >> (8 * (15 - i)));
		len = ts_ip_format(ip, text);
		snprintf(text + len, sizeof(text) - len, "/%u", (ts_ip_is4(ip) ? 32 : 128) - host);
		put(text, arg);
		if (host == 128 || at + ((u128)1 << host) == 0)
			return;
		at += (u128)1 << host;
	}
}

/* SPDX-License-Identifier: MIT */
/* A map in full, for people: `tsproxy sync --print`. One fact a line, so that it can be searched. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tsproxy/tool.h"

const char *ts_walk_text(const struct ts_map *m, struct ts_map_str s, char *out, size_t cap)
{
	char raw[TS_NAME_MAX + 3];
	size_t len = ts_map_str(m, s, raw, sizeof(raw));

	return ts_tool_printable(raw, len < sizeof(raw) ? len : sizeof(raw) - 1, out, cap);
}

static void print_addrs(const struct ts_map *m, uint32_t first, uint32_t count)
{
	struct ts_map_addr a;
	char text[TS_ADDR_TEXT_MAX];

	for (uint32_t i = 0; i < count && ts_walk_addr(m, first + i, &a); i++) {
		ts_ip_format(a.ip, text);
		printf(" %s", text);
	}
}

void ts_walk_node_flags(uint32_t flags, void (*put)(const char *word, void *arg), void *arg)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = {
		{ TS_NODE_SELF, "self" },
		{ TS_NODE_EXIT, "exit-node" },
		{ TS_NODE_EXIT_OPTION, "exit-node-option" },
		{ TS_NODE_SHAREE, "shared" },
		{ TS_NODE_EXPIRED, "expired" },
		{ TS_NODE_SUBDOMAINS, "subdomains" },
	};

	if (flags & TS_NODE_ONLINE_KNOWN)
		put(flags & TS_NODE_ONLINE ? "online" : "offline", arg);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (flags & words[i].flag)
			put(words[i].word, arg);
}

static void print_word(const char *word, void *arg)
{
	(void)arg;
	printf(" %s", word);
}

static void print_nodes(const struct ts_map *m)
{
	char text[TS_NAME_MAX + 3];
	struct ts_map_node n;
	struct ts_map_name name;

	for (uint32_t i = 0; ts_walk_node(m, i, &n); i++) {
		printf("node     %s", n.fqdn.len ? ts_walk_text(m, n.fqdn, text, sizeof(text)) : "-");
		printf(" host \"%s\"", ts_walk_text(m, n.host, text, sizeof(text)));
		printf(" os %s", n.os.len ? ts_walk_text(m, n.os, text, sizeof(text)) : "-");
		print_addrs(m, n.addr_first, n.addr_count);
		ts_walk_node_flags(n.flags, print_word, NULL);
		putchar('\n');
	}
	for (uint32_t i = 0; ts_walk_name(m, i, &name); i++) {
		printf("name     %s ->", ts_walk_text(m, name.name, text, sizeof(text)));
		printf(" %s", ts_walk_text(m, name.canon, text, sizeof(text)));
		print_addrs(m, name.addr_first, name.addr_count);
		putchar('\n');
	}
}

static void print_dns_routes(const struct ts_map *m)
{
	char text[TS_NAME_MAX + 3], at[TS_ADDR_TEXT_MAX];
	struct ts_map_dns_route r;
	struct ts_addr server;

	for (uint32_t i = 0; ts_walk_dns_route(m, i, &r); i++) {
		memcpy(server.ip, r.ip, sizeof(server.ip));
		server.port = r.port;
		ts_addr_format(&server, at);
		printf("dns      %s %s%s\n", ts_walk_text(m, r.suffix, text, sizeof(text)),
		       r.flags & TS_DNS_ROUTE_NO_SERVER ? "no server" : r.flags & TS_DNS_ROUTE_UNSERVED ? "DNS over HTTPS only" : at,
		       r.flags & TS_DNS_ROUTE_TAILNET ? " by the tailnet" : "");
	}
}

static void print_ranges(const struct ts_map *m)
{
	char text[TS_NAME_MAX + 3], span[TS_RANGE_TEXT_MAX];
	struct ts_map_range r;
	struct ts_map_node n;

	for (uint32_t i = 0; ts_walk_range(m, i, &r); i++) {
		printf("range    %s %s", ts_walk_range_kind(r.kind), ts_walk_range_text(&r, span));
		if (ts_walk_node(m, r.node, &n) && n.fqdn.len)
			printf(" by %s", ts_walk_text(m, n.fqdn, text, sizeof(text)));
		putchar('\n');
	}
}

void ts_print_map(const struct ts_map *m, const char *path)
{
	struct ts_map_header h = ts_map_header(m);
	char text[TS_NAME_MAX + 3], made[40];
	time_t when = (time_t)(h.made_ns / 1000000000);
	struct ts_endpoint e;
	struct ts_map_str s;
	struct tm tm;

	strftime(made, sizeof(made), "%Y-%m-%d %H:%M:%S", localtime_r(&when, &tm));
	printf("map      %s, %u bytes, made %s\n", path, h.data_len, made);
	printf("tailnet  %s, suffix %s%s%s\n", ts_walk_state(h.state),
	       h.suffix.len ? ts_walk_text(m, h.suffix, text, sizeof(text)) : "-", h.flags & TS_MAP_TUN ? ", TUN" : "",
	       h.flags & TS_MAP_NO_MAGICDNS ? ", MagicDNS off" : "");
	for (unsigned i = 0; ts_map_endpoint(m, i, &e) == 1; i++)
		printf("proxy    %s%s%s%s%s%s\n", ts_walk_endpoint(&e, text, sizeof(text)), e.flags & TS_PROXY_AUTH ? " auth" : "",
		       e.flags & TS_PROXY_PIPELINE ? " pipeline" : "", e.flags & TS_PROXY_BND_TRUE ? " bnd" : "",
		       e.flags & TS_PROXY_UDP ? " udp" : "", e.flags & TS_PROXY_CONFIGURED ? " configured" : "");
	for (uint32_t i = 0; ts_walk_remote(m, i, &s); i++)
		printf("remote   %s\n", ts_walk_text(m, s, text, sizeof(text)));
	for (uint32_t i = 0; ts_walk_domain(m, i, &s); i++)
		printf("domain   %s\n", ts_walk_text(m, s, text, sizeof(text)));
	print_dns_routes(m);
	print_ranges(m);
	print_nodes(m);
}

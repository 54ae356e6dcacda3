/* SPDX-License-Identifier: MIT */
/*
 * The routes of split DNS, longest suffix first. A suffix that the settings name is theirs, whatever the tailnet says of it: whoever
 * configures this machine knows better.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "map_write.h"

static struct ts_map_str put_suffix(struct ts_build *b, const char *s, char name[TS_NAME_MAX + 1], size_t *len)
{
	*len = ts_build_normalise((struct ts_slice){ s, strlen(s) }, name);
	return ts_build_put_str(b, name, *len);
}

static bool is_settings(const struct ts_build *b, const char *name, size_t len)
{
	char other[TS_NAME_MAX + 1];

	for (size_t i = 0; i < b->set->dns_route_count; i++) {
		const char *s = b->set->dns_route[i].suffix;

		if (ts_build_normalise((struct ts_slice){ s, strlen(s) }, other) == len && memcmp(other, name, len) == 0)
			return true;
	}
	return false;
}

static void put(struct ts_build *b, struct ts_map_str suffix, const struct ts_addr *server, uint16_t flags)
{
	struct ts_map_dns_route *r = &b->dns_routes[b->dns_route_count++];

	r->suffix = suffix;
	r->flags = flags;
	if (server) {
		memcpy(r->ip, server->ip, sizeof(r->ip));
		r->port = server->port;
	}
}

static void add_tailnets(struct ts_build *b, const struct ts_status_dns_route *r)
{
	char name[TS_NAME_MAX + 1];
	size_t len;
	struct ts_map_str suffix = put_suffix(b, r->suffix, name, &len);

	/* The tailnet's own suffix is answered from its nodes, with or without such a route. */
	if (len == 0 || is_settings(b, name, len) || (len == b->suffix_len && memcmp(name, b->suffix, len) == 0))
		return;
	for (unsigned i = 0; i < r->server_count; i++)
		put(b, suffix, &r->server[i], TS_DNS_ROUTE_TAILNET);
	if (r->server_count == 0)
		put(b, suffix, NULL, TS_DNS_ROUTE_TAILNET | (r->told ? TS_DNS_ROUTE_UNSERVED : TS_DNS_ROUTE_NO_SERVER));
}

/* Insertion, which keeps the order of equals: a suffix's servers. There are few. */
static void sort(struct ts_build *b)
{
	for (size_t i = 1; i < b->dns_route_count; i++) {
		struct ts_map_dns_route r = b->dns_routes[i];
		size_t at = i;

		while (at && b->dns_routes[at - 1].suffix.len < r.suffix.len) {
			b->dns_routes[at] = b->dns_routes[at - 1];
			at--;
		}
		b->dns_routes[at] = r;
	}
}

int ts_build_add_dns_routes(struct ts_build *b)
{
	char name[TS_NAME_MAX + 1];
	size_t len;

	b->dns_routes = calloc(b->set->dns_route_count + TS_STATUS_SERVERS_MAX * b->tn->dns_route_count + 1, sizeof(*b->dns_routes));
	if (!b->dns_routes)
		return -ENOMEM;
	for (size_t i = 0; i < b->set->dns_route_count; i++)
		put(b, put_suffix(b, b->set->dns_route[i].suffix, name, &len), &b->set->dns_route[i].server, 0);
	for (size_t i = 0; i < b->tn->dns_route_count; i++)
		add_tailnets(b, &b->tn->dns_routes[i]);
	sort(b);
	return b->err;
}

/* SPDX-License-Identifier: MIT */
/*
 * The routes of split DNS, longest suffix first, and the domains that are a tailnet's own. A suffix that the settings name is theirs, whatever the tailnet says of it: whoever
 * configures this machine knows better.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "map_write.h"
#include "tsproxy/split.h"

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

/* Reverse names belong to addresses, which say themselves whose they are (withheld.c). */
static bool is_reverse(const char *name, size_t len)
{
	static const char arpa[] = ".arpa";

	return len >= sizeof(arpa) - 1 && memcmp(name + len - (sizeof(arpa) - 1), arpa, sizeof(arpa) - 1) == 0;
}

static bool is_domain(const struct ts_build *b, const char *name, size_t len)
{
	for (size_t i = 0; i < b->domain_count; i++)
		if (b->domains[i].len == len && memcmp(b->strings + b->domains[i].off, name, len) == 0)
			return true;
	return false;
}

static void add_domain(struct ts_build *b, struct ts_slice domain)
{
	char name[TS_NAME_MAX + 1];
	size_t len = ts_build_normalise(domain, name);

	if (len && b->domain_count < TS_MAP_DOMAINS_MAX && !is_reverse(name, len) && !is_settings(b, name, len) && !is_domain(b, name, len))
		b->domains[b->domain_count++] = ts_build_put_str(b, name, len);
}

/*
 * A daemon that is stopped or logged out names none of them, and then these names must not be asked for elsewhere. So they are kept from
 * map to map, this tailnet's first; tailnets that are used by turns do not drive each other out.
 */
void ts_build_add_domains(struct ts_build *b)
{
	struct ts_map_section old = b->set->former ? ts_map_header(b->set->former).domains : (struct ts_map_section){ 0, 0 };
	char name[TS_NAME_MAX + 1];
	struct ts_map_str s;

	add_domain(b, (struct ts_slice){ b->suffix, b->suffix_len });
	for (size_t i = 0; i < b->tn->dns_route_count; i++)
		add_domain(b, (struct ts_slice){ b->tn->dns_routes[i].suffix, strlen(b->tn->dns_routes[i].suffix) });
	for (uint32_t i = 0; i < old.count; i++) {
		memcpy(&s, b->set->former->base + old.off + i * sizeof(s), sizeof(s));
		add_domain(b, (struct ts_slice){ name, ts_map_str(b->set->former, s, name, sizeof(name)) });
	}
	/* Single names; there may be many. */
	for (size_t i = 0; i < b->tn->record_count; i++)
		if (!ts_name_under(b->tn->records[i].name.p, b->tn->records[i].name.len, b->suffix, b->suffix_len))
			add_domain(b, b->tn->records[i].name);
}

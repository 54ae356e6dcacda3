/* SPDX-License-Identifier: MIT */
/*
 * What else the daemon's LocalAPI says: its preferences (ipn.Prefs in the daemon's source) and its DNS configuration (tailcfg.DNSConfig).
 * As with the status, a value of a wrong type counts as absent.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/conf.h"
#include "tsproxy/status.h"

void ts_status_parse_prefs(const char *text, size_t len, struct ts_status_prefs *out)
{
	json_t *root = json_loadb(text, len, JSON_ALLOW_NUL, NULL);

	out->refuses_routes = json_is_false(json_object_get(root, "RouteAll"));
	out->refuses_dns = json_is_false(json_object_get(root, "CorpDNS"));
	json_decref(root);
}

/* dnstype.Resolver: an address, one with a port, or the URL of a server that speaks HTTPS. */
static void add_server(struct ts_status_dns_route *r, const json_t *resolver)
{
	const char *addr = json_string_value(json_object_get(resolver, "Addr"));

	r->told++;
	if (addr && r->server_count < TS_STATUS_SERVERS_MAX &&
	    ts_conf_parse_server(addr, strlen(addr), &r->server[r->server_count]))
		r->server_count++;
}

/* A suffix without servers is one for which the daemon answers itself. */
static int add_route(struct ts_tailnet *tn, const char *suffix, json_t *resolvers)
{
	struct ts_status_dns_route *more = reallocarray(tn->dns_routes, tn->dns_route_count + 1, sizeof(*more)), *r;
	json_t *v;
	size_t i;

	if (!more)
		return -ENOMEM;
	tn->dns_routes = more;
	r = &more[tn->dns_route_count];
	memset(r, 0, sizeof(*r));
	r->suffix = strdup(suffix);
	if (!r->suffix)
		return -ENOMEM;
	tn->dns_route_count++;
	json_array_foreach(resolvers, i, v)
		add_server(r, v);
	return 0;
}

int ts_status_parse_dns(const char *text, size_t len, struct ts_tailnet *out)
{
	json_t *root = json_loadb(text, len, 0, NULL), *resolvers;
	const char *suffix;
	int err = 0;

	json_object_foreach(json_object_get(root, "Routes"), suffix, resolvers)
		if (!err && (json_is_array(resolvers) || json_is_null(resolvers)))
			err = add_route(out, suffix, resolvers);
	json_decref(root);
	return err;
}

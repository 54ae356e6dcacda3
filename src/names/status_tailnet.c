/* SPDX-License-Identifier: MIT */
/* A tailnet as a status describes it: arrays that grow while it is read. */
#include <stdlib.h>
#include <string.h>

#include "tsproxy/status.h"

/* Room for one more element of `size` bytes in *p; null where there is no memory. */
static void *more(void **p, size_t *cap, size_t *count, size_t size)
{
	if (*count == *cap) {
		size_t want = *cap ? *cap * 2 : 64;
		void *q = reallocarray(*p, want, size);

		if (!q)
			return NULL;
		*p = q;
		*cap = want;
	}
	return memset((char *)*p + (*count)++ * size, 0, size);
}

struct ts_status_node *ts_tailnet_add_node(struct ts_tailnet *tn)
{
	struct ts_status_node *n = more((void **)&tn->nodes, &tn->node_cap, &tn->node_count, sizeof(*n));

	if (n) {
		n->ip_first = (uint32_t)tn->ip_count;
		n->route_first = (uint32_t)tn->route_count;
	}
	return n;
}

bool ts_tailnet_add_ip(struct ts_tailnet *tn, const uint8_t ip[16])
{
	struct ts_status_ip *out = more((void **)&tn->ips, &tn->ip_cap, &tn->ip_count, sizeof(*out));

	if (!out)
		return false;
	memcpy(out->ip, ip, 16);
	tn->nodes[tn->node_count - 1].ip_count++;
	return true;
}

bool ts_tailnet_add_route(struct ts_tailnet *tn, const struct ts_prefix *p)
{
	struct ts_prefix *out = more((void **)&tn->routes, &tn->route_cap, &tn->route_count, sizeof(*out));

	if (!out)
		return false;
	*out = *p;
	tn->nodes[tn->node_count - 1].route_count++;
	return true;
}

struct ts_status_record *ts_tailnet_add_record(struct ts_tailnet *tn)
{
	return more((void **)&tn->records, &tn->record_cap, &tn->record_count, sizeof(struct ts_status_record));
}

void ts_tailnet_drop_dns_routes(struct ts_tailnet *tn)
{
	for (size_t i = 0; i < tn->dns_route_count; i++)
		free(tn->dns_routes[i].suffix);
	free(tn->dns_routes);
	tn->dns_routes = NULL;
	tn->dns_route_count = 0;
}

void ts_tailnet_free(struct ts_tailnet *tn)
{
	ts_tailnet_drop_dns_routes(tn);
	free(tn->nodes);
	free(tn->ips);
	free(tn->routes);
	free(tn->records);
	if (tn->source)
		tn->free_source(tn->source);
	memset(tn, 0, sizeof(*tn));
}

/* SPDX-License-Identifier: MIT */
/*
 * The simulated tailnet's one description: everything else (what is dialled, what the status says, who is behind a
 * connection) is read from here. A node lives on loopback: port p of any node is 127.0.0.1:p unless mapped elsewhere.
 *
 * Names that are no node's are never asked of a real resolver: only --name gives them, so that a test which counts DNS
 * packets sees none of ours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim.h"

struct ts_sim_world ts_sim_world = {
	.suffix = "tail5e2b.ts.net",
	.state = "Running",
	.dial_timeout_ms = 5000,
};

struct mapping {
	struct mapping *next;
	struct ts_addr from, to;
};

struct known_name {
	struct known_name *next;
	struct ts_addr addr;
	char name[];
};

static const uint8_t loopback[4] = { 127, 0, 0, 1 };
static struct mapping *mappings;
static struct known_name *host_names, *extra_names;

static const struct {
	const char *name;
	unsigned flag;
} flag_names[] = {
	{ "self", TS_SIM_SELF }, { "offline", TS_SIM_OFFLINE }, { "silent", TS_SIM_SILENT }, { "exit", TS_SIM_EXIT },
	{ "exitoption", TS_SIM_EXIT_OPTION }, { "sharee", TS_SIM_SHAREE }, { "expired", TS_SIM_EXPIRED },
	{ "nodns", TS_SIM_NO_DNS }, { "real", TS_SIM_REAL },
};

static struct ts_sim_node *new_node(void)
{
	struct ts_sim_world *w = &ts_sim_world;

	if (w->node_count == w->node_cap) {
		struct ts_sim_node *bigger;

		w->node_cap = w->node_cap ? 2 * w->node_cap : 16;
		bigger = ts_sim_alloc(w->node_cap * sizeof(*bigger));
		if (w->node_count)
			memcpy(bigger, w->nodes, w->node_count * sizeof(*bigger));
		/* The former ones stay: what is under way may still refer to them. */
		w->nodes = bigger;
	}
	memset(&w->nodes[w->node_count], 0, sizeof(*w->nodes));
	return &w->nodes[w->node_count++];
}

static bool copy_text(char *out, size_t cap, const char *s)
{
	if (strlen(s) >= cap)
		return false;
	strcpy(out, s);
	return true;
}

static bool node_route(struct ts_sim_node *node, const char *text)
{
	unsigned i = node->route_count;

	if (i == TS_SIM_ROUTES_MAX || !copy_text(node->route_text[i], sizeof(node->route_text[i]), text) ||
	    !ts_prefix_parse(text, strlen(text), &node->route[i]))
		return false;
	node->route_count++;
	return true;
}

/* One field after the name: an address, route=CIDR, host=TEXT, a flag, or else the operating system. */
static bool node_field(struct ts_sim_node *node, const char *field)
{
	struct ts_addr addr;

	if (ts_addr_parse(field, strlen(field), &addr)) {
		if (ts_addr_is4(&addr)) {
			node->ip4 = addr;
			node->has4 = true;
		} else {
			node->ip6 = addr;
			node->has6 = true;
		}
		return true;
	}
	if (strncmp(field, "route=", 6) == 0)
		return node_route(node, field + 6);
	if (strncmp(field, "host=", 5) == 0)
		return copy_text(node->host, sizeof(node->host), field + 5);
	for (size_t i = 0; i < sizeof(flag_names) / sizeof(*flag_names); i++)
		if (strcmp(field, flag_names[i].name) == 0) {
			node->flags |= flag_names[i].flag;
			return true;
		}
	return !strchr(field, '=') && copy_text(node->os, sizeof(node->os), field);
}

/* In a running world a node that is named again has changed. */
static void replace_namesake(struct ts_sim_node *last)
{
	for (struct ts_sim_node *n = ts_sim_world.nodes; ts_sim_world.finished && n < last; n++)
		if (strcasecmp(n->name, last->name) == 0) {
			*n = *last;
			ts_sim_world.node_count--;
			return;
		}
}

int ts_sim_world_add_node(const char *spec)
{
	struct ts_sim_node *node = new_node();
	char text[1024], *save, *field;
	bool ok = copy_text(text, sizeof(text), spec);

	if (!ok)
		text[0] = '\0';
	strcpy(node->os, "linux");
	field = strtok_r(text, ",", &save);
	ok = ok && field && copy_text(node->name, sizeof(node->name), field);
	if (ok)
		strcpy(node->host, node->name);
	while (ok && (field = strtok_r(NULL, ",", &save)))
		ok = node_field(node, field);
	if (ok && (node->has4 || node->has6)) {
		replace_namesake(node);
		return 0;
	}
	ts_sim_world.node_count--;
	return -EINVAL;
}

int ts_sim_world_add_many(const char *count)
{
	char *end;
	unsigned long n = strtoul(count, &end, 10);

	/* 100.80.0.0/12 holds that many, and the named examples lie outside of it. */
	if (*end || n > 1000000)
		return -EINVAL;
	for (unsigned long i = 0; i < n; i++) {
		struct ts_sim_node *node = new_node();
		uint8_t ip4[4] = { 100, (uint8_t)(80 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i };
		uint8_t ip6[16] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 1, [13] = (uint8_t)(i >> 16),
			[14] = (uint8_t)(i >> 8), [15] = (uint8_t)i };

		snprintf(node->name, sizeof(node->name), "node-%06lu", i);
		strcpy(node->host, node->name);
		strcpy(node->os, "linux");
		ts_addr_set4(&node->ip4, ip4, 0);
		ts_addr_set6(&node->ip6, ip6, 0);
		node->has4 = node->has6 = true;
	}
	return 0;
}

int ts_sim_world_add_map(const char *spec)
{
	const char *eq = strchr(spec, '=');
	struct mapping m, *kept;

	if (!eq || !ts_addr_parse_hostport(spec, (size_t)(eq - spec), &m.from) ||
	    !ts_addr_parse_hostport(eq + 1, strlen(eq + 1), &m.to))
		return -EINVAL;
	m.next = mappings;
	kept = ts_sim_alloc(sizeof(*kept));
	*kept = m;
	mappings = kept;
	return 0;
}

static int add_name(struct known_name **list, const char *spec)
{
	const char *eq = strchr(spec, '=');
	size_t len = eq ? (size_t)(eq - spec) : 0;
	struct known_name *n;
	struct ts_addr addr;

	if (!len || len > TS_SIM_NAME_MAX || !ts_addr_parse(eq + 1, strlen(eq + 1), &addr))
		return -EINVAL;
	n = ts_sim_alloc(sizeof(*n) + len + 1);
	memcpy(n->name, spec, len);
	n->addr = addr;
	n->next = *list;
	*list = n;
	return 0;
}

int ts_sim_world_add_name(const char *spec)
{
	return add_name(&host_names, spec);
}

int ts_sim_world_add_extra(const char *spec)
{
	return add_name(&extra_names, spec);
}

void ts_sim_world_each_extra(void (*fn)(void *arg, const char *name, const struct ts_addr *addr), void *arg)
{
	for (const struct known_name *n = extra_names; n; n = n->next)
		fn(arg, n->name, &n->addr);
}

void ts_sim_world_finish(void)
{
	static const char *const guide[] = {
		"hello,100.101.102.103,fd7a:115c:a1e0::6765:6667,linux,sharee,nodns",
		"jawnsy-tailscale-1,100.90.56.90,fd7a:115c:a1e0::385a,linux",
		"jawnsy-tailscale-2,100.93.121.122,fd7a:115c:a1e0::797a,linux,self",
	};

	bool empty = ts_sim_world.node_count == 0;

	for (size_t i = 0; empty && i < sizeof(guide) / sizeof(*guide); i++)
		ts_sim_world_add_node(guide[i]);
	if (!ts_sim_world_self())
		ts_sim_world_add_node("this-node,100.64.0.1,fd7a:115c:a1e0::1,linux,self");
	ts_sim_world.finished = true;
}

const struct ts_sim_node *ts_sim_world_self(void)
{
	for (unsigned i = 0; i < ts_sim_world.node_count; i++)
		if (ts_sim_world.nodes[i].flags & TS_SIM_SELF)
			return &ts_sim_world.nodes[i];
	return NULL;
}

const struct ts_sim_node *ts_sim_world_node_at(const uint8_t ip[16])
{
	for (unsigned i = 0; i < ts_sim_world.node_count; i++) {
		const struct ts_sim_node *n = &ts_sim_world.nodes[i];

		if ((n->has4 && memcmp(n->ip4.ip, ip, 16) == 0) || (n->has6 && memcmp(n->ip6.ip, ip, 16) == 0))
			return n;
	}
	return NULL;
}

const struct ts_sim_node *ts_sim_world_node_routing(const uint8_t ip[16])
{
	for (unsigned i = 0; i < ts_sim_world.node_count; i++) {
		const struct ts_sim_node *n = &ts_sim_world.nodes[i];

		for (unsigned r = 0; r < n->route_count; r++)
			if (ts_prefix_contains(&n->route[r], ip))
				return n;
	}
	return NULL;
}

const struct ts_sim_node *ts_sim_world_node_named(const char *label)
{
	for (unsigned i = 0; i < ts_sim_world.node_count; i++)
		if (strcasecmp(ts_sim_world.nodes[i].name, label) == 0)
			return &ts_sim_world.nodes[i];
	return NULL;
}

static bool find_in(const struct known_name *list, const char *name, struct ts_addr *out)
{
	for (; list; list = list->next)
		if (strcasecmp(list->name, name) == 0) {
			memcpy(out->ip, list->addr.ip, 16);
			return true;
		}
	return false;
}

/* As the daemon resolves: MagicDNS first, then what its host knows. */
static bool resolve(const char *asked, struct ts_addr *out)
{
	char name[TS_SIM_NAME_MAX + 3];
	size_t len = strlen(asked), suffix = strlen(ts_sim_world.suffix);
	const struct ts_sim_node *node;
	struct ts_addr numeric;

	memcpy(name, asked, len + 1);
	if (len && name[len - 1] == '.')
		name[--len] = '\0';
	if (ts_addr_parse(name, len, &numeric)) {
		memcpy(out->ip, numeric.ip, 16);
		return true;
	}
	if (find_in(extra_names, name, out) || find_in(host_names, name, out))
		return true;
	if (len > suffix + 1 && name[len - suffix - 1] == '.' && strcasecmp(name + len - suffix, ts_sim_world.suffix) == 0)
		name[len - suffix - 1] = '\0';
	node = ts_sim_world_node_named(name);
	if (node && !(node->flags & TS_SIM_NO_DNS)) {
		memcpy(out->ip, node->has4 ? node->ip4.ip : node->ip6.ip, 16);
		return true;
	}
	if (strcasecmp(name, "localhost") != 0)
		return false;
	ts_addr_set4(&numeric, loopback, 0);
	memcpy(out->ip, numeric.ip, 16);
	return true;
}

enum ts_sim_route ts_sim_world_route(struct ts_sim_dest *dest, struct ts_addr *to)
{
	const struct ts_sim_node *node;

	if (!dest->resolved) {
		if (!resolve(dest->name, &dest->addr))
			return TS_SIM_UNKNOWN;
		dest->resolved = true;
	}
	*to = dest->addr;
	for (const struct mapping *m = mappings; m; m = m->next)
		if (ts_addr_equal(&m->from, &dest->addr)) {
			*to = m->to;
			return TS_SIM_DIAL;
		}
	node = ts_sim_world_node_at(dest->addr.ip);
	if (!node && !ts_sim_world.no_accept_routes)
		node = ts_sim_world_node_routing(dest->addr.ip);
	if (!node)
		return ts_sim_world.refuse_others || ts_ip_is_tailscale(dest->addr.ip) ? TS_SIM_REFUSED : TS_SIM_DIAL;
	if (node->flags & (TS_SIM_OFFLINE | TS_SIM_SILENT | TS_SIM_EXPIRED))
		return TS_SIM_AWAY;
	if (!(node->flags & TS_SIM_REAL))
		ts_addr_set4(to, loopback, dest->addr.port);
	return TS_SIM_DIAL;
}

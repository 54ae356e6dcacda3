/* SPDX-License-Identifier: MIT */
/* tsproxy-status: the tailnet as programs see it through the map: nodes, proxy, age. */
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "../command/peer_detail.h"
#include "tsproxy/tool.h"

static const char usage[] =
	"usage: tsproxy status [options] [--json]\n"
	"Shows the tailnet's nodes, the proxy, and the age of the map.\n"
	"  --json                print one object\n";

#define PLAIN "\033[0m"
#define NAME_MAX_TEXT (TS_NAME_MAX + 3)

struct row {
	char ip[TS_ADDR_TEXT_MAX];
	char name[NAME_MAX_TEXT];
	char os[NAME_MAX_TEXT];
	char state[64];
};

static void add_word(const char *word, void *arg)
{
	struct row *r = arg;
	size_t len = strlen(r->state);

	snprintf(r->state + len, sizeof(r->state) - len, "%s%s", len ? "," : "", word);
}

/* A full name under the tailnet's own suffix is shown without it, as tailscale does. */
static void set_name(const struct ts_map *m, const struct ts_map_node *n, struct row *r)
{
	char suffix[TS_NAME_MAX + 1], host[NAME_MAX_TEXT];
	size_t len, suffix_len;

	if (n->fqdn.len == 0) {
		if (ts_walk_text(m, n->host, host, sizeof(host))[0] && !(n->flags & TS_NODE_SHAREE))
			memcpy(r->name, host, sizeof(host));
		else
			snprintf(r->name, sizeof(r->name), "(\"%.*s\")", (int)sizeof(r->name) - 5, host);
		return;
	}
	ts_walk_text(m, n->fqdn, r->name, sizeof(r->name));
	ts_map_suffix(m, suffix);
	len = strlen(r->name);
	suffix_len = strlen(suffix);
	if (suffix_len && len > suffix_len + 1 && strcmp(r->name + len - suffix_len, suffix) == 0 &&
	    r->name[len - suffix_len - 1] == '.')
		r->name[len - suffix_len - 1] = '\0';
}

static void make_row(const struct ts_map *m, const struct ts_map_node *n, struct row *r)
{
	struct ts_map_addr a;

	memset(r, 0, sizeof(*r));
	strcpy(r->ip, "-");
	if (n->addr_count && ts_walk_addr(m, n->addr_first, &a))
		ts_ip_format(a.ip, r->ip);
	set_name(m, n, r);
	ts_walk_text(m, n->os, r->os, sizeof(r->os));
	if (!r->os[0])
		strcpy(r->os, "-");
	ts_walk_node_flags(n->flags, add_word, r);
	if (!r->state[0])
		strcpy(r->state, "-");
}

/* What a connect to a node goes through. */
static const char *via(const struct ts_map *m, char *out, size_t cap)
{
	struct ts_map_header h = ts_map_header(m);
	struct ts_endpoint e;

	if (h.flags & TS_MAP_TUN)
		return "kernel";
	if (h.state == TS_STATE_STOPPED || h.state == TS_STATE_NEEDS_LOGIN || ts_map_endpoint(m, 0, &e) != 1)
		return "-";
	return ts_walk_endpoint(&e, out, cap);
}

/* Columns that a terminal takes; characters, where no locale knows UTF-8. */
static int width(const char *s)
{
	int n = 0;

	while (*s) {
		wchar_t c;
		size_t len = mbrtowc(&c, s, strlen(s), &(mbstate_t){ 0 });

		if (len <= strlen(s)) {
			n += wcwidth(c) > 0 ? wcwidth(c) : 0;
			s += len;
		} else {
			n += (*s++ & 0xc0) != 0x80;
		}
	}
	return n;
}

static void cell(const char *s, int wide)
{
	printf("%s%*s", s, wide - width(s) + 2, "");
}

static const char *state_colour(uint32_t flags)
{
	if (flags & TS_NODE_EXPIRED)
		return "\033[31m";
	if (!(flags & TS_NODE_ONLINE_KNOWN))
		return "";
	return flags & TS_NODE_ONLINE ? "\033[32m" : "\033[2m";
}

static const struct ts_map *sorting;

/* This node first, the others by name. */
static int compare(const void *a, const void *b)
{
	struct ts_map_node n[2];
	struct row r[2];

	if (!ts_walk_node(sorting, *(const uint32_t *)a, &n[0]) || !ts_walk_node(sorting, *(const uint32_t *)b, &n[1]))
		return 0;
	if ((n[0].flags ^ n[1].flags) & TS_NODE_SELF)
		return n[0].flags & TS_NODE_SELF ? -1 : 1;
	for (int i = 0; i < 2; i++)
		make_row(sorting, &n[i], &r[i]);
	return strcmp(r[0].name, r[1].name);
}

/* The nodes' numbers in the order in which they are shown. The caller's. */
static uint32_t *sorted(const struct ts_map *m, uint32_t *count)
{
	uint32_t *order = calloc(ts_map_header(m).nodes.count + 1, sizeof(*order));

	*count = order ? ts_map_header(m).nodes.count : 0;
	for (uint32_t i = 0; i < *count; i++)
		order[i] = i;
	sorting = m;
	if (order)
		qsort(order, *count, sizeof(*order), compare);
	return order;
}

static void print_table(const struct ts_map *m, const json_t *details)
{
	static const char *const titles[] = { "ADDRESS", "NAME", "OS", "STATE" };
	char proxy[TS_ADDR_TEXT_MAX + 16];
	const char *through = via(m, proxy, sizeof(proxy));
	bool colour = ts_tool_colours();
	uint32_t *order, count;
	int wide[4];
	struct ts_map_node n;
	char detail[TS_PEER_TEXT_MAX];
	struct row r;
	const char *cells[4] = { r.ip, r.name, r.os, r.state };

	for (int c = 0; c < 4; c++)
		wide[c] = width(titles[c]);
	for (uint32_t i = 0; ts_walk_node(m, i, &n); i++) {
		make_row(m, &n, &r);
		for (int c = 0; c < 4; c++)
			wide[c] = width(cells[c]) > wide[c] ? width(cells[c]) : wide[c];
	}
	if (colour)
		printf("\033[1m");
	for (int c = 0; c < 4; c++)
		cell(titles[c], wide[c]);
	printf("VIA%s\n", colour ? PLAIN : "");
	order = sorted(m, &count);
	for (uint32_t i = 0; i < count && ts_walk_node(m, order[i], &n); i++) {
		make_row(m, &n, &r);
		for (int c = 0; c < 3; c++)
			cell(cells[c], wide[c]);
		fputs(colour ? state_colour(n.flags) : "", stdout);
		cell(cells[3], wide[3]);
		ts_peer_detail_text(json_object_get(details, r.ip), detail);
		printf("%s%s%s%s\n", colour ? PLAIN : "", n.flags & TS_NODE_EXPIRED ? "-" : through, *detail ? "  " : "", detail);
	}
	free(order);
}

static double age_s(const struct ts_map *m)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)(now.tv_sec * 1000000000ll + now.tv_nsec - ts_map_header(m).made_ns) / 1e9;
}

/* Whose a proxy on this machine is, now; false for one elsewhere. */
static bool owner_of(const struct ts_endpoint *e, uint32_t daemon, struct ts_owner *out)
{
	if (!ts_ip_is_loopback(e->addr.ip))
		return false;
	ts_owner_find(&e->addr, daemon, out);
	return true;
}

static void print_endpoints(const struct ts_map *m, uint32_t daemon)
{
	char text[TS_ADDR_TEXT_MAX + 16], who[160];
	struct ts_owner owner;
	struct ts_endpoint e;

	for (unsigned i = 0; ts_map_endpoint(m, i, &e) == 1; i++) {
		bool here = owner_of(&e, daemon, &owner);

		printf("# proxy: %s (%s%s)%s%s\n", ts_walk_endpoint(&e, text, sizeof(text)),
		       e.flags & TS_PROXY_UDP ? "TCP and UDP" : "TCP", e.flags & TS_PROXY_AUTH ? ", with a password" : "",
		       here ? ", run by " : "", here ? ts_owner_text(&owner, who, sizeof(who)) : "");
	}
}

static void print_rest(const struct ts_map *m, const char *path, uint32_t daemon)
{
	struct ts_map_header h = ts_map_header(m);
	char text[NAME_MAX_TEXT], span[TS_RANGE_TEXT_MAX];
	struct ts_map_range range;
	struct ts_map_node n;

	for (uint32_t i = 0; ts_walk_range(m, i, &range); i++) {
		if (range.kind == TS_RANGE_EXIT)
			continue;
		printf("# %s %s", ts_walk_range_kind(range.kind), ts_walk_range_text(&range, span));
		if (ts_walk_node(m, range.node, &n))
			printf(" via %s", ts_walk_text(m, n.fqdn.len ? n.fqdn : n.host, text, sizeof(text)));
		putchar('\n');
	}
	print_endpoints(m, daemon);
	if (h.endpoints.count == 0)
		printf("# proxy: %s\n", h.flags & TS_MAP_TUN ? "the kernel (TUN)" : "none");
	if (h.nodes.count == 0 && h.state == TS_STATE_UNKNOWN && h.endpoints.count)
		puts("# nodes: unknown, because no daemon can be asked; the proxy resolves names under ts.net");
	printf("# tailnet: %s%s%s\n", ts_walk_state(h.state), h.suffix.len ? ", " : "",
	       ts_walk_text(m, h.suffix, text, sizeof(text)));
	if (h.flags & TS_MAP_REFUSES_ROUTES)
		puts("# subnet routes: not accepted by the daemon (to accept them: tsproxy tailscale set --accept-routes)");
	printf("# map: %s, %.1f s old\n", path, age_s(m));
}

static void append_word(const char *word, void *arg)
{
	json_array_append_new(arg, json_string(word));
}

static json_t *node_json(const struct ts_map *m, const struct ts_map_node *n, const json_t *details)
{
	char text[NAME_MAX_TEXT], ip[TS_ADDR_TEXT_MAX];
	json_t *ips = json_array(), *flags = json_array(), *o = json_object();
	struct ts_map_addr a;

	for (uint32_t i = 0; i < n->addr_count && ts_walk_addr(m, n->addr_first + i, &a); i++) {
		ts_ip_format(a.ip, ip);
		json_array_append_new(ips, json_string(ip));
	}
	ts_walk_node_flags(n->flags, append_word, flags);
	json_object_set_new(o, "addresses", ips);
	json_object_set_new(o, "name",
			    n->fqdn.len ? json_string(ts_walk_text(m, n->fqdn, text, sizeof(text))) : json_null());
	json_object_set_new(o, "host", json_string(ts_walk_text(m, n->host, text, sizeof(text))));
	json_object_set_new(o, "os", json_string(ts_walk_text(m, n->os, text, sizeof(text))));
	json_object_set_new(o, "state", flags);
	ts_peer_detail_json(json_object_get(details, json_string_value(json_array_get(ips, 0))), o);
	return o;
}

static json_t *owner_json(const struct ts_endpoint *e, uint32_t daemon)
{
	char user[64], program[64];
	struct ts_owner o;

	if (!owner_of(e, daemon, &o) || (o.kind != TS_OWNER_TRUSTED && o.kind != TS_OWNER_STRANGER))
		return json_null();
	return json_pack("{s:i, s:s, s:s?, s:b}", "uid", (int)o.uid, "user", ts_owner_user(o.uid, user, sizeof(user)),
			 "program", ts_owner_program(&o, program, sizeof(program)) ? program : NULL, "trusted",
			 o.kind == TS_OWNER_TRUSTED);
}

static json_t *endpoint_json(const struct ts_endpoint *e, uint32_t daemon)
{
	char at[TS_ADDR_TEXT_MAX];

	ts_addr_format(&e->addr, at);
	return json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:o}", "kind", e->kind == TS_PROXY_HTTP ? "http" : "socks5",
			 "address", at, "auth", (e->flags & TS_PROXY_AUTH) != 0, "pipeline", (e->flags & TS_PROXY_PIPELINE) != 0,
			 "bnd", (e->flags & TS_PROXY_BND_TRUE) != 0, "udp", (e->flags & TS_PROXY_UDP) != 0,
			 "configured", (e->flags & TS_PROXY_CONFIGURED) != 0, "owner", owner_json(e, daemon));
}

static json_t *ranges_json(const struct ts_map *m)
{
	char text[NAME_MAX_TEXT], span[TS_RANGE_TEXT_MAX];
	json_t *list = json_array();
	struct ts_map_range r;
	struct ts_map_node n;

	for (uint32_t i = 0; ts_walk_range(m, i, &r); i++) {
		json_t *o = json_pack("{s:s, s:s}", "kind", ts_walk_range_kind(r.kind), "range",
				      ts_walk_range_text(&r, span));

		if (ts_walk_node(m, r.node, &n))
			json_object_set_new(
				o, "node",
				json_string(ts_walk_text(m, n.fqdn.len ? n.fqdn : n.host, text, sizeof(text))));
		json_array_append_new(list, o);
	}
	return list;
}

static void print_json(const struct ts_map *m, const json_t *details, const char *path, uint32_t daemon, bool up)
{
	struct ts_map_header h = ts_map_header(m);
	json_t *nodes = json_array(), *endpoints = json_array(), *root;
	char suffix[TS_NAME_MAX + 1];
	struct ts_map_node n;
	struct ts_endpoint e;

	for (uint32_t i = 0; ts_walk_node(m, i, &n); i++)
		json_array_append_new(nodes, node_json(m, &n, details));
	for (unsigned i = 0; ts_map_endpoint(m, i, &e) == 1; i++)
		json_array_append_new(endpoints, endpoint_json(&e, daemon));
	ts_map_suffix(m, suffix);
	root = json_pack("{s:s, s:b, s:s, s:b, s:b, s:o, s:o, s:o, s:s, s:f}", "state", ts_walk_state(h.state), "connected", up, "suffix", suffix,
			 "tun", (h.flags & TS_MAP_TUN) != 0, "accept-routes",
			 (h.flags & TS_MAP_REFUSES_ROUTES) == 0, "proxies", endpoints, "nodes", nodes, "ranges",
			 ranges_json(m), "map", path, "age", age_s(m));
	json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(root);
}

/* Whether the status comes from what can be read once. */
static bool is_stream(void)
{
	const char *status = getenv("TSPROXY_STATUS");

	return status && ts_conf_stream(status) >= 0;
}

/* Makes the map now, where it can be asked for again, and loads it; *old: it could not be made. 0 or an exit status. */
static int load(const struct ts_conf *conf, struct ts_map *map, bool *old)
{
	struct timespec now;
	int ret;

	*old = false;
	if (is_stream() || !conf->map_path[0])
		return ts_sync_load(conf, map);
	clock_gettime(CLOCK_REALTIME, &now);
	ret = ts_sync(conf);
	if (ret == 2 || ts_map_load(conf->map_path, map) != 0)
		return ret ? ret : 1;
	*old = ret && ts_map_header(map).made_ns < now.tv_sec * 1000000000ll + now.tv_nsec;
	return 0;
}

/* Whether the tailnet is there now; where not, the first line of all says so. */
static bool is_up(const struct ts_map *m, bool old, bool json)
{
	uint32_t state = ts_map_header(m).state;
	const char *what = old ? "tailscaled does not answer (its last status is shown)" :
			   state == TS_STATE_STOPPED ? "tailscaled is stopped" :
			   state == TS_STATE_NEEDS_LOGIN ? "tailscaled is logged out or waiting for approval" : NULL;

	if (what && !json)
		printf("# Not connected: %s. To connect: tsproxy up\n", what);
	return !what;
}

/* The user that is trusted besides root and us. */
static uint32_t daemon_user(void)
{
	struct ts_map_settings set;
	uint32_t user = ts_settings_load(&set, NULL) == 0 ? ts_source_daemon(&set) : TS_NO_USER;

	ts_settings_free(&set);
	return user;
}

int main(int argc, char **argv)
{
	struct ts_conf conf;
	struct ts_map map;
	bool json = false, old, up;
	uint32_t daemon;
	json_t *details;
	int ret;

	ret = ts_options_begin(&argc, argv, usage, &json, &conf);
	if (ret == 0)
		ret = ts_options_end(&argc, argv);
	if (ret)
		return ret < 0 ? 0 : ret;
	if (argc > 1) {
		ts_tool_error("status takes no arguments; see --help");
		return 2;
	}
	ret = load(&conf, &map, &old);
	if (ret)
		return ret;
	ts_tool_quiet(); /* making the map has warned */
	daemon = daemon_user();
	/* Standard input and the like were read to their end. */
	details = old || is_stream() ? json_object() : ts_peer_details();
	setlocale(LC_CTYPE, "C.UTF-8");	/* names are UTF-8, whatever the user's locale is */
	up = is_up(&map, old, json);
	if (json) {
		print_json(&map, details, conf.map_path, daemon, up);
	} else {
		print_table(&map, details);
		print_rest(&map, conf.map_path, daemon);
	}
	json_decref(details);
	ts_map_unload(&map);
	return ts_tool_flush() || !up;
}

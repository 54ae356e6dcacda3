/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a name or address, told from the map and the settings in the order in which the object decides it
 * (flow/route/route.c and names/ask.c): those work inside a program on a map that may change under them, this on one that
 * stands still.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tsproxy/tool.h"

static bool in_list(const struct ts_prefix *list, unsigned count, const uint8_t ip[16])
{
	for (unsigned i = 0; i < count; i++)
		if (ts_prefix_contains(&list[i], ip))
			return true;
	return false;
}

static void explain_node(const struct ts_map *m, const struct ts_addr *a, struct ts_explained *e)
{
	struct ts_map_header h = ts_map_header(m);

	e->ours = true;
	if (ts_map_find_range(m, a->ip, &e->range) == 1 && e->range.kind == TS_RANGE_EXCLUDE) {
		e->why = TS_WHY_EXCLUDED;
		e->ours = false;
	} else if (h.flags & TS_MAP_TUN) {
		e->why = TS_WHY_KERNEL;
		e->ours = false;
	} else {
		e->why = TS_WHY_MAP;
	}
}

/* Addresses that mean something only nearby: an exit node does not lead there (RFC 1918, RFC 4193). */
static bool is_private(const uint8_t ip[16])
{
	if (!ts_ip_is4(ip))
		return (ip[0] & 0xfe) == 0xfc;
	return ip[12] == 10 || (ip[12] == 172 && (ip[13] & 0xf0) == 16) || (ip[12] == 192 && ip[13] == 168);
}

/* Whether the range that covers `ip` is carried. */
static bool range_ours(const struct ts_conf *conf, const struct ts_map *m, const uint8_t ip[16], uint32_t kind)
{
	if (kind != TS_RANGE_EXIT)
		return kind != TS_RANGE_EXCLUDE;
	return (conf->exit_node || ts_map_header(m).flags & TS_MAP_EXIT_NODE) && !is_private(ip);
}

static void explain_addr(const struct ts_conf *conf, const struct ts_map *m, const struct ts_addr *a,
			 struct ts_explained *e)
{
	bool routed = in_list(conf->route, conf->route_count, a->ip);
	struct ts_map_header h = ts_map_header(m);

	e->why = TS_WHY_NOT_OURS;
	if (!routed && (ts_ip_is_loopback(a->ip) || ts_ip_is_local_scope(a->ip))) {
		e->why = TS_WHY_LOCAL;
	} else if (in_list(conf->exclude, conf->exclude_count, a->ip)) {
		e->why = TS_WHY_EXCLUDED;
	} else if (routed) {
		e->why = TS_WHY_ROUTE;
		e->ours = true;
	} else if (ts_map_find_addr(m, a->ip, &e->answer) == 1) {
		explain_node(m, a, e);
	} else if (h.flags & TS_MAP_TUN) {
		e->why = TS_WHY_KERNEL;
	} else if (ts_ip_is_tailscale_service(a->ip)) {
		e->why = TS_WHY_SERVICE;
		e->ours = true;
	} else if (ts_map_find_range(m, a->ip, &e->range) == 1) {
		e->why = e->range.kind == TS_RANGE_EXCLUDE ? TS_WHY_EXCLUDED : TS_WHY_ROUTE;
		e->ours = range_ours(conf, m, a->ip, e->range.kind);
	}
	if (e->why != TS_WHY_EXCLUDED && e->why != TS_WHY_KERNEL && !e->ours && ts_ip_is_tailscale(a->ip) &&
	    (!ts_ip_is4(a->ip) || !ts_map_is_running(&h))) {
		e->why = TS_WHY_NO_NODE;
		e->ours = true;
	}
}

static bool is_localhost(const char *s)
{
	size_t len = strlen(s);

	if (len && s[len - 1] == '.')
		len--;
	return len >= 9 && strncasecmp(s + len - 9, "localhost", 9) == 0 && (len == 9 || s[len - 10] == '.');
}

/* /etc/hosts, read by libc's own reader of that file. */
static bool in_hosts(const char *name, struct ts_map_answer *out)
{
	struct hostent *h;
	struct ts_addr a;
	bool found = false;

	sethostent(1);
	while ((h = gethostent()) != NULL) {
		bool same = strcasecmp(h->h_name, name) == 0;

		for (char **alias = h->h_aliases; *alias && !same; alias++)
			same = strcasecmp(*alias, name) == 0;
		if (!same)
			continue;
		for (char **ip = h->h_addr_list; *ip && out->count < TS_ANSWER_ADDRS_MAX; ip++) {
			if (h->h_addrtype == AF_INET)
				ts_addr_set4(&a, (const uint8_t *)*ip, 0);
			else
				ts_addr_set6(&a, (const uint8_t *)*ip, 0);
			memcpy(out->ip[out->count++], a.ip, 16);
		}
		if (!found)
			snprintf(out->canon, sizeof(out->canon), "%s", h->h_name);
		found = true;
	}
	endhostent();
	return found;
}

/* Whether the name has a name server of its own: names/ask.c. */
static bool explain_split(const struct ts_conf *conf, const struct ts_map *m, const char *name, struct ts_explained *e)
{
	struct ts_map_header h = ts_map_header(m);
	struct ts_explained server = { .ours = false };
	size_t len = strlen(name);

	if (h.flags & TS_MAP_TUN || !ts_split_find_in(conf->dns_route, m, name, len, &e->split) ||
	    ts_map_name_remote(m, name, len) >= e->split.suffix_len ||
	    e->split.suffix_len <= ts_map_name_under_suffix(m, name, len))
		return false;
	e->why = e->split.flags & TS_DNS_ROUTE_NO_SERVER ? TS_WHY_NO_SUCH_NAME : TS_WHY_SPLIT;
	e->ours = true;
	if (e->split.count)
		explain_addr(conf, m, &e->split.server[0], &server);
	e->split_ours = server.ours;
	return true;
}

static void explain_name(const struct ts_conf *conf, const struct ts_map *m, const char *name, struct ts_explained *e)
{
	size_t len = strlen(name), label = strcspn(name, ".");
	bool is_short = label == len || label + 1 == len;
	bool shorts = conf->short_names && !(ts_map_header(m).flags & TS_MAP_NO_SHORT_NAMES);

	e->why = TS_WHY_NOT_OURS;
	if (is_localhost(name) || in_hosts(name, &e->answer)) {
		e->why = TS_WHY_HOSTS;
	} else if ((!is_short || shorts) && ts_map_find_name(m, name, len, &e->answer) == 1) {
		e->why = TS_WHY_MAP;
		e->ours = true;
	} else if (explain_split(conf, m, name, e)) {
		return;
	} else if ((!is_short || shorts) && ts_map_name_far(m, name, len, e->answer.canon)) {
		e->why = TS_WHY_REMOTE;
		e->ours = true;
	} else if (ts_map_name_under_suffix(m, name, len)) {
		e->why = TS_WHY_NO_SUCH_NAME;
		e->ours = true;
	} else if (ts_map_name_remote(m, name, len)) {
		e->why = TS_WHY_REMOTE;
		e->ours = true;
	}
}

void ts_explain(const struct ts_conf *conf, const struct ts_map *m, const char *what, struct ts_explained *out)
{
	struct ts_addr a;

	memset(out, 0, sizeof(*out));
	if (ts_addr_parse(what, strlen(what), &a)) {
		explain_addr(conf, m, &a, out);
		if (out->answer.count == 0) {
			memcpy(out->answer.ip[0], a.ip, 16);
			out->answer.count = 1;
		}
	} else {
		explain_name(conf, m, what, out);
	}
}

static void range_text(const struct ts_map *m, const struct ts_explained *e, char *out, size_t cap)
{
	char by[TS_NAME_MAX + 3] = "?", span[TS_RANGE_TEXT_MAX];
	struct ts_map_node n;

	if (ts_walk_node(m, e->range.node, &n))
		ts_walk_text(m, n.fqdn.len ? n.fqdn : n.host, by, sizeof(by));
	switch (e->range.kind) {
	case TS_RANGE_SUBNET:
		snprintf(out, cap, "subnet %s via %s", ts_walk_range_text(&e->range, span), by);
		break;
	case TS_RANGE_EXIT:
		snprintf(out, cap,
			 e->ours ? "exit node %s"
				 : "not in the tailnet (exit node %s: only with --exit-node, never private addresses)",
			 by);
		break;
	case TS_RANGE_ROUTE:
		snprintf(out, cap, "route %s from the config file", ts_walk_range_text(&e->range, span));
		break;
	default:
		snprintf(out, cap, "route from --route or TSPROXY_ROUTE");
	}
}

static void split_text(const struct ts_explained *e, char *out, size_t cap)
{
	char at[TS_ADDR_TEXT_MAX];
	size_t n;

	if (e->split.count == 0) {
		snprintf(out, cap, "dns-route (not resolved: its name servers support only DNS over HTTPS)");
		return;
	}
	n = (size_t)snprintf(out, cap, "dns-route (name server ");
	for (unsigned i = 0; i < e->split.count && n < cap; i++) {
		ts_addr_format(&e->split.server[i], at);
		n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? ", then " : "", at);
	}
	if (n < cap)
		snprintf(out + n, cap - n, ", %s)", e->split_ours ? "through the proxy" : "directly");
}

static void map_text(const struct ts_explained *e, char *out, size_t cap)
{
	const char *state = "";
	uint32_t f = e->answer.node_flags;

	if (f & TS_NODE_SELF)
		state = ", this node";
	else if (f & TS_NODE_ONLINE_KNOWN)
		state = f & TS_NODE_ONLINE ? ", online" : ", offline";
	snprintf(out, cap, "map%s%s%s", e->answer.canon[0] ? " " : "", e->answer.canon, state);
}

const char *ts_explain_text(const struct ts_map *m, const struct ts_explained *e, char *out, size_t cap)
{
	static const char *const plain[] = {
		[TS_WHY_HOSTS] = "hosts (/etc/hosts and localhost come first)",
		[TS_WHY_EXCLUDED] = "not in the tailnet (excluded by a setting)",
		[TS_WHY_REMOTE] = "remote (the proxy resolves it)",
		[TS_WHY_NO_SUCH_NAME] = "no such name in the tailnet (no other resolver is asked)",
		[TS_WHY_SERVICE] = "the daemon's service address: not reachable through a proxy",
		[TS_WHY_NO_NODE] = "no node has this address: connections fail",
		[TS_WHY_LOCAL] = "not in the tailnet (this machine or the local network)",
		[TS_WHY_KERNEL] = "not through a proxy (TUN: the kernel routes the tailnet)",
		[TS_WHY_NOT_OURS] = "not in the tailnet",
	};

	if (e->why == TS_WHY_MAP)
		map_text(e, out, cap);
	else if (e->why == TS_WHY_SPLIT)
		split_text(e, out, cap);
	else if (e->why == TS_WHY_ROUTE)
		range_text(m, e, out, cap);
	else
		snprintf(out, cap, "%s", plain[e->why]);
	return out;
}

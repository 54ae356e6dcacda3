/* SPDX-License-Identifier: MIT */
/*
 * Reads `tailscale status --json`, which is what the LocalAPI answers too (ipnstate.Status in the daemon's source).
 *
 * The document as a whole must be sound: a truncated one, or one with a key twice, is refused, because half a tailnet
 * is worse than the last good map. Inside it each value stands for itself: one of a wrong type counts as absent, so
 * that a peer with an odd HostName (its owner chooses that) or a field that a later version changes costs that field
 * alone. The strings stay where jansson put them.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/status.h"

static struct ts_slice slice(const json_t *v)
{
	if (!json_is_string(v))
		return (struct ts_slice){ "", 0 };
	return (struct ts_slice){ json_string_value(v), json_string_length(v) };
}

static bool slice_is(struct ts_slice s, const char *word)
{
	return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

static int add_ips(struct ts_tailnet *tn, const json_t *list)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		struct ts_slice s = slice(v);
		struct ts_addr a;

		if (ts_addr_parse(s.p, s.len, &a) && !ts_tailnet_add_ip(tn, a.ip))
			return -ENOMEM;
	}
	return 0;
}

static int add_routes(struct ts_tailnet *tn, const json_t *list)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		struct ts_slice s = slice(v);
		struct ts_prefix p;

		if (ts_prefix_parse(s.p, s.len, &p) && !ts_tailnet_add_route(tn, &p))
			return -ENOMEM;
	}
	return 0;
}

static const struct {
	const char *key;
	uint32_t flag;
} node_flags[] = {
	{ "ExitNode", TS_NODE_EXIT },
	{ "ExitNodeOption", TS_NODE_EXIT_OPTION },
	{ "ShareeNode", TS_NODE_SHAREE },
	{ "Expired", TS_NODE_EXPIRED },
};

/* What the daemon goes by (its tailcfg.NodeAttrDNSSubdomainResolve); no value belongs to it. */
#define CAP_SUBDOMAINS "dns-subdomain-resolve"

static int add_node(struct ts_tailnet *tn, const json_t *peer, uint32_t flags)
{
	struct ts_status_node *n = ts_tailnet_add_node(tn);
	const json_t *online = json_object_get(peer, "Online");
	int err;

	if (!n)
		return -ENOMEM;
	n->fqdn = slice(json_object_get(peer, "DNSName"));
	n->host = slice(json_object_get(peer, "HostName"));
	n->os = slice(json_object_get(peer, "OS"));
	n->flags = flags;
	if (json_is_boolean(online))
		n->flags |= TS_NODE_ONLINE_KNOWN | (json_is_true(online) ? TS_NODE_ONLINE : 0);
	if (json_object_get(json_object_get(peer, "CapMap"), CAP_SUBDOMAINS))
		n->flags |= TS_NODE_SUBDOMAINS;
	for (size_t i = 0; i < sizeof(node_flags) / sizeof(*node_flags); i++)
		if (json_is_true(json_object_get(peer, node_flags[i].key)))
			n->flags |= node_flags[i].flag;
	err = add_ips(tn, json_object_get(peer, "TailscaleIPs"));
	return err ? err : add_routes(tn, json_object_get(peer, "PrimaryRoutes"));
}

static int add_nodes(struct ts_tailnet *tn, json_t *root)
{
	json_t *self = json_object_get(root, "Self"), *own = json_object_get(root, "TailscaleIPs"), *peer;
	const char *key;
	int err;

	if (json_is_object(self)) {
		err = add_node(tn, self, TS_NODE_SELF);
		if (!err && tn->nodes[0].ip_count == 0)
			err = add_ips(tn, own);
		if (err)
			return err;
		tn->has_self = true;
	}
	json_object_foreach(json_object_get(root, "Peer"), key, peer)
	{
		if (!json_is_object(peer))
			continue;
		err = add_node(tn, peer, 0);
		if (err)
			return err;
	}
	return 0;
}

/*
 * The daemon's own reading of a record (its dnsConfigForNetmap): no type, A and AAAA are all told by the value; others
 * are not served.
 */
static int add_records(struct ts_tailnet *tn, json_t *root)
{
	struct ts_status_record *out;
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(root, "ExtraRecords"), i, v)
	{
		struct ts_slice type = slice(json_object_get(v, "Type")), value = slice(json_object_get(v, "Value"));
		struct ts_addr a;

		if ((type.len && !slice_is(type, "A") && !slice_is(type, "AAAA")) ||
		    !ts_addr_parse(value.p, value.len, &a))
			continue;
		out = ts_tailnet_add_record(tn);
		if (!out)
			return -ENOMEM;
		out->name = slice(json_object_get(v, "Name"));
		out->ip = a;
	}
	json_array_foreach(json_object_get(root, "CertDomains"), i, v)
	{
		out = ts_tailnet_add_record(tn);
		if (!out)
			return -ENOMEM;
		out->name = slice(v);
		out->own = true;
	}
	return 0;
}

static enum ts_map_state state(struct ts_slice s)
{
	if (slice_is(s, "Running"))
		return TS_STATE_RUNNING;
	if (slice_is(s, "Stopped") || slice_is(s, "Starting") || slice_is(s, "NoState"))
		return TS_STATE_STOPPED;
	if (slice_is(s, "NeedsLogin") || slice_is(s, "NeedsMachineAuth"))
		return TS_STATE_NEEDS_LOGIN;
	return TS_STATE_UNKNOWN;
}

static void free_json(void *root)
{
	json_decref(root);
}

int ts_status_parse_json(const char *text, size_t len, struct ts_tailnet *out, char why[TS_STATUS_WHY_MAX])
{
	json_t *root, *tailnet;
	json_error_t e;
	int err;

	memset(out, 0, sizeof(*out));
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (!root) {
		if (json_error_code(&e) == json_error_out_of_memory)
			return -ENOMEM;
		snprintf(why, TS_STATUS_WHY_MAX, "line %d: %.100s", e.line, e.text);
		return -EBADMSG;
	}
	out->source = root;
	out->free_source = free_json;
	if (!json_object_get(root, "BackendState") && !json_object_get(root, "Self") &&
	    !json_object_get(root, "Peer")) {
		snprintf(why, TS_STATUS_WHY_MAX, "JSON, but not a tailnet's status (no BackendState, Self or Peer)");
		return -EBADMSG;
	}
	tailnet = json_object_get(root, "CurrentTailnet");
	out->state = state(slice(json_object_get(root, "BackendState")));
	out->tun = json_is_true(json_object_get(root, "TUN"));
	out->suffix = slice(json_object_get(tailnet, "MagicDNSSuffix"));
	if (out->suffix.len == 0)
		out->suffix = slice(json_object_get(root, "MagicDNSSuffix"));
	out->no_magicdns = json_is_false(json_object_get(tailnet, "MagicDNSEnabled"));
	err = add_nodes(out, root);
	return err ? err : add_records(out, root);
}

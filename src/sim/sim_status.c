/* SPDX-License-Identifier: MIT */
/* The JSON of LocalAPI's status and whois, with the fields and the quirks of tailscale's own (ipnstate.Status). */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define USER_ID 1001

static void put_str(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		if ((unsigned char)*s < ' ')
			fprintf(f, "\\u%04x", *s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

static void put_ip(FILE *f, const struct ts_addr *a, const char *suffix, bool *first)
{
	char text[TS_ADDR_TEXT_MAX];

	ts_ip_format(a->ip, text);
	fprintf(f, "%s\"%s%s\"", *first ? "" : ",", text, suffix);
	*first = false;
}

/* true: as addresses, false: as prefixes */
static void put_ips(FILE *f, const struct ts_sim_node *n, bool plain)
{
	bool first = true;

	fputc('[', f);
	if (n->has4)
		put_ip(f, &n->ip4, plain ? "" : "/32", &first);
	if (n->has6)
		put_ip(f, &n->ip6, plain ? "" : "/128", &first);
	if (!plain) {
		for (unsigned i = 0; i < n->route_count; i++) {
			fputs(first ? "" : ",", f);
			put_str(f, n->route_text[i]);
			first = false;
		}
		/* Here for every node that could be an exit node, selected or not. */
		if (n->flags & (TS_SIM_EXIT | TS_SIM_EXIT_OPTION))
			fprintf(f, "%s\"0.0.0.0/0\",\"::/0\"", first ? "" : ",");
	}
	fputc(']', f);
}

static bool running(void)
{
	return strcmp(ts_sim_world.state, "Running") == 0;
}

static bool logged_in(void)
{
	return strcmp(ts_sim_world.state, "NeedsLogin") != 0 && strcmp(ts_sim_world.state, "NoState") != 0;
}

static const char *yes(bool b)
{
	return b ? "true" : "false";
}

static void put_dns_name(FILE *f, const struct ts_sim_node *n)
{
	if (n->flags & TS_SIM_NO_DNS)
		fputs("\"\"", f);
	else
		fprintf(f, "\"%s.%s.\"", n->name, ts_sim_world.suffix);
}

static void put_key(FILE *f, unsigned index)
{
	fprintf(f, "\"nodekey:%064x\"", index + 1);
}

static void put_node(FILE *f, const struct ts_sim_node *n)
{
	unsigned index = (unsigned)(n - ts_sim_world.nodes);
	bool known = logged_in(), online = !(n->flags & TS_SIM_OFFLINE) && (running() || !(n->flags & TS_SIM_SELF));

	fprintf(f, "{\"ID\":\"n%uCNTRL\",\"PublicKey\":", index + 1);
	put_key(f, index);
	fputs(",\"HostName\":", f);
	put_str(f, n->host);
	fputs(",\"DNSName\":", f);
	if (known)
		put_dns_name(f, n);
	else
		fputs("\"\"", f);
	fputs(",\"OS\":", f);
	put_str(f, n->os);
	fprintf(f, ",\"UserID\":%d,\"TailscaleIPs\":", known ? USER_ID : 0);
	if (known)
		put_ips(f, n, true);
	else
		fputs("null", f);
	if (known) {
		fputs(",\"AllowedIPs\":", f);
		put_ips(f, n, false);
		if (n->route_count) {
			fputs(",\"PrimaryRoutes\":[", f);
			for (unsigned i = 0; i < n->route_count; i++) {
				fputs(i ? "," : "", f);
				put_str(f, n->route_text[i]);
			}
			fputc(']', f);
		}
	}
	fprintf(f, ",\"Addrs\":%s,\"CurAddr\":\"\",\"Relay\":\"sim\",\"RxBytes\":0,\"TxBytes\":0,"
		"\"Created\":\"2024-01-01T00:00:00Z\",\"LastWrite\":\"0001-01-01T00:00:00Z\","
		"\"LastSeen\":\"0001-01-01T00:00:00Z\",\"LastHandshake\":\"0001-01-01T00:00:00Z\",\"Online\":%s,"
		"\"ExitNode\":%s,\"ExitNodeOption\":%s,\"Active\":false,\"PeerAPIURL\":null,\"TaildropTarget\":0,"
		"\"NoFileSharingReason\":\"\"", n->flags & TS_SIM_SELF ? "[]" : "null", yes(online && known),
		yes(n->flags & TS_SIM_EXIT), yes(n->flags & (TS_SIM_EXIT | TS_SIM_EXIT_OPTION)));
	if (n->flags & TS_SIM_SHAREE)
		fputs(",\"ShareeNode\":true", f);
	if (n->flags & TS_SIM_EXPIRED)
		fputs(",\"Expired\":true", f);
	fprintf(f, ",\"InNetworkMap\":%s,\"InMagicSock\":%s,\"InEngine\":false}", yes(known), yes(known));
}

struct extra {
	FILE *f;
	bool any;
};

static void put_extra(void *arg, const char *name, const struct ts_addr *addr)
{
	struct extra *x = arg;
	char text[TS_ADDR_TEXT_MAX];

	ts_ip_format(addr->ip, text);
	fprintf(x->f, "%s{\"Name\":\"%s\",\"Type\":\"%s\",\"Value\":\"%s\"}", x->any ? "," : ",\"ExtraRecords\":[", name,
		ts_addr_is4(addr) ? "A" : "AAAA", text);
	x->any = true;
}

static void put_tailnet(FILE *f, const struct ts_sim_node *self)
{
	struct extra extra = { .f = f };

	fputs(",\"MagicDNSSuffix\":", f);
	put_str(f, logged_in() ? ts_sim_world.suffix : "");
	if (!logged_in()) {
		fputs(",\"CurrentTailnet\":null,\"CertDomains\":null", f);
		return;
	}
	fputs(",\"CurrentTailnet\":{\"Name\":\"example.com\",\"MagicDNSSuffix\":", f);
	put_str(f, ts_sim_world.suffix);
	fprintf(f, ",\"MagicDNSEnabled\":%s},\"CertDomains\":", yes(!ts_sim_world.no_magicdns));
	if (self->flags & TS_SIM_NO_DNS)
		fputs("null", f);
	else
		fprintf(f, "[\"%s.%s\"]", self->name, ts_sim_world.suffix);
	ts_sim_world_each_extra(put_extra, &extra);
	if (extra.any)
		fputc(']', f);
}

static void put_exit_node(FILE *f)
{
	for (unsigned i = 0; i < ts_sim_world.node_count; i++) {
		const struct ts_sim_node *n = &ts_sim_world.nodes[i];

		if (!(n->flags & TS_SIM_EXIT) || !logged_in())
			continue;
		fprintf(f, ",\"ExitNodeStatus\":{\"ID\":\"n%uCNTRL\",\"Online\":%s,\"TailscaleIPs\":", i + 1,
			yes(!(n->flags & TS_SIM_OFFLINE)));
		put_ips(f, n, false);
		fputc('}', f);
	}
}

void ts_sim_status_write(FILE *f)
{
	const struct ts_sim_world *w = &ts_sim_world;
	const struct ts_sim_node *self = ts_sim_world_self();
	bool any = false;

	fprintf(f, "{\"Version\":\"1.102.5-sim\",\"TUN\":%s,\"BackendState\":\"%s\",\"HaveNodeKey\":%s,\"AuthURL\":\"\","
		"\"TailscaleIPs\":", yes(w->tun), w->state, yes(logged_in()));
	if (logged_in())
		put_ips(f, self, true);
	else
		fputs("null", f);
	fputs(",\"Self\":", f);
	put_node(f, self);
	put_exit_node(f);
	fprintf(f, ",\"Health\":[%s]", running() ? "" : "\"Tailscale is stopped.\"");
	put_tailnet(f, self);
	fputs(",\"Peer\":", f);
	for (unsigned i = 0; logged_in() && i < w->node_count; i++) {
		if (w->nodes[i].flags & TS_SIM_SELF)
			continue;
		fputs(any ? ",\n" : "{\n", f);
		put_key(f, i);
		fputc(':', f);
		put_node(f, &w->nodes[i]);
		any = true;
	}
	fputs(any ? "}" : "null", f);
	fprintf(f, ",\"User\":{\"%d\":{\"ID\":%d,\"LoginName\":\"jonathan@example.com\",\"DisplayName\":\"Jonathan\"}},"
		"\"ClientVersion\":null}\n", USER_ID, USER_ID);
}

void ts_sim_prefs_write(FILE *f)
{
	fprintf(f, "{\n\t\"ControlURL\": \"https://controlplane.tailscale.com\",\n\t\"RouteAll\": %s,\n\t\"CorpDNS\": %s,\n"
		"\t\"WantRunning\": %s,\n\t\"LoggedOut\": %s\n}", yes(!ts_sim_world.no_accept_routes), yes(!ts_sim_world.no_accept_dns), yes(running()),
		yes(!logged_in()));
}

void ts_sim_whois_write(FILE *f, const struct ts_sim_node *node)
{
	unsigned index = (unsigned)(node - ts_sim_world.nodes);

	fprintf(f, "{\"Node\":{\"ID\":%u,\"StableID\":\"n%uCNTRL\",\"Name\":", index + 1, index + 1);
	put_dns_name(f, node);
	fprintf(f, ",\"User\":%d,\"Key\":", USER_ID);
	put_key(f, index);
	fputs(",\"Addresses\":", f);
	put_ips(f, node, false);
	fputs(",\"Hostinfo\":{\"OS\":", f);
	put_str(f, node->os);
	fputs(",\"Hostname\":", f);
	put_str(f, node->host);
	fprintf(f, "},\"ComputedName\":");
	put_str(f, node->name);
	fprintf(f, "},\"UserProfile\":{\"ID\":%d,\"LoginName\":\"jonathan@example.com\",\"DisplayName\":\"Jonathan\"},"
		"\"CapMap\":null}\n", USER_ID);
}

/* SPDX-License-Identifier: MIT */
/* The daemon, what it says of itself, who listens where its proxies usually are, and the map made from it all. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "doctor.h"
#include "others.h"
#include "up.h"
#include "tsproxy/credentials.h"

#define START_DAEMON "tsproxy up, or start tailscaled with --tun=userspace-networking --socks5-server=localhost:1055"

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* A peer that is online and tells the port at which its daemon answers others: what a trial connect can reach. */
static void find_peer(struct ts_doctor *d, json_t *root)
{
	const char *key;
	json_t *peer, *url;
	size_t i;

	json_object_foreach(json_object_get(root, "Peer"), key, peer) {
		if (!json_is_true(json_object_get(peer, "Online")) || json_is_true(json_object_get(peer, "Expired")))
			continue;
		json_array_foreach(json_object_get(peer, "PeerAPIURL"), i, url) {
			unsigned port;

			if (sscanf(json_string_value(url) ? json_string_value(url) : "", "http://%200[0-9.]:%u",
				   d->api_node, &port) == 2 && port && port < 65536) {
				d->api_port = (uint16_t)port;
				return;
			}
		}
	}
	d->api_node[0] = '\0';
}

static void judge_state(struct ts_doctor *d, json_t *root)
{
	const char *state = text_of(root, "BackendState");
	const char *name = text_of(json_object_get(root, "Self"), "DNSName");

	if (strcmp(state, "Running") == 0)
		ts_doctor_add(d, TS_OK, "login", "logged in as %.*s\n", (int)strlen(name) - (*name && name[strlen(name) - 1] == '.'),
			      name);
	else if (strcmp(state, "NeedsLogin") == 0 || strcmp(state, "NoState") == 0)
		ts_doctor_add(d, TS_FAIL, "login", "not logged in\ntsproxy up");
	else if (strcmp(state, "NeedsMachineAuth") == 0)
		ts_doctor_add(d, TS_FAIL, "login", "waiting for approval\nask an admin of the tailnet to approve this machine");
	else
		ts_doctor_add(d, TS_FAIL, "login", "the daemon is %s\ntsproxy up",
			      *state ? state : "in an unknown state");
	if (json_is_true(json_object_get(root, "TUN"))) {
		ts_doctor_add(d, TS_NOTE, "mode", "the daemon has a network interface (TUN): programs reach the tailnet"
						  " without tsproxy\n");
		return;
	}
	if (json_is_false(json_object_get(root, "TUN")))
		ts_doctor_add(d, TS_OK, "mode", "userspace networking: programs need a proxy, or tsproxy\n");
	d->reachable = strcmp(state, "Running") == 0;
}

static bool is_installed(void)
{
	static struct ts_up up;

	ts_up_find_programs(&up);
	return up.tailscaled[0];
}

void ts_doctor_daemon(struct ts_doctor *d)
{
	char why[TS_WHY_MAX] = "", *text = NULL;
	const char *from = NULL;
	size_t len = 0;
	json_t *root;
	int err = ts_source_text(&d->set, &text, &len, &from, why);

	if (err == -ENOENT && ts_settings_proxy_alone(&d->set)) {
		ts_doctor_add(d, TS_NOTE, "daemon", "the daemon's socket is not reachable, only its proxy: nodes have no short names\n"
						    "share the socket and use --socket, or give a file with the daemon's status"
						    " (--status)");
		d->reachable = true;
		return;
	}
	if (err) {
		ts_doctor_add(d, TS_FAIL, "daemon", "%s\n%s", why,
			      is_installed() ? START_DAEMON : "tsproxy up --install");
		return;
	}
	root = json_loadb(text, len, 0, NULL);
	free(text);
	d->reachable = true;
	if (!json_is_object(root)) {
		ts_doctor_add(d, TS_OK, "daemon", "status read from %s, in table form\n", from);
	} else {
		ts_doctor_add(d, TS_OK, "daemon", "tailscaled %.*s (status from %s)\n",
			      (int)strcspn(text_of(root, "Version"), "-"), text_of(root, "Version"), from);
		d->reachable = false;
		judge_state(d, root);
		find_peer(d, root);
	}
	json_decref(root);
}

/* --- who listens where proxies are --- */

#define PORTS_MAX 16

struct ports {
	struct ts_owner of[PORTS_MAX];
	unsigned count;
};

static void describe(struct ts_doctor *d, const struct ts_addr *at, const struct ts_owner *owner)
{
	struct ts_endpoint e = { .addr = *at, .kind = TS_PROXY_SOCKS5, .flags = TS_PROXY_CONFIGURED };
	enum ts_probe_result socks = ts_probe(&e), http;
	enum ts_level level = owner->kind == TS_OWNER_TRUSTED ? TS_OK : TS_NOTE;
	char text[TS_ADDR_TEXT_MAX], who[160];
	const char *fix = level == TS_OK ? "" : "it is used only if a setting names it";
	uint8_t flags = e.flags;

	ts_addr_format(at, text);
	ts_owner_text(owner, who, sizeof(who));
	e.kind = TS_PROXY_HTTP;
	e.flags = 0;
	http = ts_probe(&e);
	if (socks == TS_PROBE_OK)
		ts_doctor_add(d, level, "port", "%s is a SOCKS5 proxy (TCP%s)%s, run by %s\n%s", text, flags & TS_PROXY_UDP ?
			      " and UDP" : "", http == TS_PROBE_OK ? " and an HTTP proxy" : "", who, fix);
	else if (http == TS_PROBE_OK)
		ts_doctor_add(d, level, "port", "%s is an HTTP proxy, run by %s\n%s", text, who, fix);
	else if (socks == TS_PROBE_AUTH || http == TS_PROBE_AUTH)
		ts_doctor_add(d, TS_NOTE, "port", "%s is a proxy that requires a user and a password, run by %s\n"
						  "use --socks5 USER:PASSWORD@%s", text, who, text);
	else
		ts_doctor_add(d, TS_NOTE, "port", "%s is open, but not a proxy, run by %s\n", text, who);
}

static void look_at(struct ts_doctor *d, struct ports *p, const struct ts_addr *at)
{
	struct ts_owner *o = &p->of[p->count];

	if (p->count == PORTS_MAX)
		return;
	ts_owner_find(at, d->daemon_user, o);
	if (o->kind == TS_OWNER_NOBODY)
		return;
	/* One that listens at several addresses is told once. */
	for (unsigned i = 0; i < p->count; i++)
		if (o->inode && p->of[i].inode == o->inode)
			return;
	p->count++;
	describe(d, at, o);
}

static unsigned look_at_all(struct ts_doctor *d)
{
	static const uint16_t usual[] = { 1055, 1080, 3128 };
	static const uint8_t loopback4[4] = { 127, 0, 0, 1 }, loopback6[16] = { [15] = 1 };
	struct ports p = { .count = 0 };
	struct ts_endpoint e;
	struct ts_addr at;

	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++) {
		ts_addr_set4(&at, loopback4, usual[i]);
		look_at(d, &p, &at);
		ts_addr_set6(&at, loopback6, usual[i]);
		look_at(d, &p, &at);
	}
	for (unsigned i = 0; d->have_map && ts_map_endpoint(&d->map, i, &e) == 1; i++)
		if (ts_ip_is_loopback(e.addr.ip))
			look_at(d, &p, &e.addr);
	return p.count;
}

/* One that the map has: does it answer just now? On another host it may take longer, which is no fault. */
static bool carries(struct ts_doctor *d, struct ts_endpoint *e, bool first)
{
	enum ts_probe_result r = ts_probe(e);
	struct ts_owner owner = { .kind = TS_OWNER_UNKNOWN };
	char text[80], who[160];

	ts_walk_endpoint(e, text, sizeof(text));
	if (ts_ip_is_loopback(e->addr.ip))
		ts_owner_find(&e->addr, d->daemon_user, &owner);
	if (owner.kind == TS_OWNER_STRANGER)
		ts_doctor_add(d, TS_WARN, "proxy", "%s belongs to %s, who can read and change what goes through it\n"
			      "use a proxy of your own, or the daemon's", text, ts_owner_text(&owner, who, sizeof(who)));
	if (r == TS_PROBE_OK || (r == TS_PROBE_TIMEOUT && !ts_ip_is_loopback(e->addr.ip))) {
		ts_doctor_add(d, TS_OK, "proxy", first ? "connections go through %s%s%s\n" : "%s%s%s is the fallback\n", text,
			      e->user[0] ? ", with user and password" : "",
			      r == TS_PROBE_OK ? "" : ", which answers slowly");
		return true;
	}
	ts_doctor_add(d, TS_WARN, "proxy", "%s %s\n%s", text,
		      r == TS_PROBE_NOBODY ? "refuses connections: no program listens there" :
		      r == TS_PROBE_AUTH ? "refuses the user and password" :
		      r == TS_PROBE_TIMEOUT ? "does not answer" : "is not a proxy of this kind",
		      e->flags & TS_PROXY_CONFIGURED ? "tsproxy config shows which setting names it" : START_DAEMON);
	return false;
}

/* Ports of loopback are open to every user of the machine. */
static void other_people(struct ts_doctor *d, const struct ts_endpoint *e)
{
	char names[256], at[TS_ADDR_TEXT_MAX];
	unsigned n;

	if (e->user[0] || !ts_ip_is_loopback(e->addr.ip) || (n = ts_others(names, sizeof(names))) == 0)
		return;
	ts_addr_format(&e->addr, at);
	ts_doctor_add(d, TS_WARN, "people", "%s use%s this machine, and every user of it can reach the tailnet as this node, through the"
		      " proxy at %s\nsee \"Other users of the machine\" in tsproxy(7) for a firewall rule that prevents this",
		      names, n == 1 ? "s" : "", at);
}

void ts_doctor_proxies(struct ts_doctor *d)
{
	unsigned ports = look_at_all(d);
	struct ts_endpoint e;
	bool found = false;

	for (unsigned i = 0; d->reachable && d->have_map && ts_map_endpoint(&d->map, i, &e) == 1; i++) {
		if (e.flags & TS_PROXY_AUTH)
			ts_credentials_find(d->conf.map_path, &e.addr, e.kind, e.user, e.pass);
		if (i == 0)
			other_people(d, &e);
		found |= carries(d, &e, !found);
	}
	d->proxy_dead = !found;
	if (d->reachable && !found)
		ts_doctor_add(d, TS_FAIL, "proxy", "no working proxy was found%s\n%s",
			      ports ? "" : " (127.0.0.1:1055, 1080 and 3128 are closed)",
			      START_DAEMON " --outbound-http-proxy-listen=localhost:3128");
}

void ts_doctor_map(struct ts_doctor *d)
{
	struct timespec now;
	struct ts_map_header h;
	double age;
	int ret;

	if (!d->conf.map_path[0]) {
		ts_doctor_add(d, TS_FAIL, "map", "there is no directory for the map\nset XDG_RUNTIME_DIR or HOME");
		return;
	}
	/* What it warns about is found and told here, each with its remedy. */
	ts_tool_mute(true);
	ret = ts_sync(&d->conf);
	if (ts_map_load(d->conf.map_path, &d->map) == 0)
		ret = 0;
	ts_tool_mute(false);
	/* Without a daemon there is none, which has been told. */
	if (ret && !d->reachable)
		return;
	if (ret) {
		ts_doctor_add(d, TS_FAIL, "map", "%s could not be made: %s\n", d->conf.map_path, ts_tool_muted());
		return;
	}
	d->have_map = true;
	h = ts_map_header(&d->map);
	clock_gettime(CLOCK_REALTIME, &now);
	age = (double)(now.tv_sec * 1000000000ll + now.tv_nsec - h.made_ns) / 1e9;
	/* It was asked for just now: an old one means that no other could be made. */
	ts_doctor_add(d, age > 30 ? TS_WARN : TS_OK, "map", "%s, %.1f s old, %u nodes\n%s", d->conf.map_path, age,
		      h.nodes.count, age > 30 ? ts_tool_muted() : "");
}

/* SPDX-License-Identifier: MIT */
/*
 * The search for a proxy. What the user named is used and nothing else; a name that does not work is told, and stays in
 * the map, so that connects fail honestly. Else candidates on this machine are tried in order, SOCKS5 before HTTP:
 * ALL_PROXY and http_proxy, what the last map recorded, the ports that people use. Any user may listen there, so one that
 * was found counts only where root, this user or the daemon's user does; nothing is sent to another. One that ALL_PROXY or
 * http_proxy names is used all the same where there is no other.
 *
 * ALL_PROXY with a SOCKS proxy on another host counts as named, but only where nothing on this machine answers.
 * http_proxy on another host never does: it mostly is a company's way to the web, which must not be asked for tailnet
 * addresses. Of a proxy on another host it is only tried whether it takes connections.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/credentials.h"
#include "tsproxy/tool.h"

static const uint16_t usual_ports[] = { 1055, 1080, 3128 };
static const uint8_t loopback[4] = { 127, 0, 0, 1 };
#define USUAL (sizeof(usual_ports) / sizeof(*usual_ports))

static bool is_local(const struct ts_endpoint *e)
{
	return ts_ip_is_loopback(e->addr.ip);
}

static bool old_endpoint(const struct ts_map *old, const struct ts_endpoint *like, struct ts_endpoint *out)
{
	for (unsigned i = 0; ts_map_endpoint(old, i, out) == 1; i++)
		if (out->kind == like->kind && ts_addr_equal(&out->addr, &like->addr) &&
		    !(out->flags & TS_PROXY_AUTH) == !like->user[0])
			return true;
	return false;
}

/* A proxy that is merely slow just now has not changed: what is known of it stands. */
static enum ts_probe_result probe(struct ts_endpoint *e, const struct ts_map *old)
{
	enum ts_probe_result r = ts_probe(e);
	struct ts_endpoint was;

	if (r == TS_PROBE_TIMEOUT && old->base && !(ts_map_header(old).flags & TS_MAP_NO_ANSWER) && old_endpoint(old, e, &was)) {
		e->flags = was.flags | (e->flags & TS_PROXY_CONFIGURED);
		return TS_PROBE_OK;
	}
	return r;
}

static void say_failure(const struct ts_endpoint *e, enum ts_probe_result r, const char *option, void (*say)(const char *, ...))
{
	const char *what = e->kind == TS_PROXY_HTTP ? "HTTP" : "SOCKS5";
	struct ts_endpoint other = *e;
	char at[TS_ADDR_TEXT_MAX];

	ts_addr_format(&e->addr, at);
	other.kind = e->kind == TS_PROXY_HTTP ? TS_PROXY_SOCKS5 : TS_PROXY_HTTP;
	/* An HTTP server that is spoken to in SOCKS5 mostly stays silent. */
	if (is_local(e) && (r == TS_PROBE_OTHER || r == TS_PROBE_TIMEOUT) && ts_probe(&other) == TS_PROBE_OK) {
		say("the proxy at %s speaks %s, not %s: use %s instead", at,
		    other.kind == TS_PROXY_HTTP ? "HTTP" : "SOCKS5", what,
		    other.kind == TS_PROXY_HTTP ? "--http-proxy" : "--socks5");
		return;
	}
	switch (r) {
	case TS_PROBE_NOBODY:
		if (is_local(e))
			say("no proxy listens at %s: start tailscaled with %s=%s, or correct %s", at,
			    e->kind == TS_PROXY_HTTP ? "--outbound-http-proxy-listen" : "--socks5-server", at, option);
		else
			say("no proxy listens at %s: start it, or correct %s", at, option);
		break;
	case TS_PROBE_TIMEOUT:
		say("the proxy at %s did not answer within %d ms: check that it is %s proxy and not overloaded", at,
		    is_local(e) ? TS_PROBE_MS : TS_PROBE_FAR_MS, e->kind == TS_PROXY_HTTP ? "an HTTP" : "a SOCKS5");
		break;
	case TS_PROBE_AUTH:
		say(e->user[0] ? "the proxy at %s refuses that user and password: correct %s"
			       : "the proxy at %s requires a user and a password: use %s USER:PASSWORD@HOST:PORT",
		    at, option);
		break;
	default:
		say("the program at %s is not a proxy of type %s: correct %s", at, what, option);
	}
}

/* A stranger who listens where a proxy was named sees, and may change, all that goes to the tailnet. */
static void warn_of_stranger(const struct ts_endpoint *e, uint32_t daemon)
{
	struct ts_owner owner;
	char at[TS_ADDR_TEXT_MAX], who[160];

	if (!is_local(e))
		return;
	ts_owner_find(&e->addr, daemon, &owner);
	if (owner.kind != TS_OWNER_STRANGER)
		return;
	ts_addr_format(&e->addr, at);
	ts_tool_warn("the proxy at %s belongs to %s, who can read and change what goes through it", at,
		     ts_owner_text(&owner, who, sizeof(who)));
}

struct configured {
	struct ts_endpoint e;
	enum ts_probe_result result;
};

static int read_configured(const struct ts_map_settings *set, struct configured out[2])
{
	const char *text[2] = { set->socks5, set->http_proxy };
	const char *option[2] = { "--socks5", "--http-proxy" };
	int n = 0;

	for (int i = 0; i < 2; i++) {
		if (!text[i] || !*text[i])
			continue;
		if (text[i][0] == '/' || strncmp(text[i], "unix:", 5) == 0) {
			ts_tool_error("%s %s: proxies on unix sockets are not supported; use a TCP port",
				      option[i], text[i]);
			return -EINVAL;
		}
		if (!ts_proxy_parse(text[i], i == 0 ? TS_PROXY_SOCKS5 : TS_PROXY_HTTP, &out[n].e)) {
			ts_tool_error("%s %s: the host's name does not resolve, or it is not of the form"
				      " [USER:PASSWORD@]HOST:PORT", option[i], text[i]);
			return -EINVAL;
		}
		out[n++].e.flags = TS_PROXY_CONFIGURED;
	}
	return n;
}

static int use_configured(struct ts_map_settings *set, struct configured *c, int n, const struct ts_map *old)
{
	uint32_t daemon = ts_source_daemon(set);
	int good = 0;

	set->no_answer = true;
	for (int i = 0; i < n; i++) {
		warn_of_stranger(&c[i].e, daemon);
		c[i].result = is_local(&c[i].e) ? probe(&c[i].e, old) : ts_probe_far(&c[i].e);
		/* One elsewhere may yet come: it stays, with a warning. */
		good += c[i].result == TS_PROBE_OK || !is_local(&c[i].e);
		set->no_answer &= c[i].result != TS_PROBE_OK;
	}
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < n; i++)
			if ((c[i].result == TS_PROBE_OK) == (pass == 0) && !ts_settings_add_endpoint(set, &c[i].e))
				return -ENOMEM;
	for (int i = 0; i < n; i++)
		if (c[i].result != TS_PROBE_OK)
			say_failure(&c[i].e, c[i].result, c[i].e.kind == TS_PROXY_HTTP ? "--http-proxy" : "--socks5", good ? ts_tool_warn : ts_tool_error);
	return good ? 0 : -ENOENT;
}

#define CANDIDATES_MAX 16

struct search {
	struct ts_endpoint list[CANDIDATES_MAX];
	bool named[CANDIDATES_MAX]; /* by the environment */
	struct ts_owner owner[CANDIDATES_MAX];
	enum ts_probe_result result[CANDIDATES_MAX];
	unsigned count;
	uint32_t daemon; /* its user */
	struct ts_endpoint remote; /* ALL_PROXY on another host */
	bool have_remote;
};

static void consider(struct search *s, const struct ts_endpoint *e, bool named)
{
	unsigned i = 0;

	while (i < s->count && (s->list[i].kind != e->kind || !ts_addr_equal(&s->list[i].addr, &e->addr)))
		i++;
	if (i == CANDIDATES_MAX)
		return;
	s->named[i] |= named;
	if (i < s->count)
		return;
	s->list[i] = *e;
	s->result[i] = TS_PROBE_NOBODY;
	ts_owner_find(&e->addr, s->daemon, &s->owner[i]);
	s->count++;
}

/* Another user's daemon may have the usual ports: where this user's own answers, its ports come first. */
static void consider_own(struct search *s)
{
	struct ts_own_ports own;
	struct ts_endpoint e = { .kind = TS_PROXY_SOCKS5 };

	if (!ts_own_ports(&own))
		return;
	ts_addr_set4(&e.addr, loopback, own.socks5);
	consider(s, &e, false);
	e.kind = TS_PROXY_HTTP;
	ts_addr_set4(&e.addr, loopback, own.http);
	consider(s, &e, false);
}

static void consider_environment(struct search *s)
{
	static const struct {
		const char *name;
		uint8_t kind;
	} from[] = {
		{ "ALL_PROXY", TS_PROXY_SOCKS5 },
		{ "all_proxy", TS_PROXY_SOCKS5 },
		{ "http_proxy", TS_PROXY_HTTP },
	};

	for (size_t i = 0; i < sizeof(from) / sizeof(*from); i++) {
		const char *value = getenv(from[i].name);
		struct ts_endpoint e;

		if (!value || !*value || !ts_proxy_parse_url(value, from[i].kind, &e))
			continue;
		if (is_local(&e)) {
			consider(s, &e, true);
		} else if (e.kind == TS_PROXY_SOCKS5 && !s->have_remote) {
			s->remote = e;
			s->have_remote = true;
		}
	}
}

static void consider_usual(struct search *s, const struct ts_map *old, const char *map_path)
{
	struct ts_endpoint e;

	for (unsigned i = 0; old->base && ts_map_endpoint(old, i, &e) == 1; i++) {
		if (!is_local(&e) || e.flags & TS_PROXY_CONFIGURED)
			continue;
		if (e.flags & TS_PROXY_AUTH)
			ts_credentials_find(map_path, &e.addr, e.kind, e.user, e.pass);
		consider(s, &e, false);
	}
	memset(&e, 0, sizeof(e));
	for (size_t i = 0; i < 2 * USUAL; i++) {
		e.kind = i < USUAL ? TS_PROXY_SOCKS5 : TS_PROXY_HTTP;
		ts_addr_set4(&e.addr, loopback, i < USUAL ? usual_ports[i] : usual_ports[2 * USUAL - 1 - i]);
		consider(s, &e, false);
	}
}

static bool counts(const struct search *s, unsigned i, bool trusted)
{
	enum ts_owner_kind owner = s->owner[i].kind;

	return trusted ? owner == TS_OWNER_TRUSTED :
			 s->named[i] && (owner == TS_OWNER_STRANGER || owner == TS_OWNER_UNKNOWN);
}

static bool try_kind(struct search *s, uint8_t kind, bool trusted, const struct ts_map *old, struct ts_endpoint *found)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->list[i].kind != kind || !counts(s, i, trusted))
			continue;
		s->result[i] = probe(&s->list[i], old);
		if (s->result[i] == TS_PROBE_OK) {
			*found = s->list[i];
			return true;
		}
	}
	return false;
}

static bool try_all(struct search *s, bool trusted, const struct ts_map *old, struct ts_endpoint *found)
{
	return try_kind(s, TS_PROXY_SOCKS5, trusted, old, found) || try_kind(s, TS_PROXY_HTTP, trusted, old, found);
}

static void say_none(const struct search *s)
{
	char at[TS_ADDR_TEXT_MAX], who[160];

	for (unsigned i = 0; i < s->count; i++) {
		bool passed = s->result[i] == TS_PROBE_NOBODY && s->owner[i].kind != TS_OWNER_NOBODY &&
			      s->owner[i].kind != TS_OWNER_TRUSTED;

		if (s->result[i] == TS_PROBE_NOBODY && !passed)
			continue;
		ts_addr_format(&s->list[i].addr, at);
		if (passed)
			ts_tool_error("%s belongs to %s, so it is not used; to use it anyway: --socks5 %s", at,
				      ts_owner_text(&s->owner[i], who, sizeof(who)), at);
		else if (s->result[i] == TS_PROBE_AUTH)
			ts_tool_error("the proxy at %s requires a user and a password: use --socks5 USER:PASSWORD@%s", at, at);
		else
			ts_tool_error("the program at %s is neither a SOCKS5 nor an HTTP proxy: start tailscaled with "
				      "--socks5-server=localhost:1055, or give its port with --socks5",
				      at);
		return;
	}
	ts_tool_error("no SOCKS5 port found (127.0.0.1:1055, 1080 and 3128 are closed): start tailscaled with "
		      "--socks5-server=localhost:1055, or give its port with --socks5");
}

int ts_discover(struct ts_map_settings *set, const struct ts_map *old, const char *map_path)
{
	struct configured configured[2] = { 0 };
	struct ts_endpoint found;
	struct search *s;
	int n = read_configured(set, configured), err = 0;

	if (n < 0)
		return n;
	if (n > 0)
		return use_configured(set, configured, n, old);
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->daemon = ts_source_daemon(set);
	if (!set->socket && !set->status && !getenv("TS_SOCKET"))
		consider_own(s);
	consider_environment(s);
	consider_usual(s, old, map_path);
	if (!try_all(s, true, old, &found) && !try_all(s, false, old, &found)) {
		found = s->remote;
		if (s->have_remote) {
			enum ts_probe_result r = ts_probe_far(&found);

			set->no_answer = r != TS_PROBE_OK;
			if (set->no_answer)
				say_failure(&found, r, "ALL_PROXY", ts_tool_warn);
		} else {
			say_none(s);
			err = -ENOENT;
		}
	}
	if (!err && !ts_settings_add_endpoint(set, &found))
		err = -ENOMEM;
	if (!err)
		warn_of_stranger(&found, s->daemon);
	free(s);
	return err;
}

/* SPDX-License-Identifier: MIT */
/* The environment's settings: see conf.h. Parsed by hand because it runs in every process at load time, before libc may be ready. */
#include "tsproxy/conf.h"

#include <string.h>

#include "tsproxy/buf.h"
#include "tsproxy/hash.h"
#include "tsproxy/log.h"
#include "tsproxy/sys.h"

const char *ts_env_get(char *const envp[], const char *name)
{
	for (; envp && *envp; envp++) {
		size_t i = 0;

		while (name[i] && (*envp)[i] == name[i])
			i++;
		if (!name[i] && (*envp)[i] == '=')
			return *envp + i + 1;
	}
	return NULL;
}

bool ts_conf_parse_prefixes(const char *s, struct ts_prefix *out, unsigned max, unsigned *count)
{
	bool ok = true;

	while (*s) {
		size_t len = 0;

		while (s[len] && s[len] != ',')
			len++;
		if (len) {
			if (*count < max && ts_prefix_parse(s, len, &out[*count]))
				++*count;
			else
				ok = false;
		}
		s += len + (s[len] == ',');
	}
	return ok;
}

static bool copy_cred(char out[TS_CONF_CRED_MAX], const char *s, size_t len)
{
	if (len >= TS_CONF_CRED_MAX)
		return false;
	memcpy(out, s, len);
	out[len] = '\0';
	return true;
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "HOST:PORT" whose HOST may be a DNS name: one that has a letter, so that a mistyped address is none. */
static bool is_name_and_port(const char *s, size_t len)
{
	size_t host = 0, port = 0;
	unsigned long number = 0;
	bool letter = false;

	while (host < len && s[host] != ':') {
		bool digit = s[host] >= '0' && s[host] <= '9';

		if (!is_alpha(s[host]) && !digit && s[host] != '-' && s[host] != '.' && s[host] != '_')
			return false;
		letter |= is_alpha(s[host++]);
	}
	for (port = host + 1; port < len; port++) {
		if (s[port] < '0' || s[port] > '9' || number > 65535)
			return false;
		number = number * 10 + (unsigned long)(s[port] - '0');
	}
	return letter && host <= 253 && port > host + 1 && number > 0 && number <= 65535;
}

void ts_conf_parse_proxy(const char *s, struct ts_conf_proxy *out)
{
	size_t len = strlen(s), at = len;

	out->set = true;
	while (at > 0 && s[at - 1] != '@')
		at--;
	if (at > 0) {
		const char *colon = memchr(s, ':', at - 1);
		size_t user = colon ? (size_t)(colon - s) : at - 1;

		if (!copy_cred(out->user, s, user) || (colon && !copy_cred(out->pass, colon + 1, at - 2 - user)))
			out->bad = true;
	}
	if (ts_addr_parse_hostport(s + at, len - at, &out->addr))
		return;
	if (is_name_and_port(s + at, len - at))
		out->named = true;
	else
		out->bad = true;
}

static bool is_on(const char *s, bool otherwise)
{
	return s && *s ? !(s[0] == '0' && s[1] == '\0') : otherwise;
}

/* A profile names a file: letters, digits, '-', '_' and '.', not first. Anything else would let it point elsewhere. */
bool ts_conf_profile_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 64 || s[0] == '.')
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '-' ||
		      *s == '_' || *s == '.'))
			return false;
	return true;
}

static bool starts_with(const char *s, const char *prefix)
{
	while (*prefix && *s == *prefix) {
		s++;
		prefix++;
	}
	return *prefix == '\0';
}

/* A number of at most nine digits that ends the text, or -1. */
static int whole_number(const char *s)
{
	int n = 0, digits = 0;

	for (; *s >= '0' && *s <= '9' && digits < 9; s++, digits++)
		n = n * 10 + *s - '0';
	return digits && !*s ? n : -1;
}

int ts_conf_stream(const char *s)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };

	if (strcmp(s, "-") == 0 || strcmp(s, "/dev/stdin") == 0)
		return 0;
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		if (starts_with(s, folders[i]))
			return whole_number(s + strlen(folders[i]));
	return -1;
}

static void take_dns_routes(struct ts_conf *conf, const char *s)
{
	struct ts_conf_dns_route route;
	const char *at = s;
	bool bad = strlen(s) >= sizeof(conf->dns_route);

	/* What fits counts: of these names, fewer are then asked of others. */
	if (bad)
		ts_warn("TSPROXY_DNS_ROUTE is longer than %d bytes: the rest is ignored", TS_CONF_DNS_ROUTES_MAX - 1);
	for (size_t i = 0; s[i] && i < sizeof(conf->dns_route) - 1; i++)
		conf->dns_route[i] = s[i];
	bad = false;
	while (ts_conf_next_dns_route(&at, &route, &bad))
		;
	conf->bad_dns_route = bad;
	if (bad)
		ts_warn("TSPROXY_DNS_ROUTE: an entry that is not SUFFIX=SERVER is ignored");
}

/*
 * Whether a variable says where the tailnet is, or what belongs to it. The launcher leaves TSPROXY_PLACE or TSPROXY_MAP to all that
 * runs under it.
 */
static bool means_a_tailnet(const char *variable)
{
	static const char *const names[] = {
		"MAP=", "PLACE=", "PROFILE=", "STATUS=", "SOCKET=", "SOCKS5=", "HTTP_PROXY=", "ROUTE=", "EXCLUDE=", "REMOTE_NAME=",
		"DNS_ROUTE=", "EXIT_NODE=", "INBOUND=", "MODE=",
	};

	if (variable[0] != 'T' || variable[1] != 'S')
		return false;
	if (starts_with(variable, "TS_SOCKET="))
		return variable[strlen("TS_SOCKET=")] != '\0';
	for (size_t i = 0; starts_with(variable, "TSPROXY_") && i < sizeof(names) / sizeof(*names); i++)
		if (starts_with(variable + strlen("TSPROXY_"), names[i]))
			return variable[strlen("TSPROXY_") + strlen(names[i])] != '\0';
	return false;
}

void ts_conf_load(struct ts_conf *conf, char *const envp[])
{
	memset(conf, 0, sizeof(*conf));
	ts_conf_fill(conf, envp);
}

void ts_conf_fill(struct ts_conf *conf, char *const envp[])
{
	const char *s;

	conf->short_names = true;
	if (is_on(ts_env_get(envp, "TSPROXY_DISABLE"), false)) {
		conf->disable = true;
		return;
	}
	for (char *const *e = envp; e && *e && !conf->meant; e++)
		if (means_a_tailnet(*e))
			conf->meant = true;
	s = ts_env_get(envp, "TSPROXY_LOG");
	if (s)
		ts_log_set(s);
	ts_trace_set(ts_env_get(envp, "TSPROXY_TRACE"));
	conf->short_names = is_on(ts_env_get(envp, "TSPROXY_SHORT_NAMES"), true);
	conf->exit_node = is_on(ts_env_get(envp, "TSPROXY_EXIT_NODE"), false);
	s = ts_env_get(envp, "TSPROXY_SOCKS5");
	if (s && *s)
		ts_conf_parse_proxy(s, &conf->socks5);
	s = ts_env_get(envp, "TSPROXY_HTTP_PROXY");
	if (s && *s)
		ts_conf_parse_proxy(s, &conf->http);
	s = ts_env_get(envp, "TSPROXY_ROUTE");
	if (s && !ts_conf_parse_prefixes(s, conf->route, TS_CONF_PREFIXES_MAX, &conf->route_count))
		conf->bad_list = true;
	s = ts_env_get(envp, "TSPROXY_EXCLUDE");
	if (s && !ts_conf_parse_prefixes(s, conf->exclude, TS_CONF_PREFIXES_MAX, &conf->exclude_count))
		conf->bad_list = true;
	if (conf->bad_list)
		ts_warn("TSPROXY_ROUTE or TSPROXY_EXCLUDE has an invalid prefix, or more than %d",
			TS_CONF_PREFIXES_MAX);
	s = ts_env_get(envp, "TSPROXY_REMOTE_NAME");
	if (s && strlen(s) < sizeof(conf->remote_name))
		memcpy(conf->remote_name, s, strlen(s) + 1);
	s = ts_env_get(envp, "TSPROXY_DNS_ROUTE");
	if (s)
		take_dns_routes(conf, s);
	s = ts_env_get(envp, "HOSTALIASES");
	if (s && strlen(s) < sizeof(conf->host_aliases))
		memcpy(conf->host_aliases, s, strlen(s) + 1);
	ts_conf_map_path(conf, envp);
}

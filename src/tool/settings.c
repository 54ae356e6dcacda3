/* SPDX-License-Identifier: MIT */
/*
 * Settings for the map: environment over config files. A scalar that is set already stays, so sources are read from the
 * strongest to the weakest; lists add up.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/tool.h"

static void *add(void *list, size_t *count, size_t size, const void *element)
{
	char *p = reallocarray(list, *count + 1, size);

	if (p)
		memcpy(p + (*count)++ * size, element, size);
	return p;
}

/* The next element of a comma- or space-separated list, or 0. */
static size_t next_item(const char **s)
{
	*s += strspn(*s, ", \t\r\n");
	return strcspn(*s, ", \t\r\n");
}

static bool put_prefixes(struct ts_prefix **list, size_t *count, const char *s)
{
	bool ok = true;

	for (size_t len; (len = next_item(&s)) != 0; s += len) {
		struct ts_prefix p, *more;

		if (!ts_prefix_parse(s, len, &p)) {
			ok = false;
			continue;
		}
		more = add(*list, count, sizeof(p), &p);
		if (!more)
			return false;
		*list = more;
	}
	return ok;
}

static bool suffix_ok(const char *s, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	if (len && *s == '.') {
		s++;
		len--;
	}
	return len && len <= TS_NAME_MAX && strspn(s, allowed) >= len;
}

static bool put_remotes(struct ts_map_settings *set, const char *s)
{
	bool ok = true;

	for (size_t len; (len = next_item(&s)) != 0; s += len) {
		char *name, **more;

		if (!suffix_ok(s, len)) {
			ok = false;
			continue;
		}
		name = strndup(s, len);
		more = name ? add(set->remote, &set->remote_count, sizeof(name), &name) : NULL;
		if (!more) {
			free(name);
			return false;
		}
		set->remote = more;
	}
	return ok;
}

static bool put_dns_routes(struct ts_map_settings *set, const char *s)
{
	struct ts_conf_dns_route route;
	bool bad = false;

	while (ts_conf_next_dns_route(&s, &route, &bad)) {
		struct ts_dns_route r = { strndup(route.suffix, route.suffix_len), route.server }, *more;

		more = r.suffix ? add(set->dns_route, &set->dns_route_count, sizeof(r), &r) : NULL;
		if (!more) {
			free(r.suffix);
			return false;
		}
		set->dns_route = more;
	}
	return !bad;
}

static bool put_string(char **to, const char *value)
{
	if (!*to)
		*to = strdup(value);
	return *to != NULL;
}

static bool put_bool(bool *to, bool *have, const char *s, bool negate)
{
	static const char *const no[] = { "0", "no", "off", "false" }, *const yes[] = { "1", "yes", "on", "true" };

	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++) {
		bool is_yes = strcmp(s, yes[i]) == 0;

		if (is_yes || strcmp(s, no[i]) == 0) {
			if (!*have)
				*to = is_yes != negate;
			*have = true;
			return true;
		}
	}
	return false;
}

bool ts_settings_is_launchers(const char *key)
{
	return strcmp(key, "inbound") == 0 || strcmp(key, "mode") == 0 || strcmp(key, "log") == 0;
}

bool ts_settings_put(struct ts_map_settings *set, const char *key, const char *value, bool *known)
{
	*known = true;
	if (strcmp(key, "socks5") == 0)
		return put_string(&set->socks5, value);
	if (strcmp(key, "http-proxy") == 0)
		return put_string(&set->http_proxy, value);
	if (strcmp(key, "status") == 0)
		return put_string(&set->status, value);
	if (strcmp(key, "socket") == 0)
		return put_string(&set->socket, value);
	if (strcmp(key, "suffix") == 0)
		return suffix_ok(value, strlen(value)) && put_string(&set->suffix, value + (*value == '.'));
	if (strcmp(key, "route") == 0)
		return put_prefixes(&set->route, &set->route_count, value);
	if (strcmp(key, "exclude") == 0)
		return put_prefixes(&set->exclude, &set->exclude_count, value);
	if (strcmp(key, "remote-name") == 0)
		return put_remotes(set, value);
	if (strcmp(key, "dns-route") == 0)
		return put_dns_routes(set, value);
	if (strcmp(key, "short-names") == 0)
		return put_bool(&set->no_short_names, &set->have_short_names, value, true);
	if (strcmp(key, "exit-node") == 0)
		return put_bool(&set->exit_node, &set->have_exit_node, value, false);
	*known = ts_settings_is_launchers(key);
	return *known;
}

static int put_environment(struct ts_map_settings *set)
{
	static const char *const keys[][2] = {
		{ "TSPROXY_SOCKS5", "socks5" },           { "TSPROXY_HTTP_PROXY", "http-proxy" },
		{ "TSPROXY_STATUS", "status" },           { "TSPROXY_SOCKET", "socket" },
		{ "TSPROXY_REMOTE_NAME", "remote-name" },
	};
	bool known;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const char *value = getenv(keys[i][0]);

		if (value && *value && !ts_settings_put(set, keys[i][1], value, &known)) {
			ts_tool_error("--%s (%s): invalid value \"%s\"", keys[i][1], keys[i][0], value);
			return -EINVAL;
		}
	}
	return 0;
}

int ts_settings_load(struct ts_map_settings *set, const char *const files[])
{
	return ts_settings_load_noting(set, files, NULL);
}

int ts_settings_load_noting(struct ts_map_settings *set, const char *const files[], struct ts_settings_note *note)
{
	extern char **environ;
	char own[4096];
	const char *const usual[] = { ts_conf_user_file(environ, own, sizeof(own)) ? own : NULL, TS_CONF_SYSTEM_FILE };
	size_t n = 0;
	int err;

	memset(set, 0, sizeof(*set));
	set->note = note;
	err = put_environment(set);
	while (files && files[n])
		n++;
	for (size_t i = 0; i < (files ? n : 2) && !err; i++) {
		const char *path = files ? files[i] : usual[i];

		if (!path)
			continue;
		err = ts_settings_read_file(set, path, getenv("TSPROXY_PROFILE"));
		if (err && err != -ENOENT && err != -ENOTDIR && err != -ENOMEM)
			ts_tool_warn("%s: %s; ignored", path, err == -EINVAL ? "not a regular file" : strerror(-err));
		if (err != -ENOMEM)
			err = 0;
	}
	return err;
}

bool ts_settings_add_endpoint(struct ts_map_settings *set, const struct ts_endpoint *e)
{
	struct ts_endpoint *more = add(set->endpoints, &set->endpoint_count, sizeof(*e), e);

	if (!more)
		return false;
	set->endpoints = more;
	return true;
}

bool ts_settings_proxy_alone(const struct ts_map_settings *set)
{
	const char *socket = getenv("TS_SOCKET");

	return ((set->socks5 && *set->socks5) || (set->http_proxy && *set->http_proxy)) && !(set->status && *set->status) &&
	       !(set->socket && *set->socket) && !(socket && *socket);
}

bool ts_settings_assume_tailnet(struct ts_map_settings *set)
{
	return put_prefixes(&set->route, &set->route_count, "100.64.0.0/10 fd7a:115c:a1e0::/48") && put_remotes(set, "ts.net");
}

void ts_settings_free(struct ts_map_settings *set)
{
	for (size_t i = 0; i < set->remote_count; i++)
		free(set->remote[i]);
	for (size_t i = 0; i < set->dns_route_count; i++)
		free(set->dns_route[i].suffix);
	free(set->remote);
	free(set->dns_route);
	free(set->route);
	free(set->exclude);
	free(set->endpoints);
	free(set->suffix);
	free(set->socks5);
	free(set->http_proxy);
	free(set->status);
	free(set->socket);
	memset(set, 0, sizeof(*set));
}

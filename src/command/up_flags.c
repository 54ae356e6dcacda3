/* SPDX-License-Identifier: MIT */
/*
 * What the flags of `tailscale up` mean for a daemon that has settings already. `tailscale up` wants all settings mentioned
 * that are not at their default, so it serves for a login only, and then gets those that the daemon has besides those
 * that were given. Elsewhere `tailscale set` changes what differs, and nothing else. Tailscale adds new flags to `set` alone, so the table
 * is complete; a flag that is not in it is one of `set`'s.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "up.h"

#define VALUE_MAX 4096
#define CONTROL_URL "https://controlplane.tailscale.com"

enum kind { TEXT, BOOL, INVERSE, LIST, ROUTES, EXIT_ROUTES, EXIT_NODE, NETFILTER, CONNECTOR, NO_SETTING };

struct flag {
	const char *name;
	enum kind kind;
	const char *key;  /* in ipn.Prefs */
	const char *usual; /* its default, as `tailscale up` says it; of no setting: "true" where it takes no value */
	bool needs_login; /* a change is a new login; of no setting: it asks for one */
};

static const struct flag flags[] = {
	{ "login-server", TEXT, "ControlURL", CONTROL_URL, true },
	{ "advertise-tags", LIST, "AdvertiseTags", "", true },
	{ "hostname", TEXT, "Hostname", "", false },
	{ "operator", TEXT, "OperatorUser", "", false },
	{ "accept-routes", BOOL, "RouteAll", "false", false },
	{ "accept-dns", BOOL, "CorpDNS", "true", false },
	{ "ssh", BOOL, "RunSSH", "false", false },
	{ "shields-up", BOOL, "ShieldsUp", "false", false },
	{ "report-posture", BOOL, "PostureChecking", "false", false },
	{ "exit-node", EXIT_NODE, "ExitNodeIP", "", false },
	{ "exit-node-allow-lan-access", BOOL, "ExitNodeAllowLANAccess", "false", false },
	{ "advertise-routes", ROUTES, "AdvertiseRoutes", "", false },
	{ "advertise-exit-node", EXIT_ROUTES, "AdvertiseRoutes", "false", false },
	{ "advertise-connector", CONNECTOR, "AppConnector", "false", false },
	{ "snat-subnet-routes", INVERSE, "NoSNAT", "true", false },
	{ "stateful-filtering", INVERSE, "NoStatefulFiltering", "false", false },
	{ "netfilter-mode", NETFILTER, "NetfilterMode", "on", false },
	{ "auth-key", NO_SETTING, NULL, NULL, false },
	{ "authkey", NO_SETTING, NULL, NULL, false },
	{ "client-id", NO_SETTING, NULL, NULL, false },
	{ "client-secret", NO_SETTING, NULL, NULL, false },
	{ "id-token", NO_SETTING, NULL, NULL, false },
	{ "audience", NO_SETTING, NULL, NULL, false },
	{ "accept-risk", NO_SETTING, NULL, NULL, false },
	{ "qr-format", NO_SETTING, NULL, NULL, false },
	{ "qr", NO_SETTING, NULL, "true", false },
	{ "json", NO_SETTING, NULL, "true", false },
	{ "host-routes", NO_SETTING, NULL, "true", false },
	{ "force-reauth", NO_SETTING, NULL, "true", true },
	{ "reset", NO_SETTING, NULL, "true", true },
};

#define FLAGS (sizeof(flags) / sizeof(*flags))

/* The flag that a word sets, null for one that `tailscale up` does not have. *value: what follows '=', or null. */
static const struct flag *lookup(const char *word, const char **value)
{
	const char *name = word + strspn(word, "-");
	size_t len = strcspn(name, "=");

	*value = name[len] ? name + len + 1 : NULL;
	for (size_t i = 0; i < FLAGS; i++)
		if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0)
			return &flags[i];
	return NULL;
}

static bool takes_value(const struct flag *f, const char *next)
{
	if (!f)
		return next && next[0] != '-';
	return !f->usual || (strcmp(f->usual, "true") != 0 && strcmp(f->usual, "false") != 0);
}

static bool is_url(const char *s)
{
	size_t scheme = strncmp(s, "https://", 8) == 0 ? 8 : strncmp(s, "http://", 7) == 0 ? 7 : 0;

	return scheme && s[scheme] && !strchr("/:?#", s[scheme]);
}

/* A flag that is given again counts instead of the first; `tailscale` refuses some of these. How many are left. */
static size_t drop(char **words, size_t count, const char *word)
{
	const char *name = word + strspn(word, "-"), *other;
	size_t len = strcspn(name, "="), kept = 0;

	for (size_t i = 0; i < count; i++) {
		other = words[i] + strspn(words[i], "-");
		if (strncmp(other, name, len) != 0 || strcspn(other, "=") != len)
			words[kept++] = words[i];
	}
	return kept;
}

/* One word for each flag: "--name=value", or "--name". */
int ts_up_flags_join(char **words)
{
	size_t kept = 0;

	for (size_t i = 0; words[i]; i++) {
		const char *value;
		const struct flag *f = lookup(words[i], &value);
		char *joined;

		if (words[i][0] != '-' || !words[i][strspn(words[i], "-")]) {
			ts_tool_error("up: unknown option %s; see tsproxy help up", words[i]);
			return 2;
		}
		if (!value && takes_value(f, words[i + 1])) {
			if (!words[i + 1]) {
				ts_tool_error("up: %s needs a value; see tsproxy help up", words[i]);
				return 2;
			}
			if (asprintf(&joined, "%s=%s", words[i], words[i + 1]) < 0)
				return 1;
			words[i + 1] = joined;
			lookup(joined, &value);
			i++;
		}
		if (f == &flags[0] && !is_url(value)) {
			ts_tool_error("up: --login-server %s: must be a URL, such as https://headscale.example", value);
			return 2;
		}
		kept = drop(words, kept, words[i]);
		words[kept++] = words[i];
	}
	words[kept] = NULL;
	return 0;
}

static void put(char out[VALUE_MAX], const char *s)
{
	snprintf(out, VALUE_MAX, "%s", s ? s : "");
}

static bool is_default_route(const char *s)
{
	return strcmp(s, "0.0.0.0/0") == 0 || strcmp(s, "::/0") == 0;
}

static void put_list(const json_t *list, bool routes, char out[VALUE_MAX])
{
	size_t i, len = 0;
	json_t *entry;

	json_array_foreach(list, i, entry) {
		const char *s = json_string_value(entry);

		if (s && !(routes && is_default_route(s)) && len < VALUE_MAX)
			len += (size_t)snprintf(out + len, VALUE_MAX - len, "%s%s", len ? "," : "", s);
	}
}

static bool has_default_route(const json_t *list)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		if (json_is_string(entry) && is_default_route(json_string_value(entry)))
			return true;
	return false;
}

/* What a flag would have to say so that nothing changes. */
static void current(const struct flag *f, const json_t *prefs, char out[VALUE_MAX])
{
	static const char *const modes[] = { "off", "nodivert", "on" };
	const json_t *v = json_object_get(prefs, f->key);
	const char *expression;
	json_int_t mode;

	out[0] = '\0';
	switch (f->kind) {
	case TEXT:
		put(out, json_string_value(v));
		break;
	case BOOL:
		put(out, json_is_true(v) ? "true" : "false");
		break;
	case INVERSE:
		put(out, json_is_boolean(v) ? json_is_true(v) ? "false" : "true" : f->usual);
		break;
	case LIST:
	case ROUTES:
		put_list(v, f->kind == ROUTES, out);
		break;
	case EXIT_ROUTES:
		put(out, has_default_route(v) ? "true" : "false");
		break;
	case EXIT_NODE:
		expression = json_string_value(json_object_get(prefs, "AutoExitNode"));
		if (expression && *expression)
			snprintf(out, VALUE_MAX, "auto:%s", expression);
		else
			put(out, json_string_value(v));
		break;
	case NETFILTER:
		mode = json_is_integer(v) ? json_integer_value(v) : 2;
		put(out, mode >= 0 && mode <= 2 ? modes[mode] : "on");
		break;
	case CONNECTOR:
		put(out, json_is_true(json_object_get(v, "Advertise")) ? "true" : "false");
		break;
	case NO_SETTING:
		break;
	}
	if (!out[0])
		put(out, f->usual);
}

/* Tailscale's own server has two names, and a slash at the end means nothing. */
static bool same_server(const char *a, const char *b)
{
	static const char second[] = "https://login.tailscale.com";
	size_t n = strlen(a), m = strlen(b);

	n -= n && a[n - 1] == '/';
	m -= m && b[m - 1] == '/';
	if (n == strlen(second) && memcmp(a, second, n) == 0)
		return same_server(CONTROL_URL, b);
	if (m == strlen(second) && memcmp(b, second, m) == 0)
		return same_server(a, CONTROL_URL);
	return n == m && memcmp(a, b, n) == 0;
}

static bool changes(const struct flag *f, const char *value, const json_t *prefs)
{
	char now[VALUE_MAX];

	current(f, prefs, now);
	if (!value)
		value = "true";
	return f == &flags[0] ? !same_server(value, now) : strcmp(value, now) != 0;
}

bool ts_up_flags_want_login(char **words, const json_t *prefs)
{
	for (; *words; words++) {
		const char *value;
		const struct flag *f = lookup(*words, &value);

		if (f && f->needs_login && (f->kind == NO_SETTING || changes(f, value, prefs)))
			return true;
	}
	return false;
}

bool ts_up_flags_move(char **words, const json_t *prefs)
{
	for (; *words; words++) {
		const char *value;

		if (lookup(*words, &value) == &flags[0] && changes(&flags[0], value, prefs))
			return true;
	}
	return false;
}

size_t ts_up_flags_set(char **words, const json_t *prefs, bool after_login, char **out)
{
	size_t n = 0;

	for (; *words; words++) {
		const char *value;
		const struct flag *f = lookup(*words, &value);

		if (!f || (!after_login && f->kind != NO_SETTING && !f->needs_login && changes(f, value, prefs)))
			out[n++] = *words;
	}
	out[n] = NULL;
	return n;
}

static bool is_given(char **words, const char *name)
{
	for (; *words; words++) {
		const char *value;
		const struct flag *f = lookup(*words, &value);

		if (f && strcmp(f->name, name) == 0)
			return true;
	}
	return false;
}

bool ts_up_flags_all(char **words, const json_t *prefs, char **out)
{
	char now[VALUE_MAX];
	size_t n = 0;

	for (size_t i = 0; words[i]; i++) {
		const char *value;

		if (lookup(words[i], &value))
			out[n++] = words[i];
	}
	for (size_t i = 0; i < FLAGS && !is_given(words, "reset"); i++) {
		if (flags[i].kind == NO_SETTING || is_given(words, flags[i].name))
			continue;
		current(&flags[i], prefs, now);
		if (strcmp(now, flags[i].usual) != 0 && asprintf(&out[n++], "--%s=%s", flags[i].name, now) < 0)
			return false;
	}
	out[n] = NULL;
	return true;
}

size_t ts_up_flags_count(char **words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return n;
}

size_t ts_up_flags_room(char **words)
{
	return ts_up_flags_count(words) + FLAGS + 8;
}

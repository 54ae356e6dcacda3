/* SPDX-License-Identifier: MIT */
/* tsproxy-config: each setting that is in force, and where it comes from. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/tool.h"

static const char usage[] =
	"usage: tsproxy config [options] [--json]\n"
	"Prints each setting that is in force and where it comes from: an option or\n"
	"variable, a line of a configuration file, or the default. Errors in a\n"
	"configuration file are reported on standard error.\n"
	"  --json                print one array\n";

static const struct setting {
	const char *key, *variable, *unset;
	bool is_list;	/* all sources together; else the strongest alone */
	bool is_switch;
} settings[] = {
	{ "socks5", "TSPROXY_SOCKS5", "automatic", false, false },
	{ "http-proxy", "TSPROXY_HTTP_PROXY", "automatic", false, false },
	{ "status", "TSPROXY_STATUS", "from the daemon", false, false },
	{ "socket", "TSPROXY_SOCKET", "automatic", false, false },
	{ "profile", "TSPROXY_PROFILE", "default", false, false },
	{ "suffix", NULL, "from the daemon", false, false },
	{ "route", "TSPROXY_ROUTE", "none", true, false },
	{ "exclude", "TSPROXY_EXCLUDE", "none", true, false },
	{ "remote-name", "TSPROXY_REMOTE_NAME", "none", true, false },
	{ "dns-route", "TSPROXY_DNS_ROUTE", "none", true, false },
	{ "short-names", "TSPROXY_SHORT_NAMES", "yes", false, true },
	{ "exit-node", "TSPROXY_EXIT_NODE", "no", false, true },
	{ "inbound", "TSPROXY_INBOUND", "no", false, true },
	{ "mode", "TSPROXY_MODE", "auto", false, false },
	{ "log", "TSPROXY_LOG", "off", false, false },
	{ "map", "TSPROXY_MAP", NULL, false, false },
};
#define SETTINGS (sizeof(settings) / sizeof(*settings))

struct said {
	char *key, *value, *origin;
};

struct notes {
	struct ts_settings_note note;
	struct said *list;
	size_t count;
};

static void take_note(struct ts_settings_note *self, const char *key, const char *value, const char *origin)
{
	struct notes *n = (struct notes *)self;
	struct said *more = reallocarray(n->list, n->count + 1, sizeof(*more));

	if (!more)
		return;
	n->list = more;
	more[n->count++] = (struct said){ strdup(key), strdup(value), strdup(origin) };
}

/* A password does not belong on a screen. */
static const char *presentable(const char *value, char *out, size_t cap)
{
	char safe[1024];
	const char *at, *colon, *scheme;

	ts_tool_printable(value, strlen(value), safe, sizeof(safe));
	at = strrchr(safe, '@');
	scheme = strstr(safe, "://");
	colon = strchr(scheme ? scheme + 3 : safe, ':');
	if (at && colon && colon < at)
		snprintf(out, cap, "%.*s:***%s", (int)(colon - safe), safe, at);
	else
		snprintf(out, cap, "%s", safe);
	return out;
}

struct printer {
	json_t *json; /* or null: text */
};

static void put(struct printer *p, const char *key, const char *value, const char *origin)
{
	char text[1024];

	presentable(value, text, sizeof(text));
	if (p->json)
		json_array_append_new(p->json, json_pack("{s:s, s:s, s:s}", "key", key, "value", text, "origin", origin));
	else
		printf("%-12s %-32s %s\n", key, text, origin);
}

static const char *on_or_off(const char *value)
{
	return strcmp(value, "0") == 0 ? "no" : "yes";
}

static void put_setting(struct printer *p, const struct setting *s, const struct notes *notes, const struct ts_conf *conf)
{
	const char *value = s->variable ? getenv(s->variable) : NULL;
	bool said = value && *value;
	char origin[96];

	if (said) {
		snprintf(origin, sizeof(origin), "option or %s", s->variable);
		put(p, s->key, s->is_switch ? on_or_off(value) : value, origin);
	}
	for (size_t i = 0; i < notes->count && (!said || s->is_list); i++)
		if (strcmp(notes->list[i].key, s->key) == 0) {
			put(p, s->key, notes->list[i].value, notes->list[i].origin);
			said = true;
		}
	if (!said)
		put(p, s->key, s->unset ? s->unset : conf->map_path[0] ? conf->map_path : "none", "default");
}

int main(int argc, char **argv)
{
	struct notes notes = { .note = { .take = take_note } };
	struct ts_map_settings set = { 0 };
	struct printer p = { NULL };
	struct ts_conf conf;
	bool json = false;
	int ret;

	ret = ts_options_begin(&argc, argv, usage, &json, &conf);
	if (ret == 0)
		ret = ts_options_end(&argc, argv);
	if (ret)
		return ret < 0 ? 0 : ret;
	if (argc > 1) {
		ts_tool_error("config takes no arguments; see --help");
		return 2;
	}
	ret = ts_settings_load_noting(&set, NULL, &notes.note) ? 2 : 0;
	if (json)
		p.json = json_array();
	for (size_t i = 0; i < SETTINGS && ret == 0; i++)
		put_setting(&p, &settings[i], &notes, &conf);
	if (json && ret == 0) {
		json_dumpf(p.json, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(p.json);
	ts_settings_free(&set);
	for (size_t i = 0; i < notes.count; i++) {
		free(notes.list[i].key);
		free(notes.list[i].value);
		free(notes.list[i].origin);
	}
	free(notes.list);
	return ts_tool_flush() ? 1 : ret;
}

/* SPDX-License-Identifier: MIT */
/*
 * tsproxy-resolve: what a name or address comes to, and why. Exit status 0 where all are the tailnet's and answered,
 * else 1.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tsproxy/tool.h"

static const char usage[] = "usage: tsproxy resolve [options] [--json] NAME|ADDRESS...\n"
			    "Shows what a program gets for a name, or how an address is reached, and why.\n"
			    "Exit status: 0 all belong to the tailnet, 1 some do not, 2 wrong option.\n"
			    "  --json                print one array of objects\n";

static const char *const keys[] = {
	[TS_WHY_MAP] = "map",           [TS_WHY_HOSTS] = "hosts",   [TS_WHY_ROUTE] = "route",
	[TS_WHY_EXCLUDED] = "excluded", [TS_WHY_REMOTE] = "remote", [TS_WHY_NO_SUCH_NAME] = "no-such-name",
	[TS_WHY_SPLIT] = "dns-route",
	[TS_WHY_SERVICE] = "service",   [TS_WHY_NO_NODE] = "no-such-node", [TS_WHY_LOCAL] = "local",   [TS_WHY_KERNEL] = "kernel",
	[TS_WHY_NOT_OURS] = "not-tailnet",
};

static void print_line(const struct ts_map *m, const char *what, const struct ts_explained *e)
{
	char ip[TS_ADDR_TEXT_MAX], why[512], safe[512];

	printf("%s\t", ts_tool_printable(what, strlen(what), safe, sizeof(safe)));
	for (unsigned i = 0; i < e->answer.count; i++) {
		ts_ip_format(e->answer.ip[i], ip);
		printf("%s%s", i ? "," : "", ip);
	}
	printf("%s\t%s\n", e->answer.count ? "" : "-", ts_explain_text(m, e, why, sizeof(why)));
}

static json_t *servers(const struct ts_explained *e)
{
	json_t *list = json_array();
	char at[TS_ADDR_TEXT_MAX];

	for (unsigned i = 0; i < e->split.count; i++) {
		ts_addr_format(&e->split.server[i], at);
		json_array_append_new(list, json_string(at));
	}
	return list;
}

static json_t *as_json(const struct ts_map *m, const char *what, const struct ts_explained *e)
{
	char ip[TS_ADDR_TEXT_MAX], why[512], safe[512];
	json_t *list = json_array(), *o;

	for (unsigned i = 0; i < e->answer.count; i++) {
		ts_ip_format(e->answer.ip[i], ip);
		json_array_append_new(list, json_string(ip));
	}
	o = json_pack("{s:s, s:b, s:s, s:s, s:o}", "query", ts_tool_printable(what, strlen(what), safe, sizeof(safe)),
		      "tailnet", e->ours, "why", keys[e->why], "text", ts_explain_text(m, e, why, sizeof(why)),
		      "addresses", list);
	if (e->why == TS_WHY_SPLIT)
		json_object_set_new(o, "servers", servers(e));
	if (e->answer.canon[0])
		json_object_set_new(o, "name", json_string(e->answer.canon));
	if (e->answer.node_flags & TS_NODE_ONLINE_KNOWN)
		json_object_set_new(o, "online", json_boolean(e->answer.node_flags & TS_NODE_ONLINE));
	return o;
}

int main(int argc, char **argv)
{
	struct ts_conf conf;
	struct ts_map map;
	json_t *list = NULL;
	bool json = false;
	int ret;

	ret = ts_options_begin(&argc, argv, usage, &json, &conf);
	if (ret == 0)
		ret = ts_options_end(&argc, argv);
	if (ret)
		return ret < 0 ? 0 : ret;
	if (argc < 2) {
		ts_tool_error("resolve: no name or address given; see --help");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		if (!argv[i][0]) {
			ts_tool_error("resolve: an empty argument is not a name");
			return 2;
		}
	ret = ts_sync_load(&conf, &map);
	if (ret)
		return ret;
	if (json)
		list = json_array();
	for (int i = 1; i < argc; i++) {
		struct ts_explained e;

		ts_explain(&conf, &map, argv[i], &e);
		if (!e.ours || e.why == TS_WHY_NO_SUCH_NAME || e.why == TS_WHY_NO_NODE || e.why == TS_WHY_SERVICE)
			ret = 1;
		if (json)
			json_array_append_new(list, as_json(&map, argv[i], &e));
		else
			print_line(&map, argv[i], &e);
	}
	if (json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(list);
	ts_map_unload(&map);
	return ts_tool_flush() ? 1 : ret;
}

/* SPDX-License-Identifier: MIT */
/*
 * tsproxy-explain: what would become of a command, without running it: the file, whether it is supported, the map and
 * proxy, and which of its words name something in the tailnet.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../command/verdict.h"
#include "help.h"
#include "parts.h"
#include "tsproxy/tool.h"

static const char usage[] =
	"usage: tsproxy explain [options] [--json] [--] COMMAND [ARGUMENT...]\n"
	"Shows what would be done for a command, and why, without running it.\n"
	"Exit status: 0 runs with tsproxy, 126 would not run, 127 not found, 2 wrong\n"
	"option.\n"
	"  --json                print one object\n";

#define TARGETS_MAX 16

struct target {
	char text[256];
	struct ts_explained e;
};

struct story {
	char file[PATH_MAX];
	struct ts_program program;
	struct ts_conf conf;
	struct ts_map map;
	bool have_map;
	struct target targets[TARGETS_MAX];
	unsigned count;
};

static void consider(struct story *s, const char *word, size_t len)
{
	struct target *t = &s->targets[s->count];
	struct ts_addr a;

	if (s->count == TARGETS_MAX || len == 0 || len >= sizeof(t->text))
		return;
	/* A port, where this is no IPv6 address. */
	if (!ts_addr_parse(word, len, &a) && memchr(word, ':', len))
		len = strcspn(word, ":");
	snprintf(t->text, sizeof(t->text), "%.*s", (int)len, word);
	for (unsigned i = 0; i < s->count; i++)
		if (strcmp(s->targets[i].text, t->text) == 0)
			return;
	ts_explain(&s->conf, &s->map, t->text, &t->e);
	s->count += t->e.ours;
}

/* Hosts in a word: user@HOST:path, scheme://HOST:port/..., --host=HOST, [IPv6]. */
static void consider_words(struct story *s, char **argv)
{
	static const char around[] = "/@,=[]\"' ";

	for (; *argv; argv++)
		for (const char *at = *argv; *at; at += strspn(at, around)) {
			size_t len = strcspn(at, around);

			consider(s, at, len);
			at += len;
		}
}

static int exit_status(const struct story *s)
{
	switch (s->program.verdict) {
	case TS_PROGRAM_OK:
	case TS_PROGRAM_UNREADABLE:
		return ts_parts_object() ? 0 : TS_EXIT_NOT_RUN;
	default:
		return TS_EXIT_NOT_RUN;
	}
}

static void proxy(const struct story *s, char *out, size_t cap)
{
	struct ts_map_header h = ts_map_header(&s->map);
	struct ts_endpoint e;

	if (h.flags & TS_MAP_TUN)
		snprintf(out, cap, "the kernel (TUN)");
	else if (h.state >= TS_STATE_STOPPED)
		snprintf(out, cap, "none: the daemon is %s", ts_walk_state(h.state));
	else if (ts_map_endpoint(&s->map, 0, &e) == 1)
		ts_walk_endpoint(&e, out, cap);
	else
		snprintf(out, cap, "none: no proxy was found");
}

static void print_text(struct story *s)
{
	const char *object = ts_parts_object(), *remedy = ts_verdict_remedy(s->program.verdict, s->conf.map_path);
	char text[512], ip[TS_ADDR_TEXT_MAX], safe[PATH_MAX];
	bool direct = !s->program.culprit[0] || strcmp(s->program.culprit, s->file) == 0;

	printf("program  %s", ts_tool_printable(s->file, strlen(s->file), safe, sizeof(safe)));
	if (s->program.runs[0] && strcmp(s->program.runs, s->file) != 0)
		printf(", run by %s", ts_tool_printable(s->program.runs, strlen(s->program.runs), safe, sizeof(safe)));
	ts_tool_printable(s->program.culprit, strlen(s->program.culprit), safe, sizeof(safe));
	printf("\nverdict  %s%s%s%s%s\n", direct ? "" : safe, direct ? "" : " ",
	       ts_verdict_text(s->program.verdict), *remedy ? "; " : "", remedy);
	printf("library  %s\n", ts_options_disabled() ? "not loaded: TSPROXY_DISABLE is set" : !object ? "libtsproxy.so is missing: not run" : exit_status(s) ? "not loaded: not run" : object);
	if (!s->have_map) {
		printf("map      No tailnet data available; tailnet addresses fail, other connections go directly\n");
		return;
	}
	proxy(s, text, sizeof(text));
	printf("map      %s\nproxy    %s\n", s->conf.map_path, text);
	for (unsigned i = 0; i < s->count; i++) {
		const struct target *t = &s->targets[i];

		printf("target   %s", ts_tool_printable(t->text, strlen(t->text), safe, sizeof(safe)));
		for (unsigned a = 0; a < t->e.answer.count; a++) {
			ts_ip_format(t->e.answer.ip[a], ip);
			if (strcmp(ip, t->text) != 0)
				printf("%s%s", a ? "," : " ", ip);
		}
		printf(": %s\n", ts_explain_text(&s->map, &t->e, text, sizeof(text)));
	}
	if (s->count == 0)
		printf("target   no argument is a name or an address in the tailnet\n");
}

static void print_json(struct story *s)
{
	const char *object = ts_parts_object();
	char text[512] = "", target[512], file[PATH_MAX], runs[PATH_MAX], culprit[PATH_MAX];
	json_t *list = json_array(), *o;

	for (unsigned i = 0; i < s->count; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "target",
						      ts_tool_printable(s->targets[i].text, strlen(s->targets[i].text), target,
									sizeof(target)),
						      "text",
						      ts_explain_text(&s->map, &s->targets[i].e, text, sizeof(text))));
	if (s->have_map)
		proxy(s, text, sizeof(text));
	else
		text[0] = '\0';
	o = json_pack("{s:s, s:s, s:s, s:b, s:s, s:s?, s:s?, s:s?, s:o}", "program",
		      ts_tool_printable(s->file, strlen(s->file), file, sizeof(file)), "runs",
		      ts_tool_printable(s->program.runs, strlen(s->program.runs), runs, sizeof(runs)), "culprit",
		      ts_tool_printable(s->program.culprit, strlen(s->program.culprit), culprit, sizeof(culprit)),
		      "supported", exit_status(s) == 0 && !ts_options_disabled(), "verdict", ts_verdict_text(s->program.verdict), "library", object, "map",
		      s->have_map ? s->conf.map_path : NULL, "proxy", s->have_map ? text : NULL, "targets", list);
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

int main(int argc, char **argv)
{
	static struct story s;
	bool json = false;
	int ret, at = 1, end = 1;

	/* The first word that is no option begins the command, whose own options are its own. */
	while (end < argc && strcmp(argv[end], "--") != 0)
		end++;
	if (end == argc) {
		ret = ts_options_begin(&argc, argv, usage, &json, &s.conf);
		at = 1;
	} else {
		int own = end;

		argv[end] = NULL;
		ret = ts_options_begin(&own, argv, usage, &json, &s.conf);
		if (ret == 0)
			ret = ts_options_end(&own, argv);
		at = end + 1;
		if (ret == 0 && own > 1) {
			ts_tool_error("explain: the command must be after --");
			ret = 2;
		}
	}
	if (ret)
		return ret < 0 ? 0 : ret;
	if (at >= argc || (end == argc && argv[at][0] == '-')) {
		ts_tool_error("explain: no command given; see --help");
		return 2;
	}
	ret = ts_program_find(argv[at], getenv("PATH"), s.file);
	if (ret) {
		ts_tool_error("%s: %s", argv[at], ret == -ENOENT || ret == -ENOTDIR ? "command not found" : strerror(-ret));
		return ret == -ENOENT || ret == -ENOTDIR ? TS_EXIT_NOT_FOUND : TS_EXIT_NOT_RUN;
	}
	ts_program_check(s.file, getenv("PATH"), &s.program);
	s.have_map = ts_sync_load(&s.conf, &s.map) == 0;
	if (s.have_map)
		consider_words(&s, argv + at + 1);
	(json ? print_json : print_text)(&s);
	if (s.have_map)
		ts_map_unload(&s.map);
	return ts_tool_flush() ? 1 : exit_status(&s);
}

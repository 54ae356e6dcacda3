/* SPDX-License-Identifier: MIT */
/* tsproxy-doctor: checks everything that a connection to the tailnet depends on; a line each, with what to do. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../command/doctor.h"

static const char usage[] =
	"usage: tsproxy doctor [options] [--json] [NODE[:PORT]] [-- PROGRAM...]\n"
	"Checks everything that a connection to the tailnet depends on, and says what to\n"
	"do about what is wrong. NODE[:PORT] is connected to, else one that is online;\n"
	"each PROGRAM is judged whether it can be served.\n"
	"Exit status: 0 all is well, 1 a warning, 3 something fails, 2 wrong option.\n"
	"  --json                one object\n";

static const char *const levels[] = { "ok", "note", "warn", "fail" };

void ts_doctor_add(struct ts_doctor *d, enum ts_level level, const char *check, const char *fmt, ...)
{
	char text[1024], safe[1024], *fix;
	struct ts_finding *f;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (d->count == TS_FINDINGS_MAX)
		return;
	f = &d->findings[d->count];
	fix = strchr(text, '\n');
	if (fix)
		*fix++ = '\0';
	f->level = level;
	f->check = check;
	f->text = strdup(ts_tool_printable(text, strlen(text), safe, sizeof(safe)));
	f->fix = fix && *fix ? strdup(ts_tool_printable(fix, strlen(fix), safe, sizeof(safe))) : NULL;
	if (f->text)
		d->count++;
}

static enum ts_level worst(const struct ts_doctor *d)
{
	enum ts_level w = TS_OK;

	for (unsigned i = 0; i < d->count; i++)
		if (d->findings[i].level > w)
			w = d->findings[i].level;
	return w;
}

static void print_lines(const struct ts_doctor *d)
{
	static const char *const colours[] = { "\033[32m", "\033[36m", "\033[33m", "\033[1;31m" };
	bool colour = ts_tool_colours();

	for (unsigned i = 0; i < d->count; i++) {
		const struct ts_finding *f = &d->findings[i];

		printf("%s%-4s%s  %-11s %s\n", colour ? colours[f->level] : "", levels[f->level], colour ? "\033[0m" : "",
		       f->check, f->text);
		if (f->fix)
			printf("      %-11s -> %s\n", "", f->fix);
	}
}

static void print_json(const struct ts_doctor *d)
{
	json_t *list = json_array(), *root;

	for (unsigned i = 0; i < d->count; i++) {
		const struct ts_finding *f = &d->findings[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s?}", "check", f->check, "level",
						      levels[f->level], "text", f->text, "fix", f->fix));
	}
	root = json_pack("{s:s, s:o}", "worst", levels[worst(d)], "checks", list);
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

static void examine(struct ts_doctor *d, char **programs)
{
	ts_doctor_machine(d);
	ts_doctor_load(d);
	ts_doctor_daemon(d);
	ts_doctor_map(d);
	ts_doctor_proxies(d);
	ts_doctor_reach(d);
	ts_doctor_dns(d);
	ts_doctor_shell(d);
	ts_doctor_supervisor(d);
	for (; *programs; programs++)
		ts_doctor_program(d, *programs);
	ts_doctor_answers(d);
}

/* Cuts the programs behind "--" off the command line. */
static char **cut_programs(int *argc, char **argv)
{
	static char *none[] = { NULL };

	for (int i = 1; i < *argc; i++)
		if (strcmp(argv[i], "--") == 0) {
			*argc = i;
			argv[i] = NULL;
			return argv + i + 1;
		}
	return none;
}

int main(int argc, char **argv)
{
	static const int statuses[] = { 0, 0, 1, 3 };
	static struct ts_doctor d;
	char **programs;
	bool json = false;
	int ret;

	if (argc > 1 && strcmp(argv[1], TS_DOCTOR_TRY) == 0)
		return ts_doctor_try(argc, argv);
	programs = cut_programs(&argc, argv);
	ret = ts_options_begin(&argc, argv, usage, &json, &d.conf);
	if (ret == 0)
		ret = ts_options_end(&argc, argv);
	if (ret)
		return ret < 0 ? 0 : ret;
	if (argc > 2) {
		ts_tool_error("doctor connects to one node; programs stand behind --; see --help");
		return 2;
	}
	if (argv[1] && !ts_doctor_take_node(&d, argv[1])) {
		ts_tool_error("doctor %s: want NODE, NODE:PORT or [ADDRESS]:PORT", argv[1]);
		return 2;
	}
	if (getenv("TSPROXY_STATUS") && ts_conf_stream(getenv("TSPROXY_STATUS")) >= 0) {
		ts_tool_error("--status %s can be read once, and doctor reads it twice: name a file", getenv("TSPROXY_STATUS"));
		return 2;
	}
	ret = ts_settings_load(&d.set, NULL);
	if (ret)
		return 2;
	examine(&d, programs);
	if (json)
		print_json(&d);
	else
		print_lines(&d);
	ret = statuses[worst(&d)];
	for (unsigned i = 0; i < d.count; i++) {
		free(d.findings[i].text);
		free(d.findings[i].fix);
	}
	if (d.have_map)
		ts_map_unload(&d.map);
	ts_settings_free(&d.set);
	return ts_tool_flush() ? 1 : ret;
}

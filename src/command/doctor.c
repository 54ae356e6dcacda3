/* SPDX-License-Identifier: MIT */
/* What doctor found: kept until all is looked at, then printed in lines or as JSON. */
#include "doctor.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum ts_level ts_doctor_worst(const struct ts_doctor *d)
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

/* What it comes to, and the one next step: that of the first finding of the worst kind. */
static void print_verdict(const struct ts_doctor *d)
{
	static const char *const verdicts[] = {
		"No problems found.", "No problems found.", "It works, with a warning", "Something does not work",
	};
	enum ts_level worst = ts_doctor_worst(d);
	unsigned i = 0;

	if (worst < TS_WARN) {
		printf("\n%s\n", verdicts[worst]);
		return;
	}
	while (d->findings[i].level != worst)
		i++;
	printf("\n%s (%s).\n", verdicts[worst], d->findings[i].check);
	if (d->findings[i].fix)
		printf("Next: %s\n", d->findings[i].fix);
}

static void print_json(const struct ts_doctor *d)
{
	json_t *list = json_array(), *root;

	for (unsigned i = 0; i < d->count; i++) {
		const struct ts_finding *f = &d->findings[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s?}", "check", f->check, "level",
						      levels[f->level], "text", f->text, "fix", f->fix));
	}
	root = json_pack("{s:s, s:o}", "worst", levels[ts_doctor_worst(d)], "checks", list);
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

void ts_doctor_print(const struct ts_doctor *d, bool json)
{
	if (json) {
		print_json(d);
	} else {
		print_lines(d);
		print_verdict(d);
	}
}

void ts_doctor_free(struct ts_doctor *d)
{
	for (unsigned i = 0; i < d->count; i++) {
		free(d->findings[i].text);
		free(d->findings[i].fix);
	}
}

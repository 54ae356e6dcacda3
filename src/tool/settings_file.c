/* SPDX-License-Identifier: MIT */
/*
 * The config file: INI, read with libinih. Keys at the top serve every profile, those in [profile NAME] that one alone,
 * and win.
 *
 * libinih tells its callback no line number, so the lines are counted where they are read. It cuts lines at 200 bytes
 * and would take the rest for a line of its own: here such a line is named and left out as a whole.
 */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "tsproxy/tool.h"

struct reader {
	FILE *f;
	const char *path;
	const char *section; /* the one to take in this pass */
	struct ts_map_settings *set;
	int line;
	bool speak; /* the pass that reports what is wrong in any section */
};

static char *read_line(char *str, int num, void *stream)
{
	struct reader *r = stream;
	bool whole;
	int c;

	while (fgets(str, num, r->f)) {
		r->line++;
		whole = strchr(str, '\n') != NULL;
		if (whole || feof(r->f))
			return str;
		c = getc(r->f);
		if (c == EOF)
			return str;
		while (c != '\n' && c != EOF)
			c = getc(r->f);
		if (r->speak)
			ts_tool_warn("%s:%d: line too long, left out (a list may take several lines)", r->path,
				     r->line);
	}
	return NULL;
}

static bool is_list(const char *key)
{
	static const char *const lists[] = { "route", "exclude", "remote-name", "dns-route" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		if (strcmp(lists[i], key) == 0)
			return true;
	return false;
}

static int take(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;
	struct ts_map_settings scratch = { 0 };
	bool known, ok, mine = strcmp(section, r->section) == 0;

	if (!mine && !r->speak)
		return 1;
	ok = ts_settings_put(mine ? r->set : &scratch, name, value, &known);
	ts_settings_free(&scratch);
	/* What of a list can be read counts. */
	if (mine && (ok || is_list(name)) && r->set->note && !ts_settings_is_launchers(name)) {
		char origin[4200];

		snprintf(origin, sizeof(origin), "%s:%d", r->path, r->line);
		r->set->note->take(r->set->note, name, value, origin);
	}
	if (!r->speak)
		return 1;
	if (!known)
		ts_tool_warn("%s:%d: unknown key \"%s\"", r->path, r->line, name);
	else if (ts_settings_is_launchers(name))
		ts_tool_warn("%s:%d: %s counts as an option or a variable only; left out", r->path, r->line, name);
	else if (!ok)
		ts_tool_warn("%s:%d: %s: cannot read \"%s\"", r->path, r->line, name, value);
	else if (section[0] && strncmp(section, "profile ", 8) != 0)
		ts_tool_warn("%s:%d: unknown section [%s], only [profile NAME] means something", r->path, r->line,
			     section);
	return 1;
}

/* One pass a section, the profile's first: what is set stays. */
static int pass(struct reader *r)
{
	int bad;

	r->line = 0;
	rewind(r->f);
	bad = ini_parse_stream(read_line, r, take, r);
	if (bad == -2)
		return -ENOMEM;
	if (bad > 0 && r->speak)
		ts_tool_warn("%s:%d: neither [section] nor key = value", r->path, bad);
	return 0;
}

int ts_settings_read_file(struct ts_map_settings *set, const char *path, const char *profile)
{
	struct reader r = { .path = path, .set = set };
	char section[128];
	int err;

	r.f = fopen(path, "re");
	if (!r.f)
		return -errno;
	snprintf(section, sizeof(section), "profile %s", profile && *profile ? profile : "default");
	r.section = section;
	err = pass(&r);
	if (!err) {
		r.section = "";
		r.speak = true;
		err = pass(&r);
	}
	fclose(r.f);
	return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * The config file: INI, read with libinih. Keys at the top serve every profile, those in [profile NAME] that one alone,
 * and win.
 *
 * libinih tells its callback no line number, so the lines are counted where they are read. It cuts lines at 200 bytes
 * and would take the rest for a line of its own, and of lines that are nothing it tells the first alone, at the end: here
 * each such line is named in its turn and left out as a whole. It knows no # behind a value either, and no ; behind a line that goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tsproxy/tool.h"

#define FILE_MAX (1 << 20)

struct reader {
	FILE *f;
	const char *path;
	const char *section; /* the one to take in this pass */
	struct ts_map_settings *set;
	int line;
	bool speak; /* the pass that reports what is wrong in any section */
};

static void cut_comment(char *s)
{
	for (size_t i = 1; s[i]; i++)
		if ((s[i] == '#' || s[i] == ';') && (s[i - 1] == ' ' || s[i - 1] == '\t')) {
			s[i] = '\0';
			return;
		}
}

/* Whether libinih can make something of it. What begins with a blank may go on with the line before. */
static bool is_line(const char *s)
{
	size_t len = strcspn(s, "\r\n");

	if (!len || strchr(" \t#;", *s))
		return true;
	return *s == '[' ? memchr(s, ']', len) != NULL : *s != '=' && *s != ':' && strcspn(s, "=:") < len;
}

static char *read_line(char *str, int num, void *stream)
{
	static const char bom[] = "\357\273\277";
	struct reader *r = stream;

	while (fgets(str, num, r->f)) {
		size_t skip = ++r->line == 1 && strncmp(str, bom, 3) == 0 ? 3 : 0;
		int c = strchr(str, '\n') || feof(r->f) ? '\n' : getc(r->f);

		cut_comment(str);
		if ((c == '\n' || c == EOF) && is_line(str + skip))
			return str;
		while (c != '\n' && c != EOF)
			c = getc(r->f);
		if (r->speak)
			ts_tool_warn("%s:%d: %s", r->path, r->line, is_line(str + skip) ?
				     "line too long, ignored (a list can be on several lines)" :
				     "neither [section] nor key = value; ignored");
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

/* What can be no proxy; to a URL, or a unix socket, tsproxy-sync has an answer of its own. */
static bool is_wrong_proxy(const char *key, const char *value)
{
	const char *at = strrchr(value, '@');
	struct ts_conf_proxy p = { 0 };

	if ((strcmp(key, "socks5") != 0 && strcmp(key, "http-proxy") != 0) || !*value || *value == '/' ||
	    strncmp(value, "unix:", 5) == 0 || strstr(value, "://"))
		return false;
	ts_conf_parse_proxy(at ? at + 1 : value, &p);
	return p.bad;
}

static int take(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;
	struct ts_map_settings scratch = { 0 };
	bool known, ok, mine = strcmp(section, r->section) == 0;

	if (!mine && !r->speak)
		return 1;
	ok = !is_wrong_proxy(name, value);
	if (!ok)
		known = true;
	else
		ok = ts_settings_put(mine ? r->set : &scratch, name, value, &known);
	ts_settings_free(&scratch);
	/* What of a list can be read counts. */
	if (mine && *value && (ok || is_list(name)) && r->set->note && !ts_settings_is_launchers(name)) {
		char origin[4200];

		snprintf(origin, sizeof(origin), "%s:%d", r->path, r->line);
		r->set->note->take(r->set->note, name, value, origin);
	}
	if (!r->speak)
		return 1;
	if (!known)
		ts_tool_warn("%s:%d: unknown key \"%s\"", r->path, r->line, name);
	else if (ts_settings_is_launchers(name))
		ts_tool_warn("%s:%d: %s can be set only by an option or a variable; ignored", r->path, r->line, name);
	else if (!ok)
		ts_tool_warn("%s:%d: %s: invalid value \"%s\"", r->path, r->line, name, value);
	else if (section[0] && strncmp(section, "profile ", 8) != 0)
		ts_tool_warn("%s:%d: unknown section [%s]; only [profile NAME] is supported", r->path, r->line,
			     section);
	return 1;
}

/* One pass a section, the profile's first: what is set stays. */
static int pass(struct reader *r)
{
	r->line = 0;
	rewind(r->f);
	return ini_parse_stream(read_line, r, take, r) == -2 ? -ENOMEM : ferror(r->f) ? -EIO : 0;
}

/* A FIFO would be waited for, a device read for ever. */
static FILE *open_file(const char *path, int *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *f = NULL;

	*err = 0;
	if (fd < 0 || fstat(fd, &st) != 0)
		*err = -errno;
	else if (!S_ISREG(st.st_mode))
		*err = S_ISDIR(st.st_mode) ? -EISDIR : S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) ? -ENOENT : -EINVAL;
	else if (st.st_size > FILE_MAX)
		*err = -EFBIG;
	else if (!(f = fdopen(fd, "r")))
		*err = -errno;
	if (!f && fd >= 0)
		close(fd);
	return f;
}

int ts_settings_read_file(struct ts_map_settings *set, const char *path, const char *profile)
{
	struct reader r = { .path = path, .set = set };
	char section[128];
	int err;

	r.f = open_file(path, &err);
	if (!r.f)
		return err;
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

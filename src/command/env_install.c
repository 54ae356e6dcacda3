/* SPDX-License-Identifier: MIT */
/* `tsproxy env --install` and --uninstall: see env_install.h. Our line is known by the comment at its end. */
#include "env_install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cli/parts.h"
#include "tsproxy/tool.h"

#define MARK "# tsproxy env --install"
#define FILE_MAX (16u << 20)	/* bytes; a start-up file that is longer is none */

void ts_env_put_quoted(FILE *to, const char *s, bool fish)
{
	fputc('\'', to);
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", to);
		else if (*s == '\\' && fish)
			fputs("\\\\", to);
		else
			fputc(*s, to);
	}
	fputc('\'', to);
}

/* The start-up file of that shell, links followed where it is there. False where no home is known (said). */
static bool find_file(const char *shell, char out[PATH_MAX])
{
	const char *home = getenv("HOME"), *zdot = getenv("ZDOTDIR"), *xdg = getenv("XDG_CONFIG_HOME");
	char named[PATH_MAX];
	int n;

	if (!home || home[0] != '/') {
		ts_tool_error("env: HOME is not set, so the shell's start-up file is unknown");
		return false;
	}
	if (strcmp(shell, "bash") == 0)
		n = snprintf(named, sizeof(named), "%s/.bashrc", home);
	else if (strcmp(shell, "zsh") == 0)
		n = snprintf(named, sizeof(named), "%s/.zshrc", zdot && zdot[0] == '/' ? zdot : home);
	else if (strcmp(shell, "fish") == 0 && xdg && xdg[0] == '/')
		n = snprintf(named, sizeof(named), "%s/fish/config.fish", xdg);
	else
		n = snprintf(named, sizeof(named), strcmp(shell, "fish") == 0 ? "%s/.config/fish/config.fish" : "%s/.profile", home);
	if (n < 0 || (size_t)n >= sizeof(named)) {
		ts_tool_error("env: HOME is too long");
		return false;
	}
	if (!realpath(named, out))
		memcpy(out, named, (size_t)n + 1);
	return true;
}

/* Makes the folders above `path`, as mkdir -p does. */
static void make_folders(const char *path)
{
	char dir[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = '\0';
		mkdir(dir, 0755);
	}
}

/* The whole file, as a string; *st as fstat says. "" where there is none; null where it cannot be used (errno). */
static char *read_file(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
	char *text = NULL;
	ssize_t n;

	*st = (struct stat){ .st_mode = 0644, .st_uid = geteuid(), .st_gid = getegid() };
	if (fd < 0)
		return errno == ENOENT ? strdup("") : NULL;
	if (fstat(fd, st) != 0)
		err = errno;
	else if (!S_ISREG(st->st_mode))
		err = S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
	else if (st->st_size > (off_t)FILE_MAX)
		err = EFBIG;
	else if (!(text = malloc((size_t)st->st_size + 1)))
		err = ENOMEM;
	if (!err) {
		n = pread(fd, text, (size_t)st->st_size, 0);
		if (n != st->st_size)
			err = n < 0 ? errno : EIO;
		else if (memchr(text, '\0', (size_t)n))
			err = EINVAL;	/* no text */
		else
			text[n] = '\0';
	}
	close(fd);
	if (err) {
		free(text);
		errno = err;
		return NULL;
	}
	return text;
}

/* Replaces the file by one of the same owner and mode. 0 or -errno. */
static int write_file(const char *path, const struct stat *st, const char *text, size_t len)
{
	char temporary[PATH_MAX + 8];
	int fd, err = 0;

	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; !err && done < len;) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno != EINTR)
			err = errno;
		else if (n > 0)
			done += (size_t)n;
	}
	if (!err && (fchown(fd, st->st_uid, st->st_gid) != 0 || fchmod(fd, st->st_mode & 07777) != 0 || fsync(fd) != 0))
		err = errno;
	if (close(fd) != 0 && !err)
		err = errno;
	if (!err && rename(temporary, path) != 0)
		err = errno;
	if (err)
		unlink(temporary);
	return -err;
}

static bool is_ours(const char *line, size_t len)
{
	return len >= strlen(MARK) && memcmp(line + len - strlen(MARK), MARK, strlen(MARK)) == 0;
}

/* `text` with `line` in the place of ours, else at its end; or without ours, where `line` is "". *had: how many of ours. */
static char *edit(const char *text, const char *line, unsigned *had)
{
	char *out = malloc(strlen(text) + strlen(line) + 2);
	size_t len = 0;

	*had = 0;
	while (out && *text) {
		size_t n = strcspn(text, "\n"), whole = n + (text[n] != '\0');

		if (!is_ours(text, n)) {
			memcpy(out + len, text, whole);
			len += whole;
		} else if (++*had == 1) {
			memcpy(out + len, line, strlen(line));
			len += strlen(line);
		}
		text += whole;
	}
	if (!out)
		return NULL;
	if (*line && !*had && len && out[len - 1] != '\n')
		out[len++] = '\n';
	strcpy(out + len, *had ? "" : line);
	return out;
}

/* Puts `line` into the file, or takes ours out of it ("" for `line`). */
static int change(const char *path, const char *line)
{
	unsigned had = 0;
	struct stat st;
	char *text, *edited;
	int ret = 0;

	if (*line)
		make_folders(path);
	text = read_file(path, &st);
	edited = text ? edit(text, line, &had) : NULL;
	if (!edited)
		ret = -errno;
	else if (strcmp(text, edited) != 0)
		ret = write_file(path, &st, edited, strlen(edited));
	if (ret)
		ts_tool_error("env: %s: %s", path, ret == -EINVAL ? "not a text file" : strerror(-ret));
	else if (*line)
		printf(strcmp(text, edited) == 0 ? "%s: tsproxy was active already\n" : "%s: tsproxy is active in new shells\n", path);
	else
		printf(had ? "%s: the line was removed\n" : "%s: no line of tsproxy was found\n", path);
	free(text);
	free(edited);
	return ret ? 1 : ts_tool_flush();
}

int ts_env_install(const char *shell, const char *const *settings, size_t count)
{
	const char *launcher = ts_parts_launcher();
	bool fish = strcmp(shell, "fish") == 0;
	char path[PATH_MAX], *line = NULL;
	size_t len = 0;
	FILE *f;
	int ret;

	if (!launcher) {
		ts_tool_error("env: the program tsproxy is missing; install tsproxy again");
		return 1;
	}
	if (!find_file(shell, path))
		return 1;
	f = open_memstream(&line, &len);
	if (!f) {
		ts_tool_error("env: %s", strerror(errno));
		return 1;
	}
	fputs(fish ? "test -x " : "[ ! -x ", f);
	ts_env_put_quoted(f, launcher, fish);
	fputs(fish ? "; and env " : " ] || eval \"$(", f);
	for (size_t i = 0; i < count; i++) {
		const char *value = getenv(settings[i]);

		if (!value || !*value)
			continue;
		fprintf(f, "%s=", settings[i]);
		ts_env_put_quoted(f, value, fish);
		fputc(' ', f);
	}
	ts_env_put_quoted(f, launcher, fish);
	fprintf(f, " env --shell %s%s " MARK "\n", shell, fish ? " | source" : ")\"");
	if (fclose(f) != 0 || strchr(line, '\n') != line + len - 1) {
		ts_tool_error("env: a setting with a line break cannot be stored in %s", path);
		free(line);
		return 1;
	}
	ret = change(path, line);
	free(line);
	return ret;
}

int ts_env_uninstall(const char *shell)
{
	char path[PATH_MAX];

	return find_file(shell, path) ? change(path, "") : 1;
}

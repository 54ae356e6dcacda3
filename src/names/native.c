/* SPDX-License-Identifier: MIT */
/*
 * What glibc asks before DNS, besides /etc/hosts, about names that the map knows too: nss-myhostname (or resolved, by nss-resolve), which
 * names this machine itself, and the aliases of hostname(7). Both are looked for only where they can matter: for this node's own name, and
 * where the program was started with HOSTALIASES.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

#include "live.h"
#include "tsproxy/answer.h"
#include "tsproxy/guard.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/sys.h"

#define FILE_MAX 4096	/* of either file as much is read */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* The file's beginning, NUL-terminated; its length, or 0. */
static size_t read_file(const char *path, char buf[FILE_MAX + 1])
{
	int fd = (int)ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	long n = 0;

	if (fd >= 0) {
		n = ts_sys(SYS_read, fd, buf, FILE_MAX);
		ts_sys(SYS_close, fd);
	}
	n = n < 0 ? 0 : n;
	buf[n] = '\0';
	return (size_t)n;
}

/* The next word of the line at *p, whose length is returned: 0 at the line's end, and before what is no word. */
static size_t next_word(const char **p, const char **word)
{
	const char *s = *p;

	while (is_space(*s))
		s++;
	*word = s;
	while (*s && *s != '\n' && *s != ':' && *s != '[' && *s != '#' && !is_space(*s))
		s++;
	*p = s;
	return (size_t)(s - *word);
}

static const char *next_line(const char *p)
{
	while (*p && *p != '\n')
		p++;
	return *p ? p + 1 : p;
}

static bool word_is(const char *word, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(word, what, len) == 0;
}

/* nsswitch.conf(5): has the line of services either of them before DNS? What stands in brackets is about the one before. */
static bool machine_named(const char *p)
{
	while (*p && *p != '\n' && *p != '#') {
		const char *word;
		size_t len = next_word(&p, &word);

		if (word_is(word, len, "dns"))
			return false;
		if (word_is(word, len, "myhostname") || word_is(word, len, "resolve"))
			return true;
		if (*p == '[')
			while (*p && *p != '\n' && *p != ']')
				p++;
		if (len == 0 && *p && *p != '\n' && *p != '#')
			p++;
	}
	return false;
}

static bool database_names_machine(const char *p)
{
	const char *word;

	for (; *p; p = next_line(p)) {
		size_t len = next_word(&p, &word);

		if (word_is(word, len, "hosts") && *p == ':')
			return machine_named(p + 1);
	}
	return false;
}

bool ts_native_names_machine(const char *name)
{
	char text[FILE_MAX + 1];
	struct utsname u;
	size_t len;

	if (!ts_libc_is_glibc() || ts_sys(SYS_uname, &u) != 0)
		return false;
	len = strlen(name);
	if (len && name[len - 1] == '.')
		len--;
	return word_is(name, len, u.nodename) && read_file("/etc/nsswitch.conf", text) && database_names_machine(text);
}

static bool same_name(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (ts_name_lower(a[i]) != ts_name_lower(b[i]))
			return false;
	return true;
}

bool ts_native_alias(const char *name, char out[TS_NAME_MAX + 1])
{
	size_t name_len = strlen(name), len;
	char text[FILE_MAX + 1];
	const char *p = text, *word;

	if (!ts_conf.host_aliases[0] || !ts_libc_is_glibc() || memchr(name, '.', name_len) || !read_file(ts_conf.host_aliases, text))
		return false;
	for (; *p; p = next_line(p)) {
		const char *line = p;

		len = next_word(&p, &word);
		if (word != line || len != name_len || !same_name(word, name, len))
			continue;
		len = next_word(&p, &word);
		if (len == 0 || len > TS_NAME_MAX)
			return false;
		memcpy(out, word, len);
		out[len] = '\0';
		return true;
	}
	return false;
}

/* SPDX-License-Identifier: MIT */
/*
 * What glibc asks before DNS, besides /etc/hosts, about names that the map knows too: nss-myhostname (or resolved, by nss-resolve), which
 * names this machine itself, and the aliases of hostname(7). Both are looked for only where they can matter: for this node's own name, and
 * where the program was started with HOSTALIASES.
 */
#include <string.h>
#include <sys/utsname.h>

#include "tsproxy/answer.h"
#include "tsproxy/guard.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/sys.h"
#include "words.h"

/* nsswitch.conf(5): has the line of services either of them before DNS? What stands in brackets is about the one before. */
static bool machine_named(const char *p)
{
	while (*p && *p != '\n' && *p != '#') {
		const char *word;
		size_t len = ts_words_next(&p, ":[#", &word);

		if (ts_word_is(word, len, "dns"))
			return false;
		if (ts_word_is(word, len, "myhostname") || ts_word_is(word, len, "resolve"))
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

	for (; *p; p = ts_words_line(p)) {
		size_t len = ts_words_next(&p, ":[#", &word);

		if (ts_word_is(word, len, "hosts") && *p == ':')
			return machine_named(p + 1);
	}
	return false;
}

/* Not in ts_native_names_machine, for its frame. */
static __attribute__((noinline)) bool is_machine(const char *name)
{
	size_t len = strlen(name);
	struct utsname u;

	if (len && name[len - 1] == '.')
		len--;
	return ts_sys(SYS_uname, &u) == 0 && ts_word_is(name, len, u.nodename);
}

bool ts_native_names_machine(const char *name)
{
	const char *text = ts_libc_is_glibc() && is_machine(name) ? ts_words_read("/etc/nsswitch.conf") : NULL;
	bool named = text && database_names_machine(text);

	ts_words_end(text);
	return named;
}

static bool same_name(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (ts_name_lower(a[i]) != ts_name_lower(b[i]))
			return false;
	return true;
}

static bool alias_in(const char *p, const char *name, char out[TS_NAME_MAX + 1])
{
	size_t name_len = strlen(name), len;
	const char *word;

	for (; *p; p = ts_words_line(p)) {
		const char *line = p;

		len = ts_words_next(&p, "", &word);
		if (word != line || len != name_len || !same_name(word, name, len))
			continue;
		len = ts_words_next(&p, "", &word);
		if (len == 0 || len > TS_NAME_MAX)
			return false;
		memcpy(out, word, len);
		out[len] = '\0';
		return true;
	}
	return false;
}

bool ts_native_alias(const char *name, char out[TS_NAME_MAX + 1])
{
	bool may_be = ts_conf.host_aliases[0] && ts_libc_is_glibc() && !memchr(name, '.', strlen(name));
	const char *text = may_be ? ts_words_read(ts_conf.host_aliases) : NULL;
	bool found = text && alias_in(text, name, out);

	ts_words_end(text);
	return found;
}

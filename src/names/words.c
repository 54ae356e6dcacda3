/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <fcntl.h>
#include <string.h>

#include "tsproxy/sys.h"

size_t ts_words_read(const char *path, char buf[TS_WORDS_MAX + 1])
{
	int fd = (int)ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	long n = 0;

	if (fd >= 0) {
		n = ts_sys(SYS_read, fd, buf, TS_WORDS_MAX);
		ts_sys(SYS_close, fd);
	}
	n = n < 0 ? 0 : n;
	buf[n] = '\0';
	return (size_t)n;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_one_of(char c, const char *list)
{
	while (*list && *list != c)
		list++;
	return *list != '\0';
}

size_t ts_words_next(const char **p, const char *ends, const char **word)
{
	const char *s = *p;

	while (is_space(*s))
		s++;
	*word = s;
	while (*s && *s != '\n' && !is_space(*s) && !is_one_of(*s, ends))
		s++;
	*p = s;
	return (size_t)(s - *word);
}

const char *ts_words_line(const char *p)
{
	while (*p && *p != '\n')
		p++;
	return *p ? p + 1 : p;
}

bool ts_word_is(const char *word, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(word, what, len) == 0;
}

/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

const char *ts_words_read(const char *path)
{
	int fd = (int)ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = fd >= 0 ? ts_scratch_get(TS_WORDS_MAX + 1) : NULL;
	long n = text ? ts_sys(SYS_read, fd, text, TS_WORDS_MAX) : 0;

	if (fd >= 0)
		ts_sys(SYS_close, fd);
	if (n > 0) {
		text[n] = '\0';
		return text;
	}
	ts_scratch_put(text, TS_WORDS_MAX + 1);
	return NULL;
}

void ts_words_end(const char *text)
{
	ts_scratch_put((void *)(uintptr_t)text, TS_WORDS_MAX + 1);
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

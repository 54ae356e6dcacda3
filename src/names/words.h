/* SPDX-License-Identifier: MIT */
/* Reading the small files of words that libc has for settings. Signal-safe. */
#ifndef TSPROXY_NAMES_WORDS_H
#define TSPROXY_NAMES_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define TS_WORDS_MAX 4095	/* as much is read of a file */

/* The file's beginning, NUL-terminated, until ts_words_end. Null: it is empty or cannot be read, or there is no memory. */
const char *ts_words_read(const char *path);
void ts_words_end(const char *text);	/* or null */
/* The next word of the line at *p, which ends at white space or one of `ends` too; its length: 0 at the line's end, and before an end. */
size_t ts_words_next(const char **p, const char *ends, const char **word);
/* Behind the end of the line. */
const char *ts_words_line(const char *p);
bool ts_word_is(const char *word, size_t len, const char *what);

#endif

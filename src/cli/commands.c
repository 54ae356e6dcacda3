/* SPDX-License-Identifier: MIT */
/* The names of the sub-commands: see commands.h. */
#include "commands.h"

#include <stddef.h>
#include <string.h>

static const char *const commands[] = {
	"run", "status", "resolve", "doctor", "env", "sync", "explain", "trace", "config", "up", "down", "logs",
	"tailscale", "complete", "help", "version",
};
#define COUNT (sizeof(commands) / sizeof(*commands))
#define WORD_MAX 16	/* longer than any of them */

bool ts_command_is(const char *word)
{
	for (size_t i = 0; i < COUNT; i++)
		if (strcmp(commands[i], word) == 0)
			return true;
	return false;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters must be inserted, deleted, replaced or exchanged with their neighbour to turn `a` into `b`. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= a_len; i++)
		for (size_t j = 0; j <= b_len; j++) {
			if (i == 0 || j == 0) {
				rows[i][j] = (unsigned)(i + j);
				continue;
			}
			rows[i][j] = least(rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
					   least(rows[i - 1][j], rows[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
		}
	return rows[a_len][b_len];
}

const char *ts_command_like(const char *word)
{
	size_t len = strlen(word);
	unsigned nearest = len < 4 ? 2 : 3;	/* the first distance that is too far */
	const char *like = NULL;

	for (size_t i = 0; len <= WORD_MAX && i < COUNT; i++) {
		unsigned d = distance(word, len, commands[i], strlen(commands[i]));

		if (d < nearest && d < len) {
			nearest = d;
			like = commands[i];
		}
	}
	return like;
}

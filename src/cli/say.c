/* SPDX-License-Identifier: MIT */
/* One line on standard error. No stdio: it would double the start-up that every use of the launcher pays. */
#include <string.h>

#include "help.h"
#include "tsproxy/buf.h"
#include "tsproxy/sys.h"

/* What a message quotes may be a file's name that somebody else chose: nothing in it may drive the terminal. */
static void tame(char *s, size_t n)
{
	for (; n--; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

#define PART_MAX 400	/* of one string in a message: a name without end leaves room for what is wrong with it */

void ts_say_parts(const char *const *parts)
{
	char line[2048];
	struct ts_wr w = ts_wr_over(line, sizeof(line) - 1);	/* room for the newline, whatever was cut */

	ts_wr_str(&w, "tsproxy: ");
	for (; *parts; parts++) {
		size_t n = strnlen(*parts, PART_MAX + 1);

		ts_wr_bytes(&w, *parts, n > PART_MAX ? PART_MAX : n);
		if (n > PART_MAX)
			ts_wr_str(&w, "...");
	}
	tame(line, w.len);
	line[w.len++] = '\n';
	ts_sys(SYS_write, 2, line, w.len);
}

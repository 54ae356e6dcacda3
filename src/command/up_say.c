/* SPDX-License-Identifier: MIT */
/* What tsproxy up says on the way. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "up.h"

static bool step_open;
static char step[128];

void ts_up_step(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(step, sizeof(step), fmt, ap);
	va_end(ap);
	fprintf(stderr, "tsproxy: %s ...", step);
	step_open = true;
}

void ts_up_tick(void)
{
	if (step_open && isatty(STDERR_FILENO))
		fputc('.', stderr);
}

void ts_up_say(const char *fmt, ...)
{
	char text[1024], safe[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "%stsproxy: %s\n", step_open ? "\n" : "", ts_tool_printable(text, strlen(text), safe, sizeof(safe)));
	step_open = false;
}

void ts_up_end(const char *fmt, ...)
{
	va_list ap;

	if (step_open)
		fputc(' ', stderr);
	else
		fprintf(stderr, "tsproxy: %s: ", step);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	step_open = false;
}

/* SPDX-License-Identifier: MIT */
/*
 * Lines for people. Much of what they quote comes from a daemon, a file or a peer: nothing in it may drive the
 * terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tsproxy/hash.h"
#include "tsproxy/tool.h"

#define SAID_MAX 32

static bool quiet, mute, once;
static char muted[1024];
static uint64_t said[SAID_MAX];
static unsigned said_count;

void ts_tool_quiet(void)
{
	quiet = true;
}

void ts_tool_mute(bool on)
{
	mute = on;
	if (on)
		muted[0] = '\0';
}

const char *ts_tool_muted(void)
{
	return muted;
}

bool ts_tool_colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void ts_tool_anew(void)
{
	once = true;
	said_count = 0;
}

static bool is_repeated(const char *text)
{
	uint64_t h = ts_fnv64(TS_FNV64_INIT, text, strlen(text));

	for (unsigned i = 0; i < said_count && i < SAID_MAX; i++)
		if (said[i] == h)
			return true;
	said[said_count++ % SAID_MAX] = h;
	return false;
}

/* What cannot be seen, or turns the direction of what follows: a name could pass for another by it (UTS 55). */
static bool is_hidden(uint32_t c)
{
	static const uint32_t ranges[][2] = {
		{ 0x7f, 0x9f },     { 0x61c, 0x61c },   { 0x200b, 0x200f },   { 0x2028, 0x202e },   { 0x2060, 0x206f },
		{ 0xd800, 0xdfff }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe0fff },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

/* Length of the printable UTF-8 character at `s`, 0 where there is none: control characters, broken sequences. */
static size_t printable_len(const unsigned char *s, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t n;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	c = s[0] & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c >= least[n] && c <= 0x10ffff && !is_hidden(c) ? n : 0;
}

const char *ts_tool_printable(const char *s, size_t len, char *out, size_t cap)
{
	size_t at = 0;

	for (size_t i = 0; i < len;) {
		size_t n = printable_len((const unsigned char *)s + i, len - i);

		if (at + (n ? n : 1) >= cap)
			break;
		if (n == 0) {
			out[at++] = '?';
			i++;
			continue;
		}
		memcpy(out + at, s + i, n);
		at += n;
		i += n;
	}
	out[at] = '\0';
	return out;
}

static void say(const char *what, const char *fmt, va_list ap)
{
	char text[1024], safe[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (mute) {
		if (!*what && !muted[0])
			ts_tool_printable(text, strlen(text), muted, sizeof(muted));
		return;
	}
	if (once && is_repeated(text))
		return;
	fprintf(stderr, "tsproxy: %s%s\n", what, ts_tool_printable(text, strlen(text), safe, sizeof(safe)));
}

void ts_tool_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
}

void ts_tool_warn(const char *fmt, ...)
{
	va_list ap;

	if (quiet)
		return;
	va_start(ap, fmt);
	say("warning: ", fmt, ap);
	va_end(ap);
}

void ts_tool_standard_fds(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", (fd ? O_RDONLY : O_WRONLY) | O_CLOEXEC) < 0)
			return;
}

int ts_tool_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	ts_tool_error("standard output: %s", strerror(errno));
	return 1;
}

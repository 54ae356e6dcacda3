/* SPDX-License-Identifier: MIT */
/* See trace_line.h. Anybody who runs as this user could write to the FIFO: nothing in a record may drive the terminal. */
#include "trace_line.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tsproxy/tool.h"

#define WORDS_MAX 9
#define LINE_MAX_BYTES 2048

struct record {
	bool is_open;
	long pid;
	long long when_ms;
	const char *target, *name;
	const char *via, *proxy;	/* of an open */
	long long took_us, sent, received;
	int err;
};

static bool parse(char *text, struct record *r)
{
	char *words[WORDS_MAX], *save = NULL;
	unsigned n = 0;

	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (n == WORDS_MAX)
			return false;
		words[n++] = w;
	}
	memset(r, 0, sizeof(*r));
	r->is_open = n == 9 && strcmp(words[0], "open") == 0;
	if (!r->is_open && (n != 8 || strcmp(words[0], "close") != 0))
		return false;
	r->pid = atol(words[1]);
	r->when_ms = atoll(words[2]);
	r->target = words[3];
	r->name = strcmp(words[4], "-") == 0 ? NULL : words[4];
	if (r->is_open) {
		r->via = words[5];
		r->proxy = strcmp(words[6], "-") == 0 ? NULL : words[6];
		r->took_us = atoll(words[7]);
		r->err = atoi(words[8]);
	} else {
		r->sent = atoll(words[5]);
		r->received = atoll(words[6]);
		r->took_us = atoll(words[7]);
	}
	return true;
}

static const char *result(const struct record *r)
{
	if (!r->err)
		return "connected";
	if (r->err == EINPROGRESS)
		return "begun";
	return r->err == ECONNABORTED ? "cancelled" : strerror(r->err);
}

static void text_line(const struct record *r, bool colours, char *out, size_t cap)
{
	const char *colour = !colours ? "" : !r->is_open ? "\033[2m" : r->err && r->err != EINPROGRESS ? "\033[31m" : "\033[32m";
	const char *plain = colours ? "\033[0m" : "";
	time_t seconds = (time_t)(r->when_ms / 1000);
	char clock[16] = "", where[400], by[300] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	snprintf(where, sizeof(where), "%s%s%s", r->target, r->name ? " " : "", r->name ? r->name : "");
	if (!r->is_open) {
		snprintf(out, cap, "tsproxy: %s.%03d [%ld] %s: %sclosed%s after %.3f s, %lld bytes sent, %lld received\n", clock,
			 (int)(r->when_ms % 1000), r->pid, where, colour, plain, (double)r->took_us / 1e6, r->sent, r->received);
		return;
	}
	if (r->proxy)
		snprintf(by, sizeof(by), " through %s %s in %.1f ms", r->via, r->proxy, (double)r->took_us / 1e3);
	else if (strcmp(r->via, "direct") == 0)
		snprintf(by, sizeof(by), " direct, not in the tailnet");
	snprintf(out, cap, "tsproxy: %s.%03d [%ld] %s%s: %s%s%s\n", clock, (int)(r->when_ms % 1000), r->pid, where, by, colour,
		 result(r), plain);
}

static void json_line(const struct record *r, char *out, size_t cap)
{
	json_t *o = json_pack("{s:s, s:I, s:I, s:s, s:s?}", "event", r->is_open ? "open" : "close", "time_ms",
			      (json_int_t)r->when_ms, "pid", (json_int_t)r->pid, "target", r->target, "name", r->name);
	size_t n;

	if (r->is_open) {
		json_object_set_new(o, "via", json_string(r->via));
		json_object_set_new(o, "proxy", r->proxy ? json_string(r->proxy) : json_null());
		json_object_set_new(o, "ms", json_real((double)r->took_us / 1e3));
		json_object_set_new(o, "error", json_integer(r->err));
		json_object_set_new(o, "result", json_string(result(r)));
	} else {
		json_object_set_new(o, "sent", json_integer(r->sent));
		json_object_set_new(o, "received", json_integer(r->received));
		json_object_set_new(o, "ms", json_real((double)r->took_us / 1e3));
	}
	n = json_dumpb(o, out, cap - 2, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(o);
	n = n <= cap - 2 ? n : 0;
	out[n] = n ? '\n' : '\0';
	out[n ? n + 1 : 0] = '\0';
}

void ts_trace_print(char *record, const struct ts_trace_style *style)
{
	char line[LINE_MAX_BYTES], clean[LINE_MAX_BYTES];
	struct record r;

	ts_tool_printable(record, strlen(record), clean, sizeof(clean));
	if (!parse(clean, &r))
		return;
	if (style->json)
		json_line(&r, line, sizeof(line));
	else
		text_line(&r, style->colours, line, sizeof(line));
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return;	/* nobody looks on */
}

/* SPDX-License-Identifier: MIT */
/* Talking to the daemon: what state it is in, and `tailscale up` (up_follow.c runs it). */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "up.h"

#define ANSWER_MS 15000
#define START_MS 3000 /* systemd may take its time to start the supervisor */
#define POLL_MS 50
#define STATE_S 30  /* after its start, and after a login */
#define MISSES_S 15

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

static void copy_text(const json_t *object, const char *key, char *out, size_t cap)
{
	const char *s = json_string_value(json_object_get(object, key));

	ts_tool_printable(s ? s : "", s ? strlen(s) : 0, out, cap);
}

bool ts_up_ask(const struct ts_up *up, struct ts_up_state *out)
{
	char why[TS_WHY_MAX], *text;
	json_t *root, *me;
	const char *ip;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (ts_source_localapi(up->socket, up->named, &text, &len, why) != 0)
		return false;
	root = json_loadb(text, len, 0, NULL);
	free(text);
	me = json_object_get(root, "Self");
	copy_text(root, "BackendState", out->backend, sizeof(out->backend));
	copy_text(me, "DNSName", out->name, sizeof(out->name));
	if (out->name[0] && out->name[strlen(out->name) - 1] == '.')
		out->name[strlen(out->name) - 1] = '\0';
	ip = json_string_value(json_array_get(json_object_get(me, "TailscaleIPs"), 0));
	ts_tool_printable(ip ? ip : "", ip ? strlen(ip) : 0, out->ip, sizeof(out->ip));
	out->tun = json_is_true(json_object_get(root, "TUN"));
	json_decref(root);
	return true;
}

bool ts_up_wait_answer(const struct ts_up *up, struct ts_up_state *out)
{
	struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	char how[64];

	for (int i = 0; i < ANSWER_MS / POLL_MS; i++) {
		if (ts_up_ask(up, out))
			return true;
		if (up->began && ts_up_has_ended(up, how))
			return false;
		if (up->own && i * POLL_MS > START_MS && !ts_up_supervisor(up))
			return false;
		if (i % (1000 / POLL_MS) == 0)
			ts_up_tick();
		nanosleep(&pause, NULL);
	}
	return false;
}

void ts_up_say_what_misses(const struct ts_up *up)
{
	char why[TS_WHY_MAX], *text;
	json_t *root, *first;
	size_t len;

	if (ts_source_localapi(up->socket, up->named, &text, &len, why) != 0)
		return;
	root = json_loadb(text, len, 0, NULL);
	free(text);
	first = json_array_get(json_object_get(root, "Health"), 0);
	ts_up_say("no answer yet from the login server%s%s", json_is_string(first) ? ": " : "",
		  json_is_string(first) ? json_string_value(first) : "");
	json_decref(root);
	ts_up_step("still waiting");
}

bool ts_up_wait_state(const struct ts_up *up, bool running, struct ts_up_state *out)
{
	struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	int limit = (up->limit_s > 0 && up->limit_s < STATE_S ? up->limit_s : STATE_S) * 1000 / POLL_MS;

	for (int i = 0; i < limit; i++) {
		bool known = ts_up_ask(up, out) && out->backend[0] && strcmp(out->backend, "NoState") != 0;

		if (known && (!running || strcmp(out->backend, "Running") == 0))
			return true;
		if (strcmp(out->backend, "NeedsMachineAuth") == 0)
			return false;
		if (i % (1000 / POLL_MS) == 0)
			ts_up_tick();
		if (i == MISSES_S * 1000 / POLL_MS)
			ts_up_say_what_misses(up);
		nanosleep(&pause, NULL);
	}
	return false;
}

json_t *ts_up_prefs(const struct ts_up *up)
{
	char why[TS_WHY_MAX], *text;
	json_t *root = NULL;
	size_t len;

	if (ts_source_get(up->socket, up->named, "prefs", &text, &len, why) == 0) {
		root = json_loadb(text, len, 0, NULL);
		free(text);
	}
	return root ? root : json_object();
}

/* Runs the command `verb` of `tailscale`, with a word of its own for it (or null) and the flags. */
static int run(const struct ts_up *up, const char *verb, const char *word, char **flags, bool *refused)
{
	char sock[TS_UP_PATH_MAX + 16], **argv;
	size_t n = 0, at = 0;
	int ret;

	if (!up->tailscale[0]) {
		ts_up_say("the tailscale command is missing; install Tailscale");
		return 1;
	}
	while (flags && flags[n])
		n++;
	argv = calloc(n + 6, sizeof(*argv));
	if (!argv)
		return 1;
	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	argv[at++] = (char *)"tailscale";
	argv[at++] = sock;
	argv[at++] = (char *)verb;
	if (word)
		argv[at++] = (char *)word;
	if (n)
		memcpy(argv + at, flags, n * sizeof(*argv));
	ret = ts_up_tailscale(up, argv, refused);
	free(argv);
	return ret;
}

int ts_up_login(const struct ts_up *up, char **flags)
{
	bool refused = false;
	int ret = 1;

	if (!ts_up_pass_secrets(flags))
		goto out;
	/*
	 * `tailscale up` listens to the daemon, and only then has it begin anew: in between comes what a login before this one is
	 * answered, and tailscaled tries one that was refused again and again, at first every few milliseconds. By the end of
	 * `tailscale up` that one is over, so a second answer is to ours. A daemon that we began has had no login before.
	 */
	ret = run(up, "up", "--json", flags, up->began ? NULL : &refused);
	if (refused)
		ret = run(up, "up", "--json", flags, NULL);
out:
	ts_up_forget_secrets();
	return ret;
}

int ts_up_set(const struct ts_up *up, char **flags)
{
	return run(up, "set", NULL, flags, NULL);
}

/* Any flag at all, and be it --json, would make `tailscale up` compare the settings with the flags and refuse. */
int ts_up_resume(const struct ts_up *up)
{
	return run(up, "up", NULL, NULL, NULL);
}

int ts_up_logout(const struct ts_up *up)
{
	return run(up, "logout", NULL, NULL, NULL);
}

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
		/* Right after its start it answers before it has read its own state. */
		if (ts_up_ask(up, out) && strcmp(out->backend, "NoState") != 0)
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

int ts_up_login(const struct ts_up *up, char **flags)
{
	char sock[TS_UP_PATH_MAX + 16];
	size_t n = 0, at = 0;
	bool refused = false;
	char **argv;
	int ret = 1;

	if (!up->tailscale[0]) {
		ts_tool_error("the tailscale command is missing, which logs in: install it");
		return 1;
	}
	while (flags[n])
		n++;
	argv = calloc(n + 6, sizeof(*argv));
	if (!argv)
		return 1;
	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	argv[at++] = (char *)"tailscale";
	argv[at++] = sock;
	argv[at++] = (char *)"up";
	argv[at++] = (char *)"--json";
	memcpy(argv + at, flags, n * sizeof(*argv));
	if (!ts_up_pass_secrets(argv))
		goto out;
	/*
	 * `tailscale up` listens to the daemon, and only then has it begin anew: in between comes what a login before this one is
	 * answered, and tailscaled tries one that was refused again and again, at first every few milliseconds. By the end of
	 * `tailscale up` that one is over, so a second answer is to ours. A daemon that we began has had no login before.
	 */
	ret = ts_up_tailscale(up, argv, up->began ? NULL : &refused);
	if (refused)
		ret = ts_up_tailscale(up, argv, NULL);
out:
	ts_up_forget_secrets();
	free(argv);
	return ret;
}

/* Any flag at all, and be it --json, would make `tailscale up` compare the settings with the flags and refuse. */
int ts_up_resume(const struct ts_up *up)
{
	char sock[TS_UP_PATH_MAX + 16];
	char *argv[] = { (char *)"tailscale", sock, (char *)"up", NULL };

	if (!up->tailscale[0]) {
		ts_tool_error("the tailscale command is missing, which brings the daemon up: install it");
		return 1;
	}
	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	return ts_up_tailscale(up, argv, NULL);
}

void ts_up_logout(const struct ts_up *up)
{
	char sock[TS_UP_PATH_MAX + 16];
	char *argv[] = { (char *)"tailscale", sock, (char *)"logout", NULL };

	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	if (up->tailscale[0])
		ts_up_tailscale(up, argv, NULL);
}

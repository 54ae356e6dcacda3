/* SPDX-License-Identifier: MIT */
/* What the daemon says of itself: its state and settings. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "up.h"

#define ANSWER_MS 15000
#define START_MS 3000 /* systemd may take its time to start the supervisor */
#define POLL_MS 50
#define STATE_S 30  /* after its start, and after a login */
#define MISSES_S 15

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

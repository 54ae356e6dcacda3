/* SPDX-License-Identifier: MIT */
#include "peer_detail.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tsproxy/tool.h"

#define SOON_S (7 * 86400)	/* an expiry that is worth a word */

static void add(json_t *all, json_t *peer)
{
	const char *ip = json_string_value(json_array_get(json_object_get(peer, "TailscaleIPs"), 0));

	if (ip)
		json_object_set(all, ip, peer);
}

json_t *ts_peer_details(void)
{
	json_t *all = json_object(), *root = NULL, *peer;
	struct ts_map_settings set;
	const char *from, *key;
	char why[TS_WHY_MAX], *text = NULL;
	size_t len;

	if (ts_settings_load(&set, NULL) == 0 && ts_source_text(&set, &text, &len, &from, why) == 0)
		root = json_loadb(text, len, 0, NULL);
	add(all, json_object_get(root, "Self"));
	json_object_foreach(json_object_get(root, "Peer"), key, peer)
		add(all, peer);
	json_decref(root);
	free(text);
	ts_settings_free(&set);
	return all;
}

/* A string of the node's; null where it is missing or empty. */
static const char *text_of(const json_t *peer, const char *key)
{
	const char *s = json_string_value(json_object_get(peer, key));

	return s && *s ? s : NULL;
}

/* A time of the node's, which the daemon tells in UTC; null where there is none, as in Go's zero time. */
static const char *time_of(const json_t *peer, const char *key, time_t *at)
{
	const char *s = text_of(peer, key);
	struct tm tm = { 0 };

	if (!s || !strptime(s, "%Y-%m-%dT%H:%M:%S", &tm) || tm.tm_year < 70)
		return NULL;
	*at = timegm(&tm);
	return s;
}

/* How its packets go: only where some do. */
static const char *direct(const json_t *peer)
{
	return json_is_true(json_object_get(peer, "Active")) ? text_of(peer, "CurAddr") : NULL;
}

static const char *relay(const json_t *peer)
{
	return json_is_true(json_object_get(peer, "Active")) && !direct(peer) ? text_of(peer, "Relay") : NULL;
}

static const char *span_text(long s, char out[32])
{
	if (s < 60)
		snprintf(out, 32, "%ld s", s);
	else if (s < 3600)
		snprintf(out, 32, "%ld min", s / 60);
	else if (s < 2 * 86400)
		snprintf(out, 32, "%ld h", s / 3600);
	else
		snprintf(out, 32, "%ld d", s / 86400);
	return out;
}

__attribute__((format(printf, 2, 3))) static void say(char out[TS_PEER_TEXT_MAX], const char *format, ...)
{
	size_t len = strlen(out);
	va_list ap;

	if (len)
		len += (size_t)snprintf(out + len, TS_PEER_TEXT_MAX - len, ", ");
	va_start(ap, format);
	if (len < TS_PEER_TEXT_MAX)
		vsnprintf(out + len, TS_PEER_TEXT_MAX - len, format, ap);
	va_end(ap);
}

void ts_peer_detail_text(const json_t *peer, char out[TS_PEER_TEXT_MAX])
{
	char span[32], safe[64];
	const char *s;
	time_t now = time(NULL), at = 0;

	out[0] = '\0';
	if (!json_is_true(json_object_get(peer, "Online")) && time_of(peer, "LastSeen", &at) && at <= now)
		say(out, "last seen %s ago", span_text((long)(now - at), span));
	if ((s = direct(peer)))
		say(out, "direct %s", ts_tool_printable(s, strlen(s), safe, sizeof(safe)));
	if ((s = relay(peer)))
		say(out, "relayed by %s", ts_tool_printable(s, strlen(s), safe, sizeof(safe)));
	if (time_of(peer, "KeyExpiry", &at) && at > now && at - now < SOON_S)
		say(out, "key expires in %s", span_text((long)(at - now), span));
}

static void set(json_t *node, const char *key, const char *value)
{
	json_object_set_new(node, key, value ? json_string(value) : json_null());
}

void ts_peer_detail_json(const json_t *peer, json_t *node)
{
	time_t at;

	set(node, "last-seen", time_of(peer, "LastSeen", &at));
	set(node, "direct", direct(peer));
	set(node, "relay", relay(peer));
	set(node, "key-expiry", time_of(peer, "KeyExpiry", &at));
}

/* SPDX-License-Identifier: MIT */
/*
 * What the daemon says of its tailnet's DNS. Since 1.98 it is asked for that (dns-config). Older ones tell it in the network map with
 * which their bus begins, if that is asked for: one line of JSON, of which nothing else is read here.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tsproxy/tool.h"

#define IDLE_MS 2000
#define BUS_NETMAP "watch-ipn-bus?mask=8" /* ipn.NotifyInitialNetMap */

/* Reads up to the end of the line that has the network map. */
static int read_netmap(int fd, char **text, size_t *len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t at = 0, cap = 64 << 10;
	char *buf = malloc(cap), *more, *map;
	ssize_t n;

	while (buf && at < TS_STATUS_MAX && poll(&p, 1, IDLE_MS) > 0) {
		n = read(fd, buf + at, cap - at);
		if (n <= 0)
			break;
		at += (size_t)n;
		/* A long line comes in many pieces: only in the last one is its end. */
		if (memchr(buf + at - n, '\n', (size_t)n) && (map = memmem(buf, at, "\"NetMap\":", 9)) != NULL &&
		    memchr(map, '\n', at - (size_t)(map - buf))) {
			*text = buf;
			*len = at;
			return 0;
		}
		if (at < cap)
			continue;
		more = realloc(buf, cap *= 2);
		if (!more)
			break;
		buf = more;
	}
	free(buf);
	return -EPROTO;
}

/* The object at `s`, up to its last brace; 0 where it does not end. */
static size_t object_len(const char *s, size_t len)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			quoted = !quoted;
		else if (!quoted && s[i] == '{')
			depth++;
		else if (!quoted && s[i] == '}' && --depth == 0)
			return i + 1;
	}
	return 0;
}

static int from_bus(const char *path, bool explicitly, struct ts_tailnet *out)
{
	static const char key[] = "\"DNS\":{";
	char why[TS_WHY_MAX], *text, *at;
	int fd = ts_source_ask(path, explicitly, BUS_NETMAP, why), err;
	size_t len, n;

	if (fd < 0)
		return 0;
	err = read_netmap(fd, &text, &len);
	close(fd);
	if (err)
		return 0;
	/* In a string its quotes would have backslashes. */
	at = memmem(text, len, key, sizeof(key) - 1);
	n = at ? object_len(at + sizeof(key) - 2, len - (size_t)(at - text) - (sizeof(key) - 2)) : 0;
	err = n ? ts_status_parse_dns(at + sizeof(key) - 2, n, out) : 0;
	free(text);
	return err;
}

int ts_source_dns(const char *path, bool explicitly, struct ts_tailnet *out)
{
	char why[TS_WHY_MAX], *text;
	size_t len;
	int err = ts_source_get(path, explicitly, "dns-config", &text, &len, why);

	if (err == -ENOSYS)
		return from_bus(path, explicitly, out);
	if (err)
		return 0;
	err = ts_status_parse_dns(text, len, out);
	free(text);
	return err;
}

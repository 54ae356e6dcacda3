/* SPDX-License-Identifier: MIT */
/* What leads to the tailnet, as far as the map and this machine tell. */
#ifndef TSPROXY_CLI_WAY_H
#define TSPROXY_CLI_WAY_H

#include <stdbool.h>

#include "tsproxy/endpoint.h"

enum ts_way_kind {
	TS_WAY_NO_MAP,
	TS_WAY_DOWN,	 /* the daemon was stopped or logged out */
	TS_WAY_NO_PROXY,
	TS_WAY_GONE,	 /* the proxy is one of this machine, and nobody listens there */
	TS_WAY_NO_ANSWER, /* it was not usable when the map was made, a moment ago */
	TS_WAY_PROXY,
	TS_WAY_KERNEL,	 /* TUN */
};

struct ts_way {
	enum ts_way_kind kind;
	unsigned nodes;
	struct ts_endpoint e;
};

void ts_way_find(const char *map_path, struct ts_way *out);
/* One line: what connections go through; or why they go nowhere. */
void ts_way_say(const struct ts_way *way);
/* What a program that no library can reach can do instead, as far as the map tells. Never given back. */
const char *ts_way_instead(const char *map_path);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What is compiled into the map besides the tailnet: the config file's and the environment's settings, and the
 * proxy endpoints that were found. Tool side only.
 *
 * TSPROXY_ROUTE, TSPROXY_EXCLUDE, TSPROXY_DNS_ROUTE, TSPROXY_EXIT_NODE and TSPROXY_SHORT_NAMES are deliberately absent: every process
 * reads those itself (conf.h), and one shell's setting must not reach another through a map that both share.
 */
#ifndef TSPROXY_SETTINGS_H
#define TSPROXY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/addr.h"
#include "tsproxy/map.h"

struct ts_dns_route {
	char *suffix;
	struct ts_addr server;
};

/* Told of each setting that a config file makes: "FILE:LINE" in `origin`. */
struct ts_settings_note {
	void (*take)(struct ts_settings_note *self, const char *key, const char *value, const char *origin);
};

struct ts_map_settings {
	struct ts_settings_note *note; /* or null */
	int64_t made_ns; /* CLOCK_REALTIME before the status was asked for; 0: now */
	const struct ts_map *former; /* the map that this one replaces, whose domains go on being known; or null */
	bool no_short_names;
	bool exit_node;
	bool have_short_names, have_exit_node; /* said by some source already: weaker ones no longer count */
	char *suffix; /* the tailnet's suffix where the source does not tell (the text table); may be null */
	char *socks5; /* [USER:PASS@]HOST:PORT as configured; may be null */
	char *http_proxy;
	char *status; /* likewise: where the status comes from */
	char *socket;
	struct ts_prefix *route;
	size_t route_count;
	struct ts_prefix *exclude;
	size_t exclude_count;
	char **remote; /* remote-name suffixes */
	size_t remote_count;
	struct ts_dns_route *dns_route;
	size_t dns_route_count;
	struct ts_endpoint *endpoints; /* in order of preference */
	size_t endpoint_count;
	bool no_answer; /* none of them was usable */
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Split DNS: names whose questions go to a name server of their own (dns-route, and what the daemon tells). Here it is decided which;
 * dns_ask.h asks it.
 */
#ifndef TSPROXY_SPLIT_H
#define TSPROXY_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/map.h"

#define TS_SPLIT_SERVERS_MAX 4	/* of one suffix; further ones are not asked */

struct ts_split {
	size_t suffix_len;
	unsigned count;		/* 0: nobody can be asked; `flags` says why */
	struct ts_addr server[TS_SPLIT_SERVERS_MAX];	/* in the order in which they are asked */
	uint32_t flags;		/* enum ts_dns_route_flag (map.h) */
	bool withheld;		/* a tailnet's name, which nobody is asked for while there is no map: `count` is 0 */
};

/* `suffix_len` where `name` ends with `suffix` as a domain name does (any case, one trailing dot allowed), else 0. */
size_t ts_name_under(const char *name, size_t len, const char *suffix, size_t suffix_len);

/* The route with the longest suffix that `name` lies under: of a setting's text (conf.h), of a map. 1 or 0, or -EBADMSG (map.h). */
int ts_split_find_text(const char *list, const char *name, size_t len, struct ts_split *out);
int ts_map_find_split(const struct ts_map *m, const char *name, size_t len, struct ts_split *out);
/* Whether it is one that is withheld (withheld.c). Without a map a name under ts.net waits for one, as any tailnet name does. 1 or 0. */
int ts_withheld_find(const char *name, size_t len, struct ts_split *out);
/* Of both: the longer, and of equals the setting's. `m` may be null. */
int ts_split_find_in(const char *list, const struct ts_map *m, const char *name, size_t len, struct ts_split *out);

#endif

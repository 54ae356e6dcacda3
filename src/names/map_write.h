/* SPDX-License-Identifier: MIT */
/* Between the files that write the map. */
#ifndef TSPROXY_NAMES_MAP_WRITE_H
#define TSPROXY_NAMES_MAP_WRITE_H

#include "tsproxy/map.h"
#include "tsproxy/settings.h"
#include "tsproxy/status.h"

/* Prefixes that may contain one another, made into disjoint ranges in ascending order. */
struct ts_ranges {
	struct ts_range_in *in;
	size_t in_count, in_cap;
	struct ts_map_range *out;
	size_t out_count, out_cap;
	bool no_memory;
};

void ts_ranges_add(struct ts_ranges *r, const struct ts_prefix *p, enum ts_range_kind kind, uint32_t node);
/* 0 or -ENOMEM (in this or an earlier ts_ranges_add). */
int ts_ranges_flatten(struct ts_ranges *r);
void ts_ranges_free(struct ts_ranges *r);

/*
 * Opens the directory that `path` (absolute) lies in, made 0700 where missing; *name is what follows. -EPERM where it is a link, of
 * another owner, or writable for group or others.
 */
int ts_map_open_dir(const char *path, const char **name);

#endif

/* SPDX-License-Identifier: MIT */
/* Between map_read.c, which looks up in maps, and map_check.c, which proves them. */
#ifndef TSPROXY_NAMES_MAP_CHECK_H
#define TSPROXY_NAMES_MAP_CHECK_H

#include "tsproxy/map.h"

/*
 * Whether the blocks that hold `size` (not 0) bytes from `at` on are as they were written; m->proof is not null, and the bytes lie in the map.
 * Each is summed once, and what is found is kept in the proof. No lock; async-signal-safe.
 */
bool ts_map_prove(const struct ts_map *m, uint64_t at, size_t size);

#endif

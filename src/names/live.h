/* SPDX-License-Identifier: MIT */
/* Between map_live.c, which follows the file, and refresh.c, which has it made anew. */
#ifndef TSPROXY_NAMES_LIVE_H
#define TSPROXY_NAMES_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "tsproxy/clock.h"

#define TS_NS_PER_MS 1000000ll

/* CLOCK_REALTIME_COARSE in ns: what the map and its lock file are stamped with. It may jump: only ever compared with a tolerance. */
int64_t ts_live_now(void);
/* Looks at the file now, whenever the last look was. True where another map than before is in use. */
bool ts_live_look(void);
/* No map can be kept at ts_live_path: goes on to the next place and looks there. False: there is none. Not by two threads at once. */
bool ts_live_move(void);
/* The error of a place that was left although there may be a map in it, as one that may not be looked into; 0: none was. */
int ts_live_barred(void);
/* Whether the map in use is not this process' to make anew. */
bool ts_live_is_foreign(void);
/* When the map in use was made; 0 where there is none. */
int64_t ts_live_made(void);
/* False where ts_live_refresh(true) would return at once: the map is new, or it is too early to ask again. */
bool ts_live_miss_due(void);
/* Whether a daemon's socket was made since: one that was not there for a refresh that failed. (meant.c) */
bool ts_live_daemon_since(int64_t then);
/*
 * True where `then` lies in the last `span` ns. A time in the future does not: the clock was set back. But a map made
 * just now may be ahead of ts_live_now(), whose clock stands still for a tick of up to 10 ms.
 */
static inline bool ts_live_within(int64_t now, int64_t then, int64_t span)
{
	return now - then >= -10 * TS_NS_PER_MS && now - then < span;
}

#endif

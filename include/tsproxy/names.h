/* SPDX-License-Identifier: MIT */
/* Names inside a program: what a resolver call is answered with. Used by the hooks; the tools use map.h alone. */
#ifndef TSPROXY_NAMES_H
#define TSPROXY_NAMES_H

#include <stdbool.h>

#include "tsproxy/map.h"
#include "tsproxy/split.h"

/*
 * The map that this process follows (src/names/map_live.c). Each call is one consistent look: it copies its result
 * out and looks again where the file was replaced meanwhile. No lock, no allocation, async-signal-safe.
 * Every function returns what its namesake in map.h returns, or -ENOENT where there is no map in use (ts_live_error says why). Another
 * error is of a map in use: what a look-up would have to read of it is damaged, which never means that nothing is there.
 */
/* Its file; "" where there is no place for one. */
const char *ts_live_path(void);
int ts_live_header(struct ts_map_header *out);
int ts_live_flags(uint32_t *flags);	/* the header's */
/*
 * Counts the maps that this process took in. What was found out after it was read holds while it stays the same; 0: there was no map
 * yet, which tells nothing of how long that will last but that the next one changes it.
 */
unsigned ts_live_version(void);
int ts_live_find_name(const char *name, size_t len, struct ts_map_answer *out);
int ts_live_find_addr(const uint8_t ip[16], struct ts_map_answer *out);
int ts_live_find_flags(const uint8_t ip[16], uint32_t *flags);
int ts_live_find_range(const uint8_t ip[16], struct ts_map_range *out);
int ts_live_endpoint(unsigned i, struct ts_endpoint *out);	/* of the map that ts_live_version counted last */
size_t ts_live_name_under_suffix(const char *name, size_t len);	/* of the map that the last question met */
size_t ts_live_name_remote(const char *name, size_t len);
bool ts_live_name_far(const char *name, size_t len, char out[TS_NAME_MAX + 1]);
int ts_live_find_split(const char *name, size_t len, struct ts_split *out);
/* The first own address of that family (AF_INET, AF_INET6). 1 or 0 or -ENOENT. */
int ts_live_own_addr(int family, struct ts_addr *out);
bool ts_live_is_own(const uint8_t ip[16]);

/* 0 where there is a map; else why not: -ENOENT none was made, -EAGAIN nobody has looked yet, or what went wrong with the file. */
int ts_live_error(void);
/*
 * In a process without a map: what tells that there is a tailnet all the same, for the log. Null: nothing does. Looks at the file
 * system, once a second at most. (meant.c)
 */
const char *ts_live_meant(void);
/*
 * In a process without a map: has one made and waits for it, 1 s at most. Only the first question of a process waits, and those that
 * other threads ask meanwhile; later ones begin a refresh and return. True where there is a map now.
 */
bool ts_live_first(void);

/*
 * The program is about to sandbox itself, and ts_sandboxed() is true by now, or to change its root: takes the file in as it is, because no
 * later question can.
 * When this returns, no other thread looks at the file any more.
 */
void ts_live_keep(void);

/*
 * For a question that is about the tailnet; who asks of other things has no part in keeping the map fresh, and starts no program.
 * Asks for a fresher map in the background where the one in use is older than 10 s or missing, at most once per 2 s
 * and not within 60 s of a failure, unless a daemon has started since. Does not wait for it. `wait`: a name missed, and the map is older than 2 s: waits for that refresh, 1 s
 * at most, and says whether it is worth looking again.
 */
bool ts_live_refresh(bool wait);

#endif

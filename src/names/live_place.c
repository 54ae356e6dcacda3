/* SPDX-License-Identifier: MIT */
/*
 * Where this process' map is. Mostly where the settings say (conf.h). A process that can keep none there, such as one that has given up
 * root, or one of a user without a home, goes on to root's, and where there is none, to a directory of the user's own in memory, in which
 * the map is made; all of that user's processes come to the same one. It never goes back.
 */
#include "live.h"

#include <errno.h>

#include "tsproxy/conf.h"
#include "tsproxy/guard.h"
#include "tsproxy/log.h"
#include "tsproxy/names.h"
#include "tsproxy/spawn.h"
#include "tsproxy/sys.h"

#define PLACES 3	/* the other map, then the spare ones */

static const char *moved;	/* null: as the settings say */
static int barred;	/* the error of a place that was left, where a map may be all the same */

const char *ts_live_path(void)
{
	const char *path = __atomic_load_n(&moved, __ATOMIC_ACQUIRE);

	return path ? path : ts_conf.map_path;
}

static bool find(unsigned i, char path[TS_CONF_PATH_MAX])
{
	char *const *env = ts_spawn_environ();
	char place[64];

	if (i == 0)
		return ts_conf_other_map(env, path, TS_CONF_PATH_MAX);
	return ts_conf_spare_place(i - 1, (unsigned)ts_sys(SYS_geteuid), place, sizeof(place)) == 1 &&
	       ts_conf_spare_map(env, place, path, TS_CONF_PATH_MAX);
}

int ts_live_barred(void)
{
	return __atomic_load_n(&barred, __ATOMIC_RELAXED);
}

bool ts_live_move(void)
{
	static char paths[PLACES][TS_CONF_PATH_MAX];
	static unsigned next;

	while (next < PLACES) {
		char *path = paths[next];
		int err = ts_live_error();

		if (!find(next++, path))
			continue;
		if (err && err != -ENOENT && err != -ENOTDIR)
			__atomic_store_n(&barred, err, __ATOMIC_RELAXED);
		ts_debug("map: cannot be stored at %s, using %s", ts_live_path(), path);
		__atomic_store_n(&moved, path, __ATOMIC_RELEASE);
		ts_live_look();
		return true;
	}
	return false;
}

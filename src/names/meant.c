/* SPDX-License-Identifier: MIT */
/*
 * Whether anything tells of a tailnet, in a process that has no map of one. Asked only when a program names an address or a name that
 * could be a tailnet's. What is known from memory comes first: the settings, and what became of the map file. Then the file system is
 * asked, at most once a second: the other place where a map may be, a daemon's socket in one of its usual places, a config file, or the lack
 * of the library's own file, which means that the process has changed its root since it was loaded and no longer sees any of these.
 *
 * A place that cannot be looked at (EACCES after a setuid, EMFILE) counts as one where something is.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beside.h"
#include "live.h"
#include "tsproxy/clock.h"
#include "tsproxy/elfaux.h"
#include "tsproxy/guard.h"
#include "tsproxy/names.h"
#include "tsproxy/scratch.h"
#include "tsproxy/spawn.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define KEEP_NS TS_NS_PER_S

static bool is_none(long err)
{
	return err == -ENOENT || err == -ENOTDIR;
}

static bool is_there(const char *path)
{
	return !is_none(ts_sys(SYS_faccessat, AT_FDCWD, path, F_OK));
}

static const char *look_around(char buf[TS_BESIDE_PATH_MAX])
{
	char *const *env = ts_spawn_environ();
	const struct link_map *self = ts_link_map_self();
	const char *path;

	if (self && self->l_name && self->l_name[0] == '/' && !is_there(self->l_name))
		return "the process has changed its root directory and cannot find a map or a daemon";
	if (ts_conf_other_map(env, buf, TS_BESIDE_PATH_MAX) && is_there(buf))
		return "another map exists, but it is not used in this process";
	for (unsigned i = 0; (path = ts_conf_usual_socket(env, i, buf, TS_BESIDE_PATH_MAX)) != NULL; i++)
		if (*path && is_there(path))
			return "a daemon's socket exists, but no map could be made";
	if (is_there(TS_CONF_SYSTEM_FILE) || (ts_conf_user_file(env, buf, TS_BESIDE_PATH_MAX) && is_there(buf)))
		return "a configuration file exists, but no map could be made";
	return NULL;
}

static bool is_newer(const char *path, int64_t then)
{
	struct stat st;

	return ts_sys(SYS_newfstatat, AT_FDCWD, path, &st, 0) == 0 && st.st_ctim.tv_sec * TS_NS_PER_S + st.st_ctim.tv_nsec > then;
}

bool ts_live_daemon_since(int64_t then)
{
	char *const *env = ts_spawn_environ();
	const char *path = ts_env_get(env, "TSPROXY_SOCKET");
	bool newer = false;
	char *buf;

	if (!path || !*path)
		path = ts_env_get(env, "TS_SOCKET");
	if (path && *path)
		return is_newer(path, then);
	buf = ts_scratch_get(TS_BESIDE_PATH_MAX);
	for (unsigned i = 0; buf && !newer && (path = ts_conf_usual_socket(env, i, buf, TS_BESIDE_PATH_MAX)) != NULL; i++)
		newer = *path && is_newer(path, then);
	ts_scratch_put(buf, TS_BESIDE_PATH_MAX);
	return newer;
}

const char *ts_live_meant(void)
{
	static const char *answer;
	static int64_t asked;
	int64_t now = ts_live_now(), last = __atomic_load_n(&asked, __ATOMIC_ACQUIRE);
	int err = ts_live_error();
	const char *told;
	char *buf;

	if (!err)
		return "the map was made too late for this call";
	if (!is_none(err))
		return err == -EAGAIN ? "no map was read yet, and this process cannot read one" : "the map cannot be used";
	if (ts_conf.meant)
		return "a tailnet is configured, but there is no map of it";
	if (last && ts_live_within(now, last, KEEP_NS))
		return __atomic_load_n(&answer, __ATOMIC_RELAXED);
	if (ts_sandboxed())
		return last ? __atomic_load_n(&answer, __ATOMIC_RELAXED) : "the process entered a sandbox before a map was read";
	buf = ts_scratch_get(TS_BESIDE_PATH_MAX);
	if (!buf)
		return "not enough memory to look for a map";
	told = look_around(buf);
	ts_scratch_put(buf, TS_BESIDE_PATH_MAX);
	__atomic_store_n(&answer, told, __ATOMIC_RELAXED);
	__atomic_store_n(&asked, now, __ATOMIC_RELEASE);
	return told;
}

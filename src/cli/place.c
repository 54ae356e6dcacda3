/* SPDX-License-Identifier: MIT */
/*
 * Where the map is kept. The command and all below it are told by TSPROXY_PLACE, so that they find it with another HOME, or
 * none: the directory, not the file, so that another profile or proxy further down still means another map. That the variable
 * is set also tells them that a tailnet is meant, where no map can be made.
 *
 * Another place is taken where the map's own cannot be had: no home, a read-only one, a full disk, somebody else's directory. It is
 * a directory of ours in one that everybody may write to, in memory where there is one. A descriptor with the map in memory would
 * need no place at all, but programs close and reuse descriptors that they do not know, and could never be given a fresher map.
 *
 * A place is taken only if it is ours and nobody else's to write to.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "environ.h"
#include "help.h"
#include "tsproxy/buf.h"
#include "tsproxy/sys.h"

#define ROOM (1 << 20)	/* what a large tailnet's map takes */

static bool is_private(const struct stat *st)
{
	return S_ISDIR(st->st_mode) && st->st_uid == getauxval(AT_EUID) && !(st->st_mode & 022);
}

/* 0 where a map can be kept in `dir`, which is made where it is missing. */
static int try_dir(const char *dir)
{
	struct stat st;
	int dir_fd, fd, err = ts_make_folder(dir, ts_conf_folder_mode(dir));
	uint64_t limit;
	long ret;

	if (err)
		return err;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? -EPERM : -errno;
	if (fstat(dir_fd, &st) != 0 || !is_private(&st)) {
		close(dir_fd);
		return -EPERM;
	}
	/* A file without a name leaves nothing behind. Where the file system has none of those tsproxy-sync will tell. */
	fd = openat(dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL ? 0 : -errno;
	} else {
		limit = ts_file_limit();
		ret = limit ? ts_sys(SYS_fallocate, fd, 0, (off_t)0, (off_t)(limit < ROOM ? limit : ROOM)) : 0;
		err = ret == -ENOSPC || ret == -EDQUOT ? (int)ret : 0;
		close(fd);
	}
	close(dir_fd);
	return err;
}

/* The directory of `path`. The folder above it may be missing too: ~/.cache in a new home. */
static int try_place(const char *path)
{
	char *dir = ts_join(path), *above;
	int err;

	*strrchr(dir, '/') = '\0';
	err = try_dir(dir);
	if (err != -ENOENT)
		return err;
	above = ts_join(dir);
	*strrchr(above, '/') = '\0';
	err = ts_make_folder(above, ts_conf_folder_mode(above));
	return err ? err : try_dir(dir);
}

/* What TSPROXY_PLACE says of the map at `path`. */
static char *place_of(const char *path)
{
	char *place = ts_join(path), *slash = strrchr(place, '/'), *host = strchr(slash, '@');

	if (host) {
		memmove(slash + 1, host, strlen(host) + 1);
		slash[strlen(slash) - strlen(".map")] = '\0';
	} else {
		*slash = '\0';
	}
	return place;
}

static void use(struct ts_conf *conf, struct ts_environ *env, const char *place)
{
	ts_environ_set(env, "TSPROXY_PLACE", place);
	ts_conf_load(conf, env->v);
}

bool ts_place_find(struct ts_conf *conf, struct ts_environ *env)
{
	const char *set = ts_env_get(env->v, "TSPROXY_MAP"), *own;
	char other[TS_CONF_PATH_MAX];
	int err, found;

	/* Who names a file wants that one. */
	if (set && *set)
		return true;
	err = conf->map_path[0] ? try_place(conf->map_path) : -ENOENT;
	/* What a launcher above us left, for another user, perhaps. */
	if (err && ts_env_get(env->v, "TSPROXY_PLACE")) {
		ts_environ_unset(env, "TSPROXY_PLACE");
		ts_conf_load(conf, env->v);
		err = conf->map_path[0] ? try_place(conf->map_path) : -ENOENT;
	}
	if (!err)
		return true;
	own = ts_join(conf->map_path);
	/* Root of a user namespace has the place of the user that it is outside. */
	if (ts_conf_other_map(env->v, other, sizeof(other)) && try_place(other) == 0) {
		use(conf, env, place_of(other));
		return true;
	}
	for (unsigned i = 0; (found = ts_conf_spare_place(i, (unsigned)getauxval(AT_EUID), other, sizeof(other))) >= 0; i++) {
		if (!found || try_dir(other) != 0)
			continue;
		if (err == -EPERM)
			ts_say("the directory of ", own, " is not private to this user: using ", other, " for the map");
		use(conf, env, other);
		return true;
	}
	return false;
}

void ts_place_tell(const struct ts_conf *conf, struct ts_environ *env)
{
	const char *set = ts_env_get(env->v, "TSPROXY_MAP");

	/* Where there is no place at all, one that can hold no file: what matters then is that a tailnet is meant. */
	if (!set || !*set)
		ts_environ_set(env, "TSPROXY_PLACE", place_of(conf->map_path[0] ? conf->map_path : "/dev/null/.map"));
}

/* SPDX-License-Identifier: MIT */
/*
 * Files beside the map: see beside.h. A folder that somebody else may write to is refused before anything is made in it,
 * as tsproxy-sync refuses it.
 */
#include "beside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tsproxy/buf.h"
#include "tsproxy/names.h"
#include "tsproxy/sys.h"

static char *last_slash(const char *path)
{
	const char *slash = path;

	for (const char *p = path; *p; p++)
		if (*p == '/')
			slash = p;
	return (char *)slash;
}

bool ts_beside_path(char out[TS_BESIDE_PATH_MAX], const char *suffix)
{
	struct ts_wr w = ts_wr_over(out, TS_BESIDE_PATH_MAX);

	ts_wr_str(&w, ts_live_path());
	ts_wr_str(&w, suffix);
	return ts_wr_end(&w) && ts_live_path()[0];
}

bool ts_beside_folder_path(char out[TS_BESIDE_PATH_MAX], const char *name, const char *suffix)
{
	struct ts_wr w = ts_wr_over(out, TS_BESIDE_PATH_MAX);
	const char *map = ts_live_path(), *file = last_slash(map), *at = file;

	while (*at && *at != '@')
		at++;
	ts_wr_bytes(&w, map, (size_t)(file - map));
	ts_wr_u8(&w, '/');
	ts_wr_str(&w, name);
	for (size_t left = strlen(at); left > strlen(".map"); left--)
		ts_wr_u8(&w, (uint8_t)*at++);
	ts_wr_str(&w, suffix);
	return ts_wr_end(&w) && map[0];
}

/* The folder of the map and the one above it (~/.cache). */
static void make_folders(char *path)
{
	char *slash[2] = { NULL, NULL };

	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			slash[0] = slash[1];
			slash[1] = p;
		}
	for (int i = 0; i < 2; i++) {
		if (!slash[i])
			continue;
		*slash[i] = '\0';
		ts_make_folder(path, ts_conf_folder_mode(path));
		*slash[i] = '/';
	}
}

/* Whether nobody else but root could have written there; `st` tells more. */
static bool is_ours(int fd, mode_t type, bool reading, struct stat *st)
{
	return ts_sys(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH) == 0 && (st->st_mode & S_IFMT) == type &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH)) && ((reading && st->st_uid == 0) || st->st_uid == (uid_t)ts_sys(SYS_geteuid));
}

static int open_folder(char *path, char *slash, bool reading, struct stat *st)
{
	int fd;

	*slash = '\0';
	fd = (int)ts_sys(SYS_openat, AT_FDCWD, slash == path ? "/" : path,
			 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	*slash = '/';
	if (fd == -ELOOP || fd == -ENOTDIR)
		return -EPERM;
	if (fd < 0 || is_ours(fd, S_IFDIR, reading, st))
		return fd;
	ts_sys(SYS_close, fd);
	return -EPERM;
}

int ts_beside_open(char path[TS_BESIDE_PATH_MAX], int flags, bool shared)
{
	bool reading = (flags & (O_ACCMODE | O_CREAT)) == O_RDONLY;
	char *slash = last_slash(path);
	struct stat dir, st;
	int dir_fd = open_folder(path, slash, reading, &dir), fd;

	if (dir_fd == -ENOENT && flags & O_CREAT) {
		make_folders(path);
		dir_fd = open_folder(path, slash, reading, &dir);
	}
	if (dir_fd < 0)
		return dir_fd;
	fd = (int)ts_sys(SYS_openat, dir_fd, slash + 1, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	ts_sys(SYS_close, dir_fd);
	if (fd < 0)
		return fd;
	if (!is_ours(fd, S_IFREG, reading, &st)) {
		ts_sys(SYS_close, fd);
		return -EPERM;
	}
	/* Who may read root's map may read this too. */
	if (shared && !reading && st.st_uid == 0 && dir.st_mode & S_IXOTH && !(st.st_mode & S_IROTH))
		ts_sys(SYS_fchmod, fd, 0644);
	return fd;
}

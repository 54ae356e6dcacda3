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
#include "tsproxy/guard.h"
#include "tsproxy/sys.h"

static char *last_slash(char *path)
{
	char *slash = path;

	for (char *p = path; *p; p++)
		if (*p == '/')
			slash = p;
	return slash;
}

bool ts_beside_path(char out[TS_BESIDE_PATH_MAX], const char *suffix)
{
	struct ts_wr w = ts_wr_over(out, TS_BESIDE_PATH_MAX);

	ts_wr_str(&w, ts_conf.map_path);
	ts_wr_str(&w, suffix);
	return ts_wr_end(&w) && ts_conf.map_path[0];
}

bool ts_beside_folder_path(char out[TS_BESIDE_PATH_MAX], const char *name, const char *suffix)
{
	struct ts_wr w = ts_wr_over(out, TS_BESIDE_PATH_MAX);
	const char *file = last_slash(ts_conf.map_path), *at = file;

	while (*at && *at != '@')
		at++;
	ts_wr_bytes(&w, ts_conf.map_path, (size_t)(file - ts_conf.map_path));
	ts_wr_u8(&w, '/');
	ts_wr_str(&w, name);
	for (size_t left = strlen(at); left > strlen(".map"); left--)
		ts_wr_u8(&w, (uint8_t)*at++);
	ts_wr_str(&w, suffix);
	return ts_wr_end(&w) && ts_conf.map_path[0];
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
		ts_make_folder(path);
		*slash[i] = '/';
	}
}

static bool is_own(int fd, mode_t type, mode_t not)
{
	struct stat st;

	return ts_sys(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) == 0 && (st.st_mode & S_IFMT) == type &&
	       !(st.st_mode & not) && st.st_uid == (uid_t)ts_sys(SYS_geteuid);
}

static int open_folder(char *path, char *slash)
{
	int fd;

	*slash = '\0';
	fd = (int)ts_sys(SYS_openat, AT_FDCWD, slash == path ? "/" : path,
			 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	*slash = '/';
	if (fd == -ELOOP || fd == -ENOTDIR)
		return -EPERM;
	if (fd < 0 || is_own(fd, S_IFDIR, S_IWGRP | S_IWOTH))
		return fd;
	ts_sys(SYS_close, fd);
	return -EPERM;
}

int ts_beside_open(char path[TS_BESIDE_PATH_MAX], int flags)
{
	char *slash = last_slash(path);
	int dir_fd = open_folder(path, slash), fd;

	if (dir_fd == -ENOENT && flags & O_CREAT) {
		make_folders(path);
		dir_fd = open_folder(path, slash);
	}
	if (dir_fd < 0)
		return dir_fd;
	fd = (int)ts_sys(SYS_openat, dir_fd, slash + 1, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	ts_sys(SYS_close, dir_fd);
	if (fd < 0 || is_own(fd, S_IFREG, S_IWGRP | S_IWOTH))
		return fd;
	ts_sys(SYS_close, fd);
	return -EPERM;
}

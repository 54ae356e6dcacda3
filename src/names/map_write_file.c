/* SPDX-License-Identifier: MIT */
/*
 * Puts a map file in place. The file is complete, and on the disk, before it gets its name, and is never changed afterwards.
 *
 * The caller holds the map's lock, so the temporary file has a fixed name and one that a killed writer left is simply taken over.
 * Everything happens relative to the open directory, which has been judged.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "map_write.h"
#include "tsproxy/conf.h"
#include "tsproxy/sys.h"

/* Makes the last two levels where they are missing: ~/.cache may not exist yet in a fresh home, nor /run/tsproxy. */
static int make_dir(const char *dir)
{
	char parent[4096];
	int err = ts_make_folder(dir, ts_conf_folder_mode(dir));
	char *slash;

	if (err != -ENOENT)
		return err;
	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return -ENOENT;
	*slash = '\0';
	err = ts_make_folder(parent, ts_conf_folder_mode(parent));
	return err ? err : ts_make_folder(dir, ts_conf_folder_mode(dir));
}

int ts_map_open_dir(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	struct stat st;
	int fd, err;

	if (path[0] != '/' || slash[1] == '\0' || (size_t)(slash - path) >= sizeof(dir))
		return -EINVAL;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash == path ? 1 : slash - path] = '\0';
	if (slash == path)
		dir[0] = '/';
	err = make_dir(dir);
	if (err)
		return err;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? -EPERM : -errno;
	if (fstat(fd, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(fd);
		return -EPERM;
	}
	*name = slash + 1;
	return fd;
}

int ts_file_open(int dir_fd, const char *name, int flags)
{
	int fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EPERM : -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EPERM;
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_new(int dir_fd, const char *tmp, mode_t mode, const uint8_t *data, size_t len)
{
	int fd, err;

	if (len > ts_file_limit())
		return -EFBIG;
	unlinkat(dir_fd, tmp, 0);
	fd = ts_file_open(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	err = fchmod(fd, mode) == 0 ? write_all(fd, data, len) : -errno;
	/* A rename may reach the disk before the data does, and a machine that stops then would come back with a damaged map. */
	if (!err && fdatasync(fd) != 0)
		err = -errno;
	if (close(fd) != 0 && !err)
		err = -errno;
	if (err)
		unlinkat(dir_fd, tmp, 0);
	return err;
}

/* Root's files are everybody's to read in a folder that everybody may search. */
static mode_t shared_mode(int dir_fd)
{
	struct stat st;

	return geteuid() == 0 && fstat(dir_fd, &st) == 0 && st.st_mode & S_IXOTH ? 0644 : 0600;
}

int ts_file_install(const char *path, bool shared, const uint8_t *data, size_t len)
{
	const char *name;
	char tmp[300];
	int dir_fd, err;

	dir_fd = ts_map_open_dir(path, &name);
	if (dir_fd < 0)
		return dir_fd;
	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.new", name) >= sizeof(tmp))
		err = -ENAMETOOLONG;
	else
		err = write_new(dir_fd, tmp, shared ? shared_mode(dir_fd) : 0600, data, len);
	if (!err && renameat(dir_fd, tmp, dir_fd, name) != 0) {
		err = -errno;
		unlinkat(dir_fd, tmp, 0);
	}
	close(dir_fd);
	return err;
}

int ts_map_install(const char *path, const uint8_t *data, size_t len)
{
	return len > TS_MAP_FILE_MAX ? -EFBIG : ts_file_install(path, true, data, len);
}

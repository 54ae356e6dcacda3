/* SPDX-License-Identifier: MIT */
/*
 * Puts a map file in place. The file has its full (sparse) size from the start where it may, is complete before it gets its
 * name, and is never changed afterwards but for the word `superseded`.
 *
 * The caller holds the map's lock (two writers at once could leave a replaced file unmarked), so the temporary file has
 * a fixed name and one that a killed writer left is simply taken over. Everything happens relative to the open
 * directory, which has been judged.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "map_write.h"
#include "tsproxy/sys.h"

/* Makes the last two levels where they are missing: ~/.cache may not exist yet in a fresh home. */
static int make_dir(const char *dir)
{
	char parent[4096];
	int err = ts_make_folder(dir);
	char *slash;

	if (err != -ENOENT)
		return err;
	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return -ENOENT;
	*slash = '\0';
	err = ts_make_folder(parent);
	return err ? err : ts_make_folder(dir);
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

static int write_new(int dir_fd, const char *tmp, const uint8_t *data, size_t len)
{
	uint64_t limit = ts_file_limit();
	int fd, err;

	if (len > limit)
		return -EFBIG;
	unlinkat(dir_fd, tmp, 0);
	fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) != 0 || ftruncate(fd, (off_t)(limit < TS_MAP_FILE_SIZE ? limit : TS_MAP_FILE_SIZE)) != 0)
		err = -errno;
	else
		err = write_all(fd, data, len);
	if (close(fd) != 0 && !err)
		err = -errno;
	if (err)
		unlinkat(dir_fd, tmp, 0);
	return err;
}

/* The file about to be replaced, if it is one of ours to mark. */
static int open_old(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint8_t magic[8];
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    st.st_size < (off_t)sizeof(struct ts_map_header) || pread(fd, magic, 8, 0) != 8 ||
	    memcmp(magic, TS_MAP_MAGIC, 8) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int ts_map_install(const char *path, const uint8_t *data, size_t len)
{
	const uint32_t one = 1;
	const char *name;
	char tmp[300];
	int dir_fd, old_fd = -1, err;

	dir_fd = ts_map_open_dir(path, &name);
	if (dir_fd < 0)
		return dir_fd;
	if (len > TS_MAP_FILE_SIZE || (size_t)snprintf(tmp, sizeof(tmp), "%s.new", name) >= sizeof(tmp)) {
		err = len > TS_MAP_FILE_SIZE ? -EFBIG : -ENAMETOOLONG;
		goto out;
	}
	err = write_new(dir_fd, tmp, data, len);
	if (err)
		goto out;
	old_fd = open_old(dir_fd, name);
	if (renameat(dir_fd, tmp, dir_fd, name) != 0) {
		err = -errno;
		unlinkat(dir_fd, tmp, 0);
		goto out;
	}
	/* The new file is in place whether or not the old one can be marked: its readers then notice by its age. */
	if (old_fd >= 0 && pwrite(old_fd, &one, sizeof(one), offsetof(struct ts_map_header, superseded)) != sizeof(one))
		err = 0;
out:
	if (old_fd >= 0)
		close(old_fd);
	close(dir_fd);
	return err;
}

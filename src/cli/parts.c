/* SPDX-License-Identifier: MIT */
/*
 * Relative to the launcher's own file, so that a build tree, an unpacked archive and an installation all
 * work without being told where they are; the folders given at build time come last.
 */
#include "parts.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "environ.h"

/* The launcher's folder, ended by '/', and the one above it; null without /proc. */
static const char *own_dir(const char **above)
{
	static char dir[PATH_MAX], parent[PATH_MAX];
	ssize_t n;

	*above = parent;
	if (dir[0])
		return dir;
	n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	while (n > 0 && dir[n - 1] != '/')
		n--;
	if (n <= 0) {
		dir[0] = '\0';
		return NULL;
	}
	dir[n] = '\0';
	for (n--; n > 0 && dir[n - 1] != '/'; n--)
		;
	memcpy(parent, dir, (size_t)n);
	return dir;
}

/* The first that is there: beside us, under `installed` in the folder above us, in `fixed`. */
static const char *look(const char *name, const char *installed, const char *fixed, int mode)
{
	const char *above, *dir = own_dir(&above), *file;

	if (dir) {
		file = ts_join(dir, name);
		if (access(file, mode) == 0)
			return file;
		file = ts_join(above, installed, name);
		if (access(file, mode) == 0)
			return file;
	}
	file = ts_join(fixed, "/", name);
	return access(file, mode) == 0 ? file : NULL;
}

const char *ts_parts_object(void)
{
	return look("libtsproxy.so", "lib/", TSPROXY_LIBDIR, R_OK);
}

const char *ts_parts_command(const char *command)
{
	return look(ts_join("tsproxy-", command), "libexec/tsproxy/", TSPROXY_LIBEXECDIR, X_OK);
}

/* SPDX-License-Identifier: MIT */
/*
 * Relative to the launcher's own file, so that a build tree, an unpacked archive and an installation all
 * work without being told where they are; the folders given at build time come last.
 */
#include "parts.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "environ.h"
#include "tsproxy/buf.h"
#include "tsproxy/hash.h"

#define LEVELS 3	/* our own folder, and two above it: libexec/tsproxy/ lies that deep */

/* Our own folder and those above it, each ended by '/'; "" where there is none, as without /proc. */
static const char *folder(int level)
{
	static char dirs[LEVELS][PATH_MAX];
	ssize_t n;

	if (dirs[0][0])
		return dirs[level];
	n = readlink("/proc/self/exe", dirs[0], sizeof(dirs[0]) - 1);
	for (int i = 0; n > 0 && i < LEVELS; i++) {
		/* The name is cut behind its last folder; behind "/" nothing is left. */
		n -= i > 0;
		while (n > 0 && dirs[0][n - 1] != '/')
			n--;
		if (i > 0)
			memcpy(dirs[i], dirs[0], (size_t)n);
		dirs[i][n > 0 ? n : 0] = '\0';
	}
	return dirs[level];
}

/* The first that is there: beside us, under `installed` in the folders above us, in `fixed`. */
static const char *look(const char *name, const char *installed, const char *fixed, int mode)
{
	const char *file;

	for (int i = 0; i < LEVELS; i++) {
		if (!folder(i)[0])
			continue;
		file = ts_join(folder(i), i ? installed : "", name);
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

const char *ts_parts_page(const char *command)
{
	/* As installed, as distributions compress it, in the source tree. */
	static const char *const forms[][3] = {
		{ "share/man/man1/", TSPROXY_MANDIR "/man1", ".1" },
		{ "share/man/man1/", TSPROXY_MANDIR "/man1", ".1.gz" },
		{ "man/", TSPROXY_MANDIR "/man1", ".1" },
	};
	const char *file = NULL;

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms) && !file; i++)
		file = look(ts_join("tsproxy-", command, forms[i][2]), forms[i][0], forms[i][1], R_OK);
	return file;
}

const char *ts_parts_launcher(void)
{
	return look("tsproxy", "bin/", TSPROXY_BINDIR, X_OK);
}

static bool can_be_named(const char *file)
{
	return !file[strcspn(file, ": \t\n")];
}

/* The link is to the object's folder, not to itself, so that what lies beside the object is found from there. */
const char *ts_parts_preload(const char *object, const char *map_path)
{
	char hash[24], to[PATH_MAX];
	char *dir = ts_join(map_path), *folder = ts_join(object), *link;
	struct ts_wr w = ts_wr_over(hash, sizeof(hash));
	struct stat st;
	ssize_t n;

	if (can_be_named(object))
		return object;
	if (!strrchr(dir, '/') || !can_be_named(map_path))
		return NULL;
	*strrchr(dir, '/') = '\0';
	*strrchr(folder, '/') = '\0';
	/* Where others may write they could put another folder in its place. */
	if (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return NULL;
	ts_wr_hex64(&w, ts_fnv64(TS_FNV64_INIT, folder, strlen(folder)));
	if (!ts_wr_end(&w))
		return NULL;
	link = ts_join(dir, "/lib-", hash);
	n = symlink(folder, link) == 0 || access(link, F_OK) == 0 ? readlink(link, to, sizeof(to)) : -1;
	if (n != (ssize_t)strlen(folder) || memcmp(to, folder, (size_t)n) != 0)
		return NULL;
	return ts_join(link, strrchr(object, '/'));
}

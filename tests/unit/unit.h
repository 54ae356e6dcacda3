/* SPDX-License-Identifier: MIT */
/* What unit tests share: a directory of their own, files in it, what a call said on standard error. */
#ifndef TSPROXY_TESTS_UNIT_H
#define TSPROXY_TESTS_UNIT_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char unit_dir[64];

static inline void unit_dir_make(void)
{
	strcpy(unit_dir, "/tmp/tsproxy-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(unit_dir));
}

/* Removes it again, with what is in it. */
static inline void unit_dir_remove(void)
{
	char cmd[128];

	if (!unit_dir[0])
		return;
	snprintf(cmd, sizeof(cmd), "/bin/rm -rf -- '%s'", unit_dir);
	ck_assert_int_eq(system(cmd), 0);
	unit_dir[0] = '\0';
}

static inline const char *unit_path(const char *name)
{
	static char path[8][256];
	static unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", unit_dir, name);
	return p;
}

static inline const char *unit_file(const char *name, const void *data, size_t len)
{
	const char *path = unit_path(name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

/* Between these two, standard error goes to a buffer. */
static char unit_err[4096];
static int unit_err_saved = -1;
static FILE *unit_err_file;

static inline void unit_err_begin(void)
{
	fflush(stderr);
	unit_err_saved = dup(STDERR_FILENO);
	unit_err_file = tmpfile();
	ck_assert_ptr_nonnull(unit_err_file);
	dup2(fileno(unit_err_file), STDERR_FILENO);
}

static inline const char *unit_err_end(void)
{
	size_t n;

	fflush(stderr);
	dup2(unit_err_saved, STDERR_FILENO);
	close(unit_err_saved);
	rewind(unit_err_file);
	n = fread(unit_err, 1, sizeof(unit_err) - 1, unit_err_file);
	unit_err[n] = '\0';
	fclose(unit_err_file);
	return unit_err;
}

static inline unsigned unit_lines(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static inline int unit_run(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif

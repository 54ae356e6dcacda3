/* SPDX-License-Identifier: MIT */
/*
 * dlopen and dlmopen. The loader looks at the return address to know who asks: whose search path ($ORIGIN, RPATH, RUNPATH) and namespace
 * count. So the real function is jumped to, with the stack as the caller left it (dlopen_*.c, in assembler: a compiler need not make a
 * jump of a call at its end). What there is to do, for RTLD_DEEPBIND, can be done before: src/sys/rebind.c.
 */
#include "hook.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "dlopen.h"
#include "tsproxy/rebind.h"

#define DEEPBIND 8	/* RTLD_DEEPBIND; musl does not know it, and does as if it were not there */

static void *nothing(void)
{
	ts_errno = ENOSYS;
	return NULL;
}

/* Before glibc 2.34 they are in libdl, which may come later than we do, with the library that calls. */
static const void *real_or_late(const void *real, const char *name)
{
	if (!ts_real_has(real))
		real = ts_real_loaded(name);
	return real ? real : (const void *)nothing;
}

/*
 * Who opens libc by name (ctypes, JNA, P/Invoke) asks that handle for its functions: the same case. `file` may be null.
 */
static bool is_libc(const char *file)
{
	const char *name = file;

	for (; file && *file; file++)
		if (*file == '/')
			name = file + 1;
	for (const char *libc = "libc"; name && *libc; libc++, name++)
		if (*name != *libc)
			return false;
	return name && (*name == '.' || *name == '\0');
}

static void prepare(const char *file, int mode)
{
	if ((mode & DEEPBIND || is_libc(file)) && !ts_sandboxed())
		ts_rebind_libc();
}

const void *ts_load_open(const char *file, int mode)
{
	prepare(file, mode);
	return real_or_late((const void *)ts_real()->dlopen, "dlopen");
}

const void *ts_load_mopen(long space, const char *file, int mode)
{
	(void)space;
	prepare(file, mode);
	return real_or_late((const void *)ts_real()->dlmopen, "dlmopen");
}

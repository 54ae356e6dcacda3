/* SPDX-License-Identifier: MIT */
/* The command: which file it is, and whether a preloaded library can serve it. */
#ifndef TSPROXY_CLI_PROGRAM_H
#define TSPROXY_CLI_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

enum ts_verdict {
	TS_PROGRAM_OK,
	TS_PROGRAM_BROKEN,	/* has the ELF magic, but the kernel will not take it; or scripts that run scripts without end */
	TS_PROGRAM_NO_INTERPRETER,	/* a script, and what its #! line names is not there */
	TS_PROGRAM_FOREIGN,	/* of another class or machine */
	TS_PROGRAM_STATIC,
	TS_PROGRAM_GO,
	TS_PROGRAM_PRIVILEGED,	/* set-user-ID, set-group-ID or file capabilities that count: LD_PRELOAD is dropped */
	TS_PROGRAM_UNREADABLE,	/* may be executed but not read: unknown */
};

struct ts_program {
	enum ts_verdict verdict;
	char culprit[PATH_MAX];	/* the file that the verdict is about: the program, or the interpreter of a script */
	char runs[PATH_MAX];	/* the file that runs in the end: the program, or what interprets it */
};

/*
 * Finds `name` as execvp(3) does, with `path` as PATH (null: unset). Returns 0 and the file's name in
 * `out`, or -errno: -ENOENT not there, -EACCES there but not executable, -EISDIR.
 */
int ts_program_find(const char *name, const char *path, char out[PATH_MAX]);

/* Follows `file` through its #! interpreters (and env(1)) to the ELF files that will run, and judges each. */
void ts_program_check(const char *file, const char *path, struct ts_program *out);

#endif

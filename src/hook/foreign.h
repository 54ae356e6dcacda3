/* SPDX-License-Identifier: MIT */
/*
 * Programs of another class or machine than this object (32-bit ones): their loader cannot load it and prints a line that says so. They
 * are started without it. What they start in turn has no tsproxy either, whatever its class.
 */
#ifndef TSPROXY_HOOK_FOREIGN_H
#define TSPROXY_HOOK_FOREIGN_H

#include <stdbool.h>

/* A program as the exec calls name it. */
struct ts_program {
	int fd;			/* AT_FDCWD, or what `path` is relative to; null or "": the program itself is open there */
	const char *path;
	bool search;		/* `path` is looked up in PATH where it has no slash */
};

/*
 * The variable of `envp` that names this object (LD_PRELOAD), where the program is foreign; else null. Async-signal-safe, in a vfork
 * child too. Where the machine has no loader for the other class it makes one system call in a process, the first time.
 */
const char *ts_foreign_preload(const struct ts_program *p, char *const envp[]);

#define TS_FOREIGN_REST 1024
/* What is left of that variable without this object. False: nothing, or more than fits. */
bool ts_foreign_rest(const char *variable, char out[TS_FOREIGN_REST]);

#endif

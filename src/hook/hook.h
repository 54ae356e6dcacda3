/* SPDX-License-Identifier: MIT */
/* What every file of hooks shares: the exported declarations, made from the table, and the way errors leave. */
#ifndef TSPROXY_HOOK_H
#define TSPROXY_HOOK_H

#include "tsproxy/guard.h"
#include "tsproxy/real.h"

#define TS_HOOK(result, name, params) __attribute__((visibility("default"))) result name params;
#define TS_HOOK_RARE TS_HOOK
#include "../sys/hooks.def"

/* `fd` is about to be closed, or replaced. */
void ts_fd_forget(int fd);

/* Whether this process's pending connects or associations concern a program that is started now; `all`: whatever is closed on exec. */
bool ts_exec_told(char *const envp[], bool all);

/* Time-outs that the kernel refuses are the kernel's to refuse. */
static inline bool ts_is_bad_time(const struct timespec *t)
{
	return t && (t->tv_sec < 0 || t->tv_nsec < 0 || t->tv_nsec >= 1000000000l);
}

/* -errno, as flow returns it, to what a system call's wrapper returns. */
static inline int ts_result(int err)
{
	if (err >= 0)
		return err;
	ts_errno = -err;
	return -1;
}

#endif

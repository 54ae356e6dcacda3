/* SPDX-License-Identifier: MIT */
/* The environment that the command will get: a copy of ours that grows. */
#ifndef TSPROXY_CLI_ENVIRON_H
#define TSPROXY_CLI_ENVIRON_H

#include <stddef.h>

struct ts_environ {
	char **v;	/* ends with a null pointer; as execve wants it */
	size_t n, cap;
};

/* Memory that is never given back: exec or exit does that. Ends the process where there is none. */
void *ts_environ_alloc(size_t size);
/* The strings one after another, in such memory. The list ends with a null pointer. */
char *ts_environ_join(const char *const *parts);
#define ts_join(...) ts_environ_join((const char *const[]){ __VA_ARGS__, (const char *)0 })

void ts_environ_copy(struct ts_environ *env, char *const envp[]);
/* Replaces or adds; the strings are copied. */
void ts_environ_set(struct ts_environ *env, const char *name, const char *value);
void ts_environ_unset(struct ts_environ *env, const char *name);

#endif

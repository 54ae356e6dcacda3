/* SPDX-License-Identifier: MIT */
/*
 * The environment of the command. The launcher lives for some 100 us, so memory comes from one zeroed
 * arena in the program's own image (pages that are not touched cost nothing) and from malloc only for
 * what does not fit: the usual start makes no system call for memory at all.
 */
#include "environ.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "help.h"

#define ENVIRON_SLACK 24	/* every setting, LD_PRELOAD and ASAN_OPTIONS fit without growing */

void *ts_environ_alloc(size_t size)
{
	static _Alignas(16) char arena[32768];
	static size_t used;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (size <= sizeof(arena) - used) {
		p = arena + used;
		used += size;
		return p;
	}
	p = malloc(size);
	if (!p) {
		ts_say("out of memory");
		_exit(TS_EXIT_NOT_RUN);
	}
	return p;
}

char *ts_environ_join(const char *const *parts)
{
	size_t len = 0;
	char *s, *to;

	for (const char *const *p = parts; *p; p++)
		len += strlen(*p);
	s = to = ts_environ_alloc(len + 1);
	for (; *parts; parts++) {
		size_t n = strlen(*parts);

		memcpy(to, *parts, n);
		to += n;
	}
	*to = '\0';
	return s;
}

void ts_environ_copy(struct ts_environ *env, char *const envp[])
{
	env->n = 0;
	while (envp[env->n])
		env->n++;
	env->cap = env->n + ENVIRON_SLACK;
	env->v = ts_environ_alloc(env->cap * sizeof(*env->v));
	memcpy(env->v, envp, (env->n + 1) * sizeof(*env->v));
}

static int is_named(const char *entry, const char *name, size_t len)
{
	return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

void ts_environ_set(struct ts_environ *env, const char *name, const char *value)
{
	size_t len = strlen(name), i = 0;

	while (i < env->n && !is_named(env->v[i], name, len))
		i++;
	if (i == env->n) {
		if (env->n + 2 > env->cap)
			ts_environ_copy(env, env->v);
		env->v[++env->n] = NULL;
	}
	env->v[i] = ts_join(name, "=", value);
}

void ts_environ_unset(struct ts_environ *env, const char *name)
{
	size_t len = strlen(name), kept = 0;

	for (size_t i = 0; i < env->n; i++)
		if (!is_named(env->v[i], name, len))
			env->v[kept++] = env->v[i];
	env->n = kept;
	env->v[kept] = NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * Becoming or starting another program. Where no connect is under way that it would hold, and it can load this object, that is the real
 * call as it came; else the new program's environment is another one (handoff.h, foreign.h). All of this may run in a vfork child, on its parent's memory: so nothing is
 * kept, and the new environment's list lies on the stack.
 */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "foreign.h"
#include "tsproxy/handoff.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/trace.h"
#include "tsproxy/udp.h"

#define ENV_MAX 65536	/* more is not handed over: the list must fit on the stack */

/* One call, to be made with whatever environment. */
struct start {
	int (*call)(const struct start *s, char *const envp[]);
	struct ts_program program;
	char *const *argv;
	int flags;	/* execveat's */
	pid_t *pid;	/* posix_spawn's */
	const posix_spawn_file_actions_t *actions;
	const posix_spawnattr_t *attr;
	__typeof__(pidfd_spawn) *pidfd_spawn;	/* the real one, or pidfd_spawnp */
};

static int call_execve(const struct start *s, char *const envp[])
{
	return ts_real()->execve(s->program.path, s->argv, envp);
}

static int call_execv(const struct start *s, char *const envp[])
{
	return envp == environ ? ts_real()->execv(s->program.path, s->argv) : call_execve(s, envp);
}

static int call_execvpe(const struct start *s, char *const envp[])
{
	return ts_real()->execvpe(s->program.path, s->argv, envp);
}

static int call_execvp(const struct start *s, char *const envp[])
{
	return envp == environ ? ts_real()->execvp(s->program.path, s->argv) : call_execvpe(s, envp);
}

static int call_fexecve(const struct start *s, char *const envp[])
{
	return ts_real()->fexecve(s->program.fd, s->argv, envp);
}

static int call_execveat(const struct start *s, char *const envp[])
{
	return ts_real()->execveat(s->program.fd, s->program.path, s->argv, envp, s->flags);
}

static int call_spawn(const struct start *s, char *const envp[])
{
	return ts_real()->posix_spawn(s->pid, s->program.path, s->actions, s->attr, s->argv, envp);
}

static int call_spawnp(const struct start *s, char *const envp[])
{
	return ts_real()->posix_spawnp(s->pid, s->program.path, s->actions, s->attr, s->argv, envp);
}

static int call_pidfd_spawn(const struct start *s, char *const envp[])
{
	return s->pidfd_spawn ? s->pidfd_spawn(s->pid, s->program.path, s->actions, s->attr, s->argv, envp) : ENOSYS;
}

/*
 * The call with the environment that the new program is to have: `told`, TS_HANDOFF_VARIABLE is in front; and a program that cannot load this
 * object is not asked to.
 */
static int call_with(const struct start *s, char *const envp[], bool told)
{
	static char note[] = TS_HANDOFF_VARIABLE;
	const char *preload = ts_foreign_preload(&s->program, envp);
	char **list, **to, rest[TS_FOREIGN_REST];
	size_t n = 0;

	if (!told && !preload)
		return s->call(s, envp);
	while (envp[n] && n < ENV_MAX)
		n++;
	if (n == ENV_MAX)
		return s->call(s, envp);
	to = list = __builtin_alloca((n + 2) * sizeof(*list));
	if (told)
		*to++ = note;
	for (size_t i = 0; i < n; i++)
		if (envp[i] != preload)
			*to++ = envp[i];
		else if (ts_foreign_rest(preload, rest))
			*to++ = rest;
	*to = NULL;
	return s->call(s, list);
}

/* No socket here is the tailnet's. */
static bool nothing_pending(void)
{
	return __builtin_expect(!ts_family_carries(), 1) || ts_sandboxed() || !(ts_flow_count | ts_udp_count | ts_carried_count);
}

bool ts_exec_told(char *const envp[], bool all)
{
	return !nothing_pending() && envp && ts_enabled() && ts_handoff_exec(all);
}

static int become(const struct start *s, char *const envp[])
{
	int r;

	if (!nothing_pending())
		ts_udp_process_ending();
	if (!ts_exec_told(envp, false))
		return call_with(s, envp, false);
	ts_handoff_leaving();
	r = call_with(s, envp, true);
	ts_handoff_staying();
	return r;
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	return become(&(struct start){ .call = call_execve, .program = { AT_FDCWD, path, false }, .argv = argv }, envp);
}

int execv(const char *path, char *const argv[])
{
	return become(&(struct start){ .call = call_execv, .program = { AT_FDCWD, path, false }, .argv = argv }, environ);
}

int execvp(const char *file, char *const argv[])
{
	return become(&(struct start){ .call = call_execvp, .program = { AT_FDCWD, file, true }, .argv = argv }, environ);
}

int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return become(&(struct start){ .call = call_execvpe, .program = { AT_FDCWD, file, true }, .argv = argv }, envp);
}

int fexecve(int fd, char *const argv[], char *const envp[])
{
	return become(&(struct start){ .call = call_fexecve, .program = { fd, NULL, false }, .argv = argv }, envp);
}

int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	return become(&(struct start){ .call = call_execveat, .program = { fd, path, false }, .argv = argv, .flags = flags }, envp);
}

/* The words of execl and its like, as they are counted and then copied; `ap` stands behind the first. */
static size_t count_words(va_list ap)
{
	size_t n = 1;

	while (va_arg(ap, char *))
		n++;
	return n;
}

static void copy_words(char **argv, const char *first, va_list ap)
{
	*argv = (char *)first;
	do
		*++argv = va_arg(ap, char *);
	while (*argv);
}

/* Makes `argv` of `first` and the words after it; `ap` is left behind them. */
#define WORDS(argv, ap, first) \
	do { \
		va_start(ap, first); \
		argv = __builtin_alloca((count_words(ap) + 1) * sizeof(char *)); \
		va_end(ap); \
		va_start(ap, first); \
		copy_words(argv, first, ap); \
	} while (0)

int execl(const char *path, const char *first, ...)
{
	char **argv;
	va_list ap;

	WORDS(argv, ap, first);
	va_end(ap);
	return execv(path, argv);
}

int execlp(const char *file, const char *first, ...)
{
	char **argv;
	va_list ap;

	WORDS(argv, ap, first);
	va_end(ap);
	return execvp(file, argv);
}

int execle(const char *path, const char *first, ...)
{
	char **argv, *const *envp;
	va_list ap;

	WORDS(argv, ap, first);
	envp = va_arg(ap, char *const *);
	va_end(ap);
	return execve(path, argv, envp);
}

/* posix_spawn: the descriptors may be duplicated by its file actions, so close-on-exec does not count where there are any. */
static int spawn(const struct start *s, char *const envp[])
{
	return call_with(s, envp, ts_exec_told(envp, s->actions != NULL));
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		char *const argv[], char *const envp[])
{
	const struct start s = { call_spawn, { AT_FDCWD, path, false }, argv, .pid = pid, .actions = actions, .attr = attr };

	return spawn(&s, envp);
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		 char *const argv[], char *const envp[])
{
	const struct start s = { call_spawnp, { AT_FDCWD, file, true }, argv, .pid = pid, .actions = actions, .attr = attr };

	return spawn(&s, envp);
}

int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		char *const argv[], char *const envp[])
{
	const struct start s = { call_pidfd_spawn, { AT_FDCWD, path, false }, argv, .pid = pidfd, .actions = actions, .attr = attr,
				 .pidfd_spawn = ts_real_loaded("pidfd_spawn") };

	return spawn(&s, envp);
}

int pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		 char *const argv[], char *const envp[])
{
	const struct start s = { call_pidfd_spawn, { AT_FDCWD, file, true }, argv, .pid = pidfd, .actions = actions, .attr = attr,
				 .pidfd_spawn = ts_real_loaded("pidfd_spawnp") };

	return spawn(&s, envp);
}

/* In the new program. */
__attribute__((constructor)) static void arrive(void)
{
	/* These words first: hardly any program needs more of the library at its start. */
	if (ts_connects_pending && ts_enabled())
		ts_handoff_arrive();
	if (ts_trace_on && ts_enabled())
		ts_trace_arrive();
}

__attribute__((destructor)) static void end(void)
{
	if (ts_trace_on)
		ts_trace_ending();
}

/* SPDX-License-Identifier: MIT */
/*
 * The background helper. Two steps of clone(CLONE_VM | CLONE_VFORK | CLONE_FILES) with exit signal 0, so that nothing
 * is copied however big the program is, and that no wait call without __WCLONE and no SIGCHLD handler sees the child.
 * The process in the middle only makes the helper and exits: execve resets the exit signal to SIGCHLD, so the one who
 * execs must not be the program's child. All run on stacks of ours while the caller is suspended; signals are blocked
 * meanwhile, because a handler would run twice in one memory.
 */
#include "tsproxy/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tsproxy/buf.h"
#include "tsproxy/conf.h"
#include "tsproxy/guard.h"
#include "tsproxy/log.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define ENV_BYTES 8192
#define ENV_COUNT 64
#define STACK_SIZE (32 << 10)
#define ORPHAN_WAIT_MS 1000
#define OLD_KERNEL_FD_MAX 65536

/* One page for nearly all programs: each page touched at start costs more than the copying. */
static struct {
	char *list[ENV_COUNT + 1];
	char bytes[ENV_BYTES];
} env __attribute__((aligned(4096)));
TS_EVERY_START static bool env_whole, under_valgrind;

static bool starts_with(const char *s, const char *prefix)
{
	while (*prefix && *s == *prefix) {
		s++;
		prefix++;
	}
	return *prefix == '\0';
}

static bool contains(const char *s, const char *part)
{
	for (; *s; s++)
		if (starts_with(s, part))
			return true;
	return false;
}

/*
 * What decides which map is made, where its sources are, and what they need to be asked. Sorted out by the first letter,
 * because this runs at the start of every program.
 */
static bool wanted(const char *s)
{
	switch (s[0]) {
	case 'T':
		return starts_with(s, "TSPROXY_") || starts_with(s, "TS_SOCKET=");
	case 'H':
		return starts_with(s, "HOME=") || starts_with(s, "HTTP_PROXY=") || starts_with(s, "HTTPS_PROXY=");
	case 'h':
		return starts_with(s, "http_proxy=") || starts_with(s, "https_proxy=");
	case 'X':
		return starts_with(s, "XDG_RUNTIME_DIR=") || starts_with(s, "XDG_CONFIG_HOME=");
	case 'P':
		return starts_with(s, "PATH=");
	case 'U':
		return starts_with(s, "USER=");
	case 'L':
		return starts_with(s, "LOGNAME=");
	case 'A':
		return starts_with(s, "ALL_PROXY=");
	case 'a':
		return starts_with(s, "all_proxy=");
	case 'N':
		return starts_with(s, "NO_PROXY=");
	case 'n':
		return starts_with(s, "no_proxy=");
	}
	return false;
}

void ts_spawn_save_env(char *const envp[])
{
	size_t used = 0, count = 0;

	env_whole = false;
	for (; envp && *envp; envp++) {
		const char *s = *envp;
		size_t len;

		if (*s == 'L' && starts_with(s, "LD_PRELOAD=") && contains(s, "/vgpreload_"))
			under_valgrind = true;
		if (!wanted(s))
			continue;
		len = strlen(s) + 1;
		if (len > sizeof(env.bytes) - used || count == ENV_COUNT)
			return;
		memcpy(env.bytes + used, s, len);
		env.list[count++] = env.bytes + used;
		used += len;
	}
	env_whole = true;
}

char *const *ts_spawn_environ(void)
{
	return env.list;
}

const char *ts_spawn_env(const char *name)
{
	return ts_env_get(env.list, name);
}

#define STATUS_BYTES 4096

int ts_status_number(const char *path, const char *key)
{
	char *text = ts_scratch_get(STATUS_BYTES);
	int fd = (int)ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), value = -1;
	long n;

	n = fd < 0 || !text ? 0 : ts_sys(SYS_read, fd, text, STATUS_BYTES - 1);
	if (fd >= 0)
		ts_sys(SYS_close, fd);
	if (n > 0)
		text[n] = '\0';
	for (const char *p = text; n > 0 && *p; p++) {
		if (*p != '\n' || !starts_with(p + 1, key))
			continue;
		p += 1 + strlen(key);
		while (*p == ':' || *p == '\t' || *p == ' ')
			p++;
		for (value = 0; *p >= '0' && *p <= '9'; p++)
			value = value * 10 + *p - '0';
		break;
	}
	ts_scratch_put(text, STATUS_BYTES);
	return value;
}

/*
 * More filters than the first process of this container or machine has: then this program has sandboxed itself
 * (or its service manager has), and a clone or execve may kill it.
 */
static bool sandboxed(void)
{
	static const char *const keys[] = { "Seccomp_filters", "Seccomp" };	/* the first since Linux 5.9 */

	for (size_t i = 0; i < 2; i++) {
		int own = ts_status_number("/proc/self/status", keys[i]), first;

		if (own < 0)
			continue;
		first = own ? ts_status_number("/proc/1/status", keys[i]) : 0;
		return own > (first < 0 ? 0 : first);
	}
	return false;
}

static bool founds_pid_namespace(void)
{
	char own[64], next[64];
	long n = ts_sys(SYS_readlinkat, AT_FDCWD, "/proc/self/ns/pid", own, sizeof(own));
	long m = ts_sys(SYS_readlinkat, AT_FDCWD, "/proc/self/ns/pid_for_children", next, sizeof(next));

	return n <= 0 || n != m || memcmp(own, next, (size_t)n) != 0;
}

bool ts_spawn_allowed(void)
{
	return env_whole && !under_valgrind && !ts_program_is_secure && ts_process() == TS_SELF &&
	       !founds_pid_namespace() && !sandboxed();
}

/* Calls fn(arg) in a new process on the given stack; fn must not return. The new process's PID or -errno. */
long ts_spawn_clone(unsigned long flags, void *stack_top, void (*fn)(void *), void *arg)
	__attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".text\n.globl ts_spawn_clone\n.hidden ts_spawn_clone\n.type ts_spawn_clone, @function\n"
	"ts_spawn_clone:\n"
	"	mov %rdx, %r9\n"
	"	mov %rcx, %r8\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	mov $56, %eax\n"	/* clone */
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jnz 1f\n"
	"	xor %ebp, %ebp\n"
	"	mov %r8, %rdi\n"
	"	call *%r9\n"
	"	hlt\n"
	"1:	ret\n"
	".size ts_spawn_clone, . - ts_spawn_clone\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl ts_spawn_clone\n.hidden ts_spawn_clone\n.type ts_spawn_clone, %function\n"
	"ts_spawn_clone:\n"
	"	mov x5, x2\n"
	"	mov x6, x3\n"
	"	mov x2, #0\n"
	"	mov x3, #0\n"
	"	mov x4, #0\n"
	"	mov x8, #220\n"		/* clone */
	"	svc #0\n"
	"	cbnz x0, 1f\n"
	"	mov x29, #0\n"
	"	mov x0, x6\n"
	"	blr x5\n"
	"	brk #0\n"
	"1:	ret\n"
	".size ts_spawn_clone, . - ts_spawn_clone\n");
#endif

#define CLONE_FLAGS (CLONE_VM | CLONE_VFORK | CLONE_FILES)

struct job {
	const char *path;
	const char *lock_path;
	char *env[ENV_COUNT + 2];
	char map[sizeof("TSPROXY_MAP=") + TS_CONF_PATH_MAX];
	bool wait;	/* the middle process awaits the helper's end */
	int err;	/* written by the helper, in shared memory */
};

static uint8_t stacks[2][STACK_SIZE] __attribute__((aligned(16)));

/*
 * Leaves this process with a descriptor table of its own that holds at most 0 to 2. Nothing is closed in the program.
 */
static int own_descriptors(void)
{
	struct rlimit limit;
	int ret = (int)ts_sys(SYS_close_range, 3, ~0u, CLOSE_RANGE_UNSHARE);

	if (ret != -ENOSYS)
		return ret;
	ret = (int)ts_sys(SYS_unshare, CLONE_FILES);
	if (ret)
		return ret;
	if (ts_sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) != 0 || limit.rlim_cur > OLD_KERNEL_FD_MAX)
		limit.rlim_cur = OLD_KERNEL_FD_MAX;
	for (int fd = 3; fd < (int)limit.rlim_cur; fd++)
		ts_sys(SYS_close, fd);
	return 0;
}

static void standard_descriptors(const char *lock_path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = TS_SPAWN_LOCK_BYTE, .l_len = 1 };
	int fd = (int)ts_sys(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);

	for (int to = 0; fd >= 0 && to < 3; to++)
		if (fd != to)
			ts_sys(SYS_dup3, fd, to, 0);
	if (fd > 2)
		ts_sys(SYS_close, fd);
	fd = (int)ts_sys(SYS_openat, AT_FDCWD, lock_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	ts_sys(SYS_fcntl, fd, F_OFD_SETLK, &lock);
	if (fd == 0) {
		ts_sys(SYS_fcntl, 0, F_SETFD, 0);
		return;
	}
	ts_sys(SYS_dup3, fd, 0, 0);
	ts_sys(SYS_close, fd);
}

static void helper(void *arg)
{
	/* As the kernel reads it: handler, flags, restorer, mask; all zero is the default action. */
	static const uint64_t default_action[4], no_signals;
	static char name[] = "tsproxy-sync";
	char *argv[] = { name, NULL };
	struct job *job = arg;

	ts_sys(SYS_setsid);
	for (int sig = 1; sig <= 64; sig++)
		ts_sys(SYS_rt_sigaction, sig, default_action, NULL, sizeof(uint64_t));
	job->err = own_descriptors();
	if (job->err == 0) {
		standard_descriptors(job->lock_path);
		ts_sys(SYS_chdir, "/");
		ts_sys(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof(no_signals));
		job->err = (int)ts_sys(SYS_execve, job->path, argv, job->env);
	}
	for (;;)
		ts_sys(SYS_exit_group, 127);
}

static void middle(void *arg)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	struct job *job = arg;
	long pid = ts_spawn_clone(CLONE_FLAGS, stacks[1] + STACK_SIZE, helper, job);

	if (pid < 0)
		job->err = (int)pid;
	for (int i = 0; pid > 0 && job->wait && i < ORPHAN_WAIT_MS; i++) {
		if (ts_sys(SYS_wait4, pid, NULL, WNOHANG | __WALL, NULL) != 0)
			break;
		ts_sys(SYS_nanosleep, &ms, NULL);
	}
	for (;;)
		ts_sys(SYS_exit_group, 0);
}

/* The stacks' user: a PID, so that a child made by fork meanwhile does not wait for a thread that it does not have. */
static bool take(int *user, int pid)
{
	int old = __atomic_load_n(user, __ATOMIC_RELAXED);

	return old != pid && __atomic_compare_exchange_n(user, &old, pid, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* What comes first counts. */
static void fill_environment(struct job *job, const char *map)
{
	struct ts_wr w = ts_wr_over(job->map, sizeof(job->map));

	ts_wr_str(&w, "TSPROXY_MAP=");
	ts_wr_str(&w, map);
	ts_wr_end(&w);
	job->env[0] = job->map;
	memcpy(job->env + 1, env.list, sizeof(env.list));
}

int ts_spawn_helper(const char *path, const char *lock_path, const char *map)
{
	static int user;
	static struct job job;
	uint64_t blocked = TS_SIGNALS_BLOCKED, saved;
	int pid = (int)ts_sys(SYS_getpid), subreaper = 0;
	long child;

	if (!take(&user, pid))
		return -EBUSY;
	ts_sys(SYS_prctl, PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
	job.path = path;
	job.lock_path = lock_path;
	job.wait = pid == 1 || subreaper;
	job.err = 0;
	fill_environment(&job, map);
	ts_sys(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, &saved, sizeof(blocked));
	child = ts_spawn_clone(CLONE_FLAGS, stacks[0] + STACK_SIZE, middle, &job);
	if (child > 0)
		ts_sys(SYS_wait4, child, NULL, __WCLONE, NULL);
	else
		job.err = (int)child;
	ts_sys(SYS_rt_sigprocmask, SIG_SETMASK, &saved, NULL, sizeof(saved));
	child = job.err;
	__atomic_store_n(&user, 0, __ATOMIC_RELEASE);
	if (child)
		ts_warn("refresh: %s: %e", path, (int)-child);
	else
		ts_debug("refresh: %s", path);
	return (int)child;
}

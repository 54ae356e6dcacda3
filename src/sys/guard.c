/* SPDX-License-Identifier: MIT */
/* Settings and load state, fork detection, locks: see guard.h. */
#include "tsproxy/guard.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>

#include "tsproxy/elfaux.h"
#include "tsproxy/log.h"
#include "tsproxy/shared.h"
#include "tsproxy/spawn.h"
#include "tsproxy/sys.h"

struct ts_conf ts_conf;
TS_EVERY_START bool ts_program_is_go, ts_program_is_secure, ts_connects_pending, ts_loopback_is_plain;
TS_EVERY_START int ts_load_state;	/* 0 not yet, 1 being loaded or disabled, 2 loaded */

extern char **environ;

bool ts_sandbox_on;

/* Takes TS_HANDOFF_VARIABLE out of the environment: it is for this program alone. */
static bool take_note(char **envp)
{
	static const char name[] = "TSPROXY_PENDING=";

	for (; *envp; envp++) {
		size_t same = 0;

		while (same < sizeof(name) - 1 && (*envp)[same] == name[same])
			same++;
		if (same < sizeof(name) - 1)
			continue;
		for (; *envp; envp++)
			envp[0] = envp[1];
		return true;
	}
	return false;
}

/*
 * Kept small: every process of a login shell pays for it. The real functions are found later, at the first hooked call, and the
 * map is opened when the first question is asked.
 */
void ts_load(void)
{
	if (!environ || !__sync_bool_compare_and_swap(&ts_load_state, 0, 1))
		return;
	ts_connects_pending = take_note(environ);
	ts_conf_fill(&ts_conf, environ);
	ts_loopback_is_plain = ts_conf.disable || !ts_conf.route_count;
	if (ts_conf.disable)
		return;
	ts_spawn_save_env(environ);
	ts_program_is_secure = getauxval(AT_SECURE) != 0;
	ts_program_is_go = ts_program_has_go_note();
	__atomic_store_n(&ts_load_state, 2, __ATOMIC_RELEASE);
}

__attribute__((constructor)) static void load_early(void)
{
	ts_load();
}

const char *ts_object_dir(void)
{
	static char dir[TS_CONF_PATH_MAX];
	const struct link_map *self = ts_link_map_self();
	size_t len;

	if (__atomic_load_n(dir, __ATOMIC_ACQUIRE) || !self || !self->l_name)
		return dir;
	len = strlen(self->l_name);
	while (len > 0 && self->l_name[len - 1] != '/')
		len--;
	if (len > 0 && len < sizeof(dir) - 1) {
		ts_shared_write(dir + 1, self->l_name + 1, len - 1);
		__atomic_store_n(dir, self->l_name[0], __ATOMIC_RELEASE);	/* last: a reader that sees it sees the rest */
	}
	return dir;
}

/*
 * One page that the kernel empties in a child made by fork (MADV_WIPEONFORK, Linux 4.14) and that a
 * vfork child shares with its parent: so fork and vfork are told apart without hooking either.
 */
static _Atomic int *_Atomic owner_page;
static _Atomic int owner_pid;

static void claim_process(int pid)
{
	void *page = (void *)ts_sys(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	_Atomic int *none = NULL;

	owner_pid = pid;
	if ((unsigned long)page > -4096ul)
		return;
	if (ts_sys(SYS_madvise, page, 4096, MADV_WIPEONFORK) != 0) {
		ts_sys(SYS_munmap, page, 4096);
		return;
	}
	*(_Atomic int *)page = 1;
	if (!atomic_compare_exchange_strong(&owner_page, &none, (_Atomic int *)page))
		ts_sys(SYS_munmap, page, 4096);
}

/* A vfork child shares its parent's memory, which other processes have none of: kcmp(2). */
static bool borrows_memory(int pid)
{
	enum { KCMP_VM = 1 };

	return ts_sys(SYS_kcmp, pid, ts_sys(SYS_getppid), KCMP_VM, 0, 0) == 0;
}

enum ts_process ts_process(void)
{
	int pid = (int)ts_sys(SYS_getpid);

	if (pid == owner_pid)
		return TS_SELF;
	if (owner_pid == 0) {
		if (borrows_memory(pid))
			return TS_VFORK_CHILD;
		claim_process(pid);
		return TS_SELF;
	}
	if (owner_page && *owner_page)
		return TS_VFORK_CHILD;
	/* Forked. Locks held by threads that are not here free themselves: their owners are dead (below). */
	owner_pid = pid;
	if (owner_page)
		*owner_page = 1;
	return TS_SELF;
}

#define WAITERS 0x40000000

static void block_signals(uint64_t *saved)
{
	uint64_t blocked = TS_SIGNALS_BLOCKED;

	ts_sys(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, saved, sizeof(blocked));
}

static void restore_signals(const uint64_t *saved)
{
	ts_sys(SYS_rt_sigprocmask, SIG_SETMASK, saved, NULL, sizeof(*saved));
}

/* Takes the lock from a thread that is not there any more: killed, cancelled, or left in the parent of a fork. */
static bool steal_dead(struct ts_lock *l, int word, int tid)
{
	int owner = word & ~WAITERS;
	long r = l->shared ? ts_sys(SYS_tkill, owner, 0) : ts_sys(SYS_tgkill, ts_sys(SYS_getpid), owner, 0);

	return r == -ESRCH && __sync_bool_compare_and_swap(&l->word, word, tid);
}

/* False where this thread had it already: see ts_lock. */
static bool take(struct ts_lock *l, int tid)
{
	int word;

	for (unsigned spins = 0; !__sync_bool_compare_and_swap(&l->word, 0, tid); spins++) {
		struct timespec brief = { .tv_nsec = 2000000 };

		if (spins < 64) {
			__asm__ volatile("" ::: "memory");
			continue;
		}
		word = __atomic_load_n(&l->word, __ATOMIC_RELAXED);
		if (word == 0)
			continue;
		if ((word & ~WAITERS) == tid)
			return false;
		if (steal_dead(l, word, tid))
			break;
		if (!(word & WAITERS) && !__sync_bool_compare_and_swap(&l->word, word, word | WAITERS))
			continue;
		/* Bounded, so that an owner's death is noticed. */
		ts_sys(SYS_futex, &l->word, FUTEX_WAIT, word | WAITERS, &brief, NULL, 0);
	}
	return true;
}

static void give(struct ts_lock *l)
{
	if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) & WAITERS)
		ts_sys(SYS_futex, &l->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* All that can be blocked among those that the lock blocks. */
static bool all_blocked(uint64_t mask)
{
	return (~mask & TS_SIGNALS_BLOCKED & ~(TS_SIGNAL_BIT(SIGKILL) | TS_SIGNAL_BIT(SIGSTOP))) == 0;
}

void ts_lock(struct ts_lock *l)
{
	uint64_t saved;

	block_signals(&saved);
	/*
	 * Where this thread has the lock, a handler came in the middle of its section. Either that handler is still at it, with the section's
	 * mask, and the mask from before the section is what counts; or it left by longjmp, and the section is over.
	 */
	if (take(l, (int)ts_sys(SYS_gettid)) || !all_blocked(saved))
		l->saved_mask = saved;
}

void ts_unlock(struct ts_lock *l)
{
	uint64_t saved = l->saved_mask;

	give(l);
	restore_signals(&saved);
}

int ts_lock_owner(const struct ts_lock *l)
{
	return __atomic_load_n(&l->word, __ATOMIC_RELAXED) & ~WAITERS;
}

void ts_lock_within(struct ts_lock *l, const struct ts_lock *outer)
{
	take(l, ts_lock_owner(outer));
}

void ts_unlock_within(struct ts_lock *l)
{
	give(l);
}

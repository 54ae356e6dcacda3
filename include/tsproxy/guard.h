/* SPDX-License-Identifier: MIT */
/*
 * The object's standing in its process: settings, load state, fork, locks.
 */
#ifndef TSPROXY_GUARD_H
#define TSPROXY_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "tsproxy/conf.h"

/* errno as an lvalue that needs no thread-local storage of ours: glibc and musl both export this. */
extern int *__errno_location(void);
#define ts_errno (*__errno_location())

/* Settings, read once at load time. Constant afterwards. */
extern struct ts_conf ts_conf;
/* The program is a Go executable: it may connect by raw system calls, so it gets no tailnet names. */
extern bool ts_program_is_go;
/* AT_SECURE: set-user-ID and the like. The loader drops us there unless installed as trusted; then no refresh is started. */
extern bool ts_program_is_secure;
/* The program before this one said that connects are under way on sockets that are open here (handoff.h). */
extern bool ts_connects_pending;
/*
 * True where hooks may act: not disabled. glibc runs a preloaded object's constructor after those of the program's libraries, so the
 * first hook that one of them calls loads the settings. Async-signal-safe.
 */
extern int ts_load_state;
/* No route of the settings makes loopback addresses ours; true where hooks may not act. False until that is known. */
extern bool ts_loopback_is_plain;
void ts_load(void);
static inline bool ts_enabled(void)
{
	if (__builtin_expect(__atomic_load_n(&ts_load_state, __ATOMIC_ACQUIRE) == 0, 0))
		ts_load();
	return __atomic_load_n(&ts_load_state, __ATOMIC_RELAXED) == 2;
}
/*
 * The program has put itself into a seccomp sandbox: any system call that it would not make itself may kill it, so the library makes
 * none any more. Set by the hooks of prctl and syscall (src/hook/sandbox.c), before the kernel sets the filter. Forked children inherit
 * it, as they inherit the filter. A filter that came over exec was set by somebody else (a container, a service manager) for all that
 * runs there; it is not a sandbox of the program's own and does not count.
 */
extern bool ts_sandbox_on;
static inline bool ts_sandboxed(void)
{
	return __builtin_expect(__atomic_load_n(&ts_sandbox_on, __ATOMIC_SEQ_CST), 0);
}

/* glibc 2.32: true while the process never had a second thread. Elsewhere it is not known. */
extern char __libc_single_threaded __attribute__((weak));
static inline bool ts_single_threaded(void)
{
	return &__libc_single_threaded && __libc_single_threaded;
}

/* Directory of libtsproxy.so, ended by '/', from the link map; "" where unknown. */
const char *ts_object_dir(void);

/*
 * Whose memory this is. TS_SELF: this process set its tables up. TS_VFORK_CHILD: another process
 * borrows them until it execs: it must change nothing. After fork the child is TS_SELF again once ts_process
 * has reset what does not survive (locks); it runs the functions registered below.
 */
enum ts_process { TS_SELF, TS_VFORK_CHILD };
enum ts_process ts_process(void);

/*
 * The signals that are blocked where no handler may run, as the kernel's mask. Not among them are those that the kernel raises for what the
 * thread itself does: blocked, they end the process (force_sig), also where the program has a handler. A debugger lives on SIGTRAP, a
 * sandbox on SIGSYS (seccomp's SECCOMP_RET_TRAP).
 */
#define TS_SIGNAL_BIT(sig) (1ull << ((sig) - 1))
#define TS_SIGNALS_BLOCKED \
	(~(TS_SIGNAL_BIT(SIGSEGV) | TS_SIGNAL_BIT(SIGBUS) | TS_SIGNAL_BIT(SIGILL) | TS_SIGNAL_BIT(SIGFPE) | TS_SIGNAL_BIT(SIGTRAP) | \
	   TS_SIGNAL_BIT(SIGSYS)))

/*
 * A lock for short sections without blocking calls and without foreign code. TS_SIGNALS_BLOCKED are blocked while it
 * is held, so that a handler may call a hook. The handler of another signal, which came in such a section all the same (by kill, say),
 * gets the lock that its own thread has, and may leave by longjmp. A lock whose owner is gone (killed, cancelled, or left behind in the parent of a fork)
 * is taken over. A vfork child must not take a lock of its parent's memory: ask ts_process first. Lock order: ARCHITECTURE.md.
 */
struct ts_lock {
	int word;		/* 0 free, else the owner's thread ID; bit 30: somebody waits */
	int shared;		/* it lies in memory that several processes share */
	uint64_t saved_mask;	/* the owner's signal mask */
};
void ts_lock(struct ts_lock *l);
void ts_unlock(struct ts_lock *l);
/* A lock that is only ever taken while `outer` is held: signals are blocked by then, and who asks is known, so no kernel call is needed. */
void ts_lock_within(struct ts_lock *l, const struct ts_lock *outer);
void ts_unlock_within(struct ts_lock *l);
/* The calling thread's ID, where it holds the lock. */
int ts_lock_owner(const struct ts_lock *l);

#endif

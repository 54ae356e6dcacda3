/* SPDX-License-Identifier: MIT */
/*
 * The functions behind the hooks: for every TS_HOOK of hooks.def the next definition of that name after
 * this object in the program's search order (so other preloads behind us are honoured).
 *
 * All are found in one pass over the loader's link map at the first hooked call (src/sys/real.c says why not dlsym).
 * Async-signal-safe and idempotent; any number of threads may run it at once.
 */
#ifndef TSPROXY_REAL_H
#define TSPROXY_REAL_H

#include <netdb.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

struct __res_state;
struct aiocb;
struct gaicb;
struct sigevent;
struct termios;
struct winsize;

struct ts_real {
#define TS_HOOK(result, name, params) result(*name) params;
#include "../../src/sys/hooks.def"
	/* Not hooked, but wanted from libc for its vDSO call. */
	int (*clock_gettime)(clockid_t, struct timespec *);
	/* Nor these, glibc's own: a name to and from its form in DNS, in memory for free(). 0 or EAI_*. */
	int (*__idna_to_dns_encoding)(const char *name, char **result);
	int (*__idna_from_dns_encoding)(const char *name, char **result);
};

/* In one piece: what a hook reads on its way to the real function. */
extern struct ts_real_state {
	int ready;
	struct ts_real table;
} ts_real_state;
/* The real syscall(), for assembler. */
extern void *ts_real_syscall __attribute__((visibility("hidden")));
void ts_real_resolve(void);
/* False for a pointer of the table whose function was not there when the program was loaded. */
bool ts_real_has(const void *function);
/*
 * What such a function is in a library that the program may have loaded since; null where it has not. May take the
 * loader's lock.
 */
void *ts_real_late(const char *library, const char *name);
/* The same, in whatever has been loaded; for who would wait for the loader anyway. */
void *ts_real_loaded(const char *name);

static inline bool ts_real_is_ready(void)
{
	return __builtin_expect(__atomic_load_n(&ts_real_state.ready, __ATOMIC_ACQUIRE), 1);
}

/* The table, resolved. */
static inline const struct ts_real *ts_real(void)
{
	if (!ts_real_is_ready())
		ts_real_resolve();
	return &ts_real_state.table;
}

#endif

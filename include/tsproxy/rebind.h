/* SPDX-License-Identifier: MIT */
/* Makes libc's own definitions of the hooked functions lead to the hooks, for those who do not look where a preloaded object is found. */
#ifndef TSPROXY_REBIND_H
#define TSPROXY_REBIND_H

#include "tsproxy/real.h"

/* Once a process; later calls do nothing. May take the loader's lock, so it is for who asks the loader for something anyway. */
void ts_rebind_libc(void);
/* What a look-up in libc's table found, or what was there before it led to a hook. */
void *ts_rebind_original(void *function);

/*
 * Shared with the assembler of rebind_*.c: one entrance a row of the hook table, TS_REBIND_STEP bytes apart. A call through it goes to
 * libc where it comes from an object in ts_rebind_kin, else to the hook.
 */
#define TS_REBIND_STEP 16
#define TS_REBIND_KIN 32
struct ts_rebind_range {
	unsigned long start, len;	/* len 0 ends the list */
};
extern struct ts_rebind_range ts_rebind_kin[TS_REBIND_KIN + 1] __attribute__((visibility("hidden")));
enum {
#define TS_HOOK(result, name, params) TS_REBIND_ROW_##name,
#define TS_HOOK_RARE TS_HOOK
#include "../../src/sys/hooks.def"
	TS_REBIND_ROWS
};
extern void *ts_rebind_hook[TS_REBIND_ROWS] __attribute__((visibility("hidden")));
extern void *ts_rebind_real[TS_REBIND_ROWS] __attribute__((visibility("hidden")));
extern const char ts_rebind_entrances[] __attribute__((visibility("hidden")));

#endif

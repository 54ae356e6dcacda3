/* SPDX-License-Identifier: MIT */
/*
 * Where a program puts itself into a seccomp sandbox (seccomp(2)): by prctl or by syscall, which is how libseccomp does it.
 *
 * What is needed later is fetched before the filter is set, because nothing can be fetched afterwards: the map, from which addresses
 * and names are told. And libc's own definitions are made to lead to the hooks (rebind.c), for who asks for libc by name in the sandbox.
 * From then on an address of the tailnet is refused, because carrying it takes calls of our own.
 * A filter that is set for one thread only counts for the whole process: that refuses more than it must, and harms nothing.
 * In a vfork child nothing is noted: the note would stay in its parent, whose memory this is.
 */
#include "sandbox.h"

#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include "hook.h"
#include "tsproxy/handoff.h"
#include "tsproxy/family.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/log.h"
#include "tsproxy/names.h"
#include "tsproxy/rebind.h"
#include "tsproxy/sys.h"

/* Whether such a call sets a filter. A null filter only asks what the kernel can do: EFAULT. */
static bool sets_filter(unsigned long mode, const void *filter)
{
	return mode == SECCOMP_MODE_STRICT || (mode == SECCOMP_MODE_FILTER && ts_plausible(filter));
}

/* What was in force before, should the kernel refuse the filter. */
struct before {
	bool entered;
	enum ts_log_level log_level;
	bool trace_on;
};

/* After a fork the loader's lock may have been left behind by a thread that is not here, and glibc waits for that for ever. */
static bool may_take_loaders_lock(void)
{
	return ts_single_threaded() || !ts_family;
}

static struct before enter(void)
{
	struct before b = { false, ts_log_level, ts_trace_on };

	if (!ts_enabled() || ts_sandboxed() || ts_process() != TS_SELF)
		return b;
	ts_debug("the program enters a sandbox: no new connections to the tailnet from now on");
	ts_real();
	if (may_take_loaders_lock())
		ts_rebind_libc();
	ts_handoff_leaving();
	b.entered = true;
	ts_log_level = TS_LOG_OFF;
	ts_trace_on = false;
	__atomic_store_n(&ts_sandbox_on, true, __ATOMIC_SEQ_CST);
	/* Who began before that, in another thread, is let finish: it holds one of these locks. */
	ts_live_keep();
	ts_lock(&ts_fdtab_lock);
	ts_unlock(&ts_fdtab_lock);
	return b;
}

static void entered(const struct before *b, bool succeeded)
{
	if (!b->entered || succeeded)
		return;
	__atomic_store_n(&ts_sandbox_on, false, __ATOMIC_SEQ_CST);
	ts_log_level = b->log_level;
	ts_trace_on = b->trace_on;
	ts_handoff_staying();
}

int prctl(int option, ...)
{
	unsigned long arg[4];
	struct before b;
	va_list ap;
	int r;

	va_start(ap, option);
	for (int i = 0; i < 4; i++)
		arg[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (option != PR_SET_SECCOMP || !sets_filter(arg[0], (const void *)arg[1]))
		return ts_real()->prctl(option, arg[0], arg[1], arg[2], arg[3]);
	b = enter();
	r = ts_real()->prctl(option, arg[0], arg[1], arg[2], arg[3]);
	entered(&b, r == 0);
	return r;
}

/* Results above 0 are a listener's descriptor, or the thread that could not be given the filter (SECCOMP_FILTER_FLAG_TSYNC): then none has it. */
static bool was_set(long r, unsigned long flags)
{
	return r == 0 || (r > 0 && flags & SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

long ts_sandbox_seccomp(long op, unsigned long flags, void *filter)
{
	struct before b;
	long r;

	if ((op != SECCOMP_SET_MODE_STRICT && op != SECCOMP_SET_MODE_FILTER) ||
	    !sets_filter(op == SECCOMP_SET_MODE_STRICT ? SECCOMP_MODE_STRICT : SECCOMP_MODE_FILTER, filter))
		return ts_real()->syscall(SYS_seccomp, op, flags, filter);
	b = enter();
	r = ts_real()->syscall(SYS_seccomp, op, flags, filter);
	entered(&b, was_set(r, flags));
	return r;
}

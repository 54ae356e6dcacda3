/* SPDX-License-Identifier: MIT */
/*
 * fork. Nothing need be done for the child to work: it notices by itself (guard.h). But a connection that is pending at that moment may
 * be completed by either side, and then nothing in the kernel wakes the other one: so it is marked, and looked at now and then.
 */
#include "hook.h"

#include "tsproxy/fdtab.h"
#include "tsproxy/tcp.h"

pid_t fork(void)
{
	if (__builtin_expect(__atomic_load_n(&ts_flow_count, __ATOMIC_RELAXED) != 0, 0))
		ts_tcp_forking();
	return ts_real()->fork();
}

/* SPDX-License-Identifier: MIT */
/*
 * fork. Nothing need be done for the child to work: it notices by itself (guard.h). But a connection that is pending at that moment may
 * be completed by either side, and a socket that is not connected yet be connected by either, and then nothing in the kernel tells the
 * other one: so they are marked, and looked at.
 */
#include "hook.h"

#include "tsproxy/cross.h"

pid_t fork(void)
{
	ts_cross_forking();
	return ts_real()->fork();
}

/* SPDX-License-Identifier: MIT */
/* See sys.h. */
#include "tsproxy/sys.h"

#include <stddef.h>

#define PAGE 4096
#define FAULT 14

bool ts_readable(const void *p, size_t len)
{
	uintptr_t at = (uintptr_t)p & ~7ul, end = (uintptr_t)p + len;

	if (len && (!ts_plausible(p) || end < at))
		return false;
	/* rt_sigprocmask(2) reads the new mask before it looks what is to be done with it. */
	for (; at < end; at = (at | (PAGE - 1)) + 1)
		if (ts_sys(SYS_rt_sigprocmask, ~0, at, NULL, 8) == -FAULT)
			return false;
	return true;
}

bool ts_option_readable(int fd, const int *value)
{
	enum { SOCKET = 1, NONE = -1 };

	/* setsockopt(2) reads the integer before it looks which option it is. */
	return ts_sys(SYS_setsockopt, fd, SOCKET, NONE, value, sizeof(*value)) != -FAULT;
}

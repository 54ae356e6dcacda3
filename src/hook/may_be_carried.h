/* SPDX-License-Identifier: MIT */
/* Whether what the kernel says of a socket is all there is to say. */
#ifndef TSPROXY_HOOK_MAY_BE_CARRIED_H
#define TSPROXY_HOOK_MAY_BE_CARRIED_H

#include "hook.h"

#include "tsproxy/fdtab.h"
#include "tsproxy/tcp.h"

/*
 * Whether the socket may be one of which the kernel does not know all. Of any other the kernel's word is the truth, and nothing need be
 * asked beside what the program asks.
 */
bool ts_may_be_carried(int fd);

static inline bool ts_is_pending(int fd)
{
	return ts_fd_has_flow(fd) && ts_tcp_check(fd) == TS_TCP_PENDING;
}

#endif

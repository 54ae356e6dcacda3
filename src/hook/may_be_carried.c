/* SPDX-License-Identifier: MIT */
#include "may_be_carried.h"

#include "tsproxy/handoff.h"
#include "tsproxy/udp.h"

bool ts_may_be_carried(int fd)
{
	unsigned flags = ts_fd_get_flags(fd);

	if (__builtin_expect(!(flags & (TS_FD_CARRIED | TS_FD_ARRIVED | TS_FD_FLOW | TS_FD_SUSPECT | TS_FD_UDP | TS_FD_SHARED)), 1))
		return false;
	if (ts_sandboxed())
		return flags & TS_FD_UDP;
	ts_handoff_look(fd);
	return ts_fd_get_flags(fd) & TS_FD_CARRIED || ts_fd_has_flow(fd) || ts_fd_is_udp(fd);
}

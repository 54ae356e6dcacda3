/* SPDX-License-Identifier: MIT */
/* What is asked of sockets, of the kernel itself. */
#ifndef TSPROXY_FLOW_SOCK_H
#define TSPROXY_FLOW_SOCK_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "tsproxy/addr.h"
#include "tsproxy/sys.h"

/* An option; 0 where it has none. */
static inline int ts_sock_get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return ts_sys(SYS_getsockopt, fd, level, name, &value, &len) == 0 ? value : 0;
}

static inline void ts_sock_set_int(int fd, int level, int name, int value)
{
	ts_sys(SYS_setsockopt, fd, level, name, &value, sizeof(value));
}

/* What SYS_getsockname or SYS_getpeername says. False where it has none. */
static inline bool ts_sock_name(int fd, long call, struct ts_addr *out)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	return ts_sys(call, fd, &sa, &len) == 0 && ts_addr_from_sockaddr(out, (struct sockaddr *)&sa, len);
}

static inline bool ts_sock_is_nonblocking(int fd)
{
	return ts_sys(SYS_fcntl, fd, F_GETFL, 0) & O_NONBLOCK;
}

/* Whether a call with these flags returns at once. */
static inline bool ts_sock_is_at_once(int fd, int flags)
{
	return flags & MSG_DONTWAIT || ts_sock_is_nonblocking(fd);
}

#endif

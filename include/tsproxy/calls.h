/* SPDX-License-Identifier: MIT */
/* Numbers of kernel calls, those too that are younger than glibc 2.31; they are the same on every machine. */
#ifndef TSPROXY_CALLS_H
#define TSPROXY_CALLS_H

#include <sys/syscall.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#endif

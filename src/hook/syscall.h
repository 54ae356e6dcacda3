/* SPDX-License-Identifier: MIT */
/* syscall(2) by number: the part that all architectures share, and each one's own. */
#ifndef TSPROXY_HOOK_SYSCALL_H
#define TSPROXY_HOOK_SYSCALL_H

/* What syscall(n, ...) does for a number that has a hook. Returns as the hook does: -1 and errno. */
long ts_syscall_hooked(long n, long a, long b, long c, long d, long e, long f);
/* The numbers that only one architecture has; all others go to libc. */
long ts_syscall_arch(long n, long a, long b, long c, long d, long e, long f);

#endif

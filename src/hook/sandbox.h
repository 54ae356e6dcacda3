/* SPDX-License-Identifier: MIT */
/* Between syscall.c and sandbox.c. */
#ifndef TSPROXY_HOOK_SANDBOX_H
#define TSPROXY_HOOK_SANDBOX_H

/* seccomp(2), called by its number. */
long ts_sandbox_seccomp(long op, unsigned long flags, void *filter);

#endif

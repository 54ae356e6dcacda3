/* SPDX-License-Identifier: MIT */
/* syscall() on aarch64: variadic and fixed arguments travel in the same registers, so a plain function serves. */
#if defined(__aarch64__)

#include "hook.h"

#include "syscall.h"

long ts_syscall_fixed(long n, long a, long b, long c, long d, long e, long f) __asm__("syscall");
__attribute__((visibility("default"))) long ts_syscall_fixed(long n, long a, long b, long c, long d, long e, long f)
{
	return ts_syscall_hooked(n, a, b, c, d, e, f);
}

long ts_syscall_arch(long n, long a, long b, long c, long d, long e, long f)
{
	return ts_real()->syscall(n, a, b, c, d, e, f);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Kernel calls made directly, for the object's own needs: they never pass another interposer, never are
 * cancellation points, never touch errno. All return a result or -errno.
 */
#ifndef TSPROXY_SYS_H
#define TSPROXY_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/calls.h"

#if defined(TSPROXY_UNIT)
/* A test's own, which stands between the engine and the kernel (tests/unit/engine.c). */
long ts_syscall6(long n, long a, long b, long c, long d, long e, long f);
#elif defined(__x86_64__)
static inline long ts_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static inline long ts_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
	return x0;
}
#else
#error "tsproxy knows x86-64 and aarch64 only"
#endif

#define TS_SYSCALL_PICK(a, b, c, d, e, f, g, name, ...) name
#define TS_S0(n) ts_syscall6(n, 0, 0, 0, 0, 0, 0)
#define TS_S1(n, a) ts_syscall6(n, (long)(a), 0, 0, 0, 0, 0)
#define TS_S2(n, a, b) ts_syscall6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define TS_S3(n, a, b, c) ts_syscall6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define TS_S4(n, a, b, c, d) ts_syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define TS_S5(n, a, b, c, d, e) ts_syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define TS_S6(n, a, b, c, d, e, f) ts_syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/* ts_sys(SYS_read, fd, buf, len): up to six arguments of any scalar type. */
#define ts_sys(...) TS_SYSCALL_PICK(__VA_ARGS__, TS_S6, TS_S5, TS_S4, TS_S3, TS_S2, TS_S1, TS_S0)(__VA_ARGS__)

/* A folder of that mode, whatever the umask. 0 where it was made or is there, or -errno. */
static inline int ts_make_folder(const char *path, unsigned mode)
{
	enum { CWD = -100, EXISTS = 17 };
	long ret = ts_sys(SYS_mkdirat, CWD, path, mode);

	if (ret == 0)
		ret = ts_sys(SYS_fchmodat, CWD, path, mode);
	return ret == -EXISTS ? 0 : (int)ret;
}

/* How long a file may become by this process' writing (RLIMIT_FSIZE): who writes beyond it is killed by a signal. */
static inline uint64_t ts_file_limit(void)
{
	enum { FSIZE = 1 };
	uint64_t limit[2] = { UINT64_MAX, UINT64_MAX };

	ts_sys(SYS_prlimit64, 0, FSIZE, 0, limit);
	return limit[0];
}

/*
 * Whether a pointer that the program gave can be one at all. A wrong pointer is the kernel's to refuse (EFAULT), so a hook that
 * looks at memory before the kernel does asks first. It costs nothing, and finds null and small numbers taken for pointers.
 */
static inline bool ts_plausible(const void *p)
{
	return (uintptr_t)p >= 65536 && (uintptr_t)p < 1ull << 56;	/* vm.mmap_min_addr; user space */
}

/*
 * Whether `len` bytes there can be read, of the kernel: a system call a page, for calls that take some of ours anyway. Whole words are
 * read, so valgrind minds what was never written beside them.
 */
bool ts_readable(const void *p, size_t len);
/* The same of a socket's integer option. */
bool ts_option_readable(int fd, const int *value);

#endif

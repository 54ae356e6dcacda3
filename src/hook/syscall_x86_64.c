/* SPDX-License-Identifier: MIT */
/*
 * syscall() on x86-64, and the calls that only this architecture still has.
 *
 * A number in the bit set below goes to ts_syscall_hooked with all arguments where they are (the seventh lies on the stack for
 * both); any other is a jump to libc's function, with the stack as the caller left it: vfork returns through it.
 */
#if defined(__x86_64__)

#include "hook.h"

#include "syscall.h"
#include "tsproxy/calls.h"

#define BIT(n) (1ull << (n) % 64)

/* One bit a number, SYS_read to SYS_epoll_pwait2. */
__attribute__((visibility("hidden"), used)) const unsigned long long ts_syscall_set[8] = {
	[0] = BIT(SYS_read) | BIT(SYS_write) | BIT(SYS_close) | BIT(SYS_poll) | BIT(SYS_ioctl) | BIT(SYS_readv) |
	      BIT(SYS_writev) | BIT(SYS_select) | BIT(SYS_dup) | BIT(SYS_dup2) | BIT(SYS_sendfile) | BIT(SYS_socket) |
	      BIT(SYS_connect) | BIT(SYS_bind) | BIT(SYS_sendto) | BIT(SYS_recvfrom) | BIT(SYS_sendmsg) | BIT(SYS_recvmsg) |
	      BIT(SYS_shutdown) | BIT(SYS_execve) | BIT(SYS_getsockname) | BIT(SYS_getpeername) | BIT(SYS_setsockopt) | BIT(SYS_getsockopt),
	[1] = BIT(SYS_fcntl),
	[2] = BIT(SYS_prctl),
	[3] = BIT(SYS_epoll_wait) | BIT(SYS_epoll_ctl),
	[4] = BIT(SYS_pselect6) | BIT(SYS_ppoll) | BIT(SYS_splice) | BIT(SYS_epoll_pwait) | BIT(SYS_dup3) |
	      BIT(SYS_recvmmsg) | BIT(SYS_sendmmsg) | BIT(SYS_seccomp),
	[5] = BIT(SYS_execveat) | BIT(SYS_preadv2) | BIT(SYS_pwritev2),
	[6] = BIT(SYS_io_uring_setup) | BIT(SYS_close_range) | BIT(441 /* epoll_pwait2 */),
};

__asm__(
	".text\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	cmpq $511, %rdi\n"
	"	ja 1f\n"
	"	movq %rdi, %rax\n"
	"	shrq $6, %rax\n"
	"	leaq ts_syscall_set(%rip), %r11\n"
	"	movq (%r11,%rax,8), %rax\n"
	"	btq %rdi, %rax\n"
	"	jc ts_syscall_hooked\n"
	"1:	movq ts_real_syscall(%rip), %rax\n"
	"	testq %rax, %rax\n"
	"	jz 2f\n"
	"	jmp *%rax\n"
	"2:	pushq %rdi\n"
	"	pushq %rsi\n"
	"	pushq %rdx\n"
	"	pushq %rcx\n"
	"	pushq %r8\n"
	"	pushq %r9\n"
	"	subq $8, %rsp\n"
	"	call ts_real_resolve\n"
	"	addq $8, %rsp\n"
	"	popq %r9\n"
	"	popq %r8\n"
	"	popq %rcx\n"
	"	popq %rdx\n"
	"	popq %rsi\n"
	"	popq %rdi\n"
	"	jmp 1b\n"
	".size syscall, . - syscall\n");

long ts_syscall_arch(long n, long a, long b, long c, long d, long e, long f)
{
	switch (n) {
	case SYS_poll:
		return poll((void *)a, (nfds_t)b, (int)c);
	case SYS_select:
		return select((int)a, (void *)b, (void *)c, (void *)d, (void *)e);
	case SYS_epoll_wait:
		return epoll_wait((int)a, (void *)b, (int)c, (int)d);
	case SYS_dup2:
		return dup2((int)a, (int)b);
	default:
		return ts_real()->syscall(n, a, b, c, d, e, f);
	}
}

#endif

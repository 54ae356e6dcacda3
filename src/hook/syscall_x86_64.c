/* SPDX-License-Identifier: MIT */
/*
 * syscall() on x86-64, and the calls that only this architecture still has.
 *
 * A number in the set goes to ts_syscall_hooked with all arguments where they are (the seventh lies on the stack for both); any other is a
 * jump to libc's function, with the stack as the caller left it: vfork returns through it.
 */
#if defined(__x86_64__)

#include "hook.h"

#include "syscall.h"

#define OLD(in, word) in(word, SYS_poll) in(word, SYS_select) in(word, SYS_epoll_wait) in(word, SYS_dup2)

_Static_assert(TS_CALLS_MAX == 512, "the assembler below");

__attribute__((visibility("hidden"), used)) const unsigned long long ts_syscall_set[TS_CALLS_MAX / 64] = {
	TS_CALL_WORD(0, OLD), TS_CALL_WORD(1, OLD), TS_CALL_WORD(2, OLD), TS_CALL_WORD(3, OLD),
	TS_CALL_WORD(4, OLD), TS_CALL_WORD(5, OLD), TS_CALL_WORD(6, OLD), TS_CALL_WORD(7, OLD),
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

/* SPDX-License-Identifier: MIT */
/*
 * syscall() on aarch64. Variadic and fixed arguments travel in the same registers, so a number in the set goes to ts_syscall_hooked with
 * all where they are, and any other to libc's function, by a branch that leaves the stack and the return address as they came.
 */
#if defined(__aarch64__)

#include "hook.h"

#include "syscall.h"

#define NONE(in, word)

_Static_assert(TS_CALLS_MAX == 512, "the assembler below");

__attribute__((visibility("hidden"), used)) const unsigned long long ts_syscall_set[TS_CALLS_MAX / 64] = {
	TS_CALL_WORD(0, NONE), TS_CALL_WORD(1, NONE), TS_CALL_WORD(2, NONE), TS_CALL_WORD(3, NONE),
	TS_CALL_WORD(4, NONE), TS_CALL_WORD(5, NONE), TS_CALL_WORD(6, NONE), TS_CALL_WORD(7, NONE),
};

__asm__(
	".text\n"
	".globl syscall\n"
	".type syscall, %function\n"
	"syscall:\n"
	"	hint #34\n"	/* bti c */
	"	cmp x0, #511\n"
	"	b.hi 1f\n"
	"	adrp x16, ts_syscall_set\n"
	"	add x16, x16, :lo12:ts_syscall_set\n"
	"	lsr x17, x0, #6\n"
	"	ldr x16, [x16, x17, lsl #3]\n"
	"	lsr x16, x16, x0\n"	/* by x0 % 64 */
	"	tbz x16, #0, 1f\n"
	"	b ts_syscall_hooked\n"
	"1:	adrp x16, ts_real_syscall\n"
	"	ldr x16, [x16, :lo12:ts_real_syscall]\n"
	"	cbz x16, 2f\n"
	"	br x16\n"
	"2:	stp x29, x30, [sp, #-80]!\n"
	"	mov x29, sp\n"
	"	stp x0, x1, [sp, #16]\n"
	"	stp x2, x3, [sp, #32]\n"
	"	stp x4, x5, [sp, #48]\n"
	"	str x6, [sp, #64]\n"
	"	bl ts_real_resolve\n"
	"	ldp x0, x1, [sp, #16]\n"
	"	ldp x2, x3, [sp, #32]\n"
	"	ldp x4, x5, [sp, #48]\n"
	"	ldr x6, [sp, #64]\n"
	"	ldp x29, x30, [sp], #80\n"
	"	b 1b\n"
	".size syscall, . - syscall\n");

long ts_syscall_arch(long n, long a, long b, long c, long d, long e, long f)
{
	return ts_real()->syscall(n, a, b, c, d, e, f);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The entrances of rebind.c on x86-64. Where the call comes from is its return address (that of a jump is its caller's: who jumps here
 * from one of our hooks counts as kin, too). Only r10 and r11 are free at a function's start; the rest is kept, al (the number of
 * vector registers of a variadic call) as well.
 */
#if defined(__x86_64__)

#include "tsproxy/rebind.h"

_Static_assert(TS_REBIND_STEP == 16 && sizeof(struct ts_rebind_range) == 16, "the assembler below");

__asm__(
	".text\n"
	".macro ts_rebind_entrance\n"
	"	.balign 16\n"
	"	movl $ts_rebind_row, %r11d\n"
	"	jmp ts_rebind_enter\n"
	"	.set ts_rebind_row, ts_rebind_row + 1\n"
	".endm\n"
	".set ts_rebind_row, 0\n"
	".balign 16\n"
	".hidden ts_rebind_entrances\n"
	".globl ts_rebind_entrances\n"
	"ts_rebind_entrances:\n"
#define TS_HOOK(result, name, params) "ts_rebind_entrance\n"
#define TS_HOOK_RARE TS_HOOK
#include "hooks.def"
	".type ts_rebind_enter, @function\n"
	"ts_rebind_enter:\n"
	"	movq (%rsp), %r10\n"
	"	pushq %rax\n"
	"	pushq %rcx\n"
	"	leaq ts_rebind_kin(%rip), %rcx\n"
	"1:	cmpq $0, 8(%rcx)\n"
	"	je 2f\n"
	"	movq %r10, %rax\n"
	"	subq (%rcx), %rax\n"
	"	addq $16, %rcx\n"
	"	cmpq -8(%rcx), %rax\n"
	"	jae 1b\n"
	"	leaq ts_rebind_real(%rip), %rcx\n"
	"	jmp 3f\n"
	"2:	leaq ts_rebind_hook(%rip), %rcx\n"
	"3:	movq (%rcx,%r11,8), %r11\n"
	"	popq %rcx\n"
	"	popq %rax\n"
	"	jmp *%r11\n"
	".size ts_rebind_enter, . - ts_rebind_enter\n");

#endif

/* SPDX-License-Identifier: MIT */
/* The entrances of rebind.c on aarch64: x30 says where the call comes from; x9 to x17 are free at a function's start. */
#if defined(__aarch64__)

#include "tsproxy/rebind.h"

_Static_assert(TS_REBIND_STEP == 16 && sizeof(struct ts_rebind_range) == 16, "the assembler below");

__asm__(
	".text\n"
	".macro ts_rebind_entrance\n"
	"	.balign 16\n"
	"	hint #34\n"	/* bti c */
	"	mov w16, #ts_rebind_row\n"
	"	b ts_rebind_enter\n"
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
	".type ts_rebind_enter, %function\n"
	"ts_rebind_enter:\n"
	"	adrp x17, ts_rebind_kin\n"
	"	add x17, x17, :lo12:ts_rebind_kin\n"
	"1:	ldp x9, x10, [x17], #16\n"
	"	cbz x10, 2f\n"
	"	sub x9, x30, x9\n"
	"	cmp x9, x10\n"
	"	b.hs 1b\n"
	"	adrp x17, ts_rebind_real\n"
	"	add x17, x17, :lo12:ts_rebind_real\n"
	"	b 3f\n"
	"2:	adrp x17, ts_rebind_hook\n"
	"	add x17, x17, :lo12:ts_rebind_hook\n"
	"3:	ldr x16, [x17, x16, lsl #3]\n"
	"	br x16\n"
	".size ts_rebind_enter, . - ts_rebind_enter\n");

#endif

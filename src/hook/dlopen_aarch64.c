/* SPDX-License-Identifier: MIT */
/* dlopen and dlmopen on aarch64: see dlopen.c. */
#if defined(__aarch64__)

__asm__(
	".text\n"
	".macro ts_load name, prepare\n"
	"	.globl \\name\n"
	"	.type \\name, %function\n"
	"\\name:\n"
	"	.cfi_startproc\n"
	"	hint #34\n"	/* bti c */
	"	stp x29, x30, [sp, #-48]!\n"
	"	.cfi_def_cfa_offset 48\n"
	"	.cfi_offset 29, -48\n"
	"	.cfi_offset 30, -40\n"
	"	mov x29, sp\n"
	"	stp x0, x1, [sp, #16]\n"
	"	str x2, [sp, #32]\n"
	"	bl \\prepare\n"
	"	mov x16, x0\n"
	"	ldr x2, [sp, #32]\n"
	"	ldp x0, x1, [sp, #16]\n"
	"	ldp x29, x30, [sp], #48\n"
	"	.cfi_def_cfa_offset 0\n"
	"	.cfi_restore 29\n"
	"	.cfi_restore 30\n"
	"	br x16\n"
	"	.cfi_endproc\n"
	"	.size \\name, . - \\name\n"
	".endm\n"
	"ts_load dlopen, ts_load_open\n"
	"ts_load dlmopen, ts_load_mopen\n");

#endif

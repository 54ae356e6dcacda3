/* SPDX-License-Identifier: MIT */
/* A program without a libc that exits with 42. */
	.globl _start
	.text
_start:
#if defined(__x86_64__)
	mov $60, %eax
	mov $42, %edi
	syscall
#else
	mov x8, #93
	mov x0, #42
	svc #0
#endif
	.section .note.GNU-stack, "", %progbits

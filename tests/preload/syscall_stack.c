/* SPDX-License-Identifier: MIT */
/*
 * syscall() with a number that has no hook takes no stack: a vfork or clone by its number returns twice on the same one, and what a frame
 * held there would be gone the second time.
 */
/*
 * libc: glibc musl
 * expect: same
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Calls `function` with `number` on a stack whose last usable byte is `top`. */
static long call_on(long (*function)(long, ...), long number, char *top)
{
	long result;

#if defined(__x86_64__)
	__asm__ volatile("movq %%rsp, %%rbx\n\tmovq %3, %%rsp\n\tcall *%1\n\tmovq %%rbx, %%rsp"
			 : "=a"(result) : "r"(function), "D"(number), "r"(top)
			 : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
#elif defined(__aarch64__)
	register long x0 __asm__("x0") = number;

	__asm__ volatile("mov x19, sp\n\tmov sp, %2\n\tblr %1\n\tmov sp, x19"
			 : "+r"(x0) : "r"(function), "r"(top)
			 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
			   "x18", "x19", "x30", "memory", "cc");
	result = x0;
#endif
	return result;
}

int main(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory, (size_t)page, PROT_NONE) != 0)
		return 1;
	if (syscall(SYS_gettid) != getpid())	/* once as usual: what is looked up at the first call is there */
		return 2;
	/* x86-64's call instruction itself takes 8 bytes, and the stack is to be a multiple of 16. */
	printf("%d\n", call_on(syscall, SYS_gettid, memory + page + 16) == getpid());
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* A 32-bit program that prints its environment. It needs no more than a 32-bit libc, without its headers and start files. */
extern int puts(const char *text);
extern void exit(int status) __attribute__((noreturn));
extern char **environ;

void _start(void);
__attribute__((force_align_arg_pointer)) void _start(void)
{
	for (char **variable = environ; *variable; variable++)
		puts(*variable);
	exit(0);
}

/* SPDX-License-Identifier: MIT */
/* Hooks that look for libc's function when they are called find it in a program that has asked for libc by name, too. */
/*
 * libc: glibc
 * expect: child gone
 */
#include <dlfcn.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int master, status;
	pid_t pid;

	if (!dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD))
		return 1;
	pid = forkpty(&master, NULL, NULL, NULL);
	if (pid == 0)
		_exit(gethostid() == -1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return 1;
	puts("child gone");
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* starter WAY PROGRAM [NAME=VALUE]...: starts it, with these variables alone or its own. Waits where it does not become it. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char *program, **words, **variables;

static int wait_for(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static int by_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execve(program, words, variables);
		_exit(127);
	}
	return wait_for(pid);
}

static int by_spawn(__typeof__(posix_spawn) *spawn)
{
	pid_t pid;

	return spawn(&pid, program, NULL, NULL, words, variables) ? 126 : wait_for(pid);
}

static int start(const char *way)
{
	if (strcmp(way, "execve") == 0)
		return execve(program, words, variables);
	if (strcmp(way, "execv") == 0)
		return execv(program, words);
	if (strcmp(way, "execvp") == 0)
		return execvp(program, words);
	if (strcmp(way, "execvpe") == 0)
		return execvpe(program, words, variables);
	if (strcmp(way, "execl") == 0)
		return execl(program, program, NULL);
	if (strcmp(way, "execlp") == 0)
		return execlp(program, program, NULL);
	if (strcmp(way, "execle") == 0)
		return execle(program, program, NULL, variables);
	if (strcmp(way, "fexecve") == 0)
		return fexecve(open(program, O_RDONLY), words, variables);
	if (strcmp(way, "execveat") == 0)
		return execveat(AT_FDCWD, program, words, variables, 0);
	if (strcmp(way, "execveat-empty") == 0)
		return execveat(open(program, O_RDONLY), "", words, variables, AT_EMPTY_PATH);
	if (strcmp(way, "number") == 0)
		return (int)syscall(SYS_execve, program, words, variables);
	if (strcmp(way, "vfork") == 0)
		return by_vfork();
	if (strcmp(way, "posix_spawn") == 0)
		return by_spawn(posix_spawn);
	if (strcmp(way, "posix_spawnp") == 0)
		return by_spawn(posix_spawnp);
	return 2;
}

int main(int argc, char **argv)
{
	char *only[] = { NULL, NULL };
	int r;

	program = only[0] = argv[2];
	words = only;
	variables = argc > 3 ? argv + 3 : environ;
	r = start(argv[1]);
	if (r < 0)
		perror(argv[1]);
	return r < 0 ? 127 : r;
}

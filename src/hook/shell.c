/* SPDX-License-Identifier: MIT */
/*
 * system and popen: libc starts the shell itself, past the hooks of exec.c. So what the programs that the shell starts are to know
 * (handoff.h) is put in front of the command. The shell itself does not learn of it: its own `read` and `echo` are not served.
 */
#include "hook.h"

#include <string.h>
#include <unistd.h>

#include "tsproxy/handoff.h"

#define COMMAND_MAX 32768	/* a longer one is not told: it must fit on the stack */
static const char first[] = "export " TS_HANDOFF_VARIABLE ";";

static bool concerned(const char *command)
{
	return command && ts_exec_told(environ, true) && strlen(command) < COMMAND_MAX;
}

/* `space`, for both: null where the command stays as it is. */
static const char *told(char *space, const char *command)
{
	if (!space)
		return command;
	memcpy(space, first, sizeof(first) - 1);
	memcpy(space + sizeof(first) - 1, command, strlen(command) + 1);
	return space;
}

int system(const char *command)
{
	char *space = concerned(command) ? __builtin_alloca(sizeof(first) + strlen(command)) : NULL;

	return ts_real()->system(told(space, command));
}

FILE *popen(const char *command, const char *type)
{
	char *space = concerned(command) ? __builtin_alloca(sizeof(first) + strlen(command)) : NULL;

	return ts_real()->popen(told(space, command), type);
}

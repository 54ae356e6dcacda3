/* SPDX-License-Identifier: MIT */
/* What the launcher says: the help text, and one line at a time on standard error. */
#ifndef TSPROXY_CLI_HELP_H
#define TSPROXY_CLI_HELP_H

/* Exit statuses of the launcher's own (the others are the program's). */
enum ts_exit {
	TS_EXIT_USAGE = 2,		/* wrong option, setting or sub-command */
	TS_EXIT_NOT_RUN = 126,		/* found, but it cannot be run, or is not supported */
	TS_EXIT_NOT_FOUND = 127,
};

/* Exit statuses: 1 where standard output does not take it. */
int ts_help_print(void);
int ts_help_version(int json);

/* Writes "tsproxy: ", the strings and a newline to standard error, in one write(2). */
#define ts_say(...) ts_say_parts((const char *const[]){ __VA_ARGS__, (const char *)0 })
void ts_say_parts(const char *const *parts);

#endif

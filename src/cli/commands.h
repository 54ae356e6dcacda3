/* SPDX-License-Identifier: MIT */
#ifndef TSPROXY_CLI_COMMANDS_H
#define TSPROXY_CLI_COMMANDS_H

#include <stdbool.h>

/* True where `word` is the name of a sub-command. */
bool ts_command_is(const char *word);

/* The sub-command that `word` is most likely a misspelling of, or null. */
const char *ts_command_like(const char *word);

#endif

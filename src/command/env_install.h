/* SPDX-License-Identifier: MIT */
/* The line in a shell's start-up file that makes tsproxy active in each new shell. */
#ifndef TSPROXY_COMMAND_ENV_INSTALL_H
#define TSPROXY_COMMAND_ENV_INSTALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Puts the line into the start-up file of `shell` (bash, zsh, fish; any other: ~/.profile), in place of an earlier one.
 * `settings` (`count` of them) are names of variables: those that are set now are given to tsproxy in the line.
 * The file is replaced by rename(2), keeps its mode, and a symbolic link to it stays one. Returns an exit status; says
 * on standard output what was done, or on standard error why it could not be.
 */
int ts_env_install(const char *shell, const char *const *settings, size_t count);
/* Takes the line out again. */
int ts_env_uninstall(const char *shell);

/* Prints `s` in single quotes as the shells read them: fish takes a backslash inside for an escape. */
void ts_env_put_quoted(FILE *to, const char *s, bool fish);

#endif

/* SPDX-License-Identifier: MIT */
/* `tsproxy -- command`: everything up to execve. */
#ifndef TSPROXY_CLI_RUN_H
#define TSPROXY_CLI_RUN_H

#include "environ.h"
#include "options.h"

/* Becomes the command. Returns only where that fails, with the exit status, after one line. */
int ts_run(const struct ts_options *opt, struct ts_environ *env);

#endif

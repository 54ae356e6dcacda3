/* SPDX-License-Identifier: MIT */
/*
 * The command line of tsproxy. An option that is a setting becomes its TSPROXY_* variable, so that options,
 * environment and every process below mean the same, and all of them are judged in one place.
 */
#ifndef TSPROXY_CLI_OPTIONS_H
#define TSPROXY_CLI_OPTIONS_H

#include <stdbool.h>

#include "environ.h"

struct ts_options {
	bool help, version, json, dry_run, verbose;
	bool literal;		/* -- ended the options: what follows is a program */
	char **words;		/* what follows the options; ends with a null pointer */
};

/*
 * Reads the options before the first word, starting at `args`, and puts settings into `env`. Called once
 * more behind the word `run`. Returns 0, or the exit status after one line that says what is wrong.
 */
int ts_options_parse(struct ts_options *opt, char **args, struct ts_environ *env);

/*
 * Judges every setting in `env`, wherever it came from, and makes its file names absolute. Returns 0, or the
 * exit status after one line that says what is wrong.
 */
int ts_options_judge(struct ts_environ *env);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tsproxy, the launcher: reads its options, then becomes the command, or the program that a sub-command is.
 * A sub-command of its own process keeps this one small: its start-up is paid by every use.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "environ.h"
#include "help.h"
#include "options.h"
#include "parts.h"
#include "place.h"
#include "program.h"
#include "run.h"

/* A sub-command looks at the map that a command would get. */
static void find_place(struct ts_environ *env)
{
	struct ts_conf conf;

	ts_conf_load(&conf, env->v);
	if (!conf.disable)
		ts_place_find(&conf, env);
}

/* Becomes tsproxy-`command` with `args` behind it. */
static int exec_command(const char *command, char **args, bool json, struct ts_environ *env)
{
	const char *file = ts_parts_command(command);
	size_t n = 0, at = 1;
	char **argv;

	if (!file) {
		ts_say(command, ": not available yet (for a program of that name: tsproxy -- ", command,
		       ")");
		return TS_EXIT_USAGE;
	}
	while (args[n])
		n++;
	argv = ts_environ_alloc((n + 3) * sizeof(*argv));
	argv[0] = ts_join("tsproxy-", command);
	if (json)
		argv[at++] = (char *)"--json";
	memcpy(argv + at, args, (n + 1) * sizeof(*argv));
	find_place(env);
	execve(file, argv, env->v);
	ts_say(file, ": ", strerror(errno));
	return TS_EXIT_NOT_RUN;
}

/* --dry-run: the words go behind "--", so that none is taken for an option. */
static int explain(struct ts_options *opt, struct ts_environ *env)
{
	size_t n = 0;
	char **args;

	while (opt->words[n])
		n++;
	args = ts_environ_alloc((n + 2) * sizeof(*args));
	args[0] = (char *)"--";
	memcpy(args + 1, opt->words, (n + 1) * sizeof(*args));
	return exec_command("explain", args, opt->json, env);
}

/* A sub-command that is a program of its own. */
static bool is_program(const char *word)
{
	return ts_command_is(word) && strcmp(word, "run") != 0 && strcmp(word, "help") != 0 && strcmp(word, "version") != 0;
}

static int summary(const char *word, struct ts_environ *env)
{
	static char *ask[] = { (char *)"--help", NULL };

	return word && is_program(word) ? exec_command(word, ask, false, env) : ts_help_print();
}

/* The manual page, where there is one and somebody to show it; else the summary. */
static int help(const char *word, struct ts_environ *env)
{
	const char *page = word && is_program(word) ? ts_parts_page(word) : NULL, *like;
	char *argv[] = { (char *)"man", (char *)page, NULL };
	char man[PATH_MAX];

	if (word && !ts_command_is(word)) {
		like = ts_command_like(word);
		ts_say("help: there is no sub-command ", word, like ? "; did you mean " : "; see tsproxy --help", like ? like : "",
		       like ? "?" : "");
		return TS_EXIT_USAGE;
	}
	if (page && ts_program_find(argv[0], ts_env_get(env->v, "PATH"), man) == 0)
		execve(man, argv, env->v);
	return summary(word, env);
}

static int command_line(struct ts_options *opt, char **args, struct ts_environ *env)
{
	int ret = ts_options_parse(opt, args, env);
	const char *word;

	if (ret)
		return ret;
	if (opt->help)
		return summary(opt->words[0], env);
	if (opt->version)
		return ts_help_version(opt->json);
	word = opt->words[0];
	if (word && !opt->literal && strcmp(word, "help") == 0)
		return help(opt->words[1], env);
	if (word && !opt->literal && strcmp(word, "version") == 0)
		return ts_help_version(opt->json || (opt->words[1] && strcmp(opt->words[1], "--json") == 0));
	if (word && !opt->literal && strcmp(word, "run") == 0) {
		args = opt->words + 1;
		opt->literal = true;	/* a second "run" is a program */
		return command_line(opt, args, env);
	}
	ret = ts_options_judge(env);
	if (ret)
		return ret;
	if (word && !opt->literal && ts_command_is(word))
		return exec_command(word, opt->words + 1, opt->json, env);
	if (!word) {
		ts_say("no command given; see tsproxy --help");
		return TS_EXIT_USAGE;
	}
	if (opt->dry_run)
		return explain(opt, env);
	if (opt->json) {
		ts_say("--json: ", word, " is a program; only sub-commands print JSON");
		return TS_EXIT_USAGE;
	}
	return ts_run(opt, env);
}

/* Called by the name of what it stands in for, the launcher takes that one's words. */
static bool is_proxychains(const char *name)
{
	const char *slash = strrchr(name, '/');

	name = slash ? slash + 1 : name;
	return strcmp(name, "proxychains4") == 0 || strcmp(name, "proxychains") == 0;
}

int main(int argc, char **argv, char **envp)
{
	struct ts_options opt = { 0 };
	struct ts_environ env;

	ts_environ_copy(&env, envp);
	if (argc > 0 && is_proxychains(argv[0]))
		return exec_command("proxychains", argv + 1, false, &env);
	return command_line(&opt, argc > 0 ? argv + 1 : argv, &env);
}

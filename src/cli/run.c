/* SPDX-License-Identifier: MIT */
/*
 * Becoming the command. The order is: is there such a program, can it be served, is the map there, exec;
 * so that a mistyped name costs nothing and a program that is not supported never starts.
 *
 * A program built with gcc's AddressSanitizer ends itself when another object comes before its runtime. That check,
 * not the order, is the trouble (its interceptors and our hooks find each other either way), so ASAN_OPTIONS
 * switches it off. It is exported for every command, because the shell that runs here may start such a program later.
 */
#include "run.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "help.h"
#include "parts.h"
#include "place.h"
#include "program.h"
#include "start_map.h"
#include "way.h"
#include "tsproxy/conf.h"

#define OBJECT_NAME "libtsproxy.so"
#define ASAN_OPTION "verify_asan_link_order=0"

static int find(const char *name, bool literal, const char *path, char file[PATH_MAX])
{
	int ret = ts_program_find(name, path, file);
	const char *like;

	if (ret == 0)
		return 0;
	if (ret == -ENOENT || ret == -ENOTDIR) {
		like = literal || strchr(name, '/') ? NULL : ts_command_like(name);
		ts_say(*name ? name : "''", ": command not found", like ? "; did you mean the sub-command " : "", like ? like : "",
		       like ? "?" : "");
		return TS_EXIT_NOT_FOUND;
	}
	ts_say(name, ": ", strerror(-ret));
	return TS_EXIT_NOT_RUN;
}

/* 0 where the program may start, else the exit status after one line. */
static int judge(const char *name, const struct ts_program *p, const struct ts_conf *conf)
{
	const char *via = strcmp(name, p->culprit) == 0 ? "" : name;
	const char *colon = *via ? ": " : "";

	switch (p->verdict) {
	case TS_PROGRAM_OK:
		return 0;
	case TS_PROGRAM_UNREADABLE:
		ts_say(via, colon, p->culprit,
		       " cannot be read: if it is a static or Go program, it runs without tsproxy");
		return 0;
	case TS_PROGRAM_BROKEN:
		ts_say(via, colon, p->culprit, ": cannot execute binary file");
		break;
	case TS_PROGRAM_NO_INTERPRETER:
		ts_say(name, ": interpreter ", p->culprit, " not found");
		break;
	case TS_PROGRAM_FOREIGN:
		ts_say(via, colon, p->culprit, " is for a different processor than " OBJECT_NAME "; not run");
		break;
	case TS_PROGRAM_STATIC:
		ts_say(via, colon, p->culprit,
		       " is a static program, which tsproxy does not support yet; not run (", ts_way_instead(conf->map_path), ")");
		break;
	case TS_PROGRAM_GO:
		ts_say(via, colon, p->culprit, " is a Go program, which tsproxy does not support yet; not run (",
		       ts_way_instead(conf->map_path), ")");
		break;
	case TS_PROGRAM_PRIVILEGED:
		ts_say(via, colon, p->culprit, " is set-user-ID, set-group-ID or has capabilities, so the loader ignores"
		       " tsproxy; not run (start tsproxy from inside it)");
		break;
	}
	return TS_EXIT_NOT_RUN;
}

static bool is_object(const char *entry, size_t len)
{
	size_t n = strlen(OBJECT_NAME);

	return len >= n && memcmp(entry + len - n, OBJECT_NAME, n) == 0 && (len == n || entry[len - n - 1] == '/');
}

/* Ours in front, then whatever the user has, but for another of ours (a launcher above us, another build). */
static void set_preload(struct ts_environ *env, const char *object)
{
	const char *old = ts_env_get(env->v, "LD_PRELOAD");
	char *list = ts_join(object, ":", old ? old : ""), *to = list + strlen(object);

	while (old && *old) {
		size_t len = strcspn(old, ": ");

		if (len && !is_object(old, len)) {
			*to++ = ':';
			memcpy(to, old, len);
			to += len;
		}
		old += len + (old[len] != '\0');
	}
	*to = '\0';
	ts_environ_set(env, "LD_PRELOAD", list);
}

static void set_asan_options(struct ts_environ *env)
{
	const char *old = ts_env_get(env->v, "ASAN_OPTIONS");

	if (!old || !*old)
		ts_environ_set(env, "ASAN_OPTIONS", ASAN_OPTION);
	else if (!strstr(old, "verify_asan_link_order="))
		ts_environ_set(env, "ASAN_OPTIONS", ts_join(old, ":" ASAN_OPTION));
}

static int preload(struct ts_conf *conf, struct ts_environ *env)
{
	const char *object = ts_parts_object(), *name;

	if (!object) {
		ts_say(OBJECT_NAME " was not found next to tsproxy or in ../lib; install tsproxy again");
		return TS_EXIT_NOT_RUN;
	}
	name = ts_parts_preload(object, conf->map_path);
	/* The folder of the map may not be there yet. */
	if (!name && ts_place_find(conf, env))
		name = ts_parts_preload(object, conf->map_path);
	if (!name) {
		ts_say(object, ": LD_PRELOAD does not support paths with a space or a colon; move tsproxy elsewhere");
		return TS_EXIT_NOT_RUN;
	}
	set_preload(env, name);
	set_asan_options(env);
	return 0;
}

/* What no kernel format claims, execvp(3) and every shell give to sh. */
static void exec_as_script(const char *file, char **words, struct ts_environ *env)
{
	size_t n = 0;
	char **argv;

	while (words[n])
		n++;
	argv = ts_environ_alloc((n + 2) * sizeof(*argv));
	argv[0] = (char *)"sh";
	argv[1] = (char *)file;
	memcpy(argv + 2, words + 1, n * sizeof(*argv));
	execve("/bin/sh", argv, env->v);
}

static int become(const char *file, char **words, struct ts_environ *env)
{
	int err;

	execve(file, words, env->v);
	if (errno == ENOEXEC)
		exec_as_script(file, words, env);
	err = errno;
	/* The file itself was there a moment ago. */
	ts_say(words[0], ": ", err == ENOENT ? "interpreter not found" : strerror(err));
	return TS_EXIT_NOT_RUN;
}

/* What leads to the tailnet, told where -v asks for it, and required by --require. 0 or the exit status. */
static int look_at_way(const struct ts_conf *conf, bool verbose, const struct ts_environ *env)
{
	const char *require = ts_env_get(env->v, "TSPROXY_REQUIRE"), *map = ts_env_get(env->v, "TSPROXY_MAP");
	bool required = require && *require && strcmp(require, "0") != 0;
	struct ts_way way;

	if (!verbose && !required)
		return 0;
	ts_way_find(map && *map ? map : conf->map_path, &way);
	if (verbose || way.kind < TS_WAY_PROXY)
		ts_way_say(&way);
	return required && way.kind < TS_WAY_PROXY ? TS_EXIT_NOT_RUN : 0;
}

static int prepare_map(struct ts_conf *conf, struct ts_environ *env)
{
	if (ts_refresh_is_stream(env) && !ts_env_get(env->v, "TSPROXY_MAP"))
		return ts_refresh_from_stream(env);
	return ts_refresh_map(conf, env);
}

int ts_run(const struct ts_options *opt, struct ts_environ *env)
{
	const char *path = ts_env_get(env->v, "PATH");
	struct ts_program program;
	struct ts_conf conf;
	char file[PATH_MAX];
	int ret;

	ret = find(opt->words[0], opt->literal, path, file);
	if (ret)
		return ret;
	ts_conf_load(&conf, env->v);
	if (conf.disable)
		return become(file, opt->words, env);
	ts_program_check(file, path, &program);
	ret = judge(opt->words[0], &program, &conf);
	if (ret == 0)
		ret = preload(&conf, env);
	if (ret == 0)
		ret = prepare_map(&conf, env);
	if (ret == 0)
		ret = look_at_way(&conf, opt->verbose, env);
	if (ret == 0)
		ts_place_tell(&conf, env);
	return ret ? ret : become(file, opt->words, env);
}

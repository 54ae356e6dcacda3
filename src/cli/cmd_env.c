/* SPDX-License-Identifier: MIT */
/*
 * tsproxy-env: what a shell evaluates so that all it starts from then on is served.
 *
 * The text decides when it is evaluated, not when it is made: it takes our object out of LD_PRELOAD, keeps the rest, and
 * puts the object in front where it can be read. So it may be evaluated again and again, be kept in a file, and undoes
 * itself in new shells once tsproxy is removed. TSPROXY_ENV names the settings that it changed, for --off. Every
 * statement ends with a semicolon, because eval without quotes joins the lines.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../command/env_install.h"
#include "parts.h"
#include "tsproxy/tool.h"

static const char usage[] = "usage: tsproxy env [options] [--shell NAME] [--off | --install | --uninstall]\n"
			    "Prints commands that make tsproxy active in a shell and all that it starts:\n"
			    "    eval \"$(tsproxy env)\"          bash, zsh, sh\n"
			    "    tsproxy env | source           fish\n"
			    "  --shell NAME          bash, zsh, fish, sh (default: the calling shell)\n"
			    "  --off                 print commands that make it inactive again\n"
			    "  --install             make it active in each new shell (.bashrc etc.)\n"
			    "  --uninstall           remove that line\n";

#define OBJECT "libtsproxy.so"
#define ASAN "verify_asan_link_order=0" /* as the launcher sets it (run.c) */

static const char *const settings[] = {
	"TSPROXY_SOCKS5",      "TSPROXY_HTTP_PROXY", "TSPROXY_STATUS",    "TSPROXY_SOCKET",      "TSPROXY_PROFILE",
	"TSPROXY_ROUTE",       "TSPROXY_EXCLUDE",    "TSPROXY_DNS_ROUTE", "TSPROXY_REMOTE_NAME", "TSPROXY_EXIT_NODE",
	"TSPROXY_SHORT_NAMES", "TSPROXY_INBOUND",    "TSPROXY_MODE",      "TSPROXY_LOG",         "TSPROXY_MAP",
	"TSPROXY_PLACE",
};
#define SETTINGS (sizeof(settings) / sizeof(*settings))
#define LASTING (SETTINGS - 2)	/* the map's name and place are found anew in each session */

static void put_quoted(const char *s, bool fish)
{
	ts_env_put_quoted(stdout, s, fish);
}

/* Whether TSPROXY_ENV, which --off follows, names this setting. */
static bool is_ours(const char *setting)
{
	const char *list = getenv("TSPROXY_ENV"), *at = list;
	size_t len = strlen(setting);

	while (at && (at = strstr(at, setting)) != NULL) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
		at += len;
	}
	return false;
}

static void sh_keep(void)
{
	printf("tsproxy_keep=; tsproxy_list=\"${LD_PRELOAD-}:\";\n"
	       "while [ -n \"$tsproxy_list\" ]; do\n"
	       "tsproxy_item=\"${tsproxy_list%%%%[: ]*}\"; tsproxy_list=\"${tsproxy_list#*[: ]}\";\n"
	       "case \"$tsproxy_item\" in ''|" OBJECT "|*/" OBJECT ") ;;\n"
	       "*) tsproxy_keep=\"${tsproxy_keep:+$tsproxy_keep:}$tsproxy_item\" ;; esac;\n"
	       "done;\n");
}

static void sh_restore(void)
{
	printf("if [ -n \"$tsproxy_keep\" ]; then LD_PRELOAD=\"$tsproxy_keep\"; export LD_PRELOAD;"
	       " else unset LD_PRELOAD; fi;\n");
}

static void sh_on(const char *object)
{
	sh_keep();
	printf("if [ -r ");
	put_quoted(object, false);
	printf(" ]; then\nLD_PRELOAD=");
	put_quoted(object, false);
	printf("\"${tsproxy_keep:+:$tsproxy_keep}\"; export LD_PRELOAD;\n"
	       "case \"${ASAN_OPTIONS-}\" in *verify_asan_link_order=*) ;;\n"
	       "*) ASAN_OPTIONS=\"${ASAN_OPTIONS:+$ASAN_OPTIONS:}" ASAN "\"; export ASAN_OPTIONS ;; esac;\n");
	for (size_t i = 0; i < SETTINGS; i++) {
		const char *value = getenv(settings[i]), *name = settings[i];

		if (!value || !*value)
			continue;
		printf("if [ \"${%s-}\" != ", name);
		put_quoted(value, false);
		printf(" ]; then %s=", name);
		put_quoted(value, false);
		printf("; export %s;\ncase \" ${TSPROXY_ENV-} \" in *\" %s \"*) ;;\n"
		       "*) TSPROXY_ENV=\"${TSPROXY_ENV:+$TSPROXY_ENV }%s\"; export TSPROXY_ENV ;; esac; fi;\n",
		       name, name, name);
	}
	printf("else\n");
	sh_restore();
	printf("fi;\nunset tsproxy_keep tsproxy_list tsproxy_item;\n");
}

static void sh_off(void)
{
	sh_keep();
	sh_restore();
	printf("case \"${ASAN_OPTIONS-}\" in " ASAN ") unset ASAN_OPTIONS ;;\n"
	       "*:" ASAN ") ASAN_OPTIONS=\"${ASAN_OPTIONS%%:" ASAN "}\" ;; esac;\n");
	for (size_t i = 0; i < SETTINGS; i++)
		if (is_ours(settings[i]))
			printf("unset %s;\n", settings[i]);
	printf("unset TSPROXY_ENV tsproxy_keep tsproxy_list tsproxy_item;\n");
}

static void fish_keep(void)
{
	printf("begin;\nset -l keep;\n"
	       "for item in (string split -n : -- (string split -n ' ' -- \"$LD_PRELOAD\"));\n"
	       "string match -q -r '(^|/)libtsproxy\\\\.so$' -- $item; or set -a keep $item;\nend;\n");
}

static void fish_restore(void)
{
	printf("if set -q keep[1];\nset -gx LD_PRELOAD (string join : -- $keep);\nelse;\nset -e LD_PRELOAD;\nend;\n");
}

static void fish_on(const char *object)
{
	fish_keep();
	printf("if test -r ");
	put_quoted(object, true);
	printf(";\nset -gx LD_PRELOAD (string join : -- ");
	put_quoted(object, true);
	printf(" $keep);\nstring match -q '*verify_asan_link_order=*' -- \"$ASAN_OPTIONS\";\n"
	       "or set -gx ASAN_OPTIONS (string trim -l -c : -- \"$ASAN_OPTIONS:" ASAN "\");\n");
	for (size_t i = 0; i < SETTINGS; i++) {
		const char *value = getenv(settings[i]), *name = settings[i];

		if (!value || !*value)
			continue;
		printf("if test \"$%s\" != ", name);
		put_quoted(value, true);
		printf(";\nset -gx %s ", name);
		put_quoted(value, true);
		printf(";\ncontains -- %s (string split -n ' ' -- \"$TSPROXY_ENV\");\n"
		       "or set -gx TSPROXY_ENV (string trim -- \"$TSPROXY_ENV %s\");\nend;\n",
		       name, name);
	}
	printf("else;\n");
	fish_restore();
	printf("end;\nend;\n");
}

static void fish_off(void)
{
	fish_keep();
	fish_restore();
	printf("if test \"$ASAN_OPTIONS\" = " ASAN ";\nset -e ASAN_OPTIONS;\nelse if set -q ASAN_OPTIONS;\n"
	       "set -gx ASAN_OPTIONS (string replace -r ':" ASAN "$' '' -- \"$ASAN_OPTIONS\");\nend;\n");
	for (size_t i = 0; i < SETTINGS; i++)
		if (is_ours(settings[i]))
			printf("set -e %s;\n", settings[i]);
	printf("set -e TSPROXY_ENV;\nend;\n");
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_posix(const char *shell)
{
	static const char *const names[] = { "bash", "zsh", "sh", "dash", "ksh", "ksh93", "mksh", "ash", "busybox" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(shell, names[i]) == 0)
			return true;
	return false;
}

/* The program that evaluates what we print is our parent; where that is no shell, the user's own is meant. */
static const char *asking_shell(char *buf, size_t cap)
{
	const char *login = getenv("SHELL");
	char path[32];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)getppid());
	f = fopen(path, "re");
	if (f && fgets(buf, (int)cap, f))
		buf[strcspn(buf, "\n")] = '\0';
	else
		buf[0] = '\0';
	if (f)
		fclose(f);
	if (is_posix(buf) || strcmp(buf, "fish") == 0)
		return buf;
	return login && *login ? base_name(login) : "sh";
}

/* The object's name where a shell can use it, else null (said). */
static const char *usable_object(const struct ts_conf *conf)
{
	const char *status = getenv("TSPROXY_STATUS"), *object = ts_parts_object(), *name;

	if (status && ts_conf_stream(status) >= 0) {
		ts_tool_error("env: --status %s can only be read once, which is not enough for a shell; use a file", status);
		return NULL;
	}
	if (!object) {
		ts_tool_error(OBJECT " was not found next to tsproxy or in ../lib; install tsproxy again");
		return NULL;
	}
	name = ts_parts_preload(object, conf->map_path);
	if (!name)
		ts_tool_error("%s: LD_PRELOAD does not support paths with a space or a colon; move tsproxy elsewhere",
			      object);
	return name;
}

int main(int argc, char **argv)
{
	const char *shell = NULL, *object = NULL;
	char parent[64];
	struct ts_conf conf;
	bool off, install, uninstall, fish;
	int ret;

	ret = ts_options_begin(&argc, argv, usage, NULL, &conf);
	if (ret)
		return ret < 0 ? 0 : ret;
	off = ts_options_flag(&argc, argv, "--off");
	install = ts_options_flag(&argc, argv, "--install");
	uninstall = ts_options_flag(&argc, argv, "--uninstall");
	ret = ts_options_value(&argc, argv, "--shell", &shell);
	if (ret == 0)
		ret = ts_options_end(&argc, argv);
	if (ret)
		return ret;
	if (argc > 1) {
		ts_tool_error("env takes no arguments (for the program env: tsproxy -- env); see --help");
		return 2;
	}
	if (off + install + uninstall > 1) {
		ts_tool_error("env: --off, --install and --uninstall exclude each other");
		return 2;
	}
	shell = shell ? base_name(shell) : asking_shell(parent, sizeof(parent));
	fish = strcmp(shell, "fish") == 0;
	if (!fish && !is_posix(shell)) {
		ts_tool_error("env: the shell %s is not supported; use bash, zsh, fish or sh", shell);
		return 2;
	}
	if (uninstall)
		return ts_env_uninstall(shell);
	if (!off && !(object = usable_object(&conf)))
		return 1;
	if (install)
		return ts_env_install(shell, settings, LASTING);
	if (isatty(STDOUT_FILENO))
		fprintf(stderr, fish ? "tsproxy: to run these commands in this shell: tsproxy env%s | source\n" :
				       "tsproxy: to run these commands in this shell: eval \"$(tsproxy env%s)\"\n",
			off ? " --off" : "");
	if (off)
		(fish ? fish_off : sh_off)();
	else
		(fish ? fish_on : sh_on)(object);
	return ts_tool_flush();
}

/* SPDX-License-Identifier: MIT */
/*
 * The settings' options of the sub-commands. Each stands for an environment variable and is turned into it, so that
 * options, environment and the processes below mean one thing, and the map's path comes out the same (conf.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tsproxy/tool.h"
#include "tsproxy/version.h"

const char ts_options_help[] =
	"Settings, as in tsproxy(1):\n"
	"  --status FILE|-       read the tailnet's status from a file or standard input\n"
	"  --socket PATH         tailscaled's socket\n"
	"  -p, --profile NAME    use another profile's settings and map\n"
	"  --socks5 [USER:PASSWORD@]HOST:PORT   the SOCKS5 proxy\n"
	"  --http-proxy [USER:PASSWORD@]HOST:PORT   the HTTP proxy\n"
	"  --map PATH            use this file as the map\n"
	"  --route CIDR, --exclude CIDR, --exit-node, --remote-name SUFFIX,\n"
	"  --dns-route SUFFIX=SERVER\n"
	"  -q, --quiet           print no warnings\n"
	"  -h, --help   --version\n";

enum kind { VALUE, PATH, PATH_OR_DASH, LIST, SWITCH, QUIET };

static const struct option {
	const char *name;
	const char *variable;
	enum kind kind;
} options[] = {
	{ "--status", "TSPROXY_STATUS", PATH_OR_DASH },
	{ "--socket", "TSPROXY_SOCKET", PATH },
	{ "--profile", "TSPROXY_PROFILE", VALUE },
	{ "-p", "TSPROXY_PROFILE", VALUE },
	{ "--socks5", "TSPROXY_SOCKS5", VALUE },
	{ "--http-proxy", "TSPROXY_HTTP_PROXY", VALUE },
	{ "--map", "TSPROXY_MAP", PATH },
	{ "--route", "TSPROXY_ROUTE", LIST },
	{ "--exclude", "TSPROXY_EXCLUDE", LIST },
	{ "--remote-name", "TSPROXY_REMOTE_NAME", LIST },
	{ "--dns-route", "TSPROXY_DNS_ROUTE", LIST },
	{ "--exit-node", "TSPROXY_EXIT_NODE", SWITCH },
	{ "--log", "TSPROXY_LOG", VALUE },
	{ "--quiet", NULL, QUIET },
	{ "-q", NULL, QUIET },
};

/* The option that `arg` names; *value is what follows its '=', or null. */
static const struct option *lookup(const char *arg, const char **value)
{
	size_t len = strncmp(arg, "--", 2) == 0 ? strcspn(arg, "=") : strlen(arg);

	*value = arg[len] ? arg + len + 1 : NULL;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (strlen(options[i].name) == len && memcmp(options[i].name, arg, len) == 0)
			return &options[i];
	return NULL;
}

static int set_path(const char *variable, const char *path)
{
	char cwd[4096], absolute[8192];

	if (path[0] == '/')
		return setenv(variable, path, 1);
	if (!getcwd(cwd, sizeof(cwd)))
		return -1;
	snprintf(absolute, sizeof(absolute), "%s/%s", cwd, path);
	return setenv(variable, absolute, 1);
}

/* As the launcher does it, for who calls us without. */
static int make_absolute(const char *variable)
{
	const char *value = getenv(variable);

	return !value || !*value || *value == '/' || strcmp(value, "-") == 0 ? 0 : set_path(variable, value);
}

/* Given again, a list adds to what this command line said before, not to what the environment did. */
static int add_to_list(const struct option *o, const char *value, unsigned *given)
{
	unsigned bit = 1u << (o - options);
	const char *before = *given & bit ? getenv(o->variable) : NULL;
	size_t len = (before ? strlen(before) : 0) + strlen(value) + 2;
	char *both = malloc(len);
	int ret;

	*given |= bit;
	if (!both)
		return -1;
	snprintf(both, len, "%s%s%s", before ? before : "", before ? "," : "", value);
	ret = setenv(o->variable, both, 1);
	free(both);
	return ret;
}

static int apply(const struct option *o, const char *value, unsigned *given)
{
	switch (o->kind) {
	case QUIET:
		ts_tool_quiet();
		return 0;
	case SWITCH:
		return setenv(o->variable, "1", 1);
	case PATH_OR_DASH:
		if (strcmp(value, "-") == 0)
			return setenv(o->variable, value, 1);
		return set_path(o->variable, value);
	case PATH:
		return set_path(o->variable, value);
	case LIST:
		return add_to_list(o, value, given);
	case VALUE:
		break;
	}
	return setenv(o->variable, value, 1);
}

int ts_options_take(int *argc, char **argv)
{
	unsigned given = 0;
	int kept = 1, i;

	for (i = 1; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		const char *value, *arg = argv[i];
		const struct option *o = lookup(arg, &value);
		bool wants = o && o->kind != SWITCH && o->kind != QUIET;

		if (!o) {
			argv[kept++] = argv[i];
			continue;
		}
		if (wants && !value)
			value = i + 1 < *argc ? argv[++i] : NULL;
		if (wants && (!value || !*value)) {
			ts_tool_error("%s needs a value", o->name);
			return 2;
		}
		if (!wants && value) {
			ts_tool_error("%s takes no value", o->name);
			return 2;
		}
		if (apply(o, value, &given) != 0) {
			ts_tool_error("%s %s: cannot be used here", o->name, value ? value : "");
			return 2;
		}
	}
	while (i < *argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	*argc = kept;
	return 0;
}

bool ts_options_flag(int *argc, char **argv, const char *name)
{
	bool found = false;
	int kept = 1, i;

	for (i = 1; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], name) == 0)
			found = true;
		else
			argv[kept++] = argv[i];
	}
	while (i < *argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	*argc = kept;
	return found;
}

int ts_options_value(int *argc, char **argv, const char *name, const char **value)
{
	size_t len = strlen(name);
	int kept = 1, i;

	for (i = 1; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], name, len) == 0 && argv[i][len] == '=') {
			*value = argv[i] + len + 1;
		} else if (strcmp(argv[i], name) != 0) {
			argv[kept++] = argv[i];
			continue;
		} else if (i + 1 < *argc && argv[i + 1][0]) {
			*value = argv[++i];
		} else {
			*value = "";
		}
		if (!**value) {
			ts_tool_error("%s needs a value", name);
			return 2;
		}
	}
	while (i < *argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	*argc = kept;
	return 0;
}

int ts_options_end(int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof(*argv));
			--*argc;
			return 0;
		}
		if (argv[i][0] == '-' && argv[i][1]) {
			ts_tool_error("unknown option %s; see --help", argv[i]);
			return 2;
		}
	}
	return 0;
}

#define SHED "shed" /* in TSPROXY_DISABLE: not the user's word */

/*
 * In a preloaded shell our own object sits in this process too, and would carry the connections that look for a proxy.
 * Started again it stays out.
 */
static void shed_object(char **argv)
{
	const char *preload = getenv("LD_PRELOAD"), *off = getenv("TSPROXY_DISABLE");

	if (!preload || !strstr(preload, "libtsproxy") || (off && *off && strcmp(off, "0") != 0))
		return;
	if (setenv("TSPROXY_DISABLE", SHED, 1) == 0)
		execv("/proc/self/exe", argv);
}

static bool disabled;

bool ts_options_disabled(void)
{
	return disabled;
}

int ts_options_begin(int *argc, char **argv, const char *usage, bool *json, struct ts_conf *conf)
{
	extern char **environ;
	const char *switched;

	shed_object(argv);
	ts_tool_standard_fds();
	if (ts_options_flag(argc, argv, "--help") || ts_options_flag(argc, argv, "-h")) {
		printf("%s\n%s", usage, ts_options_help);
		return ts_tool_flush() ? 1 : -1;
	}
	if (ts_options_flag(argc, argv, "--version")) {
		printf("tsproxy %s\n", ts_version);
		return ts_tool_flush() ? 1 : -1;
	}
	if (ts_options_take(argc, argv))
		return 2;
	if (json)
		*json = ts_options_flag(argc, argv, "--json");
	switched = getenv("TSPROXY_DISABLE");
	disabled = switched && *switched && strcmp(switched, "0") != 0 && strcmp(switched, SHED) != 0;
	unsetenv("TSPROXY_DISABLE");
	if (make_absolute("TSPROXY_STATUS") != 0 || make_absolute("TSPROXY_SOCKET") != 0) {
		ts_tool_error("TSPROXY_STATUS or TSPROXY_SOCKET is relative to a directory that no longer exists");
		return 2;
	}
	ts_conf_load(conf, environ);
	if (conf->bad_list) {
		ts_tool_error("--route or --exclude (TSPROXY_ROUTE, TSPROXY_EXCLUDE): must be ranges such as "
			      "192.168.7.0/24, at most %d",
			      TS_CONF_PREFIXES_MAX);
		return 2;
	}
	if (conf->bad_dns_route) {
		ts_tool_error("--dns-route (TSPROXY_DNS_ROUTE): must be SUFFIX=ADDRESS, such as corp.example=10.0.0.53");
		return 2;
	}
	if (getenv("TSPROXY_PROFILE") && *getenv("TSPROXY_PROFILE") && !ts_conf_profile_ok(getenv("TSPROXY_PROFILE"))) {
		ts_tool_error("--profile %s: must be at most 64 letters, digits, '-', '_' and '.'",
			      getenv("TSPROXY_PROFILE"));
		return 2;
	}
	return 0;
}

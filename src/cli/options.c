/* SPDX-License-Identifier: MIT */
/*
 * One table holds every setting: its option, its variable and how its value is judged. Options are only
 * written into the environment here; the judging runs over the environment afterwards, so that
 * TSPROXY_ROUTE=nonsense and --route nonsense end in the same line.
 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "help.h"
#include "tsproxy/conf.h"
#include "tsproxy/log.h"

enum kind { K_PROXY, K_STATUS, K_PATH, K_PROFILE, K_PREFIXES, K_SUFFIXES, K_DNS_ROUTES, K_ON, K_MODE, K_LOG, K_LATER };

struct setting {
	const char *option;	/* without "--"; null: a variable alone */
	const char *variable;	/* without "TSPROXY_" */
	enum kind kind;
	bool is_switch;		/* takes no value */
	bool is_list;		/* given again, it adds */
};

static const struct setting settings[] = {
	{ "socks5", "SOCKS5", K_PROXY, false, false },
	{ "http-proxy", "HTTP_PROXY", K_PROXY, false, false },
	{ "status", "STATUS", K_STATUS, false, false },
	{ "socket", "SOCKET", K_PATH, false, false },
	{ "profile", "PROFILE", K_PROFILE, false, false },
	{ "route", "ROUTE", K_PREFIXES, false, true },
	{ "exclude", "EXCLUDE", K_PREFIXES, false, true },
	{ "remote-name", "REMOTE_NAME", K_SUFFIXES, false, true },
	{ "dns-route", "DNS_ROUTE", K_DNS_ROUTES, false, true },
	{ "exit-node", "EXIT_NODE", K_ON, true, false },
	{ "require", "REQUIRE", K_ON, true, false },
	{ "inbound", "INBOUND", K_LATER, true, false },
	{ "mode", "MODE", K_MODE, false, false },
	{ "log", "LOG", K_LOG, false, false },
};

#define SETTINGS (sizeof(settings) / sizeof(*settings))
#define VARIABLE_PREFIX "TSPROXY_"

/* What was given on the command line: bit per setting. Only for the words of an error. */
static unsigned given;
static bool status_given;

static int refuse(const struct setting *s, const char *value, const char *why)
{
	if (given >> (s - settings) & 1)
		ts_say("--", s->option, s->is_switch ? "" : " ", s->is_switch ? "" : value, ": ", why);
	else
		ts_say(VARIABLE_PREFIX, s->variable, "=", value, ": ", why);
	return TS_EXIT_USAGE;
}

/* A map that a launcher above us made from its standard input is no longer what is asked for. */
static void forget_outer_map(const struct setting *source, struct ts_environ *env)
{
	const char *status = ts_env_get(env->v, VARIABLE_PREFIX "STATUS");

	ts_environ_unset(env, VARIABLE_PREFIX "MAP");
	if (source->kind != K_STATUS && !status_given && status && strcmp(status, "-") == 0)
		ts_environ_unset(env, VARIABLE_PREFIX "STATUS");
}

static void give(const struct setting *s, const char *value, struct ts_environ *env)
{
	unsigned bit = 1u << (s - settings);
	const char *variable = ts_join(VARIABLE_PREFIX, s->variable);
	const char *before = s->is_list && given & bit ? ts_env_get(env->v, variable) : NULL;

	given |= bit;
	ts_environ_set(env, variable, before ? ts_join(before, ",", value) : value);
	if (s->kind == K_STATUS || s->kind == K_PATH || s->kind == K_PROFILE)
		forget_outer_map(s, env);
	if (s->kind == K_STATUS)
		status_given = true;
}

/* The setting that `arg` (behind its dashes) names; *value is what follows '=', or null. */
static const struct setting *lookup(const char *arg, const char **value)
{
	size_t len = strcspn(arg, "=");

	*value = arg[len] ? arg + len + 1 : NULL;
	for (size_t i = 0; i < SETTINGS; i++)
		if (strlen(settings[i].option) == len && memcmp(settings[i].option, arg, len) == 0)
			return &settings[i];
	return NULL;
}

/* Options that are no settings. */
static bool plain_option(const char *arg, struct ts_options *opt)
{
	if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)
		opt->help = true;
	else if (strcmp(arg, "-V") == 0 || strcmp(arg, "--version") == 0)
		opt->version = true;
	else if (strcmp(arg, "--json") == 0)
		opt->json = true;
	else if (strcmp(arg, "--dry-run") == 0)
		opt->dry_run = true;
	else if (strcmp(arg, "-v") == 0 || strcmp(arg, "--verbose") == 0)
		opt->verbose = true;
	else
		return false;
	return true;
}

int ts_options_parse(struct ts_options *opt, char **args, struct ts_environ *env)
{
	for (; *args && (*args)[0] == '-' && (*args)[1]; args++) {
		const struct setting *s;
		const char *value;

		if (strcmp(*args, "--") == 0) {
			opt->literal = true;
			args++;
			break;
		}
		if (plain_option(*args, opt))
			continue;
		if ((*args)[1] == 'p') {
			s = lookup("profile", &value);
			value = (*args)[2] ? *args + 2 : NULL;
		} else {
			s = (*args)[1] == '-' ? lookup(*args + 2, &value) : NULL;
		}
		if (!s) {
			ts_say("unknown option ", *args, "; see tsproxy --help");
			return TS_EXIT_USAGE;
		}
		if (s->is_switch && value) {
			ts_say("--", s->option, " takes no value");
			return TS_EXIT_USAGE;
		}
		if (!s->is_switch && !value && !(value = *++args)) {
			ts_say("--", s->option, " needs a value; see tsproxy --help");
			return TS_EXIT_USAGE;
		}
		give(s, s->is_switch ? "1" : value, env);
	}
	opt->words = args;
	return 0;
}

static bool suffixes_ok(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,";

	return strspn(s, allowed) == strlen(s);
}

/* The value with the folder we are in put before it; null where that is gone or too deep. */
static const char *absolute(const char *path)
{
	char cwd[PATH_MAX];

	if (path[0] == '/')
		return path;
	return getcwd(cwd, sizeof(cwd)) ? ts_join(cwd, "/", path) : NULL;
}

static int judge_file(const struct setting *s, const char *value, struct ts_environ *env)
{
	const char *path = absolute(value);

	if (!path)
		return refuse(s, value, "the current directory no longer exists");
	if (s->kind == K_STATUS && access(path, R_OK) != 0)
		return refuse(s, value, strerror(errno));
	if (path != value)
		ts_environ_set(env, ts_join(VARIABLE_PREFIX, s->variable), path);
	return 0;
}

/* Whether lines can go to the end of `file`, which need not be there yet; errno says why not. */
static bool may_append(const char *file)
{
	struct stat st;
	char *folder;

	if (stat(file, &st) == 0 && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return false;
	}
	if (access(file, W_OK) == 0)
		return true;
	if (errno != ENOENT)
		return false;
	folder = ts_join(file);
	strrchr(folder, '/')[1] = '\0';
	return access(folder, W_OK | X_OK) == 0;
}

static int judge_log(const struct setting *s, const char *value, struct ts_environ *env)
{
	const char *file = strchr(value, ':');
	const char *spec = value;

	if (file && file[1] && file[1] != '/') {
		const char *path = absolute(file + 1);

		if (!path)
			return refuse(s, value, "the current directory no longer exists");
		size_t level = (size_t)(file - value) + 1;
		char *head = ts_join(value);

		head[level] = '\0';
		spec = ts_join(head, path);
	}
	if (ts_log_set(spec) != 0)
		return refuse(s, value, "must be error, warn, info or debug, optionally with :FILE");
	file = strchr(spec, ':');
	if (file && !may_append(file + 1))
		return refuse(s, value, strerror(errno));
	if (spec != value)
		ts_environ_set(env, ts_join(VARIABLE_PREFIX, s->variable), spec);
	return 0;
}

static int judge_prefixes(const struct setting *s, const char *value)
{
	struct ts_prefix list[TS_CONF_PREFIXES_MAX];
	unsigned count = 0;

	if (ts_conf_parse_prefixes(value, list, TS_CONF_PREFIXES_MAX, &count))
		return 0;
	if (count == TS_CONF_PREFIXES_MAX)
		return refuse(s, value, "too many ranges (at most 32)");
	return refuse(s, value, "must be a range of addresses, such as 192.168.7.0/24 or fd00::/8");
}

static int judge_dns_routes(const struct setting *s, const char *value)
{
	struct ts_conf_dns_route route;
	const char *at = value;
	bool bad = false, any = false;

	while (ts_conf_next_dns_route(&at, &route, &bad))
		any = true;
	if (bad || !any)
		return refuse(s, value, "must be SUFFIX=ADDRESS, such as corp.example=10.0.0.53 or corp.example=[fd00::53]:5353");
	if (strlen(value) >= TS_CONF_DNS_ROUTES_MAX)
		return refuse(s, value, "too long (at most 1023 characters); put longer lists into tsproxy.conf");
	return 0;
}

static int judge_mode(const struct setting *s, const char *value)
{
	if (strcmp(value, "supervise") == 0)
		return refuse(s, value, "not supported yet");
	if (strcmp(value, "auto") != 0 && strcmp(value, "preload") != 0)
		return refuse(s, value, "must be auto or preload");
	return 0;
}

static int judge(const struct setting *s, const char *value, struct ts_environ *env)
{
	struct ts_conf_proxy proxy = { 0 };

	switch (s->kind) {
	case K_PROXY:
		ts_conf_parse_proxy(value, &proxy);
		if (proxy.bad)
			return refuse(s, value,
				      "must be [USER:PASSWORD@]HOST:PORT");
		return 0;
	case K_STATUS:
		return strcmp(value, "-") == 0 ? 0 : judge_file(s, value, env);
	case K_PATH:
		return judge_file(s, value, env);
	case K_PROFILE:
		if (!ts_conf_profile_ok(value))
			return refuse(s, value, "must be at most 64 letters, digits, '-', '_' and '.'");
		return 0;
	case K_PREFIXES:
		return judge_prefixes(s, value);
	case K_SUFFIXES:
		if (strlen(value) >= TS_CONF_SUFFIXES_MAX)
			return refuse(s, value, "too long (at most 511 characters); put longer lists into tsproxy.conf");
		return suffixes_ok(value) ? 0 : refuse(s, value, "must be a domain suffix, such as corp.example");
	case K_DNS_ROUTES:
		return judge_dns_routes(s, value);
	case K_MODE:
		return judge_mode(s, value);
	case K_LOG:
		return judge_log(s, value, env);
	case K_LATER:
		return strcmp(value, "0") == 0 ? 0 : refuse(s, value, "not supported yet");
	case K_ON:
		break;
	}
	return 0;
}

int ts_options_judge(struct ts_environ *env)
{
	size_t prefix = strlen(VARIABLE_PREFIX);

	for (size_t i = 0; i < env->n; i++) {
		const char *name = env->v[i];

		if (strncmp(name, VARIABLE_PREFIX, prefix) != 0)
			continue;
		name += prefix;
		for (const struct setting *s = settings; s < settings + SETTINGS; s++) {
			size_t len = strlen(s->variable);

			if (strncmp(name, s->variable, len) != 0 || name[len] != '=')
				continue;
			const char *value = name + len + 1;
			/* An empty variable is an unset one; an option with an empty value is a mistake. */
			if (!*value && !(given >> (s - settings) & 1))
				break;
			int ret = *value ? judge(s, value, env) : refuse(s, "''", "empty");

			if (ret)
				return ret;
			break;
		}
	}
	return 0;
}

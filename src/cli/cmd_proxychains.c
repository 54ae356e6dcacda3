/* SPDX-License-Identifier: MIT */
/*
 * tsproxy-proxychains: what the launcher becomes where it is called proxychains4 or proxychains, so that scripts need no change. The
 * configuration's proxies and ranges become tsproxy's settings, and the launcher runs the command.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../command/chains.h"
#include "help.h"
#include "parts.h"
#include "tsproxy/tool.h"

static const char usage[] =
	"usage: proxychains4 [-q] [-f FILE] COMMAND [ARGUMENT...]\n"
	"This is tsproxy. It runs a command so that it reaches the tailnet through the\n"
	"SOCKS5 and HTTP proxies of proxychains' configuration. Connections outside the\n"
	"tailnet and to localnet are direct.\n"
	"  -q                    print no warnings\n"
	"  -f FILE               use FILE instead of $PROXYCHAINS_CONF_FILE, ./proxychains.conf,\n"
	"                        ~/.proxychains/proxychains.conf,\n"
	"                        /etc/proxychains4.conf, /etc/proxychains.conf\n";

/* The configuration, opened; null where there is none, or it cannot be read (`*err`). */
static FILE *find(const char *named, char path[4096], int *err)
{
	static const char *const places[] = { "proxychains.conf", "~/.proxychains/proxychains.conf",
					      "/etc/proxychains4.conf", "/etc/proxychains.conf" };
	const char *home = getenv("HOME");
	FILE *f;

	*err = 0;
	if (!named)
		named = getenv("PROXYCHAINS_CONF_FILE");
	if (named && *named) {
		snprintf(path, 4096, "%s", named);
		f = fopen(path, "re");
		if (!f)
			*err = errno;
		return f;
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (places[i][0] == '~' && !home)
			continue;
		snprintf(path, 4096, "%s%s", places[i][0] == '~' ? home : "", places[i] + (places[i][0] == '~'));
		f = fopen(path, "re");
		if (f)
			return f;
		if (errno != ENOENT && errno != ENOTDIR) {
			*err = errno;
			return NULL;
		}
	}
	return NULL;
}

static int apply(const char *named)
{
	char path[4096];
	struct ts_chains c;
	int err;
	FILE *f = find(named, path, &err);

	if (err) {
		ts_tool_error("%s: %s", path, strerror(err));
		return TS_EXIT_USAGE;
	}
	if (!f)
		return 0;	/* the launcher looks for a proxy by itself */
	err = ts_chains_read(f, path, &c);
	fclose(f);
	if (err)
		return TS_EXIT_USAGE;
	if ((c.socks5[0] && setenv("TSPROXY_SOCKS5", c.socks5, 1)) || (c.http[0] && setenv("TSPROXY_HTTP_PROXY", c.http, 1)) ||
	    (c.exclude[0] && setenv("TSPROXY_EXCLUDE", c.exclude, 1))) {
		ts_tool_error("%s", strerror(errno));
		return TS_EXIT_NOT_RUN;
	}
	return 0;
}

/* The command itself: the launcher with "run --" in front of it. */
static int become(char **words, int n)
{
	const char *launcher = ts_parts_launcher();
	char **argv = calloc((size_t)n + 4, sizeof(*argv));

	if (!launcher || !argv) {
		ts_tool_error(launcher ? "out of memory" : "the launcher is missing; install tsproxy again");
		return TS_EXIT_NOT_RUN;
	}
	argv[0] = (char *)"tsproxy";
	argv[1] = (char *)"run";
	argv[2] = (char *)"--";
	memcpy(argv + 3, words, (size_t)n * sizeof(*argv));
	execv(launcher, argv);
	ts_tool_error("%s: %s", launcher, strerror(errno));
	return TS_EXIT_NOT_RUN;
}

int main(int argc, char **argv)
{
	const char *quiet = getenv("PROXYCHAINS_QUIET_MODE"), *file = NULL;
	int at = 1, ret;

	ts_tool_standard_fds();
	if (quiet && *quiet)
		ts_tool_quiet();
	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "-q") == 0) {
			ts_tool_quiet();
		} else if (strcmp(argv[at], "-f") == 0 && at + 1 < argc) {
			file = argv[++at];
		} else if (strcmp(argv[at], "-h") == 0 || strcmp(argv[at], "--help") == 0) {
			printf("%s", usage);
			return ts_tool_flush();
		} else if (strcmp(argv[at], "--") == 0) {
			at++;
			break;
		} else {
			ts_tool_error("proxychains4 %s: %s; see proxychains4 --help", argv[at],
				      strcmp(argv[at], "-f") == 0 ? "needs a file" : "unknown option");
			return TS_EXIT_USAGE;
		}
	}
	if (at >= argc) {
		ts_tool_error("proxychains4: no command given; see proxychains4 --help");
		return TS_EXIT_USAGE;
	}
	ret = apply(file);
	return ret ? ret : become(argv + at, argc - at);
}

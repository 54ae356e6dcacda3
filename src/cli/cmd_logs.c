/* SPDX-License-Identifier: MIT */
/* tsproxy-logs: shows the log of the daemon that `tsproxy up` started, by tail(1) or journalctl(1). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../command/up.h"

static const char usage[] =
	"usage: tsproxy logs [options] [-f] [-n LINES]\n"
	"Shows the log of the daemon that tsproxy up started.\n"
	"  -f                    keep running, and show new lines\n"
	"  -n LINES              show the last LINES lines (default: 100)\n";

static int become(char **argv)
{
	execvp(argv[0], argv);
	ts_tool_error("%s: %s", argv[0], strerror(errno));
	return 126;
}

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

int main(int argc, char **argv)
{
	static struct ts_up up;
	char unit[128], log[TS_UP_PATH_MAX + 16];
	const char *lines = "100";
	struct ts_conf conf;
	bool follow;
	int ret;

	ret = ts_options_begin(&argc, argv, usage, NULL, &conf);
	if (ret)
		return ret < 0 ? 0 : ret;
	follow = ts_options_flag(&argc, argv, "-f");
	ret = ts_options_value(&argc, argv, "-n", &lines);
	if (ret == 0)
		ret = ts_options_end(&argc, argv);
	if (ret)
		return ret;
	if (argc > 1 || !is_number(lines)) {
		ts_tool_error(argc > 1 ? "logs takes no arguments; see --help" : "logs: -n needs a number of lines");
		return 2;
	}
	if (ts_up_prepare(&up))
		return 1;
	if (ts_up_unit_is_there()) {
		char *words[] = { (char *)"journalctl", (char *)"--user", (char *)"--no-pager", (char *)"-u",
				  (char *)ts_up_unit_name(unit), (char *)"-n", (char *)lines,
				  follow ? (char *)"-f" : NULL, NULL };

		return become(words);
	}
	snprintf(log, sizeof(log), "%s/tailscaled.log", up.dir);
	if (access(log, R_OK) != 0) {
		ts_tool_error("no log: tsproxy up has not started a daemon (for the system's daemon: journalctl -u tailscaled)");
		return 1;
	}
	char *words[] = { (char *)"tail", (char *)"-n", (char *)lines, follow ? (char *)"-F" : log, follow ? log : NULL, NULL };

	return become(words);
}

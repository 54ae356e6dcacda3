/* SPDX-License-Identifier: MIT */
/* tsproxy-down: ends the daemon that `tsproxy up` started. Any other is left alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../command/up.h"

static const char usage[] =
	"usage: tsproxy down [options] [--logout]\n"
	"Ends the daemon that tsproxy up started. The node stays logged in for the next\n"
	"time.\n"
	"  --logout              log it out as well\n";

static void say_other(const struct ts_map_settings *set)
{
	char why[TS_WHY_MAX], *text;
	const char *from;
	size_t len;

	if (ts_source_text(set, &text, &len, &from, why) == 0) {
		free(text);
		printf("not up; the daemon at %s is not tsproxy's and is left alone\n", from);
	} else {
		printf("not up\n");
	}
}

int main(int argc, char **argv)
{
	struct ts_map_settings set = { 0 };
	struct ts_up up = { .own = true };
	struct ts_conf conf;
	bool logout;
	int ret;

	ret = ts_options_begin(&argc, argv, usage, NULL, &conf);
	if (ret)
		return ret < 0 ? 0 : ret;
	logout = ts_options_flag(&argc, argv, "--logout");
	ret = ts_options_end(&argc, argv);
	if (ret)
		return ret;
	if (argc > 1) {
		ts_tool_error("down takes no arguments; see --help");
		return 2;
	}
	if (ts_settings_load(&set, NULL))
		return 2;
	ret = ts_up_prepare(&up) ? 1 : 0;
	if (ret)
		goto out;
	if (!ts_up_supervisor(&up) && !ts_up_unit_is_there()) {
		say_other(&set);
		goto out;
	}
	ts_up_find_programs(&up);
	if (logout)
		ts_up_logout(&up);
	ts_up_step("ending tailscaled");
	ret = ts_up_unit_is_there() ? ts_up_unit_stop() : 0;
	if (ret == 0)
		ret = ts_up_stop(&up);
	ts_up_end(ret == 0 ? "done" : "it does not end");
	ret = ret ? 1 : 0;
	if (ret == 0)
		printf("down%s\n", logout ? "" : "; tsproxy up brings it back");
out:
	ts_settings_free(&set);
	return ts_tool_flush() ? 1 : ret;
}

/* SPDX-License-Identifier: MIT */
/* tsproxy-down: ends the daemon that `tsproxy up` started. Any other is left alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../command/up.h"

static const char usage[] =
	"usage: tsproxy down [options] [--logout]\n"
	"Stops the daemon that tsproxy up started. The node stays logged in for the next\n"
	"time.\n"
	"  --logout              log the node out first\n";

/* The daemon is not tsproxy's, or there is none. An exit status. */
static int say_other(const struct ts_map_settings *set, bool logout)
{
	char why[TS_WHY_MAX], path[TS_UP_PATH_MAX];

	if (ts_source_socket(set, path, sizeof(path), why) != 0) {
		puts(logout ? "Not running, and not logged in." : "Not running.");
		return 0;
	}
	printf("Not running. The daemon at %s was not started by tsproxy and keeps running.\n", path);
	if (logout)
		ts_tool_error("down: that daemon stays logged in; to log it out: tsproxy tailscale logout");
	return logout ? 1 : 0;
}

/* A login that a daemon left, which ended before. */
static bool has_state(const struct ts_up *up)
{
	char path[TS_UP_PATH_MAX + 32];
	struct stat st;

	snprintf(path, sizeof(path), "%s/tailscaled.state", up->dir);
	return stat(path, &st) == 0 && st.st_size > 0;
}

/* Only a daemon that runs can do that. 0 or 1 (said). */
static int log_out(struct ts_up *up, bool running)
{
	struct ts_up_state state;
	int ret = 0;

	ts_up_step("logging out");
	if (!running) {
		up->began = true;
		ret = !up->tailscaled[0] || ts_up_start(up) ? 1 : 0;
	}
	if (ret == 0)
		ret = ts_up_wait_answer(up, &state) && ts_up_wait_state(up, false, &state) ? 0 : 1;
	if (ret == 0 && strcmp(state.backend, "NeedsLogin") != 0)
		ret = ts_up_logout(up);
	ts_up_end(ret ? "failed" : "done");
	if (ret)
		ts_tool_error("the node stays logged in: %s", !up->tailscaled[0] && !running ?
			      "only tailscaled can log it out, and it is not installed" :
			      "remove it in the admin console, or try again");
	return ret;
}

static int end(const struct ts_up *up)
{
	int ret;

	ts_up_step("stopping tailscaled");
	ret = ts_up_unit_is_there() ? ts_up_unit_stop() : 0;
	if (ret == 0)
		ret = ts_up_stop(up);
	ts_up_end(ret == 0 ? "done" : "it does not stop");
	return ret ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct ts_map_settings set = { 0 };
	struct ts_up up = { .own = true, .limit_s = -1 };
	struct ts_conf conf;
	bool logout, running;
	int ret, not_logged_out;

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
	running = ts_up_supervisor(&up) || ts_up_unit_is_there();
	if (!running && !(logout && has_state(&up))) {
		ret = say_other(&set, logout);
		goto out;
	}
	ts_up_find_programs(&up);
	not_logged_out = logout ? log_out(&up, running) : 0;
	ret = end(&up) || not_logged_out;
	ts_sync_outdate(&conf);
	if (ret == 0)
		puts(logout ? "Logged out and stopped." : "Stopped. To start it again: tsproxy up");
out:
	ts_settings_free(&set);
	return ts_tool_flush() ? 1 : ret;
}

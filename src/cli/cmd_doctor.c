/* SPDX-License-Identifier: MIT */
/* tsproxy-doctor: checks everything that a connection to the tailnet depends on; a line each, with what to do. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../command/doctor.h"

static const char usage[] =
	"usage: tsproxy doctor [options] [--json] [NODE[:PORT]] [-- PROGRAM...]\n"
	"Checks everything that a connection to the tailnet depends on, and shows how to\n"
	"fix problems. Tests a connection to NODE[:PORT], or else to a node that is\n"
	"online, and shows whether each PROGRAM is supported.\n"
	"Exit status: 0 no problems, 1 warnings, 3 failures, 2 wrong option.\n"
	"  --json                print one object\n";

static void examine(struct ts_doctor *d, char **programs)
{
	ts_doctor_machine(d);
	ts_doctor_load(d);
	ts_doctor_daemon(d);
	ts_doctor_map(d);
	ts_doctor_proxies(d);
	ts_doctor_reach(d);
	ts_doctor_dns(d);
	ts_doctor_shell(d);
	ts_doctor_supervisor(d);
	for (; *programs; programs++)
		ts_doctor_program(d, *programs);
	ts_doctor_answers(d);
}

/* Cuts the programs behind "--" off the command line. */
static char **cut_programs(int *argc, char **argv)
{
	static char *none[] = { NULL };

	for (int i = 1; i < *argc; i++)
		if (strcmp(argv[i], "--") == 0) {
			*argc = i;
			argv[i] = NULL;
			return argv + i + 1;
		}
	return none;
}

int main(int argc, char **argv)
{
	static const int statuses[] = { 0, 0, 1, 3 };
	static struct ts_doctor d;
	char **programs;
	bool json = false;
	int ret;

	if (argc > 1 && strcmp(argv[1], TS_DOCTOR_TRY) == 0)
		return ts_doctor_try(argc, argv);
	programs = cut_programs(&argc, argv);
	ret = ts_options_begin(&argc, argv, usage, &json, &d.conf);
	if (ret == 0)
		ret = ts_options_end(&argc, argv);
	if (ret)
		return ret < 0 ? 0 : ret;
	if (argc > 2) {
		ts_tool_error("doctor: only one node can be given; programs go after --; see --help");
		return 2;
	}
	if (argv[1] && !ts_doctor_take_node(&d, argv[1])) {
		ts_tool_error("doctor: %s is not NODE, NODE:PORT or [ADDRESS]:PORT", argv[1]);
		return 2;
	}
	if (getenv("TSPROXY_STATUS") && ts_conf_stream(getenv("TSPROXY_STATUS")) >= 0) {
		ts_tool_error("doctor: --status %s can only be read once, but is needed twice; use a file", getenv("TSPROXY_STATUS"));
		return 2;
	}
	ret = ts_settings_load(&d.set, NULL);
	if (ret)
		return 2;
	d.daemon_user = ts_source_daemon(&d.set);
	examine(&d, programs);
	ts_doctor_print(&d, json);
	ret = statuses[ts_doctor_worst(&d)];
	ts_doctor_free(&d);
	if (d.have_map)
		ts_map_unload(&d.map);
	ts_settings_free(&d.set);
	return ts_tool_flush() ? 1 : ret;
}

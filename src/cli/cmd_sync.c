/* SPDX-License-Identifier: MIT */
/* tsproxy-sync: makes the map. */
#include <stdio.h>

#include "tsproxy/tool.h"

static const char usage[] = "usage: tsproxy sync [options] [--print | --watch]\n"
			    "Asks the daemon and makes the map, in which names and addresses are looked up.\n"
			    "  --print               print the contents of the map\n"
			    "  --watch               keep running, and update the map at each change\n";

int main(int argc, char **argv)
{
	struct ts_conf conf;
	struct ts_map map;
	bool print, watch;
	int ret, err;

	ret = ts_options_begin(&argc, argv, usage, NULL, &conf);
	if (ret)
		return ret < 0 ? 0 : ret;
	print = ts_options_flag(&argc, argv, "--print");
	watch = ts_options_flag(&argc, argv, "--watch");
	ret = ts_options_end(&argc, argv);
	if (ret)
		return ret;
	if (argc > 1) {
		ts_tool_error("sync takes no arguments; see --help");
		return 2;
	}
	if (watch && print) {
		ts_tool_error("sync: --watch and --print exclude each other");
		return 2;
	}
	if (watch)
		return ts_watch(&conf);
	ret = ts_sync(&conf);
	if (!print || ret == 2)
		return ret;
	err = ts_map_load(conf.map_path, &map);
	if (err) {
		ts_tool_error("there is no map to print");
		return 1;
	}
	ts_print_map(&map, conf.map_path);
	ts_map_unload(&map);
	return ts_tool_flush() ? 1 : ret;
}

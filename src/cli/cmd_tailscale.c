/* SPDX-License-Identifier: MIT */
/* tsproxy-tailscale: becomes the program tailscale, with the socket of the daemon that tsproxy uses. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../command/up.h"

static const char usage[] =
	"usage: tsproxy tailscale COMMAND [arguments]\n"
	"Runs the program tailscale with the socket of the daemon that tsproxy uses:\n"
	"tsproxy tailscale ping db. Options of tsproxy go in front:\n"
	"tsproxy -p work tailscale status.\n";

/* All words are the program's: none is an option of ours. */
static char **shield(int *argc, char **argv)
{
	char **words;
	int n = *argc;

	if (n < 2 || strcmp(argv[1], "--") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return argv;
	words = calloc((size_t)n + 2, sizeof(*words));
	if (!words)
		return argv;
	words[0] = argv[0];
	words[1] = (char *)"--";
	memcpy(words + 2, argv + 1, (size_t)n * sizeof(*words));
	*argc = n + 1;
	return words;
}

static int become(struct ts_up *up, char **words, size_t count)
{
	struct ts_own_ports ports;
	char sock[TS_UP_PATH_MAX + 16], **argv = calloc(count + 3, sizeof(*argv)), **env;

	ts_own_ports(&ports);
	env = ts_up_environment(&ports);
	if (!argv || !env)
		return 1;
	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	argv[0] = (char *)"tailscale";
	argv[1] = sock;
	memcpy(argv + 2, words, count * sizeof(*argv));
	execve(up->tailscale, argv, env);
	ts_tool_error("%s: %s", up->tailscale, strerror(errno));
	return 126;
}

int main(int argc, char **argv)
{
	struct ts_map_settings set = { 0 };
	static struct ts_up up;
	char why[TS_WHY_MAX];
	struct ts_conf conf;
	int ret;

	argv = shield(&argc, argv);
	ret = ts_options_begin(&argc, argv, usage, NULL, &conf);
	if (ret == 0)
		ret = ts_options_end(&argc, argv);
	if (ret)
		return ret < 0 ? 0 : ret;
	if (ts_settings_load(&set, NULL))
		return 2;
	ts_up_find_programs(&up);
	if (!up.tailscale[0]) {
		ts_tool_error("the tailscale command is missing (PATH, /usr/bin, ~/.local/bin); to install it: tsproxy up --install");
		ret = 127;
	} else if (ts_source_socket(&set, up.socket, sizeof(up.socket), why) != 0) {
		ts_tool_error("%s", why);
		ret = 1;
	} else {
		ret = become(&up, argv + 1, (size_t)argc - 1);
	}
	ts_settings_free(&set);
	return ret;
}

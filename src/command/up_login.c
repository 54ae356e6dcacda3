/* SPDX-License-Identifier: MIT */
/* Login, logout and settings, by the commands of `tailscale` (up_follow.c runs them). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "up.h"

/* Runs the command `verb` of `tailscale`, with a word of its own for it (or null) and the flags. */
static int run(const struct ts_up *up, const char *verb, const char *word, char **flags, bool *refused)
{
	char sock[TS_UP_PATH_MAX + 16], **argv;
	size_t n = 0, at = 0;
	int ret;

	if (!up->tailscale[0]) {
		ts_up_say("the tailscale command is missing; to install it: tsproxy up --install");
		return 1;
	}
	while (flags && flags[n])
		n++;
	argv = calloc(n + 6, sizeof(*argv));
	if (!argv)
		return 1;
	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	argv[at++] = (char *)"tailscale";
	argv[at++] = sock;
	argv[at++] = (char *)verb;
	if (word)
		argv[at++] = (char *)word;
	if (n)
		memcpy(argv + at, flags, n * sizeof(*argv));
	ret = ts_up_tailscale(up, argv, refused);
	free(argv);
	return ret;
}

int ts_up_login(const struct ts_up *up, char **flags)
{
	bool refused = false;
	int ret = 1;

	if (!ts_up_pass_secrets(flags))
		goto out;
	/*
	 * `tailscale up` listens to the daemon, and only then has it begin anew: in between comes what a login before this one is
	 * answered, and tailscaled tries one that was refused again and again, at first every few milliseconds. By the end of
	 * `tailscale up` that one is over, so a second answer is to ours. A daemon that we began has had no login before.
	 */
	ret = run(up, "up", "--json", flags, up->began ? NULL : &refused);
	if (refused)
		ret = run(up, "up", "--json", flags, NULL);
out:
	ts_up_forget_secrets();
	return ret;
}

int ts_up_set(const struct ts_up *up, char **flags)
{
	return run(up, "set", NULL, flags, NULL);
}

/* Any flag at all, and be it --json, would make `tailscale up` compare the settings with the flags and refuse. */
int ts_up_resume(const struct ts_up *up)
{
	return run(up, "up", NULL, NULL, NULL);
}

int ts_up_logout(const struct ts_up *up)
{
	return run(up, "logout", NULL, NULL, NULL);
}

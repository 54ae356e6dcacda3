/* SPDX-License-Identifier: MIT */
/* The supervisor under systemd's user manager: the unit's file, and systemctl to start and stop it. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cli/parts.h"
#include "up.h"

extern char **environ;

/* "tsproxy.service", or "tsproxy-PROFILE.service". */
const char *ts_up_unit_name(char out[128])
{
	const char *profile = getenv("TSPROXY_PROFILE");
	bool other = profile && *profile && strcmp(profile, "default") != 0;

	snprintf(out, 128, "tsproxy%s%s.service", other ? "-" : "", other ? profile : "");
	return out;
}

static bool unit_path(char out[TS_UP_PATH_MAX], bool make)
{
	static const char *const steps[] = { "", "/systemd", "/systemd/user" };
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char base[TS_UP_PATH_MAX / 2], name[128];
	size_t len;

	if (xdg && xdg[0] == '/')
		snprintf(base, sizeof(base), "%s", xdg);
	else if (home && home[0] == '/')
		snprintf(base, sizeof(base), "%s/.config", home);
	else
		return false;
	for (size_t i = 0; make && i < sizeof(steps) / sizeof(*steps); i++) {
		snprintf(out, TS_UP_PATH_MAX, "%s%s", base, steps[i]);
		if (mkdir(out, 0700) != 0 && errno != EEXIST)
			return false;
	}
	len = (size_t)snprintf(out, TS_UP_PATH_MAX, "%s/systemd/user/%s", base, ts_up_unit_name(name));
	return len < TS_UP_PATH_MAX;
}

bool ts_up_unit_is_there(void)
{
	char path[TS_UP_PATH_MAX];

	return unit_path(path, false) && access(path, F_OK) == 0;
}

/* systemctl --user with these words. Its exit status; -1 where it could not be run. */
static int systemctl(const char *verb, const char *option, const char *unit)
{
	char *argv[] = { (char *)"systemctl", (char *)"--user", (char *)"--quiet", (char *)verb, (char *)option,
			 (char *)unit, NULL };
	int status = 0;
	pid_t pid;

	if (!option)
		argv[4] = (char *)unit;
	if (!option)
		argv[5] = NULL;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A word of ExecStart: in quotes, with % and quotes kept from systemd (systemd.syntax(7)). */
static void put_word(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '%')
			fputc('%', f);
		else if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputs("\" ", f);
}

static bool write_unit(const struct ts_up *up, const char *path, const char *launcher)
{
	const char *profile = getenv("TSPROXY_PROFILE");
	FILE *f = fopen(path, "we");

	if (!f)
		return false;
	fputs("# Made by tsproxy up --systemd.\n[Unit]\nDescription=tailscaled without root, for tsproxy\n\n"
	      "[Service]\nExecStart=", f);
	put_word(f, launcher);
	if (profile && *profile) {
		put_word(f, "--profile");
		put_word(f, profile);
	}
	fputs("up --own --foreground --no-login", f);
	if (up->ephemeral)
		fputs(" --ephemeral", f);
	fputs("\nRestart=always\nRestartSec=2\n\n[Install]\nWantedBy=default.target\n", f);
	return fclose(f) == 0;
}

int ts_up_unit_start(const struct ts_up *up)
{
	const char *launcher = ts_parts_launcher();
	char path[TS_UP_PATH_MAX], name[128];

	if (!launcher || !unit_path(path, true) || !write_unit(up, path, launcher)) {
		ts_up_say("cannot write the systemd unit: %s", launcher ? strerror(errno) :
			  "the program tsproxy is missing");
		return 1;
	}
	if (systemctl("daemon-reload", NULL, NULL) != 0 || systemctl("enable", "--now", ts_up_unit_name(name)) != 0) {
		ts_up_say("systemd's user manager cannot start %s; without --systemd, the daemon runs in the background", path);
		unlink(path);
		return 1;
	}
	return 0;
}

int ts_up_unit_stop(void)
{
	char path[TS_UP_PATH_MAX], name[128];
	int ret = systemctl("disable", "--now", ts_up_unit_name(name));

	if (ret == 0 && unit_path(path, false))
		unlink(path);
	systemctl("daemon-reload", NULL, NULL);
	return ret;
}

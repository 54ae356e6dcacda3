/* SPDX-License-Identifier: MIT */
/*
 * Other people on this machine. A proxy of tailscaled's asks nobody for a password, so whoever can connect to loopback is
 * in the tailnet as this node. People are accounts that can log in; they are here if they have a process (/proc), or a
 * session where processes are hidden from other users (hidepid, proc(5); logind's /run/systemd/users).
 */
#include "others.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_PERSON 1000 /* UID_MIN of login.defs(5) */
#define SEEN_MAX 64
#define NAMES_MAX 3

struct seen {
	unsigned long uid[SEEN_MAX];
	unsigned count;
	char names[NAMES_MAX][64];
	unsigned people;
};

/* This user, and who became root by sudo. */
static bool is_us(unsigned long uid)
{
	const char *sudo = getenv("SUDO_UID");

	return uid == getuid() || uid == geteuid() || (geteuid() == 0 && sudo && strtoul(sudo, NULL, 10) == uid);
}

static bool can_log_in(const char *shell)
{
	const char *name = strrchr(shell, '/');

	name = name ? name + 1 : shell;
	return strcmp(name, "nologin") != 0 && strcmp(name, "false") != 0;
}

static void consider(struct seen *s, unsigned long uid)
{
	const struct passwd *pw;

	if (uid < FIRST_PERSON || is_us(uid) || s->count == SEEN_MAX)
		return;
	for (unsigned i = 0; i < s->count; i++)
		if (s->uid[i] == uid)
			return;
	s->uid[s->count++] = uid;
	pw = getpwuid((uid_t)uid);
	if (!pw || !can_log_in(pw->pw_shell))
		return;
	if (s->people < NAMES_MAX)
		snprintf(s->names[s->people], sizeof(s->names[0]), "%s", pw->pw_name);
	s->people++;
}

static void look(struct seen *s, const char *folder, bool by_owner)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	struct stat st;
	char *end;

	while (d && (e = readdir(d))) {
		unsigned long number = strtoul(e->d_name, &end, 10);

		if (end == e->d_name || *end)
			continue;
		if (!by_owner)
			consider(s, number);
		else if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			consider(s, st.st_uid);
	}
	if (d)
		closedir(d);
}

unsigned ts_others(char *names, size_t cap)
{
	struct seen s = { .count = 0 };
	unsigned told;
	size_t at = 0;

	look(&s, "/proc", true);
	look(&s, "/run/systemd/users", false);
	told = s.people < NAMES_MAX ? s.people : NAMES_MAX;
	names[0] = '\0';
	for (unsigned i = 0; i < told && at < cap; i++)
		at += (size_t)snprintf(names + at, cap - at, "%s%s", i == 0 ? "" : i + 1 == s.people ? " and " : ", ", s.names[i]);
	if (s.people > told && at < cap)
		snprintf(names + at, cap - at, " and %u more", s.people - told);
	return s.people;
}

/* SPDX-License-Identifier: MIT */
/*
 * Auth keys and other secrets that log a node in. Every user can read a command line, and every child inherits the
 * environment. So each secret is moved into a file without a name as soon as the options are read, and overwritten where
 * it was: /proc/PID/cmdline and /proc/PID/environ show the process's own memory (proc(5)). `tailscale up` is given the
 * name of such a file, which its flags take in place of the secret.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "up.h"

#define SECRET_MAX 65536 /* an identity token is some KiB long */
#define HELD_MAX 16

static int held[HELD_MAX];
static size_t held_count;
static bool named;	 /* a flag holds a secret */
static char *from_variable; /* TS_AUTHKEY's, as a flag; or null */

/* The name of the secret that a flag sets, or null. *value: what follows its '=', or null. */
static const char *secret_name(char *word, char **value)
{
	static const char *const names[] = { "auth-key", "authkey", "client-secret", "id-token" };
	size_t dashes = strspn(word, "-"), len = strcspn(word + dashes, "=");

	for (size_t i = 0; (dashes == 1 || dashes == 2) && i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i]) != len || memcmp(word + dashes, names[i], len) != 0)
			continue;
		*value = word[dashes + len] ? word + dashes + len + 1 : NULL;
		return names[i];
	}
	return NULL;
}

/* The flag with the secret in a file of its own, malloc'd; null with errno. */
static char *store(const char *name, const char *text, size_t len)
{
	int fd = held_count < HELD_MAX ? memfd_create(name, MFD_CLOEXEC) : -1;
	char *flag;

	if (fd < 0)
		return NULL;
	held[held_count++] = fd;
	if (write(fd, text, len) != (ssize_t)len || asprintf(&flag, "--%s=file:/dev/fd/%d", name, fd) < 0)
		return NULL;
	return flag;
}

/* A value that only says where the secret is: in a file, or in AWS's parameter store, where `tailscale` looks it up. */
static bool is_place(const char *value)
{
	return strncmp(value, "file:", 5) == 0 || strncmp(value, "arn:aws:ssm:", 12) == 0;
}

static char *hide(const char *name, char *value)
{
	char *flag;

	if (is_place(value))
		return asprintf(&flag, "--%s=%s", name, value) < 0 ? NULL : flag;
	flag = store(name, value, strlen(value));
	explicit_bzero(value, strlen(value));
	return flag;
}

/* `tailscale` has another standard input, may be run twice, and knows none of our descriptors: it gets a copy. */
static char *pass(const char *name, char *value)
{
	const char *path = strncmp(value, "file:", 5) == 0 ? value + 5 : NULL;
	char text[SECRET_MAX], *flag = NULL;
	size_t len = 0;
	ssize_t n = 1;
	int fd, err = 0;

	if (!path)
		return asprintf(&flag, "--%s=%s", name, value) < 0 ? NULL : flag;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	while (fd >= 0 && len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	if (fd < 0 || n < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	if (!err && (len == sizeof(text) || strspn(text, " \t\r\n") >= len))
		ts_up_say("%s: contains no key", path);
	else if (!err && (flag = store(name, text, len)) != NULL)
		fcntl(held[held_count - 1], F_SETFD, 0);
	else
		ts_up_say("%s: %s", path, strerror(err ? err : errno));
	explicit_bzero(text, sizeof(text));
	return flag;
}

/* Puts what `replace` makes of each secret among the flags in its place. False where it makes nothing. */
static bool replace_each(char **flags, char *(*replace)(const char *name, char *value))
{
	size_t kept = 0;

	for (size_t i = 0; flags[i]; i++) {
		char *word = flags[i], *value = NULL;
		const char *name = secret_name(word, &value);

		if (name && !value && flags[i + 1])
			value = flags[++i];
		flags[kept++] = name && value ? replace(name, value) : word;
		if (!flags[kept - 1])
			return false;
		named |= name != NULL;
	}
	flags[kept] = NULL;
	return true;
}

int ts_up_hide_secrets(char **flags)
{
	char *key = getenv("TS_AUTHKEY");

	if (!replace_each(flags, hide) || (key && *key && !(from_variable = hide("auth-key", key)))) {
		ts_tool_error("the auth key cannot be hidden: %s", strerror(errno));
		return 1;
	}
	unsetenv("TS_AUTHKEY");
	return 0;
}

bool ts_up_pass_secrets(char **flags)
{
	size_t n = 0;

	while (flags[n])
		n++;
	if (from_variable && !named) {
		flags[n] = from_variable;
		flags[n + 1] = NULL;
	}
	return replace_each(flags, pass);
}

void ts_up_forget_secrets(void)
{
	while (held_count)
		close(held[--held_count]);
}

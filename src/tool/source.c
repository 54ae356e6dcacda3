/* SPDX-License-Identifier: MIT */
/*
 * Where the status comes from. What the user named is the only source; else the first daemon's socket that answers in
 * one of the usual places.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tsproxy/tool.h"

extern char **environ;

#define PIPE_IDLE_MS 5000
#define PIPE_TOTAL_MS 60000

int ts_source_file(const char *path, char **text, size_t *len, char why[TS_WHY_MAX])
{
	int given = ts_conf_stream(path), err = 0, fd;
	struct stat st;

	/* A FIFO that nobody writes to would keep open() for ever. What is open already is its giver's business. */
	fd = given >= 0 ? dup(given) : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		err = -errno;
	else if (S_ISREG(st.st_mode) && st.st_size > TS_STATUS_MAX)
		err = -EFBIG;
	else if (given >= 0 || S_ISREG(st.st_mode))
		err = ts_source_drain(fd, 0, 0, text, len);
	else
		err = ts_source_drain(fd, PIPE_IDLE_MS, PIPE_TOTAL_MS, text, len);
	if (fd >= 0)
		close(fd);
	if (given == 0)
		path = "standard input";
	if (err == -ETIMEDOUT)
		snprintf(why, TS_WHY_MAX, "no status was written to %s", path);
	else if (err == -EFBIG)
		snprintf(why, TS_WHY_MAX, "the status from %s is larger than 256 MiB, which is not a status", path);
	else if (err)
		snprintf(why, TS_WHY_MAX, "cannot read the status from %s: %s", path, strerror(-err));
	return err;
}

/* No daemon at that place, as against one that answers wrongly, which must be told and not be passed over. */
static bool is_nobody(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED || err == -ENOTDIR || err == -ENOTSOCK || err == -EACCES;
}

/* A daemon's socket, and whether the user named it. */
struct daemon {
	const char *path;
	bool named;
};

static struct daemon named_daemon(const struct ts_map_settings *set)
{
	const char *path = set->socket;

	if (!path || !*path)
		path = getenv("TS_SOCKET");
	return (struct daemon){ path && *path ? path : NULL, true };
}

uint32_t ts_source_daemon(const struct ts_map_settings *set)
{
	struct daemon d = named_daemon(set);

	return d.path && !(set->status && *set->status) ? ts_source_user(d.path) : TS_NO_USER;
}

/* Another user's daemon hides none of the places that come after it. It is told where there is no other. */
static bool is_passed_over(int err, const char why[TS_WHY_MAX], char refused[TS_WHY_MAX])
{
	if (err == -EPERM && !*refused)
		memcpy(refused, why, TS_WHY_MAX);
	return err == -EPERM || is_nobody(err);
}

static int say_no_daemon(const char refused[TS_WHY_MAX], const char *or_else, char why[TS_WHY_MAX])
{
	if (*refused)
		memcpy(why, refused, TS_WHY_MAX);
	else
		snprintf(why, TS_WHY_MAX, "no tailscaled found: start one with tsproxy up, or give its socket %s", or_else);
	return *refused ? -EPERM : -ENOENT;
}

static int read_usual(char **text, size_t *len, struct daemon *d, const char **from, char why[TS_WHY_MAX])
{
	static char path[4096];
	char refused[TS_WHY_MAX] = "";
	const char *s;
	int err;

	for (unsigned i = 0; (s = ts_conf_usual_socket(environ, i, path, sizeof(path))) != NULL; i++) {
		if (!*s)
			continue;
		err = ts_source_localapi(s, false, text, len, why);
		*from = s;
		*d = (struct daemon){ s, false };
		if (!is_passed_over(err, why, refused))
			return err;
	}
	d->path = NULL;
	return say_no_daemon(refused, "(--socket) or a status file (--status)", why);
}

int ts_source_socket(const struct ts_map_settings *set, char *path, size_t cap, char why[TS_WHY_MAX])
{
	struct daemon d = named_daemon(set);
	char refused[TS_WHY_MAX] = "", buf[4096];
	const char *s;
	int err;

	if (d.path) {
		snprintf(path, cap, "%s", d.path);
		return ts_source_try(path, true, why);
	}
	for (unsigned i = 0; (s = ts_conf_usual_socket(environ, i, buf, sizeof(buf))) != NULL; i++) {
		err = *s ? ts_source_try(s, false, why) : -ENOENT;
		snprintf(path, cap, "%s", s);
		if (!is_passed_over(err, why, refused))
			return err;
	}
	return say_no_daemon(refused, "with --socket", why);
}

int ts_source_watch(const struct ts_map_settings *set, char why[TS_WHY_MAX])
{
	struct daemon d = named_daemon(set);
	char path[4096], refused[TS_WHY_MAX] = "";
	const char *s;
	int fd;

	if (d.path)
		return ts_source_bus(d.path, true, why);
	for (unsigned i = 0; (s = ts_conf_usual_socket(environ, i, path, sizeof(path))) != NULL; i++) {
		fd = *s ? ts_source_bus(s, false, why) : -ENOENT;
		if (!is_passed_over(fd, why, refused))
			return fd;
	}
	return say_no_daemon(refused, "with --socket", why);
}

/* `d` is the daemon that answered; without a path where none did. */
static int fetch(const struct ts_map_settings *set, char **text, size_t *len, struct daemon *d, const char **from,
		 char why[TS_WHY_MAX])
{
	*d = (struct daemon){ NULL, false };
	*from = set->status;
	if (*from && **from)
		return ts_source_file(*from, text, len, why);
	*d = named_daemon(set);
	if (!d->path)
		return read_usual(text, len, d, from, why);
	*from = d->path;
	return ts_source_localapi(d->path, true, text, len, why);
}

int ts_source_text(const struct ts_map_settings *set, char **text, size_t *len, const char **from,
		   char why[TS_WHY_MAX])
{
	struct daemon d;

	return fetch(set, text, len, &d, from, why);
}

/* What else the daemon says that the map is to hold. 0 or -ENOMEM. */
static int ask_more(const struct daemon *d, struct ts_tailnet *out)
{
	struct ts_status_prefs prefs = { false, false };
	int err = ts_source_dns(d->path, d->named, out);

	if (!err && (out->route_count || out->dns_route_count))
		ts_source_prefs(d->path, d->named, &prefs);
	/* The status lists the peers' routes whether or not this node takes them. */
	out->refuses_routes = prefs.refuses_routes;
	if (prefs.refuses_dns)
		ts_tailnet_drop_dns_routes(out);
	return err;
}

int ts_source_read(const struct ts_map_settings *set, struct ts_tailnet *out)
{
	char why[TS_WHY_MAX] = "", bad[TS_STATUS_WHY_MAX] = "";
	struct daemon d;
	const char *from;
	char *text = NULL;
	size_t len = 0;
	int err;

	memset(out, 0, sizeof(*out));
	err = fetch(set, &text, &len, &d, &from, why);
	if (err) {
		if (err != -ENOENT || !ts_settings_proxy_alone(set))
			ts_tool_error("%s", why);
		return err;
	}
	err = ts_status_parse(text, len, out, bad);
	if (err == -EBADMSG)
		ts_tool_error("the status from %s is invalid: %s", strcmp(from, "-") == 0 ? "standard input" : from,
			      bad);
	else if (err)
		ts_tool_error("reading the status: %s", strerror(-err));
	free(text);
	return err || !d.path ? err : ask_more(&d, out);
}

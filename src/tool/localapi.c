/* SPDX-License-Identifier: MIT */
/*
 * The daemon's LocalAPI: HTTP over its unix socket. HTTP/1.0 makes the server end the answer by closing, so one write
 * and a read to the end are the whole client.
 *
 * In the usual places a socket counts only where root or this user answers: /tmp is one of them, where anybody may put
 * one, and who answers here decides where names lead.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tsproxy/tool.h"

#define IDLE_MS 2000   /* the daemon is on this machine: silence this long is no slowness */
#define TOTAL_MS 15000 /* 100,000 nodes are 100 MiB of JSON */

/*
 * ipn.NotifyWatchOpt: state (2) and preferences (4) at once, no private keys (16), changes of peers (4096), no whole
 * network maps (8192), the peers' small changes as such (32768). A daemon older than the last three sends whole maps.
 */
#define BUS_MASK "45078"

static uint32_t peer_of(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.uid : TS_NO_USER;
}

static int dial(const char *path, bool explicitly, char why[TS_WHY_MAX])
{
	struct timeval patience = { .tv_sec = IDLE_MS / 1000 };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	uint32_t peer;
	int fd, err = 0;

	if (strlen(path) >= sizeof(un.sun_path)) {
		snprintf(why, TS_WHY_MAX, "the socket's path is too long: %s", path);
		return -ENAMETOOLONG;
	}
	memcpy(un.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		snprintf(why, TS_WHY_MAX, "socket: %s", strerror(errno));
		return -errno;
	}
	/* A full backlog would keep connect() waiting for ever. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0) {
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
		snprintf(why, TS_WHY_MAX,
			 "no tailscaled answers at %s (%s): start it, or give its socket with --socket", path,
			 strerror(-err));
	} else if (!explicitly && (peer = peer_of(fd)) != 0 && peer != geteuid()) {
		err = -EPERM;
		snprintf(why, TS_WHY_MAX,
			 "the daemon at %s belongs to another user (%u): use --socket if you trust it", path, peer);
	}
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int ts_source_try(const char *path, bool explicitly, char why[TS_WHY_MAX])
{
	int fd = dial(path, explicitly, why);

	return fd < 0 ? fd : close(fd);
}

uint32_t ts_source_user(const char *path)
{
	char why[TS_WHY_MAX];
	int fd = dial(path, true, why);
	uint32_t user = fd < 0 ? TS_NO_USER : peer_of(fd);

	if (fd >= 0)
		close(fd);
	return user;
}

/* The value of header `name` in the head, or null. */
static const char *header(const char *head, const char *name)
{
	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, name, strlen(name)) == 0)
			return line + 2 + strlen(name);
	return NULL;
}

/* Strips the head off an answer in place. */
static int body(const char *path, char *text, size_t *len, char why[TS_WHY_MAX])
{
	char *end = memmem(text, *len, "\r\n\r\n", 4);
	const char *value;
	char first[80];
	size_t head_len;
	int code;

	if (*len == 0) {
		snprintf(why, TS_WHY_MAX, "tailscaled at %s closed the connection without an answer; it may be shutting down", path);
		return -EPROTO;
	}
	if (!end || *len < 12 || memcmp(text, "HTTP/1.", 7) != 0) {
		snprintf(why, TS_WHY_MAX, "the program at %s is not tailscaled: its answer is not HTTP", path);
		return -EPROTO;
	}
	head_len = (size_t)(end - text) + 4;
	end[2] = '\0';
	code = atoi(text + 9);
	if (code != 200) {
		ts_tool_printable(text + head_len, *len - head_len < 60 ? *len - head_len : 60, first, sizeof(first));
		snprintf(why, TS_WHY_MAX, "tailscaled at %s refused to report its status (HTTP %d: %s)%s", path, code, first,
			 code == 403 ? "; as root, run tailscale set --operator=USER" : "");
		return code == 403 ? -EPERM : code == 404 ? -ENOSYS : -EPROTO;
	}
	*len -= head_len;
	value = header(text, "Content-Length:");
	if (value && strtoull(value, NULL, 10) > *len) {
		snprintf(why, TS_WHY_MAX, "tailscaled at %s closed the connection before its status was complete", path);
		return -EPROTO;
	}
	memmove(text, text + head_len, *len);
	return 0;
}

int ts_source_ask(const char *path, bool explicitly, const char *what, char why[TS_WHY_MAX])
{
	char request[256];
	int n = snprintf(request, sizeof(request), "GET /localapi/v0/%s HTTP/1.0\r\n"
						   "Host: local-tailscaled.sock\r\n"
						   "Accept: application/json\r\n"
						   "\r\n", what);
	int fd = dial(path, explicitly, why);

	if (fd < 0)
		return fd;
	if (send(fd, request, (size_t)n, MSG_NOSIGNAL) == n)
		return fd;
	close(fd);
	snprintf(why, TS_WHY_MAX, "talking to tailscaled at %s: %s", path, strerror(EPIPE));
	return -EPIPE;
}

int ts_source_get(const char *path, bool explicitly, const char *what, char **text, size_t *len, char why[TS_WHY_MAX])
{
	int fd = ts_source_ask(path, explicitly, what, why), err;

	if (fd < 0)
		return fd;
	*text = NULL;
	err = ts_source_drain(fd, IDLE_MS, TOTAL_MS, text, len);
	close(fd);
	if (err == -ETIMEDOUT)
		snprintf(why, TS_WHY_MAX, "tailscaled at %s does not answer; restart it", path);
	else if (err == -EFBIG)
		snprintf(why, TS_WHY_MAX, "the program at %s sent more than 256 MiB, which is not a status", path);
	else if (err)
		snprintf(why, TS_WHY_MAX, "talking to tailscaled at %s: %s", path, strerror(-err));
	else
		err = body(path, *text, len, why);
	if (err) {
		free(*text);
		*text = NULL;
	}
	return err;
}

int ts_source_localapi(const char *path, bool explicitly, char **text, size_t *len, char why[TS_WHY_MAX])
{
	return ts_source_get(path, explicitly, "status", text, len, why);
}

void ts_source_prefs(const char *path, bool explicitly, struct ts_status_prefs *out)
{
	char why[TS_WHY_MAX], *text;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (ts_source_get(path, explicitly, "prefs", &text, &len, why) != 0)
		return;
	ts_status_parse_prefs(text, len, out);
	free(text);
}

int ts_source_bus(const char *path, bool explicitly, char why[TS_WHY_MAX])
{
	return ts_source_ask(path, explicitly, "watch-ipn-bus?mask=" BUS_MASK, why);
}

/* SPDX-License-Identifier: MIT */
/*
 * The daemon that `tsproxy up` starts for this user and profile, and where it keeps what it needs: in the home, which in
 * a workspace outlives the machine. It comes before any other: who started it wants it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/tool.h"

const char *ts_own_path(const char *file, char *buf, size_t cap)
{
	extern char **environ;

	return ts_conf_own_path(environ, file, buf, cap) ? buf : NULL;
}

bool ts_own_ports(struct ts_own_ports *out)
{
	char path[4096], line[64];
	unsigned port;
	FILE *f;
	int fd;

	memset(out, 0, sizeof(*out));
	fd = ts_own_path("ports", path, sizeof(path)) ? open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
	f = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "socks5 %u", &port) == 1)
			out->socks5 = (uint16_t)port;
		else if (sscanf(line, "http %u", &port) == 1)
			out->http = (uint16_t)port;
		else if (strcmp(line, "ephemeral\n") == 0)
			out->ephemeral = true;
	}
	fclose(f);
	return out->socks5 != 0;
}

int ts_own_ports_write(const struct ts_own_ports *ports)
{
	char path[4096], beside[4096];
	FILE *f;

	if (!ts_own_path("ports", path, sizeof(path)) || !ts_own_path("ports.new", beside, sizeof(beside)))
		return -ENOENT;
	f = fopen(beside, "we");
	if (!f)
		return -errno;
	fprintf(f, "socks5 %u\nhttp %u\n%s", ports->socks5, ports->http, ports->ephemeral ? "ephemeral\n" : "");
	return fclose(f) == 0 && rename(beside, path) == 0 ? 0 : -errno;
}

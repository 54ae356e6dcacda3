/* SPDX-License-Identifier: MIT */
/*
 * Stands in for tsproxy-sync: writes down how it was started (to FAKE_LOG), then does as FAKE_DO says:
 *   (unset)  puts a map in place that is as old as FAKE_AGE seconds
 *   fail     says a line, exits 1
 *   hang     says a line, then waits until the FIFO FAKE_GATE is opened for writing, then as unset
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tsproxy/conf.h"
#include "tsproxy/map.h"

extern char **environ;

static void write_log(int argc, char **argv)
{
	FILE *f = fopen(getenv("FAKE_LOG"), "a");
	char target[256];

	for (int i = 1; i < argc; i++)
		fprintf(f, "arg %s\n", argv[i]);
	fprintf(f, "session %s\n", getsid(0) == getpid() ? "own" : "inherited");
	fprintf(f, "preload %s\n", getenv("LD_PRELOAD") ? getenv("LD_PRELOAD") : "none");
	for (int fd = 0; fd < 3; fd++) {
		char name[32];
		ssize_t n;

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		n = readlink(name, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		fprintf(f, "fd %d %s\n", fd, strncmp(target, "pipe:", 5) == 0 ? "pipe" : target);
	}
	for (int fd = 3; fd < 64; fd++)
		if (fd != fileno(f) && fcntl(fd, F_GETFD) >= 0)
			fprintf(f, "leaked %d\n", fd);
	fclose(f);
}

static int write_map(const char *path)
{
	struct {
		struct ts_map_header h;
		struct ts_map_endpoint proxy; /* on another host, so that nobody asks who listens */
	} map = {
		.h = { .version = TS_MAP_VERSION, .header_len = sizeof(map.h), .endpoints = { sizeof(struct ts_map_header), 1 } },
		.proxy = { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .port = 1055, .kind = TS_PROXY_SOCKS5 },
	};
	const char *age = getenv("FAKE_AGE");
	struct timespec now;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	memcpy(map.h.magic, TS_MAP_MAGIC, sizeof(map.h.magic));
	clock_gettime(CLOCK_REALTIME, &now);
	map.h.made_ns = (now.tv_sec - (age ? atol(age) : 0)) * 1000000000ll + now.tv_nsec;
	return fd < 0 || write(fd, &map, sizeof(map)) != sizeof(map) || close(fd) != 0;
}

int main(int argc, char **argv)
{
	const char *what = getenv("FAKE_DO") ? getenv("FAKE_DO") : "";
	struct ts_conf conf;
	char c;

	if (getenv("FAKE_LOG"))
		write_log(argc, argv);
	if (strcmp(what, "fail") == 0) {
		fprintf(stderr, "fake: failed\n");
		return 1;
	}
	if (strcmp(what, "hang") == 0) {
		int fd;

		fprintf(stderr, "fake: hangs\n");
		fd = open(getenv("FAKE_GATE"), O_RDONLY);
		if (read(fd, &c, 1) != 0)
			return 1;
	}
	ts_conf_load(&conf, environ);
	if (argc == 5 && strcmp(argv[3], "--map") == 0) {
		while (read(0, &c, 1) == 1)
			;
		return write_map(argv[4]);
	}
	return write_map(conf.map_path);
}

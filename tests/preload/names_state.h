/* SPDX-License-Identifier: MIT */
/* What a lookup says, in one word; and changes to the status and its map while a program runs. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../include/tsproxy/hash.h"

extern char **environ;

/* The first IPv4 address of `name`, or the error, in static storage of each thread. */
static inline const char *look_up(const char *name)
{
	static _Thread_local char text[NI_MAXHOST];
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *res;
	int ret = getaddrinfo(name, NULL, &hints, &res);

	if (ret) {
		snprintf(text, sizeof(text), "error %d", ret);
		return text;
	}
	getnameinfo(res->ai_addr, res->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(res);
	return text;
}

static inline void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Polls until `name` resolves to `want`, 10 s at most. True where it does. */
static inline int becomes(const char *name, const char *want)
{
	for (int i = 0; i < 2000; i++) {
		if (strcmp(look_up(name), want) == 0)
			return 1;
		pause_ms(5);
	}
	return 0;
}

/* Runs tsproxy-sync in a child without the object. Its exit status. */
static inline int run_sync(void)
{
	char path[512];
	int status = -1;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/tsproxy-sync", getenv("TEST_BUILD"));
	pid = fork();
	if (pid == 0) {
		unsetenv("LD_PRELOAD");
		freopen("/dev/null", "w", stderr);
		execl(path, "tsproxy-sync", (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* Writes a status of `nodes` more nodes than db, which has the last byte `last`; by rename. */
static inline void write_status(const char *state, int tun, int last, int nodes)
{
	char tmp[600];
	FILE *f;

	snprintf(tmp, sizeof(tmp), "%s.new", getenv("TEST_STATUS"));
	f = fopen(tmp, "w");
	fprintf(f, "{\"BackendState\":\"%s\",\"TUN\":%s,\"Self\":{\"HostName\":\"me\",\"DNSName\":\"me.tail1.ts.net.\","
		"\"TailscaleIPs\":[\"100.64.0.1\"]},\"MagicDNSSuffix\":\"tail1.ts.net\",\"Peer\":{\"p\":{\"HostName\":\"db\","
		"\"DNSName\":\"db.tail1.ts.net.\",\"TailscaleIPs\":[\"100.64.0.%d\"]}", state, tun ? "true" : "false", last);
	for (int i = 0; i < nodes; i++)
		fprintf(f, ",\"n%d\":{\"HostName\":\"node-%d\",\"DNSName\":\"node-%d.tail1.ts.net.\",\"TailscaleIPs\":"
			"[\"100.%d.%d.%d\"]}", i, i, i, 65 + i / 60000, i / 250 % 240, i % 250 + 1);
	fprintf(f, "}}\n");
	fclose(f);
	rename(tmp, getenv("TEST_STATUS"));
}

/* Makes the map `seconds` older (less: it comes from the future), by rename. Its header: include/tsproxy/map.h. */
static inline void age_map(long long seconds)
{
	enum { HEADER_LEN = 12, MADE = 48, CHECKSUM_BACK = 8, HEADER_MAX = 512 };
	const char *map = getenv("TEST_MAP");
	unsigned char head[HEADER_MAX];
	uint64_t sum;
	char tmp[600], command[1300];
	unsigned len;
	long long made;
	int fd;

	snprintf(tmp, sizeof(tmp), "%s.aged", map);
	snprintf(command, sizeof(command), "cp -p %s %s", map, tmp);
	unsetenv("LD_PRELOAD");
	if (system(command) != 0)
		abort();
	fd = open(tmp, O_RDWR);
	if (pread(fd, head, sizeof(head), 0) != sizeof(head))
		abort();
	memcpy(&len, head + HEADER_LEN, sizeof(len));
	memcpy(&made, head + MADE, sizeof(made));
	made -= seconds * 1000000000ll;
	memcpy(head + MADE, &made, sizeof(made));
	sum = ts_sum64(head, len - CHECKSUM_BACK);
	memcpy(head + len - CHECKSUM_BACK, &sum, sizeof(sum));
	if (pwrite(fd, head, len, 0) != (ssize_t)len)
		abort();
	close(fd);
	rename(tmp, map);
}

/* How often tsproxy-sync was started (sync_counted.sh). */
static inline int syncs_started(void)
{
	char path[600], line[64];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/started", getenv("TEST_DIR"));
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		n++;
	if (f)
		fclose(f);
	return n;
}

/* A file's bytes in place of the map's, in place (truncated and written) or by rename. */
static inline void overwrite_map(const char *bytes, size_t len, int by_rename)
{
	char tmp[600];
	int fd;

	snprintf(tmp, sizeof(tmp), "%s%s", getenv("TEST_MAP"), by_rename ? ".new" : "");
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (write(fd, bytes, len) != (ssize_t)len)
		abort();
	close(fd);
	if (by_rename)
		rename(tmp, getenv("TEST_MAP"));
}

/* SPDX-License-Identifier: MIT */
/*
 * connect N HOST PORT [PROXY-PORT]: N times: look HOST up, connect, send a line, get it back, close. Prints each one's time in ns.
 * With PROXY-PORT it speaks SOCKS5 (RFC 1928) itself, to 127.0.0.1, as a client does that knows proxies; HOST goes to the proxy then.
 * With "+" before PROXY-PORT it sends greeting and request at once, which not every proxy takes.
 * `connect -m N ...` prints what the process holds afterwards instead: Pss and private dirty memory in KiB, threads, descriptors.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void get_all(int fd, void *to, size_t len)
{
	if (recv(fd, to, len, MSG_WAITALL) != (ssize_t)len)
		fail("recv");
}

static int by_libc(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list;
	int fd, err = getaddrinfo(host, port, &hints, &list);

	if (err) {
		fprintf(stderr, "%s: %s\n", host, gai_strerror(err));
		exit(1);
	}
	fd = socket(list->ai_family, list->ai_socktype, list->ai_protocol);
	if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) != 0)
		fail("connect");
	freeaddrinfo(list);
	return fd;
}

static size_t request(uint8_t *out, const char *host, const char *port)
{
	uint16_t number = htons((uint16_t)atoi(port));
	size_t len = 5 + strlen(host);

	memcpy(out, "\5\1\0\3", 4);
	if (inet_pton(AF_INET, host, out + 4) == 1) {
		out[3] = 1;
		len = 8;
	} else {
		out[4] = (uint8_t)strlen(host);
		memcpy(out + 5, host, strlen(host));
	}
	memcpy(out + len, &number, 2);
	return len + 2;
}

static int by_socks(const char *host, const char *port, const char *proxy_port)
{
	struct sockaddr_in proxy = { .sin_family = AF_INET };
	bool at_once = *proxy_port == '+';
	uint8_t out[3 + 262] = "\5\1\0", in[10];
	size_t len = request(out + 3, host, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	proxy.sin_port = htons((uint16_t)atoi(proxy_port + at_once));
	proxy.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&proxy, sizeof(proxy)) != 0)
		fail("connect");
	send(fd, out, at_once ? 3 + len : 3, MSG_NOSIGNAL);
	get_all(fd, in, 2);
	if (!at_once)
		send(fd, out + 3, len, MSG_NOSIGNAL);
	get_all(fd, in, sizeof(in));
	if (in[1] != 0 || in[3] != 1) {
		fprintf(stderr, "the proxy says %d\n", in[1]);
		exit(1);
	}
	return fd;
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 3;	/* ".", "..", and the folder's own */
}

/* The number after `key` in a file of /proc. Read without stdio, whose buffers would count. */
static long number(const char *path, const char *key)
{
	static char text[8192];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	long sum = 0;

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (char *p = text; (p = strstr(p, key)); p += strlen(key))
		sum += atol(strchr(p, ':') + 1);
	return sum;
}

static void print_memory(void)
{
	long pss = number("/proc/self/smaps_rollup", "\nPss:"), private = number("/proc/self/smaps_rollup", "\nPrivate_Dirty");
	long threads = number("/proc/self/status", "\nThreads:");

	printf("%ld %ld %ld %d\n", pss, private, threads, descriptors());
}

int main(int argc, char **argv)
{
	bool memory = argc > 1 && strcmp(argv[1], "-m") == 0;
	char line[] = "hello, node\n";

	argv += memory;
	argc -= memory;
	if (argc < 4) {
		fprintf(stderr, "connect [-m] N HOST PORT [[+]PROXY-PORT]\n");
		return 2;
	}
	for (int i = 0; i < atoi(argv[1]); i++) {
		int64_t start = now();
		int fd = argc > 4 ? by_socks(argv[2], argv[3], argv[4]) : by_libc(argv[2], argv[3]);

		if (send(fd, line, sizeof(line), MSG_NOSIGNAL) != sizeof(line))
			fail("send");
		get_all(fd, line, sizeof(line));
		close(fd);
		if (!memory)
			printf("%lld\n", (long long)(now() - start));
	}
	if (memory)
		print_memory();
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Datagrams that come back, a few under way at a time.
 *
 *	datagrams serve PORT			sends back what comes
 *	datagrams COUNT SIZE HOST PORT		how many a second went and came back
 *	datagrams COUNT SIZE HOST PORT PROXY	the same by UDP ASSOCIATE of its own, at the proxy's port on loopback
 *	datagrams open COUNT HOST PORT		COUNT sockets one after the other, each one datagram and back: what is left behind
 *	datagrams hold COUNT HOST PORT		COUNT sockets at once, each one datagram and back, twice: how many did not
 *	datagrams batch COUNT HOST PORT		COUNT times 64 there by one sendmmsg, and back by recvmmsg, for who counts system calls
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define UNDER_WAY 8
#define HEADER 10

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	inet_pton(AF_INET, host, &a.sin_addr);
	return a;
}

static int open_udp(void)
{
	struct timeval patience = { .tv_sec = 1 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void serve(const char *port)
{
	struct sockaddr_in at = address("0.0.0.0", port), from;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	static char buf[65536];

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		err(1, "bind");
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n >= 0)
			sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

/* The relay's address; the control connection stays open. */
static struct sockaddr_in associate(const char *proxy)
{
	static const uint8_t ask[] = { 5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0 };
	struct sockaddr_in at = address("127.0.0.1", proxy), relay = at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	uint8_t got[12];

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || write(fd, ask, sizeof(ask)) != sizeof(ask) ||
	    recv(fd, got, sizeof(got), MSG_WAITALL) != sizeof(got) || got[3])
		errx(1, "no association");
	memcpy(&relay.sin_addr, got + 6, 4);
	memcpy(&relay.sin_port, got + 10, 2);
	return relay;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(int count, size_t size, const struct sockaddr_in *to, const char *proxy)
{
	static char out[65536], in[65536];
	uint8_t header[HEADER] = { [3] = 1 }, head_in[HEADER];
	struct sockaddr_in at = proxy ? associate(proxy) : *to, from;
	struct iovec send[2] = { { header, HEADER }, { out, size } }, receive[2] = { { head_in, HEADER }, { in, sizeof(in) } };
	struct msghdr m = { .msg_name = &at, .msg_namelen = sizeof(at), .msg_iov = proxy ? send : send + 1, .msg_iovlen = proxy ? 2 : 1 };
	struct msghdr r = { .msg_name = &from, .msg_iov = proxy ? receive : receive + 1, .msg_iovlen = proxy ? 2 : 1 };
	int fd = open_udp(), back = 0;
	double start = 0;

	memcpy(header + 4, &to->sin_addr, 4);
	memcpy(header + 8, &to->sin_port, 2);
	for (int i = -UNDER_WAY; i < count; i += UNDER_WAY) {
		if (i == 0)
			start = now();
		for (int k = 0; k < UNDER_WAY; k++)
			if (sendmsg(fd, &m, 0) < 0)
				err(1, "sendmsg");
		for (int k = 0; k < UNDER_WAY; k++) {
			r.msg_namelen = sizeof(from);
			back += recvmsg(fd, &r, 0) == (ssize_t)(size + (proxy ? HEADER : 0));
		}
	}
	printf("%.0f %d\n", count / (now() - start), count + UNDER_WAY - back);
}

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Rss: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static int entries(const char *folder)
{
	DIR *d = opendir(folder);
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int n = 0, c;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static bool ask(int fd, const struct sockaddr_in *to)
{
	char c = 'c';

	return sendto(fd, &c, 1, 0, (const struct sockaddr *)to, sizeof(*to)) == 1 && recv(fd, &c, 1, 0) == 1;
}

static void open_many(int count, const struct sockaddr_in *to)
{
	int failed = 0, fds = 0, maps = 0;
	long kib = 0;

	for (int i = -100; i < count; i++) {
		int fd;

		if (i == 0) {
			kib = resident_kib();
			fds = entries("/proc/self/fd");
			maps = mappings();
		}
		fd = open_udp();
		failed += !ask(fd, to);
		close(fd);
	}
	printf("failed %d KiB %ld descriptors %d mappings %d\n", failed, resident_kib() - kib, entries("/proc/self/fd") - fds,
	       mappings() - maps);
}

static void hold_many(int count, const struct sockaddr_in *to)
{
	struct rlimit r;
	int *fds = calloc((size_t)count, sizeof(*fds)), failed = 0;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < count; i++) {
			if (!turn)
				fds[i] = open_udp();
			failed += !ask(fds[i], to);
		}
	printf("failed %d\n", failed);
}

static void batches(int count, const struct sockaddr_in *to)
{
	static char text[64][100];
	struct iovec iov[64];
	struct mmsghdr out[64], in[64];
	int fd = open_udp(), room = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	for (int i = 0; i < 64; i++) {
		iov[i] = (struct iovec){ text[i], sizeof(text[i]) };
		out[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = (void *)to, .msg_namelen = sizeof(*to), .msg_iov = &iov[i], .msg_iovlen = 1 } };
		in[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	ask(fd, to);
	for (int i = 0; i < count; i++)
		if (sendmmsg(fd, out, 64, 0) != 64 || recvmmsg(fd, in, 64, 0, NULL) != 64)
			err(1, "batch %d", i);
}

int main(int argc, char *argv[])
{
	struct sockaddr_in to;

	if (argc == 3)
		serve(argv[2]);
	if (argc < 5)
		return 2;
	to = address(argv[3], argv[4]);
	if (strcmp(argv[1], "open") == 0)
		open_many(atoi(argv[2]), &to);
	else if (strcmp(argv[1], "hold") == 0)
		hold_many(atoi(argv[2]), &to);
	else if (strcmp(argv[1], "batch") == 0)
		batches(atoi(argv[2]), &to);
	else
		measure(atoi(argv[1]), (size_t)atoi(argv[2]), &to, argv[5]);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* For snippets that are their own name server, and look at time and at their descriptors. */
#ifndef SERVER_H
#define SERVER_H

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static inline int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A server on loopback, in a process of its own that ends with this one: each connection is given to `each`, in a process of its own. */
static inline void serve(int port, void (*each)(int fd))
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(fd, 64) != 0)
		abort();
	if (fork() != 0) {
		close(fd);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (fork() == 0) {
			each(c);
			_exit(0);
		}
		close(c);
	}
}

/* The next message of DNS over TCP (RFC 7766), its length in front; returns that, or 0 at the end. */
static inline size_t read_message(int fd, uint8_t *m, size_t room)
{
	size_t n;

	if (recv(fd, m, 2, MSG_WAITALL) != 2)
		return 0;
	n = (size_t)(m[0] << 8 | m[1]);
	return n + 2 <= room && recv(fd, m + 2, n, MSG_WAITALL) == (ssize_t)n ? n : 0;
}

/* Sends the `n` bytes behind the place for their length. */
static inline void write_message(int fd, uint8_t *m, size_t n)
{
	m[0] = (uint8_t)(n >> 8);
	m[1] = (uint8_t)n;
	send(fd, m, n + 2, MSG_NOSIGNAL);
}

#endif

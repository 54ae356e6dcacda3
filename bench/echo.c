/* SPDX-License-Identifier: MIT */
/* echo PORT: sends back what it gets, on every IPv4 address, to any number of clients at once. Says "ready" once it listens. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 256

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)) };
	struct pollfd fds[CLIENTS_MAX + 1];
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	nfds_t n = 1;
	char buf[4096];

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 128) != 0) {
		perror("echo");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	fds[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
	for (;;) {
		poll(fds, n, -1);
		if (fds[0].revents && n <= CLIENTS_MAX) {
			int fd = accept(listener, NULL, NULL);

			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			fds[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		}
		for (nfds_t i = n; i-- > 1;) {
			ssize_t got;

			if (!fds[i].revents)
				continue;
			got = read(fds[i].fd, buf, sizeof(buf));
			if (got > 0 && write(fds[i].fd, buf, (size_t)got) == got)
				continue;
			close(fds[i].fd);
			fds[i] = fds[--n];
		}
	}
}

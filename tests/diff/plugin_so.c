/* SPDX-License-Identifier: MIT */
/* What cases/plugin.c loads: connects, waits, sends a word, reads it back. 0 or -errno. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int plugin_dial(int type, const struct sockaddr *to, socklen_t len);

int plugin_dial(int type, const struct sockaddr *to, socklen_t len)
{
	int fd = socket(to->sa_family, type, 0), result = -EIO;
	struct pollfd p = { fd, POLLOUT, 0 };
	char word[4];

	if (connect(fd, to, len) < 0 && errno != EINPROGRESS)
		result = -errno;
	else if (poll(&p, 1, 5000) == 1 && send(fd, "ping", 4, MSG_NOSIGNAL) == 4 &&
		 (p.events = POLLIN, poll(&p, 1, 5000) == 1) && recv(fd, word, 4, 0) == 4 && !memcmp(word, "ping", 4))
		result = 0;
	close(fd);
	return result;
}

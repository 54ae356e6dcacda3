/* SPDX-License-Identifier: MIT */
/* Reading a file, a pipe or an answer to its end, with a limit on its size and on the time. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "tsproxy/tool.h"

/* 1 readable, 0 not limited in time, -ETIMEDOUT. */
static int wait_readable(int fd, int idle_ms, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = idle_ms, now = ts_tool_now_ms();
	int n;

	if (!idle_ms)
		return 0;
	if (deadline - now < left)
		left = deadline - now;
	n = left > 0 ? poll(&p, 1, (int)left) : 0;
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n == 0 ? -ETIMEDOUT : 1;
}

int ts_source_drain(int fd, int idle_ms, int total_ms, char **text, size_t *len)
{
	int64_t deadline = ts_tool_now_ms() + total_ms;
	size_t cap = 256 << 10, at = 0;
	char *buf = malloc(cap), *more;
	int err = buf ? 0 : -ENOMEM;

	while (!err) {
		ssize_t n;

		if (at == cap) {
			more = realloc(buf, cap * 2);
			if (!more) {
				err = -ENOMEM;
				break;
			}
			buf = more;
			cap *= 2;
		}
		err = wait_readable(fd, idle_ms, deadline);
		if (err < 0)
			break;
		err = 0;
		n = read(fd, buf + at, cap - at);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		at += (size_t)n;
		if (at > TS_STATUS_MAX)
			err = -EFBIG;
	}
	if (err) {
		free(buf);
		return err;
	}
	*text = buf;
	*len = at;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Streams (FILE) of sockets with an association. Where libc's can be made to, they read and write as the hooks do. */
#include "udp.h"

#include <errno.h>

#include "tsproxy/streams.h"
#include "tsproxy/sys.h"

bool ts_udp_streams;
static struct ts_streams libc;
static bool late;	/* libc writes what is left in its streams after all destructors */

__attribute__((destructor)) static void at_exit(void)
{
	late = true;
}

static ssize_t read_stream(FILE *f, void *to, ssize_t len)
{
	struct iovec iov = { to, (size_t)len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fd = f->_fileno;
	ssize_t n;

	if (len <= 0 || !(ts_fd_is_udp(fd) || ts_udp_may_turn(fd, 0)))
		return libc.read(f, to, len);
	n = ts_udp_recv(fd, &msg, 0);
	if (n >= 0)
		return n;
	ts_errno = (int)-n;
	return -1;
}

static ssize_t write_stream(FILE *f, const void *from, ssize_t len)
{
	struct iovec iov = { (void *)from, (size_t)len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (len <= 0 || !ts_fd_is_udp(f->_fileno))
		return libc.write(f, from, len);
	n = ts_udp_send(f->_fileno, &msg, 0);
	if (late)
		ts_udp_process_ending();
	if (n >= 0)
		return n;
	f->_flags |= _IO_ERR_SEEN;
	ts_errno = (int)-n;
	return 0;
}

void ts_udp_streams_take(void)
{
	static const struct ts_streams ours = { read_stream, write_stream };
	static bool tried;

	if (tried)
		return;
	tried = true;
	ts_udp_streams = ts_streams_take(&ours, &libc);
}

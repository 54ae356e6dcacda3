/* SPDX-License-Identifier: MIT */
/* See stream_io.h. What is neither an association nor a pending connection is libc's alone. */
#include "tsproxy/stream_io.h"

#include <errno.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/streams.h"
#include "tsproxy/sys.h"
#include "tsproxy/tcp.h"
#include "tsproxy/udp.h"

_Atomic bool ts_stream_io_taken, ts_stream_io_wanted;
static struct ts_streams libc;
static _Atomic bool late;	/* libc writes what is left in its streams after all destructors */

__attribute__((destructor)) static void at_exit(void)
{
	late = true;
}

static ssize_t read_datagram(int fd, void *to, ssize_t len)
{
	struct iovec iov = { to, (size_t)len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return ts_udp_recv(fd, &msg, 0);
}

static ssize_t write_datagram(int fd, const void *from, ssize_t len)
{
	struct iovec iov = { (void *)from, (size_t)len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = ts_udp_send(fd, &msg, 0);

	if (late)
		ts_udp_process_ending();
	return n;
}

/* A connection under way is decided first: 0, or -errno. */
static int settle(int fd, int option)
{
	return ts_fd_has_flow(fd) ? ts_tcp_settle(fd, 0, option) : 0;
}

/* libc's own call failed: the error of a failed connect is told by whichever meets it first. */
static void tell(int fd)
{
	if (ts_fd_has_flow(fd))
		ts_errno = ts_tcp_error(fd, ts_errno);
}

static ssize_t read_stream(FILE *f, void *to, ssize_t len)
{
	int fd = f->_fileno, err;
	ssize_t n;

	if (len <= 0)
		return libc.read(f, to, len);
	if (ts_fd_is_udp(fd) || ts_udp_turn(fd, 0) == TS_UDP_MAY_TURN) {
		n = read_datagram(fd, to, len);
		err = n < 0 ? (int)n : 0;
	} else if (!(err = settle(fd, SO_RCVTIMEO)) && (n = libc.read(f, to, len)) < 0) {
		tell(fd);
	}
	if (!err)
		return n;
	ts_errno = -err;
	return -1;
}

static ssize_t write_stream(FILE *f, const void *from, ssize_t len)
{
	int fd = f->_fileno, err;
	ssize_t n;

	if (len <= 0)
		return libc.write(f, from, len);
	if (ts_fd_is_udp(fd)) {
		n = write_datagram(fd, from, len);
		err = n < 0 ? (int)n : 0;
	} else if (!(err = settle(fd, SO_SNDTIMEO)) && (n = libc.write(f, from, len)) < len) {
		tell(fd);
	}
	if (!err)
		return n;
	f->_flags |= _IO_ERR_SEEN;
	ts_errno = -err;
	return 0;
}

void ts_stream_io_take(void)
{
	static const struct ts_streams ours = { read_stream, write_stream };
	static bool tried;

	if (tried)
		return;
	tried = true;
	ts_stream_io_taken = ts_streams_take(&ours, &libc);
}

/* SPDX-License-Identifier: MIT */
/*
 * Standard I/O reads and writes by itself, past the hooks. glibc's streams can be made to come this way nevertheless (sys/streams.c).
 * Elsewhere a datagram needs its header: before libc is told to write what it has for a socket with an association, the header is given to the
 * kernel, which appends what libc writes. It is what bash's /dev/udp and awk's /inet/udp are made of.
 */
#include "hook.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/socket.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/streams.h"
#include "tsproxy/tcp.h"
#include "tsproxy/udp.h"

extern __typeof__(fileno) fileno __attribute__((weak));
extern __typeof__(__fpending) __fpending __attribute__((weak));
extern __typeof__(stdout) stdout __attribute__((weak));

static bool any(void)
{
	return __builtin_expect(ts_udp_count != 0, 0) && fileno && __fpending;
}

/* What ts_udp_begin says; `*fd`: of the stream. */
static int begin(FILE *f, int *fd)
{
	int saved = ts_errno;
	size_t len;

	*fd = fileno(f);
	ts_errno = saved;
	len = *fd >= 0 && !ts_streams_taken ? __fpending(f) : 0;
	return len ? ts_udp_begin(*fd, len) : 0;
}

/* `done` is what the real call returns. */
static int flush(FILE *f, int (*real)(FILE *f))
{
	int fd, begun = begin(f, &fd), r;

	if (begun < 0)
		return ts_result(begun);
	r = real(f);
	if (begun)
		ts_udp_begun(fd, r == 0);
	return r;
}

int fflush(FILE *f)
{
	return any() && f ? flush(f, ts_real()->fflush) : ts_real()->fflush(f);
}

int fflush_unlocked(FILE *f)
{
	return any() && f ? flush(f, ts_real()->fflush_unlocked) : ts_real()->fflush_unlocked(f);
}

/* A socket that may be, or come to be, a connection under way gets a stream. Datagram sockets are seen to when they get an association. */
FILE *fdopen(int fd, const char *mode)
{
	unsigned flags = ts_fd_get_flags(fd);

	if (flags & (TS_FD_NEW | TS_FD_TRACKED | TS_FD_IDLE | TS_FD_SUSPECT))
		ts_streams_wanted = true;
	if (flags & TS_FD_FLOW && ts_process() == TS_SELF) {
		ts_lock(&ts_fdtab_lock);
		ts_streams_take();
		ts_unlock(&ts_fdtab_lock);
	}
	return ts_real()->fdopen(fd, mode);
}

/* libc is about to close the stream's descriptor, or to replace it, by itself. False where what was left to write could not be. */
static bool leave(FILE *f)
{
	int r = any() && __fpending(f) ? flush(f, ts_real()->fflush) : 0, saved = ts_errno;

	if (ts_fd_highest() >= 0 && fileno)
		ts_fd_forget(fileno(f));
	ts_errno = saved;
	return r == 0;
}

int fclose(FILE *f)
{
	bool written = !f || leave(f);
	int saved = ts_errno, r = ts_real()->fclose(f);

	if (written || r)
		return r;
	ts_errno = saved;
	return EOF;
}

FILE *freopen(const char *path, const char *mode, FILE *f)
{
	if (f)
		leave(f);
	return ts_real()->freopen(path, mode, f);
}

FILE *freopen64(const char *path, const char *mode, FILE *f)
{
	if (f)
		leave(f);
	return ts_real()->freopen64(path, mode, f);
}

static int print(int fd, const char *format, va_list ap)
{
	int begun = any() ? ts_udp_begin(fd, 0) : 0, r;

	if (begun < 0)
		return ts_result(begun);
	r = ts_real()->vdprintf(fd, format, ap);
	if (begun)
		ts_udp_begun(fd, r > 0);
	return r;
}

int vdprintf(int fd, const char *format, va_list ap)
{
	return print(fd, format, ap);
}

int dprintf(int fd, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = print(fd, format, ap);
	va_end(ap);
	return r;
}

/* Fortified: formats are looked at more closely, and not by us. */
static int print_chk(int fd, int flag, const char *format, va_list ap)
{
	int begun = any() ? ts_udp_begin(fd, 0) : 0, r;

	if (begun < 0)
		return ts_result(begun);
	r = ts_real()->__vdprintf_chk(fd, flag, format, ap);
	if (begun)
		ts_udp_begun(fd, r > 0);
	return r;
}

int __vdprintf_chk(int fd, int flag, const char *format, va_list ap)
{
	return print_chk(fd, flag, format, ap);
}

int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = print_chk(fd, flag, format, ap);
	va_end(ap);
	return r;
}

/* --- glibc's streams: what is neither an association nor a pending connection is libc's alone --- */

static _Atomic bool late;	/* libc writes what is left in its streams after all destructors */

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
		return ts_streams_libc.read(f, to, len);
	if (ts_fd_is_udp(fd) || ts_udp_turn(fd, 0) == TS_UDP_MAY_TURN) {
		n = read_datagram(fd, to, len);
		err = n < 0 ? (int)n : 0;
	} else if (!(err = settle(fd, SO_RCVTIMEO)) && (n = ts_streams_libc.read(f, to, len)) < 0) {
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
		return ts_streams_libc.write(f, from, len);
	if (ts_fd_is_udp(fd)) {
		n = write_datagram(fd, from, len);
		err = n < 0 ? (int)n : 0;
	} else if (!(err = settle(fd, SO_SNDTIMEO)) && (n = ts_streams_libc.write(f, from, len)) < len) {
		tell(fd);
	}
	if (!err)
		return n;
	f->_flags |= _IO_ERR_SEEN;
	ts_errno = -err;
	return 0;
}

/* Before the constructor in exec.c, which takes them where a socket came by exec. */
__attribute__((constructor(101))) static void begin_process(void)
{
	static const struct ts_streams ours = { read_stream, write_stream };

	ts_streams_offer(&ours);
}

/* What a program leaves in its standard output libc writes last of all. */
__attribute__((destructor)) static void end_process(void)
{
	late = true;
	if (any() && &stdout && stdout && ts_fd_is_udp(fileno(stdout)))
		fflush(stdout);
}

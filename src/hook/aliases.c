/* SPDX-License-Identifier: MIT */
/*
 * Names under which libc exports functions once more: glibc for programs and parts of its own that were built before some release, and
 * for 64-bit offsets; musl posix_close.
 */
#include "hook.h"

#include <stdarg.h>

int __connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}

ssize_t __read(int fd, void *buf, size_t len)
{
	return read(fd, buf, len);
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
	return preadv2(fd, iov, n, offset, flags);
}

ssize_t __write(int fd, const void *buf, size_t len)
{
	return write(fd, buf, len);
}

ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
	return pwritev2(fd, iov, n, offset, flags);
}

ssize_t __send(int fd, const void *buf, size_t len, int flags)
{
	return send(fd, buf, len, flags);
}

/* libc's own, but before glibc 2.34 libresolv gets it from libc like anybody else. */
int __sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	return sendmmsg(fd, msgs, n, flags);
}

int __poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return poll(fds, n, timeout);
}

int __select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
	return select(n, r, w, x, timeout);
}

int __close(int fd)
{
	return close(fd);
}

int posix_close(int fd, int flags)
{
	(void)flags;	/* musl's does no more with them */
	return close(fd);
}

int __dup2(int fd, int to)
{
	return dup2(fd, to);
}

int __fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl(fd, cmd, arg);
}

pid_t __fork(void)
{
	return fork();
}

int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	void *more[3];
	va_list ap;

	va_start(ap, arg);
	for (int i = 0; i < 3; i++)
		more[i] = va_arg(ap, void *);
	va_end(ap);
	return clone(fn, stack, flags, arg, more[0], more[1], more[2]);
}

FILE *_IO_fdopen(int fd, const char *mode)
{
	return fdopen(fd, mode);
}

int _IO_fflush(FILE *stream)
{
	return fflush(stream);
}

int _IO_fclose(FILE *stream)
{
	return fclose(stream);
}

FILE *_IO_popen(const char *command, const char *type)
{
	return popen(command, type);
}

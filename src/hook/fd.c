/* SPDX-License-Identifier: MIT */
/* Descriptors come, go and multiply. What is known of one is forgotten before its number can belong to something else. */
#include "hook.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/sys.h"
#include "tsproxy/tcp.h"
#include "tsproxy/udp.h"

#define OWN_TABLE 2	/* CLOSE_RANGE_UNSHARE; Linux 5.9 */
#define KEEP_OPEN 4	/* CLOSE_RANGE_CLOEXEC, close_range(2); Linux 5.11, and older headers lack it */

void ts_fd_forget(int fd)
{
	if (ts_fd_is_udp(fd) || (__builtin_expect(ts_fd_get_flags(fd) != 0, 0) && !ts_tcp_fd_closing(fd)))
		ts_udp_fd_closing(fd);
}

/* Two UDP sockets, of which one has an association. */
static bool both_datagrams(unsigned a, unsigned b)
{
	return a & (TS_FD_UDP | TS_FD_DATAGRAM) && b & (TS_FD_UDP | TS_FD_DATAGRAM) && (a | b) & TS_FD_UDP;
}

static inline int duplicated(int from, int to)
{
	if (to < 0 || from == to || __builtin_expect(!(ts_fd_get_flags(from) | ts_fd_get_flags(to)), 1))
		return to;
	if (!both_datagrams(ts_fd_get_flags(from), ts_fd_get_flags(to)))
		ts_fd_forget(to);	/* closed behind our back */
	if (ts_fd_get_flags(from) & (TS_FD_UDP | TS_FD_DATAGRAM))
		ts_udp_fd_duplicated(from, to);
	else if (__builtin_expect(ts_fd_get_flags(from) != 0, 0))
		ts_tcp_fd_duplicated(from, to);
	return to;
}

int close(int fd)
{
	ts_fd_forget(fd);
	return ts_real()->close(fd);
}

int dup(int fd)
{
	return duplicated(fd, ts_real()->dup(fd));
}

/* dup2 and dup3 close `to`, but only where `fd` is open. True where it becomes another socket's, or another alias. */
static bool replaced(int fd, int to)
{
	if (fd == to)
		return false;
	if (ts_fd_has_flow(fd) && ts_fd_has_flow(to) && ts_tcp_same(fd, to))
		return false;	/* its registrations in epoll sets go on, too */
	/* Where no table leads to the socket, what is known of it is forgotten afterwards. */
	if (!ts_fd_is_kept(to) || ts_sys(SYS_fcntl, fd, F_GETFD) < 0)
		return true;
	if (both_datagrams(ts_fd_get_flags(fd), ts_fd_get_flags(to)))
		ts_udp_fd_replacing(to);
	else
		ts_fd_forget(to);
	return true;
}

int dup2(int fd, int to)
{
	bool new = replaced(fd, to);
	int r = ts_real()->dup2(fd, to);

	return new ? duplicated(fd, r) : r;
}

int dup3(int fd, int to, int flags)
{
	bool new = !(flags & ~O_CLOEXEC) && replaced(fd, to);
	int r = ts_real()->dup3(fd, to, flags);

	return new ? duplicated(fd, r) : r;
}

static bool is_dup(int cmd)
{
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC;
}

int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;
	int r;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	r = ts_real()->fcntl(fd, cmd, arg);
	return is_dup(cmd) ? duplicated(fd, r) : r;
}

int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;
	int r;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	r = ts_real()->fcntl64(fd, cmd, arg);
	return is_dup(cmd) ? duplicated(fd, r) : r;
}

static void forget_range(unsigned int first, unsigned int last)
{
	int highest = ts_fd_highest();

	for (unsigned int fd = first; highest >= 0 && fd <= last && fd <= (unsigned int)highest; fd++)
		ts_fd_forget((int)fd);
}

int close_range(unsigned int first, unsigned int last, int flags)
{
	int err = flags & OWN_TABLE && ts_enabled() ? ts_fd_part() : 0;

	if (err)
		return ts_result(err);
	if (!(flags & KEEP_OPEN))
		forget_range(first, last);
	return ts_real()->close_range(first, last, flags);
}

int unshare(int flags)
{
	int err = flags & CLONE_FILES && ts_enabled() ? ts_fd_part() : 0;

	return err ? ts_result(err) : ts_real()->unshare(flags);
}

void closefrom(int first)
{
	forget_range(first < 0 ? 0 : (unsigned int)first, UINT_MAX);
	ts_real()->closefrom(first);
}

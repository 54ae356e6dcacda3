/* SPDX-License-Identifier: MIT */
/*
 * splice(2), and sendfile(2) to a pipe, from a datagram socket: the kernel would put the header into the pipe. So the datagram is received
 * into fresh pages, and these are given to the pipe, one of its places each, as the kernel's copy_splice_read does it.
 *
 * The kernel first waits for room in the pipe, then for a datagram, so that none is lost where the pipe is full or has no reader. That
 * first wait is had by giving the pipe a page that cannot be read: vmsplice waits, or refuses, and then finds the fault.
 */
#include "udp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

#include "tsproxy/cancel.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"

#define PAGE 4096ul

struct splice {
	int fd, out;
	unsigned flags;
	struct iovec pages;
	size_t mapped;
	ssize_t result;
};

bool ts_udp_splices(int out, size_t n, unsigned flags)
{
	return n && !(flags & ~(unsigned)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)) &&
	       ts_sys(SYS_fcntl, out, F_GETPIPE_SZ) > 0 && (ts_sys(SYS_fcntl, out, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

/* Old kernels cannot splice from such a socket at all. It is tried with one that has nothing to read. */
static bool kernel_can(int out)
{
	static _Atomic int known;	/* 1 it can, 2 it cannot */
	long fd, r;

	if (known)
		return known == 1;
	fd = ts_sys(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	r = ts_sys(SYS_splice, fd, NULL, out, NULL, 1, SPLICE_F_NONBLOCK);
	ts_sys(SYS_close, fd);
	if (r == -EAGAIN || r == -EINVAL)
		known = r == -EAGAIN ? 1 : 2;
	return r != -EINVAL;
}

/* 0: there is room for a page at least. Else what the kernel says: -EPIPE (and a signal), -EAGAIN, -EINTR. */
static int wait_for_room(const struct splice *s)
{
	struct iovec one = { s->pages.iov_base, 1 };
	bool waits = !(s->flags & SPLICE_F_NONBLOCK) && !ts_sock_is_nonblocking(s->out);

	ts_real()->vmsplice(s->out, &one, 1, waits ? 0 : SPLICE_F_NONBLOCK);
	return ts_errno == EFAULT ? 0 : -ts_errno;
}

/* Somebody else may have filled the pipe meanwhile. The datagram is waited with: it is nowhere else any more. */
static ssize_t put(const struct splice *s, size_t n)
{
	struct iovec some = { s->pages.iov_base, n };
	struct pollfd p = { .fd = s->out, .events = POLLOUT };
	long r;

	while ((r = ts_sys(SYS_vmsplice, s->out, &some, 1, 0)) == -EINTR || r == -EAGAIN)
		ts_sys(SYS_ppoll, &p, 1, NULL, NULL, 0);
	return r;
}

static void splice_it(void *arg)
{
	struct splice *s = arg;
	struct msghdr msg = { .msg_iov = &s->pages, .msg_iovlen = 1 };
	long err = wait_for_room(s);

	if (!err && !kernel_can(s->out))
		err = -EINVAL;
	if (!err)
		err = ts_sys(SYS_mprotect, s->pages.iov_base, s->mapped, PROT_READ | PROT_WRITE);
	s->result = err ? err : ts_udp_recv(s->fd, &msg, 0);
	if (s->result > 0)
		s->result = put(s, (size_t)s->result);
}

static void give_back(void *arg)
{
	struct splice *s = arg;

	ts_sys(SYS_munmap, s->pages.iov_base, s->mapped);
}

ssize_t ts_udp_splice(int fd, int out, size_t n, unsigned flags)
{
	struct splice s = { .fd = fd, .out = out, .flags = flags, .pages.iov_len = n < TS_UDP_DATAGRAM_MAX ? n : TS_UDP_DATAGRAM_MAX };
	int saved = ts_errno;
	long pages;

	if (ts_sandboxed())
		return -EINVAL;	/* what it takes may not be allowed to a program that splices */
	s.mapped = (s.pages.iov_len + PAGE - 1) & ~(PAGE - 1);
	pages = ts_sys(SYS_mmap, 0, s.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((unsigned long)pages > -4096ul)
		return -ENOMEM;
	s.pages.iov_base = (void *)pages;
	ts_cancel_guarded(splice_it, give_back, &s);
	give_back(&s);
	ts_errno = saved;
	return s.result;
}

/* SPDX-License-Identifier: MIT */
/* See datagram.h. What the kernel would refuse for a wrong pointer goes to the kernel as it is. */
#include "datagram.h"

#include <errno.h>

#include "tsproxy/sys.h"

#define BYTES_MAX 0x7ffff000	/* MAX_RW_COUNT: what the kernel makes of a longer buffer; in a list it is EINVAL */

static ssize_t result(ssize_t r)
{
	if (r >= 0)
		return r;
	ts_errno = (int)-r;
	return -1;
}

ssize_t ts_datagram_recv(int fd, void *buf, size_t len, int flags, struct sockaddr *addr, socklen_t *addr_len)
{
	struct iovec iov = { buf, len < BYTES_MAX ? len : BYTES_MAX };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if ((len && !ts_plausible(buf)) || (addr && !ts_plausible(addr_len)))
		return ts_real()->recvfrom(fd, buf, len, flags, addr, addr_len);
	if (addr) {
		msg.msg_name = addr;
		msg.msg_namelen = *addr_len;
	}
	n = ts_udp_recv(fd, &msg, flags);
	if (n >= 0 && addr)
		*addr_len = msg.msg_namelen;
	return result(n);
}

static bool nothing_asked(const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++)
		if (iov[i].iov_len)
			return false;
	return true;
}

ssize_t ts_datagram_readv(int fd, const struct iovec *iov, int n, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };

	if (n < 0 || n > 1024 || !ts_readable(iov, (size_t)n * sizeof(*iov)) || nothing_asked(iov, n))
		return ts_real()->readv(fd, iov, n);
	return result(ts_udp_recv(fd, &msg, flags));
}

ssize_t ts_datagram_recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (!ts_plausible(msg))
		return ts_real()->recvmsg(fd, msg, flags);
	return result(ts_udp_recv(fd, msg, flags));
}

ssize_t ts_datagram_send(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr, socklen_t addr_len)
{
	struct iovec iov = { (void *)buf, len < BYTES_MAX ? len : BYTES_MAX };
	struct msghdr msg = { .msg_name = (void *)addr, .msg_namelen = addr ? addr_len : 0, .msg_iov = &iov, .msg_iovlen = 1 };

	return result(ts_udp_send(fd, &msg, flags));
}

ssize_t ts_datagram_writev(int fd, const struct iovec *iov, int n, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };

	if (n < 0 || n > 1024 || !ts_readable(iov, (size_t)n * sizeof(*iov)) || nothing_asked(iov, n))
		return ts_real()->writev(fd, iov, n);
	return result(ts_udp_send(fd, &msg, flags));
}

ssize_t ts_datagram_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (!ts_plausible(msg))
		return ts_real()->sendmsg(fd, msg, flags);
	return result(ts_udp_send(fd, msg, flags));
}

int ts_datagram_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	if (n && !ts_plausible(msgs))
		return ts_real()->sendmmsg(fd, msgs, n, flags);
	return ts_result(ts_udp_sendmmsg(fd, msgs, n, flags));
}

int ts_datagram_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout)
{
	if (n && !ts_plausible(msgs))
		return ts_real()->recvmmsg(fd, msgs, n, flags, timeout);
	return ts_result(ts_udp_recvmmsg(fd, msgs, n, flags, timeout));
}

ssize_t ts_datagram_turned_msg(int fd, ssize_t r, struct msghdr *msg, int flags)
{
	return result(ts_udp_turned(fd, msg, flags, (size_t)r));
}

ssize_t ts_datagram_turned(int fd, ssize_t r, const struct iovec *iov, int n, int flags, struct sockaddr *addr, socklen_t *addr_len)
{
	struct msghdr msg = { .msg_name = addr, .msg_namelen = addr ? *addr_len : 0, .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };

	r = ts_datagram_turned_msg(fd, r, &msg, flags);
	if (r >= 0 && addr)
		*addr_len = msg.msg_namelen;
	return r;
}

int ts_datagram_turned_many(int fd, int got, struct mmsghdr *msgs, int flags)
{
	for (int i = 0; i < got; i++) {
		ssize_t n = ts_udp_turned(fd, &msgs[i].msg_hdr, flags | MSG_DONTWAIT, msgs[i].msg_len);

		if (n < 0)
			return i ? i : ts_result((int)n);
		msgs[i].msg_len = (unsigned)n;
	}
	return got;
}

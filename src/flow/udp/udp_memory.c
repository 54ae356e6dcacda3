/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes between a program's pieces and a buffer of ours. Nearly always the kernel does that, and says EFAULT; where we must, it is
 * asked first whether the memory is there.
 */
#include "udp_internal.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tsproxy/sys.h"

#define PAGE 4096

size_t ts_udp_length(const struct msghdr *msg)
{
	size_t total = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		size_t len = msg->msg_iov[i].iov_len;

		if (len > PTRDIFF_MAX)
			return SIZE_MAX;
		total = len > PTRDIFF_MAX - total ? PTRDIFF_MAX : total + len;
	}
	return total;
}

bool ts_udp_writable(int fd, void *p, size_t len)
{
	uintptr_t at = (uintptr_t)p, end = at + len;

	if (len && !ts_plausible(p))
		return false;
	for (; at < end; at = (at | (PAGE - 1)) + 1) {
		socklen_t one = 1;

		if (ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, at, &one) == -EFAULT)
			return false;
	}
	return true;
}

int ts_udp_gather(uint8_t *to, const struct msghdr *msg, size_t skip, size_t len)
{
	for (size_t i = 0; i < msg->msg_iovlen && len; i++) {
		size_t here = msg->msg_iov[i].iov_len, step;

		if (skip >= here) {
			skip -= here;
			continue;
		}
		step = here - skip < len ? here - skip : len;
		if (!ts_readable((const uint8_t *)msg->msg_iov[i].iov_base + skip, step))
			return -EFAULT;
		memcpy(to, (const uint8_t *)msg->msg_iov[i].iov_base + skip, step);
		to += step;
		len -= step;
		skip = 0;
	}
	return 0;
}

int ts_udp_scatter(int fd, const struct msghdr *msg, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < msg->msg_iovlen && len; i++) {
		const struct iovec *to = &msg->msg_iov[i];
		size_t step = to->iov_len < len ? to->iov_len : len;

		if (!ts_udp_writable(fd, to->iov_base, step))
			return -EFAULT;
		memcpy(to->iov_base, from, step);
		from += step;
		len -= step;
	}
	return 0;
}

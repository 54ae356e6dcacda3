/* SPDX-License-Identifier: MIT */
/* What the kernel has of a datagram that is put together by several calls (MSG_MORE, UDP_CORK), and has not sent. */
#include "udp_internal.h"

#include <sys/ioctl.h>

#include "tsproxy/sys.h"

/* Whether a header waits. What was sent is not counted any more: loopback takes it off the sender at once. */
static bool waits(int fd)
{
	int n = 0;

	return ts_sys(SYS_ioctl, fd, TIOCOUTQ, &n) == 0 && n > 0;
}

/* The kernel throws away what is pending when it becomes too long; of 65,535 bytes it sends nothing in any case. */
void ts_udp_discard(int fd)
{
	static const uint8_t page[4096];
	struct iovec too_much[16];
	struct msghdr out = { .msg_iov = too_much, .msg_iovlen = 16 };

	for (int i = 0; i < 16; i++)
		too_much[i] = (struct iovec){ (void *)page, sizeof(page) - !i };
	ts_sys(SYS_sendmsg, fd, &out, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ts_udp_unbegin(int fd, struct ts_udp *u)
{
	u->begun = false;
	if (waits(fd))
		ts_udp_discard(fd);
}

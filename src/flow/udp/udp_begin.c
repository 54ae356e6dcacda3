/* SPDX-License-Identifier: MIT */
/*
 * What the kernel or libc writes past the hooks (sendfile, dprintf) has no header. It is given beforehand, with MSG_MORE: the kernel appends
 * what is written next, and sends.
 */
#include "udp_internal.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "tsproxy/real.h"
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

static int give_header(int fd, struct ts_udp *u, struct ts_udp_view *v)
{
	struct iovec head = { v->head, v->head_len };
	struct msghdr out = { .msg_iov = &head, .msg_iovlen = 1 };
	int err = ts_udp_see_to_relay(fd, u, v, false), saved = ts_errno;
	ssize_t n;

	if (err)
		return err < 0 ? err : -EAGAIN;
	if (u->strayed) {
		out.msg_name = &v->name;
		out.msg_namelen = v->name_len;
	}
	n = ts_udp_send_wrapped(fd, u, v, &out, MSG_MORE);
	ts_errno = saved;
	return n < 0 ? (int)n : 1;
}

int ts_udp_begin(int fd, size_t len)
{
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);
	int err = 0;

	if (u && v.pending)
		err = ts_udp_settle(fd, u, &v, 0);
	if (err || !u || !v.connected)
		return err;
	if (u->corked_bytes + v.head_len + len > TS_UDP_RELAY_BYTES)
		return -EMSGSIZE;
	err = u->corked_bytes ? 0 : give_header(fd, u, &v);
	u->begun = err == 1;	/* libc may bring its own all the same */
	return err;
}

void ts_udp_begun(int fd, bool written)
{
	struct ts_udp_view v;
	struct ts_udp *u = ts_udp_get(fd, &v);

	if (u)
		u->begun = false;
	if (!written)
		ts_udp_discard(fd);
}

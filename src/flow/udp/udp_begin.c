/* SPDX-License-Identifier: MIT */
/*
 * What the kernel or libc writes past the hooks (sendfile, dprintf) has no header. It is given beforehand, with MSG_MORE: the kernel appends
 * what is written next, and sends.
 */
#include "udp_internal.h"

#include <errno.h>

#include "tsproxy/real.h"
#include "tsproxy/sys.h"

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

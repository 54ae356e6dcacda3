/* SPDX-License-Identifier: MIT */
/*
 * The program's own socket filter, where ours is in the kernel with the program's in it: attached, read, detached and locked as if it were
 * alone.
 *
 * A filter that the kernel has locked can never be replaced, so where there is a proxy a UDP socket's is not: that it is locked stands in its
 * record, from then on and wherever the socket goes, and is kept by these functions.
 */
#include "udp_filter.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/cross.h"
#include "tsproxy/guard.h"
#include "tsproxy/sys.h"

/* The program's memory, which may not be there. */
static int fetch(void *to, const void *from, size_t len)
{
	struct iovec piece = { (void *)from, len };
	struct msghdr all = { .msg_iov = &piece, .msg_iovlen = 1 };

	return ts_udp_gather(to, &all, 0, len);
}

/* As sk_attach_filter judges, in its order; what is left the kernel says of the whole. */
static int attach(int fd, struct ts_udp_filter *f, const struct ts_udp_view *v, const void *value, socklen_t len)
{
	struct ts_udp_filter own = { .room = NULL };
	struct sock_fprog prog;
	int err;

	if (len != sizeof(prog))
		return -EINVAL;
	if (fetch(&prog, value, sizeof(prog)))
		return -EFAULT;
	if (ts_udp_filter_locked(f))
		return -EPERM;
	if (!prog.filter || !prog.len || prog.len > BPF_MAXINSNS)
		return -EINVAL;
	if (!ts_udp_filter_more_room(&own))
		return -ENOMEM;
	err = fetch(own.room->whole, prog.filter, prog.len * sizeof(*prog.filter));
	if (!err && !ts_udp_bpf_valid(own.room->whole, prog.len))
		err = -EINVAL;
	own.program = own.room->whole;
	own.n = prog.len;
	if (!err)
		err = ts_udp_filter_write(fd, &own, v, false);
	ts_udp_filter_done(&own);
	return err;
}

static int detach(int fd, struct ts_udp_filter *f, const struct ts_udp_view *v)
{
	if (ts_udp_filter_locked(f))
		return -EPERM;
	if (!f->n)
		return -ENOENT;
	f->n = 0;
	return ts_udp_filter_write(fd, f, v, false);
}

static int lock_it(int fd, struct ts_udp_filter *f, const struct ts_udp_view *v, bool on)
{
	if (ts_udp_filter_locked(f) == on)
		return 0;
	return on ? ts_udp_filter_write(fd, f, v, true) : -EPERM;
}

/* What has no association yet, and may come to one. Where that cannot be, or it cannot be kept here, the kernel is to do it. */
static bool lock_unassociated(int fd, struct ts_udp_filter *f, const struct ts_udp_view *v)
{
	struct ts_proxy proxy;

	if (ts_sock_get_int(fd, SOL_SOCKET, SO_LOCK_FILTER) || !ts_route_socks5(false, false, &proxy) || lock_it(fd, f, v, true) != 0)
		return false;
	ts_fd_set_flags(fd, TS_FD_CARRIED, 0);
	ts_family_carry();
	return true;
}

/* 1: done. 0: the real call. Else -errno. */
static int set(int fd, int name, const void *value, socklen_t len)
{
	struct ts_udp_view v;
	struct ts_udp_filter f;
	int number, err = ts_udp_filter_read(fd, &f);
	bool ours = !err && f.record, associated = ts_udp_filter_view(&f, &v);

	if (err || (int)len < (int)sizeof(number) || (!ours && name != SO_LOCK_FILTER))
		err = 0;
	else if (fetch(&number, value, sizeof(number)))
		err = -EFAULT;
	else if (name == SO_LOCK_FILTER && !ours)
		err = number && lock_unassociated(fd, &f, &v);
	else if (name == SO_LOCK_FILTER)
		err = lock_it(fd, &f, &v, number != 0) ?: 1;
	else if (name == SO_ATTACH_FILTER)
		err = attach(fd, &f, &v, value, len) ?: 1;
	else if (name == SO_DETACH_FILTER)
		err = detach(fd, &f, &v) ?: 1;
	else if (ts_udp_filter_locked(&f))
		err = -EPERM;
	else
		err = name == SO_ATTACH_BPF && associated ? -EOPNOTSUPP : 0;	/* it would see the headers */
	ts_udp_filter_done(&f);
	return err;
}

/*
 * Whether there may be anything to do for a socket. Of a UDP socket made here that never had to do with a proxy the filter is the kernel's
 * alone, until it is to be locked.
 */
static bool may_concern(int fd, int name)
{
	unsigned flags = ts_fd_get_flags(fd);

	if (ts_sandboxed() || !(flags & (TS_FD_UDP | TS_FD_DATAGRAM | TS_FD_ARRIVED)))
		return false;
	ts_cross_look(fd);
	flags = ts_fd_get_flags(fd);
	return flags & (TS_FD_UDP | TS_FD_CARRIED) || name == SO_LOCK_FILTER || (flags & TS_FD_SHARED && ts_family_carries());
}

static bool is_udp(int fd)
{
	int domain = ts_sock_get_int(fd, SOL_SOCKET, SO_DOMAIN);

	return ts_sock_get_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDP && (domain == AF_INET || domain == AF_INET6);
}

int ts_udp_set_filter(int fd, int name, const void *value, socklen_t len)
{
	int done;

	if (!may_concern(fd, name) || !ts_enabled() || !is_udp(fd))
		return 0;
	ts_udp_filter_lock();
	done = set(fd, name, value, len);
	ts_udp_filter_unlock();
	return done;
}

int ts_udp_get_filter(int fd, void *value, socklen_t *len)
{
	struct ts_udp_filter f;
	struct iovec to;
	struct msghdr all = { .msg_iov = &to, .msg_iovlen = 1 };
	int room, err;

	if (!may_concern(fd, SO_GET_FILTER) || !is_udp(fd))
		return 0;
	err = ts_udp_filter_read(fd, &f);
	if (err || !f.record) {
		err = 0;
	} else if (fetch(&room, len, sizeof(room))) {
		err = -EFAULT;
	} else if (room < 0 || (room && (unsigned)room < f.n)) {
		err = -EINVAL;
	} else {
		to = (struct iovec){ value, room ? f.n * sizeof(*f.program) : 0 };
		err = ts_udp_scatter(fd, &all, (const void *)f.program, to.iov_len);
		if (!err)
			err = ts_udp_writable(fd, len, sizeof(*len)) ? 1 : -EFAULT;
		if (err == 1)
			*len = f.n;
	}
	ts_udp_filter_done(&f);
	return err;
}

bool ts_udp_filter_is_locked(int fd)
{
	struct ts_udp_filter f;
	bool locked;

	if (!may_concern(fd, SO_GET_FILTER) || !is_udp(fd))
		return false;
	locked = ts_udp_filter_read(fd, &f) == 0 && ts_udp_filter_locked(&f);
	ts_udp_filter_done(&f);
	return locked;
}

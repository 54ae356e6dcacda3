/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing. On every descriptor without a flow: two loads and the real function. On a pending connection the call first
 * lets the handshake advance; what is still pending then is EAGAIN or a wait, as in SYN_SENT.
 */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "datagram.h"
#include "tsproxy/handoff.h"
#include "tsproxy/dest.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/sys.h"
#include "tsproxy/tcp.h"

/* The error of a failed connect is told by whichever call meets it first. */
static ssize_t told(int fd, ssize_t r)
{
	if (r < 0 && ts_fd_has_flow(fd))
		ts_errno = ts_tcp_error(fd, ts_errno);
	return r;
}

/*
 * What a hook returns that reads from or writes to `fd`: `call` is the real one, `datagram` what serves a socket with an association.
 */
#define CARRY(fd, flags, option, call, datagram) \
	({ \
		ssize_t r_; \
		int err_; \
		if (__builtin_expect(!ts_fd_is_carried(fd), 1)) \
			r_ = ts_real()->call; \
		else if (ts_fd_is_udp(fd)) \
			r_ = (datagram); \
		else if ((err_ = ts_tcp_settle(fd, flags, option))) \
			r_ = ts_result(err_); \
		else \
			r_ = told(fd, ts_real()->call); \
		r_; \
	})

/* Calls that the kernel answers at once in any state of the connection: what they ask for is not the stream, or is no list of pieces. */
static bool at_once(int fd, const void *list, int flags)
{
	return (!ts_plausible(list) || flags & (MSG_OOB | MSG_ERRQUEUE)) && !ts_fd_is_udp(fd);
}

/* The same for those that receive. `turned`: what becomes of the real call's result `got_` on a socket that has got an association. */
#define RECEIVE(fd, flags, call, datagram, turned) \
	({ \
		enum ts_udp_turn turn_ = ts_udp_turn(fd, flags); \
		ssize_t got_; \
		if (turn_ == TS_UDP_MAY_TURN) { \
			got_ = (datagram); \
		} else if (turn_ == TS_UDP_MAY_BEGIN && (ts_sandboxed() || !ts_fd_is_udp(fd))) { \
			got_ = ts_real()->call; \
			if (got_ >= 0 && ts_fd_is_udp(fd)) \
				got_ = (turned); \
		} else { \
			got_ = CARRY(fd, flags, SO_RCVTIMEO, call, datagram); \
		} \
		got_; \
	})

/* `turned`, for a call with one buffer, or with a list of them. */
#define TURNED(fd, buf, len, flags, addr, addr_len) \
	ts_datagram_turned(fd, got_, &(struct iovec){ buf, len }, 1, flags, addr, addr_len)
#define TURNED_LIST(fd, iov, n, flags) ts_datagram_turned(fd, got_, iov, n, flags, NULL, NULL)

/* A call that receives and is the kernel's alone. */
static inline bool receives_plainly(int fd, int flags)
{
	return __builtin_expect(ts_real_is_ready() && !ts_fd_is_carried(fd) && ts_udp_turn(fd, flags) == TS_UDP_STAYS, 1);
}

ssize_t read(int fd, void *buf, size_t len)
{
	if (len == 0)
		return ts_real()->read(fd, buf, len);	/* 0 in any state */
	return RECEIVE(fd, 0, read(fd, buf, len), ts_datagram_recv(fd, buf, len, 0, NULL, NULL), TURNED(fd, buf, len, 0, NULL, NULL));
}

ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	return RECEIVE(fd, 0, __read_chk(fd, buf, len, size),
		len > size || !len ? ts_real()->__read_chk(fd, buf, len, size) :
				     ts_datagram_recv(fd, buf, len, 0, NULL, NULL),
		TURNED(fd, buf, len, 0, NULL, NULL));
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
	if (at_once(fd, iov, 0))
		return ts_real()->readv(fd, iov, n);
	return RECEIVE(fd, 0, readv(fd, iov, n), ts_datagram_readv(fd, iov, n, 0), TURNED_LIST(fd, iov, n, 0));
}

/* The flags of preadv2(2) that sockets take; all but RWF_NOWAIT make no difference there. */
#define SOCKET_RWF (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

static int msg_flags(int rwf)
{
	return rwf & RWF_NOWAIT ? MSG_DONTWAIT : 0;
}

/* Offset -1 makes it readv(2); a socket knows no other, nor do the calls without flags: ESPIPE. */
ssize_t preadv2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
	if (offset != -1 || at_once(fd, iov, 0))
		return ts_real()->preadv2(fd, iov, n, offset, flags);
	return RECEIVE(fd, msg_flags(flags), preadv2(fd, iov, n, offset, flags),
		flags & ~SOCKET_RWF ? ts_result(-EOPNOTSUPP) : ts_datagram_readv(fd, iov, n, msg_flags(flags)),
		TURNED_LIST(fd, iov, n, msg_flags(flags)));
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (receives_plainly(fd, flags))
		return ts_real_state.table.recv(fd, buf, len, flags);
	if (at_once(fd, &fd, flags))
		return ts_real()->recv(fd, buf, len, flags);
	return RECEIVE(fd, flags, recv(fd, buf, len, flags), ts_datagram_recv(fd, buf, len, flags, NULL, NULL),
		TURNED(fd, buf, len, flags, NULL, NULL));
}

ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
	if (at_once(fd, &fd, flags))
		return ts_real()->__recv_chk(fd, buf, len, size, flags);
	return RECEIVE(fd, flags, __recv_chk(fd, buf, len, size, flags),
		len > size ? ts_real()->__recv_chk(fd, buf, len, size, flags) :
			     ts_datagram_recv(fd, buf, len, flags, NULL, NULL),
		TURNED(fd, buf, len, flags, NULL, NULL));
}

ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr, socklen_t *addr_len)
{
	if (receives_plainly(fd, flags))
		return ts_real_state.table.recvfrom(fd, buf, len, flags, addr, addr_len);
	if (at_once(fd, &fd, flags))
		return ts_real()->recvfrom(fd, buf, len, flags, addr, addr_len);
	return RECEIVE(fd, flags, recvfrom(fd, buf, len, flags, addr, addr_len),
		ts_datagram_recv(fd, buf, len, flags, addr, addr_len), TURNED(fd, buf, len, flags, addr, addr_len));
}

ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *addr, socklen_t *addr_len)
{
	if (at_once(fd, &fd, flags))
		return ts_real()->__recvfrom_chk(fd, buf, len, size, flags, addr, addr_len);
	return RECEIVE(fd, flags, __recvfrom_chk(fd, buf, len, size, flags, addr, addr_len),
		len > size ? ts_real()->__recvfrom_chk(fd, buf, len, size, flags, addr, addr_len) :
			     ts_datagram_recv(fd, buf, len, flags, addr, addr_len),
		TURNED(fd, buf, len, flags, addr, addr_len));
}

/* A message that carries, or has room for, descriptors among other things. */
static bool has_control(const struct msghdr *msg)
{
	return __builtin_expect(ts_plausible(msg) && msg->msg_control && msg->msg_controllen, 0) && ts_enabled();
}

static __attribute__((noinline)) ssize_t receive(int fd, struct msghdr *msg, int flags)
{
	if (at_once(fd, msg, flags))
		return ts_real()->recvmsg(fd, msg, flags);
	return RECEIVE(fd, flags, recvmsg(fd, msg, flags), ts_datagram_recvmsg(fd, msg, flags),
		ts_datagram_turned_msg(fd, got_, msg, flags));
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t r = receives_plainly(fd, flags) ? ts_real_state.table.recvmsg(fd, msg, flags) : receive(fd, msg, flags);

	if (r >= 0 && has_control(msg))
		ts_handoff_received(msg);
	return r;
}

static int receive_many(int fd, struct mmsghdr *msgs, unsigned int n, int flags, struct timespec *timeout)
{
	return RECEIVE(fd, flags, recvmmsg(fd, msgs, n, flags, timeout),
		ts_datagram_recvmmsg(fd, msgs, n, flags, timeout), ts_datagram_turned_many(fd, (int)got_, msgs, flags));
}

int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags, struct timespec *timeout)
{
	int r = receive_many(fd, msgs, n, flags, timeout);

	for (int i = 0; i < r; i++)
		if (has_control(&msgs[i].msg_hdr))
			ts_handoff_received(&msgs[i].msg_hdr);
	return r;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	return CARRY(fd, 0, SO_SNDTIMEO, write(fd, buf, len), ts_datagram_send(fd, buf, len, 0, NULL, 0));
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	if (at_once(fd, iov, 0))
		return ts_real()->writev(fd, iov, n);
	return CARRY(fd, 0, SO_SNDTIMEO, writev(fd, iov, n), ts_datagram_writev(fd, iov, n, 0));
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
	if (offset != -1 || at_once(fd, iov, 0))
		return ts_real()->pwritev2(fd, iov, n, offset, flags);
	return CARRY(fd, msg_flags(flags), SO_SNDTIMEO, pwritev2(fd, iov, n, offset, flags),
		flags & ~SOCKET_RWF ? ts_result(-EOPNOTSUPP) : ts_datagram_writev(fd, iov, n, msg_flags(flags)));
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	return CARRY(fd, flags, SO_SNDTIMEO, send(fd, buf, len, flags), ts_datagram_send(fd, buf, len, flags, NULL, 0));
}

/*
 * A message with an address: 0, go on; 2, a datagram that is ours; 1: it opens a TCP connection of ours (MSG_FASTOPEN), which is
 * made by now, so that the message goes without address and flag; else -errno.
 */
static int addressed(int fd, const struct sockaddr *addr, socklen_t len, int flags)
{
	int r = ts_dest_send(fd, addr, len, flags), saved = ts_errno;
	struct ts_decision d;
	enum ts_transport by;
	struct ts_addr to;

	if (r == 1 && ts_dest_connect(fd, addr, len, &to, &d, &by) != TS_PASS) {
		r = ts_tcp_connect(fd, &to, addr->sa_family, &d, flags & MSG_DONTWAIT);
		ts_errno = saved;
		return r ? r : 1;
	}
	return r == 1 ? 0 : r;
}

/* A call that sends and is the kernel's alone, which is told without a look at anything but the descriptor and the address. */
static inline bool sends_plainly(int fd, const void *addr, socklen_t addr_len)
{
	return __builtin_expect(ts_real_is_ready() && !ts_fd_is_carried(fd), 1) &&
	       (!addr || ts_dest_is_plain(addr, addr_len) || ts_dest_was_plain(addr, addr_len));
}

static __attribute__((noinline)) ssize_t sendto_any(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
						     socklen_t addr_len)
{
	int r;

	/* EINVAL, wherever to; sendmsg takes both. TCP looks at no address. */
	if (addr && __builtin_expect(addr_len > sizeof(struct sockaddr_storage) || (addr_len < sizeof(addr->sa_family) && ts_fd_is_udp(fd)), 0))
		return ts_real()->sendto(fd, buf, len, flags, addr, addr_len);
	r = addr && !ts_fd_is_udp(fd) ? addressed(fd, addr, addr_len, flags) : 0;
	if (r < 0)
		return ts_result(r);
	if (r == 2)
		return ts_datagram_send(fd, buf, len, flags, addr, addr_len);
	if (r == 1)
		return send(fd, buf, len, flags & ~MSG_FASTOPEN);
	return CARRY(fd, flags, SO_SNDTIMEO, sendto(fd, buf, len, flags, addr, addr_len),
		ts_datagram_send(fd, buf, len, flags, addr, addr_len));
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr, socklen_t addr_len)
{
	if (sends_plainly(fd, addr, addr_len))
		return ts_real_state.table.sendto(fd, buf, len, flags, addr, addr_len);
	return sendto_any(fd, buf, len, flags, addr, addr_len);
}

static __attribute__((noinline)) ssize_t sendmsg_any(int fd, const struct msghdr *msg, int flags)
{
	int r = ts_plausible(msg) && msg->msg_name && !ts_fd_is_udp(fd) ?
		addressed(fd, msg->msg_name, msg->msg_namelen, flags) : 0;

	if (r < 0)
		return ts_result(r);
	if (r == 2)
		return ts_datagram_sendmsg(fd, msg, flags);
	if (r == 1) {
		struct msghdr plain = *msg;

		plain.msg_name = NULL;
		plain.msg_namelen = 0;
		return ts_real()->sendmsg(fd, &plain, flags & ~MSG_FASTOPEN);
	}
	if (!ts_plausible(msg))
		return ts_real()->sendmsg(fd, msg, flags);
	if (has_control(msg) && (r = ts_handoff_sending(fd, msg, flags)) < 0)
		return ts_result(r);
	return CARRY(fd, flags, SO_SNDTIMEO, sendmsg(fd, msg, flags), ts_datagram_sendmsg(fd, msg, flags));
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (ts_plausible(msg) && !msg->msg_control && sends_plainly(fd, msg->msg_name, msg->msg_namelen))
		return ts_real_state.table.sendmsg(fd, msg, flags);
	return sendmsg_any(fd, msg, flags);
}

/* MSG_FASTOPEN opens a connection with the first message: each goes by itself. */
static int send_each(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		ssize_t len = sendmsg(fd, &msgs[i].msg_hdr, flags);

		if (len < 0)
			return i ? (int)i : -1;
		msgs[i].msg_len = (unsigned int)len;
	}
	return (int)i;
}

#define MESSAGES_MAX 1024	/* UIO_MAXIOV: the kernel looks at no more, sendmmsg(2) */

/* As in the kernel, messages before the first that fails are sent and counted. */
int sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	int err = 0;

	if (ts_fd_is_udp(fd))
		return ts_datagram_sendmmsg(fd, msgs, n, flags);
	if (n > MESSAGES_MAX)
		n = MESSAGES_MAX;
	if (flags & MSG_FASTOPEN)
		return send_each(fd, msgs, n, flags);
	for (unsigned int i = 0; i < n && ts_plausible(msgs); i++) {
		const struct msghdr *m = &msgs[i].msg_hdr;

		err = has_control(m) ? ts_handoff_sending(fd, m, flags) : 0;
		if (!err && m->msg_name)
			err = addressed(fd, m->msg_name, m->msg_namelen, flags);
		if (err == 2)
			return ts_datagram_sendmmsg(fd, msgs, n, flags);
		if (err < 0 && i == 0)
			return ts_result(err);
		if (err < 0)
			n = i;
	}
	return CARRY(fd, flags, SO_SNDTIMEO, sendmmsg(fd, msgs, n, flags), ts_datagram_sendmmsg(fd, msgs, n, flags));
}

/* What there is to be read from `in`, a file or a pipe, up to `n`; `n` where that is not known. */
static size_t there_is(int in, const off64_t *offset, size_t n)
{
	int left;
	long at = offset ? ts_sys(SYS_lseek, in, 0, SEEK_CUR) : 0;

	if (ts_sys(SYS_ioctl, in, FIONREAD, &left) != 0 || at < 0)
		return n;
	at += left - (offset && ts_readable(offset, sizeof(*offset)) ? *offset : 0);
	return at < 0 ? 0 : (size_t)at < n ? (size_t)at : n;
}

/* What a hook returns that makes the kernel write to `fd` what is at `in`. On a socket with an association that is one datagram. */
#define WRITE(fd, flags, in, offset, n, call) \
	({ \
		int begun_; \
		ssize_t wrote_; \
		if (!ts_fd_is_udp(fd)) { \
			wrote_ = CARRY(fd, flags, SO_SNDTIMEO, call, -1); \
		} else if ((begun_ = ts_udp_begin(fd, there_is(in, ts_plausible(offset) ? offset : NULL, n))) < 0) { \
			wrote_ = ts_result(begun_); \
		} else { \
			wrote_ = ts_real()->call; \
			if (begun_) \
				ts_udp_begun(fd, wrote_ > 0); \
		} \
		wrote_; \
	})

/* From a socket with an association: the kernel would give the pipe the header, too. What it refuses anyway, it refuses by itself. */
static bool is_spliced(int in, const void *in_off, int out, const void *out_off, size_t n)
{
	return __builtin_expect(ts_fd_is_udp(in), 0) && !in_off && !out_off && n && ts_sys(SYS_fcntl, out, F_GETPIPE_SZ) > 0;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t n)
{
	if (is_spliced(in, offset, out, NULL, n))
		return ts_result(-EINVAL);
	return WRITE(out, 0, in, offset, n, sendfile(out, in, offset, n));
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t n)
{
	if (is_spliced(in, offset, out, NULL, n))
		return ts_result(-EINVAL);
	return WRITE(out, 0, in, offset, n, sendfile64(out, in, offset, n));
}

ssize_t splice(int in, off64_t *in_off, int out, off64_t *out_off, size_t n, unsigned int flags)
{
	int dontwait = flags & SPLICE_F_NONBLOCK ? MSG_DONTWAIT : 0;

	if (is_spliced(in, in_off, out, out_off, n))
		return ts_result(-EINVAL);
	if (ts_fd_has_flow(in))
		return CARRY(in, dontwait, SO_RCVTIMEO, splice(in, in_off, out, out_off, n, flags), -1);
	return WRITE(out, dontwait, in, in_off, n, splice(in, in_off, out, out_off, n, flags));
}

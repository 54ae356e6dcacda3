/* SPDX-License-Identifier: MIT */
/* The same calls through syscall(), as Go's cgo programs, libuv and others make them; and io_uring, which may fall back. */
#include "../case.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

CASE(connect_nonblocking)
{
	int fd = sock(SOCK_NONBLOCK);

	T(syscall(SYS_connect, fd, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLOUT, 0);
	T(syscall(SYS_connect, fd, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLOUT, LONG);
	T(syscall(SYS_connect, fd, TO(PEER, ECHO)));
	T(syscall(SYS_connect, fd, TO(PEER, ECHO)));
	show_peer(fd);
	show_echo(fd);
}

CASE(connect_blocking) { int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); int64_t t0 = now_ms(); T(syscall(SYS_connect, fd, TO(PEER, ECHO))); say("%s", since(t0)); show_peer(fd); show_echo(fd); }
CASE(connect_refused) { int fd = sock(0); T(syscall(SYS_connect, fd, TO(PEER, REFUSED))); fd = sock(SOCK_NONBLOCK); T(syscall(SYS_connect, fd, TO(PEER, REFUSED))); show_poll(fd, POLLOUT, LONG); show_so_error(fd); }

CASE(reads_and_writes)
{
	int fd = pending(PEER, ECHO), e = -1;
	char c[8];
	socklen_t len = sizeof(e);
	struct sockaddr_storage ss;
	struct iovec v = { c, 8 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	T(syscall(SYS_read, fd, c, 8));
	T(syscall(SYS_write, fd, c, 8));
	T(syscall(SYS_readv, fd, &v, 1));
	T(syscall(SYS_writev, fd, &v, 1));
	T(syscall(SYS_recvfrom, fd, c, 8, 0, NULL, NULL));
	T(syscall(SYS_sendto, fd, c, 8, MSG_NOSIGNAL, NULL, 0));
	T(syscall(SYS_recvmsg, fd, &m, 0));
	T(syscall(SYS_sendmsg, fd, &m, MSG_NOSIGNAL));
	T(syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, &e, &len));
	say("SO_ERROR %d", e);
	len = sizeof(ss);
	T(syscall(SYS_getpeername, fd, &ss, &len));
	e = -1;
	T(syscall(SYS_ioctl, fd, FIONREAD, &e));
	say("FIONREAD %d", e);
	wait_connected(fd);
	len = sizeof(ss);
	T(syscall(SYS_getpeername, fd, &ss, &len));
	say("%s", addr_name((struct sockaddr *)&ss, len));
	len = sizeof(ss);
	T(syscall(SYS_getsockname, fd, &ss, &len));
	say("%s", addr_name((struct sockaddr *)&ss, len));
	T(syscall(SYS_write, fd, "hello", 5));
	show_poll(fd, POLLIN, LONG);
	T(syscall(SYS_read, fd, c, 8));
	T(syscall(SYS_shutdown, fd, SHUT_WR));
	T(syscall(SYS_close, fd));
}

CASE(waits)
{
	int fd = pending(PEER, ECHO), ep;
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };
	struct timespec zero = { 0, 0 };
	struct epoll_event ev = { .events = EPOLLOUT, .data.u64 = 5 };

#if defined(SYS_poll)
	T(syscall(SYS_poll, &p, 1, 0));
#endif
	T(syscall(SYS_ppoll, &p, 1, &zero, NULL, 8));
	ep = (int)syscall(SYS_epoll_create1, 0);
	T(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, fd, &ev));
	T(syscall(SYS_epoll_pwait, ep, &ev, 1, 0, NULL, 8));
	T(syscall(SYS_epoll_pwait, ep, &ev, 1, LONG, NULL, 8));
	say("%s %llx", epoll_names(ev.events), (unsigned long long)ev.data.u64);
	T(syscall(SYS_ppoll, &p, 1, &zero, NULL, 8));
	say("%s", poll_names((unsigned)p.revents));
}

CASE(wait_for_out)
{
	int fd = pending(PEER, REFUSED);
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	T(syscall(SYS_ppoll, &p, 1, NULL, NULL, 8));
	say("%s", poll_names((unsigned)p.revents));
	show_so_error(fd);
}

CASE(dup_and_fcntl)
{
	int fd = pending(PEER, ECHO), d = (int)syscall(SYS_dup, fd), e;

	T(syscall(SYS_close, fd));
	e = (int)syscall(SYS_fcntl, d, F_DUPFD, 70);
	say("%d", e);
	T(syscall(SYS_close, d));
	show_poll(e, POLLOUT, 0);
	show_poll(e, POLLOUT, LONG);
	show_peer(e);
	show_echo(e);
}

CASE(others_untouched)
{
	T(syscall(SYS_getpid) == getpid());
	T(syscall(-1));
	T(syscall(SYS_read, -1, NULL, 0));
	T(syscall(SYS_lseek, 9999, 0, SEEK_SET));
}

/* --- io_uring by hand, so that nothing but syscall() is needed --- */

struct ring {
	int fd;
	unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static bool ring_open(struct ring *r)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	r->fd = (int)syscall(SYS_io_uring_setup, 8, &p);
	if (r->fd < 0)
		return false;
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*r->cqes), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		  IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQES);
	r->sq_tail = (unsigned *)(sq + p.sq_off.tail);
	r->sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
	r->sq_array = (unsigned *)(sq + p.sq_off.array);
	r->cq_head = (unsigned *)(cq + p.cq_off.head);
	r->cq_tail = (unsigned *)(cq + p.cq_off.tail);
	r->cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
	r->cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	return true;
}

static int ring_do(struct ring *r, struct io_uring_sqe sqe)
{
	unsigned tail = *r->sq_tail, head = *r->cq_head;
	int result;

	r->sqes[tail & *r->sq_mask] = sqe;
	r->sq_array[tail & *r->sq_mask] = tail & *r->sq_mask;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	result = r->cqes[head & *r->cq_mask].res;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}

/* As a library does it: the ring where there is one, else the plain calls. Both must end the same. */
CASE(io_uring_or_fallback)
{
	struct ring r;
	int fd = sock(0), result;

	if (ring_open(&r)) {
		result = ring_do(&r, (struct io_uring_sqe){ .opcode = IORING_OP_CONNECT, .fd = fd,
				.addr = (uintptr_t)at(PEER, ECHO), .off = at_len() });
	} else {
		result = connect(fd, TO(PEER, ECHO)) < 0 ? -errno : 0;
	}
	say("connect %d", result);
	show_peer(fd);
	show_echo(fd);
}

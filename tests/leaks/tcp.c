/* SPDX-License-Identifier: MIT */
/* Ways to open a connection. What natively leaves is the SYN. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#endif

#include "ways.h"

#define WAIT_MS 60
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

void unavailable(void)
{
	_exit(UNAVAILABLE);
}

void be_brief(int fd)
{
	struct timeval brief = { .tv_usec = WAIT_MS * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof(brief));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
}

int new_socket(const struct target *t, int type, int protocol)
{
	int fd = socket(t->addr.ss_family, type, protocol);

	if (fd < 0)
		unavailable();
	be_brief(fd);
	return fd;
}

struct target mapped(const struct target *t)
{
	struct target m = *t;
	struct sockaddr_in in;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	memcpy(&in, &t->addr, sizeof(in));
	in6.sin6_port = in.sin_port;
	in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(in6.sin6_addr.s6_addr + 12, &in.sin_addr, 4);
	memcpy(&m.addr, &in6, sizeof(in6));
	m.len = sizeof(in6);
	return m;
}

static void dial(int fd, const struct target *t)
{
	connect(fd, to(t), t->len);
}

static void blocking(const struct target *t)
{
	dial(new_socket(t, SOCK_STREAM, 0), t);
}

static void nonblocking(const struct target *t)
{
	struct pollfd p = { .fd = new_socket(t, SOCK_STREAM | SOCK_NONBLOCK, 0), .events = POLLOUT };

	dial(p.fd, t);
	poll(&p, 1, WAIT_MS);
}

static void epoll(const struct target *t)
{
	struct epoll_event e = { .events = EPOLLOUT };
	int fd = new_socket(t, SOCK_STREAM | SOCK_NONBLOCK, 0), set = epoll_create1(0);

	epoll_ctl(set, EPOLL_CTL_ADD, fd, &e);
	dial(fd, t);
	epoll_wait(set, &e, 1, WAIT_MS);
}

static void by_number(const struct target *t)
{
	syscall(SYS_connect, new_socket(t, SOCK_STREAM, 0), &t->addr, t->len);
}

static void to_mapped(const struct target *t)
{
	struct target m = mapped(t);

	blocking(&m);
}

static void scoped(const struct target *t)
{
	struct target s = *t;

	((struct sockaddr_in6 *)&s.addr)->sin6_scope_id = 1;
	((struct sockaddr_in6 *)&s.addr)->sin6_flowinfo = htonl(7);
	blocking(&s);
}

static void short_form(const struct target *t)
{
	connect(new_socket(t, SOCK_STREAM, 0), to(t), 24);	/* RFC 2133's, without a scope */
}

static void long_form(const struct target *t)
{
	connect(new_socket(t, SOCK_STREAM, 0), to(t), sizeof(t->addr));
}

static void disconnected(const struct target *t)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = new_socket(t, SOCK_STREAM | SOCK_NONBLOCK, 0);

	dial(fd, t);
	connect(fd, &none, sizeof(none));
	dial(fd, t);
}

static void bound(const struct target *t)
{
	struct sockaddr_storage any = { .ss_family = t->addr.ss_family };
	int fd = new_socket(t, SOCK_STREAM, 0);

	bind(fd, (struct sockaddr *)&any, t->len);
	dial(fd, t);
}

static void bound_to_wire(const struct target *t)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a630002) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr.s6_addr = { 0xfd, 0, 0, 0x99, [15] = 2 } };
	int fd = new_socket(t, SOCK_STREAM, 0);

	bind(fd, t->addr.ss_family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6, t->len);
	dial(fd, t);
}

static void by_device(const struct target *t)
{
	int fd = new_socket(t, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "w0", 3);
	dial(fd, t);
}

static void fast_sendto(const struct target *t)
{
	sendto(new_socket(t, SOCK_STREAM, 0), t->payload, sizeof(t->payload), MSG_FASTOPEN, to(t), t->len);
}

static void fast_sendmsg(const struct target *t)
{
	struct iovec iov;
	struct msghdr m = message(t, &iov);

	sendmsg(new_socket(t, SOCK_STREAM, 0), &m, MSG_FASTOPEN);
}

static void fast_sendmmsg(const struct target *t)
{
	struct iovec iov;
	struct mmsghdr m = { .msg_hdr = message(t, &iov) };

	sendmmsg(new_socket(t, SOCK_STREAM, 0), &m, 1, MSG_FASTOPEN);
}

static void fast_nonblocking(const struct target *t)
{
	sendto(new_socket(t, SOCK_STREAM | SOCK_NONBLOCK, 0), t->payload, sizeof(t->payload), MSG_FASTOPEN | MSG_DONTWAIT, to(t), t->len);
}

static void fast_by_number(const struct target *t)
{
	syscall(SYS_sendto, new_socket(t, SOCK_STREAM, 0), t->payload, sizeof(t->payload), MSG_FASTOPEN, to(t), t->len);
}

static void fast_connect(const struct target *t)
{
	int fd = new_socket(t, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
	dial(fd, t);
	if (write(fd, t->payload, sizeof(t->payload)) < 0)
		return;
}

static void sendto_unconnected(const struct target *t)
{
	sendto(new_socket(t, SOCK_STREAM, 0), t->payload, sizeof(t->payload), MSG_NOSIGNAL, to(t), t->len);
}

static void multipath(const struct target *t)
{
	dial(new_socket(t, SOCK_STREAM, IPPROTO_MPTCP), t);
}

static void multipath_fast(const struct target *t)
{
	sendto(new_socket(t, SOCK_STREAM, IPPROTO_MPTCP), t->payload, sizeof(t->payload), MSG_FASTOPEN, to(t), t->len);
}

/* Past the program's own symbols, as ctypes and JNA do. */
static int (*libcs(const char *name))(int, const struct sockaddr *, socklen_t)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	int (*f)(int, const struct sockaddr *, socklen_t);

	*(void **)&f = libc ? dlsym(libc, name) : NULL;
	if (!f)
		unavailable();
	return f;
}

static void by_handle(const struct target *t)
{
	libcs("connect")(new_socket(t, SOCK_STREAM, 0), to(t), t->len);
}

static void underscored(const struct target *t)
{
	libcs("__connect")(new_socket(t, SOCK_STREAM, 0), to(t), t->len);
}

#ifdef IORING_OFF_SQ_RING
void by_io_uring(int opcode, int fd, const void *addr, unsigned len, unsigned long long off)
{
	struct io_uring_params p = { .flags = 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 2, &p);
	struct io_uring_sqe *sqes;
	char *sq;

	if (ring < 0)
		unavailable();
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || sqes == MAP_FAILED)
		unavailable();
	sqes[0] = (struct io_uring_sqe){ .opcode = (__u8)opcode, .fd = fd, .addr = (uintptr_t)addr, .len = len, .off = off };
	*(unsigned *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0);
	poll(&(struct pollfd){ .fd = ring, .events = POLLIN }, 1, WAIT_MS);
}

static void ring(const struct target *t)
{
	by_io_uring(IORING_OP_CONNECT, new_socket(t, SOCK_STREAM, 0), &t->addr, 0, t->len);
}
#else
static void ring(const struct target *t)
{
	(void)t;
	unavailable();
}

void by_io_uring(int opcode, int fd, const void *addr, unsigned len, unsigned long long off)
{
	(void)opcode, (void)fd, (void)addr, (void)len, (void)off;
	unavailable();
}
#endif

const struct way tcp_ways[] = {
	{ "connect", 'b', false, blocking, 0 },
	{ "connect-nonblocking", 'b', false, nonblocking, 0 },
	{ "connect-epoll", 'b', false, epoll, 0 },
	{ "connect-by-number", 'b', false, by_number, 0 },
	{ "connect-mapped", '4', false, to_mapped, 0 },
	{ "connect-scoped", '6', false, scoped, 0 },
	{ "connect-short", '6', false, short_form, 0 },
	{ "connect-long", 'b', false, long_form, 0 },
	{ "connect-after-unspec", 'b', false, disconnected, 0 },
	{ "connect-bound", 'b', false, bound, 0 },
	{ "connect-bound-to-wire", 'b', false, bound_to_wire, 0 },
	{ "connect-by-device", 'b', false, by_device, 0 },
	{ "connect-by-handle", 'b', false, by_handle, 0 },
	{ "connect-underscored", 'b', false, underscored, 0 },
	{ "connect-io-uring", 'b', false, ring, 0 },
	{ "fastopen-sendto", 'b', false, fast_sendto, 0 },
	{ "fastopen-sendmsg", 'b', false, fast_sendmsg, 0 },
	{ "fastopen-sendmmsg", 'b', false, fast_sendmmsg, 0 },
	{ "fastopen-nonblocking", 'b', false, fast_nonblocking, 0 },
	{ "fastopen-by-number", 'b', false, fast_by_number, 0 },
	{ "fastopen-connect", 'b', false, fast_connect, 0 },
	{ "sendto-unconnected", 'b', true, sendto_unconnected, 0 },
	{ "multipath", 'b', false, multipath, 0 },
	{ "multipath-fastopen", 'b', false, multipath_fast, 0 },
	{ NULL, 0, false, NULL, 0 },
};

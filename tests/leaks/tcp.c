/* SPDX-License-Identifier: MIT */
/* Ways to open a connection. What natively leaves is the SYN. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
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

int passed(int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) } };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room) };
	int pair[2];

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || sendmsg(pair[0], &msg, 0) != 1)
		unavailable();
	close(fd);
	if (recvmsg(pair[1], &msg, 0) != 1)
		unavailable();
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
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

static struct msghdr message(const struct target *t, struct iovec *iov)
{
	*iov = (struct iovec){ (void *)t->payload, sizeof(t->payload) };
	return (struct msghdr){ .msg_name = (void *)&t->addr, .msg_namelen = t->len, .msg_iov = iov, .msg_iovlen = 1 };
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

static void sctp_stream(const struct target *t)
{
	int fd = new_socket(t, SOCK_STREAM, IPPROTO_SCTP);

	sendto(fd, t->payload, sizeof(t->payload), 0, to(t), t->len);
	dial(fd, t);
}

static void sctp_packets(const struct target *t)
{
	int fd = new_socket(t, SOCK_SEQPACKET, IPPROTO_SCTP);

	sendto(fd, t->payload, sizeof(t->payload), 0, to(t), t->len);
	dial(fd, t);
}

static void dccp(const struct target *t)
{
	dial(new_socket(t, SOCK_DCCP, IPPROTO_DCCP), t);
}

static void raw_tcp(const struct target *t)
{
	struct tcphdr syn = { .source = htons(9), .dest = ((const struct sockaddr_in *)&t->addr)->sin_port, .doff = 5, .syn = 1 };
	struct target portless = *t;

	((struct sockaddr_in *)&portless.addr)->sin_port = 0;	/* sin6_port lies in the same place */
	sendto(new_socket(t, SOCK_RAW, IPPROTO_TCP), &syn, sizeof(syn), 0, to(&portless), t->len);
}

static void duplicated(const struct target *t)
{
	dial(dup(new_socket(t, SOCK_STREAM, 0)), t);
}

static void handed_over(const struct target *t)
{
	dial(passed(new_socket(t, SOCK_STREAM, 0)), t);
}

static void inherited(const struct target *t)
{
	again(t, "late", new_socket(t, SOCK_STREAM, 0));
}

static void in_constructor(const struct target *t)
{
	again(t, "early", -1);
}

static void in_fork(const struct target *t)
{
	int fd = new_socket(t, SOCK_STREAM, 0);

	if (fork() == 0) {
		dial(fd, t);
		_exit(0);
	}
	wait(NULL);
}

static void in_vfork(const struct target *t)
{
	int fd = new_socket(t, SOCK_STREAM, 0);

	if (vfork() == 0) {
		connect(fd, to(t), t->len);
		_exit(0);
	}
	wait(NULL);
}

static void *thread(void *arg)
{
	blocking(arg);
	return NULL;
}

static void in_thread(const struct target *t)
{
	pthread_t id;

	if (pthread_create(&id, NULL, thread, (void *)t))
		unavailable();
	pthread_join(id, NULL);
}

static const struct target *handlers;

static void handler(int sig)
{
	(void)sig;
	blocking(handlers);
}

static void in_handler(const struct target *t)
{
	handlers = t;
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
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
	{ "connect", 'b', false, blocking },
	{ "connect-nonblocking", 'b', false, nonblocking },
	{ "connect-epoll", 'b', false, epoll },
	{ "connect-by-number", 'b', false, by_number },
	{ "connect-mapped", '4', false, to_mapped },
	{ "connect-scoped", '6', false, scoped },
	{ "connect-short", '6', false, short_form },
	{ "connect-long", 'b', false, long_form },
	{ "connect-after-unspec", 'b', false, disconnected },
	{ "connect-bound", 'b', false, bound },
	{ "connect-bound-to-wire", 'b', false, bound_to_wire },
	{ "connect-by-device", 'b', false, by_device },
	{ "connect-dup", 'b', false, duplicated },
	{ "connect-handed-over", 'b', false, handed_over },
	{ "connect-inherited", 'b', false, inherited },
	{ "connect-in-constructor", 'b', false, in_constructor },
	{ "connect-in-fork", 'b', false, in_fork },
	{ "connect-in-vfork", 'b', false, in_vfork },
	{ "connect-in-thread", 'b', false, in_thread },
	{ "connect-in-handler", 'b', false, in_handler },
	{ "connect-by-handle", 'b', false, by_handle },
	{ "connect-underscored", 'b', false, underscored },
	{ "connect-io-uring", 'b', false, ring },
	{ "fastopen-sendto", 'b', false, fast_sendto },
	{ "fastopen-sendmsg", 'b', false, fast_sendmsg },
	{ "fastopen-sendmmsg", 'b', false, fast_sendmmsg },
	{ "fastopen-nonblocking", 'b', false, fast_nonblocking },
	{ "fastopen-by-number", 'b', false, fast_by_number },
	{ "fastopen-connect", 'b', false, fast_connect },
	{ "sendto-unconnected", 'b', true, sendto_unconnected },
	{ "multipath", 'b', false, multipath },
	{ "multipath-fastopen", 'b', false, multipath_fast },
	{ "sctp-stream", 'b', false, sctp_stream },
	{ "sctp-packets", 'b', false, sctp_packets },
	{ "dccp", 'b', false, dccp },
	{ "raw-tcp", 'b', false, raw_tcp },
	{ NULL, 0, false, NULL },
};

/* SPDX-License-Identifier: MIT */
/*
 * The calls that carry something, on the smallest stacks that there are: a thread's, with the guard page that libc puts below it, and the
 * alternate one of a signal handler. Who takes more dies of SIGSEGV.
 */
/*
 * cflags: -pthread
 * libc: glibc musl
 * sim: --node me,100.64.0.1,self --node db,100.64.0.2
 * env: TSPROXY_TRACE=/dev/null
 * expect: thread: done
 * expect: handler: done
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HANDLER_STACK 8192
#define BATCH 64

static struct sockaddr_in db = { .sin_family = AF_INET, .sin_port = 0x0700 };
static char room[64];
static struct iovec pieces[BATCH];
static struct mmsghdr msgs[BATCH];
static fd_set readable, writable;

/* Every call on a connect to the tailnet; nobody listens there. */
static void use_stream(int flags)
{
	static struct sockaddr_in name;
	static socklen_t len;
	static struct epoll_event event;
	static struct timeval brief;
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0), set = epoll_create1(0), error;
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	event.events = EPOLLIN | EPOLLOUT;
	epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	connect(fd, (struct sockaddr *)&db, sizeof(db));
	poll(&p, 1, flags ? 1 : 0);
	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(fd, &readable);
	FD_SET(fd, &writable);
	brief.tv_usec = 1000;
	select(fd + 1, &readable, &writable, NULL, &brief);
	epoll_wait(set, &event, 1, 1);
	len = sizeof(name);
	getpeername(fd, (struct sockaddr *)&name, &len);
	len = sizeof(name);
	getsockname(fd, (struct sockaddr *)&name, &len);
	len = sizeof(error);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	send(fd, room, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	recv(fd, room, 1, MSG_DONTWAIT);
	close(dup(fd));
	shutdown(fd, SHUT_RDWR);
	close(fd);
	close(set);
}

static void use_datagrams(int connected)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (connected)
		connect(fd, (struct sockaddr *)&db, sizeof(db));
	sendto(fd, room, 1, 0, (struct sockaddr *)&db, sizeof(db));
	for (int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){ room, 1 };
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = connected ? NULL : &db, .msg_namelen = connected ? 0 : sizeof(db),
						   .msg_iov = &pieces[i], .msg_iovlen = 1 };
	}
	sendmmsg(fd, msgs, BATCH, 0);
	msgs[0].msg_hdr.msg_iov = pieces;
	msgs[0].msg_hdr.msg_iovlen = BATCH;
	sendmsg(fd, &msgs[0].msg_hdr, 0);
	poll(&p, 1, 1);
	recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
	recv(fd, room, sizeof(room), MSG_DONTWAIT);
	close(fd);
}

static void use_all(void)
{
	use_stream(0);
	use_stream(SOCK_NONBLOCK);
	use_datagrams(0);
	use_datagrams(1);
}

static void *in_thread(void *arg)
{
	(void)arg;
	use_all();
	return NULL;
}

static void in_handler(int number)
{
	(void)number;
	use_all();
}

int main(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, HANDLER_STACK + (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t alternate = { .ss_sp = memory + page, .ss_size = HANDLER_STACK };
	struct sigaction action = { .sa_handler = in_handler, .sa_flags = SA_ONSTACK };
	pthread_attr_t small;
	pthread_t thread;

	inet_pton(AF_INET, "100.64.0.2", &db.sin_addr);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN < 16384 ? 16384 : PTHREAD_STACK_MIN);
	pthread_create(&thread, &small, in_thread, NULL);
	pthread_join(thread, NULL);
	printf("thread: done\n");
	fflush(stdout);
	if (memory == MAP_FAILED || mprotect(memory, (size_t)page, PROT_NONE) != 0 || sigaltstack(&alternate, NULL) != 0)
		return 1;
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	printf("handler: done\n");
	return 0;
}

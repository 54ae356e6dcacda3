/* SPDX-License-Identifier: MIT */
/* Where a call comes from, and where its socket: the same connect and the same datagram in each. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ways.h"

struct msghdr message(const struct target *t, struct iovec *iov)
{
	*iov = (struct iovec){ (void *)t->payload, sizeof(t->payload) };
	return (struct msghdr){ .msg_name = (void *)&t->addr, .msg_namelen = t->len, .msg_iov = iov, .msg_iovlen = 1 };
}

void reach(int fd, const struct target *t)
{
	if (t->type == SOCK_STREAM)
		connect(fd, to(t), t->len);
	else
		sendto(fd, t->payload, sizeof(t->payload), 0, to(t), t->len);
}

static void fresh(const struct target *t)
{
	reach(new_socket(t, t->type, 0), t);
}

/* Runs this program again for one way: "early" in its constructor, "late" in main. `fd` is -1, or the socket to use. */
static _Noreturn void again(const struct target *t, const char *how, int fd)
{
	char given[64], address[INET6_ADDRSTRLEN];
	int number = atoi(t->payload + strlen("way-"));
	const void *ip = t->addr.ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)&t->addr)->sin_addr :
						       (const void *)&((const struct sockaddr_in6 *)&t->addr)->sin6_addr;

	snprintf(given, sizeof(given), "%s %d %d", how, number, fd);
	setenv("WAYS", given, 1);
	setenv("WAYS_TO", inet_ntop(t->addr.ss_family, ip, address, sizeof(address)), 1);
	execl("/proc/self/exe", "ways", (char *)NULL);
	_exit(1);
}

/* The socket as another process gets it: by SCM_RIGHTS. */
static int passed(int fd)
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

static void duplicated(const struct target *t)
{
	reach(dup(new_socket(t, t->type, 0)), t);
}

static void handed_over(const struct target *t)
{
	reach(passed(new_socket(t, t->type, 0)), t);
}

static void inherited(const struct target *t)
{
	again(t, "late", new_socket(t, t->type, 0));
}

static void in_constructor(const struct target *t)
{
	again(t, "early", -1);
}

static void in_fork(const struct target *t)
{
	int fd = new_socket(t, t->type, 0);

	if (fork() == 0) {
		reach(fd, t);
		_exit(0);
	}
	wait(NULL);
}

static void in_vfork(const struct target *t)
{
	int fd = new_socket(t, t->type, 0);

	if (vfork() == 0) {
		reach(fd, t);
		_exit(0);
	}
	wait(NULL);
}

static void *thread(void *arg)
{
	fresh(arg);
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
	fresh(handlers);
}

static void in_handler(const struct target *t)
{
	handlers = t;
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
}

#define BOTH(name, run) { "connect-" name, 'b', false, run, SOCK_STREAM }, { "datagram-" name, 'b', false, run, SOCK_DGRAM }

const struct way context_ways[] = {
	BOTH("dup", duplicated),
	BOTH("handed-over", handed_over),
	BOTH("inherited", inherited),
	BOTH("in-constructor", in_constructor),
	BOTH("in-fork", in_fork),
	BOTH("in-vfork", in_vfork),
	BOTH("in-thread", in_thread),
	BOTH("in-handler", in_handler),
	{ NULL, 0, false, NULL, 0 },
};

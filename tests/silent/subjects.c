/* SPDX-License-Identifier: MIT */
/* See subjects.h. Nothing that is done to one of these blocks. */
#include "subjects.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

struct subject subjects[SUBJECTS_MAX];
int subject_count;
struct sockaddr_in tcp_here = { .sin_family = AF_INET }, udp_here = { .sin_family = AF_INET };
struct sockaddr_in6 tcp6_here = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT },
		    udp6_here = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

#define FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

static void add(const char *kind, int fd)
{
	struct subject *s = &subjects[subject_count++];
	int type = 0, domain = 0;
	socklen_t len = sizeof(int);

	*s = (struct subject){ .kind = kind, .fd = fd };
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
		return;
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	s->socket = true;
	s->stream = type == SOCK_STREAM;
	s->datagram = type == SOCK_DGRAM;
	s->inet = domain == AF_INET || domain == AF_INET6;
}

int fresh_tcp(void) { return MUST(socket(AF_INET, SOCK_STREAM | FLAGS, 0)); }
int fresh_udp(void) { return MUST(socket(AF_INET, SOCK_DGRAM | FLAGS, 0)); }
int fresh_unix(void) { return MUST(socket(AF_UNIX, SOCK_STREAM | FLAGS, 0)); }
int fresh_file(void) { return MUST(open("/dev/zero", O_RDWR | O_CLOEXEC)); }

static int listener(int family, void *at, socklen_t len)
{
	int fd = MUST(socket(family, SOCK_STREAM | FLAGS, 0));

	MUST(bind(fd, at, len));
	MUST(listen(fd, 100));
	MUST(getsockname(fd, at, &len));
	return fd;
}

static int bound_udp(int family, void *at, socklen_t len)
{
	int fd = MUST(socket(family, SOCK_DGRAM | FLAGS, 0));

	MUST(bind(fd, at, len));
	MUST(getsockname(fd, at, &len));
	return fd;
}

/* Both ends of a connection over loopback. */
static void add_connected(int family, int listening, void *at, socklen_t len)
{
	int fd = MUST(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));

	MUST(connect(fd, at, len));
	add("TCP connected", fd);
	MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
	add("TCP accepted", MUST(accept4(listening, NULL, NULL, FLAGS)));
}

static int connected_udp(int family, void *to, socklen_t len)
{
	int fd = MUST(socket(family, SOCK_DGRAM | FLAGS, 0));

	MUST(connect(fd, to, len));
	return fd;
}

static void add_pair(const char *kind, int type)
{
	int sv[2];

	MUST(socketpair(AF_UNIX, type | FLAGS, 0, sv));
	add(kind, sv[0]);
	add(kind, sv[1]);
}

/* The same descriptor, as another process would send it. */
static int passed(int fd)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } c = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	char byte;
	int sv[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	memcpy(CMSG_DATA(&c.h), &fd, sizeof(fd));
	MUST(sendmsg(sv[0], &m, 0));
	iov.iov_base = &byte;
	MUST(recvmsg(sv[1], &m, MSG_CMSG_CLOEXEC));
	memcpy(&fd, CMSG_DATA(&c.h), sizeof(fd));
	close(sv[0]);
	close(sv[1]);
	return fd;
}

void subjects_make(const char *numbers)
{
	static char many[1000];
	int p[2], ep, plain;

	tcp_here.sin_addr.s_addr = udp_here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (char *next = (char *)numbers; next && *next;)
		add("over exec", (int)strtol(next, &next, 10));
	add("file", MUST(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)));
	MUST(write(subjects[subject_count - 1].fd, many, sizeof(many)));
	MUST(lseek(subjects[subject_count - 1].fd, 0, SEEK_SET));
	add("device", fresh_file());
	MUST(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	add("pipe", p[0]);
	add("pipe", p[1]);
	MUST(write(p[1], many, sizeof(many)));
	add("eventfd", MUST(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)));
	add("timerfd", MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)));
	ep = MUST(epoll_create1(EPOLL_CLOEXEC));
	add("epoll", ep);
	add_pair("unix stream", SOCK_STREAM);
	add_pair("unix datagram", SOCK_DGRAM);
	add_pair("unix seqpacket", SOCK_SEQPACKET);
	add("netlink", MUST(socket(AF_NETLINK, SOCK_RAW | FLAGS, NETLINK_ROUTE)));
	add("TCP listening", listener(AF_INET, &tcp_here, sizeof(tcp_here)));
	plain = subjects[subject_count - 1].fd;
	add_connected(AF_INET, plain, &tcp_here, sizeof(tcp_here));
	add("TCP6 listening", listener(AF_INET6, &tcp6_here, sizeof(tcp6_here)));
	add_connected(AF_INET6, subjects[subject_count - 1].fd, &tcp6_here, sizeof(tcp6_here));
	add("TCP unconnected", fresh_tcp());
	add("TCP unconnected, doubled", MUST(dup(subjects[subject_count - 1].fd)));
	add("UDP bound", bound_udp(AF_INET, &udp_here, sizeof(udp_here)));
	add("UDP6 bound", bound_udp(AF_INET6, &udp6_here, sizeof(udp6_here)));
	add("UDP connected", connected_udp(AF_INET, &udp_here, sizeof(udp_here)));
	add("UDP6 connected", connected_udp(AF_INET6, &udp6_here, sizeof(udp6_here)));
	add("UDP, doubled", MUST(dup(subjects[subject_count - 1].fd)));
	for (int i = 0, n = subject_count; i < n; i++)
		if (strcmp(subjects[i].kind, "epoll") != 0 && subject_count < SUBJECTS_MAX)
			add("passed", passed(subjects[i].fd));
}

void subjects_numbers(char *out, size_t len)
{
	*out = '\0';
	EACH(s) {
		size_t used = strlen(out);

		if (strcmp(s->kind, "passed") == 0)
			return;
		MUST(fcntl(s->fd, F_SETFD, 0));
		snprintf(out + used, len - used, " %d", s->fd);
	}
}

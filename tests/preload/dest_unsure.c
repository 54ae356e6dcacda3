/* SPDX-License-Identifier: MIT */
/*
 * A program whose seccomp filter forbids to ask what kind of socket it has: one of its own, then one that it had when it started. What is for the tailnet is refused then, and
 * does not reach the kernel, where a datagram would be sent, and a connection refused, by the address on lo.
 */
/*
 * libc: glibc
 * sim:
 * addr: 100.90.56.90/32
 * expect: asked ECONNREFUSED ECONNREFUSED
 * expect: no socket EBADF ENOTSOCK
 * expect: forbidden ENETUNREACH ENETUNREACH ENETUNREACH ENETUNREACH
 * expect: forbidden ENETUNREACH ENETUNREACH ENETUNREACH ENETUNREACH
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_in to = { .sin_family = AF_INET };

static const char *name_of(int err)
{
	return err == ECONNREFUSED ? "ECONNREFUSED" : err == ENETUNREACH ? "ENETUNREACH" : err == EBADF ? "EBADF" :
	       err == ENOTSOCK ? "ENOTSOCK" : err ? strerror(err) : "done";
}

static const char *dial(int fd)
{
	return name_of(connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0);
}

static const char *shout(int fd)
{
	return name_of(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0);
}

/* A socket that the library knows nothing of: one that came from elsewhere. */
static int received(int type)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) } };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room) };
	int pair[2], fd = socket(AF_INET, type, 0);

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	sendmsg(pair[0], &msg, 0);
	close(fd);
	recvmsg(pair[1], &msg, 0);
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

static void forbid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		printf("no filter: %s\n", strerror(errno));
}

static void dial_unasked(void)
{
	int stream = received(SOCK_STREAM), datagram[2] = { received(SOCK_DGRAM), received(SOCK_DGRAM) };
	const char *first, *second;

	forbid();
	first = dial(stream);
	second = dial(datagram[0]);
	printf("forbidden %s %s", first, second);
	first = shout(datagram[1]);
	second = shout(socket(AF_INET, SOCK_DGRAM, 0));
	printf(" %s %s\n", first, second);
}

int main(int argc, char **argv)
{
	int stream, datagram, zero = open("/dev/zero", O_RDWR);
	const char *first, *second;

	inet_pton(AF_INET, "100.90.56.90", &to.sin_addr);
	to.sin_port = htons(3000);
	if (argc > 1) {
		dial_unasked();
		return 0;
	}
	stream = received(SOCK_STREAM);
	datagram = received(SOCK_DGRAM);
	first = dial(socket(AF_INET, SOCK_STREAM, 0));
	second = dial(stream);
	printf("asked %s %s\n", first, second);
	close(datagram);
	first = dial(datagram);
	second = dial(zero);
	printf("no socket %s %s\n", first, second);
	dial_unasked();
	fflush(stdout);
	execl("/proc/self/exe", argv[0], "again", (char *)NULL);
	return 1;
}

/* SPDX-License-Identifier: MIT */
/*
 * A program that allows itself four system calls. What is for the tailnet is refused without a call of the library's own, which
 * would be fatal: by sockets that were never used, that were connected elsewhere, and that came from another process.
 */
/*
 * libc: glibc
 * sim:
 * addr: 100.90.56.90/32
 * expect: 101 101 101 101 101 101
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_in to = { .sin_family = AF_INET };
static char line[100];

#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int forbid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_write), ALLOW(SYS_socket), ALLOW(SYS_exit_group), ALLOW(SYS_exit),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static void tell(long r)
{
	int err = r < 0 ? errno : 0;
	size_t n = strlen(line);

	if (n)
		line[n++] = ' ';
	line[n++] = (char)('0' + err / 100);
	line[n++] = (char)('0' + err / 10 % 10);
	line[n++] = (char)('0' + err % 10);
}

int main(void)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int stream = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0), used = socket(AF_INET, SOCK_DGRAM, 0);
	struct iovec iov = { (char *)"x", 1 };
	struct mmsghdr many = { .msg_hdr = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1 } };

	inet_pton(AF_INET, "100.90.56.90", &to.sin_addr);
	to.sin_port = htons(3000);
	connect(used, (struct sockaddr *)&local, sizeof(local));
	if (forbid())
		return 2;
	tell(connect(stream, (struct sockaddr *)&to, sizeof(to)));
	tell(connect(datagram, (struct sockaddr *)&to, sizeof(to)));
	tell(connect(used, (struct sockaddr *)&to, sizeof(to)));
	tell(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof(to)));
	tell(sendto(datagram, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	tell(sendmmsg(used, &many, 1, 0));
	line[strlen(line)] = '\n';
	return write(1, line, strlen(line)) < 0;
}

/* SPDX-License-Identifier: MIT */
/* A vfork child that connects: one that waits gets its connection, one that would not is refused. None reads a byte of the proxy's. */
/*
 * libc: glibc musl
 * sim: --node me,100.64.0.1,self --node db,100.64.0.2 --suffix tail1.ts.net
 * expect: 0, then 2 bytes
 * expect: 113
 * expect: 113
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in to = { .sin_family = AF_INET };
static int listener;

static int begin(int flags, int *fd)
{
	*fd = socket(AF_INET, SOCK_STREAM | flags, 0);
	return connect(*fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
}

static void waiting(void)
{
	int fd, err = begin(0, &fd), far = accept(listener, NULL, NULL);
	char buf[100];

	if (write(far, "hi", 2) != 2)
		_exit(1);
	dprintf(1, "%d, then %d bytes\n", err, (int)read(fd, buf, sizeof(buf)));
	_exit(0);
}

static void at_once(void)
{
	int fd;

	dprintf(1, "%d\n", begin(SOCK_NONBLOCK, &fd));
	_exit(0);
}

static void nested(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		at_once();
	waitpid(pid, NULL, 0);
	_exit(0);
}

static void in_child(void (*run)(void))
{
	pid_t pid = vfork();

	if (pid == 0)
		run();
	waitpid(pid, NULL, 0);
}

int main(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(here);

	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&here, len) || listen(listener, 5) || getsockname(listener, (struct sockaddr *)&here, &len))
		return 1;
	to.sin_port = here.sin_port;
	inet_pton(AF_INET, "100.64.0.2", &to.sin_addr);
	in_child(waiting);
	in_child(at_once);
	in_child(nested);
	return 0;
}

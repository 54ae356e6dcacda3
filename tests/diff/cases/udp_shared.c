/* SPDX-License-Identifier: MIT */
/* One UDP socket, several processes. */
#include "udp_case.h"

static void wait_for(pid_t child)
{
	int status = 0;

	waitpid(child, &status, 0);
	if (status)
		say("the child ended with %d", status);
}

/* The child is the first that turns to the tailnet. */
CASE_FAMILIES(child_first)
{
	int fd = udp(0);
	pid_t child = fork();

	if (child == 0) {
		echo_from(fd, PEER, ECHO, "child");
		give(fd, PEER, ECHO, "for the parent");
		pause();
	}
	await(fd);
	nap(8);
	show_from(fd, 100, MSG_DONTWAIT);
	echo_from(fd, PEER, ECHO, "parent");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* The parent is, after the fork; then the child. */
CASE_FAMILIES(parent_first)
{
	int fd = udp(0), go[2];
	pid_t child;
	char c;

	MUST(pipe(go));
	child = fork();
	if (child == 0) {
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		show_from(fd, 100, 0);
		show_peer(fd);
		echo_from(fd, PEER, ECHO, "child");
		_exit(0);
	}
	echo_from(fd, PEER, ECHO, "parent");
	give(fd, PEER, ECHO, "for the child");
	MUST(write(go[1], "x", 1));
	wait_for(child);
	echo_from(fd, PEER, ECHO, "still");
}

/* One connects, the other finds it connected. */
CASE_FAMILIES(child_connects)
{
	int fd = udp(0);
	pid_t child;

	echo_from(fd, PEER, ECHO, "before");
	child = fork();
	if (child == 0) {
		T(connect(fd, TO(PEER, FIRST)));
		T(send(fd, "one", 3, 0));
		show_from(fd, 100, 0);
		T(send(fd, "two", 3, 0));
		_exit(0);
	}
	wait_for(child);
	show_peer(fd);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(send(fd, "three", 5, 0));
	show_from(fd, 100, 0);
}

CASE(grandchild)
{
	int fd = udp(0);
	pid_t child = fork();

	if (child == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0) {
			T(connect(fd, TO(PEER, ECHO)));
			T(send(fd, "from afar", 9, 0));
			await(fd);
			_exit(0);
		}
		wait_for(grandchild);
		show_from(fd, 100, 0);
		T(write(fd, "again", 5));
		await(fd);
		_exit(0);
	}
	wait_for(child);
	show_from(fd, 100, 0);
	show_peer(fd);
}

/* Who turned to the tailnet is gone before the answer comes. */
CASE(maker_gone)
{
	int fd = udp(0);
	pid_t child = fork();

	if (child == 0) {
		give(fd, PEER, ECHO, "one");
		_exit(0);
	}
	wait_for(child);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	echo_from(fd, PEER, ECHO, "two");
}

/* A connected socket is another program's standard input and output. */
CASE_ATTR(other_program, "sub")
{
	char buf[100];
	ssize_t n;

	T(write(0, "by the other", 12));
	n = T(read(0, buf, sizeof(buf)));
	say("\"%s\"", bytes_name(buf, n));
	show_peer(0);
}

CASE_FAMILIES(exec)
{
	int fd = udp(0);
	pid_t child;

	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "first", 5, 0));
	show_from(fd, 100, 0);
	child = fork();
	if (child == 0) {
		dup2(fd, 0);
		execl(case_self, case_self, "other_program", NULL);
		_exit(1);
	}
	wait_for(child);
	T(send(fd, "last", 4, 0));
	show_from(fd, 100, 0);
}

/* The process itself becomes another program. */
CASE_FAMILIES(become)
{
	int fd = udp(0);

	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "first", 5, 0));
	show_from(fd, 100, 0);
	dup2(fd, 0);
	execl(case_self, case_self, "other_program", NULL);
}

static void pass_on(int by, int fd)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } c = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };

	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&c.h), &fd, sizeof(fd));
	MUST(sendmsg(by, &m, 0));
}

static int take(int by)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } c = { 0 };
	char x;
	struct iovec iov = { &x, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	int fd;

	MUST(recvmsg(by, &m, 0));
	memcpy(&fd, CMSG_DATA(&c.h), sizeof(fd));
	return fd;
}

CASE_FAMILIES(passed)
{
	int pair[2], fd;
	pid_t child;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	child = fork();
	if (child == 0) {
		fd = take(pair[1]);
		show_peer(fd);
		T(send(fd, "by the taker", 12, 0));
		show_from(fd, 100, 0);
		_exit(0);
	}
	fd = udp(0);
	T(connect(fd, TO(PEER, ECHO)));
	pass_on(pair[0], fd);
	wait_for(child);
	T(send(fd, "last", 4, 0));
	show_from(fd, 100, 0);
}

/* One socket under two numbers: what begins by the one is known by the other. */
static void by_both(int one, int other)
{
	give(other, PEER, ECHO, "by the other");
	await(one);
	show_from(one, 100, MSG_DONTWAIT);
	T(connect(one, TO(PEER, FIRST)));
	show_peer(other);
	T(send(other, "connected", 9, 0));
	await(one);
	show_from(one, 100, MSG_DONTWAIT);
	close(one);
	echo_from(other, PEER, FIRST, "last");
	close(other);
}

CASE_FAMILIES(two_numbers)
{
	int pair[2], one = udp(0), other = dup(one);
	struct sockaddr_in near = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	pid_t child;

	by_both(one, other);
	one = udp(0);
	other = dup(one);
	child = fork();
	if (child == 0)
		_exit(0);
	wait_for(child);
	by_both(one, other);
	one = udp(0);
	other = dup(one);
	if (case_family == AF_INET)
		T(connect(one, (void *)&near, sizeof(near)));
	T(connect(one, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	by_both(one, other);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	one = udp(0);
	pass_on(pair[0], one);
	other = take(pair[1]);
	by_both(one, other);
	one = udp(0);
	pass_on(pair[0], one);
	other = take(pair[1]);
	by_both(other, one);
}

/* Any of them closes; the others go on. */
CASE(closing)
{
	int fd = udp(0), other;
	pid_t child;

	echo_from(fd, PEER, ECHO, "one");
	other = dup(fd);
	child = fork();
	if (child == 0) {
		close(fd);
		echo_from(other, PEER, ECHO, "two");
		for (int i = 3; i < 100; i++)
			close(i);
		_exit(0);
	}
	wait_for(child);
	close(fd);
	echo_from(other, PEER, ECHO, "three");
	fd = udp(0);
	closefrom(fd + 1);
	echo_from(fd, PEER, ECHO, "four");
	other = dup2(fd, 50);
	close_range(0, 0, 0);
	close_range(3, 49, 0);
	echo_from(other, PEER, ECHO, "five");
}

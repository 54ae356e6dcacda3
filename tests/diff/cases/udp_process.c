/* SPDX-License-Identifier: MIT */
/* Sockets that go through fork, vfork, exec and spawn, and processes that close what they do not know. */
#include "udp_case.h"

#include <dirent.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern char **environ;

CASE_ATTR(child, "sub")
{
	char buf[100];
	ssize_t n;

	show_peer(0);
	T(send(0, "by the child", 12, 0));
	await(0);
	n = T(recv(0, buf, sizeof(buf), MSG_DONTWAIT));
	say("\"%s\"", bytes_name(buf, n));
}

static void reap(pid_t child)
{
	int status = 0;

	waitpid(child, &status, 0);
	if (status)
		say("the child ended with %x", (unsigned)status);
}

CASE_FAMILIES(spawn)
{
	int fd = udp(0);
	char *argv[] = { (char *)case_self, "child", NULL };
	posix_spawn_file_actions_t actions;
	pid_t child;

	T(connect(fd, TO(PEER, ECHO)));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, 0);
	MUST(-posix_spawn(&child, case_self, &actions, NULL, argv, environ));
	reap(child);
	T(send(fd, "by the parent", 13, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

CASE_FAMILIES(vfork)
{
	int fd = udp(0);
	pid_t child;

	T(connect(fd, TO(PEER, ECHO)));
	child = vfork();
	if (child == 0) {
		dup2(fd, 0);
		execl(case_self, case_self, "child", NULL);
		_exit(1);
	}
	reap(child);
	T(send(fd, "by the parent", 13, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

CASE(exec_by_number)
{
	int fd = udp(0);
	char *argv[] = { (char *)case_self, "child", NULL };
	pid_t child;

	T(connect(fd, TO(PEER, ECHO)));
	child = fork();
	if (child == 0) {
		dup2(fd, 0);
		syscall(SYS_execve, case_self, argv, environ);
		_exit(1);
	}
	reap(child);
	T(send(fd, "by the parent", 13, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* A shell's way: the socket is made before any of it is known, and handed on. */
CASE_FAMILIES(system)
{
	int fd = udp(0), kept = dup(0);
	char command[300], line[200];
	FILE *f;

	T(connect(fd, TO(PEER, ECHO)));
	dup2(fd, 0);
	snprintf(command, sizeof(command), "exec %s child", case_self);
	T(system(command));
	T(system("exit 3"));
	f = popen(command, "r");
	while (fgets(line, sizeof(line), f))
		say("it said: %.*s", (int)strcspn(line, "\n"), line);
	T(pclose(f));
	T(system(NULL) != 0);
	dup2(kept, 0);
	T(send(fd, "by the parent", 13, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Nothing is open that the program did not open, and nothing it can close breaks the socket. */
CASE_FAMILIES(close_loops)
{
	int fd = udp(0), before = open_descriptors();

	echo_from(fd, PEER, ECHO, "one");
	say("descriptors more: %d", open_descriptors() - before);
	for (int i = 3; i < 4096; i++)
		if (i != fd)
			close(i);
	echo_from(fd, PEER, ECHO, "two");
	fd = dup2(fd, 900);
	closefrom(901);
	close_range(3, 899, 0);
	echo_from(fd, PEER, ECHO, "three");
	T(connect(fd, TO(PEER, ECHO)));
	close_range(0, 899, 4);	/* CLOSE_RANGE_CLOEXEC */
	T(send(fd, "four", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

CASE(low_limit)
{
	struct rlimit r = { 64, 64 };
	int fds[60], n = 0;

	MUST(setrlimit(RLIMIT_NOFILE, &r));
	for (; n < 40; n++)
		fds[n] = udp(0);
	for (int i = 0; i < n; i++)
		echo_from(fds[i], PEER, ECHO, "x");
	while (n < 60 && (fds[n] = socket(AF_INET, SOCK_DGRAM, 0)) >= 0)
		n++;
	say("then: %s", err_name(errno));
	close(fds[--n]);
	echo_from(fds[0], PEER, ECHO, "y");
}

/* The number becomes another socket's. */
CASE_FAMILIES(reused)
{
	int fd = udp(0), other = udp(0);

	echo_from(fd, PEER, ECHO, "one");
	T(dup2(other, fd));
	show_peer(fd);
	T(send(fd, "none", 4, 0));
	echo_from(fd, PEER, ECHO, "two");
	close(fd);
	close(other);
	fd = udp(0);
	T(send(fd, "none", 4, 0));
	T(recv(fd, (char[4]){ 0 }, 4, MSG_DONTWAIT));
	T(connect(fd, TO(PEER, ECHO)));
	T(dup3(fd, fd, 0));
	T(fcntl(fd, F_DUPFD, 500));
	T(fcntl(fd, F_DUPFD_CLOEXEC, 600));
	T(close(fd));
	T(send(600, "six hundred", 11, 0));
	await(500);
	show_from(500, 100, MSG_DONTWAIT);
	show_peer(500);
}

/* Duplicates that were there before the socket turned to the tailnet. */
CASE_FAMILIES(duplicated_before)
{
	int fd = udp(0), other = dup(fd), third = dup2(other, 77), fourth;

	give(fd, PEER, ECHO, "by the first");
	await(other);
	show_from(other, 100, MSG_DONTWAIT);
	T(connect(third, TO(PEER, ECHO)));
	show_peer(fd);
	T(send(other, "connected", 9, 0));
	await(fd);
	show_from(third, 100, MSG_DONTWAIT);
	T(close(fd));
	fourth = fcntl(other, F_DUPFD_CLOEXEC, 90);
	T(connect(other, TO(PEER, FIRST)));
	T(send(fourth, "elsewhere", 9, 0));
	await(third);
	show_from(third, 100, MSG_DONTWAIT);
	T(connect(fourth, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	echo_from(other, PEER, ECHO, "left");
	show_peer(third);
}

/* Another program has the socket three times, as a server's child has. */
CASE_ATTR(three_times, "sub")
{
	T(send(0, "zero", 4, 0));
	await(2);
	show_from(2, 100, MSG_DONTWAIT);
	T(connect(0, TO(PEER, FIRST)));
	show_peer(2);
	T(send(2, "two", 3, 0));
	await(0);
	show_from(0, 100, MSG_DONTWAIT);
}

CASE(inherited_thrice)
{
	int fd = udp(0);
	pid_t child;

	T(connect(fd, TO(PEER, ECHO)));
	child = fork();
	if (child == 0) {
		dup2(fd, 0);
		dup2(fd, 2);
		execl(case_self, case_self, "three_times", NULL);
		_exit(1);
	}
	reap(child);
}

/* Two processes at once, on one socket each way. */
CASE_FAMILIES(both_at_once)
{
	int fd = udp(0), got = 0;
	pid_t child;

	echo_from(fd, PEER, ECHO, "before");
	child = fork();
	for (int i = 0; i < 20; i++)
		give(fd, PEER, ECHO, child ? "parent" : "child");
	if (child == 0)
		_exit(0);
	reap(child);
	for (struct pollfd p = { .fd = fd, .events = POLLIN }; got < 40 && poll(&p, 1, LONG) == 1; got++) {
		char buf[20] = "";
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);

		recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (void *)&from, &len);
		if (strcmp(buf, "parent") != 0 && strcmp(buf, "child") != 0)
			say("wrong: \"%s\" from %s", buf, addr_name((void *)&from, len));
	}
	say("got %d", got);
}

/* SPDX-License-Identifier: MIT */
/*
 * A little of everything in one case each, which run.py also runs under other people's tools (UNDER): their allocators,
 * sanitizers, valgrind, strace, a faked clock. No times are told, because some of those tools are slow.
 */
#include "../case.h"

static void echo_twice(int fd)
{
	show_echo(fd);
	show_peer(fd);
	show_name(fd);
	show_echo(fd);
	T(close(fd));
}

CASE(blocking) { char *mem = malloc(100000); echo_twice(connected(0, PEER, ECHO)); free(mem); }
CASE(refused) { int fd = sock(0); T(connect(fd, TO(PEER, REFUSED))); T(connect(fd, TO(PEER, ECHO))); echo_twice(fd); }
CASE(poll) { int fd = pending(PEER, ECHO); wait_connected(fd); show_so_error(fd); echo_twice(fd); }

CASE(epoll)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO);
	struct epoll_event ev = { 0 };

	T(add_epoll(ep, fd, EPOLLOUT | EPOLLET, 7));
	T(epoll_wait(ep, &ev, 1, -1));
	say("%s %d", epoll_names(ev.events), (int)ev.data.u64);
	echo_twice(fd);
}

static void *in_thread(void *arg)
{
	char *mem = malloc(1000);

	(void)arg;
	show_echo(connected(0, PEER, ECHO));
	free(mem);
	return NULL;
}

CASE(threads)
{
	for (int i = 0; i < 5; i++)
		join(thread(in_thread, NULL));
}

CASE(forked)
{
	pid_t pid = fork();

	if (!pid) {
		echo_twice(connected(0, PEER, ECHO));
		exit(0);
	}
	expect_exit(pid);
}

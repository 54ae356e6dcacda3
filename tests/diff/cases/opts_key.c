/* SPDX-License-Identifier: MIT */
/* TCP_FASTOPEN_KEY and socket filters of a client socket: what a program may set for itself, and finds unset where it did not. */
#include <linux/filter.h>

#include "../case.h"

static const char key[32] = "0123456789abcdef0123456789abcde";

static void show_key(int fd)
{
	char back[64];
	socklen_t len = sizeof(back);

	memset(back, '-', sizeof(back));
	T(getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, back, &len));
	say("key of %u: %s", len, bytes_name(back, 32));
}

static void show_filter(int fd)
{
	struct sock_filter insn[64];
	socklen_t n = 64;

	T(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, insn, &n));
	say("filter of %u", n);
	n = 0;
	T(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n));
	say("filter of %u", n);
}

static void show(int fd)
{
	show_key(fd);
	show_filter(fd);
	show_peer(fd);
}

CASE_FAMILIES(none)
{
	int fd = pending(PEER, ECHO);
	socklen_t len = (socklen_t)-1;
	char back[4] = "...";

	show_key(fd);
	wait_connected(fd);
	show(fd);
	T(getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, back, &len));
	len = 0;
	T(getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, back, &len));
	say("%u %s", len, back);
	T(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &len, sizeof(len)));
	fd = sock(0);
	T(connect(fd, TO(PEER, REFUSED)));
	show(fd);
}

/* Its own key is set before, while, or after it connects. */
CASE_FAMILIES(when)
{
	static const socklen_t lens[] = { 16, 32 };

	for (int turn = 0; turn < 8; turn++) {
		int fd = sock(SOCK_NONBLOCK), when = turn / 2;

		if (when == 0)
			T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, lens[turn % 2]));
		if (when == 1) {
			fd = dup(fd);
			T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, lens[turn % 2]));
			fd = dup(fd);
		}
		T(connect(fd, TO(PEER, ECHO)));
		if (when == 2)
			T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, lens[turn % 2]));
		show_key(fd);
		wait_connected(fd);
		if (when == 3)
			T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, lens[turn % 2]));
		show(fd);
		show_echo(fd);
		T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 5));
		T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, nowhere, 16));
		T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key + 1, 16));
		show(fd);
		T(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &turn, sizeof(turn)));
		T(shutdown(fd, SHUT_RDWR));
		show_key(fd);
	}
}

/* Another program has it. */
CASE_ATTR(looks, "sub")
{
	show(5);
	show_echo(5);
}

CASE_FAMILIES(elsewhere)
{
	for (int turn = 0; turn < 3; turn++) {
		int fd = sock(turn == 2 ? SOCK_NONBLOCK : 0);
		pid_t child;

		if (turn)
			T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 32));
		T(connect(fd, TO(PEER, ECHO)));
		if (turn == 2)
			wait_connected(fd);
		child = fork();
		if (child == 0) {
			dup2(fd, 5);
			execl(case_self, case_self, "looks", NULL);
			_exit(1);
		}
		waitpid(child, NULL, 0);
		show(fd);
		close(fd);
	}
}

static struct sock_filter lets_pass[] = { BPF_STMT(BPF_RET | BPF_K, 0xffffffff) };

/* Filters of its own. */
CASE_FAMILIES(filters)
{
	struct sock_fprog prog = { .len = 1, .filter = lets_pass };

	for (int turn = 0; turn < 4; turn++) {
		int fd = sock(0);

		say("%d", turn);
		if (turn == 0)
			T(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
		if (turn == 1)
			T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 32));
		T(connect(fd, TO(PEER, ECHO)));
		if (turn)
			T(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
		show_filter(fd);
		if (turn == 2)
			T(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 32));
		show_peer(fd);
		show_echo(fd);
		T(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &turn, sizeof(turn)));
		show_filter(fd);
		show_peer(fd);
	}
}

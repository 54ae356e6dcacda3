/* SPDX-License-Identifier: MIT */
/* What the parts of datagrams are to each other: edges, pieces, streams, processes. */
#include "udp_case.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define SLOW "proxy=8"

extern char **environ;

/* --- epoll --- */

/* Each datagram that has left the buffer is an edge. */
CASE_ATTR(edges, SLOW)
{
	int fd = udp(SOCK_NONBLOCK), ep = epoll_create1(0);
	struct epoll_event ev;

	MUST(add_epoll(ep, fd, EPOLLOUT | EPOLLET, 7));
	for (int i = 0; i < 3; i++) {
		T(sendto(fd, "x", 1, 0, TO(PEER, UDP_MUTE)));
		T(epoll_wait(ep, &ev, 1, SHORT));
	}
}

/* --- pieces --- */

/* Past the relay, while the association is being made. */
CASE_ATTR(pieces_beside, SLOW)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = udp(SOCK_NONBLOCK), near = udp(0);
	socklen_t len = sizeof(here);

	MUST(bind(near, (void *)&here, len));
	MUST(getsockname(near, (void *)&here, &len));
	T(sendto(fd, "first", 5, 0, TO(PEER, ECHO)));
	T(sendto(fd, "one ", 4, MSG_MORE, (void *)&here, len));
	T(sendto(fd, "two ", 4, MSG_MORE, (void *)&here, len));
	T(send(fd, "three", 5, 0));
	T(sendto(fd, "last", 4, 0, TO(PEER, ECHO)));
	show_from(near, 100, 0);
}

/* --- segments --- */

CASE(segments_shut)
{
	static const char large[1000];
	int fd = udp(0), size = 3;

	T(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, large, sizeof(large), 0));
	T(shutdown(fd, SHUT_WR));
	T(send(fd, large, sizeof(large), MSG_NOSIGNAL));
	T(send(fd, large, 3, MSG_NOSIGNAL));
}

/* The same, and pieces, while the association is being made. */
CASE_ATTR(shut_slow, SLOW)
{
	static const char large[1000];
	int fd = udp(0), size = 3;

	T(connect(fd, TO(PEER, ECHO)));
	T(shutdown(fd, SHUT_WR));
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	T(send(fd, "one ", 4, MSG_NOSIGNAL | MSG_MORE));
	T(sendto(fd, "x", 1, MSG_NOSIGNAL, TO(PEER, ECHO)));
	T(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	T(send(fd, large, 6, MSG_NOSIGNAL));
	T(send(fd, large, sizeof(large), MSG_NOSIGNAL));
	show_quiet(fd);
}

/* --- streams in threads --- */

static volatile int right;

static void *talk(void *arg)
{
	bool late = (intptr_t)arg & 1;
	int fd = udp(0);
	FILE *in = late ? fdopen(dup(fd), "r") : NULL, *out;
	char line[100], want[100];

	MUST(connect(fd, TO(PEER, ECHO)));
	in = in ?: fdopen(dup(fd), "r");
	out = fdopen(fd, "w");
	for (int i = 0; i < 4; i++) {
		snprintf(want, sizeof(want), "%d of %d\n", i, (int)(intptr_t)arg);
		fputs(want, out);
		fflush(out);
		if (!fgets(line, sizeof(line), in))
			say("%d: %s", i, err_name(errno));
		else if (strcmp(line, want) == 0)
			__sync_fetch_and_add(&right, 1);
		else
			say("%s", line);
	}
	fclose(in);
	fclose(out);
	return NULL;
}

static void streams(void)
{
	pthread_t t[12];

	for (int i = 0; i < 12; i++)
		t[i] = thread(talk, (void *)(intptr_t)i);
	for (int i = 0; i < 12; i++)
		join(t[i]);
	say("right: %d", right);
}

CASE_FAMILIES(streams) { streams(); }
CASE_ATTR(streams_slow, SLOW) { streams(); }

/* --- closed while another thread waits --- */

static void *poll_short(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	poll(&p, 1, quarters(3));
	return NULL;
}

static void closing(bool others_number)
{
	pthread_t t[8];
	int fds[8], spare;

	for (int i = 0; i < 8; i++) {
		fds[i] = udp(SOCK_NONBLOCK);
		t[i] = thread(poll_short, &fds[i]);
	}
	nap(1);
	for (int i = 0; i < 8; i++) {
		give(fds[i], PEER, UDP_MUTE, "x");
		if (others_number) {
			spare = udp(0);
			MUST(dup2(spare, fds[i]));
			close(spare);
		} else {
			close(fds[i]);
		}
	}
	for (int i = 0; i < 8; i++)
		join(t[i]);
	fds[0] = others_number ? fds[0] : udp(0);
	echo_from(fds[0], PEER, ECHO, "after");
	show_quiet(fds[0]);
}

CASE_ATTR(closed, SLOW) { closing(false); }
CASE_ATTR(replaced, SLOW) { closing(true); }

/* --- many, one after the other --- */

CASE_ATTR(short_ones, "slow alone")
{
	int failed = 0, fd, first = dup(0), last;

	close(first);
	for (int i = 0; i < 5000; i++) {
		fd = udp(i & 1 ? SOCK_NONBLOCK : 0);
		failed += sendto(fd, "x", 1, 0, TO(PEER, UDP_MUTE)) != 1;
		failed += close(fd) != 0;
	}
	last = dup(0);
	say("failed: %d; a number as before: %d", failed, last == first);
	close(last);
	fd = udp(0);
	echo_from(fd, PEER, ECHO, "after");
}

/* --- a sandbox --- */

/* From now on the process ends where one of these is called, which a program with datagrams may have no use for. */
static void sandbox(void)
{
	static const struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmmsg, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { .len = 5, .filter = (struct sock_filter *)program };

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

static void sandboxed(void)
{
	int fds[2] = { udp(SOCK_NONBLOCK), udp(SOCK_NONBLOCK) }, ep = epoll_create1(0);
	struct epoll_event ev;
	pthread_t t;

	sandbox();
	MUST(add_epoll(ep, fds[0], EPOLLIN, 7));
	t = thread(poll_thread, &fds[1]);
	nap(1);
	T(sendto(fds[0], "one", 3, 0, TO(PEER, ECHO)));
	T(epoll_wait(ep, &ev, 1, CALM));
	show_from(fds[0], 100, 0);
	T(sendto(fds[1], "two", 3, 0, TO(PEER, ECHO)));
	join(t);
	show_from(fds[1], 100, 0);
	T(connect(fds[1], TO(PEER, ECHO)));
	echo_from(fds[1], PEER, ECHO, "three");
}

CASE(sandboxed) { sandboxed(); }
CASE_ATTR(sandboxed_slow, SLOW) { sandboxed(); }

/* --- processes --- */

/* The last that a closed socket sent arrives, whoever else is there by then. */
static void sent_and_closed(int fd, const struct sockaddr *peer, socklen_t len)
{
	MUST(sendto(fd, "x", 1, 0, peer, len));
	close(fd);
}

CASE_FAMILIES(processes)
{
	char *const args[] = { "true", NULL };
	int fd = udp(0), status = -1;
	pid_t pid;

	echo_from(fd, PEER, ECHO, "one");
	sent_and_closed(udp(0), TO(PEER, UDP_MUTE));
	nap(2);
	give(fd, PEER, ECHO, "two");
	if ((pid = vfork()) == 0) {
		close(fd);
		_exit(3);
	}
	expect_exit(pid);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	give(fd, PEER, ECHO, "three");
	T(posix_spawnp(&pid, "true", NULL, NULL, args, environ));
	expect_exit(pid);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	give(fd, PEER, ECHO, "four");
	T(system("exit 4"));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	if ((pid = fork()) == 0) {
		give(fd, PEER, ECHO, "five");
		exit(5);
	}
	expect_exit(pid);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	if ((pid = fork()) == 0) {
		close(fd);
		fd = udp(0);
		echo_from(fd, PEER, ECHO, "six");
		give(fd, PEER, UDP_MUTE, "x");
		execlp("true", "true", NULL);
	}
	expect_exit(pid);
	if ((pid = fork()) == 0) {
		sent_and_closed(fd, TO(PEER, ECHO));
		_exit(6);
	}
	T(waitpid(pid, &status, 0) == pid);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
}

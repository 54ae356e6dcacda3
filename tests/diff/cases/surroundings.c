/* SPDX-License-Identifier: MIT */
/* The same in unusual surroundings: few descriptors, another root, user or process number, before main and after it, out of a handler. */
#include "../case.h"

#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void complete(int fd) { show_poll(fd, POLLIN | POLLOUT, 0); show_poll(fd, POLLIN | POLLOUT, LONG); show_so_error(fd); show_peer(fd); show_name(fd); show_echo(fd); }
static void both_ways(void)
{
	int fd = sock(0);

	T(connect(fd, TO(PEER, ECHO)));
	show_peer(fd);
	show_echo(fd);
	complete(pending(PEER, ECHO));
	fd = sock(0);
	T(connect(fd, TO(PEER, REFUSED)));
}

static void in_child(void (*fn)(void))
{
	pid_t pid = (pid_t)MUST(fork());

	if (!pid) {
		fn();
		_exit(0);
	}
	expect_exit(pid);
}

/* --- descriptors --- */

static int use_up(void)
{
	struct rlimit r = { 40, 40 };
	int last = -1, fd;

	MUST(setrlimit(RLIMIT_NOFILE, &r));
	while ((fd = dup(0)) >= 0)
		last = fd;
	return last;
}

static void *wait_out(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLOUT };

	return (void *)(long)(poll(&p, 1, LONG) == 1 && p.revents == POLLOUT);
}

static void told_out(pthread_t t)
{
	void *out;

	pthread_join(t, &out);
	say("the thread saw OUT: %d", out != NULL);
}

CASE(no_descriptor_left)
{
	int ep = epoll_create1(0), fd = sock(SOCK_NONBLOCK);
	pthread_t t;

	T(add_epoll(ep, fd, EPOLLOUT | EPOLLET, 1));
	use_up();
	T(socket(AF_INET, SOCK_STREAM, 0));
	T(connect(fd, TO(PEER, ECHO)));
	T(dup(fd));
	t = thread(wait_out, &fd);
	show_epoll(ep, LONG);
	told_out(t);
	complete(fd);
	T(dup(fd));
}

CASE(last_descriptor)
{
	int last = use_up(), fd;

	close(last);
	fd = sock(0);
	say("%d", fd == last);
	T(connect(fd, TO(PEER, ECHO)));
	T(socket(AF_INET, SOCK_STREAM, 0));
	show_echo(fd);
}

/* A descriptor that another thread opens while one waits gets the lowest number that is free. */
CASE(numbers_while_waiting)
{
	int fd = pending(PEER, ECHO);
	pthread_t t = thread(wait_out, &fd);
	int a, b;

	nap(1);
	a = dup(0);
	b = dup(0);
	say("%d %d", a - fd, b - fd);
	told_out(t);
	say("%d", dup(0) - fd);
}

/* --- root, user, process --- */

static char root[] = "/tmp/tsproxy-diff-root-XXXXXX";

static void elsewhere(void)
{
	MUST(chroot(root));
	MUST(chdir("/"));
	both_ways();
}
CASE(other_root) { if (!mkdtemp(root)) fail("mkdtemp"); in_child(elsewhere); rmdir(root); }

static void nobody(void)
{
	MUST(setgroups(0, NULL));
	MUST(setresgid(65534, 65534, 65534));
	MUST(setresuid(65534, 65534, 65534));
	both_ways();
}
CASE(other_user) { in_child(nobody); }

static void first_process(void)
{
	MUST(unshare(CLONE_NEWPID));
	in_child(both_ways);
}
CASE(first_process_of_a_namespace) { in_child(first_process); }

static void no_new_rights(void) { MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); MUST(prctl(PR_SET_DUMPABLE, 0)); both_ways(); }
CASE(not_dumpable) { in_child(no_new_rights); }

/* --- before main and after it --- */

static int early = -1, early_result, early_errno;
__attribute__((constructor(101))) static void before_main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(ECHO), .sin_addr.s_addr = htonl(0x64400002) };

	if (argc != 2 || strcmp(argv[1], "before_main") != 0)
		return;
	early = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	early_result = connect(early, (struct sockaddr *)&to, sizeof(to));
	early_errno = errno;
}

CASE(before_main)
{
	say("%d %s", early_result, early_errno == EINPROGRESS ? "EINPROGRESS" : "other");
	nap(6);
	complete(early);
}

static int late = -1;
static void after_main(void) { say("atexit"); both_ways(); complete(late); }
__attribute__((destructor)) static void at_the_end(void)
{
	if (late >= 0) {
		say("destructor");
		show_peer(late);
		show_echo(late);
		complete(pending(PEER, ECHO));
	}
}
CASE(after_main) { MUST(atexit(after_main)); late = pending(PEER, ECHO); }

/* --- out of a blocking connect --- */

static sigjmp_buf out;
static void jump(int sig) { (void)sig; siglongjmp(out, 1); }

static int jumped(int flags, int port)
{
	struct sigaction sa = { .sa_handler = jump, .sa_flags = flags };
	int fd = sock(0);

	sigaction(SIGUSR1, &sa, NULL);
	signal_after(2, SIGUSR1);
	if (sigsetjmp(out, 1) == 0) {
		T(connect(fd, TO(PEER, port)));
		say("not reached");
	}
	return fd;
}

CASE(jump_out_then_poll) { complete(jumped(0, ECHO)); }
CASE(jump_out_then_connect) { int fd = jumped(SA_RESTART, ECHO); T(connect(fd, TO(PEER, ECHO))); T(connect(fd, TO(PEER, ECHO))); show_echo(fd); }
CASE(jump_out_then_send) { int fd = jumped(0, ECHO); T(send(fd, "x", 1, MSG_NOSIGNAL)); show_read(fd, 1, 0); }
CASE(jump_out_refused) { int fd = jumped(0, REFUSED); show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG); show_so_error(fd); T(connect(fd, TO(PEER, ECHO))); show_echo(fd); }
CASE(jump_out_then_close) { int fd = jumped(0, ECHO), next; close(fd); next = sock(0); say("%d", next == fd); T(connect(next, TO(PEER, ECHO))); show_echo(next); }

CASE(jump_out_of_waits)
{
	struct sigaction sa = { .sa_handler = jump };
	int fd = pending(PEER, ECHO), ep = epoll_create1(0), before = dup(0);

	close(before);
	sigaction(SIGUSR1, &sa, NULL);
	T(add_epoll(ep, fd, EPOLLOUT | EPOLLET, 1));
	signal_after(1, SIGUSR1);
	if (sigsetjmp(out, 1) == 0)
		show_poll(fd, POLLOUT, LONG);
	signal_after(1, SIGUSR1);
	if (sigsetjmp(out, 1) == 0)
		show_epoll(ep, LONG);
	show_poll(fd, POLLOUT, 0);
	show_epoll(ep, LONG);
	show_echo(fd);
}

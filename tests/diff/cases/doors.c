/* SPDX-License-Identifier: MIT */
/* The less known ways to a socket: libc's other names for its functions, calls with flags, and what does things inside libc. */
#include "udp_case.h"

#include <dlfcn.h>
#include <sched.h>
#include <sys/syscall.h>

extern int __connect(int fd, const struct sockaddr *addr, socklen_t len);
extern ssize_t __read(int fd, void *buf, size_t len);
extern ssize_t __write(int fd, const void *buf, size_t len);
extern ssize_t __send(int fd, const void *buf, size_t len, int flags) __attribute__((weak));	/* not on every machine */
extern int __poll(struct pollfd *fds, nfds_t n, int timeout);
extern int __select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout);
extern int __close(int fd);
extern int __dup2(int fd, int to);
extern int __fcntl(int fd, int cmd, ...);
extern pid_t __fork(void);
extern int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
extern FILE *_IO_fdopen(int fd, const char *mode);
extern int _IO_fflush(FILE *f);
extern int _IO_fclose(FILE *f);
/* <pty.h> and <utmp.h> bring a macro ECHO. */
extern int openpty(int *master, int *slave, char *name, const void *termios, const void *size);
extern int forkpty(int *master, char *name, const void *termios, const void *size);
extern int login_tty(int fd);

#define SEND(fd, words) ((__send ? __send : send)(fd, words, strlen(words), 0))
#define MOVED 50	/* a number that nothing else has */

static char bytes[64];
static const struct iovec two[2] = { { bytes, 10 }, { bytes + 10, 54 } }, words[2] = { { "ab", 2 }, { "cd", 2 } };

static void finish(int fd)
{
	wait_connected(fd);
	show_so_error(fd);
	show_peer(fd);
	show_echo(fd);
}

CASE_FAMILIES(other_names)
{
	int fd = sock(SOCK_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	struct timeval none = { 0, 0 };
	fd_set set;

	T(__connect(fd, TO(PEER, ECHO)));
	T(__read(fd, bytes, sizeof(bytes)));
	T(__write(fd, "ab", 2));
	T(SEND(fd, "ab"));
	T(__poll(&p, 1, 0));
	FD_ZERO(&set);
	FD_SET(fd, &set);
	T(__select(fd + 1, NULL, &set, NULL, &none));
	T(__dup2(fd, MOVED));
	T(__close(fd));
	T(__fcntl(MOVED, F_DUPFD, fd) == fd);
	finish(fd);
	T(__write(MOVED, "more", 4));
	p = (struct pollfd){ .fd = MOVED, .events = POLLIN };
	T(__poll(&p, 1, -1));
	T(__read(MOVED, bytes, sizeof(bytes)));
}

CASE(other_names_refused)
{
	int fd = sock(0);

	T(__connect(fd, TO(PEER, REFUSED)));
	show_so_error(fd);
}

/* Each number is another socket's afterwards. */
CASE(closed_by_another_name)
{
	int fd = pending(PEER, ECHO), out;

	MUST(dup2(1, MOVED));
	MUST(dup2(MOVED, fd));
	T(__dup2(fd, MOVED));
	T(__close(fd));
	out = udp(0);
	T(out == fd);
	MUST(connect(out, TO(PEER, ECHO)));
	T(SEND(out, "word"));
	T(__read(out, bytes, sizeof(bytes)));
	T(__close(out));
	T(dup2(1, out) == out);
	T(__write(out, "written\n", 8));
}

CASE(streams)
{
	int fd = sock(SOCK_NONBLOCK);
	FILE *f = _IO_fdopen(fd, "r+");

	setvbuf(f, NULL, _IOFBF, 100);
	T(connect(fd, TO(PEER, ECHO)));
	nap(6);
	T(getc(f));
	clearerr(f);
	wait_connected(fd);
	T(fputs("line\n", f));
	T(_IO_fflush(f));
	await(fd);
	T(getc(f));
	T(_IO_fclose(f));
	T(fcntl(fd, F_GETFD));
}

CASE_FAMILIES(vectors)
{
	int fd = pending(PEER, ECHO);

	T(preadv2(fd, two, 2, -1, 0));
	T(preadv2(fd, two, 2, -1, RWF_NOWAIT));
	T(preadv64v2(fd, two, 2, -1, 0));
	T(preadv2(fd, two, 2, 0, 0));
	T(preadv2(fd, two, 2, -2, 0));
	T(preadv2(fd, nowhere, 2, -1, 0));
	T(preadv(fd, two, 2, 0));
	T(preadv(fd, two, 2, -1));
	T(pread(fd, bytes, 1, 0));
	T(pwritev2(fd, words, 2, -1, 0));
	T(pwritev2(fd, words, 2, -1, RWF_NOWAIT));
	T(pwritev64v2(fd, words, 2, -1, 0));
	T(pwritev2(fd, words, 2, 0, 0));
	T(pwritev2(fd, nowhere, 2, -1, 0));
	T(pwritev(fd, words, 2, 0));
	T(pwrite(fd, "ab", 2, 0));
	finish(fd);
	T(pwritev2(fd, words, 2, -1, 0));
	await(fd);
	T(preadv2(fd, two, 2, -1, RWF_NOWAIT));
	T(preadv2(fd, two, 2, -1, 0));
}

CASE(vectors_by_number)
{
	int fd = pending(PEER, ECHO);

	T(syscall(SYS_preadv2, fd, two, 2, -1l, -1l, 0));
	T(syscall(SYS_pwritev2, fd, words, 2, -1l, -1l, 0));
	T(syscall(SYS_preadv2, fd, two, 2, 0l, 0l, 0));
	finish(fd);
	T(syscall(SYS_pwritev2, fd, words, 2, -1l, -1l, 0));
	await(fd);
	T(syscall(SYS_preadv2, fd, two, 2, -1l, -1l, RWF_NOWAIT));
}

static void *connect_it(void *arg)
{
	MUST(connect(*(int *)arg, TO(PEER, ECHO)));
	return NULL;
}

/* They wait for the connection, as read and write do. */
CASE(vectors_wait)
{
	int fd = sock(0);
	pthread_t t = thread(connect_it, &fd);
	int64_t t0 = now_ms();

	nap(1);
	T(preadv2(fd, two, 2, -1, RWF_NOWAIT));
	T(pwritev2(fd, words, 2, -1, RWF_NOWAIT));
	T(pwritev2(fd, words, 2, -1, 0));
	T(preadv2(fd, two, 2, -1, 0));
	join(t);
	say_span("echo", t0, 6, 11);
}

CASE(vectors_refused)
{
	int fd = pending(PEER, REFUSED);
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	poll(&p, 1, -1);
	T(preadv2(fd, two, 2, -1, 0));
	T(preadv2(fd, two, 2, -1, 0));
}

CASE_FAMILIES(datagrams)
{
	int fd = udp(0);

	T(__connect(fd, TO(PEER, ECHO)));
	T(SEND(fd, "ab"));
	T(__read(fd, bytes, sizeof(bytes)));
	T(pwritev2(fd, words, 2, -1, 0));
	await(fd);
	T(preadv2(fd, two, 2, -1, RWF_NOWAIT));
	T(preadv2(fd, two, 2, -1, RWF_NOWAIT));
	T(pwritev64v2(fd, words, 2, -1, RWF_NOWAIT));
	T(preadv64v2(fd, two, 1, -1, 0));
	say("%.4s", bytes);
	T(preadv2(fd, two, 2, 0, 0));
	T(pwritev2(fd, words, 2, 0, 0));
	T(preadv2(fd, two, 2, -1, 0x40000000));
	T(pwritev2(fd, words, 2, -1, 0x40000000));
	T(preadv(fd, two, 2, 0));
	T(pwritev(fd, words, 2, 0));
	show_quiet(fd);
}

/* --- processes --- */

static int connect_there(void *arg)
{
	T(connect(*(int *)arg, TO(PEER, ECHO)));
	return 0;
}

static void parent_goes_on(int fd, pid_t pid)
{
	expect_exit(pid);
	show_poll(fd, POLLIN | POLLOUT, LONG);
	show_so_error(fd);
	show_peer(fd);
	show_echo(fd);
}

static void child_connects(pid_t (*fork_it)(void))
{
	int fd = sock(SOCK_NONBLOCK);
	pid_t pid = fork_it();

	if (!pid)
		_exit(connect_there(&fd));
	parent_goes_on(fd, pid);
}

CASE(child_of_fork) { child_connects(__fork); }
CASE(child_of_clone)
{
	static char stack[65536] __attribute__((aligned(16)));
	int fd = sock(SOCK_NONBLOCK);

	parent_goes_on(fd, (pid_t)MUST(clone(connect_there, stack + sizeof(stack), SIGCHLD, &fd)));
	fd = sock(SOCK_NONBLOCK);
	parent_goes_on(fd, (pid_t)MUST(__clone(connect_there, stack + sizeof(stack), SIGCHLD, &fd)));
}

/* clone's other arguments arrive. */
static int has_id(void *arg) { return *(pid_t *)arg == getpid() ? 0 : 9; }
CASE(clone_arguments)
{
	static char stack[65536] __attribute__((aligned(16)));
	static pid_t in_parent, in_child;
	pid_t pid = (pid_t)MUST(clone(has_id, stack + sizeof(stack), SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, &in_child,
				      &in_parent, NULL, &in_child));

	say("%d", in_parent == pid);
	expect_exit(pid);
	pid = (pid_t)MUST(clone(has_id, stack + sizeof(stack), SIGCHLD | CLONE_VM | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, &in_child,
				NULL, NULL, &in_child));
	expect_exit(pid);
	say("%d", in_child);
}

CASE(child_of__Fork)
{
	pid_t (*fork_it)(void) = (pid_t (*)(void))dlsym(RTLD_DEFAULT, "_Fork");

	child_connects(fork_it ? fork_it : fork);	/* glibc 2.34 */
}

/* --- libc replaces the standard descriptors by itself --- */

/* A datagram socket of the tailnet's as descriptors 0 to 2. */
static void make_standard(void)
{
	int fd = udp(0);

	MUST(dup2(1, MOVED));
	MUST(connect(fd, TO(PEER, ECHO)));
	MUST(send(fd, "word", 4, 0));
	for (int i = 0; i < 3; i++)
		MUST(dup2(fd, i));
	close(fd);
}

static void show_standard(void)
{
	char line[100];
	int n = snprintf(line, sizeof(line), "0 is %s a terminal, 2 says %zd\n", isatty(0) ? "" : "not", write(2, "", 1));
	ssize_t r = read(0, line + n, 1);

	n += snprintf(line + n, sizeof(line) - (size_t)n, "read %zd %s\n", r, r < 0 ? err_name(errno) : "");
	MUST(write(MOVED, line, (size_t)n));
}

CASE(daemon)
{
	int status, p[2];
	pid_t pid;

	MUST(pipe(p));
	pid = fork();
	if (pid) {
		close(p[1]);
		waitpid(pid, &status, 0);
		MUST(read(p[0], bytes, 1) + 1);	/* until the daemon has ended */
		return;
	}
	make_standard();
	if (daemon(1, 0) == 0)
		show_standard();
	_exit(0);
}

CASE(terminal)
{
	int master;
	pid_t pid;

	make_standard();
	pid = forkpty(&master, NULL, NULL, NULL);
	if (!pid) {
		fcntl(0, F_SETFL, O_NONBLOCK);
		show_standard();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

CASE(login)
{
	int master, slave;
	pid_t pid;

	make_standard();
	MUST(openpty(&master, &slave, NULL, NULL, NULL));
	pid = fork();
	if (!pid) {
		MUST(login_tty(slave));
		fcntl(0, F_SETFL, O_NONBLOCK);
		show_standard();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

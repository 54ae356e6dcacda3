/* SPDX-License-Identifier: MIT */
/*
 * hooks MODE [NUMBERS]: calls every function of hooks.def (one CASE each) on descriptors, addresses and names that are not the tailnet's.
 * tests/silent/run compares the system calls that this makes without and with the library; where a case begins, a write to descriptor -1
 * names it.
 *
 * MODE: plain; stack (each case's bytes of stack are told instead); small (the cases that live on the smallest stacks are told); threads
 * (another thread sleeps meanwhile); forked (what a child does with its parent's descriptors); exec (with those of the program before this
 * one); or one of the ways into a sandbox (sandbox.h), where whatever the library does by itself is fatal.
 */
#include <aio.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <resolv.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "sandbox.h"
#include "subjects.h"

/* Not declared: what only fortified programs call, and old names. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *addr, socklen_t *addr_len);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size);
int __dprintf_chk(int fd, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list ap);
int __connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t __read(int fd, void *to, size_t len);
ssize_t __write(int fd, const void *from, size_t len);
ssize_t __send(int fd, const void *from, size_t len, int flags);
int __sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __poll(struct pollfd *fds, nfds_t n, int timeout);
int __select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout);
int __close(int fd);
int __dup2(int fd, int to);
int __fcntl(int fd, int cmd, ...);
pid_t __fork(void);
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
FILE *_IO_fdopen(int fd, const char *mode);
int _IO_fflush(FILE *f);
int _IO_fclose(FILE *f);
FILE *_IO_popen(const char *command, const char *type);
void __backtrace_symbols_fd(void *const *frames, int n, int fd);

extern char **environ;

struct test {
	const char *names;	/* of the hooks */
	void (*run)(void);
};

#define CASE(id, ...) \
	static void id(void); \
	static const struct test test_##id __attribute__((section("cases"), used)) = { #__VA_ARGS__, id }; \
	static void id(void)

extern const struct test __start_cases[], __stop_cases[];

static char buf[256];
static struct iovec iov = { buf, sizeof(buf) };
static const struct timespec at_once;

/* --- reading --- */

CASE(reading, read, __read_chk, readv, preadv2, recv, __recv_chk)
{
	EACH(s) {
		if (strcmp(s->kind, "epoll") == 0)
			continue;
		read(s->fd, buf, sizeof(buf));
		__read_chk(s->fd, buf, sizeof(buf), sizeof(buf));
		readv(s->fd, &iov, 1);
		preadv2(s->fd, &iov, 1, -1, 0);
		preadv2(s->fd, &iov, 1, 0, 0);
		recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
		recv(s->fd, buf, sizeof(buf), MSG_PEEK);
		__recv_chk(s->fd, buf, sizeof(buf), sizeof(buf), 0);
	}
}

CASE(receiving, recvfrom, __recvfrom_chk, recvmsg, recvmmsg)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(64)]; } control;

	EACH_SOCKET(s) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
				    .msg_control = &control, .msg_controllen = sizeof(control) };
		struct mmsghdr many[2] = { { .msg_hdr = m }, { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } } };

		recvfrom(s->fd, buf, sizeof(buf), 0, (void *)&from, &len);
		recvfrom(s->fd, buf, sizeof(buf), 0, NULL, NULL);
		__recvfrom_chk(s->fd, buf, sizeof(buf), sizeof(buf), MSG_DONTWAIT, (void *)&from, &len);
		recvmsg(s->fd, &m, 0);
		recvmsg(s->fd, &many[1].msg_hdr, 0);
		recvmmsg(s->fd, many, 2, MSG_DONTWAIT, NULL);
	}
}

/* --- writing --- */

CASE(writing, write, writev, pwritev2, send)
{
	struct iovec few = { "ab", 2 };

	EACH(s) {
		write(s->fd, "abcdefgh", 8);
		writev(s->fd, &few, 1);
		pwritev2(s->fd, &few, 1, -1, 0);
		send(s->fd, "ab", 2, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

CASE(sending, sendto, sendmsg, sendmmsg)
{
	struct iovec few = { "ab", 2 };
	struct sockaddr_un nowhere = { .sun_family = AF_UNIX, .sun_path = "/nowhere" };
	struct { struct sockaddr *sa; socklen_t len; } to[] = {
		{ NULL, 0 }, { (void *)&udp_here, sizeof(udp_here) }, { (void *)&udp6_here, sizeof(udp6_here) },
		{ (void *)&nowhere, sizeof(nowhere) },
	};
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } c = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };

	EACH_SOCKET(s)
		for (unsigned i = 0; i < sizeof(to) / sizeof(*to); i++) {
			struct msghdr m = { .msg_name = to[i].sa, .msg_namelen = to[i].len, .msg_iov = &few, .msg_iovlen = 1 };
			struct mmsghdr many[2] = { { .msg_hdr = m }, { .msg_hdr = m } };

			sendto(s->fd, "ab", 2, MSG_NOSIGNAL, to[i].sa, to[i].len);
			sendmsg(s->fd, &m, MSG_NOSIGNAL);
			sendmmsg(s->fd, many, 2, MSG_NOSIGNAL | MSG_DONTWAIT);
		}
	EACH(s) {
		char space[2] = "ab";
		struct iovec two = { space, 2 };
		struct msghdr m = { .msg_iov = &two, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
		int sv[2], got;

		memcpy(CMSG_DATA(&c.h), &s->fd, sizeof(int));
		MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
		MUST(sendmsg(sv[0], &m, MSG_NOSIGNAL));
		MUST(recvmsg(sv[1], &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
		memcpy(&got, CMSG_DATA(&c.h), sizeof(int));
		close(got);
		close(sv[0]);
		close(sv[1]);
	}
}

CASE(copying, sendfile, sendfile64, splice)
{
	int file = MUST(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)), p[2];
	off_t at = 0;
	off64_t at64 = 0;

	MUST(write(file, "abcd", 4));
	MUST(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	EACH(s) {
		sendfile(s->fd, file, &at, 1);
		sendfile64(s->fd, file, &at64, 1);
		at = at64 = 0;
		splice(s->fd, NULL, p[1], NULL, 10, SPLICE_F_NONBLOCK);
		splice(p[0], NULL, s->fd, NULL, 10, SPLICE_F_NONBLOCK);
	}
	close(file);
	close(p[0]);
	close(p[1]);
}

/* --- sockets --- */

CASE(connecting, socket, connect, bind, listen)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "/nowhere" };
	struct sockaddr_in any = { .sin_family = AF_INET }, closed = { .sin_family = AF_INET, .sin_port = htons(1) };
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	int fd = fresh_tcp();

	closed.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(fd, (void *)&any, sizeof(any));
	listen(fd, 5);
	close(fd);
	fd = fresh_tcp();
	connect(fd, (void *)&tcp_here, sizeof(tcp_here));
	connect(fd, (void *)&tcp_here, sizeof(tcp_here));
	connect(fd, &unspec, sizeof(unspec));
	connect(fd, (void *)&closed, sizeof(closed));
	close(fd);
	fd = MUST(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
	connect(fd, (void *)&tcp6_here, sizeof(tcp6_here));
	close(fd);
	fd = fresh_unix();
	connect(fd, (void *)&name, sizeof(name));
	bind(fd, (void *)&name, 2);
	close(fd);
	fd = fresh_udp();
	connect(fd, (void *)&udp_here, sizeof(udp_here));
	connect(fd, &unspec, sizeof(unspec));
	connect(fd, (void *)&udp_here, sizeof(udp_here));
	send(fd, "ab", 2, 0);
	close(fd);
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	connect(fd, (void *)&udp_here, sizeof(udp_here));
	close(fd);
	EACH(s)
		if (!s->stream || strcmp(s->kind, "TCP unconnected") == 0)
			connect(s->fd, s->datagram ? (void *)&udp_here : (void *)&tcp_here, sizeof(tcp_here));
}

CASE(naming, getpeername, getsockname)
{
	EACH(s)
		for (int i = 0; i < 2; i++) {
			struct sockaddr_storage sa;
			socklen_t len = sizeof(sa);

			getpeername(s->fd, (void *)&sa, &len);
			len = 4;
			getpeername(s->fd, (void *)&sa, &len);
			len = sizeof(sa);
			getsockname(s->fd, (void *)&sa, &len);
			len = 4;
			getsockname(s->fd, (void *)&sa, &len);
		}
}

CASE(options, getsockopt, setsockopt)
{
	static const struct { int level, name; } ask[] = {
		{ SOL_SOCKET, SO_ERROR }, { SOL_SOCKET, SO_TYPE }, { SOL_SOCKET, SO_RCVLOWAT }, { SOL_SOCKET, SO_GET_FILTER },
		{ SOL_SOCKET, SO_LOCK_FILTER }, { SOL_SOCKET, SO_PEEK_OFF }, { IPPROTO_TCP, TCP_INFO }, { IPPROTO_TCP, TCP_FASTOPEN_KEY },
		{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_IPV6, IPV6_V6ONLY }, { IPPROTO_UDP, 103 /* UDP_SEGMENT */ },
		{ IPPROTO_UDP, 104 /* UDP_GRO */ }, { IPPROTO_IP, IP_MTU },
	}, set[] = {
		{ SOL_SOCKET, SO_RCVLOWAT }, { SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_DETACH_FILTER },
		{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_IPV6, IPV6_V6ONLY }, { IPPROTO_UDP, 104 },
	};
	struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, 0xffffffff) };
	struct sock_fprog program = { 1, all };
	int one = 1, fd;

	EACH(s) {
		for (unsigned i = 0; i < sizeof(ask) / sizeof(*ask); i++) {
			socklen_t len = sizeof(buf);

			getsockopt(s->fd, ask[i].level, ask[i].name, buf, &len);
		}
		setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
		for (unsigned i = 0; i < sizeof(set) / sizeof(*set); i++)
			setsockopt(s->fd, set[i].level, set[i].name, &one, sizeof(one));
	}
	fd = fresh_unix();
	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof(one));
	close(fd);
}

CASE(ending, shutdown, ioctl)
{
	int n, sv[2];

	EACH(s)
		ioctl(s->fd, FIONREAD, &n);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	shutdown(sv[0], SHUT_RDWR);
	close(sv[0]);
	close(sv[1]);
	n = fresh_tcp();
	shutdown(n, SHUT_RDWR);
	close(n);
}

/* --- waiting --- */

CASE(polling, poll, ppoll, __poll_chk, __ppoll_chk)
{
	struct pollfd p[SUBJECTS_MAX];

	EACH(s)
		p[s - subjects] = (struct pollfd){ .fd = s->fd, .events = POLLIN | POLLOUT };
	poll(p, (nfds_t)subject_count, 0);
	ppoll(p, (nfds_t)subject_count, &at_once, NULL);
	__poll_chk(p, (nfds_t)subject_count, 0, sizeof(p));
	__ppoll_chk(p, (nfds_t)subject_count, &at_once, NULL, sizeof(p));
}

CASE(selecting, select, pselect)
{
	struct timeval none = { 0 };
	fd_set r, w;

	for (int i = 0; i < 2; i++) {
		FD_ZERO(&r);
		FD_ZERO(&w);
		EACH(s) {
			FD_SET(s->fd, &r);
			FD_SET(s->fd, &w);
		}
		if (i)
			select(FD_SETSIZE, &r, &w, NULL, &none);
		else
			pselect(FD_SETSIZE, &r, &w, NULL, &at_once, NULL);
	}
}

CASE(epolling, epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2)
{
	int ep = MUST(epoll_create1(EPOLL_CLOEXEC)), fd = fresh_tcp(), other = fresh_udp();
	struct epoll_event ev = { .events = EPOLLIN }, got[SUBJECTS_MAX];

	EACH(s) {
		ev.data.fd = s->fd;
		epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &ev);
		epoll_ctl(ep, EPOLL_CTL_MOD, s->fd, &ev);
	}
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
	epoll_ctl(ep, EPOLL_CTL_ADD, other, &ev);
	connect(fd, (void *)&tcp_here, sizeof(tcp_here));
	epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
	epoll_wait(ep, got, SUBJECTS_MAX, 0);
	epoll_pwait(ep, got, SUBJECTS_MAX, 0, NULL);
	epoll_pwait2(ep, got, SUBJECTS_MAX, &at_once, NULL);
	EACH(s)
		epoll_ctl(ep, EPOLL_CTL_DEL, s->fd, NULL);
	epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
	close(other);
	close(ep);
}

/* --- descriptors --- */

CASE(duplicating, dup, dup2, dup3, fcntl, fcntl64, close)
{
	EACH(s) {
		int fresh = fresh_tcp(), fd = dup(s->fd);

		dup2(s->fd, fd);
		dup3(s->fd, fd, O_CLOEXEC);
		dup2(fresh, fd);
		dup2(s->fd, fresh);
		close(fd);
		close(fresh);
		fresh = fresh_udp();
		dup2(s->fd, fresh);
		close(fresh);
		close(fcntl(s->fd, F_DUPFD_CLOEXEC, 500));
		close(fcntl64(s->fd, F_DUPFD, 500));
		fcntl(s->fd, F_GETFL);
		fcntl(s->fd, F_SETFD, FD_CLOEXEC);
	}
	close(-1);
}

CASE(closing, close_range, closefrom)
{
	int first = fcntl(fresh_tcp(), F_DUPFD_CLOEXEC, 700);

	dup2(fresh_udp(), 701);
	close_range((unsigned)first, 1000, 0);
	dup2(fresh_tcp(), 702);
	closefrom(700);
	close_range(700, 800, CLOSE_RANGE_CLOEXEC);
}

CASE(numbers, syscall)
{
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other;
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	syscall(SYS_connect, fd, &tcp_here, sizeof(tcp_here));
	syscall(SYS_getpeername, fd, &sa, &len);
	syscall(SYS_getsockname, fd, &sa, &len);
	syscall(SYS_write, fd, "ab", 2);
	syscall(SYS_recvfrom, fd, buf, sizeof(buf), MSG_DONTWAIT, NULL, NULL);
	other = (int)syscall(SYS_dup, fd);
	syscall(SYS_close, other);
	syscall(SYS_close, fd);
	syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0);
	syscall(SYS_gettid);
}

/* --- streams --- */

CASE(streams, fdopen, fflush, fflush_unlocked, fclose, freopen, freopen64)
{
	FILE *f;

	EACH(s) {
		f = fdopen(dup(s->fd), "r+");
		if (!f)
			continue;
		fputs("ab", f);
		fflush(f);
		fputs("ab", f);
		fflush_unlocked(f);
		fclose(f);
	}
	f = freopen("/dev/null", "w", fdopen(fresh_tcp(), "w"));
	f = freopen64("/dev/null", "w", f);
	fclose(f);
}

static void va_printers(int fd, ...)
{
	va_list ap;

	va_start(ap, fd);
	vdprintf(fd, "%d", ap);
	va_end(ap);
	va_start(ap, fd);
	__vdprintf_chk(fd, 1, "%d", ap);
	va_end(ap);
}

CASE(printing, dprintf, vdprintf, __dprintf_chk, __vdprintf_chk)
{
	EACH(s) {
		if (strcmp(s->kind, "epoll") == 0)
			continue;
		dprintf(s->fd, "ab");
		__dprintf_chk(s->fd, 1, "ab");
		va_printers(s->fd, 1);
	}
}

/* --- processes --- */

static int await(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int uses_all(void *unused)
{
	(void)unused;
	EACH(s) {
		struct pollfd p = { .fd = s->fd, .events = POLLIN | POLLOUT };

		poll(&p, 1, 0);
		close(s->fd);
	}
	_exit(0);
}

static void forked(pid_t pid)
{
	if (!pid)
		uses_all(NULL);
	await(MUST(pid));
}

CASE(forking, fork, _Fork, clone)
{
	static char stack[65536] __attribute__((aligned(16)));

	forked(fork());
	forked(_Fork());
	await(MUST(clone(uses_all, stack + sizeof(stack), SIGCHLD, NULL)));
}

CASE(terminals, forkpty, login_tty)
{
	int master, slave;
	pid_t pid = MUST(forkpty(&master, NULL, NULL, NULL));

	if (!pid)
		_exit(0);
	await(pid);
	close(master);
	pid = MUST(fork());
	if (!pid) {
		MUST(openpty(&master, &slave, NULL, NULL, NULL));
		login_tty(slave);
		_exit(0);
	}
	await(pid);
}

/* Its child is not waited for, and so ends before anything else is counted: by the end of a pipe. */
CASE(background, daemon)
{
	int p[2];
	pid_t pid;

	MUST(pipe2(p, O_CLOEXEC));
	pid = MUST(fork());
	if (!pid)
		_exit(daemon(1, 0));
	close(p[1]);
	await(pid);
	while (read(p[0], buf, 1) > 0)
		;
	close(p[0]);
}

/* Everybody may call it, and root succeeds. */
CASE(root, chroot)
{
	pid_t pid = MUST(fork());

	if (!pid)
		_exit(chroot("/") != 0 && errno != EPERM);
	await(pid);
}

CASE(tables, unshare)
{
	pid_t pid = MUST(fork());

	if (!pid)
		_exit(unshare(CLONE_FILES) != 0);
	await(pid);
}

#define STARTS(id, name, ...) \
	CASE(id, name) \
	{ \
		pid_t pid = MUST(fork()); \
\
		if (!pid) { \
			name(__VA_ARGS__); \
			_exit(1); \
		} \
		await(pid); \
	}

#define TRUE "/bin/true"
static char *const words[] = { "true", NULL };

STARTS(start_execve, execve, TRUE, words, environ)
STARTS(start_execv, execv, TRUE, words)
STARTS(start_execvp, execvp, TRUE, words)
STARTS(start_execvpe, execvpe, TRUE, words, environ)
STARTS(start_fexecve, fexecve, MUST(open(TRUE, O_RDONLY | O_CLOEXEC)), words, environ)
STARTS(start_execveat, execveat, AT_FDCWD, TRUE, words, environ, 0)
STARTS(start_execl, execl, TRUE, "true", NULL)
STARTS(start_execlp, execlp, TRUE, "true", NULL)
STARTS(start_execle, execle, TRUE, "true", NULL, environ)

CASE(spawning, posix_spawn, posix_spawnp)
{
	pid_t pid;

	posix_spawn(&pid, TRUE, NULL, NULL, words, environ);
	await(pid);
	posix_spawnp(&pid, TRUE, NULL, NULL, words, environ);
	await(pid);
}

CASE(shells, system, popen)
{
	FILE *f;

	if (system("true") == 0 && (f = popen("true", "r")))
		pclose(f);
}

CASE(processes, prctl)
{
	prctl(PR_SET_NAME, "silent");
	prctl(PR_GET_SECCOMP);
	prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, NULL);
}

CASE(loading, dlopen, dlmopen)
{
	void *p = dlopen("libresolv.so.2", RTLD_NOW);

	dlclose(p);
	dlmopen(LM_ID_BASE, "libresolv.so.2", RTLD_NOW);
}

/* --- old names, and what libc does by itself --- */

CASE(old_names, __connect, __read, preadv64v2, __write, pwritev64v2, __send, __sendmmsg, __poll, __select, __close, __dup2, __fcntl)
{
	struct timeval none = { 0 };
	struct mmsghdr none_of_many[1] = { 0 };
	int fd = fresh_tcp();
	struct pollfd p = { .fd = fd };

	__connect(fd, (void *)&tcp_here, sizeof(tcp_here));
	__send(fd, "ab", 2, 0);
	__sendmmsg(fd, none_of_many, 0, 0);
	__read(fd, buf, 1);
	__write(fd, "ab", 2);
	preadv64v2(fd, &iov, 1, -1, 0);
	pwritev64v2(fd, &iov, 1, -1, 0);
	__poll(&p, 1, 0);
	__select(0, NULL, NULL, NULL, &none);
	__dup2(fd, 600);
	__fcntl(fd, F_GETFL);
	__close(600);
	__close(fd);
}

CASE(old_streams, _IO_fdopen, _IO_fflush, _IO_fclose, _IO_popen)
{
	FILE *f = _IO_fdopen(fresh_file(), "r+");

	_IO_fflush(f);
	_IO_fclose(f);
	f = _IO_popen("true", "r");
	if (f)
		pclose(f);
}

CASE(old_forks, __fork, __clone)
{
	static char stack[65536] __attribute__((aligned(16)));

	forked(__fork());
	await(MUST(__clone(uses_all, stack + sizeof(stack), SIGCHLD, NULL)));
}

CASE(aio, aio_read, aio_read64, aio_write, aio_write64, lio_listio, lio_listio64)
{
	struct aiocb one = { .aio_fildes = fresh_file(), .aio_buf = buf, .aio_nbytes = 1, .aio_sigevent.sigev_notify = SIGEV_NONE };
	struct aiocb64 one64 = { .aio_fildes = one.aio_fildes, .aio_buf = buf, .aio_nbytes = 1, .aio_sigevent.sigev_notify = SIGEV_NONE };
	const struct aiocb *list[] = { &one };
	const struct aiocb64 *list64[] = { &one64 };

	one.aio_lio_opcode = one64.aio_lio_opcode = LIO_READ;
	aio_read(&one);
	aio_suspend(list, 1, NULL);
	aio_write(&one);
	aio_suspend(list, 1, NULL);
	aio_read64(&one64);
	aio_suspend64(list64, 1, NULL);
	aio_write64(&one64);
	aio_suspend64(list64, 1, NULL);
	lio_listio(LIO_WAIT, (struct aiocb **)list, 1, NULL);
	lio_listio64(LIO_WAIT, (struct aiocb64 **)list64, 1, NULL);
	close(one.aio_fildes);
}

CASE(traces, backtrace_symbols_fd, __backtrace_symbols_fd)
{
	void *frames[] = { (void *)uses_all };
	int fd = fresh_file();

	backtrace_symbols_fd(frames, 1, fd);
	__backtrace_symbols_fd(frames, 1, fd);
	close(fd);
}

/* --- names of this machine --- */

CASE(local_names, getaddrinfo, freeaddrinfo, gethostbyname, gethostbyname2, gethostbyname_r, gethostbyname2_r)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "::1", "a.localhost" };
	struct hostent h, *r;
	char room[1000];
	int err;

	for (int i = 0; i < 3; i++) {
		struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *res;

		if (getaddrinfo(names[i], "80", &hints, &res) == 0)
			freeaddrinfo(res);
		if (getaddrinfo(names[i], NULL, NULL, &res) == 0)
			freeaddrinfo(res);
		if (getaddrinfo(NULL, "80", &hints, &res) == 0)
			freeaddrinfo(res);
		gethostbyname(names[i]);
		gethostbyname2(names[i], AF_INET6);
		gethostbyname_r(names[i], &h, room, sizeof(room), &r, &err);
		gethostbyname2_r(names[i], AF_INET, &h, room, sizeof(room), &r, &err);
	}
}

CASE(local_addresses, gethostbyaddr, gethostbyaddr_r, getnameinfo)
{
	struct in_addr four = { htonl(INADDR_LOOPBACK) };
	struct hostent h, *r;
	char room[1000];
	int err;

	gethostbyaddr(&four, sizeof(four), AF_INET);
	gethostbyaddr(&in6addr_loopback, sizeof(in6addr_loopback), AF_INET6);
	gethostbyaddr_r(&four, sizeof(four), AF_INET, &h, room, sizeof(room), &r, &err);
	getnameinfo((void *)&tcp_here, sizeof(tcp_here), room, 100, room + 100, 100, 0);
	getnameinfo((void *)&tcp6_here, sizeof(tcp6_here), room, 100, room + 100, 100, NI_NUMERICHOST);
}

CASE(local_async, getaddrinfo_a, gai_suspend, gai_cancel)
{
	struct gaicb one = { .ar_name = "127.0.0.1" }, *list[] = { &one };

	/* Its thread is libc's, and so is the order in which both go on: waiting for it in one call keeps that out of the comparison. */
	getaddrinfo_a(GAI_WAIT, list, 1, NULL);
	gai_suspend((const struct gaicb *const *)list, 1, &at_once);
	gai_cancel(&one);
}

/* --- questions that the map must answer once: tests/silent/run has what they may cost --- */

static unsigned char query[512], reply[1024];

CASE(map_names, getaddrinfo, gethostbyname, res_query, res_search, res_querydomain, res_send, res_nquery, res_nsearch, res_nquerydomain,
     res_nsend, __res_query, __res_search, __res_querydomain, __res_send, __res_nquery, __res_nsearch, __res_nquerydomain, __res_nsend)
{
	static const char name[] = "www.example.com";
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *res;
	int n;

	if (getaddrinfo(name, "80", &hints, &res) == 0)
		freeaddrinfo(res);
	gethostbyname(name);
	res_init();
	res_query(name, 1, 1, reply, sizeof(reply));
	res_search(name, 1, 1, reply, sizeof(reply));
	res_querydomain("www", "example.com", 1, 1, reply, sizeof(reply));
	n = res_mkquery(QUERY, name, 1, 1, NULL, 0, NULL, query, sizeof(query));
	res_send(query, n, reply, sizeof(reply));
	res_nquery(&_res, name, 1, 1, reply, sizeof(reply));
	res_nsearch(&_res, name, 1, 1, reply, sizeof(reply));
	res_nquerydomain(&_res, "www", "example.com", 1, 1, reply, sizeof(reply));
	res_nsend(&_res, query, n, reply, sizeof(reply));
}

/* The machine's name may be a node's. */
CASE(map_machine, gethostid)
{
	gethostid();
}

CASE(map_addresses, connect, sendto, getnameinfo)
{
	struct sockaddr_in lan = { .sin_family = AF_INET, .sin_port = htons(9) };
	int tcp = fresh_tcp(), udp = fresh_udp();
	char room[100];

	inet_pton(AF_INET, "192.0.2.9", &lan.sin_addr);
	for (int i = 0; i < 3; i++) {
		connect(tcp, (void *)&lan, sizeof(lan));
		sendto(udp, "ab", 2, 0, (void *)&lan, sizeof(lan));
		getnameinfo((void *)&lan, sizeof(lan), room, sizeof(room), NULL, 0, NI_NUMERICHOST);
	}
	close(tcp);
	close(udp);
}

/* --- */

/* What strace shows of it tells tests/silent/run which case the calls behind it are of. */
static void mark(const char *what)
{
	char line[600];
	int n = snprintf(line, sizeof(line), "== %s ==", what);

	(void)!write(-1, line, (size_t)n);
}

static void run_all(void)
{
	for (const struct test *t = __start_cases; t < __stop_cases; t++) {
		mark(t->names);
		t->run();
	}
	mark("end");
}

#define STACK_BYTES (1 << 20)
#define PAINT 0xa5

static void *run_test(void *arg)
{
	((const struct test *)arg)->run();
	return NULL;
}

/* How deep each case goes, in a thread with a stack of its own that was painted before. */
static void measure_all(void)
{
	unsigned char *stack = aligned_alloc(4096, STACK_BYTES);
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, STACK_BYTES);
	for (const struct test *t = __start_cases; t < __stop_cases; t++) {
		size_t left = 0;

		memset(stack, PAINT, STACK_BYTES);
		pthread_create(&thread, &attr, run_test, (void *)t);
		pthread_join(thread, NULL);
		while (left < STACK_BYTES && stack[left] == PAINT)
			left++;
		printf("%s: %zu\n", t->names, STACK_BYTES - left);
		fflush(stdout);
	}
}

#define HANDLER_STACK 8192	/* SIGSTKSZ, when it was a constant */

static const struct test *handled;

static void run_handled(int number)
{
	(void)number;
	handled->run();
}

/* On an alternate stack with a page below it that nobody may touch. */
static void in_handler(const struct test *t)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, HANDLER_STACK + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t alternate = { .ss_sp = memory + page, .ss_size = HANDLER_STACK };
	struct sigaction action = { .sa_handler = run_handled, .sa_flags = SA_ONSTACK };

	handled = t;
	MUST(mprotect(memory, page, PROT_NONE));
	MUST(sigaltstack(&alternate, NULL));
	MUST(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
}

static void in_small_thread(const struct test *t)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN);
	pthread_create(&thread, &attr, run_test, (void *)t);
	pthread_join(thread, NULL);
}

/* Each case in a process of its own, which dies where the stack is too small. */
static void try_small(void (*way)(const struct test *), const char *name)
{
	for (const struct test *t = __start_cases; t < __stop_cases; t++) {
		pid_t pid = MUST(fork());

		if (!pid) {
			way(t);
			_exit(0);
		}
		if (await(pid) == 0)
			printf("%s: %s\n", name, t->names);
		fflush(stdout);
	}
}

static void *sleeps(void *arg)
{
	char c;

	(void)!read(*(int *)arg, &c, 1);
	return NULL;
}

static void with_thread(void)
{
	pthread_t t;
	int p[2];

	MUST(pipe2(p, O_CLOEXEC));
	pthread_create(&t, NULL, sleeps, &p[0]);
	run_all();
	close(p[1]);
	pthread_join(t, NULL);
}

static void in_child(void)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		run_all();
		_exit(0);
	}
	await(pid);
}

int main(int argc, char **argv)
{
	const char *mode = argv[1];
	char numbers[1000];

	signal(SIGPIPE, SIG_IGN);
	if (strcmp(mode, "list") == 0) {
		for (const struct test *t = __start_cases; t < __stop_cases; t++)
			puts(t->names);
		return 0;
	}
	mark("setup");
	subjects_make(argv[2]);
	if (strcmp(mode, "plain") == 0)
		run_all();
	else if (strcmp(mode, "stack") == 0)
		measure_all();
	else if (strcmp(mode, "small") == 0) {
		try_small(in_small_thread, "thread");
		try_small(in_handler, "handler");
	} else if (strcmp(mode, "threads") == 0)
		with_thread();
	else if (strcmp(mode, "forked") == 0)
		in_child();
	else if (strcmp(mode, "exec") == 0 && argc == 2) {
		subjects_numbers(numbers, sizeof(numbers));
		execl("/proc/self/exe", argv[0], "plain", numbers, NULL);
	} else if (sandbox_enter(mode)) {
		run_all();
		puts("lives");
	}
	return 0;
}

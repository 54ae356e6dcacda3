/* SPDX-License-Identifier: MIT */
/*
 * Lengths, counts and numbers that are negative, huge or too short, and memory that is not there where the kernel finds that out: each
 * call on a socket in each state, each in a process of its own. Where one dies by a signal, that is what is said.
 */
#include "../case.h"

#include <linux/filter.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wstringop-overflow"

#define PAGE 4096
#define FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

static char *hole;		/* a page that is not there; the one in front of it is */
static char *locked;		/* a page that can only be read */
static int fd;

static void make_pages(void)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	hole = p + PAGE;
	locked = p + 2 * PAGE;
	MUST(mprotect(hole, PAGE, PROT_NONE));
	MUST(mprotect(locked, 2 * PAGE, PROT_READ));
}

/* `n` bytes with nothing behind them. */
static void *edge(size_t n, const void *from)
{
	return from ? memcpy(hole - n, from, n) : hole - n;
}

/* --- names and options --- */

static void names(int (*call)(int, struct sockaddr *, socklen_t *))
{
	static const socklen_t lens[] = { (socklen_t)-1, INT32_MAX, 16, 15, 1, 0 };

	for (int i = 0; i < 6; i++) {
		socklen_t len = lens[i];

		say("length %d", (int)lens[i]);
		T(call(fd, (void *)hole, &len));
		len = lens[i];
		T(call(fd, (void *)locked, &len));
		len = lens[i];
		T(call(fd, edge(16, NULL), &len));
		say("%d", (int)len);
	}
	T(call(fd, NULL, NULL));
}
static void call_getsockname(void) { names(getsockname); }
static void call_getpeername(void) { names(getpeername); }

static void call_connect_bind(void)
{
	static const int lens[] = { 129, -1, INT32_MIN, 1, 0 };

	for (int i = 0; i < 5; i++) {
		say("length %d", lens[i]);
		T(connect(fd, at(PEER, ECHO), (socklen_t)lens[i]));
		T(bind(fd, at(SELF, 0), (socklen_t)lens[i]));
	}
	T(bind(fd, (void *)hole, 16));
	T(bind(fd, edge(8, at(SELF, 0)), 16));
	T(bind(fd, at(PEER, 0), at_len()));
}

static const struct { int level, name; const char *text; } options[] = {
	{ SOL_SOCKET, SO_ERROR, "SO_ERROR" }, { SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT" }, { SOL_SOCKET, SO_TYPE, "SO_TYPE" },
	{ SOL_SOCKET, SO_GET_FILTER, "SO_GET_FILTER" }, { SOL_SOCKET, SO_LOCK_FILTER, "SO_LOCK_FILTER" },
	{ SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF" }, { SOL_SOCKET, SO_RCVTIMEO, "SO_RCVTIMEO" }, { IPPROTO_TCP, TCP_INFO, "TCP_INFO" },
	{ IPPROTO_TCP, TCP_FASTOPEN_KEY, "TCP_FASTOPEN_KEY" }, { IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY" },
	{ IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY" }, { IPPROTO_UDP, UDP_SEGMENT, "UDP_SEGMENT" }, { IPPROTO_UDP, UDP_CORK, "UDP_CORK" },
	{ IPPROTO_IP, IP_RECVERR, "IP_RECVERR" }, { -1, -1, "none" },
};
static const int option_lens[] = { 4, 0, -1, INT32_MIN, 1000, 3, 16, 32 };

static void call_getsockopt(void)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		for (int k = 0; k < 8; k++) {
			int level = options[i].level, name = options[i].name;
			socklen_t len = (socklen_t)option_lens[k];

			say("%s, length %d", options[i].text, option_lens[k]);
			T(getsockopt(fd, level, name, hole, &len));
			len = (socklen_t)option_lens[k];
			T(getsockopt(fd, level, name, locked, &len));
			len = (socklen_t)option_lens[k];
			T(getsockopt(fd, level, name, edge(2, NULL), &len));
			if (i)	/* an error is told once */
				T(getsockopt(fd, level, name, edge(8, NULL), (void *)locked));
			T(getsockopt(fd, level, name, edge(8, NULL), (void *)hole));
		}
}

static void call_setsockopt(void)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		for (int k = 0; k < 8; k++) {
			say("%s, length %d", options[i].text, option_lens[k]);
			T(setsockopt(fd, options[i].level, options[i].name, hole, (socklen_t)option_lens[k]));
			T(setsockopt(fd, options[i].level, options[i].name, edge(2, NULL), (socklen_t)option_lens[k]));
		}
}

static void call_ioctl(void)
{
	static const unsigned long requests[] = { FIONREAD, TIOCOUTQ, FIONBIO, SIOCATMARK, 0x12345678 };

	for (int i = 0; i < 5; i++) {
		say("request %d", i);
		T(ioctl(fd, requests[i], hole));
		T(ioctl(fd, requests[i], locked + PAGE - 2));
		T(ioctl(fd, requests[i], edge(2, NULL)));
	}
	T(ioctl(fd, FIONREAD, locked));
}

/* --- reading and writing --- */

static void call_read(void)
{
	struct iovec piece = { hole, 4 }, long_one = { hole, SIZE_MAX };

	T(read(fd, hole, 4));
	T(read(fd, hole, 0));
	T(read(fd, locked, 8));
	T(readv(fd, (void *)hole, 1));
	T(readv(fd, (void *)hole, 0));
	T(readv(fd, (void *)hole, -1));
	T(readv(fd, (void *)hole, 1025));
	T(readv(fd, edge(8, NULL), 1));
	T(readv(fd, &piece, 1));
	T(readv(fd, &long_one, 1));
	T(readv(fd, edge(sizeof(piece), &piece), 2));
}

static void call_write(void)
{
	struct iovec piece = { hole, 4 }, long_one = { hole, SIZE_MAX };

	T(write(fd, hole, 4));
	T(write(fd, hole, 0));
	T(writev(fd, (void *)hole, 1));
	T(writev(fd, (void *)hole, 0));
	T(writev(fd, (void *)hole, -1));
	T(writev(fd, (void *)hole, 1025));
	T(writev(fd, edge(8, NULL), 1));
	T(writev(fd, &piece, 1));
	T(writev(fd, &long_one, 1));
	T(writev(fd, edge(sizeof(piece), &piece), 2));
}

static void call_recv(void)
{
	socklen_t len = 16;
	char buf[8];

	T(recv(fd, hole, 4, FLAGS));
	T(recv(fd, hole, 0, FLAGS));
	T(recv(fd, locked, SIZE_MAX, FLAGS));
	T(recv(fd, buf, 8, 0x70000000 | FLAGS));
	T(recvfrom(fd, buf, 8, FLAGS, (void *)hole, &len));
	T(recvfrom(fd, buf, 8, FLAGS, NULL, (void *)hole));
}

static void call_send(void)
{
	T(send(fd, hole, 4, FLAGS));
	T(sendto(fd, hole, 4, FLAGS, TO(PEER, ECHO)));
	T(sendto(fd, "x", 1, FLAGS, at(PEER, ECHO), 129));
	T(sendto(fd, "x", 1, FLAGS, at(PEER, ECHO), (socklen_t)-1));
	T(sendto(fd, "x", 1, FLAGS, at(PEER, ECHO), (socklen_t)INT32_MIN));
}

/* --- messages --- */

static struct iovec word = { "x", 1 };

static void pieces(ssize_t (*call)(int, struct msghdr *, int))
{
	struct msghdr m = { .msg_iov = (void *)hole, .msg_iovlen = 1025 };

	T(call(fd, &m, FLAGS));
	m.msg_iovlen = SIZE_MAX;
	T(call(fd, &m, FLAGS));
	m.msg_iov = NULL;
	m.msg_iovlen = 1;
	T(call(fd, &m, FLAGS));
	T(call(fd, NULL, FLAGS));
}
static ssize_t send_message(int s, struct msghdr *m, int flags) { return sendmsg(s, m, flags); }
static void call_sendmsg(void) { pieces(send_message); }

static void call_recvmsg(void)
{
	char buf[8], control[64];
	struct iovec iov = { buf, 8 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = hole, .msg_namelen = 16 };

	pieces(recvmsg);
	T(recvmsg(fd, &m, FLAGS));
	m.msg_namelen = (socklen_t)-1;
	T(recvmsg(fd, &m, FLAGS));
	m.msg_name = NULL;
	m.msg_control = hole;
	m.msg_controllen = 64;
	T(recvmsg(fd, &m, FLAGS));
	m.msg_control = control;
	m.msg_controllen = SIZE_MAX;
	T(recvmsg(fd, &m, FLAGS));
}
/* Not on a socket that datagrams may come to. */
static void call_recvmsg_itself(void) { T(recvmsg(fd, (void *)hole, FLAGS)); T(recvmsg(fd, edge(16, NULL), FLAGS)); }

static void call_control(void)
{
	static const size_t lens[] = { 0, 15, 16, 20, 24, 80, 4096, SIZE_MAX, SIZE_MAX - 7, (size_t)1 << 63, 0x100000010 };
	static const int kinds[4][2] = { { SOL_SOCKET, SCM_RIGHTS }, { IPPROTO_IP, IP_PKTINFO }, { IPPROTO_UDP, UDP_SEGMENT }, { -1, -1 } };
	static const size_t whole[] = { 80, 24, 16, 15, (size_t)INT32_MAX + 1, SIZE_MAX };
	union { struct cmsghdr c; char bytes[80]; } u;

	for (int i = 0; i < 11; i++)
		for (int kind = 0; kind < 4; kind++)
			for (int k = 0; k < 12; k++) {
				struct msghdr m = { .msg_iov = &word, .msg_iovlen = 1, .msg_controllen = whole[k / 2] };

				say("length %zd of %zd, kind %d", (ssize_t)lens[i], (ssize_t)whole[k / 2], kind);
				memset(&u, 0xee, sizeof(u));
				u.c.cmsg_level = kinds[kind][0];
				u.c.cmsg_type = kinds[kind][1];
				u.c.cmsg_len = lens[i];
				m.msg_control = edge(sizeof(u), &u);
				if (k & 1) {
					m.msg_name = (void *)at(PEER, ECHO);
					m.msg_namelen = at_len();
				}
				T(sendmsg(fd, &m, FLAGS));
			}
}

static void call_many(void)
{
	struct mmsghdr m[2] = { { .msg_hdr = { .msg_iov = &word, .msg_iovlen = 1 } }, { .msg_hdr = { .msg_iov = NULL, .msg_iovlen = 1 } } };
	struct timespec negative = { -1, 0 }, long_second = { 0, 2000000000 };

	T(sendmmsg(fd, edge(sizeof(m), m), 2, FLAGS));
	T(sendmmsg(fd, NULL, 1, FLAGS));
	m[0].msg_hdr.msg_name = (void *)at(PEER, ECHO);
	m[0].msg_hdr.msg_namelen = (socklen_t)-1;
	T(sendmmsg(fd, m, 2, FLAGS));
	T(recvmmsg(fd, NULL, 1, FLAGS, NULL));
	T(recvmmsg(fd, m, 2, FLAGS, (void *)hole));
	T(recvmmsg(fd, m, 2, FLAGS, &negative));
	T(recvmmsg(fd, m, 2, FLAGS, &long_second));
}

/* As many as there may be, of which the kernel takes 1,024. */
static void call_too_many(void)
{
	struct mmsghdr *m = mmap(NULL, 2048 * sizeof(*m), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 1024; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &word, .msg_iovlen = 1 };
	m[1100].msg_hdr.msg_name = (void *)hole;
	T(sendmmsg(fd, m, UINT32_MAX, FLAGS));
}

/* --- waiting --- */

static void call_poll(void)
{
	struct pollfd p[3] = { { fd, 0, 0 }, { -1, POLLIN, 0 }, { INT32_MIN, POLLIN, 0 } };
	struct timespec bad = { 0, -1 };

	T(poll(edge(sizeof(p), p), 3, 0));
	T(poll(edge(sizeof(p), p), SIZE_MAX, 0));
	T(poll(edge(sizeof(p), p), (nfds_t)1 << 61, 0));
	T(poll(edge(sizeof(p), p), ((nfds_t)1 << 61) - 1, 0));
	T(poll(edge(sizeof(p), p), 1 << 30, 0));
	T(poll(edge(sizeof(p), p), 5000000, 0));
	T(poll(nowhere, 1, 0));
	T(ppoll(p, 3, &bad, NULL));
}

static void call_select(void)
{
	struct timeval zero = { 0, 0 }, bad = { -1, 0 }, short_second = { 0, -1 };
	fd_set none;

	FD_ZERO(&none);
	T(select(-1, &none, NULL, NULL, &zero));
	T(select(INT32_MIN, &none, NULL, NULL, &zero));
	T(select(0, (void *)hole, NULL, NULL, &zero));
	T(select(1, NULL, NULL, (void *)8, &zero));
	T(select(1, &none, NULL, NULL, &bad));
	T(select(1, &none, NULL, NULL, &short_second));
	T(pselect(1, &none, NULL, NULL, &(struct timespec){ 0, -1 }, NULL));
	T(pselect(-1, &none, NULL, NULL, &(struct timespec){ 0, 0 }, NULL));
}

static void call_epoll_ctl(void)
{
	struct epoll_event ev = { .events = EPOLLOUT };
	int ep = epoll_create1(0);

	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, (void *)hole));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, edge(8, NULL)));
	T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, (void *)hole));
	T(epoll_ctl(ep, 99, fd, &ev));
	T(epoll_ctl(ep, -1, fd, &ev));
	T(epoll_ctl(fd, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_ctl(fd, EPOLL_CTL_ADD, ep, &ev));
	T(epoll_ctl(-1, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_ctl(1 << 30, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_MOD, fd, (void *)hole));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, (void *)hole));
	T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, (void *)hole));
}

static void call_epoll_wait(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0), ends[2];

	MUST(pipe(ends));
	MUST(write(ends[1], "x", 1));
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &ev));
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = 0 });
	for (int timeout = 0; timeout <= 20; timeout += 20) {
		T(epoll_wait(ep, (void *)hole, 1, timeout));
		T(epoll_wait(ep, (void *)locked, 1, timeout));
		T(epoll_wait(ep, &ev, 0, timeout));
		T(epoll_wait(ep, &ev, -1, timeout));
		T(epoll_wait(ep, &ev, INT32_MAX, timeout));
		T(epoll_pwait(ep, &ev, 1, timeout, (void *)hole));
	}
	T(epoll_pwait2(ep, &ev, 1, &(struct timespec){ -1, 0 }, NULL));
	T(epoll_pwait2(ep, &ev, 1, &(struct timespec){ 0, -1 }, NULL));
	T(epoll_pwait2(ep, &ev, 1, &(struct timespec){ 0, 1000000000 }, NULL));
	T(epoll_wait(fd, &ev, 1, 0));
	T(epoll_wait(1 << 30, &ev, 1, 0));
}

/* --- files, numbers, programs --- */

static void call_files(void)
{
	int in = open(case_self, O_RDONLY), ends[2];
	off_t at = -1;
	loff_t off = -1;

	MUST(pipe2(ends, O_NONBLOCK));
	MUST(write(ends[1], "pipe", 4));
	T(sendfile(fd, in, (void *)hole, 10));
	T(sendfile(fd, in, &at, 10));
	T(sendfile(fd, -1, NULL, 10));
	T(sendfile(fd, fd, NULL, 10));
	T(splice(ends[0], NULL, fd, (void *)hole, 4, SPLICE_F_NONBLOCK));
	T(splice(fd, (void *)hole, ends[1], NULL, 4, SPLICE_F_NONBLOCK));
	T(splice(ends[0], &off, fd, NULL, 4, SPLICE_F_NONBLOCK));
	T(splice(fd, NULL, ends[1], NULL, 4, 0xffffffff));
	T(splice(fd, NULL, fd, NULL, 4, SPLICE_F_NONBLOCK));
}

static void call_numbers(void)
{
	T(close(-1));
	T(close(1 << 30));
	T(close(INT32_MIN));
	T(dup(-1));
	T(dup2(fd, -1));
	T(dup2(fd, 1 << 30));
	T(dup2(-1, fd));
	T(dup2(1 << 30, 1 << 30));
	T(dup3(fd, fd, 0));
	T(dup3(fd, 1 << 30, 0));
	T(dup3(fd, 100, -1));
	T(fcntl(fd, F_DUPFD, -1));
	T(fcntl(fd, F_DUPFD, 1 << 30));
	T(fcntl(fd, F_DUPFD, INT32_MIN));
	T(fcntl(fd, 12345, 0));
	T(fcntl(fd, F_GETLK, hole));
	T(fcntl(fd, F_SETLK, hole));
	T(shutdown(fd, -1));
	T(shutdown(fd, 99));
	T(close_range(10, 9, 0));
	T(close_range(1 << 30, ~0u, 0));
	T(close_range(1 << 30, ~0u, 0xffff));
	T(syscall(SYS_close, (long)1 << 40));
	T(syscall(SYS_dup, -1L));
	T(syscall(-1));
	T(syscall(100000));
	show_option(fd, SOL_SOCKET, SO_TYPE, "SO_TYPE");
}

static void call_execve(void)
{
	static char *const args[] = { "x", NULL };

	T(execve(hole, args, args));
	T(execve("/", args, args));
	T(execve(case_self, (void *)hole, args));
	T(execveat(-1, hole, args, args, 0));
	T(execveat(-1, "x", args, args, -1));
	T(fexecve(1 << 30, args, args));
}

/* What is not asked of a connection under way: which of its arguments is wrong, the kernel says there before it says EAGAIN. */
enum { ALWAYS, DECIDED, STREAMS };
#define CALL(name, when) { #name, call_##name, when }
static const struct { const char *name; void (*call)(void); int when; } calls[] = {
	CALL(getsockname, ALWAYS), CALL(getpeername, ALWAYS), CALL(connect_bind, ALWAYS), CALL(getsockopt, ALWAYS), CALL(setsockopt, ALWAYS),
	CALL(ioctl, ALWAYS), CALL(read, DECIDED), CALL(write, DECIDED), CALL(recv, ALWAYS), CALL(send, ALWAYS), CALL(sendmsg, DECIDED),
	CALL(recvmsg, DECIDED), CALL(recvmsg_itself, STREAMS), CALL(control, DECIDED), CALL(many, DECIDED), CALL(too_many, DECIDED),
	CALL(poll, ALWAYS), CALL(select, ALWAYS), CALL(epoll_ctl, ALWAYS), CALL(epoll_wait, ALWAYS), CALL(files, DECIDED),
	CALL(numbers, ALWAYS), CALL(execve, ALWAYS),
};
#define COUNT (sizeof(calls) / sizeof(calls[0]))

/* What it says goes to `out`, until the others before it are done. */
static pid_t begin(size_t i, int (*make)(void), FILE *out)
{
	pid_t pid = (pid_t)MUST(fork());

	if (pid)
		return pid;
	dup2(fileno(out), 1);
	signal(SIGPIPE, SIG_IGN);
	make_pages();
	fd = make();
	say("--- %s", calls[i].name);
	calls[i].call();
	_exit(0);
}

static void all(int (*make)(void), bool under_way, bool datagrams)
{
	pid_t pids[COUNT] = { 0 };
	FILE *out[COUNT];
	char line[2048];

	for (size_t i = 0; i < COUNT; i++)
		if (!(under_way && calls[i].when != ALWAYS) && !(datagrams && calls[i].when == STREAMS))
			pids[i] = begin(i, make, out[i] = tmpfile());
	for (size_t i = 0; i < COUNT; i++) {
		int status;

		if (!pids[i])
			continue;
		MUST(waitpid(pids[i], &status, 0));
		rewind(out[i]);
		while (fgets(line, sizeof(line), out[i]))
			say("%.*s", (int)strcspn(line, "\n"), line);
		if (status)
			say("%s ended with %x", calls[i].name, (unsigned)status);
	}
}

static int make_none(void) { return -1; }
static int make_huge(void) { return 1 << 30; }
static int make_file(void) { return open(case_self, O_RDONLY); }
static int make_new(void) { return sock(SOCK_NONBLOCK); }
static int make_silent(void) { return pending(SILENT, ECHO); }
static int make_connected(void) { return connected(SOCK_NONBLOCK, PEER, ECHO); }
static int make_failed(void) { int s = pending(PEER, REFUSED); wait_connected(s); return s; }
static int make_udp(void) { return (int)MUST(socket(case_family, SOCK_DGRAM | SOCK_NONBLOCK, 0)); }
static int make_udp_sent(void) { int s = make_udp(); T(sendto(s, "word", 4, 0, TO(PEER, ECHO))); await(s); return s; }

static int make_udp_begun(void) { int s = make_udp(); T(sendto(s, "word", 4, 0, TO(PEER, UDP_MUTE))); return s; }

CASE(none) { all(make_none, false, false); }
CASE(huge) { all(make_huge, false, false); }
CASE(file) { all(make_file, false, false); }
CASE(new) { all(make_new, false, false); }
CASE(silent) { all(make_silent, true, false); }
CASE(connected) { all(make_connected, false, false); }
CASE(failed) { all(make_failed, false, false); }
CASE(udp) { all(make_udp, false, true); }
CASE(udp_sent) { all(make_udp_sent, false, true); }
CASE_ATTR(udp_begun, "proxy=5") { all(make_udp_begun, true, true); }	/* no association comes of it */

/* SPDX-License-Identifier: MIT */
/*
 * Each call to the kernel that a connection or an association takes is made to fail: the first, the second, until the client makes no
 * more of them; that one alone, and all from that one on. Whatever fails, the client neither crashes nor hangs, no tailnet address
 * goes to the kernel, the error is an honest one, and what says that it is connected is connected to the peer. Then the next
 * connection is a good one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine.h"

#define LIMIT_S 20	/* for one run, which takes milliseconds */
#define WAIT_MS 500	/* of a client */
#define DATAGRAM_MS 50	/* after which one counts as lost */
#define ECHO_MS 5000
#define CALLS_MAX 400	/* of one kind that a client makes */

/* What a client came to: a socket that says it is connected, or an errno. */
struct outcome {
	int fd;
	int err;	/* 0: connected */
};

/* --- clients --- */

static int so_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 ? err : errno;
}

static void connect_blocking(struct outcome *o)
{
	o->err = connect(o->fd, ENGINE_TO(ENGINE_ECHO)) == 0 ? 0 : errno;
}

static void blocking(struct outcome *o)
{
	o->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (o->fd < 0)
		o->err = errno;
	else
		connect_blocking(o);
}

/* With a key and an address of its own, and a second number: what the library must ask the kernel for. */
static void unusual(struct outcome *o)
{
	const struct sockaddr_in any = { .sin_family = AF_INET };
	char key[16] = "0123456789abcdef";
	int other;

	o->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (o->fd < 0) {
		o->err = errno;
		return;
	}
	setsockopt(o->fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, sizeof(key));
	bind(o->fd, (const struct sockaddr *)&any, sizeof(any));
	other = dup(o->fd);
	connect_blocking(o);
	close(other);
}

static bool begin(struct outcome *o, enum engine_port port)
{
	o->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (o->fd >= 0 && connect(o->fd, ENGINE_TO(port)) < 0 && errno == EINPROGRESS)
		return true;
	o->err = o->fd < 0 || errno ? errno : 0;
	return false;
}

static void poll_port(struct outcome *o, enum engine_port port)
{
	struct pollfd p = { .events = POLLOUT };
	int n;

	if (!begin(o, port))
		return;
	p.fd = o->fd;
	while ((n = poll(&p, 1, WAIT_MS)) < 0 && errno == EINTR)
		;
	o->err = n < 0 ? errno : n == 0 ? ETIMEDOUT : so_error(o->fd);
}

static void polling(struct outcome *o) { poll_port(o, ENGINE_ECHO); }
static void refused_later(struct outcome *o) { poll_port(o, ENGINE_REFUSED); }

static void selecting(struct outcome *o)
{
	struct timeval t = { .tv_usec = WAIT_MS * 1000 };
	fd_set w;
	int n;

	if (!begin(o, ENGINE_ECHO))
		return;
	do {
		FD_ZERO(&w);
		FD_SET(o->fd, &w);
	} while ((n = select(o->fd + 1, NULL, &w, NULL, &t)) < 0 && errno == EINTR);
	o->err = n < 0 ? errno : n == 0 ? ETIMEDOUT : so_error(o->fd);
}

static void wait_in_set(struct outcome *o, int ep)
{
	struct epoll_event ev;
	int n;

	while ((n = epoll_wait(ep, &ev, 1, WAIT_MS)) < 0 && errno == EINTR)
		;
	o->err = n < 0 ? errno : n == 0 ? ETIMEDOUT : so_error(o->fd);
}

/* The socket is in the set before it connects. */
static void in_set_before(struct outcome *o)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	int ep = epoll_create1(0);

	o->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (o->fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, o->fd, &ev) < 0 ||
	    (connect(o->fd, ENGINE_TO(ENGINE_ECHO)) < 0 && errno != EINPROGRESS))
		o->err = errno;
	else
		wait_in_set(o, ep);
	close(ep);
}

static void in_set_after(struct outcome *o)
{
	struct epoll_event ev = { .events = EPOLLOUT };
	int ep = epoll_create1(0);

	if (begin(o, ENGINE_ECHO)) {
		if (epoll_ctl(ep, EPOLL_CTL_ADD, o->fd, &ev) < 0)
			o->err = errno;
		else
			wait_in_set(o, ep);
	}
	close(ep);
}

static void refused(struct outcome *o)
{
	o->fd = socket(AF_INET, SOCK_STREAM, 0);
	o->err = o->fd < 0 || connect(o->fd, ENGINE_TO(ENGINE_REFUSED)) < 0 ? errno : 0;
}

static void datagrams(struct outcome *o)
{
	o->fd = socket(AF_INET, SOCK_DGRAM, 0);
	o->err = o->fd < 0 || sendto(o->fd, "x", 1, 0, ENGINE_TO(ENGINE_ECHO)) < 0 ? errno : 0;
}

static void datagrams_connected(struct outcome *o)
{
	o->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	o->err = o->fd < 0 || connect(o->fd, ENGINE_TO(ENGINE_ECHO)) < 0 || send(o->fd, "x", 1, 0) < 0 ? errno : 0;
}

static void datagrams_together(struct outcome *o)
{
	struct iovec iov = { "x", 1 };
	struct sockaddr_in to;
	struct mmsghdr m[2];

	memcpy(&to, engine_peer(ENGINE_ECHO), sizeof(to));
	for (int i = 0; i < 2; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1 };
	o->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	o->err = o->fd < 0 || sendmmsg(o->fd, m, 2, 0) < 0 ? errno : 0;
}

static void datagrams_in_set(struct outcome *o)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0);

	o->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (o->fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, o->fd, &ev) < 0 || sendto(o->fd, "x", 1, 0, ENGINE_TO(ENGINE_ECHO)) < 0)
		o->err = errno;
	else
		epoll_wait(ep, &ev, 1, DATAGRAM_MS);
	close(ep);
}

static const struct client {
	const char *name;
	void (*run)(struct outcome *o);
	int type, refused;
} clients[] = {
	{ "blocking", blocking, SOCK_STREAM, 0 },
	{ "with a key, bound, duplicated", unusual, SOCK_STREAM, 0 },
	{ "poll", polling, SOCK_STREAM, 0 },
	{ "select", selecting, SOCK_STREAM, 0 },
	{ "epoll, registered before", in_set_before, SOCK_STREAM, 0 },
	{ "epoll, registered after", in_set_after, SOCK_STREAM, 0 },
	{ "refused", refused, SOCK_STREAM, 1 },
	{ "refused, poll", refused_later, SOCK_STREAM, 1 },
	{ "sendto", datagrams, SOCK_DGRAM, 0 },
	{ "connected datagrams", datagrams_connected, SOCK_DGRAM, 0 },
	{ "sendmmsg", datagrams_together, SOCK_DGRAM, 0 },
	{ "datagrams, epoll", datagrams_in_set, SOCK_DGRAM, 0 },
};

/* --- what is made to fail --- */

static const struct {
	const char *name;
	long number;
	int errs[5];
} calls[] = {
	{ "socket", SYS_socket, { EMFILE, ENFILE, ENOBUFS, ENOMEM } },
	{ "connect", SYS_connect, { ENOBUFS, ENOMEM, EPERM, EADDRNOTAVAIL, EINTR } },
	{ "sendto", SYS_sendto, { ENOBUFS, ENOMEM, EAGAIN, EPERM } },
	{ "sendmsg", SYS_sendmsg, { ENOBUFS, ENOMEM, EAGAIN, EPERM } },
	{ "sendmmsg", SYS_sendmmsg, { ENOBUFS, ENOMEM, EAGAIN, EPERM } },
	{ "recvfrom", SYS_recvfrom, { ENOMEM, EAGAIN, EINTR, EPERM } },
	{ "recvmsg", SYS_recvmsg, { ENOMEM, EAGAIN, EINTR, EPERM } },
	{ "setsockopt", SYS_setsockopt, { ENOMEM, ENOBUFS, EPERM } },
	{ "getsockopt", SYS_getsockopt, { ENOMEM, ENOBUFS, EPERM } },
	{ "getsockname", SYS_getsockname, { ENOBUFS, EPERM } },
	{ "getpeername", SYS_getpeername, { ENOBUFS, EPERM } },
	{ "mmap", SYS_mmap, { ENOMEM } },
	{ "epoll_ctl", SYS_epoll_ctl, { ENOMEM, ENOSPC, EPERM } },
	{ "fcntl", SYS_fcntl, { EPERM, EINTR } },
	{ "openat", SYS_openat, { EMFILE, ENFILE, ENOMEM, EACCES } },
	{ "ppoll", SYS_ppoll, { EINTR, ENOMEM } },
};

/* --- one run --- */

enum { GOOD, NOT_REACHED, WRONG };

static bool echoes(int fd, int type)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	bool named = getpeername(fd, (struct sockaddr *)&sa, &len) == 0;
	char c[64];

	if (named ? !engine_is_peer(&sa, ENGINE_ECHO) : type == SOCK_STREAM)
		return false;
	/* A datagram may be lost, and is refused once where the association could not be made before. */
	for (int tries = type == SOCK_STREAM ? 1 : 20; tries; tries--) {
		ssize_t sent = named ? send(fd, "e", 1, MSG_NOSIGNAL) : sendto(fd, "e", 1, 0, ENGINE_TO(ENGINE_ECHO));

		if (sent == 1 && poll(&p, 1, tries == 1 ? ECHO_MS : DATAGRAM_MS) == 1)
			return recv(fd, c, sizeof(c), MSG_DONTWAIT) == 1;
	}
	return false;
}

static bool next_is_good(int type)
{
	int fd = socket(AF_INET, type, 0);
	bool good = fd >= 0 && connect(fd, ENGINE_TO(ENGINE_ECHO)) == 0 && echoes(fd, type);

	close(fd);
	return good;
}

/*
 * Whether a program may be told so. Nobody refused, but where that is asked for. A client's own time-out may end where no registration can
 * be modified any more, which no kernel refuses for want of memory.
 */
static bool is_honest(const struct client *c, int err, const struct engine_fault *f)
{
	int injected = f->err;

	if (err == ETIMEDOUT && f->lasting && f->call == SYS_epoll_ctl)
		return true;
	return err == injected || err == ENOBUFS || err == ENOMEM || err == ENOSPC || err == EHOSTUNREACH || err == ENETUNREACH ||
	       (c->refused && err == ECONNREFUSED) || (injected == EAGAIN && err == EINPROGRESS /* as at the end of SO_SNDTIMEO */);
}

/* Why a run is wrong, or null. */
static const char *judge(const struct client *c, const struct outcome *o, const struct engine_fault *f)
{
	int again;

	if (engine_leaks())
		return "a tailnet address went to the kernel";
	if (o->err && !is_honest(c, o->err, f))
		return "the error is another";
	if (!o->err && c->refused)
		return "it says that it is connected";
	if (!o->err && !echoes(o->fd, c->type))
		return "it says that it is connected, and is not to the peer";
	if (o->err && o->fd >= 0 && c->type == SOCK_STREAM) {
		fcntl(o->fd, F_SETFL, 0);
		again = connect(o->fd, ENGINE_TO(ENGINE_ECHO)) == 0 ? 0 : errno;
		if ((again == 0 || again == EISCONN) && !c->refused && !echoes(o->fd, c->type))
			return "the second connect says that it is connected, and it is not to the peer";
	}
	close(o->fd);
	if (!next_is_good(c->type))
		return "the next connection is none";
	return engine_leaks() ? "a tailnet address went to the kernel" : NULL;
}

static int run(const struct client *c, const struct engine_fault *f, const char *call)
{
	struct outcome o = { .fd = -1 };
	const char *why;
	bool reached;

	signal(SIGALRM, SIG_DFL);	/* Check has a handler */
	alarm(LIMIT_S);
	engine_fail(f);
	c->run(&o);
	reached = engine_failed();
	why = judge(c, &o, f);
	if (why)
		fprintf(stderr, "%s: call %d%s of %s fails with %s: %s (%s)\n", c->name, f->nth, f->lasting ? " and all after it" : "",
			call, strerrorname_np(f->err), why, o.err ? strerrorname_np(o.err) : "no error");
	return why ? WRONG : reached ? GOOD : NOT_REACHED;
}

static int in_child(const struct client *c, const struct engine_fault *f, const char *call)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(run(c, f, call));
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "%s: call %d%s of %s fails with %s: %s\n", c->name, f->nth, f->lasting ? " and all after it" : "", call,
		strerrorname_np(f->err), WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
	return WRONG;
}

/* How many runs are wrong. */
static int each_nth(const struct client *c, struct engine_fault *f, const char *call)
{
	int wrong = 0, end = GOOD;

	for (f->nth = 1; f->nth < CALLS_MAX && end != NOT_REACHED; f->nth++) {
		end = in_child(c, f, call);
		wrong += end == WRONG;
	}
	return wrong;
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* What says to try again does not last. */
static bool passes(int err)
{
	return err == EAGAIN || err == EINTR;
}

/* One client by one proxy: `_i`. */
START_TEST(whatever_fails)
{
	const struct client *c = &clients[_i / 2];
	int wrong = 0;

	engine_use(_i % 2 ? ENGINE_STEPWISE : ENGINE_PIPELINED);
	for (size_t i = 0; i < COUNT(calls); i++)
		for (size_t k = 0; k < COUNT(calls[i].errs) && calls[i].errs[k]; k++)
			for (int lasting = 0; lasting < (passes(calls[i].errs[k]) ? 1 : 2); lasting++) {
				struct engine_fault f = { .call = calls[i].number, .lasting = lasting, .err = calls[i].errs[k] };

				wrong += each_nth(c, &f, calls[i].name);
			}
	ck_assert_int_eq(wrong, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("flow_faults");
	TCase *t = tcase_create("each call");

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, whatever_fails, 0, 2 * COUNT(clients));
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	(void)argc;
	signal(SIGPIPE, SIG_IGN);
	return engine_main(argv, suite);
}

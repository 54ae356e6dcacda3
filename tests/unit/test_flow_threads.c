/* SPDX-License-Identifier: MIT */
/*
 * Two threads on one descriptor, each pair of calls that touch what the engine keeps. Nothing crashes or hangs, the next connection
 * is a good one, and where neither call ends it so is this one. Under ThreadSanitizer (make tsan) every word that both threads
 * write is atomic or locked as well.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/wait.h>

#include "engine.h"

#define ROUNDS 12

struct round {
	int fd, ep, type;
	int made[2];	/* by either thread: to be closed */
	int pair[2][2];	/* each thread has one */
};

struct op {
	const char *name;
	void (*run)(struct round *r, int who);
	bool ends;	/* the connection may be none afterwards */
};

/* --- what threads do --- */

static void do_connect(struct round *r, int who)
{
	(void)who;
	connect(r->fd, ENGINE_TO(ENGINE_ECHO));
}

static void do_disconnect(struct round *r, int who)
{
	const struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	(void)who;
	connect(r->fd, &unspec, sizeof(unspec));
}

static void do_close(struct round *r, int who)
{
	(void)who;
	close(r->fd);
}

static void do_dup(struct round *r, int who)
{
	r->made[who] = dup(r->fd);
}

static void do_dup2(struct round *r, int who)
{
	r->made[who] = dup2(r->fd, 900 + who);
}

static void do_replace(struct round *r, int who)
{
	int fd = socket(AF_INET, r->type, 0);

	(void)who;
	dup2(fd, r->fd);
	close(fd);
}

static void do_poll(struct round *r, int who)
{
	struct pollfd p = { .fd = r->fd, .events = POLLOUT | POLLIN };

	(void)who;
	poll(&p, 1, 1);
}

static void do_select(struct round *r, int who)
{
	struct timeval t = { .tv_usec = 1000 };
	fd_set w;

	(void)who;
	FD_ZERO(&w);
	FD_SET(r->fd, &w);
	select(r->fd + 1, NULL, &w, NULL, &t);
}

static void do_epoll_ctl(struct round *r, int who)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT };

	(void)who;
	epoll_ctl(r->ep, EPOLL_CTL_ADD, r->fd, &ev);
	epoll_ctl(r->ep, EPOLL_CTL_MOD, r->fd, &ev);
	epoll_ctl(r->ep, EPOLL_CTL_DEL, r->fd, &ev);
}

static void do_epoll_wait(struct round *r, int who)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT };

	(void)who;
	epoll_ctl(r->ep, EPOLL_CTL_ADD, r->fd, &ev);
	epoll_wait(r->ep, &ev, 1, 1);
}

static void do_send(struct round *r, int who)
{
	(void)who;
	send(r->fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void do_recv(struct round *r, int who)
{
	char c;

	(void)who;
	recv(r->fd, &c, 1, MSG_DONTWAIT);
}

static void do_setsockopt(struct round *r, int who)
{
	struct timeval t = { .tv_sec = 5 };
	int one = 1;

	(void)who;
	setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(r->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
}

static void do_getsockopt(struct round *r, int who)
{
	int v;
	socklen_t len = sizeof(v);

	(void)who;
	getsockopt(r->fd, SOL_SOCKET, SO_RCVLOWAT, &v, &len);
	getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &v, &len);
}

static void do_names(struct round *r, int who)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	(void)who;
	getpeername(r->fd, (struct sockaddr *)&sa, &len);
	len = sizeof(sa);
	getsockname(r->fd, (struct sockaddr *)&sa, &len);
}

static void do_ioctl(struct round *r, int who)
{
	int n;

	(void)who;
	ioctl(r->fd, FIONREAD, &n);
}

static void do_shutdown(struct round *r, int who)
{
	(void)who;
	shutdown(r->fd, SHUT_RDWR);
}

static void do_fork(struct round *r, int who)
{
	pid_t pid = fork();

	(void)who;
	if (pid == 0) {
		send(r->fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void do_pass(struct round *r, int who)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } control = {
		.h = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.h), &r->fd, sizeof(int));
	if (sendmsg(r->pair[who][0], &m, MSG_DONTWAIT) == 1 && recvmsg(r->pair[who][1], &m, MSG_DONTWAIT) == 1)
		memcpy(&r->made[who], CMSG_DATA(&control.h), sizeof(int));
}

static void do_sendto(struct round *r, int who)
{
	(void)who;
	sendto(r->fd, "x", 1, 0, ENGINE_TO(ENGINE_ECHO));
}

static void do_more(struct round *r, int who)
{
	(void)who;
	sendto(r->fd, "x", 1, MSG_MORE, ENGINE_TO(ENGINE_ECHO));
	send(r->fd, "y", 1, 0);
}

static void do_sendmmsg(struct round *r, int who)
{
	struct sockaddr_in to;
	struct iovec iov = { "x", 1 };
	struct mmsghdr m[3];

	(void)who;
	memcpy(&to, engine_peer(ENGINE_ECHO), sizeof(to));
	for (int i = 0; i < 3; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1 };
	sendmmsg(r->fd, m, 3, 0);
}

static void do_recvmmsg(struct round *r, int who)
{
	char c;
	struct iovec iov = { &c, 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };

	(void)who;
	recvmmsg(r->fd, &m, 1, MSG_DONTWAIT, NULL);
}

static void do_peek(struct round *r, int who)
{
	char c;

	(void)who;
	recv(r->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);
}

static void do_options(struct round *r, int who)
{
	int v = 0;
	socklen_t len = sizeof(v);

	(void)who;
	setsockopt(r->fd, IPPROTO_UDP, 1 /* UDP_CORK */, &v, sizeof(v));
	setsockopt(r->fd, IPPROTO_UDP, 103 /* UDP_SEGMENT */, &v, sizeof(v));
	setsockopt(r->fd, IPPROTO_IP, IP_PKTINFO, &v, sizeof(v));
	getsockopt(r->fd, IPPROTO_UDP, 104 /* UDP_GRO */, &v, &len);
}

/* --- two threads --- */

static struct {
	pthread_barrier_t begin, end;
	const struct op *op[2];
	struct round round;
} shared;

static void *work(void *arg)
{
	int who = arg != NULL;

	for (;;) {
		pthread_barrier_wait(&shared.begin);
		if (!shared.op[who])
			return NULL;
		shared.op[who]->run(&shared.round, who);
		pthread_barrier_wait(&shared.end);
	}
}

static void start_threads(pthread_t t[2])
{
	pthread_barrier_init(&shared.begin, NULL, 3);
	pthread_barrier_init(&shared.end, NULL, 3);
	for (long i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, work, (void *)i), 0);
}

static void together(const struct op *a, const struct op *b)
{
	shared.op[0] = a;
	shared.op[1] = b;
	pthread_barrier_wait(&shared.begin);
	if (a)
		pthread_barrier_wait(&shared.end);
}

static void end_threads(pthread_t t[2])
{
	together(NULL, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

static bool echoes(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c = 0;

	return send(fd, "e", 1, MSG_NOSIGNAL) == 1 && poll(&p, 1, 10000) == 1 && recv(fd, &c, 1, MSG_DONTWAIT) == 1;
}

static bool is_connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	return poll(&p, 1, 10000) == 1 && p.revents == POLLOUT && getpeername(fd, (struct sockaddr *)&sa, &len) == 0 &&
	       engine_is_peer(&sa, ENGINE_ECHO);
}

static void clean_up(void)
{
	for (int i = 0; i < 2; i++) {
		if (shared.round.made[i] >= 0)
			close(shared.round.made[i]);
		close(shared.round.pair[i][0]);
		close(shared.round.pair[i][1]);
	}
	close(shared.round.fd);
	close(shared.round.ep);
}

static void new_round(int type)
{
	shared.round = (struct round){ .type = type, .made = { -1, -1 } };
	shared.round.fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	shared.round.ep = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_ge(shared.round.fd, 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, shared.round.pair[i]), 0);
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* --- TCP --- */

static const struct op tcp_ops[] = {
	{ "connect", do_connect, false },
	{ "connect(AF_UNSPEC)", do_disconnect, true },
	{ "close", do_close, true },
	{ "dup", do_dup, false },
	{ "dup2", do_dup2, false },
	{ "dup2 onto it", do_replace, true },
	{ "poll", do_poll, false },
	{ "select", do_select, false },
	{ "epoll_ctl", do_epoll_ctl, false },
	{ "epoll_wait", do_epoll_wait, false },
	{ "send", do_send, true },
	{ "recv", do_recv, false },
	{ "setsockopt", do_setsockopt, false },
	{ "getsockopt", do_getsockopt, false },
	{ "getpeername", do_names, false },
	{ "ioctl", do_ioctl, false },
	{ "shutdown", do_shutdown, true },
	{ "fork", do_fork, true },
	{ "SCM_RIGHTS", do_pass, false },
};

/* One thread connects (`begun` false) or the connect is under way. */
static void tcp_pair(const struct op *a, const struct op *b, int type, bool begun)
{
	new_round(SOCK_STREAM | type);
	if (begun)
		connect(shared.round.fd, ENGINE_TO(ENGINE_ECHO));
	together(a, b);
	if (!a->ends && !b->ends)
		ck_assert_msg(is_connected(shared.round.fd) && echoes(shared.round.fd), "%s beside %s: no connection", a->name, b->name);
	clean_up();
}

static void tcp_works(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(connect(fd, ENGINE_TO(ENGINE_ECHO)), 0);
	ck_assert(is_connected(fd) && echoes(fd));
	close(fd);
}

/* Each with each, of which `_i` is the first. */
START_TEST(tcp)
{
	const struct op *a = &tcp_ops[_i];
	pthread_t t[2];

	start_threads(t);
	for (const struct op *b = a; b < tcp_ops + COUNT(tcp_ops); b++)
		for (int n = 0; n < ROUNDS; n++) {
			engine_use(n % 2 ? ENGINE_STEPWISE : ENGINE_PIPELINED);
			tcp_pair(a, b, SOCK_NONBLOCK, a->run != do_connect);
			if (a->run == do_connect)
				tcp_pair(a, b, n % 4 < 2 ? 0 : SOCK_NONBLOCK, false);
		}
	end_threads(t);
	tcp_works();
	ck_assert_int_eq(engine_leaks(), 0);
}
END_TEST

/* --- UDP --- */

static const struct op udp_ops[] = {
	{ "sendto", do_sendto, false },
	{ "connect", do_connect, false },
	{ "connect(AF_UNSPEC)", do_disconnect, false },
	{ "send", do_send, false },
	{ "MSG_MORE", do_more, false },
	{ "sendmmsg", do_sendmmsg, false },
	{ "recv", do_recv, false },
	{ "recvmmsg", do_recvmmsg, false },
	{ "MSG_PEEK", do_peek, false },
	{ "close", do_close, true },
	{ "dup", do_dup, false },
	{ "dup2 onto it", do_replace, true },
	{ "poll", do_poll, false },
	{ "select", do_select, false },
	{ "epoll_wait", do_epoll_wait, false },
	{ "setsockopt", do_options, false },
	{ "getsockname", do_names, false },
	{ "ioctl", do_ioctl, false },
	{ "fork", do_fork, false },
	{ "SCM_RIGHTS", do_pass, false },
};

static void udp_works(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(connect(fd, ENGINE_TO(ENGINE_ECHO)), 0);
	ck_assert(echoes(fd));
	close(fd);
}

START_TEST(udp)
{
	const struct op *a = &udp_ops[_i];
	pthread_t t[2];

	start_threads(t);
	for (const struct op *b = a; b < udp_ops + COUNT(udp_ops); b++)
		for (int n = 0; n < ROUNDS; n++) {
			engine_use(n % 2 ? ENGINE_STEPWISE : ENGINE_PIPELINED);
			new_round(SOCK_DGRAM | (n % 4 < 2 ? 0 : SOCK_NONBLOCK));
			if (n % 3)
				do_sendto(&shared.round, 0);
			together(a, b);
			clean_up();
		}
	end_threads(t);
	udp_works();
	ck_assert_int_eq(engine_leaks(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("flow_threads");
	TCase *t = tcase_create("pairs");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, tcp, 0, COUNT(tcp_ops));
	tcase_add_loop_test(t, udp, 0, COUNT(udp_ops));
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	(void)argc;
	signal(SIGPIPE, SIG_IGN);
	return engine_main(argv, suite);
}

/* SPDX-License-Identifier: MIT */
/* Many at once: what is counted must come out the same every time, whatever the order. */
#include "../case.h"

#include <sys/resource.h>

#define THREADS 3
#define PER_THREAD 667

enum kind { GOOD, BAD, ABORTED, KINDS };

struct tally {
	int good, bad, aborted, again_after_out, foreign, lost, wrong;
};

struct lane {
	struct tally t;
	int id;
	int fd[PER_THREAD];
	char state[PER_THREAD];	/* 0 connecting, 1 echo awaited, 2 done */
};

static void files(rlim_t n)
{
	struct rlimit r;

	MUST(getrlimit(RLIMIT_NOFILE, &r));
	r.rlim_cur = n < r.rlim_max ? n : r.rlim_max;
	MUST(setrlimit(RLIMIT_NOFILE, &r));
}

static enum kind kind_of(int i) { return i % 5 == 0 ? BAD : i % 7 == 0 ? ABORTED : GOOD; }

static void finish(struct lane *l, int i)
{
	close(l->fd[i]);
	l->fd[i] = -1;
	l->state[i] = 2;
}

static void on_event(struct lane *l, uint32_t events, uint64_t data)
{
	int i = (int)(data & 0xffffff), e = 0;
	socklen_t len = sizeof(e);
	char word[4];

	if ((int)(data >> 24) != l->id || i >= PER_THREAD || l->state[i] == 2) {
		l->t.foreign++;
		return;
	}
	if (l->state[i] == 1) {
		ssize_t n = recv(l->fd[i], word, 4, 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n != 4 || memcmp(word, &data, 4))
			l->t.wrong++;
		else
			l->t.good++;
		finish(l, i);
		return;
	}
	getsockopt(l->fd[i], SOL_SOCKET, SO_ERROR, &e, &len);
	if (e) {
		if (e == ECONNREFUSED && kind_of(i) == BAD)
			l->t.bad++;
		else
			l->t.wrong++;
		finish(l, i);
		return;
	}
	if (!(events & EPOLLOUT))
		return;
	if (send(l->fd[i], &data, 4, MSG_NOSIGNAL) != 4) {
		l->t.again_after_out += errno == EAGAIN;
		l->t.wrong += errno != EAGAIN;
		finish(l, i);
		return;
	}
	l->state[i] = 1;
}

static void reap(struct lane *l, int ep, int timeout)
{
	struct epoll_event ev[64];
	int n = epoll_wait(ep, ev, 64, timeout);

	for (int k = 0; k < n; k++)
		on_event(l, ev[k].events, ev[k].data.u64);
}

static void *lane(void *arg)
{
	struct lane *l = arg;
	int ep = epoll_create1(0), left = 1;
	int64_t end;

	for (int i = 0; i < PER_THREAD; i++) {
		uint64_t data = (uint64_t)l->id << 24 | (unsigned)i;

		l->fd[i] = pending(PEER, kind_of(i) == BAD ? REFUSED : ECHO);
		MUST(add_epoll(ep, l->fd[i], i % 2 ? EPOLLIN | EPOLLOUT | EPOLLET : EPOLLIN | EPOLLOUT, data));
		if (kind_of(i) == ABORTED) {
			l->t.aborted++;
			finish(l, i);
		}
		if (i % 16 == 0)
			reap(l, ep, 0);
	}
	for (end = now_ms() + 20000; left && now_ms() < end; ) {
		reap(l, ep, 100);
		left = 0;
		for (int i = 0; i < PER_THREAD; i++)
			left += l->state[i] != 2;
	}
	l->t.lost = left;
	return NULL;
}

CASE_ATTR(two_thousand, "alone slow")
{
	static struct lane lanes[THREADS];
	pthread_t t[THREADS];
	struct tally sum = { 0 };

	files(4096);
	for (int i = 0; i < THREADS; i++) {
		lanes[i].id = i + 1;
		t[i] = thread(lane, &lanes[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		join(t[i]);
		sum.good += lanes[i].t.good;
		sum.bad += lanes[i].t.bad;
		sum.aborted += lanes[i].t.aborted;
		sum.again_after_out += lanes[i].t.again_after_out;
		sum.foreign += lanes[i].t.foreign;
		sum.lost += lanes[i].t.lost;
		sum.wrong += lanes[i].t.wrong;
	}
	say("good %d, refused %d, aborted %d", sum.good, sum.bad, sum.aborted);
	say("EAGAIN after OUT %d, foreign %d, lost %d, wrong %d", sum.again_after_out, sum.foreign, sum.lost, sum.wrong);
}

static void *one_echo(void *arg)
{
	int fd = sock(0);
	char c = 0;

	if (connect(fd, TO(PEER, (long)arg % 4 ? ECHO : REFUSED)) < 0)
		return (void *)(long)errno;
	send(fd, "x", 1, 0);
	recv(fd, &c, 1, 0);
	close(fd);
	return (void *)(long)(c == 'x' ? 0 : 999);
}

CASE_ATTR(hundred_threads, "alone")
{
	pthread_t t[100];
	int ok = 0, refused = 0;
	int64_t t0 = now_ms();

	for (long i = 0; i < 100; i++)
		t[i] = thread(one_echo, (void *)i);
	for (int i = 0; i < 100; i++) {
		void *r;

		pthread_join(t[i], &r);
		ok += r == NULL;
		refused += (long)r == ECONNREFUSED;
	}
	say("ok %d refused %d %s", ok, refused, since(t0));
}

CASE_ATTR(hundred_threads_poll_one, "alone")
{
	int fd = pending(PEER, ECHO);
	pthread_t t[100];

	for (int i = 0; i < 100; i++)
		t[i] = thread((void *(*)(void *))(void (*)(void))wait_connected, (void *)(long)fd);
	for (int i = 0; i < 100; i++)
		join(t[i]);
	show_echo(fd);
}

CASE_ATTR(ten_thousand_pending, "alone slow")
{
	enum { N = 10000 };
	static int fds[N];
	int bad = 0, ep = epoll_create1(0);
	struct epoll_event ev;

	files(N + 100);
	for (int i = 0; i < N; i++) {
		fds[i] = sock(SOCK_NONBLOCK);
		bad += connect(fds[i], TO(SILENT, ECHO)) == 0 || errno != EINPROGRESS;
		if (i % 10 == 0)
			bad += add_epoll(ep, fds[i], EPOLLOUT, (uint64_t)i) < 0;
	}
	say("not in progress %d", bad);
	say("early %d", epoll_wait(ep, &ev, 1, 0));
	bad = 0;
	for (int i = 0; i < N; i += 100) {
		struct pollfd p = { fds[i], POLLOUT, 0 };

		bad += poll(&p, 1, 0) != 0;
		bad += connect(fds[i], TO(SILENT, ECHO)) == 0 || errno != EALREADY;
	}
	say("bad %d", bad);
	for (int i = 0; i < N; i++)
		close(fds[i]);
	say("after close %d", epoll_wait(ep, &ev, 1, SHORT));
	show_echo(connected(0, PEER, ECHO));
}

/* One thread connects, another sets options by the same number: whatever either changes, the other's part stays as it was. */
#define OPTIONED 2500

static volatile int optioned = -1, optioned_stop;

static void *set_options(void *arg)
{
	struct timeval t = { .tv_sec = 5 };
	int fd;

	while (!optioned_stop)
		if ((fd = optioned) >= 0)
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	return arg;
}

CASE_ATTR(options_meanwhile, "alone")
{
	static int fds[OPTIONED];
	int connected = 0, failed = 0;
	pthread_t t;

	files(OPTIONED + 100);
	t = thread(set_options, NULL);
	for (int i = 0; i < OPTIONED; i++) {
		int fd = fds[i] = sock(SOCK_NONBLOCK);

		optioned = fd;
		for (volatile int k = 0; k < i % 64 * 4; k++)
			;
		failed += connect(fd, TO(PEER, ECHO)) == 0 || errno != EINPROGRESS;
		optioned = -1;
	}
	for (int i = 0; i < OPTIONED; i++) {
		struct pollfd p = { fds[i], POLLOUT, 0 };
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);

		poll(&p, 1, 10000);
		connected += p.revents == POLLOUT && getpeername(fds[i], (struct sockaddr *)&sa, &len) == 0 &&
			     ((struct sockaddr_in *)&sa)->sin_port == htons(ECHO);
		close(fds[i]);
	}
	optioned_stop = 1;
	join(t);
	say("connected %d failed %d", connected, failed);
}

/* Threads that close each other's pending sockets and reuse the numbers at once. */
static volatile int churn_stop;

static void *churn(void *arg)
{
	long wrong = 0;

	(void)arg;
	while (!churn_stop) {
		int fd = pending(PEER, ECHO), p[2];
		char c = 0;

		close(fd);
		MUST(pipe(p));
		wrong += write(p[1], "y", 1) != 1 || read(p[0], &c, 1) != 1 || c != 'y';
		close(p[0]);
		close(p[1]);
		usleep(2000);
	}
	return (void *)wrong;
}

/*
 * One set, three threads that wait in it, and connections that are given up as they are made, so that whatever names them inside is
 * used again at once: an event that a thread holds already must not come out as another connection's. What is closed while it
 * is pending never has an event.
 */
#define CHURNED 600

static struct {
	int ep;
	volatile int stop;
	int got[CHURNED], foreign;
} shared;

static void *take_events(void *arg)
{
	struct epoll_event ev[4];

	while (!shared.stop) {
		int n = epoll_wait(shared.ep, ev, 4, quarters(1));

		for (int i = 0; i < n; i++)
			if (ev[i].data.u64 >= CHURNED)
				__sync_fetch_and_add(&shared.foreign, 1);
			else
				__sync_fetch_and_add(&shared.got[ev[i].data.u64], 1);
	}
	return arg;
}

CASE_ATTR(shared_set_churn, "alone")
{
	int fd[CHURNED], once = 0, again = 0, after_close = 0;
	pthread_t t[3];

	files(4096);
	shared.ep = epoll_create1(0);
	for (int i = 0; i < 3; i++)
		t[i] = thread(take_events, NULL);
	for (int i = 0; i < CHURNED; i++) {
		fd[i] = pending(PEER, i % 4 == 1 ? REFUSED : ECHO);
		MUST(add_epoll(shared.ep, fd[i], EPOLLOUT | (i % 4 == 3 ? EPOLLET : EPOLLONESHOT), (uint64_t)i));
		if (i % 2 == 0)
			close(fd[i]);
		if (i % 100 == 99)
			nap(1);
	}
	nap(8);
	shared.stop = 1;
	for (int i = 0; i < 3; i++)
		join(t[i]);
	for (int i = 0; i < CHURNED; i++) {
		after_close += i % 2 == 0 && shared.got[i];
		once += i % 2 && shared.got[i] == 1;
		again += i % 2 && shared.got[i] > 1;
	}
	say("once %d again %d after close %d foreign %d", once, again, after_close, shared.foreign);
}

CASE_ATTR(numbers_churn, "alone")
{
	pthread_t t[4];
	long wrong = 0;

	for (int i = 0; i < 4; i++)
		t[i] = thread(churn, NULL);
	for (int i = 0; i < 5; i++) {
		int fd = pending(PEER, ECHO);

		wait_connected(fd);
		show_echo(fd);
		close(fd);
	}
	churn_stop = 1;
	for (int i = 0; i < 4; i++) {
		void *r;

		pthread_join(t[i], &r);
		wrong += (long)r;
	}
	say("wrong %ld", wrong);
}

/* fork in the middle of it all: locks that another thread holds must not stay held in the child. */
CASE_ATTR(fork_under_load, "alone")
{
	pthread_t t[3];
	int failed = 0;

	for (int i = 0; i < 3; i++)
		t[i] = thread(churn, NULL);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			int fd;

			alarm(10);
			fd = pending(PEER, ECHO);
			wait_connected(fd);
			_exit(send(fd, "x", 1, 0) == 1 ? 0 : 1);
		}
		waitpid(pid, &status, 0);
		failed += status != 0;
	}
	churn_stop = 1;
	for (int i = 0; i < 3; i++)
		join(t[i]);
	say("failed %d", failed);
}

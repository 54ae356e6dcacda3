/* SPDX-License-Identifier: MIT */
/*
 * What programs that nobody wrote are made with: each seed is one.
 *
 * What such a program says must not hang on chance's other half, time. All happens at ticks three quarters of a round trip apart: what a peer
 * does is seen one or two quarters after one of them, time-outs end half a quarter beside that, and whatever took time waits for the
 * next tick.
 *
 * DIFF_SEEDS=FROM-TO: these seeds in place of the first few.
 */
#ifndef DIFF_RANDOM_H
#define DIFF_RANDOM_H

#include <sys/time.h>

#include "../case.h"

static unsigned long long rng;
static int64_t began;
static char shown[1024];

static inline unsigned draw(unsigned n)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(rng >> 33) % n;
}

#define PICK(...) ({ static const unsigned of_[] = { __VA_ARGS__ }; of_[draw(sizeof(of_) / sizeof(*of_))]; })

static inline int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

/* To the next tick, unless this one has just begun. */
static inline void align(bool at_least_one)
{
	int64_t tick = 750ll * rtt_ms, in = (now_us() - began) % tick;

	if (at_least_one || in > tick / 10)
		usleep((useconds_t)(tick - in));
}

/* A call that may wait is interrupted after nine quarters and a half. */
static inline void limit(bool on)
{
	long us = on ? 2375l * rtt_ms : 0;
	struct itimerval t = { .it_value = { us / 1000000, us % 1000000 } };

	setitimer(ITIMER_REAL, &t, NULL);
}

static void on_alarm(int sig) { (void)sig; }

#define DO(expr) ({ errno = ERRNO_UNTOUCHED; limit(true); long do_r = (long)(expr); int do_e = errno; limit(false); \
		    say_result(shown, do_r, do_e); do_r; })
#define CALLED(...) snprintf(shown, sizeof(shown), __VA_ARGS__)

#define SLOTS 5
#define SETS 2

static int fds[SLOTS], eps[SETS], serial;
static bool child;

static void joined(void);

static __attribute__((unused)) int empty_slot(void)
{
	for (int i = 0; i < SLOTS; i++)
		if (fds[i] < 0)
			return i;
	return -1;
}

static __attribute__((unused)) int some(void) { return (int)draw(SLOTS); }

static __attribute__((unused)) void closing(void)
{
	int s = some();

	joined();	/* what it says of a socket that was closed meanwhile is nobody's promise */
	CALLED("close(%d)", s);
	DO(close(fds[s]));
	if (draw(8))
		fds[s] = -1;
}

static __attribute__((unused)) void duplicating(void)
{
	int s = some(), to = empty_slot();

	if (to >= 0 && draw(3)) {
		CALLED("%d = dup(%d)", to, s);
		fds[to] = (int)DO(dup(fds[s]));
	} else if (fds[to = some()] >= 0) {
		joined();
		CALLED("dup2(%d, %d)", s, to);
		DO(dup2(fds[s], fds[to]));
	}
}

static __attribute__((unused)) void blocking(void)
{
	int s = some(), on = draw(3) != 0;

	CALLED("nonblock(%d, %d)", s, on);
	if (draw(2))
		DO(ioctl(fds[s], FIONBIO, &on));
	else
		DO(fcntl(fds[s], F_SETFL, on ? O_NONBLOCK : 0));
}

static __attribute__((unused)) unsigned poll_wish(void)
{
	return PICK(POLLIN, POLLOUT, POLLIN | POLLOUT, POLLIN | POLLOUT | POLLRDHUP, POLLRDHUP, POLLPRI, 0, POLLIN | POLLRDHUP);
}

static __attribute__((unused)) void registering(void)
{
	int e = (int)draw(SETS), s = some(), op = (int)PICK(EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL);
	struct epoll_event ev = { .events = poll_wish() | PICK(0, 0, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT) };

	if (op == EPOLL_CTL_ADD && !draw(6))
		ev.events = (ev.events & (EPOLLIN | EPOLLOUT)) | EPOLLEXCLUSIVE;
	if (child)
		return;
	ev.data.u64 = (uint64_t)(s * 1000 + ++serial) << draw(2) * 32;
	CALLED("epoll_ctl(%d, %d, %d, %s)", e, op, s, epoll_names(ev.events));
	DO(epoll_ctl(eps[e], op, fds[s], &ev));
}

static __attribute__((unused)) void nesting(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 7 };

	CALLED("epoll_ctl(0, set 1)");
	DO(epoll_ctl(eps[0], (int)PICK(EPOLL_CTL_ADD, EPOLL_CTL_DEL), eps[1], &ev));
}

/* No time, a short one, or until it is interrupted. */
static __attribute__((unused)) int wait_ms(void)
{
	int ms = (int)PICK(0, 0, 0, 375, 9999);

	return ms == 9999 ? -1 : ms * rtt_ms / 1000;
}

static __attribute__((unused)) void show_events(const struct epoll_event *ev, int n)
{
	bool done[64] = { false };

	for (int k = 0; k < n; k++) {
		int best = -1;

		for (int i = 0; i < n; i++)
			if (!done[i] && (best < 0 || ev[i].data.u64 < ev[best].data.u64))
				best = i;
		done[best] = true;
		say("  %#llx %s", (unsigned long long)ev[best].data.u64, epoll_names(ev[best].events));
	}
}

static __attribute__((unused)) void waiting_in_set(void)
{
	struct epoll_event ev[64];
	int e = (int)draw(SETS), ms = wait_ms(), n;

	/* Two that are ready may be told by one call or by two: so both are seen to be, before. */
	for (int i = 0; i < SETS; i++)
		poll(&(struct pollfd){ .fd = eps[i], .events = POLLIN }, 1, 0);
	CALLED("epoll_wait(%d, %d)", e, (ms > 0) - (ms < 0));
	n = (int)DO(epoll_wait(eps[e], ev, 64, ms));
	show_events(ev, n);
}

static __attribute__((unused)) void polling(void)
{
	int n = 1 + (int)draw(SLOTS + 1), ms = wait_ms(), at[SLOTS + 1];
	struct pollfd p[SLOTS + 1];

	for (int i = 0; i < n; i++) {
		at[i] = (int)draw(SLOTS + SETS);
		p[i] = (struct pollfd){ .fd = at[i] < SLOTS ? fds[at[i]] : eps[at[i] - SLOTS], .events = (short)poll_wish() };
	}
	CALLED("poll(%d, %d)", n, (ms > 0) - (ms < 0));
	DO(poll(p, (nfds_t)n, ms));
	for (int i = 0; i < n; i++)
		if (p[i].revents)
			say("  %d %s", at[i], poll_names((unsigned short)p[i].revents));
}

static __attribute__((unused)) void selecting(void)
{
	fd_set set[3];
	int ms = wait_ms(), bits = 1 + (int)draw(7), top = 0;
	struct timeval t = { ms / 1000, ms % 1000 * 1000 };

	for (int k = 0; k < 3; k++) {
		FD_ZERO(&set[k]);
		for (int s = 0; s < SLOTS; s++)
			if (fds[s] >= 0 && bits >> k & 1 && draw(2)) {
				FD_SET(fds[s], &set[k]);
				top = fds[s] > top ? fds[s] : top;
			}
	}
	CALLED("select(%d, %d)", bits, (ms > 0) - (ms < 0));
	if (DO(select(top + 1, &set[0], &set[1], &set[2], ms < 0 ? NULL : &t)) <= 0)
		return;
	for (int s = 0; s < SLOTS; s++)
		if (fds[s] >= 0 && (FD_ISSET(fds[s], &set[0]) || FD_ISSET(fds[s], &set[1]) || FD_ISSET(fds[s], &set[2])))
			say("  %d %d%d%d", s, FD_ISSET(fds[s], &set[0]) != 0, FD_ISSET(fds[s], &set[1]) != 0, FD_ISSET(fds[s], &set[2]) != 0);
}

static __attribute__((unused)) void passing(void)
{
	int s = some(), to = empty_slot(), pair[2];

	if (to < 0 || fds[s] < 0 || fcntl(fds[s], F_GETFD) < 0)
		return;
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	send_fd(pair[0], fds[s]);
	fds[to] = recv_fd(pair[1]);
	say("%d = passed(%d) %d", to, s, fds[to]);
	close(pair[0]);
	close(pair[1]);
}

/* A thread that waits for one socket while the others' calls go on; what it saw is told when it is joined. */
static struct {
	pthread_t thread;
	bool running;
	int how, fd, slot, ep, result, err;
	unsigned wish, seen;
} watcher;

static void *watch(void *arg)
{
	int ms = 2375 * rtt_ms / 1000;
	struct pollfd p = { .fd = watcher.fd, .events = (short)watcher.wish };
	struct epoll_event ev = { .events = 0 };
	struct timeval t = { ms / 1000, ms % 1000 * 1000 };
	fd_set r, w;

	switch (watcher.how) {
	case 0:
		watcher.result = poll(&p, 1, ms);
		watcher.seen = (unsigned short)p.revents;
		break;
	case 1:
		watcher.result = epoll_wait(watcher.ep, &ev, 1, ms);
		watcher.seen = watcher.result > 0 ? ev.events : 0;
		break;
	default:
		FD_ZERO(&r);
		FD_ZERO(&w);
		FD_SET(watcher.fd, &r);
		FD_SET(watcher.fd, &w);
		watcher.result = select(watcher.fd + 1, watcher.wish & POLLIN ? &r : NULL, watcher.wish & POLLOUT ? &w : NULL, NULL, &t);
		watcher.seen = watcher.result > 0 ? (unsigned)FD_ISSET(watcher.fd, &r) | (unsigned)FD_ISSET(watcher.fd, &w) << 2 : 0;
	}
	watcher.err = watcher.result < 0 ? errno : 0;
	return arg;
}

static __attribute__((unused)) void joined(void)
{
	if (!watcher.running)
		return;
	pthread_join(watcher.thread, NULL);
	watcher.running = false;
	close(watcher.ep);
	say("watched %d = %d %s %s", watcher.slot, watcher.result, err_name(watcher.err), epoll_names(watcher.seen));
}

static __attribute__((unused)) void watching(void)
{
	sigset_t alarm, old;
	struct epoll_event ev;
	int s = some();

	joined();
	if (child || fds[s] < 0 || fcntl(fds[s], F_GETFD) < 0)
		return;
	watcher.how = (int)draw(3);
	watcher.slot = s;
	watcher.fd = fds[s];
	watcher.wish = poll_wish();
	watcher.ep = (int)MUST(epoll_create1(0));
	ev = (struct epoll_event){ .events = watcher.wish | PICK(0, EPOLLET, EPOLLONESHOT) };
	epoll_ctl(watcher.ep, EPOLL_CTL_ADD, watcher.fd, &ev);
	serial++;
	say("watching %d by %d for %s", s, watcher.how, poll_names(watcher.wish));
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, &old);
	pthread_create(&watcher.thread, NULL, watch, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	watcher.running = true;
	usleep((useconds_t)rtt_ms * 30);
}

struct op {
	void (*op)(void);
	int weight;
};

static void step(const struct op *ops, unsigned n)
{
	int sum = 0, at;

	for (unsigned i = 0; i < n; i++)
		sum += ops[i].weight;
	at = (int)draw((unsigned)sum);
	for (unsigned i = 0; i < n; i++)
		if ((at -= ops[i].weight) < 0) {
			align(false);
			ops[i].op();
			break;
		}
	if (!draw(4))
		align(true);
}

/* The child's turn, then the parent's again; and the child dies with whatever it has open. */
static inline void fork_steps(void (*one_step)(void))
{
	pid_t pid;

	if (child)
		return;
	joined();
	say("fork");
	pid = fork();
	if (pid == 0) {
		child = true;
		for (int i = 0; i < 6; i++)
			one_step();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	say("forked");
}

/* Nothing is open yet. */
static inline void begin(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };

	rng = (unsigned long long)*case_arg * 0x9e3779b97f4a7c15ull;
	draw(1);
	sigaction(SIGALRM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < SLOTS; i++)
		fds[i] = -1;
	for (int i = 0; i < SETS; i++)
		eps[i] = (int)MUST(epoll_create1(0));
	began = now_us();
}

/* Registers the seeds up to `to`; `run` is such a program. */
static inline void add_seeds(const char *prefix, void (*run)(void), int to, const char *odd, const char *even)
{
	int *seeds = calloc(5000, sizeof(*seeds));
	const char *range = getenv("DIFF_SEEDS");
	int from = 1;
	char name[32];

	if (range)
		sscanf(range, "%d-%d", &from, &to);
	for (int i = 0; i < 5000 && from + i <= to; i++) {
		seeds[i] = from + i;
		snprintf(name, sizeof(name), "%s_%d", prefix, seeds[i]);
		case_add_arg(name, run, &seeds[i], seeds[i] % 2 ? odd : even);
	}
}

#endif

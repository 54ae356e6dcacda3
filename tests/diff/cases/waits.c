/* SPDX-License-Identifier: MIT */
/* poll, ppoll, select and pselect: timeouts, masks, interruption, odd sets, company. */
#include "../case.h"

#include <sys/resource.h>
#include <sys/syscall.h>

static struct timespec spec(int ms)
{
	return (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
}

static sigset_t only(int sig)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, sig);
	return s;
}

CASE(poll_short) { int fd = pending(PEER, ECHO); int64_t t = now_ms(); show_poll(fd, POLLOUT, SHORT); say_span("waited", t, 1, 3); show_poll(fd, POLLOUT, LONG); show_echo(fd); }
CASE(poll_short_in) { int fd = pending(PEER, ECHO); int64_t t = now_ms(); show_poll(fd, POLLIN, SHORT); say_span("waited", t, 1, 3); show_poll(fd, POLLOUT, LONG); }
CASE(poll_short_none) { int fd = pending(PEER, ECHO); int64_t t = now_ms(); show_poll(fd, 0, SHORT); say_span("waited", t, 1, 3); }
CASE(poll_in_past_completion) { int fd = pending(PEER, ECHO); show_poll(fd, POLLIN, quarters(8)); show_poll(fd, POLLIN | POLLOUT, 0); show_echo(fd); }
CASE(poll_none_past_completion) { int fd = pending(PEER, ECHO); show_poll(fd, 0, quarters(8)); show_poll(fd, POLLOUT, 0); show_echo(fd); }
CASE(poll_none_refused) { int fd = pending(PEER, REFUSED); show_poll(fd, 0, LONG); show_so_error(fd); }
CASE(poll_in_refused) { int fd = pending(PEER, REFUSED); show_poll(fd, POLLIN, LONG); show_so_error(fd); }
CASE(poll_pri_refused) { int fd = pending(PEER, REFUSED); show_poll(fd, POLLPRI, LONG); show_so_error(fd); }
CASE(poll_rdhup_refused) { int fd = pending(PEER, REFUSED); show_poll(fd, POLLRDHUP, LONG); show_so_error(fd); }
CASE(poll_rdhup_ok) { int fd = pending(PEER, CLOSE); show_poll(fd, POLLRDHUP, LONG); show_read(fd, 1, 0); }
CASE(poll_pri_ok) { int fd = pending(PEER, ECHO); show_poll(fd, POLLPRI, quarters(8)); show_poll(fd, POLLPRI | POLLOUT, 0); }
CASE(poll_forever) { int fd = pending(PEER, ECHO); show_poll(fd, POLLOUT, -1); show_echo(fd); }
CASE(poll_forever_negative) { int fd = pending(PEER, ECHO); show_poll(fd, POLLOUT, -77); show_echo(fd); }

CASE(poll_norm_bits)
{
	int fd = pending(PEER, ECHO);

	show_poll(fd, POLLRDNORM | POLLWRNORM | POLLWRBAND | POLLRDBAND, 0);
	show_poll(fd, POLLRDNORM | POLLWRNORM | POLLWRBAND | POLLRDBAND, LONG);
	fd = pending(PEER, REFUSED);
	show_poll(fd, POLLRDNORM | POLLWRNORM | POLLWRBAND | POLLRDBAND, LONG);
	fd = pending(PEER, ECHO);
	show_poll(fd, POLLWRNORM, LONG);
	fd = pending(PEER, ECHO);
	show_poll(fd, POLLWRBAND, LONG);
}

CASE(ppoll_short)
{
	struct pollfd p = { pending(PEER, ECHO), POLLOUT, 0 };
	struct timespec ts = spec(SHORT), zero = { 0, 0 };
	int64_t t0 = now_ms();

	T(ppoll(&p, 1, &zero, NULL));
	T(ppoll(&p, 1, &ts, NULL));
	say_span("waited", t0, 1, 3);
	say("timeout kept: %d", ts.tv_sec == 0 && ts.tv_nsec == SHORT * 1000000L);
	T(ppoll(&p, 1, NULL, NULL));
	say("%s %s", poll_names((unsigned)p.revents), since(t0));
	show_echo(p.fd);
}

CASE(ppoll_invalid)
{
	struct pollfd p = { pending(PEER, ECHO), POLLOUT, 0 };
	struct timespec bad = { 0, 1000000000 }, negative = { -1, 0 };

	T(ppoll(&p, 1, &bad, NULL));
	T(ppoll(&p, 1, &negative, NULL));
	T(ppoll(&p, 1, &(struct timespec){ 0, 0 }, NULL));
}

CASE(ppoll_mask)
{
	struct pollfd p = { pending(PEER, ECHO), POLLOUT, 0 };
	sigset_t usr1 = only(SIGUSR1), none;
	int64_t t0 = now_ms();

	sigemptyset(&none);
	on_signal(SIGUSR1, 0);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	say("seen %d", signals_seen);
	T(ppoll(&p, 1, NULL, &none));
	say("seen %d %s", signals_seen, since(t0));
	signal_after(1, SIGUSR1);
	T(ppoll(&p, 1, NULL, &none));
	say("seen %d %s", signals_seen, since(t0));
	signal_after(1, SIGUSR1);
	T(ppoll(&p, 1, NULL, &usr1));
	say("seen %d %s", signals_seen, since(t0));
	show_echo(p.fd);
}

CASE(pselect_mask)
{
	int fd = pending(PEER, ECHO);
	sigset_t usr1 = only(SIGUSR1), none;
	fd_set w;
	int64_t t0 = now_ms();

	sigemptyset(&none);
	on_signal(SIGUSR1, SA_RESTART);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	FD_ZERO(&w);
	FD_SET(fd, &w);
	T(pselect(fd + 1, NULL, &w, NULL, NULL, &none));
	say("seen %d, still set %d %s", signals_seen, FD_ISSET(fd, &w) != 0, since(t0));
	signal_after(1, SIGUSR1);
	T(pselect(fd + 1, NULL, &w, NULL, NULL, &usr1));
	say("seen %d %s", signals_seen, since(t0));
	T(sigprocmask(SIG_BLOCK, NULL, &none));
	say("blocked %d", sigismember(&none, SIGUSR1));
}

static void interrupted(int flags)
{
	int fd = pending(PEER, ECHO);
	struct pollfd p = { fd, POLLOUT, 0x7f };
	struct timeval tv = { 10, 0 };
	fd_set w;
	int64_t t0 = now_ms();

	on_signal(SIGUSR1, flags);
	signal_after(1, SIGUSR1);
	T(poll(&p, 1, LONG));
	say("revents %s %s", poll_names((unsigned)p.revents), since(t0));
	FD_ZERO(&w);
	FD_SET(fd, &w);
	signal_after(1, SIGUSR1);
	T(select(fd + 1, NULL, &w, NULL, &tv));
	say("seen %d", signals_seen);
	show_poll(fd, POLLOUT, LONG);
	say("in all %s", since(t0));
	show_echo(fd);
}

CASE(eintr) { interrupted(0); }
CASE(eintr_restart) { interrupted(SA_RESTART); }

CASE(eintr_other_thread_signal_ignored)
{
	int fd = pending(PEER, ECHO);

	signal(SIGUSR1, SIG_IGN);
	signal_after(1, SIGUSR1);
	show_poll(fd, POLLOUT, LONG);
}

CASE(select_ok) { int fd = pending(PEER, ECHO); show_select(fd, 0); show_select(fd, SHORT); show_select(fd, LONG); show_so_error(fd); show_echo(fd); }
CASE(select_refused) { int fd = pending(PEER, REFUSED); show_select(fd, 0); show_select(fd, SHORT); show_select(fd, LONG); show_so_error(fd); }
CASE_FAMILIES(select_first) { int fd = pending(PEER, FIRST); show_select(fd, LONG); show_poll(fd, POLLIN, LONG); show_select(fd, 0); show_read(fd, 10, 0); }

static void select_one(int fd, bool r, bool w, bool x, int timeout)
{
	struct timeval tv = { timeout / 1000, timeout % 1000 * 1000 };
	fd_set rs, ws, xs;
	int64_t t0 = now_ms();
	int n;

	FD_ZERO(&rs);
	FD_ZERO(&ws);
	FD_ZERO(&xs);
	FD_SET(fd, &rs);
	FD_SET(fd, &ws);
	FD_SET(fd, &xs);
	n = select(fd + 1, r ? &rs : NULL, w ? &ws : NULL, x ? &xs : NULL, &tv);
	say("select(%s%s%s) = %d%s%s%s %s", r ? "r" : "", w ? "w" : "", x ? "x" : "", n, r && FD_ISSET(fd, &rs) ? " r" : "",
	    w && FD_ISSET(fd, &ws) ? " w" : "", x && FD_ISSET(fd, &xs) ? " x" : "", since(t0));
}

CASE(select_r_only) { int fd = pending(PEER, FIRST); select_one(fd, true, false, false, LONG); show_read(fd, 10, 0); }
CASE(select_r_only_ok) { int fd = pending(PEER, ECHO); select_one(fd, true, false, false, quarters(8)); select_one(fd, true, true, true, 0); }
CASE(select_w_only) { int fd = pending(PEER, FIRST); select_one(fd, false, true, false, LONG); show_so_error(fd); }
CASE(select_x_only) { int fd = pending(PEER, ECHO); select_one(fd, false, false, true, quarters(8)); show_echo(fd); }
CASE(select_x_only_refused) { int fd = pending(PEER, REFUSED); select_one(fd, false, false, true, quarters(8)); show_so_error(fd); }
CASE(select_r_only_refused) { int fd = pending(PEER, REFUSED); select_one(fd, true, false, false, LONG); show_so_error(fd); }
CASE(select_w_only_refused) { int fd = pending(PEER, REFUSED); select_one(fd, false, true, false, LONG); show_so_error(fd); }

CASE(select_timeval)
{
	int fd = pending(PEER, ECHO);
	struct timeval tv = { 0, SHORT * 1000 };
	fd_set w;
	int64_t left;

	FD_ZERO(&w);
	FD_SET(fd, &w);
	T(select(fd + 1, NULL, &w, NULL, &tv));
	say("left %ld.%06ld", (long)tv.tv_sec, (long)tv.tv_usec);
	tv = (struct timeval){ rtt_ms * 10 / 1000, rtt_ms * 10 % 1000 * 1000 };
	FD_SET(fd, &w);
	T(select(fd + 1, NULL, &w, NULL, &tv));
	left = tv.tv_sec * 1000 + tv.tv_usec / 1000;
	say("left @%s", left > rtt_ms * 8 && left < rtt_ms * 19 / 2 ? "in time" : "99ms");
}

CASE(pselect_timeout_kept)
{
	int fd = pending(PEER, ECHO);
	struct timespec ts = spec(SHORT);
	fd_set w;

	FD_ZERO(&w);
	FD_SET(fd, &w);
	T(pselect(fd + 1, NULL, &w, NULL, &ts, NULL));
	say("kept %d", ts.tv_nsec == SHORT * 1000000L);
	say("set %d", FD_ISSET(fd, &w) != 0);
}

CASE(select_bad)
{
	int fd = pending(PEER, ECHO), closed = dup(fd);
	struct timeval negative = { -1, 0 };
	fd_set w;

	close(closed);
	FD_ZERO(&w);
	FD_SET(fd, &w);
	FD_SET(closed, &w);
	T(select(closed + 1, NULL, &w, NULL, NULL));
	say("sets kept %d %d", FD_ISSET(fd, &w) != 0, FD_ISSET(closed, &w) != 0);
	T(select(-1, NULL, &w, NULL, NULL));
	FD_CLR(closed, &w);
	T(select(fd + 1, NULL, &w, NULL, &negative));
	T(select(fd, NULL, &w, NULL, &(struct timeval){ 0, 0 }));
	say("beyond n kept %d", FD_ISSET(fd, &w) != 0);
}

CASE(odd_set)
{
	int fd = pending(PEER, ECHO), closed = dup(fd), p[2];
	struct pollfd v[7];
	int64_t t0 = now_ms();

	close(closed);
	MUST(pipe(p));
	v[0] = (struct pollfd){ -1, POLLIN | POLLOUT, 0x55 };
	v[1] = (struct pollfd){ fd, POLLOUT, 0x55 };
	v[2] = (struct pollfd){ fd, POLLIN, 0x55 };
	v[3] = (struct pollfd){ fd, 0, 0x55 };
	v[4] = (struct pollfd){ p[0], POLLIN, 0x55 };
	v[5] = (struct pollfd){ ~fd, POLLOUT, 0x55 };
	T(poll(v, 6, 0));
	for (int i = 0; i < 6; i++)
		say("%d %s", i, poll_names((unsigned)v[i].revents));
	T(poll(v, 6, LONG));
	for (int i = 0; i < 6; i++)
		say("%d %s", i, poll_names((unsigned)v[i].revents));
	say("%s", since(t0));
	v[6] = (struct pollfd){ closed, POLLOUT, 0x55 };
	T(poll(v, 7, LONG));
	say("6 %s", poll_names((unsigned)v[6].revents));
	T(poll(NULL, 0, SHORT));
	T(poll(v, 0, 0));
}

CASE(bad_fd_beside_pending)
{
	int fd = pending(PEER, ECHO);
	struct pollfd v[2] = { { fd, POLLOUT, 0 }, { 9999, POLLIN, 0 } };

	T(poll(v, 2, LONG));
	say("%s %s", poll_names((unsigned)v[0].revents), poll_names((unsigned)v[1].revents));
}

CASE(ready_beside_pending)
{
	int fd = pending(SILENT, ECHO), p[2];
	struct pollfd v[2];
	int64_t t0;

	MUST(pipe(p));
	MUST(write(p[1], "x", 1));
	v[0] = (struct pollfd){ fd, POLLIN | POLLOUT, 0 };
	v[1] = (struct pollfd){ p[0], POLLIN, 0 };
	t0 = now_ms();
	T(poll(v, 2, LONG));
	say("%s %s", poll_names((unsigned)v[0].revents), poll_names((unsigned)v[1].revents));
	say_span("at once", t0, 0, 1);
}

static void *write_later(void *arg)
{
	nap(1);
	MUST(write(*(int *)arg, "x", 1));
	return NULL;
}

CASE(pipe_wakes_beside_pending)
{
	int fd = pending(SILENT, ECHO), p[2];
	struct pollfd v[2];
	int64_t t0 = now_ms();
	pthread_t t;

	MUST(pipe(p));
	t = thread(write_later, &p[1]);
	v[0] = (struct pollfd){ fd, POLLIN | POLLOUT, 0 };
	v[1] = (struct pollfd){ p[0], POLLIN, 0 };
	T(poll(v, 2, LONG));
	say("%s %s", poll_names((unsigned)v[0].revents), poll_names((unsigned)v[1].revents));
	say_span("soon", t0, 1, 3);
	join(t);
}

CASE(connected_beside_pending)
{
	int ready = connected(SOCK_NONBLOCK, PEER, ECHO), fd = pending(SILENT, ECHO);
	struct pollfd v[2] = { { fd, POLLIN | POLLOUT, 0 }, { ready, POLLIN, 0 } };

	MUST(send(ready, "x", 1, 0));
	T(poll(v, 2, LONG));
	say("%s %s", poll_names((unsigned)v[0].revents), poll_names((unsigned)v[1].revents));
}

static void *poll_out(void *arg)
{
	struct pollfd p = { *(int *)arg, POLLOUT, 0 };
	int n = poll(&p, 1, LONG);

	return (void *)(long)(n << 16 | (unsigned short)p.revents);
}

/*
 * Who is awake already when a connect fails may see the error before the rest: tcp_done_with_error sets it first. So of each thread's events
 * only those in `sure` are told, and all of them afterwards.
 */
static void two_threads(enum host host, int port, long sure)
{
	int fd = pending(host, port);
	pthread_t a = thread(poll_out, &fd), b = thread(poll_out, &fd);
	void *x, *y;
	int64_t t0 = now_ms();

	pthread_join(a, &x);
	pthread_join(b, &y);
	say("%lx %lx %s", (long)x & (1 << 16 | sure), (long)y & (1 << 16 | sure), since(t0));
	show_poll(fd, POLLOUT, 0);
	show_so_error(fd);
}

CASE(two_threads_ok) { two_threads(PEER, ECHO, 0xffff); }
CASE(two_threads_refused) { two_threads(PEER, REFUSED, POLLERR); }
CASE(two_threads_unreachable) { two_threads(HOST_UNREACH, ECHO, POLLERR); }

/* A failure that nobody has asked for yet is told by every poll, at once, while other threads wait as well. */
CASE(thread_and_unreachable)
{
	int fd = pending(HOST_UNREACH, ECHO), other = pending(SILENT, ECHO);
	pthread_t t = thread(poll_out, &other);
	int64_t t0 = now_ms();

	show_poll(fd, POLLOUT, LONG);
	t0 = now_ms();
	show_poll(fd, POLLOUT, LONG);
	show_poll(fd, POLLIN, LONG);
	show_select(fd, LONG);
	say_span("at once", t0, 0, 1);
	show_so_error(fd);
	join(t);
}

/* A completion found by another thread's call wakes a thread that is already in poll. */
static void *drive(void *arg)
{
	int fd = *(int *)arg;

	while (send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == EAGAIN)
		usleep(1000);
	return NULL;
}

CASE(woken_by_other_thread)
{
	int fd = pending(PEER, ECHO);
	pthread_t t = thread(drive, &fd);

	show_poll(fd, POLLOUT, LONG);
	join(t);
	show_poll(fd, POLLIN, LONG);
	show_read(fd, 10, 0);
}

static void *drive_refused(void *arg)
{
	int fd = *(int *)arg, e = 0;
	socklen_t len = sizeof(e);

	for (;;) {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len);
		if (e)
			break;
		usleep(1000);
	}
	return (void *)(long)e;
}

CASE(woken_by_other_thread_refused)
{
	int fd = pending(PEER, REFUSED);
	pthread_t t = thread(drive_refused, &fd);
	struct pollfd p = { fd, POLLOUT, 0 };
	void *e;

	T(poll(&p, 1, LONG));
	say("%s", poll_names((unsigned)p.revents & (POLLOUT | POLLHUP)));
	pthread_join(t, &e);
	say("%s", err_name((int)(long)e));
}

static void many_open(rlim_t n)
{
	struct rlimit r;

	MUST(getrlimit(RLIMIT_NOFILE, &r));
	r.rlim_cur = n < r.rlim_max ? n : r.rlim_max;
	MUST(setrlimit(RLIMIT_NOFILE, &r));
}

CASE_ATTR(ten_thousand_fds, "alone")
{
	enum { N = 10000 };
	static struct pollfd v[N];
	int fd, p[2];
	int64_t t0;

	many_open(N + 100);
	MUST(pipe(p));
	for (int i = 0; i < N; i++)
		v[i] = (struct pollfd){ i < 2 ? -1 : dup(p[0]), POLLIN, 0 };
	v[N / 2].fd = fd = pending(PEER, ECHO);
	v[N / 2].events = POLLIN | POLLOUT;
	t0 = now_ms();
	T(poll(v, N, LONG));
	say("%s %s", poll_names((unsigned)v[N / 2].revents), since(t0));
	v[N - 1].fd = pending(PEER, REFUSED);
	v[N / 2].events = POLLIN;
	T(poll(v, N, LONG));
	say("%s %s", poll_names((unsigned)v[N / 2].revents), poll_names((unsigned)v[N - 1].revents));
	show_echo(fd);
}

CASE_ATTR(select_high_fd, "alone")
{
	int fd = pending(PEER, ECHO), high = MUST(fcntl(fd, F_DUPFD, 1000));

	show_select(high, LONG);
	show_echo(high);
}

CASE(fifty_mixed)
{
	struct pollfd v[50];
	int ok = 0, refused = 0, left = 50;
	int64_t t0 = now_ms();

	for (int i = 0; i < 50; i++)
		v[i] = (struct pollfd){ pending(PEER, i % 3 ? ECHO : REFUSED), POLLOUT, 0 };
	while (left && poll(v, 50, LONG) > 0) {
		for (int i = 0; i < 50; i++) {
			int e = 0;
			socklen_t len = sizeof(e);

			if (v[i].fd < 0 || !v[i].revents)
				continue;
			getsockopt(v[i].fd, SOL_SOCKET, SO_ERROR, &e, &len);
			ok += !e && v[i].revents == POLLOUT;
			/* A scan may meet the very moment of a reset: then ERR comes alone. */
			refused += e == ECONNREFUSED && (v[i].revents & POLLERR);
			v[i].fd = -1;
			left--;
		}
	}
	say("ok %d refused %d left %d %s", ok, refused, left, since(t0));
}

/* SPDX-License-Identifier: MIT */
/* epoll beyond one registration: errors of epoll_ctl, changes while pending, nesting, two sets, threads, closing, timeouts. */
#include "../case.h"

#define ADD(ep, fd, ev, data) T(add_epoll(ep, fd, ev, data))
#define MOD(ep, fd, ev, data) T(mod_epoll(ep, fd, ev, data))

static int set(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

CASE(ctl_errors)
{
	int ep = set(), fd = pending(PEER, ECHO), other = sock(0), file = open(case_self, O_RDONLY), closed = dup(fd);
	struct epoll_event ev = { .events = EPOLLOUT, .data.u64 = 1 };

	close(closed);
	T(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, file, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, closed, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev));
	T(epoll_ctl(other, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_ctl(-1, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, -1, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, other, NULL));
	T(epoll_ctl(ep, EPOLL_CTL_MOD, fd, NULL));
	T(epoll_ctl(ep, 77, fd, &ev));
	T(epoll_ctl(ep, 77, other, &ev));
	ev.events = EPOLLOUT | EPOLLEXCLUSIVE;
	T(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
	show_epoll(ep, 0);
	T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
	T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
	ev.events = EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT;
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	ev.events = EPOLLOUT | EPOLLEXCLUSIVE | EPOLLRDHUP;
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	ev.events = EPOLLOUT | EPOLLEXCLUSIVE;
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
	ev.events = EPOLLOUT;
	T(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
	show_epoll(ep, LONG);
}

CASE(wait_errors)
{
	int ep = set(), fd = pending(PEER, ECHO);
	volatile int negative = -1;
	struct epoll_event ev[2];

	ADD(ep, fd, EPOLLOUT, 1);
	T(epoll_wait(ep, ev, 0, 0));
	T(epoll_wait(ep, ev, negative, 0));
	T(epoll_wait(fd, ev, 2, 0));
	T(epoll_wait(-1, ev, 2, 0));
	wait_connected(fd);
	show_epoll(ep, 0);
}

CASE(mod_data_while_pending) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT, 1); MOD(ep, fd, EPOLLOUT, 2); show_epoll(ep, 0); show_epoll(ep, LONG); show_echo(fd); }
CASE(mod_in_to_out) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLIN, 1); MOD(ep, fd, EPOLLOUT, 2); show_epoll(ep, LONG); }
CASE(mod_out_to_in) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT, 1); MOD(ep, fd, EPOLLIN, 2); show_epoll(ep, quarters(8)); show_echo(fd); }
CASE(mod_to_none) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT, 1); MOD(ep, fd, 0, 2); show_epoll(ep, quarters(8)); MOD(ep, fd, EPOLLOUT, 3); show_epoll(ep, 0); }
CASE(mod_from_none) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, 0, 1); show_epoll(ep, 0); MOD(ep, fd, EPOLLOUT | EPOLLET, 2); show_epoll(ep, LONG); show_epoll(ep, 0); }
CASE(mod_to_none_refused) { int ep = set(), fd = pending(PEER, REFUSED); ADD(ep, fd, EPOLLOUT, 1); MOD(ep, fd, 0, 2); show_epoll(ep, LONG); show_so_error(fd); show_epoll(ep, 0); }
CASE(mod_lt_to_et) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT, 1); MOD(ep, fd, EPOLLOUT | EPOLLET, 2); show_epoll(ep, LONG); show_epoll(ep, 0); MOD(ep, fd, EPOLLOUT | EPOLLET, 3); show_epoll(ep, 0); show_epoll(ep, 0); }
CASE(mod_et_rearm) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT | EPOLLET, 1); MOD(ep, fd, EPOLLOUT | EPOLLET, 1); show_epoll(ep, 0); show_epoll(ep, LONG); show_epoll(ep, 0); }
CASE(del_while_pending) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT, 1); T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL)); show_epoll(ep, quarters(8)); show_poll(fd, POLLOUT, 0); show_echo(fd); }
CASE(del_add_while_pending) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT, 1); T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL)); ADD(ep, fd, EPOLLOUT | EPOLLET, 2); show_epoll(ep, 0); show_epoll(ep, LONG); show_epoll(ep, 0); }
CASE(oneshot_rearm) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT | EPOLLONESHOT, 1); show_epoll(ep, LONG); show_epoll(ep, 0); MOD(ep, fd, EPOLLOUT | EPOLLONESHOT, 2); show_epoll(ep, 0); show_epoll(ep, 0); }
CASE(oneshot_spent_before_connect) { int ep = set(), fd = sock(SOCK_NONBLOCK); ADD(ep, fd, EPOLLOUT | EPOLLONESHOT, 1); show_epoll(ep, 0); T(connect(fd, TO(PEER, ECHO))); MOD(ep, fd, EPOLLOUT | EPOLLONESHOT, 2); show_epoll(ep, 0); show_epoll(ep, LONG); show_epoll(ep, 0); }
CASE(del_after_completion) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT, 1); nap(6); T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL)); show_epoll(ep, 0); show_echo(fd); }
CASE(mod_after_completion) { int ep = set(), fd = pending(PEER, FIRST); ADD(ep, fd, EPOLLOUT, 1); nap(11); MOD(ep, fd, EPOLLIN, 2); show_epoll(ep, 0); show_read(fd, 10, 0); }

CASE(reconnect_after_refusal)
{
	int ep = set(), fd = pending(PEER, REFUSED);

	ADD(ep, fd, EPOLLOUT | EPOLLIN | EPOLLET, 5);
	show_epoll(ep, LONG);
	swallow_repeat(ep);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	show_epoll(ep, 0);
	show_so_error(fd);
	show_echo(fd);
	show_epoll(ep, 0);
}

static void in_poll(int port, uint32_t events)
{
	int ep = set(), fd = pending(PEER, port);

	ADD(ep, fd, events, 7);
	show_poll(ep, POLLIN, 0);
	show_select(ep, 0);
	show_poll(ep, POLLIN, LONG);
	show_select(ep, 0);
	show_epoll(ep, 0);
	show_poll(ep, POLLIN, 0);
	show_so_error(fd);
}

CASE(in_poll_lt) { in_poll(ECHO, EPOLLOUT); }
CASE(in_poll_et) { in_poll(ECHO, EPOLLOUT | EPOLLET); }
CASE(in_poll_oneshot) { in_poll(ECHO, EPOLLOUT | EPOLLONESHOT); }
CASE(in_poll_refused) { in_poll(REFUSED, EPOLLIN | EPOLLET); }
CASE(in_poll_in_first) { in_poll(FIRST, EPOLLIN); }

CASE(in_poll_never) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLIN, 7); show_poll(ep, POLLIN, quarters(8)); show_epoll(ep, 0); show_echo(fd); }
CASE(in_select_short) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT, 7); show_select(ep, SHORT); show_select(ep, LONG); }

static void nested(int port, uint32_t inner_events, uint32_t outer_events)
{
	int outer = set(), inner = set(), fd = pending(PEER, port);

	ADD(inner, fd, inner_events, 1);
	ADD(outer, inner, outer_events, 2);
	show_epoll(outer, 0);
	show_epoll(outer, LONG);
	show_epoll(outer, 0);
	show_epoll(inner, 0);
	show_epoll(outer, 0);
	show_so_error(fd);
}

CASE(nested_lt_lt) { nested(ECHO, EPOLLOUT, EPOLLIN); }
CASE(nested_et_lt) { nested(ECHO, EPOLLOUT | EPOLLET, EPOLLIN); }
CASE(nested_lt_et) { nested(ECHO, EPOLLOUT, EPOLLIN | EPOLLET); }
CASE(nested_et_et) { nested(ECHO, EPOLLOUT | EPOLLET, EPOLLIN | EPOLLET); }
CASE(nested_oneshot) { nested(ECHO, EPOLLOUT | EPOLLONESHOT, EPOLLIN | EPOLLONESHOT); }
CASE(nested_refused) { nested(REFUSED, EPOLLIN | EPOLLOUT, EPOLLIN); }

CASE(nested_twice)
{
	int a = set(), b = set(), c = set(), fd = pending(PEER, ECHO);

	ADD(c, fd, EPOLLOUT, 1);
	ADD(b, c, EPOLLIN, 2);
	ADD(a, b, EPOLLIN, 3);
	show_poll(a, POLLIN, 0);
	show_epoll(a, LONG);
	show_epoll(b, 0);
	show_epoll(c, 0);
}

CASE(two_sets)
{
	int a = set(), b = set(), fd = pending(PEER, ECHO);

	ADD(a, fd, EPOLLOUT, 1);
	ADD(b, fd, EPOLLIN | EPOLLOUT | EPOLLET, 2);
	show_epoll(a, 0);
	show_epoll(b, 0);
	show_epoll(a, LONG);
	show_epoll(b, 0);
	show_epoll(b, 0);
	show_epoll(a, 0);
	show_echo(fd);
}

CASE(two_sets_one_unwatched)
{
	int a = set(), b = set(), fd = pending(PEER, REFUSED);

	ADD(a, fd, EPOLLIN, 1);
	ADD(b, fd, 0, 2);
	show_epoll(b, LONG);
	show_epoll(a, 0);
	show_so_error(fd);
	show_epoll(a, 0);
	show_epoll(b, 0);
}

CASE(alias_in_one_set)
{
	int ep = set(), fd = pending(PEER, ECHO), d = dup(fd);

	ADD(ep, fd, EPOLLOUT, 1);
	ADD(ep, d, EPOLLIN | EPOLLOUT | EPOLLET, 2);
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	show_epoll(ep, 0);
	T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
	show_epoll(ep, 0);
}

CASE(alias_registered)
{
	int ep = set(), fd = sock(SOCK_NONBLOCK), d = dup(fd);

	ADD(ep, d, EPOLLOUT, 2);
	T(connect(fd, TO(PEER, ECHO)));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	show_echo(d);
}

CASE(set_alias)
{
	int ep = set(), ep2 = dup(ep), fd = pending(PEER, ECHO);

	ADD(ep, fd, EPOLLOUT, 1);
	show_epoll(ep2, 0);
	T(mod_epoll(ep2, fd, EPOLLOUT | EPOLLET, 2));
	close(ep);
	show_epoll(ep2, LONG);
	show_epoll(ep2, 0);
}

struct waiter {
	int ep, timeout, n;
	struct epoll_event ev;
};

static void *wait_in_thread(void *arg)
{
	struct waiter *w = arg;

	w->n = epoll_wait(w->ep, &w->ev, 1, w->timeout);
	return NULL;
}

static void say_waiter(const struct waiter *w)
{
	if (w->n == 1)
		say("waiter: [%s %llx]", epoll_names(w->ev.events), (unsigned long long)w->ev.data.u64);
	else
		say("waiter: %d", w->n);
}

static void already_blocked(int port, uint32_t events, bool before)
{
	struct waiter w = { .ep = set(), .timeout = LONG };
	int fd = sock(SOCK_NONBLOCK);
	int64_t t0;
	pthread_t t;

	if (before) {
		struct epoll_event ev;

		ADD(w.ep, fd, events | EPOLLET, 3);
		T(epoll_wait(w.ep, &ev, 1, 0));
	}
	t = thread(wait_in_thread, &w);
	nap(1);
	t0 = now_ms();
	T(connect(fd, TO(PEER, port)));
	if (!before)
		ADD(w.ep, fd, events, 3);
	join(t);
	say_waiter(&w);
	say("%s", since(t0));
	show_so_error(fd);
}

CASE(blocked_waiter_wakes) { already_blocked(ECHO, EPOLLOUT, false); }
CASE(blocked_waiter_wakes_et) { already_blocked(ECHO, EPOLLOUT | EPOLLET, false); }
CASE(blocked_waiter_wakes_refused) { already_blocked(REFUSED, EPOLLOUT, false); }
CASE(blocked_waiter_wakes_in) { already_blocked(FIRST, EPOLLIN, false); }
CASE(blocked_waiter_added_before) { already_blocked(ECHO, EPOLLOUT, true); }
CASE(blocked_waiter_added_before_refused) { already_blocked(REFUSED, EPOLLIN, true); }

CASE(blocked_waiter_mod)
{
	struct waiter w = { .ep = set(), .timeout = LONG };
	int fd = pending(PEER, ECHO);
	int64_t t0 = now_ms();
	pthread_t t;

	ADD(w.ep, fd, EPOLLIN, 1);
	t = thread(wait_in_thread, &w);
	nap(1);
	MOD(w.ep, fd, EPOLLOUT, 2);
	join(t);
	say_waiter(&w);
	say("%s", since(t0));
}

/* Another call of another thread completes the connect while this one is blocked. */
CASE(blocked_waiter_driven_elsewhere)
{
	struct waiter w = { .ep = set(), .timeout = LONG };
	int fd = pending(PEER, ECHO);
	pthread_t t;

	ADD(w.ep, fd, EPOLLOUT | EPOLLET, 1);
	t = thread(wait_in_thread, &w);
	while (send(fd, "x", 1, 0) < 0 && errno == EAGAIN)
		usleep(1000);
	join(t);
	say_waiter(&w);
	show_poll(fd, POLLIN, LONG);
}

static void two_waiters(uint32_t events)
{
	struct waiter a = { .ep = set(), .timeout = quarters(8) }, b = a;
	int fd = pending(PEER, ECHO);
	pthread_t t, u;

	ADD(a.ep, fd, events, 1);
	t = thread(wait_in_thread, &a);
	u = thread(wait_in_thread, &b);
	join(t);
	join(u);
	say("woken %d", a.n + b.n);
}

CASE(two_waiters_oneshot) { two_waiters(EPOLLOUT | EPOLLONESHOT); }
CASE(two_waiters_et) { two_waiters(EPOLLOUT | EPOLLET); }

CASE(one_of_two_sets_blocked)
{
	struct waiter a = { .ep = set(), .timeout = LONG }, b = { .ep = set(), .timeout = LONG };
	int fd = pending(PEER, ECHO);
	pthread_t t, u;

	ADD(a.ep, fd, EPOLLOUT, 1);
	ADD(b.ep, fd, EPOLLOUT | EPOLLET, 2);
	t = thread(wait_in_thread, &a);
	u = thread(wait_in_thread, &b);
	join(t);
	join(u);
	say_waiter(&a);
	say_waiter(&b);
}

CASE(close_while_registered)
{
	int ep = set(), fd = pending(PEER, ECHO);

	ADD(ep, fd, EPOLLOUT, 1);
	T(close(fd));
	show_epoll(ep, quarters(8));
	T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
}

CASE(close_alias_while_registered)
{
	int ep = set(), fd = pending(PEER, ECHO), d = dup(fd);

	ADD(ep, fd, EPOLLOUT, 1);
	T(close(fd));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	show_epoll(ep, 0);
	T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
	show_echo(d);
	T(close(d));
	show_epoll(ep, 0);
}

CASE(close_alias_refused)
{
	int ep = set(), fd = pending(PEER, REFUSED), d = dup(fd);

	ADD(ep, fd, EPOLLOUT | EPOLLET, 1);
	T(close(fd));
	show_epoll(ep, LONG);
	swallow_repeat(ep);
	show_epoll(ep, 0);
	show_so_error(d);
}

CASE(close_then_number_reused)
{
	int ep = set(), fd = pending(PEER, ECHO), fd2;

	ADD(ep, fd, EPOLLOUT, 1);
	close(fd);
	fd2 = pending(PEER, REFUSED);
	say("same number %d", fd == fd2);
	show_epoll(ep, 0);
	ADD(ep, fd2, EPOLLIN, 2);
	show_epoll(ep, LONG);
	show_so_error(fd2);
}

CASE(set_closed_while_pending)
{
	int ep = set(), fd = pending(PEER, ECHO);

	ADD(ep, fd, EPOLLOUT, 1);
	T(close(ep));
	show_poll(fd, POLLOUT, LONG);
	show_echo(fd);
	ep = set();
	ADD(ep, fd, EPOLLOUT, 2);
	show_epoll(ep, 0);
}

CASE(set_number_reused)
{
	int ep = set(), fd = pending(PEER, ECHO), ep2;

	ADD(ep, fd, EPOLLOUT, 1);
	close(ep);
	ep2 = set();
	say("same number %d", ep == ep2);
	show_epoll(ep2, quarters(8));
	T(epoll_ctl(ep2, EPOLL_CTL_DEL, fd, NULL));
	show_echo(fd);
}

CASE(maxevents_one)
{
	int ep = set();
	struct epoll_event ev;
	uint64_t seen = 0;

	for (int i = 0; i < 5; i++)
		MUST(add_epoll(ep, pending(PEER, i % 2 ? REFUSED : ECHO), EPOLLOUT | EPOLLET, 1ull << i));
	show_epoll(ep, 0);
	nap(6);
	for (int i = 0; i < 5; i++) {
		T(epoll_wait(ep, &ev, 1, 0));
		seen |= ev.data.u64;
	}
	say("seen %llx", (unsigned long long)seen);
	T(epoll_wait(ep, &ev, 1, 0));
}

CASE(fifty_mixed)
{
	int ep = set(), ok = 0, refused = 0, early = 0, wrong = 0;
	int fds[50];
	int64_t t0 = now_ms();

	for (int i = 0; i < 50; i++) {
		fds[i] = sock(SOCK_NONBLOCK);
		if (i % 2)
			MUST(add_epoll(ep, fds[i], EPOLLIN | EPOLLOUT | EPOLLET, 1000 + i));
		if (connect(fds[i], TO(PEER, i % 3 ? ECHO : REFUSED)) == 0 || errno != EINPROGRESS)
			wrong++;
		if (!(i % 2))
			MUST(add_epoll(ep, fds[i], EPOLLIN | EPOLLOUT | EPOLLET, 1000 + i));
	}
	while (ok + refused + wrong < 50) {
		struct epoll_event ev[8];
		int n = epoll_wait(ep, ev, 8, LONG);

		if (n <= 0)
			break;
		for (int k = 0; k < n; k++) {
			int i = (int)ev[k].data.u64 - 1000, e = 0;
			socklen_t len = sizeof(e);

			if (ev[k].events == (EPOLLOUT | EPOLLHUP) && now_ms() - t0 < rtt_ms / 2) {
				early++;	/* unconnected when added: as natively */
				continue;
			}
			getsockopt(fds[i], SOL_SOCKET, SO_ERROR, &e, &len);
			if (i % 3)
				ok += !e && ev[k].events == EPOLLOUT;
			else
				refused += e == ECONNREFUSED;
		}
	}
	say("ok %d refused %d wrong %d %s", ok, refused, wrong, since(t0));
	say("nothing else: %d", epoll_wait(ep, &(struct epoll_event){ 0 }, 1, 0));
}

CASE(short_timeout) { int ep = set(), fd = pending(PEER, ECHO); int64_t t0 = now_ms(); ADD(ep, fd, EPOLLOUT, 1); show_epoll(ep, SHORT); say_span("waited", t0, 1, 3); show_epoll(ep, -1); }

CASE(pwait2)
{
	int ep = set(), fd = pending(PEER, ECHO);
	struct epoll_event ev;
	struct timespec ts = { 0, SHORT * 1000000L }, zero = { 0, 0 }, bad = { 0, 1000000000 };
	int64_t t0 = now_ms();

	ADD(ep, fd, EPOLLOUT, 1);
	T(epoll_pwait2(ep, &ev, 1, &zero, NULL));
	T(epoll_pwait2(ep, &ev, 1, &ts, NULL));
	say_span("waited", t0, 1, 3);
	T(epoll_pwait2(ep, &ev, 1, &bad, NULL));
	T(epoll_pwait2(ep, &ev, 1, NULL, NULL));
	say("%s %llx %s", epoll_names(ev.events), (unsigned long long)ev.data.u64, since(t0));
}

CASE(pwait_mask)
{
	int ep = set(), fd = pending(PEER, ECHO);
	struct epoll_event ev;
	sigset_t usr1, none;

	sigemptyset(&none);
	usr1 = none;
	sigaddset(&usr1, SIGUSR1);
	on_signal(SIGUSR1, SA_RESTART);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	ADD(ep, fd, EPOLLOUT, 1);
	T(epoll_pwait(ep, &ev, 1, -1, &none));
	say("seen %d", signals_seen);
	raise(SIGUSR1);
	T(epoll_pwait2(ep, &ev, 1, NULL, &none));
	say("seen %d", signals_seen);
	raise(SIGUSR1);
	T(epoll_pwait(ep, &ev, 1, -1, NULL));
	say("seen %d", signals_seen);
	show_echo(fd);
}

CASE(eintr)
{
	int ep = set(), fd = pending(PEER, ECHO);

	on_signal(SIGUSR1, SA_RESTART);
	ADD(ep, fd, EPOLLOUT, 1);
	signal_after(1, SIGUSR1);
	show_epoll(ep, LONG);
	say("seen %d", signals_seen);
	show_epoll(ep, LONG);
	show_echo(fd);
}

CASE(pipe_beside_pending)
{
	int ep = set(), fd = pending(SILENT, ECHO), p[2];
	int64_t t0;

	MUST(pipe(p));
	ADD(ep, fd, EPOLLIN | EPOLLOUT, 1);
	ADD(ep, p[0], EPOLLIN, 2);
	MUST(write(p[1], "x", 1));
	t0 = now_ms();
	show_epoll(ep, LONG);
	say_span("at once", t0, 0, 1);
	T(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	show_epoll(ep, SHORT);
}

CASE(wakeup_flag) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT | EPOLLWAKEUP, 1); show_epoll(ep, LONG); }
CASE(pri_only) { int ep = set(), fd = pending(PEER, REFUSED); ADD(ep, fd, EPOLLPRI, 1); show_epoll(ep, 0); show_epoll(ep, LONG); }
CASE(rdhup_only) { int ep = set(), fd = pending(PEER, CLOSE); ADD(ep, fd, EPOLLRDHUP, 1); show_epoll(ep, 0); show_epoll(ep, LONG); }
CASE(hup_bits_asked) { int ep = set(), fd = pending(PEER, REFUSED); ADD(ep, fd, EPOLLERR | EPOLLHUP | EPOLLET, 1); show_epoll(ep, 0); show_epoll(ep, LONG); swallow_repeat(ep); show_epoll(ep, 0); }
CASE(norm_bits) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLRDNORM | EPOLLWRNORM | EPOLLWRBAND, 1); show_epoll(ep, 0); show_epoll(ep, LONG); }
CASE(pointer_data) { int ep = set(), fd = pending(PEER, ECHO); ADD(ep, fd, EPOLLOUT, (uint64_t)-1); show_epoll(ep, LONG); MOD(ep, fd, EPOLLOUT, 0); show_epoll(ep, 0); }

/* An edge is delivered once however often the socket is looked at meanwhile. */
CASE(et_with_polls_between)
{
	int ep = set(), fd = pending(PEER, ECHO);

	ADD(ep, fd, EPOLLOUT | EPOLLET, 1);
	for (int i = 0; i < 3; i++) {
		show_poll(fd, POLLOUT, 0);
		show_epoll(ep, 0);
		show_so_error(fd);
	}
	show_poll(fd, POLLOUT, LONG);
	show_epoll(ep, 0);
	show_epoll(ep, 0);
	show_echo(fd);
	show_epoll(ep, 0);
}

CASE(et_driven_by_send)
{
	int ep = set(), fd = pending(PEER, ECHO);

	ADD(ep, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1);
	nap(6);
	T(send(fd, "x", 1, 0));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	show_epoll(ep, 0);
}

CASE(add_before_bind_connect)
{
	int ep = set(), fd = sock(SOCK_NONBLOCK);
	struct sockaddr_in any = { .sin_family = AF_INET };

	ADD(ep, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 1);
	show_epoll(ep, 0);
	T(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	show_epoll(ep, 0);
	T(connect(fd, TO(PEER, ECHO)));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	show_epoll(ep, 0);
}

CASE(blocking_connect_registered)
{
	int ep = set(), fd = sock(0);

	ADD(ep, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1);
	show_epoll(ep, 0);
	T(connect(fd, TO(PEER, ECHO)));
	show_epoll(ep, 0);
	show_epoll(ep, 0);
	show_echo(fd);
}

CASE(blocking_refused_registered)
{
	int ep = set(), fd = sock(0);

	ADD(ep, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1);
	show_epoll(ep, 0);
	T(connect(fd, TO(PEER, REFUSED)));
	show_epoll(ep, 0);
	show_epoll(ep, 0);
}

/* SPDX-License-Identifier: MIT */
/* epoll among threads, and closing what is registered: waiters already blocked, aliases, numbers and sets reused. */
#include "../case.h"
#include "epoll.h"

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

/* SPDX-License-Identifier: MIT */
/* epoll beyond one registration: errors of epoll_ctl, changes while pending, nesting, two sets, aliases. */
#include "../case.h"
#include "epoll.h"

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

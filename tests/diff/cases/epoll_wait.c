/* SPDX-License-Identifier: MIT */
/* epoll_wait itself: many sockets, timeouts, masks, interruption, company, bits beyond IN and OUT. */
#include "../case.h"
#include "epoll.h"

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

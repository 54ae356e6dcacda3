/* SPDX-License-Identifier: MIT */
/* Blocking sockets: signals with and without SA_RESTART, cancellation, and other threads at the same socket. */
#include "../case.h"

static void interrupted(int port, int flags)
{
	int fd = sock(0);
	int64_t t0 = now_ms();

	on_signal(SIGUSR1, flags);
	signal_after(1, SIGUSR1);
	T(connect(fd, TO(PEER, port)));
	say("seen %d %s", signals_seen, since(t0));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG);
	show_so_error(fd);
	show_peer(fd);
	if (port == ECHO)
		show_echo(fd);
}

CASE(eintr_connect) { interrupted(ECHO, 0); }
CASE(eintr_connect_restart) { interrupted(ECHO, SA_RESTART); }
CASE(eintr_connect_refused) { interrupted(REFUSED, 0); }
CASE(eintr_connect_restart_refused) { interrupted(REFUSED, SA_RESTART); }

CASE(eintr_then_connect)
{
	int fd = sock(0);
	int64_t t0 = now_ms();

	on_signal(SIGUSR1, 0);
	signal_after(1, SIGUSR1);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	say("%s", since(t0));
	T(connect(fd, TO(PEER, ECHO)));
	show_echo(fd);
}

CASE(eintr_then_send) { int fd = sock(0); on_signal(SIGUSR1, 0); signal_after(1, SIGUSR1); T(connect(fd, TO(PEER, ECHO))); T(send(fd, "hey", 3, 0)); show_read(fd, 10, 0); }
CASE(eintr_then_read_refused) { int fd = sock(0); char c; on_signal(SIGUSR1, 0); signal_after(1, SIGUSR1); T(connect(fd, TO(PEER, REFUSED))); T(read(fd, &c, 1)); T(read(fd, &c, 1)); }
CASE(eintr_twice) { int fd = sock(0); on_signal(SIGUSR1, 0); signal_after(1, SIGUSR1); signal_after(2, SIGUSR1); T(connect(fd, TO(PEER, ECHO))); T(connect(fd, TO(PEER, ECHO))); show_poll(fd, POLLOUT, LONG); show_echo(fd); }
CASE(restart_many) { int fd = sock(0); int64_t t0 = now_ms(); on_signal(SIGUSR1, SA_RESTART); for (int i = 0; i < 5; i++) signal_after(1, SIGUSR1); signal_after(2, SIGUSR1); T(connect(fd, TO(PEER, ECHO))); say("seen some %d %s", signals_seen > 1, since(t0)); show_echo(fd); }
CASE(eintr_sndtimeo) { int fd = sock(0); struct timeval tv = { 30, 0 }; setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)); on_signal(SIGUSR1, SA_RESTART); signal_after(1, SIGUSR1); T(connect(fd, TO(PEER, ECHO))); show_poll(fd, POLLOUT, LONG); show_echo(fd); }

CASE(eintr_recv) { int fd = connected(0, PEER, ECHO); char c; on_signal(SIGUSR1, 0); signal_after(1, SIGUSR1); T(recv(fd, &c, 1, 0)); show_echo(fd); }
CASE(restart_recv) { int fd = connected(0, PEER, ECHO); char c; MUST(send(fd, "x", 1, 0)); on_signal(SIGUSR1, SA_RESTART); signal_after(1, SIGUSR1); T(recv(fd, &c, 1, 0)); say("seen %d", signals_seen); }
CASE(eintr_recv_toggled) { int fd = pending(PEER, FIRST); char c; set_nonblock(fd, false); on_signal(SIGUSR1, 0); signal_after(1, SIGUSR1); T(recv(fd, &c, 1, 0)); T(recv(fd, &c, 1, 0)); }
CASE(eintr_send_toggled) { int fd = pending(PEER, ECHO); set_nonblock(fd, false); on_signal(SIGUSR1, 0); signal_after(1, SIGUSR1); T(send(fd, "x", 1, 0)); T(send(fd, "x", 1, 0)); show_poll(fd, POLLIN, LONG); }
CASE(restart_send_toggled) { int fd = pending(PEER, ECHO); set_nonblock(fd, false); on_signal(SIGUSR1, SA_RESTART); signal_after(1, SIGUSR1); T(send(fd, "x", 1, 0)); show_poll(fd, POLLIN, LONG); }

CASE(alarm_aborts)
{
	int fd = sock(0);
	int64_t t0 = now_ms();

	on_signal(SIGALRM, 0);
	signal_after(4, SIGALRM);
	T(connect(fd, TO(SILENT, ECHO)));
	say("%s", since(t0));
	T(close(fd));
}

/* A handler that itself connects and polls: nothing may deadlock or mix up. */
static int handler_fd;

static void busy_handler(int sig)
{
	int saved = errno;

	(void)sig;
	handler_fd = pending(PEER, ECHO);
	show_poll(handler_fd, POLLOUT, 0);
	errno = saved;
}

CASE(handler_connects)
{
	struct sigaction sa = { .sa_handler = busy_handler };
	int fd = sock(0);

	sigaction(SIGUSR1, &sa, NULL);
	signal_after(1, SIGUSR1);
	T(connect(fd, TO(PEER, ECHO)));
	wait_connected(fd);
	wait_connected(handler_fd);
	show_echo(fd);
	show_echo(handler_fd);
}

/* --- cancellation --- */

static void *in_connect(void *arg) { connect(*(int *)arg, TO(SILENT, ECHO)); return NULL; }
static void *in_poll(void *arg) { struct pollfd p = { *(int *)arg, POLLOUT, 0 }; poll(&p, 1, -1); return NULL; }
static void *in_recv(void *arg) { char c; recv(*(int *)arg, &c, 1, 0); return NULL; }
static void *in_select(void *arg) { fd_set w; FD_ZERO(&w); FD_SET(*(int *)arg, &w); select(*(int *)arg + 1, NULL, &w, NULL, NULL); return NULL; }
static void *in_send(void *arg) { send(*(int *)arg, "x", 1, MSG_NOSIGNAL); return NULL; }
static void *in_epoll(void *arg)
{
	struct epoll_event ev;
	int ep = epoll_create1(0);

	add_epoll(ep, *(int *)arg, EPOLLOUT, 1);
	epoll_wait(ep, &ev, 1, -1);
	return NULL;
}

static void cancelled(void *(*fn)(void *), int fd)
{
	pthread_t t = thread(fn, &fd);
	int64_t t0;
	void *result;

	nap(2);
	t0 = now_ms();
	pthread_cancel(t);
	pthread_join(t, &result);
	say("cancelled %d", result == PTHREAD_CANCELED);
	say_span("at once", t0, 0, 2);
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_so_error(fd);
	T(close(fd));
	show_echo(connected(0, PEER, ECHO));
}

static int blocking_pending(void) { int fd = pending(SILENT, ECHO); set_nonblock(fd, false); return fd; }

CASE(cancel_connect) { cancelled(in_connect, sock(0)); }
CASE(cancel_poll) { cancelled(in_poll, pending(SILENT, ECHO)); }
CASE(cancel_select) { cancelled(in_select, pending(SILENT, ECHO)); }
CASE(cancel_epoll) { cancelled(in_epoll, pending(SILENT, ECHO)); }
CASE(cancel_recv) { cancelled(in_recv, connected(0, PEER, ECHO)); }
CASE(cancel_recv_pending) { cancelled(in_recv, blocking_pending()); }
CASE(cancel_send_pending) { cancelled(in_send, blocking_pending()); }

static int cleaned;
static void clean(void *arg) { cleaned = *(int *)arg; }
static void *with_cleanup(void *arg)
{
	int n = 5;

	pthread_cleanup_push(clean, &n);
	connect(*(int *)arg, TO(SILENT, ECHO));
	pthread_cleanup_pop(0);
	return NULL;
}
CASE(cancel_cleanup) { cancelled(with_cleanup, sock(0)); say("cleaned %d", cleaned); }

static void *masked(void *arg)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	connect(*(int *)arg, TO(PEER, ECHO));
	show_echo(*(int *)arg);
	return (void *)9;
}
CASE(cancel_disabled)
{
	int fd = sock(0);
	pthread_t t = thread(masked, &fd);
	void *r;

	nap(1);
	pthread_cancel(t);
	pthread_join(t, &r);
	say("%ld", (long)r);
}

/* --- two threads, one socket --- */

struct call {
	int fd, result, err;
	int64_t took;
};

static void *connect_too(void *arg)
{
	struct call *c = arg;
	int64_t t0 = now_ms();

	c->result = connect(c->fd, TO(PEER, ECHO));
	c->err = errno;
	c->took = (now_ms() - t0 + rtt_ms / 4) / rtt_ms;
	return NULL;
}

CASE(two_connects)
{
	struct call a = { .fd = sock(0) };
	pthread_t t = thread(connect_too, &a);
	int r;

	nap(1);
	r = connect(a.fd, TO(PEER, ECHO));
	join(t);
	/* Which of the two gets 0 is the scheduler's choice; the other learns EISCONN. */
	say("one connected %d", (r == 0) + (a.result == 0));
	say("another %s", r == 0 && a.result == 0 ? "too" : err_name(r ? errno : a.err));
	show_echo(a.fd);
}

static void *recv_blocked(void *arg)
{
	struct call *c = arg;
	char b[8];

	c->result = (int)recv(c->fd, b, sizeof(b), 0);
	c->err = errno;
	return NULL;
}

CASE(recv_during_connect)
{
	struct call a = { .fd = sock(0) }, b;
	pthread_t t = thread(connect_too, &a), u;

	nap(1);
	b = a;
	u = thread(recv_blocked, &b);
	join(t);
	say("connect %d", a.result);
	T(send(a.fd, "hey", 3, 0));
	join(u);
	say("recv %d", b.result);
}

CASE(dontwait_during_connect)
{
	struct call a = { .fd = sock(0) };
	pthread_t t = thread(connect_too, &a);
	char c;

	nap(1);
	T(recv(a.fd, &c, 1, MSG_DONTWAIT));
	T(send(a.fd, "x", 1, MSG_DONTWAIT));
	show_poll(a.fd, POLLIN | POLLOUT, 0);
	show_so_error(a.fd);
	show_peer(a.fd);
	show_poll(a.fd, POLLIN | POLLOUT, LONG);
	join(t);
	say("connect %d", a.result);
	show_echo(a.fd);
}

static void *connect_refused(void *arg)
{
	struct call *c = arg;

	c->result = connect(c->fd, TO(PEER, REFUSED));
	c->err = errno;
	return NULL;
}

CASE(poll_during_blocking_connect_refused)
{
	struct call a = { .fd = sock(0) };
	pthread_t t = thread(connect_refused, &a);
	struct pollfd p = { a.fd, POLLOUT, 0 };

	nap(1);
	T(poll(&p, 1, LONG));
	say("HUP %d", (p.revents & POLLHUP) != 0);
	join(t);
	say("connect %d %s", a.result, err_name(a.err));
}

static void *shut_it(void *arg)
{
	nap(1);
	shutdown(((struct call *)arg)->fd, SHUT_RDWR);
	return NULL;
}

CASE(recv_while_other_shuts)
{
	struct call a = { .fd = connected(0, PEER, ECHO) };
	pthread_t t = thread(recv_blocked, &a);

	shut_it(&a);
	join(t);
	say("recv %d", a.result);
	show_peer(a.fd);
}

CASE(recv_while_other_shuts_pending)
{
	struct call a = { .fd = blocking_pending() };
	pthread_t t = thread(recv_blocked, &a);

	shut_it(&a);
	join(t);
	say("recv %d %s", a.result, a.result < 0 ? err_name(a.err) : "");
}

static void *unspec_it(void *arg)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	nap(1);
	connect(((struct call *)arg)->fd, &unspec, sizeof(unspec));
	return NULL;
}

CASE(connect_while_other_unspecs)
{
	struct call a = { .fd = sock(0) };
	pthread_t t = thread(unspec_it, &a);
	int64_t t0 = now_ms();
	int r = connect(a.fd, TO(SILENT, ECHO)), e = errno;

	join(t);
	say("connect %d %s %s", r, err_name(e), since(t0));
}

CASE(close_while_other_connects)
{
	struct call a = { .fd = sock(0) };
	pthread_t t = thread(connect_too, &a);

	nap(1);
	T(close(a.fd));
	join(t);
	say("connect %d @%d", a.result, (int)a.took);
}

/* SPDX-License-Identifier: MIT */
/*
 * A proxy that is slow, broken or hostile. There is no native world to compare with, so each case states what it
 * wants; run.py says which port of the peer and which proxy does what. Whatever comes, a program may only see what
 * a network could have done: an errno of connect(2), its own timeouts, and not one byte of the proxy's talk.
 */
#include "../case.h"

static void want(const char *what, bool is)
{
	say("%s: %s", is ? "ok" : "WRONG", what);
}

static void want_errno(const char *what, int got, int expected)
{
	say("%s: %s is %s, wanted %s", got == expected ? "ok" : "WRONG", what, err_name(got), err_name(expected));
}

static int so_error(int fd)
{
	int e = -1;
	socklen_t len = sizeof(e);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len);
	return e;
}

static short wait_for(int fd, short events, int timeout)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, timeout) == 1 ? p.revents : 0;
}

/* Both ways to connect must fail with `err`, and nothing may be readable but the error. */
static void fails_with(int port, int err)
{
	int fd = sock(0), r;
	short re;
	char c;

	r = connect(fd, TO(PEER, port));
	want_errno("blocking connect", r < 0 ? errno : 0, err);
	r = (int)recv(fd, &c, 1, MSG_DONTWAIT);
	want_errno("recv after it", r < 0 ? errno : 0, ENOTCONN);
	if (port >= 5000) {
		r = connect(fd, TO(PEER, ECHO));
		want_errno("the same socket to a good port", r < 0 ? errno : 0, 0);
	}
	close(fd);
	fd = sock(SOCK_NONBLOCK);
	r = connect(fd, TO(PEER, port));
	want_errno("non-blocking connect", r < 0 ? errno : 0, EINPROGRESS);
	re = wait_for(fd, POLLIN | POLLOUT | POLLRDHUP, LONG);
	want("poll says IN|OUT|ERR|HUP|RDHUP", re == (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	want_errno("SO_ERROR", so_error(fd), err);
	want_errno("SO_ERROR again", so_error(fd), 0);
	r = (int)recv(fd, &c, 1, 0);
	want("then the end, and no byte", r == 0);
	close(fd);
	fd = pending(PEER, port);
	wait_for(fd, POLLOUT, LONG);
	r = (int)recv(fd, &c, 1, 0);
	want_errno("read instead", r < 0 ? errno : 0, err);
}

static void works(int port)
{
	int fd = sock(0), r;
	char got[8] = "";

	r = connect(fd, TO(PEER, port));
	want_errno("blocking connect", r < 0 ? errno : 0, 0);
	send(fd, "ping", 4, MSG_NOSIGNAL);
	want("echo", recv(fd, got, 4, MSG_WAITALL) == 4 && !memcmp(got, "ping", 4));
	close(fd);
	fd = pending(PEER, port);
	want("nothing early", wait_for(fd, POLLIN | POLLOUT, SHORT) == 0);
	want("OUT", wait_for(fd, POLLIN | POLLOUT, LONG) == POLLOUT);
	want_errno("SO_ERROR", so_error(fd), 0);
	send(fd, "ping", 4, MSG_NOSIGNAL);
	want("IN", wait_for(fd, POLLIN, LONG) == POLLIN);
	want("echo", recv(fd, got, 8, 0) == 4 && !memcmp(got, "ping", 4));
}

/* The server speaks first, and its words come in one piece with the reply. */
static void works_first(int port)
{
	int fd = sock(0), n = 0;
	char got[16] = "";

	want("connect", connect(fd, TO(PEER, port)) == 0);
	want("greeting", recv(fd, got, 6, MSG_WAITALL) == 6 && !memcmp(got, "hello\n", 6));
	close(fd);
	fd = pending(PEER, port);
	want("OUT", wait_for(fd, POLLOUT, LONG) == POLLOUT);
	want("IN", wait_for(fd, POLLIN, LONG) == POLLIN);
	while (n < 6 && wait_for(fd, POLLIN, LONG)) {
		ssize_t r = recv(fd, got + n, sizeof(got) - (size_t)n, 0);

		if (r <= 0)
			break;
		n += (int)r;
	}
	want("greeting", n == 6 && !memcmp(got, "hello\n", 6));
	want("no more", wait_for(fd, POLLIN, SHORT) == 0);
}

/* The reply stops in the middle and nothing more comes: the program's own timeouts rule. */
static void hangs(int port)
{
	struct timeval tv = { 0, rtt_ms * 1000 };
	int fd = pending(PEER, port), r, ep = epoll_create1(0);
	struct epoll_event ev;
	int64_t t0;
	char c;

	add_epoll(ep, fd, EPOLLIN | EPOLLOUT, 1);
	want("poll stays 0", wait_for(fd, POLLIN | POLLOUT | POLLRDHUP, quarters(6)) == 0);
	want("epoll stays 0", epoll_wait(ep, &ev, 1, SHORT) == 0);
	r = (int)recv(fd, &c, 1, 0);
	want_errno("recv", r < 0 ? errno : 0, EAGAIN);
	want_errno("SO_ERROR", so_error(fd), 0);
	r = connect(fd, TO(PEER, port));
	want_errno("connect", r < 0 ? errno : 0, EALREADY);
	close(fd);
	fd = sock(0);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	t0 = now_ms();
	r = connect(fd, TO(PEER, port));
	want_errno("blocking connect with SO_SNDTIMEO", r < 0 ? errno : 0, EINPROGRESS);
	want("in its time", now_ms() - t0 >= rtt_ms - 5 && now_ms() - t0 < 2 * rtt_ms);
	close(fd);
	fd = sock(0);
	on_signal(SIGUSR1, 0);
	signal_after(1, SIGUSR1);
	r = connect(fd, TO(PEER, port));
	want_errno("blocking connect with a signal", r < 0 ? errno : 0, EINTR);
}

static void reply(void)
{
	static const int errs[10] = { 0, ECONNREFUSED, EACCES, ENETUNREACH, EHOSTUNREACH, ECONNREFUSED, ETIMEDOUT, EOPNOTSUPP,
				      EAFNOSUPPORT, ECONNREFUSED };

	fails_with(5000 + *case_arg, *case_arg < 10 ? errs[*case_arg] : ECONNREFUSED);
}

/* Byte 10 is the first after the reply: the connection is made, and then ends. */
static void ended(void)
{
	bool rst = case_arg[0];
	int where = case_arg[1], port = (rst ? 5200 : 5100) + where, fd;
	char c;

	if (where < 10) {
		fails_with(port, ECONNREFUSED);
		return;
	}
	fd = sock(0);
	want("connect", connect(fd, TO(PEER, port)) == 0 || errno == ECONNRESET);
	want("then the end", recv(fd, &c, 1, 0) <= 0);
}

static void cut(void) { hangs(5400 + *case_arg); }

__attribute__((constructor)) static void add_generated(void)
{
	static int codes[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 255 }, ends[22][2], cuts[10];
	char name[80];

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "reply_%d", codes[i]);
		case_add_arg(name, reply, &codes[i], "hostile");
		cuts[i] = i;
		snprintf(name, sizeof(name), "cut_at_%d", i);
		case_add_arg(name, cut, &cuts[i], "hostile");
	}
	for (int i = 0; i < 22; i++) {
		ends[i][0] = i / 11;
		ends[i][1] = i % 11;
		snprintf(name, sizeof(name), "%s_at_%d", i / 11 ? "rst" : "eof", i % 11);
		case_add_arg(name, ended, ends[i], "hostile");
	}
}

CASE_ATTR(garbage, "hostile") { fails_with(5300, ECONNREFUSED); }
CASE_ATTR(dribble, "hostile") { works(5301); }
CASE_ATTR(glued, "hostile") { works_first(5302); }
CASE_ATTR(bnd_ipv6, "hostile") { works(5303); }
CASE_ATTR(bnd_domain_255, "hostile") { works(5304); }
CASE_ATTR(bnd_zero, "hostile") { works(5305); }
CASE_ATTR(never, "hostile") { hangs(5306); }
CASE_ATTR(bnd_domain_1, "hostile") { works(5307); }
CASE_ATTR(bnd_domain_0, "hostile") { works(5308); }
CASE_ATTR(dribble_domain_255, "hostile slow")
{
	int fd = pending(PEER, 5309);
	char got[8];

	want("nothing while it dribbles", wait_for(fd, POLLIN | POLLOUT, 4000) == 0);
	want("OUT", wait_for(fd, POLLIN | POLLOUT, 20000) == POLLOUT);
	send(fd, "ping", 4, MSG_NOSIGNAL);
	want("echo", wait_for(fd, POLLIN, LONG) == POLLIN && recv(fd, got, 8, 0) == 4);
}
CASE_ATTR(dribble_glued, "hostile") { works_first(5310); }
CASE_ATTR(glued_domain_255, "hostile") { works_first(5313); }
CASE_ATTR(bnd_ipv4, "hostile") { works(5314); }

/* Zero and foreign BND: getsockname never tells of the proxy. */
static void own_name(int port)
{
	int fd = sock(0);
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	want("connect", connect(fd, TO(PEER, port)) == 0);
	want("getsockname", getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	want("own address", a.sin_addr.s_addr == ((const struct sockaddr_in *)at(SELF, 0))->sin_addr.s_addr && a.sin_port);
}
CASE_ATTR(name_bnd_zero, "hostile") { own_name(5305); }
CASE_ATTR(name_bnd_domain, "hostile") { own_name(5304); }
CASE_ATTR(name_bnd_ipv6, "hostile") { own_name(5303); }

/* A daemon that turns the first end of one side into the end of both. */
CASE_ATTR(half_close_both_ways, "hostile")
{
	int fd = sock(0);
	char got[16];

	want("connect", connect(fd, TO(PEER, 5312)) == 0);
	want("send", send(fd, "data", 4, 0) == 4);
	want("shutdown", shutdown(fd, SHUT_WR) == 0);
	want("then an end, not a hang", recv(fd, got, sizeof(got), 0) >= 0);
}

CASE_ATTR(greeting_eof, "hostile proxy=1") { fails_with(ECHO, ECONNREFUSED); }
CASE_ATTR(greeting_rst, "hostile proxy=2") { fails_with(ECHO, ECONNREFUSED); }
CASE_ATTR(greeting_garbage, "hostile proxy=3") { fails_with(ECHO, ECONNREFUSED); }
CASE_ATTR(greeting_refused, "hostile proxy=4") { fails_with(ECHO, EACCES); }	/* wants a password that we have not */
CASE_ATTR(greeting_never, "hostile proxy=5") { hangs(ECHO); }
CASE_ATTR(not_listening, "hostile proxy=6")
{
	int fd = sock(0), r = connect(fd, TO(PEER, ECHO));

	want_errno("blocking connect", r < 0 ? errno : 0, ECONNREFUSED);
	fd = sock(SOCK_NONBLOCK);
	r = connect(fd, TO(PEER, ECHO));
	want("non-blocking connect", r < 0 && (errno == EINPROGRESS || errno == ECONNREFUSED));
	if (errno == EINPROGRESS) {
		want("HUP", wait_for(fd, POLLIN | POLLOUT, LONG) & POLLHUP);
		want_errno("SO_ERROR", so_error(fd), ECONNREFUSED);
	}
}
CASE_ATTR(backlog_full, "hostile proxy=7") { hangs(ECHO); }
CASE_ATTR(greeting_late, "hostile proxy=8") { works(ECHO); }
CASE_ATTR(greeting_late_refused, "hostile proxy=8") { fails_with(REFUSED, ECONNREFUSED); }
CASE_ATTR(no_pipeline, "hostile proxy=9") { works(ECHO); }
CASE_ATTR(no_pipeline_refused, "hostile proxy=9") { fails_with(REFUSED, ECONNREFUSED); }
CASE_ATTR(no_pipeline_first, "hostile proxy=9") { works_first(FIRST); }
CASE_ATTR(code_1_refused, "hostile proxy=10") { fails_with(REFUSED, ECONNREFUSED); }
CASE_ATTR(code_1_dead, "hostile proxy=10 slow") { int fd = sock(0), r = connect(fd, TO(SILENT, ECHO)); want_errno("connect", r < 0 ? errno : 0, ETIMEDOUT); }
CASE_ATTR(one_write, "hostile proxy=11") { works(ECHO); }
CASE_ATTR(one_write_first, "hostile proxy=11") { works_first(FIRST); }

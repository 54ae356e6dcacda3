/* SPDX-License-Identifier: MIT */
/* One thread waits on a socket while another, a handler or a child makes something of it. */
#include "udp_case.h"

#include <sched.h>

enum { RECV, RECVFROM, READ, READV, RECVMSG, RECVMMSG, WAYS };
static const char *const way_names[] = { "recv", "recvfrom", "read", "readv", "recvmsg", "recvmmsg" };

struct waiting {
	int fd, way;
	size_t room;
	bool from;
};

static void show_result(const struct waiting *w, ssize_t n, const char *buf, int flags, const struct sockaddr_storage *from, socklen_t len)
{
	if (n < 0)
		say("%s: %s", way_names[w->way], err_name(errno));
	else
		say("%s: %zd \"%s\" flags %x%s%s%s", way_names[w->way], n, bytes_name(buf, (size_t)n < w->room ? n : (long)w->room), flags,
		    w->from ? " from " : "", w->from ? addr_name((const void *)from, len) : "", buf[w->room] == '-' ? "" : " beyond the end");
}

static void *wait_in(void *arg)
{
	struct waiting *w = arg;
	char buf[2100];
	struct iovec iov[2] = { { buf, w->room / 2 }, { buf + w->room / 2, w->room - w->room / 2 } };
	struct sockaddr_storage from = { 0 };
	struct mmsghdr mm = { .msg_hdr = { .msg_name = w->from ? &from : NULL, .msg_namelen = sizeof(from), .msg_iov = iov,
					   .msg_iovlen = 2 } };
	socklen_t len = sizeof(from);
	ssize_t n = -1;

	memset(buf, '-', sizeof(buf));
	switch (w->way) {
	case RECV:
		n = recv(w->fd, buf, w->room, 0);
		break;
	case RECVFROM:
		n = recvfrom(w->fd, buf, w->room, 0, w->from ? (void *)&from : NULL, w->from ? &len : NULL);
		break;
	case READ:
		n = read(w->fd, buf, w->room);
		break;
	case READV:
		n = readv(w->fd, iov, 2);
		break;
	case RECVMSG:
		n = recvmsg(w->fd, &mm.msg_hdr, 0);
		len = mm.msg_hdr.msg_namelen;
		break;
	case RECVMMSG:
		n = recvmmsg(w->fd, &mm, 1, 0, NULL) == 1 ? (ssize_t)mm.msg_len : -1;
		len = mm.msg_hdr.msg_namelen;
		break;
	}
	show_result(w, n, buf, mm.msg_hdr.msg_flags, &from, len);
	return NULL;
}

static void wait_first(size_t room)
{
	for (int way = 0; way < WAYS; way++)
		for (int from = 0; from < 2; from++) {
			struct waiting w = { .fd = udp(0), .way = way, .room = room, .from = from };
			pthread_t t;

			if (from && (way == RECV || way == READ || way == READV))
				continue;
			t = thread(wait_in, &w);
			nap(1);
			give(w.fd, PEER, ECHO, "0123456789abcdefghijklmnopqrstuvwxyz");
			join(t);
			echo_from(w.fd, PEER, ECHO, "next");
			close(w.fd);
		}
}

/* The process has carried something. */
static void warm_up(void)
{
	echo_from(udp(0), PEER, ECHO, "before");
}

/* The socket has nothing to do with the tailnet yet when the wait begins. */
CASE_FAMILIES(wait_first) { wait_first(2000); }
CASE_FAMILIES(wait_first_exact) { warm_up(); wait_first(36); }
CASE_FAMILIES(wait_first_short) { warm_up(); wait_first(5); }

CASE_FAMILIES(wait_first_connect)
{
	for (int way = 0; way < WAYS; way++) {
		struct waiting w = { .fd = udp(0), .way = way, .room = 2000 };
		pthread_t t = thread(wait_in, &w);

		nap(1);
		T(connect(w.fd, TO(PEER, ECHO)));
		T(send(w.fd, "to the peer", 11, 0));
		join(t);
		close(w.fd);
	}
}

/* What a neighbour sends is that, whatever it looks like. */
CASE(wait_first_near)
{
	static const unsigned char like_a_header[] = { 0, 0, 0, 1, 127, 0, 0, 1, 1, 1, 'x', 'y' };
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t len = sizeof(here);

	warm_up();
	for (int way = 0; way < WAYS; way++) {
		struct waiting w = { .fd = udp(0), .way = way, .room = 2000 };
		int near = udp(0);
		pthread_t t;

		MUST(bind(w.fd, (void *)&here, len));
		MUST(getsockname(w.fd, (void *)&here, &len));
		here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		t = thread(wait_in, &w);
		nap(1);
		give(w.fd, PEER, UDP_MUTE, "nobody answers");
		/* Not told: the thread may tell first what it got. */
		MUST(sendto(near, like_a_header, sizeof(like_a_header), 0, (void *)&here, len));
		join(t);
		close(near);
		close(w.fd);
		here = (struct sockaddr_in){ .sin_family = AF_INET };
	}
}

static int handler_fd;

static void send_in_handler(int sig)
{
	(void)sig;
	if (sendto(handler_fd, "h", 1, 0, TO(PEER, ECHO)) != 1)
		say("wrong in the handler");
}

CASE(handler_first)
{
	struct waiting w = { .fd = udp(0), .way = RECVFROM, .room = 2000, .from = true };
	struct sigaction act = { .sa_handler = send_in_handler, .sa_flags = SA_RESTART };

	handler_fd = w.fd;
	sigaction(SIGUSR1, &act, NULL);
	signal_after(1, SIGUSR1);
	wait_in(&w);
	close(w.fd);
	handler_fd = w.fd = udp(0);
	act.sa_flags = 0;
	sigaction(SIGUSR1, &act, NULL);
	signal_after(1, SIGUSR1);
	wait_in(&w);
	wait_in(&w);
}

/* The child sends while the parent waits, and the other way round. */
CASE_FAMILIES(process_first)
{
	for (int way = 0; way < 2; way++) {
		struct waiting w = { .fd = udp(0), .way = RECVFROM, .room = 2000, .from = true };
		pid_t child = fork();

		if (child == 0 && way == 0) {
			nap(1);
			give(w.fd, PEER, ECHO, "by the child");
			nap(8);
			_exit(0);
		} else if (child == 0) {
			wait_in(&w);
			_exit(0);
		}
		if (way == 0) {
			wait_in(&w);
		} else {
			nap(1);
			give(w.fd, PEER, ECHO, "by the parent");
		}
		waitpid(child, NULL, 0);
		close(w.fd);
	}
}

/* What happens to a wait when the socket is connected, left, shut down. */
CASE_FAMILIES(changed_meanwhile)
{
	struct waiting w = { .fd = udp(0), .way = RECVFROM, .room = 2000, .from = true };
	pthread_t t;

	echo_from(w.fd, PEER, ECHO, "first");
	t = thread(wait_in, &w);
	nap(1);
	T(connect(w.fd, TO(PEER, FIRST)));
	T(send(w.fd, "connected", 9, 0));
	join(t);
	t = thread(wait_in, &w);
	nap(1);
	T(connect(w.fd, TO(PEER, HALF)));
	T(send(w.fd, "elsewhere", 9, 0));
	join(t);
	t = thread(wait_in, &w);
	nap(1);
	T(connect(w.fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	give(w.fd, PEER, ECHO, "left");
	join(t);
	T(connect(w.fd, TO(PEER, ECHO)));
	t = thread(wait_in, &w);
	nap(1);
	MUST(shutdown(w.fd, SHUT_RDWR));
	join(t);
	T(send(w.fd, "x", 1, MSG_NOSIGNAL));
}

static void *poll_it(void *arg)
{
	show_poll(*(int *)arg, POLLIN, LONG);
	return NULL;
}

static void *epoll_it(void *arg)
{
	show_epoll(*(int *)arg, LONG);
	return NULL;
}

/* A wait for readiness that began before. */
CASE_FAMILIES(polled_first)
{
	int fd = udp(SOCK_NONBLOCK), ep = epoll_create1(0), ready = epoll_create1(0);
	pthread_t t[3];

	MUST(add_epoll(ep, fd, EPOLLIN | EPOLLET, 1));
	MUST(add_epoll(ready, ep, EPOLLIN, 2));
	t[0] = thread(poll_it, &fd);
	nap(1);
	give(fd, PEER, ECHO, "one");
	join(t[0]);
	show_epoll(ready, 0);
	show_epoll(ep, 0);
	show_epoll(ep, 0);
	show_from(fd, 100, 0);
	t[0] = thread(epoll_it, &ep);
	nap(1);
	give(fd, PEER, ECHO, "two");
	join(t[0]);
	show_from(fd, 100, 0);
}

CASE(exclusive)
{
	int fd = udp(SOCK_NONBLOCK), ep = epoll_create1(0), other = epoll_create1(0);

	MUST(add_epoll(ep, fd, EPOLLIN | EPOLLEXCLUSIVE, 1));
	MUST(add_epoll(other, fd, EPOLLIN, 2));
	give(fd, PEER, ECHO, "one");
	show_epoll(other, LONG);
	show_epoll(ep, 0);
	show_from(fd, 100, 0);
	show_epoll(ep, 0);
	show_epoll(other, 0);
}

CASE_FAMILIES(asynchronous)
{
	int fd = udp(SOCK_NONBLOCK);

	on_signal(SIGIO, SA_RESTART);
	MUST(fcntl(fd, F_SETOWN, getpid()));
	T(fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC));
	give(fd, PEER, UDP_MUTE, "none");
	nap(6);
	say("signals %d", (int)signals_seen);
	signals_seen = 0;
	give(fd, PEER, ECHO, "one");
	nap(8);
	say("signals %s", signals_seen ? "some" : "none");
	show_from(fd, 100, 0);
	T(connect(fd, TO(PEER, FIRST)));
	nap(2);
	signals_seen = 0;
	T(sendto(fd, "stray", 5, 0, TO(PEER, ECHO)));
	nap(8);
	say("signals %d", (int)signals_seen);
}

/* The number becomes another's while a thread waits for what comes to the socket, which lives on: another socket, a file, nothing. */
CASE_FAMILIES(renumbered)
{
	for (int how = 0; how < 4; how++)
		for (int way = 0; way < WAYS; way++) {
			struct waiting w = { .fd = udp(0), .way = way, .room = 2000, .from = way == RECVFROM || way >= RECVMSG };
			int kept = dup(w.fd), other = how < 2 ? udp(0) : (int)MUST(open("/dev/null", O_RDWR));
			pthread_t t;

			if (how == 0)
				echo_from(other, PEER, ECHO, "other");
			if (how == 1)
				T(connect(other, TO(PEER, FIRST)));
			t = thread(wait_in, &w);
			nap(1);
			give(kept, PEER, ECHO, "for the one that waits");
			if (how == 3)
				close(w.fd);
			else
				MUST(dup2(other, w.fd));
			join(t);
			close(w.fd);
			close(kept);
			close(other);
		}
}

/*
 * Threads that send, connect, duplicate and close all at once: nothing breaks, and nothing else comes than what was sent, even where a number
 * becomes another socket's while a thread reads from it.
 */
static int shared_fds[4];
static volatile bool over, renumber;

static void *churn(void *arg)
{
	long n = (long)arg;
	unsigned state = (unsigned)n * 7919 + 1;
	char buf[64];

	while (!over) {
		int fd = shared_fds[(state = state * 1103515245 + 12345) >> 16 & 3];

		switch (state >> 20 & 7) {
		case 0:
			connect(fd, TO(PEER, state >> 24 & 1 ? ECHO : FIRST));
			break;
		case 1:
			connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr));
			break;
		case 2:
			close(dup(fd));
			break;
		case 3:
			if (renumber)
				dup2(fd, shared_fds[state >> 28 & 3]);
			break;
		case 4:
		case 5:
			sendto(fd, "churn", 5, MSG_DONTWAIT, TO(PEER, ECHO));
			break;
		default: {
			ssize_t got = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

			if (got >= 0 && (got != 5 || memcmp(buf, "churn", 5) != 0))
				say("wrong: %zd \"%s\"", got, bytes_name(buf, got));
		}
		}
	}
	return NULL;
}

static void churn_all(void)
{
	pthread_t t[4];
	int64_t t0 = now_ms();

	for (int i = 0; i < 4; i++)
		shared_fds[i] = udp(0);
	for (long i = 0; i < 4; i++)
		t[i] = thread(churn, (void *)i);
	while (now_ms() - t0 < 2000)
		nap(1);
	over = true;
	for (int i = 0; i < 4; i++)
		join(t[i]);
	for (int i = 0; i < 4; i++) {
		char buf[10];

		MUST(connect(shared_fds[i], TO(PEER, HALF)));
		nap(8);
		while (recv(shared_fds[i], buf, sizeof(buf), MSG_DONTWAIT) >= 0)
			;
		give(shared_fds[i], PEER, HALF, "after");
		await(shared_fds[i]);
		show_from(shared_fds[i], 100, MSG_DONTWAIT);
	}
}

CASE_ATTR(churn, "alone") { churn_all(); }
CASE_ATTR(churn_renumbered, "alone") { renumber = true; churn_all(); }

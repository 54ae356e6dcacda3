/* SPDX-License-Identifier: MIT */
/*
 * Several numbers for one socket, in one process or two, over more than one connect: what is known of one number must not be believed
 * when another was used. Most were first found by random.c.
 */
#include "../case.h"

static pid_t child(void (*fn)(int), int fd)
{
	pid_t pid = fork();

	if (pid)
		return (pid_t)MUST(pid);
	fn(fd);
	_exit(0);
}

static void connect_it(int fd) { T(connect(fd, TO(PEER, ECHO))); }
static void connect_refused(int fd) { T(connect(fd, TO(PEER, REFUSED))); }
static void complete(int fd) { show_poll(fd, POLLIN | POLLOUT, 0); show_poll(fd, POLLIN | POLLOUT, LONG); show_so_error(fd); show_peer(fd); show_echo(fd); }

static int passed(int fd)
{
	int pair[2], to;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	send_fd(pair[0], fd);
	to = recv_fd(pair[1]);
	close(pair[0]);
	close(pair[1]);
	return to;
}

/* A socket that was refused, under two numbers, connected again by one after the other. */
static void again(int (*alias)(int))
{
	int fd = pending(PEER, REFUSED), d;

	show_poll(fd, POLLOUT, LONG);
	d = alias(fd);
	T(connect(d, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(d, TO(PEER, ECHO)));
	show_poll(d, POLLIN | POLLOUT, 0);
	complete(d);
	show_peer(fd);
}

CASE(refused_then_dup) { again(dup); }
CASE(refused_then_passed) { again(passed); }

CASE(dup_given_up_twice)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	int fd = pending(PEER, ECHO), d = dup(fd);

	T(connect(fd, &unspec, sizeof(unspec)));
	T(connect(d, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	complete(fd);
}

CASE(passed_then_given_up)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	int fd = sock(SOCK_NONBLOCK), d = passed(fd);

	T(connect(d, TO(PEER, ECHO)));
	T(connect(d, &unspec, sizeof(unspec)));
	dup(fd);
	T(connect(d, TO(PEER, REFUSED)));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG);
	show_so_error(fd);
}

/* Descriptors of a forked child, whose parent goes on with what it began. */
CASE(child_connects_dup) { int fd = sock(SOCK_NONBLOCK), d = dup(fd); expect_exit(child(connect_it, d)); complete(fd); }
CASE(child_connects_after_refusal) { int fd = pending(PEER, REFUSED); show_poll(fd, POLLOUT, LONG); show_so_error(fd); expect_exit(child(connect_it, fd)); expect_exit(child(connect_it, fd)); complete(fd); }
CASE(child_connects_after_blocking_refusal) { int fd = sock(0); T(connect(fd, TO(PEER, REFUSED))); expect_exit(child(connect_it, fd)); show_peer(fd); show_echo(fd); }

CASE(child_connects_after_unspec)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	int fd = sock(SOCK_NONBLOCK);

	T(connect(fd, &unspec, sizeof(unspec)));
	expect_exit(child(connect_refused, fd));
	nap(6);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, ECHO)));
	complete(fd);
}

CASE(child_connects_then_dup2)
{
	int fd = sock(SOCK_NONBLOCK), other;

	expect_exit(child(connect_it, fd));
	other = sock(SOCK_NONBLOCK);
	T(dup2(fd, other) == other);
	complete(other);
	show_peer(fd);
}

/* The child drops one number and sees the end by the other; the parent has both, and a set that waits. */
static int set_of_two, first_of_two;
static void close_and_look(int d)
{
	T(close(d));
	nap(6);
	show_poll(first_of_two, POLLIN | POLLOUT | POLLRDHUP, 0);
}

CASE(child_ends_what_is_registered)
{
	int fd = sock(SOCK_NONBLOCK), d = passed(fd);

	first_of_two = fd;
	set_of_two = epoll_create1(0);
	T(add_epoll(set_of_two, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLONESHOT, 5));
	T(connect(d, TO(PEER, REFUSED)));
	expect_exit(child(close_and_look, d));
	show_epoll(set_of_two, LONG);
	show_epoll(set_of_two, 0);
	show_so_error(fd);
}

static void see_event(int set) { show_epoll(set, LONG); show_epoll(set, 0); }
CASE(child_takes_the_one_event)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO);

	T(add_epoll(ep, fd, EPOLLOUT | EPOLLONESHOT, 5));
	expect_exit(child(see_event, ep));
	show_poll(fd, POLLOUT, 0);
	show_epoll(ep, 0);
	T(mod_epoll(ep, fd, EPOLLOUT | EPOLLET, 6));
	show_epoll(ep, 0);
	show_epoll(ep, 0);
	show_echo(fd);
}

/* An alias that is replaced by its own socket goes on where it was registered. */
CASE(dup2_over_registered_alias)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO), d = dup(fd);

	T(add_epoll(ep, d, EPOLLOUT, 1));
	T(dup2(fd, d) == d);
	T(mod_epoll(ep, d, EPOLLOUT | EPOLLET, 2));
	T(mod_epoll(ep, fd, EPOLLOUT, 3));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	show_epoll(ep, 0);
	T(epoll_ctl(ep, EPOLL_CTL_DEL, d, NULL));
	T(close(d));
	show_echo(fd);
}

CASE(added_twice_while_pending)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO), d = dup(fd);

	T(add_epoll(ep, d, EPOLLOUT | EPOLLET, 1));
	T(add_epoll(ep, d, EPOLLIN, 2));
	T(add_epoll(ep, fd, EPOLLOUT | EPOLLONESHOT, 3));
	T(add_epoll(ep, fd, EPOLLIN, 4));
	show_epoll(ep, 0);
	wait_connected(fd);
	show_epoll(ep, 0);
	show_epoll(ep, 0);
}

/* Ended by both sides, a socket is still connected to connect(2), and keeps its local address. */
static void ended(int flags)
{
	int fd = connected(flags, PEER, ECHO);

	T(shutdown(fd, SHUT_WR));
	nap(8);
	show_read(fd, 10, 0);
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	T(connect(fd, TO(PEER, ECHO)));
	T(connect(fd, TO(PEER, REFUSED)));
	show_peer(fd);
	show_name(fd);
}

CASE(connect_after_both_ended) { ended(SOCK_NONBLOCK); }
CASE(connect_after_both_ended_blocking) { ended(0); }

/* A message that opens a connection and must not wait, on a socket that does. */
CASE(fastopen_dontwait)
{
	int fd = sock(0);

	T(sendto(fd, "ping", 4, MSG_FASTOPEN | MSG_DONTWAIT, TO(PEER, ECHO)));
	show_poll(fd, POLLIN | POLLOUT, 0);
	T(sendto(fd, "ping", 4, MSG_FASTOPEN | MSG_DONTWAIT, TO(PEER, ECHO)));
	T(send(fd, "ping", 4, MSG_DONTWAIT));
	complete(fd);
	fd = sock(0);
	T(sendto(fd, "ping", 4, MSG_FASTOPEN | MSG_DONTWAIT, TO(PEER, REFUSED)));
	show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG);
	show_so_error(fd);
}

/* SPDX-License-Identifier: MIT */
/*
 * hot N [NODE PORT]: what calls cost that have nothing to do with a tailnet. Prints a line for each: NAME, tab, ns per call.
 *
 * With NODE and PORT a non-blocking connection to it is begun first and must still be under way at the end: the same calls on
 * other descriptors then have a flow to be told from. NODE "-" is a listener here whose queue is full: the same without a proxy.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int pipe_in, pipe_out, tcp_a, tcp_b, listener, idle_udp, udp, udp_connected, epfd_ready, epfd_idle;
static struct sockaddr_in udp_addr;
static const char *node_name;
static bool failed;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int listen_at(struct sockaddr_in *at, int backlog)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(fd, (struct sockaddr *)at, len) != 0 || listen(fd, backlog) != 0 || getsockname(fd, (struct sockaddr *)at, &len) != 0)
		die("listen");
	return fd;
}

/* Begins a connection that stays under way. */
static int begin(const char *node, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = -1;

	if (strcmp(node, "-") == 0) {
		listen_at(&to, 0);
	} else {
		inet_pton(AF_INET, node, &to.sin_addr);
		to.sin_port = htons((uint16_t)atoi(port));
	}
	/* A queue of length 0 takes one, and on some kernels a second. */
	for (int i = 0; i < (strcmp(node, "-") == 0 ? 3 : 1); i++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno != EINPROGRESS)
			die("a connection that stays under way");
	}
	return fd;
}

static void set_up(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct sockaddr_in at;
	socklen_t len = sizeof(udp_addr);
	int p[2];

	if (pipe(p) != 0)
		die("pipe");
	pipe_in = p[1];
	pipe_out = p[0];
	listener = listen_at(&at, 8);
	tcp_a = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(tcp_a, (struct sockaddr *)&at, sizeof(at)) != 0 || (tcp_b = accept(listener, NULL, NULL)) < 0)
		die("a connection on loopback");
	fcntl(listener, F_SETFL, O_NONBLOCK);
	idle_udp = socket(AF_INET, SOCK_DGRAM, 0);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	udp_connected = socket(AF_INET, SOCK_DGRAM, 0);
	udp_addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(idle_udp, (struct sockaddr *)&udp_addr, len) != 0 || getsockname(idle_udp, (struct sockaddr *)&udp_addr, &len) != 0)
		die("bind");
	epfd_ready = epoll_create1(0);
	epfd_idle = epoll_create1(0);
	epoll_ctl(epfd_ready, EPOLL_CTL_ADD, pipe_in, &(struct epoll_event){ .events = EPOLLOUT });
	epoll_ctl(epfd_idle, EPOLL_CTL_ADD, tcp_a, &ev);
}

static void do_pipe(void)
{
	char c = 0;

	if (write(pipe_in, &c, 1) != 1 || read(pipe_out, &c, 1) != 1)
		failed = true;
}

static void do_recv(void)
{
	char c;

	if (recv(tcp_a, &c, 1, MSG_DONTWAIT) != -1)
		failed = true;
}

static void do_send_recv(void)
{
	char c = 0;

	if (send(tcp_a, &c, 1, 0) != 1 || recv(tcp_b, &c, 1, 0) != 1)
		failed = true;
}

static void do_poll(void)
{
	struct pollfd p[2] = { { .fd = pipe_in, .events = POLLOUT }, { .fd = tcp_a, .events = POLLIN } };

	if (poll(p, 2, 0) != 1)
		failed = true;
}

static void do_select(void)
{
	struct timeval none = { 0 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pipe_in, &set);
	if (select(pipe_in + 1, NULL, &set, NULL, &none) != 1)
		failed = true;
}

static void do_epoll_ready(void)
{
	struct epoll_event ev;

	if (epoll_wait(epfd_ready, &ev, 1, 1000) != 1)
		failed = true;
}

static void do_epoll_idle(void)
{
	struct epoll_event ev;

	if (epoll_wait(epfd_idle, &ev, 1, 0) != 0)
		failed = true;
}

static void do_dup_close(void)
{
	if (close(dup(pipe_in)) != 0)
		failed = true;
}

static void do_socket_close(void)
{
	if (close(socket(AF_INET, SOCK_STREAM, 0)) != 0)
		failed = true;
}

static void do_accept(void)
{
	if (accept(listener, NULL, NULL) != -1)
		failed = true;
}

static void do_getpeername(void)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	if (getpeername(tcp_a, (struct sockaddr *)&a, &len) != 0)
		failed = true;
}

static void do_getsockname(void)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	if (getsockname(tcp_a, (struct sockaddr *)&a, &len) != 0)
		failed = true;
}

static void do_so_error(void)
{
	int err;
	socklen_t len = sizeof(err);

	if (getsockopt(tcp_a, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		failed = true;
}

static void do_getfl(void)
{
	if (fcntl(tcp_a, F_GETFL) < 0)
		failed = true;
}

static void do_syscall(void)
{
	if (syscall(SYS_getppid) < 0)
		failed = true;
}

static void send_to(const char *ip)
{
	struct sockaddr_in to = udp_addr;
	char c = 0;

	inet_pton(AF_INET, ip, &to.sin_addr);
	if (sendto(udp, &c, 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1)
		failed = true;
}

static void connect_to(const char *ip)
{
	struct sockaddr_in to = udp_addr;

	inet_pton(AF_INET, ip, &to.sin_addr);
	if (connect(udp_connected, (struct sockaddr *)&to, sizeof(to)) != 0)
		failed = true;
}

/* An address of this machine's that is neither loopback's nor the tailnet's, where there is one: bench/run.py gives it. */
#define OUTSIDE "192.0.2.1"

static void do_sendto(void) { send_to("127.0.0.1"); }
static void do_sendto_outside(void) { send_to(OUTSIDE); }
static void do_connect(void) { connect_to("127.0.0.1"); }
static void do_connect_outside(void) { connect_to(OUTSIDE); }

static void look_up(const char *name)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list;

	if (getaddrinfo(name, "80", &hints, &list) != 0)
		failed = true;
	freeaddrinfo(list);
}

static void do_numeric(void)
{
	look_up("127.0.0.1");
}

static void do_localhost(void)
{
	look_up("localhost");
}

static void do_name(void)
{
	look_up(node_name);
}

static const struct {
	const char *name;
	void (*call)(void);
	int slow;	/* so many times fewer */
} calls[] = {
	{ "pipe: write, read", do_pipe, 1 },
	{ "tcp: send, recv", do_send_recv, 8 },
	{ "tcp: recv, empty", do_recv, 1 },
	{ "poll", do_poll, 1 },
	{ "select", do_select, 1 },
	{ "epoll_wait, ready", do_epoll_ready, 1 },
	{ "epoll_wait, idle", do_epoll_idle, 1 },
	{ "dup, close", do_dup_close, 1 },
	{ "socket, close", do_socket_close, 4 },
	{ "accept, none", do_accept, 1 },
	{ "getpeername", do_getpeername, 1 },
	{ "getsockname", do_getsockname, 1 },
	{ "getsockopt SO_ERROR", do_so_error, 1 },
	{ "fcntl F_GETFL", do_getfl, 1 },
	{ "syscall(getppid)", do_syscall, 1 },
	{ "udp: sendto loopback", do_sendto, 4 },
	{ "udp: sendto outside", do_sendto_outside, 4 },
	{ "udp: connect loopback", do_connect, 2 },
	{ "udp: connect outside", do_connect_outside, 2 },
	{ "getaddrinfo, numeric", do_numeric, 8 },
	{ "getaddrinfo, localhost", do_localhost, 40 },
	{ "getaddrinfo, node", do_name, 40 },
};

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 10000, pending = argc > 3 ? begin(argv[2], argv[3]) : -1;

	node_name = getenv("BENCH_NODE");
	set_up();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int64_t start;

		if (calls[i].call == do_name && !node_name)
			continue;
		failed = false;
		calls[i].call();
		if (failed)	/* as torsocks does with what it knows not */
			continue;
		start = now();
		for (int k = 0; k < n / calls[i].slow; k++)
			calls[i].call();
		printf("%s\t%.1f\n", calls[i].name, (double)(now() - start) / (n / calls[i].slow));
	}
	if (pending >= 0 && poll(&(struct pollfd){ .fd = pending, .events = POLLOUT }, 1, 0) != 0) {
		fprintf(stderr, "hot: the connection did not stay under way\n");
		return 1;
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Observations: each looks at a socket in one way and says what it saw. */
#include "case.h"

void show_poll(int fd, unsigned events, int timeout)
{
	struct pollfd p = { .fd = fd, .events = (short)events };
	int64_t t0 = now_ms();
	int n = poll(&p, 1, timeout);

	if (n < 0)
		say("poll %s: %s", poll_names(events), err_name(errno));
	else
		say("poll %s: %d %s %s", poll_names(events), n, poll_names((unsigned)p.revents), since(t0));
}

void show_select(int fd, int timeout)
{
	struct timeval tv = { timeout / 1000, timeout % 1000 * 1000 };
	fd_set r, w, x;
	int64_t t0 = now_ms();
	int n;

	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&x);
	FD_SET(fd, &r);
	FD_SET(fd, &w);
	FD_SET(fd, &x);
	n = select(fd + 1, &r, &w, &x, &tv);
	if (n < 0)
		say("select: %s", err_name(errno));
	else
		say("select: %d%s%s%s %s", n, FD_ISSET(fd, &r) ? " r" : "", FD_ISSET(fd, &w) ? " w" : "",
		    FD_ISSET(fd, &x) ? " x" : "", since(t0));
}

static int by_data(const void *a, const void *b)
{
	const struct epoll_event *x = a, *y = b;

	return x->data.u64 < y->data.u64 ? -1 : x->data.u64 > y->data.u64;
}

void show_epoll(int ep, int timeout)
{
	struct epoll_event ev[64];
	char line[1024] = "";
	int64_t t0 = now_ms();
	int n = epoll_wait(ep, ev, 64, timeout);

	if (n < 0) {
		say("epoll_wait: %s", err_name(errno));
		return;
	}
	qsort(ev, (size_t)n, sizeof(ev[0]), by_data);
	for (int i = 0; i < n && strlen(line) < 900; i++)
		sprintf(line + strlen(line), " [%s %llx]", epoll_names(ev[i].events), (unsigned long long)ev[i].data.u64);
	say("epoll_wait: %d%s %s", n, line, since(t0));
}

int add_epoll(int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

int mod_epoll(int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
}

void swallow_repeat(int ep)
{
	struct epoll_event ev;

	usleep(20000);
	epoll_wait(ep, &ev, 1, 0);
}

void show_so_error(int fd)
{
	int e = -1;
	socklen_t len = sizeof(e);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		say("SO_ERROR: %s", err_name(errno));
	else
		say("SO_ERROR: %s len %u", e ? err_name(e) : "0", len);
}

void show_peer(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		say("getpeername: %s", err_name(errno));
	else
		say("getpeername: %s", addr_name((struct sockaddr *)&ss, len));
}

void show_name(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		say("getsockname: %s", err_name(errno));
	else
		say("getsockname: %s", addr_name((struct sockaddr *)&ss, len));
}

void show_state(int fd)
{
	static const char *const names[] = { "0", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
					     "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING" };
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		say("TCP_INFO: %s", err_name(errno));
	else
		say("TCP_INFO: %s", info.tcpi_state < 12 ? names[info.tcpi_state] : "?");
}

void show_option(int fd, int level, int option, const char *name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	if (getsockopt(fd, level, option, &v, &len) < 0)
		say("%s: %s", name, err_name(errno));
	else
		say("%s: %d", name, v);
}

void show_read(int fd, size_t len, int flags)
{
	char buf[4096];
	int64_t t0 = now_ms();
	ssize_t n = recv(fd, buf, len, flags);

	if (n < 0)
		say("recv: %s", err_name(errno));
	else
		say("recv: %zd \"%s\" %s", n, bytes_name(buf, n), since(t0));
}

void show_echo(int fd)
{
	char got[16] = "";
	size_t n = 0;

	if (send(fd, "ping\n", 5, MSG_NOSIGNAL) != 5) {
		say("echo: send: %s", err_name(errno));
		return;
	}
	while (n < 5) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		if (poll(&p, 1, LONG) != 1) {
			say("echo: nothing came back");
			return;
		}
		r = recv(fd, got + n, sizeof(got) - n, 0);
		if (r <= 0) {
			say("echo: recv: %s", r ? err_name(errno) : "end");
			return;
		}
		n += (size_t)r;
	}
	say("echo: %s", n == 5 && !memcmp(got, "ping\n", 5) ? "ok" : bytes_name(got, (long)n));
}

void show_reading(int fd)
{
	char first[64];
	static char buf[65536];
	size_t total = 0;
	uint32_t sum = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, LONG) != 1) {
			say("read: no end after %zu bytes", total);
			return;
		}
		n = recv(fd, buf, sizeof(buf), 0);
		if (n <= 0) {
			size_t head = total < sizeof(first) ? total : sizeof(first);

			say("read: %zu bytes, sum %08x, then %s; first \"%s\"", total, sum, n ? err_name(errno) : "end",
			    total > 4096 ? "..." : bytes_name(first, (long)head));
			return;
		}
		for (ssize_t i = 0; i < n; i++) {
			if (total + (size_t)i < sizeof(first))
				first[total + (size_t)i] = buf[i];
			sum = sum * 31 + (unsigned char)buf[i];
		}
		total += (size_t)n;
	}
}

void show_all(int fd)
{
	int n = -1;

	show_poll(fd, POLLIN | POLLPRI | POLLOUT | POLLRDHUP, 0);
	show_select(fd, 0);
	show_name(fd);
	show_peer(fd);
	show_state(fd);
	T(ioctl(fd, FIONREAD, &n));
	say("FIONREAD: %d", n);
}

void expect_exit(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		say("waitpid: %s", err_name(errno));
	else if (WIFEXITED(status))
		say("child: exit %d", WEXITSTATUS(status));
	else
		say("child: signal %d", WTERMSIG(status));
}

void send_fd(int sock_fd, int fd)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } c = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };

	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&c.h), &fd, sizeof(fd));
	MUST(sendmsg(sock_fd, &m, 0));
}

int recv_fd(int sock_fd)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } c = { 0 };
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	int fd = -1;

	MUST(recvmsg(sock_fd, &m, 0));
	memcpy(&fd, CMSG_DATA(&c.h), sizeof(fd));
	return fd;
}

/* SPDX-License-Identifier: MIT */
/*
 * What cases/plugin.c loads. mk/diff.mk links it in every way that decides how a reference to libc is bound: at once or lazily, in memory
 * that stays writable or not, by a table of pointers or the linker's. plugin_dial goes through a table in constant data, the others
 * call by name. EARLY: its constructor has connected already.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

int plugin_dial(int type, const struct sockaddr *to, socklen_t len);
int plugin_epoll(const struct sockaddr *to, socklen_t len);
int plugin_select(const struct sockaddr *to, socklen_t len);
const char *plugin_whose(void);
const char *whose(void);
extern int plugin_early;
int plugin_early = -ENOSYS;

static struct {
	int (*socket)(int, int, int);
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*poll)(struct pollfd *, nfds_t, int);
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*recv)(int, void *, size_t, int);
	int (*close)(int);
} const volatile calls = { socket, connect, poll, send, recv, close };

/* Connects, waits, sends a word, reads it back. 0 or -errno. */
int plugin_dial(int type, const struct sockaddr *to, socklen_t len)
{
	int fd = calls.socket(to->sa_family, type, 0), result = -EIO;
	struct pollfd p = { fd, POLLOUT, 0 };
	char word[4];

	if (calls.connect(fd, to, len) < 0 && errno != EINPROGRESS)
		result = -errno;
	else if (calls.poll(&p, 1, 5000) == 1 && calls.send(fd, "ping", 4, MSG_NOSIGNAL) == 4 &&
		 (p.events = POLLIN, calls.poll(&p, 1, 5000) == 1) && calls.recv(fd, word, 4, 0) == 4 && !memcmp(word, "ping", 4))
		result = 0;
	calls.close(fd);
	return result;
}

/* The errno that a connect without blocking ended with, waited for in two other ways; -EIO where the wait ended before it. */
static int outcome(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(int);
	int e = -1;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 || e)
		return -e;
	len = sizeof(peer);
	return getpeername(fd, (struct sockaddr *)&peer, &len) < 0 ? -EIO : 0;
}

int plugin_epoll(const struct sockaddr *to, socklen_t len)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(EPOLL_CLOEXEC), result = -EIO;
	struct epoll_event ev = { .events = EPOLLOUT, .data.u64 = 0x123456789abcdef };

	if (connect(fd, to, len) < 0 && errno == EINPROGRESS && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0 &&
	    epoll_wait(ep, &ev, 1, 5000) == 1 && ev.data.u64 == 0x123456789abcdef)
		result = outcome(fd);
	close(ep);
	close(fd);
	return result;
}

int plugin_select(const struct sockaddr *to, socklen_t len)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0), result = -EIO;
	fd_set out;

	FD_ZERO(&out);
	FD_SET(fd, &out);
	if (connect(fd, to, len) < 0 && errno == EINPROGRESS && select(fd + 1, NULL, &out, NULL, &(struct timeval){ 5, 0 }) == 1)
		result = outcome(fd);
	close(fd);
	return result;
}

/* The program has a function of that name too: which of them a call reaches is what RTLD_DEEPBIND is for. */
const char *whose(void)
{
	return "the plugin's";
}

const char *plugin_whose(void)
{
	return whose();
}

#if defined(EARLY)
#include <stdlib.h>

/* PLUGIN_TO: the address's bytes, in hex. */
__attribute__((constructor)) static void connect_early(void)
{
	const char *hex = getenv("PLUGIN_TO");
	union {
		struct sockaddr sa;
		unsigned char bytes[sizeof(struct sockaddr_storage)];
	} to = { 0 };
	unsigned n = 0;

	for (; hex && sscanf(hex + 2 * n, "%2hhx", &to.bytes[n]) == 1; n++)
		;
	if (n)
		plugin_early = plugin_dial(SOCK_STREAM, &to.sa, n);
}
#endif

/* SPDX-License-Identifier: MIT */
/*
 * Somebody else's preloaded object: it stands for some calls, and looks for what is behind it at every one of them. Its own count of
 * calls is a function that the program finds.
 */
#include <dlfcn.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int preloaded_calls(void);

static int calls;

#define NEXT(name) (calls++, (__typeof__(&name))dlsym(RTLD_NEXT, #name))

int preloaded_calls(void)
{
	return calls;
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
	return NEXT(connect)(fd, to, len);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return NEXT(poll)(fds, n, timeout);
}

int epoll_wait(int ep, struct epoll_event *events, int max, int timeout)
{
	return NEXT(epoll_wait)(ep, events, max, timeout);
}

int close(int fd)
{
	return NEXT(close)(fd);
}

void *dlopen(const char *file, int mode)
{
	return NEXT(dlopen)(file, mode);
}

int getsockname(int fd, struct sockaddr *name, socklen_t *len)
{
	int r = NEXT(getsockname)(fd, name, len);

	__asm__ volatile("" ::: "memory");	/* this one is called, the others are jumped to */
	return r;
}

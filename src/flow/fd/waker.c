/* SPDX-License-Identifier: MIT */
/* Eventfds that wake threads which wait for a flow: see waker.h. */
#include "waker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/sys.h"

#define WAKERS_MAX 128

/* `fd` changes under ts_fdtab_lock only: an eventfd that is written to is one of ours, never a number that was reused. */
static struct {
	int tid;	/* 0 free */
	int pid;
	_Atomic int fd;	/* + 1; 0 none */
} wakers[WAKERS_MAX];

void ts_waker_wake(void)
{
	uint64_t one = 1;
	int pid = 0;

	for (int i = 0; i < WAKERS_MAX; i++) {
		if (!wakers[i].fd)
			continue;
		if (!pid)
			pid = (int)ts_sys(SYS_getpid);
		if (wakers[i].pid == pid)
			ts_sys(SYS_write, wakers[i].fd - 1, &one, sizeof(one));
	}
}

void ts_waker_forget(int fd)
{
	for (int i = 0; i < WAKERS_MAX; i++)
		if (wakers[i].fd == fd + 1)
			wakers[i].fd = 0;
	ts_fd_set_flags(fd, 0, TS_FD_WAKER);
}

/* Closes the slot's eventfd, unless the program did, or it is the one of a fork's parent. */
static void waker_drop(int i)
{
	int fd;

	ts_lock(&ts_fdtab_lock);
	fd = wakers[i].pid == (int)ts_sys(SYS_getpid) ? wakers[i].fd - 1 : -1;
	if (fd >= 0)
		ts_fd_set_flags(fd, 0, TS_FD_WAKER);
	wakers[i].fd = 0;
	ts_unlock(&ts_fdtab_lock);
	if (fd >= 0)
		ts_sys(SYS_close, fd);
}

/* What another thread opens meanwhile shall get the number that it gets natively, the lowest that is free. */
#define WAKER_FD_MIN 480

static long out_of_the_way(long fd)
{
	long high = fd < 0 ? fd : ts_sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, WAKER_FD_MIN);

	if (high < 0)
		return fd;	/* few descriptors are allowed */
	ts_sys(SYS_close, fd);
	return high;
}

/* A slot left by a cancelled thread is taken over. */
int ts_waker_open(void)
{
	int tid = (int)ts_sys(SYS_gettid), pid = (int)ts_sys(SYS_getpid);

	for (int i = 0; i < WAKERS_MAX; i++) {
		int owner = __atomic_load_n(&wakers[i].tid, __ATOMIC_RELAXED);
		long fd;

		if (owner && ts_sys(SYS_tgkill, pid, owner, 0) != -ESRCH)
			continue;
		if (!__sync_bool_compare_and_swap(&wakers[i].tid, owner, tid))
			continue;
		waker_drop(i);
		fd = out_of_the_way(ts_sys(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
		if (fd < 0) {
			__atomic_store_n(&wakers[i].tid, 0, __ATOMIC_RELEASE);
			return -1;
		}
		ts_lock(&ts_fdtab_lock);
		wakers[i].pid = pid;
		wakers[i].fd = (int)fd + 1;
		ts_fd_set_flags((int)fd, TS_FD_WAKER, 0);
		ts_unlock(&ts_fdtab_lock);
		return i;
	}
	return -1;
}

void ts_waker_close(int i)
{
	if (i < 0)
		return;
	waker_drop(i);
	__atomic_store_n(&wakers[i].tid, 0, __ATOMIC_RELEASE);
}

int ts_waker_fd(int i)
{
	return i < 0 ? -1 : wakers[i].fd - 1;
}

bool ts_waker_heard(int *waker, short revents)
{
	uint64_t drained;

	if (revents & POLLIN)
		return ts_sys(SYS_read, ts_waker_fd(*waker), &drained, sizeof(drained)) > 0;
	if (revents) {	/* closed by the program, as part of closing everything */
		ts_waker_close(*waker);
		*waker = -1;
	}
	return false;
}

/* SPDX-License-Identifier: MIT */
/*
 * fork and its like, and chroot. Nothing need be done for the child of a fork to work: it notices by itself (guard.h). But a connection
 * that is pending at that moment may be completed by either side, and a socket that is not connected yet be connected by either, and then
 * nothing in the kernel tells the other one: so they are marked, and looked at.
 * Not here: vfork, whose caller returns twice on one stack, and whose child has its parent's memory, marks and all.
 */
#include "hook.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "tsproxy/handoff.h"
#include "tsproxy/names.h"

#define STANDARD 3	/* descriptors 0 to 2, which libc replaces by itself */

pid_t fork(void)
{
	ts_handoff_forking();
	return ts_real()->fork();
}

pid_t _Fork(void)
{
	ts_handoff_forking();
	return ts_real()->_Fork();
}

int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	void *more[3];	/* where the child's ID is stored, its thread-local storage, and where the ID is cleared */
	va_list ap;

	va_start(ap, arg);
	for (int i = 0; i < 3; i++)
		more[i] = va_arg(ap, void *);
	va_end(ap);
	if (!(flags & CLONE_VM))
		ts_handoff_forking();
	return ts_real()->clone(fn, stack, flags, arg, more[0], more[1], more[2]);
}

static void forget_standard(void)
{
	for (int fd = 0; fd < STANDARD; fd++)
		ts_fd_forget(fd);
}

int forkpty(int *master, char *name, const struct termios *termios, const struct winsize *size)
{
	__typeof__(forkpty) *real = ts_real_loaded("forkpty");
	int r;

	ts_handoff_forking();
	r = real ? real(master, name, termios, size) : ts_result(-ENOSYS);
	if (r == 0)
		forget_standard();
	return r;
}

int login_tty(int fd)
{
	__typeof__(login_tty) *real = ts_real_loaded("login_tty");
	int r = real ? real(fd) : ts_result(-ENOSYS);

	if (r == 0) {
		forget_standard();
		ts_fd_forget(fd);
	}
	return r;
}

int daemon(int nochdir, int noclose)
{
	__typeof__(daemon) *real = ts_real_loaded("daemon");
	int r;

	ts_handoff_forking();
	r = real ? real(nochdir, noclose) : ts_result(-ENOSYS);
	if (r == 0 && !noclose)
		forget_standard();
	return r;
}

/* The map's file is not seen from a new root, and names and addresses are asked for later: a daemon's, that root starts. */
int chroot(const char *path)
{
	if (getauxval(AT_EUID) == 0 && ts_enabled() && !ts_sandboxed())
		ts_live_keep();
	return ts_real()->chroot(path);
}

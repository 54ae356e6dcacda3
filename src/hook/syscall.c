/* SPDX-License-Identifier: MIT */
/*
 * syscall(2), the function: programs that name a call by its number mean the same call. Numbers that have a hook go to the hook;
 * all others reach libc's own function untouched, by a jump, so that vfork and clone through it return as they must.
 */
#include "hook.h"

#include <errno.h>

#include "sandbox.h"
#include "syscall.h"
#include "tsproxy/calls.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/map.h"
#include "tsproxy/names.h"
#include "tsproxy/udp.h"
#include "tsproxy/wait.h"

/* io_uring works beside every hook. Where a tailnet is, it is said not to exist, and programs (libuv) take their other way. */
static bool refuse_io_uring(void)
{
	uint32_t map_flags;

	if (!ts_enabled())
		return false;
	return ts_conf.socks5.set || (ts_live_flags(&map_flags) == 0 ? !(map_flags & TS_MAP_TUN) : ts_live_meant() != NULL);
}

/* pselect6's last argument: its mask and the size of that, pselect(2). */
struct pselect_mask {
	const sigset_t *mask;
	size_t size;
};

/*
 * Calls whose libc wrappers do more than the kernel (a cancellation point, a time-out that is not updated): where nothing is pending
 * that they touch, the kernel's own call is made.
 */
static bool leaves_us_cold(long n, long a, long b, long c, long d)
{
	switch (n) {
	case SYS_read:
	case SYS_write:
	case SYS_readv:
	case SYS_writev:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_preadv2:
	case SYS_pwritev2:
		return !ts_fd_is_carried((int)a);
	case SYS_close:
		return !ts_fd_get_flags((int)a);
	case SYS_ppoll:
		return !ts_wait_poll_concerns((const void *)a, (nfds_t)b);
	case SYS_pselect6:
		return !ts_wait_select_concerns((int)a, (const void *)b, (const void *)c, (const void *)d);
	default:
		return false;
	}
}

long ts_syscall_hooked(long n, long a, long b, long c, long d, long e, long f)
{
	const struct pselect_mask *mask = (const void *)f;

	if (leaves_us_cold(n, a, b, c, d))
		return ts_real()->syscall(n, a, b, c, d, e, f);
	switch (n) {
	case SYS_socket:
		return socket((int)a, (int)b, (int)c);
	case SYS_connect:
		return connect((int)a, (const void *)b, (socklen_t)c);
	case SYS_bind:
		return bind((int)a, (const void *)b, (socklen_t)c);
	case SYS_listen:
		return listen((int)a, (int)b);
	case SYS_close:
		return close((int)a);
	case SYS_read:
		return read((int)a, (void *)b, (size_t)c);
	case SYS_write:
		return write((int)a, (const void *)b, (size_t)c);
	case SYS_readv:
		return readv((int)a, (const void *)b, (int)c);
	case SYS_writev:
		return writev((int)a, (const void *)b, (int)c);
	case SYS_preadv2:	/* `e` is the offset's upper half where a word has 32 bits */
		return preadv2((int)a, (const void *)b, (int)c, d, (int)f);
	case SYS_pwritev2:
		return pwritev2((int)a, (const void *)b, (int)c, d, (int)f);
	case SYS_recvfrom:
		return recvfrom((int)a, (void *)b, (size_t)c, (int)d, (void *)e, (void *)f);
	case SYS_sendto:
		return sendto((int)a, (const void *)b, (size_t)c, (int)d, (const void *)e, (socklen_t)f);
	case SYS_recvmsg:
		return recvmsg((int)a, (void *)b, (int)c);
	case SYS_sendmsg:
		return sendmsg((int)a, (const void *)b, (int)c);
	case SYS_recvmmsg:
		return recvmmsg((int)a, (void *)b, (unsigned)c, (int)d, (void *)e);
	case SYS_sendmmsg:
		return sendmmsg((int)a, (void *)b, (unsigned)c, (int)d);
	case SYS_getpeername:
		return getpeername((int)a, (void *)b, (void *)c);
	case SYS_getsockname:
		return getsockname((int)a, (void *)b, (void *)c);
	case SYS_getsockopt:
		return getsockopt((int)a, (int)b, (int)c, (void *)d, (void *)e);
	case SYS_setsockopt:
		return setsockopt((int)a, (int)b, (int)c, (const void *)d, (socklen_t)e);
	case SYS_shutdown:
		return shutdown((int)a, (int)b);
	case SYS_ppoll:
		return ppoll((void *)a, (nfds_t)b, (const void *)c, (const void *)d);
	case SYS_pselect6:
		return pselect((int)a, (void *)b, (void *)c, (void *)d, (const void *)e, mask ? mask->mask : NULL);
	case SYS_epoll_ctl:
		return epoll_ctl((int)a, (int)b, (int)c, (void *)d);
	case SYS_execve:
		return execve((const void *)a, (void *)b, (void *)c);
	case SYS_execveat:
		return execveat((int)a, (const void *)b, (void *)c, (void *)d, (int)e);
	case SYS_epoll_pwait:
		return epoll_pwait((int)a, (void *)b, (int)c, (int)d, (const void *)e);
	case SYS_dup:
		return dup((int)a);
	case SYS_dup3:
		return dup3((int)a, (int)b, (int)c);
	case SYS_fcntl:
		return fcntl((int)a, (int)b, (void *)c);
	case SYS_ioctl:
		return ioctl((int)a, (unsigned long)b, (void *)c);
	case SYS_close_range:
		return close_range((unsigned)a, (unsigned)b, (int)c);
	case SYS_unshare:
		return unshare((int)a);
	case SYS_sendfile:
		return sendfile((int)a, (int)b, (void *)c, (size_t)d);
	case SYS_splice:
		return splice((int)a, (void *)b, (int)c, (void *)d, (size_t)e, (unsigned)f);
	case SYS_epoll_pwait2:
		return epoll_pwait2((int)a, (void *)b, (int)c, (const void *)d, (const void *)e);
	case SYS_prctl:
		return prctl((int)a, b, c, d, e);
	case SYS_seccomp:
		return ts_sandbox_seccomp(a, (unsigned long)b, (void *)c);
	case SYS_io_uring_setup:
		return refuse_io_uring() ? ts_result(-ENOSYS) : ts_real()->syscall(n, a, b);
	default:
		return ts_syscall_arch(n, a, b, c, d, e, f);
	}
}

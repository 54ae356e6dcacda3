/* SPDX-License-Identifier: MIT */
/* syscall(2) by number: the part that all architectures share, and each one's own. */
#ifndef TSPROXY_HOOK_SYSCALL_H
#define TSPROXY_HOOK_SYSCALL_H

#include "tsproxy/calls.h"

/*
 * The numbers that go to ts_syscall_hooked, a bit each: word n / 64, bit n % 64. All others are libc's, which is jumped to with the stack
 * as the caller left it (assembler in syscall_*.c): what a vfork or clone by its number makes of that stack is the caller's affair.
 */
#define TS_CALLS_MAX 512
extern const unsigned long long ts_syscall_set[TS_CALLS_MAX / 64];

#define TS_CALL_BIT(word, n) | ((n) / 64 == (word) ? 1ull << (n) % 64 : 0)
/* One word of the set; `more` are the numbers that only this architecture has, as the list here. */
#define TS_CALL_WORD(word, more) (0ull TS_CALLS(TS_CALL_BIT, word) more(TS_CALL_BIT, word))
#define TS_CALLS(in, word) \
	in(word, SYS_read) in(word, SYS_write) in(word, SYS_close) in(word, SYS_ioctl) in(word, SYS_readv) in(word, SYS_writev) \
	in(word, SYS_preadv2) in(word, SYS_pwritev2) in(word, SYS_dup) in(word, SYS_dup3) in(word, SYS_fcntl) in(word, SYS_close_range) in(word, SYS_unshare) \
	in(word, SYS_sendfile) in(word, SYS_splice) in(word, SYS_socket) in(word, SYS_connect) in(word, SYS_bind) in(word, SYS_listen) in(word, SYS_shutdown) \
	in(word, SYS_sendto) in(word, SYS_recvfrom) in(word, SYS_sendmsg) in(word, SYS_recvmsg) in(word, SYS_sendmmsg) \
	in(word, SYS_recvmmsg) in(word, SYS_getsockname) in(word, SYS_getpeername) in(word, SYS_setsockopt) in(word, SYS_getsockopt) \
	in(word, SYS_pselect6) in(word, SYS_ppoll) in(word, SYS_epoll_ctl) in(word, SYS_epoll_pwait) in(word, SYS_epoll_pwait2) \
	in(word, SYS_execve) in(word, SYS_execveat) in(word, SYS_prctl) in(word, SYS_seccomp) in(word, SYS_io_uring_setup)

/* What syscall(n, ...) does for a number of the set. Returns as the hook does: -1 and errno. */
long ts_syscall_hooked(long n, long a, long b, long c, long d, long e, long f);
/* The numbers that only one architecture has. */
long ts_syscall_arch(long n, long a, long b, long c, long d, long e, long f);

#endif

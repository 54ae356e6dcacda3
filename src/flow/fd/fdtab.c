/* SPDX-License-Identifier: MIT */
/*
 * The table of descriptors: see fdtab.h. It is plain zero-filled memory for every number there can be: a page is touched only where a
 * program uses it, and no lookup can fail, collide or allocate.
 */
#include "tsproxy/fdtab.h"

#include <errno.h>
#include <sys/socket.h>

#include "tsproxy/family.h"
#include "tsproxy/log.h"
#include "tsproxy/spawn.h"
#include "tsproxy/sys.h"

#define BITS (8 * sizeof(long))

uint16_t ts_fd_flags[TS_FD_MAX];
unsigned long ts_fd_waits[TS_FD_MAX / BITS];
TS_EVERY_START _Atomic int ts_flow_count, ts_carried_count;
struct ts_lock ts_fdtab_lock;

static int highest = -1;

int ts_fd_highest(void)
{
	return __atomic_load_n(&highest, __ATOMIC_RELAXED);
}

static void mark_waits(int fd, bool on)
{
	unsigned long *word = &ts_fd_waits[(unsigned)fd / BITS], bit = 1ul << (unsigned)fd % BITS;

	if (on)
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(word, ~bit, __ATOMIC_RELAXED);
}

#define COUNTED (TS_FD_FLOW | TS_FD_SUSPECT)
#define WAITS (COUNTED | TS_FD_TAGGED_SET)
#define LOCKED (TS_FD_FLOW | TS_FD_TAGGED_SET | TS_FD_WAKER | TS_FD_UDP)

/* Other threads change other flags of the same number meanwhile. False, and nothing is changed, where one of `unless` is set. */
static bool change_flags(int fd, unsigned set, unsigned clear, unsigned unless)
{
	uint16_t before = (uint16_t)ts_fd_get_flags(fd), after;

	do {
		if (before & unless)
			return false;
		after = (uint16_t)((before & ~clear) | set);
	} while (after != before &&
		 !__atomic_compare_exchange_n(&ts_fd_flags[fd], &before, after, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	if (!(before & COUNTED) != !(after & COUNTED))
		ts_flow_count += after & COUNTED ? 1 : -1;
	if ((before ^ after) & TS_FD_CARRIED)
		ts_carried_count += after & TS_FD_CARRIED ? 1 : -1;
	if (!(before & WAITS) != !(after & WAITS))
		mark_waits(fd, after & WAITS);
	return true;
}

static void note_highest(int fd)
{
	int seen = ts_fd_highest();

	while (fd > seen && !__atomic_compare_exchange_n(&highest, &seen, fd, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void ts_fd_set_flags(int fd, unsigned set, unsigned clear)
{
	if ((unsigned)fd >= TS_FD_MAX)
		return;
	if (set)
		note_highest(fd);
	change_flags(fd, set, clear, 0);
}

bool ts_fd_set_plain(int fd, unsigned set, unsigned clear)
{
	if ((unsigned)fd >= TS_FD_MAX)
		return true;
	if (set)
		note_highest(fd);
	return change_flags(fd, set, clear, LOCKED);
}

uint64_t ts_socket_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

bool ts_socket_is(int fd, uint64_t cookie)
{
	uint64_t now = 0;
	socklen_t len = sizeof(now);
	long err = ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE, &now, &len);

	return err ? err != -EBADF && err != -ENOTSOCK : now == cookie || !cookie;
}

void ts_fd_suspect(int fd)
{
	ts_fd_set_plain(fd, TS_FD_SUSPECT, TS_FD_ALL);
}

static _Atomic bool parted;

bool ts_fd_are_parted(void)
{
	if (parted && ts_status_number("/proc/self/status", "Threads") == 1)
		parted = false;
	return parted;
}

int ts_fd_part(void)
{
	if (ts_single_threaded() || ts_sandboxed() || ts_process() != TS_SELF)
		return 0;
	parted = true;
	if (!ts_family_carries() || !ts_fd_are_parted())
		return 0;
	parted = false;
	return -ENOMEM;
}

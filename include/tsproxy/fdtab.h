/* SPDX-License-Identifier: MIT */
/*
 * What is known about descriptors: two bytes of flags each, in a lazily touched table, so that a hook decides with two loads whether a call
 * concerns us.
 */
#ifndef TSPROXY_FDTAB_H
#define TSPROXY_FDTAB_H

#include <stdbool.h>
#include <stdint.h>

#include "tsproxy/family.h"
#include "tsproxy/guard.h"

#define TS_FD_MAX (1 << 20)	/* Linux' default nr_open; a connect on a higher one is ENOBUFS */

enum ts_fd_flag {
	TS_FD_NEW = 1,		/* a TCP socket made here that was never connected */
	TS_FD_TRACKED = 2,	/* every epoll registration of this descriptor is in our table (epreg.h) */
	TS_FD_OPTIONS = 4,	/* a local address, time-outs, low-water mark or such were set: ask the kernel before relying on defaults */
	TS_FD_FLOW = 8,		/* belongs to a flow */
	TS_FD_TAGGED_SET = 32,	/* an epoll set that holds, or held, tags (epreg.h) */
	TS_FD_WAKER = 16,	/* an eventfd of ours (wait.c) */
	TS_FD_SUSPECT = 64,	/* not connected here: a relative by fork may have begun a connect on it, if it carries anything (family.h) */
	TS_FD_UDP = 128,	/* a datagram socket with an association (udp.h) */
	TS_FD_DATAGRAM = 256,	/* a UDP socket made here */
	TS_FD_IDLE = 2048,	/* a TCP socket that is not connected as far as we know; without NEW and TRACKED */
	TS_FD_TRACED = 1024,	/* a carried connection whose end is to be told (trace.h) */
	TS_FD_DUPLICATED = 4096, /* with TS_FD_DATAGRAM: other descriptors of this process may be the same socket */
	TS_FD_KEYED = 8192,	/* the program may have set TCP_FASTOPEN_KEY (note.h) */
	/*
	 * The socket holds what the kernel does not know of: an identity (identity.h), because its last connection was carried or it is bound
	 * to an own address; with TS_FD_DATAGRAM a record in its filter (udp_record.c).
	 */
	TS_FD_CARRIED = 16384,
	TS_FD_ARRIVED = 32768,	/* came by SCM_RIGHTS, and nobody has looked yet at what it is (handoff.h) */
	TS_FD_ALL = 0xffff,
	TS_FD_SHARED = 512,	/* with either of these: another process of the same family by fork has it, too */
};

extern uint16_t ts_fd_flags[TS_FD_MAX];
extern _Atomic int ts_flow_count;	/* descriptors with TS_FD_FLOW or TS_FD_SUSPECT in this process */
extern _Atomic int ts_carried_count;	/* with TS_FD_CARRIED */
extern struct ts_lock ts_fdtab_lock;

/* One bit a descriptor, set where the flags have TS_FD_FLOW, TS_FD_SUSPECT or TS_FD_TAGGED_SET: to be held against select's sets. */
extern unsigned long ts_fd_waits[TS_FD_MAX / (8 * sizeof(long))];

static inline unsigned ts_fd_get_flags(int fd)
{
	return (unsigned)fd < TS_FD_MAX ? __atomic_load_n(&ts_fd_flags[fd], __ATOMIC_RELAXED) : 0;
}

/* True where a descriptor with these flags may belong to a flow. */
static inline bool ts_flags_have_flow(unsigned flags)
{
	return flags & TS_FD_FLOW || (flags & TS_FD_SUSPECT && ts_family_carries());
}

/* The same of a descriptor. Two loads; no lock. */
static inline bool ts_fd_has_flow(int fd)
{
	return __builtin_expect(ts_flow_count != 0, 0) && ts_flags_have_flow(ts_fd_get_flags(fd));
}

/* True where reading and writing may concern us: a flow, or datagrams through a relay. */
static inline bool ts_fd_is_carried(int fd)
{
	return __builtin_expect(ts_fd_get_flags(fd) & (TS_FD_FLOW | TS_FD_SUSPECT | TS_FD_UDP | TS_FD_SHARED), 0);
}

/* True where tables lead to the descriptor's socket, or its end is told. */
static inline bool ts_fd_is_kept(int fd)
{
	return ts_fd_get_flags(fd) & (TS_FD_FLOW | TS_FD_TAGGED_SET | TS_FD_WAKER | TS_FD_UDP | TS_FD_TRACED);
}

/* SO_COOKIE: the socket, whatever its number. 0 where the kernel does not say. */
uint64_t ts_socket_cookie(int fd);
/* Whether `fd` is the socket that had this cookie. In doubt, where the kernel does not say and there is a socket, it is. */
bool ts_socket_is(int fd, uint64_t cookie);
/* The highest descriptor that ever had a flag, for close_range. */
int ts_fd_highest(void);
/*
 * Sets and clears flags in one atomic step. TS_FD_FLOW, TS_FD_TAGGED_SET, TS_FD_WAKER and TS_FD_UDP change under ts_fdtab_lock only;
 * the others need no lock.
 */
void ts_fd_set_flags(int fd, unsigned set, unsigned clear);
/* The same, unless the descriptor has one of those four: then nothing is changed, and it returns false. */
bool ts_fd_set_plain(int fd, unsigned set, unsigned clear);
/*
 * A thread is about to get a table of descriptors of its own (unshare(2), CLONE_FILES). By then a number may mean one socket here and another
 * there, and only one has its flags. 0, and nothing is carried any more where there are other threads; or, where something is carried, -ENOMEM.
 */
int ts_fd_part(void);
/* Whether threads have tables of their own. */
bool ts_fd_are_parted(void);
/* Marks a descriptor TS_FD_SUSPECT that has no flow; no other mark stays. Needs no lock. */
void ts_fd_suspect(int fd);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What is known about descriptors, and the flows: connections that are being made through a proxy.
 *
 * Per descriptor two bytes of flags in a lazily touched table, so that a hook decides with two loads whether a call concerns us.
 * A flow lives in memory shared with children made by fork, so that either side may complete it; the tables that lead to it
 * (descriptor to flow, aliases made by dup) are each process's own.
 *
 * Everything but the inline tests is called with ts_fdtab_lock held, and never in a vfork child.
 */
#ifndef TSPROXY_FDTAB_H
#define TSPROXY_FDTAB_H

#include <stdbool.h>
#include <stdint.h>

#include "tsproxy/family.h"
#include "tsproxy/guard.h"
#include "tsproxy/handshake.h"
#include "tsproxy/route.h"

#define TS_FD_MAX (1 << 20)	/* Linux' default nr_open; a connect on a higher one is ENOBUFS */
#define TS_FLOWS_MAX 65536	/* flows under way at once, over all processes of a fork family */

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
	TS_FD_ARRIVED = 32768,	/* came by SCM_RIGHTS, and nobody has looked yet at what it is (cross.h) */
	TS_FD_ALL = 0xffff,
	TS_FD_SHARED = 512,	/* with either of these: another process of the same family by fork has it, too */
};

extern uint16_t ts_fd_flags[TS_FD_MAX];
extern _Atomic int ts_flow_count;	/* descriptors with TS_FD_FLOW or TS_FD_SUSPECT in this process */
extern _Atomic int ts_carried_count;	/* with TS_FD_CARRIED */
extern _Atomic bool ts_fd_datagrams;	/* TS_FD_DATAGRAM was set on one, once */
extern struct ts_lock ts_fdtab_lock;

enum ts_flow_state {
	TS_FLOW_OVER,		/* done, or free */
	TS_FLOW_STARTING,	/* a thread (`reader_tid`) is in the kernel's connect to the proxy */
	TS_FLOW_CONNECTING,	/* the kernel's connect to the proxy is itself in progress (its backlog is full, or it is on another host) */
	TS_FLOW_HANDSHAKE,	/* `hs` says where */
	TS_FLOW_FAILED,		/* the kernel says ECONNREFUSED where `err` is meant, or nothing (`unsaid`); until it was told once */
};

struct ts_flow {
	struct ts_lock lock;	/* only one process at a time reads the proxy's answer */
	uint32_t next;		/* free list */
	uint32_t gen;		/* counts uses of this slot */
	uint32_t state;		/* enum ts_flow_state */
	int err;
	int owner_pid;		/* who frees the slot */
	int reader_tid;		/* a thread in a connect that advances the flow itself; 0 none */
	uint64_t cookie;	/* SO_COOKIE: the socket, whatever its number */
	int64_t start_ms;	/* CLOCK_MONOTONIC */
	int64_t start_us;	/* the same, where connections are traced */
	int family;		/* of the sockaddrs that the program uses */
	int lowat;		/* SO_RCVLOWAT as the program wants it */
	int lowat_now;		/* as the kernel has it */
	bool forked;		/* several processes may hold it: what another completes wakes nobody here */
	bool crossed;		/* processes without this pool may hold it: the record in the socket is its state (cross.h) */
	bool unreported;	/* a blocking connect was interrupted: a later one reports the success once */
	bool v6only;		/* IPV6_V6ONLY was set by the program, and had to be cleared */
	bool offline;
	bool unsaid;		/* the kernel could not be made to report the failure */
	uint16_t local_port;	/* the program chose it; 0: the kernel did */
	struct ts_addr proxy;
	struct ts_handshake hs;
};

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

/* A new flow for `fd`, its first alias; its cookie set. Null where memory or slots ran out. */
struct ts_flow *ts_flow_new(int fd);
/* The flow of `fd`, or null: none, or the number belongs to another socket by now (it is forgotten then). */
struct ts_flow *ts_flow_of(int fd);
/* The same for a number that may be known already; for ts_epreg_discover. */
void ts_flow_found_alias(int fd, void *flow);
/* The flow of this process whose socket has this cookie, or null. Writes nothing: a vfork child may ask, without the lock. */
struct ts_flow *ts_flow_with_cookie(uint64_t cookie);
/* SO_COOKIE: the socket, whatever its number. 0 where the kernel does not say. */
uint64_t ts_socket_cookie(int fd);
/* Whether `fd` is the socket that had this cookie. In doubt, where the kernel does not say and there is a socket, it is. */
bool ts_socket_is(int fd, uint64_t cookie);
/* Marks a descriptor TS_FD_SUSPECT that has no flow; no other mark stays. Needs no lock. */
void ts_flow_suspect(int fd);
/* The next descriptor of the flow that `fd` belongs to: iterate from ts_flow_first until -1. */
int ts_flow_first(const struct ts_flow *f);
int ts_flow_next(int fd);
/* `alias` was made by dup and the like. */
void ts_flow_add_alias(struct ts_flow *f, int alias);
/* `fd` is being closed or replaced: forgets it, and the flow with its last alias. */
void ts_flow_drop_alias(int fd);
/* The flow is over: forgets all its aliases, frees it. */
void ts_flow_end(struct ts_flow *f);

/* What the kernel reports when a pending flow can be advanced: EPOLLIN or EPOLLOUT (POLLIN, POLLOUT have the same values). */
static inline uint32_t ts_flow_wake_events(const struct ts_flow *f)
{
	return f->state == TS_FLOW_CONNECTING || f->state == TS_FLOW_STARTING ? 4 : 1;
}

/* The highest descriptor that ever had a flag, for close_range. */
int ts_fd_highest(void);
/*
 * Sets and clears flags in one atomic step. TS_FD_FLOW, TS_FD_TAGGED_SET, TS_FD_WAKER and TS_FD_UDP change under ts_fdtab_lock only;
 * the others need no lock.
 */
void ts_fd_set_flags(int fd, unsigned set, unsigned clear);
/* Clears all flags of a descriptor that has none of those four. False where it has one: take the lock. */
bool ts_fd_clear_plain(int fd);
/* Another number than `fd` names its socket, too: whoever connects it must ask the kernel for those and where they are registered. */
void ts_fd_untrack(int fd);
/* The same for one that has no flow, without the lock. */
void ts_fd_untrack_plain(int fd);

#endif

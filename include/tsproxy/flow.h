/* SPDX-License-Identifier: MIT */
/*
 * Flows: connections that are being made through a proxy.
 *
 * A flow lives in memory shared with children made by fork, so that either side may complete it; the tables that lead to it (descriptor to
 * flow, aliases made by dup) are each process's own.
 *
 * ts_fdtab_lock is held unless said otherwise; never in a vfork child.
 */
#ifndef TSPROXY_FLOW_H
#define TSPROXY_FLOW_H

#include "tsproxy/fdtab.h"
#include "tsproxy/handshake.h"
#include "tsproxy/route.h"

#define TS_FLOWS_MAX 65536	/* flows under way at once, over all processes of a fork family */

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
	bool handed_off;		/* processes without this pool may hold it: the record in the socket is its state (handoff.h) */
	bool unreported;	/* a blocking connect was interrupted: a later one reports the success once */
	bool v6only;		/* IPV6_V6ONLY was set by the program, and had to be cleared */
	bool offline;
	bool unsaid;		/* the kernel could not be made to report the failure */
	uint16_t local_port;	/* the program chose it; 0: the kernel did */
	struct ts_addr proxy;
	struct ts_handshake hs;
};

/* A new flow for `fd`, its first alias; its cookie set. Null where memory or slots ran out. */
struct ts_flow *ts_flow_new(int fd);
/* The flow that the tables have for `fd`, or null: none, or the number belongs to another socket by now (it is forgotten then). */
struct ts_flow *ts_flow_known(int fd);
/* The same; a suspect is resolved first (handoff.c). */
struct ts_flow *ts_flow_of(int fd);
/* The same with ts_fdtab_lock taken; where it returns null, nothing is locked. */
struct ts_flow *ts_flow_lock(int fd);
/* The same for a number that may be known already; for ts_epreg_discover. */
void ts_flow_found_alias(int fd, void *flow);
/* The flow of this process whose socket has this cookie, or null. Writes nothing: a vfork child may ask, without the lock. */
struct ts_flow *ts_flow_with_cookie(uint64_t cookie);
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

#endif

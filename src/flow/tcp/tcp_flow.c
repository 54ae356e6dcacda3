/* SPDX-License-Identifier: MIT */
/* The pool of flows, and the descriptors that lead to them: see flow.h. Both are mapped at the first flow. */
#include "tsproxy/flow.h"

#include <string.h>
#include <sys/mman.h>

#include "tsproxy/clock.h"
#include "tsproxy/epreg.h"
#include "tsproxy/scratch.h"
#include "tsproxy/streams.h"
#include "tsproxy/sys.h"

#define NONE 0xffffffffu
#define ORPHANS_KEPT 1024

/* Shared by a fork family. */
struct pool {
	struct ts_lock lock;
	uint32_t used;		/* slots that were ever handed out */
	uint32_t free_head;	/* index + 1, 0: none */
	uint32_t orphan_head, orphan_tail;	/* likewise: given up while pending, maybe known to a child; used again late */
	uint32_t orphan_count;
	struct ts_flow flow[TS_FLOWS_MAX];
};
static struct pool *pool;

/* This process's view. Mapped with the pool: a process without flows pays for none of it, not even with mlockall. */
struct tables {
	uint32_t slot_of[TS_FD_MAX];
	int next_alias[TS_FD_MAX];	/* fd + 1; 0 ends */
	struct {
		uint32_t gen;		/* of the flow, when this process came to know it */
		int first;		/* fd + 1; 0: none */
	} view[TS_FLOWS_MAX];
};
static struct tables *tables;

static bool pool_get(void)
{
	if (!tables)
		tables = ts_zero_pages(sizeof(*tables), MAP_PRIVATE);
	if (!pool && (pool = ts_zero_pages(sizeof(*pool), MAP_SHARED)))
		pool->lock.shared = 1;
	return tables && pool;
}

static uint32_t slot_take(void)
{
	uint32_t slot = NONE;

	ts_lock_within(&pool->lock, &ts_fdtab_lock);
	if (pool->free_head) {
		slot = pool->free_head - 1;
		pool->free_head = pool->flow[slot].next;
	} else if (pool->orphan_count > ORPHANS_KEPT || (pool->orphan_count && pool->used == TS_FLOWS_MAX)) {
		slot = pool->orphan_head - 1;
		pool->orphan_head = pool->flow[slot].next;
		pool->orphan_count--;
	} else if (pool->used < TS_FLOWS_MAX) {
		slot = pool->used++;
	}
	ts_unlock_within(&pool->lock);
	return slot;
}

static void slot_give_back(uint32_t slot)
{
	struct ts_flow *f = &pool->flow[slot];

	ts_lock_within(&pool->lock, &ts_fdtab_lock);
	if (f->state == TS_FLOW_OVER) {
		f->next = pool->free_head;
		pool->free_head = slot + 1;
	} else {
		/* This process closed its last descriptor; one that it forked may go on with the connection. */
		f->next = 0;
		if (pool->orphan_head)
			pool->flow[pool->orphan_tail - 1].next = slot + 1;
		else
			pool->orphan_head = slot + 1;
		pool->orphan_tail = slot + 1;
		pool->orphan_count++;
	}
	ts_unlock_within(&pool->lock);
}

/* Ends a suspicion. */
static void clear_suspect(int fd)
{
	if (!(ts_fd_get_flags(fd) & TS_FD_SUSPECT))
		return;
	ts_fd_set_flags(fd, 0, TS_FD_SUSPECT);
}

void ts_flow_add_alias(struct ts_flow *f, int fd)
{
	uint32_t slot = (uint32_t)(f - pool->flow);

	if ((unsigned)fd >= TS_FD_MAX)
		return;
	if (fd <= 2 || ts_streams_wanted)
		ts_streams_take();	/* the standard streams', or one that the program made */
	clear_suspect(fd);
	tables->slot_of[fd] = slot;
	tables->next_alias[fd] = tables->view[slot].first;
	tables->view[slot].first = fd + 1;
	ts_fd_set_flags(fd, TS_FD_FLOW, 0);
}

void ts_flow_found_alias(int fd, void *flow)
{
	if (!(ts_fd_get_flags(fd) & TS_FD_FLOW))
		ts_flow_add_alias(flow, fd);
}

struct ts_flow *ts_flow_new(int fd)
{
	struct ts_flow *f;
	uint32_t slot, gen;

	if ((unsigned)fd >= TS_FD_MAX || !pool_get() || (slot = slot_take()) == NONE)
		return NULL;
	f = &pool->flow[slot];
	gen = f->gen + 1;	/* who still knows the slot's last use learns that it is over */
	memset(f, 0, sizeof(*f));
	f->gen = gen;
	f->lock.shared = 1;
	ts_family_carry();
	f->owner_pid = (int)ts_sys(SYS_getpid);
	f->cookie = ts_socket_cookie(fd);
	f->start_ms = ts_now_ms();
	tables->view[slot].gen = gen;
	tables->view[slot].first = 0;
	ts_flow_add_alias(f, fd);
	return f;
}

/* Takes `fd` out of its flow's chain. Returns the slot. */
static uint32_t unlink_alias(int fd)
{
	uint32_t slot = tables->slot_of[fd];

	for (int *p = &tables->view[slot].first; *p; p = &tables->next_alias[*p - 1])
		if (*p == fd + 1) {
			*p = tables->next_alias[fd];
			break;
		}
	tables->next_alias[fd] = 0;
	ts_fd_set_flags(fd, 0, TS_FD_FLOW);
	return slot;
}

static void release(uint32_t slot)
{
	struct ts_flow *f = &pool->flow[slot];

	if (f->gen == tables->view[slot].gen && f->owner_pid == (int)ts_sys(SYS_getpid))
		slot_give_back(slot);
}

void ts_flow_drop_alias(int fd)
{
	uint32_t slot;

	clear_suspect(fd);
	if (!(ts_fd_get_flags(fd) & TS_FD_FLOW))
		return;
	slot = unlink_alias(fd);
	if (tables->view[slot].first)
		ts_epreg_move(fd, tables->view[slot].first - 1, ts_flow_wake_events(&pool->flow[slot]));
	else
		release(slot);
}

struct ts_flow *ts_flow_known(int fd)
{
	struct ts_flow *f;
	bool over;

	if (!(ts_fd_get_flags(fd) & TS_FD_FLOW))
		return NULL;
	f = &pool->flow[tables->slot_of[fd]];
	over = f->gen != tables->view[tables->slot_of[fd]].gen || f->state == TS_FLOW_OVER;
	if (!over && ts_socket_is(fd, f->cookie))
		return f;
	if (over) {	/* Another process of the family ended it: the socket is as it should be, and so must its registrations be. */
		ts_epreg_untag_left(fd);
		ts_epreg_forget(fd);
	}
	/* Otherwise closed behind our back (raw system call), and the number reused. */
	ts_flow_drop_alias(fd);
	ts_epreg_forget(fd);
	ts_fd_set_flags(fd, over ? TS_FD_IDLE | TS_FD_CARRIED : 0, TS_FD_ALL);
	return NULL;
}

struct ts_flow *ts_flow_with_cookie(uint64_t cookie)
{
	for (int fd = 0; cookie && fd <= ts_fd_highest(); fd++) {
		struct ts_flow *f;
		uint32_t slot;

		if (!(ts_fd_get_flags(fd) & TS_FD_FLOW))
			continue;
		slot = __atomic_load_n(&tables->slot_of[fd], __ATOMIC_RELAXED);
		f = &pool->flow[slot];
		if (__atomic_load_n(&f->cookie, __ATOMIC_RELAXED) == cookie &&
		    __atomic_load_n(&f->gen, __ATOMIC_RELAXED) == __atomic_load_n(&tables->view[slot].gen, __ATOMIC_RELAXED) &&
		    __atomic_load_n(&f->state, __ATOMIC_RELAXED) != TS_FLOW_OVER)
			return f;
	}
	return NULL;
}

int ts_flow_first(const struct ts_flow *f)
{
	return tables->view[f - pool->flow].first - 1;
}

int ts_flow_next(int fd)
{
	return tables->next_alias[fd] - 1;
}

void ts_flow_end(struct ts_flow *f)
{
	uint32_t slot = (uint32_t)(f - pool->flow);
	int first = tables->view[slot].first;
	bool several = first && tables->next_alias[first - 1];

	while ((first = tables->view[slot].first)) {
		unlink_alias(first - 1);
		ts_fd_set_flags(first - 1, TS_FD_CARRIED, 0);
		/* From here on nobody follows which numbers the socket has. */
		if (several)
			ts_fd_untrack(first - 1);
	}
	f->state = TS_FLOW_OVER;
	release(slot);
}

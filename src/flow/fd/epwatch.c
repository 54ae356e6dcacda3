/* SPDX-License-Identifier: MIT */
/*
 * See epwatch.h. A small table, searched from a place that the descriptor's number gives. Each slot belongs to whoever changed its key
 * from what it was to BUSY; who finds one in that state does not wait.
 */
#include "tsproxy/epwatch.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SLOTS 1024
#define REACH 16
#define BUSY ~0ull

static struct slot {
	uint64_t key;		/* epfd + 1 in the upper half, fd + 1 in the lower; 0 free */
	uint64_t data;
	uint32_t events;
} slots[SLOTS];
static _Atomic bool used;	/* ever */

static uint64_t key_of(int epfd, int fd)
{
	return ((uint64_t)(uint32_t)epfd + 1) << 32 | ((uint32_t)fd + 1);
}

static struct slot *slot_at(int fd, unsigned i)
{
	return &slots[((unsigned)fd * 8 + i) % SLOTS];
}

static uint64_t key_in(const struct slot *s)
{
	return __atomic_load_n(&s->key, __ATOMIC_ACQUIRE);
}

static bool turn(struct slot *s, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(&s->key, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* A slot with `key`, which is the caller's now; null where there is none. */
static struct slot *claim(int fd, uint64_t key)
{
	for (unsigned i = 0; i < REACH; i++) {
		struct slot *s = slot_at(fd, i);

		if (key_in(s) == key && turn(s, key, BUSY))
			return s;
	}
	return NULL;
}

static void fill(struct slot *s, uint64_t key, const struct epoll_event *ev)
{
	s->events = ev->events;
	s->data = ev->data.u64;
	__atomic_store_n(&s->key, key, __ATOMIC_RELEASE);
}

bool ts_epwatch_note(int epfd, int op, int fd, const struct epoll_event *ev)
{
	uint64_t key = key_of(epfd, fd);
	struct slot *s = claim(fd, key);

	/* Of a set that was closed meanwhile, the number of which came to another. */
	if (s && op == EPOLL_CTL_ADD)
		__atomic_store_n(&s->key, 0, __ATOMIC_RELEASE);
	if (op == EPOLL_CTL_ADD)
		s = claim(fd, 0);
	if (!s)
		return false;	/* no room; or a set's other number, or another thread at the same registration */
	used = true;
	if (op == EPOLL_CTL_DEL)
		__atomic_store_n(&s->key, 0, __ATOMIC_RELEASE);
	else
		fill(s, key, ev);
	return true;
}

/* The first slot of `fd`. */
static struct slot *first(int fd, uint64_t *key)
{
	for (unsigned i = 0; i < REACH; i++) {
		struct slot *s = slot_at(fd, i);

		*key = key_in(s);
		if (*key != BUSY && (uint32_t)*key == (uint32_t)fd + 1)
			return s;
	}
	return NULL;
}

void ts_epwatch_forget(int fd)
{
	struct slot *s;
	uint64_t key;

	while (__builtin_expect(used, 0) && (s = first(fd, &key)))
		turn(s, key, 0);
}

bool ts_epwatch_take(int fd, int *epfd, struct epoll_event *ev)
{
	struct slot *s;
	uint64_t key;

	while ((s = first(fd, &key))) {
		if (!turn(s, key, BUSY))
			continue;
		*epfd = (int)(key >> 32) - 1;
		*ev = (struct epoll_event){ .events = s->events, .data.u64 = s->data };
		__atomic_store_n(&s->key, 0, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

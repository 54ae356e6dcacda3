/* SPDX-License-Identifier: MIT */
/* One epoll set, level-triggered, and a heap of timers: thousands of delayed answers must cost no more than one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

#define NS_PER_MS 1000000u

static int epoll_fd = -1;
static bool stopping;
static struct ts_sim_timer **heap;
static size_t heap_len, heap_cap;
static void **dead;
static size_t dead_len, dead_cap;

void *ts_sim_alloc(size_t n)
{
	void *p = calloc(1, n);

	if (!p) {
		fputs("tsproxy-sim: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

static void *grow(void *p, size_t n)
{
	p = realloc(p, n);
	if (!p) {
		fputs("tsproxy-sim: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 * NS_PER_MS + (uint64_t)ts.tv_nsec;
}

int ts_sim_loop_init(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? -errno : 0;
}

void ts_sim_loop_stop(void)
{
	stopping = true;
}

/* Nothing wanted means out of the set: a hang-up would be reported for ever otherwise. */
void ts_sim_watch(struct ts_sim_event *ev, uint32_t want)
{
	struct epoll_event e = { .events = want, .data.ptr = ev };
	int op = !want ? EPOLL_CTL_DEL : ev->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (ev->fd < 0 || (ev->added ? ev->want == want : !want))
		return;
	if (epoll_ctl(epoll_fd, op, ev->fd, &e) < 0)
		fprintf(stderr, "tsproxy-sim: epoll_ctl: %s\n", strerror(errno));
	ev->added = want != 0;
	ev->want = want;
}

void ts_sim_event_close(struct ts_sim_event *ev)
{
	if (ev->fd >= 0)
		close(ev->fd);
	ev->fd = -1;
	ev->added = false;
}

static void heap_place(struct ts_sim_timer *t, size_t i)
{
	heap[i] = t;
	t->slot = i + 1;
}

static void heap_up(struct ts_sim_timer *t, size_t i)
{
	while (i > 0 && heap[(i - 1) / 2]->due > t->due) {
		heap_place(heap[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	heap_place(t, i);
}

static void heap_down(struct ts_sim_timer *t, size_t i)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= heap_len)
			break;
		if (child + 1 < heap_len && heap[child + 1]->due < heap[child]->due)
			child++;
		if (heap[child]->due >= t->due)
			break;
		heap_place(heap[child], i);
		i = child;
	}
	heap_place(t, i);
}

void ts_sim_timer_clear(struct ts_sim_timer *timer)
{
	size_t i = timer->slot - 1;
	struct ts_sim_timer *last;

	if (!timer->slot)
		return;
	timer->slot = 0;
	last = heap[--heap_len];
	if (last == timer)
		return;
	heap_down(last, i);
	heap_up(last, last->slot - 1);
}

void ts_sim_timer_set(struct ts_sim_timer *timer, unsigned ms)
{
	ts_sim_timer_clear(timer);
	if (heap_len == heap_cap) {
		heap_cap = heap_cap ? 2 * heap_cap : 64;
		heap = grow(heap, heap_cap * sizeof(*heap));
	}
	timer->due = now() + (uint64_t)ms * NS_PER_MS;
	heap_up(timer, heap_len++);
}

void ts_sim_free_later(void *p)
{
	if (dead_len == dead_cap) {
		dead_cap = dead_cap ? 2 * dead_cap : 64;
		dead = grow(dead, dead_cap * sizeof(*dead));
	}
	dead[dead_len++] = p;
}

static void free_dead(void)
{
	while (dead_len)
		free(dead[--dead_len]);
}

static int wait_ms(void)
{
	uint64_t t;

	if (!heap_len)
		return -1;
	t = now();
	/* Rounded up: a delay is never shorter than asked for. */
	return heap[0]->due <= t ? 0 : (int)((heap[0]->due - t + NS_PER_MS - 1) / NS_PER_MS);
}

static void run_timers(void)
{
	uint64_t t = now();

	while (heap_len && heap[0]->due <= t) {
		struct ts_sim_timer *timer = heap[0];

		ts_sim_timer_clear(timer);
		timer->fn(timer);
	}
}

int ts_sim_loop_run(void)
{
	struct epoll_event events[256];

	while (!stopping) {
		int n = epoll_wait(epoll_fd, events, 256, wait_ms());

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct ts_sim_event *ev = events[i].data.ptr;

			if (ev->fd >= 0)
				ev->fn(ev, events[i].events);
		}
		run_timers();
		free_dead();
	}
	free(heap);
	free(dead);
	close(epoll_fd);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Epoll registrations: see epreg.h.
 *
 * Records live in one array. A tag is an address inside its record: recognised by one subtraction, never equal to a
 * pointer of the program's, and its offset inside the record tells the record's generation, so that an event that was
 * copied out before its record was reused cannot reach another flow.
 */
#include "tsproxy/epreg.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/epwatch.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/log.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define REGS_MAX 65536

struct reg {
	uint64_t data;		/* the program's */
	uint32_t events;	/* the program's */
	int epfd;
	int fd;
	uint32_t next;		/* index + 1 in the chain of `fd`, or in the free list */
	uint32_t gen;
	bool used, tagged;
};

/* Mapped when the first registration is kept. */
struct table {
	struct reg regs[REGS_MAX];
	_Atomic uint32_t reg_of[TS_FD_MAX];	/* index + 1; 0: none */
};
static struct table *_Atomic table;	/* what is _Atomic here is read without ts_fdtab_lock */
static uint32_t free_head, used;

/* The first registration of `fd`, index + 1. */
static uint32_t first_of(int fd)
{
	return table && (unsigned)fd < TS_FD_MAX ? table->reg_of[fd] : 0;
}

int ts_tags_used;

static uint64_t tag_of(const struct reg *r)
{
	return (uint64_t)(uintptr_t)r + r->gen % sizeof(*r);
}

bool ts_epreg_is_tag(uint64_t data)
{
	return table && data - (uint64_t)(uintptr_t)table->regs < sizeof(table->regs);
}

int ts_epreg_tag_fd(uint64_t data)
{
	const struct reg *r = &table->regs[(data - (uint64_t)(uintptr_t)table->regs) / sizeof(*r)];

	return r->used && r->tagged && tag_of(r) == data ? r->fd : -1;
}

/* Two numbers of one epoll set: kcmp(2). */
static bool same_file(int a, int b)
{
	long pid = ts_sys(SYS_getpid);

	return ts_sys(SYS_kcmp, pid, pid, 0 /* KCMP_FILE */, a, b) == 0;
}

static struct reg *find(int epfd, int fd)
{
	for (uint32_t i = first_of(fd); i; i = table->regs[i - 1].next)
		if (table->regs[i - 1].epfd == epfd)
			return &table->regs[i - 1];
	for (uint32_t i = first_of(fd); i; i = table->regs[i - 1].next)
		if (same_file(table->regs[i - 1].epfd, epfd))
			return &table->regs[i - 1];
	return NULL;
}

static struct reg *add(int epfd, int fd, const struct epoll_event *ev)
{
	struct reg *r;
	uint32_t i;

	if (!table)
		table = ts_zero_pages(sizeof(*table), MAP_PRIVATE);
	if (!table)
		return NULL;
	if (free_head) {
		i = free_head - 1;
		free_head = table->regs[i].next;
	} else if (used < REGS_MAX) {
		i = used++;
	} else {
		return NULL;
	}
	r = &table->regs[i];
	r->epfd = epfd;
	r->fd = fd;
	r->events = ev->events;
	r->data = ev->data.u64;
	r->used = true;
	r->tagged = false;
	r->next = table->reg_of[fd];
	table->reg_of[fd] = i + 1;
	return r;
}

static void set_tagged(struct reg *r, bool tagged)
{
	if (tagged) {
		ts_fd_set_flags(r->epfd, TS_FD_TAGGED_SET, 0);
		__atomic_store_n(&ts_tags_used, 1, __ATOMIC_SEQ_CST);
	}
	r->tagged = tagged;
}

static void drop(struct reg *r)
{
	uint32_t i = (uint32_t)(r - table->regs) + 1;

	if (table->reg_of[r->fd] == i)
		table->reg_of[r->fd] = r->next;
	else
		for (uint32_t before = table->reg_of[r->fd]; before; before = table->regs[before - 1].next)
			if (table->regs[before - 1].next == i)
				table->regs[before - 1].next = r->next;
	set_tagged(r, false);
	r->used = false;
	r->gen++;
	r->next = free_head;
	free_head = i;
}

static int kernel_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return (int)ts_sys(SYS_epoll_ctl, epfd, op, fd, &ev);
}

/* The stand-in's events: level-triggered; SO_RCVLOWAT withholds input until the answer is whole. */
static uint32_t tag_events(const struct reg *r, uint32_t wake)
{
	return wake | (r->events & (EPOLLEXCLUSIVE | EPOLLWAKEUP));
}

/* EPOLLEXCLUSIVE registrations cannot be modified (epoll_ctl(2)): they are made anew. So is one that the kernel does not modify though it has it. */
static int kernel_set(const struct reg *r, uint32_t events, uint64_t data)
{
	int err = r->events & EPOLLEXCLUSIVE ? -EINVAL : kernel_ctl(r->epfd, EPOLL_CTL_MOD, r->fd, events, data);

	if (!err || err == -ENOENT || err == -EBADF)
		return err;
	err = kernel_ctl(r->epfd, EPOLL_CTL_DEL, r->fd, 0, 0);
	return err ? err : kernel_ctl(r->epfd, EPOLL_CTL_ADD, r->fd, events, data);
}

static int copy_event(const struct epoll_event *ev, struct epoll_event *out)
{
	/* The kernel reads it before it looks at the descriptors. */
	if (ts_sys(SYS_epoll_ctl, -1, EPOLL_CTL_MOD, -1, ev) == -EFAULT)
		return -EFAULT;
	memcpy(out, ev, sizeof(*out));
	return 0;
}

int ts_epreg_ctl_tracked(int epfd, int op, int fd, const struct epoll_event *ev)
{
	int err = (int)ts_sys(SYS_epoll_ctl, epfd, op, fd, ev);
	struct reg *r = find(epfd, fd);

	if (err)
		return err;
	if (op == EPOLL_CTL_DEL && r)
		drop(r);
	if (op == EPOLL_CTL_ADD && r)
		drop(r);	/* the set or the descriptor was closed meanwhile and its number reused */
	if (op == EPOLL_CTL_MOD && r) {
		r->events = ev->events;
		r->data = ev->data.u64;
	}
	if (op == EPOLL_CTL_ADD && !add(epfd, fd, ev))
		ts_fd_set_flags(fd, 0, TS_FD_TRACKED);	/* no room: ts_epreg_discover will find it when needed */
	return 0;
}

/* What the kernel refuses the program's own event for, asked with an event that never fires: see epoll_ctl(2), ERRORS. */
static int check_exclusive(int op, const struct epoll_event *ev, const struct reg *r)
{
	const uint32_t allowed = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;

	if (op == EPOLL_CTL_MOD && ((ev->events & EPOLLEXCLUSIVE) || (r && r->events & EPOLLEXCLUSIVE)))
		return -EINVAL;
	return op == EPOLL_CTL_ADD && ev->events & EPOLLEXCLUSIVE && ev->events & ~allowed ? -EINVAL : 0;
}

int ts_epreg_ctl_pending(int epfd, int op, int fd, const struct epoll_event *ev, uint32_t wake)
{
	struct reg *r = find(epfd, fd), *old;
	struct epoll_event own = { .events = 0 };
	int err;

	if (op != EPOLL_CTL_ADD && op != EPOLL_CTL_MOD) {
		err = (int)ts_sys(SYS_epoll_ctl, epfd, op, fd, ev);
		if (!err && r)
			drop(r);
		return err;
	}
	if ((err = copy_event(ev, &own)) || (err = check_exclusive(op, &own, r)))
		return err;
	if (op == EPOLL_CTL_MOD && !r)
		return (int)ts_sys(SYS_epoll_ctl, epfd, op, fd, ev);	/* ENOENT, or what the kernel has against it */
	if (op == EPOLL_CTL_MOD) {
		r->events = own.events;
		r->data = own.data.u64;
		r->epfd = epfd;		/* of a set's several numbers, the one in use */
		set_tagged(r, true);
		return kernel_ctl(epfd, op, fd, tag_events(r, wake), tag_of(r));
	}
	old = r;
	r = add(epfd, fd, &own);
	if (!r)
		return -ENOSPC;	/* as for max_user_watches, epoll(7) */
	set_tagged(r, true);
	err = kernel_ctl(epfd, op, fd, tag_events(r, wake), tag_of(r));
	if (err)
		drop(r);	/* EEXIST: what is known of the registration stays */
	else if (old)
		drop(old);	/* of a set that was closed meanwhile */
	return err;
}

void ts_epreg_done(int epfd, int op, int fd, const struct epoll_event *ev, uint32_t wake)
{
	struct reg *r = find(epfd, fd);

	if (op == EPOLL_CTL_DEL) {
		if (r)
			drop(r);
		return;
	}
	if (!r && !(r = add(epfd, fd, ev)))
		return;
	r->events = ev->events;
	r->data = ev->data.u64;
	set_tagged(r, true);
	if (kernel_set(r, tag_events(r, wake), tag_of(r)) != 0)
		drop(r);
}

/* A one-shot registration that fired is disarmed until the program modifies it: it stays as it is. */
static bool has_fired(const struct reg *r)
{
	struct epoll_event ev = { .events = r->events };

	if (!(r->events & EPOLLONESHOT))
		return false;
	ts_epreg_kernel(r->epfd, r->fd, &ev);
	return !(ev.events & ~(uint32_t)(EPOLLONESHOT | EPOLLET | EPOLLWAKEUP | EPOLLEXCLUSIVE));
}

int ts_epreg_tag(int fd, uint32_t wake)
{
	int failed = 0;
	uint32_t next;

	for (uint32_t i = first_of(fd); i; i = next) {
		struct reg *r = &table->regs[i - 1];
		bool was;
		int err;

		next = r->next;
		if (!r->tagged && has_fired(r))
			continue;
		was = r->tagged;
		set_tagged(r, true);
		err = kernel_set(r, tag_events(r, wake), tag_of(r));
		if (err == -ENOENT || err == -EBADF)
			drop(r);	/* the set is gone */
		else if (err)
			set_tagged(r, was);
		if (err && r->used)
			failed = err;
	}
	return failed;
}

static bool put_back_already(const struct reg *r)
{
	struct epoll_event ev = { .data.u64 = tag_of(r) };

	ts_epreg_kernel(r->epfd, r->fd, &ev);
	return ev.data.u64 != tag_of(r);
}

static void untag(int fd, bool look)
{
	uint32_t next;

	for (uint32_t i = first_of(fd); i; i = next) {
		struct reg *r = &table->regs[i - 1];

		next = r->next;
		if (!r->tagged)
			continue;
		if ((look && put_back_already(r)) || kernel_set(r, r->events, r->data) == 0)
			set_tagged(r, false);
		else
			drop(r);
	}
}

void ts_epreg_untag(int fd)
{
	untag(fd, false);
}

void ts_epreg_untag_left(int fd)
{
	untag(fd, true);
}

void ts_epreg_move(int from, int to, uint32_t wake)
{
	uint32_t next;

	for (uint32_t i = first_of(from); i; i = next) {
		struct reg old = table->regs[i - 1];
		struct epoll_event ev = { .events = old.events, .data.u64 = old.data };

		next = old.next;
		kernel_ctl(old.epfd, EPOLL_CTL_DEL, from, 0, 0);
		drop(&table->regs[i - 1]);
		if (old.tagged)
			ts_epreg_ctl_pending(old.epfd, EPOLL_CTL_ADD, to, &ev, wake);
	}
}

int ts_epreg_exchange(int fd, int by, int flags)
{
	uint32_t next;
	int err;

	/* What has fired cannot be registered anew without firing again. */
	for (uint32_t i = first_of(fd); i; i = table->regs[i - 1].next)
		if (has_fired(&table->regs[i - 1]))
			return -EBUSY;
	err = (int)ts_sys(SYS_dup3, by, fd, flags);
	for (uint32_t i = err < 0 ? 0 : first_of(fd); i; i = next) {
		struct reg *r = &table->regs[i - 1];

		next = r->next;
		if (kernel_ctl(r->epfd, EPOLL_CTL_ADD, fd, r->events, r->data) != 0)
			drop(r);
	}
	return err < 0 ? err : 0;
}

bool ts_epreg_any(int fd)
{
	return first_of(fd) != 0;
}

void ts_epreg_forget(int fd)
{
	for (uint32_t i; (i = first_of(fd));)
		drop(&table->regs[i - 1]);
}

int ts_epreg_tagged_in(int epfd, uint32_t *cursor)
{
	while (*cursor < used) {
		const struct reg *r = &table->regs[(*cursor)++];

		if (r->used && r->tagged && r->epfd == epfd)
			return r->fd;
	}
	return -1;
}

int ts_epreg_adopt(int epfd, int fd, const struct epoll_event *ev)
{
	if ((unsigned)fd >= TS_FD_MAX || find(epfd, fd) || ts_epreg_is_tag(ev->data.u64))
		return 0;
	return add(epfd, fd, ev) ? 0 : -ENOMEM;
}

void ts_fd_untrack(int fd)
{
	ts_epwatch_forget(fd);
	ts_epreg_forget(fd);
	if (ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_TRACKED))
		ts_fd_set_flags(fd, TS_FD_IDLE, TS_FD_NEW | TS_FD_TRACKED);
}

void ts_fd_untrack_plain(int fd)
{
	ts_epwatch_forget(fd);
	if (ts_fd_get_flags(fd) & (TS_FD_NEW | TS_FD_TRACKED))
		ts_fd_set_plain(fd, TS_FD_IDLE, TS_FD_NEW | TS_FD_TRACKED);
}

/* SPDX-License-Identifier: MIT */
/*
 * Associations in the making, on sockets that do not block. Natively a datagram can always be sent; here there is no relay to send it to
 * until the proxy has answered, which on loopback takes a fraction of a millisecond and over a network a few round trips. Until then
 * datagrams wait in a small queue.
 *
 * Whoever next calls anything on the socket, or waits for any, goes on with it. One thread at a time does; others find it pending.
 */
#include "udp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/clock.h"
#include "tsproxy/epreg.h"
#include "tsproxy/log.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define QUEUE_BYTES (1 << 18)	/* what WireGuard keeps until its own handshake is done is less: 128 packets */
#define LIMIT_MS 5000
#define UNTOLD_MS 2000

struct ts_udp_pending {
	int fd, owner_pid;
	int64_t until_ms;
	int busy;		/* a thread is at it */
	unsigned round;		/* ts_udp_advance's */
	bool nudges;		/* other threads may be asleep on the socket, and are woken by a datagram */
	bool stood;		/* the connection to the proxy did when its stand-ins were set */
	struct ts_udp_attempt attempt;
	size_t used;
	size_t open;		/* behind these, a datagram that is being put together (MSG_MORE, UDP_CORK): so long is it by now */
	struct ts_udp_pending *next;
	uint8_t queue[QUEUE_BYTES];	/* datagrams with their headers, each after its length (two bytes) */
};

/*
 * Until when the next socket that asks for an association is told that none could be had: one that is not connected is forgotten when
 * its attempt fails, and this may be it again.
 */
static int64_t untold_until_ms;

_Atomic int ts_udp_pending_count;
static struct ts_udp_pending *all;	/* ts_fdtab_lock */
static _Atomic unsigned moves;		/* of any of them */

struct ts_udp_pending *ts_udp_pending_new(const struct ts_udp_attempt *a, int fd)
{
	struct ts_udp_pending *p = ts_zero_pages(sizeof(*p), MAP_PRIVATE);

	if (!p)
		return NULL;
	p->attempt = *a;
	p->stood = a->connected;
	p->fd = fd;
	p->owner_pid = (int)ts_sys(SYS_getpid);
	p->until_ms = ts_now_ms() + LIMIT_MS;
	p->next = all;
	all = p;
	ts_udp_pending_count++;
	return p;
}

void ts_udp_pending_moved(struct ts_udp_pending *p, int fd)
{
	p->fd = fd;
}

static void unlink_it(struct ts_udp_pending *p)
{
	for (struct ts_udp_pending **at = &all; *at; at = &(*at)->next) {
		if (*at != p)
			continue;
		*at = p->next;
		ts_udp_pending_count--;
		return;
	}
}

/* In a forked child, the stand-ins in sets that are shared are the parent's. */
static void give_up(struct ts_udp_pending *p)
{
	if (p->owner_pid == (int)ts_sys(SYS_getpid))
		ts_udp_stand_down(&p->attempt);
	else if (p->attempt.fd >= 0)
		ts_epreg_forget(p->attempt.fd);
	ts_udp_attempt_end(&p->attempt);
}

void ts_udp_pending_free(struct ts_udp_pending *p)
{
	unlink_it(p);
	if (__atomic_load_n(&p->busy, __ATOMIC_ACQUIRE))
		return;	/* closed under a thread that is at it: this much is left to it */
	give_up(p);
	ts_sys(SYS_munmap, p, sizeof(*p));
}

/* Who has the socket in another process, or another socket with its port, would take the datagram that wakes for one of its own. */
bool ts_udp_is_alone(int fd)
{
	return (ts_fd_get_flags(fd) & (TS_FD_DATAGRAM | TS_FD_SHARED)) == TS_FD_DATAGRAM &&
	       !ts_sock_get_int(fd, SOL_SOCKET, SO_REUSEADDR) && !ts_sock_get_int(fd, SOL_SOCKET, SO_REUSEPORT);
}

void ts_udp_pending_begun(int fd, struct ts_udp *u)
{
	struct ts_udp_pending *p = u->pending;
	const struct ts_udp_attempt *a = &p->attempt;
	bool others = !ts_single_threaded(), in_set = others && ts_udp_stand_in_all(u, a);

	p->nudges = others && ts_udp_is_alone(fd) && (!in_set || ts_udp_has_sleepers(u));
	ts_udp_nudge(fd, u, ts_addr_is4(&a->proxy.addr), p->nudges);
}

bool ts_udp_hush_all(void)
{
	bool any = false;

	ts_lock(&ts_fdtab_lock);
	for (struct ts_udp_pending *p = all; p; p = p->next) {
		struct ts_udp *u = p->nudges ? ts_udp_of(p->fd) : NULL;

		any |= u && ts_udp_hush(p->fd, u);
	}
	ts_unlock(&ts_fdtab_lock);
	return any;
}

void ts_udp_nudge_all(void)
{
	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	for (struct ts_udp_pending *p = all; p; p = p->next) {
		struct ts_udp *u = p->nudges ? ts_udp_of(p->fd) : NULL;

		if (u && u->pending == p && !u->nudged.port && !u->view.connected)
			ts_udp_nudge(p->fd, u, ts_addr_is4(&p->attempt.proxy.addr), true);
	}
	ts_unlock(&ts_fdtab_lock);
}

void ts_udp_watched(int epfd, int fd)
{
	struct ts_udp *u;

	if (ts_process() != TS_SELF || ts_single_threaded())
		return;
	ts_lock(&ts_fdtab_lock);
	u = ts_udp_of(fd);
	if (u && u->pending) {
		u->pending->nudges = false;
		ts_udp_hush(fd, u);
		ts_udp_stand_in(epfd, &u->pending->attempt);
	}
	ts_unlock(&ts_fdtab_lock);
}

int ts_udp_queue(struct ts_udp *u, const struct ts_udp_way *way, const struct msghdr *msg, size_t skip, size_t len)
{
	struct ts_udp_pending *p;
	uint16_t whole = (uint16_t)(way->head_len + len);
	int err = 0;

	ts_lock(&ts_fdtab_lock);
	p = u->pending;
	if (p && p->used + sizeof(whole) + whole <= QUEUE_BYTES) {
		uint8_t *at = p->queue + p->used;

		memcpy(at, &whole, sizeof(whole));
		memcpy(at + sizeof(whole), way->head, way->head_len);
		err = ts_udp_gather(at + sizeof(whole) + way->head_len, msg, skip, len);
		p->used += err ? 0 : sizeof(whole) + whole;
	}
	ts_unlock(&ts_fdtab_lock);
	return err;
}

/* The datagram at the queue's end is whole. */
static void close_last(struct ts_udp_pending *p)
{
	uint16_t whole = (uint16_t)p->open;

	if (!p->open)
		return;
	memcpy(p->queue + p->used, &whole, sizeof(whole));
	p->used += sizeof(whole) + whole;
	p->open = 0;
}

int ts_udp_queue_piece(struct ts_udp *u, const struct ts_udp_way *way, const struct msghdr *msg, size_t len, bool more)
{
	struct ts_udp_pending *p;
	int err = 0;

	ts_lock(&ts_fdtab_lock);
	p = u->pending;
	if (!p) {
		err = -EAGAIN;
	} else if (p->open || (way && p->used + sizeof(uint16_t) + TS_UDP_RELAY_BYTES <= QUEUE_BYTES)) {
		uint8_t *at = p->queue + p->used + sizeof(uint16_t);

		if (!p->open) {
			memcpy(at, way->head, way->head_len);
			p->open = way->head_len;
		}
		err = ts_udp_gather(at + p->open, msg, 0, len);
		p->open = err ? 0 : p->open + len;
		if (!more)
			close_last(p);
	}
	ts_unlock(&ts_fdtab_lock);
	return err;
}

void ts_udp_queue_end(struct ts_udp *u, bool whole)
{
	if (u->pending && whole)
		close_last(u->pending);
	else if (u->pending)
		u->pending->open = 0;
}

/* What is whole, whatever UDP_SEGMENT the socket has: what was in segments is in them by now. */
static void send_queued(int fd, const struct ts_udp_view *v, uint8_t *datagram, size_t len, int flags)
{
	union { struct cmsghdr h; uint8_t space[CMSG_SPACE(sizeof(uint16_t))]; } whole = {
		.h = { .cmsg_len = CMSG_LEN(sizeof(uint16_t)), .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT },
	};
	struct iovec piece = { datagram, len };
	struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (!v->connected) {
		msg.msg_name = (void *)&v->name;
		msg.msg_namelen = v->name_len;
	}
	if (v->gso && !(flags & MSG_MORE)) {
		msg.msg_control = &whole;
		msg.msg_controllen = sizeof(whole);
	}
	ts_sys(SYS_sendmsg, fd, &msg, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What waited goes to the relay. Lock held. */
static void send_queue(int fd, struct ts_udp *u, struct ts_udp_pending *p)
{
	uint16_t whole;

	if (u->cork)
		ts_sock_set_int(fd, IPPROTO_UDP, UDP_CORK, 0);
	for (size_t at = 0; at < p->used; at += sizeof(whole) + whole) {
		memcpy(&whole, p->queue + at, sizeof(whole));
		send_queued(fd, &u->view, p->queue + at + sizeof(whole), whole, 0);
	}
	if (u->cork)
		ts_sock_set_int(fd, IPPROTO_UDP, UDP_CORK, 1);
	if (p->open)
		send_queued(fd, &u->view, p->queue + p->used + sizeof(whole), p->open, MSG_MORE);
	else
		u->corked_bytes = 0;
}

/* The relay is known: the socket becomes what it would have been at once, and `p` is gone; or -errno. Lock held. */
static int settle_locked(int fd, struct ts_udp *u, struct ts_udp_pending *p, struct ts_udp_link *link)
{
	struct ts_udp_view v = u->view;
	int err;

	ts_udp_hush(fd, u);
	v.pending = false;
	v.was = v.relay;
	v.relay = link->relay;
	v.maker = (int)ts_sys(SYS_getpid);
	ts_udp_name_set(&v.name, &v.name_len, &link->relay, v.family);
	err = ts_udp_mark(fd, &v);
	if (!err && v.connected && ts_sys(SYS_connect, fd, &v.name, v.name_len) != 0)
		err = -ENOBUFS;
	if (err) {
		ts_udp_link_close(link);
		return err;
	}
	u->link = *link;
	u->pending = NULL;
	ts_udp_set_view(u, &v);
	ts_udp_wake_unprepared(fd, u);
	send_queue(fd, u, p);
	unlink_it(p);
	ts_sys(SYS_munmap, p, sizeof(*p));
	return 0;
}

/* What came of it. `p` is gone afterwards, unless it is -EAGAIN. */
static int conclude(int fd, struct ts_udp *u, struct ts_udp_pending *p, int err, struct ts_udp_link *link, struct ts_udp_view *v)
{
	ts_lock(&ts_fdtab_lock);
	__atomic_store_n(&p->busy, 0, __ATOMIC_RELEASE);
	if (u->pending == p && ts_udp_of(fd) != u)
		fd = p->fd;	/* the number that this thread knows became another's, and the socket has others */
	if (u->pending != p || ts_udp_of(fd) != u) {	/* closed meanwhile */
		if (!err)
			ts_udp_link_close(link);
		if (u->pending == p)
			u->pending = NULL;
		unlink_it(p);
		give_up(p);
		ts_sys(SYS_munmap, p, sizeof(*p));
		err = -EBADF;
	} else if (!err && !(err = settle_locked(fd, u, p, link))) {
		*v = u->view;
	} else if (err != -EAGAIN && u->view.connected) {
		ts_udp_hush(fd, u);
		/* It stays connected, to the address that stands in for the relay's, and the next that is sent tries anew. */
		u->pending = NULL;
		u->untold = err != -ESTALE;
		ts_udp_pending_free(p);
	} else if (err != -EAGAIN) {
		ts_udp_hush(fd, u);
		ts_udp_forget_socket(u);	/* and `p` */
		if (err != -ESTALE)
			__atomic_store_n(&untold_until_ms, ts_now_ms() + UNTOLD_MS, __ATOMIC_RELAXED);
	} else if (!p->stood && p->attempt.connected) {
		p->stood = true;
		ts_udp_stand_on(&p->attempt);
		moves++;
	}
	moves += err != -EAGAIN;
	ts_unlock(&ts_fdtab_lock);
	return err;
}

int ts_udp_settle(int fd, struct ts_udp *u, struct ts_udp_view *v, int64_t deadline_ms)
{
	struct ts_udp_pending *p;
	struct ts_udp_link link;
	bool mine = false;
	int err;

	if (ts_process() != TS_SELF)
		return -EAGAIN;
	ts_lock(&ts_fdtab_lock);
	p = ts_udp_of(fd) == u ? u->pending : NULL;
	if (p)
		/* What queues would be appended to a datagram that is being put together in the kernel. */
		mine = !(u->beside && u->corked_bytes) && __sync_bool_compare_and_swap(&p->busy, 0, 1);
	else
		*v = u->view;
	ts_unlock(&ts_fdtab_lock);
	if (!p && v->pending && atomic_exchange(&u->untold, false))
		return -EHOSTUNREACH;
	if (!p && v->pending)
		return ts_udp_try_again(fd, u, v);
	if (!mine)
		return p ? -EAGAIN : 0;
	if (p->owner_pid != (int)ts_sys(SYS_getpid))
		err = -ESTALE;	/* forked meanwhile: the conversation is the parent's */
	else
		err = ts_udp_attempt_step(&p->attempt, deadline_ms < p->until_ms ? deadline_ms : p->until_ms, &link);
	if (err == -EAGAIN && ts_now_ms() >= p->until_ms) {
		ts_warn("proxy %a does not answer", &p->attempt.proxy.addr);
		err = -EHOSTUNREACH;
	}
	err = conclude(fd, u, p, err, &link, v);
	return err == -ESTALE && v->connected ? ts_udp_try_again(fd, u, v) : err;
}

bool ts_udp_untold(void)
{
	return __atomic_load_n(&untold_until_ms, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&untold_until_ms, 0, __ATOMIC_RELAXED) > ts_now_ms();
}

void ts_udp_pending_proxy(const struct ts_udp_pending *p, int family, union ts_udp_name *name, socklen_t *len)
{
	ts_udp_name_set(name, len, &p->attempt.proxy.addr, family);
}

int ts_udp_settle_for(int fd, struct ts_udp *u, struct ts_udp_view *v, int flags)
{
	bool waits = !ts_sock_is_at_once(fd, flags);

	return ts_udp_settle(fd, u, v, ts_now_ms() + (waits ? LIMIT_MS : 0));
}

bool ts_udp_advance(void)
{
	static unsigned rounds;
	unsigned round = 0, before = moves;
	int fds[16], n;

	if (ts_process() != TS_SELF)
		return false;
	do {
		n = 0;
		ts_lock(&ts_fdtab_lock);
		if (!round)
			round = ++rounds;
		for (struct ts_udp_pending *p = all; p && n < 16; p = p->next)
			if (p->round != round) {
				p->round = round;
				fds[n++] = p->fd;
			}
		ts_unlock(&ts_fdtab_lock);
		for (int i = 0; i < n; i++) {
			struct ts_udp_view v;
			struct ts_udp *u = ts_udp_get(fds[i], &v);

			if (u && v.pending)
				ts_udp_settle(fds[i], u, &v, 0);
		}
	} while (n == 16);
	return moves != before;
}

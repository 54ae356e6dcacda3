/* SPDX-License-Identifier: MIT */
/*
 * Associations and the descriptors that lead to them: see udp.h.
 *
 * Who sends or receives copies what it needs under a sequence number, so that the usual path takes no lock; changes are made under
 * ts_fdtab_lock. Slots are plain memory that stays mapped: a reader whose socket is closed meanwhile reads the past, not a fault.
 * After fork each process has a table and a hold on the control connection of its own; the association ends with the last.
 */
#include "udp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/log.h"
#include "tsproxy/real.h"
#include "tsproxy/scratch.h"
#include "tsproxy/streams.h"
#include "tsproxy/sys.h"

#define ASSOCIATIONS_MAX 65536
#define LEFT_MS 1000	/* a call that began before the socket was closed has returned, and nobody else has got the relay's port */
#define ENDING_NS 5000000	/* a proxy that has the processor reads and sends in a tenth of that */

static struct {
	_Atomic uint32_t used;
	uint32_t free_head;
	_Atomic uint32_t slot_of[TS_FD_MAX];	/* + 1; 0 none */
	struct ts_udp udp[ASSOCIATIONS_MAX];
} *_Atomic tables;

void ts_udp_set_view(struct ts_udp *u, const struct ts_udp_view *v)
{
	ts_seq_change(&u->seq);
	ts_shared_write(&u->view, v, sizeof(*v));
	ts_seq_changed(&u->seq);
}

/* A whole copy of the view. */
static void view_of(struct ts_udp *u, struct ts_udp_view *v)
{
	unsigned seq = ts_seq_begin(&u->seq);

	ts_shared_read(v, &u->view, sizeof(*v));
	v->seq = seq;
	if (__builtin_expect(ts_seq_holds(&u->seq, seq), 1))
		return;
	ts_lock(&ts_fdtab_lock);
	*v = u->view;
	v->seq = u->seq;
	ts_unlock(&ts_fdtab_lock);
}

struct ts_udp *ts_udp_get(int fd, struct ts_udp_view *v)
{
	struct ts_udp *u;
	uint32_t slot;

	if (!ts_fd_is_udp(fd))
		return NULL;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* who set the flag had written the slot before */
	if (!tables || !(slot = tables->slot_of[fd]))
		return NULL;
	u = &tables->udp[slot - 1];
	view_of(u, v);
	return u;
}

TS_EVERY_START _Atomic int ts_udp_count;

bool ts_udp_leads_to(int fd, const struct ts_udp *u)
{
	return ts_fd_get_flags(fd) & TS_FD_UDP && tables->slot_of[fd] == (uint32_t)(u - tables->udp) + 1;
}

int ts_udp_fd_of(const struct ts_udp *u)
{
	for (int fd = 0; fd <= ts_fd_highest(); fd++)
		if (ts_udp_leads_to(fd, u))
			return fd;
	return -1;
}

_Atomic int ts_udp_pending_count;

void ts_udp_give_up(struct ts_udp *u)
{
	if (!u->making)
		return;
	ts_udp_attempt_end(&u->attempt);
	u->making = false;
	ts_udp_pending_count--;
}

void ts_udp_note_carried(struct ts_udp *u, const struct ts_addr *to)
{
	if (!ts_seq_try_change(&u->carried.seq))
		return;
	ts_shared_write(&u->carried.to, to, sizeof(*to));
	ts_seq_changed(&u->carried.seq);
}

/* `fd`, whose flags are another's matter, does not lead to its association any more. */
static void let_go(int fd)
{
	struct ts_udp *u = &tables->udp[tables->slot_of[fd] - 1];

	tables->slot_of[fd] = 0;
	ts_udp_count--;
	if (--u->refs)
		return;
	ts_udp_give_up(u);
	ts_udp_link_leave(&u->link, u->used_ms);
	u->left_ms = ts_udp_now_ms();
	u->next = tables->free_head;
	tables->free_head = (uint32_t)(u - tables->udp) + 1;
}

static void forget(int fd)
{
	ts_fd_set_flags(fd, 0, TS_FD_ALL);
	let_go(fd);
}

void ts_udp_forget_socket(struct ts_udp *u)
{
	int fd;

	while ((fd = ts_udp_fd_of(u)) >= 0) {
		unsigned kept = ts_fd_get_flags(fd) & (TS_FD_DATAGRAM | TS_FD_SHARED | TS_FD_DUPLICATED);

		forget(fd);
		ts_fd_set_flags(fd, kept, 0);
	}
}

struct ts_udp *ts_udp_of(int fd)
{
	struct ts_udp *u;

	if (!(ts_fd_get_flags(fd) & TS_FD_UDP) || !tables->slot_of[fd])
		return NULL;
	u = &tables->udp[tables->slot_of[fd] - 1];
	if (ts_socket_is(fd, u->cookie))
		return u;
	forget(fd);	/* closed behind our back, and the number is another's */
	return NULL;
}

static struct ts_udp *take_slot(void)
{
	struct ts_udp *u = NULL;

	if (!tables)
		tables = ts_zero_pages(sizeof(*tables), MAP_PRIVATE);
	if (!tables)
		return NULL;
	if (tables->free_head) {
		u = &tables->udp[tables->free_head - 1];
		tables->free_head = u->next;
	} else if (tables->used < ASSOCIATIONS_MAX) {
		u = &tables->udp[tables->used++];
	}
	return u;
}

static void lead_to(int fd, struct ts_udp *u)
{
	tables->slot_of[fd] = (uint32_t)(u - tables->udp) + 1;
	u->refs++;
	ts_udp_count++;
	ts_fd_set_flags(fd, TS_FD_UDP, 0);
}

/* Descriptors that were duplicated before the socket turned to the tailnet. */
static void lead_others(int fd, struct ts_udp *u)
{
	if (!(ts_fd_get_flags(fd) & TS_FD_DUPLICATED))
		return;
	for (int other = 0; other <= ts_fd_highest(); other++)
		if (other != fd && (ts_fd_get_flags(other) & (TS_FD_DUPLICATED | TS_FD_UDP)) == TS_FD_DUPLICATED &&
		    ts_socket_cookie(other) == u->cookie)
			lead_to(other, u);
}

/* UDP_GRO would join several of the relay's datagrams, headers and all, into one. */
static bool take_gro(int fd)
{
	bool on = ts_sock_get_int(fd, IPPROTO_UDP, UDP_GRO) != 0;

	if (on)
		ts_sock_set_int(fd, IPPROTO_UDP, UDP_GRO, 0);
	return on;
}

/* Makes `fd` a socket with an association. Lock held. */
static int install_locked(int fd, const struct ts_udp_link *link, const struct ts_udp_view *v)
{
	static const struct ts_addr none;
	struct ts_udp_view view = *v;
	struct ts_udp *u;

	if ((unsigned)fd >= TS_FD_MAX || !(u = take_slot()))
		return -ENOBUFS;
	ts_family_carry();
	view.gso = ts_sock_get_int(fd, IPPROTO_UDP, UDP_SEGMENT);
	ts_udp_name_set(&view.name, &view.name_len, &v->relay, v->family);
	ts_udp_set_view(u, &view);
	u->link = *link;
	u->making = false;
	u->cookie = ts_socket_cookie(fd);
	u->refs = 0;
	u->gro = take_gro(fd);
	u->expect = v->head_len;
	u->cork = ts_sock_get_int(fd, IPPROTO_UDP, UDP_CORK) != 0;
	u->corked_bytes = 0;
	u->beside = false;
	u->strayed = false;
	u->heard = true;
	u->dropped = false;
	u->begun = false;
	u->untold = 0;
	u->wishes = -1;
	u->looked_ms = 0;
	u->used_ms = 0;
	ts_udp_note_carried(u, &none);
	lead_to(fd, u);
	lead_others(fd, u);
	ts_streams_take();
	return 0;
}

/* The association of the same socket, by another descriptor. */
static struct ts_udp *with_cookie(uint64_t cookie)
{
	for (int fd = 0; cookie && fd <= ts_fd_highest(); fd++)
		if (ts_fd_get_flags(fd) & TS_FD_UDP && tables->slot_of[fd] && tables->udp[tables->slot_of[fd] - 1].cookie == cookie)
			return &tables->udp[tables->slot_of[fd] - 1];
	return NULL;
}

/* Where the socket got an association by another number, this one leads to it, too. */
static bool lead_like_others(int fd)
{
	struct ts_udp *u = with_cookie(ts_socket_cookie(fd));

	if (u)
		lead_to(fd, u);
	return u;
}

int ts_udp_install(int fd, struct ts_udp_attempt *a, int family, bool v6only)
{
	struct ts_udp_view v = { .family = family, .v6only = v6only, .pending = true };
	struct ts_udp_link none = { .fd = -1 };
	struct ts_udp *u = NULL;
	int err = 0;

	ts_lock(&ts_fdtab_lock);
	if (!ts_udp_of(fd) && !(ts_fd_get_flags(fd) & (TS_FD_UDP | TS_FD_DUPLICATED) && lead_like_others(fd)) &&
	    !(err = install_locked(fd, &none, &v)))
		u = ts_udp_of(fd);	/* null: closed by another thread */
	if (u) {
		u->attempt = *a;
		u->making = true;
		ts_udp_pending_count++;
	} else {
		ts_udp_attempt_end(a);
	}
	ts_unlock(&ts_fdtab_lock);
	return err;
}

struct ts_udp *ts_udp_next_in_making(uint32_t *cursor)
{
	while (tables && *cursor < tables->used) {
		struct ts_udp *u = &tables->udp[(*cursor)++];

		if (u->refs && u->making)
			return u;
	}
	return NULL;
}

void ts_udp_join(int fd)
{
	if (ts_udp_count && !ts_udp_of(fd))
		lead_like_others(fd);
}

void ts_udp_adopt(int fd, const struct ts_udp_view *v)
{
	struct ts_udp_link none = { .relay = v->relay, .fd = -1 };
	struct ts_udp *u = ts_udp_of(fd);
	struct ts_udp_view now = *v;

	if (!u && (u = with_cookie(ts_socket_cookie(fd))))
		lead_to(fd, u);
	if (!u) {
		install_locked(fd, &none, v);
		return;
	}
	ts_udp_give_up(u);
	u->looked_ms = 0;
	now.gso = u->view.gso;
	now.was = ts_addr_equal(&u->view.relay, &v->relay) ? u->view.was : u->view.relay;
	ts_udp_name_set(&now.name, &now.name_len, &v->relay, v->family);
	if (v->head_len > u->expect)
		u->expect = v->head_len;
	ts_udp_set_view(u, &now);
}

void ts_udp_process_ending(void)
{
	static const struct timespec moment = { .tv_nsec = ENDING_NS };
	bool hurries = false;
	int pid;

	if (!ts_udp_count || ts_process() != TS_SELF)
		return;
	pid = (int)ts_sys(SYS_getpid);
	ts_lock(&ts_fdtab_lock);
	for (uint32_t i = 0; i < tables->used && !hurries; i++) {
		const struct ts_udp *u = &tables->udp[i];

		hurries = u->refs && u->view.maker == pid && ts_udp_link_hurries(&u->link, u->used_ms);
	}
	ts_unlock(&ts_fdtab_lock);
	if (hurries)
		ts_sys(SYS_nanosleep, &moment, NULL);
}

__attribute__((destructor)) static void at_exit(void)
{
	ts_udp_process_ending();
}

void ts_udp_fd_closing(int fd)
{
	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	if (ts_fd_get_flags(fd) & TS_FD_UDP && tables->slot_of[fd])
		forget(fd);
	else
		ts_fd_set_flags(fd, 0, TS_FD_ALL);
	ts_unlock(&ts_fdtab_lock);
}

void ts_udp_fd_replacing(int to)
{
	if (ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	ts_fd_set_flags(to, TS_FD_UDP, TS_FD_ALL & ~TS_FD_UDP);
	if (tables->slot_of[to])
		let_go(to);
	ts_unlock(&ts_fdtab_lock);
}

struct ts_udp *ts_udp_by_relay(const union ts_udp_name *from, socklen_t len, struct ts_udp_view *v)
{
	struct ts_addr a;

	if (!tables || !ts_addr_from_sockaddr(&a, &from->sa, len) || !ts_route_may_meet_proxy(a.ip))
		return NULL;
	for (uint32_t i = 0; i < tables->used; i++) {
		struct ts_udp *other = &tables->udp[i];

		view_of(other, v);
		if (ts_udp_from_relay(v, from, len) && (other->refs || ts_udp_now_ms() - other->left_ms <= LEFT_MS))
			return other;
	}
	return NULL;
}

/*
 * The association of the socket that `to` means by now, of which `from` may be another number: other threads may have duplicated onto either
 * of the two meanwhile. Where no number leads to it any more, what the socket itself says of it counts.
 */
static void lead_as(int from, int to)
{
	struct ts_udp *u = ts_udp_of(from);
	uint64_t cookie = ts_socket_cookie(to);

	if (!u || !ts_socket_is(to, u->cookie))
		u = with_cookie(cookie);
	if (tables->slot_of[to] && !(u && tables->slot_of[to] == (uint32_t)(u - tables->udp) + 1))
		forget(to);
	if (u && !tables->slot_of[to])
		lead_to(to, u);
	if (u)
		return;
	ts_fd_set_flags(to, 0, TS_FD_UDP);
	ts_udp_arrived(to);
}

void ts_udp_fd_duplicated(int from, int to)
{
	unsigned was = ts_fd_get_flags(from);

	if ((unsigned)to >= TS_FD_MAX)
		return;
	ts_fd_set_flags(from, TS_FD_DUPLICATED, 0);
	ts_fd_set_flags(to, (was & (TS_FD_DATAGRAM | TS_FD_SHARED | TS_FD_CARRIED)) | TS_FD_DUPLICATED, 0);
	/* Whoever makes an association after this looks for both. */
	if (!((ts_fd_get_flags(from) | ts_fd_get_flags(to)) & TS_FD_UDP) || ts_process() != TS_SELF)
		return;
	ts_lock(&ts_fdtab_lock);
	lead_as(from, to);
	ts_unlock(&ts_fdtab_lock);
}

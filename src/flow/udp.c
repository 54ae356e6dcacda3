/* SPDX-License-Identifier: MIT */
/*
 * Associations and the descriptors that lead to them: see udp.h.
 *
 * Who sends or receives copies what it needs under a sequence number, so that the usual path takes no lock; changes are made under
 * ts_fdtab_lock. Slots are plain memory that stays mapped: a reader whose socket is closed meanwhile reads the past, not a fault.
 * After fork each process has a table and a hold on the control connection of its own; the association ends with the last.
 */
#include "udp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/log.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"

#define ASSOCIATIONS_MAX 65536
#define WAIT_BLOCKING_MS 5000
#define WAIT_NONBLOCKING_MS 2	/* a proxy on loopback has answered by then: usually in a tenth of it */
#define LOOK_MS 1000

static struct {
	uint32_t used, free_head;
	uint32_t slot_of[TS_FD_MAX];	/* + 1; 0 none */
	struct ts_udp udp[ASSOCIATIONS_MAX];
} *tables;

static int get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return ts_sys(SYS_getsockopt, fd, level, name, &value, &len) == 0 ? value : 0;
}

static void set_int(int fd, int level, int name, int value)
{
	ts_sys(SYS_setsockopt, fd, level, name, &value, sizeof(value));
}

static uint64_t socket_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

void ts_udp_edit(struct ts_udp *u)
{
	__atomic_store_n(&u->seq, u->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void ts_udp_edited(struct ts_udp *u)
{
	__atomic_store_n(&u->seq, u->seq + 1, __ATOMIC_RELEASE);
}

struct ts_udp *ts_udp_get(int fd, struct ts_udp_view *v)
{
	struct ts_udp *u;
	uint32_t slot;
	unsigned seq;

	if (!ts_fd_is_udp(fd) || !tables || !(slot = tables->slot_of[fd]))
		return NULL;
	u = &tables->udp[slot - 1];
	seq = __atomic_load_n(&u->seq, __ATOMIC_ACQUIRE);
	memcpy(v, &u->view, sizeof(*v));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	v->seq = seq;
	if (__builtin_expect(!(seq & 1) && __atomic_load_n(&u->seq, __ATOMIC_RELAXED) == seq, 1))
		return u;
	ts_lock(&ts_fdtab_lock);
	memcpy(v, &u->view, sizeof(*v));
	v->seq = u->seq;
	ts_unlock(&ts_fdtab_lock);
	return u;
}

int ts_udp_count;

static int fd_of(const struct ts_udp *u)
{
	uint32_t slot = (uint32_t)(u - tables->udp) + 1;

	for (int fd = 0; fd <= ts_fd_highest(); fd++)
		if (ts_fd_get_flags(fd) & TS_FD_UDP && tables->slot_of[fd] == slot)
			return fd;
	return -1;
}

static void forget(int fd)
{
	struct ts_udp *u = &tables->udp[tables->slot_of[fd] - 1];

	tables->slot_of[fd] = 0;
	ts_udp_count--;
	ts_fd_set_flags(fd, 0, TS_FD_ALL);
	if (--u->refs) {
		if (u->pending)
			ts_udp_pending_moved(u->pending, fd_of(u));
		return;
	}
	if (u->pending)
		ts_udp_pending_free(u->pending);
	u->pending = NULL;
	ts_udp_link_close(&u->link);
	u->next = tables->free_head;
	tables->free_head = (uint32_t)(u - tables->udp) + 1;
}

void ts_udp_forget_socket(struct ts_udp *u)
{
	int fd;

	while ((fd = fd_of(u)) >= 0)
		forget(fd);
}

struct ts_udp *ts_udp_of(int fd)
{
	struct ts_udp *u;

	if (!(ts_fd_get_flags(fd) & TS_FD_UDP) || !tables->slot_of[fd])
		return NULL;
	u = &tables->udp[tables->slot_of[fd] - 1];
	if (u->cookie == socket_cookie(fd))
		return u;
	forget(fd);	/* closed behind our back, and the number is another's */
	return NULL;
}

static struct ts_udp *take_slot(void)
{
	struct ts_udp *u = NULL;

	if (!tables && !(tables = ts_zero_pages(sizeof(*tables), MAP_PRIVATE)))
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

/* UDP_GRO would join several of the relay's datagrams, headers and all, into one. */
static bool take_gro(int fd)
{
	bool on = get_int(fd, IPPROTO_UDP, UDP_GRO) != 0;

	if (on)
		set_int(fd, IPPROTO_UDP, UDP_GRO, 0);
	return on;
}

/*
 * A bound socket cannot be opened to IPv4 (ipv6(7), IPV6_V6ONLY). But a port that the kernel chose is given back by connect to AF_UNSPEC:
 * so it is let go, and taken again.
 */
static void open_bound(int fd, const struct ts_addr *local)
{
	static const struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	union ts_udp_name name;
	socklen_t len = sizeof(name);

	if (!local->port || ts_sys(SYS_getpeername, fd, &name, &len) == 0)
		return;
	ts_udp_name_set(&name, &len, local, AF_INET6);
	ts_sys(SYS_connect, fd, &unspec, sizeof(unspec));
	set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (ts_sys(SYS_bind, fd, &name, len) == 0 || get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY))
		return;
	set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);	/* the port is in use by IPv4 */
	ts_sys(SYS_bind, fd, &name, len);
}

/* Which proxy the socket can reach, whose local address is `local`. */
static int choose_proxy(int fd, const struct ts_addr *to, const struct ts_addr *local, int family, struct ts_proxy *out, bool *v6only)
{
	static const uint8_t any6[16];
	bool bound6 = family == AF_INET6 && !ts_addr_is4(local) && memcmp(local->ip, any6, 16) != 0;

	*v6only = family == AF_INET6 && get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (*v6only && ts_addr_is4(to))
		return -ENETUNREACH;
	if (ts_route_socks5(family == AF_INET, *v6only || bound6, out))
		return 0;
	if (!ts_route_socks5(family == AF_INET, false, out)) {
		ts_info("%a: no proxy is known that could carry datagrams", to);
		return -EHOSTUNREACH;
	}
	/* Unbound it can be opened to reach 127.0.0.1 as ::ffff:127.0.0.1. */
	if (*v6only)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (*v6only && !bound6 && get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY))
		open_bound(fd, local);
	if (!bound6 && !(*v6only && get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY)))
		return 0;
	ts_info("fd %d: bound to an IPv6 address or for IPv6 only, it cannot reach the proxy %a", fd, &out->addr);
	return -ENETUNREACH;
}

/* Makes `fd` a socket with an association. Lock held. */
static int install_locked(int fd, const struct ts_udp_link *link, const struct ts_udp_view *v)
{
	struct ts_udp *u;

	if ((unsigned)fd >= TS_FD_MAX || !(u = take_slot()))
		return -ENOBUFS;
	ts_udp_edit(u);
	u->view = *v;
	u->view.gso = get_int(fd, IPPROTO_UDP, UDP_SEGMENT);
	ts_udp_name_set(&u->view.name, &u->view.name_len, &v->relay, v->family);
	u->link = *link;
	u->pending = NULL;
	u->cookie = socket_cookie(fd);
	u->refs = 0;
	u->gro = take_gro(fd);
	set_int(fd, SOL_SOCKET, SO_PEEK_OFF, -1);
	u->expect = v->head_len;
	u->cork = get_int(fd, IPPROTO_UDP, UDP_CORK) != 0;
	u->corked_bytes = 0;
	u->heard = true;
	u->untold = false;
	u->primed = ts_udp_primed(fd);
	u->wishes = -1;
	u->looked_ms = 0;
	u->carried.seq = 0;
	memset(&u->carried.to, 0, sizeof(u->carried.to));
	ts_udp_edited(u);
	lead_to(fd, u);
	return 0;
}

/* Registers a new link as the association of `fd`; another thread may have been faster. */
static int install(int fd, struct ts_udp_link *link, int family, bool v6only)
{
	struct ts_udp_view v = { .family = family, .v6only = v6only, .relay = link->relay,
				.maker = (int)ts_sys(SYS_getpid) };
	int err = 0;

	ts_lock(&ts_fdtab_lock);
	if (ts_udp_of(fd) || (err = install_locked(fd, link, &v)))
		ts_udp_link_close(link);
	else
		ts_udp_mark(fd, &v);
	ts_unlock(&ts_fdtab_lock);
	return err;
}

void ts_udp_adopt(int fd, const struct ts_udp_view *v)
{
	struct ts_udp_link none = { .relay = v->relay, .fd = -1 };
	struct ts_udp *u = ts_udp_of(fd);
	struct ts_udp_view was;

	if (!u) {
		install_locked(fd, &none, v);
		return;
	}
	if (u->pending)
		ts_udp_pending_free(u->pending);
	u->pending = NULL;
	was = u->view;
	u->looked_ms = 0;
	ts_udp_edit(u);
	u->view = *v;
	u->view.gso = was.gso;
	u->view.was = ts_addr_equal(&was.relay, &v->relay) ? was.was : was.relay;
	ts_udp_name_set(&u->view.name, &u->view.name_len, &v->relay, v->family);
	if (v->head_len > u->expect)
		u->expect = v->head_len;
	ts_udp_edited(u);
}

/* -EAGAIN: the proxy takes its time, and the descriptor does not wait: the attempt goes on. */
static int try_association(int fd, int flags, const struct ts_proxy *proxy, struct ts_udp_attempt *attempt, struct ts_udp_link *link)
{
	bool waits = !(flags & MSG_DONTWAIT) && !(ts_sys(SYS_fcntl, fd, F_GETFL, 0) & O_NONBLOCK);
	int err = ts_udp_attempt_begin(attempt, proxy);

	if (!err)
		err = ts_udp_attempt_step(attempt, ts_now_ms() + (waits ? WAIT_BLOCKING_MS : WAIT_NONBLOCKING_MS), link);
	if (err != -EAGAIN || !waits)
		return err;
	ts_warn("proxy %a does not answer", &proxy->addr);
	ts_udp_attempt_end(attempt);
	return -EHOSTUNREACH;
}

/* Registers what is not decided yet. */
static int install_pending(int fd, struct ts_udp_attempt *a, int family, bool v6only)
{
	struct ts_udp_view v = { .family = family, .v6only = v6only, .pending = true };
	struct ts_udp_link none = { .fd = -1 };
	struct ts_udp_pending *p = NULL;
	int err = 0;

	ts_lock(&ts_fdtab_lock);
	if (ts_udp_of(fd) || !(p = ts_udp_pending_new(a, fd)) || (err = install_locked(fd, &none, &v))) {
		if (p)
			ts_udp_pending_free(p);
		else
			ts_udp_attempt_end(a);
		err = ts_udp_of(fd) ? 0 : -ENOBUFS;
	} else {
		ts_udp_of(fd)->pending = p;
	}
	ts_unlock(&ts_fdtab_lock);
	return err;
}

static int associate(int fd, const struct ts_addr *to, int flags)
{
	struct ts_udp_attempt attempt;
	struct ts_udp_link link;
	union ts_udp_name name;
	socklen_t len = sizeof(name);
	struct ts_addr local;
	struct ts_proxy proxy;
	bool v6only = false;
	int family = get_int(fd, SOL_SOCKET, SO_DOMAIN), err;

	if (ts_process() != TS_SELF)
		return -EHOSTUNREACH;	/* a vfork child must not change this memory */
	/* A device's own route leads nowhere else, and the tailnet's device is not there. */
	if (get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX))
		return -ENETUNREACH;
	if (ts_sys(SYS_getsockname, fd, &name, &len) != 0 || !ts_addr_from_sockaddr(&local, &name.sa, len))
		return -EHOSTUNREACH;
	if (ts_ip_is_loopback(local.ip))
		return -EINVAL;	/* as the kernel's routing says of a loopback source */
	err = choose_proxy(fd, to, &local, family, &proxy, &v6only);
	if (err)
		return err;
	if (ts_udp_untold())
		return -EHOSTUNREACH;
	err = try_association(fd, flags, &proxy, &attempt, &link);
	if (err == -EAGAIN)
		return install_pending(fd, &attempt, family, v6only);
	if (err)
		return err;
	ts_udp_name_set(&name, &len, &link.relay, family);
	if (!len) {
		ts_udp_link_close(&link);
		return -ENETUNREACH;
	}
	return install(fd, &link, family, v6only);
}

int ts_udp_need(int fd, const struct ts_addr *to, int flags, struct ts_udp **u, struct ts_udp_view *v)
{
	int err;

	if ((*u = ts_udp_get(fd, v)))
		return 0;
	err = associate(fd, to, flags);
	if (err)
		return err;
	*u = ts_udp_get(fd, v);
	return *u ? 0 : -EBADF;	/* closed by another thread */
}

/* The proxy takes its time: until then the socket is as if it had just turned to the tailnet. */
static int renew_later(int fd, struct ts_udp *u, struct ts_udp_view *v, struct ts_udp_attempt *attempt)
{
	int err = 2;

	ts_lock(&ts_fdtab_lock);
	if (ts_udp_of(fd) != u || u->pending || !(u->pending = ts_udp_pending_new(attempt, fd))) {
		ts_udp_attempt_end(attempt);
		err = -EHOSTUNREACH;
	} else {
		ts_udp_link_close(&u->link);
		ts_udp_edit(u);
		u->view.pending = true;
		ts_udp_edited(u);
		*v = u->view;
	}
	ts_unlock(&ts_fdtab_lock);
	return err;
}

/* A new control connection for an association whose relay is gone. */
static int renew(int fd, struct ts_udp *u, struct ts_udp_view *v)
{
	struct ts_udp_attempt attempt;
	struct ts_udp_link link;
	struct ts_proxy proxy;
	int err;

	if (ts_process() != TS_SELF)
		return -EHOSTUNREACH;
	if (!ts_route_socks5(v->family == AF_INET, v->relay.port && !ts_addr_is4(&v->relay), &proxy))
		return -EHOSTUNREACH;
	err = try_association(fd, 0, &proxy, &attempt, &link);
	if (err == -EAGAIN)
		return renew_later(fd, u, v, &attempt);
	if (err)
		return err;
	ts_lock(&ts_fdtab_lock);
	if (ts_udp_of(fd) != u) {
		ts_udp_link_close(&link);
		ts_unlock(&ts_fdtab_lock);
		return -EBADF;
	}
	ts_udp_link_close(&u->link);
	u->link = link;
	ts_udp_edit(u);
	u->view.was = u->view.relay;
	u->view.relay = link.relay;
	u->view.pending = false;
	u->view.maker = (int)ts_sys(SYS_getpid);
	ts_udp_name_set(&u->view.name, &u->view.name_len, &link.relay, u->view.family);
	ts_udp_edited(u);
	*v = u->view;
	ts_unlock(&ts_fdtab_lock);
	ts_udp_mark(fd, v);
	if (v->connected)
		ts_sys(SYS_connect, fd, &v->name, v->name_len);
	return 1;
}

int ts_udp_try_again(int fd, struct ts_udp *u, struct ts_udp_view *v)
{
	int err = renew(fd, u, v);

	return err == 2 ? -EAGAIN : err < 0 ? err : 0;
}

static int64_t coarse_ms(void)
{
	struct timespec t = { 0 };

	ts_real()->clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool own_link(const struct ts_udp *u)
{
	return u->link.page || u->link.fd >= 0;
}

/* The association that another process made, or the program that this process was before exec, ends with it. */
static bool maker_gone(const struct ts_udp *u, const struct ts_udp_view *v)
{
	return !own_link(u) && (v->maker == (int)ts_sys(SYS_getpid) || ts_sys(SYS_kill, v->maker, 0) == -ESRCH);
}

int ts_udp_see_to_relay(int fd, struct ts_udp *u, struct ts_udp_view *v, bool suspect)
{
	int64_t now = coarse_ms();

	if (!suspect && now - u->looked_ms < LOOK_MS)
		return 0;
	u->looked_ms = now;
	if (!suspect && u->heard && own_link(u)) {
		u->heard = false;
		return 0;
	}
	if (!ts_udp_link_dead(&v->relay) && !maker_gone(u, v))
		return 0;
	ts_info("fd %d: the relay %a is gone", fd, &v->relay);
	return renew(fd, u, v);
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

void ts_udp_fd_duplicated(int from, int to)
{
	struct ts_udp *u;

	if (ts_process() != TS_SELF || (unsigned)to >= TS_FD_MAX)
		return;
	ts_lock(&ts_fdtab_lock);
	u = ts_udp_of(from);
	if (u)
		lead_to(to, u);
	ts_fd_set_flags(to, ts_fd_get_flags(from) & (TS_FD_DATAGRAM | TS_FD_SHARED), 0);
	ts_unlock(&ts_fdtab_lock);
}

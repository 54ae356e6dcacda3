/* SPDX-License-Identifier: MIT */
/*
 * Questions to a name server of split DNS: see dns_ask.h.
 *
 * One attempt is one connection: to the server, or to the proxy, which is asked for the server. All open questions go out in one write,
 * and the answers are taken as they come, told by their number and question; what answers no open question is passed over. A server
 * that closes after one answer is asked the others on a new connection. What it does wrong ends the attempt and not more.
 *
 * Everything that an attempt holds is in the pages of `work`, whose address the cleanup gets when the thread is cancelled.
 */
#include "tsproxy/clock.h"
#include "tsproxy/dns_ask.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/cancel.h"
#include "tsproxy/dns_message.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/guard.h"
#include "tsproxy/handshake.h"
#include "tsproxy/hash.h"
#include "tsproxy/log.h"
#include "tsproxy/real.h"
#include "tsproxy/route.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define STRAY_MAX 64	/* messages that answer nothing, in one connection */
#define PROXIES_MAX 4

struct ts_dns_work *ts_dns_begin(void)
{
	struct ts_dns_work *w = ts_zero_pages(sizeof(*w), MAP_PRIVATE);

	if (w)
		w->fd = -1;
	return w;
}

static void hang_up(struct ts_dns_work *w)
{
	if (w->fd >= 0)
		ts_sys(SYS_close, w->fd);
	w->fd = -1;
	w->have = 0;
}

void ts_dns_end(struct ts_dns_work *w)
{
	hang_up(w);
	ts_sys(SYS_munmap, w, sizeof(*w));
}

/* On a connection of its own a question needs no number that cannot be guessed. */
static uint16_t new_id(void)
{
	struct timespec t = { 0, 0 };

	ts_real()->clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint16_t)ts_fnv64(TS_FNV64_INIT, &t, sizeof(t));
}

bool ts_dns_add(struct ts_dns_work *w, const char *name, uint16_t type, uint16_t class)
{
	struct ts_dns_ask *a = &w->ask[w->count];

	a->query = a->own_query;
	a->query_len = ts_dns_write_query(a->own_query, new_id(), name, type, class);
	a->type = type;
	if (a->query_len == 0)
		return false;
	/* Two numbers alike would be one to a server. */
	if (w->count && memcmp(a->own_query, w->ask[0].own_query, 2) == 0)
		a->own_query[1] ^= 1;
	w->count++;
	return true;
}

void ts_dns_add_query(struct ts_dns_work *w, const uint8_t *query, size_t len)
{
	struct ts_dns_ask *a = &w->ask[w->count++];

	a->query = query;
	a->query_len = len;
}

static bool is_failure(const struct ts_dns_ask *a)
{
	int rcode = ts_dns_rcode(a->reply);

	return rcode == TS_DNS_SERVFAIL || rcode == TS_DNS_REFUSED || rcode == TS_DNS_NOTIMP;
}

/* Still to be asked. */
static bool is_open(const struct ts_dns_ask *a)
{
	return a->reply_len == 0;
}

/* Waits as libc's resolver does: a cancellation point that no signal ends. 0, -ETIMEDOUT or another -errno. */
static int wait_for(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n, err = ts_errno;

	for (;;) {
		int64_t left = deadline_ms - ts_now_ms();

		n = ts_real()->poll(&p, 1, left > 0 ? (int)left : 0);
		if (n >= 0 || ts_errno != EINTR)
			break;
	}
	if (n < 0)
		n = -ts_errno;
	else
		n = n ? 0 : -ETIMEDOUT;
	ts_errno = err;
	return n;
}

static int send_all(int fd, const uint8_t *p, size_t len, int64_t deadline_ms)
{
	while (len) {
		long n = ts_sys(SYS_sendto, fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);

		if (n == -EAGAIN)
			n = wait_for(fd, POLLOUT, deadline_ms);
		if (n == -EINTR)
			n = 0;
		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads what is there, after a wait for it, behind what is. The number of bytes; 0 at the end of the stream. */
static long receive(struct ts_dns_work *w, int64_t deadline_ms)
{
	for (;;) {
		long n = ts_sys(SYS_recvfrom, w->fd, w->in + w->have, sizeof(w->in) - w->have, MSG_DONTWAIT, NULL, NULL);

		if (n >= 0)
			w->have += (size_t)n;
		if (n == -EAGAIN)
			n = wait_for(w->fd, POLLIN, deadline_ms);
		else if (n != -EINTR)
			return n;
		if (n < 0 && n != -EINTR)
			return n;
	}
}

static void consume(struct ts_dns_work *w, size_t n)
{
	w->have -= n;
	memmove(w->in, w->in + n, w->have);
}

static int dial(struct ts_dns_work *w, const struct ts_addr *to, int64_t deadline_ms)
{
	int family = ts_addr_is4(to) ? AF_INET : AF_INET6, err;
	struct sockaddr_storage sa;
	socklen_t len = ts_addr_to_sockaddr(to, family, &sa), err_len = sizeof(err);

	w->fd = (int)ts_sys(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (w->fd < 0)
		return w->fd;
	err = (int)ts_sys(SYS_connect, w->fd, &sa, len);
	if (err == -EINPROGRESS)
		err = wait_for(w->fd, POLLOUT, deadline_ms);
	if (err)
		return err;
	ts_sys(SYS_getsockopt, w->fd, SOL_SOCKET, SO_ERROR, &err, &err_len);
	return -err;
}

static int handshake(struct ts_dns_work *w, const struct ts_proxy *proxy, const struct ts_addr *server, int64_t deadline_ms)
{
	struct ts_handshake hs;
	size_t n;
	int err;

	ts_handshake_init(&hs, proxy->kind, proxy->flags & TS_PROXY_PIPELINE, proxy->auth, server);
	for (;;) {
		long got;

		n = ts_route_say(&w->message, &hs, &proxy->addr, NULL);
		err = send_all(w->fd, w->message.out, n, deadline_ms);
		got = err ? err : hs.state < TS_HS_DONE ? receive(w, deadline_ms) : 1;
		if (got < 0)
			return (int)got;
		while (hs.state < TS_HS_DONE && (n = ts_handshake_input(&hs, w->in, w->have, got == 0)) > 0)
			consume(w, n);
		if (hs.state == TS_HS_FAILED)
			return -hs.err;
		if (hs.state == TS_HS_DONE)
			return 0;
		if (w->have >= TS_HS_IN_MAX)
			return -ECONNREFUSED;
	}
}

/* By the first proxy that takes a connection. */
static int dial_proxy(struct ts_dns_work *w, const struct ts_addr *server, int64_t deadline_ms)
{
	struct ts_proxy proxy;
	int err;

	if (!ts_route_proxy(false, false, &proxy))
		return -ECONNREFUSED;
	for (int i = 0;; i++) {
		err = dial(w, &proxy.addr, deadline_ms);
		if (!err)
			return handshake(w, &proxy, server, deadline_ms);
		hang_up(w);
		ts_route_proxy_failed(&proxy.addr);
		if (i == PROXIES_MAX || !ts_route_proxy_left(false, false, &proxy))
			return err;
	}
}

static int reach(struct ts_dns_work *w, const struct ts_addr *server, int64_t deadline_ms)
{
	struct ts_decision d = ts_route_decide(server);

	if (d.verdict == TS_DENY)
		return -d.err;
	return d.verdict == TS_CARRY ? dial_proxy(w, server, deadline_ms) : dial(w, server, deadline_ms);
}

/* Each question behind its length (RFC 1035, 4.2.2), all in one write: RFC 7766, 6.2.1.1. */
static int send_questions(struct ts_dns_work *w, int64_t deadline_ms)
{
	size_t len = 0;
	int err = 0;

	for (unsigned i = 0; i < w->count && !err; i++) {
		const struct ts_dns_ask *a = &w->ask[i];

		if (!is_open(a))
			continue;
		if (len + 2 + a->query_len > sizeof(w->in)) {
			err = send_all(w->fd, w->in, len, deadline_ms);
			len = 0;
		}
		w->in[len++] = (uint8_t)(a->query_len >> 8);
		w->in[len++] = (uint8_t)a->query_len;
		memcpy(w->in + len, a->query, a->query_len);
		len += a->query_len;
	}
	return err ? err : send_all(w->fd, w->in, len, deadline_ms);
}

/* The message at the start of the stream, if it is whole; false where its length is a lie. */
static bool take_message(struct ts_dns_work *w, size_t *size, bool *useful)
{
	*useful = false;
	*size = 0;
	if (w->have < 2)
		return true;
	*size = 2 + ((size_t)w->in[0] << 8 | w->in[1]);
	if (*size < 2 + TS_DNS_HEADER_LEN)
		return false;
	if (w->have < *size) {
		*size = 0;
		return true;
	}
	for (unsigned i = 0; i < w->count; i++) {
		struct ts_dns_ask *a = &w->ask[i];

		if (!is_open(a) || !ts_dns_answers(w->in + 2, *size - 2, a->query, a->query_len))
			continue;
		a->reply_len = *size - 2;
		a->fresh = true;
		memcpy(a->reply, w->in + 2, a->reply_len);
		*useful = true;
		break;
	}
	return true;
}

static unsigned open_count(const struct ts_dns_work *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->count; i++)
		n += is_open(&w->ask[i]);
	return n;
}

static int take_answers(struct ts_dns_work *w, int64_t deadline_ms)
{
	unsigned stray = 0;
	size_t size;
	bool useful;
	long n;

	while (open_count(w)) {
		if (!take_message(w, &size, &useful))
			return -EBADMSG;
		if (size) {
			consume(w, size);
			stray += !useful;
			if (stray > STRAY_MAX)
				return -EBADMSG;
			continue;
		}
		n = receive(w, deadline_ms);
		if (n <= 0)
			return n ? (int)n : -ECONNRESET;
	}
	return 0;
}

/* One connection. 0: nothing is open any more. */
static int attempt(struct ts_dns_work *w, const struct ts_addr *server, int64_t deadline_ms)
{
	int err = reach(w, server, deadline_ms);

	/* Nothing of a name server's comes before it was asked. */
	if (!err && w->have)
		err = -EBADMSG;
	if (!err)
		err = send_questions(w, deadline_ms);
	w->have = 0;
	if (!err)
		err = take_answers(w, deadline_ms);
	hang_up(w);
	return err;
}

static void ask_server(struct ts_dns_work *w, const struct ts_addr *server, unsigned timeout_s)
{
	int64_t deadline_ms = ts_now_ms() + 1000 * (int64_t)timeout_s;
	unsigned before;

	do {
		before = open_count(w);
		w->err = -attempt(w, server, deadline_ms);
	} while (w->err == ECONNRESET && open_count(w) && open_count(w) < before);
	if (w->err)
		ts_info("name server %a: %e", server, w->err);
}

/* Forgets failures where another server is left to ask. */
static void reopen_failed(struct ts_dns_work *w)
{
	for (unsigned i = 0; i < w->count; i++)
		if (w->ask[i].reply_len && is_failure(&w->ask[i]))
			w->ask[i].reply_len = 0;
}

static void ask_all(void *arg)
{
	struct ts_dns_work *w = arg;
	const struct ts_resolv *conf = &w->conf;

	ts_resolv_read(&w->conf);
	for (unsigned round = 0; round < conf->attempts && open_count(w); round++)
		for (unsigned i = 0; i < w->split->count && open_count(w); i++) {
			ask_server(w, &w->split->server[i], conf->timeout_s);
			/* Who refuses is not asked a second time: the last server's word holds. */
			if (i + 1 < w->split->count)
				reopen_failed(w);
		}
}

static void give_back(void *arg)
{
	ts_dns_end(arg);
}

int ts_dns_ask(struct ts_dns_work *w, const struct ts_split *split)
{
	w->split = split;
	w->err = EHOSTUNREACH;
	if (open_count(w))
		ts_cancel_guarded(ask_all, give_back, w);
	return open_count(w) == w->count ? -w->err : 0;
}

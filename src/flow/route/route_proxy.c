/* SPDX-License-Identifier: MIT */
/* The proxies that can carry what is ours (route.h): those of the settings, and those that the map knows. */
#include "tsproxy/clock.h"
#include "tsproxy/route.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/credentials.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/guard.h"
#include "tsproxy/hash.h"
#include "tsproxy/log.h"
#include "tsproxy/map.h"
#include "tsproxy/names.h"
#include "tsproxy/scratch.h"
#include "tsproxy/shared.h"

#define ENDPOINTS_MAX 8

/*
 * The endpoints the map knows, kept beside it: getpeername and getsockname ask for every
 * loopback connection. A sequence word, odd while it is written, lets readers do without a lock; whoever meets
 * an odd one reads the map itself.
 */
static struct {
	unsigned seq;
	_Atomic unsigned count;
	_Atomic unsigned version;	/* of the map: ts_live_version */
	struct ts_proxy proxy[ENDPOINTS_MAX];
} known;

static void describe(const struct ts_endpoint *e, struct ts_proxy *out)
{
	out->addr = e->addr;
	out->kind = e->kind;
	out->flags = e->flags;
	out->auth = e->flags & TS_PROXY_AUTH;
}

/* False: no memory. */
static bool read_endpoints(struct ts_proxy out[ENDPOINTS_MAX], unsigned *n)
{
	struct ts_endpoint *e = ts_scratch_get(sizeof(*e));

	*n = 0;
	while (e && *n < ENDPOINTS_MAX && ts_live_endpoint(*n, e) == 1)
		describe(e, &out[(*n)++]);
	ts_scratch_put(e, sizeof(*e));
	return e != NULL;
}

static unsigned endpoints(struct ts_proxy out[ENDPOINTS_MAX])
{
	unsigned version = ts_live_version(), seq = ts_seq_begin(&known.seq), n;

	if (seq && known.version == version) {
		n = known.count;
		ts_shared_read(out, known.proxy, sizeof(known.proxy[0]) * (n <= ENDPOINTS_MAX ? n : 0));
		if (ts_seq_holds(&known.seq, seq))
			return n;
	}
	if (read_endpoints(out, &n) && ts_seq_try_change(&known.seq)) {
		known.version = version;
		known.count = n;
		ts_shared_write(known.proxy, out, sizeof(known.proxy[0]) * n);
		ts_seq_changed(&known.seq);
	}
	return n;
}

static bool conf_proxy(const struct ts_conf_proxy *c, uint8_t kind, const struct ts_proxy *list, unsigned n,
		       struct ts_proxy *out)
{
	if (!c->set || c->bad || c->named)
		return false;
	*out = (struct ts_proxy){ .addr = c->addr, .kind = kind, .flags = TS_PROXY_CONFIGURED,
				  .auth = c->user[0] || c->pass[0] };
	for (unsigned i = 0; i < n; i++)
		if (ts_addr_equal(&list[i].addr, &c->addr) && list[i].kind == kind)
			out->flags |= list[i].flags;	/* what tsproxy-sync found out about it */
	return true;
}

/* Whether an endpoint of the map is one that the environment names. */
static bool is_configured(const struct ts_proxy *p)
{
	const struct ts_conf_proxy *c = p->kind == TS_PROXY_HTTP ? &ts_conf.http : &ts_conf.socks5;

	if (!c->set || c->bad || !(p->flags & TS_PROXY_CONFIGURED))
		return false;
	return c->named || ts_addr_equal(&c->addr, &p->addr);
}

/*
 * Proxies that did not take a connection a moment ago, by a hash of the address, and until when. Words by themselves, no lock: one that is
 * mixed up means that another proxy goes first for a moment.
 */
#define FAILED_MAX ENDPOINTS_MAX
#define FAILED_MS 2000

static struct { uint64_t key; int64_t until_ms; } failed[FAILED_MAX];
static bool any_failed;

static uint64_t proxy_key(const struct ts_addr *a)
{
	return ts_fnv64(ts_fnv64(TS_FNV64_INIT, a->ip, sizeof(a->ip)), &a->port, sizeof(a->port));
}

void ts_route_proxy_failed(const struct ts_addr *proxy)
{
	uint64_t key = proxy_key(proxy);
	int64_t now = ts_now_ms(), until, oldest = INT64_MAX;
	unsigned at = 0;

	for (unsigned i = 0; i < FAILED_MAX; i++) {
		until = __atomic_load_n(&failed[i].key, __ATOMIC_RELAXED) == key ? -1 :
			__atomic_load_n(&failed[i].until_ms, __ATOMIC_RELAXED);
		if (until < oldest) {
			oldest = until;
			at = i;
		}
	}
	__atomic_store_n(&failed[at].key, key, __ATOMIC_RELAXED);
	__atomic_store_n(&failed[at].until_ms, now + FAILED_MS, __ATOMIC_RELAXED);
	__atomic_store_n(&any_failed, true, __ATOMIC_RELAXED);
}

static bool has_failed(const struct ts_proxy *p)
{
	uint64_t key = proxy_key(&p->addr);
	int64_t now = ts_now_ms();

	for (unsigned i = 0; i < FAILED_MAX; i++)
		if (__atomic_load_n(&failed[i].key, __ATOMIC_RELAXED) == key &&
		    now < __atomic_load_n(&failed[i].until_ms, __ATOMIC_RELAXED))
			return true;
	return false;
}

static bool can_reach(const struct ts_proxy *p, bool v4_only, bool v6_only)
{
	bool v4 = ts_addr_is4(&p->addr);

	return !(v4_only && !v4) && !(v6_only && v4);
}

/* `alive`: one that failed a moment ago does not do. */
static bool usable(const struct ts_proxy *p, bool v4_only, bool v6_only, bool alive)
{
	return can_reach(p, v4_only, v6_only) && !(alive && has_failed(p));
}

static bool choose(bool v4_only, bool v6_only, bool alive, struct ts_proxy *out)
{
	struct ts_proxy list[ENDPOINTS_MAX];
	unsigned n = endpoints(list);

	/* tsproxy-sync has put first what answers, and has the addresses of those that are named. */
	for (unsigned i = 0; i < n && (ts_conf.socks5.set || ts_conf.http.set); i++) {
		*out = list[i];
		if (is_configured(out) && usable(out, v4_only, v6_only, alive))
			return true;
	}
	if (ts_conf.socks5.set || ts_conf.http.set)
		return (conf_proxy(&ts_conf.socks5, TS_PROXY_SOCKS5, list, n, out) && usable(out, v4_only, v6_only, alive)) ||
		       (conf_proxy(&ts_conf.http, TS_PROXY_HTTP, list, n, out) && usable(out, v4_only, v6_only, alive));
	for (unsigned i = 0; i < n; i++) {
		*out = list[i];
		if (usable(out, v4_only, v6_only, alive))
			return true;
	}
	return false;
}

bool ts_route_proxy_left(bool v4_only, bool v6_only, struct ts_proxy *out)
{
	return choose(v4_only, v6_only, true, out);
}

bool ts_route_proxy(bool v4_only, bool v6_only, struct ts_proxy *out)
{
	if (__builtin_expect(!__atomic_load_n(&any_failed, __ATOMIC_RELAXED), 1))
		return choose(v4_only, v6_only, false, out);
	return choose(v4_only, v6_only, true, out) || choose(v4_only, v6_only, false, out);
}

bool ts_route_socks5(bool v4_only, bool v6_only, struct ts_proxy *out)
{
	struct ts_proxy list[ENDPOINTS_MAX];
	unsigned n = endpoints(list);

	if (ts_conf.socks5.set || ts_conf.http.set)
		return conf_proxy(&ts_conf.socks5, TS_PROXY_SOCKS5, list, n, out) && can_reach(out, v4_only, v6_only);
	for (unsigned i = 0; i < n; i++) {
		*out = list[i];
		if (out->kind == TS_PROXY_SOCKS5 && can_reach(out, v4_only, v6_only))
			return true;
	}
	return false;
}

/* Whether no endpoint that the map knows has this port: the quick answer for nearly every address. */
static bool no_such_port(uint16_t port)
{
	unsigned seq = ts_seq_begin(&known.seq);
	bool none = seq && known.version == ts_live_version();

	for (unsigned i = 0; none && i < known.count && i < ENDPOINTS_MAX; i++)
		none = __atomic_load_n(&known.proxy[i].addr.port, __ATOMIC_RELAXED) != port;
	return none && ts_seq_holds(&known.seq, seq);
}

bool ts_route_is_proxy(const struct ts_addr *a)
{
	struct ts_proxy list[ENDPOINTS_MAX];
	unsigned n;

	if (ts_conf.socks5.set && ts_addr_equal(a, &ts_conf.socks5.addr))
		return true;
	if (ts_conf.http.set && ts_addr_equal(a, &ts_conf.http.addr))
		return true;
	if (no_such_port(a->port))
		return false;
	n = endpoints(list);
	for (unsigned i = 0; i < n; i++)
		if (ts_addr_equal(a, &list[i].addr))
			return true;
	return false;
}

bool ts_route_may_meet_proxy(const uint8_t local_ip[16])
{
	struct ts_proxy p;

	/* A local proxy is reached from a loopback address, unless the program bound another of this machine's. */
	return ts_ip_is_loopback(local_ip) || (ts_route_proxy(false, false, &p) && !ts_ip_is_loopback(p.addr.ip));
}

/* Both "" where none are known. */
static void credentials(const struct ts_addr *proxy, uint8_t kind, char user[256], char pass[256])
{
	const struct ts_conf_proxy *c = kind == TS_PROXY_HTTP ? &ts_conf.http : &ts_conf.socks5;
	int found;

	user[0] = pass[0] = '\0';
	/* Where one is named, no other is used. */
	if (c->set && (c->named || ts_addr_equal(&c->addr, proxy))) {
		memcpy(user, c->user, sizeof(c->user));
		memcpy(pass, c->pass, sizeof(c->pass));
		return;
	}
	found = ts_sandboxed() ? -EPERM : ts_credentials_find(ts_live_path(), proxy, kind, user, pass);
	if (found < 0)
		ts_warn("proxy %a: cannot read its user and password: %e", proxy, -found);
}

size_t ts_route_say(struct ts_route_message *m, struct ts_handshake *hs, const struct ts_addr *proxy, const char *host)
{
	m->user[0] = m->pass[0] = '\0';
	if (hs->auth)
		credentials(proxy, hs->kind, m->user, m->pass);
	return ts_handshake_output(hs, m->out, sizeof(m->out), m->user, m->pass, host);
}

/* SPDX-License-Identifier: MIT */
/*
 * Ours or not (docs/internals.md, "Ours or not").
 *
 * What is ours is carried or denied, never passed. Doubt about an address that could be a tailnet's is a denial. A map that is missing
 * must not break a program that has nothing to do with a tailnet: then only Tailscale's own ranges are in doubt.
 */
#include "tsproxy/route.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/guard.h"
#include "tsproxy/log.h"
#include "tsproxy/map.h"
#include "tsproxy/names.h"
#include "tsproxy/remote.h"
#include "tsproxy/shared.h"
#include "tsproxy/sys.h"

static bool in_list(const struct ts_prefix *list, unsigned count, const uint8_t ip[16])
{
	for (unsigned i = 0; i < count; i++)
		if (ts_prefix_contains(&list[i], ip))
			return true;
	return false;
}

static struct ts_decision carry(bool offline)
{
	return (struct ts_decision){ .verdict = TS_CARRY, .offline = offline };
}

static struct ts_decision deny(const struct ts_addr *to, int err, const char *why)
{
	ts_info("%a: %e: %s", to, err, why);
	return (struct ts_decision){ .verdict = TS_DENY, .err = err };
}

static bool has_proxy(void)
{
	struct ts_proxy p;

	return ts_route_proxy(false, false, &p);
}

/*
 * Where there is no map. Of all addresses only Tailscale's ranges are known to be a tailnet's, and those that were given out to
 * stand for names. Of these 100.64.0.0/10 is used by others as well (RFC 6598).
 */
static struct ts_decision decide_without_map(const struct ts_addr *to)
{
	bool tailscale = ts_ip_is_tailscale(to->ip);
	const char *why;

	if (!tailscale && !ts_remote_is_in_range(to->ip))
		return (struct ts_decision){ .verdict = TS_PASS };
	if (tailscale && has_proxy())
		return carry(false);
	why = ts_live_meant();
	if (!why && tailscale && !ts_ip_is4(to->ip))
		why = "the address belongs to a tailnet, but there is no map";
	return why ? deny(to, EHOSTUNREACH, why) : (struct ts_decision){ .verdict = TS_PASS };
}

static bool is_private(const uint8_t ip[16])
{
	if (!ts_ip_is4(ip))
		return (ip[0] & 0xfe) == 0xfc;
	return ip[12] == 10 || (ip[12] == 172 && (ip[13] & 0xf0) == 16) || (ip[12] == 192 && ip[13] == 168);
}

/* The daemon is asked all the same: what it lists may be late. */
static bool is_away(uint32_t node_flags)
{
	return node_flags & TS_NODE_EXPIRED || (node_flags & TS_NODE_ONLINE_KNOWN && !(node_flags & TS_NODE_ONLINE));
}

/* What the map says of an address. */
struct known {
	uint32_t flags;		/* the map's */
	bool running;
	uint32_t range;		/* enum ts_range_kind, 0 where none covers it or the one that does is not carried */
	bool is_node, away;
};

static bool takes_exit(const struct ts_addr *to, uint32_t flags)
{
	return (ts_conf.exit_node || flags & TS_MAP_EXIT_NODE) && !is_private(to->ip);
}

/* Not in ask_map, for its frame, as the next. */
static __attribute__((noinline)) int ask_header(struct known *k)
{
	struct ts_map_header h;
	int ret = ts_live_header(&h);

	if (ret == 0) {
		k->flags = h.flags;
		k->running = ts_map_is_running(&h);
	}
	return ret;
}

/* 0; -ENOENT where there is no map; another error where it is damaged, and cannot tell. */
static int ask_map(const struct ts_addr *to, struct known *k)
{
	struct ts_map_range range = { .kind = 0 };
	uint32_t flags;
	int ret = ask_header(k);

	if (ret == 0)
		ret = ts_live_find_range(to->ip, &range);
	if (ret < 0)
		return ret;
	k->range = range.kind == TS_RANGE_EXIT && !takes_exit(to, k->flags) ? 0 : range.kind;
	ret = ts_live_find_flags(to->ip, &flags);
	/* What lies in a range is known to be ours, or not, wherever else the map is damaged. */
	if (ret < 0 && !k->range)
		return ret;
	k->is_node = ret == 1;
	k->away = k->is_node && is_away(flags);
	return 0;
}

/*
 * As ask_map. What is left to the kernel, though it is in Tailscale's ranges, may have become a node's since the map was made, or the
 * tailnet no longer be the kernel's: waits for a fresher map where the one in use is older than 2 s. Without a map the first question waits.
 */
static int ask_newest(const struct ts_addr *to, struct known *k)
{
	bool tailscale = ts_ip_is_tailscale(to->ip), wait;
	int ret = ask_map(to, k);

	if (ret == -ENOENT)
		wait = tailscale && !has_proxy() && ts_live_first();
	else
		wait = (ret < 0 || (tailscale && (k->flags & TS_MAP_TUN || (!k->is_node && !k->range)))) && ts_live_refresh(true);
	return wait || ret < 0 ? ask_map(to, k) : ret;	/* one may have come meanwhile, whoever made it */
}

static struct ts_decision decide_by_map(const struct ts_addr *to, const struct known *k)
{
	const struct ts_decision pass = { .verdict = TS_PASS };

	if (k->flags & TS_MAP_TUN || k->range == TS_RANGE_EXCLUDE)
		return pass;
	if (!k->is_node && ts_ip_is_tailscale_service(to->ip))
		return deny(to, EHOSTUNREACH, "the daemon's own service address is not reachable through a proxy");
	if (!k->is_node && !k->range && !ts_ip_is_tailscale(to->ip))
		return pass;
	ts_live_refresh(false);
	/* A daemon that has logged out lists no nodes: theirs are among these, and may not be met in the clear. */
	if (!k->is_node && !k->range && k->running)
		return ts_ip_is4(to->ip) ? pass : deny(to, EHOSTUNREACH, "no node has this address");
	if (!k->running)
		return deny(to, ENETUNREACH, "the daemon is stopped or logged out");
	return carry(k->away);
}

/*
 * Addresses that were found not to be ours, so that a datagram to one costs no look at the map. Each slot is read and written under its
 * own sequence word, as `known` is; it holds as long as the map is the same. Addresses of Tailscale's are not kept: what
 * is not ours of these asks for a fresher map.
 */
#define PASSED_BITS 6

static struct passed {
	unsigned seq;
	unsigned version;
	uint64_t ip[2];
} passed[1 << PASSED_BITS];

static struct passed *passed_slot(const uint8_t ip[16], uint64_t words[2])
{
	__builtin_memcpy(words, ip, 16);
	return &passed[((words[0] ^ words[1]) * 0x9e3779b97f4a7c15ull) >> (64 - PASSED_BITS)];
}

static bool has_passed(const uint8_t ip[16], unsigned version)
{
	uint64_t words[2];
	struct passed *p = passed_slot(ip, words);
	unsigned seq = ts_seq_begin(&p->seq);
	bool same = seq && __atomic_load_n(&p->version, __ATOMIC_RELAXED) == version &&
		    __atomic_load_n(&p->ip[0], __ATOMIC_RELAXED) == words[0] && __atomic_load_n(&p->ip[1], __ATOMIC_RELAXED) == words[1];

	return same && ts_seq_holds(&p->seq, seq);
}

static void keep_passed(const uint8_t ip[16], unsigned version)
{
	uint64_t words[2];
	struct passed *p = passed_slot(ip, words);

	if (!ts_seq_try_change(&p->seq))
		return;
	__atomic_store_n(&p->version, version, __ATOMIC_RELAXED);
	ts_shared_write(p->ip, words, sizeof(words));
	ts_seq_changed(&p->seq);
}

/* Addresses that are this machine's or its link's in any case: nothing need be asked, the map least of all. */
static bool is_local(const uint8_t ip[16])
{
	return (ts_ip_is_loopback(ip) || ts_ip_is_local_scope(ip)) && !in_list(ts_conf.route, ts_conf.route_count, ip);
}

bool ts_route_has_passed(const struct ts_addr *to)
{
	return is_local(to->ip) || has_passed(to->ip, ts_live_version());
}

static __attribute__((noinline)) struct ts_decision decide_placeholder(const struct ts_addr *to)
{
	struct ts_decision d = carry(false);
	char name[TS_NAME_MAX + 1];

	if (!ts_remote_name(to->ip, name))
		return deny(to, EHOSTUNREACH, "this placeholder stands for no name");
	ts_debug("%a: %s", to, name);
	d.remote = true;
	return d;
}

static struct ts_decision decide_anew(const struct ts_addr *to)
{
	struct ts_decision d = { .verdict = TS_PASS };
	struct known k;
	int err;
	bool routed = in_list(ts_conf.route, ts_conf.route_count, to->ip);

	if (in_list(ts_conf.exclude, ts_conf.exclude_count, to->ip))
		return d;
	if (routed) {
		d = carry(false);
		d.loopback = ts_ip_is_loopback(to->ip);
	} else if (ts_remote_is_placeholder(to->ip)) {
		d = decide_placeholder(to);
	} else {
		err = ask_newest(to, &k);
		/* What a damaged map would say of an address that is not Tailscale's is what no map says. */
		if (err == 0)
			d = decide_by_map(to, &k);
		else if (err == -ENOENT || !ts_ip_is_tailscale(to->ip))
			d = decide_without_map(to);
		else
			d = deny(to, EHOSTUNREACH, "the map is damaged");
	}
	if (d.verdict != TS_PASS && ts_route_is_proxy(to))
		return (struct ts_decision){ .verdict = TS_PASS };
	if (d.verdict == TS_CARRY && ts_sandboxed())
		return deny(to, ENETUNREACH, "the program is in a sandbox");
	if (d.verdict == TS_CARRY && ts_fd_are_parted())
		return deny(to, ENETUNREACH, "threads have separate tables of descriptors");
	if (d.verdict == TS_CARRY && !has_proxy())
		return deny(to, EHOSTUNREACH, "no proxy is known");
	return d;
}

struct ts_decision ts_route_decide(const struct ts_addr *to)
{
	struct ts_decision d = { .verdict = TS_PASS };
	unsigned version;

	if (is_local(to->ip))
		return d;
	version = ts_live_version();
	if (has_passed(to->ip, version))
		return d;
	d = decide_anew(to);
	/* That the proxy's own address passes depends on its port: it may be an address of ours. */
	if (d.verdict == TS_PASS && !ts_ip_is_tailscale(to->ip) && !in_list(ts_conf.route, ts_conf.route_count, to->ip) &&
	    !ts_route_is_proxy(to))
		keep_passed(to->ip, version);
	return d;
}

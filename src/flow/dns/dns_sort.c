/* SPDX-License-Identifier: MIT */
/*
 * The order of addresses (RFC 3484, 6; RFC 6724, 6), as the libc at hand has it without a configuration of its own.
 *
 * The rules compare each address with the one it would be reached from. For what the proxy carries that is this node's own in the
 * tailnet, as it would be behind a kernel's route; for the others the kernel is asked. Rules 3, 4 and 7 (deprecated, home and
 * tunnelled addresses) tell nothing apart here.
 */
#include <netinet/in.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tsproxy/answer.h"
#include "tsproxy/dns_lookup.h"
#include "tsproxy/names.h"
#include "tsproxy/route.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define ANY_PORT 53
#define INTERFACES 32

struct policy {
	uint8_t ip[16];
	uint8_t bits, precedence, label;
};

/* glibc's own tables; musl's. The first that matches is the longest. */
static const struct policy glibc_policy[] = {
	{ { [15] = 1 }, 128, 50, 0 }, { { [10] = 0xff, [11] = 0xff }, 96, 10, 4 }, { { 0 }, 96, 20, 3 }, { { 0x20, 0x01 }, 32, 40, 7 },
	{ { 0x20, 0x02 }, 16, 30, 2 }, { { 0xfe, 0xc0 }, 10, 40, 5 }, { { 0xfc }, 7, 40, 6 }, { { 0 }, 0, 40, 1 },
};
static const struct policy musl_policy[] = {
	{ { [15] = 1 }, 128, 50, 0 }, { { [10] = 0xff, [11] = 0xff }, 96, 35, 4 }, { { 0x20, 0x02 }, 16, 30, 2 },
	{ { 0x20, 0x01 }, 32, 5, 5 }, { { 0xfc }, 7, 3, 13 }, { { 0 }, 0, 40, 1 },
};

/* Of bytes alone, so that it can lie anywhere. */
struct candidate {
	uint8_t ip[16];
	bool usable;		/* there is a source to reach it from */
	bool same_scope, same_label;
	uint8_t precedence, scope, common;
};

static const struct policy *policy_of(const uint8_t ip[16])
{
	const struct policy *p = ts_libc_is_glibc() ? glibc_policy : musl_policy;
	struct ts_prefix prefix;

	for (;; p++) {
		memcpy(prefix.ip, p->ip, sizeof(prefix.ip));
		prefix.bits = p->bits;
		if (ts_prefix_contains(&prefix, ip))
			return p;
	}
}

enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

/* `as_ip6`: in its IPv6 form libc does not see that an address is IPv4. */
static uint8_t scope_of(const uint8_t ip[16], bool as_ip6)
{
	if (ts_ip_is4(ip) && as_ip6 && ts_libc_is_glibc())
		return SCOPE_GLOBAL;
	if (ts_ip_is4(ip))
		return ip[12] == 127 || (ip[12] == 169 && ip[13] == 254) ? SCOPE_LINK : SCOPE_GLOBAL;
	if (ip[0] == 0xff)
		return ip[1] & 15;
	if (ts_ip_is_loopback(ip) || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80))
		return SCOPE_LINK;
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0xc0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

static uint8_t common_bits(const uint8_t a[16], const uint8_t b[16])
{
	uint8_t n = 0;

	while (n < 128 && !((a[n / 8] ^ b[n / 8]) & 0x80 >> n % 8))
		n++;
	return n;
}

/* Whether an interface that has `source` has `to` in its network (IPv4). */
static bool same_network_in(struct ifreq list[INTERFACES], int fd, const uint8_t source[16], const uint8_t to[16])
{
	struct ifconf conf = { .ifc_len = INTERFACES * sizeof(*list), .ifc_req = list };

	if (ts_sys(SYS_ioctl, fd, SIOCGIFCONF, &conf) != 0)
		return false;
	for (int i = 0; i < conf.ifc_len / (int)sizeof(*list); i++) {
		uint32_t own, mask, a, b;

		memcpy(&own, &((struct sockaddr_in *)&list[i].ifr_addr)->sin_addr, 4);
		memcpy(&a, source + 12, 4);
		memcpy(&b, to + 12, 4);
		if (own != a || ts_sys(SYS_ioctl, fd, SIOCGIFNETMASK, &list[i]) != 0)
			continue;
		memcpy(&mask, &((struct sockaddr_in *)&list[i].ifr_netmask)->sin_addr, 4);
		return (a & mask) == (b & mask);
	}
	return false;
}

static bool same_network(int fd, const uint8_t source[16], const uint8_t to[16])
{
	struct ifreq *list = ts_scratch_get(INTERFACES * sizeof(*list));
	bool same = list && same_network_in(list, fd, source, to);

	ts_scratch_put(list, INTERFACES * sizeof(*list));
	return same;
}

/* The kernel's choice; no packet leaves for it. `near`: the addresses' common bits mean something to glibc. */
static bool kernel_source(const struct ts_addr *to, struct ts_addr *source, bool *near)
{
	int family = ts_addr_is4(to) ? AF_INET : AF_INET6;
	struct sockaddr_storage sa;
	socklen_t len = ts_addr_to_sockaddr(to, family, &sa);
	long fd = ts_sys(SYS_socket, family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return false;
	ok = ts_sys(SYS_connect, fd, &sa, len) == 0;
	len = sizeof(sa);
	ok = ok && ts_sys(SYS_getsockname, fd, &sa, &len) == 0 && ts_addr_from_sockaddr(source, (struct sockaddr *)&sa, len);
	*near = ok && (family == AF_INET6 || same_network((int)fd, source->ip, to->ip));
	ts_sys(SYS_close, fd);
	return ok;
}

static bool source_of(const struct ts_addr *to, struct ts_addr *source, bool *near)
{
	*near = !ts_addr_is4(to);	/* a node's own IPv4 address is alone in its network */
	switch (ts_route_decide(to).verdict) {
	case TS_DENY:
		return false;
	case TS_CARRY:
		if (ts_live_own_addr(ts_addr_is4(to) ? AF_INET : AF_INET6, source) == 1)
			return true;
		*source = *to;	/* nothing is known of it, and so nothing against it */
		*near = false;
		return ts_live_own_addr(ts_addr_is4(to) ? AF_INET6 : AF_INET, &(struct ts_addr){ .port = 0 }) != 1;
	default:
		return kernel_source(to, source, near);
	}
}

static void weigh(struct candidate *c, const uint8_t ip[16], bool as_ip6)
{
	const struct policy *p = policy_of(ip);
	struct ts_addr to = { .port = ANY_PORT }, source;
	bool near;

	memcpy(to.ip, ip, sizeof(to.ip));
	*c = (struct candidate){ .usable = source_of(&to, &source, &near), .precedence = p->precedence, .scope = scope_of(ip, as_ip6) };
	memcpy(c->ip, ip, sizeof(c->ip));
	if (!c->usable)
		return;
	c->same_scope = scope_of(source.ip, as_ip6) == c->scope;
	c->same_label = policy_of(source.ip)->label == p->label;
	c->common = near || as_ip6 || !ts_libc_is_glibc() ? common_bits(source.ip, ip) : 0;
}

/* Whether `a` belongs before `b`, which came first. */
static bool before(const struct candidate *a, const struct candidate *b)
{
	if (a->usable != b->usable)
		return a->usable;
	if (a->same_scope != b->same_scope)
		return a->same_scope;
	if (a->same_label != b->same_label)
		return a->same_label;
	if (a->precedence != b->precedence)
		return a->precedence > b->precedence;
	if (a->scope != b->scope)
		return a->scope < b->scope;
	return ts_ip_is4(a->ip) == ts_ip_is4(b->ip) && a->common > b->common;
}

void ts_dns_sort(struct ts_dns_work *w, uint8_t (*ip)[16], unsigned count, bool as_ip6)
{
	struct candidate *list = (struct candidate *)w->in;	/* the program's stack may be small */
	unsigned fours = 0;

	/* musl leaves IPv4 among itself as it came. */
	while (!as_ip6 && !ts_libc_is_glibc() && fours < count && ts_ip_is4(ip[fours]))
		fours++;
	if (count < 2 || count > sizeof(w->in) / sizeof(*list) || fours == count)
		return;
	for (unsigned i = 0; i < count; i++) {
		struct candidate c;
		unsigned at = i;

		weigh(&c, ip[i], as_ip6);
		while (at && before(&c, &list[at - 1])) {
			list[at] = list[at - 1];
			at--;
		}
		list[at] = c;
	}
	for (unsigned i = 0; i < count; i++)
		memcpy(ip[i], list[i].ip, 16);
}

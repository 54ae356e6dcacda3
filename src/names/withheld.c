/* SPDX-License-Identifier: MIT */
/*
 * Names that are a tailnet's by their letters alone: those under ts.net, and the reverse names of Tailscale's ranges. Where there is
 * no map that could answer, they are withheld: nobody is asked, because whoever answers for public DNS has no business knowing them.
 */
#include <errno.h>
#include <string.h>

#include "live.h"
#include "tsproxy/dns_message.h"
#include "tsproxy/names.h"
#include "tsproxy/split.h"

#define REVERSE6 "0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa"	/* fd7a:115c:a1e0::/48, RFC 3596, 2.5 */
#define REVERSE4 "100.in-addr.arpa"

/* 64.100.in-addr.arpa to 127.100.in-addr.arpa, and what lies under them. */
static size_t reverse4(const char *name, size_t len)
{
	size_t zone = ts_name_under(name, len, REVERSE4, strlen(REVERSE4)), at;
	unsigned number = 0, digits = 0;

	if (!zone)
		return 0;
	at = len - (name[len - 1] == '.') - zone;
	for (unsigned scale = 1; at > 1 && digits < 3 && name[at - 2] >= '0' && name[at - 2] <= '9'; at--, digits++, scale *= 10)
		number += (unsigned)(name[at - 2] - '0') * scale;
	return digits && number >= 64 && number < 128 ? zone : 0;
}

/* A name of another tailnet is public DNS's, where this one's is known; of addresses those that are this one's, or may be. */
static __attribute__((noinline)) bool is_withheld_by_map(const char *name, bool domain, bool four, struct ts_split *out)
{
	struct ts_map_header header, *h = &header;
	struct ts_map_range range = { .kind = 0 };
	uint8_t ip[16];

	if (ts_live_header(h) != 0)
		return domain || !four || ts_live_meant();
	/* Of the addresses that are nobody's there are no names. */
	out->flags = ts_map_is_running(h) ? TS_DNS_ROUTE_NO_SERVER : 0;
	if (h->flags & TS_MAP_TUN)
		return false;
	if (domain)
		return !ts_map_is_running(h) && h->suffix.len == 0 && h->domains.count == 0;
	if (!four || !ts_map_is_running(h))
		return true;
	return ts_dns_reverse(name, ip) &&
	       (ts_ip_is_tailscale_service(ip) || ts_live_find_range(ip, &range) < 0 || range.kind == TS_RANGE_ROUTE);
}

int ts_withheld_find(const char *name, size_t len, struct ts_split *out)
{
	size_t domain = ts_name_under(name, len, "ts.net", strlen("ts.net"));
	size_t six = domain ? 0 : ts_name_under(name, len, REVERSE6, strlen(REVERSE6));
	size_t four = domain || six ? 0 : reverse4(name, len);
	uint32_t map_flags;

	if (!domain && !six && !four)
		return 0;
	*out = (struct ts_split){ .suffix_len = domain + six + four, .withheld = true };
	if (domain && ts_live_flags(&map_flags) != 0)
		ts_live_refresh(true);
	return is_withheld_by_map(name, domain, four, out);
}

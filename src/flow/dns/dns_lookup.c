/* SPDX-License-Identifier: MIT */
/* A lookup in split DNS: see dns_lookup.h. */
#include "tsproxy/dns_lookup.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "tsproxy/answer.h"
#include "tsproxy/dns_message.h"
#include "tsproxy/log.h"

/* What one question came to. */
static int judge(struct ts_dns_ask *a, struct ts_dns_found *f, const struct ts_split *split)
{
	f->count = 0;
	if (a->reply_len == 0)
		return TRY_AGAIN;
	if (!ts_dns_read_reply(a->reply, a->reply_len, a->type, f)) {
		f->count = 0;
		return NO_RECOVERY;
	}
	switch (f->rcode) {
	case TS_DNS_NOERROR:
		ts_dns_cache_put(a, split, f->ttl_s);
		return f->count ? 0 : NO_DATA;
	case TS_DNS_NXDOMAIN:
		f->count = 0;
		ts_dns_cache_put(a, split, f->ttl_s);
		return HOST_NOT_FOUND;
	default:
		/* It may well be there: nobody else is asked, so this is not the last word. */
		f->count = 0;
		return TRY_AGAIN;
	}
}

/* Of two answers: to glibc something found is what counts, to musl first that both came; then what may change, before what is settled. */
static int both(int a, int b)
{
	static const int glibcs[] = { 0, TRY_AGAIN, NO_RECOVERY, NO_DATA, HOST_NOT_FOUND };
	static const int musls[] = { TRY_AGAIN, NO_RECOVERY, 0, NO_DATA, HOST_NOT_FOUND };
	const int *order = ts_libc_is_glibc() ? glibcs : musls;

	for (size_t i = 0; i < sizeof(glibcs) / sizeof(*glibcs); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return a;
}

static bool is_own_lack(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS;
}

int ts_dns_lookup(struct ts_dns_work *w, const char *name, const uint16_t *types, unsigned count)
{
	struct ts_split split;
	int ret = -1;

	/* A route that has gone this moment leaves the name nobody's, and not public DNS's. */
	if (!ts_split_find(name, strlen(name), &split))
		return TRY_AGAIN;
	if (split.withheld)
		ts_info("%s: may belong to a tailnet, but there is no map: not looked up", name);
	else if (split.count == 0)
		ts_warn("%s: its name servers support only DNS over HTTPS: not looked up", name);
	if (split.count == 0)
		return TRY_AGAIN;
	for (unsigned i = 0; i < count; i++) {
		if (!ts_dns_add(w, name, types[i], TS_DNS_CLASS_IN))
			return HOST_NOT_FOUND;
		ts_dns_cache_get(&w->ask[i], &split);
	}
	if (ts_dns_ask(w, &split) < 0 && is_own_lack(w->err))
		return NETDB_INTERNAL;
	for (unsigned i = 0; i < count; i++) {
		int one = judge(&w->ask[i], &w->found[i], &split);

		ret = i ? both(ret, one) : one;
	}
	ts_debug("%s: %s, name server %a", name, ret == 0 ? "found" : ret == TRY_AGAIN ? "no answer" : "not found", &split.server[0]);
	return ret;
}
